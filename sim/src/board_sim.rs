//! The accelerator with its serial line under Verilator, seen from the line: bits go in at `uart_rx`, bits come out of
//! `uart_tx`. [`SimulatedLine`] is a [`Line`] of this process; [`serve`] puts it behind a pseudo-terminal, where it is
//! a serial port like any other.
//!
//! Contract: bit-accurate. The line's bits are `divider` cycles long, as the UART's are, so a byte costs `10 divider`
//! cycles. Time, where it matters, is the model's: a cycle counts as a microsecond.

use crate::dut::Dut;
use crate::simulate::{Options, Result};
use crate::verilate::{self, Build};
use crate::wire::Line;
use lacuna_hdl::Design;
use serialport::{SerialPort, TTYPort};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::time::Duration;

/// Cycles that the model runs between two looks at a silent line.
const IDLE_CYCLES: u64 = 2000;

/// The model of a design with a serial line, compiled or from the cache.
pub fn library(design: &Design, options: &Options) -> Result<verilate::Library> {
    let build = Build { trace: options.trace.is_some(), optimize: options.optimize, ..Build::of_design(design) };
    Ok(build.library(&options.cache)?)
}

/// The host's end of the line of a running model.
pub struct SimulatedLine {
    dut: Dut,
    divider: u64,
    /// Bytes that wait to be sent, and the bits of the one under way, the next one lowest.
    queue: VecDeque<u8>,
    sending: u16,
    left: u8,
    /// Bits of the byte that comes in; -1 is silence.
    bit: i8,
    shift: u8,
    received: Vec<u8>,
}

impl SimulatedLine {
    /// `divider` is that of the design.
    pub fn new(library: &verilate::Library, divider: usize, options: &Options) -> Result<SimulatedLine> {
        let mut dut = Dut::new(library, options.seed)?;
        if let Some(path) = &options.trace {
            dut.trace_to(path)?;
        }
        dut.set("uart_rx", 1)?;
        dut.reset(20)?;
        let (queue, received) = Default::default();
        Ok(SimulatedLine { dut, divider: divider as u64, queue, sending: 0, left: 0, bit: -1, shift: 0, received })
    }

    /// Cycles since the start.
    pub fn cycles(&self) -> u64 {
        self.dut.cycles()
    }

    /// Nothing is on the line in either direction.
    fn silent(&self) -> bool {
        self.queue.is_empty() && self.left == 0 && self.bit < 0
    }

    /// The time of one bit.
    fn step(&mut self) -> Result<()> {
        if self.left == 0 {
            if let Some(byte) = self.queue.pop_front() {
                // start bit, eight bits, stop bit
                self.sending = u16::from(byte) << 1 | 1 << 9;
                self.left = 10;
            }
        }
        let level = self.left == 0 || self.sending & 1 == 1;
        self.sending >>= 1;
        self.left = self.left.saturating_sub(1);
        self.dut.set("uart_rx", level.into())?;
        self.dut.step(self.divider)?;
        // every bit of a byte is looked at once, at the same place
        let high = self.dut.get("uart_tx")? == 1;
        match self.bit {
            -1 if high => {}
            8 => {
                if high {
                    self.received.push(self.shift);
                }
                self.bit = -1;
            }
            bit => {
                self.shift = self.shift >> 1 | if high { 0x80 } else { 0 };
                self.bit = bit + 1;
            }
        }
        Ok(())
    }

    /// Lets a silent line be until the accelerator speaks, at most so many cycles.
    fn idle(&mut self, cycles: u64) -> Result<()> {
        match self.dut.wait("uart_tx", 1, 0, cycles) {
            // this is the beginning of a start bit; the next look is at the first bit behind it
            Ok(_) => self.bit = 0,
            Err(verilate::Error::Timeout { .. }) => {}
            Err(other) => return Err(other.into()),
        }
        Ok(())
    }

    /// Resets the accelerator: the memories stay, the conversation does not.
    pub fn restart(&mut self) -> Result<()> {
        self.queue.clear();
        (self.left, self.bit) = (0, -1);
        self.received.clear();
        self.dut.set("uart_rx", 1)?;
        Ok(self.dut.reset(20)?)
    }
}

impl Line for SimulatedLine {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.queue.extend(bytes);
        Ok(())
    }

    fn receive(&mut self, into: &mut Vec<u8>, patience: Duration) -> io::Result<()> {
        let last = self.cycles() + u64::try_from(patience.as_micros()).unwrap_or(u64::MAX / 2);
        while self.received.is_empty() && self.cycles() < last {
            let silent = self.silent();
            let stepped = if silent { self.idle(last - self.cycles()) } else { self.step() };
            stepped.map_err(io::Error::other)?;
        }
        into.append(&mut self.received);
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn pause(&mut self, _: Duration) {}

    fn duration(&self, bytes: usize) -> Duration {
        Duration::from_micros(bytes as u64 * 10 * self.divider)
    }

    fn name(&self) -> String {
        "the simulated board".into()
    }
}

/// Carries bytes between a model and a terminal until `stop` says so.
pub fn serve(line: &mut SimulatedLine, port: &mut TTYPort, stop: impl Fn() -> bool) -> Result<()> {
    let failed = |e: io::Error| crate::simulate::SimulateError::Io("the pseudo-terminal".into(), e);
    port.set_timeout(Duration::from_millis(1)).map_err(|e| failed(e.into()))?;
    let mut buffer = [0; 4096];
    while !stop() {
        // a silent line is looked at a thousand times a second, a busy one between any two bytes
        let look = line.silent() || port.bytes_to_read().is_ok_and(|n| n > 0);
        if look {
            match port.read(&mut buffer) {
                Ok(n) => line.queue.extend(&buffer[..n]),
                Err(e) if e.kind() == io::ErrorKind::TimedOut => {}
                Err(e) => return Err(failed(e)),
            }
        }
        if line.silent() {
            line.idle(IDLE_CYCLES)?;
        } else {
            (0..10).try_for_each(|_| line.step())?;
        }
        if !line.received.is_empty() {
            port.write_all(&line.received).map_err(failed)?;
            line.received.clear();
        }
    }
    Ok(())
}
