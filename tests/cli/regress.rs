//! `lacuna regress`: the regression of S, going on after a kill, shards, and that faults are found, shrunk and said.

use super::project::{Project, Ran};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;

/// Small enough to be built in a few seconds.
const SMALL: &str = r#"
[accelerator]
pes = 2
fifo_depth = 2
weights = "codebook"
weight_bits = 4
run_bits = 2
entries_per_word = 2
spmat_depth = 600
ptr_depth = 100
act_depth = 60
acc_depth = 48
bias_depth = 96
acc_bits = 40
max_layers = 3
"#;

fn json(p: &Project, name: &str) -> Value {
    serde_json::from_slice(&p.read(name)).unwrap()
}

fn lines(p: &Project, folder: &str) -> Vec<String> {
    String::from_utf8(p.read(&format!("{folder}/results.jsonl"))).unwrap().lines().map(String::from).collect()
}

/// The verdict is bad; gives stdout.
fn failed(ran: Ran) -> String {
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    ran.stdout
}

#[test]
fn the_regression_of_s_passes_and_samples_every_coverpoint() {
    let p = Project::new();
    let told = p.run(&["regress", "--named", "s", "--runs", "24", "-o", "out"]).did_it();
    assert!(told.contains("equal to golden model and cycle model: all of 24 runs"), "{told}");
    let results = json(&p, "out/results.json");
    assert_eq!(results["passed"], true);
    for (point, bins) in results["coverage"].as_object().unwrap() {
        let hits: u64 = bins.as_object().unwrap().values().map(|hits| hits.as_u64().unwrap()).sum();
        assert!(hits > 0, "{point} was not sampled");
    }
    let junit = String::from_utf8(p.read("out/junit.xml")).unwrap();
    assert_eq!(junit.matches("<testcase ").count(), 24, "{junit}");
    assert!(junit.contains("failures=\"0\""), "{junit}");
    assert!(!p.path("out/failures").exists() && !p.path("out/.models").exists());
}

#[test]
fn a_kill_loses_no_finished_run_and_the_same_command_goes_on() {
    let p = Project::new();
    p.write("small.toml", SMALL);
    let command = ["regress", "-c", "small.toml", "--runs", "6", "-o", "out", "-j", "1"];
    p.run(&command).did_it();
    let whole = lines(&p, "out");
    assert_eq!(whole.len(), 8, "six runs and the ends of two configurations: {whole:?}");
    // a kill in the second configuration: two of its runs are noted, the third is half a line
    let mut kept = whole[..6].join("\n") + "\n";
    kept += &whole[6][..20];
    p.write("out/results.jsonl", kept);
    let told = p.run(&command).did_it();
    assert!(told.contains("all of 6 runs"), "{told}");
    let now = lines(&p, "out");
    assert_eq!(now[..6], whole[..6], "what was finished stays as it was");
    assert_eq!(now[6], whole[6], "the third run finds the same");
    assert_eq!(now.len(), 8, "nothing is there twice: {now:?}");
    // another command does not go on here
    let other = ["regress", "-c", "small.toml", "--runs", "6", "--seed", "2", "-o", "out"];
    p.refuses(
        &other,
        &[
            "out/plan.json holds the regression -c small.toml --seed 1 --runs 6",
            "this one is -c small.toml --seed 2 --runs 6",
            "another folder with -o",
        ],
    );
    p.write("out/results.jsonl", "nonsense\n");
    p.refuses(&command, &["out/results.jsonl, line 1: expected a result of `lacuna regress`"]);
}

