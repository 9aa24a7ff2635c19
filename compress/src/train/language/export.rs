//! A trained network as a safetensors file, and the configuration that reads it back.

use crate::config::{Config, LayerConfig, LstmConfig, LstmFormat};
use crate::error::Error;
use crate::model::{Candidate, LstmLayer, Matrix, Recurrent};
use crate::train::checkpoint::write_tensors;
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// Writes `path` with PyTorch's tensors of each layer; of a layer with peepholes or a sigmoid candidate with TensorFlow's, which
/// can say that. Returns the configuration to read it with, whose other settings are the defaults.
pub fn save_network(path: &Path, network: &Recurrent) -> Result<Config, Error> {
    let mut tensors = BTreeMap::new();
    let mut config = Config::default();
    config.model.file = std::path::absolute(path).map_err(|source| Error::File { path: path.to_path_buf(), source })?;
    for layer in &network.lstm {
        let plain = layer.peepholes.is_none() && layer.candidate == Candidate::Tanh;
        config.model.lstm.push(if plain { pytorch(layer, &mut tensors)? } else { tensorflow(layer, &mut tensors)? });
    }
    for layer in &network.layers {
        let [weights, bias] = ["weight", "bias"].map(|what| format!("{}.{what}", layer.name));
        tensors.insert(weights.clone(), tensor(&layer.weights)?);
        tensors.insert(bias.clone(), Tensor::from_slice(&layer.bias, layer.bias.len(), &Device::Cpu)?);
        config.model.layer.push(LayerConfig { bias: Some(bias), activation: layer.activation, ..LayerConfig::new(&layer.name, &weights) });
    }
    write_tensors(path, &tensors, None)?;
    Ok(config)
}

fn tensor(matrix: &Matrix) -> Result<Tensor, Error> {
    Ok(Tensor::from_slice(&matrix.data, (matrix.rows, matrix.columns), &Device::Cpu)?)
}

fn gates(matrices: &[Matrix; 4], order: [usize; 4]) -> Result<Tensor, Error> {
    let parts = order.iter().map(|g| tensor(&matrices[*g])).collect::<Result<Vec<_>, _>>()?;
    Ok(Tensor::cat(&parts, 0)?)
}

fn vector(values: Vec<f32>) -> Result<Tensor, Error> {
    let count = values.len();
    Ok(Tensor::from_vec(values, count, &Device::Cpu)?)
}

fn pytorch(layer: &LstmLayer, tensors: &mut BTreeMap<String, Tensor>) -> Result<LstmConfig, Error> {
    let mut put = |what: &str, tensor: Tensor| {
        let name = format!("{}.{what}_l0", layer.name);
        tensors.insert(name.clone(), tensor);
        Some(name)
    };
    let mut config = LstmConfig::new(&layer.name, LstmFormat::PyTorch);
    config.weight_ih = put("weight_ih", gates(&layer.input_weights, [0, 1, 2, 3])?);
    config.weight_hh = put("weight_hh", gates(&layer.hidden_weights, [0, 1, 2, 3])?);
    config.bias_ih = put("bias_ih", vector(layer.bias.concat())?);
    if let Some(projection) = &layer.projection {
        config.weight_hr = put("weight_hr", tensor(projection)?);
    }
    Ok(config)
}

fn tensorflow(layer: &LstmLayer, tensors: &mut BTreeMap<String, Tensor>) -> Result<LstmConfig, Error> {
    let mut put = |what: &str, tensor: Tensor| {
        let name = format!("{}.{what}", layer.name);
        tensors.insert(name.clone(), tensor);
        Some(name)
    };
    // i j f o of i f g o
    let order = [0, 2, 1, 3];
    let rows = Tensor::cat(&[gates(&layer.input_weights, order)?, gates(&layer.hidden_weights, order)?], 1)?;
    let mut config = LstmConfig::new(&layer.name, LstmFormat::TensorFlow);
    config.candidate = Some(layer.candidate);
    config.kernel = put("kernel", rows.t()?.contiguous()?);
    config.bias = put("bias", vector(order.iter().flat_map(|g| layer.bias[*g].clone()).collect())?);
    // it is in the bias
    config.forget_bias = Some(0.0);
    if let Some([i, f, o]) = &layer.peepholes {
        config.w_i_diag = put("w_i_diag", vector(i.clone())?);
        config.w_f_diag = put("w_f_diag", vector(f.clone())?);
        config.w_o_diag = put("w_o_diag", vector(o.clone())?);
    }
    if let Some(projection) = &layer.projection {
        config.projection = put("projection", tensor(projection)?.t()?.contiguous()?);
    }
    Ok(config)
}
