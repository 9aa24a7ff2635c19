//! The register file: what the host reads and writes, and who may do what when.

use crate::prim::ByteMerge;
use crate::signal::*;
use crate::spmv::{PE_BITS, PE_COUNT_BITS};
use lacuna_compress::spec::arch::FORMAT_VERSION;
use lacuna_compress::spec::layout::pe_sections;
use lacuna_compress::spec::registers::{registers, Access, Register, ADDRESS_BITS, ID_VALUE, REGISTERS, STREAM_REGISTERS};
use lacuna_compress::spec::{Arch, MemoryKind};

/// Registers that say what the memories hold; they cannot be written while busy.
const CONFIGURATION: [&str; 4] = ["MEM_SELECT", "MEM_PAGE", "SECTION_WORDS", "SECTION_CRC"];

/// Place of a register in the table.
fn index(name: &str) -> usize {
    REGISTERS.iter().chain(STREAM_REGISTERS).position(|r| r.name == name).unwrap_or_else(|| panic!("the register table has no {name}"))
}

#[derive(LogicBlock)]
pub struct Registers {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub hash_low: Wire<In>,
    pub hash_high: Wire<In>,
    pub pes: Wire<In>,
    // from AxiLite
    pub request: Signal<In, Bit>,
    pub write: Signal<In, Bit>,
    pub address: Wire<In>,
    pub data: Wire<In>,
    pub strobe: Wire<In>,
    pub ack: Signal<Out, Bit>,
    pub error: Signal<Out, Bit>,
    pub read_data: Wire<Out>,
    pub irq: Signal<Out, Bit>,
    // towards MemoryPort
    pub port_request: Signal<Out, Bit>,
    pub port_ack: Signal<In, Bit>,
    pub port_range_error: Signal<In, Bit>,
    pub port_data: Wire<In>,
    pub memory: Wire<Out>,
    pub pe: Wire<Out>,
    pub page: Wire<Out>,
    pub check: Signal<Out, Bit>,
    pub check_memory: Wire<Out>,
    pub check_pe: Wire<Out>,
    pub check_words: Wire<Out>,
    pub stop: Signal<Out, Bit>,
    pub checking: Signal<In, Bit>,
    pub refused: Signal<In, Bit>,
    pub checked: Signal<In, Bit>,
    pub crc: Wire<In>,
    // towards the sequencer
    pub start: Signal<Out, Bit>,
    pub abort: Signal<Out, Bit>,
    pub sequencer_busy: Signal<In, Bit>,
    pub computing: Signal<In, Bit>,
    pub finished: Signal<In, Bit>,
    pub result_b: Signal<In, Bit>,
    pub cycles: Wire<In>,
    pub stalls_queue: Wire<In>,
    pub stalls_scan: Wire<In>,
    pub stalls_drain: Wire<In>,
    pub valid: Signal<Out, Bit>,
    // of an accelerator of the ESE kind: each has one element, else none
    pub stop_steps: Vec<Signal<Out, Bit>>,
    pub mask: Vec<Wire<Out>>,
    pub clear_state: Vec<Wire<Out>>,
    pub steps: Vec<Wire<In>>,
    pub stalls_input: Vec<Wire<In>>,
    pub stalls_data: Vec<Wire<In>>,
    pub stalls_output: Vec<Wire<In>>,
    pub bad_vectors: Vec<Wire<In>>,
    pub vector_short: Vec<Signal<In, Bit>>,
    pub vector_long: Vec<Signal<In, Bit>>,
    pub wrong_channel: Vec<Signal<In, Bit>>,
    mask_register: Vec<Reg>,
    bad_register: Vec<Reg>,
    error_short: Vec<Flag>,
    error_long: Vec<Flag>,
    error_channel: Vec<Flag>,
    channels: Const,
    everyone: Const,
    scratch: Reg,
    irq_enable: Flag,
    irq_pending: Flag,
    done: Flag,
    mem_memory: Reg,
    mem_pe: Reg,
    mem_page: Reg,
    section_words: Reg,
    section_crc: Reg,
    computed_crc: Reg,
    next_memory: Reg,
    next_pe: Reg,
    following_pe: Wire<Local>,
    weights_valid: Flag,
    error_access: Flag,
    error_unchecked: Flag,
    error_command: Flag,
    error_crc: Flag,
    error_length: Flag,
    error_range: Flag,
    any_error: Signal<Local, Bit>,
    busy: Signal<Local, Bit>,
    in_window: Signal<Local, Bit>,
    // a request's second cycle, its third and later ones
    found: Flag,
    read: Flag,
    known: Flag,
    writable: Flag,
    lockable: Flag,
    locked: Signal<Local, Bit>,
    answering: Signal<Local, Bit>,
    store: Signal<Local, Bit>,
    register_address: Wire<Local>,
    hit: Vec<Flag>,
    value: Vec<Wire<Local>>,
    shown: Vec<Wire<Local>>,
    sum: Wire<Local>,
    any_known: Signal<Local, Bit>,
    any_writable: Signal<Local, Bit>,
    any_lockable: Signal<Local, Bit>,
    current: Reg,
    merge: ByteMerge,
    addresses: Vec<Const>,
    may_write: Vec<Const>,
    configuration: Vec<Const>,
    last_memory: Const,
    after_last: Const,
    id: Const,
    version: Const,
    unused_merged: Signal<Local, Bit>,
    _streams: usize,
    _codebooks: usize,
    _channel_bits: usize,
    _registers: usize,
    _id: usize,
    _version: usize,
    _hash_low: usize,
    _hash_high: usize,
    _scratch: usize,
    _control: usize,
    _status: usize,
    _errors: usize,
    _irq_enable: usize,
    _irq_pending: usize,
    _mem_select: usize,
    _mem_page: usize,
    _section_words: usize,
    _section_crc: usize,
    _section_next: usize,
    _computed_crc: usize,
    _cycles: usize,
    _stall_queue: usize,
    _stall_scan: usize,
    _stall_drain: usize,
    _pes: usize,
    _channels: usize,
    _channel_mask: usize,
    _clear_state: usize,
    _steps: usize,
    _stall_input: usize,
    _stall_data: usize,
    _stall_output: usize,
    _bad_vectors: usize,
}

