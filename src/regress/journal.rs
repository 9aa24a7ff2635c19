//! What was found, a line for each finished run, appended as soon as it is: a kill loses none.

use super::bins::Bins;
use super::engine::{Finding, Times};
use anyhow::{bail, Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// The journal's name in its folder.
pub const FILE: &str = "results.jsonl";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "lowercase")]
enum Line {
    Run {
        configuration: String,
        run: usize,
        #[serde(flatten)]
        result: RunResult,
    },
    Done {
        configuration: String,
        #[serde(flatten)]
        done: Done,
    },
}

impl Line {
    fn text(&self) -> Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }
}

/// What one run found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<Finding>,
    pub cycles: u64,
    /// What they cannot be fewer than: the mean work of the PEs. 0 where nothing was compared.
    #[serde(default)]
    pub bound: u64,
    pub bins: Bins,
}

/// The end of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Done {
    pub times: Times,
    /// Folder of its failure, below that of the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// Of one configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    pub runs: BTreeMap<usize, RunResult>,
    pub done: Option<Done>,
}

/// All that a folder's journal says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records(pub BTreeMap<String, Record>);

/// A journal that can be written on.
pub struct Journal {
    file: File,
    pub records: Records,
}

impl Journal {
    /// Goes on with a folder's journal, or begins it. What a kill left of a last line is dropped.
    pub fn open(folder: &Path) -> Result<Journal> {
        let path = folder.join(FILE);
        let at = || path.display().to_string();
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(&path).with_context(at)?;
        // it ends with the process; a file system that has no locks has none to be refused by
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            bail!("{}: another `lacuna regress` is running in this folder", folder.display());
        }
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(at)?;
        let whole = whole_lines(&text);
        file.set_len(whole.len() as u64).with_context(at)?;
        file.seek(SeekFrom::End(0)).with_context(at)?;
        Ok(Journal { file, records: Records::parse(whole, &path)? })
    }

    /// Notes a run, once.
    pub fn run(&mut self, configuration: &str, run: usize, result: RunResult) -> Result<()> {
        let record = self.records.0.entry(configuration.to_string()).or_default();
        if record.runs.contains_key(&run) {
            return Ok(());
        }
        record.runs.insert(run, result.clone());
        self.append(&Line::Run { configuration: configuration.to_string(), run, result })
    }

    /// Notes the end of a configuration.
    pub fn done(&mut self, configuration: &str, done: Done) -> Result<()> {
        self.records.0.entry(configuration.to_string()).or_default().done = Some(done.clone());
        self.append(&Line::Done { configuration: configuration.to_string(), done })
    }

    fn append(&mut self, line: &Line) -> Result<()> {
        // one write, so that a kill leaves a whole line or a part at the end
        self.file.write_all(line.text()?.as_bytes()).context(FILE)
    }
}

/// Without what a kill left of a last line.
fn whole_lines(text: &str) -> &str {
    text.rfind('\n').map_or("", |end| &text[..=end])
}

impl Records {
    /// The records of a folder, of which nothing is changed.
    pub fn read(folder: &Path) -> Result<Records> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Ok(Records::default());
        }
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Records::parse(whole_lines(&text), &path)
    }

    fn parse(text: &str, path: &Path) -> Result<Records> {
        let mut records = Records::default();
        for (number, line) in text.lines().enumerate() {
            let line: Line = match serde_json::from_str(line) {
                Ok(line) => line,
                Err(error) => bail!("{}, line {}: expected a result of `lacuna regress`: {error}", path.display(), number + 1),
            };
            match line {
                Line::Run { configuration, run, result } => {
                    records.0.entry(configuration).or_default().runs.insert(run, result);
                }
                Line::Done { configuration, done } => records.0.entry(configuration).or_default().done = Some(done),
            }
        }
        Ok(records)
    }

    /// Writes all of them as a journal.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let mut text = String::new();
        for (name, record) in &self.0 {
            for (run, result) in &record.runs {
                text += &Line::Run { configuration: name.clone(), run: *run, result: result.clone() }.text()?;
            }
            if let Some(done) = &record.done {
                text += &Line::Done { configuration: name.clone(), done: done.clone() }.text()?;
            }
        }
        Ok(lacuna_compress::files::write_whole(&folder.join(FILE), text.as_bytes())?)
    }

    pub fn done(&self, configuration: &str) -> bool {
        self.0.get(configuration).is_some_and(|record| record.done.is_some())
    }

    /// Runs that are noted.
    pub fn runs(&self) -> usize {
        self.0.values().map(|record| record.runs.len()).sum()
    }
}
