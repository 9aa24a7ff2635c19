//! `nine`: EIE's nine layers on 64 PEs, against the paper's Table IV and EIE's own simulator.

use super::hardware;
use super::report::{geometric_mean, rounded, Bar, Check, Outcome, Row};
use super::synthetic::{Layer, Shape, BALANCE_SEED, CONFIG, NINE, SEED};
use crate::term;
use anyhow::Result;

const PES: usize = 64;
/// The paper's queue, and the longest that the bars allow.
const FIFOS: [usize; 2] = [8, 32];
/// Always run under Verilator.
const RUN: [&str; 4] = ["Alex-8", "VGG-8", "NT-We", "NT-LSTM"];

/// One layer at one depth of the queues.
pub(super) struct Measured {
    shape: Shape,
    fifo: usize,
    cycles: u64,
    bound: u64,
    utilization: f64,
    verilator: bool,
    exact: bool,
}

pub fn run(all: bool) -> Result<Outcome> {
    let verilator = hardware::available()?;
    let bar = term::progress("layers", NINE.len() * FIFOS.len());
    let mut measured = vec![];
    let mut notes = vec![format!("{PES} PEs, {CONFIG}; seed of the layers {SEED}, of the assignment {BALANCE_SEED}, for all rows")];
    for shape in &NINE {
        let layer = shape.draw(SEED);
        let wanted = verilator && (all || RUN.contains(&shape.name));
        for found in measure(&layer, wanted, &mut notes, &bar)? {
            measured.push(found);
        }
    }
    bar.finish_and_clear();
    if !verilator {
        notes.push(hardware::WITHOUT.into());
    }
    let checks = checks(&measured, verilator);
    Ok(Outcome { rows: rows(&measured), checks, notes })
}

fn measure(layer: &Layer, verilator: bool, notes: &mut Vec<String>, bar: &indicatif::ProgressBar) -> Result<Vec<Measured>> {
    let mut compiled = layer.compile(PES, FIFOS[0])?;
    let mut measured = vec![];
    for fifo in FIFOS {
        compiled.set_fifo(fifo);
        let timing = compiled.timing();
        let judged = if verilator { hardware::judge_one(&compiled.model, &compiled.input)? } else { None };
        notes.extend(judged.iter().filter_map(|j| j.fault.clone()).map(|f| format!("{}, fifo {fifo}: {f}", layer.shape.name)));
        measured.push(Measured {
            shape: layer.shape,
            fifo,
            cycles: judged.as_ref().map_or(timing.cycles, |j| j.cycles),
            bound: timing.bound(PES),
            utilization: timing.utilization(PES) * timing.cycles as f64 / judged.as_ref().map_or(timing.cycles, |j| j.cycles) as f64,
            verilator: judged.is_some(),
            exact: judged.is_some_and(|j| j.exact),
        });
        bar.inc(1);
    }
    Ok(measured)
}

impl Measured {
    fn over_table_iv(&self) -> f64 {
        self.shape.table_iv / self.cycles as f64
    }
    fn over_simulator(&self) -> f64 {
        self.shape.simulator / self.cycles as f64
    }
}

fn rows(measured: &[Measured]) -> Vec<Row> {
    let mean = |fifo: usize, of: fn(&Measured) -> f64| rounded(geometric_mean(measured.iter().filter(|m| m.fifo == fifo).map(of)), 4);
    let row = |m: &Measured| {
        Row::new()
            .with("layer", m.shape.name)
            .with_hidden("config", format!("{PES} PEs, {CONFIG}"))
            .with("fifo", m.fifo)
            .with("cycles", m.cycles)
            .with("table_iv_cycles", m.shape.table_iv.round() as u64)
            .with("simulator_cycles", m.shape.simulator.round() as u64)
            .with("bound_cycles", m.bound)
            .with("utilization", rounded(m.utilization, 4))
            .with("over_table_iv", rounded(m.over_table_iv(), 4))
            .with("over_simulator", rounded(m.over_simulator(), 4))
            .with("verilator", m.verilator)
            .with("bit_exact", m.exact)
            .with_hidden("seed", SEED)
            .with_hidden("mean_over_table_iv", mean(m.fifo, Measured::over_table_iv))
            .with_hidden("mean_over_simulator", mean(m.fifo, Measured::over_simulator))
            .with_hidden("mean_utilization", mean(m.fifo, |m| m.utilization))
    };
    FIFOS.iter().flat_map(|fifo| measured.iter().filter(|m| m.fifo == *fifo)).map(row).collect()
}

pub(super) fn checks(measured: &[Measured], verilator: bool) -> Vec<Check> {
    let mean = |fifo: usize, of: &dyn Fn(&Measured) -> f64| geometric_mean(measured.iter().filter(|m| m.fifo == fifo).map(of));
    let table = |m: &Measured| m.over_table_iv();
    let simulator = |m: &Measured| m.over_simulator();
    let used = |m: &Measured| m.utilization;
    let best_table = |m: &Measured| m.shape.table_iv / m.bound as f64;
    let best_simulator = |m: &Measured| m.shape.simulator / m.bound as f64;
    let worst = measured.iter().filter(|m| m.fifo == 8).map(table).fold(f64::INFINITY, f64::min);
    let ran: Vec<&Measured> = measured.iter().filter(|m| m.verilator || RUN.contains(&m.shape.name)).collect();
    let exact = verilator.then(|| ran.iter().filter(|m| m.exact).count() as f64);
    vec![
        Check::new("fifo 8: slowest layer, Table IV over cycles", worst, 3, Bar::Above(1.0)),
        Check::new("fifo 8: Table IV over cycles, geometric mean", mean(8, &table), 3, Bar::AtLeast(1.28))
            .stretch(1.31)
            .limit(mean(8, &best_table)),
        Check::new("fifo 32: Table IV over cycles, geometric mean", mean(32, &table), 3, Bar::AtLeast(1.35))
            .stretch(1.38)
            .limit(mean(32, &best_table)),
        Check::new("fifo 32: EIE simulator over cycles, geometric mean", mean(32, &simulator), 3, Bar::AtLeast(1.23))
            .stretch(1.27)
            .limit(mean(32, &best_simulator)),
        Check::new("fifo 32: utilization, geometric mean", mean(32, &used), 3, Bar::AtLeast(0.94)).stretch(0.96).limit(1.0),
        Check::new("rows under Verilator equal to golden and cycle model", exact, 0, Bar::AtLeast(ran.len() as f64)),
    ]
}
