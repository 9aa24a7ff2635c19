//! The storage file (`.lcs`): named tensors, compressed. Its bytes are described in docs/formats.md.
//!
//! A file is a row of blocks, each with a CRC-32 that is checked before anything of it is decoded and that goes on from the
//! one before: a damaged file, or one whose blocks were lost, repeated or moved, gives an error and never wrong values. Reading
//! needs the memory of one block and of what it decodes to at a time, and a block decodes to no more than its bytes pay for
//! ([`budget`]).

mod budget;
mod floats;
mod save;
mod share;
mod stats;
mod tensor;

pub use save::{exact, in_file, is_storage, save_stored, save_tensors};
pub use stats::{tensor_stats, TensorStats};

use crate::error::{grouped, Error};
use budget::Budget;
use std::collections::BTreeSet;
use std::io::Read;
use tensor::Models;

/// First bytes of a file: the name, and the version of the format.
const MAGIC: [u8; 4] = *b"LCS\x01";
/// Most values of one tensor.
pub const MOST_VALUES: usize = 1 << 28;
/// Positions after which a block ends.
const BLOCK: usize = 1 << 20;
/// Positions up to which [`Method::Auto`] takes the smallest form.
pub const MOST_MIXED: usize = 6 << 20;
/// Positions from which on no tensor is in mixed contexts: they take a second for two million.
const NO_MIXED: usize = 1 << 24;

/// A tensor with its name, in C order (last index fastest).
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTensor {
    /// Not empty, without zero bytes, at most 1,024 bytes; each name once.
    pub name: String,
    /// The product is the number of values; empty for a single value.
    pub shape: Vec<usize>,
    pub values: Values,
}

/// The values of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Shared weights: code 0 is 0.0, any other is `codebook[code - 1]`. At most 65,535 shared values.
    Shared { codebook: Vec<f32>, codes: Vec<u16> },
    /// `values[i] * step`, each value a signed integer of `bits` bits, 2 to 16.
    Uniform { bits: u32, step: f32, values: Vec<i32> },
    /// The values themselves, bit by bit; as 16-bit floats where that is exact for all.
    Raw(Vec<f32>),
}

impl Values {
    pub fn len(&self) -> usize {
        match self {
            Values::Shared { codes, .. } => codes.len(),
            Values::Uniform { values, .. } => values.len(),
            Values::Raw(values) => values.len(),
        }
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The values as floating point.
    pub fn dense(&self) -> Vec<f32> {
        match self {
            Values::Shared { codebook, codes } => {
                codes.iter().map(|code| code.checked_sub(1).and_then(|c| codebook.get(usize::from(c))).copied().unwrap_or(0.0)).collect()
            }
            Values::Uniform { step, values, .. } => values.iter().map(|v| *v as f32 * step).collect(),
            Values::Raw(values) => values.clone(),
        }
    }
}

impl StoredTensor {
    fn check(&self) -> Result<(), Error> {
        let wrong = |fault: String| Err(Error::Stored { tensor: self.name.clone(), fault });
        if self.name.is_empty() || self.name.len() > tensor::MOST_NAME || self.name.contains('\0') {
            return wrong(format!("found a name of {} bytes, expected 1 to {} and none zero", self.name.len(), tensor::MOST_NAME));
        }
        let count = self.shape.iter().try_fold(1usize, |all, axis| all.checked_mul(*axis));
        if self.shape.len() > tensor::MOST_AXES || count.is_none_or(|c| c > MOST_VALUES || c != self.values.len()) {
            let expected = format!("as many values as its shape has, at most {}", grouped(MOST_VALUES));
            return wrong(format!("found shape {:?} with {} values, expected {expected}", self.shape, grouped(self.values.len())));
        }
        match &self.values {
            Values::Shared { codebook, codes } => {
                if codebook.len() > usize::from(u16::MAX) {
                    return wrong(format!("found {} shared values, expected at most 65,535", grouped(codebook.len())));
                }
                match codes.iter().find(|c| usize::from(**c) > codebook.len()) {
                    Some(code) => wrong(format!("found code {code}, expected at most {}, the size of its codebook", codebook.len())),
                    None => Ok(()),
                }
            }
            Values::Uniform { bits, values, .. } => {
                if !(2..=16).contains(bits) {
                    return wrong(format!("found values of {bits} bits, expected 2 to 16"));
                }
                let limit = 1i32 << (bits - 1);
                match values.iter().find(|v| !(-limit..limit).contains(*v)) {
                    Some(value) => wrong(format!("found {value}, expected a number of {bits} bits")),
                    None => Ok(()),
                }
            }
            Values::Raw(_) => Ok(()),
        }
    }
}

fn grid(shape: &[usize]) -> crate::entropy::Grid {
    match shape {
        // without values there is nothing to arrange, and the other axes may be of any size
        _ if shape.contains(&0) => crate::entropy::Grid { rows: 0, columns: 0 },
        [] => crate::entropy::Grid { rows: 1, columns: 1 },
        [length] => crate::entropy::Grid { rows: 1, columns: *length },
        [rows, rest @ ..] => crate::entropy::Grid { rows: *rows, columns: rest.iter().product() },
    }
}

/// How shared codes and integers are coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// The smallest up to some millions of positions, the fast one above.
    #[default]
    Auto,
    /// Deep Compression's: relative indices and codes, each with a Huffman code.
    Huffman,
    /// Adaptive coding of gaps and codes.
    Fast,
    /// Mixed contexts: the smallest and slowest; above 16 million positions the fast one, too.
    Mixed,
}

