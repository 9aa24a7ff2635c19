//! One-dimensional k-means by Lloyd's iteration, on sorted values; [`super::optimum`] has the exact one.
//!
//! In one dimension a cluster is a range of the sorted values, so that an iteration is k binary
//! searches for the borders and k means from prefix sums: its cost hardly depends on the number of values.

use super::optimum;
use crate::config::CodebookInit;
use rand_chacha::ChaCha8Rng;

/// Sorted finite values with their prefix sums.
pub struct Sorted {
    values: Vec<f64>,
    /// `sums[i]` is the sum of the first `i` values.
    sums: Vec<f64>,
}

impl Sorted {
    pub fn new(values: impl Iterator<Item = f32>) -> Sorted {
        let mut values: Vec<f64> = values.map(f64::from).collect();
        values.sort_unstable_by(f64::total_cmp);
        let mut sums = Vec::with_capacity(values.len() + 1);
        let mut sum = 0.0;
        sums.push(sum);
        for value in &values {
            sum += value;
            sums.push(sum);
        }
        Sorted { values, sums }
    }

    /// At most `clusters` ascending centroids after at most `iterations`; as many as there are
    /// different values if those are no more, and then exact. The result is a local optimum if the iterations
    /// sufficed, and no iteration increases the sum of squared distances; with [`CodebookInit::Optimal`] it is the global
    /// one, and there are no iterations.
    pub fn centroids(&self, clusters: usize, init: CodebookInit, iterations: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let mut different: Vec<f64> = Vec::with_capacity(clusters + 1);
        for value in &self.values {
            if different.last() != Some(value) {
                different.push(*value);
                if different.len() > clusters {
                    break;
                }
            }
        }
        if different.len() <= clusters {
            return different;
        }
        let mut centroids = self.start(clusters, init, rng);
        // the optimum stays where it is
        let iterations = if init == CodebookInit::Optimal { 0 } else { iterations };
        for _ in 0..iterations {
            let next = self.step(&centroids);
            if next == centroids {
                break;
            }
            centroids = next;
        }
        centroids
    }

    /// The means of the clusters of least error. There are more different values than `clusters`.
    fn optimum(&self, clusters: usize) -> Vec<f64> {
        let (mut different, mut counts): (Vec<f64>, Vec<usize>) = (vec![], vec![]);
        for value in &self.values {
            match counts.last_mut() {
                Some(count) if different.last() == Some(value) => *count += 1,
                _ => {
                    different.push(*value);
                    counts.push(1);
                }
            }
        }
        let ends = optimum::ends(&different, &counts, clusters);
        // summed cluster by cluster, so that an outlier is in no other mean than its own
        let mut first = 0;
        let mean = |end: usize| {
            let terms = different[first..end].iter().zip(&counts[first..end]);
            let (sum, count) = terms.fold((0.0, 0), |(sum, all), (value, count)| (sum + value * *count as f64, all + count));
            let mean = (sum / count as f64).clamp(different[first], different[end - 1]);
            first = end;
            mean
        };
        ends.into_iter().map(mean).collect()
    }

    /// Of the values `first..end`, of which there is at least one.
    fn mean(&self, first: usize, end: usize) -> f64 {
        let mean = (self.sums[end] - self.sums[first]) / (end - first) as f64;
        // rounding must not move a mean out of its cluster, or order would be lost
        mean.clamp(self.values[first], self.values[end - 1])
    }

    /// Deep Compression, section 3.2. There are more values than `clusters`.
    fn start(&self, clusters: usize, init: CodebookInit, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let count = self.values.len();
        let mut centroids: Vec<f64> = match init {
            CodebookInit::Linear => {
                let (low, high) = (self.values[0], self.values[count - 1]);
                let place = |i: usize| if clusters == 1 { 0.5 } else { i as f64 / (clusters - 1) as f64 };
                (0..clusters).map(|i| low + (high - low) * place(i)).collect()
            }
            CodebookInit::Density => (0..clusters).map(|i| self.values[(2 * i + 1) * count / (2 * clusters)]).collect(),
            CodebookInit::Optimal => self.optimum(clusters),
            CodebookInit::Random => rand::seq::index::sample(rng, count, clusters).iter().map(|i| self.values[i]).collect(),
        };
        centroids.sort_unstable_by(f64::total_cmp);
        centroids
    }

