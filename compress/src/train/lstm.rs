//! Recurrent networks as variables of the tensor library.

mod cell;
mod layer;
mod network;
mod sequence;
#[cfg(test)]
mod tests;

pub(crate) use cell::exp;
pub use layer::LstmVariables;
pub use network::{Dropout, LayerShape, RecurrentVariables, Shape};
pub(crate) use sequence::read;
pub use sequence::LstmState;
