//! An LSTM layer as variables. Its matrices are stored with inputs in rows and the gates i f g o in blocks of columns.

use super::sequence::{sequence, LstmState, Size};
use crate::model::{Candidate, LstmLayer, Matrix};
use candle_core::{Device, Result, Tensor, Var};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// The variables of an LSTM layer.
#[derive(Clone, Debug)]
pub struct LstmVariables {
    /// (inputs, 4 cells)
    pub input: Var,
    /// (hidden, 4 cells)
    pub hidden: Var,
    /// (4 cells)
    pub bias: Var,
    /// (3, cells), of the gates i f o.
    pub peepholes: Option<Var>,
    /// (cells, hidden)
    pub projection: Option<Var>,
    pub candidate: Candidate,
}

/// What a layer reads.
pub enum Input<'a> {
    /// One symbol in each row: its row of the input matrix is looked up.
    Symbols(&'a Tensor),
    /// (rows, inputs)
    Values(&'a Tensor),
}

/// Uniform between `-bound` and `bound`.
pub(super) fn uniform(rng: &mut ChaCha8Rng, rows: usize, columns: usize, bound: f32) -> Result<Var> {
    let values: Vec<f32> = (0..rows * columns).map(|_| rng.random_range(-bound..bound)).collect();
    Var::from_vec(values, (rows, columns), &Device::Cpu)
}

impl LstmVariables {
    /// Random weights as PyTorch's: uniform up to one over the root of the cells. The bias is zero, of gate f one.
    pub fn new(inputs: usize, cells: usize, projection: Option<usize>, peepholes: bool, rng: &mut ChaCha8Rng) -> Result<LstmVariables> {
        let hidden = projection.unwrap_or(cells);
        let bound = 1.0 / (cells as f32).sqrt();
        let bias: Vec<f32> = (0..4 * cells).map(|k| if k / cells == 1 { 1.0 } else { 0.0 }).collect();
        Ok(LstmVariables {
            input: uniform(rng, inputs, 4 * cells, bound)?,
            hidden: uniform(rng, hidden, 4 * cells, bound)?,
            bias: Var::from_vec(bias, 4 * cells, &Device::Cpu)?,
            peepholes: peepholes.then(|| uniform(rng, 3, cells, bound)).transpose()?,
            projection: projection.map(|hidden| uniform(rng, cells, hidden, bound)).transpose()?,
            candidate: Candidate::Tanh,
        })
    }

    pub fn from_model(layer: &LstmLayer) -> Result<LstmVariables> {
        let bias = layer.bias.concat();
        let matrix = |m: &Matrix| Tensor::from_slice(&m.data, (m.rows, m.columns), &Device::Cpu)?.t()?.contiguous();
        let gates = |gates: &[Matrix; 4]| {
            let parts = gates.iter().map(matrix).collect::<Result<Vec<_>>>()?;
            Var::from_tensor(&Tensor::cat(&parts, 1)?)
        };
        let peepholes = layer.peepholes.as_ref().map(|p| Var::from_vec(p.concat(), (3, layer.cells()), &Device::Cpu));
        Ok(LstmVariables {
            input: gates(&layer.input_weights)?,
            hidden: gates(&layer.hidden_weights)?,
            bias: Var::from_vec(bias, 4 * layer.cells(), &Device::Cpu)?,
            peepholes: peepholes.transpose()?,
            projection: layer.projection.as_ref().map(|p| Var::from_tensor(&matrix(p)?)).transpose()?,
            candidate: layer.candidate,
        })
    }

    pub fn to_model(&self, name: &str) -> Result<LstmLayer> {
        let matrix = |t: &Tensor| {
            let (columns, rows) = t.dims2()?;
            Ok::<_, candle_core::Error>(Matrix { rows, columns, data: t.t()?.flatten_all()?.to_vec1()? })
        };
        let cells = self.cells();
        let gates = |var: &Var| {
            let blocks = [0, 1, 2, 3].map(|g| matrix(&var.narrow(1, g * cells, cells)?));
            let [i, f, g, o] = blocks;
            Ok::<_, candle_core::Error>([i?, f?, g?, o?])
        };
        let bias = self.bias.to_vec1::<f32>()?;
        let peepholes = self.peepholes.as_ref().map(|p| p.to_vec2::<f32>()).transpose()?;
        Ok(LstmLayer {
            name: name.to_string(),
            input_weights: gates(&self.input)?,
            hidden_weights: gates(&self.hidden)?,
            bias: [0, 1, 2, 3].map(|g| bias[g * cells..(g + 1) * cells].to_vec()),
            peepholes: peepholes.map(|p| [0, 1, 2].map(|g| p[g].clone())),
            projection: self.projection.as_ref().map(|p| matrix(p)).transpose()?,
            candidate: self.candidate,
        })
    }

    pub fn cells(&self) -> usize {
        self.bias.elem_count() / 4
    }

    /// Values of h.
    pub fn outputs(&self) -> usize {
        self.projection.as_ref().map_or(self.cells(), |p| p.dims()[1])
    }

    /// All zeros.
    pub fn state(&self, streams: usize) -> LstmState {
        LstmState { h: vec![0.0; streams * self.outputs()], c: vec![0.0; streams * self.cells()] }
    }

    /// The variables, each with its name.
    pub fn named(&self) -> Vec<(&'static str, &Var)> {
        let always = [("input", &self.input), ("hidden", &self.hidden), ("bias", &self.bias)];
        let sometimes = [("peepholes", &self.peepholes), ("projection", &self.projection)];
        always.into_iter().chain(sometimes.into_iter().filter_map(|(name, var)| Some((name, var.as_ref()?)))).collect()
    }

    /// h of every step and stream, (rows, hidden), for rows ordered by step, then stream. No gradient flows back through `state`,
    /// which becomes that behind the last step.
    pub fn forward(&self, input: Input, streams: usize, state: &mut LstmState) -> Result<Tensor> {
        let sums = match input {
            Input::Symbols(symbols) => self.input.broadcast_add(&self.bias)?.index_select(symbols, 0)?,
            Input::Values(values) => values.matmul(&self.input)?.broadcast_add(&self.bias)?,
        };
        let size = Size { cells: self.cells(), hidden: self.outputs(), projected: self.projection.is_some() };
        let peepholes = match &self.peepholes {
            Some(peepholes) => peepholes.flatten_all()?,
            None => Tensor::zeros(3 * size.cells, candle_core::DType::F32, &Device::Cpu)?,
        };
        let rest = match &self.projection {
            Some(projection) => Tensor::cat(&[&peepholes, &projection.flatten_all()?], 0)?,
            None => peepholes,
        };
        let scale = match self.candidate {
            Candidate::Tanh => 2.0,
            Candidate::Sigmoid => 1.0,
        };
        sequence(&sums, &self.hidden, &rest, size, streams, scale, state)
    }
}
