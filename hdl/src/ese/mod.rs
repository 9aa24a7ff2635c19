//! The LSTM datapath (ESE): what runs time steps. The engine that multiplies is [`crate::spmv`]'s.

pub mod cell_unit;
pub mod channel;
pub mod drain;

pub use cell_unit::CellUnit;
pub use drain::Drain;
