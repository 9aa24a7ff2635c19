//! The readers, the files that mutations start from, and the checksums that would hide a reader's later checks.

use crate::audio;
use crate::bench::ese_case::Variant;
use crate::bench::synthetic::{Shape, SEED};

use super::FREE;
use anyhow::{Context, Result};
use lacuna_compress::bitstream::{self, Layout};
use lacuna_compress::config::Config;
use lacuna_compress::files::Format;
use lacuna_compress::import::load_onnx_lstm;
use lacuna_compress::inputs::{load_inputs, load_labels, load_tensors};
use lacuna_compress::manifest::AnyModel;
use lacuna_compress::recurrent;
use lacuna_compress::spec::Words;
use lacuna_compress::storage::{self, Method, StoredTensor, Values};
use lacuna_sim::golden;
use std::io::Write;
use std::path::Path;

/// A reader.
pub struct Target {
    pub name: &'static str,
    /// Right ones: the reader takes them.
    pub files: Vec<Vec<u8>>,
    /// Memory that any file may cost.
    pub free: u64,
    /// Memory that a byte of a file may cost.
    pub bytes_per_byte: u64,
    /// Makes checksums right again.
    pub repair: Option<fn(&mut [u8])>,
    pub read: fn(&[u8]) -> Result<(), String>,
}

/// Of a memory file: so small that a mutation meets its words.
const MEMORY: (usize, usize) = (36, 8);

pub fn targets() -> Result<Vec<Target>> {
    let target = |name, files, bytes_per_byte, repair, read| Target { name, files, free: FREE, bytes_per_byte, repair, read };
    Ok(vec![
        target("toml", configurations(), 512, None, toml),
        target("container", containers()?, 64, Some(repair_container), container),
        target("mem", memories(), 64, None, memory),
        target("net", vec![bitstream::write(&tensors())?], 2048, None, net),
        // a value of the budget in `storage` is a code of 16 bits
        // the contexts of the mixing coder have a fixed size, whatever the file
        Target { free: 64 * FREE, ..target("lcs", storages()?, 2048 * 4, Some(repair_storage), lcs) },
        target(
            "safetensors",
            vec![include_bytes!("../../../tests/data/pytorch/bidirectional.safetensors").to_vec()],
            64,
            None,
            safetensors,
        ),
        // what is packed may be a thousand times as long
        target("npz", archives(), 2048, None, npz),
        target("npy", vec![array()], 64, None, npy),
        target("onnx", graphs(), 64, None, onnx),
        target("idx", idx_files(), 64, None, idx),
        // a second of sound at 16 kHz whatever the file says, and a resampler
        target("wav", vec![wav()?], 1024, None, sound),
    ])
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|e| e.to_string())
}

/// Calls a reader of files; the message is without the name of the file.
fn in_file<T>(bytes: &[u8], suffix: &str, read: impl Fn(&Path) -> Result<T, lacuna_compress::error::Error>) -> Result<T, String> {
    let file = tempfile::Builder::new().suffix(suffix).tempfile().and_then(|mut file| file.write_all(bytes).map(|()| file));
    let file = file.map_err(|e| e.to_string())?;
    read(file.path()).map_err(|e| e.to_string().replace(&file.path().display().to_string(), ""))
}

fn configurations() -> Vec<Vec<u8>> {
    let board = include_str!("../../../constraints/icebreaker/lenet300100.toml");
    [Config::commented_example(), Config::lstm_example(), board.to_string()].map(String::into_bytes).to_vec()
}

fn toml(bytes: &[u8]) -> Result<(), String> {
    Config::parse(text(bytes)?, Path::new("lacuna.toml")).map(drop).map_err(|e| e.to_string())
}

fn containers() -> Result<Vec<Vec<u8>>> {
    let shape =
        Shape { name: "small", inputs: 20, outputs: 12, weight_density: 0.3, activation_density: 0.5, table_iv: 0.0, simulator: 0.0 };
    let layers = shape.draw(SEED).compile(2, 4)?.model.to_container()?;
    let shape = recurrent::Shape { inputs: 3, cells: 4, projection: Some(2), peepholes: true };
    let lstm = Variant::best(2, 1, 4).compile(&recurrent::synthetic(&shape, SEED))?;
    Ok(vec![layers, lstm.compiled.model.to_container()?])
}

