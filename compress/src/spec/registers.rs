//! The register map: one table, read by the hardware's generator, the loader and the docs.
//!
//! Byte addresses of an AXI4-Lite slave with 32-bit data and a 21-bit address. Below
//! [`WINDOW`] are registers, above it a 1 MiB window onto the memory that `MEM_SELECT` names:
//! byte offset `o` of the window is lane `(o / 4) % L` of word `page * 2^20 / (4 L) + o / (4 L)`,
//! where `L` is the memory's lanes per word rounded up to a power of two.

/// A register of the host port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    pub name: &'static str,
    /// Byte address.
    pub address: u32,
    pub access: Access,
    pub doc: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    ReadWrite,
    /// Writing ones acts; reads as zero.
    Command,
    /// Reads as state; writing ones clears.
    ClearOnes,
}

/// Address bits of the host port.
pub const ADDRESS_BITS: usize = 21;
/// First byte of the memory window.
pub const WINDOW: u32 = 1 << 20;
/// Bytes of the memory window.
pub const WINDOW_BYTES: u32 = 1 << 20;
/// First byte of the registers that the serial line's bridge has of its own ([`WIRE_REGISTERS`]).
pub const WIRE: u32 = 1 << ADDRESS_BITS;
/// What `ID` reads: "LACU".
pub const ID_VALUE: u32 = 0x4c41_4355;

