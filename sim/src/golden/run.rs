//! Inference: column after column, entry after entry, in integers.

use super::decode::{Golden, GoldenLayer};
use super::GoldenError;
use lacuna_compress::spec::arch::ACT_BITS;
use lacuna_compress::spec::fixed;

/// What one layer did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerTrace {
    /// Columns that were broadcast, in scan order: those whose activation is not 0, place after place.
    pub active: Vec<u32>,
    /// Of each place the end of its columns in `active`; a fully connected layer has one place.
    pub places: Vec<usize>,
    /// The layer's results by position: `destination_rows * N` of them, those beyond the last row included.
    pub output: Vec<i16>,
    /// Results that saturated (a negative one that ReLU makes 0 does not count), before pooling.
    pub saturated: usize,
}

impl LayerTrace {
    /// The columns that were broadcast at each place.
    pub fn active_by_place(&self) -> impl Iterator<Item = &[u32]> {
        let starts = std::iter::once(0).chain(self.places.iter().copied());
        starts.zip(&self.places).map(|(start, end)| &self.active[start..*end])
    }
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
        let mut work = Work::new(self);
        let mut vector = input.to_vec();
        for layer in &self.layers {
            vector = work.layer(layer, &vector, |_| {}).0;
        }
        Ok(vector)
    }

    /// As [`Golden::infer`], and says what happened.
    pub fn trace(&self, input: &[i16]) -> Result<Trace, GoldenError> {
        self.check_input(input)?;
        let mut work = Work::new(self);
        let mut layers: Vec<LayerTrace> = vec![];
        for layer in &self.layers {
            let source = layers.last().map_or(input, |before| before.output.as_slice());
            let (mut active, mut places) = (vec![], vec![]);
            let (output, saturated) = work.layer(layer, source, |columns| {
                active.extend(columns.iter().map(|(column, _)| *column as u32));
                places.push(active.len());
            });
            layers.push(LayerTrace { active, places, output, saturated });
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

/// The accumulators of the PE at work, and the columns of the place at work.
struct Work {
    pes: usize,
    acc_bits: usize,
    acc: Vec<i64>,
    active: Vec<(usize, i64)>,
}

impl Work {
    fn new(golden: &Golden) -> Work {
        Work { pes: golden.arch.pes, acc_bits: golden.arch.acc_bits, acc: vec![], active: vec![] }
    }

    /// Results of a layer, and how many saturated; `each` hears the active columns of every place. The source and destination
    /// buffers of all PEs are one vector each: local number `i` of PE `k` is position `i * N + k`, which is also the scan's order.
    fn layer(&mut self, layer: &GoldenLayer, source: &[i16], mut each: impl FnMut(&[(usize, i64)])) -> (Vec<i16>, usize) {
        let walk = layer.record.walk();
        let mut output = vec![0; layer.record.destination_rows() * self.pes];
        let mut saturated = 0;
        for y in 0..walk.out_height {
            for x in 0..walk.out_width {
                self.patch(layer, source, y * walk.step_y + x * walk.step_x);
                each(&self.active);
                let first = y % walk.pool == 0 && x % walk.pool == 0;
                let size = layer.record.out_rows * self.pes;
                let window = walk.window(y, x) * size;
                saturated += self.place(layer, first, &mut output[window..window + size]);
            }
        }
        (output, saturated)
    }

    /// The columns of the patch that begins at a source row which are not 0.
    fn patch(&mut self, layer: &GoldenLayer, source: &[i16], first_row: usize) {
        let walk = layer.record.walk();
        self.active.clear();
        let run = walk.run_rows * self.pes;
        for (number, start) in (0..layer.columns).step_by(run).enumerate() {
            let at = (first_row + number * walk.line_rows) * self.pes;
            let lanes = &source[at..at + run.min(layer.columns - start)];
            let active = lanes.iter().enumerate().filter(|(_, a)| **a != 0);
            self.active.extend(active.map(|(lane, act)| (start + lane, i64::from(*act))));
        }
    }

    /// Computes a place into its window, which takes the larger of its results so far and these unless they are the first;
    /// says how many saturated.
    fn place(&mut self, layer: &GoldenLayer, first: bool, window: &mut [i16]) -> usize {
        let record = &layer.record;
        let (low, high) = fixed::limits(ACT_BITS);
        let mut saturated = 0;
        // the PEs do not depend on each other, so one after the other computes the same
        for (pe, part) in layer.parts.iter().enumerate() {
            self.acc.clear();
            self.acc.extend(&part.bias);
            for (column, act) in &self.active {
                for step in layer.steps(pe, *column) {
                    self.acc[step.row as usize] += i64::from(step.weight) * act;
                }
            }
            for (local, sum) in self.acc.iter().enumerate() {
                debug_assert_eq!(fixed::saturate(*sum, self.acc_bits), *sum, "decoding has seen that no sum leaves the accumulator");
                let shifted = sum >> record.shift;
                saturated += usize::from(shifted > high || (shifted < low && !record.relu));
                let result = fixed::requantize(*sum, record.shift, record.relu);
                let kept = &mut window[local * self.pes + pe];
                *kept = if first { result } else { result.max(*kept) };
            }
        }
        saturated
    }
}
