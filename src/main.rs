//! The `lacuna` command. Everything that reads arguments, prints or exits is in this package; the work is done in the
//! crates `compress`, `hdl` and `sim`.

mod audio;
mod bench;
mod cli;
mod commands;
mod inputs;
mod pipeline;
mod sequences;
mod speech;
mod staged;
mod term;
#[cfg(feature = "train")]
mod training;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run().unwrap_or_else(|error| term::fail(&error))
}
