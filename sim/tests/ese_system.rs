//! The LSTM datapath under Verilator against the golden model: every output, every c and h.
#![cfg(feature = "verilator")]

mod common;
#[path = "common/recurrent.rs"]
mod networks;

use common::cache;
use lacuna_compress::manifest::RecurrentModel;
use lacuna_compress::spec::registers::{self as map, errors, status};
use lacuna_compress::spec::{Parameters, Section, WeightForm};
use lacuna_sim::dut::StreamBeat;
use lacuna_sim::golden::Recurrent;
use lacuna_sim::host::Transport;
use lacuna_sim::recurrent::{Check, Kind, RecurrentOptions, RecurrentSimulator, Sequence};
use lacuna_sim::simulate::{Door, Options};
use networks::{RecurrentCase, Shape};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn start(case: &RecurrentCase, door: Door, input_stalls_percent: u32, output_stalls_percent: u32) -> RecurrentSimulator {
    let common = Options { door, seed: case.seed, cache: cache(), ..Options::default() };
    let options = RecurrentOptions { common, input_stalls_percent, output_stalls_percent };
    RecurrentSimulator::new(&case.model, &options).unwrap_or_else(|e| panic!("{}: {e}", case.name))
}

fn passes(s: &mut RecurrentSimulator, what: &str, sequences: &[Sequence], check: Check) -> Vec<Vec<Vec<i16>>> {
    let verdict = s.verify(sequences, check).unwrap_or_else(|e| panic!("{what}: {e}"));
    if let Some(m) = &verdict.mismatch {
        panic!("{what}: {m}");
    }
    verdict.run.outputs
}

fn sequences(case: &RecurrentCase, fresh: bool) -> Vec<Sequence> {
    case.inputs.iter().map(|steps| Sequence { steps: steps.clone(), fresh }).collect()
}

/// Three channels, two LSTM layers, the first with a projection, one layer behind them; five steps.
fn shape() -> Shape {
    Shape {
        pes: 3,
        channels: 3,
        fifo_depth: 4,
        form: WeightForm::Direct,
        weight_bits: 8,
        run_bits: 3,
        entries_per_word: 4,
        inputs: 9,
        lstm: vec![(8, Some(5)), (7, None)],
        layers: vec![4],
        peepholes: true,
        density: 0.5,
        ahead: Some((4, 9)),
        state_first: true,
        steps: 5,
    }
}

/// One whose outputs depend on inputs and states of every channel.
fn case() -> RecurrentCase {
    let tells = |case: &RecurrentCase| {
        let golden = Recurrent::new(&case.model.image).unwrap();
        case.inputs.iter().all(|steps| {
            let mut state = golden.state();
            let mut run = || -> Vec<Vec<i16>> { steps.iter().map(|input| golden.step(&mut state, input).unwrap().output).collect() };
            let (first, second) = (run(), run());
            first != second && first.windows(2).all(|w| w[0] != w[1])
        })
    };
    (70..).map(|seed| RecurrentCase::build(seed, &shape())).find(tells).unwrap()
}

#[test]
fn random_networks_equal_golden_at_every_state_through_both_doors() {
    for seed in 1000..1012 {
        let case = RecurrentCase::random(seed);
        println!("{}", case.name);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let door = if seed % 3 == 0 { Door::Axi } else { Door::Preload };
        let stalls = |rng: &mut ChaCha8Rng| [0, 10, 50, 90][rng.random_range(0..4)];
        let (input, output) = (stalls(&mut rng), stalls(&mut rng));
        let mut s = start(&case, door, input, output);
        passes(&mut s, &case.name, &sequences(&case, true), Check::Outputs);
        // sequences of different lengths, some of which go on from the state that is there
        let cut = |rng: &mut ChaCha8Rng| -> Vec<Sequence> {
            let of = |steps: &Vec<Vec<i16>>, rng: &mut ChaCha8Rng| {
                let length = rng.random_range(0..=steps.len());
                Sequence { steps: steps[..length].to_vec(), fresh: rng.random_bool(0.5) }
            };
            case.inputs.iter().map(|steps| of(steps, rng)).collect()
        };
        passes(&mut s, &case.name, &cut(&mut rng), Check::States);
        passes(&mut s, &case.name, &cut(&mut rng), Check::Outputs);
        assert_eq!(s.host.take_errors().unwrap(), 0, "{}", case.name);
    }
}

