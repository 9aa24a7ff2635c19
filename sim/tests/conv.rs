//! Convolutions: golden model against the definition, hardware under Verilator against golden model and cycle model.

mod common;

use common::conv::{conv_case, Hardware};
use lacuna_compress::spec::WeightForm;
use lacuna_sim::golden::Golden;
use std::collections::HashSet;

const HARDWARE: [Hardware; 6] = [
    hardware(4, 8, WeightForm::Codebook, 8),
    hardware(1, 2, WeightForm::Direct, 4),
    hardware(3, 1, WeightForm::Codebook, 1),
    hardware(8, 4, WeightForm::Direct, 2),
    hardware(9, 2, WeightForm::Codebook, 4),
    hardware(2, 16, WeightForm::Codebook, 2),
];

const fn hardware(pes: usize, fifo_depth: usize, weights: WeightForm, entries_per_word: usize) -> Hardware {
    Hardware { pes, fifo_depth, weights, entries_per_word, act_depth: 600 }
}

#[test]
fn golden_equals_the_definition() {
    let mut seen = HashSet::new();
    let (mut saturated, mut negative) = (0, 0);
    for seed in 0..240 {
        let case = conv_case(&HARDWARE[seed as usize % HARDWARE.len()], seed);
        let golden = Golden::new(&case.model.image).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        for input in &case.inputs {
            let trace = golden.trace(&case.positions(input, golden.inputs())).unwrap();
            let expected = case.expected(input);
            let last = &expected[expected.len() - 1];
            assert_eq!(case.model.output_rows(trace.output()).unwrap(), *last, "{}", case.name);
            assert_eq!(golden.infer(&case.positions(input, golden.inputs())).unwrap(), trace.output());
            saturated += trace.saturated();
            for (layer, expected) in case.layers.iter().zip(&expected) {
                if layer.conv.is_some_and(|conv| conv.pool > 1) {
                    negative += expected.iter().filter(|v| **v < 0).count();
                }
            }
        }
        for conv in case.layers.iter().filter_map(|layer| layer.conv) {
            seen.insert((conv.kernel[0].min(conv.kernel[1]), conv.stride, conv.pool));
        }
    }
    assert!(saturated > 0 && negative > 0, "saturated {saturated}, negative under pooling {negative}");
    assert!(seen.len() > 15, "kernels, strides and poolings: {seen:?}");
}

#[cfg(feature = "verilator")]
mod hardware {
    use super::*;
    use common::cache;
    use lacuna_sim::simulate::{Door, Options, Simulator};

    #[test]
    fn random_networks_equal_golden_and_cycle_model() {
        let networks: u64 = std::env::var("CONV_NETWORKS").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
        for (number, hardware) in HARDWARE.iter().enumerate() {
            for seed in 0..networks {
                let case = conv_case(hardware, 1000 * (number as u64 + 1) + seed);
                let door = if seed % 4 == 3 { Door::Preload } else { Door::Axi };
                let options = Options { door, seed, cache: cache(), ..Options::default() };
                let mut simulator = Simulator::new(&case.model, &options).unwrap_or_else(|e| panic!("{}: {e}", case.name));
                for (number, input) in case.inputs.iter().enumerate() {
                    let positions = case.positions(input, simulator.golden().inputs());
                    let verdict = simulator.verify(&positions).unwrap_or_else(|e| panic!("{}: input {number}: {e}", case.name));
                    if let Some(m) = &verdict.mismatch {
                        panic!("{}: input {number}: {m}", case.name);
                    }
                    let (run, expected) = (&verdict.run, &verdict.expected);
                    assert!(verdict.counters_equal(), "{}: input {number}: {run:?}, cycle model {expected:?}", case.name);
                }
            }
        }
    }
}
