//! The cycle model against a model of every register, stepped edge by edge.

use lacuna_sim::perf::{Array, Load, Timing, ENTRY_TO_DONE};
use std::collections::VecDeque;

/// A column on its way: turns of the entry reader, and whether it is the token.
#[derive(Clone, Copy, PartialEq)]
struct Item {
    turns: u64,
    token: bool,
}

impl Item {
    fn offered(self) -> bool {
        self.token || self.turns > 0
    }
}

/// The registers of one PE.
#[derive(Clone, Default)]
struct Pe {
    pointer_1: Option<Item>,
    pointer_2: Option<Item>,
    queue: VecDeque<Item>,
    /// The column being read, and the turns that it still has.
    reading: Option<(Item, u64)>,
    /// Tokens taken, and when the last place's last result is there.
    tokens: usize,
    done_at: Option<u64>,
    entries: u64,
}

/// What a PE does in a cycle, before the edge.
struct Moves {
    accept: bool,
    leave_1: bool,
    leave_2: bool,
    can_2: bool,
    take: bool,
}

impl Pe {
    fn moves(&self, slots: usize, single: bool) -> Moves {
        let offer = self.pointer_2.is_some_and(Item::offered);
        let ready = self.reading.is_none_or(|(_, left)| left == 1);
        let take = ready && if slots == 0 { offer } else { !self.queue.is_empty() };
        let room = if slots == 0 { take } else { self.queue.len() < slots || take };
        let leave_2 = self.pointer_2.is_some() && (!offer || room);
        let can_2 = self.pointer_2.is_none() || leave_2;
        let leave_1 = self.pointer_1.is_some() && can_2;
        let (free_1, free_2) = (self.pointer_1.is_none(), self.pointer_2.is_none());
        let accept = if single { free_1 && free_2 } else { free_1 || free_2 || self.queue.len() < slots };
        Moves { accept, leave_1, leave_2, can_2, take }
    }

    fn edge(&mut self, m: &Moves, broadcast: Option<Item>, slots: usize, places: usize, cycle: u64) {
        if let Some((item, left)) = self.reading.as_mut() {
            *left -= 1;
            self.entries += u64::from(!item.token);
            if *left == 0 {
                self.tokens += usize::from(item.token);
                if item.token && self.tokens == places {
                    self.done_at = Some(cycle + ENTRY_TO_DONE);
                }
                self.reading = None;
            }
        }
        let left_2 = self.pointer_2.filter(|i| i.offered() && m.leave_2);
        if m.take {
            let item = if slots == 0 { left_2 } else { self.queue.pop_front() };
            self.reading = item.map(|item| (item, item.turns));
        }
        if slots > 0 {
            self.queue.extend(left_2);
        }
        assert!(self.queue.len() <= slots);
        if m.can_2 {
            self.pointer_2 = self.pointer_1;
        }
        if let Some(item) = broadcast {
            self.pointer_1 = Some(item);
        } else if m.leave_1 {
            self.pointer_1 = None;
        }
    }
}

/// A layer as the test draws it.
struct Layer {
    /// Of each place.
    active: Vec<Vec<bool>>,
    /// At `column * pes + pe`.
    counts: Vec<u32>,
    out_rows: usize,
    /// The accelerator has convolutions.
    conv: bool,
}

impl Layer {
    fn load(&self, pes: usize) -> Load {
        let weights = self.counts.chunks(pes).map(|c| c.iter().sum()).collect();
        let load = Load::new(pes, self.out_rows, self.counts.clone(), weights);
        if self.conv {
            load.with_walk()
        } else {
            load
        }
    }
    fn one_place(active: Vec<bool>, counts: Vec<u32>, out_rows: usize) -> Layer {
        Layer { active: vec![active], counts, out_rows, conv: false }
    }
    fn columns(&self) -> Vec<Vec<u32>> {
        self.active.iter().map(|active| (0..active.len()).filter(|i| active[*i]).map(|i| i as u32).collect()).collect()
    }
    /// Active columns of a row of the scan, counted through all places.
    fn row(&self, row: usize, rows: usize, pes: usize) -> VecDeque<usize> {
        let (active, row) = (&self.active[row / rows], row % rows);
        (row * pes..((row + 1) * pes).min(active.len())).filter(|i| active[*i]).collect()
    }
}

