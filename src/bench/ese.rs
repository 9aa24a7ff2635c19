//! `ese`: ESE's LSTM, 10 % dense, on 32 PEs: cycles of a step in steady state, and the paper's table row by row.

use super::ese_case::{network, Case, Steady, Variant, DENSITY, PAPER_STEP, SEED};
use super::hardware;
use super::report::{rounded, Bar, Check, Outcome, Row};
use crate::term;
use anyhow::{Context, Result};
use lacuna_compress::error::grouped;
use lacuna_compress::model::{Matrix, Recurrent};
use lacuna_compress::recurrent::{encode_matrix, prune, Density, EncodedMatrix, Pruning};
use lacuna_sim::perf::Array;
use lacuna_sim::perf_ese::spmv_cycles;

const PES: usize = 32;
/// Depth of the queues in the published design, and the longest that the bars allow.
const FIFOS: [usize; 2] = [8, 16];
/// Columns held back that are compared with what the compiler chose.
const HOLD: [usize; 8] = [1, 8, 16, 20, 24, 28, 32, 48];
/// ESE's encoding.
const BITS: (usize, usize) = (12, 4);
/// Bytes of W_ym in the paper's table.
const WYM_BYTES: usize = 104_832;

/// The paper's table: matrix, and its real time in microseconds at 200 MHz.
const TABLE: [(&str, f64); 9] = [
    ("Wix", 5.36),
    ("Wfx", 5.36),
    ("Wcx", 5.36),
    ("Wox", 5.36),
    ("Wir", 10.31),
    ("Wfr", 10.01),
    ("Wcr", 9.89),
    ("Wor", 10.04),
    ("Wym", 15.66),
];

/// A whole step.
struct Whole {
    config: &'static str,
    case: Case,
    steady: Steady,
}

/// One matrix alone.
struct Single {
    name: &'static str,
    matrix: EncodedMatrix,
    cycles: u64,
    paper: u64,
}

pub fn run() -> Result<Outcome> {
    let verilator = hardware::available()?;
    let network = network();
    let long = FIFOS[1];
    let best = Variant::best(PES, 1, long);
    let variants = [
        ("best", Variant { fifo: FIFOS[0], ..best }),
        ("best", best),
        ("12+4", Variant { run_bits: Some(BITS.1), ..best }),
        ("best", Variant { pruning: Pruning::Magnitude, ..best }),
    ];
    let bar = term::progress("whole steps", variants.len());
    let mut notes = vec![
        format!("{PES} PEs, one channel, weights of {} bits; seed of the weights and inputs {SEED}; ESE's step: {PAPER_STEP}", BITS.0),
        "rows of single matrices: the SpMV alone, by the cycle model; paper_cycles are its real times at 200 MHz".to_string(),
    ];
    let mut all = vec![];
    for (config, variant) in variants {
        let case = variant.compile(&network)?;
        let steady = case.steady(verilator)?;
        notes.push(describe(config, &case, &steady));
        all.push(Whole { config, case, steady });
        bar.inc(1);
    }
    bar.finish_and_clear();
    let singles = singles(&network, long)?;
    for whole in all.iter().filter(|w| w.config == "best" && w.case.variant.pruning == Pruning::LoadBalanced) {
        notes.push(held_back(&whole.case)?);
    }
    notes.push(format!(
        "12+4 bits, the nine matrices apart: {} entries in the busiest PEs, {} cycles one after the other",
        grouped(singles.iter().map(|s| s.matrix.entries_per_pe.iter().copied().max().unwrap_or(0)).sum()),
        grouped(singles.iter().map(|s| s.cycles as usize).sum())
    ));
    if !verilator {
        notes.push(hardware::WITHOUT.into());
    }
    let mut rows: Vec<Row> = all.iter().map(Whole::row).collect();
    rows.extend(singles.iter().map(|s| s.row(long)));
    Ok(Outcome { rows, checks: checks(&all, &singles, verilator), notes })
}

/// What the table does not say of a whole step.
fn describe(config: &str, case: &Case, steady: &Steady) -> String {
    let (v, report) = (&case.variant, &case.compiled.report);
    let pruning = pruning_name(v.pruning);
    let mut text = format!(
        "{config}, {pruning}, fifo {}: runs of {} bits, busiest PE {} entries, {} columns held back; cycle model {}",
        v.fifo,
        report.run.run_bits,
        grouped(report.bound_cycles),
        report.hold_columns,
        grouped(steady.model as usize)
    );
    if let Some(judged) = &steady.judged {
        let [queue, input, data, output] = judged.stalls;
        text += &format!(", hardware {}; stalls of the run: queue {queue}, input {input}, data {data}, output {output}", steady.cycles);
        if let Some(fault) = &judged.fault {
            text += &format!("; {fault}");
        }
    }
    text
}