    /// Where each cluster ends: cluster `c` is `ends[c - 1]..ends[c]`. A value half-way between two
    /// centroids belongs to the lower.
    fn ends(&self, centroids: &[f64]) -> Vec<usize> {
        let borders = centroids.windows(2).map(|pair| pair[0] + (pair[1] - pair[0]) / 2.0);
        let mut ends: Vec<usize> = borders.map(|border| self.values.partition_point(|v| *v <= border)).collect();
        ends.push(self.values.len());
        ends
    }

    /// One iteration: every centroid to the mean of its cluster, and every one without a cluster to where it helps most: it
    /// shares the cluster whose cut at its mean takes most off the error.
    fn step(&self, centroids: &[f64]) -> Vec<f64> {
        let mut clusters: Vec<(usize, usize)> = Vec::with_capacity(centroids.len());
        let mut first = 0;
        for end in self.ends(centroids) {
            if end > first {
                clusters.push((first, end));
            }
            first = end;
        }
        while clusters.len() < centroids.len() {
            let cuts = clusters.iter().enumerate().filter_map(|(i, range)| self.cut(*range).map(|(at, gain)| (i, at, gain)));
            // of more different values than clusters, two are in one cluster
            let Some((i, at, _)) = cuts.max_by(|a, b| a.2.total_cmp(&b.2)) else { break };
            let end = std::mem::replace(&mut clusters[i].1, at);
            clusters.insert(i + 1, (at, end));
        }
        clusters.into_iter().map(|(first, end)| self.mean(first, end)).collect()
    }

    /// Where the cluster `first..end` falls in two at its mean, and what that takes off the error; none if its values are equal.
    fn cut(&self, (first, end): (usize, usize)) -> Option<(usize, f64)> {
        let values = &self.values[first..end];
        let (low, high) = (*values.first()?, *values.last()?);
        if low == high {
            return None;
        }
        let mean = self.mean(first, end);
        // a mean may be rounded to the highest value
        let border = if mean < high { mean } else { low + (high - low) / 2.0 };
        let at = first + values.partition_point(|v| *v <= border);
        let (below, above) = ((at - first) as f64, (end - at) as f64);
        let apart = self.mean(at, end) - self.mean(first, at);
        Some((at, below * above / (below + above) * apart * apart))
    }

    #[cfg(test)]
    fn error(&self, centroids: &[f64]) -> f64 {
        self.values.iter().map(|v| (v - centroids[nearest(centroids, *v)]).powi(2)).sum()
    }
}

