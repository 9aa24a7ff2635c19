//! The process whose memory is measured.

use super::{Clustered, Found, BITS, COLUMNS, DENSE, DENSITY, FOUND, ITERATIONS, KEPT, PES, ROWS, SEED, STARTS};
use crate::bench::synthetic::Random;
use anyhow::{bail, Context, Result};
use lacuna_compress::compile::{compile, Calibration, Densities, Depths, Range, RowOrder, Settings};
use lacuna_compress::config::CodebookInit;
use lacuna_compress::manifest::Model;
use lacuna_compress::model::{Activation, Dense, DenseLayer, Matrix};
use lacuna_compress::prune::prune;
use lacuna_compress::quantize::{cluster, dequantize, quantize, Quantization};
use lacuna_compress::spec::{fixed, WeightForm};
use lacuna_compress::storage::{self, Method, StoredTensor, Values};
use lacuna_sim::golden::Golden;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

/// Of the weights that are drawn.
const DEVIATION: f64 = 0.02;

pub fn run(folder: &Path) -> Result<()> {
    let (dense, draw_seconds) = timed(draw);
    let dense_mib = peak_mib()?;

    let (pruned, prune_seconds) = timed(|| prune(dense, &[Some(DENSITY).into()]));
    let pruned = pruned?.0;
    let how = Quantization { form: WeightForm::Codebook, bits: BITS, init: CodebookInit::Linear, iterations: ITERATIONS, seed: SEED };
    let (quantized, share_seconds) = timed(|| quantize(&pruned, &how));
    let layers = quantized?.0;
    // what is measured behind the peak of memory
    let kept: Vec<f32> = pruned.layers[0].weights.data.iter().copied().filter(|w| *w != 0.0).collect();
    drop(pruned);
    let outputs = [Range { low: 0.0, high: 64.0 }];
    let calibration = Calibration::Given { input: Range { low: 0.0, high: 1.0 }, outputs: &outputs };
    let (compiled, encode_seconds) = timed(|| compile(&layers, &settings(), calibration));
    let compiled = compiled?;
    let (container, container_seconds) = timed(|| compiled.model.to_container());
    let container = container?;
    let peak_mib = peak_mib()?;

    drop(compiled);
    let original = dequantize(&layers).layers.remove(0).weights;
    drop(layers);
    let (restored, decode_seconds) = timed(|| restore(&container));
    same("container", &restored?.data, &original.data)?;
    save(&folder.join(DENSE), &original.data)?;
    let (stored, store_seconds) = timed(|| store(&original));
    let stored = stored?;
    let (restored, storage_decode_seconds) = timed(|| restore_stored(&stored));
    same("storage file", &restored?, &original.data)?;
    drop(original);

    let codes = (1 << BITS) - 1;
    let clustered = |init| {
        let start = cluster(&kept, codes, init, 0, SEED).centroids;
        let (found, seconds) = timed(|| cluster(&kept, codes, init, ITERATIONS, SEED));
        Clustered { start, seconds, error: found.error }
    };
    let starts = STARTS.map(|(name, init)| (name.to_string(), clustered(init)));
    let optimal = clustered(CodebookInit::Optimal);
    save(&folder.join(KEPT), &kept)?;
    let found = Found {
        draw_seconds,
        prune_seconds,
        share_seconds,
        encode_seconds,
        container_seconds,
        peak_mib,
        dense_mib,
        kept: kept.len(),
        container_bytes: container.len(),
        decode_seconds,
        storage_bytes: stored.len(),
        store_seconds,
        storage_decode_seconds,
        starts: starts.into_iter().collect(),
        optimal,
    };
    std::fs::write(folder.join(FOUND), serde_json::to_vec(&found)?).context(FOUND)
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let started = Instant::now();
    let found = work();
    (found, started.elapsed().as_secs_f64())
}

fn draw() -> Dense {
    let mut random = Random::new(SEED);
    let mut data = vec![0.0f32; ROWS * COLUMNS];
    for pair in data.chunks_mut(2) {
        let normal = random.normal();
        // a magnitude below 1
        pair.iter_mut().zip(normal).for_each(|(weight, value)| *weight = (value * DEVIATION) as f32);
    }
    let weights = Matrix { rows: ROWS, columns: COLUMNS, data };
    Dense { layers: vec![DenseLayer { name: "fc6".into(), weights, bias: vec![0.0; ROWS], activation: Activation::Relu, conv: None }] }
}

fn settings() -> Settings {
    Settings {
        pes: PES,
        fifo_depth: 8,
        weights: WeightForm::Codebook,
        weight_bits: BITS,
        run_bits: None,
        entries_per_word: 8,
        depths: Depths::default(),
        acc_bits: None,
        densities: Densities::Stated(0.4),
        rows: RowOrder::Model,
        input_scale: 1.0,
        input_offset: 0.0,
    }
}

/// From a container back to the matrix of floats.
fn restore(container: &[u8]) -> Result<Matrix> {
    let model = Model::from_container(container)?;
    let golden = Golden::new(&model.image)?;
    let fraction = model.network.layers[0].weight_fraction;
    let mut data = vec![0.0f32; ROWS * COLUMNS];
    for pe in 0..PES {
        for column in 0..COLUMNS {
            for step in golden.layers[0].steps(pe, column).iter().filter(|s| s.weight != 0) {
                // 16 bits over a power of two: exact
                data[(step.row as usize * PES + pe) * COLUMNS + column] = fixed::dequantize(i64::from(step.weight), fraction) as f32;
            }
        }
    }
    Ok(Matrix { rows: ROWS, columns: COLUMNS, data })
}

/// The matrix as a storage file.
fn store(weights: &Matrix) -> Result<Vec<u8>> {
    let values = Values::share(&weights.data).context("more shared weights than a storage file takes")?;
    let tensor = StoredTensor { name: "fc6.weight".into(), shape: vec![weights.rows, weights.columns], values };
    Ok(storage::write(&[tensor], Method::Auto)?)
}

/// From a storage file back to floats.
fn restore_stored(file: &[u8]) -> Result<Vec<f32>> {
    let tensor = storage::Reader::new(file)?.next().context("found no tensor, expected one")??;
    Ok(tensor.values.dense())
}

fn same(what: &str, found: &[f32], expected: &[f32]) -> Result<()> {
    if found.len() != expected.len() {
        bail!("{what}: {} weights came back, expected {}", found.len(), expected.len());
    }
    match found.iter().zip(expected).position(|(f, e)| f.to_bits() != e.to_bits()) {
        Some(i) => bail!("{what}: weight {i} came back as {}, expected {}", found[i], expected[i]),
        None => Ok(()),
    }
}

fn save(path: &Path, values: &[f32]) -> Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, std::fs::File::create(path).with_context(|| path.display().to_string())?);
    for value in values {
        file.write_all(&value.to_le_bytes())?;
    }
    Ok(file.flush()?)
}

/// The most memory that this process has held so far.
fn peak_mib() -> Result<f64> {
    let path = "/proc/self/status";
    let text = std::fs::read_to_string(path).context(path)?;
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:")).context("/proc/self/status has no VmHWM")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().with_context(|| format!("VmHWM is {line}"))?;
    Ok(kib / 1024.0)
}
