//! An accelerator behind a serial line: what a board's top module instantiates.

use super::bridge::Bridge;
use super::frame_rx::FrameRx;
use super::frame_tx::FrameTx;
use super::stream_port::StreamPort;
use super::uart_rx::UartRx;
use super::uart_tx::UartTx;
use crate::eie::Eie;
use crate::ese::Ese;
use crate::signal::*;
use lacuna_compress::spec::Arch;

#[derive(LogicBlock)]
pub struct UartTop {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub uart_rx: Signal<In, Bit>,
    pub uart_tx: Signal<Out, Bit>,
    pub led: Signal<Out, Bit>,
    // one of the two has one element
    eie: Vec<Eie>,
    ese: Vec<Ese>,
    streams: Vec<StreamPort>,
    receiver: UartRx,
    sender: UartTx,
    frame_rx: FrameRx,
    frame_tx: FrameTx,
    bridge: Bridge,
    power_up: Reg,
    restart: Reg,
    strobes: Const,
    irq: Signal<Local, Bit>,
    unused: Signal<Local, Bit>,
    _eie: usize,
    _ese: usize,
}

impl UartTop {
    /// `divider` (at least [`super::LEAST_DIVIDER`]) cycles make a bit on the line. The architecture must be valid.
    pub fn new(arch: &Arch, divider: usize) -> UartTop {
        UartTop {
            clock: Default::default(),
            reset: Default::default(),
            uart_rx: Default::default(),
            uart_tx: Default::default(),
            led: Default::default(),
            eie: if arch.ese.is_none() { vec![Eie::new(arch)] } else { vec![] },
            ese: arch.ese.iter().map(|ese| Ese::new(arch, ese)).collect(),
            streams: arch.ese.iter().map(|_| StreamPort::default()).collect(),
            receiver: UartRx::new(divider),
            sender: UartTx::new(divider),
            frame_rx: Default::default(),
            frame_tx: Default::default(),
            bridge: Default::default(),
            power_up: Reg::with_initial(4, 0),
            restart: Reg::with_initial(1, 1),
            strobes: Const::new(4, 15),
            irq: Default::default(),
            unused: Default::default(),
            _eie: usize::from(arch.ese.is_none()),
            _ese: usize::from(arch.ese.is_some()),
        }
    }
}

