//! `lacuna init`: a configuration to start from.

use crate::{staged, term};
use anyhow::{bail, Result};
use lacuna_compress::config::Config;
use lacuna_compress::files::write_whole;
use std::path::PathBuf;
use std::process::ExitCode;

/// Write a commented configuration: every key, its default and its limits
#[derive(clap::Args)]
pub struct InitArgs {
    /// File to write
    #[arg(default_value = "lacuna.toml")]
    file: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

pub fn run(args: &InitArgs) -> Result<ExitCode> {
    staged::check_file(&args.file)?;
    if args.file.exists() && !args.force {
        bail!("{} exists: give another name, or --force to replace it", args.file.display());
    }
    write_whole(&args.file, Config::commented_example().as_bytes())?;
    term::note(format!(
        "wrote {}; name your model and its tensors in it, then: lacuna compress -c {0} -o model.lacuna",
        args.file.display()
    ));
    Ok(ExitCode::SUCCESS)
}
