//! A block as the writer sees it: its signals, its instances, and what each is called in its module.

use super::expression::{Class, Symbol};
use super::fault::Fault;
use super::flatten::literal;
use super::meta::{Meta, Register};
use super::names::{is_keyword, plain};
use rust_hdl::core::ast::Verilog;
use rust_hdl::core::prelude::{Atom, AtomKind};
use std::collections::HashMap;

/// One signal, as its owner declares it. `raw` is rust-hdl's spelling (`bus$data`, `x$3`), `name` is ours.
#[derive(Clone, Debug)]
pub(super) struct Net {
    pub raw: String,
    pub name: String,
    pub kind: AtomKind,
    pub width: usize,
    pub signed: bool,
    pub clock: bool,
    /// Of a constant.
    pub value: i128,
    /// Of an enum, `State::Idle` and so on.
    pub labels: Vec<String>,
}

/// What an instance is.
#[derive(Clone, Debug)]
pub(super) enum Of {
    /// A module and the text of its parameters, ` #(.WIDTH(8))` or nothing.
    Module { name: String, parameters: String },
    /// Not an instance: written in place.
    Register(Register),
}

/// One instance in a module.
#[derive(Clone, Debug)]
pub(super) struct Child {
    pub raw: String,
    /// Its nets are called `name__port`.
    pub name: String,
    /// The instance's own name.
    pub label: String,
    pub of: Of,
    pub ports: Vec<Net>,
}

/// A block whose children are all modules already.
pub(super) struct Scope {
    pub meta: Meta,
    pub hdl: Verilog,
    pub nets: Vec<Net>,
    pub children: Vec<Child>,
}

/// The names of a module and what each is for.
pub(super) struct Names {
    pub by: HashMap<String, String>,
}

impl Names {
    fn claim(&mut self, name: &str, raw: &str) -> Result<(), Fault> {
        if is_keyword(name) {
            return Err(Fault::Keyword { raw: raw.into(), name: name.into() });
        }
        match self.by.insert(name.into(), raw.into()) {
            Some(first) => Err(Fault::NameClash { first, second: raw.into(), name: name.into() }),
            None => Ok(()),
        }
    }
}

/// All that the module can name.
pub(super) fn symbols(s: &Scope) -> Result<(HashMap<String, Symbol>, Names), Fault> {
    let (mut all, mut names) = (HashMap::new(), Names { by: HashMap::new() });
    for p in &s.meta.parameters {
        names.claim(&p.name, &p.name)?;
    }
    for n in &s.nets {
        names.claim(&n.name, &n.raw)?;
        let class = match n.kind {
            AtomKind::InputParameter => Class::Input,
            AtomKind::OutputParameter => Class::Output,
            AtomKind::LocalSignal => Class::Local,
            AtomKind::Constant => Class::Constant,
            _ => return Err(Fault::Unsupported("a tristate signal")),
        };
        all.insert(n.raw.clone(), symbol(n, n.name.clone(), class));
    }
    for c in &s.children {
        if matches!(c.of, Of::Module { .. }) {
            names.claim(&c.label, &c.raw)?;
        }
        for p in &c.ports {
            let raw = format!("{}${}", c.raw, p.raw);
            let name = match &c.of {
                Of::Register(r) if r.q == p.raw => c.name.clone(),
                Of::Register(r) if r.d == p.raw => format!("{}_next", c.name),
                _ => format!("{}__{}", c.name, p.name),
            };
            names.claim(&name, &raw)?;
            let class = if p.kind == AtomKind::InputParameter { Class::ChildInput } else { Class::ChildOutput };
            all.insert(raw, symbol(p, name, class));
        }
    }
    for n in s.nets.iter().chain(s.children.iter().flat_map(|c| &c.ports)) {
        for (value, label) in n.labels.iter().enumerate() {
            let (raw, value) = (label.replace("::", "$"), value as i128);
            let name = plain(&raw).to_uppercase();
            if !all.contains_key(&raw) {
                names.claim(&name, &raw)?;
            }
            all.insert(raw, Symbol { name, width: n.width, signed: false, clock: false, class: Class::Label, value });
        }
    }
    Ok((all, names))
}

fn symbol(n: &Net, name: String, class: Class) -> Symbol {
    Symbol { name, width: n.width, signed: n.signed, clock: n.clock, class, value: n.value }
}

/// The number of a constant's atom.
pub(super) fn constant_value(a: &dyn Atom) -> i128 {
    literal(&a.verilog()).unwrap_or_default()
}
