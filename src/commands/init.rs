//! `lacuna init`: a configuration to start from.

use crate::{staged, term};
use anyhow::{bail, Result};
use lacuna_compress::config::Config;
use lacuna_compress::files::write_whole;
use std::path::PathBuf;
use std::process::ExitCode;

/// Write a commented configuration: every key, its default and its limits
///
/// With --lstm a shorter one, of a network with an LSTM: the keys that matter there.
#[derive(clap::Args)]
pub struct InitArgs {
    /// File to write
    #[arg(default_value = "lacuna.toml")]
    file: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    /// For a network with an LSTM
    #[arg(long)]
    lstm: bool,
}

pub fn run(args: &InitArgs) -> Result<ExitCode> {
    staged::check_file(&args.file)?;
    if args.file.exists() && !args.force {
        bail!("{} exists: give another name, or --force to replace it", args.file.display());
    }
    let text = if args.lstm { Config::lstm_example() } else { Config::commented_example() };
    write_whole(&args.file, text.as_bytes())?;
    term::note(format!(
        "wrote {}; name your model and its tensors in it, then: lacuna compress -c {0} -o model.lacuna",
        args.file.display()
    ));
    Ok(ExitCode::SUCCESS)
}
