//! The arithmetic of one LSTM cell, or one row, a cycle.
//!
//! Stages are counted from the cycle in which sums, parameters and the cell before are at the inputs (0); a signal's
//! number is the stage in which it holds its value.

use crate::prim::{Activation, AlignShift, Delay, Multiply, Requantize};
use crate::signal::*;
use lacuna_compress::spec::arch::{Arch, ACT_BITS};
use lacuna_compress::spec::lut::{OUTPUT_FRACTION, TANH_FRACTION};

/// Stage of a row's result.
pub const ROW_STAGE: usize = 2;
/// Stage of the new cell.
pub const CELL_STAGE: usize = 9;
/// Stage of a cell's result.
pub const HIDDEN_STAGE: usize = 17;

/// Bits of a product of two activations.
const PRODUCT: usize = 2 * ACT_BITS;
/// Bits of the sum that a new cell is rounded from: f c' shifted left by at most 15, and i g.
const CELL_SUM: usize = 48;
/// From the fraction length of that sum to that of tanh's input.
const TO_TANH: u64 = (2 * OUTPUT_FRACTION - TANH_FRACTION) as u64;

#[derive(LogicBlock)]
pub struct CellUnit {
    pub clock: Signal<In, Clock>,
    // of the job
    pub rows: Signal<In, Bit>,
    pub shift_i: Wire<In>,
    pub shift_f: Wire<In>,
    pub shift_g: Wire<In>,
    pub shift_o: Wire<In>,
    pub align_i: Wire<In>,
    pub align_f: Wire<In>,
    pub align_o: Wire<In>,
    pub cell_shift: Wire<In>,
    pub hidden_shift: Wire<In>,
    pub candidate_sigmoid: Signal<In, Bit>,
    pub relu: Signal<In, Bit>,
    // of the element
    pub sums: Wire<In>,
    pub parameters: Wire<In>,
    pub old_cell: Wire<In>,
    pub row: Wire<Out>,
    pub new_cell: Wire<Out>,
    pub hidden: Wire<Out>,
    // sums with biases, peephole products
    base_i_1: Reg,
    base_f_1: Reg,
    base_g_1: Reg,
    base_o_1: Reg,
    peephole_i: Multiply,
    peephole_f: Multiply,
    shift_peephole_i: AlignShift,
    shift_peephole_f: AlignShift,
    total_i_2: Reg,
    total_f_2: Reg,
    // inputs of the functions
    narrow_i: Requantize,
    narrow_f: Requantize,
    narrow_g: Requantize,
    z_i_3: Reg,
    z_f_3: Reg,
    z_g_2: Reg,
    gate_i: Activation,
    gate_f: Activation,
    gate_g: Activation,
    late_g: Delay,
    late_cell: Delay,
    // the new cell
    keep: Multiply,
    admit: Multiply,
    shift_keep: AlignShift,
    sum_cell_8: Reg,
    sum_tanh_8: Reg,
    narrow_cell: Requantize,
    narrow_tanh: Requantize,
    cell_9: Reg,
    z_tanh_9: Reg,
    // the result
    gate_tanh: Activation,
    late_tanh: Delay,
    late_peephole_o: Delay,
    late_base_o: Delay,
    peephole_o: Multiply,
    shift_peephole_o: AlignShift,
    total_o_11: Reg,
    narrow_o: Requantize,
    z_o_12: Reg,
    gate_o: Activation,
    expose: Multiply,
    narrow_hidden: Requantize,
    hidden_17: Reg,
    one_cell: Const,
    one_hidden: Const,
    half_tanh: Const,
    to_tanh: Const,
    _acc: usize,
    _act: usize,
    _gate_f: usize,
    _gate_g: usize,
    _gate_o: usize,
    _peephole_i: usize,
    _peephole_f: usize,
    _peephole_o: usize,
}

