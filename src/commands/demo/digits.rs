//! `lacuna demo digits` and `lenet5`: the containers that `src/demo/lenet300100.toml` and `lenet5.toml` make, and the first
//! digits of MNIST's test set.

use super::DemoArgs;
use crate::commands::{digits, simulate};
use crate::inputs::{Answers, Job};
use crate::term;
use anyhow::{Context, Result};
use lacuna_compress::error::grouped;
use lacuna_compress::inputs::load_inputs;
use lacuna_compress::manifest::Model;
use lacuna_sim::perf::Network;
use lacuna_sim::reference::error_percent;
use lacuna_sim::verilate;
use std::process::ExitCode;
use std::time::Instant;

/// A bundled network.
pub struct Bundled {
    /// As the command takes it.
    show: &'static str,
    title: &'static str,
    container: &'static [u8],
    /// Digits that are run if nothing else is said.
    digits: usize,
}

pub const LENET300100: Bundled =
    Bundled { show: "digits", title: "LeNet-300-100", container: include_bytes!("../../demo/lenet300100.lacuna"), digits: usize::MAX };
/// A digit takes longer: each is many places of the filters.
pub const LENET5: Bundled = Bundled { show: "lenet5", title: "LeNet-5", container: include_bytes!("../../demo/lenet5.lacuna"), digits: 50 };
const IMAGES: &[u8] = include_bytes!("../../demo/digits-images-idx3-ubyte.gz");
const LABELS: &[u8] = include_bytes!("../../demo/digits-labels-idx1-ubyte.gz");
/// Digits that are drawn, and how many of them on a line.
const DRAWN: usize = 6;
const ON_A_LINE: usize = 3;

pub fn run(args: &DemoArgs, network: &Bundled) -> Result<ExitCode> {
    let Bundled { show, title, container, digits } = network;
    let verilator = verilate::verilator_version()?;
    let (job, pixels) = bundled(container, args.limit.map_or(*digits, |l| l as usize))?;
    let arch = job.model.arch();
    term::note(format!("{title} on {} generated PEs under {verilator}", arch.pes));
    let building = Instant::now();
    let mut simulator = simulate::start(&job.model, &args.hardware, None)?;
    term::note(format!("hardware built and loaded in {:.1} s", building.elapsed().as_secs_f64()));

    let network = Network::new(&job.golden);
    let (mut answers, mut cycles, mut weights) = (Answers::default(), vec![], 0);
    let (mut equal_results, mut equal_counters) = (0, 0);
    let mut first_bad = None;
    let running = Instant::now();
    let bar = term::progress("digits", job.inputs.len());
    for (number, input) in job.inputs.iter().enumerate() {
        let verdict = simulator.verify(input).with_context(|| format!("digit {number}"))?;
        answers.push(&job.model, &verdict.run.outputs, &verdict.golden)?;
        equal_results += usize::from(verdict.mismatch.is_none());
        equal_counters += usize::from(verdict.counters_equal());
        if !verdict.passed() && first_bad.is_none() {
            let found = verdict.mismatch.map_or(format!("expected {:?}, got {:?}", verdict.expected, verdict.run), |m| m.to_string());
            first_bad = Some(format!("digit {number}: {found}"));
        }
        cycles.push(verdict.run.cycles);
        weights += network.time(&verdict.golden).total.weights;
        bar.inc(1);
    }
    bar.finish_and_clear();
    term::note(format!("{} simulated in {:.1} s", term::count(cycles.len(), "digit"), running.elapsed().as_secs_f64()));

    let labels = job.labels.as_deref().unwrap_or_default();
    draw(&pixels, &answers.classes, labels)?;
    let total: u64 = cycles.iter().sum();
    let count = cycles.len();
    let ends = [cycles.iter().min(), cycles.iter().max()].map(|c| grouped(c.copied().unwrap_or(0) as usize));
    let parameters = job.model.network.parameters;
    let rows = [
        ("parameters", grouped(parameters)),
        ("bytes as 32-bit floats", grouped(4 * parameters)),
        ("bytes of the container", grouped(container.len())),
        ("compression rate", format!("{:.1}", 4.0 * parameters as f64 / container.len() as f64)),
        ("digits", grouped(count)),
        ("error rate", format!("{:.2} %", error_percent(&answers.classes, labels))),
        ("cycles per digit", format!("min {}, mean {:.1}, max {}", ends[0], total as f64 / count as f64, ends[1])),
        ("PE utilization", term::percent(weights as f64 / (arch.pes as f64 * total as f64))),
        ("results equal to golden model", format!("{} of {}", grouped(equal_results), grouped(count))),
        ("cycle counter equal to cycle model", format!("{} of {}", grouped(equal_counters), grouped(count))),
    ];
    let rows = rows.map(|(name, value)| vec![name.to_string(), value]);
    term::table("", &[title, "measured"], &rows)?;
    match first_bad {
        None => Ok(ExitCode::SUCCESS),
        Some(text) => {
            term::line(text)?;
            term::line(format!("repeat with: lacuna demo {show} {}", args.hardware.text()))?;
            Ok(ExitCode::from(term::BAD))
        }
    }
}

/// The model with the first `limit` digits, and their pixels, 0 to 255.
fn bundled(container: &[u8], limit: usize) -> Result<(Job, Vec<Vec<u8>>)> {
    let model = Model::from_container(container).context("the bundled container")?;
    // samples are read from files
    let folder = tempfile::tempdir()?;
    let (images, labels) = (folder.path().join("images.gz"), folder.path().join("labels.gz"));
    std::fs::write(&images, IMAGES).with_context(|| images.display().to_string())?;
    std::fs::write(&labels, LABELS).with_context(|| labels.display().to_string())?;
    let mut raw = load_inputs(&images, None, 1.0, 0.0)?;
    raw.truncate(limit);
    // bytes, which an f32 holds exactly
    let pixels = raw.iter().map(|digit| digit.iter().map(|v| *v as u8).collect()).collect();
    Ok((Job::new(model, &images, None, Some(&labels), limit)?, pixels))
}

/// The first digits, the last of them replaced by the first wrong answer.
fn draw(pixels: &[Vec<u8>], answers: &[usize], labels: &[u8]) -> Result<()> {
    let wrong = (0..answers.len()).find(|i| answers[*i] != usize::from(labels[*i]));
    let mut shown: Vec<usize> = (0..answers.len().min(DRAWN)).collect();
    if let (Some(wrong), Some(last)) = (wrong.filter(|w| *w >= DRAWN), shown.last_mut()) {
        *last = wrong;
    }
    let digit = |i: &usize| {
        let caption = match answers[*i] == usize::from(labels[*i]) {
            true => format!("{i}: it is a {}", answers[*i]),
            false => format!("{i}: a {}? It is {}", answers[*i], labels[*i]),
        };
        (digits::draw(&pixels[*i]), caption)
    };
    let drawn: Vec<_> = shown.iter().map(digit).collect();
    drawn.chunks(ON_A_LINE).try_for_each(|line| term::line(digits::beside(line).join("\n") + "\n"))
}
