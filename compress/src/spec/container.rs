//! The container file: one image, with everything that is needed to check and to use it.
//!
//! All numbers little-endian:
//!
//! ```text
//! offset  bytes  what
//! 0       8      magic "LACUNA\r\n"
//! 8       4      format version
//! 12      8      architecture hash
//! 20      4      M = bytes of the manifest
//! 24      4      S = number of sections
//! 28      M      manifest: readable TOML (architecture, network, layers)
//! 28+M    16 S   section table, see below
//! ...            payloads, in the table's order, without gaps
//! end-4   4      CRC-32 of every byte before it
//! ```
//!
//! A section's row: memory code (1 byte; 14 and 15 = input and output of the known-answer test, which may be absent; 16 + layer
//! = order of that layer's rows), 0 (1), PE (2), words (4),
//! word width in bits (2), 0 (2), CRC-32 of the words (4). Its payload is its words as one stream
//! of bits, low bit first, word after word, filled up to a whole byte.

use super::answer::{self, KnownAnswer};
use super::arch::{Arch, FORMAT_VERSION};
use super::image::{MemoryImage, Words};
use super::layout::{sections, MemoryKind, Section};
use std::collections::BTreeMap;

pub const MAGIC: [u8; 8] = *b"LACUNA\r\n";
/// Memory codes of the two halves of a [`KnownAnswer`].
pub const ANSWER_CODES: [u8; 2] = [14, 15];
/// Memory codes from here on name the row order of layer `code - ORDER_CODE`.
pub const ORDER_CODE: u8 = 16;
const HEADER_BYTES: usize = 28;
const ROW_BYTES: usize = 16;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContainerError {
    #[error("not a Lacuna container: the first eight bytes are {0:02x?}, expected \"LACUNA\\r\\n\"")]
    Magic(Vec<u8>),
    #[error("container has format version {found}, this program reads version {FORMAT_VERSION}")]
    Version { found: u32 },
    #[error("container is cut short: {found} bytes, {what} needs {needed}")]
    Truncated { what: &'static str, found: usize, needed: usize },
    #[error("container has {found} bytes, its section table accounts for {expected}")]
    Trailing { found: usize, expected: usize },
    #[error("container is damaged: CRC-32 of the file is {found:08x}, stored {stored:08x}")]
    FileCrc { found: u32, stored: u32 },
    #[error("container is damaged: CRC-32 of {section} is {found:08x}, the table says {stored:08x}")]
    SectionCrc { section: String, found: u32, stored: u32 },
    #[error("container's manifest: {0}")]
    Manifest(String),
    #[error("container was made for architecture {stored:016x}, its manifest describes {found:016x}")]
    ArchHash { found: u64, stored: u64 },
    #[error("container's section table: {0}")]
    Table(String),
}

/// What a container holds. The manifest's `[accelerator]` table is the architecture.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    pub image: MemoryImage,
    /// TOML text; must hold the architecture as table `accelerator`.
    pub manifest: String,
    /// For each layer whose rows are stored in another order than the model's: `order[position] = row`.
    pub orders: BTreeMap<usize, Vec<u32>>,
    pub answer: Option<KnownAnswer>,
}

fn pack_bits(words: &Words) -> Vec<u8> {
    let (width, count) = (words.width(), words.len());
    let mut bytes = vec![0u8; (width * count).div_ceil(8)];
    let mut at = 0;
    for index in 0..count {
        for (lane, value) in words.word(index).iter().enumerate() {
            let len = (width - 32 * lane).min(32);
            let mut shifted = u64::from(*value) << (at % 8);
            let mut byte = at / 8;
            while shifted != 0 {
                bytes[byte] |= shifted as u8;
                shifted >>= 8;
                byte += 1;
            }
            at += len;
        }
    }
    bytes
}

fn unpack_bits(bytes: &[u8], width: usize, count: usize) -> Words {
    let mut words = Words::zeroed(width, count);
    let mut at = 0;
    for index in 0..count {
        for lane in 0..words.lanes_per_word() {
            let len = (width - 32 * lane).min(32);
            let mut value = 0u64;
            for k in (0..5).rev() {
                value = value << 8 | u64::from(bytes.get(at / 8 + k).copied().unwrap_or(0));
            }
            words.set_lane(index, lane, (value >> (at % 8)) as u32);
            at += len;
        }
    }
    words
}

