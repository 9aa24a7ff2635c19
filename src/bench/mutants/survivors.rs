//! Why a mutant survives that nothing proves to be equivalent: `survivors.toml`, one entry each.

use anyhow::{Context, Result};
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Survivor {
    pub config: String,
    pub module: String,
    /// As in the results.
    mutation: String,
    /// The accelerator as a whole cannot tell it from the original; else the regression has a hole there.
    pub equivalent: bool,
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    survivor: Vec<Survivor>,
}

pub fn read() -> Result<Vec<Survivor>> {
    let table: Table = toml::from_str(include_str!("survivors.toml")).context("survivors.toml")?;
    Ok(table.survivor)
}

impl Survivor {
    pub fn is(&self, config: &str, module: &str, mutation: &str) -> bool {
        self.config == config && self.module == module && self.mutation == mutation
    }
}
