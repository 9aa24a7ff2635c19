//! Training from nothing, pruning with retraining and weight sharing on a few hundred digits.
#![cfg(feature = "train")]

use lacuna_compress::config::Config;
use lacuna_compress::entropy::order_units;
use lacuna_compress::error::Error;
use lacuna_compress::import::load_model;
use lacuna_compress::model::Dense;
use lacuna_compress::train::classify::{self, Checkpoints};
use lacuna_compress::train::data::Data;
use lacuna_compress::train::export::{save_model, stored};
use lacuna_compress::train::fit;
use lacuna_compress::train::network::Network;
use lacuna_compress::train::progress::{Progress, Silent};
use lacuna_compress::train::retrain;
use std::path::Path;

/// A configuration on the digits of the demo; `keys` go into `[train]`, `tables` after it.
fn config(model: &str, keys: &str, tables: &str) -> Config {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/demo");
    let file = |name: &str| demo.join(name).display().to_string();
    let text = format!(
        "[model]\ninput = [1, 28, 28]\n{model}\n[input]\nscale = 0.00390625\n[train]\ninputs = {:?}\nlabels = {:?}\nheld_out = 50\n{keys}\n{tables}",
        file("digits-images-idx3-ubyte.gz"),
        file("digits-labels-idx1-ubyte.gz"),
    );
    Config::parse(&text, Path::new("net.toml")).unwrap()
}

const LAYERS: &str = "[[model.layer]]\nname = \"a\"\nweights = \"a.weight\"\nbias = \"a.bias\"\noutputs = 24\n\
    [[model.layer]]\nname = \"b\"\nweights = \"b.weight\"\nbias = \"b.bias\"\noutputs = 10\nactivation = \"none\"\n";
const CONVOLUTION: &str = "[[model.layer]]\nname = \"c\"\nweights = \"c.weight\"\nbias = \"c.bias\"\noutputs = 4\n\
    conv = { kernel = [5, 5], stride = 2, pool = 2 }\n\
    [[model.layer]]\nname = \"b\"\nweights = \"b.weight\"\nbias = \"b.bias\"\noutputs = 10\noutput_axis = 1\nactivation = \"none\"\n";

/// Stops a training as a kill would, at a step of an epoch of a part.
struct Kill<'a> {
    part: &'a str,
    epoch: usize,
    here: bool,
}

impl Progress for Kill<'_> {
    fn epoch_started(&mut self, what: &str, epoch: usize, _: usize, _: usize) {
        self.here = what == self.part && epoch == self.epoch;
    }
    fn step(&mut self, step: usize, _: f64) {
        assert!(!(self.here && step == 1), "killed");
    }
}

/// The result of `run`, without a break, and with one at each of `kills`.
fn broken_and_whole<T>(kills: &[(&str, usize)], run: impl Fn(&Checkpoints, &mut dyn Progress) -> Result<T, Error>) -> [T; 2] {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str, resume: bool| Checkpoints { file: Some(folder.path().join(name)), resume };
    for (i, (part, epoch)) in kills.iter().enumerate() {
        let killed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            run(&at("broken", i > 0), &mut Kill { part, epoch: *epoch, here: false }).is_ok()
        }));
        assert!(killed.is_err(), "{part} {epoch}");
    }
    [run(&at("broken", true), &mut Silent).unwrap(), run(&at("whole", false), &mut Silent).unwrap()]
}

fn dense(config: &Config, data: &Data) -> Dense {
    classify::train(config, data, &Checkpoints::default(), &mut Silent).unwrap().dense
}

fn error(dense: &Dense, data: &Data) -> f64 {
    fit::error(&Network::new(dense).unwrap(), &data.held_out).unwrap()
}