macro_rules! registers {
    ($(#[$table_doc:meta])* $table:ident $($konst:ident $address:literal $access:ident $doc:literal)*) => {
        $(#[doc = $doc] pub const $konst: u32 = $address;)*
        $(#[$table_doc])*
        pub const $table: &[Register] = &[
            $(Register { name: stringify!($konst), address: $address, access: Access::$access, doc: $doc },)*
        ];
    };
}

registers! {
    /// Registers of every accelerator, by address.
    REGISTERS
    ID              0x00 ReadOnly   "0x4c414355, \"LACU\""
    VERSION         0x04 ReadOnly   "format version: meaning of image words and registers"
    ARCH_HASH_LOW   0x08 ReadOnly   "architecture hash, bits 31:0"
    ARCH_HASH_HIGH  0x0c ReadOnly   "architecture hash, bits 63:32"
    SCRATCH         0x10 ReadWrite  "the host's: no effect; Lacuna keeps the identity of the loaded image there (0: unknown)"
    CONTROL         0x14 Command    "bit 0 start, bit 1 abort, bit 2 check the next section, bit 3 restart checking; ESE: start lets steps run until bit 4 stop, or bit 1 abort, which drops what is under way and clears every state"
    STATUS          0x18 ReadOnly   "bit 0 busy, bit 1 weights_valid, bit 2 done since the last start, bit 3 an error bit is set, bit 4 computing, bit 5 checking, bit 8 result lies in buffer B; ESE: busy and computing while steps may begin or one is under way, done: a step has ended since the last start"
    ERRORS          0x1c ClearOnes  "bit 0 memory or configuration access while busy, bit 1 start without valid weights, bit 2 start or check while busy, bit 3 section CRC differs, bit 4 section length is zero or beyond the memory, bit 5 access beyond a memory; ESE: bit 6 a vector ended short, bit 7 a vector ended long, bit 8 TDEST names no channel"
    IRQ_ENABLE      0x20 ReadWrite  "bit 0: interrupt output follows IRQ_PENDING"
    IRQ_PENDING     0x24 ClearOnes  "bit 0: a start has ended; ESE: a step has ended"
    MEM_SELECT      0x28 ReadWrite  "memory behind the window: bits 10:8 memory, bits 7:0 PE (ESE: channel, for its vectors and cells)"
    MEM_PAGE        0x2c ReadWrite  "bits 7:0: MiB of the memory that the window shows"
    SECTION_WORDS   0x30 ReadWrite  "words of the section to be checked next"
    SECTION_CRC     0x34 ReadWrite  "CRC-32 that it must have"
    SECTION_NEXT    0x38 ReadOnly   "section to be checked next: bits 10:8 memory, bits 7:0 PE; bit 31: all are checked"
    COMPUTED_CRC    0x3c ReadOnly   "CRC-32 of the last section that was checked"
    CYCLES          0x40 ReadOnly   "cycles of the last start, from its acceptance to the last readable result; ESE: cycles in which steps could begin or one was under way, since everything was last cleared"
    STALL_QUEUE     0x44 ReadOnly   "of these, cycles in which a broadcast waited for a full queue"
    STALL_SCAN      0x48 ReadOnly   "of these, cycles before the end of a scan in which there was nothing to broadcast"
    STALL_DRAIN     0x4c ReadOnly   "of these, cycles after a layer's last broadcast"
    PES             0x50 ReadOnly   "number of PEs"
}

registers! {
    /// Registers that only an accelerator of the ESE kind has, by address; they follow [`REGISTERS`].
    STREAM_REGISTERS
    CHANNELS        0x54 ReadOnly   "number of channels"
    CHANNEL_MASK    0x58 ReadWrite  "bit c: a step waits for a vector of channel c and runs it; all ones after reset; a channel taken out before a step begins sits it out"
    CLEAR_STATE     0x5c Command    "bit c: h and c of channel c become zero: with its next step, or at once if nothing is under way, which is then busy"
    STEPS           0x60 ReadOnly   "time steps done since everything was last cleared"
    STALL_INPUT     0x64 ReadOnly   "of the CYCLES those in which a step could begin but a channel of the mask had no vector"
    STALL_DATA      0x68 ReadOnly   "of these, cycles in which a broadcast waited for results of the element-wise part"
    STALL_OUTPUT    0x6c ReadOnly   "of these, cycles in which results waited for room in the output buffer"
    BAD_VECTORS     0x70 ClearOnes  "bit c: a vector of channel c ended short or long"
}

registers! {
    /// The streams of an accelerator of the ESE kind behind the serial line's bridge. STREAM_IN and STREAM_OUT are windows
    /// of 1,024 words: a write to any word of the first sends a beat, word n of the second is the n-th beat that waits.
    WIRE_REGISTERS
    STREAM_WAITING  0x200000 ReadOnly   "beats of the output stream that wait to be read"
    STREAM_DROP     0x200004 Command    "bits 9:0: so many of them are done with"
    STREAM_IN       0x201000 Command    "a beat for the input stream: bits 15:0 TDATA, bit 16 TUSER, bit 17 TLAST, bits 22:18 TDEST; refused if it is not taken within 65,536 cycles"
    STREAM_OUT      0x202000 ReadOnly   "a beat of the output stream: bits 15:0 TDATA, bit 17 TLAST, bits 22:18 TDEST"
}

/// Every register of an accelerator, by address.
pub fn registers(arch: &super::Arch) -> impl Iterator<Item = &'static Register> {
    let streams = if arch.ese.is_some() { STREAM_REGISTERS } else { &[] };
    REGISTERS.iter().chain(streams)
}

/// Bits of `CONTROL`.
pub mod control {
    pub const START: u32 = 1;
    pub const ABORT: u32 = 1 << 1;
    pub const CHECK: u32 = 1 << 2;
    pub const RESTART_CHECK: u32 = 1 << 3;
    /// ESE: no further step begins; START goes on.
    pub const STOP: u32 = 1 << 4;
}

/// Bits of `STATUS`.
pub mod status {
    pub const BUSY: u32 = 1;
    pub const WEIGHTS_VALID: u32 = 1 << 1;
    pub const DONE: u32 = 1 << 2;
    pub const ERROR: u32 = 1 << 3;
    pub const COMPUTING: u32 = 1 << 4;
    pub const CHECKING: u32 = 1 << 5;
    pub const RESULT_IN_B: u32 = 1 << 8;
}

/// Bits of `ERRORS`.
pub mod errors {
    pub const BUSY_ACCESS: u32 = 1;
    pub const START_UNCHECKED: u32 = 1 << 1;
    pub const COMMAND_BUSY: u32 = 1 << 2;
    pub const CRC: u32 = 1 << 3;
    pub const SECTION_LENGTH: u32 = 1 << 4;
    pub const RANGE: u32 = 1 << 5;
    /// ESE.
    pub const VECTOR_SHORT: u32 = 1 << 6;
    /// ESE.
    pub const VECTOR_LONG: u32 = 1 << 7;
    /// ESE.
    pub const CHANNEL: u32 = 1 << 8;
    /// Bit and meaning, for messages.
    pub const NAMES: [(u32, &str); 9] = [
        (BUSY_ACCESS, "memory or configuration access while busy"),
        (START_UNCHECKED, "start without valid weights"),
        (COMMAND_BUSY, "start or check while busy"),
        (CRC, "section CRC differs"),
        (SECTION_LENGTH, "section length is zero or beyond the memory"),
        (RANGE, "access beyond a memory"),
        (VECTOR_SHORT, "a vector ended short"),
        (VECTOR_LONG, "a vector ended long"),
        (CHANNEL, "TDEST names no channel"),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_distinct_words_below_the_window() {
        let all: Vec<&Register> = REGISTERS.iter().chain(STREAM_REGISTERS).collect();
        for (i, r) in all.iter().enumerate() {
            assert!(r.address % 4 == 0 && r.address < WINDOW, "{}", r.name);
            assert!(all[i + 1..].iter().all(|o| o.address > r.address), "{}", r.name);
        }
    }
}
