use super::proto::{kind, Attribute, Entry, Model, Node, Segment, Tensor};
use super::*;
use crate::config::{Config, Direction, LayerConfig, LstmConfig, LstmFormat};
use crate::import::{load_model, load_recurrent};
use crate::model::Activation;

const CELLS: i64 = 2;
const INPUTS: i64 = 3;

fn tensor(name: &str, dims: &[i64]) -> Tensor {
    let count: i64 = dims.iter().product();
    let float_data = (0..count).map(|k| k as f32 / 8.0).collect();
    Tensor { dims: dims.to_vec(), data_type: proto::FLOAT, float_data, name: name.into(), ..Tensor::default() }
}

fn attribute(name: &str, kind: i32) -> Attribute {
    Attribute { name: name.into(), kind, ..Attribute::default() }
}

fn integer(name: &str, i: i64) -> Attribute {
    Attribute { i, ..attribute(name, kind::INT) }
}

fn activations(names: &[&str]) -> Attribute {
    Attribute { strings: names.iter().map(|n| n.as_bytes().to_vec()).collect(), ..attribute("activations", kind::STRINGS) }
}

fn node(name: &str, op_type: &str, input: &[&str], output: &[&str]) -> Node {
    let names = |names: &[&str]| names.iter().map(|n| n.to_string()).collect();
    Node { name: name.into(), op_type: op_type.into(), input: names(input), output: names(output), ..Node::default() }
}

/// An LSTM `cell` and, from its output, `fc` (a MatMul with an Add) and `gemm`.
fn graph() -> proto::Graph {
    let mut gemm = node("gemm", "Gemm", &["h", "gemm_w", "fc_b"], &["z"]);
    gemm.attribute = vec![integer("transB", 1), Attribute { f: 1.0, ..attribute("alpha", kind::FLOAT) }];
    proto::Graph {
        node: vec![
            node("cell", "LSTM", &["x", "w", "r", "b", "", "h0", "c0", "p"], &["h"]),
            node("other", "LSTM", &["h", "w", "r"], &["h2"]),
            node("fc", "MatMul", &["h", "fc_w"], &["product"]),
            node("", "Add", &["fc_b", "product"], &["y"]),
            gemm,
            node("", "Relu", &["y"], &["relu"]),
        ],
        initializer: vec![
            tensor("w", &[1, 4 * CELLS, INPUTS]),
            tensor("r", &[1, 4 * CELLS, CELLS]),
            tensor("b", &[1, 8 * CELLS]),
            tensor("p", &[1, 3 * CELLS]),
            tensor("fc_w", &[CELLS, 5]),
            tensor("gemm_w", &[5, CELLS]),
            tensor("fc_b", &[5]),
        ],
    }
}

impl proto::Graph {
    fn named(&mut self, name: &str) -> &mut Node {
        self.node.iter_mut().find(|n| n.name == name).unwrap()
    }
    fn stored(&mut self, name: &str) -> &mut Tensor {
        self.initializer.iter_mut().find(|t| t.name == name).unwrap()
    }
}

/// A configuration of `cell`, then `fc`, of a graph in a folder of its own.
fn saved(graph: proto::Graph) -> (tempfile::TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.onnx"), Model { graph: Some(graph) }.encode_to_vec()).unwrap();
    let mut config = Config { folder: folder.path().to_path_buf(), ..Config::default() };
    config.model.file = "m.onnx".into();
    config.model.lstm = vec![LstmConfig { node: Some("cell".into()), ..LstmConfig::new("l", LstmFormat::Onnx) }];
    config.model.layer = vec![LayerConfig { activation: Activation::None, ..LayerConfig::from_node("", "fc") }];
    (folder, config)
}

/// The message, after the path, about a graph that was changed.
fn error(change: impl Fn(&mut proto::Graph)) -> String {
    let mut graph = graph();
    change(&mut graph);
    let (_folder, config) = saved(graph);
    let text = load_recurrent(&config).unwrap_err().to_string();
    text.split_once("m.onnx: ").map_or(text.clone(), |(_, rest)| rest.to_string())
}

