//! The bitstream that Deep Compression's authors published for SqueezeNet (`.net`): read and written byte for byte.
//!
//! Little-endian: the number of entries of every layer (`u32`), then layer by layer the codebook (`f32`, 2^bits), the biases
//! (`f32`), the codes (8 bits, or 4 and two a byte, the lower half first) and the gaps (4 bits, two a byte, the lower half
//! first). Code 0 is 0.0; after a gap of 15 it is a filler.

use crate::entropy::huffman::entries;
use crate::error::{grouped, Error};
use crate::storage::{StoredTensor, Values};

/// A layer of the layout, which the bitstream itself does not hold.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetLayer {
    pub name: String,
    /// Outputs, then what a filter or a row has: inputs, or inputs, rows and columns of a kernel.
    pub shape: Vec<usize>,
    /// 4 or 8.
    #[serde(default = "eight")]
    pub bits: u32,
}

fn eight() -> u32 {
    8
}

/// Layers in the order of the bitstream, as a TOML of `[[layer]]` tables says them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    pub layer: Vec<NetLayer>,
}

/// Squeeze and expand filters of the fire modules 2 to 9.
const FIRES: [(usize, usize); 8] = [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)];
const GAP_BITS: u32 = 4;

impl Layout {
    /// The 26 convolutions of SqueezeNet 1.0.
    pub fn squeezenet() -> Layout {
        let conv = |name: String, shape: [usize; 4]| NetLayer { name, shape: shape.to_vec(), bits: 8 };
        let mut layer = vec![conv("conv1".into(), [96, 3, 7, 7])];
        let mut inputs = 96;
        for (number, (squeeze, expand)) in (2..).zip(FIRES) {
            layer.push(conv(format!("fire{number}/conv1x1_1"), [squeeze, inputs, 1, 1]));
            layer.push(conv(format!("fire{number}/conv1x1_2"), [expand, squeeze, 1, 1]));
            layer.push(conv(format!("fire{number}/conv3x3_2"), [expand, squeeze, 3, 3]));
            inputs = 2 * expand;
        }
        layer.push(conv("conv_final".into(), [1000, 512, 1, 1]));
        Layout { layer }
    }

    /// From a TOML text.
    pub fn parse(text: &str) -> Result<Layout, Error> {
        let layout: Layout = toml::from_str(text).map_err(|e| wrong(e.to_string()))?;
        for layer in &layout.layer {
            let positions = layer.shape.iter().try_fold(1usize, |all, axis| all.checked_mul(*axis));
            let whole = positions.is_some_and(|p| (1..=crate::storage::MOST_VALUES).contains(&p));
            if layer.shape.len() < 2 || layer.shape.len() > 8 || !whole || ![4, 8].contains(&layer.bits) {
                return Err(wrong(format!(
                    "layer {}: found shape {:?} and {} bits, expected 2 to 8 axes and 4 or 8 bits",
                    layer.name, layer.shape, layer.bits
                )));
            }
        }
        Ok(layout)
    }
}

fn wrong(fault: String) -> Error {
    Error::Damaged(format!("bitstream: {fault}"))
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn take(&mut self, count: usize, what: &str) -> Result<&'a [u8], Error> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            let left = self.bytes.len() - self.at;
            return Err(wrong(format!("found {} bytes at {}, expected {} of the {what}", grouped(left), self.at, grouped(count))));
        };
        let part = &self.bytes[self.at..end];
        self.at = end;
        Ok(part)
    }
    fn floats(&mut self, count: usize, what: &str) -> Result<Vec<f32>, Error> {
        let bytes = self.take(count.saturating_mul(4), what)?;
        Ok(bytes.chunks_exact(4).map(|raw| f32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]])).collect())
    }
}

fn nibbles(bytes: &[u8], count: usize) -> Vec<u8> {
    bytes.iter().flat_map(|byte| [byte & 15, byte >> 4]).take(count).collect()
}

fn packed(nibbles: impl Iterator<Item = u8>) -> Vec<u8> {
    let nibbles: Vec<u8> = nibbles.collect();
    nibbles.chunks(2).map(|pair| pair[0] | pair.get(1).copied().unwrap_or(0) << 4).collect()
}

