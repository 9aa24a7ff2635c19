//! Bit-exact inference from a memory image: [`Golden`] for the EIE kind, [`Recurrent`], step by step, for the ESE kind.
//!
//! What belongs here: reading the image's words as the hardware does (layer table or program, pointers, entries,
//! codebooks, biases) and computing with the integers of `compress::spec`. Nothing of the encoder and
//! nothing of the hardware's generator is used. What does not belong here: time (the cycle model takes
//! the [`Trace`]) and floating point.

mod decode;
mod program;
mod recurrent;
mod run;
mod step;
#[cfg(test)]
mod tests;

pub use decode::{Golden, GoldenLayer, Step};
pub use recurrent::{Matrix, Product, Recurrent, RecurrentOp};
pub use run::{LayerTrace, Trace};
pub use step::{JobTrace, State, StepTrace, Work};

use lacuna_compress::spec::{ArchError, Section};

/// An image that the hardware could not run as compiled models run, or an input that does not fit it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GoldenError {
    #[error(transparent)]
    Arch(#[from] ArchError),
    #[error("image: {section} is missing")]
    Missing { section: Section },
    #[error("image: {section} has {found_words} words of {found_bits} bits, expected 1 to {depth} of {bits}")]
    Shape { section: Section, found_words: usize, found_bits: usize, depth: usize, bits: usize },
    #[error("image: layer {layer} of the layer table: {field} is {found}, {rule}")]
    Record { layer: usize, field: &'static str, found: usize, rule: String },
    #[error("image: the layer table's {layers} words have no last layer")]
    Endless { layers: usize },
    #[error("image: pe {pe}, layer {layer}, column {column}: pointers {first} to {end}, expected ascending ones up to {entries}")]
    Pointers { pe: usize, layer: usize, column: usize, first: u64, end: u64, entries: usize },
    #[error("image: pe {pe}, layer {layer}, column {column}: entry {entry} is for row {row} of {rows}")]
    Row { pe: usize, layer: usize, column: usize, entry: usize, row: usize, rows: usize },
    #[error("image: pe {pe}, layer {layer}: the sum of row {row} can need {needed} bits, the accumulator has {acc_bits}")]
    Accumulator { pe: usize, layer: usize, row: usize, needed: usize, acc_bits: usize },
    #[error("image: its accelerator is not of the ESE kind")]
    NotRecurrent,
    #[error("image: the program's {operations} words have no last operation")]
    EndlessProgram { operations: usize },
    #[error("image: operation {op} of the program: {found}")]
    Program { op: usize, found: String },
    #[error("the input has {found} activations, the first layer {expected} columns")]
    Input { found: usize, expected: usize },
}
