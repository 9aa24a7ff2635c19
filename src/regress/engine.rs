//! Builds a configuration's hardware and runs it: times, findings, and what was reached.

use super::bins::Bins;
use super::configuration::{flag, Configuration, DoorKind, Network};
use super::draw;
use super::layers::For;
use super::session::Session;
use crate::panics;
use anyhow::{bail, Context, Result};
use lacuna_compress::manifest::AnyModel;
use lacuna_compress::spec::Arch;
use lacuna_hdl::Design;
use lacuna_sim::coverage::Coverage;
use lacuna_sim::simulate::{library, Door, Options};
use lacuna_sim::verilate::{default_cache, Library, Optimize};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How configurations are run.
#[derive(Debug, Default)]
pub struct Engine {
    /// Modules that are taken from here instead of the generated ones, as `NAME.v`.
    pub verilog: Option<PathBuf>,
    /// Something that the regression must find.
    pub fault: Option<Fault>,
    /// Accelerators that are run again and again: their compiled designs stay in the cache.
    pub kept: Vec<Arch>,
    /// Count which lines of the Verilog run and which bits change.
    pub coverage: bool,
    /// Compiled designs in the cache that are of no further use.
    built: Mutex<Vec<PathBuf>>,
}

/// A fault outside the Verilog, to show that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// The cycle model says one cycle more
    CycleModel,
    /// A bit of the image is another one for the golden model
    Golden,
}

impl Fault {
    /// As the flag has it.
    pub fn text(self) -> String {
        flag(&self)
    }
}

/// What kind of difference was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A value that is not the golden model's.
    Results,
    /// A count that is not the cycle model's.
    Cycles,
    /// Something did not end, was refused, or was not.
    Protocol,
    /// The design could not be made, or a tool did not accept it.
    Build,
    /// The networks do not fit the accelerator: the configuration is none.
    Misfit,
    /// This program broke off.
    Panic,
}

/// What is wrong, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub kind: Kind,
    pub text: String,
}

impl Finding {
    pub fn new(kind: Kind, text: impl Into<String>) -> Finding {
        Finding { kind, text: text.into() }
    }
}

/// What one run did.
#[derive(Clone, Debug, Default)]
pub struct Ran {
    pub finding: Option<Finding>,
    /// Cycles that were compared with the cycle model.
    pub cycles: u64,
    /// The least that they can be.
    pub bound: u64,
    pub bins: Bins,
    /// What of the Verilog was reached, if that is counted.
    pub coverage: Option<Coverage>,
}

/// Seconds of a configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    pub emit: f64,
    pub verilate: f64,
    pub run: f64,
}

impl Times {
    pub fn total(&self) -> f64 {
        self.emit + self.verilate + self.run
    }
}

/// A configuration that is ready to run.
pub struct Bench {
    pub design: Design,
    pub models: Vec<AnyModel>,
    library: Library,
    options: Options,
    pub times: Times,
}

impl Engine {
    pub fn new(verilog: Option<PathBuf>, fault: Option<Fault>, kept: Vec<Arch>) -> Engine {
        Engine { verilog, fault, kept, ..Engine::default() }
    }

    /// Deletes the compiled designs that nobody will run again.
    pub fn forget(&self) -> Result<()> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        for folder in built.drain(..).filter(|folder| folder.is_dir()) {
            std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        Ok(())
    }

    /// The compiled networks of a configuration.
    pub fn models(&self, c: &Configuration) -> Result<Vec<AnyModel>, Finding> {
        let model = |network: &Network| draw::model(network, c.seed, &For::Exactly(&c.accelerator));
        let misfit = |error: anyhow::Error| Finding::new(Kind::Misfit, format!("{error:#}"));
        guarded(|| c.networks.iter().map(model).collect::<Result<_>>().map_err(misfit)).unwrap_or_else(Err)
    }

    /// The Verilog of a configuration, with the modules that are exchanged.
    pub fn design(&self, c: &Configuration) -> Result<Design, Finding> {
        let broken = |error: anyhow::Error| Finding::new(Kind::Build, format!("{error:#}"));
        guarded(|| self.generated(c).map_err(broken)).unwrap_or_else(Err)
    }

