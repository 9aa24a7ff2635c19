//! A recurrent model's steps against the cycle model: the time of every step, and every stall.

use super::RecurrentSimulator;
use crate::perf_ese::EseTiming;
use crate::simulate::Result;
use lacuna_compress::spec::registers as map;

/// The first count that is not the cycle model's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CycleFault {
    pub what: String,
    pub expected: u64,
    pub got: u64,
}

impl std::fmt::Display for CycleFault {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}: expected {}, got {}", self.what, self.expected, self.got)
    }
}

/// Cycles before the end of the last results in which steps are stopped, so that none waits for a vector behind them.
const BEFORE_END: u64 = 16;

impl RecurrentSimulator {
    /// Runs the same number of steps on every channel, with the input always ahead and no stalls, after a reset, and
    /// compares with the cycle model: `one` is its time of one step alone, `all` that of all steps
    /// ([`crate::perf_ese::EseNetwork::run_all`]). Vectors are at `[channel][step]`. Ends with a reset.
    pub fn compare_cycles(&mut self, vectors: &[Vec<Vec<i16>>], one: &EseTiming, all: &EseTiming) -> Result<Option<CycleFault>> {
        let steps = all.ends.len();
        self.set_stalls(self.options.common.seed, 0, 0)?;
        self.reset()?;
        self.host.set_mask((0..vectors.len()).fold(0, |mask, c| mask | 1 << c))?;
        let mut fault = self.compare_first(vectors, one)?;
        if fault.is_none() && steps > 0 {
            self.reset()?;
            fault = self.compare_all(vectors, all)?;
        }
        self.reset()?;
        Ok(fault)
    }

    /// Sends the vectors of some steps; two of each channel are taken in when this returns.
    fn feed(&mut self, vectors: &[Vec<Vec<i16>>], steps: usize) -> Result<()> {
        for step in 0..steps {
            for (channel, of_channel) in vectors.iter().enumerate() {
                self.host.bus.0.stream_send(&Self::beats(channel, &of_channel[step], false))?;
            }
        }
        Ok(self.host.bus.0.step((2 * self.golden.inputs() * vectors.len() + 10) as u64)?)
    }

    /// From the start to the last result of a step.
    fn compare_first(&mut self, vectors: &[Vec<Vec<i16>>], one: &EseTiming) -> Result<Option<CycleFault>> {
        let Some(expected) = one.completes.first().copied() else { return Ok(None) };
        let limit = self.limit(2);
        self.feed(vectors, 1)?;
        self.host.start()?;
        self.host.bus.0.step(expected.saturating_sub(BEFORE_END))?;
        self.host.stop_and_wait(limit)?;
        let got = self.host.stream_counters()?.cycles;
        Ok((got != expected).then(|| CycleFault { what: "cycles of one step".into(), expected, got }))
    }

    /// The last beat of each step from that of the first on, and the stalls.
    fn compare_all(&mut self, vectors: &[Vec<Vec<i16>>], all: &EseTiming) -> Result<Option<CycleFault>> {
        let steps = all.ends.len();
        let of_step = self.golden.outputs() * vectors.len();
        let limit = self.limit(steps);
        self.feed(vectors, steps)?;
        self.host.start()?;
        self.host.bus.0.stream_run((steps * of_step) as u64, 0, limit)?;
        let taken = self.host.bus.0.stream_fetch()?.1;
        self.host.stop_and_wait(limit)?;
        let ends: Vec<u64> = taken.chunks_exact(of_step).map(|beats| beats[of_step - 1].cycle).collect();
        let after = |ends: &[u64], step: usize| ends[step].saturating_sub(ends[0]);
        for step in 1..ends.len().min(steps) {
            let (expected, got) = (after(&all.ends, step), after(&ends, step));
            if expected != got {
                let what = format!("cycles from the last beat of step 0 to that of step {step}");
                return Ok(Some(CycleFault { what, expected, got }));
            }
        }
        let c = self.host.stream_counters()?;
        let counts = [
            (map::STEPS, steps as u64, c.steps),
            (map::STALL_QUEUE, all.stall_queue, c.stall_queue),
            (map::STALL_DATA, all.stall_data, c.stall_data),
            (map::STALL_OUTPUT, all.stall_output, c.stall_output),
        ];
        if let Some((address, expected, got)) = counts.into_iter().find(|(_, expected, got)| expected != got) {
            return Ok(Some(CycleFault { what: format!("register {}", name(address)), expected, got }));
        }
        // the last step is followed by a wait for vectors, which lasts until the stop, whenever that comes
        let expected = all.waits - 1 - all.stall_input;
        let got = c.cycles.saturating_sub(c.stall_input);
        let what = || format!("register {} less {}", name(map::CYCLES), name(map::STALL_INPUT));
        Ok((expected != got).then(|| CycleFault { what: what(), expected, got }))
    }
}

/// Of a register.
fn name(address: u32) -> &'static str {
    map::REGISTERS.iter().chain(map::STREAM_REGISTERS).find(|r| r.address == address).map_or("?", |r| r.name)
}
