//! `lacuna build`: from a model and a board to a bitstream.

use super::report;
use crate::accelerator::{AcceleratorArgs, Need};
use crate::board::{Board, MHZ};
use crate::estimate::OnBoard;
use crate::{flow, term};
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::ExitCode;

/// Write everything that a board needs, then run the tools that there are, up to the bitstream
///
/// The folder holds Verilog, constraints, scripts, the register map for other programs, the model's memories if there is a
/// model, and manifest.json with a hash of each file. build.sh in it does the same as this command, without Lacuna: it looks for
/// the same tools in the same order, unless variables (YOSYS, NEXTPNR, PACK) name them.
#[derive(clap::Args)]
pub struct BuildArgs {
    /// Board, by its name or its folder
    #[arg(long, value_name = "BOARD")]
    board: String,
    #[command(flatten)]
    accelerator: AcceleratorArgs,
    /// Folder to write to
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Write the files, and run nothing
    #[arg(long)]
    plan: bool,
    /// Clock of the accelerator in MHz [default: the board's]
    #[arg(long, value_name = "MHZ", value_parser = positive)]
    mhz: Option<f64>,
    /// Of place and route
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u32,
}

pub fn run(args: &BuildArgs) -> Result<ExitCode> {
    let board = Board::find(&args.board)?;
    let (arch, model) = args.accelerator.load(Need::Only)?;
    let estimate = OnBoard::new(&board, &arch)?;
    estimate.require()?;
    estimate.doubt().into_iter().for_each(term::note);
    let settings = flow::Settings { mhz: args.mhz.unwrap_or(board.description.clock.mhz), seed: args.seed };
    let design = flow::write(&args.output, &board, &arch, model.as_ref().map(|(m, bytes)| (m, bytes.as_slice())), &settings)?;
    let folder = args.output.display();
    term::note(format!(
        "wrote {folder}: accelerator {:016x}, {}, {} modules for {}",
        arch.hash(),
        term::count(arch.pes, "PE"),
        design.modules.len(),
        board.description.title
    ));
    if args.plan {
        term::note(format!("to build it: sh {folder}/{}", flow::SCRIPT));
        return Ok(ExitCode::SUCCESS);
    }
    let tools = flow::tools(board.description.tools.flow)
        .with_context(|| format!("{folder} is written and not built; {} builds it where the tools are", flow::SCRIPT))?;
    let spinner = term::spinner("synthesis, place and route");
    flow::execute(&args.output, &tools, None)?;
    spinner.finish_and_clear();
    report::print(&args.output)?;
    let bitstream = args.output.join(flow::bitstream(board.description.tools.flow));
    if bitstream.is_file() {
        term::note(format!("wrote {}", bitstream.display()));
    } else {
        term::note(format!("no bitstream: Vivado makes it from {folder}/build.tcl"));
    }
    Ok(ExitCode::SUCCESS)
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|mhz| MHZ.contains(mhz)).ok_or(format!("expected a frequency of {} to {} MHz", MHZ.start(), MHZ.end()))
}
