//! A running model: ports, clock, waveforms, and an AXI4-Lite master. All `unsafe` code of the crate is in this file.
//!
//! Contract: every input starts at 0 and every register, memory and X constant at bits drawn from the seed, so equal
//! seeds give equal runs of one library (another `Optimize` or `trace` draws the bits in another order). Inputs set
//! between steps are seen by the next rising edge; outputs read after a step are what the registers hold since the last
//! edge, with combinational paths from the inputs as they are now. The clock, and while a burst runs the bus, belong to
//! the shim. `$fatal`, `$stop`, `$finish`, a failed assertion or an unreadable memory image is an error, after which
//! this model answers every call with that error.
//!
//! Several models of one or more libraries may live in one process. A [`Dut`] is `Send` (no state of it is tied to a
//! thread between calls) and not `Sync`. Not guaranteed: `verilated`'s own setters act on a default context that no
//! `Dut` uses, and must not run while another thread steps a model.

use std::ffi::{c_char, CStr, CString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use libloading::os::unix;

use crate::coverage::Coverage;
use crate::verilate::{Error, Library, Port, Result};

mod plain;

use plain::{first_refused, runtime_seed, scramble};
pub use plain::{AxiWrite, Refused, Response};

/// Most transactions the AXI4-Lite master can have under way in one direction.
pub const MAX_OUTSTANDING: u32 = 16;
/// Highest rate of stalls: above it a burst would look like a hang.
pub const MAX_STALL_PERCENT: u32 = 95;

/// One beat for the design's AXI4-Stream slave.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamBeat {
    pub data: u64,
    pub dest: u32,
    pub user: bool,
    pub last: bool,
}

/// One beat that the design's AXI4-Stream master gave, and the number of the rising edge that took it, from 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamTaken {
    pub data: u64,
    pub cycle: u64,
    pub dest: u32,
    pub last: bool,
}

/// `Dut` of shim.cpp.
#[repr(C)]
struct Model {
    _opaque: [u8; 0],
}

// `Status` of shim.cpp; every other value is a failure.
const DONE: i32 = 0;
const TIMEOUT: i32 = 2;
const PROTOCOL: i32 = 3;
const STREAM_FAULT: i32 = 4;

type Handle = *mut Model;

struct Core {
    delete: unsafe extern "C" fn(Handle),
    error: unsafe extern "C" fn(Handle) -> *const c_char,
    cycles: unsafe extern "C" fn(Handle) -> u64,
    poke: unsafe extern "C" fn(Handle, u32, u64) -> i32,
    peek: unsafe extern "C" fn(Handle, u32, *mut u64) -> i32,
    poke_lanes: unsafe extern "C" fn(Handle, u32, *const u32, u32) -> i32,
    peek_lanes: unsafe extern "C" fn(Handle, u32, *mut u32, u32) -> i32,
    step: unsafe extern "C" fn(Handle, u64) -> i32,
    wait: unsafe extern "C" fn(Handle, u32, u64, u64, u64, *mut u64) -> i32,
}

struct Axi {
    prefix: String,
    stalls: unsafe extern "C" fn(Handle, u64, u32),
    limits: unsafe extern "C" fn(Handle, u64, u32),
    write: unsafe extern "C" fn(Handle, *const AxiWrite, u64, *mut u8, *mut u64) -> i32,
    read: unsafe extern "C" fn(Handle, *const u32, u64, *mut u32, *mut u8, *mut u64) -> i32,
    poll: unsafe extern "C" fn(Handle, u32, u32, u32, u64, *mut u64, *mut u32, *mut u8) -> i32,
}

struct Stream {
    stalls: unsafe extern "C" fn(Handle, u64, u32, u32),
    hold: unsafe extern "C" fn(Handle, bool, bool),
    send: unsafe extern "C" fn(Handle, *const StreamBeat, u64),
    run: unsafe extern "C" fn(Handle, u64, u64, u64, *mut u64) -> i32,
    counts: unsafe extern "C" fn(Handle, *mut u64, *mut u64, *mut u64),
    fetch: unsafe extern "C" fn(Handle, *mut u64, *mut StreamTaken),
    clear: unsafe extern "C" fn(Handle),
}

