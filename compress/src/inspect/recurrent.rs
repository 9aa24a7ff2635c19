//! Tables of an image of the ESE kind: its network, its program, and what its memories hold.

use super::{pointer, section_table, weight_name, Filter, Table};
use crate::encode::signed;
use crate::error::grouped;
use crate::manifest::RecurrentModel;
use crate::model::GATES;
use crate::spec::layout::pointer_place;
use crate::spec::program::{Job, Op, Parameters, Source};
use crate::spec::{Arch, Entry, MemoryKind, Section, Words};

/// A recurrent model's tables: network, sections, and the contents of the memories that the filter shows.
pub fn recurrent_tables(model: &RecurrentModel, filter: &Filter) -> Vec<Table> {
    let image = Image { model, ops: model.program(), layers: operation_layers(model) };
    let mut out = vec![];
    if filter.memory.is_none() {
        out.push(image.lstm(filter));
        out.push(image.fully_connected(filter));
        out.push(section_table(&model.image, filter));
    }
    if filter.shows(MemoryKind::Layers) {
        out.push(image.program(filter));
    }
    if filter.shows(MemoryKind::Codebook) && model.arch().codebook_depth() > 0 {
        out.push(image.codebooks(filter));
    }
    if filter.shows(MemoryKind::Bias) {
        out.push(image.parameters(filter));
    }
    if filter.shows(MemoryKind::PtrEven) || filter.shows(MemoryKind::PtrOdd) {
        out.push(image.pointers(filter));
    }
    if filter.shows(MemoryKind::Spmat) {
        out.push(image.entries(filter));
    }
    out.retain(|table| !table.rows.is_empty());
    out
}

/// The layers' names: LSTM layers first, then the fully connected ones.
pub fn layer_names(model: &RecurrentModel) -> Vec<&str> {
    let network = &model.network;
    network.lstm.iter().map(|l| l.name.as_str()).chain(network.layers.iter().map(|l| l.name.as_str())).collect()
}

/// The layer that each operation of the program works for, as a number in [`layer_names`].
pub fn operation_layers(model: &RecurrentModel) -> Vec<usize> {
    let network = &model.network;
    // jobs of rows in their order: the projections of LSTM layers, then the fully connected layers
    let projections = network.lstm.iter().enumerate().filter(|(_, l)| l.projection).map(|(l, _)| l);
    let rows: Vec<usize> = projections.chain(network.lstm.len()..network.lstm.len() + network.layers.len()).collect();
    let (mut cells_done, mut rows_done) = (0, 0);
    let mut layers = vec![];
    for op in model.program() {
        layers.push(match op.rows_bank {
            true => rows.get(rows_done).copied().unwrap_or(0),
            // behind the last cells comes the first layer of the next step
            false => cells_done % network.lstm.len().max(1),
        });
        cells_done += usize::from(op.job == Job::Cells);
        rows_done += usize::from(op.job == Job::Rows);
    }
    layers
}

struct Image<'a> {
    model: &'a RecurrentModel,
    ops: Vec<Op>,
    layers: Vec<usize>,
}

