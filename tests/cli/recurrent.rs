//! LSTMs: a network small enough to compute here goes through every command, and what is no LSTM's is refused.

use super::project::{npy, npy_values, safetensors, Project};

const INPUTS: usize = 3;
const CELLS: usize = 5;
const OUTPUTS: usize = 2;
const STEPS: usize = 6;
const SEQUENCES: usize = 3;

const CONFIG: &str = r#"
[accelerator]
pes = 2
weights = "direct"
weight_bits = 12
entries_per_word = 2

[accelerator.ese]
channels = 2

[model]
file = "lstm.safetensors"

[[model.lstm]]
name = "lstm"
format = "pytorch"
gates = "ifgo"
weight_ih = "lstm.weight_ih_l0"
weight_hh = "lstm.weight_hh_l0"
bias_ih = "lstm.bias_ih_l0"
bias_hh = "lstm.bias_hh_l0"

[[model.layer]]
name = "logits"
weights = "fc.weight"
bias = "fc.bias"
activation = "none"

[input]
file = "sequences.npy"
calibration = "sequences.npy"
"#;

/// Values from -1 to 1 out of a fixed sequence, in 128ths: 12 bits hold them.
fn values(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 24) as f32 - 128.0) / 128.0
    };
    (0..count).map(|_| next()).collect()
}

fn tensor(name: &str) -> (Vec<usize>, Vec<f32>) {
    let (seed, shape) = match name {
        "lstm.weight_ih_l0" => (1, vec![4 * CELLS, INPUTS]),
        "lstm.weight_hh_l0" => (2, vec![4 * CELLS, CELLS]),
        "lstm.bias_ih_l0" => (3, vec![4 * CELLS]),
        "lstm.bias_hh_l0" => (4, vec![4 * CELLS]),
        "fc.weight" => (5, vec![OUTPUTS, CELLS]),
        _ => (6, vec![OUTPUTS]),
    };
    (shape.clone(), values(seed, shape.iter().product()))
}

const TENSORS: [&str; 6] = ["lstm.weight_ih_l0", "lstm.weight_hh_l0", "lstm.bias_ih_l0", "lstm.bias_hh_l0", "fc.weight", "fc.bias"];

fn sequences() -> Vec<f32> {
    values(7, SEQUENCES * STEPS * INPUTS)
}

/// What the LSTM and the layer behind it (if `dense`) answer to a sequence, in floating point.
fn expected(sequence: &[f32], dense: bool) -> Vec<Vec<f32>> {
    let [w_x, w_h, b_x, b_h, w, b] = TENSORS.map(|name| tensor(name).1);
    let dot = |row: &[f32], x: &[f32]| row.iter().zip(x).map(|(w, a)| w * a).sum::<f32>();
    let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
    let (mut h, mut c) = (vec![0.0; CELLS], vec![0.0; CELLS]);
    let mut outputs = vec![];
    for x in sequence.chunks(INPUTS) {
        let z: Vec<f32> =
            (0..4 * CELLS).map(|r| dot(&w_x[r * INPUTS..][..INPUTS], x) + dot(&w_h[r * CELLS..][..CELLS], &h) + b_x[r] + b_h[r]).collect();
        for k in 0..CELLS {
            let [i, f, g, o] = [0, 1, 2, 3].map(|gate| z[gate * CELLS + k]);
            c[k] = sigmoid(f) * c[k] + sigmoid(i) * g.tanh();
            h[k] = sigmoid(o) * c[k].tanh();
        }
        outputs.push(match dense {
            true => (0..OUTPUTS).map(|r| dot(&w[r * CELLS..][..CELLS], &h) + b[r]).collect(),
            false => h.clone(),
        });
    }
    outputs
}

fn near(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 0.003), "{found:?}, expected {expected:?}");
}

