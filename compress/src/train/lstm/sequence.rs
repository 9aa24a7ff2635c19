//! An LSTM layer over a whole sequence as one operation of the tensor library, with its gradient.
//!
//! What x adds to the gates is computed before, for all steps in one product. Here each step has one product with the hidden
//! matrix. Backward in time it is the same; the gradient of the hidden matrix is again one product over all steps.

use super::cell::{Backward, Forward};
use candle_core::{bail, CpuStorage, CustomOp3, DType, Device, Layout, Result, Shape, Storage, Tensor};
use pulp::Arch;
use std::sync::{Arc, Mutex, PoisonError};

/// What an LSTM layer knows between two pieces of a sequence: of each stream, one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LstmState {
    /// `hidden` values of each.
    pub h: Vec<f32>,
    /// `cells` values of each.
    pub c: Vec<f32>,
}

/// The sizes of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub cells: usize,
    pub hidden: usize,
    pub projected: bool,
}

/// What the forward pass leaves for the backward one, step by step.
#[derive(Default)]
struct Saved {
    gates: Vec<f32>,
    /// From the state before the first step on.
    cells: Vec<f32>,
    squashed: Vec<f32>,
    /// o tanh(c), if it is not h.
    unprojected: Vec<f32>,
}

/// The operation on (steps x streams, 4 cells) sums of x and bias, the hidden matrix (hidden, 4 cells), and the peepholes
/// (3 x cells) with the projection (cells, hidden) behind them in one vector. The result is (steps x streams, hidden).
/// Rows are ordered by step, then stream.
struct Sequence {
    size: Size,
    streams: usize,
    /// 2 for tanh, 1 for sigmoid: see [`super::cell`].
    scale: f32,
    initial: LstmState,
    saved: Arc<Mutex<Saved>>,
    arch: Arch,
}

/// Runs a layer over a piece of a sequence from `state`, which becomes that behind the last step. No gradient flows back
/// through `state`.
pub(super) fn sequence(
    sums: &Tensor,
    hidden: &Tensor,
    rest: &Tensor,
    size: Size,
    streams: usize,
    scale: f32,
    state: &mut LstmState,
) -> Result<Tensor> {
    let saved = Arc::new(Mutex::new(Saved::default()));
    let op = Sequence { size, streams, scale, initial: std::mem::take(state), saved: saved.clone(), arch: Arch::new() };
    let out = sums.apply_op3(hidden, rest, op)?;
    let kept = saved.lock().unwrap_or_else(PoisonError::into_inner);
    state.c = kept.cells[kept.cells.len() - streams * size.cells..].to_vec();
    state.h = read(&out, |h| h[h.len() - streams * size.hidden..].to_vec())?;
    Ok(out)
}

/// The values of a tensor without a copy.
pub(crate) fn read<R>(tensor: &Tensor, with: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else { bail!("a tensor is not on the CPU") };
    Ok(with(values(storage, layout)?))
}

fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&storage.as_slice::<f32>()?[from..to]),
        None => bail!("a tensor of an LSTM is not contiguous"),
    }
}

fn matrix(values: &[f32], rows: usize, columns: usize) -> Result<Tensor> {
    Tensor::from_slice(values, (rows, columns), &Device::Cpu)
}

impl Sequence {
    /// The projection, and its matrix.
    fn projection(&self, rest: &[f32]) -> Result<Option<Tensor>> {
        let Size { cells, hidden, projected } = self.size;
        projected.then(|| matrix(&rest[3 * cells..], cells, hidden)).transpose()
    }
}

