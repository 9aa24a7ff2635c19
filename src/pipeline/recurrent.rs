//! From a configuration with LSTM layers to compiled models: one, or for a bidirectional network one for each direction.

use crate::term;
use anyhow::{bail, Result};
use lacuna_compress::compile::Depths;
use lacuna_compress::config::Config;
use lacuna_compress::error::grouped;
use lacuna_compress::import::load_recurrent;
use lacuna_compress::inputs::load_sequences;
use lacuna_compress::manifest::RecurrentModel;
use lacuna_compress::model::Recurrent;
use lacuna_compress::recurrent::{compile_recurrent, CompiledRecurrent, RecurrentSettings};
use lacuna_compress::spec::Arch;
use lacuna_sim::golden;
use lacuna_sim::reference::LstmReference;

/// Steps of a sequence, one value per input each.
pub type Steps = Vec<Vec<f32>>;

/// A compiled network of one direction, and what it did with the calibration sequences.
pub struct CompressedRecurrent {
    /// As imported.
    pub network: Recurrent,
    pub compiled: CompiledRecurrent,
    pub sequences: usize,
    /// Values that saturated in the golden model.
    pub saturated: usize,
    /// Largest distance of an output of the golden model from the imported network's, in floating point.
    pub largest_error: f64,
}

/// Runs all stages.
pub fn compress(config: &Config) -> Result<Vec<CompressedRecurrent>> {
    let input = &config.input;
    let Some(calibration) = &input.calibration else {
        bail!("input.calibration is not set: the formats of the states come from the ranges that sequences show");
    };
    if (input.scale, input.offset) != (1.0, 0.0) {
        let found = format!("found input.scale {} and input.offset {}", input.scale, input.offset);
        bail!("{found}, expected 1 and 0 with [[model.lstm]]: its containers keep none");
    }
    let spinner = term::spinner("importing");
    let networks = load_recurrent(config)?;
    let inputs = networks.first().map_or(0, Recurrent::inputs);
    let mut sequences = load_sequences(&config.path(calibration), input.tensor.as_deref(), inputs)?;
    sequences.truncate(input.calibration_samples);
    spinner.set_message("pruning, quantizing and compiling");
    let compiled = compile(&networks, &RecurrentSettings::from_config(config), &sequences)?;
    spinner.set_message("running the calibration sequences");
    let pairs = networks.into_iter().zip(compiled);
    let found = pairs.map(|(network, compiled)| check(network, compiled, &sequences)).collect::<Result<_>>()?;
    spinner.finish_and_clear();
    Ok(found)
}

/// Compiles every direction, all for the same accelerator: what is left to the model must hold each of them.
fn compile(networks: &[Recurrent], settings: &RecurrentSettings, sequences: &[Steps]) -> Result<Vec<CompiledRecurrent>> {
    let each = |settings: &RecurrentSettings| -> Result<Vec<CompiledRecurrent>> {
        Ok(networks.iter().map(|n| compile_recurrent(n, settings, sequences)).collect::<Result<_, _>>()?)
    };
    let mut settings = settings.clone();
    let mut compiled = each(&settings)?;
    let equal = |compiled: &[CompiledRecurrent]| compiled.windows(2).all(|two| two[0].model.arch() == two[1].model.arch());
    if !equal(&compiled) {
        settings.run_bits = compiled.first().map(|c| c.model.arch().run_bits);
        compiled = each(&settings)?;
    }
    if !equal(&compiled) {
        let most = |of: fn(&Arch) -> usize| compiled.iter().map(|c| of(c.model.arch())).max();
        let ese =
            |of: fn(&lacuna_compress::spec::arch::Ese) -> usize| compiled.iter().filter_map(|c| c.model.arch().ese.as_ref()).map(of).max();
        settings.depths = Depths {
            spmat: most(|a| a.spmat_depth),
            ptr: most(|a| a.ptr_depth),
            act: most(|a| a.act_depth),
            acc: most(|a| a.acc_depth),
            bias: most(|a| a.bias_depth),
            max_layers: most(|a| a.max_layers),
        };
        (settings.cell_depth, settings.input_depth) = (ese(|e| e.cell_depth), ese(|e| e.input_depth));
        settings.output_depth = ese(|e| e.output_depth);
        compiled = each(&settings)?;
    }
    Ok(compiled)
}

fn check(network: Recurrent, mut compiled: CompiledRecurrent, sequences: &[Steps]) -> Result<CompressedRecurrent> {
    let golden = golden::Recurrent::new(&compiled.model.image)?;
    let reference = LstmReference::new(&network);
    let (mut saturated, mut largest_error) = (0, 0f64);
    for sequence in sequences {
        let steps = quantize(&compiled.model, sequence)?;
        let run = run_golden(&compiled.model, &golden, &steps)?;
        saturated += run.saturated.iter().sum::<usize>();
        let expected = reference.run(&mut reference.state(), sequence);
        for (found, expected) in run.outputs.iter().zip(&expected) {
            let found = compiled.model.dequantize_output(found);
            let errors = found.iter().zip(expected).map(|(f, e)| (f64::from(*f) - e).abs());
            largest_error = errors.fold(largest_error, f64::max);
        }
    }
    compiled.model.answer = Some(super::answer::of_steps(&golden)?);
    Ok(CompressedRecurrent { network, compiled, sequences: sequences.len(), saturated, largest_error })
}

/// The steps of a sequence as the accelerator takes them, in the order of time.
pub fn quantize(model: &RecurrentModel, sequence: &[Vec<f32>]) -> Result<Vec<Vec<i16>>> {
    Ok(sequence.iter().map(|step| model.quantize_input(step)).collect::<Result<_, _>>()?)
}

/// What the golden model made of a sequence.
pub struct GoldenRun {
    /// One output vector for each step, in the order of time.
    pub outputs: Vec<Vec<i16>>,
    /// Values that saturated, job by job.
    pub saturated: Vec<usize>,
}

/// A sequence from zero state on. A network that hears its sequence from the end gets it so.
pub fn run_golden(model: &RecurrentModel, golden: &golden::Recurrent, steps: &[Vec<i16>]) -> Result<GoldenRun> {
    let mut state = golden.state();
    state.begin();
    let mut run = GoldenRun { outputs: vec![], saturated: vec![] };
    for step in presented(model, steps) {
        let trace = golden.step(&mut state, &step)?;
        run.saturated.resize(trace.jobs.len(), 0);
        run.saturated.iter_mut().zip(&trace.jobs).for_each(|(sum, job)| *sum += job.saturated);
        run.outputs.push(trace.output);
    }
    run.outputs = presented(model, &run.outputs);
    Ok(run)
}

/// Steps in the order of time as the accelerator is given them, or outputs the other way round.
pub fn presented<T: Clone>(model: &RecurrentModel, steps: &[T]) -> Vec<T> {
    match model.network.reverse {
        true => steps.iter().rev().cloned().collect(),
        false => steps.to_vec(),
    }
}

/// `lstm cells 0, lstm projection 3, logits 0`
pub fn saturation_text(model: &RecurrentModel, saturated: &[usize]) -> String {
    let network = &model.network;
    let mut names = vec![];
    for layer in &network.lstm {
        names.push(format!("{} cells", layer.name));
        names.extend(layer.projection.then(|| format!("{} projection", layer.name)));
    }
    names.extend(network.layers.iter().map(|l| l.name.clone()));
    names.iter().zip(saturated).map(|(name, n)| format!("{name} {}", grouped(*n))).collect::<Vec<_>>().join(", ")
}
