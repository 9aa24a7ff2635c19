//! Logistic mixing of predictions, as in the PAQ family of compressors: every context predicts the next binary decision,
//! and weights that learn decide how much each prediction counts.
//!
//! Everything that predictions depend on is in integers, so that every machine decodes the same. The two tables are made
//! from additions, multiplications and divisions of `f64` only, whose results IEEE 754 fixes.

use super::binary::{BitCoder, ONE};
use std::sync::LazyLock;

/// Of a logit: a unit is 1/1024.
pub const LOGIT: i32 = 1024;
/// Logits are within plus and minus this: probabilities from 6e-6.
pub const MOST: i32 = 12 * LOGIT - 1;

/// e^(1/1024)
const STEP: f64 = 1.000_977_039_492_416_5;

static SQUASH: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let mut grown = 1.0f64;
    let mut upper = Vec::with_capacity(MOST as usize + 1);
    for _ in 0..=MOST {
        upper.push((f64::from(ONE) * grown / (1.0 + grown)) as u32);
        grown *= STEP;
    }
    // symmetric: the probability of a logit and of its negative are 1 together
    let lower = upper.iter().skip(1).rev().map(|p| ONE - p);
    lower.chain(upper.iter().copied()).collect()
});

static STRETCH: LazyLock<Vec<i16>> = LazyLock::new(|| {
    let mut logit = -MOST;
    (0..=u16::MAX)
        .map(|cell| {
            let p = u32::from(cell) * 64 + 32;
            while logit < MOST && squash(logit) < p {
                logit += 1;
            }
            // MOST is below 2^15
            logit as i16
        })
        .collect()
});

/// The probability of a logit, in `1..ONE`.
pub fn squash(logit: i32) -> u32 {
    SQUASH[(logit.clamp(-MOST, MOST) + MOST) as usize]
}

/// The logit of a probability of `0..ONE`.
pub fn stretch(p: u32) -> i32 {
    i32::from(STRETCH[(p.min(ONE - 1) >> 6) as usize])
}

/// A probability that a context has learned: 22 bits, and how often it was asked, 10 bits. 0 is one that never was.
type Slot = u32;

const COUNT: u32 = 1023;

/// Classes of experience: each has its own weight.
const CLASSES: usize = 6;

fn class(count: u32) -> usize {
    match count {
        0 => 0,
        1 => 1,
        2..=3 => 2,
        4..=8 => 3,
        9..=31 => 4,
        _ => 5,
    }
}

/// How a [`Predictor`] learns. All are small integers, so that a file can say them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Learning {
    /// The rate of the weights, in 1/16384, and what is added to it at the start and fades away.
    pub rate: u16,
    pub start: u16,
    /// Most experiences that a context counts.
    pub limit: u16,
    /// How strongly the first prediction of a context holds, in quarters of an experience.
    pub prior: u8,
    /// Sum of the weights at the start, in sixteenths.
    pub sum: u8,
}

impl Default for Learning {
    fn default() -> Learning {
        Learning { rate: 24, start: 200, limit: 1000, prior: 6, sum: 18 }
    }
}

/// Mixes the predictions of contexts, and of estimates that come from outside.
#[derive(Clone)]
pub struct Predictor {
    learning: Learning,
    /// One per context.
    tables: Vec<Vec<Slot>>,
    estimates: usize,
    /// Per selector, sets of weights in 1/65536.
    sets: Vec<Vec<i32>>,
    /// Of the mix of the selectors' mixes.
    last: Vec<i32>,
    seen: u32,
    // of the decision at hand
    inputs: Vec<i32>,
    weights: Vec<usize>,
    mixes: Vec<i32>,
    apm: Vec<Vec<u32>>,
}

const APM_STEPS: usize = 33;

