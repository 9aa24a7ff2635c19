//! The ESE accelerator behind its AXI4-Lite port and its two streams.

use super::array::EseArray;
use super::broadcaster::Broadcaster;
use super::buffers::{ChannelBuffers, POSITION_BITS};
use super::control::Control;
use super::drain::Drain;
use super::stream_out::{StreamOut, DEST_BITS};
use crate::host::HostPort;
use crate::signal::*;
use crate::spmv::{PtrAddress, Widths, PE_COUNT_BITS};
use lacuna_compress::spec::arch::{Ese as EseArch, ACT_BITS};
use lacuna_compress::spec::layout::memory_address_bits;
use lacuna_compress::spec::registers::ADDRESS_BITS;
use lacuna_compress::spec::{Arch, MemoryKind, Op};

#[derive(LogicBlock)]
pub struct Ese {
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
    pub s_axis_tdata: Wire<In>,
    pub s_axis_tdest: Wire<In>,
    pub s_axis_tuser: Signal<In, Bit>,
    pub s_axis_tlast: Signal<In, Bit>,
    pub s_axis_tvalid: Signal<In, Bit>,
    pub s_axis_tready: Signal<Out, Bit>,
    pub m_axis_tdata: Wire<Out>,
    pub m_axis_tdest: Wire<Out>,
    pub m_axis_tlast: Signal<Out, Bit>,
    pub m_axis_tvalid: Signal<Out, Bit>,
    pub m_axis_tready: Signal<In, Bit>,
    pub irq: Signal<Out, Bit>,
    host: HostPort,
    control: Control,
    broadcaster: Broadcaster,
    ptr_address: PtrAddress,
    array: EseArray,
    drain: Drain,
    channel: Vec<ChannelBuffers>,
    stream_out: StreamOut,
    // the input stream
    open: Signal<Local, Bit>,
    known_channel: Signal<Local, Bit>,
    has_room: Signal<Local, Bit>,
    chosen: Vec<Signal<Local, Bit>>,
    // of all channels
    ready: Wire<Local>,
    bad: Wire<Local>,
    first: Wire<Local>,
    input_values: Wire<Local>,
    vector_values: Wire<Local>,
    bad_vectors: Wire<Local>,
    any_short: Signal<Local, Bit>,
    any_long: Signal<Local, Bit>,
    // host
    layers_selected: Signal<Local, Bit>,
    vectors_selected: Signal<Local, Bit>,
    vector_word: Wire<Local>,
    pe_word: Wire<Local>,
    own_word: Reg,
    unused: Signal<Local, Bit>,
    pes: Const,
    hash_low: Const,
    hash_high: Const,
    zero: Const,
    channels: Const,
    act_depth: Const,
    acc_depth: Const,
    _channels: usize,
    _act: usize,
    _acc: usize,
    _program_address: usize,
    _program_bits: usize,
    _host_address: usize,
    _host_data: usize,
    word: Reg,
}

