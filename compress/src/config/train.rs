//! `[train]`, `[prune]` and `[share]`: how a network is trained, pruned with retraining, and given shared weights.

use super::CodebookInit;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Training of a dense network, and the data of all training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Samples to train with, in any format of `input.file`, with its scale and offset.
    pub inputs: Option<PathBuf>,
    /// The class of each of them.
    pub labels: Option<PathBuf>,
    /// Instead of them, of a network with an LSTM: the text that it learns to predict, character by character.
    pub text: Option<PathBuf>,
    /// A JSON object with the number of each character; without it they are numbered by code point.
    pub vocabulary: Option<PathBuf>,
    /// Samples (of a text, characters) at their end that are not trained with: every choice is made on them; at least 1.
    pub held_out: usize,
    /// 0 to 2^63 - 1.
    pub seed: u64,
    /// 0 to 10,000.
    pub epochs: usize,
    /// Samples of a step, 1 to 65,536; of a text, places that are read side by side, to 4,096.
    pub batch: usize,
    /// Of a text: characters of each place in a step, 1 to 4,096; gradients flow back no further.
    pub steps: usize,
    /// Of a text: the most that the norm of all gradients of a step may be, above 0.
    pub clip: f64,
    /// Of a text: share of the names of a play's speakers that are exchanged for invented ones, others in every epoch, 0 to 1.
    pub rename: f32,
    pub optimizer: OptimizerKind,
    /// Learning rate at the start, above 0.
    pub rate: f64,
    /// Of `sgd`, 0 to 1.
    pub momentum: f64,
    /// L2, added to the gradient, from 0.
    pub weight_decay: f64,
    pub schedule: ScheduleKind,
    /// `step`: the rate is multiplied by `step_factor` after every `step_epochs` epochs.
    pub step_epochs: usize,
    pub step_factor: f64,
    /// Images are shifted by up to so many pixels both ways, 0 to 255, at random; needs `model.input`.
    pub shift: usize,
    /// And turned by up to so many degrees, 0 to 45.
    pub rotate: f64,
    /// Share of the outputs of every layer but the last that is dropped, from 0, below 1.
    pub dropout: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    Sgd,
    Adam,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    Constant,
    Step,
    Cosine,
}

/// Which weights go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Criterion {
    /// The smallest LAMP scores of the whole network (Lee et al. 2021): the square of a weight over the sum of the squares of
    /// those of its layer that are no smaller.
    Lamp,
    /// The smallest magnitudes of the whole network.
    Magnitude,
    /// The smallest magnitudes of each layer, down to its own `density`, or those below its `quality` x the standard deviation
    /// of its weights (Learning both Weights and Connections).
    Layer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PruneSchedule {
    /// All at once, before retraining.
    Once,
    /// Over `epochs` epochs, ever more slowly (Zhu and Gupta 2017).
    Cubic,
}

/// Pruning with retraining.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PruneConfig {
    pub criterion: Criterion,
    /// Share of weights that each pass keeps, above 0, to 1, not rising; with `layer` their ratio to the last scales what the
    /// layers say.
    pub density: Vec<f64>,
    pub schedule: PruneSchedule,
    /// Epochs of a pass over which `cubic` prunes.
    pub epochs: usize,
    /// Epochs of retraining after that, with the rate falling as half a cosine.
    pub retrain: usize,
    pub batch: usize,
    pub optimizer: OptimizerKind,
    pub rate: f64,
    pub momentum: f64,
    pub weight_decay: f64,
    /// Share of the loss that is the distance to the outputs of the dense network, 0 to 1.
    pub distill: f64,
    /// Temperature of those outputs, above 0.
    pub temperature: f64,
    /// Percentage points (of a text, bits per character) that the error on what is held out may rise above the dense
    /// network's; the last pass that keeps to it is taken. Without it, the last pass.
    pub lose_at_most: Option<f64>,
}

/// Weight sharing with tuned centroids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShareConfig {
    /// Shared weights of a layer beside zero, 1 to 255: one number for all layers, or one for each; none leaves the weights as
    /// they are.
    pub codes: Vec<usize>,
    /// Instead of them: the fewest and the most bits of a code, 1 to 8, of which each layer gets those that make the file
    /// smallest within `lose_at_most`. b bits have 2^b - 1 codes beside zero.
    pub bits: Option<[u32; 2]>,
    /// Percentage points that the error on what is held out may rise above the dense network's; with more the weights stay as
    /// they are. Without it, `prune.lose_at_most` holds.
    pub lose_at_most: Option<f64>,
    pub init: CodebookInit,
    /// Most iterations of k-means.
    pub iterations: usize,
    /// Epochs of tuning.
    pub epochs: usize,
    pub batch: usize,
    /// Learning rate of Adam at the start; it falls as half a cosine.
    pub rate: f64,
    /// Bits of a bias, 2 to 16, uniform over those of a layer; 0 leaves them as they are.
    pub bias_bits: usize,
}

impl Default for TrainConfig {
    fn default() -> Self {
        TrainConfig {
            inputs: None,
            labels: None,
            text: None,
            vocabulary: None,
            held_out: 5000,
            seed: 1,
            epochs: 15,
            batch: 64,
            steps: 64,
            clip: 1.0,
            rename: 0.0,
            optimizer: OptimizerKind::Sgd,
            rate: 0.05,
            momentum: 0.9,
            weight_decay: 5e-4,
            schedule: ScheduleKind::Cosine,
            step_epochs: 10,
            step_factor: 0.1,
            shift: 0,
            rotate: 0.0,
            dropout: 0.0,
        }
    }
}

