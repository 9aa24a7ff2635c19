//! `onnx`: the float reference against recordings of independent tools, and a whole graph's LSTMs on the hardware.
//!
//! The recordings are in `tests/data` of the sources that this program was built from.

use super::hardware;
use super::report::{Bar, Check, Outcome, Row};
use super::streams::{Compare, Machine};
use crate::term;
use anyhow::{anyhow, bail, Context, Result};
use lacuna_compress::config::{Config, Direction, LayerConfig, LstmConfig, LstmFormat, LstmTensors};
use lacuna_compress::import::{load_onnx_lstm, load_recurrent};
use lacuna_compress::inputs::{load_tensors, Tensor};
use lacuna_compress::model::{Activation, Recurrent};
use lacuna_compress::recurrent::{compile_recurrent, RecurrentSettings};
use lacuna_sim::reference::{concatenate, run_onnx, LstmReference, OnnxInputs};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

type Tensors = BTreeMap<String, Tensor>;

const TOLERANCE: f64 = 1e-5;
const STEPS: usize = 20;
/// Of the hardware that runs the graph.
const PES: usize = 8;

pub fn run() -> Result<Outcome> {
    let verilator = hardware::available()?;
    let mut notes = vec![format!("largest distance of the float reference from the recording; the graph: {PES} PEs, 12-bit weights")];
    let mut errors = vec![];
    let cases = cases()?;
    let bar = term::progress("cases", cases.len());
    for case in &cases {
        errors.push((case.clone(), node(case).with_context(|| case.clone())?));
        bar.inc(1);
    }
    bar.finish_and_clear();
    errors.push(("pytorch projection".to_string(), projection().context("pytorch/projection")?));
    errors.push(("pytorch bidirectional".to_string(), bidirectional().context("pytorch/bidirectional")?));
    let graph = Graph::load().context("dtln")?;
    let of_graph = graph.float()?;
    errors.push(("dtln model_1".to_string(), of_graph));
    let equal = graph.hardware(&mut notes)?;
    if !verilator {
        notes.push("built without the feature verilator: nothing was run under Verilator".into());
    }
    // NaN counts as the largest
    let most = errors.iter().map(|e| e.1).fold(0.0, |most: f64, e| if e <= most { most } else { e });
    let checks = vec![
        Check::new("largest distance of a case, in 1e-5", most / TOLERANCE, 3, Bar::AtMost(1.0)),
        Check::new("dtln model_1: distance over 20 steps, in 1e-5", of_graph / TOLERANCE, 3, Bar::AtMost(1.0)),
        Check::new("dtln model_1: steps on the hardware until it differs from golden", equal, 0, Bar::AtLeast(STEPS as f64)),
    ];
    Ok(Outcome { rows: errors.iter().map(|(case, error)| row(case, *error)).collect(), checks, notes })
}

pub(super) fn row(case: &str, error: f64) -> Row {
    // three digits are worth storing
    let digits = format!("{error:.2e}");
    Row::new().with("case", case).with("max_error", digits.parse::<f64>().unwrap_or(error))
}

fn data(name: &str) -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    if !path.exists() {
        bail!("{} is missing: this measurement needs the sources that the program was built from", path.display());
    }
    Ok(path)
}

/// Names of the recorded nodes, sorted.
fn cases() -> Result<Vec<String>> {
    let folder = data("onnx")?;
    let mut cases = vec![];
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry.with_context(|| folder.display().to_string())?.path();
        if path.extension().is_some_and(|e| e == "onnx") {
            cases.extend(path.file_stem().and_then(|s| s.to_str()).map(String::from));
        }
    }
    cases.sort();
    Ok(cases)
}

fn tensor<'a>(tensors: &'a Tensors, name: &str) -> Result<&'a Tensor> {
    tensors.get(name).ok_or_else(|| anyhow!("the recording has no {name}"))
}

