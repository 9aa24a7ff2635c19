//! The LSTM datapath of the ESE kind: PEs whose sums lie in three banks, for all channels side by side.
//!
//! What reads pointers, queues columns and reads entries is [`crate::spmv`]'s; here is what is done with an entry and
//! with the sums that come of it.

mod array;
mod gather;
mod mac_lane;
mod pe;

pub use array::EseArray;
pub use mac_lane::MacLane;
pub use pe::EsePe;
