//! The operator LSTM (versions 1, 7, 14 and 22), for the functions Sigmoid and Tanh. Gates come as i o f c, peepholes as i o f.

use super::proto::{kind, Attribute, Node};
use super::Graph;
use crate::config::{Direction, LstmFormat};
use crate::error::{grouped, Error};
use crate::import::recurrent::{gate_matrices, gate_vectors};
use crate::import::tensors::{shape_text, Array};
use crate::import::{Source, MAX_AXIS};
use crate::inputs::Tensor;
use crate::model::{Candidate, LstmLayer, Matrix};
use std::path::Path;

/// An LSTM node: its layer for each direction, and what it says about the sequences.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxLstm {
    pub direction: Direction,
    /// One layer; bidirectional: forward, then reverse.
    pub layers: Vec<LstmLayer>,
    /// `layout` 1: X is (batch, steps, inputs), Y (batch, steps, directions, cells), states (batch, directions, cells).
    /// Else (steps, batch, inputs), (steps, directions, batch, cells) and (directions, batch, cells).
    pub batch_first: bool,
    /// What of these inputs is constant in the file.
    pub sequence_lens: Option<Vec<usize>>,
    pub initial_h: Option<Tensor>,
    pub initial_c: Option<Tensor>,
}

impl OnnxLstm {
    pub fn inputs(&self) -> usize {
        self.layers.first().map_or(0, LstmLayer::inputs)
    }
    pub fn cells(&self) -> usize {
        self.layers.first().map_or(0, LstmLayer::cells)
    }
}

/// Reads the LSTM node called `node` from a file.
pub fn load_onnx_lstm(path: &Path, node: &str) -> Result<OnnxLstm, Error> {
    Graph::open(path)?.lstm(node, node)
}

/// The attributes, checked.
struct Attributes {
    direction: Direction,
    /// Of each direction.
    candidates: Vec<Candidate>,
    hidden_size: Option<usize>,
    batch_first: bool,
}

const INPUTS: [&str; 8] = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"];

