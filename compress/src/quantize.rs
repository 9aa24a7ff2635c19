//! From floating-point weights to integers: a codebook of shared weights per layer (Deep Compression,
//! section 3), or the weights themselves in fixed point.
//!
//! Zero weights stay zero and are not stored. In a codebook, code 0 is exactly zero and stands for
//! padding only: a non-zero weight has another code even if its shared weight rounds to zero.

pub(crate) mod kmeans;
mod optimum;
pub mod search;

use crate::config::{CodebookInit, Config};
use crate::error::Error;
use crate::model::{Dense, DenseLayer, Matrix, Nonzero, QuantizedLayer};
use crate::spec::arch::CODEBOOK_VALUE_BITS;
use crate::spec::fixed::{self, fraction_for, MAX_FRACTION};
use crate::spec::WeightForm;
use kmeans::{nearest, Sorted};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

/// How weights become integers.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantization {
    pub form: WeightForm,
    /// Bits of a code, 2 to 8, or of a direct weight, 2 to 16.
    pub bits: usize,
    /// The next three are for a codebook.
    pub init: CodebookInit,
    pub iterations: usize,
    pub seed: u64,
}

impl From<&Config> for Quantization {
    fn from(config: &Config) -> Quantization {
        Quantization {
            form: config.accelerator.weights,
            bits: config.accelerator.weight_bits,
            init: config.compress.codebook_init,
            iterations: config.compress.kmeans_iterations,
            seed: config.compress.seed,
        }
    }
}

/// What quantization did to one layer. Errors are those of the stored value, rounding included,
/// over the weights that were not zero.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerReport {
    pub name: String,
    /// Weights that were not zero.
    pub before: usize,
    /// Weights that are stored: in direct form, those that do not round to zero.
    pub nonzeros: usize,
    /// Mean square error, and the mean square of the weights to compare it with.
    pub mse: f64,
    pub power: f64,
    pub max_error: f64,
    /// Weights that lie beyond the format, in a codebook those whose shared weight does.
    pub clipped: usize,
    pub weight_fraction: i32,
    /// Codes in use besides 0; none in direct form.
    pub shared_weights: usize,
}

impl LayerReport {
    /// Ratio of weights to error in decibel; infinite without an error, also if there are no weights.
    pub fn signal_to_noise(&self) -> f64 {
        if self.mse == 0.0 {
            return f64::INFINITY;
        }
        10.0 * (self.power / self.mse).log10()
    }
}

impl Quantization {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let (limit, expected) = match self.form {
            WeightForm::Codebook => (8, "2 to 8 for a codebook"),
            WeightForm::Direct => (16, "2 to 16 for direct weights"),
        };
        if (2..=limit).contains(&self.bits) {
            return Ok(());
        }
        Err(Error::Setting { field: "weight_bits", found: self.bits.to_string(), expected })
    }
    /// Random numbers for codebook `number`.
    pub(crate) fn rng(&self, number: usize) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(number as u64);
        rng
    }
}

/// Quantizes every layer on its own. An error if `bits` is out of range, or a weight not finite.
pub fn quantize(dense: &Dense, how: &Quantization) -> Result<(Vec<QuantizedLayer>, Vec<LayerReport>), Error> {
    how.check()?;
    let mut layers = Vec::with_capacity(dense.layers.len());
    let mut reports = Vec::with_capacity(dense.layers.len());
    for (number, layer) in dense.layers.iter().enumerate() {
        let wrong = |fault: String| Error::Layer { layer: layer.name.clone(), fault };
        if let Some(i) = layer.weights.data.iter().position(|w| !w.is_finite()) {
            let (row, column) = (i / layer.weights.columns, i % layer.weights.columns);
            return Err(wrong(format!("weight {} at row {row}, column {column}, expected a finite number", layer.weights.data[i])));
        }
        if u32::try_from(layer.weights.rows).is_err() {
            return Err(wrong(format!("{} rows, expected fewer than 2^32", layer.weights.rows)));
        }
        let (quantized, report) = match how.form {
            WeightForm::Codebook => {
                let shared = Shared::cluster(layer.weights.data.iter().copied(), how, &mut how.rng(number));
                with_codebook(layer, &shared, shared.finest_fraction())
            }
            WeightForm::Direct => direct(layer, how.bits, best_fraction(&layer.weights, how.bits)),
        };
        layers.push(quantized);
        reports.push(report);
    }
    Ok((layers, reports))
}

