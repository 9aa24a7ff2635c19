//! Fields of words.

use crate::signal::*;
use lacuna_compress::spec::arch::address_bits;
use rust_hdl::core::ast::{BlackBox, Verilog};

/// `lane_select.v`: one of the fields of a word.
#[derive(LogicBlock)]
pub struct LaneSelect {
    pub word: Wire<In>,
    pub lane: Wire<In>,
    pub field: Wire<Out>,
    _width: usize,
    _lanes: usize,
    _word: usize,
}

impl LaneSelect {
    /// The 32-bit lanes of a word of `width` bits in the host's window.
    pub fn of_word(width: usize) -> LaneSelect {
        LaneSelect::with(32, width.div_ceil(32).next_power_of_two(), width)
    }
    /// `lanes` fields of `width` bits.
    pub fn new(width: usize, lanes: usize) -> LaneSelect {
        LaneSelect::with(width, lanes, width * lanes)
    }
    fn with(width: usize, lanes: usize, word: usize) -> LaneSelect {
        LaneSelect {
            word: Wire::new(word),
            lane: Wire::new(address_bits(lanes)),
            field: Wire::new(width),
            _width: width,
            _lanes: lanes,
            _word: word,
        }
    }
}

impl Logic for LaneSelect {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.field.connect();
    }
    fn hdl(&self) -> Verilog {
        let (width, lanes, index, word) = (self._width, self._lanes, address_bits(self._lanes), self._word);
        let name = format!("lane_select #(.WIDTH({width}), .LANES({lanes}), .INDEX({index}), .WORD({word}))");
        Verilog::Blackbox(BlackBox { name, code: include_str!("lane_select.v").into() })
    }
}

/// `lane_merge.v`: a word with one 32-bit lane replaced.
#[derive(LogicBlock)]
pub struct LaneMerge {
    pub word: Wire<In>,
    pub lane: Wire<In>,
    pub data: Wire<In>,
    pub merged: Wire<Out>,
    _lanes: usize,
}

impl LaneMerge {
    /// A word of `lanes` (at least 2) 32-bit lanes.
    pub fn new(lanes: usize) -> LaneMerge {
        LaneMerge {
            word: Wire::new(32 * lanes),
            lane: Wire::new(address_bits(lanes)),
            data: Wire::new(32),
            merged: Wire::new(32 * lanes),
            _lanes: lanes,
        }
    }
}

impl Logic for LaneMerge {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.merged.connect();
    }
    fn hdl(&self) -> Verilog {
        let name = format!("lane_merge #(.LANES({}), .INDEX({}))", self._lanes, address_bits(self._lanes));
        Verilog::Blackbox(BlackBox { name, code: include_str!("lane_merge.v").into() })
    }
}

/// `byte_merge.v`: a 32-bit register with some bytes replaced.
#[derive(LogicBlock)]
pub struct ByteMerge {
    pub old: Wire<In>,
    pub data: Wire<In>,
    pub strobe: Wire<In>,
    pub merged: Wire<Out>,
    pub written: Wire<Out>,
}

impl Default for ByteMerge {
    fn default() -> ByteMerge {
        ByteMerge { old: Wire::new(32), data: Wire::new(32), strobe: Wire::new(4), merged: Wire::new(32), written: Wire::new(32) }
    }
}

impl Logic for ByteMerge {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.merged.connect();
        self.written.connect();
    }
    fn hdl(&self) -> Verilog {
        Verilog::Blackbox(BlackBox { name: "byte_merge".into(), code: include_str!("byte_merge.v").into() })
    }
}
