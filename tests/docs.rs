//! Holds the pages and the code against each other: tables, worked example, commands, links, and the invariants of docs/architecture.md.
//!
//! Commands: a line `$ ...` in a ```console block. Those of docs/tutorial.md are run, in order, on a small network made here. Of
//! all others, `lacuna` lines must be accepted by the argument parser, and a script must exist.

use lacuna_compress::encode::{encode, Interleave};
use lacuna_compress::error::grouped;
use lacuna_compress::model::{Activation, Nonzero, QuantizedLayer};
use lacuna_compress::spec::layout::pointer_place;
use lacuna_compress::spec::registers::{errors, Access, REGISTERS, STREAM_REGISTERS, WINDOW, WIRE_REGISTERS};
use lacuna_compress::spec::{Arch, LayerRecord, MemoryKind, Op, WeightForm, Words};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Files below a folder, in order, relative to the root; nothing that is built or hidden.
fn files_below(folder: &str, suffix: &str) -> Vec<PathBuf> {
    let mut found = vec![];
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && !["target", "build"].contains(&name.as_str()) {
                folders.push(path);
            } else if path.is_file() && name.ends_with(suffix) {
                found.push(path.strip_prefix(root()).unwrap().to_path_buf());
            }
        }
    }
    found.sort();
    found
}

fn pages() -> Vec<PathBuf> {
    let mut pages = files_below("docs", ".md");
    pages.extend(["README.md".into(), "CHANGELOG.md".into()]);
    pages
}

/// Cells of the table rows that start with `start`, without backquotes.
fn rows(text: &str, start: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| line.trim_matches('|').split('|').map(|c| c.trim().replace('`', "")).collect();
    text.lines().filter(|l| l.starts_with(start)).map(cells).collect()
}

/// The bodies of the fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = vec![];
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(found) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|l| !l.starts_with("```")).collect();
            if found == language {
                blocks.push(body.join("\n"));
            }
        }
    }
    blocks
}

fn commands(page: &Path) -> Vec<String> {
    let blocks = blocks(&read(page), "console");
    blocks.iter().flat_map(|b| b.lines()).filter_map(|l| l.strip_prefix("$ ")).map(String::from).collect()
}

#[test]
fn register_table_is_that_of_the_code() {
    let access = |a| match a {
        Access::ReadOnly => "read",
        Access::ReadWrite => "read, write",
        Access::Command => "write acts, reads 0",
        Access::ClearOnes => "read, write 1 clears",
    };
    let expected: Vec<Vec<String>> = REGISTERS
        .iter()
        .chain(STREAM_REGISTERS)
        .map(|r| vec![format!("0x{:02x}", r.address), r.name.into(), access(r.access).into(), r.doc.into()])
        .collect();
    let page = read("docs/registers.md");
    let mut found = rows(&page, "| 0x");
    let window = found.pop().unwrap();
    assert_eq!(window[..2], [format!("{WINDOW:#x}"), "window".into()]);
    for (row, expected) in found.iter().zip(&expected) {
        assert_eq!(row, expected, "the row must be: | {} | `{}` | {} | {} |", expected[0], expected[1], expected[2], expected[3]);
    }
    assert_eq!(found.len(), expected.len());

    let own: Vec<_> =
        WIRE_REGISTERS.iter().map(|r| [format!("0x{:02x}", r.address), r.name.into(), access(r.access).into(), r.doc.into()]).collect();
    let found: Vec<_> = rows(&read("docs/wire.md"), "| 0x");
    assert_eq!(found.len(), own.len(), "docs/wire.md");
    for (row, [address, name, access, doc]) in found.iter().zip(&own) {
        assert_eq!(
            row,
            &[address.clone(), name.clone(), access.clone(), doc.clone()],
            "docs/wire.md: | {address} | `{name}` | {access} | {doc} |"
        );
    }

    let section = page.split("## Error bits").nth(1).unwrap().split("\n## ").next().unwrap();
    let bits: Vec<(u32, String)> =
        (0..32).flat_map(|bit| rows(section, &format!("| {bit} |")).into_iter().map(move |r| (1 << bit, r[1].clone()))).collect();
    assert_eq!(bits, errors::NAMES.map(|(bit, name)| (bit, name.to_string())));
}

