//! The LSTM datapath under Verilator against the golden model: every output, every c and h.

use crate::common::drafted;
use crate::common::float;
use crate::common::recurrent::{RecurrentCase, Shape};
use lacuna_compress::compile::Depths;
use lacuna_compress::manifest::RecurrentModel;
use lacuna_compress::model::Recurrent as Network;
use lacuna_compress::recurrent::{compile_recurrent, RecurrentSettings};
use lacuna_compress::spec::registers::{self as map, errors, status};
use lacuna_compress::spec::{Arch, Ese, Parameters, Section};
use lacuna_sim::dut::StreamBeat;
use lacuna_sim::host::Transport;
use lacuna_sim::recurrent::{Check, Kind, RecurrentOptions, RecurrentSimulator, Sequence};
use lacuna_sim::simulate::{Door, Options};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeSet, VecDeque};

fn start(case: &RecurrentCase, door: Door, input_stalls_percent: u32, output_stalls_percent: u32) -> RecurrentSimulator {
    let common = Options { door, seed: case.seed, ..drafted() };
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

/// One whose outputs depend on inputs and states of every channel.
fn case() -> RecurrentCase {
    RecurrentCase::telling(&Shape::two_layers())
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
            if !accepted.is_multiple_of(size) {
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

/// Two compiled networks of one architecture, each deep enough for both, with two sequences for each.
fn of_one_architecture(networks: [&Network; 2]) -> [(RecurrentModel, Vec<Sequence>); 2] {
    let rng = &mut ChaCha8Rng::seed_from_u64(5);
    let steps = networks.map(|network| float::sequences(rng, network.inputs(), 2, 6));
    let narrow = RecurrentSettings {
        pes: 3,
        channels: 2,
        fifo_depth: 4,
        weight_bits: 8,
        run_bits: Some(4),
        entries_per_word: 2,
        ..RecurrentSettings::default()
    };
    let compile = |settings: &RecurrentSettings| [0, 1].map(|k| compile_recurrent(networks[k], settings, &steps[k]).unwrap().model);
    let alone = compile(&narrow);
    let most = |of: fn(&Arch, &Ese) -> usize| alone.iter().map(|m| of(m.arch(), m.arch().ese.as_ref().unwrap())).max();
    let depths = Depths {
        spmat: most(|a, _| a.spmat_depth),
        ptr: most(|a, _| a.ptr_depth),
        act: most(|a, _| a.act_depth),
        acc: most(|a, _| a.acc_depth),
        bias: most(|a, _| a.bias_depth),
        max_layers: most(|a, _| a.max_layers),
    };
    let (cell_depth, input_depth) = (most(|_, e| e.cell_depth), most(|_, e| e.input_depth));
    let (output_depth, acc_bits) = (most(|_, e| e.output_depth), most(|a, _| a.acc_bits));
    let [a, b] = compile(&RecurrentSettings { depths, cell_depth, input_depth, output_depth, acc_bits, ..narrow });
    assert_eq!(a.arch(), b.arch());
    let sequences = |k: usize, model: &RecurrentModel| {
        let steps = steps[k].iter().map(|steps| steps.iter().map(|v| model.quantize_input(v).unwrap()).collect());
        steps.map(|steps| Sequence { steps, fresh: false }).collect()
    };
    let (of_a, of_b) = (sequences(0, &a), sequences(1, &b));
    [(a, of_a), (b, of_b)]
}

/// Two networks that share nothing but the hardware, of which neither is the larger one in everything.
#[test]
fn load_a_run_load_b_run_load_a_run() {
    let rng = &mut ChaCha8Rng::seed_from_u64(4);
    let a = float::network(rng, 9, &[(8, Some(5)), (7, None)], &[4], true);
    let b = float::network(rng, 14, &[(11, None)], &[6, 3], false);
    let [(a, of_a), (b, of_b)] = of_one_architecture([&a, &b]);
    for section in a.image.sections.keys() {
        assert_ne!(a.image.sections[section], b.image.sections[section], "{section}");
    }
    assert!(a.program().len() != b.program().len() && a.network.output_size != b.network.output_size);
    let common = Options { door: Door::Axi, seed: 4, ..drafted() };
    let mut s = RecurrentSimulator::new(&a, &RecurrentOptions { common, ..Default::default() }).unwrap();
    let first = passes(&mut s, "A", &of_a, Check::Outputs);
    s.load(&b).unwrap();
    let second = passes(&mut s, "B", &of_b, Check::Outputs);
    passes(&mut s, "B goes on", &of_b, Check::States);
    s.load(&a).unwrap();
    assert_eq!(passes(&mut s, "A again", &of_a, Check::States), first);
    s.load(&b).unwrap();
    assert_eq!(passes(&mut s, "B again", &of_b, Check::States), second);
    let moves = |outputs: &[Vec<Vec<i16>>]| outputs.iter().all(|steps| steps.windows(2).all(|w| w[0] != w[1]));
    assert!(moves(&first) && moves(&second), "the networks must do something");
}

/// One stream at full speed, without a stop: sequences begin and vectors are bad at random, the beats of a step's vectors
/// come mixed.
fn stream_of_random_steps(case: &RecurrentCase, seed: u64, input_stalls: u32, output_stalls: u32) {
    let what = format!("{}, stream {seed}, stalls {input_stalls} {output_stalls}", case.name);
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let mut s = start(case, Door::Preload, input_stalls, output_stalls);
    let golden = s.golden().clone();
    let inputs = golden.inputs();
    let mut states: Vec<_> = s.states_mut().to_vec();
    let (mut beats, mut expected) = (vec![], vec![]);
    let (mut bad_channels, mut faults, mut begun) = (0, 0, 0);
    let steps = 40;
    for t in 0..steps {
        let mut queues: Vec<VecDeque<StreamBeat>> = vec![];
        for (channel, state) in states.iter_mut().enumerate() {
            let (fresh, bad) = (t > 0 && rng.random_bool(0.2), inputs > 1 && rng.random_bool(0.15));
            let mut values = case.inputs[channel][rng.random_range(0..case.inputs[channel].len())].clone();
            if bad && rng.random_bool(0.5) {
                values.truncate(rng.random_range(1..inputs));
                faults |= errors::VECTOR_SHORT;
            } else if bad {
                values.extend((0..rng.random_range(1..4)).map(|_| rng.random_range(i16::MIN..=i16::MAX)));
                faults |= errors::VECTOR_LONG;
            }
            queues.push(RecurrentSimulator::beats(channel, &values, fresh).into());
            if bad {
                // it sits out, and its TUSER counts for nothing
                bad_channels |= 1 << channel;
                continue;
            }
            if fresh {
                state.begin();
                begun += 1;
            }
            let output = golden.step(state, &values).unwrap().output;
            let last = output.len() - 1;
            expected.extend(output.iter().enumerate().map(|(k, v)| (t, channel as u32, *v, k == last)));
        }
        while !queues.is_empty() {
            let next = rng.random_range(0..queues.len());
            beats.extend(queues[next].pop_front());
            queues.retain(|queue| !queue.is_empty());
        }
    }
    assert!(begun > 5 && (inputs == 1 || bad_channels > 0), "{what}");
    s.host.bus.0.stream_send(&beats).unwrap();
    s.host.start().unwrap();
    let limit = 4 * s.limit(steps);
    s.host.bus.0.stream_run(expected.len() as u64, 0, limit).unwrap_or_else(|e| panic!("{what}: {e}"));
    // the last step may have no output
    s.host.wait_steps(steps as u32, limit).unwrap();
    assert_eq!(s.host.take_errors().unwrap(), faults, "{what}");
    assert_eq!(s.host.take_bad_vectors().unwrap(), bad_channels, "{what}");
    s.host.stop_and_wait(limit).unwrap();
    let found = s.host.bus.0.stream_fetch().unwrap().1;
    assert_eq!(found.len(), expected.len(), "{what}");
    for (number, (beat, (step, channel, value, last))) in found.iter().zip(&expected).enumerate() {
        let found = (beat.dest, beat.data as u16 as i16, beat.last);
        assert_eq!(found, (*channel, *value, *last), "{what}: beat {number}, of step {step}");
    }
    s.states_mut().clone_from_slice(&states);
    assert_eq!(s.compare_states(steps - 1).unwrap(), None, "{what}");
    assert_eq!(s.host.steps().unwrap(), steps as u32, "{what}");
}

#[test]
fn streams_of_random_steps_at_full_speed_equal_golden() {
    let case = case();
    for (seed, (input, output)) in [(0, 0), (0, 50), (50, 0), (20, 20), (90, 0), (0, 90), (90, 90), (0, 0)].into_iter().enumerate() {
        stream_of_random_steps(&case, seed as u64, input, output);
    }
    // the last job's results are the next step's state at once
    let short = Shape { lstm: vec![(2, None)], layers: vec![], inputs: 3, fifo_depth: 2, ahead: None, ..Shape::two_layers() };
    let tight = RecurrentCase::telling(&short);
    for (seed, (input, output)) in [(0, 0), (30, 30)].into_iter().enumerate() {
        stream_of_random_steps(&tight, 20 + seed as u64, input, output);
    }
}

/// Channels beyond three, each with a sequence of its own length.
fn channels_equal_golden(shape: &Shape) {
    let case = RecurrentCase::telling(shape);
    let mut s = start(&case, Door::Preload, 20, 0);
    let cut = |case: &RecurrentCase| -> Vec<Sequence> {
        let of = |(c, steps): (usize, &Vec<Vec<i16>>)| Sequence { steps: steps[..1 + c % steps.len()].to_vec(), fresh: c % 2 == 0 };
        case.inputs.iter().enumerate().map(of).collect()
    };
    let first = passes(&mut s, &case.name, &sequences(&case, false), Check::Outputs);
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), shape.channels, "the channels must differ");
    passes(&mut s, &case.name, &cut(&case), Check::States);
    passes(&mut s, &case.name, &sequences(&case, false), Check::Outputs);
    assert_eq!(s.compare_states(0).unwrap(), None);
    assert_eq!((s.host.take_errors().unwrap(), s.host.take_bad_vectors().unwrap()), (0, 0));
}

#[test]
fn four_channels_equal_golden() {
    channels_equal_golden(&Shape { channels: 4, ..Shape::two_layers() });
}

#[test]
fn thirty_two_channels_on_two_pes_equal_golden() {
    let lstm = vec![(5, Some(3))];
    channels_equal_golden(&Shape {
        pes: 2,
        channels: 32,
        inputs: 4,
        lstm,
        layers: vec![2],
        ahead: Some((2, 4)),
        steps: 3,
        ..Shape::two_layers()
    });
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
