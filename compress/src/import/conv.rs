//! What goes from one layer to the next: vectors and feature maps.

use super::check_chain;
use crate::config::LayerConfig;
use crate::error::{grouped, Error};
use crate::model::{Conv, DenseLayer};

/// What the next layer takes.
pub(super) enum Flow {
    /// The first layer says how many values.
    Any,
    /// So many outputs of the layer of this name.
    Vector(String, usize),
    /// Channels, rows and columns, and what makes them.
    Map([usize; 3], String),
}

impl Flow {
    /// Behind `layer`.
    pub(super) fn behind(layer: &DenseLayer) -> Flow {
        match &layer.conv {
            None => Flow::Vector(layer.name.clone(), layer.weights.rows),
            Some(conv) => {
                let [height, width] = conv.output();
                Flow::Map([layer.weights.rows, height, width], format!("outputs of layer {}", layer.name))
            }
        }
    }

    /// May a fully connected layer with so many columns come next?
    pub(super) fn check_vector(&self, layer: &str, columns: usize) -> Result<(), Error> {
        match self {
            Flow::Any => Ok(()),
            Flow::Vector(name, outputs) => check_chain(layer, columns, Some((name, *outputs))),
            Flow::Map(sides @ [channels, height, width], from) => {
                let values: usize = sides.iter().product();
                if values == columns {
                    return Ok(());
                }
                let fault =
                    format!("found {} inputs, expected {}, the {channels} x {height} x {width} {from}", grouped(columns), grouped(values));
                Err(Error::Layer { layer: layer.to_string(), fault })
            }
        }
    }

    /// The geometry of a convolution that comes next, with weights of the given channels, rows and columns.
    pub(super) fn convolution(&self, layer: &LayerConfig, weights: [usize; 3]) -> Result<Option<Conv>, Error> {
        let Some(wanted) = &layer.conv else { return Ok(None) };
        let fault = |fault: String| Err(Error::Layer { layer: layer.label().to_string(), fault });
        let Flow::Map([channels, height, width], from) = self else {
            return fault("found a convolution without a feature map before it: expected model.input, or a convolution before it".into());
        };
        let kernel = [weights[1], weights[2]];
        if weights[0] != *channels {
            return fault(format!("found filters of {} channels, expected {channels}, those of the {from}", weights[0]));
        }
        if wanted.kernel.is_some_and(|k| k != kernel) {
            let said = wanted.kernel.unwrap_or(kernel);
            return fault(format!("found filters of {} x {}, expected conv.kernel, {} x {}", kernel[0], kernel[1], said[0], said[1]));
        }
        let conv = Conv { channels: *channels, height: *height, width: *width, kernel, stride: wanted.stride, pool: wanted.pool };
        match conv.check() {
            Ok(()) => Ok(Some(conv)),
            Err(wrong) => fault(wrong),
        }
    }
}