/// The number of the centroid nearest to `value`, the lower of two that are as near.
/// `centroids` ascend and there is at least one.
pub fn nearest(centroids: &[f64], value: f64) -> usize {
    let above = centroids.partition_point(|c| *c < value);
    if above == 0 {
        return 0;
    }
    if above == centroids.len() || value - centroids[above - 1] <= centroids[above] - value {
        return above - 1;
    }
    above
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    const INITS: [CodebookInit; 3] = [CodebookInit::Linear, CodebookInit::Density, CodebookInit::Random];

    fn random_values(rng: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
        // a heavy tail, as trained weights have, and some repeated values
        (0..count).map(|_| (rng.random_range(-1.0f32..1.0).powi(3) * 4096.0).round() / 4096.0).collect()
    }

    #[test]
    fn no_iteration_increases_the_error() {
        for seed in 0..40 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let count = rng.random_range(20..400);
            let sorted = Sorted::new(random_values(&mut rng, count).into_iter());
            for init in INITS {
                let mut centroids = sorted.start(15, init, &mut rng);
                let mut error = sorted.error(&centroids);
                for _ in 0..200 {
                    centroids = sorted.step(&centroids);
                    let next = sorted.error(&centroids);
                    assert!(next <= error * (1.0 + 1e-12) + 1e-15, "seed {seed} {init:?}: {error} to {next}");
                    error = next;
                }
                assert_eq!(centroids.len(), 15);
                assert!(centroids.windows(2).all(|c| c[0] <= c[1]));
            }
        }
    }

    /// The least error over every way to cut the sorted values into `clusters` ranges.
    fn optimum(values: &[f64], clusters: usize) -> f64 {
        let spread = |range: &[f64]| {
            let mean = range.iter().sum::<f64>() / range.len() as f64;
            range.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
        };
        if clusters == 1 || values.len() <= 1 {
            return if values.is_empty() { 0.0 } else { spread(values) };
        }
        (1..=values.len()).map(|cut| spread(&values[..cut]) + optimum(&values[cut..], clusters - 1)).fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn the_best_start_comes_close_to_the_optimum_and_none_below() {
        let mut exact = 0;
        for seed in 0..60 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let sorted = Sorted::new(random_values(&mut rng, 14).into_iter());
            let best = optimum(&sorted.values, 3);
            let errors = INITS.map(|init| sorted.error(&sorted.centroids(3, init, 300, &mut rng)));
            let found = errors.into_iter().fold(f64::INFINITY, f64::min);
            assert!(errors.iter().all(|e| *e >= best - 1e-12), "seed {seed}: {errors:?} below {best}");
            assert!(found <= best * 2.0 + 1e-12, "seed {seed}: {found}, optimum {best}");
            exact += usize::from(found <= best + 1e-12);
        }
        assert!(exact >= 45, "{exact} of 60 exact");
    }

    /// Lloyd's iteration by its definition: every value to the nearest centroid, every centroid to the mean of its values.
    fn lloyd(values: &[f64], mut centroids: Vec<f64>) -> Vec<f64> {
        loop {
            let mut sums = vec![(0.0, 0usize); centroids.len()];
            for value in values {
                let distance = |c: &f64| (value - c).abs();
                let all = 0..centroids.len();
                let nearest = all.min_by(|a, b| distance(&centroids[*a]).total_cmp(&distance(&centroids[*b]))).unwrap();
                sums[nearest].0 += value;
                sums[nearest].1 += 1;
            }
            let next: Vec<f64> = sums.iter().map(|(sum, count)| sum / *count as f64).collect();
            if next.iter().zip(&centroids).all(|(a, b)| (a - b).abs() < 1e-13) {
                return next;
            }
            centroids = next;
        }
    }

    #[test]
    fn iterations_are_those_of_the_definition() {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        for clusters in [2, 7, 15] {
            let values: Vec<f32> = (0..3000).map(|_| rng.random_range(-1.0f32..1.0).powi(3)).collect();
            let sorted = Sorted::new(values.into_iter());
            // with the density start no cluster is ever empty here, which the definition leaves open
            let start = sorted.start(clusters, CodebookInit::Density, &mut rng);
            let expected = lloyd(&sorted.values, start);
            let found = sorted.centroids(clusters, CodebookInit::Density, 10_000, &mut rng);
            assert!(found.iter().zip(&expected).all(|(f, e)| (f - e).abs() < 1e-12), "{found:?}, expected {expected:?}");
        }
    }

    #[test]
    fn the_optimum_is_never_worse_and_no_iteration_improves_it() {
        for seed in 0..30 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let count = rng.random_range(20..600);
            let sorted = Sorted::new(random_values(&mut rng, count).into_iter());
            for clusters in [1, 2, 3, 7, 15] {
                let optimum = sorted.centroids(clusters, CodebookInit::Optimal, 300, &mut rng);
                let error = sorted.error(&optimum);
                for init in INITS {
                    let other = sorted.error(&sorted.centroids(clusters, init, 10_000, &mut rng));
                    assert!(error <= other * (1.0 + 1e-9) + 1e-15, "seed {seed}, {clusters}: {error}, {init:?} {other}");
                }
                let next = sorted.error(&sorted.step(&optimum));
                assert!(next >= error * (1.0 - 1e-9) - 1e-15, "seed {seed}, {clusters}: {error} to {next}");
            }
        }
    }

    #[test]
    fn few_different_values_are_their_own_centroids() {
        let sorted = Sorted::new([2.0, -1.0, 2.0, 0.5, -1.0].into_iter());
        for init in INITS {
            assert_eq!(sorted.centroids(3, init, 10, &mut ChaCha8Rng::seed_from_u64(0)), [-1.0, 0.5, 2.0]);
            assert_eq!(sorted.centroids(15, init, 10, &mut ChaCha8Rng::seed_from_u64(0)), [-1.0, 0.5, 2.0]);
        }
        assert!(Sorted::new(std::iter::empty()).centroids(3, CodebookInit::Linear, 10, &mut ChaCha8Rng::seed_from_u64(0)).is_empty());
    }

    #[test]
    fn the_example_of_deep_compression_comes_out() {
        // Figure 3, where zeros are weights like others
        let figure = [2.09, -0.98, 1.48, 0.09, 0.05, -0.14, -1.08, 2.12, -0.91, 1.92, 0.0, -1.03, 1.87, 0.0, 1.53, 1.49];
        let sorted = Sorted::new(figure.into_iter());
        let centroids = sorted.centroids(4, CodebookInit::Linear, 300, &mut ChaCha8Rng::seed_from_u64(0));
        assert!(centroids.iter().zip([-1.0, 0.0, 1.5, 2.0]).all(|(found, paper)| (found - paper).abs() < 1e-6), "{centroids:?}");
    }

    #[test]
    fn empty_clusters_are_put_to_use() {
        // linear: all but the outer two of the 15 start where no value is
        let values = (0..100).map(|i| if i < 50 { -1.0 - i as f32 * 1e-3 } else { 1.0 + i as f32 * 1e-3 });
        let sorted = Sorted::new(values);
        let centroids = sorted.centroids(15, CodebookInit::Linear, 300, &mut ChaCha8Rng::seed_from_u64(0));
        let ends = sorted.ends(&centroids);
        assert!(ends[0] > 0 && ends.windows(2).all(|e| e[0] < e[1]), "{ends:?}");
    }

    #[test]
    fn a_linear_start_with_a_gap_around_zero_ends_near_the_optimum() {
        // as pruned weights are: nothing near zero, and a few far out, where an idle centroid would be of little use
        let mut ratios = 0.0;
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut weight = || (2.0 - 0.4 * rng.random_range(1e-4f32..1.0).ln()) * if rng.random_bool(0.5) { 1.0 } else { -1.0 };
            let sorted = Sorted::new((0..4000).map(|_| weight()).collect::<Vec<f32>>().into_iter());
            let mut error = |init| sorted.error(&sorted.centroids(15, init, 300, &mut rng));
            ratios += error(CodebookInit::Linear) / error(CodebookInit::Optimal) / 20.0;
        }
        assert!(ratios <= 1.15, "{ratios}");
    }

    #[test]
    fn linear_density_and_random_starts_are_those_of_the_paper() {
        let sorted = Sorted::new([0.0, 1.0, 2.0, 3.0, 4.0, 100.0].into_iter());
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        assert_eq!(sorted.start(3, CodebookInit::Linear, &mut rng), [0.0, 50.0, 100.0]);
        assert_eq!(sorted.start(3, CodebookInit::Density, &mut rng), [1.0, 3.0, 100.0]);
        let drawn = sorted.start(3, CodebookInit::Random, &mut rng);
        assert!(drawn.iter().all(|c| sorted.values.contains(c)) && drawn.windows(2).all(|c| c[0] < c[1]));
        let again = |seed| sorted.start(3, CodebookInit::Random, &mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(again(7), again(7));
        assert!((0..20).any(|seed| again(seed) != again(7)));
    }

    #[test]
    fn nearest_takes_the_lower_of_two() {
        let centroids = [-1.0, 0.0, 2.0];
        let found = [-9.0, -0.5, -0.49, 1.0, 1.01, 9.0].map(|v| nearest(&centroids, v));
        assert_eq!(found, [0, 0, 1, 1, 2, 2]);
    }
}
