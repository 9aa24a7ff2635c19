//! The EIE accelerator behind its AXI4-Lite port.

use super::patch_walk::PatchWalk;
use super::scanner::Scanner;
use super::sequencer::Sequencer;
use super::window_walk::WindowWalk;
use crate::host::HostPort;
use crate::prim::{Delay, LaneSelect, Memory, Style};
use crate::signal::*;
use crate::spmv::{PeArray, PtrAddress, Widths, PE_COUNT_BITS, ROW_BITS};
use lacuna_compress::spec::arch::ACT_BITS;
use lacuna_compress::spec::layout::memory_address_bits;
use lacuna_compress::spec::registers::ADDRESS_BITS;
use lacuna_compress::spec::{Arch, LayerRecord, MemoryKind};

#[derive(LogicBlock)]
pub struct Eie {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub s_axi_awaddr: Wire<In>,
    pub s_axi_awprot: Wire<In>,
    pub s_axi_awvalid: Signal<In, Bit>,
    pub s_axi_awready: Signal<Out, Bit>,
    pub s_axi_wdata: Wire<In>,
    pub s_axi_wstrb: Wire<In>,
    pub s_axi_wvalid: Signal<In, Bit>,
    pub s_axi_wready: Signal<Out, Bit>,
    pub s_axi_bresp: Wire<Out>,
    pub s_axi_bvalid: Signal<Out, Bit>,
    pub s_axi_bready: Signal<In, Bit>,
    pub s_axi_araddr: Wire<In>,
    pub s_axi_arprot: Wire<In>,
    pub s_axi_arvalid: Signal<In, Bit>,
    pub s_axi_arready: Signal<Out, Bit>,
    pub s_axi_rdata: Wire<Out>,
    pub s_axi_rresp: Wire<Out>,
    pub s_axi_rvalid: Signal<Out, Bit>,
    pub s_axi_rready: Signal<In, Bit>,
    pub irq: Signal<Out, Bit>,
    host: HostPort,
    sequencer: Sequencer,
    scanner: Scanner,
    patch_walk: Vec<PatchWalk>,
    window_walk: Vec<WindowWalk>,
    layers: Memory,
    layers_lane: LaneSelect,
    layers_word: Delay,
    ptr_address: PtrAddress,
    pe_array: PeArray,
    acts_selected: Signal<Local, Bit>,
    layers_selected: Signal<Local, Bit>,
    rows: Wire<Local>,
    none: Const,
    unused: Signal<Local, Bit>,
    pes: Const,
    hash_low: Const,
    hash_high: Const,
    _table_address: usize,
    _table_bits: usize,
    _host_address: usize,
    _host_data: usize,
    _column: usize,
    _turns: usize,
    _bias: usize,
    _source_rows: usize,
    _last_lanes: usize,
    _ptr_base: usize,
    _out_rows: usize,
    _bias_base: usize,
    _shift: usize,
    _relu: usize,
    _last: usize,
    _conv: usize,
    _act: usize,
    _pool_bits: usize,
    _run_rows: usize,
    _line_rows: usize,
    _step_x: usize,
    _step_y: usize,
    _out_width: usize,
    _out_height: usize,
    _pool: usize,
}

