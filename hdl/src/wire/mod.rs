//! The serial line: a UART, the frames of `spec::wire` on it, and the bridge from these to an accelerator's ports.
//!
//! What does not belong here: pins, clocks and everything else that a board decides; those are in `constraints/`.

mod bridge;
mod frame_rx;
mod frame_tx;
mod stream_port;
mod top;
mod uart_rx;
mod uart_tx;

pub use bridge::Bridge;
pub use frame_rx::FrameRx;
pub use frame_tx::FrameTx;
pub use stream_port::StreamPort;
pub use top::UartTop;
pub use uart_rx::UartRx;
pub use uart_tx::UartTx;

/// Cycles of a bit at least: below, the middle of a bit cannot be found.
pub const LEAST_DIVIDER: usize = 4;
