//! Fully connected layers: `Gemm`, or `MatMul` with an `Add` behind it.

use super::super::{transposed, MAX_AXIS};
use super::proto::{kind, Node};
use super::{label, Graph};
use crate::error::{grouped, Error};
use crate::import::tensors::shape_text;
use crate::model::{Activation, DenseLayer, Matrix};

impl Graph {
    /// The layer of the node called `node`; its activation is not looked for in the graph.
    pub(in crate::import) fn dense(&self, node: &str, name: &str, activation: Activation) -> Result<DenseLayer, Error> {
        let node = self.find(node, &["Gemm", "MatMul"])?;
        let (rows_are_outputs, bias) = match node.op_type.as_str() {
            "Gemm" => (self.gemm_is_transposed(node)?, self.input(node, 2)),
            _ => match node.attribute.first() {
                Some(attribute) => return Err(self.wrong(node, format!("attribute `{}`", attribute.name), "none in a MatMul")),
                None => (false, self.added_to(node)?),
            },
        };
        let tensor = self.input(node, 1).ok_or_else(|| self.wrong(node, "no second input".into(), "the weights"))?;
        let source = self.source(tensor, format!("weights of layer {name}"));
        let array = self.floats(&source)?;
        let [first, second] = array.shape[..] else {
            return Err(source.shape(&array, "two axes"));
        };
        if !(1..=MAX_AXIS).contains(&first) || !(1..=MAX_AXIS).contains(&second) {
            return Err(source.shape(&array, &format!("1 to {} rows and columns", grouped(MAX_AXIS))));
        }
        let values = source.finite(&array)?;
        let weights = match rows_are_outputs {
            true => Matrix { rows: first, columns: second, data: values },
            false => transposed(first, second, &values),
        };
        let bias = match bias {
            None => vec![0.0; weights.rows],
            Some(tensor) => {
                let source = self.source(tensor, format!("bias of layer {name}"));
                let array = self.floats(&source)?;
                // axes of one before the last are those of the batch
                let ones = array.shape.iter().rev().skip(1).all(|axis| *axis == 1);
                if !ones || array.shape.last() != Some(&weights.rows) {
                    return Err(source.shape(&array, &format!("shape {}, one value per output", shape_text(&[weights.rows]))));
                }
                source.finite(&array)?
            }
        };
        Ok(DenseLayer { name: name.to_string(), weights, bias, activation, conv: None })
    }

    /// Whether the weights of a Gemm are (out, in); all else that an attribute can ask for is refused.
    fn gemm_is_transposed(&self, node: &Node) -> Result<bool, Error> {
        let mut rows_are_outputs = false;
        for attribute in &node.attribute {
            let name = attribute.name.as_str();
            match name {
                "alpha" | "beta" => {
                    self.check_kind(node, attribute, kind::FLOAT)?;
                    if attribute.f != 1.0 {
                        return Err(self.wrong(node, format!("attribute `{name}` of {}", attribute.f), "1"));
                    }
                }
                "transA" => {
                    self.check_kind(node, attribute, kind::INT)?;
                    if attribute.i != 0 {
                        return Err(self.wrong(node, format!("attribute `transA` of {}", attribute.i), "0"));
                    }
                }
                "transB" => {
                    self.check_kind(node, attribute, kind::INT)?;
                    rows_are_outputs = attribute.i != 0;
                }
                _ => return Err(self.wrong(node, format!("attribute `{name}`"), "alpha, beta, transA or transB")),
            }
        }
        Ok(rows_are_outputs)
    }

    /// The constant that the `Add` behind a MatMul adds; none if no Add is behind it.
    fn added_to<'a>(&'a self, node: &'a Node) -> Result<Option<&'a str>, Error> {
        let product = node.output.first().map_or("", String::as_str);
        let users: Vec<&Node> = self.graph.node.iter().filter(|n| n.input.iter().any(|i| i == product)).collect();
        match users[..] {
            [add] if add.op_type == "Add" => {
                let other = add.input.iter().find(|input| *input != product).map_or(product, String::as_str);
                match self.constant(other) {
                    Some(_) => Ok(Some(other)),
                    None => {
                        Err(self.wrong(node, format!("an Add `{}` of a value that the graph computes", label(add)), "the Add of a bias"))
                    }
                }
            }
            _ if users.iter().any(|user| user.op_type == "Add") => {
                Err(self.wrong(node, format!("{} uses of its output, an Add among them", users.len()), "one Add of a bias, or no Add"))
            }
            _ => Ok(None),
        }
    }
}
