//! The settings that a configuration file states.

use super::{Density, LstmDensity, Pruning, RecurrentSettings};
use crate::compile::Depths;
use crate::config::{Auto, Config, EseConfig, Prune};

impl From<Prune> for Pruning {
    fn from(prune: Prune) -> Pruning {
        match prune {
            Prune::LoadBalanced => Pruning::LoadBalanced,
            Prune::Magnitude => Pruning::Magnitude,
        }
    }
}

impl RecurrentSettings {
    /// What a configuration says. Fully connected layers are pruned like the LSTM layer before them.
    pub fn from_config(config: &Config) -> RecurrentSettings {
        let (a, ese) = (&config.accelerator, config.ese().unwrap_or_else(EseConfig::default));
        let fixed = |value: Auto<usize>| match value {
            Auto::Auto => None,
            Auto::Fixed(number) => Some(number),
        };
        let lstm = config.model.lstm.iter().map(|l| LstmDensity {
            input: l.density,
            hidden: l.density,
            projection: l.density,
            pruning: Some(l.prune.into()),
        });
        RecurrentSettings {
            pes: a.pes,
            channels: ese.channels,
            fifo_depth: a.fifo_depth,
            weights: a.weights,
            weight_bits: a.weight_bits,
            run_bits: fixed(a.run_bits),
            entries_per_word: a.entries_per_word,
            depths: Depths {
                spmat: fixed(a.spmat_depth),
                ptr: fixed(a.ptr_depth),
                act: fixed(a.act_depth),
                acc: fixed(a.acc_depth),
                bias: fixed(a.bias_depth),
                max_layers: fixed(a.max_layers),
            },
            cell_depth: fixed(ese.cell_depth),
            input_depth: fixed(ese.input_depth),
            output_depth: fixed(ese.output_depth),
            acc_bits: Some(a.acc_bits),
            pruning: config.model.lstm.last().map(|l| l.prune.into()).unwrap_or_default(),
            density: Density { lstm: lstm.collect(), layers: config.model.layer.iter().map(|l| l.density).collect() },
            init: config.compress.codebook_init,
            iterations: config.compress.kmeans_iterations,
            seed: config.compress.seed,
            ..RecurrentSettings::default()
        }
    }
}
