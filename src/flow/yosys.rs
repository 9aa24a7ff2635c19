//! What Yosys makes of a design, and how it is counted.

use crate::tools;
use anyhow::{bail, Context, Result};
use lacuna_hdl::verilog::Module;
use lacuna_hdl::Design;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Writes modules to a folder and runs Yosys's `commands` over them there, a line each.
pub fn run(modules: &[Module], commands: &str, folder: &Path) -> Result<()> {
    let yosys = program()?;
    for (name, text) in files(modules, commands) {
        std::fs::write(folder.join(&name), text).with_context(|| folder.join(&name).display().to_string())?;
    }
    tools::run(&yosys, &["-q", "-s", SCRIPT], folder)
}

fn program() -> Result<PathBuf> {
    let (_, names, package) = super::YOSYS;
    tools::find(names, package)
}

/// What the Yosys that [`run`] takes says of itself, as `Yosys 0.23`.
pub fn version() -> Result<String> {
    let yosys = program()?;
    let output = Command::new(&yosys).arg("-V").output().with_context(|| yosys.display().to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut words = text.split_whitespace();
    match (words.next(), words.next()) {
        (Some(name @ "Yosys"), Some(version)) => Ok(format!("{name} {version}")),
        _ => bail!("{} -V: found {:?}, expected Yosys and its version", yosys.display(), text.trim()),
    }
}

const SCRIPT: &str = "synth.ys";
const COUNTED: &str = "stat.json";

/// The sources and the script.
fn files(modules: &[Module], commands: &str) -> Vec<(String, String)> {
    let mut files: Vec<_> = modules.iter().map(|module| (module.file_name(), module.text.clone())).collect();
    let script: String = files.iter().map(|(name, _)| format!("read_verilog {name}\n")).collect();
    files.push((SCRIPT.into(), script + commands));
    files
}

/// The cells of each module of a design behind `command`, such as `synth_xilinx -family xcup`.
pub fn synthesize(design: &Design, command: &str) -> Result<Value> {
    let folder = tempfile::tempdir()?;
    synthesize_in(folder.path(), design, command)
}

/// The same in a folder, or what an earlier run of the same files found there.
pub fn synthesize_in(folder: &Path, design: &Design, command: &str) -> Result<Value> {
    let commands = format!("{command} -top {}\ntee -q -o {COUNTED} stat -json\n", design.top);
    let counted = folder.join(COUNTED);
    let same = |(name, text): &(String, String)| std::fs::read_to_string(folder.join(name)).is_ok_and(|found| found == *text);
    let read = || {
        let text = std::fs::read_to_string(&counted).with_context(|| counted.display().to_string())?;
        parse(&text).with_context(|| counted.display().to_string())
    };
    if files(&design.modules, &commands).iter().all(same) {
        // a run that was stopped leaves none, or half of it
        if let Ok(report) = read() {
            return Ok(report);
        }
    }
    if counted.is_file() {
        std::fs::remove_file(&counted).with_context(|| counted.display().to_string())?;
    }
    run(&design.modules, &commands, folder)?;
    read()
}

/// The modules of a report. Yosys 0.23 writes the hierarchy as plain text behind them, which is left out.
pub fn parse(text: &str) -> Result<Value> {
    let whole = match text.find("\n   },") {
        Some(end) => format!("{}\n   }}\n}}", &text[..end]),
        None => text.to_string(),
    };
    Ok(serde_json::from_str(&whole)?)
}

/// What a module of Yosys's report takes with all below it: LUT, FF, BRAM (BRAM36 or DP16KD), DSP.
pub fn of(report: &Value, name: &str) -> Result<[f64; 4]> {
    let mut sum = [0.0; 4];
    walk(report, name, &mut |module, cell, count| {
        // counted as nothing, it would flatter the sum
        let Some(one) = primitive(cell) else { bail!("Yosys counted {count} of {cell} in {module}, whose size is not known here") };
        add(&mut sum, one, count);
        Ok(())
    })?;
    Ok(sum)
}

/// What all instances of each module below `name` and of itself take without what is below them, by their names in the source.
pub fn own(report: &Value, name: &str) -> Result<BTreeMap<String, [f64; 4]>> {
    // one that has only others in it takes nothing
    let mut found: BTreeMap<String, [f64; 4]> = modules(report)?.keys().map(|module| (plain(module).to_string(), [0.0; 4])).collect();
    walk(report, name, &mut |module, cell, count| {
        let sum = found.entry(plain(module).to_string()).or_default();
        if let Some(one) = primitive(cell) {
            add(sum, one, count);
        }
        Ok(())
    })?;
    Ok(found)
}

/// The cells below `name`, by type: what is no module of the report is a cell.
pub fn cells(report: &Value, name: &str) -> Result<BTreeMap<String, u64>> {
    let mut found = BTreeMap::new();
    walk(report, name, &mut |_, cell, count| {
        let sum: &mut u64 = found.entry(cell.to_string()).or_default();
        *sum = sum.checked_add(count).with_context(|| format!("Yosys counted too many cells {cell}"))?;
        Ok(())
    })?;
    Ok(found)
}

fn add(sum: &mut [f64; 4], one: [f64; 4], count: u64) {
    sum.iter_mut().zip(one).for_each(|(sum, one)| *sum += one * count as f64);
}

/// Module, type of a cell in it, and how many of these all instances of the module have.
type Visitor<'a> = dyn FnMut(&str, &str, u64) -> Result<()> + 'a;

/// Visits the cells of the module that the source calls `name`, and of all below it.
fn walk(report: &Value, name: &str, visit: &mut Visitor) -> Result<()> {
    let modules = modules(report)?;
    let Some(top) = modules.keys().find(|found| plain(found) == name) else { bail!("Yosys counted no module {name}") };
    below(&modules, top, 1, 0, visit)
}

fn below(modules: &Modules, name: &str, instances: u64, depth: usize, visit: &mut Visitor) -> Result<()> {
    let Some(cells) = modules.get(name).filter(|_| depth < DEEPEST) else { bail!("Yosys counted no module {name}") };
    for (cell, count) in cells {
        let cell = cell.trim_start_matches('\\');
        let count = instances.checked_mul(*count).with_context(|| format!("Yosys counted too many cells {cell}"))?;
        if modules.contains_key(cell) {
            below(modules, cell, count, depth + 1, visit)?;
        } else {
            visit(name, cell, count)?;
        }
    }
    Ok(())
}

/// Levels of a hierarchy; a report with more is none.
const DEEPEST: usize = 100;

/// Cells of each module by type; instances of other modules are among them.
type Modules = BTreeMap<String, BTreeMap<String, u64>>;

/// The name in the source: Yosys writes `\pe`, and with parameters `$paramod\pe\DEPTH=...` or `$paramod$12ab\pe`.
fn plain(name: &str) -> &str {
    let mut parts = name.split('\\');
    match parts.next() {
        Some(first) if !first.is_empty() && !first.starts_with("$paramod") => first,
        _ => parts.next().unwrap_or(name),
    }
}

fn modules(report: &Value) -> Result<Modules> {
    let Some(modules) = report["modules"].as_object() else { bail!("Yosys counted no modules") };
    let cells = |module: &Value| {
        let by_type = module["num_cells_by_type"].as_object();
        by_type.into_iter().flatten().map(|(name, n)| (name.clone(), n.as_u64().unwrap_or(0))).collect()
    };
    // a leading backslash is there or not, depending on the place
    Ok(modules.iter().map(|(name, module)| (name.trim_start_matches('\\').to_string(), cells(module))).collect())
}

/// What a cell of the library takes.
fn primitive(cell: &str) -> Option<[f64; 4]> {
    let lut = |n: f64| Some([n, 0.0, 0.0, 0.0]);
    match cell {
        "LUT1" | "LUT2" | "LUT3" | "LUT4" | "LUT5" | "LUT6" | "INV" => lut(1.0),
        "SRL16E" | "SRLC32E" => lut(1.0),
        "RAM32X1D" | "RAM64X1D" => lut(2.0),
        "RAM128X1D" | "RAM32M" | "RAM64M" => lut(4.0),
        "RAM32M16" | "RAM64M8" | "RAM256X1D" => lut(8.0),
        "FDRE" | "FDSE" | "FDCE" | "FDPE" => Some([0.0, 1.0, 0.0, 0.0]),
        "RAMB36E2" => Some([0.0, 0.0, 1.0, 0.0]),
        "RAMB18E2" => Some([0.0, 0.0, 0.5, 0.0]),
        // two LUTs with a carry; four that hold a RAM
        "CCU2C" => lut(2.0),
        "TRELLIS_DPR16X4" => lut(4.0),
        "TRELLIS_FF" => Some([0.0, 1.0, 0.0, 0.0]),
        "DP16KD" => Some([0.0, 0.0, 1.0, 0.0]),
        "MULT18X18D" => Some([0.0, 0.0, 0.0, 1.0]),
        "DSP48E2" => Some([0.0, 0.0, 0.0, 1.0]),
        // beside the LUTs, or at the edge of the chip
        "PFUMX" | "L6MUX21" | "CARRY4" | "CARRY8" | "MUXF7" | "MUXF8" | "MUXF9" | "BUFG" | "IBUF" | "OBUF" => Some([0.0; 4]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module twice in another: its cells count twice.
    #[test]
    fn what_yosys_counts_is_summed_over_the_hierarchy() {
        let cells = |types: serde_json::Value| serde_json::json!({"num_cells_by_type": types});
        let report = serde_json::json!({"modules": {
            "\\top": cells(serde_json::json!({"$paramod\\pe\\N=1": 2, "LUT2": 3, "FDRE": 1})),
            "$paramod\\pe\\N=1": cells(serde_json::json!({"LUT6": 10, "RAMB18E2": 3, "DSP48E2": 1, "CARRY4": 7})),
        }});
        assert_eq!(of(&report, "top").unwrap(), [23.0, 1.0, 3.0, 2.0]);
        assert!(of(&report, "none").is_err());
        let own = own(&report, "top").unwrap();
        assert_eq!((own["top"], own["pe"]), ([3.0, 1.0, 0.0, 0.0], [20.0, 0.0, 3.0, 2.0]));
        let unknown = serde_json::json!({"modules": {"top": cells(serde_json::json!({"NEW9": 1}))}});
        assert!(of(&unknown, "top").unwrap_err().to_string().contains("NEW9"));

        // as Yosys 0.23 writes it
        let text = "{\n   \"modules\": {\n      \"\\\\top\": {\n         \"num_cells_by_type\": {\n            \"LUT2\": 3\n         }\n      }\n   },\n       pe   1\n}";
        assert_eq!(of(&parse(text).unwrap(), "top").unwrap(), [3.0, 0.0, 0.0, 0.0]);
        assert!(parse("{").is_err());
    }
}
