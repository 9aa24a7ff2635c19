//! AXI4-Lite slave, one transaction at a time.

use crate::signal::*;
use lacuna_compress::spec::registers::ADDRESS_BITS;

#[derive(LogicBlock)]
pub struct AxiLite {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
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
    pub request: Signal<Out, Bit>,
    pub write: Signal<Out, Bit>,
    pub address: Wire<Out>,
    pub data: Wire<Out>,
    pub strobe: Wire<Out>,
    pub ack: Signal<In, Bit>,
    pub error: Signal<In, Bit>,
    pub read_data: Wire<In>,
    aw_full: Flag,
    aw: Reg,
    w_full: Flag,
    w: Reg,
    strobes: Reg,
    ar_full: Flag,
    ar: Reg,
    b_full: Flag,
    b_error: Flag,
    r_full: Flag,
    r_error: Flag,
    r: Reg,
    reading: Flag,
    want_write: Signal<Local, Bit>,
    want_read: Signal<Local, Bit>,
}

impl Default for AxiLite {
    fn default() -> AxiLite {
        AxiLite {
            clock: Default::default(),
            reset: Default::default(),
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
            request: Default::default(),
            write: Default::default(),
            address: Wire::new(ADDRESS_BITS),
            data: Wire::new(32),
            strobe: Wire::new(4),
            ack: Default::default(),
            error: Default::default(),
            read_data: Wire::new(32),
            aw_full: Flag::new(),
            aw: Reg::new(ADDRESS_BITS),
            w_full: Flag::new(),
            w: Reg::new(32),
            strobes: Reg::new(4),
            ar_full: Flag::new(),
            ar: Reg::new(ADDRESS_BITS),
            b_full: Flag::new(),
            b_error: Flag::new(),
            r_full: Flag::new(),
            r_error: Flag::new(),
            r: Reg::new(32),
            reading: Flag::new(),
            want_write: Default::default(),
            want_read: Default::default(),
        }
    }
}

impl Logic for AxiLite {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, aw_full, aw, w_full, w, strobes, ar_full, ar, b_full, b_error, r_full, r_error, r, reading);
        self.awready.next = !self.aw_full.q.val();
        self.wready.next = !self.w_full.q.val();
        self.arready.next = !self.ar_full.q.val();
        if self.awvalid.val() & !self.aw_full.q.val() {
            self.aw_full.d.next = true;
            self.aw.d.next = self.awaddr.val();
        }
        if self.wvalid.val() & !self.w_full.q.val() {
            self.w_full.d.next = true;
            self.w.d.next = self.wdata.val();
            self.strobes.d.next = self.wstrb.val();
        }
        if self.arvalid.val() & !self.ar_full.q.val() {
            self.ar_full.d.next = true;
            self.ar.d.next = self.araddr.val();
        }

        // a write goes first, but not into the middle of a read
        self.want_write.next = self.aw_full.q.val() & self.w_full.q.val() & !self.b_full.q.val() & !self.reading.q.val();
        self.want_read.next = self.ar_full.q.val() & !self.r_full.q.val() & !self.want_write.val();
        self.request.next = self.want_write.val() | self.want_read.val();
        self.write.next = self.want_write.val();
        self.address.next = self.ar.q.val();
        if self.want_write.val() {
            self.address.next = self.aw.q.val();
        }
        self.data.next = self.w.q.val();
        self.strobe.next = self.strobes.q.val();
        self.reading.d.next = self.want_read.val() & !self.ack.val();

        if self.b_full.q.val() & self.bready.val() {
            self.b_full.d.next = false;
        }
        if self.r_full.q.val() & self.rready.val() {
            self.r_full.d.next = false;
        }
        if self.want_write.val() & self.ack.val() {
            self.aw_full.d.next = false;
            self.w_full.d.next = false;
            self.b_full.d.next = true;
            self.b_error.d.next = self.error.val();
        }
        if self.want_read.val() & self.ack.val() {
            self.ar_full.d.next = false;
            self.r_full.d.next = true;
            self.r_error.d.next = self.error.val();
            self.r.d.next = self.read_data.val();
        }
        if self.reset.val() {
            self.aw_full.d.next = false;
            self.w_full.d.next = false;
            self.ar_full.d.next = false;
            self.b_full.d.next = false;
            self.r_full.d.next = false;
            self.reading.d.next = false;
        }
        self.bvalid.next = self.b_full.q.val();
        self.rvalid.next = self.r_full.q.val();
        self.rdata.next = self.r.q.val();
        self.bresp.next = 0.into();
        if self.b_error.q.val() {
            self.bresp.next = 2.into();
        }
        self.rresp.next = 0.into();
        if self.r_error.q.val() {
            self.rresp.next = 2.into();
        }
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("axi_lite")
            .doc(
                "AXI4-Lite slave: one request at a time towards the register file.\n\
                 \n\
                 Address and data of a write may come in any order. request with write, address, data and strobe holds\n\
                 until ack, which answers it with read_data or error (SLVERR). valid never waits for ready, and\n\
                 what goes with it stays until it is taken. A waiting write goes before a waiting read.",
            )
            .into_timing()
    }
}
