//! Named arrays from `.safetensors`, `.npz`, `.npy` and `.lcs` files, decoded to `f32` in C order.
//!
//! Whatever the bytes of a file are, reading it ends in an array or in an [`Error`], and allocates no
//! more than the file (or, in an `.npz`, its decompressed member; in an `.lcs`, what is stored) is long. That is why the headers are
//! checked here: npyz multiplies the dimensions of a header unchecked, and safetensors adds its offsets so.

use crate::error::{grouped, Error};
use crate::storage::{self, StoredTensor};
use safetensors::tensor::Metadata;
use safetensors::Dtype;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// The type of one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    F16,
    Bf16,
    F32,
    F64,
    Signed(usize),
    Unsigned(usize),
}

impl Kind {
    pub fn is_float(self) -> bool {
        !matches!(self, Kind::Signed(_) | Kind::Unsigned(_))
    }
    pub fn bytes(self) -> usize {
        match self {
            Kind::F16 | Kind::Bf16 => 2,
            Kind::F32 => 4,
            Kind::F64 => 8,
            Kind::Signed(bytes) | Kind::Unsigned(bytes) => bytes,
        }
    }
    /// The element in `raw`, which has [`Kind::bytes`] little-endian bytes. Integers beyond 2^53 are rounded.
    fn decode(self, raw: &[u8]) -> f64 {
        let word = raw.iter().rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        // each narrowing keeps exactly the bytes that were read
        match self {
            Kind::F16 => half(word as u16),
            Kind::Bf16 => f64::from(f32::from_bits((word as u32) << 16)),
            Kind::F32 => f64::from(f32::from_bits(word as u32)),
            Kind::F64 => f64::from_bits(word),
            Kind::Unsigned(_) => word as f64,
            Kind::Signed(bytes) => {
                let unused = 64 - 8 * bytes as u32;
                ((word << unused) as i64 >> unused) as f64
            }
        }
    }
}

