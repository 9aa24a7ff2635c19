use super::*;
use crate::model::Activation;
use rand::RngExt;

const INITS: [CodebookInit; 3] = [CodebookInit::Linear, CodebookInit::Density, CodebookInit::Random];

fn network(rows: usize, data: Vec<f32>) -> Dense {
    let weights = Matrix { rows, columns: data.len() / rows, data };
    Dense { layers: vec![DenseLayer { name: "a".into(), weights, bias: vec![0.25; rows], activation: Activation::Relu, conv: None }] }
}

fn codebook(bits: usize, init: CodebookInit) -> Quantization {
    Quantization { form: WeightForm::Codebook, bits, init, iterations: 300, seed: 1 }
}

fn fixed_point(bits: usize) -> Quantization {
    Quantization { form: WeightForm::Direct, bits, ..codebook(4, CodebookInit::Linear) }
}

fn one(dense: &Dense, how: &Quantization) -> (QuantizedLayer, LayerReport) {
    let (mut layers, mut reports) = quantize(dense, how).unwrap();
    (layers.remove(0), reports.remove(0))
}

fn sparse_weights(seed: u64, count: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| if rng.random_bool(0.7) { 0.0 } else { rng.random_range(-1.0f32..1.0).powi(3) + 1e-3 }).collect()
}

#[test]
fn a_codebook_keeps_every_nonzero_and_no_zero() {
    for seed in 0..20 {
        let dense = network(20, sparse_weights(seed, 600));
        for (bits, init) in [2, 3, 4, 8].into_iter().flat_map(|b| INITS.map(|i| (b, i))) {
            let (layer, report) = one(&dense, &codebook(bits, init));
            let table = layer.codebook.as_ref().unwrap();
            assert_eq!((table.len(), table[0]), (1 << bits, 0));
            assert_eq!((layer.nonzeros(), report.nonzeros, report.clipped), (dense.layers[0].weights.nonzeros(), report.before, 0));
            for (column, nonzeros) in layer.columns.iter().enumerate() {
                assert!(nonzeros.windows(2).all(|n| n[0].row < n[1].row));
                for n in nonzeros {
                    assert!((1..1 << bits).contains(&n.weight));
                    assert_ne!(dense.layers[0].weights.row(n.row as usize)[column], 0.0);
                }
            }
            assert!(report.shared_weights < 1 << bits, "seed {seed}");
            assert_eq!((layer.bias[0], layer.activation), (0.25, Activation::Relu));
        }
    }
}

#[test]
fn the_report_is_the_error_of_the_dequantized_network() {
    let dense = network(20, sparse_weights(3, 600));
    for how in [codebook(3, CodebookInit::Linear), codebook(8, CodebookInit::Density), fixed_point(4), fixed_point(9)] {
        let (layer, report) = one(&dense, &how);
        let back = dequantize(&[layer]);
        assert_eq!((&back.layers[0].name, &back.layers[0].bias), (&dense.layers[0].name, &dense.layers[0].bias));
        let pairs = || dense.layers[0].weights.data.iter().zip(&back.layers[0].weights.data).filter(|(w, _)| **w != 0.0);
        let square: f64 = pairs().map(|(w, q)| (f64::from(*w) - f64::from(*q)).powi(2)).sum();
        let largest = pairs().map(|(w, q)| (f64::from(*w) - f64::from(*q)).abs()).fold(0.0, f64::max);
        assert!((square / report.before as f64 - report.mse).abs() < 1e-15);
        assert_eq!(largest, report.max_error);
        assert_eq!(report.nonzeros, back.layers[0].weights.nonzeros());
    }
}

#[test]
fn more_bits_never_cost_error() {
    let dense = network(20, sparse_weights(5, 2000));
    for init in INITS {
        let errors: Vec<f64> = (2..=8).map(|bits| one(&dense, &codebook(bits, init)).1.mse).collect();
        assert!(errors.windows(2).all(|e| e[1] < e[0]), "{init:?} {errors:?}");
    }
    let errors: Vec<f64> = (2..=16).map(|bits| one(&dense, &fixed_point(bits)).1.mse).collect();
    assert!(errors.windows(2).all(|e| e[1] < e[0]), "{errors:?}");
}

#[test]
fn a_centroid_that_rounds_to_zero_keeps_its_code() {
    let dense = network(1, vec![0.0, 1e-9, 1000.0, -1000.0]);
    let (layer, report) = one(&dense, &codebook(2, CodebookInit::Linear));
    let table = layer.codebook.clone().unwrap();
    assert_eq!((table[0], table[2]), (0, 0));
    assert_eq!(layer.columns[1], [Nonzero { row: 0, weight: 2 }]);
    assert_eq!((layer.weight_fraction, report.nonzeros, report.shared_weights), (5, 3, 3));
}

