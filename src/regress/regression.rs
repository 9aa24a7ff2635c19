//! A plan at work: several configurations at once, each result noted as soon as it is there, failures shrunk and kept.

use super::configuration::Configuration;
use super::coverage::Counts;
use super::engine::{Engine, Fault, Finding};
use super::failure;
use super::journal::{Done, Journal, RunResult};
use super::plan::Plan;
use super::report::Summary;
use super::shrink::Limits;
use anyhow::Result;
use lacuna_sim::coverage::Coverage;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{mpsc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures that are shrunk; a fault of the hardware fails everywhere, and one small case shows it.
const SHRUNK: usize = 5;
/// Attempts to make one smaller.
const ATTEMPTS: usize = 200;
/// Folder of the failures.
const FAILURES: &str = "failures";

/// What there is to do.
pub struct Regression<'a> {
    pub plan: &'a Plan,
    pub folder: &'a Path,
    pub jobs: usize,
    pub time: Option<Duration>,
    /// For making a failing configuration smaller.
    pub shrink: Duration,
    pub verilog: Option<PathBuf>,
    pub fault: Option<Fault>,
}

/// News on the way.
pub enum Told {
    /// Runs that are done, those of before included.
    Runs(usize),
    Failure(String),
}

impl Regression<'_> {
    /// Runs what is not done yet.
    pub fn run(&self, tell: &mut dyn FnMut(Told)) -> Result<Summary> {
        let journal = Journal::open(self.folder)?;
        let open: Vec<&Configuration> = self.plan.configurations.iter().filter(|c| !journal.records.done(&c.name)).collect();
        tell(Told::Runs(journal.records.runs()));
        let journal = Mutex::new(journal);
        let (next, failed, stopped) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
        let begin = Instant::now();
        let (news, heard) = mpsc::channel();
        std::thread::scope(|scope| -> Result<()> {
            let workers: Vec<_> = (0..self.jobs.min(open.len()))
                .map(|_| {
                    let (news, open, journal, next, failed, stopped) = (news.clone(), &open, &journal, &next, &failed, &stopped);
                    scope.spawn(move || -> Result<()> {
                        let settings = &self.plan.settings;
                        let mut engine = Engine::new(self.verilog.clone(), self.fault, settings.accelerators.clone());
                        engine.coverage = settings.coverage;
                        while !stopped.load(Ordering::Relaxed) && self.time.is_none_or(|time| begin.elapsed() < time) {
                            let Some(c) = open.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                            let one = One { regression: self, engine: &engine, journal, news: &news };
                            // what cannot be written ends all of it
                            one.configuration(c, failed).inspect_err(|_| stopped.store(true, Ordering::Relaxed))?;
                        }
                        Ok(())
                    })
                })
                .collect();
            drop(news);
            heard.iter().for_each(tell);
            workers.into_iter().try_for_each(|w| w.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })?;
        let journal = journal.into_inner().unwrap_or_else(PoisonError::into_inner);
        let shown = self.plan.shown(|name| journal.records.done(name));
        let summary = Summary::new(&shown, &journal.records, vec![]).with_coverage(self.folder)?;
        summary.write(self.folder, &shown, &journal.records)?;
        Ok(summary)
    }
}

/// A worker's means.
struct One<'a> {
    regression: &'a Regression<'a>,
    engine: &'a Engine,
    journal: &'a Mutex<Journal>,
    news: &'a mpsc::Sender<Told>,
}

impl One<'_> {
    fn configuration(&self, c: &Configuration, failed: &AtomicUsize) -> Result<()> {
        let mut first: Option<(usize, Finding)> = None;
        let mut done = Done::default();
        match self.engine.build(c, None) {
            Err(finding) => {
                self.note(c, 0, RunResult { finding: Some(finding.clone()), ..RunResult::default() })?;
                first = Some((0, finding));
            }
            Ok(mut bench) => {
                let mut reached: Option<Coverage> = None;
                self.engine.run(c, &mut bench, |number, ran| {
                    ran.coverage.iter().for_each(|coverage| reached.get_or_insert_default().add(coverage));
                    if let Some(finding) = &ran.finding {
                        first.get_or_insert((number, finding.clone()));
                    }
                    self.note(c, number, RunResult { finding: ran.finding, cycles: ran.cycles, bound: ran.bound, bins: ran.bins })
                })?;
                if let Some(reached) = reached {
                    // one at a time, like the journal; before the end is noted, so that a kill between both loses nothing
                    let _one = self.locked();
                    Counts::of(&c.name, &reached, &bench.design).add_to(self.regression.folder, &c.accelerator)?;
                }
                done.times = bench.times;
            }
        }
        if let Some((run, finding)) = first {
            let shrinks = failed.fetch_add(1, Ordering::Relaxed) < SHRUNK && !self.regression.shrink.is_zero();
            let limits = Limits { attempts: ATTEMPTS, time: self.regression.shrink };
            let below = Path::new(FAILURES).join(&c.name);
            let folder = self.regression.folder.join(&below);
            let shrunk = failure::leave(self.engine, c, run, &finding, shrinks.then_some(limits), &folder)?;
            done.failure = Some(below.display().to_string());
            self.tell(Told::Failure(format!("{}: {}; kept in {}", c.name, shrunk.finding.text, folder.display())));
        }
        self.locked().done(&c.name, done)?;
        self.engine.forget()
    }

    fn note(&self, c: &Configuration, run: usize, result: RunResult) -> Result<()> {
        let mut journal = self.locked();
        journal.run(&c.name, run, result)?;
        let runs = journal.records.runs();
        drop(journal);
        self.tell(Told::Runs(runs));
        Ok(())
    }

    fn tell(&self, told: Told) {
        // nobody listens any more when all of it has ended with an error
        let _ = self.news.send(told);
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
