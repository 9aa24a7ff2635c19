//! Networks and inputs drawn from a seed.

// without Verilator, much of it is not used
#![cfg_attr(not(feature = "verilator"), allow(dead_code))]

pub mod conv;
pub mod float;
pub mod recurrent;

use lacuna_compress::compile::{compile, Calibration, Densities, Depths, Range, RowOrder, Settings};
use lacuna_compress::manifest::Model;
use lacuna_compress::model::{Activation, Nonzero, QuantizedLayer};
use lacuna_compress::spec::WeightForm;
#[cfg(feature = "verilator")]
use lacuna_sim::simulate::Options;
#[cfg(feature = "verilator")]
use lacuna_sim::verilate::Optimize;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
#[cfg(feature = "verilator")]
use std::path::PathBuf;

/// A model and what to run on it.
pub struct Case {
    pub name: String,
    pub seed: u64,
    pub model: Model,
    /// By position.
    pub inputs: Vec<Vec<i16>>,
}

/// Models that run for a moment: the shortest build, in the cache of all tests.
#[cfg(feature = "verilator")]
pub fn drafted() -> Options {
    Options { cache: cache(), optimize: Optimize::Draft, ..Options::default() }
}

/// Compiled models of all tests.
#[cfg(feature = "verilator")]
pub fn cache() -> PathBuf {
    lacuna_sim::verilate::default_cache()
}

/// One of the values, by the generator.
fn pick<T: Copy>(rng: &mut ChaCha8Rng, from: &[T]) -> T {
    from[rng.random_range(0..from.len())]
}

/// Layers of the given sizes with random weights; some columns and rows stay empty.
fn layers(rng: &mut ChaCha8Rng, sizes: &[usize], form: WeightForm, bits: usize) -> Vec<QuantizedLayer> {
    let mut all = vec![];
    for (number, pair) in sizes.windows(2).enumerate() {
        let density: f64 = pick(rng, &[0.05, 0.2, 0.5, 1.0]);
        let codebook: Vec<i16> =
            (0..1 << bits.min(8)).map(|c| if c == 0 { 0 } else { pick(rng, &[-32768, 32767, -1, 1, rng_value(c)]) }).collect();
        let columns = (0..pair[0])
            .map(|_| {
                let empty = rng.random_bool(0.2);
                let mut column = vec![];
                for row in 0..pair[1] as u32 {
                    if !empty && rng.random_bool(density) {
                        let weight = match form {
                            WeightForm::Codebook => rng.random_range(1..codebook.len() as i32),
                            WeightForm::Direct => nonzero(rng, bits),
                        };
                        column.push(Nonzero { row, weight });
                    }
                }
                column
            })
            .collect();
        all.push(QuantizedLayer {
            name: format!("layer{number}"),
            rows: pair[1],
            columns,
            codebook: (form == WeightForm::Codebook).then_some(codebook),
            weight_fraction: rng.random_range(8..15),
            bias: (0..pair[1]).map(|_| rng.random_range(-2.0..2.0)).collect(),
            activation: if rng.random_bool(0.6) { Activation::Relu } else { Activation::None },
            conv: None,
        });
    }
    all
}

fn rng_value(code: usize) -> i16 {
    (code as i16).wrapping_mul(4099).wrapping_sub(8191)
}

fn nonzero(rng: &mut ChaCha8Rng, bits: usize) -> i32 {
    let limit = 1 << (bits - 1);
    loop {
        let value = rng.random_range(-limit..limit);
        if value != 0 {
            return value;
        }
    }
}

/// Of the 32 bits of lane `lane`, those that a word of `bits` bits has.
pub fn lane_mask(bits: usize, lane: usize) -> u32 {
    u32::MAX.checked_shr(32 - bits.saturating_sub(32 * lane).min(32) as u32).unwrap_or(0)
}

/// The case of a seed: small and quick to build.
pub fn random_case(seed: u64) -> Case {
    build(seed, None)
}

