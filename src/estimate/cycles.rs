//! Clock cycles, by the cycle model: exact.

use anyhow::Result;
use lacuna_compress::manifest::{Model, RecurrentModel};
use lacuna_sim::golden::{Golden, Recurrent};
use lacuna_sim::perf::Network;
use lacuna_sim::perf_ese::EseNetwork;

/// Of a network for this input.
pub fn of_input(model: &Model, input: &[i16]) -> Result<u64> {
    let golden = Golden::new(&model.image)?;
    Ok(Network::new(&golden).time(&golden.trace(input)?).total.cycles)
}

/// Of a step in steady state.
pub fn of_step(model: &RecurrentModel) -> Result<u64> {
    Ok(EseNetwork::new(&Recurrent::new(&model.image)?).steady())
}
