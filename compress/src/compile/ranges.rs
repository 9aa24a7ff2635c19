//! Range analysis: which values each layer takes and makes, and the formats that hold them.
//!
//! The forward pass is in floating point, with the quantized weights, so that what is measured is
//! the network that the accelerator computes, activation rounding aside.

use crate::error::Error;
use crate::inputs::Samples;
use crate::model::{Activation, Conv, QuantizedLayer};
use crate::spec::arch::ACT_BITS;
use crate::spec::fixed;

/// Smallest and largest value of a vector over the samples.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Range {
    pub low: f64,
    pub high: f64,
}

impl Range {
    pub(crate) const EMPTY: Range = Range { low: f64::INFINITY, high: f64::NEG_INFINITY };
    pub(crate) fn add(&mut self, value: f64) {
        self.low = self.low.min(value);
        self.high = self.high.max(value);
    }
    pub(crate) fn is_valid(&self) -> bool {
        self.low.is_finite() && self.high.is_finite() && self.low <= self.high
    }
}

/// Where the ranges come from.
#[derive(Clone, Copy, Debug)]
pub enum Calibration<'a> {
    /// Inputs as the network takes them.
    Samples(&'a Samples),
    /// The range of the inputs, and of each layer's outputs after its activation.
    Given { input: Range, outputs: &'a [Range] },
}

/// What calibration found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measured {
    pub samples: usize,
    /// Of the network's input and of each layer's output.
    pub ranges: Vec<Range>,
    /// Share of non-zero activations at each layer's input.
    pub densities: Option<Vec<f64>>,
}

pub(super) fn measure(layers: &[QuantizedLayer], calibration: Calibration) -> Result<Measured, Error> {
    let fault = |text: String| Err(Error::Calibration(text));
    match calibration {
        Calibration::Given { input, outputs } => {
            if outputs.len() != layers.len() {
                return fault(format!("{} output ranges are given, the network has {} layers", outputs.len(), layers.len()));
            }
            let ranges: Vec<Range> = std::iter::once(&input).chain(outputs).copied().collect();
            match ranges.iter().find(|r| !r.is_valid()) {
                Some(bad) => fault(format!("the range {} to {} is none", bad.low, bad.high)),
                None => Ok(Measured { samples: 0, ranges, densities: None }),
            }
        }
        Calibration::Samples(samples) => {
            if samples.count == 0 {
                return fault("there are no samples; activation formats need some inputs, or given ranges".into());
            }
            if samples.size != layers[0].inputs() {
                return fault(format!("a sample has {} values, the network {} inputs", samples.size, layers[0].inputs()));
            }
            if let Some(at) = samples.data.iter().position(|v| !v.is_finite()) {
                return fault(format!("value {} of sample {} is {}", at % samples.size, at / samples.size, samples.data[at]));
            }
            let mut ranges = vec![Range::EMPTY; layers.len() + 1];
            let mut active = vec![0usize; layers.len()];
            for_each_vector(layers, samples, |index, vector| {
                vector.iter().for_each(|v| ranges[index].add(*v));
                if let Some(count) = active.get_mut(index) {
                    *count += vector.iter().filter(|v| **v != 0.0).count();
                }
            });
            let share = |(count, layer): (&usize, &QuantizedLayer)| *count as f64 / (samples.count * layer.inputs()) as f64;
            let densities = active.iter().zip(layers).map(share).collect();
            Ok(Measured { samples: samples.count, ranges, densities: Some(densities) })
        }
    }
}

/// Values of each vector, over all samples, that its format cannot hold.
pub(super) fn count_clipped(layers: &[QuantizedLayer], samples: &Samples, fractions: &[i32]) -> Vec<usize> {
    let mut clipped = vec![0; layers.len() + 1];
    let (low, high) = fixed::limits(ACT_BITS);
    for_each_vector(layers, samples, |index, vector| {
        // one bit more than the format has shows what would saturate in it
        let beyond = |v: &&f64| !(low..=high).contains(&fixed::quantize(**v, ACT_BITS + 1, fractions[index]));
        clipped[index] += vector.iter().filter(beyond).count();
    });
    clipped
}

