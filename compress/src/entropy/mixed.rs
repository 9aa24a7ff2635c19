//! The smallest form: every position is a decision (zero or not), every code a sign and the bits of its magnitude, and each
//! of these decisions has a probability mixed from what lies around it.
//!
//! Codes come in as signed ranks: 0 is zero, 1 the smallest value above zero, -1 the one nearest below it. What was learned
//! from one matrix carries over to the next.

use super::binary::{BitCoder, ONE};
use super::mixing::{stretch, Learning, Predictor};
use super::Grid;

/// What the encoder may choose for a matrix; it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tuning {
    /// Columns after which the second neighborhood repeats: the width of an image, the size of a kernel; 0 for none.
    pub period: u16,
    /// Column by column instead of row by row.
    pub transposed: bool,
}

const MASK_CONTEXTS: usize = 12;
const MASK_ESTIMATES: usize = 4;
const VALUE_CONTEXTS: usize = 10;

/// The models of all matrices of a stream.
#[derive(Clone)]
pub struct MixedModel {
    mask: Predictor,
    sign: Predictor,
    magnitude: Predictor,
    /// Positions, and non-zeros among them, of all matrices so far.
    ratio: Ratio,
}

impl Default for MixedModel {
    fn default() -> MixedModel {
        MixedModel::new()
    }
}

/// Non-zeros among positions.
#[derive(Clone, Copy, Default)]
struct Ratio {
    nonzeros: u32,
    positions: u32,
}

impl Ratio {
    fn add(&mut self, nonzero: bool) {
        self.nonzeros += u32::from(nonzero);
        self.positions += 1;
    }
    /// The share, as if `weight` positions more had had the share `p` (in 1/[`ONE`]).
    fn estimate(self, p: u32, weight: u32) -> u32 {
        let above = u64::from(self.nonzeros) * u64::from(ONE) + u64::from(p) * u64::from(weight);
        ((above / u64::from(self.positions + weight).max(1)) as u32).clamp(16, ONE - 16)
    }
}

/// What is known of a row or a column while a matrix is coded.
#[derive(Clone, Copy, Default)]
struct Line {
    ratio: Ratio,
    /// Place of the last non-zero plus 1, and its signed rank.
    last: u32,
    rank: i32,
    /// Bits of the last places, the newest lowest.
    history: u32,
    /// Sum of the signs, sum of the magnitudes.
    signs: i32,
    magnitudes: u32,
}

impl Line {
    fn add(&mut self, place: u32, rank: i32) {
        self.ratio.add(rank != 0);
        self.history = self.history << 1 | u32::from(rank != 0);
        if rank != 0 {
            self.last = place + 1;
            self.rank = rank;
            self.signs += rank.signum();
            self.magnitudes = self.magnitudes.saturating_add(rank.unsigned_abs());
        }
    }
    /// A class of 0 to 11 of the distance from `place` to the last non-zero.
    fn distance(&self, place: u32) -> u32 {
        if self.last == 0 {
            return 11;
        }
        log_class(place + 1 - self.last).min(10)
    }
    /// Mean magnitude in eighths of `most`, 0 to 8; 0 without a non-zero.
    fn mean(&self, most: u32) -> u32 {
        if self.ratio.nonzeros == 0 {
            return 0;
        }
        1 + (u64::from(self.magnitudes) * 8 / (u64::from(self.ratio.nonzeros) * u64::from(most.max(1)))).min(7) as u32
    }
    /// The sum of the signs as a class of 0 to 6.
    fn sign_class(&self) -> u32 {
        match self.signs {
            i32::MIN..=-4 => 0,
            -3..=-2 => 1,
            -1 => 2,
            0 => 3,
            1 => 4,
            2..=3 => 5,
            _ => 6,
        }
    }
}

/// 1, 2, 3, 4, 5-6, 7-8, 9-12, 13-16, ... as 0, 1, 2, ...
fn log_class(n: u32) -> u32 {
    if n <= 4 {
        return n.saturating_sub(1);
    }
    let bits = 31 - (n - 1).leading_zeros();
    2 * bits + ((n - 1) >> (bits - 1) & 1)
}

/// A logit in steps of `1 / (1024 >> shift)`.
fn coarse(logit: i32, shift: u32) -> u32 {
    ((logit.clamp(-12 * 1024, 12 * 1024) + 12 * 1024) >> shift) as u32
}

/// Zero, negative or positive as 0, 1, 2.
fn sign(rank: i32) -> u32 {
    match rank {
        0 => 0,
        i32::MIN..=-1 => 1,
        _ => 2,
    }
}

