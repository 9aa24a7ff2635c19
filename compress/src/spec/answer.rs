//! The known-answer test that a container carries: an input, and what the golden model makes of it. Whoever loads the
//! container onto hardware runs it there before the weights count as loaded.

use super::image::Words;

/// Bits of an activation, of which both are made.
const BITS: usize = super::arch::ACT_BITS;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownAnswer {
    /// Values of the input in the model's order, one step after the other; repeated until there are enough. Not empty.
    pub pattern: Vec<i16>,
    /// Of a recurrent network the vectors of each step, from zero state, as the accelerator is given them. Not empty.
    pub output: Vec<i16>,
}

impl KnownAnswer {
    /// The first `count` values of the input.
    pub fn input(&self, count: usize) -> Vec<i16> {
        self.pattern.iter().copied().cycle().take(count).collect()
    }
}

/// Activations as words of a container.
pub(super) fn to_words(values: &[i16]) -> Words {
    let mut words = Words::zeroed(BITS, values.len());
    values.iter().enumerate().for_each(|(i, value)| words.set(i, u64::from(*value as u16)));
    words
}

/// And back; an error says what the words are instead.
pub(super) fn from_words(words: &Words) -> Result<Vec<i16>, String> {
    if words.width() != BITS || words.is_empty() {
        return Err(format!("has {} words of {} bits, expected at least one of {BITS}", words.len(), words.width()));
    }
    Ok((0..words.len()).map(|i| words.get(i) as u16 as i16).collect())
}
