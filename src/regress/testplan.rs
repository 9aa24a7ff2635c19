//! The testplan, `tests/testplan.toml`: what is exercised, what must then hold, and which coverpoints show that it was reached.

use super::bins::Bins;
use super::named::Stage;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeSet;

// tests hold all of it against the sources, the page shows a part
#[cfg_attr(not(test), allow(dead_code))]
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Testplan {
    pub testpoint: Vec<Testpoint>,
    pub coverpoint: Vec<Coverpoint>,
}

#[cfg_attr(not(test), allow(dead_code))]
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Testpoint {
    pub name: String,
    pub stimulus: String,
    pub check: String,
    pub stage: Stage,
    pub tests: Vec<String>,
    pub coverpoints: Vec<String>,
}

#[cfg_attr(not(test), allow(dead_code))]
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coverpoint {
    pub name: String,
    pub bins: Vec<String>,
}

/// How far runs exercised a testpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All bins that can be.
    Reached,
    /// Some of them, and all.
    Partly(usize, usize),
    NotReached,
    /// The accelerators have none of its bins.
    NotHere,
    /// It has no coverpoints: its tests alone say.
    Tests,
}

impl Testplan {
    pub fn of_project() -> Result<Testplan> {
        toml::from_str(include_str!("../../tests/testplan.toml")).context("tests/testplan.toml")
    }
}

impl Testpoint {
    pub fn status(&self, bins: &Bins, reachable: &BTreeSet<String>) -> Status {
        let own = |bin: &&String| self.coverpoints.iter().any(|point| bin.split(':').next() == Some(point));
        let all = reachable.iter().filter(own).count();
        let reached = reachable.iter().filter(own).filter(|bin| bins.0.contains_key(*bin)).count();
        match (reached, all) {
            _ if self.coverpoints.is_empty() => Status::Tests,
            (_, 0) => Status::NotHere,
            (0, _) => Status::NotReached,
            (reached, all) if reached < all => Status::Partly(reached, all),
            _ => Status::Reached,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_testpoint_is_reached_when_all_of_its_bins_that_can_be_are() {
        let point = |coverpoints: &[&str]| Testpoint {
            name: "a".into(),
            stimulus: "b".into(),
            check: "c".into(),
            stage: Stage::Regressed,
            tests: vec![],
            coverpoints: coverpoints.iter().map(|c| c.to_string()).collect(),
        };
        let set = |bins: &[&str]| bins.iter().map(|b| b.to_string()).collect::<BTreeSet<String>>();
        let hit = |bins: &[&str]| Bins(bins.iter().map(|b| (b.to_string(), 1)).collect());
        let reachable = set(&["door:axi", "door:preload", "doors:x"]);
        let status = |coverpoints: &[&str], bins: &[&str]| point(coverpoints).status(&hit(bins), &reachable);
        assert_eq!(status(&["door"], &["door:axi", "door:preload"]), Status::Reached);
        assert_eq!(status(&["door"], &["door:axi", "doors:x"]), Status::Partly(1, 2));
        assert_eq!(status(&["door"], &["doors:x"]), Status::NotReached);
        assert_eq!(status(&["pes"], &["door:axi"]), Status::NotHere);
        assert_eq!(status(&[], &["door:axi"]), Status::Tests);
    }
}
