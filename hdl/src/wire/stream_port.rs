//! The streams of an accelerator of the ESE kind as registers (`spec::registers::WIRE_REGISTERS`).

use super::bridge::OWN_BITS;
use crate::ese::DEST_BITS;
use crate::prim::{Memory, Style};
use crate::signal::*;
use lacuna_compress::spec::arch::ACT_BITS;
use lacuna_compress::spec::registers::{STREAM_DROP, STREAM_IN, STREAM_OUT, STREAM_WAITING, WIRE};

/// Beats that wait to be read at most, as a power of two.
const DEPTH_BITS: usize = 9;
const COUNT_BITS: usize = DEPTH_BITS + 1;
/// TDATA, TUSER, TLAST, TDEST.
const BEAT_BITS: usize = ACT_BITS + 2 + DEST_BITS;
/// Cycles that a beat waits for the one before it, as a power of two.
const PATIENCE_BITS: usize = 16;

#[derive(LogicBlock)]
pub struct StreamPort {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    // from the bridge
    pub request: Signal<In, Bit>,
    pub write: Signal<In, Bit>,
    pub address: Wire<In>,
    pub data: Wire<In>,
    pub ack: Signal<Out, Bit>,
    pub error: Signal<Out, Bit>,
    pub read_data: Wire<Out>,
    // towards the accelerator's input stream
    pub in_data: Wire<Out>,
    pub in_user: Signal<Out, Bit>,
    pub in_last: Signal<Out, Bit>,
    pub in_dest: Wire<Out>,
    pub in_valid: Signal<Out, Bit>,
    pub in_ready: Signal<In, Bit>,
    // from its output stream
    pub out_data: Wire<In>,
    pub out_last: Signal<In, Bit>,
    pub out_dest: Wire<In>,
    pub out_valid: Signal<In, Bit>,
    pub out_ready: Signal<Out, Bit>,
    beat: Reg,
    full: Flag,
    patience: Reg,
    beats: Memory,
    head: Reg,
    tail: Reg,
    waiting: Reg,
    looked: Flag,
    offset: Wire<Local>,
    group: Wire<Local>,
    dropped: Wire<Local>,
    take: Signal<Local, Bit>,
    in_group: Const,
    out_group: Const,
    waiting_offset: Const,
    drop_offset: Const,
    most: Const,
    _last: usize,
    _user: usize,
    _dest: usize,
}

/// Bits of an address within a window.
const WINDOW_BITS: usize = 12;

impl Default for StreamPort {
    fn default() -> StreamPort {
        let group = |address: u32| Const::new(OWN_BITS - WINDOW_BITS, u64::from((address - WIRE) >> WINDOW_BITS));
        let offset = |address: u32| Const::new(OWN_BITS, u64::from(address - WIRE));
        StreamPort {
            clock: Default::default(),
            reset: Default::default(),
            request: Default::default(),
            write: Default::default(),
            address: Wire::new(OWN_BITS),
            data: Wire::new(32),
            ack: Default::default(),
            error: Default::default(),
            read_data: Wire::new(32),
            in_data: Wire::new(ACT_BITS),
            in_user: Default::default(),
            in_last: Default::default(),
            in_dest: Wire::new(DEST_BITS),
            in_valid: Default::default(),
            in_ready: Default::default(),
            out_data: Wire::new(ACT_BITS),
            out_last: Default::default(),
            out_dest: Wire::new(DEST_BITS),
            out_valid: Default::default(),
            out_ready: Default::default(),
            beat: Reg::new(BEAT_BITS),
            full: Flag::new(),
            patience: Reg::new(PATIENCE_BITS),
            beats: Memory::new(Style::Block, BEAT_BITS, 1 << DEPTH_BITS, None),
            head: Reg::new(DEPTH_BITS),
            tail: Reg::new(DEPTH_BITS),
            waiting: Reg::new(COUNT_BITS),
            looked: Flag::new(),
            offset: Wire::new(COUNT_BITS),
            group: Wire::new(OWN_BITS - WINDOW_BITS),
            dropped: Wire::new(COUNT_BITS),
            take: Default::default(),
            in_group: group(STREAM_IN),
            out_group: group(STREAM_OUT),
            waiting_offset: offset(STREAM_WAITING),
            drop_offset: offset(STREAM_DROP),
            most: Const::new(COUNT_BITS, 1 << DEPTH_BITS),
            _last: ACT_BITS + 1,
            _user: ACT_BITS,
            _dest: ACT_BITS + 2,
        }
    }
}

