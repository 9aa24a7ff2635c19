//! ArithmUnit: row, weight, product, accumulation, and a layer's write-back through the same stages.
//!
//! Stages, counted from the cycle in which SpmatRead issues an entry (0): 1 word, 2 row and weight
//! address, 3 weight, 4 accumulator address, 5 product, and the accumulator or a sum on its way there, 6 sum, 7 accumulator write. A sum
//! that is written back goes on: 7 and 8 requantization, 9 activation write.

use super::decode::Decode;
use super::pooling::Pooling;
use super::Widths;
use crate::prim::{Accumulate, Memory, Multiply, Requantize, Style};
use crate::signal::*;
use lacuna_compress::spec::arch::{Arch, ACT_BITS};

#[derive(LogicBlock)]
pub struct Arithm {
    pub clock: Signal<In, Clock>,
    pub clear: Signal<In, Bit>,
    pub begin_layer: Signal<In, Bit>,
    pub layer: Wire<In>,
    pub bias_base: Wire<In>,
    pub shift: Wire<In>,
    pub relu: Signal<In, Bit>,
    pub discard: Signal<In, Bit>,
    pub valid: Signal<In, Bit>,
    pub write_back: Signal<In, Bit>,
    pub first: Signal<In, Bit>,
    pub last: Signal<In, Bit>,
    pub value: Wire<In>,
    pub weight: Wire<In>,
    pub run: Wire<In>,
    pub write: Signal<Out, Bit>,
    pub write_row: Wire<Out>,
    pub write_act: Wire<Out>,
    pub done: Signal<Out, Bit>,
    // pooling: a word of the destination
    pub old_read: Vec<Signal<Out, Bit>>,
    pub old_row: Vec<Wire<Out>>,
    pub old: Vec<Wire<In>>,
    pub host_read_bias: Signal<In, Bit>,
    pub host_write_bias: Signal<In, Bit>,
    pub host_read_codebook: Signal<In, Bit>,
    pub host_write_codebook: Signal<In, Bit>,
    pub host_bias_address: Wire<In>,
    pub host_bias_data: Wire<In>,
    pub host_codebook_address: Wire<In>,
    pub host_codebook_data: Wire<In>,
    pub host_bias: Wire<Out>,
    pub host_codebook: Wire<Out>,
    // stage 2
    valid_2: Flag,
    write_back_2: Flag,
    last_2: Flag,
    value_2: Reg,
    weight_2: Reg,
    run_2: Reg,
    // the row of the entry before in the column
    row_before: Reg,
    no_row: Const,
    entry_row: Wire<Local>,
    decode: Decode,
    // stage 3
    valid_3: Flag,
    // not valid, as a register: Yosys puts an inverter in front of each bit that an inverted signal resets
    gap_3: Flag,
    write_back_3: Flag,
    last_3: Flag,
    row_3: Reg,
    value_3: Reg,
    // stage 4
    valid_4: Flag,
    write_back_4: Flag,
    last_4: Flag,
    row_4: Reg,
    value_4: Reg,
    weight_4: Reg,
    bias: Memory,
    accumulators: Memory,
    // stage 5
    valid_5: Flag,
    write_back_5: Flag,
    last_5: Flag,
    row_5: Reg,
    value_5: Reg,
    weight_5: Reg,
    multiply: Multiply,
    // where the accumulator's value is: near, in stage 6 or 7, or else in stage 8 or the memory; of the two in the younger
    near_5: Flag,
    younger_5: Flag,
    // the write-back in stage 6 leaves zero
    zero_5: Flag,
    again_4: Signal<Local, Bit>,
    twice_4: Signal<Local, Bit>,
    thrice_4: Signal<Local, Bit>,
    // stage 6
    valid_6: Flag,
    write_back_6: Flag,
    last_6: Flag,
    row_6: Reg,
    bias_6: Reg,
    base_6: Reg,
    accumulate: Accumulate,
    sum: Wire<Local>,
    // stage 7
    valid_7: Flag,
    row_7: Reg,
    stored_7: Reg,
    stored_8: Reg,
    result_7: Flag,
    last_7: Flag,
    target_7: Reg,
    sum_7: Reg,
    requantize: Requantize,
    // stage 8
    result_8: Flag,
    last_8: Flag,
    target_8: Reg,
    // stage 9
    result_9: Flag,
    target_9: Reg,
    act_9: Reg,
    finished: Flag,
    pooling: Vec<Pooling>,
    _conv: usize,
    _plain: usize,
    _last: usize,
}