impl Ese {
    /// The architecture must be valid and of the ESE kind.
    pub fn new(arch: &Arch, ese: &EseArch) -> Ese {
        let w = Widths::of(arch);
        let hash = arch.hash();
        let channels = ese.channels;
        let per_channel = || Wire::new(channels);
        let values = || Wire::new(channels * ACT_BITS);
        Ese {
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
            s_axis_tdata: Wire::new(ACT_BITS),
            s_axis_tdest: Wire::new(DEST_BITS),
            s_axis_tuser: Default::default(),
            s_axis_tlast: Default::default(),
            s_axis_tvalid: Default::default(),
            s_axis_tready: Default::default(),
            m_axis_tdata: Wire::new(ACT_BITS),
            m_axis_tdest: Wire::new(DEST_BITS),
            m_axis_tlast: Default::default(),
            m_axis_tvalid: Default::default(),
            m_axis_tready: Default::default(),
            irq: Default::default(),
            host: HostPort::new(arch),
            control: Control::new(arch),
            broadcaster: Broadcaster::new(arch),
            ptr_address: PtrAddress::new(arch),
            array: EseArray::new(arch),
            drain: Drain::new(arch),
            channel: (0..channels).map(|_| ChannelBuffers::new(arch, ese)).collect(),
            stream_out: StreamOut::new(channels),
            open: Default::default(),
            known_channel: Default::default(),
            has_room: Default::default(),
            chosen: (0..channels).map(|_| Default::default()).collect(),
            ready: per_channel(),
            bad: per_channel(),
            first: per_channel(),
            input_values: values(),
            vector_values: values(),
            bad_vectors: per_channel(),
            any_short: Default::default(),
            any_long: Default::default(),
            layers_selected: Default::default(),
            vectors_selected: Default::default(),
            vector_word: Wire::new(ACT_BITS),
            pe_word: Wire::new(32),
            own_word: Reg::new(32),
            unused: Default::default(),
            pes: Const::new(PE_COUNT_BITS, arch.pes as u64),
            hash_low: Const::new(32, hash & 0xffff_ffff),
            hash_high: Const::new(32, hash >> 32),
            zero: Const::new(32, 0),
            channels: Const::new(DEST_BITS + 1, channels as u64),
            act_depth: Const::new(POSITION_BITS, arch.act_depth as u64),
            acc_depth: Const::new(POSITION_BITS, arch.acc_depth as u64),
            _channels: channels,
            _act: w.act,
            _acc: w.acc,
            _program_address: memory_address_bits(MemoryKind::Layers, arch),
            _program_bits: Op::BITS,
            _host_address: w.host_address,
            _host_data: w.host_data,
            word: Reg::new(32),
        }
    }
}

