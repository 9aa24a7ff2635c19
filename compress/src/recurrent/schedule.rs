//! The program of a step, ordered so that nothing waits that need not, and where its vectors and cells lie.
//!
//! ```text
//! layer 0: x, h' -> cells | layer 1: h' of layer 1 | layer 0: m -> h | layer 1: h of layer 0 -> cells | ...
//! ```
//! While a layer's cells are made, what does not depend on them is broadcast: the recurrent columns of the next layer, or
//! the input of the next step; a part of that input is held back for the time in which the last projection's rows are made.

use super::formats::Formats;
use super::numbers::Numbers;
use crate::encode::Encoded;
use crate::error::Error;
use crate::model::{Activation, Candidate, Recurrent};
use crate::spec::program::{Job, Source};
use crate::spec::Op;

/// Addresses in the memories of a channel and in the parameter memory.
pub(super) struct Layout {
    /// Of h of each LSTM layer.
    pub hidden: Vec<usize>,
    /// Of m of layers with a projection, which they use in turn.
    pub scratch: usize,
    /// Of the outputs of each fully connected layer; those of the last are not stored.
    pub layers: Vec<usize>,
    /// In the cell memory.
    pub cells: Vec<usize>,
    /// In the parameter memory.
    pub cell_parameters: Vec<usize>,
    pub row_parameters: Vec<usize>,
    /// Words of each memory.
    pub vector_words: usize,
    pub cell_words: usize,
    pub parameter_words: usize,
}

impl Layout {
    pub fn new(network: &Recurrent) -> Layout {
        fn place(next: &mut usize, words: usize) -> usize {
            *next += words;
            *next - words
        }
        let (mut vectors, mut cells, mut parameters) = (0, 0, 0);
        let hidden = network.lstm.iter().map(|l| place(&mut vectors, l.hidden())).collect();
        let widest = network.lstm.iter().filter(|l| l.projection.is_some()).map(|l| l.cells()).max();
        let scratch = place(&mut vectors, widest.unwrap_or(0));
        let stored = network.layers.len().saturating_sub(1);
        let layers = network.layers.iter().enumerate();
        let layers = layers.map(|(d, l)| place(&mut vectors, if d < stored { l.weights.rows } else { 0 })).collect();
        Layout {
            hidden,
            scratch,
            layers,
            cell_parameters: network.lstm.iter().map(|l| place(&mut parameters, l.cells())).collect(),
            row_parameters: network.layers.iter().map(|l| place(&mut parameters, l.weights.rows)).collect(),
            cells: network.lstm.iter().map(|l| place(&mut cells, l.cells())).collect(),
            vector_words: vectors,
            cell_words: cells,
            parameter_words: parameters,
        }
    }
}

/// Most operations of a program.
const MOST_OPS: usize = 16;
/// Cycles from a projection's last column to the first that can follow its results; what is held back fills them.
const DRAIN: f64 = 300.0;

/// Columns of x to hold back: as many as were asked for, or as fill the drain of a projection; none where there is no
/// projection to fill.
pub(super) fn hold(network: &Recurrent, gates: &Encoded, wanted: Option<usize>) -> usize {
    let inputs = network.inputs();
    if network.lstm.last().is_none_or(|l| l.projection.is_none()) {
        return 0;
    }
    let entries: usize = gates.pes.iter().map(|pe| pe.pointers.get(inputs).copied().unwrap_or(0) as usize).sum();
    let mean = entries as f64 / (inputs * gates.pes.len()).max(1) as f64;
    // `as` makes of an infinite number the largest
    wanted.unwrap_or((DRAIN / mean).ceil() as usize).min(inputs)
}

/// Numbers of the first pointer and of the codebook of each stored part.
struct Places {
    ptr: usize,
    codebook: usize,
}

impl Places {
    fn take(&mut self, columns: usize, codebooks: usize) -> (usize, usize) {
        let found = (self.ptr, self.codebook);
        self.ptr += columns + 1;
        self.codebook += codebooks;
        found
    }
}

