//! The golden model of compiled recurrent networks against floating point: every c, h and output.

use crate::common::float;
use lacuna_compress::model::{Candidate, LstmLayer, Matrix};
use lacuna_compress::recurrent::{compile_recurrent, CompiledRecurrent, RecurrentSettings};
use lacuna_compress::spec::lut::{OUTPUT_FRACTION, SIGMOID_FRACTION, TANH_FRACTION};
use lacuna_compress::spec::WeightForm;
use lacuna_sim::golden::Recurrent;
use lacuna_sim::reference::{CellTrace, LstmReference};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn unit(fraction: i32) -> f64 {
    2f64.powi(-fraction)
}

/// What the real network's biases and peepholes may be off, as it holds them in 24 bits, and the reference's sums.
const FLOAT: f64 = 1e-6;
/// What tanh and sigmoid by the table may be off.
const TABLE: f64 = 1.0 / (1 << OUTPUT_FRACTION) as f64;

/// What a product's sums may be off, if the values that it takes are off by `errors`.
fn spread(weights: &Matrix, errors: &[f64]) -> Vec<f64> {
    (0..weights.rows).map(|row| weights.row(row).iter().zip(errors).map(|(w, e)| f64::from(w.abs()) * e).sum()).collect()
}

/// What c and h of a layer may be off at most in a step.
struct Bound {
    h: Vec<f64>,
    c: Vec<f64>,
}

impl Bound {
    /// From those of the step before, of the layer's input, and the real values. It holds while nothing saturates.
    fn step(&mut self, layer: &LstmLayer, exact: &CellTrace, before: &[f64], of_x: &[f64], cell_fraction: i32, hidden_fraction: i32) {
        let from_x = layer.input_weights.each_ref().map(|w| spread(w, of_x));
        let from_h = layer.hidden_weights.each_ref().map(|w| spread(w, &self.h));
        let mut m = vec![];
        for k in 0..layer.cells() {
            let peephole = |p: usize| layer.peepholes.as_ref().map_or(0.0, |all| f64::from(all[p][k].abs()));
            let tanh = layer.candidate == Candidate::Tanh;
            // the functions' arguments are rounded; their slopes are 1/4 and 1 at most
            let sigmoid_error = |z: f64| (z + 0.5 * unit(SIGMOID_FRACTION)) / 4.0 + TABLE;
            let tanh_error = |z: f64| z + 0.5 * unit(TANH_FRACTION) + TABLE;
            let z = |gate: usize| from_x[gate][k] + from_h[gate][k] + FLOAT;
            let (i, f) = (sigmoid_error(z(0) + peephole(0) * self.c[k]), sigmoid_error(z(1) + peephole(1) * self.c[k]));
            let g = if tanh { tanh_error(z(2)) } else { sigmoid_error(z(2)) };
            // |ab - AB| <= |A||b - B| + |B||a - A| + |a - A||b - B|
            let product = |a: f64, b: f64, of_a: f64, of_b: f64| a.abs() * of_b + b.abs() * of_a + of_a * of_b;
            let [real_i, real_f, real_g, real_o] = [0, 1, 2, 3].map(|gate| exact.gates[gate][k]);
            let sum = product(real_f, before[k], f, self.c[k]) + product(real_i, real_g, i, g);
            self.c[k] = sum + 0.5 * unit(cell_fraction);
            let o = sigmoid_error(z(3) + peephole(2) * self.c[k]);
            m.push(product(real_o, exact.c[k].tanh(), o, tanh_error(sum)));
        }
        self.h = match &layer.projection {
            None => m.iter().map(|m| m + 0.5 * unit(hidden_fraction)).collect(),
            Some(weights) => {
                // m has 15 fraction bits at most and, as |m| < 1, no less than 14
                let m: Vec<f64> = m.iter().map(|m| m + 0.5 * unit(14)).collect();
                spread(weights, &m).iter().map(|sum| sum + FLOAT + 0.5 * unit(hidden_fraction)).collect()
            }
        };
    }
}

fn draw(seed: u64, form: WeightForm, bits: usize) -> (CompiledRecurrent, Vec<Vec<f32>>) {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let lstm: Vec<(usize, Option<usize>)> = (0..1 + seed % 3)
        .map(|_| {
            let cells = rng.random_range(2..16);
            (cells, rng.random_bool(0.5).then(|| rng.random_range(1..=cells)))
        })
        .collect();
    let layers: Vec<usize> = (0..rng.random_range(0..=2)).map(|_| rng.random_range(1..8)).collect();
    let inputs = rng.random_range(1..12);
    let network = float::network(rng, inputs, &lstm, &layers, seed.is_multiple_of(2));
    let steps = float::sequences(rng, inputs, 1, 4);
    let settings = RecurrentSettings {
        pes: rng.random_range(1..=5),
        weights: form,
        weight_bits: bits,
        // what the network shows in other steps than those of the calibration
        margin_bits: 1,
        ..RecurrentSettings::default()
    };
    let compiled = compile_recurrent(&network, &settings, &steps).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    (compiled, steps.into_iter().next().unwrap())
}