impl Eie {
    /// The architecture must be valid.
    pub fn new(arch: &Arch) -> Eie {
        let w = Widths::of(arch);
        let hash = arch.hash();
        let conv = usize::from(arch.conv);
        let field = |name| LayerRecord::field(name).0;
        Eie {
            clock: Default::default(),
            reset: Default::default(),
            s_axi_awaddr: Wire::new(ADDRESS_BITS),
            s_axi_awprot: Wire::new(3),
            s_axi_awvalid: Default::default(),
            s_axi_awready: Default::default(),
            s_axi_wdata: Wire::new(32),
            s_axi_wstrb: Wire::new(4),
            s_axi_wvalid: Default::default(),
            s_axi_wready: Default::default(),
            s_axi_bresp: Wire::new(2),
            s_axi_bvalid: Default::default(),
            s_axi_bready: Default::default(),
            s_axi_araddr: Wire::new(ADDRESS_BITS),
            s_axi_arprot: Wire::new(3),
            s_axi_arvalid: Default::default(),
            s_axi_arready: Default::default(),
            s_axi_rdata: Wire::new(32),
            s_axi_rresp: Wire::new(2),
            s_axi_rvalid: Default::default(),
            s_axi_rready: Default::default(),
            irq: Default::default(),
            host: HostPort::new(arch),
            sequencer: Sequencer::new(arch),
            scanner: Scanner::new(arch),
            patch_walk: (0..conv).map(|_| PatchWalk::new(arch)).collect(),
            window_walk: (0..conv).map(|_| WindowWalk::new(arch)).collect(),
            layers: Memory::new(Style::Small, LayerRecord::bits(arch), arch.max_layers, Some("layers")),
            layers_lane: LaneSelect::of_word(LayerRecord::bits(arch)),
            // as late as a PE's word
            layers_word: Delay::new(32, 2),
            ptr_address: PtrAddress::new(arch),
            pe_array: PeArray::new(arch),
            acts_selected: Default::default(),
            layers_selected: Default::default(),
            rows: Wire::new(w.turns),
            none: Const::new(w.turns, 0),
            unused: Default::default(),
            pes: Const::new(PE_COUNT_BITS, arch.pes as u64),
            hash_low: Const::new(32, hash & 0xffff_ffff),
            hash_high: Const::new(32, hash >> 32),
            _table_address: memory_address_bits(MemoryKind::Layers, arch),
            _table_bits: LayerRecord::bits(arch),
            _host_address: w.host_address,
            _host_data: w.host_data,
            _column: w.column,
            _turns: w.turns,
            _bias: w.bias,
            _source_rows: field("source_rows"),
            _last_lanes: field("last_lanes"),
            _ptr_base: field("ptr_base"),
            _out_rows: field("out_rows"),
            _bias_base: field("bias_base"),
            _shift: field("shift"),
            _relu: field("relu"),
            _last: field("last"),
            _conv: conv,
            _act: w.act,
            _pool_bits: LayerRecord::field("pool").1,
            _run_rows: field("run_rows"),
            _line_rows: field("line_rows"),
            _step_x: field("step_x"),
            _step_y: field("step_y"),
            _out_width: field("out_width"),
            _out_height: field("out_height"),
            _pool: field("pool"),
        }
    }
}

