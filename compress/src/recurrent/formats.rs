//! Formats: the finest that the ranges allow, and where products must meet, the ones that lose least.
//!
//! The products of a gate with x and with h, its bias and its peephole have one fraction length, F. A vector's
//! fraction length is one for all who read it, so that those of x, h of layer 0, h of layer 1, ... depend on each other
//! along this chain: the choice is a shortest path. A step of it costs the rounding noise at the inputs of the
//! layer's activation functions: of an activation |W|^2 / rows 4^-f / 12, of weights their number per row times the
//! mean square of what they meet times 4^-f / 12.

use super::infer::{LstmRanges, RecurrentRanges};
use super::matrices::{gate_matrices, of_gate, Clustered};
use crate::compile::Range;
use crate::error::Error;
use crate::model::{Candidate, LstmLayer, Matrix, Recurrent, GATES};
use crate::spec::arch::ACT_BITS;
use crate::spec::fixed::{fraction_for, MAX_FRACTION, MAX_SHIFT};
use crate::spec::lut::{OUTPUT_FRACTION, SIGMOID_FRACTION, TANH_FRACTION};
use crate::spec::{Op, WeightForm};

/// Fraction lengths of an LSTM layer; gates in the order i f g o, peepholes i f o.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LstmFormats {
    /// Where a gate's products meet.
    pub gates: [i32; 4],
    pub input_weights: [i32; 4],
    pub hidden_weights: [i32; 4],
    pub shifts: [u32; 4],
    pub peepholes: [i32; 3],
    pub aligns: [u32; 3],
    pub cell: i32,
    /// Of m.
    pub result: i32,
    /// Of h; that of m without a projection.
    pub hidden: i32,
    /// Of the projection's weights.
    pub projection: i32,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct LayerFormats {
    pub weights: i32,
    pub output: i32,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Formats {
    pub input: i32,
    pub lstm: Vec<LstmFormats>,
    pub layers: Vec<LayerFormats>,
}

impl Formats {
    /// Fraction length of what LSTM layer `l` reads.
    pub fn input_of(&self, l: usize) -> i32 {
        l.checked_sub(1).and_then(|before| self.lstm.get(before)).map_or(self.input, |before| before.hidden)
    }
    /// Fraction length of what fully connected layer `d` reads.
    pub fn layer_input(&self, d: usize) -> i32 {
        match d.checked_sub(1).and_then(|before| self.layers.get(before)) {
            Some(before) => before.output,
            None => self.input_of(self.lstm.len()),
        }
    }
    pub fn output(&self) -> i32 {
        self.layer_input(self.layers.len())
    }
}

/// Bits that an activation may lose for its products to meet.
const MOST_LOST: i32 = 15;
const GATE_OF_PEEPHOLE: [usize; 3] = [0, 1, 3];

fn finest(range: &Range) -> i32 {
    fraction_for(range.low, range.high, ACT_BITS)
}

/// Variance of rounding to a fraction length.
fn noise(fraction: i32) -> f64 {
    4f64.powi(-fraction) / 12.0
}

/// Mean square of values that fill their range as bell-shaped ones do.
fn mean_square(range: &Range) -> f64 {
    range.low.abs().max(range.high.abs()).powi(2) / 16.0
}

/// What the noise of a matrix depends on, per row: its sum of squares and its number of weights.
struct Size {
    squares: f64,
    weights: f64,
}

impl Size {
    fn of(matrix: &Matrix) -> Size {
        let rows = matrix.rows.max(1) as f64;
        let squares: f64 = matrix.data.iter().map(|w| f64::from(*w).powi(2)).sum();
        Size { squares: squares / rows, weights: matrix.nonzeros() as f64 / rows }
    }
    fn noise(&self, activation: i32, weights: i32, mean_square: f64) -> f64 {
        self.squares * noise(activation) + self.weights * mean_square * noise(weights)
    }
}

/// A layer on the chain.
struct Stage<'a> {
    layer: &'a LstmLayer,
    cell: i32,
    /// The finest formats of weights, by gate.
    input: [i32; 4],
    hidden: [i32; 4],
    /// Largest F that a peephole's alignment allows, by gate, and the finest format of the peephole.
    limit: [i32; 4],
    peepholes: [Option<i32>; 3],
    sizes: Vec<(Size, Size)>,
    input_square: f64,
    hidden_square: f64,
    one_format: bool,
}

