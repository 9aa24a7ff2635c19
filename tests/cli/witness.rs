//! Witnesses that nobody here wrote, or that know the documentation only: `tests/python`. They need `scripts/setup --python`.

use super::project::{crc32, left_out, npy, ran, Project, Ran};
use super::recurrent;
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A command by the Python that has a package, in the project's folder. `None`: none has it.
fn with_package(p: &Project, package: &str, what: &str) -> Option<Command> {
    let own = format!("{ROOT}/.venv/bin");
    let found = [format!("{own}/python"), "python3".into()].into_iter().find(|python| {
        let import = Command::new(python).args(["-c", &format!("import {package}")]).output();
        import.is_ok_and(|o| o.status.success())
    });
    let Some(python) = found else {
        left_out(&format!("{what} did not run: no Python here has {package}; scripts/setup --python brings it"));
        return None;
    };
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(python);
    command.current_dir(p.path("")).env("PATH", format!("{own}:{path}")).env("PYTHONDONTWRITEBYTECODE", "1");
    Some(command)
}

/// Runs a script of `tests/python`.
fn python(p: &Project, package: &str, script: &str, arguments: &[&str]) -> Option<Ran> {
    let mut command = with_package(p, package, script)?;
    Some(ran(command.arg(format!("{ROOT}/tests/python/{script}")).args(arguments)))
}

/// `fusesoc run` of a target of the core in a folder.
fn fusesoc(p: &Project, folder: &str, core: &str, flags: &[&str]) -> Option<Ran> {
    let mut command = with_package(p, "fusesoc", "FuseSoC")?;
    // nothing of this machine's own settings
    command.args(["-m", "fusesoc.main", "--cores-root", folder, "run", "--build-root", "fusesoc"]).args(flags);
    Some(ran(command.arg(format!("lacuna:accelerator:{core}")).env("XDG_CONFIG_HOME", p.path("")).env("XDG_DATA_HOME", p.path(""))))
}

#[test]
fn fusesoc_takes_the_accelerators() {
    let p = Project::compressed();
    let lstm = recurrent::compressed();
    let cases = [(&p, "net.lacuna", "lacuna_eie", &["--preload"][..]), (&lstm, "lstm.lacuna", "lacuna_ese", &[])];
    for (p, container, top, flags) in cases {
        p.run(&[&["generate", "--container", container, "-o", "rtl"], flags].concat()).did_it();
        let Some(linted) = fusesoc(p, "rtl", top, &["--target=lint"]) else { return };
        linted.did_it();
    }
    let copied = format!("fusesoc/lacuna_accelerator_lacuna_eie_{0}/lint/src/lacuna_accelerator_lacuna_eie_{0}", env!("CARGO_PKG_VERSION"));
    assert_eq!(p.read(&format!("{copied}/layers.mem")), p.read("rtl/layers.mem"));
    // what Verilator warns of is not taken
    let bad = String::from_utf8(p.read("rtl/pe.v")).unwrap().replacen("assign ", "wire nobody;\nassign ", 1);
    p.write("rtl/pe.v", bad);
    let refused = fusesoc(&p, "rtl", "lacuna_eie", &["--target=lint"]).unwrap();
    assert!(refused.code != Some(0), "{refused:?}");
}

#[test]
fn fusesoc_takes_the_boards() {
    let p = Project::compressed();
    for board in ["ulx3s", "icebreaker", "arty_a7_35t", "kcu105", "vcu118"] {
        p.run(&["build", "--board", board, "-c", "net.toml", "-o", board, "--plan"]).did_it();
        let description = format!("{ROOT}/constraints/{board}/board.toml");
        let description: toml::Table = toml::from_str(&std::fs::read_to_string(description).unwrap()).unwrap();
        let text = |table: &str, key: &str| description[table][key].as_str().unwrap().to_string();
        let Some(linted) = fusesoc(&p, board, board, &["--target=lint"]) else { return };
        linted.did_it();
        fusesoc(&p, board, board, &["--setup", &format!("--target={board}")]).unwrap().did_it();
        let folder = p.path(&format!("fusesoc/lacuna_accelerator_{board}_{}/{board}", env!("CARGO_PKG_VERSION")));
        let all: String = std::fs::read_dir(&folder).unwrap().filter_map(|file| std::fs::read_to_string(file.ok()?.path()).ok()).collect();
        let device =
            if text("tools", "flow") == "vivado" { text("device", "part") } else { format!("--package {}", text("device", "package")) };
        for part in [device, text("files", "constraints"), "lacuna_uart.v".into(), "top.v".into()] {
            assert!(all.contains(&part), "{board}: {part} in {all}");
        }
    }
}