impl Registers {
    pub fn new(arch: &Arch) -> Registers {
        let last = pe_sections(arch).last().copied().unwrap_or(MemoryKind::Bias);
        let word = || Wire::new(32);
        let all: Vec<&Register> = registers(arch).collect();
        let streams = usize::from(arch.ese.is_some());
        let channels = arch.channels();
        // a register of the other kind has no place; nothing is made of the code that would name it
        let stream_index = |name| if streams == 1 { index(name) } else { 0 };
        let flag = |on: bool| Const::new(1, u64::from(on));
        Registers {
            clock: Default::default(),
            reset: Default::default(),
            hash_low: Wire::new(32),
            hash_high: Wire::new(32),
            pes: Wire::new(PE_COUNT_BITS),
            request: Default::default(),
            write: Default::default(),
            address: Wire::new(ADDRESS_BITS),
            data: Wire::new(32),
            strobe: Wire::new(4),
            ack: Default::default(),
            error: Default::default(),
            read_data: Wire::new(32),
            irq: Default::default(),
            port_request: Default::default(),
            port_ack: Default::default(),
            port_range_error: Default::default(),
            port_data: Wire::new(32),
            memory: Wire::new(3),
            pe: Wire::new(PE_BITS),
            page: Wire::new(8),
            check: Default::default(),
            check_memory: Wire::new(3),
            check_pe: Wire::new(PE_BITS),
            check_words: Wire::new(32),
            stop: Default::default(),
            checking: Default::default(),
            refused: Default::default(),
            checked: Default::default(),
            crc: Wire::new(32),
            start: Default::default(),
            abort: Default::default(),
            sequencer_busy: Default::default(),
            computing: Default::default(),
            finished: Default::default(),
            result_b: Default::default(),
            cycles: Wire::new(32),
            stalls_queue: Wire::new(32),
            stalls_scan: Wire::new(32),
            stalls_drain: Wire::new(32),
            valid: Default::default(),
            stop_steps: (0..streams).map(|_| Default::default()).collect(),
            mask: (0..streams).map(|_| Wire::new(channels)).collect(),
            clear_state: (0..streams).map(|_| Wire::new(channels)).collect(),
            steps: (0..streams).map(|_| Wire::new(32)).collect(),
            stalls_input: (0..streams).map(|_| Wire::new(32)).collect(),
            stalls_data: (0..streams).map(|_| Wire::new(32)).collect(),
            stalls_output: (0..streams).map(|_| Wire::new(32)).collect(),
            bad_vectors: (0..streams).map(|_| Wire::new(channels)).collect(),
            vector_short: (0..streams).map(|_| Default::default()).collect(),
            vector_long: (0..streams).map(|_| Default::default()).collect(),
            wrong_channel: (0..streams).map(|_| Default::default()).collect(),
            mask_register: (0..streams).map(|_| Reg::new(channels)).collect(),
            bad_register: (0..streams).map(|_| Reg::new(channels)).collect(),
            error_short: (0..streams).map(|_| Flag::new()).collect(),
            error_long: (0..streams).map(|_| Flag::new()).collect(),
            error_channel: (0..streams).map(|_| Flag::new()).collect(),
            channels: Const::new(32, channels as u64),
            everyone: Const::new(channels, (1 << channels) - 1),
            scratch: Reg::new(32),
            irq_enable: Flag::new(),
            irq_pending: Flag::new(),
            done: Flag::new(),
            mem_memory: Reg::new(3),
            mem_pe: Reg::new(PE_BITS),
            mem_page: Reg::new(8),
            section_words: Reg::new(32),
            section_crc: Reg::new(32),
            computed_crc: Reg::new(32),
            next_memory: Reg::new(3),
            next_pe: Reg::new(PE_BITS),
            following_pe: Wire::new(PE_COUNT_BITS),
            weights_valid: Flag::with_initial_parameter("PRELOAD"),
            error_access: Flag::new(),
            error_unchecked: Flag::new(),
            error_command: Flag::new(),
            error_crc: Flag::new(),
            error_length: Flag::new(),
            error_range: Flag::new(),
            any_error: Default::default(),
            busy: Default::default(),
            in_window: Default::default(),
            found: Flag::new(),
            read: Flag::new(),
            known: Flag::new(),
            writable: Flag::new(),
            lockable: Flag::new(),
            locked: Default::default(),
            answering: Default::default(),
            store: Default::default(),
            register_address: Wire::new(ADDRESS_BITS),
            hit: all.iter().map(|_| Flag::new()).collect(),
            value: all.iter().map(|_| word()).collect(),
            shown: all.iter().map(|_| word()).collect(),
            sum: Wire::new(32),
            any_known: Default::default(),
            any_writable: Default::default(),
            any_lockable: Default::default(),
            current: Reg::new(32),
            merge: ByteMerge::default(),
            addresses: all.iter().map(|r| Const::new(ADDRESS_BITS, r.address.into())).collect(),
            may_write: all.iter().map(|r| flag(r.access != Access::ReadOnly)).collect(),
            configuration: all.iter().map(|r| flag(CONFIGURATION.contains(&r.name))).collect(),
            last_memory: Const::new(3, last.code().into()),
            after_last: Const::new(3, if streams == 1 { MemoryKind::Bias } else { MemoryKind::Layers }.code().into()),
            id: Const::new(32, ID_VALUE.into()),
            version: Const::new(32, FORMAT_VERSION.into()),
            unused_merged: Default::default(),
            _streams: streams,
            _codebooks: usize::from(streams == 1 && MemoryKind::Codebook.depth(arch) > 0),
            _channel_bits: channels,
            _registers: all.len(),
            _id: index("ID"),
            _version: index("VERSION"),
            _hash_low: index("ARCH_HASH_LOW"),
            _hash_high: index("ARCH_HASH_HIGH"),
            _scratch: index("SCRATCH"),
            _control: index("CONTROL"),
            _status: index("STATUS"),
            _errors: index("ERRORS"),
            _irq_enable: index("IRQ_ENABLE"),
            _irq_pending: index("IRQ_PENDING"),
            _mem_select: index("MEM_SELECT"),
            _mem_page: index("MEM_PAGE"),
            _section_words: index("SECTION_WORDS"),
            _section_crc: index("SECTION_CRC"),
            _section_next: index("SECTION_NEXT"),
            _computed_crc: index("COMPUTED_CRC"),
            _cycles: index("CYCLES"),
            _stall_queue: index("STALL_QUEUE"),
            _stall_scan: index("STALL_SCAN"),
            _stall_drain: index("STALL_DRAIN"),
            _pes: index("PES"),
            _channels: stream_index("CHANNELS"),
            _channel_mask: stream_index("CHANNEL_MASK"),
            _clear_state: stream_index("CLEAR_STATE"),
            _steps: stream_index("STEPS"),
            _stall_input: stream_index("STALL_INPUT"),
            _stall_data: stream_index("STALL_DATA"),
            _stall_output: stream_index("STALL_OUTPUT"),
            _bad_vectors: stream_index("BAD_VECTORS"),
        }
    }
}

