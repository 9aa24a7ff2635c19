//! The ESE datapath: an LSTM over compressed weights, step after step, for several sequences side by side.
//! The engine that multiplies is [`crate::spmv`]'s.

mod array;
mod broadcaster;
mod buffers;
pub mod cell_unit;
pub mod channel;
mod control;
pub mod drain;
mod gather;
mod mac_lane;
mod pe;
mod stream_out;
mod top;

pub use array::EseArray;
pub use broadcaster::Broadcaster;
pub use buffers::ChannelBuffers;
pub use cell_unit::CellUnit;
pub use control::Control;
pub use drain::Drain;
pub use mac_lane::MacLane;
pub use pe::EsePe;
pub use stream_out::{StreamOut, DEST_BITS};
pub use top::Ese;
