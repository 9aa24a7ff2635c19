//! What the compiler decided, for people and for JSON.

use super::ranges::{Measured, Range};
use super::{LayerNumbers, QuantizedLayer};
use crate::encode::{Encoded, RunChoice};
use crate::spec::MemoryImage;

/// Range and format of a vector of activations.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct RangeReport {
    pub range: Range,
    pub fraction: i32,
    /// Values of the calibration samples that the format cannot hold; `None` without samples.
    pub clipped: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct LayerReport {
    pub name: String,
    pub rows: usize,
    pub columns: usize,
    /// Places of its filters, of which there are more than one in a convolution: how often a start uses each weight.
    pub places: usize,
    pub nonzeros: usize,
    /// Non-zeros over rows times columns.
    pub weight_density: f64,
    /// Expected share of non-zero activations at the input.
    pub activation_density: f64,
    pub padding: usize,
    pub entries_per_pe: Vec<usize>,
    /// Most entries of a PE over their mean.
    pub imbalance: f64,
    pub weight_fraction: i32,
    pub output: RangeReport,
    /// Right shift from accumulator to output.
    pub shift: u32,
    /// Model row whose sum can become largest, and the accumulator bits that it needs.
    pub widest_row: usize,
    pub widest_bits: usize,
}

#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Report {
    /// Calibration samples; 0 if ranges were given.
    pub samples: usize,
    pub input: RangeReport,
    pub layers: Vec<LayerReport>,
    pub run: RunChoice,
    pub acc_bits: usize,
    /// Bits of all words of the image.
    pub image_bits: usize,
}

#[allow(clippy::too_many_arguments)] // the stages' results, each used once
pub(super) fn report(
    layers: &[QuantizedLayer],
    places: &[usize],
    numbers: &[LayerNumbers],
    encoded: &[Encoded],
    measured: &Measured,
    clipped: Option<Vec<usize>>,
    densities: &[f64],
    run: RunChoice,
    image: &MemoryImage,
) -> Report {
    let clipped = |index: usize| clipped.as_ref().map(|c| c[index]);
    let one = |l: usize| {
        let (layer, n, e) = (&layers[l], &numbers[l], &encoded[l]);
        LayerReport {
            name: layer.name.clone(),
            rows: e.rows,
            columns: layer.columns.len(),
            places: places[l],
            nonzeros: e.nonzeros,
            weight_density: e.nonzeros as f64 / (e.rows * layer.columns.len()) as f64,
            activation_density: densities[l],
            padding: e.padding,
            entries_per_pe: e.entries_per_pe(),
            imbalance: e.imbalance(),
            weight_fraction: layer.weight_fraction,
            output: RangeReport { range: measured.ranges[l + 1], fraction: n.output_fraction, clipped: clipped(l + 1) },
            shift: n.shift,
            widest_row: n.widest.0,
            widest_bits: n.widest.1,
        }
    };
    Report {
        samples: measured.samples,
        input: RangeReport { range: measured.ranges[0], fraction: numbers[0].input_fraction, clipped: clipped(0) },
        layers: (0..layers.len()).map(one).collect(),
        run,
        acc_bits: image.arch.acc_bits,
        image_bits: image.sections.values().map(|words| words.width() * words.len()).sum(),
    }
}
