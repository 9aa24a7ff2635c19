//! Networks with convolutions as the accelerator walks them: columns in the order in which they are scanned.

use crate::encode::inverse;
use crate::error::Error;
use crate::model::{Nonzero, QuantizedLayer};
use crate::shape::{walk, Shape};
use crate::spec::Walk;
use std::borrow::Cow;

/// The layers of a network with their columns where the encoder expects them.
pub(super) struct Lowered<'a> {
    /// With a convolution among them the columns of all are in stored order, empty where no channel is; else the layers
    /// are those of the model.
    pub layers: Cow<'a, [QuantizedLayer]>,
    /// Of each layer, if there is a convolution.
    pub walks: Option<Vec<Walk>>,
    /// How often a start takes each column of a layer.
    pub places: Vec<usize>,
}

/// The widest field of the layer table's walk, and of its pooling.
const LIMITS: (usize, usize) = (65_535, 15);

/// `orders` must be of the layers' lengths; the error says which is no permutation, or what of a walk is beyond the
/// layer table.
pub(super) fn lower<'a>(layers: &'a [QuantizedLayer], orders: &[Option<Vec<u32>>], pes: usize) -> Result<Lowered<'a>, Error> {
    let places = layers.iter().map(|layer| layer.conv.map_or(1, |conv| walk(&conv, pes).places())).collect();
    if layers.iter().all(|layer| layer.conv.is_none()) {
        return Ok(Lowered { layers: Cow::Borrowed(layers), walks: None, places });
    }
    let (mut lowered, mut walks) = (vec![], vec![]);
    for (l, layer) in layers.iter().enumerate() {
        let before = before(layers, orders, l);
        if let Some((before, order)) = before.and_then(|(before, order)| Some((before, order?))) {
            let fault = |fault: String| Error::Layer { layer: before.name.clone(), fault: format!("row order: {fault}") };
            inverse(order, before.rows).map_err(fault)?;
        }
        let columns = kept(layer, before, pes).into_iter().map(|column| column.map_or(vec![], |c| layer.columns[c].clone()));
        let columns: Vec<Vec<Nonzero>> = columns.collect();
        walks.push(match &layer.conv {
            None => Walk::whole(columns.len().div_ceil(pes)),
            Some(conv) => {
                let walk = walk(conv, pes);
                check(&walk).map_err(|fault| Error::Layer { layer: layer.name.clone(), fault })?;
                walk
            }
        });
        lowered.push(QuantizedLayer { columns, ..without_columns(layer) });
    }
    Ok(Lowered { layers: Cow::Owned(lowered), walks: Some(walks), places })
}

/// A layer and the order of its rows: what comes before another layer.
type Before<'a> = Option<(&'a QuantizedLayer, Option<&'a [u32]>)>;

pub(super) fn before<'a>(layers: &'a [QuantizedLayer], orders: &'a [Option<Vec<u32>>], layer: usize) -> Before<'a> {
    let index = layer.checked_sub(1)?;
    Some((&layers[index], orders[index].as_deref()))
}

/// The model's column at each position of a layer's input or patch.
pub(super) fn kept(layer: &QuantizedLayer, before: Before, pes: usize) -> Vec<Option<usize>> {
    let order = before.and_then(|(_, order)| order);
    let shape = match (&layer.conv, before) {
        (Some(conv), _) => Shape::patch(conv),
        (None, Some((before, _))) => Shape::of_outputs(before),
        (None, None) => Shape::of_inputs(layer),
    };
    shape.kept(order, pes).into_iter().map(|column| column.map(|c| c as usize)).collect()
}

fn check(walk: &Walk) -> Result<(), String> {
    let Walk { run_rows, line_rows, step_x, step_y, out_width, out_height, pool } = *walk;
    let fields = [
        ("run_rows", run_rows),
        ("line_rows", line_rows),
        ("step_x", step_x),
        ("step_y", step_y),
        ("out_width", out_width),
        ("out_height", out_height),
    ];
    if let Some((name, value)) = fields.into_iter().find(|(_, value)| *value > LIMITS.0) {
        return Err(format!("found {value} for {name} of its walk over the feature map, expected at most 65,535; more PEs make it less"));
    }
    if pool > LIMITS.1 {
        return Err(format!("found pool {pool}, expected at most {}", LIMITS.1));
    }
    Ok(())
}

fn without_columns(layer: &QuantizedLayer) -> QuantizedLayer {
    QuantizedLayer {
        name: layer.name.clone(),
        rows: layer.rows,
        columns: vec![],
        codebook: layer.codebook.clone(),
        weight_fraction: layer.weight_fraction,
        bias: layer.bias.clone(),
        activation: layer.activation,
        conv: layer.conv,
    }
}
