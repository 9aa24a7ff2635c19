//! What a configuration says about a convolution beside its tensors.

use super::LayerConfig;
use crate::model::Conv;
use serde::{Deserialize, Serialize};

/// The convolution of a layer whose weights have four axes (out, in, rows, columns).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvConfig {
    /// Rows and columns of a filter; none takes those of the weights, which it must equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<[usize; 2]>,
    /// Distance of the places of the filter, both ways, from 1.
    #[serde(default = "one")]
    pub stride: usize,
    /// Rows and columns of the square of results of which the largest is kept, from 1, which keeps every result.
    #[serde(default = "one")]
    pub pool: usize,
    /// There is none: anything but 0 is refused.
    #[serde(default, skip_serializing_if = "none")]
    pub padding: usize,
}

fn one() -> usize {
    1
}

fn none(padding: &usize) -> bool {
    *padding == 0
}

impl Default for ConvConfig {
    fn default() -> ConvConfig {
        ConvConfig { kernel: None, stride: 1, pool: 1, padding: 0 }
    }
}

const MAX_SIDE: usize = Conv::MAX_SIDE;

impl ConvConfig {
    fn check(&self, key: &str) -> Result<(), String> {
        let within = |name: &str, value: usize| match value {
            1..=MAX_SIDE => Ok(()),
            _ => Err(format!("{key}: conv.{name} is {value}, expected 1 to 65,535")),
        };
        for side in self.kernel.iter().flatten() {
            within("kernel", *side)?;
        }
        within("stride", self.stride)?;
        within("pool", self.pool)?;
        match self.padding {
            0 => Ok(()),
            padding => {
                let do_this = "the hardware pads nothing: give the network input that is padded, or train it without";
                Err(format!("{key}: conv.padding is {padding}, expected 0; {do_this}"))
            }
        }
    }
}

/// What convolutions ask of the layers around them; `key` names a layer.
pub(super) fn check(layers: &[LayerConfig], input: Option<[usize; 3]>, recurrent: bool) -> Result<(), String> {
    if let Some(sides) = input {
        if recurrent {
            return Err("model.input is the shape of a feature map, found beside an LSTM, which takes vectors".into());
        }
        if sides.iter().any(|side| !(1..=MAX_SIDE).contains(side)) {
            return Err(format!("model.input is {sides:?}, expected channels, rows and columns from 1 to 65,535"));
        }
    }
    for (i, layer) in layers.iter().enumerate() {
        let Some(conv) = &layer.conv else { continue };
        let key = format!("layer {} ({})", i + 1, layer.label());
        conv.check(&key)?;
        if recurrent {
            return Err(format!("{key}: found conv in a network with an LSTM, expected fully connected layers"));
        }
        if layer.node.is_some() {
            return Err(format!("{key}: found conv with node, expected weights: convolutions come from .safetensors and .npz files"));
        }
        if layer.output_axis != 0 {
            return Err(format!("{key}: output_axis is {}, expected 0: filters are (out, in, rows, columns)", layer.output_axis));
        }
        if i == 0 && input.is_none() {
            return Err(format!("{key}: found no model.input, expected input = [channels, rows, columns] in [model]"));
        }
        if i > 0 && layers[i - 1].conv.is_none() {
            return Err(format!("{key}: found a convolution behind a fully connected layer, which leaves no feature map"));
        }
    }
    Ok(())
}