impl CellUnit {
    pub fn new(arch: &Arch) -> CellUnit {
        let acc = arch.acc_bits;
        let product = || Multiply::new(ACT_BITS, ACT_BITS, PRODUCT);
        CellUnit {
            clock: Default::default(),
            rows: Default::default(),
            shift_i: Wire::new(6),
            shift_f: Wire::new(6),
            shift_g: Wire::new(6),
            shift_o: Wire::new(6),
            align_i: Wire::new(4),
            align_f: Wire::new(4),
            align_o: Wire::new(4),
            cell_shift: Wire::new(6),
            hidden_shift: Wire::new(6),
            candidate_sigmoid: Default::default(),
            relu: Default::default(),
            sums: Wire::new(4 * acc),
            parameters: Wire::new(arch.parameter_bits()),
            old_cell: Wire::new(ACT_BITS),
            row: Wire::new(ACT_BITS),
            new_cell: Wire::new(ACT_BITS),
            hidden: Wire::new(ACT_BITS),
            base_i_1: Reg::new(acc),
            base_f_1: Reg::new(acc),
            base_g_1: Reg::new(acc),
            base_o_1: Reg::new(acc),
            peephole_i: product(),
            peephole_f: product(),
            shift_peephole_i: AlignShift::new(acc),
            shift_peephole_f: AlignShift::new(acc),
            total_i_2: Reg::new(acc),
            total_f_2: Reg::new(acc),
            narrow_i: Requantize::new(acc, 0),
            narrow_f: Requantize::new(acc, 0),
            narrow_g: Requantize::new(acc, 0),
            z_i_3: Reg::new(ACT_BITS),
            z_f_3: Reg::new(ACT_BITS),
            z_g_2: Reg::new(ACT_BITS),
            gate_i: Default::default(),
            gate_f: Default::default(),
            gate_g: Default::default(),
            late_g: Delay::new(ACT_BITS, 1),
            late_cell: Delay::new(ACT_BITS, 6),
            keep: product(),
            admit: Multiply::new(ACT_BITS, ACT_BITS, CELL_SUM),
            shift_keep: AlignShift::new(CELL_SUM),
            sum_cell_8: Reg::new(CELL_SUM),
            sum_tanh_8: Reg::new(CELL_SUM),
            narrow_cell: Requantize::new(CELL_SUM, 0),
            narrow_tanh: Requantize::new(CELL_SUM, 0),
            cell_9: Reg::new(ACT_BITS),
            z_tanh_9: Reg::new(ACT_BITS),
            gate_tanh: Default::default(),
            late_tanh: Delay::new(ACT_BITS, 3),
            late_peephole_o: Delay::new(ACT_BITS, 9),
            late_base_o: Delay::new(acc, 9),
            peephole_o: product(),
            shift_peephole_o: AlignShift::new(acc),
            total_o_11: Reg::new(acc),
            narrow_o: Requantize::new(acc, 0),
            z_o_12: Reg::new(ACT_BITS),
            gate_o: Default::default(),
            expose: product(),
            narrow_hidden: Requantize::new(PRODUCT, 0),
            hidden_17: Reg::new(ACT_BITS),
            one_cell: Const::new(CELL_SUM, 1),
            one_hidden: Const::new(PRODUCT, 1),
            half_tanh: Const::new(CELL_SUM, 1 << (TO_TANH - 1)),
            to_tanh: Const::new(6, TO_TANH),
            _acc: acc,
            _act: ACT_BITS,
            _gate_f: acc,
            _gate_g: 2 * acc,
            _gate_o: 3 * acc,
            _peephole_i: 4 * acc,
            _peephole_f: 4 * acc + ACT_BITS,
            _peephole_o: 4 * acc + 2 * ACT_BITS,
        }
    }
}

