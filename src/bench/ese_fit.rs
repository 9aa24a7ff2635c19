//! `ese-fit`: 32 PEs and one channel with memories for ESE's LSTM, through Yosys for an UltraScale+ device.
//!
//! The hierarchy stays: flattened, 32 PEs are optimized 32 times. A PE is synthesized once and counted 32 times, so
//! nothing is shared or trimmed across its ports.

use super::ese_case::{network, Variant};
use super::report::{rounded, Outcome, Row};
use crate::flow::yosys;
use crate::term;
use anyhow::Result;
use lacuna_compress::spec::MemoryKind;
use lacuna_hdl::generate;

const PES: usize = 32;
const FIFO: usize = 16;
/// ESE on a KU060, everything counted, per PE: LUT, FF, BRAM36, DSP.
const PAPER: [f64; 4] = [287.0, 442.0, 0.92, 1.47];
/// Modules that are also printed alone.
const PARTS: [&str; 4] = ["ese_pe", "drain", "channel", "ese_array"];
const KEYS: [&str; 4] = ["lut", "ff", "bram36", "dsp"];

pub fn run() -> Result<Outcome> {
    let case = Variant::best(PES, 1, FIFO).compile(&network())?;
    let arch = case.compiled.model.arch();
    let design = generate(arch)?;
    let spinner = term::spinner("synthesis");
    let report = yosys::synthesize(&design, "synth_xilinx -family xcup")?;
    spinner.finish_and_clear();
    let all = yosys::of(&report, &design.top)?;
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
        let [lut, ff, bram, dsp] = yosys::of(&report, name)?;
        notes.push(format!("of them each {name}: {lut} LUT, {ff} FF, {bram} BRAM36, {dsp} DSP"));
    }
    Ok(Outcome { rows, checks: vec![], notes })
}

pub(super) fn row(design: &str, pes: usize, per_pe: [f64; 4]) -> Row {
    let row = Row::new().with("design", design).with("pes", pes);
    KEYS.into_iter().zip(per_pe).fold(row, |row, (key, value)| row.with(key, rounded(value, 2)))
}