impl Predictor {
    /// For `contexts` contexts and `estimates` logits per decision; `selectors` says how many values each selector has.
    pub fn new(contexts: usize, estimates: usize, selectors: &[usize], learning: Learning) -> Predictor {
        let inputs = contexts + estimates + 1;
        let share = i32::from(learning.sum) * 4096 / (contexts + estimates).max(1) as i32;
        let one_set: Vec<i32> = (0..inputs)
            .flat_map(|i| {
                (0..CLASSES).map(move |class| match class {
                    _ if i == inputs - 1 => 0,
                    0 if i < contexts => share / 4,
                    _ => share,
                })
            })
            .collect();
        Predictor {
            learning,
            tables: vec![Vec::new(); contexts],
            estimates,
            sets: selectors.iter().map(|values| one_set.repeat(*values)).collect(),
            last: vec![65536 / selectors.len().max(1) as i32; selectors.len()],
            seen: 0,
            inputs: Vec::with_capacity(inputs),
            weights: Vec::with_capacity(inputs),
            mixes: Vec::with_capacity(selectors.len()),
            apm: vec![Vec::new(); 2],
        }
    }

    /// Codes one decision. `contexts` are the contexts' values, each below 2^22 (tables grow to the largest that
    /// occurs); `estimates` are logits; `chosen` are the selectors' values; `fine` are the contexts of the last correction.
    pub fn code(
        &mut self,
        coder: &mut impl BitCoder,
        bit: bool,
        contexts: &[u32],
        estimates: &[i32],
        chosen: &[usize],
        fine: [u32; 2],
    ) -> bool {
        self.inputs.clear();
        self.weights.clear();
        let mut known = 0;
        for (i, (table, context)) in self.tables.iter_mut().zip(contexts).enumerate() {
            let at = *context as usize;
            if at >= table.len() {
                table.resize((at + 1).next_power_of_two(), 0);
            }
            let slot = table[at];
            let count = slot & COUNT;
            let input = if slot == 0 { known } else { stretch(slot >> 10) };
            if i == 0 {
                known = input;
            }
            self.inputs.push(input);
            self.weights.push(i * CLASSES + class(count));
        }
        debug_assert_eq!(estimates.len(), self.estimates);
        for (i, estimate) in estimates.iter().enumerate() {
            self.inputs.push(*estimate);
            self.weights.push((contexts.len() + i) * CLASSES);
        }
        self.inputs.push(LOGIT / 2);
        self.weights.push((contexts.len() + estimates.len()) * CLASSES);

        let size = self.inputs.len() * CLASSES;
        self.mixes.clear();
        for (sets, chosen) in self.sets.iter().zip(chosen) {
            let set = &sets[chosen * size..(chosen + 1) * size];
            let dot: i64 = self.inputs.iter().zip(&self.weights).map(|(x, w)| i64::from(*x) * i64::from(set[*w])).sum();
            self.mixes.push((dot >> 16).clamp(-i64::from(MOST), i64::from(MOST)) as i32);
        }
        let dot: i64 = self.mixes.iter().zip(&self.last).map(|(x, w)| i64::from(*x) * i64::from(*w)).sum();
        let logit = (dot >> 16).clamp(-i64::from(MOST), i64::from(MOST)) as i32;
        let mixed = squash(logit);

        // the last correction: what really happened after such a prediction in such a context
        let place = (logit + MOST + 1) as usize * (APM_STEPS - 1);
        let span = (2 * MOST + 2) as usize;
        let (cell, part) = (place / span, (place % span) as u64);
        let mut refined = 2 * u64::from(mixed);
        let mut cells = [0; 2];
        for ((apm, context), at) in self.apm.iter_mut().zip(fine).zip(&mut cells) {
            *at = context as usize * APM_STEPS + cell;
            while apm.len() < (context as usize + 1) * APM_STEPS {
                let logit = (apm.len() % APM_STEPS) as i32 * (2 * MOST / (APM_STEPS as i32 - 1)) - MOST;
                apm.push(squash(logit));
            }
            let between = u64::from(apm[*at]) * (span as u64 - part) + u64::from(apm[*at + 1]) * part;
            refined += between / span as u64;
        }
        let p = ((refined / 4) as u32).clamp(16, ONE - 16);
        let bit = coder.bit(bit, p);

        let target = if bit { ONE as i32 } else { 0 };
        for (apm, at) in self.apm.iter_mut().zip(cells) {
            let at = at + usize::from(part * 2 >= span as u64);
            apm[at] = (apm[at] as i32 + (target - apm[at] as i32) / 64) as u32;
        }
        self.learn(bit, contexts, chosen, mixed);
        bit
    }

