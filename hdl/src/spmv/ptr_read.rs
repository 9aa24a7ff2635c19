//! PtrRead: from a column number to the column's entries, before the queue.
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
    pub token_turns: Wire<In>,
    pub in_value: Wire<In>,
    pub in_column: Wire<In>,
    pub accept: Signal<Out, Bit>,
    pub offer: Signal<Out, Bit>,
    pub out_token: Signal<Out, Bit>,
    pub out_value: Wire<Out>,
    pub out_first: Wire<Out>,
    pub out_turns: Wire<Out>,
    pub room: Signal<In, Bit>,
    pub full: Signal<In, Bit>,
    pub busy: Signal<Out, Bit>,
    pub host_read_even: Signal<In, Bit>,
    pub host_read_odd: Signal<In, Bit>,
    pub host_write_even: Signal<In, Bit>,
    pub host_write_odd: Signal<In, Bit>,
    pub host_address: Wire<In>,
    pub host_data: Wire<In>,
    pub host_even: Wire<Out>,
    pub host_odd: Wire<Out>,
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
    nonempty: Signal<Local, Bit>,
    can_2: Signal<Local, Bit>,
    leave_2: Signal<Local, Bit>,
    _address: usize,
    _turn: usize,
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
            token_turns: Wire::new(w.turn),
            in_value: Wire::new(value),
            in_column: Wire::new(w.column),
            accept: Default::default(),
            offer: Default::default(),
            out_token: Default::default(),
            out_value: Wire::new(value),
            out_first: Wire::new(w.turn),
            out_turns: Wire::new(w.turn),
            room: Default::default(),
            full: Default::default(),
            busy: Default::default(),
            host_read_even: Default::default(),
            host_read_odd: Default::default(),
            host_write_even: Default::default(),
            host_write_odd: Default::default(),
            host_address: Wire::new(w.column - 1),
            host_data: Wire::new(w.pointer),
            host_even: Wire::new(w.pointer),
            host_odd: Wire::new(w.pointer),
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
            start_2: Reg::new(w.turn),
            stop_2: Reg::new(w.turn),
            nonempty: Default::default(),
            can_2: Default::default(),
            leave_2: Default::default(),
            _address: w.column - 1,
            _turn: w.turn,
            _single: usize::from(arch.fifo_depth < PtrRead::STAGES),
        }
    }
}

impl Logic for PtrRead {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, valid_1, token_1, odd_1, value_1, valid_2, token_2, value_2, start_2, stop_2);
        clock!(self, clock, ptr_even, ptr_odd);
        self.ptr_even.read_enable.next = self.broadcast.val() | self.host_read_even.val();
        self.ptr_odd.read_enable.next = self.broadcast.val() | self.host_read_odd.val();
        self.ptr_even.read_address.next =
            bit_cast_slice(self.in_column.val(), 1, self._address) + bit_cast_bit(self.in_column.val().get_bit(0), self._address);
        self.ptr_odd.read_address.next = bit_cast_slice(self.in_column.val(), 1, self._address);
        if self.host_read_even.val() {
            self.ptr_even.read_address.next = self.host_address.val();
        }
        if self.host_read_odd.val() {
            self.ptr_odd.read_address.next = self.host_address.val();
        }
        self.ptr_even.write_enable.next = self.host_write_even.val();
        self.ptr_even.write_address.next = self.host_address.val();
        self.ptr_even.write_data.next = self.host_data.val();
        self.ptr_odd.write_enable.next = self.host_write_odd.val();
        self.ptr_odd.write_address.next = self.host_address.val();
        self.ptr_odd.write_data.next = self.host_data.val();
        self.host_even.next = self.ptr_even.read_data.val();
        self.host_odd.next = self.ptr_odd.read_data.val();

        self.nonempty.next = self.token_2.q.val() | (self.start_2.q.val() != self.stop_2.q.val());
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
        if self.broadcast.val() {
            self.valid_1.d.next = true;
            self.token_1.d.next = self.in_token.val();
            self.odd_1.d.next = self.in_column.val().get_bit(0);
            self.value_1.d.next = self.in_value.val();
        } else if self.leave_1.val() {
            self.valid_1.d.next = false;
        }
        if self.can_2.val() {
            self.valid_2.d.next = self.valid_1.q.val();
            self.token_2.d.next = self.token_1.q.val();
            self.value_2.d.next = self.value_1.q.val();
            self.start_2.d.next = bit_cast_to(self.start.val(), self._turn);
            self.stop_2.d.next = bit_cast_to(self.stop.val(), self._turn);
            if self.token_1.q.val() {
                self.start_2.d.next = 0.into();
                self.stop_2.d.next = self.token_turns.val();
            }
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
        self.out_turns.next = self.stop_2.q.val() - self.start_2.q.val();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("ptr_read")
            .doc(
                "PtrRead: two pointer banks, read together, and two stages that hold columns on their way.\n\
                 \n\
                 broadcast comes only while accept is high. Two cycles later the column is offered to the queue with\n\
                 its first entry, how many it has, and the value that came with it; a column without entries is\n\
                 dropped instead. A token (the end of a run of columns) is always offered, with token_turns. Each stage moves on as soon\n\
                 as the next one is free; busy while one of them holds something. accept: a stage is empty, or a slot of the queue\n\
                 behind them is (full is low).",
            )
            .parameter("PRELOAD", "0", "PRELOAD")
            .parameter("IMAGE", "\"\"", "IMAGE")
            .into_timing()
    }
}
