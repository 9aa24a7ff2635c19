//! Coding of single binary decisions, each with its own probability, by the range coder of the crate constriction.
//!
//! One piece of modelling code serves both ways: it asks a [`BitCoder`] for each decision, and the encoder answers with the
//! decision that it was given while the decoder answers with the one that it read.

use constriction::stream::model::{DecoderModel, EncoderModel, EntropyModel};
use constriction::stream::queue::{RangeDecoder, RangeEncoder};
use constriction::stream::{Code, Decode, Encode};
use std::borrow::Borrow;
use std::num::NonZeroU32;

/// Probabilities are integers of this many bits.
pub const PRECISION: usize = 22;
/// The probability 1.
pub const ONE: u32 = 1 << PRECISION;

/// Something that binary decisions go through.
pub trait BitCoder {
    /// Codes `bit`, whose probability to be true is `p / 2^22`, `0 < p < 2^22`. The result is the decision: `bit` itself
    /// when encoding, and what the stream says when decoding, where `bit` is ignored.
    fn bit(&mut self, bit: bool, p: u32) -> bool;

    /// `count` bits of equal probabilities, the highest first.
    fn plain(&mut self, value: u32, count: u32) -> u32 {
        (0..count).rev().fold(0, |found, i| found << 1 | u32::from(self.bit(value >> i & 1 == 1, ONE / 2)))
    }
}

/// The distribution of one decision.
#[derive(Clone, Copy)]
struct Binary {
    /// Of true, in `1..ONE`.
    p: u32,
}

impl EntropyModel<PRECISION> for Binary {
    type Symbol = bool;
    type Probability = u32;
}

impl EncoderModel<PRECISION> for Binary {
    fn left_cumulative_and_probability(&self, symbol: impl Borrow<bool>) -> Option<(u32, NonZeroU32)> {
        let (left, probability) = if *symbol.borrow() { (0, self.p) } else { (self.p, ONE - self.p) };
        Some((left, NonZeroU32::new(probability)?))
    }
}

impl DecoderModel<PRECISION> for Binary {
    fn quantile_function(&self, quantile: u32) -> (bool, u32, NonZeroU32) {
        let symbol = quantile < self.p;
        let (left, probability) = if symbol { (0, self.p) } else { (self.p, ONE - self.p) };
        // `clamped` keeps both probabilities above 0
        (symbol, left, NonZeroU32::new(probability).unwrap_or(NonZeroU32::MIN))
    }
}

fn clamped(p: u32) -> Binary {
    Binary { p: p.clamp(1, ONE - 1) }
}

/// Writes decisions to bytes.
#[derive(Default)]
pub struct BitEncoder {
    coder: RangeEncoder<u32, u64>,
}

impl BitEncoder {
    pub fn new() -> BitEncoder {
        BitEncoder::default()
    }

    /// The bytes of all decisions. Trailing zero bytes are left out: the decoder reads zeros behind the end.
    pub fn finish(self) -> Vec<u8> {
        let (lower, range) = (self.coder.state().lower(), self.coder.state().range().get());
        if range == u64::MAX {
            return Vec::new();
        }
        // The crate ends with one or two words inside the last interval. Fewer bytes do: the number of the interval
        // with the most zero bytes at its end, on the same side of an overflow as the crate's own choice.
        let chosen = lower.wrapping_add(u64::from(u32::MAX));
        let end_words = if lower.wrapping_add(range) >> 32 == chosen >> 32 { 2 } else { 1 };
        let shortest = (0..8).map(|bytes| {
            let unused = u64::MAX.checked_shr(8 * bytes).unwrap_or(0);
            (bytes as usize, lower.wrapping_add(unused) & !unused)
        });
        let mut candidates = shortest.filter(|(_, v)| v.wrapping_sub(lower) < range && (*v >= lower) == (chosen >= lower));
        let end = candidates.next();
        // a vector takes every word
        let words: Vec<u32> = self.coder.into_compressed().unwrap_or_default();
        let mut bytes: Vec<u8> = words.iter().flat_map(|w| w.to_be_bytes()).collect();
        if let Some((count, value)) = end {
            bytes.truncate(4 * (words.len() - end_words));
            bytes.extend(&value.to_be_bytes()[..count]);
        }
        while bytes.last() == Some(&0) {
            bytes.pop();
        }
        bytes
    }
}

impl BitCoder for BitEncoder {
    fn bit(&mut self, bit: bool, p: u32) -> bool {
        // neither a vector nor a probability above 0 can be refused
        let done = self.coder.encode_symbol(bit, clamped(p));
        debug_assert!(done.is_ok());
        bit
    }
}

/// Big-endian words of a byte string, zeros behind its end.
struct Words(Vec<u32>);

impl Words {
    fn new(bytes: &[u8]) -> Words {
        let word = |chunk: &[u8]| (0..4).fold(0, |word, i| word << 8 | u32::from(chunk.get(i).copied().unwrap_or(0)));
        Words(bytes.chunks(4).map(word).collect())
    }
}

/// Reads decisions from bytes. Any bytes give decisions: whether they are the right ones, a checksum must say.
pub struct BitDecoder {
    coder: RangeDecoder<u32, u64, constriction::backends::Cursor<u32, Vec<u32>>>,
}

impl BitDecoder {
    pub fn new(bytes: &[u8]) -> BitDecoder {
        let Words(words) = Words::new(bytes);
        let Ok(coder) = RangeDecoder::from_compressed(words);
        BitDecoder { coder }
    }
}

impl BitCoder for BitDecoder {
    fn bit(&mut self, _: bool, p: u32) -> bool {
        self.coder.decode_symbol(clamped(p)).unwrap_or(false)
    }
}

/// Counts what an ideal coder would need; nothing is written.
#[derive(Default)]
pub struct Cost {
    pub bits: f64,
}

impl BitCoder for Cost {
    fn bit(&mut self, bit: bool, p: u32) -> bool {
        let p = clamped(p).p;
        let taken = if bit { p } else { ONE - p };
        self.bits -= (f64::from(taken) / f64::from(ONE)).log2();
        bit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn decisions_come_back_in_as_many_bits_as_they_are_worth() {
        for seed in 0..300 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let count = rng.random_range(0..2000);
            let skew = [1.0, 6.0, 16.0][seed as usize % 3];
            let bits: Vec<(bool, u32)> = (0..count)
                .map(|_| {
                    let p = f64::from(rng.random_range(0.0f32..1.0)).powf(skew);
                    (rng.random_bool(p), ((p * f64::from(ONE)) as u32).clamp(1, ONE - 1))
                })
                .collect();
            let (mut encoder, mut cost) = (BitEncoder::new(), Cost::default());
            for (bit, p) in &bits {
                encoder.bit(*bit, *p);
                cost.bit(*bit, *p);
            }
            let bytes = encoder.finish();
            let mut decoder = BitDecoder::new(&bytes);
            for (i, (bit, p)) in bits.iter().enumerate() {
                assert_eq!(decoder.bit(false, *p), *bit, "seed {seed}, decision {i}");
            }
            let ideal = cost.bits / 8.0;
            assert!(bytes.len() as f64 <= ideal * 1.0001 + 2.0, "seed {seed}: {} bytes, ideal {ideal}", bytes.len());
        }
    }

    #[test]
    fn any_bytes_give_decisions() {
        let mut decoder = BitDecoder::new(&[255; 9]);
        for i in 0..10_000 {
            decoder.bit(false, [1, ONE / 2, ONE - 1, 77][i % 4]);
        }
    }
}
