//! Bad inputs: each is refused with exit status 2 and a message that says what and where; no output is left.

use super::project::{crc32, npy, safetensors, Project, CONFIG, FC1, FC1_BIAS, FC2, FC2_BIAS, SAMPLES};

const COMPRESS: [&str; 7] = ["compress", "-c", "net.toml", "-o", "out.lacuna", "--images", "images"];
const INFER: [&str; 7] = ["infer", "--container", "net.lacuna", "--inputs", "samples.npy", "-o", "out.npy"];

/// Compressing is refused with this configuration.
fn configured(from: &str, to: &str, texts: &[&str]) {
    let p = Project::new();
    assert!(CONFIG.contains(from), "{from}");
    p.write("net.toml", CONFIG.replace(from, to));
    p.refuses(&COMPRESS, texts);
}

#[test]
fn missing_files_are_named() {
    let p = Project::new();
    p.refuses(&["compress", "-c", "none.toml", "-o", "out.lacuna"], &["none.toml: No such file"]);
    p.refuses(&["compress", "-c", "net.toml", "-o", "none/out.lacuna"], &["none/out.lacuna: the folder none does not exist"]);
    p.refuses(&["infer", "--container", "none.lacuna", "--inputs", "samples.npy", "-o", "out.npy"], &["none.lacuna: No such file"]);
    p.refuses(&["generate", "--container", "none.lacuna", "-o", "rtl"], &["none.lacuna: No such file"]);
    p.refuses(&["inspect", "none.lacuna"], &["none.lacuna: No such file"]);
    configured("model.safetensors", "none.safetensors", &["none.safetensors: No such file"]);
    configured("calibration = \"samples.npy\"", "calibration = \"none.npy\"", &["none.npy: No such file"]);
    let p = Project::compressed();
    p.refuses(&["infer", "--container", "net.lacuna", "--inputs", "none.npy", "-o", "out.npy"], &["none.npy: No such file"]);
}

#[test]
fn a_missing_cause_is_said_once() {
    let p = Project::new();
    let ran = p.run(&["inspect", "none.lacuna"]);
    assert_eq!(ran.stderr, "error: none.lacuna: No such file or directory (os error 2)\n");
}

#[test]
fn the_configuration_is_checked_before_anything_is_read() {
    configured("pes = 2", "pes = 2\ncolour = 3", &["net.toml: ", "unknown field `colour`"]);
    configured("pes = 2", "pes = 300", &["accelerator.pes is 300", "1 to 256"]);
    configured("pes = 2", "pes = 2\nspmat_depth = \"big\"", &["net.toml: ", "\"auto\" or a whole number"]);
    configured("calibration = \"samples.npy\"", "", &["input.calibration is not set"]);
}

#[test]
fn tensors_must_have_the_names_and_shapes_of_the_configuration() {
    configured(
        "\"fc2.weight\"",
        "\"fc9.weight\"",
        &["tensor `fc9.weight` (weights of layer fc2)", "fc1.bias, fc1.weight, fc2.bias, fc2.weight"],
    );
    configured("\"fc2.bias\"", "\"fc1.bias\"", &["tensor `fc1.bias` (bias of layer fc2)", "found shape (4,)", "expected shape (3,)"]);
    configured("\"fc2.weight\"", "\"fc2.bias\"", &["found shape (3,)", "two axes"]);
    configured("bias = \"fc2.bias\"", "output_axis = 1", &["layer fc2", "found 3 inputs, expected 4"]);
}

#[test]
fn weights_that_are_not_finite_are_located() {
    let p = Project::new();
    let mut weights = FC1.concat();
    weights[13] = f32::NAN;
    p.write(
        "model.safetensors",
        safetensors(&[
            ("fc1.weight", &[4, 6], &weights),
            ("fc1.bias", &[4], &FC1_BIAS),
            ("fc2.weight", &[3, 4], &FC2.concat()),
            ("fc2.bias", &[3], &FC2_BIAS),
        ]),
    );
    p.refuses(&COMPRESS, &["model.safetensors: tensor `fc1.weight` (weights of layer fc1): found NaN at [2, 1]"]);
}

