//! Products of matrices whose backward pass leaves out what nobody asks for: the gradient of a network's input costs as much as
//! that of its first layer's weights.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

/// `x W^T` of (samples, inputs) and (outputs, inputs).
struct Linear {
    /// Is the gradient of x wanted?
    through: bool,
}

/// `W P` of (filters, patch) and (patch, places).
struct Filters {
    /// Is the gradient of P wanted?
    through: bool,
}

/// `x W^T`; without `through`, x gets no gradient.
pub fn linear(x: &Tensor, weights: &Tensor, through: bool) -> Result<Tensor> {
    x.contiguous()?.apply_op2(weights, Linear { through })
}

/// `W P`; without `through`, P gets no gradient.
pub fn filters(weights: &Tensor, patches: &Tensor, through: bool) -> Result<Tensor> {
    weights.apply_op2(patches, Filters { through })
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }
    fn cpu_fwd(&self, x: &CpuStorage, of_x: &Layout, w: &CpuStorage, of_w: &Layout) -> Result<(CpuStorage, Shape)> {
        let ((samples, inputs), (outputs, _)) = (of_x.shape().dims2()?, of_w.shape().dims2()?);
        let product = x.matmul(w, (1, samples, outputs, inputs), of_x, &of_w.transpose(0, 1)?)?;
        Ok((product, Shape::from((samples, outputs))))
    }
    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of_x = if self.through { Some(grad.matmul(w)?) } else { None };
        Ok((of_x, Some(grad.t()?.matmul(x)?)))
    }
}

impl CustomOp2 for Filters {
    fn name(&self) -> &'static str {
        "filters"
    }
    fn cpu_fwd(&self, w: &CpuStorage, of_w: &Layout, p: &CpuStorage, of_p: &Layout) -> Result<(CpuStorage, Shape)> {
        let ((filters, patch), (_, places)) = (of_w.shape().dims2()?, of_p.shape().dims2()?);
        Ok((w.matmul(p, (1, filters, places, patch), of_w, of_p)?, Shape::from((filters, places))))
    }
    fn bwd(&self, w: &Tensor, p: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of_p = if self.through { Some(w.t()?.matmul(grad)?) } else { None };
        Ok((Some(grad.matmul(&p.t()?)?), of_p))
    }
}
