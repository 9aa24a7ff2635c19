//! What each channel has for itself: the input vectors on their way in, its vector memory, the output vectors on their way out.

use crate::prim::{Memory, Style};
use crate::signal::*;
use crate::spmv::Widths;
use lacuna_compress::spec::arch::{address_bits, Arch, Ese, ACT_BITS};

/// Bits of a position in an input or output vector.
pub const POSITION_BITS: usize = 16;

#[derive(LogicBlock)]
pub struct ChannelBuffers {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub clear: Signal<In, Bit>,
    pub input_size: Wire<In>,
    // a beat of the input stream
    pub beat: Signal<In, Bit>,
    pub beat_data: Wire<In>,
    pub beat_first: Signal<In, Bit>,
    pub beat_last: Signal<In, Bit>,
    pub room: Signal<Out, Bit>,
    pub ended_short: Signal<Out, Bit>,
    pub ended_long: Signal<Out, Bit>,
    // the oldest vector
    pub ready: Signal<Out, Bit>,
    pub bad: Signal<Out, Bit>,
    pub first: Signal<Out, Bit>,
    pub consume: Signal<In, Bit>,
    pub input_read: Signal<In, Bit>,
    pub input_position: Wire<In>,
    pub input_value: Wire<Out>,
    // vector memory
    pub vector_read: Signal<In, Bit>,
    pub vector_read_address: Wire<In>,
    pub vector_value: Wire<Out>,
    pub vector_write: Signal<In, Bit>,
    pub vector_write_address: Wire<In>,
    pub vector_write_data: Wire<In>,
    // output vectors
    pub output_write: Signal<In, Bit>,
    pub output_write_half: Signal<In, Bit>,
    pub output_write_position: Wire<In>,
    pub output_write_data: Wire<In>,
    pub output_read: Signal<In, Bit>,
    pub output_read_half: Signal<In, Bit>,
    pub output_read_position: Wire<In>,
    pub output_value: Wire<Out>,
    inputs: Vec<Memory>,
    vectors: Memory,
    outputs: Vec<Memory>,
    // the input vector that is being received
    position: Reg,
    excess: Flag,
    began: Flag,
    skipping: Flag,
    taken: Signal<Local, Bit>,
    write_half: Flag,
    at_end: Signal<Local, Bit>,
    beyond: Signal<Local, Bit>,
    completes: Signal<Local, Bit>,
    wrong: Signal<Local, Bit>,
    opens: Signal<Local, Bit>,
    // received ones
    read_half: Flag,
    shown_half: Flag,
    full: Vec<Flag>,
    faulty: Vec<Flag>,
    fresh: Vec<Flag>,
    sent_half: Flag,
    unused: Signal<Local, Bit>,
    _input_address: usize,
    _output_address: usize,
}

impl ChannelBuffers {
    pub fn new(arch: &Arch, ese: &Ese) -> ChannelBuffers {
        let w = Widths::of(arch);
        let (input_address, output_address) = (address_bits(ese.input_depth), address_bits(ese.output_depth));
        let half = |depth| Memory::new(Style::Auto, ACT_BITS, depth, None);
        let flags = || (0..2).map(|_| Flag::new()).collect();
        ChannelBuffers {
            clock: Default::default(),
            reset: Default::default(),
            clear: Default::default(),
            input_size: Wire::new(POSITION_BITS),
            beat: Default::default(),
            beat_data: Wire::new(ACT_BITS),
            beat_first: Default::default(),
            beat_last: Default::default(),
            room: Default::default(),
            ended_short: Default::default(),
            ended_long: Default::default(),
            ready: Default::default(),
            bad: Default::default(),
            first: Default::default(),
            consume: Default::default(),
            input_read: Default::default(),
            input_position: Wire::new(POSITION_BITS),
            input_value: Wire::new(ACT_BITS),
            vector_read: Default::default(),
            vector_read_address: Wire::new(w.act),
            vector_value: Wire::new(ACT_BITS),
            vector_write: Default::default(),
            vector_write_address: Wire::new(w.act),
            vector_write_data: Wire::new(ACT_BITS),
            output_write: Default::default(),
            output_write_half: Default::default(),
            output_write_position: Wire::new(POSITION_BITS),
            output_write_data: Wire::new(ACT_BITS),
            output_read: Default::default(),
            output_read_half: Default::default(),
            output_read_position: Wire::new(POSITION_BITS),
            output_value: Wire::new(ACT_BITS),
            inputs: (0..2).map(|_| half(ese.input_depth)).collect(),
            vectors: Memory::new(Style::Auto, ACT_BITS, arch.act_depth, None),
            outputs: (0..2).map(|_| half(ese.output_depth)).collect(),
            position: Reg::new(POSITION_BITS),
            excess: Flag::new(),
            began: Flag::new(),
            skipping: Flag::new(),
            taken: Default::default(),
            write_half: Flag::new(),
            at_end: Default::default(),
            beyond: Default::default(),
            completes: Default::default(),
            wrong: Default::default(),
            opens: Default::default(),
            read_half: Flag::new(),
            shown_half: Flag::new(),
            full: flags(),
            faulty: flags(),
            fresh: flags(),
            sent_half: Flag::new(),
            unused: Default::default(),
            _input_address: input_address,
            _output_address: output_address,
        }
    }
}

