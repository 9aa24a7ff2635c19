//! The element-wise side: sums of finished operations become cells and results, one element a cycle.

use super::cell_unit::{CELL_STAGE, HIDDEN_STAGE, ROW_STAGE};
use super::channel::Channels;
use crate::prim::{LaneSelect, Memory, Style};
use crate::signal::*;
use crate::spmv::{Widths, PE_BITS, ROW_BITS};
use lacuna_compress::spec::arch::{Arch, ACT_BITS};
use lacuna_compress::spec::layout::memory_address_bits;
use lacuna_compress::spec::{MemoryKind, Op};

/// Cycles from `token_seen` to the first `drain_read`, if the job need not wait for an output buffer.
pub const FIRST_READ: usize = 1;
/// Cycles from an element's place in the walk (for the first of each address: `drain_read`) to its sums.
pub const READ_TO_SUMS: usize = 1;
/// Cycles from there to stage 0 of the cell unit.
const SUMS_TO_UNIT: usize = 1;
/// Cycles from an element's place in the walk to the store of a row's result.
pub const READ_TO_ROW: usize = READ_TO_SUMS + SUMS_TO_UNIT + ROW_STAGE;
/// Cycles from an element's place in the walk to the write of the new cell.
pub const READ_TO_CELL: usize = READ_TO_SUMS + SUMS_TO_UNIT + CELL_STAGE;
/// Cycles from an element's place in the walk to the store of a cell's result.
pub const READ_TO_HIDDEN: usize = READ_TO_SUMS + SUMS_TO_UNIT + HIDDEN_STAGE;

#[derive(Copy, Clone, PartialEq, Debug, LogicState)]
pub enum Search {
    /// After clear: waits for the first token to be issued, before which the program may not be there.
    Cleared,
    /// The operation of `pointer` is in the program memory's output and may have no token.
    Look,
    /// The next operation with a token: waits for its job to begin.
    Found,
}

#[derive(Copy, Clone, PartialEq, Debug, LogicState)]
pub enum Step {
    /// Waits for a token, or for a free output buffer.
    Wait,
    /// Reads an element a cycle.
    Walk,
    /// Waits for the results that are under way.
    Flow,
}

