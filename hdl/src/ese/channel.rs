//! A channel of the element-wise side: its cells and its arithmetic; and all channels side by side.

use super::cell_unit::CellUnit;
use crate::prim::{Memory, Style};
use crate::signal::*;
use crate::spmv::PE_BITS;
use lacuna_compress::spec::arch::{Arch, ACT_BITS};
use lacuna_compress::spec::layout::memory_address_bits;
use lacuna_compress::spec::MemoryKind;
use rust_hdl::core::ast::Verilog;

#[derive(LogicBlock)]
pub struct Channel {
    pub clock: Signal<In, Clock>,
    pub number: Wire<In>,
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
    pub active: Signal<In, Bit>,
    pub fresh: Signal<In, Bit>,
    // of the element
    pub cell_read: Signal<In, Bit>,
    pub cell_read_address: Wire<In>,
    pub sums: Wire<In>,
    pub parameters: Wire<In>,
    pub cell_write: Signal<In, Bit>,
    pub cell_write_address: Wire<In>,
    pub result: Wire<Out>,
    pub sweep: Signal<In, Bit>,
    pub sweep_address: Wire<In>,
    pub host_channel: Wire<In>,
    pub host_read: Signal<In, Bit>,
    pub host_write: Signal<In, Bit>,
    pub host_address: Wire<In>,
    pub host_data: Wire<In>,
    pub host_word: Wire<Out>,
    cells: Memory,
    cell_unit: CellUnit,
    gathered: Reg,
    before: Reg,
    selected: Signal<Local, Bit>,
}

impl Channel {
    pub fn new(arch: &Arch) -> Channel {
        let address = memory_address_bits(MemoryKind::ActB, arch);
        Channel {
            clock: Default::default(),
            number: Wire::new(PE_BITS),
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
            active: Default::default(),
            fresh: Default::default(),
            cell_read: Default::default(),
            cell_read_address: Wire::new(address),
            sums: Wire::new(4 * arch.acc_bits),
            parameters: Wire::new(arch.parameter_bits()),
            cell_write: Default::default(),
            cell_write_address: Wire::new(address),
            result: Wire::new(ACT_BITS),
            sweep: Default::default(),
            sweep_address: Wire::new(address),
            host_channel: Wire::new(PE_BITS),
            host_read: Default::default(),
            host_write: Default::default(),
            host_address: Wire::new(address),
            host_data: Wire::new(ACT_BITS),
            host_word: Wire::new(ACT_BITS),
            cells: Memory::new(Style::Auto, ACT_BITS, MemoryKind::ActB.depth(arch), None),
            cell_unit: CellUnit::new(arch),
            gathered: Reg::new(4 * arch.acc_bits),
            before: Reg::new(ACT_BITS),
            selected: Default::default(),
        }
    }
}

impl Logic for Channel {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, gathered, before);
        clock!(self, clock, cells, cell_unit);

        // the cell's memory: the job's, or with no job the host's and the sweep's
        self.selected.next = self.host_channel.val() == self.number.val();
        self.cells.read_enable.next = self.cell_read.val() | (self.selected.val() & self.host_read.val());
        self.cells.read_address.next = self.cell_read_address.val();
        if self.host_read.val() {
            self.cells.read_address.next = self.host_address.val();
        }
        self.cells.write_enable.next =
            (self.cell_write.val() & self.active.val()) | self.sweep.val() | (self.selected.val() & self.host_write.val());
        self.cells.write_address.next = self.host_address.val();
        self.cells.write_data.next = self.host_data.val();
        if self.sweep.val() {
            self.cells.write_address.next = self.sweep_address.val();
            self.cells.write_data.next = 0.into();
        }
        if self.cell_write.val() {
            self.cells.write_address.next = self.cell_write_address.val();
            self.cells.write_data.next = self.cell_unit.cell.val();
        }
        self.host_word.next = 0.into();
        if self.selected.val() {
            self.host_word.next = self.cells.read_data.val();
        }

        // the tree over the PEs ends in a register
        self.gathered.d.next = self.sums.val();
        self.before.d.next = self.cells.read_data.val();
        if self.fresh.val() {
            self.before.d.next = 0.into();
        }
        self.cell_unit.sums.next = self.gathered.q.val();
        self.cell_unit.parameters.next = self.parameters.val();
        self.cell_unit.before.next = self.before.q.val();
        self.cell_unit.rows.next = self.rows.val();
        self.cell_unit.shift_i.next = self.shift_i.val();
        self.cell_unit.shift_f.next = self.shift_f.val();
        self.cell_unit.shift_g.next = self.shift_g.val();
        self.cell_unit.shift_o.next = self.shift_o.val();
        self.cell_unit.align_i.next = self.align_i.val();
        self.cell_unit.align_f.next = self.align_f.val();
        self.cell_unit.align_o.next = self.align_o.val();
        self.cell_unit.cell_shift.next = self.cell_shift.val();
        self.cell_unit.hidden_shift.next = self.hidden_shift.val();
        self.cell_unit.candidate_sigmoid.next = self.candidate_sigmoid.val();
        self.cell_unit.relu.next = self.relu.val();
        self.result.next = self.cell_unit.hidden.val();
        if self.rows.val() {
            self.result.next = self.cell_unit.row.val();
        }
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("channel")
            .doc(
                "Channel of the element-wise side: its cell memory and its cell unit.\n\
                 \n\
                 cell_read comes one cycle before the element's sums, its parameters one cycle after them. A row's result\n\
                 is at result 3 cycles after its sums, a cell's 18; the new cell can be written 10 cycles after the\n\
                 sums, with cell_write, if the channel is active. A fresh channel reads its cells as zero.\n\
                 sweep writes zero. The host's accesses and the sweep's come only while no element is under way.",
            )
            .into_timing()
    }
}

