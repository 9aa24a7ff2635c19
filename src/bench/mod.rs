//! `lacuna bench`: the measurements that the project answers for, each as a table with its bars and as JSON.
//!
//! One file per measurement, which returns an [`Outcome`]: flat rows, and what was measured against which bar.
//! Printing, JSON and the exit code are here. What does not belong here: anything that another command does too.

#[cfg(feature = "verilator")]
mod around;
mod big;
mod board;
mod charlm;
#[cfg(feature = "verilator")]
mod coverage;
#[cfg(feature = "train")]
mod deep;
mod digits;
mod emit;
mod entropy;
mod ese;
mod ese_case;
mod ese_fit;
mod ese_scale;
mod estimate;
#[cfg(feature = "verilator")]
mod faults;
mod fc8;
mod fit;
mod formal;
#[cfg(any(test, feature = "fuzz"))]
mod fuzz;
#[cfg(feature = "train")]
mod granularity;
mod hardware;
mod kws;
mod lenet_hardware;
#[cfg(feature = "verilator")]
mod mutants;
mod nine;
mod onnx;
mod plot;
mod prune_lm;
#[cfg(feature = "verilator")]
mod regress;
mod report;
mod scale;
mod streams;
mod synthetic;
#[cfg(test)]
mod tests;
#[cfg(feature = "verilator")]
mod wire;

use crate::{staged, term};
use anyhow::{bail, Context, Result};
use report::Outcome;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Measure, and compare with the bars: table on stdout, JSON on request; exits with 1 if a bar is missed
///
/// Compiled designs are kept in $LACUNA_CACHE, else in ~/.cache/lacuna. Time is only meaningful in a release build.
#[derive(clap::Args)]
pub struct BenchArgs {
    /// What to measure
    #[arg(value_enum)]
    pub name: Bench,
    /// Also write the rows as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Folder with the project's data: lenet, mnist, alexnet_fc8, charrnn
    #[arg(long, value_name = "DIR", default_value = "../shared/data")]
    pub data: PathBuf,
    /// nine: run all nine layers under Verilator, not only four of them; some minutes more
    #[arg(long)]
    pub all: bool,
    /// deep, prune-lm: folder for models and checkpoints, board, estimate: for what was built, regress, mutants, coverage: for results;
    /// a run that was stopped goes on from there. fuzz: for inputs that fail
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// estimate: instead fit the coefficients to other configurations, and write them to this file
    #[arg(long, value_name = "FILE")]
    pub fit: Option<PathBuf>,
    /// deep, prune-lm: also draw the curves into this folder
    #[arg(long, value_name = "DIR")]
    pub plots: Option<PathBuf>,
    /// deep: only this network: lenet300100 or lenet5; board: only this part: ulx3s, largest, icebreaker or xcup;
    /// mutants: only this module
    #[arg(long, value_name = "NAME")]
    pub only: Option<String>,
}

