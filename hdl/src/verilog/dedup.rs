//! The walk over the hierarchy: equal text, same module.
//!
//! It is depth-first, so when a block ends all its children are modules already and its text (ports, nets, instances by
//! module name, body) is all its structure.

use super::emit::emit;
use super::fault::{Fault, WriteError};
use super::meta::{Meta, Register};
use super::names::{is_keyword, plain, without_index, words};
use super::scope::{constant_value, Child, Net, Of, Scope};
use super::{Module, Netlist};
use rust_hdl::core::ast::{BlackBox, Verilog};
use rust_hdl::core::prelude::{Atom, AtomKind, Block, Probe, TypeKind};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

struct Open {
    raw: String,
    scope: Scope,
    register: Option<Register>,
    /// The bundles that the walk is in.
    space: Vec<String>,
}

/// What a parent needs to know of a module besides its name.
type Words = Rc<HashSet<String>>;

#[derive(Default)]
pub(super) struct Walk {
    top: String,
    stack: Vec<Open>,
    modules: Vec<Module>,
    leaves: Vec<Module>,
    /// (wanted name, header and body) to the module's name.
    known: HashMap<(String, String), String>,
    words: HashMap<String, Words>,
    error: Option<WriteError>,
}

pub(super) fn walk(top: &dyn Block, name: &str) -> Result<Netlist, WriteError> {
    let mut walk = Walk { top: name.into(), ..Walk::default() };
    // taken from the start, so that no block below gets the name of the top
    walk.words.insert(name.into(), Words::default());
    top.accept(name, &mut walk);
    if let Some(error) = walk.error {
        return Err(error);
    }
    walk.modules.reverse();
    walk.modules.append(&mut walk.leaves);
    Ok(Netlist { modules: walk.modules })
}

impl Probe for Walk {
    fn visit_start_scope(&mut self, name: &str, node: &dyn Block) {
        let timing = node.timing();
        let register = Register::read(&timing);
        let hdl = if register.is_some() { Verilog::Empty } else { node.hdl() };
        let meta = Meta::read(&timing);
        let scope = Scope { meta, hdl, nets: vec![], children: vec![] };
        self.stack.push(Open { raw: name.into(), scope, register, space: vec![] });
    }

    fn visit_start_namespace(&mut self, name: &str, _: &dyn Block) {
        if let Some(open) = self.stack.last_mut() {
            open.space.push(name.into());
        }
    }

    fn visit_end_namespace(&mut self, _: &str, _: &dyn Block) {
        if let Some(open) = self.stack.last_mut() {
            open.space.pop();
        }
    }

    fn visit_atom(&mut self, name: &str, atom: &dyn Atom) {
        let Some(open) = self.stack.last_mut() else { return };
        let raw = open.space.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join("$");
        let (kind, descriptor) = (atom.kind(), atom.descriptor());
        let constant = kind == AtomKind::Constant;
        let lower = plain(&raw);
        open.scope.nets.push(Net {
            name: if constant { lower.to_uppercase() } else { lower },
            raw,
            kind,
            width: atom.bits(),
            signed: matches!(descriptor.kind, TypeKind::Signed(_)),
            clock: descriptor.name == "clock",
            value: if constant { constant_value(atom) } else { 0 },
            labels: if let TypeKind::Enum(labels) = descriptor.kind { labels } else { vec![] },
        });
    }

    fn visit_end_scope(&mut self, _: &str, _: &dyn Block) {
        let Some(open) = self.stack.pop() else { return };
        if self.error.is_some() {
            return;
        }
        let is_top = self.stack.is_empty();
        let parent = self.stack.last().map(|p| &p.scope.meta);
        let parent_has: HashSet<String> = parent.into_iter().flat_map(|m| &m.parameters).map(|p| p.name.clone()).collect();
        match self.close(&open, is_top, &parent_has) {
            Ok(of) => {
                let name = plain(&open.raw);
                // Verilator's VARHIDDEN: a module must not use the name of its own instance
                let inside = matches!(&of, Of::Module { name: m, .. } if self.words.get(m).is_some_and(|w| w.contains(&name)));
                let label = if inside || is_keyword(&name) { format!("u_{name}") } else { name.clone() };
                let ports = open.scope.nets.into_iter().filter(|n| n.kind.is_parameter()).collect();
                if let Some(parent) = self.stack.last_mut() {
                    parent.scope.children.push(Child { raw: open.raw, name, label, of, ports });
                }
            }
            Err(fault) => {
                let path = self.stack.iter().map(|s| s.raw.as_str()).chain([open.raw.as_str()]).collect::<Vec<_>>().join(".");
                self.error = Some(WriteError::Module { path, fault });
            }
        }
    }
}