/// All channels; their data lie side by side in the ports, channel 0 in the low bits.
#[derive(LogicBlock)]
pub struct Channels {
    pub clock: Signal<In, Clock>,
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
    pub active: Wire<In>,
    pub fresh: Wire<In>,
    pub cell_read: Signal<In, Bit>,
    pub cell_read_address: Wire<In>,
    pub sums: Wire<In>,
    pub parameters: Wire<In>,
    pub cell_write: Signal<In, Bit>,
    pub cell_write_address: Wire<In>,
    pub results: Wire<Out>,
    pub sweep: Wire<In>,
    pub sweep_address: Wire<In>,
    pub host_channel: Wire<In>,
    pub host_read: Signal<In, Bit>,
    pub host_write: Signal<In, Bit>,
    pub host_address: Wire<In>,
    pub host_data: Wire<In>,
    pub host_word: Wire<Out>,
    channel: Vec<Channel>,
}

impl Channels {
    pub fn new(arch: &Arch) -> Channels {
        let count = arch.channels();
        let address = memory_address_bits(MemoryKind::ActB, arch);
        Channels {
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
            active: Wire::new(count),
            fresh: Wire::new(count),
            cell_read: Default::default(),
            cell_read_address: Wire::new(address),
            sums: Wire::new(4 * arch.acc_bits * count),
            parameters: Wire::new(arch.parameter_bits()),
            cell_write: Default::default(),
            cell_write_address: Wire::new(address),
            results: Wire::new(ACT_BITS * count),
            sweep: Wire::new(count),
            sweep_address: Wire::new(address),
            host_channel: Wire::new(PE_BITS),
            host_read: Default::default(),
            host_write: Default::default(),
            host_address: Wire::new(address),
            host_data: Wire::new(ACT_BITS),
            host_word: Wire::new(ACT_BITS),
            channel: (0..count).map(|_| Channel::new(arch)).collect(),
        }
    }
}

/// What every channel hears of the job, the element and the host.
const HEARD: [&str; 24] = [
    "clock",
    "rows",
    "shift_i",
    "shift_f",
    "shift_g",
    "shift_o",
    "align_i",
    "align_f",
    "align_o",
    "cell_shift",
    "hidden_shift",
    "candidate_sigmoid",
    "relu",
    "cell_read",
    "cell_read_address",
    "parameters",
    "cell_write",
    "cell_write_address",
    "sweep_address",
    "host_channel",
    "host_read",
    "host_write",
    "host_address",
    "host_data",
];

impl Logic for Channels {
    fn update(&mut self) {}
    fn connect(&mut self) {
        for channel in &mut self.channel {
            channel.connect_inputs();
        }
        self.results.connect();
        self.host_word.connect();
    }
    fn hdl(&self) -> Verilog {
        let mut c = Connections::new();
        let sums = self.sums.bits() / self.channel.len();
        for i in 0..self.channel.len() {
            c.tie(format!("channel${i}$number"), i as u64);
            HEARD.iter().for_each(|name| c.assign(format!("channel${i}${name}"), *name));
            for mask in ["active", "fresh", "sweep"] {
                c.assign_from_part(format!("channel${i}${mask}"), mask, i, 1);
            }
            c.assign_from_part(format!("channel${i}$sums"), "sums", i * sums, sums);
            c.assign_part("results", i * ACT_BITS, ACT_BITS, format!("channel${i}$result"));
        }
        c.or("host_word", (0..self.channel.len()).map(|i| format!("channel${i}$host_word")));
        c.into_verilog()
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("channels").doc("The channels of the element-wise side, side by side: all do the same with their own sums and cells.").into_timing()
    }
}

impl Channel {
    /// All of them are driven by [`Channels`].
    fn connect_inputs(&mut self) {
        self.clock.connect();
        self.rows.connect();
        self.candidate_sigmoid.connect();
        self.relu.connect();
        self.active.connect();
        self.fresh.connect();
        self.cell_read.connect();
        self.cell_write.connect();
        self.sweep.connect();
        self.host_read.connect();
        self.host_write.connect();
        let wide = [
            &mut self.number,
            &mut self.shift_i,
            &mut self.shift_f,
            &mut self.shift_g,
            &mut self.shift_o,
            &mut self.align_i,
            &mut self.align_f,
            &mut self.align_o,
            &mut self.cell_shift,
            &mut self.hidden_shift,
            &mut self.cell_read_address,
            &mut self.sums,
            &mut self.parameters,
            &mut self.cell_write_address,
            &mut self.sweep_address,
            &mut self.host_channel,
            &mut self.host_address,
            &mut self.host_data,
        ];
        wide.into_iter().for_each(|w| w.connect());
    }
}