impl Logic for Registers {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, scratch, irq_enable, irq_pending, done, mem_memory, mem_pe, mem_page, section_words, section_crc);
        dff_setup!(self, clock, computed_crc, next_memory, next_pe, weights_valid, found, read, known, writable, lockable, current);
        dff_setup!(self, clock, error_access, error_unchecked, error_command, error_crc, error_length, error_range);
        self.start.next = false;
        self.abort.next = false;
        self.check.next = false;
        self.stop.next = false;
        self.busy.next = self.sequencer_busy.val() | self.checking.val();
        self.any_error.next = self.error_access.q.val()
            | self.error_unchecked.q.val()
            | self.error_command.q.val()
            | self.error_crc.q.val()
            | self.error_length.q.val()
            | self.error_range.q.val();
        for s in 0..(self._streams) {
            self.mask_register[s].clock.next = self.clock.val();
            self.bad_register[s].clock.next = self.clock.val();
            self.error_short[s].clock.next = self.clock.val();
            self.error_long[s].clock.next = self.clock.val();
            self.error_channel[s].clock.next = self.clock.val();
            self.mask_register[s].d.next = self.mask_register[s].q.val();
            self.bad_register[s].d.next = self.bad_register[s].q.val() | self.bad_vectors[s].val();
            self.error_short[s].d.next = self.error_short[s].q.val() | self.vector_short[s].val();
            self.error_long[s].d.next = self.error_long[s].q.val() | self.vector_long[s].val();
            self.error_channel[s].d.next = self.error_channel[s].q.val() | self.wrong_channel[s].val();
            self.stop_steps[s].next = false;
            self.mask[s].next = self.mask_register[s].q.val();
            self.clear_state[s].next = 0.into();
            self.any_error.next =
                self.any_error.val() | self.error_short[s].q.val() | self.error_long[s].q.val() | self.error_channel[s].q.val();
        }

        // what each register reads as
        for k in 0..(self._registers) {
            self.value[k].next = 0.into();
        }
        self.value[self._id].next = self.id.val();
        self.value[self._version].next = self.version.val();
        self.value[self._hash_low].next = self.hash_low.val();
        self.value[self._hash_high].next = self.hash_high.val();
        self.value[self._scratch].next = self.scratch.q.val();
        self.value[self._status].next = bit_cast_bit(self.busy.val(), 32)
            | (bit_cast_bit(self.weights_valid.q.val(), 32) << 1)
            | (bit_cast_bit(self.done.q.val(), 32) << 2)
            | (bit_cast_bit(self.any_error.val(), 32) << 3)
            | (bit_cast_bit(self.computing.val(), 32) << 4)
            | (bit_cast_bit(self.checking.val(), 32) << 5)
            | (bit_cast_bit(self.result_b.val(), 32) << 8);
        self.value[self._errors].next = bit_cast_bit(self.error_access.q.val(), 32)
            | (bit_cast_bit(self.error_unchecked.q.val(), 32) << 1)
            | (bit_cast_bit(self.error_command.q.val(), 32) << 2)
            | (bit_cast_bit(self.error_crc.q.val(), 32) << 3)
            | (bit_cast_bit(self.error_length.q.val(), 32) << 4)
            | (bit_cast_bit(self.error_range.q.val(), 32) << 5);
        self.value[self._irq_enable].next = bit_cast_bit(self.irq_enable.q.val(), 32);
        self.value[self._irq_pending].next = bit_cast_bit(self.irq_pending.q.val(), 32);
        self.value[self._mem_select].next = (bit_cast_to(self.mem_memory.q.val(), 32) << 8) | bit_cast_to(self.mem_pe.q.val(), 32);
        self.value[self._mem_page].next = bit_cast_to(self.mem_page.q.val(), 32);
        self.value[self._section_words].next = self.section_words.q.val();
        self.value[self._section_crc].next = self.section_crc.q.val();
        self.value[self._section_next].next = (bit_cast_bit(self.weights_valid.q.val(), 32) << 31)
            | (bit_cast_to(self.next_memory.q.val(), 32) << 8)
            | bit_cast_to(self.next_pe.q.val(), 32);
        self.value[self._computed_crc].next = self.computed_crc.q.val();
        self.value[self._cycles].next = self.cycles.val();
        self.value[self._stall_queue].next = self.stalls_queue.val();
        self.value[self._stall_scan].next = self.stalls_scan.val();
        self.value[self._stall_drain].next = self.stalls_drain.val();
        self.value[self._pes].next = bit_cast_to(self.pes.val(), 32);
        for s in 0..(self._streams) {
            self.value[self._errors].next = self.value[self._errors]
                .val()
                .replace_bit(6, self.error_short[s].q.val())
                .replace_bit(7, self.error_long[s].q.val())
                .replace_bit(8, self.error_channel[s].q.val());
            self.value[self._channels].next = self.channels.val();
            self.value[self._channel_mask].next = self.mask_register[s].q.val().get_bits::<Fit>(0);
            self.value[self._steps].next = self.steps[s].val();
            self.value[self._stall_input].next = self.stalls_input[s].val();
            self.value[self._stall_data].next = self.stalls_data[s].val();
            self.value[self._stall_output].next = self.stalls_output[s].val();
            self.value[self._bad_vectors].next = self.bad_register[s].q.val().get_bits::<Fit>(0);
        }

        // the addressed register
        self.in_window.next = self.address.val().get_bit(20);
        self.register_address.next = self.address.val() & 0x1ffffc;
        self.any_known.next = false;
        self.any_writable.next = false;
        self.any_lockable.next = false;
        self.sum.next = 0.into();
        for k in 0..(self._registers) {
            self.hit[k].clock.next = self.clock.val();
            self.hit[k].d.next = self.register_address.val() == self.addresses[k].val();
            self.shown[k].next = 0.into();
            if self.hit[k].q.val() {
                self.shown[k].next = self.value[k].val();
            }
            self.sum.next = self.sum.val() | self.shown[k].val();
            self.any_known.next = self.any_known.val() | self.hit[k].q.val();
            self.any_writable.next = self.any_writable.val() | (self.hit[k].q.val() & self.may_write[k].val().any());
            self.any_lockable.next = self.any_lockable.val() | (self.hit[k].q.val() & self.configuration[k].val().any());
        }
        self.current.d.next = self.sum.val();
        self.known.d.next = self.any_known.val();
        self.writable.d.next = self.any_writable.val();
        self.lockable.d.next = self.any_lockable.val();
        self.answering.next = self.request.val() & self.read.q.val();
        self.locked.next = self.lockable.q.val() & self.busy.val();
        self.merge.old.next = self.current.q.val();
        self.merge.data.next = self.data.val();
        self.merge.strobe.next = self.strobe.val();
        self.store.next = self.answering.val() & self.write.val() & !self.in_window.val() & self.writable.q.val() & !self.locked.val();
        self.unused_merged.next = self.merge.merged.val().any() ^ self.merge.written.val().any();

        // events of the hardware; what the host does in the same cycle comes after them and wins
        if self.finished.val() {
            self.done.d.next = true;
            self.irq_pending.d.next = true;
        }
        self.following_pe.next = bit_cast_to(self.next_pe.q.val(), PE_COUNT_BITS) + 1;
        if self.checked.val() {
            self.computed_crc.d.next = self.crc.val();
            if self.crc.val() != self.section_crc.q.val() {
                self.error_crc.d.next = true;
                self.weights_valid.d.next = false;
                self.next_memory.d.next = 0.into();
                self.next_pe.d.next = 0.into();
            } else if self.next_memory.q.val() == 7 {
                self.weights_valid.d.next = true;
                self.next_memory.d.next = 0.into();
            } else if self.next_memory.q.val() != self.last_memory.val() {
                self.next_memory.d.next = self.next_memory.q.val() + 1;
            } else if self.following_pe.val() == self.pes.val() {
                self.next_memory.d.next = self.after_last.val();
                self.next_pe.d.next = 0.into();
            } else {
                self.next_memory.d.next = 0.into();
                self.next_pe.d.next = self.next_pe.q.val() + 1;
            }
        }
        // the parameters lie between the PEs and the program
        for _s in 0..(self._streams) {
            if self.checked.val() & (self.crc.val() == self.section_crc.q.val()) & (self.next_memory.q.val() == 3) {
                self.next_memory.d.next = 7.into();
            }
        }
        for _d in 0..(self._codebooks) {
            if self.checked.val() & (self.crc.val() == self.section_crc.q.val()) & (self.next_memory.q.val() == 2) {
                self.next_memory.d.next = 4.into();
            }
        }
        if self.refused.val() {
            self.error_length.d.next = true;
        }

        // writes
        if self.store.val() & self.hit[self._errors].q.val() {
            self.error_access.d.next = self.error_access.q.val() & !self.merge.written.val().get_bit(0);
            self.error_unchecked.d.next = self.error_unchecked.q.val() & !self.merge.written.val().get_bit(1);
            self.error_command.d.next = self.error_command.q.val() & !self.merge.written.val().get_bit(2);
            self.error_crc.d.next = self.error_crc.q.val() & !self.merge.written.val().get_bit(3);
            self.error_length.d.next = self.error_length.q.val() & !self.merge.written.val().get_bit(4);
            self.error_range.d.next = self.error_range.q.val() & !self.merge.written.val().get_bit(5);
        }
        if self.store.val() & self.hit[self._scratch].q.val() {
            self.scratch.d.next = self.merge.merged.val();
        }
        if self.store.val() & self.hit[self._irq_enable].q.val() {
            self.irq_enable.d.next = self.merge.merged.val().get_bit(0);
        }
        if self.store.val() & self.hit[self._irq_pending].q.val() & self.merge.written.val().get_bit(0) {
            self.irq_pending.d.next = false;
        }
        for s in 0..(self._streams) {
            if self.store.val() & self.hit[self._errors].q.val() {
                self.error_short[s].d.next =
                    (self.error_short[s].q.val() & !self.merge.written.val().get_bit(6)) | self.vector_short[s].val();
                self.error_long[s].d.next = (self.error_long[s].q.val() & !self.merge.written.val().get_bit(7)) | self.vector_long[s].val();
                self.error_channel[s].d.next =
                    (self.error_channel[s].q.val() & !self.merge.written.val().get_bit(8)) | self.wrong_channel[s].val();
            }
            if self.store.val() & self.hit[self._channel_mask].q.val() {
                self.mask_register[s].d.next = self.merge.merged.val().get_bits::<Fit>(0);
            }
            if self.store.val() & self.hit[self._clear_state].q.val() {
                self.clear_state[s].next = self.merge.written.val().get_bits::<Fit>(0);
            }
            if self.store.val() & self.hit[self._bad_vectors].q.val() {
                self.bad_register[s].d.next = (self.bad_register[s].q.val()
                    & !bit_cast_slice(self.merge.written.val(), 0, self._channel_bits))
                    | self.bad_vectors[s].val();
            }
            if self.store.val() & self.hit[self._control].q.val() & self.merge.written.val().get_bit(4) {
                self.stop_steps[s].next = true;
            }
        }
        if self.store.val() & self.hit[self._mem_select].q.val() {
            self.mem_pe.d.next = bit_cast_slice(self.merge.merged.val(), 0, PE_BITS);
            self.mem_memory.d.next = bit_cast_slice(self.merge.merged.val(), 8, 3);
        }
        if self.store.val() & self.hit[self._mem_page].q.val() {
            self.mem_page.d.next = bit_cast_slice(self.merge.merged.val(), 0, 8);
        }
        if self.store.val() & self.hit[self._section_words].q.val() {
            self.section_words.d.next = self.merge.merged.val();
        }
        if self.store.val() & self.hit[self._section_crc].q.val() {
            self.section_crc.d.next = self.merge.merged.val();
        }
        if self.store.val() & self.hit[self._control].q.val() {
            if self.merge.written.val().get_bit(1) {
                self.abort.next = true;
                self.stop.next = true;
            } else if (self.merge.written.val().get_bit(0) | self.merge.written.val().get_bit(2) | self.merge.written.val().get_bit(3))
                & self.busy.val()
            {
                self.error_command.d.next = true;
            } else if self.merge.written.val().get_bit(0) {
                if self.weights_valid.q.val() {
                    self.start.next = true;
                    self.done.d.next = false;
                } else {
                    self.error_unchecked.d.next = true;
                }
            } else if self.merge.written.val().get_bit(2) {
                self.check.next = true;
            } else if self.merge.written.val().get_bit(3) {
                self.next_memory.d.next = 0.into();
                self.next_pe.d.next = 0.into();
            }
        }

        // answers
        self.ack.next = self.answering.val();
        self.error.next = !self.known.q.val() | (self.write.val() & (!self.writable.q.val() | self.locked.val()));
        self.read_data.next = self.current.q.val();
        self.port_request.next = false;
        if self.answering.val() & self.write.val() & !self.in_window.val() & self.locked.val() {
            self.error_access.d.next = true;
        }
        if self.in_window.val() {
            self.read_data.next = self.port_data.val();
            self.error.next = true;
            if self.answering.val() & self.busy.val() {
                self.error_access.d.next = true;
            } else if self.answering.val() {
                self.port_request.next = true;
                self.ack.next = self.port_ack.val();
                self.error.next = self.port_range_error.val();
                if self.port_ack.val() & self.port_range_error.val() {
                    self.error_range.d.next = true;
                } else if self.port_ack.val() & self.write.val() & (self.mem_memory.q.val() != 5) & (self.mem_memory.q.val() != 6) {
                    self.weights_valid.d.next = false;
                    self.next_memory.d.next = 0.into();
                    self.next_pe.d.next = 0.into();
                }
            }
        }
        self.found.d.next = self.request.val() & !self.ack.val();
        self.read.d.next = self.found.q.val() & self.request.val() & !self.ack.val();
        self.valid.next = self.weights_valid.q.val();
        self.irq.next = self.irq_enable.q.val() & self.irq_pending.q.val();
        self.memory.next = self.mem_memory.q.val();
        self.pe.next = self.mem_pe.q.val();
        self.page.next = self.mem_page.q.val();
        self.check_memory.next = self.next_memory.q.val();
        self.check_pe.next = self.next_pe.q.val();
        self.check_words.next = self.section_words.q.val();

        // reset leaves weights_valid and the memories as they are, whatever the state before it was
        if self.reset.val() {
            self.weights_valid.d.next = self.weights_valid.q.val();
            self.found.d.next = false;
            self.read.d.next = false;
            self.scratch.d.next = 0.into();
            self.irq_enable.d.next = false;
            self.irq_pending.d.next = false;
            self.done.d.next = false;
            self.mem_memory.d.next = 0.into();
            self.mem_pe.d.next = 0.into();
            self.mem_page.d.next = 0.into();
            self.section_words.d.next = 0.into();
            self.section_crc.d.next = 0.into();
            self.computed_crc.d.next = 0.into();
            self.next_memory.d.next = 0.into();
            self.next_pe.d.next = 0.into();
            self.error_access.d.next = false;
            self.error_unchecked.d.next = false;
            self.error_command.d.next = false;
            self.error_crc.d.next = false;
            self.error_length.d.next = false;
            self.error_range.d.next = false;
            for s in 0..(self._streams) {
                self.mask_register[s].d.next = self.everyone.val();
                self.bad_register[s].d.next = 0.into();
                self.error_short[s].d.next = false;
                self.error_long[s].d.next = false;
                self.error_channel[s].d.next = false;
            }
        }
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("registers")
            .doc(
                "Registers: the register map of docs/registers.md, and the rules of who may do what when.\n\
                 \n\
                 Registers answer in the third cycle of a request, the window when the memory port does. An unknown\n\
                 address, a write to a read-only register, and a window or configuration access while busy are\n\
                 answered with an error and change nothing else. weights_valid powers up as PRELOAD, is set only when\n\
                 every section in turn has had the expected CRC, and is cleared by a write to any memory that a\n\
                 model fills and by a CRC that differs. Reset does not touch it.",
            )
            .parameter("PRELOAD", "0", "PRELOAD")
            .value("_id", self._id)
            .value("_version", self._version)
            .value("_hash_low", self._hash_low)
            .value("_hash_high", self._hash_high)
            .value("_scratch", self._scratch)
            .value("_control", self._control)
            .value("_status", self._status)
            .value("_errors", self._errors)
            .value("_irq_enable", self._irq_enable)
            .value("_irq_pending", self._irq_pending)
            .value("_mem_select", self._mem_select)
            .value("_mem_page", self._mem_page)
            .value("_section_words", self._section_words)
            .value("_section_crc", self._section_crc)
            .value("_section_next", self._section_next)
            .value("_computed_crc", self._computed_crc)
            .value("_cycles", self._cycles)
            .value("_stall_queue", self._stall_queue)
            .value("_stall_scan", self._stall_scan)
            .value("_stall_drain", self._stall_drain)
            .value("_pes", self._pes)
            .value("_channels", self._channels)
            .value("_channel_mask", self._channel_mask)
            .value("_clear_state", self._clear_state)
            .value("_steps", self._steps)
            .value("_stall_input", self._stall_input)
            .value("_stall_data", self._stall_data)
            .value("_stall_output", self._stall_output)
            .value("_bad_vectors", self._bad_vectors)
            .into_timing()
    }
}
