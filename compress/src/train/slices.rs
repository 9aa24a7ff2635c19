//! Tensors as slices: what is done to every element in one pass, without a new tensor for each step of it.

use crate::error::Error;
use candle_core::{CpuStorage, DType, InplaceOp1, Layout, Storage, Tensor};
use std::cell::RefCell;

/// The values of a tensor in C order.
pub fn values(tensor: &Tensor) -> Result<Vec<f32>, Error> {
    Ok(tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
}

/// Calls `read` with the values of a tensor in C order, without a copy if they stand so.
pub fn read<T>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> T) -> Result<T, Error> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(data)), Some((from, to))) => Ok(read(&data[from..to])),
        _ => Err(Error::Training("a tensor of other numbers than 32-bit floating point in main memory".to_string())),
    }
}

/// Calls `change` with the values of a tensor in C order, in place. The tensor must be contiguous, as every variable is.
pub fn change(tensor: &Tensor, change: impl FnOnce(&mut [f32])) -> Result<(), Error> {
    Ok(tensor.inplace_op1(&Change(RefCell::new(Some(change))))?)
}

struct Change<F>(RefCell<Option<F>>);

impl<F: FnOnce(&mut [f32])> InplaceOp1 for Change<F> {
    fn name(&self) -> &'static str {
        "change"
    }
    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        match (storage, layout.contiguous_offsets(), self.0.take()) {
            (CpuStorage::F32(data), Some((from, to)), Some(change)) => {
                change(&mut data[from..to]);
                Ok(())
            }
            _ => candle_core::bail!("only contiguous tensors of 32-bit floating point can be changed in place"),
        }
    }
}