impl Logic for ChannelBuffers {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, position, excess, began, skipping, write_half, read_half, shown_half, sent_half);
        clock!(self, clock, vectors);

        // receiving: a vector is good if its last beat is number input_size
        self.room.next = !self.full[0].q.val();
        if self.write_half.q.val() {
            self.room.next = !self.full[1].q.val();
        }
        if self.skipping.q.val() {
            self.room.next = true;
        }
        // what is left of a vector that was coming in when everything was cleared is no vector
        self.taken.next = self.beat.val() & !self.skipping.q.val();
        if self.beat.val() & self.beat_last.val() {
            self.skipping.d.next = false;
        }
        self.at_end.next = self.position.q.val() + 1 == self.input_size.val();
        self.beyond.next = self.excess.q.val();
        self.opens.next = self.taken.val() & !self.began.q.val();
        self.completes.next = self.taken.val() & self.beat_last.val();
        self.wrong.next = self.beyond.val() | !self.at_end.val();
        self.ended_short.next = self.completes.val() & !self.beyond.val() & !self.at_end.val();
        self.ended_long.next = self.completes.val() & self.beyond.val();
        if self.taken.val() {
            self.began.d.next = true;
            self.position.d.next = self.position.q.val() + 1;
            if self.at_end.val() | self.beyond.val() {
                self.excess.d.next = true;
                self.position.d.next = self.position.q.val();
            }
        }
        for h in 0..2 {
            self.full[h].clock.next = self.clock.val();
            self.faulty[h].clock.next = self.clock.val();
            self.fresh[h].clock.next = self.clock.val();
            self.full[h].d.next = self.full[h].q.val();
            self.faulty[h].d.next = self.faulty[h].q.val();
            self.fresh[h].d.next = self.fresh[h].q.val();
            self.inputs[h].clock.next = self.clock.val();
            self.inputs[h].read_enable.next = self.input_read.val() & (self.read_half.q.val() == (h == 1));
            self.inputs[h].read_address.next = bit_cast_to(self.input_position.val(), self._input_address);
            self.inputs[h].write_enable.next = self.taken.val() & !self.beyond.val() & (self.write_half.q.val() == (h == 1));
            self.inputs[h].write_address.next = bit_cast_to(self.position.q.val(), self._input_address);
            self.inputs[h].write_data.next = self.beat_data.val();
            if self.opens.val() & (self.write_half.q.val() == (h == 1)) {
                self.fresh[h].d.next = self.beat_first.val();
            }
            if self.completes.val() & (self.write_half.q.val() == (h == 1)) {
                self.full[h].d.next = true;
                self.faulty[h].d.next = self.wrong.val();
            }
            if self.consume.val() & (self.read_half.q.val() == (h == 1)) {
                self.full[h].d.next = false;
            }
            if self.clear.val() {
                self.full[h].d.next = false;
            }
        }
        if self.completes.val() {
            self.write_half.d.next = !self.write_half.q.val();
            self.began.d.next = false;
            self.excess.d.next = false;
            self.position.d.next = 0.into();
        }

        // the oldest vector
        self.ready.next = self.full[0].q.val();
        self.bad.next = self.faulty[0].q.val();
        self.first.next = self.fresh[0].q.val();
        if self.read_half.q.val() {
            self.ready.next = self.full[1].q.val();
            self.bad.next = self.faulty[1].q.val();
            self.first.next = self.fresh[1].q.val();
        }
        if self.consume.val() {
            self.read_half.d.next = !self.read_half.q.val();
        }
        if self.input_read.val() {
            self.shown_half.d.next = self.read_half.q.val();
        }
        self.input_value.next = self.inputs[0].read_data.val();
        if self.shown_half.q.val() {
            self.input_value.next = self.inputs[1].read_data.val();
        }

        self.vectors.read_enable.next = self.vector_read.val();
        self.vectors.read_address.next = self.vector_read_address.val();
        self.vectors.write_enable.next = self.vector_write.val();
        self.vectors.write_address.next = self.vector_write_address.val();
        self.vectors.write_data.next = self.vector_write_data.val();
        self.vector_value.next = self.vectors.read_data.val();

        for h in 0..2 {
            self.outputs[h].clock.next = self.clock.val();
            self.outputs[h].read_enable.next = self.output_read.val() & (self.output_read_half.val() == (h == 1));
            self.outputs[h].read_address.next = bit_cast_to(self.output_read_position.val(), self._output_address);
            self.outputs[h].write_enable.next = self.output_write.val() & (self.output_write_half.val() == (h == 1));
            self.outputs[h].write_address.next = bit_cast_to(self.output_write_position.val(), self._output_address);
            self.outputs[h].write_data.next = self.output_write_data.val();
        }
        if self.output_read.val() {
            self.sent_half.d.next = self.output_read_half.val();
        }
        self.output_value.next = self.outputs[0].read_data.val();
        if self.sent_half.q.val() {
            self.output_value.next = self.outputs[1].read_data.val();
        }
        self.unused.next = self.output_write_position.val().any() ^ self.output_read_position.val().any() ^ self.input_position.val().any();
        if self.clear.val() {
            if self.began.q.val() {
                self.skipping.d.next = true;
            }
            self.position.d.next = 0.into();
            self.excess.d.next = false;
            self.began.d.next = false;
            self.write_half.d.next = false;
            self.read_half.d.next = false;
        }
        if self.reset.val() {
            self.skipping.d.next = false;
        }
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("channel_buffers")
            .doc(
                "Channel buffers: two input vectors, the vector memory and two output vectors of one sequence.\n\
                 \n\
                 beat comes only while room is high. A vector whose last beat is not number input_size counts as received\n\
                 (ready), but as bad; beats beyond input_size are dropped. first is what beat_first was on the vector's\n\
                 first beat. The oldest received vector is the one that ready, bad, first and input_read see, until consume.\n\
                 All reads take one cycle and hold until the next one of their kind. clear forgets the input vectors;\n\
                 one that was coming in is dropped to its last beat, unless with reset.",
            )
            .into_timing()
    }
}