#[test]
fn a_network_learns_and_its_file_is_the_model() {
    for (model, keys) in
        [(LAYERS, "epochs = 12\nbatch = 16\nrate = 0.05"), (CONVOLUTION, "epochs = 12\nbatch = 16\nrate = 0.05\nshift = 1")]
    {
        let mut config = config(model, keys, "");
        let data = Data::load(&config).unwrap();
        let trained = classify::train(&config, &data, &Checkpoints::default(), &mut Silent).unwrap();
        let last = *trained.errors.last().unwrap();
        assert!(last < 0.35, "{:?}", trained.errors);
        assert_eq!(last, error(&trained.dense, &data));
        let folder = tempfile::tempdir().unwrap();
        config.model.file = folder.path().join("m.safetensors");
        save_model(&config.model.file, &config, &trained.dense).unwrap();
        assert_eq!(load_model(&config).unwrap(), trained.dense);
    }
}

#[test]
fn a_kill_changes_nothing() {
    let keys = "epochs = 4\nbatch = 32\nshift = 1\nrotate = 5.0\ndropout = 0.2\nrate = 0.02";
    for (optimizer, model) in [("sgd", LAYERS), ("adam", CONVOLUTION)] {
        let config = config(model, &format!("{keys}\noptimizer = {optimizer:?}"), "");
        let data = Data::load(&config).unwrap();
        let kills = [("dense", 2), ("dense", 3)];
        let [broken, whole] = broken_and_whole(&kills, |checkpoints, progress| classify::train(&config, &data, checkpoints, progress));
        assert_eq!(broken.dense, whole.dense);
        assert_eq!((broken.errors.len(), whole.errors.len()), (1, 4));
    }
}

#[test]
fn a_checkpoint_of_another_configuration_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints { file: Some(folder.path().join("c")), resume: true };
    let train = |keys: &str| {
        let config = config(LAYERS, keys, "");
        classify::train(&config, &Data::load(&config).unwrap(), &checkpoints, &mut Silent)
    };
    train("epochs = 1").unwrap();
    train("epochs = 1").unwrap();
    let same = config(LAYERS, "epochs = 1", "");
    let mut other = Data::load(&same).unwrap();
    *other.train.samples.data.last_mut().unwrap() += 1.0;
    let error = classify::train(&same, &other, &checkpoints, &mut Silent).unwrap_err().to_string();
    assert!(error.contains("another configuration"), "{error}");
    let error = train("epochs = 1\nrate = 0.01").unwrap_err().to_string();
    assert!(error.contains("another configuration") && error.contains("--resume"), "{error}");
}

#[test]
fn pruning_shares_weights_and_a_kill_changes_nothing() {
    let tables = "[prune]\ndensity = [0.3, 0.08]\nepochs = 2\nretrain = 3\nbatch = 32\ndistill = 0.3\n\
        [share]\ncodes = [7, 4]\nepochs = 2\nbatch = 32\nbias_bits = 6";
    let config = config(LAYERS, "epochs = 8\nbatch = 16\ndropout = 0.1\nshift = 1", tables);
    let data = Data::load(&config).unwrap();
    let dense = dense(&config, &data);
    let kills = [("prune 1", 1), ("prune 1", 4), ("prune 2", 0), ("prune 2", 3), ("share", 1)];
    let prune = |checkpoints: &Checkpoints, progress: &mut dyn Progress| retrain::prune(&config, &dense, &data, checkpoints, progress);
    let [broken, whole] = broken_and_whole(&kills, prune);
    assert_eq!(broken, whole);

    assert_eq!(whole.passes.len(), 2);
    let all = dense.layers.iter().map(|l| l.weights.data.len()).sum::<usize>() as f64;
    for (pass, density) in whole.passes.iter().zip([0.3, 0.08]) {
        // dead units may take more
        assert!(pass.accepted && pass.density <= density + 1.0 / all && pass.density > 0.8 * density, "{pass:?}");
    }
    let shared = whole.shared.unwrap();
    for (i, (layer, codes)) in shared.layers.iter().zip([7, 4]).enumerate() {
        assert!(layer.codebook.len() <= codes && layer.codebook.windows(2).all(|c| c[0] < c[1]), "{:?}", layer.codebook);
        let (pruned, found) = (&whole.pruned.layers[i], &shared.dense.layers[i]);
        for ((before, after), code) in pruned.weights.data.iter().zip(&found.weights.data).zip(&layer.codes) {
            assert_eq!(*before == 0.0, *code == 0);
            assert_eq!(*after, if *code == 0 { 0.0 } else { layer.codebook[usize::from(*code) - 1] });
        }
        assert!(layer.bias_numbers.iter().all(|n| (-31..=31).contains(n)));
        for (bias, number) in found.bias.iter().zip(&layer.bias_numbers) {
            assert_eq!(*bias, f32::from(*number) * layer.bias_step);
        }
    }
    let error = error(&shared.dense, &data);
    assert!(error < 0.5, "{error}");
    let dense_of = |stored: &lacuna_compress::storage::StoredTensor| stored.values.dense();
    let stored: Vec<Vec<f32>> = stored(&config, &shared).unwrap().iter().map(dense_of).collect();
    let mut ordered = shared.dense.clone();
    order_units(&mut ordered);
    let expected = ordered.layers.iter().flat_map(|l| [l.weights.data.clone(), l.bias.clone()]);
    assert_eq!(stored, expected.collect::<Vec<_>>());
}

