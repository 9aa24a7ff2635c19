use super::*;
use crate::model::Candidate;
use crate::prune::{Keep, Rule};

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("net.toml")).map_err(|e| e.to_string())
}

/// The example with the keys that have no default switched on.
fn uncommented() -> String {
    let on = |line: &str| match line.strip_prefix("# ") {
        Some(key) if key.starts_with('[') || key.split_once(" = ").is_some_and(|(name, _)| !name.contains(' ')) => key.to_string(),
        _ => line.to_string(),
    };
    Config::commented_example().lines().map(on).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_is_the_default() {
    let found = parse(&Config::commented_example()).unwrap();
    let expected =
        Config { model: ModelConfig { layer: vec![LayerConfig::new("fc1", "fc1.weight")], ..ModelConfig::default() }, ..Config::default() };
    assert_eq!(found, expected);
    assert_eq!(parse("").unwrap(), Config::default());
}

#[test]
fn the_example_shows_every_key() {
    // no `..`: a new field does not compile until it stands here, and fails until it stands in the example
    let some = |text: &str| Some(text.to_string());
    let pytorch = LstmConfig {
        weight_ih: some("weight_ih_l0"),
        weight_hh: some("weight_hh_l0"),
        bias_ih: some("bias_ih_l0"),
        bias_hh: some("bias_hh_l0"),
        weight_hr: some("weight_hr_l0"),
        direction: Some(Direction::Bidirectional),
        candidate: Some(Candidate::Tanh),
        density: Some(0.1),
        prune: Prune::LoadBalanced,
        cells: Some(128),
        hidden: Some(64),
        reverse: Some(LstmTensors {
            weight_ih: some("weight_ih_l0_reverse"),
            weight_hh: some("weight_hh_l0_reverse"),
            ..LstmTensors::default()
        }),
        ..LstmConfig::new("lstm1", LstmFormat::PyTorch)
    };
    let tensorflow = LstmConfig {
        kernel: some("rnn/lstm_cell/kernel"),
        bias: some("rnn/lstm_cell/bias"),
        forget_bias: Some(1.0),
        w_i_diag: some("rnn/lstm_cell/w_i_diag"),
        w_f_diag: some("rnn/lstm_cell/w_f_diag"),
        w_o_diag: some("rnn/lstm_cell/w_o_diag"),
        projection: some("rnn/lstm_cell/projection/kernel"),
        ..LstmConfig::new("lstm2", LstmFormat::TensorFlow)
    };
    let onnx = LstmConfig { node: some("LSTM_0"), ..LstmConfig::new("lstm3", LstmFormat::Onnx) };
    let expected = Config {
        accelerator: AcceleratorConfig { ese: Some(EseConfig::default()), ..AcceleratorConfig::default() },
        model: ModelConfig {
            file: "model.safetensors".into(),
            input: Some([1, 28, 28]),
            lstm: vec![pytorch, tensorflow, onnx],
            layer: vec![LayerConfig {
                name: "fc1".into(),
                weights: "fc1.weight".into(),
                node: None,
                bias: Some("fc1.bias".into()),
                output_axis: 0,
                activation: Activation::Relu,
                density: Some(0.1),
                outputs: Some(300),
                quality: Some(1.2),
                grain: Grain::Weight,
                conv: Some(ConvConfig { kernel: Some([5, 5]), stride: 1, pool: 2, padding: 0 }),
            }],
        },
        compress: CompressConfig::default(),
        input: InputConfig {
            file: Some("test-images.npy".into()),
            tensor: Some("x".into()),
            scale: 1.0,
            offset: 0.0,
            calibration: Some("train-images.npy".into()),
            calibration_samples: 256,
            labels: Some("test-labels-idx1-ubyte.gz".into()),
        },
        train: TrainConfig {
            inputs: Some("train-images-idx3-ubyte.gz".into()),
            labels: Some("train-labels-idx1-ubyte.gz".into()),
            text: Some("text.txt".into()),
            vocabulary: Some("vocabulary.json".into()),
            ..TrainConfig::default()
        },
        prune: PruneConfig { lose_at_most: Some(0.2), ..PruneConfig::default() },
        share: ShareConfig { bits: Some([1, 5]), lose_at_most: Some(0.2), ..ShareConfig::default() },
        folder: PathBuf::new(),
    };
    let text = uncommented();
    // not checked: LSTMs and convolutions do not go together
    let read = |text: &str| toml::from_str::<Config>(text).unwrap();
    assert_eq!(read(&text), expected);
    let written = toml::to_string(&expected).unwrap();
    for line in written.lines().filter(|l| !l.is_empty()) {
        let key = line.split_once(" = ").map_or(line, |(key, _)| key);
        assert!(text.lines().any(|l| l.split(" = ").next() == Some(key)), "{key} is not in the example");
    }
    assert_eq!(read(&written), expected);
}

#[test]
fn depths_are_auto_or_a_number_and_nothing_else() {
    let config = parse("[accelerator]\nspmat_depth = 77\nrun_bits = 5\nptr_depth = \"auto\"").unwrap();
    assert_eq!((config.accelerator.spmat_depth, config.accelerator.run_bits), (Auto::Fixed(77), Auto::Fixed(5)));
    assert_eq!((Auto::Fixed(3).or(9), Auto::Auto.or(9)), (3, 9));
    for (value, found) in [("\"all\"", "string \"all\""), ("-1", "`-1`"), ("1.5", "1.5"), ("true", "true"), ("[]", "sequence")] {
        let error = parse(&format!("[accelerator]\nspmat_depth = {value}")).unwrap_err();
        assert!(error.contains("\"auto\" or a whole number") && error.contains(found) && error.contains("line 2"), "{error}");
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    for (text, line) in [
        ("[accelerator]\npes = 4\nlanes = 2", 3),
        ("[extra]", 1),
        ("[model]\nfiles = \"x\"", 2),
        ("[[model.layer]]\nweights = \"w\"\nweight_bits = 4", 3),
        ("[compress]\n\nstart = 1", 3),
        ("[input]\nlabel = \"x\"", 2),
        ("[train]\nepoch = 3", 2),
        ("[prune]\nlamp = true", 2),
        ("[share]\nbit = 4", 2),
        ("[accelerator.ese]\nchannel = 2", 2),
        ("[[model.lstm]]\nformat = \"onnx\"\ncell = 4", 3),
        ("[[model.lstm]]\n[model.lstm.reverse]\nnode = \"a\"", 3),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.starts_with("net.toml: TOML parse error") && error.contains(&format!("line {line},")), "{error}");
        assert!(error.contains("unknown field"), "{error}");
    }
    assert!(parse("[[model.lstm]]\nname = \"a\"\nformat = \"onnx\"").unwrap_err().contains("missing field `gates`"));
}

#[test]
fn a_limit_that_is_broken_is_named() {
    let layer = "[[model.layer]]\nname = \"a\"\nweights = \"w\"\n";
    for (text, expected) in [
        ("[accelerator]\npes = 257".to_string(), "net.toml: accelerator.pes is 257: 1 to 256 PEs are supported"),
        ("[accelerator]\nweight_bits = 9".into(), "net.toml: accelerator.weight_bits is 9: a codebook code has 2 to 8 bits"),
        ("[accelerator]\nrun_bits = 9".into(), "net.toml: accelerator.run_bits is 9: a zero run has 2 to 8 bits"),
        ("[accelerator.ese]\nchannels = 33".into(), "net.toml: accelerator.ese.channels is 33: 1 to 32 channels are supported"),
        (
            "[accelerator.ese]\noutput_depth = 0".into(),
            "net.toml: accelerator.ese.output_depth is 0: an output vector has 1 to 65,535 values",
        ),
        ("[accelerator]\nact_depth = 0".into(), "net.toml: accelerator.act_depth is 0: an activation buffer holds 1 to 65,535 words"),
        (format!("{layer}density = 1.01"), "net.toml: layer 1 (a): density is 1.01, expected a share from 0 to 1"),
        (format!("{layer}density = nan"), "net.toml: layer 1 (a): density is NaN, expected a share from 0 to 1"),
        (format!("{layer}quality = -1"), "net.toml: layer 1 (a): quality is -1, expected a finite number from 0"),
        (format!("{layer}quality = 1\ndensity = 0.5"), "net.toml: layer 1 (a): found both density and quality, expected one of them"),
        (format!("{layer}grain = \"filter\""), "net.toml: layer 1 (a): found grain filter, expected density or quality beside it"),
        (
            format!("{layer}grain = \"kernel\"\nquality = 1"),
            "net.toml: layer 1 (a): grain is a kernel, expected another: the layer is no convolution",
        ),
        (format!("{layer}density = 0.5\ngrain = {{ vector = 0 }}"), "net.toml: layer 1 (a): grain is a vector of 0, expected at least 1"),
        (
            format!("{layer}density = 0.5\ngrain = {{ n-of-m = [2, 4] }}"),
            "net.toml: layer 1 (a): found density or quality, expected none with grain 2 of 4, which says it",
        ),
        (
            format!("[[model.lstm]]\nformat = \"onnx\"\ngates = \"iofc\"\nnode = \"n\"\n{layer}quality = 1"),
            "net.toml: layer a: found quality or grain, expected only density behind an LSTM, whose prune says the rest",
        ),
        (format!("{layer}output_axis = 2"), "net.toml: layer 1 (a): output_axis is 2, expected 0 for (out, in) or 1 for (in, out)"),
        (format!("{layer}{layer}"), "net.toml: layer 2 (a): found the name of an earlier layer, expected another"),
        ("[compress]\nactivation_density = -0.1".into(), "net.toml: compress.activation_density is -0.1, expected a share from 0 to 1"),
        ("[compress]\nkmeans_iterations = 10001".into(), "net.toml: compress.kmeans_iterations is 10001, expected 0 to 10,000"),
        ("[input]\nscale = 0".into(), "net.toml: input.scale is 0, expected a finite number that is not 0"),
        (format!("{layer}outputs = 0"), "net.toml: layer 1 (a): outputs is 0, expected at least 1"),
        ("[train]\nheld_out = 0".into(), "net.toml: train.held_out is 0, expected at least 1"),
        ("[train]\nrate = 0".into(), "net.toml: train.rate is 0, expected a number above 0"),
        ("[train]\ndropout = 1".into(), "net.toml: train.dropout is 1, expected a share from 0, below 1"),
        ("[prune]\ndensity = [0.1, 0.2]".into(), "net.toml: prune.density is [0.1, 0.2], expected numbers that do not rise"),
        ("[prune]\nbatch = 0".into(), "net.toml: prune.batch is 0, expected 1 to 65,536"),
        ("[share]\ncodes = [256]".into(), "net.toml: share.codes is 256, expected 1 to 255"),
        ("[share]\nbits = [0, 4]".into(), "net.toml: share.bits is [0, 4], expected the fewest and the most, 1 to 8"),
        ("[share]\nbits = [4, 3]\nlose_at_most = 0.1".into(), "net.toml: share.bits is [4, 3], expected the fewest and the most, 1 to 8"),
        (
            "[share]\nbits = [1, 4]".into(),
            "net.toml: found share.bits without share.lose_at_most or prune.lose_at_most, expected what the search may lose",
        ),
        (
            "[train]\ntext = \"a\"\ninputs = \"b\"".into(),
            "net.toml: found train.text beside train.inputs or train.labels, expected one kind of data",
        ),
        ("[train]\nvocabulary = \"a\"".into(), "net.toml: found train.vocabulary without train.text, expected both"),
        ("[train]\nsteps = 0".into(), "net.toml: train.steps is 0, expected 1 to 4,096"),
        ("[share]\ncodes = [4, 4]".into(), "net.toml: share.codes has 2 numbers, expected none, one for all layers, or 0, one for each"),
        ("[share]\nbias_bits = 1".into(), "net.toml: share.bias_bits is 1, expected 2 to 16"),
        ("[input]\noffset = inf".into(), "net.toml: input.offset is inf, expected a finite number"),
        ("[input]\ncalibration_samples = 0".into(), "net.toml: input.calibration_samples is 0, expected at least 1"),
    ] {
        assert_eq!(parse(&text).unwrap_err(), expected);
    }
    assert!(parse("[accelerator]\nweights = \"direct\"\nweight_bits = 16").is_ok());
    assert!(parse("[compress]\nseed = 9223372036854775807").is_ok());
    assert!(parse("[compress]\nseed = 9223372036854775808").unwrap_err().contains("9223372036854775808"));
    let n_of_m = parse(&format!("{layer}grain = {{ n-of-m = [2, 4] }}")).unwrap().model.layer[0].rule();
    assert_eq!(n_of_m, Rule { keep: None, grain: Grain::NofM { n: 2, m: 4 } });
    let quality = parse(&format!("{layer}quality = 1.5\ngrain = {{ vector = 4 }}")).unwrap().model.layer[0].rule();
    assert_eq!(quality, Rule { keep: Some(Keep::Quality(1.5)), grain: Grain::Vector { length: 4 } });
    let error = parse("[accelerator]\nweights = \"huffman\"").unwrap_err();
    assert!(error.contains("unknown variant `huffman`, expected `codebook` or `direct`"), "{error}");
}

#[test]
fn the_datapath_is_ese_with_an_lstm_or_an_ese_table() {
    let ese = |text: &str| parse(text).unwrap().ese();
    assert_eq!(ese("[[model.layer]]\nweights = \"w\""), None);
    assert_eq!(ese("[[model.lstm]]\nformat = \"onnx\"\ngates = \"iofc\"\nnode = \"n\""), Some(EseConfig::default()));
    let given = EseConfig { channels: 4, cell_depth: Auto::Fixed(9), ..EseConfig::default() };
    assert_eq!(ese("[accelerator.ese]\nchannels = 4\ncell_depth = 9"), Some(given));
}

#[test]
fn what_is_wrong_with_an_lstm_is_named() {
    let torch = "format = \"pytorch\"\ngates = \"ifgo\"\nweight_ih = \"a\"\n";
    let tf = "format = \"tensorflow\"\ngates = \"ijfo\"\nkernel = \"a\"\nbias = \"b\"\n";
    let onnx = "format = \"onnx\"\ngates = \"iofc\"\n";
    let both = "weight_hh = \"h\"\ndirection = \"bidirectional\"\n";
    for (table, expected) in [
        (
            "format = \"pytorch\"\ngates = \"ijfo\"".to_string(),
            "lstm 1 (): gates is \"ijfo\", expected \"ifgo\", the order of format pytorch",
        ),
        (tf.replace("ijfo", "ifgo"), "lstm 1 (a): gates is \"ifgo\", expected \"ijfo\", the order of format tensorflow"),
        (onnx.replace("iofc", "ifgo"), "lstm 1 (): gates is \"ifgo\", expected \"iofc\", the order of format onnx"),
        (torch.to_string(), "lstm 1 (a): found no weight_hh, which format pytorch needs"),
        (tf.to_string(), "lstm 1 (a): found no forget_bias, which format tensorflow needs"),
        (format!("{tf}forget_bias = inf"), "lstm 1 (a): forget_bias is inf, expected a finite number"),
        (onnx.to_string(), "lstm 1 (): found no node, expected the name of an LSTM node of the file"),
        (format!("{torch}weight_hh = \"h\"\nnode = \"n\""), "lstm 1 (a): node is a key of format onnx, found with format pytorch"),
        (
            format!("{torch}weight_hh = \"h\"\nw_f_diag = \"n\""),
            "lstm 1 (a): w_f_diag is a key of format tensorflow, found with format pytorch",
        ),
        (
            format!("{tf}forget_bias = 1\nweight_hr = \"n\""),
            "lstm 1 (a): weight_hr is a key of format pytorch, found with format tensorflow",
        ),
        (format!("{onnx}node = \"n\"\nbias = \"n\""), "lstm 1 (n): bias is a key of format tensorflow, found with format onnx"),
        (
            format!("{tf}forget_bias = 1\nw_i_diag = \"i\"\nw_o_diag = \"o\""),
            "lstm 1 (a): found w_i_diag and w_o_diag only, expected all of w_i_diag, w_f_diag, w_o_diag or none",
        ),
        (
            format!("{onnx}node = \"n\"\ncandidate = \"tanh\""),
            "lstm 1 (n): found candidate, expected none with format onnx: the node's activations say it",
        ),
        (format!("{onnx}node = \"n\"\ndensity = 2"), "lstm 1 (n): density is 2, expected a share from 0 to 1"),
        (
            format!("{torch}{both}"),
            "lstm 1 (a): direction is \"bidirectional\", expected a reverse table with the tensors of the other direction",
        ),
        (
            format!("{torch}{both}[model.lstm.reverse]\nweight_ih = \"b\""),
            "lstm 1 (a), reverse: found no weight_hh, which format pytorch needs",
        ),
        (
            format!("{torch}weight_hh = \"h\"\n[model.lstm.reverse]\nweight_ih = \"b\""),
            "lstm 1 (a): found a reverse table, expected none unless direction is \"bidirectional\"",
        ),
        (
            format!("{onnx}node = \"n\"\n[model.lstm.reverse]"),
            "lstm 1 (n): found a reverse table, expected none with format onnx: the node has both directions",
        ),
        (
            format!("{onnx}node = \"n\"\n[[model.layer]]\nweights = \"n\""),
            "layer 1 (n): found the name of an earlier layer, expected another",
        ),
    ] {
        assert_eq!(parse(&format!("[[model.lstm]]\n{table}")).unwrap_err(), format!("net.toml: {expected}"));
    }
}

#[test]
fn a_layer_has_weights_or_a_node() {
    for (keys, expected) in [
        ("name = \"a\"", "found no weights, expected the name of a tensor, or node and the name of a node"),
        ("name = \"a\"\nweights = \"w\"\nnode = \"n\"", "found both weights and node, expected one of them"),
        ("node = \"a\"\nbias = \"b\"", "found bias, expected none with node: the bias of the graph is taken"),
        ("node = \"a\"\noutput_axis = 1", "found output_axis, expected none with node: the graph says it"),
    ] {
        assert_eq!(parse(&format!("[[model.layer]]\n{keys}")).unwrap_err(), format!("net.toml: layer 1 (a): {expected}"));
    }
    assert_eq!(parse("[[model.layer]]\nnode = \"n\"").unwrap().model.layer, [LayerConfig::from_node("", "n")]);
}

#[test]
fn what_is_wrong_with_a_convolution_is_named() {
    let conv = |keys: &str| format!("[[model.layer]]\nweights = \"a\"\nconv = {{ {keys} }}\n");
    let input = |sides: &str| format!("[model]\ninput = {sides}\n");
    let image = input("[1, 28, 28]");
    let onnx = "[[model.lstm]]\nformat = \"onnx\"\ngates = \"iofc\"\nnode = \"n\"\n";
    for (text, expected) in [
        (conv("pool = 2"), "layer 1 (a): found no model.input, expected input = [channels, rows, columns] in [model]"),
        (format!("{image}{}", conv("stride = 0")), "layer 1 (a): conv.stride is 0, expected 1 to 65,535"),
        (format!("{image}{}", conv("pool = 65536")), "layer 1 (a): conv.pool is 65536, expected 1 to 65,535"),
        (format!("{image}{}", conv("kernel = [5, 0]")), "layer 1 (a): conv.kernel is 0, expected 1 to 65,535"),
        (
            format!("{image}{}", conv("padding = 2")),
            "layer 1 (a): conv.padding is 2, expected 0; \
             the hardware pads nothing: give the network input that is padded, or train it without",
        ),
        (input("[1, 0, 28]"), "model.input is [1, 0, 28], expected channels, rows and columns from 1 to 65,535"),
        (format!("{image}{}output_axis = 1", conv("")), "layer 1 (a): output_axis is 1, expected 0: filters are (out, in, rows, columns)"),
        (
            format!("{image}[[model.layer]]\nnode = \"a\"\nconv = {{}}"),
            "layer 1 (a): found conv with node, expected weights: convolutions come from .safetensors and .npz files",
        ),
        (
            format!("[[model.layer]]\nweights = \"b\"\n{}", conv("")),
            "layer 2 (a): found a convolution behind a fully connected layer, which leaves no feature map",
        ),
        (format!("{onnx}{}", conv("")), "layer 1 (a): found conv in a network with an LSTM, expected fully connected layers"),
        (format!("{image}{onnx}"), "model.input is the shape of a feature map, found beside an LSTM, which takes vectors"),
    ] {
        assert_eq!(parse(&text).unwrap_err(), format!("net.toml: {expected}"));
    }
    let found = parse(&format!("{image}{}", conv("pool = 2"))).unwrap().model;
    assert_eq!(found.input, Some([1, 28, 28]));
    assert_eq!(found.layer[0].conv, Some(ConvConfig { pool: 2, ..ConvConfig::default() }));
}

#[test]
fn paths_are_relative_to_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.toml");
    let error = Config::load(&file).unwrap_err().to_string();
    assert!(error.contains("net.toml"), "{error}");
    std::fs::write(&file, "[model]\nfile = \"a/b.npz\"").unwrap();
    let config = Config::load(&file).unwrap();
    assert_eq!(config.path(&config.model.file), folder.path().join("a/b.npz"));
    assert_eq!(config.path(Path::new("/x")), PathBuf::from("/x"));
}

#[test]
fn the_example_of_an_lstm_is_one() {
    let found = parse(&Config::lstm_example()).unwrap();
    assert_eq!((found.model.lstm.len(), found.model.layer.len()), (1, 1));
    assert_eq!(found.ese(), Some(EseConfig::default()));
    assert_eq!(found.accelerator.weights, WeightForm::Direct);
}
