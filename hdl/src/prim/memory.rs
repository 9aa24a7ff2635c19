//! Memories.

use crate::signal::*;
use lacuna_compress::spec::arch::address_bits;
use rust_hdl::core::ast::{BlackBox, Verilog};

/// Which kind of RAM the tools are to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Block RAM, always.
    Block,
    /// Distributed RAM, always: a few words, which would waste the width of block RAMs.
    Small,
    /// What the tool thinks best for the size.
    Auto,
}

/// `memory.v`: read data one cycle after `read_enable`.
///
/// The module that holds it must have the parameters `PRELOAD` and `IMAGE`: the file that preloads it
/// is IMAGE followed by the name given here and `.mem`.
#[derive(LogicBlock)]
pub struct Memory {
    pub clock: Signal<In, Clock>,
    pub read_enable: Signal<In, Bit>,
    pub read_address: Wire<In>,
    pub read_data: Wire<Out>,
    pub write_enable: Signal<In, Bit>,
    pub write_address: Wire<In>,
    pub write_data: Wire<In>,
    _style: Style,
    _width: usize,
    _depth: usize,
    _file: Option<String>,
}

impl Memory {
    /// `depth` words of `width` bits; `file` is the name of the preload file without suffix, none for a
    /// memory that no image fills.
    pub fn new(style: Style, width: usize, depth: usize, file: Option<&str>) -> Memory {
        let address = address_bits(depth);
        Memory {
            clock: Default::default(),
            read_enable: Default::default(),
            read_address: Wire::new(address),
            read_data: Wire::new(width),
            write_enable: Default::default(),
            write_address: Wire::new(address),
            write_data: Wire::new(width),
            _style: style,
            _width: width,
            _depth: depth,
            _file: file.map(String::from),
        }
    }
}

impl Logic for Memory {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.read_data.connect();
    }
    fn hdl(&self) -> Verilog {
        let style = match self._style {
            Style::Block => "block",
            Style::Small => "distributed",
            Style::Auto => "auto",
        };
        let preload = match &self._file {
            Some(file) => format!(", .PRELOAD(PRELOAD), .FILE({{IMAGE, \"{file}.mem\"}})"),
            None => String::new(),
        };
        let (width, depth, address) = (self._width, self._depth, address_bits(self._depth));
        let slice = if self._style == Style::Block { slice(width, depth) } else { 0 };
        let slice = if slice > 0 { format!(", .SLICE({slice})") } else { String::new() };
        let name = format!("memory #(.WIDTH({width}), .DEPTH({depth}), .ADDRESS({address}), .STYLE(\"{style}\"){slice}{preload})");
        Verilog::Blackbox(BlackBox { name, code: include_str!("memory.v").into() })
    }
}

/// Bits and words of the block RAMs of 16 Kbit that ECP5 and Xilinx have, the shallowest first.
pub const SHAPES: [(usize, usize); 6] = [(36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16_384)];

/// Bits of the RAMs as deep as the memory, where they take at most a third more than the fewest RAMs do, which need a
/// multiplexer; 0 where the fewest need none, or too many would be taken. A bank of 2,049 pointers is what it is for.
fn slice(width: usize, depth: usize) -> usize {
    let count = |(bits, words): &(usize, usize)| width.div_ceil(*bits) * depth.div_ceil(*words);
    let fewest = SHAPES.iter().map(count).min().unwrap_or(0);
    let deep = SHAPES.iter().find(|(_, words)| *words >= depth);
    deep.filter(|shape| count(shape) > fewest && 3 * count(shape) <= 4 * fewest).map_or(0, |(bits, _)| *bits)
}

/// `single_port.v`: one address for reading and writing, in block RAM or what is larger.
///
/// Preloaded as a [`Memory`] is.
#[derive(LogicBlock)]
pub struct SinglePort {
    pub clock: Signal<In, Clock>,
    pub address: Wire<In>,
    pub read_enable: Signal<In, Bit>,
    pub read_data: Wire<Out>,
    pub write_enable: Signal<In, Bit>,
    pub write_data: Wire<In>,
    _width: usize,
    _depth: usize,
    _file: String,
}

impl SinglePort {
    /// `depth` words of `width` bits; `file` is the name of the preload file without suffix.
    pub fn new(width: usize, depth: usize, file: &str) -> SinglePort {
        SinglePort {
            clock: Default::default(),
            address: Wire::new(address_bits(depth)),
            read_enable: Default::default(),
            read_data: Wire::new(width),
            write_enable: Default::default(),
            write_data: Wire::new(width),
            _width: width,
            _depth: depth,
            _file: file.to_string(),
        }
    }
}

impl Logic for SinglePort {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.read_data.connect();
    }
    fn hdl(&self) -> Verilog {
        let (width, depth, address, file) = (self._width, self._depth, address_bits(self._depth), &self._file);
        let name = format!(
            "single_port #(.WIDTH({width}), .DEPTH({depth}), .ADDRESS({address}), .PRELOAD(PRELOAD), .FILE({{IMAGE, \"{file}.mem\"}}))"
        );
        Verilog::Blackbox(BlackBox { name, code: include_str!("single_port.v").into() })
    }
}

/// `accumulators.v`, those of the ESE: distributed RAM, undefined when a word is read while it is written.
#[derive(LogicBlock)]
pub struct Accumulators {
    pub clock: Signal<In, Clock>,
    pub read_enable: Signal<In, Bit>,
    pub read_address: Wire<In>,
    pub read_data: Wire<Out>,
    pub write_enable: Signal<In, Bit>,
    pub write_address: Wire<In>,
    pub write_data: Wire<In>,
    _width: usize,
    _depth: usize,
}

impl Accumulators {
    pub fn new(width: usize, depth: usize) -> Accumulators {
        let address = address_bits(depth);
        Accumulators {
            clock: Default::default(),
            read_enable: Default::default(),
            read_address: Wire::new(address),
            read_data: Wire::new(width),
            write_enable: Default::default(),
            write_address: Wire::new(address),
            write_data: Wire::new(width),
            _width: width,
            _depth: depth,
        }
    }
}

impl Logic for Accumulators {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.read_data.connect();
    }
    fn hdl(&self) -> Verilog {
        let (width, depth, address) = (self._width, self._depth, address_bits(self._depth));
        let name = format!("accumulators #(.WIDTH({width}), .DEPTH({depth}), .ADDRESS({address}))");
        Verilog::Blackbox(BlackBox { name, code: include_str!("accumulators.v").into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_where_they_cost_little() {
        // three RAMs with a multiplexer, four without
        assert_eq!(slice(15, 2049), 4);
        // as many, or the tool's own choice
        assert_eq!((slice(15, 2048), slice(18, 1024), slice(17, 600)), (0, 0, 0));
        // five instead of three; deeper than any
        assert_eq!((slice(17, 2049), slice(8, 20_000)), (0, 0));
    }
}