/// Fraction length of a gate's input.
fn function_fraction(layer: &LstmLayer, gate: usize) -> i32 {
    if gate == 2 && layer.candidate == Candidate::Tanh {
        TANH_FRACTION
    } else {
        SIGMOID_FRACTION
    }
}

impl Stage<'_> {
    /// Where each gate's products meet; if they cannot, the gate and what is wrong.
    fn meet(&self, input: i32, hidden: i32) -> Result<[i32; 4], (usize, String)> {
        let widest = |g: usize| function_fraction(self.layer, g) + MAX_SHIFT as i32;
        let mut gates: [i32; 4] =
            std::array::from_fn(|g| (self.input[g] + input).min(self.hidden[g] + hidden).min(self.limit[g]).min(widest(g)));
        if self.one_format {
            gates = [gates.into_iter().min().unwrap_or_default(); 4];
        }
        for (g, found) in gates.iter().enumerate() {
            let needed = function_fraction(self.layer, g);
            if *found < needed {
                let what = format!("its products and peephole have at best {found} fraction bits, its function needs {needed}");
                return Err((g, format!("{what}; weights of more bits or a smaller range of inputs would help")));
            }
            if found - input.max(hidden) < -MAX_FRACTION {
                return Err((g, format!("its weights would need fraction length {}", found - input.max(hidden))));
            }
        }
        Ok(gates)
    }

    fn cost(&self, input: i32, hidden: i32) -> f64 {
        let Ok(gates) = self.meet(input, hidden) else { return f64::INFINITY };
        let one = |(f, (x, h)): (&i32, &(Size, Size))| {
            x.noise(input, f - input, self.input_square) + h.noise(hidden, f - hidden, self.hidden_square)
        };
        gates.iter().zip(&self.sizes).map(one).sum()
    }
}

/// Candidate fraction lengths of each vector on the chain x, h of layer 0, h of layer 1, ...
fn candidates(network: &Recurrent, weights: &Clustered, ranges: &RecurrentRanges) -> Vec<Vec<i32>> {
    let list = |top: i32, bottom: i32| ((top - MOST_LOST).max(bottom)..=top).rev().collect::<Vec<i32>>();
    let mut out = vec![list(finest(&ranges.input), -MAX_FRACTION)];
    for (l, layer) in network.lstm.iter().enumerate() {
        out.push(match (&layer.projection, &weights.projection[l]) {
            // the requantizer has no left shift
            (Some(_), Some(of)) => list(finest(&ranges.lstm[l].hidden).min(of.finest + OUTPUT_FRACTION), -MAX_FRACTION),
            _ => list(OUTPUT_FRACTION, 0),
        });
    }
    out
}

pub(super) fn choose(network: &Recurrent, weights: &Clustered, ranges: &RecurrentRanges) -> Result<Formats, Error> {
    let unit = Range { low: -1.0, high: 1.0 };
    let hidden_range = |l: usize| if network.lstm[l].projection.is_some() { ranges.lstm[l].hidden } else { unit };
    let stage = |l: usize| {
        let before = if l == 0 { ranges.input } else { hidden_range(l - 1) };
        stage(&network.lstm[l], weights, l, &ranges.lstm[l], [before, hidden_range(l)])
    };
    let stages: Vec<Stage> = (0..network.lstm.len()).map(stage).collect();
    let candidates = candidates(network, weights, ranges);
    let after = network.layers.first().map(|layer| Size::of(&layer.weights));
    let Some(chain) = shortest(&stages, &candidates, after.as_ref()) else {
        for (l, stage) in stages.iter().enumerate() {
            if let Err((gate, fault)) = stage.meet(candidates[l][0], candidates[l + 1][0]) {
                return Err(Error::Layer { layer: stage.layer.name.clone(), fault: format!("gate {}: {fault}", GATES[gate]) });
            }
        }
        return Err(Error::Network("no formats of its vectors let its products meet".into()));
    };
    let mut lstm = vec![];
    for (l, stage) in stages.iter().enumerate() {
        let projection = weights.projection[l].as_ref().map(|of| of.finest);
        lstm.push(lstm_formats(stage, chain[l], chain[l + 1], projection)?);
    }
    let mut formats = Formats { input: chain[0], lstm, layers: vec![] };
    for (d, range) in ranges.layers.iter().enumerate() {
        let product = formats.layer_input(d) + weights.layers[d].finest;
        let output = finest(range).clamp(product - MAX_SHIFT as i32, product);
        formats.layers.push(LayerFormats { weights: weights.layers[d].finest, output });
    }
    Ok(formats)
}

