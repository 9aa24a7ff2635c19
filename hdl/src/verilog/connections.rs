//! Structure written by hand: for trees and other shapes that no kernel loop describes.

use rust_hdl::core::ast::{Verilog, VerilogExpression, VerilogOp, VerilogStatement};

/// Builds what `#[hdl_gen]` would, from names.
///
/// Names are rust-hdl's: a field, `child$port`, `child$3$port$0`. The block implements `Logic` by
/// hand: an empty `update`, `connect` which calls `.connect()` on each input of a child and each own output or local
/// (rust-hdl's check wants the mark; the writer finds out by itself what was really assigned), and `hdl`:
///
/// ```
/// use lacuna_hdl::signal::*;
///
/// #[derive(LogicBlock)]
/// struct Either {
///     a: Vec<Signal<In, Bit>>,
///     y: Signal<Out, Bit>,
/// }
/// impl Logic for Either {
///     fn update(&mut self) {}
///     fn connect(&mut self) {
///         self.y.connect();
///     }
///     fn hdl(&self) -> Verilog {
///         let mut c = Connections::new();
///         c.or("y", (0..self.a.len()).map(|i| format!("a${i}")));
///         c.into_verilog()
///     }
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Connections {
    steps: Vec<VerilogStatement>,
}

fn signal(name: impl Into<String>) -> VerilogExpression {
    VerilogExpression::Signal(name.into())
}

impl Connections {
    /// None yet.
    pub fn new() -> Connections {
        Connections::default()
    }

    fn push(&mut self, to: impl Into<String>, value: VerilogExpression) {
        self.steps.push(VerilogStatement::Assignment(signal(to), value));
    }

    /// `to = from`; widths must be equal. Locals and own outputs must be assigned before they are read.
    pub fn assign(&mut self, to: impl Into<String>, from: impl Into<String>) {
        self.push(to, signal(from));
    }

    /// `to = value`.
    pub fn tie(&mut self, to: impl Into<String>, value: u64) {
        self.push(to, VerilogExpression::Literal(value.into()));
    }

    /// `to = !from`.
    pub fn not(&mut self, to: impl Into<String>, from: impl Into<String>) {
        self.push(to, VerilogExpression::Unary(rust_hdl::core::ast::VerilogOpUnary::Not, Box::new(signal(from))));
    }

    /// `to` is all of these together with `|`, or 0 if there are none.
    pub fn or<S: Into<String>>(&mut self, to: impl Into<String>, from: impl IntoIterator<Item = S>) {
        self.fold(to, VerilogOp::BitOr, from, 0);
    }

    /// `to` is all of these together with `&`, or 1 if there are none.
    pub fn and<S: Into<String>>(&mut self, to: impl Into<String>, from: impl IntoIterator<Item = S>) {
        self.fold(to, VerilogOp::BitAnd, from, 1);
    }

    fn fold<S: Into<String>>(&mut self, to: impl Into<String>, op: VerilogOp, from: impl IntoIterator<Item = S>, none: u64) {
        let all = from.into_iter().map(signal);
        let all = all.reduce(|a, b| VerilogExpression::Binary(Box::new(a), op.clone(), Box::new(b)));
        self.push(to, all.unwrap_or_else(|| VerilogExpression::Literal(none.into())));
    }

    /// `to[offset +: width] = from`: packs a bus. All its bits must be assigned in the end.
    pub fn assign_part(&mut self, to: impl Into<String>, offset: usize, width: usize, from: impl Into<String>) {
        let offset = VerilogExpression::Literal(offset.into());
        self.steps.push(VerilogStatement::SliceAssignment { base: signal(to), width, offset, replacement: signal(from) });
    }

    /// `to = from[offset +: width]`: takes a bus apart.
    pub fn assign_from_part(&mut self, to: impl Into<String>, from: impl Into<String>, offset: usize, width: usize) {
        let offset = Box::new(VerilogExpression::Literal(offset.into()));
        self.push(to, VerilogExpression::Slice(Box::new(signal(from)), width, offset));
    }

    /// What `hdl()` returns.
    pub fn into_verilog(self) -> Verilog {
        Verilog::Combinatorial(self.steps)
    }
}
