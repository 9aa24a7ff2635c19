//! `lacuna build`: from a model and a board to a bitstream.

use super::report;
use crate::board::{Board, Flow};
use crate::estimate::OnBoard;
use crate::{flow, inputs, pipeline, term};
use anyhow::{bail, Context, Result};
use lacuna_compress::config::Config;
use lacuna_compress::manifest::AnyModel;
use lacuna_compress::spec::Arch;
use std::path::PathBuf;
use std::process::ExitCode;

/// Write everything that a board needs, then run the tools that there are, up to the bitstream
///
/// The folder holds Verilog, constraints, scripts, the register map for other programs, the model's memories if there is a
/// model, and manifest.json with a hash of each file. build.sh in it does the same as this command, without Lacuna.
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

/// Which accelerator, and the model for it.
#[derive(clap::Args)]
#[group(required = true, multiple = true)]
pub struct AcceleratorArgs {
    /// Configuration of the accelerator, and of the model if it names one
    #[arg(short, long, value_name = "TOML")]
    pub config: Option<PathBuf>,
    /// Compressed model: the accelerator is the one that it was made for
    #[arg(long, value_name = "FILE")]
    pub container: Option<PathBuf>,
}

pub fn run(args: &BuildArgs) -> Result<ExitCode> {
    let board = Board::find(&args.board)?;
    let model_and_arch = accelerator(&args.accelerator)?;
    let (arch, model) = (&model_and_arch.0, &model_and_arch.1);
    OnBoard::new(&board, arch)?.require()?;
    let tools = if args.plan { vec![] } else { flow::tools(board.description.tools.flow)? };
    let settings = flow::Settings { mhz: args.mhz.unwrap_or(board.description.clock.mhz), seed: args.seed };
    let design = flow::write(&args.output, &board, arch, model.as_ref().map(|(m, bytes)| (m, bytes.as_slice())), &settings)?;
    let folder = args.output.display();
    term::note(format!(
        "wrote {folder}: accelerator {:016x}, {} PEs, {} modules for {}",
        arch.hash(),
        arch.pes,
        design.modules.len(),
        board.description.title
    ));
    if args.plan {
        term::note(format!("to build it: sh {folder}/{}", flow::SCRIPT));
        return Ok(ExitCode::SUCCESS);
    }
    let spinner = term::spinner("synthesis, place and route");
    flow::execute(&args.output, &tools)?;
    spinner.finish_and_clear();
    report::print(&args.output)?;
    match bitstream(board.description.tools.flow).map(|name| args.output.join(name)).filter(|path| path.is_file()) {
        Some(path) => term::note(format!("wrote {}", path.display())),
        None => term::note(format!("no bitstream: Vivado makes it from {folder}/build.tcl")),
    }
    Ok(ExitCode::SUCCESS)
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|mhz| (1.0..=1000.0).contains(mhz)).ok_or("expected a frequency of 1 to 1,000 MHz".into())
}

fn bitstream(flow: Flow) -> Option<&'static str> {
    Some(match flow {
        Flow::Ecp5 | Flow::Vivado => "top.bit",
        Flow::Ice40 => "top.bin",
    })
}

/// A model, and the bytes of its container.
pub type Stored = (AnyModel, Vec<u8>);

/// The architecture, and the model if there is one.
pub fn accelerator(args: &AcceleratorArgs) -> Result<(Arch, Option<Stored>)> {
    let config = args.config.as_deref().map(Config::load).transpose()?;
    if let Some(path) = &args.container {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let model = AnyModel::from_container(&bytes).with_context(|| path.display().to_string())?;
        if let Some(config) = &config {
            inputs::require_config(&model, config, path)?;
        }
        return Ok((model.arch().clone(), Some((model, bytes))));
    }
    let Some(config) = config else { bail!("give --config or --container") };
    if config.model.layer.is_empty() && config.model.lstm.is_empty() {
        return Ok((pipeline::arch_of(&config, None)?, None));
    }
    let (model, bytes) = if config.model.lstm.is_empty() {
        let model = pipeline::compress(&config)?.compiled.model;
        let bytes = model.to_container()?;
        (AnyModel::Layers(model), bytes)
    } else {
        let found = pipeline::recurrent::compress(&config)?;
        let first = found.into_iter().next().context("the configuration has no model")?.compiled.model;
        let bytes = first.to_container()?;
        (AnyModel::Recurrent(first), bytes)
    };
    Ok((model.arch().clone(), Some((model, bytes))))
}
