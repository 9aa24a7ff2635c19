//! The host's way to every memory: single words for the window, whole sections for the CRC check.

use super::bus_address_bits;
use crate::prim::{ByteMerge, Crc32, LaneMerge};
use crate::signal::*;
use crate::spmv::{host_lanes, PE_BITS, PE_COUNT_BITS};
use lacuna_compress::spec::arch::address_bits;
use lacuna_compress::spec::{Arch, MemoryKind};

/// Bits of a lane's number in a memory: eight pages of bits above the 1 MiB window.
const LANE_ADDRESS_BITS: usize = 26;
/// Bits of a memory's depth.
const DEPTH_BITS: usize = 26;

#[derive(Copy, Clone, PartialEq, Debug, LogicState)]
pub enum Step {
    /// Waits for a request or a check.
    Idle,
    /// One cycle: finds out where the first lane lies.
    Locate,
    /// One cycle: begins, if there is such a word or section.
    Begin,
    /// Reads lane after lane: the addressed one, all of the word that a write changes, or all of a section.
    Lanes,
    /// Answers; if it was a write, the word is written back in the next cycle.
    Answer,
    /// The CRC is complete.
    Result,
}

#[derive(LogicBlock)]
pub struct MemoryPort {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub pes: Wire<In>,
    // one lane of one memory
    pub request: Signal<In, Bit>,
    pub write: Signal<In, Bit>,
    pub memory: Wire<In>,
    pub pe: Wire<In>,
    pub page: Wire<In>,
    pub offset: Wire<In>,
    pub data: Wire<In>,
    pub strobe: Wire<In>,
    pub ack: Signal<Out, Bit>,
    pub range_error: Signal<Out, Bit>,
    pub read_data: Wire<Out>,
    // a section
    pub check: Signal<In, Bit>,
    pub check_memory: Wire<In>,
    pub check_pe: Wire<In>,
    pub check_words: Wire<In>,
    pub stop: Signal<In, Bit>,
    pub checking: Signal<Out, Bit>,
    pub refused: Signal<Out, Bit>,
    pub checked: Signal<Out, Bit>,
    pub crc: Wire<Out>,
    // towards the memories
    pub bus_pe: Wire<Out>,
    pub bus_memory: Wire<Out>,
    pub bus_read: Signal<Out, Bit>,
    pub bus_write: Signal<Out, Bit>,
    pub bus_address: Wire<Out>,
    pub bus_lane: Wire<Out>,
    pub bus_data: Wire<Out>,
    pub bus_word: Wire<In>,
    step: DFF<Step>,
    at_memory: Reg,
    at_pe: Reg,
    at_check: Flag,
    at_lane: Reg,
    at_end: Reg,
    at_top: Reg,
    at_mask: Reg,
    exists: Flag,
    fits: Flag,
    word: Reg,
    lane_word: Reg,
    bytes: ByteMerge,
    merge: LaneMerge,
    crc_step: Crc32,
    state: Reg,
    // the addressed lane
    lane_address: Wire<Local>,
    word_address: Wire<Local>,
    lane: Wire<Local>,
    depth: Wire<Local>,
    count: Wire<Local>,
    last_lane: Wire<Local>,
    last_mask: Wire<Local>,
    // the lane that is asked for (0), in the memory's output (1), in two registers on the way (2, 3), in `lane_word` (4)
    left: Reg,
    issuing: Flag,
    writing: Flag,
    opening: Flag,
    address_0: Reg,
    lane_0: Reg,
    ends_0: Signal<Local, Bit>,
    valid_1: Flag,
    lane_1: Reg,
    last_1: Flag,
    valid_2: Flag,
    lane_2: Reg,
    last_2: Flag,
    valid_3: Flag,
    lane_3: Reg,
    last_3: Flag,
    valid_4: Flag,
    lane_4: Reg,
    last_4: Flag,
    // of each memory, by its number
    depths: Vec<Const>,
    counts: Vec<Const>,
    shifts: Vec<Const>,
    masks: Vec<Const>,
    last_lanes: Vec<Const>,
    last_masks: Vec<Const>,
    all_ones: Const,
    _address: usize,
    _offset: usize,
}

