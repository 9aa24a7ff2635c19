//! `faults`: faults outside the Verilog, drawn from a seed, each put in alone. A fault counts as detected if what is said
//! names it: the section of the image, the layer and PE, the count of cycles, the piece of the table, the handshake.

mod files;
mod wiring;

use super::report::{Bar, Check, Outcome, Row};
use super::synthetic::Random;
use crate::regress::configuration::{Configuration, DoorKind, Network};
use crate::regress::draw;
use crate::regress::engine::{Engine, Fault, Kind};
use crate::regress::layers::{input, For};
use crate::regress::named::{self, Size};
use crate::regress::plan::Settings;
use crate::regress::session::for_golden;
use crate::term;
use anyhow::{bail, Context, Result};
use lacuna_compress::manifest::AnyModel;
use lacuna_compress::spec::Arch;
use lacuna_sim::golden::Golden;

const SEED: u64 = 1;

/// How many of each kind are put in, on each datapath that has it.
#[derive(Clone, Copy, Debug)]
struct Extent {
    sections: usize,
    codebook: usize,
    table: usize,
    models: usize,
    /// Pairs of ports; there are no more than this.
    ports: usize,
    containers: usize,
    /// In all.
    least: usize,
}

const ALL: Extent = Extent { sections: 12, codebook: 8, table: 8, models: 8, ports: usize::MAX, containers: 4, least: 100 };

/// Faults of one kind, on one datapath.
struct Tally {
    fault: &'static str,
    injected: usize,
    detected: usize,
    missed: Vec<String>,
}

impl Tally {
    fn new(fault: &'static str) -> Tally {
        Tally { fault, injected: 0, detected: 0, missed: vec![] }
    }

    /// A fault was put in; of what was said, all these words must be part.
    fn note(&mut self, what: &str, said: Option<String>, words: &[&str]) {
        self.injected += 1;
        match said {
            Some(text) if words.iter().all(|word| text.contains(word)) => self.detected += 1,
            Some(text) => self.missed.push(format!("{}, {what}: expected {words:?} in: {text}", self.fault)),
            None => self.missed.push(format!("{}, {what}: nothing was said", self.fault)),
        }
    }
}

/// An accelerator S, configurations for it, and the networks of the first.
struct Subject {
    name: String,
    arch: Arch,
    configurations: Vec<Configuration>,
}

impl Subject {
    fn model(&self, index: usize) -> Result<AnyModel> {
        let c = self.configurations.get(index).with_context(|| format!("{}: there is no configuration {index}", self.name))?;
        let network = c.networks.first().with_context(|| format!("{}: there is no network", c.name))?;
        draw::model(network, c.seed, &For::Exactly(&self.arch))
    }
}

pub fn run() -> Result<Outcome> {
    measure(ALL)
}

