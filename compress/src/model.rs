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

/// What makes a layer a convolution: where its patches come from, and the pooling behind it.
///
/// The filters stand over every place of the input where they fit as a whole, `stride` apart; there is no padding. Of each
/// `pool` x `pool` square of results, the squares side by side, the largest is kept; rows and columns of results that
/// fill no square are not computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv {
    /// Of the input: channels, rows and columns of each.
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    /// Rows and columns of a filter.
    pub kernel: [usize; 2],
    /// At least 1, the same both ways.
    pub stride: usize,
    /// At least 1, which keeps every result.
    pub pool: usize,
}

impl Conv {
    /// Most channels, rows and columns of a map, rows and columns of a filter; largest stride and pooling.
    pub const MAX_SIDE: usize = 65_535;

    /// Every rule that the numbers keep among themselves; the other functions may be called only if they do. The error says
    /// what was found and expected.
    pub fn check(&self) -> Result<(), String> {
        let [rows, columns] = self.kernel;
        for (what, value) in [
            ("channels", self.channels),
            ("rows of its input", self.height),
            ("columns of its input", self.width),
            ("rows of a filter", rows),
            ("columns of a filter", columns),
            ("stride", self.stride),
            ("pool", self.pool),
        ] {
            if !(1..=Conv::MAX_SIDE).contains(&value) {
                return Err(format!("found {value} for {what}, expected 1 to 65,535"));
            }
        }
        if rows > self.height || columns > self.width {
            return Err(format!("found filters of {rows} x {columns}, expected at most its input, {} x {}", self.height, self.width));
        }
        let [down, across] = self.places();
        if self.pool > down.min(across) {
            return Err(format!("found pool {}, expected at most {}: there are {down} x {across} results", self.pool, down.min(across)));
        }
        Ok(())
    }
    /// Rows and columns of results before pooling.
    pub fn places(&self) -> [usize; 2] {
        let places = |size: usize, kernel: usize| (size - kernel) / self.stride + 1;
        [places(self.height, self.kernel[0]), places(self.width, self.kernel[1])]
    }
    /// Rows and columns of results after pooling.
    pub fn output(&self) -> [usize; 2] {
        self.places().map(|places| places / self.pool)
    }
    /// Weights of a filter: the columns of the layer's matrix, channel by channel, each row by row.
    pub fn patch(&self) -> usize {
        self.channels * self.kernel[0] * self.kernel[1]
    }
    pub fn inputs(&self) -> usize {
        self.channels * self.height * self.width
    }
}

/// A fully connected layer `act(weights x + bias)`. The bias has one value per row.
///
/// With `conv` it is a convolution: a row is a filter, the columns are its weights in the order channel, row, column, and the
/// activation comes before the pooling. Vectors between layers are in the order channel, row, column too.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseLayer {
    pub name: String,
    pub weights: Matrix,
    pub bias: Vec<f32>,
    pub activation: Activation,
    pub conv: Option<Conv>,
}

impl DenseLayer {
    /// Values of an input vector.
    pub fn inputs(&self) -> usize {
        self.conv.map_or(self.weights.columns, |conv| conv.inputs())
    }
    /// Values of an output vector.
    pub fn outputs(&self) -> usize {
        self.weights.rows * self.conv.map_or(1, |conv| conv.output().iter().product())
    }
}

/// A network as imported; pruning makes another one of it, with more zeros.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    pub layers: Vec<DenseLayer>,
}

impl Dense {
    /// Share of the weights that are not zero.
    pub fn density(&self) -> f64 {
        let all: usize = self.layers.iter().map(|l| l.weights.data.len()).sum();
        self.layers.iter().map(|l| l.weights.nonzeros()).sum::<usize>() as f64 / all.max(1) as f64
    }
    pub fn inputs(&self) -> usize {
        self.layers.first().map_or(0, DenseLayer::inputs)
    }
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, DenseLayer::outputs)
    }
    /// Weights and biases.
    pub fn parameters(&self) -> usize {
        self.layers.iter().map(|l| l.weights.data.len() + l.bias.len()).sum()
    }
}

/// The function of the candidate gate g.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Candidate {
    #[default]
    Tanh,
    Sigmoid,
}

/// Gates in the order that Lacuna keeps them, whatever that of a model file is.
pub const GATES: [char; 4] = ['i', 'f', 'g', 'o'];

/// An LSTM layer (`i f g o`, see [`GATES`]; peepholes `i f o`):
///
/// ```text
/// i = sigmoid(Wxi x + Whi h' + pi c' + bi)   f = sigmoid(Wxf x + Whf h' + pf c' + bf)
/// g = candidate(Wxg x + Whg h' + bg)         c = f c' + i g
/// o = sigmoid(Wxo x + Who h' + po c + bo)    m = o tanh(c)      h = P m, or m
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LstmLayer {
    pub name: String,
    /// Of each gate, cells x inputs.
    pub input_weights: [Matrix; 4],
    /// Of each gate, cells x hidden.
    pub hidden_weights: [Matrix; 4],
    /// Of each gate, one value per cell; what a framework adds at run time (a forget bias) is in it.
    pub bias: [Vec<f32>; 4],
    /// Of the gates i f o, one value per cell.
    pub peepholes: Option<[Vec<f32>; 3]>,
    /// hidden x cells; without one h is m.
    pub projection: Option<Matrix>,
    pub candidate: Candidate,
}

impl LstmLayer {
    pub fn inputs(&self) -> usize {
        self.input_weights[0].columns
    }
    pub fn cells(&self) -> usize {
        self.input_weights[0].rows
    }
    /// Values of h.
    pub fn hidden(&self) -> usize {
        self.projection.as_ref().map_or(self.cells(), |p| p.rows)
    }
    /// Weights, biases and peepholes.
    pub fn parameters(&self) -> usize {
        let gates = self.input_weights.iter().chain(&self.hidden_weights).chain(&self.projection);
        let vectors = self.bias.iter().chain(self.peepholes.iter().flatten());
        gates.map(|m| m.data.len()).sum::<usize>() + vectors.map(Vec::len).sum::<usize>()
    }
}

/// A recurrent network as imported, for one direction of time: LSTM layers, then fully connected ones, all in every step.
#[derive(Clone, Debug, PartialEq)]
pub struct Recurrent {
    /// At least one.
    pub lstm: Vec<LstmLayer>,
    pub layers: Vec<DenseLayer>,
    /// The sequence is to be presented from its last step to its first.
    pub reverse: bool,
}

impl Recurrent {
    pub fn inputs(&self) -> usize {
        self.lstm.first().map_or(0, LstmLayer::inputs)
    }
    pub fn outputs(&self) -> usize {
        self.layers.last().map(|l| l.weights.rows).or(self.lstm.last().map(LstmLayer::hidden)).unwrap_or(0)
    }
    /// Weights, biases and peepholes.
    pub fn parameters(&self) -> usize {
        let dense = self.layers.iter().map(|l| l.weights.data.len() + l.bias.len());
        self.lstm.iter().map(LstmLayer::parameters).chain(dense).sum()
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
    /// As in [`DenseLayer`]: `columns` are the weights of a filter.
    pub conv: Option<Conv>,
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
    /// Values of an input vector.
    pub fn inputs(&self) -> usize {
        self.conv.map_or(self.columns.len(), |conv| conv.inputs())
    }
    /// Values of an output vector.
    pub fn outputs(&self) -> usize {
        self.rows * self.conv.map_or(1, |conv| conv.output().iter().product())
    }
}
