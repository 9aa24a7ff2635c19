use super::project::{expected, labels, npy_values, safetensors, Project, CONFIG, SAMPLES};

#[test]
fn outputs_are_those_of_the_float_network_where_16_bits_hold_them() {
    let p = Project::compressed();
    let ran = p.run(&["infer", "--container", "net.lacuna", "--inputs", "samples.npy", "-o", "out.npy"]);
    assert_eq!(ran.stderr, "wrote out.npy\n");
    let out = ran.did_it();
    let answers: Vec<f32> = SAMPLES.iter().flat_map(expected).collect();
    let found = npy_values(&p.read("out.npy"));
    assert_eq!(found.len(), answers.len());
    assert!(found.iter().zip(&answers).all(|(f, a)| (f - a).abs() < 0.001), "{found:?}, expected {answers:?}");
    let header: Vec<&str> = out.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["sample", "class", "out", "0", "out", "1", "out", "2"]);
    assert!(out.contains("saturated results: fc1 0, fc2 0\n"), "{out}");
}

#[test]
fn balanced_rows_give_outputs_in_the_models_order() {
    let p = Project::new();
    p.write("net.toml", format!("{CONFIG}\n[compress]\nbalance = true\n"));
    p.run(&["compress", "-c", "net.toml", "-o", "net.lacuna"]).did_it();
    p.run(&["infer", "--container", "net.lacuna", "--inputs", "samples.npy", "-o", "out.npy"]).did_it();
    let answers: Vec<f32> = SAMPLES.iter().flat_map(expected).collect();
    let found = npy_values(&p.read("out.npy"));
    assert!(found.iter().zip(&answers).all(|(f, a)| (f - a).abs() < 0.001), "{found:?}, expected {answers:?}");
}

#[test]
fn labels_give_the_error_rate() {
    let p = Project::compressed();
    let class = |s: &[f32; 6]| (0..3).max_by(|a, b| expected(s)[*a].total_cmp(&expected(s)[*b])).unwrap() as u8;
    let mut classes: Vec<u8> = SAMPLES.iter().map(class).collect();
    classes[1] = (classes[1] + 1) % 3;
    p.write("labels", labels(&classes));
    let out = p.run(&["infer", "--container", "net.lacuna", "--inputs", "samples.npy", "--labels", "labels"]).did_it();
    assert!(out.ends_with("error rate: 33.33 % of 3 samples\n"), "{out}");
    let out = p.run(&["infer", "--container", "net.lacuna", "--inputs", "samples.npy", "--labels", "labels", "--limit", "1"]).did_it();
    assert!(out.ends_with("error rate: 0.00 % of 1 sample\n"), "{out}");
    p.write("labels", labels(&classes[..2]));
    let few = ["infer", "--container", "net.lacuna", "--inputs", "samples.npy", "--labels", "labels"];
    p.refuses(&few, &["labels: found 2 labels, expected 3, one per sample"]);
}

#[test]
fn the_configuration_says_what_the_flags_do_not() {
    let p = Project::compressed();
    let flags = p.run(&["infer", "--container", "net.lacuna", "--inputs", "samples.npy"]).did_it();
    assert_eq!(p.run(&["infer", "--container", "net.lacuna", "-c", "net.toml"]).did_it(), flags);
    p.refuses(&["infer", "--container", "net.lacuna"], &["--inputs <FILE>"]);
}

#[test]
fn an_array_of_several_is_named() {
    let p = Project::compressed();
    p.write("two.safetensors", safetensors(&[("a", &[3, 6], &SAMPLES.concat()), ("b", &[1], &[0.0])]));
    let named = ["infer", "--container", "net.lacuna", "--inputs", "two.safetensors", "--tensor", "a"];
    let out = p.run(&named).did_it();
    assert_eq!(out, p.run(&["infer", "--container", "net.lacuna", "--inputs", "samples.npy"]).did_it());
    p.refuses(&named[..5], &["two.safetensors: found 2 arrays, expected `tensor` to name one of a, b"]);
}

#[test]
fn bundled_digits_have_the_error_rate_that_the_demo_shows() {
    let p = Project::new();
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/src/demo/");
    let [container, images, labels] =
        ["lenet300100.lacuna", "digits-images-idx3-ubyte.gz", "digits-labels-idx1-ubyte.gz"].map(|f| format!("{demo}{f}"));
    let out = p.run(&["infer", "--container", &container, "--inputs", &images, "--labels", &labels]).did_it();
    assert!(out.ends_with("saturated results: ip1 0, ip2 0, ip3 0\nerror rate: 2.00 % of 500 samples\n"), "{out}");
}
