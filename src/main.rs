//! The `lacuna` command. Everything that reads arguments, prints or exits is in this package; the work is done in the
//! crates `compress`, `hdl` and `sim`.

mod accelerator;
mod audio;
mod bench;
mod board;
mod cli;
mod commands;
mod csr;
mod estimate;
mod flow;
mod inputs;
#[cfg(any(feature = "verilator", feature = "fuzz", test))]
mod panics;
mod pipeline;
mod port;
#[cfg(feature = "verilator")]
mod regress;
mod sequences;
mod speech;
mod staged;
mod term;
mod tools;
#[cfg(feature = "train")]
mod training;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run().unwrap_or_else(|error| term::fail(&error))
}