fn stage<'a>(layer: &'a LstmLayer, weights: &Clustered, l: usize, ranges: &LstmRanges, vectors: [Range; 2]) -> Stage<'a> {
    let cell = finest(&ranges.cell).clamp(0, OUTPUT_FRACTION);
    let peepholes: [Option<i32>; 3] = std::array::from_fn(|k| {
        let values = &layer.peepholes.as_ref()?[k];
        let mut range = Range { low: 0.0, high: 0.0 };
        values.iter().for_each(|v| range.add(f64::from(*v)));
        values.iter().any(|v| *v != 0.0).then(|| finest(&range))
    });
    let mut limit = [i32::MAX; 4];
    for (gate, peephole) in GATE_OF_PEEPHOLE.into_iter().zip(peepholes) {
        if let Some(fraction) = peephole {
            limit[gate] = fraction + cell + Op::MAX_ALIGN as i32;
        }
    }
    Stage {
        layer,
        cell,
        input: std::array::from_fn(|g| of_gate(&weights.input[l], g).finest),
        hidden: std::array::from_fn(|g| of_gate(&weights.hidden[l], g).finest),
        limit,
        peepholes,
        sizes: gate_matrices(layer).map(|(_, x, h)| (Size::of(x), Size::of(h))).collect(),
        input_square: mean_square(&vectors[0]),
        hidden_square: mean_square(&vectors[1]),
        one_format: weights.form == WeightForm::Codebook,
    }
}

/// The cheapest choice of one candidate for each vector; of equal ones the finer.
fn shortest(stages: &[Stage], candidates: &[Vec<i32>], after: Option<&Size>) -> Option<Vec<i32>> {
    let mut costs = vec![0.0; candidates[0].len()];
    let mut back: Vec<Vec<usize>> = vec![];
    for (stage, pair) in stages.iter().zip(candidates.windows(2)) {
        let best = |hidden: &i32| {
            let through = |i: usize| costs[i] + stage.cost(pair[0][i], *hidden);
            (0..pair[0].len()).map(|i| (i, through(i))).fold((0, f64::INFINITY), |best, next| if next.1 < best.1 { next } else { best })
        };
        let found: Vec<(usize, f64)> = pair[1].iter().map(best).collect();
        back.push(found.iter().map(|f| f.0).collect());
        costs = found.iter().map(|f| f.1).collect();
    }
    let last = candidates.last()?;
    if let Some(size) = after {
        costs.iter_mut().zip(last).for_each(|(cost, f)| *cost += size.squares * noise(*f));
    }
    let end = (0..costs.len()).fold(0, |best, i| if costs[i] < costs[best] { i } else { best });
    if !costs.get(end)?.is_finite() {
        return None;
    }
    let mut path = vec![end];
    back.iter().rev().for_each(|step| path.push(step[path[path.len() - 1]]));
    path.reverse();
    Some(path.iter().zip(candidates).map(|(i, list)| list[*i]).collect())
}

