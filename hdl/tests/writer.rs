//! The module writer: every feature of the kernel language through the linters, one design in Icarus against a model
//! written by hand, and faults that must be errors.

use lacuna_hdl::signal::*;
use lacuna_hdl::verilog::{write, Fault, Netlist, WriteError};
use std::path::Path;
use std::process::Command;

// ---------------------------------------------------------------- tools

fn run(dir: &Path, command: &str) -> String {
    let out = Command::new("sh").arg("-c").arg(command).current_dir(dir).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{command}\n{text}");
    text
}

fn files(dir: &Path, netlist: &Netlist) -> String {
    let save = |m: &lacuna_hdl::verilog::Module| {
        std::fs::write(dir.join(m.file_name()), &m.text).unwrap();
        m.file_name()
    };
    netlist.modules.iter().map(save).collect::<Vec<_>>().join(" ")
}

/// Writes a block and runs the three tools over it; no warning passes. Returns the text of all modules.
fn lint(top: &mut dyn Block) -> String {
    let netlist = write(top, "top").unwrap_or_else(|e| panic!("{e}"));
    let dir = tempfile::tempdir().unwrap();
    let all = files(dir.path(), &netlist);
    let text: String = netlist.modules.iter().map(|m| m.text.as_str()).collect();
    let checked = |command: String| {
        let out = Command::new("sh").arg("-c").arg(&command).current_dir(dir.path()).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        let said: String = said.lines().filter(|l| !l.contains("sorry: constant selects")).collect();
        assert!(out.status.success() && said.is_empty(), "{command}\n{said}\n{text}");
    };
    checked(format!("verilator --lint-only -Wall --top-module top {all}"));
    checked(format!("yosys -q -p 'read_verilog {all}; hierarchy -check -top top; proc; check -assert; select -assert-none t:$dlatch'"));
    checked(format!("iverilog -g2005 -Wall -s top -o /dev/null {all}"));
    assert!(!text.contains('$') || text.contains("$signed") || text.contains("$readmemh"), "{text}");
    text
}

fn fault(top: &mut dyn Block) -> Fault {
    match write(top, "top").unwrap_err() {
        WriteError::Module { fault, .. } => fault,
        other => panic!("{other}"),
    }
}

/// A block with an empty `Meta`, for tests of one kernel.
macro_rules! block {
    ($name:ident { $($field:ident: $ty:ty = $make:expr),* $(,)? } $($update:tt)*) => {
        #[derive(LogicBlock)]
        struct $name { $($field: $ty),* }
        impl $name {
            fn new() -> Self { $name { $($field: $make),* } }
        }
        impl Logic for $name {
            $($update)*
        }
    };
}

// ---------------------------------------------------------------- features

block!(Slices {
    a: Wire<In> = Wire::new(12),
    b: Wire<In> = Wire::new(12),
    at: Wire<In> = Wire::new(3),
    middle: Wire<Out> = Wire::new(5),
    of_sum: Wire<Out> = Wire::new(5),
    narrow: Wire<Out> = Wire::new(4),
    cut_sum: Wire<Out> = Wire::new(4),
    carry: Wire<Out> = Wire::new(13),
    wrapped: Wire<Out> = Wire::new(13),
    mixed: Signal<Out, Bit> = Default::default(),
    picked: Signal<Out, Bit> = Default::default(),
    window: Wire<Out> = Wire::new(4),
    gathered: Wire<Out> = Wire::new(4),
    flag: Wire<Out> = Wire::new(6),
    _from: usize = 3,
    _width: usize = 5,
} #[hdl_gen] fn update(&mut self) {
    self.middle.next = bit_cast_slice(self.a.val(), self._from, self._width);
    self.of_sum.next = bit_cast_slice(self.a.val() + self.b.val(), self._from, self._width);
    self.narrow.next = bit_cast_to(self.a.val(), 4);
    self.cut_sum.next = bit_cast_to(self.a.val() + self.b.val(), &self.cut_sum.next);
    self.carry.next = bit_cast_to(self.a.val(), 13) + bit_cast_to(self.b.val(), 13);
    self.wrapped.next = bit_cast_to(self.a.val() - self.b.val(), 13);
    self.mixed.next = self.a.val().get_bit(11) & !self.b.val().any() | self.b.val().all() ^ self.b.val().xor();
    self.picked.next = self.a.val().get_bit(self.at.val());
    self.window.next = self.a.val().get_bits::<Fit>(self.at.val());
    self.gathered.next = 0.into();
    for i in 0..4 {
        self.gathered.next = self.gathered.val().replace_bit(i, self.b.val().get_bit(3 * i + 1));
    }
    self.flag.next = bit_cast_bit(self.a.val() > self.b.val(), 6) << 2;
});

