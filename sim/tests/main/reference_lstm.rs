//! The floating-point reference agrees with independent tools: onnxruntime, the onnx package's evaluator and PyTorch, whose
//! answers scripts/vectors recorded.

use lacuna_compress::config::{Config, Direction, LayerConfig, LstmConfig, LstmFormat, LstmTensors};
use lacuna_compress::import::{load_onnx_lstm, load_recurrent};
use lacuna_compress::inputs::{load_tensors, Tensor};
use lacuna_compress::model::Activation;
use lacuna_sim::reference::{concatenate, run_onnx, LstmReference, OnnxInputs};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(name)
}

fn max_error<'a>(found: impl IntoIterator<Item = f64>, expected: impl IntoIterator<Item = &'a f32>) -> f64 {
    let (found, expected): (Vec<f64>, Vec<f64>) = (found.into_iter().collect(), expected.into_iter().map(|v| f64::from(*v)).collect());
    assert_eq!(found.len(), expected.len());
    // NaN counts as the largest error
    found.iter().zip(&expected).map(|(f, e)| (f - e).abs()).fold(0.0, |most, e| if e <= most { most } else { e })
}

fn wide(tensor: &Tensor) -> impl Iterator<Item = f64> + '_ {
    tensor.data.iter().map(|v| f64::from(*v))
}

const CASES: [&str; 26] = [
    "batchwise",
    "batchwise_bidirectional",
    "batchwise_initial_state",
    "batchwise_reverse",
    "bidirectional",
    "bidirectional_peepholes",
    "constant_nodes",
    "defaults",
    "double",
    "double_typed",
    "external",
    "float16",
    "float16_typed",
    "float_typed",
    "forward",
    "initial_bias",
    "initial_state",
    "initial_state_constant",
    "mixed_candidates",
    "peepholes",
    "reverse",
    "sequence_lens",
    "sequence_lens_bidirectional",
    "sequence_lens_reverse",
    "sequence_lens_zero",
    "sigmoid_candidate",
];

fn inputs_of(recorded: &BTreeMap<String, Tensor>) -> OnnxInputs {
    OnnxInputs {
        x: recorded["X"].clone(),
        sequence_lens: recorded.get("sequence_lens").map(|t| t.data.iter().map(|v| *v as usize).collect()),
        initial_h: recorded.get("initial_h").cloned(),
        initial_c: recorded.get("initial_c").cloned(),
    }
}

#[test]
fn every_onnx_case_is_within_1e_5_of_its_recording() {
    let stored = std::fs::read_dir(data("onnx")).unwrap().map(|e| e.unwrap().path());
    let stored: BTreeSet<String> =
        stored.filter(|p| p.extension().is_some_and(|e| e == "onnx")).map(|p| p.file_stem().unwrap().to_str().unwrap().into()).collect();
    assert_eq!(stored, CASES.map(String::from).into());
    for case in CASES {
        let node = load_onnx_lstm(&data(&format!("onnx/{case}.onnx")), "lstm").unwrap();
        let recorded = load_tensors(&data(&format!("onnx/{case}.safetensors"))).unwrap();
        let found = run_onnx(&node, &inputs_of(&recorded)).unwrap();
        let mut most = 0f64;
        for (name, found) in [("Y", &found.y), ("Y_h", &found.y_h), ("Y_c", &found.y_c)] {
            assert_eq!(found.shape, recorded[name].shape, "{case} {name}");
            most = most.max(max_error(wide(found), &recorded[name].data));
        }
        println!("{case:32} {most:.1e}");
        assert!(most < 1e-5, "{case}: {most:e}");
        // a comparison of zeros would hold whatever the reference did
        assert!(wide(&recorded["Y"]).any(|v| v.abs() > 0.05), "{case}");
    }
}

