//! N PEs and the gather tree over their answers.
//!
//! Trees have nodes of four, as in [`crate::spmv::PeArray`], and no registers: what a PE says is heard in the same
//! cycle. Latencies are those of a PE, see `pe.rs`: a broadcast in cycle 0 makes its first sum in cycle 7, a token in
//! cycle 0 makes token_seen in cycle 7, if nothing is before them.

use super::gather::EseGather;
use super::pe::EsePe;
use crate::signal::*;
use crate::spmv::{levels, Widths, PE_BITS};
use lacuna_compress::spec::arch::{Arch, ACT_BITS};
use rust_hdl::core::ast::Verilog;

#[derive(LogicBlock)]
pub struct EseArray {
    pub clock: Signal<In, Clock>,
    pub clear: Signal<In, Bit>,
    pub broadcast: Signal<In, Bit>,
    pub token: Signal<In, Bit>,
    pub ptr_read_both: Signal<In, Bit>,
    pub ptr_even: Wire<In>,
    pub ptr_odd: Wire<In>,
    pub starts_odd: Signal<In, Bit>,
    pub acts: Wire<In>,
    pub rows_bank: Signal<In, Bit>,
    pub parity: Signal<In, Bit>,
    pub layer: Wire<In>,
    pub accept: Signal<Out, Bit>,
    pub token_take: Signal<In, Bit>,
    pub token_seen: Signal<Out, Bit>,
    pub idle: Signal<Out, Bit>,
    pub drain_read: Signal<In, Bit>,
    pub drain_rows: Signal<In, Bit>,
    pub drain_parity: Signal<In, Bit>,
    pub drain_address: Wire<In>,
    pub drain_pe: Wire<In>,
    pub flush: Signal<In, Bit>,
    pub sums: Wire<Out>,
    pub host_pe: Wire<In>,
    pub host_memory: Wire<In>,
    pub host_read: Signal<In, Bit>,
    pub host_write: Signal<In, Bit>,
    pub host_address: Wire<In>,
    pub host_data: Wire<In>,
    pub host_lane: Wire<In>,
    pub host_word: Wire<Out>,
    pe: Vec<EsePe>,
    gather: Vec<EseGather>,
    _levels: Vec<usize>,
    _sums: usize,
    _sum: usize,
}

impl EseArray {
    pub fn new(arch: &Arch) -> EseArray {
        let w = Widths::of(arch);
        let levels = levels(arch.pes);
        let nodes = levels.iter().sum();
        let sums = 4 * arch.channels();
        EseArray {
            clock: Default::default(),
            clear: Default::default(),
            broadcast: Default::default(),
            token: Default::default(),
            ptr_read_both: Default::default(),
            ptr_even: Wire::new(w.bank),
            ptr_odd: Wire::new(w.bank),
            starts_odd: Default::default(),
            acts: Wire::new(ACT_BITS * arch.channels()),
            rows_bank: Default::default(),
            parity: Default::default(),
            layer: Wire::new(w.layer),
            accept: Default::default(),
            token_take: Default::default(),
            token_seen: Default::default(),
            idle: Default::default(),
            drain_read: Default::default(),
            drain_rows: Default::default(),
            drain_parity: Default::default(),
            drain_address: Wire::new(w.acc),
            drain_pe: Wire::new(PE_BITS),
            flush: Default::default(),
            sums: Wire::new(sums * arch.acc_bits),
            host_pe: Wire::new(PE_BITS),
            host_memory: Wire::new(3),
            host_read: Default::default(),
            host_write: Default::default(),
            host_address: Wire::new(w.host_address),
            host_data: Wire::new(w.host_data),
            host_lane: Wire::new(w.host_lane),
            host_word: Wire::new(32),
            pe: (0..arch.pes).map(|number| EsePe::new(arch, number)).collect(),
            gather: (0..nodes).map(|_| EseGather::new(sums, arch.acc_bits, 32)).collect(),
            _levels: levels,
            _sums: sums,
            _sum: arch.acc_bits,
        }
    }

