//! What the subcommands do with recurrent networks: one file per subcommand. Arguments are those of the subcommand; what
//! is work for more than one of them is in `crate::sequences` and `crate::pipeline::recurrent`.

pub mod compress;
pub mod infer;
pub mod inspect;
#[cfg(feature = "verilator")]
pub mod simulate;
#[cfg(feature = "train")]
pub mod train;