const TWICE: &str = "found the name twice, expected it once";

fn damaged(what: impl Into<String>) -> Error {
    Error::Damaged(what.into())
}

/// The bytes of a file with `tensors`.
pub fn write(tensors: &[StoredTensor], method: Method) -> Result<Vec<u8>, Error> {
    let mut names = BTreeSet::new();
    for tensor in tensors {
        tensor.check()?;
        if !names.insert(&tensor.name) {
            return Err(Error::Stored { tensor: tensor.name.clone(), fault: TWICE.to_string() });
        }
    }
    let mut blocks: Vec<&[StoredTensor]> = Vec::new();
    let (mut first, mut positions) = (0, 0);
    for (i, tensor) in tensors.iter().enumerate() {
        positions += tensor.values.len();
        if positions >= BLOCK {
            blocks.push(&tensors[first..=i]);
            (first, positions) = (i + 1, 0);
        }
    }
    if first < tensors.len() || blocks.is_empty() {
        blocks.push(&tensors[first..]);
    }
    let mut file = MAGIC.to_vec();
    let mut models = Models::default();
    // of everything but the CRCs themselves: with them it would forget what came before
    let mut hasher = crc32fast::Hasher::new();
    let mut budget = Budget::default();
    budget.add_bytes(file.len());
    for (i, block) in blocks.iter().enumerate() {
        let (mut stream, bulk) = models.encode(block, method);
        let missing = budget.write(block, stream.len() + bulk.len())?;
        stream.resize(stream.len() + missing, 0);
        let has_bulk = !bulk.is_empty();
        let mut body = Vec::with_capacity(stream.len() + bulk.len() + 10);
        if has_bulk {
            put_number(&mut body, stream.len() as u64);
        }
        body.extend(stream);
        body.extend(bulk);
        let mut head = Vec::new();
        put_number(&mut head, (body.len() as u64) << 2 | u64::from(has_bulk) << 1 | u64::from(i + 1 == blocks.len()));
        let start = if i == 0 { 0 } else { file.len() };
        budget.add_bytes(head.len() + body.len());
        file.extend(head);
        file.extend(body);
        // the first one's CRC includes the magic
        hasher.update(&file[start..]);
        file.extend(hasher.clone().finalize().to_le_bytes());
    }
    Ok(file)
}

