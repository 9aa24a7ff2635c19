//! The one configuration file, in TOML: what the accelerator is, and how a model is compressed for it.
//!
//! Unknown keys are refused; every key has a default or may be left out, but those that say where a layer's weights are.
//! Paths are relative to the file. [`Config::load`] checks every limit, the accelerator's by
//! [`Arch::validate`], so that the rules stand in one place.

mod conv;
mod lstm;
mod pruning;
mod train;

pub use conv::ConvConfig;
pub use lstm::{Direction, LstmConfig, LstmFormat, LstmTensors, Prune};
pub use train::{Criterion, OptimizerKind, PruneConfig, PruneSchedule, ScheduleKind, ShareConfig, TrainConfig};

use crate::error::Error;
use crate::model::Activation;
use crate::prune::Grain;
use crate::spec::{arch::Ese, Arch, WeightForm};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub accelerator: AcceleratorConfig,
    pub model: ModelConfig,
    pub compress: CompressConfig,
    pub input: InputConfig,
    pub train: TrainConfig,
    pub prune: PruneConfig,
    pub share: ShareConfig,
    /// The folder of the file, which its paths are relative to.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// [`Arch`] with depths that may be left to the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AcceleratorConfig {
    /// Processing elements, 1 to 256.
    pub pes: usize,
    /// Columns that a PE can hold that were broadcast and not yet started, 1 to 64.
    pub fifo_depth: usize,
    pub weights: WeightForm,
    /// Bits of a weight code (codebook: 2 to 8) or of a weight (direct: 2 to 16).
    pub weight_bits: usize,
    /// Bits of the zero run of an entry, 2 to 8.
    pub run_bits: Auto<usize>,
    /// Entries in one word of the sparse-matrix memory: 1, 2, 4, 8 or 16.
    pub entries_per_word: usize,
    /// Words of the sparse-matrix memory of a PE, 1 to 1,048,576.
    pub spmat_depth: Auto<usize>,
    /// Pointers in each bank of a PE, 1 to 1,048,576.
    pub ptr_depth: Auto<usize>,
    /// Activations in each buffer of a PE, 1 to 65,535.
    pub act_depth: Auto<usize>,
    /// Accumulators of a PE, 1 to 65,535.
    pub acc_depth: Auto<usize>,
    /// Biases of a PE over all layers, 1 to 65,536.
    pub bias_depth: Auto<usize>,
    /// Layers that one start can run, 1 to 16.
    pub max_layers: Auto<usize>,
    /// Bits of an accumulator, 24 to 48.
    pub acc_bits: usize,
    /// The ESE datapath; see [`Config::ese`].
    pub ese: Option<EseConfig>,
}

/// [`Ese`] with depths that may be left to the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EseConfig {
    /// Sequences that run side by side on the same weights, 1 to 32.
    pub channels: usize,
    /// Cells of all LSTM layers, 1 to 65,535.
    pub cell_depth: Auto<usize>,
    /// Most values of an input vector, 1 to 65,535.
    pub input_depth: Auto<usize>,
    /// Most values of an output vector, 1 to 65,535.
    pub output_depth: Auto<usize>,
}

