//! The words of the image, and the depths of the memories that hold them.

use super::lower::Lowered;
use super::{relu, LayerNumbers, Settings};
use crate::encode::Encoded;
use crate::error::{grouped, Error};
use crate::model::QuantizedLayer;
use crate::shape::Shape;
use crate::spec::layout::{pointer_place, sections};
use crate::spec::{fixed, Arch, LayerRecord, MemoryImage, MemoryKind, Section, WeightForm, Words};
use std::collections::BTreeMap;

/// What a layer needs of a memory, in its own units, and what these are called.
pub(crate) struct Need<'a> {
    pub memory: &'static str,
    pub what: &'static str,
    /// Of each PE after each layer: `used[layer][pe]`; memories that layers share in turn do not add up.
    pub used: Vec<Vec<usize>>,
    pub depth: Option<usize>,
    pub layers: &'a [QuantizedLayer],
}

impl Need<'_> {
    /// The memory's depth; an error that names the worst PE, the first layer that does not fit there, and
    /// the depth that it would take.
    pub fn depth(&self) -> Result<usize, Error> {
        let needed = self.used.iter().flatten().copied().max().unwrap_or(0).max(1);
        let Some(depth) = self.depth else { return Ok(needed) };
        if needed <= depth {
            return Ok(depth);
        }
        let pes = self.used[0].len();
        let pe = (0..pes).find(|pe| self.used.iter().any(|layer| layer[*pe] == needed)).unwrap_or(0);
        let layer = self.used.iter().position(|layer| layer[pe] > depth).unwrap_or(0);
        Err(Error::Depth { pe, found: needed, what: self.what, memory: self.memory, depth, needed, layer: self.layers[layer].name.clone() })
    }
}

/// Packs encoded layers. Errors: a memory or the layer table is too small, a rule of the architecture.
pub(super) fn pack(
    lowered: &Lowered,
    numbers: &[LayerNumbers],
    encoded: &[Encoded],
    settings: &Settings,
    acc_bits: usize,
    run_bits: usize,
) -> Result<MemoryImage, Error> {
    let layers: &[QuantizedLayer] = &lowered.layers;
    let arch = architecture(lowered, encoded, settings, acc_bits, run_bits)?;
    let records = records(lowered, numbers, encoded, arch.pes);
    let mut image = MemoryImage { sections: BTreeMap::new(), arch };
    for section in sections(&image.arch) {
        let words = match section {
            Section::Pe(pe, kind) => pe_words(layers, numbers, encoded, &records, &image.arch, usize::from(pe), kind),
            Section::Parameters => unreachable!("an accelerator without `ese` has no parameter memory"),
            Section::Layers => {
                let mut table = Words::zeroed(LayerRecord::bits(&image.arch), records.len());
                records.iter().enumerate().for_each(|(l, record)| record.write(&mut table, l));
                table
            }
        };
        image.sections.insert(section, words);
    }
    Ok(image)
}

fn architecture(lowered: &Lowered, encoded: &[Encoded], settings: &Settings, acc_bits: usize, run_bits: usize) -> Result<Arch, Error> {
    let pes = settings.pes;
    let layers: &[QuantizedLayer] = &lowered.layers;
    let running = |of: &dyn Fn(&Encoded, usize) -> usize, words: &dyn Fn(usize) -> usize| -> Vec<Vec<usize>> {
        let mut sums = vec![0; pes];
        let mut add = |layer: &Encoded| -> Vec<usize> {
            sums.iter_mut().enumerate().for_each(|(pe, sum)| *sum += of(layer, pe));
            sums.iter().map(|sum| words(*sum)).collect()
        };
        encoded.iter().map(&mut add).collect()
    };
    // the arch's own rules come later; an impossible value must not divide by zero here
    let per_word = settings.entries_per_word.max(1);
    let rows = |layer: &Encoded| layer.rows.div_ceil(pes);
    let all = |of: &dyn Fn(&Encoded) -> usize| -> Vec<Vec<usize>> { encoded.iter().map(|layer| vec![of(layer); pes]).collect() };
    let activations = |layer: &QuantizedLayer| {
        // a fully connected layer's columns are already those of the map before it
        let inputs = if layer.conv.is_some() { Shape::of_inputs(layer).rows(pes) } else { layer.columns.len().div_ceil(pes) };
        vec![inputs.max(Shape::of_outputs(layer).rows(pes)); pes]
    };
    let d = &settings.depths;
    let need = |memory, what, used, depth| Need { memory, what, used, depth, layers }.depth();
    let spmat_used = running(&|layer, pe| layer.pes[pe].entries.len(), &|sum| sum.div_ceil(per_word));
    let arch = Arch {
        pes,
        fifo_depth: settings.fifo_depth,
        weights: settings.weights,
        weight_bits: settings.weight_bits,
        run_bits,
        entries_per_word: settings.entries_per_word,
        spmat_depth: need("spmat", "words of entries", spmat_used, d.spmat)?,
        ptr_depth: need("ptr", "pointers per bank", running(&|layer, _| layer.columns + 1, &|sum| sum.div_ceil(2)), d.ptr)?,
        act_depth: need("act", "activations", layers.iter().map(activations).collect(), d.act)?,
        acc_depth: need("acc", "rows", all(&rows), d.acc)?,
        bias_depth: need("bias", "biases", running(&|layer, _| rows(layer), &|sum| sum), d.bias)?,
        acc_bits,
        max_layers: d.max_layers.unwrap_or(layers.len()),
        conv: lowered.walks.is_some(),
        ese: None,
    };
    arch.validate()?;
    if layers.len() > arch.max_layers {
        return Err(Error::Network(format!("{} layers do not fit max_layers {}", layers.len(), arch.max_layers)));
    }
    let most = encoded.iter().fold(vec![0; pes], |sums, layer| sums.iter().zip(&layer.pes).map(|(s, pe)| s + pe.entries.len()).collect());
    match most.iter().position(|count| u32::try_from(*count).is_err()) {
        Some(pe) => Err(Error::Network(format!("pe {pe} would hold {} entries", grouped(most[pe])))),
        None => Ok(arch),
    }
}