#[test]
fn values_that_16_bits_hold_are_exact() {
    let dense = network(1, vec![0.5, -0.25, 0.0, 0.125, 0.5]);
    for how in [codebook(2, CodebookInit::Random), codebook(8, CodebookInit::Linear), fixed_point(16), fixed_point(4)] {
        let (layer, report) = one(&dense, &how);
        assert_eq!((report.mse, report.max_error, report.signal_to_noise()), (0.0, 0.0, f64::INFINITY));
        assert_eq!(dequantize(&[layer]), dense);
    }
}

#[test]
fn direct_weights_take_the_fraction_of_least_error() {
    for seed in 0..20 {
        let dense = network(10, sparse_weights(seed, 500));
        for bits in [2, 3, 4, 8, 12, 16] {
            let (layer, report) = one(&dense, &fixed_point(bits));
            let (low, high) = fixed::limits(bits);
            assert!(layer.columns.iter().flatten().all(|n| n.weight != 0 && (low..=high).contains(&i64::from(n.weight))));
            let error = |fraction: i32| {
                let weights = dense.layers[0].weights.data.iter().filter(|w| **w != 0.0).map(|w| f64::from(*w));
                weights.map(|w| (w - fixed::dequantize(fixed::quantize(w, bits, fraction), fraction)).powi(2)).sum::<f64>()
            };
            let best = (-MAX_FRACTION..=MAX_FRACTION).map(error).fold(f64::INFINITY, f64::min);
            assert!(error(layer.weight_fraction) <= best, "seed {seed} bits {bits}");
            assert!((report.mse * report.before as f64 - best).abs() < 1e-12);
        }
    }
}

#[test]
fn clipping_one_outlier_is_worth_it_and_reported() {
    let mut data = [0.05, -0.06, 0.07, -0.045].repeat(500);
    data.push(1.0);
    let (_, report) = one(&network(1, data), &fixed_point(3));
    assert_eq!(report.clipped, 1);
    assert!(report.weight_fraction > 2 && report.max_error > 0.5);
}

#[test]
fn direct_weights_that_round_to_zero_are_dropped() {
    let (layer, report) = one(&network(1, vec![1.0, 0.001, -0.001, 0.75]), &fixed_point(4));
    assert_eq!((report.before, report.nonzeros, layer.nonzeros()), (4, 2, 2));
}

#[test]
fn a_layer_of_zeros_is_stored_as_nothing() {
    let dense = network(2, vec![0.0, -0.0, 0.0, 0.0]);
    for how in [codebook(4, CodebookInit::Linear), fixed_point(8)] {
        let (layer, report) = one(&dense, &how);
        assert_eq!((layer.nonzeros(), layer.columns.len(), report.mse, report.before), (0, 2, 0.0, 0));
        assert_eq!(report.signal_to_noise(), f64::INFINITY);
    }
}

#[test]
fn the_seed_decides_random_codebooks_and_nothing_else() {
    let dense = network(20, sparse_weights(9, 3000));
    let seeded = |init, seed| one(&dense, &Quantization { seed, ..codebook(4, init) }).0;
    assert_eq!(seeded(CodebookInit::Random, 1), seeded(CodebookInit::Random, 1));
    assert_ne!(seeded(CodebookInit::Random, 1), seeded(CodebookInit::Random, 2));
    assert_eq!(seeded(CodebookInit::Linear, 1), seeded(CodebookInit::Linear, 2));
}

#[test]
fn wrong_widths_and_weights_are_refused() {
    let dense = network(2, vec![1.0, f32::NAN, 0.5, 0.5]);
    let error = |how: &Quantization| quantize(&dense, how).unwrap_err().to_string();
    assert_eq!(error(&codebook(9, CodebookInit::Linear)), "accelerator.weight_bits is 9, expected 2 to 8 for a codebook");
    assert_eq!(error(&fixed_point(1)), "accelerator.weight_bits is 1, expected 2 to 16 for direct weights");
    assert_eq!(error(&fixed_point(8)), "layer a: weight NaN at row 0, column 1, expected a finite number");
    for weight in [f32::MAX, f32::MIN_POSITIVE, -1e-45] {
        for how in [codebook(4, CodebookInit::Density), fixed_point(16)] {
            let (_, report) = one(&network(1, vec![weight, 0.5, 0.0]), &how);
            assert_eq!(report.clipped, usize::from(weight == f32::MAX));
        }
    }
}

#[test]
fn values_of_ones_own_go_to_the_nearest_centroid() {
    let values = [0.0, 1.0, 1.25, -4.0, 0.75, 0.0];
    let found = cluster(&values, 3, CodebookInit::Optimal, 0, 1);
    assert_eq!(found, Clusters { centroids: vec![-4.0, 0.0, 1.0], numbers: vec![1, 2, 2, 0, 2, 1], error: 0.125 });
    assert!(cluster(&[], 3, CodebookInit::Linear, 9, 1).centroids.is_empty());
}
