//! Yosys writes a checker and the emitted modules as SMT, `yosys-smtbmc` and Z3 answer.

use super::table::{Of, Proof};
use crate::flow::yosys;
use crate::tools;
use anyhow::{bail, Context, Result};
use lacuna_compress::spec::{Arch, Ese, WeightForm};
use lacuna_hdl::verilog::Module;
use lacuna_hdl::{generate, generate_uart};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Seconds for one answer of the solver.
const PATIENCE: &str = "600";

/// The modules under proof: as few bits, words and PEs as show everything.
pub fn modules(of: Of) -> Result<Vec<Module>> {
    let ese = Some(Ese { channels: 2, cell_depth: 2, input_depth: 2, output_depth: 2 });
    let arch = Arch {
        pes: 2,
        fifo_depth: 4,
        weights: WeightForm::Direct,
        weight_bits: 2,
        run_bits: 2,
        entries_per_word: 1,
        // pointers of three bits, turns of two
        spmat_depth: 4,
        ptr_depth: 2,
        act_depth: 2,
        acc_depth: 2,
        bias_depth: 2,
        acc_bits: 24,
        max_layers: 2,
        conv: false,
        ese: if of == Of::Eie { None } else { ese },
    };
    let design = if of == Of::Serial { generate_uart(&arch, lacuna_hdl::wire::LEAST_DIVIDER)? } else { generate(&arch)? };
    Ok(design.modules)
}

/// The programs, found once.
pub struct Tools {
    smtbmc: PathBuf,
    /// PATH with the folder of Z3 in front.
    path: std::ffi::OsString,
}

/// What is asked of the solver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// No assertion fails in the first cycles.
    Base,
    /// None fails behind so many cycles in which none failed.
    Step,
    /// Each cover statement is reached.
    Cover,
    /// All assertions that fail in the first cycles.
    Refute,
}

/// What it answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub passed: bool,
    /// Assertions that failed, and cover statements that were not reached.
    pub names: Vec<String>,
    /// Cover statements that were reached.
    pub reached: usize,
}

impl Tools {
    pub fn find() -> Result<Tools> {
        let smtbmc = tools::find(&["yosys-smtbmc"], "the package yosys")?;
        let z3 = tools::find(&["z3"], "the PyPI package z3-solver (scripts/setup --formal)")?;
        let old = std::env::var_os("PATH").unwrap_or_default();
        let folders = z3.parent().map(Path::to_path_buf).into_iter().chain(std::env::split_paths(&old));
        let path = std::env::join_paths(folders).context("PATH")?;
        Ok(Tools { smtbmc, path })
    }

    /// Writes `model.smt2` into `folder`.
    pub fn model(&self, proof: &Proof, checker: &str, parameters: &[(&str, u32)], modules: &[Module], folder: &Path) -> Result<()> {
        std::fs::write(folder.join("checker.sv"), checker).context("checker.sv")?;
        let mut script = format!("read_verilog -formal -sv checker.sv\nhierarchy -check -top {}", top(proof)?);
        for (name, value) in parameters {
            script += &format!(" -chparam {name} {value}");
        }
        script += "\n";
        if let Some(cut) = proof.cut {
            script += &format!("blackbox {cut}\n");
        }
        // memories become registers, which the checkers name as `dut.words[0]`
        script += "proc\nmemory_map\nflatten\n";
        if let Some(cut) = proof.cut {
            script += &format!("cutpoint t:{cut}\n");
        }
        // what nothing drives is anything: a name that no longer exists makes a proof fail, not pass
        script += "chformal -early\nopt_clean\nsetundef -undriven -anyseq\nopt -fast\ndffunmap\nwrite_smt2 -wires model.smt2\n";
        yosys::run(modules, &script, folder)
    }

    pub fn ask(&self, question: Question, depth: usize, folder: &Path) -> Result<Answer> {
        let mode: &[&str] = match question {
            Question::Base => &["--presat"],
            Question::Step => &["-i"],
            Question::Cover => &["-c"],
            Question::Refute => &["--presat", "--keep-going"],
        };
        let depth = depth.to_string();
        let output = Command::new(&self.smtbmc)
            .args(["-s", "z3", "--noprogress", "--timeout", PATIENCE, "-t", &depth])
            .args(mode)
            .arg("model.smt2")
            .current_dir(folder)
            .env("PATH", &self.path)
            .output()
            .with_context(|| self.smtbmc.display().to_string())?;
        read(&String::from_utf8_lossy(&output.stdout))
            .with_context(|| format!("{} of {question:?}: {}", self.smtbmc.display(), String::from_utf8_lossy(&output.stderr).trim_end()))
    }
}

/// The checker's module: the last one in its file.
fn top(proof: &Proof) -> Result<&'static str> {
    let name = proof.checker.rsplit_once("\nmodule ").and_then(|(_, rest)| rest.split_whitespace().next());
    name.with_context(|| format!("the checker {} has no module", proof.name))
}

/// What `yosys-smtbmc` printed.
fn read(text: &str) -> Result<Answer> {
    let mut answer = Answer::default();
    let mut status = None;
    for line in text.lines() {
        if let Some((_, found)) = line.split_once("Status: ") {
            status = Some(found.trim());
        }
        let name = line.split_once("Assert failed in ").and_then(|(_, rest)| rest.split_once(": ")).map(|(_, name)| name);
        let name = name.or_else(|| line.split_once("Unreached cover statement at ").map(|(_, name)| name.trim_end_matches('.')));
        answer.reached += usize::from(line.contains("Reached cover statement at "));
        answer.names.extend(name.map(|n| n.trim().to_string()));
    }
    match status {
        Some("PASSED") => answer.passed = true,
        Some("FAILED") => {}
        other => bail!("found the status {}, expected PASSED or FAILED", other.unwrap_or("nothing")),
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_names_of_what_failed() {
        let failed = "##   0:00:00  Assert failed in p: no_overflow\n##   0:00:00  Unreached cover statement at cover_x.\n##   0:00:00  Status: FAILED\n";
        assert_eq!(read(failed).unwrap(), Answer { passed: false, names: vec!["no_overflow".into(), "cover_x".into()], reached: 0 });
        assert!(read("##   0:00:00  Status: PASSED\n").unwrap().passed);
        assert!(read("Solver Error").unwrap_err().to_string().contains("expected PASSED or FAILED"));
    }
}
