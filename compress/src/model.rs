//! The stages of a model as types: each arrow `Dense -> Pruned -> Quantized -> Encoded` is one function.

/// A matrix of `rows x columns` (outputs x inputs) in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    pub rows: usize,
    pub columns: usize,
    /// `data[row * columns + column]`
    pub data: Vec<f32>,
}

impl Matrix {
    pub fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.columns..(row + 1) * self.columns]
    }
    pub fn nonzeros(&self) -> usize {
        self.data.iter().filter(|w| **w != 0.0).count()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    Relu,
    None,
}

/// A fully connected layer `act(weights x + bias)`. The bias has one value per row.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseLayer {
    pub name: String,
    pub weights: Matrix,
    pub bias: Vec<f32>,
    pub activation: Activation,
}

/// A network as imported; pruning makes another one of it, with more zeros.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    pub layers: Vec<DenseLayer>,
}

impl Dense {
    pub fn inputs(&self) -> usize {
        self.layers.first().map_or(0, |l| l.weights.columns)
    }
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |l| l.weights.rows)
    }
    /// Weights and biases.
    pub fn parameters(&self) -> usize {
        self.layers.iter().map(|l| l.weights.data.len() + l.bias.len()).sum()
    }
}

/// One non-zero of a quantized matrix: its row, and its code (codebook) or value (direct).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonzero {
    pub row: u32,
    /// Codebook: the code, never 0. Direct: the fixed-point weight, never 0.
    pub weight: i32,
}

/// A layer whose weights are integers.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedLayer {
    pub name: String,
    pub rows: usize,
    /// The non-zeros of each column, by ascending row.
    pub columns: Vec<Vec<Nonzero>>,
    /// Shared weights by code, `2^weight_bits` of them, code 0 = 0; none when weights are direct.
    pub codebook: Option<Vec<i16>>,
    /// Fraction length of the codebook's (or the direct) values.
    pub weight_fraction: i32,
    pub bias: Vec<f32>,
    pub activation: Activation,
}

impl QuantizedLayer {
    /// The integer value of a stored weight.
    pub fn value(&self, weight: i32) -> i64 {
        match &self.codebook {
            Some(table) => i64::from(table[weight as usize]),
            None => i64::from(weight),
        }
    }
    pub fn nonzeros(&self) -> usize {
        self.columns.iter().map(Vec::len).sum()
    }
}