/// What each of `tensors` takes of a file, in bytes: its name, shape and codebook included, the CRC of its block apart.
pub fn sizes(tensors: &[StoredTensor], method: Method) -> Result<Vec<f64>, Error> {
    tensors.iter().try_for_each(StoredTensor::check)?;
    Ok(Models::default().costs(tensors, method))
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number > 127 {
        out.push((number & 127) as u8 | 128);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads a file tensor after tensor. After an error there is nothing more.
pub struct Reader<R> {
    input: R,
    /// Made with the first block whose CRC is right.
    models: Option<Models>,
    block: Option<tensor::Block>,
    last: bool,
    done: bool,
    /// Of all bytes so far but the CRCs.
    hasher: crc32fast::Hasher,
    budget: Budget,
    names: BTreeSet<String>,
}

impl<R: Read> Reader<R> {
    /// An error if the file is not one of this kind.
    pub fn new(mut input: R) -> Result<Reader<R>, Error> {
        let mut magic = Vec::new();
        input.by_ref().take(4).read_to_end(&mut magic).map_err(|e| damaged(e.to_string()))?;
        if magic.len() < 4 || magic[..3] != MAGIC[..3] {
            return Err(damaged("found other first bytes, expected LCS"));
        }
        if magic[3] != MAGIC[3] {
            return Err(damaged(format!("found version {} of the format, expected {}", magic[3], MAGIC[3])));
        }
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&magic);
        let mut budget = Budget::default();
        budget.add_bytes(magic.len());
        Ok(Reader { input, models: None, block: None, last: false, done: false, hasher, budget, names: BTreeSet::new() })
    }

    fn byte(&mut self) -> Result<u8, Error> {
        let mut byte = [0];
        self.input.read_exact(&mut byte).map_err(|_| damaged("found the end of the file, expected another block"))?;
        self.hasher.update(&byte);
        self.budget.add_bytes(1);
        Ok(byte[0])
    }

    fn next_block(&mut self) -> Result<tensor::Block, Error> {
        let (mut head, mut shift) = (0u64, 0);
        loop {
            let byte = self.byte()?;
            head |= u64::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                break;
            }
            if shift > 42 {
                return Err(damaged("found a block of more than 2^40 bytes"));
            }
        }
        let length = head >> 2;
        self.last = head & 1 == 1;
        let mut body = Vec::new();
        self.input.by_ref().take(length).read_to_end(&mut body).map_err(|e| damaged(e.to_string()))?;
        let mut stored = [0; 4];
        let whole = body.len() as u64 == length && self.input.read_exact(&mut stored).is_ok();
        if !whole {
            return Err(damaged("found the end of the file inside a block"));
        }
        self.hasher.update(&body);
        self.budget.add_bytes(body.len());
        let found = self.hasher.clone().finalize();
        if found != u32::from_le_bytes(stored) {
            return Err(damaged(format!("found CRC-32 {found:08x} of a block, expected {:08x}", u32::from_le_bytes(stored))));
        }
        if self.last && self.input.read(&mut [0]).map_err(|e| damaged(e.to_string()))? > 0 {
            return Err(damaged("found bytes behind the last block"));
        }
        tensor::Block::new(body, head & 2 == 2)
    }

    fn advance(&mut self) -> Result<Option<StoredTensor>, Error> {
        loop {
            if let Some(block) = &mut self.block {
                if let Some(tensor) = self.models.get_or_insert_default().decode(block, &mut self.budget)? {
                    if !self.names.insert(tensor.name.clone()) {
                        return Err(Error::Stored { tensor: tensor.name, fault: TWICE.to_string() });
                    }
                    return Ok(Some(tensor));
                }
                self.block = None;
            }
            if self.last {
                return Ok(None);
            }
            self.block = Some(self.next_block()?);
        }
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<StoredTensor, Error>;

    fn next(&mut self) -> Option<Result<StoredTensor, Error>> {
        if self.done {
            return None;
        }
        let next = self.advance().transpose();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

/// All tensors of a file.
pub fn read_all(input: impl Read) -> Result<Vec<StoredTensor>, Error> {
    Reader::new(input)?.collect()
}

#[cfg(test)]
mod tests;
