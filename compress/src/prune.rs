//! Pruning: weights of a layer become zero, the smallest first (Learning both Weights and Connections, section 3; one shot,
//! without retraining).
//!
//! [`mask`] says which weights stay, for each [`Grain`]; [`Keep`] and [`lamp_densities`] say how many.

mod criteria;
mod grain;
mod index;
mod select;
pub mod sensitivity;

pub use criteria::{lamp_densities, lamp_scores, standard_deviation, Keep};
pub use grain::{mask, mask_by, Grain, Mask};
pub use index::index_bits;

use crate::error::Error;
use crate::model::Dense;

/// How a layer is pruned.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rule {
    /// Without it the layer is left as it is, unless the grain fixes the density.
    pub keep: Option<Keep>,
    pub grain: Grain,
}

/// Single weights, at a density; none leaves the layer as it is.
impl From<Option<f64>> for Rule {
    fn from(density: Option<f64>) -> Rule {
        Rule { keep: density.map(Keep::Density), grain: Grain::Weight }
    }
}

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

/// Prunes every layer by its rule: makes those weights zero that [`mask`] does not keep. Fewer than it keeps are non-zero
/// afterwards only if fewer were before.
///
/// `rules` has one entry per layer; an error if one does not hold (see [`Keep::density`], [`mask_by`]).
pub fn prune(mut dense: Dense, rules: &[Rule]) -> Result<(Dense, Vec<PruneReport>), Error> {
    assert_eq!(rules.len(), dense.layers.len(), "one rule per layer");
    let mut reports = Vec::with_capacity(rules.len());
    for (layer, rule) in dense.layers.iter_mut().zip(rules) {
        let before = layer.weights.nonzeros();
        let wrong = |fault: Error| Error::Layer { layer: layer.name.clone(), fault: fault.to_string() };
        let density = match rule.keep {
            Some(keep) => Some(keep.density(&layer.weights.data).map_err(wrong)?),
            None => rule.grain.density(),
        };
        if let Some(density) = density {
            mask(&layer.weights, layer.conv, &rule.grain, density).map_err(wrong)?.apply(&mut layer.weights.data);
        }
        let data = &layer.weights.data;
        let nonzeros = data.iter().filter(|w| **w != 0.0).map(|w| w.abs());
        let (kept, threshold) = nonzeros.fold((0, f32::INFINITY), |(count, least), w| (count + 1, least.min(w)));
        let threshold = if kept == 0 { 0.0 } else { threshold };
        reports.push(PruneReport { name: layer.name.clone(), total: data.len(), before, kept, threshold });
    }
    Ok((dense, reports))
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
        let (dense, mut reports) = prune(network(data.to_vec()), &[Some(density).into()]).unwrap();
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
        assert_eq!(prune(dense.clone(), &[None.into()]).unwrap().0, dense);
        for density in [-0.1, 1.1, f64::NAN] {
            let error = prune(dense.clone(), &[Some(density).into()]).unwrap_err().to_string();
            assert_eq!(error, format!("layer a: density is {density}, expected 0 to 1"));
        }
        let error = prune(dense, &[Rule { keep: Some(Keep::Density(0.5)), grain: Grain::Kernel }]).unwrap_err().to_string();
        assert_eq!(error, "layer a: grain is a kernel, expected another: the layer is fully connected");
    }

    #[test]
    fn rules_take_a_quality_or_the_density_of_n_of_m() {
        let data = [4.0, -1.0, 0.5, 2.0, -3.0, 0.1, 0.2, 0.3];
        let one = |rule: Rule| prune(network(data.to_vec()), &[rule]).unwrap().0.layers[0].weights.data.clone();
        // the standard deviation is 1.92
        assert_eq!(one(Rule { keep: Some(Keep::Quality(1.0)), grain: Grain::Weight }), [4.0, 0.0, 0.0, 2.0, -3.0, 0.0, 0.0, 0.0]);
        let coarse = one(Rule { keep: Some(Keep::Quality(1.0)), grain: Grain::Vector { length: 4 } });
        assert_eq!(coarse, [4.0, -1.0, 0.5, 2.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(one(Rule { keep: None, grain: Grain::NofM { n: 1, m: 4 } }), [4.0, 0.0, 0.0, 0.0, -3.0, 0.0, 0.0, 0.0]);
    }
}
