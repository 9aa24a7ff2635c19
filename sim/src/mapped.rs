//! Registers in the address space: a file of the operating system that maps them, `/dev/mem`, UIO, or a PCIe BAR.

use crate::host::{HostError, Result, Transport};
use lacuna_compress::spec::registers::WIRE;
use memmap2::{MmapOptions, MmapRaw};
use std::fs::OpenOptions;
use std::path::Path;
use std::sync::atomic::{fence, Ordering};

/// The registers and the window, mapped.
pub struct Mapped {
    map: MmapRaw,
}

impl Mapped {
    /// The registers begin `offset` bytes into the file.
    pub fn open(path: &Path, offset: u64) -> Result<Mapped> {
        if !offset.is_multiple_of(4) {
            let text = format!("{}: found an offset of {offset:#x}, expected a multiple of 4: registers are words", path.display());
            return Err(HostError::Transport(text));
        }
        let failed = |what: &str, e: std::io::Error| HostError::Transport(format!("{}: {what}: {e}", path.display()));
        let file =
            OpenOptions::new().read(true).write(true).open(path).map_err(|e| failed("cannot be opened for reading and writing", e))?;
        // of a plain file there must be all of it: what lies behind its end ends the program
        let length = file.metadata().map_err(|e| failed("cannot be looked at", e))?;
        if length.is_file() && length.len() < offset.saturating_add(u64::from(WIRE)) {
            let text = format!("{}: {} bytes, expected at least {WIRE} from {offset:#x} on", path.display(), length.len());
            return Err(HostError::Transport(text));
        }
        let map = MmapOptions::new().offset(offset).len(WIRE as usize).map_raw(&file);
        Ok(Mapped { map: map.map_err(|e| failed(&format!("{WIRE} bytes from {offset:#x} on cannot be mapped"), e))? })
    }

    fn register(&self, address: u32) -> Result<*mut u32> {
        if address >= WIRE || !address.is_multiple_of(4) {
            return Err(HostError::Transport(format!("address {address:#x} is not mapped, expected a word below {WIRE:#x}")));
        }
        Ok(self.map.as_mut_ptr().wrapping_add(address as usize).cast())
    }
}

impl Transport for Mapped {
    fn write(&mut self, words: &[(u32, u32)]) -> Result<()> {
        for (address, data) in words {
            let register = self.register(*address)?;
            // SAFETY: the address is aligned and within the map, which lives as long as `self`
            unsafe { register.write_volatile(data.to_le()) }
        }
        fence(Ordering::SeqCst);
        Ok(())
    }

    fn read(&mut self, addresses: &[u32]) -> Result<Vec<u32>> {
        let one = |address: &u32| {
            let register = self.register(*address)?;
            // SAFETY: as above
            Ok(u32::from_le(unsafe { register.read_volatile() }))
        };
        addresses.iter().map(one).collect()
    }

    fn streams(&self) -> bool {
        false
    }

    fn least_looks(&self) -> u64 {
        1_000_000
    }
}