/// Values in clusters.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// Ascending.
    pub centroids: Vec<f64>,
    /// Of each value, the number of its centroid.
    pub numbers: Vec<u8>,
    /// Sum of the squared distances of the values from their centroids.
    pub error: f64,
}

/// The k-means of [`quantize`] on finite values of one's own, zeros among them: at most `clusters`, 1 to 255.
pub fn cluster(values: &[f32], clusters: u8, init: CodebookInit, iterations: usize, seed: u64) -> Clusters {
    let sorted = Sorted::new(values.iter().copied());
    let centroids = sorted.centroids(usize::from(clusters.max(1)), init, iterations, &mut ChaCha8Rng::seed_from_u64(seed));
    // fewer than 256
    let numbers: Vec<u8> = values.iter().map(|v| nearest(&centroids, f64::from(*v)) as u8).collect();
    let square = |(value, number): (&f32, &u8)| (f64::from(*value) - centroids[usize::from(*number)]).powi(2);
    let error = values.iter().zip(&numbers).map(square).sum();
    Clusters { centroids, numbers, error }
}

/// The network of real numbers that the integers stand for.
pub fn dequantize(layers: &[QuantizedLayer]) -> Dense {
    let layer = |q: &QuantizedLayer| {
        let columns = q.columns.len();
        let mut data = vec![0.0; q.rows * columns];
        for (column, nonzeros) in q.columns.iter().enumerate() {
            for n in nonzeros {
                // a 16-bit integer over a power of two: exact in f32
                data[n.row as usize * columns + column] = fixed::dequantize(q.value(n.weight), q.weight_fraction) as f32;
            }
        }
        let weights = Matrix { rows: q.rows, columns, data };
        DenseLayer { name: q.name.clone(), weights, bias: q.bias.clone(), activation: q.activation, conv: q.conv }
    };
    Dense { layers: layers.iter().map(layer).collect() }
}

/// The weights that a codebook shares, before they are rounded.
pub(crate) struct Shared {
    bits: usize,
    centroids: Vec<f64>,
}

impl Shared {
    /// k-means over the weights that are not zero.
    pub(crate) fn cluster(weights: impl Iterator<Item = f32>, how: &Quantization, rng: &mut ChaCha8Rng) -> Shared {
        let sorted = Sorted::new(weights.filter(|w| *w != 0.0));
        Shared { bits: how.bits, centroids: sorted.centroids((1 << how.bits) - 1, how.init, how.iterations, rng) }
    }
    /// The finest fraction length at which no shared weight saturates.
    pub(crate) fn finest_fraction(&self) -> i32 {
        let low = self.centroids.first().copied().unwrap_or(0.0).min(0.0);
        let high = self.centroids.last().copied().unwrap_or(0.0).max(0.0);
        fraction_for(low, high, CODEBOOK_VALUE_BITS)
    }
    /// Value by code, `2^bits` of them.
    pub(crate) fn codebook(&self, fraction: i32) -> Vec<i16> {
        let mut codebook = vec![0i16; 1 << self.bits];
        for (shared, centroid) in codebook[1..].iter_mut().zip(&self.centroids) {
            // `fixed::quantize` saturates to 16 bits
            *shared = fixed::quantize(*centroid, CODEBOOK_VALUE_BITS, fraction) as i16;
        }
        codebook
    }
}

/// A layer in codes, shared weights at fraction length `fraction`.
pub(crate) fn with_codebook(layer: &DenseLayer, shared: &Shared, fraction: i32) -> (QuantizedLayer, LayerReport) {
    let centroids = &shared.centroids;
    let code = |w: f32| 1 + nearest(centroids, f64::from(w)) as i32;
    let (quantized, mut report) = store(layer, Some(shared.codebook(fraction)), fraction, code);
    let used: BTreeSet<i32> = quantized.columns.iter().flatten().map(|n| n.weight).collect();
    report.shared_weights = used.len();
    let clipped = |w: f64| is_clipped(centroids[nearest(centroids, w)], CODEBOOK_VALUE_BITS, fraction);
    report.clipped = layer.weights.data.iter().filter(|w| **w != 0.0 && clipped(f64::from(**w))).count();
    (quantized, report)
}