impl Arithm {
    pub fn new(arch: &Arch) -> Arithm {
        let w = Widths::of(arch);
        let sum = arch.acc_bits;
        let conv = usize::from(arch.conv);
        let decode = Decode::new(arch);
        // the depth of the smallest LUT RAMs; above, LUTs that choose between them come on top
        let accumulators = if arch.acc_depth <= 16 { Style::Small } else { Style::Block };
        Arithm {
            clock: Default::default(),
            clear: Default::default(),
            begin_layer: Default::default(),
            layer: Wire::new(w.layer),
            bias_base: Wire::new(w.bias),
            shift: Wire::new(6),
            relu: Default::default(),
            discard: Default::default(),
            valid: Default::default(),
            write_back: Default::default(),
            first: Default::default(),
            last: Default::default(),
            value: Wire::new(w.value),
            weight: Wire::new(arch.weight_bits),
            run: Wire::new(arch.run_bits),
            write: Default::default(),
            write_row: Wire::new(w.act),
            write_act: Wire::new(ACT_BITS),
            done: Default::default(),
            old_read: (0..conv).map(|_| Default::default()).collect(),
            old_row: (0..conv).map(|_| Wire::new(w.act)).collect(),
            old: (0..conv).map(|_| Wire::new(ACT_BITS)).collect(),
            host_read_bias: Default::default(),
            host_write_bias: Default::default(),
            host_read_codebook: Default::default(),
            host_write_codebook: Default::default(),
            host_bias_address: Wire::new(w.bias),
            host_bias_data: Wire::new(sum),
            host_codebook_address: Wire::new(decode.host_address.bits()),
            host_codebook_data: Wire::new(decode.host_data.bits()),
            host_bias: Wire::new(sum),
            host_codebook: Wire::new(decode.host_data.bits()),
            valid_2: Flag::new(),
            write_back_2: Flag::new(),
            last_2: Flag::new(),
            value_2: Reg::new(w.value),
            weight_2: Reg::new(arch.weight_bits),
            run_2: Reg::new(arch.run_bits),
            row_before: Reg::new(w.acc),
            // row 0 is the one behind it
            no_row: Const::new(w.acc, (1 << w.acc) - 1),
            entry_row: Wire::new(w.acc),
            decode,
            valid_3: Flag::new(),
            gap_3: Flag::new(),
            write_back_3: Flag::new(),
            last_3: Flag::new(),
            row_3: Reg::new(w.acc),
            value_3: Reg::new(w.value),
            valid_4: Flag::new(),
            write_back_4: Flag::new(),
            last_4: Flag::new(),
            row_4: Reg::new(w.acc),
            value_4: Reg::new(w.value),
            weight_4: Reg::new(arch.weight_value_bits()),
            bias: Memory::new(Style::Block, sum, arch.bias_depth, Some("bias")),
            accumulators: Memory::new(accumulators, sum, arch.acc_depth, None),
            valid_5: Flag::new(),
            write_back_5: Flag::new(),
            last_5: Flag::new(),
            row_5: Reg::new(w.acc),
            value_5: Reg::new(w.value),
            weight_5: Reg::new(arch.weight_value_bits()),
            multiply: Multiply::new(arch.weight_value_bits(), ACT_BITS, sum),
            near_5: Flag::new(),
            younger_5: Flag::new(),
            zero_5: Flag::new(),
            again_4: Default::default(),
            twice_4: Default::default(),
            thrice_4: Default::default(),
            valid_6: Flag::new(),
            write_back_6: Flag::new(),
            last_6: Flag::new(),
            row_6: Reg::new(w.acc),
            bias_6: Reg::new(sum),
            base_6: Reg::new(sum),
            accumulate: Accumulate::new(sum),
            sum: Wire::new(sum),
            valid_7: Flag::new(),
            row_7: Reg::new(w.acc),
            stored_7: Reg::new(sum),
            stored_8: Reg::new(sum),
            result_7: Flag::new(),
            last_7: Flag::new(),
            target_7: Reg::new(w.act),
            sum_7: Reg::new(sum),
            requantize: Requantize::new(sum, 1),
            result_8: Flag::new(),
            last_8: Flag::new(),
            target_8: Reg::new(w.act),
            result_9: Flag::new(),
            target_9: Reg::new(w.act),
            act_9: Reg::new(ACT_BITS),
            finished: Flag::new(),
            pooling: (0..conv).map(|_| Pooling::new(arch)).collect(),
            _conv: conv,
            _plain: 1 - conv,
            _last: w.act + 1,
        }
    }
}

