//! Against what `scripts/vectors/kws.py` recorded, and files that are not as they should be.

use super::{load_clip, read_clip, Clip, Features, BASIC_LSTM_S, COEFFICIENTS, LABELS, LSTM_S, RATE, SAMPLES};
use hound::{SampleFormat, WavSpec, WavWriter};
use safetensors::SafeTensors;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::f64::consts::PI;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// Largest distance of a feature from the recorded one, which is rounded to 1e-5.
const FEATURE_TOLERANCE: f32 = 1e-3;
const PROBABILITY_TOLERANCE: f64 = 1e-5;

#[derive(Deserialize)]
struct Recorded {
    stride: usize,
    labels: Vec<String>,
    clips: BTreeMap<String, Heard>,
}

#[derive(Deserialize)]
struct Heard {
    word: String,
    probabilities: Vec<f64>,
    features: Vec<Vec<f32>>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn speech(file: &str) -> PathBuf {
    root().join("src/demo/speech").join(file)
}

fn recorded(file: &str) -> Recorded {
    serde_json::from_slice(&fs::read(root().join("tests/data/kws").join(file)).unwrap()).unwrap()
}

#[test]
fn features_are_those_of_numpy() {
    for (file, features) in [("lstm_s.json", LSTM_S), ("basic_lstm_s.json", BASIC_LSTM_S)] {
        let recorded = recorded(file);
        assert_eq!((features.stride, recorded.clips.len()), (recorded.stride, 4));
        for (name, heard) in &recorded.clips {
            let clip = load_clip(&speech(&format!("{name}.wav"))).unwrap();
            assert_eq!(clip.notes, Vec::<String>::new(), "{name}");
            let found = features.mfcc(&clip.samples);
            assert_eq!((found.len(), found[0].len()), (features.frames(), COEFFICIENTS));
            let worst = distance(&found, &heard.features);
            println!("{file} {name}: {worst:.2e}");
            assert!(worst <= FEATURE_TOLERANCE, "{file} {name}: {worst}");
        }
    }
}

fn distance(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn frames_of_a_clip_are_25_and_49() {
    assert_eq!([LSTM_S, BASIC_LSTM_S].map(Features::frames), [25, 49]);
}

/// A network of the bundled files, in 64 bits.
struct Network {
    tensors: BTreeMap<String, Vec<f64>>,
}

impl Network {
    fn load(file: &str) -> Network {
        let bytes = fs::read(speech(file)).unwrap();
        let values = |data: &[u8]| data.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let short = |name: &str| name.split("cell/").last().unwrap().to_string();
        Network { tensors: tensors.iter().map(|(name, t)| (short(name), values(t.data()))).collect() }
    }

    fn probabilities(&self, sequence: &[Vec<f32>]) -> Vec<f64> {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let (kernel, bias) = (&self.tensors["kernel"], &self.tensors["bias"]);
        let cells = bias.len() / 4;
        let peephole = |gate: &str, cell: usize| self.tensors.get(gate).map_or(0.0, |w| w[cell]);
        let outputs = kernel.len() / (4 * cells) - COEFFICIENTS;
        let (mut c, mut y) = (vec![0.0; cells], vec![0.0; outputs]);
        for x in sequence {
            let input: Vec<f64> = x.iter().map(|v| f64::from(*v)).chain(y.iter().copied()).collect();
            let z = add(&times(&input, kernel), bias);
            let hidden = (0..cells).map(|n| {
                let [i, j, f, o] = [0, 1, 2, 3].map(|gate| z[gate * cells + n]);
                let kept = sigmoid(f + 1.0 + peephole("w_f_diag", n) * c[n]) * c[n];
                c[n] = kept + sigmoid(i + peephole("w_i_diag", n) * c[n]) * j.tanh();
                sigmoid(o + peephole("w_o_diag", n) * c[n]) * c[n].tanh()
            });
            let hidden: Vec<f64> = hidden.collect();
            y = self.tensors.get("projection/kernel").map_or(hidden.clone(), |p| times(&hidden, p));
        }
        let logits = add(&times(&y, &self.tensors["W_o"]), &self.tensors["b_o"]);
        let sum: f64 = logits.iter().map(|l| l.exp()).sum();
        logits.iter().map(|l| l.exp() / sum).collect()
    }
}

/// A row times a matrix, row after row.
fn times(row: &[f64], matrix: &[f64]) -> Vec<f64> {
    let columns = matrix.len() / row.len();
    (0..columns).map(|c| row.iter().enumerate().map(|(r, v)| v * matrix[r * columns + c]).sum()).collect()
}

fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn best(probabilities: &[f64]) -> &'static str {
    LABELS[(0..LABELS.len()).max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b])).unwrap()]
}

