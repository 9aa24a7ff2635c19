//! The contract: what every bit of an image means, as plain data and pure functions.
//!
//! Everything that packs, reads, stores, loads or computes with an image uses this module and
//! nothing else of the crate: the encoder, the golden model, the generated hardware and the loader.
//! What does not belong here: anything with I/O, and anything that chooses (which weights to keep,
//! which width to use).

pub mod answer;
pub mod arch;
pub mod cell;
pub mod container;
pub mod entry;
pub mod fixed;
pub mod image;
pub mod layout;
pub mod lut;
pub mod program;
pub mod registers;
pub mod walk;
pub mod wire;

pub use answer::KnownAnswer;
pub use arch::{Arch, ArchError, Ese, WeightForm};
pub use entry::Entry;
pub use image::{MemoryImage, Words};
pub use layout::{LayerRecord, MemoryKind, Section};
pub use program::{Op, Parameters};
pub use walk::Walk;
