//! What can be wrong with a design, in sentences that name the signal and the rule.

use rust_hdl::core::check_error::CheckError;

/// Why no Verilog was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Inputs of children or own outputs that no kernel assigns.
    #[error("not connected: {}", .0.join(", "))]
    Unconnected(Vec<String>),
    /// Locals or outputs that a kernel reads before it assigns them.
    #[error("read before assigned: {}", .0.join(", "))]
    Loops(Vec<String>),
    /// Inputs that their own block assigns.
    #[error("a block assigns its own input: {}", .0.join(", "))]
    InputsWritten(Vec<String>),
    /// A fault in one module, with its place in the hierarchy.
    #[error("{path}: {fault}")]
    Module {
        /// Instances from the top down, `array.pe$3.queue`.
        path: String,
        /// What is wrong there.
        fault: Fault,
    },
}

impl WriteError {
    /// rust-hdl calls the top `uut`; the sorted list does not depend on its hash maps.
    pub(super) fn from_check(error: CheckError, top: &str) -> WriteError {
        let spell = |p: rust_hdl::core::check_error::PathedName| {
            let path = p.path.strip_prefix("uut").map_or(p.path.clone(), |rest| format!("{top}{rest}"));
            format!("{path}.{}", p.name)
        };
        let sort = |mut all: Vec<String>| {
            all.sort();
            all
        };
        match error {
            CheckError::OpenSignal(map) => WriteError::Unconnected(sort(map.into_values().map(spell).collect())),
            CheckError::LogicLoops(list) => WriteError::Loops(sort(list.into_iter().map(spell).collect())),
            CheckError::WritesToInputs(list) => WriteError::InputsWritten(sort(list.into_iter().map(spell).collect())),
        }
    }
}

/// What is wrong in one module.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum Fault {
    #[error("the kernel names `{0}`, which is no signal of this block, constant, loop variable or `Meta::value`")]
    Unknown(String),
    #[error("`{0}` is never assigned")]
    NeverAssigned(String),
    #[error("only bits of `{signal}` are assigned; bit {bit} is not")]
    PartlyAssigned { signal: String, bit: usize },
    #[error("`{0}` cannot be assigned here: it is an output of a child, a constant or a label")]
    NotAssignable(String),
    #[error("`{0}` is assigned in several statements, all of constants; assign it once")]
    OnlyConstants(String),
    #[error("`{text}` has {found} bits where {expected} are wanted: resize it")]
    Width { text: String, found: usize, expected: usize },
    #[error("the literal {value} does not fit {width} bits{}", if *.signed { ", signed" } else { "" })]
    Literal { value: i128, width: usize, signed: bool },
    #[error("the width of `{0}` cannot be told from its surroundings")]
    Unsized(String),
    #[error("`{text}` has {width} bits; bits {low}..{high} were asked for")]
    Range { text: String, width: usize, low: i128, high: i128 },
    #[error("an index of {found} bits into `{text}` of {width} bits; {needed} are enough: resize it")]
    IndexWidth { text: String, width: usize, found: usize, needed: usize },
    #[error("`{0}` mixes signed and unsigned")]
    MixedSigns(String),
    #[error("{0} belongs in a hand-written leaf")]
    Arithmetic(&'static str),
    #[error("the clock `{0}` must be assigned once, unconditionally, from a clock")]
    Clock(String),
    #[error("`{first}` and `{second}` would both be called `{name}`")]
    NameClash { first: String, second: String, name: String },
    #[error("`{raw}` would be called `{name}`, which is a keyword of Verilog")]
    Keyword { raw: String, name: String },
    #[error("cannot evaluate the index `{0}`")]
    Index(String),
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    #[error("the hand-written module `{0}` comes with two different texts")]
    LeafText(String),
    #[error("the text of the hand-written leaf does not declare `module {0}`")]
    LeafName(String),
    #[error("the hand-written module `{module}` has no port `{port}`")]
    LeafPort { module: String, port: String },
    #[error("the name `{0}` is needed for a hand-written module, but a generated one has it")]
    LeafTaken(String),
    #[error("`{used}` needs the parameter `{name}`, which this block does not declare")]
    Parameter { name: String, used: String },
}
