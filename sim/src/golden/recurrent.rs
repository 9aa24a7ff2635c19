//! From the words of an image of the ESE kind to what its program does, once per image.

use super::program;
use super::GoldenError;
use lacuna_compress::spec::arch::ACT_BITS;
use lacuna_compress::spec::layout::{pointer_place, sections};
use lacuna_compress::spec::lut::Lut;
use lacuna_compress::spec::program::{Job, Op, Parameters, Source};
use lacuna_compress::spec::{fixed, Arch, Entry, MemoryImage, MemoryKind, Section, WeightForm, Words};

/// One entry: where its product goes, and the weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product {
    /// Gates: `4 * cell + gate`; rows: the row.
    pub sum: u32,
    /// Decoded weight; 0 for padding.
    pub weight: i32,
}

/// The columns that an operation broadcasts.
#[derive(Clone, Debug)]
pub struct Matrix {
    pes: usize,
    /// First product of each column, and the end.
    starts: Vec<u32>,
    /// Column by column, within it PE by PE.
    products: Vec<Product>,
    /// Entries of column `j` in PE `k` at `j * pes + k`.
    counts: Vec<u32>,
}

impl Matrix {
    pub fn columns(&self) -> usize {
        self.starts.len() - 1
    }
    /// Entries of a column over all PEs, padding included.
    pub fn column(&self, column: usize) -> &[Product] {
        &self.products[self.starts[column] as usize..self.starts[column + 1] as usize]
    }
    /// Entries of a column in each PE, padding included.
    pub fn counts(&self, column: usize) -> &[u32] {
        &self.counts[column * self.pes..(column + 1) * self.pes]
    }
}

/// An operation of the image, decoded.
#[derive(Clone, Debug)]
pub struct RecurrentOp {
    pub op: Op,
    /// None for input in advance, which is part of the first operation's matrix.
    pub matrix: Option<Matrix>,
    /// Of the job's cells, or of its rows if they have biases.
    pub parameters: Vec<Parameters>,
}

/// The golden model of one image of the ESE kind.
#[derive(Clone, Debug)]
pub struct Recurrent {
    pub arch: Arch,
    pub ops: Vec<RecurrentOp>,
    pub(super) lut: Lut,
}

impl Recurrent {
    /// Decodes an image by walking its words. Errors: anything that a compiled image cannot contain.
    pub fn new(image: &MemoryImage) -> Result<Recurrent, GoldenError> {
        let arch = &image.arch;
        arch.validate()?;
        let Some(ese) = &arch.ese else { return Err(GoldenError::NotRecurrent) };
        for section in sections(arch) {
            let words = image.sections.get(&section).ok_or(GoldenError::Missing { section })?;
            let (depth, bits) = (section.kind().depth(arch), section.kind().width(arch));
            if words.width() != bits || words.is_empty() || words.len() > depth {
                return Err(GoldenError::Shape { section, found_words: words.len(), found_bits: words.width(), depth, bits });
            }
        }
        let list = Op::read_all(&image.sections[&Section::Layers]);
        if !list.last().is_some_and(|op| op.last) {
            return Err(GoldenError::EndlessProgram { operations: list.len() });
        }
        program::check(arch, ese, &list)?;
        let mut ops = vec![];
        // largest magnitude that each sum can have: of gates, of rows
        let mut reach: [Vec<u64>; 2] = Default::default();
        for number in 0..list.len() {
            let decoder = Decoder { image, ops: &list, number };
            let sums = &mut reach[usize::from(list[number].rows_bank)];
            let matrix = match list[number].source {
                Source::Ahead => None,
                _ => Some(decoder.matrix(sums)?),
            };
            let parameters = decoder.parameters()?;
            decoder.job(&parameters, sums)?;
            ops.push(RecurrentOp { op: list[number], matrix, parameters });
        }
        Ok(Recurrent { arch: arch.clone(), ops, lut: Lut::default() })
    }

    /// Values of an input vector.
    pub fn inputs(&self) -> usize {
        self.ops[0].op.columns
    }
    /// Values of an output vector.
    pub fn outputs(&self) -> usize {
        self.ops.iter().filter(|o| o.op.output).map(|o| o.op.count).sum()
    }
    /// Entries that are multiplied in one step, padding included.
    pub fn entries(&self) -> usize {
        self.ops.iter().filter_map(|o| o.matrix.as_ref()).map(|m| m.products.len()).sum()
    }
}

/// One operation, reading the image.
struct Decoder<'a> {
    image: &'a MemoryImage,
    ops: &'a [Op],
    number: usize,
}

