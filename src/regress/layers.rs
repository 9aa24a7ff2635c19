//! A network of layers from its description: weights, the compiled model, inputs.

use super::chance::{of_place, pick};
use super::configuration::{Input, Layer, Layers, Pattern, Values};
use anyhow::Result;
use lacuna_compress::compile::{compile, Calibration, Depths, Range, RowOrder, Settings};
use lacuna_compress::manifest::{require_arch, Model};
use lacuna_compress::model::{Activation, Nonzero, QuantizedLayer};
use lacuna_compress::spec::{Arch, WeightForm};
use rand::RngExt;

/// The accelerator, or what is fixed of it before the networks say how deep its memories must be.
#[derive(Clone, Debug)]
pub enum For<'a> {
    Exactly(&'a Arch),
    /// As this one, with depths and accumulators as needed.
    Like(&'a Arch),
}

impl For<'_> {
    pub fn arch(&self) -> &Arch {
        match self {
            For::Exactly(arch) | For::Like(arch) => arch,
        }
    }

    /// What a compiler's setting is to be where the accelerator has `number`.
    pub fn exactly(&self, number: usize) -> Option<usize> {
        matches!(self, For::Exactly(_)).then_some(number)
    }

    pub fn depths(&self) -> Depths {
        match self {
            For::Exactly(arch) => Depths::of(arch),
            For::Like(_) => Depths::default(),
        }
    }

    /// An error if a network was compiled for another accelerator.
    pub fn check(&self, compiled: &Arch) -> Result<()> {
        match self {
            For::Exactly(arch) => Ok(require_arch(compiled, arch)?),
            For::Like(_) => Ok(()),
        }
    }
}

/// Streams of [`of_place`]: layers have their number, with these above it.
const BIAS: u32 = 1 << 16;
const CODEBOOK: u32 = 1 << 17;
pub const INPUT: u32 = 1 << 18;

