use super::project::{Project, CONFIG};
use std::process::Command;

/// Every depth a number, so that no model is needed.
const FIXED: &str = "
[accelerator]
pes = 4
run_bits = 4
spmat_depth = 100
ptr_depth = 50
act_depth = 16
acc_depth = 16
bias_depth = 32
max_layers = 2
";

/// The Verilog files that `files.f` lists.
fn listed(p: &Project, folder: &str) -> Vec<String> {
    let list = String::from_utf8(p.read(&format!("{folder}/files.f"))).unwrap();
    list.lines().filter(|l| !l.starts_with("//")).map(str::to_string).collect()
}

#[test]
fn fixed_depths_need_no_model() {
    let p = Project::new();
    p.write("fixed.toml", FIXED);
    let ran = p.run(&["generate", "-c", "fixed.toml", "-o", "out/rtl"]);
    assert_eq!(ran.stderr, "wrote out/rtl; top module lacuna_eie, files in out/rtl/files.f\n");
    assert!(ran.did_it().contains(" lacuna_eie "));
    let files = listed(&p, "out/rtl");
    assert_eq!(files[0], "lacuna_eie.v");
    let mut found: Vec<String> = files
        .iter()
        .map(|f| format!("out/rtl/{f}"))
        .chain(["out", "out/rtl", "out/rtl/files.f", "out/rtl/lacuna.core"].map(String::from))
        .collect();
    found.extend(["model.safetensors", "net.toml", "fixed.toml", "samples.npy"].map(String::from));
    found.sort();
    assert_eq!(p.names(), found);
    assert!(String::from_utf8(p.read("out/rtl/pe.v")).unwrap().contains("module pe "));
}

#[test]
fn container_and_configuration_give_the_same_bytes() {
    let p = Project::compressed();
    p.run(&["generate", "--container", "net.lacuna", "-o", "a"]).did_it();
    p.run(&["generate", "-c", "net.toml", "-o", "b"]).did_it();
    p.run(&["generate", "-c", "net.toml", "--container", "net.lacuna", "-o", "c"]).did_it();
    let files = listed(&p, "a");
    assert!(files.len() > 10, "{files:?}");
    for file in files.iter().map(String::as_str).chain(["files.f"]) {
        let a = p.read(&format!("a/{file}"));
        assert!(a == p.read(&format!("b/{file}")) && a == p.read(&format!("c/{file}")), "{file} differs");
    }
}

#[test]
fn a_folder_keeps_its_other_files() {
    let p = Project::compressed();
    std::fs::create_dir(p.path("rtl")).unwrap();
    p.write("rtl/mine.v", "module mine; endmodule");
    p.write("rtl/pe.v", "old");
    p.run(&["generate", "--container", "net.lacuna", "-o", "rtl"]).did_it();
    assert_eq!(p.read("rtl/mine.v"), b"module mine; endmodule");
    assert_ne!(p.read("rtl/pe.v"), b"old");
    assert!(!listed(&p, "rtl").contains(&"mine.v".to_string()));
    p.refuses(&["generate", "--container", "net.lacuna", "-o", "net.toml"], &["net.toml: found a file, expected a folder or a new name"]);
}

#[test]
fn preload_writes_the_memories_and_says_how_to_use_them() {
    let p = Project::compressed();
    let ran = p.run(&["generate", "--container", "net.lacuna", "-o", "rtl", "--preload"]);
    assert!(ran.stderr.contains(r#"lacuna_eie #(.PRELOAD(1), .IMAGE("rtl/"))"#), "{}", ran.stderr);
    ran.did_it();
    assert!(
        ["rtl/pe0_spmat.mem", "rtl/pe1_bias.mem", "rtl/layers.mem"].iter().all(|f| p.names().contains(&f.to_string())),
        "{:?}",
        p.names()
    );
    let list = String::from_utf8(p.read("rtl/files.f")).unwrap();
    assert!(list.contains("PRELOAD = 1") && list.contains("IMAGE"), "{list}");
}

#[test]
fn the_bench_passes_in_icarus_through_either_door() {
    let p = Project::compressed();
    for (folder, flags) in
        [("bus", &["--testbench"][..]), ("image", &["--testbench", "--preload", "--inputs", "samples.npy", "--limit", "3"])]
    {
        let arguments = [&["generate", "--container", "net.lacuna", "-o", folder], flags].concat();
        let ran = p.run(&arguments);
        // as the command says it
        let run = ran.stderr.lines().find_map(|l| l.strip_prefix("to run the bench: ")).unwrap().to_string();
        ran.did_it();
        let output = Command::new("sh").args(["-c", &run]).current_dir(p.path(".")).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && said.contains("PASS") && !said.contains("FAIL"), "{folder}: {said}");
    }
}

#[test]
fn random_vectors_follow_the_seed() {
    let p = Project::compressed();
    for (folder, seed) in [("a", "1"), ("b", "1"), ("c", "2")] {
        p.run(&["generate", "--container", "net.lacuna", "-o", folder, "--testbench", "--seed", seed]).did_it();
    }
    let [a, b, c] = ["a", "b", "c"].map(|f| p.read(&format!("{f}/commands.mem")));
    assert!(a == b && a != c);
}

#[test]
fn auto_without_a_model_names_the_keys_that_are_open() {
    let p = Project::new();
    p.write("open.toml", FIXED.replace("spmat_depth = 100\n", "").replace("max_layers = 2\n", ""));
    let texts = ["\"auto\" needs a model", "accelerator.spmat_depth, accelerator.max_layers"];
    p.refuses(&["generate", "-c", "open.toml", "-o", "rtl"], &texts);
    p.write("fixed.toml", FIXED);
    p.refuses(&["generate", "-c", "fixed.toml", "-o", "rtl", "--preload"], &["--preload needs a model: give --container"]);
    p.refuses(&["generate", "-c", "fixed.toml", "-o", "rtl", "--testbench"], &["--testbench needs a model: give --container"]);
    p.refuses(&["generate", "-o", "rtl"], &["--config <TOML>"]);
}

#[test]
fn a_model_for_another_accelerator_is_refused() {
    let p = Project::compressed();
    p.write("other.toml", CONFIG.replace("pes = 2", "pes = 2\nfifo_depth = 4"));
    for arguments in [
        &["generate", "-c", "other.toml", "--container", "net.lacuna", "-o", "rtl"][..],
        &["infer", "-c", "other.toml", "--container", "net.lacuna", "-o", "out.npy"],
    ] {
        p.refuses(arguments, &["net.lacuna: ", "the model was compiled for architecture", "the accelerator is"]);
    }
}
