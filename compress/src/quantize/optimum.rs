//! One-dimensional k-means exactly: the clusters of least sum of squared distances (as `Ckmeans.1d.dp`, Wang and Song 2011).
//!
//! Clusters are ranges of the sorted values, and equal values share one. With D(c, j) the least error of the first j different
//! values in c clusters,
//!
//! ```text
//! D(c, j) = min over i of D(c - 1, i) + error of the values i..j as one cluster
//! ```
//!
//! and the best i does not fall when j grows, so that halving the range of j solves a row in n log n, and both halves can be
//! solved at a time. Every best i is stored where [`STORED`] has room for them. Elsewhere only two rows are held: a row
//! remembers where the lower half of its clusters ended, and both halves are then solved on their own, which at most
//! doubles the work (Hirschberg 1975). For n different values that is O(k n log n) time and at most 64 bytes a value, the
//! stored places apart.
//!
//! Exact means: up to the rounding of 64-bit sums, which start at the median so that outliers do not drown the others.

/// Sums over the different values, from the median outwards: below it they are negative.
struct Sums {
    count: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Sums {
    /// `counts[i]` values are equal to `values[i]`; these ascend.
    fn new(values: &[f64], counts: &[usize]) -> Sums {
        let middle = values.len() / 2;
        let origin = values[middle];
        let build = |term: &dyn Fn(usize) -> f64| {
            let mut sums = vec![0.0; values.len() + 1];
            (middle..values.len()).for_each(|i| sums[i + 1] = sums[i] + term(i));
            (0..middle).rev().for_each(|i| sums[i] = sums[i + 1] - term(i));
            sums
        };
        let count = |i: usize| counts[i] as f64;
        Sums {
            count: build(&count),
            first: build(&|i| count(i) * (values[i] - origin)),
            second: build(&|i| count(i) * (values[i] - origin) * (values[i] - origin)),
        }
    }
    /// Sum of squared distances of the values `i..j` from their mean.
    fn error(&self, i: usize, j: usize) -> f64 {
        let sum = self.first[j] - self.first[i];
        self.second[j] - self.second[i] - sum * sum / (self.count[j] - self.count[i])
    }
    /// The i of `from..end` of which `row[i]` and the error of the values `low + i..j` have the least sum, the first of equal
    /// ones, and that sum.
    fn least(&self, low: usize, row: &[f64], (from, end): (usize, usize), j: usize) -> (usize, f64) {
        // the sums of a block are computed side by side
        const BLOCK: usize = 32;
        let (count_j, first_j, second_j) = (self.count[j], self.first[j], self.second[j]);
        let (mut best, mut error) = (from, f64::INFINITY);
        let mut start = from;
        // most ranges are short
        while start < end.min(from + BLOCK / 2) {
            let (i, sum) = (low + start, first_j - self.first[low + start]);
            let total = row[start] + (second_j - self.second[i] - sum * sum / (count_j - self.count[i]));
            if total < error {
                (best, error) = (start, total);
            }
            start += 1;
        }
        let mut block = [0.0; BLOCK];
        while start < end {
            let size = BLOCK.min(end - start);
            let places = low + start..low + start + size;
            let (count, first, second) = (&self.count[places.clone()], &self.first[places.clone()], &self.second[places]);
            let terms = row[start..start + size].iter().zip(count).zip(first).zip(second);
            for (total, (((before, count), first), second)) in block.iter_mut().zip(terms) {
                let sum = first_j - first;
                *total = before + (second_j - second - sum * sum / (count_j - count));
            }
            let mut lanes = [f64::INFINITY; 4];
            block[size..].fill(f64::INFINITY);
            for four in block.chunks_exact(4) {
                lanes.iter_mut().zip(four).for_each(|(least, total)| *least = if *total < *least { *total } else { *least });
            }
            if lanes.iter().any(|least| *least < error) {
                for (i, total) in block.iter().enumerate() {
                    if *total < error {
                        (best, error) = (start + i, *total);
                    }
                }
            }
            start += size;
        }
        (best, error)
    }
}

/// Most places of the recurrence whose best i is stored: 256 MiB.
const STORED: usize = 1 << 26;
/// Places from which on a second thread is worth its start.
const SPAWN: usize = 1 << 16;

/// Where each of `clusters` clusters ends in ascending, different `values`, of which there are at least as many, fewer than
/// 2^32; `counts[i]` values are equal to `values[i]`.
pub(super) fn ends(values: &[f64], counts: &[usize], clusters: usize) -> Vec<usize> {
    ends_with(values, counts, clusters, STORED)
}

fn ends_with(values: &[f64], counts: &[usize], clusters: usize, stored: usize) -> Vec<usize> {
    let mut ends = Vec::with_capacity(clusters);
    if clusters > 0 {
        split(&Sums::new(values, counts), (0, values.len()), clusters, stored, &mut ends);
        ends.push(values.len());
    }
    ends
}

/// Adds the inner borders of the best `clusters` clusters of the values `low..high`.
fn split(sums: &Sums, (low, high): (usize, usize), clusters: usize, stored: usize, ends: &mut Vec<usize>) {
    if clusters < 2 {
        return;
    }
    let (count, lower) = (high - low, clusters / 2);
    let store = count.saturating_mul(clusters) <= stored;
    let mut row: Vec<f64> = (0..=count).map(|j| if j == 0 { f64::INFINITY } else { sums.error(low, low + j) }).collect();
    let mut next = vec![f64::INFINITY; count + 1];
    let mut best = vec![0u32; count + 1];
    let mut rows: Vec<Vec<u32>> = vec![];
    // where the lower half of the clusters ends
    let mut half: Vec<u32> = if store { vec![] } else { (0..=count as u32).collect() };
    for c in 2..=clusters {
        // at least one value for each cluster, and one place is enough at the end
        let first = if c == clusters { count } else { c };
        let solve = Solve { sums, low, row: &row };
        solve.step(first, &mut next[first..], &mut best[first..], (c - 1, count - 1));
        if store {
            rows.push(best.clone());
        } else if c > lower {
            half = (0..=count).map(|j| if j < first { 0 } else { half[best[j] as usize] }).collect();
        }
        std::mem::swap(&mut row, &mut next);
    }
    drop((row, next, best));
    if store {
        let at = ends.len();
        let mut border = count;
        for best in rows.iter().rev() {
            border = best[border] as usize;
            ends.insert(at, low + border);
        }
        return;
    }
    let border = low + half[count] as usize;
    drop(half);
    split(sums, (low, border), lower, stored, ends);
    ends.push(border);
    split(sums, (border, high), clusters - lower, stored, ends);
}

/// What a row is solved from.
#[derive(Clone, Copy)]
struct Solve<'a> {
    sums: &'a Sums,
    low: usize,
    row: &'a [f64],
}

