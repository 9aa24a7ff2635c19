//! What decides a training and its pruning.

use crate::error::Error;
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
    /// Percent of what may be trained on that are held out at its end, for choices; 0 trains on all of it.
    #[serde(default = "held_out")]
    pub held_out: usize,
    /// Share of the names of a play's speakers that are exchanged for invented ones, others in every epoch.
    #[serde(default)]
    pub rename: f32,
    /// Most that the norm of all gradients together may be.
    pub clip: f64,
    pub dense: Phase,
    #[serde(default)]
    pub prune: Option<PruneSettings>,
}

fn held_out() -> usize {
    crate::train::text::HELD_OUT
}

/// A part of a training, with Adam and a rate that falls with half a cosine.
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
        if self.held_out > 50 {
            return wrong("held_out", self.held_out.to_string(), "0 to 50 percent");
        }
        if !(0.0..=1.0).contains(&self.rename) {
            return wrong("rename", self.rename.to_string(), "0 to 1");
        }
        let stages = self.prune.iter().flat_map(|p| p.stage.iter().map(|s| (s.name(), s.phase())));
        for (name, phase) in std::iter::once(("dense".to_string(), self.dense)).chain(stages) {
            if !(phase.rate > 0.0 && phase.rate <= 1.0) {
                return wrong(&format!("rate ({name})"), phase.rate.to_string(), "more than 0, at most 1");
            }
            if !(0.0..=0.9).contains(&phase.dropout) {
                return wrong(&format!("dropout ({name})"), phase.dropout.to_string(), "0 to 0.9");
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
