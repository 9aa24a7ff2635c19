//! A self-checking bench in plain Verilog, for simulators and flows that know nothing of Lacuna.
//!
//! The driver that loads and runs a model under Verilator runs here against a recorder: the bench plays the same bus
//! commands and compares results and cycle counters with those of the golden model and of the cycle model.

use crate::golden::{Golden, GoldenError};
use crate::host::{layer_records, Counters, Host, HostError, Result, Transport};
use crate::perf;
use lacuna_compress::manifest::Model;
use lacuna_compress::spec::registers as map;

/// The bench, with `@COUNT@` and `@PRELOAD@` to be filled in.
const TEMPLATE: &str = include_str!("testbench.v");

#[derive(Debug, thiserror::Error)]
pub enum TestbenchError {
    #[error("golden model: {0}")]
    Golden(#[from] GoldenError),
    #[error(transparent)]
    Host(#[from] HostError),
}

/// The two files of a bench, for the folder of the design's Verilog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Testbench {
    /// `testbench.v`
    pub verilog: String,
    /// `commands.mem`
    pub commands: String,
}

/// Records what a driver does.
#[derive(Default)]
struct Recorder {
    lines: Vec<String>,
}

impl Recorder {
    fn push(&mut self, kind: u8, address: u32, data: u32, mask: u32) {
        self.lines.push(format!("{kind:x}{address:08x}{data:08x}{mask:08x}"));
    }
}

impl Transport for Recorder {
    fn write(&mut self, words: &[(u32, u32)]) -> Result<()> {
        words.iter().for_each(|(address, data)| self.push(1, *address, *data, 0));
        Ok(())
    }
    fn read(&mut self, _: &[u32]) -> Result<Vec<u32>> {
        Err(HostError::Transport("a recorded bench can only compare what it reads".into()))
    }
    fn poll(&mut self, address: u32, mask: u32, value: u32, _: u64, _: &'static str) -> Result<()> {
        self.push(3, address, value, mask);
        Ok(())
    }
    fn expect(&mut self, words: &[(u32, u32)]) -> Result<()> {
        words.iter().for_each(|(address, data)| self.push(2, *address, *data, 0));
        Ok(())
    }
}

/// A bench that runs `inputs` (by position) on a model. With `preload` the memories are filled from the image's
/// `.mem` files, else over the bus, with the hardware's check of every section.
pub fn testbench(model: &Model, inputs: &[Vec<i16>], preload: bool) -> std::result::Result<Testbench, TestbenchError> {
    let golden = Golden::new(&model.image)?;
    let network = perf::Network::new(&golden);
    let records = layer_records(&model.image);
    let arch = model.arch();
    let mut host = Host::new(Recorder::default(), arch);
    host.wait_idle(0)?;
    let hash = arch.hash();
    host.bus.expect(&[(map::ID, map::ID_VALUE), (map::ARCH_HASH_LOW, hash as u32), (map::ARCH_HASH_HIGH, (hash >> 32) as u32)])?;
    if !preload {
        host.write_image(&model.image, |_, _| {})?;
        host.check(&model.image)?;
    }
    for input in inputs {
        let trace = golden.trace(input)?;
        let counters = Counters::from(&network.time(&trace).total);
        host.write_input(input)?;
        host.start()?;
        host.wait_done(0)?;
        host.expect_output(records.len() - 1, trace.output())?;
        host.bus.expect(&[
            (map::CYCLES, counters.cycles as u32),
            (map::STALL_QUEUE, counters.stall_queue as u32),
            (map::STALL_SCAN, counters.stall_scan as u32),
            (map::STALL_DRAIN, counters.stall_drain as u32),
            (map::ERRORS, 0),
        ])?;
    }
    let mut lines = host.bus.lines;
    lines.push("0".repeat(25));
    let verilog = TEMPLATE.replace("@COUNT@", &lines.len().to_string()).replace("@PRELOAD@", if preload { "1" } else { "0" });
    Ok(Testbench { verilog, commands: lines.join("\n") + "\n" })
}
