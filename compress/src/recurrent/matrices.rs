//! Matrices as integers, the four gates of a layer fused into one, and a single matrix on its PEs.
//!
//! In codebook form the columns of x and those of h of a layer have a codebook each: they are operations of their own,
//! and their weights differ in size. Codebooks are numbered in the order of the layers: x, h, projection; other layers
//! last.

use super::formats::Formats;
use super::numbers::Numbers;
use super::prune::{hidden_name, input_name, projection_name};
use crate::encode::{encode, Interleave};
use crate::error::Error;
use crate::model::{Activation, DenseLayer, LstmLayer, Matrix, Nonzero, QuantizedLayer, Recurrent, GATES};
use crate::quantize::{best_fraction, dequantize, direct, with_codebook, LayerReport, Quantization, Shared};
use crate::spec::fixed::{self, MAX_FRACTION};
use crate::spec::WeightForm;

/// The finest fraction length of the weights that one format is for, and their codebook.
pub(super) struct Weights {
    pub finest: i32,
    shared: Option<Shared>,
}

/// Finest fraction length of a matrix of zeros: it hardly limits others, and their biases still fit the accumulator.
const NO_WEIGHTS: i32 = 20;

/// What is known of the weights before their formats are fixed.
pub(super) struct Clustered {
    bits: usize,
    pub form: WeightForm,
    /// In direct form one for each gate, else one for all gates.
    pub input: Vec<Vec<Weights>>,
    pub hidden: Vec<Vec<Weights>>,
    pub projection: Vec<Option<Weights>>,
    pub layers: Vec<Weights>,
}

impl Clustered {
    pub fn new(network: &Recurrent, how: &Quantization) -> Clustered {
        let mut number = 0;
        let mut weights = |matrices: &[&Matrix]| {
            let all = || matrices.iter().flat_map(|m| m.data.iter().copied());
            let shared = (how.form == WeightForm::Codebook).then(|| Shared::cluster(all(), how, &mut how.rng(number)));
            number += 1;
            let finest = match (&shared, all().any(|w| w != 0.0)) {
                (_, false) => NO_WEIGHTS,
                (Some(shared), true) => shared.finest_fraction(),
                (None, true) => matrices.iter().map(|m| best_fraction(m, how.bits)).min().unwrap_or(MAX_FRACTION),
            };
            Weights { finest, shared }
        };
        let mut out = Clustered { bits: how.bits, form: how.form, input: vec![], hidden: vec![], projection: vec![], layers: vec![] };
        for layer in &network.lstm {
            let mut gates = |matrices: &[Matrix; 4]| match how.form {
                WeightForm::Codebook => vec![weights(&matrices.each_ref())],
                WeightForm::Direct => matrices.iter().map(|m| weights(&[m])).collect(),
            };
            out.input.push(gates(&layer.input_weights));
            out.hidden.push(gates(&layer.hidden_weights));
            out.projection.push(layer.projection.as_ref().map(|p| weights(&[p])));
        }
        out.layers = network.layers.iter().map(|l| weights(&[&l.weights])).collect();
        out
    }

    fn quantize(&self, layer: &DenseLayer, weights: &Weights, fraction: i32) -> QuantizedMatrix {
        let (layer, report) = match &weights.shared {
            Some(shared) => with_codebook(layer, shared, fraction),
            None => direct(layer, self.bits, fraction),
        };
        QuantizedMatrix { layer, report }
    }
}

/// The weights of gate `g`.
pub(super) fn of_gate(weights: &[Weights], g: usize) -> &Weights {
    &weights[g % weights.len()]
}

pub(super) struct QuantizedMatrix {
    pub layer: QuantizedLayer,
    pub report: LayerReport,
}

pub(super) struct QuantizedLstm {
    pub input: Vec<QuantizedMatrix>,
    pub hidden: Vec<QuantizedMatrix>,
    pub projection: Option<QuantizedMatrix>,
}

/// All matrices as integers.
pub(super) struct Quantized {
    pub lstm: Vec<QuantizedLstm>,
    pub layers: Vec<QuantizedMatrix>,
    /// By number; none in direct form.
    pub codebooks: Vec<Vec<i16>>,
}