impl Image<'_> {
    fn arch(&self) -> &Arch {
        self.model.arch()
    }
    fn name(&self, op: usize) -> String {
        layer_names(self.model).get(self.layers[op]).map_or(String::new(), |name| name.to_string())
    }
    /// Operations that the filter shows.
    fn shown<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = (usize, &'a Op)> {
        self.ops.iter().enumerate().filter(|(number, _)| filter.layer.is_none_or(|layer| layer == self.layers[*number]))
    }
    fn words(&self, section: Section) -> Option<&Words> {
        self.model.image.sections.get(&section)
    }

    fn lstm(&self, filter: &Filter) -> Table {
        let shown = self.model.network.lstm.iter().enumerate().filter(|(l, _)| filter.layer.is_none_or(|x| x == *l));
        let rows = shown.map(|(l, n)| {
            let mut row = vec![l.to_string(), n.name.clone()];
            row.extend([n.inputs, n.cells, n.hidden].map(grouped));
            row.extend([n.peepholes, n.projection].map(|yes| if yes { "yes" } else { "no" }.to_string()));
            row.extend([n.nonzeros, n.padding, n.parameters].map(grouped));
            row.extend([n.input_fraction, n.hidden_fraction, n.cell_fraction].map(|f| f.to_string()));
            row.extend([n.hidden_base, n.cell_base].map(|a| a.to_string()));
            row
        });
        let headers = vec![
            "layer",
            "name",
            "inputs",
            "cells",
            "hidden",
            "peepholes",
            "projection",
            "non-zeros",
            "padding",
            "parameters",
            "x fraction",
            "h fraction",
            "c fraction",
            "h at",
            "c at",
        ];
        Table { title: "LSTM layers".into(), headers, rows: rows.collect() }
    }

    fn fully_connected(&self, filter: &Filter) -> Table {
        let network = &self.model.network;
        let numbered = network.layers.iter().enumerate().map(|(l, layer)| (l + network.lstm.len(), layer));
        let rows = numbered.filter(|(l, _)| filter.layer.is_none_or(|x| x == *l)).map(|(l, n)| {
            let mut row = vec![l.to_string(), n.name.clone()];
            row.extend([n.rows, n.columns, n.nonzeros, n.padding, n.parameters].map(grouped));
            row.extend([n.weight_fraction, n.input_fraction, n.output_fraction].map(|f| f.to_string()));
            row.push(format!("{:?}", n.activation).to_lowercase());
            row
        });
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
        ];
        Table { title: "fully connected layers".into(), headers, rows: rows.collect() }
    }

    fn program(&self, filter: &Filter) -> Table {
        let row = |(number, op): (usize, &Op)| {
            let mut row = operation(number, op);
            row.insert(1, self.name(number));
            row
        };
        let mut headers = OPERATION.to_vec();
        headers.insert(1, "layer");
        Table { title: "program".into(), headers, rows: self.shown(filter).map(row).collect() }
    }

    /// All PEs hold the same codebooks; the first that the filter shows is read.
    fn codebooks(&self, filter: &Filter) -> Table {
        let pe = filter.pes(self.arch()).next().unwrap_or(0);
        let mut rows = vec![];
        let mut shown: Vec<(usize, usize)> = self.shown(filter).map(|(number, op)| (op.layer, number)).collect();
        shown.sort_unstable();
        shown.dedup_by_key(|(codebook, _)| *codebook);
        if let Some(words) = self.words(Section::Pe(pe, MemoryKind::Codebook)) {
            for (codebook, number) in shown {
                let first = codebook << self.arch().weight_bits;
                for code in (0..1usize << self.arch().weight_bits).filter(|code| first + code < words.len()) {
                    rows.push(vec![codebook.to_string(), self.name(number), code.to_string(), words.get_signed(first + code).to_string()]);
                }
            }
        }
        Table { title: format!("codebooks (pe {pe})"), headers: vec!["codebook", "layer", "code", "value"], rows }
    }

    fn parameters(&self, filter: &Filter) -> Table {
        let mut rows = vec![];
        if let Some(words) = self.words(Section::Parameters) {
            for (number, op) in self.shown(filter) {
                if op.job == Job::None || (op.job == Job::Rows && !op.bias) {
                    continue;
                }
                for index in (op.param_base..op.param_base + op.count).filter(|index| *index < words.len()) {
                    let p = Parameters::read(words, index, self.arch());
                    let mut row = vec![index.to_string(), self.name(number), (index - op.param_base).to_string()];
                    match op.job {
                        Job::Cells => {
                            row.extend(p.biases.map(|b| b.to_string()));
                            row.extend(p.peepholes.map(|b| b.to_string()));
                        }
                        _ => {
                            row.push(p.biases[0].to_string());
                            row.extend(vec![String::new(); 6]);
                        }
                    }
                    rows.push(row);
                }
            }
        }
        let headers = ["word", "layer", "cell or row"].into_iter().chain(PARAMETERS).collect();
        Table { title: "parameters".into(), headers, rows }
    }

    /// Operations with a matrix: input in advance reads that of the first one.
    fn matrices<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = (usize, &'a Op)> {
        self.shown(filter).filter(|(_, op)| op.source != Source::Ahead)
    }

    fn pointers(&self, filter: &Filter) -> Table {
        let mut rows = vec![];
        for pe in filter.pes(self.arch()) {
            for (number, op) in self.matrices(filter) {
                for column in 0..=op.columns {
                    let (bank, address) = pointer_place(op.ptr_base + column);
                    let Some(value) = pointer(&self.model.image, pe, op.ptr_base + column) else { break };
                    if filter.shows(bank) {
                        let place = [pe.to_string(), number.to_string(), self.name(number), column.to_string(), bank.name().into()];
                        rows.push(place.into_iter().chain([address.to_string(), value.to_string()]).collect());
                    }
                }
            }
        }
        let headers = vec!["pe", "operation", "layer", "column", "bank", "address", "first entry"];
        Table { title: "pointers".into(), headers, rows }
    }

    fn entries(&self, filter: &Filter) -> Table {
        let arch = self.arch();
        let mut rows = vec![];
        for pe in filter.pes(arch) {
            let Some(words) = self.words(Section::Pe(pe, MemoryKind::Spmat)) else { continue };
            let codebook = self.words(Section::Pe(pe, MemoryKind::Codebook));
            for (number, op) in self.matrices(filter) {
                for column in 0..op.columns {
                    let p = op.ptr_base + column;
                    let (Some(first), Some(end)) = (pointer(&self.model.image, pe, p), pointer(&self.model.image, pe, p + 1)) else {
                        break;
                    };
                    let mut next = 0;
                    for e in first as usize..(end as usize).min(words.len() * arch.entries_per_word) {
                        let entry = Entry::read(words, e, arch);
                        let local = next + entry.run as usize;
                        next = local + 1;
                        let (gate, element) = match op.rows_bank {
                            true => (String::new(), local * arch.pes + usize::from(pe)),
                            false => (GATES[local % 4].to_string(), local / 4 * arch.pes + usize::from(pe)),
                        };
                        let weight = signed(entry.weight, arch.weights, arch.weight_bits);
                        let index = op.layer << arch.weight_bits | entry.weight as usize;
                        let value = match codebook {
                            Some(table) if index < table.len() => table.get_signed(index).to_string(),
                            Some(_) => "?".into(),
                            None => weight.to_string(),
                        };
                        let mut row = vec![pe.to_string(), number.to_string(), self.name(number), column.to_string(), e.to_string()];
                        row.extend([gate, element.to_string(), entry.run.to_string(), weight.to_string(), value]);
                        row.push(if entry.weight == 0 { "padding" } else { "" }.to_string());
                        rows.push(row);
                    }
                }
            }
        }
        let headers = vec!["pe", "operation", "layer", "column", "entry", "gate", "cell or row", "run", weight_name(arch), "value", "note"];
        Table { title: "entries".into(), headers, rows }
    }
}

