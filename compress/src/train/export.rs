//! A trained network as a model file: the tensors that the configuration names, in the shapes that it says.

use super::checkpoint::write_tensors;
use super::share::Shared;
use crate::config::Config;
use crate::error::Error;
use crate::model::{Dense, Matrix};
use crate::storage::{StoredTensor, Values};
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

/// The tensors of a network with shared weights as a storage file (`.lcs`) has them: codebooks and codes, and biases as numbers
/// of `bias_bits` bits, or as they are if that is 0.
pub fn stored(config: &Config, shared: &Shared) -> Vec<StoredTensor> {
    let mut tensors = Vec::new();
    for ((named, layer), codes) in config.model.layer.iter().zip(&shared.dense.layers).zip(&shared.layers) {
        let (rows, columns) = (layer.weights.rows, layer.weights.columns);
        let code = |i: usize| u16::from(codes.codes[i]);
        let (shape, in_order): (Vec<usize>, Vec<u16>) = match &layer.conv {
            Some(conv) => (vec![rows, conv.channels, conv.kernel[0], conv.kernel[1]], (0..rows * columns).map(code).collect()),
            None if named.output_axis == 1 => {
                (vec![columns, rows], (0..rows * columns).map(|i| code(i % rows * columns + i / rows)).collect())
            }
            None => (vec![rows, columns], (0..rows * columns).map(code).collect()),
        };
        let values = Values::Shared { codebook: codes.codebook.clone(), codes: in_order };
        tensors.push(StoredTensor { name: named.weights.clone(), shape, values });
        if let Some(name) = &named.bias {
            let values = if codes.bias_numbers.is_empty() {
                Values::Raw(layer.bias.clone())
            } else {
                let bits = config.share.bias_bits as u32; // at most 16
                Values::Uniform { bits, step: codes.bias_step, values: codes.bias_numbers.iter().map(|n| i32::from(*n)).collect() }
            };
            tensors.push(StoredTensor { name: name.clone(), shape: vec![rows], values });
        }
    }
    tensors
}