/// Values that were compared, and of each the bound as a share of the largest value of its vector.
#[derive(Default)]
struct Compared {
    shares: Vec<f64>,
    peepholes: usize,
    projections: usize,
}

impl Compared {
    fn values(&mut self, what: &str, found: &[i16], fraction: i32, exact: &[f64], bounds: &[f64]) {
        assert_eq!((found.len(), bounds.len()), (exact.len(), exact.len()), "{what}");
        let size = exact.iter().fold(0f64, |most, v| most.max(v.abs()));
        for (index, ((found, exact), bound)) in found.iter().zip(exact).zip(bounds).enumerate() {
            let value = f64::from(*found) * unit(fraction);
            let error = (value - exact).abs();
            assert!(error <= *bound, "{what}[{index}]: {value} and {exact}, off by {error}, allowed {bound}");
            self.shares.push(bound / size);
        }
    }

    fn run(&mut self, name: &str, compiled: &CompiledRecurrent, steps: &[Vec<f32>]) {
        let (golden, reference) = (Recurrent::new(&compiled.model.image).unwrap(), LstmReference::new(&compiled.quantized));
        let (mut state, mut real) = (golden.state(), reference.state());
        let described = &compiled.model.network;
        let mut bounds: Vec<Bound> = described.lstm.iter().map(|l| Bound { h: vec![0.0; l.hidden], c: vec![0.0; l.cells] }).collect();
        for (t, step) in steps.iter().enumerate() {
            let input = compiled.model.quantize_input(step).unwrap();
            // both see the same input
            let seen: Vec<f32> = input.iter().map(|v| (f64::from(*v) * unit(described.input_fraction)) as f32).collect();
            let before = real.c.clone();
            let exact = reference.trace(&mut real, &seen);
            let trace = golden.step(&mut state, &input).unwrap();
            if trace.saturated() > 0 {
                return;
            }
            let mut of_x = vec![0.0; input.len()];
            for (number, (layer, l)) in compiled.quantized.lstm.iter().zip(&described.lstm).enumerate() {
                let bound = &mut bounds[number];
                bound.step(layer, &exact.lstm[number], &before[number], &of_x, l.cell_fraction, l.hidden_fraction);
                let what = |vector: &str| format!("{name}, step {t}, layer {number}, {vector}");
                let (h, c) = (&state.vectors[l.hidden_base..][..l.hidden], &state.cells[l.cell_base..][..l.cells]);
                self.values(&what("c"), c, l.cell_fraction, &exact.lstm[number].c, &bound.c);
                self.values(&what("h"), h, l.hidden_fraction, &exact.lstm[number].h, &bound.h);
                self.peepholes += usize::from(layer.peepholes.is_some());
                self.projections += usize::from(layer.projection.is_some());
                of_x.clone_from(&bound.h);
            }
            for (layer, l) in compiled.quantized.layers.iter().zip(&described.layers) {
                of_x = spread(&layer.weights, &of_x).iter().map(|sum| sum + FLOAT + 0.5 * unit(l.output_fraction)).collect();
            }
            self.values(&format!("{name}, step {t}, output"), &trace.output, described.output_fraction, exact.output(), &of_x);
        }
    }
}

#[test]
fn golden_follows_the_real_network_within_the_rounding_of_its_formats() {
    for (form, bits) in [(WeightForm::Direct, 12), (WeightForm::Direct, 16), (WeightForm::Codebook, 6)] {
        let mut compared = Compared::default();
        for seed in 0..90 {
            let (compiled, steps) = draw(seed, form, bits);
            compared.run(&format!("{form:?} of {bits} bits, seed {seed}"), &compiled, &steps);
        }
        compared.shares.sort_by(f64::total_cmp);
        let (values, median) = (compared.shares.len(), compared.shares[compared.shares.len() / 2]);
        println!("{form:?} of {bits} bits: {values} values, the median bound is {median} of the largest value");
        assert!(values > 5000 && compared.peepholes > 100 && compared.projections > 100);
        // a bound that allowed anything would say nothing
        assert!(median < 0.005, "{median}");
    }
}
