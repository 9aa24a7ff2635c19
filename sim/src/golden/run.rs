//! Inference: column after column, entry after entry, in integers.

use super::decode::{Golden, GoldenLayer};
use super::GoldenError;
use lacuna_compress::spec::arch::ACT_BITS;
use lacuna_compress::spec::fixed;

/// What one layer did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerTrace {
    /// Columns that were broadcast, in scan order: those whose activation is not 0.
    pub active: Vec<u32>,
    /// The layer's results by position: `out_rows * N` of them, those beyond the last row included.
    pub output: Vec<i16>,
    /// Results that saturated (a negative one that ReLU makes 0 does not count).
    pub saturated: usize,
}

/// What one inference did, layer by layer. Together with [`GoldenLayer::count`] it has all that a
/// cycle model needs: which columns are broadcast, and how many entries each PE has for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    pub layers: Vec<LayerTrace>,
}

impl Trace {
    /// The network's results by position.
    pub fn output(&self) -> &[i16] {
        self.layers.last().map_or(&[], |layer| &layer.output)
    }
    pub fn saturated(&self) -> usize {
        self.layers.iter().map(|layer| layer.saturated).sum()
    }
}

impl Golden {
    /// Runs the network on one activation per column of the first layer, by position; the results
    /// are by position too, at least one per row of the last layer.
    pub fn infer(&self, input: &[i16]) -> Result<Vec<i16>, GoldenError> {
        self.check_input(input)?;
        let mut work = Work::default();
        let mut vector = input.to_vec();
        for layer in &self.layers {
            vector = work.layer(layer, &vector, self.arch.pes, self.arch.acc_bits).0;
        }
        Ok(vector)
    }

    /// As [`Golden::infer`], and says what happened.
    pub fn trace(&self, input: &[i16]) -> Result<Trace, GoldenError> {
        self.check_input(input)?;
        let mut work = Work::default();
        let mut layers: Vec<LayerTrace> = vec![];
        for layer in &self.layers {
            let source = layers.last().map_or(input, |before| before.output.as_slice());
            let (output, saturated) = work.layer(layer, source, self.arch.pes, self.arch.acc_bits);
            let active = source[..layer.columns].iter().enumerate().filter(|(_, a)| **a != 0).map(|(column, _)| column as u32).collect();
            layers.push(LayerTrace { active, output, saturated });
        }
        Ok(Trace { layers })
    }

    fn check_input(&self, input: &[i16]) -> Result<(), GoldenError> {
        if input.len() == self.inputs() {
            Ok(())
        } else {
            Err(GoldenError::Input { found: input.len(), expected: self.inputs() })
        }
    }
}

/// The accumulators of the PE at work.
#[derive(Default)]
struct Work {
    acc: Vec<i64>,
}

impl Work {
    /// Results of a layer, and how many saturated. The source and destination buffers of all PEs are one
    /// vector each: local number `i` of PE `k` is position `i * N + k`, which is also the scan's order.
    fn layer(&mut self, layer: &GoldenLayer, source: &[i16], pes: usize, acc_bits: usize) -> (Vec<i16>, usize) {
        let record = &layer.record;
        let active: Vec<(usize, i64)> =
            source[..layer.columns].iter().enumerate().filter(|(_, a)| **a != 0).map(|(column, a)| (column, i64::from(*a))).collect();
        let (low, high) = fixed::limits(ACT_BITS);
        let mut output = vec![0; record.out_rows * pes];
        let mut saturated = 0;
        // the PEs do not depend on each other, so one after the other computes the same
        for (pe, part) in layer.parts.iter().enumerate() {
            self.acc.clear();
            self.acc.extend(&part.bias);
            for (column, act) in &active {
                for step in layer.steps(pe, *column) {
                    self.acc[step.row as usize] += i64::from(step.weight) * act;
                }
            }
            for (local, sum) in self.acc.iter().enumerate() {
                debug_assert_eq!(fixed::saturate(*sum, acc_bits), *sum, "decoding has seen that no sum leaves the accumulator");
                let shifted = sum >> record.shift;
                saturated += usize::from(shifted > high || (shifted < low && !record.relu));
                output[local * pes + pe] = fixed::requantize(*sum, record.shift, record.relu);
            }
        }
        (output, saturated)
    }
}
