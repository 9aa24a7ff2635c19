//! `lacuna demo speech`: the bundled clips, from wav to word, by a compressed keyword LSTM.

use super::DemoArgs;
use crate::audio::read_clip;
use crate::commands::recurrent::simulate::{judge, start, Cycles};
use crate::pipeline::recurrent::quantize;
use crate::speech::{self, Bundled, Heard};
use crate::term;
use anyhow::{Context, Result};
use lacuna_compress::error::grouped;
use lacuna_sim::verilate;
use std::process::ExitCode;
use std::time::Instant;

/// A bundled clip, and the class that is right.
const CLIPS: [(&str, &str, &[u8]); 4] = [
    ("yes", "yes", include_bytes!("../../demo/speech/yes.wav")),
    ("no", "no", include_bytes!("../../demo/speech/no.wav")),
    // a word that the networks were not taught
    ("marvin", "_unknown_", include_bytes!("../../demo/speech/marvin.wav")),
    ("silence", "_silence_", include_bytes!("../../demo/speech/silence.wav")),
];
/// Times are printed for this clock: nobody has measured one.
const NOMINAL_MHZ: f64 = 100.0;

/// What was found with one clip.
struct Found {
    heard: Heard,
    right: &'static str,
    reference: Vec<f64>,
    hardware: Vec<f64>,
    steps: usize,
    cycles: Cycles,
    /// None: hardware and golden model are equal in everything.
    mismatch: Option<String>,
}

impl Found {
    /// What speaks against the word; a network that is not sure in floating point may change its mind.
    fn other_word(&self) -> Option<String> {
        let (reference, hardware) = (speech::word(&self.reference), speech::word(&self.hardware));
        let wrong = speech::is_sure(&self.reference) && reference != hardware;
        wrong.then(|| format!("clip {}: expected {reference}, the float reference's word, got {hardware}", self.heard.name))
    }
}

pub fn run(args: &DemoArgs, name: &str, bundled: &Bundled) -> Result<ExitCode> {
    let verilator = verilate::verilator_version()?;
    let compressed = bundled.compress()?;
    let model = &compressed.compiled.model;
    let arch = model.arch();
    term::note(format!("{} on {} generated PEs under {verilator}", bundled.name, arch.pes));
    let building = Instant::now();
    let mut simulator = start(model, &args.hardware, None)?;
    term::note(format!("hardware built and loaded in {:.1} s", building.elapsed().as_secs_f64()));

    let running = Instant::now();
    let clips = &CLIPS[..CLIPS.len().min(args.limit.map_or(usize::MAX, |l| l as usize))];
    let bar = term::progress("clips", clips.len());
    let mut found = vec![];
    for (clip, right, wav) in clips {
        let read = read_clip(*wav, Some(wav.len() as u64)).with_context(|| format!("the bundled clip {clip}"))?;
        read.notes.iter().for_each(|note| term::note(format!("{clip}: {note}")));
        let heard = Heard::new(clip.to_string(), &read, bundled.features);
        let sequence = quantize(model, &heard.frames)?;
        let judged = judge(&mut simulator, std::slice::from_ref(&sequence)).with_context(|| format!("clip {clip}"))?;
        let outputs = judged.outputs.first().and_then(|steps| steps.last()).context("the hardware gave no output")?;
        found.push(Found {
            right,
            reference: heard.reference(&compressed.network),
            hardware: speech::probabilities(&model.dequantize_output(outputs)),
            steps: sequence.len(),
            cycles: judged.cycles,
            mismatch: judged.mismatch.map(|m| format!("clip {clip}: {m}")),
            heard,
        });
        bar.inc(1);
        if found.iter().any(|f| f.mismatch.is_some()) {
            break;
        }
    }
    bar.finish_and_clear();
    term::note(format!("{} simulated in {:.1} s", term::count(found.len(), "clip"), running.elapsed().as_secs_f64()));

    probabilities(&found)?;
    words(&found)?;
    let cycles = Cycles::sum(&found.iter().map(|f| f.cycles).collect::<Vec<_>>());
    let bytes = model.to_container()?.len();
    let parameters = model.network.parameters;
    let equal = found.iter().filter(|f| f.mismatch.is_none()).count();
    let whole = |cycles: u64| grouped(cycles as usize);
    let rows = [
        ("parameters", grouped(parameters)),
        ("bytes as 32-bit floats", grouped(4 * parameters)),
        ("bytes of the container", grouped(bytes)),
        ("compression rate", format!("{:.1}", 4.0 * parameters as f64 / bytes as f64)),
        ("bits of a weight", arch.weight_bits.to_string()),
        ("bits of an entry", arch.entry_bits().to_string()),
        ("cycles a step", format!("min {}, mean {:.1}, max {}", whole(cycles.least), cycles.mean(), whole(cycles.most))),
        ("entries of the busiest PE", grouped(compressed.compiled.report.bound_cycles)),
        ("clips equal at every output, c and h", format!("{equal} of {}", found.len())),
    ];
    let rows = rows.map(|(name, value)| vec![name.to_string(), value]);
    term::table("", &[bundled.name, "measured"], &rows)?;

    let bad: Vec<String> = found.iter().filter_map(|f| f.mismatch.clone().or(f.other_word())).collect();
    if bad.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    bad.iter().try_for_each(term::line)?;
    term::line(format!("repeat with: lacuna demo {name} {}", args.hardware.text()))?;
    Ok(ExitCode::from(term::BAD))
}

/// Every label's, clip beside clip, the float reference before the hardware.
fn probabilities(found: &[Found]) -> Result<()> {
    let columns: Vec<&[f64]> = found.iter().flat_map(|f| [f.reference.as_slice(), f.hardware.as_slice()]).collect();
    let headers: Vec<String> =
        ["heard in".to_string()].into_iter().chain(found.iter().flat_map(|f| [f.heard.name.clone(), "hw".into()])).collect();
    term::table("probabilities: float reference, and hardware (hw)", &headers, &speech::label_rows(&columns))
}

fn words(found: &[Found]) -> Result<()> {
    let row = |f: &Found| {
        let (reference, hardware) = (speech::word(&f.reference), speech::word(&f.hardware));
        let cycles = f.cycles.mean();
        let total = cycles * f.steps as f64;
        let verdict = match (&f.mismatch, f.other_word(), speech::is_sure(&f.reference)) {
            (Some(_), ..) => "differs from golden",
            (None, Some(_), _) => "another word",
            (None, None, true) => "equal",
            (None, None, false) => "equal; float unsure",
        };
        vec![
            f.heard.name.clone(),
            f.right.to_string(),
            reference.to_string(),
            hardware.to_string(),
            f.steps.to_string(),
            format!("{cycles:.0}"),
            format!("{:.2}", total / NOMINAL_MHZ / 1000.0),
            verdict.to_string(),
        ]
    };
    let headers = ["clip", "right", "float", "hardware", "steps", "cycles/step", "ms", "verdict"];
    let rows: Vec<_> = found.iter().map(row).collect();
    term::table(&format!("words; times at a nominal clock of {NOMINAL_MHZ} MHz"), &headers, &rows)
}
