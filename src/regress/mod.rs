//! The regression: configurations drawn from a seed, each run on the generated Verilog against golden model and cycle model.
//!
//! A configuration is data ([`configuration::Configuration`]) and is written down before anything runs. From there on
//! everything is a function of it: networks ([`layers`], [`recurrent`]), inputs, stalls, resets. [`engine`] builds and runs
//! one, [`bins`] says what it reached, [`shrink`] makes a failing one small, [`journal`] keeps what was found. What does not
//! belong here: arguments and printing (`commands/regress.rs`), and any judgement of its own: results and cycles are
//! compared by the crate `sim`.

pub mod bins;
pub mod bus;
pub mod chance;
pub mod configuration;
pub mod coverage;
pub mod draw;
pub mod engine;
pub mod failure;
pub mod journal;
pub mod layers;
pub mod merge;
pub mod named;
pub mod page;
pub mod plan;
pub mod reach;
pub mod recurrent;
pub mod regression;
pub mod report;
pub mod runs;
pub mod session;
pub mod shrink;
pub mod testplan;
pub mod visit;
