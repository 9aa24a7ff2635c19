//! ActRW: the activation buffers of a PE and its lane of the row being scanned (EIE section IV).

use super::{Widths, PE_BITS, PE_COUNT_BITS};
use crate::prim::{Memory, Style};
use crate::signal::*;
use lacuna_compress::spec::arch::{Arch, ACT_BITS};

#[derive(LogicBlock)]
pub struct ActRw {
    pub clock: Signal<In, Clock>,
    pub clear: Signal<In, Bit>,
    pub pe: Wire<In>,
    pub source_b: Signal<In, Bit>,
    pub scan_read: Signal<In, Bit>,
    pub scan_row: Wire<In>,
    pub load: Signal<In, Bit>,
    pub load_lanes: Wire<In>,
    pub take: Signal<In, Bit>,
    pub take_lane: Wire<In>,
    pub pending: Signal<Out, Bit>,
    pub value: Wire<Out>,
    pub write: Signal<In, Bit>,
    pub write_row: Wire<In>,
    pub write_act: Wire<In>,
    // pooling: a word of the other buffer
    pub old_read: Vec<Signal<In, Bit>>,
    pub old_row: Vec<Wire<In>>,
    pub old: Vec<Wire<Out>>,
    pub host_write: Signal<In, Bit>,
    pub host_address: Wire<In>,
    pub host_data: Wire<In>,
    pub host_nonzero: Signal<In, Bit>,
    pub host_word: Wire<Out>,
    // both buffers as halves of one memory; with pooling, which reads both at once, a memory each
    both: Vec<Memory>,
    act_a: Vec<Memory>,
    act_b: Vec<Memory>,
    waiting: Flag,
    current: Reg,
    // a stored word: the activation, and above it whether it is not zero, so that nothing has to find that out behind the memory
    incoming: Wire<Local>,
    nonzero: Signal<Local, Bit>,
    target: Wire<Local>,
    stored: Wire<Local>,
    fetched: Wire<Local>,
    _nonzero: usize,
    _conv: usize,
    _plain: usize,
    _act: usize,
    _both: usize,
}

impl ActRw {
    pub fn new(arch: &Arch) -> ActRw {
        let w = Widths::of(arch);
        let conv = usize::from(arch.conv);
        let memory = |depth| Memory::new(Style::Block, ACT_BITS + 1, depth, None);
        ActRw {
            clock: Default::default(),
            clear: Default::default(),
            pe: Wire::new(PE_BITS),
            source_b: Default::default(),
            scan_read: Default::default(),
            scan_row: Wire::new(w.act),
            load: Default::default(),
            load_lanes: Wire::new(PE_COUNT_BITS),
            take: Default::default(),
            take_lane: Wire::new(PE_BITS),
            pending: Default::default(),
            value: Wire::new(ACT_BITS),
            write: Default::default(),
            write_row: Wire::new(w.act),
            write_act: Wire::new(ACT_BITS),
            old_read: (0..conv).map(|_| Default::default()).collect(),
            old_row: (0..conv).map(|_| Wire::new(w.act)).collect(),
            old: (0..conv).map(|_| Wire::new(ACT_BITS)).collect(),
            host_write: Default::default(),
            host_address: Wire::new(w.act),
            host_data: Wire::new(ACT_BITS),
            host_nonzero: Default::default(),
            host_word: Wire::new(ACT_BITS),
            both: (conv..1).map(|_| memory(2 << w.act)).collect(),
            act_a: (0..conv).map(|_| memory(arch.act_depth)).collect(),
            act_b: (0..conv).map(|_| memory(arch.act_depth)).collect(),
            waiting: Flag::new(),
            current: Reg::new(ACT_BITS),
            incoming: Wire::new(ACT_BITS),
            nonzero: Default::default(),
            target: Wire::new(w.act),
            stored: Wire::new(ACT_BITS + 1),
            fetched: Wire::new(ACT_BITS + 1),
            _nonzero: ACT_BITS,
            _conv: conv,
            _plain: 1 - conv,
            _act: w.act,
            _both: w.act + 1,
        }
    }
}