impl Logic for StreamPort {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, beats);
        dff_setup!(self, clock, beat, full, patience, head, tail, waiting, looked);
        self.ack.next = false;
        self.error.next = false;
        self.read_data.next = 0.into();
        self.dropped.next = 0.into();
        self.group.next = bit_cast_slice(self.address.val(), WINDOW_BITS, OWN_BITS - WINDOW_BITS);
        self.offset.next = bit_cast_slice(self.address.val(), 2, COUNT_BITS);

        // the input stream: one beat, which stays until it is taken
        self.in_data.next = bit_cast_to(self.beat.q.val(), ACT_BITS);
        self.in_user.next = self.beat.q.val().get_bit(self._user);
        self.in_last.next = self.beat.q.val().get_bit(self._last);
        self.in_dest.next = bit_cast_slice(self.beat.q.val(), self._dest, DEST_BITS);
        self.in_valid.next = self.full.q.val();
        if self.in_ready.val() {
            self.full.d.next = false;
        }

        // the output stream: beats wait in a ring until the host is done with them
        self.out_ready.next = self.waiting.q.val() != self.most.val();
        self.take.next = self.out_valid.val() & self.out_ready.val();
        self.beats.write_enable.next = self.take.val();
        self.beats.write_address.next = self.tail.q.val();
        self.beats.write_data.next = bit_cast_to(self.out_data.val(), BEAT_BITS)
            | (bit_cast_bit(self.out_last.val(), BEAT_BITS) << self._last)
            | (bit_cast_to(self.out_dest.val(), BEAT_BITS) << self._dest);
        self.beats.read_enable.next = self.request.val();
        self.beats.read_address.next = self.head.q.val() + bit_cast_to(self.offset.val(), DEPTH_BITS);
        if self.take.val() {
            self.tail.d.next = self.tail.q.val() + 1;
        }

        // the bridge
        self.looked.d.next = self.request.val() & !self.ack.val();
        if !self.request.val() {
            self.patience.d.next = 0.into();
        } else if self.group.val() == self.in_group.val() {
            self.patience.d.next = self.patience.q.val() + 1;
            if !self.write.val() | self.patience.q.val().all() {
                self.ack.next = true;
                self.error.next = true;
            } else if !self.full.q.val() {
                self.ack.next = true;
                self.full.d.next = true;
                self.beat.d.next = bit_cast_to(self.data.val(), BEAT_BITS);
            }
        } else if self.group.val() == self.out_group.val() {
            comment!("the beat is there a cycle after it is asked for");
            self.ack.next = self.looked.q.val();
            self.read_data.next = bit_cast_to(self.beats.read_data.val(), 32);
            self.error.next = self.write.val() | (self.waiting.q.val() <= self.offset.val());
        } else {
            self.ack.next = true;
            self.error.next = true;
            if (self.address.val() == self.waiting_offset.val()) & !self.write.val() {
                self.error.next = false;
                self.read_data.next = bit_cast_to(self.waiting.q.val(), 32);
            }
            if (self.address.val() == self.drop_offset.val())
                & self.write.val()
                & (self.data.val() <= bit_cast_to(self.waiting.q.val(), 32))
            {
                self.error.next = false;
                self.dropped.next = bit_cast_to(self.data.val(), COUNT_BITS);
            }
        }
        if self.ack.val() {
            self.patience.d.next = 0.into();
        }
        self.head.d.next = self.head.q.val() + bit_cast_to(self.dropped.val(), DEPTH_BITS);
        self.waiting.d.next = self.waiting.q.val() + bit_cast_bit(self.take.val(), COUNT_BITS) - self.dropped.val();
        if self.reset.val() {
            self.full.d.next = false;
            self.looked.d.next = false;
            self.head.d.next = 0.into();
            self.tail.d.next = 0.into();
            self.waiting.d.next = 0.into();
        }
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("stream_port")
            .doc(
                "Stream port: both streams as registers of the serial line (docs/wire.md).\n\
                 \n\
                 Reading changes nothing: a beat of the output stream stays until the host has said that it is done with\n\
                 it. request with write, address and data holds until ack, which comes with read_data or error.",
            )
            .value("_user", self._user)
            .value("_last", self._last)
            .value("_dest", self._dest)
            .into_timing()
    }
}