/// The same container with another known answer, and with the sums that belong to it.
fn with_another_answer(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let number = |bytes: &[u8], at: usize, count: usize| bytes[at..at + count].iter().rev().fold(0usize, |n, b| n << 8 | usize::from(*b));
    let (manifest, sections) = (number(&bytes, 20, 4), number(&bytes, 24, 4));
    let table = 28 + manifest;
    let mut at = table + 16 * sections;
    for row in (table..table + 16 * sections).step_by(16) {
        let count = number(&bytes, row + 4, 4);
        let length = (count * number(&bytes, row + 8, 2)).div_ceil(8);
        if bytes[row] == 15 {
            bytes[at] ^= 1;
            // a lane of 32 bits for each word of 16
            let lanes: Vec<u8> = bytes[at..at + length].chunks(2).flat_map(|word| [word[0], word[1], 0, 0]).collect();
            bytes[row + 12..row + 16].copy_from_slice(&crc32(&lanes).to_le_bytes());
        }
        at += length;
    }
    let crc = crc32(&bytes[..at]).to_le_bytes();
    bytes[at..].copy_from_slice(&crc);
    bytes
}

#[test]
fn a_decoder_that_knows_the_pages_only_computes_what_infer_says() {
    let layers = Project::compressed();
    // 256ths, so that both round nothing
    let samples: Vec<f32> = (0..48).map(|i| ((i * 37) % 200) as f32 / 256.0 - 0.25).collect();
    layers.write("x.npy", npy(&[8, 6], &samples));
    let lstm = recurrent::compressed();
    for (p, container, inputs, values) in [(&layers, "net.lacuna", "x.npy", 24), (&lstm, "lstm.lacuna", "sequences.npy", 36)] {
        p.run(&["infer", "--container", container, "--inputs", inputs, "-o", "out.npy"]).did_it();
        let Some(found) = python(p, "numpy", "decode_image.py", &[container, inputs, "out.npy"]) else { return };
        let printed = found.did_it();
        assert!(printed.contains("known answer: ") && printed.contains(&format!("results: {values} values equal")), "{printed}");

        p.write("other.lacuna", with_another_answer(&p.read(container)));
        let other = python(p, "numpy", "decode_image.py", &["other.lacuna"]).unwrap();
        assert!(other.code == Some(1) && other.stderr.contains("known answer: found"), "{other:?}");
        let mut damaged = p.read(container);
        let middle = damaged.len() / 2;
        damaged[middle] ^= 4;
        p.write("damaged.lacuna", damaged);
        let damaged = python(p, "numpy", "decode_image.py", &["damaged.lacuna"]).unwrap();
        assert!(damaged.code == Some(1) && damaged.stderr.contains("CRC-32 of the file"), "{damaged:?}");
    }
}

#[test]
fn a_foreign_axi_master_and_stream_source_get_the_known_answer_from_the_emitted_verilog() {
    for (p, container) in [(Project::compressed(), "net.lacuna"), (recurrent::compressed(), "lstm.lacuna")] {
        p.run(&["generate", "--container", container, "-o", "verilog"]).did_it();
        let Some(found) = python(&p, "cocotbext.axi", "axi_witness.py", &["verilog", container]) else { return };
        assert_eq!(found.code, Some(0), "{}{}", found.stdout, found.stderr);
        p.write("other.lacuna", with_another_answer(&p.read(container)));
        let other = python(&p, "cocotbext.axi", "axi_witness.py", &["verilog", "other.lacuna"]).unwrap();
        assert!(other.code == Some(1) && other.stderr.contains("1 failed"), "{}{}", other.stdout, other.stderr);
    }
}
