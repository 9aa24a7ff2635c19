//! The text of expressions: parenthesised always, literals sized and signed by their context, widths checked.
//!
//! Verilog widens an operand to its context silently; here two widths meet only if they are equal, so the context never
//! changes a value and each operator wraps at its own width.

use super::fault::Fault;
use super::flatten::{Expr, Op, Unary};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What a name stands for in a module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Class {
    Input,
    Output,
    Local,
    Constant,
    Label,
    ChildInput,
    ChildOutput,
}

/// A signal of the module or of one of its instances.
#[derive(Clone, Debug)]
pub(super) struct Symbol {
    pub name: String,
    pub width: usize,
    pub signed: bool,
    pub clock: bool,
    pub class: Class,
    /// Of a constant or label.
    pub value: i128,
}

/// Width and sign.
pub(super) type Shape = Option<(usize, bool)>;
pub(super) const BIT: Shape = Some((1, false));

/// Which bits of a signal are read.
enum Use {
    All,
    Parts(Vec<(usize, usize)>),
}

/// Writes expressions and keeps what they need: intermediates and which bits are read.
pub(super) struct Expressions<'a> {
    pub symbols: &'a HashMap<String, Symbol>,
    taken: HashSet<String>,
    uses: BTreeMap<String, (usize, Use)>,
    known: HashMap<String, String>,
    /// Declarations of intermediates, and the assignments of those that are nets.
    pub declarations: Vec<String>,
    pub assigns: Vec<String>,
    /// In a process: the signals it assigns, lines to put before the statement at hand, and at the process's head.
    process: Option<HashSet<&'a str>>,
    pub before: Vec<String>,
    pub head: Vec<String>,
}

/// A literal in a context.
pub(super) fn sized(value: i128, (width, signed): (usize, bool)) -> Result<String, Fault> {
    let fault = Fault::Literal { value, width, signed };
    let fits = |bits: usize| bits >= 127 || value.unsigned_abs() < 1u128 << bits;
    if signed {
        if value < 0 && !fits(width - 1) && value.unsigned_abs() != 1u128 << (width - 1) || value >= 0 && !fits(width - 1) {
            return Err(fault);
        }
        return Ok(if value < 0 { format!("-{width}'sd{}", -value) } else { format!("{width}'sd{value}") });
    }
    if value < 0 || !fits(width) {
        return Err(fault);
    }
    Ok(format!("{width}'d{value}"))
}

/// Has the text an operator outside of all brackets? Operators are always written between spaces, or in front.
fn is_compound(text: &str) -> bool {
    let mut depth = 0;
    text.starts_with(['~', '-', '&', '|', '^'])
        || text.bytes().any(|b| {
            match b {
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth -= 1,
                _ => {}
            }
            depth == 0 && b == b' '
        })
}

/// Bits that count to `n`.
fn bits_to_index(n: usize) -> usize {
    (usize::BITS - n.saturating_sub(1).leading_zeros()).max(1) as usize
}

impl<'a> Expressions<'a> {
    pub(super) fn new(symbols: &'a HashMap<String, Symbol>, taken: HashSet<String>) -> Self {
        Expressions {
            symbols,
            taken,
            uses: BTreeMap::new(),
            known: HashMap::new(),
            declarations: vec![],
            assigns: vec![],
            process: None,
            before: vec![],
            head: vec![],
        }
    }

    pub(super) fn enter(&mut self, process: Option<HashSet<&'a str>>) {
        self.process = process;
    }