fn container(bytes: &[u8]) -> Result<(), String> {
    let model = AnyModel::from_container(bytes).map_err(|e| e.to_string())?;
    match &model {
        AnyModel::Layers(model) => {
            let golden = golden::Golden::new(&model.image).map_err(|e| e.to_string())?;
            let input: Vec<i16> = (0i16..).take(golden.inputs()).map(|i| i % 5 * 100).collect();
            golden.infer(&input).map(drop).map_err(|e| e.to_string())
        }
        AnyModel::Recurrent(model) => golden::Recurrent::new(&model.image).map(drop).map_err(|e| e.to_string()),
    }
}

/// CRC-32s of the sections and of the file, as far as the header and the table can be read.
fn repair_container(bytes: &mut [u8]) {
    let number = |bytes: &[u8], at: usize, count: usize| {
        bytes.get(at..at + count).map(|part| part.iter().rev().fold(0usize, |all, byte| all << 8 | usize::from(*byte)))
    };
    let (Some(manifest), Some(count)) = (number(bytes, 20, 4), number(bytes, 24, 4)) else { return };
    let table = 28 + manifest;
    let mut at = table + 16 * count;
    for row in (table..at).step_by(16) {
        let (Some(words), Some(width)) = (number(bytes, row + 4, 4), number(bytes, row + 8, 2)) else { break };
        let end = at + (words * width).div_ceil(8);
        let Some(payload) = bytes.get(at..end).filter(|_| (1..=512).contains(&width)) else { break };
        let mut unpacked = Words::zeroed(width, words);
        for index in 0..words {
            for lane in 0..unpacked.lanes_per_word() {
                let value = (0..(width - 32 * lane).min(32)).fold(0u32, |value, bit| {
                    let place = index * width + 32 * lane + bit;
                    value | u32::from(payload[place / 8] >> (place % 8) & 1) << bit
                });
                unpacked.set_lane(index, lane, value);
            }
        }
        let crc = unpacked.crc32().to_le_bytes();
        bytes[row + 12..row + 16].copy_from_slice(&crc);
        at = end;
    }
    if let Some(end) = bytes.len().checked_sub(4) {
        let crc = crc32fast::hash(&bytes[..end]).to_le_bytes();
        bytes[end..].copy_from_slice(&crc);
    }
}

fn memories() -> Vec<Vec<u8>> {
    let mut words = Words::zeroed(MEMORY.0, MEMORY.1);
    (0..MEMORY.1).for_each(|i| words.set(i, 0x9_1234_5678 * (i as u64 + 1) % (1 << MEMORY.0)));
    [Format::Mem, Format::Coe, Format::Mif].map(|format| format.render(&words, MEMORY.1).into_bytes()).to_vec()
}

/// In all three formats; right in one is right.
fn memory(bytes: &[u8]) -> Result<(), String> {
    let text = text(bytes)?;
    let read = |format: Format| format.parse(text, MEMORY.0, MEMORY.1, Path::new("memory")).map(drop).map_err(|e| e.to_string());
    read(Format::Mem).or_else(|mem| read(Format::Coe).or_else(|coe| read(Format::Mif).map_err(|mif| format!("{mem} {coe} {mif}"))))
}

const NET: &str = "[[layer]]\nname = \"a\"\nshape = [6, 10]\nbits = 4\n[[layer]]\nname = \"b\"\nshape = [4, 2, 3, 3]\nbits = 8\n";

fn tensors() -> Vec<StoredTensor> {
    let shared = |name: &str, shape: &[usize], bits: u32| {
        let count = shape.iter().product::<usize>();
        let codebook = (1..1u16 << bits).map(f32::from).collect();
        let codes = (0..count).map(|i| if i % 3 == 1 { (i % 15) as u16 } else { 0 }).collect();
        StoredTensor { name: format!("{name}.weight"), shape: shape.to_vec(), values: Values::Shared { codebook, codes } }
    };
    let bias = |name: &str, count: usize| StoredTensor {
        name: format!("{name}.bias"),
        shape: vec![count],
        values: Values::Raw((0..count).map(|i| i as f32).collect()),
    };
    vec![shared("a", &[6, 10], 4), bias("a", 6), shared("b", &[4, 2, 3, 3], 8), bias("b", 4)]
}

fn net(bytes: &[u8]) -> Result<(), String> {
    let layout = Layout::parse(NET).map_err(|e| e.to_string())?;
    bitstream::read(bytes, &layout).map(drop).map_err(|e| e.to_string())
}

