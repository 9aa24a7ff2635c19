//! `board`: networks on boards, placed and routed by the open tools; and EIE's 64 PEs through Yosys for an UltraScale+ device.

use super::digits;
use super::report::{rounded, Bar, Check, Outcome, Row};
use super::synthetic::{NINE, SEED as DRAWN};
use crate::board::Board;
use crate::estimate::{OnBoard, Verdict};
use crate::flow::{self, yosys, Figures, Settings};
use crate::{pipeline, term};
use anyhow::{bail, Context, Result};
use lacuna_compress::config::Config;
use lacuna_compress::inputs::{load_inputs, Samples};
use lacuna_compress::manifest::{AnyModel, Model};
use lacuna_compress::spec::Arch;
use lacuna_sim::golden::Golden;
use lacuna_sim::perf::Network;
use std::path::Path;
use std::time::Duration;

/// Parts of the measurement, by the names that `--only` takes.
const PARTS: [&str; 4] = ["ulx3s", "largest", "icebreaker", "xcup"];
const LENET: &str = "sparse LeNet-300-100";
const SOURCES: &str = env!("CARGO_MANIFEST_DIR");
const SEED: u32 = 1;
/// For synthesis, place and route of one build. A router that has not ended by then goes round in circles.
const PATIENCE: Duration = Duration::from_secs(20 * 60);
/// PEs between the most that were placed and routed and the fewest that were not, or do not fit.
const CLOSE: usize = 4;
/// Of the ULX3S.
const LEAST_MHZ: f64 = 80.0;
/// PEs of EIE, and the depth of their queues.
const EIE: (usize, usize) = (64, 8);
/// The smallest that there is: memories in LUTs have none.
const HALF_A_BLOCK: f64 = 0.5;
/// LUTs of a PE of ESE.
const ESE_LUTS: f64 = 287.0;

pub fn run(data: &Path, keep: Option<&Path>, only: Option<&str>) -> Result<Outcome> {
    if let Some(name) = only.filter(|name| !PARTS.contains(name)) {
        bail!("found --only {name}, expected {}", PARTS.join(", "));
    }
    let scratch = tempfile::tempdir()?;
    let folder = keep.unwrap_or(scratch.path());
    let wanted = |part: &str| only.is_none_or(|name| name == part);
    let digits = bundled_digits()?;
    let mut outcome = Outcome { rows: vec![], checks: vec![], notes: vec![] };
    if wanted("ulx3s") || wanted("largest") {
        let board = Board::find("ulx3s")?;
        let (model, bytes) = bundled()?;
        let eight = build(&board, &model, &bytes, &folder.join("ulx3s"))?;
        outcome.rows.push(row(&board, LENET, &model, &eight, &digits)?);
        outcome.checks.push(Check::new("ULX3S, 8 PEs: MHz after routing", eight.fmax_mhz, 1, Bar::AtLeast(LEAST_MHZ)).stretch(100.0));
        if wanted("largest") {
            let (model, figures, not) = largest(&board, model.arch(), data, folder)?;
            let minutes = PATIENCE.as_secs() / 60;
            outcome
                .notes
                .push(format!("ULX3S, largest: {not} PEs do not fit, or were not routed within {minutes} minutes; between is open"));
            outcome.rows.push(row(&board, LENET, &model, &figures, &digits)?);
        }
    }
    if wanted("icebreaker") {
        let board = Board::find("icebreaker")?;
        let config = Config::load(&board.folder.join("lenet300100.toml"))?;
        let model = pipeline::compress(&config)?.compiled.model;
        let figures = build(&board, &model, &model.to_container()?, &folder.join("icebreaker"))?;
        outcome.rows.push(row(&board, LENET, &model, &figures, &digits)?);
        outcome.notes.push("iCEBreaker: a logic cell is a LUT and a flip-flop, and counts as both".into());
        let needed = board.description.clock.mhz;
        outcome.checks.push(Check::new("iCEBreaker: MHz after routing", figures.fmax_mhz, 1, Bar::AtLeast(needed)));
    }
    if wanted("xcup") {
        let Synthesized { area: [lut, ff, bram, dsp], entries, pointers } = eie()?;
        let pes = EIE.0;
        let row = Row::new().with("board", "xcup").with("network", "Alex-7").with("pes", pes);
        let row = row.with("lut", lut).with("ff", ff).with("bram", bram).with("dsp", dsp);
        outcome.rows.push(row.with("fmax_mhz", serde_json::Value::Null).with("inferences_per_s", serde_json::Value::Null));
        let per_pe = |n: f64| n / pes as f64;
        outcome.checks.push(Check::new("xcup, Alex-7, fifo 8: LUT per PE, all counted", per_pe(lut), 1, Bar::AtMost(250.0)));
        outcome.checks.push(Check::new("xcup, Alex-7, fifo 8: DSP per PE", per_pe(dsp), 2, Bar::AtMost(1.0)));
        for (what, blocks) in [("entries", entries), ("pointers", pointers)] {
            outcome.checks.push(Check::new(format!("xcup, Alex-7: BRAM of a PE's {what}"), blocks, 1, Bar::AtLeast(HALF_A_BLOCK)));
        }
        let yosys = yosys::version()?;
        outcome
            .notes
            .push(format!("xcup: {yosys}, host port included, hierarchy kept, BRAM in blocks of 36 kbit; ESE takes {ESE_LUTS} LUT a PE"));
    }
    outcome.notes.push(format!("place and route: seed {SEED}; inferences: cycles of the cycle model, mean of the bundled digits"));
    Ok(outcome)
}

