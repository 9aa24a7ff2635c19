//! The flags that say how an accelerator is reached, and the way to it.

use crate::term;
use anyhow::{Context, Result};
use lacuna_compress::spec::{Arch, MemoryImage};
use lacuna_sim::host::{Host, HostError, Transport};
use lacuna_sim::mapped::Mapped;
use lacuna_sim::session::{self, Loaded};
use lacuna_sim::wire::serial::Serial;
use lacuna_sim::wire::{Patience, Wire};
use std::path::Path;
use std::time::Duration;

#[derive(clap::Args)]
pub struct PortArgs {
    /// The accelerator: a serial port (/dev/ttyUSB0), or FILE@OFFSET for registers that the file maps (/dev/mem@0x43c00000,
    /// /dev/uio0@0)
    #[arg(long, value_name = "DEV")]
    port: String,
    /// Speed of the serial port; that of the board
    #[arg(long, value_name = "B", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    baud: u32,
    /// Seconds that a broken line is waited for
    #[arg(long, value_name = "S", default_value_t = 10)]
    reconnect: u32,
}

/// Any way to an accelerator.
pub enum AnyPort {
    Line(Wire<Serial>),
    Mapped(Mapped),
}

impl AnyPort {
    fn way(&self) -> &dyn Transport {
        match self {
            AnyPort::Line(wire) => wire,
            AnyPort::Mapped(mapped) => mapped,
        }
    }

    fn way_mut(&mut self) -> &mut dyn Transport {
        match self {
            AnyPort::Line(wire) => wire,
            AnyPort::Mapped(mapped) => mapped,
        }
    }
}

impl Transport for AnyPort {
    fn write(&mut self, words: &[(u32, u32)]) -> Result<(), HostError> {
        self.way_mut().write(words)
    }
    fn read(&mut self, addresses: &[u32]) -> Result<Vec<u32>, HostError> {
        self.way_mut().read(addresses)
    }
    fn renew(&mut self) -> Result<bool, HostError> {
        self.way_mut().renew()
    }
    fn streams(&self) -> bool {
        self.way().streams()
    }
    fn least_looks(&self) -> u64 {
        self.way().least_looks()
    }
}

impl PortArgs {
    /// As it is to be written in a message.
    pub fn name(&self) -> &str {
        &self.port
    }

    /// Opens it, and asks whether an accelerator of this architecture answers.
    pub fn open(&self, arch: &Arch) -> Result<Host<AnyPort>> {
        // a device may have the sign in its name
        let mapped = self.port.rsplit_once('@').filter(|_| !Path::new(&self.port).exists());
        let port = match mapped {
            Some((file, offset)) => {
                let digits = offset.strip_prefix("0x").map_or((offset, 10), |hex| (hex, 16));
                let offset = u64::from_str_radix(digits.0, digits.1)
                    .with_context(|| format!("--port {}: found the offset {offset}, expected a number", self.port))?;
                AnyPort::Mapped(Mapped::open(Path::new(file), offset)?)
            }
            None => {
                let serial = Serial::open(Path::new(&self.port), self.baud)?;
                let patience = Patience { reconnect: Duration::from_secs(self.reconnect.into()), ..Patience::default() };
                // the number of this process is hardly that of the last one
                AnyPort::Line(Wire::connect(serial, patience, (std::process::id() & 0xffff) as u16)?)
            }
        };
        let mut host = Host::new(port, arch);
        host.identify().with_context(|| self.port.clone())?;
        Ok(host)
    }
}

/// [`session::load`] with a progress bar.
pub fn load(host: &mut Host<AnyPort>, image: &MemoryImage) -> Result<Loaded> {
    let bar = term::progress("sections", 0);
    let loaded = session::load(host, image, |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    Ok(loaded)
}