#[derive(LogicBlock)]
pub struct Drain {
    pub clock: Signal<In, Clock>,
    pub clear: Signal<In, Bit>,
    // from and to the broadcaster
    pub token_issued: Signal<In, Bit>,
    pub complete: Signal<Out, Bit>,
    pub stored: Wire<Out>,
    pub active: Wire<In>,
    pub fresh: Wire<In>,
    // the array
    pub token_seen: Signal<In, Bit>,
    pub token_take: Signal<Out, Bit>,
    pub drain_read: Signal<Out, Bit>,
    pub drain_rows: Signal<Out, Bit>,
    pub drain_parity: Signal<Out, Bit>,
    pub drain_address: Wire<Out>,
    pub drain_pe: Wire<Out>,
    pub sums: Wire<In>,
    // results
    pub store: Signal<Out, Bit>,
    pub store_mask: Wire<Out>,
    pub store_address: Wire<Out>,
    pub store_data: Wire<Out>,
    pub out_room: Signal<In, Bit>,
    pub out_write: Signal<Out, Bit>,
    pub out_address: Wire<Out>,
    pub out_data: Wire<Out>,
    pub out_done: Signal<Out, Bit>,
    pub out_mask: Wire<Out>,
    pub step_done: Signal<Out, Bit>,
    pub stall_output: Signal<Out, Bit>,
    pub busy: Signal<Out, Bit>,
    // control and host
    pub sweep: Signal<In, Bit>,
    pub sweep_mask: Wire<In>,
    pub sweep_address: Wire<In>,
    pub host_memory: Wire<In>,
    pub host_channel: Wire<In>,
    pub host_read: Signal<In, Bit>,
    pub host_write: Signal<In, Bit>,
    pub host_address: Wire<In>,
    pub host_data: Wire<In>,
    pub host_lane: Wire<In>,
    pub host_word: Wire<Out>,
    parameters_lane: LaneSelect,
    program_lane: LaneSelect,
    back: Memory,
    parameters: Memory,
    channels: Channels,
    // the search for the next operation with a token
    search: DFF<Search>,
    pointer: Reg,
    new_step: Flag,
    next_pointer: Wire<Local>,
    advance: Signal<Local, Bit>,
    has_token: Signal<Local, Bit>,
    is_last: Signal<Local, Bit>,
    wants_output: Signal<Local, Bit>,
    // the job
    step: DFF<Step>,
    pending: Flag,
    ready: Signal<Local, Bit>,
    start: Signal<Local, Bit>,
    taking: Flag,
    finished: Flag,
    job: Reg,
    rows: Signal<Local, Bit>,
    rounding: Reg,
    active_now: Reg,
    fresh_now: Reg,
    parity: Flag,
    // the walk: what is read, and a cycle later whose sums are looked at
    pe: Reg,
    local_at: Reg,
    parameter_at: Reg,
    cell_at: Reg,
    left: Reg,
    reading: Signal<Local, Bit>,
    valid_1: Flag,
    pe_1: Reg,
    parameters_2: Reg,
    // of each stage of the cell units, whether an element is there
    flow: Reg,
    row_flow: Const,
    cell_done: Signal<Local, Bit>,
    done: Signal<Local, Bit>,
    to_store: Reg,
    stored_count: Reg,
    destination: Reg,
    cell_to: Reg,
    all_stored: Flag,
    sweeps: Signal<Local, Bit>,
    host_parameters: Signal<Local, Bit>,
    host_cells: Signal<Local, Bit>,
    host_program: Signal<Local, Bit>,
    unused: Signal<Local, Bit>,
    last_pe: Const,
    one: Const,
    cell_depth: Const,
    _table_address: usize,
    _parameter_bits: usize,
    _program_bits: usize,
    _act_bits: usize,
    _cell_address: usize,
    _parameter_address: usize,
    _act_address: usize,
    _channels: usize,
    _job_bits: usize,
    // where the fields of an operation lie
    _token: usize,
    _last: usize,
    _output: usize,
    _count: usize,
    _dest: usize,
    _cell_base: usize,
    _param_base: usize,
    _shift: usize,
    // where they lie in `job`
    _job: usize,
    _job_shift_i: usize,
    _job_shift_f: usize,
    _job_shift_g: usize,
    _job_shift_o: usize,
    _job_align_i: usize,
    _job_align_f: usize,
    _job_align_o: usize,
    _job_cell_shift: usize,
    _job_hidden_shift: usize,
    _job_cells: usize,
    _job_candidate: usize,
    _job_relu: usize,
    _job_bias: usize,
    _job_store: usize,
    _job_output: usize,
    _row_stage: usize,
    _cell_stage: usize,
    _hidden_stage: usize,
}

