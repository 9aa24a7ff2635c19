//! The host port: identity, windows, checks, errors, interrupt, abort, reset, reload.

use crate::common::{drafted, lane_mask, random_case, Case};
use lacuna_compress::manifest::Model;
use lacuna_compress::spec::registers::{self as map, control, errors, status, Access, REGISTERS};
use lacuna_compress::spec::{layout, MemoryKind, Section, WeightForm, Words};
use lacuna_sim::dut::{AxiWrite, Response};
use lacuna_sim::host::{Counters, HostError, Transport};
use lacuna_sim::simulate::{Door, Options, SimulateError, Simulator};

/// Two layers, 4 PEs, 12-bit direct weights: seed 9 of the generator.
const SEED: u64 = 9;

fn case() -> Case {
    random_case(SEED)
}

fn start(model: &Model, door: Door, seed: u64) -> Simulator {
    Simulator::new(model, &Options { door, seed, ..drafted() }).unwrap()
}

fn read(s: &mut Simulator, address: u32) -> u32 {
    s.host.bus.read(&[address]).unwrap()[0]
}

/// A write that may be refused.
fn write(s: &mut Simulator, address: u32, data: u32) -> Response {
    s.host.bus.0.axi_write(address, data).unwrap()
}

fn strobed(s: &mut Simulator, address: u32, data: u32, strobes: u32) {
    assert_eq!(s.host.bus.0.axi_write_burst(&[AxiWrite { address, data, strobes }]).unwrap(), None);
}

fn passes(s: &mut Simulator, case: &Case) {
    for input in &case.inputs {
        let verdict = s.verify(input).unwrap();
        assert!(verdict.passed(), "{:?} {:?}", verdict.mismatch, verdict.run);
    }
}

#[test]
fn registers_read_as_the_map_says_after_reset() {
    let case = case();
    let mut s = start(&case.model, Door::Preload, 3);
    s.host.identify().unwrap();
    for r in REGISTERS.iter().filter(|r| r.access != Access::ReadOnly) {
        assert_eq!(read(&mut s, r.address), 0, "{}", r.name);
    }
    assert_eq!(read(&mut s, map::STATUS), status::WEIGHTS_VALID);
    assert_eq!(read(&mut s, map::PES), case.model.arch().pes as u32);
}

#[test]
fn unmapped_and_read_only_addresses_answer_slverr() {
    let mut s = start(&case().model, Door::Preload, 3);
    let beyond = REGISTERS.last().unwrap().address + 4;
    for address in [beyond, 0x400, 0xffffc] {
        assert_eq!(s.host.bus.0.axi_read(address).unwrap().1, Response::SlvErr, "{address:#x}");
        assert_eq!(write(&mut s, address, 1), Response::SlvErr, "{address:#x}");
    }
    for r in REGISTERS.iter().filter(|r| r.access == Access::ReadOnly) {
        let before = read(&mut s, r.address);
        assert_eq!(write(&mut s, r.address, !before), Response::SlvErr, "{}", r.name);
        assert_eq!(read(&mut s, r.address), before, "{}", r.name);
    }
}

#[test]
fn strobes_write_only_their_bytes_in_registers_and_memories() {
    let case = case();
    let mut s = start(&case.model, Door::Axi, 3);
    s.host.bus.write(&[(map::SCRATCH, 0x1122_3344)]).unwrap();
    strobed(&mut s, map::SCRATCH, 0xaabb_ccdd, 0b0101);
    assert_eq!(read(&mut s, map::SCRATCH), 0x11bb_33dd);
    // a start in a byte that is not strobed is none
    strobed(&mut s, map::CONTROL, control::START, 0b1110);
    assert_eq!(read(&mut s, map::STATUS) & status::DONE, 0);
    // bias words have 48 bits: lane 1 keeps its other byte, lane 0 all
    let bias = &case.model.image.sections[&Section::Pe(1, MemoryKind::Bias)];
    let select = MemoryKind::Bias.code() << 8 | 1;
    s.host.bus.write(&[(map::MEM_SELECT, select)]).unwrap();
    strobed(&mut s, map::WINDOW + 4, 0xffff_5aff, 0b0010);
    s.host.forget();
    let found = s.host.read_memory(MemoryKind::Bias, 1, bias.len()).unwrap();
    let mut expected = bias.clone();
    expected.set_lane(0, 1, (bias.word(0)[1] & 0xff) | 0x5a00);
    assert_eq!(found, expected);
}