/// Largest distance; infinite if there are not as many values.
fn distance(found: impl IntoIterator<Item = f64>, expected: &[f32]) -> f64 {
    let found: Vec<f64> = found.into_iter().collect();
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let each = found.iter().zip(expected).map(|(f, e)| (f - f64::from(*e)).abs());
    each.fold(0.0, |most, e| if e <= most { most } else { e })
}

fn node(case: &str) -> Result<f64> {
    let node = load_onnx_lstm(&data(&format!("onnx/{case}.onnx"))?, "lstm")?;
    let recorded = load_tensors(&data(&format!("onnx/{case}.safetensors"))?)?;
    let inputs = OnnxInputs {
        x: tensor(&recorded, "X")?.clone(),
        sequence_lens: recorded.get("sequence_lens").map(|t| t.data.iter().map(|v| *v as usize).collect()),
        initial_h: recorded.get("initial_h").cloned(),
        initial_c: recorded.get("initial_c").cloned(),
    };
    let found = run_onnx(&node, &inputs).map_err(|e| anyhow!(e))?;
    let mut most = 0f64;
    for (name, found) in [("Y", &found.y), ("Y_h", &found.y_h), ("Y_c", &found.y_c)] {
        most = most.max(distance(found.data.iter().map(|v| f64::from(*v)), &tensor(&recorded, name)?.data));
    }
    Ok(most)
}

fn pytorch(file: &str, lstm: Vec<LstmConfig>) -> Result<(Vec<Recurrent>, Tensors)> {
    let folder = data("pytorch")?;
    let recorded = load_tensors(&folder.join(file))?;
    let mut config = Config { folder, ..Config::default() };
    config.model.file = file.into();
    config.model.lstm = lstm;
    Ok((load_recurrent(&config)?, recorded))
}

fn steps(x: &Tensor) -> Vec<&[f32]> {
    x.data.chunks_exact(x.shape.last().copied().unwrap_or(1).max(1)).collect()
}

/// Two layers with projections, the state at the end included.
fn projection() -> Result<f64> {
    let layer = |l: usize| {
        let some = |name: &str| Some(format!("{name}_l{l}"));
        LstmConfig {
            weight_ih: some("weight_ih"),
            weight_hh: some("weight_hh"),
            bias_ih: some("bias_ih"),
            bias_hh: some("bias_hh"),
            weight_hr: some("weight_hr"),
            ..LstmConfig::new("", LstmFormat::PyTorch)
        }
    };
    let (networks, recorded) = pytorch("projection.safetensors", vec![layer(0), layer(1)])?;
    let reference = LstmReference::new(&networks[0]);
    let mut state = reference.state();
    let y = reference.run(&mut state, &steps(tensor(&recorded, "x")?));
    let of = |values: Vec<Vec<f64>>, name: &str| Ok(distance(values.into_iter().flatten(), &tensor(&recorded, name)?.data));
    [of(y, "y"), of(state.h, "h"), of(state.c, "c")].into_iter().try_fold(0.0, |most: f64, e: Result<f64>| Ok(most.max(e?)))
}

fn bidirectional() -> Result<f64> {
    let tensors = |end: &str| LstmTensors {
        weight_ih: Some(format!("weight_ih_l0{end}")),
        weight_hh: Some(format!("weight_hh_l0{end}")),
        ..LstmTensors::default()
    };
    let forward = tensors("");
    let layer = LstmConfig {
        weight_ih: forward.weight_ih,
        weight_hh: forward.weight_hh,
        direction: Some(Direction::Bidirectional),
        reverse: Some(tensors("_reverse")),
        ..LstmConfig::new("both", LstmFormat::PyTorch)
    };
    let (networks, recorded) = pytorch("bidirectional.safetensors", vec![layer])?;
    let [forward, reverse] = networks.as_slice() else { bail!("found {} networks, expected two", networks.len()) };
    let x = steps(tensor(&recorded, "x")?);
    let run = |network: &Recurrent| {
        let reference = LstmReference::new(network);
        reference.run(&mut reference.state(), &x)
    };
    let y = concatenate(&run(forward), &run(reverse));
    Ok(distance(y.into_iter().flatten(), &tensor(&recorded, "y")?.data))
}

