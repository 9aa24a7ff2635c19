//! Weight sharing (Deep Compression, section 3): k-means per layer, then training of the centroids with the sum of the
//! gradients of their weights. Which weight has which code stays; zeros stay zero.

use super::checkpoint;
use super::classify::{set_vars, vars_as_tensors};
use super::data::{Augment, Data};
use super::fit::{self, Pass};
use super::network::Network;
use super::optimize::{Adam, Optimizer};
use super::progress::Progress;
use super::retrain::optimizer_tensors;
use super::schedule::Schedule;
use super::slices;
use crate::config::Config;
use crate::error::Error;
use crate::model::{Dense, DenseLayer};
use crate::quantize::kmeans::{nearest, Sorted};
use crate::quantize::search::{choose, largest};
use crate::storage::{self, exact, Method, StoredTensor};
use candle_core::{DType, Device, Tensor, Var};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// The shared weights of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedLayer {
    /// The shared weights by code - 1, ascending, each a 16-bit floating point number.
    pub codebook: Vec<f32>,
    /// Of each weight in row-major order, 0 for zero.
    pub codes: Vec<u8>,
    /// A bias is its number times the step; the step is 0 if biases are left as they are.
    pub bias_step: f32,
    pub bias_numbers: Vec<i16>,
}

/// A network with shared weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    pub layers: Vec<SharedLayer>,
    /// The same as a network.
    pub dense: Dense,
}

/// Training of a network whose weights are shared.
struct Tuning {
    network: Network,
    /// Of each layer.
    codes: Vec<Vec<u8>>,
    centroids: Vec<Var>,
}

/// Called after each epoch with the number of epochs done and what a resumption needs.
pub type Save<'a> = dyn FnMut(usize, BTreeMap<String, Tensor>) -> Result<(), Error> + 'a;

/// The shared weights beside zero that `share.codes` gives each layer.
pub fn codes(config: &Config, pruned: &Dense) -> Vec<usize> {
    let codes = &config.share.codes;
    (0..pruned.layers.len()).map(|number| codes.get(number).or(codes.first()).copied().unwrap_or(255)).collect()
}

/// Gives each layer of `pruned` as many shared weights as `codes` says, and tunes them as `[share]` says; goes on after the
/// epoch of `resumed`.
pub fn share(
    config: &Config,
    pruned: &Dense,
    codes: &[usize],
    data: &Data,
    resumed: Option<(usize, BTreeMap<String, Tensor>)>,
    save: &mut Save,
    progress: &mut dyn Progress,
) -> Result<Shared, Error> {
    let settings = &config.share;
    let tuning = Tuning::start(config, pruned, codes)?;
    let biases: Vec<Var> = tuning.network.layers.iter().map(|l| l.bias.clone()).collect();
    let vars: Vec<Var> = tuning.centroids.iter().chain(&biases).cloned().collect();
    let of_network = super::masks::masks(pruned)?;
    let of_biases = of_network.into_iter().skip(1).step_by(2);
    let masks: Vec<Option<Tensor>> = tuning.centroids.iter().map(|_| None).chain(of_biases).collect();
    let mut optimizer = Adam::new(settings.rate, 0.0);
    let mut first = 0;
    if let Some((epoch, tensors)) = resumed {
        set_vars(&vars, &tensors)?;
        optimizer.restore(&checkpoint::under(&tensors, "optimizer."))?;
        tuning.write()?;
        first = epoch;
    }
    let pass = Pass {
        seed: config.train.seed,
        part: 1000,
        batch: settings.batch,
        augment: Augment::new(config, data.train.samples.size)?,
        dropout: vec![],
        teacher: None,
    };
    for epoch in first..settings.epochs {
        progress.epoch_started("share", epoch, settings.epochs, data.train.samples.count.div_ceil(settings.batch));
        let loss = pass.epoch(&tuning.network, data, epoch, progress, &mut |step, steps, grads| {
            optimizer.set_rate(settings.rate * Schedule::Cosine.at(epoch as f64 + step as f64 / steps as f64, settings.epochs));
            for ((layer, codes), centroids) in tuning.network.layers.iter().zip(&tuning.codes).zip(&tuning.centroids) {
                let Some(grad) = grads.get(&layer.weights) else { continue };
                let sums = slices::read(grad, |grad| sums(grad, codes, centroids.elem_count()))?;
                grads.insert(centroids, Tensor::from_vec(sums, centroids.shape(), &Device::Cpu)?);
            }
            optimizer.step(&vars, grads, &masks)?;
            tuning.write()
        })?;
        let error = fit::error(&tuning.network, &data.held_out)?;
        progress.epoch_ended(epoch, loss, error);
        let mut tensors = vars_as_tensors(&vars);
        tensors.extend(optimizer_tensors(optimizer.state()?));
        save(epoch + 1, tensors)?;
    }
    tuning.finish(settings.bias_bits)
}

