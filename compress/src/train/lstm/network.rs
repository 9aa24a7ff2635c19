//! A recurrent network that reads symbols: LSTM layers, then one fully connected layer that answers with logits.

use super::layer::{uniform, Input, LstmVariables};
use super::sequence::LstmState;
use crate::error::Error;
use crate::model::{Activation, Candidate, DenseLayer, Matrix, Recurrent};
use crate::train::slices;
use candle_core::{Device, Result, Tensor, Var};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// The sizes of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Symbols that it reads and predicts.
    pub symbols: usize,
    pub layers: usize,
    /// Of each LSTM layer.
    pub cells: usize,
    /// Values of h of each layer, if they are projected.
    pub projection: Option<usize>,
    pub peepholes: bool,
}

/// The sizes of one LSTM layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LayerShape {
    pub cells: usize,
    /// Values of h, if they are projected.
    pub projection: Option<usize>,
    pub peepholes: bool,
    pub candidate: Candidate,
}

/// The variables of a network.
#[derive(Clone, Debug)]
pub struct RecurrentVariables {
    pub lstm: Vec<LstmVariables>,
    /// (hidden, symbols)
    pub output: Var,
    /// (symbols)
    pub output_bias: Var,
}

/// Dropout of what one layer says to the next, and of what it is drawn from.
pub struct Dropout<'a> {
    pub rate: f32,
    pub rng: &'a mut ChaCha8Rng,
}

impl RecurrentVariables {
    /// Random weights from a seed.
    pub fn new(shape: &Shape, seed: u64) -> Result<RecurrentVariables> {
        let Shape { cells, projection, peepholes, .. } = *shape;
        let layer = LayerShape { cells, projection, peepholes, candidate: Candidate::Tanh };
        RecurrentVariables::of_layers(shape.symbols, &vec![layer; shape.layers], seed)
    }

