use super::proto::{kind, Attribute, Entry, Model, Node, Segment, Tensor, ValueInfo};
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
        input: ["x", "h0", "c0"].map(|name| ValueInfo { name: name.into() }).to_vec(),
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
fn lengths_that_overflow_or_are_zero_are_refused() {
    let bound = "expected axes of 1 to 16,776,960";
    for (name, what, dims, shape) in [
        ("r", "R", vec![1, 0, 1 << 62], "(1, 0, 4611686018427387904)"),
        ("r", "R", vec![1, 8, 0], "(1, 8, 0)"),
        ("w", "W", vec![1, 0, 1 << 62], "(1, 0, 4611686018427387904)"),
    ] {
        let text = error(|g| *g.stored(name) = tensor(name, &dims));
        assert_eq!(text, format!("tensor `{name}` ({what} of lstm l): found shape {shape}, {bound}"));
    }
}

#[test]
fn biases_whose_sum_is_not_finite_are_refused() {
    let text = error(|g| {
        let b = &mut g.stored("b").float_data;
        (b[3], b[11]) = (3e38, 3e38);
    });
    assert_eq!(text, "tensor `b` (B of lstm l): found 3e38 at [0, 3] and 3e38 at [0, 11], expected a finite 32-bit sum of the two");
}

/// The message about an initial state.
fn from(state: &str, origin: &str) -> String {
    format!("node `cell`: found initial_{state} from {origin}, expected zeros, or a state that comes from outside")
}

fn with(node: Node, attribute: Attribute) -> Node {
    Node { attribute: vec![attribute], ..node }
}

/// A Constant or ConstantOfShape `name`.
fn constant(op_type: &str, name: &str, attribute: Attribute) -> Node {
    let input: &[&str] = if op_type == "Constant" { &[] } else { &["shape"] };
    with(node("", op_type, input, &[name]), attribute)
}

fn value(data: &[f32]) -> Attribute {
    let t = Tensor { float_data: data.to_vec(), ..tensor("", &[data.len() as i64]) };
    Attribute { t: Some(t), ..attribute("value", kind::TENSOR) }
}

