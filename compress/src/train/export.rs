//! A trained network as a model file: the tensors that the configuration names, in the shapes that it says.

use super::checkpoint::write_tensors;
use crate::config::Config;
use crate::error::Error;
use crate::model::{Dense, Matrix};
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// Writes `dense` as safetensors that [`load_model`](crate::import::load_model) reads with the same configuration. A layer without
/// the name of a bias must have one of zeros.
pub fn save_model(path: &Path, config: &Config, dense: &Dense) -> Result<(), Error> {
    let mut tensors = BTreeMap::new();
    for (named, layer) in config.model.layer.iter().zip(&dense.layers) {
        let fault = |fault: &str| Error::Layer { layer: layer.name.clone(), fault: fault.to_string() };
        if named.weights.is_empty() {
            return Err(fault("found node, expected weights, the name of a tensor to write"));
        }
        let Matrix { rows, columns, data } = &layer.weights;
        let weights = Tensor::from_slice(data, (*rows, *columns), &Device::Cpu)?;
        let weights = match &layer.conv {
            Some(conv) => weights.reshape((*rows, conv.channels, conv.kernel[0], conv.kernel[1]))?,
            None if named.output_axis == 1 => weights.t()?.contiguous()?,
            None => weights,
        };
        tensors.insert(named.weights.clone(), weights);
        match &named.bias {
            Some(name) => {
                tensors.insert(name.clone(), Tensor::from_slice(&layer.bias, *rows, &Device::Cpu)?);
            }
            None if layer.bias.iter().any(|b| *b != 0.0) => return Err(fault("found no name of a bias, which training needs")),
            None => {}
        }
    }
    write_tensors(path, &tensors, None)
}
