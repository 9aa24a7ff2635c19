//! Shapes of what goes from layer to layer, and the order in which the accelerator keeps it.
//!
//! The model's order of a map is channel, row, column. The accelerator keeps a pixel's channels together, in rows of N
//! lanes ([`spec::walk`](crate::spec::walk)); a vector is a map of one pixel.

use crate::model::{Conv, QuantizedLayer};
use crate::spec::walk::map_position;
use crate::spec::Walk;

/// Channels, rows and columns of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl Shape {
    pub fn vector(values: usize) -> Shape {
        Shape { channels: values, height: 1, width: 1 }
    }
    /// What a convolution takes.
    pub fn input(conv: &Conv) -> Shape {
        Shape { channels: conv.channels, height: conv.height, width: conv.width }
    }
    /// What it makes with so many filters.
    pub fn output(conv: &Conv, filters: usize) -> Shape {
        let [height, width] = conv.output();
        Shape { channels: filters, height, width }
    }
    /// What lies under a filter, which is a map too.
    pub fn patch(conv: &Conv) -> Shape {
        Shape { channels: conv.channels, height: conv.kernel[0], width: conv.kernel[1] }
    }
    /// What a layer takes if nothing comes before it.
    pub fn of_inputs(layer: &QuantizedLayer) -> Shape {
        layer.conv.as_ref().map_or(Shape::vector(layer.columns.len()), Shape::input)
    }
    pub fn of_outputs(layer: &QuantizedLayer) -> Shape {
        layer.conv.as_ref().map_or(Shape::vector(layer.rows), |conv| Shape::output(conv, layer.rows))
    }

    pub fn pixels(&self) -> usize {
        self.height * self.width
    }
    pub fn values(&self) -> usize {
        self.channels * self.pixels()
    }
    /// Rows of lanes of a pixel.
    pub fn pixel_rows(&self, pes: usize) -> usize {
        self.channels.div_ceil(pes)
    }
    /// Activations of each PE.
    pub fn rows(&self, pes: usize) -> usize {
        self.pixels() * self.pixel_rows(pes)
    }
    /// Positions up to the last value.
    pub fn positions(&self, pes: usize) -> usize {
        match self.values() {
            0 => 0,
            _ => map_position(self.height - 1, self.width - 1, self.channels - 1, self.width, self.channels, pes) + 1,
        }
    }
    /// At each position which value of the model's order lies there, if any. `order[channel as kept] = channel of the
    /// model`, which must be a permutation; none keeps the model's.
    pub fn kept(&self, order: Option<&[u32]>, pes: usize) -> Vec<Option<u32>> {
        let mut kept = vec![None; self.positions(pes)];
        for channel in 0..self.channels {
            let of_model = order.map_or(channel, |order| order[channel] as usize);
            for y in 0..self.height {
                for x in 0..self.width {
                    let value = (of_model * self.height + y) * self.width + x;
                    kept[map_position(y, x, channel, self.width, self.channels, pes)] = u32::try_from(value).ok();
                }
            }
        }
        kept
    }
}

/// How the accelerator walks over the input of a convolution.
pub fn walk(conv: &Conv, pes: usize) -> Walk {
    let places = conv.output().map(|side| side * conv.pool);
    Walk::over(conv.width, Shape::input(conv).pixel_rows(pes), conv.kernel[1], conv.stride, places, conv.pool)
}

/// Positions of a convolution's input up to the last that a filter reaches.
pub fn reached(conv: &Conv, pes: usize) -> usize {
    let patch = Shape::patch(conv);
    let beyond = patch.rows(pes) * pes - patch.positions(pes);
    walk(conv, pes).span(patch.rows(pes)) * pes - beyond
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_kept_as_it_is_and_an_order_permutes_it() {
        let vector = Shape::vector(3);
        assert_eq!((vector.positions(2), vector.rows(2), vector.values()), (3, 2, 3));
        assert_eq!(vector.kept(None, 2), [Some(0), Some(1), Some(2)]);
        assert_eq!(vector.kept(Some(&[2, 0, 1]), 2), [Some(2), Some(0), Some(1)]);
        assert_eq!(Shape::vector(0).kept(None, 2), []);
    }

    #[test]
    fn a_map_keeps_the_channels_of_a_pixel_together() {
        // 3 channels on 2 PEs: two rows of lanes per pixel, the last lane empty
        let map = Shape { channels: 3, height: 2, width: 1 };
        assert_eq!((map.positions(2), map.rows(2), map.values()), (7, 4, 6));
        assert_eq!(map.kept(None, 2), [Some(0), Some(2), Some(4), None, Some(1), Some(3), Some(5)]);
        // as kept, channel 0 is the model's channel 1
        assert_eq!(map.kept(Some(&[1, 0, 2]), 2), [Some(2), Some(0), Some(4), None, Some(3), Some(1), Some(5)]);
        assert_eq!(map.kept(None, 3), [Some(0), Some(2), Some(4), Some(1), Some(3), Some(5)]);
    }
}
