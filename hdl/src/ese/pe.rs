//! A processing element for all channels: pointer read, queue, entry read, one weight, a lane for each channel.
//!
//! Latencies, in cycles from the one in which a column is broadcast (0) to a PE that has nothing before it: 1 and 2
//! pointers, 3 queue, 4 turn of the first entry, 5 its word, 6 row and weight address (stage 2), 7 product and
//! accumulator address (stage 3), 8 sum: the accumulator is written at the end of cycle 8. Entry `k` of the column is
//! `k` cycles later, and so are the entries of columns that follow without a gap in the queue: a PE takes one entry a
//! cycle. Without slots in the queue (`fifo_depth` 1 and 2) all after the pointers is a cycle earlier.
//!
//! A token has one turn as an entry has. token_seen rises in the cycle in which an entry in its place would have been
//! summed: cycle 8 if the token is broadcast in cycle 0. The entry before it has then been written, so a drain_read
//! in that very cycle sees every sum.

use super::mac_lane::{MacLane, BANKS, GATES, MEMORY_BITS, ROWS};
use crate::prim::{ColumnQueue, LaneSelect};
use crate::signal::*;
use crate::spmv::{Decode, PtrRead, SpmatRead, Widths, PE_BITS};
use lacuna_compress::spec::arch::{Arch, ACT_BITS};
use lacuna_compress::spec::MemoryKind;

#[derive(LogicBlock)]
pub struct EsePe {
    pub clock: Signal<In, Clock>,
    pub pe: Wire<In>,
    pub clear: Signal<In, Bit>,
    // broadcast
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
    // drain
    pub drain_read: Signal<In, Bit>,
    pub drain_rows: Signal<In, Bit>,
    pub drain_parity: Signal<In, Bit>,
    pub drain_address: Wire<In>,
    pub drain_pe: Wire<In>,
    pub flush: Signal<In, Bit>,
    /// Gate `g` of channel `c` is number `4 c + g`.
    pub sums: Vec<Wire<Out>>,
    // host
    pub host_pe: Wire<In>,
    pub host_memory: Wire<In>,
    pub host_read: Signal<In, Bit>,
    pub host_write: Signal<In, Bit>,
    pub host_address: Wire<In>,
    pub host_data: Wire<In>,
    pub host_lane: Wire<In>,
    pub host_word: Wire<Out>,
    entries_lane: LaneSelect,
    word: Reg,
    ptr_read: PtrRead,
    queue: ColumnQueue,
    spmat_read: SpmatRead,
    decode: Decode,
    lane: Vec<MacLane>,
    value: Wire<Local>,
    minus_one: Const,
    // stage 2
    valid_2: Flag,
    token_2: Flag,
    first_2: Flag,
    value_2: Reg,
    weight_2: Reg,
    run_2: Reg,
    entry_row: Wire<Local>,
    // stage 3
    valid_3: Flag,
    token_3: Flag,
    rows_bank_3: Flag,
    parity_3: Flag,
    row_3: Reg,
    acts_3: Reg,
    // stage 4
    valid_4: Flag,
    rows_bank_4: Flag,
    parity_4: Flag,
    row_4: Reg,
    again_4: Flag,
    from: Wire<Local>,
    rows_memory: Const,
    // banks: gates 0, gates 1, rows
    sum_read: Vec<Signal<Local, Bit>>,
    drain: Vec<Signal<Local, Bit>>,
    read_gates: Wire<Local>,
    read_address: Vec<Wire<Local>>,
    sum_write: Vec<Signal<Local, Bit>>,
    wipe: Vec<Flag>,
    wipe_address: Reg,
    write_gates: Wire<Local>,
    write_address: Vec<Wire<Local>>,
    show: Signal<Local, Bit>,
    show_rows: Flag,
    show_parity: Flag,
    seen: Flag,
    selected: Signal<Local, Bit>,
    read: Signal<Local, Bit>,
    write: Signal<Local, Bit>,
    unused_host: Signal<Local, Bit>,
    _number: usize,
    _channels: usize,
    _value: usize,
    _acts: usize,
    _layer_at: usize,
    _layer: usize,
    _rows_bank_at: usize,
    _parity_at: usize,
    _address: usize,
}

