//! Runs of recurrent models under Verilator, judged against the golden model; without the feature `verilator`, none.

use anyhow::Result;
use lacuna_compress::manifest::RecurrentModel;

/// What is compared besides every output vector.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "verilator"), allow(dead_code))]
pub enum Compare {
    /// h and c of every layer after each step; the accelerator gets one vector of each channel at a time.
    EveryState,
    /// h and c after the last step; vectors wait, so that the steps' times mean something.
    LastState,
}

/// Sequences on the hardware, one per channel.
#[derive(Default)]
#[cfg_attr(not(feature = "verilator"), allow(dead_code))]
pub struct Judged {
    /// At `[channel][step]`.
    pub outputs: Vec<Vec<Vec<i16>>>,
    /// Cycle of the last output beat of each step.
    pub ends: Vec<u64>,
    /// Everything compared equals the golden model.
    pub exact: bool,
    /// The first difference, if there is one.
    pub fault: Option<String>,
    /// Stalls of the whole run by cause: queue, input, data, output.
    pub stalls: [u64; 4],
}

/// A model on its hardware.
#[cfg(feature = "verilator")]
pub struct Machine(lacuna_sim::recurrent::RecurrentSimulator);

#[cfg(feature = "verilator")]
impl Machine {
    /// Builds (or takes from the cache) and loads over AXI4-Lite; `None` if nothing can be run.
    pub fn new(model: &RecurrentModel) -> Result<Option<Machine>> {
        use lacuna_sim::recurrent::{RecurrentOptions, RecurrentSimulator};
        Ok(Some(Machine(RecurrentSimulator::new(model, &RecurrentOptions::default())?)))
    }

    /// Runs new sequences, `sequences[channel][step]`.
    pub fn run(&mut self, sequences: &[Vec<Vec<i16>>], compare: Compare) -> Result<Judged> {
        use lacuna_sim::recurrent::{Check, Sequence};
        let sequences: Vec<Sequence> = sequences.iter().map(|steps| Sequence { steps: steps.clone(), fresh: true }).collect();
        let check = match compare {
            Compare::EveryState => Check::States,
            Compare::LastState => Check::Outputs,
        };
        let verdict = self.0.verify(&sequences, check)?;
        let mut mismatch = verdict.mismatch;
        if mismatch.is_none() {
            let steps = sequences.iter().map(|s| s.steps.len()).max().unwrap_or(0);
            mismatch = self.0.compare_states(steps.saturating_sub(1))?;
        }
        let errors = self.0.host.take_errors()?;
        let fault = mismatch.map(|m| m.to_string()).or((errors != 0).then(|| format!("error register {errors:#x}")));
        let c = verdict.run.counters;
        Ok(Judged {
            outputs: verdict.run.outputs,
            ends: verdict.run.ends,
            exact: fault.is_none(),
            fault,
            stalls: [c.stall_queue, c.stall_input, c.stall_data, c.stall_output],
        })
    }
}

#[cfg(not(feature = "verilator"))]
pub struct Machine;

#[cfg(not(feature = "verilator"))]
impl Machine {
    pub fn new(_: &RecurrentModel) -> Result<Option<Machine>> {
        Ok(None)
    }
    pub fn run(&mut self, _: &[Vec<Vec<i16>>], _: Compare) -> Result<Judged> {
        Ok(Judged::default())
    }
}
