//! A trained network as a safetensors file: with the names of tensors that a configuration gives, or with names of its own.

use crate::config::{Config, LayerConfig, LstmConfig, LstmFormat, ModelConfig};
use crate::error::Error;
use crate::model::{Candidate, LstmLayer, Matrix, Recurrent};
use crate::storage::in_file;
use crate::train::checkpoint::write_tensors;
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// Writes `path` with PyTorch's tensors of each layer; of a layer with peepholes or a sigmoid candidate with TensorFlow's, which
/// can say that. Returns the configuration to read it with, whose other settings are the defaults.
pub fn save_network(path: &Path, network: &Recurrent) -> Result<Config, Error> {
    let mut config = Config::default();
    config.model.file = std::path::absolute(path).map_err(|source| Error::File { path: path.to_path_buf(), source })?;
    config.model.lstm = network.lstm.iter().map(named).collect();
    for layer in &network.layers {
        let [weights, bias] = ["weight", "bias"].map(|what| format!("{}.{what}", layer.name));
        config.model.layer.push(LayerConfig { bias: Some(bias), activation: layer.activation, ..LayerConfig::new(&layer.name, &weights) });
    }
    write_tensors(path, &tensors(&config.model, network)?)?;
    Ok(config)
}

fn named(layer: &LstmLayer) -> LstmConfig {
    let projects = layer.projection.is_some();
    if layer.peepholes.is_none() && layer.candidate == Candidate::Tanh {
        let name = |what: &str| Some(format!("{}.{what}_l0", layer.name));
        let mut config = LstmConfig::new(&layer.name, LstmFormat::PyTorch);
        (config.weight_ih, config.weight_hh, config.bias_ih) = (name("weight_ih"), name("weight_hh"), name("bias_ih"));
        config.weight_hr = name("weight_hr").filter(|_| projects);
        return config;
    }
    let name = |what: &str| Some(format!("{}.{what}", layer.name));
    let mut config = LstmConfig::new(&layer.name, LstmFormat::TensorFlow);
    config.candidate = Some(layer.candidate);
    (config.kernel, config.bias) = (name("kernel"), name("bias"));
    // it is in the bias
    config.forget_bias = Some(0.0);
    if layer.peepholes.is_some() {
        (config.w_i_diag, config.w_f_diag, config.w_o_diag) = (name("w_i_diag"), name("w_f_diag"), name("w_o_diag"));
    }
    config.projection = name("projection").filter(|_| projects);
    config
}

/// The tensors of `network` by the names that `model` gives them: what [`load_recurrent`](crate::import::load_recurrent) reads
/// as this network with it. Errors: a layer without a name for what it has, a name that is given twice.
pub fn tensors(model: &ModelConfig, network: &Recurrent) -> Result<BTreeMap<String, Tensor>, Error> {
    let mut all = Named::default();
    for (config, layer) in model.lstm.iter().zip(&network.lstm) {
        all.owner = config.label().to_string();
        match config.format {
            LstmFormat::PyTorch => pytorch(config, layer, &mut all)?,
            LstmFormat::TensorFlow => tensorflow(config, layer, &mut all)?,
            LstmFormat::Onnx => return Err(all.fault("found format onnx, expected pytorch or tensorflow, whose tensors can be written")),
        }
    }
    for (config, layer) in model.layer.iter().zip(&network.layers) {
        all.owner = config.label().to_string();
        if config.weights.is_empty() || config.bias.is_none() {
            return Err(all.fault("found no weights or no bias, expected weights and bias, names of tensors to write"));
        }
        let (shape, weights) = in_file(layer, config.output_axis, &layer.weights.data);
        all.put(Some(&config.weights), "weights", Tensor::from_vec(weights, shape, &Device::Cpu)?)?;
        all.put(config.bias.as_ref(), "bias", vector(layer.bias.clone())?)?;
    }
    Ok(all.tensors)
}

/// Tensors by name, and the layer whose they are.
#[derive(Default)]
struct Named {
    owner: String,
    tensors: BTreeMap<String, Tensor>,
}

impl Named {
    fn fault(&self, fault: &str) -> Error {
        Error::Layer { layer: self.owner.clone(), fault: fault.to_string() }
    }
    fn put(&mut self, name: Option<&String>, key: &str, tensor: Tensor) -> Result<(), Error> {
        let Some(name) = name else { return Err(self.fault(&format!("found no {key}, expected the name of a tensor to write"))) };
        match self.tensors.insert(name.clone(), tensor) {
            Some(_) => Err(self.fault(&format!("{key} is `{name}`, expected a name that no other tensor has"))),
            None => Ok(()),
        }
    }
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

fn pytorch(config: &LstmConfig, layer: &LstmLayer, all: &mut Named) -> Result<(), Error> {
    all.put(config.weight_ih.as_ref(), "weight_ih", gates(&layer.input_weights, [0, 1, 2, 3])?)?;
    all.put(config.weight_hh.as_ref(), "weight_hh", gates(&layer.hidden_weights, [0, 1, 2, 3])?)?;
    let bias = layer.bias.concat();
    // of two the second is zero: they are added
    let (first, second) = match &config.bias_ih {
        Some(_) => (("bias_ih", &config.bias_ih), config.bias_hh.as_ref()),
        None => (("bias_hh", &config.bias_hh), None),
    };
    if second.is_some() {
        all.put(second, "bias_hh", vector(vec![0.0; bias.len()])?)?;
    }
    all.put(first.1.as_ref(), first.0, vector(bias)?)?;
    match &layer.projection {
        Some(projection) => all.put(config.weight_hr.as_ref(), "weight_hr", tensor(projection)?),
        None => Ok(()),
    }
}

fn tensorflow(config: &LstmConfig, layer: &LstmLayer, all: &mut Named) -> Result<(), Error> {
    // i j f o of i f g o
    let order = [0, 2, 1, 3];
    let rows = Tensor::cat(&[gates(&layer.input_weights, order)?, gates(&layer.hidden_weights, order)?], 1)?;
    all.put(config.kernel.as_ref(), "kernel", rows.t()?.contiguous()?)?;
    // what the cell adds at run time is not in the file
    let added = config.forget_bias.unwrap_or(0.0);
    let forget = layer.bias[1].iter().map(|b| (f64::from(*b) - added) as f32).collect();
    let bias = [layer.bias[0].clone(), layer.bias[2].clone(), forget, layer.bias[3].clone()];
    all.put(config.bias.as_ref(), "bias", vector(bias.concat())?)?;
    if let Some([i, f, o]) = &layer.peepholes {
        for (name, key, values) in [(&config.w_i_diag, "w_i_diag", i), (&config.w_f_diag, "w_f_diag", f), (&config.w_o_diag, "w_o_diag", o)]
        {
            all.put(name.as_ref(), key, vector(values.clone())?)?;
        }
    }
    match &layer.projection {
        Some(projection) => all.put(config.projection.as_ref(), "projection", tensor(projection)?.t()?.contiguous()?),
        None => Ok(()),
    }
}
