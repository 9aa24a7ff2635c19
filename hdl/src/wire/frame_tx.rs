//! Words become a frame of bytes, with its CRC.

use crate::prim::Crc32;
use crate::signal::*;
use lacuna_compress::spec::wire::{END, ESCAPE, ESCAPED_END, ESCAPED_ESCAPE};

#[derive(Copy, Clone, PartialEq, Debug, LogicState)]
pub enum Step {
    /// Waits for the first word.
    Idle,
    /// Sends the first END.
    Open,
    /// Sends words, or waits for one or for the end of the frame.
    Words,
    /// Sends the CRC.
    Check,
    /// Sends the last END.
    Close,
}

#[derive(LogicBlock)]
pub struct FrameTx {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub word: Wire<In>,
    pub valid: Signal<In, Bit>,
    pub ready: Signal<Out, Bit>,
    pub finish: Signal<In, Bit>,
    pub idle: Signal<Out, Bit>,
    pub octet: Wire<Out>,
    pub byte_valid: Signal<Out, Bit>,
    pub byte_ready: Signal<In, Bit>,
    step: DFF<Step>,
    shift: Reg,
    left: Reg,
    state: Reg,
    crc: Crc32,
    escaped: Flag,
    special: Signal<Local, Bit>,
    end_byte: Const,
    escape: Const,
    escaped_end: Const,
    escaped_escape: Const,
    all_ones: Const,
}

impl Default for FrameTx {
    fn default() -> FrameTx {
        let byte = |b: u8| Const::new(8, b.into());
        FrameTx {
            clock: Default::default(),
            reset: Default::default(),
            word: Wire::new(32),
            valid: Default::default(),
            ready: Default::default(),
            finish: Default::default(),
            idle: Default::default(),
            octet: Wire::new(8),
            byte_valid: Default::default(),
            byte_ready: Default::default(),
            step: Default::default(),
            shift: Reg::new(32),
            left: Reg::new(3),
            state: Reg::new(32),
            crc: Default::default(),
            escaped: Flag::new(),
            special: Default::default(),
            end_byte: byte(END),
            escape: byte(ESCAPE),
            escaped_end: byte(ESCAPED_END),
            escaped_escape: byte(ESCAPED_ESCAPE),
            all_ones: Const::new(32, 0xffff_ffff),
        }
    }
}

impl Logic for FrameTx {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, step, shift, left, state, escaped);
        self.ready.next = false;
        self.idle.next = self.step.q.val() == Step::Idle;
        self.crc.state.next = self.state.q.val();
        self.crc.word.next = self.word.val();

        // the lowest byte of `shift`, as one byte or as two
        self.octet.next = bit_cast_to(self.shift.q.val(), 8);
        self.special.next = (self.octet.val() == self.end_byte.val()) | (self.octet.val() == self.escape.val());
        if self.special.val() {
            if !self.escaped.q.val() {
                self.octet.next = self.escape.val();
            } else if self.octet.val() == self.end_byte.val() {
                self.octet.next = self.escaped_end.val();
            } else {
                self.octet.next = self.escaped_escape.val();
            }
        }
        self.byte_valid.next = self.left.q.val() != 0;
        if self.byte_valid.val() & self.byte_ready.val() {
            self.escaped.d.next = self.special.val() & !self.escaped.q.val();
            if !self.special.val() | self.escaped.q.val() {
                self.left.d.next = self.left.q.val() - 1;
                self.shift.d.next = self.shift.q.val() >> 8;
            }
        }

        match self.step.q.val() {
            Step::Idle => {
                self.state.d.next = self.all_ones.val();
                self.left.d.next = 0.into();
                self.escaped.d.next = false;
                if self.valid.val() {
                    self.step.d.next = Step::Open;
                }
            }
            Step::Open => {
                self.octet.next = self.end_byte.val();
                self.byte_valid.next = true;
                if self.byte_ready.val() {
                    self.step.d.next = Step::Words;
                }
            }
            Step::Words => {
                if self.left.q.val() == 0 {
                    self.ready.next = true;
                    if self.valid.val() {
                        self.shift.d.next = self.word.val();
                        self.state.d.next = self.crc.result.val();
                        self.left.d.next = 4.into();
                    } else if self.finish.val() {
                        self.shift.d.next = !self.state.q.val();
                        self.left.d.next = 4.into();
                        self.step.d.next = Step::Check;
                    }
                }
            }
            Step::Check => {
                if self.left.q.val() == 0 {
                    self.step.d.next = Step::Close;
                }
            }
            Step::Close => {
                self.octet.next = self.end_byte.val();
                self.byte_valid.next = true;
                if self.byte_ready.val() {
                    self.step.d.next = Step::Idle;
                }
            }
        }
        if self.reset.val() {
            self.step.d.next = Step::Idle;
            self.left.d.next = 0.into();
        }
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("frame_tx")
            .doc(
                "Frame sender: words as bytes between two ENDs, behind them their CRC (docs/wire.md).\n\
                 \n\
                 A word is taken when valid and ready; the first one after idle begins a frame. finish, held until idle,\n\
                 ends it.",
            )
            .into_timing()
    }
}