fn project() -> Project {
    let p = Project::new();
    let tensors: Vec<(&str, Vec<usize>, Vec<f32>)> = TENSORS.map(|name| (name, tensor(name).0, tensor(name).1)).into();
    let borrowed: Vec<(&str, &[usize], &[f32])> = tensors.iter().map(|(n, s, v)| (*n, s.as_slice(), v.as_slice())).collect();
    p.write("lstm.safetensors", safetensors(&borrowed));
    p.write("sequences.npy", npy(&[SEQUENCES, STEPS, INPUTS], &sequences()));
    p.write("lstm.toml", CONFIG);
    p
}

/// A project whose LSTM is compressed to `lstm.lacuna`; its samples are `sequences.npy`.
pub fn compressed() -> Project {
    let p = project();
    p.run(&["compress", "-c", "lstm.toml", "-o", "lstm.lacuna"]).did_it();
    p
}

fn bidirectional() -> String {
    let reverse = r#"direction = "bidirectional"
[model.lstm.reverse]
weight_ih = "lstm.weight_ih_l0"
weight_hh = "lstm.weight_hh_l0"
bias_ih = "lstm.bias_ih_l0"
bias_hh = "lstm.bias_hh_l0"
"#;
    let (lstm, rest) = CONFIG.split_once("\n[[model.layer]]").unwrap();
    let input = &rest[rest.find("[input]").unwrap()..];
    format!("{lstm}{reverse}{input}")
}

#[test]
fn compress_reports_pruning_both_ways_formats_and_memories() {
    let p = project();
    p.write("lstm.toml", CONFIG.replace("bias_hh = \"lstm.bias_hh_l0\"", "bias_hh = \"lstm.bias_hh_l0\"\ndensity = 0.4"));
    let ran = p.run(&["compress", "-c", "lstm.toml", "-o", "lstm.lacuna", "--images", "images"]);
    // 4 of each PE, parameters, program
    assert_eq!(ran.stderr, "wrote lstm.lacuna\nwrote 8 memory files to images\n");
    let out = ran.did_it();
    for text in ["load-balanced", "magnitude", "imbalance", "SNR dB", "lstm gates", "widest sum: ", "channels", "program: 4 operations"] {
        assert!(out.contains(text), "{text} in\n{out}");
    }
    // 20 x 3 + 20 x 5 + 2 x 20 biases of the file, which become 20, and 2 x 5 + 2
    let bytes = p.read("lstm.lacuna").len();
    let last = out.lines().last().unwrap().replace(',', "");
    assert_eq!(last, format!("192 parameters: 768 bytes as 32-bit floats {bytes} bytes compressed rate {:.1}", 768.0 / bytes as f64));
    // of gate i's 5 x 5 recurrent weights 40 % of PE 0's 15 and of PE 1's 10
    let row: Vec<&str> = out.lines().find(|l| l.trim_start().starts_with("lstm i h ")).unwrap().split_whitespace().collect();
    assert_eq!(row[3..6], ["5", "5", "10"], "{out}");
    assert!(out.lines().all(|l| l.trim_end() == l), "a line ends in blanks");
    assert!(p.names().contains(&"images/parameters.mem".to_string()));
}

#[test]
fn the_way_of_pruning_is_each_layers_own() {
    let p = project();
    let stored = |prune: &str| {
        let keys = format!("bias_hh = \"lstm.bias_hh_l0\"\ndensity = 0.3\nprune = \"{prune}\"");
        p.write("lstm.toml", CONFIG.replace("bias_hh = \"lstm.bias_hh_l0\"", &keys));
        let out = p.run(&["compress", "-c", "lstm.toml", "-o", "lstm.lacuna"]).did_it();
        (p.read("lstm.lacuna"), out.split("\n\n").next().unwrap().to_string())
    };
    let (balanced, magnitude) = (stored("load-balanced"), stored("magnitude"));
    assert_ne!(balanced.0, magnitude.0);
}

