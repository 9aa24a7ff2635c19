//! `formal`: properties of the emitted Verilog, proved by k-induction, each with witnesses that it is about something, and
//! with changed Verilog that refutes it.

mod solve;
mod table;

use super::report::{Bar, Check, Outcome, Row};
use crate::term;
use anyhow::{bail, Context, Result};
use lacuna_hdl::verilog::Module;
use solve::{Question, Tools};
use table::{Mutant, Proof, PROOFS};

pub fn run() -> Result<Outcome> {
    measure(PROOFS)
}

fn measure(proofs: &[Proof]) -> Result<Outcome> {
    let tools = Tools::find()?;
    let (mut rows, mut lines) = (vec![], vec![]);
    let (mut properties, mut proved) = (0, 0);
    let (mut witnesses, mut found, mut mutants, mut refuted) = (0, 0, 0, 0);
    let runs: usize = proofs.iter().map(|p| p.parameters.len() + p.mutants.len()).sum();
    let bar = term::progress("proofs", runs);
    for proof in proofs {
        let modules = solve::modules(proof.of)?;
        let mut failed: Vec<String> = vec![];
        let mut holds = true;
        for parameters in proof.parameters {
            let verdict = prove(&tools, proof, parameters, &modules)?;
            holds &= verdict.holds;
            failed.extend(verdict.failed);
            witnesses += verdict.witnesses;
            found += verdict.witnesses - verdict.unreached.len();
            lines.extend(verdict.unreached.iter().map(|name| format!("{}: no witness of {name}", proof.name)));
            bar.inc(1);
        }
        let names = named(proof, "assert");
        properties += names.len();
        lines.extend(failed.iter().map(|name| format!("{}: fails: {name}", proof.name)));
        for name in names {
            // the induction assumed all of a checker's assertions: one that fails takes the proof of the others with it
            proved += usize::from(holds);
            let property = format!("{}: {}", proof.name, name.replace('_', " "));
            rows.push(Row::new().with("property", property).with("proved", holds).with("depth", proof.depth));
        }
        for mutant in proof.mutants {
            mutants += 1;
            let names = refute(&tools, proof, mutant, &modules)?;
            if names.iter().any(|name| name == mutant.refuted) {
                refuted += 1;
            } else {
                lines.push(format!(
                    "{}: {} with {:?} for {:?} does not violate {}",
                    proof.name, mutant.module, mutant.to, mutant.from, mutant.refuted
                ));
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let checks = vec![
        Check::new("properties proved", f64::from(proved as u32), 0, Bar::AtLeast(properties as f64)),
        Check::new("witnesses found", found as f64, 0, Bar::AtLeast(witnesses as f64)),
        Check::new("changed modules refuted", refuted as f64, 0, Bar::AtLeast(mutants as f64)),
    ];
    let mut notes = vec![
        "Verilog as emitted for two PEs, a few bits and words; depth: cycles of the induction; a queue of columns of 1, 2, 3, 4 and 7 slots".to_string(),
    ];
    notes.extend(lines);
    Ok(Outcome { rows, checks, notes })
}

struct Verdict {
    holds: bool,
    failed: Vec<String>,
    /// Cover statements that were asked for.
    witnesses: usize,
    unreached: Vec<String>,
}

fn prove(tools: &Tools, proof: &Proof, parameters: &[(&str, u32)], modules: &[Module]) -> Result<Verdict> {
    let folder = tempfile::tempdir()?;
    tools.model(proof, proof.checker, parameters, modules, folder.path()).with_context(|| proof.name)?;
    let base = tools.ask(Question::Base, proof.depth, folder.path())?;
    let step = tools.ask(Question::Step, proof.depth, folder.path())?;
    let cover = tools.ask(Question::Cover, proof.witness, folder.path())?;
    let witnesses = cover.reached + cover.names.len();
    Ok(Verdict { holds: base.passed && step.passed, failed: [base.names, step.names].concat(), witnesses, unreached: cover.names })
}

/// What a changed module violates.
fn refute(tools: &Tools, proof: &Proof, mutant: &Mutant, modules: &[Module]) -> Result<Vec<String>> {
    let mut modules = modules.to_vec();
    let Some(module) = modules.iter_mut().find(|m| m.name == mutant.module) else { bail!("there is no module {}", mutant.module) };
    let places = module.text.matches(mutant.from).count();
    if places == 0 {
        bail!("{}: found no {:?} in the emitted module, which is to be changed to {:?}", mutant.module, mutant.from, mutant.to);
    }
    module.text = module.text.replace(mutant.from, mutant.to);
    let folder = tempfile::tempdir()?;
    let parameters = proof.parameters.first().copied().unwrap_or_default();
    // what only helps the induction must not be what refutes it
    let checker = proof.checker.replace(": assert (", ": @ (").replace("assert (", "cover (").replace(": @ (", ": assert (");
    tools.model(proof, &checker, parameters, &modules, folder.path()).with_context(|| proof.name)?;
    Ok(tools.ask(Question::Refute, proof.witness, folder.path())?.names)
}

/// The names of a checker's statements `name: assert (...)`.
fn named(proof: &Proof, statement: &str) -> Vec<&'static str> {
    let colon = format!(": {statement} (");
    proof.checker.lines().filter_map(|line| line.split_once(&colon)).filter_map(|(name, _)| name.split_whitespace().last()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(name: &str) -> &'static Proof {
        PROOFS.iter().find(|p| p.name == name).unwrap()
    }

    #[test]
    fn every_checker_has_named_properties_witnesses_and_a_change_that_one_of_them_refutes() {
        for proof in PROOFS {
            let properties = named(proof, "assert");
            assert!(properties.len() >= 3 && named(proof, "cover").len() >= 3, "{}", proof.name);
            assert!(!proof.mutants.is_empty(), "{}", proof.name);
            for mutant in proof.mutants {
                assert!(properties.contains(&mutant.refuted), "{}: {}", proof.name, mutant.refuted);
            }
        }
    }

    #[test]
    fn changes_meet_the_emitted_modules() {
        for proof in PROOFS {
            let modules = solve::modules(proof.of).unwrap();
            for mutant in proof.mutants {
                let module = modules.iter().find(|m| m.name == mutant.module).unwrap();
                assert!(module.text.contains(mutant.from), "{}: {}", mutant.module, mutant.from);
            }
        }
    }

    /// Needs `scripts/setup --formal`.
    #[test]
    fn queue_sequencer_and_handshake_hold_and_changed_ones_do_not() {
        let tools = match Tools::find() {
            Ok(tools) => tools,
            Err(error) if std::env::var_os("LACUNA_ALL_TESTS").is_some() => panic!("{error:#}"),
            Err(_) => return,
        };
        for name in ["column_queue", "sequencer", "axi_lite"] {
            let proof = proof(name);
            let modules = solve::modules(proof.of).unwrap();
            let verdict = prove(&tools, proof, proof.parameters[0], &modules).unwrap();
            assert!(verdict.holds && verdict.unreached.is_empty(), "{name}: {:?} {:?}", verdict.failed, verdict.unreached);
            for mutant in proof.mutants {
                let failed = refute(&tools, proof, mutant, &modules).unwrap();
                assert!(failed.iter().any(|f| f == mutant.refuted), "{name}: {failed:?}, expected {}", mutant.refuted);
            }
        }
    }
}
