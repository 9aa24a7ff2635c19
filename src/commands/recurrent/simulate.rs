//! `lacuna simulate` of a recurrent network: sequences on the generated Verilog, judged at every output, c and h.

use crate::commands::simulate::{quoted, DoorName, HardwareArgs, SimulateArgs};
use crate::pipeline::recurrent::presented;
use crate::sequences::{SequenceAnswers, SequenceJob, Source};
use crate::term;
use anyhow::{Context, Result};
use lacuna_compress::error::grouped;
use lacuna_compress::manifest::RecurrentModel;
use lacuna_sim::golden::Recurrent;
use lacuna_sim::perf_ese::EseNetwork;
use lacuna_sim::recurrent::{Check, Mismatch, RecurrentOptions, RecurrentSimulator, Sequence};
use lacuna_sim::simulate::{Door, Options};
use lacuna_sim::verilate::Optimize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub fn run(args: &SimulateArgs, job: &SequenceJob) -> Result<ExitCode> {
    let channels = job.model.arch().channels();
    let mut simulator = start(&job.model, &args.hardware, args.trace.clone())?;
    let (mut answers, mut rows, mut cycles) = (SequenceAnswers::default(), vec![], vec![]);
    let bar = term::progress("sequences", job.sequences.len());
    let mut first = 0;
    // as many at a time as there are channels
    for together in job.sequences.chunks(channels) {
        let last = first + together.len() - 1;
        let judged = judge(&mut simulator, together).with_context(|| format!("repeat with: {}", repeat(args, job, last)))?;
        if let Some(mismatch) = judged.mismatch {
            bar.finish_and_clear();
            term::line(format!("sequence {}: {mismatch}", first + mismatch.channel))?;
            term::line(format!("repeat with: {}", repeat(args, job, last)))?;
            return Ok(ExitCode::from(term::BAD));
        }
        for (channel, outputs) in judged.outputs.into_iter().enumerate() {
            let sequence = first + channel;
            answers.push(outputs, &job.golden_run(sequence)?);
            let mut row = answers.row(&job.model, sequence);
            row.extend([channel.to_string(), judged.cycles.text(), "equal".into()]);
            rows.push(row);
            bar.inc(1);
        }
        cycles.push(judged.cycles);
        first = last + 1;
    }
    bar.finish_and_clear();

    if let Some(heard) = &job.heard {
        answers.print_word(job, heard, "hardware")?;
    }
    let mut headers = answers.headers(&job.model);
    headers.extend(["channel", "cycles a step", "verdict"].map(String::from));
    if job.heard.is_some() {
        // the outputs stand above, as probabilities
        let short = |row: &Vec<String>| [&row[..3], &row[row.len() - 3..]].concat();
        rows = rows.iter().map(short).collect();
        headers = short(&headers);
    }
    term::table(if job.heard.is_some() { "" } else { "after the last step" }, &headers, &rows)?;
    term::line(Cycles::sum(&cycles).line(&job.golden))?;
    answers.saturation_line(&job.model)?;
    let steps: usize = job.sequences.iter().map(Vec::len).sum();
    let of = format!("{} of {}", term::count(steps, "step"), term::count(answers.count(), "sequence"));
    term::line(format!("equal to golden model at every output, c and h: all of {of}"))?;
    if let Some(path) = &args.output {
        answers.save(&job.model, path)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A model on its hardware: generated, compiled or from the cache, and loaded.
pub fn start(model: &RecurrentModel, how: &HardwareArgs, trace: Option<PathBuf>) -> Result<RecurrentSimulator> {
    let door = match how.door {
        DoorName::Axi => Door::Axi,
        DoorName::Preload => Door::Preload,
    };
    let common =
        Options { door, seed: how.seed, trace, stalls_percent: how.stalls, optimize: Optimize::fast_if(how.fast), ..Options::default() };
    let options = RecurrentOptions { common, input_stalls_percent: how.stalls, output_stalls_percent: how.stalls };
    let spinner = term::spinner("building the hardware's model and loading it");
    let simulator = RecurrentSimulator::new(model, &options)?;
    spinner.finish_and_clear();
    Ok(simulator)
}

/// What was found when a sequence ran on each channel.
pub struct Judged {
    /// Of the channels that had one: output vectors in the order of time.
    pub outputs: Vec<Vec<Vec<i16>>>,
    pub cycles: Cycles,
    pub mismatch: Option<Mismatch>,
}

/// Runs a sequence on each of the first channels: step by step, with every c and h read and compared, and then again at full
/// speed for the cycles.
pub fn judge(simulator: &mut RecurrentSimulator, sequences: &[Vec<Vec<i16>>]) -> Result<Judged> {
    let model = simulator.model().clone();
    let mut given: Vec<Sequence> = sequences.iter().map(|s| Sequence { steps: presented(&model, s), fresh: true }).collect();
    given.resize(model.arch().channels(), Sequence::default());
    let in_time = |outputs: Vec<Vec<Vec<i16>>>| outputs.iter().take(sequences.len()).map(|o| presented(&model, o)).collect();
    let slow = simulator.verify(&given, Check::States)?;
    if slow.mismatch.is_some() {
        return Ok(Judged { outputs: in_time(slow.run.outputs), cycles: Cycles::default(), mismatch: slow.mismatch });
    }
    let fast = simulator.verify(&given, Check::Outputs)?;
    Ok(Judged { cycles: Cycles::new(&fast.run.ends), outputs: in_time(fast.run.outputs), mismatch: fast.mismatch })
}

/// Distances between the last output beats of consecutive steps. That to a sequence's last step counts only if there is no
/// other: behind it there is no input to work on in advance, which makes it shorter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cycles {
    pub least: u64,
    pub most: u64,
    total: u64,
    count: u64,
}

impl Cycles {
    fn new(ends: &[u64]) -> Cycles {
        let mut steps: Vec<u64> = ends.windows(2).map(|two| two[1] - two[0]).collect();
        steps.truncate((steps.len().max(2)) - 1);
        let ends = [steps.iter().min(), steps.iter().max()].map(|c| c.copied().unwrap_or(0));
        Cycles { least: ends[0], most: ends[1], total: steps.iter().sum(), count: steps.len() as u64 }
    }
    pub fn sum(parts: &[Cycles]) -> Cycles {
        let some: Vec<&Cycles> = parts.iter().filter(|c| c.count > 0).collect();
        Cycles {
            least: some.iter().map(|c| c.least).min().unwrap_or(0),
            most: some.iter().map(|c| c.most).max().unwrap_or(0),
            total: some.iter().map(|c| c.total).sum(),
            count: some.iter().map(|c| c.count).sum(),
        }
    }
    pub fn mean(&self) -> f64 {
        self.total as f64 / self.count.max(1) as f64
    }
    /// The mean; `-` if there are none, which needs two steps.
    fn text(&self) -> String {
        if self.count == 0 {
            "-".into()
        } else {
            format!("{:.1}", self.mean())
        }
    }
    /// `cycles a step: min 1,000, mean 1,200.0, max 1,300; ...`
    fn line(&self, golden: &Recurrent) -> String {
        let bound = grouped(EseNetwork::new(golden).entries_max() as usize);
        let rest = format!("the busiest PE has {bound} entries");
        if self.count == 0 {
            return format!("cycles a step: not seen, a sequence needs two steps; {rest}");
        }
        let whole = |cycles: u64| grouped(cycles as usize);
        format!("cycles a step: min {}, mean {:.1}, max {}; {rest}", whole(self.least), self.mean(), whole(self.most))
    }
}

/// The same sequences up to this one, as what they do depends on those before.
fn repeat(args: &SimulateArgs, job: &SequenceJob, sequence: usize) -> String {
    let mut words = vec!["lacuna".to_string(), "simulate".into()];
    let mut option = |name: &str, value: String| words.extend([format!("--{name}"), value]);
    if let Some(container) = &args.samples.container {
        option("container", quoted(container));
    }
    match &job.source {
        Source::Array(file, tensor) => {
            option("inputs", quoted(file));
            if let Some(tensor) = tensor {
                option("tensor", quoted(Path::new(tensor)));
            }
            option("limit", (sequence + 1).to_string());
        }
        Source::Sound(file) => {
            option("wav", quoted(file));
            if let Some(stride) = &args.samples.stride {
                option("stride", stride.samples().to_string());
            }
        }
    }
    option("door", args.hardware.door.text().into());
    option("seed", args.hardware.seed.to_string());
    option("stalls", args.hardware.stalls.to_string());
    words.extend(args.hardware.fast.then(|| "--fast".into()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_are_distances_between_ends() {
        let one = Cycles::new(&[500, 600, 720, 800]);
        assert_eq!((one.least, one.most, one.mean()), (100, 120, 110.0));
        let all = Cycles::sum(&[one, Cycles::new(&[7]), Cycles::new(&[0, 90])]);
        assert_eq!((all.least, all.most, all.count), (90, 120, 3));
        assert_eq!((Cycles::new(&[7]).text(), one.text()), ("-".into(), "110.0".into()));
    }
}
