//! Cross entropy of a softmax, on symbols and on what another network says.

use super::lstm::{exp, read};
use candle_core::{bail, CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use pulp::{Arch, Simd, WithSimd};
use std::sync::{Mutex, PoisonError};

/// What the answers are held against.
pub struct Targets<'a> {
    /// Of each row.
    pub symbols: &'a [u32],
    /// Probabilities by another network, of each row, and their share in the target; the rest is the symbol's.
    pub taught: Option<(Vec<f32>, f32)>,
}

/// Mean cross entropy in nats of the rows of (rows, symbols) logits.
pub fn cross_entropy(logits: &Tensor, targets: Targets) -> Result<Tensor> {
    let (share, taught) = targets.taught.map_or((0.0, vec![]), |(taught, share)| (share, taught));
    let op = CrossEntropy { symbols: targets.symbols.to_vec(), taught, share, gradient: Mutex::default(), arch: Arch::new() };
    logits.apply_op1(op)
}

/// Sum over the rows of the bits that a symbol costs.
pub fn bits(logits: &Tensor, symbols: &[u32]) -> Result<f64> {
    let width = logits.dim(1)?;
    read(logits, |values| {
        let rows = values.chunks_exact(width).zip(symbols);
        rows.map(|(row, symbol)| {
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let total: f64 = row.iter().map(|l| f64::from(l - most).exp()).sum();
            total.log2() - f64::from(row[*symbol as usize] - most) / std::f64::consts::LN_2
        })
        .sum()
    })
}

/// Probabilities of (rows, symbols) logits.
pub fn probabilities(logits: &Tensor) -> Result<Vec<f32>> {
    let width = logits.dim(1)?;
    read(logits, |values| {
        let mut all = values.to_vec();
        Arch::new().dispatch(Rows { values: &mut all, width });
        all
    })
}

/// Logits become probabilities; returns the logarithm of the sum that they were divided by, the largest logit included.
#[inline(always)]
fn softmax(row: &mut [f32]) -> f32 {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for v in row.iter_mut() {
        *v = exp(*v - most);
    }
    let total: f32 = row.iter().sum();
    for v in row.iter_mut() {
        *v /= total;
    }
    most + total.ln()
}

/// Logits in rows that become probabilities.
struct Rows<'a> {
    values: &'a mut [f32],
    width: usize,
}

impl WithSimd for Rows<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for row in self.values.chunks_exact_mut(self.width) {
            softmax(row);
        }
    }
}

/// [`CrossEntropy::rows`]
struct Losses<'a> {
    of: &'a CrossEntropy,
    values: &'a mut [f32],
    width: usize,
}

impl WithSimd for Losses<'_> {
    type Output = f64;
    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> f64 {
        self.of.rows(self.values, self.width)
    }
}

struct CrossEntropy {
    symbols: Vec<u32>,
    taught: Vec<f32>,
    share: f32,
    gradient: Mutex<Vec<f32>>,
    arch: Arch,
}

impl CrossEntropy {
    /// The sum of the losses; the logits become their gradients.
    #[inline(always)]
    fn rows(&self, values: &mut [f32], width: usize) -> f64 {
        let mean = 1.0 / self.symbols.len() as f32;
        let mut sum = 0.0;
        for (r, (row, symbol)) in values.chunks_exact_mut(width).zip(&self.symbols).enumerate() {
            let symbol = *symbol as usize;
            let logit = row[symbol];
            let taught = if self.share > 0.0 { &self.taught[r * width..(r + 1) * width] } else { &[] };
            let expected: f32 = taught.iter().zip(&*row).map(|(q, l)| q * l).sum();
            let total = softmax(row);
            sum += f64::from(total - (1.0 - self.share) * logit - self.share * expected);
            row[symbol] -= 1.0 - self.share;
            for (v, q) in row.iter_mut().zip(taught) {
                *v -= self.share * q;
            }
            row.iter_mut().for_each(|v| *v *= mean);
        }
        sum
    }
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, width) = layout.shape().dims2()?;
        let Some((from, to)) = layout.contiguous_offsets() else { bail!("logits are not contiguous") };
        if rows != self.symbols.len() || (self.share > 0.0 && self.taught.len() != rows * width) {
            bail!("{rows} rows of {width} logits for {} symbols and {} probabilities", self.symbols.len(), self.taught.len());
        }
        let mut values = logits.as_slice::<f32>()?[from..to].to_vec();
        let sum = self.arch.dispatch(Losses { of: self, values: &mut values, width });
        *self.gradient.lock().unwrap_or_else(PoisonError::into_inner) = values;
        Ok((CpuStorage::F32(vec![(sum / rows as f64) as f32]), Shape::from(())))
    }

    fn bwd(&self, logits: &Tensor, _loss: &Tensor, of_loss: &Tensor) -> Result<Option<Tensor>> {
        let gradient = std::mem::take(&mut *self.gradient.lock().unwrap_or_else(PoisonError::into_inner));
        let gradient = Tensor::from_vec(gradient, logits.shape(), logits.device())?;
        Ok(Some(gradient.broadcast_mul(of_loss)?))
    }
}