#[test]
fn golden_outputs_are_those_of_the_float_network_where_16_bits_hold_them() {
    let p = compressed();
    let ran = p.run(&["infer", "-c", "lstm.toml", "--container", "lstm.lacuna", "-o", "out.npy"]);
    assert_eq!(ran.stderr, format!("wrote out.npy, {SEQUENCES} x {STEPS} x {OUTPUTS}\n"));
    let out = ran.did_it();
    let answers: Vec<f32> = sequences().chunks(STEPS * INPUTS).flat_map(|s| expected(s, true)).flatten().collect();
    near(&npy_values(&p.read("out.npy")), &answers);
    assert!(out.ends_with("saturated values: lstm cells 0, logits 0\n"), "{out}");
    let header: Vec<&str> = out.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(header, ["sequence", "steps", "class", "out", "0", "out", "1"]);

    // one sequence without its axis, and the first of several
    p.write("one.npy", npy(&[STEPS, INPUTS], &sequences()[..STEPS * INPUTS]));
    let one = p.run(&["infer", "--container", "lstm.lacuna", "--inputs", "one.npy"]).did_it();
    assert_eq!(one, p.run(&["infer", "--container", "lstm.lacuna", "--inputs", "sequences.npy", "--limit", "1"]).did_it());
}

#[test]
fn a_bidirectional_network_is_two_containers_for_one_accelerator() {
    let p = project();
    p.write("both.toml", bidirectional());
    let ran = p.run(&["compress", "-c", "both.toml", "-o", "net.both.lacuna", "--images", "images"]);
    for text in ["wrote net.both.forward.lacuna\nwrote net.both.reverse.lacuna\n", "both are for the same accelerator"] {
        assert!(ran.stderr.contains(text), "{text} in {}", ran.stderr);
    }
    let out = ran.did_it();
    assert!(out.contains("forward direction: net.both.forward.lacuna") && out.contains("reverse direction: "), "{out}");
    assert!(["images/forward/layers.mem", "images/reverse/pe1_spmat.mem"].iter().all(|f| p.names().contains(&f.to_string())));

    for (direction, reverse) in [("forward", false), ("reverse", true)] {
        let container = format!("net.both.{direction}.lacuna");
        p.run(&["infer", "-c", "both.toml", "--container", &container, "-o", "out.npy"]).did_it();
        let one = |sequence: &[f32]| {
            let turned = |steps: Vec<Vec<f32>>| -> Vec<Vec<f32>> { steps.into_iter().rev().collect() };
            if reverse {
                let heard = turned(sequence.chunks(INPUTS).map(<[f32]>::to_vec).collect()).concat();
                turned(expected(&heard, false)).concat()
            } else {
                expected(sequence, false).concat()
            }
        };
        let answers: Vec<f32> = sequences().chunks(STEPS * INPUTS).flat_map(one).collect();
        near(&npy_values(&p.read("out.npy")), &answers);
        p.run(&["generate", "--container", &container, "-o", direction]).did_it();
    }
    for file in ["files.f", "lacuna_ese.v"] {
        assert_eq!(p.read(&format!("forward/{file}")), p.read(&format!("reverse/{file}")), "{file}");
    }
    p.run(&["generate", "-c", "both.toml", "-o", "either"]).did_it();
    let two = &["found two models, those of a bidirectional LSTM, expected one", "give the --container"];
    p.refuses(&["build", "--board", "ulx3s", "-c", "both.toml", "-o", "board", "--plan"], two);
    p.refuses(&["generate", "-c", "both.toml", "-o", "rtl", "--preload"], two);
    #[cfg(feature = "verilator")]
    p.run(&["simulate", "-c", "both.toml", "--container", "net.both.reverse.lacuna"]).did_it();
}

