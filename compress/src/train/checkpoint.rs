//! Checkpoints: everything that a training needs to go on, as one safetensors file that is whole or not there.

use super::slices;
use crate::error::Error;
use crate::files::write_whole;
use candle_core::{Device, Tensor};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Where a training stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`config_hash`] of everything that decides the result.
    pub config: String,
    pub seed: u64,
    /// The part of the training, such as `dense`, and its epochs that are done.
    pub part: String,
    pub epoch: usize,
    /// Figures that the loop wants back, by name.
    #[serde(default)]
    pub figures: BTreeMap<String, f64>,
}

const METADATA: &str = "lacuna checkpoint";
const CRC: &str = "crc32";

/// Of the header and of the values of every tensor, in the order of their names.
fn crc<'a>(header: &str, values: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header.as_bytes());
    values.for_each(|bytes| hasher.update(bytes));
    format!("{:08x}", hasher.finalize())
}

/// The hash of a configuration (and of what else decides the result), as 16 hexadecimal digits.
pub fn config_hash(config: &impl Serialize) -> Result<String, Error> {
    let text = serde_json::to_string(config).map_err(|e| Error::Training(format!("configuration: {e}")))?;
    Ok(short(&Sha256::digest(text.as_bytes())))
}

/// The first 16 hexadecimal digits of a hash.
pub fn short(hash: &[u8]) -> String {
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Writes tensors of 32-bit floating point and the header to `path`, which is replaced as a whole.
pub fn save(path: &Path, header: &Header, tensors: &BTreeMap<String, Tensor>) -> Result<(), Error> {
    let header = serde_json::to_string(header).map_err(|e| Error::Training(format!("checkpoint: {e}")))?;
    let arrays = arrays(tensors)?;
    let crc = crc(&header, arrays.iter().map(|(_, _, bytes)| &bytes[..]));
    write(path, &arrays, Some(HashMap::from([(METADATA.to_string(), header), (CRC.to_string(), crc)])))
}

/// Writes tensors of 32-bit floating point as safetensors.
pub fn write_tensors(path: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<(), Error> {
    write(path, &arrays(tensors)?, None)
}

/// Name, shape and bytes.
type Array<'a> = (&'a String, Vec<usize>, Vec<u8>);

fn arrays(tensors: &BTreeMap<String, Tensor>) -> Result<Vec<Array<'_>>, Error> {
    let bytes = |t: &Tensor| slices::read(t, |values| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
    tensors.iter().map(|(name, t)| Ok((name, t.dims().to_vec(), bytes(t)?))).collect()
}

fn write(path: &Path, arrays: &[Array], metadata: Option<HashMap<String, String>>) -> Result<(), Error> {
    let wrong = |e: safetensors::SafeTensorError| Error::Training(format!("{}: {e}", path.display()));
    let views = arrays.iter().map(|(name, shape, data)| Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data)?)));
    let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>().map_err(wrong)?;
    write_whole(path, &safetensors::serialize(views, metadata).map_err(wrong)?)
}

/// Reads a checkpoint of the configuration `config`, a [`config_hash`]; one of another is refused.
pub fn load(path: &Path, config: &str) -> Result<(Header, BTreeMap<String, Tensor>), Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::File { path: path.to_path_buf(), source })?;
    let wrong = |found: String, expected: &str| Error::Format { path: path.to_path_buf(), found, expected: expected.to_string() };
    let broken = |e: safetensors::SafeTensorError| wrong(e.to_string(), "a checkpoint in the form of a safetensors file");
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(broken)?;
    let entry = |key: &str| metadata.metadata().as_ref().and_then(|m| m.get(key)).ok_or_else(|| wrong(format!("no {key}"), "a checkpoint"));
    let (text, stored) = (entry(METADATA)?, entry(CRC)?);
    let header: Header = serde_json::from_str(text).map_err(|e| wrong(e.to_string(), "the header of a checkpoint"))?;
    if header.config != config {
        let expected = format!("one of this configuration, {config}; without --resume the training starts again");
        return Err(wrong(format!("a checkpoint of another configuration, {}", header.config), &expected));
    }
    let all = SafeTensors::deserialize(&bytes).map_err(broken)?;
    let views: BTreeMap<&str, TensorView> = all.iter().collect();
    let found = crc(text, views.values().map(|view| view.data()));
    if found != *stored {
        return Err(wrong(format!("CRC-32 {found}"), &format!("{stored}: the file is damaged")));
    }
    let mut tensors = BTreeMap::new();
    for (name, view) in &views {
        if view.dtype() != Dtype::F32 {
            return Err(wrong(format!("tensor `{name}` of {:?}", view.dtype()), "32-bit floating point"));
        }
        let values: Vec<f32> = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        tensors.insert(name.to_string(), Tensor::from_vec(values, view.shape(), &Device::Cpu)?);
    }
    Ok((header, tensors))
}

/// The tensors whose name begins with `prefix`, without it.
pub fn under(tensors: &BTreeMap<String, Tensor>, prefix: &str) -> BTreeMap<String, Tensor> {
    tensors.iter().filter_map(|(name, t)| Some((name.strip_prefix(prefix)?.to_string(), t.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_comes_back_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.safetensors");
        let header = Header { config: config_hash(&("a", 1)).unwrap(), seed: 7, part: "dense".into(), epoch: 3, ..Header::default() };
        let tensor = Tensor::new(&[[1.5f32, -2.0], [0.1, f32::MIN_POSITIVE]], &Device::Cpu).unwrap();
        let tensors = BTreeMap::from([("vars.a".to_string(), tensor.clone()), ("b".to_string(), tensor.t().unwrap())]);
        save(&path, &header, &tensors).unwrap();
        let (found, back) = load(&path, &header.config).unwrap();
        assert_eq!(found, header);
        assert_eq!(back["b"].to_vec2::<f32>().unwrap(), [[1.5, 0.1], [-2.0, f32::MIN_POSITIVE]]);
        assert_eq!(under(&back, "vars.").into_keys().collect::<Vec<_>>(), ["a"]);
        let other = config_hash(&("a", 2)).unwrap();
        let error = load(&path, &other).unwrap_err().to_string();
        assert!(error.contains("another configuration") && error.contains(&other) && error.contains(&header.config), "{error}");
        let bytes = std::fs::read(&path).unwrap();
        for cut in [0, 7, 40, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            assert!(load(&path, &header.config).is_err(), "{cut} bytes");
        }
        let mut flipped = bytes.clone();
        *flipped.last_mut().unwrap() ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        assert!(load(&path, &header.config).unwrap_err().to_string().contains("damaged"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary files");
    }
}
