//! Exports the Verilator runtime from this package's executables and tests: models are loaded at run time and
//! resolve against it. `sim/build.rs` does so for `lacuna-sim`; link arguments do not reach dependents.
//!
//! Names the sources that decide what a regression draws, builds and judges, so that results of others are not taken for its own.

use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// From a network to Verilog, to a simulation, and to a judgement.
const SOURCES: [&str; 4] = ["compress/src", "hdl/src", "sim/src", "src/regress"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_VERILATOR").is_some() {
        println!("cargo:rustc-link-arg=-rdynamic");
    }
    let mut files = vec![];
    for folder in SOURCES {
        println!("cargo:rerun-if-changed={folder}");
        collect(Path::new(folder), &mut files).unwrap_or_else(|error| panic!("{folder}: {error}"));
    }
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let text = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        hash.update(format!("{} {}\n", file.display(), text.len()));
        hash.update(text);
    }
    let hex: String = hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    println!("cargo:rustc-env=LACUNA_SOURCES={hex}");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_none_or(|extension| extension != "toml") {
            // reasons of waivers decide nothing, and named accelerators are in the settings
            files.push(path);
        }
    }
    Ok(())
}
