//! What a configuration file says about a language model: its layers, its text, and how it is trained and pruned.

use super::{tensors, LanguageSettings, Learning, Phase, PruneSettings, Share, Stage};
use crate::config::{Config, Criterion, Direction, LstmConfig, LstmFormat, Prune, PruneSchedule, ShareConfig};
use crate::error::{grouped, Error};
use crate::import::load_recurrent;
use crate::model::{Activation, Recurrent};
use crate::train::lstm::{LayerShape, RecurrentVariables};
use crate::train::schedule::Schedule;
use crate::train::text::{Parts, Text};
use std::path::PathBuf;

/// The text of `[train]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Corpus {
    pub path: PathBuf,
    pub text: Text,
    /// Symbols at its end.
    pub held_out: usize,
}

/// A configuration of a language model, which holds for training and pruning.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    config: &'a Config,
}

fn wrong(fault: String) -> Error {
    Error::Training(fault)
}

impl Corpus {
    /// Errors: no `train.text`, what [`Text::load`] finds, a text too short for `train.held_out`.
    pub fn load(config: &Config) -> Result<Corpus, Error> {
        let Some(text) = &config.train.text else {
            return Err(wrong("found no train.text in the configuration, expected the text that the LSTM learns to predict".to_string()));
        };
        let (path, held_out) = (config.path(text), config.train.held_out);
        let vocabulary = config.train.vocabulary.as_ref().map(|file| config.path(file));
        let text = Text::load(&path, vocabulary.as_deref())?;
        let found = text.symbols.len();
        if held_out < 2 {
            return Err(wrong(format!("train.held_out is {held_out}, expected at least 2 characters: each predicts the next")));
        }
        if found <= held_out {
            let expected = format!("more than train.held_out, {}", grouped(held_out));
            return Err(Error::Format { path, found: format!("{} characters", grouped(found)), expected });
        }
        Ok(Corpus { path, text, held_out })
    }

    /// Nothing is left to be measured at the end: the user has the rest of the text.
    pub fn parts(&self) -> Parts<'_> {
        let (train, held_out) = self.text.symbols.split_at(self.text.symbols.len() - self.held_out);
        Parts { vocabulary: &self.text.vocabulary, train, held_out, test: &[] }
    }

    /// Symbols that there are.
    pub fn symbols(&self) -> usize {
        self.text.vocabulary.len()
    }
}