block!(Moving {
    a: Wire<In> = Wire::new(12),
    b: Wire<In> = Wire::new(12),
    at: Wire<In> = Wire::new(3),
    early: Wire<Out> = Wire::new(4),
    late: Wire<Out> = Wire::new(12),
    shifted: Wire<Out> = Wire::new(12),
    t: Wire<Local> = Wire::new(12),
} #[hdl_gen] fn update(&mut self) {
    // intermediates of a signal in the course of its own process
    self.t.next = self.a.val();
    self.early.next = 0.into();
    if self.at.val().get_bit(0) {
        self.early.next = bit_cast_to(self.t.val() + self.b.val(), 4);
        self.t.next = self.t.val() + 1;
    }
    if bit_cast_slice(self.t.val() ^ self.b.val(), 2, 3) == 5 {
        self.t.next = 7.into();
    } else if bit_cast_slice(self.t.val() - self.b.val(), 4, 2) == 2 {
        self.t.next = self.t.val() + 2;
    } else {
        self.t.next = self.t.val().replace_bit(self.at.val(), false);
    }
    self.late.next = self.t.val();
    self.shifted.next = (self.a.val() << self.at.val()) | (self.b.val() >> 3);
});

/// Runs a block of the inputs `a`, `b` and `at` over random values in Icarus, its outputs printed in hexadecimal.
fn combinational(top: &mut dyn Block, outputs: &[(&str, usize)], model: &dyn Fn(u64, u64, u64) -> Vec<u64>) {
    let netlist = write(top, "top").unwrap_or_else(|e| panic!("{e}"));
    let dir = tempfile::tempdir().unwrap();
    let all = files(dir.path(), &netlist);
    let (mut seed, mut lines, mut expected) = (12, String::new(), vec![]);
    for _ in 0..4000 {
        let (a, b, at) = (random(&mut seed) & 0xfff, random(&mut seed) & 0xfff, random(&mut seed) & 7);
        lines += &format!("a = {a}; b = {b}; at = {at}; #1 show;\n");
        expected.push(model(a, b, at).iter().map(|v| format!("{v:x}")).collect::<Vec<_>>().join(" "));
    }
    let wires: String = outputs.iter().map(|(n, w)| format!("wire [{}:0] {n}; ", w - 1)).collect();
    let pins: String = outputs.iter().map(|(n, _)| format!(", .{n}({n})")).collect();
    let names = outputs.iter().map(|x| x.0).collect::<Vec<_>>().join(", ");
    let form = vec!["%0h"; outputs.len()].join(" ");
    let bench = format!(
        "module bench; reg [11:0] a, b; reg [2:0] at; {wires}\ntop uut (.a(a), .b(b), .at(at){pins});\n\
         task show; $display(\"{form}\", {names}); endtask\ninitial begin\n{lines}end\nendmodule\n"
    );
    std::fs::write(dir.path().join("bench.v"), bench).unwrap();
    run(dir.path(), &format!("iverilog -g2005 -s bench -o sim bench.v {all}"));
    let seen = run(dir.path(), "vvp -n sim");
    for (k, (seen, expected)) in seen.lines().zip(&expected).enumerate() {
        assert_eq!(seen, expected, "vector {k}\n{}", netlist.modules[0].text);
    }
    assert_eq!(seen.lines().count(), expected.len());
}

#[test]
fn slices_do_what_their_model_does() {
    let outputs = [
        ("middle", 5),
        ("of_sum", 5),
        ("narrow", 4),
        ("cut_sum", 4),
        ("carry", 13),
        ("wrapped", 13),
        ("mixed", 1),
        ("picked", 1),
        ("window", 4),
        ("gathered", 4),
        ("flag", 6),
    ];
    combinational(&mut Slices::new(), &outputs, &|a, b, at| {
        let any = u64::from(b != 0);
        let mixed = (a >> 11 & 1 & (1 - any)) | (u64::from(b == 0xfff) ^ u64::from(b.count_ones() % 2));
        let gathered = (0..4).map(|i| (b >> (3 * i + 1) & 1) << i).sum();
        vec![
            a >> 3 & 31,
            ((a + b) & 0xfff) >> 3 & 31,
            a & 15,
            (a + b) & 15,
            a + b,
            a.wrapping_sub(b) & 0xfff,
            mixed,
            a >> at & 1,
            a >> at & 15,
            gathered,
            u64::from(a > b) << 2,
        ]
    });
}

#[test]
fn intermediates_hold_the_value_of_their_place() {
    let text = lint(&mut Moving::new());
    assert!(text.contains("        wide_0 = t + b;\n"), "{text}");
    combinational(&mut Moving::new(), &[("early", 4), ("late", 12), ("shifted", 12)], &|a, b, at| {
        let (mut t, mut early) = (a, 0);
        if at & 1 == 1 {
            (early, t) = ((t + b) & 15, (t + 1) & 0xfff);
        }
        if (t ^ b) >> 2 & 7 == 5 {
            t = 7;
        } else if t.wrapping_sub(b) >> 4 & 3 == 2 {
            t = (t + 2) & 0xfff;
        } else {
            t &= !(1 << at);
        }
        vec![early, t, (a << at & 0xfff) | b >> 3]
    });
}

