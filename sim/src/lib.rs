//! Placeholder.

#[cfg(feature = "verilator")]
pub mod dut;
#[cfg(feature = "verilator")]
mod shim;
#[cfg(feature = "verilator")]
pub mod verilate;
