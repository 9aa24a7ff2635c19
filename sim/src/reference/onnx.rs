//! An ONNX LSTM node on a batch of sequences, in the operator's own shapes.

use super::{LstmReference, LstmState};
use lacuna_compress::import::OnnxLstm;
use lacuna_compress::inputs::Tensor;
use lacuna_compress::model::Recurrent;

/// The inputs of a node that are not weights; what is `None` is as the file says, else whole lengths and zeros.
#[derive(Clone, Debug)]
pub struct OnnxInputs {
    pub x: Tensor,
    pub sequence_lens: Option<Vec<usize>>,
    pub initial_h: Option<Tensor>,
    pub initial_c: Option<Tensor>,
}

/// The outputs in the shapes of [`OnnxLstm::batch_first`].
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxOutputs {
    /// Zero after a sequence's end.
    pub y: Tensor,
    /// States after the last step that was taken: in reverse direction the sequence's first.
    pub y_h: Tensor,
    pub y_c: Tensor,
}

/// Runs a node. A shape that does not fit is an error that names the input, what was found and what was expected.
pub fn run_onnx(node: &OnnxLstm, inputs: &OnnxInputs) -> Result<OnnxOutputs, String> {
    let (directions, cells) = (node.layers.len(), node.cells());
    let [first, second, size] = inputs.x.shape[..] else {
        return Err(format!("X: found shape {:?}, expected three axes", inputs.x.shape));
    };
    let (steps, batch) = if node.batch_first { (second, first) } else { (first, second) };
    expect_shape("X", &inputs.x, &[first, second, node.inputs()])?;
    let lengths = inputs.sequence_lens.clone().or_else(|| node.sequence_lens.clone()).unwrap_or_else(|| vec![steps; batch]);
    if lengths.len() != batch || lengths.iter().any(|length| *length > steps) {
        return Err(format!("sequence_lens: found {lengths:?}, expected {batch} lengths of at most {steps}"));
    }
    let state_shape = if node.batch_first { vec![batch, directions, cells] } else { vec![directions, batch, cells] };
    let zeros = Tensor { shape: state_shape.clone(), data: vec![0.0; directions * batch * cells] };
    let initial_h = inputs.initial_h.as_ref().or(node.initial_h.as_ref()).unwrap_or(&zeros);
    let initial_c = inputs.initial_c.as_ref().or(node.initial_c.as_ref()).unwrap_or(&zeros);
    expect_shape("initial_h", initial_h, &state_shape)?;
    expect_shape("initial_c", initial_c, &state_shape)?;

    // offsets of what belongs to a sequence, of `cells` values each but for X
    let of_x = |step: usize, b: usize| if node.batch_first { b * steps + step } else { step * batch + b };
    let of_y = |step: usize, d: usize, b: usize| match node.batch_first {
        true => (b * steps + step) * directions + d,
        false => (step * directions + d) * batch + b,
    };
    let of_state = |d: usize, b: usize| if node.batch_first { b * directions + d } else { d * batch + b };
    let span = |index: usize| index * cells..(index + 1) * cells;

    let y_shape = if node.batch_first { vec![batch, steps, directions, cells] } else { vec![steps, directions, batch, cells] };
    let mut y = Tensor { shape: y_shape, data: vec![0.0; steps * directions * batch * cells] };
    let (mut y_h, mut y_c) = (zeros.clone(), zeros.clone());
    for (d, layer) in node.layers.iter().enumerate() {
        let reverse = d == 1 || node.direction == lacuna_compress::config::Direction::Reverse;
        let reference = LstmReference::new(&Recurrent { lstm: vec![layer.clone()], layers: vec![], reverse });
        for (b, length) in lengths.iter().enumerate() {
            let begin = |t: &Tensor| vec![t.data[span(of_state(d, b))].iter().map(|v| f64::from(*v)).collect::<Vec<f64>>()];
            let mut state = LstmState { h: begin(initial_h), c: begin(initial_c) };
            let sequence: Vec<&[f32]> = (0..*length).map(|step| &inputs.x.data[of_x(step, b) * size..(of_x(step, b) + 1) * size]).collect();
            for (step, output) in reference.run(&mut state, &sequence).iter().enumerate() {
                store(&mut y.data[span(of_y(step, d, b))], output);
            }
            // onnxruntime too gives zeros for a sequence without a step
            if *length > 0 {
                store(&mut y_h.data[span(of_state(d, b))], &state.h[0]);
                store(&mut y_c.data[span(of_state(d, b))], &state.c[0]);
            }
        }
    }
    Ok(OnnxOutputs { y, y_h, y_c })
}

fn expect_shape(name: &str, tensor: &Tensor, shape: &[usize]) -> Result<(), String> {
    if tensor.shape == shape && tensor.data.len() == shape.iter().product::<usize>() {
        return Ok(());
    }
    Err(format!("{name}: found shape {:?}, expected {shape:?}", tensor.shape))
}

fn store(to: &mut [f32], from: &[f64]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from as f32);
}