#[test]
fn float_networks_hear_the_words_of_numpy() {
    for (file, model, features) in [("lstm_s.json", "LSTM_S", LSTM_S), ("basic_lstm_s.json", "Basic_LSTM_S", BASIC_LSTM_S)] {
        let (recorded, network) = (recorded(file), Network::load(&format!("{model}.safetensors")));
        for (name, heard) in &recorded.clips {
            let clip = load_clip(&speech(&format!("{name}.wav"))).unwrap();
            let found = network.probabilities(&features.mfcc(&clip.samples));
            assert_eq!(best(&found), heard.word, "{model} {name}");
            let expected = match (model, name.as_str()) {
                ("LSTM_S", "silence") => "right",
                ("Basic_LSTM_S", "silence") => "yes",
                (_, "marvin") => "_unknown_",
                (_, word) => word,
            };
            assert_eq!(heard.word, expected, "{model} {name}");
            let worst = found.iter().zip(&heard.probabilities).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            println!("{model} {name}: {worst:.2e}");
            assert!(worst <= PROBABILITY_TOLERANCE, "{model} {name}: {worst}");
        }
    }
}

#[test]
fn labels_are_those_of_the_models() {
    let file = fs::read_to_string(speech("labels.txt")).unwrap();
    assert_eq!(file.lines().collect::<Vec<_>>(), LABELS);
    assert_eq!(recorded("lstm_s.json").labels, LABELS);
}

