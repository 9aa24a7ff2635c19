//! The encoder: the paper's vectors, round trips, the choice of the run field's width.

use lacuna_compress::encode::{choose_run_bits, decode, encode, Interleave, RunProblem};
use lacuna_compress::model::{Activation, Nonzero, QuantizedLayer};
use lacuna_compress::spec::WeightForm;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn layer(rows: usize, columns: Vec<Vec<(u32, i32)>>) -> QuantizedLayer {
    let columns = columns.into_iter().map(|c| c.into_iter().map(|(row, weight)| Nonzero { row, weight }).collect()).collect();
    QuantizedLayer {
        name: "fc".into(),
        rows,
        columns,
        codebook: None,
        weight_fraction: 0,
        bias: vec![0.0; rows],
        activation: Activation::None,
        conv: None,
    }
}

fn plain(pes: usize, run_bits: usize) -> Interleave<'static> {
    Interleave { pes, weight_bits: 16, run_bits, row_order: None, column_order: None }
}

/// EIE Figure 2: a 16 x 8 matrix on four PEs. Only PE 0's rows (0, 4, 8, 12) matter for Figure 3.
#[test]
fn figure_3_of_the_paper() {
    let w = |row: u32, column: i32| (row, 100 * row as i32 + column + 1);
    let pe0: [&[u32]; 8] = [&[0, 8, 12], &[4], &[0, 12], &[], &[0, 4], &[0, 12], &[0], &[8, 12]];
    // rows of other PEs, from the figure's first columns, must not show
    let others: [&[u32]; 8] = [&[5, 9, 14], &[1], &[6, 11], &[2, 7], &[3], &[13], &[15], &[10]];
    let columns = (0..8)
        .map(|c| {
            let mut rows: Vec<u32> = pe0[c].iter().chain(others[c]).copied().collect();
            rows.sort_unstable();
            rows.into_iter().map(|r| w(r, c as i32)).collect()
        })
        .collect();
    let encoded = encode(&layer(16, columns), &plain(4, 4)).unwrap();
    let pe = &encoded.pes[0];
    let v: Vec<u32> = pe.entries.iter().map(|e| e.weight).collect();
    let named: [(u32, i32); 13] =
        [(0, 0), (8, 0), (12, 0), (4, 1), (0, 2), (12, 2), (0, 4), (4, 4), (0, 5), (12, 5), (0, 6), (8, 7), (12, 7)];
    assert_eq!(v, named.map(|(r, c)| w(r, c).1 as u32));
    let z: Vec<u32> = pe.entries.iter().map(|e| e.run).collect();
    assert_eq!(z, [0, 1, 0, 1, 0, 2, 0, 0, 0, 2, 0, 2, 0]);
    assert_eq!(pe.pointers, [0, 3, 4, 6, 6, 8, 10, 11, 13]);
}

/// EIE section III: the column [0, 0, 1, 2, 18 zeros, 3].
#[test]
fn run_longer_than_field_inserts_padding() {
    let encoded = encode(&layer(23, vec![vec![(2, 1), (3, 2), (22, 3)]]), &plain(1, 4)).unwrap();
    let pairs: Vec<(u32, u32)> = encoded.pes[0].entries.iter().map(|e| (e.weight, e.run)).collect();
    assert_eq!(pairs, [(1, 2), (2, 0), (0, 15), (3, 2)]);
    assert_eq!((encoded.padding, encoded.nonzeros), (1, 3));
}

#[test]
fn run_of_exactly_the_field_needs_no_padding_and_one_more_does() {
    for (row, expected) in [(15, vec![(7, 15)]), (16, vec![(0, 15), (7, 0)]), (32, vec![(0, 15), (0, 15), (7, 0)])] {
        let encoded = encode(&layer(40, vec![vec![(row, 7)]]), &plain(1, 4)).unwrap();
        let pairs: Vec<(u32, u32)> = encoded.pes[0].entries.iter().map(|e| (e.weight, e.run)).collect();
        assert_eq!(pairs, expected, "row {row}");
    }
}

fn random_layer(rng: &mut ChaCha8Rng, form: WeightForm, bits: usize) -> QuantizedLayer {
    let (rows, columns) = (rng.random_range(1..60), rng.random_range(1..20));
    let density = rng.random_range(0.0..0.7);
    let mut column = || {
        let mut out = vec![];
        for row in 0..rows as u32 {
            let weight = match form {
                WeightForm::Codebook => rng.random_range(1..1 << bits),
                WeightForm::Direct => rng.random_range(-(1 << (bits - 1))..1 << (bits - 1)),
            };
            if rng.random_bool(density) && weight != 0 {
                out.push((row, weight));
            }
        }
        out
    };
    let columns = (0..columns).map(|_| column()).collect();
    layer(rows, columns)
}

