//! The beginning of a wav file, as one channel.
//!
//! No more is read or held than the first second needs, whatever lengths the file claims to have.

use super::RATE;
use anyhow::{bail, ensure, Context, Result};
use hound::{SampleFormat, WavReader};
use lacuna_compress::error::grouped;
use std::io::Read;

/// Sample rates that are taken. Below, the upper mel bands (4 kHz) would be empty.
const LOWEST_RATE: u32 = 8_000;
const HIGHEST_RATE: u32 = 192_000;
/// Float samples may be up to 12 dB above full scale: above, they are no samples with a full scale of 1.
const LOUDEST: f32 = 4.0;
const EXPECTED: &str = "expected a wav file of 8, 16, 24 or 32-bit PCM or 32-bit float";

pub struct Sound {
    /// Samples per second, [`LOWEST_RATE`] to [`HIGHEST_RATE`].
    pub rate: u32,
    /// In the whole file, at least one.
    pub frames: u32,
    /// The first second, and a quarter more for the filter of the resampler: fewer if the file ends earlier.
    pub samples: Vec<f64>,
}

/// `length`: bytes of the whole file, if known.
pub fn read(mut source: impl Read, length: Option<u64>) -> Result<Sound> {
    let mut start = vec![];
    source.by_ref().take(12).read_to_end(&mut start)?;
    ensure!(!start.is_empty(), "the file is empty; {EXPECTED}");
    if start.len() < 12 || start[..4] != *b"RIFF" || start[8..] != *b"WAVE" {
        bail!("no wav file: it begins with \"{}\", not with RIFF and WAVE; {EXPECTED}", start.escape_ascii());
    }
    let mut reader = WavReader::new(start.as_slice().chain(source)).with_context(|| format!("the header of the wav file; {EXPECTED}"))?;

    let spec = reader.spec();
    ensure!((1..=2).contains(&spec.channels), "the sound has {} channels; expected 1 or 2", spec.channels);
    let [found, lowest, highest] = [spec.sample_rate, LOWEST_RATE, HIGHEST_RATE].map(|r| grouped(r as usize));
    ensure!(
        (LOWEST_RATE..=HIGHEST_RATE).contains(&spec.sample_rate),
        "the sound has {found} samples a second; expected {lowest} to {highest}, at best {}",
        grouped(RATE as usize)
    );
    let frames = reader.duration();
    ensure!(frames > 0, "the wav file has no samples");
    let least = u64::from(reader.len()) * u64::from(spec.bits_per_sample.div_ceil(8));
    if let Some(length) = length.filter(|l| *l < least) {
        let [found, least] = [length, least].map(|n| grouped(usize::try_from(n).unwrap_or(usize::MAX)));
        bail!("the wav file is cut off: its header announces {least} bytes of sound, the whole file has {found}");
    }

    let wanted = frames.min(spec.sample_rate + spec.sample_rate / 4) as usize;
    let channels = usize::from(spec.channels);
    let values: Vec<f64> = match spec.sample_format {
        SampleFormat::Int => {
            let bits = spec.bits_per_sample;
            ensure!([8, 16, 24, 32].contains(&bits), "the samples are integers of {bits} bits; {EXPECTED}");
            let full = f64::from(1u32 << (bits - 1));
            first(reader.samples::<i32>(), wanted * channels, |s| Ok(f64::from(s) / full))?
        }
        SampleFormat::Float => first(reader.samples::<f32>(), wanted * channels, |s| {
            ensure!(s.abs() <= LOUDEST, "found {s}, expected -1 to 1");
            Ok(f64::from(s))
        })?,
    };
    let samples = values.chunks_exact(channels).map(|frame| frame.iter().sum::<f64>() / channels as f64).collect();
    Ok(Sound { rate: spec.sample_rate, frames, samples })
}

/// The first `count` values. There are as many, or the file is damaged.
fn first<S>(from: impl Iterator<Item = hound::Result<S>>, count: usize, value: impl Fn(S) -> Result<f64>) -> Result<Vec<f64>> {
    let one = |(number, sample): (usize, hound::Result<S>)| {
        let what = || format!("sample {} of the wav file; {} are announced", grouped(number), grouped(count));
        value(sample.with_context(what)?).with_context(|| format!("sample {} of the wav file", grouped(number)))
    };
    from.take(count).enumerate().map(one).collect()
}