/// Bits that hold every number below `count` (at least 1).
fn order_width(count: usize) -> usize {
    super::arch::address_bits(count)
}

/// The bytes of a container.
pub fn write(contents: &Contents) -> Vec<u8> {
    let image = &contents.image;
    let orders = contents.orders.iter().map(|(layer, order)| {
        let mut words = Words::zeroed(order_width(order.len()), order.len());
        order.iter().enumerate().for_each(|(i, row)| words.set(i, u64::from(*row)));
        (ORDER_CODE + *layer as u8, 0u16, words)
    });
    let memories = image.sections.iter().map(|(s, w)| (s.kind().code() as u8, s.pe() as u16, w.clone()));
    let answer = contents.answer.iter().flat_map(|a| ANSWER_CODES.into_iter().zip([&a.pattern, &a.output]));
    let answer = answer.map(|(code, values)| (code, 0u16, answer::to_words(values)));
    let all: Vec<(u8, u16, Words)> = memories.chain(answer).chain(orders).collect();

    let mut out = MAGIC.to_vec();
    out.extend(FORMAT_VERSION.to_le_bytes());
    out.extend(image.arch.hash().to_le_bytes());
    out.extend((contents.manifest.len() as u32).to_le_bytes());
    out.extend((all.len() as u32).to_le_bytes());
    out.extend(contents.manifest.as_bytes());
    for (code, pe, words) in &all {
        out.extend([*code, 0]);
        out.extend(pe.to_le_bytes());
        out.extend((words.len() as u32).to_le_bytes());
        out.extend((words.width() as u16).to_le_bytes());
        out.extend([0, 0]);
        out.extend(words.crc32().to_le_bytes());
    }
    all.iter().for_each(|(_, _, words)| out.extend(pack_bits(words)));
    out.extend(crc32fast::hash(&out).to_le_bytes());
    out
}

fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

/// Where the section table and the words begin, as the header of a container says; `bytes` has the header.
fn places(bytes: &[u8]) -> (usize, usize) {
    let table = HEADER_BYTES + u32::from_le_bytes(take(bytes, 20)) as usize;
    (table, table + ROW_BYTES * u32::from_le_bytes(take(bytes, 24)) as usize)
}

/// Where the words of the first section begin, in bytes; None without a header.
pub fn first_word(bytes: &[u8]) -> Option<usize> {
    (bytes.len() >= HEADER_BYTES).then(|| places(bytes).1)
}

