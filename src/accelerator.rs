//! Which accelerator a command is for, and the model for it: from a container, or from a configuration.

use crate::{inputs, pipeline};
use anyhow::{bail, Context, Result};
use lacuna_compress::config::Config;
use lacuna_compress::manifest::AnyModel;
use lacuna_compress::spec::Arch;
use std::path::PathBuf;

/// Which accelerator, and the model for it.
#[derive(clap::Args)]
#[group(required = true, multiple = true)]
pub struct AcceleratorArgs {
    /// Configuration of the accelerator, and of the model if it names one
    #[arg(short, long, value_name = "TOML")]
    pub config: Option<PathBuf>,
    /// Compressed model: the accelerator is the one that it was made for
    #[arg(long, value_name = "FILE")]
    pub container: Option<PathBuf>,
}

/// A model, and the bytes of its container.
pub type Stored = (AnyModel, Vec<u8>);

/// What a command does with the model of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it is compressed only where the accelerator depends on it.
    Accelerator,
    /// Looks at it; of the two of a bidirectional LSTM, whose accelerators are the same, at the first.
    First,
    /// Puts it into memories, which hold one.
    Only,
}

impl AcceleratorArgs {
    /// The architecture, and the model if there is one that is needed.
    pub fn load(&self, need: Need) -> Result<(Arch, Option<Stored>)> {
        let config = self.config.as_deref().map(Config::load).transpose()?;
        if let Some(path) = &self.container {
            let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
            let model = AnyModel::from_container(&bytes).with_context(|| path.display().to_string())?;
            if let Some(config) = &config {
                inputs::require_config(&model, config, path)?;
            }
            return Ok((model.arch().clone(), Some((model, bytes))));
        }
        let Some(config) = config else { bail!("give --config or --container") };
        of_config(&config, need)
    }
}

/// The architecture of a configuration, and its model if it has one that is needed.
pub fn of_config(config: &Config, need: Need) -> Result<(Arch, Option<Stored>)> {
    let layers = config.model.lstm.is_empty();
    let without = need == Need::Accelerator && pipeline::open_keys(config).is_empty();
    if without || (layers && config.model.layer.is_empty()) {
        // where keys are open, the error says which
        return Ok((pipeline::arch_of(config, None)?, None));
    }
    let model = if layers {
        AnyModel::Layers(pipeline::compress(config)?.compiled.model)
    } else {
        let found = pipeline::recurrent::compress(config)?;
        if need == Need::Only && found.len() > 1 {
            bail!("found two models, those of a bidirectional LSTM, expected one: give the --container of a direction");
        }
        let first = found.into_iter().next().context("the configuration has no model")?;
        AnyModel::Recurrent(first.compiled.model)
    };
    let bytes = model.to_container()?;
    Ok((model.arch().clone(), Some((model, bytes))))
}