impl Graph {
    /// The node called `node` as the layer `name`.
    pub(in crate::import) fn lstm(&self, node: &str, name: &str) -> Result<OnnxLstm, Error> {
        let node = self.find(node, &["LSTM"])?;
        if node.input.len() > INPUTS.len() {
            return Err(self.wrong(node, format!("{} inputs", node.input.len()), &format!("at most {}", INPUTS.join(", "))));
        }
        let attributes = self.lstm_attributes(node)?;
        let directions = attributes.candidates.len();
        let source = |index: usize| self.input(node, index).map(|tensor| self.source(tensor, format!("{} of lstm {name}", INPUTS[index])));
        let needed = |index: usize| source(index).ok_or_else(|| self.wrong(node, format!("no input {}", INPUTS[index]), "a constant"));

        // (directions, 4 cells, cells) fixes the number of cells, on which every other shape depends
        let recurrent = needed(2)?;
        let array = self.floats(&recurrent)?;
        let [_, _, last] = array.shape[..] else {
            return Err(recurrent.shape(&array, "three axes: directions, 4 x cells, cells"));
        };
        bounded(&recurrent, &array)?;
        let cells = attributes.hidden_size.unwrap_or(last);
        let r = checked(&recurrent, &array, &[directions, 4 * cells, cells], "directions, 4 x cells, cells")?;
        let kernel = needed(1)?;
        let array = self.floats(&kernel)?;
        bounded(&kernel, &array)?;
        let inputs = array.shape.get(2).copied().unwrap_or(0);
        let w = checked(&kernel, &array, &[directions, 4 * cells, inputs.max(1)], "directions, 4 x cells, inputs")?;
        let optional = |index: usize, shape: [usize; 2], what: &str| match source(index) {
            None => Ok(None),
            Some(source) => self.floats(&source).and_then(|array| checked(&source, &array, &shape, what)).map(Some),
        };
        let b = optional(3, [directions, 8 * cells], "directions, 8 x cells")?;
        let p = optional(7, [directions, 3 * cells], "directions, 3 x cells")?;

        // the bias of the input's product and that of the state's, of each direction
        let mut sums = vec![vec![0.0; 4 * cells]; directions];
        for (source, values) in source(3).iter().zip(&b) {
            for (d, sums) in sums.iter_mut().enumerate() {
                for (k, sum) in sums.iter_mut().enumerate() {
                    let (first, second) = (values[d * 8 * cells + k], values[(d * 8 + 4) * cells + k]);
                    *sum = first + second;
                    if !sum.is_finite() {
                        let found = format!("{first:e} at [{d}, {k}] and {second:e} at [{d}, {}]", 4 * cells + k);
                        return Err(source.wrong(found, "a finite 32-bit sum of the two".to_string()));
                    }
                }
            }
        }

        let layers = attributes.candidates.iter().zip(&sums).enumerate().map(|(d, (candidate, sums))| {
            let gates = |values: &[f32], columns: usize| {
                let count = 4 * cells * columns;
                let stored = Matrix { rows: 4 * cells, columns, data: values[d * count..(d + 1) * count].to_vec() };
                gate_matrices(&stored, LstmFormat::Onnx, 0..columns)
            };
            let peephole = |p: &Vec<f32>, block: usize| p[(d * 3 + block) * cells..(d * 3 + block + 1) * cells].to_vec();
            LstmLayer {
                name: name.to_string(),
                input_weights: gates(&w, inputs),
                hidden_weights: gates(&r, cells),
                bias: gate_vectors(sums, LstmFormat::Onnx),
                peepholes: p.as_ref().map(|p| [peephole(p, 0), peephole(p, 2), peephole(p, 1)]),
                projection: None,
                candidate: *candidate,
            }
        });
        let layers = layers.collect();
        let state = |index: usize| match source(index).filter(|s| self.constant(s.tensor).is_some()) {
            None => Ok(None),
            Some(source) => self.initial_state(&source, directions, cells, attributes.batch_first).map(Some),
        };
        Ok(OnnxLstm {
            direction: attributes.direction,
            layers,
            batch_first: attributes.batch_first,
            sequence_lens: self.sequence_lens(source(4))?,
            initial_h: state(5)?,
            initial_c: state(6)?,
        })
    }

    fn lstm_attributes(&self, node: &Node) -> Result<Attributes, Error> {
        let (mut direction, mut activations, mut hidden_size, mut batch_first) = (Direction::Forward, None, None, false);
        for attribute in &node.attribute {
            let name = attribute.name.as_str();
            match name {
                "activations" => {
                    self.check_kind(node, attribute, kind::STRINGS)?;
                    activations = Some(&attribute.strings);
                }
                "direction" => {
                    self.check_kind(node, attribute, kind::STRING)?;
                    direction = match attribute.s.as_slice() {
                        b"forward" => Direction::Forward,
                        b"reverse" => Direction::Reverse,
                        b"bidirectional" => Direction::Bidirectional,
                        other => {
                            let found = format!("attribute `direction` of {}", String::from_utf8_lossy(other));
                            return Err(self.wrong(node, found, "forward, reverse or bidirectional"));
                        }
                    };
                }
                "hidden_size" => {
                    self.check_kind(node, attribute, kind::INT)?;
                    hidden_size = Some(usize::try_from(attribute.i).ok().filter(|cells| (1..=MAX_AXIS).contains(cells)));
                    if hidden_size == Some(None) {
                        return Err(self.wrong(
                            node,
                            format!("attribute `hidden_size` of {}", attribute.i),
                            "at least 1 cell, and not too many",
                        ));
                    }
                }
                "layout" => batch_first = self.flag(node, attribute, 1)?,
                "input_forget" => {
                    self.flag(node, attribute, 0)?;
                }
                "clip" | "activation_alpha" | "activation_beta" => {
                    return Err(self.wrong(node, format!("attribute `{name}`"), "none: it is not supported"));
                }
                _ => {
                    let expected = "only activations, direction, hidden_size, layout and input_forget";
                    return Err(self.wrong(node, format!("attribute `{name}`"), expected));
                }
            }
        }
        let directions = if direction == Direction::Bidirectional { 2 } else { 1 };
        let candidates = match activations {
            None => vec![Candidate::Tanh; directions],
            Some(names) => self.candidates(node, names, directions)?,
        };
        Ok(Attributes { direction, candidates, hidden_size: hidden_size.flatten(), batch_first })
    }