/// Scanner, PEs and the sequencer's counters.
fn step(array: &Array, layer: &Layer) -> Timing {
    let pes = array.pes;
    let (single, slots) = (array.fifo_depth == 1, array.fifo_depth.saturating_sub(2));
    let (places, rows) = (layer.active.len(), layer.active[0].len().div_ceil(pes));
    let token = Item { turns: layer.out_rows as u64, token: true };
    let mut timing = Timing { stall_scan: 1, ..Default::default() };
    let mut pe = vec![Pe::default(); pes];
    // the scanner after the edge that ends the fetch cycle; a place of None is the token
    let (mut started, mut fetched, mut next_row, mut pending) = (!layer.conv, true, 1, VecDeque::new());
    // the row being scanned ends its place and its token is not out; the place before it has its token to come
    let (mut closing, mut owed) = (false, false);
    let (mut tokens, mut ended) = (0, false);
    let (mut stage_1, mut stage_2): (Option<Option<usize>>, Option<Option<usize>>) = (None, None);
    let mut cycle = 1;
    loop {
        cycle += 1;
        assert!(cycle < 10_000_000);
        let moves: Vec<Moves> = pe.iter().map(|p| p.moves(slots, single)).collect();
        let accept = moves.iter().all(|m| m.accept);
        let can_2 = stage_2.is_none() || accept;
        let can_1 = stage_1.is_none() || can_2;
        let found = !pending.is_empty() && can_1 && !owed;
        let load = started && fetched && (pending.is_empty() || (found && pending.len() == 1)) && !(closing && owed);
        let read_more = started && (load || !fetched) && next_row < rows * places;
        let send_token = can_1 && (owed || (closing && pending.is_empty()));
        let broadcast = stage_2.filter(|_| accept);

        if stage_2.is_none() && !ended {
            timing.stall_scan += 1;
        } else if ended {
            timing.stall_drain += 1;
        } else if !accept {
            timing.stall_queue += 1;
        }
        if pe.iter().all(|p| p.done_at.is_some_and(|at| at <= cycle)) {
            break;
        }

        for (k, p) in pe.iter_mut().enumerate() {
            let heard = broadcast.map(|place| match place {
                Some(column) => Item { turns: u64::from(layer.counts[column * pes + k]), token: false },
                None => token,
            });
            p.edge(&moves[k], heard, slots, places, cycle);
        }
        if let Some(place) = broadcast {
            timing.broadcasts += u64::from(place.is_some());
            tokens += usize::from(place.is_none());
            ended = tokens == places;
        }
        if can_2 {
            stage_2 = stage_1;
        }
        if can_1 {
            stage_1 = if found { Some(pending.pop_front()) } else { send_token.then_some(None) };
        }
        (closing, owed) = (closing && !(send_token && !owed || load), (owed || load && closing) && !send_token);
        if load {
            closing |= next_row % rows == 0;
            pending = layer.row(next_row - 1, rows, pes);
            fetched = false;
        }
        if read_more {
            fetched = true;
            next_row += 1;
        }
        started = true;
    }
    timing.cycles = cycle;
    timing.entries = pe.iter().map(|p| p.entries).sum();
    timing.weights = timing.entries;
    timing.entries_max = pe.iter().map(|p| p.entries).max().unwrap_or(0);
    timing
}

/// SplitMix64: enough for shapes and counts.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

fn time(array: &Array, layer: &Layer) -> Timing {
    let columns = layer.columns();
    array.time_places(&layer.load(array.pes), columns.iter().map(Vec::as_slice))
}

