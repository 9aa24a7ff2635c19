//! `wire`: loads over a simulated serial line with faults. What is counted as loaded ran an input and gave the golden
//! model's answer; what ran and gave another is wrong.

use super::report::{Bar, Check, Outcome, Row};
use super::synthetic::Shape;
use crate::term;
use anyhow::Result;
use lacuna_compress::spec::{MemoryImage, MemoryKind, Section};
use lacuna_sim::board_sim::{library, SimulatedLine};
use lacuna_sim::golden::Golden;
use lacuna_sim::host::{Host, HostError};
use lacuna_sim::session;
use lacuna_sim::simulate::Options;
use lacuna_sim::wire::faulty::{Fault, Faulty};
use lacuna_sim::wire::{Line, Patience, Wire};
use std::io;
use std::time::Duration;

const SHAPE: Shape =
    Shape { name: "small", inputs: 96, outputs: 48, weight_density: 0.25, activation_density: 0.5, table_iv: 0.0, simulator: 0.0 };
const PES: usize = 2;
const DIVIDER: usize = 4;
/// Of a byte.
const PROBABILITY: f64 = 1e-3;
const SEED: u64 = 1;
/// Of each fault; together a hundred of those that a load must survive.
const RUNS: usize = 20;
/// A cycle is a microsecond: long enough for the longest check, short enough to be waited for.
const ANSWER: Duration = Duration::from_millis(20);

const FAULTS: [(Fault, &str); 7] = [
    (Fault::None, "none"),
    (Fault::Corrupted, "corrupted"),
    (Fault::Dropped, "dropped"),
    (Fault::Repeated, "repeated"),
    (Fault::Delayed, "delayed"),
    (Fault::Pulled, "pulled"),
    (Fault::Dead, "dead"),
];

/// How one load ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Loaded,
    /// Ended with the error that says that the line is gone.
    Refused,
    Wrong,
    /// Ended with another error, which says nothing of the line.
    Failed,
}

pub fn run() -> Result<Outcome> {
    measure(&FAULTS, RUNS)
}

/// Two models of one accelerator, by turns: what is loaded is never what was there.
fn images() -> Result<[MemoryImage; 2]> {
    let one = SHAPE.draw(SEED).compile(PES, 8)?.model.image;
    let mut other = one.clone();
    for pe in 0..PES as u16 {
        if let Some(words) = other.sections.get_mut(&Section::Pe(pe, MemoryKind::Codebook)) {
            // the other half of the codebook: every weight is another one
            let codes: Vec<u64> = (0..words.len()).map(|i| words.get(i)).collect();
            (1..codes.len()).for_each(|i| words.set(i, codes[codes.len() - i]));
        }
    }
    Ok([one, other])
}

fn measure(faults: &[(Fault, &'static str)], runs: usize) -> Result<Outcome> {
    let images = images()?;
    let goldens = [Golden::new(&images[0])?, Golden::new(&images[1])?];
    let input: Vec<i16> = (0i16..).take(goldens[0].inputs()).map(|i| if i % 2 == 0 { 0 } else { 40 * i - 2000 }).collect();
    let answers = [goldens[0].infer(&input)?, goldens[1].infer(&input)?];
    assert_ne!(answers[0], answers[1], "the two models must be told apart by their answers");
    let options = Options::default();
    let library = library(&lacuna_hdl::generate_uart(&images[0].arch, DIVIDER)?, &options)?;
    let mut rows = vec![];
    let mut checks = vec![];
    let bar = term::progress("loads", faults.len() * runs);
    for (fault, name) in faults {
        let mut line = SimulatedLine::new(&library, DIVIDER, &options)?;
        let (mut ends, mut hits, mut repeated) = (vec![], 0, 0);
        for number in 0..runs {
            let target = number % 2;
            let seed = SEED << 32 | (*fault as u64) << 16 | number as u64;
            let restart = |line: &mut SimulatedLine| line.restart().map_err(io::Error::other);
            let faulty = Faulty::new(line, *fault, PROBABILITY, seed, restart);
            let (end, faulty, again) = one_load(faulty, number as u16, &images[target], &input, &answers[target]);
            hits += faulty.faults;
            repeated += again;
            line = faulty.inner;
            line.restart()?;
            ends.push(end);
            bar.inc(1);
        }
        let count = |end: End| ends.iter().filter(|e| **e == end).count();
        rows.push(
            Row::new()
                .with("fault", *name)
                .with("runs", runs)
                .with("loaded", count(End::Loaded))
                .with("refused", count(End::Refused))
                .with("wrong", count(End::Wrong))
                .with("faults", hits)
                .with("frames_repeated", repeated),
        );
        let (what, good) = if *fault == Fault::Dead { ("refused", count(End::Refused)) } else { ("loaded", count(End::Loaded)) };
        checks.push(Check::new(format!("{name}: {what}"), good as f64, 0, Bar::AtLeast(runs as f64)));
        checks.push(Check::new(format!("{name}: ran with wrong weights"), count(End::Wrong) as f64, 0, Bar::AtMost(0.0)));
    }
    bar.finish_and_clear();
    let notes = vec![
        format!(
            "{PES} PEs, {} x {} weights, two models by turns; one byte in {} is hit, in either direction; seed {SEED}",
            SHAPE.outputs,
            SHAPE.inputs,
            1.0 / PROBABILITY
        ),
        "pulled: the line breaks every few thousand bytes, and every third time the board restarts; dead: it breaks and stays so"
            .to_string(),
    ];
    Ok(Outcome { rows, checks, notes })
}

/// One load, and one input through what was loaded. Gives the line back, and the frames that were sent again.
fn one_load(
    faulty: Faulty<SimulatedLine>,
    tag: u16,
    image: &MemoryImage,
    input: &[i16],
    answer: &[i16],
) -> (End, Faulty<SimulatedLine>, u64) {
    let patience = Patience { answer: ANSWER, reconnect: Duration::from_secs(3), ..Patience::default() };
    let mut wire = Wire::new(faulty, patience, tag);
    if let Err(error) = wire.hello() {
        return (ended(&error), wire.into_line(), 0);
    }
    let mut host = Host::new(wire, &image.arch);
    let end = match loaded_and_run(&mut host, image, input) {
        Ok(outputs) if outputs == answer => End::Loaded,
        Ok(_) => End::Wrong,
        Err(error) => ended(&error),
    };
    let repeated = host.bus.counts.repeated;
    (end, host.bus.into_line(), repeated)
}

fn ended(error: &HostError) -> End {
    match error {
        HostError::Broken { .. } | HostError::Silent { .. } => End::Refused,
        _ => End::Failed,
    }
}

fn loaded_and_run<L: Line>(host: &mut Host<Wire<L>>, image: &MemoryImage, input: &[i16]) -> Result<Vec<i16>, HostError> {
    session::load(host, image, |_, _| {})?;
    let (records, limit) = session::program(image);
    loop {
        match session::run_layers(host, &records, limit, input) {
            // the weights outlive a restart, the conversation does not
            Err(HostError::Restarted { .. }) => {
                host.bus.hello()?;
                session::require(host, image)?;
            }
            other => return other.map(|run| run.outputs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_fault_of_the_line_gives_wrong_weights() {
        let found = measure(&FAULTS, 2).unwrap();
        assert!(found.missed().is_empty(), "{:?} {:?}", found.missed(), found.rows);
        let hits = |row: &Row| row.get("faults").and_then(|v| v.as_u64()).unwrap();
        assert!(found.rows[1..].iter().all(|row| hits(row) > 0), "a line without faults shows nothing: {:?}", found.rows);
    }
}
