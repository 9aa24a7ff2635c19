//! How a layer is pruned, as a configuration says it.

use super::{share, LayerConfig};
use crate::prune::{Grain, Keep, Rule};

impl LayerConfig {
    /// The rules of density, quality and grain. `key` names the layer in messages.
    pub(super) fn check_pruning(&self, key: &str) -> Result<(), String> {
        if let Some(density) = self.density {
            share(&format!("{key}: density"), density)?;
        }
        self.grain.check().map_err(|fault| format!("{key}: {fault}"))?;
        match (self.density, self.quality, self.grain.density()) {
            (Some(_), Some(_), _) => Err(format!("{key}: found both density and quality, expected one of them")),
            (_, Some(quality), _) if !quality.is_finite() || quality < 0.0 => {
                Err(format!("{key}: quality is {quality}, expected a finite number from 0"))
            }
            (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
                Err(format!("{key}: found density or quality, expected none with grain {}, which says it", self.grain))
            }
            (None, None, None) if self.grain != Grain::Weight => {
                Err(format!("{key}: found grain {}, expected density or quality beside it", self.grain))
            }
            _ if self.grain == Grain::Kernel && self.conv.is_none() => {
                Err(format!("{key}: grain is a kernel, expected another: the layer is no convolution"))
            }
            _ => Ok(()),
        }
    }
    /// How the layer is pruned.
    pub fn rule(&self) -> Rule {
        Rule { keep: self.density.map(Keep::Density).or(self.quality.map(Keep::Quality)), grain: self.grain }
    }
}
