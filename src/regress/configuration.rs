//! A configuration: an accelerator, networks for it, and what is done with them, as data.

use lacuna_compress::model::{Candidate, Conv};
use lacuna_compress::spec::Arch;
use serde::{Deserialize, Serialize};

/// All that a run depends on, the Verilog's generator aside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// `eie-0007`: datapath and number.
    pub name: String,
    /// Of weights, inputs, initial states and stalls.
    pub seed: u64,
    pub door: DoorKind,
    pub accelerator: Arch,
    pub networks: Vec<Network>,
    pub runs: Vec<Run>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DoorKind {
    Axi,
    Preload,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Network {
    Layers(Layers),
    Recurrent(Lstms),
}

/// Layers from one start (EIE).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layers {
    /// Inputs of a first layer that is no convolution.
    pub inputs: usize,
    /// Rows are dealt to the PEs by their work.
    pub balanced: bool,
    pub layers: Vec<Layer>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    pub rows: usize,
    pub pattern: Pattern,
    /// Share of the places of [`Pattern::Random`] that have a weight.
    pub density: f64,
    pub values: Values,
    pub weight_fraction: i32,
    /// Results reach from `-reach` to `reach` as far as the formats know: beyond, they saturate.
    pub reach: f64,
    pub relu: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conv: Option<Conv>,
}

/// LSTM layers, then fully connected ones (ESE).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lstms {
    pub inputs: usize,
    /// Columns of the next input that wait until the last projection is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<usize>,
    /// Of inputs, cells, projections and layers, as far as the formats know.
    pub reach: f64,
    /// Of the biases of gates: large ones drive them to where the tables are flat.
    pub bias: f64,
    pub lstm: Vec<Lstm>,
    #[serde(default)]
    pub layers: Vec<Linear>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lstm {
    pub cells: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection: Option<usize>,
    pub peepholes: bool,
    pub candidate: Candidate,
    pub pattern: Pattern,
    pub density: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    pub rows: usize,
    pub pattern: Pattern,
    pub density: f64,
    pub relu: bool,
}

/// Where a matrix has weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// Anywhere, a fifth of the columns empty.
    Random,
    Full,
    /// Nowhere but in every eighth column.
    EmptyColumns,
    /// In the last row only.
    LastRow,
    /// In the first row only: each entry follows one of the same accumulator.
    OneRow,
    /// In the rows of one PE only.
    OnePe,
    /// Behind runs of zeros that just fit their field, just do not, or need padding twice.
    Runs,
    /// In turn eight full columns, which fill the queues, and eight empty ones.
    Bursts,
    Nowhere,
}

impl Pattern {
    pub const ALL: [Pattern; 9] = [
        Pattern::Random,
        Pattern::Full,
        Pattern::EmptyColumns,
        Pattern::LastRow,
        Pattern::OneRow,
        Pattern::OnePe,
        Pattern::Runs,
        Pattern::Bursts,
        Pattern::Nowhere,
    ];
}

/// Which weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Values {
    Mixed,
    /// The least and the largest.
    Extreme,
    /// -1 and 1.
    Units,
}

/// Which inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    Zero,
    /// Only the last value is not 0.
    Last,
    /// All are the most negative.
    Least,
    /// The most negative and the largest.
    Extreme,
    Sparse,
    Dense,
}

/// What is done with one of the networks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Of inputs and stalls.
    pub seed: u64,
    /// Number of the network. Another one than that of the run before is loaded.
    pub network: usize,
    pub input: Input,
    /// Vectors: one after the other through layers, or the steps of each channel's sequence.
    pub vectors: usize,
    /// Percent of the cycles in which the bus master pauses.
    pub bus_stalls: u32,
    /// ... in which the input stream pauses, and the output stream (ESE).
    #[serde(default)]
    pub input_stalls: u32,
    #[serde(default)]
    pub output_stalls: u32,
    /// Every c and h is compared after each step, not only outputs (ESE).
    #[serde(default)]
    pub states: bool,
    /// Sequences of different lengths, which go on from the state that is there (ESE).
    #[serde(default)]
    pub uneven: bool,
    /// Before it the host reads and writes every register and memory, tries what is refused, and loads the weights again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub visit: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disturbance: Option<Disturbance>,
}

/// What breaks off a run; afterwards the same must come out as without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disturbance {
    pub what: Break,
    /// When, in thousandths of the run's cycles.
    pub at: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Break {
    Reset,
    /// EIE: by the register.
    Abort,
    /// EIE: a write into the weights while they are in use, which must be refused and change nothing.
    Write,
    /// ESE: steps are stopped, and go on.
    Stop,
}

impl Configuration {
    pub fn ese(&self) -> bool {
        self.accelerator.ese.is_some()
    }

    pub fn datapath(&self) -> &'static str {
        if self.ese() {
            "ese"
        } else {
            "eie"
        }
    }

    /// What `--filter` looks at: the name, and words for what is in the configuration.
    pub fn label(&self) -> String {
        let a = &self.accelerator;
        let mut words = vec![self.name.clone(), format!("pes={}", a.pes), format!("fifo={}", a.fifo_depth)];
        words.push(format!("{:?}", a.weights).to_lowercase());
        words.extend(a.conv.then(|| "conv".to_string()));
        words.push(format!("{:?}", self.door).to_lowercase());
        for network in &self.networks {
            let patterns: Vec<Pattern> = match network {
                Network::Layers(n) => n.layers.iter().map(|l| l.pattern).collect(),
                Network::Recurrent(n) => n.lstm.iter().map(|l| l.pattern).chain(n.layers.iter().map(|l| l.pattern)).collect(),
            };
            words.extend(patterns.iter().map(word));
        }
        for run in &self.runs {
            words.push(word(&run.input));
            words.extend(run.disturbance.iter().map(|d| word(&d.what)));
            words.extend((run.bus_stalls + run.input_stalls + run.output_stalls > 0).then(|| "stalls".to_string()));
        }
        let mut seen = std::collections::BTreeSet::new();
        words.retain(|word| seen.insert(word.clone()));
        words.join(" ")
    }
}

/// A unit variant as the files have it.
pub fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(String::from)).unwrap_or_default()
}

/// A choice as its flag takes it.
pub fn flag(value: &impl clap::ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_string())
}
