//! What the compiler of recurrent networks decided, for people and for JSON.

use super::formats::Formats;
use super::infer::Measured;
use super::matrices::{packed_bytes, Quantized, QuantizedMatrix};
use super::pack::Parts;
use super::prune::{MatrixPruning, PruneStats};
use crate::compile::Range;
use crate::encode::{encode, Interleave, RunChoice};
use crate::error::Error;
use crate::spec::{MemoryImage, Section};
use serde::Serialize;

/// A matrix of the model: of a gate, a projection, or a fully connected layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MatrixReport {
    pub name: String,
    pub rows: usize,
    pub columns: usize,
    /// Stored weights, and their share of rows times columns.
    pub nonzeros: usize,
    pub density: f64,
    /// What each way of pruning leaves at the configured density.
    pub load_balanced: PruneStats,
    pub magnitude: PruneStats,
    /// Fraction lengths of the weights, of what they are multiplied with, and of the products.
    pub weight_fraction: i32,
    pub activation_fraction: i32,
    pub product_fraction: i32,
    /// Ratio of weights to their rounding error in decibel; `None` without an error.
    pub signal_to_noise: Option<f64>,
    pub max_error: f64,
    pub clipped: usize,
    /// The next two: the matrix stored on its own in the image's entry format, streams padded to equal length. In
    /// the image the gates are fused, see [`StoredReport`].
    pub padding: usize,
    pub bytes: usize,
}

/// A matrix as stored: the gates of a layer fused.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoredReport {
    pub name: String,
    pub rows: usize,
    pub columns: usize,
    pub nonzeros: usize,
    pub padding: usize,
    pub entries_per_pe: Vec<usize>,
    /// Most entries of a PE over their mean.
    pub imbalance: f64,
    /// Streams padded to equal length.
    pub bytes: usize,
}

/// Range (with the margin) and format of a vector.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VectorReport {
    pub name: String,
    pub range: Range,
    pub fraction: i32,
}

/// A memory: the words that the network takes, and how many there are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DepthReport {
    pub memory: &'static str,
    pub used: usize,
    pub depth: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecurrentReport {
    /// Calibration steps; 0 if ranges were given.
    pub steps: usize,
    pub matrices: Vec<MatrixReport>,
    pub stored: Vec<StoredReport>,
    pub vectors: Vec<VectorReport>,
    pub depths: Vec<DepthReport>,
    pub run: RunChoice,
    pub acc_bits: usize,
    /// The sum that can become largest: of what, its row, the bits that it needs.
    pub widest: String,
    pub widest_row: usize,
    pub widest_bits: usize,
    /// Columns of the next step's input that wait for the last projection.
    pub hold_columns: usize,
    pub operations: usize,
    pub parameters: usize,
    /// Entries of the PE that has most, padding included: no step takes fewer cycles.
    pub bound_cycles: usize,
    pub nonzeros: usize,
    pub padding: usize,
    /// Of all stored matrices.
    pub bytes: usize,
    /// Bits of all words of the image.
    pub image_bits: usize,
}

pub(super) struct Sources<'a> {
    pub parts: &'a Parts<'a>,
    pub pruning: &'a [MatrixPruning],
    pub quantized: &'a Quantized,
    pub formats: &'a Formats,
    pub measured: &'a Measured,
    pub image: &'a MemoryImage,
    pub run: RunChoice,
    pub how: &'a Interleave<'a>,
    pub hold: usize,
}

pub(super) fn report(sources: &Sources) -> Result<RecurrentReport, Error> {
    let (parts, arch) = (sources.parts, &sources.image.arch);
    let mut matrices = vec![];
    for ((matrix, activation_fraction), pruning) in in_order(sources).into_iter().zip(sources.pruning) {
        matrices.push(matrix_report(matrix, activation_fraction, pruning, sources.how)?);
    }
    let entry_bits = arch.entry_bits();
    let stored: Vec<StoredReport> = parts
        .stored
        .iter()
        .zip(parts.encoded)
        .map(|(layer, e)| StoredReport {
            name: layer.name.clone(),
            rows: e.rows,
            columns: e.columns,
            nonzeros: e.nonzeros,
            padding: e.padding,
            entries_per_pe: e.entries_per_pe(),
            imbalance: e.imbalance(),
            bytes: packed_bytes(&e.entries_per_pe(), entry_bits),
        })
        .collect();
    let per_pe = (0..arch.pes).map(|pe| stored.iter().map(|s| s.entries_per_pe[pe]).sum::<usize>());
    let widest = parts.numbers.widest().cloned();
    Ok(RecurrentReport {
        steps: sources.measured.steps,
        vectors: vectors(sources),
        depths: depths(sources),
        run: sources.run.clone(),
        acc_bits: arch.acc_bits,
        widest: widest.as_ref().map(|w| w.name.clone()).unwrap_or_default(),
        widest_row: widest.as_ref().map_or(0, |w| w.row),
        widest_bits: widest.as_ref().map_or(0, |w| w.bits),
        hold_columns: sources.hold,
        operations: parts.program.len(),
        parameters: parts.network.parameters(),
        bound_cycles: per_pe.max().unwrap_or(0),
        nonzeros: stored.iter().map(|s| s.nonzeros).sum(),
        padding: stored.iter().map(|s| s.padding).sum(),
        bytes: stored.iter().map(|s| s.bytes).sum(),
        image_bits: sources.image.sections.values().map(|words| words.width() * words.len()).sum(),
        matrices,
        stored,
    })
}

