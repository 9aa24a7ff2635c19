//! `lacuna.core`: the Verilog as a core of FuseSoC, with the board that it was written for.

use super::clock;
use crate::board::{Board, Flow};

/// Name of the file.
pub const CORE: &str = "lacuna.core";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// An accelerator with its AXI ports. `data` are what its memories start with, if anything.
pub fn accelerator(top: &str, sources: &[String], data: &[String]) -> String {
    let rtl = fileset("rtl", "verilogSource", sources);
    // a file that is no source is copied to where the tools run
    let data = if data.is_empty() { String::new() } else { fileset("data", "user", data) };
    let used = if data.is_empty() { "[rtl]" } else { "[rtl, data]" };
    head(top, "Sparse neural network accelerator") + &rtl + &data + &targets(used, top)
}

/// An accelerator behind the pins of a board.
pub fn on(board: &Board, sources: &[String]) -> String {
    let d = &board.description;
    let (kind, flow, options) = match d.tools.flow {
        Flow::Ecp5 => (
            "LPF",
            "trellis",
            format!("nextpnr_options: [{}, --package, {}, --speed, \"{}\"]", quoted(&d.tools.nextpnr), d.device.package, d.device.speed),
        ),
        Flow::Ice40 => ("PCF", "icestorm", format!("nextpnr_options: [{}, --package, {}]", quoted(&d.tools.nextpnr), d.device.package)),
        Flow::Vivado => ("xdc", "vivado", format!("part: {}", d.device.part)),
    };
    let (pins, rtl): (Vec<_>, Vec<_>) = sources.iter().cloned().partition(|file| *file == clock::FILE || *file == d.files.top);
    // what a core's name may have; the targets below have names too
    let name = &match board.name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "_") {
        taken if ["default", "lint"].contains(&taken.as_str()) => taken + "_board",
        name => name,
    };
    head(name, &format!("Sparse neural network accelerator on {}", d.title))
        + &fileset("rtl", "verilogSource", &rtl)
        + &fileset("pins", "verilogSource", &pins)
        + &fileset("board", kind, std::slice::from_ref(&d.files.constraints))
        + &targets("[rtl]", "lacuna_uart")
        + &format!("  {name}:\n    <<: *default\n    filesets: [rtl, pins, board]\n    toplevel: top\n    flow: {flow}\n    flow_options:\n      {options}\n")
}

fn head(name: &str, description: &str) -> String {
    format!("CAPI=2:\nname: lacuna:accelerator:{name}:{VERSION}\ndescription: {}\nfilesets:\n", serde_json::Value::from(description))
}

fn fileset(name: &str, kind: &str, files: &[String]) -> String {
    let list: String = files.iter().map(|file| format!("      - {file}\n")).collect();
    format!("  {name}:\n    files:\n{list}    file_type: {kind}\n")
}

/// What every core has: its files, and a look at them by Verilator.
fn targets(filesets: &str, top: &str) -> String {
    format!(
        "targets:\n  default: &default\n    filesets: {filesets}\n    toplevel: {top}\n  lint:\n    <<: *default\n    flow: lint\n    \
         flow_options:\n      tool: verilator\n      verilator_options: [-Wall]\n"
    )
}

fn quoted(arguments: &[String]) -> String {
    arguments.iter().map(|a| format!("\"{a}\"")).collect::<Vec<_>>().join(", ")
}