pub(super) fn quantize(network: &Recurrent, weights: &Clustered, formats: &Formats) -> Quantized {
    let mut out = Quantized { lstm: vec![], layers: vec![], codebooks: vec![] };
    let alone = |name: String, matrix: &Matrix| DenseLayer {
        name,
        weights: matrix.clone(),
        bias: vec![],
        activation: Activation::None,
        conv: None,
    };
    for (l, layer) in network.lstm.iter().enumerate() {
        let f = &formats.lstm[l];
        let gate = |g: usize, name: String, matrix: &Matrix, of: &[Weights], fraction: i32| {
            weights.quantize(&alone(name, matrix), of_gate(of, g), fraction)
        };
        let input: Vec<_> = (0..4)
            .map(|g| gate(g, input_name(&layer.name, GATES[g]), &layer.input_weights[g], &weights.input[l], f.input_weights[g]))
            .collect();
        let hidden: Vec<_> = (0..4)
            .map(|g| gate(g, hidden_name(&layer.name, GATES[g]), &layer.hidden_weights[g], &weights.hidden[l], f.hidden_weights[g]))
            .collect();
        let projection = match (&layer.projection, &weights.projection[l]) {
            (Some(matrix), Some(of)) => Some(weights.quantize(&alone(projection_name(&layer.name), matrix), of, f.projection)),
            _ => None,
        };
        let tables = [&input[0], &hidden[0]].into_iter().chain(&projection);
        out.codebooks.extend(tables.filter_map(|m| m.layer.codebook.clone()));
        out.lstm.push(QuantizedLstm { input, hidden, projection });
    }
    for (d, layer) in network.layers.iter().enumerate() {
        let quantized = weights.quantize(layer, &weights.layers[d], formats.layers[d].weights);
        out.codebooks.extend(quantized.layer.codebook.clone());
        out.layers.push(quantized);
    }
    out
}

/// Rows of the fused matrix of a layer.
pub(super) fn fused_rows(cells: usize, pes: usize) -> usize {
    4 * cells.div_ceil(pes) * pes
}

/// Row of the fused matrix that belongs to a gate (of i f g o) of a cell.
pub(super) fn fused_position(cell: usize, gate: usize, pes: usize) -> usize {
    (4 * (cell / pes) + gate) * pes + cell % pes
}

impl Quantized {
    /// The matrices as they are stored: of each LSTM layer the gates, then the projection; then the other layers.
    pub fn stored(&self, network: &Recurrent, pes: usize) -> Vec<QuantizedLayer> {
        let lstm = self.lstm.iter().zip(&network.lstm).flat_map(|(layer, of)| {
            let projection = layer.projection.iter().map(|p| p.layer.clone());
            std::iter::once(fuse(layer, &of.name, pes)).chain(projection)
        });
        lstm.chain(self.layers.iter().map(|l| l.layer.clone())).collect()
    }

    /// The network of real numbers that the integers stand for.
    pub fn dequantize(&self, network: &Recurrent, formats: &Formats, numbers: &Numbers) -> Recurrent {
        let matrix = |q: &QuantizedMatrix| {
            let mut dense = dequantize(std::slice::from_ref(&q.layer));
            dense.layers.remove(0).weights
        };
        let real = |values: &[i64], fraction: i32| values.iter().map(|v| fixed::dequantize(*v, fraction) as f32).collect::<Vec<f32>>();
        let mut out = network.clone();
        for (l, (layer, q)) in out.lstm.iter_mut().zip(&self.lstm).enumerate() {
            let (f, n) = (&formats.lstm[l], &numbers.lstm[l]);
            for g in 0..4 {
                layer.input_weights[g] = matrix(&q.input[g]);
                layer.hidden_weights[g] = matrix(&q.hidden[g]);
                layer.bias[g] = real(&n.bias[g], f.gates[g]);
            }
            for (k, peephole) in layer.peepholes.iter_mut().flatten().enumerate() {
                let integers: Vec<i64> = n.peepholes[k].iter().map(|p| i64::from(*p)).collect();
                *peephole = real(&integers, f.peepholes[k]);
            }
            layer.projection = q.projection.as_ref().map(matrix);
        }
        for (d, (layer, q)) in out.layers.iter_mut().zip(&self.layers).enumerate() {
            layer.weights = matrix(q);
            layer.bias = real(&numbers.layers[d].bias, formats.layer_input(d) + q.layer.weight_fraction);
        }
        out
    }
}

