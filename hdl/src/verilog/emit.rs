//! One module's text: ports, constants, nets, instances, processes, registers.

use super::arrange::{arrange, Plan};
use super::expression::{sized, Class, Expressions, Symbol, BIT};
use super::fault::Fault;
use super::flatten::{flatten, Expr, Step};
use super::names::words;
use super::scope::{symbols, Of, Scope};
use super::slice::slice;
use rust_hdl::core::ast::Verilog;
use rust_hdl::core::prelude::AtomKind;
use std::collections::{HashMap, HashSet};
use std::fmt::Write;

/// Everything after `module name`, and the names used in it.
pub(super) struct Body {
    pub text: String,
    pub names: HashSet<String>,
}

/// `[7:0] `, nothing for a bit.
fn span(width: usize, signed: bool) -> String {
    let sign = if signed { "signed " } else { "" };
    if width == 1 {
        sign.into()
    } else {
        format!("{sign}[{}:0] ", width - 1)
    }
}

/// Writes a module whose block is a kernel, a list of connections or Verilog text.
pub(super) fn emit(s: &Scope) -> Result<Body, Fault> {
    let (symbols, mut names) = symbols(s)?;
    let constants: HashMap<String, i128> =
        s.nets.iter().filter(|n| n.kind == AtomKind::Constant).map(|n| (n.raw.clone(), n.value)).collect();
    let (steps, custom) = match &s.hdl {
        Verilog::Combinatorial(block) => (flatten(block, &s.meta.values, &constants)?, None),
        Verilog::Empty => (vec![], None),
        Verilog::Custom(text) if s.children.is_empty() => (vec![], Some(text)),
        Verilog::Custom(_) => return Err(Fault::Unsupported("Verilog text in a block that has children")),
        Verilog::Blackbox(_) | Verilog::Wrapper(_) => return Err(Fault::Unsupported("`Verilog::Wrapper`, or a hand-written top")),
    };
    let mut plan = arrange(steps, &|x| symbols.get(x).map(|s| s.width), &constants)?;
    let registers = s.children.iter().filter_map(|c| if let Of::Register(r) = &c.of { Some(format!("{}${}", c.raw, r.d)) } else { None });
    let registers: HashSet<String> = registers.collect();
    plan.processes = plan.processes.into_iter().flat_map(|p| slice(p, &|x| registers.contains(x))).collect();
    let mut taken: HashSet<String> = names.by.keys().cloned().collect();
    if let Some(text) = custom {
        taken.extend(words(text).into_iter().map(String::from));
    }
    let mut module = Module { s, symbols: &symbols, plan: &plan, x: Expressions::new(&symbols, taken), direct: HashMap::new() };
    let text = module.body(custom.map(|t| t.as_str()))?;
    names.by.extend(custom.iter().flat_map(|t| words(t)).map(|w| (w.to_string(), String::new())));
    Ok(Body { text, names: names.by.into_keys().collect() })
}

struct Module<'a> {
    s: &'a Scope,
    symbols: &'a HashMap<String, Symbol>,
    plan: &'a Plan,
    x: Expressions<'a>,
    /// Inputs of children that a plain net or literal drives: pins without a wire of their own.
    direct: HashMap<&'a str, String>,
}

impl<'a> Module<'a> {
    fn body(&mut self, custom: Option<&str>) -> Result<String, Fault> {
        if custom.is_none() {
            self.check()?;
        }
        let assigns = self.nets()?;
        let mut processes = String::new();
        for p in &self.plan.processes {
            processes += &self.process(p)?;
        }
        let (nets, instances, registers) = self.children()?;

        let mut o = self.header();
        o += &self.constants()?;
        for n in self.s.nets.iter().filter(|n| n.kind == AtomKind::LocalSignal) {
            let kind = if self.plan.procedural.contains(&n.raw) { "reg" } else { "wire" };
            let _ = writeln!(o, "    {kind} {}{};", span(n.width, n.signed), n.name);
        }
        o += &nets;
        lines(&mut o, &self.x.declarations);
        lines(&mut o, &self.x.assigns);
        o += &assigns;
        o += &instances;
        o += &processes;
        o += &registers;
        for line in custom.into_iter().flat_map(str::lines) {
            let _ = if line.trim().is_empty() { writeln!(o) } else { writeln!(o, "    {line}") };
        }
        if custom.is_none() {
            o += &self.unread();
        }
        o += "endmodule\n";
        Ok(o)
    }

