//! The cycle model of the LSTM datapath against the hardware: every step's last beat, every stall, exactly.

use crate::common::drafted;
use crate::common::recurrent::RecurrentCase;
use lacuna_compress::spec::registers as map;
use lacuna_sim::dut::StreamBeat;
use lacuna_sim::host::Transport;
use lacuna_sim::perf_ese::EseNetwork;
use lacuna_sim::recurrent::{RecurrentOptions, RecurrentSimulator};
use lacuna_sim::simulate::{Door, Options};

fn start(case: &RecurrentCase) -> RecurrentSimulator {
    let common = Options { door: Door::Preload, seed: case.seed, ..drafted() };
    RecurrentSimulator::new(&case.model, &RecurrentOptions { common, ..Default::default() }).unwrap()
}

/// Vectors of all channels for some steps. Two vectors of each channel are taken in before this returns.
fn feed(s: &mut RecurrentSimulator, case: &RecurrentCase, steps: usize) {
    let channels = case.inputs.len();
    let vector = |c: usize, t: usize| RecurrentSimulator::beats(c, &case.inputs[c][t % case.inputs[c].len()], false);
    let beats: Vec<StreamBeat> = (0..steps).flat_map(|t| (0..channels).flat_map(move |c| vector(c, t))).collect();
    s.host.bus.0.stream_send(&beats).unwrap();
    s.host.bus.0.step((2 * case.inputs[0][0].len() * channels + 10) as u64).unwrap();
}

/// Cycle of the last beat of each of the first `steps` steps.
fn ends(s: &mut RecurrentSimulator, steps: usize) -> Vec<u64> {
    let of_step = s.golden().outputs() * s.model().arch().channels();
    s.host.bus.0.stream_run((steps * of_step) as u64, u64::MAX, 1_000_000).unwrap();
    let taken = s.host.bus.0.stream_fetch().unwrap().1;
    taken.chunks_exact(of_step).take(steps).map(|beats| beats[of_step - 1].cycle).collect()
}

#[test]
fn every_step_and_every_stall_is_predicted() {
    for seed in 1000..1012 {
        let case = RecurrentCase::random(seed);
        println!("{}", case.name);
        let mut s = start(&case);
        let model = EseNetwork::new(s.golden());
        let from_first = |ends: &[u64]| ends.iter().map(|e| e - ends[0]).collect::<Vec<u64>>();

        // one step, stopped while its last job runs: from the start to the last result
        let one = model.run_all(1);
        feed(&mut s, &case, 1);
        s.host.start().unwrap();
        s.host.bus.0.step(one.completes[0] - 16).unwrap();
        s.host.stop_and_wait(100_000).unwrap();
        assert_eq!(s.host.stream_counters().unwrap().cycles, one.completes[0], "{}", case.name);
        s.reset().unwrap();

        // input without an end
        feed(&mut s, &case, 14);
        s.host.start().unwrap();
        let found = ends(&mut s, 12);
        assert_eq!(from_first(&found), from_first(&model.run(12).ends), "{}", case.name);
        s.reset().unwrap();

        // twelve vectors, and all counters when nothing is left to do
        feed(&mut s, &case, 12);
        s.host.start().unwrap();
        let expected = model.run_all(12);
        assert_eq!(from_first(&ends(&mut s, 12)), from_first(&expected.ends), "{}", case.name);
        s.host.stop_and_wait(100_000).unwrap();
        let c = s.host.stream_counters().unwrap();
        let found = (c.steps, c.stall_queue, c.stall_data, c.stall_output);
        assert_eq!(found, (12, expected.stall_queue, expected.stall_data, expected.stall_output), "{}", case.name);
        assert_eq!(s.host.bus.read(&[map::STALL_SCAN, map::STALL_DRAIN]).unwrap(), [0, 0]);
    }
}
