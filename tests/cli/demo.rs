use super::project::Project;

#[cfg(feature = "verilator")]
#[test]
fn every_bundled_digit_is_equal_on_the_generated_hardware() {
    let p = Project::new();
    let before = p.names();
    let out = p.run(&["demo"]).did_it();
    let value =
        |name: &str| out.lines().find_map(|l| l.trim().strip_prefix(name)).map(str::trim).unwrap_or_else(|| panic!("{name} in\n{out}"));
    assert_eq!(value("parameters"), "266,610");
    assert_eq!(value("error rate"), "2.00 %");
    assert_eq!(value("results equal to golden model"), "500 of 500");
    assert_eq!(value("cycle counter equal to cycle model"), "500 of 500");
    let bytes = std::fs::metadata(concat!(env!("CARGO_MANIFEST_DIR"), "/src/demo/lenet300100.lacuna")).unwrap().len();
    assert_eq!(value("bytes of the container").replace(',', ""), bytes.to_string());
    assert_eq!(value("compression rate"), format!("{:.1}", 4.0 * 266_610.0 / bytes as f64));
    // the first digit of the test set, and the first one that the network gets wrong
    assert!(out.contains("0: it is a 7") && out.contains("115: a 9? It is 4"), "{out}");
    assert!(out.lines().all(|l| l.chars().count() <= 80), "{out}");
    assert_eq!(p.names(), before);
}

#[cfg(feature = "verilator")]
#[test]
fn a_missing_tool_is_named_with_its_debian_package() {
    let p = Project::compressed();
    for arguments in [&["demo"][..], &["simulate", "--container", "net.lacuna", "--inputs", "samples.npy", "-o", "out.npy"]] {
        let ran = super::project::ran(p.command(arguments).env("PATH", p.path("none")));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
        assert_eq!(ran.stderr, "error: `verilator` is not on PATH; install the Debian package `verilator`\n");
    }
}

#[cfg(not(feature = "verilator"))]
#[test]
fn without_verilator_demo_and_simulate_say_how_to_get_it() {
    let p = Project::compressed();
    let texts = ["built without Verilator", "Debian packages `verilator` and `g++`", "--no-default-features"];
    p.refuses(&["demo"], &texts);
    p.refuses(&["simulate", "--container", "net.lacuna", "--inputs", "samples.npy", "-o", "out.npy"], &texts);
}

#[cfg(feature = "verilator")]
#[test]
fn a_network_with_convolutions_is_equal_on_the_generated_hardware() {
    let p = Project::new();
    let out = p.run(&["demo", "lenet5", "--limit", "2"]).did_it();
    let value = |name: &str| out.lines().find_map(|l| l.trim().strip_prefix(name)).map(str::trim).unwrap_or_else(|| panic!("{out}"));
    assert_eq!((value("parameters"), value("error rate")), ("431,080", "0.00 %"));
    assert_eq!(value("results equal to golden model"), "2 of 2");
    assert_eq!(value("cycle counter equal to cycle model"), "2 of 2");
    assert!(out.contains("0: it is a 7") && out.contains("1: it is a 2"), "{out}");
}
