//! An accelerator behind its serial line, bit by bit: registers, loading, what was broken off, streams.

use crate::common::recurrent::{RecurrentCase, Shape};
use crate::common::{drafted, lane_mask, random_case, Case};
use lacuna_compress::spec::wire::{self as frames, Command, Status, END, MAX_WORDS};
use lacuna_compress::spec::{registers as map, Arch, MemoryKind};
use lacuna_sim::board_sim::{library, SimulatedLine};
use lacuna_sim::golden::{Golden, Recurrent};
use lacuna_sim::host::{Host, HostError, Transport};
use lacuna_sim::session;
use lacuna_sim::simulate::Options;
use lacuna_sim::wire::faulty::{Fault, Faulty};
use lacuna_sim::wire::{Line, Patience, Wire};
use std::time::Duration;

const DIVIDER: usize = 4;

/// Beats that wait to be read: docs/wire.md.
const RING: usize = 512;

/// A cycle counts as a microsecond.
fn patience() -> Patience {
    Patience { answer: Duration::from_millis(20), reconnect: Duration::from_secs(1), ..Patience::default() }
}

fn line(arch: &Arch, divider: usize) -> SimulatedLine {
    let options = Options { seed: 5, ..drafted() };
    let design = lacuna_hdl::generate_uart(arch, divider).unwrap();
    SimulatedLine::new(&library(&design, &options).unwrap(), divider, &options).unwrap()
}

fn host<L: Line>(line: L, arch: &Arch) -> Host<Wire<L>> {
    Host::new(Wire::connect(line, patience(), 77).unwrap(), arch)
}

/// Two layers, 4 PEs.
fn case() -> Case {
    random_case(9)
}

/// Sends raw bytes, gives the frame that comes back.
fn said(line: &mut SimulatedLine, bytes: &[u8]) -> Option<frames::Reply> {
    line.send(bytes).unwrap();
    let mut found = vec![];
    for _ in 0..400 {
        line.receive(&mut found, Duration::from_millis(1)).unwrap();
        if found.len() > 1 && found.last() == Some(&END) {
            let inside: Vec<u8> = found.iter().copied().filter(|b| *b != END).collect();
            return frames::reply(&inside);
        }
    }
    None
}

#[test]
fn the_bridge_answers_every_kind_of_frame_as_the_page_says() {
    let case = case();
    let mut line = line(case.model.arch(), DIVIDER);
    let ask = |tag, command, address, count, data: &[u32]| frames::request(tag, command, address, count, data);
    let mut status = |bytes: &[u8]| said(&mut line, bytes).map(|r| (r.tag, r.status, r.done, r.data));

    let stranger = status(&ask(9, Command::Read, map::ID, 1, &[]));
    assert_eq!(stranger, Some((9, Status::Stranger, 0, vec![])), "nobody has said hello");
    assert_eq!(status(&ask(9, Command::Hello, 0, 1, &[])), Some((9, Status::Done, 0, vec![frames::GREETING])));
    assert_eq!(status(&ask(10, Command::Read, map::ID, 1, &[])), Some((10, Status::Done, 1, vec![map::ID_VALUE])));
    assert_eq!(status(&ask(12, Command::Read, map::ID, 1, &[])), Some((12, Status::Stranger, 0, vec![])), "11 is next");

    // special bytes in both directions; a write is not done a second time, and a shorter try is answered for the longer one
    let hard = [0xc0db_dcdd, 0xdbdb_c0c0];
    assert_eq!(status(&ask(11, Command::Write, map::SCRATCH, 1, &hard[..1])), Some((11, Status::Done, 1, vec![])));
    assert_eq!(status(&ask(12, Command::Read, map::SCRATCH, 1, &[])), Some((12, Status::Done, 1, vec![hard[0]])));
    assert_eq!(status(&ask(13, Command::Write, map::SCRATCH, 1, &hard[1..])), Some((13, Status::Done, 1, vec![])));
    assert_eq!(status(&ask(13, Command::Write, map::SCRATCH, 1, &[1])), Some((13, Status::Done, 1, vec![])));
    assert_eq!(status(&ask(14, Command::Read, map::SCRATCH, 1, &[])), Some((14, Status::Done, 1, vec![hard[1]])));

    // a refused word ends a write, and a read has all its words
    assert_eq!(status(&ask(15, Command::Write, map::SCRATCH - 4, 2, &[1, 2])), Some((15, Status::Refused, 0, vec![])));
    let (_, refused, done, data) = status(&ask(16, Command::Read, map::PES, 3, &[])).unwrap();
    assert_eq!((refused, done, data.len(), data[0]), (Status::Refused, 1, 3, case.model.arch().pes as u32));
    assert_eq!(status(&ask(17, Command::Read, map::STREAM_WAITING, 1, &[])).unwrap().1, Status::Refused, "it has no streams");

    // wrong lengths, an unknown command, a wrong CRC, a frame that is too long
    assert_eq!(status(&ask(17, Command::Write, map::SCRATCH, 2, &[1])).unwrap().1, Status::Malformed);
    assert_eq!(status(&ask(17, Command::Read, map::SCRATCH, 1, &[1])).unwrap().1, Status::Malformed);
    assert_eq!(status(&frames::stuffed(&[17 << 16 | 7 << 8, 0])).unwrap().1, Status::Malformed);
    let mut wrong = ask(17, Command::Read, map::ID, 1, &[]);
    wrong[2] ^= 1;
    assert_eq!(status(&wrong).unwrap().1, Status::Damaged);
    assert_eq!(status(&frames::stuffed(&[17 << 16; MAX_WORDS + 4])).unwrap().1, Status::Damaged);
    assert_eq!(status(&ask(17, Command::Read, map::SCRATCH, 1, &[])), Some((17, Status::Done, 1, vec![hard[1]])), "nothing was done");
}

