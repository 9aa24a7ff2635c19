//! `charlm`: a character LSTM at several widths of its weights, by the golden model. The embedding is looked up on the host.

use super::data_file;
use super::report::{rounded, Bar, Check, Outcome, Row};
use crate::term;
use anyhow::{bail, Context, Result};
use lacuna_compress::config::{Config, LayerConfig, LstmConfig, LstmFormat};
use lacuna_compress::import::load_recurrent;
use lacuna_compress::inputs::{load_tensors, Tensor};
use lacuna_compress::model::{Activation, Recurrent};
use lacuna_compress::recurrent::{compile_recurrent, RecurrentSettings};
use lacuna_sim::golden::Recurrent as Golden;
use lacuna_sim::reference::LstmReference;
use std::collections::BTreeMap;
use std::path::Path;

const MODEL: &str = "charrnn/shakespeare.safetensors";
const TEXT: &str = "charrnn/tinyshakespeare.txt";
const VOCABULARY: &str = "charrnn/vocab.json";
/// Characters at the end of the text; all but the first are predicted.
const LENGTH: usize = 20_001;
const BITS: [usize; 4] = [12, 8, 6, 4];
/// Pieces of the text before those characters, in equal distances, that the formats come from.
const CALIBRATION: (usize, usize) = (8, 500);
/// Bits per character of the float model as published with the data.
const KNOWN: f64 = 1.971;

/// Numbers of the characters, and the vectors that stand for them.
struct Text {
    characters: Vec<usize>,
    embedding: Tensor,
}

pub fn run(data: &Path) -> Result<Outcome> {
    let text = Text::load(data)?;
    let network = network(&data_file(data, MODEL)?)?;
    let vocabulary = text.embedding.shape[0];
    if network.inputs() != text.embedding.shape[1] || network.outputs() != vocabulary {
        bail!("{MODEL}: an embedding of {:?} for {} inputs and {} outputs", text.embedding.shape, network.inputs(), network.outputs());
    }
    let calibration = text.calibration()?;
    let reference = text.bits_of(&network, "float model")?;
    let mut notes = vec![
        format!("the last {LENGTH} characters in one run from zero state; known of the float model: {KNOWN}"),
        format!("formats from {} pieces of {} characters of the text before them", CALIBRATION.0, CALIBRATION.1),
    ];
    let (mut rows, mut of_12) = (vec![], None);
    for bits in BITS {
        let settings = RecurrentSettings { weight_bits: bits, ..RecurrentSettings::default() };
        let compiled = compile_recurrent(&network, &settings, &calibration).with_context(|| format!("{bits} bits"))?;
        let model = &compiled.model;
        let golden = Golden::new(&model.image)?;
        let mut state = golden.state();
        let mut saturated = 0;
        let found = text.bits("golden", |x| {
            let trace = golden.step(&mut state, &model.quantize_input(x)?)?;
            saturated += trace.saturated();
            Ok(model.dequantize_output(&trace.output).iter().map(|v| f64::from(*v)).collect())
        })?;
        let weights_only = text.bits_of(&compiled.quantized, "float, quantized weights")?;
        notes.push(format!("{bits} bits: {found:.4}; float with the quantized weights {weights_only:.4}; {saturated} values saturated"));
        if bits == 12 {
            of_12 = Some((found, weights_only));
        }
        rows.push(row(bits, found, reference));
    }
    let distance = of_12.map(|(found, _)| (found - reference).abs());
    let check = Check::new("12 bits: distance from the float model in bits per character", distance, 4, Bar::AtMost(0.01));
    let checks = vec![
        Check::new("float model: distance from what is known", (reference - KNOWN).abs(), 4, Bar::AtMost(0.001)),
        match of_12 {
            Some((_, weights_only)) => check.limit((weights_only - reference).abs()),
            None => check,
        },
    ];
    Ok(Outcome { rows, checks, notes })
}

pub(super) fn row(bits: usize, found: f64, reference: f64) -> Row {
    Row::new().with("bits", bits).with("bits_per_char", rounded(found, 4)).with("reference_bits_per_char", rounded(reference, 4))
}

