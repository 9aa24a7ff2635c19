//! Acts on frames: reads and writes of the accelerator's registers and memories, and of the streams.

use super::frame_rx::INDEX_BITS;
use crate::prim::{Memory, Style};
use crate::signal::*;
use lacuna_compress::spec::registers;
use lacuna_compress::spec::wire::{Command, Status, ADDRESS_BITS, GREETING, MAX_WORDS};

/// Bits of a word's number in a frame's data, and of a number of them.
const DATA_BITS: usize = MAX_WORDS.ilog2() as usize;
const COUNT_BITS: usize = DATA_BITS + 1;

/// Bits of a byte address among the bridge's own registers.
pub(super) const OWN_BITS: usize = 14;

#[derive(Copy, Clone, PartialEq, Debug, LogicState)]
pub enum Step {
    /// Takes a frame in.
    Receive,
    /// The frame is right: is it to be done?
    Judge,
    /// Sends the reply's head.
    Head,
    /// The next word to write is read from the buffer.
    Fetch,
    /// The access waits to be taken and answered.
    Access,
    /// Sends a word that was read.
    Data,
    /// Sends how it ended.
    Report,
    /// Until the reply is on the line.
    Finish,
}

#[derive(LogicBlock)]
pub struct Bridge {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    // from FrameRx
    pub hold: Signal<Out, Bit>,
    pub word: Wire<In>,
    pub index: Wire<In>,
    pub word_valid: Signal<In, Bit>,
    pub ended: Signal<In, Bit>,
    pub good: Signal<In, Bit>,
    pub words: Wire<In>,
    // towards FrameTx
    pub reply: Wire<Out>,
    pub reply_valid: Signal<Out, Bit>,
    pub reply_ready: Signal<In, Bit>,
    pub finish: Signal<Out, Bit>,
    pub sent: Signal<In, Bit>,
    // towards the accelerator
    pub address: Wire<Out>,
    pub data: Wire<Out>,
    pub awvalid: Signal<Out, Bit>,
    pub awready: Signal<In, Bit>,
    pub wvalid: Signal<Out, Bit>,
    pub wready: Signal<In, Bit>,
    pub bresp: Wire<In>,
    pub bvalid: Signal<In, Bit>,
    pub arvalid: Signal<Out, Bit>,
    pub arready: Signal<In, Bit>,
    pub rdata: Wire<In>,
    pub rresp: Wire<In>,
    pub rvalid: Signal<In, Bit>,
    // towards the bridge's own registers
    pub own_request: Signal<Out, Bit>,
    pub own_write: Signal<Out, Bit>,
    pub own_address: Wire<Out>,
    pub own_ack: Signal<In, Bit>,
    pub own_error: Signal<In, Bit>,
    pub own_data: Wire<In>,
    /// A host has spoken since the reset.
    pub connected: Signal<Out, Bit>,
    step: DFF<Step>,
    buffer: Memory,
    head: Reg,
    place: Reg,
    frame_words: Reg,
    last_tag: Reg,
    known: Flag,
    writing: Flag,
    own: Flag,
    left: Reg,
    number: Reg,
    done: Reg,
    status: Reg,
    value: Reg,
    // how the last write ended
    last_done: Reg,
    last_status: Reg,
    want_aw: Flag,
    want_w: Flag,
    want_ar: Flag,
    tag: Wire<Local>,
    command: Wire<Local>,
    count: Wire<Local>,
    again: Signal<Local, Bit>,
    following: Signal<Local, Bit>,
    write_fits: Signal<Local, Bit>,
    read_fits: Signal<Local, Bit>,
    answered: Signal<Local, Bit>,
    failed: Signal<Local, Bit>,
    beyond: Const,
    greeting: Const,
    hello: Const,
    write: Const,
    read: Const,
    fine: Const,
    refused: Const,
    stranger: Const,
    malformed: Const,
    damaged: Const,
    _axi_bits: usize,
    _own_bit: usize,
}

