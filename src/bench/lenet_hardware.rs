//! A network of digits as the hardware has it: the golden model on all of MNIST's test digits, and some of them under
//! Verilator.

use super::data_file;
use super::digits::{IMAGES, LABELS};
use super::hardware::{self, Load};
use super::report::{rounded, Bar, Check, Row};
use crate::{pipeline, term};
use anyhow::{anyhow, bail, Result};
use indicatif::ProgressBar;
use lacuna_compress::config::Config;
use lacuna_compress::inputs::{load_inputs, load_labels, Samples};
use lacuna_compress::manifest::Model;
use lacuna_compress::model::Dense;
use lacuna_compress::quantize::dequantize;
use lacuna_sim::golden::Golden;
use lacuna_sim::reference::{argmax, error_percent, Reference};
use std::path::Path;
use std::time::Instant;

/// Digits under Verilator.
pub const RUN: usize = 200;
/// How much more error than the float model with the same weights the hardware may have, in percent of the digits.
const ALLOWED: f64 = 0.1;

/// MNIST's test digits, as a network takes them.
pub struct Digits {
    pub samples: Samples,
    pub labels: Vec<u8>,
}

/// What was found.
pub struct OnHardware {
    /// Of the golden model, over all digits.
    pub error_percent: f64,
    /// Of the float model with the same weights, over all digits.
    pub float_error_percent: f64,
    /// Over all digits, by one processor or several.
    pub golden_seconds: f64,
    pub digits: usize,
    /// Those under Verilator; `None` without Verilator.
    pub run: Option<Run>,
}

pub struct Run {
    pub digits: usize,
    /// Digits whose results and counters are those of golden model and cycle model.
    pub exact: usize,
    pub mean_cycles: f64,
    pub most_cycles: u64,
    pub seconds: f64,
    /// The first difference.
    pub fault: Option<String>,
}

impl Digits {
    /// From the data folder.
    pub fn load(data: &Path, scale: f64, offset: f64) -> Result<Digits> {
        let images = data_file(data, IMAGES)?;
        let samples = load_inputs(&images, None, scale, offset)?;
        let labels = load_labels(&data_file(data, LABELS)?)?;
        if labels.len() != samples.count {
            bail!("{}: found {} digits and {} labels, expected as many", images.display(), samples.count, labels.len());
        }
        Ok(Digits { samples, labels })
    }

    /// Error of a network in floating point, in percent, on all processors.
    pub fn error_percent(&self, network: &Dense, bar: &ProgressBar) -> Result<f64> {
        let reference = Reference::new(network);
        let samples: Vec<&[f32]> = self.samples.iter().collect();
        let answers = each(&samples, bar, |sample| Ok(argmax(&reference.infer(sample))))?;
        Ok(error_percent(&answers, &self.labels))
    }
}

/// Compresses what a configuration says and measures it.
pub fn of_config(config: &Config, data: &Path) -> Result<(Model, OnHardware)> {
    let digits = Digits::load(data, config.input.scale, config.input.offset)?;
    let found = pipeline::compress(config)?;
    let on = measure(&found.compiled.model, &dequantize(&found.layers), &digits, RUN)?;
    Ok((found.compiled.model, on))
}

/// `weights` is the network of real numbers that the model's integers stand for; the first `run` digits go through Verilator,
/// if there is one.
pub fn measure(model: &Model, weights: &Dense, digits: &Digits, run: usize) -> Result<OnHardware> {
    let inputs = digits.samples.iter().map(|sample| model.quantize_input(sample)).collect::<Result<Vec<_>, _>>()?;
    let golden = Golden::new(&model.image)?;
    let started = Instant::now();
    let answers =
        each(&inputs, &term::progress("digits, golden", inputs.len()), |input| Ok(argmax(&model.output_rows(&golden.infer(input)?)?)))?;
    let golden_seconds = started.elapsed().as_secs_f64();
    let float_error_percent = digits.error_percent(weights, &term::progress("digits, float", digits.labels.len()))?;

    let run = run.min(inputs.len());
    let started = Instant::now();
    let bar = term::progress("digits, Verilator", run);
    let judged = hardware::judge(model, &inputs[..run], Load::Host, || bar.inc(1))?;
    bar.finish_and_clear();
    let run = judged.map(|judged| {
        let cycles = judged.iter().map(|j| j.cycles);
        Run {
            digits: judged.len(),
            exact: judged.iter().filter(|j| j.exact).count(),
            mean_cycles: cycles.clone().sum::<u64>() as f64 / judged.len().max(1) as f64,
            most_cycles: cycles.max().unwrap_or(0),
            seconds: started.elapsed().as_secs_f64(),
            fault: judged.iter().find_map(|j| j.fault.clone()),
        }
    });
    let labels = &digits.labels;
    Ok(OnHardware { error_percent: error_percent(&answers, labels), float_error_percent, golden_seconds, digits: labels.len(), run })
}

/// The answer to each item, in order, computed on all processors.
fn each<T: Sync>(items: &[T], bar: &ProgressBar, answer: impl Fn(&T) -> Result<usize> + Sync) -> Result<Vec<usize>> {
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get());
    let part = items.len().div_ceil(workers).max(1);
    let work = |items: &[T]| -> Result<Vec<usize>> {
        let one = |item| {
            bar.inc(1);
            answer(item)
        };
        items.iter().map(one).collect()
    };
    let found = std::thread::scope(|scope| {
        let workers: Vec<_> = items.chunks(part).map(|items| scope.spawn(|| work(items))).collect();
        let results = workers.into_iter().map(|worker| worker.join().map_err(|_| anyhow!("a worker ended early"))?);
        results.collect::<Result<Vec<_>>>()
    });
    bar.finish_and_clear();
    Ok(found?.concat())
}

impl OnHardware {
    /// What was measured, for the row of a network.
    pub fn row(&self, row: Row) -> Row {
        let row = row
            .with("images", self.digits)
            .with("error_percent", rounded(self.error_percent, 4))
            .with("float_error_percent", rounded(self.float_error_percent, 4))
            .with("golden_seconds", rounded(self.golden_seconds, 1));
        match &self.run {
            None => row.with("verilator", false),
            Some(run) => row
                .with("verilator", true)
                .with("run", run.digits)
                .with("bit_exact", run.exact == run.digits)
                .with("mean_cycles", rounded(run.mean_cycles, 1))
                .with("most_cycles", run.most_cycles)
                .with("run_seconds", rounded(run.seconds, 1)),
        }
    }

    /// The bars that every network on the hardware is held to.
    pub fn checks(&self, name: &str) -> Vec<Check> {
        // whole digits: their difference may be a hair beyond the limit
        let above = rounded(self.error_percent - self.float_error_percent, 4);
        vec![
            Check::new(format!("{name}: error of the golden model above the float model's, in percent"), above, 2, Bar::AtMost(ALLOWED)),
            Check::new(
                format!("{name}: digits under Verilator equal to golden and cycle model"),
                self.run.as_ref().map(|run| run.exact as f64),
                0,
                Bar::AtLeast(RUN as f64),
            ),
        ]
    }

    pub fn notes(&self) -> Vec<String> {
        match &self.run {
            None => vec![hardware::WITHOUT.into()],
            Some(run) => run.fault.iter().cloned().collect(),
        }
    }
}
