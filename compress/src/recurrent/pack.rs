//! The words of the image of a recurrent network, and the depths of the memories that hold them.

use super::numbers::Numbers;
use super::schedule::Layout;
use super::RecurrentSettings;
use crate::compile::pack::{codebook_words, pointer_words, spmat_words, Need};
use crate::encode::Encoded;
use crate::error::{grouped, Error};
use crate::model::{QuantizedLayer, Recurrent};
use crate::spec::layout::sections;
use crate::spec::program::Job;
use crate::spec::{fixed, Arch, Ese, MemoryImage, MemoryKind, Op, Parameters, Section, Words};
use std::collections::BTreeMap;

/// The stages' results that an image is made of.
pub(super) struct Parts<'a> {
    pub network: &'a Recurrent,
    /// In the order of [`super::matrices::Quantized::stored`].
    pub stored: &'a [QuantizedLayer],
    pub encoded: &'a [Encoded],
    pub codebooks: &'a [Vec<i16>],
    pub numbers: &'a Numbers,
    pub layout: &'a Layout,
    pub program: &'a [Op],
}

/// Packs a network. Errors: a memory that is too small, a rule of the architecture.
pub(super) fn pack(parts: &Parts, settings: &RecurrentSettings, acc_bits: usize, run_bits: usize) -> Result<MemoryImage, Error> {
    let arch = architecture(parts, settings, acc_bits, run_bits)?;
    let mut image = MemoryImage { sections: BTreeMap::new(), arch };
    let arch = &image.arch;
    let codebooks: Vec<&[i16]> = parts.codebooks.iter().map(Vec::as_slice).collect();
    for section in sections(arch) {
        let words = match section {
            Section::Pe(pe, kind) => match kind {
                MemoryKind::Spmat => spmat_words(parts.encoded, arch, usize::from(pe)),
                MemoryKind::PtrEven | MemoryKind::PtrOdd => pointer_words(parts.encoded, arch, usize::from(pe), kind),
                MemoryKind::Codebook => codebook_words(&codebooks, arch),
                MemoryKind::Bias | MemoryKind::ActA | MemoryKind::ActB | MemoryKind::Layers => {
                    unreachable!("{kind:?} is no section of a PE with `ese`")
                }
            },
            Section::Parameters => parameters(parts, arch),
            Section::Layers => {
                let mut words = Words::zeroed(Op::BITS, parts.program.len());
                parts.program.iter().enumerate().for_each(|(index, op)| op.write(&mut words, index));
                words
            }
        };
        image.sections.insert(section, words);
    }
    Ok(image)
}

/// The depth of a memory that PEs have no part of.
fn depth(memory: &str, what: &str, needed: usize, depth: Option<usize>) -> Result<usize, Error> {
    let needed = needed.max(1);
    match depth {
        Some(depth) if depth < needed => {
            Err(Error::Network(format!("{} {what} do not fit {memory} {}; it needs {}", grouped(needed), grouped(depth), grouped(needed))))
        }
        given => Ok(given.unwrap_or(needed)),
    }
}

fn architecture(parts: &Parts, settings: &RecurrentSettings, acc_bits: usize, run_bits: usize) -> Result<Arch, Error> {
    let (pes, encoded, network) = (settings.pes, parts.encoded, parts.network);
    // the arch's own rules come later; an impossible value must not divide by zero here
    let per_word = settings.entries_per_word.max(1);
    let running = |of: &dyn Fn(&Encoded, usize) -> usize, words: &dyn Fn(usize) -> usize| -> Vec<Vec<usize>> {
        let mut sums = vec![0; pes];
        let mut add = |layer: &Encoded| -> Vec<usize> {
            sums.iter_mut().enumerate().for_each(|(pe, sum)| *sum += of(layer, pe));
            sums.iter().map(|sum| words(*sum)).collect()
        };
        encoded.iter().map(&mut add).collect()
    };
    let need = |memory, what, used, depth| Need { memory, what, used, depth, layers: parts.stored }.depth();
    // the rows of a fused matrix lie in four memories
    let mut sums = vec![];
    for layer in &network.lstm {
        sums.push(layer.cells());
        sums.extend(layer.projection.as_ref().map(|p| p.rows));
    }
    sums.extend(network.layers.iter().map(|l| l.weights.rows));
    let sums: Vec<Vec<usize>> = sums.iter().map(|rows| vec![rows.div_ceil(pes); pes]).collect();
    let (d, layout) = (&settings.depths, parts.layout);
    let arch = Arch {
        pes,
        fifo_depth: settings.fifo_depth,
        weights: settings.weights,
        weight_bits: settings.weight_bits,
        run_bits,
        entries_per_word: settings.entries_per_word,
        spmat_depth: need("spmat", "words of entries", running(&|l, pe| l.pes[pe].entries.len(), &|sum| sum.div_ceil(per_word)), d.spmat)?,
        ptr_depth: need("ptr", "pointers per bank", running(&|l, _| l.columns + 1, &|sum| sum.div_ceil(2)), d.ptr)?,
        act_depth: depth("act_depth", "values of vectors", layout.vector_words, d.act)?,
        acc_depth: need("acc", "cells or rows", sums, d.acc)?,
        bias_depth: depth("bias_depth", "parameters", layout.parameter_words, d.bias)?,
        acc_bits,
        max_layers: depth("max_layers", "operations of a step", parts.program.len(), d.max_layers)?,
        conv: false,
        ese: Some(Ese {
            channels: settings.channels,
            cell_depth: depth("cell_depth", "cells", layout.cell_words, settings.cell_depth)?,
            input_depth: depth("input_depth", "values of an input vector", network.inputs(), settings.input_depth)?,
            output_depth: depth("output_depth", "values of an output vector", network.outputs(), settings.output_depth)?,
        }),
    };
    arch.validate()?;
    Ok(arch)
}

fn parameters(parts: &Parts, arch: &Arch) -> Words {
    let mut words = Words::zeroed(MemoryKind::Bias.width(arch), parts.layout.parameter_words.max(1));
    for (l, numbers) in parts.numbers.lstm.iter().enumerate() {
        let base = parts.layout.cell_parameters[l];
        // every LSTM layer has one operation with a job for its cells
        let Some(op) = parts.program.iter().find(|op| op.job == Job::Cells && op.param_base == base) else { continue };
        for cell in 0..op.count {
            let biases = std::array::from_fn(|g| numbers.bias[g][cell] + fixed::rounding(op.shifts[g]));
            let peepholes = std::array::from_fn(|k| numbers.peepholes[k][cell]);
            Parameters { biases, peepholes }.write(&mut words, base + cell, arch);
        }
    }
    for (d, numbers) in parts.numbers.layers.iter().enumerate() {
        for (row, bias) in numbers.bias.iter().enumerate() {
            let biases = [bias + fixed::rounding(numbers.shift), 0, 0, 0];
            let word = Parameters { biases, ..Parameters::default() };
            word.write(&mut words, parts.layout.row_parameters[d] + row, arch);
        }
    }
    words
}