extern "C" {
    /// Keeps tracer and coverage in the executable (compat/runtime.cpp).
    fn lacuna_runtime_anchor(make: bool);
}

/// A model in some state of its simulation.
pub struct Dut {
    handle: NonNull<Model>,
    core: Core,
    trace: Option<unsafe extern "C" fn(Handle, *const c_char) -> i32>,
    coverage: Option<unsafe extern "C" fn(Handle, *const c_char) -> i32>,
    axi: Option<Axi>,
    stream: Option<Stream>,
    /// What was reached before counting began and would not be again.
    ahead: Coverage,
    limit: u64,
    top: String,
    ports: Vec<Port>,
    // Dropped last: the pointers above lead into it.
    _library: unix::Library,
}

// SAFETY: the shim sets the runtime's thread-local pointers on entry to every function and clears them on exit, models
// are built without threads, and a `Dut` owns its context, its model and its file alone.
unsafe impl Send for Dut {}

impl fmt::Debug for Dut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dut").field("top", &self.top).field("cycles", &self.cycles()).finish_non_exhaustive()
    }
}

impl Drop for Dut {
    fn drop(&mut self) {
        // SAFETY: the handle is live until here and not used again.
        unsafe { (self.core.delete)(self.handle.as_ptr()) }
    }
}

impl Dut {
    /// Loads and starts a model whose Verilog reads no `@images/` file.
    pub fn new(library: &Library, seed: u64) -> Result<Self> {
        Self::start(library, seed, Path::new(""))
    }

    /// Loads and starts a model; `$readmemh` of `@images/NAME` reads `NAME` in the directory `images`.
    pub fn with_images(library: &Library, seed: u64, images: &Path) -> Result<Self> {
        Self::start(library, seed, images)
    }