/// The demo's network, and its container.
fn bundled() -> Result<(Model, Vec<u8>)> {
    let path = Path::new(SOURCES).join("src/demo/lenet300100.lacuna");
    let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
    Ok((Model::from_container(&bytes)?, bytes))
}

/// The bundled digits, as bytes over 256.
fn bundled_digits() -> Result<Samples> {
    Ok(load_inputs(&Path::new(SOURCES).join("src/demo/digits-images-idx3-ubyte.gz"), None, 1.0 / 256.0, 0.0)?)
}

/// To a bitstream in `folder`, or what an earlier run of the same files found there.
fn build(board: &Board, model: &Model, container: &[u8], folder: &Path) -> Result<Figures> {
    let before = std::fs::read(folder.join(flow::MANIFEST)).ok();
    let settings = Settings { mhz: board.description.clock.mhz, seed: SEED };
    let any = AnyModel::Layers(model.clone());
    flow::write(folder, board, model.arch(), Some((&any, container)), &settings)?;
    let same = before.is_some_and(|b| std::fs::read(folder.join(flow::MANIFEST)).is_ok_and(|now| now == b));
    // a run that was stopped leaves the one without the other
    let whole = ["report.json", flow::bitstream(board.description.tools.flow)].iter().all(|name| folder.join(name).is_file());
    if !(same && whole) {
        term::note(format!("{}: {}", board.name, term::count(model.arch().pes, "PE")));
        let spinner = term::spinner("synthesis, place and route");
        flow::execute(folder, &flow::tools(board.description.tools.flow)?, Some(PATIENCE))?;
        spinner.finish_and_clear();
    }
    Ok(flow::figures(folder, settings.mhz)?.1)
}

/// The network on as many PEs as the board takes: between `few`, which do, and one more than the estimate says may fit, halving what
/// is open up to [`CLOSE`]. Where fewer do not route, more are not tried.
fn largest(board: &Board, few: &Arch, data: &Path, folder: &Path) -> Result<(Model, Figures, usize)> {
    let most = OnBoard::new(board, few)?.largest(Verdict::MayNotFit)?.unwrap_or(few.pes);
    let (mut does, mut does_not, mut found) = (few.pes, most + 1, None);
    while does + CLOSE < does_not {
        let pes = (does + does_not).div_ceil(2);
        let mut config = digits::config(data)?;
        config.accelerator.pes = pes;
        let model = pipeline::compress(&config)?.compiled.model;
        match build(board, &model, &model.to_container()?, &folder.join(format!("largest-{pes}"))) {
            Ok(figures) => (does, found) = (pes, Some((model, figures))),
            Err(error) => {
                term::note(format!("{}: {pes} PEs: {}", board.name, last_line(&error)));
                does_not = pes;
            }
        }
    }
    let (model, figures) = found.with_context(|| format!("{}: no more than {} were placed", board.name, term::count(few.pes, "PE")))?;
    Ok((model, figures, does_not))
}

fn last_line(error: &anyhow::Error) -> String {
    error.to_string().lines().last().unwrap_or_default().to_string()
}

fn row(board: &Board, network: &str, model: &Model, figures: &Figures, digits: &Samples) -> Result<Row> {
    let golden = Golden::new(&model.image)?;
    let clock = Network::new(&golden);
    let mut cycles = 0;
    for sample in digits.iter() {
        cycles += clock.time(&golden.trace(&model.quantize_input(sample)?)?).total.cycles;
    }
    let mean = cycles as f64 / digits.count as f64;
    let fmax = figures.fmax_mhz.with_context(|| format!("{}: there is no clock", board.name))?;
    let [lut, ff, bram, dsp] = figures.area().with_context(|| board.name.clone())?;
    let row = Row::new().with("board", board.name.as_str()).with("network", network).with("pes", model.arch().pes);
    let row = row.with("lut", lut).with("ff", ff).with("bram", bram).with("dsp", dsp);
    Ok(row.with("fmax_mhz", rounded(fmax, 2)).with("inferences_per_s", rounded(fmax * 1e6 / mean, 0)))
}

/// What Yosys made of an accelerator.
struct Synthesized {
    /// LUT, FF, BRAM36, DSP.
    area: [f64; 4],
    /// BRAM36 of what reads a PE's entries, and its pointers.
    entries: f64,
    pointers: f64,
}

/// EIE's accelerator for Alex-7.
fn eie() -> Result<Synthesized> {
    let arch = alex_7()?;
    let design = lacuna_hdl::generate(&arch)?;
    let spinner = term::spinner("synthesis for xcup");
    let report = yosys::synthesize(&design, "synth_xilinx -family xcup")?;
    spinner.finish_and_clear();
    // the memories are modules below these
    let blocks = |module: &str| Ok::<_, anyhow::Error>(yosys::of(&report, module)?[2]);
    Ok(Synthesized { area: yosys::of(&report, &design.top)?, entries: blocks("spmat_read")?, pointers: blocks("ptr_read")? })
}

/// As the bench `nine` has it.
fn alex_7() -> Result<Arch> {
    let shape = &NINE[1];
    Ok(shape.draw(DRAWN).compile(EIE.0, EIE.1)?.model.image.arch)
}
