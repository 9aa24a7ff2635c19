//! PtrRead: from where a column's pointers lie to its entries, before the queue.
//!
//! A column that has no entry in this PE is dropped here: it takes no slot of the queue and costs the PE nothing.
//! The two stages count as slots of the configured depth: both can hold a column that waits.

use super::Widths;
use crate::prim::{Memory, Style};
use crate::signal::*;
use lacuna_compress::spec::arch::Arch;

#[derive(LogicBlock)]
pub struct PtrRead {
    pub clock: Signal<In, Clock>,
    pub clear: Signal<In, Bit>,
    pub broadcast: Signal<In, Bit>,
    pub in_token: Signal<In, Bit>,
    pub in_value: Wire<In>,
    // where the column's pointers lie
    pub read: Signal<In, Bit>,
    pub even_address: Wire<In>,
    pub odd_address: Wire<In>,
    pub starts_odd: Signal<In, Bit>,
    pub accept: Signal<Out, Bit>,
    pub offer: Signal<Out, Bit>,
    pub out_token: Signal<Out, Bit>,
    pub out_value: Wire<Out>,
    pub out_first: Wire<Out>,
    pub out_minus_turns: Wire<Out>,
    pub room: Signal<In, Bit>,
    pub full: Signal<In, Bit>,
    pub busy: Signal<Out, Bit>,
    pub host_write_even: Signal<In, Bit>,
    pub host_write_odd: Signal<In, Bit>,
    pub host_address: Wire<In>,
    pub host_data: Wire<In>,
    pub host_word: Wire<Out>,
    ptr_even: Memory,
    ptr_odd: Memory,
    // stage 1: the pointers are in the memories' outputs
    valid_1: Flag,
    token_1: Flag,
    odd_1: Flag,
    value_1: Reg,
    leave_1: Signal<Local, Bit>,
    start: Wire<Local>,
    stop: Wire<Local>,
    // stage 2: the column is known to have entries or not
    valid_2: Flag,
    token_2: Flag,
    value_2: Reg,
    start_2: Reg,
    stop_2: Reg,
    start_low: Wire<Local>,
    nonempty: Signal<Local, Bit>,
    can_2: Signal<Local, Bit>,
    leave_2: Signal<Local, Bit>,
    _turns: usize,
    _single: usize,
}

impl PtrRead {
    /// Columns that the stages can hold.
    pub const STAGES: usize = 2;

    /// `value`: bits of what travels with a column.
    pub fn new(arch: &Arch, value: usize) -> PtrRead {
        let w = Widths::of(arch);
        let memory = |name| Memory::new(Style::Block, w.pointer, arch.ptr_depth, Some(name));
        PtrRead {
            clock: Default::default(),
            clear: Default::default(),
            broadcast: Default::default(),
            in_token: Default::default(),
            in_value: Wire::new(value),
            read: Default::default(),
            even_address: Wire::new(w.bank),
            odd_address: Wire::new(w.bank),
            starts_odd: Default::default(),
            accept: Default::default(),
            offer: Default::default(),
            out_token: Default::default(),
            out_value: Wire::new(value),
            out_first: Wire::new(w.pointer),
            out_minus_turns: Wire::new(w.turns),
            room: Default::default(),
            full: Default::default(),
            busy: Default::default(),
            host_write_even: Default::default(),
            host_write_odd: Default::default(),
            host_address: Wire::new(w.bank),
            host_data: Wire::new(w.pointer),
            host_word: Wire::new(w.pointer),
            ptr_even: memory("ptr_even"),
            ptr_odd: memory("ptr_odd"),
            valid_1: Flag::new(),
            token_1: Flag::new(),
            odd_1: Flag::new(),
            value_1: Reg::new(value),
            leave_1: Default::default(),
            start: Wire::new(w.pointer),
            stop: Wire::new(w.pointer),
            valid_2: Flag::new(),
            token_2: Flag::new(),
            value_2: Reg::new(value),
            start_2: Reg::new(w.pointer),
            stop_2: Reg::new(w.turns),
            start_low: Wire::new(w.turns),
            nonempty: Default::default(),
            can_2: Default::default(),
            leave_2: Default::default(),
            _turns: w.turns,
            _single: usize::from(arch.fifo_depth < PtrRead::STAGES),
        }
    }
}