impl Logic for Eie {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, host, sequencer, scanner, layers, layers_word, pe_array);
        self.host.reset.next = self.reset.val();
        self.sequencer.reset.next = self.reset.val();

        // host
        self.host.awaddr.next = self.s_axi_awaddr.val();
        self.host.awvalid.next = self.s_axi_awvalid.val();
        self.s_axi_awready.next = self.host.awready.val();
        self.host.wdata.next = self.s_axi_wdata.val();
        self.host.wstrb.next = self.s_axi_wstrb.val();
        self.host.wvalid.next = self.s_axi_wvalid.val();
        self.s_axi_wready.next = self.host.wready.val();
        self.s_axi_bresp.next = self.host.bresp.val();
        self.s_axi_bvalid.next = self.host.bvalid.val();
        self.host.bready.next = self.s_axi_bready.val();
        self.host.araddr.next = self.s_axi_araddr.val();
        self.host.arvalid.next = self.s_axi_arvalid.val();
        self.s_axi_arready.next = self.host.arready.val();
        self.s_axi_rdata.next = self.host.rdata.val();
        self.s_axi_rresp.next = self.host.rresp.val();
        self.s_axi_rvalid.next = self.host.rvalid.val();
        self.host.rready.next = self.s_axi_rready.val();
        self.irq.next = self.host.irq.val();
        self.host.hash_low.next = self.hash_low.val();
        self.host.hash_high.next = self.hash_high.val();
        self.host.pes.next = self.pes.val();

        // layers
        self.sequencer.start.next = self.host.start.val();
        self.sequencer.abort.next = self.host.abort.val();
        self.host.busy.next = self.sequencer.busy.val();
        self.host.computing.next = self.sequencer.computing.val();
        self.host.finished.next = self.sequencer.finished.val();
        self.host.result_b.next = self.sequencer.result_b.val();
        self.host.cycles.next = self.sequencer.cycles.val();
        self.host.stalls_queue.next = self.sequencer.stalls_queue.val();
        self.host.stalls_scan.next = self.sequencer.stalls_scan.val();
        self.host.stalls_drain.next = self.sequencer.stalls_drain.val();
        self.sequencer.last.next = self.layers.read_data.val().get_bit(self._last);
        self.sequencer.out_rows_of_layer.next = bit_cast_slice(self.layers.read_data.val(), self._out_rows, ROW_BITS);
        self.sequencer.done.next = self.pe_array.done.val();
        self.sequencer.stall_queue.next = self.scanner.stall_queue.val();
        self.sequencer.stall_scan.next = self.scanner.stall_scan.val();
        self.sequencer.drain.next = self.scanner.drain.val();

        // scan and broadcast
        self.scanner.clear.next = self.sequencer.clear.val();
        self.scanner.begin_layer.next = self.sequencer.begin_layer.val();
        self.scanner.run.next = self.sequencer.run.val();
        self.scanner.empty.next = self.sequencer.discard.val();
        self.scanner.pes.next = self.pes.val();
        self.scanner.source_rows.next = bit_cast_slice(self.layers.read_data.val(), self._source_rows, ROW_BITS);
        self.scanner.last_lanes.next = bit_cast_slice(self.layers.read_data.val(), self._last_lanes, PE_COUNT_BITS);
        self.scanner.ptr_base.next = bit_cast_slice(self.layers.read_data.val(), self._ptr_base, self._column);
        self.scanner.pending.next = self.pe_array.pending.val();
        self.scanner.more.next = self.pe_array.more.val();
        self.scanner.lane.next = self.pe_array.lane.val();
        self.scanner.value.next = self.pe_array.value.val();
        self.scanner.accept.next = self.pe_array.accept.val();
        // the host reads activations as the scan does, and writes the buffer that is not the source
        self.acts_selected.next = (self.host.bus_memory.val() == 5) | (self.host.bus_memory.val() == 6);
        self.pe_array.scan_read.next = self.scanner.scan_read.val() | (self.host.bus_read.val() & self.acts_selected.val());
        self.pe_array.scan_row.next = self.scanner.scan_row.val();
        self.pe_array.source_b.next = self.sequencer.source_b.val();
        if !self.sequencer.busy.val() {
            self.pe_array.scan_row.next = bit_cast_to(self.host.bus_address.val(), self._act);
            self.pe_array.source_b.next = (self.host.bus_memory.val() == 6) ^ self.host.bus_write.val();
        }
        self.pe_array.load.next = self.scanner.load.val();
        self.pe_array.load_lanes.next = self.scanner.load_lanes.val();
        self.pe_array.take.next = self.scanner.take.val();
        self.pe_array.broadcast.next = self.scanner.broadcast.val();
        self.pe_array.token.next = self.scanner.token.val();
        self.ptr_address.column.next = self.scanner.column.val();
        self.ptr_address.broadcast.next = self.scanner.broadcast.val();
        self.ptr_address.host_read.next = self.host.bus_read.val();
        self.ptr_address.host_memory.next = self.host.bus_memory.val();
        self.ptr_address.host_address.next = bit_cast_to(self.host.bus_address.val(), &self.ptr_address.host_address.next);
        self.pe_array.ptr_read_both.next = self.ptr_address.read.val();
        self.pe_array.ptr_even.next = self.ptr_address.even.val();
        self.pe_array.ptr_odd.next = self.ptr_address.odd.val();
        self.pe_array.starts_odd.next = self.ptr_address.starts_odd.val();
        self.pe_array.act.next = self.scanner.act.val();

        for c in 0..(self._conv) {
            self.patch_walk[c].clock.next = self.clock.val();
            self.patch_walk[c].clear.next = self.sequencer.clear.val();
            self.patch_walk[c].begin_layer.next = self.sequencer.begin_layer.val();
            self.patch_walk[c].advance.next = self.scanner.next_row_of_walk[c].val();
            self.patch_walk[c].source_rows.next = bit_cast_slice(self.layers.read_data.val(), self._source_rows, ROW_BITS);
            self.patch_walk[c].run_rows.next = bit_cast_slice(self.layers.read_data.val(), self._run_rows, ROW_BITS);
            self.patch_walk[c].line_rows.next = bit_cast_slice(self.layers.read_data.val(), self._line_rows, self._act);
            self.patch_walk[c].step_x.next = bit_cast_slice(self.layers.read_data.val(), self._step_x, self._act);
            self.patch_walk[c].step_y.next = bit_cast_slice(self.layers.read_data.val(), self._step_y, self._act);
            self.patch_walk[c].out_width.next = bit_cast_slice(self.layers.read_data.val(), self._out_width, ROW_BITS);
            self.patch_walk[c].out_height.next = bit_cast_slice(self.layers.read_data.val(), self._out_height, ROW_BITS);
            self.scanner.walk_row[c].next = self.patch_walk[c].row.val();
            self.scanner.walk_over[c].next = self.patch_walk[c].over.val();
            self.window_walk[c].clock.next = self.clock.val();
            self.window_walk[c].begin_layer.next = self.sequencer.begin_layer.val();
            self.window_walk[c].advance.next = self.scanner.next_place[c].val();
            self.window_walk[c].empty.next = self.sequencer.discard.val();
            self.window_walk[c].out_rows.next = bit_cast_slice(self.layers.read_data.val(), self._out_rows, self._act);
            self.window_walk[c].out_width.next = bit_cast_slice(self.layers.read_data.val(), self._out_width, ROW_BITS);
            self.window_walk[c].out_height.next = bit_cast_slice(self.layers.read_data.val(), self._out_height, ROW_BITS);
            self.window_walk[c].pool.next = bit_cast_slice(self.layers.read_data.val(), self._pool, self._pool_bits);
            self.scanner.place[c].next = self.window_walk[c].place.val();
        }

        // what every PE knows of the layer
        self.pe_array.clear.next = self.sequencer.clear.val();
        self.pe_array.begin_layer.next = self.sequencer.begin_layer.val();
        self.pe_array.layer.next = self.sequencer.layer.val();
        self.rows.next = bit_cast_to(self.sequencer.out_rows.val(), self._turns);
        self.pe_array.minus_rows.next = self.none.val() - self.rows.val();
        self.pe_array.discard.next = self.sequencer.discard.val();
        self.pe_array.bias_base.next = bit_cast_slice(self.layers.read_data.val(), self._bias_base, self._bias);
        if !self.sequencer.busy.val() {
            self.pe_array.bias_base.next = bit_cast_to(self.host.bus_address.val(), self._bias);
        }
        self.pe_array.shift.next = bit_cast_slice(self.layers.read_data.val(), self._shift, 6);
        self.pe_array.relu.next = self.layers.read_data.val().get_bit(self._relu);

        // memories: the layer table is here, all others are the PEs'
        self.layers_selected.next = self.host.bus_memory.val() == 7;
        self.layers.read_enable.next = self.sequencer.begin_layer.val() | (self.layers_selected.val() & self.host.bus_read.val());
        self.layers.read_address.next = bit_cast_to(self.host.bus_address.val(), self._table_address);
        if self.sequencer.begin_layer.val() {
            self.layers.read_address.next = self.sequencer.layer.val();
        }
        self.layers.write_enable.next = self.layers_selected.val() & self.host.bus_write.val();
        self.layers.write_address.next = bit_cast_to(self.host.bus_address.val(), self._table_address);
        self.layers_lane.word.next = self.layers.read_data.val();
        self.layers_lane.lane.next = bit_cast_to(self.host.bus_lane.val(), &self.layers_lane.lane.next);
        self.layers_word.early.next = self.layers_lane.field.val();
        self.layers.write_data.next = bit_cast_to(self.host.bus_data.val(), self._table_bits);
        self.pe_array.host_pe.next = self.host.bus_pe.val();
        self.pe_array.host_memory.next = self.host.bus_memory.val();
        self.pe_array.host_choice.next = 3.into();
        match self.host.bus_memory.val().index() {
            0 => self.pe_array.host_choice.next = 0.into(),
            1 => self.pe_array.host_choice.next = 1.into(),
            2 => self.pe_array.host_choice.next = 1.into(),
            3 => self.pe_array.host_choice.next = 2.into(),
            _ => {}
        }
        self.pe_array.host_read.next = self.host.bus_read.val();
        self.pe_array.host_write.next = self.host.bus_write.val();
        self.pe_array.host_address.next = bit_cast_to(self.host.bus_address.val(), self._host_address);
        self.pe_array.host_data.next = bit_cast_to(self.host.bus_data.val(), self._host_data);
        self.pe_array.host_nonzero.next = bit_cast_to(self.host.bus_data.val(), ACT_BITS).any();
        self.pe_array.host_lane.next = self.host.bus_lane.val();
        self.host.bus_word.next = self.pe_array.host_word.val();
        if self.layers_selected.val() {
            self.host.bus_word.next = self.layers_word.late.val();
        }
        self.unused.next = self.s_axi_awprot.val().any()
            ^ self.s_axi_arprot.val().any()
            ^ self.host.bus_data.val().any()
            ^ self.host.bus_address.val().any()
            ^ self.layers.read_data.val().any()
            ^ self.host.valid.val();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("lacuna_eie")
            .doc(
                "EIE accelerator: sparse fully connected layers, run one after the other from one start.\n\
                 \n\
                 Host port: AXI4-Lite, 32 bit data, 21 bit address, register map in docs/registers.md; irq is high\n\
                 while enabled and a start has ended. Reset is synchronous, active high, at least one cycle; the\n\
                 port answers at once, STATUS says busy until the accumulators are clear.\n\
                 PRELOAD: the memories start as the files IMAGE followed by the memory's name (pe3_spmat.mem, ...) say,\n\
                 and count as checked; else the host writes them and has them checked.",
            )
            .parameter("PRELOAD", "0", "PRELOAD")
            .parameter("IMAGE", "\"./\"", "IMAGE")
            .value("_last", self._last)
            .value("_relu", self._relu)
            .into_timing()
    }
}