#[test]
fn the_longest_frames_go_through_at_any_divider() {
    let arch = Arch { spmat_depth: MAX_WORDS, ..case().model.arch().clone() };
    let (bits, lanes) = (MemoryKind::Spmat.width(&arch), MemoryKind::Spmat.window_lanes(&arch));
    // the lanes of a word are more than its bits
    for divider in [DIVIDER, 7] {
        let mut host = host(line(&arch, divider), &arch);
        let page: Vec<(u32, u32)> = (0..MAX_WORDS as u32).map(|i| (map::WINDOW + 4 * i, i * 0x0101_0101)).collect();
        host.bus.write(&[(map::MEM_SELECT, 0), (map::MEM_PAGE, 0)]).unwrap();
        // the first frames are shorter, and each that succeeds makes the next one longer
        for _ in 0..5 {
            host.bus.write(&page).unwrap();
        }
        let before = host.bus.counts.frames;
        host.bus.write(&page).unwrap();
        assert_eq!(host.bus.counts.frames - before, 1, "divider {divider}: a frame of the largest size");
        let (addresses, written): (Vec<u32>, Vec<u32>) = page.into_iter().unzip();
        let read = host.bus.read(&addresses).unwrap();
        assert_eq!(host.bus.counts.frames - before, 2, "divider {divider}: an answer of the largest size");
        let expected: Vec<u32> = written.iter().enumerate().map(|(i, word)| word & lane_mask(bits, i % lanes)).collect();
        assert_eq!(read, expected, "divider {divider}");
        assert_eq!(host.bus.counts.repeated, 0);
    }
}

#[test]
fn what_was_loaded_over_the_line_runs_and_what_was_broken_off_goes_on() {
    let case = case();
    let image = &case.model.image;
    let restart = |line: &mut SimulatedLine| line.restart().map_err(std::io::Error::other);
    let mut kept = vec![];
    // the seed draws after how many bytes
    for seed in 0..6 {
        let dead = Faulty::new(line(&image.arch, DIVIDER), Fault::Dead, 0.0, seed, restart);
        let mut broken = host(dead, &image.arch);
        let error = session::load(&mut broken, image, |_, _| {}).unwrap_err();
        assert!(matches!(error, HostError::Broken { seconds: 1, .. }), "{error}");
        assert!(matches!(session::require(&mut broken, image), Err(HostError::Broken { .. })));

        // the cable is back: another program goes on, and nothing counts before all of it is checked
        let mut host = host(broken.bus.into_line().inner, &image.arch);
        assert!(matches!(session::require(&mut host, image), Err(HostError::NotLoaded)));
        let mut seen = vec![];
        let loaded = session::load(&mut host, image, |done, all| seen.push((done, all))).unwrap();
        assert!(loaded.written > 0, "{loaded:?}");
        assert_eq!(seen.last(), Some(&(seen[0].1, seen[0].1)));
        kept.push(loaded.kept);
        session::require(&mut host, image).unwrap();
    }
    assert!(kept.iter().any(|k| *k > 0), "{kept:?}: the first sections should be there already");

    let mut host = host(line(&image.arch, DIVIDER), &image.arch);
    session::load(&mut host, image, |_, _| {}).unwrap();
    let (records, limit) = session::program(image);
    let golden = Golden::new(image).unwrap();
    for input in &case.inputs {
        let run = session::run_layers(&mut host, &records, limit, input).unwrap();
        assert_eq!(run.outputs, golden.infer(input).unwrap());
    }

    // a restart keeps the memories, and the conversation begins anew
    let mut line = host.bus.into_line();
    line.restart().unwrap();
    let mut host = self::host(line, &image.arch);
    assert_eq!(session::load(&mut host, image, |_, _| {}).unwrap().written, 0);
}

