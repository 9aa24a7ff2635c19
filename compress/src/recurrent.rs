//! From a recurrent network to the memory image of an accelerator of the ESE kind: prune, find formats, quantize,
//! fuse the gates, order the operations, pack.
//!
//! Each matrix that a gate reads is pruned and quantized on its own. The four gates are stored as one matrix
//! (docs/decisions/0008-ese-datapath.md) whose columns are x, then h.

mod check;
mod configured;
mod formats;
mod infer;
mod matrices;
mod numbers;
mod pack;
mod prune;
mod report;
mod schedule;
mod synthetic;

pub use infer::{LstmRanges, RecurrentCalibration, RecurrentRanges};
pub use matrices::{encode_matrix, EncodedMatrix};
pub use prune::{prune, Density, LstmDensity, MatrixPruning, PruneStats, Pruning};
pub use report::{DepthReport, MatrixReport, RecurrentReport, StoredReport, VectorReport};
pub use synthetic::{synthetic, synthetic_ranges, Shape};

use crate::compile::Depths;
use crate::config::CodebookInit;
use crate::encode::{choose_run_bits, encode, Interleave, RunProblem};
use crate::error::Error;
use crate::manifest::{NetworkLayer, NetworkLstm, RecurrentModel, RecurrentNetwork};
use crate::model::Recurrent;
use crate::quantize::Quantization;
use crate::spec::{Arch, WeightForm};

/// How to compress, and the accelerator to compile for. What is `None` is chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct RecurrentSettings {
    pub pes: usize,
    pub channels: usize,
    pub fifo_depth: usize,
    pub weights: WeightForm,
    pub weight_bits: usize,
    pub run_bits: Option<usize>,
    pub entries_per_word: usize,
    /// `act` is the depth of a channel's vector memory, `bias` that of the parameter memory, `max_layers` the most
    /// operations.
    pub depths: Depths,
    pub cell_depth: Option<usize>,
    pub input_depth: Option<usize>,
    pub output_depth: Option<usize>,
    /// `None` is the narrowest accumulator that cannot overflow.
    pub acc_bits: Option<usize>,
    pub pruning: Pruning,
    pub density: Density,
    /// The next three are for a codebook.
    pub init: CodebookInit,
    pub iterations: usize,
    pub seed: u64,
    /// Integer bits that cells, projected h and outputs of layers get beyond what calibration showed.
    pub margin_bits: u32,
    /// Columns of x(t + 1) that are broadcast only after the last projection's token, to fill the time in which its
    /// results are made.
    pub hold_columns: Option<usize>,
}

impl RecurrentSettings {
    /// For an accelerator like this one, with depths and accumulators as the network needs them.
    pub fn like(arch: &Arch) -> RecurrentSettings {
        RecurrentSettings {
            pes: arch.pes,
            channels: arch.ese.as_ref().map_or(1, |ese| ese.channels),
            fifo_depth: arch.fifo_depth,
            weights: arch.weights,
            weight_bits: arch.weight_bits,
            run_bits: Some(arch.run_bits),
            entries_per_word: arch.entries_per_word,
            ..RecurrentSettings::default()
        }
    }
}

impl Default for RecurrentSettings {
    /// ESE: 32 PEs, one channel, weights of 12 bits.
    fn default() -> RecurrentSettings {
        RecurrentSettings {
            pes: 32,
            channels: 1,
            fifo_depth: 16,
            weights: WeightForm::Direct,
            weight_bits: 12,
            run_bits: None,
            entries_per_word: 1,
            depths: Depths::default(),
            cell_depth: None,
            input_depth: None,
            output_depth: None,
            acc_bits: None,
            pruning: Pruning::default(),
            density: Density::default(),
            init: CodebookInit::Linear,
            iterations: 300,
            seed: 1,
            margin_bits: 1,
            hold_columns: None,
        }
    }
}

impl RecurrentSettings {
    fn quantization(&self) -> Quantization {
        Quantization { form: self.weights, bits: self.weight_bits, init: self.init, iterations: self.iterations, seed: self.seed }
    }
}

/// A compiled recurrent network, and what was decided on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct CompiledRecurrent {
    pub model: RecurrentModel,
    pub report: RecurrentReport,
    /// The network after pruning, in floating point.
    pub pruned: Recurrent,
    /// The network of real numbers that the image's integers stand for: weights, biases and peepholes as stored.
    pub quantized: Recurrent,
}

/// Compiles a network for ranges that it shows on calibration sequences: each a list of steps in the order of time,
/// each step one value per input. Errors: a malformed network, settings out of range, formats that cannot meet, an
/// accumulator that could overflow, a memory that is too small.
pub fn compile_recurrent(
    network: &Recurrent,
    settings: &RecurrentSettings,
    calibration: &[Vec<Vec<f32>>],
) -> Result<CompiledRecurrent, Error> {
    compile_recurrent_with(network, settings, RecurrentCalibration::Sequences(calibration))
}