    /// Each signal that this module must drive is driven, and no other.
    fn check(&self) -> Result<(), Fault> {
        let written = &self.plan.written;
        let own = self.s.nets.iter().filter(|n| matches!(n.kind, AtomKind::OutputParameter | AtomKind::LocalSignal));
        if let Some(n) = own.into_iter().find(|n| !written.contains(&n.raw)) {
            return Err(Fault::NeverAssigned(n.raw.clone()));
        }
        let mut names: Vec<&String> = written.iter().collect();
        names.sort();
        for name in names {
            if !matches!(self.x.symbol(name)?.class, Class::Output | Class::Local | Class::ChildInput) {
                return Err(Fault::NotAssignable(name.clone()));
            }
            if self.plan.procedural.contains(name) && self.x.symbol(name)?.clock {
                return Err(Fault::Clock(name.clone()));
            }
        }
        Ok(())
    }

    fn nets(&mut self) -> Result<String, Fault> {
        let mut o = String::new();
        for (step, comment) in &self.plan.nets {
            let Step::Assign { to, part, value } = step else { continue };
            let target = self.x.symbol(to)?;
            if target.clock && !matches!(value, Expr::Net(x) if self.x.symbol(x)?.clock) {
                return Err(Fault::Clock(to.clone()));
            }
            let (place, width) = match part {
                None => (target.name.clone(), target.width),
                Some((offset, width)) => (self.x.place(target, offset, *width)?, *width),
            };
            let text = self.x.text(value, Some((width, part.is_none() && target.signed)))?;
            let bare = part.is_none() && matches!(value, Expr::Net(_) | Expr::Value(_));
            if bare && target.class == Class::ChildInput && !self.plan.read.contains(to) {
                self.direct.insert(to, text);
            } else {
                if let Some(c) = comment {
                    let _ = writeln!(o, "    // {c}");
                }
                let _ = writeln!(o, "    assign {place} = {text};");
            }
        }
        Ok(o)
    }

    fn process(&mut self, steps: &'a [(Step, Option<String>)]) -> Result<String, Fault> {
        let mut assigned = HashSet::new();
        for (s, _) in steps {
            s.touches(&mut |x, write| {
                if write {
                    assigned.insert(x);
                }
            });
        }
        self.x.enter(Some(assigned));
        let mut inside = String::new();
        for (s, comment) in steps {
            if let Some(c) = comment {
                let _ = writeln!(inside, "        // {c}");
            }
            self.statement(s, 2, &mut inside)?;
        }
        self.x.enter(None);
        let mut o = String::from("    always @* begin\n");
        for line in std::mem::take(&mut self.x.head) {
            let _ = writeln!(o, "        {line}");
        }
        Ok(o + &inside + "    end\n")
    }

    /// Lines that intermediates want before the statement at hand.
    fn before(&mut self, pad: &str, o: &mut String) {
        for line in std::mem::take(&mut self.x.before) {
            let _ = writeln!(o, "{pad}{line}");
        }
    }

