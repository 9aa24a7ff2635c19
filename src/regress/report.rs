//! What a regression found, as JSON for programs and as JUnit's XML for what runs tests.

use super::bins::{Bins, COVERPOINTS};
use super::coverage::{waivers, Counts, Judged};
use super::engine::{Finding, Kind, Times};
use super::journal::{Record, Records};
use super::named;
use super::page;
use super::plan::{Plan, Settings};
use super::reach::reachable;
use anyhow::Result;
use lacuna_compress::files::write_whole;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// Files of a folder's results.
pub const JSON: &str = "results.json";
pub const JUNIT: &str = "junit.xml";

/// Of one datapath.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Datapath {
    pub datapath: String,
    /// Done, and planned.
    pub configurations: usize,
    pub planned: usize,
    pub runs: usize,
    pub failures: usize,
    /// Of the failures, those in which results were equal and cycles were not.
    pub cycle_mismatches: usize,
    /// Cycles that were compared with the cycle model.
    pub cycles: u64,
    pub times: Times,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failure {
    pub configuration: String,
    pub run: usize,
    #[serde(flatten)]
    pub finding: Finding,
    pub folder: Option<String>,
}

/// What a regression comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    /// What is done passed.
    Incomplete,
    Failed,
}

/// All in one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    pub settings: Settings,
    /// Nothing failed, and nothing is missing.
    pub passed: bool,
    pub missing: Vec<String>,
    pub datapaths: Vec<Datapath>,
    pub failures: Vec<Failure>,
    /// Coverpoints, each bin with the runs that reached it.
    pub coverage: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    /// Lines and bits of the Verilog, if they were counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verilog: Vec<Judged>,
    #[serde(skip)]
    pub bins: Bins,
    /// Bins that these settings can reach.
    #[serde(skip)]
    pub reachable: BTreeSet<String>,
}

impl Summary {
    pub fn new(plan: &Plan, records: &Records, mut missing: Vec<String>) -> Summary {
        let mut datapaths: Vec<Datapath> = vec![];
        let (mut failures, mut bins) = (vec![], Bins::default());
        for c in &plan.configurations {
            let at = datapaths.iter().position(|d| d.datapath == c.datapath()).unwrap_or_else(|| {
                datapaths.push(Datapath { datapath: c.datapath().into(), ..Datapath::default() });
                datapaths.len() - 1
            });
            let of = &mut datapaths[at];
            of.planned += 1;
            let Some(record) = records.0.get(&c.name) else { continue };
            add(of, record, &mut bins);
            let folder = record.done.as_ref().and_then(|done| done.failure.clone());
            let failed = record.runs.iter().filter_map(|(run, result)| Some((run, result.finding.clone()?)));
            failures.extend(failed.map(|(run, finding)| Failure {
                configuration: c.name.clone(),
                run: *run,
                finding,
                folder: folder.clone(),
            }));
        }
        datapaths.sort_by(|a, b| a.datapath.cmp(&b.datapath));
        let (done, planned) = datapaths.iter().fold((0, 0), |sum, d| (sum.0 + d.configurations, sum.1 + d.planned));
        if done < planned && missing.is_empty() {
            missing.push(format!("{} of {planned} configurations are not done", planned - done));
        }
        let reachable = reachable(&plan.settings.accelerators);
        let mut coverage: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for (point, bin) in COVERPOINTS.iter().flat_map(|(point, names)| names.iter().map(move |bin| (*point, *bin))) {
            let key = format!("{point}:{bin}");
            if reachable.contains(&key) || bins.0.contains_key(&key) {
                coverage.entry(point).or_default().insert(bin, bins.0.get(&key).copied().unwrap_or(0));
            }
        }
        if plan.settings.open && records.0.is_empty() {
            missing.push("the time did not allow a single run".into());
        }
        let passed = failures.is_empty() && missing.is_empty();
        Summary { settings: plan.settings.clone(), passed, missing, datapaths, failures, coverage, verilog: vec![], bins, reachable }
    }

