//! The PE array of the ESE kind alone under Verilator, against sums in plain integers.

use crate::common::{cache, lane_mask};
use lacuna_compress::spec::arch::{Ese, ACT_BITS};
use lacuna_compress::spec::{Arch, MemoryKind, WeightForm};
use lacuna_hdl::ese::EseArray;
use lacuna_hdl::generate::ports;
use lacuna_hdl::verilog::write;
use lacuna_sim::dut::Dut;
use lacuna_sim::verilate::{Build, Optimize, Port, Source};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;

const SEED: u64 = 11;
const BANKS: usize = 3;
const ROWS_BANK: usize = 2;

fn arch(pes: usize, fifo_depth: usize, channels: usize, weights: WeightForm, weight_bits: usize) -> Arch {
    Arch {
        pes,
        fifo_depth,
        weights,
        weight_bits,
        run_bits: 3,
        entries_per_word: 4,
        spmat_depth: 200,
        ptr_depth: 40,
        act_depth: 16,
        acc_depth: 5,
        bias_depth: 7,
        acc_bits: 40,
        max_layers: 3,
        conv: false,
        ese: Some(Ese { channels, cell_depth: 9, input_depth: 8, output_depth: 8 }),
    }
}

fn configurations() -> Vec<Arch> {
    use WeightForm::{Codebook, Direct};
    vec![
        Arch { entries_per_word: 1, spmat_depth: 800, ..arch(1, 1, 1, Direct, 12) },
        Arch { acc_depth: 3, run_bits: 2, ..arch(3, 2, 2, Codebook, 4) },
        Arch { acc_depth: 1, run_bits: 8, entries_per_word: 16, acc_bits: 48, max_layers: 1, ..arch(5, 8, 3, Direct, 16) },
        Arch { acc_depth: 4, acc_bits: 24, ..arch(3, 1, 3, Codebook, 2) },
        arch(1, 8, 2, Codebook, 5),
    ]
}

/// A field of a number in lanes of 32 bits.
fn insert(lanes: &mut [u32], offset: usize, bits: usize, value: u64) {
    for i in 0..bits {
        lanes[(offset + i) / 32] |= ((value >> i & 1) as u32) << ((offset + i) % 32);
    }
}

fn extract(lanes: &[u32], offset: usize, bits: usize) -> u64 {
    (0..bits).map(|i| u64::from(lanes[(offset + i) / 32] >> ((offset + i) % 32) & 1) << i).sum()
}

fn signed(value: u64, bits: usize) -> i64 {
    ((value << (64 - bits)) as i64) >> (64 - bits)
}

/// A column of one PE: zero run and weight field of each entry.
type Column = Vec<(usize, u64)>;

/// What is in the memories of the PEs.
struct Contents {
    /// By pointer number and PE; a gate column ends within the gate rows, a rows column within the rows.
    columns: Vec<(bool, Vec<Column>)>,
    /// By PE, layer and code.
    codebooks: Vec<Vec<Vec<i64>>>,
}

impl Contents {
    fn random(rng: &mut ChaCha8Rng, arch: &Arch) -> Contents {
        let count = 2 * arch.ptr_depth - 1;
        let columns = (0..count)
            .map(|_| {
                let gates = rng.random_bool(0.5);
                let rows = if gates { 4 * arch.acc_depth } else { arch.acc_depth };
                // short columns hit the accumulator of the column before; empty ones take no place
                let most = [0, 1, 1, 2, 20][rng.random_range(0..5)];
                let column = |rng: &mut ChaCha8Rng| {
                    let (mut column, mut next) = (vec![], 0);
                    while column.len() < most && next < rows {
                        let run = rng.random_range(0..(1 << arch.run_bits).min(rows - next)) * usize::from(rng.random_bool(0.6));
                        column.push((run, rng.next_u64() & ((1 << arch.weight_bits) - 1)));
                        next += run + 1;
                    }
                    column
                };
                (gates, (0..arch.pes).map(|_| column(rng)).collect())
            })
            .collect();
        let value = |rng: &mut ChaCha8Rng| i64::from(rng.next_u32() as i16);
        let table = |rng: &mut ChaCha8Rng| (0..1 << arch.weight_bits).map(|_| value(rng)).collect();
        let codebooks = (0..arch.pes).map(|_| (0..arch.max_layers).map(|_| table(rng)).collect()).collect();
        Contents { columns, codebooks }
    }

