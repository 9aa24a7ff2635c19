//! An LSTM learns a text, is pruned, and goes through the pipeline.

use super::project::{npy, Project};

/// Ten characters, whose order says something.
fn text() -> String {
    let words = ["bread ", "and ", "a ", "bean ", "are ", "bad "];
    (0..3000usize).map(|k| words[k * k % 7 % words.len()]).collect()
}

const CHARACTERS: usize = 7;

/// `lstm` has the keys of the layer, `tables` those behind `[train]`.
fn configuration(model: &str, lstm: &str, train: &str, tables: &str) -> String {
    format!(
        "[accelerator]\npes = 4\nweights = \"direct\"\nweight_bits = 12\nentries_per_word = 2\n\
         [model]\nfile = {model:?}\n{lstm}\n\
         [[model.layer]]\nname = \"next\"\nweights = \"out.weight\"\nbias = \"out.bias\"\nactivation = \"none\"\n\
         [input]\nfile = \"onehot.npy\"\ncalibration = \"onehot.npy\"\n\
         [train]\ntext = \"text.txt\"\nheld_out = 500\nepochs = 4\nbatch = 8\nsteps = 16\noptimizer = \"adam\"\nrate = 0.01\n\
         weight_decay = 0.0\n{train}\n{tables}"
    )
}

const PYTORCH: &str = "[[model.lstm]]\nname = \"first\"\nformat = \"pytorch\"\ngates = \"ifgo\"\nweight_ih = \"a.ih\"\n\
    weight_hh = \"a.hh\"\nbias_ih = \"a.b\"\nbias_hh = \"a.c\"\nweight_hr = \"a.hr\"\ncells = 12\nhidden = 8\n";
const TENSORFLOW: &str = "[[model.lstm]]\nname = \"second\"\nformat = \"tensorflow\"\ngates = \"ijfo\"\nkernel = \"b.kernel\"\n\
    bias = \"b.bias\"\nforget_bias = 1.0\nw_i_diag = \"b.i\"\nw_f_diag = \"b.f\"\nw_o_diag = \"b.o\"\ncandidate = \"sigmoid\"\ncells = 16\n";
const PRUNE: &str = "[prune]\ndensity = [0.5, 0.2]\nepochs = 1\nretrain = 1\nbatch = 8\nrate = 0.005\n";

fn project() -> Project {
    let p = Project::new();
    let text = text();
    p.write("text.txt", &text);
    let mut symbols: Vec<char> = text.chars().collect();
    symbols.sort_unstable();
    symbols.dedup();
    assert_eq!(symbols.len(), CHARACTERS);
    let place = |c: char| symbols.iter().position(|s| *s == c).unwrap();
    let onehot = text.chars().take(2 * 40).flat_map(|c| (0..CHARACTERS).map(move |s| (s, c)));
    let onehot: Vec<f32> = onehot.map(|(s, c)| if s == place(c) { 1.0 } else { 0.0 }).collect();
    p.write("onehot.npy", npy(&[2, 40, CHARACTERS], &onehot));
    p
}

