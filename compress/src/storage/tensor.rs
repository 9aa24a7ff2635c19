//! One tensor in a block: its name, shape and form, and its values by one of the coders.

use super::budget::Budget;
use super::floats::{code_codebook, code_raw};
use super::{grid, Method, StoredTensor, Values, MOST_MIXED, MOST_VALUES, NO_MIXED};
use crate::entropy::binary::{BitCoder, BitDecoder, BitEncoder, Cost, ONE};
use crate::entropy::bytes::{ByteModel, WordModel};
use crate::entropy::mixed::{MixedModel, Tuning};
use crate::entropy::{fast, huffman, Grid};
use crate::error::Error;

pub(super) const MOST_NAME: usize = 1024;
pub(super) const MOST_AXES: usize = 8;
/// Raw values from which on they stand as they are: modelling gains little.
const PLAIN: usize = 1 << 17;
/// Positions up to which several tunings are tried.
const TRIED: usize = 2 << 20;

/// What has been learned from the file so far; the same in writer and reader.
#[derive(Clone, Default)]
pub(super) struct Models {
    bytes: ByteModel,
    words: WordModel,
    mixed: MixedModel,
}

/// A block whose CRC was right.
pub(super) struct Block {
    coder: BitDecoder,
    bulk: Vec<u8>,
    used: usize,
}

impl Block {
    pub(super) fn new(body: Vec<u8>, has_bulk: bool) -> Result<Block, Error> {
        if !has_bulk {
            return Ok(Block { coder: BitDecoder::new(&body), bulk: Vec::new(), used: 0 });
        }
        let (mut length, mut at) = (0u64, 0);
        loop {
            let byte = *body.get(at).filter(|_| at < 9).ok_or_else(inconsistent)?;
            length |= u64::from(byte & 127) << (7 * at);
            at += 1;
            if byte < 128 {
                break;
            }
        }
        let end = usize::try_from(length).ok().and_then(|l| l.checked_add(at)).filter(|end| *end <= body.len()).ok_or_else(inconsistent)?;
        Ok(Block { coder: BitDecoder::new(&body[at..end]), bulk: body[end..].to_vec(), used: 0 })
    }

    fn take(&mut self, length: u64) -> Result<&[u8], Error> {
        let end = usize::try_from(length).ok().and_then(|l| self.used.checked_add(l)).filter(|end| *end <= self.bulk.len());
        let end = end.ok_or_else(inconsistent)?;
        let part = &self.bulk[self.used..end];
        self.used = end;
        Ok(part)
    }
}

fn inconsistent() -> Error {
    super::damaged("found a block that contradicts itself")
}

/// The forms of values in a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    SharedMixed,
    SharedHuffman,
    SharedFast,
    UniformMixed,
    UniformFast,
    Raw,
    RawPlain,
}

const FORMS: [Form; 7] =
    [Form::SharedMixed, Form::SharedHuffman, Form::SharedFast, Form::UniformMixed, Form::UniformFast, Form::Raw, Form::RawPlain];

impl Form {
    fn of(values: &Values, method: Method) -> Form {
        let large = values.len() > MOST_MIXED;
        match (values, method) {
            (Values::Shared { .. }, Method::Huffman) => Form::SharedHuffman,
            (Values::Shared { .. }, Method::Fast) => Form::SharedFast,
            (Values::Shared { .. }, Method::Auto) if large => Form::SharedFast,
            (Values::Shared { .. }, Method::Mixed) if values.len() >= NO_MIXED => Form::SharedFast,
            (Values::Shared { .. }, _) => Form::SharedMixed,
            (Values::Uniform { .. }, Method::Fast) => Form::UniformFast,
            (Values::Uniform { .. }, Method::Auto | Method::Huffman) if large => Form::UniformFast,
            (Values::Uniform { .. }, Method::Mixed) if values.len() >= NO_MIXED => Form::UniformFast,
            (Values::Uniform { .. }, _) => Form::UniformMixed,
            (Values::Raw(values), _) if values.len() >= PLAIN => Form::RawPlain,
            (Values::Raw(_), _) => Form::Raw,
        }
    }
}

/// The signed rank of each code: how far its value is from zero among those of its sign. First the numbers of values
/// below zero and above it.
fn ranks(codebook: &[f32]) -> (u32, u32, Vec<i32>) {
    let mut order: Vec<usize> = (0..codebook.len()).collect();
    order.sort_by(|a, b| codebook[*a].total_cmp(&codebook[*b]).then(a.cmp(b)));
    let negative = codebook.iter().filter(|v| v.is_sign_negative()).count();
    let mut ranks = vec![0; codebook.len() + 1];
    for (place, index) in order.iter().enumerate() {
        // at most 65,535 values
        let rank = place as i32 - negative as i32;
        ranks[index + 1] = if rank < 0 { rank } else { rank + 1 };
    }
    (negative as u32, (codebook.len() - negative) as u32, ranks)
}

