//! Dead units: hidden units that nothing reads, or that read nothing. What is left of them is zeros.

use crate::error::Error;
use crate::model::{Activation, Dense};

/// Makes zero what belongs to hidden units (rows of a layer) that no weight of the next layer reads: their weights and bias. A
/// unit without weights of its own gives the same value always, which goes into the biases of the next layer before its columns
/// there become zero. Neither changes the outputs, but for rounding. Returns how many units became dead.
pub fn remove_dead(dense: &mut Dense) -> Result<usize, Error> {
    let mut dead = 0;
    // a unit that dies may leave others without readers or inputs
    loop {
        let before = dead;
        for i in 1..dense.layers.len() {
            let (front, back) = dense.layers.split_at_mut(i);
            let (layer, next) = (&mut front[i - 1], &mut back[0]);
            // a unit is a run of columns: of a feature map, one for each place, or for each weight of a kernel
            let span = next.weights.columns / layer.weights.rows;
            if span * layer.weights.rows != next.weights.columns {
                let (found, units) = (next.weights.columns, layer.weights.rows);
                let fault = format!("found {found} columns, expected a multiple of the {units} outputs of layer {}", layer.name);
                return Err(Error::Layer { layer: next.name.clone(), fault });
            }
            let (width, columns) = (layer.weights.columns, next.weights.columns);
            for unit in 0..layer.weights.rows {
                let weights = &mut layer.weights.data[unit * width..(unit + 1) * width];
                let reads = weights.iter().any(|w| *w != 0.0);
                let places = |row: usize| row * columns + unit * span..row * columns + (unit + 1) * span;
                let read = (0..next.weights.rows).any(|row| next.weights.data[places(row)].iter().any(|w| *w != 0.0));
                if read && !reads {
                    let value = match layer.activation {
                        Activation::Relu => layer.bias[unit].max(0.0),
                        Activation::None => layer.bias[unit],
                    };
                    for row in 0..next.weights.rows {
                        let weights = &mut next.weights.data[places(row)];
                        next.bias[row] += value * weights.iter().sum::<f32>();
                        weights.fill(0.0);
                    }
                }
                if (!read && reads) || (read && !reads) {
                    dead += 1;
                }
                if !read || !reads {
                    weights.fill(0.0);
                    layer.bias[unit] = 0.0;
                }
            }
        }
        if dead == before {
            return Ok(dead);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::network::Network;
    use super::super::slices::values;
    use super::*;
    use crate::model::{Conv, DenseLayer, Matrix};
    use candle_core::{Device, Tensor};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn outputs_stay_and_weights_go() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut layer = |name: &str, rows: usize, columns: usize, conv: Option<Conv>| DenseLayer {
            name: name.into(),
            weights: Matrix { rows, columns, data: (0..rows * columns).map(|_| rng.random_range(-1.0..1.0)).collect() },
            bias: (0..rows).map(|_| rng.random_range(-0.5..1.0)).collect(),
            activation: Activation::Relu,
            conv,
        };
        let first = Conv { channels: 1, height: 10, width: 10, kernel: [3, 3], stride: 1, pool: 2 };
        let second = Conv { channels: 4, height: 4, width: 4, kernel: [2, 2], stride: 1, pool: 1 };
        let layers = vec![layer("a", 4, 9, Some(first)), layer("b", 5, 16, Some(second)), layer("c", 6, 45, None), layer("d", 3, 6, None)];
        let mut dense = Dense { layers };
        let zero_row = |layer: &mut DenseLayer, row: usize| {
            let columns = layer.weights.columns;
            layer.weights.data[row * columns..(row + 1) * columns].fill(0.0);
        };
        zero_row(&mut dense.layers[0], 2); // a constant map
        zero_row(&mut dense.layers[1], 1);
        zero_row(&mut dense.layers[2], 4);
        for row in 0..3 {
            dense.layers[3].weights.data[row * 6] = 0.0; // nothing reads unit 0 of c
        }
        let inputs = Tensor::from_vec((0..200).map(|i| (i % 17) as f32 / 17.0).collect::<Vec<f32>>(), (2, 100), &Device::Cpu).unwrap();
        let outputs = |dense: &Dense| values(&Network::new(dense).unwrap().forward(&inputs, None).unwrap()).unwrap();
        let (before, weights) = (outputs(&dense), dense.layers.iter().map(|l| l.weights.nonzeros()).collect::<Vec<_>>());
        assert_eq!(remove_dead(&mut dense).unwrap(), 4);
        for (b, a) in before.iter().zip(outputs(&dense)) {
            assert!((b - a).abs() < 1e-4 * (1.0 + b.abs()), "{b} {a}");
        }
        let after: Vec<usize> = dense.layers.iter().map(|l| l.weights.nonzeros()).collect();
        // the columns of one map in b, one map in c, unit 0 in c itself (36 of its columns were left), one unit in d
        assert_eq!(after, [weights[0], weights[1] - 4 * 4, weights[2] - 5 * 9 - 36, weights[3] - 3]);
        assert_eq!((dense.layers[0].bias[2], dense.layers[2].bias[0]), (0.0, 0.0));
        assert_eq!(remove_dead(&mut dense).unwrap(), 0);
    }
}
