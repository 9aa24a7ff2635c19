//! Samples for calibration and inference, labels, and outputs: `.npy`, `.npz`, `.safetensors`, and
//! the idx files of MNIST, plain or gzipped.
//!
//! Every value of [`Samples`] is finite. No file, however broken, makes reading panic or allocate
//! more than its (decompressed) length.

use crate::error::{grouped, Error};
use crate::files::write_whole;
use crate::import::tensors::{shape_text, Array, TensorFile};
use flate2::read::MultiGzDecoder;
use npyz::WriterBuilder;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// `count` vectors of `size` values each.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    pub count: usize,
    pub size: usize,
    /// `data[sample * size + element]`
    pub data: Vec<f32>,
}

impl Samples {
    pub fn sample(&self, index: usize) -> &[f32] {
        &self.data[index * self.size..(index + 1) * self.size]
    }
    pub fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.data.chunks_exact(self.size.max(1))
    }
    /// Drops all but the first `count` samples.
    pub fn truncate(&mut self, count: usize) {
        self.count = self.count.min(count);
        self.data.truncate(self.count * self.size);
    }
}

/// An array of any shape, in C order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

/// Reads every array of a `.npz` or `.safetensors`, by name; integers become floating point.
pub fn load_tensors(path: &Path) -> Result<BTreeMap<String, Tensor>, Error> {
    load_each(path, |_, array| Ok(array.values(|v| v as f32)))
}

/// The same; a value that is not a 32-bit float, as many of 64 bits are not, is an error.
pub fn load_exact(path: &Path) -> Result<BTreeMap<String, Tensor>, Error> {
    load_each(path, |name, array| {
        let rounded = std::cell::Cell::new(None);
        let data = array.values(|v| {
            // from 2^53 on an integer may have been rounded before
            let exact = v.is_nan() || (f64::from(v as f32) == v && (array.kind.is_float() || v.abs() < 2f64.powi(53)));
            if !exact && rounded.get().is_none() {
                rounded.set(Some(v));
            }
            v as f32
        });
        match rounded.get() {
            Some(value) => Err(wrong(path, format!("{value} in tensor {name}"), "values that are exact as 32-bit floats".to_string())),
            None => Ok(data),
        }
    })
}

/// Every array of a file, its values as `values` makes them of its name and itself.
fn load_each(path: &Path, values: impl Fn(&str, &Array) -> Result<Vec<f32>, Error>) -> Result<BTreeMap<String, Tensor>, Error> {
    let expected = || "the extension .safetensors or .npz".to_string();
    let mut file = TensorFile::open(path)?.ok_or_else(|| wrong(path, "an unknown kind of file".into(), expected()))?;
    let mut tensors = BTreeMap::new();
    for name in file.names() {
        let array = file.read(&name, "an array")?;
        let data = values(&name, &array)?;
        tensors.insert(name, Tensor { shape: array.shape, data });
    }
    Ok(tensors)
}

/// Reads samples: the first axis counts them, the others are flattened; an array of one axis is one
/// sample. A value is `raw * scale + offset`, where a byte of an idx file is 0 to 255.
///
/// `tensor` names the array in a `.npz` or `.safetensors`; it may be left out if there is only one.
pub fn load_inputs(path: &Path, tensor: Option<&str>, scale: f64, offset: f64) -> Result<Samples, Error> {
    let Tensor { shape, data } = load_array(path, tensor, |raw| (raw * scale + offset) as f32)?;
    let count = shape.first().copied().unwrap_or(0);
    if data.is_empty() || shape.len() < 2 {
        return Err(wrong(path, format!("shape {}", shape_text(&shape)), "at least one sample of at least one value".into()));
    }
    let size = data.len() / count;
    if let Some(i) = data.iter().position(|v| !v.is_finite()) {
        let found = format!("{} in sample {}, element {}", data[i], i / size, i % size);
        return Err(wrong(path, found, "finite 32-bit numbers after scale and offset".into()));
    }
    Ok(Samples { count, size, data })
}

/// Reads sequences for a network of `inputs` inputs: an array of shape (sequences, steps, inputs), or (steps, inputs) for
/// one of them. At `[sequence][step][value]`; there is at least one step. `tensor` is as in [`load_inputs`].
pub fn load_sequences(path: &Path, tensor: Option<&str>, inputs: usize) -> Result<Vec<Vec<Vec<f32>>>, Error> {
    let Tensor { shape, data } = load_array(path, tensor, |raw| raw as f32)?;
    let steps = match shape[..] {
        [_, steps, values] if values == inputs => steps,
        [steps, values] if values == inputs => steps,
        _ => {
            let expected = format!("(sequences, steps, {inputs}) or (steps, {inputs}): the network has {} inputs", grouped(inputs));
            return Err(wrong(path, format!("shape {}", shape_text(&shape)), expected));
        }
    };
    if data.is_empty() {
        return Err(wrong(path, format!("shape {}", shape_text(&shape)), "at least one step of one sequence".into()));
    }
    if let Some(i) = data.iter().position(|v| !v.is_finite()) {
        let (sequence, step) = (i / (steps * inputs), i / inputs % steps);
        let found = format!("{} in sequence {sequence}, step {step}, value {}", data[i], i % inputs);
        return Err(wrong(path, found, "finite 32-bit numbers".into()));
    }
    let sequence = |values: &[f32]| values.chunks_exact(inputs).map(<[f32]>::to_vec).collect();
    Ok(data.chunks_exact(steps * inputs).map(sequence).collect())
}

