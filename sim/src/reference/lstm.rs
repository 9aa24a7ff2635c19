//! A recurrent network step after step: LSTM layers, then fully connected ones, as the equations of [`LstmLayer`] say.

use super::{Columns, ReferenceLayer};
use lacuna_compress::model::{Candidate, LstmLayer, Recurrent};

/// A recurrent network, arranged for repeated use.
#[derive(Clone, Debug)]
pub struct LstmReference {
    cells: Vec<ReferenceCell>,
    layers: Vec<ReferenceLayer>,
    inputs: usize,
    reverse: bool,
}

#[derive(Clone, Debug)]
struct ReferenceCell {
    /// Rows of the gates i f g o, one block below the other.
    of_input: Columns,
    of_hidden: Columns,
    bias: Vec<f64>,
    /// Of i f o.
    peepholes: Option<[Vec<f64>; 3]>,
    projection: Option<Columns>,
    candidate: Candidate,
    hidden: usize,
}

/// What goes from one step to the next: h and c of each LSTM layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LstmState {
    pub h: Vec<Vec<f64>>,
    pub c: Vec<Vec<f64>>,
}

/// Everything that an LSTM layer computes in a step; one value per cell but of `h`.
#[derive(Clone, Debug, PartialEq)]
pub struct CellTrace {
    /// Arguments of the gates' functions i f g o: products, peephole and bias.
    pub z: [Vec<f64>; 4],
    /// i f g o.
    pub gates: [Vec<f64>; 4],
    pub c: Vec<f64>,
    /// `o tanh(c)`, which the projection reads.
    pub m: Vec<f64>,
    pub h: Vec<f64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct StepTrace {
    pub lstm: Vec<CellTrace>,
    /// Outputs of the fully connected layers.
    pub layers: Vec<Vec<f64>>,
}

impl StepTrace {
    /// The network's output: of the last layer, or h of the last LSTM layer.
    pub fn output(&self) -> &[f64] {
        self.layers.last().or(self.lstm.last().map(|l| &l.h)).map_or(&[], Vec::as_slice)
    }
}

impl LstmReference {
    /// Inputs and states must be finite: a zero weight or input is a zero product.
    pub fn new(network: &Recurrent) -> LstmReference {
        LstmReference {
            cells: network.lstm.iter().map(ReferenceCell::new).collect(),
            layers: network.layers.iter().map(ReferenceLayer::new).collect(),
            inputs: network.inputs(),
            reverse: network.reverse,
        }
    }

    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The state that a sequence begins with: zeros.
    pub fn state(&self) -> LstmState {
        LstmState {
            h: self.cells.iter().map(|cell| vec![0.0; cell.hidden]).collect(),
            c: self.cells.iter().map(|cell| vec![0.0; cell.bias.len() / 4]).collect(),
        }
    }

    /// One step: the output. `x` must have [`LstmReference::inputs`] values.
    pub fn step(&self, state: &mut LstmState, x: &[f32]) -> Vec<f64> {
        self.trace(state, x).output().to_vec()
    }

    /// One step with all that it computes.
    pub fn trace(&self, state: &mut LstmState, x: &[f32]) -> StepTrace {
        assert_eq!(x.len(), self.inputs, "a step has one value per input");
        let input: Vec<f64> = x.iter().map(|v| f64::from(*v)).collect();
        let mut lstm: Vec<CellTrace> = Vec::with_capacity(self.cells.len());
        for (index, cell) in self.cells.iter().enumerate() {
            let trace = cell.step(lstm.last().map_or(&input, |l| &l.h), &state.h[index], &state.c[index]);
            state.h[index].clone_from(&trace.h);
            state.c[index].clone_from(&trace.c);
            lstm.push(trace);
        }
        let mut layers: Vec<Vec<f64>> = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let output = layer.forward(layers.last().or(lstm.last().map(|l| &l.h)).unwrap_or(&input));
            layers.push(output);
        }
        StepTrace { lstm, layers }
    }

    /// A sequence from `state` on, which is left as after its last step. A reverse network takes the steps from the
    /// last to the first; the outputs are in the order of the sequence all the same.
    pub fn run<X: AsRef<[f32]>>(&self, state: &mut LstmState, sequence: &[X]) -> Vec<Vec<f64>> {
        let mut outputs: Vec<Vec<f64>> = if self.reverse {
            sequence.iter().rev().map(|x| self.step(state, x.as_ref())).collect()
        } else {
            sequence.iter().map(|x| self.step(state, x.as_ref())).collect()
        };
        if self.reverse {
            outputs.reverse();
        }
        outputs
    }
}

/// The outputs of a bidirectional network: in each step those of the forward direction, then those of the reverse one.
pub fn concatenate(forward: &[Vec<f64>], reverse: &[Vec<f64>]) -> Vec<Vec<f64>> {
    assert_eq!(forward.len(), reverse.len(), "both directions have every step");
    forward.iter().zip(reverse).map(|(f, r)| [f.as_slice(), r].concat()).collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

impl ReferenceCell {
    fn new(layer: &LstmLayer) -> ReferenceCell {
        let wide = |values: &Vec<f32>| values.iter().map(|v| f64::from(*v)).collect();
        ReferenceCell {
            of_input: Columns::new(&layer.input_weights.each_ref()),
            of_hidden: Columns::new(&layer.hidden_weights.each_ref()),
            bias: layer.bias.iter().flatten().map(|v| f64::from(*v)).collect(),
            peepholes: layer.peepholes.as_ref().map(|p| p.each_ref().map(wide)),
            projection: layer.projection.as_ref().map(|p| Columns::new(&[p])),
            candidate: layer.candidate,
            hidden: layer.hidden(),
        }
    }

    fn step(&self, x: &[f64], h: &[f64], before: &[f64]) -> CellTrace {
        let cells = before.len();
        let mut sums = self.bias.clone();
        self.of_input.multiply(x, &mut sums);
        self.of_hidden.multiply(h, &mut sums);
        let [mut z_i, mut z_f, z_g, mut z_o] = std::array::from_fn(|gate| sums[gate * cells..(gate + 1) * cells].to_vec());
        let peep = |z: &mut [f64], gate: usize, c: &[f64]| {
            if let Some(peepholes) = &self.peepholes {
                z.iter_mut().zip(&peepholes[gate]).zip(c).for_each(|((z, weight), c)| *z += weight * c);
            }
        };
        let each = |z: &[f64], function: fn(f64) -> f64| -> Vec<f64> { z.iter().map(|z| function(*z)).collect() };

        peep(&mut z_i, 0, before);
        peep(&mut z_f, 1, before);
        let (i, f) = (each(&z_i, sigmoid), each(&z_f, sigmoid));
        let candidate = match self.candidate {
            Candidate::Tanh => f64::tanh,
            Candidate::Sigmoid => sigmoid,
        };
        let g = each(&z_g, candidate);
        let c: Vec<f64> = (0..cells).map(|k| f[k] * before[k] + i[k] * g[k]).collect();
        // the output gate sees the new cell
        peep(&mut z_o, 2, &c);
        let o = each(&z_o, sigmoid);
        let m: Vec<f64> = o.iter().zip(&c).map(|(o, c)| o * c.tanh()).collect();
        let h = match &self.projection {
            None => m.clone(),
            Some(projection) => {
                let mut h = vec![0.0; self.hidden];
                projection.multiply(&m, &mut h);
                h
            }
        };
        CellTrace { z: [z_i, z_f, z_g, z_o], gates: [i, f, g, o], c, m, h }
    }
}
