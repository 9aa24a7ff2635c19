use super::project::{npy, Project, CONFIG, SAMPLES};

#[test]
fn compress_reports_every_stage_on_stdout() {
    let p = Project::new();
    let ran = p.run(&["compress", "-c", "net.toml", "-o", "net.lacuna"]);
    assert_eq!(ran.stderr, "wrote net.lacuna\n");
    let out = ran.did_it();
    for text in
        ["weights\n", "3 calibration samples", "entries\n", "bits of the zero run", "chosen", "bits cost the fewest cycles", "accelerator "]
    {
        assert!(out.contains(text), "{text} in\n{out}");
    }
    // 24 + 4 + 12 + 3 weights and biases
    let bytes = p.read("net.lacuna").len();
    let last = out.lines().last().unwrap();
    assert_eq!(
        last.replace(',', ""),
        format!("43 parameters: 172 bytes as 32-bit floats {bytes} bytes compressed rate {:.1}", 172.0 / bytes as f64)
    );
    assert!(out.lines().all(|l| l.trim_end() == l), "a line ends in blanks");
}

#[test]
fn the_same_configuration_gives_the_same_bytes() {
    let p = Project::new();
    for name in ["a.lacuna", "b.lacuna"] {
        p.run(&["compress", "-c", "net.toml", "-o", name]).did_it();
    }
    assert_eq!(p.read("a.lacuna"), p.read("b.lacuna"));
}

#[test]
fn memory_files_come_in_every_form_and_read_back_the_same() {
    let p = Project::new();
    let mut tables = vec![];
    for format in ["mem", "coe", "mif"] {
        p.run(&["compress", "-c", "net.toml", "-o", "net.lacuna", "--images", "a/images", "--format", format]).did_it();
        let stems =
            ["layers", "pe0_bias", "pe0_codebook", "pe0_ptr_even", "pe0_ptr_odd", "pe0_spmat", "pe1_bias", "pe1_codebook", "pe1_ptr_even"];
        for stem in stems.into_iter().chain(["pe1_ptr_odd", "pe1_spmat"]) {
            assert!(p.names().contains(&format!("a/images/{stem}.{format}")), "{stem}.{format} in {:?}", p.names());
        }
        let file = format!("a/images/pe1_spmat.{format}");
        tables.push(p.run(&["inspect", &file, "--container", "net.lacuna"]).did_it());
    }
    assert!(tables[0].starts_with("pe 1 spmat\n") && tables.iter().all(|t| *t == tables[0]), "{tables:?}");
    assert!(!p.names().iter().any(|n| n.contains(".lacuna-")), "{:?}", p.names());
}

#[test]
fn pruning_and_direct_weights_are_configurable() {
    let p = Project::new();
    let config = CONFIG
        .replace("pes = 2", "pes = 2\nweights = \"direct\"\nweight_bits = 8")
        .replace("bias = \"fc1.bias\"", "bias = \"fc1.bias\"\ndensity = 0.125");
    p.write("net.toml", config);
    let out = p.run(&["compress", "-c", "net.toml", "-o", "net.lacuna"]).did_it();
    let fc1: Vec<&str> = out.lines().find(|l| l.trim_start().starts_with("fc1 ")).unwrap().split_whitespace().collect();
    // rows, columns, non-zeros before and after: 3 of 24 weights are kept
    assert_eq!(fc1[1..6], ["4", "6", "7", "3", "3"], "{out}");
}

#[test]
fn inputs_that_the_calibration_did_not_show_saturate_and_are_counted() {
    let p = Project::compressed();
    let loud: Vec<f32> = SAMPLES.concat().iter().map(|v| v * 1000.0).collect();
    p.write("loud.npy", npy(&[3, 6], &loud));
    let out = p.run(&["infer", "--container", "net.lacuna", "--inputs", "loud.npy"]).did_it();
    assert!(out.contains("saturated results: fc1 ") && !out.contains("fc1 0,"), "{out}");
}