/// The sum of the gradients of each code but 0.
fn sums(grad: &[f32], codes: &[u8], count: usize) -> Vec<f32> {
    let mut sums = vec![0f64; count + 1];
    for (g, code) in grad.iter().zip(codes) {
        sums[usize::from(*code)] += f64::from(*g);
    }
    sums[1..].iter().map(|s| *s as f32).collect()
}

/// The codes of a layer's weights, 0 for zero, and the values of the others.
fn quantize(config: &Config, number: usize, layer: &DenseLayer, clusters: usize) -> (Vec<u8>, Vec<f32>) {
    let settings = &config.share;
    let mut rng = ChaCha8Rng::seed_from_u64(config.train.seed);
    rng.set_stream(number as u64);
    let sorted = Sorted::new(layer.weights.data.iter().copied().filter(|w| *w != 0.0));
    let mut centroids = sorted.centroids(clusters, settings.init, settings.iterations, &mut rng);
    if centroids.is_empty() {
        centroids.push(0.0); // a layer without weights
    }
    // at most 255 centroids
    let code = |w: &f32| if *w == 0.0 { 0 } else { nearest(&centroids, f64::from(*w)) as u8 + 1 };
    (layer.weights.data.iter().map(code).collect(), centroids.iter().map(|c| *c as f32).collect())
}

/// What a search for the bits of each layer found.
#[derive(Clone, Debug, PartialEq)]
pub struct Searched {
    /// Bits of a code, of each layer.
    pub bits: Vec<u32>,
    /// About what the weights take in a file.
    pub bytes: usize,
    /// On the samples held out, before tuning.
    pub error: f64,
    /// Networks that were tried.
    pub tried: usize,
}

/// The shared weights beside zero of a code of so many bits, 1 to 8.
pub fn codes_of(bits: u32) -> usize {
    (1 << bits) - 1
}

/// The bits of each layer, of `fewest` to `most`, with which its file is small and its error at most `limit`. `None` if the
/// error is larger with the largest file of each layer.
pub fn search(config: &Config, pruned: &Dense, data: &Data, [fewest, most]: [u32; 2], limit: f64) -> Result<Option<Searched>, Error> {
    let candidates: Vec<u32> = (fewest..=most).rev().collect();
    let of_layer = |(number, layer)| candidates.iter().map(|bits| quantize(config, number, layer, codes_of(*bits))).collect::<Vec<_>>();
    let quantized: Vec<Vec<_>> = pruned.layers.iter().enumerate().map(of_layer).collect();
    let shared = |choice: &[usize]| {
        let (codes, centroids) = quantized.iter().zip(choice).map(|(of_layer, c)| of_layer[*c].clone()).unzip();
        Tuning::of(pruned, codes, centroids)?.finish(config.share.bias_bits)
    };
    let mut bytes = vec![vec![]; pruned.layers.len()];
    for candidate in 0..candidates.len() {
        let shared = shared(&vec![candidate; pruned.layers.len()])?;
        for (layer, sizes) in shared.dense.layers.iter().zip(&mut bytes) {
            let weights = &layer.weights;
            let stored =
                StoredTensor { name: layer.name.clone(), shape: vec![weights.rows, weights.columns], values: exact(&weights.data) };
            sizes.push(storage::write(&[stored], Method::Auto)?.len());
        }
    }
    let evaluate = |choice: &[usize]| fit::error(&Network::new(&shared(choice)?.dense)?, &data.held_out);
    let most = evaluate(&largest(&bytes))?;
    if most.is_nan() || most > limit {
        return Ok(None);
    }
    let choice = choose(&bytes, limit, evaluate)?;
    let bits = choice.candidates.iter().map(|c| candidates[*c]).collect();
    Ok(Some(Searched { bits, bytes: choice.bytes, error: choice.error, tried: choice.evaluations }))
}

