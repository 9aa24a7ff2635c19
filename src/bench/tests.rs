//! Shape of the JSON, logic of the bars, and the numbers of generated data.

use super::report::{geometric_mean, Bar, Check, Outcome, Row};
use super::synthetic::{Shape, NINE, SEED};
use super::{charlm, ese, ese_fit, ese_scale, finish, fit, kws, onnx, Bench};
use crate::flow;
use lacuna_compress::recurrent::Pruning;
use std::process::ExitCode;

fn outcome(checks: Vec<Check>) -> Outcome {
    let rows =
        vec![Row::new().with("pes", 64).with("seconds", 0.5).with("modules", 21), Row::new().with("pes", 1).with("verilator", false)];
    Outcome { rows, checks, notes: vec![] }
}

#[test]
fn json_is_the_name_and_flat_rows_whose_keys_keep_their_order() {
    let found = Outcome { notes: vec!["seed 1".into()], ..outcome(vec![Check::new("time", 0.5, 2, Bar::AtMost(1.0))]) };
    let text = found.json("emit").unwrap();
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    let rows = serde_json::json!([{"pes": 64, "seconds": 0.5, "modules": 21}, {"pes": 1, "verilator": false}]);
    let checks = serde_json::json!([{"what": "time", "measured": 0.5, "met": true}]);
    let expected =
        serde_json::json!({"bench": "emit", "command": "lacuna bench emit", "notes": ["seed 1"], "checks": checks, "rows": rows});
    assert_eq!(read, expected);
    assert!(text.find("pes") < text.find("seconds") && text.find("seconds") < text.find("modules"));
}

#[test]
fn a_missed_bar_still_writes_the_json_and_exits_with_1() {
    let folder = tempfile::tempdir().unwrap();
    for (bar, code) in [(Bar::AtMost(7.0), 0), (Bar::AtMost(6.9), 1)] {
        let path = folder.path().join(format!("{code}.json"));
        let found = finish(Bench::Emit, &outcome(vec![Check::new("cycles", 7.0, 0, bar)]), Some(&path)).unwrap();
        assert_eq!(format!("{found:?}"), format!("{:?}", ExitCode::from(code)));
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("{\n  \"bench\": \"emit\""));
    }
}

#[test]
fn a_bar_holds_at_its_edge_unless_it_is_strict() {
    let met = |bar| Check::new("x", 2.0, 1, bar).met();
    assert!(met(Bar::AtMost(2.0)) && met(Bar::AtLeast(2.0)) && met(Bar::Below(2.1)) && met(Bar::Above(1.9)));
    assert!(!met(Bar::Below(2.0)) && !met(Bar::Above(2.0)) && !met(Bar::AtMost(1.9)) && !met(Bar::AtLeast(2.1)));
    // a stretch that is not reached is not missed
    assert!(Check::new("x", 2.0, 1, Bar::AtLeast(1.0)).stretch(3.0).met());
}

#[test]
fn what_was_not_measured_misses_its_bar() {
    let found = outcome(vec![Check::new("equal digits", None, 0, Bar::AtLeast(0.0)), Check::new("error", 1.0, 2, Bar::AtMost(2.0))]);
    assert_eq!(found.missed(), ["equal digits"]);
}

#[test]
fn missing_data_is_an_error_that_names_file_and_flag() {
    let folder = tempfile::tempdir().unwrap();
    let args = super::BenchArgs {
        name: Bench::Fc8,
        json: None,
        data: folder.path().to_path_buf(),
        all: false,
        keep: None,
        fit: None,
        plots: None,
        only: None,
    };
    let error = super::run(&args).unwrap_err().to_string();
    assert!(error.contains("alexnet_fc8.safetensors is missing") && error.contains("--data"), "{error}");
}

#[test]
fn a_report_of_nextpnr_becomes_a_row() {
    let cell = |used: u64| serde_json::json!({"used": used, "available": 1000});
    let mut report = serde_json::json!({
        "fmax": {"clock": {"achieved": 61.25, "constraint": 12.0}},
        "utilization": {"TRELLIS_COMB": cell(900), "TRELLIS_FF": cell(800), "DP16KD": cell(20), "MULT18X18D": cell(4)},
    });
    let row = |report: &serde_json::Value| fit::row(&flow::nextpnr(report)?, 4);
    let expected = r#"{"board":"ecp5-85","pes":4,"lut":900,"ff":800,"bram":20,"dsp":4,"fmax_mhz":61.25}"#;
    assert_eq!(serde_json::to_string(&row(&report).unwrap()).unwrap(), expected);
    report["fmax"] = serde_json::json!({});
    assert!(row(&report).is_err());
}

