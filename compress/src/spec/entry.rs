//! One stored non-zero: its weight (or weight code) and the run of zeros before it.
//!
//! EIE section III: the run counts the rows *of this PE* between the entry before (of the same
//! column) and this one. A run that the field cannot hold is broken by padding entries: weight 0
//! with the largest run, which stands for `2^run_bits` rows. Codes, not values, are stored in the
//! codebook form; code 0 is the weight 0.
//!
//! Bits: the run is the low field, the weight the high one. Entry `e` of a PE lies in word
//! `e / entries_per_word`, at bits `(e % entries_per_word) * entry_bits`.

use super::arch::Arch;
use super::image::Words;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Codebook form: the code, as an unsigned number. Direct form: the weight's low bits.
    pub weight: u32,
    /// Rows of this PE skipped before this entry.
    pub run: u32,
}

impl Entry {
    /// The entry that breaks a long run.
    pub fn padding(arch: &Arch) -> Entry {
        Entry { weight: 0, run: (1 << arch.run_bits) - 1 }
    }
    pub fn pack(self, arch: &Arch) -> u64 {
        u64::from(self.weight) << arch.run_bits | u64::from(self.run)
    }
    pub fn unpack(bits: u64, arch: &Arch) -> Entry {
        let run = bits & ((1 << arch.run_bits) - 1);
        let weight = bits >> arch.run_bits & ((1 << arch.weight_bits) - 1);
        Entry { weight: weight as u32, run: run as u32 }
    }
    /// Entry number `index` of a sparse-matrix memory.
    pub fn read(spmat: &Words, index: usize, arch: &Arch) -> Entry {
        let (word, lane) = (index / arch.entries_per_word, index % arch.entries_per_word);
        Entry::unpack(spmat.bits(word, lane * arch.entry_bits(), arch.entry_bits()), arch)
    }
    /// Stores the entry as number `index`; the word must exist.
    pub fn write(self, spmat: &mut Words, index: usize, arch: &Arch) {
        let (word, lane) = (index / arch.entries_per_word, index % arch.entries_per_word);
        spmat.set_bits(word, lane * arch.entry_bits(), arch.entry_bits(), self.pack(arch));
    }
}
