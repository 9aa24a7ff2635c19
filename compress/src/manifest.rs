//! A compiled model: the image, and what a program must know to feed it and to read its answer.
//!
//! The description travels in the container as its manifest, TOML with the tables `accelerator`
//! (the architecture) and `network`.

mod any;

pub use any::AnyModel;

use crate::error::Error;
use crate::model::{Activation, Conv};
use crate::shape::{reached, walk, Shape};
use crate::spec::arch::ACT_BITS;
use crate::spec::container::{self, Contents};
use crate::spec::program::{Op, Source};
use crate::spec::{fixed, Arch, KnownAnswer, LayerRecord, MemoryImage, MemoryKind, Section, Walk};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The network in an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    pub input_size: usize,
    pub output_size: usize,
    /// Fraction lengths of the 16-bit inputs and outputs.
    pub input_fraction: i32,
    pub output_fraction: i32,
    /// What the network takes is `stored value * input_scale + input_offset`.
    pub input_scale: f64,
    pub input_offset: f64,
    /// Weights and biases of the dense model.
    pub parameters: usize,
    pub layers: Vec<NetworkLayer>,
}

impl Network {
    /// What the first layer takes.
    pub fn input_shape(&self) -> Shape {
        let conv = self.layers.first().and_then(|layer| layer.conv.as_ref());
        conv.map_or(Shape::vector(self.input_size), Shape::input)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkLayer {
    pub name: String,
    pub rows: usize,
    pub columns: usize,
    pub activation: Activation,
    pub nonzeros: usize,
    /// Padding entries over all PEs.
    pub padding: usize,
    /// Weights and biases of the dense layer.
    pub parameters: usize,
    pub weight_fraction: i32,
    pub input_fraction: i32,
    pub output_fraction: i32,
    /// Of a convolution; its columns are the weights of a filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conv: Option<Conv>,
}

impl NetworkLayer {
    /// What the layer makes.
    pub fn output(&self) -> Shape {
        self.conv.as_ref().map_or(Shape::vector(self.rows), |conv| Shape::output(conv, self.rows))
    }
}

/// Refuses a model that was compiled for another accelerator.
pub fn require_arch(compiled: &Arch, accelerator: &Arch) -> Result<(), Error> {
    if compiled == accelerator {
        return Ok(());
    }
    Err(Error::Network(format!(
        "the model was compiled for architecture {:016x}, the accelerator is {:016x}",
        compiled.hash(),
        accelerator.hash()
    )))
}

/// The manifest's tables.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    accelerator: Arch,
    network: Network,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub image: MemoryImage,
    pub network: Network,
    /// For each layer whose rows are stored in another order than the model's: `order[position] = row`.
    pub orders: BTreeMap<usize, Vec<u32>>,
    /// One input; its output in the model's order.
    pub answer: Option<KnownAnswer>,
}

impl Model {
    pub fn arch(&self) -> &Arch {
        &self.image.arch
    }

    /// The bytes of the container file.
    pub fn to_container(&self) -> Result<Vec<u8>, Error> {
        self.check()?;
        let manifest = Manifest { accelerator: self.image.arch.clone(), network: self.network.clone() };
        let manifest = toml::to_string(&manifest).map_err(|e| Error::Manifest(e.to_string()))?;
        Ok(container::write(&Contents { image: self.image.clone(), manifest, orders: self.orders.clone(), answer: self.answer.clone() }))
    }

    /// Reads a container. Errors: damage of any kind, and a manifest that the image contradicts.
    pub fn from_container(bytes: &[u8]) -> Result<Model, Error> {
        Model::from_contents(container::read(bytes)?)
    }

    fn from_contents(contents: Contents) -> Result<Model, Error> {
        let manifest: Manifest = toml::from_str(&contents.manifest).map_err(|e| Error::Manifest(e.to_string()))?;
        let model = Model { image: contents.image, network: manifest.network, orders: contents.orders, answer: contents.answer };
        model.check()?;
        Ok(model)
    }

    /// [`require_arch`] of this model.
    pub fn require_arch(&self, arch: &Arch) -> Result<(), Error> {
        require_arch(self.arch(), arch)
    }