#[test]
fn slices_and_resizes() {
    let text = lint(&mut Slices::new());
    assert!(text.contains("assign middle = a[7:3];"), "{text}");
    assert!(text.contains("assign gathered[3] = b[10];"), "the default is overwritten bit by bit\n{text}");
    assert!(text.contains("a[{1'd0, at} +: 4]"), "{text}");
}

block!(OnlyPart {
    a: Wire<In> = Wire::new(9),
    high: Wire<Out> = Wire::new(2),
    low: Signal<Out, Bit> = Default::default(),
} #[hdl_gen] fn update(&mut self) {
    self.high.next = bit_cast_slice(self.a.val(), 7, 2);
    self.low.next = self.a.val().get_bit(0);
});

#[test]
fn bits_that_slices_leave_out_are_marked_unused() {
    let text = lint(&mut OnlyPart::new());
    assert!(text.contains("wire unused_bits_0 = &{1'b0, a[6:1]};"), "{text}");
}

block!(Precedence {
    a: Wire<In> = Wire::new(8),
    b: Wire<In> = Wire::new(8),
    k: Const = Const::new(8, 4),
    hit: Signal<Out, Bit> = Default::default(),
    beside: Signal<Out, Bit> = Default::default(),
    s: Signal<In, Signed<6>> = Default::default(),
    negative: Signal<Out, Bit> = Default::default(),
    opposite: Signal<Out, Signed<6>> = Default::default(),
} #[hdl_gen] fn update(&mut self) {
    // Rust: (a & b) == 4; in Verilog without parentheses a & (b == 4)
    self.hit.next = self.a.val() & self.b.val() == self.k.val();
    self.beside.next = (self.a.val() >= 200) && (self.a.val() != self.b.val() - 1) || (self.b.val() < 3);
    self.negative.next = self.s.val() < 0.into();
    self.opposite.next = -self.s.val();
});

#[test]
fn operators_keep_rusts_grouping_and_literals_take_their_context() {
    let text = lint(&mut Precedence::new());
    for part in ["localparam [7:0] K = 8'd4;", "hit = (a & b) == K;", "s < 6'sd0", "(a != (b - 8'd1))"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

/// A hand-written leaf with a string parameter.
const ROM: &str =
    "module rom #(\n    parameter WIDTH = 8,\n    parameter PRELOAD = 0,\n    parameter IMAGE = \"\"\n) (\n    input wire clock,\n    \
    input wire [3:0] address,\n    output reg [WIDTH-1:0] data\n);\n    reg [WIDTH-1:0] words [0:15];\n    \
    initial if (PRELOAD != 0) $readmemh(IMAGE, words);\n    always @(posedge clock) data <= words[address];\nendmodule\n";

#[derive(LogicBlock)]
struct Rom {
    clock: Signal<In, Clock>,
    address: Wire<In>,
    data: Wire<Out>,
}
impl Rom {
    fn new(width: usize) -> Rom {
        Rom { clock: Default::default(), address: Wire::new(4), data: Wire::new(width) }
    }
}
impl Logic for Rom {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.data.connect();
    }
    fn hdl(&self) -> Verilog {
        let name = format!("rom #(.WIDTH({}), .PRELOAD(PRELOAD), .IMAGE({{IMAGE, \"rom.hex\"}}))", self.data.bits());
        Verilog::Blackbox(BlackBox { name, code: ROM.into() })
    }
}

#[derive(Copy, Clone, PartialEq, Debug, LogicState)]
enum State {
    /// Waits for start.
    Idle,
    Run,
    /// One cycle.
    Drain,
}

// ---------------------------------------------------------------- the design that runs

#[derive(LogicBlock)]
struct Lane {
    clock: Signal<In, Clock>,
    reset: Signal<In, Bit>,
    enable: Signal<In, Bit>,
    x: Wire<In>,
    word: Wire<Out>,
    low: Wire<Out>,
    seen: Signal<Out, Bit>,
    spare: Wire<Out>,
    total: Reg,
    warm: Flag,
    rom: Rom,
    step: Wire<Local>,
    one: Const,
    _index: usize,
}
impl Lane {
    fn new(index: usize, w: usize) -> Lane {
        Lane {
            clock: Default::default(),
            reset: Default::default(),
            enable: Default::default(),
            x: Wire::new(w),
            word: Wire::new(w + 4),
            low: Wire::new(w),
            seen: Default::default(),
            spare: Wire::new(3),
            total: Reg::new(w + 4),
            warm: Flag::with_initial_parameter("PRELOAD"),
            rom: Rom::new(w),
            step: Wire::new(w + 4),
            one: Const::new(w + 4, 1),
            _index: index,
        }
    }
}
impl Logic for Lane {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, total, warm);
        self.rom.clock.next = self.clock.val();
        self.rom.address.next = bit_cast_to(self.total.q.val() + self.one.val(), &self.rom.address.next);
        self.step.next = bit_cast_to(self.x.val(), &self.step.next);
        if self.x.val().get_bit(0) {
            self.step.next = self.step.val() + bit_cast_to(self.rom.data.val(), &self.step.next);
        }
        // an intermediate of a signal that this very process changes
        self.low.next = bit_cast_to(self.step.val() ^ (self.total.q.val() >> 1), &self.low.next);
        if self.enable.val() {
            self.total.d.next = self.total.q.val() + self.step.val();
            self.warm.d.next = true;
        }
        if self.reset.val() {
            self.total.d.next = 0.into();
            self.warm.d.next = false;
        }
        self.word.next = self.total.q.val();
        self.seen.next = self.warm.q.val();
        self.spare.next = bit_cast_to(self.total.q.val(), 3);
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("lane")
            .doc("Adds up what comes in.\n\nReset is synchronous.")
            .parameter("PRELOAD", "0", "PRELOAD")
            .parameter("IMAGE", "\"\"", format!("{{IMAGE, \"lane{}_\"}}", self._index))
            .into_timing()
    }
}

