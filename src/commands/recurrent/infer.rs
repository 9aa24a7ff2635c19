//! `lacuna infer` of a recurrent network: the golden model, step by step.

use crate::sequences::{SequenceAnswers, SequenceJob};
use crate::term;
use anyhow::Result;
use std::path::Path;
use std::process::ExitCode;

pub fn run(job: &SequenceJob, output: Option<&Path>) -> Result<ExitCode> {
    let mut answers = SequenceAnswers::default();
    let bar = term::progress("sequences", job.sequences.len());
    for sequence in 0..job.sequences.len() {
        let golden = job.golden_run(sequence)?;
        answers.push(golden.outputs.clone(), &golden);
        bar.inc(1);
    }
    bar.finish_and_clear();

    match &job.heard {
        Some(heard) => answers.print_word(job, heard, "golden model")?,
        None => {
            let rows: Vec<_> = (0..answers.count()).map(|s| answers.row(&job.model, s)).collect();
            term::table("after the last step", &answers.headers(&job.model), &rows)?;
        }
    }
    answers.saturation_line(&job.model)?;
    if let Some(path) = output {
        answers.save(&job.model, path)?;
    }
    Ok(ExitCode::SUCCESS)
}
