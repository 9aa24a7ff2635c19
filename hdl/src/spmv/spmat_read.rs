//! SpmatRead: one entry of the current column a cycle, and the write-back of a layer behind its last column.

use super::Widths;
use crate::prim::{LaneSelect, SinglePort};
use crate::signal::*;
use lacuna_compress::spec::arch::Arch;
use lacuna_compress::spec::layout::memory_address_bits;
use lacuna_compress::spec::MemoryKind;

#[derive(LogicBlock)]
pub struct SpmatRead {
    pub clock: Signal<In, Clock>,
    pub clear: Signal<In, Bit>,
    pub in_valid: Signal<In, Bit>,
    pub in_token: Signal<In, Bit>,
    pub in_value: Wire<In>,
    pub in_first: Wire<In>,
    pub in_minus_turns: Wire<In>,
    pub token_minus_turns: Wire<In>,
    pub take: Signal<Out, Bit>,
    pub working: Signal<Out, Bit>,
    pub valid: Signal<Out, Bit>,
    pub write_back: Signal<Out, Bit>,
    pub first: Signal<Out, Bit>,
    pub last: Signal<Out, Bit>,
    pub value: Wire<Out>,
    pub weight: Wire<Out>,
    pub run: Wire<Out>,
    pub host_read: Signal<In, Bit>,
    pub host_write: Signal<In, Bit>,
    pub host_address: Wire<In>,
    pub host_data: Wire<In>,
    pub host_word: Wire<Out>,
    spmat: SinglePort,
    select: LaneSelect,
    // the column being read
    busy: Flag,
    token: Flag,
    opening: Flag,
    closing: Flag,
    cursor: Reg,
    // minus the turns that are left: it counts up, which takes no inverters
    minus_left: Reg,
    turns: Wire<Local>,
    one_left: Const,
    two_left: Const,
    held: Reg,
    ready: Signal<Local, Bit>,
    // the entry whose word is being read
    valid_1: Flag,
    write_back_1: Flag,
    first_1: Flag,
    last_1: Flag,
    value_1: Reg,
    lane_1: Reg,
    _lane: usize,
    _lane_width: usize,
    _address: usize,
    _run: usize,
    _weight: usize,
}

impl SpmatRead {
    /// `value`: bits of what travels with a column.
    pub fn new(arch: &Arch, value: usize) -> SpmatRead {
        let w = Widths::of(arch);
        let address = memory_address_bits(MemoryKind::Spmat, arch);
        let lane_width = arch.lane_bits().max(1);
        SpmatRead {
            clock: Default::default(),
            clear: Default::default(),
            in_valid: Default::default(),
            in_token: Default::default(),
            in_value: Wire::new(value),
            in_first: Wire::new(w.pointer),
            in_minus_turns: Wire::new(w.turns),
            token_minus_turns: Wire::new(w.turns),
            turns: Wire::new(w.turns),
            take: Default::default(),
            working: Default::default(),
            valid: Default::default(),
            write_back: Default::default(),
            first: Default::default(),
            last: Default::default(),
            value: Wire::new(value),
            weight: Wire::new(arch.weight_bits),
            run: Wire::new(arch.run_bits),
            host_read: Default::default(),
            host_write: Default::default(),
            host_address: Wire::new(address),
            host_data: Wire::new(arch.word_bits()),
            host_word: Wire::new(arch.word_bits()),
            spmat: SinglePort::new(arch.word_bits(), arch.spmat_depth, "spmat"),
            select: LaneSelect::new(arch.entry_bits(), arch.entries_per_word),
            busy: Flag::new(),
            token: Flag::new(),
            opening: Flag::new(),
            closing: Flag::new(),
            cursor: Reg::new(w.pointer),
            minus_left: Reg::new(w.turns),
            one_left: Const::new(w.turns, (1 << w.turns) - 1),
            two_left: Const::new(w.turns, (1 << w.turns) - 2),
            held: Reg::new(value),
            ready: Default::default(),
            valid_1: Flag::new(),
            write_back_1: Flag::new(),
            first_1: Flag::new(),
            last_1: Flag::new(),
            value_1: Reg::new(value),
            lane_1: Reg::new(lane_width),
            _lane: arch.lane_bits(),
            _lane_width: lane_width,
            _address: address,
            _run: arch.run_bits,
            _weight: arch.weight_bits,
        }
    }
}

