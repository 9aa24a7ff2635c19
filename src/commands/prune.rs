//! `lacuna prune`: a trained network is pruned and retrained, and its weights are shared.

use super::train::CheckpointArgs;
use anyhow::Result;
use std::path::PathBuf;
use std::process::ExitCode;

/// Prune a trained network, retrain what is left, and share its weights
///
/// Reads `model.file`, goes through the passes of [prune], then shares and tunes weights as [share] says. The error that
/// counts is that on the samples held out; those of `input.file` are evaluated once, at the end. Of LSTM layers every PE
/// keeps as many weights; they are not shared here. Needs a build with the feature `train`.
#[derive(clap::Args)]
#[cfg_attr(not(feature = "train"), allow(dead_code))] // shown in the help either way
pub struct PruneArgs {
    /// Configuration: model, training samples, [train], [prune] and [share]
    #[arg(short, long, value_name = "TOML")]
    pub config: PathBuf,
    /// Model file to write, .safetensors, or .lcs (compressed) with shared weights
    #[arg(short, long, value_name = "FILE", required_unless_present = "scan")]
    pub output: Option<PathBuf>,
    /// Only show how the error grows when each layer alone is pruned, without retraining
    #[arg(long, conflicts_with = "output")]
    pub scan: bool,
    #[command(flatten)]
    pub checkpoints: CheckpointArgs,
}

#[cfg(not(feature = "train"))]
pub fn run(_: &PruneArgs) -> Result<ExitCode> {
    Err(super::without_training("prune"))
}

#[cfg(feature = "train")]
pub fn run(args: &PruneArgs) -> Result<ExitCode> {
    use crate::term;
    use crate::training::{self, Bar};
    use lacuna_compress::config::{Config, Criterion};
    use lacuna_compress::import::load_model;
    use lacuna_compress::storage::{self, is_storage, save_stored, Method};
    use lacuna_compress::train::{data::Data, export, retrain};
    let Some(output) = &args.output else {
        let config = Config::load(&args.config)?;
        if let Some(lstm) = config.model.lstm.first() {
            anyhow::bail!("{}: found LSTM layer {}, expected none with --scan", args.config.display(), lstm.label());
        }
        return report::scan(&config, &load_model(&config)?, &Data::load(&config)?);
    };
    let config = training::configuration(&args.config, output, true)?;
    if !config.model.lstm.is_empty() {
        return super::recurrent::train::prune(args, output, &config);
    }
    if is_storage(output) && !config.share.shares() {
        anyhow::bail!("{}: found share.codes = [], expected shared weights for an .lcs, or .safetensors", output.display());
    }
    let dense = load_model(&config)?;
    let data = Data::load(&config)?;
    let test = training::test_samples(&config, &data)?;
    let checkpoints = training::checkpoints(&args.checkpoints, output)?;
    let pruned = retrain::prune(&config, &dense, &data, &checkpoints, &mut Bar::default())?;
    let result = pruned.shared.as_ref().map_or(&pruned.pruned, |shared| &shared.dense);
    report::pruned(&config, &dense, &pruned)?;
    if config.prune.criterion != Criterion::Layer && config.model.layer.iter().any(|l| l.density.is_some() || l.quality.is_some()) {
        term::note("density and quality of the layers count with prune.criterion = \"layer\" only");
    }
    let coded = |bytes: usize| {
        let rate = 4.0 * dense.parameters() as f64 / bytes as f64;
        format!("{}, {rate:.0} times smaller", term::count(bytes, "byte"))
    };
    match &pruned.shared {
        Some(shared) if is_storage(output) => {
            let bytes = save_stored(output, &export::stored(&config, shared)?, Method::Auto)?;
            term::line(format!("{}: {}", output.display(), coded(bytes)))?;
        }
        Some(shared) => {
            export::save_model(output, &config, result)?;
            let bytes = storage::write(&export::stored(&config, shared)?, Method::Auto)?.len();
            term::line(format!("as an .lcs: {}", coded(bytes)))?;
        }
        None => export::save_model(output, &config, result)?,
    }
    training::finished(&config, &data, test.as_ref(), result, &checkpoints, output)?;
    let refused = config.share.shares() && pruned.shared.is_none();
    Ok(if refused || !pruned.passes.iter().any(|pass| pass.accepted) { ExitCode::from(term::BAD) } else { ExitCode::SUCCESS })
}