/// Where the trained network is, and which of its tensors are layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// `.safetensors`, `.npz` or `.onnx`.
    pub file: PathBuf,
    /// Channels, rows and columns of a sample; must be given if the first layer is a convolution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<[usize; 3]>,
    /// LSTM layers from the input on; with one, the datapath is ESE's.
    pub lstm: Vec<LstmConfig>,
    /// Convolutions and fully connected layers to the output, behind the LSTM layers; without those at least one when a model is loaded.
    pub layer: Vec<LayerConfig>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerConfig {
    /// Different for each layer; empty takes the name of the weights or of the node.
    #[serde(default)]
    pub name: String,
    /// Name of a tensor with two axes, or four with `conv`; empty with `node`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub weights: String,
    /// Of an `.onnx` file: the name of a `Gemm`, or of a `MatMul`, whose bias is that of an `Add` behind it.
    #[serde(default)]
    pub node: Option<String>,
    /// Name of a tensor with one value per output; none is zero.
    #[serde(default)]
    pub bias: Option<String>,
    /// 0 for (out, in), 1 for (in, out).
    #[serde(default)]
    pub output_axis: usize,
    /// ReLU unless said otherwise, also for the last layer.
    #[serde(default = "relu")]
    pub activation: Activation,
    /// Share of weights to keep, 0 to 1; none leaves the layer as it is.
    #[serde(default)]
    pub density: Option<f64>,
    /// Outputs, or filters of a convolution: needed only to train the layer from nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<usize>,
    /// Instead of `density`: keep weights of at least this many standard deviations of the layer's weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<f64>,
    /// What stays or goes as one.
    #[serde(default)]
    pub grain: Grain,
    /// The layer is a convolution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conv: Option<ConvConfig>,
}

fn relu() -> Activation {
    Activation::Relu
}

impl LayerConfig {
    /// A layer with every default.
    pub fn new(name: &str, weights: &str) -> LayerConfig {
        LayerConfig {
            name: name.to_string(),
            weights: weights.to_string(),
            node: None,
            bias: None,
            output_axis: 0,
            activation: relu(),
            density: None,
            outputs: None,
            quality: None,
            grain: Grain::Weight,
            conv: None,
        }
    }
    /// The same from a node of an `.onnx` file.
    pub fn from_node(name: &str, node: &str) -> LayerConfig {
        LayerConfig { node: Some(node.to_string()), ..LayerConfig::new(name, "") }
    }
    /// The name in messages.
    pub fn label(&self) -> &str {
        match &self.node {
            _ if !self.name.is_empty() => &self.name,
            Some(node) if self.weights.is_empty() => node,
            _ => &self.weights,
        }
    }
    fn check(&self, key: &str) -> Result<(), String> {
        match (&self.node, self.weights.is_empty()) {
            (None, true) => return Err(format!("{key}: found no weights, expected the name of a tensor, or node and the name of a node")),
            (Some(_), false) => return Err(format!("{key}: found both weights and node, expected one of them")),
            (Some(_), true) if self.bias.is_some() => {
                return Err(format!("{key}: found bias, expected none with node: the bias of the graph is taken"));
            }
            (Some(_), true) if self.output_axis != 0 => {
                return Err(format!("{key}: found output_axis, expected none with node: the graph says it"));
            }
            _ => {}
        }
        if self.output_axis > 1 {
            return Err(format!("{key}: output_axis is {}, expected 0 for (out, in) or 1 for (in, out)", self.output_axis));
        }
        if self.outputs == Some(0) {
            return Err(format!("{key}: outputs is 0, expected at least 1"));
        }
        self.check_pruning(key)
    }
}