impl Drain {
    /// The architecture must be valid and of the ESE kind.
    pub fn new(arch: &Arch) -> Drain {
        let w = Widths::of(arch);
        let channels = arch.channels();
        let (table, cell) = (memory_address_bits(MemoryKind::Layers, arch), memory_address_bits(MemoryKind::ActB, arch));
        let field = |name| Op::field(name).0;
        // what a job needs to know all along lies together
        let job = field("shift_i");
        let job_bits = field("reserved") - job;
        let of_job = |name| field(name) - job;
        Drain {
            clock: Default::default(),
            clear: Default::default(),
            token_issued: Default::default(),
            complete: Default::default(),
            stored: Wire::new(ROW_BITS),
            active: Wire::new(channels),
            fresh: Wire::new(channels),
            token_seen: Default::default(),
            token_take: Default::default(),
            drain_read: Default::default(),
            drain_rows: Default::default(),
            drain_parity: Default::default(),
            drain_address: Wire::new(w.acc),
            drain_pe: Wire::new(PE_BITS),
            sums: Wire::new(4 * arch.acc_bits * channels),
            store: Default::default(),
            store_mask: Wire::new(channels),
            store_address: Wire::new(w.act),
            store_data: Wire::new(ACT_BITS * channels),
            out_room: Default::default(),
            out_write: Default::default(),
            out_address: Wire::new(ROW_BITS),
            out_data: Wire::new(ACT_BITS * channels),
            out_done: Default::default(),
            out_mask: Wire::new(channels),
            step_done: Default::default(),
            stall_output: Default::default(),
            busy: Default::default(),
            sweep: Default::default(),
            sweep_mask: Wire::new(channels),
            sweep_address: Wire::new(ROW_BITS),
            host_memory: Wire::new(3),
            host_channel: Wire::new(PE_BITS),
            host_read: Default::default(),
            host_write: Default::default(),
            host_address: Wire::new(w.host_address),
            host_data: Wire::new(w.host_data),
            host_lane: Wire::new(w.host_lane),
            host_word: Wire::new(32),
            parameters_lane: LaneSelect::of_word(MemoryKind::Bias.width(arch)),
            program_lane: LaneSelect::of_word(MemoryKind::Layers.width(arch)),
            back: Memory::new(Style::Small, Op::BITS, arch.max_layers, Some("layers")),
            parameters: Memory::new(Style::Auto, arch.parameter_bits(), arch.bias_depth, Some("parameters")),
            channels: Channels::new(arch),
            search: Default::default(),
            pointer: Reg::new(table),
            new_step: Flag::new(),
            next_pointer: Wire::new(table),
            advance: Default::default(),
            has_token: Default::default(),
            is_last: Default::default(),
            wants_output: Default::default(),
            step: Default::default(),
            pending: Flag::new(),
            ready: Default::default(),
            start: Default::default(),
            taking: Flag::new(),
            finished: Flag::new(),
            job: Reg::new(job_bits),
            rows: Default::default(),
            rounding: Reg::new(arch.acc_bits),
            active_now: Reg::new(channels),
            fresh_now: Reg::new(channels),
            parity: Flag::new(),
            pe: Reg::new(PE_BITS),
            local_at: Reg::new(w.acc),
            parameter_at: Reg::new(w.bias),
            cell_at: Reg::new(cell),
            left: Reg::new(ROW_BITS),
            reading: Default::default(),
            valid_1: Flag::new(),
            pe_1: Reg::new(PE_BITS),
            parameters_2: Reg::new(arch.parameter_bits()),
            flow: Reg::new(HIDDEN_STAGE + 1),
            row_flow: Const::new(HIDDEN_STAGE + 1, (2 << ROW_STAGE) - 1),
            cell_done: Default::default(),
            done: Default::default(),
            to_store: Reg::new(ROW_BITS),
            stored_count: Reg::new(ROW_BITS),
            destination: Reg::new(w.act),
            cell_to: Reg::new(cell),
            all_stored: Flag::new(),
            sweeps: Default::default(),
            host_parameters: Default::default(),
            host_cells: Default::default(),
            host_program: Default::default(),
            unused: Default::default(),
            last_pe: Const::new(PE_BITS, arch.pes as u64 - 1),
            one: Const::new(arch.acc_bits, 1),
            cell_depth: Const::new(ROW_BITS, MemoryKind::ActB.depth(arch) as u64),
            _table_address: table,
            _parameter_bits: arch.parameter_bits(),
            _program_bits: Op::BITS,
            _act_bits: ACT_BITS,
            _cell_address: cell,
            _parameter_address: w.bias,
            _act_address: w.act,
            _channels: channels,
            _job_bits: job_bits,
            _token: field("token"),
            _last: field("last"),
            _output: field("output"),
            _count: field("count"),
            _dest: field("dest"),
            _cell_base: field("cell_base"),
            _param_base: field("param_base"),
            _shift: field("shift_i"),
            _job: job,
            _job_shift_i: of_job("shift_i"),
            _job_shift_f: of_job("shift_f"),
            _job_shift_g: of_job("shift_g"),
            _job_shift_o: of_job("shift_o"),
            _job_align_i: of_job("align_i"),
            _job_align_f: of_job("align_f"),
            _job_align_o: of_job("align_o"),
            _job_cell_shift: of_job("cell_shift"),
            _job_hidden_shift: of_job("hidden_shift"),
            _job_cells: of_job("cells"),
            _job_candidate: of_job("candidate_sigmoid"),
            _job_relu: of_job("relu"),
            _job_bias: of_job("bias"),
            _job_store: of_job("store"),
            _job_output: of_job("output"),
            _row_stage: ROW_STAGE,
            _cell_stage: CELL_STAGE,
            _hidden_stage: HIDDEN_STAGE,
        }
    }
}

