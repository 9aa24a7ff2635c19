//! The broadcast side of a step: which column goes to the PEs next.

use super::buffers::POSITION_BITS;
use crate::prim::{Memory, Style};
use crate::signal::*;
use crate::spmv::Widths;
use lacuna_compress::spec::arch::{Arch, ACT_BITS};
use lacuna_compress::spec::layout::memory_address_bits;
use lacuna_compress::spec::{MemoryKind, Op};

#[derive(Copy, Clone, PartialEq, Debug, LogicState)]
pub enum Stage {
    /// One cycle: operation 0 is read.
    Fetch,
    /// One cycle: the length of the input vectors is taken from operation 0.
    Learn,
    /// Runs the operation in the program memory's output.
    Run,
}

#[derive(LogicBlock)]
pub struct Broadcaster {
    pub clock: Signal<In, Clock>,
    pub clear: Signal<In, Bit>,
    // the program's copy on this side
    pub program_write: Signal<In, Bit>,
    pub program_address: Wire<In>,
    pub program_data: Wire<In>,
    // the channels' input vectors
    pub run: Signal<In, Bit>,
    pub mask: Wire<In>,
    pub ready: Wire<In>,
    pub bad: Wire<In>,
    pub first: Wire<In>,
    pub consume: Wire<Out>,
    pub input_size: Wire<Out>,
    pub known: Signal<Out, Bit>,
    pub input_read: Signal<Out, Bit>,
    pub input_position: Wire<Out>,
    pub input_values: Wire<In>,
    // vector memories
    pub vector_read: Signal<Out, Bit>,
    pub vector_address: Wire<Out>,
    pub vector_values: Wire<In>,
    // the element-wise side
    pub complete: Signal<In, Bit>,
    pub stored: Wire<In>,
    pub token_take: Signal<In, Bit>,
    pub token_issued: Signal<Out, Bit>,
    pub active: Wire<Out>,
    pub fresh: Wire<Out>,
    pub clear_pending: Wire<In>,
    pub clears_taken: Wire<Out>,
    // the PEs
    pub accept: Signal<In, Bit>,
    pub broadcast: Signal<Out, Bit>,
    pub token: Signal<Out, Bit>,
    pub column: Wire<Out>,
    pub acts: Wire<Out>,
    pub rows_bank: Signal<Out, Bit>,
    pub parity: Signal<Out, Bit>,
    pub layer: Wire<Out>,
    pub at_rest: Signal<Out, Bit>,
    pub stall_queue: Signal<Out, Bit>,
    pub stall_input: Signal<Out, Bit>,
    pub stall_data: Signal<Out, Bit>,
    program: Memory,
    stage: DFF<Stage>,
    op_number: Reg,
    next_op: Wire<Local>,
    op_columns: Wire<Local>,
    op_input: Signal<Local, Bit>,
    op_ahead: Signal<Local, Bit>,
    op_state: Signal<Local, Bit>,
    op_stream: Signal<Local, Bit>,
    op_whole: Signal<Local, Bit>,
    op_token: Signal<Local, Bit>,
    op_last: Signal<Local, Bit>,
    op_cells: Signal<Local, Bit>,
    op_rows_bank: Signal<Local, Bit>,
    // stage 0: what can be read
    cursor: Reg,
    index: Reg,
    position: Wire<Local>,
    in_step: Signal<Local, Bit>,
    all_read: Signal<Local, Bit>,
    available: Signal<Local, Bit>,
    issue: Signal<Local, Bit>,
    issue_token: Signal<Local, Bit>,
    finish: Signal<Local, Bit>,
    boundary: Signal<Local, Bit>,
    gate_parity: Flag,
    untaken: Flag,
    size: Reg,
    // vectors of the step whose input is being broadcast, and of the step itself
    can_commit: Signal<Local, Bit>,
    commit: Signal<Local, Bit>,
    committed: Flag,
    chosen: Reg,
    chosen_active: Reg,
    chosen_first: Reg,
    beginning: Wire<Local>,
    step_active: Reg,
    step_fresh: Reg,
    // stage 1: a value is in a memory's output
    valid_1: Flag,
    token_1: Flag,
    input_1: Flag,
    state_1: Flag,
    column_1: Reg,
    rows_1: Flag,
    parity_1: Flag,
    layer_1: Reg,
    can_1: Signal<Local, Bit>,
    // stage 2: the broadcast
    valid_2: Flag,
    token_2: Flag,
    values_2: Vec<Reg>,
    column_2: Reg,
    rows_2: Flag,
    parity_2: Flag,
    layer_2: Reg,
    can_2: Signal<Local, Bit>,
    unused: Signal<Local, Bit>,
    _channels: usize,
    _wide: usize,
    _act: usize,
    _column_bits: usize,
    _program_address: usize,
    _layer_bits: usize,
    _columns: usize,
    _source_base: usize,
    _ptr_base: usize,
    _layer: usize,
    _input: usize,
    _ahead: usize,
    _state: usize,
    _stream: usize,
    _whole: usize,
    _rows_bank: usize,
    _token: usize,
    _last: usize,
    _cells: usize,
}

