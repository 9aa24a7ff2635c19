//! `regress`: the random regression of both datapaths, 1,000 configurations of three runs. The journal is kept in the folder
//! that `--keep` names, so that a run that was stopped goes on.

use super::report::{rounded, Bar, Check, Outcome, Row};
use crate::regress::draw::RUNS;
use crate::regress::plan::{Plan, Settings};
use crate::regress::regression::{Regression, Told};
use crate::regress::report::{Datapath, Summary};
use crate::term;
use anyhow::Result;
use std::path::Path;
use std::time::Duration;

const SEED: u64 = 1;
const CONFIGURATIONS: usize = 1000;
/// Of two cores, hours.
const HOURS: f64 = 2.0;
const CORES: usize = 2;
/// For making a failing configuration smaller.
const SHRINK: Duration = Duration::from_secs(180);

pub fn run(keep: Option<&Path>) -> Result<Outcome> {
    let scratch = tempfile::tempdir()?;
    measure(keep.unwrap_or(scratch.path()), CONFIGURATIONS)
}

/// Runs what the folder does not have yet, on two cores.
pub fn regressed(folder: &Path, settings: &Settings) -> Result<Summary> {
    let plan = Plan::open(folder, settings)?;
    let bar = term::progress("runs", plan.runs());
    let regression = Regression { plan: &plan, folder, jobs: CORES, time: None, shrink: SHRINK, verilog: None, fault: None };
    let summary = regression.run(&mut |told| match told {
        Told::Runs(runs) => bar.set_position(runs as u64),
        Told::Failure(text) => bar.suspend(|| term::note(text)),
    })?;
    bar.finish_and_clear();
    Ok(summary)
}

fn measure(folder: &Path, configurations: usize) -> Result<Outcome> {
    let settings = Settings::drawn(SEED, configurations * RUNS);
    let summary = regressed(folder, &settings)?;
    let (mut rows, mut notes) = (vec![], vec![format!("seed {SEED}; each configuration has a build of its own and {RUNS} runs")]);
    let mut seconds = 0.0;
    for d in &summary.datapaths {
        let each = |seconds: f64| rounded(seconds / d.configurations.max(1) as f64, 3);
        let row = Row::new()
            .with("datapath", d.datapath.clone())
            .with("configs", d.configurations)
            .with("runs", d.runs)
            .with("failures", d.failures)
            .with("cycle_mismatches", d.cycle_mismatches)
            .with("cycles_compared", d.cycles)
            .with("emit_s", each(d.times.emit))
            .with("verilate_s", each(d.times.verilate))
            .with("run_s", each(d.times.run));
        rows.push(row);
        seconds += d.times.total();
        let [emit, verilate, run] = [d.times.emit, d.times.verilate, d.times.run].map(each);
        notes.push(format!("{}: {emit} s to emit, {verilate} s to verilate and {run} s to run a configuration", d.datapath));
    }
    let (reached, all) = summary.bin_counts();
    notes.push(format!("{reached} of {all} bins reached; not: {}", summary.holes().join(", ")));
    let sum = |of: fn(&Datapath) -> usize| summary.datapaths.iter().map(of).sum::<usize>() as f64;
    let checks = vec![
        Check::new("configurations", sum(|d| d.configurations), 0, Bar::AtLeast(configurations as f64)),
        Check::new("runs", sum(|d| d.runs), 0, Bar::AtLeast((configurations * RUNS) as f64)),
        Check::new("failures", sum(|d| d.failures), 0, Bar::AtMost(0.0)),
        Check::new("runs with other cycles", sum(|d| d.cycle_mismatches), 0, Bar::AtMost(0.0)),
        Check::new("hours on 2 cores", seconds / CORES as f64 / 3600.0, 2, Bar::AtMost(HOURS)),
    ];
    Ok(Outcome { rows, checks, notes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_regression_meets_all_bars_and_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let found = measure(folder.path(), 2).unwrap();
        assert!(found.missed().is_empty(), "{:?} {:?}", found.missed(), found.rows);
        // nothing runs twice
        assert_eq!(measure(folder.path(), 2).unwrap().rows, found.rows);
    }
}