impl Logic for Drain {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, search, pointer, new_step, step, pending, taking, finished, job, rounding, active_now, fresh_now, parity);
        dff_setup!(self, clock, pe, local_at, parameter_at, cell_at, left, valid_1, pe_1, parameters_2);
        dff_setup!(self, clock, flow, to_store, stored_count, destination, cell_to, all_stored);
        clock!(self, clock, back, parameters, channels);

        // the program: the next operation with a token is looked for while the job before it runs
        self.has_token.next = self.back.read_data.val().get_bit(self._token);
        self.is_last.next = self.back.read_data.val().get_bit(self._last);
        self.wants_output.next = self.back.read_data.val().get_bit(self._output);
        self.next_pointer.next = self.pointer.q.val() + 1;
        if self.is_last.val() {
            self.next_pointer.next = 0.into();
        }
        self.ready.next =
            (self.search.q.val() == Search::Found) & (self.step.q.val() == Step::Wait) & self.pending.q.val() & self.token_seen.val();
        self.start.next = self.ready.val() & (!self.wants_output.val() | self.out_room.val());
        self.stall_output.next = self.ready.val() & self.wants_output.val() & !self.out_room.val();
        self.advance.next = self.start.val() | ((self.search.q.val() == Search::Look) & !self.has_token.val());

        self.host_parameters.next = self.host_memory.val() == 3;
        self.host_cells.next = self.host_memory.val() == 6;
        self.host_program.next = self.host_memory.val() == 7;
        // the host may have read another word since this one was found: it is read again with the token
        self.back.read_enable.next = self.advance.val() | self.token_issued.val() | (self.host_program.val() & self.host_read.val());
        self.back.read_address.next = self.pointer.q.val();
        if self.host_read.val() {
            self.back.read_address.next = bit_cast_to(self.host_address.val(), self._table_address);
        }
        match self.search.q.val() {
            Search::Cleared => {
                if self.token_issued.val() {
                    self.search.d.next = Search::Look;
                }
            }
            Search::Look => {
                if self.has_token.val() {
                    self.search.d.next = Search::Found;
                }
            }
            Search::Found => {
                if self.start.val() {
                    self.search.d.next = Search::Look;
                    self.new_step.d.next = false;
                }
            }
        }
        if self.advance.val() {
            self.back.read_address.next = self.next_pointer.val();
            self.pointer.d.next = self.next_pointer.val();
            if self.is_last.val() {
                self.new_step.d.next = true;
            }
        }

        // the job
        self.taking.d.next = self.start.val();
        self.finished.d.next = self.finished.q.val() & (self.search.q.val() != Search::Found);
        self.token_take.next = self.taking.q.val();
        if self.token_issued.val() {
            self.pending.d.next = true;
            self.all_stored.d.next = false;
            self.stored_count.d.next = 0.into();
        }
        if self.start.val() {
            self.pending.d.next = false;
            self.job.d.next = bit_cast_slice(self.back.read_data.val(), self._job, self._job_bits);
            self.rounding.d.next = (self.one.val() << bit_cast_slice(self.back.read_data.val(), self._shift, 6)) >> 1;
            self.left.d.next = bit_cast_slice(self.back.read_data.val(), self._count, ROW_BITS);
            self.to_store.d.next = bit_cast_slice(self.back.read_data.val(), self._count, ROW_BITS);
            self.destination.d.next = bit_cast_slice(self.back.read_data.val(), self._dest, self._act_address);
            self.cell_at.d.next = bit_cast_slice(self.back.read_data.val(), self._cell_base, self._cell_address);
            self.cell_to.d.next = bit_cast_slice(self.back.read_data.val(), self._cell_base, self._cell_address);
            self.parameter_at.d.next = bit_cast_slice(self.back.read_data.val(), self._param_base, self._parameter_address);
            self.pe.d.next = 0.into();
            self.local_at.d.next = 0.into();
            if self.new_step.q.val() {
                self.active_now.d.next = self.active.val();
                self.fresh_now.d.next = self.fresh.val();
            }
        }
        self.rows.next = !self.job.q.val().get_bit(self._job_cells);

        // the walk: element after element, on PE after PE
        self.reading.next = self.step.q.val() == Step::Walk;
        self.drain_read.next = self.reading.val() & (self.pe.q.val() == 0);
        self.drain_rows.next = self.rows.val();
        self.drain_parity.next = self.parity.q.val();
        self.drain_address.next = self.local_at.q.val();
        self.drain_pe.next = self.pe_1.q.val();
        self.valid_1.d.next = self.reading.val();
        self.pe_1.d.next = self.pe.q.val();
        if self.reading.val() {
            self.left.d.next = self.left.q.val() - 1;
            self.parameter_at.d.next = self.parameter_at.q.val() + 1;
            self.cell_at.d.next = self.cell_at.q.val() + 1;
            self.pe.d.next = self.pe.q.val() + 1;
            if self.pe.q.val() == self.last_pe.val() {
                self.pe.d.next = 0.into();
                self.local_at.d.next = self.local_at.q.val() + 1;
            }
        }
        self.parameters.read_enable.next = self.reading.val() | (self.host_parameters.val() & self.host_read.val());
        self.parameters.read_address.next = self.parameter_at.q.val();
        if self.host_read.val() {
            self.parameters.read_address.next = bit_cast_to(self.host_address.val(), self._parameter_address);
        }
        self.parameters_2.d.next = self.parameters.read_data.val();
        if self.rows.val() & !self.job.q.val().get_bit(self._job_bias) {
            self.parameters_2.d.next = bit_cast_to(self.rounding.q.val(), self._parameter_bits);
        }

        // the arithmetic: a row leaves it early and must not be seen again where a cell leaves
        self.flow.d.next = (self.flow.q.val() << 1) | bit_cast_bit(self.valid_1.q.val(), &self.flow.q.val());
        if self.rows.val() {
            self.flow.d.next = ((self.flow.q.val() << 1) | bit_cast_bit(self.valid_1.q.val(), &self.flow.q.val())) & self.row_flow.val();
        }
        self.cell_done.next = self.flow.q.val().get_bit(self._cell_stage);
        self.done.next = self.flow.q.val().get_bit(self._hidden_stage) | (self.rows.val() & self.flow.q.val().get_bit(self._row_stage));
        self.channels.rows.next = self.rows.val();
        self.channels.shift_i.next = bit_cast_slice(self.job.q.val(), self._job_shift_i, 6);
        self.channels.shift_f.next = bit_cast_slice(self.job.q.val(), self._job_shift_f, 6);
        self.channels.shift_g.next = bit_cast_slice(self.job.q.val(), self._job_shift_g, 6);
        self.channels.shift_o.next = bit_cast_slice(self.job.q.val(), self._job_shift_o, 6);
        self.channels.align_i.next = bit_cast_slice(self.job.q.val(), self._job_align_i, 4);
        self.channels.align_f.next = bit_cast_slice(self.job.q.val(), self._job_align_f, 4);
        self.channels.align_o.next = bit_cast_slice(self.job.q.val(), self._job_align_o, 4);
        self.channels.cell_shift.next = bit_cast_slice(self.job.q.val(), self._job_cell_shift, 6);
        self.channels.hidden_shift.next = bit_cast_slice(self.job.q.val(), self._job_hidden_shift, 6);
        self.channels.candidate_sigmoid.next = self.job.q.val().get_bit(self._job_candidate);
        self.channels.relu.next = self.job.q.val().get_bit(self._job_relu);
        self.channels.active.next = self.active_now.q.val();
        self.channels.fresh.next = self.fresh_now.q.val();
        self.channels.cell_read.next = self.reading.val();
        self.channels.cell_read_address.next = self.cell_at.q.val();
        self.channels.sums.next = self.sums.val();
        self.channels.parameters.next = self.parameters_2.q.val();
        self.channels.cell_write.next = self.cell_done.val();
        self.channels.cell_write_address.next = self.cell_to.q.val();
        if self.cell_done.val() {
            self.cell_to.d.next = self.cell_to.q.val() + 1;
        }

        // results
        self.store.next = self.done.val() & self.job.q.val().get_bit(self._job_store);
        self.store_mask.next = self.active_now.q.val();
        self.store_address.next = self.destination.q.val();
        self.store_data.next = self.channels.results.val();
        self.out_write.next = self.done.val() & self.job.q.val().get_bit(self._job_output);
        self.out_address.next = self.stored_count.q.val();
        self.out_data.next = self.channels.results.val();
        self.out_done.next = false;
        self.out_mask.next = self.active_now.q.val();
        if self.done.val() {
            self.destination.d.next = self.destination.q.val() + 1;
            self.stored_count.d.next = self.stored_count.q.val() + 1;
            self.to_store.d.next = self.to_store.q.val() - 1;
        }

        match self.step.q.val() {
            Step::Wait => {
                if self.start.val() {
                    self.step.d.next = Step::Walk;
                }
            }
            Step::Walk => {
                if self.left.q.val() == 1 {
                    self.step.d.next = Step::Flow;
                }
            }
            Step::Flow => {
                if self.done.val() & (self.to_store.q.val() == 1) {
                    self.step.d.next = Step::Wait;
                    self.all_stored.d.next = true;
                    self.finished.d.next = true;
                    self.parity.d.next = self.parity.q.val() ^ !self.rows.val();
                }
            }
        }
        // the cycle after the last result; the search tells whether the step has another job
        self.out_done.next = self.finished.q.val() & self.job.q.val().get_bit(self._job_output) & (self.search.q.val() == Search::Found);
        self.step_done.next = self.finished.q.val() & self.new_step.q.val() & (self.search.q.val() == Search::Found);
        self.complete.next = self.all_stored.q.val();
        self.stored.next = self.stored_count.q.val();
        self.busy.next = !self.all_stored.q.val() | self.finished.q.val() | (self.search.q.val() == Search::Look);
        if self.clear.val() {
            self.search.d.next = Search::Cleared;
            self.step.d.next = Step::Wait;
            self.pointer.d.next = 0.into();
            self.new_step.d.next = true;
            self.pending.d.next = false;
            self.taking.d.next = false;
            self.finished.d.next = false;
            self.parity.d.next = false;
            self.valid_1.d.next = false;
            self.flow.d.next = 0.into();
            self.stored_count.d.next = 0.into();
            self.all_stored.d.next = true;
        }

        // sweep and host
        self.sweeps.next = self.sweep.val() & (self.sweep_address.val() < self.cell_depth.val());
        self.channels.sweep.next = 0.into();
        if self.sweeps.val() {
            self.channels.sweep.next = self.sweep_mask.val();
        }
        self.channels.sweep_address.next = bit_cast_to(self.sweep_address.val(), self._cell_address);
        self.back.write_enable.next = self.host_program.val() & self.host_write.val();
        self.back.write_address.next = bit_cast_to(self.host_address.val(), self._table_address);
        self.back.write_data.next = bit_cast_to(self.host_data.val(), self._program_bits);
        self.parameters.write_enable.next = self.host_parameters.val() & self.host_write.val();
        self.parameters.write_address.next = bit_cast_to(self.host_address.val(), self._parameter_address);
        self.parameters.write_data.next = bit_cast_to(self.host_data.val(), self._parameter_bits);
        self.channels.host_channel.next = self.host_channel.val();
        self.channels.host_read.next = self.host_cells.val() & self.host_read.val();
        self.channels.host_write.next = self.host_cells.val() & self.host_write.val();
        self.channels.host_address.next = bit_cast_to(self.host_address.val(), self._cell_address);
        self.channels.host_data.next = bit_cast_to(self.host_data.val(), self._act_bits);
        self.parameters_lane.word.next = self.parameters.read_data.val();
        self.parameters_lane.lane.next = bit_cast_to(self.host_lane.val(), &self.parameters_lane.lane.next);
        self.program_lane.word.next = self.back.read_data.val();
        self.program_lane.lane.next = bit_cast_to(self.host_lane.val(), &self.program_lane.lane.next);
        self.host_word.next = 0.into();
        if self.host_parameters.val() {
            self.host_word.next = self.parameters_lane.field.val();
        }
        if self.host_cells.val() {
            self.host_word.next = bit_cast_to(self.channels.host_word.val(), 32);
        }
        if self.host_program.val() {
            self.host_word.next = self.program_lane.field.val();
        }
        self.unused.next = self.job.q.val().any()
            ^ self.back.read_data.val().any()
            ^ self.host_data.val().any()
            ^ self.host_address.val().any()
            ^ self.sweep_address.val().any();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("drain")
            .doc(
                "Drain: the element-wise side. The jobs of the program's tokens, in their order, one element a cycle.\n\
                 \n\
                 A job begins when every PE has seen its token (and, if its results go out, an output buffer is free).\n\
                 Element e is on PE e mod N at local address e / N: drain_read asks all PEs for a local address, their\n\
                 memories hold it, drain_pe takes the PEs' sums in turn. Latencies, in cycles after token_seen (with\n\
                 out_room, and at least 2 + the operations without token before it after token_issued, when the search\n\
                 has only begun with it): token_take and drain_read of element 0: 1; drain_pe and sums of element e:\n\
                 2 + e; store or out_write of row e: 5 + e; of cell e: 20 + e, its new cell is written at 12 + e.\n\
                 stored and complete show a result in the cycle after its store, which is also that of out_done and\n\
                 step_done (later only if the program has more operations without a token in a row than the job has\n\
                 cycles). A job has at least one element.\n\
                 active and fresh are taken when the first job of a step begins. busy is high from token_issued until the\n\
                 job is done and the next operation with a token is found. Sweep and host come only while it is low;\n\
                 a word that the host reads appears a cycle later and stays as long as host_memory and host_channel.\n\
                 clear drops every job, at once: the next token is that of the program's first job.",
            )
            .parameter("PRELOAD", "0", "PRELOAD")
            .parameter("IMAGE", "\"\"", "IMAGE")
            .value("_token", self._token)
            .value("_last", self._last)
            .value("_output", self._output)
            .value("_job_cells", self._job_cells)
            .value("_job_candidate", self._job_candidate)
            .value("_job_relu", self._job_relu)
            .value("_job_bias", self._job_bias)
            .value("_job_store", self._job_store)
            .value("_job_output", self._job_output)
            .value("_row_stage", self._row_stage)
            .value("_cell_stage", self._cell_stage)
            .value("_hidden_stage", self._hidden_stage)
            .into_timing()
    }
}
