//! A visit of the host between two runs: every register and memory is read and written, everything that must be refused is
//! tried, and afterwards the weights are loaded again. The run behind it must be as without.

use super::bus;
use super::chance::{of_place, VISIT};
use super::engine::{Finding, Kind};
use super::session::protocol;
use lacuna_compress::spec::image::Words;
use lacuna_compress::spec::layout::sections;
use lacuna_compress::spec::registers::{self as map, control, errors, registers, status, Access};
use lacuna_compress::spec::{Arch, MemoryKind};
use lacuna_sim::dut::{AxiWrite, Response, StreamBeat};
use lacuna_sim::host::{error_names, Host, Transport};
use lacuna_sim::host_stream::StreamCounters;
use lacuna_sim::recurrent::RecurrentSimulator;
use lacuna_sim::simulate::Axi;
use rand::RngExt;

/// Steps that no output buffer holds.
const STEPS: usize = 5;
/// Cycles from the last event of a wait to the wait itself, and of a wait, so that a counter shows bits that it has in no run.
const SETTLED: u64 = 500;
const WAITED: u64 = 1 << 13;
/// Cycles that a beat is offered to an accelerator that must not take it.
const CLOSED: u64 = 64;
/// Cycles after which a check is over.
const CHECKED: u64 = 1 << 22;

type Judged<T = ()> = Result<T, Finding>;

struct Visit<'a> {
    host: &'a mut Host<Axi>,
    arch: Arch,
}

/// Registers and memories. Leaves an accelerator without valid weights.
pub fn host(host: &mut Host<Axi>, seed: u64) -> Judged {
    let arch = host.arch().clone();
    let mut visit = Visit { host, arch };
    visit.registers()?;
    visit.range()?;
    visit.memories(seed)?;
    visit.checks()?;
    visit.host.forget();
    Ok(())
}

/// Turns the interrupt on, so that the next end of a run raises it.
pub fn interrupt(host: &mut Host<Axi>) -> Judged {
    host.bus.write(&[(map::IRQ_PENDING, 1), (map::IRQ_ENABLE, 1)]).map_err(protocol)
}

