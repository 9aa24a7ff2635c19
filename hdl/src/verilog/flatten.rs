//! From a kernel's syntax tree to flat steps: loops unrolled, indices computed, constant conditions decided.

use super::fault::Fault;
use crate::signal::{Cast, Fit};
use rust_hdl::core::ast::{
    VerilogBlock, VerilogBlockOrConditional, VerilogExpression, VerilogLink, VerilogLiteral, VerilogOp, VerilogOpUnary, VerilogStatement,
};
use std::collections::HashMap;
use std::fmt::Write;

/// An expression over signals in rust-hdl's spelling without `[]`, as `pe$3$act`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    Net(String),
    Value(i128),
    /// Zero-extend or truncate.
    Resize(Box<Expr>, usize),
    /// Bits from an offset on; without a width, as many as its place has.
    Part {
        of: Box<Expr>,
        offset: Box<Expr>,
        width: Option<usize>,
    },
    SetBit {
        of: Box<Expr>,
        at: Box<Expr>,
        bit: Box<Expr>,
    },
    Sign(Box<Expr>, bool),
    Unary(Unary, Box<Expr>),
    Binary(Box<Expr>, Op, Box<Expr>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unary {
    Not,
    Neg,
    All,
    Any,
    Xor,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Op {
    Add,
    Sub,
    Mul,
    And,
    Or,
    Xor,
    Shl,
    Shr,
    Both,
    Either,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// One statement. In an assignment `part` is the offset and width of the bits assigned.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Assign { to: String, part: Option<(Expr, usize)>, value: Expr },
    If { test: Expr, then: Vec<Step>, otherwise: Vec<Step> },
    Case { test: Expr, arms: Vec<(String, Vec<Step>)> },
    Comment(String),
}

impl Expr {
    /// Calls `f` with each signal read.
    pub(super) fn reads<'a>(&'a self, f: &mut dyn FnMut(&'a str)) {
        match self {
            Expr::Net(name) => f(name),
            Expr::Value(_) => {}
            Expr::Resize(x, _) | Expr::Sign(x, _) | Expr::Unary(_, x) => x.reads(f),
            Expr::Part { of: a, offset: b, .. } | Expr::Binary(a, _, b) => {
                a.reads(f);
                b.reads(f);
            }
            Expr::SetBit { of, at, bit } => {
                of.reads(f);
                at.reads(f);
                bit.reads(f);
            }
        }
    }

    /// Is it one bit whatever the widths of its signals?
    fn is_truth(&self) -> bool {
        use Op::*;
        match self {
            Expr::Binary(_, op, _) => matches!(op, Both | Either | Eq | Ne | Lt | Le | Gt | Ge),
            Expr::Unary(Unary::Not, x) => x.is_truth(),
            Expr::Unary(op, _) => matches!(op, Unary::All | Unary::Any | Unary::Xor),
            _ => false,
        }
    }

    /// Its value, if it is made of numbers and constants alone.
    pub(super) fn fold(&self, constants: &HashMap<String, i128>) -> Option<i128> {
        let fold = |x: &Expr| x.fold(constants);
        match self {
            Expr::Net(name) => constants.get(name).copied(),
            Expr::Value(v) => Some(*v),
            Expr::Unary(Unary::Not, x) if x.is_truth() => Some((fold(x)? == 0).into()),
            Expr::Unary(Unary::Any, x) => Some((fold(x)? != 0).into()),
            Expr::Binary(a, op, b) => op.apply(fold(a)?, fold(b)?),
            _ => None,
        }
    }
}

impl Op {
    fn apply(self, a: i128, b: i128) -> Option<i128> {
        let truth = |x: bool| Some(x.into());
        match self {
            Op::Add => a.checked_add(b),
            Op::Sub => a.checked_sub(b),
            Op::Mul => a.checked_mul(b),
            Op::Both => truth(a != 0 && b != 0),
            Op::Either => truth(a != 0 || b != 0),
            Op::Eq => truth(a == b),
            Op::Ne => truth(a != b),
            Op::Lt => truth(a < b),
            Op::Le => truth(a <= b),
            Op::Gt => truth(a > b),
            Op::Ge => truth(a >= b),
            _ => None,
        }
    }

    fn from_ast(op: &VerilogOp) -> Op {
        match op {
            VerilogOp::Add => Op::Add,
            VerilogOp::Sub => Op::Sub,
            VerilogOp::Mul => Op::Mul,
            VerilogOp::LogicalAnd => Op::Both,
            VerilogOp::LogicalOr => Op::Either,
            VerilogOp::BitXor => Op::Xor,
            VerilogOp::BitAnd => Op::And,
            VerilogOp::BitOr => Op::Or,
            VerilogOp::Shl => Op::Shl,
            VerilogOp::Shr => Op::Shr,
            VerilogOp::Eq => Op::Eq,
            VerilogOp::Ne => Op::Ne,
            VerilogOp::Lt => Op::Lt,
            VerilogOp::Le => Op::Le,
            VerilogOp::Gt => Op::Gt,
            VerilogOp::Ge => Op::Ge,
        }
    }
}

/// The number in a literal; its fields are private, so its text is read.
pub(super) fn literal(l: &VerilogLiteral) -> Option<i128> {
    let text = l.to_string();
    let (_, rest) = text.split_once('\'')?;
    let radix = if rest.starts_with('b') { 2 } else { 16 };
    i128::from_str_radix(rest.get(1..)?, radix).ok()
}

/// Unrolls a kernel. `values` are the block's `Meta::value`s, `constants` its `Const`s.
pub(super) fn flatten(block: &VerilogBlock, values: &[(String, i64)], constants: &HashMap<String, i128>) -> Result<Vec<Step>, Fault> {
    let mut flat = Flatten { scope: values.to_vec(), constants };
    let mut out = vec![];
    flat.block(block, &mut out)?;
    Ok(out)
}

struct Flatten<'a> {
    scope: Vec<(String, i64)>,
    constants: &'a HashMap<String, i128>,
}

impl Flatten<'_> {
    fn lookup(&self, name: &str) -> Option<i64> {
        self.scope.iter().rev().find(|(n, _)| n == name).map(|x| x.1)
    }

    fn block(&mut self, block: &[VerilogStatement], out: &mut Vec<Step>) -> Result<(), Fault> {
        block.iter().try_for_each(|s| self.statement(s, out))
    }

    fn nested(&mut self, block: &[VerilogStatement]) -> Result<Vec<Step>, Fault> {
        let mut out = vec![];
        self.block(block, &mut out)?;
        Ok(out)
    }

    fn statement(&mut self, s: &VerilogStatement, out: &mut Vec<Step>) -> Result<(), Fault> {
        match s {
            VerilogStatement::Assignment(l, r) => out.push(self.assignment(l, r)?),
            VerilogStatement::SliceAssignment { base, width, offset, replacement } => {
                out.push(Step::Assign { to: self.target(base)?, part: Some((self.expr(offset)?, *width)), value: self.expr(replacement)? })
            }
            VerilogStatement::If(c) => {
                let test = self.expr(&c.test)?;
                let known = test.fold(self.constants);
                let then = if known == Some(0) { vec![] } else { self.nested(&c.then)? };
                let otherwise = match &c.otherwise {
                    _ if known.is_some_and(|v| v != 0) => vec![],
                    VerilogBlockOrConditional::Block(b) => self.nested(b)?,
                    VerilogBlockOrConditional::Conditional(s) => self.nested(std::slice::from_ref(&**s))?,
                    VerilogBlockOrConditional::None => vec![],
                };
                match known {
                    Some(_) => out.extend(then.into_iter().chain(otherwise)),
                    None => out.push(Step::If { test, then, otherwise }),
                }
            }
            VerilogStatement::Match(m) => {
                let mut arms = vec![];
                for c in &m.cases {
                    arms.push((self.canonical(&c.condition)?, self.nested(&c.block)?));
                }
                out.push(Step::Case { test: self.expr(&m.test)?, arms });
            }
            VerilogStatement::Loop(l) => {
                let bound = |l: &VerilogLiteral| literal(l).and_then(|v| i64::try_from(v).ok()).ok_or(Fault::Index(l.to_string()));
                for i in bound(&l.from)?..bound(&l.to)? {
                    self.scope.push((l.index.clone(), i));
                    let done = self.block(&l.block, out);
                    self.scope.pop();
                    done?;
                }
            }
            VerilogStatement::Comment(c) => {
                // the macro hands over its whole call as text
                let inside = c.split_once('"').map_or(c.as_str(), |x| x.1);
                out.push(Step::Comment(inside.trim_end_matches(['"', ')']).trim().into()));
            }
            VerilogStatement::Macro(b) => self.block(b, out)?,
            VerilogStatement::Link(links) => {
                for l in links {
                    let (VerilogLink::Forward(d) | VerilogLink::Backward(d) | VerilogLink::Bidirectional(d)) = l;
                    let my = d.my_name.trim_start_matches('.');
                    let end = |x: &str| self.canonical(&if my.is_empty() { x.to_string() } else { format!("{x}${my}") });
                    let (owner, other) = (end(&d.owner_name)?, end(&d.other_name)?);
                    let (to, from) = match l {
                        VerilogLink::Forward(_) => (other, owner),
                        VerilogLink::Backward(_) => (owner, other),
                        VerilogLink::Bidirectional(_) => return Err(Fault::Unsupported("a tristate signal")),
                    };
                    out.push(Step::Assign { to, part: None, value: Expr::Net(from) });
                }
            }
        }
        Ok(())
    }

    fn target(&self, e: &VerilogExpression) -> Result<String, Fault> {
        match self.expr(e)? {
            Expr::Net(name) => Ok(name),
            _ => Err(Fault::Unsupported("an assignment to anything but a signal")),
        }
    }

    fn assignment(&self, l: &VerilogExpression, r: &VerilogExpression) -> Result<Step, Fault> {
        let (to, value) = (self.target(l)?, self.expr(r)?);
        // `x.next = x.val().replace_bit(2, b)` is the one way to say `x[2] = b` in a kernel
        if let Expr::SetBit { of, at, bit } = &value {
            if **of == Expr::Net(to.clone()) {
                return Ok(Step::Assign { to, part: Some(((**at).clone(), 1)), value: (**bit).clone() });
            }
        }
        Ok(Step::Assign { to, part: None, value })
    }

    fn expr(&self, e: &VerilogExpression) -> Result<Expr, Fault> {
        let boxed = |x: &VerilogExpression| self.expr(x).map(Box::new);
        Ok(match e {
            VerilogExpression::Signal(s) => match self.lookup(s) {
                Some(v) => Expr::Value(v.into()),
                None => Expr::Net(self.canonical(s)?),
            },
            VerilogExpression::Literal(l) => Expr::Value(literal(l).ok_or(Fault::Unsupported("a literal beyond 127 bits"))?),
            VerilogExpression::Paren(x) => self.expr(x)?,
            VerilogExpression::Cast(x, code) => match Cast::decode(*code) {
                Cast::Resize(width) => Expr::Resize(boxed(x)?, width),
                Cast::Slice { offset, width } => {
                    Expr::Part { of: boxed(x)?, offset: Box::new(Expr::Value(offset as i128)), width: Some(width) }
                }
            },
            VerilogExpression::Signed(x) => Expr::Sign(boxed(x)?, true),
            VerilogExpression::Unsigned(x) => Expr::Sign(boxed(x)?, false),
            VerilogExpression::Index(x, i) => Expr::Part { of: boxed(x)?, offset: boxed(i)?, width: Some(1) },
            VerilogExpression::Slice(x, w, i) => Expr::Part { of: boxed(x)?, offset: boxed(i)?, width: (*w != Fit).then_some(*w) },
            VerilogExpression::IndexReplace(x, i, b) => Expr::SetBit { of: boxed(x)?, at: boxed(i)?, bit: boxed(b)? },
            VerilogExpression::Unary(op, x) => {
                let op = match op {
                    VerilogOpUnary::Not => Unary::Not,
                    VerilogOpUnary::Neg => Unary::Neg,
                    VerilogOpUnary::All => Unary::All,
                    VerilogOpUnary::Any => Unary::Any,
                    VerilogOpUnary::Xor => Unary::Xor,
                };
                match self.expr(x)? {
                    Expr::Value(v) if op == Unary::Neg => Expr::Value(-v),
                    x => Expr::Unary(op, Box::new(x)),
                }
            }
            VerilogExpression::Binary(a, op, b) => {
                let (a, op, b) = (self.expr(a)?, Op::from_ast(op), self.expr(b)?);
                // arithmetic on loop variables is over before any width matters
                match (&a, &b) {
                    (Expr::Value(x), Expr::Value(y)) => op.apply(*x, *y).map(Expr::Value),
                    _ => None,
                }
                .unwrap_or(Expr::Binary(Box::new(a), op, Box::new(b)))
            }
        })
    }

    /// `pe[i-1]$act$next` becomes `pe$2$act`.
    fn canonical(&self, s: &str) -> Result<String, Fault> {
        let s = s.strip_suffix("$next").unwrap_or(s);
        if !s.contains(['[', ':', '.']) {
            return Ok(s.to_string());
        }
        let s = s.replace("::", "$").replace('.', "$");
        let (mut out, mut rest) = (String::new(), s.as_str());
        while let Some((before, after)) = rest.split_once('[') {
            let (index, tail) = after.split_once(']').ok_or_else(|| Fault::Index(s.clone()))?;
            let _ = write!(out, "{before}${}", self.index(index)?);
            rest = tail;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// Index expressions arrive as text: `i-1`, `i*4+(j/2)`.
    fn index(&self, text: &str) -> Result<i64, Fault> {
        let clean = text.replace([' ', '\n'], "");
        let mut rest = clean.as_str();
        match self.sum(&mut rest) {
            Some(v) if rest.is_empty() && v >= 0 => Ok(v),
            _ => Err(Fault::Index(text.into())),
        }
    }

    fn sum(&self, rest: &mut &str) -> Option<i64> {
        let mut v = self.product(rest)?;
        while let Some(op) = take(rest, "+-") {
            let r = self.product(rest)?;
            v = if op == '+' { v.checked_add(r)? } else { v.checked_sub(r)? };
        }
        Some(v)
    }

    fn product(&self, rest: &mut &str) -> Option<i64> {
        let mut v = self.factor(rest)?;
        while let Some(op) = take(rest, "*/%") {
            let r = self.factor(rest)?;
            v = match op {
                '*' => v.checked_mul(r)?,
                '/' => v.checked_div(r)?,
                _ => v.checked_rem(r)?,
            };
        }
        Some(v)
    }

    fn factor(&self, rest: &mut &str) -> Option<i64> {
        if take(rest, "(").is_some() {
            let v = self.sum(rest)?;
            return take(rest, ")").map(|_| v);
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        *rest = tail;
        self.lookup(word).or_else(|| word.trim_end_matches("usize").trim_end_matches('_').parse().ok())
    }
}

fn take(rest: &mut &str, any_of: &str) -> Option<char> {
    let c = rest.chars().next().filter(|c| any_of.contains(*c))?;
    *rest = rest.get(c.len_utf8()..)?;
    Some(c)
}
