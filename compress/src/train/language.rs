//! A language model of symbols: dense training, then iterative load-balanced pruning with retraining.
//!
//! The text is cut into streams that are read side by side from end to end, in each epoch from another place on; states are
//! carried from piece to piece. Checkpoints are made after every epoch. Every epoch draws from a generator of its own, so that
//! one after a break is as it would have been.

mod configured;
mod epoch;
mod export;
mod masks;
mod settings;
#[cfg(test)]
mod tests;

pub use configured::{Corpus, Task};
pub use epoch::{bits_in_one_run, bits_in_streams};
pub use export::{save_network, tensors};
pub use masks::{balanced, density};
pub use settings::{LanguageSettings, Learning, Phase, PruneSettings, Share, Stage};

use super::checkpoint::{self, config_hash, Header};
use super::classify::{optimizer, Checkpoints};
use super::fit::check_loss;
use super::lstm::{RecurrentVariables, Shape};
use super::optimize::Optimizer;
use super::progress::Progress;
use super::rename::Speakers;
use super::retrain::optimizer_tensors;
use super::schedule::{cubic_density, Schedule};
use super::text::{Parts, HELD_OUT};
use crate::error::Error;
use crate::model::Recurrent;
use candle_core::Tensor;
use epoch::{Epoch, Teacher};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Streams that the held-out text is measured in.
const HELD_OUT_STREAMS: usize = 8;

/// A network after a part of the training.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    pub network: Recurrent,
    /// Share of weights kept of the LSTM layers' matrices.
    pub density: f64,
    /// Bits per symbol of the held-out text; of the end of what it was trained on, if nothing is held out.
    pub held_out: f64,
    /// Time of this part, all runs of it together.
    pub seconds: f64,
    /// Symbols trained on in a second.
    pub speed: f64,
}

/// Trains the dense network that the settings describe. With a checkpoint of the same settings and text it goes on from there.
pub fn train(
    settings: &LanguageSettings,
    parts: &Parts,
    symbols: usize,
    checkpoints: &Checkpoints,
    progress: &mut dyn Progress,
) -> Result<Trained, Error> {
    settings.check()?;
    let shape =
        Shape { symbols, layers: settings.layers, cells: settings.cells, projection: settings.projection, peepholes: settings.peepholes };
    train_from(settings, RecurrentVariables::new(&shape, settings.seed)?, parts, checkpoints, progress)
}

/// The same from a network that stands, whose sizes are not those of the settings.
pub fn train_from(
    settings: &LanguageSettings,
    network: RecurrentVariables,
    parts: &Parts,
    checkpoints: &Checkpoints,
    progress: &mut dyn Progress,
) -> Result<Trained, Error> {
    settings.check()?;
    // what the result of this part depends on
    let settings_of_part = LanguageSettings { prune: None, ..settings.clone() };
    let key = config_hash(&(settings_of_part, values(&network)?, parts.train, parts.held_out))?;
    let mut part = Part::new(settings, parts, network, checkpoints);
    part.key = key;
    part.run("dense", 0, settings.dense, settings.learning.schedule, progress, |_, _, _| Ok(None))
}

/// The values of every variable.
fn values(network: &RecurrentVariables) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let bytes = |values: Vec<f32>| values.iter().flat_map(|v| v.to_le_bytes()).collect();
    network.named().into_iter().map(|(name, var)| Ok((name, bytes(super::slices::values(&var)?)))).collect()
}

/// Bits per symbol of the held-out text; of the end of what is trained on, if nothing is held out.
pub fn bits_held_out(settings: &LanguageSettings, network: &RecurrentVariables, parts: &Parts) -> Result<f64, Error> {
    let text = match parts {
        Parts { held_out: [], train, .. } => &train[train.len() - train.len() * HELD_OUT / 100..],
        parts => parts.held_out,
    };
    bits_in_streams(network, text, HELD_OUT_STREAMS, settings.steps)
}