#[test]
fn what_loses_too_much_is_not_taken() {
    let tables =
        "[prune]\ndensity = [0.5, 0.0005, 0.0004]\nschedule = \"once\"\nretrain = 1\nbatch = 32\nlose_at_most = 10.0\n[share]\ncodes = []";
    let config = config(LAYERS, "epochs = 8\nbatch = 16", tables);
    let data = Data::load(&config).unwrap();
    let dense = dense(&config, &data);
    let found = retrain::prune(&config, &dense, &data, &Checkpoints::default(), &mut Silent).unwrap();
    assert_eq!(found.passes.iter().map(|p| p.accepted).collect::<Vec<_>>(), [true, false]);
    assert!(found.shared.is_none());
    assert_eq!(error(&found.pruned, &data), found.passes[0].error);
    assert!((retrain_density(&found.pruned) - 0.5).abs() < 0.05);
}

#[test]
fn bits_are_searched_within_what_may_be_lost_and_the_guard_holds_after_sharing() {
    let base = config(LAYERS, "epochs = 8\nbatch = 16", "");
    let data = Data::load(&base).unwrap();
    let dense = dense(&base, &data);
    let prune = |share: &str| {
        let tables =
            format!("[prune]\ndensity = [1.0]\nschedule = \"once\"\nretrain = 0\nlose_at_most = 0.0\n[share]\n{share}\nepochs = 0");
        let config = config(LAYERS, "epochs = 8\nbatch = 16", &tables);
        retrain::prune(&config, &dense, &data, &Checkpoints::default(), &mut Silent).unwrap()
    };
    let found = prune("bits = [1, 5]\nlose_at_most = 4.0");
    let searched = found.searched.unwrap();
    assert!(searched.error <= found.dense_error + 0.04 + 1e-6 && searched.bits.iter().all(|b| (1..=5).contains(b)), "{searched:?}");
    assert!(searched.bits.iter().sum::<u32>() < 10, "nothing was saved: {searched:?}");
    let shared = found.shared.unwrap();
    for (layer, bits) in shared.layers.iter().zip(&searched.bits) {
        assert!(layer.codebook.len() < 1 << bits, "{} codes of {bits} bits", layer.codebook.len());
    }
    // without tuning the network is the one that was tried
    assert_eq!(error(&shared.dense, &data), searched.error);
    assert_eq!(found.sharing.unwrap().error, searched.error);

    // one shared weight loses more than nothing: what pruning may lose holds for sharing too
    let found = prune("codes = [1]");
    assert!(found.passes[0].accepted && found.shared.is_none() && found.searched.is_none());
    let sharing = found.sharing.unwrap();
    assert!(!sharing.accepted && sharing.error > found.dense_error, "{sharing:?}");
    // its own limit stands before that
    assert!(prune("codes = [1]\nlose_at_most = 100.0").shared.is_some());
    // no bits of the range will do
    let found = prune("bits = [1, 1]");
    assert!(found.searched.is_none() && found.sharing.is_none() && found.shared.is_none());
    assert_eq!(found.pruned, dense);
}