/// Reads a container and checks everything in it: lengths, every CRC, the architecture and its
/// rules, and that the sections are exactly those of the architecture.
pub fn read(bytes: &[u8]) -> Result<Contents, ContainerError> {
    let need = |what, needed: usize| {
        if bytes.len() < needed {
            Err(ContainerError::Truncated { what, found: bytes.len(), needed })
        } else {
            Ok(())
        }
    };
    if bytes.len() < 8 || bytes[..8] != MAGIC {
        return Err(ContainerError::Magic(bytes.iter().take(8).copied().collect()));
    }
    need("the header", HEADER_BYTES + 4)?;
    let version = u32::from_le_bytes(take(bytes, 8));
    if version != FORMAT_VERSION {
        return Err(ContainerError::Version { found: version });
    }
    let hash = u64::from_le_bytes(take(bytes, 12));
    let (table, payload) = places(bytes);
    let count = (payload - table) / ROW_BYTES;
    need("the section table", payload + 4)?;
    let row = |i: usize| {
        let at = table + ROW_BYTES * i;
        let words = u32::from_le_bytes(take(bytes, at + 4)) as usize;
        let width = usize::from(u16::from_le_bytes(take(bytes, at + 8)));
        (bytes[at], u16::from_le_bytes(take(bytes, at + 2)), words, width, u32::from_le_bytes(take(bytes, at + 12)))
    };
    let mut expected = payload + 4;
    for i in 0..count {
        let (_, _, words, width, _) = row(i);
        if width == 0 {
            return Err(ContainerError::Table(format!("row {i} has words of 0 bits")));
        }
        expected += (words * width).div_ceil(8);
    }
    need("the sections", expected)?;
    if bytes.len() != expected {
        return Err(ContainerError::Trailing { found: bytes.len(), expected });
    }
    let stored = u32::from_le_bytes(take(bytes, bytes.len() - 4));
    let found = crc32fast::hash(&bytes[..bytes.len() - 4]);
    if stored != found {
        return Err(ContainerError::FileCrc { found, stored });
    }
    let manifest = String::from_utf8(bytes[HEADER_BYTES..table].to_vec()).map_err(|e| ContainerError::Manifest(e.to_string()))?;
    let arch = arch_of(&manifest)?;
    if arch.hash() != hash {
        return Err(ContainerError::ArchHash { found: arch.hash(), stored: hash });
    }

    let mut contents = Contents { image: MemoryImage { arch, sections: BTreeMap::new() }, manifest, orders: BTreeMap::new(), answer: None };
    let mut halves = BTreeMap::new();
    let mut at = payload;
    for i in 0..count {
        let (code, pe, len, width, crc) = row(i);
        let end = at + (len * width).div_ceil(8);
        let words = unpack_bits(&bytes[at..end], width, len);
        at = end;
        let section = match MemoryKind::from_code(u32::from(code)) {
            Some(MemoryKind::Layers) => Some(Section::Layers),
            Some(MemoryKind::Bias) if contents.image.arch.ese.is_some() => Some(Section::Parameters),
            Some(kind) => Some(Section::Pe(pe, kind)),
            None => None,
        };
        let name = match section {
            Some(section) => section.to_string(),
            None if ANSWER_CODES.contains(&code) => "known-answer test".into(),
            None => format!("row order of layer {}", code.wrapping_sub(ORDER_CODE)),
        };
        if words.crc32() != crc {
            return Err(ContainerError::SectionCrc { section: name, found: words.crc32(), stored: crc });
        }
        match section {
            Some(section) => insert(&mut contents.image, section, words)?,
            None if ANSWER_CODES.contains(&code) => {
                let values = answer::from_words(&words).map_err(|found| ContainerError::Table(format!("{name} {found}")))?;
                if halves.insert(code, values).is_some() {
                    return Err(ContainerError::Table(format!("{name} occurs twice")));
                }
            }
            None if code >= ORDER_CODE => {
                let order: Vec<u32> = (0..len).map(|k| words.bits(k, 0, width.min(32)) as u32).collect();
                let mut sorted = order.clone();
                sorted.sort_unstable();
                if sorted.iter().enumerate().any(|(k, row)| k != *row as usize) {
                    return Err(ContainerError::Table(format!("{name} is not a permutation of 0..{len}")));
                }
                contents.orders.insert(usize::from(code - ORDER_CODE), order);
            }
            None => return Err(ContainerError::Table(format!("row {i} has the unknown memory code {code}"))),
        }
    }
    if let Some(missing) = sections(&contents.image.arch).iter().find(|s| !contents.image.sections.contains_key(s)) {
        return Err(ContainerError::Table(format!("{missing} is missing")));
    }
    contents.answer = match ANSWER_CODES.map(|code| halves.remove(&code)) {
        [Some(pattern), Some(output)] => Some(KnownAnswer { pattern, output }),
        [None, None] => None,
        _ => return Err(ContainerError::Table("known-answer test has only one half".into())),
    };
    Ok(contents)
}

fn insert(image: &mut MemoryImage, section: Section, words: Words) -> Result<(), ContainerError> {
    if !sections(&image.arch).contains(&section) {
        return Err(ContainerError::Table(format!("{section} does not belong to this architecture")));
    }
    let (width, depth) = (section.kind().width(&image.arch), section.kind().depth(&image.arch));
    if words.width() != width {
        return Err(ContainerError::Table(format!("{section} has words of {} bits, the architecture {width}", words.width())));
    }
    if words.is_empty() || words.len() > depth {
        return Err(ContainerError::Table(format!("{section} has {} words, allowed are 1 to {depth}", words.len())));
    }
    match image.sections.insert(section, words) {
        Some(_) => Err(ContainerError::Table(format!("{section} occurs twice"))),
        None => Ok(()),
    }
}

/// The architecture that a manifest describes.
fn arch_of(manifest: &str) -> Result<Arch, ContainerError> {
    let error = |e: String| ContainerError::Manifest(e);
    let table: toml::Table = manifest.parse().map_err(|e: toml::de::Error| error(e.to_string()))?;
    let arch = table.get("accelerator").ok_or_else(|| error("table `accelerator` is missing".into()))?;
    let arch: Arch = arch.clone().try_into().map_err(|e: toml::de::Error| error(e.to_string()))?;
    arch.validate().map_err(|e| error(e.to_string()))?;
    Ok(arch)
}
