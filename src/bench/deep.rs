//! Deep Compression from nothing to a file: LeNet-300-100 and LeNet-5 are trained on MNIST, pruned with retraining in
//! passes to ever lower density, given shared weights and coded.
//!
//! Every choice is made by the error on the training digits held out, as they are and at every place that training shifts them to. The
//! test digits are looked at when all of it is done: once for each row.

use super::data_file;
use super::digits::{IMAGES, LABELS};
use super::lenet_hardware;
use super::report::{rounded, Bar, Check, Outcome, Row};
use crate::term;
use crate::training;
use anyhow::{bail, Context, Result};
use lacuna_compress::config::Config;
use lacuna_compress::error::grouped;
use lacuna_compress::import::load_model;
use lacuna_compress::model::Dense;
use lacuna_compress::storage::{save_stored, Method};
use lacuna_compress::train::classify::{self, Checkpoints};
use lacuna_compress::train::data::{Augment, Data, Labeled};
use lacuna_compress::train::network::Network;
use lacuna_compress::train::progress::Progress;
use lacuna_compress::train::retrain;
use lacuna_compress::train::share::{self, Shared};
use lacuna_compress::train::{export, fit};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Passes after the first start from a network that is sparse already; they take this share of its epochs.
const LATER: f64 = 0.6;
/// Shared weights per layer of the points of the curve over bits.
const BITS: [usize; 5] = [1, 2, 3, 4, 5];

struct Case {
    name: &'static str,
    toml: &'static str,
    dense_bar: f64,
    /// Rate, its stretch, and the points of error above the dense network that it may cost.
    bars: &'static [(f64, Option<f64>, f64)],
    /// Epochs of tuning of the points of the curve over bits.
    bits_epochs: usize,
    /// That training, pruning and sharing may take on 2 cores.
    seconds: f64,
}

const CASES: [Case; 2] = [
    Case {
        name: "lenet300100",
        toml: include_str!("../demo/train/lenet300100.toml"),
        dense_bar: 1.70,
        bars: &[(100.0, Some(150.0), 0.0)],
        bits_epochs: 1,
        seconds: 900.0,
    },
    Case {
        name: "lenet5",
        toml: include_str!("../demo/train/lenet5.toml"),
        dense_bar: 0.85,
        bars: &[(60.0, Some(200.0), 0.0), (150.0, None, 0.1)],
        bits_epochs: 0,
        seconds: 2400.0,
    },
];

/// Errors on the digits held out, in percent.
#[derive(Clone, Copy)]
struct HeldOut {
    /// As they are, which is how test digits are; one digit of 5,000 more or less is chance.
    still: f64,
    /// At every place that training shifts them to. More samples tell networks apart better, but some take shifts more lightly
    /// than others.
    moved: f64,
}

impl HeldOut {
    fn within(self, dense: HeldOut, above: f64) -> bool {
        self.still <= dense.still + above + 1e-9 && self.moved <= dense.moved + above + 1e-9
    }
}

/// A network as it is read back from its file.
struct Point {
    /// What the row is a point of: `density` or `bits`.
    curve: &'static str,
    codes: usize,
    density: f64,
    bytes: usize,
    held_out: HeldOut,
    dense: Dense,
    path: PathBuf,
    seconds: f64,
}

/// `keep` gets the files and the checkpoints; a run that was stopped goes on from there.
pub fn run(data: &Path, keep: Option<&Path>, only: Option<&str>) -> Result<Outcome> {
    let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
    if let Some(name) = only.filter(|name| !names.contains(name)) {
        bail!("found --only {name}, expected {}", names.join(" or "));
    }
    let scratch = tempfile::tempdir()?;
    let folder = keep.unwrap_or(scratch.path());
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut outcome = Outcome::default();
    for case in CASES.iter().filter(|case| only.is_none_or(|name| name == case.name)) {
        one(case, data, folder, &mut outcome)?;
    }
    Ok(outcome)
}

fn configuration(case: &Case, data: &Path) -> Result<Config> {
    let mut config = Config::parse(case.toml, Path::new(case.name))?;
    config.folder = PathBuf::new();
    let file = |name: &str| data_file(data, name);
    config.train.inputs = Some(file("mnist/train-images-idx3-ubyte.gz")?);
    config.train.labels = Some(file("mnist/train-labels-idx1-ubyte.gz")?);
    config.input.file = Some(file(IMAGES)?);
    config.input.labels = Some(file(LABELS)?);
    config.input.calibration = config.train.inputs.clone();
    Ok(config)
}

/// The time that a part of the run takes, in a file beside its checkpoint after every epoch: what a kill takes away is that of
/// an epoch, as it is of the training.
struct Clock {
    bar: training::Bar,
    file: PathBuf,
    /// Of the runs before this one.
    before: f64,
    start: Instant,
    /// Something was trained in this run.
    trained: bool,
}