    fn weight(&self, arch: &Arch, pe: usize, layer: usize, field: u64) -> i64 {
        match arch.weights {
            WeightForm::Direct => signed(field, arch.weight_bits),
            WeightForm::Codebook => self.codebooks[pe][layer][field as usize],
        }
    }
}

/// One broadcast.
#[derive(Clone, Debug)]
struct Turn {
    token: bool,
    column: usize,
    acts: Vec<i16>,
    /// Gate banks 0 and 1, rows bank 2.
    bank: usize,
    /// What the parity input says when the bank is that of rows: it must not count.
    parity: bool,
    layer: usize,
}

/// The array, and what its accumulators must hold.
struct Rig {
    arch: Arch,
    dut: Dut,
    widths: HashMap<String, usize>,
    contents: Contents,
    /// By PE, bank, channel and row.
    sums: Vec<Vec<Vec<Vec<i64>>>>,
    rng: ChaCha8Rng,
}

impl Rig {
    fn new(arch: &Arch, seed: u64) -> Rig {
        arch.validate().unwrap();
        let top = "ese_array";
        let mut block = EseArray::new(arch);
        let ports: Vec<Port> = ports(&block).into_iter().map(|p| Port { name: p.name, width: p.width as u32, input: p.input }).collect();
        let netlist = write(&mut block, top).unwrap();
        let sources = netlist.modules.into_iter().map(|m| Source { name: m.name, text: m.text }).collect();
        let build = Build { optimize: Optimize::Draft, ..Build::plain(top, sources, ports.clone()) };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let zeros = |rows: usize| vec![vec![0; rows]; arch.channels()];
        let (gates, rows) = (zeros(4 * arch.acc_depth), zeros(arch.acc_depth));
        let mut rig = Rig {
            arch: arch.clone(),
            dut: Dut::new(&build.library(&cache()).unwrap(), seed).unwrap(),
            widths: ports.iter().map(|p| (p.name.clone(), p.width as usize)).collect(),
            contents: Contents::random(&mut rng, arch),
            sums: vec![vec![gates.clone(), gates, rows]; arch.pes],
            rng,
        };
        rig.set("clear", 1);
        rig.step();
        rig.set("clear", 0);
        rig.load();
        rig.flush();
        rig
    }

    fn set_lanes(&mut self, port: &str, lanes: &[u32]) {
        let width = self.widths[port];
        if width > 64 {
            let mut all = lanes.to_vec();
            all.resize(width.div_ceil(32), 0);
            self.dut.set_wide(port, &all).unwrap();
        } else {
            let low = lanes.iter().take(2).rev().fold(0u64, |v, lane| v << 32 | u64::from(*lane));
            self.dut.set(port, low).unwrap();
        }
    }

    fn get_lanes(&mut self, port: &str) -> Vec<u32> {
        if self.widths[port] > 64 {
            self.dut.get_wide(port).unwrap()
        } else {
            let value = self.dut.get(port).unwrap();
            vec![value as u32, (value >> 32) as u32]
        }
    }

    fn set(&mut self, port: &str, value: u64) {
        self.set_lanes(port, &[value as u32, (value >> 32) as u32]);
    }

    fn get(&mut self, port: &str) -> u64 {
        self.dut.get(port).unwrap()
    }

    fn step(&mut self) {
        self.dut.step(1).unwrap();
    }

    /// No broadcast.
    fn rest(&mut self) {
        self.set("broadcast", 0);
        self.set("ptr_read_both", 0);
    }