/// Periods that columns of such a tensor may have.
fn periods(shape: &[usize]) -> Vec<u16> {
    let columns = grid(shape).columns;
    let mut found = vec![0];
    if shape.len() > 2 {
        found.extend(u16::try_from(shape[2..].iter().product::<usize>()).ok().filter(|p| *p > 1));
    } else {
        let root = columns.isqrt();
        if root * root == columns && root >= 8 {
            found.extend(u16::try_from(root).ok());
        }
    }
    found
}

fn fast_code(value: i32) -> u16 {
    // zigzag, numbers of 16 bits
    if value < 0 {
        (-(value + 1)) as u16 * 2 + 1
    } else {
        (value * 2) as u16
    }
}

fn fast_value(code: u16) -> i32 {
    let half = i32::from(code / 2);
    if code & 1 == 1 {
        -half - 1
    } else {
        half
    }
}

impl Models {
    /// The stream of a block, and what stands behind it.
    pub(super) fn encode(&mut self, tensors: &[StoredTensor], method: Method) -> (Vec<u8>, Vec<u8>) {
        let (mut coder, mut bulk) = (BitEncoder::new(), Vec::new());
        for tensor in tensors {
            coder.bit(true, MORE);
            self.put(&mut coder, tensor, method, &mut bulk);
        }
        coder.bit(false, MORE);
        (coder.finish(), bulk)
    }

    /// What each of `tensors` takes of a file, in bytes, names and codebooks included.
    pub(super) fn costs(&mut self, tensors: &[StoredTensor], method: Method) -> Vec<f64> {
        let mut cost = |tensor: &StoredTensor| {
            let (mut coder, mut bulk) = (Cost::default(), Vec::new());
            self.put(&mut coder, tensor, method, &mut bulk);
            coder.bits / 8.0 + bulk.len() as f64
        };
        tensors.iter().map(&mut cost).collect()
    }

    /// The next tensor of a block; none after its last.
    pub(super) fn decode(&mut self, block: &mut Block, budget: &mut Budget) -> Result<Option<StoredTensor>, Error> {
        if !block.coder.bit(false, MORE) {
            return if block.used == block.bulk.len() { Ok(None) } else { Err(inconsistent()) };
        }
        self.get(block, budget).map(Some)
    }

    fn put<C: BitCoder>(&mut self, coder: &mut C, tensor: &StoredTensor, method: Method, bulk: &mut Vec<u8>) {
        self.bytes.text(coder, tensor.name.as_bytes(), MOST_NAME);
        let form = Form::of(&tensor.values, method);
        let number = FORMS.iter().position(|f| *f == form).unwrap_or(0);
        self.bytes.byte(coder, (number * 16 + tensor.shape.len()) as u8);
        for axis in &tensor.shape {
            self.bytes.number(coder, *axis as u64);
        }
        let mut append = |models: &mut Models, coder: &mut C, bytes: &[u8]| {
            models.bytes.number(coder, bytes.len() as u64);
            bulk.extend(bytes);
        };
        match &tensor.values {
            Values::Shared { codebook, codes } => {
                self.bytes.number(coder, codebook.len() as u64);
                code_codebook(coder, &mut self.bytes, &mut self.words, &mut codebook.clone());
                match form {
                    Form::SharedHuffman => append(self, coder, &huffman::encode(codes, codebook.len()).0),
                    Form::SharedFast => append(self, coder, &fast::encode(codes, codebook.len())),
                    _ => {
                        let (negative, positive, ranks) = ranks(codebook);
                        let mut all: Vec<i32> = codes.iter().map(|c| ranks[usize::from(*c)]).collect();
                        self.put_ranks(coder, &tensor.shape, &mut all, negative, positive);
                    }
                }
            }
            Values::Uniform { bits, step, values } => {
                self.bytes.byte(coder, *bits as u8);
                code_raw(coder, &mut self.bytes, &mut self.words, &mut [*step]);
                if form == Form::UniformFast {
                    let codes: Vec<u16> = values.iter().map(|v| fast_code(*v)).collect();
                    append(self, coder, &fast::encode(&codes, (1 << bits) - 1));
                } else {
                    let limit = 1 << (bits - 1);
                    self.put_ranks(coder, &tensor.shape, &mut values.clone(), limit, limit - 1);
                }
            }
            Values::Raw(values) if form == Form::RawPlain => {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                append(self, coder, &bytes);
            }
            Values::Raw(values) => code_raw(coder, &mut self.bytes, &mut self.words, &mut values.clone()),
        }
    }