#[test]
fn every_memory_reads_back_what_was_written() {
    let case = case();
    let mut s = start(&case.model, Door::Axi, 4);
    let arch = case.model.arch().clone();
    for section in layout::sections(&arch) {
        let words = &case.model.image.sections[&section];
        assert_eq!(&s.host.read_memory(section.kind(), section.pe(), words.len()).unwrap(), words, "{section}");
    }
    for kind in [MemoryKind::ActA, MemoryKind::ActB] {
        for pe in 0..arch.pes {
            let mut words = Words::zeroed(16, arch.act_depth);
            (0..arch.act_depth).for_each(|i| words.set(i, (i * 7919 + pe * 31 + 5) as u64 & 0xffff));
            s.host.write_memory(kind, pe, &words).unwrap();
            assert_eq!(s.host.read_memory(kind, pe, arch.act_depth).unwrap(), words, "{kind:?} {pe}");
        }
    }
    assert_ne!(read(&mut s, map::STATUS) & status::WEIGHTS_VALID, 0, "activations are not weights");
}

/// Whatever the memory's neighbours hold: the bits above a word in its last lane, and lanes above that one.
#[test]
fn bits_and_lanes_above_a_word_read_as_zero() {
    let with_codebook = |seed: &u64| random_case(*seed).model.arch().weights == WeightForm::Codebook;
    for seed in [SEED, (1..40).find(with_codebook).unwrap()] {
        let case = random_case(seed);
        let arch = case.model.arch().clone();
        let mut s = start(&case.model, Door::Axi, 4);
        let pe = arch.pes - 1;
        let kinds = MemoryKind::ALL.into_iter().filter(|kind| kind.depth(&arch) > 0);
        // the biases last written and first read: a PE fills up with their bits
        let kinds: Vec<MemoryKind> = kinds.filter(|kind| *kind != MemoryKind::Bias).chain([MemoryKind::Bias]).collect();
        let all = |s: &mut Simulator, kind: MemoryKind| -> Vec<u32> {
            let of = if kind == MemoryKind::Layers { 0 } else { pe };
            (0..kind.window_lanes(&arch)).map(|lane| s.host.window(kind, of, 0, lane).unwrap()).collect()
        };
        for kind in &kinds {
            for address in all(&mut s, *kind) {
                s.host.bus.write(&[(address, u32::MAX)]).unwrap();
            }
        }
        for kind in kinds.iter().rev() {
            let bits = kind.width(&arch);
            for (lane, address) in all(&mut s, *kind).into_iter().enumerate() {
                assert_eq!(read(&mut s, address), lane_mask(bits, lane), "seed {seed}: {kind:?} of {bits} bits, lane {lane}");
            }
        }
    }
}

