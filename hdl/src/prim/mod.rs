//! Leaves: blocks whose Verilog is written by hand, one file `NAME.v` each.
//!
//! Only here are products, sign extension, arithmetic shifts, memories and loops over bits. Each
//! file's header states the block's contract; the types here give it ports and parameters.

mod activation;
mod arithmetic;
mod lanes;
mod memory;
mod queue;

pub use activation::Activation;
pub use arithmetic::{Accumulate, AlignShift, Crc32, Delay, Larger, Multiply, Requantize};
pub use lanes::{ByteMerge, LaneMerge, LaneSelect};
pub use memory::{Accumulators, Memory, SinglePort, Style, SHAPES};
pub use queue::ColumnQueue;
