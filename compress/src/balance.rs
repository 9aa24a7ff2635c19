//! Which PE owns which row.
//!
//! With N PEs, position `q` of the stored matrix belongs to PE `q mod N`, local row `q / N`.
//! [`assign_rows`] chooses the row at each position so that the PEs have the same work, in total
//! and along the way: the queues let a PE run only a few columns ahead of the slowest one, so a
//! burst of work costs cycles even when the totals agree. It returns a permutation of the rows,
//! hence every PE keeps its number of positions. Rows trade places between PEs only; the order
//! inside a PE has no effect on the cycles.
//!
//! The choice depends on the positions of the non-zeros, the density stated for the inputs and the
//! seed, and on nothing else: no input is looked at. The same arguments give the same order on
//! every machine (all arithmetic is integer or plain IEEE, without library functions).
//!
//! # Objective
//! Let c(k, j) be the entries of PE k in column j, and let each input be non-zero with probability
//! p, independently. The work of PE k then has mean p T(k) and variance p (1 - p) sum_j c(k, j)^2.
//! Minimised is the sum over the PEs of
//!
//! ```text
//! p^2 (T - mean)^2  +  p (1 - p) sum_j (c_j - mean_j)^2  +  p^2 WEIGHT/2 sum_w (t_w - mean_w)^2
//! ```
//!
//! where t_w are the entries in a window of `WINDOW` / p columns, that is `WINDOW` columns
//! expected to be broadcast; windows overlap by half. The third term is what a short queue feels.
//!
//! # Method
//! The objective is a sum over pairs of rows in the same PE of a similarity: the product of their
//! entries (kept apart, exactly), the columns they share, the product of their window sums. The
//! similarities of all pairs, and of each row to each PE, are kept in tables. The effect of a swap
//! then takes a few look-ups, so millions of swaps are tried, at first accepting small losses
//! (threshold accepting), then none. Rows are taken in random blocks of about `BLOCK`, each
//! balanced on top of what the blocks before it gave the PEs: this bounds the tables, and no loss
//! of quality was measured.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Broadcast columns in a window of the objective.
const WINDOW: f64 = 40.0;
/// Weight of the windows relative to the total.
const WEIGHT: f64 = 0.3;
/// Rows balanced together.
const BLOCK: usize = 1024;
/// Swaps tried for each row.
const TRIES: usize = 3000;
/// First threshold, relative to a row's mean similarity to itself.
const START: f32 = 0.05;
/// Share of the tries in which losses are accepted.
const COOLING: f32 = 0.8;
/// Densities below this one would make a window longer than any layer.
const LEAST_DENSITY: f64 = 1e-3;

/// What rows are balanced for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Balance {
    /// Processing elements.
    pub pes: usize,
    /// Stated share of inputs that are not zero. Clamped to 0.001..=1.
    pub density: f64,
    /// Chooses among assignments of about the same quality.
    pub seed: u64,
}

