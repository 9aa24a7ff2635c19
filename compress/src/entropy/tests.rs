use super::binary::{BitDecoder, BitEncoder, Cost};
use super::mixed::{MixedModel, Tuning};
use super::{fast, huffman, Grid};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Matrices of many shapes and densities: the corners first, then at random.
fn matrices() -> Vec<(Grid, Vec<u16>, usize)> {
    let shapes = [(0, 0), (1, 1), (1, 200), (200, 1), (7, 31), (28, 56), (64, 9)];
    let mut out = Vec::new();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for (rows, columns) in shapes {
        for density in [0.0, 0.01, 0.2, 0.9, 1.0] {
            for values in [1usize, 2, 15, 255, 1000] {
                let mut code = || if rng.random_bool(density) { rng.random_range(1..=values) as u16 } else { 0 };
                out.push((Grid { rows, columns }, (0..rows * columns).map(|_| code()).collect(), values));
            }
        }
        out.push((Grid { rows, columns }, vec![3; rows * columns], 3));
    }
    out
}

#[test]
fn huffman_and_fast_give_every_matrix_back() {
    for (grid, codes, values) in matrices() {
        let (bytes, _) = huffman::encode(&codes, values);
        assert_eq!(huffman::decode(&bytes, grid.positions(), values).as_ref(), Some(&codes), "huffman {grid:?} {values}");
        let bytes = fast::encode(&codes, values);
        assert_eq!(fast::decode(&bytes, grid.positions(), values).as_ref(), Some(&codes), "fast {grid:?} {values}");
    }
}

#[test]
fn mixed_gives_every_matrix_back() {
    // several matrices through one model, as in a file
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let matrices = matrices();
    let signed: Vec<(Grid, Vec<i32>, u32, u32, Tuning)> = matrices
        .into_iter()
        .map(|(grid, codes, values)| {
            let negative = rng.random_range(0..=values) as i32;
            let rank = |code: u16| match i32::from(code) {
                0 => 0,
                c if c <= negative => c - negative - 1,
                c => c - negative,
            };
            let tuning = Tuning { period: [0, 1, 2, 9, 28, 300][rng.random_range(0..6)], transposed: rng.random_bool(0.5) };
            (grid, codes.into_iter().map(rank).collect(), negative as u32, values as u32 - negative as u32, tuning)
        })
        .collect();
    let (mut coder, mut model) = (BitEncoder::new(), MixedModel::new());
    for (grid, ranks, negative, positive, tuning) in &signed {
        model.code(&mut coder, *grid, &mut ranks.clone(), *negative, *positive, *tuning);
    }
    let bytes = coder.finish();
    let (mut coder, mut model) = (BitDecoder::new(&bytes), MixedModel::new());
    for (grid, ranks, negative, positive, tuning) in &signed {
        // what is there before decoding counts for nothing
        let mut found = vec![77; ranks.len()];
        model.code(&mut coder, *grid, &mut found, *negative, *positive, *tuning);
        assert_eq!(&found, ranks, "{grid:?} {tuning:?} {negative} {positive}");
    }
}

#[test]
fn independent_codes_cost_little_more_than_their_entropy() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let grid = Grid { rows: 300, columns: 400 };
    let density: f64 = 0.08;
    let values = 15usize;
    let codes: Vec<u16> =
        (0..grid.positions()).map(|_| if rng.random_bool(density) { rng.random_range(1..=values) as u16 } else { 0 }).collect();
    let mask = -(density * density.log2() + (1.0 - density) * (1.0 - density).log2());
    let ideal = grid.positions() as f64 * (mask + density * (values as f64).log2()) / 8.0;
    let mut ranks: Vec<i32> = codes.iter().map(|c| i32::from(*c) - if *c > 7 || *c == 0 { 0 } else { 15 }).collect();
    ranks.iter_mut().filter(|r| **r > 0).for_each(|r| *r -= 7);
    ranks.iter_mut().filter(|r| **r < 0).for_each(|r| *r += 7);
    let mut cost = Cost::default();
    MixedModel::new().code(&mut cost, grid, &mut ranks, 7, 8, Tuning { period: 0, transposed: false });
    let mixed = cost.bits / 8.0;
    assert!(mixed < ideal * 1.03 && mixed > ideal * 0.97, "mixed {mixed}, ideal {ideal}");
    let quick = fast::encode(&codes, values).len() as f64;
    assert!(quick < ideal * 1.05 && quick > ideal * 0.97, "fast {quick}, ideal {ideal}");
}