/// The case of a seed, anywhere in what is legal: any queue, code and run widths, the narrowest accumulator, depths
/// beyond the need, more PEs.
pub fn wide_case(seed: u64) -> Case {
    build(seed, Some(ChaCha8Rng::seed_from_u64(seed ^ 0x5eed)))
}

fn build(seed: u64, mut wide: Option<ChaCha8Rng>) -> Case {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut pes = pick(&mut rng, &[1, 2, 3, 4, 5, 8, 16]);
    let form = if rng.random_bool(0.7) { WeightForm::Codebook } else { WeightForm::Direct };
    let mut weight_bits = match form {
        WeightForm::Codebook => rng.random_range(2..=6),
        WeightForm::Direct => pick(&mut rng, &[2, 5, 8, 12, 16]),
    };
    if let Some(wide) = &mut wide {
        pes = pick(wide, &[1, 3, 6, 20, 33]);
        weight_bits = wide.random_range(2..=if form == WeightForm::Codebook { 8 } else { 16 });
    }
    let depth = rng.random_range(1..4);
    let sizes: Vec<usize> = (0..=depth).map(|_| pick(&mut rng, &[1, 2, 7, 16, 33, 60, 100])).collect();
    let layers = layers(&mut rng, &sizes, form, weight_bits);
    let fifo_depth = pick(&mut rng, &[1, 2, 3, 4, 8, 9, 32]);
    let mut settings = Settings {
        pes,
        fifo_depth,
        weights: form,
        weight_bits,
        run_bits: Some(rng.random_range(2..=5)),
        entries_per_word: pick(&mut rng, &[1, 2, 4, 8, 16]),
        depths: Depths::default(),
        acc_bits: Some(48),
        densities: Densities::Stated(0.5),
        rows: if rng.random_bool(0.5) { RowOrder::Balanced { seed } } else { RowOrder::Model },
        input_scale: 1.0,
        input_offset: 0.0,
    };
    // ranges that make some results saturate
    let range = |rng: &mut ChaCha8Rng| Range { low: -rng.random_range(0.5..50.0), high: rng.random_range(0.5..50.0) };
    let input = range(&mut rng);
    let outputs: Vec<Range> = layers.iter().map(|_| range(&mut rng)).collect();
    if let Some(wide) = &mut wide {
        settings.fifo_depth = wide.random_range(1..=64);
        settings.run_bits = if wide.random_bool(0.3) { None } else { Some(wide.random_range(2..=8)) };
        settings.acc_bits = None;
        let calibration = Calibration::Given { input, outputs: &outputs };
        let exact = compile(&layers, &settings, calibration).unwrap_or_else(|e| panic!("seed {seed}: {e}")).model.arch().clone();
        let mut more = |depth: usize| Some(depth + wide.random_range(0..9));
        settings.depths = Depths {
            spmat: more(exact.spmat_depth),
            ptr: more(exact.ptr_depth),
            act: more(exact.act_depth),
            acc: more(exact.acc_depth),
            bias: more(exact.bias_depth),
            max_layers: more(exact.max_layers),
        };
    }
    let compiled =
        compile(&layers, &settings, Calibration::Given { input, outputs: &outputs }).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    let mut inputs: Vec<Vec<i16>> = vec![vec![0; sizes[0]], vec![-32768; sizes[0]]];
    for density in [0.1, 0.5, 1.0] {
        inputs.push(
            (0..sizes[0]).map(|_| if rng.random_bool(density) { (rng.next_u32() as i16) >> rng.random_range(0..12) } else { 0 }).collect(),
        );
    }
    let name = format!(
        "seed {seed}: {pes} PEs, fifo {}, {form:?} {weight_bits} bits, run {:?}, sizes {sizes:?}",
        settings.fifo_depth, settings.run_bits
    );
    Case { name, seed, model: compiled.model, inputs }
}
