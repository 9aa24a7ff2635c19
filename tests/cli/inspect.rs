use super::project::Project;
use std::process::Stdio;

#[test]
fn a_container_shows_its_accelerator_and_network() {
    let p = Project::compressed();
    let out = p.run(&["inspect", "net.lacuna"]).did_it();
    for text in ["pes = 2", "6 inputs (value = raw * 1 + 0", "network\n", "memories\n", "layer table\n", "codebooks (pe 0)\n"] {
        assert!(out.contains(text), "{text} in\n{out}");
    }
    assert!(!out.contains("entries\n") && !out.contains("pointers\n"), "{out}");
}

#[test]
fn filters_choose_pe_memory_and_layer() {
    let p = Project::compressed();
    let by_name = p.run(&["inspect", "net.lacuna", "--memory", "spmat", "--layer", "fc1", "--pe", "1"]).did_it();
    let by_number = p.run(&["inspect", "net.lacuna", "--memory", "spmat", "--layer", "0", "--pe", "1"]).did_it();
    assert_eq!(by_name, by_number);
    // PE 1 has rows 1 and 3: column 1 of row 1, columns 0, 2 and 5 of row 3
    let rows: Vec<Vec<&str>> = by_name.lines().skip(3).map(|l| l.split_whitespace().collect()).filter(|r: &Vec<_>| !r.is_empty()).collect();
    let places: Vec<_> = rows.iter().map(|r| (r[0], r[2], r[4])).collect();
    assert_eq!(places, [("1", "0", "3"), ("1", "1", "1"), ("1", "2", "3"), ("1", "5", "3")], "{by_name}");
    let all = p.run(&["inspect", "net.lacuna", "--all"]).did_it();
    assert!(["network\n", "sections\n", "biases\n", "pointers\n", "entries\n"].iter().all(|t| all.contains(t)), "{all}");
}

#[test]
fn what_does_not_exist_is_named_with_what_does() {
    let p = Project::compressed();
    p.refuses(&["inspect", "net.lacuna", "--pe", "2"], &["--pe 2: expected 0 to 1"]);
    p.refuses(&["inspect", "net.lacuna", "--layer", "fc3"], &["--layer fc3: expected 0 to 1 or one of fc1, fc2"]);
    p.refuses(&["inspect", "net.lacuna", "--memory", "ram"], &["[possible values: spmat, ptr_even, ptr_odd, bias, codebook, layers]"]);
    p.refuses(&["inspect", "samples.npy"], &["samples.npy", "not a Lacuna container"]);
    p.write("pe0_spmat.mem", "0\n");
    p.refuses(&["inspect", "pe0_spmat.mem"], &["pe0_spmat.mem: a memory file does not say what its bits mean; give --container"]);
    p.write("pe7_spmat.mem", "0\n");
    p.refuses(&["inspect", "pe7_spmat.mem", "--container", "net.lacuna"], &["pe7_spmat.mem: found an unknown name", "pe0_spmat.mem"]);
    p.refuses(&["inspect", "pe0_spmat.mem", "--container", "net.lacuna"], &["pe0_spmat.mem"]);
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let p = Project::compressed();
    let mut child = p.command(&["inspect", "net.lacuna", "--all"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}
