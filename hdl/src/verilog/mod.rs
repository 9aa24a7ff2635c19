//! Writes rust-hdl blocks as Verilog-2005, one module per distinct block.
//!
//! Here belongs what turns any block into text: flattening (a kernel's syntax tree to flat steps), the arrangement of
//! steps into nets and processes, expressions, one module's text, and the walk that makes equal text one module. No block of
//! an accelerator does.
//!
//! The text is for Verilator `-Wall`, Yosys and Icarus without a waiver: plain names (`pe_3__act_out` is the port `act_out`
//! of the instance `pe_3`), registers as `always @(posedge clock)`, literals sized by context, unused outputs as `unused_*`.
//! Equal input gives equal bytes. Whatever could mean something else in Verilog than in Rust is refused with the path of the
//! block: unequal widths, mixed signs, products, signed right shifts, clocks that are not plain.
//!
//! Not guaranteed: that there are no latches (assign defaults first; Verilator and Yosys report them), and that an input
//! or local which nothing reads passes Verilator (assign it to a local called `unused_..`).

mod arrange;
mod connections;
mod dedup;
mod emit;
mod expression;
mod fault;
mod flatten;
mod meta;
mod names;
mod scope;
mod slice;

pub use connections::Connections;
pub use fault::{Fault, WriteError};
pub use meta::Meta;

use rust_hdl::core::prelude::{check_all, Block};

/// One module, for a file of its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    pub name: String,
    /// From its header comment to `endmodule`.
    pub text: String,
}

impl Module {
    /// That of the file that it is for.
    pub fn file_name(&self) -> String {
        format!("{}.v", self.name)
    }
}

/// The modules of a design: the top first, hand-written leaves last.
#[derive(Clone, Debug, PartialEq)]
pub struct Netlist {
    /// Each named once.
    pub modules: Vec<Module>,
}

/// Connects and checks the design and writes it; `name` is the top module's.
pub fn write(top: &mut dyn Block, name: &str) -> Result<Netlist, WriteError> {
    top.connect_all();
    check_all(top).map_err(|e| WriteError::from_check(e, name))?;
    dedup::walk(top, name)
}
