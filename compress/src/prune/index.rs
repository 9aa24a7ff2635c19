//! What it costs to say which weights are there.

use super::grain::{Grain, Mask};
use crate::model::Conv;

/// Widths of the gap of a relative index.
const GAPS: std::ops::RangeInclusive<u32> = 1..=16;

/// Bits that say where the weights of a mask are, in the cheapest fixed-width form that its grain allows:
///
/// * weight, vector, kernel, filter: a relative index (Deep Compression, section 2), one gap for each grain that stays. A
///   gap that its field cannot hold is broken by a filler, which also costs the codes of a grain, `weight_bits` each; the width is the one
///   that costs least.
/// * balanced over PEs: the same in each PE's rows, one row after the other, with one width for all (ESE, section 3.2).
/// * n of m: ceil(log2 m) for each place, n in each group, used or not (Mishra et al. 2021, "Accelerating sparse deep neural
///   networks": 2 bits in 2 of 4).
/// * balanced over banks: ceil(log2 of the bank's weights) for each weight (Cao et al. 2019, "Efficient and effective sparse
///   LSTM on FPGA with bank-balanced sparsity", section 3.3).
///
/// # Panics
/// If the mask is not of this grain: part of a grain stays.
pub fn index_bits(mask: &Mask, conv: Option<Conv>, grain: &Grain, weight_bits: usize) -> usize {
    let borders = grain.borders(mask.columns, conv);
    let longest = borders.windows(2).map(|b| b[1] - b[0]).max().unwrap_or(1);
    let position = |places: usize| places.next_power_of_two().trailing_zeros() as usize;
    match *grain {
        Grain::NofM { n, m } => mask.rows * (borders.len() - 1) * n * position(m),
        Grain::BankBalanced { .. } => mask.kept() * position(longest),
        _ => {
            let parts = if let Grain::Balanced { pes } = *grain { pes } else { 1 };
            let gaps = gaps(mask, &borders, parts);
            let cost = |width: u32| {
                let fillers: usize = gaps.iter().map(|gap| gap >> width).sum();
                (gaps.len() + fillers) * width as usize + fillers * longest * weight_bits
            };
            GAPS.map(cost).min().unwrap_or(0)
        }
    }
}

/// Grains that go before each one that stays, of the rows of each of `parts` in turn.
fn gaps(mask: &Mask, borders: &[usize], parts: usize) -> Vec<usize> {
    let mut gaps = vec![];
    for part in 0..parts {
        let mut gap = 0;
        for row in (part..mask.rows).step_by(parts) {
            for grain in borders.windows(2) {
                let kept = &mask.keep[row * mask.columns + grain[0]..row * mask.columns + grain[1]];
                assert!(kept.iter().all(|k| *k == kept[0]), "a grain of row {row} stays in part");
                if kept[0] {
                    gaps.push(gap);
                    gap = 0;
                } else {
                    gap += 1;
                }
            }
        }
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Matrix;
    use crate::prune::mask;
    use rand::{RngExt, SeedableRng};

    fn of(columns: usize, kept: &[usize], count: usize) -> Mask {
        let keep = (0..count).map(|i| kept.contains(&i)).collect();
        Mask { rows: count / columns, columns, keep }
    }

    #[test]
    fn a_relative_index_has_fillers_where_a_gap_is_too_long() {
        // Deep Compression, figure 2: weights at 1, 4 and 15 of 16, gaps of 3 bits and one filler; 4 bits need none
        let figure = of(16, &[1, 4, 15], 16);
        let cost = |weight_bits: usize| index_bits(&figure, None, &Grain::Weight, weight_bits);
        assert_eq!(gaps(&figure, &(0..=16).collect::<Vec<_>>(), 1), [1, 2, 10]);
        // with 3 bits (3 + 1) 3 + 4 = 16, with 2 bits (3 + 2) 2 + 2 4 = 18, with 4 bits 12
        assert_eq!(cost(4), 12);
        // of short gaps the narrow field is cheaper: 1 bit (3 + 1) 1 + 0
        assert_eq!(index_bits(&of(8, &[0, 1, 4], 8), None, &Grain::Weight, 0), 4);
        // a filler of a vector of 4 has 4 codes
        let vectors = of(80, &(76..80).collect::<Vec<_>>(), 80);
        assert_eq!(index_bits(&vectors, None, &Grain::Vector { length: 4 }, 8), 5);
    }

    #[test]
    fn rows_of_a_pe_are_one_sequence() {
        // rows 0 and 2 of PE 0, 1 and 3 of PE 1
        let mask = of(4, &[3, 8, 4, 15], 16);
        assert_eq!(gaps(&mask, &[0, 1, 2, 3, 4], 2), [3, 0, 0, 6]);
        assert_eq!(index_bits(&mask, None, &Grain::Balanced { pes: 2 }, 20), 4 * 3);
    }

    #[test]
    fn fixed_patterns_cost_a_position_each() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let weights = Matrix { rows: 10, columns: 32, data: (0..320).map(|_| rng.random_range(-1.0f32..1.0)).collect() };
        let cost = |grain: Grain| index_bits(&mask(&weights, None, &grain, 0.25).unwrap(), None, &grain, 4);
        assert_eq!(cost(Grain::NofM { n: 2, m: 4 }), 10 * 8 * 2 * 2);
        assert_eq!(cost(Grain::NofM { n: 1, m: 5 }), 10 * 7 * 3);
        assert_eq!(cost(Grain::BankBalanced { banks: 4 }), 10 * 4 * 2 * 3);
        assert_eq!(cost(Grain::BankBalanced { banks: 5 }), 10 * 5 * 2 * 3);
        // coarser is cheaper
        let costs = [Grain::Weight, Grain::Vector { length: 4 }, Grain::Vector { length: 8 }, Grain::Filter].map(cost);
        assert!(costs.windows(2).all(|c| c[1] < c[0]), "{costs:?}");
    }
}