impl Clock {
    fn new(folder: &Path, case: &Case, part: &str) -> Clock {
        let file = folder.join(format!("{}-{part}.seconds", case.name));
        let before = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0.0);
        Clock { bar: training::Bar::default(), file, before, start: Instant::now(), trained: false }
    }
    /// Seconds so far. Reading a part that is finished counts for nothing.
    fn seconds(&self) -> f64 {
        if !self.trained && self.before > 0.0 {
            return self.before;
        }
        let sum = self.before + self.start.elapsed().as_secs_f64();
        // without the file the sum is that of this run
        let _ = std::fs::write(&self.file, sum.to_string());
        sum
    }
}

impl Progress for Clock {
    fn epoch_started(&mut self, what: &str, epoch: usize, epochs: usize, steps: usize) {
        self.bar.epoch_started(what, epoch, epochs, steps);
    }
    fn step(&mut self, step: usize, loss: f64) {
        self.bar.step(step, loss);
    }
    fn epoch_ended(&mut self, epoch: usize, loss: f64, error: f64) {
        self.bar.epoch_ended(epoch, loss, error);
        self.trained = true;
        self.seconds();
    }
    fn note(&mut self, text: &str) {
        self.bar.note(text);
    }
}

fn checkpoints(folder: &Path, case: &Case, part: &str) -> Checkpoints {
    Checkpoints { file: Some(folder.join(format!("{}-{part}.checkpoint", case.name))), resume: true }
}

fn one(case: &Case, data: &Path, folder: &Path, outcome: &mut Outcome) -> Result<()> {
    let config = configuration(case, data)?;
    let digits = Data::load(&config)?;
    let mut clock = Clock::new(folder, case, "dense");
    let trained = classify::train(&config, &digits, &checkpoints(folder, case, "dense"), &mut clock)?.dense;
    let dense_seconds = clock.seconds();
    let moved = match Augment::new(&config, digits.held_out.samples.size)? {
        Some(augment) => digits.held_out.at_every_place(&augment),
        None => digits.held_out.clone(),
    };
    let held_out = |dense: &Dense| -> Result<HeldOut> {
        let network = Network::new(dense)?;
        let percent = |digits: &Labeled| -> Result<f64> { Ok(100.0 * fit::error(&network, digits)?) };
        Ok(HeldOut { still: percent(&digits.held_out)?, moved: percent(&moved)? })
    };
    let dense_held_out = held_out(&trained)?;

    let mut points = vec![];
    let mut network = trained.clone();
    let mut middle = None;
    for (pass, density) in config.prune.density.iter().enumerate() {
        let mut config = config.clone();
        config.prune.density = vec![*density];
        config.prune.lose_at_most = None;
        if pass > 0 {
            let less = |epochs: usize| ((epochs as f64 * LATER).round() as usize).max(1);
            (config.prune.epochs, config.prune.retrain) = (less(config.prune.epochs), less(config.prune.retrain));
        }
        let part = format!("pass{}", pass + 1);
        let mut clock = Clock::new(folder, case, &part);
        let found = retrain::prune(&config, &network, &digits, &checkpoints(folder, case, &part), &mut clock)?;
        network = found.pruned;
        let shared = found.shared.context("the configuration shares weights")?;
        points.push(point(case, &config, &shared, folder, &part, "density", &clock, &held_out)?);
        if pass == 0 {
            middle = Some(network.clone());
        }
    }
    let seconds = dense_seconds + points.iter().map(|p| p.seconds).sum::<f64>();
    if let Some(network) = middle {
        for bits in BITS {
            let mut config = config.clone();
            let mut clock = Clock::new(folder, case, &format!("bits{bits}"));
            (config.share.codes, config.share.epochs) = (vec![1 << bits], case.bits_epochs);
            let shared = share::share(&config, &network, &share::codes(&config, &network), &digits, None, &mut |_, _| Ok(()), &mut clock)?;
            points.push(point(case, &config, &shared, folder, &format!("bits{bits}"), "bits", &clock, &held_out)?);
        }
    }
    report(case, &config, data, &trained, (dense_held_out, seconds), points, outcome)
}

/// Writes the file and reads it back.
#[allow(clippy::too_many_arguments)] // what one line of a loop knows
fn point(
    case: &Case,
    config: &Config,
    shared: &Shared,
    folder: &Path,
    part: &str,
    curve: &'static str,
    clock: &Clock,
    held_out: &dyn Fn(&Dense) -> Result<HeldOut>,
) -> Result<Point> {
    let path = folder.join(format!("{}-{part}.lcs", case.name));
    let bytes = save_stored(&path, &export::stored(config, shared)?, Method::Auto)?;
    let mut config = config.clone();
    config.model.file = path.clone();
    let dense = load_model(&config)?;
    let density = dense.density();
    let codes = config.share.codes.first().copied().unwrap_or(0);
    let seconds = clock.seconds();
    let found = held_out(&dense)?;
    let HeldOut { still, moved } = found;
    term::note(format!("{part}: density {:.2} %, {bytes} bytes, error {still:.2} % held out, {moved:.2} % moved", 100.0 * density));
    Ok(Point { curve, codes, density, bytes, held_out: found, dense, path, seconds })
}