    /// Does the manifest describe the layer table, layer by layer, and the orders their rows?
    fn check(&self) -> Result<(), Error> {
        let n = &self.network;
        let fault = |text: String| Err(Error::Manifest(text));
        let Some(table) = self.image.sections.get(&Section::Layers) else {
            return fault("the image has no layer table".into());
        };
        let records = LayerRecord::read_all(table);
        if records.len() != n.layers.len() || !records.last().is_some_and(|r| r.last) {
            return fault(format!("it describes {} layers, the layer table {}", n.layers.len(), records.len()));
        }
        if !n.input_scale.is_finite() || !n.input_offset.is_finite() {
            return fault(format!("input_scale is {}, input_offset {}, both must be finite", n.input_scale, n.input_offset));
        }
        for layer in &n.layers {
            let checked = layer.conv.as_ref().map_or(Ok(()), Conv::check);
            checked.or_else(|wrong| fault(format!("layer {}: {wrong}", layer.name)))?;
        }
        if n.input_size != n.input_shape().values() {
            return fault(format!("the network has {} inputs, its first layer {}", n.input_size, n.input_shape().values()));
        }
        let (mut shape, mut fraction) = (n.input_shape(), n.input_fraction);
        let pes = self.arch().pes;
        for (layer, record) in n.layers.iter().zip(&records) {
            let limit = fixed::MAX_FRACTION;
            if [layer.weight_fraction, layer.input_fraction, layer.output_fraction].iter().any(|f| !(-limit..=limit).contains(f)) {
                return fault(format!("layer {}: a fraction length is beyond -{limit} to {limit}", layer.name));
            }
            let (input, scanned) = match &layer.conv {
                None => (layer.columns, shape.positions(pes)),
                Some(conv) => {
                    if Shape::input(conv) != shape || layer.columns != conv.patch() {
                        let found = format!("{} columns over {:?}", layer.columns, Shape::input(conv));
                        return fault(format!("layer {} has {found}, expected {} over {shape:?}", layer.name, conv.patch()));
                    }
                    (conv.inputs(), Shape::patch(conv).positions(pes))
                }
            };
            if (input, layer.input_fraction) != (shape.values(), fraction) {
                let found = format!("{input} inputs of fraction length {}", layer.input_fraction);
                return fault(format!("layer {} has {found}, what comes before it {} of {fraction}", layer.name, shape.values()));
            }
            let shift = layer.input_fraction + layer.weight_fraction - layer.output_fraction;
            let source_rows = scanned.div_ceil(pes);
            let of_conv = layer.conv.as_ref().map(|conv| walk(conv, pes));
            let expected = LayerRecord {
                source_rows,
                last_lanes: scanned - source_rows.saturating_sub(1) * pes,
                walk: of_conv.or(self.arch().conv.then(|| Walk::whole(source_rows))),
                out_rows: layer.rows.div_ceil(pes),
                shift: u32::try_from(shift).unwrap_or(u32::MAX),
                relu: layer.activation == Activation::Relu,
                ..*record
            };
            if expected != *record {
                return fault(format!("layer {} is described as {expected:?}, the layer table holds {record:?}", layer.name));
            }
            (shape, fraction) = (layer.output(), layer.output_fraction);
        }
        if (n.output_size, n.output_fraction) != (shape.values(), fraction) {
            let found = format!("{} outputs of fraction length {}", n.output_size, n.output_fraction);
            return fault(format!("the network has {found}, its last layer {} of {fraction}", shape.values()));
        }
        for (layer, order) in &self.orders {
            match n.layers.get(*layer) {
                Some(l) if l.rows == order.len() => (),
                Some(l) => return fault(format!("layer {} has {} rows, their order {} places", l.name, l.rows, order.len())),
                None => return fault(format!("there is a row order for layer {layer} of {}", n.layers.len())),
            }
        }
        match &self.answer {
            Some(answer) if answer.output.len() != n.output_size => {
                fault(format!("the known answer has {} values, the network {} outputs", answer.output.len(), n.output_size))
            }
            _ => Ok(()),
        }
    }

