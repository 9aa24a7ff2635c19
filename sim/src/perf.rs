//! Cycle model: how many cycles the generated hardware takes, and where they go, without values.
//!
//! The cycles of a layer depend only on which of its inputs are not zero and on how many entries each
//! column has in each PE, padding included. What the registers `CYCLES`, `STALL_QUEUE`, `STALL_SCAN`
//! and `STALL_DRAIN` read after a start is predicted exactly:
//!
//! * **Fetch.** Cycle 1 of a layer: its record and row 0 of the activations are read. Input `i` is lane
//!   `i % pes` of row `i / pes`. The cycle after a layer's last is the next layer's fetch.
//! * **Scan.** From cycle 2 on. A loaded row offers its lowest pending lane each cycle. The next row is
//!   read ahead, and loaded in the cycle in which the last lane goes, so a row costs nothing beyond its
//!   columns; a row without a non-zero costs one cycle. Behind the last column goes a token.
//! * **Scanner stages 1 and 2.** A column leaves stage 2, the broadcast, when every PE accepts; all
//!   pointer memories are read in that cycle.
//! * **Pointer stages 1 and 2.** Stage 1 holds the pointers just read, stage 2 knows whether the column
//!   has entries here. One without is dropped there; another waits until the queue has room, or gets it
//!   in this cycle. A PE accepts while at the start of the cycle a stage is empty or a slot of the queue
//!   is free. With `fifo_depth` 1 both stages together hold one column: the next is accepted in the cycle
//!   behind the one in which stage 2 is left.
//! * **Queue.** `fifo_depth - 2` slots: a reader takes a column in the cycle behind the one in which it
//!   leaves stage 2, at the earliest. Without slots it waits in stage 2, and is taken when it leaves it.
//! * **Entries.** A column of `n` entries takes `n` cycles, and the next one is taken in the last of
//!   them. The token takes one cycle for each row of the PE. The write-back of a row is done
//!   [`ENTRY_TO_DONE`] cycles after its turn, and the last PE's last one ends the layer.
//!
//! With convolutions in the architecture the scan begins a cycle later, since the walk takes its first step in cycle 2. Each
//! place of a layer is its rows and a token. The first row of the next place is read ahead like any other: it is loaded when
//! the last row of the place before it is done with, but offers its columns behind the token only. A place whose last row is
//! empty can be left while its token still waits for a free stage 1; the place behind it cannot before that token is out.
//!
//! Instead of stepping through cycles, [`Array::time`] solves for the cycle of each event (a column's
//! broadcast, its leaving of each stage, its first entry), column by column: every register waits for
//! at most one older event of its own PE and for the slowest PE's acceptance. The tests hold it
//! against a model that steps every register.

use crate::golden::{Golden, GoldenLayer, Trace};
use lacuna_compress::spec::Arch;

/// Cycles from the turn of a write-back to `done`.
pub const ENTRY_TO_DONE: u64 = 9;
/// Columns that the pointer stages of a PE hold; they count as places of the queue.
pub const POINTER_STAGES: usize = 2;

/// What the timing depends on in the hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Array {
    /// Processing elements, and lanes of a row of activations; at least 1.
    pub pes: usize,
    /// Columns that a PE holds which are broadcast and not started; at least 1.
    pub fifo_depth: usize,
}

impl From<&Arch> for Array {
    fn from(arch: &Arch) -> Array {
        Array { pes: arch.pes, fifo_depth: arch.fifo_depth }
    }
}

/// What the timing depends on in a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    pes: usize,
    columns: usize,
    /// Entries of column `j` in PE `k`, padding included, at `j * pes + k`.
    entries: Vec<u32>,
    /// Weights of each column that are not zero, over all PEs.
    weights: Vec<u32>,
    /// Rows of each PE.
    out_rows: usize,
    /// Cycles before the scan, the fetch included.
    ahead: u64,
}

/// Cycles before the scan of a layer: the fetch, and with convolutions the first step of the walk.
const AHEAD: [u64; 2] = [1, 2];

impl Load {
    /// A layer of `out_rows` rows for each of `pes` PEs. `entries[j * pes + k]` is what column `j` has in PE
    /// `k`, padding included; `weights[j]` counts the column's weights that are not zero.
    ///
    /// # Panics
    /// If there are not `pes` counts of entries for each of `weights`.
    pub fn new(pes: usize, out_rows: usize, entries: Vec<u32>, weights: Vec<u32>) -> Load {
        assert_eq!(entries.len(), weights.len() * pes, "entries of {} columns in {pes} PEs", weights.len());
        Load { pes, columns: weights.len(), entries, weights, out_rows, ahead: AHEAD[0] }
    }

    /// A layer of an image for `pes` PEs.
    pub fn of(layer: &GoldenLayer, pes: usize) -> Load {
        let mut entries = Vec::with_capacity(layer.columns * pes);
        let mut weights = Vec::with_capacity(layer.columns);
        for column in 0..layer.columns {
            entries.extend((0..pes).map(|pe| layer.count(pe, column)));
            weights.push((0..pes).map(|pe| layer.steps(pe, column).iter().filter(|s| s.weight != 0).count() as u32).sum());
        }
        let load = Load::new(pes, layer.record.out_rows, entries, weights);
        Load { ahead: AHEAD[usize::from(layer.record.walk.is_some())], ..load }
    }

