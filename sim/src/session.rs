//! What a program does with an accelerator that it did not just make: load a model so that it cannot be the wrong one,
//! make sure that it is the right one, and run it. Over any [`Transport`].

use crate::host::{layer_records, Host, HostError, Result, Transport};
use lacuna_compress::spec::layout::sections;
use lacuna_compress::spec::registers::{self as map, status};
use lacuna_compress::spec::{Arch, LayerRecord, MemoryImage, MemoryKind, Section};

/// Times that a section which was written and is not what was written is written again.
const ROUNDS: usize = 3;
/// Times that loading begins anew.
const RESTARTS: usize = 16;

/// What one start did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// By position, those beyond the last row included.
    pub outputs: Vec<i16>,
    pub cycles: u64,
    pub stall_queue: u64,
    pub stall_scan: u64,
    pub stall_drain: u64,
}

/// What loading did, in sections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    pub written: usize,
    /// In the memories already.
    pub kept: usize,
}

/// Makes the accelerator hold this image, checked by itself. Sections that it holds already, up to the first that it does
/// not, are not written again: a load that was cut short goes on where it was. `progress` gets sections done, and all.
///
/// If the accelerator is restarted meanwhile, all of this begins anew, a few times.
pub fn load<T: Transport>(host: &mut Host<T>, image: &MemoryImage, mut progress: impl FnMut(usize, usize)) -> Result<Loaded> {
    let mut restarts = 0;
    loop {
        match load_once(host, image, &mut progress) {
            Err(HostError::Restarted { .. }) if restarts < RESTARTS && host.bus.renew()? => restarts += 1,
            other => return other,
        }
    }
}

fn load_once<T: Transport>(host: &mut Host<T>, image: &MemoryImage, progress: &mut impl FnMut(usize, usize)) -> Result<Loaded> {
    begin(host)?;
    let all = sections(&image.arch);
    let mut loaded = Loaded { written: 0, kept: all.len() };
    let mut round = 0;
    while let Some(wrong) = host.first_wrong(image)? {
        if round == ROUNDS {
            return Err(wrong.into());
        }
        let first = all.iter().position(|s| *s == wrong.section).unwrap_or(0);
        loaded.kept = loaded.kept.min(first);
        for (done, section) in all.iter().enumerate().skip(first) {
            progress(done, all.len());
            if let Some(words) = image.sections.get(section) {
                host.write_memory(section.kind(), section.pe(), words)?;
                loaded.written += 1;
            }
        }
        round += 1;
    }
    progress(all.len(), all.len());
    // what the checks found on the way is mended
    host.take_errors()?;
    host.bus.write(&[(map::SCRATCH, image.identity())])?;
    host.wait_idle(flush_limit(&image.arch))?;
    Ok(loaded)
}

/// Spoils a word of this image, which the accelerator holds: nothing runs until a load, which finds it.
pub fn distrust<T: Transport>(host: &mut Host<T>, image: &MemoryImage) -> Result<()> {
    let first = sections(&image.arch)[0];
    let address = host.window(first.kind(), first.pe(), 0, 0)?;
    host.bus.write(&[(map::SCRATCH, 0), (address, !image.sections[&first].word(0)[0])])?;
    host.bus.poll(map::STATUS, status::WEIGHTS_VALID, 0, 100, "weights that are no longer valid")
}

/// Does the accelerator hold this image? One that says that it holds another one is left as it is. Else it looks itself; if
/// a memory differs, its weights are not valid from then on.
pub fn verify<T: Transport>(host: &mut Host<T>, image: &MemoryImage) -> Result<()> {
    begin(host)?;
    said(host, image.identity())?;
    match host.first_wrong(image)? {
        Some(wrong) => Err(wrong.into()),
        None => host.wait_idle(flush_limit(&image.arch)),
    }
}

/// Refuses an accelerator that does not hold this image, checked. One that says that it holds another one is left as it is.
pub fn require<T: Transport>(host: &mut Host<T>, image: &MemoryImage) -> Result<()> {
    begin(host)?;
    let expected = image.identity();
    if !said(host, expected)? {
        return Err(HostError::NotLoaded);
    }
    match host.first_wrong(image)? {
        Some(wrong) => Err(HostError::OtherModel { expected, found: format!("one whose {} differs", wrong.section) }),
        None => host.wait_idle(flush_limit(&image.arch)),
    }
}

/// Whether it says that its weights are valid; an error if it says that they are those of another image than `expected`.
fn said<T: Transport>(host: &mut Host<T>, expected: u32) -> Result<bool> {
    let read = host.bus.read(&[map::STATUS, map::SCRATCH])?;
    let valid = read[0] & status::WEIGHTS_VALID != 0;
    if valid && read[1] != 0 && read[1] != expected {
        return Err(HostError::OtherModel { expected, found: format!("{:08x}", read[1]) });
    }
    Ok(valid)
}

/// The right accelerator, with nothing under way.
fn begin<T: Transport>(host: &mut Host<T>) -> Result<()> {
    host.forget();
    host.identify()?;
    let limit = flush_limit(host.arch());
    host.abort(limit)?;
    host.take_errors().map(|_| ())
}

/// More cycles than a reset or an abort can take to empty the memories.
pub fn flush_limit(arch: &Arch) -> u64 {
    let states = arch.ese.as_ref().map_or(0, |ese| arch.act_depth + ese.cell_depth);
    (arch.acc_depth + states + 1000) as u64
}

