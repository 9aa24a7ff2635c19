//! What a generated design is made of: how often each module is there, how many bits of registers it has, and the
//! parameters of the hand-written leaves. Read off the Verilog, whose form is that of the generator: a line an instance, a line
//! a register.

use anyhow::{Context, Result};
use lacuna_hdl::Design;
use std::collections::{BTreeMap, BTreeSet};

/// A module, or a leaf with its parameters, and how many of it the whole design has.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub name: String,
    /// Parameters that are numbers, and STYLE.
    pub parameters: BTreeMap<String, String>,
    /// Where it is: the names of the instances of its first occurrence, from the top's down.
    pub path: String,
    /// What its instances are called.
    pub labels: BTreeSet<String>,
    pub count: usize,
    /// Bits of its own registers; 0 of a leaf, whose parameters say more.
    pub register_bits: usize,
    pub output_bits: usize,
    /// Instances right below it.
    pub below: usize,
}

impl Part {
    /// One or two of its instances' names, and how many more there are.
    pub fn title(&self) -> String {
        let names: Vec<&str> = self.labels.iter().map(String::as_str).collect();
        match names.as_slice() {
            [a, b, _, rest @ ..] => format!("{a}, {b} and {} more", rest.len() + 1),
            few => few.join(", "),
        }
    }
    /// A numeric parameter of a leaf.
    pub fn number(&self, name: &str) -> Result<usize> {
        let value = self.parameters.get(name).and_then(|text| text.parse().ok());
        value.with_context(|| format!("{} {}: found no number {name}", self.name, self.path))
    }
}

/// Every distinct part of a design.
pub fn of(design: &Design) -> Result<Vec<Part>> {
    let modules: BTreeMap<&str, Module> = design.modules.iter().map(|m| (m.name.as_str(), read(&m.text))).collect();
    let mut found = BTreeMap::new();
    let top = Instance { module: design.top.clone(), parameters: BTreeMap::new(), label: String::new() };
    walk(&modules, &top, "", &mut found);
    Ok(found.into_values().collect())
}

/// An instance, as its line in the Verilog has it.
#[derive(Clone, Debug, PartialEq)]
struct Instance {
    module: String,
    parameters: BTreeMap<String, String>,
    label: String,
}

/// A module's text, read once.
#[derive(Default)]
struct Module {
    instances: Vec<Instance>,
    register_bits: usize,
    output_bits: usize,
}

type Found = BTreeMap<(String, BTreeMap<String, String>), Part>;

fn walk(modules: &BTreeMap<&str, Module>, instance: &Instance, above: &str, found: &mut Found) {
    let Some(module) = modules.get(instance.module.as_str()) else { return };
    let path = if above.is_empty() { instance.label.clone() } else { format!("{above}.{}", instance.label) };
    let key = (instance.module.clone(), instance.parameters.clone());
    let part = found.entry(key).or_insert_with(|| Part {
        name: instance.module.clone(),
        parameters: instance.parameters.clone(),
        path: path.clone(),
        labels: BTreeSet::new(),
        count: 0,
        register_bits: module.register_bits,
        output_bits: module.output_bits,
        below: module.instances.len(),
    });
    part.count += 1;
    part.labels.insert(instance.label.trim_start_matches("u_").to_string());
    module.instances.iter().for_each(|below| walk(modules, below, &path, found));
}

fn read(text: &str) -> Module {
    let mut widths: BTreeMap<&str, usize> = BTreeMap::new();
    let mut module = Module::default();
    for line in text.lines() {
        let line = line.trim();
        let output = line.strip_prefix("output ");
        if let Some(rest) = output.and_then(|rest| rest.strip_prefix("wire ").or_else(|| rest.strip_prefix("reg "))) {
            let (width, name) = declared(rest);
            module.output_bits += width;
            widths.insert(name, width);
        } else if let Some(rest) = line.strip_prefix("reg ") {
            let (width, name) = declared(rest);
            widths.insert(name, width);
        } else if let Some(rest) = line.strip_prefix("always @(posedge clock) ") {
            let name = rest.split_whitespace().next().unwrap_or_default();
            module.register_bits += widths.get(name).copied().unwrap_or(0);
        } else if let Some(instance) = instance(line) {
            module.instances.push(instance);
        }
    }
    module
}

/// `[6:0] row_before;` or `valid,`: bits and name.
fn declared(rest: &str) -> (usize, &str) {
    let rest = rest.trim_start_matches("signed ").trim_end_matches([';', ',']);
    match rest.strip_prefix('[').and_then(|r| r.split_once("] ")) {
        Some((range, name)) => {
            let high = range.split(':').next().and_then(|high| high.parse::<usize>().ok());
            (high.map_or(0, |high| high + 1), name)
        }
        None => (1, rest),
    }
}

/// `memory #(.WIDTH(16), .STYLE("block"), .PRELOAD(PRELOAD)) bias (`
fn instance(line: &str) -> Option<Instance> {
    let line = line.strip_suffix(" (")?;
    let (head, label) = line.rsplit_once(' ')?;
    let (module, parameters) = head.split_once(" #(").unwrap_or((head, ""));
    let plain = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !plain(module) || !plain(label) {
        return None;
    }
    let values = parameters.split(", .").filter_map(|parameter| {
        let (name, value) = parameter.trim_start_matches('.').split_once('(')?;
        let value = value.trim_end_matches(')').trim_matches('"');
        let known = name == "STYLE" || value.parse::<usize>().is_ok();
        known.then(|| (name.to_string(), value.to_string()))
    });
    Some(Instance { module: module.into(), parameters: values.collect(), label: label.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "module a #(\n    parameter PRELOAD = 0\n) (\n    input wire clock,\n    output reg [3:0] out\n);\n    \
                        reg [6:0] row;\n    reg [6:0] row_next;\n    reg valid;\n    \
                        memory #(.WIDTH(16), .DEPTH(9), .STYLE(\"block\"), .PRELOAD(PRELOAD), .FILE({IMAGE, \"b.mem\"})) bias (\n        \
                        .clock(clock)\n    );\n    b b_1 (\n        .word(wide)\n    );\n    \
                        always @(posedge clock) row <= row_next;\n    always @(posedge clock) valid <= row[0];\n";

    #[test]
    fn instances_and_registers_are_read() {
        let module = read(TEXT);
        assert_eq!((module.register_bits, module.output_bits), (8, 4));
        let named: Vec<_> = module.instances.iter().map(|i| (i.module.as_str(), i.label.as_str())).collect();
        assert_eq!(named, [("memory", "bias"), ("b", "b_1")]);
        let parameters = &module.instances[0].parameters;
        let pairs: Vec<_> = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("DEPTH", "9"), ("STYLE", "block"), ("WIDTH", "16")]);
    }
}
