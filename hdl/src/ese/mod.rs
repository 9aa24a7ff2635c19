//! The ESE datapath: an LSTM over compressed weights, step after step, for several sequences side by side.

mod broadcaster;
mod channel;
mod control;
mod stream_out;

pub use broadcaster::Broadcaster;
pub use channel::Channel;
pub use control::Control;
pub use stream_out::StreamOut;