    fn generated(&self, c: &Configuration) -> Result<Design> {
        let mut design = lacuna_hdl::generate(&c.accelerator)?;
        if let Some(folder) = &self.verilog {
            exchange(&mut design, folder)?;
        }
        Ok(design)
    }

    /// Emits and verilates. With `trace` the design can write waves.
    pub fn build(&self, c: &Configuration, trace: Option<&Path>) -> Result<Bench, Finding> {
        guarded(|| self.try_build(c, trace)).unwrap_or_else(Err)
    }

    fn try_build(&self, c: &Configuration, trace: Option<&Path>) -> Result<Bench, Finding> {
        let broken = |error: anyhow::Error| Finding::new(Kind::Build, format!("{error:#}"));
        let start = Instant::now();
        let models = self.models(c)?;
        let design = self.generated(c).map_err(broken)?;
        let emit = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let options = Options {
            door: if c.door == DoorKind::Axi { Door::Axi } else { Door::Preload },
            seed: c.seed,
            trace: trace.map(Path::to_path_buf),
            // preloaded memories differ in what runs before time 0 only
            coverage: self.coverage && c.door == DoorKind::Axi,
            cache: default_cache(),
            stalls_percent: 0,
            optimize: Optimize::Draft,
        };
        let library = library(&design, &options).map_err(|e| broken(e.into()))?;
        let stays = self.verilog.is_none() && trace.is_none() && self.kept.contains(&c.accelerator);
        if let Some(folder) = library.path().parent().filter(|_| !library.cached() && !stays) {
            self.built.lock().unwrap_or_else(PoisonError::into_inner).push(folder.to_path_buf());
        }
        let times = Times { emit, verilate: start.elapsed().as_secs_f64(), run: 0.0 };
        Ok(Bench { design, models, library, options, times })
    }

    /// All runs of a configuration, each as soon as it is done. A run after one that failed has a fresh accelerator.
    pub fn run(&self, c: &Configuration, bench: &mut Bench, mut each: impl FnMut(usize, Ran) -> Result<()>) -> Result<()> {
        let start = Instant::now();
        let mut session: Option<Session> = None;
        for number in 0..c.runs.len() {
            let ran = guarded(|| {
                let mut at_work = match session.take() {
                    Some(session) => session,
                    None => Session::start(c, &bench.models, &bench.library, &bench.options, self.fault)?,
                };
                let ran = at_work.run(number)?;
                if ran.finding.is_none() {
                    session = Some(at_work);
                }
                Ok(ran)
            });
            let failed = |finding| Ran { finding: Some(finding), ..Ran::default() };
            let ran = match ran {
                Ok(Ok(ran)) => ran,
                Ok(Err(finding)) | Err(finding) => failed(finding),
            };
            each(number, ran)?;
        }
        bench.times.run = start.elapsed().as_secs_f64();
        Ok(())
    }

    /// The first finding of a configuration, and the number of the run that made it.
    pub fn first_finding(&self, c: &Configuration, trace: Option<&Path>) -> Option<(usize, Finding)> {
        let mut bench = match self.build(c, trace) {
            Ok(bench) => bench,
            Err(finding) => return Some((0, finding)),
        };
        let mut found = None;
        // an error ends the runs behind the first finding
        let _ = self.run(c, &mut bench, |number, ran| {
            found = ran.finding.map(|finding| (number, finding));
            anyhow::ensure!(found.is_none());
            Ok(())
        });
        found
    }
}

/// Takes the modules that a folder has. A folder that has none of them is a mistake.
fn exchange(design: &mut Design, folder: &Path) -> Result<()> {
    if !design.modules.iter().any(|module| folder.join(module.file_name()).is_file()) {
        let all: Vec<String> = design.modules.iter().map(|module| module.file_name()).collect();
        bail!("{}: found none of the modules of this accelerator, expected one of {}", folder.display(), all.join(", "));
    }
    for module in &mut design.modules {
        let path = folder.join(module.file_name());
        if path.is_file() {
            module.text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// A panic of the models is a finding, and no end of the regression.
fn guarded<T>(work: impl FnOnce() -> T) -> std::result::Result<T, Finding> {
    panics::caught(work).map_err(|text| Finding::new(Kind::Panic, text))
}
