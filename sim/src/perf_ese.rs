//! Cycle model of the ESE kind: when each step's outputs come, and where cycles go, without values.
//!
//! Input vectors are always waiting, as fast as the stream takes them (one beat a cycle, channel after channel); outputs
//! are never stalled; steps may run all along. Then nothing depends on values: activations are dense. Predicted exactly,
//! counted from the first cycle in which steps may run (cycle 1), with two vectors of each channel there already:
//!
//! * **Broadcaster.** Operation after operation. A column is issued when what it is made of is there, moves through two
//!   stages, and is broadcast when every PE accepts (the event model of [`crate::perf`], with tokens of one turn). The
//!   choice of a step's vectors takes a cycle of an input operation. A token is issued when the job before it is complete;
//!   an operation without a token ends in the cycle after its last column. A step begins when its input is out and the
//!   token before has been taken.
//! * **Token.** Seen [`TURN_TO_SEEN`] cycles after the last PE's turn for it.
//! * **Job.** Begins when its token is seen, its operation found (one a cycle is looked at), and an output buffer free. Then
//!   element `e` is visible as stored [`ROW_STORED`] or [`CELL_STORED`] cycles later, plus `e`.
//! * **Output.** Handed over when all is stored; the first beat comes two cycles later, then one a cycle.

use crate::golden::{Matrix, Recurrent};
use crate::perf::{Array, Clockwork};
use lacuna_compress::spec::program::{Job, Op, Source};

/// Cycles from a token's turn in a PE to `token_seen`.
pub const TURN_TO_SEEN: u64 = 4;
/// Cycles from the begin of a job to the cycle in which its first row shows as stored.
pub const ROW_STORED: u64 = 6;
/// The same for its first cell.
pub const CELL_STORED: u64 = 21;
/// Cycles from the begin of a job to the end of the search for the next, if that is the next operation.
const SEARCH: u64 = 2;
/// Cycles from the begin of a job until a step may begin behind it.
const TAKEN: u64 = 2;

/// What the timing depends on in an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
struct OpLoad {
    op: Op,
    /// Entries of column `j` in PE `k`, padding included, at `j * pes + k`; empty for input in advance.
    entries: Vec<u32>,
}

/// The cycle model of an image of the ESE kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EseNetwork {
    pub array: Array,
    /// Channels that take part in every step.
    pub channels: usize,
    ops: Vec<OpLoad>,
    /// Weights that are not zero.
    weights: u64,
}

/// When things happened; cycle 1 is the first in which steps may run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EseTiming {
    /// First cycle in which all results of each step show as stored.
    pub completes: Vec<u64>,
    /// Cycle of the last output beat of each step.
    pub ends: Vec<u64>,
    /// What the registers read at the end, if there is no further vector.
    pub stall_queue: u64,
    pub stall_input: u64,
    pub stall_data: u64,
    pub stall_output: u64,
    /// First cycle in which a further step waits for vectors, if there are none.
    pub waits: u64,
}

impl EseTiming {
    /// Cycles of the last step: the distance between the last output beats of the last two.
    pub fn cycles_per_step(&self) -> u64 {
        match self.ends.as_slice() {
            [.., before, last] => last - before,
            [only] => *only,
            [] => 0,
        }
    }
}

impl EseNetwork {
    /// The cycle model of a golden model's image.
    pub fn new(golden: &Recurrent) -> EseNetwork {
        let array = Array::from(&golden.arch);
        let counts = |m: &Matrix| (0..m.columns()).flat_map(|column| m.counts(column).to_vec()).collect();
        let ops = golden.ops.iter().map(|o| OpLoad { op: o.op, entries: o.matrix.as_ref().map_or(vec![], counts) }).collect();
        let matrices = golden.ops.iter().filter_map(|o| o.matrix.as_ref());
        let weights = matrices.flat_map(|m| (0..m.columns()).flat_map(|c| m.column(c))).filter(|p| p.weight != 0).count() as u64;
        EseNetwork { array, channels: golden.arch.channels(), ops, weights }
    }