/// The matrices and the fraction lengths of what they read, in the order of [`super::prune`].
fn in_order<'a>(sources: &Sources<'a>) -> Vec<(&'a QuantizedMatrix, i32)> {
    let (q, f) = (sources.quantized, sources.formats);
    let mut out = vec![];
    for (l, layer) in q.lstm.iter().enumerate() {
        for (x, h) in layer.input.iter().zip(&layer.hidden) {
            out.push((x, f.input_of(l)));
            out.push((h, f.lstm[l].hidden));
        }
        out.extend(layer.projection.iter().map(|p| (p, f.lstm[l].result)));
    }
    out.extend(q.layers.iter().enumerate().map(|(d, layer)| (layer, f.layer_input(d))));
    out
}

fn matrix_report(
    matrix: &QuantizedMatrix,
    activation_fraction: i32,
    pruning: &MatrixPruning,
    how: &Interleave,
) -> Result<MatrixReport, Error> {
    let (layer, report) = (&matrix.layer, &matrix.report);
    let encoded = encode(layer, how)?;
    let ratio = report.signal_to_noise();
    Ok(MatrixReport {
        name: pruning.name.clone(),
        rows: layer.rows,
        columns: layer.columns.len(),
        nonzeros: report.nonzeros,
        density: report.nonzeros as f64 / (layer.rows * layer.columns.len()) as f64,
        load_balanced: pruning.load_balanced,
        magnitude: pruning.magnitude,
        weight_fraction: layer.weight_fraction,
        activation_fraction,
        product_fraction: activation_fraction + layer.weight_fraction,
        signal_to_noise: ratio.is_finite().then_some(ratio),
        max_error: report.max_error,
        clipped: report.clipped,
        padding: encoded.padding,
        bytes: packed_bytes(&encoded.entries_per_pe(), how.weight_bits + how.run_bits),
    })
}

fn vectors(sources: &Sources) -> Vec<VectorReport> {
    let (network, f, ranges) = (sources.parts.network, sources.formats, &sources.measured.ranges);
    let mut out = vec![VectorReport { name: "input".into(), range: ranges.input, fraction: f.input }];
    for ((layer, formats), seen) in network.lstm.iter().zip(&f.lstm).zip(&ranges.lstm) {
        let mut add = |what: &str, range, fraction| out.push(VectorReport { name: format!("{} {what}", layer.name), range, fraction });
        let unit = Range { low: -1.0, high: 1.0 };
        add("c", seen.cell, formats.cell);
        if layer.projection.is_some() {
            add("m", unit, formats.result);
            add("h", seen.hidden, formats.hidden);
        } else {
            add("h", unit, formats.hidden);
        }
    }
    for ((layer, formats), range) in network.layers.iter().zip(&f.layers).zip(&ranges.layers) {
        out.push(VectorReport { name: layer.name.clone(), range: *range, fraction: formats.output });
    }
    out
}

fn depths(sources: &Sources) -> Vec<DepthReport> {
    let (parts, image) = (sources.parts, sources.image);
    let arch = &image.arch;
    let longest = |kind| {
        let of_kind = image.sections.iter().filter(|(section, _)| matches!(section, Section::Pe(_, k) if *k == kind));
        of_kind.map(|(_, words)| words.len()).max().unwrap_or(0)
    };
    use crate::spec::MemoryKind::{PtrEven, Spmat};
    let sums = parts.program.iter().map(|op| op.count.div_ceil(arch.pes)).max().unwrap_or(0);
    let one = |memory, used, depth| DepthReport { memory, used, depth };
    let mut out = vec![
        one("spmat", longest(Spmat), arch.spmat_depth),
        one("ptr", longest(PtrEven), arch.ptr_depth),
        one("act", parts.layout.vector_words, arch.act_depth),
        one("acc", sums, arch.acc_depth),
        one("bias", parts.layout.parameter_words, arch.bias_depth),
        one("max_layers", parts.program.len(), arch.max_layers),
    ];
    if let Some(ese) = &arch.ese {
        out.push(one("cell", parts.layout.cell_words, ese.cell_depth));
        out.push(one("input", parts.network.inputs(), ese.input_depth));
        out.push(one("output", parts.network.outputs(), ese.output_depth));
    }
    out
}