#[test]
fn a_state_is_followed_to_the_constants_that_it_comes_from() {
    let float = |f: f32| Attribute { f, ..attribute("value_float", kind::FLOAT) };
    let floats = |floats: &[f32]| Attribute { floats: floats.to_vec(), ..attribute("value_floats", kind::FLOATS) };
    let ints = |ints: &[i64]| Attribute { ints: ints.to_vec(), ..attribute("value_ints", kind::INTS) };
    let expand = |from: &str, to: &str| node("", "Expand", &[from, "shape"], &[to]);
    let not_zero = "the constant `k`, which is not zero";
    // nodes that give h0 or c0; the state; where it comes from, or none if it is accepted
    let cases: Vec<(Vec<Node>, &str, Option<&str>)> = vec![
        (vec![constant("Constant", "k", float(0.5)), expand("k", "h0")], "h", Some(not_zero)),
        (vec![constant("Constant", "k", float(-0.0)), expand("k", "h0")], "h", None),
        (vec![constant("Constant", "k", floats(&[0.0, 1.0])), expand("k", "c0")], "c", Some(not_zero)),
        (vec![constant("Constant", "k", floats(&[0.0, 0.0])), expand("k", "c0")], "c", None),
        (vec![constant("Constant", "k", value(&[0.0, 1.0])), node("", "Identity", &["k"], &["h0"])], "h", Some(not_zero)),
        (vec![constant("Constant", "k", value(&[0.0, f32::NAN])), node("", "Identity", &["k"], &["h0"])], "h", Some(not_zero)),
        (vec![constant("Constant", "k", value(&[0.0])), node("", "Identity", &["k"], &["h0"])], "h", None),
        (vec![constant("Constant", "k", integer("value_int", 1)), node("", "Cast", &["k"], &["h0"])], "h", Some(not_zero)),
        (vec![constant("Constant", "k", integer("value_int", 0)), node("", "Cast", &["k"], &["h0"])], "h", None),
        (vec![constant("Constant", "k", ints(&[0, 7])), node("", "Cast", &["k"], &["h0"])], "h", Some(not_zero)),
        (vec![constant("Constant", "h0", ints(&[0, 0]))], "h", None),
        (
            vec![constant("Constant", "k", attribute("sparse_value", 11)), expand("k", "h0")],
            "h",
            Some("the constant `k`, whose attribute `sparse_value` is not read"),
        ),
        (vec![constant("ConstantOfShape", "k", value(&[1.0])), node("", "Squeeze", &["k"], &["h0"])], "h", Some(not_zero)),
        (vec![constant("ConstantOfShape", "h0", value(&[0.0]))], "h", None),
        (vec![node("", "ConstantOfShape", &["shape"], &["h0"])], "h", None),
        // initializers, in whatever order the nodes stand
        (
            vec![node("", "Transpose", &["k"], &["h0"]), node("", "Gather", &["fc_w", "x"], &["k"])],
            "h",
            Some("the constant `fc_w`, which is not zero"),
        ),
        // a part of the state
        (
            vec![
                constant("Constant", "k", float(0.5)),
                node("", "Concat", &["part", "k"], &["h0"]),
                node("", "Slice", &["c0", "starts", "ends"], &["part"]),
            ],
            "h",
            Some(not_zero),
        ),
        (vec![node("", "Concat", &["c0", "c0"], &["h0"])], "h", None),
        // other operators: of constants only, also through zeros of a shape that comes from outside, and not
        (
            vec![
                constant("Constant", "k", float(0.5)),
                node("", "Shape", &["x"], &["shape"]),
                node("", "ConstantOfShape", &["shape"], &["zeros"]),
                node("sum", "Add", &["zeros", "k"], &["total"]),
                node("", "Unsqueeze", &["total", "axes"], &["h0"]),
            ],
            "h",
            Some("the Add node `sum`, which has constants only"),
        ),
        (vec![node("noise", "RandomNormal", &[], &["h0"])], "h", Some("the RandomNormal node `noise`, which has constants only")),
        (
            vec![Node { domain: "com.example".into(), ..node("mine", "Identity", &["b"], &["h0"]) }],
            "h",
            Some("the Identity node `mine`, which has constants only"),
        ),
        (vec![node("", "Tanh", &["x"], &["t"]), node("", "Mul", &["t", "b"], &["h0"])], "h", None),
        (vec![node("", "LSTM", &["x", "w", "r"], &["", "h0", "c0"])], "h", None),
        // what is no graph at all
        (vec![node("", "Identity", &["gone"], &["h0"])], "h", Some("`gone`, which nothing in the graph gives")),
        (vec![node("", "Identity", &["h0"], &["h0"])], "h", Some("`h0`, which nothing in the graph gives")),
    ];
    for (nodes, state, expected) in cases {
        let mut graph = graph();
        graph.input.retain(|i| !nodes.iter().any(|n| n.output.contains(&i.name)));
        graph.node.extend(nodes.clone());
        let (_folder, config) = saved(graph);
        let found = load_recurrent(&config).map_err(|e| e.to_string().split_once("m.onnx: ").unwrap().1.to_string());
        assert_eq!(found.err(), expected.map(|origin| from(state, origin)), "{nodes:?}");
    }
    // neither an input of the graph nor anything else
    assert_eq!(error(|g| g.input.truncate(2)), from("c", "`c0`, which nothing in the graph gives"));
}

#[test]
fn lengths_of_sequences_that_the_file_fixes_are_refused() {
    let lens = |g: &mut proto::Graph| g.named("cell").input[4] = "lens".into();
    let stored = Tensor { dims: vec![2], data_type: proto::INT32, int32_data: vec![3, 4], name: "lens".into(), ..Tensor::default() };
    let expected = "node `cell`: found sequence_lens from `lens`, which the file fixes, expected none, or lengths that come from outside";
    let text = error(|g| {
        lens(g);
        g.initializer.push(stored.clone());
    });
    assert_eq!(text, expected);
    let text = error(|g| {
        lens(g);
        g.node.push(constant("Constant", "k", integer("value_int", 3)));
        g.node.push(node("", "Expand", &["k", "x"], &["lens"]));
    });
    assert_eq!(text, expected);
    let mut outside = graph();
    lens(&mut outside);
    outside.input.push(ValueInfo { name: "lens".into() });
    let (_folder, config) = saved(outside.clone());
    load_recurrent(&config).unwrap();
    // the node alone has a place for them
    outside.initializer.push(stored);
    let (folder, _) = saved(outside);
    assert_eq!(load_onnx_lstm(&folder.path().join("m.onnx"), "cell").unwrap().sequence_lens, Some(vec![3, 4]));
}

#[test]
fn a_constant_state_that_is_not_zero_is_refused() {
    let text = error(|g| g.initializer.push(tensor("h0", &[1, 4, 2])));
    assert_eq!(text, from("h", "the constant `h0`, which is not zero"));
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
