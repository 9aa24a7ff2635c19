//! A model file as a [`Dense`] network: the tensors that the configuration names, as layers.
//!
//! Every weight and bias of the result is finite, every layer has at least one row and one column,
//! and each layer has as many columns as the one before has rows.

pub(crate) mod tensors;

use crate::config::{Config, LayerConfig};
use crate::error::{grouped, Error};
use crate::model::{Dense, DenseLayer, Matrix};
use std::path::Path;
use tensors::{index_text, shape_text, Array, TensorFile};

/// Rows or columns that the largest accelerator could hold: 256 PEs of 65,535 activations.
const MAX_AXIS: usize = 256 * 65_535;

/// Reads the layers of `config.model` from its file (`.safetensors` or `.npz`, of 16 to 64-bit floating point).
pub fn load_model(config: &Config) -> Result<Dense, Error> {
    let path = config.path(&config.model.file);
    if config.model.layer.is_empty() {
        let found = "no [[model.layer]] in the configuration".to_string();
        return Err(Error::Format { path, found, expected: "at least one layer".to_string() });
    }
    let unknown = || Error::Format {
        path: path.clone(),
        found: "an unknown kind of file".to_string(),
        expected: "the extension .safetensors or .npz".to_string(),
    };
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy")) {
        return Err(unknown());
    }
    let mut file = TensorFile::open(&path)?.ok_or_else(unknown)?;
    let mut layers: Vec<DenseLayer> = Vec::with_capacity(config.model.layer.len());
    for layer in &config.model.layer {
        let loaded = load_layer(&mut file, &path, layer)?;
        if let Some(previous) = layers.last().filter(|p| p.weights.rows != loaded.weights.columns) {
            let fault = format!(
                "found {} inputs, expected {}, the outputs of layer {}",
                grouped(loaded.weights.columns),
                grouped(previous.weights.rows),
                previous.name
            );
            return Err(Error::Layer { layer: loaded.name, fault });
        }
        layers.push(loaded);
    }
    Ok(Dense { layers })
}

fn load_layer(file: &mut TensorFile, path: &Path, layer: &LayerConfig) -> Result<DenseLayer, Error> {
    let weights = Source { path, tensor: &layer.weights, owner: format!("weights of layer {}", layer.label()) };
    let array = file.read(weights.tensor, &weights.owner)?;
    let [first, second] = array.shape[..] else {
        return Err(weights.wrong(format!("shape {}", shape_text(&array.shape)), "two axes".to_string()));
    };
    if !(1..=MAX_AXIS).contains(&first) || !(1..=MAX_AXIS).contains(&second) {
        let expected = format!("1 to {} rows and columns", grouped(MAX_AXIS));
        return Err(weights.wrong(format!("shape {}", shape_text(&array.shape)), expected));
    }
    let values = weights.finite(&array)?;
    let weights = match layer.output_axis {
        0 => Matrix { rows: first, columns: second, data: values },
        _ => transposed(first, second, &values),
    };

    let bias = match &layer.bias {
        None => vec![0.0; weights.rows],
        Some(tensor) => {
            let bias = Source { path, tensor, owner: format!("bias of layer {}", layer.label()) };
            let array = file.read(bias.tensor, &bias.owner)?;
            if array.shape != [weights.rows] {
                let expected = format!("shape {}, one value per output", shape_text(&[weights.rows]));
                return Err(bias.wrong(format!("shape {}", shape_text(&array.shape)), expected));
            }
            bias.finite(&array)?
        }
    };
    Ok(DenseLayer { name: layer.label().to_string(), weights, bias, activation: layer.activation })
}

/// A tensor, and what it is for: the "where" of a message.
struct Source<'a> {
    path: &'a Path,
    tensor: &'a str,
    owner: String,
}

impl Source<'_> {
    fn wrong(&self, found: String, expected: String) -> Error {
        Error::Tensor { path: self.path.to_path_buf(), tensor: self.tensor.to_string(), owner: self.owner.clone(), found, expected }
    }

    /// The values in C order; an error if they are no floating point, or one is no finite `f32`.
    fn finite(&self, array: &Array) -> Result<Vec<f32>, Error> {
        if !array.kind.is_float() {
            return Err(self.wrong("integers".to_string(), "floating point".to_string()));
        }
        let values = array.values(|v| v as f32);
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(values),
            Some(i) => {
                let found = format!("{} at {}", values[i], index_text(&array.shape, i));
                Err(self.wrong(found, "finite 32-bit numbers".to_string()))
            }
        }
    }
}

/// From (in, out) as stored to rows that are outputs.
fn transposed(inputs: usize, outputs: usize, stored: &[f32]) -> Matrix {
    let mut data = Vec::with_capacity(stored.len());
    for row in 0..outputs {
        data.extend((0..inputs).map(|column| stored[column * outputs + row]));
    }
    Matrix { rows: outputs, columns: inputs, data }
}
