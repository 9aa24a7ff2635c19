//! Images as tables of text: what each word means.
//!
//! The functions return rows; printing them is the command's.

mod recurrent;

pub use recurrent::{layer_names, operation_layers, recurrent_tables};

use crate::encode::signed;
use crate::error::grouped;
use crate::manifest::{Model, NetworkLayer};
use crate::shape::Shape;
use crate::spec::layout::{pointer_place, LayerRecord};
use crate::spec::{fixed, Arch, Entry, MemoryImage, MemoryKind, Section, WeightForm, Words};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub title: String,
    pub headers: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

/// Title of the table of convolutions.
pub const CONVOLUTIONS: &str = "convolutions";

/// What to show. `None` shows all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub pe: Option<usize>,
    pub layer: Option<usize>,
    pub memory: Option<MemoryKind>,
}

impl Filter {
    fn shows(&self, kind: MemoryKind) -> bool {
        self.memory.is_none_or(|m| m == kind)
    }
    fn pes(&self, arch: &Arch) -> impl Iterator<Item = u16> + '_ {
        let count = arch.pes;
        (0..count).filter(move |pe| self.pe.is_none_or(|p| p == *pe)).map(|pe| pe as u16)
    }
    fn layers<'a>(&'a self, records: &'a [LayerRecord]) -> impl Iterator<Item = (usize, &'a LayerRecord)> {
        records.iter().enumerate().filter(|(l, _)| self.layer.is_none_or(|x| x == *l))
    }
}

/// A model's tables: network, sections, and the contents of the memories that the filter shows.
pub fn tables(model: &Model, filter: &Filter) -> Vec<Table> {
    let mut out = vec![];
    if filter.memory.is_none() {
        out.push(network_table(model, filter));
        out.extend(convolution_table(model, filter));
        out.push(section_table(&model.image, filter));
    }
    out.extend(image_tables(&model.image, filter));
    out
}

/// The contents of an image's memories: layer table, codebooks, biases, pointers, entries.
pub fn image_tables(image: &MemoryImage, filter: &Filter) -> Vec<Table> {
    let Some(table) = image.sections.get(&Section::Layers) else { return vec![] };
    let records = LayerRecord::read_all(table);
    let mut out = vec![];
    if filter.shows(MemoryKind::Layers) {
        out.push(layer_table(&records, filter));
    }
    if filter.shows(MemoryKind::Codebook) && image.arch.weights == WeightForm::Codebook {
        out.push(codebook_table(image, &records, filter));
    }
    if filter.shows(MemoryKind::Bias) {
        out.push(bias_table(image, &records, filter));
    }
    if filter.shows(MemoryKind::PtrEven) || filter.shows(MemoryKind::PtrOdd) {
        out.push(pointer_table(image, &records, filter));
    }
    if filter.shows(MemoryKind::Spmat) {
        out.push(entry_table(image, &records, filter));
    }
    out
}

/// The words of one memory, as a `.mem` file holds them: without the layer table, entries have no columns.
pub fn words_table(section: Section, words: &Words, arch: &Arch) -> Table {
    let title = section.to_string();
    match section.kind() {
        MemoryKind::Layers if arch.ese.is_some() => Table { title: "program".into(), ..recurrent::program_words(words) },
        MemoryKind::Bias if arch.ese.is_some() => recurrent::parameter_words(words, arch),
        MemoryKind::Layers => Table { title, ..layer_table(&LayerRecord::read_all(words), &Filter::default()) },
        MemoryKind::Spmat => {
            let count = words.len() * arch.entries_per_word;
            let row = |e: usize| {
                let entry = Entry::read(words, e, arch);
                let place = [e, e / arch.entries_per_word, e % arch.entries_per_word].map(|v| v.to_string());
                place.into_iter().chain([entry.run.to_string(), signed(entry.weight, arch.weights, arch.weight_bits).to_string()]).collect()
            };
            Table { title, headers: vec!["entry", "word", "lane", "run", weight_name(arch)], rows: (0..count).map(row).collect() }
        }
        kind => {
            let name = if kind == MemoryKind::Codebook { "value" } else { kind.name() };
            let value = |i: usize| match kind {
                MemoryKind::PtrEven | MemoryKind::PtrOdd => words.get(i).to_string(),
                _ => words.get_signed(i).to_string(),
            };
            let rows = (0..words.len()).map(|i| vec![i.to_string(), value(i)]).collect();
            Table { title, headers: vec!["word", name], rows }
        }
    }
}

