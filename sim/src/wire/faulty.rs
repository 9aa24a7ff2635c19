//! A line that goes wrong on purpose, by a seed: to show what a load does on one.

use super::Line;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io;
use std::time::Duration;

/// What happens to bytes, in either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Becomes another one.
    Corrupted,
    Dropped,
    Repeated,
    /// It and what follows come only when more is sent, or after the patience of whoever waits.
    Delayed,
    /// The line breaks after some thousands of bytes, again and again; every third time the board restarts with it.
    Pulled,
    /// The line breaks once, and stays broken.
    Dead,
}

/// A line with faults.
pub struct Faulty<L> {
    pub inner: L,
    fault: Fault,
    /// Of a byte.
    probability: f64,
    random: ChaCha8Rng,
    /// Bytes that are held back, on their way out and in.
    out: Vec<u8>,
    back: Vec<u8>,
    /// Bytes until the cable is pulled.
    left: usize,
    broken: bool,
    /// Times that it did.
    pub faults: u64,
    /// Makes the board start anew.
    restart: fn(&mut L) -> io::Result<()>,
}

impl<L: Line> Faulty<L> {
    pub fn new(inner: L, fault: Fault, probability: f64, seed: u64, restart: fn(&mut L) -> io::Result<()>) -> Faulty<L> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let left = random.random_range(100..4000);
        Faulty { inner, fault, probability, random, out: vec![], back: vec![], left, broken: false, faults: 0, restart }
    }

    /// What becomes of these bytes. With [`Fault::Delayed`], what is held back stays in `held`.
    fn hurt(&mut self, bytes: &[u8], held: &mut Vec<u8>) -> Vec<u8> {
        let mut through = std::mem::take(held);
        let mut holding = false;
        for byte in bytes {
            let hit = self.random.random_bool(self.probability);
            let kind = if hit { self.fault } else { Fault::None };
            self.faults += u64::from(kind != Fault::None);
            match kind {
                Fault::Corrupted => through.push(byte ^ self.random.random_range(1..=255u8)),
                Fault::Dropped => {}
                Fault::Repeated => through.extend([*byte, *byte]),
                Fault::Delayed => holding = true,
                Fault::None | Fault::Pulled | Fault::Dead => {}
            }
            if holding {
                held.push(*byte);
            } else if !matches!(kind, Fault::Corrupted | Fault::Dropped | Fault::Repeated) {
                through.push(*byte);
            }
        }
        through
    }

    /// Counts bytes until the cable is pulled.
    fn pull(&mut self, bytes: usize) -> io::Result<()> {
        if !matches!(self.fault, Fault::Pulled | Fault::Dead) {
            return Ok(());
        }
        self.broken = self.broken || bytes >= self.left;
        self.left = self.left.saturating_sub(bytes);
        if self.broken {
            self.faults += 1;
            return Err(io::ErrorKind::NotConnected.into());
        }
        Ok(())
    }
}

impl<L: Line> Line for Faulty<L> {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        // half of it may be on its way when the cable goes
        if let Err(e) = self.pull(bytes.len()) {
            self.inner.send(&bytes[..bytes.len() / 2])?;
            return Err(e);
        }
        let mut held = std::mem::take(&mut self.out);
        let through = self.hurt(bytes, &mut held);
        self.out = held;
        self.inner.send(&through)
    }

    fn receive(&mut self, into: &mut Vec<u8>, patience: Duration) -> io::Result<()> {
        let mut found = vec![];
        self.inner.receive(&mut found, patience)?;
        self.pull(found.len())?;
        let mut held = std::mem::take(&mut self.back);
        let through = self.hurt(&found, &mut held);
        self.back = held;
        into.extend(through);
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        if self.fault == Fault::Dead || self.random.random_bool(0.5) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.broken = false;
        self.left = self.random.random_range(1000..8000);
        if self.random.random_ratio(1, 3) {
            (self.restart)(&mut self.inner)?;
        }
        self.inner.reopen()
    }

    fn pause(&mut self, time: Duration) {
        self.inner.pause(time);
    }

    fn duration(&self, bytes: usize) -> Duration {
        self.inner.duration(bytes)
    }

    fn name(&self) -> String {
        self.inner.name()
    }
}
