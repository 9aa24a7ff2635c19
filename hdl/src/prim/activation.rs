//! sigmoid and tanh.

use crate::signal::*;
use lacuna_compress::spec::arch::{address_bits, ACT_BITS};
use lacuna_compress::spec::lut::{table, Piece, BASE_BITS, POSITION_BITS, SEGMENTS, SLOPE_BITS};
use rust_hdl::core::ast::{BlackBox, Verilog};

/// `activation.v`: the functions of `spec::lut`, three cycles after their input.
#[derive(LogicBlock)]
pub struct Activation {
    pub clock: Signal<In, Clock>,
    pub z: Wire<In>,
    pub sigmoid: Signal<In, Bit>,
    pub value: Wire<Out>,
}

impl Default for Activation {
    fn default() -> Activation {
        Activation { clock: Default::default(), z: Wire::new(ACT_BITS), sigmoid: Default::default(), value: Wire::new(ACT_BITS) }
    }
}

impl Activation {
    /// The module: the file's text, and in place of its line `// TABLE` the words of [`table`].
    pub fn text() -> String {
        let digits = Piece::BITS.div_ceil(4);
        let word = |(k, piece): (usize, &Piece)| format!("        pieces[{k}] = {}'h{:0digits$x};\n", Piece::BITS, piece.pack());
        let words: String = table().iter().enumerate().map(word).collect();
        let marked = include_str!("activation.v");
        let text = marked.replacen("    // TABLE\n", &format!("    initial begin\n{words}    end\n"), 1);
        assert!(text.len() > marked.len(), "activation.v has the line that the table replaces");
        text
    }
    /// The constants of `spec::lut` as parameters.
    pub fn parameters() -> String {
        let segments = address_bits(SEGMENTS);
        format!("#(.SEGMENT_BITS({segments}), .POSITION_BITS({POSITION_BITS}), .BASE_BITS({BASE_BITS}), .SLOPE_BITS({SLOPE_BITS}))")
    }
}

impl Logic for Activation {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.value.connect();
    }
    fn hdl(&self) -> Verilog {
        Verilog::Blackbox(BlackBox { name: format!("activation {}", Activation::parameters()), code: Activation::text() })
    }
}
