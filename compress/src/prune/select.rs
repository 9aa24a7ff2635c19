//! The largest of many keys, without sorting them and without a list of their indices.

/// Places of a key that one pass looks at.
const DIGIT: u32 = 16;

/// What separates the keys that stay from those that go: all above `border` stay, and the first `equal` of those at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    border: u64,
    equal: usize,
}

impl Cut {
    /// The cut that leaves the `keep` largest of the keys, of equal ones the earlier; all if there are no more.
    /// Keys have `bits` bits, a multiple of 16, and `keys` goes over them bits / 16 times.
    pub fn new<I: Iterator<Item = u64>>(keys: impl Fn() -> I, bits: u32, keep: usize) -> Cut {
        if keep == 0 {
            return Cut { border: u64::MAX, equal: 0 };
        }
        // keys that start as the border does, and how many of these are still to be kept
        let (mut border, mut left) = (0u64, keep);
        for place in (0..bits / DIGIT).rev() {
            let shift = place * DIGIT;
            let mut counts = vec![0usize; 1 << DIGIT];
            // 0 before the first digit, as a shift by the width of the type is none
            let head = |key: u64| key.checked_shr(shift + DIGIT).unwrap_or(0);
            let prefix = head(border);
            for key in keys() {
                if head(key) == prefix {
                    counts[(key >> shift) as usize & ((1 << DIGIT) - 1)] += 1;
                }
            }
            let mut digit = counts.len() - 1;
            while counts[digit] < left && digit > 0 {
                left -= counts[digit];
                digit -= 1;
            }
            border |= (digit as u64) << shift;
        }
        Cut { border, equal: left }
    }

    /// Does the next key stay? To be asked in the order of the keys.
    pub fn keeps(&mut self, key: u64) -> bool {
        if key == self.border && self.equal > 0 {
            self.equal -= 1;
            return true;
        }
        key > self.border
    }
}

/// 32 bits in the order of `f32::total_cmp`, both zeros the same.
pub(super) fn key32(score: f32) -> u64 {
    let bits = (score + 0.0).to_bits();
    u64::from(if bits >> 31 == 1 { !bits } else { bits | 1 << 31 })
}

/// The same of an `f64`, 64 bits.
pub(super) fn key64(score: f64) -> u64 {
    let bits = (score + 0.0).to_bits();
    if bits >> 63 == 1 {
        !bits
    } else {
        bits | 1 << 63
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    /// By sorting: the positions of the `keep` largest, of equal ones the earlier.
    fn largest(keys: &[u64], keep: usize) -> Vec<bool> {
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by_key(|i| (std::cmp::Reverse(keys[*i]), *i));
        let mut kept = vec![false; keys.len()];
        order.iter().take(keep).for_each(|i| kept[*i] = true);
        kept
    }

    #[test]
    fn a_cut_keeps_what_sorting_keeps() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for case in 0..60 {
            let count = rng.random_range(1..200);
            // few different keys in the first cases, so that many are equal
            let spread = if case < 30 { 5.0 } else { 1e6 };
            let scores: Vec<f32> = (0..count).map(|_| (rng.random_range(-1.0f32..1.0) * spread).round() / spread).collect();
            for keep in [0, 1, count / 2, count - 1, count, count + 3] {
                let keys: Vec<u64> = scores.iter().map(|s| key32(*s)).collect();
                let mut cut = Cut::new(|| keys.iter().copied(), 32, keep);
                let kept: Vec<bool> = keys.iter().map(|k| cut.keeps(*k)).collect();
                assert_eq!(kept, largest(&keys, keep), "case {case}, {keep} of {count}");
                let wide: Vec<u64> = scores.iter().map(|s| key64(f64::from(*s))).collect();
                let mut cut = Cut::new(|| wide.iter().copied(), 64, keep);
                assert_eq!(wide.iter().map(|k| cut.keeps(*k)).collect::<Vec<_>>(), kept, "case {case}, {keep} of {count}, wide");
            }
        }
    }

    #[test]
    fn keys_are_in_the_order_of_the_numbers() {
        let numbers = [f32::NEG_INFINITY, -2.0, -1e-40, 0.0, 1e-45, 1.0, 1.5, f32::INFINITY, f32::NAN];
        assert!(numbers.windows(2).all(|n| key32(n[0]) < key32(n[1]) && key64(n[0].into()) < key64(n[1].into())));
        assert_eq!((key32(-0.0), key64(-0.0)), (key32(0.0), key64(0.0)));
    }
}