#[test]
fn gates_biases_and_peepholes_come_to_their_places() {
    let (_folder, config) = saved(graph());
    let network = &load_recurrent(&config).unwrap()[0];
    let cell = &network.lstm[0];
    // i o f c in the file: block by block of cells x inputs
    let firsts = |matrices: &[crate::model::Matrix; 4]| matrices.each_ref().map(|m| m.data[0] * 8.0);
    assert_eq!(firsts(&cell.input_weights), [0.0, 12.0, 18.0, 6.0]);
    assert_eq!(firsts(&cell.hidden_weights), [0.0, 8.0, 12.0, 4.0]);
    // the sum of k and k + 8
    assert_eq!(cell.bias.each_ref().map(|b| b[1] * 8.0), [10.0, 18.0, 22.0, 14.0]);
    assert_eq!(cell.peepholes.as_ref().unwrap().each_ref().map(|p| p[0] * 8.0), [0.0, 4.0, 2.0]);
    assert_eq!((cell.inputs(), cell.cells(), cell.hidden(), network.reverse), (3, 2, 2, false));
    let fc = &network.layers[0];
    assert_eq!((fc.weights.rows, fc.weights.columns, fc.weights.row(1)), (5, 2, [0.125, 0.75].as_slice()));
    assert_eq!(fc.bias[4], 0.5);
}

#[test]
fn a_gemm_is_a_layer_and_layers_alone_are_a_network() {
    let (_folder, mut config) = saved(graph());
    config.model.lstm.clear();
    config.model.layer = vec![LayerConfig::from_node("", "gemm")];
    let gemm = &load_model(&config).unwrap().layers[0];
    assert_eq!((gemm.weights.rows, gemm.weights.columns, gemm.weights.row(1)), (5, 2, [0.25, 0.375].as_slice()));
    assert_eq!((gemm.bias.len(), gemm.name.as_str()), (5, "gemm"));
    config.model.layer = vec![LayerConfig::new("fc", "fc_w")];
    let text = load_model(&config).unwrap_err().to_string();
    assert_eq!(text, "layer fc: found weights, expected node, the name of a Gemm or MatMul of the .onnx file");
}

#[test]
fn every_attribute_that_is_not_supported_is_refused_by_name() {
    let only = "only activations, direction, hidden_size, layout and input_forget";
    let sigmoids = "Sigmoid, Tanh or Sigmoid, Tanh for each direction";
    let direction = |text: &str| Attribute { s: text.into(), ..attribute("direction", kind::STRING) };
    for (attribute, found, expected) in [
        (Attribute { f: 3.0, ..attribute("clip", kind::FLOAT) }, "attribute `clip`", "none: it is not supported"),
        (attribute("activation_alpha", 6), "attribute `activation_alpha`", "none: it is not supported"),
        (attribute("activation_beta", 6), "attribute `activation_beta`", "none: it is not supported"),
        (integer("input_forget", 1), "attribute `input_forget` of 1", "0: anything else is not supported"),
        (integer("output_sequence", 1), "attribute `output_sequence`", only),
        (integer("layout", 2), "attribute `layout` of 2", "0 or 1"),
        (integer("hidden_size", 0), "attribute `hidden_size` of 0", "at least 1 cell, and not too many"),
        (direction("sideways"), "attribute `direction` of sideways", "forward, reverse or bidirectional"),
        (activations(&["Sigmoid", "Relu", "Tanh"]), "attribute `activations` of Sigmoid, Relu, Tanh", sigmoids),
        (activations(&["HardSigmoid", "Tanh", "Tanh"]), "attribute `activations` of HardSigmoid, Tanh, Tanh", sigmoids),
        (activations(&["Sigmoid", "Tanh", "Sigmoid"]), "attribute `activations` of Sigmoid, Tanh, Sigmoid", sigmoids),
        (activations(&["Sigmoid", "Tanh"]), "attribute `activations` of Sigmoid, Tanh", sigmoids),
        (attribute("layout", kind::FLOAT), "attribute `layout` of type 1", "type 2 of onnx.proto's AttributeType"),
    ] {
        let text = error(|g| g.named("cell").attribute = vec![attribute.clone()]);
        assert_eq!(text, format!("node `cell`: found {found}, expected {expected}"));
    }
    for attribute in [integer("input_forget", 0), integer("hidden_size", 2), activations(&["Sigmoid", "Sigmoid", "Tanh"])] {
        let mut graph = graph();
        graph.named("cell").attribute = vec![attribute];
        let (_folder, config) = saved(graph);
        load_recurrent(&config).unwrap();
    }
}