#[test]
fn a_sequence_goes_on_from_its_state_unless_tuser_begins_another() {
    let case = case();
    let mut s = start(&case, Door::Preload, 0, 0);
    let first = passes(&mut s, "first", &sequences(&case, false), Check::Outputs);
    let carried = passes(&mut s, "carried", &sequences(&case, false), Check::Outputs);
    assert_ne!(first, carried, "the state must count");
    assert_eq!(passes(&mut s, "fresh", &sequences(&case, true), Check::States), first);
    assert_eq!(passes(&mut s, "carried, step by step", &sequences(&case, false), Check::States), carried);
    // one channel alone begins again
    let mut mixed = sequences(&case, false);
    mixed[1].fresh = true;
    let found = passes(&mut s, "mixed", &mixed, Check::States);
    assert_eq!(found[1], first[1]);
    assert_ne!(found[0], first[0]);
}

#[test]
fn a_channel_outside_the_mask_keeps_its_state() {
    let case = case();
    let mut s = start(&case, Door::Preload, 30, 30);
    passes(&mut s, "all", &sequences(&case, false), Check::Outputs);
    for left_out in 0..3 {
        let mut some = sequences(&case, false);
        some[left_out].steps.clear();
        // compares the state of every channel
        passes(&mut s, "some", &some, Check::States);
    }
}

#[test]
fn clearing_an_idle_accelerator_zeroes_the_named_channels() {
    let case = case();
    let mut s = start(&case, Door::Preload, 0, 0);
    passes(&mut s, "before", &sequences(&case, true), Check::Outputs);
    let depth = case.model.arch().act_depth;
    s.clear(0b101).unwrap();
    for channel in 0..3 {
        let zero = s.host.read_vectors(channel, 0, depth).unwrap().iter().all(|v| *v == 0);
        assert_eq!(zero, channel != 1, "channel {channel}");
    }
    assert_eq!(s.compare_states(0).unwrap(), None);
    passes(&mut s, "after", &sequences(&case, false), Check::States);
}

/// Sends a step's vectors, and gives what comes out of it by channel.
fn step(s: &mut RecurrentSimulator, vectors: &[(usize, Vec<i16>)], outputs: usize) -> Vec<Vec<i16>> {
    let beats: Vec<StreamBeat> = vectors.iter().flat_map(|(channel, v)| RecurrentSimulator::beats(*channel, v, false)).collect();
    s.host.bus.0.stream_send(&beats).unwrap();
    let limit = s.limit(1);
    s.host.bus.0.stream_run(outputs as u64, 0, limit).unwrap();
    let beats = s.host.bus.0.stream_fetch().unwrap().1;
    assert_eq!(beats.len(), outputs);
    let of = |channel: u32| beats.iter().filter(|b| b.dest == channel).map(|b| b.data as u16 as i16).collect();
    (0..3).map(of).collect()
}

fn vectors(case: &RecurrentCase, t: usize) -> Vec<(usize, Vec<i16>)> {
    case.inputs.iter().enumerate().map(|(c, steps)| (c, steps[t].clone())).collect()
}

#[test]
fn a_clear_while_steps_run_counts_from_the_next_step_that_begins() {
    let case = case();
    let mut s = start(&case, Door::Preload, 0, 0);
    let golden = s.golden().clone();
    let all = 3 * golden.outputs();
    s.host.start().unwrap();
    let mut states: Vec<_> = s.states_mut().to_vec();
    for t in 0..5 {
        if t == 3 {
            s.host.clear_state(0b010).unwrap();
            states[1].begin();
        }
        let found = step(&mut s, &vectors(&case, t), all);
        for (c, state) in states.iter_mut().enumerate() {
            assert_eq!(found[c], golden.step(state, &case.inputs[c][t]).unwrap().output, "step {t}, channel {c}");
        }
    }
    s.host.stop_and_wait(10_000).unwrap();
    s.states_mut().clone_from_slice(&states);
    assert_eq!(s.compare_states(4).unwrap(), None);
    assert_eq!(s.host.steps().unwrap(), 5);
}

