//! A configuration's accelerator at work: its runs, one after the other, on either datapath.

use super::bins::Bins;
use super::configuration::{Configuration, Network};
use super::engine::{Fault, Finding, Kind, Ran};
use super::runs::{LayerRuns, StepRuns};
use lacuna_compress::manifest::AnyModel;
use lacuna_compress::spec::program::{Job, Op};
use lacuna_compress::spec::registers as map;
use lacuna_compress::spec::{MemoryImage, MemoryKind, Section};
use lacuna_sim::host::{error_names, layer_records, Host, Transport};
use lacuna_sim::simulate::{Axi, Options, SimulateError};
use lacuna_sim::verilate::Library;

/// The accelerator, which holds the network of the last run.
pub struct Session<'a> {
    configuration: &'a Configuration,
    models: &'a [AnyModel],
    at_work: AtWork<'a>,
    /// Number of the network that it holds.
    holds: usize,
    /// Networks that it held before.
    held: Vec<usize>,
}

enum AtWork<'a> {
    Layers(LayerRuns),
    Steps(StepRuns<'a>),
}

impl<'a> Session<'a> {
    /// A fresh accelerator with the first run's network in it, or the first network.
    pub fn start(
        configuration: &'a Configuration,
        models: &'a [AnyModel],
        library: &Library,
        options: &Options,
        fault: Option<Fault>,
    ) -> Result<Session<'a>, Finding> {
        let at_work = match models.first() {
            Some(AnyModel::Layers(model)) => AtWork::Layers(LayerRuns::start(model, library, options, fault)?),
            Some(AnyModel::Recurrent(model)) => AtWork::Steps(StepRuns::start(configuration, model, library, options, fault)?),
            None => return Err(Finding::new(Kind::Build, "the configuration has no network")),
        };
        Ok(Session { configuration, models, at_work, holds: 0, held: vec![] })
    }

    /// Run number `number`, with its network loaded before if it is another one.
    pub fn run(&mut self, number: usize) -> Result<Ran, Finding> {
        let Some(run) = self.configuration.runs.get(number) else {
            return Err(Finding::new(Kind::Build, format!("the configuration has no run {number}")));
        };
        let (network, model) = match (self.configuration.networks.get(run.network), self.models.get(run.network)) {
            (Some(network), Some(model)) => (network, model),
            _ => return Err(Finding::new(Kind::Build, format!("run {number}: the configuration has no network {}", run.network))),
        };
        let mut bins = Bins::default();
        if run.network != self.holds {
            match (&mut self.at_work, model) {
                (AtWork::Layers(runs), AnyModel::Layers(model)) => runs.exchange(model, run.seed, &mut bins)?,
                (AtWork::Steps(runs), AnyModel::Recurrent(model)) => runs.exchange(model, run.seed, &mut bins)?,
                _ => return Err(Finding::new(Kind::Build, "the networks are not all of one datapath")),
            }
            self.held.push(self.holds);
            self.holds = run.network;
        }
        bins.configuration(self.configuration);
        bins.run(
            run,
            if self.held.is_empty() {
                "first"
            } else if self.held.contains(&run.network) {
                "back"
            } else {
                "other"
            },
        );
        let mut ran = match (&mut self.at_work, network) {
            (AtWork::Layers(runs), Network::Layers(_)) => runs.run(run, number, &mut bins)?,
            (AtWork::Steps(runs), Network::Recurrent(spec)) => runs.run(run, spec, number, &mut bins)?,
            _ => return Err(Finding::new(Kind::Build, "the networks are not all of the accelerator's datapath")),
        };
        ran.bins = bins;
        ran.coverage = match &mut self.at_work {
            AtWork::Layers(runs) => runs.coverage()?,
            AtWork::Steps(runs) => runs.coverage()?,
        };
        Ok(ran)
    }
}

/// What cannot be done with a healthy accelerator.
pub fn protocol(error: impl Into<SimulateError>) -> Finding {
    Finding::new(Kind::Protocol, error.into().to_string())
}

/// Error bits that are not those which must be there.
pub fn unexpected(what: &str, found: u32, expected: u32) -> Option<Finding> {
    let text = format!("{what}: the error bits say {}, expected {}", error_names(found), error_names(expected));
    (found != expected).then(|| Finding::new(Kind::Protocol, text))
}

/// STATUS as it must be, where it is known.
pub fn expect_status(host: &mut Host<Axi>, when: &str, mask: u32, expected: u32) -> Result<(), Finding> {
    let found = host.bus.read(&[map::STATUS]).map_err(protocol)?[0];
    check_status(found, when, mask, expected)
}

/// The same of what was read already.
pub fn check_status(found: u32, when: &str, mask: u32, expected: u32) -> Result<(), Finding> {
    let found = found & mask;
    if found == expected {
        return Ok(());
    }
    Err(Finding::new(Kind::Protocol, format!("STATUS {when}: expected {expected:#x} in the bits {mask:#x}, got {found:#x}")))
}

/// The image as the golden model gets it: with [`Fault::Golden`] one bit is another one.
pub fn for_golden(image: &MemoryImage, fault: Option<Fault>) -> Option<MemoryImage> {
    if fault != Some(Fault::Golden) {
        return None;
    }
    let mut image = image.clone();
    // the first bias of the last result: what it changes is not lost on the way. The lowest bit that the shift leaves, since
    // a higher one can vanish in a limit
    let (section, index, shift) = match image.arch.ese {
        None => {
            let records = layer_records(&image);
            let (base, shift) = records.last().map_or((0, 0), |record| (record.bias_base, record.shift));
            (Section::Pe(0, MemoryKind::Bias), base, shift)
        }
        Some(_) => {
            let ops = image.sections.get(&Section::Layers).map(Op::read_all).unwrap_or_default();
            // of a cell, the bit that moves the table's argument by a step of its output
            let last = ops.iter().rev().find(|op| op.job != Job::None && (op.job == Job::Cells || op.bias));
            let found = last.map(|op| (op.param_base, op.shifts[0] + if op.job == Job::Cells { 6 } else { 0 }));
            let (base, shift) = found.unwrap_or_default();
            (Section::Parameters, base, shift)
        }
    };
    let bit = (shift as usize).min(image.arch.acc_bits - 2);
    if let Some(words) = image.sections.get_mut(&section) {
        let found = words.bits(index, bit, 1);
        words.set_bits(index, bit, 1, found ^ 1);
    }
    Some(image)
}
