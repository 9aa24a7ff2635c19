//! The ranges of all vectors: stated, or seen in a floating-point run over calibration sequences.

use crate::compile::Range;
use crate::error::Error;
use crate::model::{Activation, Candidate, DenseLayer, LstmLayer, Matrix, Recurrent};

/// Ranges in an LSTM layer. Those of m are -1 to 1, and so is h where there is no projection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LstmRanges {
    pub cell: Range,
    /// Of h; without effect where there is no projection.
    pub hidden: Range,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RecurrentRanges {
    pub input: Range,
    /// One per LSTM layer.
    pub lstm: Vec<LstmRanges>,
    /// Outputs of each fully connected layer, after its activation.
    pub layers: Vec<Range>,
}

/// Where the ranges come from.
#[derive(Clone, Copy, Debug)]
pub enum RecurrentCalibration<'a> {
    /// Sequences of steps in the order of time, each step one value per input.
    Sequences(&'a [Vec<Vec<f32>>]),
    /// The formats hold these ranges, without a margin.
    Ranges(&'a RecurrentRanges),
}

/// What calibration found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measured {
    /// 0 if ranges were stated.
    pub steps: usize,
    /// With the margin.
    pub ranges: RecurrentRanges,
}

pub(super) fn measure(network: &Recurrent, calibration: RecurrentCalibration, margin_bits: u32) -> Result<Measured, Error> {
    match calibration {
        RecurrentCalibration::Ranges(ranges) => {
            stated(network, ranges)?;
            Ok(Measured { steps: 0, ranges: ranges.clone() })
        }
        RecurrentCalibration::Sequences(sequences) => {
            let steps = check(network, sequences)?;
            let mut ranges = run(network, sequences);
            // what calibration did not show must fit too: saturated cells and logits are wrong for good
            let factor = 2f64.powi(margin_bits as i32);
            let widen = |r: &mut Range| *r = Range { low: r.low * factor, high: r.high * factor };
            for (range, layer) in ranges.lstm.iter_mut().zip(&network.lstm) {
                widen(&mut range.cell);
                if layer.projection.is_some() {
                    widen(&mut range.hidden);
                }
            }
            ranges.layers.iter_mut().for_each(widen);
            let invalid = all(&ranges).find(|r| !r.is_valid()).copied();
            match invalid {
                Some(bad) => Err(Error::Calibration(format!("the network's values reach from {} to {}", bad.low, bad.high))),
                None => Ok(Measured { steps, ranges }),
            }
        }
    }
}

fn all(ranges: &RecurrentRanges) -> impl Iterator<Item = &Range> {
    let lstm = ranges.lstm.iter().flat_map(|l| [&l.cell, &l.hidden]);
    std::iter::once(&ranges.input).chain(lstm).chain(&ranges.layers)
}

fn stated(network: &Recurrent, ranges: &RecurrentRanges) -> Result<(), Error> {
    let (found, expected) = ((ranges.lstm.len(), ranges.layers.len()), (network.lstm.len(), network.layers.len()));
    if found != expected {
        let text =
            format!("ranges of {} LSTM and {} other layers are given, the network has {} and {}", found.0, found.1, expected.0, expected.1);
        return Err(Error::Calibration(text));
    }
    match all(ranges).find(|r| !r.is_valid()) {
        Some(bad) => Err(Error::Calibration(format!("the range {} to {} is none", bad.low, bad.high))),
        None => Ok(()),
    }
}

/// Number of steps.
fn check(network: &Recurrent, sequences: &[Vec<Vec<f32>>]) -> Result<usize, Error> {
    let fault = |text: String| Err(Error::Calibration(text));
    for (s, sequence) in sequences.iter().enumerate() {
        for (t, step) in sequence.iter().enumerate() {
            if step.len() != network.inputs() {
                return fault(format!("step {t} of sequence {s} has {} values, the network {} inputs", step.len(), network.inputs()));
            }
            if let Some(at) = step.iter().position(|v| !v.is_finite()) {
                return fault(format!("value {at} of step {t} of sequence {s} is {}", step[at]));
            }
        }
    }
    match sequences.iter().map(Vec::len).sum() {
        0 => fault("there are no steps; formats need some sequences, or given ranges".into()),
        steps => Ok(steps),
    }
}