/// Calls `visit(0, input)` and `visit(l + 1, output of layer l)` for every sample.
fn for_each_vector(layers: &[QuantizedLayer], samples: &Samples, mut visit: impl FnMut(usize, &[f64])) {
    for sample in samples.iter() {
        let mut vector: Vec<f64> = sample.iter().map(|v| f64::from(*v)).collect();
        visit(0, &vector);
        for (l, layer) in layers.iter().enumerate() {
            vector = forward(layer, &vector);
            visit(l + 1, &vector);
        }
    }
}

fn forward(layer: &QuantizedLayer, input: &[f64]) -> Vec<f64> {
    if let Some(conv) = &layer.conv {
        return convolved(layer, conv, input);
    }
    let mut sums = vec![0.0; layer.rows];
    for (column, a) in layer.columns.iter().zip(input).filter(|(_, a)| **a != 0.0) {
        for n in column {
            sums[n.row as usize] += layer.value(n.weight) as f64 * a;
        }
    }
    let unit = fixed::dequantize(1, layer.weight_fraction);
    for (sum, bias) in sums.iter_mut().zip(&layer.bias) {
        *sum = *sum * unit + f64::from(*bias);
        if layer.activation == Activation::Relu {
            *sum = sum.max(0.0);
        }
    }
    sums
}

/// The maps after activation and pooling, in the order channel, row, column as the input's.
fn convolved(layer: &QuantizedLayer, conv: &Conv, input: &[f64]) -> Vec<f64> {
    let [down, across] = conv.places();
    let [rows, columns] = conv.kernel;
    let places = down * across;
    let mut sums = vec![0.0; layer.rows * places];
    for (c, column) in layer.columns.iter().enumerate() {
        let (channel, ky, kx) = (c / (rows * columns), c / columns % rows, c % columns);
        for n in column {
            let weight = layer.value(n.weight) as f64;
            let map = &mut sums[n.row as usize * places..][..places];
            for (y, line) in map.chunks_exact_mut(across).enumerate() {
                let from = &input[(channel * conv.height + y * conv.stride + ky) * conv.width + kx..];
                line.iter_mut().zip(from.iter().step_by(conv.stride)).for_each(|(sum, a)| *sum += weight * a);
            }
        }
    }
    let unit = fixed::dequantize(1, layer.weight_fraction);
    let [height, width] = conv.output();
    let mut out = Vec::with_capacity(layer.rows * height * width);
    for (map, bias) in sums.chunks_exact(places).zip(&layer.bias) {
        for window in 0..height * width {
            let (top, left) = (window / width * conv.pool, window % width * conv.pool);
            let square = (0..conv.pool * conv.pool).map(|i| map[(top + i / conv.pool) * across + left + i % conv.pool]);
            let largest = square.fold(f64::NEG_INFINITY, f64::max) * unit + f64::from(*bias);
            out.push(if layer.activation == Activation::Relu { largest.max(0.0) } else { largest });
        }
    }
    out
}

/// Fraction lengths of the input and of each layer's output: the finest that hold the ranges, as far as
/// the requantizer's shift (0 to [`fixed::MAX_SHIFT`]) allows.
pub(super) fn fractions(layers: &[QuantizedLayer], ranges: &[Range]) -> Vec<i32> {
    let finest = |r: &Range| fixed::fraction_for(r.low, r.high, ACT_BITS);
    let mut out = vec![finest(&ranges[0])];
    for (l, layer) in layers.iter().enumerate() {
        let product = out[l] + layer.weight_fraction;
        out.push(finest(&ranges[l + 1]).clamp(product - fixed::MAX_SHIFT as i32, product));
    }
    out
}
