//! `lacuna report`: what the tools found in a folder of `lacuna build`.

use crate::{flow, term};
use anyhow::{Context, Result};
use lacuna_compress::error::grouped;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Print what place and route, or synthesis, found in a folder that `lacuna build` made
///
/// Reads nextpnr's report.json, Vivado's utilization.rpt and timing.rpt, or else what Yosys counted.
#[derive(clap::Args)]
pub struct ReportArgs {
    /// Folder of a build
    folder: PathBuf,
}

pub fn run(args: &ReportArgs) -> Result<ExitCode> {
    print(&args.folder)?;
    Ok(ExitCode::SUCCESS)
}

/// The table of a folder.
pub fn print(folder: &Path) -> Result<()> {
    let path = folder.join("manifest.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{}: expected a folder of `lacuna build`", path.display()))?;
    let manifest: serde_json::Value = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let (name, mhz) = (manifest["board"].as_str(), manifest["clock_mhz"].as_f64());
    let (name, mhz) = name.zip(mhz).with_context(|| format!("{}: found no board with its clock", path.display()))?;
    let (tool, found) = flow::figures(folder, mhz)?;
    let number = |n: u64| grouped(usize::try_from(n).unwrap_or(usize::MAX));
    let rows: Vec<_> = (found.cells.iter().filter(|cell| cell.1 > 0))
        .map(|(name, used, available)| vec![name.clone(), number(*used), available.map_or("-".into(), number)])
        .collect();
    term::table(&format!("{name}, {tool}"), &["cell", "used", "available"], &rows)?;
    if let Some(fmax) = found.fmax_mhz {
        let verdict = if fmax >= mhz { "met" } else { "MISSED" };
        term::line(format!("clock: {fmax:.1} MHz, asked for {mhz} MHz: {verdict}"))?;
    }
    Ok(())
}