#[derive(LogicBlock)]
struct Machine {
    clock: Signal<In, Clock>,
    reset: Signal<In, Bit>,
    start: Signal<In, Bit>,
    op: Wire<In>,
    bus: Wire<In>,
    at: Wire<In>,
    busy: Signal<Out, Bit>,
    mask: Wire<Out>,
    mix: Wire<Out>,
    picked: Wire<Out>,
    lows: Wire<Out>,
    count_out: Wire<Out>,
    state: DFF<State>,
    count: Reg,
    last: Const,
    lane: Vec<Lane>,
    _n: usize,
    _w: usize,
}
impl Machine {
    fn new(n: usize, w: usize) -> Machine {
        Machine {
            clock: Default::default(),
            reset: Default::default(),
            start: Default::default(),
            op: Wire::new(2),
            bus: Wire::new(n * w),
            at: Wire::new(3),
            busy: Default::default(),
            mask: Wire::new(n),
            mix: Wire::new(w + 4),
            picked: Wire::new(w),
            lows: Wire::new(n * w),
            count_out: Wire::new(5),
            state: Default::default(),
            count: Reg::with_initial(5, 7),
            last: Const::new(5, 20),
            lane: (0..n).map(|i| Lane::new(i, w)).collect(),
            _n: n,
            _w: w,
        }
    }
}
impl Logic for Machine {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, state, count);
        self.busy.next = self.state.q.val() == State::Run;
        self.mix.next = 0.into();
        self.lows.next = 0.into();
        self.mask.next = 0.into();
        for i in 0..(self._n) {
            self.lane[i].clock.next = self.clock.val();
            self.lane[i].reset.next = self.reset.val();
            self.lane[i].x.next = self.bus.val().get_bits::<Fit>(i * self._w);
            if i < 2 {
                self.lane[i].enable.next = self.busy.val();
            } else {
                self.lane[i].enable.next = self.lane[i - 1].seen.val();
            }
            self.mask.next = self.mask.val().replace_bit(i, self.lane[i].seen.val());
            self.mix.next = self.mix.val() ^ self.lane[i].word.val();
            self.lows.next = self.lows.val() | (self.lane[i].low.val().get_bits::<Fit>(0) << (i * self._w));
        }
        self.picked.next = self.bus.val().get_bits::<Fit>(bit_cast_to(self.at.val(), 4));
        match self.state.q.val() {
            State::Idle => {
                if self.start.val() {
                    self.state.d.next = State::Run;
                    self.count.d.next = 0.into();
                }
            }
            State::Run => {
                comment!("the operation says how fast");
                match self.op.val().index() {
                    0 => {}
                    1 => {}
                    _ => {}
                }
                if self.op.val() == 3 {
                    self.count.d.next = self.count.q.val() + 2;
                } else if bit_cast_to(self.op.val() + self.op.val(), 1) == 1 {
                    self.count.d.next = 31.into();
                } else {
                    self.count.d.next = self.count.q.val() + 1;
                }
                if self.count.q.val() >= self.last.val() {
                    self.state.d.next = State::Drain;
                }
            }
            State::Drain => {
                self.state.d.next = State::Idle;
            }
        }
        if self.reset.val() {
            self.state.d.next = State::Idle;
        }
        self.count_out.next = self.count.q.val();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("machine").parameter("PRELOAD", "0", "0").parameter("IMAGE", "\"\"", "").value("_w", self._w).into_timing()
    }
}

/// The same machine by hand: integers, no widths but masks.
struct Model {
    n: usize,
    w: usize,
    rom: Vec<u64>,
    state: u8,
    count: u64,
    total: Vec<u64>,
    data: Vec<u64>,
    warm: Vec<bool>,
}

#[derive(Clone, Copy)]
struct Inputs {
    reset: bool,
    start: bool,
    op: u64,
    bus: u64,
    at: u64,
}

