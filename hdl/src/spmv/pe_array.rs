//! N PEs, the LNZD tree over their lanes and the gather tree over their answers.
//!
//! The only module whose text depends on the number of PEs. Trees have nodes of four: level 0 has
//! ceil(N/4) of them, and so on up to the one root, at least one level.

use super::gather::{levels, GatherNode};
use super::lnzd::LnzdNode;
use super::pe::Pe;
use super::{Widths, PE_BITS, PE_COUNT_BITS};
use crate::signal::*;
use lacuna_compress::spec::arch::{Arch, ACT_BITS};
use rust_hdl::core::ast::Verilog;

#[derive(LogicBlock)]
pub struct PeArray {
    pub clock: Signal<In, Clock>,
    pub clear: Signal<In, Bit>,
    pub begin_layer: Signal<In, Bit>,
    pub source_b: Signal<In, Bit>,
    pub layer: Wire<In>,
    pub minus_rows: Wire<In>,
    pub bias_base: Wire<In>,
    pub shift: Wire<In>,
    pub relu: Signal<In, Bit>,
    pub discard: Signal<In, Bit>,
    pub done: Signal<Out, Bit>,
    pub scan_read: Signal<In, Bit>,
    pub scan_row: Wire<In>,
    pub load: Signal<In, Bit>,
    pub load_lanes: Wire<In>,
    pub take: Signal<In, Bit>,
    pub pending: Signal<Out, Bit>,
    pub more: Signal<Out, Bit>,
    pub lane: Wire<Out>,
    pub value: Wire<Out>,
    pub broadcast: Signal<In, Bit>,
    pub token: Signal<In, Bit>,
    pub ptr_read_both: Signal<In, Bit>,
    pub ptr_even: Wire<In>,
    pub ptr_odd: Wire<In>,
    pub starts_odd: Signal<In, Bit>,
    pub act: Wire<In>,
    pub accept: Signal<Out, Bit>,
    pub host_pe: Wire<In>,
    pub host_memory: Wire<In>,
    pub host_choice: Wire<In>,
    pub host_read: Signal<In, Bit>,
    pub host_write: Signal<In, Bit>,
    pub host_address: Wire<In>,
    pub host_data: Wire<In>,
    pub host_nonzero: Signal<In, Bit>,
    pub host_lane: Wire<In>,
    pub host_word: Wire<Out>,
    pe: Vec<Pe>,
    lnzd: Vec<LnzdNode>,
    gather: Vec<GatherNode>,
    _levels: Vec<usize>,
}

impl PeArray {
    pub fn new(arch: &Arch) -> PeArray {
        let w = Widths::of(arch);
        let levels = levels(arch.pes);
        let nodes = levels.iter().sum();
        PeArray {
            clock: Default::default(),
            clear: Default::default(),
            begin_layer: Default::default(),
            source_b: Default::default(),
            layer: Wire::new(w.layer),
            minus_rows: Wire::new(w.turns),
            bias_base: Wire::new(w.bias),
            shift: Wire::new(6),
            relu: Default::default(),
            discard: Default::default(),
            done: Default::default(),
            scan_read: Default::default(),
            scan_row: Wire::new(w.act),
            load: Default::default(),
            load_lanes: Wire::new(PE_COUNT_BITS),
            take: Default::default(),
            pending: Default::default(),
            more: Default::default(),
            lane: Wire::new(PE_BITS),
            value: Wire::new(ACT_BITS),
            broadcast: Default::default(),
            token: Default::default(),
            ptr_read_both: Default::default(),
            ptr_even: Wire::new(w.bank),
            ptr_odd: Wire::new(w.bank),
            starts_odd: Default::default(),
            act: Wire::new(w.value),
            accept: Default::default(),
            host_pe: Wire::new(PE_BITS),
            host_memory: Wire::new(3),
            host_choice: Wire::new(2),
            host_read: Default::default(),
            host_write: Default::default(),
            host_address: Wire::new(w.host_address),
            host_data: Wire::new(w.host_data),
            host_nonzero: Default::default(),
            host_lane: Wire::new(w.host_lane),
            host_word: Wire::new(32),
            pe: (0..arch.pes).map(|number| Pe::new(arch, number)).collect(),
            lnzd: (0..nodes).map(|_| LnzdNode::default()).collect(),
            gather: (0..nodes).map(|_| GatherNode::new(32)).collect(),
            _levels: levels,
        }
    }
}

