//! `lacuna infer`: what the accelerator answers, by the golden model alone.

use super::recurrent;
use crate::inputs::{Answers, AnyJob, SampleArgs};
use crate::{staged, term};
use anyhow::{Context, Result};
use lacuna_compress::inputs::save_npy;
use lacuna_sim::reference::error_percent;
use std::path::PathBuf;
use std::process::ExitCode;

/// Run samples, sequences or a sound through the golden model: bit for bit what the hardware computes
#[derive(clap::Args)]
pub struct InferArgs {
    #[command(flatten)]
    samples: SampleArgs,
    /// Write the outputs as .npy, 32-bit floats
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn run(args: &InferArgs) -> Result<ExitCode> {
    if let Some(path) = &args.output {
        staged::check_file(path)?;
    }
    let job = match args.samples.load()? {
        AnyJob::Layers(job) => job,
        AnyJob::Sequences(job) => return recurrent::infer::run(&job, args.output.as_deref()),
    };
    let mut answers = Answers::default();
    let bar = term::progress("samples", job.inputs.len());
    for (sample, input) in job.inputs.iter().enumerate() {
        let trace = job.golden.trace(input).with_context(|| format!("sample {sample} of {}", job.file.display()))?;
        answers.push(&job.model, trace.output(), &trace)?;
        bar.inc(1);
    }
    bar.finish_and_clear();

    let labels = job.labels.as_deref();
    let rows: Vec<_> = (0..answers.count()).map(|s| answers.row(s, labels)).collect();
    term::table("", &answers.headers(labels.is_some()), &rows)?;
    term::line(format!("saturated results: {}", answers.saturation_text(&job.model)))?;
    if let Some(labels) = labels {
        term::line(format!("error rate: {:.2} % of {}", error_percent(&answers.classes, labels), term::count(labels.len(), "sample")))?;
    }
    if let Some(path) = &args.output {
        save_npy(path, &answers.samples())?;
        term::note(format!("wrote {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}