#[test]
fn memory_and_layer_record_tables_are_those_of_the_code() {
    let page = read("docs/formats.md");
    for kind in MemoryKind::ALL {
        let found = rows(&page, &format!("| `{}` | {} |", kind.name(), kind.code()));
        assert_eq!(found.len(), 1, "no row for {}, code {}", kind.name(), kind.code());
    }
    for (name, offset, bits) in LayerRecord::FIELDS.iter().chain(&LayerRecord::WALK_FIELDS) {
        let found = rows(&page, &format!("| `{name}` | {offset} | {bits} |"));
        assert_eq!(found.len(), 1, "no row for {name}, first bit {offset}, {bits} bits");
    }
}

#[test]
fn operation_table_is_that_of_the_code() {
    let page = read("docs/lstm.md");
    for (name, offset, bits) in Op::FIELDS {
        let found = rows(&page, &format!("| `{name}` | {offset} | {bits} |"));
        assert_eq!(found.len(), 1, "no row for {name}, first bit {offset}, {bits} bits");
    }
}

#[test]
fn worked_example_is_what_the_code_makes() {
    let page = read("docs/formats.md");
    let arch = Arch {
        pes: 4,
        fifo_depth: 8,
        weights: WeightForm::Codebook,
        weight_bits: 4,
        run_bits: 4,
        entries_per_word: 8,
        spmat_depth: 2,
        ptr_depth: 5,
        act_depth: 4,
        acc_depth: 4,
        bias_depth: 4,
        acc_bits: 40,
        max_layers: 1,
        conv: false,
        ese: None,
    };
    let shows = |text: &str| assert!(page.contains(text), "docs/formats.md does not show {text}");
    shows(&format!("```text\n{}```", arch.canonical()));
    shows(&format!("has the hash `{:016x}`", arch.hash()));

    let rows_of: [&[u32]; 8] = [&[0, 8, 12], &[4], &[0, 12], &[], &[0, 4], &[0, 12], &[0], &[8, 12]];
    let mut code = 0;
    let mut stored = |row: &u32| {
        code += 1;
        Nonzero { row: *row, weight: code }
    };
    let columns = rows_of.iter().map(|c| c.iter().map(&mut stored).collect()).collect();
    let layer = QuantizedLayer {
        name: "fc".into(),
        rows: 16,
        columns,
        codebook: None,
        weight_fraction: 0,
        bias: vec![0.0; 16],
        activation: Activation::Relu,
        conv: None,
    };
    let how = Interleave { pes: 4, weight_bits: 4, run_bits: 4, row_order: None, column_order: None };
    let pe = &encode(&layer, &how).unwrap().pes[0];

    let mut spmat = Words::zeroed(arch.word_bits(), 2);
    pe.entries.iter().enumerate().for_each(|(i, entry)| entry.write(&mut spmat, i, &arch));
    let hex = |entry: &lacuna_compress::spec::Entry| format!("{:02x}", entry.pack(&arch));
    shows(&format!("| bits (hex) | {} |", pe.entries.iter().map(hex).collect::<Vec<_>>().join(" | ")));
    let word = |i: usize| format!("{:08x}{:08x}", spmat.word(i)[1], spmat.word(i)[0]);
    shows(&format!("```text\n{}\n{}\n```", word(0), word(1)));
    shows(&spmat.lanes().iter().map(|lane| format!("{lane:08x}")).collect::<Vec<_>>().join(" "));
    shows(&format!("CRC-32 is `{:08x}`", spmat.crc32()));

    let pointers: Vec<String> = pe.pointers.iter().map(|p| p.to_string()).collect();
    shows(&format!("Pointers 0 to 8: {}.", pointers.join(" ")));
    assert_eq!(arch.ptr_bits(), 5);
    let mut banks = [Words::zeroed(5, 5), Words::zeroed(5, 4)];
    for (number, pointer) in pe.pointers.iter().enumerate() {
        let (bank, at) = pointer_place(number);
        banks[usize::from(bank == MemoryKind::PtrOdd)].set(at, u64::from(*pointer));
    }
    let odd = |at: usize| if at < 4 { banks[1].get(at) } else { 0 };
    let table: Vec<String> = (0..5).map(|at| format!("{:02x}        {:02x}", banks[0].get(at), odd(at))).collect();
    shows(&format!("```text\nptr_even  ptr_odd\n{}\n```", table.join("\n")));
    for bank in &banks {
        let stream = (0..bank.len()).fold(0u64, |bits, at| bits | bank.get(at) << (5 * at));
        let bytes: Vec<String> = stream.to_le_bytes()[..(5 * bank.len()).div_ceil(8)].iter().map(|b| format!("{b:02x}")).collect();
        shows(&format!("`{:08x}`", bank.crc32()));
        shows(&format!("the bytes {}", bytes.join(" ")));
    }

    let mut table = Words::zeroed(LayerRecord::BITS, 1);
    let record = LayerRecord { source_rows: 2, last_lanes: 4, out_rows: 4, shift: 10, relu: true, last: true, ..Default::default() };
    record.write(&mut table, 0);
    shows(&table.word(0).iter().rev().map(|lane| format!("{lane:08x}")).collect::<String>());
}

