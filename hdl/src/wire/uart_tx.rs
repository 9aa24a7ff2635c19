//! The sending half of a UART.

use crate::signal::*;
use lacuna_compress::spec::arch::address_bits;

#[derive(LogicBlock)]
pub struct UartTx {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub octet: Wire<In>,
    pub valid: Signal<In, Bit>,
    pub ready: Signal<Out, Bit>,
    pub line: Signal<Out, Bit>,
    level: Flag,
    active: Flag,
    pause: Reg,
    bits: Reg,
    shift: Reg,
    whole: Const,
}

impl UartTx {
    /// `divider` cycles make a bit.
    pub fn new(divider: usize) -> UartTx {
        let width = address_bits(divider);
        UartTx {
            clock: Default::default(),
            reset: Default::default(),
            octet: Wire::new(8),
            valid: Default::default(),
            ready: Default::default(),
            line: Default::default(),
            level: Flag::with_initial(true),
            active: Flag::new(),
            pause: Reg::new(width),
            bits: Reg::new(4),
            shift: Reg::new(8),
            whole: Const::new(width, divider as u64 - 1),
        }
    }
}

impl Logic for UartTx {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, level, active, pause, bits, shift);
        self.line.next = self.level.q.val();
        self.ready.next = !self.active.q.val();
        if !self.active.q.val() {
            self.level.d.next = !self.valid.val();
            self.active.d.next = self.valid.val();
            self.shift.d.next = self.octet.val();
            self.pause.d.next = self.whole.val();
            self.bits.d.next = 0.into();
        } else if self.pause.q.val() != 0 {
            self.pause.d.next = self.pause.q.val() - 1;
        } else {
            self.pause.d.next = self.whole.val();
            self.bits.d.next = self.bits.q.val() + 1;
            comment!("behind the eight bits come ones: the stop bit, and the silence after it");
            self.shift.d.next = (self.shift.q.val() >> 1).replace_bit(7, true);
            self.level.d.next = self.shift.q.val().get_bit(0);
            self.active.d.next = self.bits.q.val() != 9;
        }
        if self.reset.val() {
            self.level.d.next = true;
            self.active.d.next = false;
        }
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("uart_tx")
            .doc(
                "UART transmitter: 8 data bits, no parity, one stop bit.\n\
                 \n\
                 Takes octet when valid and ready; ready again when the stop bit is over.",
            )
            .into_timing()
    }
}