/// IEEE 754 binary16.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits >> 10 & 31);
    let fraction = f64::from(bits & 1023);
    match exponent {
        0 => sign * fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => sign * f64::INFINITY,
        31 => f64::NAN,
        _ => sign * (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}

/// An array as stored; [`Array::values`] decodes it.
#[derive(Clone, Debug)]
pub struct Array {
    pub shape: Vec<usize>,
    pub kind: Kind,
    big_endian: bool,
    /// The first index varies fastest.
    fortran: bool,
    bytes: Vec<u8>,
}

impl Array {
    /// Little-endian elements in C order, as many as the shape has.
    pub fn new(shape: Vec<usize>, kind: Kind, bytes: Vec<u8>) -> Array {
        Array { shape, kind, big_endian: false, fortran: false, bytes }
    }

    /// The elements in C order (last index fastest), each mapped by `map`.
    pub fn values(&self, map: impl Fn(f64) -> f32) -> Vec<f32> {
        let mut stored = Vec::with_capacity(self.bytes.len() / self.kind.bytes());
        for raw in self.bytes.chunks_exact(self.kind.bytes()) {
            let mut raw_le = [0u8; 8];
            let raw_le = &mut raw_le[..raw.len()];
            raw_le.copy_from_slice(raw);
            if self.big_endian {
                raw_le.reverse();
            }
            stored.push(map(self.kind.decode(raw_le)));
        }
        if self.fortran && self.shape.len() > 1 && !stored.is_empty() {
            stored = self.in_c_order(&stored);
        }
        stored
    }

    fn in_c_order(&self, stored: &[f32]) -> Vec<f32> {
        let mut strides = Vec::with_capacity(self.shape.len());
        let mut stride = 1;
        for length in &self.shape {
            strides.push(stride);
            stride *= length;
        }
        let mut index = vec![0; self.shape.len()];
        let mut offset = 0;
        let mut out = Vec::with_capacity(stored.len());
        for _ in 0..stored.len() {
            out.push(stored[offset]);
            for axis in (0..self.shape.len()).rev() {
                index[axis] += 1;
                offset += strides[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                offset -= strides[axis] * self.shape[axis];
                index[axis] = 0;
            }
        }
        out
    }
}

/// `shape` as in NumPy: `(300, 784)`.
pub fn shape_text(shape: &[usize]) -> String {
    match shape {
        [one] => format!("({one},)"),
        _ => format!("({})", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// The element of C-order number `flat`, as in NumPy: `[3, 17]`.
pub fn index_text(shape: &[usize], flat: usize) -> String {
    let mut rest = flat;
    let mut index: Vec<String> = shape
        .iter()
        .rev()
        .map(|length| {
            let digit = rest % length;
            rest /= length;
            digit.to_string()
        })
        .collect();
    index.reverse();
    format!("[{}]", index.join(", "))
}

/// An open file of named arrays.
pub struct TensorFile {
    path: PathBuf,
    content: Content,
}

enum Content {
    SafeTensors { metadata: Metadata, bytes: Vec<u8>, start: usize },
    Npz { archive: ZipArchive<Cursor<Vec<u8>>>, length: u64 },
    Npy(Array),
    Stored(Vec<StoredTensor>),
}

impl TensorFile {
    /// Opens by extension; `None` if the extension is none of the four.
    pub fn open(path: &Path) -> Result<Option<TensorFile>, Error> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
        if !["safetensors", "npz", "npy", "lcs"].contains(&extension.as_str()) {
            return Ok(None);
        }
        let bytes = std::fs::read(path).map_err(|source| Error::File { path: path.to_path_buf(), source })?;
        let wrong = |found: String, expected: &str| Error::Format { path: path.to_path_buf(), found, expected: expected.to_string() };
        let content = match extension.as_str() {
            "safetensors" => {
                let (metadata, start) = safetensors_header(&bytes).map_err(|found| wrong(found, "a whole safetensors file"))?;
                Content::SafeTensors { metadata, bytes, start }
            }
            "npz" => {
                let length = bytes.len() as u64;
                let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| wrong(e.to_string(), "a whole .npz file"))?;
                Content::Npz { archive, length }
            }
            "lcs" => {
                let in_file = |fault| Error::In { path: path.to_path_buf(), fault: Box::new(fault) };
                Content::Stored(storage::read_all(&bytes[..]).map_err(in_file)?)
            }
            _ => Content::Npy(parse_npy(bytes).map_err(|found| wrong(found, "a whole .npy file"))?),
        };
        Ok(Some(TensorFile { path: path.to_path_buf(), content }))
    }

    /// Names in alphabetical order; a `.npy` holds one array without a name.
    pub fn names(&self) -> Vec<String> {
        let mut names = match &self.content {
            Content::SafeTensors { metadata, .. } => metadata.offset_keys(),
            Content::Npz { archive, .. } => {
                let array = |file: &str| npyz::npz::array_name_from_file_name(file).map(str::to_string);
                archive.file_names().filter_map(|file| array(&file.ok()?)).collect()
            }
            Content::Npy(_) => Vec::new(),
            Content::Stored(tensors) => tensors.iter().map(|t| t.name.clone()).collect(),
        };
        names.sort();
        names
    }

    /// The array called `name`; `owner` says in messages what it is for. A `.npy` gives its only
    /// array under any name.
    pub fn read(&mut self, name: &str, owner: &str) -> Result<Array, Error> {
        let names = self.names();
        let path = self.path.clone();
        let wrong = |found: String, expected: String| Error::Tensor {
            path: path.clone(),
            tensor: name.to_string(),
            owner: owner.to_string(),
            found,
            expected,
        };
        if !matches!(self.content, Content::Npy(_)) && !names.iter().any(|n| n == name) {
            return Err(wrong("no such tensor".into(), format!("one of {}", names.join(", "))));
        }
        match &mut self.content {
            Content::Npy(array) => Ok(array.clone()),
            Content::Stored(tensors) => {
                let tensor = tensors.iter().find(|t| t.name == name).ok_or_else(|| wrong("no such tensor".into(), "a tensor".into()))?;
                let bytes = tensor.values.dense().iter().flat_map(|v| v.to_le_bytes()).collect();
                Ok(Array::new(tensor.shape.clone(), Kind::F32, bytes))
            }
            Content::SafeTensors { metadata, bytes, start } => {
                let info = metadata.info(name).ok_or_else(|| wrong("no such tensor".into(), "a tensor".into()))?;
                let kind = match info.dtype {
                    Dtype::F16 => Kind::F16,
                    Dtype::BF16 => Kind::Bf16,
                    Dtype::F32 => Kind::F32,
                    Dtype::F64 => Kind::F64,
                    Dtype::U8 => Kind::Unsigned(1),
                    Dtype::U16 => Kind::Unsigned(2),
                    Dtype::U32 => Kind::Unsigned(4),
                    Dtype::U64 => Kind::Unsigned(8),
                    Dtype::I8 => Kind::Signed(1),
                    Dtype::I16 => Kind::Signed(2),
                    Dtype::I32 => Kind::Signed(4),
                    Dtype::I64 => Kind::Signed(8),
                    other => return Err(wrong(format!("type {other:?}"), "floating point or integers".into())),
                };
                let (first, end) = info.data_offsets;
                // `safetensors_header` checked that the offsets lie within the file
                let bytes = bytes[*start + first..*start + end].to_vec();
                Ok(Array { shape: info.shape.clone(), kind, big_endian: false, fortran: false, bytes })
            }
            Content::Npz { archive, length } => {
                let member = npyz::npz::file_name_from_array_name(name);
                let whole = || "a whole .npy member".to_string();
                let mut file = archive.by_name(&member).map_err(|e| wrong(e.to_string(), whole()))?;
                // deflate cannot expand more than 1,032 times
                let limit = file.size().min(length.saturating_mul(1032));
                let mut bytes = Vec::new();
                file.by_ref().take(limit).read_to_end(&mut bytes).map_err(|e| wrong(e.to_string(), whole()))?;
                // the archive's CRC is checked where its data ends
                let more = file.read(&mut [0]).map_err(|e| wrong(e.to_string(), whole()))?;
                if more > 0 {
                    return Err(wrong("more bytes than the archive says".into(), whole()));
                }
                parse_npy(bytes).map_err(|found| wrong(found, whole()))
            }
        }
    }
}

/// The header, and where the data starts. The error is what was found.
fn safetensors_header(bytes: &[u8]) -> Result<(Metadata, usize), String> {
    let short = || format!("{} bytes, which end in the header", grouped(bytes.len()));
    let length = bytes.first_chunk::<8>().map(|b| u64::from_le_bytes(*b)).ok_or_else(short)?;
    let start = usize::try_from(length).ok().and_then(|l| l.checked_add(8)).ok_or_else(short)?;
    let text = bytes.get(8..start).ok_or_else(short)?;
    let metadata: Metadata = serde_json::from_slice(text).map_err(|e| format!("a header that is not valid: {e}"))?;
    let data = bytes.len() - start;
    if metadata.data_len() != data {
        return Err(format!("{} bytes of data where the header says {}", grouped(data), grouped(metadata.data_len())));
    }
    Ok((metadata, start))
}

/// One `.npy` file. The error is what was found.
fn parse_npy(mut bytes: Vec<u8>) -> Result<Array, String> {
    let short = || "a file that ends in the header".to_string();
    if !bytes.starts_with(b"\x93NUMPY") {
        return Err("no .npy signature".to_string());
    }
    let size_bytes = match bytes.get(6).ok_or_else(short)? {
        1 => 2,
        2 | 3 => 4,
        version => return Err(format!("header version {version}")),
    };
    let size = bytes.get(8..8 + size_bytes).ok_or_else(short)?;
    let size = size.iter().rev().fold(0usize, |size, byte| size << 8 | usize::from(*byte));
    let start = 8 + size_bytes + size;
    let text = bytes.get(8 + size_bytes..start).ok_or_else(short)?;
    let text = String::from_utf8_lossy(text).replace('"', "'");
    let text = text.as_str();
    let value = |key: &str| {
        let at = text.find(&format!("'{key}'")).map(|at| at + key.len() + 2);
        let rest = at.and_then(|at| text[at..].trim_start().strip_prefix(':')).map(str::trim_start);
        rest.ok_or_else(|| format!("a header without `{key}`"))
    };

    let shape = value("shape")?.strip_prefix('(').and_then(|s| s.split_once(')')).map(|s| s.0);
    let shape = shape.ok_or("a shape that is no tuple")?.split(',').map(str::trim).filter(|s| !s.is_empty());
    let shape: Vec<usize> = shape.map(|n| n.parse().map_err(|_| format!("axis length `{n}`"))).collect::<Result<_, _>>()?;
    let fortran = value("fortran_order")?.starts_with("True");
    let descr = value("descr")?.strip_prefix('\'').and_then(|s| s.split_once('\'')).map(|s| s.0);
    let descr = descr.ok_or("structured elements")?;
    let kind = match descr.trim_start_matches(['<', '>', '|', '=']) {
        "f2" => Kind::F16,
        "f4" => Kind::F32,
        "f8" => Kind::F64,
        "b1" | "u1" => Kind::Unsigned(1),
        "u2" => Kind::Unsigned(2),
        "u4" => Kind::Unsigned(4),
        "u8" => Kind::Unsigned(8),
        "i1" => Kind::Signed(1),
        "i2" => Kind::Signed(2),
        "i4" => Kind::Signed(4),
        "i8" => Kind::Signed(8),
        _ => return Err(format!("elements of type `{descr}`")),
    };
    let needed = shape.iter().try_fold(kind.bytes(), |bytes, length| bytes.checked_mul(*length));
    let data = bytes.len() - start;
    if needed != Some(data) {
        return Err(format!("{} bytes of data for shape {} of `{descr}`", grouped(data), shape_text(&shape)));
    }
    let big_endian = descr.starts_with('>');
    bytes.drain(..start);
    Ok(Array { shape, kind, big_endian, fortran, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_precision_number_is_decoded() {
        assert_eq!(half(0x3C00), 1.0);
        assert_eq!(half(0xC000), -2.0);
        assert_eq!(half(0x7BFF), 65504.0);
        assert_eq!(half(0x0001), 2f64.powi(-24));
        assert_eq!(half(0x0400), 2f64.powi(-14));
        assert_eq!((half(0x7C00), half(0xFC00)), (f64::INFINITY, f64::NEG_INFINITY));
        assert!(half(0x7E00).is_nan());
        let ascending: Vec<f64> = (0..0x7C00).map(half).collect();
        assert!(ascending.windows(2).all(|w| w[0] < w[1]));
    }

    #[test]
    fn integers_and_brain_floats_are_decoded() {
        assert_eq!(Kind::Signed(1).decode(&[0xFF]), -1.0);
        assert_eq!(Kind::Signed(2).decode(&[0, 0x80]), -32768.0);
        assert_eq!(Kind::Signed(8).decode(&[0xFF; 8]), -1.0);
        assert_eq!(Kind::Unsigned(4).decode(&[0xFF; 4]), 4294967295.0);
        assert_eq!(Kind::Bf16.decode(&[0x80, 0xBF]), -1.0);
    }

    #[test]
    fn indices_and_shapes_read_like_numpy() {
        assert_eq!(index_text(&[3, 4, 5], 59), "[2, 3, 4]");
        assert_eq!(index_text(&[3, 4, 5], 7), "[0, 1, 2]");
        assert_eq!((shape_text(&[3]), shape_text(&[]), shape_text(&[1, 2])), ("(3,)".into(), "()".into(), "(1, 2)".into()));
    }
}
