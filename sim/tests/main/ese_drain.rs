//! The element-wise side of the LSTM datapath against the functions of `spec` that it must equal, under Verilator:
//! the table, the cell unit, and the drain with a model of the array around it.

use crate::common::cache;
use lacuna_compress::spec::arch::Ese;
use lacuna_compress::spec::cell::step;
use lacuna_compress::spec::lut::Lut;
use lacuna_compress::spec::program::{row_result, Job};
use lacuna_compress::spec::{Arch, Op, Parameters, WeightForm, Words};
use lacuna_hdl::ese::{cell_unit, drain, CellUnit, Drain};
use lacuna_hdl::prim::Activation;
use lacuna_hdl::signal::{Atom, AtomKind, Block, Probe};
use lacuna_hdl::verilog::write;
use lacuna_sim::dut::Dut;
use lacuna_sim::verilate::{Build, Optimize, Port, Source};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SEED: u64 = 11;

fn arch(pes: usize, channels: usize, acc_bits: usize) -> Arch {
    Arch {
        pes,
        fifo_depth: 8,
        weights: WeightForm::Direct,
        weight_bits: 12,
        run_bits: 4,
        // entries are wide enough for the host's bus to hold an operation
        entries_per_word: 16,
        spmat_depth: 256,
        ptr_depth: 100,
        act_depth: 90,
        acc_depth: 40 / pes + 1,
        bias_depth: 75,
        acc_bits,
        max_layers: 16,
        conv: false,
        ese: Some(Ese { channels, cell_depth: 70, input_depth: 20, output_depth: 90 }),
    }
}

/// The ports of a block.
#[derive(Default)]
struct Ports {
    depth: usize,
    found: Vec<Port>,
}

impl Probe for Ports {
    fn visit_start_scope(&mut self, _: &str, _: &dyn Block) {
        self.depth += 1;
    }
    fn visit_end_scope(&mut self, _: &str, _: &dyn Block) {
        self.depth -= 1;
    }
    fn visit_start_namespace(&mut self, _: &str, _: &dyn Block) {}
    fn visit_end_namespace(&mut self, _: &str, _: &dyn Block) {}
    fn visit_atom(&mut self, name: &str, atom: &dyn Atom) {
        if self.depth == 1 && atom.kind().is_parameter() {
            self.found.push(Port { name: name.into(), width: atom.bits() as u32, input: atom.kind() == AtomKind::InputParameter });
        }
    }
}

fn model(top: &str, ports: Vec<Port>, sources: Vec<Source>) -> Dut {
    let build = Build { optimize: Optimize::Draft, ..Build::plain(top, sources, ports) };
    Dut::new(&build.library(&cache()).unwrap(), SEED).unwrap()
}

/// A generated block alone.
fn alone(block: &mut dyn Block, name: &str) -> Dut {
    let netlist = write(block, name).unwrap();
    let mut ports = Ports::default();
    block.accept(name, &mut ports);
    model(name, ports.found, netlist.modules.into_iter().map(|m| Source { name: m.name, text: m.text }).collect())
}

/// Sets a port of any width.
fn drive(dut: &mut Dut, port: &str, word: &Words) {
    let lanes = word.word(0);
    if word.width() > 64 {
        dut.set_wide(port, lanes).unwrap();
    } else {
        dut.set(port, u64::from(lanes[0]) | u64::from(lanes.get(1).copied().unwrap_or(0)) << 32).unwrap();
    }
}

/// Reads a port of any width.
fn sense(dut: &mut Dut, port: &str, width: usize) -> Words {
    let mut word = Words::zeroed(width, 1);
    if width > 64 {
        dut.get_wide(port).unwrap().iter().enumerate().for_each(|(k, lane)| word.set_lane(0, k, *lane));
    } else {
        let value = dut.get(port).unwrap();
        (0..width.div_ceil(32)).for_each(|k| word.set_lane(0, k, (value >> (32 * k)) as u32));
    }
    word
}

fn mask(value: i64, bits: usize) -> u64 {
    value as u64 & (u64::MAX >> (64 - bits))
}