impl Logic for ActRw {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, waiting, current);
        self.incoming.next = self.host_data.val();
        self.target.next = self.host_address.val();
        self.nonzero.next = self.host_nonzero.val();
        if self.write.val() {
            self.incoming.next = self.write_act.val();
            self.target.next = self.write_row.val();
            self.nonzero.next = self.write_act.val().any();
        }
        self.stored.next =
            bit_cast_to(self.incoming.val(), &self.stored.next) | (bit_cast_bit(self.nonzero.val(), &self.stored.next) << self._nonzero);
        for p in 0..(self._plain) {
            self.both[p].clock.next = self.clock.val();
            self.both[p].read_enable.next = self.scan_read.val();
            self.both[p].read_address.next =
                bit_cast_to(self.scan_row.val(), self._both) | (bit_cast_bit(self.source_b.val(), self._both) << self._act);
            self.both[p].write_enable.next = self.write.val() | self.host_write.val();
            self.both[p].write_address.next =
                bit_cast_to(self.target.val(), self._both) | (bit_cast_bit(!self.source_b.val(), self._both) << self._act);
            self.both[p].write_data.next = self.stored.val();
            self.fetched.next = self.both[p].read_data.val();
        }
        for c in 0..(self._conv) {
            self.act_a[c].clock.next = self.clock.val();
            self.act_b[c].clock.next = self.clock.val();
            self.act_a[c].read_enable.next = self.scan_read.val();
            self.act_b[c].read_enable.next = self.scan_read.val();
            self.act_a[c].read_address.next = self.scan_row.val();
            self.act_b[c].read_address.next = self.scan_row.val();
            self.fetched.next = self.act_a[c].read_data.val();
            self.old[c].next = self.act_b[c].read_data.val().get_bits::<Fit>(0);
            if self.source_b.val() {
                self.act_a[c].read_enable.next = self.old_read[c].val();
                self.act_a[c].read_address.next = self.old_row[c].val();
                self.fetched.next = self.act_b[c].read_data.val();
                self.old[c].next = self.act_a[c].read_data.val().get_bits::<Fit>(0);
            } else {
                self.act_b[c].read_enable.next = self.old_read[c].val();
                self.act_b[c].read_address.next = self.old_row[c].val();
            }
            self.act_a[c].write_enable.next = self.source_b.val() & (self.write.val() | self.host_write.val());
            self.act_b[c].write_enable.next = !self.source_b.val() & (self.write.val() | self.host_write.val());
            self.act_a[c].write_address.next = self.target.val();
            self.act_b[c].write_address.next = self.target.val();
            self.act_a[c].write_data.next = self.stored.val();
            self.act_b[c].write_data.next = self.stored.val();
        }
        self.host_word.next = bit_cast_slice(self.fetched.val(), 0, ACT_BITS);
        if self.load.val() {
            self.current.d.next = bit_cast_slice(self.fetched.val(), 0, ACT_BITS);
            self.waiting.d.next =
                self.fetched.val().get_bit(self._nonzero) & (bit_cast_to(self.pe.val(), &self.load_lanes.val()) < self.load_lanes.val());
        } else if self.take.val() & (self.take_lane.val() == self.pe.val()) {
            self.waiting.d.next = false;
        }
        if self.clear.val() {
            self.waiting.d.next = false;
        }
        self.pending.next = self.waiting.q.val();
        self.value.next = self.current.q.val();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        let meta = Meta::new("act_rw").doc(
            "ActRW: the two activation buffers of a PE, and its lane of the row being scanned.\n\
             \n\
             scan_read reads word scan_row of the source buffer (B if source_b, else A). A cycle later or\n\
             at any time after, load takes that word as the current activation: it is pending if it is not\n\
             zero and this PE is below load_lanes. take with this PE's number in take_lane ends that.\n\
             write stores a result in the other buffer, host_write a word of the host, which knows whether it is zero. The host reads as the scan does: host_word.\n\
             Its accesses come only while nothing else does.",
        );
        if self._conv == 0 {
            return meta.value("_act", self._act).value("_nonzero", self._nonzero).into_timing();
        }
        meta.doc("old_read reads word old_row of the other buffer; old holds it from the next cycle on.")
            .value("_nonzero", self._nonzero)
            .into_timing()
    }
}
