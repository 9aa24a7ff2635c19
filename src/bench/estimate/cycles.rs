//! Cycles of drawn configurations: the cycle model beside the counter of the Verilated hardware. The memories are as deep as a
//! small drawn network needs, which does not change cycles.

use super::Drawn;
use crate::bench::ese_case::{Case, Variant};
use crate::bench::hardware;
use crate::bench::synthetic::Random;
use anyhow::Result;
use lacuna_compress::compile::{compile, Calibration, Densities, Range, Settings};
use lacuna_compress::model::{Activation, Nonzero, QuantizedLayer};
use lacuna_compress::recurrent::{
    compile_recurrent_with, synthetic, synthetic_ranges, Density, Pruning, RecurrentCalibration, RecurrentSettings, Shape,
};
use lacuna_compress::spec::arch::{Arch, Ese};
use lacuna_compress::spec::WeightForm;
use lacuna_sim::golden::{Golden, Recurrent};
use lacuna_sim::perf::Network;
use lacuna_sim::perf_ese::EseNetwork;

/// Of the matrix of an EIE: rows and columns, and the share of both weights and activations that are not zero.
const SIZE: (usize, usize, f64) = (48, 96, 0.2);
const LSTM: Shape = Shape { inputs: 24, cells: 48, projection: Some(24), peepholes: true };

/// Of the cycle model, and of the hardware if it can be run.
pub struct Cycles {
    pub model: u64,
    pub hardware: Option<u64>,
}

pub fn of(drawn: &Drawn) -> Result<Cycles> {
    match &drawn.arch.ese {
        None => eie(&drawn.arch, drawn.seed),
        Some(ese) => step(&drawn.arch, ese, drawn.seed),
    }
}

/// Of a layer.
fn eie(arch: &Arch, seed: u64) -> Result<Cycles> {
    let mut random = Random::new(seed);
    let (rows, columns, density) = SIZE;
    // code 0 is that of padding
    let most = 1 << (arch.weight_bits - 1);
    let column = |random: &mut Random| {
        let drawn = |row| (random.unit() < density).then(|| Nonzero { row, weight: 1 + random.below(most - 1).min(most) as i32 });
        (0..rows as u32).filter_map(drawn).collect::<Vec<_>>()
    };
    let columns: Vec<_> = (0..columns).map(|_| column(&mut random)).collect();
    let codes = 1 << arch.weight_bits;
    let codebook = (arch.weights == WeightForm::Codebook).then(|| (0..codes).map(|code| code as i16 * 64).collect());
    let input: Vec<f32> = columns.iter().map(|_| if random.unit() < density { random.unit() as f32 } else { 0.0 }).collect();
    let layer = QuantizedLayer {
        name: "drawn".into(),
        rows,
        columns,
        codebook,
        weight_fraction: if arch.weights == WeightForm::Codebook { 15 } else { arch.weight_bits as i32 - 1 },
        bias: vec![0.0; rows],
        activation: Activation::Relu,
        conv: None,
    };
    let settings = Settings { densities: Densities::Stated(density), ..Settings::like(arch) };
    let calibration = Calibration::Given { input: Range { low: 0.0, high: 1.0 }, outputs: &[Range { low: 0.0, high: 64.0 }] };
    let model = compile(std::slice::from_ref(&layer), &settings, calibration)?.model;
    let input = model.quantize_input(&input)?;
    let golden = Golden::new(&model.image)?;
    let cycles = Network::new(&golden).time(&golden.trace(&input)?).total.cycles;
    Ok(Cycles { model: cycles, hardware: hardware::judge_one(&model, &input)?.map(|judged| judged.cycles) })
}

/// Of a step in steady state.
fn step(arch: &Arch, ese: &Ese, seed: u64) -> Result<Cycles> {
    let network = synthetic(&LSTM, seed);
    let settings = RecurrentSettings { density: Density::uniform(&network, SIZE.2), ..RecurrentSettings::like(arch) };
    let ranges = synthetic_ranges(&network);
    let compiled = compile_recurrent_with(&network, &settings, RecurrentCalibration::Ranges(&ranges))?;
    let timing = EseNetwork::new(&Recurrent::new(&compiled.model.image)?);
    let variant = Variant {
        pes: arch.pes,
        channels: ese.channels,
        fifo: arch.fifo_depth,
        run_bits: Some(arch.run_bits),
        pruning: Pruning::LoadBalanced,
    };
    let steady = Case { variant, compiled, timing }.steady(hardware::available()?)?;
    Ok(Cycles { model: steady.model, hardware: steady.judged.map(|_| steady.cycles) })
}
