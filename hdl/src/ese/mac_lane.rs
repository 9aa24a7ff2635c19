//! The lane of a channel in a PE: product, accumulators of all banks, sum.
//!
//! Pointers, queue, entry, weight and row are the same for all channels, and so is every address and enable here:
//! the PE decides them once. A lane has what depends on the channel's activation.

use crate::prim::{Accumulators, Multiply};
use crate::signal::*;
use lacuna_compress::spec::arch::{address_bits, Arch, ACT_BITS};

/// Memories of both gate banks: gate `g` of bank `b` is number `4 b + g`.
pub(super) const GATES: usize = 8;
/// Number of the rows bank's memory.
pub(super) const ROWS: u64 = 8;
/// Bits of a memory's number.
pub(super) const MEMORY_BITS: usize = 4;
/// Banks with addresses of their own: gates 0, gates 1, rows.
pub(super) const BANKS: usize = 3;

#[derive(LogicBlock)]
pub struct MacLane {
    pub clock: Signal<In, Clock>,
    // stage 3
    pub weight: Wire<In>,
    pub act: Wire<In>,
    pub read_gates: Wire<In>,
    pub read_rows: Signal<In, Bit>,
    pub read_address: Vec<Wire<In>>,
    // stage 4
    pub from: Wire<In>,
    pub again: Signal<In, Bit>,
    pub write_gates: Wire<In>,
    pub write_rows: Signal<In, Bit>,
    pub write_address: Vec<Wire<In>>,
    pub wipe: Vec<Signal<In, Bit>>,
    // drain
    pub show: Signal<In, Bit>,
    pub show_rows: Signal<In, Bit>,
    pub show_parity: Signal<In, Bit>,
    pub sums: Vec<Wire<Out>>,
    multiply: Multiply,
    gates: Vec<Accumulators>,
    rows: Accumulators,
    forward: Reg,
    base: Wire<Local>,
    sum: Wire<Local>,
}

impl MacLane {
    pub fn new(arch: &Arch) -> MacLane {
        let sum = arch.acc_bits;
        let address = address_bits(arch.acc_depth);
        let accumulators = || Accumulators::new(sum, arch.acc_depth);
        MacLane {
            clock: Default::default(),
            weight: Wire::new(arch.weight_value_bits()),
            act: Wire::new(ACT_BITS),
            read_gates: Wire::new(GATES),
            read_rows: Default::default(),
            read_address: (0..BANKS).map(|_| Wire::new(address)).collect(),
            from: Wire::new(MEMORY_BITS),
            again: Default::default(),
            write_gates: Wire::new(GATES),
            write_rows: Default::default(),
            write_address: (0..BANKS).map(|_| Wire::new(address)).collect(),
            wipe: (0..BANKS).map(|_| Default::default()).collect(),
            show: Default::default(),
            show_rows: Default::default(),
            show_parity: Default::default(),
            sums: (0..4).map(|_| Wire::new(sum)).collect(),
            multiply: Multiply::new(arch.weight_value_bits(), ACT_BITS, sum),
            gates: (0..GATES).map(|_| accumulators()).collect(),
            rows: accumulators(),
            forward: Reg::new(sum),
            base: Wire::new(sum),
            sum: Wire::new(sum),
        }
    }
}

impl Logic for MacLane {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, forward);
        clock!(self, clock, multiply, rows);

        // stage 3, or the drain side: a bank is read by one of them at a time
        self.multiply.a.next = self.weight.val();
        self.multiply.b.next = self.act.val();
        for b in 0..2 {
            for g in 0..4 {
                self.gates[4 * b + g].clock.next = self.clock.val();
                self.gates[4 * b + g].read_enable.next = self.read_gates.val().get_bit(4 * b + g);
                self.gates[4 * b + g].read_address.next = self.read_address[b].val();
            }
        }
        self.rows.read_enable.next = self.read_rows.val();
        self.rows.read_address.next = self.read_address[2].val();

        // stage 4: a sum that was written in the cycle of the read is not in the memory's output
        self.base.next = self.rows.read_data.val();
        match self.from.val().index() {
            0 => self.base.next = self.gates[0].read_data.val(),
            1 => self.base.next = self.gates[1].read_data.val(),
            2 => self.base.next = self.gates[2].read_data.val(),
            3 => self.base.next = self.gates[3].read_data.val(),
            4 => self.base.next = self.gates[4].read_data.val(),
            5 => self.base.next = self.gates[5].read_data.val(),
            6 => self.base.next = self.gates[6].read_data.val(),
            7 => self.base.next = self.gates[7].read_data.val(),
            _ => {}
        }
        if self.again.val() {
            self.base.next = self.forward.q.val();
        }
        self.sum.next = self.base.val() + self.multiply.product.val();
        self.forward.d.next = self.sum.val();
        for b in 0..2 {
            for g in 0..4 {
                self.gates[4 * b + g].write_enable.next = self.write_gates.val().get_bit(4 * b + g);
                self.gates[4 * b + g].write_address.next = self.write_address[b].val();
                self.gates[4 * b + g].write_data.next = self.sum.val();
                if self.wipe[b].val() {
                    self.gates[4 * b + g].write_data.next = 0.into();
                }
            }
        }
        self.rows.write_enable.next = self.write_rows.val();
        self.rows.write_address.next = self.write_address[2].val();
        self.rows.write_data.next = self.sum.val();
        if self.wipe[2].val() {
            self.rows.write_data.next = 0.into();
        }

        // what the drain side has read
        for g in 0..4 {
            self.sums[g].next = 0.into();
            if self.show.val() {
                self.sums[g].next = self.gates[g].read_data.val();
                if self.show_parity.val() {
                    self.sums[g].next = self.gates[g + 4].read_data.val();
                }
            }
        }
        if self.show.val() & self.show_rows.val() {
            self.sums[0].next = self.rows.read_data.val();
        }
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("mac_lane")
            .doc(
                "MAC lane: what a PE has of each channel: the product, nine accumulator memories, the sum.\n\
                 \n\
                 Memories 4b + g hold the sums of gate g in gate bank b, one more those of rows. Every cycle: weight x act\n\
                 is the product of the next one; the memories named by read_gates and read_rows read their bank's\n\
                 read_address; the product of the cycle before is added to the output of memory `from` (0 to 7 gates, 8\n\
                 rows), or with `again` to the sum of the cycle before; the memories named by write_gates and write_rows\n\
                 write that sum to their bank's write_address, or zero if the bank is wiped. A word read in the\n\
                 cycle in which it is written is undefined: `again` must be set then.\n\
                 sums are the outputs of the four memories of gate bank show_parity, with the rows' in the place of\n\
                 gate 0 if show_rows; zero without show. Combinational, and as stable as the memories' outputs.\n\
                 Sums cannot overflow: the compiler has checked every row.",
            )
            .into_timing()
    }
}