/// What a mixed model must find by itself: columns that are empty, and rows that are alike.
#[test]
fn mixed_is_smaller_where_columns_differ() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let grid = Grid { rows: 200, columns: 300 };
    let shares: Vec<f64> = (0..grid.columns).map(|_| rng.random_range(0.0f64..1.0).powi(4)).collect();
    let ranks: Vec<i32> = (0..grid.positions()).map(|i| i32::from(rng.random_bool(shares[i % grid.columns]))).collect();
    let all = shares.iter().sum::<f64>() / grid.columns as f64;
    let entropy = |p: f64| if p <= 0.0 || p >= 1.0 { 0.0 } else { -(p * p.log2() + (1.0 - p) * (1.0 - p).log2()) };
    let (known, flat) = (shares.iter().map(|p| entropy(*p)).sum::<f64>() * grid.rows as f64, entropy(all) * grid.positions() as f64);
    let mut cost = Cost::default();
    MixedModel::new().code(&mut cost, grid, &mut ranks.clone(), 0, 1, Tuning { period: 0, transposed: false });
    assert!(cost.bits < known + (flat - known) * 0.25, "{} bits, columns known {known}, unknown {flat}", cost.bits);
}

/// The least sum of weighted lengths, by the textbook: join the two smallest again and again, and add what was joined.
fn optimum(counts: &[u64]) -> u64 {
    let mut left: Vec<u64> = counts.iter().copied().filter(|c| *c > 0).collect();
    if left.len() == 1 {
        return left[0];
    }
    let mut total = 0;
    while left.len() > 1 {
        left.sort_unstable_by(|a, b| b.cmp(a));
        let joined = left.pop().unwrap() + left.pop().unwrap();
        total += joined;
        left.push(joined);
    }
    total
}

#[test]
fn huffman_lengths_are_optimal_and_fill_the_code() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for size in 1..200 {
        let spread = rng.random_range(1..12);
        let counts: Vec<u64> = (0..size).map(|_| if rng.random_bool(0.2) { 0 } else { 1u64 << rng.random_range(0..spread) }).collect();
        let lengths = huffman::lengths(&counts);
        let used = lengths.iter().filter(|l| **l > 0).count();
        assert_eq!(used, counts.iter().filter(|c| **c > 0).count());
        let cost: u64 = counts.iter().zip(&lengths).map(|(c, l)| c * u64::from(*l)).sum();
        assert_eq!(cost, optimum(&counts), "{counts:?}");
        if used > 1 {
            let kraft: f64 = lengths.iter().filter(|l| **l > 0).map(|l| 0.5f64.powi(*l as i32)).sum();
            assert_eq!(kraft, 1.0, "{lengths:?}");
        }
    }
    // Fibonacci numbers make the longest codes, which are cut to 32 bits and still decode
    let mut counts = vec![1u64, 1];
    (2..60).for_each(|i| counts.push(counts[i - 1] + counts[i - 2]));
    let lengths = huffman::lengths(&counts);
    assert!(lengths.iter().all(|l| (1..=32).contains(l)));
    assert!(lengths.iter().map(|l| 0.5f64.powi(*l as i32)).sum::<f64>() <= 1.0);
}

#[test]
fn relative_indices_are_those_of_the_paper() {
    // Figure 2: gaps of 3 bits; a filler where nine zeros do not fit
    let mut codes = vec![0u16; 17];
    codes[1] = 34;
    codes[4] = 9;
    codes[15] = 17;
    assert_eq!(huffman::entries(&codes, 3), (vec![1, 2, 7, 2], vec![34, 9, 0, 17]));
}

#[test]
fn damaged_bytes_end_in_codes_or_in_nothing() {
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    for length in 0..300 {
        let bytes: Vec<u8> = (0..length).map(|_| rng.random_range(0..=255)).collect();
        for found in [huffman::decode(&bytes, 500, 15), fast::decode(&bytes, 500, 15)].into_iter().flatten() {
            assert!(found.len() == 500 && found.iter().all(|c| *c <= 15));
        }
    }
}