#[test]
fn inputs_that_do_not_fit_a_node_are_refused() {
    let node = load_onnx_lstm(&data("onnx/sequence_lens.onnx"), "lstm").unwrap();
    let good = inputs_of(&load_tensors(&data("onnx/sequence_lens.safetensors")).unwrap());
    let error = |change: &dyn Fn(&mut OnnxInputs)| {
        let mut inputs = good.clone();
        change(&mut inputs);
        run_onnx(&node, &inputs).unwrap_err()
    };
    assert_eq!(error(&|i| i.x.shape = vec![5, 2, 6]), "X: found shape [5, 2, 6], expected [5, 2, 4]");
    assert_eq!(error(&|i| i.x.shape = vec![60]), "X: found shape [60], expected three axes");
    assert_eq!(error(&|i| i.sequence_lens = Some(vec![5, 6, 1])), "sequence_lens: found [5, 6, 1], expected 3 lengths of at most 5");
    assert_eq!(error(&|i| i.sequence_lens = Some(vec![5])), "sequence_lens: found [5], expected 3 lengths of at most 5");
    let flat = Tensor { shape: vec![15], data: vec![0.0; 15] };
    assert_eq!(error(&|i| i.initial_c = Some(flat.clone())), "initial_c: found shape [15], expected [1, 3, 5]");
}

#[test]
fn dtln_is_within_1e_5_of_onnxruntime_over_20_steps() {
    let mut config = Config { folder: data("dtln"), ..Config::default() };
    config.model.file = "model_1.onnx".into();
    let node = |name: &str| LstmConfig { node: Some(name.into()), ..LstmConfig::new("", LstmFormat::Onnx) };
    config.model.lstm = vec![node("lstm_4"), node("lstm_5")];
    config.model.layer = vec![LayerConfig { activation: Activation::None, ..LayerConfig::from_node("", "dense_2") }];
    let networks = load_recurrent(&config).unwrap();
    let [network] = networks.as_slice() else { panic!("one direction") };
    assert_eq!((network.inputs(), network.outputs(), network.lstm.len(), network.layers.len()), (257, 257, 2, 1));

    let recorded = load_tensors(&data("dtln/steps.safetensors")).unwrap();
    let row = |name: &str, step: usize| {
        let size = recorded[name].shape[1];
        recorded[name].data[step * size..(step + 1) * size].to_vec()
    };
    let reference = LstmReference::new(network);
    let mut state = reference.state();
    let mut errors: BTreeMap<&str, f64> = BTreeMap::new();
    for step in 0..20 {
        let trace = reference.trace(&mut state, &row("X", step));
        let mask = trace.output().iter().map(|z| 1.0 / (1.0 + (-z).exp()));
        let [first, second] = &trace.lstm[..] else { panic!("two layers") };
        for (name, found) in [
            ("lstm_4_h", first.h.clone()),
            ("lstm_4_c", first.c.clone()),
            ("lstm_5_h", second.h.clone()),
            ("lstm_5_c", second.c.clone()),
            ("logits", trace.output().to_vec()),
            ("mask", mask.collect()),
        ] {
            let error = max_error(found, &row(name, step));
            let most = errors.entry(name).or_default();
            *most = most.max(error);
        }
    }
    println!("{errors:?}");
    assert!(errors.values().all(|e| *e < 1e-5), "{errors:?}");
    assert!(max_error(wide(&recorded["mask"]), &vec![0.0; 20 * 257]) > 0.5, "the mask does something");
}

fn pytorch(file: &str) -> (Config, BTreeMap<String, Tensor>) {
    let mut config = Config { folder: data("pytorch"), ..Config::default() };
    config.model.file = file.into();
    (config, load_tensors(&data("pytorch").join(file)).unwrap())
}

fn steps(tensor: &Tensor) -> Vec<&[f32]> {
    tensor.data.chunks_exact(tensor.shape[1]).collect()
}

#[test]
fn pytorch_layers_with_projections_are_within_1e_5() {
    let (mut config, recorded) = pytorch("projection.safetensors");
    let layer = |l: usize| {
        let some = |name: &str| Some(format!("{name}_l{l}"));
        LstmConfig {
            weight_ih: some("weight_ih"),
            weight_hh: some("weight_hh"),
            bias_ih: some("bias_ih"),
            bias_hh: some("bias_hh"),
            weight_hr: some("weight_hr"),
            ..LstmConfig::new("", LstmFormat::PyTorch)
        }
    };
    config.model.lstm = vec![layer(0), layer(1)];
    let network = &load_recurrent(&config).unwrap()[0];
    let sizes: Vec<_> = network.lstm.iter().map(|l| (l.inputs(), l.cells(), l.hidden())).collect();
    assert_eq!(sizes, [(5, 7, 4), (4, 7, 4)]);
    let reference = LstmReference::new(network);
    let mut state = reference.state();
    let y = reference.run(&mut state, &steps(&recorded["x"]));
    let errors = [
        max_error(y.into_iter().flatten(), &recorded["y"].data),
        max_error(state.h.into_iter().flatten(), &recorded["h"].data),
        max_error(state.c.into_iter().flatten(), &recorded["c"].data),
    ];
    println!("{errors:?}");
    assert!(errors.iter().all(|e| *e < 1e-5), "{errors:?}");
}