/// What other numbers of columns that wait for the projection would take.
fn held_back(case: &Case) -> Result<String> {
    let found =
        HOLD.iter().map(|hold| Ok(format!("{hold}: {}", grouped(case.steady_with_hold(*hold)? as usize)))).collect::<Result<Vec<_>>>()?;
    Ok(format!("fifo {}, columns of x held back and cycles by the cycle model: {}", case.variant.fifo, found.join(", ")))
}

pub(super) fn pruning_name(pruning: Pruning) -> &'static str {
    match pruning {
        Pruning::LoadBalanced => "load-balanced",
        Pruning::Magnitude => "magnitude",
    }
}

/// The values of a row.
pub(super) struct Cells {
    pub matrix: &'static str,
    pub config: &'static str,
    pub pruning: Pruning,
    pub fifo: usize,
    pub cycles: u64,
    pub bound: u64,
    pub utilization: f64,
    pub entries: usize,
    pub bytes: usize,
    pub paper: u64,
}

pub(super) fn row(c: &Cells) -> Row {
    Row::new()
        .with("matrix", c.matrix)
        .with("config", c.config)
        .with("pruning", pruning_name(c.pruning))
        .with("density", DENSITY)
        .with("pes", PES)
        .with("channels", 1)
        .with("fifo", c.fifo)
        .with("cycles", c.cycles)
        .with("bound_cycles", c.bound)
        .with("utilization", rounded(c.utilization, 4))
        .with("entries", c.entries)
        .with("bytes", c.bytes)
        .with("paper_cycles", c.paper)
}

impl Whole {
    fn row(&self) -> Row {
        let report = &self.case.compiled.report;
        row(&Cells {
            matrix: "all",
            config: self.config,
            pruning: self.case.variant.pruning,
            fifo: self.case.variant.fifo,
            cycles: self.steady.cycles,
            bound: self.case.timing.bound(),
            utilization: self.case.utilization(self.steady.cycles),
            entries: report.nonzeros + report.padding,
            bytes: report.bytes,
            paper: PAPER_STEP,
        })
    }
}

impl Single {
    fn row(&self, fifo: usize) -> Row {
        let nonzeros = self.matrix.nonzeros;
        row(&Cells {
            matrix: self.name,
            config: "12+4",
            pruning: Pruning::LoadBalanced,
            fifo,
            cycles: self.cycles,
            bound: nonzeros.div_ceil(PES) as u64,
            utilization: nonzeros as f64 / (PES as f64 * self.cycles as f64),
            entries: nonzeros + self.matrix.padding,
            bytes: self.matrix.bytes(),
            paper: self.paper,
        })
    }
}

/// The matrices of the paper's table, in its order.
fn singles(network: &Recurrent, fifo_depth: usize) -> Result<Vec<Single>> {
    let pruned = prune(network, Pruning::LoadBalanced, &Density::uniform(network, DENSITY), PES)?.0;
    let layer = pruned.lstm.first().context("a network without an LSTM")?;
    // the paper's order: i f c o
    let gates = layer.input_weights.iter().chain(&layer.hidden_weights).chain(&layer.projection);
    let array = Array { pes: PES, fifo_depth };
    gates.zip(TABLE).map(|(matrix, (name, microseconds))| single(matrix, name, microseconds, &array)).collect()
}

fn single(matrix: &Matrix, name: &'static str, microseconds: f64, array: &Array) -> Result<Single> {
    let matrix = encode_matrix(matrix, PES, BITS.0, BITS.1)?;
    let columns = matrix.column_entries.first().map_or(0, Vec::len);
    // a column of a PE cannot have more entries than the matrix rows
    let entries: Vec<u32> = (0..columns).flat_map(|j| matrix.column_entries.iter().map(move |pe| pe[j] as u32)).collect();
    Ok(Single { name, cycles: spmv_cycles(array, &entries), matrix, paper: (microseconds * 200.0).round() as u64 })
}

fn checks(all: &[Whole], singles: &[Single], verilator: bool) -> Vec<Check> {
    let best = all.iter().filter(|w| w.case.variant.pruning == Pruning::LoadBalanced).min_by_key(|w| w.steady.cycles);
    let bound = best.map_or(0, |w| w.case.timing.bound());
    let count = |hold: fn(&Steady) -> bool| verilator.then(|| all.iter().filter(|w| hold(&w.steady)).count() as f64);
    let wym = singles.last().map(|s| s.matrix.bytes() as f64);
    vec![
        Check::new("fifo up to 16: cycles of a step", best.filter(|_| verilator).map(|w| w.steady.cycles as f64), 0, Bar::AtMost(10_400.0))
            .stretch(10_260.0)
            .limit(bound as f64),
        Check::new("whole steps under Verilator equal to golden", count(Steady::ran_exact), 0, Bar::AtLeast(all.len() as f64)),
        Check::new("whole steps as long as the cycle model says", count(Steady::is_the_models), 0, Bar::AtLeast(all.len() as f64)),
        Check::new("bytes of W_ym, at least", wym, 0, Bar::AtLeast(WYM_BYTES as f64)),
        Check::new("bytes of W_ym, at most", wym, 0, Bar::AtMost(WYM_BYTES as f64)),
    ]
}
