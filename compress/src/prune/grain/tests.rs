use super::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CONV: Conv = Conv { channels: 3, height: 9, width: 9, kernel: [5, 5], stride: 1, pool: 1 };

/// Weights of which none is zero; few different magnitudes if `coarse`.
fn matrix(seed: u64, rows: usize, columns: usize, coarse: bool) -> Matrix {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let steps = if coarse { 4.0 } else { 1e6 };
    let data = (0..rows * columns).map(|_| (rng.random_range(0.1f32..1.0) * steps).ceil() / steps * if rng.random() { 1.0 } else { -1.0 });
    Matrix { rows, columns, data: data.collect() }
}

fn keep(weights: &Matrix, conv: Option<Conv>, grain: Grain, density: f64) -> Mask {
    let mask = mask(weights, conv, &grain, density).unwrap();
    assert_eq!((mask.rows, mask.columns, mask.keep.len()), (weights.rows, weights.columns, weights.data.len()));
    mask
}

fn round(share: f64, count: usize) -> usize {
    (share * count as f64).round() as usize
}

/// The mask of grains that are given as lists of places, by sorting them.
fn by_sorting(weights: &Matrix, grains: &[Vec<usize>], count: usize) -> Vec<bool> {
    let longest = grains.iter().map(Vec::len).max().unwrap() as f64;
    let sum = |g: &Vec<usize>| g.iter().map(|i| f64::from(weights.data[*i].abs())).sum::<f64>() * (longest / g.len() as f64);
    let mut order: Vec<usize> = (0..grains.len()).collect();
    order.sort_by(|a, b| sum(&grains[*b]).total_cmp(&sum(&grains[*a])));
    let mut kept = vec![false; weights.data.len()];
    order[..count].iter().flat_map(|g| &grains[*g]).for_each(|i| kept[*i] = true);
    kept
}

/// Places of the grains of a convolution, from its own axes.
fn grains_of_conv(rows: usize, conv: Conv, kernel: bool) -> Vec<Vec<usize>> {
    let [height, width] = conv.kernel;
    let at = |f: usize, c: usize, y: usize, x: usize| ((f * conv.channels + c) * height + y) * width + x;
    let mut grains = vec![];
    for (f, c) in (0..rows).flat_map(|f| (0..conv.channels).map(move |c| (f, c))) {
        let lines = (0..height).map(|y| (0..width).map(|x| at(f, c, y, x)).collect::<Vec<_>>());
        if kernel {
            grains.push(lines.flatten().collect());
        } else {
            grains.extend(lines.flat_map(|l| l.chunks(3).map(<[usize]>::to_vec).collect::<Vec<_>>()));
        }
    }
    grains
}

#[test]
fn grains_stay_by_the_sum_of_their_magnitudes() {
    for seed in 0..12 {
        let coarse = seed % 2 == 0;
        let conv = matrix(seed, 8, CONV.patch(), coarse);
        let full = matrix(seed, 7, 22, coarse);
        let chunked = |length: usize| -> Vec<Vec<usize>> {
            let rows = (0..7).map(|r| (r * 22..(r + 1) * 22).collect::<Vec<usize>>());
            rows.flat_map(|row| row.chunks(length).map(<[usize]>::to_vec).collect::<Vec<_>>()).collect()
        };
        let cases = [
            (&full, None::<Conv>, Grain::Weight, chunked(1)),
            (&full, None, Grain::Vector { length: 4 }, chunked(4)),
            (&full, None, Grain::Filter, chunked(22)),
            (&conv, Some(CONV), Grain::Weight, (0..conv.data.len()).map(|i| vec![i]).collect()),
            (&conv, Some(CONV), Grain::Vector { length: 3 }, grains_of_conv(8, CONV, false)),
            (&conv, Some(CONV), Grain::Kernel, grains_of_conv(8, CONV, true)),
            (&conv, Some(CONV), Grain::Filter, (0..8).map(|r| (r * 75..(r + 1) * 75).collect()).collect()),
        ];
        for (weights, conv, grain, grains) in cases {
            for density in [0.0, 0.13, 0.5, 0.77, 1.0] {
                let count = round(density, grains.len());
                let expected = by_sorting(weights, &grains, count);
                assert_eq!(keep(weights, conv, grain, density).keep, expected, "seed {seed}, {grain}, {density}");
            }
        }
    }
}