impl Model {
    /// What the outputs show before the edge, then the edge.
    fn cycle(&mut self, i: Inputs) -> String {
        let (low, wide) = ((1u64 << self.w) - 1, (1u64 << (self.w + 4)) - 1);
        let busy = self.state == 1;
        let x: Vec<u64> = (0..self.n).map(|k| i.bus >> (k * self.w) & low).collect();
        let step: Vec<u64> = (0..self.n).map(|k| (x[k] + if x[k] & 1 == 1 { self.data[k] } else { 0 }) & wide).collect();
        let mask = (0..self.n).map(|k| u64::from(self.warm[k]) << k).sum::<u64>();
        let mix = self.total.iter().fold(0, |a, t| a ^ t);
        let lows = (0..self.n).map(|k| ((step[k] ^ (self.total[k] >> 1)) & low) << (k * self.w)).sum::<u64>();
        let picked = i.bus >> i.at & low;
        let shown = format!("{} {mask:x} {mix:x} {picked:x} {lows:x} {:x}", u8::from(busy), self.count);

        let warm = self.warm.clone();
        for k in 0..self.n {
            self.data[k] = self.rom[((self.total[k] + 1) & 15) as usize] + k as u64;
            let enable = if k < 2 { busy } else { warm[k - 1] };
            if i.reset {
                (self.total[k], self.warm[k]) = (0, false);
            } else if enable {
                (self.total[k], self.warm[k]) = ((self.total[k] + step[k]) & wide, true);
            }
        }
        let count = self.count;
        match self.state {
            0 if i.start => (self.state, self.count) = (1, 0),
            1 => {
                self.count = if i.op == 3 { count + 2 } else { count + 1 } & 31;
                self.state = if count >= 20 { 2 } else { 1 };
            }
            2 => self.state = 0,
            _ => {}
        }
        if i.reset {
            self.state = 0;
        }
        shown
    }
}

/// A generator of test inputs that needs no crate.
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    (*seed >> 33) ^ (*seed << 20 & 0xffff_ffff_0000_0000)
}

const BENCH: &str = "module bench;
    reg clock = 0, reset, start; reg [1:0] op; reg [BUS-1:0] bus; reg [2:0] at;
    wire busy; wire [N-1:0] mask; wire [W+3:0] mix; wire [W-1:0] picked; wire [BUS-1:0] lows; wire [4:0] count_out;
    reg [63:0] vectors [0:CYCLES-1]; integer k;
    top #(.PRELOAD(1), .IMAGE(\"data_\")) uut (.clock(clock), .reset(reset), .start(start), .op(op), .bus(bus), .at(at), .busy(busy),
        .mask(mask), .mix(mix), .picked(picked), .lows(lows), .count_out(count_out));
    initial begin
        $readmemh(\"vectors.hex\", vectors);
        for (k = 0; k < CYCLES; k = k + 1) begin
            {reset, start, op, at, bus} = vectors[k][BUS+6:0];
            #1 $display(\"%0h %0h %0h %0h %0h %0h\", busy, mask, mix, picked, lows, count_out);
            #1 clock = 1; #1 clock = 0;
        end
    end
endmodule
";

#[test]
fn a_machine_of_kernels_does_what_its_model_does() {
    for (n, w) in [(4, 6), (3, 9), (8, 5)] {
        let netlist = write(&mut Machine::new(n, w), "top").unwrap_or_else(|e| panic!("{e}"));
        let dir = tempfile::tempdir().unwrap();
        let all = files(dir.path(), &netlist);
        let mut seed = 0x1acc_u64 + n as u64;
        println!("n {n}, w {w}, seed {seed}");
        let rom: Vec<u64> = (0..16).map(|_| random(&mut seed) & 15).collect();
        for k in 0..n {
            // each lane's own image has its own contents, so a wrong name shows
            let text: String = rom.iter().map(|v| format!("{:x}\n", v + k as u64)).collect();
            std::fs::write(dir.path().join(format!("data_lane{k}_rom.hex")), text).unwrap();
        }
        let cycles = 5000;
        let bus_mask = (1u64 << (n * w)) - 1;
        let (mut vectors, mut expected) = (String::new(), vec![]);
        let mut model = Model { n, w, rom, state: 0, count: 7, total: vec![0; n], data: vec![0; n], warm: vec![true; n] };
        for k in 0..cycles {
            let r = random(&mut seed);
            let i = Inputs {
                reset: k < 2 || r.is_multiple_of(97),
                start: r >> 8 & 3 == 0,
                op: r >> 10 & 3,
                at: r >> 12 & 7,
                bus: random(&mut seed) & bus_mask,
            };
            let packed = ((u64::from(i.reset) << 1 | u64::from(i.start)) << 2 | i.op) << 3 | i.at;
            vectors += &format!("{:x}\n", packed << (n * w) | i.bus);
            expected.push(model.cycle(i));
        }
        std::fs::write(dir.path().join("vectors.hex"), vectors).unwrap();
        let head = format!("module bench;\n    localparam N = {n}, W = {w}, BUS = {}, CYCLES = {cycles};\n", n * w);
        std::fs::write(dir.path().join("bench.v"), BENCH.replace("module bench;\n", &head)).unwrap();
        run(dir.path(), &format!("iverilog -g2005 -s bench -o sim bench.v {all}"));
        let seen = run(dir.path(), "vvp -n sim");
        let seen: Vec<&str> = seen.lines().collect();
        assert_eq!(seen.len(), cycles);
        // before the reset arrives the data registers are unknown, as they are in hardware
        for k in 2..cycles {
            assert_eq!(seen[k], expected[k], "cycle {k}");
        }
        assert!(seen[0].contains(&format!(" {:x} ", (1u64 << n) - 1)), "PRELOAD reaches the flags: {}", seen[0]);
        assert!(expected.iter().filter(|l| l.starts_with('1')).count() > 1000, "the machine was hardly ever busy");
    }
}

#[test]
fn the_machine_is_clean_and_its_lanes_are_one_module() {
    let text = lint(&mut Machine::new(4, 6));
    assert_eq!(text.matches("\nmodule lane ").count() + text.matches("\nmodule lane_").count(), 1, "{text}");
    for part in [
        "// Adds up what comes in.\n//\n// Reset is synchronous.\nmodule lane #(",
        ".IMAGE({IMAGE, \"lane3_\"})",
        "// the operation says how fast",
        "initial warm = (PRELOAD != 0);",
        "initial count = 5'd7;",
        "case (state)",
        "STATE_DRAIN: begin",
        "unused_lane_0__spare",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("initial state"), "state is reset synchronously\n{text}");
}

#[test]
fn sizes_of_arrays_change_no_module_but_the_array() {
    let small = write(&mut Machine::new(4, 6), "top").unwrap();
    let large = write(&mut Machine::new(64, 6), "top").unwrap();
    assert_eq!(small.modules[1..], large.modules[1..]);
    assert_ne!(small.modules[0], large.modules[0]);
    assert_eq!(small, write(&mut Machine::new(4, 6), "top").unwrap(), "equal input, equal bytes");
    assert_eq!(small.modules.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(), ["top", "lane", "rom"]);
}

// ---------------------------------------------------------------- structure by hand, bundles, text

#[derive(LogicBlock)]
struct Node {
    a: Vec<Signal<In, Bit>>,
    y: Signal<Out, Bit>,
    count: Wire<Out>,
}
impl Node {
    fn new(n: usize) -> Node {
        Node { a: (0..n).map(|_| Default::default()).collect(), y: Default::default(), count: Wire::new(4) }
    }
}
impl Logic for Node {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.y.connect();
        self.count.connect();
    }
    fn hdl(&self) -> Verilog {
        let mut c = Connections::new();
        c.or("y", (0..self.a.len()).map(|i| format!("a${i}")));
        c.tie("count", self.a.len() as u64);
        c.into_verilog()
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("node").into_timing()
    }
}