/// The operations of a step, `hold` columns of x held back (see [`hold`]). An error if there are too many.
pub(super) fn program(network: &Recurrent, layout: &Layout, formats: &Formats, numbers: &Numbers, hold: usize) -> Result<Vec<Op>, Error> {
    let inputs = network.inputs();
    let mut places = Places { ptr: 0, codebook: 0 };
    let mut gates = vec![];
    let mut projections = vec![];
    for layer in &network.lstm {
        gates.push(places.take(layer.inputs() + layer.hidden(), 2));
        projections.push(layer.projection.as_ref().map(|p| places.take(p.columns, 1)));
    }
    let input = Op { source: Source::Input, columns: inputs, ptr_base: gates[0].0, layer: gates[0].1, ..Op::default() };
    let mut ops = vec![input];
    let final_layer = network.lstm.len() - 1;
    let ends_with_lstm = network.layers.is_empty();
    for (l, layer) in network.lstm.iter().enumerate() {
        let (ptr_base, codebook) = gates[l];
        let f = &formats.lstm[l];
        let ends = ends_with_lstm && l == final_layer;
        let recurrent = Op {
            source: Source::Vector,
            columns: layer.hidden(),
            source_base: layout.hidden[l],
            ptr_base: ptr_base + layer.inputs(),
            layer: codebook + 1,
            state: true,
            ..Op::default()
        };
        let job = |op: Op| Op {
            job: Job::Cells,
            count: layer.cells(),
            dest: if projections[l].is_some() { layout.scratch } else { layout.hidden[l] },
            cell_base: layout.cells[l],
            param_base: layout.cell_parameters[l],
            shifts: f.shifts,
            aligns: f.aligns,
            // both fraction lengths are 0 to 15
            cell_shift: (30 - f.cell) as u32,
            hidden_shift: (30 - f.result) as u32,
            candidate_sigmoid: layer.candidate == Candidate::Sigmoid,
            store: true,
            output: ends && projections[l].is_none(),
            ..op
        };
        if l == 0 {
            ops.push(job(recurrent));
        } else {
            // the recurrent columns were broadcast while the cells of the layer below were made
            let source_base = layout.hidden[l - 1];
            let columns = Op { source: Source::Vector, columns: layer.inputs(), source_base, ptr_base, layer: codebook, ..Op::default() };
            ops.push(job(columns));
        }
        // what fills the time in which the cells are made
        if let Some(next) = network.lstm.get(l + 1) {
            ops.push(Op {
                source: Source::Vector,
                columns: next.hidden(),
                source_base: layout.hidden[l + 1],
                ptr_base: gates[l + 1].0 + next.inputs(),
                layer: gates[l + 1].1 + 1,
                state: true,
                ..Op::default()
            });
        }
        let ahead = Op { source: Source::Ahead, ..input };
        if l == final_layer && hold < inputs {
            ops.push(Op { columns: inputs - hold, ..ahead });
        }
        if let (Some((ptr_base, codebook)), Some(n)) = (projections[l], &numbers.lstm[l].projection) {
            ops.push(Op {
                source: Source::Vector,
                columns: layer.cells(),
                source_base: layout.scratch,
                ptr_base,
                layer: codebook,
                rows_bank: true,
                job: Job::Rows,
                count: layer.hidden(),
                dest: layout.hidden[l],
                shifts: [n.shift, 0, 0, 0],
                store: true,
                output: ends,
                ..Op::default()
            });
            if l == final_layer && hold > 0 {
                ops.push(ahead);
            }
        }
    }
    let mut source_base = layout.hidden[final_layer];
    for (d, layer) in network.layers.iter().enumerate() {
        let (ptr_base, codebook) = places.take(layer.weights.columns, 1);
        let ends = d + 1 == network.layers.len();
        ops.push(Op {
            source: Source::Vector,
            columns: layer.weights.columns,
            source_base,
            ptr_base,
            layer: codebook,
            rows_bank: true,
            job: Job::Rows,
            count: layer.weights.rows,
            dest: if ends { 0 } else { layout.layers[d] },
            param_base: layout.row_parameters[d],
            shifts: [numbers.layers[d].shift, 0, 0, 0],
            relu: layer.activation == Activation::Relu,
            bias: true,
            store: !ends,
            output: ends,
            ..Op::default()
        });
        source_base = layout.layers[d];
    }
    wait(&mut ops);
    if let Some(op) = ops.last_mut() {
        op.last = true;
    }
    if ops.len() > MOST_OPS {
        return Err(Error::Network(format!("a step takes {} operations, at most {MOST_OPS} are supported", ops.len())));
    }
    Ok(ops)
}

/// Lets an operation wait whose columns the last token's job makes: for each of them, or for all if that job still
/// reads the bank that the operation sums into.
fn wait(ops: &mut [Op]) {
    for i in 0..ops.len() {
        if ops[i].source != Source::Vector {
            continue;
        }
        // before the first token of a step comes the last one of the step before
        let Some(last) = ops[..i].iter().rev().chain(ops[i..].iter().rev()).find(|op| op.job != Job::None).copied() else { continue };
        if last.store && last.dest == ops[i].source_base {
            let same_bank = last.job == Job::Rows && ops[i].rows_bank;
            ops[i].whole = same_bank;
            ops[i].stream = !same_bank;
        }
    }
}