impl Default for Bridge {
    fn default() -> Bridge {
        let command = |c: Command| Const::new(8, c as u64);
        let status = |s: Status| Const::new(8, s as u64);
        Bridge {
            clock: Default::default(),
            reset: Default::default(),
            hold: Default::default(),
            word: Wire::new(32),
            index: Wire::new(INDEX_BITS),
            word_valid: Default::default(),
            ended: Default::default(),
            good: Default::default(),
            words: Wire::new(INDEX_BITS),
            reply: Wire::new(32),
            reply_valid: Default::default(),
            reply_ready: Default::default(),
            finish: Default::default(),
            sent: Default::default(),
            address: Wire::new(registers::ADDRESS_BITS),
            data: Wire::new(32),
            awvalid: Default::default(),
            awready: Default::default(),
            wvalid: Default::default(),
            wready: Default::default(),
            bresp: Wire::new(2),
            bvalid: Default::default(),
            arvalid: Default::default(),
            arready: Default::default(),
            rdata: Wire::new(32),
            rresp: Wire::new(2),
            rvalid: Default::default(),
            own_request: Default::default(),
            own_write: Default::default(),
            own_address: Wire::new(OWN_BITS),
            own_ack: Default::default(),
            own_error: Default::default(),
            own_data: Wire::new(32),
            connected: Default::default(),
            step: Default::default(),
            buffer: Memory::new(Style::Block, 32, MAX_WORDS, None),
            head: Reg::new(32),
            place: Reg::new(ADDRESS_BITS),
            frame_words: Reg::new(INDEX_BITS),
            last_tag: Reg::new(16),
            known: Flag::new(),
            writing: Flag::new(),
            own: Flag::new(),
            left: Reg::new(COUNT_BITS),
            number: Reg::new(DATA_BITS),
            done: Reg::new(COUNT_BITS),
            status: Reg::new(8),
            value: Reg::new(32),
            last_done: Reg::new(COUNT_BITS),
            last_status: Reg::new(8),
            want_aw: Flag::new(),
            want_w: Flag::new(),
            want_ar: Flag::new(),
            tag: Wire::new(16),
            command: Wire::new(8),
            count: Wire::new(COUNT_BITS),
            again: Default::default(),
            following: Default::default(),
            write_fits: Default::default(),
            read_fits: Default::default(),
            answered: Default::default(),
            failed: Default::default(),
            beyond: Const::new(INDEX_BITS, MAX_WORDS as u64 + 2),
            greeting: Const::new(32, GREETING.into()),
            hello: command(Command::Hello),
            write: command(Command::Write),
            read: command(Command::Read),
            fine: status(Status::Done),
            refused: status(Status::Refused),
            stranger: status(Status::Stranger),
            malformed: status(Status::Malformed),
            damaged: status(Status::Damaged),
            _axi_bits: registers::ADDRESS_BITS,
            _own_bit: ADDRESS_BITS - 1,
        }
    }
}

