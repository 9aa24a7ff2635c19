//! What a regression will run, written down before anything runs: settings and every configuration. The same command finds
//! it there and goes on; another one is refused.

use super::configuration::Configuration;
use super::draw::{Draw, RUNS};
use anyhow::{bail, Context, Result};
use lacuna_compress::files::write_whole;
use lacuna_compress::spec::Arch;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::str::FromStr;

/// All that decides which configurations are drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Of the program that draws, and of its sources that decide what is drawn, built and judged.
    pub version: String,
    pub seed: u64,
    /// Runs of all shards together, before the filter. Of one that ends with a time, those that are planned so far.
    pub runs: usize,
    /// It ends with a time, and more is planned as it goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// What faults are put in, to show that they are found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Lines and bits of the Verilog are counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub coverage: bool,
    /// Given accelerators; none are drawn.
    #[serde(default)]
    pub accelerators: Vec<Arch>,
}

/// Part `number` of `of`, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    pub number: usize,
    pub of: usize,
}

impl FromStr for Shard {
    type Err = String;
    fn from_str(text: &str) -> Result<Shard, String> {
        let numbers = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Shard { number, of }),
            _ => Err(format!("found `{text}`, expected k/n with k from 1 to n, like 2/4")),
        }
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub settings: Settings,
    pub configurations: Vec<Configuration>,
}

/// The plan's name in its folder.
pub const FILE: &str = "plan.json";

impl Settings {
    /// So many runs of drawn accelerators, whole.
    pub fn drawn(seed: u64, runs: usize) -> Settings {
        Settings {
            version: concat!(env!("CARGO_PKG_VERSION"), " (sources ", env!("LACUNA_SOURCES"), ")").into(),
            seed,
            runs,
            open: false,
            filter: None,
            shard: None,
            fault: None,
            coverage: false,
            accelerators: vec![],
        }
    }

    /// In the words of the command's flags.
    pub fn flags(&self) -> String {
        let mut words = vec![format!("--seed {}", self.seed), format!("--runs {}", self.runs)];
        words.extend(self.filter.iter().map(|filter| format!("--filter {filter}")));
        words.extend(self.shard.iter().map(|shard| format!("--shard {shard}")));
        words.extend(self.fault.iter().map(|fault| format!("--fault {fault}")));
        words.extend(self.coverage.then(|| "--coverage".to_string()));
        let hashes: Vec<String> = self.accelerators.iter().map(|arch| format!("{:016x}", arch.hash())).collect();
        words.extend((!hashes.is_empty()).then(|| format!("for accelerator {}", hashes.join(", "))));
        words.push(format!("by version {}", self.version));
        words.join(" ")
    }

    /// Whether both are of the same regression: how far an open one is planned makes none another.
    pub fn same(&self, other: &Settings) -> bool {
        let runs = if self.open && other.open { other.runs } else { self.runs };
        Settings { runs, ..self.clone() } == *other
    }

    /// The configurations from number `from` on.
    fn draw(&self, from: usize) -> Result<Vec<Configuration>> {
        let draw = Draw { seed: self.seed, accelerators: &self.accelerators };
        let mut configurations = vec![];
        for index in from..self.runs.div_ceil(RUNS) {
            if self.shard.is_some_and(|shard| index % shard.of != shard.number - 1) {
                continue;
            }
            let configuration = draw.configuration(index)?;
            if self.filter.as_ref().is_none_or(|filter| configuration.label().contains(filter)) {
                configurations.push(configuration);
            }
        }
        Ok(configurations)
    }

    /// Draws every configuration of these settings.
    pub fn plan(&self) -> Result<Plan> {
        let configurations = self.draw(0)?;
        if configurations.is_empty() {
            let nothing = "no configuration is left to run";
            match (&self.filter, self.shard) {
                (Some(filter), _) => bail!("{nothing}: found none with `{filter}` in its label; `--list` shows the labels"),
                (_, Some(shard)) => bail!("{nothing}: shard {shard} of {} configurations is empty", self.runs.div_ceil(RUNS)),
                _ => bail!("{nothing}"),
            }
        }
        Ok(Plan { settings: self.clone(), configurations })
    }
}

impl Plan {
    /// The plan of a folder.
    pub fn read(folder: &Path) -> Result<Plan> {
        let path = folder.join(FILE);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| format!("{}: found no plan of `lacuna regress`", path.display()))
    }

    /// The plan of these settings in a folder: the one that is there, or a new one. One of other settings is an error.
    pub fn open(folder: &Path, settings: &Settings) -> Result<Plan> {
        let path = folder.join(FILE);
        if path.exists() {
            let plan = Plan::read(folder)?;
            if !plan.settings.same(settings) {
                let (found, expected) = (plan.settings.flags(), settings.flags());
                bail!("{} holds the regression {found}, this one is {expected}: give another folder with -o", path.display());
            }
            return Ok(plan);
        }
        let plan = settings.plan()?;
        plan.write(folder)?;
        Ok(plan)
    }

    /// Plans so many runs more. Without any for a shard or a filter, the plan has as many configurations as before.
    pub fn extend(&mut self, runs: usize) -> Result<()> {
        let from = self.settings.runs.div_ceil(RUNS);
        self.settings.runs += runs;
        self.configurations.extend(self.settings.draw(from)?);
        Ok(())
    }

    /// What the results are of: all of it, or of one that ends with a time, what that allowed.
    pub fn shown(&self, done: impl Fn(&str) -> bool) -> Plan {
        let of = self.configurations.iter().filter(|c| !self.settings.open || done(&c.name));
        Plan { settings: self.settings.clone(), configurations: of.cloned().collect() }
    }

    pub fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        Ok(write_whole(&folder.join(FILE), (serde_json::to_string(self)? + "\n").as_bytes())?)
    }

    /// Runs of all configurations.
    pub fn runs(&self) -> usize {
        self.configurations.iter().map(|c| c.runs.len()).sum()
    }
}
