//! Sequences for a recurrent network as the accelerator takes them, and what it said to them.

use crate::pipeline::recurrent::{quantize, run_golden, saturation_text, GoldenRun};
use crate::speech::{self, Heard};
use crate::term;
use anyhow::{Context, Result};
use lacuna_compress::error::grouped;
use lacuna_compress::inputs::{load_sequences, save_array};
use lacuna_compress::manifest::RecurrentModel;
use lacuna_sim::golden;
use lacuna_sim::reference::argmax;
use std::path::{Path, PathBuf};

/// A recurrent model with its sequences, ready to run.
pub struct SequenceJob {
    pub model: RecurrentModel,
    pub golden: golden::Recurrent,
    #[cfg_attr(not(feature = "verilator"), allow(dead_code))] // for the command that repeats a mismatch
    pub source: Source,
    /// At `[sequence][step][value]`, in the order of time.
    pub sequences: Vec<Vec<Vec<i16>>>,
    /// Of a sound: what a keyword network heard, and the probabilities of the network in floating point if it is at hand.
    pub heard: Option<(Heard, Option<Vec<f64>>)>,
}

/// Where the sequences come from.
pub enum Source {
    /// An array, by its name if the file has several.
    Array(PathBuf, Option<String>),
    Sound(PathBuf),
}

impl SequenceJob {
    /// The first `limit` sequences of a file.
    pub fn new(model: RecurrentModel, file: &Path, tensor: Option<&str>, limit: usize) -> Result<SequenceJob> {
        let golden = golden::Recurrent::new(&model.image)?;
        let mut read = load_sequences(file, tensor, model.network.input_size)?;
        read.truncate(limit);
        let wrong = |number: usize| move || format!("sequence {number}");
        let one = |(number, s): (usize, &Vec<Vec<f32>>)| quantize(&model, s).with_context(wrong(number));
        let sequences = read.iter().enumerate().map(one).collect::<Result<_>>().with_context(|| file.display().to_string())?;
        let source = Source::Array(file.to_path_buf(), tensor.map(str::to_string));
        Ok(SequenceJob { model, golden, source, sequences, heard: None })
    }

    /// A sound for a keyword network; without a model the bundled one, which is compiled on the way. `stride` is for
    /// [`speech::features_of`].
    pub fn of_sound(model: Option<RecurrentModel>, file: &Path, stride: Option<usize>) -> Result<SequenceJob> {
        let (model, heard, reference) = match model {
            Some(model) => {
                let features = speech::features_of(&model.network, stride)?;
                (model, Heard::load(file, features)?, None)
            }
            None => {
                let heard = Heard::load(file, speech::PROJECTED.features)?;
                let found = speech::PROJECTED.compress()?;
                let reference = heard.reference(&found.network);
                (found.compiled.model, heard, Some(reference))
            }
        };
        let golden = golden::Recurrent::new(&model.image)?;
        let sequences = vec![quantize(&model, &heard.frames)?];
        Ok(SequenceJob { model, golden, source: Source::Sound(file.to_path_buf()), sequences, heard: Some((heard, reference)) })
    }

    /// What the golden model answers to a sequence.
    pub fn golden_run(&self, sequence: usize) -> Result<GoldenRun> {
        run_golden(&self.model, &self.golden, &self.sequences[sequence]).with_context(|| format!("sequence {sequence}"))
    }
}

/// What a network said to each sequence.
#[derive(Default)]
pub struct SequenceAnswers {
    /// At `[sequence][step][output]`, in the order of time.
    outputs: Vec<Vec<Vec<i16>>>,
    /// Values that saturated, job by job.
    saturated: Vec<usize>,
}

/// More outputs than this are not shown one by one.
const SHOWN: usize = 12;

impl SequenceAnswers {
    pub fn push(&mut self, outputs: Vec<Vec<i16>>, golden: &GoldenRun) {
        self.outputs.push(outputs);
        self.saturated.resize(golden.saturated.len(), 0);
        self.saturated.iter_mut().zip(&golden.saturated).for_each(|(sum, n)| *sum += n);
    }

    pub fn count(&self) -> usize {
        self.outputs.len()
    }

    /// The outputs once everything was heard: of the step that was computed last.
    fn answer(&self, model: &RecurrentModel, sequence: usize) -> &[i16] {
        let steps = &self.outputs[sequence];
        let last = if model.network.reverse { steps.first() } else { steps.last() };
        last.map_or(&[], Vec::as_slice)
    }

    pub fn headers(&self, model: &RecurrentModel) -> Vec<String> {
        let mut headers = vec!["sequence".to_string(), "steps".into(), "class".into()];
        let size = model.network.output_size;
        if size <= SHOWN {
            headers.extend((0..size).map(|i| format!("out {i}")));
        } else {
            headers.push("its output".into());
        }
        headers
    }

    /// The table's row of a sequence.
    pub fn row(&self, model: &RecurrentModel, sequence: usize) -> Vec<String> {
        let answer = self.answer(model, sequence);
        let class = argmax(answer);
        let values = model.dequantize_output(answer);
        let mut row = vec![sequence.to_string(), self.outputs[sequence].len().to_string(), class.to_string()];
        if values.len() <= SHOWN {
            row.extend(values.iter().map(|v| format!("{v:.4}")));
        } else {
            row.extend(values.get(class).map(|v| format!("{v:.4}")));
        }
        row
    }

    pub fn saturation_line(&self, model: &RecurrentModel) -> Result<()> {
        term::line(format!("saturated values: {}", saturation_text(model, &self.saturated)))
    }

    /// Prints what a keyword network heard; `ran` is what computed the answer.
    pub fn print_word(&self, job: &SequenceJob, heard: &(Heard, Option<Vec<f64>>), ran: &str) -> Result<()> {
        let (heard, reference) = heard;
        let found = speech::probabilities(&job.model.dequantize_output(self.answer(&job.model, 0)));
        let word = speech::word(&found);
        let text = format!("{}: {word}, probability {:.4}", heard.name, found[speech::likeliest(&found)]);
        match reference {
            Some(reference) => {
                let rows = speech::label_rows(&[reference, &found]);
                term::table("", &["word", "float reference", ran], &rows)?;
                let theirs = reference[speech::likeliest(reference)];
                term::line(format!("{text}; float reference: {}, {theirs:.4}", speech::word(reference)))
            }
            None => {
                term::table("", &["word", ran], &speech::label_rows(&[&found]))?;
                term::line(text)
            }
        }
    }

    /// Writes all outputs as (sequences, steps, outputs), real numbers; all sequences have as many steps.
    pub fn save(&self, model: &RecurrentModel, path: &Path) -> Result<()> {
        let steps = self.outputs.first().map_or(0, Vec::len);
        let data: Vec<f32> = self.outputs.iter().flatten().flat_map(|step| model.dequantize_output(step)).collect();
        save_array(path, &[self.count(), steps, model.network.output_size], &data)?;
        term::note(format!("wrote {}, {} x {} x {}", path.display(), grouped(self.count()), grouped(steps), model.network.output_size));
        Ok(())
    }
}