/// Both LSTMs of DTLN's first model and the dense layer behind them.
struct Graph {
    network: Recurrent,
    recorded: Tensors,
}

impl Graph {
    fn load() -> Result<Graph> {
        let mut config = Config { folder: data("dtln")?, ..Config::default() };
        config.model.file = "model_1.onnx".into();
        let node = |name: &str| LstmConfig { node: Some(name.into()), ..LstmConfig::new("", LstmFormat::Onnx) };
        config.model.lstm = vec![node("lstm_4"), node("lstm_5")];
        config.model.layer = vec![LayerConfig { activation: Activation::None, ..LayerConfig::from_node("", "dense_2") }];
        let Some(network) = load_recurrent(&config)?.pop() else { bail!("no network") };
        let recorded = load_tensors(&data("dtln/steps.safetensors")?)?;
        for name in ["X", "lstm_4_h", "lstm_4_c", "lstm_5_h", "lstm_5_c", "logits", "mask"] {
            let shape = &tensor(&recorded, name)?.shape;
            if shape.len() != 2 || shape[0] != STEPS {
                bail!("{name} has shape {shape:?}, expected {STEPS} steps");
            }
        }
        Ok(Graph { network, recorded })
    }

    fn row(&self, name: &str, step: usize) -> Result<&[f32]> {
        let found = tensor(&self.recorded, name)?;
        Ok(&found.data[step * found.shape[1]..(step + 1) * found.shape[1]])
    }

    /// Distance of the float reference, states and mask included.
    fn float(&self) -> Result<f64> {
        let reference = LstmReference::new(&self.network);
        let mut state = reference.state();
        let mut most = 0f64;
        for step in 0..STEPS {
            let trace = reference.trace(&mut state, self.row("X", step)?);
            let [first, second] = &trace.lstm[..] else { bail!("found {} LSTM layers, expected two", trace.lstm.len()) };
            let found = [("lstm_4_h", &first.h), ("lstm_4_c", &first.c), ("lstm_5_h", &second.h), ("lstm_5_c", &second.c)];
            for (name, values) in found {
                most = most.max(distance(values.iter().copied(), self.row(name, step)?));
            }
            most = most.max(distance(trace.output().iter().copied(), self.row("logits", step)?));
            most = most.max(distance(trace.output().iter().map(|z| sigmoid(*z)), self.row("mask", step)?));
        }
        Ok(most)
    }

    /// Steps until the first difference from the golden model; `None` if nothing can be run.
    fn hardware(&self, notes: &mut Vec<String>) -> Result<Option<f64>> {
        let x: Vec<Vec<f32>> = (0..STEPS).map(|t| Ok(self.row("X", t)?.to_vec())).collect::<Result<_>>()?;
        let settings = RecurrentSettings { pes: PES, ..RecurrentSettings::default() };
        let model = compile_recurrent(&self.network, &settings, std::slice::from_ref(&x))?.model;
        let Some(mut machine) = Machine::new(&model)? else { return Ok(None) };
        let steps = x.iter().map(|v| model.quantize_input(v)).collect::<Result<Vec<_>, _>>()?;
        let spinner = term::spinner("dtln under Verilator");
        let judged = machine.run(&[steps], Compare::EveryState)?;
        spinner.finish_and_clear();
        notes.extend(judged.fault.iter().map(|f| format!("dtln: {f}")));
        let found = judged.outputs.first().map_or(&[][..], Vec::as_slice);
        let mut most = 0f64;
        for (step, values) in found.iter().enumerate().take(STEPS) {
            let mask = model.dequantize_output(values).into_iter().map(|z| sigmoid(f64::from(z)));
            most = most.max(distance(mask, self.row("mask", step)?));
        }
        notes.push(format!("dtln on the hardware: the mask is at most {most:.4} from onnxruntime's (12-bit weights, 16-bit values)"));
        let equal = if judged.exact { found.len() } else { found.len().saturating_sub(1) };
        Ok(Some(equal as f64))
    }
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}