fn bits(stdout: &str) -> f64 {
    let line = stdout.lines().find(|l| l.starts_with("bits per character on 500 characters held out: "));
    line.unwrap_or_else(|| panic!("{stdout}")).rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn an_lstm_learns_a_text_is_pruned_and_runs_through_the_pipeline() {
    let p = project();
    let lstm = format!("{PYTORCH}{TENSORFLOW}");
    p.write("dense.toml", configuration("dense.safetensors", &lstm, "dropout = 0.05", PRUNE));
    p.write("sparse.toml", configuration("sparse.safetensors", &lstm, "", ""));
    let ran = p.run(&["train", "-c", "dense.toml", "-o", "dense.safetensors"]);
    assert!(ran.stderr.contains("dense, epoch 4 of 4: loss ") && ran.stderr.contains("bits per character"), "{}", ran.stderr);
    let dense = bits(&ran.did_it());
    assert!(dense < 0.6 * (CHARACTERS as f64).log2(), "{dense}");
    let out = p.run(&["prune", "-c", "dense.toml", "-o", "sparse.safetensors"]).did_it();
    assert!(bits(&out) < 0.8 * (CHARACTERS as f64).log2() && !out.contains("too much lost") && out.contains("LSTM layers"), "{out}");
    assert!(!p.names().iter().any(|name| name.ends_with("checkpoint")), "{:?}", p.names());
    // every PE has as many weights of each gate's matrix
    let out = p.run(&["compress", "-c", "sparse.toml", "-o", "sparse.lacuna"]).did_it();
    let rows = out.lines().map(|l| l.split_whitespace().collect::<Vec<_>>());
    let gates: Vec<_> = rows.filter(|r| r.contains(&"%") && ["first", "second"].contains(&r[0]) && ["x", "h"].contains(&r[2])).collect();
    assert_eq!(gates.len(), 16, "{out}");
    let number = |text: &str| text.trim_end_matches('%').parse::<f64>().unwrap();
    let (mut kept, mut all) = (0.0, 0.0);
    for row in &gates {
        assert_eq!(row[8], "1.000", "{row:?}");
        kept += number(row[5]);
        all += number(row[3]) * number(row[4]);
    }
    assert!(kept / all < 0.25, "{kept} of {all}");
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let p = project();
    let keys = "held_out = 500\nepochs = 40";
    let write = |name: &str, model: &str| {
        let text = configuration(model, PYTORCH, "dropout = 0.1", &PRUNE.replace("retrain = 1", "retrain = 20"));
        p.write(name, text.replace("held_out = 500\nepochs = 4", keys));
    };
    write("net.toml", "whole.safetensors");
    for (command, whole, broken) in [("train", "whole", "broken"), ("prune", "whole-pruned", "broken-pruned")] {
        let run = |name: &str, resume: &[&str]| {
            let output = format!("{name}.safetensors");
            p.run(&[&[command, "-c", "net.toml", "-o", &output, "--checkpoint", "kept"], resume].concat())
        };
        run(whole, &[]).did_it();
        killed_behind_an_epoch(&p, &[command, "-c", "net.toml", "-o", &format!("{broken}.safetensors"), "--checkpoint", "kept"], broken);
        let ran = run(broken, &["--resume"]);
        assert!(ran.stderr.contains("goes on after epoch"), "{}", ran.stderr);
        ran.did_it();
        assert_eq!(p.read(&format!("{whole}.safetensors")), p.read(&format!("{broken}.safetensors")), "{command}");
        assert!(!p.names().iter().any(|name| name.ends_with("checkpoint")), "{:?}", p.names());
    }
}

/// Kills the command when its first checkpoint is there, and not its output.
fn killed_behind_an_epoch(p: &Project, arguments: &[&str], stem: &str) {
    let mut child = p.command(arguments).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let start = std::time::Instant::now();
    let is_checkpoint = |name: &String| name.starts_with(&format!("kept/{stem}.")) && name.ends_with(".checkpoint");
    while !p.names().iter().any(is_checkpoint) {
        assert!(start.elapsed().as_secs() < 300, "no checkpoint of {stem}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!p.path(&format!("{stem}.safetensors")).exists(), "{arguments:?} ended before it was killed");
}

#[test]
fn what_is_no_task_for_a_text_is_refused() {
    let p = project();
    let refuses = |command: &str, toml: String, texts: &[&str]| {
        p.write("net.toml", toml);
        p.refuses(&[command, "-c", "net.toml", "-o", "new.safetensors"], texts);
    };
    let train = |lstm: &str, train: &str, texts: &[&str]| refuses("train", configuration("m.safetensors", lstm, train, ""), texts);
    let without = |lstm: &str, text: &str| {
        assert!(lstm.contains(text));
        lstm.replace(text, "")
    };
    train(&without(PYTORCH, "cells = 12\n"), "", &["layer first: found no cells"]);
    train(&without(PYTORCH, "hidden = 8\n"), "", &["layer first: found no hidden"]);
    train(&without(PYTORCH, "weight_hr = \"a.hr\"\n"), "", &["found hidden, expected weight_hr or projection"]);
    train(&without(&without(PYTORCH, "bias_ih = \"a.b\"\n"), "bias_hh = \"a.c\"\n"), "", &["layer first: found no bias_hh"]);
    train(&PYTORCH.replace("\"a.hh\"", "\"a.ih\""), "", &["weight_hh is `a.ih`, expected a name that no other tensor has"]);
    train(PYTORCH, "shift = 1", &["train.shift"]);
    train(&format!("{PYTORCH}direction = \"reverse\"\n"), "", &["layer first: found another direction"]);
    train("", "", &["net.toml: found train.text, expected it with an LSTM only"]);
    let toml = configuration("m.safetensors", PYTORCH, "", "");
    refuses("train", toml.replace("text = \"text.txt\"", ""), &["found no train.text"]);
    refuses("train", toml.replace("text.txt", "no.txt"), &["no.txt"]);
    refuses("train", toml.replace("held_out = 500", "held_out = 500000"), &["text.txt", "more than train.held_out, 500,000"]);
    refuses("train", toml.replace("activation = \"none\"", "outputs = 8\nactivation = \"none\""), &["outputs is 8, expected 7"]);
    refuses("train", toml.replace("activation = \"none\"", ""), &["layer next: found an activation"]);
    p.write("small.json", r#"{"a": 0, "b": 1}"#);
    train(PYTORCH, "vocabulary = \"small.json\"", &["text.txt", "those of small.json"]);
    refuses("prune", configuration("m.safetensors", PYTORCH, "", "[share]\ncodes = [7]"), &["found [share]"]);
    refuses("prune", configuration("m.safetensors", PYTORCH, "", "[prune]\nretrain = 0"), &["prune.retrain is 0"]);
    refuses("prune", configuration("m.safetensors", PYTORCH, "", "[prune]\ndistill = 0.5"), &["prune.temperature is 4"]);
    p.write("net.toml", &toml);
    p.refuses(&["prune", "-c", "net.toml", "--scan"], &["LSTM layer first"]);
    p.refuses(&["prune", "-c", "net.toml", "-o", "a.lcs"], &["expected .safetensors"]);
}