#[test]
fn every_group_keeps_its_n_largest() {
    for (seed, (n, m)) in [(1, 4), (2, 4), (4, 4), (3, 8), (5, 16)].into_iter().enumerate() {
        // 22 columns: the last group has fewer than m
        let weights = matrix(seed as u64, 9, 22, true);
        let mask = keep(&weights, None, Grain::NofM { n, m }, 0.3);
        for (w, k) in weights.data.chunks(22).zip(mask.keep.chunks(22)).flat_map(|(w, k)| w.chunks(m).zip(k.chunks(m))) {
            let mut order: Vec<usize> = (0..w.len()).collect();
            order.sort_by(|a, b| w[*b].abs().total_cmp(&w[*a].abs()));
            let kept: Vec<usize> = (0..w.len()).filter(|i| k[*i]).collect();
            let mut expected = order[..n.min(w.len())].to_vec();
            expected.sort_unstable();
            assert_eq!(kept, expected, "{n} of {m}");
        }
    }
}

#[test]
fn every_pe_and_every_bank_keeps_the_same_number_of_its_largest() {
    let parts_of = |weights: &Matrix, part_of: &dyn Fn(usize, usize) -> usize, parts: usize| -> Vec<Vec<usize>> {
        let mut places = vec![vec![]; parts];
        (0..weights.data.len()).for_each(|i| places[part_of(i / weights.columns, i % weights.columns)].push(i));
        places
    };
    for seed in 0..10 {
        let weights = matrix(seed, 24, 30, seed % 2 == 0);
        for density in [0.0, 0.11, 0.4, 0.95, 1.0] {
            let balanced = |grain: Grain, parts: Vec<Vec<usize>>, count: usize| {
                let mask = keep(&weights, None, grain, density);
                for part in parts {
                    let (stay, go): (Vec<usize>, Vec<usize>) = part.into_iter().partition(|i| mask.keep[*i]);
                    assert_eq!(stay.len(), count, "seed {seed}, {grain}, {density}");
                    // of equal ones the earlier
                    let key = |i: &usize| (weights.data[*i].abs().to_bits(), std::cmp::Reverse(*i));
                    assert!(go.is_empty() || stay.iter().map(key).min() >= go.iter().map(key).max() || stay.is_empty());
                }
            };
            balanced(Grain::Balanced { pes: 8 }, parts_of(&weights, &|r, _| r % 8, 8), round(density, 90));
            balanced(Grain::BankBalanced { banks: 5 }, parts_of(&weights, &|r, c| r * 5 + c / 6, 24 * 5), round(density, 6));
        }
    }
    // more PEs than rows; banks of 2 and 3 weights, of which an average one keeps 1.25
    let weights = matrix(1, 3, 10, false);
    assert_eq!(keep(&weights, None, Grain::Balanced { pes: 16 }, 0.5).kept(), 15);
    let mask = keep(&weights, None, Grain::BankBalanced { banks: 4 }, 0.5);
    assert!(mask.keep.chunks(10).all(|row| [0..2, 2..5, 5..7, 7..10].into_iter().all(|b| row[b].iter().filter(|k| **k).count() == 1)));
}

#[test]
fn a_lower_density_keeps_a_part_of_what_a_higher_one_keeps() {
    let weights = matrix(5, 12, CONV.patch(), true);
    let grains = [
        Grain::Weight,
        Grain::Vector { length: 5 },
        Grain::Vector { length: 2 },
        Grain::Kernel,
        Grain::Filter,
        Grain::Balanced { pes: 4 },
        Grain::BankBalanced { banks: 5 },
    ];
    for grain in grains {
        let mut last = keep(&weights, Some(CONV), grain, 1.0);
        assert_eq!(last.kept(), weights.data.len());
        for density in [0.8, 0.5, 0.31, 0.3, 0.1, 0.02, 0.0] {
            let next = keep(&weights, Some(CONV), grain, density);
            assert!(next.keep.iter().zip(&last.keep).all(|(next, last)| *last || !*next), "{grain}, {density}");
            last = next;
        }
        assert_eq!(last.kept(), 0);
    }
    let of = |n: usize| keep(&weights, Some(CONV), Grain::NofM { n, m: 8 }, 1.0).keep;
    assert!((1..8).all(|n| of(n).iter().zip(of(n + 1)).all(|(fewer, more)| more || !*fewer)));
}

