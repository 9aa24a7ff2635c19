//! Labeled samples: what is trained with and what is held out, shuffled and moved about by a seed.

use super::checkpoint;
use crate::config::Config;
use crate::error::{grouped, Error};
use crate::inputs::{load_inputs, load_labels, Samples};
use candle_core::{Device, Tensor};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Samples with their classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Labeled {
    pub samples: Samples,
    pub labels: Vec<u8>,
}

/// What training sees, and what it is judged by.
#[derive(Clone, Debug)]
pub struct Data {
    pub train: Labeled,
    pub held_out: Labeled,
}

/// How samples are moved about.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Augment {
    /// Channels, rows and columns.
    pub image: [usize; 3],
    /// Pixels, both ways.
    pub shift: usize,
    /// Degrees, both ways.
    pub rotate: f64,
}

impl Labeled {
    pub fn new(samples: Samples, labels: Vec<u8>, path: &Path) -> Result<Labeled, Error> {
        if samples.count != labels.len() {
            let (found, expected) = (grouped(labels.len()), grouped(samples.count));
            let found = format!("{found} labels");
            return Err(Error::Format { path: path.to_path_buf(), found, expected: format!("{expected}, one per sample") });
        }
        Ok(Labeled { samples, labels })
    }

    pub fn load(config: &Config, inputs: &Path, labels: &Path) -> Result<Labeled, Error> {
        let (inputs, labels) = (config.path(inputs), config.path(labels));
        let samples = load_inputs(&inputs, config.input.tensor.as_deref(), config.input.scale, config.input.offset)?;
        Labeled::new(samples, load_labels(&labels)?, &labels)
    }

    /// Every sample at each of the places that `augment` may shift it to, none turned: what a network makes of them says more
    /// about it than what it makes of the samples alone.
    pub fn at_every_place(&self, augment: &Augment) -> Labeled {
        let reach = augment.shift as isize;
        let places: Vec<[isize; 2]> = (-reach..=reach).flat_map(|down| (-reach..=reach).map(move |right| [down, right])).collect();
        let (count, size) = (self.samples.count * places.len(), self.samples.size);
        let mut data = vec![0f32; count * size];
        let mut labels = Vec::with_capacity(count);
        let all = (0..self.samples.count).flat_map(|i| places.iter().map(move |place| (i, place)));
        for ((i, place), out) in all.zip(data.chunks_exact_mut(size.max(1))) {
            augment.shifted(self.samples.sample(i), out, *place);
            labels.push(self.labels[i]);
        }
        Labeled { samples: Samples { count, size, data }, labels }
    }

    /// The samples of `range` as a tensor (samples, values).
    pub fn tensor(&self, range: std::ops::Range<usize>) -> Result<Tensor, Error> {
        let size = self.samples.size;
        Ok(Tensor::from_slice(&self.samples.data[range.start * size..range.end * size], (range.len(), size), &Device::Cpu)?)
    }

    /// The samples `which` as a tensor, each moved by what `rng` says.
    pub fn batch(&self, which: &[u32], augment: Option<&Augment>, rng: &mut ChaCha8Rng) -> Result<(Tensor, Vec<u8>), Error> {
        let size = self.samples.size;
        let mut values = vec![0f32; which.len() * size];
        for (out, i) in values.chunks_exact_mut(size.max(1)).zip(which) {
            let sample = self.samples.sample(*i as usize);
            match augment {
                None => out.copy_from_slice(sample),
                Some(augment) => augment.apply(sample, out, rng),
            }
        }
        let labels = which.iter().map(|i| self.labels[*i as usize]).collect();
        Ok((Tensor::from_vec(values, (which.len(), size), &Device::Cpu)?, labels))
    }
}

impl Augment {
    /// `None` if nothing is to be moved.
    pub fn new(config: &Config, size: usize) -> Result<Option<Augment>, Error> {
        let (shift, rotate) = (config.train.shift, config.train.rotate);
        if shift == 0 && rotate == 0.0 {
            return Ok(None);
        }
        match config.model.input {
            Some(image) if image.iter().product::<usize>() == size => Ok(Some(Augment { image, shift, rotate })),
            found => {
                let expected =
                    format!("expected channels, rows and columns of {} values, as train.shift or train.rotate is set", grouped(size));
                Err(Error::Training(format!("model.input is {found:?}, {expected}")))
            }
        }
    }

    /// Moves one image into `out`, which is zero.
    fn apply(&self, image: &[f32], out: &mut [f32], rng: &mut ChaCha8Rng) {
        let [_, height, width] = self.image;
        let mut shift = || rng.random_range(0..=2 * self.shift) as isize - self.shift as isize;
        let place = [shift(), shift()];
        if self.rotate == 0.0 {
            return self.shifted(image, out, place);
        }
        let angle = rng.random_range(-self.rotate..self.rotate).to_radians() as f32;
        for (map, out) in image.chunks_exact(height * width).zip(out.chunks_exact_mut(height * width)) {
            turn(map, out, [height, width], angle, place.map(|pixels| pixels as f32));
        }
    }

