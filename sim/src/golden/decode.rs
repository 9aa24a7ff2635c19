//! From the words of an image to what the PEs do, once per image.
//!
//! Each layer's pointers, entries and biases are walked as the hardware walks them. What the hardware
//! takes on trust is checked here, so that inference itself cannot fail.

use super::GoldenError;
use lacuna_compress::spec::arch::ACT_BITS;
use lacuna_compress::spec::layout::{pointer_place, sections};
use lacuna_compress::spec::{fixed, Arch, Entry, LayerRecord, MemoryImage, MemoryKind, Section, WeightForm, Words};

/// One entry as the arithmetic sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Row of the PE, which is the accumulator.
    pub row: u32,
    /// Decoded weight; 0 for padding.
    pub weight: i32,
}

/// What one PE holds of one layer.
#[derive(Clone, Debug)]
pub(super) struct PePart {
    /// First entry of each column, and the end; from the start of the PE's memory.
    pub pointers: Vec<u32>,
    pub steps: Vec<Step>,
    /// Start values of the accumulators.
    pub bias: Vec<i64>,
}

/// A layer of the image, decoded.
#[derive(Clone, Debug)]
pub struct GoldenLayer {
    pub record: LayerRecord,
    /// Columns; of a convolution those of a place.
    pub columns: usize,
    pub(super) parts: Vec<PePart>,
}

impl GoldenLayer {
    /// Entries of a column on a PE, padding included.
    pub fn steps(&self, pe: usize, column: usize) -> &[Step] {
        let part = &self.parts[pe];
        let first = part.pointers[0];
        &part.steps[(part.pointers[column] - first) as usize..(part.pointers[column + 1] - first) as usize]
    }
    /// Numbers of these entries in the PE's memory: where they lie in its words.
    pub fn entries(&self, pe: usize, column: usize) -> std::ops::Range<u32> {
        let pointers = &self.parts[pe].pointers;
        pointers[column]..pointers[column + 1]
    }
    /// How many they are.
    pub fn count(&self, pe: usize, column: usize) -> u32 {
        let entries = self.entries(pe, column);
        entries.end - entries.start
    }
}

/// The golden model of one image.
#[derive(Clone, Debug)]
pub struct Golden {
    pub arch: Arch,
    pub layers: Vec<GoldenLayer>,
}

impl Golden {
    /// Decodes an image by walking its words. Errors: anything that a compiled image cannot contain.
    pub fn new(image: &MemoryImage) -> Result<Golden, GoldenError> {
        let arch = &image.arch;
        arch.validate()?;
        for section in sections(arch) {
            let words = image.sections.get(&section).ok_or(GoldenError::Missing { section })?;
            let (depth, bits) = (section.kind().depth(arch), section.kind().width(arch));
            if words.width() != bits || words.is_empty() || words.len() > depth {
                return Err(GoldenError::Shape { section, found_words: words.len(), found_bits: words.width(), depth, bits });
            }
        }
        let records = LayerRecord::read_all(&image.sections[&Section::Layers]);
        if !records.last().is_some_and(|r| r.last) {
            return Err(GoldenError::Endless { layers: records.len() });
        }
        let mut layers: Vec<GoldenLayer> = vec![];
        for (l, record) in records.iter().enumerate() {
            check_record(arch, l, record, l.checked_sub(1).map(|before| &records[before]))?;
            let parts = (0..arch.pes).map(|pe| Pe { image, pe, layer: l, record }.part()).collect::<Result<_, _>>()?;
            layers.push(GoldenLayer { record: *record, columns: record.columns(arch.pes), parts });
        }
        Ok(Golden { arch: arch.clone(), layers })
    }

    /// Activations that the network takes, by position: of a map those up to the last that the walk reaches, those of
    /// channels that do not exist included, which must be 0.
    pub fn inputs(&self) -> usize {
        self.layers[0].record.inputs(self.arch.pes)
    }
}

fn check_record(arch: &Arch, layer: usize, r: &LayerRecord, before: Option<&LayerRecord>) -> Result<(), GoldenError> {
    let within = |field, found: usize, low: usize, high: usize| {
        if (low..=high).contains(&found) {
            Ok(())
        } else {
            Err(GoldenError::Record { layer, field, found, rule: format!("allowed are {low} to {high}") })
        }
    };
    within("source_rows", r.source_rows, 1, arch.act_depth)?;
    within("last_lanes", r.last_lanes, 1, arch.pes)?;
    within("out_rows", r.out_rows, 1, arch.act_depth.min(arch.acc_depth))?;
    within("shift", r.shift as usize, 0, fixed::MAX_SHIFT as usize)?;
    let fault = |field, found, rule| Err(GoldenError::Record { layer, field, found, rule });
    let span = match &r.walk {
        None => r.source_rows,
        Some(walk) => {
            within("run_rows", walk.run_rows, 1, r.source_rows)?;
            within("out_width", walk.out_width, 1, arch.act_depth)?;
            within("out_height", walk.out_height, 1, arch.act_depth)?;
            within("pool", walk.pool, 1, walk.out_width.min(walk.out_height))?;
            let divides = [
                ("source_rows", r.source_rows, "run_rows", walk.run_rows),
                ("out_width", walk.out_width, "pool", walk.pool),
                ("out_height", walk.out_height, "pool", walk.pool),
            ];
            if let Some((field, found, by, divisor)) = divides.into_iter().find(|d| d.1 % d.3 != 0) {
                return fault(field, found, format!("expected a multiple of {by}, which is {divisor}"));
            }
            if walk.runs(r.source_rows) > 1 && walk.line_rows < walk.run_rows {
                return fault("line_rows", walk.line_rows, format!("expected at least run_rows, which is {}", walk.run_rows));
            }
            let span = walk.span(r.source_rows);
            if span > arch.act_depth {
                return fault("out_height", walk.out_height, format!("the walk ends at source row {span} of {}", arch.act_depth));
            }
            if r.destination_rows() > arch.act_depth {
                let rule = format!("{} pixels of them are more than the {} rows of a buffer", walk.windows(), arch.act_depth);
                return fault("out_rows", r.out_rows, rule);
            }
            span
        }
    };
    match before.map(LayerRecord::destination_rows) {
        Some(made) if made < span && span == r.source_rows => {
            fault("source_rows", r.source_rows, format!("the layer before it makes {made}"))
        }
        Some(made) if made < span => {
            fault("out_height", r.walk().out_height, format!("the walk ends at source row {span}, the layer before it makes {made}"))
        }
        _ => Ok(()),
    }
}

