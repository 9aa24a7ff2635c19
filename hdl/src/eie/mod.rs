//! The EIE datapath: fully connected layers and, if the architecture has them, convolutions, one after the other from one start.

mod patch_walk;
mod scanner;
mod sequencer;
mod top;
mod window_walk;

pub use top::Eie;