/// Assigns the rows of a matrix to positions: `order[position] = row`.
///
/// `columns` has the row numbers of each column's non-zeros, in any order and without repetition.
/// With no more rows than PEs there is nothing to balance, and the order is the rows' own.
///
/// # Panics
/// If a row number is not below `rows`.
pub fn assign_rows(rows: usize, columns: &[Vec<u32>], balance: &Balance) -> Vec<u32> {
    let pes = balance.pes;
    let mut order: Vec<u32> = (0..rows as u32).collect();
    let mut columns_of = vec![Vec::new(); rows];
    for (j, column) in columns.iter().enumerate() {
        for &row in column {
            columns_of[row as usize].push(j as u32);
        }
    }
    if pes < 2 || rows <= pes {
        return order;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(balance.seed);
    order.shuffle(&mut rng);
    let mut array = Array::new(pes, columns.len(), balance.density);
    let slots = rows.div_ceil(pes);
    let blocks = slots.div_ceil((BLOCK / pes).max(1));
    // Blocks start at PE 0, so a position's PE is the same counted from its block's start.
    for block in order.chunks_mut(slots.div_ceil(blocks) * pes) {
        let members: Vec<&[u32]> = block.iter().map(|&row| columns_of[row as usize].as_slice()).collect();
        let local = array.place(&members, &mut rng);
        let rows: Vec<u32> = local.iter().map(|&i| block[i]).collect();
        block.copy_from_slice(&rows);
    }
    order
}

/// The work placed in the PEs so far.
struct Array {
    pes: usize,
    columns: usize,
    density: f64,
    /// Columns in half a window, and windows.
    half: usize,
    windows: usize,
    /// Entries of each PE.
    total: Vec<i64>,
    /// Entries of column `j` in PE `k`, at `j * pes + k`.
    in_column: Vec<f32>,
    /// Entries of window `w` in PE `k`, at `k * windows + w`.
    in_window: Vec<f32>,
}

impl Array {
    fn new(pes: usize, columns: usize, density: f64) -> Self {
        let density = match density.is_nan() {
            true => LEAST_DENSITY,
            false => density.clamp(LEAST_DENSITY, 1.0),
        };
        let half = ((WINDOW / density / 2.0).round() as usize).max(1);
        let windows = columns.div_ceil(half) + 1;
        Array {
            pes,
            columns,
            density,
            half,
            windows,
            total: vec![0; pes],
            in_column: vec![0.0; columns * pes],
            in_window: vec![0.0; pes * windows],
        }
    }

    /// Places rows, given as their columns, and returns which row goes to each position.
    fn place(&mut self, members: &[&[u32]], rng: &mut ChaCha8Rng) -> Vec<usize> {
        let (n, pes, windows) = (members.len(), self.pes, self.windows);
        let sums = self.window_sums(members);
        let mut table = Table {
            pes,
            rows: n,
            density: self.density,
            entries: members.iter().map(|m| m.len() as i64).collect(),
            total: self.total.clone(),
            pair: self.pair_similarities(members, &sums),
            to_pe: self.placed_similarities(members, &sums),
        };
        for i in 0..n {
            table.add(i, i % pes);
        }
        let at = table.search(rng);

        self.total = table.total;
        for (position, &i) in at.iter().enumerate() {
            let k = position % pes;
            for &j in members[i] {
                self.in_column[j as usize * pes + k] += 1.0;
            }
            let placed = &mut self.in_window[k * windows..(k + 1) * windows];
            for (sum, &own) in placed.iter_mut().zip(&sums[i * windows..(i + 1) * windows]) {
                *sum += own;
            }
        }
        at
    }

    /// Weights of a shared column and of a product of window sums. The objective is divided by p.
    fn weights(&self) -> (f32, f32) {
        ((1.0 - self.density) as f32, (self.density * WEIGHT / 2.0) as f32)
    }

    /// Window `w` covers the half windows `w - 1` and `w`.
    fn window_sums(&self, members: &[&[u32]]) -> Vec<f32> {
        let mut sums = vec![0.0; members.len() * self.windows];
        for (columns, sums) in members.iter().zip(sums.chunks_exact_mut(self.windows)) {
            for &j in *columns {
                let w = j as usize / self.half;
                sums[w] += 1.0;
                sums[w + 1] += 1.0;
            }
        }
        sums
    }

    /// Similarity of each pair of rows, but for the product of their entries.
    fn pair_similarities(&self, members: &[&[u32]], sums: &[f32]) -> Vec<f32> {
        let (n, windows) = (members.len(), self.windows);
        let (shared, burst) = self.weights();
        let mut rows_of = vec![Vec::new(); self.columns];
        for (i, columns) in members.iter().enumerate() {
            for &j in *columns {
                rows_of[j as usize].push(i as u32);
            }
        }
        let mut pair = vec![0.0f32; n * n];
        for (columns, similar) in members.iter().zip(pair.chunks_exact_mut(n)) {
            for &j in *columns {
                for &other in &rows_of[j as usize] {
                    similar[other as usize] += 1.0;
                }
            }
            for s in similar {
                *s *= shared;
            }
        }
        // A few rows at a time stay in the cache while all others pass.
        const GROUP: usize = 16;
        for first in (0..n).step_by(GROUP) {
            for b in first..n {
                let of_b = &sums[b * windows..(b + 1) * windows];
                for a in first..n.min(first + GROUP).min(b + 1) {
                    let add = burst * dot(&sums[a * windows..(a + 1) * windows], of_b);
                    pair[a * n + b] += add;
                    if a != b {
                        pair[b * n + a] += add;
                    }
                }
            }
        }
        pair
    }

    /// Similarity of each row to what is already placed in each PE, as `Table::to_pe`.
    fn placed_similarities(&self, members: &[&[u32]], sums: &[f32]) -> Vec<f32> {
        let (n, pes, windows) = (members.len(), self.pes, self.windows);
        let (shared, burst) = self.weights();
        let mut to_pe = vec![0.0; pes * n];
        let mut common = vec![0.0f32; pes];
        for (i, columns) in members.iter().enumerate() {
            common.fill(0.0);
            for &j in *columns {
                let placed = &self.in_column[j as usize * pes..(j as usize + 1) * pes];
                for (c, &entries) in common.iter_mut().zip(placed) {
                    *c += entries;
                }
            }
            let own = &sums[i * windows..(i + 1) * windows];
            for (k, placed) in self.in_window.chunks_exact(windows).enumerate() {
                to_pe[k * n + i] = shared * common[k] + burst * dot(own, placed);
            }
        }
        to_pe
    }
}

/// The similarities among the rows of a block, and the moves on them.
struct Table {
    pes: usize,
    rows: usize,
    density: f64,
    /// Entries of each row.
    entries: Vec<i64>,
    /// Entries of each PE.
    total: Vec<i64>,
    /// Similarity of rows `a` and `b`, at `a * rows + b`.
    pair: Vec<f32>,
    /// Sum of row `a`'s similarities to the rows of PE `k`, at `k * rows + a`, so that a swap
    /// updates two contiguous runs.
    to_pe: Vec<f32>,
}

impl Table {
    fn add(&mut self, row: usize, k: usize) {
        let n = self.rows;
        self.total[k] += self.entries[row];
        let similar = &self.pair[row * n..(row + 1) * n];
        for (sum, &s) in self.to_pe[k * n..(k + 1) * n].iter_mut().zip(similar) {
            *sum += s;
        }
    }

    /// Change of the objective when row `a` of PE `ka` and row `b` of PE `kb` trade places.
    fn change(&self, (a, ka): (usize, usize), (b, kb): (usize, usize)) -> f32 {
        let n = self.rows;
        let more = self.entries[b] - self.entries[a];
        let totals = 2 * more * (self.total[ka] - self.total[kb] + more);
        let to = |k: usize, row: usize| self.to_pe[k * n + row];
        let pair = |a: usize, b: usize| self.pair[a * n + b];
        let moved = to(kb, a) - to(ka, a) + to(ka, b) - to(kb, b);
        // A row is not similar to itself where it goes, and the two rows do not meet.
        let own = pair(a, a) + pair(b, b) - 2.0 * pair(a, b);
        (totals as f64 * self.density) as f32 + 2.0 * (moved + own)
    }

    fn swap(&mut self, (a, ka): (usize, usize), (b, kb): (usize, usize)) {
        let n = self.rows;
        let more = self.entries[b] - self.entries[a];
        self.total[ka] += more;
        self.total[kb] -= more;
        let of_a = &self.pair[a * n..(a + 1) * n];
        let of_b = &self.pair[b * n..(b + 1) * n];
        for (sum, (b, a)) in self.to_pe[ka * n..(ka + 1) * n].iter_mut().zip(of_b.iter().zip(of_a)) {
            *sum += b - a;
        }
        for (sum, (a, b)) in self.to_pe[kb * n..(kb + 1) * n].iter_mut().zip(of_a.iter().zip(of_b)) {
            *sum += a - b;
        }
    }

    /// Swaps rows, from row `i` at position `i` on, and returns the row at each position.
    fn search(&mut self, rng: &mut ChaCha8Rng) -> Vec<usize> {
        let n = self.rows;
        let mut at: Vec<usize> = (0..n).collect();
        let own: f32 = (0..n).map(|i| self.pair[i * n + i]).sum();
        let start = START * own / n as f32;
        let tries = TRIES * n;
        for i in 0..tries {
            let warmth = (1.0 - i as f32 / (COOLING * tries as f32)).max(0.0);
            // u32 draws, so that the order is the same on 32-bit machines.
            let x = rng.random_range(0..n as u32) as usize;
            let y = rng.random_range(0..n as u32) as usize;
            if x % self.pes == y % self.pes {
                continue;
            }
            let (a, b) = ((at[x], x % self.pes), (at[y], y % self.pes));
            if self.change(a, b) < start * warmth * warmth {
                self.swap(a, b);
                at.swap(x, y);
            }
        }
        at
    }
}

/// Inner product, with independent sums that the compiler can put in vector lanes.
fn dot(x: &[f32], y: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0f32; LANES];
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let rest: f32 = xs.remainder().iter().zip(ys.remainder()).map(|(a, b)| a * b).sum();
    for (x, y) in xs.zip(ys) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const BALANCE: Balance = Balance { pes: 8, density: 0.4, seed: 1 };

    /// Rows differ in density, from one to three times `density`.
    fn matrix(rows: usize, columns: usize, density: f64, seed: u64) -> Vec<Vec<u32>> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let scale: Vec<f64> = (0..rows).map(|_| density * rng.random_range(1.0..3.0)).collect();
        (0..columns).map(|_| (0..rows as u32).filter(|&r| rng.random_bool(scale[r as usize])).collect()).collect()
    }

    fn interleaved(rows: usize) -> Vec<u32> {
        (0..rows as u32).collect()
    }

    fn assert_permutation(order: &[u32], rows: usize) {
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, interleaved(rows));
    }

    /// Entries at `j * pes + k`.
    fn counts(columns: &[Vec<u32>], order: &[u32], pes: usize) -> Vec<i64> {
        let mut pe_of = vec![0; order.len()];
        for (position, &row) in order.iter().enumerate() {
            pe_of[row as usize] = position % pes;
        }
        let mut counts = vec![0; columns.len() * pes];
        for (column, counts) in columns.iter().zip(counts.chunks_exact_mut(pes)) {
            for &row in column {
                counts[pe_of[row as usize]] += 1;
            }
        }
        counts
    }

    /// The objective as the module states it, over p, without the means (they are the same for
    /// every assignment).
    fn objective(columns: &[Vec<u32>], order: &[u32], balance: &Balance) -> f64 {
        let pes = balance.pes;
        let counts = counts(columns, order, pes);
        let array = Array::new(pes, columns.len(), balance.density);
        let p = balance.density;
        let square = |x: i64| (x * x) as f64;
        let mut sum = 0.0;
        for k in 0..pes {
            let column = |j: usize| counts[j * pes + k];
            let range = |from: usize, to: usize| (from..to.min(columns.len())).map(column).sum();
            sum += p * square(range(0, columns.len()));
            sum += (1.0 - p) * (0..columns.len()).map(|j| square(column(j))).sum::<f64>();
            for w in 0..array.windows {
                let from = w.saturating_sub(1) * array.half;
                sum += p * WEIGHT / 2.0 * square(range(from, (w + 1) * array.half));
            }
        }
        sum
    }

    fn spread(columns: &[Vec<u32>], order: &[u32], pes: usize) -> i64 {
        let counts = counts(columns, order, pes);
        let total = |k: usize| counts.iter().skip(k).step_by(pes).sum::<i64>();
        let most = (0..pes).map(total).max().unwrap();
        let least = (0..pes).map(total).min().unwrap();
        most - least
    }

    #[test]
    fn balances_rows_of_different_scales() {
        let columns = matrix(128, 300, 0.1, 3);
        let order = assign_rows(128, &columns, &BALANCE);
        assert_permutation(&order, 128);
        let before = interleaved(128);
        assert!(spread(&columns, &order, 8) * 10 < spread(&columns, &before, 8));
        assert!(objective(&columns, &order, &BALANCE) < objective(&columns, &before, &BALANCE));
    }

    #[test]
    fn a_missing_row_is_made_up_for() {
        // PEs 4 to 7 have one position less; they must not have a row's work less.
        let columns = matrix(60, 400, 0.1, 4);
        let order = assign_rows(60, &columns, &BALANCE);
        assert_permutation(&order, 60);
        let work: usize = columns.iter().map(Vec::len).sum();
        assert!(spread(&columns, &order, 8) < work as i64 / 60 / 4);
    }

    #[test]
    fn the_tables_hold_the_objective() {
        let columns = matrix(40, 500, 0.1, 5);
        let mut members = vec![Vec::new(); 40];
        for (j, column) in columns.iter().enumerate() {
            for &row in column {
                members[row as usize].push(j as u32);
            }
        }
        let members: Vec<&[u32]> = members.iter().map(Vec::as_slice).collect();
        // The first 24 rows are placed before; the table has the others.
        let mut array = Array::new(8, columns.len(), BALANCE.density);
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let mut order: Vec<u32> = array.place(&members[..24], &mut rng).iter().map(|&i| i as u32).collect();
        order.extend(24..40);
        let block = &members[24..];
        let sums = array.window_sums(block);
        let mut table = Table {
            pes: 8,
            rows: 16,
            density: BALANCE.density,
            entries: block.iter().map(|m| m.len() as i64).collect(),
            total: array.total.clone(),
            pair: array.pair_similarities(block, &sums),
            to_pe: array.placed_similarities(block, &sums),
        };
        for i in 0..16 {
            table.add(i, i % 8);
        }
        for (x, y) in [(0, 1), (3, 10), (9, 15), (8, 1)] {
            let (a, b) = (order[24 + x] as usize - 24, order[24 + y] as usize - 24);
            let before = objective(&columns, &order, &BALANCE);
            let change = f64::from(table.change((a, x % 8), (b, y % 8)));
            table.swap((a, x % 8), (b, y % 8));
            order.swap(24 + x, 24 + y);
            let after = objective(&columns, &order, &BALANCE);
            assert!((after - before - change).abs() < 0.01 * (1.0 + change.abs()), "{x} {y}");
        }
    }

    #[test]
    fn blocks_build_on_each_other() {
        // Two full blocks and the beginning of a third.
        let rows = 2 * BLOCK + 77;
        let columns = matrix(rows, 40, 0.05, 7);
        let balance = Balance { pes: 64, ..BALANCE };
        let order = assign_rows(rows, &columns, &balance);
        assert_permutation(&order, rows);
        assert!(spread(&columns, &order, 64) <= 3);
    }

    #[test]
    fn the_seed_decides() {
        let columns = matrix(64, 100, 0.1, 8);
        let order = assign_rows(64, &columns, &BALANCE);
        assert_eq!(order, assign_rows(64, &columns, &BALANCE));
        let other = assign_rows(64, &columns, &Balance { seed: 2, ..BALANCE });
        assert_ne!(order, other);
        assert_permutation(&other, 64);
    }

    #[test]
    fn nothing_to_balance() {
        assert!(assign_rows(0, &[], &BALANCE).is_empty());
        assert_eq!(assign_rows(5, &matrix(5, 9, 0.2, 9), &BALANCE), interleaved(5));
        assert_eq!(assign_rows(8, &matrix(8, 9, 0.2, 9), &BALANCE), interleaved(8));
        let one = Balance { pes: 1, ..BALANCE };
        assert_eq!(assign_rows(9, &matrix(9, 9, 0.2, 9), &one), interleaved(9));
    }

    #[test]
    fn odd_layers_get_a_permutation() {
        assert_permutation(&assign_rows(20, &[], &BALANCE), 20);
        assert_permutation(&assign_rows(20, &vec![Vec::new(); 3], &BALANCE), 20);
        assert_permutation(&assign_rows(9, &[vec![8]], &BALANCE), 9);
        let columns = matrix(30, 20, 0.1, 10);
        for density in [0.0, 1.0, 2.0, f64::NAN, f64::INFINITY, -1.0] {
            let balance = Balance { density, ..BALANCE };
            assert_permutation(&assign_rows(30, &columns, &balance), 30);
        }
    }
}
