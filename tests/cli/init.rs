use super::project::Project;

#[test]
fn init_writes_a_configuration_that_works() {
    let p = Project::new();
    let ran = p.run(&["init"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""));
    assert!(ran.stderr.contains("lacuna compress -c lacuna.toml"), "{}", ran.stderr);
    // its names are those of the test's model; calibration has no default
    let text = String::from_utf8(p.read("lacuna.toml")).unwrap();
    p.write("lacuna.toml", text.replace("# calibration = \"train-images.npy\"", "calibration = \"samples.npy\""));
    p.run(&["compress", "-c", "lacuna.toml", "-o", "x.lacuna"]).did_it();
}

#[test]
fn init_replaces_a_file_only_if_forced() {
    let p = Project::new();
    p.write("mine.toml", "precious");
    p.refuses(&["init", "mine.toml"], &["mine.toml exists", "--force"]);
    assert_eq!(p.read("mine.toml"), b"precious");
    p.run(&["init", "mine.toml", "--force"]).did_it();
    assert!(String::from_utf8(p.read("mine.toml")).unwrap().contains("[accelerator]"));
    p.refuses(&["init", "none/mine.toml"], &["none/mine.toml: the folder none does not exist"]);
}