#[test]
fn scores_decide_instead_of_magnitudes() {
    let weights = matrix(6, 4, 16, false);
    let magnitudes: Vec<f32> = weights.data.iter().map(|w| w.abs()).collect();
    let negated: Vec<f32> = magnitudes.iter().map(|w| -w).collect();
    for grain in [Grain::Weight, Grain::Vector { length: 4 }, Grain::Balanced { pes: 2 }, Grain::BankBalanced { banks: 4 }] {
        let same = mask_by(&magnitudes, 16, None, &grain, 0.25).unwrap();
        assert_eq!(same, keep(&weights, None, grain, 0.25));
        // what has the highest of the negated scores are the smallest weights
        let most = mask_by(&negated, 16, None, &grain, 0.75).unwrap();
        assert!(most.keep.iter().zip(&same.keep).all(|(a, b)| a != b), "{grain}");
    }
    assert_eq!(mask_by(&[-0.0, 0.0, 1.0, f32::NAN], 4, None, &Grain::Weight, 0.75).unwrap().keep, [true, false, true, true]);
}

#[test]
fn wrong_grains_and_densities_are_refused() {
    let weights = matrix(7, 4, 16, false);
    let error = |grain: Grain, conv: Option<Conv>, density: f64| mask(&weights, conv, &grain, density).unwrap_err().to_string();
    assert_eq!(error(Grain::Weight, None, 1.5), "density is 1.5, expected 0 to 1");
    assert_eq!(error(Grain::Vector { length: 0 }, None, 0.5), "grain is a vector of 0, expected at least 1");
    assert_eq!(error(Grain::NofM { n: 5, m: 4 }, None, 0.5), "grain is 5 of 4, expected 1 of 1 or more, at most all");
    assert_eq!(error(Grain::NofM { n: 0, m: 4 }, None, 0.5), "grain is 0 of 4, expected 1 of 1 or more, at most all");
    assert_eq!(error(Grain::Balanced { pes: 257 }, None, 0.5), "grain is balanced over 257 PEs, expected 1 to 256");
    assert_eq!(error(Grain::BankBalanced { banks: 0 }, None, 0.5), "grain is balanced over 0 banks, expected at least 1");
    assert_eq!(
        error(Grain::BankBalanced { banks: 17 }, None, 0.5),
        "grain is balanced over 17 banks, expected at most the 16 weights of a row"
    );
    assert_eq!(error(Grain::Kernel, None, 0.5), "grain is a kernel, expected another: the layer is fully connected");
    assert_eq!(error(Grain::Kernel, Some(CONV), 0.5), "a row has 16 weights, expected 75 as the filters have");
}

#[test]
fn grains_are_written_as_the_example_says() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Layer {
        grain: Grain,
    }
    for (text, grain) in [
        ("\"weight\"", Grain::Weight),
        ("{ vector = 4 }", Grain::Vector { length: 4 }),
        ("\"kernel\"", Grain::Kernel),
        ("\"filter\"", Grain::Filter),
        ("{ n-of-m = [2, 4] }", Grain::NofM { n: 2, m: 4 }),
        ("{ balanced = 8 }", Grain::Balanced { pes: 8 }),
        ("{ bank-balanced = 4 }", Grain::BankBalanced { banks: 4 }),
    ] {
        let layer: Layer = toml::from_str(&format!("grain = {text}")).unwrap();
        assert_eq!(layer, Layer { grain });
        assert_eq!(toml::from_str::<Layer>(&toml::to_string(&layer).unwrap()).unwrap(), layer);
    }
    assert!(toml::from_str::<Layer>("grain = { vector = -1 }").is_err());
}
