//! `kws`: the bundled keyword LSTMs hear the bundled clips on the generated hardware.

use super::hardware;
use super::report::{rounded, Bar, Check, Outcome, Row};
use super::streams::{Compare, Machine};
use crate::audio::{self, Features, LABELS};
use crate::staged::Scratch;
use crate::term;
use anyhow::{bail, Context, Result};
use lacuna_compress::config::Config;
use lacuna_compress::import::load_recurrent;
use lacuna_compress::inputs::load_inputs;
use lacuna_compress::model::Recurrent;
use lacuna_compress::recurrent::{compile_recurrent, CompiledRecurrent, RecurrentSettings};
use lacuna_sim::golden::Recurrent as Golden;
use lacuna_sim::reference::LstmReference;
use std::fs;

const PES: usize = 4;
const BITS: usize = 12;

/// What is bundled of a model.
struct Bundle {
    name: &'static str,
    features: Features,
    config: (&'static str, &'static str),
    model: (&'static str, &'static [u8]),
    calibration: (&'static str, &'static [u8]),
}

const BUNDLES: [Bundle; 2] = [
    Bundle {
        name: "LSTM_S",
        features: audio::LSTM_S,
        config: ("lstm_s.toml", include_str!("../demo/speech/lstm_s.toml")),
        model: ("LSTM_S.safetensors", include_bytes!("../demo/speech/LSTM_S.safetensors")),
        calibration: ("lstm_s-calibration.npy", include_bytes!("../demo/speech/lstm_s-calibration.npy")),
    },
    Bundle {
        name: "Basic_LSTM_S",
        features: audio::BASIC_LSTM_S,
        config: ("basic_lstm_s.toml", include_str!("../demo/speech/basic_lstm_s.toml")),
        model: ("Basic_LSTM_S.safetensors", include_bytes!("../demo/speech/Basic_LSTM_S.safetensors")),
        calibration: ("basic_lstm_s-calibration.npy", include_bytes!("../demo/speech/basic_lstm_s-calibration.npy")),
    },
];

/// The clips, and whether the float networks are sure of what they hear: on silence they are near a tie.
const CLIPS: [(&str, &[u8], bool); 4] = [
    ("yes", include_bytes!("../demo/speech/yes.wav"), true),
    ("no", include_bytes!("../demo/speech/no.wav"), true),
    ("marvin", include_bytes!("../demo/speech/marvin.wav"), true),
    ("silence", include_bytes!("../demo/speech/silence.wav"), false),
];

/// What a network says at the end of a clip.
struct Heard {
    word: usize,
    probabilities: Vec<f64>,
}

impl Heard {
    fn new(logits: &[f64]) -> Heard {
        let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let parts: Vec<f64> = logits.iter().map(|l| (l - most).exp()).collect();
        let sum: f64 = parts.iter().sum();
        let probabilities: Vec<f64> = parts.iter().map(|p| p / sum).collect();
        let word = (0..probabilities.len()).fold(0, |best, i| if probabilities[i] > probabilities[best] { i } else { best });
        Heard { word, probabilities }
    }
    fn text(&self) -> &'static str {
        LABELS.get(self.word).copied().unwrap_or("?")
    }
}

struct Measured {
    model: &'static str,
    clip: &'static str,
    sure: bool,
    heard: Heard,
    reference: Heard,
    /// By the float network of the quantized weights.
    weights_only: f64,
    exact: bool,
}