    /// Entries of each PE in a step, padding included.
    pub fn entries(&self) -> Vec<u64> {
        let mut sums = vec![0; self.array.pes];
        for row in self.ops.iter().flat_map(|o| o.entries.chunks_exact(self.array.pes)) {
            sums.iter_mut().zip(row).for_each(|(sum, count)| *sum += u64::from(*count));
        }
        sums
    }
    /// The mean of the weights per PE that are not zero, rounded up: no assignment of rows takes fewer cycles.
    pub fn bound(&self) -> u64 {
        self.weights.div_ceil(self.array.pes as u64)
    }
    /// The busiest PE's entries: no queue makes fewer cycles of it.
    pub fn entries_max(&self) -> u64 {
        self.entries().into_iter().max().unwrap_or(0)
    }
    /// Broadcasts of a step, tokens included: no number of PEs makes fewer cycles of it.
    pub fn broadcasts(&self) -> u64 {
        let of = |o: &OpLoad| (o.entries.len() / self.array.pes) as u64 + u64::from(o.op.job != Job::None);
        self.ops.iter().map(of).sum()
    }

    /// Times `steps` steps, behind which vectors go on.
    pub fn run(&self, steps: usize) -> EseTiming {
        self.run_of(steps, usize::MAX)
    }

    /// Times `steps` steps, behind which there is no vector.
    pub fn run_all(&self, steps: usize) -> EseTiming {
        self.run_of(steps, steps)
    }

    fn run_of(&self, steps: usize, vectors: usize) -> EseTiming {
        let mut run = Run::new(self, vectors);
        for _ in 0..steps {
            for number in 0..self.ops.len() {
                run.operation(number);
            }
            run.timing.completes.extend(run.job.map(|job| job.complete));
        }
        run.timing.stall_queue = run.clock.stall_queue;
        run.timing.waits = run.begin;
        run.timing
    }

    /// Cycles of a step in steady state.
    pub fn steady(&self) -> u64 {
        self.run(8).cycles_per_step()
    }
}

/// Times one matrix alone: all its columns, one broadcast a cycle, from the first broadcast to the last sum in its
/// accumulator. `entries[j * pes + k]` is what column `j` has in PE `k`, padding included.
///
/// # Panics
/// If `entries` does not hold whole columns.
pub fn spmv_cycles(array: &Array, entries: &[u32]) -> u64 {
    assert!(array.pes > 0 && entries.len().is_multiple_of(array.pes), "{} counts for {} PEs", entries.len(), array.pes);
    let mut clock = Clockwork::new(array, 0);
    let mut first = None;
    for counts in entries.chunks_exact(array.pes) {
        clock.column_from(clock.found + 1, |k| u64::from(counts[k]), true);
        first.get_or_insert(clock.sent);
    }
    let last = clock.pe.iter().map(|pe| pe.free).max().unwrap_or(0);
    match first {
        Some(first) if last > 0 => last + TURN_TO_SEEN - first + 1,
        _ => 0,
    }
}

/// The job that was begun last.
#[derive(Clone, Copy)]
struct Begun {
    begins: u64,
    /// Its first element shows as stored.
    stored: u64,
    /// All of them do.
    complete: u64,
}

struct Run<'a> {
    network: &'a EseNetwork,
    clock: Clockwork,
    timing: EseTiming,
    /// First cycle of the operation at hand.
    begin: u64,
    job: Option<Begun>,
    /// Operations between a token and the next one, at the former's number; at the end, before the first token.
    between: Vec<u64>,
    // the input
    committed: bool,
    cursor: usize,
    /// Cycles in which vectors were consumed, by step, and the last beat of the stream so far.
    consumed: Vec<u64>,
    last_beat: u64,
    /// First cycle in which the vectors of each step are there.
    ready: Vec<u64>,
    /// Vectors that each channel gets.
    vectors: usize,
    /// Steps that have begun.
    step: usize,
    // the output
    /// Cycle in which the sender took each step's vectors.
    sending: Vec<u64>,
}

