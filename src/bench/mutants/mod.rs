//! `mutants`: every module of the accelerators S with small faults in it, one at a time, each of which the regression of S
//! must find. [`module`] makes the mutants, [`equivalent`] proves that one is none, [`survivors`] has a reason for each that
//! stays.

mod equivalent;
mod module;
mod survivors;

use super::report::{rounded, Bar, Check, Outcome, Row};
use crate::regress::configuration::{Configuration, DoorKind};
use crate::regress::draw;
use crate::regress::engine::{Bench, Engine, Finding, Kind};
use crate::regress::named::{self, Named, Size};
use crate::regress::plan::Settings;
use crate::term;
use anyhow::{bail, Context, Result};
use equivalent::Proof;
use lacuna_compress::error::grouped;
use lacuna_compress::files::write_whole;
use lacuna_hdl::Design;
use module::Mutated;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

const SEED: u64 = 1;
/// Of each module, at least.
const MUTANTS: usize = 20;
/// Of `lacuna regress --named s`, half of them on each datapath; of those of LSTMs the first half.
const RUNS: usize = 192;
/// Modules under trial at once.
const CORES: usize = 2;
/// Percent of the mutants that are not equivalent.
const KILLED: f64 = 95.0;

/// What became of a mutant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum End {
    /// A run of the regression differs.
    Killed {
        configuration: String,
        run: usize,
        finding: Finding,
    },
    /// No input makes a difference.
    Equivalent(Proof),
    Survived,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Judged {
    /// The command of Yosys that makes it.
    mutation: String,
    end: End,
}

/// The mutants of one module, as they are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Done {
    /// All that decides what is in it.
    settings: String,
    /// Survivors were asked whether they are equivalent.
    asked: bool,
    mutants: Vec<Judged>,
}

/// How much is done.
#[derive(Clone, Copy, Debug)]
struct Extent {
    mutants: usize,
    runs: usize,
}

pub fn run(keep: Option<&Path>, only: Option<&str>) -> Result<Outcome> {
    let scratch = tempfile::tempdir()?;
    measure(keep.unwrap_or(scratch.path()), only, Extent { mutants: MUTANTS, runs: RUNS })
}