/// A file of 32-bit floats of the shapes that the tutorial names. Little-endian, from a fixed sequence.
struct Numbers(u32);

impl Numbers {
    fn bytes(&mut self, count: usize, low: f32, high: f32) -> Vec<u8> {
        let mut one = || {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (low + (high - low) * (self.0 >> 8) as f32 / (1 << 24) as f32).to_le_bytes()
        };
        (0..count).flat_map(|_| one()).collect()
    }
    fn npy(&mut self, shape: &[usize]) -> Vec<u8> {
        let text: String = shape.iter().map(|n| format!("{n}, ")).collect();
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({text}), }}");
        let header = format!("{header:<117}\n");
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((header.len() as u16).to_le_bytes());
        file.extend(header.as_bytes());
        file.extend(self.bytes(shape.iter().product(), 0.0, 1.0));
        file
    }
    fn safetensors(&mut self, tensors: &[(&str, &[usize])]) -> Vec<u8> {
        let (mut entries, mut data) = (vec![], vec![]);
        for (name, shape) in tensors {
            let start = data.len();
            data.extend(self.bytes(shape.iter().product(), -0.5, 0.5));
            entries.push(format!("\"{name}\":{{\"dtype\":\"F32\",\"shape\":{shape:?},\"data_offsets\":[{start},{}]}}", data.len()));
        }
        let header = format!("{{{}}}", entries.join(","));
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
    }
}

/// The networks of the tutorial.
const LAYERS: [(&str, &[usize]); 4] = [("fc1.weight", &[32, 64]), ("fc1.bias", &[32]), ("fc2.weight", &[10, 32]), ("fc2.bias", &[10])];
const LSTM: [(&str, &[usize]); 6] = [
    ("lstm.weight_ih_l0", &[128, 16]),
    ("lstm.weight_hh_l0", &[128, 32]),
    ("lstm.bias_ih_l0", &[128]),
    ("lstm.bias_hh_l0", &[128]),
    ("fc.weight", &[4, 32]),
    ("fc.bias", &[4]),
];

const CONV: [(&str, &[usize]); 4] = [("conv.weight", &[6, 1, 3, 3]), ("conv.bias", &[6]), ("fc.weight", &[10, 150]), ("fc.bias", &[10])];

/// Needs a program with Verilator.
fn needs_verilator(command: &str) -> bool {
    ["lacuna simulate", "lacuna demo", "lacuna bench", "lacuna regress"].iter().any(|c| command.starts_with(c))
}