impl<'a> Run<'a> {
    fn new(network: &'a EseNetwork, vectors: usize) -> Run<'a> {
        let ops = &network.ops;
        let to_next = |from: usize| (0..ops.len()).take_while(|n| ops[(from + n) % ops.len()].op.job == Job::None).count() as u64;
        let mut between: Vec<u64> = (0..ops.len()).map(|number| to_next(number + 1)).collect();
        between.push(to_next(0));
        Run {
            network,
            clock: Clockwork::new(&network.array, 0),
            timing: EseTiming::default(),
            begin: 1,
            job: None,
            between,
            committed: false,
            cursor: 0,
            consumed: vec![],
            last_beat: 0,
            ready: vec![0; vectors.min(2)],
            vectors,
            step: 0,
            sending: vec![],
        }
    }

    fn operation(&mut self, number: usize) {
        match self.network.ops[number].op.source {
            Source::Input => self.input(number, false),
            Source::Ahead => self.input(number, true),
            Source::Vector => self.vector(number),
        }
        if self.network.ops[number].op.job != Job::None {
            self.token(number);
        }
    }

    fn input(&mut self, number: usize, ahead: bool) {
        let (pes, first) = (self.network.array.pes, &self.network.ops[0]);
        let mut from = self.begin;
        if !self.committed {
            let ready = self.ready.get(self.step).copied().unwrap_or(u64::MAX);
            if ahead && ready > from {
                // nothing there: the operation does nothing
                self.begin += 1;
                return;
            }
            self.timing.stall_input += ready.saturating_sub(from);
            from = from.max(ready) + 1;
            self.committed = true;
        }
        let mut end = from;
        while self.cursor < self.network.ops[number].op.columns {
            let counts = &first.entries[self.cursor * pes..(self.cursor + 1) * pes];
            self.clock.column_from(from, |k| u64::from(counts[k]), true);
            self.cursor += 1;
            if self.cursor == first.op.columns {
                self.consume(self.clock.found);
            }
            from = self.clock.found + 1;
            end = from;
        }
        if !ahead {
            // the step begins
            end = end.max(self.job.map_or(0, |job| job.begins + TAKEN));
            self.committed = false;
            self.cursor = 0;
            self.step += 1;
        }
        self.begin = end + 1;
    }

    /// The step's vectors are read; the stream fills their places.
    fn consume(&mut self, cycle: u64) {
        self.consumed.push(cycle);
        let beats = (self.network.channels * self.network.ops[0].op.columns) as u64;
        self.last_beat = self.last_beat.max(cycle) + beats;
        if self.ready.len() < self.vectors {
            self.ready.push(self.last_beat + 1);
        }
    }

    fn vector(&mut self, number: usize) {
        let (pes, load) = (self.network.array.pes, &self.network.ops[number]);
        let mut from = self.begin;
        for (column, counts) in load.entries.chunks_exact(pes).enumerate() {
            let there = match self.job {
                Some(job) if load.op.whole => job.complete,
                Some(job) if load.op.stream => job.complete.min(job.stored + column as u64),
                _ => 0,
            };
            let could = from.max(self.clock.moved);
            self.timing.stall_data += there.saturating_sub(could);
            self.clock.column_from(could.max(there), |k| u64::from(counts[k]), true);
            from = self.clock.found + 1;
        }
        self.begin = from + 1;
    }

    fn token(&mut self, number: usize) {
        let op = &self.network.ops[number].op;
        let could = (self.clock.found + 1).max(self.clock.moved);
        let from = could.max(self.job.map_or(0, |job| job.complete));
        self.timing.stall_data += from - could;
        self.clock.column_from(from, |_| 1, false);
        self.begin = self.clock.found + 1;

        let seen = self.clock.pe.iter().map(|pe| pe.free).max().unwrap_or(0) + TURN_TO_SEEN;
        let operations = self.between.len() - 1;
        let found = match self.job {
            // operation numbers repeat with the steps
            Some(job) => {
                let before =
                    (1..=operations).map(|n| (number + operations - n) % operations).find(|n| self.network.ops[*n].op.job != Job::None);
                job.begins + SEARCH + self.between[before.unwrap_or(number)]
            }
            None => self.clock.found + SEARCH + self.between[operations],
        };
        let mut begins = seen.max(found);
        let beats = (self.network.channels * op.count) as u64;
        if let (true, Some(sent)) = (op.output, self.sending.len().checked_sub(2).map(|n| self.sending[n])) {
            let room = sent + beats + 2;
            self.timing.stall_output += room.saturating_sub(begins);
            begins = begins.max(room);
        }
        let stored = begins + if op.job == Job::Cells { CELL_STORED } else { ROW_STORED };
        let complete = stored + op.count as u64 - 1;
        self.job = Some(Begun { begins, stored, complete });
        if op.output {
            let handed_over = complete.max(begins + SEARCH + self.between[number]);
            let sending = (handed_over + 1).max(self.sending.last().map_or(0, |before| before + beats + 2));
            self.sending.push(sending);
            self.timing.ends.push(sending + beats + 1);
        }
    }
}
