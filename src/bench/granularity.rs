//! `granularity`: pre-trained networks pruned in each grain and retrained for a short while: what it does to the error, to the
//! index, to the work of the PEs and to the cycles.
//!
//! Errors are those of the float model with the pruned weights, before and after retraining. Cycles are the cycle model's, of
//! the retrained network, mean over some digits; codes have 4 bits.

use super::data_file;
use super::digits::{IMAGES, LABELS};
use super::report::{rounded, Outcome, Row};
use crate::term;
use anyhow::{bail, Result};
use lacuna_compress::compile::{compile, Calibration, Compiled, Settings};
use lacuna_compress::config::{Config, ConvConfig, Criterion, LayerConfig, PruneConfig, PruneSchedule};
use lacuna_compress::error::grouped;
use lacuna_compress::import::load_model;
use lacuna_compress::inputs::{load_inputs, load_labels, Samples};
use lacuna_compress::model::{Activation, Dense};
use lacuna_compress::prune::{index_bits, mask, Grain};
use lacuna_compress::quantize::{quantize, Quantization};
use lacuna_compress::train::classify::Checkpoints;
use lacuna_compress::train::data::{Data, Labeled};
use lacuna_compress::train::fit;
use lacuna_compress::train::network::Network as Trained;
use lacuna_compress::train::progress::Silent;
use lacuna_compress::train::retrain;
use lacuna_sim::golden::Golden;
use lacuna_sim::perf::Network;
use std::path::Path;

/// What Caffe trained the networks with: bytes over 256.
const SCALE: f64 = 1.0 / 256.0;
const PES: usize = 8;
const BITS: usize = 4;
/// Digits whose cycles are averaged.
const TIMED: usize = 100;
const SEED: u64 = 1;
const DENSITIES: [f64; 3] = [0.25, 0.125, 0.0625];
/// Training digits that networks are retrained with, and epochs over them.
const RETRAINED: usize = 10_000;
const EPOCHS: usize = 2;
/// Training digits that calibrate the formats.
const CALIBRATION: usize = 256;
const GRAINS: [Grain; 7] = [
    Grain::Weight,
    Grain::Vector { length: 4 },
    Grain::Vector { length: 8 },
    Grain::Kernel,
    Grain::Filter,
    Grain::Balanced { pes: PES },
    Grain::BankBalanced { banks: 4 },
];

/// A network with its configuration.
struct Case {
    name: &'static str,
    config: Config,
    dense: Dense,
}

pub fn run(data: &Path) -> Result<Outcome> {
    let cases = [
        case(data, "LeNet-300-100", "lenet/caffe_lenet300100_original.safetensors", &["ip1", "ip2", "ip3"], None)?,
        case(data, "LeNet-5", "lenet/caffe_lenet5_original.safetensors", &["conv1", "conv2", "ip1", "ip2"], Some([1, 28, 28]))?,
    ];
    let digits = Digits::load(data)?;
    let mut notes = vec![
        "every layer at the same density but the last, which is left as it is".to_string(),
        format!(
            "error_percent after {EPOCHS} epochs of retraining over {} training digits, seed {SEED}; cut_error_percent before them; \
             10,000 test digits",
            grouped(RETRAINED)
        ),
        format!("index_bits per stored weight; bytes: index and {BITS}-bit codes, no codebooks and biases"),
        format!("cycles and imbalance on {PES} PEs, rows in the model's order and balanced (seed {SEED}); mean of {TIMED} digits"),
    ];
    let mut rows = vec![];
    let bar = term::progress("patterns", cases.len() * patterns().count());
    for case in &cases {
        let mut fault = None;
        for (grain, density) in patterns() {
            bar.inc(1);
            let fits = grain != Grain::Kernel || case.dense.layers.iter().any(|l| l.conv.is_some());
            if fits {
                rows.push(case.row(grain, density, &digits, &mut fault)?);
            }
        }
        notes.extend(fault.map(|fault| format!("{}: no cycles: {fault}", case.name)));
    }
    bar.finish_and_clear();
    Ok(Outcome { rows, checks: vec![], notes })
}

struct Digits {
    test: Labeled,
    training: Data,
    calibration: Samples,
}

impl Digits {
    fn load(data: &Path) -> Result<Digits> {
        let labeled = |images: &str, labels: &str, least: usize| -> Result<Labeled> {
            let (images, labels) = (data_file(data, images)?, data_file(data, labels)?);
            let samples = load_inputs(&images, None, SCALE, 0.0)?;
            if samples.count < least {
                bail!("{}: found {} digits, expected at least {least}", images.display(), samples.count);
            }
            Ok(Labeled::new(samples, load_labels(&labels)?, &labels)?)
        };
        let test = labeled(IMAGES, LABELS, TIMED)?;
        let mut all = labeled("mnist/train-images-idx3-ubyte.gz", "mnist/train-labels-idx1-ubyte.gz", RETRAINED + 1)?;
        let mut calibration = all.samples.clone();
        calibration.truncate(CALIBRATION);
        // nothing is chosen here: one digit stands for those held out
        all.samples.truncate(RETRAINED + 1);
        all.labels.truncate(RETRAINED + 1);
        Ok(Digits { test, training: Data::split(all, 1)?, calibration })
    }

    fn error_percent(&self, network: &Dense) -> Result<f64> {
        Ok(rounded(100.0 * fit::error(&Trained::new(network)?, &self.test)?, 2))
    }
}