#[test]
fn a_truncated_model_is_no_model() {
    let p = Project::new();
    let whole = p.read("model.safetensors");
    for length in [0, 5, 40, whole.len() - 1] {
        p.write("model.safetensors", &whole[..length]);
        p.refuses(&COMPRESS, &["model.safetensors: found "]);
    }
}

#[test]
fn a_layer_that_does_not_fit_says_what_it_needs() {
    configured("pes = 2", "pes = 2\nspmat_depth = 1", &["pe 0", "do not fit spmat depth 1", "it needs depth"]);
    configured("pes = 2", "pes = 2\nact_depth = 2", &["do not fit", "depth 2", "it needs depth 3"]);
    configured("pes = 2", "pes = 2\nmax_layers = 1", &["layers"]);
    configured("pes = 2", "pes = 2\nacc_bits = 24", &["the sum of row", "accelerator.acc_bits is 24"]);
}

#[test]
fn samples_must_fit_the_network() {
    let p = Project::compressed();
    p.write("samples.npy", npy(&[3, 5], &SAMPLES.concat()[..15]));
    p.refuses(&INFER, &["samples.npy", "the sample has 5 values, the network 6 inputs"]);
    p.refuses(&COMPRESS, &["calibration"]);
    let mut samples = SAMPLES.concat();
    samples[7] = f32::INFINITY;
    p.write("samples.npy", npy(&[3, 6], &samples));
    p.refuses(&INFER, &["samples.npy: found inf in sample 1, element 1"]);
    p.refuses(
        &["generate", "--container", "net.lacuna", "-o", "rtl", "--testbench", "--inputs", "samples.npy"],
        &["found inf in sample 1"],
    );
}

#[test]
fn a_damaged_container_is_refused_by_every_command() {
    let p = Project::compressed();
    let whole = p.read("net.lacuna");
    let commands: [&[&str]; 3] = [&INFER, &["generate", "--container", "net.lacuna", "-o", "rtl", "--preload"], &["inspect", "net.lacuna"]];
    let refuse = |bytes: &[u8], text: &str| {
        p.write("net.lacuna", bytes);
        commands.iter().for_each(|c| p.refuses(c, &["net.lacuna: ", text]));
    };
    for at in [30, whole.len() / 2, whole.len() - 5] {
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        refuse(&flipped, "container is damaged: CRC-32 of the file");
    }
    refuse(&whole[..whole.len() - 1], "container ");
    refuse(&whole[..20], "container is cut short: 20 bytes");
    refuse(b"", "not a Lacuna container");
}

#[test]
fn an_architecture_hash_that_is_not_the_manifests_is_refused() {
    let p = Project::compressed();
    let mut bytes = p.read("net.lacuna");
    bytes[12] ^= 1;
    let end = bytes.len() - 4;
    let crc = crc32(&bytes[..end]);
    bytes[end..].copy_from_slice(&crc.to_le_bytes());
    p.write("net.lacuna", bytes);
    p.refuses(&INFER, &["net.lacuna: container was made for architecture", "its manifest describes"]);
}

#[test]
fn an_older_output_survives_a_failure() {
    let p = Project::compressed();
    p.write("out.lacuna", "older");
    p.write("net.toml", CONFIG.replace("pes = 2", "pes = 2\nspmat_depth = 1"));
    p.refuses(&COMPRESS, &["do not fit"]);
    assert_eq!(p.read("out.lacuna"), b"older");
}

#[test]
fn a_measurement_is_told_nothing_that_it_ignores() {
    let p = Project::new();
    for (option, only) in [
        ("--plots", "deep or prune-lm"),
        ("--keep", "deep or prune-lm or board or estimate or regress or mutants or coverage or fuzz"),
        ("--only", "deep or board or mutants"),
    ] {
        let expected = format!("found {option} with entropy, expected it with {only} only");
        p.refuses(&["bench", "entropy", option, "x"], &[&expected]);
    }
    p.refuses(&["bench", "entropy", "--all"], &["expected it with nine only"]);
    p.refuses(&["bench", "board", "--only", "somewhere"], &["found --only somewhere, expected ulx3s, largest, icebreaker, xcup"]);
}