/// A number of at most `bits` bits, two's complement, of any magnitude.
fn any(rng: &mut ChaCha8Rng, bits: usize) -> i64 {
    if bits < 2 {
        return 0;
    }
    match rng.random_range(0..12) {
        0 => (1 << (bits - 1)) - 1,
        1 => -(1 << (bits - 1)),
        2 => 0,
        _ => {
            let bits = rng.random_range(2..=bits);
            rng.random_range(-(1i64 << (bits - 1))..1i64 << (bits - 1))
        }
    }
}

#[test]
fn the_functions_equal_the_spec_at_every_input() {
    let ports = [("clock", 1, true), ("z", 16, true), ("sigmoid", 1, true), ("value", 16, false)];
    let declare = |p: &(&str, u32, bool)| format!("{} wire [{}:0] {}", if p.2 { "input" } else { "output" }, p.1 - 1, p.0);
    let text = format!(
        "module functions ({});\nactivation {} leaf (.clock(clock), .z(z), .sigmoid(sigmoid), .value(value));\nendmodule\n",
        ports.iter().map(declare).collect::<Vec<_>>().join(", "),
        Activation::parameters()
    );
    let sources = vec![Source { name: "functions".into(), text }, Source { name: "activation".into(), text: Activation::text() }];
    let ports = ports.iter().map(|p| Port { name: p.0.into(), width: p.1, input: p.2 }).collect();
    let mut dut = model("functions", ports, sources);
    let lut = Lut::default();
    // both functions of every input, in turn, one a cycle
    let input = |k: u32| ((k / 2) as u16 as i16, k % 2 == 1);
    for k in 0..2 * 65_536 + 3 {
        if k >= 3 {
            let (z, sigmoid) = input(k - 3);
            let expected = if sigmoid { lut.sigmoid(z) } else { lut.tanh(z) };
            assert_eq!(dut.get("value").unwrap() as u16 as i16, expected, "z {z}, sigmoid {sigmoid}");
        }
        let (z, sigmoid) = input(k);
        dut.set("z", mask(z.into(), 16)).unwrap();
        dut.set("sigmoid", sigmoid.into()).unwrap();
        dut.step(1).unwrap();
    }
}

/// A job with random numbers in it.
fn random_op(rng: &mut ChaCha8Rng, acc_bits: usize, job: Job, aligns: u32) -> Op {
    let shift = |rng: &mut ChaCha8Rng| rng.random_range(0..=acc_bits as u32 - 2);
    Op {
        job,
        shifts: std::array::from_fn(|_| shift(rng)),
        aligns: std::array::from_fn(|_| rng.random_range(0..=aligns)),
        cell_shift: rng.random_range(15..=30),
        hidden_shift: rng.random_range(15..=30),
        candidate_sigmoid: rng.random_bool(0.5),
        relu: rng.random_bool(0.5),
        bias: rng.random_bool(0.5),
        store: rng.random_bool(0.6),
        output: rng.random_bool(0.5),
        ..Op::default()
    }
}

/// Bits of a peephole weight, bias or sum such that no total leaves `acc_bits`.
fn peephole_bits(acc_bits: usize, aligns: u32) -> usize {
    (acc_bits as i64 - 17 - i64::from(aligns)).clamp(0, 16) as usize
}

fn random_parameters(rng: &mut ChaCha8Rng, acc_bits: usize, aligns: u32) -> Parameters {
    Parameters {
        biases: std::array::from_fn(|_| any(rng, acc_bits - 2)),
        peepholes: std::array::from_fn(|_| any(rng, peephole_bits(acc_bits, aligns)) as i16),
    }
}

