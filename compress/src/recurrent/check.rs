//! What a network and the settings must be before anything is computed from them.

use super::RecurrentSettings;
use crate::error::Error;
use crate::model::{DenseLayer, LstmLayer, Matrix, Recurrent, GATES};

/// Most values of a vector: addresses and counts in the program have 16 bits.
const LARGEST: usize = 65_535;

pub(super) fn settings(settings: &RecurrentSettings) -> Result<(), Error> {
    let s = settings;
    s.quantization().check()?;
    let range = |field, found: usize, low: usize, high: usize, expected| {
        if (low..=high).contains(&found) {
            Ok(())
        } else {
            Err(Error::Setting { field, found: found.to_string(), expected })
        }
    };
    range("pes", s.pes, 1, 256, "1 to 256")?;
    range("channels", s.channels, 1, 32, "1 to 32")?;
    range("run_bits", s.run_bits.unwrap_or(2), 2, 8, "2 to 8, or auto")?;
    range("acc_bits", s.acc_bits.unwrap_or(24), 24, 48, "24 to 48, or auto")?;
    range("margin_bits", s.margin_bits as usize, 0, 8, "0 to 8")
}

pub(super) fn network(network: &Recurrent) -> Result<(), Error> {
    if network.lstm.is_empty() {
        return Err(Error::Network("it has no LSTM layer".into()));
    }
    let mut inputs = network.inputs();
    for layer in &network.lstm {
        lstm(layer, inputs)?;
        inputs = layer.hidden();
    }
    for layer in &network.layers {
        dense(layer, inputs)?;
        inputs = layer.weights.rows;
    }
    Ok(())
}

fn fault(layer: &str, fault: String) -> Error {
    Error::Layer { layer: layer.into(), fault }
}

fn matrix(layer: &str, what: &str, matrix: &Matrix, rows: usize, columns: usize) -> Result<(), Error> {
    let found = (matrix.rows, matrix.columns);
    if found != (rows, columns) || matrix.data.len() != rows * columns {
        let found = format!("{} x {} ({} values)", found.0, found.1, matrix.data.len());
        return Err(fault(layer, format!("{what} is {found}, expected {rows} x {columns}")));
    }
    if !(1..=LARGEST).contains(&rows) || !(1..=LARGEST).contains(&columns) {
        return Err(fault(layer, format!("{what} is {rows} x {columns}, allowed are 1 to {LARGEST} rows and columns")));
    }
    match matrix.data.iter().position(|w| !w.is_finite()) {
        Some(at) => {
            let (row, column) = (at / columns, at % columns);
            Err(fault(layer, format!("{what} holds {} at row {row}, column {column}, expected a finite number", matrix.data[at])))
        }
        None => Ok(()),
    }
}

fn vector(layer: &str, what: &str, values: &[f32], count: usize) -> Result<(), Error> {
    if values.len() != count {
        return Err(fault(layer, format!("{what} has {} values, expected {count}", values.len())));
    }
    match values.iter().position(|v| !v.is_finite()) {
        Some(at) => Err(fault(layer, format!("{what} holds {} at {at}, expected a finite number", values[at]))),
        None => Ok(()),
    }
}

fn lstm(layer: &LstmLayer, inputs: usize) -> Result<(), Error> {
    let (name, cells, hidden) = (&layer.name, layer.cells(), layer.hidden());
    for (g, gate) in GATES.iter().enumerate() {
        matrix(name, &format!("the input matrix of gate {gate}"), &layer.input_weights[g], cells, inputs)?;
        matrix(name, &format!("the hidden matrix of gate {gate}"), &layer.hidden_weights[g], cells, hidden)?;
        vector(name, &format!("the bias of gate {gate}"), &layer.bias[g], cells)?;
    }
    for (peephole, gate) in layer.peepholes.iter().flatten().zip(['i', 'f', 'o']) {
        vector(name, &format!("the peephole of gate {gate}"), peephole, cells)?;
    }
    layer.projection.iter().try_for_each(|p| matrix(name, "the projection", p, hidden, cells))
}

fn dense(layer: &DenseLayer, inputs: usize) -> Result<(), Error> {
    matrix(&layer.name, "its matrix", &layer.weights, layer.weights.rows, inputs)?;
    vector(&layer.name, "its bias", &layer.bias, layer.weights.rows)
}