impl CustomOp3 for Sequence {
    fn name(&self) -> &'static str {
        "lstm"
    }

    fn cpu_fwd(
        &self,
        sums: &CpuStorage,
        of_sums: &Layout,
        weights: &CpuStorage,
        of_weights: &Layout,
        rest: &CpuStorage,
        of_rest: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let Size { cells, hidden, .. } = self.size;
        let streams = self.streams;
        let mut gates = values(sums, of_sums)?.to_vec();
        let weights = matrix(values(weights, of_weights)?, hidden, 4 * cells)?;
        let rest = values(rest, of_rest)?;
        let projection = self.projection(rest)?;
        let width = streams * cells;
        let steps = gates.len() / (4 * width);
        let mut kept = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = vec![0.0; steps * streams * hidden];
        let (mut squashed, mut all_cells) = (vec![0.0; steps * width], vec![0.0; (steps + 1) * width]);
        let mut unprojected = vec![0.0; if projection.is_some() { steps * width } else { 0 }];
        all_cells[..width].copy_from_slice(&self.initial.c);
        for step in 0..steps {
            let place = step * streams * hidden;
            let h = if step == 0 { &self.initial.h[..] } else { &out[place - streams * hidden..place] };
            let product = matrix(h, streams, hidden)?.matmul(&weights)?;
            let (before, now) = all_cells[step * width..(step + 2) * width].split_at_mut(width);
            let h = &mut out[place..place + streams * hidden];
            read(&product, |product| {
                Forward {
                    gates: &mut gates[4 * step * width..4 * (step + 1) * width],
                    hidden: product,
                    peepholes: rest,
                    before,
                    cells: now,
                    squashed: &mut squashed[step * width..(step + 1) * width],
                    out: if projection.is_some() { &mut unprojected[step * width..(step + 1) * width] } else { h },
                    scale: self.scale,
                    count: cells,
                }
                .run(self.arch)
            })?;
            if let Some(projection) = &projection {
                let projected = matrix(&unprojected[step * width..(step + 1) * width], streams, cells)?.matmul(projection)?;
                read(&projected, |p| out[place..place + streams * hidden].copy_from_slice(p))?;
            }
        }
        *kept = Saved { gates, cells: all_cells, squashed, unprojected };
        Ok((CpuStorage::F32(out), Shape::from((steps * streams, hidden))))
    }

    fn bwd(
        &self,
        sums: &Tensor,
        weights: &Tensor,
        rest: &Tensor,
        out: &Tensor,
        of_out: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Size { cells, hidden, projected } = self.size;
        let streams = self.streams;
        let (width, wide) = (streams * cells, streams * hidden);
        let kept = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let steps = kept.squashed.len() / width;
        let rest_values = rest.flatten_all()?.to_vec1::<f32>()?;
        let back = weights.t()?.contiguous()?;
        let project_back = self.projection(&rest_values)?.map(|p| p.t()?.contiguous()).transpose()?;
        // of h at every step: what layers above say, and what the next step adds
        let mut of_h = read(of_out, <[f32]>::to_vec)?;
        let mut of_sums = vec![0.0; 4 * steps * width];
        let mut of_peepholes = vec![0.0; 3 * cells];
        let mut carried = vec![0.0; width];
        for step in (0..steps).rev() {
            let here = step * wide..(step + 1) * wide;
            if step + 1 < steps {
                let later = matrix(&of_sums[4 * (step + 1) * width..4 * (step + 2) * width], streams, 4 * cells)?.matmul(&back)?;
                read(&later, |later| of_h[here.clone()].iter_mut().zip(later).for_each(|(sum, more)| *sum += more))?;
            }
            let through = project_back.as_ref().map(|p| matrix(&of_h[here.clone()], streams, hidden)?.matmul(p)).transpose()?;
            let mut run = |out: &[f32]| {
                Backward {
                    gates: &kept.gates[4 * step * width..4 * (step + 1) * width],
                    peepholes: &rest_values,
                    before: &kept.cells[step * width..(step + 1) * width],
                    cells: &kept.cells[(step + 1) * width..(step + 2) * width],
                    squashed: &kept.squashed[step * width..(step + 1) * width],
                    out,
                    carried: &mut carried,
                    sums: &mut of_sums[4 * step * width..4 * (step + 1) * width],
                    of_peepholes: &mut of_peepholes,
                    scale: self.scale,
                    count: cells,
                }
                .run(self.arch)
            };
            match &through {
                Some(through) => read(through, run)?,
                None => run(&of_h[here]),
            }
        }
        let of_sums = Tensor::from_vec(of_sums, sums.shape(), &Device::Cpu)?;
        let before = matrix(&self.initial.h, streams, hidden)?;
        let before = if steps > 1 { Tensor::cat(&[&before, &out.narrow(0, 0, (steps - 1) * streams)?], 0)? } else { before };
        let of_weights = before.t()?.matmul(&of_sums)?;
        let mut of_rest = of_peepholes;
        if projected {
            let of_projection = matrix(&kept.unprojected, steps * streams, cells)?.t()?.matmul(&matrix(&of_h, steps * streams, hidden)?)?;
            of_rest.extend(of_projection.flatten_all()?.to_vec1::<f32>()?);
        }
        let of_rest = Tensor::from_vec(of_rest, rest.shape(), &Device::Cpu)?.to_dtype(DType::F32)?;
        Ok((Some(of_sums), Some(of_weights), Some(of_rest)))
    }
}
