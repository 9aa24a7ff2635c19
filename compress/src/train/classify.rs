//! Training of a classifier from nothing, with a checkpoint after each epoch.

use super::checkpoint::{self, Header};
use super::data::{Augment, Data};
use super::fit::{self, Pass};
use super::network::{initial, Network};
use super::optimize::{Adam, Optimizer, Sgd};
use super::progress::Progress;
use super::schedule::Schedule;
use crate::config::{Config, OptimizerKind, ScheduleKind, TrainConfig};
use crate::error::Error;
use crate::model::Dense;
use candle_core::{Tensor, Var};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where checkpoints go, and whether to go on from the one that is there.
#[derive(Clone, Debug, Default)]
pub struct Checkpoints {
    /// The file; none writes none.
    pub file: Option<PathBuf>,
    pub resume: bool,
}

/// What training came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    pub dense: Dense,
    /// Share of the samples held out that the network gets wrong, after each epoch; those before a resumed one are lost.
    pub errors: Vec<f64>,
}

/// The optimizer that a table asks for.
pub fn optimizer(kind: OptimizerKind, rate: f64, momentum: f64, weight_decay: f64) -> Box<dyn Optimizer> {
    match kind {
        OptimizerKind::Sgd => Box::new(Sgd::new(rate, momentum, weight_decay)),
        OptimizerKind::Adam => Box::new(Adam::new(rate, weight_decay)),
    }
}

impl TrainConfig {
    pub fn learning_schedule(&self) -> Schedule {
        match self.schedule {
            ScheduleKind::Constant => Schedule::Constant,
            ScheduleKind::Step => Schedule::Step { every: self.step_epochs, factor: self.step_factor },
            ScheduleKind::Cosine => Schedule::Cosine,
        }
    }
}

/// The variables by number, under `vars.`.
pub fn vars_as_tensors(vars: &[Var]) -> BTreeMap<String, Tensor> {
    vars.iter().enumerate().map(|(i, v)| (format!("vars.{i:03}"), v.as_tensor().clone())).collect()
}

/// The reverse of [`vars_as_tensors`]; an error if one is missing or has another shape.
pub fn set_vars(vars: &[Var], tensors: &BTreeMap<String, Tensor>) -> Result<(), Error> {
    for (i, var) in vars.iter().enumerate() {
        let name = format!("vars.{i:03}");
        let tensor = tensors.get(&name).ok_or_else(|| Error::Training(format!("found no tensor `{name}` in the checkpoint")))?;
        var.set(tensor)?;
    }
    Ok(())
}

/// Trains the layers of the configuration from random weights as `[train]` says.
pub fn train(config: &Config, data: &Data, checkpoints: &Checkpoints, progress: &mut dyn Progress) -> Result<Trained, Error> {
    let settings = &config.train;
    let start = initial(config, data.train.samples.size)?;
    fit::check(&start, &data.train)?;
    fit::check(&start, &data.held_out)?;
    let network = Network::new(&start)?;
    let vars = network.vars();
    let masks = vec![None; vars.len()];
    let mut optimizer = optimizer(settings.optimizer, settings.rate, settings.momentum, settings.weight_decay);
    let hash = checkpoint::config_hash(&("train", &config.model, settings, &config.input, data.digest()))?;
    let mut first = 0;
    if let Some(file) = checkpoints.file.as_ref().filter(|file| checkpoints.resume && file.exists()) {
        let (header, tensors) = checkpoint::load(file, &hash)?;
        set_vars(&vars, &tensors)?;
        optimizer.restore(&checkpoint::under(&tensors, "optimizer."))?;
        first = header.epoch;
        progress.note(&format!("going on after epoch {first}"));
    }
    let pass = Pass {
        seed: settings.seed,
        part: 0,
        batch: settings.batch,
        augment: Augment::new(config, data.train.samples.size)?,
        dropout: if settings.dropout > 0.0 { vec![settings.dropout; network.layers.len()] } else { vec![] },
        teacher: None,
    };
    let schedule = settings.learning_schedule();
    let mut errors = Vec::new();
    for epoch in first..settings.epochs {
        progress.epoch_started("dense", epoch, settings.epochs, data.train.samples.count.div_ceil(settings.batch));
        let loss = pass.epoch(&network, data, epoch, progress, &mut |step, steps, grads| {
            let done = epoch as f64 + step as f64 / steps as f64;
            optimizer.set_rate(settings.rate * schedule.at(done, settings.epochs));
            optimizer.step(&vars, grads, &masks)
        })?;
        let error = fit::error(&network, &data.held_out)?;
        errors.push(error);
        progress.epoch_ended(epoch, loss, error);
        if let Some(file) = &checkpoints.file {
            let mut tensors = vars_as_tensors(&vars);
            tensors.extend(optimizer.state()?.into_iter().map(|(name, t)| (format!("optimizer.{name}"), t)));
            let header = Header { config: hash.clone(), seed: settings.seed, part: "dense".into(), epoch: epoch + 1, ..Header::default() };
            checkpoint::save(file, &header, &tensors)?;
        }
    }
    Ok(Trained { dense: network.dense()?, errors })
}
