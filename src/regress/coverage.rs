//! Which lines of the Verilog ran and which of its bits changed: counts of each accelerator, kept beside the journal and merged
//! over its runs, and their judgement with the waivers of `waivers.toml`.

use anyhow::{bail, Context, Result};
use lacuna_compress::files::write_whole;
use lacuna_compress::spec::Arch;
use lacuna_hdl::Design;
use lacuna_sim::coverage::{Coverage, Kind, Point};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Folder of the counts, a file for each accelerator.
pub const FOLDER: &str = "coverage";

/// Counts of an accelerator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Configurations whose runs are counted, each once.
    pub configurations: BTreeSet<String>,
    pub modules: BTreeMap<String, Module>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Module {
    /// The text of each line that can run.
    pub text: BTreeMap<usize, String>,
    pub lines: Vec<Counted>,
    pub bits: Vec<Counted>,
}

/// Line, column, what it is, and how often it was reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counted(usize, usize, String, u64);

impl Counts {
    /// What the runs of one configuration reached in its design.
    pub fn of(configuration: &str, found: &Coverage, design: &Design) -> Counts {
        let mut counts = Counts { configurations: BTreeSet::from([configuration.to_string()]), ..Counts::default() };
        for (point, count) in &found.0 {
            let module = counts.modules.entry(point.module.clone()).or_default();
            let counted = Counted(point.line, point.column, point.what.clone(), *count);
            match point.kind {
                Kind::Toggle => module.bits.push(counted),
                Kind::Line => {
                    let source = design.modules.iter().find(|m| m.name == point.module);
                    let text = source.and_then(|m| m.text.lines().nth(point.line.saturating_sub(1))).unwrap_or_default();
                    module.text.insert(point.line, text.trim().to_string());
                    module.lines.push(counted);
                }
            }
        }
        counts
    }

    /// Adds the counts of other configurations. One that is counted already adds nothing.
    pub fn add(&mut self, other: &Counts) {
        if other.configurations.is_subset(&self.configurations) {
            return;
        }
        self.configurations.extend(other.configurations.iter().cloned());
        let mut sum = self.points();
        sum.add(&other.points());
        let mut text: BTreeMap<String, BTreeMap<usize, String>> = BTreeMap::new();
        for (name, module) in self.modules.iter().chain(&other.modules) {
            text.entry(name.clone()).or_default().extend(module.text.clone());
        }
        self.modules = text.into_iter().map(|(name, text)| (name, Module { text, ..Module::default() })).collect();
        for (point, count) in sum.0 {
            let module = self.modules.entry(point.module).or_default();
            let of_kind = if point.kind == Kind::Line { &mut module.lines } else { &mut module.bits };
            of_kind.push(Counted(point.line, point.column, point.what, count));
        }
    }

    fn points(&self) -> Coverage {
        let mut all = Coverage::default();
        for (name, module) in &self.modules {
            let of = |counted: &Counted, kind| {
                let Counted(line, column, what, count) = counted.clone();
                (Point { module: name.clone(), line, column, kind, what }, count)
            };
            all.0.extend(module.lines.iter().map(|c| of(c, Kind::Line)));
            all.0.extend(module.bits.iter().map(|c| of(c, Kind::Toggle)));
        }
        all
    }

    fn path(folder: &Path, arch: &Arch) -> PathBuf {
        folder.join(FOLDER).join(format!("{:016x}.json", arch.hash()))
    }

    /// The counts of an accelerator in the folder of a regression, None if there are none.
    pub fn read(folder: &Path, arch: &Arch) -> Result<Option<Counts>> {
        let path = Counts::path(folder, arch);
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let counts = serde_json::from_str(&text).with_context(|| format!("{}: found no coverage of `lacuna regress`", path.display()))?;
        Ok(Some(counts))
    }

