//! The queue of accepted columns.

use crate::signal::*;
use lacuna_compress::spec::arch::ACT_BITS;
use rust_hdl::core::ast::{BlackBox, Verilog};

/// `column_queue.v`: fall-through, `depth` slots, 0 is a wire.
#[derive(LogicBlock)]
pub struct ColumnQueue {
    pub clock: Signal<In, Clock>,
    pub clear: Signal<In, Bit>,
    pub offer: Signal<In, Bit>,
    pub in_token: Signal<In, Bit>,
    pub in_value: Wire<In>,
    pub in_first: Wire<In>,
    pub in_end: Wire<In>,
    pub room: Signal<Out, Bit>,
    pub take: Signal<In, Bit>,
    pub valid: Signal<Out, Bit>,
    pub out_token: Signal<Out, Bit>,
    pub out_value: Wire<Out>,
    pub out_first: Wire<Out>,
    pub out_end: Wire<Out>,
    _depth: usize,
    _pointer: usize,
}

impl ColumnQueue {
    /// Slots, and bits of a pointer.
    pub fn new(depth: usize, pointer: usize) -> ColumnQueue {
        ColumnQueue {
            clock: Default::default(),
            clear: Default::default(),
            offer: Default::default(),
            in_token: Default::default(),
            in_value: Wire::new(ACT_BITS),
            in_first: Wire::new(pointer),
            in_end: Wire::new(pointer),
            room: Default::default(),
            take: Default::default(),
            valid: Default::default(),
            out_token: Default::default(),
            out_value: Wire::new(ACT_BITS),
            out_first: Wire::new(pointer),
            out_end: Wire::new(pointer),
            _depth: depth,
            _pointer: pointer,
        }
    }
}

impl Logic for ColumnQueue {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.room.connect();
        self.valid.connect();
        self.out_token.connect();
        self.out_value.connect();
        self.out_first.connect();
        self.out_end.connect();
    }
    fn hdl(&self) -> Verilog {
        let (depth, pointer) = (self._depth, self._pointer);
        let name = format!("column_queue #(.DEPTH({depth}), .VALUE({ACT_BITS}), .POINTER({pointer}))");
        Verilog::Blackbox(BlackBox { name, code: include_str!("column_queue.v").into() })
    }
}