#[test]
fn the_cell_unit_equals_the_spec() {
    let lut = Lut::default();
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let (mut saturated, mut elements) = (0, 0);
    for acc_bits in [24, 40, 48] {
        let arch = arch(1, 1, acc_bits);
        let mut dut = alone(&mut CellUnit::new(&arch), "cell_unit");
        for job in 0..320 {
            let rows = job % 4 == 3;
            let aligns = rng.random_range(0..=Op::MAX_ALIGN);
            let op = Op { bias: true, ..random_op(&mut rng, acc_bits, if rows { Job::Rows } else { Job::Cells }, aligns) };
            // every shift of the cells' formats, and of every gate
            let mut op = Op { cell_shift: 15 + job % 16, hidden_shift: 15 + job / 4 % 16, ..op };
            op.shifts[(job / 64) as usize % 4] = job % (acc_bits as u32 - 1);
            dut.set("rows", rows.into()).unwrap();
            for (k, gate) in ["i", "f", "g", "o"].iter().enumerate() {
                dut.set(&format!("shift_{gate}"), op.shifts[k].into()).unwrap();
            }
            for (k, gate) in ["i", "f", "o"].iter().enumerate() {
                dut.set(&format!("align_{gate}"), op.aligns[k].into()).unwrap();
            }
            dut.set("cell_shift", op.cell_shift.into()).unwrap();
            dut.set("hidden_shift", op.hidden_shift.into()).unwrap();
            dut.set("candidate_sigmoid", op.candidate_sigmoid.into()).unwrap();
            dut.set("relu", op.relu.into()).unwrap();
            let count = 100;
            let mut expected = vec![];
            for n in 0..count + cell_unit::HIDDEN_STAGE {
                // the edges so far are n: element e is in stage n - e
                let mut check = |port: &str, stage: usize, of: &dyn Fn(&(i16, i16, i16)) -> i16| {
                    if n >= stage && n - stage < count {
                        let got = dut.get(port).unwrap() as u16 as i16;
                        assert_eq!(got, of(&expected[n - stage]), "{port}, {acc_bits} bits, job {job}, element {}: {op:?}", n - stage);
                    }
                };
                if rows {
                    check("row", cell_unit::ROW_STAGE, &|e| e.0);
                } else {
                    check("new_cell", cell_unit::CELL_STAGE, &|e| e.1);
                    check("hidden", cell_unit::HIDDEN_STAGE, &|e| e.2);
                }
                if n < count {
                    let parameters = random_parameters(&mut rng, acc_bits, aligns);
                    let sums: [i64; 4] = std::array::from_fn(|_| any(&mut rng, acc_bits - 2));
                    let old = any(&mut rng, 16) as i16;
                    let mut word = Words::zeroed(4 * acc_bits, 1);
                    (0..4).for_each(|g| word.set_bits(0, g * acc_bits, acc_bits, mask(sums[g], acc_bits)));
                    drive(&mut dut, "sums", &word);
                    let mut word = Words::zeroed(arch.parameter_bits(), 1);
                    parameters.write(&mut word, 0, &arch);
                    drive(&mut dut, "parameters", &word);
                    dut.set("old_cell", mask(old.into(), 16)).unwrap();
                    let got = step(&op, &lut, sums, &parameters, old);
                    if !rows {
                        saturated += got.saturated;
                    }
                    elements += 1;
                    expected.push((row_result(&op, sums[0], parameters.biases[0]), got.c, got.m));
                }
                dut.step(1).unwrap();
            }
        }
    }
    assert!(saturated > 300, "{saturated} of {elements} elements saturate");
}

/// The drain in its surroundings: broadcaster, array and stream buffers as it knows them.
struct Bench {
    dut: Dut,
    rng: ChaCha8Rng,
    arch: Arch,
    lut: Lut,
    now: usize,
    program: Vec<Op>,
    parameters: Vec<Parameters>,
    /// Of each channel.
    cells: Vec<Vec<i16>>,
    // accumulators: sums of [PE][address][channel][gate]
    gates: [Vec<Vec<Vec<[i64; 4]>>>; 2],
    rows: Vec<Vec<Vec<[i64; 4]>>>,
    held: Vec<Vec<[i64; 4]>>,
    clearing: Option<(bool, usize, usize)>,
    // inputs
    token_issued: bool,
    token_seen: bool,
    rooms: f64,
    // what the drain must know by now
    parity: usize,
    /// The program's operation of the next job, and the cycle from which the search has found it.
    next: usize,
    found: usize,
    pending: bool,
    new_step: bool,
    active: Vec<bool>,
    fresh: Vec<bool>,
    active_now: Vec<bool>,
    fresh_now: Vec<bool>,
    complete: bool,
    stored: usize,
    job: Option<Running>,
    /// What follows the last result: when, out_done, step_done.
    end: Option<(usize, bool, bool)>,
    // what the test has seen
    results: usize,
    stalls: usize,
    late_ends: usize,
}

