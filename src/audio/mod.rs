//! From a sound file to what the bundled keyword LSTMs take: one second at 16 kHz, as frames of ten MFCCs.
//!
//! [`load_clip`] reads a file, [`Features::mfcc`] makes the frames. What the networks do with them, and the
//! `lacuna` commands, are elsewhere: nothing here knows fixed-point numbers or prints.

mod mfcc;
mod resample;
mod wav;

#[cfg(test)]
mod tests;

pub use mfcc::Features;

use anyhow::{Context, Result};
use lacuna_compress::error::grouped;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// Samples per second of what the networks hear.
pub const RATE: u32 = 16_000;
/// Samples of a clip: one second.
pub const SAMPLES: usize = 16_000;
/// Features of a frame: the inputs of the networks.
pub const COEFFICIENTS: usize = 10;

/// Features of `LSTM_S`: 25 frames a clip.
pub const LSTM_S: Features = Features { stride: 640 };
/// Features of `Basic_LSTM_S`: 49 frames a clip.
pub const BASIC_LSTM_S: Features = Features { stride: 320 };

/// The classes of both networks, in the order of their outputs.
pub const LABELS: [&str; 12] = ["_silence_", "_unknown_", "yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"];

/// One second of sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// [`SAMPLES`] values at [`RATE`], full scale is 1.
    pub samples: Vec<f32>,
    /// What had to be done to the file to make it one second at 16 kHz, a sentence each, for stderr.
    pub notes: Vec<String>,
}

/// A wav file: 8, 16, 24 or 32-bit PCM or 32-bit float, mono or stereo (which is averaged), 8 to 192 kHz.
pub fn load_clip(path: &Path) -> Result<Clip> {
    let what = || path.display().to_string();
    let file = File::open(path).with_context(what)?;
    let found = file.metadata().with_context(what)?;
    let length = found.is_file().then_some(found.len());
    read_clip(BufReader::new(file), length).with_context(what)
}

/// A wav file that `length` bytes are known to be there of.
pub fn read_clip(source: impl Read, length: Option<u64>) -> Result<Clip> {
    let sound = wav::read(source, length)?;
    let mut notes = vec![];
    let mut samples = sound.samples;
    if sound.rate != RATE {
        samples = resample::resample(&samples, sound.rate, RATE)?;
        let [from, to] = [sound.rate, RATE].map(|r| grouped(r as usize));
        notes.push(format!("the sound is resampled from {from} to {to} samples a second"));
    }
    let seconds = f64::from(sound.frames) / f64::from(sound.rate);
    if sound.frames < sound.rate {
        notes.push(format!("the sound lasts {seconds:.3} s: silence follows to make it 1 s"));
    } else if sound.frames > sound.rate {
        notes.push(format!("the sound lasts {seconds:.3} s: only its first second is used"));
    }
    samples.resize(SAMPLES, 0.0);
    Ok(Clip { samples: samples.iter().map(|s| *s as f32).collect(), notes })
}
