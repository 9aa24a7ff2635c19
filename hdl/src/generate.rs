//! A whole design: its modules and the ports of its top. A pure function of the architecture.

use crate::eie::Eie;
use crate::ese::Ese;
use crate::signal::*;
use crate::verilog::{write, Module, WriteError};
use crate::wire::{UartTop, LEAST_DIVIDER};
use lacuna_compress::spec::{Arch, ArchError};

/// Name of the top module with a serial line.
pub const UART_TOP: &str = "lacuna_uart";

/// Name of the top module of an architecture.
pub fn top_name(arch: &Arch) -> &'static str {
    if arch.ese.is_some() {
        "lacuna_ese"
    } else {
        "lacuna_eie"
    }
}

/// A port of the top module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub name: String,
    /// Bits.
    pub width: usize,
    pub input: bool,
}

/// The Verilog of an accelerator, one module per file.
#[derive(Clone, Debug, PartialEq)]
pub struct Design {
    pub top: String,
    /// Top first, hand-written leaves last.
    pub modules: Vec<Module>,
    pub ports: Vec<Port>,
}

#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    #[error(transparent)]
    Arch(#[from] ArchError),
    #[error("the serial line: found {found} clock cycles a bit, expected at least {LEAST_DIVIDER}; a slower line or a faster clock")]
    Divider { found: usize },
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The same architecture gives the same bytes.
pub fn generate(arch: &Arch) -> Result<Design, GenerateError> {
    arch.validate()?;
    match &arch.ese {
        None => design(Eie::new(arch), top_name(arch)),
        Some(ese) => design(Ese::new(arch, ese), top_name(arch)),
    }
}

/// The accelerator behind a serial line with `divider` cycles a bit.
pub fn generate_uart(arch: &Arch, divider: usize) -> Result<Design, GenerateError> {
    arch.validate()?;
    if divider < LEAST_DIVIDER {
        return Err(GenerateError::Divider { found: divider });
    }
    design(UartTop::new(arch, divider), UART_TOP)
}

fn design(mut top: impl Block, name: &str) -> Result<Design, GenerateError> {
    let ports = ports(&top);
    let netlist = write(&mut top, name)?;
    Ok(Design { top: name.into(), modules: netlist.modules, ports })
}

/// Reads the ports off the block: rust-hdl's structs are the one place that names them.
struct Ports {
    depth: usize,
    found: Vec<Port>,
}

impl Probe for Ports {
    fn visit_start_scope(&mut self, _: &str, _: &dyn Block) {
        self.depth += 1;
    }
    fn visit_end_scope(&mut self, _: &str, _: &dyn Block) {
        self.depth -= 1;
    }
    fn visit_start_namespace(&mut self, _: &str, _: &dyn Block) {}
    fn visit_end_namespace(&mut self, _: &str, _: &dyn Block) {}
    fn visit_atom(&mut self, name: &str, atom: &dyn Atom) {
        if self.depth == 1 && atom.kind().is_parameter() {
            self.found.push(Port { name: name.into(), width: atom.bits(), input: atom.kind() == AtomKind::InputParameter });
        }
    }
}

/// The ports of a block that is to be a top.
pub fn ports(top: &dyn Block) -> Vec<Port> {
    let mut probe = Ports { depth: 0, found: vec![] };
    top.accept("top", &mut probe);
    probe.found
}
