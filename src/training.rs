//! What `lacuna train` and `lacuna prune` share: the progress bar, and the errors at the end.

use crate::commands::train::CheckpointArgs;
use crate::staged;
use crate::term::{self, percent};
use anyhow::{bail, Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use lacuna_compress::config::Config;
use lacuna_compress::model::Dense;
use lacuna_compress::storage::is_storage;
use lacuna_compress::train::classify::Checkpoints;
use lacuna_compress::train::data::{Data, Labeled};
use lacuna_compress::train::fit;
use lacuna_compress::train::network::Network;
use lacuna_compress::train::progress::Progress;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

/// A bar for each epoch with its loss, and a line when it is over.
#[derive(Default)]
pub struct Bar {
    bar: Option<ProgressBar>,
    what: String,
    epochs: usize,
    started: Option<Instant>,
    /// Mean loss of the last steps.
    loss: Option<f64>,
    /// Of a language model: loss and error are bits per character.
    bits: bool,
}

impl Bar {
    /// For a language model.
    pub fn of_text() -> Bar {
        Bar { bits: true, ..Bar::default() }
    }
    /// A loss in nats, as it is shown.
    fn shown(&self, loss: f64) -> f64 {
        if self.bits {
            loss / std::f64::consts::LN_2
        } else {
            loss
        }
    }
}

impl Progress for Bar {
    fn epoch_started(&mut self, what: &str, epoch: usize, epochs: usize, steps: usize) {
        let style = ProgressStyle::with_template("{prefix} [{bar:40}] {pos}/{len} {eta} {msg}").expect("the template is valid");
        let bar = ProgressBar::new(steps as u64).with_style(style).with_prefix(format!("{what}, epoch {} of {epochs}", epoch + 1));
        (self.bar, self.what, self.epochs) = (Some(bar), what.to_string(), epochs);
        (self.started, self.loss) = (Some(Instant::now()), None);
    }
    fn step(&mut self, _: usize, loss: f64) {
        let smooth = self.loss.map_or(loss, |before| 0.95 * before + 0.05 * loss);
        self.loss = Some(smooth);
        if let Some(bar) = &self.bar {
            bar.inc(1);
            bar.set_message(format!("loss {:.4}", self.shown(smooth)));
        }
    }
    fn epoch_ended(&mut self, epoch: usize, loss: f64, error: f64) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let seconds = self.started.map_or(0.0, |s| s.elapsed().as_secs_f64());
        let (what, epochs, loss) = (&self.what, self.epochs, self.shown(loss));
        let error = if self.bits { format!("held out {error:.4} bits per character") } else { format!("error {}", percent(error)) };
        term::note(format!("{what}, epoch {} of {epochs}: loss {loss:.4}, {error}, {seconds:.1} s", epoch + 1));
    }
    fn note(&mut self, text: &str) {
        term::note(text);
    }
}

/// What is expected of layers that are trained.
const NAMES: &str = "expected weights and bias, each the name of a tensor to write";

/// The configuration, if a model file can be written to `output`; `storage` allows an `.lcs`.
pub fn configuration(config: &Path, output: &Path, storage: bool) -> Result<Config> {
    staged::check_file(output)?;
    let tensors = output.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors"));
    let fits = tensors || (storage && is_storage(output));
    if !fits {
        let expected = if storage { ".safetensors or .lcs" } else { ".safetensors" };
        bail!("{}: found another extension, expected {expected}", output.display());
    }
    let path = config;
    let config = Config::load(path)?;
    // the tensors of an LSTM are only those of a .safetensors
    if !config.model.lstm.is_empty() && !tensors {
        bail!("{}: found another extension, expected .safetensors behind an LSTM", output.display());
    }
    if config.model.lstm.is_empty() && config.train.text.is_some() {
        bail!("{}: found train.text, expected it with an LSTM only", path.display());
    }
    // what could not be written is refused before it is trained
    let mut names = BTreeSet::new();
    for layer in &config.model.layer {
        let (weights, Some(bias)) = (&layer.weights, &layer.bias) else {
            bail!("{}: layer {}: found no bias, {NAMES}", path.display(), layer.label());
        };
        if weights.is_empty() {
            bail!("{}: layer {}: found no weights, {NAMES}", path.display(), layer.label());
        }
        for name in [weights, bias] {
            if !names.insert(name.as_str()) {
                bail!("{}: layer {}: found tensor `{name}` again, {NAMES}", path.display(), layer.label());
            }
        }
    }
    Ok(config)
}

/// The file of checkpoints: in the folder that is named, which is made, or beside the output.
pub fn checkpoints(args: &CheckpointArgs, output: &Path) -> Result<Checkpoints> {
    let folder = match &args.checkpoint {
        Some(folder) => {
            if folder.is_file() {
                bail!("--checkpoint {}: found a file, expected a folder", folder.display());
            }
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
            folder.clone()
        }
        None => output.parent().map(Path::to_path_buf).unwrap_or_default(),
    };
    // with the extension: a dense model and the .lcs of it are often named alike
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    Ok(Checkpoints { file: Some(folder.join(format!("{name}.checkpoint"))), resume: args.resume })
}

/// The samples of `input.file`, if their labels are named too: read before the training, so that a fault in them costs nothing,
/// and looked at when it is done.
pub fn test_samples(config: &Config, data: &Data) -> Result<Option<Labeled>> {
    let (Some(file), Some(labels)) = (&config.input.file, &config.input.labels) else { return Ok(None) };
    let test = Labeled::load(config, file, labels)?;
    let (found, expected) = (test.samples.size, data.train.samples.size);
    if found != expected {
        bail!("{}: found samples of {found} values, expected {expected}, those of the training", config.path(file).display());
    }
    Ok(Some(test))
}

/// Prints the errors of what was written, and removes the checkpoint, which nobody needs any more.
pub fn finished(
    config: &Config,
    data: &Data,
    test: Option<&Labeled>,
    dense: &Dense,
    checkpoints: &Checkpoints,
    output: &Path,
) -> Result<()> {
    let network = Network::new(dense)?;
    let error = |labeled: &Labeled| fit::error(&network, labeled);
    term::line(format!("error on {} held out: {}", term::count(data.held_out.labels.len(), "sample"), percent(error(&data.held_out)?)))?;
    if let (Some(file), Some(test)) = (&config.input.file, test) {
        fit::check(dense, test)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        term::line(format!("error on {} of {name}: {}", term::count(test.labels.len(), "sample"), percent(error(test)?)))?;
    }
    if let Some(file) = &checkpoints.file {
        // a checkpoint that stays does no harm
        let _ = std::fs::remove_file(file);
    }
    term::note(format!("wrote {}", output.display()));
    Ok(())
}