    fn host_write(&mut self, pe: usize, kind: MemoryKind, address: usize, lanes: &[u32]) {
        self.set("host_pe", pe as u64);
        self.set("host_memory", kind.code().into());
        self.set("host_address", address as u64);
        self.set_lanes("host_data", lanes);
        self.set("host_write", 1);
        self.step();
        self.set("host_write", 0);
    }

    fn host_read(&mut self, pe: usize, kind: MemoryKind, address: usize) -> Vec<u32> {
        self.set("host_pe", pe as u64);
        self.set("host_memory", kind.code().into());
        self.set("host_address", address as u64);
        self.set("host_read", 1);
        // pointers are read by the columns' bus
        if matches!(kind, MemoryKind::PtrEven | MemoryKind::PtrOdd) {
            self.set("ptr_read_both", 1);
            self.set("ptr_even", address as u64);
            self.set("ptr_odd", address as u64);
            self.set("starts_odd", (kind == MemoryKind::PtrOdd).into());
        }
        self.step();
        self.set("host_read", 0);
        self.set("ptr_read_both", 0);
        let (lanes, bits) = (kind.window_lanes(&self.arch), kind.width(&self.arch));
        let lane = |number| {
            self.set("host_lane", number as u64);
            self.step();
            // bits beyond the word are anything
            self.get("host_word") as u32 & lane_mask(bits, number)
        };
        (0..lanes).map(lane).collect()
    }

    /// Every word of the PEs' memories: PE, memory, address, lanes.
    fn words(&self) -> Vec<(usize, MemoryKind, usize, Vec<u32>)> {
        let arch = &self.arch;
        let mut all = vec![];
        for pe in 0..arch.pes {
            let mut entries: Vec<u64> = vec![];
            let mut pointers = vec![0];
            for (_, column) in &self.contents.columns {
                entries.extend(column[pe].iter().map(|(run, field)| *run as u64 | field << arch.run_bits));
                pointers.push(entries.len());
            }
            for (address, word) in entries.chunks(arch.entries_per_word).enumerate() {
                let mut lanes = vec![0; arch.word_bits().div_ceil(32)];
                word.iter().enumerate().for_each(|(i, e)| insert(&mut lanes, i * arch.entry_bits(), arch.entry_bits(), *e));
                all.push((pe, MemoryKind::Spmat, address, lanes));
            }
            for (p, pointer) in pointers.iter().enumerate() {
                let (kind, address) = lacuna_compress::spec::layout::pointer_place(p);
                all.push((pe, kind, address, vec![*pointer as u32]));
            }
            if arch.weights == WeightForm::Codebook {
                for (layer, table) in self.contents.codebooks[pe].iter().enumerate() {
                    for (code, value) in table.iter().enumerate() {
                        let address = layer << arch.weight_bits | code;
                        all.push((pe, MemoryKind::Codebook, address, vec![*value as u32 & 0xffff]));
                    }
                }
            }
        }
        all
    }

    fn load(&mut self) {
        for (pe, kind, address, lanes) in self.words() {
            self.host_write(pe, kind, address, &lanes);
        }
    }

    fn flush(&mut self) {
        self.set("flush", 1);
        for address in 0..self.arch.acc_depth {
            self.set("drain_address", address as u64);
            self.step();
        }
        self.set("flush", 0);
        self.step();
        self.sums.iter_mut().flatten().flatten().for_each(|rows| rows.fill(0));
    }

    fn token(&self, bank: usize) -> Turn {
        Turn { token: true, column: 0, acts: vec![0; self.arch.channels()], bank, parity: bank == 1, layer: 0 }
    }

    fn random_turn(&mut self, except: Option<usize>) -> Turn {
        loop {
            let column = self.rng.random_range(0..self.contents.columns.len());
            let parity = self.rng.random_bool(0.5);
            let bank = if self.contents.columns[column].0 { usize::from(parity) } else { ROWS_BANK };
            if Some(bank) != except {
                let acts = (0..self.arch.channels()).map(|_| self.rng.next_u32() as i16).collect();
                return Turn { token: false, column, acts, bank, parity, layer: self.rng.random_range(0..self.arch.max_layers) };
            }
        }
    }

