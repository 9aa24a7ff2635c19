//! Golden model, cycle model and host side against the generated Verilog and against other tools. One binary: its tests
//! share the processors, and the libraries are linked once.

mod common;
mod conv;
mod conv_compiled;
#[cfg(feature = "verilator")]
mod ese_array;
#[cfg(feature = "verilator")]
mod ese_compiled;
#[cfg(feature = "verilator")]
mod ese_control;
#[cfg(feature = "verilator")]
mod ese_drain;
#[cfg(feature = "verilator")]
mod ese_perf;
#[cfg(feature = "verilator")]
mod ese_system;
#[cfg(feature = "verilator")]
mod host;
#[cfg(feature = "verilator")]
mod leaves;
mod perf;
mod perf_ese;
mod recurrent;
mod recurrent_reference;
mod reference_conv;
mod reference_lstm;
#[cfg(feature = "verilator")]
mod streams;
#[cfg(feature = "verilator")]
mod system;
mod testbench;
#[cfg(feature = "verilator")]
mod verilate;
#[cfg(feature = "verilator")]
mod wire;