#[test]
fn pytorch_bidirectional_is_two_networks_whose_outputs_are_concatenated() {
    let (mut config, recorded) = pytorch("bidirectional.safetensors");
    let tensors = |end: &str| LstmTensors {
        weight_ih: Some(format!("weight_ih_l0{end}")),
        weight_hh: Some(format!("weight_hh_l0{end}")),
        ..LstmTensors::default()
    };
    let forward = tensors("");
    config.model.lstm = vec![LstmConfig {
        weight_ih: forward.weight_ih,
        weight_hh: forward.weight_hh,
        direction: Some(Direction::Bidirectional),
        reverse: Some(tensors("_reverse")),
        ..LstmConfig::new("both", LstmFormat::PyTorch)
    }];
    let networks = load_recurrent(&config).unwrap();
    assert_eq!(networks.iter().map(|n| n.reverse).collect::<Vec<_>>(), [false, true]);
    let x = steps(&recorded["x"]);
    let run = |network| {
        let reference = LstmReference::new(network);
        reference.run(&mut reference.state(), &x)
    };
    let y = concatenate(&run(&networks[0]), &run(&networks[1]));
    let error = max_error(y.into_iter().flatten(), &recorded["y"].data);
    println!("{error:.1e}");
    assert!(error < 1e-5, "{error:e}");
}

/// The equations by hand, for one cell and one input.
#[test]
fn a_step_can_be_followed_by_every_intermediate_value() {
    use lacuna_compress::model::{Candidate, LstmLayer, Matrix, Recurrent};
    let one = |w: f32| Matrix { rows: 1, columns: 1, data: vec![w] };
    let layer = LstmLayer {
        name: "l".into(),
        input_weights: [0.5, -0.25, 1.0, 2.0].map(one),
        hidden_weights: [1.0, 0.5, -1.0, 0.25].map(one),
        bias: [0.1, 0.2, 0.3, 0.4].map(|b| vec![b]),
        peepholes: Some([0.5, -0.5, 2.0].map(|p| vec![p])),
        projection: Some(Matrix { rows: 2, columns: 1, data: vec![3.0, 0.0] }),
        candidate: Candidate::Sigmoid,
    };
    // a hidden value more than cells
    let layer =
        LstmLayer { hidden_weights: layer.hidden_weights.clone().map(|m| Matrix { columns: 2, data: vec![m.data[0], 0.0], ..m }), ..layer };
    let reference = LstmReference::new(&Recurrent { lstm: vec![layer], layers: vec![], reverse: false });
    let mut state = reference.state();
    assert_eq!((state.h.clone(), state.c.clone()), (vec![vec![0.0; 2]], vec![vec![0.0]]));
    (state.h[0][0], state.c[0][0]) = (0.75, -1.5);
    let trace = reference.trace(&mut state, &[2.0]);
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a} {b}");
    let cell = &trace.lstm[0];
    near(cell.z[0][0], 1.0 + 0.75 - 0.75 + 0.1);
    near(cell.z[1][0], -0.5 + 0.375 + 0.75 + 0.2);
    near(cell.z[2][0], 2.0 - 0.75 + 0.3);
    let c = sigmoid(0.825) * -1.5 + sigmoid(1.1) * sigmoid(1.55);
    near(cell.c[0], c);
    near(cell.z[3][0], 4.0 + 0.1875 + 0.4 + 2.0 * c);
    near(cell.m[0], sigmoid(cell.z[3][0]) * c.tanh());
    near(cell.h[0], 3.0 * cell.m[0]);
    assert_eq!((cell.h[1], &state.h[0], &state.c[0], trace.output()), (0.0, &cell.h, &cell.c, cell.h.as_slice()));
}
