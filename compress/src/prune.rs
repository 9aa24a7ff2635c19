//! Pruning by magnitude: the smallest weights of a layer become zero (Learning both Weights and
//! Connections, section 3; one shot, without retraining).

use crate::error::Error;
use crate::model::Dense;

/// What pruning did to one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct PruneReport {
    pub name: String,
    /// Weights of the layer, zeros included.
    pub total: usize,
    /// Non-zero weights before and after.
    pub before: usize,
    pub kept: usize,
    /// The smallest |w| that was kept; 0 when nothing is.
    pub threshold: f32,
}

/// Keeps the `round(density * n)` weights of largest magnitude of every layer of `n` weights and makes
/// the others zero; of equal magnitudes the earlier in row-major order stays. Fewer are non-zero
/// afterwards only if fewer were before. A layer whose density is `None` is left as it is.
///
/// `densities` has one entry per layer; an error unless each is 0 to 1.
pub fn prune(dense: &Dense, densities: &[Option<f64>]) -> Result<(Dense, Vec<PruneReport>), Error> {
    assert_eq!(densities.len(), dense.layers.len(), "one density per layer");
    let mut pruned = dense.clone();
    let mut reports = Vec::with_capacity(densities.len());
    for (layer, density) in pruned.layers.iter_mut().zip(densities) {
        let before = layer.weights.nonzeros();
        if let Some(density) = density {
            if !(0.0..=1.0).contains(density) {
                return Err(Error::Layer { layer: layer.name.clone(), fault: format!("density is {density}, expected 0 to 1") });
            }
            // at most n, as density is at most 1
            let keep = (density * layer.weights.data.len() as f64).round() as usize;
            let all = (0..layer.weights.data.len()).collect();
            keep_largest(&mut layer.weights.data, all, keep);
        }
        let data = &layer.weights.data;
        let kept = layer.weights.nonzeros();
        let threshold = data.iter().filter(|w| **w != 0.0).map(|w| w.abs()).reduce(f32::min).unwrap_or(0.0);
        reports.push(PruneReport { name: layer.name.clone(), total: data.len(), before, kept, threshold });
    }
    Ok((pruned, reports))
}

/// Of the weights at `order`, keeps the `keep` of largest magnitude, of equal ones those at the smaller index, and
/// makes the others zero.
pub(crate) fn keep_largest(weights: &mut [f32], mut order: Vec<usize>, keep: usize) {
    if keep >= order.len() {
        return;
    }
    order.select_nth_unstable_by(keep, |a, b| weights[*b].abs().total_cmp(&weights[*a].abs()).then(a.cmp(b)));
    for index in &order[keep..] {
        weights[*index] = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Activation, DenseLayer, Matrix};
    use rand::{RngExt, SeedableRng};

    fn network(data: Vec<f32>) -> Dense {
        let weights = Matrix { rows: 1, columns: data.len(), data };
        Dense { layers: vec![DenseLayer { name: "a".into(), weights, bias: vec![0.0], activation: Activation::None, conv: None }] }
    }

    fn pruned(data: &[f32], density: f64) -> (Vec<f32>, PruneReport) {
        let (dense, mut reports) = prune(&network(data.to_vec()), &[Some(density)]).unwrap();
        (dense.layers[0].weights.data.clone(), reports.remove(0))
    }

    #[test]
    fn the_largest_magnitudes_stay() {
        let (data, report) = pruned(&[0.1, -0.9, 0.5, -0.2], 0.5);
        assert_eq!(data, [0.0, -0.9, 0.5, 0.0]);
        assert_eq!(report, PruneReport { name: "a".into(), total: 4, before: 4, kept: 2, threshold: 0.5 });
    }

    #[test]
    fn of_equal_magnitudes_the_earlier_stays() {
        assert_eq!(pruned(&[0.5, -0.5, 0.5, -0.5, 0.7], 0.6).0, [0.5, -0.5, 0.0, 0.0, 0.7]);
    }

    #[test]
    fn density_zero_and_one_are_nothing_and_everything() {
        let (data, report) = pruned(&[0.5, -0.5], 0.0);
        assert_eq!((data, report.kept, report.threshold), (vec![0.0, 0.0], 0, 0.0));
        assert_eq!(pruned(&[0.5, -0.5], 1.0).0, [0.5, -0.5]);
    }

    #[test]
    fn zeros_do_not_come_back() {
        let (data, report) = pruned(&[0.0, 0.5, 0.0, 0.0], 0.75);
        assert_eq!((data, report.before, report.kept), (vec![0.0, 0.5, 0.0, 0.0], 1, 1));
    }

    #[test]
    fn exactly_the_rounded_share_stays() {
        for seed in 0..50 {
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let n = rng.random_range(1..2000);
            let data: Vec<f32> = (0..n).map(|_| rng.random_range(0.01f32..1.0) * if rng.random() { 1.0 } else { -1.0 }).collect();
            let density = rng.random_range(0.0..=1.0);
            let (after, report) = pruned(&data, density);
            assert_eq!(report.kept, (density * n as f64).round() as usize, "seed {seed}");
            let dropped = data.iter().zip(&after).filter(|(_, a)| **a == 0.0).map(|(d, _)| d.abs()).fold(0.0, f32::max);
            assert!(report.kept == 0 || dropped <= report.threshold, "seed {seed}");
            assert!(data.iter().zip(&after).all(|(d, a)| a == d || *a == 0.0), "seed {seed}");
        }
    }

    #[test]
    fn a_layer_without_density_is_left_alone_and_a_wrong_one_refused() {
        let dense = network(vec![0.1, 0.2]);
        assert_eq!(prune(&dense, &[None]).unwrap().0, dense);
        for density in [-0.1, 1.1, f64::NAN] {
            let error = prune(&dense, &[Some(density)]).unwrap_err().to_string();
            assert_eq!(error, format!("layer a: density is {density}, expected 0 to 1"));
        }
    }
}
