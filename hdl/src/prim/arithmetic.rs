//! Numbers: product, alignment, requantization, comparison, delay, CRC.

use crate::signal::*;
use lacuna_compress::spec::arch::ACT_BITS;
use rust_hdl::core::ast::{BlackBox, Verilog};

/// `multiply.v`: a signed product, one cycle after its factors.
#[derive(LogicBlock)]
pub struct Multiply {
    pub clock: Signal<In, Clock>,
    pub a: Wire<In>,
    pub b: Wire<In>,
    pub product: Wire<Out>,
    _a: usize,
    _b: usize,
    _sum: usize,
}

impl Multiply {
    /// Bits of both factors and of the product, to which it is extended.
    pub fn new(a: usize, b: usize, sum: usize) -> Multiply {
        Multiply { clock: Default::default(), a: Wire::new(a), b: Wire::new(b), product: Wire::new(sum), _a: a, _b: b, _sum: sum }
    }
}

impl Logic for Multiply {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.product.connect();
    }
    fn hdl(&self) -> Verilog {
        let name = format!("multiply #(.A({}), .B({}), .SUM({}))", self._a, self._b, self._sum);
        Verilog::Blackbox(BlackBox { name, code: include_str!("multiply.v").into() })
    }
}

/// `accumulate.v`: base plus a product or a bias.
#[derive(LogicBlock)]
pub struct Accumulate {
    pub base: Wire<In>,
    pub write_back: Signal<In, Bit>,
    pub product: Wire<In>,
    pub bias: Wire<In>,
    pub sum: Wire<Out>,
    _sum: usize,
}

impl Accumulate {
    /// Bits of the sum, more than 16.
    pub fn new(sum: usize) -> Accumulate {
        Accumulate {
            base: Wire::new(sum),
            write_back: Default::default(),
            product: Wire::new(sum),
            bias: Wire::new(sum),
            sum: Wire::new(sum),
            _sum: sum,
        }
    }
}

impl Logic for Accumulate {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.sum.connect();
    }
    fn hdl(&self) -> Verilog {
        let name = format!("accumulate #(.SUM({}))", self._sum);
        Verilog::Blackbox(BlackBox { name, code: include_str!("accumulate.v").into() })
    }
}

/// `requantize.v`: accumulator to activation. The same function is `spec::fixed::requantize`.
#[derive(LogicBlock)]
pub struct Requantize {
    pub clock: Signal<In, Clock>,
    pub sum: Wire<In>,
    pub shift: Wire<In>,
    pub relu: Signal<In, Bit>,
    pub act: Wire<Out>,
    _sum: usize,
    _stages: usize,
}

impl Requantize {
    /// Bits of the accumulator, and cycles that it takes: none or one.
    pub fn new(sum: usize, stages: usize) -> Requantize {
        Requantize {
            clock: Default::default(),
            sum: Wire::new(sum),
            shift: Wire::new(6),
            relu: Default::default(),
            act: Wire::new(ACT_BITS),
            _sum: sum,
            _stages: stages,
        }
    }
}

impl Logic for Requantize {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.act.connect();
    }
    fn hdl(&self) -> Verilog {
        let name = format!("requantize #(.SUM({}), .STAGES({}))", self._sum, self._stages);
        Verilog::Blackbox(BlackBox { name, code: include_str!("requantize.v").into() })
    }
}

/// `larger.v`: the larger of two signed numbers.
#[derive(LogicBlock)]
pub struct Larger {
    pub a: Wire<In>,
    pub b: Wire<In>,
    pub most: Wire<Out>,
    _width: usize,
}

impl Larger {
    /// Bits of a number.
    pub fn new(width: usize) -> Larger {
        Larger { a: Wire::new(width), b: Wire::new(width), most: Wire::new(width), _width: width }
    }
}

impl Logic for Larger {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.most.connect();
    }
    fn hdl(&self) -> Verilog {
        let name = format!("larger #(.WIDTH({}))", self._width);
        Verilog::Blackbox(BlackBox { name, code: include_str!("larger.v").into() })
    }
}

/// `align_shift.v`: a product at the fraction length of the sum that it is added to.
#[derive(LogicBlock)]
pub struct AlignShift {
    pub product: Wire<In>,
    pub shift: Wire<In>,
    pub aligned: Wire<Out>,
    _sum: usize,
}

impl AlignShift {
    /// Bits of the sum.
    pub fn new(sum: usize) -> AlignShift {
        AlignShift { product: Wire::new(2 * ACT_BITS), shift: Wire::new(4), aligned: Wire::new(sum), _sum: sum }
    }
}

impl Logic for AlignShift {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.aligned.connect();
    }
    fn hdl(&self) -> Verilog {
        let name = format!("align_shift #(.SUM({}))", self._sum);
        Verilog::Blackbox(BlackBox { name, code: include_str!("align_shift.v").into() })
    }
}

/// `delay.v`: the same word some cycles later.
#[derive(LogicBlock)]
pub struct Delay {
    pub clock: Signal<In, Clock>,
    pub early: Wire<In>,
    pub late: Wire<Out>,
    _width: usize,
    _stages: usize,
}

impl Delay {
    /// `stages` is at least 1.
    pub fn new(width: usize, stages: usize) -> Delay {
        Delay { clock: Default::default(), early: Wire::new(width), late: Wire::new(width), _width: width, _stages: stages }
    }
}

impl Logic for Delay {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.late.connect();
    }
    fn hdl(&self) -> Verilog {
        let name = format!("delay #(.WIDTH({}), .STAGES({}))", self._width, self._stages);
        Verilog::Blackbox(BlackBox { name, code: include_str!("delay.v").into() })
    }
}

/// `crc32.v`: one 32-bit step.
#[derive(LogicBlock)]
pub struct Crc32 {
    pub state: Wire<In>,
    pub word: Wire<In>,
    pub result: Wire<Out>,
}

impl Default for Crc32 {
    fn default() -> Crc32 {
        Crc32 { state: Wire::new(32), word: Wire::new(32), result: Wire::new(32) }
    }
}

impl Logic for Crc32 {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.result.connect();
    }
    fn hdl(&self) -> Verilog {
        Verilog::Blackbox(BlackBox { name: "crc32".into(), code: include_str!("crc32.v").into() })
    }
}