#[test]
fn access_beyond_a_memory_or_a_pe_is_refused_and_said() {
    let case = case();
    let arch = case.model.arch().clone();
    let mut s = start(&case.model, Door::Axi, 4);
    let range = |s: &mut Simulator, select: u32, offset: u32| {
        s.host.bus.write(&[(map::MEM_SELECT, select), (map::ERRORS, errors::RANGE)]).unwrap();
        assert_eq!(write(s, map::WINDOW + offset, 1), Response::SlvErr);
        assert_eq!(read(s, map::ERRORS), errors::RANGE);
        assert_ne!(read(s, map::STATUS) & status::ERROR, 0);
    };
    range(&mut s, MemoryKind::ActA.code() << 8, arch.act_depth as u32 * 4);
    range(&mut s, MemoryKind::Spmat.code() << 8 | arch.pes as u32, 0);
    range(&mut s, MemoryKind::Codebook.code() << 8, 0); // direct weights have none
    range(&mut s, MemoryKind::Layers.code() << 8 | 1, 0);
    for bit in 0..8 {
        s.host.bus.write(&[(map::MEM_PAGE, 1 << bit)]).unwrap();
        range(&mut s, MemoryKind::Spmat.code() << 8, 0);
    }
    s.host.bus.write(&[(map::MEM_PAGE, 0)]).unwrap();
    assert_ne!(read(&mut s, map::STATUS) & status::WEIGHTS_VALID, 0, "what was refused has changed nothing");
    s.host.bus.write(&[(map::ERRORS, errors::RANGE)]).unwrap();
    assert_eq!(read(&mut s, map::STATUS) & status::ERROR, 0, "no error is left");
    s.host.forget();
    passes(&mut s, &case);
}

/// Addresses of a run and of the host go by the same buses: what the host read last is gone when the run starts.
#[test]
fn a_memory_read_between_the_input_and_the_start_changes_nothing() {
    let case = case();
    let arch = case.model.arch().clone();
    let mut s = start(&case.model, Door::Preload, 4);
    for input in &case.inputs {
        let golden = s.golden().trace(input).unwrap();
        let expected = Counters::from(&s.network().time(&golden).total);
        for kind in MemoryKind::ALL.into_iter().filter(|kind| kind.depth(&arch) > 0) {
            let pe = if kind == MemoryKind::Layers { 0 } else { arch.pes - 1 };
            s.host.write_input(input).unwrap();
            s.host.read_memory_at(kind, pe, kind.depth(&arch) - 1, 1).unwrap();
            s.host.start().unwrap();
            s.host.wait_done(100_000).unwrap();
            s.host.expect_output(golden.layers.len() - 1, golden.output()).unwrap_or_else(|e| panic!("{kind:?}: {e:#}"));
            assert_eq!(s.host.counters().unwrap(), expected, "{kind:?}");
        }
    }
}

#[test]
fn weights_are_valid_only_when_every_section_has_been_checked() {
    let case = case();
    let arch = case.model.arch().clone();
    let mut s = start(&case.model, Door::Axi, 5);
    let valid = |s: &mut Simulator| read(s, map::STATUS) & status::WEIGHTS_VALID != 0;
    for skipped in layout::sections(&arch) {
        // any write of a section, even of what it holds already, takes the validity away
        let words = case.model.image.sections[&skipped].clone();
        s.host.write_memory(skipped.kind(), skipped.pe(), &words).unwrap();
        assert!(!valid(&mut s), "{skipped}");
        // all but one checked: still not
        s.host.bus.write(&[(map::CONTROL, control::RESTART_CHECK)]).unwrap();
        for section in layout::sections(&arch).into_iter().filter(|x| *x != skipped) {
            let w = &case.model.image.sections[&section];
            let c = [(map::SECTION_WORDS, w.len() as u32), (map::SECTION_CRC, w.crc32()), (map::CONTROL, control::CHECK)];
            s.host.bus.write(&c).unwrap();
            s.host.wait_idle(100_000).unwrap();
        }
        assert!(!valid(&mut s), "{skipped} was left out");
        s.host.bus.write(&[(map::CONTROL, control::START)]).unwrap();
        assert_eq!(read(&mut s, map::STATUS) & (status::BUSY | status::DONE), 0, "no start without valid weights");
        assert_ne!(s.host.take_errors().unwrap() & errors::START_UNCHECKED, 0);
        s.host.check(&case.model.image).unwrap();
        assert!(valid(&mut s));
    }
    passes(&mut s, &case);
}