#[test]
fn a_wrong_shape_names_tensor_found_and_expected() {
    let cases: [(&str, &[i64], &str); 7] = [
        ("w", &[1, 9, 3], "tensor `w` (W of lstm l): found shape (1, 9, 3), expected shape (1, 8, 3) (directions, 4 x cells, inputs)"),
        ("w", &[8, 3], "tensor `w` (W of lstm l): found shape (8, 3), expected shape (1, 8, 1) (directions, 4 x cells, inputs)"),
        ("r", &[1, 8, 3], "tensor `r` (R of lstm l): found shape (1, 8, 3), expected shape (1, 12, 3) (directions, 4 x cells, cells)"),
        ("r", &[2, 8, 2], "tensor `r` (R of lstm l): found shape (2, 8, 2), expected shape (1, 8, 2) (directions, 4 x cells, cells)"),
        ("b", &[1, 8], "tensor `b` (B of lstm l): found shape (1, 8), expected shape (1, 16) (directions, 8 x cells)"),
        ("p", &[1, 8], "tensor `p` (P of lstm l): found shape (1, 8), expected shape (1, 6) (directions, 3 x cells)"),
        ("fc_b", &[1, 4], "tensor `fc_b` (bias of layer fc): found shape (1, 4), expected shape (5,), one value per output"),
    ];
    for (name, dims, expected) in cases {
        assert_eq!(error(|g| *g.stored(name) = tensor(name, dims)), expected);
    }
    let bidirectional = Attribute { s: b"bidirectional".to_vec(), ..attribute("direction", kind::STRING) };
    let text = error(|g| g.named("cell").attribute = vec![bidirectional.clone()]);
    assert!(text.ends_with("found shape (1, 8, 2), expected shape (2, 8, 2) (directions, 4 x cells, cells)"), "{text}");
    let text = error(|g| g.named("cell").attribute = vec![integer("hidden_size", 3)]);
    assert!(text.ends_with("found shape (1, 8, 2), expected shape (1, 12, 3) (directions, 4 x cells, cells)"), "{text}");
}

#[test]
fn weights_must_be_whole_finite_constants_of_a_type_that_is_read() {
    let constant = "expected an initializer or a Constant node's value";
    assert_eq!(
        error(|g| g.initializer.retain(|t| t.name != "w")),
        format!("tensor `w` (W of lstm l): found a value that the graph computes, {constant}")
    );
    let text = error(|g| g.stored("w").data_type = 16);
    assert_eq!(text, "tensor `w` (W of lstm l): found type BFLOAT16, expected FLOAT, FLOAT16, DOUBLE");
    assert!(error(|g| g.stored("w").data_type = 7).contains("found type INT64, expected FLOAT"));
    assert!(error(|g| g.stored("w").data_type = 99).contains("found type number 99, expected FLOAT"));
    assert!(error(|g| g.stored("w").segment = Some(Segment::default())).contains("found a segment of a tensor"));
    assert!(error(|g| g.stored("w").dims[0] = -1).contains("found shape [-1, 8, 3], expected no negative length"));
    assert!(error(|g| g.stored("w").dims = vec![i64::MAX; 3]).contains("expected fewer elements"));
    let text = error(|g| g.stored("w").float_data.truncate(2));
    assert!(text.ends_with("found 8 bytes for shape (1, 8, 3) of FLOAT, expected 96 bytes"), "{text}");
    let text = error(|g| g.stored("w").float_data[4] = f32::NAN);
    assert!(text.ends_with("tensor `w` (W of lstm l): found NaN at [0, 1, 1], expected finite 32-bit numbers"), "{text}");
    assert_eq!(error(|g| g.named("cell").input[2] = String::new()), "node `cell`: found no input R, expected a constant");
    assert!(error(|g| g.named("cell").input.push("q".into())).starts_with("node `cell`: found 9 inputs, expected at most X, W, R, B,"));
}

#[test]
fn a_missing_node_is_told_with_those_that_exist() {
    let (_folder, mut config) = saved(graph());
    let mut text = |name: &str| {
        config.model.lstm[0].node = Some(name.into());
        load_recurrent(&config).unwrap_err().to_string().split_once("m.onnx: ").unwrap().1.to_string()
    };
    assert_eq!(text("lstm_4"), "node `lstm_4`: found no such node, expected one of the LSTM nodes cell, other");
    assert_eq!(text("fc"), "node `fc`: found a node MatMul, expected one of the LSTM nodes cell, other");
    assert_eq!(
        error(|g| g.named("fc").name = "gone".into()),
        "node `fc`: found no such node, expected one of the Gemm or MatMul nodes gone, gemm"
    );
    let twice = error(|g| g.named("other").name = "cell".into());
    assert_eq!(twice, "node `cell`: found several LSTM nodes of that name, expected one of the LSTM nodes cell, cell");
    // a node without a name goes by its output; another domain's operator is another operator
    assert!(error(|g| g.named("cell").name.clear()).ends_with("the LSTM nodes h, other"));
    assert!(error(|g| g.named("cell").domain = "com.example".into()).ends_with("found a node LSTM, expected one of the LSTM nodes other"));
}