/// Prunes a trained network stage by stage, each from the one before; returns one network for each stage that was gone
/// through. With checkpoints of the same settings, text and network it goes on from there. Errors: settings without `prune`.
pub fn prune(
    settings: &LanguageSettings,
    dense: &Recurrent,
    parts: &Parts,
    checkpoints: &Checkpoints,
    progress: &mut dyn Progress,
) -> Result<Vec<Trained>, Error> {
    settings.check()?;
    let Some(prune) = &settings.prune else { return Err(Error::Training("found no settings of pruning, expected some".into())) };
    let network = RecurrentVariables::from_model(dense)?;
    if let Some(bad) = [parts.train, parts.held_out].concat().iter().find(|s| **s as usize >= network.symbols()) {
        return Err(Error::Training(format!("found symbol {bad} in the text, expected those of the network, below {}", network.symbols())));
    }
    let most = match prune.lose_at_most {
        Some(bits) => bits_held_out(settings, &network, parts)? + bits,
        None => f64::INFINITY,
    };
    let how = (settings.seed, settings.streams, settings.steps, settings.clip, settings.rename, settings.learning);
    let mut key = config_hash(&(how, values(&network)?, parts.train, parts.held_out))?;
    let how = PruneSettings { stage: vec![], lose_at_most: None, ..prune.clone() };
    let mut part = Part::new(settings, parts, network, checkpoints);
    part.teacher = (prune.distill > 0.0).then(|| RecurrentVariables::from_model(dense)).transpose()?;
    let (mut before, mut all) = (1.0, vec![]);
    for (number, stage) in prune.stage.iter().enumerate() {
        // of the stages before too
        key = config_hash(&(&key, &how, stage))?;
        part.key = key.clone();
        let from = std::mem::replace(&mut before, stage.density);
        let trained = part.run(&stage.name(), 1 + number, stage.phase(), Schedule::Cosine, progress, |network, masks, done| {
            let done = if prune.pruning > 0.0 { done / prune.pruning } else { 1.0 };
            // a little further, so that the last of the changes reaches the end
            let density = cubic_density(from, stage.density, done * 1.1 + 0.05);
            balanced(network, masks, prune.share, density, prune.pes).map(Some)
        })?;
        let enough = trained.held_out > most;
        all.push(trained);
        if enough {
            break;
        }
    }
    Ok(all)
}

/// The checkpoint of a part, beside those of the others.
fn file(checkpoints: &Checkpoints, number: usize, name: &str) -> Option<PathBuf> {
    Some(checkpoints.file.as_ref()?.with_extension(format!("{number}-{}.checkpoint", name.replace(' ', "-"))))
}

/// Removes the checkpoints of all parts, which nobody needs when the result is written.
pub fn remove_checkpoints(settings: &LanguageSettings, checkpoints: &Checkpoints) {
    let stages = settings.prune.iter().flat_map(|p| p.stage.iter().map(Stage::name));
    for (number, name) in std::iter::once("dense".to_string()).chain(stages).enumerate() {
        if let Some(file) = file(checkpoints, number, &name) {
            // one that stays does no harm
            let _ = std::fs::remove_file(file);
        }
    }
}

/// What the parts of a training share.
struct Part<'a> {
    settings: &'a LanguageSettings,
    parts: &'a Parts<'a>,
    network: RecurrentVariables,
    masks: Vec<Option<Tensor>>,
    speakers: Option<Speakers>,
    teacher: Option<RecurrentVariables>,
    /// Of the checkpoint.
    key: String,
    checkpoints: &'a Checkpoints,
}

/// Changes of the masks in an epoch.
const CHANGES: usize = 8;

