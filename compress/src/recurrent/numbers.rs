//! Biases and peepholes as integers, and the bits that the largest sum of any row takes.

use super::formats::{Formats, LstmFormats};
use super::matrices::{Quantized, QuantizedLstm};
use crate::compile::{layer_numbers, signed_bits, LayerNumbers, ACC_WIDTHS};
use crate::error::Error;
use crate::model::{LstmLayer, Recurrent, GATES};
use crate::spec::arch::ACT_BITS;
use crate::spec::fixed;

/// A layer's row (and gate) whose sum can become largest, and the bits that it needs.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(super) struct Widest {
    pub name: String,
    pub row: usize,
    pub bits: usize,
}

pub(super) struct LstmNumbers {
    /// By gate and cell, at the gate's fraction length, without the rounding constant.
    pub bias: [Vec<i64>; 4],
    /// Of i f o, by cell; zero without peepholes.
    pub peepholes: [Vec<i16>; 3],
    pub projection: Option<LayerNumbers>,
}

pub(super) struct Numbers {
    pub lstm: Vec<LstmNumbers>,
    pub layers: Vec<LayerNumbers>,
    /// Of every gate, projection and other layer.
    pub widest: Vec<Widest>,
}

impl Numbers {
    /// The sum that needs the most bits.
    pub fn widest(&self) -> Option<&Widest> {
        // of equal ones, the first
        self.widest.iter().rev().max_by_key(|w| w.bits)
    }

    /// The accumulator's width; an error if a sum of any row could leave it.
    pub fn accumulator_bits(&self, fixed_bits: Option<usize>) -> Result<usize, Error> {
        let found = fixed_bits.unwrap_or(ACC_WIDTHS.1);
        match self.widest() {
            Some(w) if w.bits > found => Err(Error::Accumulator { layer: w.name.clone(), row: w.row, needed: w.bits, found }),
            Some(w) => Ok(fixed_bits.unwrap_or(w.bits.max(ACC_WIDTHS.0))),
            None => Ok(found),
        }
    }
}

pub(super) fn numbers(network: &Recurrent, quantized: &Quantized, formats: &Formats) -> Result<Numbers, Error> {
    let mut out = Numbers { lstm: vec![], layers: vec![], widest: vec![] };
    for ((layer, q), f) in network.lstm.iter().zip(&quantized.lstm).zip(&formats.lstm) {
        let numbers = lstm(layer, q, f, &mut out.widest)?;
        out.lstm.push(numbers);
    }
    for (d, q) in quantized.layers.iter().enumerate() {
        let numbers = layer_numbers(&q.layer, formats.layer_input(d), formats.layers[d].output)?;
        out.widest.push(Widest { name: q.layer.name.clone(), row: numbers.widest.0, bits: numbers.widest.1 });
        out.layers.push(numbers);
    }
    Ok(out)
}

fn lstm(layer: &LstmLayer, q: &QuantizedLstm, f: &LstmFormats, widest: &mut Vec<Widest>) -> Result<LstmNumbers, Error> {
    // a bias of 62 bits is beyond every accumulator, whatever its exact value
    let integers = |values: &[f32], fraction| values.iter().map(|b| fixed::quantize(f64::from(*b), 62, fraction)).collect::<Vec<i64>>();
    let bias: [Vec<i64>; 4] = std::array::from_fn(|g| integers(&layer.bias[g], f.gates[g]));
    let peepholes: [Vec<i16>; 3] = std::array::from_fn(|k| match &layer.peepholes {
        // `fixed::quantize` saturates to 16 bits
        Some(p) => p[k].iter().map(|v| fixed::quantize(f64::from(*v), ACT_BITS, f.peepholes[k]) as i16).collect(),
        None => vec![0; layer.cells()],
    });
    let largest = i128::from(-fixed::limits(ACT_BITS).0);
    for (g, gate) in GATES.iter().enumerate() {
        let rounding = i128::from(fixed::rounding(f.shifts[g]));
        let mut reach: Vec<i128> = bias[g].iter().map(|b| i128::from(b.abs()) + rounding).collect();
        for matrix in [&q.input[g].layer, &q.hidden[g].layer] {
            for n in matrix.columns.iter().flatten() {
                reach[n.row as usize] += i128::from(matrix.value(n.weight).abs()) * largest;
            }
        }
        if let Some(k) = [0, 1, 3].iter().position(|of| *of == g) {
            let term = |p: &i16| (i128::from(p.unsigned_abs()) * largest) << f.aligns[k];
            reach.iter_mut().zip(&peepholes[k]).for_each(|(sum, p)| *sum += term(p));
        }
        // of equal ones, the first row
        let row = (0..reach.len()).rev().max_by_key(|r| reach[*r]).unwrap_or(0);
        widest.push(Widest { name: format!("{}, gate {gate}", layer.name), row, bits: signed_bits(reach[row]) });
    }
    let projection = match &q.projection {
        Some(p) => {
            let numbers = layer_numbers(&p.layer, f.result, f.hidden)?;
            widest.push(Widest { name: p.layer.name.clone(), row: numbers.widest.0, bits: numbers.widest.1 });
            Some(numbers)
        }
        None => None,
    };
    Ok(LstmNumbers { bias, peepholes, projection })
}