impl Broadcaster {
    pub fn new(arch: &Arch) -> Broadcaster {
        let w = Widths::of(arch);
        let channels = arch.channels();
        let wide = channels * ACT_BITS;
        let address = memory_address_bits(MemoryKind::Layers, arch);
        let field = |name| Op::field(name).0;
        Broadcaster {
            clock: Default::default(),
            clear: Default::default(),
            program_write: Default::default(),
            program_address: Wire::new(address),
            program_data: Wire::new(Op::BITS),
            run: Default::default(),
            mask: Wire::new(channels),
            ready: Wire::new(channels),
            bad: Wire::new(channels),
            first: Wire::new(channels),
            consume: Wire::new(channels),
            input_size: Wire::new(POSITION_BITS),
            known: Default::default(),
            input_read: Default::default(),
            input_position: Wire::new(POSITION_BITS),
            input_values: Wire::new(wide),
            vector_read: Default::default(),
            vector_address: Wire::new(w.act),
            vector_values: Wire::new(wide),
            complete: Default::default(),
            stored: Wire::new(POSITION_BITS),
            token_take: Default::default(),
            token_issued: Default::default(),
            active: Wire::new(channels),
            fresh: Wire::new(channels),
            clear_pending: Wire::new(channels),
            clears_taken: Wire::new(channels),
            accept: Default::default(),
            broadcast: Default::default(),
            token: Default::default(),
            column: Wire::new(w.column),
            acts: Wire::new(wide),
            rows_bank: Default::default(),
            parity: Default::default(),
            layer: Wire::new(w.layer),
            at_rest: Default::default(),
            stall_queue: Default::default(),
            stall_input: Default::default(),
            stall_data: Default::default(),
            program: Memory::new(Style::Small, Op::BITS, arch.max_layers, Some("layers")),
            stage: Default::default(),
            op_number: Reg::new(address),
            next_op: Wire::new(address),
            op_columns: Wire::new(POSITION_BITS),
            op_input: Default::default(),
            op_ahead: Default::default(),
            op_state: Default::default(),
            op_stream: Default::default(),
            op_whole: Default::default(),
            op_token: Default::default(),
            op_last: Default::default(),
            op_cells: Default::default(),
            op_rows_bank: Default::default(),
            cursor: Reg::new(POSITION_BITS),
            index: Reg::new(POSITION_BITS),
            position: Wire::new(POSITION_BITS),
            in_step: Default::default(),
            all_read: Default::default(),
            available: Default::default(),
            issue: Default::default(),
            issue_token: Default::default(),
            finish: Default::default(),
            boundary: Default::default(),
            gate_parity: Flag::new(),
            untaken: Flag::new(),
            size: Reg::new(POSITION_BITS),
            can_commit: Default::default(),
            commit: Default::default(),
            committed: Flag::new(),
            chosen: Reg::new(channels),
            chosen_active: Reg::new(channels),
            chosen_first: Reg::new(channels),
            beginning: Wire::new(channels),
            step_active: Reg::new(channels),
            step_fresh: Reg::new(channels),
            valid_1: Flag::new(),
            token_1: Flag::new(),
            input_1: Flag::new(),
            state_1: Flag::new(),
            column_1: Reg::new(w.column),
            rows_1: Flag::new(),
            parity_1: Flag::new(),
            layer_1: Reg::new(w.layer),
            can_1: Default::default(),
            valid_2: Flag::new(),
            token_2: Flag::new(),
            values_2: (0..channels).map(|_| Reg::new(ACT_BITS)).collect(),
            column_2: Reg::new(w.column),
            rows_2: Flag::new(),
            parity_2: Flag::new(),
            layer_2: Reg::new(w.layer),
            can_2: Default::default(),
            unused: Default::default(),
            _channels: channels,
            _wide: wide,
            _act: w.act,
            _column_bits: w.column,
            _program_address: address,
            _layer_bits: w.layer,
            _columns: field("columns"),
            _source_base: field("source_base"),
            _ptr_base: field("ptr_base"),
            _layer: field("layer"),
            _input: field("input"),
            _ahead: field("ahead"),
            _state: field("state"),
            _stream: field("stream"),
            _whole: field("whole"),
            _rows_bank: field("rows_bank"),
            _token: field("token"),
            _last: field("last"),
            _cells: field("cells"),
        }
    }
}

