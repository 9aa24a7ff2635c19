//! From a trained network to memory images: import, prune, quantize, encode, pack.
//!
//! [`spec`] is the contract that the hardware and the golden model share; everything else makes
//! images according to it.

pub mod spec;