#[test]
fn a_bad_vector_sits_its_step_out_and_is_said() {
    let case = case();
    let mut s = start(&case, Door::Preload, 0, 0);
    let golden = s.golden().clone();
    let (inputs, outputs) = (golden.inputs(), golden.outputs());
    let mut states: Vec<_> = s.states_mut().to_vec();
    s.host.start().unwrap();
    for t in 0..5 {
        let mut given = vectors(&case, t);
        let (bad, error) = match t {
            1 => (Some(0), errors::VECTOR_SHORT),
            2 => (Some(2), errors::VECTOR_LONG),
            3 => (Some(1), errors::VECTOR_SHORT),
            _ => (None, 0),
        };
        match t {
            1 => given[0].1.truncate(inputs - 1),
            2 => given[2].1.extend([7; 5]),
            3 => given[1].1.truncate(1),
            _ => (),
        }
        let found = step(&mut s, &given, (3 - usize::from(bad.is_some())) * outputs);
        for (c, state) in states.iter_mut().enumerate() {
            let expected = if bad == Some(c) { vec![] } else { golden.step(state, &case.inputs[c][t]).unwrap().output };
            assert_eq!(found[c], expected, "step {t}, channel {c}");
        }
        assert_eq!(s.host.take_errors().unwrap(), error, "step {t}");
        assert_eq!(s.host.take_bad_vectors().unwrap(), bad.map_or(0, |c| 1 << c), "step {t}");
        assert_eq!(s.host.steps().unwrap(), t as u32 + 1);
    }
    s.host.stop_and_wait(10_000).unwrap();
    s.states_mut().clone_from_slice(&states);
    assert_eq!(s.compare_states(4).unwrap(), None);
}

#[test]
fn a_step_of_bad_vectors_alone_changes_nothing_and_ends() {
    let case = case();
    let mut s = start(&case, Door::Preload, 0, 0);
    passes(&mut s, "before", &sequences(&case, true), Check::Outputs);
    let before = s.host.steps().unwrap();
    let beats: Vec<StreamBeat> = (0..3).flat_map(|c| RecurrentSimulator::beats(c, &[5, 6], true)).collect();
    s.host.bus.0.stream_send(&beats).unwrap();
    s.host.start().unwrap();
    s.host.wait_steps(before + 1, 10_000).unwrap();
    s.host.stop_and_wait(10_000).unwrap();
    assert_eq!(s.host.bus.0.stream_counts().unwrap().2, 0, "nobody has an output");
    assert_eq!(s.host.take_bad_vectors().unwrap(), 0b111);
    assert_eq!(s.compare_states(0).unwrap(), None);
    passes(&mut s, "after", &sequences(&case, false), Check::States);
}

#[test]
fn beats_for_no_channel_are_dropped_and_said() {
    let case = case();
    let mut s = start(&case, Door::Preload, 0, 0);
    for dest in [3, 17, 31] {
        s.host.bus.0.stream_send(&RecurrentSimulator::beats(dest, &[1; 40], true)).unwrap();
        s.host.bus.0.stream_run(0, 0, 1000).unwrap();
        assert_eq!(s.host.take_errors().unwrap(), errors::CHANNEL, "TDEST {dest}");
    }
    passes(&mut s, "after", &sequences(&case, false), Check::States);
    assert_eq!(s.host.take_errors().unwrap(), 0);
}

#[test]
fn a_full_output_holds_steps_back_and_loses_nothing() {
    let case = case();
    let mut s = start(&case, Door::Preload, 0, 0);
    let golden = s.golden().clone();
    let beats: Vec<StreamBeat> =
        (0..5).flat_map(|t| vectors(&case, t)).flat_map(|(c, v)| RecurrentSimulator::beats(c, &v, false)).collect();
    s.host.bus.0.stream_hold(false, true).unwrap();
    s.host.bus.0.stream_send(&beats).unwrap();
    s.host.start().unwrap();
    let limit = 5 * s.limit(5);
    s.host.bus.0.step(limit).unwrap();
    let held = s.host.stream_counters().unwrap();
    assert!(held.steps < 5 && held.stall_output > limit / 10, "{held:?}");
    s.host.bus.0.stream_hold(false, false).unwrap();
    s.host.bus.0.stream_run((5 * 3 * golden.outputs()) as u64, 0, limit).unwrap();
    let found = s.host.bus.0.stream_fetch().unwrap().1;
    let mut states: Vec<_> = s.states_mut().to_vec();
    let mut expected = vec![];
    for t in 0..5 {
        states.iter_mut().zip(&case.inputs).for_each(|(state, steps)| expected.extend(golden.step(state, &steps[t]).unwrap().output));
    }
    assert_eq!(found.iter().map(|b| b.data as u16 as i16).collect::<Vec<_>>(), expected);
}

