//! `[[model.lstm]]`: the tensors of one LSTM layer in the format that they are stored in.

use super::share;
use crate::model::Candidate;
use serde::{Deserialize, Serialize};

/// Where the weights of an LSTM come from, which fixes their layout and the order of their gates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LstmFormat {
    /// `torch.nn.LSTM`: gates i f g o in rows, two biases.
    PyTorch,
    /// `BasicLSTMCell` and `LSTMCell`: one kernel, gates i j f o in columns, a forget bias that is added at run time.
    TensorFlow,
    /// The ONNX operator `LSTM`: gates i o f c in rows.
    Onnx,
}

impl LstmFormat {
    /// The order of the gates, in the format's own letters.
    pub fn gates(self) -> &'static str {
        match self {
            LstmFormat::PyTorch => "ifgo",
            LstmFormat::TensorFlow => "ijfo",
            LstmFormat::Onnx => "iofc",
        }
    }
    /// Block of the format that holds each of Lacuna's gates (i f g o).
    pub(crate) fn blocks(self) -> [usize; 4] {
        match self {
            LstmFormat::PyTorch => [0, 1, 2, 3],
            LstmFormat::TensorFlow => [0, 2, 1, 3],
            LstmFormat::Onnx => [0, 2, 3, 1],
        }
    }
    fn name(self) -> &'static str {
        match self {
            LstmFormat::PyTorch => "pytorch",
            LstmFormat::TensorFlow => "tensorflow",
            LstmFormat::Onnx => "onnx",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    #[default]
    Forward,
    Reverse,
    Bidirectional,
}

/// How weights are chosen that are set to zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prune {
    /// The largest of each PE's share of a matrix, as many in every PE (ESE, section 3.2).
    #[default]
    LoadBalanced,
    /// The largest of the matrix.
    Magnitude,
}

/// An LSTM layer. Which keys there are depends on the format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LstmConfig {
    /// Different for each layer; empty takes the name of the first tensor or of the node.
    #[serde(default)]
    pub name: String,
    pub format: LstmFormat,
    /// The order of the gates, which must be the format's: said by the user, so that nothing is guessed.
    pub gates: String,
    /// PyTorch: (4 cells, inputs).
    pub weight_ih: Option<String>,
    /// PyTorch: (4 cells, hidden).
    pub weight_hh: Option<String>,
    /// PyTorch: (4 cells).
    pub bias_ih: Option<String>,
    /// PyTorch: (4 cells).
    pub bias_hh: Option<String>,
    /// PyTorch: (hidden, cells), a projection.
    pub weight_hr: Option<String>,
    /// TensorFlow: (inputs + hidden, 4 cells).
    pub kernel: Option<String>,
    /// TensorFlow: (4 cells).
    pub bias: Option<String>,
    /// TensorFlow: what the cell adds to gate f at run time, and no tensor holds.
    pub forget_bias: Option<f64>,
    /// TensorFlow: (cells), peepholes; all three or none.
    pub w_i_diag: Option<String>,
    pub w_f_diag: Option<String>,
    pub w_o_diag: Option<String>,
    /// TensorFlow: (cells, hidden).
    pub projection: Option<String>,
    /// ONNX: name of the node.
    pub node: Option<String>,
    /// None: forward; of a node, as it says.
    pub direction: Option<Direction>,
    /// None: tanh, the only one of PyTorch. A node says it itself.
    pub candidate: Option<Candidate>,
    /// Share of weights to keep, 0 to 1; none leaves the layer as it is.
    pub density: Option<f64>,
    #[serde(default)]
    pub prune: Prune,
    /// Needed only to train the layer from nothing, 1 to 4,096.
    pub cells: Option<usize>,
    /// Values of a projection, 1 to 4,096: the same.
    pub hidden: Option<usize>,
    /// Bidirectional: the tensors of the other direction.
    pub reverse: Option<LstmTensors>,
}

/// The tensors of the reverse direction, as in [`LstmConfig`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LstmTensors {
    pub weight_ih: Option<String>,
    pub weight_hh: Option<String>,
    pub bias_ih: Option<String>,
    pub bias_hh: Option<String>,
    pub weight_hr: Option<String>,
    pub kernel: Option<String>,
    pub bias: Option<String>,
    pub forget_bias: Option<f64>,
    pub w_i_diag: Option<String>,
    pub w_f_diag: Option<String>,
    pub w_o_diag: Option<String>,
    pub projection: Option<String>,
}

impl LstmConfig {
    /// A layer without tensors: the caller names them.
    pub fn new(name: &str, format: LstmFormat) -> LstmConfig {
        LstmConfig {
            name: name.to_string(),
            format,
            gates: format.gates().to_string(),
            weight_ih: None,
            weight_hh: None,
            bias_ih: None,
            bias_hh: None,
            weight_hr: None,
            kernel: None,
            bias: None,
            forget_bias: None,
            w_i_diag: None,
            w_f_diag: None,
            w_o_diag: None,
            projection: None,
            node: None,
            direction: None,
            candidate: None,
            density: None,
            prune: Prune::default(),
            cells: None,
            hidden: None,
            reverse: None,
        }
    }

    /// The name in messages.
    pub fn label(&self) -> &str {
        let tensors = [&self.weight_ih, &self.kernel, &self.node];
        let first = tensors.into_iter().flatten().next().map_or("", String::as_str);
        if self.name.is_empty() {
            first
        } else {
            &self.name
        }
    }

    /// Does it name a projection?
    pub fn projects(&self) -> bool {
        self.weight_hr.is_some() || self.projection.is_some()
    }