impl Logic for Arithm {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, valid_2, write_back_2, last_2, value_2, weight_2, run_2, row_before);
        dff_setup!(self, clock, valid_3, gap_3, write_back_3, last_3, row_3, value_3);
        dff_setup!(self, clock, valid_4, write_back_4, last_4, row_4, value_4, weight_4);
        dff_setup!(self, clock, valid_5, write_back_5, last_5, row_5, value_5, weight_5, near_5, younger_5, zero_5);
        dff_setup!(self, clock, valid_6, write_back_6, last_6, row_6, bias_6, base_6);
        dff_setup!(self, clock, valid_7, row_7, stored_7, stored_8, result_7, last_7, target_7, sum_7);
        dff_setup!(self, clock, result_8, last_8, target_8, result_9, target_9, act_9, finished);
        clock!(self, clock, decode, multiply, bias, accumulators, requantize);

        // stage 1 to 2: rows are written back one after the other
        self.valid_2.d.next = self.valid.val();
        self.write_back_2.d.next = self.write_back.val();
        self.last_2.d.next = self.last.val();
        self.value_2.d.next = self.value.val();
        self.weight_2.d.next = self.weight.val();
        self.run_2.d.next = self.run.val();
        if self.write_back.val() {
            self.run_2.d.next = 0.into();
        }

        // stage 2: the run counts from the entry before; before the first there is none
        self.entry_row.next = bit_cast_to(self.run_2.q.val(), &self.entry_row.next) + self.row_before.q.val() + 1;
        if self.valid_2.q.val() {
            self.row_before.d.next = self.entry_row.val();
        }
        if self.first.val() {
            self.row_before.d.next = self.no_row.val();
        }
        self.decode.enable.next = self.valid_2.q.val();
        self.decode.layer.next = self.layer.val();
        self.decode.field.next = self.weight_2.q.val();
        self.valid_3.d.next = self.valid_2.q.val();
        self.gap_3.d.next = !self.valid_2.q.val();
        if self.valid_2.q.val() {
            self.write_back_3.d.next = self.write_back_2.q.val();
            self.last_3.d.next = self.last_2.q.val();
            self.row_3.d.next = self.entry_row.val();
            self.value_3.d.next = self.value_2.q.val();
        }

        // stage 3
        self.valid_4.d.next = self.valid_3.q.val();
        self.write_back_4.d.next = self.write_back_3.q.val();
        self.last_4.d.next = self.last_3.q.val();
        self.row_4.d.next = self.row_3.q.val();
        if self.gap_3.q.val() {
            // the host's address comes by bias_base alone
            self.row_4.d.next = 0.into();
        }
        self.value_4.d.next = self.value_3.q.val();
        self.weight_4.d.next = self.decode.weight.val();

        // stage 4
        self.bias.read_enable.next = self.valid_4.q.val() | self.host_read_bias.val();
        self.bias.read_address.next = self.bias_base.val() + bit_cast_to(self.row_4.q.val(), &self.bias_base.val());
        self.accumulators.read_enable.next = self.valid_4.q.val();
        self.accumulators.read_address.next = self.row_4.q.val();
        // sums that are under way to the memory, the youngest first
        self.again_4.next = self.valid_5.q.val() & (self.row_5.q.val() == self.row_4.q.val());
        self.twice_4.next = self.valid_6.q.val() & (self.row_6.q.val() == self.row_4.q.val());
        self.thrice_4.next = self.valid_7.q.val() & (self.row_7.q.val() == self.row_4.q.val());
        self.near_5.d.next = self.again_4.val() | self.twice_4.val();
        self.younger_5.d.next = self.again_4.val() | (!self.twice_4.val() & self.thrice_4.val());
        self.zero_5.d.next = self.again_4.val() & self.write_back_5.q.val();
        self.valid_5.d.next = self.valid_4.q.val();
        self.value_5.d.next = self.value_4.q.val();
        self.weight_5.d.next = self.weight_4.q.val();
        self.write_back_5.d.next = self.write_back_4.q.val();
        self.last_5.d.next = self.last_4.q.val();
        self.row_5.d.next = self.row_4.q.val();

        // stage 5
        // of two registers behind a product Yosys 0.23 loses the product on an iCE40: there is one, the multiplier's
        self.multiply.a.next = self.weight_5.q.val();
        for _p in 0..(self._plain) {
            self.multiply.b.next = self.value_5.q.val();
        }
        for _c in 0..(self._conv) {
            self.multiply.b.next = bit_cast_to(self.value_5.q.val(), ACT_BITS);
        }
        // stage 6, which stage 5 may need at once
        self.accumulate.base.next = self.base_6.q.val();
        self.accumulate.write_back.next = self.write_back_6.q.val();
        self.accumulate.product.next = self.multiply.product.val();
        self.accumulate.bias.next = self.bias_6.q.val();
        self.sum.next = self.accumulate.sum.val();
        self.base_6.d.next = self.accumulators.read_data.val();
        if self.near_5.q.val() {
            self.base_6.d.next = self.stored_7.q.val();
            if self.younger_5.q.val() {
                self.base_6.d.next = self.sum.val();
            }
        } else if self.younger_5.q.val() {
            self.base_6.d.next = self.stored_8.q.val();
        }
        if self.zero_5.q.val() {
            self.base_6.d.next = 0.into();
        }
        self.bias_6.d.next = self.bias.read_data.val();
        self.valid_6.d.next = self.valid_5.q.val();
        self.write_back_6.d.next = self.write_back_5.q.val();
        self.last_6.d.next = self.last_5.q.val();
        self.row_6.d.next = self.row_5.q.val();
        for c in 0..(self._conv) {
            // a layer ends with its last place
            self.last_6.d.next = self.last_5.q.val() & self.value_5.q.val().get_bit(self._last);
            self.pooling[c].clock.next = self.clock.val();
            self.pooling[c].place.next = self.value_5.q.val();
            self.pooling[c].row.next = self.row_5.q.val();
        }
        // stage 6: what is written back leaves a zero for the next layer
        self.stored_7.d.next = self.sum.val();
        if self.write_back_6.q.val() {
            self.stored_7.d.next = 0.into();
        }
        self.valid_7.d.next = self.valid_6.q.val();
        self.row_7.d.next = self.row_6.q.val();
        self.result_7.d.next = self.valid_6.q.val() & self.write_back_6.q.val();
        self.last_7.d.next = self.last_6.q.val();
        self.target_7.d.next = bit_cast_to(self.row_6.q.val(), &self.target_7.d.next);
        self.sum_7.d.next = self.sum.val();
        for c in 0..(self._conv) {
            self.target_7.d.next = self.pooling[c].target.val();
        }

        // stage 7
        self.accumulators.write_enable.next = self.valid_7.q.val();
        self.accumulators.write_address.next = self.row_7.q.val();
        self.accumulators.write_data.next = self.stored_7.q.val();
        self.stored_8.d.next = self.stored_7.q.val();

        // stages 7 and 8 of a result
        self.requantize.sum.next = self.sum_7.q.val();
        self.requantize.shift.next = self.shift.val();
        self.requantize.relu.next = self.relu.val();
        self.result_8.d.next = self.result_7.q.val();
        self.last_8.d.next = self.last_7.q.val();
        self.target_8.d.next = self.target_7.q.val();
        self.result_9.d.next = self.result_8.q.val() & !self.discard.val();
        self.target_9.d.next = self.target_8.q.val();
        self.act_9.d.next = self.requantize.act.val();
        if self.result_8.q.val() & self.last_8.q.val() {
            self.finished.d.next = true;
        }
        if self.begin_layer.val() {
            self.finished.d.next = false;
        }
        if self.clear.val() {
            self.valid_2.d.next = false;
            self.valid_3.d.next = false;
            self.valid_4.d.next = false;
            self.valid_5.d.next = false;
            self.valid_6.d.next = false;
            self.valid_7.d.next = false;
            self.result_7.d.next = false;
            self.result_8.d.next = false;
            self.result_9.d.next = false;
            self.finished.d.next = false;
        }

        // stage 9
        self.write.next = self.result_9.q.val();
        self.write_row.next = self.target_9.q.val();
        self.write_act.next = self.act_9.q.val();
        for c in 0..(self._conv) {
            self.pooling[c].valid_8.next = self.result_8.q.val();
            self.pooling[c].row_8.next = self.target_8.q.val();
            self.pooling[c].valid_9.next = self.result_9.q.val();
            self.pooling[c].row_9.next = self.target_9.q.val();
            self.pooling[c].act_9.next = self.act_9.q.val();
            self.pooling[c].old.next = self.old[c].val();
            self.old_read[c].next = self.pooling[c].read.val();
            self.old_row[c].next = self.target_8.q.val();
            self.write_act.next = self.pooling[c].kept.val();
        }
        self.done.next = self.finished.q.val();

        // host
        self.bias.write_enable.next = self.host_write_bias.val();
        self.bias.write_address.next = self.host_bias_address.val();
        self.bias.write_data.next = self.host_bias_data.val();
        self.host_bias.next = self.bias.read_data.val();
        self.decode.host_read.next = self.host_read_codebook.val();
        self.decode.host_write.next = self.host_write_codebook.val();
        self.decode.host_address.next = self.host_codebook_address.val();
        self.decode.host_data.next = self.host_codebook_data.val();
        self.host_codebook.next = self.decode.host_word.val();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        let meta = Meta::new("arithm").doc(
            "ArithmUnit: accumulator[row] += weight x activation, one entry a cycle, and write-back.\n\
             \n\
             The row of an entry is its run plus one more than the row of the entry before it in the column; write_back\n\
             slots have rows 0, 1, 2 and so on.\n\
             Successive entries may hit the same accumulator: the sum is forwarded. A write_back slot takes\n\
             accumulator[row] plus bias[bias_base + row], requantizes it, gives it out eight cycles later and\n\
             leaves zero in the accumulator. done rises with the last activation of a layer, at most one cycle\n\
             before it is in the buffer, and falls with begin_layer. With discard nothing is given out.\n\
             The host reads word bias_base of the biases.\n\
             Sums cannot overflow: the compiler has checked every row.",
        );
        let meta = if self._conv == 0 {
            meta
        } else {
            meta.doc(
                "\n\
                 Convolutions: the value of a write_back slot says where its place's rows go and whether the place is the\n\
                 first of its window of pooling and the last of the layer. Results of places that are not the first are\n\
                 pooled with what is there: old_read asks for word old_row of the destination, old has it a cycle later.",
            )
            .value("_last", self._last)
        };
        meta.parameter("PRELOAD", "0", "PRELOAD").parameter("IMAGE", "\"\"", "IMAGE").into_timing()
    }
}
