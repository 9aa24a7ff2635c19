//! The queue of accepted columns.

use crate::signal::*;
use rust_hdl::core::ast::{BlackBox, Verilog};

/// `column_queue.v`: `depth` slots, 0 is a wire.
#[derive(LogicBlock)]
pub struct ColumnQueue {
    pub clock: Signal<In, Clock>,
    pub clear: Signal<In, Bit>,
    pub offer: Signal<In, Bit>,
    pub in_token: Signal<In, Bit>,
    pub in_value: Wire<In>,
    pub in_first: Wire<In>,
    pub in_minus_turns: Wire<In>,
    pub room: Signal<Out, Bit>,
    pub full: Signal<Out, Bit>,
    pub take: Signal<In, Bit>,
    pub valid: Signal<Out, Bit>,
    pub out_token: Signal<Out, Bit>,
    pub out_value: Wire<Out>,
    pub out_first: Wire<Out>,
    pub out_minus_turns: Wire<Out>,
    _depth: usize,
    _value: usize,
    _first: usize,
    _turns: usize,
}

impl ColumnQueue {
    /// Slots, bits of the value that travels with a column, of the number of its first entry, and of its turns.
    pub fn new(depth: usize, value: usize, first: usize, turns: usize) -> ColumnQueue {
        ColumnQueue {
            clock: Default::default(),
            clear: Default::default(),
            offer: Default::default(),
            in_token: Default::default(),
            in_value: Wire::new(value),
            in_first: Wire::new(first),
            in_minus_turns: Wire::new(turns),
            room: Default::default(),
            full: Default::default(),
            take: Default::default(),
            valid: Default::default(),
            out_token: Default::default(),
            out_value: Wire::new(value),
            out_first: Wire::new(first),
            out_minus_turns: Wire::new(turns),
            _depth: depth,
            _value: value,
            _first: first,
            _turns: turns,
        }
    }
}

impl Logic for ColumnQueue {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.room.connect();
        self.full.connect();
        self.valid.connect();
        self.out_token.connect();
        self.out_value.connect();
        self.out_first.connect();
        self.out_minus_turns.connect();
    }
    fn hdl(&self) -> Verilog {
        let (depth, value, first, turns) = (self._depth, self._value, self._first, self._turns);
        let name = format!("column_queue #(.DEPTH({depth}), .VALUE({value}), .FIRST({first}), .TURNS({turns}))");
        Verilog::Blackbox(BlackBox { name, code: include_str!("column_queue.v").into() })
    }
}
