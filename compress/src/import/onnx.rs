//! Nodes of an ONNX graph with their constant weights.
//!
//! A node is looked up by its name and only its own inputs count: what leads to it and away from it is not read, but for
//! the bias behind a MatMul and the origin of an LSTM's initial state. Whatever the bytes of a file are, reading it ends in weights or in an [`Error`].

mod dense;
mod lstm;
mod proto;
mod state;

pub use lstm::{load_onnx_lstm, OnnxLstm};

use super::tensors::{shape_text, Array, Kind};
use super::Source;
use crate::error::{grouped, Error};
use prost::Message;
use proto::Node;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// Types of elements of 16 to 64-bit floating point.
const FLOATS: [(i32, Kind); 3] = [(proto::FLOAT, Kind::F32), (proto::FLOAT16, Kind::F16), (proto::DOUBLE, Kind::F64)];

fn type_name(number: i32) -> String {
    let name = usize::try_from(number).ok().and_then(|n| proto::DATA_TYPES.get(n));
    name.map_or(format!("number {number}"), |n| n.to_string())
}

/// The main graph of a file. Subgraphs and functions are not searched.
pub(super) struct Graph {
    path: PathBuf,
    graph: proto::Graph,
}

/// Whether the operator is one of ONNX itself.
fn standard(node: &Node) -> bool {
    matches!(node.domain.as_str(), "" | "ai.onnx")
}

/// The name of a node; without one that of its first output, which is unique in a graph.
fn label(node: &Node) -> &str {
    match node.output.iter().find(|o| !o.is_empty()) {
        Some(output) if node.name.is_empty() => output,
        _ => &node.name,
    }
}

impl Graph {
    pub(super) fn open(path: &Path) -> Result<Graph, Error> {
        let bytes = std::fs::read(path).map_err(|source| Error::File { path: path.to_path_buf(), source })?;
        let wrong = |found: String| Error::Format { path: path.to_path_buf(), found, expected: "a whole ONNX model".into() };
        let model = proto::Model::decode(bytes.as_slice()).map_err(|e| wrong(e.to_string()))?;
        let graph = model.graph.ok_or_else(|| wrong("no graph".into()))?;
        Ok(Graph { path: path.to_path_buf(), graph })
    }

    /// The one node called `name` whose operator is among `operators`.
    fn find(&self, name: &str, operators: &[&str]) -> Result<&Node, Error> {
        let of = operators.join(" or ");
        let candidates = || self.graph.node.iter().filter(|n| operators.contains(&n.op_type.as_str()) && standard(n));
        let mut named = candidates().filter(|n| label(n) == name);
        let found = match (named.next(), named.next()) {
            (Some(node), None) => return Ok(node),
            (Some(_), Some(_)) => format!("several {of} nodes of that name"),
            (None, _) => match self.graph.node.iter().find(|n| label(n) == name) {
                Some(other) => format!("a node {}", other.op_type),
                None => "no such node".to_string(),
            },
        };
        let names: Vec<&str> = candidates().map(label).collect();
        let expected = match names.as_slice() {
            [] => format!("a {of} node, but the graph has none"),
            _ => format!("one of the {of} nodes {}", names.join(", ")),
        };
        Err(Error::Node { path: self.path.clone(), node: name.to_string(), found, expected })
    }

    fn wrong(&self, node: &Node, found: String, expected: &str) -> Error {
        Error::Node { path: self.path.clone(), node: label(node).to_string(), found, expected: expected.to_string() }
    }

    /// An attribute must have the type that its name promises, and a value of its own.
    fn check_kind(&self, node: &Node, attribute: &proto::Attribute, kind: i32) -> Result<(), Error> {
        if attribute.kind == kind {
            return Ok(());
        }
        let found = format!("attribute `{}` of type {}", attribute.name, attribute.kind);
        Err(self.wrong(node, found, &format!("type {kind} of onnx.proto's AttributeType")))
    }