#[test]
fn layers_have_the_stated_densities() {
    let shape =
        Shape { name: "small", inputs: 500, outputs: 200, weight_density: 0.1, activation_density: 0.35, table_iv: 0.0, simulator: 0.0 };
    let layer = shape.draw(SEED);
    assert_eq!(layer.input.iter().filter(|a| **a != 0.0).count(), 175);
    // 10,000 of 100,000 expected, standard deviation 95
    assert!((9_600..10_400).contains(&layer.weights.nonzeros()), "{}", layer.weights.nonzeros());
    assert_eq!(shape.draw(SEED).weights, layer.weights);
    assert_ne!(shape.draw(SEED + 1).weights, layer.weights);
}

#[test]
fn nt_we_takes_these_cycles() {
    let we = &NINE[6];
    let mut compiled = we.draw(SEED).compile(64, 8).unwrap();
    let short = compiled.timing();
    compiled.set_fifo(32);
    let long = compiled.timing();
    assert_eq!((short.cycles, long.cycles, short.bound(64)), (4701, 4137, 3840));
    assert!(we.table_iv > short.cycles as f64);
}

#[test]
fn a_geometric_mean_is_the_root_of_the_product() {
    assert!((geometric_mean([2.0, 8.0]) - 4.0).abs() < 1e-12);
}

/// The keys that are agreed on for each measurement of the LSTM datapath, in their order.
#[test]
fn rows_of_recurrent_measurements_have_exactly_their_keys() {
    let keys = |row: Row| -> Vec<String> {
        // a row's keys in the order of the text
        let text = serde_json::to_string(&row).unwrap();
        let read: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        let mut keys: Vec<String> = read.keys().cloned().collect();
        keys.sort_by_key(|key| text.find(&format!("\"{key}\":")));
        keys
    };
    let cells = kws::Cells {
        model: "LSTM_S",
        clip: "yes",
        word: "yes",
        reference_word: "yes",
        probability: 0.9,
        reference_probability: 0.91,
        bit_exact: true,
    };
    let expected = ["model", "clip", "word", "reference_word", "probability", "reference_probability", "bit_exact"];
    assert_eq!(keys(kws::row(&cells)), expected);
    assert_eq!(keys(charlm::row(12, 1.97, 1.971)), ["bits", "bits_per_char", "reference_bits_per_char"]);
    assert_eq!(keys(onnx::row("defaults", 1.234e-7)), ["case", "max_error"]);
    assert_eq!(serde_json::to_string(&onnx::row("defaults", 1.234e-7)).unwrap(), r#"{"case":"defaults","max_error":1.23e-7}"#);
    let cells = ese::Cells {
        matrix: "all",
        config: "best",
        pruning: Pruning::LoadBalanced,
        fifo: 16,
        cycles: 10_260,
        bound: 10_150,
        utilization: 0.98,
        entries: 324_800,
        bytes: 771_400,
        paper: 16_540,
    };
    let expected = [
        "matrix",
        "config",
        "pruning",
        "density",
        "pes",
        "channels",
        "fifo",
        "cycles",
        "bound_cycles",
        "utilization",
        "entries",
        "bytes",
        "paper_cycles",
    ];
    assert_eq!(keys(ese::row(&cells)), expected);
    assert_eq!([Pruning::LoadBalanced, Pruning::Magnitude].map(ese::pruning_name), ["load-balanced", "magnitude"]);
    let row = ese_scale::row(32, 1, 10_260, 10_150, "work".into());
    assert_eq!(keys(row), ["pes", "channels", "cycles_per_step", "bound_cycles", "limit"]);
    assert_eq!(keys(ese_fit::row("xcup", 32, [1.0; 4])), ["design", "pes", "lut", "ff", "bram36", "dsp"]);
}

#[test]
fn recurrent_measurements_have_their_names() {
    use clap::ValueEnum;
    for (bench, name) in [
        (Bench::Kws, "kws"),
        (Bench::Charlm, "charlm"),
        (Bench::Onnx, "onnx"),
        (Bench::Ese, "ese"),
        (Bench::EseScale, "ese-scale"),
        (Bench::EseFit, "ese-fit"),
    ] {
        assert_eq!((Bench::from_str(name, false), bench.name()), (Ok(bench), name));
    }
}