#[derive(LogicBlock)]
struct Tree {
    leaf: Vec<Signal<In, Bit>>,
    any: Signal<Out, Bit>,
    counts: Wire<Out>,
    node: Vec<Node>,
}
impl Logic for Tree {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.any.connect();
        self.counts.connect();
        self.node.iter_mut().flat_map(|n| &mut n.a).for_each(|a| a.connect());
    }
    fn hdl(&self) -> Verilog {
        let mut c = Connections::new();
        let mut next = 0;
        for (k, n) in self.node.iter().enumerate() {
            for p in 0..n.a.len() {
                // the last node gathers the others
                if k + 1 == self.node.len() {
                    c.assign(format!("node${k}$a${p}"), format!("node${p}$y"));
                } else if next < self.leaf.len() {
                    c.assign(format!("node${k}$a${p}"), format!("leaf${next}"));
                    next += 1;
                } else {
                    c.tie(format!("node${k}$a${p}"), 0);
                }
            }
            c.assign_part("counts", 4 * k, 4, format!("node${k}$count"));
        }
        c.assign("any", format!("node${}$y", self.node.len() - 1));
        c.into_verilog()
    }
}
fn tree() -> Tree {
    Tree {
        leaf: (0..7).map(|_| Default::default()).collect(),
        any: Default::default(),
        counts: Wire::new(12),
        node: vec![Node::new(4), Node::new(4), Node::new(2)],
    }
}

#[test]
fn a_tree_is_connected_by_hand() {
    let text = lint(&mut tree());
    for part in ["module node (", "module node_2 (", ".a_3(1'd0)", "assign counts[11:8] = node_2__count;", "assign y = "] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[derive(LogicInterface)]
#[join = "Sink"]
struct Source {
    data: Wire<Out>,
    valid: Signal<Out, Bit>,
    ready: Signal<In, Bit>,
}
#[derive(LogicInterface)]
#[join = "Source"]
struct Sink {
    data: Wire<In>,
    valid: Signal<In, Bit>,
    ready: Signal<Out, Bit>,
}
fn source(w: usize) -> Source {
    Source { data: Wire::new(w), valid: Default::default(), ready: Default::default() }
}
fn sink(w: usize) -> Sink {
    Sink { data: Wire::new(w), valid: Default::default(), ready: Default::default() }
}
block!(Stage {
    clock: Signal<In, Clock> = Default::default(),
    up: Sink = sink(70),
    down: Source = source(70),
    data: Reg = Reg::new(70),
    valid: Flag = Flag::with_initial(false),
} #[hdl_gen] fn update(&mut self) {
    dff_setup!(self, clock, data, valid);
    if self.down.ready.val() {
        self.data.d.next = self.up.data.val();
        self.valid.d.next = self.up.valid.val();
    }
    self.up.ready.next = self.down.ready.val();
    self.down.data.next = self.data.q.val();
    self.down.valid.next = self.valid.q.val();
});
block!(Pipe {
    clock: Signal<In, Clock> = Default::default(),
    up: Sink = sink(70),
    down: Source = source(70),
    first: Stage = Stage::new(),
    second: Stage = Stage::new(),
} #[hdl_gen] fn update(&mut self) {
    clock!(self, clock, first, second);
    Sink::link(&mut self.up, &mut self.first.up);
    Source::join(&mut self.first.down, &mut self.second.up);
    Source::link(&mut self.down, &mut self.second.down);
});

