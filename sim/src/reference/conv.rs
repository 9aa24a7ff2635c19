//! A convolution in floating point, over maps in the order channel, row, column.

use lacuna_compress::model::{Conv, DenseLayer};

/// The filters of a layer.
#[derive(Clone, Debug)]
pub(super) struct Filters {
    conv: Conv,
    /// Of each filter its non-zero weights: channel, row, column and weight.
    weights: Vec<Vec<([usize; 3], f64)>>,
}

impl Filters {
    pub(super) fn new(layer: &DenseLayer, conv: Conv) -> Filters {
        let [rows, columns] = conv.kernel;
        let place = |index: usize| [index / (rows * columns), index / columns % rows, index % columns];
        let filter = |number: usize| {
            let all = layer.weights.row(number).iter().enumerate();
            all.filter(|(_, weight)| **weight != 0.0).map(|(index, weight)| (place(index), f64::from(*weight))).collect()
        };
        Filters { conv, weights: (0..layer.weights.rows).map(filter).collect() }
    }

    /// Of every filter at every place the bias plus the products.
    pub(super) fn forward(&self, input: &[f64], bias: &[f64]) -> Vec<f64> {
        let Conv { height, width, stride, .. } = self.conv;
        let [down, across] = self.conv.places();
        let mut sums: Vec<f64> = bias.iter().flat_map(|b| std::iter::repeat_n(*b, down * across)).collect();
        for (filter, sums) in self.weights.iter().zip(sums.chunks_exact_mut(down * across)) {
            for ([channel, row, column], weight) in filter {
                for (y, sums) in sums.chunks_exact_mut(across).enumerate() {
                    let from = (channel * height + y * stride + row) * width + column;
                    let values = input[from..].iter().step_by(stride);
                    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
                }
            }
        }
        sums
    }

    /// The largest value of each square, of the maps that [`Filters::forward`] makes.
    pub(super) fn pool(&self, values: &[f64]) -> Vec<f64> {
        let pool = self.conv.pool;
        if pool == 1 {
            return values.to_vec();
        }
        let ([down, across], [height, width]) = (self.conv.places(), self.conv.output());
        let mut out = Vec::with_capacity(self.weights.len() * height * width);
        for map in values.chunks_exact(down * across) {
            for y in 0..height {
                for x in 0..width {
                    let square = (0..pool * pool).map(|i| map[(y * pool + i / pool) * across + x * pool + i % pool]);
                    out.push(square.fold(f64::NEG_INFINITY, f64::max));
                }
            }
        }
        out
    }
}