pub fn run() -> Result<Outcome> {
    let verilator = hardware::available()?;
    let bar = term::progress("clips", BUNDLES.len() * CLIPS.len());
    let mut notes = vec![format!("{PES} PEs, {BITS}-bit weights, every weight kept; c, h and y of every step compared")];
    let mut measured = vec![];
    for bundle in &BUNDLES {
        let (network, compiled) = bundle.compile().with_context(|| bundle.name)?;
        let (reference, rounded_weights) = (LstmReference::new(&network), LstmReference::new(&compiled.quantized));
        let model = &compiled.model;
        let golden = Golden::new(&model.image)?;
        let mut machine = if verilator { Machine::new(model)? } else { None };
        notes.push(formats(bundle.name, &compiled));
        for (clip, bytes, sure) in CLIPS {
            let sound = audio::read_clip(bytes, Some(bytes.len() as u64)).with_context(|| clip)?;
            let frames = bundle.features.mfcc(&sound.samples);
            let steps = frames.iter().map(|f| model.quantize_input(f)).collect::<Result<Vec<_>, _>>()?;
            let float = |network: &LstmReference| {
                let outputs = network.run(&mut network.state(), &frames);
                Heard::new(outputs.last().map_or(&[], Vec::as_slice))
            };
            let (expected, with_weights) = (float(&reference), float(&rounded_weights));
            let (logits, exact) = match &mut machine {
                Some(machine) => {
                    let judged = machine.run(&[steps], Compare::EveryState)?;
                    notes.extend(judged.fault.iter().map(|f| format!("{} {clip}: {f}", bundle.name)));
                    (judged.outputs.into_iter().next().and_then(|mut o| o.pop()).unwrap_or_default(), judged.exact)
                }
                None => (last_of_golden(&golden, &steps)?, false),
            };
            let logits: Vec<f64> = model.dequantize_output(&logits).iter().map(|v| f64::from(*v)).collect();
            measured.push(Measured {
                model: bundle.name,
                clip,
                sure,
                heard: Heard::new(&logits),
                weights_only: with_weights.probabilities.get(expected.word).copied().unwrap_or(f64::NAN),
                reference: expected,
                exact,
            });
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    if !verilator {
        notes.push("built without the feature verilator: nothing was run under Verilator, the words are the golden model's".into());
    }
    Ok(Outcome { rows: measured.iter().map(Measured::row).collect(), checks: checks(&measured, verilator), notes })
}

impl Measured {
    fn probability(&self) -> f64 {
        self.heard.probabilities.get(self.reference.word).copied().unwrap_or(f64::NAN)
    }
    fn reference_probability(&self) -> f64 {
        self.reference.probabilities.get(self.reference.word).copied().unwrap_or(f64::NAN)
    }
    fn row(&self) -> Row {
        row(&Cells {
            model: self.model,
            clip: self.clip,
            word: self.heard.text(),
            reference_word: self.reference.text(),
            probability: self.probability(),
            reference_probability: self.reference_probability(),
            bit_exact: self.exact,
        })
    }
}

/// The values of a row.
pub(super) struct Cells<'a> {
    pub model: &'a str,
    pub clip: &'a str,
    pub word: &'a str,
    pub reference_word: &'a str,
    pub probability: f64,
    pub reference_probability: f64,
    pub bit_exact: bool,
}

pub(super) fn row(cells: &Cells) -> Row {
    Row::new()
        .with("model", cells.model)
        .with("clip", cells.clip)
        .with("word", cells.word)
        .with("reference_word", cells.reference_word)
        .with("probability", rounded(cells.probability, 5))
        .with("reference_probability", rounded(cells.reference_probability, 5))
        .with("bit_exact", cells.bit_exact)
}

fn checks(measured: &[Measured], verilator: bool) -> Vec<Check> {
    let sure = || measured.iter().filter(|m| m.sure);
    let same = sure().filter(|m| m.heard.word == m.reference.word).count();
    let worst = |of: fn(&Measured) -> f64| measured.iter().map(|m| (of(m) - m.reference_probability()).abs()).fold(0.0, f64::max);
    let exact = verilator.then(|| measured.iter().filter(|m| m.exact).count() as f64);
    vec![
        Check::new("yes, no and marvin heard as the float reference hears them", same as f64, 0, Bar::AtLeast(sure().count() as f64)),
        Check::new("largest distance of the probability of the reference's word", worst(Measured::probability), 5, Bar::AtMost(0.02))
            .limit(worst(|m| m.weights_only)),
        Check::new("clips under Verilator equal to golden at every c, h and y", exact, 0, Bar::AtLeast(measured.len() as f64)),
    ]
}

/// `LSTM_S: fraction bits input 7, lstm c 10, ...`
fn formats(name: &str, compiled: &CompiledRecurrent) -> String {
    let vectors: Vec<String> = compiled.report.vectors.iter().map(|v| format!("{} {}", v.name, v.fraction)).collect();
    format!("{name}: fraction bits {}; limit of the distance below: float with these weights", vectors.join(", "))
}

fn last_of_golden(golden: &Golden, steps: &[Vec<i16>]) -> Result<Vec<i16>> {
    let mut state = golden.state();
    let mut last = vec![];
    for step in steps {
        last = golden.step(&mut state, step)?.output;
    }
    Ok(last)
}

impl Bundle {
    /// The float network, and what is compiled of it.
    fn compile(&self) -> Result<(Recurrent, CompiledRecurrent)> {
        let folder = Scratch::new(&std::env::temp_dir())?;
        let write = |(name, bytes): (&str, &[u8])| fs::write(folder.path().join(name), bytes).with_context(|| name.to_string());
        write(self.model)?;
        write(self.calibration)?;
        let config = Config::parse(self.config.1, &folder.path().join(self.config.0))?;
        let mut networks = load_recurrent(&config)?;
        let (Some(network), true) = (networks.pop(), networks.is_empty()) else { bail!("expected a network of one direction") };
        let samples = load_inputs(&folder.path().join(self.calibration.0), None, 1.0, 0.0)?;
        let inputs = network.inputs();
        let sequences: Vec<Vec<Vec<f32>>> = samples.iter().map(|s| s.chunks_exact(inputs).map(<[f32]>::to_vec).collect()).collect();
        let settings = RecurrentSettings { pes: PES, weight_bits: BITS, ..RecurrentSettings::default() };
        let compiled = compile_recurrent(&network, &settings, &sequences)?;
        Ok((network, compiled))
    }
}
