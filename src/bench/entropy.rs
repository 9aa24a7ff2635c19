//! `entropy`: the smallest storage form beside gap + Huffman coding and DeepCABAC, on two published sets of weights.

use super::data_file;
use super::lenet_hardware::Digits;
use super::report::{rounded, Bar, Check, Outcome, Row};
use crate::term;
use anyhow::{bail, Result};
use indicatif::ProgressBar;
use lacuna_compress::bitstream::{self, Layout};
use lacuna_compress::config::{CodebookInit, Config};
use lacuna_compress::entropy::{huffman, order_units};
use lacuna_compress::import::load_model;
use lacuna_compress::model::Dense;
use lacuna_compress::quantize::{dequantize, quantize, Quantization};
use lacuna_compress::spec::WeightForm;
use lacuna_compress::storage::{self, Method, StoredTensor, Values};
use std::path::Path;
use std::time::Instant;

const CONFIG: &str = include_str!("../demo/lenet300100.toml");
/// Bits of a code, as in the table that the bar is from.
const BITS: usize = 5;

pub fn run(data: &Path) -> Result<Outcome> {
    let spinner = term::spinner("lenet300100_sparse");
    let shared = lenet(data)?;
    let error = error(data, &shared)?;
    let weights = |dense: &Dense| -> Result<Vec<StoredTensor>> { dense.layers.iter().map(stored).collect() };
    let lenet = Coded::of(&weights(&shared)?)?;
    let mut ordered = shared.clone();
    order_units(&mut ordered);
    let ordered = storage::write(&weights(&ordered)?, Method::Mixed)?.len();

    spinner.set_message("squeezenet");
    let bytes = std::fs::read(data_file(data, "squeezenet/compressed_SqueezeNet.net")?)?;
    let squeezenet = Coded::of(&bitstream::read(&bytes, &Layout::squeezenet())?)?;
    let back = bitstream::write(&storage::read_all(&squeezenet.file[..])?)?;
    if back != bytes {
        bail!("compressed_SqueezeNet.net: other bytes came back than were stored");
    }
    spinner.finish_and_clear();

    let row = |file: &str, coded: &Coded, bar: usize| {
        Row::new()
            .with("file", file)
            .with("bytes", coded.file.len())
            .with("huffman_bytes", coded.huffman)
            .with("fast_bytes", coded.fast)
            .with("entropy_bytes", rounded(coded.entropy, 0))
            .with("bar_bytes", bar)
            .with("decode_mb_per_s", rounded(coded.speed, 2))
            .with("fast_decode_mb_per_s", rounded(coded.fast_speed, 1))
            .with("round_trip", true)
    };
    let rows = vec![
        row("lenet300100_sparse", &lenet, 5150)
            .with("stretch_bytes", 4900)
            .with("error_percent", rounded(error, 2))
            .with("ordered_bytes", ordered),
        row("squeezenet", &squeezenet, 545_364),
    ];
    let notes = vec![
        "lenet300100_sparse: a storage file of the three weight tensors, with names, shapes, codebooks and CRC; biases apart".to_string(),
        "squeezenet: a storage file that gives compressed_SqueezeNet.net back byte for byte, biases included".to_string(),
        "published: DeepCABAC 5,297 and 545,364 bytes, gap + Huffman 6,337 and 556,465 bytes".to_string(),
        "entropy_bytes: mask and codes of every layer as independent draws, codebooks and biases at 32 bits; not a bound where contexts help".to_string(),
        "ordered_bytes: the same network with its hidden units sorted by their number of weights".to_string(),
    ];
    let checks = vec![
        Check::new("lenet300100_sparse, bytes", lenet.file.len() as f64, 0, Bar::AtMost(5150.0)).stretch(4900.0),
        Check::new("lenet300100_sparse, error in percent", error, 2, Bar::AtMost(2.04)),
        Check::new("squeezenet, bytes", squeezenet.file.len() as f64, 0, Bar::AtMost(545_364.0)),
    ];
    Ok(Outcome { rows, checks, notes })
}