    /// A number from 0 to `most`, as a truth value.
    fn flag(&self, node: &Node, attribute: &Attribute, most: i64) -> Result<bool, Error> {
        self.check_kind(node, attribute, kind::INT)?;
        if (0..=most).contains(&attribute.i) {
            return Ok(attribute.i == 1);
        }
        let expected = if most == 0 { "0: anything else is not supported" } else { "0 or 1" };
        Err(self.wrong(node, format!("attribute `{}` of {}", attribute.name, attribute.i), expected))
    }

    /// The candidate gate's function from the three of each direction.
    fn candidates(&self, node: &Node, names: &[Vec<u8>], directions: usize) -> Result<Vec<Candidate>, Error> {
        let is = |name: &[u8], function: &str| name.eq_ignore_ascii_case(function.as_bytes());
        let one = |functions: &[Vec<u8>]| match functions {
            [f, g, h] if is(f, "Sigmoid") && is(h, "Tanh") && is(g, "Tanh") => Some(Candidate::Tanh),
            [f, g, h] if is(f, "Sigmoid") && is(h, "Tanh") && is(g, "Sigmoid") => Some(Candidate::Sigmoid),
            _ => None,
        };
        let found: Option<Vec<Candidate>> = names.chunks(3).map(one).collect();
        found.filter(|found| found.len() == directions).ok_or_else(|| {
            let text: Vec<_> = names.iter().map(|name| String::from_utf8_lossy(name)).collect();
            let expected = "Sigmoid, Tanh or Sigmoid, Tanh for each direction";
            self.wrong(node, format!("attribute `activations` of {}", text.join(", ")), expected)
        })
    }

    fn initial_state(&self, source: &Source, directions: usize, cells: usize, batch_first: bool) -> Result<Tensor, Error> {
        let array = self.floats(source)?;
        let batch = array.shape.get(usize::from(!batch_first)).copied().unwrap_or(0);
        let shape = if batch_first { [batch, directions, cells] } else { [directions, batch, cells] };
        let what = if batch_first { "batch, directions, cells" } else { "directions, batch, cells" };
        Ok(Tensor { data: checked(source, &array, &shape, what)?, shape: array.shape })
    }

    fn sequence_lens(&self, source: Option<Source>) -> Result<Option<Vec<usize>>, Error> {
        let Some(source) = source.filter(|s| self.constant(s.tensor).is_some()) else {
            return Ok(None);
        };
        let array = self.integers(&source)?;
        let lengths = array.values(|v| v as f32);
        if array.shape.len() != 1 || lengths.iter().any(|length| *length < 0.0) {
            return Err(source.shape(&array, "one length from 0 for each sequence"));
        }
        // a length is at most 2^31, and one that 32-bit floating point rounds is no number of steps that X could have
        Ok(Some(lengths.into_iter().map(|length| length as usize).collect()))
    }
}

/// No axis is so long that products of lengths could overflow, and none is empty.
fn bounded(source: &Source, array: &Array) -> Result<(), Error> {
    if array.shape.iter().all(|axis| (1..=MAX_AXIS).contains(axis)) {
        return Ok(());
    }
    Err(source.shape(array, &format!("axes of 1 to {}", grouped(MAX_AXIS))))
}

/// The values if the shape is as it must be.
fn checked(source: &Source, array: &Array, shape: &[usize], what: &str) -> Result<Vec<f32>, Error> {
    if array.shape == shape {
        return source.finite(array);
    }
    Err(source.shape(array, &format!("shape {} ({what})", shape_text(shape))))
}
