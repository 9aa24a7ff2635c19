//! The smallest configuration that still fails in the same way, found greedily: first on the same hardware, where an
//! attempt costs no build, then with less hardware.

use super::configuration::*;
use super::draw::fitted;
use super::engine::{Engine, Finding};
use lacuna_compress::spec::Arch;
use std::time::{Duration, Instant};

/// What is tried at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub attempts: usize,
    pub time: Duration,
}

/// A failing configuration after shrinking.
pub struct Shrunk {
    pub configuration: Configuration,
    /// Number of its run, and what is wrong there.
    pub run: usize,
    pub finding: Finding,
    pub attempts: usize,
}

/// Makes `c`, which fails with `finding` in run `run`, as small as it goes.
pub fn shrink(engine: &Engine, c: &Configuration, run: usize, finding: &Finding, limits: Limits) -> Shrunk {
    let begin = Instant::now();
    let mut best = Shrunk { configuration: c.clone(), run, finding: finding.clone(), attempts: 0 };
    let phases: [fn(&Configuration, usize) -> Vec<Configuration>; 2] = [on_the_same_hardware, with_less_hardware];
    for phase in phases {
        // after each success from the front again: what was necessary before may not be any more
        'again: loop {
            for candidate in phase(&best.configuration, best.run) {
                if best.attempts == limits.attempts || begin.elapsed() > limits.time {
                    return best;
                }
                best.attempts += 1;
                match engine.first_finding(&candidate, None) {
                    Some((run, found)) if found.kind == finding.kind => {
                        best = Shrunk { configuration: candidate, run, finding: found, attempts: best.attempts };
                        continue 'again;
                    }
                    _ => (),
                }
            }
            break;
        }
    }
    best
}

/// Changes of a thing, each tried on its own.
struct Smaller<'a, T> {
    of: &'a T,
    found: Vec<T>,
}