impl Logic for UartTop {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, receiver, sender, frame_rx, frame_tx, bridge);
        dff_setup!(self, clock, power_up, restart);
        // boards need no reset: the first cycles are one
        if !self.power_up.q.val().all() {
            self.power_up.d.next = self.power_up.q.val() + 1;
        }
        // a register of its own: it goes everywhere
        self.restart.d.next = bit_cast_bit(self.reset.val() | !self.power_up.q.val().all(), 1);
        self.receiver.reset.next = self.restart.q.val().any();
        self.sender.reset.next = self.restart.q.val().any();
        self.frame_rx.reset.next = self.restart.q.val().any();
        self.frame_tx.reset.next = self.restart.q.val().any();
        self.bridge.reset.next = self.restart.q.val().any();

        // the line
        self.receiver.line.next = self.uart_rx.val();
        self.frame_rx.octet.next = self.receiver.octet.val();
        self.frame_rx.valid.next = self.receiver.valid.val();
        self.frame_rx.hold.next = self.bridge.hold.val();
        self.bridge.word.next = self.frame_rx.word.val();
        self.bridge.index.next = self.frame_rx.index.val();
        self.bridge.word_valid.next = self.frame_rx.word_valid.val();
        self.bridge.ended.next = self.frame_rx.ended.val();
        self.bridge.good.next = self.frame_rx.good.val();
        self.bridge.words.next = self.frame_rx.words.val();
        self.frame_tx.word.next = self.bridge.reply.val();
        self.frame_tx.valid.next = self.bridge.reply_valid.val();
        self.frame_tx.finish.next = self.bridge.finish.val();
        self.bridge.reply_ready.next = self.frame_tx.ready.val();
        self.bridge.sent.next = self.frame_tx.idle.val();
        self.sender.octet.next = self.frame_tx.octet.val();
        self.sender.valid.next = self.frame_tx.byte_valid.val();
        self.frame_tx.byte_ready.next = self.sender.ready.val();
        self.uart_tx.next = self.sender.line.val();
        self.led.next = self.bridge.connected.val();

        // an accelerator without streams has none of the bridge's own registers
        self.bridge.own_ack.next = true;
        self.bridge.own_error.next = true;
        self.bridge.own_data.next = 0.into();
        self.bridge.awready.next = false;
        self.bridge.wready.next = false;
        self.bridge.bresp.next = 0.into();
        self.bridge.bvalid.next = false;
        self.bridge.arready.next = false;
        self.bridge.rdata.next = 0.into();
        self.bridge.rresp.next = 0.into();
        self.bridge.rvalid.next = false;
        // a host on a line asks instead
        self.irq.next = false;

        for k in 0..(self._eie) {
            self.eie[k].clock.next = self.clock.val();
            self.eie[k].reset.next = self.restart.q.val().any();
            self.eie[k].s_axi_awaddr.next = self.bridge.address.val();
            self.eie[k].s_axi_awprot.next = 0.into();
            self.eie[k].s_axi_awvalid.next = self.bridge.awvalid.val();
            self.bridge.awready.next = self.eie[k].s_axi_awready.val();
            self.eie[k].s_axi_wdata.next = self.bridge.data.val();
            self.eie[k].s_axi_wstrb.next = self.strobes.val();
            self.eie[k].s_axi_wvalid.next = self.bridge.wvalid.val();
            self.bridge.wready.next = self.eie[k].s_axi_wready.val();
            self.bridge.bresp.next = self.eie[k].s_axi_bresp.val();
            self.bridge.bvalid.next = self.eie[k].s_axi_bvalid.val();
            self.eie[k].s_axi_bready.next = true;
            self.eie[k].s_axi_araddr.next = self.bridge.address.val();
            self.eie[k].s_axi_arprot.next = 0.into();
            self.eie[k].s_axi_arvalid.next = self.bridge.arvalid.val();
            self.bridge.arready.next = self.eie[k].s_axi_arready.val();
            self.bridge.rdata.next = self.eie[k].s_axi_rdata.val();
            self.bridge.rresp.next = self.eie[k].s_axi_rresp.val();
            self.bridge.rvalid.next = self.eie[k].s_axi_rvalid.val();
            self.eie[k].s_axi_rready.next = true;
            self.irq.next = self.eie[k].irq.val();
        }
        for k in 0..(self._ese) {
            self.ese[k].clock.next = self.clock.val();
            self.ese[k].reset.next = self.restart.q.val().any();
            self.ese[k].s_axi_awaddr.next = self.bridge.address.val();
            self.ese[k].s_axi_awprot.next = 0.into();
            self.ese[k].s_axi_awvalid.next = self.bridge.awvalid.val();
            self.bridge.awready.next = self.ese[k].s_axi_awready.val();
            self.ese[k].s_axi_wdata.next = self.bridge.data.val();
            self.ese[k].s_axi_wstrb.next = self.strobes.val();
            self.ese[k].s_axi_wvalid.next = self.bridge.wvalid.val();
            self.bridge.wready.next = self.ese[k].s_axi_wready.val();
            self.bridge.bresp.next = self.ese[k].s_axi_bresp.val();
            self.bridge.bvalid.next = self.ese[k].s_axi_bvalid.val();
            self.ese[k].s_axi_bready.next = true;
            self.ese[k].s_axi_araddr.next = self.bridge.address.val();
            self.ese[k].s_axi_arprot.next = 0.into();
            self.ese[k].s_axi_arvalid.next = self.bridge.arvalid.val();
            self.bridge.arready.next = self.ese[k].s_axi_arready.val();
            self.bridge.rdata.next = self.ese[k].s_axi_rdata.val();
            self.bridge.rresp.next = self.ese[k].s_axi_rresp.val();
            self.bridge.rvalid.next = self.ese[k].s_axi_rvalid.val();
            self.ese[k].s_axi_rready.next = true;
            self.irq.next = self.ese[k].irq.val();
            self.streams[k].clock.next = self.clock.val();
            self.streams[k].reset.next = self.restart.q.val().any();
            self.streams[k].request.next = self.bridge.own_request.val();
            self.streams[k].write.next = self.bridge.own_write.val();
            self.streams[k].address.next = self.bridge.own_address.val();
            self.streams[k].data.next = self.bridge.data.val();
            self.bridge.own_ack.next = self.streams[k].ack.val();
            self.bridge.own_error.next = self.streams[k].error.val();
            self.bridge.own_data.next = self.streams[k].read_data.val();
            self.ese[k].s_axis_tdata.next = self.streams[k].in_data.val();
            self.ese[k].s_axis_tuser.next = self.streams[k].in_user.val();
            self.ese[k].s_axis_tlast.next = self.streams[k].in_last.val();
            self.ese[k].s_axis_tdest.next = self.streams[k].in_dest.val();
            self.ese[k].s_axis_tvalid.next = self.streams[k].in_valid.val();
            self.streams[k].in_ready.next = self.ese[k].s_axis_tready.val();
            self.streams[k].out_data.next = self.ese[k].m_axis_tdata.val();
            self.streams[k].out_last.next = self.ese[k].m_axis_tlast.val();
            self.streams[k].out_dest.next = self.ese[k].m_axis_tdest.val();
            self.streams[k].out_valid.next = self.ese[k].m_axis_tvalid.val();
            self.ese[k].m_axis_tready.next = self.streams[k].out_ready.val();
        }
        self.unused.next =
            self.irq.val() ^ self.bridge.own_request.val() ^ self.bridge.own_write.val() ^ self.bridge.own_address.val().any();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("lacuna_uart")
            .doc(
                "An accelerator behind a serial line: UART, frames (docs/wire.md), and the accelerator's registers.\n\
                 \n\
                 uart_rx may come from anywhere; the first 15 cycles after configuration are a reset, and reset,\n\
                 synchronous and active high, is one more. led is high as soon as a host has spoken.\n\
                 PRELOAD and IMAGE are those of the accelerator.",
            )
            .parameter("PRELOAD", "0", "")
            .parameter("IMAGE", "\"./\"", "")
            .into_timing()
    }
}