impl Default for PruneConfig {
    fn default() -> Self {
        PruneConfig {
            criterion: Criterion::Lamp,
            density: vec![0.1],
            schedule: PruneSchedule::Cubic,
            epochs: 20,
            retrain: 25,
            batch: 256,
            optimizer: OptimizerKind::Adam,
            rate: 2e-3,
            momentum: 0.9,
            weight_decay: 1e-5,
            distill: 0.0,
            temperature: 4.0,
            lose_at_most: None,
        }
    }
}

impl Default for ShareConfig {
    fn default() -> Self {
        ShareConfig {
            codes: vec![15],
            bits: None,
            lose_at_most: None,
            init: CodebookInit::Linear,
            iterations: 300,
            epochs: 6,
            batch: 256,
            rate: 5e-4,
            bias_bits: 8,
        }
    }
}

fn within(key: &str, value: usize, low: usize, high: usize) -> Result<(), String> {
    match value {
        v if (low..=high).contains(&v) => Ok(()),
        _ => Err(format!("{key} is {value}, expected {low} to {}", crate::error::grouped(high))),
    }
}

fn number(key: &str, value: f64, fits: bool, expected: &str) -> Result<(), String> {
    if fits && value.is_finite() {
        Ok(())
    } else {
        Err(format!("{key} is {value}, expected {expected}"))
    }
}

fn steps(table: &str, batch: usize, rate: f64, momentum: f64, decay: f64) -> Result<(), String> {
    within(&format!("{table}.batch"), batch, 1, 65_536)?;
    number(&format!("{table}.rate"), rate, rate > 0.0, "a number above 0")?;
    number(&format!("{table}.momentum"), momentum, (0.0..1.0).contains(&momentum), "a number from 0, below 1")?;
    number(&format!("{table}.weight_decay"), decay, decay >= 0.0, "a number from 0")
}

impl TrainConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.text.is_some() && (self.inputs.is_some() || self.labels.is_some()) {
            return Err("found train.text beside train.inputs or train.labels, expected one kind of data".to_string());
        }
        if self.vocabulary.is_some() && self.text.is_none() {
            return Err("found train.vocabulary without train.text, expected both".to_string());
        }
        within("train.steps", self.steps, 1, 4096)?;
        number("train.clip", self.clip, self.clip > 0.0, "a number above 0")?;
        number("train.rename", self.rename.into(), (0.0..=1.0).contains(&self.rename), "0 to 1")?;
        if self.held_out == 0 {
            return Err("train.held_out is 0, expected at least 1".to_string());
        }
        if i64::try_from(self.seed).is_err() {
            return Err(format!("train.seed is {}, expected 0 to 2^63 - 1", self.seed));
        }
        within("train.epochs", self.epochs, 0, 10_000)?;
        steps("train", self.batch, self.rate, self.momentum, self.weight_decay)?;
        within("train.step_epochs", self.step_epochs, 1, 10_000)?;
        number("train.step_factor", self.step_factor, self.step_factor > 0.0, "a number above 0")?;
        within("train.shift", self.shift, 0, 255)?;
        number("train.rotate", self.rotate, (0.0..=45.0).contains(&self.rotate), "0 to 45 degrees")?;
        number("train.dropout", self.dropout, (0.0..1.0).contains(&self.dropout), "a share from 0, below 1")
    }
}

impl PruneConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.density.is_empty() {
            return Err("prune.density is empty, expected one number per pass".to_string());
        }
        for density in &self.density {
            number("prune.density", *density, *density > 0.0 && *density <= 1.0, "shares above 0, to 1")?;
        }
        if self.density.windows(2).any(|pair| pair[1] > pair[0]) {
            return Err(format!("prune.density is {:?}, expected numbers that do not rise", self.density));
        }
        within("prune.epochs", self.epochs, 0, 10_000)?;
        within("prune.retrain", self.retrain, 0, 10_000)?;
        steps("prune", self.batch, self.rate, self.momentum, self.weight_decay)?;
        number("prune.distill", self.distill, (0.0..=1.0).contains(&self.distill), "a share from 0 to 1")?;
        number("prune.temperature", self.temperature, self.temperature > 0.0, "a number above 0")?;
        self.lose_at_most.map_or(Ok(()), |points| number("prune.lose_at_most", points, true, "percentage points"))
    }
}

impl ShareConfig {
    /// Are weights to be shared at all?
    pub fn shares(&self) -> bool {
        self.bits.is_some() || !self.codes.is_empty()
    }

    /// `pruning` says whether `prune.lose_at_most` is given.
    pub(super) fn check(&self, layers: usize, pruning: bool) -> Result<(), String> {
        if let Some(points) = self.lose_at_most {
            number("share.lose_at_most", points, true, "percentage points")?;
        }
        if let Some([fewest, most]) = self.bits {
            if !(1..=8).contains(&fewest) || !(fewest..=8).contains(&most) {
                return Err(format!("share.bits is [{fewest}, {most}], expected the fewest and the most, 1 to 8"));
            }
            if self.lose_at_most.is_none() && !pruning {
                return Err("found share.bits without share.lose_at_most or prune.lose_at_most, expected what the search may lose".into());
            }
        }
        if self.codes.len() > 1 && self.codes.len() != layers {
            let found = self.codes.len();
            return Err(format!("share.codes has {found} numbers, expected none, one for all layers, or {layers}, one for each"));
        }
        for codes in &self.codes {
            within("share.codes", *codes, 1, 255)?;
        }
        within("share.iterations", self.iterations, 0, 10_000)?;
        within("share.epochs", self.epochs, 0, 10_000)?;
        steps("share", self.batch, self.rate, 0.0, 0.0)?;
        if self.bias_bits != 0 {
            within("share.bias_bits", self.bias_bits, 2, 16)?;
        }
        Ok(())
    }
}