#[test]
fn a_break_behind_a_rejected_pass_changes_nothing() {
    let tables = "[prune]\ndensity = [0.5, 0.0005, 0.0004]\nschedule = \"once\"\nretrain = 2\nbatch = 32\nlose_at_most = 10.0\n\
        [share]\ncodes = [7]\nepochs = 2\nbatch = 32\nlose_at_most = 100.0";
    let config = config(LAYERS, "epochs = 8\nbatch = 16", tables);
    let data = Data::load(&config).unwrap();
    let dense = dense(&config, &data);
    // in the pass that is rejected, and in sharing behind it
    let kills = [("prune 2", 1), ("share", 0), ("share", 1)];
    let [broken, whole] = broken_and_whole(&kills, |checkpoints, progress| retrain::prune(&config, &dense, &data, checkpoints, progress));
    assert_eq!(whole.passes.iter().map(|p| p.accepted).collect::<Vec<_>>(), [true, false]);
    assert!(whole.shared.is_some());
    assert_eq!(broken, whole);
}

fn retrain_density(dense: &Dense) -> f64 {
    dense.density()
}

#[test]
fn layers_keep_what_they_say() {
    let model = LAYERS
        .replace("outputs = 24", "outputs = 24\ndensity = 0.1")
        .replace("outputs = 10", "outputs = 10\nquality = 1.0\ngrain = { bank-balanced = 2 }");
    let config = config(
        &model,
        "epochs = 4\nbatch = 16",
        "[prune]\ncriterion = \"layer\"\ndensity = [1.0]\nepochs = 1\nretrain = 0\nbatch = 64\n[share]\ncodes = []",
    );
    let data = Data::load(&config).unwrap();
    let found = retrain::prune(&config, &dense(&config, &data), &data, &Checkpoints::default(), &mut Silent).unwrap();
    let layers = &found.pruned.layers;
    // a tenth of 18,816; a unit that nothing reads any more takes its weights with it
    assert!((1500..=1882).contains(&layers[0].weights.nonzeros()), "{}", layers[0].weights.nonzeros());
    let halves = |row: &[f32]| [&row[..12], &row[12..]].map(|half| half.iter().filter(|w| **w != 0.0).count());
    let counts: Vec<[usize; 2]> = (0..10).map(|row| halves(layers[1].weights.row(row))).collect();
    assert!(counts.iter().all(|c| *c == counts[0]) && counts[0][0] == counts[0][1], "{counts:?}");
    assert!((1..=6).contains(&counts[0][0]));
}

#[test]
fn data_that_does_not_fit_is_refused() {
    let fails = |model: &str, keys: &str, expected: &str| {
        let config = config(model, keys, "");
        let found = Data::load(&config).and_then(|data| classify::train(&config, &data, &Checkpoints::default(), &mut Silent));
        let error = found.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    fails(&LAYERS.replace("outputs = 24\n", ""), "epochs = 1", "layer a: found no outputs");
    fails(&LAYERS.replace("outputs = 24\n", "outputs = 1000000000000\n"), "epochs = 1", "layer a: found 1,000,000,000,000 outputs");
    fails(&LAYERS.replace("outputs = 10", "outputs = 9"), "epochs = 1", "found class 9, expected one of the 9 outputs");
    fails(&CONVOLUTION.replace("kernel = [5, 5]", "kernel = [29, 5]"), "epochs = 1", "layer c:");
    fails(LAYERS, "epochs = 1\nrate = 1e30", "a lower rate may help");
    let mut short = config(LAYERS, "", "");
    short.train.held_out = 100_000;
    assert!(Data::load(&short).unwrap_err().to_string().contains("expected more than train.held_out, 100,000"));
}
