//! Compiled recurrent networks: their images have a meaning, and run on the hardware as the golden model says.

use crate::common::drafted;
use lacuna_compress::model::{Activation, Candidate, DenseLayer, LstmLayer, Matrix, Recurrent as Network};
use lacuna_compress::recurrent::{
    compile_recurrent, compile_recurrent_with, synthetic, synthetic_ranges, CompiledRecurrent, Density, Pruning, RecurrentCalibration,
    RecurrentSettings, Shape,
};
use lacuna_compress::spec::WeightForm;
use lacuna_sim::golden::Recurrent;
use lacuna_sim::perf_ese::EseNetwork;
use lacuna_sim::recurrent::{Check, RecurrentOptions, RecurrentSimulator, Sequence};
use lacuna_sim::simulate::{Door, Options};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn network(rng: &mut ChaCha8Rng) -> Network {
    let inputs = rng.random_range(1..20);
    let mut columns = inputs;
    let matrix = |rng: &mut ChaCha8Rng, rows: usize, columns: usize| Matrix {
        rows,
        columns,
        data: (0..rows * columns).map(|_| if rng.random_bool(0.4) { 0.0 } else { rng.random_range(-1.0..1.0) }).collect(),
    };
    let vector = |rng: &mut ChaCha8Rng, count: usize| -> Vec<f32> { (0..count).map(|_| rng.random_range(-1.0..1.0)).collect() };
    let mut out = Network { lstm: vec![], layers: vec![], reverse: false };
    for l in 0..rng.random_range(1..=3) {
        let cells = rng.random_range(2..20);
        let projection = rng.random_bool(0.5).then(|| rng.random_range(1..=cells));
        let hidden = projection.unwrap_or(cells);
        out.lstm.push(LstmLayer {
            name: format!("lstm{l}"),
            input_weights: std::array::from_fn(|_| matrix(rng, cells, columns)),
            hidden_weights: std::array::from_fn(|_| matrix(rng, cells, hidden)),
            bias: std::array::from_fn(|_| vector(rng, cells)),
            peepholes: rng.random_bool(0.5).then(|| std::array::from_fn(|_| vector(rng, cells))),
            projection: projection.map(|rows| matrix(rng, rows, cells)),
            candidate: if rng.random() { Candidate::Tanh } else { Candidate::Sigmoid },
        });
        columns = hidden;
    }
    for d in 0..rng.random_range(0..=2) {
        let rows = rng.random_range(1..10);
        let activation = if rng.random() { Activation::Relu } else { Activation::None };
        out.layers.push(DenseLayer {
            name: format!("fc{d}"),
            weights: matrix(rng, rows, columns),
            bias: vector(rng, rows),
            activation,
            conv: None,
        });
        columns = rows;
    }
    out
}

fn sequences(rng: &mut ChaCha8Rng, network: &Network, count: usize, steps: usize) -> Vec<Vec<Vec<f32>>> {
    let inputs = network.inputs();
    (0..count).map(|_| (0..steps).map(|_| (0..inputs).map(|_| rng.random_range(-2.0..2.0)).collect()).collect()).collect()
}

fn compiled(seed: u64) -> (CompiledRecurrent, Vec<Vec<Vec<f32>>>) {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let network = network(rng);
    let weights = if rng.random() { WeightForm::Direct } else { WeightForm::Codebook };
    let settings = RecurrentSettings {
        pes: rng.random_range(1..=5),
        channels: rng.random_range(1..=3),
        fifo_depth: rng.random_range(1..=16),
        weights,
        weight_bits: if weights == WeightForm::Direct { rng.random_range(4..=12) } else { rng.random_range(3..=6) },
        entries_per_word: 1 << rng.random_range(0..4),
        hold_columns: rng.random_bool(0.5).then(|| rng.random_range(0..20)),
        ..RecurrentSettings::default()
    };
    let calibration = sequences(rng, &network, settings.channels, 6);
    let compiled = compile_recurrent(&network, &settings, &calibration).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    (compiled, calibration)
}

#[test]
fn every_compiled_program_has_a_meaning_and_no_output_is_silent() {
    for seed in 0..200 {
        let (compiled, inputs) = compiled(seed);
        let golden = Recurrent::new(&compiled.model.image).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        let (mut state, mut moved) =
            (golden.state(), compiled.model.network.layers.last().is_some_and(|l| l.activation == Activation::Relu));
        for step in &inputs[0] {
            let trace = golden.step(&mut state, &compiled.model.quantize_input(step).unwrap()).unwrap();
            assert_eq!(trace.output.len(), compiled.model.network.output_size, "seed {seed}");
            moved |= trace.output.iter().any(|v| *v != 0);
        }
        assert!(moved, "seed {seed}");
    }
}

#[test]
fn compiled_networks_run_on_the_hardware_as_golden_says() {
    for seed in 2000..2004 {
        let (compiled, inputs) = compiled(seed);
        let model = &compiled.model;
        let common = Options { door: if seed % 2 == 0 { Door::Axi } else { Door::Preload }, seed, ..drafted() };
        let mut s = RecurrentSimulator::new(model, &RecurrentOptions { common, ..Default::default() }).unwrap();
        let sequence =
            |steps: &Vec<Vec<f32>>| Sequence { steps: steps.iter().map(|v| model.quantize_input(v).unwrap()).collect(), fresh: true };
        let sequences: Vec<Sequence> = inputs.iter().map(sequence).collect();
        for check in [Check::Outputs, Check::States] {
            let verdict = s.verify(&sequences, check).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            assert_eq!(verdict.mismatch, None, "seed {seed}");
        }
    }
}

/// ESE's size, load-balanced at 10 %: what the cycle model says of it.
#[test]
fn a_step_of_ese_takes_little_more_than_its_work() {
    let network = synthetic(&Shape::ESE, 1);
    let ranges = synthetic_ranges(&network);
    let settings =
        RecurrentSettings { pruning: Pruning::LoadBalanced, density: Density::uniform(&network, 0.1), ..RecurrentSettings::default() };
    let compiled = compile_recurrent_with(&network, &settings, RecurrentCalibration::Ranges(&ranges)).unwrap();
    let model = EseNetwork::new(&Recurrent::new(&compiled.model.image).unwrap());
    let (steady, bound) = (model.steady(), model.bound());
    println!(
        "{steady} cycles a step, {bound} of work, {} entries of the busiest PE, {} broadcasts",
        model.entries_max(),
        model.broadcasts()
    );
    assert!((bound..10_400).contains(&steady), "{steady} cycles, bound {bound}");
    assert_eq!(bound, 10_150);
}
