//! The bus in ways that loading and running do not need: words written byte by byte with noise on the other lanes, words
//! read back, several transactions under way at once, and what must be refused.

use super::chance::{of_place, BUS};
use super::engine::{Finding, Kind};
use super::session::{protocol, unexpected};
use lacuna_compress::spec::registers::{self as map, control, errors, status};
use lacuna_compress::spec::{MemoryImage, Section};
use lacuna_sim::dut::{AxiWrite, Response};
use lacuna_sim::host::{Host, Transport};
use lacuna_sim::simulate::Axi;
use rand::{Rng, RngExt};

/// Words of each memory that are written again in parts.
const WORDS: usize = 2;
/// Most transactions under way in one direction.
const OUTSTANDING: u32 = 4;
/// Of a lane's number in a memory, by page and window.
const LANE_BITS: usize = 22;
/// Cycles without a handshake after which the bus is given up.
const PATIENCE: u64 = 10_000;

/// Lets the bus have so many transactions under way as the seed says, which is the result.
pub fn outstanding(host: &mut Host<Axi>, seed: u64) -> Result<u32, Finding> {
    let count = of_place(seed, BUS, 1, 0).random_range(1..=OUTSTANDING);
    host.bus.0.axi_limits(PATIENCE, count).map_err(protocol)?;
    Ok(count)
}

/// Writes some words of every memory again, in parts, reads them, asks for what must be refused, and has the image checked. An
/// idle accelerator that holds this image holds it again.
pub fn rewrite(host: &mut Host<Axi>, image: &MemoryImage, seed: u64) -> Result<(), Finding> {
    let mut rng = of_place(seed, BUS, 0, 0);
    for (section, words) in image.sections.iter().filter(|(_, words)| !words.is_empty()) {
        for _ in 0..WORDS {
            let index = rng.random_range(0..words.len());
            for (lane, expected) in words.word(index).iter().copied().enumerate() {
                let address = host.window(section.kind(), section.pe(), index, lane).map_err(protocol)?;
                let strobes = rng.random_range(0..16u32);
                let mut part = |strobes: u32| {
                    let bytes = (0..4).filter(|byte| strobes >> byte & 1 == 1).fold(0u32, |mask, byte| mask | 0xff << (8 * byte));
                    AxiWrite { address, data: expected & bytes | rng.random::<u32>() & !bytes, strobes }
                };
                let writes = [part(strobes), part(15 ^ strobes)];
                if let Some(refused) = host.bus.0.axi_write_burst(&writes).map_err(protocol)? {
                    return Err(wrong(section, index, lane, format!("the write was refused: {refused:?}")));
                }
                if rng.random_bool(0.5) {
                    // as a whole too: what a write does to other lanes is then not undone by the second of two
                    host.bus.write(&[(address, expected)]).map_err(protocol)?;
                }
                let (got, response) = host.bus.0.axi_read(address).map_err(protocol)?;
                if got != expected {
                    return Err(wrong(section, index, lane, format!("expected {expected:#x}, got {got:#x} ({response:?})")));
                }
            }
        }
    }
    refused(host, image, &mut rng)?;
    host.check(image).map_err(protocol)
}

/// What an accelerator without checked weights must refuse, each with the error bit that says why.
fn refused(host: &mut Host<Axi>, image: &MemoryImage, rng: &mut impl Rng) -> Result<(), Finding> {
    host.bus.write(&[(map::CONTROL, control::RESTART_CHECK)]).map_err(protocol)?;
    let Some((first, words)) = image.sections.iter().next() else { return Ok(()) };
    let (count, crc) = (words.len() as u32, words.crc32());
    let check = |count: u32, crc: u32| vec![(map::SECTION_WORDS, count), (map::SECTION_CRC, crc), (map::CONTROL, control::CHECK)];
    let depth = first.kind().depth(&image.arch) as u32;
    let asked = [
        ("a start without checked weights", vec![(map::CONTROL, control::START)], errors::START_UNCHECKED),
        ("a section of no words", check(0, crc), errors::SECTION_LENGTH),
        ("a section beyond its memory", check(depth + rng.random_range(1..1000), crc), errors::SECTION_LENGTH),
        ("a section with another CRC", check(count, crc ^ 1 << rng.random_range(0..32)), errors::CRC),
    ];
    for (what, commands, expected) in asked {
        host.bus.write(&commands).map_err(protocol)?;
        host.bus.poll(map::STATUS, status::CHECKING | status::BUSY, 0, PATIENCE, "the check of a section").map_err(protocol)?;
        said(host, what, expected)?;
    }
    for section in image.sections.keys() {
        // beyond by one word, by a bit of the address, or anywhere
        let depth = section.kind().depth(&image.arch);
        let lanes = section.kind().window_lanes(&image.arch);
        let most = (1usize << LANE_BITS) / lanes;
        for index in [depth, depth.next_power_of_two() << rng.random_range(0..8), rng.random_range(depth..most)] {
            let address = host.window(section.kind(), section.pe(), index.clamp(depth, most - 1), 0).map_err(protocol)?;
            let (read, write) = (host.bus.0.axi_read(address).map_err(protocol)?.1, AxiWrite::word(address, rng.random()));
            let write = host.bus.0.axi_write_burst(&[write]).map_err(protocol)?.map(|r| r.response);
            if (read, write) != (Response::SlvErr, Some(Response::SlvErr)) {
                return Err(wrong(section, index, 0, format!("beyond the memory: expected SlvErr, got {read:?} and {write:?}")));
            }
            said(host, "an access beyond a memory", errors::RANGE)?;
        }
    }
    Ok(())
}

/// The error bits, which are cleared, are these.
pub fn said(host: &mut Host<Axi>, what: &str, expected: u32) -> Result<(), Finding> {
    let found = host.take_errors().map_err(protocol)?;
    unexpected(what, found, expected).map_or(Ok(()), Err)
}

fn wrong(section: &Section, index: usize, lane: usize, what: String) -> Finding {
    Finding::new(Kind::Protocol, format!("written in parts: {section}, word {index}, lane {lane}: {what}"))
}
