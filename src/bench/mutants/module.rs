//! A module with several mutants in it, of which a number selects one: by Yosys's `mutate`, put in place of the module.
//!
//! Parents find the module as it was, with its ports and parameters. A leaf that is there with several widths has some
//! mutants of each. Nets of the clock have none: an edge that another register does not see is no fault of the Verilog's logic.
//! Words of tables have none either: bench `faults` changes those.

use crate::bench::around::{connected, Outside};
use crate::flow::yosys;
use anyhow::{bail, Context, Result};
use lacuna_hdl::verilog::Module;
use lacuna_hdl::Design;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

/// Bits of a mutant's number.
pub const BITS: usize = 8;
/// Of the module that tells a proof the number.
pub const NUMBER: &str = "mutant_number";
/// Yosys's port of the number.
const CONTROL: &str = "mutsel";
/// Where the number comes from, in the texts.
const SOURCE: &str = "@number@";
/// Leaves with fewer mutants of one width than this would say little of it.
const LEAST: usize = 2;
/// Commands that are left out when mutants are few, and what is about the clock.
const SPARE: usize = 3;
/// Ports of cells on which a clock comes.
const CLOCKS: [&str; 5] = ["CLK", "RD_CLK", "WR_CLK", "clock", "C"];
/// Yosys writes what Verilator would not have people write.
const LINT: &str = "/* verilator lint_off DECLFILENAME */\n/* verilator lint_off UNUSED */\n/* verilator lint_off UNDRIVEN */\n\
/* verilator lint_off WIDTH */\n/* verilator lint_off UNOPTFLAT */\n/* verilator lint_off IMPERFECTSCH */\n\
/* verilator lint_off CASEINCOMPLETE */\n/* verilator lint_off CASEOVERLAP */\n/* verilator lint_off CASEX */\n\
/* verilator lint_off VARHIDDEN */\n/* verilator lint_off PINCONNECTEMPTY */\n/* verilator lint_off SYMRSVDWORD */\n\
/* verilator lint_off BLKSEQ */\n/* verilator lint_off CMPCONST */\n/* verilator lint_off UNSIGNED */\n";

/// One mutation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutation {
    /// What Yosys is told, the number aside.
    pub command: String,
    /// Number of the variant that it is in.
    pub variant: usize,
}

/// A module with its mutants.
pub struct Mutated {
    pub module: String,
    /// Mutant 1 is the first.
    pub mutations: Vec<Mutation>,
    /// Its file, with a hole where the number comes from.
    text: String,
}

/// Parameters that an instance is given.
type Parameters = Vec<(String, u64)>;

/// At least `count` mutants of a module, where it has so many places.
pub fn mutate(design: &Design, name: &str, count: usize, seed: u64, folder: &Path) -> Result<Mutated> {
    let Some(module) = design.modules.iter().find(|m| m.name == name) else { bail!("there is no module {name}") };
    for other in design.modules.iter().filter(|m| m.name != name) {
        std::fs::write(folder.join(other.file_name()), &other.text).with_context(|| other.file_name())?;
    }
    let variants = variants(design, name);
    let most = count.max(LEAST * variants.len());
    let mut lists = vec![];
    for (variant, parameters) in variants.iter().enumerate() {
        let top = variant_name(name, variant);
        // where tables and the clock take most of the list, a longer one
        let mut commands: Vec<String> = vec![];
        for spare in [SPARE, SPARE * 4] {
            if commands.len() < most {
                let script = elaborated(design, name, parameters, &top);
                let list = format!("{script}mutate -list {} -seed {seed} -o list.txt {top}\n", most * spare);
                yosys::run(std::slice::from_ref(module), &list, folder)?;
                let text = std::fs::read_to_string(folder.join("list.txt")).context("list.txt")?;
                commands = text.lines().filter_map(command).collect();
            }
        }
        lists.push(commands);
    }
    // by turns: of a variant that has few places for mutations, the others have more
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    let turns = (0..longest).flat_map(|turn| lists.iter().enumerate().filter_map(move |(v, list)| Some((v, list.get(turn)?))));
    let mutations: Vec<Mutation> = turns.take(most).map(|(variant, command)| Mutation { command: command.clone(), variant }).collect();
    let mut texts = String::new();
    for (variant, parameters) in variants.iter().enumerate() {
        let top = variant_name(name, variant);
        let mut apply = elaborated(design, name, parameters, &top);
        for (index, mutation) in mutations.iter().enumerate().filter(|(_, m)| m.variant == variant) {
            let _ = writeln!(apply, "mutate -ctrl {CONTROL} {BITS} {} {}", index + 1, mutation.command);
        }
        apply += "write_verilog -noattr variant.v\n";
        yosys::run(std::slice::from_ref(module), &apply, folder)?;
        let text = std::fs::read_to_string(folder.join("variant.v")).context("variant.v")?;
        // Verilator takes no empty string in this form
        let text = text.replace("{0{1'b0}}", "\"\"");
        texts += &with_number(&text).with_context(|| format!("{top}: found no port {CONTROL} in what Yosys wrote"))?;
    }
    if mutations.len() >= 1 << BITS {
        bail!("{name}: {} mutants, expected less than {}", mutations.len(), 1 << BITS);
    }
    let text = format!("{LINT}{}{texts}", chooser(module, &variants)?);
    Ok(Mutated { module: name.to_string(), mutations, text })
}

