//! Recurrent networks in floating point, drawn from a seed.

use lacuna_compress::model::{Activation, Candidate, DenseLayer, LstmLayer, Matrix, Recurrent};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

fn vector(rng: &mut ChaCha8Rng, count: usize, scale: f32) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(-scale..scale)).collect()
}

/// Of a sum of weights times values up to 1 the standard deviation is `scale` at most.
fn matrix(rng: &mut ChaCha8Rng, rows: usize, columns: usize, scale: f32) -> Matrix {
    let scale = scale * (3.0 / columns as f32).sqrt();
    let data = (0..rows * columns).map(|_| if rng.random_bool(0.3) { 0.0 } else { rng.random_range(-scale..scale) }).collect();
    Matrix { rows, columns, data }
}

/// LSTM layers by cells and results of the projection, behind them fully connected ones by rows.
pub fn network(rng: &mut ChaCha8Rng, inputs: usize, lstm: &[(usize, Option<usize>)], layers: &[usize], peepholes: bool) -> Recurrent {
    let mut columns = inputs;
    let mut out = Recurrent { lstm: vec![], layers: vec![], reverse: false };
    for (number, (cells, projection)) in lstm.iter().enumerate() {
        let hidden = projection.unwrap_or(*cells);
        out.lstm.push(LstmLayer {
            name: format!("lstm{number}"),
            input_weights: std::array::from_fn(|_| matrix(rng, *cells, columns, 1.0)),
            hidden_weights: std::array::from_fn(|_| matrix(rng, *cells, hidden, 0.7)),
            bias: std::array::from_fn(|_| vector(rng, *cells, 0.5)),
            peepholes: peepholes.then(|| std::array::from_fn(|_| vector(rng, *cells, 0.5))),
            projection: projection.map(|rows| matrix(rng, rows, *cells, 1.0)),
            candidate: if rng.random_bool(0.7) { Candidate::Tanh } else { Candidate::Sigmoid },
        });
        columns = hidden;
    }
    for (number, rows) in layers.iter().enumerate() {
        let activation = if number + 1 < layers.len() { Activation::Relu } else { Activation::None };
        let weights = matrix(rng, *rows, columns, 1.0);
        out.layers.push(DenseLayer { name: format!("fc{number}"), weights, bias: vector(rng, *rows, 0.5), activation, conv: None });
        columns = *rows;
    }
    out
}

/// At `[sequence][step]`.
pub fn sequences(rng: &mut ChaCha8Rng, inputs: usize, count: usize, steps: usize) -> Vec<Vec<Vec<f32>>> {
    (0..count).map(|_| (0..steps).map(|_| vector(rng, inputs, 2.0)).collect()).collect()
}