impl MemoryPort {
    pub fn new(arch: &Arch) -> MemoryPort {
        let lanes = host_lanes(arch);
        let address = bus_address_bits(arch);
        let lane = address_bits(lanes);
        let all = MemoryKind::ALL;
        let more = Arch { pes: arch.pes + 1, ..arch.clone() };
        let fixed_count = |k: &MemoryKind| if k.count(arch) == k.count(&more) { k.count(arch) } else { 0 };
        let present = |k: &MemoryKind| k.depth(arch) > 0;
        // the bits of a word in its last lane
        let ones = |width: usize| (1 << ((width - 1) % 32 + 1)) - 1;
        let window = |k: &MemoryKind| if present(k) { k.window_lanes(arch) } else { 1 };
        MemoryPort {
            clock: Default::default(),
            reset: Default::default(),
            pes: Wire::new(PE_COUNT_BITS),
            request: Default::default(),
            write: Default::default(),
            memory: Wire::new(3),
            pe: Wire::new(PE_BITS),
            page: Wire::new(8),
            offset: Wire::new(18),
            data: Wire::new(32),
            strobe: Wire::new(4),
            ack: Default::default(),
            range_error: Default::default(),
            read_data: Wire::new(32),
            check: Default::default(),
            check_memory: Wire::new(3),
            check_pe: Wire::new(PE_BITS),
            check_words: Wire::new(32),
            stop: Default::default(),
            checking: Default::default(),
            refused: Default::default(),
            checked: Default::default(),
            crc: Wire::new(32),
            bus_pe: Wire::new(PE_BITS),
            bus_memory: Wire::new(3),
            bus_read: Default::default(),
            bus_write: Default::default(),
            bus_address: Wire::new(address),
            bus_lane: Wire::new(lane),
            bus_data: Wire::new(32 * lanes),
            bus_word: Wire::new(32),
            step: Default::default(),
            at_memory: Reg::new(3),
            at_pe: Reg::new(PE_BITS),
            at_check: Flag::new(),
            at_lane: Reg::new(lane),
            at_end: Reg::new(lane),
            at_top: Reg::new(lane),
            at_mask: Reg::new(32),
            exists: Flag::new(),
            fits: Flag::new(),
            word: Reg::new(32 * lanes),
            lane_word: Reg::new(32),
            bytes: ByteMerge::default(),
            merge: LaneMerge::new(lanes),
            crc_step: Crc32::default(),
            state: Reg::new(32),
            lane_address: Wire::new(LANE_ADDRESS_BITS),
            word_address: Wire::new(LANE_ADDRESS_BITS),
            lane: Wire::new(lane),
            depth: Wire::new(DEPTH_BITS),
            count: Wire::new(PE_COUNT_BITS),
            last_lane: Wire::new(lane),
            last_mask: Wire::new(32),
            left: Reg::new(32),
            issuing: Flag::new(),
            writing: Flag::new(),
            opening: Flag::new(),
            address_0: Reg::new(address),
            lane_0: Reg::new(lane),
            ends_0: Default::default(),
            valid_1: Flag::new(),
            lane_1: Reg::new(lane),
            last_1: Flag::new(),
            valid_2: Flag::new(),
            lane_2: Reg::new(lane),
            last_2: Flag::new(),
            valid_3: Flag::new(),
            lane_3: Reg::new(lane),
            last_3: Flag::new(),
            valid_4: Flag::new(),
            lane_4: Reg::new(lane),
            last_4: Flag::new(),
            // 0: as many as there are PEs, which this module does not know
            counts: all.iter().map(|k| Const::new(PE_COUNT_BITS, fixed_count(k) as u64)).collect(),
            depths: all.iter().map(|k| Const::new(DEPTH_BITS, k.depth(arch) as u64)).collect(),
            shifts: all.iter().map(|k| Const::new(3, window(k).trailing_zeros().into())).collect(),
            masks: all.iter().map(|k| Const::new(LANE_ADDRESS_BITS, window(k) as u64 - 1)).collect(),
            last_lanes: all.iter().map(|k| Const::new(lane, if present(k) { k.width(arch).div_ceil(32) as u64 - 1 } else { 0 })).collect(),
            last_masks: all.iter().map(|k| Const::new(32, if present(k) { ones(k.width(arch)) } else { 0 })).collect(),
            all_ones: Const::new(32, 0xffff_ffff),
            _address: address,
            _offset: 18,
        }
    }
}