#[test]
fn a_product_has_one_add_of_a_constant_behind_it_or_none() {
    let uses = "node `fc`: found 2 uses of its output, an Add among them, expected one Add of a bias, or no Add";
    assert_eq!(error(|g| g.node.push(node("", "Relu", &["product"], &["q"]))), uses);
    let computed = "node `fc`: found an Add `y` of a value that the graph computes, expected the Add of a bias";
    assert_eq!(error(|g| g.node[3].input[0] = "h".into()), computed);
    let mut without = graph();
    without.node.remove(3);
    let (_folder, config) = saved(without);
    assert_eq!(load_recurrent(&config).unwrap()[0].layers[0].bias, [0.0; 5]);
}

#[test]
fn what_a_gemm_cannot_be_is_refused() {
    let refused = |change: &dyn Fn(&mut Node)| {
        let mut graph = graph();
        change(graph.named("gemm"));
        let (_folder, mut config) = saved(graph);
        config.model.layer = vec![LayerConfig::from_node("", "gemm")];
        load_recurrent(&config).unwrap_err().to_string().split_once("node `gemm`: ").unwrap().1.to_string()
    };
    assert_eq!(refused(&|n| n.attribute[1].f = 0.5), "found attribute `alpha` of 0.5, expected 1");
    assert_eq!(refused(&|n| n.attribute.push(integer("transA", 1))), "found attribute `transA` of 1, expected 0");
    assert_eq!(refused(&|n| n.attribute.push(integer("axis", 1))), "found attribute `axis`, expected alpha, beta, transA or transB");
}

#[test]
fn networks_that_do_not_chain_are_refused() {
    let (_folder, mut config) = saved(graph());
    let other = LstmConfig { node: Some("other".into()), ..LstmConfig::new("second", LstmFormat::Onnx) };
    config.model.lstm.push(other);
    let text = |config: &Config| load_recurrent(config).unwrap_err().to_string();
    assert_eq!(text(&config), "layer second: found 3 inputs, expected 2, the outputs of layer l");
    config.model.lstm.pop();
    config.model.layer = vec![LayerConfig::from_node("", "fc"), LayerConfig::from_node("", "gemm")];
    assert_eq!(text(&config), "layer gemm: found 2 inputs, expected 5, the outputs of layer fc");
    config.model.lstm[0].direction = Some(Direction::Reverse);
    assert_eq!(text(&config), "layer l: found direction forward in the node, expected reverse");
}

#[test]
fn a_constant_state_that_is_not_zero_is_refused() {
    let text = error(|g| g.initializer.push(tensor("h0", &[1, 4, 2])));
    assert_eq!(text, "node `cell`: found a constant initial_h that is not zero, expected zeros, or a state that comes from outside");
    let text = error(|g| g.initializer.push(tensor("c0", &[4, 2])));
    assert!(text.starts_with("tensor `c0` (initial_c of lstm l): found shape (4, 2), expected shape (1, 2, 2)"), "{text}");
    let mut zeros = graph();
    zeros.initializer.push(Tensor { float_data: vec![0.0; 8], ..tensor("h0", &[1, 4, 2]) });
    let (_folder, config) = saved(zeros);
    load_recurrent(&config).unwrap();
}

#[test]
fn external_data_stay_in_the_models_folder() {
    let external = |entries: &[(&str, &str)]| {
        let entries: Vec<Entry> = entries.iter().map(|(k, v)| Entry { key: k.to_string(), value: v.to_string() }).collect();
        error(move |g| {
            let w = g.stored("w");
            (w.data_location, w.external_data) = (1, entries.clone());
        })
    };
    for location in ["../secret", "/etc/hostname", "", "a/../../b"] {
        let text = external(&[("location", location)]);
        assert!(text.contains(&format!("found external data in {location:?}, expected a file in the folder of the model")), "{text}");
    }
    assert!(external(&[("location", "gone.bin")]).contains("gone.bin"));
    assert!(external(&[("location", "m.onnx"), ("offset", "-4")]).contains("found external data with offset \"-4\", expected a number"));
    let text = external(&[("location", "m.onnx"), ("length", "5")]);
    assert!(text.contains("found 5 bytes for shape (1, 8, 3) of FLOAT, expected 96 bytes"), "{text}");
}

#[test]
fn no_bytes_of_a_file_make_reading_panic() {
    let whole = Model { graph: Some(graph()) }.encode_to_vec();
    let (folder, config) = saved(graph());
    let path = folder.path().join("m.onnx");
    let mut refused = 0;
    for cut in (0..whole.len()).step_by(7) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        assert!(load_recurrent(&config).is_err(), "{cut}");
        let mut flipped = whole.clone();
        flipped[cut] ^= 1 << (cut % 8);
        std::fs::write(&path, &flipped).unwrap();
        refused += usize::from(load_recurrent(&config).is_err());
    }
    assert!(refused > 20, "{refused}");
}