#[test]
fn a_flipped_bit_in_any_section_is_found_by_the_hardware() {
    let case = case();
    let mut s = start(&case.model, Door::Axi, 6);
    for section in layout::sections(case.model.arch()) {
        let words = &case.model.image.sections[&section];
        let mut damaged = words.clone();
        let last = words.len() - 1;
        let bit = words.bits(last, 0, 1) ^ 1;
        damaged.set_bits(last, 0, 1, bit);
        s.host.write_memory(section.kind(), section.pe(), &damaged).unwrap();
        match s.host.check(&case.model.image) {
            Err(HostError::SectionCrc { section: found, found: crc, .. }) => assert_eq!((found, crc), (section, damaged.crc32())),
            other => panic!("{section}: {other:?}"),
        }
        assert_eq!(read(&mut s, map::STATUS) & status::WEIGHTS_VALID, 0);
        assert_eq!(s.host.take_errors().unwrap(), errors::CRC);
        s.host.write_memory(section.kind(), section.pe(), words).unwrap();
        s.host.check(&case.model.image).unwrap();
    }
}

#[test]
fn a_section_length_of_zero_or_beyond_the_memory_is_refused() {
    let case = case();
    let mut s = start(&case.model, Door::Axi, 6);
    for words in [0, case.model.arch().spmat_depth as u32 + 1] {
        s.host.bus.write(&[(map::CONTROL, control::RESTART_CHECK), (map::SECTION_WORDS, words), (map::CONTROL, control::CHECK)]).unwrap();
        assert_eq!(s.host.take_errors().unwrap(), errors::SECTION_LENGTH);
        assert_eq!(read(&mut s, map::SECTION_NEXT) & 0x7fff_ffff, 0, "still the first section");
    }
}

#[test]
fn while_busy_memories_and_configuration_do_not_change() {
    let case = case();
    let mut s = start(&case.model, Door::Axi, 7);
    let input = case.inputs.last().unwrap().clone();
    let expected = s.run(&input).unwrap();
    let spmat = case.model.image.sections[&Section::Pe(0, MemoryKind::Spmat)].clone();
    s.host.write_input(&input).unwrap();
    s.host.bus.write(&[(map::MEM_SELECT, 0), (map::MEM_PAGE, 0)]).unwrap();
    s.host.forget();
    // one burst, so that what follows the start meets a busy accelerator
    let burst = |s: &mut Simulator, words: &[(u32, u32)]| {
        let writes: Vec<AxiWrite> = words.iter().map(|w| AxiWrite::word(w.0, w.1)).collect();
        s.host.bus.0.axi_write_burst(&writes).unwrap()
    };
    for (address, data) in
        [(map::WINDOW, !spmat.word(0)[0]), (map::MEM_SELECT, 5 << 8), (map::MEM_PAGE, 1), (map::SECTION_WORDS, 1), (map::SECTION_CRC, 1)]
    {
        let before = if address == map::WINDOW { 0 } else { read(&mut s, address) };
        let refused = burst(&mut s, &[(map::CONTROL, control::START), (address, data)]).expect("refused");
        assert_eq!((refused.index, refused.response), (1, Response::SlvErr), "{address:#x}");
        s.host.wait_done(100_000).unwrap();
        assert_eq!(s.host.take_errors().unwrap(), errors::BUSY_ACCESS, "{address:#x}");
        if address != map::WINDOW {
            assert_eq!(read(&mut s, address), before, "{address:#x}");
        }
    }
    assert_eq!(s.host.read_memory(MemoryKind::Spmat, 0, spmat.len()).unwrap(), spmat);
    // the check of a section is busy too, and a second start while the first runs is an error and no more
    let c = [
        (map::CONTROL, control::RESTART_CHECK),
        (map::SECTION_WORDS, spmat.len() as u32),
        (map::SECTION_CRC, spmat.crc32()),
        (map::CONTROL, control::CHECK),
        (map::WINDOW, 0),
    ];
    assert_eq!(burst(&mut s, &c).map(|r| r.index), Some(4));
    s.host.wait_idle(100_000).unwrap();
    assert_eq!(s.host.take_errors().unwrap(), errors::BUSY_ACCESS);
    s.host.check(&case.model.image).unwrap();
    s.host.write_input(&input).unwrap();
    assert_eq!(burst(&mut s, &[(map::CONTROL, control::START), (map::CONTROL, control::START)]), None);
    s.host.wait_done(100_000).unwrap();
    assert_eq!(s.host.take_errors().unwrap(), errors::COMMAND_BUSY);
    assert_eq!(s.run(&input).unwrap(), expected);
}

