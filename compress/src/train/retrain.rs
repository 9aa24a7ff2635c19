//! Iterative pruning with retraining (Learning both Weights and Connections, section 3): passes to ever lower density, each of
//! which prunes (at once, or over some epochs) and retrains what is left. Weights that survive keep their values.

use super::checkpoint::{self, Header};
use super::classify::{optimizer, set_vars, vars_as_tensors, Checkpoints};
use super::data::{Augment, Data};
use super::fit::{self, Pass, Teacher};
use super::masks::{self, Target};
use super::network::Network;
use super::progress::Progress;
use super::schedule::{cubic_density, Schedule};
use super::share::{self, Searched, Shared};
use crate::config::{Config, PruneSchedule};
use crate::error::Error;
use crate::model::Dense;
use candle_core::{Tensor, Var};
use std::collections::BTreeMap;

/// How often an epoch of a cubic schedule prunes.
const CUTS: usize = 8;

/// A pass of pruning and retraining.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PassReport {
    /// Share of weights that are not zero.
    pub density: f64,
    /// On the samples held out.
    pub error: f64,
    /// Within what `lose_at_most` allows.
    pub accepted: bool,
}

/// What pruning and sharing came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Pruned {
    /// Error of the dense network on the samples held out.
    pub dense_error: f64,
    pub passes: Vec<PassReport>,
    /// The last accepted pass (or the dense network, if there is none), before weights are shared.
    pub pruned: Dense,
    /// The bits that were searched for, if `[share]` asks for that and there are any within the limit.
    pub searched: Option<Searched>,
    /// The network with shared weights, if `[share]` asks for them and a search did not find that none will do.
    pub sharing: Option<PassReport>,
    /// The same, if it was accepted.
    pub shared: Option<Shared>,
}

/// Between two epochs.
struct State<'a> {
    config: &'a Config,
    hash: String,
    checkpoints: &'a Checkpoints,
    dense_error: f64,
    passes: Vec<PassReport>,
    /// The variables of the last accepted pass.
    best: BTreeMap<String, Tensor>,
}

/// What the header of a checkpoint says about the place to go on from.
struct Resumed {
    part: String,
    epoch: usize,
    tensors: BTreeMap<String, Tensor>,
}

impl State<'_> {
    fn save(&self, part: &str, epoch: usize, more: BTreeMap<String, Tensor>) -> Result<(), Error> {
        let Some(file) = &self.checkpoints.file else { return Ok(()) };
        let mut figures = BTreeMap::from([("dense_error".to_string(), self.dense_error)]);
        for (i, pass) in self.passes.iter().enumerate() {
            figures.insert(format!("pass.{i:03}.density"), pass.density);
            figures.insert(format!("pass.{i:03}.error"), pass.error);
        }
        let mut tensors = more;
        tensors.extend(self.best.iter().map(|(name, t)| (format!("best.{name}"), t.clone())));
        let (config, seed) = (self.hash.clone(), self.config.train.seed);
        checkpoint::save(file, &Header { config, seed, part: part.to_string(), epoch, figures }, &tensors)
    }

    fn load(&mut self) -> Result<Option<Resumed>, Error> {
        let Some(file) = self.checkpoints.file.as_ref().filter(|file| self.checkpoints.resume && file.exists()) else { return Ok(None) };
        let (header, tensors) = checkpoint::load(file, &self.hash)?;
        let figure = |name: String| header.figures.get(&name).copied();
        let passes = (0..).map_while(|i| Some((figure(format!("pass.{i:03}.density"))?, figure(format!("pass.{i:03}.error"))?)));
        self.passes = passes.map(|(density, error)| self.report(density, error)).collect();
        self.best = checkpoint::under(&tensors, "best.");
        Ok(Some(Resumed { part: header.part, epoch: header.epoch, tensors }))
    }

    /// The error that a loss of `points` leaves.
    fn limit(&self, points: Option<f64>) -> f64 {
        // half a millionth: errors are shares of a count, and sums of them may differ in the last bit
        points.map_or(f64::INFINITY, |points| self.dense_error + points / 100.0 + 5e-7)
    }

    fn report(&self, density: f64, error: f64) -> PassReport {
        PassReport { density, error, accepted: error <= self.limit(self.config.prune.lose_at_most) }
    }
}

/// The part of a checkpoint that a pass is; that of sharing is `share`.
fn part_name(pass: usize) -> String {
    format!("prune {}", pass + 1)
}

pub(super) fn optimizer_tensors(state: BTreeMap<String, Tensor>) -> impl Iterator<Item = (String, Tensor)> {
    state.into_iter().map(|(name, t)| (format!("optimizer.{name}"), t))
}