fn records(lowered: &Lowered, numbers: &[LayerNumbers], encoded: &[Encoded], pes: usize) -> Vec<LayerRecord> {
    let (mut ptr_base, mut bias_base) = (0, 0);
    let mut records = vec![];
    for (l, (layer, n)) in encoded.iter().zip(numbers).enumerate() {
        let source_rows = layer.columns.div_ceil(pes);
        records.push(LayerRecord {
            source_rows,
            last_lanes: layer.columns - (source_rows - 1) * pes,
            ptr_base,
            out_rows: layer.rows.div_ceil(pes),
            bias_base,
            shift: n.shift,
            relu: relu(&lowered.layers[l]),
            last: l + 1 == encoded.len(),
            walk: lowered.walks.as_ref().map(|walks| walks[l]),
        });
        ptr_base += layer.columns + 1;
        bias_base += layer.rows.div_ceil(pes);
    }
    records
}

fn pe_words(
    layers: &[QuantizedLayer],
    numbers: &[LayerNumbers],
    encoded: &[Encoded],
    records: &[LayerRecord],
    arch: &Arch,
    pe: usize,
    kind: MemoryKind,
) -> Words {
    let width = kind.width(arch);
    match kind {
        MemoryKind::Spmat => spmat_words(encoded, arch, pe),
        MemoryKind::PtrEven | MemoryKind::PtrOdd => pointer_words(encoded, arch, pe, kind),
        MemoryKind::Bias => {
            let mut words = Words::zeroed(width, records.iter().map(|r| r.out_rows).sum());
            for ((layer, n), record) in encoded.iter().zip(numbers).zip(records) {
                for local in 0..record.out_rows {
                    let position = local * arch.pes + pe;
                    let row = layer.row_order.as_ref().map_or(Some(position), |o| o.get(position).map(|r| *r as usize));
                    // positions beyond the last row exist on some PEs; they yield 0
                    let bias = row.and_then(|r| n.bias.get(r)).copied().unwrap_or(0);
                    let word = bias + fixed::rounding(n.shift);
                    words.set(record.bias_base + local, word as u64 & ((1 << width) - 1));
                }
            }
            words
        }
        MemoryKind::Codebook => {
            let codebooks: Vec<&[i16]> = layers.iter().map(|layer| layer.codebook.as_deref().unwrap_or_default()).collect();
            codebook_words(&codebooks, arch)
        }
        MemoryKind::ActA | MemoryKind::ActB | MemoryKind::Layers => unreachable!("{kind:?} is no section of a PE"),
    }
}

/// Entries of all layers, one behind the other.
pub(crate) fn spmat_words(encoded: &[Encoded], arch: &Arch, pe: usize) -> Words {
    let count: usize = encoded.iter().map(|layer| layer.pes[pe].entries.len()).sum();
    let mut words = Words::zeroed(MemoryKind::Spmat.width(arch), count.div_ceil(arch.entries_per_word).max(1));
    let entries = encoded.iter().flat_map(|layer| &layer.pes[pe].entries);
    entries.enumerate().for_each(|(index, entry)| entry.write(&mut words, index, arch));
    words
}

/// Pointers of all layers, one behind the other: those that lie in bank `kind`.
pub(crate) fn pointer_words(encoded: &[Encoded], arch: &Arch, pe: usize, kind: MemoryKind) -> Words {
    let total: usize = encoded.iter().map(|layer| layer.columns + 1).sum();
    let count = if kind == MemoryKind::PtrEven { total.div_ceil(2) } else { total / 2 };
    let mut words = Words::zeroed(kind.width(arch), count.max(1));
    let (mut first_entry, mut ptr_base) = (0, 0);
    for layer in encoded {
        for (c, pointer) in layer.pes[pe].pointers.iter().enumerate() {
            let (bank, address) = pointer_place(ptr_base + c);
            if bank == kind {
                words.set(address, first_entry + u64::from(*pointer));
            }
        }
        first_entry += layer.pes[pe].entries.len() as u64;
        ptr_base += layer.columns + 1;
    }
    words
}

/// Shared weights by number of the codebook and code.
pub(crate) fn codebook_words(codebooks: &[&[i16]], arch: &Arch) -> Words {
    debug_assert!(arch.weights == WeightForm::Codebook, "direct weights have no codebook section");
    let mut words = Words::zeroed(MemoryKind::Codebook.width(arch), codebooks.len() << arch.weight_bits);
    for (number, codebook) in codebooks.iter().enumerate() {
        for (code, value) in codebook.iter().enumerate() {
            words.set(number << arch.weight_bits | code, u64::from(*value as u16));
        }
    }
    words
}
