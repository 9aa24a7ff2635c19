//! The host's side of the register map: identify, load, check, run, read back.
//!
//! One driver for every way to an accelerator: a [`Transport`] moves 32-bit words, [`Host`] knows the map
//! (`compress::spec::registers`). The order is that of a loader that cannot load the wrong weights: identity,
//! architecture hash, write, the hardware's own check of every section, start.

use crate::session::WrongSection;
use lacuna_compress::spec::layout::{place, sections};
use lacuna_compress::spec::registers::{self as map, control, errors, status};
use lacuna_compress::spec::{Arch, LayerRecord, MemoryImage, MemoryKind, Section, Words};

/// What can go wrong between host and accelerator.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("transport: {0}")]
    Transport(String),
    #[error("the accelerator refused a {what} at {address:#08x} (bus response {response}); its error bits say: {errors}")]
    Refused { what: &'static str, address: u32, response: String, errors: String },
    #[error("{line}: no answer that makes sense, {attempts} times; is the board configured, and is the speed that of its UART?")]
    Silent { line: String, attempts: usize },
    #[error("{line}: the line broke ({cause}) and did not come back within {seconds} s")]
    Broken { line: String, seconds: u64, cause: String },
    #[error("{line}: the accelerator was restarted, or another program spoke to it")]
    Restarted { line: String },
    #[error("the accelerator was made for architecture {found:016x}, the container for {expected:016x}: load a container that was compiled for this board, or build the board for the container")]
    Architecture { found: u64, expected: u64 },
    #[error("{what} reads {found:#x}, expected {expected:#x}")]
    Identity { what: &'static str, found: u64, expected: u64 },
    #[error("{section}: CRC-32 of what the hardware reads back is {found:08x}, that of the image {expected:08x}")]
    SectionCrc { section: Section, found: u32, expected: u32 },
    #[error("the accelerator holds no checked weights: load the container first (`lacuna load`)")]
    NotLoaded,
    #[error("the accelerator holds another model than this container (image {expected:08x}, loaded: {found}): load this container first (`lacuna load`), or run the one that is loaded")]
    OtherModel { expected: u32, found: String },
    #[error("every section was checked, but the weights are not valid: status {status:#x}, errors: {errors}")]
    NotValid { status: u32, errors: String },
    #[error("{what} did not end within {limit} cycles")]
    Timeout { what: &'static str, limit: u64 },
    #[error("the input has {found} activations, the first layer {expected} columns")]
    Input { found: usize, expected: usize },
    #[error("at {address:#08x}: got {found:#x}, expected {expected:#x}")]
    Unexpected { address: u32, found: u32, expected: u32 },
}

pub type Result<T> = std::result::Result<T, HostError>;

/// Moves 32-bit words between host and accelerator, in order. A refused access is an error.
pub trait Transport {
    /// Writes `(address, data)` one after the other.
    fn write(&mut self, words: &[(u32, u32)]) -> Result<()>;
    /// Reads one word after the other.
    fn read(&mut self, addresses: &[u32]) -> Result<Vec<u32>>;
    /// Reads `address` until `data & mask == value`, for at most `limit` cycles. Where cycles cannot be counted these are
    /// looks, each of which takes at least a cycle.
    fn poll(&mut self, address: u32, mask: u32, value: u32, limit: u64, what: &'static str) -> Result<()> {
        for _ in 0..limit.max(self.least_looks()) {
            if self.read(&[address])?.first().is_some_and(|found| found & mask == value) {
                return Ok(());
            }
        }
        Err(HostError::Timeout { what, limit })
    }
    /// Whether the registers of the serial line's bridge that reach the streams are there.
    fn streams(&self) -> bool {
        true
    }
    /// Looks of [`Transport::poll`] at least.
    fn least_looks(&self) -> u64 {
        1000
    }
    /// Begins anew after [`HostError::Restarted`]. False if this way to an accelerator knows no such thing.
    fn renew(&mut self) -> Result<bool> {
        Ok(false)
    }
    /// Reads words and compares. A recorder overrides this: it knows no data, only what they must be.
    fn expect(&mut self, words: &[(u32, u32)]) -> Result<()> {
        let addresses: Vec<u32> = words.iter().map(|w| w.0).collect();
        for ((address, expected), found) in words.iter().zip(self.read(&addresses)?) {
            if found != *expected {
                return Err(HostError::Unexpected { address: *address, found, expected: *expected });
            }
        }
        Ok(())
    }
}

/// The counters of the last start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub cycles: u64,
    pub stall_queue: u64,
    pub stall_scan: u64,
    pub stall_drain: u64,
}

impl From<&crate::perf::Timing> for Counters {
    fn from(t: &crate::perf::Timing) -> Counters {
        Counters { cycles: t.cycles, stall_queue: t.stall_queue, stall_scan: t.stall_scan, stall_drain: t.stall_drain }
    }
}

/// The names of the error bits that are set.
pub fn error_names(bits: u32) -> String {
    let names: Vec<&str> = errors::NAMES.iter().filter(|n| bits & n.0 != 0).map(|n| n.1).collect();
    if names.is_empty() {
        "none".into()
    } else {
        names.join("; ")
    }
}

/// An accelerator of a known architecture behind a transport.
pub struct Host<T> {
    pub bus: T,
    arch: Arch,
    /// Memory, PE and page that the window shows, as far as this driver has set them.
    selected: Option<(u32, u32)>,
}

/// Words that go over the bus in one burst at most.
const BURST: usize = 4096;

impl<T: Transport> Host<T> {
    pub fn new(bus: T, arch: &Arch) -> Host<T> {
        Host { bus, arch: arch.clone(), selected: None }
    }

    pub fn arch(&self) -> &Arch {
        &self.arch
    }

    /// Forgets what the window shows: after a reset, or when somebody else used the bus.
    pub fn forget(&mut self) {
        self.selected = None;
    }

    /// Is this an accelerator of this architecture and format?
    pub fn identify(&mut self) -> Result<()> {
        let read = self.bus.read(&[map::ID, map::VERSION, map::ARCH_HASH_LOW, map::ARCH_HASH_HIGH, map::PES])?;
        let version = lacuna_compress::spec::arch::FORMAT_VERSION;
        let hash = u64::from(read[3]) << 32 | u64::from(read[2]);
        let checks = [
            ("ID", u64::from(read[0]), u64::from(map::ID_VALUE)),
            ("VERSION", u64::from(read[1]), u64::from(version)),
            ("PES", u64::from(read[4]), self.arch.pes as u64),
        ];
        match checks.into_iter().find(|c| c.1 != c.2) {
            // the PEs are part of the architecture, which says more
            None | Some(("PES", ..)) if hash != self.arch.hash() => {
                Err(HostError::Architecture { found: hash, expected: self.arch.hash() })
            }
            Some((what, found, expected)) => Err(HostError::Identity { what, found, expected }),
            None => Ok(()),
        }
    }

    /// Waits until nothing is under way, as after a reset.
    pub fn wait_idle(&mut self, limit: u64) -> Result<()> {
        self.bus.poll(map::STATUS, status::BUSY, 0, limit, "the accelerator's work")
    }

    /// The window's address of lane `lane` of a word, after showing the page that it is on.
    pub fn window(&mut self, kind: MemoryKind, pe: usize, index: usize, lane: usize) -> Result<u32> {
        let lane_address = (index * kind.window_lanes(&self.arch) + lane) as u64;
        let byte = lane_address * 4;
        let page = (byte / u64::from(map::WINDOW_BYTES)) as u32;
        let select = kind.code() << 8 | pe as u32;
        if self.selected != Some((select, page)) {
            self.bus.write(&[(map::MEM_SELECT, select), (map::MEM_PAGE, page)])?;
            self.selected = Some((select, page));
        }
        Ok(map::WINDOW + (byte % u64::from(map::WINDOW_BYTES)) as u32)
    }

    /// Every lane of a memory's words, page by page, as window addresses; `each` gets the page's lanes
    /// as (word, lane, address).
    fn lanes(
        &mut self,
        kind: MemoryKind,
        pe: usize,
        words: std::ops::Range<usize>,
        mut each: impl FnMut(&mut T, &[(usize, usize, u32)]) -> Result<()>,
    ) -> Result<()> {
        let real = kind.width(&self.arch).div_ceil(32);
        let mut batch = Vec::with_capacity(BURST);
        let mut shown = None;
        for index in words {
            for lane in 0..real {
                let page = (index * kind.window_lanes(&self.arch) + lane) * 4 / map::WINDOW_BYTES as usize;
                if batch.len() == BURST || shown.is_some_and(|s| s != page) {
                    each(&mut self.bus, &batch)?;
                    batch.clear();
                }
                shown = Some(page);
                let address = self.window(kind, pe, index, lane)?;
                batch.push((index, lane, address));
            }
        }
        each(&mut self.bus, &batch)
    }

    /// Writes the first words of a memory.
    pub fn write_memory(&mut self, kind: MemoryKind, pe: usize, words: &Words) -> Result<()> {
        self.write_memory_at(kind, pe, 0, words)
    }

    /// Writes words of a memory from word `first` on.
    pub fn write_memory_at(&mut self, kind: MemoryKind, pe: usize, first: usize, words: &Words) -> Result<()> {
        self.lanes(kind, pe, first..first + words.len(), |bus, lanes| {
            let data: Vec<(u32, u32)> = lanes.iter().map(|(index, lane, address)| (*address, words.word(*index - first)[*lane])).collect();
            bus.write(&data)
        })
    }

    /// Reads the first `count` words of a memory.
    pub fn read_memory(&mut self, kind: MemoryKind, pe: usize, count: usize) -> Result<Words> {
        self.read_memory_at(kind, pe, 0, count)
    }

    /// Reads `count` words of a memory from word `first` on.
    pub fn read_memory_at(&mut self, kind: MemoryKind, pe: usize, first: usize, count: usize) -> Result<Words> {
        let mut words = Words::zeroed(kind.width(&self.arch), count);
        self.lanes(kind, pe, first..first + count, |bus, lanes| {
            let addresses: Vec<u32> = lanes.iter().map(|l| l.2).collect();
            for ((index, lane, _), data) in lanes.iter().zip(bus.read(&addresses)?) {
                words.set_lane(*index - first, *lane, data);
            }
            Ok(())
        })?;
        Ok(words)
    }

    /// Writes every section of an image; they count only after [`Host::check`].
    pub fn write_image(&mut self, image: &MemoryImage, mut progress: impl FnMut(usize, usize)) -> Result<()> {
        let all = sections(&self.arch);
        for (done, section) in all.iter().enumerate() {
            progress(done, all.len());
            if let Some(words) = image.sections.get(section) {
                self.write_memory(section.kind(), section.pe(), words)?;
            }
        }
        Ok(())
    }

    /// As [`Host::check`]; gives the first section that is not the image's.
    pub fn first_wrong(&mut self, image: &MemoryImage) -> Result<Option<WrongSection>> {
        match self.check(image) {
            Ok(()) => Ok(None),
            Err(HostError::SectionCrc { section, found, expected }) => Ok(Some(WrongSection { section, found, expected })),
            Err(other) => Err(other),
        }
    }

    /// Has the hardware read every section back and compare its CRC; at the end the weights are valid.
    pub fn check(&mut self, image: &MemoryImage) -> Result<()> {
        self.bus.write(&[(map::CONTROL, control::RESTART_CHECK)])?;
        for section in sections(&self.arch) {
            self.check_section(section, &image.sections[&section])?;
        }
        self.bus.poll(map::STATUS, status::WEIGHTS_VALID, status::WEIGHTS_VALID, 100, "the check of the weights")
    }

    fn check_section(&mut self, section: Section, words: &Words) -> Result<()> {
        let expected = words.crc32();
        let commands = [(map::SECTION_WORDS, words.len() as u32), (map::SECTION_CRC, expected), (map::CONTROL, control::CHECK)];
        self.bus.write(&commands)?;
        let limit = 1000 + words.lanes().len() as u64 * 4;
        self.bus.poll(map::STATUS, status::CHECKING, 0, limit, "the check of a section")?;
        match self.bus.expect(&[(map::COMPUTED_CRC, expected)]) {
            Err(HostError::Unexpected { found, .. }) => Err(HostError::SectionCrc { section, found, expected }),
            other => other,
        }
    }

    /// Writes an input, by position; what is left of the last row of activations is written as zero.
    pub fn write_input(&mut self, input: &[i16]) -> Result<()> {
        let pes = self.arch.pes;
        let rows = input.len().div_ceil(pes);
        for pe in 0..pes {
            let mut words = Words::zeroed(MemoryKind::ActA.width(&self.arch), rows);
            for (local, act) in input.iter().skip(pe).step_by(pes).enumerate() {
                words.set(local, u64::from(*act as u16));
            }
            self.write_memory(MemoryKind::source_of(0), pe, &words)?;
        }
        Ok(())
    }

    /// Starts the network; the accelerator is at work when this returns.
    pub fn start(&mut self) -> Result<()> {
        self.bus.write(&[(map::CONTROL, control::START)])
    }

    /// Waits for the end of a start.
    pub fn wait_done(&mut self, limit: u64) -> Result<()> {
        self.bus.poll(map::STATUS, status::DONE | status::BUSY, status::DONE, limit, "the network")
    }

    pub fn counters(&mut self) -> Result<Counters> {
        let read = self.bus.read(&[map::CYCLES, map::STALL_QUEUE, map::STALL_SCAN, map::STALL_DRAIN])?;
        let at = |i: usize| u64::from(read[i]);
        Ok(Counters { cycles: at(0), stall_queue: at(1), stall_scan: at(2), stall_drain: at(3) })
    }

    /// The results of a network whose last layer is number `last` and has `rows` positions per PE.
    pub fn read_output(&mut self, last: usize, rows: usize) -> Result<Vec<i16>> {
        let pes = self.arch.pes;
        let mut out = vec![0; rows * pes];
        for pe in 0..pes {
            let words = self.read_memory(MemoryKind::source_of(last + 1), pe, rows)?;
            for local in 0..rows {
                out[local * pes + pe] = words.get(local) as u16 as i16;
            }
        }
        Ok(out)
    }

    /// As [`Host::read_output`], but every word must be the expected one.
    pub fn expect_output(&mut self, last: usize, expected: &[i16]) -> Result<()> {
        let pes = self.arch.pes;
        let kind = MemoryKind::source_of(last + 1);
        for pe in 0..pes {
            let mut words = vec![];
            for q in (pe..expected.len()).step_by(pes) {
                let address = self.window(kind, pe, place(q, pes).1, 0)?;
                words.push((address, u32::from(expected[q] as u16)));
            }
            self.bus.expect(&words)?;
        }
        Ok(())
    }

    /// Reads and clears the error bits.
    pub fn take_errors(&mut self) -> Result<u32> {
        let bits = self.bus.read(&[map::ERRORS])?[0];
        self.bus.write(&[(map::ERRORS, bits)])?;
        Ok(bits)
    }
}

/// The records of an image's layers.
pub fn layer_records(image: &MemoryImage) -> Vec<LayerRecord> {
    image.sections.get(&Section::Layers).map(LayerRecord::read_all).unwrap_or_default()
}
