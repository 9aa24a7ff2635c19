//! Bytes become frames: the words between two END bytes, and whether their CRC is right.

use crate::prim::Crc32;
use crate::signal::*;
use lacuna_compress::spec::arch::address_bits;
use lacuna_compress::spec::wire::{CRC_RESIDUE, END, ESCAPE, ESCAPED_END, ESCAPED_ESCAPE, MAX_WORDS};

/// Head, address, data, CRC.
const LONGEST: usize = MAX_WORDS + 3;
/// Bits of a word's number in a frame.
pub(super) const INDEX_BITS: usize = LONGEST.ilog2() as usize + 1;

#[derive(LogicBlock)]
pub struct FrameRx {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub octet: Wire<In>,
    pub valid: Signal<In, Bit>,
    pub hold: Signal<In, Bit>,
    pub word: Wire<Out>,
    pub index: Wire<Out>,
    pub word_valid: Signal<Out, Bit>,
    pub ended: Signal<Out, Bit>,
    pub good: Signal<Out, Bit>,
    pub words: Wire<Out>,
    shift: Reg,
    count: Reg,
    number: Reg,
    fresh: Flag,
    state: Reg,
    crc: Crc32,
    escaped: Flag,
    // the frame cannot be right any more
    broken: Flag,
    // bytes were missed: what comes until the next END is no frame
    lost: Flag,
    plain: Wire<Local>,
    end_byte: Const,
    escape: Const,
    escaped_end: Const,
    escaped_escape: Const,
    residue: Const,
    all_ones: Const,
    longest: Const,
}

impl Default for FrameRx {
    fn default() -> FrameRx {
        let byte = |b: u8| Const::new(8, b.into());
        FrameRx {
            clock: Default::default(),
            reset: Default::default(),
            octet: Wire::new(8),
            valid: Default::default(),
            hold: Default::default(),
            word: Wire::new(32),
            index: Wire::new(INDEX_BITS),
            word_valid: Default::default(),
            ended: Default::default(),
            good: Default::default(),
            words: Wire::new(INDEX_BITS),
            shift: Reg::new(32),
            count: Reg::new(address_bits(4)),
            number: Reg::new(INDEX_BITS),
            fresh: Flag::new(),
            state: Reg::new(32),
            crc: Default::default(),
            escaped: Flag::new(),
            broken: Flag::new(),
            lost: Flag::new(),
            plain: Wire::new(8),
            end_byte: byte(END),
            escape: byte(ESCAPE),
            escaped_end: byte(ESCAPED_END),
            escaped_escape: byte(ESCAPED_ESCAPE),
            residue: Const::new(32, CRC_RESIDUE.into()),
            all_ones: Const::new(32, 0xffff_ffff),
            longest: Const::new(INDEX_BITS, LONGEST as u64),
        }
    }
}

impl Logic for FrameRx {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, shift, count, number, fresh, state, escaped, broken, lost);
        self.ended.next = false;
        self.good.next = false;
        self.fresh.d.next = false;

        // a whole word, a cycle after its last byte
        self.word.next = self.shift.q.val();
        self.index.next = self.number.q.val();
        self.words.next = self.number.q.val();
        self.word_valid.next = self.fresh.q.val() & !self.broken.q.val();
        self.crc.state.next = self.state.q.val();
        self.crc.word.next = self.shift.q.val();
        if self.fresh.q.val() {
            self.state.d.next = self.crc.result.val();
            self.number.d.next = self.number.q.val() + 1;
            if self.number.q.val() == self.longest.val() {
                self.broken.d.next = true;
                self.number.d.next = self.number.q.val();
            }
        }

        self.plain.next = self.octet.val();
        if self.escaped.q.val() {
            self.plain.next = self.end_byte.val();
            if self.octet.val() == self.escaped_escape.val() {
                self.plain.next = self.escape.val();
            }
        }
        if self.valid.val() {
            if self.octet.val() == self.end_byte.val() {
                comment!("two ENDs in a row have no frame between them");
                self.ended.next = !self.lost.q.val() & ((self.number.q.val() != 0) | (self.count.q.val() != 0) | self.escaped.q.val());
                self.good.next =
                    (self.state.q.val() == self.residue.val()) & (self.count.q.val() == 0) & !self.escaped.q.val() & !self.broken.q.val();
                self.lost.d.next = false;
                self.state.d.next = self.all_ones.val();
                self.number.d.next = 0.into();
                self.count.d.next = 0.into();
                self.escaped.d.next = false;
                self.broken.d.next = false;
            } else if (self.octet.val() == self.escape.val()) & !self.escaped.q.val() {
                self.escaped.d.next = true;
            } else {
                self.escaped.d.next = false;
                if self.escaped.q.val() & (self.octet.val() != self.escaped_end.val()) & (self.octet.val() != self.escaped_escape.val()) {
                    self.broken.d.next = true;
                }
                self.shift.d.next = (bit_cast_to(self.plain.val(), 32) << 24) | (self.shift.q.val() >> 8);
                self.count.d.next = self.count.q.val() + 1;
                self.fresh.d.next = self.count.q.val() == 3;
            }
        }
        if self.reset.val() | (self.hold.val() & self.valid.val()) {
            self.lost.d.next = true;
            self.ended.next = false;
            self.fresh.d.next = false;
            self.state.d.next = self.all_ones.val();
            self.number.d.next = 0.into();
            self.count.d.next = 0.into();
            self.escaped.d.next = false;
            self.broken.d.next = false;
        }
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("frame_rx")
            .doc(
                "Frame receiver: the words between two END bytes (docs/wire.md), the CRC among them.\n\
                 \n\
                 word number index counts in the cycle of word_valid; ended says that a frame is over, and with it good\n\
                 that its CRC is right, and words how many there were. Bytes come at least four cycles apart. What comes\n\
                 while hold is high is dropped, and so is the rest of a frame that began or ended in that time.",
            )
            .into_timing()
    }
}
