//! A processing element: activation buffers, pointer read, queue, entry read, arithmetic.

use super::act_rw::ActRw;
use super::arithm::Arithm;
use super::ptr_read::PtrRead;
use super::spmat_read::SpmatRead;
use super::{Widths, PE_BITS, PE_COUNT_BITS};
use crate::prim::{ColumnQueue, LaneSelect};
use crate::signal::*;
use lacuna_compress::spec::arch::{Arch, ACT_BITS};
use lacuna_compress::spec::MemoryKind;

#[derive(LogicBlock)]
pub struct Pe {
    pub clock: Signal<In, Clock>,
    pub pe: Wire<In>,
    pub clear: Signal<In, Bit>,
    pub begin_layer: Signal<In, Bit>,
    // the layer
    pub source_b: Signal<In, Bit>,
    pub layer: Wire<In>,
    pub minus_rows: Wire<In>,
    pub bias_base: Wire<In>,
    pub shift: Wire<In>,
    pub relu: Signal<In, Bit>,
    pub discard: Signal<In, Bit>,
    pub done: Signal<Out, Bit>,
    // scan
    pub scan_read: Signal<In, Bit>,
    pub scan_row: Wire<In>,
    pub load: Signal<In, Bit>,
    pub load_lanes: Wire<In>,
    pub take: Signal<In, Bit>,
    pub take_lane: Wire<In>,
    pub pending: Signal<Out, Bit>,
    pub value: Wire<Out>,
    // broadcast
    pub broadcast: Signal<In, Bit>,
    pub token: Signal<In, Bit>,
    pub ptr_read_both: Signal<In, Bit>,
    pub ptr_even: Wire<In>,
    pub ptr_odd: Wire<In>,
    pub starts_odd: Signal<In, Bit>,
    pub act: Wire<In>,
    pub accept: Signal<Out, Bit>,
    // host
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
    act_rw: ActRw,
    ptr_read: PtrRead,
    queue: ColumnQueue,
    spmat_read: SpmatRead,
    arithm: Arithm,
    selected: Signal<Local, Bit>,
    write: Signal<Local, Bit>,
    entries_lane: LaneSelect,
    bias_lane: LaneSelect,
    // what the memories say, and which of it the host asked for
    entries_word: Reg,
    pointer_word: Reg,
    bias_word: Reg,
    value_word: Reg,
    entries_filled: Wire<Local>,
    pointer_filled: Wire<Local>,
    value_filled: Wire<Local>,
    beyond_entries: Const,
    beyond_pointer: Const,
    beyond_value: Const,
    word: Reg,
    unused_host: Signal<Local, Bit>,
    _number: usize,
    _conv: usize,
}

impl Pe {
    /// PE `number`; the number only says which files preload its memories.
    pub fn new(arch: &Arch, number: usize) -> Pe {
        let w = Widths::of(arch);
        // the bits of a lane above the lowest
        let beyond = |bits: usize| 0xffff_ffff_u64 >> bits << bits;
        Pe {
            clock: Default::default(),
            pe: Wire::new(PE_BITS),
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
            take_lane: Wire::new(PE_BITS),
            pending: Default::default(),
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
            act_rw: ActRw::new(arch),
            ptr_read: PtrRead::new(arch, w.value),
            queue: ColumnQueue::new(arch.fifo_depth.saturating_sub(PtrRead::STAGES), w.value, w.pointer, w.turns),
            spmat_read: SpmatRead::new(arch, w.value),
            arithm: Arithm::new(arch),
            selected: Default::default(),
            write: Default::default(),
            entries_lane: LaneSelect::of_word(MemoryKind::Spmat.width(arch)),
            bias_lane: LaneSelect::of_word(MemoryKind::Bias.width(arch)),
            entries_word: Reg::new(MemoryKind::Spmat.width(arch).min(32)),
            pointer_word: Reg::new(arch.ptr_bits()),
            bias_word: Reg::new(32),
            value_word: Reg::new(ACT_BITS),
            entries_filled: Wire::new(32),
            pointer_filled: Wire::new(32),
            value_filled: Wire::new(32),
            beyond_entries: Const::new(32, beyond(MemoryKind::Spmat.width(arch).min(32))),
            beyond_pointer: Const::new(32, beyond(arch.ptr_bits())),
            beyond_value: Const::new(32, beyond(ACT_BITS)),
            word: Reg::new(32),
            unused_host: Default::default(),
            _number: number,
            _conv: usize::from(arch.conv),
        }
    }

