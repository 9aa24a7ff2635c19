//! `ese-scale`: ESE's LSTM on more PEs, and on more channels of 32.

use super::ese_case::{network, Case, Steady, Variant};
use super::hardware;
use super::report::{Bar, Check, Outcome, Row};
use crate::term;
use crate::tools;
use anyhow::{Context, Result};
use lacuna_compress::error::grouped;
use lacuna_hdl::generate;
use std::time::Instant;

/// PEs and channels.
const SHAPES: [(usize, usize); 6] = [(32, 1), (64, 1), (128, 1), (256, 1), (32, 2), (32, 4)];
const FIFO: usize = 16;
/// More PEs are left to the cycle model.
const MOST_RUN: usize = 64;
/// Generated and linted.
const LINTED: (usize, usize) = (32, 32);

pub fn run() -> Result<Outcome> {
    let verilator = hardware::available()?;
    let network = network();
    let mut notes = vec![format!("ESE's LSTM, 10 % load-balanced, 12-bit weights, fifo {FIFO}; up to {MOST_RUN} PEs under Verilator")];
    let bar = term::progress("shapes", SHAPES.len());
    let (mut rows, mut found) = (vec![], vec![]);
    for (pes, channels) in SHAPES {
        let case = Variant::best(pes, channels, FIFO).compile(&network)?;
        let steady = case.steady(verilator && pes <= MOST_RUN)?;
        if let Some(judged) = &steady.judged {
            let fault = judged.fault.clone().unwrap_or("equal to golden".to_string());
            notes.push(format!("{pes} PEs, {channels} channels: hardware {}, cycle model {}; {fault}", steady.cycles, steady.model));
        }
        rows.push(row(pes, channels, steady.cycles, case.timing.bound(), limit(&case, &steady)));
        found.push((pes, channels, steady));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let seconds = if verilator { Some(lint(&network, &mut notes)?) } else { None };
    if !verilator {
        notes.push(hardware::WITHOUT.into());
    }
    Ok(Outcome { rows, checks: checks(&found, verilator, seconds), notes })
}

pub(super) fn row(pes: usize, channels: usize, cycles: u64, bound: u64, limit: String) -> Row {
    Row::new().with("pes", pes).with("channels", channels).with("cycles_per_step", cycles).with("bound_cycles", bound).with("limit", limit)
}

/// What keeps a step from being shorter.
fn limit(case: &Case, steady: &Steady) -> String {
    let (work, broadcasts) = (case.timing.entries_max(), case.timing.broadcasts());
    let beats = (case.variant.channels * case.compiled.model.network.output_size) as u64;
    let (name, least) = [("work of the busiest PE", work), ("one broadcast a cycle", broadcasts), ("one output beat a cycle", beats)]
        .into_iter()
        .fold(("", 0), |most, next| if next.1 > most.1 { next } else { most });
    let rest = steady.cycles.saturating_sub(least) as usize;
    format!("{name}: {}; {} cycles of waiting for full queues and results", grouped(least as usize), grouped(rest))
}

fn checks(found: &[(usize, usize, Steady)], verilator: bool, lint: Option<f64>) -> Vec<Check> {
    let ran = || found.iter().filter(|f| f.0 <= MOST_RUN);
    let count = |hold: fn(&Steady) -> bool| verilator.then(|| ran().filter(|f| hold(&f.2)).count() as f64);
    let at = |channels: usize| found.iter().find(|f| (f.0, f.1) == (32, channels)).map(|f| f.2.cycles as f64);
    let speedup = match (at(1), at(4)) {
        (Some(one), Some(four)) if verilator => Some(4.0 * one / four),
        _ => None,
    };
    vec![
        Check::new("steps a second of 4 channels over those of 1", speedup, 3, Bar::AtLeast(3.95)).limit(4.0),
        Check::new("rows under Verilator equal to golden", count(Steady::ran_exact), 0, Bar::AtLeast(ran().count() as f64)),
        Check::new(
            "rows under Verilator as long as the cycle model says",
            count(Steady::is_the_models),
            0,
            Bar::AtLeast(ran().count() as f64),
        ),
        Check::new(format!("{} channels of {} PEs linted, seconds", LINTED.1, LINTED.0), lint, 1, Bar::Below(600.0)),
    ]
}

/// Generates and lints; an error if there is a single warning.
fn lint(network: &lacuna_compress::model::Recurrent, notes: &mut Vec<String>) -> Result<f64> {
    let verilator = tools::find(&["verilator"], "the package verilator")?;
    let spinner = term::spinner("linting");
    let case = Variant::best(LINTED.0, LINTED.1, FIFO).compile(network)?;
    let started = Instant::now();
    let design = generate(case.compiled.model.arch())?;
    let folder = tempfile::tempdir()?;
    let mut names = vec![];
    for module in &design.modules {
        let name = module.file_name();
        std::fs::write(folder.path().join(&name), &module.text).with_context(|| name.clone())?;
        names.push(name);
    }
    let fixed = ["--lint-only", "-Wall", "--top-module", &design.top];
    let arguments: Vec<&str> = fixed.into_iter().chain(names.iter().map(String::as_str)).collect();
    tools::run(&verilator, &arguments, folder.path())?;
    spinner.finish_and_clear();
    let bytes: usize = design.modules.iter().map(|m| m.text.len()).sum();
    notes.push(format!(
        "{} channels of {} PEs: {} modules, {} bytes, no warning of verilator --lint-only -Wall",
        LINTED.1,
        LINTED.0,
        design.modules.len(),
        grouped(bytes)
    ));
    Ok(started.elapsed().as_secs_f64())
}