impl<'a> Part<'a> {
    fn new(settings: &'a LanguageSettings, parts: &'a Parts<'a>, network: RecurrentVariables, checkpoints: &'a Checkpoints) -> Part<'a> {
        let speakers = (settings.rename > 0.0).then(|| Speakers::new(parts.vocabulary, parts.train, settings.rename));
        let masks = vec![None; network.named().len()];
        Part { settings, parts, network, masks, speakers, teacher: None, key: String::new(), checkpoints }
    }

    /// What the teacher says of a text; `None` without one.
    fn taught(&self, text: &[u32]) -> Result<Option<Teacher>, Error> {
        let (settings, share) = (self.settings, self.settings.prune.as_ref().map_or(0.0, |p| p.distill));
        self.teacher.as_ref().map(|t| Teacher::new(t, text, settings.streams, settings.steps, share)).transpose()
    }

    /// Trains; `masks` says after a share of the part how the masks of a network go on, if they do.
    fn run(
        &mut self,
        name: &str,
        number: usize,
        phase: Phase,
        schedule: Schedule,
        progress: &mut dyn Progress,
        masks: impl Fn(&RecurrentVariables, &[Option<Tensor>], f64) -> Result<Option<Vec<Option<Tensor>>>, Error>,
    ) -> Result<Trained, Error> {
        let Learning { optimizer: kind, momentum, weight_decay, .. } = self.settings.learning;
        let mut optimizer = optimizer(kind, phase.rate, momentum, weight_decay);
        let file = file(self.checkpoints, number, name);
        let mut header = Header { config: self.key.clone(), seed: self.settings.seed, part: name.to_string(), ..Header::default() };
        if let Some(file) = file.as_ref().filter(|f| self.checkpoints.resume && f.exists()) {
            let (found, tensors) = checkpoint::load(file, &self.key)?;
            self.network.load(&checkpoint::under(&tensors, "vars."))?;
            let kept = checkpoint::under(&tensors, "masks.");
            self.masks = self.network.named().iter().map(|(name, _)| kept.get(name).cloned()).collect();
            optimizer.restore(&checkpoint::under(&tensors, "optimizer."))?;
            progress.note(&format!("{name}: goes on after epoch {} of {}, from {}", found.epoch, phase.epochs, file.display()));
            header = found;
        }
        let vars: Vec<_> = self.network.named().into_iter().map(|(_, var)| var).collect();
        let mut trained = header.figures.get("symbols").copied().unwrap_or(0.0);
        let mut seconds = header.figures.get("seconds").copied().unwrap_or(0.0);
        let mut held_out = header.figures.get("held_out").copied();
        let mut text = Cow::Borrowed(self.parts.train);
        let mut taught = None;
        for epoch in header.epoch..phase.epochs {
            let start = std::time::Instant::now();
            if let Some(speakers) = &self.speakers {
                text = Cow::Owned(speakers.renamed(self.parts.train, self.settings.seed, [number, epoch]));
            }
            if taught.is_none() || self.speakers.is_some() {
                taught = self.taught(&text)?;
            }
            let mut run = Epoch::new(self.settings, &text, [number, epoch])?;
            progress.epoch_started(name, epoch, phase.epochs, run.batches);
            let mut loss = 0.0;
            for batch in 0..run.batches {
                let done = (epoch as f64 + batch as f64 / run.batches as f64) / phase.epochs as f64;
                if batch % run.batches.div_ceil(CHANGES) == 0 {
                    if let Some(changed) = masks(&self.network, &self.masks, done)? {
                        self.masks = changed;
                        masks::apply(&self.network, &self.masks)?;
                    }
                }
                optimizer.set_rate(phase.rate * schedule.at(done * phase.epochs as f64, phase.epochs));
                let (of_batch, grads) = run.gradients(&self.network, taught.as_ref(), phase.dropout)?;
                check_loss(of_batch, batch)?;
                optimizer.step(&vars, &grads, &self.masks)?;
                loss += of_batch;
                progress.step(batch, of_batch);
            }
            trained += run.symbols() as f64;
            let error = bits_held_out(self.settings, &self.network, self.parts)?;
            check_loss(error, run.batches)?;
            held_out = Some(error);
            seconds += start.elapsed().as_secs_f64();
            progress.epoch_ended(epoch, loss / run.batches.max(1) as f64, error);
            header.epoch = epoch + 1;
            header.figures =
                BTreeMap::from([("symbols", trained), ("seconds", seconds), ("held_out", error)].map(|(k, v)| (k.to_string(), v)));
            if let Some(file) = &file {
                self.save(file, &header, optimizer.as_ref())?;
            }
        }
        let held_out = match held_out {
            Some(held_out) => held_out,
            None => bits_held_out(self.settings, &self.network, self.parts)?,
        };
        let density = density(&self.masks)?;
        Ok(Trained { network: self.network.to_model()?, density, held_out, seconds, speed: trained / seconds.max(1e-9) })
    }

    fn save(&self, file: &Path, header: &Header, optimizer: &dyn Optimizer) -> Result<(), Error> {
        let named = self.network.named();
        let vars = named.iter().map(|(name, var)| (format!("vars.{name}"), var.as_tensor().clone()));
        let masks = named.iter().zip(&self.masks).filter_map(|((name, _), mask)| Some((format!("masks.{name}"), mask.clone()?)));
        checkpoint::save(file, header, &vars.chain(masks).chain(optimizer_tensors(optimizer.state()?)).collect())
    }
}
