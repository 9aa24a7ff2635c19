//! From a configuration to a compiled model: the stages of the crate `compress`, one after the other.

pub mod answer;
pub mod recurrent;

use crate::term;
use anyhow::{bail, Result};
use lacuna_compress::compile::{compile, Calibration, Compiled, Settings};
use lacuna_compress::config::{Auto, Config};
use lacuna_compress::import::load_model;
use lacuna_compress::inputs::load_inputs;
use lacuna_compress::model::QuantizedLayer;
use lacuna_compress::prune::{prune, PruneReport, Rule};
use lacuna_compress::quantize::{self, quantize, Quantization};
use lacuna_compress::spec::arch::{Arch, Ese};
use lacuna_sim::golden::Golden;

/// A compiled model, and what each stage reported.
pub struct Compressed {
    pub compiled: Compiled,
    pub pruned: Vec<PruneReport>,
    pub quantized: Vec<quantize::LayerReport>,
    /// The network's weights as the image has them.
    pub layers: Vec<QuantizedLayer>,
    /// Results that saturated on the calibration samples, layer by layer.
    pub saturated: Vec<usize>,
}

/// Runs all stages.
pub fn compress(config: &Config) -> Result<Compressed> {
    let input = &config.input;
    let Some(calibration) = &input.calibration else {
        bail!("input.calibration is not set: the formats of the activations come from the ranges that samples show");
    };
    let spinner = term::spinner("importing");
    let dense = load_model(config)?;
    let mut samples = load_inputs(&config.path(calibration), input.tensor.as_deref(), input.scale, input.offset)?;
    samples.truncate(input.calibration_samples);
    spinner.set_message("pruning");
    let rules: Vec<Rule> = config.model.layer.iter().map(|l| l.rule()).collect();
    let (sparse, pruned) = prune(dense, &rules)?;
    spinner.set_message("quantizing");
    let (layers, quantized) = quantize(&sparse, &Quantization::from(config))?;
    spinner.set_message("compiling");
    let mut compiled = compile(&layers, &Settings::from_config(config), Calibration::Samples(&samples))?;

    spinner.set_message("counting saturations");
    let golden = Golden::new(&compiled.model.image)?;
    let mut saturated = vec![0; layers.len()];
    for sample in samples.iter() {
        let trace = golden.trace(&compiled.model.quantize_input(sample)?)?;
        saturated.iter_mut().zip(&trace.layers).for_each(|(sum, layer)| *sum += layer.saturated);
    }
    compiled.model.answer = Some(answer::of_layers(&compiled.model, &golden)?);
    spinner.finish_and_clear();
    Ok(Compressed { compiled, pruned, quantized, layers, saturated })
}

/// The accelerator that a configuration describes; what is "auto" is as in `model`. Without one it is an
/// error, which names the keys.
pub fn arch_of(config: &Config, model: Option<&Arch>) -> Result<Arch> {
    let (a, ese) = (&config.accelerator, config.ese());
    let open = open_keys(config);
    if model.is_none() && !open.is_empty() {
        bail!("\"auto\" needs a model, which is what --container gives; or set accelerator.{}", open.join(", accelerator."));
    }
    if let Some(model) = model.filter(|m| m.ese.is_some() != ese.is_some()) {
        let kind = |ese: bool| if ese { "for LSTMs (ESE)" } else { "for convolutions and fully connected layers (EIE)" };
        bail!(
            "the model was compiled for an accelerator {}, the configuration describes one {}",
            kind(model.ese.is_some()),
            kind(ese.is_some())
        );
    }
    let layers = &config.model.layer;
    let conv = if layers.is_empty() { model.is_some_and(|m| m.conv) } else { layers.iter().any(|layer| layer.conv.is_some()) };
    let take = |value: Auto<usize>, field: fn(&Arch) -> usize| value.or(model.map_or(0, field));
    let of_ese = |value: Auto<usize>, field: fn(&Ese) -> usize| value.or(model.and_then(|m| m.ese.as_ref()).map_or(0, field));
    let arch = Arch {
        pes: a.pes,
        fifo_depth: a.fifo_depth,
        weights: a.weights,
        weight_bits: a.weight_bits,
        run_bits: take(a.run_bits, |m| m.run_bits),
        entries_per_word: a.entries_per_word,
        spmat_depth: take(a.spmat_depth, |m| m.spmat_depth),
        ptr_depth: take(a.ptr_depth, |m| m.ptr_depth),
        act_depth: take(a.act_depth, |m| m.act_depth),
        acc_depth: take(a.acc_depth, |m| m.acc_depth),
        bias_depth: take(a.bias_depth, |m| m.bias_depth),
        acc_bits: a.acc_bits,
        max_layers: take(a.max_layers, |m| m.max_layers),
        conv,
        ese: ese.map(|e| Ese {
            channels: e.channels,
            cell_depth: of_ese(e.cell_depth, |m| m.cell_depth),
            input_depth: of_ese(e.input_depth, |m| m.input_depth),
            output_depth: of_ese(e.output_depth, |m| m.output_depth),
        }),
    };
    arch.validate()?;
    Ok(arch)
}

/// Keys that are left to the model.
pub fn open_keys(config: &Config) -> Vec<&'static str> {
    let a = &config.accelerator;
    let mut keys = vec![
        ("run_bits", a.run_bits),
        ("spmat_depth", a.spmat_depth),
        ("ptr_depth", a.ptr_depth),
        ("act_depth", a.act_depth),
        ("acc_depth", a.acc_depth),
        ("bias_depth", a.bias_depth),
        ("max_layers", a.max_layers),
    ];
    if let Some(ese) = config.ese() {
        keys.extend([("ese.cell_depth", ese.cell_depth), ("ese.input_depth", ese.input_depth), ("ese.output_depth", ese.output_depth)]);
    }
    keys.into_iter().filter(|(_, value)| *value == Auto::Auto).map(|(key, _)| key).collect()
}