fn weight_name(arch: &Arch) -> &'static str {
    match arch.weights {
        WeightForm::Codebook => "code",
        WeightForm::Direct => "weight",
    }
}

fn network_table(model: &Model, filter: &Filter) -> Table {
    let shown = model.network.layers.iter().enumerate().filter(|(l, _)| filter.layer.is_none_or(|x| x == *l));
    let row = |(l, n): (usize, &NetworkLayer)| {
        let order = if model.orders.contains_key(&l) { "balanced" } else { "model" };
        let mut row = vec![l.to_string(), n.name.clone()];
        row.extend([n.rows, n.columns, n.nonzeros, n.padding, n.parameters].map(grouped));
        row.extend([n.weight_fraction, n.input_fraction, n.output_fraction].map(|f| f.to_string()));
        row.extend([format!("{:?}", n.activation).to_lowercase(), order.into()]);
        row
    };
    let headers = vec![
        "layer",
        "name",
        "rows",
        "columns",
        "non-zeros",
        "padding",
        "parameters",
        "weight fraction",
        "input fraction",
        "output fraction",
        "activation",
        "row order",
    ];
    Table { title: "network".into(), headers, rows: shown.map(row).collect() }
}

/// The layers that are convolutions, if there are any.
fn convolution_table(model: &Model, filter: &Filter) -> Option<Table> {
    let shown = model.network.layers.iter().enumerate().filter(|(l, _)| filter.layer.is_none_or(|x| x == *l));
    let row = |(l, n): (usize, &NetworkLayer)| {
        let conv = n.conv?;
        let shape = |s: Shape| format!("{} x {} x {}", s.channels, s.height, s.width);
        let places: usize = conv.output().iter().map(|side| side * conv.pool).product();
        let kernel = format!("{} x {}", conv.kernel[0], conv.kernel[1]);
        let mut row = vec![l.to_string(), n.name.clone(), shape(Shape::input(&conv)), kernel];
        row.extend([conv.stride, places, conv.pool].map(grouped));
        row.push(shape(n.output()));
        Some(row)
    };
    let rows: Vec<_> = shown.filter_map(row).collect();
    let headers = vec!["layer", "name", "input", "filter", "stride", "places", "pool", "output"];
    (!rows.is_empty()).then(|| Table { title: CONVOLUTIONS.into(), headers, rows })
}

fn section_table(image: &MemoryImage, filter: &Filter) -> Table {
    let shown = |s: &&Section| matches!(s, Section::Layers | Section::Parameters) || filter.pe.is_none_or(|pe| pe == s.pe());
    let row = |s: &Section| {
        let words = &image.sections[s];
        let numbers = [words.len(), s.kind().depth(&image.arch), words.width()].map(grouped);
        [s.to_string()].into_iter().chain(numbers).chain([format!("{:08x}", words.crc32())]).collect()
    };
    let rows = image.sections.keys().filter(shown).map(row).collect();
    Table { title: "sections".into(), headers: vec!["section", "words", "depth", "bits", "crc-32"], rows }
}

fn layer_table(records: &[LayerRecord], filter: &Filter) -> Table {
    let row = |(l, r): (usize, &LayerRecord)| {
        let mut row: Vec<String> =
            [l, r.source_rows, r.last_lanes, r.ptr_base, r.out_rows, r.bias_base, r.shift as usize].iter().map(|v| v.to_string()).collect();
        row.extend([r.relu, r.last].map(|flag| if flag { "yes" } else { "no" }.to_string()));
        if let Some(w) = r.walk {
            row.extend([w.run_rows, w.line_rows, w.step_x, w.step_y, w.out_width, w.out_height, w.pool].map(|v| v.to_string()));
        }
        row
    };
    let mut headers = vec!["layer", "source_rows", "last_lanes", "ptr_base", "out_rows", "bias_base", "shift", "relu", "last"];
    if records.iter().any(|r| r.walk.is_some()) {
        headers.extend(LayerRecord::WALK_FIELDS.map(|(name, _, _)| name));
    }
    Table { title: "layer table".into(), headers, rows: filter.layers(records).map(row).collect() }
}