#[test]
fn shards_are_merged_without_loss_and_missing_ones_are_named() {
    let p = Project::new();
    p.write("small.toml", SMALL);
    let shard = |shard: &str, folder: &str| p.run(&["regress", "-c", "small.toml", "--runs", "6", "--shard", shard, "-o", folder]).did_it();
    assert!(shard("1/2", "a").contains("all of 3 runs"));
    assert!(failed(p.run(&["regress", "merge", "a", "-o", "half"])).contains("shard 2/2 is missing"));
    shard("2/2", "b");
    let told = p.run(&["regress", "merge", "b", "a", "-o", "both"]).did_it();
    assert!(told.contains("all of 6 runs"), "{told}");
    assert_eq!(json(&p, "both/results.json")["datapaths"][0]["runs"], 6);
    // a merge that is repeated, as behind shards that went on, replaces what it left; another regression stays
    assert!(p.run(&["regress", "merge", "a", "b", "-o", "half"]).did_it().contains("all of 6 runs"));
    p.run(&["regress", "-c", "small.toml", "--runs", "3", "--seed", "2", "-o", "other"]).did_it();
    p.refuses(&["regress", "merge", "a", "b", "-o", "other"], &["other has another regression"]);
    p.refuses(&["regress", "merge", "a", "b", "a", "-o", "twice"], &["shard 1/2 is in a and in a: it would count twice"]);
    let last = lines(&p, "b").len() - 1;
    p.write("b/results.jsonl", lines(&p, "b")[..last].join("\n") + "\n");
    let told = failed(p.run(&["regress", "merge", "a", "b", "-o", "open"]));
    assert!(told.contains("shard 2/2 in b: 1 of 1 configurations are not done"), "{told}");
    // a shard may have nothing to do, and is one of them all the same
    for number in ["1/2", "2/2"] {
        let told = p.run(&["regress", "-c", "small.toml", "--runs", "3", "--shard", number, "-o", &number[..1]]).did_it();
        assert!(told.contains("nothing to run in this shard") == (number == "2/2"), "{told}");
    }
    assert!(p.run(&["regress", "merge", "1", "2", "-o", "few"]).did_it().contains("all of 3 runs"));
    p.run(&["regress", "--runs", "30", "--filter", "conv", "--shard", "1/4", "-o", "conv", "--plan"]).did_it();
    p.refuses(
        &["regress", "--runs", "30", "--filter", "no such word", "--shard", "1/4", "-o", "word"],
        &["found none with `no such word`"],
    );
    p.refuses(&["regress", "--shard", "3/2"], &["found `3/2`, expected k/n with k from 1 to n"]);
}

/// The folder of the only failure, which its script fails on too.
fn failure(p: &Project, folder: &str, kind: &str, words: &[&str]) -> String {
    let results = json(p, &format!("{folder}/results.json"));
    let found = &results["failures"][0];
    assert_eq!(found["kind"], kind, "{found}");
    let kept = format!("{folder}/{}", found["folder"].as_str().unwrap());
    let text = String::from_utf8(p.read(&format!("{kept}/finding.txt"))).unwrap();
    for word in words {
        assert!(text.contains(word), "expected `{word}` in {text}");
    }
    // what does not build has no waves
    let waves = if kind == "build" { [].as_slice() } else { &["waves.vcd"] };
    for name in ["configuration.toml", "original.toml", "image0/layers.mem", "verilog/lacuna_eie.v"].iter().chain(waves) {
        assert!(!p.read(&format!("{kept}/{name}")).is_empty(), "{name}");
    }
    let script = p.path(&format!("{kept}/run.sh"));
    // by the program of LACUNA, from where that is said, or without it by the one that wrote the script
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_lacuna"), p.path(folder).join("program")).unwrap();
    for program in [Some(env!("CARGO_BIN_EXE_lacuna")), Some("./program"), None] {
        let mut command = std::process::Command::new(&script);
        match program {
            Some(program) => command.env("LACUNA", program),
            None => command.env_remove("LACUNA"),
        };
        let said = failed(super::project::ran(command.current_dir(p.path(folder))));
        assert!(said.contains(text.lines().next().unwrap()), "{program:?}: {said} {text}");
    }
    kept
}

#[test]
fn a_broken_module_is_found_shrunk_and_said() {
    let p = Project::new();
    p.write("small.toml", SMALL);
    p.run(&["generate", "-c", "small.toml", "-o", "verilog"]).did_it();
    let whole = String::from_utf8(p.read("verilog/arithm.v")).unwrap();
    let broken = whole.replace("base_6_next = sum;", "base_6_next = stored_8;");
    assert_ne!(whole, broken);
    std::fs::create_dir(p.path("broken")).unwrap();
    p.write("broken/arithm.v", broken);
    let command = ["regress", "-c", "small.toml", "--runs", "3", "--seed", "6", "--verilog", "broken", "--shrink", "20s", "-o", "out"];
    let told = failed(p.run(&command));
    assert!(told.contains("FAILED: ") && told.contains("run.sh"), "{told}");
    let kept = failure(&p, "out", "results", &["layer ", ", PE ", ", row ", ", cycle ", ": expected ", ", got "]);
    let size = |name: &str| p.read(&format!("{kept}/{name}")).len();
    assert!(size("configuration.toml") < size("original.toml"), "it is smaller");
    // one that no tool takes
    std::fs::create_dir(p.path("no")).unwrap();
    p.write("no/arithm.v", whole.replace("base_6_next = sum;", "base_6_next = ;"));
    failed(p.run(&["regress", "-c", "small.toml", "--runs", "3", "--verilog", "no", "--shrink", "0s", "-o", "none"]));
    failure(&p, "none", "build", &["syntax error", "not made smaller"]);
    std::fs::create_dir(p.path("other")).unwrap();
    p.write("other/else.v", "module else; endmodule");
    let told = failed(p.run(&["regress", "-c", "small.toml", "--runs", "3", "--verilog", "other", "--shrink", "0s", "-o", "nothing"]));
    assert!(told.contains("other: found none of the modules of this accelerator, expected one of "), "{told}");
    // what was found of other Verilog says nothing of this one
    p.write("broken/arithm.v", &whole);
    p.refuses(&command, &["holds the regression -c small.toml --seed 6 --runs 3 --verilog broken (", "Verilog ", "give another folder"]);
    // with the module as it is generated, the same configuration passes
    p.run(&["regress", "--replay", Path::new(&kept).join("configuration.toml").to_str().unwrap()]).did_it();
}

