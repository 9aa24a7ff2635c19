//! One file per subcommand: its arguments, and what it prints. What is work for more than one of them is
//! not here, and what is work for another program is in the crates.

pub mod board_sim;
pub mod build;
pub mod compress;
pub mod decompress;
pub mod demo;
#[cfg(feature = "verilator")]
mod digits;
pub mod estimate;
pub mod generate;
pub mod infer;
pub mod init;
pub mod inspect;
pub mod load;
pub mod prune;
pub mod recurrent;
pub mod regress;
pub mod report;
pub mod run;
pub mod simulate;
pub mod stats;
pub mod store;
pub mod train;

/// What a program says that was built without training.
#[cfg(not(feature = "train"))]
pub fn without_training(command: &str) -> anyhow::Error {
    anyhow::anyhow!("`lacuna {command}` trains, and this program was built without that: cargo build --release --features train")
}

/// What a program says that was built without Verilator.
#[cfg(not(feature = "verilator"))]
pub fn built_without_verilator(command: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "`lacuna {command}` runs the generated Verilog, and this program was built without Verilator: install the Debian \
         packages `verilator` and `g++`, then build without `--no-default-features`"
    )
}
