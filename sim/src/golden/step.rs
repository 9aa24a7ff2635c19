//! One time step of one channel, in integers.

use super::recurrent::{Matrix, Recurrent};
use super::GoldenError;
use lacuna_compress::spec::arch::ACT_BITS;
use lacuna_compress::spec::cell::{self, CellStep};
use lacuna_compress::spec::fixed;
use lacuna_compress::spec::program::{self, Job, Op, Source};

/// What one channel remembers from step to step.
#[derive(Clone, Debug)]
pub struct State {
    /// The channel's vector memory, in which h lies.
    pub vectors: Vec<i16>,
    /// The channel's cell memory.
    pub cells: Vec<i16>,
    fresh: bool,
    /// Sums of gates and of rows, all 0 between steps.
    sums: [Vec<i64>; 2],
}

impl State {
    /// A sequence begins with the next step: h and c count as zero there, whatever the memories hold.
    pub fn begin(&mut self) {
        self.fresh = true;
    }
    /// The memories are zero.
    pub fn clear(&mut self) {
        self.vectors.fill(0);
        self.cells.fill(0);
        self.fresh = false;
    }
}

/// What one job of a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// One for each cell.
    Cells(Vec<CellStep>),
    /// One result for each row.
    Rows(Vec<i16>),
}

/// One job of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobTrace {
    /// Number of the operation that it belongs to.
    pub op: usize,
    pub work: Work,
    /// Values that saturated (a negative result that ReLU makes 0 does not count).
    pub saturated: usize,
}

/// What one step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepTrace {
    /// In the order of their tokens.
    pub jobs: Vec<JobTrace>,
    pub output: Vec<i16>,
}

impl StepTrace {
    pub fn saturated(&self) -> usize {
        self.jobs.iter().map(|job| job.saturated).sum()
    }
}

impl Recurrent {
    /// A channel as a reset leaves it.
    pub fn state(&self) -> State {
        let depth = self.arch.ese.as_ref().map_or(0, |ese| ese.cell_depth);
        let most = |rows: bool, of: usize| self.ops.iter().filter(|o| o.op.rows_bank == rows).map(|o| of * o.op.count).max().unwrap_or(0);
        let sums = [vec![0; most(false, 4)], vec![0; most(true, 1)]];
        State { vectors: vec![0; self.arch.act_depth], cells: vec![0; depth], fresh: false, sums }
    }

    /// Runs one step of a channel.
    ///
    /// # Panics
    /// If the state is one of another image.
    pub fn step(&self, state: &mut State, inputs: &[i16]) -> Result<StepTrace, GoldenError> {
        if inputs.len() != self.inputs() {
            return Err(GoldenError::Input { found: inputs.len(), expected: self.inputs() });
        }
        let mut trace = StepTrace { jobs: vec![], output: vec![] };
        for (number, part) in self.ops.iter().enumerate() {
            let op = &part.op;
            if let Some(matrix) = &part.matrix {
                let values = match op.source {
                    Source::Vector => &state.vectors[op.source_base..op.source_base + op.columns],
                    _ => inputs,
                };
                if !(op.state && state.fresh) {
                    multiply(matrix, values, &mut state.sums[usize::from(op.rows_bank)]);
                }
            }
            if op.job == Job::None {
                continue;
            }
            let (results, job) = self.job(number, state);
            if op.store {
                state.vectors[op.dest..op.dest + op.count].copy_from_slice(&results);
            }
            if op.output {
                trace.output.extend(&results);
            }
            trace.jobs.push(job);
        }
        state.fresh = false;
        Ok(trace)
    }

    /// The job of an operation: its results, and what else it did.
    fn job(&self, number: usize, state: &mut State) -> (Vec<i16>, JobTrace) {
        let part = &self.ops[number];
        let op = &part.op;
        let sums = &mut state.sums[usize::from(op.rows_bank)];
        let trace = |work, saturated| JobTrace { op: number, work, saturated };
        if op.job == Job::Rows {
            let sums = &mut sums[..op.count];
            let bias = |row: usize| part.parameters.get(row).map_or(0, |p| p.biases[0]);
            let results: Vec<i16> = sums.iter().enumerate().map(|(row, sum)| program::row_result(op, *sum, bias(row))).collect();
            let saturated = sums.iter().enumerate().filter(|(row, sum)| saturates(op, **sum, bias(*row))).count();
            sums.fill(0);
            return (results.clone(), trace(Work::Rows(results), saturated));
        }
        let before = &mut state.cells[op.cell_base..op.cell_base + op.count];
        let sums = &mut sums[..4 * op.count];
        let mut cells = Vec::with_capacity(op.count);
        for ((four, parameters), before) in sums.chunks_exact(4).zip(&part.parameters).zip(before) {
            let c = if state.fresh { 0 } else { *before };
            let step = cell::step(op, &self.lut, [four[0], four[1], four[2], four[3]], parameters, c);
            *before = step.c;
            cells.push(step);
        }
        sums.fill(0);
        let saturated = cells.iter().map(|c| c.saturated).sum();
        (cells.iter().map(|c| c.m).collect(), trace(Work::Cells(cells), saturated))
    }
}

fn multiply(matrix: &Matrix, values: &[i16], sums: &mut [i64]) {
    for (column, value) in values.iter().enumerate().filter(|(_, v)| **v != 0) {
        let value = i32::from(*value);
        for product in matrix.column(column) {
            // both factors have 16 bits at most
            sums[product.sum as usize] += i64::from(product.weight * value);
        }
    }
}

fn saturates(op: &Op, sum: i64, bias: i64) -> bool {
    let addend = if op.bias { bias } else { fixed::rounding(op.shifts[0]) };
    let shifted = (sum + addend) >> op.shifts[0];
    let limited = fixed::saturate(shifted, ACT_BITS);
    shifted != limited && !(op.relu && shifted < 0)
}
