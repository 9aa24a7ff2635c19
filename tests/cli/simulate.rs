use super::project::{npy_values, ran, Project, Ran};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const SIMULATE: [&str; 5] = ["simulate", "--container", "net.lacuna", "--inputs", "samples.npy"];

#[test]
fn hardware_golden_model_and_cycle_model_agree_through_either_door() {
    let p = Project::compressed();
    p.run(&["infer", "--container", "net.lacuna", "--inputs", "samples.npy", "-o", "golden.npy"]).did_it();
    let mut tables = vec![];
    for flags in [&["--door", "axi"][..], &["--door", "axi", "--seed", "77", "--stalls", "40"], &["--door", "preload"]] {
        let out = p.run(&[&SIMULATE[..], flags, &["-o", "out.npy"]].concat()).did_it();
        assert!(out.ends_with("equal to golden model and cycle model: all of 3 samples\n"), "{out}");
        assert!(out.contains("PE utilization") && out.contains("saturated results: fc1 0, fc2 0"), "{out}");
        assert_eq!(p.read("out.npy"), p.read("golden.npy"));
        tables.push(out);
    }
    assert_eq!(npy_values(&p.read("out.npy")).len(), 9);
    // neither the way in, nor the bus's pace, nor the initial state changes a cycle
    assert!(tables.iter().all(|t| *t == tables[0]), "{tables:?}");
}

#[test]
fn a_trace_is_a_waveform() {
    let p = Project::compressed();
    p.run(&[&SIMULATE[..], &["--limit", "1", "--trace", "wave.vcd"]].concat()).did_it();
    let vcd = String::from_utf8(p.read("wave.vcd")).unwrap();
    assert!(
        vcd.contains("$enddefinitions") && vcd.contains("lacuna_eie") && vcd.contains("s_axi_awvalid"),
        "{}",
        &vcd[..vcd.len().min(500)]
    );
}

#[test]
fn bad_inputs_leave_neither_outputs_nor_waveforms() {
    let p = Project::compressed();
    let flags = ["-o", "out.npy", "--trace", "wave.vcd"];
    p.refuses(&[&["simulate", "--container", "net.lacuna", "--inputs", "none.npy"][..], &flags].concat(), &["none.npy: No such file"]);
    let whole = p.read("net.lacuna");
    p.write("net.lacuna", &whole[..whole.len() / 2]);
    p.refuses(&[&SIMULATE[..], &flags].concat(), &["net.lacuna: container"]);
    p.refuses(&[&SIMULATE[..], &["--trace", "none/wave.vcd"]].concat(), &["none/wave.vcd: the folder none does not exist"]);
}

/// A Verilator that gets the design with one module's text changed, and a cache of its own.
pub fn with_fault(p: &Project, file: &str, from: &str, to: &str, command: &mut Command) -> Ran {
    let real = ran(Command::new("sh").args(["-c", "command -v verilator"])).did_it();
    std::fs::create_dir_all(p.path("bin")).unwrap();
    let script = format!("#!/bin/sh\n[ -f src/{file} ] && sed -i 's/{from}/{to}/' src/{file}\nexec {} \"$@\"\n", real.trim());
    p.write("bin/verilator", script);
    std::fs::set_permissions(p.path("bin/verilator"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", p.path("bin").display(), std::env::var("PATH").unwrap());
    ran(command.env("PATH", path).env("LACUNA_CACHE", p.path("designs")))
}

#[test]
fn faulty_hardware_is_located_and_the_printed_command_repeats_it() {
    let p = Project::compressed();
    // ReLU passes negative sums, as that of row 0 is for the second sample
    let fault = ["requantize.v", "relu .. negative", r"relu \&\& !relu"];
    let first = with_fault(&p, fault[0], fault[1], fault[2], &mut p.command(&[&SIMULATE[..], &["-o", "out.npy"]].concat()));
    assert_eq!(first.code, Some(1), "{first:?}");
    let lines: Vec<&str> = first.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{first:?}");
    let place = lines[0];
    assert!(place.starts_with("sample 1: layer 0 (fc1), PE 0, row 0, cycle ") && place.contains(": expected 0, got -"), "{place}");
    assert!(!p.names().contains(&"out.npy".to_string()), "wrong outputs are not written");

    let again = lines[1].strip_prefix("repeat with: lacuna ").unwrap();
    let arguments: Vec<&str> = again.split(' ').collect();
    assert_eq!(arguments[..7], ["simulate", "--container", "net.lacuna", "--inputs", "samples.npy", "--limit", "2"]);
    let second = with_fault(&p, fault[0], fault[1], fault[2], &mut p.command(&arguments));
    assert_eq!((second.code, second.stdout.as_str()), (Some(1), first.stdout.as_str()));
}
