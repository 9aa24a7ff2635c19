//! The memory image: what every memory holds before the first start.
//!
//! Golden model, container, `.mem` files, hardware preload and host loader all use these words.

use super::arch::Arch;
use super::layout::Section;
use std::collections::BTreeMap;

/// The words of one memory: `width` bits each, stored as 32-bit lanes, lane 0 least significant.
/// Bits above `width` are zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    width: usize,
    lanes: Vec<u32>,
}

impl Words {
    /// `count` words of `width` bits (at least 1), all zero.
    pub fn zeroed(width: usize, count: usize) -> Words {
        assert!(width >= 1, "a word has at least one bit");
        Words { width, lanes: vec![0; width.div_ceil(32) * count] }
    }
    pub fn width(&self) -> usize {
        self.width
    }
    /// 32-bit lanes of one word.
    pub fn lanes_per_word(&self) -> usize {
        self.width.div_ceil(32)
    }
    /// Number of words.
    pub fn len(&self) -> usize {
        self.lanes.len() / self.lanes_per_word()
    }
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }
    /// All lanes, word by word.
    pub fn lanes(&self) -> &[u32] {
        &self.lanes
    }
    /// The lanes of word `index`.
    pub fn word(&self, index: usize) -> &[u32] {
        let n = self.lanes_per_word();
        &self.lanes[index * n..(index + 1) * n]
    }
    /// Sets lane `lane` of word `index`; bits above the width are dropped.
    pub fn set_lane(&mut self, index: usize, lane: usize, value: u32) {
        let n = self.lanes_per_word();
        let top = self.width - 32 * lane;
        let mask = if top >= 32 { u32::MAX } else { (1 << top) - 1 };
        self.lanes[index * n + lane] = value & mask;
    }
    /// `len` (at most 57) bits of word `index` from bit `offset`.
    pub fn bits(&self, index: usize, offset: usize, len: usize) -> u64 {
        debug_assert!(len <= 57 && offset + len <= self.width);
        let word = self.word(index);
        let at = |lane: usize| u128::from(word.get(lane).copied().unwrap_or(0));
        let first = offset / 32;
        let value = at(first) | at(first + 1) << 32 | at(first + 2) << 64;
        ((value >> (offset % 32)) as u64) & ((1u64 << len) - 1)
    }
    /// Stores the low `len` (at most 57) bits of `value` at bit `offset` of word `index`.
    pub fn set_bits(&mut self, index: usize, offset: usize, len: usize, value: u64) {
        debug_assert!(len <= 57 && offset + len <= self.width);
        let n = self.lanes_per_word();
        let word = &mut self.lanes[index * n..(index + 1) * n];
        for bit in 0..len {
            let at = offset + bit;
            let mask = 1 << (at % 32);
            if value >> bit & 1 == 1 {
                word[at / 32] |= mask;
            } else {
                word[at / 32] &= !mask;
            }
        }
    }
    /// A word of at most 57 bits as an unsigned number.
    pub fn get(&self, index: usize) -> u64 {
        self.bits(index, 0, self.width)
    }
    /// A word of at most 57 bits as a two's complement number.
    pub fn get_signed(&self, index: usize) -> i64 {
        let shift = 64 - self.width;
        ((self.get(index) << shift) as i64) >> shift
    }
    /// Stores a word of at most 57 bits.
    pub fn set(&mut self, index: usize, value: u64) {
        self.set_bits(index, 0, self.width, value);
    }
    /// CRC-32 (IEEE 802.3) over all lanes, each as four little-endian bytes: what the hardware
    /// computes when it reads the memory back.
    pub fn crc32(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        self.lanes.iter().for_each(|lane| hasher.update(&lane.to_le_bytes()));
        hasher.finalize()
    }
}

/// Every memory that a model fills, in checking order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryImage {
    pub arch: Arch,
    /// Exactly the sections of [`super::layout::sections`], each at least one word and at most as
    /// long as its memory is deep.
    pub sections: BTreeMap<Section, Words>,
}

impl MemoryImage {
    /// A number, never zero, that tells this image from others: CRC-32 over architecture and every section's length and CRC.
    pub fn identity(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.arch.hash().to_le_bytes());
        for words in self.sections.values() {
            hasher.update(&(words.len() as u64).to_le_bytes());
            hasher.update(&words.crc32().to_le_bytes());
        }
        hasher.finalize().max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_cross_lanes() {
        let mut w = Words::zeroed(100, 3);
        w.set_bits(1, 20, 57, 0x1ab_cdef_0123_4567);
        assert_eq!(w.bits(1, 20, 57), 0x1ab_cdef_0123_4567);
        assert_eq!((w.bits(1, 0, 20), w.bits(1, 77, 23), w.bits(0, 0, 57), w.bits(2, 43, 57)), (0, 0, 0, 0));
        w.set_bits(1, 20, 57, 0);
        assert!(w.lanes().iter().all(|l| *l == 0));
    }

    #[test]
    fn signed_words_extend() {
        let mut w = Words::zeroed(40, 2);
        w.set(1, (-5i64) as u64 & ((1 << 40) - 1));
        assert_eq!((w.get_signed(0), w.get_signed(1)), (0, -5));
    }

    #[test]
    fn crc_is_that_of_the_bytes() {
        // "12345678" as two little-endian lanes; the check value of CRC-32 over it
        let mut w = Words::zeroed(64, 1);
        w.set_lane(0, 0, u32::from_le_bytes(*b"1234"));
        w.set_lane(0, 1, u32::from_le_bytes(*b"5678"));
        assert_eq!(w.crc32(), 0x9ae0_daaf);
    }

    #[test]
    fn lanes_above_the_width_are_dropped() {
        let mut w = Words::zeroed(36, 1);
        w.set_lane(0, 1, u32::MAX);
        assert_eq!(w.word(0), [0, 0xf]);
    }
}