impl<'a, T: Clone + PartialEq> Smaller<'a, T> {
    fn new(of: &'a T) -> Smaller<'a, T> {
        Smaller { of, found: vec![] }
    }

    fn with(&mut self, change: impl FnOnce(&mut T)) {
        let mut smaller = self.of.clone();
        change(&mut smaller);
        if smaller != *self.of {
            self.found.push(smaller);
        }
    }
}

/// Half of a number, and one less, where these are less.
fn less(number: usize, least: usize) -> Vec<usize> {
    let mut found: Vec<usize> = [least, number / 2, number.saturating_sub(1)].into_iter().filter(|n| *n >= least && *n < number).collect();
    found.dedup();
    found
}

/// Fewer runs, nothing in their way, smaller networks and inputs.
fn on_the_same_hardware(c: &Configuration, run: usize) -> Vec<Configuration> {
    let mut smaller = Smaller::new(c);
    smaller.with(|c| c.runs = c.runs.get(run).cloned().into_iter().collect());
    smaller.with(|c| c.runs.truncate(run + 1));
    for gone in 0..c.runs.len().min(run) {
        smaller.with(|c| {
            c.runs.remove(gone);
        });
    }
    // networks that no run needs any more, and one that is the first then
    smaller.with(|c| {
        let needed: Vec<usize> = (0..c.networks.len()).filter(|n| c.runs.iter().any(|r| r.network == *n)).collect();
        for run in &mut c.runs {
            run.network = needed.iter().position(|n| *n == run.network).unwrap_or(0);
        }
        c.networks = needed.iter().filter_map(|n| c.networks.get(*n).cloned()).collect();
    });
    smaller.with(|c| c.door = DoorKind::Preload);
    for r in 0..c.runs.len() {
        smaller.with(|c| c.runs[r].disturbance = None);
        smaller.with(|c| c.runs[r].visit = false);
        smaller.with(|c| (c.runs[r].bus_stalls, c.runs[r].input_stalls, c.runs[r].output_stalls) = (0, 0, 0));
        smaller.with(|c| c.runs[r].bus_stalls = 0);
        smaller.with(|c| c.runs[r].input_stalls = 0);
        smaller.with(|c| c.runs[r].output_stalls = 0);
        smaller.with(|c| c.runs[r].uneven = false);
        smaller.with(|c| c.runs[r].states = false);
        for vectors in less(c.runs[r].vectors, 1) {
            smaller.with(|c| c.runs[r].vectors = vectors);
        }
        let simpler = [Input::Zero, Input::Last, Input::Least];
        for input in simpler.into_iter().take_while(|i| *i != c.runs[r].input) {
            smaller.with(|c| c.runs[r].input = input);
        }
    }
    for (n, network) in c.networks.iter().enumerate() {
        for network in smaller_networks(network) {
            smaller.with(|c| c.networks[n] = network);
        }
    }
    smaller.found
}

fn smaller_networks(network: &Network) -> Vec<Network> {
    match network {
        Network::Layers(n) => smaller_layers(n).into_iter().map(Network::Layers).collect(),
        Network::Recurrent(n) => smaller_lstms(n).into_iter().map(Network::Recurrent).collect(),
    }
}

fn sparser(pattern: Pattern, density: f64) -> Vec<(Pattern, f64)> {
    match pattern {
        Pattern::Nowhere => vec![],
        Pattern::OneRow => vec![(Pattern::Nowhere, density)],
        _ => vec![(Pattern::Nowhere, density), (Pattern::OneRow, density), (Pattern::LastRow, density)],
    }
    .into_iter()
    .chain((pattern == Pattern::Random && density > 0.06).then_some((pattern, density / 2.0)))
    .filter(|(p, _)| *p != pattern || pattern == Pattern::Random)
    .collect()
}

fn smaller_layers(n: &Layers) -> Vec<Layers> {
    let mut smaller = Smaller::new(n);
    for layer in 0..n.layers.len() {
        if n.layers.len() > 1 {
            smaller.with(|n| {
                n.layers.remove(layer);
            });
        }
    }
    for inputs in less(n.inputs, 1) {
        smaller.with(|n| n.inputs = inputs);
    }
    smaller.with(|n| n.balanced = false);
    for (l, layer) in n.layers.iter().enumerate() {
        for rows in less(layer.rows, 1) {
            smaller.with(|n| n.layers[l].rows = rows);
        }
        for (pattern, density) in sparser(layer.pattern, layer.density) {
            smaller.with(|n| (n.layers[l].pattern, n.layers[l].density) = (pattern, density));
        }
        smaller.with(|n| n.layers[l].relu = false);
        smaller.with(|n| n.layers[l].values = Values::Units);
        let Some(conv) = layer.conv else { continue };
        for side in less(conv.height, conv.kernel[0]) {
            smaller.with(|n| n.layers[l].conv.iter_mut().for_each(|c| c.height = side));
        }
        for side in less(conv.width, conv.kernel[1]) {
            smaller.with(|n| n.layers[l].conv.iter_mut().for_each(|c| c.width = side));
        }
        for channels in less(conv.channels, 1) {
            smaller.with(|n| n.layers[l].conv.iter_mut().for_each(|c| c.channels = channels));
        }
        for axis in 0..2 {
            for side in less(conv.kernel[axis], 1) {
                smaller.with(|n| n.layers[l].conv.iter_mut().for_each(|c| c.kernel[axis] = side));
            }
        }
        smaller.with(|n| n.layers[l].conv.iter_mut().for_each(|c| c.pool = 1));
        smaller.with(|n| n.layers[l].conv.iter_mut().for_each(|c| c.stride = 1));
    }
    smaller.found
}

fn smaller_lstms(n: &Lstms) -> Vec<Lstms> {
    let mut smaller = Smaller::new(n);
    smaller.with(|n| n.layers.clear());
    smaller.with(|n| n.layers.truncate(1));
    smaller.with(|n| n.lstm.truncate(1));
    smaller.with(|n| n.lstm.truncate(2));
    for inputs in less(n.inputs, 1) {
        smaller.with(|n| n.inputs = inputs);
    }
    smaller.with(|n| n.hold = Some(0));
    for l in 0..n.lstm.len() {
        let layer = &n.lstm[l];
        smaller.with(|n| n.lstm[l].projection = None);
        for cells in less(layer.cells, 1) {
            smaller.with(|n| {
                n.lstm[l].cells = cells;
                n.lstm[l].projection = n.lstm[l].projection.map(|p| p.min(cells));
            });
        }
        smaller.with(|n| n.lstm[l].peepholes = false);
        for (pattern, density) in sparser(layer.pattern, layer.density) {
            smaller.with(|n| (n.lstm[l].pattern, n.lstm[l].density) = (pattern, density));
        }
    }
    for l in 0..n.layers.len() {
        for rows in less(n.layers[l].rows, 1) {
            smaller.with(|n| n.layers[l].rows = rows);
        }
        for (pattern, density) in sparser(n.layers[l].pattern, n.layers[l].density) {
            smaller.with(|n| (n.layers[l].pattern, n.layers[l].density) = (pattern, density));
        }
        smaller.with(|n| n.layers[l].relu = false);
    }
    smaller.found
}

/// Fewer PEs and channels, shorter queues, narrower words, memories as deep as needed.
fn with_less_hardware(c: &Configuration, _: usize) -> Vec<Configuration> {
    let a = &c.accelerator;
    let mut likes: Vec<Arch> = vec![a.clone()];
    likes.extend(less(a.pes, 1).into_iter().map(|pes| Arch { pes, ..a.clone() }));
    if let Some(ese) = &a.ese {
        let fewer = less(ese.channels, 1).into_iter().map(|channels| lacuna_compress::spec::Ese { channels, ..ese.clone() });
        likes.extend(fewer.map(|ese| Arch { ese: Some(ese), ..a.clone() }));
    }
    likes.extend(less(a.fifo_depth, 1).into_iter().map(|fifo_depth| Arch { fifo_depth, ..a.clone() }));
    likes.extend((a.entries_per_word > 1).then(|| Arch { entries_per_word: a.entries_per_word / 2, ..a.clone() }));
    likes.extend((a.run_bits > 2).then(|| Arch { run_bits: 2, ..a.clone() }));
    let fits = likes.into_iter().filter_map(|like| {
        let accelerator = fitted(&c.networks, c.seed, &like).ok()?;
        (accelerator != c.accelerator).then(|| Configuration { accelerator, ..c.clone() })
    });
    fits.collect()
}