    pub(super) fn symbol(&self, raw: &str) -> Result<&'a Symbol, Fault> {
        self.symbols.get(raw).ok_or_else(|| Fault::Unknown(raw.into()))
    }

    /// A name that nothing else has.
    pub(super) fn fresh(&mut self, stem: &str) -> String {
        let mut k = 0;
        loop {
            let name = format!("{stem}_{k}");
            if self.taken.insert(name.clone()) {
                return name;
            }
            k += 1;
        }
    }

    pub(super) fn mark(&mut self, name: &str, width: usize, part: Option<(usize, usize)>) {
        let entry = self.uses.entry(name.into()).or_insert((width, Use::Parts(vec![])));
        match (&mut entry.1, part) {
            (Use::Parts(parts), Some(p)) => parts.push(p),
            (used, None) => *used = Use::All,
            _ => {}
        }
    }

    /// The bits that slices leave unread, as `x[7:4]`, of the names that `relevant` admits.
    pub(super) fn unread(&self, relevant: &HashSet<&str>) -> Vec<String> {
        let mut out = vec![];
        for (name, (width, used)) in &self.uses {
            let Use::Parts(parts) = used else { continue };
            if !relevant.contains(name.as_str()) && !self.taken_here(name) {
                continue;
            }
            let mut parts = parts.clone();
            parts.sort();
            let mut next = 0;
            for (low, end) in parts.into_iter().chain([(*width, *width)]) {
                if low > next {
                    out.push(format!("{name}{}", range(next, low - next)));
                }
                next = next.max(end);
            }
        }
        out
    }

    fn taken_here(&self, name: &str) -> bool {
        name.starts_with("wide_") && self.known.values().any(|n| n == name)
    }

    pub(super) fn shape(&self, e: &Expr) -> Shape {
        match e {
            Expr::Net(s) => self.symbols.get(s).map(|x| (x.width, x.signed)),
            Expr::Value(_) => None,
            Expr::Resize(_, n) => Some((*n, false)),
            Expr::Part { width, .. } => width.map(|w| (w, false)),
            Expr::SetBit { of: x, .. } => self.shape(x),
            Expr::Sign(x, signed) => self.shape(x).map(|s| (s.0, *signed)),
            Expr::Unary(Unary::Not | Unary::Neg, x) => self.shape(x),
            Expr::Unary(..) => BIT,
            Expr::Binary(a, Op::Shl | Op::Shr, _) => self.shape(a),
            Expr::Binary(a, Op::Add | Op::Sub | Op::Mul | Op::And | Op::Or | Op::Xor, b) => self.shape(a).or(self.shape(b)),
            Expr::Binary(..) => BIT,
        }
    }

    fn fold(&self, e: &Expr) -> Option<i128> {
        match e {
            Expr::Net(s) => self.symbols.get(s).filter(|x| matches!(x.class, Class::Constant)).map(|x| x.value),
            Expr::Value(v) => Some(*v),
            Expr::Binary(a, op, b) => {
                let both = Expr::Binary(Box::new(Expr::Value(self.fold(a)?)), *op, Box::new(Expr::Value(self.fold(b)?)));
                both.fold(&HashMap::new())
            }
            _ => None,
        }
    }

    /// `context`: the shape of the place, which the expression must have and an unsized literal takes.
    pub(super) fn text(&mut self, e: &Expr, context: Shape) -> Result<String, Fault> {
        let own = self.shape(e);
        let text = self.spell(e, context)?;
        if let (Some(found), Some(expected)) = (own, context) {
            if found.0 != expected.0 {
                return Err(Fault::Width { text, found: found.0, expected: expected.0 });
            }
            if found.1 != expected.1 {
                return Err(Fault::MixedSigns(text));
            }
        }
        Ok(text)
    }

    /// As an operand: in parentheses if it is more than a word.
    fn operand(&mut self, e: &Expr, context: Shape) -> Result<String, Fault> {
        let text = self.text(e, context)?;
        Ok(if is_compound(&text) { format!("({text})") } else { text })
    }

    fn spell(&mut self, e: &Expr, context: Shape) -> Result<String, Fault> {
        match e {
            Expr::Net(s) => {
                let symbol = self.symbol(s)?;
                self.mark(&symbol.name, symbol.width, None);
                Ok(symbol.name.clone())
            }
            Expr::Value(v) => sized(*v, context.ok_or_else(|| Fault::Unsized(v.to_string()))?),
            Expr::Resize(x, n) => self.resize(x, *n),
            Expr::Part { of, offset, width } => {
                let width = width.or(context.map(|c| c.0)).ok_or_else(|| Fault::Unsized(format!("{of:?}")))?;
                let fit = matches!(e, Expr::Part { width: None, .. });
                self.part(of, offset, width, fit)
            }
            Expr::SetBit { of, at, bit } => self.set_bit(of, at, bit),
            Expr::Sign(x, signed) => {
                let inner = self.shape(x).map(|s| s.0).or(context.map(|c| c.0)).map(|w| (w, self.shape(x).is_some_and(|s| s.1)));
                Ok(format!("{}({})", if *signed { "$signed" } else { "$unsigned" }, self.text(x, inner)?))
            }
            Expr::Unary(op, x) => {
                let inner = if matches!(op, Unary::Not | Unary::Neg) { context } else { self.shape(x) };
                let sign = match op {
                    Unary::Not => "~",
                    Unary::Neg => "-",
                    Unary::All => "&",
                    Unary::Any => "|",
                    Unary::Xor => "^",
                };
                Ok(format!("{sign}{}", self.operand(x, inner)?))
            }
            Expr::Binary(a, op, b) => self.binary(a, *op, b, context),
        }
    }

    fn binary(&mut self, a: &Expr, op: Op, b: &Expr, context: Shape) -> Result<String, Fault> {
        let (left, right) = (self.shape(a), self.shape(b));
        let either = left.or(right);
        let (sign, l, r) = match op {
            Op::Add => ("+", either.or(context), either.or(context)),
            Op::Sub => ("-", either.or(context), either.or(context)),
            Op::And => ("&", either.or(context), either.or(context)),
            Op::Or => ("|", either.or(context), either.or(context)),
            Op::Xor => ("^", either.or(context), either.or(context)),
            Op::Mul => return Err(Fault::Arithmetic("a product")),
            Op::Shr if left.is_some_and(|s| s.1) => return Err(Fault::Arithmetic("a right shift of a signed value")),
            Op::Shl => ("<<", left.or(context), right),
            Op::Shr => (">>", left.or(context), right),
            Op::Both => ("&&", BIT, BIT),
            Op::Either => ("||", BIT, BIT),
            Op::Eq => ("==", either, either),
            Op::Ne => ("!=", either, either),
            Op::Lt => ("<", either, either),
            Op::Le => ("<=", either, either),
            Op::Gt => (">", either, either),
            Op::Ge => (">=", either, either),
        };
        let l = self.operand(a, l)?;
        let r = match (op, b) {
            // the amount of a shift has no context: a plain number has the width of all plain numbers
            (Op::Shl | Op::Shr, Expr::Value(v)) => v.to_string(),
            _ => self.operand(b, r)?,
        };
        Ok(format!("{l} {sign} {r}"))
    }

    fn resize(&mut self, x: &Expr, to: usize) -> Result<String, Fault> {
        match self.shape(x) {
            None => self.text(x, Some((to, false))),
            Some((from, _)) if from == to => self.text(x, None),
            Some((from, _)) if from < to => Ok(format!("{{{}'d0, {}}}", to - from, self.text(x, None)?)),
            Some(_) => self.part(x, &Expr::Value(0), to, false),
        }
    }

    fn part(&mut self, of: &Expr, offset: &Expr, width: usize, fit: bool) -> Result<String, Fault> {
        let (size, _) = self.shape(of).ok_or_else(|| Fault::Unsized(format!("{of:?}")))?;
        let Some(at) = self.fold(offset) else { return self.dynamic_part(of, offset, width, size) };
        let range_fault = |text| Fault::Range { text, width: size, low: at, high: at + width as i128 - 1 };
        let low = usize::try_from(at).map_err(|_| range_fault(format!("{of:?}")))?;
        if low == 0 && width == size {
            return self.text(of, None);
        }
        let name = self.named(of)?;
        let end = low + width;
        if end <= size {
            self.mark(&name, size, Some((low, end)));
            return Ok(format!("{name}{}", range(low, width)));
        }
        if !fit || low >= size {
            return Err(range_fault(name));
        }
        self.mark(&name, size, Some((low, size)));
        let bits = if low == 0 { String::new() } else { range(low, size - low) };
        Ok(format!("{{{}'d0, {name}{bits}}}", end - size))
    }

    fn dynamic_part(&mut self, of: &Expr, offset: &Expr, width: usize, size: usize) -> Result<String, Fault> {
        if size == 1 && width == 1 {
            let (of, by) = (self.operand(of, None)?, self.operand(offset, None)?);
            return Ok(format!("({of} >> {by})"));
        }
        let name = self.named(of)?;
        self.mark(&name, size, None);
        if width > size {
            return Err(Fault::Range { text: name, width: size, low: 0, high: width as i128 - 1 });
        }
        let (needed, index) = (bits_to_index(size), self.text(offset, None)?);
        let found = self.shape(offset).ok_or_else(|| Fault::Unsized(index.clone()))?.0;
        let index = match found {
            _ if found > needed => return Err(Fault::IndexWidth { text: name, width: size, found, needed }),
            _ if found < needed => format!("{{{}'d0, {index}}}", needed - found),
            _ => index,
        };
        Ok(if width == 1 { format!("{name}[{index}]") } else { format!("{name}[{index} +: {width}]") })
    }

    fn set_bit(&mut self, of: &Expr, at: &Expr, bit: &Expr) -> Result<String, Fault> {
        let (size, _) = self.shape(of).ok_or_else(|| Fault::Unsized(format!("{of:?}")))?;
        let bit = self.text(bit, BIT)?;
        if let Some(v) = self.fold(at) {
            let at = usize::try_from(v).ok().filter(|a| *a < size);
            let at = at.ok_or_else(|| Fault::Range { text: format!("{of:?}"), width: size, low: v, high: v })?;
            if size == 1 {
                return Ok(bit);
            }
            let name = self.named(of)?;
            let mut parts = vec![];
            if at + 1 < size {
                self.mark(&name, size, Some((at + 1, size)));
                parts.push(format!("{name}{}", range(at + 1, size - at - 1)));
            }
            parts.push(bit);
            if at > 0 {
                self.mark(&name, size, Some((0, at)));
                parts.push(format!("{name}{}", range(0, at)));
            }
            return Ok(format!("{{{}}}", parts.join(", ")));
        }
        let (of, at) = (self.operand(of, None)?, self.operand(at, None)?);
        let wide = if size == 1 { bit } else { format!("{{{}'d0, {bit}}}", size - 1) };
        Ok(format!("({of} & ~({size}'d1 << {at})) | ({wide} << {at})"))
    }

    /// A name for a value, since Verilog takes bits of names only: an intermediate of full width if it has none.
    fn named(&mut self, e: &Expr) -> Result<String, Fault> {
        if let Expr::Net(s) = e {
            return Ok(self.symbol(s)?.name.clone());
        }
        let text = self.text(e, None)?;
        let (width, _) = self.shape(e).ok_or_else(|| Fault::Unsized(text.clone()))?;
        let span = if width == 1 { String::new() } else { format!("[{}:0] ", width - 1) };
        let mut moving = false;
        if let Some(assigned) = &self.process {
            e.reads(&mut |x| moving |= assigned.contains(x));
        }
        if moving {
            // what it reads changes in the course of the process, so it must be computed at this very place
            let name = self.fresh("wide");
            self.known.insert(name.clone(), name.clone());
            self.declarations.push(format!("reg {span}{name};"));
            self.head.push(format!("{name} = {width}'d0;"));
            self.before.push(format!("{name} = {text};"));
            return Ok(name);
        }
        if let Some(name) = self.known.get(&text) {
            return Ok(name.clone());
        }
        let name = self.fresh("wide");
        self.declarations.push(format!("wire {span}{name};"));
        self.assigns.push(format!("assign {name} = {text};"));
        self.known.insert(text, name.clone());
        Ok(name)
    }

    /// The left side of an assignment to part of a signal, and the width of that part.
    pub(super) fn place(&mut self, to: &Symbol, offset: &Expr, width: usize) -> Result<String, Fault> {
        if let Some(low) = self.fold(offset) {
            let end = usize::try_from(low).ok().map(|l| l + width).filter(|e| *e <= to.width);
            let end = end.ok_or(Fault::Range { text: to.name.clone(), width: to.width, low, high: low + width as i128 - 1 })?;
            let whole = width == to.width;
            return Ok(format!("{}{}", to.name, if whole { String::new() } else { range(end - width, width) }));
        }
        if to.width == 1 {
            return Err(Fault::Unsupported("a computed index into a single bit"));
        }
        let (needed, index) = (bits_to_index(to.width), self.text(offset, None)?);
        let found = self.shape(offset).ok_or_else(|| Fault::Unsized(index.clone()))?.0;
        if found > needed {
            return Err(Fault::IndexWidth { text: to.name.clone(), width: to.width, found, needed });
        }
        let index = if found < needed { format!("{{{}'d0, {index}}}", needed - found) } else { index };
        Ok(if width == 1 { format!("{}[{index}]", to.name) } else { format!("{}[{index} +: {width}]", to.name) })
    }
}

/// `[high:low]`, or `[low]` for one bit.
fn range(low: usize, width: usize) -> String {
    if width == 1 {
        format!("[{low}]")
    } else {
        format!("[{}:{low}]", low + width - 1)
    }
}