#[test]
fn inspect_shows_network_program_and_memories() {
    let p = compressed();
    let out = p.run(&["inspect", "lstm.lacuna"]).did_it();
    for text in ["channels = 2", "a step: 3 inputs", "LSTM layers\n", "fully connected layers\n", "memories\n", "parameters", "program\n"] {
        assert!(out.contains(text), "{text} in\n{out}");
    }
    assert!(out.contains("5 cells at 0") && out.contains("input to 3") && out.contains("last") && !out.contains("entries\n"), "{out}");
    let all = p.run(&["inspect", "lstm.lacuna", "--all"]).did_it();
    assert!(["sections\n", "parameters\n", "pointers\n", "entries\n"].iter().all(|t| all.contains(t)), "{all}");
    let by_name = p.run(&["inspect", "lstm.lacuna", "--layer", "logits", "--memory", "spmat", "--pe", "1"]).did_it();
    assert_eq!(by_name, p.run(&["inspect", "lstm.lacuna", "--layer", "1", "--memory", "spmat", "--pe", "1"]).did_it());
    // PE 1 has row 1 of the two
    let rows: Vec<Vec<&str>> = by_name.lines().skip(3).map(|l| l.split_whitespace().collect()).filter(|r: &Vec<_>| !r.is_empty()).collect();
    assert!(!rows.is_empty() && rows.iter().all(|r| (r[0], r[2], r[5]) == ("1", "logits", "1")), "{by_name}");
    p.refuses(&["inspect", "lstm.lacuna", "--layer", "fc"], &["--layer fc: expected 0 to 1 or one of lstm, logits"]);

    p.run(&["compress", "-c", "lstm.toml", "-o", "lstm.lacuna", "--images", "images"]).did_it();
    let program = p.run(&["inspect", "images/layers.mem", "--container", "lstm.lacuna"]).did_it();
    assert!(program.contains("5 cells at 0"), "{program}");
    let parameters = p.run(&["inspect", "images/parameters.mem", "--container", "lstm.lacuna"]).did_it();
    assert!(parameters.contains("peephole o"), "{parameters}");
}

#[test]
fn generate_writes_the_lstm_accelerator() {
    let p = compressed();
    let ran = p.run(&["generate", "--container", "lstm.lacuna", "-o", "a", "--preload"]);
    assert!(ran.stderr.contains("top module lacuna_ese") && ran.stderr.contains("lacuna_ese #(.PRELOAD(1)"), "{}", ran.stderr);
    ran.did_it();
    assert!(["a/lacuna_ese.v", "a/parameters.mem", "a/pe1_spmat.mem"].iter().all(|f| p.names().contains(&f.to_string())));
    p.run(&["generate", "-c", "lstm.toml", "-o", "b"]).did_it();
    p.run(&["generate", "-c", "lstm.toml", "--container", "lstm.lacuna", "-o", "c"]).did_it();
    assert!(["b", "c"].iter().all(|f| p.read(&format!("{f}/lacuna_ese.v")) == p.read("a/lacuna_ese.v")));
    p.refuses(&["generate", "--container", "lstm.lacuna", "-o", "rtl", "--testbench"], &["--testbench is for accelerators of fully"]);

    let fixed = "[accelerator]\npes = 2\nrun_bits = 4\nspmat_depth = 100\nptr_depth = 50\nact_depth = 16\nacc_depth = 16\nbias_depth = 32\nmax_layers = 4\n[accelerator.ese]\n";
    p.write("open.toml", fixed);
    let keys = "accelerator.ese.cell_depth, accelerator.ese.input_depth, accelerator.ese.output_depth";
    p.refuses(&["generate", "-c", "open.toml", "-o", "rtl"], &["\"auto\" needs a model", keys]);
    p.write("fixed.toml", format!("{fixed}cell_depth = 16\ninput_depth = 3\noutput_depth = 4\n"));
    p.run(&["generate", "-c", "fixed.toml", "-o", "fixed"]).did_it();
}

