//! The bundled keyword networks: from a sound to the probabilities of words.
//!
//! Their weights, configurations and calibration sequences travel in the program, and are compiled when they are needed.

use crate::audio::{load_clip, Clip, Features, BASIC_LSTM_S, COEFFICIENTS, LABELS, LSTM_S};
use crate::pipeline::recurrent::{compress, CompressedRecurrent, Steps};
use crate::term;
use anyhow::{bail, Context, Result};
use lacuna_compress::config::Config;
use lacuna_compress::manifest::RecurrentNetwork;
use lacuna_compress::model::Recurrent;
use lacuna_sim::reference::LstmReference;
use std::path::Path;

/// A network that travels in the program.
pub struct Bundled {
    pub name: &'static str,
    pub features: Features,
    /// Cells and values of h, which tell the two networks apart.
    shape: (usize, usize),
    /// The names that the configuration has, and the files.
    files: [(&'static str, &'static [u8]); 3],
}

/// With peepholes and a projection.
pub const PROJECTED: Bundled = Bundled {
    name: "LSTM_S",
    features: LSTM_S,
    shape: (144, 98),
    files: [
        ("lstm_s.toml", include_bytes!("demo/speech/lstm_s.toml")),
        ("LSTM_S.safetensors", include_bytes!("demo/speech/LSTM_S.safetensors")),
        ("lstm_s-calibration.npy", include_bytes!("demo/speech/lstm_s-calibration.npy")),
    ],
};
/// Plain.
pub const BASIC: Bundled = Bundled {
    name: "Basic_LSTM_S",
    features: BASIC_LSTM_S,
    shape: (118, 118),
    files: [
        ("basic_lstm_s.toml", include_bytes!("demo/speech/basic_lstm_s.toml")),
        ("Basic_LSTM_S.safetensors", include_bytes!("demo/speech/Basic_LSTM_S.safetensors")),
        ("basic_lstm_s-calibration.npy", include_bytes!("demo/speech/basic_lstm_s-calibration.npy")),
    ],
};

impl Bundled {
    /// Compiled as its configuration says.
    pub fn compress(&self) -> Result<CompressedRecurrent> {
        // models are read from files
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        for (name, bytes) in self.files {
            std::fs::write(path(name), bytes).with_context(|| path(name).display().to_string())?;
        }
        let config = Config::load(&path(self.files[0].0))?;
        let mut found = compress(&config).with_context(|| format!("the bundled network {}", self.name))?;
        found.pop().with_context(|| format!("the bundled network {} is none", self.name))
    }
}

/// A clip as a keyword network takes it.
pub struct Heard {
    pub name: String,
    pub frames: Steps,
}

impl Heard {
    /// Reads a wav file. What had to be done to it goes to stderr.
    pub fn load(path: &Path, features: Features) -> Result<Heard> {
        let clip = load_clip(path)?;
        let name = path.display().to_string();
        clip.notes.iter().for_each(|note| term::note(format!("{name}: {note}")));
        Ok(Heard::new(name, &clip, features))
    }

    pub fn new(name: String, clip: &Clip, features: Features) -> Heard {
        Heard { name, frames: features.mfcc(&clip.samples) }
    }

    /// What a network answers in floating point.
    pub fn reference(&self, network: &Recurrent) -> Vec<f64> {
        let reference = LstmReference::new(network);
        let outputs = reference.run(&mut reference.state(), &self.frames);
        probabilities(outputs.last().map_or(&[], Vec::as_slice))
    }
}

/// The features that a network was trained with: as `stride` says, or by its shape if it is that of a bundled network. The
/// number of inputs would not tell: both take ten.
pub fn features_of(network: &RecurrentNetwork, stride: Option<usize>) -> Result<Features> {
    if (network.input_size, network.output_size) != (COEFFICIENTS, LABELS.len()) {
        let found = format!("{} inputs and {} outputs", network.input_size, network.output_size);
        let expected = format!("{COEFFICIENTS} (coefficients of a frame) and {} (words)", LABELS.len());
        bail!("a sound is for a keyword network: found {found}, expected {expected}");
    }
    if let Some(stride) = stride {
        return Ok(Features { stride });
    }
    let [layer] = network.lstm.as_slice() else { bail!("{UNKNOWN}: found {} LSTM layers", network.lstm.len()) };
    let shape = (layer.cells, layer.hidden);
    match [PROJECTED, BASIC].into_iter().find(|b| b.shape == shape) {
        Some(bundled) => Ok(bundled.features),
        None => bail!("{UNKNOWN}: found {} cells and {} hidden values", shape.0, shape.1),
    }
}

const UNKNOWN: &str =
    "the network has the shape of none of the bundled ones, so give --stride, the samples from frame to frame that it was trained with";

/// Softmax.
pub fn probabilities<T: Copy + Into<f64>>(logits: &[T]) -> Vec<f64> {
    let logits: Vec<f64> = logits.iter().map(|l| (*l).into()).collect();
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|l| (l - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|p| p / sum).collect()
}

/// Number of the likeliest label; of equals the first.
pub fn likeliest(probabilities: &[f64]) -> usize {
    (0..probabilities.len()).rev().max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b])).unwrap_or(0)
}

/// The label of the likeliest.
pub fn word(probabilities: &[f64]) -> &'static str {
    LABELS.get(likeliest(probabilities)).copied().unwrap_or("")
}

/// Does a network say it is sure of its word? If not, rounding may choose another, and neither is wrong.
#[cfg_attr(not(feature = "verilator"), allow(dead_code))] // the demo's question
pub fn is_sure(probabilities: &[f64]) -> bool {
    probabilities.iter().any(|p| *p >= 0.6)
}

/// A row for each label.
pub fn label_rows(columns: &[&[f64]]) -> Vec<Vec<String>> {
    let row = |(label, name): (usize, &&str)| {
        let values = columns.iter().map(|c| format!("{:.4}", c.get(label).copied().unwrap_or(0.0)));
        [name.to_string()].into_iter().chain(values).collect()
    };
    LABELS.iter().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_and_the_first_of_equals_wins() {
        let p = probabilities(&[1.0f32, 3.0, 3.0, 1000.0]);
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12 && word(&p) == "no");
        assert_eq!(likeliest(&probabilities(&[1.0f32, 3.0, 3.0])), 1);
        assert!(is_sure(&[0.1, 0.9]) && !is_sure(&[0.5, 0.5]));
    }
}
