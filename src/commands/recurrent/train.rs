//! `lacuna train` and `lacuna prune` of a language model: LSTM layers that predict the characters of a text.

use crate::commands::prune::PruneArgs;
use crate::commands::train::TrainArgs;
use crate::term::{self, percent};
use crate::training::{self, Bar};
use anyhow::Result;
use lacuna_compress::config::Config;
use lacuna_compress::error::grouped;
use lacuna_compress::model::{LstmLayer, Recurrent};
use lacuna_compress::train::checkpoint::write_tensors;
use lacuna_compress::train::classify::Checkpoints;
use lacuna_compress::train::language::{self, bits_held_out, tensors, Corpus, LanguageSettings, Task, Trained};
use lacuna_compress::train::lstm::RecurrentVariables;
use std::path::Path;
use std::process::ExitCode;

pub fn train(args: &TrainArgs, config: &Config) -> Result<ExitCode> {
    let task = Task::new(config)?;
    let settings = task.training()?;
    let corpus = Corpus::load(config)?;
    let start = task.start(&corpus)?;
    let checkpoints = training::checkpoints(&args.checkpoints, &args.output)?;
    let trained = language::train_from(&settings, start, &corpus.parts(), &checkpoints, &mut Bar::of_text())?;
    finished(config, &corpus, &settings, &checkpoints, (&trained.network, trained.held_out), &args.output)
}

pub fn prune(args: &PruneArgs, output: &Path, config: &Config) -> Result<ExitCode> {
    let task = Task::new(config)?;
    let settings = task.pruning()?;
    let corpus = Corpus::load(config)?;
    let dense = task.trained(&corpus)?;
    let parts = corpus.parts();
    let checkpoints = training::checkpoints(&args.checkpoints, output)?;
    let of_dense = bits_held_out(&settings, &RecurrentVariables::from_model(&dense)?, &parts)?;
    let stages = language::prune(&settings, &dense, &parts, &checkpoints, &mut Bar::of_text())?;
    let kept = |stage: &&Trained| config.prune.lose_at_most.is_none_or(|bits| stage.held_out <= of_dense + bits);
    let result = stages.iter().rfind(kept).map_or((&dense, of_dense), |stage| (&stage.network, stage.held_out));
    let mut rows = vec![vec!["before".to_string(), percent(density(&dense)), format!("{of_dense:.4}"), String::new()]];
    rows.extend(stages.iter().enumerate().map(|(i, stage)| {
        let verdict = if kept(&stage) { "kept" } else { "too much lost" };
        vec![(i + 1).to_string(), percent(stage.density), format!("{:.4}", stage.held_out), verdict.to_string()]
    }));
    term::table("Passes", &["pass", "density", "bits per character", "verdict"], &rows)?;
    let rows: Vec<_> = result.0.lstm.iter().zip(&config.model.lstm).map(|(layer, named)| row(layer, named.label())).collect();
    term::table("LSTM layers", &["layer", "weights", "kept", "density"], &rows)?;
    finished(config, &corpus, &settings, &checkpoints, result, output)
}

/// Weights of the matrices of a layer, and those that are not zero.
fn counts(layer: &LstmLayer) -> (usize, usize) {
    let matrices = || layer.input_weights.iter().chain(&layer.hidden_weights).chain(&layer.projection);
    (matrices().map(|m| m.data.len()).sum(), matrices().map(|m| m.nonzeros()).sum())
}

fn density(network: &Recurrent) -> f64 {
    let (all, kept) = network.lstm.iter().map(counts).fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
    kept as f64 / all.max(1) as f64
}

/// What is left of the matrices of a layer.
fn row(layer: &LstmLayer, name: &str) -> Vec<String> {
    let (all, kept) = counts(layer);
    vec![name.to_string(), grouped(all), grouped(kept), percent(kept as f64 / all.max(1) as f64)]
}

/// Writes the network, and removes the checkpoints.
fn finished(
    config: &Config,
    corpus: &Corpus,
    settings: &LanguageSettings,
    checkpoints: &Checkpoints,
    (network, bits): (&Recurrent, f64),
    output: &Path,
) -> Result<ExitCode> {
    write_tensors(output, &tensors(&config.model, network)?)?;
    term::line(format!("bits per character on {} held out: {bits:.4}", term::count(corpus.held_out, "character")))?;
    language::remove_checkpoints(settings, checkpoints);
    term::note(format!("wrote {}", output.display()));
    Ok(ExitCode::SUCCESS)
}