#[test]
fn bundles_wider_than_a_word_of_the_host() {
    let text = lint(&mut Pipe::new());
    assert_eq!(text.matches("endmodule").count(), 2, "two equal stages are one module\n{text}");
    assert!(text.contains("input wire [69:0] up_data"), "{text}");
}

#[derive(LogicBlock)]
struct Text {
    a: Wire<In>,
    y: Signal<Out, Bit>,
}
impl Logic for Text {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.y.connect();
    }
    fn hdl(&self) -> Verilog {
        Verilog::Custom("assign y = ^a;".into())
    }
}

#[test]
fn a_block_may_be_text() {
    lint(&mut Text { a: Wire::new(5), y: Default::default() });
}

// ---------------------------------------------------------------- faults

block!(Gated {
    clock: Signal<In, Clock> = Default::default(),
    on: Signal<In, Bit> = Default::default(),
    r: Reg = Reg::new(8),
    o: Wire<Out> = Wire::new(8),
} #[hdl_gen] fn update(&mut self) {
    if self.on.val() {
        self.r.clock.next = self.clock.val();
    }
    self.r.d.next = self.r.q.val() + 3;
    self.o.next = self.r.q.val();
});
block!(Clash {
    clock: Signal<In, Clock> = Default::default(),
    r_next: Wire<In> = Wire::new(8),
    r: Reg = Reg::new(8),
} #[hdl_gen] fn update(&mut self) {
    self.r.clock.next = self.clock.val();
    self.r.d.next = self.r_next.val();
});
block!(TooWide { o: Wire<Out> = Wire::new(8) } #[hdl_gen] fn update(&mut self) { self.o.next = 300.into(); });
block!(Unequal {
    a: Wire<In> = Wire::new(8),
    b: Wire<In> = Wire::new(9),
    o: Wire<Out> = Wire::new(9),
} #[hdl_gen] fn update(&mut self) { self.o.next = self.a.val() + self.b.val(); });
block!(Narrowing {
    a: Wire<In> = Wire::new(8),
    o: Wire<Out> = Wire::new(7),
} #[hdl_gen] fn update(&mut self) { self.o.next = self.a.val(); });
block!(Early {
    a: Signal<In, Bit> = Default::default(),
    o: Wire<Out> = Wire::new(2),
} #[hdl_gen] fn update(&mut self) { self.o.next = self.o.val().replace_bit(0, self.a.val()); });
#[derive(LogicBlock)]
struct Partly {
    a: Signal<In, Bit>,
    o: Wire<Out>,
}
impl Logic for Partly {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.o.connect();
    }
    fn hdl(&self) -> Verilog {
        let mut c = Connections::new();
        c.assign_part("o", 0, 1, "a");
        c.into_verilog()
    }
}
block!(Beyond {
    a: Wire<In> = Wire::new(8),
    o: Wire<Out> = Wire::new(4),
} #[hdl_gen] fn update(&mut self) { self.o.next = bit_cast_slice(self.a.val(), 6, 4); });
block!(Product {
    a: Signal<In, Signed<16>> = Default::default(),
    o: Signal<Out, Signed<32>> = Default::default(),
} #[hdl_gen] fn update(&mut self) { self.o.next = self.a.val() * self.a.val(); });
block!(Holder {
    clock: Signal<In, Clock> = Default::default(),
    flag: Flag = Flag::with_initial_parameter("MISSING"),
    o: Signal<Out, Bit> = Default::default(),
} #[hdl_gen] fn update(&mut self) {
    dff_setup!(self, clock, flag);
    self.o.next = self.flag.q.val();
});
block!(Orphan {
    clock: Signal<In, Clock> = Default::default(),
    rom: Rom = Rom::new(8),
    address: Wire<In> = Wire::new(4),
    o: Wire<Out> = Wire::new(8),
} #[hdl_gen] fn update(&mut self) {
    self.rom.clock.next = self.clock.val();
    self.rom.address.next = self.address.val();
    self.o.next = self.rom.data.val();
});
block!(Open {
    clock: Signal<In, Clock> = Default::default(),
    r: Reg = Reg::new(8),
    o: Wire<Out> = Wire::new(8),
} #[hdl_gen] fn update(&mut self) {
    self.r.clock.next = self.clock.val();
    self.o.next = self.r.q.val();
});

#[test]
fn faults_are_errors_that_name_signal_and_rule() {
    let cases: [(&mut dyn Block, &str); 12] = [
        (&mut Gated::new(), "top: the clock `r$clock` must be assigned once"),
        (&mut Clash::new(), "top: `r_next` and `r$d` would both be called `r_next`"),
        (&mut TooWide::new(), "top: the literal 300 does not fit 8 bits"),
        (&mut Unequal::new(), "top: `b` has 9 bits where 8 are wanted"),
        (&mut Narrowing::new(), "top: `a` has 8 bits where 7 are wanted"),
        (&mut Early::new(), "read before assigned: top.o"),
        (&mut Partly { a: Default::default(), o: Wire::new(2) }, "only bits of `o` are assigned; bit 1 is not"),
        (&mut Beyond::new(), "`a` has 8 bits; bits 6..9 were asked for"),
        (&mut Product::new(), "top: a product belongs in a hand-written leaf"),
        (&mut Holder::new(), "`flag` needs the parameter `MISSING`"),
        (&mut Orphan::new(), "top.rom: `rom` needs the parameter `IMAGE`"),
        (&mut Open::new(), "not connected: top$r.d"),
    ];
    for (block, expected) in cases {
        let message = write(block, "top").unwrap_err().to_string();
        assert!(message.contains(expected), "{message}\nexpected: {expected}");
    }
}

#[test]
fn an_input_that_only_claims_to_be_connected_is_found() {
    struct Lazy(Tree);
    impl Logic for Lazy {
        fn update(&mut self) {}
        fn hdl(&self) -> Verilog {
            let mut c = Connections::new();
            c.assign("any", "leaf$0");
            c.tie("counts", 0);
            c.into_verilog()
        }
    }
    impl Block for Lazy {
        fn connect_all(&mut self) {
            self.0.connect_all();
        }
        fn update_all(&mut self) {}
        fn has_changed(&self) -> bool {
            false
        }
        fn accept(&self, name: &str, probe: &mut dyn Probe) {
            probe.visit_start_scope(name, self);
            self.0.leaf.accept("leaf", probe);
            self.0.any.accept("any", probe);
            self.0.counts.accept("counts", probe);
            self.0.node.accept("node", probe);
            probe.visit_end_scope(name, self);
        }
    }
    assert_eq!(fault(&mut Lazy(tree())), Fault::NeverAssigned("node$0$a$0".into()));
}

#[derive(LogicBlock)]
struct Two {
    a: Wire<In>,
    y: Wire<Out>,
    z: Wire<Out>,
    first: Leaf,
    second: Leaf,
}
#[derive(LogicBlock)]
struct Leaf {
    a: Wire<In>,
    y: Wire<Out>,
    _code: &'static str,
}
impl Logic for Leaf {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.y.connect();
    }
    fn hdl(&self) -> Verilog {
        Verilog::Blackbox(BlackBox { name: "inverter".into(), code: self._code.into() })
    }
}
impl Logic for Two {
    #[hdl_gen]
    fn update(&mut self) {
        self.first.a.next = self.a.val();
        self.second.a.next = self.a.val();
        self.y.next = self.first.y.val();
        self.z.next = self.second.y.val();
    }
}
fn two(first: &'static str, second: &'static str) -> Two {
    let leaf = |code| Leaf { a: Wire::new(4), y: Wire::new(4), _code: code };
    Two { a: Wire::new(4), y: Wire::new(4), z: Wire::new(4), first: leaf(first), second: leaf(second) }
}

#[test]
fn hand_written_modules_come_once_and_must_agree() {
    const GOOD: &str = "module inverter (\n    input wire [3:0] a,\n    output wire [3:0] y\n);\n    assign y = ~a;\nendmodule\n";
    assert_eq!(lint(&mut two(GOOD, GOOD)).matches("module inverter").count(), 1);
    assert_eq!(fault(&mut two(GOOD, "module inverter (input a, output y); endmodule")), Fault::LeafText("inverter".into()));
    assert_eq!(fault(&mut two("module other (a, y);", GOOD)), Fault::LeafName("inverter".into()));
    let port = Fault::LeafPort { module: "inverter".into(), port: "y".into() };
    assert_eq!(fault(&mut two("module inverter (a, b);", GOOD)), port);
}

#[test]
fn writing_is_linear() {
    let time = |n: usize| {
        let mut top = Machine::new(n, 6);
        let start = std::time::Instant::now();
        write(&mut top, "top").unwrap();
        start.elapsed().as_secs_f64()
    };
    let (small, large) = (time(128), time(1024));
    println!("128 lanes {small:.3} s, 1024 lanes {large:.3} s");
    assert!(large < 24.0 * small + 0.1, "8 times the lanes: {small:.3} s, then {large:.3} s");
}