#[test]
fn tutorial_runs() {
    let folder = tempfile::tempdir().unwrap();
    let page = read("docs/tutorial.md");
    let mut numbers = Numbers(1);
    let files = [
        ("model.safetensors", numbers.safetensors(&LAYERS)),
        ("calibration.npy", numbers.npy(&[64, 64])),
        ("samples.npy", numbers.npy(&[20, 64])),
        ("lstm.safetensors", numbers.safetensors(&LSTM)),
        ("calibration-sequences.npy", numbers.npy(&[20, 12, 16])),
        ("sequences.npy", numbers.npy(&[4, 12, 16])),
        ("maps.safetensors", numbers.safetensors(&CONV)),
        ("calibration-maps.npy", numbers.npy(&[20, 1, 12, 12])),
        ("maps.npy", numbers.npy(&[4, 1, 12, 12])),
        ("clip.wav", fs::read(root().join("src/demo/speech/yes.wav")).unwrap()),
    ];
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    for config in blocks(&page, "toml") {
        let name = config.lines().next().and_then(|l| l.strip_prefix("# ")).expect("a configuration starts with its name");
        fs::write(folder.path().join(name), &config).unwrap();
    }
    let program = Path::new(env!("CARGO_BIN_EXE_lacuna")).parent().unwrap();
    let path =
        std::env::join_paths(std::iter::once(program.to_path_buf()).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())))
            .unwrap();
    let commands = commands(Path::new("docs/tutorial.md"));
    assert!(commands.len() >= 16, "{commands:?}");
    for command in commands.iter().filter(|c| cfg!(feature = "verilator") || !needs_verilator(c)) {
        let out = Command::new("sh").arg("-c").arg(command).current_dir(folder.path()).env("PATH", &path).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(out.status.success(), "$ {command}\n{said}");
        // the bench cannot fail by its exit status
        assert!(!command.contains("vvp ") || (said.contains("PASS") && !said.contains("FAIL")), "$ {command}\n{said}");
    }
    let made = [
        "everything.toml",
        "net.lacuna",
        "images/pe3_spmat.mif",
        "golden.npy",
        "rtl/files.f",
        "rtl/lacuna_eie.v",
        "bench/testbench.v",
        "lstm.lacuna",
        "lstm-golden.npy",
        "lstm-rtl/lacuna_ese.v",
        "conv-golden.npy",
        "small/top.bin",
        "board/build.sh",
    ];
    for name in made.iter().chain(cfg!(feature = "verilator").then_some(&"run.vcd")) {
        assert!(folder.path().join(name).is_file(), "{name} was not made");
    }
}

#[test]
fn every_command_in_the_pages_can_be_given() {
    let mut seen = vec![];
    for page in pages() {
        for command in commands(&page) {
            let words: Vec<&str> = command.split_whitespace().collect();
            let place = format!("{}: $ {command}", page.display());
            match words[0] {
                "lacuna" => {
                    // the parser stops at an unknown subcommand, flag or value before it comes to --help
                    let out = Command::new(env!("CARGO_BIN_EXE_lacuna")).args(&words[1..]).arg("--help").output().unwrap();
                    assert!(out.status.success(), "{place}\n{}", String::from_utf8_lossy(&out.stderr));
                    assert!(String::from_utf8_lossy(&out.stdout).contains("Usage: lacuna"), "{place}");
                }
                script if script.starts_with("scripts/") => {
                    use std::os::unix::fs::PermissionsExt;
                    let mode = fs::metadata(root().join(script)).unwrap_or_else(|e| panic!("{place}: {e}")).permissions().mode();
                    assert!(mode & 0o111 != 0, "{place}: not executable");
                }
                // run by tutorial_runs
                "cd" if page.ends_with("tutorial.md") => (),
                _ => panic!("{place}: neither lacuna nor a script"),
            }
            seen.push(command);
        }
    }
    for subcommand in ["init", "compress", "generate", "simulate", "infer", "inspect", "bench"] {
        assert!(seen.iter().any(|c| c.starts_with(&format!("lacuna {subcommand}"))), "no page shows lacuna {subcommand}");
    }
}

#[test]
fn links_and_paths_exist() {
    for page in pages() {
        let text = read(&page);
        let folder = page.parent().unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if !target.is_empty() && !target.contains("://") {
                assert!(root().join(folder).join(target).exists(), "{}: link to {target}", page.display());
            }
        }
        // `compress/src/spec` and the like, from the root
        for quoted in text.split('`').skip(1).step_by(2) {
            let first = quoted.split('/').next().unwrap();
            let is_path = quoted.contains('/')
                && ["compress", "hdl", "sim", "src", "tests", "docs", "scripts", "constraints", ".cargo"].contains(&first);
            if is_path && !quoted.contains(|c: char| c.is_whitespace() || c == '<') {
                assert!(root().join(quoted).exists(), "{}: `{quoted}`", page.display());
            }
        }
    }
}

#[test]
fn every_decision_is_linked() {
    let page = read("docs/architecture.md");
    for decision in files_below("docs/decisions", ".md") {
        let link = decision.strip_prefix("docs").unwrap().display().to_string();
        assert!(page.contains(&format!("({link})")), "docs/architecture.md does not link {link}");
    }
}

