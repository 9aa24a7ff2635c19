//! Programs that a measurement runs.

use anyhow::{bail, Context, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The first of `names` that is on PATH, or in `.venv/bin` of the working directory. An error names the
/// package `package`.
pub fn find(names: &[&str], package: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).chain([PathBuf::from(".venv/bin")]).collect();
    let found = names.iter().flat_map(|name| folders.iter().map(move |f| f.join(name))).find(|p| p.is_file());
    let Some(found) = found else {
        bail!("{} is neither on PATH nor in .venv/bin: it comes with {package}", names.join(" or "));
    };
    std::path::absolute(&found).with_context(|| found.display().to_string())
}

/// Runs a program in a folder; what it wrote is in the error if it fails.
pub fn run(program: &Path, arguments: &[&str], folder: &Path) -> Result<()> {
    let output = Command::new(program).args(arguments).current_dir(folder).output().with_context(|| program.display().to_string())?;
    if output.status.success() {
        return Ok(());
    }
    bail!("{} {} ended with {}:\n{}", program.display(), arguments.join(" "), output.status, last_lines(&output));
}

/// The end of what a program wrote.
pub fn last_lines(output: &Output) -> String {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
