//! The host port as a whole: bus, register file and memory port.

use super::{bus_address_bits, AxiLite, MemoryPort, Registers};
use crate::signal::*;
use crate::spmv::{host_lanes, PE_BITS, PE_COUNT_BITS};
use lacuna_compress::spec::arch::address_bits;
use lacuna_compress::spec::registers::ADDRESS_BITS;
use lacuna_compress::spec::Arch;

#[derive(LogicBlock)]
pub struct HostPort {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub hash_low: Wire<In>,
    pub hash_high: Wire<In>,
    pub pes: Wire<In>,
    // the bus
    pub awaddr: Wire<In>,
    pub awvalid: Signal<In, Bit>,
    pub awready: Signal<Out, Bit>,
    pub wdata: Wire<In>,
    pub wstrb: Wire<In>,
    pub wvalid: Signal<In, Bit>,
    pub wready: Signal<Out, Bit>,
    pub bresp: Wire<Out>,
    pub bvalid: Signal<Out, Bit>,
    pub bready: Signal<In, Bit>,
    pub araddr: Wire<In>,
    pub arvalid: Signal<In, Bit>,
    pub arready: Signal<Out, Bit>,
    pub rdata: Wire<Out>,
    pub rresp: Wire<Out>,
    pub rvalid: Signal<Out, Bit>,
    pub rready: Signal<In, Bit>,
    pub irq: Signal<Out, Bit>,
    // the datapath
    pub start: Signal<Out, Bit>,
    pub abort: Signal<Out, Bit>,
    pub valid: Signal<Out, Bit>,
    pub busy: Signal<In, Bit>,
    pub computing: Signal<In, Bit>,
    pub finished: Signal<In, Bit>,
    pub result_b: Signal<In, Bit>,
    pub cycles: Wire<In>,
    pub stalls_queue: Wire<In>,
    pub stalls_scan: Wire<In>,
    pub stalls_drain: Wire<In>,
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
    // the memories
    pub bus_pe: Wire<Out>,
    pub bus_memory: Wire<Out>,
    pub bus_read: Signal<Out, Bit>,
    pub bus_write: Signal<Out, Bit>,
    pub bus_address: Wire<Out>,
    pub bus_data: Wire<Out>,
    pub bus_lane: Wire<Out>,
    pub bus_word: Wire<In>,
    axi_lite: AxiLite,
    registers: Registers,
    memory_port: MemoryPort,
    unused: Signal<Local, Bit>,
    _streams: usize,
}

impl HostPort {
    pub fn new(arch: &Arch) -> HostPort {
        let lanes = host_lanes(arch);
        let streams = usize::from(arch.ese.is_some());
        let channels = arch.channels();
        HostPort {
            clock: Default::default(),
            reset: Default::default(),
            hash_low: Wire::new(32),
            hash_high: Wire::new(32),
            pes: Wire::new(PE_COUNT_BITS),
            awaddr: Wire::new(ADDRESS_BITS),
            awvalid: Default::default(),
            awready: Default::default(),
            wdata: Wire::new(32),
            wstrb: Wire::new(4),
            wvalid: Default::default(),
            wready: Default::default(),
            bresp: Wire::new(2),
            bvalid: Default::default(),
            bready: Default::default(),
            araddr: Wire::new(ADDRESS_BITS),
            arvalid: Default::default(),
            arready: Default::default(),
            rdata: Wire::new(32),
            rresp: Wire::new(2),
            rvalid: Default::default(),
            rready: Default::default(),
            irq: Default::default(),
            start: Default::default(),
            abort: Default::default(),
            valid: Default::default(),
            busy: Default::default(),
            computing: Default::default(),
            finished: Default::default(),
            result_b: Default::default(),
            cycles: Wire::new(32),
            stalls_queue: Wire::new(32),
            stalls_scan: Wire::new(32),
            stalls_drain: Wire::new(32),
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
            bus_pe: Wire::new(PE_BITS),
            bus_memory: Wire::new(3),
            bus_read: Default::default(),
            bus_write: Default::default(),
            bus_address: Wire::new(bus_address_bits(arch)),
            bus_data: Wire::new(32 * lanes),
            bus_lane: Wire::new(address_bits(lanes)),
            bus_word: Wire::new(32),
            axi_lite: AxiLite::default(),
            registers: Registers::new(arch),
            memory_port: MemoryPort::new(arch),
            unused: Default::default(),
            _streams: streams,
        }
    }
}