    /// With what a folder has of the lines and bits that were counted.
    pub fn with_coverage(mut self, folder: &Path) -> Result<Summary> {
        let waivers = waivers()?;
        for arch in self.settings.accelerators.iter().filter(|_| self.settings.coverage) {
            if let Some(counts) = Counts::read(folder, arch)? {
                self.verilog.push(Judged::new(&named::name_of(arch)?, &counts, &waivers));
            }
        }
        Ok(self)
    }

    /// Bins that were reached, and that can be.
    pub fn bin_counts(&self) -> (usize, usize) {
        let all: BTreeSet<&String> = self.reachable.iter().chain(self.bins.0.keys()).collect();
        (self.bins.0.len(), all.len())
    }

    pub fn holes(&self) -> Vec<String> {
        self.bins.holes(&self.reachable)
    }

    pub fn verdict(&self) -> Verdict {
        match (self.failures.is_empty(), self.missing.is_empty()) {
            (true, true) => Verdict::Passed,
            (true, false) => Verdict::Incomplete,
            (false, _) => Verdict::Failed,
        }
    }

    /// The failures; the first of each configuration with the folder that repeats it.
    pub fn failures_with_folders(&self) -> impl Iterator<Item = (&Failure, Option<&str>)> {
        let mut told = BTreeSet::new();
        self.failures.iter().map(move |f| {
            let first = told.insert(&f.configuration);
            (f, f.folder.as_deref().filter(|_| first))
        })
    }

    /// Runs of all datapaths.
    pub fn runs(&self) -> usize {
        self.datapaths.iter().map(|d| d.runs).sum()
    }

    /// Writes all files into a folder.
    pub fn write(&self, folder: &Path, plan: &Plan, records: &Records) -> Result<()> {
        write_whole(&folder.join(JSON), (serde_json::to_string_pretty(self)? + "\n").as_bytes())?;
        write_whole(&folder.join(JUNIT), junit(plan, records).to_string()?.as_bytes())?;
        Ok(write_whole(&folder.join(page::FILE), page::page(self, plan, records)?.as_bytes())?)
    }
}

fn add(of: &mut Datapath, record: &Record, bins: &mut Bins) {
    for result in record.runs.values() {
        of.runs += 1;
        of.cycles += result.cycles;
        bins.add(&result.bins);
        if let Some(finding) = &result.finding {
            of.failures += 1;
            of.cycle_mismatches += usize::from(finding.kind == Kind::Cycles);
        }
    }
    if let Some(done) = &record.done {
        of.configurations += 1;
        of.times.emit += done.times.emit;
        of.times.verilate += done.times.verilate;
        of.times.run += done.times.run;
    }
}

fn junit(plan: &Plan, records: &Records) -> Report {
    let mut report = Report::new("lacuna regress");
    for datapath in ["eie", "ese"] {
        let mut suite = TestSuite::new(datapath);
        for c in plan.configurations.iter().filter(|c| c.datapath() == datapath) {
            let record = records.0.get(&c.name);
            for run in 0..c.runs.len() {
                let status = match record.and_then(|record| record.runs.get(&run)) {
                    None => TestCaseStatus::skipped(),
                    Some(result) => match &result.finding {
                        None => TestCaseStatus::success(),
                        Some(finding) => {
                            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                            status.set_message(finding.text.clone()).set_type(super::configuration::word(&finding.kind));
                            status
                        }
                    },
                };
                let mut case = TestCase::new(format!("{} run {run}", c.name), status);
                case.set_classname(format!("lacuna.regress.{datapath}"));
                if let Some(done) = record.and_then(|record| record.done.as_ref()) {
                    case.set_time(Duration::from_secs_f64(done.times.total() / c.runs.len() as f64));
                }
                suite.add_test_case(case);
            }
        }
        if suite.tests > 0 {
            report.add_test_suite(suite);
        }
    }
    report
}