    /// The same layer on an accelerator with convolutions.
    pub fn with_walk(self) -> Load {
        Load { ahead: AHEAD[1], ..self }
    }

    /// Columns, active or not.
    pub fn columns(&self) -> usize {
        self.columns
    }
}

/// Where the cycles of a layer, or of a network, went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Register `CYCLES`: from the accepted start until the last result is in its buffer.
    pub cycles: u64,
    /// Register `STALL_QUEUE`: a broadcast waited for a PE.
    pub stall_queue: u64,
    /// Register `STALL_SCAN`: there was nothing to broadcast yet; a layer's first cycle is one.
    pub stall_scan: u64,
    /// Register `STALL_DRAIN`: the last column of the layer was out.
    pub stall_drain: u64,
    /// Columns broadcast, without the tokens.
    pub broadcasts: u64,
    /// Entries of these columns over all PEs, padding included.
    pub entries: u64,
    /// Weights among them that are not zero.
    pub weights: u64,
    /// The busiest PE's entries, summed over the layers: no queue makes fewer cycles of it.
    pub entries_max: u64,
}

impl Timing {
    /// Weights that are not zero in active columns, per PE and cycle.
    pub fn utilization(&self, pes: usize) -> f64 {
        self.weights as f64 / (pes as f64 * self.cycles as f64)
    }
    /// The mean work per PE, rounded up: no assignment of rows and no queue takes fewer cycles.
    pub fn bound(&self, pes: usize) -> u64 {
        self.weights.div_ceil(pes as u64)
    }
    fn add(&mut self, other: &Timing) {
        self.cycles += other.cycles;
        self.stall_queue += other.stall_queue;
        self.stall_scan += other.stall_scan;
        self.stall_drain += other.stall_drain;
        self.broadcasts += other.broadcasts;
        self.entries += other.entries;
        self.weights += other.weights;
        self.entries_max += other.entries_max;
    }
}

/// Event times of one PE.
#[derive(Clone, Default)]
pub(crate) struct Pe {
    /// First cycle in which the entry reader can take a column: the last entry of the one before.
    pub free: u64,
    /// Cycle in which pointer stage 2 was last left.
    left: u64,
    /// Place of `taken` that holds the oldest of the last `slots` columns.
    slot: usize,
    /// When the oldest of the columns that could fill the queue while the last one was in stage 2 left it.
    oldest: u64,
    entries: u64,
}

/// Broadcasts, column after column.
pub(crate) struct Clockwork {
    single: bool,
    slots: usize,
    pub pe: Vec<Pe>,
    /// When each PE's last `slots` columns left the queue.
    taken: Vec<u64>,
    /// Cycles in which the column before went to scanner stage 1, to stage 2, and to the PEs.
    pub found: u64,
    pub moved: u64,
    pub sent: u64,
    /// First cycle in which every PE accepts again.
    accept: u64,
    pub stall_queue: u64,
}

impl Clockwork {
    /// `found`: the cycle before the first in which a column can go to stage 1.
    pub fn new(array: &Array, found: u64) -> Clockwork {
        let slots = array.fifo_depth.saturating_sub(POINTER_STAGES);
        Clockwork {
            single: array.fifo_depth < POINTER_STAGES,
            slots,
            pe: vec![Pe::default(); array.pes],
            taken: vec![0; array.pes * slots],
            found,
            moved: 0,
            sent: 0,
            accept: 0,
            stall_queue: 0,
        }
    }

    /// The next broadcast, found in cycle `from` at the earliest, which lies behind the one before: turns per PE, and whether
    /// a PE without any drops it.
    pub fn column_from(&mut self, from: u64, turns: impl Fn(usize) -> u64, drop: bool) {
        self.found = from.max(self.moved);
        self.moved = (self.found + 1).max(self.sent);
        self.sent = (self.moved + 1).max(self.accept);
        self.stall_queue += self.sent - (self.moved + 1);
        for (k, pe) in self.pe.iter_mut().enumerate() {
            let turns = turns(k);
            let leaves_1 = (self.sent + 1).max(pe.left);
            // in that cycle the next one is accepted, unless both stages and all slots are taken
            let held = pe.left == leaves_1 && (self.slots == 0 || pe.oldest >= leaves_1);
            let accepts = leaves_1 + u64::from(held);
            let mut leaves_2 = leaves_1 + 1;
            pe.oldest = if self.slots == 0 { 0 } else { self.taken[k * self.slots + pe.slot] };
            if turns > 0 || !drop {
                // room is made by the column `slots` places ahead, without slots by the reader itself
                let room = if self.slots == 0 { pe.free } else { self.taken[k * self.slots + pe.slot] };
                leaves_2 = leaves_2.max(room);
                let take = (leaves_2 + u64::from(self.slots > 0)).max(pe.free);
                pe.free = take + turns;
                if self.slots > 0 {
                    self.taken[k * self.slots + pe.slot] = take;
                    pe.slot = (pe.slot + 1) % self.slots;
                }
            }
            pe.left = leaves_2;
            self.accept = self.accept.max(if self.single { leaves_2 + 1 } else { accepts });
        }
    }
}

