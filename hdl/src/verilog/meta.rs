//! What a block says about its module beyond signals and kernel: name, header comment, parameters, numbers.
//!
//! It travels in `Logic::timing()`, which `#[hdl_gen]` leaves free and rust-hdl's checks do not read.

use rust_hdl::core::prelude::TimingInfo;

const MODULE: &str = "lacuna:module";
const PARAMETER: &str = "lacuna:parameter";
const VALUE: &str = "lacuna:value";
const REGISTER: &str = "lacuna:register";

/// Built in a block's `timing()`:
///
/// ```
/// # use lacuna_hdl::verilog::Meta;
/// # let _n = 4usize;
/// Meta::new("pe")
///     .doc("One processing element.\nAccepts an activation whenever `ready` is high.")
///     .parameter("IMAGE", "\"\"", "{IMAGE, \"pe3_\"}")
///     .value("_n", _n)
///     .into_timing();
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meta {
    pub(super) name: String,
    pub(super) doc: Vec<String>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) values: Vec<(String, i64)>,
}

/// A Verilog parameter of a generated module.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parameter {
    pub name: String,
    pub default: String,
    /// What this instance passes; not part of the module's text, so that it makes no second module.
    pub value: String,
}

/// What the writer inlines instead of instantiating.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Register {
    pub d: String,
    pub q: String,
    pub clock: String,
    pub initial: Option<String>,
}

fn entry(name: &str, clock: &str, inputs: Vec<String>, outputs: Vec<String>) -> TimingInfo {
    TimingInfo { name: name.into(), clock: clock.into(), inputs, outputs }
}

impl Meta {
    /// The module's name. Without a `Meta` a module is called as its first instance, less the index.
    pub fn new(name: impl Into<String>) -> Meta {
        Meta { name: name.into(), ..Meta::default() }
    }

    /// The comment before the module; say what holds for all instances, for another text makes another module.
    pub fn doc(mut self, text: impl AsRef<str>) -> Meta {
        self.doc.extend(text.as_ref().lines().map(String::from));
        self
    }

    /// Declares `parameter NAME = default`; this instance sets it to `value`, an expression in the *parent's*
    /// parameters. The module at the top has no parent: its value is not used.
    pub fn parameter(mut self, name: impl Into<String>, default: impl Into<String>, value: impl Into<String>) -> Meta {
        self.parameters.push(Parameter { name: name.into(), default: default.into(), value: value.into() });
        self
    }

    /// Tells the writer a number that the kernel names in `if`, in an index or in arithmetic: `value("_n", self._n)`.
    /// Bounds of loops need no such help.
    pub fn value(mut self, name: impl Into<String>, value: usize) -> Meta {
        self.values.push((name.into(), i64::try_from(value).unwrap_or(i64::MAX)));
        self
    }

    /// What `timing()` returns.
    pub fn into_timing(self) -> Vec<TimingInfo> {
        let mut all = vec![entry(MODULE, &self.name, self.doc, vec![])];
        all.extend(self.parameters.into_iter().map(|p| entry(PARAMETER, &p.name, vec![p.default], vec![p.value])));
        all.extend(self.values.into_iter().map(|(n, v)| entry(VALUE, &n, vec![v.to_string()], vec![])));
        all
    }

    /// "This block is a register": `q <= d`, with an initial number or the name of a parameter of the parent.
    pub(crate) fn register(initial: Option<&str>) -> Vec<TimingInfo> {
        let outputs = ["q"].into_iter().chain(initial).map(String::from).collect();
        vec![entry(REGISTER, "clock", vec!["d".into()], outputs)]
    }

    /// Reads back what [`Meta::into_timing`] made; other entries are rust-hdl's own and say nothing here.
    pub(super) fn read(timing: &[TimingInfo]) -> Meta {
        let mut meta = Meta::default();
        for t in timing {
            let first = |x: &[String]| x.first().cloned().unwrap_or_default();
            match t.name.as_str() {
                MODULE => (meta.name, meta.doc) = (t.clock.clone(), t.inputs.clone()),
                PARAMETER => meta.parameters.push(Parameter { name: t.clock.clone(), default: first(&t.inputs), value: first(&t.outputs) }),
                VALUE => meta.values.push((t.clock.clone(), first(&t.inputs).parse().unwrap_or_default())),
                _ => {}
            }
        }
        meta
    }
}

impl Register {
    /// A register of this crate, or rust-hdl's own `DFF`, whose `initial` (always zero) is left out: state is reset
    /// synchronously.
    pub(super) fn read(timing: &[TimingInfo]) -> Option<Register> {
        let t = timing.iter().find(|t| t.name == REGISTER || t.name == "dff")?;
        let initial = if t.name == REGISTER { t.outputs.get(1).cloned() } else { None };
        Some(Register { d: t.inputs.first()?.clone(), q: t.outputs.first()?.clone(), clock: t.clock.clone(), initial })
    }
}