    /// An input that is given.
    fn input<'a>(&self, node: &'a Node, index: usize) -> Option<&'a str> {
        node.input.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The constant called `name`: an initializer, or the value of a Constant node.
    fn constant(&self, name: &str) -> Option<&proto::Tensor> {
        let stored = self.graph.initializer.iter().find(|t| t.name == name);
        stored.or_else(|| {
            let node = self.graph.node.iter().find(|n| n.op_type == "Constant" && n.output.iter().any(|o| o == name))?;
            node.attribute.iter().find(|a| a.name == "value" && a.kind == proto::kind::TENSOR)?.t.as_ref()
        })
    }

    fn source<'a>(&'a self, tensor: &'a str, owner: String) -> Source<'a> {
        Source { path: &self.path, tensor, owner }
    }

    /// The elements of a constant of 16 to 64-bit floating point.
    fn floats(&self, source: &Source) -> Result<Array, Error> {
        self.array(source, &FLOATS)
    }

    /// The elements of a constant of 32-bit integers.
    fn integers(&self, source: &Source) -> Result<Array, Error> {
        self.array(source, &[(proto::INT32, Kind::Signed(4))])
    }

    fn array(&self, source: &Source, types: &[(i32, Kind)]) -> Result<Array, Error> {
        let stored = self
            .constant(source.tensor)
            .ok_or_else(|| source.wrong("a value that the graph computes".into(), "an initializer or a Constant node's value".into()))?;
        self.elements(stored, source, types)
    }

    /// The elements of `stored`, which `source` names in messages.
    fn elements(&self, stored: &proto::Tensor, source: &Source, types: &[(i32, Kind)]) -> Result<Array, Error> {
        let Some((_, kind)) = types.iter().find(|(number, _)| *number == stored.data_type) else {
            let expected: Vec<String> = types.iter().map(|(number, _)| type_name(*number)).collect();
            return Err(source.wrong(format!("type {}", type_name(stored.data_type)), expected.join(", ")));
        };
        if stored.segment.is_some() {
            return Err(source.wrong("a segment of a tensor".into(), "a whole tensor".into()));
        }
        let shape: Option<Vec<usize>> = stored.dims.iter().map(|d| usize::try_from(*d).ok()).collect();
        let shape = shape.ok_or_else(|| source.wrong(format!("shape {:?}", stored.dims), "no negative length".into()))?;
        let bytes = match stored.data_location {
            0 => in_message(stored, *kind).map_err(|found| source.wrong(found, "16 bits".into()))?,
            _ => self.in_other_file(stored, source)?,
        };
        let length = shape.iter().try_fold(kind.bytes(), |n, axis| n.checked_mul(*axis));
        if length != Some(bytes.len()) {
            let found = format!("{} bytes for shape {} of {}", grouped(bytes.len()), shape_text(&shape), type_name(stored.data_type));
            return Err(source.wrong(found, length.map_or("fewer elements".into(), |l| format!("{} bytes", grouped(l)))));
        }
        Ok(Array::new(shape, *kind, bytes))
    }

    /// The bytes of a tensor that a file beside the model holds. The file must lie in the model's folder or below.
    fn in_other_file(&self, stored: &proto::Tensor, source: &Source) -> Result<Vec<u8>, Error> {
        let value = |key: &str| stored.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
        let number = |key: &str| match value(key).map(str::parse::<u64>) {
            None => Ok(None),
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) => Err(source.wrong(format!("external data with {key} {:?}", value(key).unwrap_or("")), "a number".into())),
        };
        let location = Path::new(value("location").unwrap_or(""));
        if location.as_os_str().is_empty() || !location.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir)) {
            let found = format!("external data in {:?}", location.display().to_string());
            return Err(source.wrong(found, "a file in the folder of the model".into()));
        }
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let path = self.path.parent().unwrap_or(Path::new("")).join(location);
        let failed = |error| Error::File { path: path.clone(), source: error };
        let mut file = std::fs::File::open(&path).map_err(failed)?;
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(length.unwrap_or(u64::MAX)).read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }
}

/// The bytes of a tensor that is stored as bytes, or as a list of numbers.
fn in_message(stored: &proto::Tensor, kind: Kind) -> Result<Vec<u8>, String> {
    if !stored.raw_data.is_empty() {
        return Ok(stored.raw_data.clone());
    }
    Ok(match kind {
        Kind::F16 => {
            // each number is the bit pattern of one element
            let bits: Result<Vec<u16>, i32> = stored.int32_data.iter().map(|v| u16::try_from(*v).map_err(|_| *v)).collect();
            bits.map_err(|v| format!("{v} as a FLOAT16"))?.into_iter().flat_map(u16::to_le_bytes).collect()
        }
        Kind::F64 => stored.double_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Kind::Signed(_) => stored.int32_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        _ => stored.float_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
    })
}

#[cfg(test)]
#[path = "onnx/tests.rs"]
mod tests;