fn report(
    case: &Case,
    config: &Config,
    data: &Path,
    trained: &Dense,
    (dense_held_out, seconds): (HeldOut, f64),
    points: Vec<Point>,
    outcome: &mut Outcome,
) -> Result<()> {
    // the smallest file that keeps the dense network's error, or that and 0.1 points, on what is held out
    let choose = |above: f64| {
        let fits = |p: &&Point| p.held_out.within(dense_held_out, above);
        points.iter().filter(fits).min_by_key(|p| p.bytes).map(|p| p.path.clone())
    };
    let chosen: Vec<Option<PathBuf>> = case.bars.iter().map(|bar| choose(bar.2)).collect();

    let (images, labels) = (config.input.file.as_deref(), config.input.labels.as_deref());
    let test = Labeled::load(config, images.context("no test digits")?, labels.context("no labels of the test digits")?)?;
    let error = |dense: &Dense| -> Result<f64> { Ok(100.0 * fit::error(&Network::new(dense)?, &test)?) };
    let dense_error = error(trained)?;
    let parameters = trained.parameters();
    outcome.checks.push(Check::new(format!("{}: dense error %", case.name), dense_error, 2, Bar::AtMost(case.dense_bar)));
    for point in &points {
        let (found, rate) = (error(&point.dense)?, 4.0 * parameters as f64 / point.bytes as f64);
        let for_bars: Vec<String> = case
            .bars
            .iter()
            .zip(&chosen)
            .filter(|(_, path)| path.as_ref() == Some(&point.path))
            .map(|(bar, _)| if bar.2 == 0.0 { "not above".to_string() } else { format!("{} above", bar.2) })
            .collect();
        let row = Row::new()
            .with("model", case.name)
            .with("curve", point.curve)
            .with("chosen_for", for_bars.join(", "))
            .with("dense_error_percent", rounded(dense_error, 2))
            .with("error_percent", rounded(found, 2))
            .with("dense_held_out_percent", rounded(dense_held_out.still, 2))
            .with("held_out_percent", rounded(point.held_out.still, 2))
            .with("dense_moved_percent", rounded(dense_held_out.moved, 2))
            .with("moved_percent", rounded(point.held_out.moved, 2))
            .with("density", rounded(point.density, 5))
            .with("shared_weights", point.codes)
            .with("bytes", point.bytes)
            .with("rate", rounded(rate, 1))
            .with_hidden("seconds", rounded(point.seconds, 0))
            .with_hidden("seed", config.train.seed)
            .with_hidden("command", "lacuna bench deep");
        outcome.rows.push(row);
        for (bar, _) in case.bars.iter().zip(&chosen).filter(|(_, path)| path.as_ref() == Some(&point.path)) {
            let check =
                Check::new(format!("{}: rate of the file chosen for at most {} above", case.name, bar.2), rate, 1, Bar::AtLeast(bar.0));
            outcome.checks.push(match bar.1 {
                Some(stretch) => check.stretch(stretch),
                None => check,
            });
            let limit = Bar::AtMost(rounded(dense_error + bar.2, 2));
            outcome.checks.push(Check::new(format!("{}: its error %", case.name), rounded(found, 2), 2, limit));
        }
    }
    for (bar, _) in case.bars.iter().zip(&chosen).filter(|(_, path)| path.is_none()) {
        outcome.checks.push(Check::new(format!("{}: no file keeps to {} above", case.name, bar.2), None, 1, Bar::AtLeast(bar.0)));
    }
    let what = format!("{}: seconds of training, pruning and sharing", case.name);
    outcome.checks.push(Check::new(what, seconds, 0, Bar::AtMost(case.seconds)));

    // the choices on the hardware
    for point in points.iter().filter(|point| chosen.contains(&Some(point.path.clone()))) {
        let mut config = config.clone();
        config.model.file = point.path.clone();
        let (_, on_hardware) = lenet_hardware::of_config(&config, data)?;
        let name = format!("{} of {} bytes", case.name, grouped(point.bytes));
        outcome.checks.extend(on_hardware.checks(&name));
        outcome.notes.extend(on_hardware.notes());
        let row = Row::new()
            .with("model", case.name)
            .with("curve", "hardware")
            .with("dense_error_percent", rounded(dense_error, 2))
            .with("density", rounded(point.density, 5))
            .with("bytes", point.bytes)
            .with("rate", rounded(4.0 * parameters as f64 / point.bytes as f64, 1));
        outcome.rows.push(on_hardware.row(row));
    }
    Ok(())
}