    /// Takes the counts of all accelerators out of a folder.
    pub fn forget(folder: &Path) -> Result<()> {
        let path = folder.join(FOLDER);
        if path.is_dir() {
            std::fs::remove_dir_all(&path).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }

    /// Adds these counts to those in a folder. A kill leaves what was there or all of it.
    pub fn add_to(&self, folder: &Path, arch: &Arch) -> Result<()> {
        let mut all = Counts::read(folder, arch)?.unwrap_or_default();
        all.add(self);
        let path = Counts::path(folder, arch);
        let parent = folder.join(FOLDER);
        std::fs::create_dir_all(&parent).with_context(|| parent.display().to_string())?;
        Ok(write_whole(&path, (serde_json::to_string(&all)? + "\n").as_bytes())?)
    }
}

/// Why points are not reached, in words, and which they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiver {
    pub module: String,
    /// A signal, `name[7]` or `name[15:8]`.
    signal: Option<String>,
    /// Text in a line that does not run.
    line: Option<String>,
    pub reason: String,
}

/// The waivers of the project.
pub fn waivers() -> Result<Vec<Waiver>> {
    parse(include_str!("waivers.toml")).context("waivers.toml")
}

/// Each signal and each line is a waiver of its own, so that each must be for something.
fn parse(text: &str) -> Result<Vec<Waiver>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(default)]
        waiver: Vec<Group>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Group {
        reason: String,
        /// Of each module.
        #[serde(default)]
        signals: BTreeMap<String, Vec<String>>,
        #[serde(default)]
        lines: BTreeMap<String, Vec<String>>,
    }
    let mut all = vec![];
    for Group { reason, signals, lines } in toml::from_str::<File>(text)?.waiver {
        if signals.values().chain(lines.values()).all(Vec::is_empty) {
            bail!("{reason:?}: expected signals or lines in each waiver, found none");
        }
        if reason.split_whitespace().count() < 4 {
            bail!("expected a sentence as the reason of a waiver, found {reason:?}");
        }
        let waiver = |module: &str, signal, line| Waiver { module: module.into(), signal, line, reason: reason.clone() };
        for (module, signals) in &signals {
            for signal in signals {
                bits_of(signal)?;
                all.push(waiver(module, Some(signal.clone()), None));
            }
        }
        for (module, lines) in &lines {
            all.extend(lines.iter().map(|line| waiver(module, None, Some(line.clone()))));
        }
    }
    Ok(all)
}

/// Name, and the bits that are meant; without, all.
fn bits_of(signal: &str) -> Result<(&str, Option<(usize, usize)>)> {
    let Some((name, bits)) = signal.split_once('[') else { return Ok((signal, None)) };
    let bits = bits.strip_suffix(']').and_then(|bits| {
        let (high, low) = bits.split_once(':').unwrap_or((bits, bits));
        Some((high.parse().ok()?, low.parse().ok()?))
    });
    match bits {
        Some((high, low)) if low <= high => Ok((name, Some((high, low)))),
        _ => bail!("found the signal `{signal}`, expected one like `name`, `name[7]` or `name[15:8]`"),
    }
}

impl Waiver {
    fn is_for(&self, point: &Point, text: &str) -> bool {
        if self.module != point.module {
            return false;
        }
        match (&self.line, &self.signal) {
            (Some(line), _) => point.kind == Kind::Line && text.contains(line.as_str()),
            (None, Some(signal)) if point.kind == Kind::Toggle => {
                let (Ok((name, bits)), Ok((of, bit))) = (bits_of(signal), bits_of(&point.what)) else { return false };
                name == of && bits.is_none_or(|(high, low)| bit.is_some_and(|(bit, _)| (low..=high).contains(&bit)))
            }
            _ => false,
        }
    }
}

/// Points of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Reached {
    pub reached: usize,
    /// Not reached, for a reason.
    pub waived: usize,
    pub all: usize,
}

impl Reached {
    /// Of what is not waived.
    pub fn percent(&self) -> f64 {
        percent(self.reached, self.all - self.waived)
    }

    /// Of all.
    pub fn percent_without_waivers(&self) -> f64 {
        percent(self.reached, self.all)
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        100.0
    } else {
        100.0 * part as f64 / whole as f64
    }
}

/// What was not reached.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hole {
    pub module: String,
    /// `line 12 (else): if (reset) begin`, or `name[7:4]`.
    pub what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The coverage of an accelerator.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Judged {
    /// Its name, or its hash.
    pub accelerator: String,
    pub configurations: usize,
    pub lines: Reached,
    pub bits: Reached,
    pub holes: Vec<Hole>,
    pub waived: Vec<Hole>,
    /// Numbers of the waivers that are for one of the points, with what of it was not reached: lines, or bits.
    #[serde(skip)]
    used: BTreeSet<(usize, usize)>,
    /// The same, of bits that were reached: they need no waiver here.
    #[serde(skip)]
    unneeded: BTreeSet<(usize, usize)>,
}

