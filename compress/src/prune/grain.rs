//! What is pruned as one: a weight, a vector, a kernel, a filter (Mao et al. 2017), and rules that keep equally many
//! everywhere: n of m, in every PE (ESE), in every bank (Cao et al. 2019).

use super::select::{key32, key64, Cut};
use crate::error::Error;
use crate::model::{Conv, Matrix};
use serde::{Deserialize, Serialize};

/// The pattern in which weights of a layer stay or go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum Grain {
    /// Each weight on its own.
    #[default]
    Weight,
    /// `length` consecutive weights of a row; of a convolution, of a row of a kernel. What is left at the end is a vector too.
    Vector { length: usize },
    /// The weights of one filter for one channel; convolutions only.
    Kernel,
    /// A row of the matrix.
    Filter,
    /// The `n` largest of every `m` consecutive weights of a row; this fixes the density.
    NofM { n: usize, m: usize },
    /// The same share of the rows of each PE; row r belongs to PE r mod `pes`.
    Balanced { pes: usize },
    /// The same number in each of the `banks` parts of a row, whose sizes differ by one at most.
    BankBalanced { banks: usize },
}

/// As it stands in a configuration: `"weight"`, `{ vector = 4 }`, `{ n-of-m = [2, 4] }`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Written {
    Weight,
    Vector(usize),
    Kernel,
    Filter,
    NOfM(usize, usize),
    Balanced(usize),
    BankBalanced(usize),
}

impl From<Written> for Grain {
    fn from(written: Written) -> Grain {
        match written {
            Written::Weight => Grain::Weight,
            Written::Vector(length) => Grain::Vector { length },
            Written::Kernel => Grain::Kernel,
            Written::Filter => Grain::Filter,
            Written::NOfM(n, m) => Grain::NofM { n, m },
            Written::Balanced(pes) => Grain::Balanced { pes },
            Written::BankBalanced(banks) => Grain::BankBalanced { banks },
        }
    }
}

impl From<Grain> for Written {
    fn from(grain: Grain) -> Written {
        match grain {
            Grain::Weight => Written::Weight,
            Grain::Vector { length } => Written::Vector(length),
            Grain::Kernel => Written::Kernel,
            Grain::Filter => Written::Filter,
            Grain::NofM { n, m } => Written::NOfM(n, m),
            Grain::Balanced { pes } => Written::Balanced(pes),
            Grain::BankBalanced { banks } => Written::BankBalanced(banks),
        }
    }
}

impl std::fmt::Display for Grain {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Grain::Weight => write!(f, "weight"),
            Grain::Vector { length } => write!(f, "vector of {length}"),
            Grain::Kernel => write!(f, "kernel"),
            Grain::Filter => write!(f, "filter"),
            Grain::NofM { n, m } => write!(f, "{n} of {m}"),
            Grain::Balanced { pes } => write!(f, "balanced over {pes} PEs"),
            Grain::BankBalanced { banks } => write!(f, "balanced over {banks} banks"),
        }
    }
}

impl Grain {
    /// Most PEs of an accelerator.
    const MOST_PES: usize = 256;

    /// The rules that need no weights: what was found and what was expected, if one is broken.
    pub fn check(&self) -> Result<(), String> {
        match *self {
            Grain::Vector { length: 0 } => Err("grain is a vector of 0, expected at least 1".into()),
            Grain::NofM { n, m } if n == 0 || n > m => Err(format!("grain is {n} of {m}, expected 1 of 1 or more, at most all")),
            Grain::Balanced { pes } if !(1..=Self::MOST_PES).contains(&pes) => {
                Err(format!("grain is balanced over {pes} PEs, expected 1 to {}", Self::MOST_PES))
            }
            Grain::BankBalanced { banks: 0 } => Err("grain is balanced over 0 banks, expected at least 1".into()),
            _ => Ok(()),
        }
    }

    /// The density that the grain itself fixes.
    pub fn density(&self) -> Option<f64> {
        match *self {
            Grain::NofM { n, m } => Some(n as f64 / m as f64),
            _ => None,
        }
    }

    /// Where the pieces of a row start, and the row's end: of the grains, or of the parts that keep equally many.
    pub(super) fn borders(&self, columns: usize, conv: Option<Conv>) -> Vec<usize> {
        let steps = |first: usize, end: usize, step: usize| (first..end).step_by(step);
        let mut borders: Vec<usize> = match (*self, conv) {
            (Grain::Weight | Grain::Balanced { .. }, _) => (0..columns).collect(),
            (Grain::Vector { length }, None) => steps(0, columns, length).collect(),
            (Grain::Vector { length }, Some(conv)) => {
                let width = conv.kernel[1];
                steps(0, columns, width).flat_map(|first| steps(first, (first + width).min(columns), length)).collect()
            }
            (Grain::Kernel, conv) => steps(0, columns, conv.map_or(columns, |c| c.kernel[0] * c.kernel[1])).collect(),
            (Grain::Filter, _) => vec![0],
            (Grain::NofM { m, .. }, _) => steps(0, columns, m).collect(),
            (Grain::BankBalanced { banks }, _) => (0..banks).map(|b| b * columns / banks).collect(),
        };
        borders.push(columns);
        borders
    }
}

/// Which weights of a matrix stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    pub rows: usize,
    pub columns: usize,
    /// `keep[row * columns + column]`
    pub keep: Vec<bool>,
}