impl Logic for Bridge {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, buffer);
        dff_setup!(self, clock, step, head, place, frame_words, last_tag, known, writing, own, left, number, done, status, value);
        dff_setup!(self, clock, last_done, last_status, want_aw, want_w, want_ar);
        self.hold.next = self.step.q.val() != Step::Receive;
        self.reply.next = self.head.q.val();
        self.reply_valid.next = false;
        self.finish.next = false;
        self.own_request.next = false;
        self.own_write.next = self.writing.q.val();
        self.own_address.next = bit_cast_to(self.place.q.val(), OWN_BITS);
        self.connected.next = self.known.q.val();

        // the frame
        self.tag.next = bit_cast_slice(self.head.q.val(), 16, 16);
        self.command.next = bit_cast_slice(self.head.q.val(), 8, 8);
        self.count.next = bit_cast_to(bit_cast_to(self.head.q.val(), DATA_BITS), COUNT_BITS) + 1;
        self.again.next = self.known.q.val() & (self.tag.val() == self.last_tag.q.val());
        self.following.next = self.known.q.val() & (self.tag.val() == (self.last_tag.q.val() + 1));
        self.write_fits.next = (bit_cast_to(self.count.val(), INDEX_BITS) + 3) == self.frame_words.q.val();
        self.read_fits.next = self.frame_words.q.val() == 3;
        self.buffer.read_enable.next = self.step.q.val() == Step::Fetch;
        self.buffer.read_address.next = self.number.q.val();
        self.buffer.write_enable.next = false;
        self.buffer.write_address.next = bit_cast_to(self.index.val(), DATA_BITS) - 2;
        self.buffer.write_data.next = self.word.val();

        // an access
        self.address.next = bit_cast_to(self.place.q.val(), self._axi_bits);
        self.data.next = self.buffer.read_data.val();
        self.awvalid.next = self.want_aw.q.val();
        self.wvalid.next = self.want_w.q.val();
        self.arvalid.next = self.want_ar.q.val();
        if self.awready.val() {
            self.want_aw.d.next = false;
        }
        if self.wready.val() {
            self.want_w.d.next = false;
        }
        if self.arready.val() {
            self.want_ar.d.next = false;
        }
        self.answered.next = self.bvalid.val() | self.rvalid.val();
        self.failed.next = (self.bvalid.val() & self.bresp.val().any()) | (self.rvalid.val() & self.rresp.val().any());
        if self.own.q.val() {
            self.answered.next = self.own_ack.val();
            self.failed.next = self.own_error.val();
        }

        match self.step.q.val() {
            Step::Receive => {
                if self.word_valid.val() {
                    if self.index.val() == 0 {
                        self.head.d.next = self.word.val();
                    } else if self.index.val() == 1 {
                        self.place.d.next = bit_cast_to(self.word.val(), ADDRESS_BITS);
                    } else {
                        comment!("the CRC lands behind the data, but behind the longest there is no place");
                        self.buffer.write_enable.next = self.index.val() != self.beyond.val();
                    }
                }
                self.left.d.next = 0.into();
                self.number.d.next = 0.into();
                self.done.d.next = 0.into();
                self.status.d.next = self.fine.val();
                self.writing.d.next = false;
                self.frame_words.d.next = self.words.val();
                if self.ended.val() {
                    self.step.d.next = Step::Judge;
                    if !self.good.val() {
                        self.status.d.next = self.damaged.val();
                        self.step.d.next = Step::Head;
                    }
                }
            }
            Step::Judge => {
                self.step.d.next = Step::Head;
                self.own.d.next = self.place.q.val().get_bit(self._own_bit);
                if (self.command.val() == self.hello.val()) & self.read_fits.val() {
                    self.known.d.next = true;
                    self.last_tag.d.next = self.tag.val();
                    self.value.d.next = self.greeting.val();
                    self.left.d.next = 1.into();
                } else if !self.again.val() & !self.following.val() {
                    self.status.d.next = self.stranger.val();
                } else if (self.command.val() == self.write.val()) & self.write_fits.val() {
                    self.last_tag.d.next = self.tag.val();
                    self.writing.d.next = true;
                    if self.again.val() {
                        comment!("the host did not hear the answer");
                        self.done.d.next = self.last_done.q.val();
                        self.status.d.next = self.last_status.q.val();
                    } else {
                        self.left.d.next = self.count.val();
                    }
                } else if (self.command.val() == self.read.val()) & self.read_fits.val() {
                    self.last_tag.d.next = self.tag.val();
                    self.left.d.next = self.count.val();
                } else {
                    self.status.d.next = self.malformed.val();
                }
            }
            Step::Head => {
                self.reply_valid.next = true;
                if self.reply_ready.val() {
                    if self.left.q.val() == 0 {
                        self.step.d.next = Step::Report;
                    } else if self.writing.q.val() {
                        self.step.d.next = Step::Fetch;
                    } else if self.command.val() == self.hello.val() {
                        self.step.d.next = Step::Data;
                    } else {
                        self.want_ar.d.next = !self.own.q.val();
                        self.step.d.next = Step::Access;
                    }
                }
            }
            Step::Fetch => {
                self.want_aw.d.next = !self.own.q.val();
                self.want_w.d.next = !self.own.q.val();
                self.step.d.next = Step::Access;
            }
            Step::Access => {
                self.own_request.next = self.own.q.val();
                if self.answered.val() {
                    self.value.d.next = self.rdata.val();
                    if self.own.q.val() {
                        self.value.d.next = self.own_data.val();
                    }
                    self.step.d.next = Step::Data;
                    if self.failed.val() {
                        self.status.d.next = self.refused.val();
                    } else {
                        self.done.d.next = self.done.q.val() + 1;
                        self.number.d.next = self.number.q.val() + 1;
                        self.place.d.next = self.place.q.val() + 4;
                    }
                    if self.writing.q.val() {
                        self.left.d.next = self.left.q.val() - 1;
                        self.step.d.next = Step::Fetch;
                        if self.failed.val() | (self.left.q.val() == 1) {
                            self.step.d.next = Step::Report;
                        }
                    }
                }
            }
            Step::Data => {
                comment!("a reply has as many words as were asked for, whatever became of them");
                self.reply.next = self.value.q.val();
                self.reply_valid.next = true;
                if self.reply_ready.val() {
                    self.left.d.next = self.left.q.val() - 1;
                    if self.left.q.val() == 1 {
                        self.step.d.next = Step::Report;
                    } else if self.status.q.val() == self.fine.val() {
                        self.want_ar.d.next = !self.own.q.val();
                        self.step.d.next = Step::Access;
                    }
                }
            }
            Step::Report => {
                self.reply.next = (bit_cast_to(self.done.q.val(), 32) << 8) | bit_cast_to(self.status.q.val(), 32);
                self.reply_valid.next = true;
                if self.writing.q.val() {
                    self.last_done.d.next = self.done.q.val();
                    self.last_status.d.next = self.status.q.val();
                }
                if self.reply_ready.val() {
                    self.step.d.next = Step::Finish;
                }
            }
            Step::Finish => {
                self.finish.next = true;
                if self.sent.val() {
                    self.step.d.next = Step::Receive;
                }
            }
        }
        if self.reset.val() {
            self.step.d.next = Step::Receive;
            self.known.d.next = false;
            self.want_aw.d.next = false;
            self.want_w.d.next = false;
            self.want_ar.d.next = false;
        }
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("bridge")
            .doc(
                "Bridge: frames (docs/wire.md) become accesses, one after the other, and their answers a frame.\n\
                 \n\
                 AXI4-Lite master with all strobes and no protection, whose bready and rready are always high; addresses\n\
                 above its range go to the bridge's own registers: own_request with address and data holds until own_ack.\n\
                 A frame is acted on only when its CRC is right and its tag is the last one or the next;\n\
                 a write with the last tag is answered again and not done again. Nothing that arrives while a reply\n\
                 is made or sent is taken in.",
            )
            .value("_own_bit", self._own_bit)
            .into_timing()
    }
}