    /// Puts a turn on the inputs if every PE accepts, and adds it to the model.
    fn offer(&mut self, turn: &Turn) -> bool {
        if self.get("accept") == 0 {
            return false;
        }
        let mut acts = vec![0; (ACT_BITS * turn.acts.len()).div_ceil(32)];
        turn.acts.iter().enumerate().for_each(|(c, a)| insert(&mut acts, ACT_BITS * c, ACT_BITS, *a as u16 as u64));
        self.set("broadcast", 1);
        self.set("token", turn.token.into());
        // as ptr_address has it
        self.set("ptr_read_both", 1);
        self.set("ptr_even", turn.column.div_ceil(2) as u64);
        self.set("ptr_odd", turn.column as u64 / 2);
        self.set("starts_odd", turn.column as u64 % 2);
        self.set_lanes("acts", &acts);
        self.set("rows_bank", (turn.bank == ROWS_BANK).into());
        self.set("parity", turn.parity.into());
        self.set("layer", turn.layer as u64);
        if turn.token {
            return true;
        }
        for pe in 0..self.arch.pes {
            let mut next = 0;
            for (run, field) in &self.contents.columns[turn.column].1[pe] {
                let row = next + run;
                next = row + 1;
                let weight = self.contents.weight(&self.arch, pe, turn.layer, *field);
                for (c, act) in turn.acts.iter().enumerate() {
                    self.sums[pe][turn.bank][c][row] += weight * i64::from(*act);
                }
            }
        }
        true
    }

    /// One cycle of reading a bank, the `n`th: reads a word as soon as the last PE's part of the one before is taken.
    /// True when it was the last one.
    fn drain(&mut self, bank: usize, n: usize) -> bool {
        let (pes, depth, acc) = (self.arch.pes, self.arch.acc_depth, self.arch.acc_bits);
        let reads = n.is_multiple_of(pes) && n / pes < depth;
        self.set("drain_read", reads.into());
        // what is on the inputs without drain_read must not count
        let (rows, parity) = if reads { (bank == ROWS_BANK, bank == 1) } else { (self.rng.random_bool(0.5), self.rng.random_bool(0.5)) };
        self.set("drain_rows", rows.into());
        self.set("drain_parity", parity.into());
        let address = if reads { n / pes } else { self.rng.random_range(0..depth) };
        self.set("drain_address", address as u64);
        let Some(shown) = n.checked_sub(1) else { return false };
        let (pe, local) = (shown % pes, shown / pes);
        self.set("drain_pe", pe as u64);
        let lanes = self.get_lanes("sums");
        for c in 0..self.arch.channels() {
            for gate in 0..if bank == ROWS_BANK { 1 } else { 4 } {
                let row = if bank == ROWS_BANK { local } else { 4 * local + gate };
                let expected = std::mem::take(&mut self.sums[pe][bank][c][row]);
                let got = extract(&lanes, (4 * c + gate) * acc, acc);
                assert_eq!(signed(got, acc), signed(expected as u64, acc), "pe {pe}, bank {bank}, channel {c}, row {row}");
            }
        }
        n == pes * depth
    }

    /// Broadcasts turns, with gaps, until a token for `bank` is through; while `draining` is read, no turn is for it.
    /// The cycle in which the token is seen is not over yet.
    fn phase(&mut self, turns: usize, gaps: f64, draining: Option<usize>, bank: usize) {
        let (mut left, mut read, mut next, mut sent) = (turns, draining.map(|b| (b, 0)), None, false);
        let mut idle = 0;
        loop {
            self.rest();
            self.set("token_take", 0);
            self.set("drain_read", 0);
            if let Some((b, n)) = read {
                self.set("token_take", (n == 0).into());
                read = if self.drain(b, n) { None } else { Some((b, n + 1)) };
            } else if self.get("token_seen") == 1 {
                assert!(sent, "a token that nobody sent");
                return;
            }
            if next.is_none() && left > 0 {
                left -= 1;
                next = Some(self.random_turn(read.map(|r| r.0)));
            } else if next.is_none() && read.is_none() && !sent {
                next = Some(self.token(bank));
                sent = true;
            }
            idle += 1;
            if let Some(turn) = next.take() {
                if self.rng.random_bool(gaps) || !self.offer(&turn) {
                    next = Some(turn);
                } else {
                    idle = 0;
                }
            }
            assert!(idle < 2000, "nothing moves");
            self.step();
        }
    }

