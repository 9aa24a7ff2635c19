//! Commands at awkward moments: clears, masks and aborts while steps run, with vectors on their way in and out.

use crate::common::drafted;
use crate::common::recurrent::{RecurrentCase, Shape};
use lacuna_sim::dut::StreamBeat;
use lacuna_sim::recurrent::{RecurrentOptions, RecurrentSimulator};
use lacuna_sim::simulate::{Door, Options};

fn start(case: &RecurrentCase) -> RecurrentSimulator {
    let common = Options { door: Door::Preload, seed: case.seed, ..drafted() };
    let options = RecurrentOptions { common, input_stalls_percent: 0, output_stalls_percent: 0 };
    RecurrentSimulator::new(&case.model, &options).unwrap()
}

/// Three channels of a network whose outputs tell every step and every state from another.
fn case() -> RecurrentCase {
    RecurrentCase::telling(&Shape::two_layers())
}

/// The vectors of steps `steps`, step by step, of some channels.
fn beats(case: &RecurrentCase, steps: std::ops::Range<usize>, channels: &[usize]) -> Vec<StreamBeat> {
    let vector = |t: usize, c: usize| RecurrentSimulator::beats(c, &case.inputs[c][t], false);
    steps.flat_map(|t| channels.iter().map(move |c| (t, *c))).flat_map(|(t, c)| vector(t, c)).collect()
}

const MARK: i16 = 1234;

fn marked(case: &RecurrentCase) -> RecurrentSimulator {
    let mut s = start(case);
    s.states_mut().iter_mut().for_each(|state| state.vectors.iter_mut().chain(&mut state.cells).for_each(|v| *v = MARK));
    s.write_states().unwrap();
    s
}

/// Is every cell of a channel zero, or as it was marked?
fn cleared(s: &mut RecurrentSimulator, channel: usize) -> bool {
    let cells = s.host.read_cells(channel, 0, 15).unwrap();
    assert!(cells.iter().all(|v| *v == 0) || cells.iter().all(|v| *v == MARK), "channel {channel}: {cells:?}");
    cells[0] == 0
}

#[test]
fn a_clear_during_a_clear_is_not_lost() {
    let case = case();
    let mut s = marked(&case);
    s.host.clear_state(0b001).unwrap();
    s.host.clear_state(0b010).unwrap();
    s.host.wait_idle(10_000).unwrap();
    assert_eq!([0, 1, 2].map(|c| cleared(&mut s, c)), [true, true, false]);
}

#[test]
fn a_clear_waits_for_a_channel_that_sits_steps_out() {
    let case = case();
    // outside the mask
    let mut s = marked(&case);
    let outputs = s.golden().outputs() as u64;
    s.host.set_mask(0b011).unwrap();
    s.host.start().unwrap();
    s.host.bus.0.stream_send(&beats(&case, 0..1, &[0, 1])).unwrap();
    s.host.bus.0.stream_run(2 * outputs, 0, 10_000).unwrap();
    s.host.clear_state(0b100).unwrap();
    s.host.bus.0.stream_send(&beats(&case, 1..3, &[0, 1])).unwrap();
    s.host.wait_steps(3, 10_000).unwrap();
    s.host.stop_and_wait(10_000).unwrap();
    assert!(cleared(&mut s, 2));
    // with a bad vector
    let mut s = marked(&case);
    s.host.start().unwrap();
    s.host.clear_state(0b100).unwrap();
    let mut sent = beats(&case, 0..1, &[0, 1]);
    sent.extend(RecurrentSimulator::beats(2, &case.inputs[2][0][..3], false));
    s.host.bus.0.stream_send(&sent).unwrap();
    s.host.wait_steps(1, 10_000).unwrap();
    s.host.stop_and_wait(10_000).unwrap();
    assert!(cleared(&mut s, 2));
}

#[test]
fn a_clear_at_any_cycle_is_one_clear() {
    let case = case();
    let mut s = start(&case);
    let golden = s.golden().clone();
    let outputs = golden.outputs();
    let with_clear_before = |k: usize| -> Vec<Vec<i16>> {
        let mut state = golden.state();
        let mut run = |t: usize| {
            if t == k {
                state.begin();
            }
            golden.step(&mut state, &case.inputs[1][t]).unwrap().output
        };
        (0..5).map(&mut run).collect()
    };
    let possible: Vec<_> = (0..6).map(with_clear_before).collect();
    let mut seen = 0;
    for at in 0.. {
        s.reset().unwrap();
        s.host.bus.0.stream_send(&beats(&case, 0..5, &[0, 1, 2])).unwrap();
        s.host.start().unwrap();
        s.host.bus.0.step(at).unwrap();
        s.host.clear_state(0b010).unwrap();
        let over = s.host.bus.0.stream_counts().unwrap().2 == 15 * outputs as u64;
        s.host.bus.0.stream_run(15 * outputs as u64, 0, 20_000).unwrap();
        s.host.stop_and_wait(10_000).unwrap();
        let found = s.host.bus.0.stream_fetch().unwrap().1;
        let vectors = found.chunks(outputs).filter(|v| v[0].dest == 1);
        let found: Vec<Vec<i16>> = vectors.map(|v| v.iter().map(|b| b.data as u16 as i16).collect()).collect();
        // a clear of the zero state before step 0 is like none at all: the search goes on from the step before
        let before = (seen..6).find(|k| possible[*k] == found).unwrap_or_else(|| panic!("cycle {at}: no single clear explains {found:?}"));
        // the later the clear, the later the step that it counts for
        assert!(before <= seen + 1, "cycle {at}: before step {before}, a cycle earlier {seen}");
        seen = before;
        if over {
            break;
        }
    }
    assert_eq!(seen, 5);
    assert!(s.host.read_cells(1, 0, 15).unwrap().iter().all(|v| *v == 0), "a clear behind the last step is swept");
}

