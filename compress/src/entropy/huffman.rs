//! The coding of Deep Compression, section 4: relative indices and codes, each with a canonical Huffman code.
//!
//! An entry is a gap (zeros before it) and a code. A gap that does not fit its bits is cut by fillers: entries with the
//! largest gap and code 0. The bits of a gap are those that make the matrix smallest, and of each of the two streams the
//! Huffman code is taken only where it, with its table, is smaller than numbers of fixed length.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Longest code in bits.
const LONGEST: u32 = 32;

/// Entries of a matrix with relative indices of `gap_bits` bits.
pub fn entries(codes: &[u16], gap_bits: u32) -> (Vec<u32>, Vec<u32>) {
    let most = (1u32 << gap_bits) - 1;
    let (mut gaps, mut out) = (Vec::new(), Vec::new());
    let mut gap = 0u32;
    for code in codes {
        if *code != 0 || gap == most {
            gaps.push(gap);
            out.push(u32::from(*code));
            gap = 0;
        } else {
            gap += 1;
        }
    }
    // zeros at the end need no entry: the size of the matrix says that they are there
    while out.last() == Some(&0) {
        out.pop();
        gaps.pop();
    }
    (gaps, out)
}

/// The lengths of an optimal prefix code; 0 for a symbol that does not occur, 1 for one that is alone.
pub fn lengths(counts: &[u64]) -> Vec<u32> {
    let mut counts = counts.to_vec();
    loop {
        let lengths = unlimited(&counts);
        if lengths.iter().all(|l| *l <= LONGEST) {
            return lengths;
        }
        // flatter counts give a flatter tree
        counts.iter_mut().filter(|c| **c > 0).for_each(|c| *c = *c / 2 + 1);
    }
}

fn unlimited(counts: &[u64]) -> Vec<u32> {
    // nodes from the leaves up; a parent comes after its children
    let mut parents: Vec<usize> = vec![usize::MAX; counts.len()];
    let mut heap: BinaryHeap<Reverse<(u64, usize)>> =
        counts.iter().enumerate().filter(|(_, c)| **c > 0).map(|(i, c)| Reverse((*c, i))).collect();
    if let (1, Some(Reverse((_, only)))) = (heap.len(), heap.peek()) {
        let only = *only;
        return (0..counts.len()).map(|i| u32::from(i == only)).collect();
    }
    while let (Some(Reverse((a, i))), Some(Reverse((b, j)))) = (heap.pop(), heap.pop()) {
        let node = parents.len();
        parents.push(usize::MAX);
        (parents[i], parents[j]) = (node, node);
        if heap.is_empty() {
            break;
        }
        heap.push(Reverse((a + b, node)));
    }
    let mut depths = vec![0u32; parents.len()];
    for node in (0..parents.len()).rev() {
        if parents[node] != usize::MAX {
            depths[node] = depths[parents[node]] + 1;
        }
    }
    depths.truncate(counts.len());
    depths
}

/// The canonical code of `lengths`: shorter ones first, of one length in the order of the symbols.
fn canonical(lengths: &[u32]) -> Vec<u32> {
    let mut codes = vec![0; lengths.len()];
    let mut next = 0u64;
    for length in 1..=LONGEST {
        next <<= 1;
        for (code, _) in codes.iter_mut().zip(lengths).filter(|(_, l)| **l == length) {
            *code = next as u32;
            next += 1;
        }
    }
    codes
}

/// Bits, the highest of each number first.
#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    free: u32,
}

impl BitWriter {
    fn put(&mut self, value: u32, count: u32) {
        for i in (0..count).rev() {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            self.free -= 1;
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((value >> i & 1) as u8) << self.free;
            }
        }
    }
}

struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl BitReader<'_> {
    fn bit(&mut self) -> Option<u32> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(u32::from(bit))
    }
    fn take(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0u32, |value, _| Some(value << 1 | self.bit()?))
    }
}

/// How the symbols of a stream are written.
struct Table {
    /// Symbols are below `2^bits`.
    bits: u32,
    /// Empty: fixed length.
    lengths: Vec<u32>,
    codes: Vec<u32>,
}

impl Table {
    fn of(symbols: &[u32], bits: u32) -> Table {
        let mut counts = vec![0u64; 1 << bits];
        for symbol in symbols {
            counts[*symbol as usize] += 1;
        }
        let lengths = lengths(&counts);
        let coded: u64 = counts.iter().zip(&lengths).map(|(c, l)| c * u64::from(*l)).sum();
        let mut table = BitWriter::default();
        write_lengths(&mut table, &lengths);
        let fixed = symbols.len() as u64 * u64::from(bits);
        if coded + 8 * table.bytes.len() as u64 >= fixed {
            return Table { bits, lengths: Vec::new(), codes: Vec::new() };
        }
        Table { bits, codes: canonical(&lengths), lengths }
    }
    fn write(&self, out: &mut BitWriter) {
        out.put(u32::from(!self.lengths.is_empty()), 1);
        if !self.lengths.is_empty() {
            write_lengths(out, &self.lengths);
        }
    }
    fn read(input: &mut BitReader, bits: u32) -> Option<Table> {
        if input.bit()? == 0 {
            return Some(Table { bits, lengths: Vec::new(), codes: Vec::new() });
        }
        let lengths = read_lengths(input, 1 << bits)?;
        // the code must use every string of bits, except that one symbol alone has one bit
        let used = lengths.iter().filter(|l| **l > 0).count();
        let sum: u64 = lengths.iter().filter(|l| **l > 0).map(|l| 1u64 << (LONGEST - l)).sum();
        let alone = used == 1 && sum == 1 << (LONGEST - 1);
        (sum == 1 << LONGEST || alone).then(|| Table { bits, codes: canonical(&lengths), lengths })
    }
    fn put(&self, out: &mut BitWriter, symbol: u32) {
        match self.lengths.get(symbol as usize) {
            Some(length) => out.put(self.codes[symbol as usize], *length),
            None => out.put(symbol, self.bits),
        }
    }
    /// What finds the symbol of a code: first code, and symbols, of each length.
    fn decoder(&self) -> Decoder {
        let mut symbols: Vec<u32> = (0..self.lengths.len() as u32).filter(|s| self.lengths[*s as usize] > 0).collect();
        symbols.sort_by_key(|s| (self.lengths[*s as usize], *s));
        let mut counts = [0u32; LONGEST as usize + 1];
        symbols.iter().for_each(|s| counts[self.lengths[*s as usize] as usize] += 1);
        Decoder { fixed: self.lengths.is_empty().then_some(self.bits), counts, symbols }
    }
}