/// Most negative and largest of so many bits.
fn limits(bits: usize) -> (i32, i32) {
    (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
}

/// Does a matrix have a weight here?
pub fn has_weight(pattern: Pattern, density: f64, at: &Place) -> bool {
    let local = at.row / at.pes;
    match pattern {
        Pattern::Random => {
            let empty = of_place(at.seed, at.matrix, at.column, usize::MAX >> 8).random_bool(0.2);
            !empty && of_place(at.seed, at.matrix, at.column, at.row).random_bool(density)
        }
        Pattern::Full => true,
        Pattern::EmptyColumns => at.column % 8 == 7,
        Pattern::LastRow => at.row + 1 == at.rows,
        Pattern::OneRow => at.row == 0,
        Pattern::OnePe => at.row % at.pes == at.chosen % at.pes,
        Pattern::Runs => {
            // first rows behind runs of 2^r - 1, 2^r and 2^(r+1), in turn from column to column
            let field = 1 << at.run_bits;
            let run = [field - 1, field, 2 * field - 1, 2 * field][at.column % 4];
            local % (run + 1) == run || (local == (at.rows - 1) / at.pes && at.column.is_multiple_of(5))
        }
        Pattern::Bursts => (at.column / 8).is_multiple_of(2),
        Pattern::Nowhere => false,
    }
}

/// A place of a matrix.
pub struct Place {
    pub seed: u64,
    /// Number of the matrix.
    pub matrix: u32,
    pub row: usize,
    pub column: usize,
    pub rows: usize,
    pub pes: usize,
    pub run_bits: usize,
    /// The PE of [`Pattern::OnePe`].
    pub chosen: usize,
}

fn quantized(seed: u64, number: usize, layer: &Layer, columns: usize, arch: &Arch) -> QuantizedLayer {
    let matrix = number as u32;
    let codebook: Option<Vec<i16>> = (arch.weights == WeightForm::Codebook).then(|| {
        let value = |code: usize| match layer.values {
            _ if code == 0 => 0,
            Values::Mixed => {
                let mut rng = of_place(seed, CODEBOOK + matrix, code, 0);
                let any = rng.random_range(-8191..=8191);
                pick(&mut rng, &[any, any, any, -1, 1, -32768, 32767])
            }
            Values::Extreme => [-32768, 32767][code % 2],
            Values::Units => [-1, 1][code % 2],
        };
        (0..1 << arch.weight_bits).map(value).collect()
    });
    let weight = |row: usize, column: usize| {
        // far from the word that decides whether there is one
        let mut rng = of_place(seed, matrix + (1 << 20), column, row);
        let (low, high) = limits(arch.weight_bits);
        match (&codebook, layer.values) {
            (Some(table), _) => rng.random_range(1..table.len() as i32),
            (None, Values::Mixed) => Some(rng.random_range(low..=high)).filter(|w| *w != 0).unwrap_or(1),
            (None, Values::Extreme) => pick(&mut rng, &[low, high]),
            (None, Values::Units) => pick(&mut rng, &[-1, 1]),
        }
    };
    let one = of_place(seed, BIAS + matrix, 1 << 16, 0).random_range(0..arch.pes);
    let column = |column: usize| {
        let place = |row| Place { seed, matrix, row, column, rows: layer.rows, pes: arch.pes, run_bits: arch.run_bits, chosen: one };
        let kept = (0..layer.rows).filter(|row| has_weight(layer.pattern, layer.density, &place(*row)));
        kept.map(|row| Nonzero { row: row as u32, weight: weight(row, column) }).collect()
    };
    QuantizedLayer {
        name: format!("layer{number}"),
        rows: layer.rows,
        columns: (0..columns).map(column).collect(),
        codebook: codebook.clone(),
        weight_fraction: layer.weight_fraction,
        bias: (0..layer.rows).map(|row| (layer.reach * of_place(seed, BIAS + matrix, 0, row).random_range(-0.5..0.5)) as f32).collect(),
        activation: if layer.relu { Activation::Relu } else { Activation::None },
        conv: layer.conv,
    }
}

/// Compiles the network. An error says why there is none.
pub fn model(network: &Layers, seed: u64, target: &For) -> Result<Model> {
    let arch = target.arch();
    let mut columns = network.inputs;
    let mut layers = vec![];
    for (number, layer) in network.layers.iter().enumerate() {
        if let Some(conv) = &layer.conv {
            conv.check().map_err(|found| anyhow::anyhow!("layer{number}: {found}"))?;
            columns = conv.patch();
        }
        layers.push(quantized(seed, number, layer, columns, arch));
        columns = layers[number].outputs();
    }
    let outputs: Vec<Range> = network.layers.iter().map(|l| Range { low: -l.reach, high: l.reach }).collect();
    let settings = Settings {
        depths: target.depths(),
        acc_bits: target.exactly(arch.acc_bits),
        rows: if network.balanced { RowOrder::Balanced { seed } } else { RowOrder::Model },
        ..Settings::like(arch)
    };
    let calibration = Calibration::Given { input: Range { low: -1.0, high: 1.0 }, outputs: &outputs };
    let model = compile(&layers, &settings, calibration)?.model;
    target.check(model.arch())?;
    Ok(model)
}

/// Vector number `vector` of a run, in the model's order.
pub fn input(kind: Input, seed: u64, vector: usize, size: usize) -> Vec<i16> {
    let value = |i: usize| {
        let mut rng = of_place(seed, INPUT, vector, i);
        let small: u32 = rng.random_range(0..8);
        let any = rng.random_range(i16::MIN..=i16::MAX) >> small;
        match kind {
            Input::Zero => 0,
            Input::Last => {
                if i + 1 == size {
                    any | 1
                } else {
                    0
                }
            }
            Input::Least => i16::MIN,
            Input::Extreme => pick(&mut rng, &[i16::MIN, i16::MAX]),
            Input::Sparse => {
                if rng.random_bool(0.15) {
                    any
                } else {
                    0
                }
            }
            Input::Dense => any,
        }
    };
    (0..size).map(value).collect()
}
