//! The host port: AXI4-Lite, the register file, and the way to every memory.

mod axi_lite;
mod memory_port;
mod port;
mod registers;

pub use axi_lite::AxiLite;
pub use memory_port::MemoryPort;
pub use port::HostPort;
pub use registers::Registers;

use crate::spmv::Widths;
use lacuna_compress::spec::layout::memory_address_bits;
use lacuna_compress::spec::{Arch, MemoryKind};

/// Bits that address any memory, the layer table included.
pub fn bus_address_bits(arch: &Arch) -> usize {
    Widths::of(arch).host_address.max(memory_address_bits(MemoryKind::Layers, arch))
}
