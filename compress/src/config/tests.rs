use super::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("net.toml")).map_err(|e| e.to_string())
}

/// The example with the keys that have no default switched on.
fn uncommented() -> String {
    let on = |line: &str| match line.strip_prefix("# ") {
        Some(key) if key.split_once(" = ").is_some_and(|(name, _)| !name.contains(' ')) => key.to_string(),
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
    let expected = Config {
        accelerator: AcceleratorConfig::default(),
        model: ModelConfig {
            file: "model.safetensors".into(),
            layer: vec![LayerConfig {
                name: "fc1".into(),
                weights: "fc1.weight".into(),
                bias: Some("fc1.bias".into()),
                output_axis: 0,
                activation: Activation::Relu,
                density: Some(0.1),
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
        folder: PathBuf::new(),
    };
    let text = uncommented();
    assert_eq!(parse(&text).unwrap(), expected);
    let written = toml::to_string(&expected).unwrap();
    for line in written.lines().filter(|l| !l.is_empty()) {
        let key = line.split_once(" = ").map_or(line, |(key, _)| key);
        assert!(text.lines().any(|l| l.split(" = ").next() == Some(key)), "{key} is not in the example");
    }
    assert_eq!(parse(&written).unwrap(), expected);
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
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.starts_with("net.toml: TOML parse error") && error.contains(&format!("line {line},")), "{error}");
        assert!(error.contains("unknown field"), "{error}");
    }
    assert!(parse("[[model.layer]]\nname = \"a\"").unwrap_err().contains("missing field `weights`"));
}

#[test]
fn a_limit_that_is_broken_is_named() {
    let layer = "[[model.layer]]\nname = \"a\"\nweights = \"w\"\n";
    for (text, expected) in [
        ("[accelerator]\npes = 257".to_string(), "net.toml: accelerator.pes is 257: 1 to 256 PEs are supported"),
        ("[accelerator]\nweight_bits = 9".into(), "net.toml: accelerator.weight_bits is 9: a codebook code has 2 to 8 bits"),
        ("[accelerator]\nrun_bits = 9".into(), "net.toml: accelerator.run_bits is 9: a zero run has 2 to 8 bits"),
        ("[accelerator]\nact_depth = 0".into(), "net.toml: accelerator.act_depth is 0: an activation buffer holds 1 to 65,535 words"),
        (format!("{layer}density = 1.01"), "net.toml: layer 1 (a): density is 1.01, expected a share from 0 to 1"),
        (format!("{layer}density = nan"), "net.toml: layer 1 (a): density is NaN, expected a share from 0 to 1"),
        (format!("{layer}output_axis = 2"), "net.toml: layer 1 (a): output_axis is 2, expected 0 for (out, in) or 1 for (in, out)"),
        (format!("{layer}{layer}"), "net.toml: layer 2 (a): found the name of an earlier layer, expected another"),
        ("[compress]\nactivation_density = -0.1".into(), "net.toml: compress.activation_density is -0.1, expected a share from 0 to 1"),
        ("[compress]\nkmeans_iterations = 10001".into(), "net.toml: compress.kmeans_iterations is 10001, expected 0 to 10,000"),
        ("[input]\nscale = 0".into(), "net.toml: input.scale is 0, expected a finite number that is not 0"),
        ("[input]\noffset = inf".into(), "net.toml: input.offset is inf, expected a finite number"),
        ("[input]\ncalibration_samples = 0".into(), "net.toml: input.calibration_samples is 0, expected at least 1"),
    ] {
        assert_eq!(parse(&text).unwrap_err(), expected);
    }
    assert!(parse("[accelerator]\nweights = \"direct\"\nweight_bits = 16").is_ok());
    let error = parse("[accelerator]\nweights = \"huffman\"").unwrap_err();
    assert!(error.contains("unknown variant `huffman`, expected `codebook` or `direct`"), "{error}");
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