fn storages() -> Result<Vec<Vec<u8>>> {
    [Method::Mixed, Method::Huffman, Method::Fast].into_iter().map(|m| storage::write(&tensors(), m).context("storage")).collect()
}

fn lcs(bytes: &[u8]) -> Result<(), String> {
    storage::read_all(bytes).map(drop).map_err(|e| e.to_string())
}

/// The CRC-32 behind each block, which is of all bytes before it but the CRCs.
fn repair_storage(bytes: &mut [u8]) {
    let mut hasher = crc32fast::Hasher::new();
    let mut at = 4.min(bytes.len());
    hasher.update(&bytes[..at]);
    loop {
        let (mut head, mut shift, start) = (0u64, 0, at);
        while let Some(byte) = bytes.get(at).filter(|_| shift < 42) {
            head |= u64::from(byte & 127) << shift;
            shift += 7;
            at += 1;
            if byte & 128 == 0 {
                break;
            }
        }
        let end = usize::try_from(head >> 2).ok().and_then(|length| at.checked_add(length)).filter(|end| end + 4 <= bytes.len());
        let Some(end) = end.filter(|_| at > start) else { return };
        hasher.update(&bytes[start..end]);
        let crc = hasher.clone().finalize().to_le_bytes();
        bytes[end..end + 4].copy_from_slice(&crc);
        at = end + 4;
    }
}

fn safetensors(bytes: &[u8]) -> Result<(), String> {
    in_file(bytes, ".safetensors", load_tensors).map(drop)
}

fn archives() -> Vec<Vec<u8>> {
    let files: [&[u8]; 2] =
        [include_bytes!("../../../compress/tests/data/stored.npz"), include_bytes!("../../../compress/tests/data/compressed.npz")];
    files.map(<[u8]>::to_vec).to_vec()
}

fn npz(bytes: &[u8]) -> Result<(), String> {
    in_file(bytes, ".npz", load_tensors).map(drop)
}

/// Of 3 x 4 floats.
fn array() -> Vec<u8> {
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }";
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(format!("{header:<117}\n").into_bytes());
    bytes.extend((0..12u8).flat_map(|i| f32::from(i).to_le_bytes()));
    bytes
}

fn npy(bytes: &[u8]) -> Result<(), String> {
    in_file(bytes, ".npy", |path| load_inputs(path, None, 1.0, 0.0)).map(drop)
}

fn graphs() -> Vec<Vec<u8>> {
    macro_rules! graph {
        ($($name:literal)*) => { vec![$(include_bytes!(concat!("../../../tests/data/onnx/", $name, ".onnx")).to_vec()),*] };
    }
    graph!["defaults" "bidirectional_peepholes" "float16_typed" "initial_state" "constant_nodes" "peepholes" "double" "sequence_lens"]
}

fn onnx(bytes: &[u8]) -> Result<(), String> {
    in_file(bytes, ".onnx", |path| load_onnx_lstm(path, "lstm")).map(drop)
}

fn idx_files() -> Vec<Vec<u8>> {
    let mut images = vec![0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5];
    images.extend((0..60).map(|i| i * 4));
    let mut labels = vec![0, 0, 8, 1, 0, 0, 0, 9];
    labels.extend(0..9);
    let mut packed = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
    let packed = packed.write_all(&images).and_then(|()| packed.finish()).unwrap_or_default();
    vec![images, labels, packed]
}

/// As samples; what these are not, as labels.
fn idx(bytes: &[u8]) -> Result<(), String> {
    let samples = in_file(bytes, "-idx3-ubyte", |path| load_inputs(path, None, 1.0, 0.0)).map(drop);
    samples.or_else(|first| in_file(bytes, "-idx1-ubyte", load_labels).map(drop).map_err(|second| format!("{first} {second}")))
}

fn wav() -> Result<Vec<u8>> {
    let spec = hound::WavSpec { channels: 2, sample_rate: 16_000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut bytes = std::io::Cursor::new(vec![]);
    let mut writer = hound::WavWriter::new(&mut bytes, spec)?;
    (0..400i16).try_for_each(|i| writer.write_sample(i * 50))?;
    writer.finalize()?;
    Ok(bytes.into_inner())
}

fn sound(bytes: &[u8]) -> Result<(), String> {
    audio::read_clip(bytes, Some(bytes.len() as u64)).map(drop).map_err(|e| format!("{e:#}"))
}