struct Running {
    start: usize,
    op: Op,
    latency: usize,
    /// Of each element, of each channel.
    results: Vec<Vec<i16>>,
}

impl Bench {
    fn new(arch: Arch, seed: u64) -> Bench {
        let dut = alone(&mut Drain::new(&arch), "drain");
        let channels = arch.channels();
        let bank = vec![vec![vec![[0; 4]; channels]; arch.acc_depth]; arch.pes];
        Bench {
            dut,
            rng: ChaCha8Rng::seed_from_u64(seed),
            lut: Lut::default(),
            now: 0,
            program: vec![],
            parameters: vec![],
            cells: vec![],
            gates: [bank.clone(), bank.clone()],
            rows: bank,
            held: vec![vec![[0; 4]; channels]; arch.pes],
            clearing: None,
            token_issued: false,
            token_seen: false,
            rooms: 0.5,
            parity: 0,
            next: 0,
            found: usize::MAX,
            pending: false,
            new_step: true,
            active: vec![false; channels],
            fresh: vec![false; channels],
            active_now: vec![false; channels],
            fresh_now: vec![false; channels],
            complete: true,
            stored: 0,
            job: None,
            end: None,
            results: 0,
            stalls: 0,
            late_ends: 0,
            arch,
        }
    }

    fn channels(&self) -> usize {
        self.arch.channels()
    }

    fn flags(&mut self, port: &str, flags: &[bool]) {
        let value = flags.iter().enumerate().fold(0, |all, (c, f)| all | u64::from(*f) << c);
        self.dut.set(port, value).unwrap();
    }

    fn bit(&mut self, port: &str) -> bool {
        self.dut.get(port).unwrap() == 1
    }

    /// The operation with a token from number `from` on, and how many are passed over on the way to it.
    fn search(&self, from: usize) -> (usize, usize, bool) {
        let (mut at, mut passed, mut wrapped) = (from, 0, false);
        while self.program[at].job == Job::None {
            wrapped |= self.program[at].last;
            at = (at + 1) % self.program.len();
            passed += 1;
        }
        (at, passed, wrapped)
    }

    /// Drops everything.
    fn clear(&mut self) {
        self.dut.set("clear", 1).unwrap();
        self.dut.set("token_issued", 0).unwrap();
        self.dut.set("token_seen", 0).unwrap();
        self.dut.step(1).unwrap();
        self.dut.set("clear", 0).unwrap();
        self.now += 1;
        let bank = vec![vec![vec![[0; 4]; self.channels()]; self.arch.acc_depth]; self.arch.pes];
        self.gates = [bank.clone(), bank.clone()];
        self.rows = bank;
        (self.token_issued, self.token_seen, self.clearing) = (false, false, None);
        (self.parity, self.next, self.found, self.pending, self.new_step) = (0, 0, usize::MAX, false, true);
        (self.complete, self.stored, self.job, self.end) = (true, 0, None, None);
    }

    /// The job of the operation `next`: its results from the sums as they are, and the cells after it.
    fn begin(&mut self) {
        let op = self.program[self.next];
        if self.new_step {
            (self.active_now, self.fresh_now) = (self.active.clone(), self.fresh.clone());
        }
        let mut results = vec![];
        for e in 0..op.count {
            let (pe, local) = (e % self.arch.pes, e / self.arch.pes);
            let parameters = self.parameters.get(op.param_base + e).copied().unwrap_or_default();
            let result = |c: usize| {
                if op.job == Job::Rows {
                    return row_result(&op, self.rows[pe][local][c][0], parameters.biases[0]);
                }
                let old = if self.fresh_now[c] { 0 } else { self.cells[c][op.cell_base + e] };
                let got = step(&op, &self.lut, self.gates[self.parity][pe][local][c], &parameters, old);
                if self.active_now[c] {
                    self.cells[c][op.cell_base + e] = got.c;
                }
                got.m
            };
            results.push((0..self.arch.channels()).map(result).collect());
        }
        let latency = drain::FIRST_READ + if op.job == Job::Rows { drain::READ_TO_ROW } else { drain::READ_TO_HIDDEN };
        let after = (self.next + 1) % self.program.len();
        let (next, passed, wrapped) = self.search(after);
        (self.next, self.found) = (next, self.now + 2 + passed);
        self.new_step = wrapped || op.last;
        let stored = self.now + latency + op.count;
        self.late_ends += usize::from(self.found > stored);
        self.end = Some((stored.max(self.found), op.output, self.new_step));
        self.pending = false;
        self.job = Some(Running { start: self.now, op, latency, results });
    }

