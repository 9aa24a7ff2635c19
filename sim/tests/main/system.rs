//! Hardware under Verilator against golden model and cycle model: results and every counter, exactly.

use crate::common::{drafted, random_case, wide_case, Case};
use lacuna_sim::simulate::{Door, Options, Simulator};

fn options(door: Door, seed: u64) -> Options {
    Options { door, seed, ..drafted() }
}

/// Runs every input of a case through a door and compares all there is to compare.
fn run(case: &Case, door: Door, stalls_percent: u32) {
    let mut simulator = Simulator::new(&case.model, &Options { stalls_percent, ..options(door, case.seed) })
        .unwrap_or_else(|e| panic!("{}: {e}", case.name));
    for (number, input) in case.inputs.iter().enumerate() {
        let verdict = simulator.verify(input).unwrap_or_else(|e| panic!("{}: input {number}: {e}", case.name));
        if let Some(m) = &verdict.mismatch {
            panic!("{}: input {number}: {m}", case.name);
        }
        assert!(verdict.counters_equal(), "{}: input {number}: counters {:?}, cycle model {:?}", case.name, verdict.run, verdict.expected);
    }
}

#[test]
fn small_network_equals_golden_through_both_doors() {
    let case = random_case(1);
    run(&case, Door::Axi, 0);
    run(&case, Door::Preload, 30);
}

#[test]
fn random_configurations_equal_golden_and_cycle_model() {
    for seed in 2..14 {
        let case = random_case(seed);
        println!("{}", case.name);
        run(&case, if seed % 3 == 0 { Door::Axi } else { Door::Preload }, 0);
    }
}

#[test]
fn configurations_from_all_that_is_legal_equal_golden_and_cycle_model() {
    for seed in 100..108 {
        let case = wide_case(seed);
        println!("{}", case.name);
        run(&case, if seed % 2 == 0 { Door::Axi } else { Door::Preload }, if seed % 4 == 0 { 20 } else { 0 });
    }
}
