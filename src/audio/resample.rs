//! Sound at another sample rate.

use anyhow::Result;
use rubato::audioadapter_buffers::owned::InterleavedOwned;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

/// About as many samples are resampled at a time: enough for a steep filter at half the lower rate.
const CHUNK: usize = 2_048;

/// One channel. The result lasts as long as `samples`, rounded up to a whole sample.
pub fn resample(samples: &[f64], from: u32, to: u32) -> Result<Vec<f64>> {
    let [from, to] = [from, to].map(|rate| rate as usize);
    // both chunks even: the filter delays by half of them, and only whole samples can be taken off again
    let pair = 2 * from / gcd(from, to);
    let chunk = CHUNK.div_ceil(pair) * pair;
    let mut resampler = Fft::<f64>::new_custom(from, to, chunk, 1, 1, WindowFunction::BlackmanHarris2, FixedSync::Both)?;
    let input = InterleavedOwned::new_from(samples.to_vec(), 1, samples.len())?;
    Ok(resampler.process_all(&input, samples.len(), None)?.take_data())
}

fn gcd(a: usize, b: usize) -> usize {
    match b {
        0 => a,
        _ => gcd(b, a % b),
    }
}
