//! Tensors to a file whose extension says its kind.

use super::{write, Method, StoredTensor, Values};
use crate::error::Error;
use crate::files::write_whole;
use crate::model::DenseLayer;
use safetensors::tensor::{Dtype, TensorView};
use std::path::Path;

/// Writes `tensors` (name, shape, values in C order) to a `.safetensors` of 32-bit floats or to an `.lcs`, by the
/// extension of `path`. Tensors of few different values are shared in an `.lcs`; every bit comes back from either.
pub fn save_tensors(path: &Path, tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Result<(), Error> {
    if is_storage(path) {
        let stored: Vec<StoredTensor> = tensors
            .iter()
            .map(|(name, shape, data)| StoredTensor { name: name.clone(), shape: shape.clone(), values: exact(data) })
            .collect();
        return save_stored(path, &stored, Method::Auto).map(|_| ());
    }
    if !path.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors")) {
        let expected = "the extension .safetensors or .lcs".to_string();
        return Err(Error::Format { path: path.to_path_buf(), found: "another kind of file".to_string(), expected });
    }
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|(_, _, data)| data.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let wrong = |e: safetensors::SafeTensorError| Error::Format {
        path: path.to_path_buf(),
        found: e.to_string(),
        expected: "tensors with as many values as their shapes have".to_string(),
    };
    let mut views = Vec::with_capacity(tensors.len());
    for ((name, shape, _), bytes) in tensors.iter().zip(&bytes) {
        views.push((name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(wrong)?));
    }
    write_whole(path, &safetensors::serialize(views, None).map_err(wrong)?)
}

/// Writes an `.lcs`; returns its size in bytes.
pub fn save_stored(path: &Path, tensors: &[StoredTensor], method: Method) -> Result<usize, Error> {
    let bytes = write(tensors, method)?;
    write_whole(path, &bytes)?;
    Ok(bytes.len())
}

/// Does the extension say `.lcs`?
pub fn is_storage(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("lcs"))
}

/// One value per weight of `layer`, row by row, with the shape and in the order of the tensor that
/// [`load_model`](crate::import::load_model) reads as this layer: (out, in, row, column) of a convolution, else (out, in), or (in,
/// out) if `output_axis` is 1.
pub fn in_file<T: Copy>(layer: &DenseLayer, output_axis: usize, values: &[T]) -> (Vec<usize>, Vec<T>) {
    let (rows, columns) = (layer.weights.rows, layer.weights.columns);
    match layer.conv {
        Some(conv) => (vec![rows, conv.channels, conv.kernel[0], conv.kernel[1]], values.to_vec()),
        None if output_axis == 1 => {
            let order = (0..columns).flat_map(|column| (0..rows).map(move |row| row * columns + column));
            (vec![columns, rows], order.map(|at| values[at]).collect())
        }
        None => (vec![rows, columns], values.to_vec()),
    }
}

/// Shared if that is likely to be smaller, else as it is.
pub fn exact(data: &[f32]) -> Values {
    match Values::share(data) {
        Some(Values::Shared { codebook, codes }) if 2 * codebook.len() <= data.len() => Values::Shared { codebook, codes },
        _ => Values::Raw(data.to_vec()),
    }
}