impl Mask {
    pub fn kept(&self) -> usize {
        self.keep.iter().filter(|keep| **keep).count()
    }
    /// Share of weights that stay.
    pub fn density(&self) -> f64 {
        self.kept() as f64 / self.keep.len().max(1) as f64
    }
    /// Makes the weights zero that go.
    ///
    /// # Panics
    /// Unless there are as many weights as the mask has places.
    pub fn apply(&self, weights: &mut [f32]) {
        assert_eq!(weights.len(), self.keep.len(), "weights of a mask");
        weights.iter_mut().zip(&self.keep).filter(|(_, keep)| !**keep).for_each(|(w, _)| *w = 0.0);
    }
}

/// The mask of the largest weights, see [`mask_by`]: a weight's score is its magnitude.
pub fn mask(weights: &Matrix, conv: Option<Conv>, grain: &Grain, density: f64) -> Result<Mask, Error> {
    build(&weights.data, f32::abs, weights.columns, conv, grain, density)
}

/// The mask of the highest scores, one for each weight in row-major order, `columns` in a row.
///
/// The score of a grain is the sum of its weights' (Mao et al. 2017, section 3); of one that is shorter than the others, at
/// the end of a row, their mean times the full length. `round(density x count)` stay of the grains, of the weights of
/// each PE, of an average bank; of n of m, n of each group, whatever the density. Of equal scores the earlier stays.
///
/// Errors: a density beyond 0 to 1, a grain that breaks [`Grain::check`] or does not suit the layer.
pub fn mask_by(scores: &[f32], columns: usize, conv: Option<Conv>, grain: &Grain, density: f64) -> Result<Mask, Error> {
    build(scores, |score| score, columns, conv, grain, density)
}

fn build(
    values: &[f32],
    score: impl Fn(f32) -> f32 + Copy,
    columns: usize,
    conv: Option<Conv>,
    grain: &Grain,
    density: f64,
) -> Result<Mask, Error> {
    let wrong = |fault: String| Err(Error::Grain(fault));
    grain.check().map_err(Error::Grain)?;
    if !(0.0..=1.0).contains(&density) {
        return wrong(format!("density is {density}, expected 0 to 1"));
    }
    if columns == 0 || !values.len().is_multiple_of(columns) {
        return wrong(format!("{} scores in rows of {columns}, expected whole rows", values.len()));
    }
    if conv.is_some_and(|conv| conv.patch() != columns) {
        return wrong(format!("a row has {columns} weights, expected {} as the filters have", conv.map_or(0, |c| c.patch())));
    }
    match *grain {
        Grain::Kernel if conv.is_none() => return wrong("grain is a kernel, expected another: the layer is fully connected".into()),
        Grain::BankBalanced { banks } if banks > columns => {
            return wrong(format!("grain is balanced over {banks} banks, expected at most the {columns} weights of a row"));
        }
        _ => {}
    }
    let rows = values.len() / columns;
    let mut keep = vec![false; values.len()];
    let of = |share: f64, count: usize| (share * count as f64).round() as usize;
    match *grain {
        Grain::Weight => {
            let mut cut = Cut::new(|| values.iter().map(|v| key32(score(*v))), 32, of(density, values.len()));
            keep.iter_mut().zip(values).for_each(|(keep, value)| *keep = cut.keeps(key32(score(*value))));
        }
        Grain::Balanced { pes } => {
            for pe in 0..pes.min(rows) {
                let rows = || (pe..rows).step_by(pes);
                let keys = || rows().flat_map(|r| &values[r * columns..(r + 1) * columns]).map(|v| key32(score(*v)));
                let mut cut = Cut::new(keys, 32, of(density, rows().count() * columns));
                let places = rows().flat_map(|r| r * columns..(r + 1) * columns);
                places.for_each(|i| keep[i] = cut.keeps(key32(score(values[i]))));
            }
        }
        Grain::Vector { .. } | Grain::Kernel | Grain::Filter => {
            let borders = grain.borders(columns, conv);
            let longest = borders.windows(2).map(|b| b[1] - b[0]).max().unwrap_or(1) as f64;
            let grains = || (0..rows).flat_map(|r| borders.windows(2).map(move |b| r * columns + b[0]..r * columns + b[1]));
            let salience = |grain: std::ops::Range<usize>| {
                let full = longest / grain.len() as f64;
                values[grain].iter().map(|v| f64::from(score(*v))).sum::<f64>() * full
            };
            let keys: Vec<u64> = grains().map(|g| key64(salience(g))).collect();
            let mut cut = Cut::new(|| keys.iter().copied(), 64, of(density, keys.len()));
            grains().zip(&keys).for_each(|(grain, key)| keep[grain].fill(cut.keeps(*key)));
        }
        Grain::NofM { .. } | Grain::BankBalanced { .. } => {
            let count = match *grain {
                Grain::NofM { n, .. } => n,
                Grain::BankBalanced { banks } => (density * columns as f64 / banks as f64).round() as usize,
                _ => unreachable!("the other grains are above"),
            };
            let borders = grain.borders(columns, conv);
            let mut order: Vec<usize> = vec![];
            for row in 0..rows {
                for part in borders.windows(2) {
                    order.clear();
                    order.extend(row * columns + part[0]..row * columns + part[1]);
                    let kept = count.min(order.len());
                    if kept < order.len() {
                        order.select_nth_unstable_by_key(kept, |i| (std::cmp::Reverse(key32(score(values[*i]))), *i));
                    }
                    order[..kept].iter().for_each(|i| keep[*i] = true);
                }
            }
        }
    }
    Ok(Mask { rows, columns, keep })
}

#[cfg(test)]
#[path = "grain/tests.rs"]
mod tests;
