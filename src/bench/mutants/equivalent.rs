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
use std::collections::{BTreeMap, BTreeSet};

/// Seconds of the solver.
const PATIENCE: u32 = 10;
/// Bytes of a question as Yosys writes it.
const MOST: u64 = 1_500_000;
const CONSTANTS: &str = "constants.v";

/// Where it makes no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proof {
    /// In the module by itself.
    Module,
    /// In the accelerator as a whole.
    Accelerator,
}

/// Proofs that mutants, by their numbers from 1 on, are equivalent to the original: of those of which one is found.
pub fn prove(design: &Design, mutated: &Mutated, numbers: &[usize]) -> Result<BTreeMap<usize, Proof>> {
    let mut modules = design.modules.clone();
    modules.iter_mut().filter(|m| m.name == mutated.module).for_each(|m| m.text = mutated.with_instance());
    modules.push(Module { name: NUMBER.into(), text: format!("(* blackbox *) {}", number_module(NUMBER, "")) });
    let mut found = BTreeMap::new();
    let variant_of = |number: usize| mutated.mutations[number - 1].variant;
    for variant in numbers.iter().map(|n| variant_of(*n)).collect::<BTreeSet<_>>() {
        let of_this: Vec<usize> = numbers.iter().copied().filter(|n| variant_of(*n) == variant).collect();
        let top = variant_name(&mutated.module, variant);
        let proved = ask(&modules, &top, &format!("setattr -mod -set keep_hierarchy 1 *\nproc {top}\n"), &of_this)?;
        found.extend(proved.into_iter().map(|number| (number, Proof::Module)));
    }
    let rest: Vec<usize> = numbers.iter().copied().filter(|n| !found.contains_key(n)).collect();
    let proved = ask(&modules, &design.top, "proc\nflatten\n", &rest)?;
    found.extend(proved.into_iter().map(|number| (number, Proof::Accelerator)));
    Ok(found)
}

fn number_module(name: &str, inside: &str) -> String {
    format!("module {name}(output [{}:0] number);\n{inside}endmodule\n", BITS - 1)
}

/// The numbers of which it is proved, with `top` as the whole.
fn ask(modules: &[Module], top: &str, inside: &str, numbers: &[usize]) -> Result<Vec<usize>> {
    if numbers.is_empty() {
        return Ok(vec![]);
    }
    let folder = tempfile::tempdir()?;
    let constant = |number: &usize| number_module(&format!("number_{number}"), &format!("assign number = {number};\n"));
    let constants: String = [0].iter().chain(numbers).map(constant).collect();
    std::fs::write(folder.path().join(CONSTANTS), constants).context(CONSTANTS)?;
    // the names of what is cut are the same on both sides, since both are copies
    let mut commands = format!(
        "hierarchy -top {top}\n{inside}cd {top}\nopt_expr\nopt_clean\nmemory_collect\nrename -enumerate -pattern cut_% t:$dff t:$mem_v2\ncd\n\
         hierarchy -top {top}\nread_verilog {CONSTANTS}\ndesign -save base\n"
    );
    for number in numbers {
        commands += &format!(
            "design -load base\ncopy {top} gold\ncopy {top} gate\nchtype -set number_0 gold/t:{NUMBER}\nchtype -set number_{number} gate/t:{NUMBER}\n\
             delete {top}\nflatten gold gate\nexpose -evert gold/c:* gate/c:*\nsetattr -mod -unset keep_hierarchy gold gate\nopt_clean gold gate\n\
             miter -equiv -flatten gold gate miter\nhierarchy -top miter\nopt -full -nodffe -nosdff\nopt_clean -purge\n\
             write_rtlil miter{number}.il\n"
        );
    }
    yosys::run(modules, &commands, folder.path())?;
    // a mutation that the rest of the accelerator makes harmless leaves little to ask; much is left where it reaches far
    let mut asked = vec![];
    for number in numbers {
        let path = folder.path().join(format!("miter{number}.il"));
        let size = std::fs::metadata(&path).with_context(|| path.display().to_string())?.len();
        asked.extend((size <= MOST).then_some(*number));
    }
    let question = |number: &usize| {
        format!("design -reset\nread_rtlil miter{number}.il\ntee -o answer{number}.txt sat -prove trigger 0 -timeout {PATIENCE} miter\n")
    };
    yosys::run(&[], &asked.iter().map(question).collect::<String>(), folder.path())?;
    let mut proved = vec![];
    for number in asked {
        let answer = format!("answer{number}.txt");
        let text = std::fs::read_to_string(folder.path().join(&answer)).context(answer)?;
        proved.extend(text.contains("no model found: SUCCESS").then_some(number));
    }
    Ok(proved)
}
