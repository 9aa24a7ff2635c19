//! Which weights go: the criteria of `[prune]` over a whole network.

use super::units::remove_dead;
use crate::config::{Config, Criterion, LayerConfig};
use crate::error::Error;
use crate::model::{Dense, DenseLayer};
use crate::prune::{lamp_densities, mask, Keep};
use candle_core::{Device, Tensor};

/// What each layer keeps when the network is to be pruned to `share` of its weights; with [`Criterion::Layer`], to `scale` times
/// what the layers say.
pub struct Target<'a> {
    pub share: f64,
    pub scale: f64,
    /// What the layers say ([`said`]).
    pub said: &'a [f64],
}

/// The density of each layer by its own `density` or `quality`, the latter of its weights in `dense`; 1 without either, and with
/// another criterion than [`Criterion::Layer`].
pub fn said(dense: &Dense, config: &Config) -> Result<Vec<f64>, Error> {
    let keep = |layer: &LayerConfig| layer.density.map(Keep::Density).or(layer.quality.map(Keep::Quality));
    let of_layer = |(named, layer): (&LayerConfig, &DenseLayer)| match keep(named) {
        Some(keep) if config.prune.criterion == Criterion::Layer => keep.density(&layer.weights.data),
        _ => Ok(1.0),
    };
    config.model.layer.iter().zip(&dense.layers).map(of_layer).collect()
}

/// Makes the weights zero that go. Zeros stay, as the smallest of all.
pub fn prune(dense: &mut Dense, config: &Config, target: &Target) -> Result<(), Error> {
    let slices: Vec<&[f32]> = dense.layers.iter().map(|l| l.weights.data.as_slice()).collect();
    let densities = match config.prune.criterion {
        Criterion::Lamp => lamp_densities(&slices, target.share)?,
        Criterion::Magnitude => magnitude_densities(&slices, target.share),
        Criterion::Layer => target.said.iter().map(|density| (density * target.scale).min(1.0)).collect(),
    };
    for ((layer, named), density) in dense.layers.iter_mut().zip(&config.model.layer).zip(densities) {
        mask(&layer.weights, layer.conv, &named.grain, density)?.apply(&mut layer.weights.data);
    }
    Ok(())
}

/// The density of each layer at which the largest `share` of all weights stay.
fn magnitude_densities(layers: &[&[f32]], share: f64) -> Vec<f64> {
    let mut all: Vec<f32> = layers.iter().flat_map(|l| l.iter().map(|w| w.abs())).collect();
    let keep = (share.clamp(0.0, 1.0) * all.len() as f64).round() as usize;
    if keep == 0 || all.is_empty() {
        return vec![0.0; layers.len()];
    }
    let least = *all.select_nth_unstable_by(keep - 1, |a, b| b.total_cmp(a)).1;
    layers.iter().map(|l| l.iter().filter(|w| w.abs() >= least).count() as f64 / l.len().max(1) as f64).collect()
}

/// Removes dead units; returns the masks of the variables (weights, bias, ...) that keep the zeros. The bias of a unit
/// without weights and readers stays zero too.
pub fn settle(dense: &mut Dense) -> Result<Vec<Option<Tensor>>, Error> {
    remove_dead(dense)?;
    masks(dense)
}

/// The masks of the variables that keep the zero weights zero, and the biases of dead units.
pub fn masks(dense: &Dense) -> Result<Vec<Option<Tensor>>, Error> {
    let mut masks = Vec::new();
    let one = |keep: bool| if keep { 1f32 } else { 0.0 };
    for layer in &dense.layers {
        let weights: Vec<f32> = layer.weights.data.iter().map(|w| one(*w != 0.0)).collect();
        let dead = |row: usize| layer.bias[row] == 0.0 && layer.weights.row(row).iter().all(|w| *w == 0.0);
        let bias: Vec<f32> = (0..layer.weights.rows).map(|row| one(!dead(row))).collect();
        masks.push(Some(Tensor::from_vec(weights, (layer.weights.rows, layer.weights.columns), &Device::Cpu)?));
        masks.push(Some(Tensor::from_vec(bias, layer.weights.rows, &Device::Cpu)?));
    }
    Ok(masks)
}
