//! The paper's columns of a stored tensor.

use super::{StoredTensor, Values};
use crate::entropy::huffman;

/// A tensor in the columns of Deep Compression's Tables 2 to 5. Bits are means over the entries.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorStats {
    pub name: String,
    pub weights: usize,
    pub nonzeros: usize,
    /// With fillers, and the bits of a gap.
    pub entries: usize,
    pub gap_bits: u32,
    pub code_bits: u32,
    /// After Huffman coding.
    pub coded_code_bits: f64,
    pub coded_gap_bits: f64,
    /// Of the codebook, in bytes as 32-bit floats.
    pub codebook_bytes: usize,
    /// Entries before and after Huffman coding, with the codebook.
    pub plain_bytes: f64,
    pub huffman_bytes: f64,
}

/// The columns of a shared tensor; none of others.
pub fn tensor_stats(tensor: &StoredTensor) -> Option<TensorStats> {
    let Values::Shared { codebook, codes } = &tensor.values else { return None };
    let (_, sizes) = huffman::encode(codes, codebook.len());
    let entries = sizes.entries.max(1) as f64;
    let codebook_bytes = 4 * codebook.len();
    Some(TensorStats {
        name: tensor.name.clone(),
        weights: codes.len(),
        nonzeros: codes.iter().filter(|c| **c != 0).count(),
        entries: sizes.entries,
        gap_bits: sizes.gap_bits,
        code_bits: sizes.code_bits,
        coded_code_bits: sizes.coded_codes as f64 / entries,
        coded_gap_bits: sizes.coded_gaps as f64 / entries,
        codebook_bytes,
        plain_bytes: (sizes.entries as f64) * f64::from(sizes.gap_bits + sizes.code_bits) / 8.0 + codebook_bytes as f64,
        huffman_bytes: sizes.total as f64 / 8.0 + codebook_bytes as f64,
    })
}
