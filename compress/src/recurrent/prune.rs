//! Pruning by magnitude, over a whole matrix or within each PE's part of it (ESE, load-balance-aware pruning).
//!
//! With N PEs, the part of PE k are the rows r with r mod N = k. Balanced pruning keeps the same share of every part,
//! so that parts of equal size keep equally many weights.

use super::check;
use crate::error::Error;
use crate::model::{Matrix, Recurrent, GATES};
use crate::prune::{mask, Grain};
use serde::{Deserialize, Serialize};

/// Which weights of a matrix go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pruning {
    /// Of each PE's part the smallest.
    #[default]
    LoadBalanced,
    /// Of the whole matrix the smallest.
    Magnitude,
}

/// Share of weights to keep of the matrices of an LSTM layer, 0 to 1; `None` keeps them all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LstmDensity {
    /// Of each gate's input matrix.
    pub input: Option<f64>,
    /// Of each gate's hidden matrix.
    pub hidden: Option<f64>,
    pub projection: Option<f64>,
    /// `None`: as the network's other layers.
    pub pruning: Option<Pruning>,
}

/// Share of weights to keep, by layer. Layers beyond the end of a list keep all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Density {
    pub lstm: Vec<LstmDensity>,
    pub layers: Vec<Option<f64>>,
}

impl Density {
    /// The same for every matrix of a network.
    pub fn uniform(network: &Recurrent, density: f64) -> Density {
        let all = Some(density);
        Density {
            lstm: vec![LstmDensity { input: all, hidden: all, projection: all, pruning: None }; network.lstm.len()],
            layers: vec![all; network.layers.len()],
        }
    }
}

/// What a way of pruning leaves of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PruneStats {
    pub nonzeros: usize,
    /// Non-zeros over rows times columns.
    pub density: f64,
    /// Most non-zeros of a PE over their mean; 1 if there are none.
    pub imbalance: f64,
}

/// Both ways of pruning a matrix, side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MatrixPruning {
    pub name: String,
    pub load_balanced: PruneStats,
    pub magnitude: PruneStats,
}

impl PruneStats {
    fn new(matrix: &Matrix, pes: usize) -> PruneStats {
        let mut counts = vec![0usize; pes];
        for row in 0..matrix.rows {
            counts[row % pes] += matrix.row(row).iter().filter(|w| **w != 0.0).count();
        }
        let nonzeros: usize = counts.iter().sum();
        let most = counts.iter().copied().max().unwrap_or(0);
        PruneStats {
            nonzeros,
            density: nonzeros as f64 / matrix.data.len().max(1) as f64,
            imbalance: if nonzeros == 0 { 1.0 } else { most as f64 * pes as f64 / nonzeros as f64 },
        }
    }
}

fn pruned(matrix: &Matrix, how: Pruning, density: Option<f64>, pes: usize) -> Result<Matrix, Error> {
    let mut out = matrix.clone();
    if let Some(density) = density {
        let grain = match how {
            Pruning::Magnitude => Grain::Weight,
            Pruning::LoadBalanced => Grain::Balanced { pes },
        };
        mask(matrix, None, &grain, density)?.apply(&mut out.data);
    }
    Ok(out)
}

/// Prunes every matrix. The reports are in the order: of each LSTM layer the input and the hidden matrix of each gate,
/// then the projection; then the other layers. Errors: a malformed network, densities beyond
/// 0 to 1.
pub fn prune(network: &Recurrent, how: Pruning, density: &Density, pes: usize) -> Result<(Recurrent, Vec<MatrixPruning>), Error> {
    check::network(network)?;
    if !(1..=256).contains(&pes) {
        return Err(Error::Setting { field: "pes", found: pes.to_string(), expected: "1 to 256" });
    }
    let mut out = network.clone();
    let mut reports = vec![];
    let mut one = |layer: &str, name: String, matrix: &mut Matrix, how: Pruning, density: Option<f64>| {
        let wrong = |fault: Error| Error::Layer { layer: layer.into(), fault: fault.to_string() };
        let balanced = pruned(matrix, Pruning::LoadBalanced, density, pes).map_err(wrong)?;
        let magnitude = pruned(matrix, Pruning::Magnitude, density, pes).map_err(wrong)?;
        let (load_balanced, by_magnitude) = (PruneStats::new(&balanced, pes), PruneStats::new(&magnitude, pes));
        reports.push(MatrixPruning { name, load_balanced, magnitude: by_magnitude });
        *matrix = match how {
            Pruning::LoadBalanced => balanced,
            Pruning::Magnitude => magnitude,
        };
        Ok::<(), Error>(())
    };
    for (l, layer) in out.lstm.iter_mut().enumerate() {
        let density = density.lstm.get(l).copied().unwrap_or_default();
        let name = layer.name.clone();
        let how = density.pruning.unwrap_or(how);
        for (g, gate) in GATES.iter().enumerate() {
            one(&name, input_name(&name, *gate), &mut layer.input_weights[g], how, density.input)?;
            one(&name, hidden_name(&name, *gate), &mut layer.hidden_weights[g], how, density.hidden)?;
        }
        if let Some(projection) = &mut layer.projection {
            one(&name, projection_name(&name), projection, how, density.projection)?;
        }
    }
    for (d, layer) in out.layers.iter_mut().enumerate() {
        let name = layer.name.clone();
        one(&name, name.clone(), &mut layer.weights, how, density.layers.get(d).copied().flatten())?;
    }
    Ok((out, reports))
}

pub(super) fn input_name(layer: &str, gate: char) -> String {
    format!("{layer} {gate} x")
}
pub(super) fn hidden_name(layer: &str, gate: char) -> String {
    format!("{layer} {gate} h")
}
pub(super) fn projection_name(layer: &str) -> String {
    format!("{layer} projection")
}