impl Decoder<'_> {
    fn op(&self) -> &Op {
        &self.ops[self.number]
    }
    fn fault<T>(&self, found: String) -> Result<T, GoldenError> {
        Err(GoldenError::Program { op: self.number, found })
    }
    /// A memory of a PE; [`Recurrent::new`] has seen that it exists.
    fn words(&self, pe: usize, kind: MemoryKind) -> &Words {
        &self.image.sections[&Section::Pe(pe as u16, kind)]
    }

    fn pointer(&self, pe: usize, p: usize) -> Result<usize, GoldenError> {
        let (bank, address) = pointer_place(p);
        let words = self.words(pe, bank);
        if address < words.len() {
            return Ok(words.get(address) as usize);
        }
        self.fault(format!("its pointer {p} lies beyond the {} words of pe {pe} {}", words.len(), bank.name()))
    }

    /// Values by code; `None` when weights are direct.
    fn codebook(&self, pe: usize) -> Result<Option<Vec<i32>>, GoldenError> {
        let arch = &self.image.arch;
        if arch.weights == WeightForm::Direct {
            return Ok(None);
        }
        let (words, first) = (self.words(pe, MemoryKind::Codebook), self.op().layer << arch.weight_bits);
        let end = first + (1 << arch.weight_bits);
        if end > words.len() {
            return self.fault(format!("codebook {} ends at word {end}, pe {pe} has {}", self.op().layer, words.len()));
        }
        let values: Vec<i32> = (first..end).map(|index| words.get_signed(index) as i32).collect();
        if values[0] != 0 {
            return self.fault(format!("pe {pe}'s codebook {} has {} for code 0, which must be 0", self.op().layer, values[0]));
        }
        Ok(Some(values))
    }

    /// The operation's columns; adds to `reach` what they can add to each sum.
    fn matrix(&self, reach: &mut Vec<u64>) -> Result<Matrix, GoldenError> {
        let (arch, op) = (&self.image.arch, self.op());
        let pes = arch.pes;
        let count = program::job_of(self.ops, self.number).map_or(0, |job| self.ops[job].count);
        let sums = if op.rows_bank { count } else { 4 * count };
        reach.resize(sums, 0);
        let codebooks: Vec<Option<Vec<i32>>> = (0..pes).map(|pe| self.codebook(pe)).collect::<Result<_, _>>()?;
        let mut next: Vec<usize> = (0..pes).map(|pe| self.pointer(pe, op.ptr_base)).collect::<Result<_, _>>()?;
        let mut matrix = Matrix { pes, starts: vec![0], products: vec![], counts: vec![] };
        for column in 0..op.columns {
            for pe in 0..pes {
                let spmat = self.words(pe, MemoryKind::Spmat);
                let (first, end) = (next[pe], self.pointer(pe, op.ptr_base + column + 1)?);
                let capacity = spmat.len() * arch.entries_per_word;
                if first > end || end > capacity {
                    let expected = format!("expected ascending ones up to {capacity}");
                    return self.fault(format!("pe {pe}, column {column}: pointers {first} to {end}, {expected}"));
                }
                let mut row = 0;
                for index in first..end {
                    let entry = Entry::read(spmat, index, arch);
                    row += entry.run as usize;
                    let sum = if op.rows_bank { row * pes + pe } else { (row / 4 * pes + pe) * 4 + row % 4 };
                    if sum >= sums {
                        let rows = format!("which lies beyond its job's {count} elements");
                        return self.fault(format!("pe {pe}, column {column}: entry {index} is for row {row}, {rows}"));
                    }
                    let weight = match &codebooks[pe] {
                        Some(values) => values[entry.weight as usize],
                        None => ((entry.weight << (32 - arch.weight_bits)) as i32) >> (32 - arch.weight_bits),
                    };
                    reach[sum] += u64::from(weight.unsigned_abs()) * largest_act();
                    matrix.products.push(Product { sum: sum as u32, weight });
                    row += 1;
                }
                matrix.counts.push((end - first) as u32);
                next[pe] = end;
            }
            matrix.starts.push(matrix.products.len() as u32);
        }
        Ok(matrix)
    }

    fn parameters(&self) -> Result<Vec<Parameters>, GoldenError> {
        let op = self.op();
        if op.job == Job::None || (op.job == Job::Rows && !op.bias) {
            return Ok(vec![]);
        }
        let words = &self.image.sections[&Section::Parameters];
        let end = op.param_base + op.count;
        if end > words.len() {
            return self.fault(format!("its parameters end at word {end}, the parameter memory has {}", words.len()));
        }
        Ok((op.param_base..end).map(|index| Parameters::read(words, index, &self.image.arch)).collect())
    }

    /// No sum may leave the accumulator, with bias and peephole product; then the bank is empty again.
    fn job(&self, parameters: &[Parameters], reach: &mut Vec<u64>) -> Result<(), GoldenError> {
        let op = self.op();
        if op.job == Job::None {
            return Ok(());
        }
        let gates = if op.job == Job::Cells { 4 } else { 1 };
        for (sum, products) in reach.iter().enumerate() {
            let (element, gate) = (sum / gates, sum % gates);
            let mut most = *products;
            match parameters.get(element) {
                Some(p) => most += p.biases[gate].unsigned_abs(),
                None => most += fixed::rounding(op.shifts[0]).unsigned_abs(),
            }
            // gates i f o have a peephole
            if let (Job::Cells, Some(k), Some(p)) = (op.job, [Some(0), Some(1), None, Some(2)][gate], parameters.get(element)) {
                most += (u64::from(p.peepholes[k].unsigned_abs()) * largest_act()) << op.aligns[k];
            }
            // one bit for the sign
            let (needed, found) = ((u64::BITS - most.leading_zeros()) as usize + 1, self.image.arch.acc_bits);
            if needed > found {
                let (pe, what) = (element % self.image.arch.pes, if gates == 4 { "cell" } else { "row" });
                let text =
                    format!("pe {pe}: the sum of {what} {element}, gate {gate}, can need {needed} bits, the accumulator has {found}");
                return self.fault(text);
            }
        }
        reach.clear();
        Ok(())
    }
}

fn largest_act() -> u64 {
    fixed::limits(ACT_BITS).0.unsigned_abs()
}
