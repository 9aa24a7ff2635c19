//! How many weights of each layer stay.

use super::select::{key64, Cut};
use crate::error::Error;
use serde::Serialize;

/// What decides how many weights of a layer stay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Keep {
    /// The share of weights.
    Density(f64),
    /// Those whose magnitude is at least this many standard deviations of the layer's weights, zeros included (Learning both
    /// Weights and Connections, section 3.1).
    Quality(f64),
}

impl Keep {
    /// The share of weights to keep. An error for a density beyond 0 to 1, for a quality that is negative or not finite.
    pub fn density(self, weights: &[f32]) -> Result<f64, Error> {
        match self {
            Keep::Density(density) if (0.0..=1.0).contains(&density) => Ok(density),
            Keep::Density(density) => Err(Error::Grain(format!("density is {density}, expected 0 to 1"))),
            Keep::Quality(quality) if quality >= 0.0 && quality.is_finite() => {
                let threshold = quality * standard_deviation(weights);
                let kept = weights.iter().filter(|w| f64::from(w.abs()) >= threshold).count();
                Ok(kept as f64 / weights.len().max(1) as f64)
            }
            Keep::Quality(quality) => Err(Error::Grain(format!("quality is {quality}, expected a finite number from 0"))),
        }
    }
}

/// Of all values, about their mean.
pub fn standard_deviation(values: &[f32]) -> f64 {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    (values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / count).sqrt()
}

/// Scores that compare over layers (Lee et al. 2021, "Layer-adaptive sparsity for the magnitude-based pruning", equation 1): the
/// square of a weight over the sum of the squares of all weights of its layer that are not smaller. The largest weight of
/// a layer has score 1; zeros have 0. Of equal weights the earlier counts as the larger.
pub fn lamp_scores(weights: &[f32]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_unstable_by(|a, b| weights[*b].abs().total_cmp(&weights[*a].abs()).then(a.cmp(b)));
    let mut scores = vec![0.0; weights.len()];
    let mut sum = 0.0;
    for i in order {
        let square = f64::from(weights[i]) * f64::from(weights[i]);
        sum += square;
        scores[i] = if square == 0.0 { 0.0 } else { square / sum };
    }
    scores
}

/// The density of each layer at which `round(density x all weights)` of the whole network stay, those of the highest
/// [`lamp_scores`]; of equal ones those of the earlier layer. Within a layer the scores are in the order of the
/// magnitudes, so that a mask of this density keeps just these. An error for a density beyond 0 to 1.
pub fn lamp_densities(layers: &[&[f32]], density: f64) -> Result<Vec<f64>, Error> {
    Keep::Density(density).density(&[])?;
    let keys: Vec<Vec<u64>> = layers.iter().map(|weights| lamp_scores(weights).into_iter().map(key64).collect()).collect();
    let count: usize = layers.iter().map(|l| l.len()).sum();
    let keep = (density * count as f64).round() as usize;
    let mut cut = Cut::new(|| keys.iter().flatten().copied(), 64, keep);
    let share = |keys: &Vec<u64>| keys.iter().filter(|key| cut.keeps(**key)).count() as f64 / keys.len().max(1) as f64;
    Ok(keys.iter().map(share).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Matrix;
    use crate::prune::grain::{mask, Grain};
    use rand::{RngExt, SeedableRng};

    fn weights(seed: u64, count: usize, scale: f32) -> Vec<f32> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        // some zeros and repeated magnitudes
        (0..count).map(|_| (rng.random_range(-1.0f32..1.0).powi(3) * 64.0).round() / 64.0 * scale).collect()
    }

    #[test]
    fn quality_keeps_what_reaches_the_threshold() {
        // mean 0, standard deviation 2
        let data = [3.0, -3.0, 1.0, -1.0, 2.0, -2.0, 0.0, 0.0f32];
        let deviation = (28.0f64 / 8.0).sqrt();
        assert!((standard_deviation(&data) - deviation).abs() < 1e-12);
        let kept = |quality: f64| Keep::Quality(quality).density(&data).unwrap() * 8.0;
        assert_eq!([kept(0.0), kept(0.5), kept(1.0), kept(1.2), kept(2.0)], [8.0, 6.0, 4.0, 2.0, 0.0]);
        assert_eq!([kept(1.0 / deviation), kept(1.0000001 / deviation)], [6.0, 4.0]);
        assert!((standard_deviation(&[5.0, 5.0]), standard_deviation(&[])) == (0.0, 0.0));
    }

    #[test]
    fn wrong_criteria_are_refused() {
        for keep in [Keep::Density(-0.1), Keep::Density(1.5), Keep::Density(f64::NAN), Keep::Quality(-1.0), Keep::Quality(f64::INFINITY)] {
            let error = keep.density(&[1.0]).unwrap_err().to_string();
            assert!(error.contains("expected"), "{error}");
        }
        assert!(lamp_densities(&[&[1.0]], 2.0).is_err());
    }

    #[test]
    fn lamp_scores_are_those_of_the_definition() {
        let data = weights(3, 200, 1.0);
        let scores = lamp_scores(&data);
        for (i, w) in data.iter().enumerate() {
            let larger = |j: usize, v: f32| v.abs() > w.abs() || (v.abs() == w.abs() && j <= i);
            let sum: f64 = data.iter().enumerate().filter(|(j, v)| larger(*j, **v)).map(|(_, v)| f64::from(v * v)).sum();
            let expected = if *w == 0.0 { 0.0 } else { f64::from(w * w) / sum };
            assert!((scores[i] - expected).abs() < 1e-12, "{i}: {} {expected}", scores[i]);
        }
        assert_eq!(scores.iter().copied().fold(0.0, f64::max), 1.0);
    }

    #[test]
    fn lamp_keeps_the_highest_scores_of_all_layers() {
        let layers = [weights(1, 300, 1.0), weights(2, 100, 20.0), weights(3, 10, 0.01)];
        let slices: Vec<&[f32]> = layers.iter().map(Vec::as_slice).collect();
        for density in [0.0, 0.02, 0.1, 0.5, 1.0] {
            let densities = lamp_densities(&slices, density).unwrap();
            let mut kept = vec![];
            for (data, density) in layers.iter().zip(&densities) {
                let matrix = Matrix { rows: 1, columns: data.len(), data: data.clone() };
                kept.push(mask(&matrix, None, &Grain::Weight, *density).unwrap().keep);
            }
            let total: usize = kept.iter().flatten().filter(|k| **k).count();
            assert_eq!(total, (density * 410.0).round() as usize);
            let scores: Vec<f64> = layers.iter().flat_map(|l| lamp_scores(l)).collect();
            let stay = |kept_: bool| kept.iter().flatten().zip(&scores).filter(move |(k, _)| **k == kept_).map(|(_, s)| *s);
            assert!(stay(true).fold(f64::INFINITY, f64::min) >= stay(false).fold(0.0, f64::max), "{density}");
        }
        // scaling a layer changes nothing, and no layer dies while there is one weight for each
        let other: Vec<f32> = layers[1].iter().map(|w| w / 1024.0).collect();
        assert_eq!(lamp_densities(&[slices[0], &other, slices[2]], 0.1).unwrap(), lamp_densities(&slices, 0.1).unwrap());
        assert!(lamp_densities(&slices, 3.0 / 410.0).unwrap().iter().all(|d| *d > 0.0));
    }
}
