//! A recurrent network of random weights: normal, each row with a scale of its own (log-normal, sigma 0.5), as rows of
//! trained networks have. Without differing rows, plain magnitude pruning would be balanced by chance.

use super::infer::{LstmRanges, RecurrentRanges};
use crate::compile::Range;
use crate::model::{Candidate, LstmLayer, Matrix, Recurrent};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Spread of the logarithm of the rows' scales.
const SIGMA: f64 = 0.5;

/// One LSTM layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub inputs: usize,
    pub cells: usize,
    /// Values of h.
    pub projection: Option<usize>,
    pub peepholes: bool,
}

impl Shape {
    /// ESE's: 153 inputs, 1,024 cells, 512 values of h, peepholes.
    pub const ESE: Shape = Shape { inputs: 153, cells: 1024, projection: Some(512), peepholes: true };
}

struct Normal(ChaCha8Rng);

impl Normal {
    /// Box and Muller's, one of each pair.
    fn next(&mut self) -> f64 {
        let (u, v): (f64, f64) = (self.0.random(), self.0.random());
        (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
    fn matrix(&mut self, rows: usize, columns: usize, scale: f64) -> Matrix {
        let mut data = Vec::with_capacity(rows * columns);
        for _ in 0..rows {
            let scale = scale * (SIGMA * self.next()).exp();
            data.extend((0..columns).map(|_| (scale * self.next()) as f32));
        }
        Matrix { rows, columns, data }
    }
    fn vector(&mut self, count: usize, scale: f64) -> Vec<f32> {
        (0..count).map(|_| (scale * self.next()) as f32).collect()
    }
}

/// A network of one layer; the same for the same seed. Weights are not pruned.
pub fn synthetic(shape: &Shape, seed: u64) -> Recurrent {
    let mut normal = Normal(ChaCha8Rng::seed_from_u64(seed));
    let (cells, hidden) = (shape.cells, shape.projection.unwrap_or(shape.cells));
    let scale = |columns: usize| 1.0 / (columns.max(1) as f64).sqrt();
    let layer = LstmLayer {
        name: "lstm".into(),
        input_weights: std::array::from_fn(|_| normal.matrix(cells, shape.inputs, scale(shape.inputs))),
        hidden_weights: std::array::from_fn(|_| normal.matrix(cells, hidden, scale(hidden))),
        bias: std::array::from_fn(|_| normal.vector(cells, 0.5)),
        peepholes: shape.peepholes.then(|| std::array::from_fn(|_| normal.vector(cells, 0.2))),
        projection: shape.projection.map(|rows| normal.matrix(rows, cells, scale(cells))),
        candidate: Candidate::Tanh,
    };
    Recurrent { lstm: vec![layer], layers: vec![], reverse: false }
}

/// Ranges for inputs of a standard normal distribution. Values beyond them saturate, as they do in the hardware.
pub fn synthetic_ranges(network: &Recurrent) -> RecurrentRanges {
    let even = |high: f64| Range { low: -high, high };
    let norm = |row: &[f32]| row.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>().sqrt();
    // m is rarely beyond 1/2, and a sum of many is normal: four times its deviation
    let largest = |m: &Matrix| (0..m.rows).map(|r| 2.0 * norm(m.row(r))).fold(1.0, f64::max);
    let lstm =
        network.lstm.iter().map(|layer| LstmRanges { cell: even(8.0), hidden: even(layer.projection.as_ref().map_or(1.0, largest)) });
    let layers = network.layers.iter().map(|l| even(4.0 * largest(&l.weights)));
    RecurrentRanges { input: even(5.0), lstm: lstm.collect(), layers: layers.collect() }
}
