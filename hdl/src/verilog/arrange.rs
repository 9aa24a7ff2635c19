//! Which steps of a kernel are plain nets and which need a process.
//!
//! A kernel is a sequence in which later assignments win. A signal assigned once, unconditionally, from signals that are
//! final by then is a net (`assign`, or a pin); so is one whose bits are each assigned once. All else goes into
//! `always @*` blocks, one per group of signals that depend on each other's order, so that Verilog's own order holds
//! inside a group and none is claimed between groups.

use super::fault::Fault;
use super::flatten::Step;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The steps, in the order of the kernel within each part.
pub(super) struct Plan {
    /// Assignments that are nets, each with the comment before it.
    pub nets: Vec<(Step, Option<String>)>,
    /// The processes; each step with the comment before it.
    pub processes: Vec<Vec<(Step, Option<String>)>>,
    /// The signals that a process assigns.
    pub procedural: HashSet<String>,
    /// The signals that anything reads.
    pub read: HashSet<String>,
    /// The signals that anything assigns.
    pub written: HashSet<String>,
}

impl Step {
    /// Calls `f(name, is_write)` for each signal of a step.
    pub(super) fn touches<'a>(&'a self, f: &mut dyn FnMut(&'a str, bool)) {
        match self {
            Step::Assign { to, part, value } => {
                value.reads(&mut |x| f(x, false));
                if let Some((offset, _)) = part {
                    offset.reads(&mut |x| f(x, false));
                }
                f(to, true);
            }
            Step::If { test, then, otherwise } => {
                test.reads(&mut |x| f(x, false));
                then.iter().chain(otherwise).for_each(|s| s.touches(f));
            }
            Step::Case { test, arms } => {
                test.reads(&mut |x| f(x, false));
                for (label, steps) in arms {
                    f(label, false);
                    steps.iter().for_each(|s| s.touches(f));
                }
            }
            Step::Comment(_) => {}
        }
    }
}

/// The bits `low..end` that an unconditional assignment sets, if they are known.
fn bits_set(step: &Step, name: &str, width: usize, constants: &HashMap<String, i128>) -> Option<(usize, usize)> {
    match step {
        Step::Assign { to, part: None, .. } if to == name => Some((0, width)),
        Step::Assign { to, part: Some((offset, n)), .. } if to == name => {
            let low = usize::try_from(offset.fold(constants)?).ok()?;
            Some((low, low + n))
        }
        _ => None,
    }
}

/// Takes out assignments that a later, unconditional one overwrites before anyone reads them: defaults that turned out
/// not to be needed.
fn drop_overwritten(steps: &mut Vec<Step>, width: &dyn Fn(&str) -> Option<usize>, constants: &HashMap<String, i128>) {
    let mut covered: HashMap<String, Vec<(usize, usize)>> = HashMap::new();
    let mut keep = vec![true; steps.len()];
    for (k, s) in steps.iter().enumerate().rev() {
        if let Step::Assign { to, .. } = s {
            let size = width(to).unwrap_or(0);
            let set = bits_set(s, to, size, constants);
            if let (Some((low, end)), Some(parts)) = (set, covered.get(to)) {
                if covers(parts, low, end) {
                    keep[k] = false;
                    continue;
                }
            }
            if let Some(range) = set {
                covered.entry(to.clone()).or_default().push(range);
            }
        }
        s.touches(&mut |x, write| {
            if !write {
                covered.remove(x);
            }
        });
    }
    let mut keep = keep.into_iter();
    steps.retain(|_| keep.next().unwrap_or(true));
}

/// Do the parts cover all of `low..end`?
fn covers(parts: &[(usize, usize)], low: usize, end: usize) -> bool {
    let mut parts = parts.to_vec();
    parts.sort();
    let mut next = low;
    for (l, e) in parts {
        if l <= next {
            next = next.max(e);
        }
    }
    next >= end
}