/// The tensors of a bitstream: `NAME.weight` and `NAME.bias` of every layer of `layout`. Refused if [`write`] would not give
/// the same bytes back.
pub fn read(bytes: &[u8], layout: &Layout) -> Result<Vec<StoredTensor>, Error> {
    let mut input = Input { bytes, at: 0 };
    let counts = input.take(4 * layout.layer.len(), "numbers of entries")?;
    let counts: Vec<usize> = counts.chunks_exact(4).map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]]) as usize).collect();
    let mut tensors = Vec::with_capacity(2 * layout.layer.len());
    for (layer, count) in layout.layer.iter().zip(counts) {
        let of = |what: &str| format!("{what} of layer {}", layer.name);
        let positions: usize = layer.shape.iter().product();
        if count > positions {
            return Err(wrong(format!("found {} {}, expected at most {}", grouped(count), of("entries"), grouped(positions))));
        }
        let mut codebook = input.floats(1 << layer.bits, &of("codebook"))?;
        let bias = input.floats(layer.shape[0], &of("biases"))?;
        let stored = if layer.bits == 8 { count } else { count.div_ceil(2) };
        let codes = input.take(stored, &of("codes"))?;
        let codes = if layer.bits == 8 { codes.to_vec() } else { nibbles(codes, count) };
        let gaps = nibbles(input.take(count.div_ceil(2), &of("gaps"))?, count);
        let mut found = vec![0u16; positions];
        let mut at = 0usize;
        for (gap, code) in gaps.into_iter().zip(codes) {
            at += usize::from(gap);
            let Some(place) = found.get_mut(at) else {
                return Err(wrong(format!("found a weight {} beyond the {} {}", grouped(at), grouped(positions), of("weights"))));
            };
            *place = u16::from(code);
            at += 1;
        }
        if codebook.remove(0).to_bits() != 0 {
            return Err(wrong(format!("found another value than 0.0 as code 0 of the {}", of("codebook"))));
        }
        let tensor = |suffix: &str, shape, values| StoredTensor { name: format!("{}.{suffix}", layer.name), shape, values };
        tensors.push(tensor("weight", layer.shape.clone(), Values::Shared { codebook, codes: found }));
        tensors.push(tensor("bias", vec![layer.shape[0]], Values::Raw(bias)));
    }
    if input.at < bytes.len() {
        return Err(wrong(format!("found {} bytes behind the last layer, expected none", grouped(bytes.len() - input.at))));
    }
    let again = write(&tensors)?;
    if again != bytes {
        let at = again.iter().zip(bytes).position(|(a, b)| a != b).unwrap_or(again.len().min(bytes.len()));
        return Err(wrong(format!("found other fillers or padding than a writer needs at byte {at}: these bytes could not be given back")));
    }
    Ok(tensors)
}