impl Visit<'_> {
    fn read(&mut self, address: u32, expected: Response) -> Judged<u32> {
        let (data, found) = self.host.bus.0.axi_read(address).map_err(protocol)?;
        same(&format!("a read of {address:#x}"), found, expected)?;
        Ok(data)
    }

    fn write(&mut self, address: u32, data: u32, expected: Response) -> Judged {
        let found = self.host.bus.0.axi_write(address, data).map_err(protocol)?;
        same(&format!("a write of {data:#x} to {address:#x}"), found, expected)
    }

    fn reads_as(&mut self, address: u32, expected: u32) -> Judged {
        let found = self.read(address, Response::Okay)?;
        same(&format!("register {address:#x}"), found, expected)
    }

    fn registers(&mut self) -> Judged {
        let arch = self.arch.clone();
        let mut last = 0;
        for register in registers(&arch) {
            last = register.address;
            let before = self.read(register.address, Response::Okay)?;
            if register.access == Access::ReadOnly {
                self.write(register.address, !before, Response::SlvErr)?;
                self.reads_as(register.address, before)?;
            }
        }
        for address in [last + 4, 0x400, 0xffffc] {
            self.read(address, Response::SlvErr)?;
            self.write(address, !0, Response::SlvErr)?;
        }
        let channels = (1u32 << arch.channels()) - 1;
        let mut written = vec![
            (map::SCRATCH, !0),
            (map::SECTION_WORDS, !0),
            (map::SECTION_CRC, !0),
            (map::MEM_SELECT, 0x7ff),
            (map::MEM_PAGE, 0xff),
            (map::IRQ_ENABLE, 1),
        ];
        written.extend(arch.ese.is_some().then_some((map::CHANNEL_MASK, channels)));
        for (address, bits) in written {
            for pattern in [!0, 0x5555_5555, 0xaaaa_aaaa, 0] {
                self.write(address, pattern & bits, Response::Okay)?;
                self.reads_as(address, pattern & bits)?;
            }
        }
        if arch.ese.is_some() {
            self.write(map::CHANNEL_MASK, channels, Response::Okay)?;
        }
        self.write(map::SCRATCH, 0x1122_3344, Response::Okay)?;
        for (address, data, strobes) in [(map::SCRATCH, 0xaabb_ccdd, 0b0101), (map::CONTROL, control::START, 0b1110)] {
            let refused = self.host.bus.0.axi_write_burst(&[AxiWrite { address, data, strobes }]).map_err(protocol)?;
            same(&format!("a write of some bytes to {address:#x}"), refused, None)?;
        }
        self.reads_as(map::SCRATCH, 0x11bb_33dd)?;
        self.write(map::SCRATCH, 0, Response::Okay)?;
        bus::said(self.host, "writes of registers", 0)
    }

    /// Beyond the last memory of a kind, and in a page that none has.
    fn range(&mut self) -> Judged {
        let select = MemoryKind::Spmat.code() << 8;
        for (select, page) in [(select | self.arch.pes as u32, 0), (select, 0xff)] {
            self.write(map::MEM_SELECT, select, Response::Okay)?;
            self.write(map::MEM_PAGE, page, Response::Okay)?;
            self.write(map::WINDOW, !0, Response::SlvErr)?;
            self.read(map::WINDOW, Response::SlvErr)?;
            bus::said(self.host, "accesses of a memory that is not there", errors::RANGE)?;
        }
        self.write(map::MEM_PAGE, 0, Response::Okay)?;
        self.host.forget();
        Ok(())
    }

    /// First and last word of the first and the last memory of each kind, any bits and then the others.
    fn memories(&mut self, seed: u64) -> Judged {
        let arch = self.arch.clone();
        for (number, kind) in MemoryKind::ALL.into_iter().enumerate() {
            let (width, depth, last) = (kind.width(&arch), kind.depth(&arch), kind.count(&arch).saturating_sub(1));
            for (pe, index) in [(0, 0), (last, depth.saturating_sub(1))] {
                let mut words = Words::zeroed(width, depth.min(1));
                for invert in [0, !0u32] {
                    for lane in 0..width.div_ceil(32) * words.len() {
                        let any: u32 = of_place(seed, VISIT + number as u32, index, lane).random();
                        let rest = width - lane * 32;
                        words.set_lane(0, lane, (any ^ invert) & if rest < 32 { (1 << rest) - 1 } else { !0 });
                    }
                    self.host.write_memory_at(kind, pe, index, &words).map_err(protocol)?;
                    if words.len() == 1 {
                        // one lane once more, so that what lanes do to each other is not undone by their order
                        let mut rng = of_place(seed, VISIT + number as u32, index, width.div_ceil(32));
                        let lane = rng.random_range(0..words.word(0).len());
                        let address = self.host.window(kind, pe, index, lane).map_err(protocol)?;
                        self.host.bus.write(&[(address, words.word(0)[lane])]).map_err(protocol)?;
                    }
                    let found = self.host.read_memory_at(kind, pe, index, words.len()).map_err(protocol)?;
                    same(&format!("word {index} of {} of PE {pe}", kind.name()), found, words.clone())?;
                }
            }
        }
        Ok(())
    }

    /// Commands and accesses during a check.
    fn checks(&mut self) -> Judged {
        bus::said(self.host, "accesses of memories", 0)?;
        self.write(map::CONTROL, control::RESTART_CHECK, Response::Okay)?;
        let valid = self.read(map::STATUS, Response::Okay)? & status::WEIGHTS_VALID;
        same("valid weights after a new check began", valid, 0)?;
        // a long section, so that all of these meet it; whether they do depends on its length
        let longest = sections(&self.arch).first().map_or(1, |section| section.kind().depth(&self.arch));
        self.write(map::SECTION_WORDS, longest as u32, Response::Okay)?;
        let commands = [control::CHECK, control::START, control::CHECK].map(|command| (map::CONTROL, command));
        let meanwhile = [(map::WINDOW, 0), (map::SECTION_CRC, 0), (map::CONTROL, control::RESTART_CHECK), (map::CONTROL, control::ABORT)];
        for (address, data) in commands.into_iter().chain(meanwhile) {
            self.host.bus.0.axi_write(address, data).map_err(protocol)?;
        }
        self.idle()?;
        let found = self.host.take_errors().map_err(protocol)?;
        let possible = errors::BUSY_ACCESS | errors::COMMAND_BUSY | errors::CRC | errors::START_UNCHECKED;
        same("errors that cannot be, during a check", error_names(found & !possible), error_names(0))?;
        self.write(map::CONTROL, control::RESTART_CHECK, Response::Okay)
    }

    fn idle(&mut self) -> Judged {
        // an abort clears states for a while (ESE)
        self.host.bus.poll(map::STATUS, status::CHECKING | status::BUSY, 0, CHECKED, "the end of a check").map_err(protocol)
    }
}

