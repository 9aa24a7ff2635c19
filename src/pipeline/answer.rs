//! The known-answer test of a container: made with the golden model when a network is compiled, run on hardware when the
//! container is loaded.

use anyhow::{bail, Context, Result};
use lacuna_compress::manifest::{AnyModel, Model, RecurrentModel};
use lacuna_compress::spec::KnownAnswer;
use lacuna_sim::golden::{Golden, Recurrent};
use lacuna_sim::host::{Host, Transport};
use lacuna_sim::session;

/// Values of the pattern: a prime number, so that it falls differently onto PEs, rows and steps each time.
const PATTERN: usize = 61;
/// Steps of a recurrent network: the second one is the first with a state, the third the first with a state of its own making.
const STEPS: usize = 3;
/// Magnitudes of the pattern that are tried, as powers of two.
const MAGNITUDES: std::ops::RangeInclusive<u32> = 10..=14;

/// Every other value is zero, as activations are.
fn pattern(magnitude: u32) -> Vec<i16> {
    let spread = 1i32 << (magnitude + 1);
    let value = |i: i32| if i % 2 == 0 { 0 } else { (i * 40_503).rem_euclid(spread) - spread / 2 };
    (0..PATTERN as i32).map(|i| value(i) as i16).collect()
}

/// The first answer that is not all zeros: hardware that does nothing would give that one as well. If there is none, the last.
fn telling(mut answer: impl FnMut(&KnownAnswer) -> Result<Vec<i16>>) -> Result<KnownAnswer> {
    let mut found = KnownAnswer { pattern: vec![0], output: vec![] };
    for magnitude in MAGNITUDES {
        found.pattern = pattern(magnitude);
        found.output = answer(&found)?;
        if found.output.iter().any(|value| *value != 0) {
            break;
        }
    }
    Ok(found)
}

/// Of a network of layers.
pub fn of_layers(model: &Model, golden: &Golden) -> Result<KnownAnswer> {
    telling(|answer| Ok(model.output_rows(&golden.infer(&layers_input(model, answer)?)?)?))
}

/// Of a recurrent network.
pub fn of_steps(golden: &Recurrent) -> Result<KnownAnswer> {
    telling(|answer| {
        let mut state = golden.state();
        state.begin();
        let steps = steps_input(golden.inputs(), STEPS, answer);
        let outputs = steps.iter().map(|step| Ok(golden.step(&mut state, step)?.output)).collect::<Result<Vec<_>>>()?;
        Ok(outputs.concat())
    })
}

fn layers_input(model: &Model, answer: &KnownAnswer) -> Result<Vec<i16>> {
    Ok(model.arrange_input(answer.input(model.network.input_size))?)
}

fn steps_input(inputs: usize, steps: usize, answer: &KnownAnswer) -> Vec<Vec<i16>> {
    answer.input(inputs * steps).chunks(inputs.max(1)).map(<[i16]>::to_vec).collect()
}

/// What the hardware said to a known-answer test.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Right,
    /// The container carries no test.
    Absent,
    /// The streams of a recurrent network cannot be reached this way.
    OutOfReach,
    /// The first output that differs: its number, found and expected value.
    Wrong(usize, i16, i16),
}

/// Runs the test of a container on hardware that holds it.
pub fn check<T: Transport>(host: &mut Host<T>, model: &AnyModel) -> Result<Verdict> {
    let (found, answer) = match model {
        AnyModel::Layers(model) => {
            let Some(answer) = &model.answer else { return Ok(Verdict::Absent) };
            let (records, limit) = session::program(&model.image);
            let run = session::run_layers(host, &records, limit, &layers_input(model, answer)?)?;
            (model.output_rows(&run.outputs)?, answer)
        }
        AnyModel::Recurrent(model) => {
            let Some(answer) = &model.answer else { return Ok(Verdict::Absent) };
            if !host.bus.streams() {
                return Ok(Verdict::OutOfReach);
            }
            (steps(host, model, answer)?, answer)
        }
    };
    if found.len() != answer.output.len() {
        bail!("{} outputs came back, expected {}", found.len(), answer.output.len());
    }
    let differs = found.iter().zip(&answer.output).position(|(found, expected)| found != expected);
    Ok(differs.map_or(Verdict::Right, |at| Verdict::Wrong(at, found[at], answer.output[at])))
}

fn steps<T: Transport>(host: &mut Host<T>, model: &RecurrentModel, answer: &KnownAnswer) -> Result<Vec<i16>> {
    let golden = Recurrent::new(&model.image).context("the program of the container")?;
    let count = answer.output.len() / golden.outputs().max(1);
    let input = steps_input(golden.inputs(), count, answer);
    Ok(session::run_steps(host, &input, golden.outputs(), session::step_limit(golden.entries()))?.concat())
}
