//! The command line: which subcommands there are, and which code they exit with.

use crate::bench::{self, BenchArgs};
use crate::commands::board_sim::BoardSimArgs;
use crate::commands::build::BuildArgs;
use crate::commands::compress::CompressArgs;
use crate::commands::decompress::DecompressArgs;
use crate::commands::demo::DemoArgs;
use crate::commands::estimate::EstimateArgs;
use crate::commands::generate::GenerateArgs;
use crate::commands::infer::InferArgs;
use crate::commands::init::InitArgs;
use crate::commands::inspect::InspectArgs;
use crate::commands::load::LoadArgs;
use crate::commands::prune::PruneArgs;
use crate::commands::regress::RegressArgs;
use crate::commands::report::ReportArgs;
use crate::commands::run::RunArgs;
use crate::commands::simulate::SimulateArgs;
use crate::commands::stats::StatsArgs;
use crate::commands::store::StoreArgs;
use crate::commands::train::TrainArgs;
use crate::commands::{
    board_sim, build, compress, decompress, demo, estimate, generate, infer, init, inspect, load, prune, regress, report, run, simulate,
    stats, store, train,
};
use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// From a trained network to compressed sparse hardware: encoder, Verilog generator and verifier.
#[derive(Parser)]
#[command(version, max_term_width = 100, after_help = "Exit status: 0 did it, 1 ran and the verdict is bad, 2 could not run.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Init(InitArgs),
    Train(TrainArgs),
    Prune(PruneArgs),
    Demo(DemoArgs),
    Compress(CompressArgs),
    Generate(GenerateArgs),
    Simulate(SimulateArgs),
    Regress(RegressArgs),
    Infer(InferArgs),
    Inspect(InspectArgs),
    Store(StoreArgs),
    Decompress(DecompressArgs),
    Stats(StatsArgs),
    Estimate(EstimateArgs),
    Build(BuildArgs),
    Report(ReportArgs),
    Load(LoadArgs),
    Run(RunArgs),
    BoardSim(BoardSimArgs),
    Bench(BenchArgs),
}

/// Does what the arguments say. An error means that it could not be done.
pub fn run() -> Result<ExitCode> {
    match &Cli::parse().command {
        Command::Init(args) => init::run(args),
        Command::Train(args) => train::run(args),
        Command::Prune(args) => prune::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Compress(args) => compress::run(args),
        Command::Generate(args) => generate::run(args),
        Command::Simulate(args) => simulate::run(args),
        Command::Regress(args) => regress::run(args),
        Command::Infer(args) => infer::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Store(args) => store::run(args),
        Command::Decompress(args) => decompress::run(args),
        Command::Stats(args) => stats::run(args),
        Command::Estimate(args) => estimate::run(args),
        Command::Build(args) => build::run(args),
        Command::Report(args) => report::run(args),
        Command::Load(args) => load::run(args),
        Command::Run(args) => run::run(args),
        Command::BoardSim(args) => board_sim::run(args),
        Command::Bench(args) => bench::run(args),
    }
}
