//! From a recurrent network to an image: pruning, formats, fused gates, the program, depths and their errors.

mod image;
mod rules;

use lacuna_compress::manifest::RecurrentModel;
use lacuna_compress::model::{Activation, Candidate, DenseLayer, LstmLayer, Matrix, Recurrent};
use lacuna_compress::recurrent::{compile_recurrent, CompiledRecurrent, RecurrentSettings};
use lacuna_compress::spec::program::{Job, Source};
use lacuna_compress::spec::{Op, WeightForm};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A fraction of the weights is zero, so that PEs have work of different size.
fn matrix(rng: &mut ChaCha8Rng, rows: usize, columns: usize, scale: f32) -> Matrix {
    let mut value = || if rng.random_bool(0.3) { 0.0 } else { rng.random_range(-scale..scale) };
    Matrix { rows, columns, data: (0..rows * columns).map(|_| value()).collect() }
}

fn vector(rng: &mut ChaCha8Rng, count: usize, scale: f32) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(-scale..scale)).collect()
}

/// Cells and projection of each LSTM layer.
fn network(seed: u64, inputs: usize, lstm: &[(usize, Option<usize>)], dense: &[usize], peepholes: bool) -> Recurrent {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let mut columns = inputs;
    let mut out = Recurrent { lstm: vec![], layers: vec![], reverse: false };
    for (l, (cells, projection)) in lstm.iter().enumerate() {
        let hidden = projection.unwrap_or(*cells);
        let scale = 2f32.powi(rng.random_range(-4..3));
        out.lstm.push(LstmLayer {
            name: format!("l{l}"),
            input_weights: std::array::from_fn(|_| matrix(rng, *cells, columns, scale)),
            hidden_weights: std::array::from_fn(|_| matrix(rng, *cells, hidden, 0.5)),
            bias: std::array::from_fn(|_| vector(rng, *cells, 1.0)),
            peepholes: peepholes.then(|| std::array::from_fn(|_| vector(rng, *cells, 0.5))),
            projection: projection.map(|rows| matrix(rng, rows, *cells, 1.0)),
            candidate: if rng.random() { Candidate::Tanh } else { Candidate::Sigmoid },
        });
        columns = hidden;
    }
    for (d, rows) in dense.iter().enumerate() {
        let activation = if d + 1 < dense.len() { Activation::Relu } else { Activation::None };
        let weights = matrix(rng, *rows, columns, 1.0);
        out.layers.push(DenseLayer { name: format!("d{d}"), weights, bias: vector(rng, *rows, 1.0), activation, conv: None });
        columns = *rows;
    }
    out
}

fn settings(pes: usize) -> RecurrentSettings {
    RecurrentSettings { pes, entries_per_word: 2, ..RecurrentSettings::default() }
}

fn sequences(network: &Recurrent, scale: f32) -> Vec<Vec<Vec<f32>>> {
    let rng = &mut ChaCha8Rng::seed_from_u64(7);
    (0..2).map(|_| (0..5).map(|_| vector(rng, network.inputs(), scale)).collect()).collect()
}

fn compiled(network: &Recurrent, settings: &RecurrentSettings) -> CompiledRecurrent {
    compile_recurrent(network, settings, &sequences(network, 2.0)).unwrap()
}

fn fault(network: &Recurrent, settings: &RecurrentSettings) -> String {
    compile_recurrent(network, settings, &sequences(network, 2.0)).unwrap_err().to_string()
}

/// One line per operation: what it broadcasts, waits for and makes.
fn spelled(ops: &[Op]) -> Vec<String> {
    let one = |op: &Op| {
        let source = match op.source {
            Source::Input => "input".into(),
            Source::Ahead => "ahead".into(),
            Source::Vector => format!("v{}", op.source_base),
        };
        let mut text = format!("{source} x{} p{} w{}", op.columns, op.ptr_base, op.layer);
        let flags = [(op.state, "state"), (op.stream, "stream"), (op.whole, "whole"), (op.rows_bank, "rows")];
        flags.iter().filter(|f| f.0).for_each(|f| text += &format!(" {}", f.1));
        match op.job {
            Job::None => (),
            Job::Cells => text += &format!(" -> cells {} c{} q{} v{}", op.count, op.cell_base, op.param_base, op.dest),
            Job::Rows => text += &format!(" -> rows {} q{} v{}", op.count, op.param_base, op.dest),
        }
        let flags = [(op.bias, "bias"), (op.relu, "relu"), (op.store, "store"), (op.output, "output"), (op.last, "last")];
        flags.iter().filter(|f| f.0).for_each(|f| text += &format!(" {}", f.1));
        text
    };
    ops.iter().map(one).collect()
}