/// One PE at one layer, reading its memories.
struct Pe<'a> {
    image: &'a MemoryImage,
    pe: usize,
    layer: usize,
    record: &'a LayerRecord,
}

impl Pe<'_> {
    /// A memory of this PE; [`Golden::new`] has seen that it exists.
    fn words(&self, kind: MemoryKind) -> &Words {
        &self.image.sections[&Section::Pe(self.pe as u16, kind)]
    }

    fn pointer(&self, p: usize) -> Result<u64, GoldenError> {
        let (bank, address) = pointer_place(p);
        let words = self.words(bank);
        if address < words.len() {
            return Ok(words.get(address));
        }
        let rule = format!("its pointer {p} lies beyond the {} words of pe {} {}", words.len(), self.pe, bank.name());
        Err(GoldenError::Record { layer: self.layer, field: "ptr_base", found: self.record.ptr_base, rule })
    }

    /// Values by code; `None` when weights are direct.
    fn codebook(&self) -> Result<Option<Vec<i32>>, GoldenError> {
        let arch = &self.image.arch;
        if arch.weights == WeightForm::Direct {
            return Ok(None);
        }
        let (words, first) = (self.words(MemoryKind::Codebook), self.layer << arch.weight_bits);
        let end = first + (1 << arch.weight_bits);
        if end > words.len() {
            let section = Section::Pe(self.pe as u16, MemoryKind::Codebook);
            let (found_words, found_bits) = (words.len(), words.width());
            return Err(GoldenError::Shape { section, found_words, found_bits, depth: end, bits: words.width() });
        }
        let values: Vec<i32> = (first..end).map(|index| words.get_signed(index) as i32).collect();
        if values[0] != 0 {
            let rule = format!("pe {}'s codebook has that value for code 0, which must be 0", self.pe);
            return Err(GoldenError::Record { layer: self.layer, field: "codebook", found: values[0].unsigned_abs() as usize, rule });
        }
        Ok(Some(values))
    }

    fn part(&self) -> Result<PePart, GoldenError> {
        let arch = &self.image.arch;
        let (pe, layer, rows) = (self.pe, self.layer, self.record.out_rows);
        let (codebook, spmat) = (self.codebook()?, self.words(MemoryKind::Spmat));
        let capacity = spmat.len() * arch.entries_per_word;
        let bias = self.bias()?;
        let mut reach: Vec<u64> = bias.iter().map(|b| b.unsigned_abs()).collect();
        let largest_act = fixed::limits(ACT_BITS).0.unsigned_abs();

        let mut first = self.pointer(self.record.ptr_base)?;
        let (mut pointers, mut steps) = (vec![first as u32], vec![]);
        for column in 0..self.record.columns(arch.pes) {
            let end = self.pointer(self.record.ptr_base + column + 1)?;
            if first > end || end > capacity as u64 {
                return Err(GoldenError::Pointers { pe, layer, column, first, end, entries: capacity });
            }
            let mut next = 0;
            for index in first as usize..end as usize {
                let entry = Entry::read(spmat, index, arch);
                let row = next + entry.run as usize;
                if row >= rows {
                    return Err(GoldenError::Row { pe, layer, column, entry: index, row, rows });
                }
                next = row + 1;
                let weight = match &codebook {
                    Some(values) => values[entry.weight as usize],
                    None => ((entry.weight << (32 - arch.weight_bits)) as i32) >> (32 - arch.weight_bits),
                };
                reach[row] += u64::from(weight.unsigned_abs()) * largest_act;
                steps.push(Step { row: row as u32, weight });
            }
            pointers.push(end as u32);
            first = end;
        }
        for (row, sum) in reach.iter().enumerate() {
            // one bit for the sign
            let needed = (u64::BITS - sum.leading_zeros()) as usize + 1;
            if needed > arch.acc_bits {
                return Err(GoldenError::Accumulator { pe, layer, row, needed, acc_bits: arch.acc_bits });
            }
        }
        Ok(PePart { pointers, steps, bias })
    }

    fn bias(&self) -> Result<Vec<i64>, GoldenError> {
        let (words, base) = (self.words(MemoryKind::Bias), self.record.bias_base);
        let end = base + self.record.out_rows;
        if end > words.len() {
            let rule = format!("its biases end at {end}, pe {} has {}", self.pe, words.len());
            return Err(GoldenError::Record { layer: self.layer, field: "bias_base", found: base, rule });
        }
        Ok((base..end).map(|index| words.get_signed(index)).collect())
    }
}