impl BenchArgs {
    /// Before a measurement of an hour: what it cannot be told, and files that could not be written after it.
    fn check(&self) -> Result<()> {
        let trains = [Bench::Deep, Bench::PruneLm];
        let only = |given: bool, option: &str, names: &[Bench]| {
            if given && !names.contains(&self.name) {
                let names: Vec<&str> = names.iter().map(|bench| bench.name()).collect();
                bail!("found {option} with {}, expected it with {} only", self.name.name(), names.join(" or "));
            }
            Ok(())
        };
        only(self.all, "--all", &[Bench::Nine])?;
        only(
            self.keep.is_some(),
            "--keep",
            &[Bench::Deep, Bench::PruneLm, Bench::Board, Bench::Estimate, Bench::Regress, Bench::Mutants, Bench::Coverage, Bench::Fuzz],
        )?;
        only(self.fit.is_some(), "--fit", &[Bench::Estimate])?;
        only(self.plots.is_some(), "--plots", &trains)?;
        only(self.only.is_some(), "--only", &[Bench::Deep, Bench::Board, Bench::Mutants])?;
        for path in self.json.iter().chain(&self.fit) {
            staged::check_file(path)?;
        }
        for folder in self.plots.iter().chain(&self.keep) {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Bench {
    /// Sparse LeNet-300-100 and LeNet-5 on MNIST: error, size, and 500 and 200 digits under Verilator
    Digits,
    /// The real fc8 of AlexNet on 64 PEs under Verilator
    Fc8,
    /// EIE's nine layers on 64 PEs
    Nine,
    /// Alex-7 on 1 to 256 PEs
    Scale,
    /// Time and size of the generated Verilog, and of a build for simulation
    Emit,
    /// 4 PEs on an ECP5-85: area and clock
    Fit,
    /// The bundled keyword LSTMs on the bundled clips, under Verilator
    Kws,
    /// A character LSTM at 12, 8, 6 and 4-bit weights, golden model
    Charlm,
    /// The float reference against recordings of other tools; DTLN's LSTMs under Verilator
    Onnx,
    /// ESE's LSTM on 32 PEs under Verilator
    Ese,
    /// ESE's LSTM on more PEs and channels
    EseScale,
    /// ESE's LSTM on an UltraScale+ device: area
    EseFit,
    /// A layer of 25,088 x 4,096: time and memory of compression for 64 PEs, k-means beside scikit-learn's
    Big,
    /// Grains of pruning with retraining: error, cost of the index, and cycles; needs a build with the feature `train`
    Granularity,
    /// LeNet-300-100 and LeNet-5 trained, pruned with retraining, shared and coded; most of an hour
    Deep,
    /// The smallest form of storage beside Huffman coding and what is published: sizes, decode speed, round trip
    Entropy,
    /// A character LSTM trained, then pruned with retraining; needs a build with the feature `train`
    PruneLm,
    /// Loads over a simulated serial line that corrupts, drops, repeats and delays bytes, breaks, or dies
    Wire,
    /// The estimator against Yosys, over 30 configurations drawn by seeds; an hour
    Estimate,
    /// Properties of the emitted Verilog, proved; needs `scripts/setup --formal`
    Formal,
    /// Files that are nearly right: no reader panics, hangs or takes much memory; needs a build with the feature `fuzz`
    Fuzz,
    /// Digit networks placed and routed for boards, and EIE's 64 PEs synthesized: area, clock, digits per second; an hour
    Board,
    /// Lines, bits and bins that the regression of the named configurations S and M reaches; a quarter of an hour
    Coverage,
    /// Mutants of every module of the accelerators S, against the regression of S; most of an hour
    Mutants,
    /// Faults outside the Verilog: in images, containers, tables, the models and the bench's wiring; some minutes
    Faults,
    /// 1,000 random configurations of both datapaths, 3,000 runs under Verilator; up to two hours on two cores
    Regress,
}

impl Bench {
    fn name(self) -> &'static str {
        match self {
            Bench::Digits => "digits",
            Bench::Fc8 => "fc8",
            Bench::Nine => "nine",
            Bench::Scale => "scale",
            Bench::Emit => "emit",
            Bench::Fit => "fit",
            Bench::Kws => "kws",
            Bench::Charlm => "charlm",
            Bench::Onnx => "onnx",
            Bench::Ese => "ese",
            Bench::EseScale => "ese-scale",
            Bench::EseFit => "ese-fit",
            Bench::Big => "big",
            Bench::Granularity => "granularity",
            Bench::Deep => "deep",
            Bench::Entropy => "entropy",
            Bench::PruneLm => "prune-lm",
            Bench::Estimate => "estimate",
            Bench::Wire => "wire",
            Bench::Formal => "formal",
            Bench::Fuzz => "fuzz",
            Bench::Board => "board",
            Bench::Coverage => "coverage",
            Bench::Mutants => "mutants",
            Bench::Faults => "faults",
            Bench::Regress => "regress",
        }
    }
}

/// Measures. An error means that it could not; a missed bar is an answer.
pub fn run(args: &BenchArgs) -> Result<ExitCode> {
    args.check()?;
    let outcome = match args.name {
        Bench::Digits => digits::run(&args.data)?,
        Bench::Fc8 => fc8::run(&args.data)?,
        Bench::Nine => nine::run(args.all)?,
        Bench::Scale => scale::run()?,
        Bench::Emit => emit::run()?,
        Bench::Fit => fit::run()?,
        Bench::Kws => kws::run()?,
        Bench::Charlm => charlm::run(&args.data)?,
        Bench::Onnx => onnx::run()?,
        Bench::Ese => ese::run()?,
        Bench::EseScale => ese_scale::run()?,
        Bench::EseFit => ese_fit::run()?,
        Bench::Big => big::run()?,
        #[cfg(feature = "train")]
        Bench::Granularity => granularity::run(&args.data)?,
        #[cfg(not(feature = "train"))]
        Bench::Granularity => return Err(crate::commands::without_training("bench granularity")),
        #[cfg(feature = "train")]
        Bench::Deep => deep::run(&args.data, args.keep.as_deref(), args.only.as_deref())?,
        #[cfg(not(feature = "train"))]
        Bench::Deep => return Err(crate::commands::without_training("bench deep")),
        Bench::Entropy => entropy::run(&args.data)?,
        Bench::Estimate => estimate::run(args.keep.as_deref(), args.fit.as_deref())?,
        Bench::Board => board::run(&args.data, args.keep.as_deref(), args.only.as_deref())?,
        Bench::Formal => formal::run()?,
        #[cfg(feature = "fuzz")]
        Bench::Fuzz => fuzz::run(args.keep.as_deref())?,
        #[cfg(not(feature = "fuzz"))]
        Bench::Fuzz => {
            bail!("bench fuzz: this program was built without what counts memory: expected the feature fuzz (cargo run --features fuzz)")
        }
        #[cfg(feature = "verilator")]
        Bench::Wire => wire::run()?,
        #[cfg(not(feature = "verilator"))]
        Bench::Wire => return Err(crate::commands::built_without_verilator("bench wire")),
        #[cfg(feature = "verilator")]
        Bench::Coverage => coverage::run(args.keep.as_deref())?,
        #[cfg(not(feature = "verilator"))]
        Bench::Coverage => return Err(crate::commands::built_without_verilator("bench coverage")),
        #[cfg(feature = "verilator")]
        Bench::Regress => regress::run(args.keep.as_deref())?,
        #[cfg(not(feature = "verilator"))]
        Bench::Regress => return Err(crate::commands::built_without_verilator("bench regress")),
        #[cfg(feature = "verilator")]
        Bench::Mutants => mutants::run(args.keep.as_deref(), args.only.as_deref())?,
        #[cfg(not(feature = "verilator"))]
        Bench::Mutants => return Err(crate::commands::built_without_verilator("bench mutants")),
        #[cfg(feature = "verilator")]
        Bench::Faults => faults::run()?,
        #[cfg(not(feature = "verilator"))]
        Bench::Faults => return Err(crate::commands::built_without_verilator("bench faults")),
        Bench::PruneLm => prune_lm::run(&args.data, args.keep.as_deref())?,
    };
    let verdict = finish(args.name, &outcome, args.json.as_deref())?;
    if let Some(folder) = &args.plots {
        curves(args.name, &outcome, folder)?;
    }
    Ok(verdict)
}

/// Draws what the rows of a measurement have of curves.
fn curves(bench: Bench, outcome: &Outcome, folder: &Path) -> Result<()> {
    let rows = outcome.rows.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
    match bench {
        Bench::Deep => plot::deep(&rows, folder)?,
        Bench::PruneLm => plot::prune_lm(&rows, folder)?,
        _ => return Ok(()),
    }
    term::note(format!("drew the curves into {}", folder.display()));
    Ok(())
}

fn finish(bench: Bench, outcome: &Outcome, json: Option<&Path>) -> Result<ExitCode> {
    if let Some(path) = json {
        let text = outcome.json(bench.name())?;
        lacuna_compress::files::write_whole(path, text.as_bytes())?;
        term::note(format!("wrote {}", path.display()));
    }
    outcome.print(bench.name())?;
    let missed = outcome.missed();
    if missed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    term::note(format!("{}: {}", term::count(missed.len(), "missed bar"), missed.join("; ")));
    Ok(ExitCode::from(term::BAD))
}

/// A file of the data folder, which must be there.
fn data_file(data: &Path, name: &str) -> Result<PathBuf> {
    let path = data.join(name);
    if !path.is_file() {
        bail!("{} is missing: this measurement needs the project's data, whose folder --data names", path.display());
    }
    Ok(path)
}
