//! What a regression will run, written down before anything runs: settings and every configuration. The same command finds
//! it there and goes on; another one is refused.

use super::configuration::Configuration;
use super::draw::{Draw, DATAPATHS, RUNS};
use crate::flow::hex;
use anyhow::{bail, Context, Result};
use lacuna_compress::files::write_whole;
use lacuna_compress::spec::Arch;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
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
    /// The fault that is put in, to show that it is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Modules that are not generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verilog: Option<Given>,
    /// Lines and bits of the Verilog are counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub coverage: bool,
    /// Given accelerators; none are drawn.
    #[serde(default)]
    pub accelerators: Vec<Arch>,
    /// The flag that gave them, for who reads; the accelerators decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accelerators_from: Option<String>,
}

/// Modules in a folder. The same ones are the same wherever they lie.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    pub folder: String,
    /// Of names and contents.
    pub sha256: String,
}

impl PartialEq for Given {
    fn eq(&self, other: &Given) -> bool {
        self.sha256 == other.sha256
    }
}

impl Given {
    /// What a folder holds. One without Verilog is an error.
    pub fn of(folder: &Path) -> Result<Given> {
        let at = || folder.display().to_string();
        if !folder.is_dir() {
            bail!("{}: found no folder, expected one with Verilog modules", at());
        }
        let mut modules = vec![];
        for entry in std::fs::read_dir(folder).with_context(at)? {
            let path = entry.with_context(at)?.path();
            if path.extension().is_some_and(|extension| extension == "v") {
                modules.push(path);
            }
        }
        if modules.is_empty() {
            bail!("{}: found no Verilog, expected modules as NAME.v", at());
        }
        modules.sort();
        let mut hash = Sha256::new();
        for path in modules {
            let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            hash.update(format!("{name}\n{}\n", text.len()));
            hash.update(text);
        }
        Ok(Given { folder: at(), sha256: hex(&hash.finalize()) })
    }
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
            verilog: None,
            accelerators: vec![],
            accelerators_from: None,
        }
    }

    /// As flags of the command, which draw the same.
    pub fn flags(&self) -> String {
        let mut words: Vec<String> = self.accelerators_from.clone().into_iter().collect();
        words.extend([format!("--seed {}", self.seed), format!("--runs {}", self.runs)]);
        words.extend(self.filter.iter().map(|filter| format!("--filter {}", quoted(filter))));
        words.extend(self.shard.iter().map(|shard| format!("--shard {shard}")));
        words.extend(self.fault.iter().map(|fault| format!("--fault {fault}")));
        words.extend(self.verilog.iter().map(|given| format!("--verilog {}", quoted(&given.folder))));
        words.extend(self.coverage.then(|| "--coverage".to_string()));
        words.join(" ")
    }

    /// The flags, and what else makes another regression of it.
    pub fn text(&self) -> String {
        format!("{} ({})", self.flags(), self.contents())
    }

    /// What the flags do not say: contents of files, and of the program.
    pub fn contents(&self) -> String {
        let mut words: Vec<String> = self.accelerators.iter().map(|arch| format!("accelerator {:016x}", arch.hash())).collect();
        words.extend(self.verilog.iter().map(|given| format!("Verilog {}", &given.sha256[..given.sha256.len().min(16)])));
        words.push(format!("version {}", self.version));
        words.join(", ")
    }

    /// Whether both are of the same regression: how far an open one is planned makes none another, nor where a file lies.
    pub fn same(&self, other: &Settings) -> bool {
        let runs = if self.open && other.open { other.runs } else { self.runs };
        Settings { runs, accelerators_from: other.accelerators_from.clone(), ..self.clone() } == *other
    }

    /// Whether a configuration belongs to the shard. Of each kind of accelerator every shard gets as many, but for one.
    fn is_mine(&self, index: usize) -> bool {
        let kinds = if self.accelerators.is_empty() { DATAPATHS } else { self.accelerators.len() };
        self.shard.is_none_or(|shard| {
            let dealt = index / kinds % shard.of;
            // the odd ones out of one kind go to the shards that have none of the other's
            shard.number == if (index % kinds).is_multiple_of(2) { dealt + 1 } else { shard.of - dealt }
        })
    }

    /// The configurations from number `from` on.
    fn draw(&self, from: usize) -> Result<Vec<Configuration>> {
        let draw = Draw { seed: self.seed, accelerators: &self.accelerators };
        let mut configurations = vec![];
        for index in from..self.runs.div_ceil(RUNS) {
            if !self.is_mine(index) {
                continue;
            }
            let configuration = draw.configuration(index)?;
            if self.filter.as_ref().is_none_or(|filter| configuration.label().contains(filter)) {
                configurations.push(configuration);
            }
        }
        Ok(configurations)
    }

    /// Draws every configuration of these settings. A shard may have none, all of them together may not.
    pub fn plan(&self) -> Result<Plan> {
        let configurations = self.draw(0)?;
        if let Some(filter) = self.filter.as_ref().filter(|_| configurations.is_empty()) {
            if self.shard.is_none() || (Settings { shard: None, ..self.clone() }).draw(0)?.is_empty() {
                bail!("no configuration is left to run: found none with `{filter}` in its label; `--list` shows the labels");
            }
        }
        Ok(Plan { settings: self.clone(), configurations })
    }
}

/// For a shell.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_string()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
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
                let (found, expected) = (plan.settings.text(), settings.text());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_configuration_is_in_one_shard_and_every_shard_has_both_datapaths() {
        for of in 1..=6 {
            let shards: Vec<Settings> =
                (1..=of).map(|number| Settings { shard: Some(Shard { number, of }), ..Settings::drawn(1, 30) }).collect();
            assert!((0..60).all(|index| shards.iter().filter(|s| s.is_mine(index)).count() == 1), "{of}");
            let sizes: Vec<usize> = shards.iter().map(|s| (0..60).filter(|index| s.is_mine(*index)).count()).collect();
            assert!(sizes.iter().all(|size| [60 / of, 60usize.div_ceil(of)].contains(size)), "{of}: {sizes:?}");
            for shard in &shards {
                let of_kind = |kind| (0..60).filter(|index| index % 2 == kind && shard.is_mine(*index)).count();
                assert!((of_kind(0) + of_kind(1)).abs_diff(60 / of) <= 1 && of_kind(0).abs_diff(of_kind(1)) <= 1, "{of}");
            }
        }
    }

    #[test]
    fn flags_are_those_of_a_shell() {
        let mut settings = Settings { filter: Some("pes=2 fifo=2".into()), ..Settings::drawn(7, 3) };
        assert_eq!(settings.flags(), "--seed 7 --runs 3 --filter 'pes=2 fifo=2'");
        settings.filter = Some("it's".into());
        assert_eq!(settings.flags(), "--seed 7 --runs 3 --filter 'it'\\''s'");
        settings.filter = Some("conv".into());
        assert_eq!(settings.flags(), "--seed 7 --runs 3 --filter conv");
    }
}
