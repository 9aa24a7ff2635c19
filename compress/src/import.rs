//! A model file as a [`Dense`] or a [`Recurrent`](crate::model::Recurrent) network: the tensors or nodes that the
//! configuration names, as layers.
//!
//! Every weight and bias of the result is finite, every layer has at least one row and one column,
//! and each layer takes as many inputs as the one before has outputs.

mod conv;
mod onnx;
mod recurrent;
pub(crate) mod tensors;

pub use onnx::{load_onnx_lstm, OnnxLstm};
pub use recurrent::load_recurrent;

use crate::config::{Config, LayerConfig};
use crate::error::{grouped, Error};
use crate::model::{Dense, DenseLayer, Matrix};
use conv::Flow;
use onnx::Graph;
use std::path::{Path, PathBuf};
use tensors::{index_text, shape_text, Array, TensorFile};

/// Rows or columns that the largest accelerator could hold: 256 PEs of 65,535 activations.
const MAX_AXIS: usize = 256 * 65_535;

/// Reads the convolutions and fully connected layers of `config.model` from its file: `.safetensors` or `.npz`, of 16 to 64-bit floating
/// point, or `.onnx`.
pub fn load_model(config: &Config) -> Result<Dense, Error> {
    let path = config.path(&config.model.file);
    let nothing = |found: &str, expected: &str| Error::Format { path: path.clone(), found: found.into(), expected: expected.into() };
    if !config.model.lstm.is_empty() {
        return Err(nothing("[[model.lstm]] in the configuration", "fully connected layers only"));
    }
    if config.model.layer.is_empty() {
        return Err(nothing("no [[model.layer]] in the configuration", "at least one layer"));
    }
    let mut file = ModelFile::open(&path)?;
    Ok(Dense { layers: load_layers(config, &mut file, None)? })
}

/// A file of tensors, or of a graph whose nodes have them.
enum ModelFile {
    Tensors(PathBuf, TensorFile),
    Onnx(Graph),
}

impl ModelFile {
    fn open(path: &Path) -> Result<ModelFile, Error> {
        let unknown = || Error::Format {
            path: path.to_path_buf(),
            found: "an unknown kind of file".to_string(),
            expected: "the extension .safetensors, .npz, .lcs or .onnx".to_string(),
        };
        let has = |extension: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension));
        if has("onnx") {
            return Ok(ModelFile::Onnx(Graph::open(path)?));
        }
        if has("npy") {
            return Err(unknown());
        }
        Ok(ModelFile::Tensors(path.to_path_buf(), TensorFile::open(path)?.ok_or_else(unknown)?))
    }
}

/// The layers behind an LSTM, if there is one: `before` is the name and the outputs of what comes before the first.
fn load_layers(config: &Config, file: &mut ModelFile, before: Option<(&str, usize)>) -> Result<Vec<DenseLayer>, Error> {
    let mut flow = match (before, config.model.input) {
        (Some((name, outputs)), _) => Flow::Vector(name.to_string(), outputs),
        (None, Some(sides)) => Flow::Map(sides, "values of model.input".to_string()),
        (None, None) => Flow::Any,
    };
    let mut layers: Vec<DenseLayer> = Vec::with_capacity(config.model.layer.len());
    for layer in &config.model.layer {
        let wrong = |fault: &str| Error::Layer { layer: layer.label().to_string(), fault: fault.to_string() };
        let loaded = match (&mut *file, &layer.node) {
            (ModelFile::Tensors(path, file), None) => load_layer(file, path, layer, &flow)?,
            (ModelFile::Onnx(graph), Some(node)) => graph.dense(node, layer.label(), layer.activation)?,
            (ModelFile::Tensors(..), Some(_)) => return Err(wrong("found node, expected weights: the model file has no nodes")),
            (ModelFile::Onnx(_), None) => {
                return Err(wrong("found weights, expected node, the name of a Gemm or MatMul of the .onnx file"))
            }
        };
        if loaded.conv.is_none() {
            flow.check_vector(&loaded.name, loaded.weights.columns)?;
        }
        flow = Flow::behind(&loaded);
        layers.push(loaded);
    }
    Ok(layers)
}

/// A layer has as many inputs as what comes `before` it (a name and a count) has outputs.
fn check_chain(layer: &str, inputs: usize, before: Option<(&str, usize)>) -> Result<(), Error> {
    match before {
        Some((name, outputs)) if outputs != inputs => {
            let fault = format!("found {} inputs, expected {}, the outputs of layer {name}", grouped(inputs), grouped(outputs));
            Err(Error::Layer { layer: layer.to_string(), fault })
        }
        _ => Ok(()),
    }
}

fn load_layer(file: &mut TensorFile, path: &Path, layer: &LayerConfig, flow: &Flow) -> Result<DenseLayer, Error> {
    let weights = Source { path, tensor: &layer.weights, owner: format!("weights of layer {}", layer.label()) };
    let array = file.read(weights.tensor, &weights.owner)?;
    let (first, filter) = match (&array.shape[..], &layer.conv) {
        ([first, second], None) => (*first, [*second, 1, 1]),
        ([first, channels, rows, columns], Some(_)) => (*first, [*channels, *rows, *columns]),
        ([_, _, _, _], None) => {
            return Err(weights.shape(&array, "two axes; a layer of filters (out, in, rows, columns) needs conv = {} in the configuration"))
        }
        (_, None) => return Err(weights.shape(&array, "two axes")),
        (_, Some(_)) => {
            let expected = "four axes (out, in, rows, columns) as the layer has conv; leave conv out if it is fully connected";
            return Err(weights.shape(&array, expected));
        }
    };
    let second = filter.iter().try_fold(1usize, |product, side| product.checked_mul(*side)).unwrap_or(usize::MAX);
    if !(1..=MAX_AXIS).contains(&first) || !(1..=MAX_AXIS).contains(&second) {
        let what = if layer.conv.is_some() { "filters, and weights in each" } else { "rows and columns" };
        return Err(weights.shape(&array, &format!("1 to {} {what}", grouped(MAX_AXIS))));
    }
    let conv = flow.convolution(layer, filter)?;
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
                return Err(bias.shape(&array, &format!("shape {}, one value per output", shape_text(&[weights.rows]))));
            }
            bias.finite(&array)?
        }
    };
    Ok(DenseLayer { name: layer.label().to_string(), weights, bias, activation: layer.activation, conv })
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

    /// The wrong shape.
    fn shape(&self, array: &Array, expected: &str) -> Error {
        self.wrong(format!("shape {}", shape_text(&array.shape)), expected.to_string())
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