/// Prunes and retrains `dense` as `[prune]` says, and shares weights as `[share]` says.
pub fn prune(config: &Config, dense: &Dense, data: &Data, checkpoints: &Checkpoints, progress: &mut dyn Progress) -> Result<Pruned, Error> {
    fit::check(dense, &data.train)?;
    fit::check(dense, &data.held_out)?;
    let start = checkpoint::config_hash(&("prune", &config.model, &config.prune, &config.share))?;
    let of_data = checkpoint::config_hash(&(&config.train, &config.input, data.digest()))?;
    let of_model = dense.layers.iter().map(|l| checkpoint::config_hash(&(&l.weights.data, &l.bias))).collect::<Result<Vec<_>, _>>()?;
    let hash = checkpoint::config_hash(&(start, of_data, of_model))?;

    let network = Network::new(dense)?;
    let dense_error = fit::error(&network, &data.held_out)?;
    let mut state = State { config, hash, checkpoints, dense_error, passes: vec![], best: BTreeMap::new() };
    let mut resumed = state.load()?;
    if let Some(at) = &resumed {
        progress.note(&format!("going on after epoch {} of {}", at.epoch, at.part));
    }
    let vars = network.vars();
    set_if_any(&vars, &state.best)?;
    let teacher = if config.prune.distill > 0.0 { Some(Network::new(dense)?) } else { None };
    for pass in 0..config.prune.density.len() {
        if state.passes.len() > pass {
            continue; // done before the resumption
        }
        if state.passes.last().is_some_and(|p| !p.accepted) {
            break;
        }
        let at = resumed.take_if(|at| at.part == part_name(pass));
        let report = one_pass(&mut state, pass, dense, &network, teacher.as_ref(), data, at, progress)?;
        state.passes.push(report);
        if report.accepted {
            state.best = copies(&vars)?;
            state.save(&part_name(pass + 1), 0, BTreeMap::new())?;
        }
    }
    if state.best.is_empty() {
        state.best = copies(&Network::new(dense)?.vars())?;
    }
    set_vars(&vars, &state.best)?;
    let pruned = network.dense()?;
    let mut found = Pruned { dense_error, passes: state.passes.clone(), pruned, searched: None, sharing: None, shared: None };
    if !config.share.shares() {
        return Ok(found);
    }
    let limit = state.limit(config.share.lose_at_most.or(config.prune.lose_at_most));
    let mut codes = share::codes(config, &found.pruned);
    if let Some(bits) = config.share.bits {
        found.searched = share::search(config, &found.pruned, data, bits, limit)?;
        match &found.searched {
            Some(searched) => codes = searched.bits.iter().map(|bits| share::codes_of(*bits)).collect(),
            None => return Ok(found),
        }
    }
    let at = resumed.take_if(|at| at.part == "share").map(|at| (at.epoch, at.tensors));
    let mut save = |epoch: usize, tensors: BTreeMap<String, Tensor>| state.save("share", epoch, tensors);
    let shared = share::share(config, &found.pruned, &codes, data, at, &mut save, progress)?;
    let error = fit::error(&Network::new(&shared.dense)?, &data.held_out)?;
    let report = PassReport { density: shared.dense.density(), error, accepted: error <= limit };
    found.sharing = Some(report);
    found.shared = report.accepted.then_some(shared);
    Ok(found)
}

fn set_if_any(vars: &[Var], tensors: &BTreeMap<String, Tensor>) -> Result<(), Error> {
    if tensors.is_empty() {
        return Ok(());
    }
    set_vars(vars, tensors)
}

/// The values of variables, which go on changing.
fn copies(vars: &[Var]) -> Result<BTreeMap<String, Tensor>, Error> {
    vars_as_tensors(vars).into_iter().map(|(name, t)| Ok((name, t.copy()?))).collect()
}

/// Dropout after pruning: that of the dense network times the root of the share of connections that are left (section 3.3).
fn dropout(config: &Config, dense: &Dense) -> Vec<f64> {
    if config.train.dropout == 0.0 {
        return vec![];
    }
    let left = |layer: &crate::model::DenseLayer| layer.weights.nonzeros() as f64 / layer.weights.data.len().max(1) as f64;
    dense.layers.iter().map(|layer| config.train.dropout * left(layer).sqrt()).collect()
}