    fn start(library: &Library, seed: u64, images: &Path) -> Result<Self> {
        let failed = |message: String| Error::Load { path: library.path.clone(), message };
        let images = CString::new(images.as_os_str().as_bytes())
            .map_err(|_| failed(format!("the path of the images {images:?} contains a zero byte")))?;
        // SAFETY: models have no static initialisers besides those of the C++ headers. RTLD_NOW makes a runtime
        // that this executable does not export an error here instead of an abort later.
        let object = unsafe {
            lacuna_runtime_anchor(false);
            unix::Library::open(Some(&library.path), unix::RTLD_NOW | unix::RTLD_LOCAL)
        }
        .map_err(|e| {
            failed(format!("{e} (an undefined symbol means that this executable was linked without -rdynamic, see sim/build.rs)"))
        })?;

        // SAFETY: each type is that of the function in shim.cpp, whose text is part of the library's cache key.
        macro_rules! function {
            ($name:literal) => {
                *unsafe { object.get($name) }.map_err(|e| failed(e.to_string()))?
            };
        }
        let core = Core {
            delete: function!(b"lacuna_delete"),
            error: function!(b"lacuna_error"),
            cycles: function!(b"lacuna_cycles"),
            poke: function!(b"lacuna_poke"),
            peek: function!(b"lacuna_peek"),
            poke_lanes: function!(b"lacuna_poke_lanes"),
            peek_lanes: function!(b"lacuna_peek_lanes"),
            step: function!(b"lacuna_step"),
            wait: function!(b"lacuna_wait"),
        };
        let trace = if library.trace { Some(function!(b"lacuna_trace")) } else { None };
        let coverage = if library.coverage { Some(function!(b"lacuna_coverage")) } else { None };
        let axi = match &library.axi_lite {
            None => None,
            Some(prefix) => Some(Axi {
                prefix: prefix.clone(),
                stalls: function!(b"lacuna_axi_stalls"),
                limits: function!(b"lacuna_axi_limits"),
                write: function!(b"lacuna_axi_write"),
                read: function!(b"lacuna_axi_read"),
                poll: function!(b"lacuna_axi_poll"),
            }),
        };
        let stream = match library.streams {
            false => None,
            true => Some(Stream {
                stalls: function!(b"lacuna_stream_stalls"),
                hold: function!(b"lacuna_stream_hold"),
                send: function!(b"lacuna_stream_send"),
                run: function!(b"lacuna_stream_run"),
                counts: function!(b"lacuna_stream_counts"),
                fetch: function!(b"lacuna_stream_fetch"),
                clear: function!(b"lacuna_stream_clear"),
            }),
        };
        let new: unsafe extern "C" fn(i32, *const c_char) -> Handle = function!(b"lacuna_new");

        let handle = {
            // The runtime's random state is reseeded on every thread whenever any context is seeded: a model
            // constructed meanwhile would take its bits from the wrong place in the sequence.
            static CONSTRUCTING: Mutex<()> = Mutex::new(());
            let _turn = CONSTRUCTING.lock().unwrap_or_else(PoisonError::into_inner);
            // SAFETY: `images` is a string that outlives the call.
            unsafe { new(runtime_seed(seed), images.as_ptr()) }
        };
        let handle = NonNull::new(handle).ok_or_else(|| failed("no model was made".into()))?;
        let dut = Self {
            handle,
            core,
            trace,
            coverage,
            axi,
            stream,
            ahead: Coverage::default(),
            limit: 10_000,
            top: library.top.clone(),
            ports: library.ports.clone(),
            _library: object,
        };
        match dut.message() {
            message if message.is_empty() => Ok(dut),
            message => Err(dut.model_error(message)),
        }
    }

    /// Rising edges so far.
    pub fn cycles(&self) -> u64 {
        // SAFETY: the handle is live.
        unsafe { (self.core.cycles)(self.handle.as_ptr()) }
    }

    /// Sets an input of at most 64 bits.
    pub fn set(&mut self, port: &str, value: u64) -> Result<()> {
        let (number, width) = self.find(port, true)?;
        if width > 64 {
            return Err(self.port_error(port, format!("is {width} bits wide; `set` reaches 64, use `set_wide`")));
        }
        if width < 64 && value >> width != 0 {
            return Err(self.port_error(port, format!("{value:#x} does not fit its {width} bits")));
        }
        // SAFETY: the handle is live and `number` names a narrow input.
        self.check(unsafe { (self.core.poke)(self.handle.as_ptr(), number, value) })
    }

    /// Sets an input of more than 64 bits, least significant lane first.
    pub fn set_wide(&mut self, port: &str, lanes: &[u32]) -> Result<()> {
        let (number, width) = self.find(port, true)?;
        let count = self.lanes(port, width)?;
        if lanes.len() != count {
            return Err(self.port_error(port, format!("takes {count} lanes, found {}", lanes.len())));
        }
        let last = lanes[count - 1];
        if width % 32 != 0 && last >> (width % 32) != 0 {
            return Err(self.port_error(port, format!("lane {} = {last:#x} does not fit its {width} bits", count - 1)));
        }
        // SAFETY: the handle is live, `number` names a wide input of `count` lanes.
        self.check(unsafe { (self.core.poke_lanes)(self.handle.as_ptr(), number, lanes.as_ptr(), count as u32) })
    }

    /// Reads a port of at most 64 bits.
    pub fn get(&mut self, port: &str) -> Result<u64> {
        let (number, width) = self.find(port, false)?;
        if width > 64 {
            return Err(self.port_error(port, format!("is {width} bits wide; `get` reaches 64, use `get_wide`")));
        }
        let mut value = 0;
        // SAFETY: the handle is live and `number` names a narrow port.
        self.check(unsafe { (self.core.peek)(self.handle.as_ptr(), number, &mut value) })?;
        Ok(value)
    }