/// The network as it is, then each grain at each density; of n of m those that have one of these densities.
fn patterns() -> impl Iterator<Item = (Grain, f64)> {
    let free = GRAINS.into_iter().flat_map(|grain| DENSITIES.map(|density| (grain, density)));
    let fixed = [(2, 4), (1, 4), (1, 8), (1, 16)].map(|(n, m)| (Grain::NofM { n, m }, n as f64 / m as f64));
    [(Grain::Weight, 1.0)].into_iter().chain(free).chain(fixed)
}

fn case(data: &Path, name: &'static str, file: &str, layers: &[&str], input: Option<[usize; 3]>) -> Result<Case> {
    let mut config = Config::default();
    config.model.file = std::path::absolute(data_file(data, file)?)?;
    config.model.input = input;
    config.accelerator.pes = PES;
    config.accelerator.weight_bits = BITS;
    config.compress.seed = SEED;
    config.train.seed = SEED;
    config.prune = PruneConfig {
        criterion: Criterion::Layer,
        density: vec![1.0],
        schedule: PruneSchedule::Once,
        retrain: EPOCHS,
        batch: 64,
        rate: 1e-3,
        ..PruneConfig::default()
    };
    config.share.codes = vec![];
    let last = layers.len() - 1;
    let layer = |(number, name): (usize, &&str)| {
        let mut layer = LayerConfig::new(name, &format!("{name}.weight"));
        layer.bias = Some(format!("{name}.bias"));
        if name.starts_with("conv") {
            layer.conv = Some(ConvConfig { pool: 2, ..ConvConfig::default() });
        }
        // Caffe's LeNet-5 has no function behind its convolutions
        if number == last || layer.conv.is_some() {
            layer.activation = Activation::None;
        }
        layer
    };
    config.model.layer = layers.iter().enumerate().map(layer).collect();
    let dense = load_model(&config)?;
    Ok(Case { name, config, dense })
}

impl Case {
    fn row(&self, grain: Grain, density: f64, digits: &Digits, fault: &mut Option<String>) -> Result<Row> {
        let mut config = self.config.clone();
        let mut pruned = self.dense.clone();
        let last = pruned.layers.len() - 1;
        let (mut stored, mut index, mut total) = (0, 0, 0);
        for (number, layer) in pruned.layers.iter_mut().enumerate() {
            // fully connected layers have no kernels
            let suits = grain != Grain::Kernel || layer.conv.is_some();
            let (grain, density) = if number < last && suits { (grain, density) } else { (Grain::Weight, 1.0) };
            let mask = mask(&layer.weights, layer.conv, &grain, density)?;
            mask.apply(&mut layer.weights.data);
            stored += mask.kept();
            // a layer that is whole needs no index
            index += if mask.kept() < mask.keep.len() { index_bits(&mask, layer.conv, &grain, BITS) } else { 0 };
            total += mask.keep.len();
            (config.model.layer[number].grain, config.model.layer[number].density) = (grain, Some(density));
        }
        let cut_error = digits.error_percent(&pruned)?;
        let retrained = retrain::prune(&config, &self.dense, &digits.training, &Checkpoints::default(), &mut Silent)?.pruned;
        let row = Row::new()
            .with("model", self.name)
            .with("grain", if density == 1.0 { "dense".to_string() } else { grain.to_string() })
            .with("wanted", density)
            .with("density", rounded(stored as f64 / total as f64, 4))
            .with("cut_error_percent", cut_error)
            .with("error_percent", digits.error_percent(&retrained)?)
            .with("index_bits", rounded(index as f64 / stored.max(1) as f64, 3))
            .with("bytes", (index + stored * BITS).div_ceil(8))
            .with_hidden("seed", SEED);
        match self.cycles(&retrained, digits) {
            Ok([(cycles, imbalance), (balanced_cycles, balanced_imbalance)]) => Ok(row
                .with("cycles", rounded(cycles, 1))
                .with("imbalance", rounded(imbalance, 3))
                .with("balanced_cycles", rounded(balanced_cycles, 1))
                .with("balanced_imbalance", rounded(balanced_imbalance, 3))),
            Err(error) => {
                *fault = Some(format!("{error:#}"));
                Ok(row)
            }
        }
    }

    /// Mean cycles and imbalance, with rows in the model's order and balanced.
    fn cycles(&self, pruned: &Dense, digits: &Digits) -> Result<[(f64, f64); 2]> {
        let layers = quantize(pruned, &Quantization::from(&self.config))?.0;
        let mut config = self.config.clone();
        let mut one = |balance: bool| -> Result<(f64, f64)> {
            config.compress.balance = balance;
            let compiled = compile(&layers, &Settings::from_config(&config), Calibration::Samples(&digits.calibration))?;
            let golden = Golden::new(&compiled.model.image)?;
            let network = Network::new(&golden);
            let mut cycles = 0;
            for sample in digits.test.samples.iter().take(TIMED) {
                cycles += network.time(&golden.trace(&compiled.model.quantize_input(sample)?)?).total.cycles;
            }
            Ok((cycles as f64 / TIMED as f64, imbalance(&compiled)))
        };
        Ok([one(false)?, one(true)?])
    }
}

/// Entries of the busiest PE of each layer over the mean of all, both summed over the layers.
fn imbalance(compiled: &Compiled) -> f64 {
    let layers = &compiled.report.layers;
    let most: usize = layers.iter().filter_map(|l| l.entries_per_pe.iter().max()).sum();
    let mean: f64 = layers.iter().map(|l| l.entries_per_pe.iter().sum::<usize>() as f64 / l.entries_per_pe.len() as f64).sum();
    if mean == 0.0 {
        return 1.0;
    }
    most as f64 / mean
}