    fn statement(&mut self, step: &'a Step, depth: usize, o: &mut String) -> Result<(), Fault> {
        let pad = "    ".repeat(depth);
        match step {
            Step::Assign { to, part, value } => {
                let target = self.x.symbol(to)?;
                let (place, shape) = match part {
                    None => (target.name.clone(), (target.width, target.signed)),
                    Some((offset, width)) => (self.x.place(target, offset, *width)?, (*width, false)),
                };
                let text = self.x.text(value, Some(shape))?;
                self.before(&pad, o);
                let _ = writeln!(o, "{pad}{place} = {text};");
            }
            Step::If { test, then, otherwise } => {
                let test = self.x.text(test, BIT)?;
                self.before(&pad, o);
                let _ = write!(o, "{pad}");
                self.branches(test, then, otherwise, depth, o)?;
            }
            Step::Case { test, arms } => {
                let shape = self.x.shape(test);
                let text = self.x.text(test, None)?;
                let width = shape.ok_or_else(|| Fault::Unsized(text.clone()))?.0;
                self.before(&pad, o);
                let _ = writeln!(o, "{pad}case ({text})");
                for (label, steps) in arms {
                    let label = match self.symbols.get(label) {
                        Some(x) => x.name.clone(),
                        None if label == "default" => label.clone(),
                        None => {
                            let digits = label.trim_end_matches(|c: char| c.is_ascii_alphabetic()).replace('_', "");
                            sized(digits.parse().map_err(|_| Fault::Unknown(label.clone()))?, (width, false))?
                        }
                    };
                    let _ = writeln!(o, "{pad}    {label}: begin");
                    steps.iter().try_for_each(|s| self.statement(s, depth + 2, o))?;
                    let _ = writeln!(o, "{pad}    end");
                }
                if !arms.iter().any(|(label, _)| label == "default") {
                    let _ = writeln!(o, "{pad}    default: begin\n{pad}    end");
                }
                let _ = writeln!(o, "{pad}endcase");
            }
            Step::Comment(c) => {
                let _ = writeln!(o, "{pad}// {c}");
            }
        }
        Ok(())
    }

    fn branches(&mut self, test: String, then: &'a [Step], otherwise: &'a [Step], depth: usize, o: &mut String) -> Result<(), Fault> {
        let pad = "    ".repeat(depth);
        let _ = writeln!(o, "if ({test}) begin");
        then.iter().try_for_each(|s| self.statement(s, depth + 1, o))?;
        let _ = write!(o, "{pad}end");
        match otherwise {
            [] => {}
            [Step::If { test, then, otherwise }] => {
                let test = self.x.text(test, BIT)?;
                if self.x.before.is_empty() {
                    let _ = write!(o, " else ");
                    return self.branches(test, then, otherwise, depth, o);
                }
                let _ = writeln!(o, " else begin");
                self.before(&format!("{pad}    "), o);
                let _ = write!(o, "{pad}    ");
                self.branches(test, then, otherwise, depth + 1, o)?;
                let _ = write!(o, "{pad}end");
            }
            steps => {
                let _ = writeln!(o, " else begin");
                steps.iter().try_for_each(|s| self.statement(s, depth + 1, o))?;
                let _ = write!(o, "{pad}end");
            }
        }
        let _ = writeln!(o);
        Ok(())
    }

    fn header(&self) -> String {
        let parameters: Vec<_> = self.s.meta.parameters.iter().map(|p| format!("    parameter {} = {}", p.name, p.default)).collect();
        let mut o = if parameters.is_empty() { String::new() } else { format!("#(\n{}\n) ", parameters.join(",\n")) };
        let ports: Vec<_> = self
            .s
            .nets
            .iter()
            .filter_map(|n| {
                let direction = match n.kind {
                    AtomKind::InputParameter => "input wire",
                    AtomKind::OutputParameter if self.plan.procedural.contains(&n.raw) => "output reg",
                    AtomKind::OutputParameter => "output wire",
                    _ => return None,
                };
                Some(format!("    {direction} {}{}", span(n.width, n.signed), n.name))
            })
            .collect();
        let _ = writeln!(o, "(\n{}\n);", ports.join(",\n"));
        o
    }

