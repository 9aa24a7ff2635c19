//! How much each layer of a network suffers when it alone is pruned (Learning both Weights and Connections, figure 6).

use super::{prune, Grain, Keep, Rule};
use crate::error::Error;
use crate::model::Dense;
use serde::Serialize;

/// A layer pruned alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sensitivity {
    pub layer: String,
    /// Wanted, and reached: the share of weights that are not zero.
    pub density: f64,
    pub reached: f64,
    /// As the evaluator found it, in its own unit.
    pub error: f64,
}

/// Prunes every layer on its own to every density in turn, all others as they are, and evaluates the network: layer by layer, in
/// the order of `densities`. An error as [`prune`] reports it, or `evaluate`.
pub fn scan(
    dense: &Dense,
    grain: Grain,
    densities: &[f64],
    mut evaluate: impl FnMut(&Dense) -> Result<f64, Error>,
) -> Result<Vec<Sensitivity>, Error> {
    let mut table = Vec::with_capacity(dense.layers.len() * densities.len());
    for (number, layer) in dense.layers.iter().enumerate() {
        for density in densities {
            let mut rules = vec![Rule::default(); dense.layers.len()];
            rules[number] = Rule { keep: Some(Keep::Density(*density)), grain };
            let (pruned, reports) = prune(dense.clone(), &rules)?;
            let reached = reports[number].kept as f64 / reports[number].total.max(1) as f64;
            table.push(Sensitivity { layer: layer.name.clone(), density: *density, reached, error: evaluate(&pruned)? });
        }
    }
    Ok(table)
}

/// The least density of each layer at which its error is at most `limit`; 1 if there is none. The table is that of [`scan`].
pub fn least_densities(table: &[Sensitivity], limit: f64) -> Vec<(String, f64)> {
    let mut least: Vec<(String, f64)> = vec![];
    for row in table {
        if least.last().is_none_or(|(name, _)| *name != row.layer) {
            least.push((row.layer.clone(), 1.0));
        }
        if let Some((_, density)) = least.last_mut().filter(|_| row.error <= limit) {
            *density = density.min(row.density);
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Activation, DenseLayer, Matrix};

    fn network() -> Dense {
        let layer = |name: &str, scale: f32| DenseLayer {
            name: name.into(),
            weights: Matrix { rows: 2, columns: 5, data: (1..=10).map(|i| i as f32 * scale).collect() },
            bias: vec![0.0; 2],
            activation: Activation::None,
            conv: None,
        };
        Dense { layers: vec![layer("a", 1.0), layer("b", -10.0)] }
    }

    /// The magnitude that is gone.
    fn lost(dense: &Dense) -> f64 {
        605.0 - dense.layers.iter().flat_map(|l| &l.weights.data).map(|w| f64::from(w.abs())).sum::<f64>()
    }

    #[test]
    fn each_layer_is_pruned_alone() {
        let table = scan(&network(), Grain::Weight, &[1.0, 0.5, 0.2, 0.0], |d| Ok(lost(d))).unwrap();
        let row = |layer: &str, density: f64, error: f64| Sensitivity { layer: layer.into(), density, reached: density, error };
        let expected = [(1.0, 0.0), (0.5, 15.0), (0.2, 36.0), (0.0, 55.0)];
        let of = |layer: &'static str, scale: f64| expected.map(|(density, error)| row(layer, density, error * scale));
        assert_eq!(table, [of("a", 1.0), of("b", 10.0)].concat());
        assert_eq!(least_densities(&table, 36.0), [("a".to_string(), 0.2), ("b".to_string(), 1.0)]);
        assert_eq!(least_densities(&table, -1.0), [("a".to_string(), 1.0), ("b".to_string(), 1.0)]);
    }

    #[test]
    fn grains_and_failures_go_through() {
        let table = scan(&network(), Grain::Filter, &[0.5], |d| Ok(lost(d))).unwrap();
        assert_eq!(table.iter().map(|r| r.error).collect::<Vec<_>>(), [15.0, 150.0]);
        assert!(scan(&network(), Grain::Weight, &[2.0], |_| Ok(0.0)).is_err());
        assert!(scan(&network(), Grain::Weight, &[0.5], |_| Err(Error::Network("no".into()))).is_err());
    }
}