fn lstm_formats(stage: &Stage, input: i32, hidden: i32, projection: Option<i32>) -> Result<LstmFormats, Error> {
    let meet = stage.meet(input, hidden);
    let gates =
        meet.map_err(|(g, fault)| Error::Layer { layer: stage.layer.name.clone(), fault: format!("gate {}: {fault}", GATES[g]) })?;
    let mut peepholes = [0; 3];
    let mut aligns = [0; 3];
    for (k, gate) in GATE_OF_PEEPHOLE.into_iter().enumerate() {
        let most = gates[gate] - stage.cell;
        peepholes[k] = stage.peepholes[k].unwrap_or(most).min(most);
        // at most MAX_ALIGN by `Stage::limit`
        aligns[k] = (most - peepholes[k]) as u32;
    }
    // without a projection, m is h
    let result = if projection.is_some() { OUTPUT_FRACTION } else { hidden };
    Ok(LstmFormats {
        gates,
        input_weights: gates.map(|f| f - input),
        hidden_weights: gates.map(|f| f - hidden),
        // 0 to MAX_SHIFT by `Stage::meet`
        shifts: std::array::from_fn(|g| (gates[g] - function_fraction(stage.layer, g)) as u32),
        peepholes,
        aligns,
        cell: stage.cell,
        result,
        hidden,
        projection: projection.map_or(0, |finest| finest.min(hidden + MAX_SHIFT as i32 - result)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CodebookInit;
    use crate::quantize::Quantization;
    use crate::recurrent::{synthetic, synthetic_ranges, Shape};

    fn quantization(form: WeightForm, bits: usize) -> Quantization {
        Quantization { form, bits, init: CodebookInit::Linear, iterations: 10, seed: 1 }
    }

    /// Two layers of different scale.
    fn network(seed: u64) -> Recurrent {
        let lower = synthetic(&Shape { inputs: 5, cells: 8, projection: Some(6), peepholes: true }, seed);
        let mut upper = synthetic(&Shape { inputs: 6, cells: 7, projection: None, peepholes: true }, seed + 1);
        upper.lstm[0].hidden_weights.iter_mut().flat_map(|m| &mut m.data).for_each(|w| *w *= 2f32.powi(seed as i32 % 12 - 6));
        Recurrent { lstm: vec![lower.lstm[0].clone(), upper.lstm[0].clone()], ..lower }
    }

    #[test]
    fn no_other_choice_of_the_vectors_formats_costs_less() {
        for (seed, form) in (0..12).flat_map(|seed| [(seed, WeightForm::Direct), (seed, WeightForm::Codebook)]) {
            let network = network(seed);
            let how = quantization(form, if form == WeightForm::Direct { 12 } else { 4 });
            let weights = Clustered::new(&network, &how);
            let mut ranges = synthetic_ranges(&network);
            ranges.input.high = 2f64.powi(seed as i32);
            let formats = choose(&network, &weights, &ranges).unwrap();
            let unit = Range { low: -1.0, high: 1.0 };
            let vectors = [ranges.input, ranges.lstm[0].hidden, unit];
            let stages: Vec<Stage> =
                (0..2).map(|l| stage(&network.lstm[l], &weights, l, &ranges.lstm[l], [vectors[l], vectors[l + 1]])).collect();
            let cost = |x: i32, h: i32, last: i32| stages[0].cost(x, h) + stages[1].cost(h, last);
            let chosen = cost(formats.input, formats.lstm[0].hidden, formats.lstm[1].hidden);
            let lists = candidates(&network, &weights, &ranges);
            for x in &lists[0] {
                for h in &lists[1] {
                    for last in &lists[2] {
                        assert!(chosen <= cost(*x, *h, *last) * (1.0 + 1e-12), "seed {seed}: {x} {h} {last} against {formats:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn activations_give_way_before_short_weights_and_shared_weights_before_both() {
        // x has 12 fraction bits, h 15: without giving way, products would differ by three bits or so
        let network = synthetic(&Shape { inputs: 40, cells: 40, projection: None, peepholes: false }, 3);
        let ranges = synthetic_ranges(&network);
        let of = |form, bits| {
            let weights = Clustered::new(&network, &quantization(form, bits));
            (choose(&network, &weights, &ranges).unwrap(), weights)
        };
        let (direct, weights) = of(WeightForm::Direct, 8);
        assert!(direct.lstm[0].hidden < 15, "{direct:?}");
        let kept = |g: usize| direct.lstm[0].hidden_weights[g] >= of_gate(&weights.hidden[0], g).finest - 1;
        assert!((0..4).all(kept), "{direct:?}");
        let (shared, weights) = of(WeightForm::Codebook, 4);
        assert!(shared.lstm[0].hidden >= 13, "{shared:?}");
        assert!(shared.lstm[0].hidden_weights[0] < of_gate(&weights.hidden[0], 0).finest, "{shared:?}");
    }
}
