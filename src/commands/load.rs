//! `lacuna load`: a compressed model into an accelerator, and the proof that it is there.

use crate::pipeline::answer::{self, Verdict};
use crate::port::{self, AnyPort, PortArgs};
use crate::term;
use anyhow::{Context, Result};
use lacuna_compress::files::read_any_container;
use lacuna_sim::host::HostError;
use lacuna_sim::session;
use std::path::PathBuf;
use std::process::ExitCode;

/// Load a compressed model into an accelerator, checked by the accelerator itself
///
/// In this order: is it an accelerator, of the container's architecture; write; the accelerator reads its memories back and
/// compares every CRC; one input through the network, whose answer is known: if it is wrong, a word of the weights is spoiled, so
/// that nothing runs with them. What the memories hold already is not written again, so a load that was cut short goes on where
/// it was.
#[derive(clap::Args)]
pub struct LoadArgs {
    #[command(flatten)]
    port: PortArgs,
    /// Write nothing; exits with 1 if the accelerator holds something else. Unless it says that it holds another model, it looks
    /// at its memories, and a mismatch makes its weights invalid
    #[arg(long)]
    verify: bool,
    /// Compressed model, as `lacuna compress` writes it
    container: PathBuf,
}

pub fn run(args: &LoadArgs) -> Result<ExitCode> {
    let model = read_any_container(&args.container)?;
    let mut host = args.port.open(model.arch())?;
    if args.verify {
        return match session::verify(&mut host, model.image()) {
            Ok(()) => {
                term::line(format!("{}: holds {}, checked", args.port.name(), args.container.display()))?;
                Ok(ExitCode::SUCCESS)
            }
            Err(wrong @ (HostError::SectionCrc { .. } | HostError::OtherModel { .. })) => {
                term::line(format!("{}: does not hold {}: {wrong}", args.port.name(), args.container.display()))?;
                Ok(ExitCode::from(term::BAD))
            }
            Err(other) => Err(other.into()),
        };
    }
    let loaded = port::load(&mut host, model.image())?;
    term::note(format!(
        "{} written, {} there already; every CRC checked by the accelerator",
        term::count(loaded.written, "section"),
        loaded.kept
    ));
    if let AnyPort::Line(wire) = &host.bus {
        let c = wire.counts;
        term::note(format!("{}, {} repeated, line broken {} times", term::count(c.frames as usize, "frame"), c.repeated, c.reconnected));
    }
    match answer::check(&mut host, &model).context("the known answer")? {
        Verdict::Right => term::note("known answer: right"),
        Verdict::Absent => term::note(format!(
            "known answer: {} carries none, so nothing was computed; `lacuna compress` of this version makes containers with one",
            args.container.display()
        )),
        Verdict::OutOfReach => term::note("known answer: not asked for, as the streams are not among mapped registers"),
        Verdict::Wrong(at, found, expected) => {
            term::line(format!("known answer: output {at} is {found}, expected {expected}"))?;
            session::distrust(&mut host, model.image()).context("the weights may still be valid")?;
            term::note("a word of the weights is spoiled, so that nothing runs before they are loaded again");
            return Ok(ExitCode::from(term::BAD));
        }
    }
    term::line(format!("{}: ready, {} loaded", args.port.name(), args.container.display()))?;
    Ok(ExitCode::SUCCESS)
}
