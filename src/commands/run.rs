//! `lacuna run`: samples on an accelerator that holds the model.

use crate::inputs::{Answers, AnyJob, Job, SampleArgs};
use crate::pipeline::recurrent::presented;
use crate::port::PortArgs;
use crate::sequences::{SequenceAnswers, SequenceJob};
use crate::{staged, term};
use anyhow::{bail, Context, Result};
use lacuna_compress::inputs::save_npy;
use lacuna_sim::host::Transport;
use lacuna_sim::reference::error_percent;
use lacuna_sim::session;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Run samples on an accelerator that the model was loaded into, and compare with the golden model
///
/// Refuses if the accelerator holds another model, or none.
#[derive(clap::Args)]
pub struct RunArgs {
    #[command(flatten)]
    port: PortArgs,
    #[command(flatten)]
    samples: SampleArgs,
    /// Write the outputs as .npy, 32-bit floats
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn run(args: &RunArgs) -> Result<ExitCode> {
    if let Some(path) = &args.output {
        staged::check_file(path)?;
    }
    match args.samples.load()? {
        AnyJob::Layers(job) => layers(&args.port, &job, args.output.as_deref()),
        AnyJob::Sequences(job) => sequences(&args.port, &job, args.output.as_deref()),
    }
}

fn layers(port: &PortArgs, job: &Job, output: Option<&Path>) -> Result<ExitCode> {
    let mut host = port.open(job.model.arch())?;
    session::require(&mut host, &job.model.image)?;
    let (records, limit) = session::program(&job.model.image);
    let labels = job.labels.as_deref();
    let mut answers = Answers::default();
    let mut rows = vec![];
    let bar = term::progress("samples", job.inputs.len());
    for (sample, input) in job.inputs.iter().enumerate() {
        let named = || format!("sample {sample} of {}", job.file.display());
        let run = session::run_layers(&mut host, &records, limit, input).with_context(named)?;
        let trace = job.golden.trace(input).with_context(named)?;
        if let Some(at) = run.outputs.iter().zip(trace.output()).position(|(found, expected)| found != expected) {
            bar.finish_and_clear();
            term::line(format!("sample {sample}: output {at} is {}, the golden model has {}", run.outputs[at], trace.output()[at]))?;
            return Ok(ExitCode::from(term::BAD));
        }
        answers.push(&job.model, &run.outputs, &trace)?;
        let mut row = answers.row(sample, labels);
        row.push(run.cycles.to_string());
        rows.push(row);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let mut headers = answers.headers(labels.is_some());
    headers.push("cycles".into());
    term::table("", &headers, &rows)?;
    term::line(format!("equal to golden model: all of {}", term::count(answers.count(), "sample")))?;
    if let Some(labels) = labels {
        term::line(format!("error rate: {:.2} % of {}", error_percent(&answers.classes, labels), term::count(labels.len(), "sample")))?;
    }
    if let Some(path) = output {
        save_npy(path, &answers.samples())?;
        term::note(format!("wrote {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn sequences(port: &PortArgs, job: &SequenceJob, output: Option<&Path>) -> Result<ExitCode> {
    let mut host = port.open(job.model.arch())?;
    if !host.bus.streams() {
        bail!(
            "{}: the streams of a recurrent network are not among mapped registers: another program must feed them, or a serial line",
            port.name()
        );
    }
    session::require(&mut host, &job.model.image)?;
    let limit = session::step_limit(job.golden.entries());
    let mut answers = SequenceAnswers::default();
    let bar = term::progress("sequences", job.sequences.len());
    for (number, sequence) in job.sequences.iter().enumerate() {
        let named = || format!("sequence {number}");
        let steps = presented(&job.model, sequence);
        let found = session::run_steps(&mut host, &steps, job.golden.outputs(), limit).with_context(named)?;
        let (found, golden) = (presented(&job.model, &found), job.golden_run(number)?);
        if let Some(step) = found.iter().zip(&golden.outputs).position(|(found, expected)| found != expected) {
            bar.finish_and_clear();
            term::line(format!("sequence {number}, step {step}: {:?}, the golden model has {:?}", found[step], golden.outputs[step]))?;
            return Ok(ExitCode::from(term::BAD));
        }
        answers.push(found, &golden);
        bar.inc(1);
    }
    bar.finish_and_clear();
    match &job.heard {
        Some(heard) => answers.print_word(job, heard, "hardware")?,
        None => {
            let rows: Vec<_> = (0..answers.count()).map(|s| answers.row(&job.model, s)).collect();
            term::table("after the last step", &answers.headers(&job.model), &rows)?;
        }
    }
    term::line(format!("equal to golden model at every output: all of {}", term::count(answers.count(), "sequence")))?;
    if let Some(path) = output {
        answers.save(&job.model, path)?;
    }
    Ok(ExitCode::SUCCESS)
}