/// Where k-means starts (Deep Compression, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CodebookInit {
    /// Evenly spaced from the smallest to the largest weight: keeps the large ones.
    Linear,
    /// Evenly spaced over the sorted weights.
    Density,
    /// Weights drawn at random (Forgy).
    Random,
    /// None: the shared weights of least square error are computed.
    Optimal,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompressConfig {
    pub codebook_init: CodebookInit,
    /// Most iterations, 0 to 10,000.
    pub kmeans_iterations: usize,
    /// 0 to 2^63 - 1, as TOML has no larger number.
    pub seed: u64,
    /// Assign rows to PEs so that their work is equal.
    pub balance: bool,
    /// Share of non-zero activations that balance and `auto` assume, 0 to 1.
    pub activation_density: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InputConfig {
    /// Samples to run.
    pub file: Option<PathBuf>,
    /// Array in a file with several.
    pub tensor: Option<String>,
    /// A value is `raw * scale + offset`: finite, not 0.
    pub scale: f64,
    /// Finite.
    pub offset: f64,
    /// Samples that set the ranges of the activations.
    pub calibration: Option<PathBuf>,
    /// How many of them to use, from the first; at least 1.
    pub calibration_samples: usize,
    /// The class of each sample in `file`.
    pub labels: Option<PathBuf>,
}

impl Default for AcceleratorConfig {
    fn default() -> Self {
        AcceleratorConfig {
            pes: 8,
            fifo_depth: 8,
            weights: WeightForm::Codebook,
            weight_bits: 4,
            run_bits: Auto::Auto,
            entries_per_word: 2,
            spmat_depth: Auto::Auto,
            ptr_depth: Auto::Auto,
            act_depth: Auto::Auto,
            acc_depth: Auto::Auto,
            bias_depth: Auto::Auto,
            max_layers: Auto::Auto,
            acc_bits: 40,
            ese: None,
        }
    }
}

impl Default for EseConfig {
    fn default() -> Self {
        EseConfig { channels: 1, cell_depth: Auto::Auto, input_depth: Auto::Auto, output_depth: Auto::Auto }
    }
}

impl Default for ModelConfig {
    fn default() -> Self {
        ModelConfig { file: "model.safetensors".into(), input: None, lstm: Vec::new(), layer: Vec::new() }
    }
}

impl Default for CompressConfig {
    fn default() -> Self {
        CompressConfig { codebook_init: CodebookInit::Linear, kmeans_iterations: 300, seed: 1, balance: false, activation_density: 0.4 }
    }
}

impl Default for InputConfig {
    fn default() -> Self {
        InputConfig { file: None, tensor: None, scale: 1.0, offset: 0.0, calibration: None, calibration_samples: 256, labels: None }
    }
}

/// `"auto"`, or a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auto<T> {
    #[default]
    Auto,
    Fixed(T),
}

impl<T: Copy> Auto<T> {
    /// The number, or `auto`.
    pub fn or(self, auto: T) -> T {
        match self {
            Auto::Auto => auto,
            Auto::Fixed(number) => number,
        }
    }
}

impl<T: Serialize> Serialize for Auto<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Auto::Auto => serializer.serialize_str("auto"),
            Auto::Fixed(number) => number.serialize(serializer),
        }
    }
}

impl<'de, T: TryFrom<i64>> Deserialize<'de> for Auto<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AutoVisitor<T>(std::marker::PhantomData<T>);
        impl<T: TryFrom<i64>> Visitor<'_> for AutoVisitor<T> {
            type Value = Auto<T>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("\"auto\" or a whole number from 0")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Auto<T>, E> {
                if text == "auto" {
                    Ok(Auto::Auto)
                } else {
                    Err(E::invalid_value(de::Unexpected::Str(text), &self))
                }
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Auto<T>, E> {
                T::try_from(number).map(Auto::Fixed).map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Auto<T>, E> {
                let signed = i64::try_from(number).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))?;
                self.visit_i64(signed)
            }
        }
        deserializer.deserialize_any(AutoVisitor(std::marker::PhantomData))
    }
}