    /// Input `input` of node number `node`: child number `child` of the level below (PEs where `below` is none, else
    /// the nodes from `below` on), or what a missing child says.
    fn wire_node(&self, c: &mut Connections, node: usize, input: usize, child: usize, children: usize, below: Option<usize>) {
        let gather = |port: &str| format!("gather${node}$in_{port}${input}");
        let sum = |s: usize| format!("gather${node}$in_sums${}", 4 * s + input);
        if child >= children {
            ["accept", "token_seen", "idle"].iter().for_each(|port| c.tie(gather(port), 1));
            (0..self._sums).for_each(|s| c.tie(sum(s), 0));
            c.tie(gather("word"), 0);
            return;
        }
        let (from, word) = match below {
            None => (format!("pe${child}"), "host_word"),
            Some(first) => (format!("gather${}", first + child), "word"),
        };
        ["accept", "token_seen", "idle"].iter().for_each(|port| c.assign(gather(port), format!("{from}${port}")));
        (0..self._sums).for_each(|s| c.assign(sum(s), format!("{from}$sums${s}")));
        c.assign(gather("word"), format!("{from}${word}"));
    }
}

/// What every PE hears.
const HEARD: [&str; 26] = [
    "clock",
    "clear",
    "broadcast",
    "token",
    "ptr_read_both",
    "ptr_even",
    "ptr_odd",
    "starts_odd",
    "acts",
    "rows_bank",
    "parity",
    "layer",
    "token_take",
    "drain_read",
    "drain_rows",
    "drain_parity",
    "drain_address",
    "drain_pe",
    "flush",
    "host_pe",
    "host_memory",
    "host_lane",
    "host_read",
    "host_write",
    "host_address",
    "host_data",
];

impl Logic for EseArray {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.pe.iter_mut().for_each(|pe| pe.connect_inputs());
        self.gather.iter_mut().for_each(|node| node.connect_inputs());
        self.accept.connect();
        self.token_seen.connect();
        self.idle.connect();
        self.sums.connect();
        self.host_word.connect();
    }
    fn hdl(&self) -> Verilog {
        let mut c = Connections::new();
        for i in 0..self.pe.len() {
            c.tie(format!("pe${i}$pe"), i as u64);
            HEARD.iter().for_each(|name| c.assign(format!("pe${i}${name}"), *name));
        }
        let mut below: Option<usize> = None;
        let mut first = 0;
        for (level, nodes) in self._levels.iter().enumerate() {
            let children = if level == 0 { self.pe.len() } else { self._levels[level - 1] };
            for node in 0..*nodes {
                for input in 0..4 {
                    self.wire_node(&mut c, first + node, input, 4 * node + input, children, below);
                }
            }
            below = Some(first);
            first += nodes;
        }
        let root = self.gather.len() - 1;
        for name in ["accept", "token_seen", "idle"] {
            c.assign(name, format!("gather${root}${name}"));
        }
        for s in 0..self._sums {
            c.assign_part("sums", s * self._sum, self._sum, format!("gather${root}$sums${s}"));
        }
        c.assign("host_word", format!("gather${root}$word"));
        c.into_verilog()
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("ese_array")
            .doc(
                "The PEs of the ESE kind and the gather tree over their answers, which takes no cycle.\n\
                 \n\
                 accept: every PE accepts a broadcast. token_seen: the token has passed every PE and every sum before it is\n\
                 in its memory. idle: nothing is under way in any PE; a broadcast shows from the next cycle on. sums:\n\
                 gate g of channel c at bits (4c + g) x accumulator bits, of PE drain_pe; host_word: of PE host_pe, zero\n\
                 for memories that are not a PE's. What each input does is said in ese_pe.",
            )
            .parameter("PRELOAD", "0", "PRELOAD")
            .parameter("IMAGE", "\"\"", "IMAGE")
            .into_timing()
    }
}
