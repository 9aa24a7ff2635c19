use super::project::Project;

#[cfg(not(feature = "train"))]
#[test]
fn without_the_feature_it_says_how_to_build() {
    let p = Project::new();
    for command in ["train", "prune"] {
        let build = "cargo build --release --features train";
        p.refuses(&[command, "-c", "net.toml", "-o", "new.safetensors"], &[command, build]);
    }
}

/// A perceptron of the bundled digits.
#[cfg(feature = "train")]
fn configuration(model: &str) -> String {
    let demo = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo");
    let (images, labels) = (demo.join("digits-images-idx3-ubyte.gz"), demo.join("digits-labels-idx1-ubyte.gz"));
    format!(
        "[model]\nfile = {model:?}\n[[model.layer]]\nweights = \"a\"\nbias = \"ab\"\noutputs = 12\n\
         [[model.layer]]\nweights = \"b\"\nbias = \"bb\"\noutputs = 10\nactivation = \"none\"\n\
         [input]\nscale = 0.00390625\nfile = {images:?}\nlabels = {labels:?}\ncalibration = {images:?}\n\
         [train]\ninputs = {images:?}\nlabels = {labels:?}\nheld_out = 40\nepochs = 3\nbatch = 16\n\
         [prune]\ndensity = [0.2]\nepochs = 1\nretrain = 2\nbatch = 32\n[share]\ncodes = [7]\nepochs = 1\nbatch = 32\n"
    )
}

#[cfg(feature = "train")]
#[test]
fn training_then_pruning_writes_models_that_compress_takes() {
    let p = Project::new();
    p.write("train.toml", configuration("dense.safetensors"));
    let text = p.run(&["train", "-c", "train.toml", "-o", "dense.safetensors"]).did_it();
    assert!(text.contains("error on 40 samples held out: ") && text.contains("of digits-images-idx3-ubyte.gz: "), "{text}");
    let scan = p.run(&["prune", "-c", "train.toml", "--scan"]).did_it();
    assert!(scan.contains("Error with one layer pruned") && scan.contains("1.00 %"), "{scan}");
    let text = p.run(&["prune", "-c", "train.toml", "-o", "sparse.safetensors"]).did_it();
    assert!(text.contains("as an .lcs: ") && text.contains("kept"), "{text}");
    let text = p.run(&["prune", "-c", "train.toml", "-o", "sparse.lcs"]).did_it();
    let bytes = p.read("sparse.lcs").len();
    assert!(text.contains("sparse.lcs: ") && bytes < 4 * 784 * 12 / 8, "{bytes} bytes: {text}");
    p.write("sparse.toml", configuration("sparse.safetensors"));
    p.run(&["compress", "-c", "sparse.toml", "-o", "sparse.lacuna"]).did_it();
    assert!(!p.names().iter().any(|name| name.ends_with("checkpoint")));
    p.refuses(&["train", "-c", "train.toml", "-o", "dense.npz"], &["expected .safetensors"]);
    p.refuses(&["prune", "-c", "train.toml", "--scan", "-o", "a.safetensors"], &["--scan"]);
}

#[cfg(feature = "train")]
#[test]
fn faults_are_found_before_anything_is_trained() {
    let p = Project::new();
    let whole = configuration("dense.safetensors");
    let train = ["train", "-c", "train.toml", "-o", "dense.safetensors"];
    p.write("train.toml", whole.replace("\"bb\"", "\"a\""));
    p.refuses(&train, &["train.toml: layer b: found tensor `a` again"]);
    p.write("labels.idx", [0, 0, 8, 1, 0, 0, 0, 2, 3, 4]);
    let at = whole.rfind("labels = ").unwrap();
    let input = whole.find("labels = ").unwrap();
    assert!(input < at);
    let end = input + whole[input..].find('\n').unwrap();
    p.write("train.toml", format!("{}labels = \"labels.idx\"{}", &whole[..input], &whole[end..]));
    p.refuses(&train, &["labels.idx", "found 2 labels"]);
    p.write("train.toml", whole);
    p.write("file", "");
    p.refuses(&[&train[..], &["--checkpoint", "file"]].concat(), &["--checkpoint file: found a file, expected a folder"]);
    assert!(!p.names().iter().any(|name| name.ends_with("checkpoint") || name.starts_with("dense")), "{:?}", p.names());
}

#[cfg(feature = "train")]
#[test]
fn pruning_that_loses_too_much_says_so_in_its_exit_code() {
    let p = Project::new();
    p.write("train.toml", configuration("dense.safetensors"));
    p.run(&["train", "-c", "train.toml", "-o", "dense.safetensors"]).did_it();
    p.write("prune.toml", configuration("dense.safetensors").replace("density = [0.2]", "density = [0.001]\nlose_at_most = 0.0"));
    let ran = p.run(&["prune", "-c", "prune.toml", "-o", "sparse.safetensors"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stdout.contains("too much lost"), "{}", ran.stdout);
}
