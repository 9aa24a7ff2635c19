//! The part of [`Dut`] that is plain Rust: what the bus carries, checks of arguments, errors from statuses.

use super::{Axi, Dut, Stream, DONE, PROTOCOL, STREAM_FAULT, TIMEOUT};
use crate::coverage::{Coverage, Kind};
use crate::verilate::{Error, Result};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// `BRESP` or `RRESP` of a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Response {
    #[default]
    Okay,
    /// Not allowed in AXI4-Lite, but two bits can say it.
    ExOkay,
    SlvErr,
    DecErr,
}

impl Response {
    pub(super) fn of(bits: u8) -> Self {
        match bits {
            0 => Self::Okay,
            1 => Self::ExOkay,
            2 => Self::SlvErr,
            _ => Self::DecErr,
        }
    }
}

/// One write of a burst. `strobes` has a bit per byte lane, 0 to 15.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AxiWrite {
    pub address: u32,
    pub data: u32,
    pub strobes: u32,
}

impl AxiWrite {
    /// Writes all four bytes.
    pub fn word(address: u32, data: u32) -> Self {
        Self { address, data, strobes: 15 }
    }
}

/// The first transaction of a burst that was answered with something else than OKAY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    pub index: usize,
    pub response: Response,
}

impl Dut {
    /// Holds the input `reset` high for some cycles. Other inputs stay as they are.
    pub fn reset(&mut self, cycles: u64) -> Result<()> {
        self.set("reset", 1)?;
        self.step(cycles)?;
        self.set("reset", 0)
    }

    /// Begins to count here what is reached, behind the reset: what registers do on their way out of random bits says nothing.
    /// Blocks without a condition, of which some are evaluated at time 0 only, stay.
    pub fn coverage_from_here(&mut self) -> Result<()> {
        if let Some(before) = self.coverage()? {
            self.ahead.0.extend(before.0.into_iter().filter(|(point, _)| point.kind == Kind::Line && point.what == "block"));
        }
        Ok(())
    }

    /// What was reached since the last call, or the start; None if the model was not built to count it.
    pub fn coverage(&mut self) -> Result<Option<Coverage>> {
        let unwritten = |path: &Path, source| Error::Io { path: path.to_path_buf(), source };
        let file = tempfile::NamedTempFile::new().map_err(|e| unwritten(&std::env::temp_dir(), e))?;
        let path = file.path();
        let text = CString::new(path.as_os_str().as_bytes()).map_err(|e| unwritten(path, e.into()))?;
        if !self.write_coverage(&text)? {
            return Ok(None);
        }
        let found = std::fs::read(path).map_err(|e| unwritten(path, e))?;
        let wrong = |message| Error::Load { path: path.to_path_buf(), message };
        let mut coverage = Coverage::parse(&String::from_utf8_lossy(&found)).map_err(wrong)?;
        coverage.add(&std::mem::take(&mut self.ahead));
        Ok(Some(coverage))
    }

    /// One write of all four bytes.
    pub fn axi_write(&mut self, address: u32, data: u32) -> Result<Response> {
        let refused = self.axi_write_burst(&[AxiWrite::word(address, data)])?;
        Ok(refused.map_or(Response::Okay, |r| r.response))
    }

    /// One read.
    pub fn axi_read(&mut self, address: u32) -> Result<(u32, Response)> {
        Ok(self.axi_read_burst(&[address])?[0])
    }

    pub(super) fn find(&self, name: &str, input: bool) -> Result<(u32, u32)> {
        match self.ports.iter().zip(0..).find(|(port, _)| port.name == name) {
            None => Err(self.port_error(name, "no such port in the list this model was built with".into())),
            Some((port, _)) if input && !port.input => Err(self.port_error(name, "is an output".into())),
            Some((port, number)) => Ok((number, port.width)),
        }
    }

    pub(super) fn lanes(&self, port: &str, width: u32) -> Result<usize> {
        if width <= 64 {
            return Err(self.port_error(port, format!("is {width} bits wide; lanes are for more than 64")));
        }
        Ok(width.div_ceil(32) as usize)
    }

    pub(super) fn streams(&self) -> Result<&Stream> {
        self.stream
            .as_ref()
            .ok_or_else(|| Error::Design { top: self.top.clone(), problem: "this model was built without `streams`".into() })
    }

    pub(super) fn bus(&self) -> Result<&Axi> {
        self.axi.as_ref().ok_or_else(|| Error::Design { top: self.top.clone(), problem: "this model was built without `axi_lite`".into() })
    }

    /// An address that the port cannot carry would silently reach another register.
    pub(super) fn address(&self, address: u32, signal: &str) -> Result<()> {
        let name = format!("{}{signal}", self.bus()?.prefix);
        let (_, width) = self.find(&name, true)?;
        if width < 32 && address >> width != 0 {
            return Err(self.port_error(&name, format!("address {address:#x} does not fit its {width} bits")));
        }
        Ok(())
    }

    pub(super) fn check(&self, status: i32) -> Result<()> {
        match status {
            DONE => Ok(()),
            STREAM_FAULT => Err(Error::Stream { top: self.top.clone(), cycle: self.cycles(), rule: self.message() }),
            _ => Err(self.model_error(self.message())),
        }
    }

    pub(super) fn bus_check(&self, status: i32, address: u32) -> Result<()> {
        match status {
            TIMEOUT => Err(self.timeout(format!("progress at address {address:#x} ({})", self.message()), self.limit)),
            PROTOCOL => Err(Error::Protocol { top: self.top.clone(), cycle: self.cycles(), address, rule: self.message() }),
            other => self.check(other),
        }
    }

    pub(super) fn model_error(&self, message: String) -> Error {
        Error::Model { top: self.top.clone(), cycle: self.cycles(), message }
    }

    pub(super) fn timeout(&self, what: String, limit: u64) -> Error {
        Error::Timeout { top: self.top.clone(), cycle: self.cycles(), what, limit }
    }

    pub(super) fn port_error(&self, port: &str, problem: String) -> Error {
        Error::Port { top: self.top.clone(), port: port.to_string(), problem }
    }

    pub(super) fn bus_error(&self, problem: String) -> Error {
        let port = self.axi.as_ref().map_or("AXI4-Lite".to_string(), |axi| format!("{}*", axi.prefix));
        self.port_error(&port, problem)
    }
}

pub(super) fn first_refused(responses: &[u8]) -> Option<Refused> {
    let index = responses.iter().position(|&r| r != 0)?;
    Some(Refused { index, response: Response::of(responses[index]) })
}

/// splitmix64: neighbouring seeds give unrelated values.
pub(super) fn scramble(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The runtime takes 31 bits, of which 0 means "from the time of day".
pub(super) fn runtime_seed(seed: u64) -> i32 {
    i32::try_from(scramble(seed) >> 33).map_or(1, |s| s.max(1))
}
