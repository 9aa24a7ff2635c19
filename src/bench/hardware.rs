//! Runs under Verilator, judged against golden model and cycle model; without the feature `verilator`, none.

use anyhow::Result;
use lacuna_compress::manifest::Model;

/// How the weights get into the memories.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "verilator"), allow(dead_code))]
pub enum Load {
    /// Over AXI4-Lite, checked by the hardware.
    Host,
    /// Before time 0.
    Preload,
}

/// One input on the hardware.
pub struct Judged {
    /// As the hardware counted them.
    pub cycles: u64,
    /// By position.
    pub outputs: Vec<i16>,
    /// Every result is the golden model's, every counter the cycle model's.
    pub exact: bool,
    /// What differs, if something does.
    pub fault: Option<String>,
}

/// What to say when nothing can run.
pub const WITHOUT: &str = "built without the feature verilator: nothing was run under Verilator, the cycles are the cycle model's";

/// Can hardware be run? An error if it should be possible and a tool is missing.
pub fn available() -> Result<bool> {
    #[cfg(feature = "verilator")]
    {
        lacuna_sim::verilate::verilator_version()?;
        Ok(true)
    }
    #[cfg(not(feature = "verilator"))]
    Ok(false)
}

/// Runs inputs, one after the other, on the generated hardware; `None` if [`available`] says no.
#[cfg(feature = "verilator")]
pub fn judge(model: &Model, inputs: &[Vec<i16>], load: Load, mut each: impl FnMut()) -> Result<Option<Vec<Judged>>> {
    use lacuna_sim::simulate::{Door, Options, Simulator};
    let door = match load {
        Load::Host => Door::Axi,
        Load::Preload => Door::Preload,
    };
    let mut simulator = Simulator::new(model, &Options { door, ..Options::default() })?;
    let mut judged = vec![];
    for (number, input) in inputs.iter().enumerate() {
        let verdict = simulator.verify(input)?;
        let fault = verdict.mismatch.as_ref().map(|m| format!("input {number}: {m}"));
        let counters = || format!("input {number}: counters {:?}, the cycle model has {:?}", verdict.run, verdict.expected);
        let fault = fault.or_else(|| (!verdict.counters_equal()).then(counters));
        judged.push(Judged { cycles: verdict.run.cycles, exact: verdict.passed(), outputs: verdict.run.outputs, fault });
        each();
    }
    Ok(Some(judged))
}

#[cfg(not(feature = "verilator"))]
pub fn judge(_: &Model, _: &[Vec<i16>], _: Load, _: impl FnMut()) -> Result<Option<Vec<Judged>>> {
    Ok(None)
}

/// As [`judge`], for one input. Preloaded PEs differ in their files' names, and a simulator that builds each of many
/// takes longer than the bus does to fill them.
pub fn judge_one(model: &Model, input: &[i16]) -> Result<Option<Judged>> {
    let load = if model.arch().pes < 16 { Load::Preload } else { Load::Host };
    Ok(judge(model, &[input.to_vec()], load, || ())?.and_then(|mut all| all.pop()))
}