impl Mutated {
    /// Verilog that reads the number from a file when it starts.
    pub fn reading_file(&self, path: &str) -> String {
        let source = format!(
            "  reg [{0}:0] mutant_now [0:0];\n  initial $readmemh(\"{path}\", mutant_now);\n  wire [{0}:0] {CONTROL} = mutant_now[0];\n",
            BITS - 1
        );
        self.text.replace(SOURCE, &source)
    }

    /// Verilog that has the number from an instance of [`NUMBER`].
    pub fn with_instance(&self) -> String {
        let source = format!("  wire [{}:0] {CONTROL};\n  {NUMBER} mutant_now(.number({CONTROL}));\n", BITS - 1);
        self.text.replace(SOURCE, &source)
    }
}

/// The module of a variant.
pub fn variant_name(module: &str, variant: usize) -> String {
    format!("{module}_mutated_{variant}")
}

/// Commands that read a module with these parameters; of the others, only the ports.
fn elaborated(design: &Design, name: &str, parameters: &Parameters, top: &str) -> String {
    let others: Vec<String> = design.modules.iter().filter(|m| m.name != name).map(Module::file_name).collect();
    let mut script = format!("read_verilog -lib {}\nhierarchy -top {name}", others.join(" "));
    for (parameter, value) in parameters {
        let _ = write!(script, " -chparam {parameter} {value}");
    }
    // flip-flops stay plain: an enable found by a tool is no place where somebody errs
    script += &format!("\nproc\nopt_expr\nopt_merge\nopt_clean\nrename -top {top}\n");
    script
}

/// A line of Yosys's list without numbers and sources; none if it is about the clock.
fn command(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().skip(1).collect();
    let mut kept = vec![];
    for pair in words.chunks(2) {
        match pair {
            ["-port", port] if CLOCKS.contains(&port.trim_start_matches('\\')) => return None,
            ["-wire", "clock"] => return None,
            // a word of a table is no logic; bench `faults` changes those
            ["-cell", cell] if cell.contains("meminit") => return None,
            ["-src", _] => {}
            other => kept.extend_from_slice(other),
        }
    }
    (!kept.is_empty()).then(|| kept.join(" "))
}

/// What Yosys wrote, with the port of the number made a hole for where it comes from.
fn with_number(text: &str) -> Option<String> {
    // a long list of ports ends in a line of its own
    let ports = [format!(", {CONTROL});"), format!(", {CONTROL}\n);")];
    let [input, wire] = ["input", "wire"].map(|kind| format!("  {kind} [{}:0] {CONTROL};\n", BITS - 1));
    let Some(port) = ports.iter().find(|port| text.contains(port.as_str())).filter(|_| text.contains(&input)) else {
        // without a mutation there is none
        return (!text.contains(CONTROL)).then(|| text.to_string());
    };
    Some(text.replace(port.as_str(), ");").replace(&input, SOURCE).replace(&wire, ""))
}

/// Whether two designs have the same module, with the same widths.
pub fn same(one: &Design, other: &Design, name: &str) -> bool {
    let text = |design: &Design| design.modules.iter().find(|m| m.name == name).map(|m| m.text.clone());
    text(one) == text(other) && variants(one, name) == variants(other, name)
}

/// The parameters with which a module's parents have it, numbers only; once without any if nobody gives some.
fn variants(design: &Design, name: &str) -> Vec<Parameters> {
    let start = format!("{name} #(");
    let mut found = BTreeSet::new();
    for line in design.modules.iter().flat_map(|m| m.text.lines()) {
        let Some((given, _)) = line.trim().strip_prefix(&start).and_then(|rest| rest.rsplit_once(") ")) else { continue };
        let pairs = given.split(", .").filter_map(|one| one.trim_start_matches('.').trim_end_matches(')').split_once('('));
        found.insert(pairs.filter_map(|(name, value)| Some((name.to_string(), value.parse().ok()?))).collect::<Parameters>());
    }
    found.insert(vec![]);
    let some = found.iter().any(|parameters| !parameters.is_empty());
    found.into_iter().filter(|parameters| !some || !parameters.is_empty()).collect()
}

/// A module with the name, ports and parameters of the original, which has a variant in it where there is one.
fn chooser(module: &Module, variants: &[Parameters]) -> Result<String> {
    let name = &module.name;
    let outside = Outside::of(module)?;
    let ports = connected(&outside.ports);
    if outside.parameters.is_empty() {
        return Ok(outside.with(&format!("    {} only ({ports});\n", variant_name(name, 0))));
    }
    let mut body = "    generate\n        ".to_string();
    for (variant, parameters) in variants.iter().enumerate() {
        let mut conditions: Vec<String> = parameters.iter().map(|(name, value)| format!("{name} == {value}")).collect();
        conditions.extend(outside.parameters.contains(&"PRELOAD".to_string()).then(|| "PRELOAD == 0".to_string()));
        let place = format!("{} only ({ports});", variant_name(name, variant));
        body += &format!("if ({}) begin : mutated_{variant}\n            {place}\n        end else ", conditions.join(" && "));
    }
    let plain = format!("{name}_plain");
    body += &format!(
        "begin : plain\n            {plain} #({}) only ({ports});\n        end\n    endgenerate\n",
        connected(&outside.parameters)
    );
    Ok(outside.with(&body) + &outside.renamed(&plain))
}
