//! Convolutions: golden model against the definition, hardware under Verilator against golden model and cycle model.

use crate::common::conv::{compiled, conv_case, layer, settings, Hardware};
use lacuna_compress::model::{Conv, QuantizedLayer};
use lacuna_compress::spec::{LayerRecord, MemoryImage, Section, Walk, WeightForm};
use lacuna_sim::golden::Golden;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
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

/// One convolution over 2 channels of 6 x 6, filters of 3 x 3, pooling of 2 x 2, and a layer on its 2 x 2 pixels.
fn small() -> MemoryImage {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let hardware = HARDWARE[5];
    let conv = Conv { channels: 2, height: 6, width: 6, kernel: [3, 3], stride: 1, pool: 2 };
    let first = QuantizedLayer { conv: Some(conv), ..layer(&mut rng, "conv", 4, 18, hardware.weights, 0.5) };
    let second = layer(&mut rng, "fc", 3, 16, hardware.weights, 0.5);
    compiled(&settings(&hardware), &[first, second], &mut rng).unwrap().image
}

#[test]
fn a_walk_that_the_hardware_could_not_end_or_that_leaves_its_buffers_is_refused() {
    let image = small();
    assert_eq!((image.arch.act_depth, Golden::new(&image).unwrap().inputs()), (36, 72));
    let with = |layer: usize, change: fn(&mut LayerRecord, &mut Walk)| {
        let mut image = small();
        let table = image.sections.get_mut(&Section::Layers).unwrap();
        let mut record = LayerRecord::read(table, layer);
        let mut walk = record.walk.unwrap();
        change(&mut record, &mut walk);
        record.walk = Some(walk);
        record.write(table, layer);
        Golden::new(&image).unwrap_err().to_string()
    };
    let first = |change| with(0, change);
    let place = "image: layer 0 of the layer table: ";
    assert_eq!(first(|_, w| w.run_rows = 0), format!("{place}run_rows is 0, allowed are 1 to 9"));
    assert_eq!(first(|_, w| w.run_rows = 10), format!("{place}run_rows is 10, allowed are 1 to 9"));
    assert_eq!(first(|_, w| w.run_rows = 4), format!("{place}source_rows is 9, expected a multiple of run_rows, which is 4"));
    assert_eq!(first(|_, w| w.out_width = 0), format!("{place}out_width is 0, allowed are 1 to 36"));
    assert_eq!(first(|_, w| w.out_height = 0), format!("{place}out_height is 0, allowed are 1 to 36"));
    assert_eq!(first(|_, w| w.pool = 0), format!("{place}pool is 0, allowed are 1 to 4"));
    assert_eq!(first(|_, w| w.pool = 3), format!("{place}out_width is 4, expected a multiple of pool, which is 3"));
    assert_eq!(first(|_, w| w.out_height = 6), format!("{place}out_height is 6, the walk ends at source row 48 of 36"));
    assert_eq!(first(|_, w| w.step_x = 2), format!("{place}out_height is 4, the walk ends at source row 39 of 36"));
    assert_eq!(first(|_, w| w.line_rows = 7), format!("{place}out_height is 4, the walk ends at source row 38 of 36"));
    assert_eq!(first(|_, w| w.line_rows = 2), format!("{place}line_rows is 2, expected at least run_rows, which is 3"));
    let rule = "16 pixels of them are more than the 36 rows of a buffer";
    let wide = |r: &mut LayerRecord, w: &mut Walk| {
        w.pool = 1;
        r.out_rows = 3;
    };
    let found = with(0, wide);
    assert!(found.contains("out_rows is 3") && (found.contains(rule) || found.contains("allowed")), "{found}");
    let second = "image: layer 1 of the layer table: ";
    assert_eq!(with(1, |r, w| (r.source_rows, w.run_rows) = (9, 9)), format!("{second}source_rows is 9, the layer before it makes 8"));
    let moved = with(1, |_, w| (w.out_width, w.step_x) = (2, 1));
    assert_eq!(moved, format!("{second}out_height is 1, the walk ends at source row 9, the layer before it makes 8"));
}

#[cfg(feature = "verilator")]
mod hardware {
    use super::*;
    use crate::common::conv::{case_of, inputs, ConvCase};
    use crate::common::drafted;
    use lacuna_compress::compile::{RowOrder, Settings};
    use lacuna_compress::model::Activation;
    use lacuna_compress::spec::registers::{control, CONTROL};
    use lacuna_sim::host::Transport;
    use lacuna_sim::simulate::{Door, Options, Simulator};

    fn start(case: &ConvCase, door: Door, seed: u64) -> Simulator {
        let options = Options { door, seed, ..drafted() };
        Simulator::new(&case.model, &options).unwrap_or_else(|e| panic!("{}: {e}", case.name))
    }