    /// Constants and labels that something reads.
    fn constants(&self) -> Result<String, Fault> {
        let mut all: Vec<&Symbol> = self
            .symbols
            .iter()
            .filter(|(raw, s)| matches!(s.class, Class::Constant | Class::Label) && self.plan.read.contains(*raw))
            .map(|x| x.1)
            .collect();
        all.sort_by(|a, b| (a.class == Class::Label, a.value, &a.name).cmp(&(b.class == Class::Label, b.value, &b.name)));
        let mut o = String::new();
        for c in all {
            let _ = writeln!(o, "    localparam {}{} = {};", span(c.width, false), c.name, sized(c.value, (c.width, false))?);
        }
        Ok(o)
    }

    /// Nets of instances, the instances, the registers.
    fn children(&mut self) -> Result<(String, String, String), Fault> {
        let (mut nets, mut instances, mut registers) = (String::new(), String::new(), String::new());
        for c in &self.s.children {
            let mut pins: HashMap<&str, String> = HashMap::new();
            for p in &c.ports {
                let raw = format!("{}${}", c.raw, p.raw);
                let symbol = self.x.symbol(&raw)?;
                if let Some(pin) = self.direct.get(raw.as_str()) {
                    pins.insert(&p.raw, pin.clone());
                    continue;
                }
                if symbol.class == Class::ChildInput && !self.plan.written.contains(&raw) {
                    return Err(Fault::NeverAssigned(raw));
                }
                let idle = symbol.class == Class::ChildOutput && !self.plan.read.contains(&raw);
                let name = if idle { format!("unused_{}", symbol.name) } else { symbol.name.clone() };
                let is_q = matches!(&c.of, Of::Register(r) if r.q == p.raw);
                let kind = if is_q || self.plan.procedural.contains(&raw) { "reg" } else { "wire" };
                let _ = writeln!(nets, "    {kind} {}{name};", span(p.width, p.signed));
                pins.insert(&p.raw, name);
            }
            match &c.of {
                Of::Module { name, parameters } => {
                    let lines: Vec<_> = c.ports.iter().map(|p| format!("        .{}({})", p.name, pins[p.raw.as_str()])).collect();
                    let _ = writeln!(instances, "    {name}{parameters} {} (\n{}\n    );", c.label, lines.join(",\n"));
                }
                Of::Register(r) => {
                    let (d, q, clock) = (&pins[r.d.as_str()], &pins[r.q.as_str()], &pins[r.clock.as_str()]);
                    if let Some(initial) = &r.initial {
                        let width = c.ports.iter().find(|p| p.raw == r.q).map_or(1, |p| p.width);
                        let _ = writeln!(registers, "    initial {q} = {};", self.initial(initial, width, &c.raw)?);
                    }
                    let _ = writeln!(registers, "    always @(posedge {clock}) {q} <= {d};");
                }
            }
        }
        Ok((nets, instances, registers))
    }

    fn initial(&self, text: &str, width: usize, used: &str) -> Result<String, Fault> {
        match text.parse() {
            Ok(value) => sized(value, (width, false)),
            // a parameter has 32 bits unless whoever sets it says otherwise, so it is compared and not assigned
            Err(_) if self.s.meta.parameters.iter().any(|p| p.name == text) => Ok(format!("({text} != 0)")),
            Err(_) => Err(Fault::Parameter { name: text.into(), used: used.into() }),
        }
    }

    /// Verilator warns of bits that nobody reads. A slice leaves the others out on purpose, so it says so.
    fn unread(&mut self) -> String {
        let sources = self.symbols.values().filter(|s| matches!(s.class, Class::Input | Class::Local | Class::ChildOutput));
        let bits = self.x.unread(&sources.map(|s| s.name.as_str()).collect());
        if bits.is_empty() {
            return String::new();
        }
        let name = self.x.fresh("unused_bits");
        format!("    wire {name} = &{{1'b0, {}}};\n", bits.join(", "))
    }
}

fn lines(o: &mut String, lines: &[String]) {
    for line in lines {
        let _ = writeln!(o, "    {line}");
    }
}
