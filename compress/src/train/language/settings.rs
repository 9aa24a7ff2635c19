//! What decides a training and its pruning.

use crate::config::OptimizerKind;
use crate::error::Error;
use crate::train::schedule::Schedule;
use serde::{Deserialize, Serialize};

/// A language model of symbols, how it is trained, and how it is pruned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageSettings {
    pub seed: u64,
    /// LSTM layers, and the cells of each.
    pub layers: usize,
    pub cells: usize,
    /// Values of h of each layer, if they are projected.
    #[serde(default)]
    pub projection: Option<usize>,
    #[serde(default)]
    pub peepholes: bool,
    /// Places of the text that are read side by side.
    pub streams: usize,
    /// Symbols of each between two changes of the weights: gradients flow back no further.
    pub steps: usize,
    /// Share of the names of a play's speakers that are exchanged for invented ones, others in every epoch.
    #[serde(default)]
    pub rename: f32,
    /// Most that the norm of all gradients together may be.
    pub clip: f64,
    #[serde(default)]
    pub learning: Learning,
    pub dense: Phase,
    #[serde(default)]
    pub prune: Option<PruneSettings>,
}

/// How weights follow gradients.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learning {
    pub optimizer: OptimizerKind,
    pub momentum: f64,
    pub weight_decay: f64,
    /// Of the rate, over a part of the training.
    pub schedule: Schedule,
}

/// Adam, with a rate that falls with half a cosine.
impl Default for Learning {
    fn default() -> Learning {
        Learning { optimizer: OptimizerKind::Adam, momentum: 0.9, weight_decay: 0.0, schedule: Schedule::Cosine }
    }
}

/// A part of a training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    pub epochs: usize,
    pub rate: f64,
    /// Of what one layer says to the next.
    #[serde(default)]
    pub dropout: f32,
}

/// Iterative pruning of the LSTM layers' matrices with retraining.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PruneSettings {
    /// Every one of them keeps as many weights of a gate's matrix.
    pub pes: usize,
    /// Share of the target that is what the dense network says.
    pub distill: f32,
    #[serde(default)]
    pub share: Share,
    /// Share of a stage's epochs in which weights go; in the rest they are retrained.
    pub pruning: f64,
    /// Bits per symbol that what is held out may cost more than with the dense network: behind a stage that costs more, no
    /// other follows.
    #[serde(default)]
    pub lose_at_most: Option<f64>,
    pub stage: Vec<Stage>,
}

/// How the density of the whole is shared out among the gates' matrices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Share {
    /// The same for each.
    #[default]
    Uniform,
    /// By magnitude over all of them: where large weights are, more are kept.
    Magnitude,
    /// By magnitude in terms of its matrix's root mean square.
    Relative,
    /// By LAMP scores over all of them ([`lamp_densities`](crate::prune::lamp_densities)).
    Lamp,
}

/// A density to reach and to measure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    pub density: f64,
    pub epochs: usize,
    pub rate: f64,
    #[serde(default)]
    pub dropout: f32,
}

impl Stage {
    pub fn phase(&self) -> Phase {
        Phase { epochs: self.epochs, rate: self.rate, dropout: self.dropout }
    }
    /// Its name in checkpoints.
    pub fn name(&self) -> String {
        format!("density {}", self.density)
    }
}

impl LanguageSettings {
    /// Every rule that needs no text.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |what: &str, found: String, expected: &str| Err(Error::Training(format!("{what} is {found}, expected {expected}")));
        let counts = [
            ("layers", self.layers, 16),
            ("cells", self.cells, 4096),
            ("projection", self.projection.unwrap_or(1), 4096),
            ("streams", self.streams, 4096),
            ("steps", self.steps, 4096),
        ];
        for (what, found, most) in counts {
            if !(1..=most).contains(&found) {
                return wrong(what, found.to_string(), &format!("1 to {most}"));
            }
        }
        if self.clip <= 0.0 || !self.clip.is_finite() {
            return wrong("clip", self.clip.to_string(), "more than 0");
        }
        if !(0.0..=1.0).contains(&self.rename) {
            return wrong("rename", self.rename.to_string(), "0 to 1");
        }
        let stages = self.prune.iter().flat_map(|p| p.stage.iter().map(|s| (s.name(), s.phase())));
        for (name, phase) in std::iter::once(("dense".to_string(), self.dense)).chain(stages) {
            if !(phase.rate > 0.0 && phase.rate.is_finite()) {
                return wrong(&format!("rate ({name})"), phase.rate.to_string(), "a number above 0");
            }
            if !(0.0..1.0).contains(&phase.dropout) {
                return wrong(&format!("dropout ({name})"), phase.dropout.to_string(), "a share from 0, below 1");
            }
        }
        let Some(prune) = &self.prune else { return Ok(()) };
        if !(1..=256).contains(&prune.pes) {
            return wrong("pes", prune.pes.to_string(), "1 to 256");
        }
        if !(0.0..=1.0).contains(&prune.distill) {
            return wrong("distill", prune.distill.to_string(), "0 to 1");
        }
        if !(0.0..=1.0).contains(&prune.pruning) {
            return wrong("pruning", prune.pruning.to_string(), "0 to 1");
        }
        let mut before = 1.0;
        for stage in &prune.stage {
            if !(stage.density > 0.0 && stage.density <= before) {
                return wrong("density", stage.density.to_string(), &format!("more than 0, at most {before}, that of the stage before"));
            }
            if stage.epochs == 0 {
                return wrong(&format!("epochs ({})", stage.name()), "0".to_string(), "at least 1");
            }
            before = stage.density;
        }
        Ok(())
    }
}