#[test]
fn reset_and_abort_at_any_cycle_leave_an_accelerator_that_computes_right() {
    let case = case();
    let mut s = start(&case, Door::Preload, 0, 0);
    let expected = passes(&mut s, "before", &sequences(&case, false), Check::Outputs);
    let cycles = s.host.stream_counters().unwrap().cycles;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let beats: Vec<StreamBeat> =
        (0..5).flat_map(|t| vectors(&case, t)).flat_map(|(c, v)| RecurrentSimulator::beats(c, &v, false)).collect();
    for round in 0..60 {
        let at = rng.random_range(0..cycles + 50);
        s.host.bus.0.stream_send(&beats).unwrap();
        s.host.start().unwrap();
        s.host.bus.0.step(at).unwrap();
        if round % 2 == 0 {
            s.reset().unwrap();
        } else {
            // a beat that waits is taken when the stream opens again
            s.host.bus.0.stream_hold(true, false).unwrap();
            s.host.bus.0.step(3).unwrap();
            s.host.abort(10_000).unwrap();
            // what was finished before still comes out
            s.host.bus.0.step(200).unwrap();
            let size = case.inputs[0][0].len();
            let accepted = s.host.bus.0.stream_counts().unwrap().1 as usize;
            s.host.bus.0.stream_clear().unwrap();
            s.host.bus.0.stream_hold(false, false).unwrap();
            if accepted % size != 0 {
                s.host.abort(10_000).unwrap();
                s.host.bus.0.stream_send(&beats[accepted..accepted.next_multiple_of(size)]).unwrap();
                s.host.bus.0.step(50).unwrap();
                assert_eq!(s.host.take_bad_vectors().unwrap(), 0, "the rest of a vector is dropped");
                s.host.bus.0.stream_clear().unwrap();
            }
            s.states_mut().iter_mut().for_each(|state| state.clear());
        }
        assert_eq!(s.host.steps().unwrap(), 0, "round {round}, after {at} cycles");
        assert_eq!(s.compare_states(0).unwrap(), None, "round {round}, after {at} cycles");
        let found = passes(&mut s, &format!("round {round}, after {at} cycles"), &sequences(&case, false), Check::Outputs);
        assert_eq!(found, expected);
        s.clear(0b111).unwrap();
    }
}

#[test]
fn steps_stop_and_go_on_with_a_state_that_the_host_wrote() {
    let case = case();
    let mut s = start(&case, Door::Preload, 20, 0);
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for round in 0..6 {
        for state in s.states_mut() {
            state.vectors.iter_mut().chain(&mut state.cells).for_each(|v| *v = rng.random_range(i16::MIN..=i16::MAX));
        }
        s.write_states().unwrap();
        assert_eq!(s.compare_states(0).unwrap(), None);
        passes(&mut s, &format!("round {round}"), &sequences(&case, false), if round % 2 == 0 { Check::States } else { Check::Outputs });
    }
}

/// A stop with vectors waiting: the step under way ends, the others are run after the next start.
#[test]
fn a_stop_at_any_cycle_loses_no_step() {
    let case = case();
    let mut s = start(&case, Door::Preload, 0, 0);
    let expected = passes(&mut s, "before", &sequences(&case, true), Check::Outputs);
    let cycles = s.host.stream_counters().unwrap().cycles;
    let total = 5 * 3 * s.golden().outputs();
    for at in (0..cycles).step_by((cycles as usize / 30).max(1)) {
        let beats: Vec<StreamBeat> = (0..5)
            .flat_map(|t| vectors(&case, t).into_iter().map(move |v| (t, v)))
            .flat_map(|(t, (c, v))| RecurrentSimulator::beats(c, &v, t == 0))
            .collect();
        s.host.bus.0.stream_send(&beats).unwrap();
        s.host.start().unwrap();
        s.host.bus.0.step(at).unwrap();
        s.host.stop_and_wait(10_000).unwrap();
        s.host.bus.0.step(200).unwrap();
        let before = s.host.steps().unwrap();
        s.host.bus.0.step(200).unwrap();
        assert_eq!(s.host.steps().unwrap(), before, "no step begins after a stop");
        s.host.start().unwrap();
        s.host.bus.0.stream_run(total as u64, 0, 100_000).unwrap();
        s.host.stop_and_wait(10_000).unwrap();
        let mut found: Vec<Vec<Vec<i16>>> = vec![vec![]; 3];
        for vector in s.host.bus.0.stream_fetch().unwrap().1.chunks(s.golden().outputs()) {
            found[vector[0].dest as usize].push(vector.iter().map(|b| b.data as u16 as i16).collect());
        }
        assert_eq!(found, expected, "stopped after {at} cycles");
    }
}