impl<'a> Task<'a> {
    /// Errors: layers that a language model does not have, keys that mean nothing for a text.
    pub fn new(config: &'a Config) -> Result<Task<'a>, Error> {
        for lstm in &config.model.lstm {
            let fault = |fault: &str| Err(Error::Layer { layer: lstm.label().to_string(), fault: fault.to_string() });
            if lstm.format == LstmFormat::Onnx {
                return fault("found format onnx, expected pytorch or tensorflow, whose tensors can be written");
            }
            if lstm.direction.unwrap_or_default() != Direction::Forward {
                return fault("found another direction, expected forward: each character predicts the next");
            }
        }
        let [layer] = &config.model.layer[..] else {
            let found = config.model.layer.len();
            return Err(wrong(format!("found {found} layers behind the LSTM, expected one, whose outputs are the characters")));
        };
        if layer.activation != Activation::None {
            let fault = "found an activation, expected \"none\": its outputs are logits".to_string();
            return Err(Error::Layer { layer: layer.label().to_string(), fault });
        }
        let train = &config.train;
        if train.shift != 0 || train.rotate != 0.0 {
            return Err(wrong("found train.shift or train.rotate, expected none for a text: they move images".to_string()));
        }
        Ok(Task { config })
    }

    /// The network to train from nothing. Errors: a layer without its sizes, one whose tensors cannot be written.
    pub fn start(&self, corpus: &Corpus) -> Result<RecurrentVariables, Error> {
        let config = self.config;
        let shape = |lstm: &LstmConfig| {
            let lacks = |key: &str| {
                let fault = format!("found no {key}, which training from nothing needs");
                Err(Error::Layer { layer: lstm.label().to_string(), fault })
            };
            let Some(cells) = lstm.cells else { return lacks("cells") };
            if lstm.projects() && lstm.hidden.is_none() {
                return lacks("hidden, the values of the projection");
            }
            let (peepholes, candidate) = (lstm.w_i_diag.is_some(), lstm.candidate.unwrap_or_default());
            Ok(LayerShape { cells, projection: lstm.hidden, peepholes, candidate })
        };
        let shapes = config.model.lstm.iter().map(shape).collect::<Result<Vec<_>, Error>>()?;
        let symbols = corpus.symbols();
        if let Some((layer, outputs)) = config.model.layer.iter().find_map(|l| Some((l, l.outputs.filter(|o| *o != symbols)?))) {
            let of = format!("the characters of {}", corpus.path.display());
            let fault = format!("outputs is {}, expected {}, {of}", grouped(outputs), grouped(symbols));
            return Err(Error::Layer { layer: layer.label().to_string(), fault });
        }
        let network = RecurrentVariables::of_layers(symbols, &shapes, config.train.seed)?;
        // what could not be written is refused before it is trained
        tensors(&config.model, &network.to_model()?)?;
        Ok(network)
    }

    /// The network of `model.file`. Errors: one that is not of the text's characters, tensors that cannot be written again.
    pub fn trained(&self, corpus: &Corpus) -> Result<Recurrent, Error> {
        let path = self.config.path(&self.config.model.file);
        let network = load_recurrent(self.config)?.into_iter().next().ok_or_else(|| wrong("found no network".to_string()))?;
        let (found, symbols) = (network.inputs(), corpus.symbols());
        if found != symbols {
            let expected = format!("{}, one for each character of {}", grouped(symbols), corpus.path.display());
            return Err(Error::Format { path, found: format!("{} inputs", grouped(found)), expected });
        }
        tensors(&self.config.model, &network)?;
        Ok(network)
    }

    /// How the dense network is trained.
    pub fn training(&self) -> Result<LanguageSettings, Error> {
        let train = &self.config.train;
        let learning = Learning {
            optimizer: train.optimizer,
            momentum: train.momentum,
            weight_decay: train.weight_decay,
            schedule: train.learning_schedule(),
        };
        self.settings("train", train.batch, learning)
    }

    /// The same with what `[prune]` says instead.
    pub fn pruning(&self) -> Result<LanguageSettings, Error> {
        let (config, prune) = (self.config, &self.config.prune);
        let learning =
            Learning { optimizer: prune.optimizer, momentum: prune.momentum, weight_decay: prune.weight_decay, schedule: Schedule::Cosine };
        if prune.distill > 0.0 && prune.temperature != 1.0 {
            return Err(wrong(format!("prune.temperature is {}, expected 1 for a text", prune.temperature)));
        }
        if prune.retrain == 0 {
            return Err(wrong("prune.retrain is 0, expected at least 1 for a text".to_string()));
        }
        if config.share != ShareConfig::default() {
            return Err(wrong("found [share], expected none behind an LSTM: lacuna compress shares its weights".to_string()));
        }
        let share = match prune.criterion {
            Criterion::Lamp => Share::Lamp,
            Criterion::Magnitude => Share::Magnitude,
            Criterion::Layer => Share::Uniform,
        };
        let cutting = if prune.schedule == PruneSchedule::Cubic { prune.epochs } else { 0 };
        let epochs = cutting + prune.retrain;
        // as many connections as are left drop as many (Learning both Weights and Connections, section 3.3)
        let dropout = |density: f64| (config.train.dropout * density.sqrt()) as f32;
        let stage = |density: &f64| Stage { density: *density, epochs, rate: prune.rate, dropout: dropout(*density) };
        Ok(LanguageSettings {
            prune: Some(PruneSettings {
                pes: self.pes()?,
                distill: prune.distill as f32,
                share,
                pruning: cutting as f64 / epochs as f64,
                lose_at_most: prune.lose_at_most,
                stage: prune.density.iter().map(stage).collect(),
            }),
            ..self.settings("prune", prune.batch, learning)?
        })
    }

    /// PEs that all get as many weights; with `prune = "magnitude"` a matrix is one part.
    fn pes(&self) -> Result<usize, Error> {
        let balanced = |lstm: &LstmConfig| lstm.prune == Prune::LoadBalanced;
        let lstm = &self.config.model.lstm;
        match (lstm.iter().all(balanced), lstm.iter().any(balanced)) {
            (true, _) => Ok(self.config.accelerator.pes),
            (false, false) => Ok(1),
            _ => Err(wrong("found layers with prune = \"magnitude\" and others, expected the same for all".to_string())),
        }
    }

    fn settings(&self, table: &str, streams: usize, learning: Learning) -> Result<LanguageSettings, Error> {
        let train = &self.config.train;
        if streams > 4096 {
            return Err(wrong(format!("{table}.batch is {}, expected 1 to 4,096 for a text", grouped(streams))));
        }
        Ok(LanguageSettings {
            seed: train.seed,
            // the sizes are those of the layers
            layers: 1,
            cells: 1,
            projection: None,
            peepholes: false,
            streams,
            steps: train.steps,
            rename: train.rename,
            clip: train.clip,
            learning,
            dense: Phase { epochs: train.epochs, rate: train.rate, dropout: train.dropout as f32 },
            prune: None,
        })
    }
}
