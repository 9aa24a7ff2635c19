//! `lacuna estimate`: what an accelerator will take of a device, before anything is synthesized.

use crate::accelerator::{AcceleratorArgs, Need};
use crate::board::Board;
use crate::estimate::{self, Area, Estimate, Family, OnBoard, Verdict};
use crate::term;
use anyhow::Result;
use lacuna_compress::error::grouped;
use lacuna_compress::manifest::AnyModel;
use lacuna_compress::spec::Arch;
use std::process::ExitCode;

/// Estimate LUTs, flip-flops, block RAM and multipliers before synthesis, and say whether a board has as many
///
/// As Yosys counts them; on an ECP5 place and route adds up to a quarter to the LUTs. Cycles are exact. LUTs and flip-flops of an iCE40 are counted as an
/// ECP5's, how far they are off is unknown, and place and route adds much, as they share logic cells. 7-series and UltraScale
/// devices count as UltraScale+.
///
/// A board fits if it has enough even after the largest error and with what place and route adds, may not fit if these decide,
/// and is too small if it lacks something even after the largest error. What fits may still not be routed.
#[derive(clap::Args)]
pub struct EstimateArgs {
    #[command(flatten)]
    accelerator: AcceleratorArgs,
    /// Board, by its name or its folder: exits with 2 if it is too small [default: ECP5 and UltraScale+ without a serial line]
    #[arg(long, value_name = "BOARD")]
    board: Option<String>,
}

pub fn run(args: &EstimateArgs) -> Result<ExitCode> {
    let board = args.board.as_deref().map(Board::find).transpose()?;
    let (arch, model) = args.accelerator.load(Need::First)?;
    let cycles = model.map(|(model, _)| cycles(&model)).transpose()?.flatten();
    let title = format!("accelerator {:016x}, {}", arch.hash(), term::count(arch.pes, "PE"));
    match &board {
        Some(board) => on_board(board, &arch, &title, cycles)?,
        None => anywhere(&arch, &title, cycles)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn on_board(board: &Board, arch: &Arch, title: &str, cycles: Option<String>) -> Result<()> {
    let found = OnBoard::new(board, arch)?;
    let mut rows: Vec<_> = Area::NAMES
        .into_iter()
        .enumerate()
        .map(|(i, name)| {
            let (used, available) = (found.estimate.area.0[i], found.available.0[i]);
            let error = found.family.error_text(i);
            vec![name.to_string(), number(used), number(available), term::percent(used / available), error]
        })
        .collect();
    if let Some([used, available]) = board.description.memory.apart(arch) {
        let share = term::percent(used as f64 / available as f64);
        rows.push(vec!["single port, for the entries".into(), grouped(used), grouped(available), share, "0 %".into()]);
    }
    let title = format!("{title}, on {}", board.description.title);
    term::table(&title, &["resource", "estimate", "available", "share", "error at most"], &rows)?;
    memories(&found.estimate)?;
    say(cycles)?;
    found.require()?;
    let verdict = found.doubt().unwrap_or_else(|| format!("fits {}", board.name));
    let most = match (found.largest(Verdict::Fits)?, found.largest(Verdict::MayNotFit)?) {
        (Some(pes), _) => format!("fits with up to {}", term::count(pes, "PE")),
        (None, pes) => format!("may fit with up to {}", term::count(pes.unwrap_or(arch.pes), "PE")),
    };
    term::line(format!("{verdict}; the same network {most}"))
}

fn anywhere(arch: &Arch, title: &str, cycles: Option<String>) -> Result<()> {
    let design = lacuna_hdl::generate(arch)?;
    let [ecp5, xcup] = [estimate::of(&design, Family::Ecp5)?, estimate::of(&design, Family::Xcup)?];
    let rows: Vec<_> = Area::NAMES
        .into_iter()
        .enumerate()
        .map(|(i, name)| {
            // the same for both
            let error = Family::Xcup.error_text(i);
            vec![name.to_string(), number(ecp5.area.0[i]), number(xcup.area.0[i]), error]
        })
        .collect();
    term::table(title, &["resource", "ecp5", "xcup", "error at most"], &rows)?;
    memories(&xcup)?;
    say(cycles)
}

fn say(cycles: Option<String>) -> Result<()> {
    cycles.map_or(Ok(()), term::line)
}

/// The memories, those with the most bits first.
fn memories(estimate: &Estimate) -> Result<()> {
    let mut sorted: Vec<_> = estimate.memories.iter().collect();
    sorted.sort_by_key(|m| std::cmp::Reverse(m.count * m.width * m.depth));
    let rows: Vec<_> = sorted
        .iter()
        .map(|m| {
            let whole = [m.count, m.depth, m.width].map(grouped);
            let luts = number(m.count as f64 * (m.ram.lut_ram + m.ram.mux));
            [vec![m.name.clone()], whole.to_vec(), vec![number(m.all_blocks()), luts]].concat()
        })
        .collect();
    term::table("memories", &["memory", "number", "words", "bits", "bram", "lut"], &rows)
}

/// `1,234`, or with a half of a block.
fn number(value: f64) -> String {
    let whole = grouped(value.floor() as usize);
    if value.fract() == 0.5 {
        format!("{whole}.5")
    } else {
        grouped(value.round() as usize)
    }
}

/// Without an input, which the known-answer test carries, there is none to count.
fn cycles(model: &AnyModel) -> Result<Option<String>> {
    let text = |what: &str, cycles: u64| format!("cycles: {} {what}", grouped(cycles as usize));
    Ok(match model {
        AnyModel::Recurrent(model) => Some(text("a step", estimate::cycles::of_step(model)?)),
        AnyModel::Layers(model) => match &model.answer {
            Some(answer) => {
                let input = answer.input(model.network.input_size);
                Some(text("for the input of the known-answer test", estimate::cycles::of_input(model, &input)?))
            }
            None => None,
        },
    })
}