fn measure(folder: &Path, only: Option<&str>, extent: Extent) -> Result<Outcome> {
    let reasons = survivors::read()?;
    let named = named::of_size(Size::S)?;
    let accelerators = named.iter().map(|n| n.accelerator.clone()).collect();
    let plan = Settings { accelerators, ..Settings::drawn(SEED, extent.runs) }.plan()?;
    let mut work: Vec<(&Named, Design, String)> = vec![];
    for named in &named {
        let design = lacuna_hdl::generate(&named.accelerator)?;
        for module in design.modules.iter().filter(|m| only.is_none_or(|only| only == m.name)) {
            // the same module with the same widths has its mutants in the accelerator that is first
            let same = |(_, other, name): &(&Named, Design, String)| *name == module.name && module::same(other, &design, name);
            if !work.iter().any(same) {
                work.push((named, design.clone(), module.name.clone()));
            }
        }
    }
    if work.is_empty() {
        bail!("found the module {}, expected one of those that are generated for {}", only.unwrap_or_default(), names(&named));
    }
    // loaded over the bus: what `$readmemh` fills has no mutants
    let over_the_bus = |c: &Configuration| Configuration { door: DoorKind::Axi, ..c.clone() };
    let configurations: Vec<Configuration> = plan.configurations.iter().map(over_the_bus).collect();
    let bar = term::progress("modules", work.len());
    let all = in_parallel(&work, |(named, design, module)| {
        // a run of an LSTM takes five times as long as one of layers
        let extent = if named.accelerator.ese.is_some() { Extent { runs: extent.runs / 2, ..extent } } else { extent };
        let first = configurations.iter().take(extent.runs.div_ceil(draw::RUNS));
        let of_this: Vec<&Configuration> = first.filter(|c| c.accelerator == named.accelerator).collect();
        let subject = Subject { name: &named.name, design, module, configurations: &of_this, extent };
        let judged = subject.kept(folder).with_context(|| format!("{}, module {module}", named.name))?;
        bar.inc(1);
        Ok(judged)
    })?;
    bar.finish_and_clear();
    let (mut rows, mut lines) = (vec![], vec![]);
    let [mut mutants, mut killed, mut equivalent, mut bare] = [0; 4];
    let mut used = BTreeSet::new();
    for ((named, _, module), judged) in work.iter().zip(&all) {
        let mut count = [0; 3];
        for mutant in judged {
            match &mutant.end {
                End::Killed { .. } => count[0] += 1,
                End::Equivalent(_) => count[1] += 1,
                End::Survived => {
                    let number = reasons.iter().position(|r| r.is(&named.name, module, &mutant.mutation));
                    used.extend(number);
                    let reason = number.and_then(|number| reasons.get(number));
                    count[if reason.is_some_and(|r| r.equivalent) { 1 } else { 2 }] += 1;
                    bare += usize::from(reason.is_none());
                    let text = reason.map_or("no reason is known", |r| &r.reason);
                    lines.push(format!("{}, {module}, {}: {text}", named.name, mutant.mutation));
                }
            }
        }
        let row = Row::new()
            .with("config", named.name.clone())
            .with("module", module.clone())
            .with("mutants", judged.len())
            .with("killed", count[0])
            .with("equivalent", count[1])
            .with("survived", count[2]);
        rows.push(row);
        mutants += judged.len();
        killed += count[0];
        equivalent += count[1];
    }
    let unused = reasons.iter().enumerate().filter(|(number, _)| !used.contains(number)).map(|(_, reason)| reason.to_string());
    let unused: Vec<String> = unused.filter(|_| only.is_none() && extent.mutants == MUTANTS).collect();
    if !unused.is_empty() {
        bail!("survivors.toml: found reasons for what does not survive: {}", unused.join("; "));
    }
    let least = rows.iter().filter_map(|row| row.get("mutants")?.as_u64()).min().unwrap_or(0);
    let percent = 100.0 * killed as f64 / (mutants - equivalent).max(1) as f64;
    let checks = vec![
        Check::new("mutants of a module", least as f64, 0, Bar::AtLeast(extent.mutants as f64)),
        Check::new("percent killed, equivalent ones aside", rounded(percent, 2), 2, Bar::AtLeast(KILLED)),
        Check::new("survivors without a reason", bare as f64, 0, Bar::AtMost(0.0)),
    ];
    let mut notes = vec![format!(
        "mutants by Yosys from seed {SEED}, of {}; against lacuna regress --named s --seed {SEED} --runs {} (the first {} for LSTMs), loaded over the bus; {} equivalent of {}",
        names(&named), extent.runs, extent.runs / 2, grouped(equivalent), grouped(mutants)
    )];
    notes.extend(lines);
    Ok(Outcome { rows, checks, notes })
}

/// What `work` makes of each, in order; [`CORES`] of them at once.
fn in_parallel<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> Result<R> + Sync) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let worker = || -> Result<Vec<(usize, R)>> {
        let mut done = vec![];
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(one) = all.get(index) else { return Ok(done) };
            done.push((index, work(one).inspect_err(|_| next.store(all.len(), Ordering::Relaxed))?));
        }
    };
    let mut done = std::thread::scope(|scope| -> Result<Vec<(usize, R)>> {
        let workers: Vec<_> = (0..CORES).map(|_| scope.spawn(worker)).collect();
        let mut all = vec![];
        for worker in workers {
            all.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(all)
    })?;
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

fn names(named: &[Named]) -> String {
    named.iter().map(|n| n.name.as_str()).collect::<Vec<_>>().join(" and ")
}

/// One module of an accelerator.
struct Subject<'a> {
    /// Of the accelerator.
    name: &'a str,
    design: &'a Design,
    module: &'a str,
    configurations: &'a [&'a Configuration],
    extent: Extent,
}

