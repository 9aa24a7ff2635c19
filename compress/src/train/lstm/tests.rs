use super::layer::{Input, LstmVariables};
use super::sequence::LstmState;
use crate::model::{Candidate, LstmLayer};
use crate::train::slices::values;
use candle_core::{Device, Tensor, Var};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const STEPS: usize = 4;
const STREAMS: usize = 3;
const INPUTS: usize = 5;
const CELLS: usize = 6;

fn random(rng: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Every kind of layer, with biases that are not all alike.
fn layers() -> Vec<LstmVariables> {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut all = vec![];
    for (projection, peepholes, candidate) in
        [(None, false, Candidate::Tanh), (None, true, Candidate::Sigmoid), (Some(4), true, Candidate::Tanh)]
    {
        let mut layer = LstmVariables::new(INPUTS, CELLS, projection, peepholes, &mut rng).unwrap();
        layer.bias = Var::from_vec(random(&mut rng, 4 * CELLS), 4 * CELLS, &Device::Cpu).unwrap();
        layer.candidate = candidate;
        all.push(layer);
    }
    all
}

/// Inputs of every row, and a state to start from.
fn start(layer: &LstmVariables) -> (Tensor, LstmState) {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let x = Tensor::from_vec(random(&mut rng, STEPS * STREAMS * INPUTS), (STEPS * STREAMS, INPUTS), &Device::Cpu).unwrap();
    let state = LstmState { h: random(&mut rng, STREAMS * layer.outputs()), c: random(&mut rng, STREAMS * CELLS) };
    (x, state)
}

/// One stream by the equations of [`LstmLayer`], in double precision.
fn by_equations(layer: &LstmLayer, steps: &[Vec<f64>], h: &mut Vec<f64>, c: &mut [f64]) -> Vec<Vec<f64>> {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let mut all = vec![];
    for x in steps {
        let mut m = vec![0.0; layer.cells()];
        for k in 0..layer.cells() {
            let sum = |g: usize| {
                let dot = |row: &[f32], v: &[f64]| row.iter().zip(v).map(|(w, v)| f64::from(*w) * v).sum::<f64>();
                dot(layer.input_weights[g].row(k), x) + dot(layer.hidden_weights[g].row(k), h) + f64::from(layer.bias[g][k])
            };
            let peep = |g: usize| layer.peepholes.as_ref().map_or(0.0, |p| f64::from(p[g][k]));
            let (i, f) = (sigmoid(sum(0) + peep(0) * c[k]), sigmoid(sum(1) + peep(1) * c[k]));
            let g = match layer.candidate {
                Candidate::Tanh => sum(2).tanh(),
                Candidate::Sigmoid => sigmoid(sum(2)),
            };
            c[k] = f * c[k] + i * g;
            m[k] = sigmoid(sum(3) + peep(2) * c[k]) * c[k].tanh();
        }
        *h = match &layer.projection {
            Some(p) => (0..p.rows).map(|r| p.row(r).iter().zip(&m).map(|(w, v)| f64::from(*w) * v).sum()).collect(),
            None => m,
        };
        all.push(h.clone());
    }
    all
}

#[test]
fn a_sequence_is_that_of_the_equations() {
    for layer in layers() {
        let (x, mut state) = start(&layer);
        let model = layer.to_model("lstm").unwrap();
        let first = state.clone();
        let found = layer.forward(Input::Values(&x), STREAMS, &mut state).unwrap().to_vec2::<f32>().unwrap();
        let x = x.to_vec2::<f32>().unwrap();
        for stream in 0..STREAMS {
            let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
            let steps: Vec<Vec<f64>> = (0..STEPS).map(|t| wide(&x[t * STREAMS + stream])).collect();
            let hidden = layer.outputs();
            let mut h = wide(&first.h[stream * hidden..(stream + 1) * hidden]);
            let mut c = wide(&first.c[stream * CELLS..(stream + 1) * CELLS]);
            let expected = by_equations(&model, &steps, &mut h, &mut c);
            for (t, expected) in expected.iter().enumerate() {
                for (found, expected) in found[t * STREAMS + stream].iter().zip(expected) {
                    assert!((f64::from(*found) - expected).abs() < 1e-6, "stream {stream}, step {t}: {found} {expected}");
                }
            }
            assert!(state.c[stream * CELLS..].iter().zip(&c).all(|(found, expected)| (f64::from(*found) - expected).abs() < 1e-6));
            assert!(state.h[stream * hidden..].iter().zip(&h).all(|(found, expected)| (f64::from(*found) - expected).abs() < 1e-6));
        }
        let again = LstmVariables::from_model(&model).unwrap().to_model("lstm").unwrap();
        assert_eq!(again, model, "a layer goes to its variables and back");
    }
}

#[test]
fn gradients_are_those_of_small_differences() {
    for layer in layers() {
        let (x, state) = start(&layer);
        let x = Var::from_tensor(&x).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let rows = STEPS * STREAMS;
        let weight = Tensor::from_vec(random(&mut rng, rows * layer.outputs()), (rows, layer.outputs()), &Device::Cpu).unwrap();
        let loss = || {
            let out = layer.forward(Input::Values(&x), STREAMS, &mut state.clone()).unwrap();
            out.mul(&weight).unwrap().sum_all().unwrap()
        };
        let exact = || {
            // the sum in double precision, for differences that mean something
            let out = values(&layer.forward(Input::Values(&x), STREAMS, &mut state.clone()).unwrap()).unwrap();
            out.iter().zip(values(&weight).unwrap()).map(|(o, w)| f64::from(*o) * f64::from(w)).sum::<f64>()
        };
        let grads = loss().backward().unwrap();
        let vars = layer.named().into_iter().chain([("x", &x)]);
        for (name, var) in vars {
            let found = values(grads.get(var).unwrap()).unwrap();
            let before = values(var).unwrap();
            let set = |k: usize, value: f32| crate::train::slices::change(var, |v| v[k] = value).unwrap();
            for k in (0..before.len()).step_by(before.len().div_ceil(23)) {
                let step = 1e-2;
                set(k, before[k] + step);
                let more = exact();
                set(k, before[k] - step);
                let difference = (more - exact()) / f64::from(2.0 * step);
                set(k, before[k]);
                let error = (difference - f64::from(found[k])).abs();
                assert!(error < 2e-3 * (1.0 + difference.abs()), "{name} [{k}]: {} is not {difference}", found[k]);
            }
        }
    }
}

#[test]
fn a_symbol_is_a_row_of_the_input_matrix() {
    let layer = &layers()[0];
    let symbols: Vec<u32> = (0..STEPS * STREAMS).map(|k| (k * 7 % INPUTS) as u32).collect();
    let mut one_hot = vec![0.0f32; symbols.len() * INPUTS];
    symbols.iter().enumerate().for_each(|(row, s)| one_hot[row * INPUTS + *s as usize] = 1.0);
    let one_hot = Tensor::from_vec(one_hot, (symbols.len(), INPUTS), &Device::Cpu).unwrap();
    let symbols = Tensor::from_vec(symbols.clone(), symbols.len(), &Device::Cpu).unwrap();
    let run = |input| {
        let out = layer.forward(input, STREAMS, &mut layer.state(STREAMS)).unwrap();
        let grads = out.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        [values(&out).unwrap(), values(grads.get(&layer.input).unwrap()).unwrap()].concat()
    };
    let (looked_up, multiplied) = (run(Input::Symbols(&symbols)), run(Input::Values(&one_hot)));
    assert!(looked_up.iter().zip(&multiplied).all(|(a, b)| (a - b).abs() < 1e-5));
}