    /// The same of layers that may differ.
    pub fn of_layers(symbols: usize, layers: &[LayerShape], seed: u64) -> Result<RecurrentVariables> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut hidden, mut lstm) = (symbols, vec![]);
        for shape in layers {
            let layer = LstmVariables::new(hidden, shape.cells, shape.projection, shape.peepholes, &mut rng)?;
            lstm.push(LstmVariables { candidate: shape.candidate, ..layer });
            hidden = shape.projection.unwrap_or(shape.cells);
        }
        let output = uniform(&mut rng, hidden, symbols, 1.0 / (hidden as f32).sqrt())?;
        Ok(RecurrentVariables { lstm, output, output_bias: Var::zeros(symbols, candle_core::DType::F32, &Device::Cpu)? })
    }

    /// The variables of a model. Errors: not one layer without activation behind LSTM layers, or one that answers with as
    /// many values as the network reads.
    pub fn from_model(network: &Recurrent) -> std::result::Result<RecurrentVariables, Error> {
        let wrong =
            |found: String| Error::Network(format!("found {found}, expected one layer of logits, one for each symbol, behind an LSTM"));
        let [layer] = &network.layers[..] else { return Err(wrong(format!("{} layers", network.layers.len()))) };
        let (rows, columns) = (layer.weights.rows, layer.weights.columns);
        if layer.activation != Activation::None || rows != network.inputs() || network.reverse {
            return Err(wrong(format!("layer {} with {rows} outputs for {} inputs", layer.name, network.inputs())));
        }
        let output = Tensor::from_slice(&layer.weights.data, (rows, columns), &Device::Cpu)?.t()?.contiguous()?;
        Ok(RecurrentVariables {
            lstm: network.lstm.iter().map(LstmVariables::from_model).collect::<Result<_>>()?,
            output: Var::from_tensor(&output)?,
            output_bias: Var::from_slice(&layer.bias, rows, &Device::Cpu)?,
        })
    }

    /// The model; its layers are named `lstm0`, `lstm1` and so on, and `output`.
    pub fn to_model(&self) -> Result<Recurrent> {
        let (columns, rows) = self.output.dims2()?;
        let weights = Matrix { rows, columns, data: self.output.t()?.flatten_all()?.to_vec1()? };
        let bias = self.output_bias.to_vec1()?;
        let output = DenseLayer { name: "output".into(), weights, bias, activation: Activation::None, conv: None };
        let lstm = self.lstm.iter().enumerate().map(|(l, layer)| layer.to_model(&format!("lstm{l}"))).collect::<Result<_>>()?;
        Ok(Recurrent { lstm, layers: vec![output], reverse: false })
    }

    pub fn symbols(&self) -> usize {
        self.output_bias.elem_count()
    }

    /// All variables, in an order that depends on the shape only.
    pub fn named(&self) -> Vec<(String, Var)> {
        let lstm = self.lstm.iter().enumerate().flat_map(|(l, layer)| {
            let named = layer.named().into_iter();
            named.map(move |(name, var)| (format!("lstm{l}.{name}"), var.clone()))
        });
        lstm.chain([("output.weights".to_string(), self.output.clone()), ("output.bias".to_string(), self.output_bias.clone())]).collect()
    }

    /// The same values in variables of their own.
    pub fn copy(&self) -> std::result::Result<RecurrentVariables, Error> {
        RecurrentVariables::from_model(&self.to_model()?)
    }

    /// All zeros.
    pub fn state(&self, streams: usize) -> Vec<LstmState> {
        self.lstm.iter().map(|layer| layer.state(streams)).collect()
    }

    /// Logits, (rows, symbols), for symbols ordered by step, then stream. `state` has one for each layer and goes on.
    pub fn forward(
        &self,
        symbols: &[u32],
        streams: usize,
        state: &mut [LstmState],
        mut dropout: Option<Dropout>,
    ) -> std::result::Result<Tensor, Error> {
        let symbols = Tensor::from_slice(symbols, symbols.len(), &Device::Cpu)?;
        let mut values: Option<Tensor> = None;
        for (layer, state) in self.lstm.iter().zip(state) {
            let input = values.as_ref().map_or(Input::Symbols(&symbols), Input::Values);
            let mut out = layer.forward(input, streams, state)?;
            if let Some(dropout) = dropout.as_mut().filter(|d| d.rate > 0.0) {
                out = out.mul(&dropout.mask(out.dims2()?)?)?;
            }
            values = Some(out);
        }
        match values {
            Some(values) => Ok(values.matmul(&self.output)?.broadcast_add(&self.output_bias)?),
            None => Err(Error::Network("found no LSTM layer, expected at least one".into())),
        }
    }

    /// Sets every variable to the value of the one of the same name.
    pub fn load(&self, values: &std::collections::BTreeMap<String, Tensor>) -> std::result::Result<(), Error> {
        for (name, var) in self.named() {
            let Some(value) = values.get(&name).filter(|v| v.shape() == var.shape()) else {
                return Err(Error::Training(format!("found no {name} of shape {:?} in the checkpoint", var.shape())));
            };
            let value = slices::values(value)?;
            slices::change(&var, |v| v.copy_from_slice(&value))?;
        }
        Ok(())
    }
}

impl Dropout<'_> {
    /// Zero with probability `rate`, which a byte draws, else what keeps the mean.
    fn mask(&mut self, (rows, columns): (usize, usize)) -> Result<Tensor> {
        // at most 255 of 256
        let limit = (self.rate * 256.0).round().clamp(0.0, 255.0) as u8;
        let keep = 256.0 / (256.0 - f32::from(limit));
        let mut bytes = vec![0u8; rows * columns];
        self.rng.fill(&mut bytes[..]);
        let mask: Vec<f32> = bytes.iter().map(|b| if *b < limit { 0.0 } else { keep }).collect();
        Tensor::from_vec(mask, (rows, columns), &Device::Cpu)
    }
}
