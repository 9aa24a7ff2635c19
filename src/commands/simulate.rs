//! `lacuna simulate`: samples on the generated Verilog under Verilator, judged.

use crate::inputs::SampleArgs;
use std::path::PathBuf;

/// Run samples on the generated hardware under Verilator, against golden model and cycle model
///
/// Of an LSTM every output is compared with the golden model, and after each step every c and h.
///
/// Compiled designs are kept in $LACUNA_CACHE, else in ~/.cache/lacuna.
#[derive(clap::Args)]
pub struct SimulateArgs {
    #[command(flatten)]
    pub samples: SampleArgs,
    /// Write the outputs as .npy, 32-bit floats
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub hardware: HardwareArgs,
    /// Write a waveform of everything from the reset on
    #[arg(long, value_name = "VCD")]
    pub trace: Option<PathBuf>,
}

/// How the hardware is run.
#[derive(clap::Args)]
pub struct HardwareArgs {
    /// How the weights get into the memories
    #[arg(long, value_enum, default_value_t = DoorName::Axi)]
    pub door: DoorName,
    /// Of the initial state of registers and memories, and of the bus master's stalls
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Share of the cycles in which the bus master pauses, 0 to 95; for an LSTM also of those in which its streams pause
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=95))]
    pub stalls: u32,
    /// Take longer to compile the design, and simulate faster
    #[arg(long)]
    pub fast: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum DoorName {
    /// Over AXI4-Lite, checked by the hardware
    Axi,
    /// In the memories from the start
    Preload,
}

#[cfg(feature = "verilator")]
impl DoorName {
    /// As the flag has it.
    pub fn text(self) -> &'static str {
        match self {
            DoorName::Axi => "axi",
            DoorName::Preload => "preload",
        }
    }
}

#[cfg(not(feature = "verilator"))]
pub fn run(_: &SimulateArgs) -> anyhow::Result<std::process::ExitCode> {
    Err(super::built_without_verilator("simulate"))
}

#[cfg(feature = "verilator")]
pub use judged::{quoted, run, start};

#[cfg(feature = "verilator")]
mod judged {
    use super::{DoorName, HardwareArgs, SimulateArgs};
    use crate::commands::recurrent;
    use crate::inputs::{Answers, AnyJob, Job};
    use crate::{staged, term};
    use anyhow::{Context, Result};
    use lacuna_compress::error::grouped;
    use lacuna_compress::inputs::save_npy;
    use lacuna_compress::manifest::Model;
    use lacuna_sim::perf::Network;
    use lacuna_sim::reference::error_percent;
    use lacuna_sim::simulate::{Door, Options, Simulator, Verdict};
    use lacuna_sim::verilate::{self, Optimize};
    use std::path::{Path, PathBuf};
    use std::process::ExitCode;