impl Logic for HostPort {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, axi_lite, registers, memory_port);
        self.axi_lite.reset.next = self.reset.val();
        self.registers.reset.next = self.reset.val();
        self.memory_port.reset.next = self.reset.val();

        self.axi_lite.awaddr.next = self.awaddr.val();
        self.axi_lite.awvalid.next = self.awvalid.val();
        self.awready.next = self.axi_lite.awready.val();
        self.axi_lite.wdata.next = self.wdata.val();
        self.axi_lite.wstrb.next = self.wstrb.val();
        self.axi_lite.wvalid.next = self.wvalid.val();
        self.wready.next = self.axi_lite.wready.val();
        self.bresp.next = self.axi_lite.bresp.val();
        self.bvalid.next = self.axi_lite.bvalid.val();
        self.axi_lite.bready.next = self.bready.val();
        self.axi_lite.araddr.next = self.araddr.val();
        self.axi_lite.arvalid.next = self.arvalid.val();
        self.arready.next = self.axi_lite.arready.val();
        self.rdata.next = self.axi_lite.rdata.val();
        self.rresp.next = self.axi_lite.rresp.val();
        self.rvalid.next = self.axi_lite.rvalid.val();
        self.axi_lite.rready.next = self.rready.val();
        self.irq.next = self.registers.irq.val();
        self.registers.hash_low.next = self.hash_low.val();
        self.registers.hash_high.next = self.hash_high.val();
        self.registers.pes.next = self.pes.val();
        self.registers.request.next = self.axi_lite.request.val();
        self.registers.write.next = self.axi_lite.write.val();
        self.registers.address.next = self.axi_lite.address.val();
        self.registers.data.next = self.axi_lite.data.val();
        self.registers.strobe.next = self.axi_lite.strobe.val();
        self.axi_lite.ack.next = self.registers.ack.val();
        self.axi_lite.error.next = self.registers.error.val();
        self.axi_lite.read_data.next = self.registers.read_data.val();
        self.memory_port.pes.next = self.pes.val();
        self.memory_port.request.next = self.registers.port_request.val();
        self.memory_port.write.next = self.axi_lite.write.val();
        self.memory_port.memory.next = self.registers.memory.val();
        self.memory_port.pe.next = self.registers.pe.val();
        self.memory_port.page.next = self.registers.page.val();
        self.memory_port.offset.next = bit_cast_slice(self.axi_lite.address.val(), 2, 18);
        self.memory_port.data.next = self.axi_lite.data.val();
        self.memory_port.strobe.next = self.axi_lite.strobe.val();
        self.registers.port_ack.next = self.memory_port.ack.val();
        self.registers.port_range_error.next = self.memory_port.range_error.val();
        self.registers.port_data.next = self.memory_port.read_data.val();
        self.memory_port.check.next = self.registers.check.val();
        self.memory_port.check_memory.next = self.registers.check_memory.val();
        self.memory_port.check_pe.next = self.registers.check_pe.val();
        self.memory_port.check_words.next = self.registers.check_words.val();
        self.memory_port.stop.next = self.registers.stop.val();
        self.registers.checking.next = self.memory_port.checking.val();
        self.registers.refused.next = self.memory_port.refused.val();
        self.registers.checked.next = self.memory_port.checked.val();
        self.registers.crc.next = self.memory_port.crc.val();

        self.start.next = self.registers.start.val();
        self.abort.next = self.registers.abort.val();
        self.valid.next = self.registers.valid.val();
        self.registers.computing.next = self.computing.val();
        self.registers.finished.next = self.finished.val();
        self.registers.result_b.next = self.result_b.val();
        self.registers.cycles.next = self.cycles.val();
        self.registers.stalls_queue.next = self.stalls_queue.val();
        self.registers.stalls_scan.next = self.stalls_scan.val();
        self.registers.stalls_drain.next = self.stalls_drain.val();
        self.registers.sequencer_busy.next = self.busy.val();
        for s in 0..(self._streams) {
            self.stop_steps[s].next = self.registers.stop_steps[s].val();
            self.mask[s].next = self.registers.mask[s].val();
            self.clear_state[s].next = self.registers.clear_state[s].val();
            self.registers.steps[s].next = self.steps[s].val();
            self.registers.stalls_input[s].next = self.stalls_input[s].val();
            self.registers.stalls_data[s].next = self.stalls_data[s].val();
            self.registers.stalls_output[s].next = self.stalls_output[s].val();
            self.registers.bad_vectors[s].next = self.bad_vectors[s].val();
            self.registers.vector_short[s].next = self.vector_short[s].val();
            self.registers.vector_long[s].next = self.vector_long[s].val();
            self.registers.wrong_channel[s].next = self.wrong_channel[s].val();
        }

        self.bus_pe.next = self.memory_port.bus_pe.val();
        self.bus_memory.next = self.memory_port.bus_memory.val();
        self.bus_read.next = self.memory_port.bus_read.val();
        self.bus_write.next = self.memory_port.bus_write.val();
        self.bus_address.next = self.memory_port.bus_address.val();
        self.bus_data.next = self.memory_port.bus_data.val();
        self.bus_lane.next = self.memory_port.bus_lane.val();
        self.memory_port.bus_word.next = self.bus_word.val();
        self.unused.next = self.axi_lite.address.val().any();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("host_port")
            .doc(
                "Host port: AXI4-Lite slave, register map (docs/registers.md), and the way to every memory.\n\
                 \n\
                 Towards the memories: bus_read asks for word bus_address of memory bus_memory of PE (or channel) bus_pe, which\n\
                 is in bus_word three cycles later, as long as bus_memory and bus_pe stay; bus_write writes bus_data. Both come only\n\
                 while the datapath is not busy. start comes only while weights are valid.",
            )
            .parameter("PRELOAD", "0", "PRELOAD")
            .into_timing()
    }
}
