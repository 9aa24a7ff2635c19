//! Adaptive coding of gaps and codes, without mixing: for layers of many millions of positions.
//!
//! A gap (the zeros before a non-zero, over the rows as one line) is its length in bits, and its bits; a code is its bits
//! from the highest. The probability of each decision follows what happened in the same place before.

use super::binary::{BitCoder, BitDecoder, BitEncoder, ONE};

/// A probability that follows at two speeds.
#[derive(Clone, Copy)]
struct Adaptive {
    quick: u32,
    slow: u32,
}

impl Adaptive {
    const NEW: Adaptive = Adaptive { quick: ONE / 2, slow: ONE / 2 };

    fn code(&mut self, coder: &mut impl BitCoder, bit: bool) -> bool {
        let bit = coder.bit(bit, (self.quick / 2 + self.slow / 2).clamp(32, ONE - 32));
        if bit {
            self.quick += (ONE - self.quick) >> 4;
            self.slow += (ONE - self.slow) >> 8;
        } else {
            self.quick -= self.quick >> 4;
            self.slow -= self.slow >> 8;
        }
        bit
    }
}

/// Numbers below 2^32 by their length, and the bits below the highest: the upper three in full.
struct Numbers {
    lengths: [[Adaptive; 64]; 4],
    bits: Vec<Adaptive>,
}

impl Numbers {
    fn new() -> Numbers {
        Numbers { lengths: [[Adaptive::NEW; 64]; 4], bits: vec![Adaptive::NEW; 33 * 64] }
    }

    fn code(&mut self, coder: &mut impl BitCoder, number: u32, context: usize) -> u32 {
        let length = tree(coder, &mut self.lengths[context], 32 - number.leading_zeros(), 6).min(32);
        if length < 2 {
            return length;
        }
        let mut found = 1u32;
        for i in (0..length - 1).rev() {
            let done = length - 2 - i;
            let place = if done < 3 { found as usize & 15 | 16 } else { done as usize & 31 | 32 };
            let bit = self.bits[length as usize * 64 + place].code(coder, number >> i & 1 == 1);
            found = found << 1 | u32::from(bit);
        }
        found
    }
}

/// The lowest `bits` bits of `value`, each in the context of those above it.
fn tree(coder: &mut impl BitCoder, nodes: &mut [Adaptive], value: u32, bits: u32) -> u32 {
    let mut node = 1usize;
    for i in (0..bits).rev() {
        let bit = nodes[node].code(coder, value >> i & 1 == 1);
        node = node << 1 | usize::from(bit);
    }
    (node - (1 << bits)) as u32
}

/// Codes of at most `bits` bits.
struct Model {
    gaps: Numbers,
    codes: [Vec<Adaptive>; 2],
    bits: u32,
}

impl Model {
    fn new(values: usize) -> Model {
        let bits = usize::BITS - values.saturating_sub(1).leading_zeros();
        Model { gaps: Numbers::new(), codes: [(); 2].map(|_| vec![Adaptive::NEW; 1 << bits]), bits }
    }
}

fn context(gap: u32) -> usize {
    [0, 1, 2, 3][(32 - gap.leading_zeros()).div_ceil(3).min(3) as usize]
}

/// Codes `codes`, none above `values`.
pub fn encode(codes: &[u16], values: usize) -> Vec<u8> {
    let mut coder = BitEncoder::new();
    let mut model = Model::new(values);
    let (mut gap, mut before) = (0u32, 0u32);
    for code in codes {
        if *code == 0 {
            gap += 1;
            continue;
        }
        model.gaps.code(&mut coder, gap, context(before));
        let at = usize::from(gap == 0);
        tree(&mut coder, &mut model.codes[at], u32::from(*code) - 1, model.bits);
        (before, gap) = (gap, 0);
    }
    if gap > 0 {
        model.gaps.code(&mut coder, gap, context(before));
    }
    coder.finish()
}

/// The `positions` codes that `bytes` hold; `None` if they hold others.
pub fn decode(bytes: &[u8], positions: usize, values: usize) -> Option<Vec<u16>> {
    let mut coder = BitDecoder::new(bytes);
    let mut model = Model::new(values);
    let mut codes = vec![0; positions];
    let (mut at, mut before) = (0usize, 0u32);
    while at < positions {
        let gap = model.gaps.code(&mut coder, 0, context(before));
        at = at.checked_add(gap as usize)?;
        if at >= positions {
            return (at == positions).then_some(codes);
        }
        let code = tree(&mut coder, &mut model.codes[usize::from(gap == 0)], 0, model.bits) as usize + 1;
        if code > values {
            return None;
        }
        codes[at] = u16::try_from(code).ok()?;
        at += 1;
        before = gap;
    }
    Some(codes)
}
