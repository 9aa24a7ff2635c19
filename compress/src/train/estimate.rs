//! About how many bytes a file of a network with shared weights takes: adaptive binary coding of zeros and codes.

use super::share::{Shared, SharedLayer};

/// A bit whose probability is learned.
#[derive(Clone, Copy)]
struct Adaptive {
    zeros: f64,
    ones: f64,
}

impl Adaptive {
    /// The cost of a bit, which it then learns from.
    fn cost(&mut self, bit: bool) -> f64 {
        let seen = if bit { &mut self.ones } else { &mut self.zeros };
        let before = *seen;
        *seen += 1.0;
        ((self.zeros + self.ones - 1.0) / before).log2()
    }
}

const NEW: Adaptive = Adaptive { zeros: 0.4, ones: 0.4 };

/// Bits of which weights are not zero, in the context of how many of the column's and of the row's weights were not so far; and
/// of their codes, most significant bit first.
fn layer_bits(layer: &SharedLayer, columns: usize) -> f64 {
    const CLASSES: usize = 12;
    // 0, 1, 2, 3, 4, 6, 8, ...: about two classes per power of two of the expected share
    let class = |share: f64| if share <= 0.0 { 0 } else { ((2.0 * (share * 1024.0).log2()).max(0.0) as usize + 1).min(CLASSES - 1) };
    let mut masks = vec![NEW; CLASSES * CLASSES];
    let mut codes = vec![NEW; 512];
    let bits = usize::BITS - layer.codebook.len().saturating_sub(1).leading_zeros();
    let mut in_column = vec![0u32; columns];
    let mut cost = 0.0;
    for (row, weights) in layer.codes.chunks_exact(columns.max(1)).enumerate() {
        let mut in_row = 0u32;
        for (column, code) in weights.iter().enumerate() {
            let of_column = class(f64::from(in_column[column]) / (row as f64 + 0.5));
            let of_row = class(f64::from(in_row) / (column as f64 + 0.5));
            cost += masks[of_column * CLASSES + of_row].cost(*code != 0);
            if *code != 0 {
                in_column[column] += 1;
                in_row += 1;
                let mut node = 1;
                for bit in (0..bits).rev() {
                    let bit = (*code - 1) >> bit & 1 == 1;
                    cost += codes[node].cost(bit);
                    node = 2 * node + usize::from(bit);
                }
            }
        }
    }
    cost
}

/// Bytes with 16-bit codebooks, biases of one byte, and 200 bytes for the rest.
pub fn bytes(shared: &Shared) -> usize {
    let layer = |(layer, dense): (&SharedLayer, &crate::model::DenseLayer)| {
        layer_bits(layer, dense.weights.columns) / 8.0 + 2.0 * layer.codebook.len() as f64 + dense.bias.len() as f64
    };
    (200.0 + shared.layers.iter().zip(&shared.dense.layers).map(layer).sum::<f64>()).ceil() as usize
}