/// A layer in fixed point of `bits` bits and fraction length `fraction`.
pub(crate) fn direct(layer: &DenseLayer, bits: usize, fraction: i32) -> (QuantizedLayer, LayerReport) {
    // at most 16 bits
    let value = |w: f32| fixed::quantize(f64::from(w), bits, fraction) as i32;
    let (quantized, mut report) = store(layer, None, fraction, value);
    report.clipped = layer.weights.data.iter().filter(|w| is_clipped(f64::from(**w), bits, fraction)).count();
    (quantized, report)
}

/// The value would not fit even after rounding.
fn is_clipped(value: f64, bits: usize, fraction: i32) -> bool {
    let (low, high) = fixed::limits(bits);
    let wide = fixed::quantize(value, 60, fraction);
    wide < low || wide > high
}

/// The fraction length of least square error; of equal ones the coarser. Finer ones than the finest
/// that does not clip trade large errors of few weights for small ones of many.
pub(crate) fn best_fraction(weights: &Matrix, bits: usize) -> i32 {
    let nonzeros = || weights.data.iter().filter(|w| **w != 0.0).map(|w| f64::from(*w));
    let (low, high) = nonzeros().fold((0.0f64, 0.0f64), |(low, high), w| (low.min(w), high.max(w)));
    let coarsest = fraction_for(low, high, bits);
    let mut best = (f64::INFINITY, coarsest);
    for fraction in coarsest..=MAX_FRACTION {
        let (mut error, mut clipping) = (0.0, 0.0);
        for w in nonzeros() {
            let square = (w - fixed::dequantize(fixed::quantize(w, bits, fraction), fraction)).powi(2);
            error += square;
            if is_clipped(w, bits, fraction) {
                clipping += square;
            }
        }
        if error < best.0 {
            best = (error, fraction);
        }
        // clipping costs more with each further bit, so that none of them can be better
        if clipping >= best.0 {
            break;
        }
    }
    best.1
}

/// Stores what `weight` (code or value) makes of every non-zero, and measures the error.
fn store(
    layer: &DenseLayer,
    codebook: Option<Vec<i16>>,
    weight_fraction: i32,
    weight: impl Fn(f32) -> i32,
) -> (QuantizedLayer, LayerReport) {
    let Matrix { rows, columns, ref data } = layer.weights;
    let mut quantized = QuantizedLayer {
        name: layer.name.clone(),
        rows,
        columns: vec![Vec::new(); columns],
        codebook,
        weight_fraction,
        bias: layer.bias.clone(),
        activation: layer.activation,
        conv: layer.conv,
    };
    let mut report = LayerReport {
        name: layer.name.clone(),
        before: 0,
        nonzeros: 0,
        mse: 0.0,
        power: 0.0,
        max_error: 0.0,
        clipped: 0,
        weight_fraction,
        shared_weights: 0,
    };
    for (i, w) in data.iter().enumerate().filter(|(_, w)| **w != 0.0) {
        let stored = weight(*w);
        let error = f64::from(*w) - fixed::dequantize(quantized.value(stored), weight_fraction);
        report.before += 1;
        report.mse += error * error;
        report.power += f64::from(*w) * f64::from(*w);
        report.max_error = report.max_error.max(error.abs());
        if stored != 0 {
            report.nonzeros += 1;
            // `quantize` checked that rows fit 32 bits
            quantized.columns[i % columns].push(Nonzero { row: (i / columns) as u32, weight: stored });
        }
    }
    let count = report.before.max(1) as f64;
    report.mse /= count;
    report.power /= count;
    (quantized, report)
}

#[cfg(test)]
#[path = "quantize/tests.rs"]
mod tests;
