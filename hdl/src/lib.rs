//! From an architecture to synthesizable Verilog, on rust-hdl.
//!
//! Blocks are rust-hdl blocks over the signals of [`signal`]; [`verilog`] writes them as one file per module.
//! [`prim`] holds the leaves written by hand, [`spmv`] the engine that datapaths share, [`eie`] and [`ese`] a datapath each,
//! [`host`] the way in, [`wire`] a serial line before it. [`generate`] is what other crates call.

pub mod eie;
pub mod ese;
pub mod generate;
pub mod host;
pub mod prim;
pub mod signal;
pub mod spmv;
pub mod verilog;
pub mod wire;

pub use generate::{generate, generate_uart, Design, GenerateError, Port};