impl Logic for Broadcaster {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            stage,
            op_number,
            cursor,
            index,
            gate_parity,
            untaken,
            size,
            committed,
            chosen,
            chosen_active,
            chosen_first
        );
        dff_setup!(self, clock, step_active, step_fresh, valid_1, token_1, input_1, state_1, column_1, rows_1, parity_1, layer_1);
        dff_setup!(self, clock, valid_2, token_2, column_2, rows_2, parity_2, layer_2);
        clock!(self, clock, program);

        // the operation
        self.op_columns.next = bit_cast_slice(self.program.read_data.val(), self._columns, POSITION_BITS);
        self.op_input.next = self.program.read_data.val().get_bit(self._input);
        self.op_ahead.next = self.program.read_data.val().get_bit(self._ahead);
        self.op_state.next = self.program.read_data.val().get_bit(self._state);
        self.op_stream.next = self.program.read_data.val().get_bit(self._stream);
        self.op_whole.next = self.program.read_data.val().get_bit(self._whole);
        self.op_token.next = self.program.read_data.val().get_bit(self._token);
        self.op_last.next = self.program.read_data.val().get_bit(self._last);
        self.op_cells.next = self.program.read_data.val().get_bit(self._cells);
        self.op_rows_bank.next = self.program.read_data.val().get_bit(self._rows_bank);

        // stage 0: the next column, if what it is made of is there
        self.can_2.next = !self.valid_2.q.val() | self.accept.val();
        self.can_1.next = !self.valid_1.q.val() | self.can_2.val();
        self.in_step.next = self.stage.q.val() == Stage::Run;
        self.can_commit.next = self.run.val() & self.mask.val().any() & (self.ready.val() | !self.mask.val()).all();
        self.commit.next = self.in_step.val() & self.op_input.val() & !self.committed.q.val() & self.can_commit.val();
        self.position.next = self.index.q.val();
        if self.op_input.val() {
            self.position.next = self.cursor.q.val();
        }
        // an operation in advance may find more columns read than it asks for
        self.all_read.next = self.position.val() >= self.op_columns.val();
        self.available.next =
            self.complete.val() | (!self.op_whole.val() & (!self.op_stream.val() | (self.index.q.val() < self.stored.val())));
        if self.op_input.val() {
            self.available.next = self.committed.q.val() & (self.run.val() | self.op_ahead.val());
        }
        self.issue.next = self.in_step.val() & !self.all_read.val() & self.available.val() & self.can_1.val();
        // one job at a time: a token waits for the job of the one before
        self.issue_token.next = self.in_step.val() & self.all_read.val() & self.op_token.val() & self.complete.val() & self.can_1.val();
        // a step begins when the job that reads the flags of the step before has them
        self.boundary.next = self.in_step.val()
            & self.op_input.val()
            & !self.op_ahead.val()
            & self.committed.q.val()
            & self.all_read.val()
            & self.run.val()
            & !self.untaken.q.val();
        self.finish.next = self.boundary.val() | self.issue_token.val();
        if self.in_step.val() & self.op_input.val() & self.op_ahead.val() {
            self.finish.next = (!self.committed.q.val() & !self.can_commit.val()) | (self.committed.q.val() & self.all_read.val());
        }
        if self.in_step.val() & !self.op_input.val() & !self.op_token.val() {
            self.finish.next = self.all_read.val();
        }

        self.input_read.next = self.issue.val() & self.op_input.val();
        self.input_position.next = self.cursor.q.val();
        self.vector_read.next = self.issue.val() & !self.op_input.val();
        self.vector_address.next =
            bit_cast_slice(self.program.read_data.val(), self._source_base, self._act) + bit_cast_to(self.index.q.val(), self._act);
        self.consume.next = 0.into();
        if self.issue.val() {
            if self.op_input.val() {
                self.cursor.d.next = self.cursor.q.val() + 1;
                if self.cursor.q.val() + 1 == self.size.q.val() {
                    self.consume.next = self.chosen.q.val();
                }
            } else {
                self.index.d.next = self.index.q.val() + 1;
            }
        }
        if self.commit.val() {
            self.committed.d.next = true;
            self.chosen.d.next = self.mask.val();
            self.chosen_active.d.next = self.mask.val() & !self.bad.val();
            self.chosen_first.d.next = self.mask.val() & !self.bad.val() & self.first.val();
        }
        // a channel that was taken out of the mask meanwhile sits the step out
        self.beginning.next = self.chosen_active.q.val() & self.mask.val();
        self.clears_taken.next = 0.into();
        if self.boundary.val() {
            self.committed.d.next = false;
            self.cursor.d.next = 0.into();
            self.clears_taken.next = self.beginning.val();
            self.step_active.d.next = self.beginning.val();
            self.step_fresh.d.next = self.chosen_first.q.val() | self.clear_pending.val();
        }
        self.token_issued.next = self.issue_token.val();
        if self.token_take.val() {
            self.untaken.d.next = false;
        }
        if self.issue_token.val() {
            self.untaken.d.next = true;
            if self.op_cells.val() {
                self.gate_parity.d.next = !self.gate_parity.q.val();
            }
        }

        // the next operation is read in the cycle in which this one ends
        self.next_op.next = self.op_number.q.val() + 1;
        if self.op_last.val() {
            self.next_op.next = 0.into();
        }
        self.program.read_enable.next = self.finish.val();
        self.program.read_address.next = self.next_op.val();
        if self.finish.val() {
            self.op_number.d.next = self.next_op.val();
            self.index.d.next = 0.into();
        }
        match self.stage.q.val() {
            Stage::Fetch => {
                self.program.read_enable.next = true;
                self.program.read_address.next = 0.into();
                self.stage.d.next = Stage::Learn;
            }
            Stage::Learn => {
                self.size.d.next = self.op_columns.val();
                self.stage.d.next = Stage::Run;
            }
            Stage::Run => {}
        }
        self.program.write_enable.next = self.program_write.val();
        self.program.write_address.next = self.program_address.val();
        self.program.write_data.next = self.program_data.val();
        self.input_size.next = self.size.q.val();
        self.known.next = self.in_step.val();
        self.active.next = self.step_active.q.val();
        self.fresh.next = self.step_fresh.q.val();

        // stage 1
        if self.can_1.val() {
            self.valid_1.d.next = self.issue.val() | self.issue_token.val();
            self.token_1.d.next = self.issue_token.val();
            self.input_1.d.next = self.op_input.val();
            self.state_1.d.next = self.op_state.val();
            self.column_1.d.next = bit_cast_slice(self.program.read_data.val(), self._ptr_base, self._column_bits)
                + bit_cast_to(self.position.val(), self._column_bits);
            self.rows_1.d.next = self.op_rows_bank.val();
            self.parity_1.d.next = self.gate_parity.q.val();
            self.layer_1.d.next = bit_cast_slice(self.program.read_data.val(), self._layer, self._layer_bits);
        }

        // stage 2: state is zero for a sequence that begins
        if self.can_2.val() {
            self.valid_2.d.next = self.valid_1.q.val();
            self.token_2.d.next = self.token_1.q.val();
            self.column_2.d.next = self.column_1.q.val();
            self.rows_2.d.next = self.rows_1.q.val();
            self.parity_2.d.next = self.parity_1.q.val();
            self.layer_2.d.next = self.layer_1.q.val();
        }
        self.acts.next = 0.into();
        for c in 0..(self._channels) {
            self.values_2[c].clock.next = self.clock.val();
            self.values_2[c].d.next = self.values_2[c].q.val();
            if self.can_2.val() {
                self.values_2[c].d.next = self.vector_values.val().get_bits::<Fit>(16 * c);
                if self.input_1.q.val() {
                    self.values_2[c].d.next = self.input_values.val().get_bits::<Fit>(16 * c);
                } else if self.state_1.q.val() & self.step_fresh.q.val().get_bit(c) {
                    self.values_2[c].d.next = 0.into();
                }
            }
            self.acts.next = self.acts.val() | (self.values_2[c].q.val().get_bits::<Fit>(0) << (16 * c));
        }
        self.broadcast.next = self.valid_2.q.val() & self.accept.val();
        self.token.next = self.token_2.q.val();
        self.column.next = self.column_2.q.val();
        self.rows_bank.next = self.rows_2.q.val();
        self.parity.next = self.parity_2.q.val();
        self.layer.next = self.layer_2.q.val();

        // at rest: nothing of a step has begun but input in advance
        self.at_rest.next = (!self.in_step.val() | (self.op_input.val() & !self.op_ahead.val() & !self.run.val()))
            & !self.valid_1.q.val()
            & !self.valid_2.q.val();
        self.stall_queue.next = self.valid_2.q.val() & !self.accept.val();
        self.stall_input.next = self.in_step.val()
            & self.op_input.val()
            & !self.op_ahead.val()
            & !self.committed.q.val()
            & !self.can_commit.val()
            & self.run.val();
        self.stall_data.next = self.in_step.val() & !self.op_input.val() & self.can_1.val() & !self.issue.val() & !self.finish.val();
        self.unused.next = self.program.read_data.val().any() ^ self.stored.val().any();
        if self.clear.val() {
            self.stage.d.next = Stage::Fetch;
            self.op_number.d.next = 0.into();
            self.cursor.d.next = 0.into();
            self.index.d.next = 0.into();
            self.gate_parity.d.next = false;
            self.untaken.d.next = false;
            self.committed.d.next = false;
            self.valid_1.d.next = false;
            self.valid_2.d.next = false;
        }
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("broadcaster")
            .doc(
                "Broadcaster: runs the program's operations in order, and sends their columns to all PEs.\n\
                 \n\
                 A column goes through two stages: its values are read (cycle 0, the cycle in which they are known to be\n\
                 there), masked (1) and broadcast (2 or when every PE accepts). Operations follow one another without a lost\n\
                 cycle. A token goes behind the last column of its operation, when the job of the token before it is complete.\n\
                 A step's input vectors are chosen when every channel in mask has one (one cycle), in advance if the program\n\
                 says so; a step begins when its input is out, run is high and the last token has been taken. active and\n\
                 fresh are the flags of the step; fresh takes in clear_pending when it begins (clears_taken: the channels that begin it).\n\
                 clear drops everything and reads operation 0 again: known says that input_size is right.",
            )
            .parameter("PRELOAD", "0", "PRELOAD")
            .parameter("IMAGE", "\"\"", "IMAGE")
            .value("_input", self._input)
            .value("_ahead", self._ahead)
            .value("_state", self._state)
            .value("_stream", self._stream)
            .value("_whole", self._whole)
            .value("_rows_bank", self._rows_bank)
            .value("_token", self._token)
            .value("_last", self._last)
            .value("_cells", self._cells)
            .into_timing()
    }
}
