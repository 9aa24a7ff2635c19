//! The output stream: the vectors of a finished step, channel after channel.

use super::buffers::POSITION_BITS;
use crate::signal::*;

/// Bits of TDEST.
pub const DEST_BITS: usize = 5;

#[derive(LogicBlock)]
pub struct StreamOut {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub write: Signal<In, Bit>,
    pub write_position: Wire<In>,
    pub write_half: Signal<Out, Bit>,
    pub done: Signal<In, Bit>,
    pub mask: Wire<In>,
    pub room: Signal<Out, Bit>,
    pub read: Signal<Out, Bit>,
    pub read_half: Signal<Out, Bit>,
    pub read_position: Wire<Out>,
    pub tvalid: Signal<Out, Bit>,
    pub tready: Signal<In, Bit>,
    pub tdest: Wire<Out>,
    pub tlast: Signal<Out, Bit>,
    // being written
    half: Flag,
    written: Reg,
    full: Vec<Flag>,
    masks: Vec<Reg>,
    last_index: Vec<Reg>,
    // being sent
    sent_half: Flag,
    sending: Flag,
    rest: Reg,
    channel: Reg,
    position: Reg,
    waiting: Signal<Local, Bit>,
    next_mask: Wire<Local>,
    can: Signal<Local, Bit>,
    ends: Signal<Local, Bit>,
    // in the channels' outputs
    valid: Flag,
    dest: Reg,
    last: Flag,
}

impl StreamOut {
    pub fn new(channels: usize) -> StreamOut {
        StreamOut {
            clock: Default::default(),
            reset: Default::default(),
            write: Default::default(),
            write_position: Wire::new(POSITION_BITS),
            write_half: Default::default(),
            done: Default::default(),
            mask: Wire::new(channels),
            room: Default::default(),
            read: Default::default(),
            read_half: Default::default(),
            read_position: Wire::new(POSITION_BITS),
            tvalid: Default::default(),
            tready: Default::default(),
            tdest: Wire::new(DEST_BITS),
            tlast: Default::default(),
            half: Flag::new(),
            written: Reg::new(POSITION_BITS),
            full: (0..2).map(|_| Flag::new()).collect(),
            masks: (0..2).map(|_| Reg::new(channels)).collect(),
            last_index: (0..2).map(|_| Reg::new(POSITION_BITS)).collect(),
            sent_half: Flag::new(),
            sending: Flag::new(),
            rest: Reg::new(channels),
            channel: Reg::new(DEST_BITS),
            position: Reg::new(POSITION_BITS),
            waiting: Default::default(),
            next_mask: Wire::new(channels),
            can: Default::default(),
            ends: Default::default(),
            valid: Flag::new(),
            dest: Reg::new(DEST_BITS),
            last: Flag::new(),
        }
    }
}

impl Logic for StreamOut {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, half, written, sent_half, sending, rest, channel, position, valid, dest, last);
        // written half by half; one nobody takes part in is not sent
        self.room.next = !self.full[0].q.val();
        if self.half.q.val() {
            self.room.next = !self.full[1].q.val();
        }
        self.write_half.next = self.half.q.val();
        if self.write.val() {
            self.written.d.next = self.write_position.val();
        }
        self.waiting.next = self.full[0].q.val();
        self.next_mask.next = self.masks[0].q.val();
        if self.sent_half.q.val() {
            self.waiting.next = self.full[1].q.val();
            self.next_mask.next = self.masks[1].q.val();
        }
        for h in 0..2 {
            self.full[h].clock.next = self.clock.val();
            self.masks[h].clock.next = self.clock.val();
            self.last_index[h].clock.next = self.clock.val();
            self.last_index[h].d.next = self.last_index[h].q.val();
            self.full[h].d.next = self.full[h].q.val();
            self.masks[h].d.next = self.masks[h].q.val();
            if self.done.val() & self.mask.val().any() & (self.half.q.val() == (h == 1)) {
                self.full[h].d.next = true;
                self.masks[h].d.next = self.mask.val();
                self.last_index[h].d.next = self.written.q.val();
            }
            if self.sending.q.val() & !self.rest.q.val().any() & (self.sent_half.q.val() == (h == 1)) {
                self.full[h].d.next = false;
            }
            if self.reset.val() {
                self.full[h].d.next = false;
            }
        }
        if self.done.val() & self.mask.val().any() {
            self.half.d.next = !self.half.q.val();
        }

        // sent channel by channel
        self.can.next = !self.valid.q.val() | self.tready.val();
        self.read.next = self.sending.q.val() & self.rest.q.val().get_bit(0) & self.can.val();
        self.read_half.next = self.sent_half.q.val();
        self.read_position.next = self.position.q.val();
        self.ends.next = self.position.q.val() == self.last_index[0].q.val();
        if self.sent_half.q.val() {
            self.ends.next = self.position.q.val() == self.last_index[1].q.val();
        }
        if self.can.val() {
            self.valid.d.next = self.read.val();
        }
        if self.read.val() {
            self.dest.d.next = self.channel.q.val();
            self.last.d.next = self.ends.val();
            self.position.d.next = self.position.q.val() + 1;
        }
        if !self.sending.q.val() {
            self.sending.d.next = self.waiting.val();
            self.rest.d.next = self.next_mask.val();
            self.channel.d.next = 0.into();
            self.position.d.next = 0.into();
        } else if !self.rest.q.val().any() {
            self.sending.d.next = false;
            self.sent_half.d.next = !self.sent_half.q.val();
        } else if !self.rest.q.val().get_bit(0) | (self.read.val() & self.ends.val()) {
            self.rest.d.next = self.rest.q.val() >> 1;
            self.channel.d.next = self.channel.q.val() + 1;
            self.position.d.next = 0.into();
        }
        if self.reset.val() {
            self.half.d.next = false;
            self.sent_half.d.next = false;
            self.sending.d.next = false;
            self.valid.d.next = false;
        }
        self.tvalid.next = self.valid.q.val();
        self.tdest.next = self.dest.q.val();
        self.tlast.next = self.last.q.val();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("stream_out")
            .doc(
                "Output stream: the vectors of finished steps, channel after channel (AXI4-Stream master without its data).\n\
                 \n\
                 Results are written to half write_half of the channels' output memories while room is high; done, in the\n\
                 cycle after the last write or later, hands the half over with the mask of the channels that have a vector.\n\
                 The data of a beat is in the output memory of channel tdest, a cycle after read; it stays until it is taken.\n\
                 A channel without a vector costs a cycle, a beat no more than one. Results of finished\n\
                 steps are sent whatever becomes of the steps after them; only reset drops them.",
            )
            .into_timing()
    }
}
