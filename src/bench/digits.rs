//! `digits`: the demo's networks on all 10,000 test digits of MNIST, LeNet-300-100 on 500 of them under Verilator, LeNet-5
//! on 200.

use super::hardware::{self, Load};
use super::report::{rounded, Bar, Check, Outcome, Row};
use super::{data_file, lenet_hardware};
use crate::{pipeline, term};
use anyhow::{bail, Result};
use lacuna_compress::config::Config;
use lacuna_compress::import::load_model;
use lacuna_compress::inputs::{load_inputs, load_labels};
use lacuna_sim::golden::Golden;
use lacuna_sim::reference::{argmax, error_percent, Reference};
use std::path::Path;

/// What the demo's container is made with.
const CONFIG: &str = include_str!("../demo/lenet300100.toml");
const LENET5_CONFIG: &str = include_str!("../demo/lenet5.toml");
const LENET5: &str = "pruned LeNet-5, 4-bit codebook";
pub const IMAGES: &str = "mnist/t10k-images-idx3-ubyte.gz";
pub const LABELS: &str = "mnist/t10k-labels-idx1-ubyte.gz";
/// Digits under Verilator.
const RUN: usize = 500;
const MODEL: &str = "sparse LeNet-300-100, 4-bit codebook";

pub fn run(data: &Path) -> Result<Outcome> {
    let config = config(data)?;
    let (images, labels) = (data_file(data, IMAGES)?, data_file(data, LABELS)?);
    let verilator = hardware::available()?;
    let model = pipeline::compress(&config)?.compiled.model;
    let bytes = model.to_container()?.len();
    let samples = load_inputs(&images, None, config.input.scale, config.input.offset)?;
    let labels = load_labels(&labels)?;
    if labels.len() != samples.count || samples.count < RUN {
        bail!("{}: found {} digits and {} labels, expected as many, at least {RUN}", images.display(), samples.count, labels.len());
    }

    let golden = Golden::new(&model.image)?;
    let reference = Reference::new(&load_model(&config)?);
    let bar = term::progress("digits, golden", samples.count);
    let (mut inputs, mut answers, mut expected) = (vec![], vec![], vec![]);
    for sample in samples.iter() {
        let input = model.quantize_input(sample)?;
        answers.push(argmax(&model.output_rows(&golden.infer(&input)?)?));
        expected.push(argmax(&reference.infer(sample)));
        inputs.push(input);
        bar.inc(1);
    }
    bar.finish_and_clear();

    let bar = term::progress("digits, Verilator", RUN);
    let judged = hardware::judge(&model, &inputs[..RUN], Load::Host, || bar.inc(1))?;
    bar.finish_and_clear();

    let rate = 4.0 * model.network.parameters as f64 / bytes as f64;
    let row = |answers: &[usize], verilator: bool, exact: bool| {
        let count = answers.len();
        Row::new()
            .with("model", MODEL)
            .with("images", count)
            .with("error_percent", rounded(error_percent(answers, &labels[..count]), 4))
            .with("reference_error_percent", rounded(error_percent(&expected[..count], &labels[..count]), 4))
            .with("bytes", bytes)
            .with("rate", rounded(rate, 2))
            .with("verilator", verilator)
            .with("bit_exact", exact)
    };
    let mut rows = vec![row(&answers, false, false)];
    let mut notes = vec![
        format!("{} on {} PEs, fifo {}; {} parameters", MODEL, model.arch().pes, model.arch().fifo_depth, model.network.parameters),
        "published: float model 1.99 %, 4-bit codes in float 2.28 %".to_string(),
    ];
    let mut exact = None;
    match &judged {
        Some(judged) => {
            let classes = judged.iter().map(|j| Ok(argmax(&model.output_rows(&j.outputs)?))).collect::<Result<Vec<_>>>()?;
            let equal = judged.iter().filter(|j| j.exact).count();
            exact = Some(equal as f64);
            notes.extend(judged.iter().find_map(|j| j.fault.clone()));
            let cycles: Vec<f64> = judged.iter().map(|j| j.cycles as f64).collect();
            let mean = cycles.iter().sum::<f64>() / cycles.len() as f64;
            rows.push(row(&classes, verilator, equal == judged.len()).with("mean_cycles", rounded(mean, 1)));
        }
        None => notes.push(hardware::WITHOUT.into()),
    }
    let mut checks = vec![
        Check::new("error of the golden model in percent", error_percent(&answers, &labels), 2, Bar::AtMost(2.35))
            .limit(error_percent(&expected, &labels)),
        Check::new("digits under Verilator equal to golden and cycle model", exact, 0, Bar::AtLeast(RUN as f64)),
    ];
    let (model, found) = lenet_hardware::of_config(&lenet5(data)?, data)?;
    let bytes = model.to_container()?.len();
    let rate = 4.0 * model.network.parameters as f64 / bytes as f64;
    rows.push(found.row(Row::new().with("model", LENET5)).with("bytes", bytes).with("rate", rounded(rate, 2)));
    notes.push(format!("{LENET5} on {} PEs, fifo {}; {} parameters", model.arch().pes, model.arch().fifo_depth, model.network.parameters));
    notes.extend(found.notes());
    checks.extend(found.checks(LENET5));
    Ok(Outcome { rows, checks, notes })
}

/// The demo's configuration with its files from the data folder.
pub fn config(data: &Path) -> Result<Config> {
    with_data(Config::parse(CONFIG, Path::new("lenet300100.toml"))?, data, "lenet/caffe_lenet300100_sparse.safetensors")
}

fn lenet5(data: &Path) -> Result<Config> {
    with_data(Config::parse(LENET5_CONFIG, Path::new("lenet5.toml"))?, data, "lenet/caffe_lenet5_original.safetensors")
}

fn with_data(mut config: Config, data: &Path, model: &str) -> Result<Config> {
    config.model.file = std::path::absolute(data_file(data, model)?)?;
    config.input.calibration = Some(std::path::absolute(data_file(data, "mnist/train-images-idx3-ubyte.gz")?)?);
    Ok(config)
}