/// A sequence whose every output is that of the golden model.
fn answers<T: Transport>(host: &mut Host<T>, golden: &Recurrent, steps: &[Vec<i16>]) {
    let mut state = golden.state();
    state.begin();
    let expected: Vec<Vec<i16>> = steps.iter().map(|step| golden.step(&mut state, step).unwrap().output).collect();
    let limit = session::step_limit(golden.entries());
    assert_eq!(session::run_steps(host, steps, golden.outputs(), limit).unwrap(), expected);
}

#[test]
fn sequences_run_through_the_stream_registers() {
    let case = RecurrentCase::telling(&Shape::two_layers());
    let image = &case.model.image;
    let mut host = host(line(&image.arch, DIVIDER), &image.arch);
    session::load(&mut host, image, |_, _| {}).unwrap();
    let golden = Recurrent::new(image).unwrap();
    for steps in &case.inputs {
        answers(&mut host, &golden, steps);
    }
    assert_eq!(host.take_errors().unwrap(), 0);
    // nothing waits, and nothing that does not wait can be read or dropped
    assert_eq!(host.bus.read(&[map::STREAM_WAITING]).unwrap(), [0]);
    assert!(matches!(host.bus.read(&[map::STREAM_OUT]), Err(HostError::Refused { .. })));
    assert!(matches!(host.bus.write(&[(map::STREAM_DROP, 1)]), Err(HostError::Refused { .. })));
}

#[test]
fn what_a_program_left_unread_is_no_part_of_the_next_answer() {
    const LAST: u32 = 1 << 17;
    let case = RecurrentCase::telling(&Shape::two_layers());
    let image = &case.model.image;
    let mut host = host(line(&image.arch, DIVIDER), &image.arch);
    session::load(&mut host, image, |_, _| {}).unwrap();
    let golden = Recurrent::new(image).unwrap();
    // a program that is killed behind its first vectors, one that is killed when no more are taken from it, and one that is
    // killed within a vector
    for (steps, begun) in [(1, 0), (RING.div_ceil(golden.outputs()) + 1, 0), (0, 2), (1, 1)] {
        host.set_mask(1).unwrap();
        host.start().unwrap();
        for _ in 0..steps {
            let last = golden.inputs() - 1;
            let beats: Vec<(u32, u32)> = (0..=last).map(|i| (map::STREAM_IN, 77 | if i == last { LAST } else { 0 })).collect();
            host.bus.write(&beats).unwrap();
        }
        for _ in 0..begun {
            host.bus.write(&[(map::STREAM_IN, 77)]).unwrap();
        }
        let expected = (steps * golden.outputs()).min(RING) as u32;
        let waiting = (0..10_000).map(|_| host.bus.read(&[map::STREAM_WAITING]).unwrap()[0]).find(|waiting| *waiting == expected);
        assert_eq!(waiting, Some(expected));
        // the next program
        session::require(&mut host, image).unwrap();
        answers(&mut host, &golden, &case.inputs[0]);
        assert_eq!(host.bus.read(&[map::STREAM_WAITING, map::ERRORS]).unwrap(), [0, 0]);
    }
}

#[test]
fn weights_that_computed_wrongly_are_found_to_be_wrong() {
    let images = [case().model.image, RecurrentCase::telling(&Shape::two_layers()).model.image];
    for image in &images {
        let mut host = host(line(&image.arch, DIVIDER), &image.arch);
        session::load(&mut host, image, |_, _| {}).unwrap();
        session::distrust(&mut host, image).unwrap();
        assert!(matches!(session::require(&mut host, image), Err(HostError::NotLoaded)));
        assert!(matches!(session::verify(&mut host, image), Err(HostError::SectionCrc { .. })));
        assert!(matches!(session::require(&mut host, image), Err(HostError::NotLoaded)));
        assert!(session::load(&mut host, image, |_, _| {}).unwrap().written > 0);
        session::require(&mut host, image).unwrap();
    }
}