    /// One cycle: everything that the drain says is what it must say.
    fn tick(&mut self) {
        let room = self.rng.random_bool(self.rooms);
        self.dut.set("out_room", room.into()).unwrap();
        self.dut.set("token_issued", self.token_issued.into()).unwrap();
        self.dut.set("token_seen", self.token_seen.into()).unwrap();
        // the flags of the step hold only as long as promised
        let noise = !(self.new_step && (self.pending || self.token_issued));
        let (active, fresh) = if noise {
            let mut random = || (0..self.arch.channels()).map(|_| self.rng.random_bool(0.5)).collect::<Vec<_>>();
            (random(), random())
        } else {
            (self.active.clone(), self.fresh.clone())
        };
        self.flags("active", &active);
        self.flags("fresh", &fresh);
        let (pes, acc, now) = (self.arch.pes, self.arch.acc_bits, self.now);
        let shown = self.dut.get("drain_pe").unwrap() as usize;
        let mut sums = Words::zeroed(4 * acc * self.channels(), 1);
        if shown < pes {
            for c in 0..self.channels() {
                (0..4).for_each(|g| sums.set_bits(0, (4 * c + g) * acc, acc, mask(self.held[shown][c][g], acc)));
            }
        }
        drive(&mut self.dut, "sums", &sums);

        // the walk
        let drain_read = self.bit("drain_read");
        let address = self.dut.get("drain_address").unwrap() as usize;
        let (rows, parity) = (self.bit("drain_rows"), usize::from(self.bit("drain_parity")));
        let place = |job: &Option<Running>, latency: usize| {
            let job = job.as_ref()?;
            now.checked_sub(job.start + latency).filter(|e| *e < job.op.count)
        };
        let read = place(&self.job, drain::FIRST_READ);
        assert_eq!(drain_read, read.is_some_and(|e| e % pes == 0), "drain_read in cycle {now}");
        assert_eq!(self.bit("token_take"), self.job.as_ref().is_some_and(|j| now == j.start + 1), "token_take in cycle {now}");
        if let (true, Some(e), Some(job)) = (drain_read, read, &self.job) {
            assert_eq!((address, rows), (e / pes, job.op.job == Job::Rows));
            assert!(rows || parity == self.parity, "parity in cycle {now}");
        }
        if let Some(e) = place(&self.job, drain::FIRST_READ + drain::READ_TO_SUMS) {
            assert_eq!(shown, e % pes);
        }

        // results
        let result = self.job.as_ref().and_then(|j| place(&self.job, j.latency));
        let (store, out_write) = (self.bit("store"), self.bit("out_write"));
        let wants = |f: fn(&Op) -> bool| result.is_some() && self.job.as_ref().is_some_and(|j| f(&j.op));
        assert_eq!((store, out_write), (wants(|o| o.store), wants(|o| o.output)), "store and out_write in cycle {now}");
        assert_eq!(self.dut.get("stored").unwrap() as usize, self.stored, "stored in cycle {now}");
        assert_eq!(self.bit("complete"), self.complete, "complete in cycle {now}");
        let masked = |all: &[bool]| all.iter().enumerate().fold(0, |m, (c, f)| m | u64::from(*f) << c);
        if let Some(e) = result {
            for (wanted, address, data) in [(store, "store_address", "store_data"), (out_write, "out_address", "out_data")] {
                if !wanted {
                    continue;
                }
                let job = self.job.as_ref().unwrap();
                let base = if address == "store_address" { job.op.dest } else { 0 };
                assert_eq!(self.dut.get(address).unwrap() as usize, base + e, "{address} in cycle {now}");
                let word = sense(&mut self.dut, data, 16 * self.arch.channels());
                let job = self.job.as_ref().unwrap();
                for c in (0..self.arch.channels()).filter(|c| self.active_now[*c]) {
                    let got = word.bits(0, 16 * c, 16) as u16 as i16;
                    assert_eq!(got, job.results[e][c], "{data} in cycle {now}, channel {c}, element {e}, {:?}", job.op);
                }
            }
            if store {
                assert_eq!(self.dut.get("store_mask").unwrap(), masked(&self.active_now), "store_mask in cycle {now}");
            }
            self.results += 1;
            self.stored += 1;
            if self.stored == self.job.as_ref().unwrap().op.count {
                self.complete = true;
                self.parity ^= usize::from(self.job.as_ref().unwrap().op.job == Job::Cells);
            }
        }
        let end = self.end.filter(|e| e.0 == now);
        assert_eq!(self.bit("out_done"), end.is_some_and(|e| e.1), "out_done in cycle {now}");
        assert_eq!(self.bit("step_done"), end.is_some_and(|e| e.2), "step_done in cycle {now}");
        if self.bit("out_done") {
            assert_eq!(self.dut.get("out_mask").unwrap(), masked(&self.active_now), "out_mask in cycle {now}");
        }
        if end.is_some() {
            (self.end, self.job) = (None, None);
        }
        assert!(self.bit("busy") || self.job.is_none() && self.complete, "busy in cycle {now}");

        // the next job
        let ready = self.pending && now >= self.found && self.token_seen && self.job.is_none();
        let stall = ready && self.program[self.next].output && !room;
        assert_eq!(self.bit("stall_output"), stall, "stall_output in cycle {now}");
        self.stalls += usize::from(stall);
        if self.bit("token_take") {
            self.token_seen = false;
        }
        if self.token_issued {
            (self.pending, self.complete, self.stored) = (true, false, 0);
            if self.found == usize::MAX {
                let (next, passed, _) = self.search(0);
                (self.next, self.found) = (next, now + 2 + passed);
            }
            self.token_issued = false;
        }
        if ready && !stall {
            self.begin();
        }

        // the array at the clock edge
        if let Some((rows, parity, address)) = self.clearing.take() {
            let bank = if rows { &mut self.rows } else { &mut self.gates[parity] };
            bank.iter_mut().for_each(|pe| pe[address].fill([0; 4]));
        }
        if drain_read {
            let bank = if rows { &self.rows } else { &self.gates[parity] };
            self.held = bank.iter().map(|pe| pe[address].clone()).collect();
            self.clearing = Some((rows, parity, address));
        }
        self.dut.step(1).unwrap();
        self.now += 1;
    }