/// An array of inputs of any kind of file; one of one axis gets another in front.
fn load_array(path: &Path, tensor: Option<&str>, map: impl Fn(f64) -> f32) -> Result<Tensor, Error> {
    let (shape, data) = match TensorFile::open(path)? {
        Some(mut file) => {
            let names = file.names();
            let name = match (tensor, names.as_slice()) {
                (Some(name), _) => name.to_string(),
                (None, [only]) => only.clone(),
                (None, []) => String::new(), // a .npy has no names; elsewhere `read` says so
                (None, _) => {
                    let expected = format!("`tensor` to name one of {}", names.join(", "));
                    return Err(wrong(path, format!("{} arrays", names.len()), expected));
                }
            };
            let array = file.read(&name, "inputs")?;
            let shape = match array.shape[..] {
                [size] => vec![1, size],
                _ => array.shape.clone(),
            };
            (shape, array.values(map))
        }
        None => {
            let idx = read_idx(path)?;
            if idx.shape.len() < 2 {
                let found = format!("shape {}, one number per sample: labels", shape_text(&idx.shape));
                return Err(wrong(path, found, "two or more axes".into()));
            }
            (idx.shape, idx.bytes.iter().map(|byte| map(f64::from(*byte))).collect())
        }
    };
    Ok(Tensor { shape, data })
}

/// Reads the class of each sample from an idx file (plain or gzipped) of one axis.
pub fn load_labels(path: &Path) -> Result<Vec<u8>, Error> {
    let idx = read_idx(path)?;
    match idx.shape[..] {
        [_] => Ok(idx.bytes),
        _ => Err(wrong(path, format!("shape {}", shape_text(&idx.shape)), "labels, which have one axis".into())),
    }
}

/// Writes `count x size` values as a `.npy` of 32-bit floating point, little-endian, in C order. The
/// file appears whole or not at all.
pub fn save_npy(path: &Path, samples: &Samples) -> Result<(), Error> {
    save_array(path, &[samples.count, samples.size], &samples.data)
}

/// The same for an array of any shape, in C order.
pub fn save_array(path: &Path, shape: &[usize], data: &[f32]) -> Result<(), Error> {
    assert_eq!(shape.iter().product::<usize>(), data.len(), "the shape is that of the values");
    let error = |source| Error::File { path: path.to_path_buf(), source };
    let shape: Vec<u64> = shape.iter().map(|n| *n as u64).collect();
    let mut bytes = Vec::with_capacity(128 + 4 * data.len());
    let dtype = npyz::DType::new_scalar(F32_LE.parse().map_err(|_| error(std::io::ErrorKind::InvalidData.into()))?);
    let options = npyz::WriteOptions::new().dtype(dtype).shape(&shape).writer(&mut bytes);
    let mut writer = options.begin_nd().map_err(error)?;
    writer.extend(data.iter().copied()).map_err(error)?;
    writer.finish().map_err(error)?;
    write_whole(path, &bytes)
}

/// Element type of outputs, the same on every machine.
const F32_LE: &str = "<f4";

fn wrong(path: &Path, found: String, expected: String) -> Error {
    Error::Format { path: path.to_path_buf(), found, expected }
}

struct Idx {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// An idx file of bytes: two zero bytes, type 8, the number of axes, their lengths as big-endian
/// 32-bit numbers, then the elements with the last axis fastest.
fn read_idx(path: &Path) -> Result<Idx, Error> {
    let stored = std::fs::read(path).map_err(|source| Error::File { path: path.to_path_buf(), source })?;
    if stored.starts_with(&[0x1F, 0x8B]) {
        return parse_idx(path, &mut MultiGzDecoder::new(stored.as_slice()));
    }
    parse_idx(path, &mut stored.as_slice())
}

fn parse_idx(path: &Path, reader: &mut impl Read) -> Result<Idx, Error> {
    let expected_header = || "an idx file of bytes (or .npy, .npz, .safetensors by their extension)".to_string();
    let mut magic = [0; 4];
    reader.read_exact(&mut magic).map_err(|e| wrong(path, format!("no idx header ({e})"), expected_header()))?;
    let [0, 0, 8, axes @ 1..=8] = magic else {
        return Err(wrong(path, format!("first bytes {magic:02x?}"), expected_header()));
    };
    let mut shape = Vec::new();
    let mut length = Some(1u64);
    for _ in 0..axes {
        let mut axis = [0; 4];
        reader.read_exact(&mut axis).map_err(|e| wrong(path, format!("an idx header cut short ({e})"), expected_header()))?;
        let axis = u32::from_be_bytes(axis);
        shape.push(axis as usize);
        length = length.and_then(|l| l.checked_mul(u64::from(axis)));
    }
    let found_shape = |found: String| format!("{found} for shape {}", shape_text(&shape));
    let Some(length) = length.filter(|l| *l < u64::MAX) else {
        return Err(wrong(path, found_shape("a length beyond 64 bits".into()), expected_header()));
    };
    // grows with what is read, whatever the header promises; one byte more shows data that is too long
    let mut bytes = Vec::new();
    let expected = format!("{length} bytes");
    let read = reader.take(length + 1).read_to_end(&mut bytes);
    read.map_err(|e| wrong(path, found_shape(format!("broken data after {} bytes ({e})", bytes.len())), expected.clone()))?;
    if bytes.len() as u64 != length {
        let found = if bytes.len() as u64 > length { "more data".to_string() } else { format!("{} bytes", grouped(bytes.len())) };
        return Err(wrong(path, found_shape(found), expected));
    }
    Ok(Idx { shape, bytes })
}

#[cfg(test)]
#[path = "inputs/tests.rs"]
mod tests;