/// The row of activations whose columns are offered.
struct Row {
    /// Cycle in which it was loaded.
    loaded: u64,
    /// Its number in its place.
    number: usize,
    /// One of its columns was broadcast.
    active: bool,
}

impl Row {
    /// Cycle in which the next row is loaded, when the last column was found in cycle `found`.
    fn left(&self, found: u64) -> u64 {
        if self.active {
            found
        } else {
            self.loaded + 1
        }
    }
    /// Goes on to a row of the same place; those between have no columns.
    fn go_on(&mut self, number: usize, found: u64) {
        if number > self.number {
            let between = (number - self.number - 1) as u64;
            *self = Row { loaded: self.left(found) + between, number, active: false };
        }
    }
}

impl Array {
    /// Times one fully connected layer for the columns that are broadcast, which ascend.
    ///
    /// # Panics
    /// If the load is for another number of PEs or does not have a column.
    pub fn time(&self, load: &Load, active: &[u32]) -> Timing {
        self.time_places(load, [active])
    }

    /// Times one layer for the columns that are broadcast at each place, which ascend.
    ///
    /// # Panics
    /// If there is no place, the load is for another number of PEs or does not have a column.
    pub fn time_places<'a>(&self, load: &Load, places: impl IntoIterator<Item = &'a [u32]>) -> Timing {
        let pes = self.pes;
        assert!(self.fifo_depth > 0 && load.pes == pes, "a load of {} PEs on {pes}", load.pes);
        let mut timing = Timing::default();
        let mut clockwork = Clockwork::new(self, load.ahead + 1);
        let last = load.columns.div_ceil(pes).max(1) - 1;
        let mut row = Row { loaded: load.ahead + 1, number: 0, active: false };
        let (mut tokens, mut token_found) = (0, 0);
        for active in places {
            for column in active.iter().map(|c| *c as usize) {
                row.go_on(column / pes, clockwork.found);
                let counts = &load.entries[column * pes..(column + 1) * pes];
                let from = (clockwork.found + 1).max(row.loaded + 1);
                clockwork.column_from(from, |k| u64::from(counts[k]), true);
                row.active = true;
                timing.broadcasts += 1;
                timing.weights += u64::from(load.weights[column]);
                for (pe, count) in clockwork.pe.iter_mut().zip(counts) {
                    pe.entries += u64::from(*count);
                }
            }
            // The last row is known to be empty in the cycle in which it would offer a column, so the token takes that cycle.
            row.go_on(last, clockwork.found);
            let from = (clockwork.found + 1).max(row.loaded + 1);
            // an empty one is not left while the token of the place before still waits
            let left = row.left(clockwork.found).max(if row.active { 0 } else { token_found + 1 });
            clockwork.column_from(from, |_| load.out_rows as u64, false);
            token_found = clockwork.found;
            tokens += 1;
            row = Row { loaded: left, number: 0, active: false };
        }
        assert!(tokens > 0, "a layer has at least one place");

        for pe in &clockwork.pe {
            timing.cycles = timing.cycles.max(pe.free + ENTRY_TO_DONE);
            timing.entries += pe.entries;
            timing.entries_max = timing.entries_max.max(pe.entries);
        }
        timing.stall_queue = clockwork.stall_queue;
        timing.stall_drain = timing.cycles - clockwork.sent;
        timing.stall_scan = clockwork.sent - timing.stall_queue - (timing.broadcasts + tokens);
        timing
    }
}

/// The cycle model of an image: its loads, made once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    pub array: Array,
    pub loads: Vec<Load>,
}

/// The cycles of one start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkTiming {
    pub layers: Vec<Timing>,
    /// What the registers read: the sums over the layers.
    pub total: Timing,
}

impl Network {
    /// The cycle model of a golden model's image.
    pub fn new(golden: &Golden) -> Network {
        let array = Array::from(&golden.arch);
        Network { array, loads: golden.layers.iter().map(|layer| Load::of(layer, array.pes)).collect() }
    }

    /// Times an inference, of which the active columns of each layer are looked at.
    ///
    /// # Panics
    /// If the trace is not one of this image.
    pub fn time(&self, trace: &Trace) -> NetworkTiming {
        assert_eq!(trace.layers.len(), self.loads.len(), "layers of the trace");
        let layers: Vec<Timing> =
            self.loads.iter().zip(&trace.layers).map(|(load, layer)| self.array.time_places(load, layer.active_by_place())).collect();
        let mut total = Timing::default();
        layers.iter().for_each(|layer| total.add(layer));
        NetworkTiming { layers, total }
    }
}

/// Times one inference of an image; for many of the same image make a [`Network`].
///
/// # Panics
/// If the trace is not one of this image.
pub fn network(golden: &Golden, trace: &Trace) -> NetworkTiming {
    Network::new(golden).time(trace)
}
