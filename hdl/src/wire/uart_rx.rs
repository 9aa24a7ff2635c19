//! The receiving half of a UART.

use crate::signal::*;
use lacuna_compress::spec::arch::address_bits;

#[derive(LogicBlock)]
pub struct UartRx {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub line: Signal<In, Bit>,
    pub octet: Wire<Out>,
    pub valid: Signal<Out, Bit>,
    // the line comes from another clock
    first: Flag,
    level: Flag,
    active: Flag,
    pause: Reg,
    bits: Reg,
    shift: Reg,
    half: Const,
    whole: Const,
}

impl UartRx {
    /// `divider` cycles make a bit.
    pub fn new(divider: usize) -> UartRx {
        let width = address_bits(divider);
        UartRx {
            clock: Default::default(),
            reset: Default::default(),
            line: Default::default(),
            octet: Wire::new(8),
            valid: Default::default(),
            first: Flag::with_initial(true),
            level: Flag::with_initial(true),
            active: Flag::new(),
            pause: Reg::new(width),
            bits: Reg::new(4),
            shift: Reg::new(8),
            half: Const::new(width, divider as u64 / 2 - 1),
            whole: Const::new(width, divider as u64 - 1),
        }
    }
}

impl Logic for UartRx {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, first, level, active, pause, bits, shift);
        self.first.d.next = self.line.val();
        self.level.d.next = self.first.q.val();
        self.octet.next = self.shift.q.val();
        self.valid.next = false;
        if !self.active.q.val() {
            self.active.d.next = !self.level.q.val();
            self.pause.d.next = self.half.val();
            self.bits.d.next = 0.into();
        } else if self.pause.q.val() != 0 {
            self.pause.d.next = self.pause.q.val() - 1;
        } else {
            self.pause.d.next = self.whole.val();
            self.bits.d.next = self.bits.q.val() + 1;
            if self.bits.q.val() == 0 {
                comment!("a start bit that is over by its middle was none");
                self.active.d.next = !self.level.q.val();
            } else if self.bits.q.val() == 9 {
                comment!("without its stop bit a byte does not count");
                self.active.d.next = false;
                self.valid.next = self.level.q.val();
            } else {
                self.shift.d.next = (self.shift.q.val() >> 1).replace_bit(7, self.level.q.val());
            }
        }
        if self.reset.val() {
            self.active.d.next = false;
            self.valid.next = false;
        }
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("uart_rx")
            .doc(
                "UART receiver: 8 data bits, no parity, one stop bit.\n\
                 \n\
                 octet counts in the cycle of valid, which comes in the middle of the stop bit and waits for nobody.",
            )
            .into_timing()
    }
}
