//! Inference in floating point from the model: the oracle that knows nothing of images.
//!
//! [`Reference`] is a network of convolutions and fully connected layers, [`LstmReference`] one with LSTM layers before them; [`run_onnx`]
//! is a whole ONNX LSTM node on a batch of sequences. All arithmetic is `f64`.

mod conv;
mod lstm;
mod onnx;

pub use lstm::{concatenate, CellTrace, LstmReference, LstmState, StepTrace};
pub use onnx::{run_onnx, OnnxInputs, OnnxOutputs};

use conv::Filters;
use lacuna_compress::model::{Activation, Dense, DenseLayer, Matrix};

/// A dense network, arranged for repeated use.
#[derive(Clone, Debug)]
pub struct Reference {
    layers: Vec<ReferenceLayer>,
    inputs: usize,
}

#[derive(Clone, Debug)]
struct ReferenceLayer {
    weights: Weights,
    bias: Vec<f64>,
    activation: Activation,
}

#[derive(Clone, Debug)]
enum Weights {
    Matrix(Columns),
    Filters(Filters),
}

/// A matrix by columns, as most products have many inputs that are zero.
#[derive(Clone, Debug, Default)]
struct Columns(Vec<Column>);

#[derive(Clone, Debug)]
enum Column {
    Dense(Vec<f64>),
    /// Row and weight of each non-zero.
    Sparse(Vec<(u32, f64)>),
}

impl Columns {
    /// The rows of all `blocks`, one below the other. Zero weights are left out where that pays, which changes no sum.
    fn new(blocks: &[&Matrix]) -> Columns {
        let count = blocks.first().map_or(0, |m| m.columns);
        let column = |index: usize| {
            let all: Vec<f64> = blocks.iter().flat_map(|m| (0..m.rows).map(move |row| f64::from(m.row(row)[index]))).collect();
            let nonzeros = all.iter().filter(|w| **w != 0.0).count();
            if 2 * nonzeros > all.len() {
                return Column::Dense(all);
            }
            let rows = 0..all.len() as u32;
            Column::Sparse(rows.zip(all).filter(|(_, w)| *w != 0.0).collect())
        };
        Columns((0..count).map(column).collect())
    }

    /// Adds the product with `input` to `sums`.
    fn multiply(&self, input: &[f64], sums: &mut [f64]) {
        for (column, value) in self.0.iter().zip(input).filter(|(_, value)| **value != 0.0) {
            match column {
                Column::Dense(weights) => sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight * value),
                Column::Sparse(weights) => weights.iter().for_each(|(row, weight)| sums[*row as usize] += weight * value),
            }
        }
    }
}

impl Reference {
    /// Inputs must be finite: a zero weight or input is a zero product.
    pub fn new(dense: &Dense) -> Reference {
        Reference { layers: dense.layers.iter().map(ReferenceLayer::new).collect(), inputs: dense.inputs() }
    }

    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The network's outputs. The sample must have [`Reference::inputs`] values.
    pub fn infer(&self, sample: &[f32]) -> Vec<f64> {
        self.trace(sample).pop().unwrap_or_default()
    }

    /// The outputs of every layer.
    pub fn trace(&self, sample: &[f32]) -> Vec<Vec<f64>> {
        assert_eq!(sample.len(), self.inputs, "a sample has one value per input");
        let input: Vec<f64> = sample.iter().map(|v| f64::from(*v)).collect();
        let mut outputs: Vec<Vec<f64>> = vec![];
        for layer in &self.layers {
            let output = layer.forward(outputs.last().unwrap_or(&input));
            outputs.push(output);
        }
        outputs
    }
}

impl ReferenceLayer {
    fn new(layer: &DenseLayer) -> ReferenceLayer {
        let bias = layer.bias.iter().map(|b| f64::from(*b)).collect();
        let weights = match layer.conv {
            Some(conv) => Weights::Filters(Filters::new(layer, conv)),
            None => Weights::Matrix(Columns::new(&[&layer.weights])),
        };
        ReferenceLayer { weights, bias, activation: layer.activation }
    }

    fn forward(&self, input: &[f64]) -> Vec<f64> {
        let mut sums = match &self.weights {
            Weights::Matrix(columns) => {
                let mut sums = self.bias.clone();
                columns.multiply(input, &mut sums);
                sums
            }
            Weights::Filters(filters) => filters.forward(input, &self.bias),
        };
        if self.activation == Activation::Relu {
            sums.iter_mut().for_each(|sum| *sum = sum.max(0.0));
        }
        match &self.weights {
            Weights::Matrix(_) => sums,
            Weights::Filters(filters) => filters.pool(&sums),
        }
    }
}

/// Number of the largest value, of equal ones the first; 0 for none.
pub fn argmax<T: PartialOrd>(values: &[T]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}

/// Share of answers that are not the label, in percent; 0 for no labels.
pub fn error_percent(answers: &[usize], labels: &[u8]) -> f64 {
    assert_eq!(answers.len(), labels.len(), "each answer has a label");
    let wrong = answers.iter().zip(labels).filter(|(answer, label)| **answer != usize::from(**label)).count();
    100.0 * wrong as f64 / labels.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use lacuna_compress::model::{DenseLayer, Matrix};

    #[test]
    fn forward_is_the_product_plus_bias_and_activation() {
        let layer = |rows, columns, data: &[f32], bias: &[f32], activation| DenseLayer {
            name: "fc".into(),
            weights: Matrix { rows, columns, data: data.to_vec() },
            bias: bias.to_vec(),
            activation,
            conv: None,
        };
        let layers = vec![
            layer(2, 3, &[1.0, 0.0, -2.0, 0.5, 3.0, 0.0], &[0.25, -4.0], Activation::Relu),
            layer(1, 2, &[-1.0, 2.0], &[0.5], Activation::None),
        ];
        let reference = Reference::new(&Dense { layers });
        assert_eq!(reference.trace(&[1.0, 2.0, -1.0]), [vec![3.25, 2.5], vec![2.25]]);
        assert_eq!(reference.trace(&[0.0, 0.0, 1.0]), [vec![0.0, 0.0], vec![0.5]]);
    }

    #[test]
    fn argmax_takes_the_first_of_equal_ones() {
        assert_eq!((argmax(&[1, 3, 3, 2]), argmax(&[-2.0, -1.0]), argmax::<i16>(&[])), (1, 1, 0));
    }

    #[test]
    fn error_is_in_percent() {
        assert_eq!(error_percent(&[1, 2, 3, 4], &[1, 2, 3, 5]), 25.0);
        assert_eq!(error_percent(&[], &[]), 0.0);
    }
}