    /// Reads a bank whose token has been seen, with nothing beside it.
    fn drain_all(&mut self, bank: usize) {
        self.set("token_take", 1);
        let mut n = 0;
        while !self.drain(bank, n) {
            n += 1;
            self.step();
            self.set("token_take", 0);
        }
        self.step();
        self.set("token_take", 0);
    }

    fn check_everything(&mut self) {
        for _ in 0..2 {
            // the second time every word must be zero
            for bank in 0..BANKS {
                self.phase(0, 0.0, None, bank);
                self.drain_all(bank);
                assert_eq!(self.get("token_seen"), 0);
                assert_eq!(self.get("idle"), 1);
            }
        }
        self.set("drain_pe", self.arch.pes as u64);
        assert!(self.get_lanes("sums").iter().all(|lane| *lane == 0), "sums of a PE that is not there");
    }

    /// Replaces everything by columns of one PE row, the same in every PE.
    fn reload(&mut self, columns: Vec<(bool, Column)>) {
        let all = columns.into_iter().map(|(gates, column)| (gates, vec![column; self.arch.pes]));
        self.contents.columns = all.collect();
        self.load();
    }

    fn random_phases(&mut self, count: usize) {
        let mut draining = None;
        for _ in 0..count {
            let turns = [0, 3, 20, 60][self.rng.random_range(0..4)];
            let gaps = [0.0, 0.0, 0.3, 0.9][self.rng.random_range(0..4)];
            let bank = self.rng.random_range(0..BANKS);
            self.phase(turns, gaps, draining, bank);
            draining = Some(bank);
        }
        if let Some(bank) = draining {
            self.drain_all(bank);
        }
        self.check_everything();
    }
}

#[test]
fn sums_of_all_banks_and_channels_equal_those_of_integers() {
    for arch in configurations() {
        for seed in [SEED, SEED + 1] {
            println!("{} PEs, fifo {}, {} channels, seed {seed}", arch.pes, arch.fifo_depth, arch.channels());
            Rig::new(&arch, seed).random_phases(25);
        }
    }
}

/// Cycles from this one to the first in which the signal is high.
fn until(rig: &mut Rig, port: &str) -> usize {
    for cycle in 0..1000 {
        if rig.get(port) == 1 {
            return cycle;
        }
        rig.step();
        rig.rest();
    }
    panic!("{port} does not rise");
}

/// Cycles from a broadcast to the sum of its entry: a column spends one in the queue, if there is one.
fn latency(arch: &Arch) -> usize {
    if arch.fifo_depth > 2 {
        8
    } else {
        7
    }
}