    /// A sample, already scaled, as the activations of the first layer: by position. A map is given in the order channel,
    /// row, column; what no filter reaches is left out.
    pub fn quantize_input(&self, sample: &[f32]) -> Result<Vec<i16>, Error> {
        let n = &self.network;
        if sample.len() != n.input_size {
            return Err(Error::Network(format!("the sample has {} values, the network {} inputs", sample.len(), n.input_size)));
        }
        if let Some(at) = sample.iter().position(|v| !v.is_finite()) {
            return Err(Error::Network(format!("value {at} of the sample is {}", sample[at])));
        }
        let values: Vec<i16> = sample.iter().map(|v| fixed::quantize(f64::from(*v), ACT_BITS, n.input_fraction) as i16).collect();
        self.arrange_input(values)
    }

    /// Activations in the model's order as the first layer takes them: by position.
    pub fn arrange_input(&self, values: Vec<i16>) -> Result<Vec<i16>, Error> {
        let n = &self.network;
        if values.len() != n.input_size {
            return Err(Error::Network(format!("the input has {} values, the network {} inputs", values.len(), n.input_size)));
        }
        let Some(conv) = n.layers.first().and_then(|layer| layer.conv) else { return Ok(values) };
        let pes = self.arch().pes;
        let mut kept = n.input_shape().kept(None, pes);
        kept.truncate(reached(&conv, pes));
        Ok(kept.into_iter().map(|index| index.map_or(0, |index| values[index as usize])).collect())
    }

    /// Results as they lie in the activation buffer (position order, what lies beyond the last row is
    /// ignored), as integers in the model's order of rows; those of a map in the order channel, row, column. There must be
    /// at least as many as reach up to the last.
    pub fn output_rows(&self, positions: &[i16]) -> Result<Vec<i16>, Error> {
        let size = self.network.output_size;
        let last = self.network.layers.len() - 1;
        let shape = self.network.layers[last].output();
        let pes = self.arch().pes;
        if positions.len() < shape.positions(pes) {
            return Err(Error::Network(format!("there are {} results, the network has {size} outputs", positions.len())));
        }
        let mut rows = vec![0; size];
        for (index, value) in shape.kept(self.orders.get(&last).map(Vec::as_slice), pes).into_iter().zip(positions) {
            if let Some(index) = index {
                rows[index as usize] = *value;
            }
        }
        Ok(rows)
    }

    /// [`Model::output_rows`] as real numbers.
    pub fn output_in_model_order(&self, positions: &[i16]) -> Result<Vec<f32>, Error> {
        let fraction = self.network.output_fraction;
        Ok(self.output_rows(positions)?.iter().map(|v| fixed::dequantize(i64::from(*v), fraction) as f32).collect())
    }
}

/// The recurrent network in an image of the ESE kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecurrentNetwork {
    pub input_size: usize,
    pub output_size: usize,
    /// Fraction lengths of the 16-bit inputs and outputs.
    pub input_fraction: i32,
    pub output_fraction: i32,
    /// The sequence is to be presented from its last step to its first.
    pub reverse: bool,
    /// Weights, biases and peepholes of the dense model.
    pub parameters: usize,
    pub lstm: Vec<NetworkLstm>,
    pub layers: Vec<NetworkLayer>,
}

/// An LSTM layer of a [`RecurrentNetwork`], and where its state lies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkLstm {
    pub name: String,
    pub inputs: usize,
    pub cells: usize,
    pub hidden: usize,
    pub peepholes: bool,
    pub projection: bool,
    /// Of all matrices of the layer.
    pub nonzeros: usize,
    pub padding: usize,
    pub parameters: usize,
    /// Of x, h and c.
    pub input_fraction: i32,
    pub hidden_fraction: i32,
    pub cell_fraction: i32,
    /// Address of h in a channel's vector memory, of c in its cell memory.
    pub hidden_base: usize,
    pub cell_base: usize,
}

/// The manifest's tables of an image of the ESE kind.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecurrentManifest {
    accelerator: Arch,
    recurrent: RecurrentNetwork,
}

/// A compiled recurrent network: the image, and what a program must know to feed it.
#[derive(Clone, Debug, PartialEq)]
pub struct RecurrentModel {
    pub image: MemoryImage,
    pub network: RecurrentNetwork,
    /// Some steps from zero state on.
    pub answer: Option<KnownAnswer>,
}