    /// The tensors of the layer, for a bidirectional one those of its forward direction.
    pub fn tensors(&self) -> LstmTensors {
        LstmTensors {
            weight_ih: self.weight_ih.clone(),
            weight_hh: self.weight_hh.clone(),
            bias_ih: self.bias_ih.clone(),
            bias_hh: self.bias_hh.clone(),
            weight_hr: self.weight_hr.clone(),
            kernel: self.kernel.clone(),
            bias: self.bias.clone(),
            forget_bias: self.forget_bias,
            w_i_diag: self.w_i_diag.clone(),
            w_f_diag: self.w_f_diag.clone(),
            w_o_diag: self.w_o_diag.clone(),
            projection: self.projection.clone(),
        }
    }

    /// Every rule that needs no model file. `where_` names the table in messages.
    pub(super) fn check(&self, where_: &str) -> Result<(), String> {
        let (format, order) = (self.format.name(), self.format.gates());
        if self.gates != order {
            return Err(format!("{where_}: gates is \"{}\", expected \"{order}\", the order of format {format}", self.gates));
        }
        if let Some(density) = self.density {
            share(&format!("{where_}: density"), density)?;
        }
        if self.format == LstmFormat::Onnx && self.node.is_none() {
            return Err(format!("{where_}: found no node, expected the name of an LSTM node of the file"));
        }
        if self.format != LstmFormat::Onnx && self.node.is_some() {
            return Err(format!("{where_}: node is a key of format onnx, found with format {format}"));
        }
        if self.format == LstmFormat::Onnx && self.candidate.is_some() {
            return Err(format!("{where_}: found candidate, expected none with format onnx: the node's activations say it"));
        }
        if self.format == LstmFormat::PyTorch && self.candidate == Some(Candidate::Sigmoid) {
            return Err(format!("{where_}: candidate is \"sigmoid\", expected \"tanh\" with format pytorch: torch.nn.LSTM has no other"));
        }
        self.tensors().check(where_, self.format)?;
        for (key, number) in [("cells", self.cells), ("hidden", self.hidden)] {
            if let Some(number) = number.filter(|n| !(1..=4096).contains(n)) {
                return Err(format!("{where_}: {key} is {number}, expected 1 to 4,096"));
            }
        }
        if self.hidden.is_some() && !self.projects() {
            return Err(format!("{where_}: found hidden, expected weight_hr or projection beside it: without them it is cells"));
        }
        let bidirectional = self.direction == Some(Direction::Bidirectional);
        match (&self.reverse, self.format) {
            (Some(_), LstmFormat::Onnx) => {
                Err(format!("{where_}: found a reverse table, expected none with format onnx: the node has both directions"))
            }
            (Some(reverse), format) if bidirectional => reverse.check(&format!("{where_}, reverse"), format),
            (Some(_), _) => Err(format!("{where_}: found a reverse table, expected none unless direction is \"bidirectional\"")),
            (None, LstmFormat::Onnx) => Ok(()),
            (None, _) if bidirectional => {
                Err(format!("{where_}: direction is \"bidirectional\", expected a reverse table with the tensors of the other direction"))
            }
            (None, _) => Ok(()),
        }
    }
}

impl LstmTensors {
    /// The keys that are given, each with the format that it belongs to.
    fn given(&self) -> Vec<(&'static str, LstmFormat)> {
        use LstmFormat::{PyTorch, TensorFlow};
        let keys = [
            ("weight_ih", PyTorch, self.weight_ih.is_some()),
            ("weight_hh", PyTorch, self.weight_hh.is_some()),
            ("bias_ih", PyTorch, self.bias_ih.is_some()),
            ("bias_hh", PyTorch, self.bias_hh.is_some()),
            ("weight_hr", PyTorch, self.weight_hr.is_some()),
            ("kernel", TensorFlow, self.kernel.is_some()),
            ("bias", TensorFlow, self.bias.is_some()),
            ("forget_bias", TensorFlow, self.forget_bias.is_some()),
            ("w_i_diag", TensorFlow, self.w_i_diag.is_some()),
            ("w_f_diag", TensorFlow, self.w_f_diag.is_some()),
            ("w_o_diag", TensorFlow, self.w_o_diag.is_some()),
            ("projection", TensorFlow, self.projection.is_some()),
        ];
        keys.into_iter().filter(|(_, _, given)| *given).map(|(key, format, _)| (key, format)).collect()
    }

    fn check(&self, where_: &str, format: LstmFormat) -> Result<(), String> {
        let given = self.given();
        if let Some((key, of)) = given.iter().find(|(_, of)| *of != format) {
            return Err(format!("{where_}: {key} is a key of format {}, found with format {}", of.name(), format.name()));
        }
        let needed: &[&str] = match format {
            LstmFormat::PyTorch => &["weight_ih", "weight_hh"],
            LstmFormat::TensorFlow => &["kernel", "bias", "forget_bias"],
            LstmFormat::Onnx => &[],
        };
        let has = |key: &str| given.iter().any(|(k, _)| *k == key);
        if let Some(missing) = needed.iter().find(|key| !has(key)) {
            return Err(format!("{where_}: found no {missing}, which format {} needs", format.name()));
        }
        let peepholes = ["w_i_diag", "w_f_diag", "w_o_diag"];
        let found: Vec<&str> = peepholes.into_iter().filter(|key| has(key)).collect();
        if !found.is_empty() && found.len() < peepholes.len() {
            return Err(format!("{where_}: found {} only, expected all of {} or none", found.join(" and "), peepholes.join(", ")));
        }
        match self.forget_bias {
            Some(bias) if !bias.is_finite() => Err(format!("{where_}: forget_bias is {bias}, expected a finite number")),
            _ => Ok(()),
        }
    }
}