#[test]
fn decode_undoes_encode_for_random_layers() {
    for seed in 0..300 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let form = if seed % 2 == 0 { WeightForm::Codebook } else { WeightForm::Direct };
        let weight_bits = rng.random_range(2..=8);
        let layer = random_layer(&mut rng, form, weight_bits);
        let mut row_order: Vec<u32> = (0..layer.rows as u32).collect();
        let mut column_order: Vec<u32> = (0..layer.columns.len() as u32).collect();
        row_order.shuffle(&mut rng);
        column_order.shuffle(&mut rng);
        let permuted = seed % 3 == 0;
        let how = Interleave {
            pes: rng.random_range(1..=9),
            weight_bits,
            run_bits: rng.random_range(2..=8),
            row_order: permuted.then_some(&row_order),
            column_order: permuted.then_some(&column_order),
        };
        let encoded = encode(&layer, &how).unwrap();
        assert_eq!(decode(&encoded, form, weight_bits), layer.columns, "seed {seed}");
        let entries: usize = encoded.entries_per_pe().iter().sum();
        assert_eq!(entries, encoded.nonzeros + encoded.padding, "seed {seed}");
        assert!(encoded.imbalance() >= 1.0 - 1e-12, "seed {seed}");
    }
}

#[test]
fn run_choice_counts_what_the_encoder_does_and_takes_the_cheapest() {
    for seed in 0..40 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let layer = random_layer(&mut rng, WeightForm::Direct, 8);
        let pes = rng.random_range(1..=4);
        let problem = RunProblem {
            layers: std::slice::from_ref(&layer),
            pes,
            weight_bits: 8,
            row_orders: &[None],
            stored_columns: true,
            densities: &[0.5],
        };
        let choice = choose_run_bits(&problem, None).unwrap();
        for candidate in &choice.candidates {
            let encoded = encode(&layer, &plain(pes, candidate.run_bits)).unwrap();
            assert_eq!(candidate.padding, encoded.padding, "seed {seed}");
            assert_eq!(candidate.cycles, 0.5 * *encoded.entries_per_pe().iter().max().unwrap() as f64, "seed {seed}");
            assert_eq!(candidate.bits, (encoded.nonzeros + encoded.padding) * (8 + candidate.run_bits), "seed {seed}");
        }
        let chosen = choice.candidates.iter().find(|c| c.run_bits == choice.run_bits).unwrap();
        assert!(choice.candidates.iter().all(|c| (chosen.cycles, chosen.bits) <= (c.cycles, c.bits)), "seed {seed}");
    }
}

#[test]
fn a_fixed_width_is_kept_and_the_reason_names_the_cheapest() {
    let layer = layer(40, vec![vec![(39, 7)]]);
    let problem = RunProblem { layers: &[layer], pes: 1, weight_bits: 4, row_orders: &[None], stored_columns: true, densities: &[1.0] };
    let choice = choose_run_bits(&problem, Some(4)).unwrap();
    assert_eq!(choice.run_bits, 4);
    assert_eq!(
        choice.reason,
        "4 bits as configured: 3 expected cycles, 2 padding entries, 24 bits; the cheapest width is 6 bits: 1 expected cycles, 0 padding entries, 10 bits"
    );
    let auto = choose_run_bits(&problem, None).unwrap();
    assert_eq!(
        auto.reason,
        "6 bits cost the fewest cycles, the fewest bits of 3 widths with that many cycles: 1 expected cycles, 0 padding entries, 10 bits"
    );
}

#[test]
fn malformed_layers_are_refused_with_their_name() {
    let fault = |l: &QuantizedLayer, how: &Interleave| encode(l, how).unwrap_err().to_string();
    assert_eq!(fault(&layer(3, vec![vec![(3, 1)]]), &plain(1, 4)), "layer fc: the rows of column 0 are not ascending numbers below 3");
    assert_eq!(fault(&layer(3, vec![vec![(1, 0)]]), &plain(1, 4)), "layer fc: column 0, row 1: weight 0 is stored, it marks padding");
    assert_eq!(fault(&layer(0, vec![vec![]]), &plain(1, 4)), "layer fc: it has 0 rows and 1 columns, both must be at least 1");
    let how = Interleave { row_order: Some(&[0, 0, 1]), ..plain(1, 4) };
    assert_eq!(fault(&layer(3, vec![vec![]]), &how), "layer fc: row order: 0 occurs twice");
}