/// More cycles than any start of this image can take.
pub fn cycle_limit(image: &MemoryImage, records: &[LayerRecord]) -> u64 {
    let arch = &image.arch;
    let entries: usize = image.sections.iter().filter(|s| s.0.kind() == MemoryKind::Spmat).map(|s| s.1.len()).sum();
    let places = |r: &LayerRecord| r.walk().places();
    let columns: usize = records.iter().map(|r| places(r) * (r.columns(arch.pes) + r.out_rows + 100)).sum();
    let most = records.iter().map(places).max().unwrap_or(1);
    (most * entries * arch.entries_per_word + 4 * columns + 1000) as u64
}

/// More looks at the output stream than a step of a recurrent network takes that multiplies so many entries: each costs
/// more than a cycle.
pub fn step_limit(entries: usize) -> u64 {
    entries as u64 + 100_000
}

/// Runs one input, given by position, through a network of layers that the accelerator holds.
pub fn run_layers<T: Transport>(host: &mut Host<T>, records: &[LayerRecord], limit: u64, input: &[i16]) -> Result<Run> {
    host.write_input(input)?;
    host.start()?;
    host.wait_done(limit)?;
    let c = host.counters()?;
    let last = records.len().saturating_sub(1);
    let rows = records.last().map_or(0, LayerRecord::destination_rows);
    let outputs = host.read_output(last, rows)?;
    Ok(Run { outputs, cycles: c.cycles, stall_queue: c.stall_queue, stall_scan: c.stall_scan, stall_drain: c.stall_drain })
}

/// The records and the limit that [`run_layers`] needs.
pub fn program(image: &MemoryImage) -> (Vec<LayerRecord>, u64) {
    let records = layer_records(image);
    let limit = cycle_limit(image, &records);
    (records, limit)
}

/// Runs a sequence through a recurrent network on channel 0, from zero state, by the stream registers of the serial
/// line's bridge. Gives one vector of `outputs` values a step.
pub fn run_steps<T: Transport>(host: &mut Host<T>, steps: &[Vec<i16>], outputs: usize, limit: u64) -> Result<Vec<Vec<i16>>> {
    host.set_mask(1)?;
    end_begun_vector(host, steps.first().map_or(0, Vec::len))?;
    forget_vectors(host)?;
    host.start()?;
    let mut all = vec![];
    for (number, values) in steps.iter().enumerate() {
        let last = values.len().saturating_sub(1);
        let beats: Vec<(u32, u32)> = (values.iter().enumerate())
            .map(|(i, v)| {
                let flags = if i == last { LAST } else { 0 } | if number == 0 && i == 0 { USER } else { 0 };
                (map::STREAM_IN + (4 * i as u32) % STREAM_BYTES, u32::from(*v as u16) | flags)
            })
            .collect();
        host.bus.write(&beats)?;
        let mut found = vec![];
        let mut looks = 0;
        while found.len() < outputs {
            let waiting = host.bus.read(&[map::STREAM_WAITING])?[0].min(STREAM_BYTES / 4);
            looks += 1;
            if waiting == 0 {
                if looks > limit.max(1000) {
                    return Err(HostError::Timeout { what: "a step", limit });
                }
                continue;
            }
            let addresses: Vec<u32> = (0..waiting).map(|i| map::STREAM_OUT + 4 * i).collect();
            found.extend(host.bus.read(&addresses)?);
            host.bus.write(&[(map::STREAM_DROP, waiting)])?;
        }
        let framed = found.len() == outputs && found.iter().enumerate().all(|(i, beat)| (beat & LAST != 0) == (i + 1 == outputs));
        if !framed {
            return Err(HostError::Transport(format!("step {number}: {} beats came out, expected one vector of {outputs}", found.len())));
        }
        all.push(found.iter().map(|beat| (beat & 0xffff) as u16 as i16).collect());
    }
    host.stop_and_wait(limit)?;
    Ok(all)
}

/// An accelerator drops the rest of a vector in which an abort came. Ends one that a program which ended early began, so that the
/// next one is not taken for its rest; if there was none, what ends it is a vector that is too short, which an abort drops.
fn end_begun_vector<T: Transport>(host: &mut Host<T>, inputs: usize) -> Result<()> {
    // of one value, a vector is whole as soon as it has begun
    if inputs < 2 {
        return Ok(());
    }
    host.bus.write(&[(map::STREAM_IN, LAST)])?;
    let limit = flush_limit(host.arch());
    host.abort(limit)?;
    host.take_bad_vectors()?;
    host.take_errors().map(|_| ())
}

/// Takes away what a program that ended early left unread. An abort drops what is under way; vectors of steps that were done
/// before still come out, and those behind a full line when there is room. The accelerator is idle.
fn forget_vectors<T: Transport>(host: &mut Host<T>) -> Result<()> {
    // more than any accelerator holds
    const MOST: usize = 1 << 12;
    for _ in 0..MOST {
        match host.bus.read(&[map::STREAM_WAITING])?[0] {
            0 => return Ok(()),
            waiting => host.bus.write(&[(map::STREAM_DROP, waiting)])?,
        }
    }
    Err(HostError::Timeout { what: "the end of vectors that nobody read", limit: MOST as u64 })
}

/// Bits of a beat beside its value.
const USER: u32 = 1 << 16;
const LAST: u32 = 1 << 17;
/// Bytes of the windows onto the streams.
const STREAM_BYTES: u32 = 1 << 12;

/// The CRC of a section is not that of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongSection {
    pub section: Section,
    pub found: u32,
    pub expected: u32,
}

impl From<WrongSection> for HostError {
    fn from(w: WrongSection) -> HostError {
        HostError::SectionCrc { section: w.section, found: w.found, expected: w.expected }
    }
}