#[test]
fn a_time_ends_a_regression_and_the_same_command_goes_on() {
    let p = Project::new();
    p.write("small.toml", SMALL);
    let runs = |time: &str| -> u64 {
        let told = p.run(&["regress", "-c", "small.toml", "--time", time, "-o", "out"]).did_it();
        let results = json(&p, "out/results.json");
        let runs = results["datapaths"][0]["runs"].as_u64().unwrap();
        assert!(told.contains(&format!("all of {runs} runs")) && results["passed"] == true, "{told}");
        let junit = String::from_utf8(p.read("out/junit.xml")).unwrap();
        assert_eq!(junit.matches("<testcase ").count() as u64, runs, "nothing is there that the time did not allow");
        runs
    };
    let first = runs("4s");
    assert!(runs("4s") > first);
    let told = failed(p.run(&["regress", "-c", "small.toml", "--time", "0s", "-o", "none"]));
    assert!(told.contains("the time did not allow a single run") && json(&p, "none/results.json")["passed"] == false, "{told}");
}

#[test]
fn a_folder_is_one_regressions_at_a_time() {
    let p = Project::new();
    p.write("small.toml", SMALL);
    let command = ["regress", "-c", "small.toml", "--time", "1m", "-o", "out"];
    let mut running = p.command(&command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !p.path("out/results.jsonl").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let second = p.run(&command);
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(second.code == Some(2) && second.stderr.contains("another `lacuna regress` is running in this folder"), "{second:?}");
    p.run(&["regress", "-c", "small.toml", "--time", "1s", "-o", "out"]).did_it();
}

#[test]
fn a_fault_outside_the_verilog_is_found_and_said() {
    let p = Project::new();
    p.write("small.toml", SMALL);
    for (fault, kind, words) in [
        ("cycle-model", "cycles", ["cycles: expected ", ", got "].as_slice()),
        ("golden", "results", [", PE 0, row 0, cycle ", ": expected "].as_slice()),
    ] {
        let ran = p.run(&["regress", "-c", "small.toml", "--runs", "6", "--fault", fault, "--shrink", "4s", "-o", fault, "-j", "1"]);
        failed(ran);
        failure(&p, fault, kind, words);
    }
}

#[test]
fn what_cannot_be_run_is_refused_before_anything_is_written() {
    let p = Project::new();
    p.refuses(&["regress", "-c", "net.toml", "--runs", "0"], &["0 is not in 1..=1000000"]);
    p.refuses(&["regress", "--time", "soon"], &["invalid value 'soon'"]);
    p.refuses(&["regress", "--filter", "no such word", "-o", "out"], &["found none with `no such word`", "--list"]);
    p.refuses(&["regress", "--verilog", "nowhere"], &["nowhere: found no folder, expected one with Verilog modules"]);
    p.refuses(&["regress", "--replay", "net.toml"], &["net.toml: found no configuration"]);
    p.refuses(&["regress", "--trace", "a.vcd"], &["--replay"]);
    p.refuses(&["regress", "--trace", "a.vcd", "--runs", "3"], &["found --trace a.vcd without --replay"]);
    p.refuses(&["regress", "--replay", "net.toml", "--seed", "3"], &["'--replay <TOML>' cannot be used with '--seed <S>'"]);
    std::fs::create_dir(p.path("empty")).unwrap();
    p.refuses(&["regress", "--verilog", "empty"], &["empty: found no Verilog, expected modules as NAME.v"]);
    p.refuses(&["regress", "merge", "-o", "out"], &["<DIR>..."]);
    let listed = p.run(&["regress", "--list", "--runs", "12"]).did_it();
    assert_eq!(listed.lines().count(), 4, "{listed}");
    assert_eq!(listed, p.run(&["regress", "--list", "--runs", "12"]).did_it(), "a seed gives the same");
    assert!(listed.lines().all(|line| line.contains("pes=")), "{listed}");
}