#[test]
fn interrupt_follows_enable_and_pending() {
    let case = case();
    let mut s = start(&case.model, Door::Preload, 8);
    s.host.write_input(&case.inputs[2]).unwrap();
    s.host.start().unwrap();
    s.host.wait_done(100_000).unwrap();
    assert_eq!((read(&mut s, map::IRQ_PENDING), s.host.bus.0.get("irq").unwrap()), (1, 0), "pending, not enabled");
    s.host.bus.write(&[(map::IRQ_ENABLE, 1)]).unwrap();
    assert_eq!(s.host.bus.0.get("irq").unwrap(), 1);
    s.host.bus.write(&[(map::IRQ_PENDING, 1)]).unwrap();
    assert_eq!((read(&mut s, map::IRQ_PENDING), s.host.bus.0.get("irq").unwrap()), (0, 0));
    s.host.start().unwrap();
    s.host.bus.0.wait("irq", 1, 1, 100_000).unwrap();
    assert_eq!(read(&mut s, map::STATUS) & (status::BUSY | status::DONE), status::DONE);
}

#[test]
fn abort_at_any_cycle_leaves_an_accelerator_that_computes_right() {
    let case = case();
    let mut s = start(&case.model, Door::Preload, 9);
    let input = case.inputs.last().unwrap().clone();
    let cycles = s.run(&input).unwrap().cycles;
    for at in (0..cycles).step_by((cycles as usize / 40).max(1)) {
        s.host.write_input(&input).unwrap();
        s.host.start().unwrap();
        s.host.bus.0.step(at).unwrap();
        s.host.bus.write(&[(map::CONTROL, control::ABORT)]).unwrap();
        s.host.wait_idle(100_000).unwrap();
        let verdict = s.verify(&input).unwrap();
        assert!(verdict.passed(), "aborted after {at} cycles: {:?}", verdict.mismatch);
    }
    s.host.bus.write(&[(map::CONTROL, control::RESTART_CHECK)]).unwrap();
    let spmat = &case.model.image.sections[&Section::Pe(0, MemoryKind::Spmat)];
    let check = [(map::SECTION_WORDS, spmat.len() as u32), (map::CONTROL, control::CHECK), (map::CONTROL, control::ABORT)];
    s.host.bus.write(&check).unwrap();
    s.host.wait_idle(100).unwrap();
    assert_eq!(read(&mut s, map::SECTION_NEXT) & 0x7fff_ffff, 0, "an aborted check has checked nothing");
    passes(&mut s, &case);
}

#[test]
fn reset_at_any_cycle_keeps_memories_and_validity() {
    let case = case();
    let mut s = start(&case.model, Door::Axi, 10);
    let input = case.inputs.last().unwrap().clone();
    let cycles = s.run(&input).unwrap().cycles;
    for at in (0..cycles).step_by((cycles as usize / 20).max(1)) {
        s.host.write_input(&input).unwrap();
        s.host.start().unwrap();
        s.host.bus.0.step(at).unwrap();
        s.host.bus.0.reset(1).unwrap();
        s.host.forget();
        s.host.wait_idle(100_000).unwrap();
        assert_eq!(read(&mut s, map::STATUS), status::WEIGHTS_VALID, "reset after {at} cycles");
        let verdict = s.verify(&input).unwrap();
        assert!(verdict.passed(), "reset after {at} cycles: {:?}", verdict.mismatch);
    }
}