    /// Moves one image down and to the right into `out`, which is zero.
    fn shifted(&self, image: &[f32], out: &mut [f32], [down, right]: [isize; 2]) {
        let [_, height, width] = self.image;
        let (to, source) = if right >= 0 { (right as usize, 0) } else { (0, right.unsigned_abs()) };
        let length = width.saturating_sub(right.unsigned_abs());
        for (map, out) in image.chunks_exact(height * width).zip(out.chunks_exact_mut(height * width)) {
            for row in 0..height {
                let Some(from) = row.checked_add_signed(-down).filter(|r| *r < height && length > 0) else { continue };
                let from = from * width + source;
                out[row * width + to..][..length].copy_from_slice(&map[from..from + length]);
            }
        }
    }
}

/// Turns a map about its middle and shifts it, with the four nearest pixels weighted.
fn turn(map: &[f32], out: &mut [f32], [height, width]: [usize; 2], angle: f32, shift: [f32; 2]) {
    let (sin, cos) = angle.sin_cos();
    let middle = [(height as f32 - 1.0) / 2.0, (width as f32 - 1.0) / 2.0];
    let pixel = |row: f32, column: f32| {
        let inside = row >= 0.0 && column >= 0.0 && row < height as f32 && column < width as f32;
        if inside {
            map[row as usize * width + column as usize]
        } else {
            0.0
        }
    };
    for row in 0..height {
        for column in 0..width {
            let (y, x) = (row as f32 - middle[0] - shift[0], column as f32 - middle[1] - shift[1]);
            let (y, x) = (cos * y - sin * x + middle[0], sin * y + cos * x + middle[1]);
            let (top, left) = (y.floor(), x.floor());
            let (down, right) = (y - top, x - left);
            let upper = pixel(top, left) * (1.0 - right) + pixel(top, left + 1.0) * right;
            let lower = pixel(top + 1.0, left) * (1.0 - right) + pixel(top + 1.0, left + 1.0) * right;
            out[row * width + column] = upper * (1.0 - down) + lower * down;
        }
    }
}

impl Data {
    /// The samples that `[train]` names; the last `held_out` of them are held out.
    pub fn load(config: &Config) -> Result<Data, Error> {
        let (Some(inputs), Some(labels)) = (&config.train.inputs, &config.train.labels) else {
            return Err(Error::Training("found no train.inputs and train.labels in the configuration, expected both".to_string()));
        };
        Data::split(Labeled::load(config, inputs, labels)?, config.train.held_out)
    }

    /// A hash of every sample and class, as 16 hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for Labeled { samples, labels } in [&self.train, &self.held_out] {
            hash.update((samples.count as u64).to_le_bytes());
            for values in samples.data.chunks(1 << 16) {
                hash.update(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
            }
            hash.update(labels);
        }
        checkpoint::short(&hash.finalize())
    }

    pub fn split(all: Labeled, held_out: usize) -> Result<Data, Error> {
        let Labeled { mut samples, mut labels } = all;
        let Some(first) = samples.count.checked_sub(held_out).filter(|first| *first > 0) else {
            let (found, held_out) = (grouped(samples.count), grouped(held_out));
            return Err(Error::Training(format!("found {found} samples, expected more than train.held_out, {held_out}")));
        };
        let size = samples.size;
        let rest = Samples { count: held_out, size, data: samples.data.split_off(first * size) };
        samples.count = first;
        let held_out = Labeled { samples: rest, labels: labels.split_off(first) };
        Ok(Data { train: Labeled { samples, labels }, held_out })
    }
}

/// What an epoch draws its random numbers from; `use_of` tells the uses within an epoch apart.
pub fn epoch_rng(seed: u64, part: u64, epoch: usize, use_of: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream((part << 48) ^ ((epoch as u64) << 24) ^ use_of);
    rng
}

/// The samples in the order of an epoch.
pub fn order(count: usize, rng: &mut ChaCha8Rng) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count as u32).collect();
    order.shuffle(rng);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_one_that_training_may_shift_to_and_none_is_missing() {
        let augment = Augment { image: [2, 2, 3], shift: 1, rotate: 0.0 };
        let image: Vec<f32> = (1..=12).map(|v| v as f32).collect();
        let labeled = Labeled { samples: Samples { count: 1, size: 12, data: image.clone() }, labels: vec![7] };
        let all = labeled.at_every_place(&augment);
        assert_eq!((all.samples.count, all.labels.as_slice()), (9, [7; 9].as_slice()));
        let places: Vec<&[f32]> = (0..9).map(|i| all.samples.sample(i)).collect();
        assert_eq!(places[4], image);
        // up and to the left: both channels lose a row and a column
        assert_eq!(places[0], [5.0, 6.0, 0.0, 0.0, 0.0, 0.0, 11.0, 12.0, 0.0, 0.0, 0.0, 0.0]);
        // down
        assert_eq!(places[7], [0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 7.0, 8.0, 9.0]);
        let mut seen = [false; 9];
        for epoch in 0..200 {
            let (tensor, _) = labeled.batch(&[0], Some(&augment), &mut epoch_rng(1, 0, epoch, 0)).unwrap();
            let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
            seen[places.iter().position(|place| *place == values).unwrap()] = true;
        }
        assert_eq!(seen, [true; 9]);
    }
}
