//! `fc8`: AlexNet's last layer after Deep Compression with one image's activations, on 64 PEs.
//!
//! The one layer on which cycles can be compared with EIE exactly. The bias is a column of its own with
//! activation 1.0. The assignment of rows is made from the weights, one stated density and one fixed seed; which
//! inputs of this image are zero does not enter. What Table III's density gives instead is printed beside it.

use super::data_file;
use super::hardware;
use super::report::{rounded, Bar, Check, Outcome, Row};
use crate::term;
use anyhow::{bail, Context, Result};
use lacuna_compress::balance::{assign_rows, Balance};
use lacuna_compress::compile::{compile, Calibration, Densities, Depths, RowOrder, Settings};
use lacuna_compress::inputs::Samples;
use lacuna_compress::manifest::Model;
use lacuna_compress::model::{Activation, Nonzero, QuantizedLayer};
use lacuna_compress::spec::{fixed, WeightForm};
use lacuna_sim::golden::Golden;
use lacuna_sim::perf::{Array, Load, Network, Timing};
use lacuna_sim::reference::argmax;
use std::path::Path;

const FILE: &str = "alexnet_fc8/alexnet_fc8.safetensors";
const PES: usize = 64;
const ROWS: usize = 1000;
const CLASS: usize = 708;
/// Share of inputs that are not zero, as Table III of the EIE paper states it. The image at hand has 1,759 of 4,096.
const DENSITY: f64 = 0.375;
const SEED: u64 = 1;
const SEEDS: std::ops::RangeInclusive<u64> = 1..=20;
/// Assignment (balanced or interleaved) and depth of the queues.
const CONFIGS: [(bool, usize); 4] = [(false, 8), (true, 8), (true, 16), (true, 32)];

/// What the file holds.
struct Fc8 {
    codebook: Vec<f32>,
    layer: QuantizedLayer,
    /// With the bias column's 1.0.
    input: Vec<f32>,
    expected: Vec<f32>,
}

/// A row of the table.
struct Measured {
    balanced: bool,
    fifo: usize,
    cycles: u64,
    timing: Timing,
    class: usize,
    exact: bool,
}

pub fn run(data: &Path) -> Result<Outcome> {
    let path = data_file(data, FILE)?;
    let verilator = hardware::available()?;
    let fc8 = read(&path).with_context(|| path.display().to_string())?;
    let spread = spread(&fc8);
    let bar = term::progress("configurations", CONFIGS.len());
    let mut measured: Vec<Measured> = vec![];
    let mut notes = vec![
        format!(
            "{PES} PEs, bias as a column, 8-bit runs; balanced rows are for density {DENSITY} (this image has 0.4294) with seed {SEED}"
        ),
        "EIE as published: 7,926 cycles (ring of 8, which holds 7 columns), 7,896 with a queue that holds 8".to_string(),
    ];
    for (number, (balanced, fifo)) in CONFIGS.into_iter().enumerate() {
        let model = fc8.compile(balanced, fifo)?;
        let input = model.quantize_input(&fc8.input)?;
        let golden = Golden::new(&model.image)?;
        let trace = golden.trace(&input)?;
        let timing = Network::new(&golden).time(&trace).total;
        if number == 0 {
            notes.push(fc8.compare(&model, trace.output())?);
        }
        let judged = if verilator { hardware::judge_one(&model, &input)? } else { None };
        notes.extend(judged.iter().filter_map(|j| j.fault.clone()));
        let outputs = judged.as_ref().map_or(trace.output(), |j| &j.outputs);
        let class = argmax(&model.output_rows(outputs)?);
        let cycles = judged.as_ref().map_or(timing.cycles, |j| j.cycles);
        measured.push(Measured { balanced, fifo, cycles, timing, class, exact: judged.is_some_and(|j| j.exact) });
        bar.inc(1);
    }
    bar.finish_and_clear();
    if !verilator {
        notes.push(hardware::WITHOUT.into());
    }
    let rows = measured.iter().map(|m| m.row(verilator, &spread)).collect();
    Ok(Outcome { rows, checks: checks(&measured, verilator), notes })
}

impl Measured {
    fn row(&self, verilator: bool, spread: &[(usize, Vec<u64>)]) -> Row {
        let assignment = if self.balanced { format!("balanced, seed {SEED}") } else { "interleaved".to_string() };
        let row = Row::new()
            .with("config", assignment)
            .with("pes", PES)
            .with("fifo", self.fifo)
            .with("cycles", self.cycles)
            .with("bound_cycles", self.timing.bound(PES))
            .with("utilization", rounded(self.timing.weights as f64 / (PES as f64 * self.cycles as f64), 4))
            .with("top_class", self.class)
            .with("bit_exact", self.exact)
            .with("verilator", verilator);
        match spread.iter().find(|(fifo, _)| self.balanced && *fifo == self.fifo) {
            Some((_, s)) => row.with("seeds_min", s[0]).with("seeds_median", s[s.len() / 2]).with("seeds_max", s[s.len() - 1]),
            None => row,
        }
    }
}

