//! A recurrent network from its description: weights, and the compiled model.

use super::chance::of_place;
use super::configuration::{Lstms, Pattern};
use super::layers::{has_weight, For, Place};
use anyhow::{bail, Result};
use lacuna_compress::compile::Range;
use lacuna_compress::manifest::RecurrentModel;
use lacuna_compress::model::{Activation, DenseLayer, LstmLayer, Matrix, Recurrent};
use lacuna_compress::recurrent::{compile_recurrent_with, LstmRanges, RecurrentCalibration, RecurrentRanges, RecurrentSettings};
use lacuna_compress::spec::Arch;
use rand::RngExt;

/// Matrices of an LSTM layer have numbers from 16 times its own on, vectors are 9 above; then come the other layers.
const OF_LSTM: u32 = 16;
const PROJECTION: u32 = 8;
const VECTORS: u32 = 9;
const OF_LAYER: u32 = 1 << 12;

struct Weights<'a> {
    seed: u64,
    arch: &'a Arch,
}

impl Weights<'_> {
    fn matrix(&self, number: u32, rows: usize, columns: usize, pattern: Pattern, density: f64) -> Matrix {
        let chosen = of_place(self.seed, OF_LAYER * 2, 0, 0).random_range(0..self.arch.pes);
        let mut data = Vec::with_capacity(rows * columns);
        for row in 0..rows {
            for column in 0..columns {
                let place =
                    Place { seed: self.seed, matrix: number, row, column, rows, pes: self.arch.pes, run_bits: self.arch.run_bits, chosen };
                let any = of_place(self.seed, number + (1 << 20), column, row).random_range(-1.0f32..1.0);
                data.push(if has_weight(pattern, density, &place) { any } else { 0.0 });
            }
        }
        Matrix { rows, columns, data }
    }

    fn vector(&self, number: u32, gate: usize, count: usize, reach: f64) -> Vec<f32> {
        (0..count).map(|i| (reach * of_place(self.seed, number, gate, i).random_range(-1.0..1.0)) as f32).collect()
    }
}

fn network(spec: &Lstms, seed: u64, arch: &Arch) -> Recurrent {
    let weights = Weights { seed, arch };
    let mut width = spec.inputs;
    let mut lstm = vec![];
    for (number, layer) in spec.lstm.iter().enumerate() {
        let base = OF_LSTM * number as u32;
        let (cells, hidden) = (layer.cells, layer.projection.unwrap_or(layer.cells));
        let gates = |first: u32, columns: usize| {
            std::array::from_fn(|gate| weights.matrix(base + first + gate as u32, cells, columns, layer.pattern, layer.density))
        };
        lstm.push(LstmLayer {
            name: format!("lstm{number}"),
            input_weights: gates(0, width),
            hidden_weights: gates(4, hidden),
            bias: std::array::from_fn(|gate| weights.vector(base + VECTORS, gate, cells, spec.bias)),
            peepholes: layer.peepholes.then(|| std::array::from_fn(|gate| weights.vector(base + VECTORS, 4 + gate, cells, 0.5))),
            projection: layer.projection.map(|rows| weights.matrix(base + PROJECTION, rows, cells, layer.pattern, layer.density)),
            candidate: layer.candidate,
        });
        width = hidden;
    }
    let mut layers = vec![];
    for (number, layer) in spec.layers.iter().enumerate() {
        let stream = OF_LAYER + number as u32;
        layers.push(DenseLayer {
            name: format!("layer{number}"),
            weights: weights.matrix(stream, layer.rows, width, layer.pattern, layer.density),
            bias: weights.vector(stream + VECTORS * OF_LAYER, 0, layer.rows, 0.5),
            activation: if layer.relu { Activation::Relu } else { Activation::None },
            conv: None,
        });
        width = layer.rows;
    }
    Recurrent { lstm, layers, reverse: false }
}

/// Compiles the network. An error says why there is none.
pub fn model(spec: &Lstms, seed: u64, target: &For) -> Result<RecurrentModel> {
    let arch = target.arch();
    let Some(ese) = &arch.ese else { bail!("the accelerator runs no LSTMs") };
    let settings = RecurrentSettings {
        depths: target.depths(),
        cell_depth: target.exactly(ese.cell_depth),
        input_depth: target.exactly(ese.input_depth),
        output_depth: target.exactly(ese.output_depth),
        acc_bits: target.exactly(arch.acc_bits),
        iterations: 20,
        seed,
        margin_bits: 0,
        hold_columns: spec.hold,
        ..RecurrentSettings::like(arch)
    };
    let even = |high: f64| Range { low: -high, high };
    let ranges = RecurrentRanges {
        input: even(1.0),
        lstm: spec.lstm.iter().map(|_| LstmRanges { cell: even(spec.reach), hidden: even(spec.reach.min(4.0)) }).collect(),
        layers: spec.layers.iter().map(|_| even(spec.reach)).collect(),
    };
    let network = network(spec, seed, arch);
    let model = compile_recurrent_with(&network, &settings, RecurrentCalibration::Ranges(&ranges))?.model;
    target.check(model.arch())?;
    Ok(model)
}
