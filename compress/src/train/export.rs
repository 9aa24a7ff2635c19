//! A trained network as a model file: the tensors that the configuration names, in the shapes that it says.

use super::share::Shared;
use crate::config::Config;
use crate::entropy::order_units;
use crate::error::Error;
use crate::model::Dense;
use crate::storage::{in_file, save_tensors, StoredTensor, Values};
use std::path::Path;

/// Writes `dense` as safetensors that [`load_model`](crate::import::load_model) reads with the same configuration. A layer without
/// the name of a bias must have one of zeros.
pub fn save_model(path: &Path, config: &Config, dense: &Dense) -> Result<(), Error> {
    let mut tensors = Vec::new();
    for (named, layer) in config.model.layer.iter().zip(&dense.layers) {
        let fault = |fault: &str| Error::Layer { layer: layer.name.clone(), fault: fault.to_string() };
        if named.weights.is_empty() {
            return Err(fault("found node, expected weights, the name of a tensor to write"));
        }
        let (shape, weights) = in_file(layer, named.output_axis, &layer.weights.data);
        tensors.push((named.weights.clone(), shape, weights));
        match &named.bias {
            Some(name) => tensors.push((name.clone(), vec![layer.bias.len()], layer.bias.clone())),
            None if layer.bias.iter().any(|b| *b != 0.0) => return Err(fault("found no name of a bias, which training needs")),
            None => {}
        }
    }
    save_tensors(path, &tensors)
}

/// The tensors of a network with shared weights as a storage file (`.lcs`) has them: codebooks and codes, and biases as numbers
/// of `bias_bits` bits, or as they are if that is 0. Hidden units are in an order that codes well.
pub fn stored(config: &Config, shared: &Shared) -> Result<Vec<StoredTensor>, Error> {
    let mut dense = shared.dense.clone();
    order_units(&mut dense);
    let mut tensors = Vec::new();
    for ((named, layer), of_layer) in config.model.layer.iter().zip(&dense.layers).zip(&shared.layers) {
        let (shape, weights) = in_file(layer, named.output_axis, &layer.weights.data);
        let few = || Error::Layer { layer: layer.name.clone(), fault: "found more different weights than a codebook holds".into() };
        tensors.push(StoredTensor { name: named.weights.clone(), shape, values: Values::share(&weights).ok_or_else(few)? });
        if let Some(name) = &named.bias {
            let step = of_layer.bias_step;
            let values = if step > 0.0 {
                // the numbers have at most 16 bits
                let numbers = layer.bias.iter().map(|b| (b / step).round() as i32).collect();
                Values::Uniform { bits: config.share.bias_bits as u32, step, values: numbers }
            } else {
                Values::Raw(layer.bias.clone())
            };
            tensors.push(StoredTensor { name: name.clone(), shape: vec![layer.bias.len()], values });
        }
    }
    Ok(tensors)
}
