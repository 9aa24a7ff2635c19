//! Learning rates and densities over the epochs of a training.

use serde::{Deserialize, Serialize};

/// The learning rate over the epochs, as a share of the first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Schedule {
    Constant,
    /// Times `factor` after every `every` epochs.
    Step {
        every: usize,
        factor: f64,
    },
    /// Half a cosine from 1 to nearly 0.
    Cosine,
}

impl Schedule {
    /// The share after `done` of `epochs` epochs; `done` may be between two.
    pub fn at(self, done: f64, epochs: usize) -> f64 {
        match self {
            Schedule::Constant => 1.0,
            Schedule::Step { every, factor } => factor.powi((done / every.max(1) as f64) as i32),
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * (done / epochs.max(1) as f64).clamp(0.0, 1.0)).cos()),
        }
    }
}

/// The density after the share `done` of the pruning, 0 to 1, from `start` to `end`: what is still to be pruned shrinks with
/// the third power of what is left (Zhu and Gupta, 2017).
pub fn cubic_density(start: f64, end: f64, done: f64) -> f64 {
    end + (start - end) * (1.0 - done.clamp(0.0, 1.0)).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_fall_as_they_should() {
        assert_eq!(Schedule::Constant.at(7.5, 10), 1.0);
        let step = Schedule::Step { every: 3, factor: 0.5 };
        assert_eq!([0.0, 2.9, 3.0, 6.0].map(|e| step.at(e, 9)), [1.0, 1.0, 0.5, 0.25]);
        assert_eq!(Schedule::Cosine.at(0.0, 10), 1.0);
        assert!((Schedule::Cosine.at(5.0, 10) - 0.5).abs() < 1e-12 && Schedule::Cosine.at(10.0, 10) < 1e-12);
    }

    #[test]
    fn the_density_ends_where_it_should() {
        assert_eq!(cubic_density(1.0, 0.1, 0.0), 1.0);
        assert_eq!(cubic_density(1.0, 0.1, 1.0), 0.1);
        assert!((cubic_density(1.0, 0.2, 0.5) - 0.3).abs() < 1e-12);
    }
}
