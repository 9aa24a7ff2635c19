//! `lacuna train`: a network is trained from nothing.

use anyhow::Result;
use std::path::PathBuf;
use std::process::ExitCode;

/// Train a network from nothing, as [train] of the configuration says
///
/// Layers need `outputs`, convolutions also `kernel`, LSTM layers `cells`; those learn to predict the characters of
/// `train.text`. The tensors get the names that the configuration gives them. Every choice should be made on the samples
/// that are held out; those of `input.file` are evaluated once, at the end. Needs a build with the feature `train`.
#[derive(clap::Args)]
#[cfg_attr(not(feature = "train"), allow(dead_code))] // shown in the help either way
pub struct TrainArgs {
    /// Configuration: model, training samples, [train]
    #[arg(short, long, value_name = "TOML")]
    pub config: PathBuf,
    /// Model file to write, .safetensors
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    #[command(flatten)]
    pub checkpoints: CheckpointArgs,
}

#[derive(clap::Args)]
#[cfg_attr(not(feature = "train"), allow(dead_code))] // shown in the help either way
pub struct CheckpointArgs {
    /// Folder for a checkpoint after each epoch; without it, beside the output
    #[arg(long, value_name = "DIR")]
    pub checkpoint: Option<PathBuf>,
    /// Go on from the checkpoint, if there is one
    #[arg(long)]
    pub resume: bool,
}

#[cfg(not(feature = "train"))]
pub fn run(_: &TrainArgs) -> Result<ExitCode> {
    Err(super::without_training("train"))
}

#[cfg(feature = "train")]
pub fn run(args: &TrainArgs) -> Result<ExitCode> {
    use crate::training::{self, Bar};
    use lacuna_compress::train::{classify, data::Data, export};
    let config = training::configuration(&args.config, &args.output, false)?;
    if !config.model.lstm.is_empty() {
        return super::recurrent::train::train(args, &config);
    }
    let data = Data::load(&config)?;
    let test = training::test_samples(&config, &data)?;
    let checkpoints = training::checkpoints(&args.checkpoints, &args.output)?;
    let trained = classify::train(&config, &data, &checkpoints, &mut Bar::default())?;
    export::save_model(&args.output, &config, &trained.dense)?;
    training::finished(&config, &data, test.as_ref(), &trained.dense, &checkpoints, &args.output)?;
    Ok(ExitCode::SUCCESS)
}