/// [`compile_recurrent`] with ranges from sequences, or stated ones.
pub fn compile_recurrent_with(
    network: &Recurrent,
    settings: &RecurrentSettings,
    calibration: RecurrentCalibration,
) -> Result<CompiledRecurrent, Error> {
    check::network(network)?;
    check::settings(settings)?;
    let (pruned, pruning) = prune(network, settings.pruning, &settings.density, settings.pes)?;
    let measured = infer::measure(&pruned, calibration, settings.margin_bits)?;
    let weights = matrices::Clustered::new(&pruned, &settings.quantization());
    let formats = formats::choose(&pruned, &weights, &measured.ranges)?;
    let quantized = matrices::quantize(&pruned, &weights, &formats);
    let numbers = numbers::numbers(&pruned, &quantized, &formats)?;
    let acc_bits = numbers.accumulator_bits(settings.acc_bits)?;

    let stored = quantized.stored(&pruned, settings.pes);
    let (orders, densities) = (vec![None; stored.len()], vec![1.0; stored.len()]);
    let problem = RunProblem {
        layers: &stored,
        pes: settings.pes,
        weight_bits: settings.weight_bits,
        row_orders: &orders,
        stored_columns: true,
        densities: &densities,
    };
    let run = choose_run_bits(&problem, settings.run_bits)?;
    let how =
        Interleave { pes: settings.pes, weight_bits: settings.weight_bits, run_bits: run.run_bits, row_order: None, column_order: None };
    let encoded = stored.iter().map(|layer| encode(layer, &how)).collect::<Result<Vec<_>, _>>()?;

    let layout = schedule::Layout::new(&pruned);
    let hold = schedule::hold(&pruned, &encoded[0], settings.hold_columns);
    let program = schedule::program(&pruned, &layout, &formats, &numbers, hold)?;
    let parts = pack::Parts {
        network: &pruned,
        stored: &stored,
        encoded: &encoded,
        codebooks: &quantized.codebooks,
        numbers: &numbers,
        layout: &layout,
        program: &program,
    };
    let image = pack::pack(&parts, settings, acc_bits, run.run_bits)?;

    let report = report::report(&report::Sources {
        parts: &parts,
        pruning: &pruning,
        quantized: &quantized,
        formats: &formats,
        measured: &measured,
        image: &image,
        run,
        how: &how,
        hold,
    })?;
    let description = describe(&parts, &formats, &quantized);
    let real = quantized.dequantize(&pruned, &formats, &numbers);
    Ok(CompiledRecurrent { model: RecurrentModel { image, network: description, answer: None }, report, pruned, quantized: real })
}

fn describe(parts: &pack::Parts, formats: &formats::Formats, quantized: &matrices::Quantized) -> RecurrentNetwork {
    let network = parts.network;
    // stored matrices: each layer's gates, then its projection; fully connected layers last
    let mut stored = parts.encoded.iter();
    let mut counts = |matrices: usize| {
        let taken: Vec<_> = stored.by_ref().take(matrices).collect();
        (taken.iter().map(|e| e.nonzeros).sum::<usize>(), taken.iter().map(|e| e.padding).sum::<usize>())
    };
    let mut lstm = vec![];
    for (l, layer) in network.lstm.iter().enumerate() {
        let (nonzeros, padding) = counts(1 + usize::from(layer.projection.is_some()));
        lstm.push(NetworkLstm {
            name: layer.name.clone(),
            inputs: layer.inputs(),
            cells: layer.cells(),
            hidden: layer.hidden(),
            peepholes: layer.peepholes.is_some(),
            projection: layer.projection.is_some(),
            nonzeros,
            padding,
            parameters: layer.parameters(),
            input_fraction: formats.input_of(l),
            hidden_fraction: formats.lstm[l].hidden,
            cell_fraction: formats.lstm[l].cell,
            hidden_base: parts.layout.hidden[l],
            cell_base: parts.layout.cells[l],
        });
    }
    let mut layers = vec![];
    for (d, layer) in network.layers.iter().enumerate() {
        let (nonzeros, padding) = counts(1);
        layers.push(NetworkLayer {
            name: layer.name.clone(),
            rows: layer.weights.rows,
            columns: layer.weights.columns,
            activation: layer.activation,
            nonzeros,
            padding,
            parameters: layer.weights.data.len() + layer.bias.len(),
            weight_fraction: quantized.layers[d].layer.weight_fraction,
            input_fraction: formats.layer_input(d),
            output_fraction: formats.layers[d].output,
            conv: None,
        });
    }
    RecurrentNetwork {
        input_size: network.inputs(),
        output_size: network.outputs(),
        input_fraction: formats.input,
        output_fraction: formats.output(),
        reverse: network.reverse,
        parameters: network.parameters(),
        lstm,
        layers,
    }
}
