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
    pub in_turns: Wire<In>,
    pub room: Signal<Out, Bit>,
    pub full: Signal<Out, Bit>,
    pub take: Signal<In, Bit>,
    pub valid: Signal<Out, Bit>,
    pub out_token: Signal<Out, Bit>,
    pub out_value: Wire<Out>,
    pub out_first: Wire<Out>,
    pub out_turns: Wire<Out>,
    _depth: usize,
    _value: usize,
    _turn: usize,
}

impl ColumnQueue {
    /// Slots, bits of the value that travels with a column, and bits of its first entry and of its turns.
    pub fn new(depth: usize, value: usize, turn: usize) -> ColumnQueue {
        ColumnQueue {
            clock: Default::default(),
            clear: Default::default(),
            offer: Default::default(),
            in_token: Default::default(),
            in_value: Wire::new(value),
            in_first: Wire::new(turn),
            in_turns: Wire::new(turn),
            room: Default::default(),
            full: Default::default(),
            take: Default::default(),
            valid: Default::default(),
            out_token: Default::default(),
            out_value: Wire::new(value),
            out_first: Wire::new(turn),
            out_turns: Wire::new(turn),
            _depth: depth,
            _value: value,
            _turn: turn,
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
        self.out_turns.connect();
    }
    fn hdl(&self) -> Verilog {
        let (depth, value, turn) = (self._depth, self._value, self._turn);
        let name = format!("column_queue #(.DEPTH({depth}), .VALUE({value}), .TURN({turn}))");
        Verilog::Blackbox(BlackBox { name, code: include_str!("column_queue.v").into() })
    }
}
