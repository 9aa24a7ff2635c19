//! One process per combinational signal, one for the next values of all registers.
//!
//! A process that drives several outputs and gives them defaults first makes glitches: an event-driven simulator sees
//! the default, then the value. Two such processes that read each other's outputs, without any signal depending on
//! itself, wake each other for ever. A process that drives one signal reads only what that signal depends on, so
//! processes have loops only where signals have them. What registers take next is read at clock edges alone, and may
//! stay together.

use super::flatten::Step;
use std::collections::{HashMap, HashSet};

/// A step of a process, with the comment before it.
type Noted = (Step, Option<String>);

/// Splits a process. `is_state` says whether a signal is the next value of a register.
pub(super) fn slice(process: Vec<Noted>, is_state: &dyn Fn(&str) -> bool) -> Vec<Vec<Noted>> {
    let mut targets: Vec<String> = vec![];
    let mut seen = HashSet::new();
    for (step, _) in &process {
        step.touches(&mut |x, write| {
            if write && seen.insert(x.to_string()) {
                targets.push(x.to_string());
            }
        });
    }
    let last_write = last_writes(&process);
    let together: HashSet<String> = targets.iter().filter(|x| is_state(x) || needs_order(&process, x, &last_write)).cloned().collect();
    let alone = targets.iter().filter(|x| !together.contains(*x)).map(|x| HashSet::from([x.clone()]));
    let parts: Vec<HashSet<String>> = alone.chain((!together.is_empty()).then(|| together.clone())).collect();
    if parts.len() < 2 {
        return vec![process];
    }
    let part = |wanted: &HashSet<String>| process.iter().filter_map(|(s, note)| Some((keep(s, wanted)?, note.clone()))).collect();
    parts.iter().map(part).collect()
}

/// The place of each signal's last assignment.
fn last_writes(process: &[Noted]) -> HashMap<String, usize> {
    let mut last = HashMap::new();
    for (k, (step, _)) in process.iter().enumerate() {
        step.touches(&mut |x, write| {
            if write {
                last.insert(x.to_string(), k);
            }
        });
    }
    last
}

/// Does the order of the kernel count for this signal: is it read before its last assignment, or does it read something
/// that is assigned again later?
fn needs_order(process: &[Noted], name: &str, last_write: &HashMap<String, usize>) -> bool {
    let wanted = HashSet::from([name.to_string()]);
    let own = last_write.get(name).copied().unwrap_or(0);
    process.iter().enumerate().any(|(k, (step, _))| {
        let mut ordered = false;
        step.touches(&mut |x, write| ordered |= !write && x == name && k <= own);
        if let Some(part) = keep(step, &wanted) {
            part.touches(&mut |x, write| ordered |= !write && last_write.get(x).is_some_and(|last| *last >= k));
        }
        ordered
    })
}

/// What of a step assigns one of the signals.
fn keep(step: &Step, wanted: &HashSet<String>) -> Option<Step> {
    let all = |steps: &[Step]| steps.iter().filter_map(|s| keep(s, wanted)).collect::<Vec<_>>();
    let assigns = |steps: &[Step]| steps.iter().any(|s| !matches!(s, Step::Comment(_)));
    match step {
        Step::Assign { to, .. } => wanted.contains(to).then(|| step.clone()),
        Step::If { test, then, otherwise } => {
            let (then, otherwise) = (all(then), all(otherwise));
            (assigns(&then) || assigns(&otherwise)).then(|| Step::If { test: test.clone(), then, otherwise })
        }
        Step::Case { test, arms } => {
            let arms: Vec<_> = arms.iter().map(|(label, steps)| (label.clone(), all(steps))).collect();
            arms.iter().any(|(_, steps)| assigns(steps)).then(|| Step::Case { test: test.clone(), arms })
        }
        Step::Comment(_) => Some(step.clone()),
    }
}
