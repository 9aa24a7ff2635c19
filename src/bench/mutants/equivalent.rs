//! Is a mutant none? Yosys proves that in every state, reachable or not, and for all inputs, the module's outputs, its next
//! state, and what it gives the modules within it are the same with and without the mutation. If that is not so, the whole
//! accelerator is asked the same: there, what the other modules never give is known where it follows from their logic.
//!
//! State is cut: of a register, and of a memory, what comes out is an input of the question, what goes in an output.

use super::module::{variant_name, Mutated, BITS, NUMBER};
use crate::flow::yosys;
use anyhow::{Context, Result};
use lacuna_hdl::verilog::Module;
use lacuna_hdl::Design;
use serde::{Deserialize, Serialize};

/// Seconds of the solver.
const PATIENCE: [u32; 2] = [60, 60];
const ANSWER: &str = "answer.txt";

/// Where it makes no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proof {
    /// In the module by itself.
    Module,
    /// In the accelerator as a whole.
    Accelerator,
}

/// A proof that mutant number `index`, from 0 on, is equivalent to the original, if one is found.
pub fn prove(design: &Design, mutated: &Mutated, index: usize) -> Result<Option<Proof>> {
    let mut modules = design.modules.clone();
    modules.iter_mut().filter(|m| m.name == mutated.module).for_each(|m| m.text = mutated.from_instance());
    let number = |name: &str, inside: &str| format!("module {name}(output [{}:0] number);\n{inside}endmodule\n", BITS - 1);
    modules.push(Module { name: NUMBER.into(), text: format!("(* blackbox *) {}", number(NUMBER, "")) });
    let both = number("without", "assign number = 0;\n") + &number("with", &format!("assign number = {};\n", index + 1));
    let variant = variant_name(&mutated.module, mutated.mutations[index].variant);
    let alone = format!("setattr -mod -set keep_hierarchy 1 *\nproc {variant}\n");
    let questions = [(Proof::Module, &variant, alone.as_str()), (Proof::Accelerator, &design.top, "proc\nflatten\n")];
    for ((proof, top, inside), patience) in questions.into_iter().zip(PATIENCE) {
        if ask(&modules, &both, top, inside, patience)? {
            return Ok(Some(proof));
        }
    }
    Ok(None)
}

fn ask(modules: &[Module], both: &str, top: &str, inside: &str, patience: u32) -> Result<bool> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("both.v"), both).context("both.v")?;
    // the names of what is cut are the same on both sides, since one is a copy of the other
    let commands = format!(
        "hierarchy -top {top}\n{inside}cd {top}\nopt_expr\nopt_clean\nmemory_collect\nrename -enumerate -pattern cut_% t:$dff t:$mem_v2\ncd\n\
         read_verilog both.v\ncopy {top} gold\ncopy {top} gate\nchtype -set without gold/t:{NUMBER}\nchtype -set with gate/t:{NUMBER}\n\
         flatten gold gate\nexpose -evert gold/c:* gate/c:*\nsetattr -mod -unset keep_hierarchy gold gate\nopt_clean gold gate\n\
         miter -equiv -flatten gold gate miter\nhierarchy -top miter\nopt_expr\nopt_merge\nopt_expr\nopt_merge\nopt_clean\n\
         tee -o {ANSWER} sat -prove trigger 0 -timeout {patience} miter\n"
    );
    yosys::run(modules, &commands, folder.path())?;
    let answer = std::fs::read_to_string(folder.path().join(ANSWER)).context(ANSWER)?;
    Ok(answer.contains("no model found: SUCCESS"))
}
