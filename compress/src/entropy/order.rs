//! The order of hidden units, which is free: the rows of a layer may stand in any order if the columns of the next follow.

use crate::model::{Dense, DenseLayer};

/// Sorts the outputs of every layer but the last by their number of weights, the fullest first; the next layer's columns
/// follow (those of a filter or of an image together), and so do the biases. The network computes the same, up to the
/// rounding of sums in another order; coded, it is often smaller. Outputs that become the image of a convolution stay.
pub fn order_units(dense: &mut Dense) {
    for l in 1..dense.layers.len() {
        let (before, after) = dense.layers.split_at_mut(l);
        let (Some(layer), Some(next)) = (before.last_mut(), after.first_mut()) else { return };
        let rows = layer.weights.rows;
        if (next.conv.is_some() && layer.conv.is_none()) || rows == 0 || next.weights.columns % rows != 0 {
            continue;
        }
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_by_key(|r| std::cmp::Reverse(layer.weights.row(*r).iter().filter(|w| **w != 0.0).count()));
        permute_rows(layer, &order);
        permute_columns(next, &order);
    }
}

fn permute_rows(layer: &mut DenseLayer, order: &[usize]) {
    layer.weights.data = order.iter().flat_map(|r| layer.weights.row(*r).to_vec()).collect();
    layer.bias = order.iter().map(|r| layer.bias[*r]).collect();
}

/// Columns in groups, one group per unit.
fn permute_columns(layer: &mut DenseLayer, order: &[usize]) {
    let group = layer.weights.columns / order.len();
    let row = |r: usize| -> Vec<f32> {
        let row = layer.weights.row(r);
        order.iter().flat_map(|unit| row[unit * group..(unit + 1) * group].to_vec()).collect()
    };
    layer.weights.data = (0..layer.weights.rows).flat_map(row).collect();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Activation, Matrix};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn an_ordered_network_computes_the_same() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut layer = |rows: usize, columns: usize| DenseLayer {
            name: "l".into(),
            weights: Matrix {
                rows,
                columns,
                // small integers: sums are exact in any order
                data: (0..rows * columns).map(|_| if rng.random_bool(0.3) { f32::from(rng.random_range(-4i8..5)) } else { 0.0 }).collect(),
            },
            bias: (0..rows).map(|_| f32::from(rng.random_range(-4i8..5))).collect(),
            activation: Activation::Relu,
            conv: None,
        };
        let network = Dense { layers: vec![layer(20, 9), layer(15, 20), layer(4, 15)] };
        let mut ordered = network.clone();
        order_units(&mut ordered);
        assert_ne!(network, ordered);
        let run = |network: &Dense, input: &[f32]| {
            network.layers.iter().fold(input.to_vec(), |x, layer| {
                let dot = |r: usize| layer.weights.row(r).iter().zip(&x).map(|(w, x)| w * x).sum::<f32>() + layer.bias[r];
                (0..layer.weights.rows).map(|r| dot(r).max(0.0)).collect()
            })
        };
        for i in 0..50 {
            let input: Vec<f32> = (0..9).map(|j| ((i * 7 + j * 5) % 11) as f32 - 5.0).collect();
            assert_eq!(run(&network, &input), run(&ordered, &input));
        }
        for layer in &ordered.layers[..2] {
            let counts: Vec<usize> = (0..layer.weights.rows).map(|r| layer.weights.row(r).iter().filter(|w| **w != 0.0).count()).collect();
            assert!(counts.windows(2).all(|c| c[0] >= c[1]), "{counts:?}");
        }
    }
}
