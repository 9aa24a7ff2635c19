//! LSTM layers of real files load with their shapes, and everything wrong with them is said. ONNX: `src/import/onnx/tests.rs`.

use lacuna_compress::config::{Config, Direction, LayerConfig, LstmConfig, LstmFormat, LstmTensors};
use lacuna_compress::import::{load_model, load_onnx_lstm, load_recurrent};
use lacuna_compress::inputs::load_tensors;
use lacuna_compress::model::{Activation, Candidate, Recurrent};
use safetensors::tensor::TensorView;
use safetensors::Dtype;
use std::path::{Path, PathBuf};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(name)
}

fn some(text: &str) -> Option<String> {
    Some(text.to_string())
}

fn kws(toml: &str) -> (Recurrent, Config) {
    let config = Config::parse(toml, &Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/demo/speech/net.toml")).unwrap();
    let mut networks = load_recurrent(&config).unwrap();
    assert_eq!(networks.len(), 1);
    (networks.remove(0), config)
}

const LSTM_S: &str = r#"
[model]
file = "LSTM_S.safetensors"
[[model.lstm]]
name = "lstm"
format = "tensorflow"
gates = "ijfo"
kernel = "lstm/rnn/lstm_cell/kernel"
bias = "lstm/rnn/lstm_cell/bias"
forget_bias = 1.0
w_i_diag = "lstm/rnn/lstm_cell/w_i_diag"
w_f_diag = "lstm/rnn/lstm_cell/w_f_diag"
w_o_diag = "lstm/rnn/lstm_cell/w_o_diag"
projection = "lstm/rnn/lstm_cell/projection/kernel"
[[model.layer]]
name = "logits"
weights = "W_o"
bias = "b_o"
output_axis = 1
activation = "none"
"#;

#[test]
fn the_keyword_lstm_has_peepholes_and_a_projection() {
    let (network, config) = kws(LSTM_S);
    let lstm = &network.lstm[0];
    assert_eq!((lstm.inputs(), lstm.cells(), lstm.hidden(), network.outputs()), (10, 144, 98, 12));
    assert_eq!((lstm.candidate, network.reverse, network.layers[0].activation), (Candidate::Tanh, false, Activation::None));
    assert_eq!(network.parameters(), 108 * 576 + 576 + 3 * 144 + 144 * 98 + 98 * 12 + 12);
    // element by element from the stored tensors: gates i j f o, so g is block 1 and f block 2
    let stored = load_tensors(&config.path(&config.model.file)).unwrap();
    let tensor = |name: &str| &stored[&format!("lstm/rnn/lstm_cell/{name}")].data;
    for (gate, block) in [0, 2, 1, 3].into_iter().enumerate() {
        for cell in [0, 7, 143] {
            let column = block * 144 + cell;
            assert_eq!(lstm.input_weights[gate].row(cell)[3], tensor("kernel")[3 * 576 + column]);
            assert_eq!(lstm.hidden_weights[gate].row(cell)[97], tensor("kernel")[107 * 576 + column]);
            let forget = if gate == 1 { 1.0 } else { 0.0 };
            assert_eq!(lstm.bias[gate][cell], tensor("bias")[column] + forget);
        }
    }
    let [i, f, o] = lstm.peepholes.as_ref().unwrap();
    assert_eq!([i, f, o], [tensor("w_i_diag"), tensor("w_f_diag"), tensor("w_o_diag")]);
    assert_eq!(lstm.projection.as_ref().unwrap().row(5)[100], tensor("projection/kernel")[100 * 98 + 5]);
}

#[test]
fn the_basic_keyword_lstm_is_plain() {
    let (network, _) = kws(r#"
[model]
file = "Basic_LSTM_S.safetensors"
[[model.lstm]]
format = "tensorflow"
gates = "ijfo"
kernel = "lstm/rnn/basic_lstm_cell/kernel"
bias = "lstm/rnn/basic_lstm_cell/bias"
forget_bias = 1.0
candidate = "sigmoid"
direction = "reverse"
[[model.layer]]
weights = "W_o"
bias = "b_o"
output_axis = 1
"#);
    let lstm = &network.lstm[0];
    assert_eq!((lstm.inputs(), lstm.cells(), lstm.hidden(), network.outputs()), (10, 118, 118, 12));
    assert_eq!((&lstm.peepholes, &lstm.projection, lstm.candidate, network.reverse), (&None, &None, Candidate::Sigmoid, true));
    assert_eq!(lstm.name, "lstm/rnn/basic_lstm_cell/kernel");
}

/// A safetensors file of 32-bit floats, 0, 1, 2 ..., in a new folder.
fn safetensors_with(tensors: &[(&str, &[usize])]) -> (tempfile::TempDir, Config) {
    safetensors_of(tensors, |_, k| k as f32)
}

/// The same with `value` of a tensor's name and an element's number.
fn safetensors_of(tensors: &[(&str, &[usize])], value: impl Fn(&str, usize) -> f32) -> (tempfile::TempDir, Config) {
    let raw: Vec<Vec<u8>> =
        tensors.iter().map(|t| (0..t.1.iter().product()).flat_map(|k: usize| value(t.0, k).to_le_bytes()).collect()).collect();
    let views = tensors.iter().zip(&raw).map(|(t, raw)| (t.0, TensorView::new(Dtype::F32, t.1.to_vec(), raw).unwrap()));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    let mut config = Config { folder: folder.path().to_path_buf(), ..Config::default() };
    config.model.file = "m.safetensors".into();
    (folder, config)
}

fn tensorflow(name: &str, kernel: &str, bias: &str) -> LstmConfig {
    LstmConfig { kernel: some(kernel), bias: some(bias), forget_bias: Some(1.0), ..LstmConfig::new(name, LstmFormat::TensorFlow) }
}

fn pytorch(name: &str, ih: &str, hh: &str) -> LstmConfig {
    LstmConfig { weight_ih: some(ih), weight_hh: some(hh), ..LstmConfig::new(name, LstmFormat::PyTorch) }
}

/// The names and shapes of the character LSTM in ../shared/data/charrnn.
#[test]
fn layers_are_stacked_like_those_of_the_character_lstm() {
    let name = |layer: usize, what: &str| format!("rnnlm.multi_rnn_cell.cell_{layer}.basic_lstm_cell.{what}");
    let names = [name(0, "weights"), name(0, "biases"), name(1, "weights"), name(1, "biases")];
    let (_folder, mut config) = safetensors_with(&[
        (&names[0], &[256, 512]),
        (&names[1], &[512]),
        (&names[2], &[256, 512]),
        (&names[3], &[512]),
        ("rnnlm.softmax_w", &[128, 65]),
        ("rnnlm.softmax_b", &[65]),
    ]);
    config.model.lstm = vec![tensorflow("a", &names[0], &names[1]), tensorflow("b", &names[2], &names[3])];
    config.model.layer = vec![LayerConfig { bias: some("rnnlm.softmax_b"), output_axis: 1, ..LayerConfig::new("s", "rnnlm.softmax_w") }];
    let network = &load_recurrent(&config).unwrap()[0];
    let sizes: Vec<_> = network.lstm.iter().map(|l| (l.inputs(), l.cells(), l.hidden())).collect();
    assert_eq!((sizes, network.outputs()), (vec![(128, 128, 128); 2], 65));
    let text = load_model(&config).unwrap_err().to_string();
    assert!(text.ends_with("found [[model.lstm]] in the configuration, expected fully connected layers only"), "{text}");
}

#[test]
fn wrong_tensors_are_named_with_what_was_found_and_expected() {
    let (_folder, mut config) = safetensors_with(&[
        ("kernel", &[7, 12]),
        ("bias", &[12]),
        ("odd", &[7, 10]),
        ("low", &[3, 12]),
        ("short", &[11]),
        ("diag", &[3]),
        ("diag4", &[4]),
        ("projection", &[3, 2]),
        ("projection4", &[4, 2]),
        ("hr", &[2, 3]),
        ("hr4", &[2, 4]),
        ("ih", &[12, 5]),
        ("ih16", &[16, 5]),
        ("hh", &[12, 3]),
        ("hh2", &[12, 2]),
        ("none", &[0, 5]),
    ]);
    let mut refused = |lstm: LstmConfig| {
        config.model.lstm = vec![lstm];
        let text = load_recurrent(&config).unwrap_err().to_string();
        text.split_once("m.safetensors: ").map_or(text.clone(), |(_, rest)| rest.to_string())
    };
    let tf = || tensorflow("l", "kernel", "bias");
    let torch = || pytorch("l", "ih", "hh");
    let peepholes = |i: &str, f: &str, o: &str| LstmConfig { w_i_diag: some(i), w_f_diag: some(f), w_o_diag: some(o), ..tf() };
    for (lstm, expected) in [
        (tensorflow("l", "odd", "bias"), "layer l: found 10 columns in the kernel `odd`, expected four for each cell"),
        (
            tensorflow("l", "low", "bias"),
            "tensor `low` (kernel of lstm l): found shape (3, 12), expected shape (4, 12) at least one input, then hidden",
        ),
        (
            tensorflow("l", "bias", "bias"),
            "tensor `bias` (kernel of lstm l): found shape (12,), expected two axes (inputs + hidden, 4 cells)",
        ),
        (tensorflow("l", "kernel", "short"), "tensor `short` (bias of lstm l): found shape (11,), expected shape (12,)"),
        (peepholes("diag", "diag4", "diag"), "tensor `diag4` (w_f_diag of lstm l): found shape (4,), expected shape (3,)"),
        (
            // peepholes fit, the projection is of another number of cells
            LstmConfig { projection: some("projection4"), ..peepholes("diag", "diag", "diag") },
            "tensor `projection4` (projection of lstm l): found shape (4, 2), expected shape (3, 2) (cells, hidden)",
        ),
        (
            LstmConfig { projection: some("projection"), ..peepholes("diag", "diag", "diag4") },
            "tensor `diag4` (w_o_diag of lstm l): found shape (4,), expected shape (3,)",
        ),
        (LstmConfig { w_i_diag: some("diag"), ..tf() }, "layer l: found no w_f_diag, which its format needs"),
        (LstmConfig { forget_bias: None, ..tf() }, "layer l: found no forget_bias, which its format needs"),
        (LstmConfig { gates: "ifgo".into(), ..tf() }, "layer l: found gates \"ifgo\", expected \"ijfo\", the order of its format"),
        (pytorch("l", "ih", "hh2"), "tensor `hh2` (weight_hh of lstm l): found shape (12, 2), expected shape (8, 2) (4 cells, cells)"),
        (pytorch("l", "ih16", "hh"), "tensor `ih16` (weight_ih of lstm l): found shape (16, 5), expected shape (12, 5) (4 cells, inputs)"),
        (
            LstmConfig { weight_hr: some("hr"), ..torch() },
            "tensor `hh` (weight_hh of lstm l): found shape (12, 3), expected shape (12, 2) (4 cells, hidden)",
        ),
        (
            LstmConfig { weight_hr: some("hr4"), ..pytorch("l", "ih", "hh2") },
            "tensor `hh2` (weight_hh of lstm l): found shape (12, 2), expected shape (16, 2) (4 cells, hidden)",
        ),
        (LstmConfig { bias_hh: some("short"), ..torch() }, "tensor `short` (bias_hh of lstm l): found shape (11,), expected shape (12,)"),
        (pytorch("l", "none", "hh"), "tensor `none` (weight_ih of lstm l): found shape (0, 5), expected shape (12, 5) (4 cells, inputs)"),
        (LstmConfig { node: some("n"), ..LstmConfig::new("l", LstmFormat::Onnx) }, "layer l: found format onnx, expected an .onnx file"),
    ] {
        assert_eq!(refused(lstm), expected);
    }
    let text = refused(pytorch("l", "ih", "gone"));
    assert!(text.starts_with("tensor `gone` (weight_hh of lstm l): found no such tensor, expected one of bias, diag,"), "{text}");
    assert!(refused(LstmConfig { bias_ih: some("bias"), ..pytorch("l", "", "hh") }).contains("weight_ih of lstm l"));
}

#[test]
fn biases_whose_sum_is_not_finite_are_refused() {
    // weights of zero, biases of 3e38 at 7
    let (_folder, mut config) =
        safetensors_of(&[("ih", &[12, 5]), ("hh", &[12, 3]), ("a", &[12]), ("b", &[12]), ("kernel", &[7, 12])], |name, k| {
            if name.len() == 1 && k == 7 {
                3e38
            } else {
                0.0
            }
        });
    let mut refused = |lstm: LstmConfig| {
        config.model.lstm = vec![lstm];
        load_recurrent(&config).map_err(|e| e.to_string().split_once("m.safetensors: ").unwrap().1.to_string()).err()
    };
    let torch = |b: Option<String>| LstmConfig { bias_ih: some("a"), bias_hh: b, ..pytorch("l", "ih", "hh") };
    let expected = "tensor `b` (bias_hh of lstm l): found 3e38 at [7], and 3e38 there in bias_ih, expected a finite 32-bit sum of the two";
    assert_eq!(refused(torch(some("b"))), some(expected));
    assert_eq!(refused(torch(None)), None);
    // gate f is the third block, 6 to 8
    let tf = |forget_bias: f64| LstmConfig { forget_bias: Some(forget_bias), ..tensorflow("l", "kernel", "a") };
    for (forget_bias, found) in [(1e38, "3e38 at [7], and a forget_bias of 1e38"), (-1e300, "0e0 at [6], and a forget_bias of -1e300")] {
        let expected = format!("tensor `a` (bias of lstm l): found {found}, expected a finite 32-bit sum of the two");
        assert_eq!(refused(tf(forget_bias)), Some(expected));
    }
    assert_eq!(refused(tf(-1e38)), None);
}

#[test]
fn a_sigmoid_candidate_is_no_option_of_pytorch() {
    let parse =
        |format: &str| Config::parse(&format!("[[model.lstm]]\nname = \"l\"\ncandidate = \"sigmoid\"\n{format}"), Path::new("n.toml"));
    let text = parse("format = \"pytorch\"\ngates = \"ifgo\"\nweight_ih = \"a\"\nweight_hh = \"b\"").unwrap_err().to_string();
    let expected = "lstm 1 (l): candidate is \"sigmoid\", expected \"tanh\" with format pytorch: torch.nn.LSTM has no other";
    assert!(text.ends_with(expected), "{text}");
    parse("format = \"tensorflow\"\ngates = \"ijfo\"\nkernel = \"a\"\nbias = \"b\"\nforget_bias = 1.0").unwrap();
}

#[test]
fn the_states_of_a_whole_graph_come_from_outside() {
    let mut config = Config { folder: data("dtln"), ..Config::default() };
    config.model.file = "model_1.onnx".into();
    config.model.lstm = ["lstm_4", "lstm_5"].map(|n| LstmConfig { node: some(n), ..LstmConfig::new("", LstmFormat::Onnx) }).to_vec();
    let sizes: Vec<_> = load_recurrent(&config).unwrap()[0].lstm.iter().map(|l| (l.inputs(), l.cells())).collect();
    assert_eq!(sizes, [(257, 128), (128, 128)]);
}

#[test]
fn networks_that_do_not_chain_are_refused() {
    let (_folder, mut config) =
        safetensors_with(&[("ih", &[12, 5]), ("hh", &[12, 3]), ("ih3", &[12, 3]), ("fc", &[2, 4]), ("ih4", &[12, 4])]);
    let text = |config: &Config| load_recurrent(config).unwrap_err().to_string();
    assert!(text(&config).ends_with("m.safetensors: found no [[model.lstm]] in the configuration, expected at least one LSTM layer"));
    config.model.lstm = vec![pytorch("a", "ih", "hh"), pytorch("b", "ih", "hh")];
    assert_eq!(text(&config), "layer b: found 5 inputs, expected 3, the outputs of layer a");
    config.model.lstm[1] = pytorch("b", "ih3", "hh");
    assert_eq!(load_recurrent(&config).unwrap()[0].lstm.len(), 2);
    config.model.layer = vec![LayerConfig::new("c", "fc")];
    assert_eq!(text(&config), "layer c: found 4 inputs, expected 3, the outputs of layer b");
    config.model.layer = vec![LayerConfig::from_node("c", "fc")];
    assert_eq!(text(&config), "layer c: found node, expected weights: the model file has no nodes");
    config.model.layer.clear();
    config.model.lstm[1].direction = Some(Direction::Reverse);
    assert_eq!(text(&config), "layer b: found direction reverse, expected forward, as of the layers before it");
    let reverse = |ih: &str| LstmTensors { weight_ih: some(ih), weight_hh: some("hh"), ..LstmTensors::default() };
    let both = |ih: &str| LstmConfig { direction: Some(Direction::Bidirectional), reverse: Some(reverse(ih)), ..pytorch("a", "ih", "hh") };
    config.model.lstm[0] = both("ih");
    assert_eq!(text(&config), "layer b: found it behind the bidirectional LSTM a, expected nothing there: its directions run apart");
    config.model.lstm = vec![both("ih")];
    assert_eq!(load_recurrent(&config).unwrap().iter().map(|n| n.reverse).collect::<Vec<_>>(), [false, true]);
    config.model.lstm = vec![both("ih4")];
    assert_eq!(
        text(&config),
        "layer a: found (4, 3, 3) inputs, cells and hidden values of the reverse direction, expected (5, 3, 3), as of the forward direction"
    );
}

#[test]
fn the_nodes_of_a_whole_graph_are_found_by_name() {
    let file = data("dtln/model_1.onnx");
    let lstm = load_onnx_lstm(&file, "lstm_4").unwrap();
    assert_eq!((lstm.inputs(), lstm.cells(), lstm.direction, lstm.batch_first), (257, 128, Direction::Forward, false));
    assert_eq!((&lstm.initial_h, &lstm.sequence_lens), (&None, &None), "the graph computes its states");
    let text = load_onnx_lstm(&file, "lstm_6").unwrap_err().to_string();
    assert!(text.ends_with("node `lstm_6`: found no such node, expected one of the LSTM nodes lstm_4, lstm_5"), "{text}");
    let text = load_onnx_lstm(&data("../../src/demo/speech/labels.txt"), "lstm").unwrap_err().to_string();
    assert!(text.contains("expected a whole ONNX model"), "{text}");
}

#[test]
fn a_node_says_direction_layout_functions_and_constant_states() {
    let load = |case: &str| load_onnx_lstm(&data(&format!("onnx/{case}.onnx")), "lstm").unwrap();
    let mixed = load("mixed_candidates");
    assert_eq!(mixed.layers.iter().map(|l| l.candidate).collect::<Vec<_>>(), [Candidate::Tanh, Candidate::Sigmoid]);
    assert_eq!((mixed.direction, load("reverse").direction), (Direction::Bidirectional, Direction::Reverse));
    assert_eq!((load("batchwise").batch_first, load("defaults").batch_first), (true, false));
    let constant = load("initial_state_constant");
    assert_eq!(constant.initial_c.map(|t| t.shape), Some(vec![1, 3, 5]));
    assert_eq!(load("forward").layers[0].peepholes, None);
}
