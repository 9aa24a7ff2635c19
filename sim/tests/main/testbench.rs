//! The recorded plain-Verilog bench under Icarus, a simulator with X that Lacuna otherwise does not use.

use crate::common::conv::{conv_case, ConvCase, Hardware};
use crate::common::random_case;
use lacuna_compress::files::{write_image, Format};
use lacuna_compress::manifest::Model;
use lacuna_compress::spec::{MemoryKind, Section, WeightForm};
use lacuna_sim::golden::Golden;
use lacuna_sim::testbench::testbench;
use std::process::Command;

/// What the bench prints under Icarus; `image` is what the memories really get, `model` what the bench expects.
fn play(model: &Model, image: &Model, inputs: &[Vec<i16>], preload: bool) -> String {
    let folder = tempfile::tempdir().unwrap();
    let design = lacuna_hdl::generate(model.arch()).unwrap();
    for m in &design.modules {
        std::fs::write(folder.path().join(m.file_name()), &m.text).unwrap();
    }
    let bench = testbench(model, inputs, preload).unwrap();
    std::fs::write(folder.path().join("testbench.v"), &bench.verilog).unwrap();
    std::fs::write(folder.path().join("commands.mem"), &bench.commands).unwrap();
    write_image(&folder.path().join("image"), &image.image, Format::Mem).unwrap();
    let image_parameter = "-Ptestbench.IMAGE='\"image/\"'";
    let script = format!("iverilog -g2005 -s testbench {image_parameter} -o bench.vvp *.v 2>compile.txt && vvp -n bench.vvp");
    let out = Command::new("sh").arg("-c").arg(script).current_dir(folder.path()).output().unwrap();
    let log = std::fs::read_to_string(folder.path().join("compile.txt")).unwrap_or_default();
    format!("{}{}{log}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

#[test]
fn bench_passes_in_icarus_through_the_bus_and_preloaded() {
    for seed in [6, 9] {
        let case = random_case(seed);
        for preload in [false, true] {
            let said = play(&case.model, &case.model, &case.inputs, preload);
            assert!(said.contains("PASS") && !said.contains("FAIL"), "{}, preload {preload}: {said}", case.name);
        }
    }
}

/// Nothing of the walk or of pooling may depend on what is undefined before the first start.
#[test]
fn bench_of_a_convolution_passes_in_icarus() {
    let hardware = Hardware { pes: 3, fifo_depth: 2, weights: WeightForm::Codebook, entries_per_word: 2, act_depth: 150 };
    let pools_twice = |case: &ConvCase| case.layers.iter().filter(|l| l.conv.is_some_and(|conv| conv.pool > 1)).count() > 1;
    let case = (0..).map(|seed| conv_case(&hardware, seed)).find(pools_twice).unwrap();
    let golden = Golden::new(&case.model.image).unwrap();
    let inputs: Vec<Vec<i16>> = case.inputs[1..3].iter().map(|input| case.positions(input, golden.inputs())).collect();
    let said = play(&case.model, &case.model, &inputs, true);
    assert!(said.contains("PASS") && !said.contains("FAIL"), "{}: {said}", case.name);
}

/// One weight's lowest bit differs from what the bench was recorded with.
#[test]
fn bench_fails_on_a_flipped_bit_of_the_image() {
    let case = random_case(6);
    let mut damaged = case.model.clone();
    let bias = damaged.image.sections.get_mut(&Section::Pe(0, MemoryKind::Bias)).unwrap();
    let top = bias.width() - 2;
    let flipped = bias.bits(0, top, 1) ^ 1;
    bias.set_bits(0, top, 1, flipped);
    let said = play(&case.model, &damaged, &case.inputs, true);
    assert!(said.contains("FAIL: command") && !said.contains("PASS"), "{said}");
}