    /// A host access; gives what the lanes of `host_word` are a cycle later.
    fn host(&mut self, memory: u64, channel: u64, address: usize, write: Option<&Words>) -> Words {
        let width = self.dut_width();
        self.dut.set("host_memory", memory).unwrap();
        self.dut.set("host_channel", channel).unwrap();
        self.dut.set("host_address", address as u64).unwrap();
        self.dut.set(if write.is_some() { "host_write" } else { "host_read" }, 1).unwrap();
        if let Some(word) = write {
            let mut wide = Words::zeroed(width, 1);
            word.word(0).iter().enumerate().for_each(|(k, lane)| wide.set_lane(0, k, *lane));
            drive(&mut self.dut, "host_data", &wide);
        }
        self.tick();
        self.dut.set("host_write", 0).unwrap();
        self.dut.set("host_read", 0).unwrap();
        // it stays
        for _ in 0..self.rng.random_range(0..3) {
            self.tick();
        }
        let mut found = Words::zeroed(width, 1);
        // a memory of one lane says the same at every lane
        let lanes = if [3, 7].contains(&memory) { width.div_ceil(32) } else { 1 };
        for lane in 0..lanes {
            self.dut.set("host_lane", lane as u64).unwrap();
            found.set_lane(0, lane, self.dut.get("host_word").unwrap() as u32);
        }
        found
    }

    fn dut_width(&self) -> usize {
        lacuna_hdl::spmv::Widths::of(&self.arch).host_data
    }

