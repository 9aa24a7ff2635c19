//! Where the pointers of a column lie: once for all PEs, which read the same words of their banks.

use super::Widths;
use crate::signal::*;
use lacuna_compress::spec::Arch;

#[derive(LogicBlock)]
pub struct PtrAddress {
    pub column: Wire<In>,
    pub broadcast: Signal<In, Bit>,
    pub host_read: Signal<In, Bit>,
    pub host_memory: Wire<In>,
    pub host_address: Wire<In>,
    pub read: Signal<Out, Bit>,
    pub even: Wire<Out>,
    pub odd: Wire<Out>,
    pub starts_odd: Signal<Out, Bit>,
    host: Signal<Local, Bit>,
    _address: usize,
}

impl PtrAddress {
    pub fn new(arch: &Arch) -> PtrAddress {
        let w = Widths::of(arch);
        PtrAddress {
            column: Wire::new(w.column),
            broadcast: Default::default(),
            host_read: Default::default(),
            host_memory: Wire::new(3),
            host_address: Wire::new(w.bank),
            read: Default::default(),
            even: Wire::new(w.bank),
            odd: Wire::new(w.bank),
            starts_odd: Default::default(),
            host: Default::default(),
            _address: w.bank,
        }
    }
}

impl Logic for PtrAddress {
    #[hdl_gen]
    fn update(&mut self) {
        self.host.next = self.host_read.val() & ((self.host_memory.val() == 1) | (self.host_memory.val() == 2));
        self.read.next = self.broadcast.val() | self.host.val();
        self.even.next = bit_cast_slice(self.column.val(), 1, self._address) + bit_cast_bit(self.column.val().get_bit(0), self._address);
        self.odd.next = bit_cast_slice(self.column.val(), 1, self._address);
        self.starts_odd.next = self.column.val().get_bit(0);
        if self.host.val() {
            self.even.next = self.host_address.val();
            self.odd.next = self.host_address.val();
            self.starts_odd.next = self.host_memory.val() == 2;
        }
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("ptr_address")
            .doc(
                "Pointer address: a column's two pointers lie in two banks, one of them a word further if the column is odd.\n\
                 \n\
                 read asks all PEs for word even and word odd of their banks; starts_odd: the column's own pointer is in the odd\n\
                 bank. The host's read of bank 1 (even) or 2 (odd) goes the same way. Combinational.",
            )
            .into_timing()
    }
}