impl Solve<'_> {
    /// Fills the places of a row from `first` on, whose best i is within `from..=to`.
    fn step(self, first: usize, next: &mut [f64], best: &mut [u32], (from, to): (usize, usize)) {
        let Some(middle) = next.len().checked_sub(1).map(|last| last / 2) else { return };
        let j = first + middle;
        let (found, error) = self.sums.least(self.low, self.row, (from, (to + 1).min(j)), self.low + j);
        let (below, above) = next.split_at_mut(middle);
        let (best_below, best_above) = best.split_at_mut(middle);
        (above[0], best_above[0]) = (error, found as u32);
        let (above, best_above) = (&mut above[1..], &mut best_above[1..]);
        if above.len() < SPAWN {
            self.step(first, below, best_below, (from, found));
            self.step(j + 1, above, best_above, (found, to));
            return;
        }
        std::thread::scope(|scope| {
            scope.spawn(|| self.step(first, below, best_below, (from, found)));
            self.step(j + 1, above, best_above, (found, to));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn spread(values: &[f64], counts: &[usize]) -> f64 {
        let count: usize = counts.iter().sum();
        let mean = values.iter().zip(counts).map(|(v, c)| v * *c as f64).sum::<f64>() / count as f64;
        values.iter().zip(counts).map(|(v, c)| (v - mean).powi(2) * *c as f64).sum()
    }

    fn total(values: &[f64], counts: &[usize], ends: &[usize]) -> f64 {
        let first = [0].into_iter().chain(ends.iter().copied());
        first.zip(ends).map(|(first, end)| spread(&values[first..*end], &counts[first..*end])).sum()
    }

    /// Every way to cut `count` values into `clusters` ranges.
    fn cuts(count: usize, clusters: usize) -> Vec<Vec<usize>> {
        if clusters == 1 {
            return vec![vec![count]];
        }
        let inner = (clusters - 1..count).flat_map(|cut| cuts(cut, clusters - 1));
        inner
            .map(|mut ends| {
                ends.push(count);
                ends
            })
            .collect()
    }

    #[test]
    fn no_way_to_cut_the_values_is_better() {
        for seed in 0..80 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let count = rng.random_range(6..13);
            let mut values: Vec<f64> = (0..count).map(|_| rng.random_range(-1.0f64..1.0).powi(3)).collect();
            if seed % 4 == 0 {
                // an outlier at either end drowns all others in sums that start there
                values[0] = if seed % 8 == 0 { -1e30 } else { 1e30 };
            }
            values.sort_unstable_by(f64::total_cmp);
            let counts: Vec<usize> = (0..count).map(|_| rng.random_range(1..5)).collect();
            for clusters in 1..=5 {
                let found = ends(&values, &counts, clusters);
                // with nothing stored the ways are others, and so may ties be
                let halved = ends_with(&values, &counts, clusters, 0);
                assert!(
                    (total(&values, &counts, &halved) - total(&values, &counts, &found)).abs() <= 1e-12 * total(&values, &counts, &found)
                );
                assert!(found.len() == clusters && found.windows(2).all(|e| e[0] < e[1]) && found[0] > 0, "{found:?}");
                let best = cuts(count, clusters).iter().map(|ends| total(&values, &counts, ends)).fold(f64::INFINITY, f64::min);
                let error = total(&values, &counts, &found);
                assert!(error <= best * (1.0 + 1e-9) + 1e-15, "seed {seed}, {clusters} clusters: {error}, best {best}");
            }
        }
    }

    /// The recurrence as it stands, O(k n^2).
    fn plain(values: &[f64], clusters: usize) -> f64 {
        let mut row: Vec<f64> =
            (0..=values.len()).map(|j| if j == 0 { f64::INFINITY } else { spread(&values[..j], &vec![1; j]) }).collect();
        for _ in 1..clusters {
            let place = |j: usize| (1..j).map(|i| row[i] + spread(&values[i..j], &vec![1; j - i])).fold(f64::INFINITY, f64::min);
            row = (0..=values.len()).map(place).collect();
        }
        row[values.len()]
    }

    #[test]
    fn more_values_than_a_block_are_as_in_the_plain_recurrence() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut values: Vec<f64> = (0..180).map(|_| rng.random_range(-1.0f64..1.0).powi(3)).collect();
        values.sort_unstable_by(f64::total_cmp);
        let counts = vec![1; values.len()];
        for clusters in [2, 3, 7] {
            let expected = plain(&values, clusters);
            for stored in [STORED, 0] {
                let error = total(&values, &counts, &ends_with(&values, &counts, clusters, stored));
                assert!((error - expected).abs() < 1e-9 * expected, "{clusters} clusters: {error}, expected {expected}");
            }
        }
    }

    #[test]
    fn threads_change_nothing() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut values: Vec<f64> = (0..5 * SPAWN).map(|_| rng.random_range(-1.0f64..1.0).powi(3)).collect();
        values.sort_unstable_by(f64::total_cmp);
        let counts = vec![1; values.len()];
        let found = ends(&values, &counts, 3);
        assert_eq!(found, ends_with(&values, &counts, 3, 0));
        // symmetrical about 0 but for the draw
        assert!(((found[0] + found[1]) as f64 / values.len() as f64 - 1.0).abs() < 0.01, "{found:?}");
    }

    #[test]
    fn as_many_clusters_as_values_leave_no_error() {
        assert_eq!(ends(&[-1.0, 0.0, 5.0], &[1, 2, 1], 3), [1, 2, 3]);
        assert_eq!(ends(&[-1.0, 0.0, 5.0], &[1, 2, 1], 2), [2, 3]);
        assert!(ends(&[1.0], &[1], 0).is_empty());
    }
}