/// The parameters that an expression over the parent names must exist there.
fn check_parameters(text: &str, used: &str, parent_has: &HashSet<String>) -> Result<(), Fault> {
    let mut names: Vec<&str> = words(text).into_iter().filter(|w| !w.starts_with(['.', '$'])).collect();
    names.sort();
    match names.into_iter().find(|w| !parent_has.contains(*w)) {
        Some(name) => Err(Fault::Parameter { name: name.into(), used: used.into() }),
        None => Ok(()),
    }
}

impl Walk {
    fn close(&mut self, open: &Open, is_top: bool, parent_has: &HashSet<String>) -> Result<Of, Fault> {
        if let Some(register) = &open.register {
            return Ok(Of::Register(register.clone()));
        }
        if let Verilog::Blackbox(leaf) = &open.scope.hdl {
            return self.leaf(open, leaf, parent_has);
        }
        let parameters = if is_top { String::new() } else { instance_parameters(&open.scope.meta, &open.raw, parent_has)? };
        let name = self.module(open, is_top)?;
        Ok(Of::Module { name, parameters })
    }

    /// A hand-written module: its text once, whatever the parameters of its instances.
    fn leaf(&mut self, open: &Open, leaf: &BlackBox, parent_has: &HashSet<String>) -> Result<Of, Fault> {
        let end = leaf.name.find(|c: char| c == '#' || c.is_whitespace()).unwrap_or(leaf.name.len());
        let (name, parameters) = leaf.name.split_at(end);
        check_parameters(parameters, &open.raw, parent_has)?;
        match self.leaves.iter().find(|m| m.name == name) {
            Some(known) if known.text != leaf.code => return Err(Fault::LeafText(name.into())),
            Some(_) => {}
            None => {
                let found: HashSet<String> = words(&leaf.code).into_iter().map(String::from).collect();
                if !declares(&leaf.code, name) {
                    return Err(Fault::LeafName(name.into()));
                }
                if self.words.contains_key(name) {
                    return Err(Fault::LeafTaken(name.into()));
                }
                self.words.insert(name.into(), Rc::new(found));
                self.leaves.push(Module { name: name.into(), text: leaf.code.clone() });
            }
        }
        let found = &self.words[name];
        if let Some(n) = open.scope.nets.iter().find(|n| n.kind.is_parameter() && !found.contains(&n.name)) {
            return Err(Fault::LeafPort { module: name.into(), port: n.name.clone() });
        }
        let parameters = parameters.trim();
        let parameters = if parameters.is_empty() { String::new() } else { format!(" {parameters}") };
        Ok(Of::Module { name: name.into(), parameters })
    }

    fn module(&mut self, open: &Open, is_top: bool) -> Result<String, Fault> {
        let body = emit(&open.scope)?;
        let header: String = open.scope.meta.doc.iter().map(|l| format!("// {l}").trim_end().to_string() + "\n").collect();
        let key = (if is_top { self.top.clone() } else { open.scope.meta.name.clone() }, format!("{header}{}", body.text));
        if let Some(name) = self.known.get(&key) {
            return Ok(name.clone());
        }
        let name = if is_top { self.top.clone() } else { self.free_name(open) };
        self.modules.push(Module { name: name.clone(), text: format!("{header}module {name} {}", body.text) });
        self.words.insert(name.clone(), Rc::new(body.names));
        self.known.insert(key, name.clone());
        Ok(name)
    }

    /// What the block wants to be called, numbered if something else is called so.
    fn free_name(&self, open: &Open) -> String {
        let wanted = if open.scope.meta.name.is_empty() { without_index(&open.raw) } else { open.scope.meta.name.clone() };
        let mut name = wanted.clone();
        let mut k = 1;
        while is_keyword(&name) || self.words.contains_key(&name) {
            k += 1;
            name = format!("{wanted}_{k}");
        }
        name
    }
}

fn declares(code: &str, name: &str) -> bool {
    code.match_indices("module").any(|(at, m)| {
        let rest = &code[at + m.len()..];
        let word = rest.trim_start();
        rest.len() != word.len() && word.starts_with(name) && !word[name.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
    })
}

fn instance_parameters(meta: &Meta, raw: &str, parent_has: &HashSet<String>) -> Result<String, Fault> {
    if meta.parameters.is_empty() {
        return Ok(String::new());
    }
    for p in &meta.parameters {
        check_parameters(&p.value, raw, parent_has)?;
    }
    let all: Vec<_> = meta.parameters.iter().map(|p| format!(".{}({})", p.name, p.value)).collect();
    Ok(format!(" #({})", all.join(", ")))
}