impl EsePe {
    /// PE `number`; the number only says which files preload its memories.
    pub fn new(arch: &Arch, number: usize) -> EsePe {
        let w = Widths::of(arch);
        let channels = arch.channels();
        let acts = ACT_BITS * channels;
        // with a column travel its activations and which codebook and bank its entries are for
        let value = acts + w.layer + 2;
        // a fused gate row: which cell, and which of its four gates
        let row = w.acc + 2;
        EsePe {
            clock: Default::default(),
            pe: Wire::new(PE_BITS),
            clear: Default::default(),
            broadcast: Default::default(),
            token: Default::default(),
            ptr_read_both: Default::default(),
            ptr_even: Wire::new(w.bank),
            ptr_odd: Wire::new(w.bank),
            starts_odd: Default::default(),
            acts: Wire::new(acts),
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
            sums: (0..4 * channels).map(|_| Wire::new(arch.acc_bits)).collect(),
            host_pe: Wire::new(PE_BITS),
            host_memory: Wire::new(3),
            host_read: Default::default(),
            host_write: Default::default(),
            host_address: Wire::new(w.host_address),
            host_data: Wire::new(w.host_data),
            host_lane: Wire::new(w.host_lane),
            host_word: Wire::new(32),
            word: Reg::new(32),
            entries_lane: LaneSelect::of_word(MemoryKind::Spmat.width(arch)),
            ptr_read: PtrRead::new(arch, value),
            queue: ColumnQueue::new(arch.fifo_depth.saturating_sub(PtrRead::STAGES), value, w.pointer, w.turns),
            spmat_read: SpmatRead::new(arch, value),
            decode: Decode::new(arch),
            lane: (0..channels).map(|_| MacLane::new(arch)).collect(),
            value: Wire::new(value),
            minus_one: Const::new(w.turns, (1 << w.turns) - 1),
            valid_2: Flag::new(),
            token_2: Flag::new(),
            first_2: Flag::new(),
            value_2: Reg::new(value),
            weight_2: Reg::new(arch.weight_bits),
            run_2: Reg::new(arch.run_bits),
            entry_row: Wire::new(row),
            valid_3: Flag::new(),
            token_3: Flag::new(),
            rows_bank_3: Flag::new(),
            parity_3: Flag::new(),
            row_3: Reg::new(row),
            acts_3: Reg::new(acts),
            valid_4: Flag::new(),
            rows_bank_4: Flag::new(),
            parity_4: Flag::new(),
            row_4: Reg::new(row),
            again_4: Flag::new(),
            from: Wire::new(MEMORY_BITS),
            rows_memory: Const::new(MEMORY_BITS, ROWS),
            sum_read: (0..BANKS).map(|_| Default::default()).collect(),
            drain: (0..BANKS).map(|_| Default::default()).collect(),
            read_gates: Wire::new(GATES),
            read_address: (0..BANKS).map(|_| Wire::new(w.acc)).collect(),
            sum_write: (0..BANKS).map(|_| Default::default()).collect(),
            wipe: (0..BANKS).map(|_| Flag::new()).collect(),
            wipe_address: Reg::new(w.acc),
            write_gates: Wire::new(GATES),
            write_address: (0..BANKS).map(|_| Wire::new(w.acc)).collect(),
            show: Default::default(),
            show_rows: Flag::new(),
            show_parity: Flag::new(),
            seen: Flag::new(),
            selected: Default::default(),
            read: Default::default(),
            write: Default::default(),
            unused_host: Default::default(),
            _number: number,
            _channels: channels,
            _value: value,
            _acts: acts,
            _layer_at: acts,
            _layer: w.layer,
            _rows_bank_at: acts + w.layer,
            _parity_at: acts + w.layer + 1,
            _address: w.acc,
        }
    }

