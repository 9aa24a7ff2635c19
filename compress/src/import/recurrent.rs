//! A model file as [`Recurrent`] networks: LSTM layers from PyTorch's and TensorFlow's tensors, or ONNX nodes.
//!
//! Every value of the result is finite, every layer has an input and a cell, and each layer has as many inputs as the
//! one before has outputs.

use super::tensors::shape_text;
use super::{check_chain, load_layers, transposed, ModelFile, Source, TensorFile};
use crate::config::{Config, Direction, LstmConfig, LstmFormat, LstmTensors};
use crate::error::Error;
use crate::model::{Candidate, LstmLayer, Matrix, Recurrent};
use std::ops::Range;
use std::path::Path;

/// Reads the layers of `config.model`: one network, or for a bidirectional LSTM two, the forward one first.
pub fn load_recurrent(config: &Config) -> Result<Vec<Recurrent>, Error> {
    let path = config.path(&config.model.file);
    let Some(first) = config.model.lstm.first() else {
        let found = "no [[model.lstm]] in the configuration".to_string();
        return Err(Error::Format { path, found, expected: "at least one LSTM layer".to_string() });
    };
    let mut file = ModelFile::open(&path)?;
    let (direction, layers) = load_lstm(&mut file, first)?;
    if direction == Direction::Bidirectional {
        let others = config.model.lstm.iter().skip(1).map(LstmConfig::label).chain(config.model.layer.iter().map(|l| l.label()));
        if let Some(other) = others.into_iter().next() {
            let fault =
                format!("found it behind the bidirectional LSTM {}, expected nothing there: its directions run apart", first.label());
            return Err(Error::Layer { layer: other.to_string(), fault });
        }
        let one = |(layer, reverse)| Recurrent { lstm: vec![layer], layers: vec![], reverse };
        return Ok(layers.into_iter().zip([false, true]).map(one).collect());
    }

    let mut lstm = layers;
    for layer in &config.model.lstm[1..] {
        let (other, layers) = load_lstm(&mut file, layer)?;
        if other != direction {
            let fault = format!("found direction {}, expected {}, as of the layers before it", name(other), name(direction));
            return Err(Error::Layer { layer: layer.label().to_string(), fault });
        }
        for layer in layers {
            check_chain(&layer.name, layer.inputs(), lstm.last().map(|l| (l.name.as_str(), l.hidden())))?;
            lstm.push(layer);
        }
    }
    let layers = load_layers(config, &mut file, lstm.last().map(|l| (l.name.as_str(), l.hidden())))?;
    Ok(vec![Recurrent { lstm, layers, reverse: direction == Direction::Reverse }])
}

fn name(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => "forward",
        Direction::Reverse => "reverse",
        Direction::Bidirectional => "bidirectional",
    }
}

/// The layer, for a bidirectional one that of the forward and that of the reverse direction.
fn load_lstm(file: &mut ModelFile, layer: &LstmConfig) -> Result<(Direction, Vec<LstmLayer>), Error> {
    let wrong = |fault: String| Error::Layer { layer: layer.label().to_string(), fault };
    if layer.gates != layer.format.gates() {
        return Err(wrong(format!("found gates \"{}\", expected \"{}\", the order of its format", layer.gates, layer.format.gates())));
    }
    match (file, &layer.node) {
        (ModelFile::Onnx(graph), Some(node)) => {
            let found = graph.lstm(node, layer.label())?;
            graph.sequences_are_plain(node)?;
            match layer.direction {
                Some(direction) if direction != found.direction => {
                    Err(wrong(format!("found direction {} in the node, expected {}", name(found.direction), name(direction))))
                }
                _ => Ok((found.direction, found.layers)),
            }
        }
        (ModelFile::Onnx(_), None) => Err(wrong("found an .onnx file, expected format onnx and the name of a node".to_string())),
        (ModelFile::Tensors(..), Some(_)) => Err(wrong("found format onnx, expected an .onnx file".to_string())),
        (ModelFile::Tensors(path, file), None) => {
            let mut tensors = Tensors { file, path, label: layer.label(), candidate: layer.candidate.unwrap_or_default() };
            let mut layers = vec![tensors.load(layer.format, &layer.tensors())?];
            if let Some(reverse) = &layer.reverse {
                layers.push(tensors.load(layer.format, reverse)?);
                let [forward, reverse] = [&layers[0], &layers[1]].map(|l| (l.inputs(), l.cells(), l.hidden()));
                if forward != reverse {
                    let found = format!("{reverse:?} inputs, cells and hidden values of the reverse direction");
                    return Err(wrong(format!("found {found}, expected {forward:?}, as of the forward direction")));
                }
            }
            Ok((layer.direction.unwrap_or_default(), layers))
        }
    }
}