#[test]
fn reset_never_makes_weights_valid() {
    let case = case();
    let mut s = start(&case.model, Door::Axi, 11);
    let bias = case.model.image.sections[&Section::Pe(0, MemoryKind::Bias)].clone();
    s.host.write_memory(MemoryKind::Bias, 0, &bias).unwrap();
    s.host.bus.0.reset(3).unwrap();
    s.host.forget();
    s.host.wait_idle(100_000).unwrap();
    assert_eq!(read(&mut s, map::STATUS) & status::WEIGHTS_VALID, 0);
}

/// The first clock edge under reset meets any state; none of it may reach the memories or their validity.
#[test]
fn preloaded_weights_survive_any_state_before_the_first_reset() {
    let case = case();
    for seed in 0..40 {
        let mut s = start(&case.model, Door::Preload, seed);
        assert_ne!(read(&mut s, map::STATUS) & status::WEIGHTS_VALID, 0, "seed {seed}");
        for (section, words) in &case.model.image.sections {
            assert_eq!(&s.host.read_memory(section.kind(), section.pe(), words.len()).unwrap(), words, "seed {seed}: {section}");
        }
    }
}

/// Another model of the same architecture: every weight's sign turned, another bias.
fn other(model: &Model) -> Model {
    let mut m = model.clone();
    for (section, words) in &mut m.image.sections {
        if section.kind() == MemoryKind::Bias {
            (0..words.len()).for_each(|i| {
                let value = words.get_signed(i);
                words.set(i, (value / 2) as u64 & ((1 << words.width()) - 1));
            });
        }
    }
    m
}

#[test]
fn load_a_run_load_b_run_load_a_run() {
    let case = case();
    let b = other(&case.model);
    let mut s = start(&case.model, Door::Axi, 12);
    let input = &case.inputs[4];
    let first = s.run(input).unwrap();
    s.host.write_image(&b.image, |_, _| {}).unwrap();
    s.host.check(&b.image).unwrap();
    let golden_b = lacuna_sim::golden::Golden::new(&b.image).unwrap().infer(input).unwrap();
    let second = s.run(input).unwrap();
    assert_eq!(second.outputs, golden_b);
    assert_ne!(first.outputs, second.outputs, "the models must differ for this to say anything");
    s.load().unwrap();
    assert_eq!(s.run(input).unwrap(), first);
}

#[test]
fn bus_stalls_change_nothing() {
    let case = case();
    let options = Options { door: Door::Axi, seed: 13, stalls_percent: 60, ..drafted() };
    let mut s = Simulator::new(&case.model, &options).unwrap();
    passes(&mut s, &case);
}

#[test]
fn an_accelerator_of_another_architecture_is_not_loaded() {
    let case = case();
    let design = lacuna_hdl::generate(case.model.arch()).unwrap();
    let options = Options { ..drafted() };
    let library = lacuna_sim::simulate::library(&design, &options).unwrap();
    let mut foreign = case.model.clone();
    foreign.image.arch.bias_depth += 1;
    match Simulator::start(&foreign, &library, &options) {
        Err(SimulateError::Host(HostError::Architecture { found, expected })) => {
            assert_eq!((found, expected), (case.model.arch().hash(), foreign.arch().hash()));
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("loaded"),
    }
}

/// The comparison itself: hardware that holds another image than the golden model must differ from it.
#[test]
fn an_image_that_differs_gives_results_that_differ() {
    let case = case();
    let mut s = start(&case.model, Door::Axi, 14);
    let pes = case.model.arch().pes;
    let mut wrong = case.model.image.clone();
    let bias = wrong.sections.get_mut(&Section::Pe(2, MemoryKind::Bias)).unwrap();
    let value = bias.get_signed(0) / 2 + (1 << 30);
    bias.set(0, value as u64 & ((1 << bias.width()) - 1));
    s.host.write_image(&wrong, |_, _| {}).unwrap();
    s.host.check(&wrong).unwrap();
    let run = s.run(&case.inputs[0]).unwrap();
    let golden = s.golden().infer(&case.inputs[0]).unwrap();
    assert_ne!(run.outputs, golden);
    assert!(pes > 2);
}