    /// Marks every input as driven, for a parent that connects them by name.
    pub fn connect_inputs(&mut self) {
        let words = [
            &mut self.pe,
            &mut self.ptr_even,
            &mut self.ptr_odd,
            &mut self.acts,
            &mut self.layer,
            &mut self.drain_address,
            &mut self.drain_pe,
            &mut self.host_pe,
            &mut self.host_memory,
            &mut self.host_lane,
            &mut self.host_address,
            &mut self.host_data,
        ];
        words.into_iter().for_each(|w| w.connect());
        let bits = [
            &mut self.clear,
            &mut self.broadcast,
            &mut self.token,
            &mut self.ptr_read_both,
            &mut self.starts_odd,
            &mut self.rows_bank,
            &mut self.parity,
            &mut self.token_take,
            &mut self.drain_read,
            &mut self.drain_rows,
            &mut self.drain_parity,
            &mut self.flush,
            &mut self.host_read,
            &mut self.host_write,
        ];
        bits.into_iter().for_each(|b| b.connect());
        self.clock.connect();
    }
}

impl Logic for EsePe {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, valid_2, token_2, first_2, value_2, weight_2, run_2);
        dff_setup!(self, clock, valid_3, token_3, rows_bank_3, parity_3, row_3, acts_3);
        dff_setup!(self, clock, valid_4, rows_bank_4, parity_4, row_4, again_4);
        dff_setup!(self, clock, wipe_address, show_rows, show_parity, seen, word);
        clock!(self, clock, ptr_read, queue, spmat_read, decode);

        // a broadcast column becomes entries
        self.value.next = bit_cast_to(self.acts.val(), self._value)
            | (bit_cast_to(self.layer.val(), self._value) << self._layer_at)
            | (bit_cast_bit(self.rows_bank.val(), self._value) << self._rows_bank_at)
            | (bit_cast_bit(self.parity.val(), self._value) << self._parity_at);
        self.ptr_read.clear.next = self.clear.val();
        self.ptr_read.broadcast.next = self.broadcast.val();
        self.ptr_read.in_token.next = self.token.val();
        self.ptr_read.in_value.next = self.value.val();
        self.ptr_read.read.next = self.ptr_read_both.val();
        self.ptr_read.even_address.next = self.ptr_even.val();
        self.ptr_read.odd_address.next = self.ptr_odd.val();
        self.ptr_read.starts_odd.next = self.starts_odd.val();
        self.ptr_read.room.next = self.queue.room.val();
        self.ptr_read.full.next = self.queue.full.val();
        self.accept.next = self.ptr_read.accept.val();
        self.queue.clear.next = self.clear.val();
        self.queue.offer.next = self.ptr_read.offer.val();
        self.queue.in_token.next = self.ptr_read.out_token.val();
        self.queue.in_value.next = self.ptr_read.out_value.val();
        self.queue.in_first.next = self.ptr_read.out_first.val();
        self.queue.in_minus_turns.next = self.ptr_read.out_minus_turns.val();
        self.queue.take.next = self.spmat_read.take.val();
        self.spmat_read.clear.next = self.clear.val();
        self.spmat_read.in_valid.next = self.queue.valid.val();
        self.spmat_read.in_token.next = self.queue.out_token.val();
        self.spmat_read.in_value.next = self.queue.out_value.val();
        self.spmat_read.in_first.next = self.queue.out_first.val();
        self.spmat_read.in_minus_turns.next = self.queue.out_minus_turns.val();
        // sums stay where they are: a token only passes, in one turn
        self.spmat_read.token_minus_turns.next = self.minus_one.val();

        // stage 1 to 2
        self.valid_2.d.next = self.spmat_read.valid.val() & !self.spmat_read.write_back.val();
        self.token_2.d.next = self.spmat_read.valid.val() & self.spmat_read.write_back.val();
        self.first_2.d.next = self.spmat_read.first.val();
        self.value_2.d.next = self.spmat_read.value.val();
        self.weight_2.d.next = self.spmat_read.weight.val();
        self.run_2.d.next = self.spmat_read.run.val();

        // stage 2: the run counts from the entry before, which is the last one that stage 3 has seen
        self.entry_row.next = bit_cast_to(self.run_2.q.val(), &self.entry_row.next);
        if !self.first_2.q.val() {
            self.entry_row.next = self.row_3.q.val() + 1 + bit_cast_to(self.run_2.q.val(), &self.entry_row.next);
        }
        self.decode.enable.next = self.valid_2.q.val();
        self.decode.layer.next = bit_cast_slice(self.value_2.q.val(), self._layer_at, self._layer);
        self.decode.field.next = self.weight_2.q.val();
        self.valid_3.d.next = self.valid_2.q.val();
        self.token_3.d.next = self.token_2.q.val();
        if self.valid_2.q.val() {
            self.rows_bank_3.d.next = self.value_2.q.val().get_bit(self._rows_bank_at);
            self.parity_3.d.next = self.value_2.q.val().get_bit(self._parity_at);
            self.row_3.d.next = self.entry_row.val();
            self.acts_3.d.next = bit_cast_slice(self.value_2.q.val(), 0, self._acts);
        }

        // stage 3
        self.sum_read[0].next = self.valid_3.q.val() & !self.rows_bank_3.q.val() & !self.parity_3.q.val();
        self.sum_read[1].next = self.valid_3.q.val() & !self.rows_bank_3.q.val() & self.parity_3.q.val();
        self.sum_read[2].next = self.valid_3.q.val() & self.rows_bank_3.q.val();
        self.valid_4.d.next = self.valid_3.q.val();
        self.rows_bank_4.d.next = self.rows_bank_3.q.val();
        self.parity_4.d.next = self.parity_3.q.val();
        self.row_4.d.next = self.row_3.q.val();
        // the sum of stage 4 is not yet in the memory that stage 3 reads; rows have one memory, whatever the parity
        self.again_4.d.next = self.valid_4.q.val()
            & (self.row_4.q.val() == self.row_3.q.val())
            & (self.rows_bank_4.q.val() == self.rows_bank_3.q.val())
            & (self.rows_bank_3.q.val() | (self.parity_4.q.val() == self.parity_3.q.val()));

        // stage 4
        self.sum_write[0].next = self.valid_4.q.val() & !self.rows_bank_4.q.val() & !self.parity_4.q.val();
        self.sum_write[1].next = self.valid_4.q.val() & !self.rows_bank_4.q.val() & self.parity_4.q.val();
        self.sum_write[2].next = self.valid_4.q.val() & self.rows_bank_4.q.val();
        self.from.next = (bit_cast_bit(self.parity_4.q.val(), 4) << 2) | bit_cast_to(bit_cast_slice(self.row_4.q.val(), 0, 2), 4);
        if self.rows_bank_4.q.val() {
            self.from.next = self.rows_memory.val();
        }

        // the token: what came before it is in stage 4 at the latest
        if self.token_take.val() {
            self.seen.d.next = false;
        }
        if self.token_3.q.val() {
            self.seen.d.next = true;
        }
        self.token_seen.next = self.seen.q.val();
        self.idle.next = !(self.ptr_read.busy.val()
            | self.queue.valid.val()
            | self.spmat_read.working.val()
            | self.valid_2.q.val()
            | self.token_2.q.val()
            | self.valid_3.q.val()
            | self.token_3.q.val()
            | self.valid_4.q.val());
        if self.clear.val() {
            self.valid_2.d.next = false;
            self.token_2.d.next = false;
            self.valid_3.d.next = false;
            self.token_3.d.next = false;
            self.valid_4.d.next = false;
            self.seen.d.next = false;
        }

        // the drain side: what is read is wiped in the next cycle
        self.drain[0].next = self.drain_read.val() & !self.drain_rows.val() & !self.drain_parity.val();
        self.drain[1].next = self.drain_read.val() & !self.drain_rows.val() & self.drain_parity.val();
        self.drain[2].next = self.drain_read.val() & self.drain_rows.val();
        for b in 0..3 {
            self.wipe[b].clock.next = self.clock.val();
            self.wipe[b].d.next = self.drain[b].val() | self.flush.val();
        }
        self.wipe_address.d.next = self.drain_address.val();
        if self.drain_read.val() {
            self.show_rows.d.next = self.drain_rows.val();
            self.show_parity.d.next = self.drain_parity.val();
        }
        self.show.next = self.drain_pe.val() == self.pe.val();

        // the banks, each with one side at a time
        self.read_gates.next = 0.into();
        self.write_gates.next = 0.into();
        for b in 0..2 {
            self.read_address[b].next = bit_cast_slice(self.row_3.q.val(), 2, self._address);
            self.write_address[b].next = bit_cast_slice(self.row_4.q.val(), 2, self._address);
            for g in 0..4 {
                self.read_gates.next = self.read_gates.val().replace_bit(
                    4 * b + g,
                    self.drain[b].val() | (self.sum_read[b].val() & (bit_cast_slice(self.row_3.q.val(), 0, 2) == g.index())),
                );
                self.write_gates.next = self.write_gates.val().replace_bit(
                    4 * b + g,
                    self.wipe[b].q.val() | (self.sum_write[b].val() & (bit_cast_slice(self.row_4.q.val(), 0, 2) == g.index())),
                );
            }
        }
        self.read_address[2].next = bit_cast_slice(self.row_3.q.val(), 0, self._address);
        self.write_address[2].next = bit_cast_slice(self.row_4.q.val(), 0, self._address);
        for b in 0..3 {
            if self.drain[b].val() {
                self.read_address[b].next = self.drain_address.val();
            }
            if self.wipe[b].q.val() {
                self.write_address[b].next = self.wipe_address.q.val();
            }
        }

        // the channels
        for c in 0..(self._channels) {
            self.lane[c].clock.next = self.clock.val();
            self.lane[c].weight.next = self.decode.weight.val();
            self.lane[c].act.next = self.acts_3.q.val().get_bits::<Fit>(16 * c);
            self.lane[c].read_gates.next = self.read_gates.val();
            self.lane[c].read_rows.next = self.drain[2].val() | self.sum_read[2].val();
            self.lane[c].from.next = self.from.val();
            self.lane[c].again.next = self.again_4.q.val();
            self.lane[c].write_gates.next = self.write_gates.val();
            self.lane[c].write_rows.next = self.wipe[2].q.val() | self.sum_write[2].val();
            for b in 0..3 {
                self.lane[c].read_address[b].next = self.read_address[b].val();
                self.lane[c].write_address[b].next = self.write_address[b].val();
                self.lane[c].wipe[b].next = self.wipe[b].q.val();
            }
            self.lane[c].show.next = self.show.val();
            self.lane[c].show_rows.next = self.show_rows.q.val();
            self.lane[c].show_parity.next = self.show_parity.q.val();
            for g in 0..4 {
                self.sums[4 * c + g].next = self.lane[c].sums[g].val();
            }
        }

        // the host's port to the memories of a PE; the numbers are those of MEM_SELECT
        self.unused_host.next = self.host_data.val().any() ^ self.host_address.val().any();
        self.selected.next = self.host_pe.val() == self.pe.val();
        self.read.next = self.selected.val() & self.host_read.val();
        self.write.next = self.selected.val() & self.host_write.val();
        self.spmat_read.host_read.next = self.read.val() & (self.host_memory.val() == 0);
        self.decode.host_read.next = self.read.val() & (self.host_memory.val() == 4);
        self.spmat_read.host_write.next = self.write.val() & (self.host_memory.val() == 0);
        self.ptr_read.host_write_even.next = self.write.val() & (self.host_memory.val() == 1);
        self.ptr_read.host_write_odd.next = self.write.val() & (self.host_memory.val() == 2);
        self.decode.host_write.next = self.write.val() & (self.host_memory.val() == 4);
        self.spmat_read.host_address.next = bit_cast_to(self.host_address.val(), &self.spmat_read.host_address.next);
        self.ptr_read.host_address.next = bit_cast_to(self.host_address.val(), &self.ptr_read.host_address.next);
        self.decode.host_address.next = bit_cast_to(self.host_address.val(), &self.decode.host_address.next);
        self.spmat_read.host_data.next = bit_cast_to(self.host_data.val(), &self.spmat_read.host_data.next);
        self.ptr_read.host_data.next = bit_cast_to(self.host_data.val(), &self.ptr_read.host_data.next);
        self.decode.host_data.next = bit_cast_to(self.host_data.val(), &self.decode.host_data.next);
        self.entries_lane.word.next = self.spmat_read.host_word.val();
        self.entries_lane.lane.next = bit_cast_to(self.host_lane.val(), &self.entries_lane.lane.next);
        self.host_word.next = self.word.q.val();
        self.word.d.next = 0.into();
        if self.selected.val() {
            match self.host_memory.val().index() {
                0 => self.word.d.next = self.entries_lane.field.val(),
                1 => self.word.d.next = bit_cast_to(self.ptr_read.host_word.val(), &self.word.d.next),
                2 => self.word.d.next = bit_cast_to(self.ptr_read.host_word.val(), &self.word.d.next),
                4 => self.word.d.next = bit_cast_to(self.decode.host_word.val(), &self.word.d.next),
                _ => {}
            }
        }
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("ese_pe")
            .doc(
                "Processing element of the ESE kind: the rows of each matrix that are its own, for all channels.\n\
                 \n\
                 broadcast (where a column's pointers lie, one activation a channel, the codebook, the bank of its sums; or a\n\
                 token) comes only while every PE accepts. Columns run through pointer read, queue and entry read; every\n\
                 cycle one entry is multiplied with its column's activations and added to an accumulator of each channel:\n\
                 row r of gate bank `parity` is word r / 4 of memory r mod 4, row r of the rows bank is word r. To a PE\n\
                 that has nothing before it, an entry is summed in cycle 8 after its broadcast, and there from the next (7 without slots in the queue).\n\
                 A token takes one turn, as an entry; token_seen rises when every sum before it is in its memory, in\n\
                 cycle 8 after its broadcast if nothing is before it (7 without slots), and falls after token_take or clear. A second\n\
                 token must not come before the first was taken.\n\
                 drain_read reads word drain_address of the four memories of gate bank drain_parity, or of the rows\n\
                 bank with drain_rows; from the next cycle to the next drain_read the sums are those words (rows: sum 0)\n\
                 while drain_pe is this PE, else zero. The word is wiped in the cycle after drain_read; flush wipes\n\
                 word drain_address of all banks, in the cycle after too. No bank is drained while entries for it are\n\
                 under way: the sequence of operations sees to that.\n\
                 idle: nothing is under way. clear drops all that is (accumulators keep what they hold).\n\
                 The host reads (word two cycles later, host_lane a cycle later, as long as host_pe and host_memory stay; zero for memories that\n\
                 are not a PE's, bits of a lane beyond the word anything) and writes words of one memory while nothing else is under way. Pointers\n\
                 are read by ptr_even and ptr_odd, of all PEs alike.",
            )
            .parameter("PRELOAD", "0", "PRELOAD")
            // without preload every PE gets the same text, so that tools can share what they make of one
            .parameter("IMAGE", "\"\"", format!("(PRELOAD != 0) ? {{IMAGE, \"pe{}_\"}} : \"\"", self._number))
            .value("_layer_at", self._layer_at)
            .value("_rows_bank_at", self._rows_bank_at)
            .value("_parity_at", self._parity_at)
            .into_timing()
    }
}
