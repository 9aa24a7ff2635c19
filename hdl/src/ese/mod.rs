//! The ESE datapath: an LSTM over compressed weights, step after step, for several sequences side by side.
//! The engine that multiplies is [`crate::spmv`]'s.

mod array;
mod broadcaster;
mod buffers;
mod control;
mod gather;
mod mac_lane;
mod pe;
mod stream_out;

pub use array::EseArray;
pub use broadcaster::Broadcaster;
pub use buffers::ChannelBuffers;
pub use control::Control;
pub use stream_out::StreamOut;