#[test]
fn latencies_are_as_the_modules_say() {
    for arch in configurations() {
        let mut rig = Rig::new(&arch, SEED);
        let latency = latency(&arch);
        rig.reload(vec![(true, vec![]), (true, vec![(0, 1)])]);
        let acts = vec![3; arch.channels()];
        let turn = |column| Turn { token: false, column, acts: acts.clone(), bank: 1, parity: true, layer: 0 };

        // a token alone
        let token = rig.token(0);
        assert!(rig.offer(&token));
        assert_eq!(until(&mut rig, "token_seen"), latency);
        assert_eq!(rig.get("idle"), 1);
        rig.set("token_take", 1);
        rig.step();
        rig.set("token_take", 0);
        assert_eq!(rig.get("token_seen"), 0);

        // a column without entries is gone after the pointer stages, one entry is summed behind the pipeline
        for (column, cycles) in [(0, 3), (1, latency + 1)] {
            assert!(rig.offer(&turn(column)));
            rig.step();
            rig.rest();
            assert_eq!((rig.get("idle"), 1 + until(&mut rig, "idle")), (0, cycles), "column {column}");
        }
        // and read from the accumulator from the next cycle on
        rig.drain_all(1);

        // a token behind it is seen in the cycle in which the sum can be read first
        rig.rest();
        assert!(rig.offer(&turn(1)));
        rig.step();
        while !rig.offer(&token) {
            rig.rest();
            rig.step();
        }
        assert_eq!(until(&mut rig, "token_seen"), latency);
        rig.drain_all(1);
        rig.check_everything();
    }
}

#[test]
fn one_entry_a_cycle_without_a_gap_between_columns() {
    // a column of one entry is in one place after the other for three cycles, and a place is free again in the fourth
    for arch in configurations().into_iter().filter(|a| a.fifo_depth > 3) {
        let mut rig = Rig::new(&arch, SEED);
        let gate_rows = 4 * arch.acc_depth;
        for entries in [1, 2, gate_rows] {
            rig.reload(vec![(true, (0..entries).map(|i| (0, i as u64 & 1)).collect())]);
            let (columns, acts) = (20, vec![-2; arch.channels()]);
            let mut cycles = 0;
            for n in 0..=columns {
                let mut turn = Turn { token: false, column: 0, acts: acts.clone(), bank: n % 2, parity: n % 2 == 1, layer: 0 };
                if n == columns {
                    turn = rig.token(0);
                }
                while !rig.offer(&turn) {
                    rig.rest();
                    rig.step();
                    cycles += 1;
                }
                if n < columns {
                    rig.step();
                    cycles += 1;
                }
            }
            cycles += until(&mut rig, "token_seen");
            assert_eq!(cycles, columns * entries + latency(&arch), "{} PEs, fifo {}, {entries} entries", arch.pes, arch.fifo_depth);
            rig.drain_all(0);
            rig.check_everything();
        }
    }
}

#[test]
fn clear_drops_everything_under_way() {
    for arch in configurations() {
        let mut rig = Rig::new(&arch, SEED);
        for cycles in 1..14 {
            let token = rig.token(0);
            let after = rig.rng.random_range(0..cycles);
            for n in 0..cycles {
                rig.rest();
                let turn = if n == after { token.clone() } else { rig.random_turn(None) };
                rig.offer(&turn);
                rig.step();
            }
            rig.rest();
            rig.set("clear", 1);
            rig.step();
            rig.set("clear", 0);
            assert_eq!((rig.get("idle"), rig.get("accept"), rig.get("token_seen")), (1, 1, 0), "after {cycles} cycles");
            for _ in 0..12 {
                rig.step();
                assert_eq!((rig.get("idle"), rig.get("token_seen")), (1, 0), "after {cycles} cycles");
            }
            rig.flush();
        }
        rig.random_phases(4);
    }
}

#[test]
fn host_reads_what_it_wrote_and_nothing_of_other_memories() {
    for arch in configurations() {
        let mut rig = Rig::new(&arch, SEED);
        for (pe, kind, address, lanes) in rig.words() {
            let got = rig.host_read(pe, kind, address);
            for (i, lane) in got.iter().enumerate() {
                assert_eq!(*lane, lanes.get(i).copied().unwrap_or(0), "pe {pe}, {}, word {address}", kind.name());
            }
        }
        for kind in [MemoryKind::Bias, MemoryKind::ActA, MemoryKind::ActB, MemoryKind::Layers] {
            assert!(rig.host_read(0, kind, 0).iter().all(|lane| *lane == 0), "{}", kind.name());
        }
        assert!(rig.host_read(arch.pes, MemoryKind::Spmat, 0).iter().all(|lane| *lane == 0), "a PE that is not there");
    }
}