/// Vectors that end short or long or are for no channel, abort, and cleared states (ESE). States are zero afterwards.
pub fn streams(s: &mut RecurrentSimulator, limit: u64) -> Judged {
    let (inputs, channels) = (s.golden().inputs(), s.host.arch().channels());
    let beats = |channel: usize, count: usize| RecurrentSimulator::beats(channel, &vec![-1; count], true);
    let short = if inputs > 1 { errors::VECTOR_SHORT } else { 0 };
    let mut given: Vec<(Vec<StreamBeat>, u32, u32)> =
        vec![(beats(0, 1), short, 1), (beats(channels - 1, inputs + 2), errors::VECTOR_LONG, 1 << (channels - 1))];
    given.extend((channels < 32).then(|| (beats(channels, 2), errors::CHANNEL, 0)));
    let mut bad = 0;
    for (beats, expected, channel) in given {
        s.host.bus.0.stream_send(&beats).map_err(protocol)?;
        s.host.bus.0.stream_run(0, 0, limit).map_err(protocol)?;
        s.host.bus.0.step(4).map_err(protocol)?;
        let found = s.host.take_errors().map_err(protocol)?;
        same("error bits after a bad vector", error_names(found), error_names(expected))?;
        bad |= if expected == 0 { 0 } else { channel };
    }
    same("channels of bad vectors", s.host.take_bad_vectors().map_err(protocol)?, bad)?;
    if short != 0 {
        bad_steps(s, limit)?;
    } else {
        // of one value, the first vector is a good one, which a step would take
        s.host.abort(limit).map_err(protocol)?;
    }
    // no vectors: every cycle is one that waits for them
    s.host.start().map_err(protocol)?;
    counted(s, |c| c.stall_input, "wait for a vector")?;
    s.host.abort(limit).map_err(protocol)?;
    // nobody takes outputs, until steps wait for room
    s.host.bus.0.stream_hold(false, true).map_err(protocol)?;
    for channel in (0..STEPS).flat_map(|_| 0..channels) {
        s.host.bus.0.stream_send(&beats(channel, inputs)).map_err(protocol)?;
    }
    s.host.start().map_err(protocol)?;
    s.host.bus.0.step(limit).map_err(protocol)?;
    counted(s, |c| c.stall_output, "wait for room")?;
    s.host.bus.0.stream_hold(false, false).map_err(protocol)?;
    s.host.abort(limit).map_err(protocol)?;
    // a vector that an abort cuts in two
    let mut cut = beats(0, inputs);
    let rest = cut.split_off(inputs / 2);
    s.host.bus.0.stream_clear().map_err(protocol)?;
    s.host.bus.0.stream_send(&cut).map_err(protocol)?;
    s.host.bus.0.stream_run(0, 0, limit).map_err(protocol)?;
    s.host.abort(limit).map_err(protocol)?;
    s.host.bus.0.stream_send(&rest).map_err(protocol)?;
    s.host.bus.0.stream_run(0, 0, limit).map_err(protocol)?;
    s.host.clear_state((1 << channels) - 1).map_err(protocol)?;
    s.host.wait_idle(limit).map_err(protocol)?;
    s.reset().map_err(protocol)
}

