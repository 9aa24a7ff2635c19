//! Model files of both formats become layers, and everything wrong with them is said.

use lacuna_compress::config::{Config, ConvConfig, LayerConfig};
use lacuna_compress::import::load_model;
use lacuna_compress::model::{Activation, Conv};
use safetensors::tensor::TensorView;
use safetensors::Dtype;
use std::path::Path;

/// What the fixtures hold in every format, as (3, 4): `(arange(12) - 5) / 4`, all exact in 16 bits.
/// `stored.npz` and `compressed.npz` are NumPy 2.4's own `savez` and `savez_compressed`.
fn expected() -> Vec<f32> {
    (0..12).map(|i| (i as f32 - 5.0) / 4.0).collect()
}

fn fixture(name: &str) -> Config {
    let mut config = Config { folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data"), ..Config::default() };
    config.model.file = name.into();
    config
}

fn layer(weights: &str, bias: Option<&str>) -> LayerConfig {
    LayerConfig { bias: bias.map(str::to_string), ..LayerConfig::new("", weights) }
}

fn error(config: &Config) -> String {
    load_model(config).unwrap_err().to_string()
}

/// A safetensors file of 32-bit floats in a new folder.
fn safetensors_with(tensors: &[(&str, &[usize], &[f32])]) -> (tempfile::TempDir, Config) {
    let raw: Vec<Vec<u8>> = tensors.iter().map(|t| t.2.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views = tensors.iter().zip(&raw).map(|(t, raw)| (t.0, TensorView::new(Dtype::F32, t.1.to_vec(), raw).unwrap()));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    let mut config = Config { folder: folder.path().to_path_buf(), ..Config::default() };
    config.model.file = "m.safetensors".into();
    (folder, config)
}

#[test]
fn npz_of_every_element_type_and_order_is_read() {
    for file in ["stored.npz", "compressed.npz"] {
        for name in ["c", "fortran", "half", "big"] {
            let mut config = fixture(file);
            config.model.layer = vec![layer(name, Some("bias"))];
            let dense = load_model(&config).unwrap();
            let loaded = &dense.layers[0];
            assert_eq!((loaded.weights.rows, loaded.weights.columns), (3, 4));
            assert_eq!(loaded.weights.data, expected(), "{file} {name}");
            assert_eq!((loaded.bias.as_slice(), loaded.name.as_str()), ([0.5, -1.0, 2.0].as_slice(), name));
            assert_eq!(dense.parameters(), 15);
        }
    }
}

#[test]
fn safetensors_of_every_element_type_is_read() {
    let values = expected();
    let half: [u16; 12] = [0xBD00, 0xBC00, 0xBA00, 0xB800, 0xB400, 0x0000, 0x3400, 0x3800, 0x3A00, 0x3C00, 0x3D00, 0x3E00];
    let raw: [(Dtype, Vec<u8>); 4] = [
        (Dtype::F32, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        (Dtype::F64, values.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect()),
        (Dtype::BF16, values.iter().flat_map(|v| ((v.to_bits() >> 16) as u16).to_le_bytes()).collect()),
        (Dtype::F16, half.iter().flat_map(|v| v.to_le_bytes()).collect()),
    ];
    for (dtype, raw) in &raw {
        let folder = tempfile::tempdir().unwrap();
        let view = TensorView::new(*dtype, vec![3, 4], raw).unwrap();
        std::fs::write(folder.path().join("m.safetensors"), safetensors::serialize([("w", view)], None).unwrap()).unwrap();
        let mut config = Config { folder: folder.path().to_path_buf(), ..Config::default() };
        config.model.file = "m.safetensors".into();
        config.model.layer = vec![layer("w", None)];
        let dense = load_model(&config).unwrap();
        assert_eq!(dense.layers[0].weights.data, values, "{dtype:?}");
        assert_eq!(dense.layers[0].bias, [0.0; 3]);
    }
}

#[test]
fn output_axis_1_is_transposed() {
    let (_folder, mut config) = safetensors_with(&[("w", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])]);
    config.model.layer = vec![LayerConfig { output_axis: 1, activation: Activation::None, ..LayerConfig::new("fc", "w") }];
    let dense = load_model(&config).unwrap();
    let fc = &dense.layers[0];
    assert_eq!((fc.weights.rows, fc.weights.columns, fc.weights.row(1)), (3, 2, [2.0, 5.0].as_slice()));
    assert_eq!((fc.name.as_str(), fc.activation), ("fc", Activation::None));
    assert_eq!((dense.inputs(), dense.outputs()), (2, 3));
}

#[test]
fn a_missing_tensor_is_told_with_those_that_exist() {
    let mut config = fixture("compressed.npz");
    config.model.layer = vec![layer("w", None)];
    let text = error(&config);
    assert!(text.ends_with(
        "compressed.npz: tensor `w` (weights of layer w): found no such tensor, expected one of bias, big, c, cube, fortran, half, integers"
    ), "{text}");
    let (_folder, mut config) = safetensors_with(&[("w", &[1, 1], &[1.0])]);
    config.model.layer = vec![LayerConfig { bias: Some("b".into()), ..LayerConfig::new("fc", "w") }];
    assert!(error(&config).ends_with("tensor `b` (bias of layer fc): found no such tensor, expected one of w"));
}

#[test]
fn wrong_shapes_say_found_and_expected() {
    let mut config = fixture("stored.npz");
    for (weights, bias, expected) in [
        ("cube", None, "tensor `cube` (weights of layer cube): found shape (2, 3, 4), expected two axes"),
        ("bias", None, "tensor `bias` (weights of layer bias): found shape (3,), expected two axes"),
        ("integers", None, "tensor `integers` (weights of layer integers): found integers, expected floating point"),
        ("c", Some("c"), "tensor `c` (bias of layer c): found shape (3, 4), expected shape (3,), one value per output"),
    ] {
        config.model.layer = vec![layer(weights, bias)];
        assert!(error(&config).ends_with(expected), "{}", error(&config));
    }
    // the same matrix the other way round has four outputs, the bias three
    config.model.layer = vec![LayerConfig { output_axis: 1, ..layer("c", Some("bias")) }];
    assert!(error(&config).ends_with("found shape (3,), expected shape (4,), one value per output"));
    let (_folder, mut config) = safetensors_with(&[("w", &[0, 4], &[])]);
    config.model.layer = vec![layer("w", None)];
    assert!(error(&config).ends_with("found shape (0, 4), expected 1 to 16,776,960 rows and columns"), "{}", error(&config));
}

#[test]
fn layers_that_do_not_follow_each_other_are_refused() {
    let mut config = fixture("stored.npz");
    config.model.layer = vec![LayerConfig::new("first", "c"), LayerConfig::new("second", "half")];
    assert_eq!(error(&config), "layer second: found 4 inputs, expected 3, the outputs of layer first");
    config.model.layer = vec![LayerConfig { output_axis: 1, ..LayerConfig::new("first", "c") }, LayerConfig::new("second", "half")];
    assert_eq!(load_model(&config).unwrap().layers.len(), 2);
}

/// Two convolutions and a fully connected layer over maps of 2 x 7 x 8: 3 x 6 x 6, pooled to 3 x 3 x 3, then 4 x 1 x 1.
fn convolutions() -> (tempfile::TempDir, Config) {
    let values: Vec<f32> = (0..108).map(|i| i as f32).collect();
    let (folder, mut config) =
        safetensors_with(&[("a", &[3, 2, 2, 3], &values[..36]), ("b", &[4, 3, 3, 3], &values), ("c", &[5, 4], &values[..20])]);
    config.model.input = Some([2, 7, 8]);
    let conv = |weights: &str, conv| LayerConfig { conv: Some(conv), ..LayerConfig::new("", weights) };
    config.model.layer = vec![
        conv("a", ConvConfig { kernel: Some([2, 3]), pool: 2, ..ConvConfig::default() }),
        conv("b", ConvConfig { stride: 2, ..ConvConfig::default() }),
        LayerConfig::new("", "c"),
    ];
    (folder, config)
}

#[test]
fn tensors_of_four_axes_are_convolutions() {
    let (_folder, config) = convolutions();
    let dense = load_model(&config).unwrap();
    let [a, b, c] = &dense.layers[..] else { panic!() };
    assert_eq!(a.conv, Some(Conv { channels: 2, height: 7, width: 8, kernel: [2, 3], stride: 1, pool: 2 }));
    assert_eq!(b.conv, Some(Conv { channels: 3, height: 3, width: 3, kernel: [3, 3], stride: 2, pool: 1 }));
    assert_eq!((a.weights.rows, a.weights.columns, c.conv), (3, 12, None));
    // row by row in the order of the file
    assert_eq!(a.weights.row(1), (12..24).map(|i| i as f32).collect::<Vec<_>>());
    assert_eq!((dense.inputs(), a.outputs(), b.inputs(), b.outputs(), dense.outputs()), (112, 27, 27, 4, 5));
}

#[test]
fn convolutions_that_do_not_fit_are_refused() {
    type Change = fn(&mut Config);
    let cases: [(Change, &str); 10] = [
        (|c| c.model.input = Some([1, 7, 8]), "layer a: found filters of 2 channels, expected 1, those of the values of model.input"),
        (|c| c.model.input = Some([2, 7, 2]), "layer a: found filters of 2 x 3, expected at most its input, 7 x 2"),
        (|c| c.model.input = None, "found a convolution without a feature map before it: expected model.input, or a convolution before it"),
        (|c| c.model.input = Some([2, 11, 8]), "layer c: found 4 inputs, expected 8, the 4 x 2 x 1 outputs of layer b"),
        (|c| drop(c.model.layer.remove(0)), "layer b: found filters of 3 channels, expected 2, those of the values of model.input"),
        (|c| drop(c.model.layer.drain(..2)), "layer c: found 4 inputs, expected 112, the 2 x 7 x 8 values of model.input"),
        (
            |c| c.model.layer[1].conv = None,
            "tensor `b` (weights of layer b): found shape (4, 3, 3, 3), expected two axes; \
             a layer of filters (out, in, rows, columns) needs conv = {} in the configuration",
        ),
        (
            |c| c.model.layer[2].conv = Some(ConvConfig::default()),
            "tensor `c` (weights of layer c): found shape (5, 4), expected four axes (out, in, rows, columns) as the layer has conv; \
             leave conv out if it is fully connected",
        ),
        (|c| c.model.layer[1].conv.as_mut().unwrap().kernel = Some([3, 2]), "layer b: found filters of 3 x 3, expected conv.kernel, 3 x 2"),
        (|c| c.model.layer[1].conv.as_mut().unwrap().pool = 2, "layer b: found pool 2, expected at most 1: there are 1 x 1 results"),
    ];
    for (change, expected) in cases {
        let (_folder, mut config) = convolutions();
        change(&mut config);
        assert!(error(&config).ends_with(expected), "{}", error(&config));
    }
    let (_folder, mut config) = convolutions();
    config.model.layer[0].conv.as_mut().unwrap().stride = 6;
    assert!(error(&config).ends_with("layer a: found pool 2, expected at most 1: there are 1 x 1 results"), "{}", error(&config));
    let (_folder, mut config) = safetensors_with(&[("a", &[1, 0, 2, 2], &[])]);
    config.model.layer = vec![LayerConfig { conv: Some(ConvConfig::default()), ..LayerConfig::new("", "a") }];
    assert!(error(&config).ends_with("found shape (1, 0, 2, 2), expected 1 to 16,776,960 filters, and weights in each"));
}

#[test]
fn nan_and_infinity_are_found_with_their_place() {
    for (value, found) in [(f32::NAN, "NaN"), (f32::NEG_INFINITY, "-inf")] {
        let (_folder, mut config) = safetensors_with(&[("w", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, value]), ("b", &[2], &[0.0, value])]);
        config.model.layer = vec![layer("w", None)];
        let expected = format!("tensor `w` (weights of layer w): found {found} at [1, 2], expected finite 32-bit numbers");
        assert!(error(&config).ends_with(&expected), "{}", error(&config));
        let (_folder, mut config) = safetensors_with(&[("w", &[2, 1], &[1.0, 2.0]), ("b", &[2], &[0.0, value])]);
        config.model.layer = vec![layer("w", Some("b"))];
        assert!(error(&config).contains(&format!("found {found} at [1]")), "{}", error(&config));
    }
}

#[test]
fn files_that_are_no_model_are_refused() {
    let mut config = fixture("stored.npz");
    assert!(error(&config).ends_with("found no [[model.layer]] in the configuration, expected at least one layer"));
    config.model.layer = vec![layer("c", None)];
    for file in ["model.pb", "model.npy", "model"] {
        config.model.file = file.into();
        assert!(error(&config).ends_with("found an unknown kind of file, expected the extension .safetensors, .npz, .lcs or .onnx"));
    }
    config.model.file = "none.npz".into();
    assert!(error(&config).contains("tests/data/none.npz: "), "{}", error(&config));
}

#[test]
fn every_truncation_is_an_error() {
    let (folder, safetensors) = safetensors_with(&[("c", &[3, 4], &expected())]);
    let path = folder.path().join("m.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let mut config = safetensors;
    config.model.layer = vec![layer("c", None)];
    for length in 0..bytes.len() {
        std::fs::write(&path, &bytes[..length]).unwrap();
        assert!(error(&config).contains("m.safetensors: found "), "{length}: {}", error(&config));
    }
    let bytes = std::fs::read(fixture("compressed.npz").folder.join("compressed.npz")).unwrap();
    config.model.file = "m.npz".into();
    for length in 0..bytes.len() {
        std::fs::write(folder.path().join("m.npz"), &bytes[..length]).unwrap();
        assert!(error(&config).contains("m.npz: "), "{length}: {}", error(&config));
    }
}