fn network(model: &Path) -> Result<Recurrent> {
    let mut config = Config::default();
    config.model.file = std::path::absolute(model)?;
    let layer = |l: usize| {
        let tensor = |what: &str| Some(format!("rnnlm.multi_rnn_cell.cell_{l}.basic_lstm_cell.{what}"));
        LstmConfig {
            kernel: tensor("weights"),
            bias: tensor("biases"),
            forget_bias: Some(1.0),
            ..LstmConfig::new(&format!("lstm{l}"), LstmFormat::TensorFlow)
        }
    };
    config.model.lstm = vec![layer(0), layer(1)];
    config.model.layer = vec![LayerConfig {
        bias: Some("rnnlm.softmax_b".into()),
        output_axis: 1,
        activation: Activation::None,
        ..LayerConfig::new("softmax", "rnnlm.softmax_w")
    }];
    match load_recurrent(&config)?.pop() {
        Some(network) => Ok(network),
        None => bail!("{MODEL}: no network"),
    }
}

impl Text {
    fn load(data: &Path) -> Result<Text> {
        let (text, vocabulary) = (data_file(data, TEXT)?, data_file(data, VOCABULARY)?);
        let what = |path: &Path| path.display().to_string();
        let read = |path: &Path| std::fs::read_to_string(path).with_context(|| what(path));
        let numbers: BTreeMap<char, usize> = serde_json::from_str(&read(&vocabulary)?).with_context(|| what(&vocabulary))?;
        let number = |(at, c): (usize, char)| {
            let found = numbers.get(&c).copied();
            found.with_context(|| format!("{}: character {at}, {c:?}, is not in {VOCABULARY}", text.display()))
        };
        let characters = read(&text)?.chars().enumerate().map(number).collect::<Result<Vec<_>>>()?;
        let mut tensors = load_tensors(&data_file(data, MODEL)?)?;
        let embedding = tensors.remove("embedding").filter(|t| t.shape.len() == 2).with_context(|| format!("{MODEL}: no embedding"))?;
        if characters.len() < 2 * LENGTH {
            bail!("{}: {} characters are too few", text.display(), characters.len());
        }
        if let Some(bad) = characters.iter().find(|c| **c >= embedding.shape[0]) {
            bail!("{VOCABULARY}: number {bad} is beyond the embedding's {} rows", embedding.shape[0]);
        }
        Ok(Text { characters, embedding })
    }

    fn vector(&self, character: usize) -> &[f32] {
        let size = self.embedding.shape[1];
        &self.embedding.data[character * size..(character + 1) * size]
    }

    /// Sequences of vectors.
    fn calibration(&self) -> Result<Vec<Vec<Vec<f32>>>> {
        let (pieces, length) = CALIBRATION;
        let before = self.characters.len() - LENGTH;
        let piece = |p: usize| {
            let from = p * (before - length) / pieces;
            self.characters[from..from + length].iter().map(|c| self.vector(*c).to_vec()).collect()
        };
        Ok((0..pieces).map(piece).collect())
    }

    /// Mean of the bits that the end of the text costs, when `logits` answers each character with those of the next.
    fn bits(&self, what: &'static str, mut logits: impl FnMut(&[f32]) -> Result<Vec<f64>>) -> Result<f64> {
        let end = &self.characters[self.characters.len() - LENGTH..];
        let bar = term::progress(what, LENGTH - 1);
        let mut sum = 0.0;
        for pair in end.windows(2) {
            let found = logits(self.vector(pair[0]))?;
            let most = found.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = found.iter().map(|l| (l - most).exp()).sum();
            sum += total.log2() - (found[pair[1]] - most) / std::f64::consts::LN_2;
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(sum / (LENGTH - 1) as f64)
    }

    fn bits_of(&self, network: &Recurrent, what: &'static str) -> Result<f64> {
        let reference = LstmReference::new(network);
        let mut state = reference.state();
        self.bits(what, |x| Ok(reference.step(&mut state, x)))
    }
}