impl Judged {
    pub fn new(accelerator: &str, counts: &Counts, waivers: &[Waiver]) -> Judged {
        let mut judged = Judged { accelerator: accelerator.to_string(), configurations: counts.configurations.len(), ..Judged::default() };
        for (point, count) in &counts.points().0 {
            let module = counts.modules.get(&point.module);
            let text = module.and_then(|m| m.text.get(&point.line)).map(String::as_str).unwrap_or_default();
            let of_kind = if point.kind == Kind::Line { &mut judged.lines } else { &mut judged.bits };
            of_kind.all += 1;
            let waiver = waivers.iter().position(|waiver| waiver.is_for(point, text));
            let part = match point.kind {
                Kind::Line => point.line,
                Kind::Toggle => bits_of(&point.what).ok().and_then(|(_, bits)| bits).map_or(0, |(bit, _)| bit),
            };
            if *count > 0 {
                of_kind.reached += 1;
                judged.unneeded.extend(waiver.filter(|_| point.kind == Kind::Toggle).map(|number| (number, part)));
                continue;
            }
            of_kind.waived += usize::from(waiver.is_some());
            judged.used.extend(waiver.map(|number| (number, part)));
            let what = match point.kind {
                Kind::Line => format!("line {} ({}): {text}", point.line, point.what),
                Kind::Toggle => point.what.clone(),
            };
            let reason = waiver.and_then(|number| waivers.get(number)).map(|waiver| waiver.reason.clone());
            let list = if reason.is_some() { &mut judged.waived } else { &mut judged.holes };
            join(list, Hole { module: point.module.clone(), what, reason });
        }
        judged
    }
}

/// Appends a hole; the next bit of a signal is joined to those before.
fn join(list: &mut Vec<Hole>, hole: Hole) {
    let joined = list.last().filter(|last| (&last.module, &last.reason) == (&hole.module, &hole.reason)).and_then(|last| {
        let (Ok((name, Some((high, low)))), Ok((of, Some((bit, _))))) = (bits_of(&last.what), bits_of(&hole.what)) else { return None };
        (name == of && bit == high + 1).then(|| format!("{name}[{bit}:{low}]"))
    });
    match (joined, list.last_mut()) {
        (Some(what), Some(last)) => last.what = what,
        _ => list.push(hole),
    }
}

