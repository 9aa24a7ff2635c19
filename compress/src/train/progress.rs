//! What a training tells while it runs.

/// Hears how a training goes; all of it may be ignored.
pub trait Progress {
    /// Before each epoch, counted from 0: what is being done, and how many steps the epoch has.
    fn epoch_started(&mut self, _what: &str, _epoch: usize, _epochs: usize, _steps: usize) {}
    /// After each step: the loss of its batch.
    fn step(&mut self, _step: usize, _loss: f64) {}
    /// After each epoch: the mean loss of its batches, and the error on what is held out (of a classifier a share, of a
    /// language model bits per character).
    fn epoch_ended(&mut self, _epoch: usize, _loss: f64, _error: f64) {}
    /// Something worth a line of its own.
    fn note(&mut self, _text: &str) {}
}

/// Hears nothing.
pub struct Silent;

impl Progress for Silent {}