    fn learn(&mut self, bit: bool, contexts: &[u32], chosen: &[usize], mixed: u32) {
        let target = if bit { i64::from(ONE) } else { 0 };
        let rate = i64::from(self.learning.rate) + i64::from(self.learning.start) * 256 / (256 + i64::from(self.seen));
        self.seen = self.seen.saturating_add(1);
        let size = self.inputs.len() * CLASSES;
        for ((sets, chosen), mix) in self.sets.iter_mut().zip(chosen).zip(&self.mixes) {
            let set = &mut sets[chosen * size..(chosen + 1) * size];
            let error = (target - i64::from(squash(*mix))) * rate;
            for (x, w) in self.inputs.iter().zip(&self.weights) {
                let change = (i64::from(*x) * error + (1 << 29)) >> 30;
                set[*w] = (i64::from(set[*w]) + change).clamp(-(1 << 22), 1 << 22) as i32;
            }
        }
        let error = (target - i64::from(mixed)) * 4;
        for (x, w) in self.mixes.iter().zip(&mut self.last) {
            let change = (i64::from(*x) * error + (1 << 29)) >> 30;
            *w = (i64::from(*w) + change).clamp(-(1 << 22), 1 << 22) as i32;
        }
        let prior = u32::from(self.learning.prior);
        for (table, context) in self.tables.iter_mut().zip(contexts) {
            let slot = &mut table[*context as usize];
            let count = *slot & COUNT;
            let p = i64::from(if *slot == 0 { mixed } else { *slot >> 10 });
            // an experience weighs as much as each before it, and the first as `prior` says
            let p = p + (target - p) * 4 / i64::from(4 * count + 4 + prior);
            let count = (count + 1).min(u32::from(self.learning.limit)).min(COUNT);
            *slot = (p as u32).clamp(1, ONE - 1) << 10 | count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::binary::Cost;
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn the_tables_are_the_logistic_function_and_its_inverse() {
        for logit in (-MOST..=MOST).step_by(7) {
            let exact = f64::from(ONE) / (1.0 + (-f64::from(logit) / f64::from(LOGIT)).exp());
            assert!((f64::from(squash(logit)) - exact).abs() <= 1.0, "{logit}");
        }
        for p in (32..ONE - 32).step_by(101) {
            let x = f64::from(p) / f64::from(ONE);
            let exact = ((x / (1.0 - x)).ln() * f64::from(LOGIT)).clamp(-f64::from(MOST), f64::from(MOST));
            let cell = 64.0 / f64::from(ONE) / (x * (1.0 - x)) * f64::from(LOGIT);
            assert!((f64::from(stretch(p)) - exact).abs() <= cell + 1.0, "{p}");
        }
    }

    #[test]
    fn a_mix_of_a_good_and_a_useless_context_is_near_the_good_one() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut predictor = Predictor::new(2, 0, &[1], Learning::default());
        let (mut cost, mut ideal) = (Cost::default(), 0.0f64);
        for _ in 0..20_000 {
            let context = rng.random_range(0..8u32);
            let p = [0.02, 0.1, 0.5, 0.9, 0.99, 0.3, 0.01, 0.7][context as usize];
            let bit = rng.random_bool(p);
            ideal -= if bit { p } else { 1.0 - p }.log2();
            predictor.code(&mut cost, bit, &[context, rng.random_range(0..64)], &[], &[0], [0, 0]);
        }
        assert!(cost.bits < ideal * 1.03, "{} bits, ideal {ideal}", cost.bits);
    }
}