    /// Tries the tunings that such a tensor may gain from, and codes with the best.
    fn put_ranks(&mut self, coder: &mut impl BitCoder, shape: &[usize], ranks: &mut [i32], negative: u32, positive: u32) {
        let grid = grid(shape);
        let mut best = (f64::INFINITY, Tuning { period: 0, transposed: false });
        let tried: Vec<Tuning> =
            periods(shape).into_iter().flat_map(|period| [false, true].map(|transposed| Tuning { period, transposed })).collect();
        if grid.positions() <= TRIED && grid.rows > 1 {
            for tuning in tried {
                let mut cost = Cost::default();
                self.mixed.clone().code(&mut cost, grid, ranks, negative, positive, tuning);
                if cost.bits < best.0 {
                    best = (cost.bits, tuning);
                }
            }
        }
        let tuning = best.1;
        self.bytes.number(coder, u64::from(tuning.period) * 2 + u64::from(tuning.transposed));
        self.mixed.code(coder, grid, ranks, negative, positive, tuning);
    }

    fn get_ranks(&mut self, coder: &mut BitDecoder, grid: Grid, negative: u32, positive: u32) -> Result<Vec<i32>, Error> {
        let number = self.bytes.number(coder, 0);
        let period = u16::try_from(number / 2).map_err(|_| inconsistent())?;
        let mut ranks = vec![0; grid.positions()];
        self.mixed.code(coder, grid, &mut ranks, negative, positive, Tuning { period, transposed: number & 1 == 1 });
        Ok(ranks)
    }

    fn get(&mut self, block: &mut Block, budget: &mut Budget) -> Result<StoredTensor, Error> {
        let coder = &mut block.coder;
        let name = String::from_utf8(self.bytes.text(coder, &[], MOST_NAME)).map_err(|_| inconsistent())?;
        let kind = usize::from(self.bytes.byte(coder, 0));
        let form = *FORMS.get(kind / 16).ok_or_else(inconsistent)?;
        if kind % 16 > MOST_AXES || name.is_empty() {
            return Err(inconsistent());
        }
        let mut shape = Vec::new();
        for _ in 0..kind % 16 {
            shape.push(usize::try_from(self.bytes.number(coder, 0)).map_err(|_| inconsistent())?);
        }
        let count = shape.iter().try_fold(1usize, |all, axis| all.checked_mul(*axis)).filter(|c| *c <= MOST_VALUES);
        let count = count.ok_or_else(inconsistent)?;
        budget.tensor(name.len(), count)?;
        if matches!(form, Form::SharedMixed | Form::UniformMixed) && count >= NO_MIXED {
            return Err(inconsistent());
        }
        // an empty tensor may have any other axes
        let grid = grid(&shape);
        let values = match form {
            Form::SharedMixed | Form::SharedHuffman | Form::SharedFast => {
                let size = self.bytes.number(coder, 0);
                let size = usize::try_from(size).ok().filter(|s| *s <= usize::from(u16::MAX)).ok_or_else(inconsistent)?;
                budget.codebook(size)?;
                let mut codebook = vec![0.0; size];
                code_codebook(coder, &mut self.bytes, &mut self.words, &mut codebook);
                let codes = if form == Form::SharedMixed {
                    let (negative, positive, ranks) = ranks(&codebook);
                    let mut codes = vec![0u16; size + 1];
                    for (code, rank) in (0..=u16::MAX).zip(&ranks) {
                        codes[(*rank + negative as i32) as usize] = code;
                    }
                    let found = self.get_ranks(coder, grid, negative, positive)?;
                    found.into_iter().map(|rank| codes[(rank + negative as i32) as usize]).collect()
                } else {
                    let length = self.bytes.number(coder, 0);
                    let decode = if form == Form::SharedFast { fast::decode } else { huffman::decode };
                    decode(block.take(length)?, count, size).ok_or_else(inconsistent)?
                };
                Values::Shared { codebook, codes }
            }
            Form::UniformMixed | Form::UniformFast => {
                let bits = u32::from(self.bytes.byte(coder, 0));
                if !(2..=16).contains(&bits) {
                    return Err(inconsistent());
                }
                let mut step = [0.0];
                code_raw(coder, &mut self.bytes, &mut self.words, &mut step);
                let values = if form == Form::UniformMixed {
                    let limit = 1 << (bits - 1);
                    self.get_ranks(coder, grid, limit, limit - 1)?
                } else {
                    let length = self.bytes.number(coder, 0);
                    let codes = fast::decode(block.take(length)?, count, (1 << bits) - 1).ok_or_else(inconsistent)?;
                    codes.into_iter().map(fast_value).collect()
                };
                Values::Uniform { bits, step: step[0], values }
            }
            Form::Raw => {
                let mut values = vec![0.0; count];
                code_raw(coder, &mut self.bytes, &mut self.words, &mut values);
                Values::Raw(values)
            }
            Form::RawPlain => {
                let length = self.bytes.number(coder, 0);
                if length != 4 * count as u64 {
                    return Err(inconsistent());
                }
                let word = |raw: &[u8]| f32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]);
                Values::Raw(block.take(length)?.chunks_exact(4).map(word).collect())
            }
        };
        Ok(StoredTensor { name, shape, values })
    }
}

/// Of another tensor in a block.
const MORE: u32 = ONE - ONE / 8;