/// Sorts a kernel's steps. `width` gives the width of a signal.
pub(super) fn arrange(steps: Vec<Step>, width: &dyn Fn(&str) -> Option<usize>, constants: &HashMap<String, i128>) -> Result<Plan, Fault> {
    let mut comments: Vec<Option<String>> = vec![];
    let mut real = vec![];
    split_comments(steps, width, constants, &mut real, &mut comments);
    let count = real.len();

    let mut writers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut readers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (k, s) in real.iter().enumerate() {
        s.touches(&mut |x, write| {
            let list = if write { &mut writers } else { &mut readers }.entry(x).or_default();
            if list.last() != Some(&k) || write {
                list.push(k);
            }
        });
    }
    let mut net = vec![false; count];
    for (name, at) in &writers {
        if is_net(name, at, &real, &writers, width, constants)? {
            at.iter().for_each(|k| net[*k] = true);
        }
    }

    // processes: whatever shares a signal that one of them assigns, unless it only reads the final value
    let mut group: Vec<usize> = (0..count).collect();
    for (name, at) in &writers {
        if net[at[0]] {
            continue;
        }
        let last = at.iter().copied().max().unwrap_or(0);
        let early = readers.get(name).into_iter().flatten().copied().filter(|r| *r <= last && !net[*r]);
        for k in at.iter().copied().chain(early) {
            join(&mut group, at[0], k);
        }
    }
    let mut order: Vec<usize> = vec![];
    let mut members: HashMap<usize, Vec<usize>> = HashMap::new();
    for k in (0..count).filter(|k| !net[*k]) {
        let root = find(&mut group, k);
        if !members.contains_key(&root) {
            order.push(root);
        }
        members.entry(root).or_default().push(k);
    }
    let own = |names: &BTreeMap<&str, Vec<usize>>| names.keys().map(|x| x.to_string()).collect::<HashSet<_>>();
    let (read, written) = (own(&readers), own(&writers));
    let procedural = writers.iter().filter(|(_, at)| !net[at[0]]).map(|(n, _)| n.to_string()).collect();
    for root in &order {
        let mut reads = false;
        let mut target = "";
        for k in &members[root] {
            real[*k].touches(&mut |x, write| {
                if write {
                    target = x;
                } else {
                    reads = true;
                }
            });
        }
        if !reads {
            return Err(Fault::OnlyConstants(target.into()));
        }
    }

    let mut slots: Vec<Option<(Step, Option<String>)>> = real.into_iter().zip(comments).map(Some).collect();
    let processes = order.iter().map(|root| members[root].iter().filter_map(|k| slots[*k].take()).collect()).collect();
    Ok(Plan { nets: slots.into_iter().flatten().collect(), processes, procedural, read, written })
}

/// Drops what is overwritten and splits top-level comments off, each to the step after it.
fn split_comments(
    mut steps: Vec<Step>,
    width: &dyn Fn(&str) -> Option<usize>,
    constants: &HashMap<String, i128>,
    real: &mut Vec<Step>,
    comments: &mut Vec<Option<String>>,
) {
    drop_overwritten(&mut steps, width, constants);
    let mut pending = None;
    for s in steps {
        match s {
            Step::Comment(c) => pending = Some(c),
            s => {
                real.push(s);
                comments.push(pending.take());
            }
        }
    }
}

fn is_net(
    name: &str,
    at: &[usize],
    steps: &[Step],
    writers: &BTreeMap<&str, Vec<usize>>,
    width: &dyn Fn(&str) -> Option<usize>,
    constants: &HashMap<String, i128>,
) -> Result<bool, Fault> {
    let size = width(name).ok_or_else(|| Fault::Unknown(name.into()))?;
    let mut parts = vec![];
    for k in at {
        let Some(bits) = bits_set(&steps[*k], name, size, constants) else { return Ok(false) };
        let mut settled = true;
        steps[*k].touches(&mut |x, write| {
            settled &= write || x != name && writers.get(x).is_none_or(|w| w.iter().all(|p| p < k));
        });
        if !settled {
            return Ok(false);
        }
        parts.push(bits);
    }
    parts.sort();
    if parts.windows(2).any(|p| p[1].0 < p[0].1) {
        return Ok(false);
    }
    let mut next = 0;
    for (low, end) in parts.into_iter().chain([(size, size)]) {
        if low > next {
            return Err(Fault::PartlyAssigned { signal: name.into(), bit: next });
        }
        next = end;
    }
    Ok(true)
}

fn find(group: &mut [usize], mut k: usize) -> usize {
    while group[k] != k {
        group[k] = group[group[k]];
        k = group[k];
    }
    k
}

/// The smaller index leads, so that the processes keep the kernel's order.
fn join(group: &mut [usize], a: usize, b: usize) {
    let (a, b) = (find(group, a), find(group, b));
    group[a.max(b)] = a.min(b);
}