/// A source file without its line comments: (path, code).
fn code(folder: &str) -> Vec<(PathBuf, String)> {
    let uncommented = |line: &str| line.split("//").next().unwrap_or("").to_string();
    let one = |path: PathBuf| {
        let text = read(&path).lines().map(uncommented).collect::<Vec<_>>().join("\n");
        (path, text)
    };
    let found: Vec<_> = files_below(folder, ".rs").into_iter().map(one).collect();
    assert!(!found.is_empty(), "{folder} has no code");
    found
}

#[test]
fn spec_does_no_io() {
    for (path, text) in code("compress/src/spec") {
        for forbidden in ["std::fs", "std::io", "std::env", "std::net", "std::process", "std::time", "print!", "println!"] {
            assert!(!text.contains(forbidden), "{}: {forbidden}", path.display());
        }
    }
}

#[test]
fn dependencies_point_one_way() {
    let of = |package: &str, table: &str| -> Vec<String> {
        let manifest: toml::Table = read(format!("{package}/Cargo.toml")).parse().unwrap();
        let names = manifest.get(table).and_then(|t| t.as_table()).map(|t| t.keys().filter(|k| k.starts_with("lacuna")).cloned().collect());
        names.unwrap_or_default()
    };
    for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
        for (package, allowed) in [("compress", vec![]), ("hdl", vec!["lacuna-compress"]), ("sim", vec!["lacuna-compress", "lacuna-hdl"])] {
            let found = of(package, table);
            assert!(found.iter().all(|name| allowed.contains(&name.as_str())), "{package}/Cargo.toml [{table}] names {found:?}");
        }
    }
    let only_spec = |path: &Path, text: &str| {
        for rest in text.split("lacuna_compress").skip(1) {
            assert!(
                rest.starts_with("::spec"),
                "{}: uses more of compress than spec: lacuna_compress{}",
                path.display(),
                &rest[..rest.len().min(40)]
            );
        }
    };
    code("hdl/src").iter().for_each(|(path, text)| only_spec(path, text));
    for (path, text) in code("sim/src/golden") {
        assert!(!text.contains("lacuna_hdl"), "{}: golden knows the hardware", path.display());
        // its tests need models, which the compiler makes
        if !path.ends_with("tests.rs") {
            only_spec(&path, &text);
        }
    }
}

#[test]
fn unsafe_code_is_in_two_files() {
    let allowed = ["sim/src/dut.rs", "sim/src/mapped.rs"].map(Path::new);
    for folder in ["compress/src", "hdl/src", "sim/src", "src"] {
        for (path, text) in code(folder).into_iter().filter(|(path, _)| !allowed.contains(&path.as_path())) {
            let word = text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == "unsafe");
            assert!(!word, "{}: unsafe", path.display());
        }
    }
}

#[test]
fn hand_written_verilog_is_in_prim() {
    for path in files_below(".", ".v") {
        let bench = path == Path::new("sim/src/testbench.v");
        // a board's top module is pins and clock
        let board = path.starts_with("constraints");
        assert!(bench || board || path.starts_with("hdl/src/prim"), "{}: Verilog outside of prim", path.display());
    }
    // only the module writer has to know the word
    for (path, text) in code("hdl/src").into_iter().filter(|(path, _)| !path.starts_with("hdl/src/verilog")) {
        assert!(!text.contains("endmodule"), "{}: a module as text", path.display());
    }
}

/// A whole number, with commas.
fn whole(number: &Value) -> String {
    let number = number.as_f64().unwrap();
    assert_eq!(number.fract(), 0.0);
    grouped(number as usize)
}