    /// Runs an input and compares results and counters.
    fn run(simulator: &mut Simulator, case: &ConvCase, input: &[i16]) {
        let positions = case.positions(input, simulator.golden().inputs());
        let verdict = simulator.verify(&positions).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        if let Some(m) = &verdict.mismatch {
            panic!("{}: {m}", case.name);
        }
        assert!(verdict.counters_equal(), "{}: {:?}, cycle model {:?}", case.name, verdict.run, verdict.expected);
    }

    #[test]
    fn random_networks_equal_golden_and_cycle_model() {
        let networks: u64 = std::env::var("CONV_NETWORKS").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
        for (number, hardware) in HARDWARE.iter().enumerate().take(4) {
            for seed in 0..networks {
                let case = conv_case(hardware, 1000 * (number as u64 + 1) + seed);
                let mut simulator = start(&case, if seed % 4 == 3 { Door::Preload } else { Door::Axi }, seed);
                case.inputs.iter().for_each(|input| run(&mut simulator, &case, input));
            }
        }
    }

    /// Places that follow one another as closely as they can, all of a window's on the same destination row.
    fn close_places(pool: usize, rows: usize) -> ConvCase {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let conv = Conv { channels: 3, height: 9, width: 12, kernel: [1, 1], stride: 1, pool };
        let layer = QuantizedLayer { conv: Some(conv), ..layer(&mut rng, "conv", rows, 3, HARDWARE[0].weights, 0.6) };
        case_of(&HARDWARE[0], vec![layer], &mut rng).unwrap()
    }

    #[test]
    fn places_may_follow_one_another_in_every_cycle() {
        for (pool, rows) in [(3, 4), (2, 4), (1, 3), (3, 8)] {
            let case = close_places(pool, rows);
            let mut simulator = start(&case, Door::Axi, 1);
            case.inputs.iter().for_each(|input| run(&mut simulator, &case, input));
            if rows <= HARDWARE[0].pes {
                // one cycle a place when nothing is there, beside the way through scanner and pipeline
                let zeros = simulator.run(&vec![0; simulator.golden().inputs()]).unwrap();
                let places = (9 / pool * pool) * (12 / pool * pool);
                assert_eq!(zeros.cycles, places as u64 + 18, "pool {pool}");
            }
        }
    }

    #[test]
    fn abort_at_any_cycle_leaves_an_accelerator_that_computes_right() {
        let case = conv_case(&HARDWARE[0], 1002);
        let mut simulator = start(&case, Door::Preload, 9);
        let input = &case.inputs[2];
        let positions = case.positions(input, simulator.golden().inputs());
        let cycles = simulator.run(&positions).unwrap().cycles;
        for at in (0..cycles).step_by((cycles as usize / 30).max(1)) {
            simulator.host.write_input(&positions).unwrap();
            simulator.host.start().unwrap();
            simulator.host.bus.0.step(at).unwrap();
            simulator.host.bus.write(&[(CONTROL, control::ABORT)]).unwrap();
            simulator.host.wait_idle(100_000).unwrap();
            run(&mut simulator, &case, input);
        }
    }

    /// LeNet-5's shapes: 28 x 28, 20 filters of 5 x 5, pooling, 50 filters of 5 x 5, pooling, 500, 10.
    #[test]
    fn lenet_5_takes_the_cycles_that_the_model_says() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let hardware = Hardware { pes: 8, fifo_depth: 8, weights: WeightForm::Codebook, entries_per_word: 8, act_depth: 0 };
        let conv = |channels, side| Conv { channels, height: side, width: side, kernel: [5, 5], stride: 1, pool: 2 };
        let mut shaped = |conv: Option<Conv>, rows, columns, density| {
            let mut layer = layer(&mut rng, "lenet", rows, columns, hardware.weights, density);
            layer.activation = Activation::Relu;
            QuantizedLayer { conv, ..layer }
        };
        let layers = vec![
            shaped(Some(conv(1, 28)), 20, 25, 0.5),
            shaped(Some(conv(20, 12)), 50, 500, 0.08),
            shaped(None, 500, 800, 0.05),
            shaped(None, 10, 500, 0.15),
        ];
        let model = compiled(&Settings { rows: RowOrder::Balanced { seed: 1 }, ..settings(&hardware) }, &layers, &mut rng).unwrap();
        let case = ConvCase { name: "LeNet-5".into(), layers, model, inputs: inputs(&mut rng, 784) };
        let mut simulator = start(&case, Door::Preload, 3);
        let trace = simulator.golden().trace(&case.positions(&case.inputs[1], 784 * 8 - 7)).unwrap();
        let timing = simulator.network().time(&trace);
        for (layer, found) in timing.layers.iter().zip(&trace.layers) {
            let places = found.places.len() as u64;
            println!("{places} places, {:?}: {} cycles, bound {}", found.output.len(), layer.cycles, layer.entries_max);
        }
        assert_eq!(case.model.output_rows(trace.output()).unwrap(), *case.expected(&case.inputs[1]).last().unwrap());
        run(&mut simulator, &case, &case.inputs[1]);
    }
}
