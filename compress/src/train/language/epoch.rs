//! One epoch over the text in streams, and measurements.

use super::settings::LanguageSettings;
use crate::error::{grouped, Error};
use crate::train::loss::{bits, cross_entropy, probabilities, Targets};
use crate::train::lstm::{Dropout, LstmState, RecurrentVariables};
use crate::train::slices;
use candle_core::backprop::GradStore;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A text as streams of equal length, one behind the other, from a first symbol on.
#[derive(Clone, Copy)]
struct Streams<'a> {
    text: &'a [u32],
    first: usize,
    count: usize,
    /// Symbols of each stream that are read; each is followed by the one that it should predict.
    length: usize,
}

impl<'a> Streams<'a> {
    fn new(text: &'a [u32], first: usize, count: usize) -> Streams<'a> {
        Streams { text, first, count, length: text.len().saturating_sub(first + 1) / count }
    }
    /// Places in the text of `steps` steps from `from` on, ordered by step, then stream.
    fn places(&self, from: usize, steps: usize) -> impl Iterator<Item = usize> + 'a {
        let Streams { first, count, length, .. } = *self;
        (from..from + steps).flat_map(move |step| (0..count).map(move |stream| first + stream * length + step))
    }
    /// What is read and what is to be predicted.
    fn piece(&self, from: usize, steps: usize) -> (Vec<u32>, Vec<u32>) {
        self.places(from, steps).map(|place| (self.text[place], self.text[place + 1])).unzip()
    }
}

/// What another network says at every place of a text.
pub struct Teacher {
    share: f32,
    symbols: usize,
    /// Of each place of the text, the probability of every symbol to be the next.
    probabilities: Vec<f32>,
}

impl Teacher {
    /// Asks a network. Of each stream the first few answers are from a state that has seen little.
    pub fn new(network: &RecurrentVariables, text: &[u32], streams: usize, steps: usize, share: f32) -> Result<Teacher, Error> {
        let symbols = network.symbols();
        let mut all = vec![1.0 / symbols as f32; text.len() * symbols];
        each(network, Streams::new(text, 0, streams), steps, |places, logits, _| {
            let found = probabilities(logits)?;
            for (place, found) in places.zip(found.chunks_exact(symbols)) {
                all[place * symbols..(place + 1) * symbols].copy_from_slice(found);
            }
            Ok(())
        })?;
        Ok(Teacher { share, symbols, probabilities: all })
    }

    fn at(&self, places: impl Iterator<Item = usize>) -> Vec<f32> {
        let n = self.symbols;
        places.flat_map(|place| self.probabilities[place * n..(place + 1) * n].iter().copied()).collect()
    }
}

/// Runs a network over streams from zero states, without gradients.
fn each(
    network: &RecurrentVariables,
    streams: Streams,
    steps: usize,
    mut then: impl FnMut(&mut dyn Iterator<Item = usize>, &candle_core::Tensor, &[u32]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut state = network.state(streams.count);
    for from in (0..streams.length).step_by(steps) {
        let steps = steps.min(streams.length - from);
        let (symbols, next) = streams.piece(from, steps);
        let logits = network.forward(&symbols, streams.count, &mut state, None)?;
        then(&mut streams.places(from, steps), &logits.detach(), &next)?;
    }
    Ok(())
}

/// Bits per symbol of a text in streams side by side, each from zero state. Quick.
pub fn bits_in_streams(network: &RecurrentVariables, text: &[u32], streams: usize, steps: usize) -> Result<f64, Error> {
    let streams = Streams::new(text, 0, streams.min(text.len() / 2).max(1));
    let mut sum = 0.0;
    each(network, streams, steps, |_, logits, next| {
        sum += bits(logits, next)?;
        Ok(())
    })?;
    Ok(sum / (streams.count * streams.length).max(1) as f64)
}

/// The bits of each symbol but the first of a text that is read in one run from zero state.
pub fn bits_in_one_run(network: &RecurrentVariables, text: &[u32]) -> Result<Vec<f64>, Error> {
    let mut all = Vec::with_capacity(text.len());
    let symbols = network.symbols();
    each(network, Streams::new(text, 0, 1), 1000, |_, logits, next| {
        let rows = slices::values(logits)?;
        let of_row = |(row, next): (&[f32], &u32)| bits(&candle_core::Tensor::from_slice(row, (1, symbols), logits.device())?, &[*next]);
        for row in rows.chunks_exact(symbols).zip(next) {
            all.push(of_row(row)?);
        }
        Ok(())
    })?;
    Ok(all)
}

/// One pass over the text.
pub struct Epoch<'a> {
    settings: &'a LanguageSettings,
    streams: Streams<'a>,
    pub batches: usize,
    batch: usize,
    state: Vec<LstmState>,
    rng: ChaCha8Rng,
}

impl<'a> Epoch<'a> {
    /// `number` tells this epoch from all others. Errors: a text that is too short for the streams.
    pub fn new(settings: &'a LanguageSettings, text: &'a [u32], number: [usize; 2]) -> Result<Epoch<'a>, Error> {
        let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
        rng.set_stream(((number[0] as u64) << 32) + number[1] as u64 + 1);
        let streams = Streams::new(text, rng.random_range(0..settings.steps), settings.streams);
        let batches = streams.length / settings.steps;
        if batches == 0 {
            let least = (settings.streams + 1) * settings.steps + 1;
            let found = format!("{} symbols to train on", grouped(text.len()));
            return Err(Error::Training(format!("found {found}, expected at least {} for the streams and steps", grouped(least))));
        }
        Ok(Epoch { settings, streams, batches, batch: 0, state: vec![], rng })
    }

    pub fn symbols(&self) -> usize {
        self.batches * self.settings.steps * self.settings.streams
    }

    /// Loss in nats, and clipped gradients, of the next batch.
    pub fn gradients(&mut self, network: &RecurrentVariables, teacher: Option<&Teacher>, dropout: f32) -> Result<(f64, GradStore), Error> {
        let (count, steps) = (self.settings.streams, self.settings.steps);
        if self.state.is_empty() {
            self.state = network.state(count);
        }
        let from = self.batch * steps;
        self.batch += 1;
        let (symbols, next) = self.streams.piece(from, steps);
        let dropout = Dropout { rate: dropout, rng: &mut self.rng };
        let logits = network.forward(&symbols, count, &mut self.state, Some(dropout))?;
        let taught = teacher.map(|t| (t.at(self.streams.places(from, steps)), t.share));
        let loss = cross_entropy(&logits, Targets { symbols: &next, taught })?;
        let mut grads = loss.backward()?;
        clip(network, &mut grads, self.settings.clip)?;
        Ok((f64::from(loss.to_scalar::<f32>()?), grads))
    }
}

/// Scales all gradients together so that their norm is at most `most`.
fn clip(network: &RecurrentVariables, grads: &mut GradStore, most: f64) -> Result<(), Error> {
    let named = network.named();
    let mut squares = 0.0;
    for (_, var) in &named {
        if let Some(grad) = grads.get(var) {
            squares += slices::read(grad, |g| g.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>())?;
        }
    }
    let norm = squares.sqrt();
    if norm > most {
        for (_, var) in &named {
            if let Some(grad) = grads.remove(var) {
                grads.insert(var, (grad * (most / norm))?);
            }
        }
    }
    Ok(())
}