impl Subject<'_> {
    /// What the folder says of this module, or what is found now and kept there.
    fn kept(&self, folder: &Path) -> Result<Vec<Judged>> {
        let path = folder.join(format!("{}-{}.json", self.name, self.module));
        let settings = format!(
            "sources {}, seed {SEED}, {} mutants, {} runs, accelerator {}",
            env!("LACUNA_SOURCES"),
            self.extent.mutants,
            self.extent.runs,
            self.name
        );
        let mut done = if path.is_file() {
            let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let done: Done = serde_json::from_str(&text).with_context(|| format!("{}: found no mutants", path.display()))?;
            if done.settings != settings {
                bail!("{} has mutants of {}, these are of {settings}: give another folder with --keep", path.display(), done.settings);
            }
            done
        } else {
            Done { settings, asked: false, mutants: vec![] }
        };
        let keep = |done: &Done| -> Result<()> { Ok(write_whole(&path, (serde_json::to_string_pretty(done)? + "\n").as_bytes())?) };
        let scratch = tempfile::tempdir()?;
        let mutated = || module::mutate(self.design, self.module, self.extent.mutants, SEED, scratch.path());
        if done.mutants.is_empty() {
            done.mutants = self.tried(&mutated()?, scratch.path())?;
            keep(&done)?;
        }
        if !done.asked {
            let survivors: Vec<usize> = (1..=done.mutants.len()).filter(|number| done.mutants[number - 1].end == End::Survived).collect();
            if !survivors.is_empty() {
                for (number, proof) in equivalent::prove(self.design, &mutated()?, &survivors)? {
                    done.mutants[number - 1].end = End::Equivalent(proof);
                }
            }
            done.asked = true;
            keep(&done)?;
        }
        Ok(done.mutants)
    }

    /// Every mutant against the regression.
    fn tried(&self, mutated: &Mutated, folder: &Path) -> Result<Vec<Judged>> {
        let mut trial = Trial::new(self.configurations, mutated, folder)?;
        if let Some((configuration, run, finding)) = trial.first_finding(0)? {
            bail!("without a mutation, as Yosys writes it: {configuration}, {}, run {run}", finding.text);
        }
        let mut judged = vec![];
        for (index, mutation) in mutated.mutations.iter().enumerate() {
            let end = match trial.first_finding(index + 1)? {
                Some((configuration, run, finding)) => End::Killed { configuration, run, finding },
                None => End::Survived,
            };
            judged.push(Judged { mutation: mutation.command.clone(), end });
        }
        trial.engine.forget()?;
        Ok(judged)
    }
}

/// A module with all its mutants in the accelerator, built once: a file says which one is there.
struct Trial<'a> {
    engine: Engine,
    /// Built when they are needed first.
    benches: Vec<(&'a Configuration, Option<Bench>)>,
    number: PathBuf,
}

impl<'a> Trial<'a> {
    fn new(configurations: &[&'a Configuration], mutated: &Mutated, folder: &Path) -> Result<Trial<'a>> {
        let number = folder.join("number.mem");
        let path = number.to_str().with_context(|| format!("{}: expected a name in UTF-8", number.display()))?;
        let modules = folder.join("exchange");
        std::fs::create_dir(&modules).with_context(|| modules.display().to_string())?;
        let file = modules.join(format!("{}.v", mutated.module));
        std::fs::write(&file, mutated.reading_file(path)).with_context(|| file.display().to_string())?;
        let benches = configurations.iter().map(|c| (*c, None)).collect();
        Ok(Trial { engine: Engine::new(Some(modules), None, vec![]), benches, number })
    }

    /// The first finding of the regression with this mutant; 0 is none.
    fn first_finding(&mut self, number: usize) -> Result<Option<(String, usize, Finding)>> {
        std::fs::write(&self.number, format!("{number:x}\n")).with_context(|| self.number.display().to_string())?;
        for (configuration, bench) in &mut self.benches {
            let bench = match bench {
                Some(bench) => bench,
                None => match self.engine.build(configuration, None) {
                    Ok(built) => bench.insert(built),
                    Err(finding) => bail!("{}: {}", configuration.name, finding.text),
                },
            };
            let mut found = None;
            let ran = self.engine.run(configuration, bench, |run, ran| {
                found = ran.finding.map(|finding| (configuration.name.clone(), run, finding));
                anyhow::ensure!(found.is_none());
                Ok(())
            });
            match found {
                // the design is built, and its networks fit
                Some((_, _, Finding { kind: Kind::Build | Kind::Misfit, text })) => bail!("{}: {text}", configuration.name),
                Some(found) => return Ok(Some(found)),
                None => ran?,
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