impl Logic for SpmatRead {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, busy, token, opening, closing, cursor, minus_left, held);
        dff_setup!(self, clock, valid_1, write_back_1, first_1, last_1, value_1, lane_1);
        clock!(self, clock, spmat);

        self.ready.next = !self.busy.q.val() | self.closing.q.val();
        self.take.next = self.ready.val() & self.in_valid.val();
        self.turns.next = self.in_minus_turns.val();
        if self.in_token.val() {
            self.turns.next = self.token_minus_turns.val();
        }
        if self.ready.val() {
            self.busy.d.next = self.in_valid.val();
            self.token.d.next = self.in_token.val();
            self.opening.d.next = true;
            self.cursor.d.next = self.in_first.val();
            self.minus_left.d.next = self.turns.val();
            self.held.d.next = self.in_value.val();
            self.closing.d.next = self.turns.val() == self.one_left.val();
        } else {
            self.opening.d.next = false;
            self.cursor.d.next = self.cursor.q.val() + 1;
            self.minus_left.d.next = self.minus_left.q.val() + 1;
            self.closing.d.next = self.minus_left.q.val() == self.two_left.val();
        }

        self.spmat.read_enable.next = (self.busy.q.val() & !self.token.q.val()) | self.host_read.val();
        self.spmat.address.next = bit_cast_slice(self.cursor.q.val(), self._lane, self._address);
        // the host writes only while nothing is read: it is refused while the accelerator works
        if self.host_read.val() | self.host_write.val() {
            self.spmat.address.next = self.host_address.val();
        }
        self.spmat.write_enable.next = self.host_write.val();
        self.spmat.write_data.next = self.host_data.val();
        self.host_word.next = self.spmat.read_data.val();

        self.valid_1.d.next = self.busy.q.val();
        self.write_back_1.d.next = self.token.q.val();
        self.first_1.d.next = self.opening.q.val();
        self.last_1.d.next = self.closing.q.val();
        self.value_1.d.next = self.held.q.val();
        self.lane_1.d.next = bit_cast_slice(self.cursor.q.val(), 0, self._lane_width);
        if self.clear.val() {
            self.busy.d.next = false;
            self.valid_1.d.next = false;
        }

        self.select.word.next = self.spmat.read_data.val();
        self.select.lane.next = self.lane_1.q.val();
        self.run.next = bit_cast_slice(self.select.field.val(), 0, self._run);
        self.weight.next = bit_cast_slice(self.select.field.val(), self._run, self._weight);
        self.working.next = self.busy.q.val() | self.valid_1.q.val();
        self.valid.next = self.valid_1.q.val();
        self.write_back.next = self.write_back_1.q.val();
        self.first.next = self.first_1.q.val();
        self.last.next = self.last_1.q.val();
        self.value.next = self.value_1.q.val();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("spmat_read")
            .doc(
                "SpmatRead: the entries of a PE, one a cycle.\n\
                 \n\
                 Takes a column (first entry, minus its turns, value) when the one before it is at its last\n\
                 entry, so that no cycle is lost between columns. A cycle after an entry's turn: valid with its weight\n\
                 (or code), zero run and its column's value; first marks the first entry of a column. A token makes\n\
                 slots that write rows back, one each of minus token_minus_turns turns: write_back, last on the last one. working\n\
                 while a column is being read or an entry's word is on its way.\n\
                 Nothing stops the entries once they run: what follows must take one every cycle.",
            )
            .parameter("PRELOAD", "0", "PRELOAD")
            .parameter("IMAGE", "\"\"", "IMAGE")
            .into_timing()
    }
}