/// An error names the waivers that none of the accelerators has a point for, and bits of waivers that all of them reach.
pub fn check_used(waivers: &[Waiver], judged: &[Judged]) -> Result<()> {
    let used: BTreeSet<(usize, usize)> = judged.iter().flat_map(|j| j.used.iter().copied()).collect();
    let unneeded: BTreeSet<(usize, usize)> = judged.iter().flat_map(|j| j.unneeded.difference(&used).copied()).collect();
    let mut wrong = vec![];
    for (number, w) in waivers.iter().enumerate() {
        let name = format!("{} {}", w.module, w.signal.as_ref().or(w.line.as_ref()).cloned().unwrap_or_default());
        let bits: Vec<String> = unneeded.iter().filter(|(of, _)| *of == number).map(|(_, bit)| bit.to_string()).collect();
        if !used.iter().any(|(of, _)| *of == number) {
            wrong.push(name);
        } else if !bits.is_empty() {
            wrong.push(format!("{name} for bits {}", bits.join(", ")));
        }
    }
    if !wrong.is_empty() {
        bail!("waivers.toml: found waivers for nothing, expected what is not reached only: {}", wrong.join("; "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lacuna_hdl::verilog;

    fn point(kind: Kind, line: usize, what: &str) -> Point {
        Point { module: "pe".into(), line, column: 1, kind, what: what.into() }
    }

    fn design() -> Design {
        let arch: Arch = super::super::named::of_size(super::super::named::Size::S).unwrap().remove(0).accelerator;
        let text = "module pe;\n  if (full) x;\nendmodule\n".to_string();
        Design { modules: vec![verilog::Module { name: "pe".into(), text }], ..lacuna_hdl::generate(&arch).unwrap() }
    }

    fn counts(configuration: &str, bits: [u64; 4], line: u64) -> Counts {
        let mut found = Coverage::default();
        found.0.insert(point(Kind::Line, 2, "if"), line);
        for (bit, count) in bits.into_iter().enumerate() {
            found.0.insert(point(Kind::Toggle, 1, &format!("x[{bit}]")), count);
        }
        Counts::of(configuration, &found, &design())
    }

    #[test]
    fn counts_are_merged_once_for_each_configuration_and_kept_whole() {
        let folder = tempfile::tempdir().unwrap();
        let arch: Arch = super::super::named::of_size(super::super::named::Size::S).unwrap().remove(0).accelerator;
        assert_eq!(Counts::read(folder.path(), &arch).unwrap(), None);
        counts("a", [1, 0, 0, 2], 0).add_to(folder.path(), &arch).unwrap();
        counts("b", [1, 0, 3, 0], 4).add_to(folder.path(), &arch).unwrap();
        // a configuration that ran again after a kill
        counts("b", [1, 1, 3, 0], 4).add_to(folder.path(), &arch).unwrap();
        let all = Counts::read(folder.path(), &arch).unwrap().unwrap();
        let mut whole = counts("a", [2, 0, 3, 2], 4);
        whole.configurations.insert("b".into());
        assert_eq!(all, whole);
    }

    #[test]
    fn a_waiver_is_for_what_was_not_reached_only_and_one_for_nothing_is_an_error() {
        let waiver = |key: &str, value: &str| {
            parse(&format!("[[waiver]]\n{key}.pe = [\"{value}\"]\nreason = \"It is the one of the test.\"\n")).unwrap()
        };
        let judge = |counts: &Counts, waivers: &[Waiver]| Judged::new("x", counts, waivers);
        let none = judge(&counts("a", [1, 0, 0, 0], 0), &[]);
        assert_eq!((none.bits, none.lines), (Reached { reached: 1, waived: 0, all: 4 }, Reached { reached: 0, waived: 0, all: 1 }));
        let holes: Vec<&str> = none.holes.iter().map(|h| h.what.as_str()).collect();
        assert_eq!(holes, ["x[3:1]", "line 2 (if): if (full) x;"]);
        for (signal, waived) in [("x", 3), ("x[2:1]", 2), ("x[3]", 1), ("x[0]", 0), ("y", 0)] {
            let waivers = waiver("signals", signal);
            let judged = judge(&counts("a", [1, 0, 0, 0], 0), &waivers);
            assert_eq!(judged.bits, Reached { reached: 1, waived, all: 4 }, "{signal}");
            // that of the whole has a bit that is reached
            assert_eq!(check_used(&waivers, std::slice::from_ref(&judged)).is_ok(), waived > 0 && signal != "x", "{signal}");
            // unless another accelerator does not reach it
            let none = judge(&counts("a", [0; 4], 0), &waivers);
            assert_eq!(check_used(&waivers, &[judged, none]).is_ok(), signal != "y", "{signal}");
        }
        let waivers = waiver("lines", "if (full)");
        assert_eq!(judge(&counts("a", [1; 4], 0), &waivers).lines.percent(), 100.0);
        let hit = judge(&counts("a", [1; 4], 1), &waivers);
        assert!(check_used(&waivers, &[hit]).unwrap_err().to_string().contains("pe if (full)"));
        let reason = "reason = \"A long one of words.\"";
        let wrong = ["", "signal.pe = [\"x\"]", "signals.pe = []", "signals.pe = [\"x[1:2]\"]"].map(|wrong| format!("{reason}\n{wrong}"));
        for wrong in wrong.into_iter().chain(["reason = \"no\"\nsignals.pe = [\"x\"]".to_string()]) {
            assert!(parse(&format!("[[waiver]]\n{wrong}\n")).is_err(), "{wrong}");
        }
        assert!(parse(&format!("[[waiver]]\n{reason}\nsignals.pe = [\"x\"]\n")).is_ok());
        waivers_of_the_project_are_sentences();
    }

    fn waivers_of_the_project_are_sentences() {
        for waiver in waivers().unwrap() {
            assert!(waiver.reason.ends_with('.'), "{waiver:?}");
        }
    }
}