    /// Reads a port of more than 64 bits, least significant lane first.
    pub fn get_wide(&mut self, port: &str) -> Result<Vec<u32>> {
        let (number, width) = self.find(port, false)?;
        let count = self.lanes(port, width)?;
        let mut lanes = vec![0; count];
        // SAFETY: the handle is live, `number` names a wide port of `count` lanes.
        self.check(unsafe { (self.core.peek_lanes)(self.handle.as_ptr(), number, lanes.as_mut_ptr(), count as u32) })?;
        Ok(lanes)
    }

    /// Clocks the design.
    pub fn step(&mut self, cycles: u64) -> Result<()> {
        // SAFETY: the handle is live.
        self.check(unsafe { (self.core.step)(self.handle.as_ptr(), cycles) })
    }

    /// Steps until `port & mask == value` and gives the number of cycles that took, 0 if it was so already.
    pub fn wait(&mut self, port: &str, mask: u64, value: u64, max_cycles: u64) -> Result<u64> {
        let (number, width) = self.find(port, false)?;
        if width > 64 {
            return Err(self.port_error(port, format!("is {width} bits wide; `wait` reaches 64")));
        }
        let mut taken = 0;
        // SAFETY: the handle is live and `number` names a narrow port.
        let status = unsafe { (self.core.wait)(self.handle.as_ptr(), number, mask, value, max_cycles, &mut taken) };
        if status == TIMEOUT {
            return Err(self.timeout(format!("{port} & {mask:#x} == {value:#x}"), max_cycles));
        }
        self.check(status).map(|()| taken)
    }

    /// Writes a VCD file from now on, in place of one that is open. One cycle is 10 ns.
    pub fn trace_to(&mut self, path: &Path) -> Result<()> {
        let wrong = |message: String| Error::Load { path: path.to_path_buf(), message };
        let trace = self.trace.ok_or_else(|| wrong("this model was built without `trace`".into()))?;
        let text = CString::new(path.as_os_str().as_bytes()).map_err(|_| wrong("a zero byte in the path".into()))?;
        // SAFETY: the handle is live and `text` a string.
        match unsafe { trace(self.handle.as_ptr(), text.as_ptr()) } {
            DONE => Ok(()),
            _ if self.message().is_empty() => Err(wrong("cannot be written".into())),
            status => self.check(status),
        }
    }

    /// Writes what was reached since the last call, in the runtime's words, and begins anew; false if nothing is counted.
    fn write_coverage(&mut self, path: &CStr) -> Result<bool> {
        let Some(write) = self.coverage else { return Ok(false) };
        // SAFETY: the handle is live and `path` a string.
        self.check(unsafe { write(self.handle.as_ptr(), path.as_ptr()) }).map(|()| true)
    }

    /// Completes and closes the VCD file, if one is open. Dropping the `Dut` does so too.
    pub fn trace_end(&mut self) -> Result<()> {
        match self.trace {
            None => Ok(()),
            // SAFETY: the handle is live; the empty path means "close".
            Some(trace) => self.check(unsafe { trace(self.handle.as_ptr(), c"".as_ptr()) }),
        }
    }

    /// Lets the AXI4-Lite master hesitate: each cycle, with this probability, it delays a `valid` it has not raised
    /// yet, or keeps a `ready` low, every channel for itself. Channels that are not valid then carry noise.
    pub fn axi_stalls(&mut self, seed: u64, percent: u32) -> Result<()> {
        if percent > MAX_STALL_PERCENT {
            return Err(self.bus_error(format!("{percent}% stalls asked for, at most {MAX_STALL_PERCENT}% are possible")));
        }
        let stalls = self.bus()?.stalls;
        // SAFETY: the handle is live.
        unsafe { stalls(self.handle.as_ptr(), scramble(seed), percent) };
        Ok(())
    }