#[test]
fn programs_of_each_topology_are_as_spelled_out() {
    let program = |lstm: &[(usize, Option<usize>)], dense: &[usize], hold| {
        let settings = RecurrentSettings { hold_columns: Some(hold), ..settings(2) };
        spelled(&compiled(&network(1, 3, lstm, dense, true), &settings).model.program())
    };
    let plain = ["input x3 p0 w0", "v0 x5 p3 w1 state stream -> cells 5 c0 q0 v0 store output", "ahead x3 p0 w0 last"];
    assert_eq!(program(&[(5, None)], &[], 2), plain);
    let projected = [
        "input x3 p0 w0",
        "v0 x4 p3 w1 state stream -> cells 5 c0 q0 v4 store",
        "ahead x1 p0 w0",
        "v4 x5 p8 w2 stream rows -> rows 4 q0 v0 store output",
        "ahead x3 p0 w0 last",
    ];
    assert_eq!(program(&[(5, Some(4))], &[], 2), projected);
    // everything or nothing is held back
    assert_eq!(program(&[(5, Some(4))], &[], 9), [projected[0], projected[1], projected[3], projected[4]]);
    let nothing_held = program(&[(5, Some(4))], &[], 0);
    assert_eq!((nothing_held.len(), &nothing_held[2][..]), (4, "ahead x3 p0 w0"));
    let dense = [
        "input x3 p0 w0",
        "v0 x5 p3 w1 state -> cells 5 c0 q0 v0 store",
        "ahead x3 p0 w0",
        "v0 x5 p9 w2 stream rows -> rows 6 q5 v5 bias relu store",
        "v5 x6 p15 w3 whole rows -> rows 2 q11 v0 bias output last",
    ];
    // the ahead operation waits for nothing: the cells' job is still the last when the layer streams its results
    assert_eq!(program(&[(5, None)], &[6, 2], 2), dense);
    let projected_dense = [
        "input x3 p0 w0",
        "v0 x4 p3 w1 state -> cells 5 c0 q0 v4 store",
        "ahead x1 p0 w0",
        "v4 x5 p8 w2 stream rows -> rows 4 q0 v0 store",
        "ahead x3 p0 w0",
        "v0 x4 p14 w3 whole rows -> rows 2 q5 v0 bias output last",
    ];
    assert_eq!(program(&[(5, Some(4))], &[2], 2), projected_dense);
    let stacked = [
        "input x3 p0 w0",
        "v0 x4 p3 w1 state -> cells 5 c0 q0 v7 store",
        "v4 x3 p18 w4 state",
        "v7 x5 p8 w2 stream rows -> rows 4 q0 v0 store",
        "v0 x4 p14 w3 stream -> cells 6 c5 q5 v7 store",
        "ahead x1 p0 w0",
        "v7 x6 p22 w5 stream rows -> rows 3 q0 v4 store output",
        "ahead x3 p0 w0 last",
    ];
    assert_eq!(program(&[(5, Some(4)), (6, Some(3))], &[], 2), stacked);
    let three = [
        "input x3 p0 w0",
        "v0 x5 p3 w1 state -> cells 5 c0 q0 v0 store",
        "v5 x4 p14 w3 state",
        "v0 x5 p9 w2 stream -> cells 4 c5 q5 v5 store",
        "v9 x3 p23 w5 state",
        "v5 x4 p19 w4 stream -> cells 3 c9 q9 v9 store output",
        "ahead x3 p0 w0 last",
    ];
    assert_eq!(program(&[(5, None), (4, None), (3, None)], &[], 2), three);
}

#[test]
fn containers_round_trip() {
    for (form, bits) in [(WeightForm::Direct, 12), (WeightForm::Codebook, 4)] {
        let settings = RecurrentSettings { weights: form, weight_bits: bits, ..settings(3) };
        let model = compiled(&network(3, 4, &[(7, Some(5)), (4, None)], &[6, 2], true), &settings).model;
        assert_eq!(RecurrentModel::from_container(&model.to_container().unwrap()).unwrap(), model);
    }
}

fn random_network(seed: u64) -> (Recurrent, RecurrentSettings) {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let layers = rng.random_range(1..=3);
    let lstm: Vec<(usize, Option<usize>)> =
        (0..layers).map(|_| (rng.random_range(1..12), rng.random_bool(0.5).then(|| rng.random_range(1..9)))).collect();
    let dense: Vec<usize> = (0..rng.random_range(0..3)).map(|_| rng.random_range(1..8)).collect();
    let network = network(seed, rng.random_range(1..9), &lstm, &dense, rng.random());
    let (weights, weight_bits) =
        if rng.random_bool(0.6) { (WeightForm::Direct, rng.random_range(8..=16)) } else { (WeightForm::Codebook, 4) };
    let run_bits = rng.random_bool(0.5).then(|| rng.random_range(2..=8));
    (network, RecurrentSettings { weights, weight_bits, run_bits, ..settings(rng.random_range(1..6)) })
}
