//! Why mutants survive that nothing proves to be equivalent: `survivors.toml`.

use anyhow::{bail, Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// One mutant.
#[derive(Clone, Debug)]
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
    survivor: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    config: String,
    equivalent: bool,
    reason: String,
    /// Of each module.
    mutants: BTreeMap<String, Vec<String>>,
}

/// Each mutant by itself.
pub fn read() -> Result<Vec<Survivor>> {
    parse(include_str!("survivors.toml")).context("survivors.toml")
}

fn parse(text: &str) -> Result<Vec<Survivor>> {
    let mut all = vec![];
    for Group { config, equivalent, reason, mutants } in toml::from_str::<Table>(text)?.survivor {
        if mutants.values().all(Vec::is_empty) || !reason.ends_with('.') {
            bail!("expected mutants and a sentence that says why they survive, found {reason:?}");
        }
        for (module, mutations) in mutants {
            all.extend(mutations.into_iter().map(|mutation| Survivor {
                config: config.clone(),
                module: module.clone(),
                mutation,
                equivalent,
                reason: reason.clone(),
            }));
        }
    }
    Ok(all)
}

impl Survivor {
    pub fn is(&self, config: &str, module: &str, mutation: &str) -> bool {
        self.config == config && self.module == module && self.mutation == mutation
    }
}

impl fmt::Display for Survivor {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}, {}, {}", self.config, self.module, self.mutation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_of_a_reason_is_one_and_a_reason_is_a_sentence() {
        let text = |reason: &str, mutants: &str| {
            format!("[[survivor]]\nconfig = \"eie-s\"\nequivalent = true\nreason = \"{reason}\"\nmutants.pe = [{mutants}]\n")
        };
        let found = parse(&text("Nobody looks.", "\"-mode inv -a\", \"-mode inv -b\"")).unwrap();
        assert_eq!(found.iter().filter(|s| s.is("eie-s", "pe", "-mode inv -b") && s.equivalent).count(), 1);
        assert_eq!((found.len(), found[0].to_string()), (2, "eie-s, pe, -mode inv -a".to_string()));
        assert!(parse(&text("Nobody looks", "\"-mode inv -a\"")).is_err());
        assert!(parse(&text("Nobody looks.", "")).is_err());
        read().unwrap();
    }
}