    /// A random program of 1 to 4 jobs with everything that belongs to it, all written by the host.
    fn load(&mut self) {
        let acc = self.arch.acc_bits;
        let depths = (self.arch.act_depth, 70, self.arch.bias_depth, self.arch.acc_depth * self.arch.pes);
        let aligns = self.rng.random_range(0..=Op::MAX_ALIGN);
        let jobs = self.rng.random_range(1..=4);
        self.program.clear();
        for job in 0..jobs {
            self.idle_ops(jobs - job);
            let job = if self.rng.random_bool(0.5) { Job::Cells } else { Job::Rows };
            let mut op = random_op(&mut self.rng, acc, job, aligns);
            let most = depths.0.min(depths.1).min(depths.2).min(depths.3);
            op.count = match self.rng.random_range(0..4) {
                0 => self.rng.random_range(1..=2),
                1 => self.arch.pes + self.rng.random_range(0..2),
                _ => self.rng.random_range(1..=most),
            };
            op.dest = self.rng.random_range(0..=depths.0 - op.count);
            op.cell_base = self.rng.random_range(0..=depths.1 - op.count);
            op.param_base = self.rng.random_range(0..=depths.2 - op.count);
            op.rows_bank = job == Job::Rows;
            self.program.push(op);
        }
        self.idle_ops(0);
        self.program.last_mut().unwrap().last = true;
        self.clear();
        let mut program = Words::zeroed(Op::BITS, self.program.len());
        for k in 0..self.program.len() {
            self.program[k].write(&mut program, k);
            let mut word = Words::zeroed(Op::BITS, 1);
            self.program[k].write(&mut word, 0);
            self.host(7, 0, k, Some(&word));
        }
        self.parameters = (0..depths.2).map(|_| random_parameters(&mut self.rng, acc, aligns)).collect();
        for k in 0..depths.2 {
            let mut word = Words::zeroed(self.arch.parameter_bits(), 1);
            self.parameters[k].write(&mut word, 0, &self.arch.clone());
            self.host(3, 0, k, Some(&word));
        }
        self.load_cells();
    }

    /// Some operations without a token, so many that the program has room for others.
    fn idle_ops(&mut self, others: usize) {
        let most = if self.rng.random_bool(0.5) { 12 } else { 2 };
        for _ in 0..self.rng.random_range(0..=most).min(self.arch.max_layers - others - self.program.len()) {
            let op = random_op(&mut self.rng, self.arch.acc_bits, Job::None, 0);
            self.program.push(Op { columns: 3, count: 9, ..op });
        }
    }

    fn load_cells(&mut self) {
        self.cells = (0..self.channels()).map(|_| (0..70).map(|_| any(&mut self.rng, 16) as i16).collect()).collect();
        for c in 0..self.channels() {
            for k in 0..70 {
                let mut word = Words::zeroed(16, 1);
                word.set(0, mask(self.cells[c][k].into(), 16));
                self.host(6, c as u64, k, Some(&word));
            }
        }
    }

    /// Every memory reads as it should, and no other has a word here.
    fn check_memories(&mut self) {
        for _ in 0..20 {
            self.tick();
        }
        assert!(!self.bit("busy"), "busy long after the last job");
        let arch = self.arch.clone();
        for c in 0..self.channels() {
            for k in 0..70 {
                let word = self.host(6, c as u64, k, None);
                assert_eq!(word.bits(0, 0, 32) as u16 as i16, self.cells[c][k], "cell {k} of channel {c}");
                assert_eq!(word.bits(0, 16, 40), 0);
            }
        }
        for k in [0, 1, self.parameters.len() - 1] {
            let word = self.host(3, 0, k, None);
            assert_eq!(Parameters::read(&word, 0, &arch), self.parameters[k]);
        }
        for k in (0..self.program.len()).rev() {
            let word = self.host(7, 0, k, None);
            assert_eq!(Op::read(&word, 0), self.program[k]);
        }
        for memory in [0, 1, 2, 4, 5] {
            assert!(self.host(memory, 0, 0, None).word(0).iter().all(|l| *l == 0), "memory {memory} is not here");
        }
        assert!(self.host(6, 200, 0, None).word(0).iter().all(|l| *l == 0), "there is no channel 200");
        if self.rng.random_bool(0.5) {
            self.dut.set("host_memory", 0).unwrap();
        }
    }

