//! A network with a convolution and pooling, through every command.

use super::project::{npy, npy_values, safetensors, Project};

const CHANNELS: usize = 2;
const SIDES: [usize; 2] = [6, 7];
const FILTERS: usize = 3;
const KERNEL: [usize; 2] = [3, 2];
/// Of 4 x 6 results.
const POOLED: [usize; 2] = [2, 3];
const OUTPUTS: usize = 4;
const SAMPLES: usize = 3;

const CONFIG: &str = r#"
[accelerator]
pes = 2
entries_per_word = 2

[model]
file = "conv.safetensors"
input = [2, 6, 7]

[[model.layer]]
name = "conv1"
weights = "conv1.weight"
bias = "conv1.bias"
conv = { pool = 2 }

[[model.layer]]
name = "fc"
weights = "fc.weight"
activation = "none"

[compress]
balance = true

[input]
file = "maps.npy"
calibration = "maps.npy"
"#;

/// Multiples of a quarter from -1 to 1, many of them 0: 9 values, which 4-bit codes hold.
fn weights(count: usize, step: usize) -> Vec<f32> {
    (0..count).map(|i| i * step % 17).map(|v| if v > 8 { 0.0 } else { v as f32 / 4.0 - 1.0 }).collect()
}

fn conv1() -> Vec<f32> {
    weights(FILTERS * CHANNELS * KERNEL[0] * KERNEL[1], 5)
}
const BIAS: [f32; FILTERS] = [0.5, -0.25, 0.0];
fn fc() -> Vec<f32> {
    weights(OUTPUTS * FILTERS * POOLED[0] * POOLED[1], 7)
}
fn maps() -> Vec<f32> {
    (0..SAMPLES * CHANNELS * SIDES[0] * SIDES[1]).map(|i| (i * i % 23) as f32 / 8.0 - 1.25).map(|v| v.max(0.0)).collect()
}

/// What the network answers to a sample, in floating point.
fn expected(map: &[f32]) -> Vec<f32> {
    let filters = conv1();
    let result = |f: usize, y: usize, x: usize| {
        let mut sum = BIAS[f];
        for c in 0..CHANNELS {
            for i in 0..KERNEL[0] {
                for j in 0..KERNEL[1] {
                    let weight = filters[((f * CHANNELS + c) * KERNEL[0] + i) * KERNEL[1] + j];
                    sum += weight * map[(c * SIDES[0] + y + i) * SIDES[1] + x + j];
                }
            }
        }
        sum.max(0.0)
    };
    let mut pooled = vec![];
    for f in 0..FILTERS {
        for y in (0..2 * POOLED[0]).step_by(2) {
            for x in (0..2 * POOLED[1]).step_by(2) {
                pooled.push(result(f, y, x).max(result(f, y, x + 1)).max(result(f, y + 1, x)).max(result(f, y + 1, x + 1)));
            }
        }
    }
    fc().chunks_exact(pooled.len()).map(|row| row.iter().zip(&pooled).map(|(w, a)| w * a).sum()).collect()
}

fn project() -> Project {
    let p = Project::new();
    let tensors: [(&str, &[usize], &[f32]); 3] = [
        ("conv1.weight", &[FILTERS, CHANNELS, KERNEL[0], KERNEL[1]], &conv1()),
        ("conv1.bias", &[FILTERS], &BIAS),
        ("fc.weight", &[OUTPUTS, FILTERS * POOLED[0] * POOLED[1]], &fc()),
    ];
    p.write("conv.safetensors", safetensors(&tensors));
    p.write("maps.npy", npy(&[SAMPLES, CHANNELS, SIDES[0], SIDES[1]], &maps()));
    p.write("conv.toml", CONFIG);
    p
}

const COMPRESS: [&str; 5] = ["compress", "-c", "conv.toml", "-o", "conv.lacuna"];

#[test]
fn a_convolution_is_compressed_inspected_and_inferred() {
    let p = project();
    p.run(&COMPRESS).did_it();
    p.run(&["infer", "--container", "conv.lacuna", "-c", "conv.toml", "-o", "golden.npy"]).did_it();
    let answers: Vec<f32> = maps().chunks_exact(CHANNELS * SIDES[0] * SIDES[1]).flat_map(expected).collect();
    let found = npy_values(&p.read("golden.npy"));
    assert_eq!(found.len(), answers.len());
    assert!(found.iter().zip(&answers).all(|(f, a)| (f - a).abs() < 0.01), "{found:?}, expected {answers:?}");

    let out = p.run(&["inspect", "conv.lacuna"]).did_it();
    let table = out.lines().skip_while(|line| *line != "convolutions");
    let row: Vec<&str> = table.skip(2).find(|line| line.contains("conv1")).unwrap_or_else(|| panic!("{out}")).split_whitespace().collect();
    assert_eq!(row.join(" "), "0 conv1 2 x 6 x 7 3 x 2 1 24 2 3 x 2 x 3");
    assert!(out.contains("conv = 1") && out.contains("out_width"), "{out}");
}

#[cfg(feature = "verilator")]
#[test]
fn a_convolution_runs_on_the_hardware_through_either_door() {
    let p = project();
    p.run(&COMPRESS).did_it();
    p.run(&["infer", "--container", "conv.lacuna", "-c", "conv.toml", "-o", "golden.npy"]).did_it();
    for door in ["axi", "preload"] {
        let out = p.run(&["simulate", "--container", "conv.lacuna", "-c", "conv.toml", "--door", door, "-o", "out.npy"]).did_it();
        assert!(out.ends_with("equal to golden model and cycle model: all of 3 samples\n"), "{out}");
        assert_eq!(p.read("out.npy"), p.read("golden.npy"));
    }
    // the configuration describes the accelerator that the container is for
    p.run(&["generate", "-c", "conv.toml", "-o", "rtl"]).did_it();
    p.run(&["generate", "--container", "conv.lacuna", "-o", "of-container"]).did_it();
    assert_eq!(p.read("rtl/lacuna_eie.v"), p.read("of-container/lacuna_eie.v"));
}

#[test]
fn what_does_not_fit_is_refused() {
    let p = project();
    for (from, to, text) in [
        ("input = [2, 6, 7]\n", "", "layer 1 (conv1): found no model.input, expected input = [channels, rows, columns] in [model]"),
        ("[2, 6, 7]", "[2, 7, 9]", "layer fc: found 18 inputs, expected 24, the 3 x 2 x 4 outputs of layer conv1"),
        ("pool = 2", "pool = 2, padding = 1", "conv.padding is 1, expected 0"),
        ("conv = { pool = 2 }\n", "", "needs conv = {} in the configuration"),
    ] {
        p.write("conv.toml", CONFIG.replace(from, to));
        p.refuses(&COMPRESS, &[text]);
    }
    p.write("conv.toml", CONFIG);
    p.run(&COMPRESS).did_it();
    let container = ["infer", "--container", "conv.lacuna", "--inputs", "samples.npy"];
    p.refuses(&container, &["samples.npy", "the sample has 6 values, the network 84 inputs"]);
}