/// A sound of a rate, channels and format, with the value of each frame.
fn wav(spec: WavSpec, frames: usize, value: impl Fn(usize) -> f64) -> Vec<u8> {
    let mut bytes = Cursor::new(vec![]);
    let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
    for value in (0..frames).flat_map(|n| vec![value(n); usize::from(spec.channels)]) {
        match spec.sample_format {
            SampleFormat::Float => writer.write_sample(value as f32).unwrap(),
            SampleFormat::Int => writer.write_sample((value * 2f64.powi(i32::from(spec.bits_per_sample) - 1)) as i32).unwrap(),
        }
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

const MONO: WavSpec = WavSpec { channels: 1, sample_rate: RATE, bits_per_sample: 16, sample_format: SampleFormat::Int };

fn tone(rate: u32) -> impl Fn(usize) -> f64 {
    move |n| 0.5 * (2.0 * PI * 440.0 * n as f64 / f64::from(rate)).sin()
}

fn read(bytes: &[u8]) -> anyhow::Result<Clip> {
    read_clip(bytes, Some(bytes.len() as u64))
}

fn refused(bytes: &[u8], texts: &[&str]) {
    let error = format!("{:#}", read(bytes).unwrap_err());
    for text in texts {
        assert!(error.contains(text), "{text:?} is not in: {error}");
    }
}

#[test]
fn every_format_holds_the_same_sound() {
    let expected = read(&wav(MONO, SAMPLES, tone(RATE))).unwrap();
    for channels in [1, 2] {
        for (bits_per_sample, sample_format, tolerance) in [
            (8, SampleFormat::Int, 1.0 / 128.0),
            (16, SampleFormat::Int, 0.0),
            (24, SampleFormat::Int, 1.0 / 32_768.0),
            (32, SampleFormat::Int, 1.0 / 32_768.0),
            (32, SampleFormat::Float, 1.0 / 32_768.0),
        ] {
            let spec = WavSpec { channels, bits_per_sample, sample_format, ..MONO };
            let found = read(&wav(spec, SAMPLES, tone(RATE))).unwrap();
            let worst = found.samples.iter().zip(&expected.samples).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= tolerance, "{spec:?}: {worst}");
            assert_eq!((found.samples.len(), found.notes.len()), (SAMPLES, 0));
        }
    }
}

#[test]
fn stereo_is_averaged() {
    let mut bytes = wav(WavSpec { channels: 2, ..MONO }, 2, |_| 0.0);
    let end = bytes.len();
    bytes[end - 8..end - 4].copy_from_slice(&[0, 0x40, 0, 0x20]);
    assert_eq!(read(&bytes).unwrap().samples[..2], [0.375, 0.0]);
}

#[test]
fn short_is_padded_and_long_is_cut_and_both_are_said() {
    let short = read(&wav(MONO, 8_000, |_| 0.25)).unwrap();
    assert!(short.samples[..8_000].iter().all(|s| *s == 0.25) && short.samples[8_000..].iter().all(|s| *s == 0.0));
    assert_eq!(
        (short.samples.len(), &short.notes[..]),
        (SAMPLES, &["the sound lasts 0.500 s: silence follows to make it 1 s".to_string()][..])
    );
    let long = read(&wav(MONO, 40_000, |n| if n < SAMPLES { 0.25 } else { 0.5 })).unwrap();
    assert_eq!(long.samples, vec![0.25; SAMPLES]);
    assert_eq!(long.notes, ["the sound lasts 2.500 s: only its first second is used"]);
}

#[test]
fn resampled_tone_is_the_tone_at_the_other_rate() {
    let expected = read(&wav(MONO, SAMPLES, tone(RATE))).unwrap();
    let wanted = LSTM_S.mfcc(&expected.samples);
    for rate in [8_000, 11_025, 22_050, 44_100, 44_101, 48_000, 96_000, 191_999, 192_000] {
        // longer than a second: at the end of a clip no filter knows what would follow
        let bytes = wav(WavSpec { sample_rate: rate, ..MONO }, rate as usize * 5 / 4, tone(rate));
        let found = read(&bytes).unwrap();
        assert!(found.notes[0].starts_with("the sound is resampled from "), "{:?}", found.notes);
        let steady = 1_000..SAMPLES;
        let pairs = found.samples[steady.clone()].iter().zip(&expected.samples[steady]);
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{rate}: {worst:.2e}");
        assert!(worst < 1e-3, "{rate}: {worst}");
        assert_eq!(LSTM_S.mfcc(&found.samples).len(), wanted.len());
    }
}

#[test]
fn a_word_resampled_there_and_back_is_still_that_word() {
    let network = Network::load("LSTM_S.safetensors");
    for word in ["yes", "no"] {
        let clip = load_clip(&speech(&format!("{word}.wav"))).unwrap();
        let samples: Vec<f64> = clip.samples.iter().map(|s| f64::from(*s)).collect();
        for rate in [8_000, 44_100] {
            let there = super::resample::resample(&samples, RATE, rate).unwrap();
            let spec = WavSpec { sample_rate: rate, ..MONO };
            let back = read(&wav(spec, there.len(), |n| there[n].clamp(-1.0, 0.99))).unwrap();
            assert_eq!(best(&network.probabilities(&LSTM_S.mfcc(&back.samples))), word, "{rate}");
        }
    }
}

#[test]
fn wrong_rates_channels_and_values_are_named() {
    let tiny = |spec| wav(spec, 100, |_| 0.0);
    refused(&tiny(WavSpec { sample_rate: 7_999, ..MONO }), &["7,999 samples a second", "expected 8,000 to 192,000"]);
    refused(&tiny(WavSpec { sample_rate: 192_001, ..MONO }), &["192,001 samples a second"]);
    refused(&tiny(WavSpec { channels: 6, ..MONO }), &["6 channels", "expected 1 or 2"]);
    let float = WavSpec { bits_per_sample: 32, sample_format: SampleFormat::Float, ..MONO };
    refused(&wav(float, 100, |n| if n == 7 { 9_000.0 } else { 0.0 }), &["sample 7 ", "found 9000", "expected -1 to 1"]);
    refused(&wav(float, 100, |n| if n == 7 { f64::NAN } else { 0.0 }), &["sample 7 ", "found NaN"]);
}

#[test]
fn files_that_are_no_wav_are_named() {
    refused(b"", &["the file is empty"]);
    refused(b"RIFF", &["no wav file", "\"RIFF\""]);
    refused(b"OggS\0\x02\0\0\0\0\0\0\0\0", &["no wav file", "\"OggS\\x00\\x02", "expected a wav file of 8, 16"]);
    refused(&wav(MONO, 0, |_| 0.0), &["no samples"]);
    let good = wav(MONO, SAMPLES, tone(RATE));
    refused(&good[..30], &["the header of the wav file"]);
    refused(&good[..good.len() - 100], &["cut off", "32,000 bytes", "31,944"]);
    refused(&good[..good.len() - 20], &["sample 15,990 of the wav file; 16,000 are announced"]);
    let mut adpcm = good.clone();
    adpcm[20] = 2;
    refused(&adpcm, &["the header of the wav file", "expected a wav file of 8, 16"]);
}

#[test]
fn path_is_part_of_the_message() {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in [(folder.path().join("none.wav"), "No such file"), (folder.path().to_path_buf(), "directory")] {
        let error = format!("{:#}", load_clip(&path).unwrap_err());
        assert!(error.starts_with(&path.display().to_string()) && error.contains(text), "{error}");
    }
}

/// A header may claim any length: only what is needed is read.
#[test]
fn huge_lengths_are_refused_and_not_allocated() {
    let mut bytes = wav(MONO, SAMPLES, tone(RATE));
    bytes[40..44].copy_from_slice(&0xffff_fffe_u32.to_le_bytes());
    refused(&bytes, &["cut off", "4,294,967,294 bytes"]);
    // the length of a pipe is not known
    let error = format!("{:#}", read_clip(&bytes[..], None).unwrap_err());
    assert!(error.contains("sample 16,000 of the wav file"), "{error}");
}

#[test]
fn damaged_bytes_give_a_clip_or_an_error() {
    let seed = 7_u64;
    println!("seed {seed}");
    let mut state = seed;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let float = WavSpec { bits_per_sample: 32, sample_format: SampleFormat::Float, ..MONO };
    let wide = WavSpec { bits_per_sample: 24, channels: 2, ..MONO };
    let good = [MONO, float, wide].map(|spec| wav(spec, 500, tone(RATE)));
    for case in 0..6_000 {
        let mut bytes = good[case % good.len()].clone();
        for _ in 0..=random(4) {
            let place = random(80);
            bytes[place] = [0, 1, 0x7f, 0x80, 0xff, random(256) as u8][random(6)];
        }
        bytes.truncate(if random(3) == 0 { random(bytes.len()) } else { bytes.len() });
        for length in [None, Some(bytes.len() as u64)] {
            if let Ok(clip) = read_clip(&bytes[..], length) {
                assert_eq!(clip.samples.len(), SAMPLES);
                assert!(LSTM_S.mfcc(&clip.samples).iter().flatten().all(|v| v.is_finite()), "case {case}");
            }
        }
    }
}