    /// Cycles without any handshake after which a burst gives up (10,000 at first), and how many transactions may be
    /// under way in one direction (1 at first).
    pub fn axi_limits(&mut self, cycles: u64, outstanding: u32) -> Result<()> {
        if cycles == 0 || !(1..=MAX_OUTSTANDING).contains(&outstanding) {
            return Err(self.bus_error(format!(
                "limits of {cycles} cycles and {outstanding} transactions; expected at least 1 and 1 to {MAX_OUTSTANDING}"
            )));
        }
        let limits = self.bus()?.limits;
        // SAFETY: the handle is live.
        unsafe { limits(self.handle.as_ptr(), cycles, outstanding) };
        self.limit = cycles;
        Ok(())
    }

    /// Writes in order. No transaction begins after one was refused; the first such is returned. When the slave does
    /// not answer, or breaks a rule of the bus, that is an error, and only a reset brings bus and master together again.
    pub fn axi_write_burst(&mut self, writes: &[AxiWrite]) -> Result<Option<Refused>> {
        let write = self.bus()?.write;
        for w in writes {
            self.address(w.address, "awaddr")?;
            if w.strobes > 15 {
                return Err(self.bus_error(format!("strobes {:#x} at {:#x}, expected 0 to 15", w.strobes, w.address)));
            }
        }
        let mut responses = vec![0; writes.len()];
        let mut finished = 0;
        let count = writes.len() as u64;
        // SAFETY: the handle is live; both arrays have `count` elements.
        let status = unsafe { write(self.handle.as_ptr(), writes.as_ptr(), count, responses.as_mut_ptr(), &mut finished) };
        self.bus_check(status, writes.get(finished as usize).map_or(0, |w| w.address))?;
        Ok(first_refused(&responses))
    }

    /// Reads in order, every address whatever the others gave. Data of refused reads is what the slave drove.
    pub fn axi_read_burst(&mut self, addresses: &[u32]) -> Result<Vec<(u32, Response)>> {
        let read = self.bus()?.read;
        for &address in addresses {
            self.address(address, "araddr")?;
        }
        let mut data = vec![0; addresses.len()];
        let mut responses = vec![0; addresses.len()];
        let mut finished = 0;
        let count = addresses.len() as u64;
        // SAFETY: the handle is live; all three arrays have `count` elements.
        let status =
            unsafe { read(self.handle.as_ptr(), addresses.as_ptr(), count, data.as_mut_ptr(), responses.as_mut_ptr(), &mut finished) };
        self.bus_check(status, addresses.get(finished as usize).copied().unwrap_or(0))?;
        Ok(data.into_iter().zip(responses.into_iter().map(Response::of)).collect())
    }

    /// Reads one address again and again until `data & mask == value`, and gives the number of cycles that took. A
    /// refused read is an error.
    pub fn axi_poll(&mut self, address: u32, mask: u32, value: u32, max_cycles: u64) -> Result<u64> {
        let poll = self.bus()?.poll;
        self.address(address, "araddr")?;
        let (mut taken, mut data, mut response) = (0, 0, 0);
        // SAFETY: the handle is live.
        let status = unsafe { poll(self.handle.as_ptr(), address, mask, value, max_cycles, &mut taken, &mut data, &mut response) };
        if status == TIMEOUT && self.message().is_empty() {
            let what = format!("[{address:#x}] & {mask:#x} == {value:#x} (last read {data:#x})");
            return Err(self.timeout(what, max_cycles));
        }
        self.bus_check(status, address)?;
        match Response::of(response) {
            Response::Okay => Ok(taken),
            other => Err(self.bus_error(format!("polling {address:#x} was answered with {other:?}"))),
        }
    }

