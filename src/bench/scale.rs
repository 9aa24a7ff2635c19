//! `scale`: Alex-7 on 1 to 256 PEs.

use super::hardware;
use super::report::{rounded, Bar, Check, Outcome, Row};
use super::synthetic::{BALANCE_SEED, CONFIG, NINE, SEED};
use crate::term;
use anyhow::Result;

const PES: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];
const FIFO: usize = 8;
/// More are left to the cycle model.
const MOST_RUN: usize = 64;

pub fn run() -> Result<Outcome> {
    let verilator = hardware::available()?;
    let shape = &NINE[1];
    let layer = shape.draw(SEED);
    let bar = term::progress("PEs", PES.len());
    let mut notes = vec![format!(
        "{}, fifo {FIFO}, {CONFIG} (on one PE 2 entries); seed of the layer {SEED}, of the assignment {BALANCE_SEED}",
        shape.name
    )];
    if !verilator {
        notes.push(hardware::WITHOUT.into());
    }
    let (mut rows, mut one) = (vec![], None);
    let (mut ran, mut exact) = (0, 0);
    for pes in PES {
        let compiled = layer.compile(pes, FIFO)?;
        let timing = compiled.timing();
        let judged = if verilator && pes <= MOST_RUN { hardware::judge_one(&compiled.model, &compiled.input)? } else { None };
        notes.extend(judged.iter().filter_map(|j| j.fault.clone()).map(|f| format!("{pes} PEs: {f}")));
        let cycles = judged.as_ref().map_or(timing.cycles, |j| j.cycles);
        let first = *one.get_or_insert(cycles);
        let speedup = first as f64 / cycles as f64;
        let is_exact = judged.as_ref().is_some_and(|j| j.exact);
        ran += usize::from(pes <= MOST_RUN);
        exact += usize::from(is_exact);
        rows.push(
            Row::new()
                .with("pes", pes)
                .with("cycles", cycles)
                .with("bound_cycles", timing.bound(pes))
                .with("speedup", rounded(speedup, 3))
                .with("of_linear", rounded(speedup / pes as f64, 4))
                .with("utilization", rounded(timing.weights as f64 / (pes as f64 * cycles as f64), 4))
                .with("verilator", judged.is_some())
                .with("bit_exact", is_exact),
        );
        bar.inc(1);
    }
    bar.finish_and_clear();
    let exact = verilator.then_some(exact as f64);
    let checks = vec![Check::new("rows under Verilator equal to golden and cycle model", exact, 0, Bar::AtLeast(ran as f64))];
    Ok(Outcome { rows, checks, notes })
}
