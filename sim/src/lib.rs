//! From Verilog to a verdict: golden model, float reference, cycle model, Verilator.
//!
//! Order of oracles: reference ~ golden (stated tolerance), golden = RTL (exact), cycle model = RTL (exact).
//! The golden model never sees the hardware's description, and the hardware never sees it.

pub mod coverage;
pub mod golden;
pub mod host;
pub mod host_stream;
pub mod mapped;
pub mod perf;
pub mod perf_ese;
pub mod reference;
pub mod session;
pub mod testbench;
pub mod wire;

#[cfg(feature = "verilator")]
pub mod board_sim;
#[cfg(feature = "verilator")]
pub mod dut;
#[cfg(feature = "verilator")]
pub mod recurrent;
#[cfg(feature = "verilator")]
mod shim;
#[cfg(feature = "verilator")]
pub mod simulate;
#[cfg(feature = "verilator")]
pub mod verilate;
