//! `emit`: how long the Verilog takes, how large it is, and how long a build for simulation takes.

use super::hardware;
use super::report::{rounded, Bar, Check, Outcome, Row};
use super::synthetic::{Compiled, NINE, SEED};
use crate::term;
use anyhow::Result;
use lacuna_compress::spec::Arch;
use lacuna_hdl::generate;
use std::time::Instant;

const PES: [usize; 4] = [1, 4, 64, 256];
/// The build that is timed.
const BUILD: usize = 64;

/// A build for simulation, and the model's speed.
struct Built {
    seconds: f64,
    cycles_per_second: f64,
}

pub fn run() -> Result<Outcome> {
    let verilator = hardware::available()?;
    // Alex-8: memories of the size that EIE's layers need
    let compiled = NINE[2].draw(SEED).compile(BUILD, 8)?;
    let mut rows = vec![];
    let mut largest = 0.0;
    let spinner = term::spinner("building 64 PEs for simulation");
    let built = if verilator { build(&compiled)? } else { None };
    spinner.finish_and_clear();
    for pes in PES {
        let arch = Arch { pes, ..compiled.model.arch().clone() };
        let started = Instant::now();
        let design = generate(&arch)?;
        let seconds = started.elapsed().as_secs_f64();
        largest = if pes == 256 { seconds } else { largest };
        let bytes: usize = design.modules.iter().map(|m| m.text.len()).sum();
        let row =
            Row::new().with("pes", pes).with("seconds", rounded(seconds, 4)).with("bytes", bytes).with("modules", design.modules.len());
        rows.push(match built.as_ref().filter(|_| pes == BUILD) {
            Some(b) => row.with("build_seconds", rounded(b.seconds, 1)).with("cycles_per_second", b.cycles_per_second.round() as u64),
            None => row,
        });
    }
    let build = built.map(|b| b.seconds);
    let checks = vec![
        Check::new("generate at 256 PEs, seconds", largest, 3, Bar::Below(1.0)),
        Check::new("64 PEs built from cold, seconds", build, 1, Bar::Below(90.0)),
    ];
    let mut notes = vec!["memories as for Alex-8 on 64 PEs".to_string()];
    if cfg!(debug_assertions) {
        notes.push("this is a debug build: times mean nothing".into());
    }
    if !verilator {
        notes.push(hardware::WITHOUT.into());
    }
    Ok(Outcome { rows, checks, notes })
}

#[cfg(feature = "verilator")]
fn build(compiled: &Compiled) -> Result<Option<Built>> {
    use lacuna_sim::simulate::{library, Door, Options, Simulator};
    let cache = tempfile::tempdir()?;
    let options = Options { door: Door::Axi, cache: cache.path().to_path_buf(), ..Options::default() };
    let started = Instant::now();
    let design = generate(compiled.model.arch())?;
    let library = library(&design, &options)?;
    let seconds = started.elapsed().as_secs_f64();
    let mut simulator = Simulator::start(&compiled.model, &library, &options)?;
    // every cycle of the clock counts, those of the host's transfers too
    let before = simulator.host.bus.0.cycles();
    let started = Instant::now();
    simulator.run(&compiled.input)?;
    let cycles = simulator.host.bus.0.cycles() - before;
    Ok(Some(Built { seconds, cycles_per_second: cycles as f64 / started.elapsed().as_secs_f64() }))
}

#[cfg(not(feature = "verilator"))]
fn build(_: &Compiled) -> Result<Option<Built>> {
    Ok(None)
}