#[cfg(feature = "train")]
mod report {
    use crate::term::{self, count, percent};
    use anyhow::Result;
    use lacuna_compress::config::Config;
    use lacuna_compress::error::grouped;
    use lacuna_compress::model::Dense;
    use lacuna_compress::prune::{sensitivity, Grain};
    use lacuna_compress::train::data::Data;
    use lacuna_compress::train::fit;
    use lacuna_compress::train::network::Network;
    use lacuna_compress::train::retrain::{PassReport, Pruned};
    use lacuna_compress::train::share::Searched;
    use std::process::ExitCode;

    /// The densities of a sensitivity scan.
    const GRID: [f64; 11] = [1.0, 0.7, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.05, 0.02, 0.01];

    /// The error on what is held out over the density of each layer.
    pub fn scan(config: &Config, dense: &Dense, data: &Data) -> Result<ExitCode> {
        fit::check(dense, &data.held_out)?;
        let bar = term::progress("networks", GRID.len() * dense.layers.len());
        let table = sensitivity::scan(dense, Grain::Weight, &GRID, |dense| {
            bar.inc(1);
            fit::error(&Network::new(dense)?, &data.held_out)
        })?;
        bar.finish_and_clear();
        let headers: Vec<String> = std::iter::once("density".to_string()).chain(dense.layers.iter().map(|l| l.name.clone())).collect();
        let row = |(i, density): (usize, &f64)| {
            let errors = table.iter().skip(i).step_by(GRID.len()).map(|found| percent(found.error));
            std::iter::once(percent(*density)).chain(errors).collect()
        };
        term::table("Error with one layer pruned", &headers, &GRID.iter().enumerate().map(row).collect::<Vec<Vec<String>>>())?;
        let points = config.prune.lose_at_most.unwrap_or(0.5);
        let least = sensitivity::least_densities(&table, table[0].error + points / 100.0);
        let rows: Vec<Vec<String>> = least.into_iter().map(|(layer, density)| vec![layer, percent(density)]).collect();
        term::table(&format!("Least density at most {points} points worse"), &["layer", "density"], &rows)?;
        Ok(ExitCode::SUCCESS)
    }

    pub fn pruned(config: &Config, dense: &Dense, found: &Pruned) -> Result<()> {
        let row = |name: String, pass: &PassReport| {
            let verdict = if pass.accepted { "kept" } else { "too much lost" };
            vec![name, percent(pass.density), percent(pass.error), verdict.to_string()]
        };
        let mut rows = vec![vec!["before".to_string(), percent(dense.density()), percent(found.dense_error), String::new()]];
        rows.extend(found.passes.iter().enumerate().map(|(i, pass)| row((i + 1).to_string(), pass)));
        rows.extend(found.sharing.iter().map(|pass| row("shared".to_string(), pass)));
        term::table("Passes", &["pass", "density", "error", "verdict"], &rows)?;
        if let Some(Searched { bits, bytes, error, tried }) = &found.searched {
            let layers = dense.layers.iter().zip(bits).map(|(layer, bits)| format!("{} {bits}", layer.name));
            let layers = layers.collect::<Vec<_>>().join(", ");
            let of = format!("{}, error {} before tuning, {} tried", count(*bytes, "byte"), percent(*error), count(*tried, "network"));
            term::line(format!("bits of a code: {layers} ({of})"))?;
        }
        if config.share.shares() && found.shared.is_none() {
            term::note("sharing loses too much: the weights stay as they are; more share.codes or share.bits may do");
        }
        let result = found.shared.as_ref().map_or(&found.pruned, |shared| &shared.dense);
        let layer = |(i, layer): (usize, &lacuna_compress::model::DenseLayer)| {
            let kept = layer.weights.nonzeros();
            let least = layer.weights.data.iter().filter(|w| **w != 0.0).map(|w| w.abs()).reduce(f32::min).unwrap_or(0.0);
            let codes = found.shared.as_ref().map_or("-".to_string(), |shared| shared.layers[i].codebook.len().to_string());
            let live = (0..layer.weights.rows).filter(|row| layer.weights.row(*row).iter().any(|w| *w != 0.0)).count();
            let total = layer.weights.data.len();
            let share = percent(kept as f64 / total.max(1) as f64);
            let units = format!("{live}/{}", layer.weights.rows);
            vec![layer.name.clone(), grouped(total), grouped(kept), share, format!("{least:.4}"), codes, units]
        };
        let rows: Vec<_> = result.layers.iter().enumerate().map(layer).collect();
        term::table("Layers", &["layer", "weights", "kept", "density", "least", "codes", "live units"], &rows)?;
        Ok(())
    }
}