#[test]
fn a_channel_that_is_disabled_before_a_step_begins_keeps_its_state() {
    let case = case();
    let mut s = start(&case);
    let outputs = s.golden().outputs();
    let mut steps_before = std::collections::BTreeSet::new();
    for at in (0..700).step_by(20) {
        s.reset().unwrap();
        s.host.bus.0.stream_send(&beats(&case, 0..2, &[0, 1, 2])).unwrap();
        s.host.start().unwrap();
        s.host.bus.0.step(at).unwrap();
        s.host.stop_and_wait(10_000).unwrap();
        s.host.bus.0.step(200).unwrap();
        let before = s.host.steps().unwrap();
        steps_before.insert(before);
        let kept = s.host.read_cells(2, 0, 15).unwrap();
        s.host.set_mask(0b011).unwrap();
        s.host.start().unwrap();
        s.host.wait_steps(2, 10_000).unwrap();
        s.host.stop_and_wait(10_000).unwrap();
        assert_eq!(s.host.read_cells(2, 0, 15).unwrap(), kept, "stop after {at} cycles");
        s.host.bus.0.step(200).unwrap();
        let found = s.host.bus.0.stream_fetch().unwrap().1;
        let of = |channel: u32| found.iter().filter(|b| b.dest == channel).count();
        assert_eq!([of(0), of(1), of(2)], [2 * outputs, 2 * outputs, before as usize * outputs], "stop after {at} cycles");
    }
    assert_eq!(steps_before.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn what_is_finished_comes_out_whatever_happens_to_the_rest() {
    let case = case();
    let mut s = start(&case);
    let golden = s.golden().clone();
    let outputs = golden.outputs();
    let mut states = vec![golden.state(); 3];
    let mut step = |t: usize| -> Vec<i16> {
        states.iter_mut().enumerate().flat_map(|(c, state)| golden.step(state, &case.inputs[c][t]).unwrap().output).collect()
    };
    let expected: Vec<i16> = (0..2).flat_map(&mut step).collect();
    for by_load in [false, true] {
        s.reset().unwrap();
        // nobody takes results: two steps fill the buffers, the third waits
        s.host.bus.0.stream_hold(false, true).unwrap();
        s.host.bus.0.stream_send(&beats(&case, 0..3 - usize::from(by_load), &[0, 1, 2])).unwrap();
        s.host.start().unwrap();
        s.host.wait_steps(2, 10_000).unwrap();
        s.host.bus.0.step(1000).unwrap();
        // valid must not fall: the stream's checker would say so
        if by_load {
            s.host.stop_and_wait(10_000).unwrap();
            s.load(&case.model).unwrap();
        } else {
            s.host.abort(10_000).unwrap();
        }
        s.host.bus.0.stream_hold(false, false).unwrap();
        s.host.bus.0.stream_run(2 * 3 * outputs as u64, 0, 10_000).unwrap();
        let found = s.host.bus.0.stream_fetch().unwrap().1;
        assert_eq!(found.iter().map(|b| b.data as u16 as i16).collect::<Vec<_>>(), expected);
        assert!(found.chunks(outputs).all(|v| v.iter().rposition(|b| b.last) == v.iter().position(|b| b.last)));
    }
}

#[test]
fn the_rest_of_a_vector_that_an_abort_met_is_dropped() {
    let case = case();
    let mut s = start(&case);
    let outputs = s.golden().outputs();
    let vector = beats(&case, 0..1, &[0]);
    s.host.start().unwrap();
    s.host.bus.0.stream_send(&vector[..4]).unwrap();
    s.host.bus.0.step(50).unwrap();
    s.host.abort(10_000).unwrap();
    s.host.start().unwrap();
    s.host.bus.0.stream_send(&vector[4..]).unwrap();
    s.host.bus.0.stream_send(&beats(&case, 0..1, &[0, 1, 2])).unwrap();
    s.host.bus.0.stream_run(3 * outputs as u64, 0, 10_000).unwrap();
    assert_eq!((s.host.take_errors().unwrap(), s.host.take_bad_vectors().unwrap()), (0, 0));
    let golden = s.golden().clone();
    let found = s.host.bus.0.stream_fetch().unwrap().1;
    assert_eq!(
        found[..outputs].iter().map(|b| b.data as u16 as i16).collect::<Vec<_>>(),
        golden.step(&mut golden.state(), &case.inputs[0][0]).unwrap().output
    );
}
