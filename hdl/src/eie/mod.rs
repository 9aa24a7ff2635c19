//! The EIE datapath: fully connected layers, one after the other, from one start.

mod scanner;
mod sequencer;
mod top;

pub use top::Eie;