fn checks(measured: &[Measured], verilator: bool) -> Vec<Check> {
    let best = |depths: std::ops::RangeInclusive<usize>| measured.iter().filter(|m| depths.contains(&m.fifo)).min_by_key(|m| m.cycles);
    let cycles = |m: Option<&Measured>| m.filter(|_| verilator).map(|m| m.cycles as f64);
    let bound = measured.first().map_or(0.0, |m| m.timing.bound(PES) as f64);
    let all = measured.len() as f64;
    let count = |hold: fn(&Measured) -> bool| verilator.then(|| measured.iter().filter(|m| hold(m)).count() as f64);
    vec![
        Check::new("cycles at fifo 8", cycles(best(8..=8)), 0, Bar::AtMost(7650.0)).limit(bound),
        Check::new("cycles at fifo up to 32", cycles(best(1..=32)), 0, Bar::AtMost(7400.0)).stretch(7300.0).limit(bound),
        Check::new(format!("runs with class {CLASS} first"), count(|m| m.class == CLASS), 0, Bar::AtLeast(all)),
        Check::new("runs equal to golden and cycle model", count(|m| m.exact), 0, Bar::AtLeast(all)),
    ]
}

/// Cycles of the balanced assignment at each depth of the queues, over the seeds, sorted.
fn spread(fc8: &Fc8) -> Vec<(usize, Vec<u64>)> {
    let mut spread: Vec<(usize, Vec<u64>)> = depths().map(|fifo| (fifo, vec![])).collect();
    let bar = term::progress("seeds", SEEDS.count());
    for seed in SEEDS {
        for ((_, cycles), found) in spread.iter_mut().zip(fc8.predict(DENSITY, seed)) {
            cycles.push(found);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    spread.iter_mut().for_each(|(_, cycles)| cycles.sort_unstable());
    spread
}

/// Depths of the queues with balanced rows.
fn depths() -> impl Iterator<Item = usize> {
    CONFIGS.into_iter().filter(|c| c.0).map(|c| c.1)
}

/// Entries of each column in each PE. A run of 8 bits passes over every row of a PE, so there is no padding.
fn load(columns: &[Vec<u32>], order: &[u32]) -> Load {
    let mut pe_of = vec![0; ROWS];
    order.iter().enumerate().for_each(|(position, row)| pe_of[*row as usize] = position % PES);
    let mut entries = vec![0; columns.len() * PES];
    for (j, column) in columns.iter().enumerate() {
        column.iter().for_each(|row| entries[j * PES + pe_of[*row as usize]] += 1);
    }
    Load::new(PES, ROWS.div_ceil(PES), entries, columns.iter().map(|c| c.len() as u32).collect())
}

impl Fc8 {
    /// Cycles at each of [`depths`], rows balanced for a density.
    fn predict(&self, density: f64, seed: u64) -> Vec<u64> {
        let columns: Vec<Vec<u32>> = self.layer.columns.iter().map(|c| c.iter().map(|n| n.row).collect()).collect();
        let active: Vec<u32> = self.input.iter().enumerate().filter(|(_, a)| **a != 0.0).map(|(j, _)| j as u32).collect();
        let load = load(&columns, &assign_rows(ROWS, &columns, &Balance { pes: PES, density, seed }));
        depths().map(|fifo_depth| Array { pes: PES, fifo_depth }.time(&load, &active).cycles).collect()
    }

    fn compile(&self, balanced: bool, fifo_depth: usize) -> Result<Model> {
        let settings = Settings {
            pes: PES,
            fifo_depth,
            weights: WeightForm::Codebook,
            weight_bits: 4,
            run_bits: Some(8),
            entries_per_word: 8,
            depths: Depths::default(),
            acc_bits: None,
            densities: Densities::Stated(DENSITY),
            rows: if balanced { RowOrder::Balanced { seed: SEED } } else { RowOrder::Model },
            input_scale: 1.0,
            input_offset: 0.0,
        };
        let samples = Samples { count: 1, size: self.input.len(), data: self.input.clone() };
        Ok(compile(std::slice::from_ref(&self.layer), &settings, Calibration::Samples(&samples))?.model)
    }

    /// Says how far the golden model is from the outputs in the file. An error if it is more than rounding explains.
    fn compare(&self, model: &Model, positions: &[i16]) -> Result<String> {
        let found = model.output_in_model_order(positions)?;
        let n = &model.network;
        let half = |fraction: i32| fixed::dequantize(1, fraction) / 2.0;
        // rounding of the activations, of the weights and of the result
        let mut tolerance = vec![half(n.output_fraction); ROWS];
        for (column, a) in self.layer.columns.iter().zip(&self.input).filter(|(_, a)| **a != 0.0) {
            for w in column {
                let weight = f64::from(self.codebook[w.weight as usize].abs()) + half(self.layer.weight_fraction);
                tolerance[w.row as usize] += weight * half(n.input_fraction) + f64::from(a.abs()) * half(self.layer.weight_fraction);
            }
        }
        let (mut largest, mut allowed) = (0.0f64, 0.0f64);
        for (row, ((found, expected), tolerance)) in found.iter().zip(&self.expected).zip(&tolerance).enumerate() {
            let difference = f64::from(found - expected).abs();
            // the file's own sums are in 32-bit floating point
            let tolerance = tolerance + 1e-4;
            if difference > tolerance {
                bail!("row {row}: the golden model has {found}, the file {expected}, rounding explains {tolerance:.6}");
            }
            largest = largest.max(difference);
            allowed = allowed.max(tolerance);
        }
        Ok(format!("golden model against the file's outputs: largest difference {largest:.6}; rounding explains up to {allowed:.6}"))
    }
}

/// The arrays of a safetensors file.
struct Arrays {
    header: serde_json::Value,
    bytes: Vec<u8>,
    start: usize,
}

impl Arrays {
    fn open(path: &Path) -> Result<Arrays> {
        let bytes = std::fs::read(path)?;
        let length = bytes.get(..8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes).and_then(|n| usize::try_from(n).ok());
        let header = length.and_then(|n| bytes.get(8..n.checked_add(8)?).map(|h| (h, 8 + n)));
        let Some((header, start)) = header else { bail!("the file is cut short in its header") };
        let header = serde_json::from_slice(header).context("its header is no JSON")?;
        Ok(Arrays { header, bytes, start })
    }

    /// Elements of an array of type `dtype`, `N` bytes each.
    fn read<const N: usize, T>(&self, name: &str, dtype: &str, element: fn([u8; N]) -> T) -> Result<Vec<T>> {
        let info = &self.header[name];
        if info["dtype"].as_str() != Some(dtype) {
            bail!("array {name} has type {}, expected {dtype}", info["dtype"]);
        }
        let offset =
            |i: usize| info["data_offsets"][i].as_u64().and_then(|o| usize::try_from(o).ok()).and_then(|o| o.checked_add(self.start));
        let range = offset(0).zip(offset(1)).and_then(|(first, end)| self.bytes.get(first..end));
        let Some(raw) = range else { bail!("array {name} lies beyond the file's end") };
        let whole = |c: &[u8]| -> [u8; N] { c.try_into().expect("chunks_exact gives N bytes") };
        Ok(raw.chunks_exact(N).map(|c| element(whole(c))).collect())
    }
}

fn read(path: &Path) -> Result<Fc8> {
    let arrays = Arrays::open(path)?;
    let codebook = arrays.read("codebook", "F32", f32::from_le_bytes)?;
    let pointers = arrays.read("col_ptr", "U32", u32::from_le_bytes)?;
    let rows = arrays.read("row_idx", "U16", u16::from_le_bytes)?;
    let codes = arrays.read("code", "U8", |b: [u8; 1]| b[0])?;
    let mut input = arrays.read("activation", "F32", f32::from_le_bytes)?;
    let expected = arrays.read("expected", "F32", f32::from_le_bytes)?;
    input.push(1.0);
    let ascending = pointers.windows(2).all(|p| p[0] <= p[1]) && pointers.last().map(|p| *p as usize) == Some(codes.len());
    let sizes = (codebook.len(), pointers.len(), rows.len(), expected.len());
    if sizes != (16, input.len() + 1, codes.len(), ROWS) || !ascending || codes.iter().any(|c| *c >= 16) {
        bail!(
            "found {sizes:?} shared weights, pointers, entries and outputs, expected 16, {}, {} and {ROWS}",
            input.len() + 1,
            codes.len()
        );
    }
    let (low, high) = codebook.iter().fold((0.0f64, 0.0f64), |(l, h), w| (l.min(f64::from(*w)), h.max(f64::from(*w))));
    let weight_fraction = fixed::fraction_for(low, high, 16);
    // the fraction length was chosen so that every value fits 16 bits
    let table = codebook.iter().map(|w| fixed::quantize(f64::from(*w), 16, weight_fraction) as i16).collect();
    let column = |p: &[u32]| {
        let range = p[0] as usize..p[1] as usize;
        let entries = range.map(|i| Nonzero { row: u32::from(rows[i]), weight: i32::from(codes[i]) });
        let mut column: Vec<Nonzero> = entries.filter(|n| n.weight != 0).collect();
        column.sort_by_key(|n| n.row);
        column
    };
    let layer = QuantizedLayer {
        name: "fc8".into(),
        rows: ROWS,
        columns: pointers.windows(2).map(column).collect(),
        codebook: Some(table),
        weight_fraction,
        bias: vec![0.0; ROWS],
        activation: Activation::None,
        conv: None,
    };
    Ok(Fc8 { codebook, layer, input, expected })
}