/// The bitstream of pairs of tensors as [`read`] makes them: shared weights with 15 or 255 values, then biases.
pub fn write(tensors: &[StoredTensor]) -> Result<Vec<u8>, Error> {
    let (mut counts, mut body) = (Vec::new(), Vec::new());
    for pair in tensors.chunks(2) {
        let expected = "pairs of shared weights with 15 or 255 values and one bias per output";
        let refuse = || wrong(format!("found tensor `{}`, expected {expected}", pair[0].name));
        let [weight, bias] = pair else { return Err(refuse()) };
        let (Values::Shared { codebook, codes }, Values::Raw(biases)) = (&weight.values, &bias.values) else { return Err(refuse()) };
        let four = codebook.len() == 15;
        if !(four || codebook.len() == 255) || weight.shape.first() != Some(&biases.len()) {
            return Err(refuse());
        }
        let (gaps, symbols) = entries(codes, GAP_BITS);
        // there are at most 2^28 positions, and codes and gaps are below 256 and 16
        counts.extend((symbols.len() as u32).to_le_bytes());
        body.extend([0; 4]);
        body.extend(codebook.iter().chain(biases).flat_map(|v| v.to_le_bytes()));
        let symbols = symbols.iter().map(|s| *s as u8);
        body.extend(if four { packed(symbols) } else { symbols.collect() });
        body.extend(packed(gaps.iter().map(|g| *g as u8)));
    }
    counts.extend(body);
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn layout() -> Layout {
        Layout::parse("[[layer]]\nname = \"conv\"\nshape = [4, 3, 3, 3]\n[[layer]]\nname = \"ip\"\nshape = [5, 40]\nbits = 4\n").unwrap()
    }

    /// Bytes as the published description says, independent of `write`.
    fn bitstream(rng: &mut ChaCha8Rng) -> (Vec<u8>, Vec<Vec<f32>>) {
        let (mut counts, mut body, mut dense) = (vec![], vec![], vec![]);
        for layer in layout().layer {
            let positions: usize = layer.shape.iter().product();
            let size = 1usize << layer.bits;
            let codebook: Vec<f32> = (0..size).map(|i| if i == 0 { 0.0 } else { rng.random_range(-1.0f32..1.0) }).collect();
            let weights: Vec<usize> = (0..positions).map(|_| if rng.random_bool(0.06) { rng.random_range(1..size) } else { 0 }).collect();
            let (mut codes, mut gaps, mut last) = (vec![], vec![], -1i64);
            for (i, code) in weights.iter().enumerate().filter(|(_, c)| **c > 0) {
                while i as i64 - last - 1 > 15 {
                    codes.push(0usize);
                    gaps.push(15i64);
                    last += 16;
                }
                codes.push(*code);
                gaps.push(i as i64 - last - 1);
                last = i as i64;
            }
            counts.extend((codes.len() as u32).to_le_bytes());
            body.extend(codebook.iter().flat_map(|v| v.to_le_bytes()));
            body.extend((0..layer.shape[0]).flat_map(|i| (i as f32).to_le_bytes()));
            let halves = |numbers: &[usize]| -> Vec<u8> {
                let half = |i: usize| numbers.get(i).map_or(0, |n| *n as u8);
                (0..numbers.len()).step_by(2).map(|i| half(i) + 16 * half(i + 1)).collect()
            };
            body.extend(if layer.bits == 8 { codes.iter().map(|c| *c as u8).collect() } else { halves(&codes) });
            body.extend(halves(&gaps.iter().map(|g| *g as usize).collect::<Vec<_>>()));
            dense.push(weights.iter().map(|c| codebook[*c]).collect());
        }
        counts.extend(body);
        (counts, dense)
    }

    #[test]
    fn bitstreams_come_back_byte_for_byte() {
        for seed in 0..40 {
            let (bytes, dense) = bitstream(&mut ChaCha8Rng::seed_from_u64(seed));
            let tensors = read(&bytes, &layout()).unwrap();
            assert_eq!(tensors.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["conv.weight", "conv.bias", "ip.weight", "ip.bias"]);
            assert_eq!((tensors[0].values.dense(), tensors[2].values.dense()), (dense[0].clone(), dense[1].clone()));
            assert_eq!(write(&tensors).unwrap(), bytes, "seed {seed}");
        }
    }

    #[test]
    fn bytes_that_would_not_come_back_are_refused() {
        let (bytes, _) = bitstream(&mut ChaCha8Rng::seed_from_u64(1));
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length], &layout()).is_err(), "cut to {length}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(read(&longer, &layout()).is_err());
        // whatever is accepted gives the same bytes
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                if let Ok(tensors) = read(&changed, &layout()) {
                    assert_eq!(write(&tensors).unwrap(), changed);
                }
            }
        }
    }

    #[test]
    fn squeezenet_has_26_convolutions() {
        let layout = Layout::squeezenet();
        let weights: usize = layout.layer.iter().map(|l| l.shape.iter().product::<usize>()).sum();
        assert_eq!((layout.layer.len(), weights), (26, 1_244_448));
        assert_eq!(layout.layer[22].name, "fire9/conv1x1_1");
        assert_eq!(layout.layer[24].shape, [256, 64, 3, 3]);
    }
}