/// The fused matrix of a layer: columns of x, then of h. Its weights keep the formats of their gates.
fn fuse(layer: &QuantizedLstm, name: &str, pes: usize) -> QuantizedLayer {
    let cells = layer.input[0].layer.rows;
    let mut columns = vec![];
    for part in [&layer.input, &layer.hidden] {
        for c in 0..part[0].layer.columns.len() {
            let mut column: Vec<Nonzero> = vec![];
            for (gate, matrix) in part.iter().enumerate() {
                // rows have at most 18 bits
                let place = |n: &Nonzero| Nonzero { row: fused_position(n.row as usize, gate, pes) as u32, weight: n.weight };
                column.extend(matrix.layer.columns[c].iter().map(place));
            }
            column.sort_unstable_by_key(|n| n.row);
            columns.push(column);
        }
    }
    QuantizedLayer {
        name: format!("{name} gates"),
        rows: fused_rows(cells, pes),
        columns,
        codebook: None,
        weight_fraction: 0,
        bias: vec![],
        activation: Activation::None,
        conv: None,
    }
}

/// A single matrix as it lies on the PEs.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodedMatrix {
    /// Padding included.
    pub entries_per_pe: Vec<usize>,
    /// `column_entries[pe][column]`, padding included.
    pub column_entries: Vec<Vec<usize>>,
    pub nonzeros: usize,
    /// Padding entries over all PEs.
    pub padding: usize,
    pub entry_bits: usize,
}

impl EncodedMatrix {
    /// Bytes of all PEs' entries, streams padded to equal length.
    pub fn bytes(&self) -> usize {
        packed_bytes(&self.entries_per_pe, self.entry_bits)
    }
}

/// Bytes of streams that are as long as the longest.
pub(super) fn packed_bytes(entries_per_pe: &[usize], entry_bits: usize) -> usize {
    let most = entries_per_pe.iter().copied().max().unwrap_or(0);
    (most * entries_per_pe.len() * entry_bits).div_ceil(8)
}

/// Encodes the non-zeros of one matrix, row `r` on PE `r mod pes`.
pub fn encode_matrix(matrix: &Matrix, pes: usize, weight_bits: usize, run_bits: usize) -> Result<EncodedMatrix, Error> {
    let range = |field, found: usize, low: usize, high: usize, expected| match (low..=high).contains(&found) {
        true => Ok(()),
        false => Err(Error::Setting { field, found: found.to_string(), expected }),
    };
    range("pes", pes, 1, 256, "1 to 256")?;
    range("weight_bits", weight_bits, 2, 16, "2 to 16")?;
    range("run_bits", run_bits, 2, 8, "2 to 8")?;
    if matrix.data.len() != matrix.rows * matrix.columns || u32::try_from(matrix.rows).is_err() {
        return Err(Error::Network(format!("a matrix of {} x {} has {} values", matrix.rows, matrix.columns, matrix.data.len())));
    }
    let mut columns = vec![vec![]; matrix.columns];
    for row in 0..matrix.rows {
        for (column, _) in matrix.row(row).iter().enumerate().filter(|(_, w)| **w != 0.0) {
            columns[column].push(Nonzero { row: row as u32, weight: 1 });
        }
    }
    let layer = QuantizedLayer {
        name: "matrix".into(),
        rows: matrix.rows,
        columns,
        codebook: None,
        weight_fraction: 0,
        bias: vec![],
        activation: Activation::None,
        conv: None,
    };
    let encoded = encode(&layer, &Interleave { pes, weight_bits, run_bits, row_order: None, column_order: None })?;
    let counts = |pointers: &[u32]| pointers.windows(2).map(|p| (p[1] - p[0]) as usize).collect();
    Ok(EncodedMatrix {
        entries_per_pe: encoded.entries_per_pe(),
        column_entries: encoded.pes.iter().map(|pe| counts(&pe.pointers)).collect(),
        nonzeros: encoded.nonzeros,
        padding: encoded.padding,
        entry_bits: weight_bits + run_bits,
    })
}

/// The gate matrices of a layer with the names and the vectors that they read: x, then h, gate by gate.
pub(super) fn gate_matrices(layer: &LstmLayer) -> impl Iterator<Item = (usize, &Matrix, &Matrix)> {
    layer.input_weights.iter().zip(&layer.hidden_weights).enumerate().map(|(g, (x, h))| (g, x, h))
}
