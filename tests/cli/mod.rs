//! One file per subject; `project` makes the small network that they run on.

#[cfg(feature = "verilator")]
mod board;
mod build;
mod compress;
mod convolution;
mod demo;
mod generate;
mod help;
mod infer;
mod init;
mod inspect;
#[cfg(feature = "verilator")]
mod page;
mod project;
mod recurrent;
mod refused;
#[cfg(feature = "verilator")]
mod regress;
#[cfg(feature = "verilator")]
mod simulate;
#[cfg(feature = "verilator")]
mod slurm;
mod storage;
mod train;
#[cfg(feature = "train")]
mod train_text;
mod witness;
