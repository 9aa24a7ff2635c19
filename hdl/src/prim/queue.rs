//! The queue of accepted columns.

use crate::signal::*;
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
    _value: usize,
    _pointer: usize,
}

impl ColumnQueue {
    /// Slots, bits of the value that travels with a column, and bits of a pointer.
    pub fn new(depth: usize, value: usize, pointer: usize) -> ColumnQueue {
        ColumnQueue {
            clock: Default::default(),
            clear: Default::default(),
            offer: Default::default(),
            in_token: Default::default(),
            in_value: Wire::new(value),
            in_first: Wire::new(pointer),
            in_end: Wire::new(pointer),
            room: Default::default(),
            take: Default::default(),
            valid: Default::default(),
            out_token: Default::default(),
            out_value: Wire::new(value),
            out_first: Wire::new(pointer),
            out_end: Wire::new(pointer),
            _depth: depth,
            _value: value,
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
        let (depth, value, pointer) = (self._depth, self._value, self._pointer);
        let name = format!("column_queue #(.DEPTH({depth}), .VALUE({value}), .POINTER({pointer}))");
        Verilog::Blackbox(BlackBox { name, code: include_str!("column_queue.v").into() })
    }
}