/// What every PE hears of the layer, the scan, the broadcast and the host.
const HEARD: [&str; 30] = [
    "clock",
    "clear",
    "begin_layer",
    "source_b",
    "layer",
    "minus_rows",
    "bias_base",
    "shift",
    "relu",
    "discard",
    "scan_read",
    "scan_row",
    "load",
    "load_lanes",
    "take",
    "broadcast",
    "token",
    "ptr_read_both",
    "ptr_even",
    "ptr_odd",
    "starts_odd",
    "act",
    "host_pe",
    "host_memory",
    "host_choice",
    "host_lane",
    "host_read",
    "host_write",
    "host_nonzero",
    "host_address",
];

impl Logic for PeArray {
    fn update(&mut self) {}
    fn connect(&mut self) {
        for pe in &mut self.pe {
            pe.connect_inputs();
        }
        for node in &mut self.lnzd {
            node.in_pending.iter_mut().chain(&mut node.in_more).for_each(|s| s.connect());
            node.in_lane.iter_mut().chain(&mut node.in_value).for_each(|s| s.connect());
        }
        for node in &mut self.gather {
            node.in_accept.iter_mut().chain(&mut node.in_done).for_each(|s| s.connect());
            node.in_word.iter_mut().for_each(|s| s.connect());
        }
        self.done.connect();
        self.pending.connect();
        self.more.connect();
        self.lane.connect();
        self.value.connect();
        self.accept.connect();
        self.host_word.connect();
    }
    fn hdl(&self) -> Verilog {
        let mut c = Connections::new();
        for i in 0..self.pe.len() {
            c.tie(format!("pe${i}$pe"), i as u64);
            HEARD.iter().for_each(|name| c.assign(format!("pe${i}${name}"), *name));
            c.assign(format!("pe${i}$host_data"), "host_data");
            // the root of the LNZD tree tells each lane which one was taken
            c.assign(format!("pe${i}$take_lane"), format!("lnzd${}$lane", self.lnzd.len() - 1));
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
        let root = self.lnzd.len() - 1;
        for name in ["pending", "more", "lane", "value"] {
            c.assign(name, format!("lnzd${root}${name}"));
        }
        c.assign("accept", format!("gather${root}$accept"));
        c.assign("done", format!("gather${root}$done"));
        c.assign("host_word", format!("gather${root}$word"));
        c.into_verilog()
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("pe_array")
            .doc(
                "The PEs, the LNZD tree over their lanes (lowest pending lane first) and the gather tree over their\n\
                 answers. accept: every PE accepts a broadcast. done: every PE has written its rows back.",
            )
            .parameter("PRELOAD", "0", "PRELOAD")
            .parameter("IMAGE", "\"\"", "IMAGE")
            .into_timing()
    }
}

impl PeArray {
    /// Input `input` of both nodes number `node`: child number `child` of the level below (PEs where `below` is
    /// none, else the nodes from `below` on), or what a missing child says.
    fn wire_node(&self, c: &mut Connections, node: usize, input: usize, child: usize, children: usize, below: Option<usize>) {
        let lnzd = |port: &str| format!("lnzd${node}$in_{port}${input}");
        let gather = |port: &str| format!("gather${node}$in_{port}${input}");
        if child >= children {
            ["pending", "more", "lane", "value"].iter().for_each(|port| c.tie(lnzd(port), 0));
            c.tie(gather("accept"), 1);
            c.tie(gather("done"), 1);
            c.tie(gather("word"), 0);
            return;
        }
        match below {
            None => {
                c.assign(lnzd("pending"), format!("pe${child}$pending"));
                c.tie(lnzd("more"), 0);
                c.tie(lnzd("lane"), child as u64);
                c.assign(lnzd("value"), format!("pe${child}$value"));
                c.assign(gather("accept"), format!("pe${child}$accept"));
                c.assign(gather("done"), format!("pe${child}$done"));
                c.assign(gather("word"), format!("pe${child}$host_word"));
            }
            Some(first) => {
                for port in ["pending", "more", "lane", "value"] {
                    c.assign(lnzd(port), format!("lnzd${}${port}", first + child));
                }
                for port in ["accept", "done", "word"] {
                    c.assign(gather(port), format!("gather${}${port}", first + child));
                }
            }
        }
    }
}