    /// Marks every input as driven, for a parent that connects them by name.
    pub fn connect_inputs(&mut self) {
        let words = [
            &mut self.pe,
            &mut self.layer,
            &mut self.minus_rows,
            &mut self.bias_base,
            &mut self.shift,
            &mut self.scan_row,
            &mut self.load_lanes,
            &mut self.take_lane,
            &mut self.ptr_even,
            &mut self.ptr_odd,
            &mut self.act,
            &mut self.host_pe,
            &mut self.host_memory,
            &mut self.host_choice,
            &mut self.host_lane,
            &mut self.host_address,
            &mut self.host_data,
        ];
        words.into_iter().for_each(|w| w.connect());
        let bits = [
            &mut self.clear,
            &mut self.begin_layer,
            &mut self.source_b,
            &mut self.relu,
            &mut self.discard,
            &mut self.scan_read,
            &mut self.load,
            &mut self.take,
            &mut self.broadcast,
            &mut self.token,
            &mut self.ptr_read_both,
            &mut self.starts_odd,
            &mut self.host_read,
            &mut self.host_write,
            &mut self.host_nonzero,
        ];
        bits.into_iter().for_each(|b| b.connect());
        self.clock.connect();
    }
}

impl Logic for Pe {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, entries_word, pointer_word, bias_word, value_word, word);
        clock!(self, clock, act_rw, ptr_read, queue, spmat_read, arithm);

        // a lane of the row being scanned
        self.act_rw.clear.next = self.clear.val();
        self.act_rw.pe.next = self.pe.val();
        self.act_rw.source_b.next = self.source_b.val();
        self.act_rw.scan_read.next = self.scan_read.val();
        self.act_rw.scan_row.next = self.scan_row.val();
        self.act_rw.load.next = self.load.val();
        self.act_rw.load_lanes.next = self.load_lanes.val();
        self.act_rw.take.next = self.take.val();
        self.act_rw.take_lane.next = self.take_lane.val();
        self.pending.next = self.act_rw.pending.val();
        self.value.next = self.act_rw.value.val();

        // a broadcast column becomes entries
        self.ptr_read.clear.next = self.clear.val();
        self.ptr_read.broadcast.next = self.broadcast.val();
        self.ptr_read.in_token.next = self.token.val();
        self.ptr_read.in_value.next = self.act.val();
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
        self.spmat_read.token_minus_turns.next = self.minus_rows.val();

        // entries become sums, sums activations
        self.arithm.clear.next = self.clear.val();
        self.arithm.begin_layer.next = self.begin_layer.val();
        self.arithm.layer.next = self.layer.val();
        self.arithm.bias_base.next = self.bias_base.val();
        self.arithm.shift.next = self.shift.val();
        self.arithm.relu.next = self.relu.val();
        self.arithm.discard.next = self.discard.val();
        self.arithm.valid.next = self.spmat_read.valid.val();
        self.arithm.write_back.next = self.spmat_read.write_back.val();
        self.arithm.first.next = self.spmat_read.first.val();
        self.arithm.last.next = self.spmat_read.last.val();
        self.arithm.value.next = self.spmat_read.value.val();
        self.arithm.weight.next = self.spmat_read.weight.val();
        self.arithm.run.next = self.spmat_read.run.val();
        self.act_rw.write.next = self.arithm.write.val();
        self.act_rw.write_row.next = self.arithm.write_row.val();
        self.act_rw.write_act.next = self.arithm.write_act.val();
        self.done.next = self.arithm.done.val();
        for c in 0..(self._conv) {
            self.act_rw.old_read[c].next = self.arithm.old_read[c].val();
            self.act_rw.old_row[c].next = self.arithm.old_row[c].val();
            self.arithm.old[c].next = self.act_rw.old[c].val();
        }

        // the host's port to every memory; the numbers are those of MEM_SELECT. What all PEs read alike comes by the buses of
        // the scan and of the pointers
        self.unused_host.next = self.host_data.val().any() ^ self.host_address.val().any();
        self.selected.next = self.host_pe.val() == self.pe.val();
        self.write.next = self.selected.val() & self.host_write.val();
        self.spmat_read.host_read.next = self.host_read.val() & (self.host_memory.val() == 0);
        self.arithm.host_read_bias.next = self.host_read.val() & (self.host_memory.val() == 3);
        self.arithm.host_read_codebook.next = self.host_read.val() & (self.host_memory.val() == 4);
        self.spmat_read.host_write.next = self.write.val() & (self.host_memory.val() == 0);
        self.ptr_read.host_write_even.next = self.write.val() & (self.host_memory.val() == 1);
        self.ptr_read.host_write_odd.next = self.write.val() & (self.host_memory.val() == 2);
        self.arithm.host_write_bias.next = self.write.val() & (self.host_memory.val() == 3);
        self.arithm.host_write_codebook.next = self.write.val() & (self.host_memory.val() == 4);
        self.act_rw.host_write.next = self.write.val() & ((self.host_memory.val() == 5) | (self.host_memory.val() == 6));
        self.spmat_read.host_address.next = bit_cast_to(self.host_address.val(), &self.spmat_read.host_address.next);
        self.ptr_read.host_address.next = bit_cast_to(self.host_address.val(), &self.ptr_read.host_address.next);
        self.arithm.host_bias_address.next = bit_cast_to(self.host_address.val(), &self.arithm.host_bias_address.next);
        self.arithm.host_codebook_address.next = bit_cast_to(self.host_address.val(), &self.arithm.host_codebook_address.next);
        self.act_rw.host_address.next = bit_cast_to(self.host_address.val(), &self.act_rw.host_address.next);
        self.spmat_read.host_data.next = bit_cast_to(self.host_data.val(), &self.spmat_read.host_data.next);
        self.ptr_read.host_data.next = bit_cast_to(self.host_data.val(), &self.ptr_read.host_data.next);
        self.arithm.host_bias_data.next = bit_cast_to(self.host_data.val(), &self.arithm.host_bias_data.next);
        self.arithm.host_codebook_data.next = bit_cast_to(self.host_data.val(), &self.arithm.host_codebook_data.next);
        self.act_rw.host_nonzero.next = self.host_nonzero.val();
        self.act_rw.host_data.next = bit_cast_to(self.host_data.val(), &self.act_rw.host_data.next);
        self.host_word.next = self.word.q.val();
        self.entries_lane.word.next = self.spmat_read.host_word.val();
        self.entries_lane.lane.next = bit_cast_to(self.host_lane.val(), &self.entries_lane.lane.next);
        self.bias_lane.word.next = self.arithm.host_bias.val();
        self.bias_lane.lane.next = bit_cast_to(self.host_lane.val(), &self.bias_lane.lane.next);
        self.entries_word.d.next = bit_cast_to(self.entries_lane.field.val(), &self.entries_word.q.val());
        self.pointer_word.d.next = self.ptr_read.host_word.val();
        self.bias_word.d.next = self.bias_lane.field.val();
        self.value_word.d.next = bit_cast_to(self.arithm.host_codebook.val(), &self.value_word.d.next);
        if (self.host_memory.val() == 5) | (self.host_memory.val() == 6) {
            self.value_word.d.next = self.act_rw.host_word.val();
        }
        // bits beyond a memory's words are the bias's, which takes nothing: the memory port knows the widths
        self.entries_filled.next = bit_cast_to(self.entries_word.q.val(), 32) | (self.bias_word.q.val() & self.beyond_entries.val());
        self.pointer_filled.next = bit_cast_to(self.pointer_word.q.val(), 32) | (self.bias_word.q.val() & self.beyond_pointer.val());
        self.value_filled.next = bit_cast_to(self.value_word.q.val(), 32) | (self.bias_word.q.val() & self.beyond_value.val());
        match self.host_choice.val().index() {
            0 => self.word.d.next = self.entries_filled.val(),
            1 => self.word.d.next = self.pointer_filled.val(),
            2 => self.word.d.next = self.bias_word.q.val(),
            _ => self.word.d.next = self.value_filled.val(),
        }
        if !self.selected.val() {
            self.word.d.next = 0.into();
        }
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("pe")
            .doc(
                "Processing element (EIE section IV): rows r with r mod N = pe of each layer.\n\
                 \n\
                 broadcast (an activation and where its column's pointers lie, or the token that ends a layer) comes only while every\n\
                 PE accepts. Columns then run through pointer read, queue, entry read and arithmetic; the token makes\n\
                 the accumulators activations of the other buffer, and done rises. begin_layer starts a layer, clear drops\n\
                 everything under way (accumulators keep what they hold: a discarded layer clears them).\n\
                 While nothing else is under way the host writes words of one memory of PE host_pe and reads them: word three cycles later, host_lane a\n\
                 cycle later (its 32-bit lane, of which bits beyond the word are anything), as long as host_pe, host_memory and\n\
                 host_choice (0 entries, 1 pointers, 2 biases, 3 the others) stay.\n\
                 Activations, pointers and biases are read by scan_row, ptr_even and ptr_odd, and bias_base, of all PEs alike; source_b is\n\
                 the buffer that is read, or the one that is not written; host_nonzero says of an activation that is written that it is not zero.",
            )
            .parameter("PRELOAD", "0", "PRELOAD")
            // without preload every PE gets the same text, so that tools can share what they make of one
            .parameter("IMAGE", "\"\"", format!("(PRELOAD != 0) ? {{IMAGE, \"pe{}_\"}} : \"\"", self._number))
            .into_timing()
    }
}