impl Logic for CellUnit {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, base_i_1, base_f_1, base_g_1, base_o_1, total_i_2, total_f_2, z_i_3, z_f_3, z_g_2);
        dff_setup!(self, clock, sum_cell_8, sum_tanh_8, cell_9, z_tanh_9, total_o_11, z_o_12, hidden_17);
        clock!(self, clock, peephole_i, peephole_f, gate_i, gate_f, gate_g, late_g, late_cell, keep, admit);
        clock!(self, clock, gate_tanh, late_tanh, late_peephole_o, late_base_o, peephole_o, gate_o, expose);
        clock!(self, clock, narrow_i, narrow_f, narrow_g, narrow_cell, narrow_tanh, narrow_o, narrow_hidden);

        // stage 0
        self.base_i_1.d.next = bit_cast_slice(self.sums.val(), 0, self._acc) + bit_cast_slice(self.parameters.val(), 0, self._acc);
        self.base_f_1.d.next =
            bit_cast_slice(self.sums.val(), self._gate_f, self._acc) + bit_cast_slice(self.parameters.val(), self._gate_f, self._acc);
        self.base_g_1.d.next =
            bit_cast_slice(self.sums.val(), self._gate_g, self._acc) + bit_cast_slice(self.parameters.val(), self._gate_g, self._acc);
        self.base_o_1.d.next =
            bit_cast_slice(self.sums.val(), self._gate_o, self._acc) + bit_cast_slice(self.parameters.val(), self._gate_o, self._acc);
        self.peephole_i.a.next = bit_cast_slice(self.parameters.val(), self._peephole_i, self._act);
        self.peephole_i.b.next = self.old_cell.val();
        self.peephole_f.a.next = bit_cast_slice(self.parameters.val(), self._peephole_f, self._act);
        self.peephole_f.b.next = self.old_cell.val();
        self.late_peephole_o.early.next = bit_cast_slice(self.parameters.val(), self._peephole_o, self._act);
        self.late_cell.early.next = self.old_cell.val();

        // stage 1
        self.shift_peephole_i.product.next = self.peephole_i.product.val();
        self.shift_peephole_i.shift.next = self.align_i.val();
        self.total_i_2.d.next = self.base_i_1.q.val() + self.shift_peephole_i.aligned.val();
        self.shift_peephole_f.product.next = self.peephole_f.product.val();
        self.shift_peephole_f.shift.next = self.align_f.val();
        self.total_f_2.d.next = self.base_f_1.q.val() + self.shift_peephole_f.aligned.val();
        self.narrow_g.sum.next = self.base_g_1.q.val();
        self.narrow_g.shift.next = self.shift_g.val();
        self.narrow_g.relu.next = false;
        self.z_g_2.d.next = self.narrow_g.act.val();
        self.late_base_o.early.next = self.base_o_1.q.val();

        // stage 2: gates i and f; g is at its function already. A row has no product and passes a stage earlier
        self.narrow_i.sum.next = self.total_i_2.q.val();
        if self.rows.val() {
            self.narrow_i.sum.next = self.base_i_1.q.val();
        }
        self.narrow_i.shift.next = self.shift_i.val();
        self.narrow_i.relu.next = self.rows.val() & self.relu.val();
        self.z_i_3.d.next = self.narrow_i.act.val();
        self.row.next = self.z_i_3.q.val();
        self.narrow_f.sum.next = self.total_f_2.q.val();
        self.narrow_f.shift.next = self.shift_f.val();
        self.narrow_f.relu.next = false;
        self.z_f_3.d.next = self.narrow_f.act.val();
        self.gate_g.z.next = self.z_g_2.q.val();
        self.gate_g.sigmoid.next = self.candidate_sigmoid.val();

        // stages 3 to 6
        self.gate_i.z.next = self.z_i_3.q.val();
        self.gate_i.sigmoid.next = true;
        self.gate_f.z.next = self.z_f_3.q.val();
        self.gate_f.sigmoid.next = true;
        self.late_g.early.next = self.gate_g.value.val();

        // stage 6
        self.keep.a.next = self.gate_f.value.val();
        self.keep.b.next = self.late_cell.late.val();
        self.admit.a.next = self.gate_i.value.val();
        self.admit.b.next = self.late_g.late.val();

        // stage 7: f c' is shifted by cell_shift - 15, which the low four bits of cell_shift + 1 are
        self.shift_keep.product.next = self.keep.product.val();
        self.shift_keep.shift.next = (self.cell_shift.val() + 1).get_bits::<Fit>(0);
        self.sum_cell_8.d.next =
            (self.admit.product.val() + ((self.one_cell.val() << self.cell_shift.val()) >> 1)) + self.shift_keep.aligned.val();
        self.sum_tanh_8.d.next = (self.admit.product.val() + self.half_tanh.val()) + self.shift_keep.aligned.val();

        // stage 8
        self.narrow_cell.sum.next = self.sum_cell_8.q.val();
        self.narrow_cell.shift.next = self.cell_shift.val();
        self.narrow_cell.relu.next = false;
        self.cell_9.d.next = self.narrow_cell.act.val();
        self.narrow_tanh.sum.next = self.sum_tanh_8.q.val();
        self.narrow_tanh.shift.next = self.to_tanh.val();
        self.narrow_tanh.relu.next = false;
        self.z_tanh_9.d.next = self.narrow_tanh.act.val();

        // stage 9
        self.new_cell.next = self.cell_9.q.val();
        self.gate_tanh.z.next = self.z_tanh_9.q.val();
        self.gate_tanh.sigmoid.next = false;
        self.peephole_o.a.next = self.late_peephole_o.late.val();
        self.peephole_o.b.next = self.cell_9.q.val();

        // stage 10
        self.shift_peephole_o.product.next = self.peephole_o.product.val();
        self.shift_peephole_o.shift.next = self.align_o.val();
        self.total_o_11.d.next = self.late_base_o.late.val() + self.shift_peephole_o.aligned.val();

        // stage 11
        self.narrow_o.sum.next = self.total_o_11.q.val();
        self.narrow_o.shift.next = self.shift_o.val();
        self.narrow_o.relu.next = false;
        self.z_o_12.d.next = self.narrow_o.act.val();

        // stages 12 to 15
        self.gate_o.z.next = self.z_o_12.q.val();
        self.gate_o.sigmoid.next = true;
        self.late_tanh.early.next = self.gate_tanh.value.val();

        // stage 15
        self.expose.a.next = self.gate_o.value.val();
        self.expose.b.next = self.late_tanh.late.val();

        // stage 16
        self.narrow_hidden.sum.next = self.expose.product.val() + ((self.one_hidden.val() << self.hidden_shift.val()) >> 1);
        self.narrow_hidden.shift.next = self.hidden_shift.val();
        self.narrow_hidden.relu.next = false;
        self.hidden_17.d.next = self.narrow_hidden.act.val();

        // stage 17
        self.hidden.next = self.hidden_17.q.val();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("cell_unit")
            .doc(
                "Cell unit: one LSTM cell, or one row of a projection or fully connected layer, a cycle (spec::cell::step,\n\
                 spec::program::row_result).\n\
                 \n\
                 sums holds the sums of the gates i f g o (i in the low bits; a row's sum is in its place), parameters a\n\
                 word of the parameter memory, old_cell the cell of the step before. With rows the row's result, sum plus\n\
                 bias, requantized, is at row 2 cycles later. Without, new_cell comes 9 cycles and the result\n\
                 at hidden 17 cycles later. What describes the job must not change while elements are under way.\n\
                 Sums cannot overflow: the compiler has checked every cell and row.",
            )
            .into_timing()
    }
}
