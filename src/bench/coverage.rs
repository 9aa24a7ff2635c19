//! `coverage`: which lines of the emitted Verilog run and which of its bits change under the regression of the named
//! configurations S and M, and which of their bins are reached.
//!
//! Counting makes builds and runs ten times as long, so that it is done for the first runs only; the bins are those of these and
//! of more runs that are not counted.

use super::regress::regressed;
use super::report::{rounded, Bar, Check, Outcome, Row};
use crate::regress::bins::Bins;
use crate::regress::coverage::{check_used, waivers, Judged};
use crate::regress::named::{of_size, Named, Size};
use crate::regress::plan::Settings;
use anyhow::{bail, Result};
use std::path::Path;

const SEED: u64 = 1;
/// Of a configuration, counted, and then not counted.
const COUNTED: usize = 36;
const MORE: usize = 360;
const LINES: f64 = 95.0;
const BITS: f64 = 90.0;

pub fn run(keep: Option<&Path>) -> Result<Outcome> {
    let named = [Size::S, Size::M].into_iter().map(of_size).collect::<Result<Vec<_>>>()?.concat();
    let scratch = tempfile::tempdir()?;
    let (mut outcome, judged) = measure(keep.unwrap_or(scratch.path()), &named, COUNTED, MORE)?;
    let waivers = waivers()?;
    check_used(&waivers, &judged)?;
    let waived: usize = judged.iter().map(|j| j.lines.waived + j.bits.waived).sum();
    outcome.notes.push(format!("{waived} points waived, by {} waivers of src/regress/waivers.toml", waivers.len()));
    Ok(outcome)
}

fn measure(folder: &Path, named: &[Named], counted: usize, more: usize) -> Result<(Outcome, Vec<Judged>)> {
    let (mut rows, mut checks, mut judged) = (vec![], vec![], vec![]);
    let mut notes = vec![format!(
        "seed {SEED}; of each configuration {counted} runs whose lines and bits are counted, and {more} more for the bins; instances of a module count together, bits of signals up to 256 wide"
    )];
    for one in named {
        let settings =
            |seed, runs, coverage| Settings { accelerators: vec![one.accelerator.clone()], coverage, ..Settings::drawn(seed, runs) };
        let first = regressed(&folder.join(&one.name), &settings(SEED, counted, true))?;
        let second = regressed(&folder.join(format!("{}-bins", one.name)), &settings(SEED + 1, more, false))?;
        for summary in [&first, &second] {
            if let Some(failure) = summary.failures.first() {
                bail!("{}: {} failed: {}", one.name, failure.configuration, failure.finding.text);
            }
        }
        let [found] = first.verilog.as_slice() else { bail!("{}: nothing was counted", one.name) };
        let mut bins: Bins = first.bins.clone();
        bins.add(&second.bins);
        let holes = bins.holes(&first.reachable);
        let (all, hit) = (first.reachable.len(), first.reachable.len() - holes.len());
        let row = Row::new()
            .with("config", one.name.clone())
            .with("line_percent", rounded(found.lines.percent(), 2))
            .with("toggle_percent", rounded(found.bits.percent(), 2))
            .with("bins", all)
            .with("bins_hit", hit);
        rows.push(row);
        checks.push(Check::new(format!("{}: lines, %", one.name), found.lines.percent(), 2, Bar::AtLeast(LINES)));
        checks.push(Check::new(format!("{}: bits, %", one.name), found.bits.percent(), 2, Bar::AtLeast(BITS)));
        checks.push(Check::new(format!("{}: bins", one.name), hit as f64, 0, Bar::AtLeast(all as f64)));
        notes.push(format!(
            "{}: without waivers {:.2} % of {} lines and branches, {:.2} % of {} bits",
            one.name,
            found.lines.percent_without_waivers(),
            found.lines.all,
            found.bits.percent_without_waivers(),
            found.bits.all
        ));
        if !holes.is_empty() {
            notes.push(format!("{}: bins not reached: {}", one.name, holes.join(", ")));
        }
        judged.push(found.clone());
    }
    Ok((Outcome { rows, checks, notes }, judged))
}
