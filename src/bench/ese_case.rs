//! ESE's LSTM with random weights, compiled, timed and run: what the measurements of its size have in common.

use super::streams::{Compare, Judged, Machine};
use super::synthetic::Random;
use anyhow::{Context, Result};
use lacuna_compress::model::Recurrent;
use lacuna_compress::recurrent::{
    compile_recurrent_with, synthetic, synthetic_ranges, CompiledRecurrent, Density, Pruning, RecurrentCalibration, RecurrentSettings,
    Shape,
};
use lacuna_compress::spec::program::{Op, Source};
use lacuna_compress::spec::Section;
use lacuna_sim::golden::Recurrent as Golden;
use lacuna_sim::perf_ese::EseNetwork;

/// Of the weights, and of the inputs.
pub const SEED: u64 = 1;
pub const DENSITY: f64 = 0.1;
/// Cycles of a step as published: 82.7 us at 200 MHz.
pub const PAPER_STEP: u64 = 16_540;
/// Steps of a run under Verilator.
const STEPS: usize = 6;
/// Of their distances, those in which input was waiting on both sides: the first steps begin with empty buffers, and
/// behind the last one there is no further vector.
const STEADY: std::ops::Range<usize> = 1..STEPS - 2;

/// What is varied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variant {
    pub pes: usize,
    pub channels: usize,
    pub fifo: usize,
    /// `None`: so many that nothing is padded.
    pub run_bits: Option<usize>,
    pub pruning: Pruning,
}

impl Variant {
    /// Load-balanced, the best encoding.
    pub fn best(pes: usize, channels: usize, fifo: usize) -> Variant {
        Variant { pes, channels, fifo, run_bits: None, pruning: Pruning::LoadBalanced }
    }

    pub fn compile(&self, network: &Recurrent) -> Result<Case> {
        let settings = RecurrentSettings {
            pes: self.pes,
            channels: self.channels,
            fifo_depth: self.fifo,
            run_bits: self.run_bits,
            pruning: self.pruning,
            density: Density::uniform(network, DENSITY),
            ..RecurrentSettings::default()
        };
        let ranges = synthetic_ranges(network);
        let compiled = compile_recurrent_with(network, &settings, RecurrentCalibration::Ranges(&ranges))?;
        let timing = EseNetwork::new(&Golden::new(&compiled.model.image)?);
        Ok(Case { variant: *self, compiled, timing })
    }
}

/// Before pruning.
pub fn network() -> Recurrent {
    synthetic(&Shape::ESE, SEED)
}

pub struct Case {
    pub variant: Variant,
    pub compiled: CompiledRecurrent,
    pub timing: EseNetwork,
}

/// Steps in steady state.
pub struct Steady {
    /// The longest of them under Verilator, or the cycle model's.
    pub cycles: u64,
    pub model: u64,
    pub judged: Option<Judged>,
}

impl Steady {
    pub fn ran_exact(&self) -> bool {
        self.judged.as_ref().is_some_and(|j| j.exact)
    }
    pub fn is_the_models(&self) -> bool {
        self.judged.is_some() && self.cycles == self.model
    }
}

impl Case {
    /// Values of a standard normal distribution, one sequence per channel.
    fn inputs(&self) -> Result<Vec<Vec<Vec<i16>>>> {
        let model = &self.compiled.model;
        let mut random = Random::new(SEED);
        // twelve uniform values: a variance of 1, and never beyond 6
        let mut normal = || (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
        let mut step = || (0..model.network.input_size).map(|_| normal() as f32).collect::<Vec<f32>>();
        (0..self.variant.channels).map(|_| (0..STEPS).map(|_| Ok(model.quantize_input(&step())?)).collect()).collect()
    }

    /// Times steps by the cycle model, and runs them if asked to.
    pub fn steady(&self, verilator: bool) -> Result<Steady> {
        let model = self.timing.steady();
        let machine = if verilator { Machine::new(&self.compiled.model)? } else { None };
        let Some(mut machine) = machine else { return Ok(Steady { cycles: model, model, judged: None }) };
        let judged = machine.run(&self.inputs()?, Compare::LastState)?;
        let distances: Vec<u64> = judged.ends.windows(2).map(|e| e[1] - e[0]).collect();
        let cycles = distances.get(STEADY).and_then(|d| d.iter().copied().max()).unwrap_or(u64::MAX);
        Ok(Steady { cycles, model, judged: Some(judged) })
    }

    /// Cycles of a step by the cycle model if another number of input columns were held back.
    pub fn steady_with_hold(&self, hold: usize) -> Result<u64> {
        let (mut image, inputs) = (self.compiled.model.image.clone(), self.compiled.model.network.input_size);
        let words = image.sections.get_mut(&Section::Layers).context("an image without a program")?;
        let ops = Op::read_all(words);
        let first = ops.iter().position(|op| op.source == Source::Ahead && op.columns < inputs);
        let first = first.context("a program that holds nothing back")?;
        Op { columns: inputs.saturating_sub(hold).max(1), ..ops[first] }.write(words, first);
        Ok(EseNetwork::new(&Golden::new(&image)?).steady())
    }

    /// Weights that are not zero over PEs and cycles.
    pub fn utilization(&self, cycles: u64) -> f64 {
        self.compiled.report.nonzeros as f64 / (self.variant.pes as f64 * cycles as f64)
    }
}