struct Decoder {
    fixed: Option<u32>,
    counts: [u32; LONGEST as usize + 1],
    symbols: Vec<u32>,
}

impl Decoder {
    fn take(&self, input: &mut BitReader) -> Option<u32> {
        if let Some(bits) = self.fixed {
            return input.take(bits);
        }
        let (mut code, mut first, mut index) = (0u64, 0u64, 0u64);
        for length in 1..=LONGEST as usize {
            code = code << 1 | u64::from(input.bit()?);
            let count = u64::from(self.counts[length]);
            first <<= 1;
            if code < first + count {
                return self.symbols.get((index + code - first) as usize).copied();
            }
            index += count;
            first += count;
        }
        None
    }
}

/// Six bits a length; after a 0, six bits more of the zeros that follow it.
fn write_lengths(out: &mut BitWriter, lengths: &[u32]) {
    let mut i = 0;
    while i < lengths.len() {
        out.put(lengths[i], 6);
        let mut run = 0;
        if lengths[i] == 0 {
            while run < 63 && lengths.get(i + 1 + run) == Some(&0) {
                run += 1;
            }
            out.put(run as u32, 6);
        }
        i += 1 + run;
    }
}

fn read_lengths(input: &mut BitReader, count: usize) -> Option<Vec<u32>> {
    let mut lengths = Vec::new();
    while lengths.len() < count {
        let length = input.take(6)?;
        if length > LONGEST {
            return None;
        }
        lengths.push(length);
        if length == 0 {
            let run = input.take(6)? as usize;
            lengths.resize(lengths.len() + run, 0);
        }
    }
    (lengths.len() == count).then_some(lengths)
}

/// What a matrix costs in the columns of the paper's tables, in bits over all entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    pub gap_bits: u32,
    /// With fillers.
    pub entries: usize,
    /// Bits of a code before Huffman coding.
    pub code_bits: u32,
    /// Of all codes and of all gaps after Huffman coding, tables apart.
    pub coded_codes: u64,
    pub coded_gaps: u64,
    /// Of the whole matrix, with tables.
    pub total: u64,
}

fn code_bits(values: usize) -> u32 {
    (usize::BITS - values.leading_zeros()).max(1)
}

fn encode_with(codes: &[u16], values: usize, gap_bits: u32) -> (Vec<u8>, Sizes) {
    let (gaps, symbols) = entries(codes, gap_bits);
    let code_bits = code_bits(values);
    let (gap_table, code_table) = (Table::of(&gaps, gap_bits), Table::of(&symbols, code_bits));
    let mut out = BitWriter::default();
    out.put(gap_bits, 5);
    // positions are below 2^32
    out.put(gaps.len() as u32, 32);
    gap_table.write(&mut out);
    code_table.write(&mut out);
    let cost = |table: &Table, symbols: &[u32]| -> u64 {
        symbols.iter().map(|s| u64::from(table.lengths.get(*s as usize).copied().unwrap_or(table.bits))).sum()
    };
    let (coded_gaps, coded_codes) = (cost(&gap_table, &gaps), cost(&code_table, &symbols));
    for (gap, symbol) in gaps.iter().zip(&symbols) {
        gap_table.put(&mut out, *gap);
        code_table.put(&mut out, *symbol);
    }
    let total = 8 * out.bytes.len() as u64;
    (out.bytes, Sizes { gap_bits, entries: gaps.len(), code_bits, coded_codes, coded_gaps, total })
}

/// Codes `codes`, none above `values`, with the bits of a gap that make it smallest (2 to 12).
pub fn encode(codes: &[u16], values: usize) -> (Vec<u8>, Sizes) {
    let mut best: Option<(Vec<u8>, Sizes)> = None;
    for gap_bits in 2..=12 {
        let found = encode_with(codes, values, gap_bits);
        if best.as_ref().is_none_or(|(bytes, _)| found.0.len() < bytes.len()) {
            best = Some(found);
        }
    }
    best.unwrap_or_default()
}

/// The `positions` codes that `bytes` hold; `None` if they hold others.
pub fn decode(bytes: &[u8], positions: usize, values: usize) -> Option<Vec<u16>> {
    let mut input = BitReader { bytes, at: 0 };
    let gap_bits = input.take(5)?;
    if !(1..=16).contains(&gap_bits) {
        return None;
    }
    let count = input.take(32)? as usize;
    let gaps = Table::read(&mut input, gap_bits)?.decoder();
    let symbols = Table::read(&mut input, code_bits(values))?.decoder();
    let mut codes = vec![0; positions];
    let mut at = 0usize;
    for _ in 0..count {
        at = at.checked_add(gaps.take(&mut input)? as usize)?;
        let code = symbols.take(&mut input)?;
        if code as usize > values {
            return None;
        }
        *codes.get_mut(at)? = u16::try_from(code).ok()?;
        at += 1;
    }
    Some(codes)
}
