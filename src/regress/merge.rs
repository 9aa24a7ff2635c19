//! Shards of one regression as one: nothing lost, nothing counted twice.

use super::coverage::Counts;
use super::journal::Records;
use super::plan::{Plan, Settings, Shard};
use anyhow::{bail, Result};
use lacuna_compress::spec::Arch;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The shards together, and what is missing of them, in words.
pub struct Merged {
    pub plan: Plan,
    pub records: Records,
    pub missing: Vec<String>,
    /// Lines and bits of each accelerator, if they were counted.
    pub coverage: Vec<(Arch, Counts)>,
}

/// Reads the folders of shards. Folders of different regressions, or twice of one shard, are an error.
pub fn merge(folders: &[PathBuf]) -> Result<Merged> {
    let mut shards: BTreeMap<usize, (&Path, Plan)> = BTreeMap::new();
    let mut first: Option<(&Path, Settings, usize)> = None;
    for folder in folders {
        let plan = Plan::read(folder)?;
        let Some(Shard { number, of }) = plan.settings.shard else {
            bail!("{}: found a whole regression, expected one that was run with --shard", folder.display());
        };
        let whole = Settings { shard: None, ..plan.settings.clone() };
        match &first {
            None => first = Some((folder, whole, of)),
            Some((other, settings, shards)) if !settings.same(&whole) || *shards != of => bail!(
                "{} holds a shard of the regression {} in {shards} shards, {} one of {} in {of}",
                other.display(),
                settings.text(),
                folder.display(),
                whole.text()
            ),
            Some(_) => {}
        }
        if let Some((other, _)) = shards.get(&number) {
            bail!("shard {number}/{of} is in {} and in {}: it would count twice", other.display(), folder.display());
        }
        shards.insert(number, (folder, plan));
    }
    let Some((_, settings, of)) = first else { bail!("there is no folder to merge") };
    let mut merged =
        Merged { plan: Plan { settings, configurations: vec![] }, records: Records::default(), missing: vec![], coverage: vec![] };
    for arch in merged.plan.settings.accelerators.iter().filter(|_| merged.plan.settings.coverage) {
        let mut all = Counts::default();
        for (folder, _) in shards.values() {
            Counts::read(folder, arch)?.iter().for_each(|counts| all.add(counts));
        }
        merged.coverage.push((arch.clone(), all));
    }
    for number in 1..=of {
        let Some((folder, plan)) = shards.remove(&number) else {
            merged.missing.push(format!("shard {number}/{of} is missing"));
            continue;
        };
        let mut records = Records::read(folder)?;
        let open = plan.configurations.iter().filter(|c| !records.done(&c.name)).count();
        // one that a time has ended has all that belongs to it
        if open > 0 && !plan.settings.open {
            let text =
                format!("shard {number}/{of} in {}: {open} of {} configurations are not done", folder.display(), plan.configurations.len());
            merged.missing.push(text);
        }
        for configuration in plan.configurations {
            if let Some(mut record) = records.0.remove(&configuration.name) {
                // the folder of a failure stays where it is
                if let Some(failure) = record.done.as_mut().and_then(|done| done.failure.as_mut()) {
                    *failure = std::path::absolute(folder.join(failure.as_str()))?.display().to_string();
                }
                merged.records.0.insert(configuration.name.clone(), record);
            }
            if merged.records.done(&configuration.name) || !merged.plan.settings.open {
                merged.plan.configurations.push(configuration);
            }
        }
        if let Some(stranger) = records.0.keys().next() {
            bail!("{}: the results have a configuration {stranger} that is not in the plan", folder.display());
        }
    }
    merged.plan.configurations.sort_by_key(|c| c.name.rsplit('-').next().and_then(|number| number.parse::<usize>().ok()));
    Ok(merged)
}