#[test]
fn figures_of_the_readme_are_those_of_the_results() {
    let readme = read("README.md");
    let results = |name: &str| -> Value { serde_json::from_str(&read(format!("docs/results/{name}.json"))).unwrap() };
    let rows = |name: &str| results(name)["rows"].as_array().unwrap().clone();
    let said = |start: &str, figures: &[String]| {
        let row = readme.lines().find(|line| line.starts_with(&format!("| {start}"))).unwrap_or_else(|| panic!("no row `{start}`"));
        let missing: Vec<_> = figures.iter().filter(|figure| !row.contains(*figure)).collect();
        assert!(missing.is_empty(), "{missing:?} in {row}");
    };
    let sum = |rows: &[Value], key: &str| -> Value { rows.iter().map(|row| row[key].as_u64().unwrap()).sum::<u64>().into() };

    let board = rows("board");
    let area = |row: &Value| {
        [("lut", "LUT"), ("ff", "FF"), ("bram", "BRAM"), ("dsp", "DSP")].map(|(key, unit)| format!("{} {unit}", whole(&row[key])))
    };
    let mhz = |row: &Value| format!("{:.1} MHz", row["fmax_mhz"].as_f64().unwrap());
    said("ULX3S, sparse LeNet-300-100 on 8 PEs", &[&area(&board[0])[..], &[mhz(&board[0])]].concat());
    said(&format!("the same on {} PEs", board[1]["pes"]), &[&area(&board[1])[..], &[mhz(&board[1])]].concat());
    said("iCEBreaker", &[&area(&board[2])[2..], &[mhz(&board[2]), format!("{} of 5,280 logic cells", whole(&board[2]["lut"]))]].concat());
    let per_pe = |key: &str| board[3][key].as_f64().unwrap() / board[3]["pes"].as_f64().unwrap();
    said("Alex-7 on 64 PEs", &[format!("{:.0} LUT", per_pe("lut")), format!("{:.0} DSP", per_pe("dsp"))]);
    let fit = &rows("fit")[0];
    said("4 PEs on an ECP5-85", &[&area(fit)[..], &[mhz(fit)]].concat());
    let measured = |name: &str, check: &str| -> f64 {
        let found = results(name);
        let check = found["checks"].as_array().unwrap().iter().find(|c| c["what"].as_str().unwrap().starts_with(check)).expect(check);
        check["measured"].as_f64().unwrap()
    };
    let estimate = |what: &str| {
        let [median, worst] = ["median", "worst"].map(|which| measured("estimate", &format!("{what}: {which}")));
        format!("{median:.1} / {worst:.1} %")
    };
    let counted = measured("estimate", "cycles");
    said(
        "estimates before synthesis",
        &[format!("LUT {}", estimate("lut")), format!("FF {}", estimate("ff")), format!("cycles of {counted} of {counted}")],
    );

    let wire = rows("wire");
    let of = |dead: bool| wire.iter().filter(|row| (row["fault"] == "dead") == dead && row["fault"] != "none").cloned().collect::<Vec<_>>();
    said("100 loads", &[format!("{} loaded and right", sum(&of(false), "loaded"))]);
    said("20 loads", &[format!("{} refused", sum(&of(true), "refused"))]);
    assert!(wire.iter().all(|row| row["wrong"] == 0));
    let formal = ["properties proved", "witnesses found", "changed modules refuted"].map(|check| measured("formal", check));
    said(
        "properties of queues",
        &[format!("{0} of {0} proved", formal[0]), format!("{0} of {0} witnesses", formal[1]), format!("{0} of {0} changed", formal[2])],
    );
    let regress = rows("regress");
    let sums = [("configs", "drawn configurations"), ("runs", "runs"), ("cycles_compared", "cycles")];
    said("1,000 drawn configurations", &sums.map(|(key, unit)| format!("{} {unit}", whole(&sum(&regress, key)))));
    assert!(regress.iter().all(|row| row["failures"] == 0 && row["cycle_mismatches"] == 0));
    let faults = rows("faults");
    said("faults outside the Verilog", &[format!("{} of {}", sum(&faults, "detected"), sum(&faults, "injected"))]);
    let mutants = rows("mutants");
    let [killed, equivalent, survived] = ["killed", "equivalent", "survived"].map(|key| whole(&sum(&mutants, key)));
    said(
        &format!("{} mutants", whole(&sum(&mutants, "mutants"))),
        &[
            format!("{killed} killed"),
            format!("{equivalent} equivalent"),
            format!("{survived} survive"),
            format!("of {} modules", mutants.len()),
        ],
    );
    said("files that are nearly right", &[format!("{} inputs", whole(&sum(&rows("fuzz"), "inputs")))]);
    let coverage = rows("coverage");
    let range = |key: &str| {
        let percents = || coverage.iter().map(|row| row[key].as_f64().unwrap());
        format!("{:.2} to {:.2} %;", percents().fold(100.0, f64::min), percents().fold(0.0, f64::max))
    };
    said("lines and branches of the emitted Verilog", &[range("line_percent")]);
    said("bits that change", &[range("toggle_percent")]);
    said("own bins", &[coverage.iter().map(|row| format!("{} of {}", row["bins_hit"], row["bins"])).collect::<Vec<_>>().join(", ")]);
}
