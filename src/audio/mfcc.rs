//! MFCC features as TensorFlow's `AudioSpectrogram` and `Mfcc` compute them, which the keyword networks were trained with.
//!
//! Power spectrum of 40 ms under a periodic Hann window; 40 triangles, equally wide on the mel axis, over its
//! square root; natural logarithm; the first ten values of a DCT. All in 64 bits, except that the power passes
//! through 32 bits as it does there.

use super::{COEFFICIENTS, RATE};
use realfft::RealFftPlanner;
use std::f64::consts::PI;

/// Samples of a frame, and of its transform: zeros follow.
const WINDOW: usize = 640;
const FFT: usize = 1_024;
const MEL_BANDS: usize = 40;
/// In Hz: the lower end of the lowest triangle, and the upper end of the highest.
const MEL_LOW: f64 = 20.0;
const MEL_HIGH: f64 = 4_000.0;
/// The least that a logarithm is taken of.
const FLOOR: f64 = 1e-12;

/// How a clip is cut into frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// Samples from the start of a frame to that of the next.
    pub stride: usize,
}

impl Features {
    /// Frames of a clip of one second.
    #[cfg(test)]
    pub const fn frames(self) -> usize {
        (super::SAMPLES - WINDOW) / self.stride + 1
    }

    /// Frames of [`COEFFICIENTS`] values each. What is left at the end and is shorter than a frame is not used.
    pub fn mfcc(self, samples: &[f32]) -> Vec<Vec<f32>> {
        let hann: Vec<f64> = (0..WINDOW).map(|n| 0.5 - 0.5 * (2.0 * PI * n as f64 / WINDOW as f64).cos()).collect();
        let fft = RealFftPlanner::new().plan_fft_forward(FFT);
        let mel = Mel::new();
        let cosines = cosines();
        let frame = |samples: &[f32]| {
            let mut windowed: Vec<f64> = samples.iter().zip(&hann).map(|(s, w)| f64::from(*s) * w).collect();
            windowed.resize(FFT, 0.0);
            let mut spectrum = fft.make_output_vec();
            fft.process(&mut windowed, &mut spectrum).expect("the buffers have the lengths of the plan");
            let magnitudes: Vec<f64> = spectrum.iter().map(|c| f64::from(c.norm_sqr() as f32).sqrt()).collect();
            let logarithms = mel.bands(&magnitudes).map(|band| band.max(FLOOR).ln());
            let coefficient = |row: &[f64; MEL_BANDS]| row.iter().zip(&logarithms).map(|(c, l)| c * l).sum::<f64>() as f32;
            cosines.iter().map(coefficient).collect()
        };
        samples.windows(WINDOW).step_by(self.stride).map(frame).collect()
    }
}

/// Which bands a bin of the spectrum counts for.
struct Mel {
    first: usize,
    /// From bin `first` on: the end of the triangles that it lies above, 0 to [`MEL_BANDS`] (its upper limit also), and how
    /// far it lies on the way to the next.
    places: Vec<(usize, f64)>,
}

impl Mel {
    fn new() -> Mel {
        let hertz = f64::from(RATE) / FFT as f64;
        let mel = |frequency: f64| 1_127.0 * (frequency / 700.0).ln_1p();
        let spacing = (mel(MEL_HIGH) - mel(MEL_LOW)) / (MEL_BANDS + 1) as f64;
        // the constant component is never counted
        let (first, last) = ((1.5 + MEL_LOW / hertz) as usize, (MEL_HIGH / hertz) as usize);
        let place = |bin: usize| {
            let place = (mel(bin as f64 * hertz) - mel(MEL_LOW)) / spacing;
            (place as usize, place.fract())
        };
        Mel { first, places: (first..=last).map(place).collect() }
    }

    /// Triangle `b` rises from end `b` to end `b + 1` and falls to end `b + 2`.
    fn bands(&self, magnitudes: &[f64]) -> [f64; MEL_BANDS] {
        let mut bands = [0.0; MEL_BANDS];
        for ((end, way), magnitude) in self.places.iter().zip(&magnitudes[self.first..]) {
            if let Some(rising) = bands.get_mut(*end) {
                *rising += way * magnitude;
            }
            if let Some(falling) = end.checked_sub(1).and_then(|b| bands.get_mut(b)) {
                *falling += (1.0 - way) * magnitude;
            }
        }
        bands
    }
}

/// A row per coefficient. The row of coefficient 0 is scaled like the others.
fn cosines() -> [[f64; MEL_BANDS]; COEFFICIENTS] {
    let value =
        |row: usize, band: usize| (2.0 / MEL_BANDS as f64).sqrt() * (row as f64 * PI / MEL_BANDS as f64 * (band as f64 + 0.5)).cos();
    std::array::from_fn(|row| std::array::from_fn(|band| value(row, band)))
}