#[cfg(feature = "verilator")]
#[test]
fn hardware_and_golden_model_agree_at_every_output_c_and_h() {
    let p = compressed();
    p.run(&["infer", "-c", "lstm.toml", "--container", "lstm.lacuna", "-o", "golden.npy"]).did_it();
    let simulate = ["simulate", "--container", "lstm.lacuna", "--inputs", "sequences.npy", "-o", "out.npy"];
    for flags in [&["--door", "axi"][..], &["--seed", "77", "--stalls", "40"], &["--door", "preload"]] {
        let out = p.run(&[&simulate[..], flags].concat()).did_it();
        assert!(out.ends_with("equal to golden model at every output, c and h: all of 18 steps of 3 sequences\n"), "{out}");
        assert!(out.contains("cycles a step: min ") && out.contains("saturated values: lstm cells 0"), "{out}");
        // two channels: the third sequence has the first channel again
        let channels: Vec<&str> =
            out.lines().filter(|l| l.ends_with("equal")).map(|l| l.split_whitespace().rev().nth(2).unwrap()).collect();
        assert_eq!(channels, ["0", "1", "0"], "{out}");
        assert_eq!(p.read("out.npy"), p.read("golden.npy"));
    }
}

#[cfg(feature = "verilator")]
#[test]
fn faulty_hardware_is_located_and_the_printed_command_repeats_it() {
    use super::simulate::with_fault;
    let p = compressed();
    // tanh of the wrong sign
    let fault =
        |arguments: &[&str]| with_fault(&p, "activation.v", "negative_2 ? (~tanh", "!negative_2 ? (~tanh", &mut p.command(arguments));
    let first = fault(&["simulate", "--container", "lstm.lacuna", "--inputs", "sequences.npy", "-o", "out.npy"]);
    assert_eq!(first.code, Some(1), "{first:?}");
    let lines: Vec<&str> = first.stdout.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("sequence ") && lines[0].contains(": expected "), "{first:?}");
    assert!(!p.names().contains(&"out.npy".to_string()), "wrong outputs are not written");
    let again: Vec<&str> = lines[1].strip_prefix("repeat with: lacuna ").unwrap().split(' ').collect();
    assert_eq!(again[..6], ["simulate", "--container", "lstm.lacuna", "--inputs", "sequences.npy", "--limit"]);
    let second = fault(&again);
    assert_eq!((second.code, second.stdout), (Some(1), first.stdout));
}

#[test]
fn sequences_and_settings_that_do_not_fit_are_refused() {
    let p = compressed();
    let compress = ["compress", "-c", "lstm.toml", "-o", "x.lacuna", "--images", "x"];
    let infer = ["infer", "--container", "lstm.lacuna", "--inputs", "sequences.npy", "-o", "out.npy"];
    p.write("sequences.npy", npy(&[2, 4, 4], &[0.5; 32]));
    let texts = ["sequences.npy: found shape (2, 4, 4), expected (sequences, steps, 3) or (steps, 3)"];
    p.refuses(&compress, &texts);
    p.refuses(&infer, &texts);
    p.write("sequences.npy", npy(&[2, 7], &[0.5; 14]));
    p.refuses(&compress, &["found shape (2, 7), expected (sequences, steps, 3)"]);
    let mut values = sequences();
    values[STEPS * INPUTS + 2 * INPUTS + 1] = f32::NAN;
    p.write("sequences.npy", npy(&[SEQUENCES, STEPS, INPUTS], &values));
    p.refuses(&infer, &["sequences.npy: found NaN in sequence 1, step 2, value 1"]);
    p.write("sequences.npy", npy(&[0, STEPS, INPUTS], &[]));
    p.refuses(&infer, &["at least one step of one sequence"]);
    p.write("sequences.npy", npy(&[SEQUENCES, STEPS, INPUTS], &sequences()));

    p.write("lstm.toml", CONFIG.replace("calibration = \"sequences.npy\"", ""));
    p.refuses(&compress, &["input.calibration is not set"]);
    p.write("lstm.toml", CONFIG.replace("[input]\n", "[input]\nscale = 0.5\n"));
    p.refuses(&compress, &["found input.scale 0.5", "expected 1 and 0 with [[model.lstm]]"]);
    p.write("lstm.toml", CONFIG.replace("\"ifgo\"", "\"ifog\""));
    p.refuses(&compress, &["gates is \"ifog\", expected \"ifgo\""]);
    p.write("lstm.toml", CONFIG.replace("pes = 2", "pes = 2\nspmat_depth = 1"));
    p.refuses(&compress, &["do not fit spmat depth 1"]);
}