/// The tensors of one layer.
struct Tensors<'a> {
    file: &'a mut TensorFile,
    path: &'a Path,
    label: &'a str,
    candidate: Candidate,
}

/// A length of a shape: known, or to be found.
enum Axis {
    Is(usize),
    Any,
}

impl Tensors<'_> {
    fn load(&mut self, format: LstmFormat, tensors: &LstmTensors) -> Result<LstmLayer, Error> {
        match format {
            LstmFormat::TensorFlow => self.tensorflow(tensors),
            _ => self.pytorch(tensors),
        }
    }

    fn pytorch(&mut self, t: &LstmTensors) -> Result<LstmLayer, Error> {
        let projection = match &t.weight_hr {
            Some(tensor) => Some(self.matrix(tensor, "weight_hr", [Axis::Any, Axis::Any], "(hidden, cells)")?),
            None => None,
        };
        // the rows of one matrix fix the number of cells for all the others
        let hh = needed(&t.weight_hh, self.label, "weight_hh")?;
        let weight_hh = match &projection {
            Some(p) => self.matrix(hh, "weight_hh", [Axis::Is(4 * p.columns), Axis::Is(p.rows)], "(4 cells, hidden)")?,
            None => {
                let square = self.matrix(hh, "weight_hh", [Axis::Any, Axis::Any], "(4 cells, cells)")?;
                let found = [square.rows, square.columns];
                if square.rows != 4 * square.columns {
                    return Err(self.wrong_shape(hh, "weight_hh", &found, &[4 * square.columns, square.columns], "(4 cells, cells)"));
                }
                square
            }
        };
        let cells = weight_hh.rows / 4;
        let ih = needed(&t.weight_ih, self.label, "weight_ih")?;
        let weight_ih = self.matrix(ih, "weight_ih", [Axis::Is(4 * cells), Axis::Any], "(4 cells, inputs)")?;
        let mut bias = vec![0.0; 4 * cells];
        for (tensor, key) in [(&t.bias_ih, "bias_ih"), (&t.bias_hh, "bias_hh")] {
            if let Some(tensor) = tensor {
                let values = self.vector(tensor, key, 4 * cells)?;
                for (k, (sum, value)) in bias.iter_mut().zip(values).enumerate() {
                    let before = *sum;
                    *sum += value;
                    if !sum.is_finite() {
                        let found = format!("{value:e} at [{k}], and {before:e} there in bias_ih");
                        return Err(self.source(tensor, key).wrong(found, "a finite 32-bit sum of the two".to_string()));
                    }
                }
            }
        }
        Ok(LstmLayer {
            name: self.label.to_string(),
            input_weights: gate_matrices(&weight_ih, LstmFormat::PyTorch, 0..weight_ih.columns),
            hidden_weights: gate_matrices(&weight_hh, LstmFormat::PyTorch, 0..weight_hh.columns),
            bias: gate_vectors(&bias, LstmFormat::PyTorch),
            peepholes: None,
            projection,
            candidate: self.candidate,
        })
    }

    fn tensorflow(&mut self, t: &LstmTensors) -> Result<LstmLayer, Error> {
        let kernel_name = needed(&t.kernel, self.label, "kernel")?;
        let kernel = self.matrix(kernel_name, "kernel", [Axis::Any, Axis::Any], "(inputs + hidden, 4 cells)")?;
        let cells = kernel.columns / 4;
        if cells == 0 || !kernel.columns.is_multiple_of(4) {
            let fault = format!("found {} columns in the kernel `{kernel_name}`, expected four for each cell", kernel.columns);
            return Err(Error::Layer { layer: self.label.to_string(), fault });
        }
        let projection = match &t.projection {
            Some(tensor) => {
                let stored = self.matrix(tensor, "projection", [Axis::Is(cells), Axis::Any], "(cells, hidden)")?;
                Some(transposed(stored.rows, stored.columns, &stored.data))
            }
            None => None,
        };
        let hidden = projection.as_ref().map_or(cells, |p| p.rows);
        if kernel.rows <= hidden {
            let found = [kernel.rows, kernel.columns];
            return Err(self.wrong_shape(kernel_name, "kernel", &found, &[hidden + 1, 4 * cells], "at least one input, then hidden"));
        }
        let inputs = kernel.rows - hidden;
        let bias_name = needed(&t.bias, self.label, "bias")?;
        let mut bias = self.vector(bias_name, "bias", 4 * cells)?;
        let forget_bias = t.forget_bias.ok_or_else(|| missing(self.label, "forget_bias"))?;
        let of_f = LstmFormat::TensorFlow.blocks()[1];
        for (k, b) in bias.iter_mut().enumerate().skip(of_f * cells).take(cells) {
            // narrowed once, after the sum
            let sum = (f64::from(*b) + forget_bias) as f32;
            if !sum.is_finite() {
                let found = format!("{b:e} at [{k}], and a forget_bias of {forget_bias:e}");
                return Err(self.source(bias_name, "bias").wrong(found, "a finite 32-bit sum of the two".to_string()));
            }
            *b = sum;
        }

        let diagonals = [(&t.w_i_diag, "w_i_diag"), (&t.w_f_diag, "w_f_diag"), (&t.w_o_diag, "w_o_diag")];
        let peepholes = if diagonals.iter().any(|(tensor, _)| tensor.is_some()) {
            let mut found: [Vec<f32>; 3] = Default::default();
            for (values, (tensor, key)) in found.iter_mut().zip(diagonals) {
                *values = self.vector(needed(tensor, self.label, key)?, key, cells)?;
            }
            Some(found)
        } else {
            None
        };
        let rows = transposed(kernel.rows, kernel.columns, &kernel.data);
        Ok(LstmLayer {
            name: self.label.to_string(),
            input_weights: gate_matrices(&rows, LstmFormat::TensorFlow, 0..inputs),
            hidden_weights: gate_matrices(&rows, LstmFormat::TensorFlow, inputs..kernel.rows),
            bias: gate_vectors(&bias, LstmFormat::TensorFlow),
            peepholes,
            projection,
            candidate: self.candidate,
        })
    }

    fn source<'a>(&'a self, tensor: &'a str, key: &str) -> Source<'a> {
        Source { path: self.path, tensor, owner: format!("{key} of lstm {}", self.label) }
    }

    fn wrong_shape(&self, tensor: &str, key: &str, found: &[usize], expected: &[usize], what: &str) -> Error {
        self.source(tensor, key).wrong(format!("shape {}", shape_text(found)), format!("shape {} {what}", shape_text(expected)))
    }

    fn matrix(&mut self, tensor: &str, key: &str, axes: [Axis; 2], what: &str) -> Result<Matrix, Error> {
        let array = self.file.read(tensor, &format!("{key} of lstm {}", self.label))?;
        let source = self.source(tensor, key);
        let [rows, columns] = array.shape[..] else {
            return Err(source.shape(&array, &format!("two axes {what}")));
        };
        let expected = [(&axes[0], rows), (&axes[1], columns)].map(|(axis, found)| match axis {
            Axis::Is(length) => *length,
            Axis::Any => found.max(1),
        });
        if expected != [rows, columns] {
            return Err(source.shape(&array, &format!("shape {} {what}", shape_text(&expected))));
        }
        Ok(Matrix { rows, columns, data: source.finite(&array)? })
    }

    fn vector(&mut self, tensor: &str, key: &str, length: usize) -> Result<Vec<f32>, Error> {
        let array = self.file.read(tensor, &format!("{key} of lstm {}", self.label))?;
        let source = self.source(tensor, key);
        if array.shape != [length] {
            return Err(source.shape(&array, &format!("shape {}", shape_text(&[length]))));
        }
        source.finite(&array)
    }
}

fn missing(layer: &str, key: &str) -> Error {
    Error::Layer { layer: layer.to_string(), fault: format!("found no {key}, which its format needs") }
}

fn needed<'a>(tensor: &'a Option<String>, layer: &str, key: &str) -> Result<&'a str, Error> {
    tensor.as_deref().ok_or_else(|| missing(layer, key))
}

/// The gates i f g o from a matrix with a block of rows for each gate, in the order of the format.
pub(super) fn gate_matrices(stored: &Matrix, format: LstmFormat, columns: Range<usize>) -> [Matrix; 4] {
    let cells = stored.rows / 4;
    format.blocks().map(|block| {
        let rows = block * cells..(block + 1) * cells;
        let data = rows.flat_map(|row| stored.row(row)[columns.clone()].iter().copied()).collect();
        Matrix { rows: cells, columns: columns.len(), data }
    })
}

/// The same from a vector.
pub(super) fn gate_vectors(stored: &[f32], format: LstmFormat) -> [Vec<f32>; 4] {
    let cells = stored.len() / 4;
    format.blocks().map(|block| stored[block * cells..(block + 1) * cells].to_vec())
}
