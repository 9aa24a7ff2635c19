//! Where the initial state and the lengths of the sequences of an LSTM come from.

use super::proto::{self, kind, Attribute, Node, Tensor};
use super::{label, standard, type_name, Graph, FLOATS};
use crate::error::Error;
use crate::import::Source;
use std::collections::{HashMap, HashSet};

/// Operators whose elements are all from their first input.
const SHAPING: [&str; 10] = ["Identity", "Squeeze", "Unsqueeze", "Reshape", "Slice", "Gather", "Split", "Transpose", "Cast", "Expand"];

/// Types of elements that are zero if all their bits are.
const INTEGERS: [i32; 10] = [2, 3, 4, 5, 6, 7, 9, 12, 13, 16];

impl Graph {
    /// The hardware begins every sequence with a state of zeros and runs it to its end: a node whose state is another
    /// constant, or whose lengths are constants, is refused.
    pub(in crate::import) fn sequences_are_plain(&self, node: &str) -> Result<(), Error> {
        let cell = self.find(node, &["LSTM"])?;
        let flow = Flow::of(self);
        for (index, state) in [(5, "initial_h"), (6, "initial_c")] {
            let Some(value) = self.input(cell, index) else { continue };
            if let Some(found) = flow.not_zero(value, &format!("{state} of lstm {}", label(cell)))? {
                return Err(self.wrong(cell, format!("{state} from {found}"), "zeros, or a state that comes from outside"));
            }
        }
        match self.input(cell, 4) {
            Some(value) if !flow.reaches_outside(vec![value]) => {
                let found = format!("sequence_lens from `{value}`, which the file fixes");
                Err(self.wrong(cell, found, "none, or lengths that come from outside"))
            }
            _ => Ok(()),
        }
    }
}

/// What gives each value of a graph.
struct Flow<'a> {
    graph: &'a Graph,
    stored: HashMap<&'a str, &'a Tensor>,
    producers: HashMap<&'a str, &'a Node>,
    outside: HashSet<&'a str>,
}

impl<'a> Flow<'a> {
    fn of(graph: &'a Graph) -> Flow<'a> {
        let nodes = graph.graph.node.iter();
        Flow {
            graph,
            stored: graph.graph.initializer.iter().map(|t| (t.name.as_str(), t)).collect(),
            producers: nodes.flat_map(|n| n.output.iter().map(move |o| (o.as_str(), n))).collect(),
            outside: graph.graph.input.iter().map(|i| i.name.as_str()).collect(),
        }
    }

    /// What makes `value` something else than zeros or than what comes from outside. An input with an initializer counts
    /// as that constant.
    fn not_zero(&self, value: &'a str, owner: &str) -> Result<Option<String>, Error> {
        let (mut open, mut seen, mut ends) = (vec![value], HashSet::new(), 0);
        while let Some(value) = open.pop() {
            if !seen.insert(value) {
                continue;
            }
            let source = self.graph.source(value, owner.to_string());
            let constant = |zero: bool| (!zero).then(|| format!("the constant `{value}`, which is not zero"));
            let found = match (self.stored.get(value), self.producers.get(value)) {
                (Some(tensor), _) => constant(self.is_zero(tensor, &source)?),
                (None, None) if self.outside.contains(value) => None,
                (None, None) => Some(format!("`{value}`, which nothing in the graph gives")),
                (None, Some(node)) => match (node.op_type.as_str(), &node.attribute[..]) {
                    ("Constant", [attribute]) if standard(node) => match self.number_is_zero(attribute, &source)? {
                        Some(zero) => constant(zero),
                        None => Some(format!("the constant `{value}`, whose attribute `{}` is not read", attribute.name)),
                    },
                    // without a value: zeros
                    ("ConstantOfShape", attributes) if standard(node) => match attributes.iter().find(|a| a.name == "value") {
                        Some(attribute) => constant(self.number_is_zero(attribute, &source)? == Some(true)),
                        None => None,
                    },
                    (operator, _) if standard(node) && (operator == "Concat" || SHAPING.contains(&operator)) => {
                        open.extend(elements_of(node));
                        continue;
                    }
                    _ if self.reaches_outside(elements_of(node)) => None,
                    (operator, _) => Some(format!("the {operator} node `{}`, which has constants only", label(node))),
                },
            };
            if found.is_some() {
                return Ok(found);
            }
            ends += 1;
        }
        Ok((ends == 0).then(|| format!("`{value}`, which nothing in the graph gives")))
    }

    /// Whether an element of one of the values is from an input of the graph.
    fn reaches_outside(&self, mut open: Vec<&'a str>) -> bool {
        let mut seen = HashSet::new();
        while let Some(value) = open.pop() {
            if self.stored.contains_key(value) || !seen.insert(value) {
                continue;
            }
            match self.producers.get(value) {
                Some(node) => open.extend(elements_of(node)),
                None if self.outside.contains(value) => return true,
                None => {}
            }
        }
        false
    }

    /// Whether the value of a Constant or ConstantOfShape is zero; nothing if it is none of numbers.
    fn number_is_zero(&self, attribute: &Attribute, source: &Source) -> Result<Option<bool>, Error> {
        Ok(match (attribute.name.as_str(), attribute.kind, &attribute.t) {
            ("value", kind::TENSOR, Some(tensor)) => Some(self.is_zero(tensor, source)?),
            ("value_float", kind::FLOAT, _) => Some(attribute.f == 0.0),
            ("value_floats", kind::FLOATS, _) => Some(attribute.floats.iter().all(|v| *v == 0.0)),
            ("value_int", kind::INT, _) => Some(attribute.i == 0),
            ("value_ints", kind::INTS, _) => Some(attribute.ints.iter().all(|v| *v == 0)),
            _ => None,
        })
    }

    fn is_zero(&self, tensor: &Tensor, source: &Source) -> Result<bool, Error> {
        if FLOATS.iter().any(|(number, _)| *number == tensor.data_type) {
            let array = self.graph.elements(tensor, source, &FLOATS)?;
            return Ok(array.values(|v| if v == 0.0 { 0.0 } else { 1.0 }).iter().all(|v| *v == 0.0));
        }
        if !INTEGERS.contains(&tensor.data_type) {
            return Err(source.wrong(format!("type {}", type_name(tensor.data_type)), "floating point or integers".to_string()));
        }
        let elsewhere = match tensor.data_location {
            0 => Vec::new(),
            _ => self.graph.in_other_file(tensor, source)?,
        };
        let proto::Tensor { raw_data, int32_data, int64_data, uint64_data, .. } = tensor;
        let bytes = raw_data.iter().chain(&elsewhere).all(|v| *v == 0);
        Ok(bytes && int32_data.iter().all(|v| *v == 0) && int64_data.iter().all(|v| *v == 0) && uint64_data.iter().all(|v| *v == 0))
    }
}

/// The inputs from which a node's elements come, without those that are lengths, axes or indices.
fn elements_of(node: &Node) -> Vec<&str> {
    let most = match node.op_type.as_str() {
        "ConstantOfShape" if standard(node) => 0,
        operator if standard(node) && SHAPING.contains(&operator) => 1,
        _ => usize::MAX,
    };
    node.input.iter().take(most).map(String::as_str).filter(|i| !i.is_empty()).collect()
}