impl Tuning {
    fn start(config: &Config, pruned: &Dense, codes: &[usize]) -> Result<Tuning, Error> {
        let layers = pruned.layers.iter().zip(codes).enumerate();
        let (codes, centroids) = layers.map(|(number, (layer, codes))| quantize(config, number, layer, *codes)).unzip();
        Tuning::of(pruned, codes, centroids)
    }

    fn of(pruned: &Dense, codes: Vec<Vec<u8>>, centroids: Vec<Vec<f32>>) -> Result<Tuning, Error> {
        let var = |values: &Vec<f32>| Var::from_slice(values, values.len(), &Device::Cpu);
        let centroids = centroids.iter().map(var).collect::<Result<_, _>>()?;
        let tuning = Tuning { network: Network::new(pruned)?, codes, centroids };
        tuning.write()?;
        Ok(tuning)
    }

    /// Gives every weight its centroid's value.
    fn write(&self) -> Result<(), Error> {
        for ((layer, codes), centroids) in self.network.layers.iter().zip(&self.codes).zip(&self.centroids) {
            let mut values = vec![0f32];
            values.extend(slices::values(centroids)?);
            slices::change(&layer.weights, |weights| {
                weights.iter_mut().zip(codes).for_each(|(w, code)| *w = values[usize::from(*code)]);
            })?;
        }
        Ok(())
    }

    /// Rounds the codebooks to 16 bits, orders them, and rounds the biases.
    fn finish(&self, bias_bits: usize) -> Result<Shared, Error> {
        let mut dense = self.network.dense()?;
        let mut layers = Vec::new();
        for ((layer, codes), centroids) in dense.layers.iter_mut().zip(&self.codes).zip(&self.centroids) {
            let values = slices::values(&centroids.to_dtype(DType::F16)?)?;
            if let Some(place) = values.iter().position(|v| !v.is_finite()) {
                let found = slices::values(centroids)?[place];
                let fault = format!("found shared weight {found}, expected at most 65,504, the largest number of 16 bits");
                return Err(Error::Layer { layer: layer.name.clone(), fault });
            }
            let mut used = vec![false; values.len() + 1];
            codes.iter().for_each(|code| used[usize::from(*code)] = true);
            let mut codebook: Vec<f32> = (0..values.len()).filter(|i| used[i + 1] && values[*i] != 0.0).map(|i| values[i]).collect();
            codebook.sort_unstable_by(f32::total_cmp);
            codebook.dedup();
            // a centroid that has become zero is code 0; there are at most 255
            let place = |v: f32| codebook.iter().position(|c| *c == v).map_or(0, |i| i as u8 + 1);
            let renamed: Vec<u8> = std::iter::once(0).chain(values.iter().map(|v| place(*v))).collect();
            let codes: Vec<u8> = codes.iter().map(|code| renamed[usize::from(*code)]).collect();
            for (w, code) in layer.weights.data.iter_mut().zip(&codes) {
                *w = if *code == 0 { 0.0 } else { codebook[usize::from(*code) - 1] };
            }
            let (bias_step, bias_numbers) = round_bias(&mut layer.bias, bias_bits);
            layers.push(SharedLayer { codebook, codes, bias_step, bias_numbers });
        }
        Ok(Shared { layers, dense })
    }
}

/// Rounds to multiples of a step, so that the largest magnitude is the largest number of `bits` bits.
fn round_bias(bias: &mut [f32], bits: usize) -> (f32, Vec<i16>) {
    let largest = bias.iter().fold(0f32, |most, b| most.max(b.abs()));
    if bits == 0 || largest == 0.0 {
        return (0.0, vec![]);
    }
    let step = largest / ((1i32 << (bits - 1)) - 1) as f32;
    // at most 2^15 - 1 as bits are at most 16
    let numbers: Vec<i16> = bias.iter().map(|b| (b / step).round() as i16).collect();
    bias.iter_mut().zip(&numbers).for_each(|(b, n)| *b = f32::from(*n) * step);
    (step, numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradients_of_each_code_are_summed_and_those_of_zero_left_out() {
        let (grad, codes) = ([1.0, 10.0, 0.5, -3.0, 7.0, 0.25], [1, 2, 1, 3, 0, 1]);
        assert_eq!(sums(&grad, &codes, 3), [1.75, 10.0, -3.0]);
        // a code without weights has none
        assert_eq!(sums(&grad[..1], &codes[..1], 2), [1.0, 0.0]);
    }
}