fn measure(extent: Extent) -> Result<Outcome> {
    let named = named::of_size(Size::S)?;
    let accelerators: Vec<Arch> = named.iter().map(|n| n.accelerator.clone()).collect();
    // as many as there are faults of the models, and more, since not every configuration shows every one
    let runs = named.len() * draw::RUNS * (8 * extent.models + 2);
    let plan = Settings { accelerators, ..Settings::drawn(SEED, runs) }.plan()?;
    let mut rows = vec![];
    let (mut injected, mut detected, mut lines) = (0, 0, vec![]);
    let bar = term::progress("datapaths", named.len());
    for named in named {
        let arch = named.accelerator;
        let configurations: Vec<Configuration> = plan.configurations.iter().filter(|c| c.accelerator == arch).cloned().collect();
        let subject = Subject { name: named.name, arch, configurations };
        let mut random = Random::new(SEED);
        let mut tallies = files::tallies(&subject, extent, &mut random)?;
        tallies.push(by_the_models(&subject, extent, Fault::Golden)?);
        tallies.push(by_the_models(&subject, extent, Fault::CycleModel)?);
        tallies.extend(wiring::tallies(&subject, extent, &mut random)?);
        for tally in tallies.into_iter().filter(|tally| tally.injected > 0) {
            let row = Row::new().with("config", subject.name.clone()).with("fault", tally.fault);
            rows.push(row.with("injected", tally.injected).with("detected", tally.detected));
            injected += tally.injected;
            detected += tally.detected;
            lines.extend(tally.missed.into_iter().map(|line| format!("{}: {line}", subject.name)));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let checks = vec![
        Check::new("faults", injected as f64, 0, Bar::AtLeast(extent.least as f64)),
        Check::new("detected, and named", detected as f64, 0, Bar::AtLeast(injected as f64)),
    ];
    let mut notes = vec![format!("faults and networks from seed {SEED}; each is put in alone")];
    notes.extend(lines);
    Ok(Outcome { rows, checks, notes })
}

/// Faults of the golden model's image and of the cycle model: the regression says layer and PE, or the count.
fn by_the_models(subject: &Subject, extent: Extent, fault: Fault) -> Result<Tally> {
    let engine = Engine::new(None, Some(fault), vec![subject.arch.clone()]);
    let mut tally = Tally::new(if fault == Fault::Golden { "bit of a golden word" } else { "cycle model off by one" });
    for c in &subject.configurations {
        if tally.injected == extent.models {
            break;
        }
        if !shows(c, fault)? {
            continue;
        }
        let mut c = Configuration { door: DoorKind::Axi, ..c.clone() };
        // what is compared behind a stop is the output stream, which knows nothing of layers
        c.runs.iter_mut().for_each(|run| run.disturbance = None);
        let found = engine.first_finding(&c, None);
        if let Some((_, finding)) = found.as_ref().filter(|(_, f)| matches!(f.kind, Kind::Build | Kind::Misfit)) {
            bail!("{}: {}", c.name, finding.text);
        }
        let network = found.as_ref().and_then(|(run, _)| c.runs.get(*run)).map_or(0, |run| run.network);
        let layer = format!("layer {} (", last_layer(&c, network));
        let words: &[&str] = match (fault, c.ese()) {
            (Fault::CycleModel, false) => &["cycles: expected ", ", got "],
            (Fault::CycleModel, true) => &["cycles of one step: expected ", ", got "],
            (Fault::Golden, false) => &[&layer, ", PE 0, row 0, cycle ", ": expected "],
            (Fault::Golden, true) => &[&layer, "[0], PE 0, cycle ", ": expected "],
        };
        tally.note(&c.name, found.map(|(_, f)| f.text), words);
    }
    Ok(tally)
}

fn last_layer(c: &Configuration, network: usize) -> usize {
    let layers = match c.networks.get(network) {
        Some(Network::Layers(n)) => n.layers.len(),
        Some(Network::Recurrent(n)) => n.lstm.len() + n.layers.len(),
        None => 0,
    };
    layers.saturating_sub(1)
}

/// Whether a run compares what the fault changes: cycles only without stalls of the streams, a bias only where neither a ReLU
/// nor a limit swallows it.
fn shows(c: &Configuration, fault: Fault) -> Result<bool> {
    if fault == Fault::CycleModel {
        return Ok(c.runs.iter().any(|r| r.vectors > 0 && r.input_stalls + r.output_stalls == 0));
    }
    let (Some(network), Some(run)) = (c.networks.first(), c.runs.first()) else { return Ok(false) };
    match (network, draw::model(network, c.seed, &For::Exactly(&c.accelerator))?) {
        (Network::Recurrent(n), _) => Ok(n.layers.last().is_none_or(|l| !l.relu)),
        (_, AnyModel::Recurrent(_)) => Ok(false),
        (_, AnyModel::Layers(model)) => {
            let Some(other) = for_golden(&model.image, Some(fault)) else { return Ok(false) };
            let values = model.arrange_input(input(run.input, run.seed, 0, model.network.input_size))?;
            Ok(Golden::new(&model.image)?.infer(&values)? != Golden::new(&other)?.infer(&values)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_faults_of_each_kind_are_detected_by_name() {
        let few = Extent { sections: 2, codebook: 1, table: 1, models: 1, ports: 1, containers: 1, least: 10 };
        let found = measure(few).unwrap();
        assert!(found.missed().is_empty(), "{:?} {:?}", found.missed(), found.notes);
    }

    #[test]
    fn what_is_said_must_name_the_fault() {
        let mut tally = Tally::new("x");
        tally.note("a", Some("pe 0 spmat differs".into()), &["pe 0 spmat"]);
        tally.note("b", Some("pe 1 spmat differs".into()), &["pe 0 spmat"]);
        tally.note("c", None, &[]);
        assert_eq!((tally.injected, tally.detected, tally.missed.len()), (3, 1, 2));
    }
}
