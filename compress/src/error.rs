//! What can go wrong between a model file and an image. Every message says what was found, what was
//! expected and where.

use crate::spec::container::ContainerError;
use crate::spec::ArchError;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    // --- encode, compile, manifest, files
    #[error(transparent)]
    Arch(#[from] ArchError),
    #[error(transparent)]
    Container(#[from] ContainerError),
    #[error("layer {layer}: {fault}")]
    Layer { layer: String, fault: String },
    #[error("the network does not fit the accelerator: {0}")]
    Network(String),
    #[error("calibration: {0}")]
    Calibration(String),
    #[error(
        "pe {pe}: {} {what} do not fit {memory} depth {} (layer {layer}); it needs depth {}",
        grouped(*.found), grouped(*.depth), grouped(*.needed)
    )]
    Depth { pe: usize, found: usize, what: &'static str, memory: &'static str, depth: usize, needed: usize, layer: String },
    #[error("layer {layer}: the sum of row {row} can need {needed} bits, accelerator.acc_bits is {found}")]
    Accumulator { layer: String, row: usize, needed: usize, found: usize },
    #[error("manifest: {0}")]
    Manifest(String),
    #[error("{}: {source}", .path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{}: {fault}", .path.display())]
    In { path: PathBuf, fault: Box<Error> },
    #[error("{}:{line}: found {found}, expected {expected}", .path.display())]
    MemoryFile { path: PathBuf, line: usize, found: String, expected: String },
    // --- config, import, inputs, prune, quantize
    #[error("{}: {fault}", .path.display())]
    Config { path: PathBuf, fault: String },
    #[error("{}: found {found}, expected {expected}", .path.display())]
    Format { path: PathBuf, found: String, expected: String },
    #[error("{}: tensor `{tensor}` ({owner}): found {found}, expected {expected}", .path.display())]
    Tensor { path: PathBuf, tensor: String, owner: String, found: String, expected: String },
    #[error("{}: node `{node}`: found {found}, expected {expected}", .path.display())]
    Node { path: PathBuf, node: String, found: String, expected: String },
    #[error("{0}")]
    Grain(String),
    #[error("accelerator.{field} is {found}, expected {expected}")]
    Setting { field: &'static str, found: String, expected: &'static str },
    // --- storage
    #[error("stored tensor `{tensor}`: {fault}")]
    Stored { tensor: String, fault: String },
    #[error("stored tensors: {0}")]
    Damaged(String),
    // --- train
    #[error("training: {0}")]
    Training(String),
}

#[cfg(feature = "train")]
impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Error {
        Error::Training(error.to_string())
    }
}

/// A number with a comma between groups of three digits.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