/// All PEs hold the same codebooks; the first that the filter shows is read.
fn codebook_table(image: &MemoryImage, records: &[LayerRecord], filter: &Filter) -> Table {
    let mut rows = vec![];
    let pe = filter.pes(&image.arch).next().unwrap_or(0);
    if let Some(words) = image.sections.get(&Section::Pe(pe, MemoryKind::Codebook)) {
        for (l, _) in filter.layers(records) {
            for code in 0..1usize << image.arch.weight_bits {
                let index = l << image.arch.weight_bits | code;
                if index < words.len() {
                    rows.push(vec![l.to_string(), code.to_string(), words.get_signed(index).to_string()]);
                }
            }
        }
    }
    Table { title: format!("codebooks (pe {pe})"), headers: vec!["layer", "code", "value"], rows }
}

fn bias_table(image: &MemoryImage, records: &[LayerRecord], filter: &Filter) -> Table {
    let mut rows = vec![];
    for pe in filter.pes(&image.arch) {
        let Some(words) = image.sections.get(&Section::Pe(pe, MemoryKind::Bias)) else { continue };
        for (l, record) in filter.layers(records) {
            for local in (0..record.out_rows).filter(|local| record.bias_base + local < words.len()) {
                let word = words.get_signed(record.bias_base + local);
                let bias = word.wrapping_sub(fixed::rounding(record.shift.min(fixed::MAX_SHIFT)));
                rows.push([pe.to_string(), l.to_string(), local.to_string(), word.to_string(), bias.to_string()].into());
            }
        }
    }
    Table { title: "biases".into(), headers: vec!["pe", "layer", "row", "word", "bias without rounding"], rows }
}

/// Pointer number `p` of a PE, if the image has it.
fn pointer(image: &MemoryImage, pe: u16, p: usize) -> Option<u64> {
    let (bank, address) = pointer_place(p);
    let words = image.sections.get(&Section::Pe(pe, bank))?;
    (address < words.len()).then(|| words.get(address))
}

fn columns(image: &MemoryImage, record: &LayerRecord) -> usize {
    // a layer table that is not of a compiled model may hold zeros
    if record.source_rows == 0 {
        0
    } else {
        record.columns(image.arch.pes)
    }
}

fn pointer_table(image: &MemoryImage, records: &[LayerRecord], filter: &Filter) -> Table {
    let mut rows = vec![];
    for pe in filter.pes(&image.arch) {
        for (l, record) in filter.layers(records) {
            for column in 0..=columns(image, record) {
                let p = record.ptr_base + column;
                let (bank, address) = pointer_place(p);
                let Some(value) = pointer(image, pe, p) else { break };
                if filter.shows(bank) {
                    let place = [pe.to_string(), l.to_string(), column.to_string(), bank.name().into(), address.to_string()];
                    rows.push(place.into_iter().chain([value.to_string()]).collect());
                }
            }
        }
    }
    Table { title: "pointers".into(), headers: vec!["pe", "layer", "column", "bank", "address", "first entry"], rows }
}

fn entry_table(image: &MemoryImage, records: &[LayerRecord], filter: &Filter) -> Table {
    let arch = &image.arch;
    let mut rows = vec![];
    for pe in filter.pes(arch) {
        let Some(words) = image.sections.get(&Section::Pe(pe, MemoryKind::Spmat)) else { continue };
        let codebook = image.sections.get(&Section::Pe(pe, MemoryKind::Codebook));
        for (l, record) in filter.layers(records) {
            for column in 0..columns(image, record) {
                let p = record.ptr_base + column;
                let (Some(first), Some(end)) = (pointer(image, pe, p), pointer(image, pe, p + 1)) else { break };
                let mut next = 0;
                for e in first as usize..(end as usize).min(words.len() * arch.entries_per_word) {
                    let entry = Entry::read(words, e, arch);
                    let local = next + entry.run as usize;
                    next = local + 1;
                    let weight = signed(entry.weight, arch.weights, arch.weight_bits);
                    let index = l << arch.weight_bits | entry.weight as usize;
                    let value = match codebook {
                        Some(table) if index < table.len() => table.get_signed(index).to_string(),
                        Some(_) => "?".into(),
                        None => weight.to_string(),
                    };
                    let mut row: Vec<String> =
                        [usize::from(pe), l, column, e, local * arch.pes + usize::from(pe)].iter().map(|v| v.to_string()).collect();
                    let note = if entry.weight == 0 { "padding" } else { "" };
                    row.extend([entry.run.to_string(), weight.to_string(), value, note.to_string()]);
                    rows.push(row);
                }
            }
        }
    }
    Table {
        title: "entries".into(),
        headers: vec!["pe", "layer", "column", "entry", "row", "run", weight_name(arch), "value", "note"],
        rows,
    }
}