    /// Zeroes cells of some channels, at addresses beyond the memory too.
    fn sweep(&mut self) {
        let chosen: Vec<bool> = (0..self.channels()).map(|_| self.rng.random_bool(0.5)).collect();
        self.flags("sweep_mask", &chosen);
        self.dut.set("sweep", 1).unwrap();
        for address in (0..70).filter(|a| a % 3 != 1).chain([70, 71, 127, 129, 260, 65_535]) {
            self.dut.set("sweep_address", address).unwrap();
            self.tick();
            for c in (0..self.channels()).filter(|c| chosen[*c]) {
                if let Some(cell) = self.cells[c].get_mut(address as usize) {
                    *cell = 0;
                }
            }
        }
        self.dut.set("sweep", 0).unwrap();
    }

    /// Token and sums of the next job, until it has begun.
    fn issue(&mut self, first: bool, hurry: bool) {
        if first {
            self.active = (0..self.channels()).map(|_| self.rng.random_bool(0.7)).collect();
            self.fresh = (0..self.channels()).map(|_| self.rng.random_bool(0.3)).collect();
        }
        self.token_issued = true;
        self.tick();
        let (acc, pes) = (self.arch.acc_bits, self.arch.pes);
        let op = self.program[self.next];
        for e in 0..op.count {
            for c in 0..self.channels() {
                let sums: [i64; 4] = std::array::from_fn(|_| any(&mut self.rng, acc - 2));
                let bank = if op.job == Job::Rows { &mut self.rows } else { &mut self.gates[self.parity] };
                // what the job before left must be gone
                assert_eq!(bank[e % pes][e / pes][c], [0; 4], "element {e}");
                bank[e % pes][e / pes][c] = sums;
            }
        }
        for _ in 0..if hurry { 0 } else { self.rng.random_range(0..25) } {
            self.tick();
        }
        self.token_seen = true;
        let before = self.now;
        while self.pending {
            self.tick();
            assert!(self.now < before + 1000, "the job does not begin");
        }
        self.tick();
    }

    fn run_step(&mut self, hurry: bool) {
        let jobs = self.program.iter().filter(|o| o.job != Job::None).count();
        for job in 0..jobs {
            self.issue(job == 0, hurry);
            while !self.complete {
                self.tick();
            }
            for _ in 0..if hurry { 0 } else { self.rng.random_range(0..12) } {
                self.tick();
            }
        }
    }
}

fn drain_equals_the_spec(arch: Arch, seed: u64) {
    println!("seed {seed}");
    let mut bench = Bench::new(arch, seed);
    let mut steps = 0;
    for _ in 0..20 {
        bench.rooms = [1.0, 0.5, 0.1][bench.rng.random_range(0..3)];
        bench.load();
        for _ in 0..3 {
            let hurry = bench.rng.random_bool(0.4);
            for _ in 0..bench.rng.random_range(1..4) {
                bench.run_step(hurry);
                steps += 1;
            }
            bench.check_memories();
            if bench.rng.random_bool(0.5) {
                bench.sweep();
                bench.check_memories();
            }
        }
        // a job that is dropped somewhere, then as from the start
        bench.issue(true, false);
        for _ in 0..bench.rng.random_range(0..40) {
            if !bench.complete {
                bench.tick();
            }
        }
        bench.clear();
        bench.load_cells();
        bench.run_step(false);
        bench.check_memories();
    }
    println!("{steps} steps, {} results, {} stalls, {} late ends", bench.results, bench.stalls, bench.late_ends);
    assert!(bench.results > 1500 && bench.stalls > 10 && bench.late_ends > 0, "the seed does not reach every case");
}

#[test]
fn the_drain_of_one_pe_equals_the_spec() {
    drain_equals_the_spec(arch(1, 1, 24), SEED);
}

#[test]
fn the_drain_of_two_pes_equals_the_spec() {
    drain_equals_the_spec(arch(2, 3, 40), SEED + 1);
}

#[test]
fn the_drain_of_three_pes_equals_the_spec() {
    drain_equals_the_spec(arch(3, 1, 48), SEED + 2);
}

#[test]
fn the_drain_of_five_pes_equals_the_spec() {
    drain_equals_the_spec(arch(5, 2, 33), SEED + 3);
}