fn run(network: &Recurrent, sequences: &[Vec<Vec<f32>>]) -> RecurrentRanges {
    let empty = LstmRanges { cell: Range::EMPTY, hidden: Range::EMPTY };
    let mut ranges =
        RecurrentRanges { input: Range::EMPTY, lstm: vec![empty; network.lstm.len()], layers: vec![Range::EMPTY; network.layers.len()] };
    let see = |range: &mut Range, values: &[f64]| values.iter().for_each(|v| range.add(*v));
    for sequence in sequences {
        let mut states: Vec<State> = network.lstm.iter().map(State::new).collect();
        let order: Vec<&Vec<f32>> = if network.reverse { sequence.iter().rev().collect() } else { sequence.iter().collect() };
        for input in order {
            let mut vector: Vec<f64> = input.iter().map(|v| f64::from(*v)).collect();
            see(&mut ranges.input, &vector);
            for ((layer, state), range) in network.lstm.iter().zip(&mut states).zip(&mut ranges.lstm) {
                state.step(layer, &vector);
                see(&mut range.cell, &state.c);
                see(&mut range.hidden, &state.h);
                vector.clone_from(&state.h);
            }
            for (layer, range) in network.layers.iter().zip(&mut ranges.layers) {
                vector = rows(layer, &vector);
                see(range, &vector);
            }
        }
    }
    ranges
}

struct State {
    c: Vec<f64>,
    h: Vec<f64>,
}

impl State {
    fn new(layer: &LstmLayer) -> State {
        State { c: vec![0.0; layer.cells()], h: vec![0.0; layer.hidden()] }
    }

    fn step(&mut self, layer: &LstmLayer, x: &[f64]) {
        let sum = |g: usize| {
            let mut z: Vec<f64> = layer.bias[g].iter().map(|b| f64::from(*b)).collect();
            add_product(&mut z, &layer.input_weights[g], x);
            add_product(&mut z, &layer.hidden_weights[g], &self.h);
            z
        };
        let (zi, zf, zg, zo) = (sum(0), sum(1), sum(2), sum(3));
        let peephole = |k: usize, cell: usize| layer.peepholes.as_ref().map_or(0.0, |p| f64::from(p[k][cell]));
        let mut m = vec![0.0; layer.cells()];
        for cell in 0..layer.cells() {
            let before = self.c[cell];
            let i = sigmoid(zi[cell] + peephole(0, cell) * before);
            let f = sigmoid(zf[cell] + peephole(1, cell) * before);
            let g = match layer.candidate {
                Candidate::Tanh => zg[cell].tanh(),
                Candidate::Sigmoid => sigmoid(zg[cell]),
            };
            let c = f * before + i * g;
            self.c[cell] = c;
            m[cell] = sigmoid(zo[cell] + peephole(2, cell) * c) * c.tanh();
        }
        self.h = match &layer.projection {
            Some(projection) => {
                let mut h = vec![0.0; projection.rows];
                add_product(&mut h, projection, &m);
                h
            }
            None => m,
        };
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn add_product(sums: &mut [f64], matrix: &Matrix, vector: &[f64]) {
    for (row, sum) in sums.iter_mut().enumerate() {
        *sum += matrix.row(row).iter().zip(vector).map(|(w, v)| f64::from(*w) * v).sum::<f64>();
    }
}

fn rows(layer: &DenseLayer, input: &[f64]) -> Vec<f64> {
    let mut sums: Vec<f64> = layer.bias.iter().map(|b| f64::from(*b)).collect();
    add_product(&mut sums, &layer.weights, input);
    if layer.activation == Activation::Relu {
        sums.iter_mut().for_each(|v| *v = v.max(0.0));
    }
    sums
}
