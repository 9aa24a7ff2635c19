use super::*;
use crate::import::load_recurrent;
use crate::model::Candidate;
use crate::recurrent::{prune as prune_once, Density, Pruning};
use crate::train::progress::Silent;
use crate::train::text::{Text, HELD_OUT};

const PES: usize = 4;

/// Words that say something about the next letter.
fn text() -> Text {
    let words = ["bread ", "and ", "cheese ", "with ", "a ", "pear "];
    Text::new(&(0..400usize).map(|k| words[k * k % 7 % words.len()]).collect::<String>())
}

fn settings() -> LanguageSettings {
    let stage = |density, epochs| Stage { density, epochs, rate: 1e-2, dropout: 0.1 };
    LanguageSettings {
        seed: 3,
        layers: 2,
        cells: 12,
        projection: None,
        peepholes: false,
        streams: 4,
        steps: 16,
        rename: 0.0,
        clip: 1.0,
        learning: Learning::default(),
        dense: Phase { epochs: 3, rate: 2e-2, dropout: 0.1 },
        prune: Some(PruneSettings {
            pes: PES,
            distill: 0.5,
            share: Share::Magnitude,
            pruning: 0.5,
            lose_at_most: None,
            stage: vec![stage(0.5, 2), stage(0.2, 2)],
        }),
    }
}

fn bits_of(network: &Recurrent) -> Vec<u32> {
    let gates = network.lstm.iter().flat_map(|l| l.input_weights.iter().chain(&l.hidden_weights));
    gates.flat_map(|m| m.data.iter().map(|w| w.to_bits())).collect()
}

/// Stops a training by a panic after an epoch, as a kill would.
struct Killed {
    part: &'static str,
    epoch: usize,
    now: bool,
}

impl Progress for Killed {
    fn epoch_started(&mut self, what: &str, epoch: usize, _: usize, _: usize) {
        self.now = what == self.part && epoch == self.epoch;
    }
    fn step(&mut self, step: usize, _: f64) {
        assert!(!(self.now && step == 2), "killed");
    }
}

#[test]
fn training_learns_and_a_break_changes_nothing() {
    let (text, settings) = (text(), settings());
    let parts = text.parts(Path::new("text"), HELD_OUT).unwrap();
    let symbols = text.vocabulary.len();
    let dense = train(&settings, &parts, symbols, &Checkpoints::default(), &mut Silent).unwrap();
    assert!(dense.held_out < 0.75 * (symbols as f64).log2(), "{}", dense.held_out);
    let pruned = prune(&settings, &dense.network, &parts, &Checkpoints::default(), &mut Silent).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints { file: Some(folder.path().join("net.checkpoint")), resume: true };
    let whole = |progress: &mut dyn Progress| {
        let dense = train(&settings, &parts, symbols, &checkpoints, progress)?;
        prune(&settings, &dense.network, &parts, &checkpoints, progress)
    };
    for (part, epoch) in [("dense", 1), ("density 0.5", 0), ("density 0.2", 1)] {
        let mut killed = Killed { part, epoch, now: false };
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| whole(&mut killed))).is_err(), "{part}");
    }
    let again = whole(&mut Silent).unwrap();
    for (once, again) in pruned.iter().zip(&again) {
        assert_eq!(bits_of(&once.network), bits_of(&again.network));
        assert_eq!((once.density, once.held_out), (again.density, again.held_out));
    }
    let other = LanguageSettings { seed: 4, ..settings };
    let error = train(&other, &parts, symbols, &checkpoints, &mut Silent).unwrap_err().to_string();
    assert!(error.contains("another configuration"), "{error}");
}

#[test]
fn every_pe_keeps_as_many_weights_and_none_comes_back() {
    let (text, settings) = (text(), settings());
    let parts = text.parts(Path::new("text"), HELD_OUT).unwrap();
    for share in [Share::Uniform, Share::Magnitude, Share::Relative] {
        let mut settings = settings.clone();
        settings.prune.as_mut().unwrap().share = share;
        let shape = Shape { symbols: text.vocabulary.len(), layers: 2, cells: 12, projection: None, peepholes: false };
        let start = RecurrentVariables::new(&shape, 1).unwrap().to_model().unwrap();
        let stages = prune(&settings, &start, &parts, &Checkpoints::default(), &mut Silent).unwrap();
        for (trained, density) in stages.iter().zip([0.5, 0.2]) {
            let zeros = bits_of(&trained.network).iter().filter(|w| **w == 0).count();
            let kept = 1.0 - zeros as f64 / bits_of(&trained.network).len() as f64;
            assert!(kept <= density && kept > density - 0.03 && (kept - trained.density).abs() < 1e-6, "{share:?}: {kept} of {density}");
            // the compiler's own count of what each PE has
            let all = Density { lstm: vec![], layers: vec![] };
            let (_, reports) = prune_once(&trained.network, Pruning::LoadBalanced, &all, PES).unwrap();
            let gates = reports.iter().filter(|r| r.name.starts_with("lstm"));
            assert!(gates.clone().count() == 16 && gates.clone().all(|r| r.load_balanced.imbalance == 1.0), "{reports:?}");
        }
        let [first, second] = [0, 1].map(|s| bits_of(&stages[s].network));
        assert!(first.iter().zip(&second).all(|(first, second)| *first != 0 || *second == 0), "{share:?}: a weight came back");
        assert!(first.iter().zip(&second).any(|(first, second)| *second != 0 && first != second), "{share:?}: retrained");
    }
}

#[test]
fn one_run_is_what_the_streams_are_of_one() {
    let (text, shape) = (text(), Shape { symbols: 12, layers: 1, cells: 5, projection: None, peepholes: true });
    let network = RecurrentVariables::new(&Shape { symbols: text.vocabulary.len(), ..shape }, 1).unwrap();
    let one = bits_in_one_run(&network, &text.symbols).unwrap();
    assert_eq!(one.len(), text.symbols.len() - 1);
    let mean = one.iter().sum::<f64>() / one.len() as f64;
    let streams = bits_in_streams(&network, &text.symbols, 1, 37).unwrap();
    assert!((mean - streams).abs() < 1e-5, "{mean} {streams}");
    // a network that knows nothing needs about the bits of equally likely symbols
    assert!((mean - (text.vocabulary.len() as f64).log2()).abs() < 0.3);
}

#[test]
fn what_is_saved_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    for (peepholes, projection, candidate) in
        [(false, None, Candidate::Tanh), (false, Some(3), Candidate::Tanh), (true, Some(3), Candidate::Sigmoid)]
    {
        let shape = Shape { symbols: 7, layers: 2, cells: 5, projection, peepholes };
        let mut network = RecurrentVariables::new(&shape, 2).unwrap().to_model().unwrap();
        network.lstm[1].candidate = candidate;
        let config = save_network(&path, &network).unwrap();
        assert_eq!(load_recurrent(&config).unwrap(), [network]);
    }
}