impl Logic for PtrRead {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, valid_1, token_1, odd_1, value_1, valid_2, token_2, value_2, start_2, stop_2);
        clock!(self, clock, ptr_even, ptr_odd);
        self.ptr_even.read_enable.next = self.read.val();
        self.ptr_odd.read_enable.next = self.read.val();
        self.ptr_even.read_address.next = self.even_address.val();
        self.ptr_odd.read_address.next = self.odd_address.val();
        self.ptr_even.write_enable.next = self.host_write_even.val();
        self.ptr_even.write_address.next = self.host_address.val();
        self.ptr_even.write_data.next = self.host_data.val();
        self.ptr_odd.write_enable.next = self.host_write_odd.val();
        self.ptr_odd.write_address.next = self.host_address.val();
        self.ptr_odd.write_data.next = self.host_data.val();

        // a column has fewer than 2^turns entries: the low bits of its pointers say how many
        self.start_low.next = bit_cast_to(self.start_2.q.val(), self._turns);
        self.nonempty.next = self.token_2.q.val() | (self.start_low.val() != self.stop_2.q.val());
        self.leave_2.next = self.valid_2.q.val() & (!self.nonempty.val() | self.room.val());
        self.can_2.next = !self.valid_2.q.val() | self.leave_2.val();
        self.leave_1.next = self.valid_1.q.val() & self.can_2.val();
        // from registers only: what leaves in this cycle would take this path through every PE
        self.accept.next = !self.valid_1.q.val() | !self.valid_2.q.val() | !self.full.val();
        for _single in 0..(self._single) {
            // one column in both stages together
            self.accept.next = !self.valid_1.q.val() & (!self.valid_2.q.val() | !self.full.val());
        }

        self.start.next = self.ptr_even.read_data.val();
        self.stop.next = self.ptr_odd.read_data.val();
        if self.odd_1.q.val() {
            self.start.next = self.ptr_odd.read_data.val();
            self.stop.next = self.ptr_even.read_data.val();
        }
        self.host_word.next = self.start.val();
        if self.read.val() {
            self.odd_1.d.next = self.starts_odd.val();
        }
        if self.broadcast.val() {
            self.valid_1.d.next = true;
            self.token_1.d.next = self.in_token.val();
            self.value_1.d.next = self.in_value.val();
        } else if self.leave_1.val() {
            self.valid_1.d.next = false;
        }
        if self.can_2.val() {
            self.valid_2.d.next = self.valid_1.q.val();
            self.token_2.d.next = self.token_1.q.val();
            self.value_2.d.next = self.value_1.q.val();
            self.start_2.d.next = self.start.val();
            self.stop_2.d.next = bit_cast_to(self.stop.val(), self._turns);
        }
        if self.clear.val() {
            self.valid_1.d.next = false;
            self.valid_2.d.next = false;
        }
        self.offer.next = self.valid_2.q.val() & self.nonempty.val();
        self.busy.next = self.valid_1.q.val() | self.valid_2.q.val();
        self.out_token.next = self.token_2.q.val();
        self.out_value.next = self.value_2.q.val();
        self.out_first.next = self.start_2.q.val();
        self.out_minus_turns.next = self.start_low.val() - self.stop_2.q.val();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("ptr_read")
            .doc(
                "PtrRead: two pointer banks, read together, and two stages that hold columns on their way.\n\
                 \n\
                 broadcast comes only while accept is high, and with read: words even_address and odd_address are the column's\n\
                 pointers, its own in the odd bank if starts_odd. Two cycles later the column is offered to the queue with\n\
                 its first entry, how many it has (as a negative number), and the value that came with it; a column without\n\
                 entries is dropped instead. A token (the end of a run of columns) is always offered, with any entries. Each stage moves on as soon\n\
                 as the next one is free; busy while one of them holds something. accept: a stage is empty, or a slot of the queue\n\
                 behind them is (full is low). The host reads without broadcast: host_word is the pointer of the bank that starts_odd named.",
            )
            .parameter("PRELOAD", "0", "PRELOAD")
            .parameter("IMAGE", "\"\"", "IMAGE")
            .into_timing()
    }
}