impl RecurrentModel {
    pub fn arch(&self) -> &Arch {
        &self.image.arch
    }

    /// The program of the image.
    pub fn program(&self) -> Vec<Op> {
        self.image.sections.get(&Section::Layers).map(Op::read_all).unwrap_or_default()
    }

    /// The bytes of the container file.
    pub fn to_container(&self) -> Result<Vec<u8>, Error> {
        self.check()?;
        let manifest = RecurrentManifest { accelerator: self.image.arch.clone(), recurrent: self.network.clone() };
        let manifest = toml::to_string(&manifest).map_err(|e| Error::Manifest(e.to_string()))?;
        Ok(container::write(&Contents { image: self.image.clone(), manifest, orders: BTreeMap::new(), answer: self.answer.clone() }))
    }

    /// Reads a container. Errors: damage of any kind, a network that is not recurrent, and a manifest that the image contradicts.
    pub fn from_container(bytes: &[u8]) -> Result<RecurrentModel, Error> {
        RecurrentModel::from_contents(container::read(bytes)?)
    }

    fn from_contents(contents: Contents) -> Result<RecurrentModel, Error> {
        let manifest: RecurrentManifest = toml::from_str(&contents.manifest).map_err(|e| Error::Manifest(e.to_string()))?;
        let model = RecurrentModel { image: contents.image, network: manifest.recurrent, answer: contents.answer };
        model.check()?;
        Ok(model)
    }

    /// Does the manifest describe the program?
    fn check(&self) -> Result<(), Error> {
        let n = &self.network;
        let fault = |text: String| Err(Error::Manifest(text));
        let ops = self.program();
        let Some(first) = ops.first().filter(|op| op.source == Source::Input) else {
            return fault("the program does not begin with the input".into());
        };
        if !ops.last().is_some_and(|op| op.last) {
            return fault("the program has no last operation".into());
        }
        let outputs: Vec<usize> = ops.iter().filter(|op| op.output).map(|op| op.count).collect();
        if first.columns != n.input_size || outputs != [n.output_size] {
            return fault(format!(
                "it describes {} inputs and {} outputs, the program {} and {outputs:?}",
                n.input_size, n.output_size, first.columns
            ));
        }
        let limit = fixed::MAX_FRACTION;
        let fractions = n.lstm.iter().flat_map(|l| [l.input_fraction, l.hidden_fraction, l.cell_fraction]);
        if fractions.chain([n.input_fraction, n.output_fraction]).any(|f| !(-limit..=limit).contains(&f)) {
            return fault(format!("a fraction length is beyond -{limit} to {limit}"));
        }
        if let Some(answer) = self.answer.as_ref().filter(|a| a.output.len() % n.output_size.max(1) != 0) {
            let found = format!("the known answer has {} values", answer.output.len());
            return fault(format!("{found}, expected those of whole steps of {} outputs", n.output_size));
        }
        let arch = self.arch();
        let depth = |kind: MemoryKind| kind.depth(arch);
        match n.lstm.iter().find(|l| l.hidden_base + l.hidden > depth(MemoryKind::ActA) || l.cell_base + l.cells > depth(MemoryKind::ActB))
        {
            Some(layer) => fault(format!("layer {}: its state lies beyond the memories", layer.name)),
            None => Ok(()),
        }
    }

    /// One time step's values as the accelerator takes them.
    pub fn quantize_input(&self, values: &[f32]) -> Result<Vec<i16>, Error> {
        let n = &self.network;
        if values.len() != n.input_size {
            return Err(Error::Network(format!("the step has {} values, the network {} inputs", values.len(), n.input_size)));
        }
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(Error::Network(format!("value {at} of the step is {}", values[at])));
        }
        Ok(values.iter().map(|v| fixed::quantize(f64::from(*v), ACT_BITS, n.input_fraction) as i16).collect())
    }

    /// Results as real numbers.
    pub fn dequantize_output(&self, values: &[i16]) -> Vec<f32> {
        values.iter().map(|v| fixed::dequantize(i64::from(*v), self.network.output_fraction) as f32).collect()
    }
}
