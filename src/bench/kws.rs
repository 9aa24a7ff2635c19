//! `kws`: the bundled keyword LSTMs hear the bundled clips on the generated hardware.

use super::hardware;
use super::report::{rounded, Bar, Check, Outcome, Row};
use super::streams::{Compare, Machine};
use crate::audio;
use crate::pipeline::recurrent::quantize;
use crate::speech::{self, likeliest, Bundled, Heard};
use crate::term;
use anyhow::{bail, Context, Result};
use lacuna_compress::recurrent::CompiledRecurrent;
use lacuna_compress::spec::WeightForm;
use lacuna_sim::golden::Recurrent as Golden;

const BITS: usize = 12;

const BUNDLES: [Bundled; 2] = [speech::PROJECTED, speech::BASIC];

/// The clips, and whether the float networks are sure of what they hear: on silence they are near a tie.
const CLIPS: [(&str, &[u8], bool); 4] = [
    ("yes", include_bytes!("../demo/speech/yes.wav"), true),
    ("no", include_bytes!("../demo/speech/no.wav"), true),
    ("marvin", include_bytes!("../demo/speech/marvin.wav"), true),
    ("silence", include_bytes!("../demo/speech/silence.wav"), false),
];

struct Measured {
    model: &'static str,
    clip: &'static str,
    sure: bool,
    /// Of each label, by the hardware and by the float network.
    heard: Vec<f64>,
    reference: Vec<f64>,
    /// By the float network of the quantized weights.
    weights_only: f64,
    exact: bool,
}

pub fn run() -> Result<Outcome> {
    let verilator = hardware::available()?;
    let bar = term::progress("clips", BUNDLES.len() * CLIPS.len());
    let mut notes = vec![format!("{BITS}-bit weights, every weight kept; c, h and y of every step compared")];
    let mut measured = vec![];
    for bundle in &BUNDLES {
        let compressed = bundle.compress()?;
        let compiled = &compressed.compiled;
        let model = &compiled.model;
        let arch = model.arch();
        if (arch.weights, arch.weight_bits) != (WeightForm::Direct, BITS) {
            bail!("{}: found {} bits a weight, expected {BITS}, direct", bundle.name, arch.weight_bits);
        }
        let golden = Golden::new(&model.image)?;
        let mut machine = if verilator { Machine::new(model)? } else { None };
        notes.push(formats(bundle.name, compiled));
        for (clip, bytes, sure) in CLIPS {
            let sound = audio::read_clip(bytes, Some(bytes.len() as u64)).with_context(|| clip)?;
            let clip_heard = Heard::new(clip.to_string(), &sound, bundle.features);
            let steps = quantize(model, &clip_heard.frames)?;
            let (reference, with_weights) = (clip_heard.reference(&compressed.network), clip_heard.reference(&compiled.quantized));
            let (logits, exact) = match &mut machine {
                Some(machine) => {
                    let judged = machine.run(&[steps], Compare::EveryState)?;
                    notes.extend(judged.fault.iter().map(|f| format!("{} {clip}: {f}", bundle.name)));
                    (judged.outputs.into_iter().next().and_then(|mut o| o.pop()).unwrap_or_default(), judged.exact)
                }
                None => (last_of_golden(&golden, &steps)?, false),
            };
            measured.push(Measured {
                model: bundle.name,
                clip,
                sure,
                heard: speech::probabilities(&model.dequantize_output(&logits)),
                weights_only: of_word(&with_weights, &reference),
                reference,
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
        of_word(&self.heard, &self.reference)
    }
    fn reference_probability(&self) -> f64 {
        of_word(&self.reference, &self.reference)
    }
    fn row(&self) -> Row {
        row(&Cells {
            model: self.model,
            clip: self.clip,
            word: speech::word(&self.heard),
            reference_word: speech::word(&self.reference),
            probability: self.probability(),
            reference_probability: self.reference_probability(),
            bit_exact: self.exact,
        })
    }
}

/// The probability of the reference's word.
fn of_word(probabilities: &[f64], reference: &[f64]) -> f64 {
    probabilities.get(likeliest(reference)).copied().unwrap_or(f64::NAN)
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
    let same = sure().filter(|m| likeliest(&m.heard) == likeliest(&m.reference)).count();
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
    format!(
        "{name} on {} PEs: fraction bits {}; limit of the distance: float with these weights",
        compiled.model.arch().pes,
        vectors.join(", ")
    )
}

fn last_of_golden(golden: &Golden, steps: &[Vec<i16>]) -> Result<Vec<i16>> {
    let mut state = golden.state();
    let mut last = vec![];
    for step in steps {
        last = golden.step(&mut state, step)?.output;
    }
    Ok(last)
}