const OPERATION: [&str; 10] =
    ["operation", "columns", "first pointer", "sums", "waits for", "then", "results to", "shifts", "align", "marks"];

/// An operation in words.
fn operation(number: usize, op: &Op) -> Vec<String> {
    let columns = match op.source {
        Source::Input => format!("input to {}", op.columns),
        Source::Ahead => format!("next input to {}", op.columns),
        Source::Vector => format!("vector {}..{}", op.source_base, op.source_base + op.columns),
    };
    let waits = match (op.whole, op.stream) {
        (true, _) => "whole job",
        (false, true) => "each result",
        (false, false) => "",
    };
    let job = match op.job {
        Job::None => String::new(),
        Job::Cells => format!("{} cells at {}", grouped(op.count), op.cell_base),
        Job::Rows => format!("{} rows", grouped(op.count)),
    };
    let mut to = vec![];
    if op.store {
        to.push(format!("vector {}", op.dest));
    }
    if op.output {
        to.push("output".to_string());
    }
    let list = |values: &[u32]| values.iter().map(|v| v.to_string()).collect::<Vec<_>>().join(" ");
    let (shifts, aligns) = match op.job {
        Job::None => (String::new(), String::new()),
        Job::Cells => (format!("{}, c {}, m {}", list(&op.shifts), op.cell_shift, op.hidden_shift), list(&op.aligns)),
        Job::Rows => (op.shifts[0].to_string(), String::new()),
    };
    let marks = [(op.state, "state"), (op.candidate_sigmoid, "sigmoid g"), (op.relu, "relu"), (op.bias, "bias"), (op.last, "last")];
    let marks: Vec<&str> = marks.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect();
    let sums = if op.rows_bank { "rows" } else { "gates" };
    let texts = [number.to_string(), columns, op.ptr_base.to_string(), sums.into(), waits.into()];
    texts.into_iter().chain([job, to.join(", "), shifts, aligns, marks.join(", ")]).collect()
}

const PARAMETERS: [&str; 7] = ["bias i", "bias f", "bias g", "bias o", "peephole i", "peephole f", "peephole o"];

/// The program of a memory file.
pub(super) fn program_words(words: &Words) -> Table {
    let rows = Op::read_all(words).iter().enumerate().map(|(number, op)| operation(number, op)).collect();
    Table { title: "program".into(), headers: OPERATION.to_vec(), rows }
}

/// The parameters of a memory file: which of them are cells, the program knows.
pub(super) fn parameter_words(words: &Words, arch: &Arch) -> Table {
    let row = |index: usize| {
        let p = Parameters::read(words, index, arch);
        let values = p.biases.map(|b| b.to_string()).into_iter().chain(p.peepholes.map(|w| w.to_string()));
        [index.to_string()].into_iter().chain(values).collect()
    };
    let headers = ["word"].into_iter().chain(PARAMETERS).collect();
    Table { title: "parameters".into(), headers, rows: (0..words.len()).map(row).collect() }
}
