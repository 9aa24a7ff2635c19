//! From a trained network to memory images: import, prune, quantize, encode, pack.
//!
//! [`spec`] is the contract that the hardware and the golden model share; everything else makes
//! images according to it.

pub mod balance;
pub mod bitstream;
pub mod compile;
pub mod config;
pub mod encode;
pub mod entropy;
pub mod error;
pub mod files;
pub mod import;
pub mod inputs;
pub mod inspect;
pub mod manifest;
pub mod model;
pub mod prune;
pub mod quantize;
pub mod recurrent;
pub mod shape;
pub mod spec;
pub mod storage;
#[cfg(feature = "train")]
pub mod train;