impl Logic for MemoryPort {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, step, at_memory, at_pe, at_check, at_lane, at_end, at_top, at_mask, exists, fits, word, lane_word, state, left,
            issuing, writing, opening
        );
        dff_setup!(
            self, clock, address_0, lane_0, valid_1, lane_1, last_1, valid_2, lane_2, last_2, valid_3, lane_3, last_3, valid_4, lane_4,
            last_4
        );
        self.ack.next = false;
        self.range_error.next = false;
        self.refused.next = false;
        self.checked.next = false;
        self.checking.next = false;
        self.bus_read.next = false;
        self.writing.d.next = false;
        self.bus_write.next = self.writing.q.val();

        // where the addressed lane lies
        if self.step.q.val() == Step::Idle {
            self.at_check.d.next = self.check.val();
            self.at_memory.d.next = self.memory.val();
            self.at_pe.d.next = self.pe.val();
            if self.check.val() {
                self.at_memory.d.next = self.check_memory.val();
                self.at_pe.d.next = self.check_pe.val();
            }
        }
        self.lane_address.next =
            (bit_cast_to(self.page.val(), LANE_ADDRESS_BITS) << self._offset) | bit_cast_to(self.offset.val(), LANE_ADDRESS_BITS);
        self.word_address.next = 0.into();
        self.lane.next = 0.into();
        self.depth.next = 0.into();
        self.count.next = self.pes.val();
        self.last_lane.next = 0.into();
        self.last_mask.next = 0.into();
        for k in 0..8 {
            if self.at_memory.q.val() == k.index() {
                self.word_address.next = self.lane_address.val() >> self.shifts[k].val();
                self.lane.next = (self.lane_address.val() & self.masks[k].val()).get_bits::<Fit>(0);
                self.depth.next = self.depths[k].val();
                if self.counts[k].val() != 0 {
                    self.count.next = self.counts[k].val();
                }
                self.last_lane.next = self.last_lanes[k].val();
                self.last_mask.next = self.last_masks[k].val();
            }
        }
        if self.step.q.val() == Step::Locate {
            self.at_lane.d.next = self.lane.val();
            self.at_end.d.next = self.last_lane.val();
            self.at_top.d.next = self.last_lane.val();
            self.at_mask.d.next = self.last_mask.val();
            self.lane_0.d.next = 0.into();
            self.left.d.next = 1.into();
            self.exists.d.next =
                (self.word_address.val() < self.depth.val()) & (bit_cast_to(self.at_pe.q.val(), PE_COUNT_BITS) < self.count.val());
            self.fits.d.next = (self.check_words.val() != 0) & (self.check_words.val() <= bit_cast_to(self.depth.val(), 32));
            self.address_0.d.next = bit_cast_to(self.word_address.val(), self._address);
            self.opening.d.next = true;
            self.state.d.next = self.all_ones.val();
            if self.at_check.q.val() {
                self.address_0.d.next = 0.into();
                self.left.d.next = self.check_words.val();
            } else if !self.write.val() {
                self.lane_0.d.next = self.lane.val();
                self.at_end.d.next = self.lane.val();
            }
        }
        self.bus_memory.next = self.at_memory.q.val();
        self.bus_pe.next = self.at_pe.q.val();
        self.bus_address.next = self.address_0.q.val();

        self.bus_lane.next = self.lane_1.q.val();
        self.bus_data.next = self.word.q.val();
        self.read_data.next = self.lane_word.q.val();

        // one lane a cycle, there four cycles after it is asked for; a write replaces bytes of one of them
        self.ends_0.next = self.lane_0.q.val() == self.at_end.q.val();
        self.valid_1.d.next = self.issuing.q.val();
        self.lane_1.d.next = self.lane_0.q.val();
        self.last_1.d.next = self.ends_0.val() & (self.left.q.val() == 1);
        self.valid_2.d.next = self.valid_1.q.val();
        self.lane_2.d.next = self.lane_1.q.val();
        self.last_2.d.next = self.last_1.q.val();
        self.lane_word.d.next = self.lane_word.q.val();
        if self.valid_3.q.val() {
            self.lane_word.d.next = self.bus_word.val();
            if self.lane_3.q.val() == self.at_top.q.val() {
                self.lane_word.d.next = self.bus_word.val() & self.at_mask.q.val();
            } else if self.lane_3.q.val() > self.at_top.q.val() {
                self.lane_word.d.next = 0.into();
            }
        }
        self.valid_3.d.next = self.valid_2.q.val();
        self.lane_3.d.next = self.lane_2.q.val();
        self.last_3.d.next = self.last_2.q.val();
        self.valid_4.d.next = self.valid_3.q.val();
        self.lane_4.d.next = self.lane_3.q.val();
        self.last_4.d.next = self.last_3.q.val();
        self.bytes.old.next = self.lane_word.q.val();
        self.bytes.data.next = self.data.val();
        self.bytes.strobe.next = self.strobe.val();
        self.merge.word.next = self.word.q.val();
        self.merge.lane.next = self.lane_4.q.val();
        self.merge.data.next = self.lane_word.q.val();
        if self.lane_4.q.val() == self.at_lane.q.val() {
            self.merge.data.next = self.bytes.merged.val();
        }
        if self.valid_4.q.val() {
            self.word.d.next = self.merge.merged.val();
        }
        self.crc_step.state.next = self.state.q.val();
        self.crc_step.word.next = self.lane_word.q.val();
        self.crc.next = !self.state.q.val();

        match self.step.q.val() {
            Step::Idle => {
                if self.check.val() | self.request.val() {
                    self.step.d.next = Step::Locate;
                }
            }
            Step::Locate => {
                self.checking.next = self.at_check.q.val();
                self.step.d.next = Step::Begin;
            }
            Step::Begin => {
                self.checking.next = self.at_check.q.val();
                self.step.d.next = Step::Lanes;
                self.issuing.d.next = true;
                if self.at_check.q.val() & !self.fits.q.val() {
                    self.refused.next = true;
                    self.step.d.next = Step::Idle;
                    self.issuing.d.next = false;
                }
                if !self.at_check.q.val() & !self.exists.q.val() {
                    self.ack.next = true;
                    self.range_error.next = true;
                    self.step.d.next = Step::Idle;
                    self.issuing.d.next = false;
                }
            }
            Step::Lanes => {
                self.checking.next = self.at_check.q.val();
                self.bus_read.next = self.issuing.q.val() & self.opening.q.val();
                if self.issuing.q.val() {
                    self.opening.d.next = self.ends_0.val();
                    self.lane_0.d.next = self.lane_0.q.val() + 1;
                    if self.ends_0.val() {
                        self.lane_0.d.next = 0.into();
                        self.left.d.next = self.left.q.val() - 1;
                        self.issuing.d.next = self.left.q.val() != 1;
                    }
                    if self.ends_0.val() & self.at_check.q.val() {
                        self.address_0.d.next = self.address_0.q.val() + 1;
                    }
                }
                if self.valid_4.q.val() {
                    self.state.d.next = self.crc_step.result.val();
                    if self.last_4.q.val() {
                        self.step.d.next = Step::Answer;
                        if self.at_check.q.val() {
                            self.step.d.next = Step::Result;
                        }
                    }
                }
            }
            Step::Answer => {
                self.writing.d.next = self.write.val();
                self.ack.next = true;
                self.step.d.next = Step::Idle;
            }
            Step::Result => {
                self.checking.next = true;
                self.checked.next = !self.stop.val();
                self.step.d.next = Step::Idle;
            }
        }
        if self.stop.val() & self.at_check.q.val() & (self.step.q.val() != Step::Idle) {
            self.refused.next = false;
            self.step.d.next = Step::Idle;
            self.issuing.d.next = false;
        }
        if (self.step.q.val() != Step::Lanes) | self.reset.val() {
            self.valid_1.d.next = false;
            self.valid_2.d.next = false;
            self.valid_3.d.next = false;
            self.valid_4.d.next = false;
        }
        // before the first reset the state is anything: it must not cost a preloaded word, neither now nor in the next cycle
        if self.reset.val() {
            self.bus_write.next = false;
            self.writing.d.next = false;
            self.step.d.next = Step::Idle;
            self.issuing.d.next = false;
        }
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("memory_port")
            .doc(
                "Memory port: one lane of one memory for the host, or a section through the CRC.\n\
                 \n\
                 request holds until ack. A read answers with the lane; a write reads the word, lane by lane, replaces the\n\
                 bytes that strobe names and writes it back. A lane beyond the memory, or a PE that does not exist, is\n\
                 answered with range_error and touches nothing. check reads check_words words of a memory and\n\
                 gives their CRC-32 with checked; a length of zero or beyond the memory is refused. stop ends it. Bits of a lane\n\
                 beyond the word are zero, whatever bus_word says.",
            )
            .value("_offset", self._offset)
            .into_timing()
    }
}
