//! One-dimensional k-means exactly: the clusters of least sum of squared distances (as `Ckmeans.1d.dp`, Wang and Song 2011).
//!
//! Clusters are ranges of the sorted values, and equal values share one. With D(c, j) the least error of the first j different
//! values in c clusters,
//!
//! ```text
//! D(c, j) = min over i of D(c - 1, i) + error of the values i..j as one cluster
//! ```
//!
//! and the best i does not fall when j grows, so that halving the range of j solves a row in n log n. Only two rows are
//! held: a row remembers where the lower half of its clusters ended, and both halves are then solved on their own, which
//! at most doubles the work (Hirschberg 1975). For n different values that is O(k n log n) time and 64 bytes a value.
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
    #[inline]
    fn error(&self, i: usize, j: usize) -> f64 {
        let sum = self.first[j] - self.first[i];
        self.second[j] - self.second[i] - sum * sum / (self.count[j] - self.count[i])
    }
}

/// A row of the recurrence: places j count from `low`.
struct Row {
    error: Vec<f64>,
    /// Where the lower half of the clusters ends.
    half: Vec<u32>,
}

/// Where each of `clusters` clusters ends in ascending, different `values`, of which there are at least as many, fewer than
/// 2^32; `counts[i]` values are equal to `values[i]`.
pub(super) fn ends(values: &[f64], counts: &[usize], clusters: usize) -> Vec<usize> {
    let mut ends = Vec::with_capacity(clusters);
    if clusters > 0 {
        split(&Sums::new(values, counts), 0, values.len(), clusters, &mut ends);
        ends.push(values.len());
    }
    ends
}

/// Adds the inner borders of the best `clusters` clusters of the values `low..high`.
fn split(sums: &Sums, low: usize, high: usize, clusters: usize, ends: &mut Vec<usize>) {
    if clusters < 2 {
        return;
    }
    let (count, lower) = (high - low, clusters / 2);
    let blank = || Row { error: vec![f64::INFINITY; count + 1], half: vec![0; count + 1] };
    let (mut row, mut next) = (blank(), blank());
    for j in 1..=count {
        row.error[j] = sums.error(low, low + j);
        row.half[j] = j as u32;
    }
    for c in 2..=clusters {
        // at least one value for each cluster, and one place is enough at the end
        let first = if c == clusters { count } else { c };
        step(sums, low, &row, &mut next, (first, count), (c - 1, count - 1));
        if c <= lower {
            (0..=count).for_each(|j| next.half[j] = j as u32);
        }
        std::mem::swap(&mut row, &mut next);
    }
    let border = low + row.half[count] as usize;
    drop((row, next));
    split(sums, low, border, lower, ends);
    ends.push(border);
    split(sums, border, high, clusters - lower, ends);
}

/// Fills the places `first..=last` of a row, whose best i is within `from..=to`.
fn step(sums: &Sums, low: usize, row: &Row, next: &mut Row, (first, last): (usize, usize), (from, to): (usize, usize)) {
    let j = first + (last - first) / 2;
    let (mut best, mut error) = (from, f64::INFINITY);
    for i in from..=to.min(j - 1) {
        let sum = row.error[i] + sums.error(low + i, low + j);
        if sum < error {
            (best, error) = (i, sum);
        }
    }
    next.error[j] = error;
    next.half[j] = row.half[best];
    if first < j {
        step(sums, low, row, next, (first, j - 1), (from, best));
    }
    if j < last {
        step(sums, low, row, next, (j + 1, last), (best, to));
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
                assert!(found.len() == clusters && found.windows(2).all(|e| e[0] < e[1]) && found[0] > 0, "{found:?}");
                let best = cuts(count, clusters).iter().map(|ends| total(&values, &counts, ends)).fold(f64::INFINITY, f64::min);
                let error = total(&values, &counts, &found);
                assert!(error <= best * (1.0 + 1e-9) + 1e-15, "seed {seed}, {clusters} clusters: {error}, best {best}");
            }
        }
    }

    #[test]
    fn as_many_clusters_as_values_leave_no_error() {
        assert_eq!(ends(&[-1.0, 0.0, 5.0], &[1, 2, 1], 3), [1, 2, 3]);
        assert_eq!(ends(&[-1.0, 0.0, 5.0], &[1, 2, 1], 2), [2, 3]);
        assert!(ends(&[1.0], &[1], 0).is_empty());
    }
}