impl Config {
    /// Reads and checks a file. The error names the file, and the line or the key.
    pub fn load(path: &Path) -> Result<Config, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::File { path: path.to_path_buf(), source })?;
        Config::parse(&text, path)
    }

    /// The same from the text of the file `path`, which need not exist.
    pub fn parse(text: &str, path: &Path) -> Result<Config, Error> {
        let wrong = |fault: String| Error::Config { path: path.to_path_buf(), fault };
        let mut config: Config = toml::from_str(text).map_err(|e| wrong(e.to_string()))?;
        config.check().map_err(wrong)?;
        config.folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Ok(config)
    }

    /// What `lacuna init` writes: every key with its default and its limits.
    pub fn commented_example() -> String {
        include_str!("config/example.toml").to_string()
    }

    /// What `lacuna init --lstm` writes: the keys that matter for a network with an LSTM.
    pub fn lstm_example() -> String {
        include_str!("config/example_lstm.toml").to_string()
    }

    /// A path of the file, seen from the working directory.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// What the accelerator has beside the sparse engine if its datapath is ESE's: if the file has an
    /// `[accelerator.ese]`, or the model an LSTM layer.
    pub fn ese(&self) -> Option<EseConfig> {
        let recurrent = !self.model.lstm.is_empty();
        self.accelerator.ese.clone().or(recurrent.then(EseConfig::default))
    }

    fn check(&self) -> Result<(), String> {
        self.accelerator.check()?;
        let lstm = self.model.lstm.iter().enumerate().map(|(i, lstm)| {
            let key = format!("lstm {} ({})", i + 1, lstm.label());
            lstm.check(&key).map(|()| (key, lstm.label()))
        });
        let layers = self.model.layer.iter().enumerate().map(|(i, layer)| {
            let key = format!("layer {} ({})", i + 1, layer.label());
            layer.check(&key).map(|()| (key, layer.label()))
        });
        let mut names = BTreeSet::new();
        for checked in lstm.chain(layers) {
            let (key, name) = checked?;
            if !names.insert(name) {
                return Err(format!("{key}: found the name of an earlier layer, expected another"));
            }
        }
        conv::check(&self.model.layer, self.model.input, self.ese().is_some())?;
        self.train.check()?;
        self.prune.check()?;
        self.share.check(self.model.layer.len(), self.prune.lose_at_most.is_some())?;
        let plain = |layer: &&LayerConfig| layer.quality.is_none() && layer.grain == Grain::Weight;
        if let Some(layer) = self.model.layer.iter().find(|l| !self.model.lstm.is_empty() && !plain(l)) {
            return Err(format!(
                "layer {}: found quality or grain, expected only density behind an LSTM, whose prune says the rest",
                layer.label()
            ));
        }
        share("compress.activation_density", self.compress.activation_density)?;
        if i64::try_from(self.compress.seed).is_err() {
            return Err(format!("compress.seed is {}, expected 0 to 9,223,372,036,854,775,807", self.compress.seed));
        }
        if self.compress.kmeans_iterations > 10_000 {
            return Err(format!("compress.kmeans_iterations is {}, expected 0 to 10,000", self.compress.kmeans_iterations));
        }
        let InputConfig { scale, offset, calibration_samples, .. } = self.input;
        if !scale.is_finite() || scale == 0.0 {
            return Err(format!("input.scale is {scale}, expected a finite number that is not 0"));
        }
        if !offset.is_finite() {
            return Err(format!("input.offset is {offset}, expected a finite number"));
        }
        if calibration_samples == 0 {
            return Err("input.calibration_samples is 0, expected at least 1".to_string());
        }
        Ok(())
    }
}

impl AcceleratorConfig {
    /// Every rule of [`Arch`] on what is given; what is `auto` stands at a value that breaks none.
    fn check(&self) -> Result<(), String> {
        let arch = Arch {
            pes: self.pes,
            fifo_depth: self.fifo_depth,
            weights: self.weights,
            weight_bits: self.weight_bits,
            run_bits: self.run_bits.or(2),
            entries_per_word: self.entries_per_word,
            spmat_depth: self.spmat_depth.or(1),
            ptr_depth: self.ptr_depth.or(1),
            act_depth: self.act_depth.or(1),
            acc_depth: self.acc_depth.or(1),
            bias_depth: self.bias_depth.or(1),
            acc_bits: self.acc_bits,
            max_layers: self.max_layers.or(1),
            conv: false,
            ese: self.ese.as_ref().map(|ese| Ese {
                channels: ese.channels,
                cell_depth: ese.cell_depth.or(1),
                input_depth: ese.input_depth.or(1),
                output_depth: ese.output_depth.or(1),
            }),
        };
        arch.validate().map_err(|e| e.to_string())
    }
}

fn share(key: &str, value: f64) -> Result<(), String> {
    if (0.0..=1.0).contains(&value) {
        Ok(())
    } else {
        Err(format!("{key} is {value}, expected a share from 0 to 1"))
    }
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