#[test]
fn the_wrong_kind_of_container_is_named() {
    let p = compressed();
    p.run(&["compress", "-c", "net.toml", "-o", "net.lacuna"]).did_it();
    p.write("labels", super::project::labels(&[0, 1, 0]));
    let labelled = ["infer", "--container", "lstm.lacuna", "--inputs", "sequences.npy", "--labels", "labels"];
    p.refuses(&labelled, &["container lstm.lacuna: found a recurrent network (LSTM), expected a network of fully connected layers"]);
    p.write("sound.wav", wav(16_000, 16_000));
    let sound = ["infer", "--container", "net.lacuna", "--wav", "sound.wav"];
    p.refuses(&sound, &["container net.lacuna: found a network of fully connected layers, expected a recurrent network (LSTM) with --wav"]);
    for (config, container) in [("lstm.toml", "net.lacuna"), ("net.toml", "lstm.lacuna")] {
        let texts = [container, "the model was compiled for an accelerator for", "the configuration describes one for"];
        p.refuses(&["infer", "-c", config, "--container", container], &texts);
        p.refuses(&["generate", "-c", config, "--container", container, "-o", "rtl"], &texts);
    }
}

/// A tone of 16-bit samples, one channel.
fn wav(rate: u32, samples: u32) -> Vec<u8> {
    let mut file = b"RIFF".to_vec();
    file.extend((36 + 2 * samples).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    file.extend([1u16, 1].iter().flat_map(|v| v.to_le_bytes()));
    file.extend([rate, 2 * rate].iter().flat_map(|v| v.to_le_bytes()));
    file.extend([2u16, 16].iter().flat_map(|v| v.to_le_bytes()));
    file.extend(b"data");
    file.extend((2 * samples).to_le_bytes());
    let tone = |n: u32| (8000.0 * (n as f64 * 440.0 * std::f64::consts::TAU / f64::from(rate)).sin()) as i16;
    file.extend((0..samples).flat_map(|n| tone(n).to_le_bytes()));
    file
}

#[test]
fn a_sound_is_heard_whatever_its_rate_and_refused_below_8_khz() {
    let p = compressed();
    p.write("cd.wav", wav(44_100, 44_100));
    let ran = p.run(&["infer", "--wav", "cd.wav"]);
    assert_eq!(ran.stderr, "cd.wav: the sound is resampled from 44,100 to 16,000 samples a second\n");
    let out = ran.did_it();
    assert!(out.contains("float reference   golden model") && out.contains("cd.wav: ") && out.contains("_silence_ "), "{out}");
    p.write("short.wav", wav(16_000, 8_000));
    let ran = p.run(&["infer", "--wav", "short.wav", "-o", "out.npy"]);
    assert!(ran.stderr.contains("the sound lasts 0.500 s: silence follows"), "{}", ran.stderr);
    ran.did_it();
    assert_eq!(npy_values(&p.read("out.npy")).len(), 25 * 12);

    p.write("slow.wav", wav(4_000, 4_000));
    p.refuses(&["infer", "--wav", "slow.wav"], &["slow.wav: ", "4,000 samples a second; expected 8,000 to 192,000"]);
    p.write("no.wav", "words");
    p.refuses(&["infer", "--wav", "no.wav"], &["no.wav: ", "no wav file"]);
    p.refuses(&["infer", "--wav", "none.wav"], &["none.wav: No such file"]);
    let own = ["infer", "--wav", "cd.wav", "--container", "lstm.lacuna"];
    p.refuses(&own, &["a sound is for a keyword network: found 3 inputs and 2 outputs, expected 10", "and 12 (words)"]);
    p.refuses(&["infer", "--wav", "cd.wav", "--stride", "320"], &["--container <FILE>"]);
    p.refuses(&["infer", "--wav", "cd.wav", "--inputs", "sequences.npy"], &["cannot be used with"]);
}

fn bundled(file: &str) -> String {
    format!("{}/src/demo/speech/{file}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_container_of_the_bundled_networks_needs_no_stride() {
    let p = Project::new();
    for (config, stride) in [("lstm_s.toml", "640"), ("basic_lstm_s.toml", "320")] {
        p.run(&["compress", "-c", &bundled(config), "-o", "net.lacuna"]).did_it();
        let infer = ["infer", "--container", "net.lacuna", "--wav", &bundled("yes.wav")];
        let out = p.run(&infer).did_it();
        assert!(out.contains("yes.wav: yes, probability 0.99"), "{out}");
        assert_eq!(p.run(&[&infer[..], &["--stride", stride]].concat()).did_it(), out);
        assert_ne!(p.run(&[&infer[..], &["--stride", if stride == "640" { "320" } else { "640" }]].concat()).did_it(), out);
    }
}

#[test]
fn the_example_of_an_lstm_works() {
    let p = project();
    p.run(&["init", "--lstm", "mine.toml"]).did_it();
    let text = String::from_utf8(p.read("mine.toml")).unwrap();
    let text = text.replace("# calibration = \"train-sequences.npy\"", "calibration = \"sequences.npy\"");
    p.write("mine.toml", text.replace("model.safetensors", "lstm.safetensors"));
    p.run(&["compress", "-c", "mine.toml", "-o", "mine.lacuna"]).did_it();
}

#[cfg(feature = "verilator")]
#[test]
fn demo_speech_hears_the_words_that_the_float_reference_hears() {
    let p = Project::new();
    let before = p.names();
    for (show, steps, silence) in [("speech", "25", "right"), ("speech-basic", "49", "yes")] {
        let out = p.run(&["demo", show]).did_it();
        let words = out.split("words; ").nth(1).unwrap();
        for (clip, right, heard) in
            [("yes", "yes", "yes"), ("no", "no", "no"), ("marvin", "_unknown_", "_unknown_"), ("silence", "_silence_", silence)]
        {
            let row: Vec<&str> =
                words.lines().find(|l| l.trim_start().starts_with(&format!("{clip} "))).unwrap().split_whitespace().collect();
            assert_eq!(row[..3], [clip, right, heard], "{out}");
            assert_eq!(row[4], steps, "{out}");
            if clip != "silence" {
                assert_eq!((row[3], row[7..].join(" ").as_str()), (heard, "equal"), "{out}");
            } else {
                assert!(row[7..].join(" ") == "equal; float unsure", "{out}");
            }
        }
        assert!(out.lines().any(|l| l.contains("clips equal at every output, c and h") && l.ends_with("4 of 4")), "{out}");
        // of every label: float reference and hardware of four clips
        let rows =
            out.lines().skip(3).take(12).map(|l| l.split_whitespace().skip(1).map(|v| v.parse::<f64>().unwrap()).collect::<Vec<_>>());
        for row in rows {
            assert_eq!(row.len(), 8, "{out}");
            assert!(row.chunks(2).all(|pair| (pair[0] - pair[1]).abs() < 0.02), "{out}");
        }
        assert!(out.lines().all(|l| l.chars().count() <= 100), "{out}");
    }
    assert_eq!(p.names(), before);
}
