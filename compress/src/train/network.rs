//! A network of convolutions and fully connected layers as variables.

use super::{patches, products, slices};
use crate::config::Config;
use crate::error::{grouped, Error};
use crate::model::{Activation, Conv, Dense, DenseLayer, Matrix};
use candle_core::{Device, Tensor, Var};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A layer as in [`DenseLayer`]: the weights have the shape (rows, columns), the bias (rows).
#[derive(Clone, Debug)]
pub struct Layer {
    pub name: String,
    pub weights: Var,
    pub bias: Var,
    pub activation: Activation,
    pub conv: Option<Conv>,
}

#[derive(Clone, Debug)]
pub struct Network {
    pub layers: Vec<Layer>,
}

/// What dropout needs in a step: the share that each layer drops of its outputs, and where the choice comes from.
pub struct Dropout<'a> {
    /// One share per layer; the last is not used.
    pub shares: &'a [f64],
    pub rng: ChaCha8Rng,
}

impl Network {
    pub fn new(dense: &Dense) -> Result<Network, Error> {
        let layer = |layer: &DenseLayer| -> Result<Layer, Error> {
            let Matrix { rows, columns, data } = &layer.weights;
            Ok(Layer {
                name: layer.name.clone(),
                weights: Var::from_slice(data, (*rows, *columns), &Device::Cpu)?,
                bias: Var::from_slice(&layer.bias, *rows, &Device::Cpu)?,
                activation: layer.activation,
                conv: layer.conv,
            })
        };
        Ok(Network { layers: dense.layers.iter().map(layer).collect::<Result<_, _>>()? })
    }

    /// The network as it stands. An error if a value is not finite: training has diverged.
    pub fn dense(&self) -> Result<Dense, Error> {
        let layer = |layer: &Layer| -> Result<DenseLayer, Error> {
            let (rows, columns) = layer.weights.dims2()?;
            let weights = Matrix { rows, columns, data: slices::values(&layer.weights)? };
            let bias = slices::values(&layer.bias)?;
            if !weights.data.iter().chain(&bias).all(|v| v.is_finite()) {
                let fault = "found a weight that is not finite: training has diverged, a lower rate may help".to_string();
                return Err(Error::Layer { layer: layer.name.clone(), fault });
            }
            Ok(DenseLayer { name: layer.name.clone(), weights, bias, activation: layer.activation, conv: layer.conv })
        };
        Ok(Dense { layers: self.layers.iter().map(layer).collect::<Result<_, _>>()? })
    }

    /// Weights and bias of each layer, in this order.
    pub fn vars(&self) -> Vec<Var> {
        self.layers.iter().flat_map(|l| [l.weights.clone(), l.bias.clone()]).collect()
    }

    /// Outputs (samples, outputs) of inputs (samples, inputs).
    pub fn forward(&self, inputs: &Tensor, mut dropout: Option<Dropout>) -> Result<Tensor, Error> {
        let samples = inputs.dim(0)?;
        let mut x = inputs.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            // the input has no gradient
            let through = i > 0;
            x = match &layer.conv {
                Some(conv) => {
                    let map = match x.rank() {
                        // of one channel the order of samples and channels is the same
                        2 if conv.channels == 1 => x.reshape((1, samples, conv.height, conv.width))?,
                        2 => x.reshape((samples, conv.channels, conv.height, conv.width))?.transpose(0, 1)?.contiguous()?,
                        _ => x,
                    };
                    let rows = layer.weights.dim(0)?;
                    let [height, width] = patches::places(conv);
                    let sums = products::filters(&layer.weights, &patches::patches(&map, conv)?, through)?;
                    // pooling before bias and activation: they keep order, and it leaves less to do
                    let pooled = patches::max_pool(&sums.reshape((rows, samples, height, width))?, conv.pool)?;
                    pooled.broadcast_add(&layer.bias.reshape((rows, 1, 1, 1))?)?
                }
                None => {
                    let vectors = if x.rank() == 4 { x.transpose(0, 1)?.contiguous()?.flatten_from(1)? } else { x };
                    products::linear(&vectors, &layer.weights, through)?.broadcast_add(&layer.bias)?
                }
            };
            if layer.activation == Activation::Relu {
                x = x.relu()?;
            }
            if let Some(Dropout { shares, rng }) = dropout.as_mut().filter(|d| i + 1 < self.layers.len() && d.shares[i] > 0.0) {
                let (keep, factor) = (1.0 - shares[i] as f32, 1.0 / (1.0 - shares[i] as f32));
                let mask: Vec<f32> = (0..x.elem_count()).map(|_| if rng.random::<f32>() < keep { factor } else { 0.0 }).collect();
                x = (x.clone() * Tensor::from_vec(mask, x.shape(), x.device())?)?;
            }
        }
        Ok(if x.rank() == 4 { x.transpose(0, 1)?.contiguous()?.flatten_from(1)? } else { x })
    }
}

/// Most outputs of a layer, and most weights: more than any network that is trained here, and what memory holds.
const MOST_OUTPUTS: usize = 1 << 20;
const MOST_WEIGHTS: usize = 1 << 28;

/// The layers of the configuration with random weights, uniform within `sqrt(6 / inputs of a row)` (He et al., 2015), and biases
/// of 0. Every layer needs `outputs`, and `kernel` if it is a convolution. `inputs` is the size of a sample.
pub fn initial(config: &Config, inputs: usize) -> Result<Dense, Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(config.train.seed);
    let mut map = config.model.input;
    if let Some(sides) = map.filter(|sides| sides.iter().product::<usize>() != inputs) {
        return Err(Error::Training(format!("found samples of {} values, expected model.input, {sides:?}", grouped(inputs))));
    }
    let mut before = inputs;
    let mut layers = Vec::new();
    for layer in &config.model.layer {
        let name = layer.label().to_string();
        let fault = |fault: String| Error::Layer { layer: name.clone(), fault };
        let rows = layer.outputs.ok_or_else(|| fault("found no outputs, which training from nothing needs".to_string()))?;
        if !(1..=MOST_OUTPUTS).contains(&rows) {
            return Err(fault(format!("found {} outputs, expected 1 to {}", grouped(rows), grouped(MOST_OUTPUTS))));
        }
        let conv = match (&layer.conv, map) {
            (None, _) => None,
            (Some(_), None) => return Err(fault("found a convolution without a feature map before it".to_string())),
            (Some(wanted), Some([channels, height, width])) => {
                let kernel = wanted.kernel.ok_or_else(|| fault("found no conv.kernel, which training from nothing needs".to_string()))?;
                let conv = Conv { channels, height, width, kernel, stride: wanted.stride, pool: wanted.pool };
                conv.check().map_err(fault)?;
                Some(conv)
            }
        };
        let columns = conv.map_or(before, |conv| conv.patch());
        if columns > MOST_WEIGHTS / rows {
            let found = format!("{} outputs of {} inputs each", grouped(rows), grouped(columns));
            return Err(fault(format!("found {found}, expected at most {} weights", grouped(MOST_WEIGHTS))));
        }
        let bound = (6.0 / columns as f32).sqrt();
        let data = (0..rows * columns).map(|_| rng.random_range(-bound..bound)).collect();
        let weights = Matrix { rows, columns, data };
        let built = DenseLayer { name, weights, bias: vec![0.0; rows], activation: layer.activation, conv };
        map = conv.map(|conv| [rows, conv.output()[0], conv.output()[1]]);
        before = built.outputs();
        layers.push(built);
    }
    if layers.is_empty() {
        return Err(Error::Training("found no [[model.layer]], expected at least one".to_string()));
    }
    Ok(Dense { layers })
}
