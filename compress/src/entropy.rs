//! Entropy coding of sparse matrices of codes: the part of the storage form that makes a file small.
//!
//! A matrix holds codes, 0 for a zero weight. Three coders: [`huffman`] is Deep Compression's, relative indices and codes
//! each with a Huffman code; [`fast`] codes gaps and codes adaptively for large layers; [`mixed`] makes the smallest files.

pub mod binary;
pub mod bytes;
pub mod fast;
pub mod huffman;
pub mod mixed;
pub mod mixing;
pub mod order;

pub use order::order_units;

/// Rows and columns of a matrix, stored row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    pub rows: usize,
    pub columns: usize,
}

impl Grid {
    pub fn positions(self) -> usize {
        self.rows * self.columns
    }
}

#[cfg(test)]
mod tests;