#[allow(clippy::too_many_arguments)] // the parts of one loop, which are of no use together elsewhere
fn one_pass(
    state: &mut State,
    number: usize,
    original: &Dense,
    network: &Network,
    teacher: Option<&Network>,
    data: &Data,
    resumed: Option<Resumed>,
    progress: &mut dyn Progress,
) -> Result<PassReport, Error> {
    let config = state.config;
    let settings = &config.prune;
    let (part, vars) = (part_name(number), network.vars());
    let cutting = if settings.schedule == PruneSchedule::Cubic { settings.epochs } else { 0 };
    let epochs = cutting + settings.retrain;
    let (share, last) = (settings.density[number], settings.density[settings.density.len() - 1]);
    // where this pass starts: the end of the one before
    let scale_before = if number == 0 { f64::INFINITY } else { settings.density[number - 1] / last };
    let share_before = if number == 0 { original.density() } else { settings.density[number - 1].min(original.density()) };
    let said = masks::said(original, config)?;
    let least = least(&said);
    let target = |done: f64| Target {
        share: cubic_density(share_before, share, done),
        scale: if done >= 1.0 { share / last } else { cubic_density(scale_before.min(1.0 / least), share / last, done) },
        said: &said,
    };
    let mut optimizer = optimizer(settings.optimizer, settings.rate, settings.momentum, settings.weight_decay);
    let mut now = network.dense()?;
    let mut masks = masks::masks(&now)?;
    let mut first = 0;
    match resumed {
        Some(at) if at.epoch > 0 => {
            set_vars(&vars, &at.tensors)?;
            now = network.dense()?;
            masks = masks::masks(&now)?;
            optimizer.restore(&checkpoint::under(&at.tensors, "optimizer."))?;
            first = at.epoch;
        }
        _ => {}
    }
    let mut cut = |network: &Network, masks: &mut Vec<Option<Tensor>>, done: f64| -> Result<(), Error> {
        now = network.dense()?;
        masks::prune(&mut now, config, &target(done))?;
        *masks = if done >= 1.0 { masks::settle(&mut now)? } else { masks::masks(&now)? };
        set_vars(&network.vars(), &vars_as_tensors(&Network::new(&now)?.vars()))
    };
    let mut pass = Pass {
        seed: config.train.seed,
        part: 1 + number as u64,
        batch: settings.batch,
        augment: Augment::new(config, data.train.samples.size)?,
        dropout: vec![],
        teacher: teacher.map(|network| Teacher { network, share: settings.distill, temperature: settings.temperature }),
    };
    for epoch in first..epochs {
        if epoch == cutting {
            cut(network, &mut masks, 1.0)?;
        }
        pass.dropout = dropout(config, &network.dense()?);
        progress.epoch_started(&part, epoch, epochs, data.train.samples.count.div_ceil(settings.batch));
        let loss = pass.epoch(network, data, epoch, progress, &mut |step, steps, grads| {
            let every = steps.div_ceil(CUTS);
            if epoch < cutting && step % every == 0 {
                let done = (epoch as f64 + (step + every).min(steps) as f64 / steps as f64) / cutting as f64;
                cut(network, &mut masks, done.min(1.0 - 1e-9))?;
            }
            let share = match epoch.checked_sub(cutting) {
                None => 1.0,
                Some(after) => Schedule::Cosine.at(after as f64 + step as f64 / steps as f64, settings.retrain),
            };
            optimizer.set_rate(settings.rate * share);
            optimizer.step(&vars, grads, &masks)
        })?;
        let error = fit::error(network, &data.held_out)?;
        progress.epoch_ended(epoch, loss, error);
        let mut tensors = vars_as_tensors(&vars);
        tensors.extend(optimizer_tensors(optimizer.state()?));
        state.save(&part, epoch + 1, tensors)?;
    }
    if epochs == cutting {
        cut(network, &mut masks, 1.0)?;
    }
    // a weight that training has brought to zero may leave a unit dead
    let mut end = network.dense()?;
    masks::settle(&mut end)?;
    set_vars(&vars, &vars_as_tensors(&Network::new(&end)?.vars()))?;
    Ok(state.report(end.density(), fit::error(network, &data.held_out)?))
}

/// The least density that a layer says: above its reciprocal, a scale has no effect.
fn least(said: &[f64]) -> f64 {
    said.iter().copied().fold(1.0, f64::min).max(1e-3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Criterion, LayerConfig};
    use crate::model::{Activation, DenseLayer, Matrix};

    fn network(data: Vec<f32>) -> Dense {
        let weights = Matrix { rows: 1, columns: data.len(), data };
        Dense { layers: vec![DenseLayer { name: "a".into(), weights, bias: vec![0.1], activation: Activation::None, conv: None }] }
    }

    #[test]
    fn dropout_shrinks_with_the_root_of_what_is_left() {
        let mut config = Config::default();
        config.train.dropout = 0.4;
        // 1 of 4 weights is left
        assert_eq!(dropout(&config, &network(vec![0.0, 2.0, 0.0, 0.0])), [0.2]);
        config.train.dropout = 0.0;
        assert!(dropout(&config, &network(vec![1.0])).is_empty());
    }

    #[test]
    fn a_quality_says_a_density_of_the_dense_network_that_a_cubic_schedule_comes_down_to() {
        let mut config = Config::default();
        config.prune.criterion = Criterion::Layer;
        config.model.layer = vec![LayerConfig { quality: Some(1.0), ..LayerConfig::new("a", "a") }];
        // the standard deviation is about 1.6: 2 of 8 are above it
        let dense = network(vec![4.0, -2.0, 0.1, 0.2, 0.3, -0.1, -0.2, 0.1]);
        let said = masks::said(&dense, &config).unwrap();
        assert_eq!((said.clone(), least(&said)), (vec![0.25], 0.25));
        // at the start all stay, in the middle some
        let left = |scale: f64| {
            let mut now = dense.clone();
            masks::prune(&mut now, &config, &Target { share: 1.0, scale, said: &said }).unwrap();
            now.layers[0].weights.nonzeros()
        };
        assert_eq!([1.0 / least(&said), 2.0, 1.0].map(left), [8, 4, 2]);
    }
}
