//! Coding of the small things of a file: names, numbers, and floating-point values.

use super::binary::BitCoder;
use super::mixing::{Learning, Predictor};
use std::collections::HashMap;

/// Text and small numbers, byte by byte.
#[derive(Clone)]
pub struct ByteModel {
    predictor: Predictor,
    /// The last bytes, the newest lowest.
    past: u32,
    /// All bytes so far.
    seen: Vec<u8>,
    /// Behind the last occurrence of each three bytes in a row.
    behind: HashMap<[u8; 3], usize>,
    /// What the text goes on from, where its last three bytes or more occurred before; 0 if nowhere.
    matching: usize,
}

/// What names of tensors look like: the model reads it before it starts.
const TYPICAL: &[u8] = b"\x00conv1.weight\x00conv1.bias\x00conv2.weight\x00conv2.bias\x00fc1.weight\x00fc1.bias\x00fc2.weight\x00fc2.bias\x00ip1.weight\x00ip1.bias\x00ip2.weight\x00ip2.bias\x00ip3.weight\x00ip3.bias\x00lstm.weight_ih_l0\x00lstm.weight_hh_l0\x00lstm.bias_ih_l0\x00lstm.bias_hh_l0\x00rnn/multi_rnn_cell/cell_0/lstm_cell/kernel\x00";

impl Default for ByteModel {
    fn default() -> ByteModel {
        ByteModel::new()
    }
}

impl ByteModel {
    pub fn new() -> ByteModel {
        let learning = Learning { rate: 60, start: 300, limit: 250, prior: 2, sum: 20 };
        let predictor = Predictor::new(5, 0, &[1, 256], learning);
        let mut model = ByteModel { predictor, past: 0, seen: Vec::new(), behind: HashMap::new(), matching: 0 };
        for byte in TYPICAL {
            model.byte(&mut super::binary::Cost::default(), *byte);
        }
        model
    }

    pub fn byte(&mut self, coder: &mut impl BitCoder, byte: u8) -> u8 {
        let predicted = self.seen.get(self.matching).filter(|_| self.matching > 0).copied();
        let mut node = 1u32;
        for i in (0..8).rev() {
            let expected = predicted.map(|p| (u32::from(p) | 256) >> (i + 1) == node).unwrap_or(false);
            let guess = match predicted {
                Some(p) if expected => 1 + u32::from(p >> i & 1),
                _ => 0,
            };
            let hash = |bytes: u32, salt: u32| (((self.past & bytes) ^ salt).wrapping_mul(0x9e37_79b1) >> 18 << 8) | node;
            let contexts = [node, hash(0xff, 1), hash(0xffff, 2), hash(0xff_ffff, 3), guess * 256 + u32::from(predicted.unwrap_or(0))];
            let chosen = [0, node as usize];
            let bit = self.predictor.code(coder, byte >> i & 1 == 1, &contexts, &[], &chosen, [guess, 0]);
            node = node << 1 | u32::from(bit);
        }
        // the leading 1 is cut off
        let byte = node as u8;
        self.past = self.past << 8 | u32::from(byte);
        self.seen.push(byte);
        let before = match self.seen[..] {
            [.., a, b, c] => self.behind.insert([a, b, c], self.seen.len()),
            _ => None,
        };
        self.matching = if predicted == Some(byte) { self.matching + 1 } else { before.unwrap_or(0) };
        byte
    }

    /// Seven bits a byte, the lowest first; the top bit says that more follow.
    pub fn number(&mut self, coder: &mut impl BitCoder, number: u64) -> u64 {
        let (mut rest, mut found, mut shift) = (number, 0u64, 0u32);
        loop {
            let more = rest > 127;
            let byte = self.byte(coder, (rest & 127) as u8 | if more { 128 } else { 0 });
            found |= u64::from(byte & 127).checked_shl(shift).unwrap_or(0);
            rest >>= 7;
            shift += 7;
            if byte < 128 || shift > 63 {
                return found;
            }
        }
    }

    /// Text that has no zero byte; at most `most` bytes are read.
    pub fn text(&mut self, coder: &mut impl BitCoder, text: &[u8], most: usize) -> Vec<u8> {
        let mut found = Vec::new();
        loop {
            let byte = self.byte(coder, text.get(found.len()).copied().unwrap_or(0));
            if byte == 0 || found.len() >= most {
                return found;
            }
            found.push(byte);
        }
    }
}

/// Words of up to 32 bits whose upper bits are alike: floating-point values, and the distances of sorted ones.
#[derive(Clone)]
pub struct WordModel {
    predictor: Predictor,
}

impl Default for WordModel {
    fn default() -> WordModel {
        WordModel::new()
    }
}

impl WordModel {
    pub fn new() -> WordModel {
        let learning = Learning { rate: 24, start: 100, limit: 1000, prior: 4, sum: 17 };
        WordModel { predictor: Predictor::new(4, 0, &[32, 1], learning) }
    }

    /// Codes the lowest `width` bits of `word`, 1 to 32. `kind` (below 16) tells kinds of words apart, `before` is the word
    /// before this one.
    pub fn word(&mut self, coder: &mut impl BitCoder, word: u32, width: u32, kind: u32, before: u32) -> u32 {
        let mut found = 0u32;
        // the upper bits in full, then only the place of the bit: what is below is noise
        for i in (0..width).rev() {
            let done = width - 1 - i;
            let upper = if done <= 11 { (1 << done | found) & 0xfff } else { 0 };
            let near = before.checked_shr(i + 1).unwrap_or(0);
            let same = u32::from(near == found);
            let contexts = [
                (kind * 4096 + upper) * 2 + 1,
                (kind * 33 + done) * 4 + same * 2 + (before >> i & 1),
                if done <= 9 { (kind * 1024 + upper) * 64 + (before >> (width.max(6) - 6) & 63) } else { 0 },
                kind * 64 + done,
            ];
            let bit = self.predictor.code(coder, word >> i & 1 == 1, &contexts, &[], &[done as usize, 0], [done, kind]);
            found = found << 1 | u32::from(bit);
        }
        found
    }

    /// A number as its length in bits and then its bits.
    pub fn distance(&mut self, coder: &mut impl BitCoder, number: u32, kind: u32, before: u32) -> u32 {
        let length = |n: u32| 32 - n.leading_zeros();
        let bits = self.word(coder, length(number), 6, kind, length(before)).min(32);
        if bits < 2 {
            return bits;
        }
        let below = self.word(coder, number & (u32::MAX >> (33 - bits)), bits - 1, kind + 1, 0);
        1 << (bits - 1) | below
    }
}
