//! Cycles of drawn configurations: what `lacuna estimate` says, beside the counter of the Verilated hardware. The network is
//! small and drawn as well; a memory that was drawn too small for it is as deep as it needs.

use super::Drawn;
use crate::bench::ese_case::{Case, Variant};
use crate::bench::hardware;
use crate::bench::synthetic::Random;
use crate::estimate;
use anyhow::Result;
use lacuna_compress::compile::{compile, Calibration, Densities, Depths, Range, Settings};
use lacuna_compress::manifest::Model;
use lacuna_compress::model::{Activation, Conv, Nonzero, QuantizedLayer};
use lacuna_compress::recurrent::{
    compile_recurrent_with, synthetic, synthetic_ranges, Density, Pruning, RecurrentCalibration, RecurrentSettings, Shape,
};
use lacuna_compress::spec::arch::{Arch, Ese};
use lacuna_compress::spec::WeightForm;
use lacuna_sim::golden::Recurrent;
use lacuna_sim::perf_ese::EseNetwork;

/// Of the matrix of an EIE: rows and columns, and the share of both weights and activations that are not zero.
const SIZE: (usize, usize, f64) = (48, 96, 0.2);
/// Of the filters, if the accelerator has convolutions: 96 weights each.
const CONV: Conv = Conv { channels: 6, height: 7, width: 7, kernel: [4, 4], stride: 1, pool: 2 };
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
    let conv = arch.conv.then_some(CONV);
    let inputs = conv.map_or(columns.len(), |conv| conv.inputs());
    let input: Vec<f32> = (0..inputs).map(|_| if random.unit() < density { random.unit() as f32 } else { 0.0 }).collect();
    let layer = QuantizedLayer {
        name: "drawn".into(),
        rows,
        columns,
        codebook,
        weight_fraction: if arch.weights == WeightForm::Codebook { 15 } else { arch.weight_bits as i32 - 1 },
        bias: vec![0.0; rows],
        activation: Activation::Relu,
        conv,
    };
    let calibration = Calibration::Given { input: Range { low: 0.0, high: 1.0 }, outputs: &[Range { low: 0.0, high: 64.0 }] };
    let compiled = |depths| -> Result<Model> {
        let settings = Settings { densities: Densities::Stated(density), depths, ..Settings::like(arch) };
        Ok(compile(std::slice::from_ref(&layer), &settings, calibration)?.model)
    };
    let model = compiled(enough(arch, compiled(Depths::default())?.arch()))?;
    let input = model.quantize_input(&input)?;
    let cycles = estimate::cycles::of_input(&model, &input)?;
    Ok(Cycles { model: cycles, hardware: hardware::judge_one(&model, &input)?.map(|judged| judged.cycles) })
}

/// The drawn depths, or those that the network needs.
fn enough(drawn: &Arch, needed: &Arch) -> Depths {
    Depths {
        spmat: Some(drawn.spmat_depth.max(needed.spmat_depth)),
        ptr: Some(drawn.ptr_depth.max(needed.ptr_depth)),
        act: Some(drawn.act_depth.max(needed.act_depth)),
        acc: Some(drawn.acc_depth.max(needed.acc_depth)),
        bias: Some(drawn.bias_depth.max(needed.bias_depth)),
        max_layers: Some(drawn.max_layers.max(needed.max_layers)),
    }
}

/// Of a step in steady state.
fn step(arch: &Arch, ese: &Ese, seed: u64) -> Result<Cycles> {
    let network = synthetic(&LSTM, seed);
    let ranges = synthetic_ranges(&network);
    let settings = RecurrentSettings { density: Density::uniform(&network, SIZE.2), ..RecurrentSettings::like(arch) };
    let compiled = |settings: &RecurrentSettings| compile_recurrent_with(&network, settings, RecurrentCalibration::Ranges(&ranges));
    let first = compiled(&settings)?;
    let needed = first.model.arch();
    let deep = |of: fn(&Ese) -> usize| Some(of(ese).max(needed.ese.as_ref().map_or(0, of)));
    let compiled = compiled(&RecurrentSettings {
        depths: enough(arch, needed),
        cell_depth: deep(|ese| ese.cell_depth),
        input_depth: deep(|ese| ese.input_depth),
        output_depth: deep(|ese| ese.output_depth),
        ..settings
    })?;
    let timing = EseNetwork::new(&Recurrent::new(&compiled.model.image)?);
    let variant = Variant {
        pes: arch.pes,
        channels: ese.channels,
        fifo: arch.fifo_depth,
        run_bits: Some(arch.run_bits),
        pruning: Pruning::LoadBalanced,
    };
    let model = estimate::cycles::of_step(&compiled.model)?;
    let steady = Case { variant, compiled, timing }.steady(hardware::available()?)?;
    Ok(Cycles { model, hardware: steady.judged.map(|_| steady.cycles) })
}
