//! The sparse matrix x vector engine: queue, pointer read, entry read and arithmetic of a PE, the
//! tree that finds non-zero activations, and the array of PEs.
//!
//! What belongs here works for any datapath that multiplies a compressed matrix with a vector. What
//! runs layers or time steps does not.

mod act_rw;
mod arithm;
mod decode;
mod gather;
mod lnzd;
mod pe;
mod pe_array;
mod pooling;
mod ptr_address;
mod ptr_read;
mod spmat_read;

pub use decode::Decode;
pub(crate) use gather::levels;
pub use pe::Pe;
pub use pe_array::PeArray;
pub use ptr_address::PtrAddress;
pub use ptr_read::PtrRead;
pub use spmat_read::SpmatRead;

use lacuna_compress::spec::arch::{address_bits, Arch, ACT_BITS};
use lacuna_compress::spec::layout::memory_address_bits;
use lacuna_compress::spec::MemoryKind;

/// Bits of a PE number, whatever the number of PEs is: the modules of a small and of a large array are the same.
pub const PE_BITS: usize = 8;
/// Bits of a count of PEs.
pub const PE_COUNT_BITS: usize = 9;
/// Bits of a row number of a PE, in the layer table and in counters.
pub const ROW_BITS: usize = 16;

/// The widths of an architecture that several blocks share.
#[derive(Clone, Copy, Debug)]
pub struct Widths {
    /// Number of a pointer (bank bit included).
    pub column: usize,
    /// Address of a bank of pointers.
    pub bank: usize,
    /// A pointer.
    pub pointer: usize,
    /// The turns of a column or token: a column has no more entries in a PE than the PE has rows.
    pub turns: usize,
    /// Address of an activation of a PE.
    pub act: usize,
    /// What a PE hears with a column: an activation, or with the token of a place what the place is.
    pub value: usize,
    /// Address of an accumulator.
    pub acc: usize,
    /// Address of a bias.
    pub bias: usize,
    /// Number of a layer.
    pub layer: usize,
    /// Any address of a memory of a PE; of an accelerator of the ESE kind, of any memory.
    pub host_address: usize,
    /// Any word of a memory of a PE; of an accelerator of the ESE kind, of any memory.
    pub host_data: usize,
    /// The number of a 32-bit lane of any word that the host reads.
    pub host_lane: usize,
}

impl Widths {
    pub fn of(arch: &Arch) -> Widths {
        // the EIE keeps its layer table beside the array; the ESE's blocks each answer for memories on one bus
        let on_bus = |k: &MemoryKind| *k != MemoryKind::Layers || arch.ese.is_some();
        let kinds = || MemoryKind::ALL.into_iter().filter(|k| on_bus(k) && k.depth(arch) > 0);
        let address = |kind| memory_address_bits(kind, arch);
        let act = address(MemoryKind::ActA);
        Widths {
            column: address(MemoryKind::PtrEven) + 1,
            bank: address(MemoryKind::PtrEven),
            pointer: arch.ptr_bits(),
            // the ESE's gates are four rows of each cell
            turns: address_bits(arch.acc_depth * if arch.ese.is_some() { 4 } else { 1 } + 1),
            act,
            // a row of the destination, first of its window, last of the layer
            value: if arch.conv { ACT_BITS.max(act + 2) } else { ACT_BITS },
            acc: address_bits(arch.acc_depth),
            bias: address(MemoryKind::Bias),
            layer: address_bits(arch.max_layers),
            host_address: kinds().map(address).max().unwrap_or(1),
            host_data: kinds().map(|k| k.width(arch)).max().unwrap_or(1),
            host_lane: address_bits(host_lanes(arch)),
        }
    }
}

/// 32-bit lanes of the widest memory's window word.
pub fn host_lanes(arch: &Arch) -> usize {
    MemoryKind::ALL.into_iter().filter(|k| k.depth(arch) > 0).map(|k| k.window_lanes(arch)).max().unwrap_or(1)
}
