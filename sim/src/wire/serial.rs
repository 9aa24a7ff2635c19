//! A serial port of the operating system.

use super::Line;
use crate::host::HostError;
use serialport::{ErrorKind, SerialPort, TTYPort};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

/// Bits of a byte on the line: start, eight, stop.
const BITS: u32 = 10;

/// An open port, for this process alone.
pub struct Serial {
    path: String,
    baud: u32,
    port: Option<TTYPort>,
}

impl Serial {
    pub fn open(path: &Path, baud: u32) -> Result<Serial, HostError> {
        let Some(path) = path.to_str() else { return Err(HostError::Transport(format!("{}: not a name", path.display()))) };
        let serial = |port| Serial { path: path.into(), baud, port: Some(port) };
        attempt(path, baud).map(serial).map_err(|e| explained(path, &e))
    }
}

fn attempt(path: &str, baud: u32) -> serialport::Result<TTYPort> {
    serialport::new(path, baud).timeout(Duration::from_millis(1)).open_native()
}

/// Each cause has its sentence.
fn explained(path: &str, error: &serialport::Error) -> HostError {
    let exists = Path::new(path).exists();
    HostError::Transport(match error.kind {
        _ if !exists => format!("{path}: there is no such device; is the board connected, and is this its port?"),
        ErrorKind::Io(io::ErrorKind::PermissionDenied) => {
            format!("{path}: no permission; the group `dialout` may usually open serial ports")
        }
        ErrorKind::NoDevice | ErrorKind::Io(io::ErrorKind::WouldBlock | io::ErrorKind::ResourceBusy) => {
            format!("{path}: the port is busy: another program has it open")
        }
        _ => format!("{path}: {error}; expected a serial port"),
    })
}

fn gone() -> io::Error {
    io::Error::from(io::ErrorKind::NotConnected)
}

impl Line for Serial {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let time = self.duration(bytes.len()) * 4 + Duration::from_secs(2);
        let port = self.port.as_mut().ok_or_else(gone)?;
        port.set_timeout(time)?;
        port.write_all(bytes)
    }

    fn receive(&mut self, into: &mut Vec<u8>, patience: Duration) -> io::Result<()> {
        let port = self.port.as_mut().ok_or_else(gone)?;
        port.set_timeout(patience)?;
        let mut buffer = [0; 4096];
        match port.read(&mut buffer) {
            // an open line always has a byte or nothing at all
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                into.extend(&buffer[..n]);
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::TimedOut => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.port = None;
        self.port = Some(attempt(&self.path, self.baud)?);
        Ok(())
    }

    fn pause(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn duration(&self, bytes: usize) -> Duration {
        Duration::from_secs(1) * BITS * u32::try_from(bytes).unwrap_or(u32::MAX / BITS) / self.baud.max(1)
    }

    fn name(&self) -> String {
        self.path.clone()
    }
}