    pub fn run(args: &SimulateArgs) -> Result<ExitCode> {
        for path in args.output.iter().chain(&args.trace) {
            staged::check_file(path)?;
        }
        verilate::verilator_version()?;
        let job = match args.samples.load()? {
            AnyJob::Layers(job) => job,
            AnyJob::Sequences(job) => return recurrent::simulate::run(args, &job),
        };
        let mut simulator = start(&job.model, &args.hardware, args.trace.clone())?;
        let network = Network::new(&job.golden);
        let (mut answers, mut cycles, mut weights) = (Answers::default(), vec![], 0);
        let mut rows = vec![];
        let labels = job.labels.as_deref();
        let bar = term::progress("samples", job.inputs.len());
        for (sample, input) in job.inputs.iter().enumerate() {
            let verdict =
                simulator.verify(input).with_context(|| format!("sample {sample} (repeat with: {})", repeat(args, &job, sample)))?;
            if !verdict.passed() {
                bar.finish_and_clear();
                return bad(args, &job, sample, &verdict);
            }
            answers.push(&job.model, &verdict.run.outputs, &verdict.golden)?;
            cycles.push(verdict.run.cycles);
            weights += network.time(&verdict.golden).total.weights;
            let mut row = answers.row(sample, labels);
            let run = &verdict.run;
            row.extend([run.cycles, run.stall_queue, run.stall_scan, run.stall_drain].map(|c| c.to_string()));
            row.push("equal".into());
            rows.push(row);
            bar.inc(1);
        }
        bar.finish_and_clear();

        let mut headers = answers.headers(labels.is_some());
        headers.extend(["cycles", "queue stalls", "scan stalls", "drain", "verdict"].map(String::from));
        term::table("", &headers, &rows)?;
        term::line(cycle_text(&cycles, weights, job.model.arch().pes))?;
        term::line(format!("saturated results: {}", answers.saturation_text(&job.model)))?;
        if let Some(labels) = labels {
            term::line(format!("error rate: {:.2} % of {}", error_percent(&answers.classes, labels), term::count(labels.len(), "sample")))?;
        }
        term::line(format!("equal to golden model and cycle model: all of {}", term::count(answers.count(), "sample")))?;
        if let Some(path) = &args.output {
            save_npy(path, &answers.samples())?;
            term::note(format!("wrote {}", path.display()));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// A model on its hardware: generated, compiled or from the cache, and loaded.
    pub fn start(model: &Model, how: &HardwareArgs, trace: Option<PathBuf>) -> Result<Simulator> {
        let door = match how.door {
            DoorName::Axi => Door::Axi,
            DoorName::Preload => Door::Preload,
        };
        let options = Options {
            door,
            seed: how.seed,
            trace,
            stalls_percent: how.stalls,
            optimize: Optimize::fast_if(how.fast),
            ..Options::default()
        };
        let spinner = term::spinner("building the hardware's model and loading it");
        let simulator = Simulator::new(model, &options)?;
        spinner.finish_and_clear();
        Ok(simulator)
    }

    /// `cycles: min 1,000, mean 1,200, max 1,300; PE utilization 40.00 %`
    fn cycle_text(cycles: &[u64], weights: u64, pes: usize) -> String {
        let total: u64 = cycles.iter().sum();
        let (least, most) = (cycles.iter().min().copied().unwrap_or(0), cycles.iter().max().copied().unwrap_or(0));
        let mean = total as f64 / cycles.len().max(1) as f64;
        let utilization = weights as f64 / (pes as f64 * total.max(1) as f64);
        let whole = |cycles: u64| grouped(cycles as usize);
        format!("cycles: min {}, mean {mean:.1}, max {}; PE utilization {}", whole(least), whole(most), term::percent(utilization))
    }

    /// Says what differs, and how to see it again.
    fn bad(args: &SimulateArgs, job: &Job, sample: usize, verdict: &Verdict) -> Result<ExitCode> {
        match &verdict.mismatch {
            Some(mismatch) => term::line(format!("sample {sample}: {mismatch}"))?,
            None => {
                let (r, e) = (&verdict.run, &verdict.expected);
                let text = |c: [u64; 4]| format!("{} cycles (queue stalls {}, scan stalls {}, drain {})", c[0], c[1], c[2], c[3]);
                let expected = text([e.cycles, e.stall_queue, e.stall_scan, e.stall_drain]);
                let got = text([r.cycles, r.stall_queue, r.stall_scan, r.stall_drain]);
                term::line(format!("sample {sample}: results equal, counters differ: expected {expected}, got {got}"))?;
            }
        }
        term::line(format!("repeat with: {}", repeat(args, job, sample)))?;
        Ok(ExitCode::from(term::BAD))
    }

    /// The same samples up to this one, as the hardware's state depends on those before.
    fn repeat(args: &SimulateArgs, job: &Job, sample: usize) -> String {
        let mut words = vec!["lacuna".to_string(), "simulate".into()];
        let mut option = |name: &str, value: String| words.extend([format!("--{name}"), value]);
        if let Some(container) = &args.samples.container {
            option("container", quoted(container));
        }
        option("inputs", quoted(&job.file));
        if let Some(tensor) = &job.tensor {
            option("tensor", quoted(Path::new(tensor)));
        }
        option("limit", (sample + 1).to_string());
        option("door", args.hardware.door.text().into());
        option("seed", args.hardware.seed.to_string());
        option("stalls", args.hardware.stalls.to_string());
        words.extend(args.hardware.fast.then(|| "--fast".into()));
        words.join(" ")
    }

    /// For a shell.
    pub fn quoted(path: &Path) -> String {
        let text = path.display().to_string();
        let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+=:,@".contains(c));
        if plain && !text.is_empty() {
            text
        } else {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn names_with_blanks_are_quoted_for_the_shell() {
            assert_eq!(quoted(Path::new("a/b-1.npy")), "a/b-1.npy");
            assert_eq!(quoted(Path::new("a b")), "'a b'");
            assert_eq!(quoted(Path::new("it's")), r"'it'\''s'");
        }

        #[test]
        fn cycles_are_summed_up_with_the_utilization() {
            assert_eq!(cycle_text(&[100, 300], 800, 4), "cycles: min 100, mean 200.0, max 300; PE utilization 50.00 %");
        }
    }
}