/// The pre-trained network with every layer's weights shared by linear k-means.
fn lenet(data: &Path) -> Result<Dense> {
    let mut config = Config::parse(CONFIG, Path::new("lenet300100.toml"))?;
    config.model.file = std::path::absolute(data_file(data, "lenet/caffe_lenet300100_sparse.safetensors")?)?;
    let how = Quantization { form: WeightForm::Codebook, bits: BITS, init: CodebookInit::Linear, ..Quantization::from(&config) };
    Ok(dequantize(&quantize(&load_model(&config)?, &how)?.0))
}

/// Of the network in floating point, on the 10,000 test digits.
fn error(data: &Path, network: &Dense) -> Result<f64> {
    let config = Config::parse(CONFIG, Path::new("lenet300100.toml"))?;
    Digits::load(data, config.input.scale, config.input.offset)?.error_percent(network, &ProgressBar::hidden())
}

fn stored(layer: &lacuna_compress::model::DenseLayer) -> Result<StoredTensor> {
    let Some(values) = Values::share(&layer.weights.data) else { bail!("layer {}: too many different weights", layer.name) };
    let shape = vec![layer.weights.rows, layer.weights.columns];
    Ok(StoredTensor { name: format!("{}.weight", layer.name), shape, values })
}

/// Tensors in the three codings.
struct Coded {
    /// The smallest.
    file: Vec<u8>,
    /// Relative indices and Huffman codes, with codebooks and all else as 32-bit floats: what the published figures count.
    huffman: usize,
    fast: usize,
    entropy: f64,
    /// Dense megabytes per second.
    speed: f64,
    fast_speed: f64,
}

impl Coded {
    /// Also reads everything back: other values are an error.
    fn of(tensors: &[StoredTensor]) -> Result<Coded> {
        let mut sizes = [0; 2];
        let mut speeds = [0.0; 2];
        let mut file = vec![];
        for (i, method) in [Method::Fast, Method::Mixed].into_iter().enumerate() {
            file = storage::write(tensors, method)?;
            let start = Instant::now();
            let back = storage::read_all(&file[..])?;
            speeds[i] = 4e-6 * back.iter().map(|t| t.values.len()).sum::<usize>() as f64 / start.elapsed().as_secs_f64();
            sizes[i] = file.len();
            if back != tensors {
                bail!("{method:?}: other tensors came back than were stored");
            }
        }
        let mut huffman_bytes = 0;
        let mut entropy = 0.0;
        for tensor in tensors {
            match &tensor.values {
                Values::Shared { codebook, codes } => {
                    let (bytes, _) = huffman::encode(codes, codebook.len());
                    if huffman::decode(&bytes, codes.len(), codebook.len()).as_ref() != Some(codes) {
                        bail!("{}: other codes came back from Huffman coding", tensor.name);
                    }
                    huffman_bytes += bytes.len() + 4 * codebook.len();
                    entropy += empirical(codes, codebook.len()) / 8.0 + 4.0 * codebook.len() as f64;
                }
                others => {
                    huffman_bytes += 4 * others.len();
                    entropy += 4.0 * others.len() as f64;
                }
            }
        }
        Ok(Coded { file, huffman: huffman_bytes, fast: sizes[0], entropy, speed: speeds[1], fast_speed: speeds[0] })
    }
}

/// Bits of the codes as independent draws from their distribution, zeros among them.
fn empirical(codes: &[u16], values: usize) -> f64 {
    let mut counts = vec![0u32; values + 1];
    codes.iter().for_each(|code| counts[usize::from(*code)] += 1);
    let all = codes.len() as f64;
    counts.iter().filter(|c| **c > 0).map(|c| f64::from(*c) * (all / f64::from(*c)).log2()).sum()
}