impl Logic for Ese {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, own_word, word);
        clock!(self, clock, host, control, broadcaster, array, drain, stream_out);
        self.host.reset.next = self.reset.val();
        self.control.reset.next = self.reset.val();

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
        self.host.busy.next = self.control.busy.val();
        self.host.computing.next = self.control.computing.val();
        self.host.finished.next = self.drain.step_done.val();
        self.host.result_b.next = false;
        self.host.cycles.next = self.control.cycles.val();
        self.host.stalls_queue.next = self.control.stalls_queue.val();
        self.host.stalls_scan.next = self.zero.val();
        self.host.stalls_drain.next = self.zero.val();
        self.host.steps[0].next = self.control.steps.val();
        self.host.stalls_input[0].next = self.control.stalls_input.val();
        self.host.stalls_data[0].next = self.control.stalls_data.val();
        self.host.stalls_output[0].next = self.control.stalls_output.val();
        self.control.start.next = self.host.start.val();
        self.control.stop.next = self.host.stop_steps[0].val();
        self.control.abort.next = self.host.abort.val();
        self.control.clear_state.next = self.host.clear_state[0].val();
        self.control.weights_valid.next = self.host.valid.val();

        // the input stream: a beat goes to the channel that TDEST names, or nowhere
        self.open.next = self.host.valid.val() & self.broadcaster.known.val() & !self.control.clear.val();
        self.known_channel.next = bit_cast_to(self.s_axis_tdest.val(), &self.channels.val()) < self.channels.val();
        self.has_room.next = !self.known_channel.val();
        self.any_short.next = false;
        self.any_long.next = false;
        self.ready.next = 0.into();
        self.bad.next = 0.into();
        self.first.next = 0.into();
        self.bad_vectors.next = 0.into();
        self.input_values.next = 0.into();
        self.vector_values.next = 0.into();
        self.vector_word.next = 0.into();
        self.m_axis_tdata.next = 0.into();
        self.vectors_selected.next = self.host.bus_memory.val() == 5;
        for c in 0..(self._channels) {
            self.chosen[c].next = self.s_axis_tdest.val() == c.index();
            if self.chosen[c].val() {
                self.has_room.next = self.channel[c].room.val();
            }
        }
        self.s_axis_tready.next = self.open.val() & self.has_room.val();
        for c in 0..(self._channels) {
            self.channel[c].clock.next = self.clock.val();
            self.channel[c].reset.next = self.reset.val();
            self.channel[c].clear.next = self.control.clear.val();
            self.channel[c].input_size.next = self.broadcaster.input_size.val();
            self.channel[c].beat.next = self.s_axis_tvalid.val() & self.open.val() & self.chosen[c].val() & self.channel[c].room.val();
            self.channel[c].beat_data.next = self.s_axis_tdata.val();
            self.channel[c].beat_first.next = self.s_axis_tuser.val();
            self.channel[c].beat_last.next = self.s_axis_tlast.val();
            self.any_short.next = self.any_short.val() | self.channel[c].ended_short.val();
            self.any_long.next = self.any_long.val() | self.channel[c].ended_long.val();
            self.bad_vectors.next =
                self.bad_vectors.val().replace_bit(c, self.channel[c].ended_short.val() | self.channel[c].ended_long.val());
            self.ready.next = self.ready.val().replace_bit(c, self.channel[c].ready.val());
            self.bad.next = self.bad.val().replace_bit(c, self.channel[c].bad.val());
            self.first.next = self.first.val().replace_bit(c, self.channel[c].first.val());
            self.channel[c].consume.next = self.broadcaster.consume.val().get_bit(c);
            self.channel[c].input_read.next = self.broadcaster.input_read.val();
            self.channel[c].input_position.next = self.broadcaster.input_position.val();
            self.input_values.next = self.input_values.val() | (self.channel[c].input_value.val().get_bits::<Fit>(0) << (16 * c));

            // the vector memory: read by the broadcaster, written by the element-wise side, while nothing runs the host's
            self.channel[c].vector_read.next =
                self.broadcaster.vector_read.val() | (self.vectors_selected.val() & self.host.bus_read.val());
            self.channel[c].vector_read_address.next = self.broadcaster.vector_address.val();
            if self.vectors_selected.val() & self.host.bus_read.val() {
                self.channel[c].vector_read_address.next = self.host.bus_address.val().get_bits::<Fit>(0);
            }
            self.vector_values.next = self.vector_values.val() | (self.channel[c].vector_value.val().get_bits::<Fit>(0) << (16 * c));
            if self.host.bus_pe.val() == c.index() {
                self.vector_word.next = self.channel[c].vector_value.val();
            }
            self.channel[c].vector_write.next = self.drain.store.val() & self.drain.store_mask.val().get_bit(c);
            self.channel[c].vector_write_address.next = self.drain.store_address.val();
            self.channel[c].vector_write_data.next = self.drain.store_data.val().get_bits::<Fit>(16 * c);
            if self.control.sweep.val() {
                self.channel[c].vector_write.next =
                    self.control.sweep_mask.val().get_bit(c) & (self.control.sweep_address.val() < self.act_depth.val());
                self.channel[c].vector_write_address.next = self.control.sweep_address.val().get_bits::<Fit>(0);
                self.channel[c].vector_write_data.next = 0.into();
            } else if self.vectors_selected.val() & self.host.bus_write.val() {
                self.channel[c].vector_write.next = self.host.bus_pe.val() == c.index();
                self.channel[c].vector_write_address.next = self.host.bus_address.val().get_bits::<Fit>(0);
                self.channel[c].vector_write_data.next = self.host.bus_data.val().get_bits::<Fit>(0);
            }

            self.channel[c].output_write.next = self.drain.out_write.val();
            self.channel[c].output_write_half.next = self.stream_out.write_half.val();
            self.channel[c].output_write_position.next = self.drain.out_address.val();
            self.channel[c].output_write_data.next = self.drain.out_data.val().get_bits::<Fit>(16 * c);
            self.channel[c].output_read.next = self.stream_out.read.val();
            self.channel[c].output_read_half.next = self.stream_out.read_half.val();
            self.channel[c].output_read_position.next = self.stream_out.read_position.val();
            if self.stream_out.tdest.val() == c.index() {
                self.m_axis_tdata.next = self.channel[c].output_value.val();
            }
        }
        self.host.vector_short[0].next = self.any_short.val();
        self.host.vector_long[0].next = self.any_long.val();
        self.host.bad_vectors[0].next = self.bad_vectors.val();
        self.host.wrong_channel[0].next = self.s_axis_tvalid.val() & self.open.val() & !self.known_channel.val();

        // the output stream
        self.stream_out.reset.next = self.reset.val();
        self.stream_out.write.next = self.drain.out_write.val();
        self.stream_out.write_position.next = self.drain.out_address.val();
        self.stream_out.done.next = self.drain.out_done.val();
        self.stream_out.mask.next = self.drain.out_mask.val();
        self.drain.out_room.next = self.stream_out.room.val();
        self.m_axis_tvalid.next = self.stream_out.tvalid.val();
        self.m_axis_tdest.next = self.stream_out.tdest.val();
        self.m_axis_tlast.next = self.stream_out.tlast.val();
        self.stream_out.tready.next = self.m_axis_tready.val();

        // broadcasts
        self.broadcaster.clear.next = self.control.clear.val();
        self.broadcaster.run.next = self.control.run.val();
        self.broadcaster.mask.next = self.host.mask[0].val();
        self.broadcaster.ready.next = self.ready.val();
        self.broadcaster.bad.next = self.bad.val();
        self.broadcaster.first.next = self.first.val();
        self.broadcaster.input_values.next = self.input_values.val();
        self.broadcaster.vector_values.next = self.vector_values.val();
        self.broadcaster.complete.next = self.drain.complete.val();
        self.broadcaster.stored.next = self.drain.stored.val();
        self.broadcaster.token_take.next = self.drain.token_take.val();
        self.broadcaster.clear_pending.next = self.control.clear_pending.val();
        self.broadcaster.accept.next = self.array.accept.val();
        self.array.clear.next = self.control.clear.val();
        self.array.broadcast.next = self.broadcaster.broadcast.val();
        self.array.token.next = self.broadcaster.token.val();
        self.ptr_address.column.next = self.broadcaster.column.val();
        self.ptr_address.broadcast.next = self.broadcaster.broadcast.val();
        self.ptr_address.host_read.next = self.host.bus_read.val();
        self.ptr_address.host_memory.next = self.host.bus_memory.val();
        self.ptr_address.host_address.next = bit_cast_to(self.host.bus_address.val(), &self.ptr_address.host_address.next);
        self.array.ptr_read_both.next = self.ptr_address.read.val();
        self.array.ptr_even.next = self.ptr_address.even.val();
        self.array.ptr_odd.next = self.ptr_address.odd.val();
        self.array.starts_odd.next = self.ptr_address.starts_odd.val();
        self.array.acts.next = self.broadcaster.acts.val();
        self.array.rows_bank.next = self.broadcaster.rows_bank.val();
        self.array.parity.next = self.broadcaster.parity.val();
        self.array.layer.next = self.broadcaster.layer.val();

        // the element-wise side
        self.drain.clear.next = self.control.clear.val();
        self.drain.token_issued.next = self.broadcaster.token_issued.val();
        self.drain.active.next = self.broadcaster.active.val();
        self.drain.fresh.next = self.broadcaster.fresh.val();
        self.drain.token_seen.next = self.array.token_seen.val();
        self.drain.sums.next = self.array.sums.val();
        self.array.token_take.next = self.drain.token_take.val();
        self.array.drain_read.next = self.drain.drain_read.val();
        self.array.drain_rows.next = self.drain.drain_rows.val();
        self.array.drain_parity.next = self.drain.drain_parity.val();
        self.array.drain_pe.next = self.drain.drain_pe.val();
        self.array.drain_address.next = self.drain.drain_address.val();
        self.array.flush.next = self.control.flush.val() & (self.control.sweep_address.val() < self.acc_depth.val());
        if self.control.flush.val() {
            self.array.drain_address.next = bit_cast_to(self.control.sweep_address.val(), self._acc);
        }
        self.drain.sweep.next = self.control.sweep.val();
        self.drain.sweep_mask.next = self.control.sweep_mask.val();
        self.drain.sweep_address.next = self.control.sweep_address.val();

        // control
        self.control.broadcaster_rests.next = self.broadcaster.at_rest.val();
        self.control.array_idle.next = self.array.idle.val();
        self.control.complete.next = self.drain.complete.val();
        self.control.drain_busy.next = self.drain.busy.val();
        self.control.clears_taken.next = self.broadcaster.clears_taken.val();
        self.control.step_done.next = self.drain.step_done.val();
        self.control.stall_queue.next = self.broadcaster.stall_queue.val();
        self.control.stall_input.next = self.broadcaster.stall_input.val();
        self.control.stall_data.next = self.broadcaster.stall_data.val();
        self.control.stall_output.next = self.drain.stall_output.val();

        // memories
        self.layers_selected.next = self.host.bus_memory.val() == 7;
        self.broadcaster.program_write.next = self.layers_selected.val() & self.host.bus_write.val();
        self.broadcaster.program_address.next = bit_cast_to(self.host.bus_address.val(), self._program_address);
        self.broadcaster.program_data.next = bit_cast_to(self.host.bus_data.val(), self._program_bits);
        self.drain.host_memory.next = self.host.bus_memory.val();
        self.drain.host_lane.next = self.host.bus_lane.val();
        self.array.host_lane.next = self.host.bus_lane.val();
        self.drain.host_channel.next = self.host.bus_pe.val();
        self.drain.host_read.next = self.host.bus_read.val();
        self.drain.host_write.next = self.host.bus_write.val();
        self.drain.host_address.next = bit_cast_to(self.host.bus_address.val(), self._host_address);
        self.drain.host_data.next = bit_cast_to(self.host.bus_data.val(), self._host_data);
        self.array.host_pe.next = self.host.bus_pe.val();
        self.array.host_memory.next = self.host.bus_memory.val();
        self.array.host_read.next = self.host.bus_read.val();
        self.array.host_write.next = self.host.bus_write.val();
        self.array.host_address.next = bit_cast_to(self.host.bus_address.val(), self._host_address);
        self.array.host_data.next = bit_cast_to(self.host.bus_data.val(), self._host_data);
        self.pe_word.next = self.array.host_word.val();
        // a PE's word has passed a register
        self.own_word.d.next = self.drain.host_word.val();
        if self.vectors_selected.val() {
            self.own_word.d.next = bit_cast_to(self.vector_word.val(), 32);
        }
        self.word.d.next = self.pe_word.val() | self.own_word.q.val();
        self.host.bus_word.next = self.word.q.val();
        self.unused.next = self.s_axi_awprot.val().any()
            ^ self.s_axi_arprot.val().any()
            ^ self.host.bus_data.val().any()
            ^ self.host.bus_address.val().any()
            ^ self.control.sweep_address.val().any();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("lacuna_ese")
            .doc(
                "ESE accelerator: LSTM layers, their projections and the fully connected layers after them, in every time step,\n\
                 for up to 32 channels on the same weights.\n\
                 \n\
                 s_axis: input vectors, one value a beat, TDEST the channel, TLAST on the last value, TUSER on the first\n\
                 value of a sequence (its state begins at zero). Vectors of several channels may interleave; two of a channel\n\
                 are buffered. m_axis: output vectors in the same way, a step's channels in order. Host port: AXI4-Lite, 32 bit\n\
                 data, 21 bit address, register map in docs/registers.md; irq is high while enabled and a step has ended. Reset is\n\
                 synchronous, active high, at least one cycle; STATUS says busy until accumulators and state are zero.\n\
                 PRELOAD: the memories start as the files IMAGE followed by the memory's name (pe3_spmat.mem, ...) say,\n\
                 and count as checked; else the host writes them and has them checked.",
            )
            .parameter("PRELOAD", "0", "PRELOAD")
            .parameter("IMAGE", "\"./\"", "IMAGE")
            .into_timing()
    }
}