/// Another model of the same architecture: other biases and peepholes.
fn other(model: &RecurrentModel) -> RecurrentModel {
    let mut model = model.clone();
    let arch = model.arch().clone();
    if let Some(words) = model.image.sections.get_mut(&Section::Parameters) {
        for index in 0..words.len() {
            let p = Parameters::read(words, index, &arch);
            let turned = Parameters { biases: p.biases.map(|b| -b / 2), peepholes: p.peepholes.map(|w| w / 3) };
            turned.write(words, index, &arch);
        }
    }
    model
}

#[test]
fn load_a_run_load_b_run_load_a_run() {
    let case = case();
    let b = other(&case.model);
    let mut s = start(&case, Door::Axi, 0, 0);
    let first = passes(&mut s, "A", &sequences(&case, false), Check::States);
    s.load(&b).unwrap();
    let second = passes(&mut s, "B", &sequences(&case, false), Check::States);
    assert_ne!(first, second, "the models must differ for this to say anything");
    s.load(&case.model).unwrap();
    assert_eq!(passes(&mut s, "A again", &sequences(&case, false), Check::States), first);
}

/// The comparison itself: hardware that holds another image than the golden model must differ from it, at a named cell.
#[test]
fn an_image_that_differs_is_found_at_its_first_cell() {
    let case = case();
    let mut s = start(&case, Door::Axi, 0, 0);
    let mut wrong = case.model.image.clone();
    let arch = wrong.arch.clone();
    let lstm = &case.model.network.lstm[1];
    let base = case.model.program().iter().find(|op| op.cell_base == lstm.cell_base && op.count == lstm.cells).unwrap().param_base;
    let words = wrong.sections.get_mut(&Section::Parameters).unwrap();
    let mut p = Parameters::read(words, base + 4, &arch);
    p.biases[2] = if p.biases[2] > 0 { -(1 << 30) } else { 1 << 30 };
    p.biases[0] = 1 << 30;
    p.write(words, base + 4, &arch);
    s.host.write_image(&wrong, |_, _| {}).unwrap();
    s.host.check(&wrong).unwrap();
    s.host.wait_idle(10_000).unwrap();
    for check in [Check::States, Check::Outputs] {
        let m = s.verify(&sequences(&case, true), check).unwrap().mismatch.expect("a difference");
        assert_eq!((m.layer, m.kind, m.index, m.pe), (1, Kind::Cell, 4, 1), "{m}");
        assert_eq!((m.layer_name.as_str(), m.channel, m.step), ("lstm1", 0, 0));
    }
}

#[test]
fn memories_are_closed_while_steps_may_run() {
    let case = case();
    let mut s = start(&case, Door::Preload, 0, 0);
    s.host.start().unwrap();
    assert_eq!(s.host.bus.read(&[map::STATUS]).unwrap()[0] & status::BUSY, status::BUSY);
    assert!(s.host.read_cells(0, 0, 1).is_err());
    assert_eq!(s.host.take_errors().unwrap(), errors::BUSY_ACCESS);
    s.host.stop_and_wait(1000).unwrap();
    s.host.forget();
    s.host.read_cells(0, 0, 1).unwrap();
    assert_eq!(s.host.bus.read(&[map::CHANNELS]).unwrap()[0], 3);
}

#[test]
fn the_interrupt_follows_the_end_of_a_step() {
    let case = case();
    let mut s = start(&case, Door::Preload, 0, 0);
    s.host.bus.write(&[(map::IRQ_ENABLE, 1)]).unwrap();
    assert_eq!(s.host.bus.0.get("irq").unwrap(), 0);
    s.host.start().unwrap();
    for t in 0..2 {
        let beats: Vec<StreamBeat> = vectors(&case, t).iter().flat_map(|(c, v)| RecurrentSimulator::beats(*c, v, false)).collect();
        s.host.bus.0.stream_send(&beats).unwrap();
        s.host.bus.0.wait("irq", 1, 1, 10_000).unwrap();
        assert_eq!(s.host.steps().unwrap(), t as u32 + 1);
        s.host.bus.write(&[(map::IRQ_PENDING, 1)]).unwrap();
        assert_eq!(s.host.bus.0.get("irq").unwrap(), 0);
    }
}
