//! A model on a board that is a simulation, over its serial line.

use super::project::Project;
use super::recurrent;
use lacuna_compress::files::{read_any_container, read_container, write_container};
use lacuna_compress::spec::arch::FORMAT_VERSION;
use lacuna_compress::spec::registers::{ARCH_HASH_HIGH, ARCH_HASH_LOW, ID, ID_VALUE, PES, VERSION};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

/// A simulated board, which ends with the test.
struct Simulated(Child);

impl Simulated {
    /// The board, and the name of its port.
    fn new(p: &Project, container: &str) -> (Simulated, String) {
        let mut command = p.command(&["board-sim", "--board", "ulx3s", "--container", container, "--link", "board"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut name = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut name).unwrap();
        assert!(name.starts_with("/dev/"), "{name:?}");
        (Simulated(child), name.trim().to_string())
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A second network for the same accelerator.
fn with_other(p: &Project) {
    p.run(&["inspect", "net.lacuna"]).did_it();
    let net = String::from_utf8(p.read("net.toml")).unwrap();
    p.write("other.toml", net.replacen("activation = \"none\"", "activation = \"relu\"", 1));
    p.run(&["compress", "-c", "other.toml", "-o", "other.lacuna"]).did_it();
}

#[test]
fn a_board_is_loaded_and_runs_over_its_line() {
    let p = Project::compressed();
    with_other(&p);
    let (_board, port) = Simulated::new(&p, "net.lacuna");
    let run = ["run", "--port", "board", "--container", "net.lacuna", "--inputs", "samples.npy", "-o", "out.npy"];
    p.refuses(&run, &["the accelerator holds no checked weights: load the container first"]);

    let first = p.run(&["load", "--port", &port, "net.lacuna"]);
    assert!(first.stderr.contains("0 there already") && first.stderr.contains("known answer: right"), "{first:?}");
    assert!(first.did_it().contains("ready, net.lacuna loaded"));
    p.run(&["load", "--port", "board", "--verify", "net.lacuna"]).did_it();
    let again = p.run(&["load", "--port", "board", "net.lacuna"]);
    assert!(again.stderr.contains("0 sections written"), "{again:?}");

    let out = p.run(&run).did_it();
    assert!(out.contains("equal to golden model: all of 3 samples"), "{out}");
    p.run(&["infer", "--container", "net.lacuna", "--inputs", "samples.npy", "-o", "golden.npy"]).did_it();
    assert_eq!(p.read("out.npy"), p.read("golden.npy"));

    // what is not loaded is not run, and the one that is stays
    let other = ["run", "--port", "board", "--container", "other.lacuna", "--inputs", "samples.npy"];
    p.refuses(&other, &["the accelerator holds another model than this container"]);
    p.run(&run).did_it();
    let verified = p.run(&["load", "--port", "board", "--verify", "other.lacuna"]);
    assert!(verified.code == Some(1) && verified.stdout.contains("does not hold other.lacuna"), "{verified:?}");
    p.run(&run).did_it();
    p.run(&["load", "--port", "board", "other.lacuna"]).did_it();
    p.run(&other).did_it();
}

#[test]
fn an_lstm_is_loaded_and_runs_over_the_line() {
    let p = recurrent::compressed();
    let (_board, _) = Simulated::new(&p, "lstm.lacuna");
    let run = ["run", "--port", "board", "--container", "lstm.lacuna", "--inputs", "sequences.npy", "-o", "out.npy"];
    p.refuses(&run, &["the accelerator holds no checked weights: load the container first"]);
    let first = p.run(&["load", "--port", "board", "lstm.lacuna"]);
    assert!(first.stderr.contains("known answer: right"), "{first:?}");
    assert!(first.did_it().contains("ready, lstm.lacuna loaded"));
    let out = p.run(&run).did_it();
    assert!(out.contains("equal to golden model at every output: all of 3 sequences"), "{out}");
    p.run(&["infer", "--container", "lstm.lacuna", "--inputs", "sequences.npy", "-o", "golden.npy"]).did_it();
    assert_eq!(p.read("out.npy"), p.read("golden.npy"));
}

#[test]
fn the_streams_of_an_lstm_are_not_looked_for_among_mapped_registers() {
    let p = recurrent::compressed();
    let model = read_any_container(&p.path("lstm.lacuna")).unwrap();
    let (arch, mut registers) = (model.arch(), vec![0; 1 << 21]);
    let identity = [(ID, ID_VALUE), (VERSION, FORMAT_VERSION), (ARCH_HASH_LOW, arch.hash() as u32), (PES, arch.pes as u32)];
    for (address, value) in identity.into_iter().chain([(ARCH_HASH_HIGH, (arch.hash() >> 32) as u32)]) {
        registers[address as usize..][..4].copy_from_slice(&value.to_le_bytes());
    }
    p.write("registers", registers);
    let run = ["run", "--port", "registers@0", "--container", "lstm.lacuna", "--inputs", "sequences.npy"];
    p.refuses(&run, &["the streams of a recurrent network are not among mapped registers"]);
}

#[test]
fn the_known_answer_of_the_container_decides() {
    let p = Project::compressed();
    let mut model = read_container(&p.path("net.lacuna")).unwrap();
    let answer = model.answer.as_mut().unwrap();
    assert!(answer.output.iter().any(|value| *value != 0), "zeros would say little");
    answer.output[1] += 1;
    let (found, expected) = (answer.output[1] - 1, answer.output[1]);
    write_container(&p.path("wrong.lacuna"), &model).unwrap();
    model.answer = None;
    write_container(&p.path("old.lacuna"), &model).unwrap();
    let (_board, _) = Simulated::new(&p, "net.lacuna");

    let wrong = p.run(&["load", "--port", "board", "wrong.lacuna"]);
    let said = format!("known answer: output 1 is {found}, expected {expected}");
    assert!(wrong.code == Some(1) && wrong.stdout.contains(&said), "{wrong:?}");
    assert!(!wrong.stdout.contains("ready"), "{wrong:?}");
    let old = p.run(&["load", "--port", "board", "old.lacuna"]);
    assert!(old.stderr.contains("known answer: old.lacuna carries none, so nothing was computed"), "{old:?}");
    assert!(old.did_it().contains("ready, old.lacuna loaded"));
}

#[test]
fn what_cannot_be_loaded_or_run_says_why() {
    let p = Project::compressed();
    let net = String::from_utf8(p.read("net.toml")).unwrap();
    p.write("wide.toml", net.replacen("pes = 2", "pes = 3", 1));
    p.run(&["compress", "-c", "wide.toml", "-o", "wide.lacuna"]).did_it();
    let whole = p.read("net.lacuna");
    p.write("short.lacuna", &whole[..whole.len() / 2]);
    let (_board, port) = Simulated::new(&p, "net.lacuna");
    let load = |port: &str, container: &str, says: &[&str]| p.refuses(&["load", "--port", port, container], says);
    let run = |port: &str, container: &str, says: &[&str]| {
        p.refuses(&["run", "--port", port, "--container", container, "--inputs", "samples.npy", "-o", "out.npy"], says);
        assert!(!p.path("out.npy").exists());
    };
    for refused in [&load as &dyn Fn(&str, &str, &[&str]), &run] {
        refused("board", "wide.lacuna", &["the accelerator was made for architecture", "the container for"]);
        refused("board", "short.lacuna", &["short.lacuna: container is cut short"]);
        refused("/dev/none", "net.lacuna", &["/dev/none: there is no such device"]);
        refused("net.toml", "net.lacuna", &["net.toml: ", "expected a serial port"]);
        refused("net.toml@0x2", "net.lacuna", &["net.toml: found an offset of 0x2, expected a multiple of 4"]);
        refused("net.toml@0x10", "net.lacuna", &["net.toml: ", "expected at least 2097152 from 0x10 on"]);
        refused("net.toml@x", "net.lacuna", &["--port net.toml@x: found the offset x, expected a number"]);
    }
    let large = format!("{}/src/demo/lenet300100.lacuna", env!("CARGO_MANIFEST_DIR"));
    p.refuses(&["board-sim", "--board", "icebreaker", "--container", &large], &["8 PEs on 1BitSquared iCEBreaker", "expected at most 30"]);
    let _held = serialport::new(&port, 1_000_000).open_native().unwrap();
    for refused in [&load as &dyn Fn(&str, &str, &[&str]), &run] {
        refused("board", "net.lacuna", &["board: the port is busy: another program has it open"]);
    }
}