#[test]
fn agrees_with_the_stepped_registers_on_every_counter() {
    let mut random = Random(7);
    for case in 0..3000 {
        // mostly small, now and then of full size
        let (most_pes, most_inputs) = if case % 100 == 0 { (64, 1000) } else { (9, 60) };
        let pes = 1 + random.below(most_pes) as usize;
        let inputs = 1 + random.below(most_inputs) as usize;
        let (density, most) = (random.below(101), 1 + random.below(8));
        let conv = case % 2 == 1;
        let places = if conv { 1 + random.below(12) } else { 1 };
        let layer = Layer {
            active: (0..places).map(|_| (0..inputs).map(|_| random.below(100) < density).collect()).collect(),
            counts: (0..inputs * pes).map(|_| random.below(most) as u32).collect(),
            out_rows: 1 + random.below(12) as usize,
            conv,
        };
        let fifo_depth = if case % 5 == 0 { 1 } else { 2 + random.below(9) as usize };
        let array = Array { pes, fifo_depth };
        let (solved, stepped) = (time(&array, &layer), step(&array, &layer));
        assert_eq!(solved, stepped, "case {case}: {array:?}");
        let broadcasts = solved.broadcasts + places;
        assert_eq!(solved.cycles, solved.stall_queue + solved.stall_scan + solved.stall_drain + broadcasts, "case {case}");
    }
}

#[test]
fn one_entry_takes_the_whole_pipeline() {
    let layer = Layer::one_place(vec![true], vec![1], 1);
    // 1 fetch, 2 load, 3 scan, 4 and 5 scanner stages, 6 and 7 pointer stages, 8 entry, 9 write-back
    let timing = time(&Array { pes: 1, fifo_depth: 2 }, &layer);
    assert_eq!(timing.cycles, 9 + ENTRY_TO_DONE);
    // broadcasts in cycles 5 and 6
    assert_eq!((timing.stall_scan, timing.stall_queue, timing.stall_drain), (4, 0, 3 + ENTRY_TO_DONE));
    // with one place the token is broadcast in cycle 8, behind the one in which the column leaves stage 2
    let timing = time(&Array { pes: 1, fifo_depth: 1 }, &layer);
    assert_eq!(timing.cycles, 11 + ENTRY_TO_DONE);
    assert_eq!((timing.stall_scan, timing.stall_queue, timing.stall_drain), (4, 2, 3 + ENTRY_TO_DONE));
}

#[test]
fn an_input_of_zeros_still_writes_the_biases_back() {
    let layer = Layer::one_place(vec![false; 3], vec![9; 3], 4);
    // 1 fetch, 2 load, 3 token found, 5 broadcast, 9 to 12 write-back
    let timing = time(&Array { pes: 1, fifo_depth: 8 }, &layer);
    assert_eq!((timing.cycles, timing.entries, timing.broadcasts), (2 + 12 + ENTRY_TO_DONE, 0, 0));
}

#[test]
fn a_column_without_entries_costs_a_pe_nothing() {
    // PE 1 works on columns 0 and 2 only; column 1 is dropped beside it
    let layer = Layer::one_place(vec![true; 3], vec![4, 9, 4, 0, 4, 9], 1);
    let timing = time(&Array { pes: 2, fifo_depth: 8 }, &layer);
    assert_eq!(timing.entries_max, 18);
    assert_eq!(timing.cycles, 8 + 18 + 1 + ENTRY_TO_DONE);
}

#[test]
fn empty_rows_cost_a_cycle_each_but_the_last() {
    let cycles = |active: &[bool]| {
        let layer = Layer::one_place(active.to_vec(), vec![1; active.len() * 2], 1);
        time(&Array { pes: 2, fifo_depth: 2 }, &layer).cycles
    };
    let base = cycles(&[true]);
    assert_eq!(cycles(&[true, false, false, false]), base);
    assert_eq!(cycles(&[true, false, false, false, false, false]), base + 1);
    assert_eq!(cycles(&[false, false, true]), base + 1);
}

#[test]
fn utilization_leaves_padding_out() {
    // four entries, three of them weights
    let load = Load::new(2, 1, vec![1, 3], vec![3]);
    let timing = Array { pes: 2, fifo_depth: 8 }.time(&load, &[0]);
    assert_eq!((timing.entries, timing.weights, timing.entries_max, timing.bound(2)), (4, 3, 3, 2));
    assert_eq!(timing.utilization(2), 3.0 / (2.0 * timing.cycles as f64));
}