/// The magnitude in quarters of `most` from 1 on, 0 for zero.
fn quarter(rank: i32, most: u32) -> u32 {
    match rank.unsigned_abs() {
        0 => 0,
        m => 1 + (m * 4 / most.max(1)).min(3),
    }
}

impl MixedModel {
    pub fn new() -> MixedModel {
        let mask = Learning::default();
        let value = Learning::default();
        MixedModel {
            mask: Predictor::new(MASK_CONTEXTS, MASK_ESTIMATES, &[16, 24, 1], mask),
            sign: Predictor::new(6, 0, &[1, 9], value),
            magnitude: Predictor::new(VALUE_CONTEXTS, 0, &[1, 256], value),
            ratio: Ratio::default(),
        }
    }

    /// Codes the ranks of a matrix, row major. `negative` and `positive` are the numbers of values below zero and above
    /// it. Decoding fills `ranks`, which is as long as the matrix whatever it holds.
    pub fn code(&mut self, coder: &mut impl BitCoder, grid: Grid, ranks: &mut [i32], negative: u32, positive: u32, tuning: Tuning) {
        if negative + positive == 0 || ranks.is_empty() {
            ranks.fill(0);
            return;
        }
        let (rows, columns) = if tuning.transposed { (grid.columns, grid.rows) } else { (grid.rows, grid.columns) };
        let (row_step, column_step) = if tuning.transposed { (1, grid.columns) } else { (grid.columns, 1) };
        // in the scanned orientation, the period runs along the axis of the columns
        let (across, down) = match usize::from(tuning.period) {
            0 => (0, 0),
            p if tuning.transposed => (0, p),
            p => (p, 0),
        };
        let most = negative.max(positive);
        let mut column_lines = vec![Line::default(); columns];
        let mut row_lines = vec![Line::default(); rows];
        for r in 0..rows {
            for c in 0..columns {
                let at = r * row_step + c * column_step;
                let get = |up: usize, left: usize| {
                    if up > r || left > c || (up == 0 && left == 0) {
                        0
                    } else {
                        ranks[at - up * row_step - left * column_step]
                    }
                };
                // neighbors on the second grid: above, and its left and right
                let (n, nw, ne) = if across > 0 {
                    (get(0, across), get(0, across + 1), if across > 1 { get(0, across - 1) } else { 0 })
                } else if down > 0 {
                    (get(down, 0), get(down, 1), 0)
                } else {
                    (0, 0, 0)
                };
                let (w, ww, above, above2) = (get(0, 1), get(0, 2), get(1, 0), get(2, 0));
                let around = [w, ww, n, nw, ne, above, above2];
                let (row, column) = (row_lines[r], column_lines[c]);
                let phase = match tuning.period {
                    p if p > 0 && p <= 64 => (if tuning.transposed { r } else { c } % usize::from(p)) as u32 + 1,
                    _ => 0,
                };
                // columns next to this one, in both grids, together
                let mut near = Ratio::default();
                let mut add = |line: Option<&Line>| {
                    if let Some(line) = line {
                        near.nonzeros += line.ratio.nonzeros;
                        near.positions += line.ratio.positions;
                    }
                };
                add(column_lines.get(c + 1));
                add(c.checked_sub(1).and_then(|c| column_lines.get(c)));
                if across > 0 {
                    for offset in [across - 1, across, across + 1] {
                        add(c.checked_sub(offset).and_then(|c| column_lines.get(c)));
                        add(column_lines.get(c + offset));
                    }
                }
                let mut near_rows = Ratio::default();
                if down > 0 {
                    for offset in [1, down - 1, down, down + 1] {
                        if let Some(line) = r.checked_sub(offset).and_then(|r| row_lines.get(r)) {
                            near_rows.nonzeros += line.ratio.nonzeros;
                            near_rows.positions += line.ratio.positions;
                        }
                    }
                }
                let all = self.ratio.estimate(ONE / 16, 16);
                let by_near = near.estimate(all, 16);
                let by_column = column.ratio.estimate(by_near, 6);
                let by_row = row.ratio.estimate(near_rows.estimate(all, 16), 16);
                let logits = [stretch(all), stretch(by_near), stretch(by_column), stretch(by_row)];
                let product = logits[2] + logits[3] - logits[0];
                let estimates = [logits[1], logits[2], logits[3], product];
                let local = around.iter().fold(0, |bits, rank| bits << 1 | u32::from(*rank != 0));
                let window = (row.history & 0xffff).count_ones().min(7);
                let contexts = [
                    coarse(product, 8),
                    local,
                    coarse(logits[2], 9) * 64 + coarse(logits[3], 9),
                    (column.history & 0xff) << 3 | window.min(7),
                    row.history & 0xfff,
                    column.distance((r) as u32) * 12 + row.distance(c as u32),
                    (column.mean(most) * 9 + row.mean(most)) * 8 + window,
                    c as u32 & 0x1f_ffff,
                    r as u32 & 0x1f_ffff,
                    (coarse(product, 9) * 4 + (u32::from(w != 0) + u32::from(ww != 0))) * 4
                        + u32::from(n != 0)
                        + u32::from(nw != 0)
                        + u32::from(ne != 0),
                    phase * 8 + (local >> 3 & 4) + (local >> 5 & 2) + (local >> 2 & 1),
                    coarse(logits[1], 8) * 8 + u32::from(above != 0) * 4 + u32::from(above2 != 0) * 2 + u32::from(w != 0),
                ];
                let near_count = around.iter().filter(|rank| **rank != 0).count();
                let chosen = [(column.ratio.nonzeros.min(15)) as usize, near_count * 3 + (window as usize).min(2), 0];
                let rank = ranks[at];
                let nonzero = self.mask.code(coder, rank != 0, &contexts, &estimates, &chosen, [coarse(product, 10), local]);
                let rank = if nonzero {
                    let around = [w, n, above, nw, row.rank, column.rank];
                    self.value(coder, rank, around, &row, &column, phase, negative, positive)
                } else {
                    0
                };
                ranks[at] = rank;
                self.ratio.add(nonzero);
                row_lines[r].add(c as u32, rank);
                column_lines[c].add(r as u32, rank);
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn value(
        &mut self,
        coder: &mut impl BitCoder,
        rank: i32,
        [w, n, above, nw, row_last, column_last]: [i32; 6],
        row: &Line,
        column: &Line,
        phase: u32,
        negative: u32,
        positive: u32,
    ) -> i32 {
        let most = negative.max(positive);
        let minus = match (negative, positive) {
            (0, _) => false,
            (_, 0) => true,
            _ => {
                let contexts = [
                    0,
                    sign(w) * 27 + sign(n) * 9 + sign(above) * 3 + sign(nw),
                    column.sign_class() * 7 + row.sign_class(),
                    sign(row_last) * 3 + sign(column_last),
                    column.sign_class() * 9 + sign(column_last) * 3 + sign(n),
                    row.sign_class() * 9 + sign(row_last) * 3 + sign(w),
                ];
                let chosen = [0, (sign(w) * 3 + sign(n)) as usize];
                self.sign.code(coder, rank < 0, &contexts, &[], &chosen, [column.sign_class(), row.sign_class()])
            }
        };
        let count = if minus { negative } else { positive };
        let bits = 32 - (count - 1).leading_zeros();
        // 1 to count as 0 to count - 1, the highest bit first; a bit that would go beyond the last is not coded
        let value = rank.unsigned_abs().wrapping_sub(1);
        let mut found = 0u32;
        for i in (0..bits).rev() {
            if (found << 1 | 1) << i >= count {
                found <<= 1;
                continue;
            }
            // the place in the tree of decisions, below 2^15
            let node = (1 << (bits - 1 - i)) | found;
            let fine = node & 0xff | if node > 255 { 0x100 } else { 0 };
            let signed = node * 2 + u32::from(minus);
            let small = fine * 2 + u32::from(minus);
            let contexts = [
                signed,
                small * 81 + sign(w) * 27 + sign(n) * 9 + sign(above) * 3 + sign(nw),
                small * 25 + quarter(row_last, most) * 5 + quarter(column_last, most),
                small * 25 + quarter(w, most) * 5 + quarter(n, most),
                small * 81 + row.mean(most) * 9 + column.mean(most),
                small * 65 + phase,
                small * 9 + column.mean(most),
                small * 9 + row.mean(most),
                small * 5 + quarter(above, most),
                small * 32 + log_class(column.ratio.nonzeros + 1).min(31),
            ];
            let chosen = [0, (node & 0xff) as usize];
            let bit = self.magnitude.code(coder, value >> i & 1 == 1, &contexts, &[], &chosen, [small, fine]);
            found = found << 1 | u32::from(bit);
        }
        // below `count`, which is at most 65,535
        let magnitude = found as i32 + 1;
        if minus {
            -magnitude
        } else {
            magnitude
        }
    }
}
