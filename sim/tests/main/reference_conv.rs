//! Convolutions of the floating-point reference agree with scipy, whose answers scripts/vectors recorded.

use lacuna_compress::config::{Config, ConvConfig, LayerConfig};
use lacuna_compress::import::load_model;
use lacuna_compress::inputs::load_tensors;
use lacuna_compress::model::Activation;
use lacuna_sim::reference::Reference;
use std::path::Path;

#[test]
fn convolutions_and_pooling_are_those_of_scipy() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/conv");
    let mut config = Config { folder: folder.clone(), ..Config::default() };
    config.model.file = "net.safetensors".into();
    config.model.input = Some([2, 9, 11]);
    let layer = |name: &str| LayerConfig { bias: Some(format!("{name}.bias")), ..LayerConfig::new(name, name) };
    config.model.layer = vec![
        LayerConfig { conv: Some(ConvConfig { stride: 2, pool: 2, ..ConvConfig::default() }), ..layer("a") },
        LayerConfig { conv: Some(ConvConfig::default()), activation: Activation::None, ..layer("b") },
        layer("c"),
    ];
    let dense = load_model(&config).unwrap();
    let reference = Reference::new(&dense);
    let tensors = load_tensors(&folder.join("net.safetensors")).unwrap();
    let samples = tensors["input"].data.chunks_exact(dense.inputs());
    assert_eq!(samples.len(), 3);
    for (number, sample) in samples.enumerate() {
        let trace = reference.trace(sample);
        for (name, found) in ["a", "b", "c"].iter().zip(&trace) {
            let all = &tensors[&format!("{name}.out")].data;
            let expected = &all[number * found.len()..(number + 1) * found.len()];
            assert_eq!(all.len(), 3 * found.len());
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - f64::from(*expected)).abs() < 1e-5, "layer {name}, sample {number}: {found}, expected {expected}");
            }
        }
    }
}