    /// Lets the master and the slave of the streams hesitate: each cycle, with these probabilities, the master delays a
    /// `valid` it has not raised yet, the slave keeps `ready` low. A stream that is not valid then carries noise.
    pub fn stream_stalls(&mut self, seed: u64, input: u32, output: u32) -> Result<()> {
        let percent = input.max(output);
        if percent > MAX_STALL_PERCENT {
            return Err(self.bus_error(format!("{percent}% stalls asked for, at most {MAX_STALL_PERCENT}% are possible")));
        }
        let stalls = self.streams()?.stalls;
        // SAFETY: the handle is live.
        unsafe { stalls(self.handle.as_ptr(), scramble(seed), input, output) };
        Ok(())
    }

    /// While `input` is held, no further beat is offered to the design; while `output` is, none is taken from it.
    pub fn stream_hold(&mut self, input: bool, output: bool) -> Result<()> {
        let hold = self.streams()?.hold;
        // SAFETY: the handle is live.
        unsafe { hold(self.handle.as_ptr(), input, output) };
        Ok(())
    }

    /// Queues beats. They are offered in every cycle from now on, whatever the clock runs for: [`Dut::step`],
    /// [`Dut::wait`], AXI4-Lite transactions, [`Dut::stream_run`].
    pub fn stream_send(&mut self, beats: &[StreamBeat]) -> Result<()> {
        let send = self.streams()?.send;
        // SAFETY: the handle is live, `beats` has that many elements.
        unsafe { send(self.handle.as_ptr(), beats.as_ptr(), beats.len() as u64) };
        Ok(())
    }

    /// Steps until `outputs` beats can be fetched and at most `inputs` queued ones are not accepted yet; gives the
    /// number of cycles that took.
    pub fn stream_run(&mut self, outputs: u64, inputs: u64, max_cycles: u64) -> Result<u64> {
        let (run, mut steps) = (self.streams()?.run, 0);
        // SAFETY: the handle is live.
        let status = unsafe { run(self.handle.as_ptr(), outputs, inputs, max_cycles, &mut steps) };
        if status == TIMEOUT {
            let (queued, _, taken) = self.stream_counts()?;
            let wanted = format!("{outputs} output beats (found {taken}) and {inputs} waiting input beats (found {queued})");
            return Err(self.timeout(wanted, max_cycles));
        }
        self.check(status).map(|()| steps)
    }

    /// Beats that wait to be accepted; accepted and received ones that were not fetched yet.
    pub fn stream_counts(&self) -> Result<(u64, u64, u64)> {
        let (counts, mut found) = (self.streams()?.counts, (0, 0, 0));
        // SAFETY: the handle is live.
        unsafe { counts(self.handle.as_ptr(), &mut found.0, &mut found.1, &mut found.2) };
        Ok(found)
    }

    /// Numbers of the rising edges that accepted beats, and the beats that were received, since the last fetch.
    pub fn stream_fetch(&mut self) -> Result<(Vec<u64>, Vec<StreamTaken>)> {
        let fetch = self.streams()?.fetch;
        let (_, accepted, taken) = self.stream_counts()?;
        let (mut cycles, mut beats) = (vec![0; accepted as usize], vec![StreamTaken::default(); taken as usize]);
        // SAFETY: the handle is live, the arrays have as many elements as there are.
        unsafe { fetch(self.handle.as_ptr(), cycles.as_mut_ptr(), beats.as_mut_ptr()) };
        Ok((cycles, beats))
    }

    /// Forgets all beats, and that one was offered or shown. The design must have forgotten too: after a reset.
    pub fn stream_clear(&mut self) -> Result<()> {
        let clear = self.streams()?.clear;
        // SAFETY: the handle is live.
        unsafe { clear(self.handle.as_ptr()) };
        Ok(())
    }

    fn message(&self) -> String {
        // SAFETY: the handle is live, and the string it gives is until the next call.
        unsafe { CStr::from_ptr((self.core.error)(self.handle.as_ptr())) }.to_string_lossy().into_owned()
    }
}