/// Without valid weights no beat is taken. A reset is behind it.
pub fn closed(s: &mut RecurrentSimulator) -> Judged {
    let beats = RecurrentSimulator::beats(0, &vec![1; s.golden().inputs()], true);
    s.host.bus.0.stream_send(&beats).map_err(protocol)?;
    s.host.bus.0.step(CLOSED).map_err(protocol)?;
    let waiting = s.host.bus.0.stream_counts().map_err(protocol)?.0;
    same("beats that wait for valid weights", waiting, beats.len() as u64)?;
    s.reset().map_err(protocol)
}

/// Steps with the bad vectors that the first and the last channel hold: no output, no state of them. Then one with a good one.
fn bad_steps(s: &mut RecurrentSimulator, limit: u64) -> Judged {
    let (golden, channels) = (s.golden().clone(), s.host.arch().channels());
    let mask = 1 | 1 << (channels - 1);
    s.host.set_mask(mask).map_err(protocol)?;
    s.host.start().map_err(protocol)?;
    s.host.wait_steps(if channels > 1 { 1 } else { 2 }, limit).map_err(protocol)?;
    s.host.stop_and_wait(limit).map_err(protocol)?;
    s.host.bus.0.step(limit).map_err(protocol)?;
    same("output beats of steps with bad vectors", s.host.bus.0.stream_fetch().map_err(protocol)?.1.len(), 0)?;
    let values = vec![-1; golden.inputs()];
    let expected = golden.step(&mut golden.state(), &values).map_err(protocol)?.output;
    s.host.set_mask(1).map_err(protocol)?;
    s.host.bus.0.stream_send(&RecurrentSimulator::beats(0, &values, false)).map_err(protocol)?;
    s.host.start().map_err(protocol)?;
    s.host.bus.0.stream_run(expected.len() as u64, 0, limit).map_err(protocol)?;
    s.host.stop_and_wait(limit).map_err(protocol)?;
    let found: Vec<i16> = s.host.bus.0.stream_fetch().map_err(protocol)?.1.iter().map(|beat| beat.data as u16 as i16).collect();
    same("the step behind one with a bad vector", found, expected)?;
    s.host.set_mask((1 << channels) - 1).map_err(protocol)?;
    s.host.abort(limit).map_err(protocol)
}

/// From here on every cycle counts as one of these.
fn counted(s: &mut RecurrentSimulator, of: fn(&StreamCounters) -> u64, what: &str) -> Judged {
    let mut look = |cycles: u64| -> Judged<(u64, StreamCounters)> {
        s.host.bus.0.step(cycles).map_err(protocol)?;
        Ok((s.host.bus.0.cycles(), s.host.stream_counters().map_err(protocol)?))
    };
    // what is under way ends first
    let [before, after] = [look(SETTLED)?, look(WAITED)?];
    let elapsed = after.0 - before.0;
    same(&format!("cycles that count while all {what}"), after.1.cycles.wrapping_sub(before.1.cycles), elapsed)?;
    same(&format!("cycles that count as those in which all {what}"), of(&after.1).wrapping_sub(of(&before.1)), elapsed)
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Judged {
    if found == expected {
        return Ok(());
    }
    Err(Finding::new(Kind::Protocol, format!("visit of the host: {what}: expected {expected:?}, got {found:?}")))
}
