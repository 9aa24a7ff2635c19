//! What a program of the ESE kind must be for its operations to have one meaning, whatever the hardware's timing.
//!
//! Jobs run beside the broadcasts that follow them, up to the next token, which waits for them. A program is refused if an operation could read a result that is
//! not stored yet, or sum into a bank that is not drained yet: then the golden model, which runs every job at its
//! token, and the hardware could differ.

use super::GoldenError;
use lacuna_compress::spec::program::{Job, Op, Source};
use lacuna_compress::spec::{fixed, Arch, Ese};

/// Operations without a job in a row that may follow a job of any size.
const SEARCHED: usize = 8;

fn fault<T>(op: usize, found: String) -> Result<T, GoldenError> {
    Err(GoldenError::Program { op, found })
}

/// Checks every field of every operation, and how they follow each other.
pub(super) fn check(arch: &Arch, ese: &Ese, ops: &[Op]) -> Result<(), GoldenError> {
    for (number, op) in ops.iter().enumerate() {
        check_columns(arch, ese, number, op)?;
        check_job(arch, ese, number, op)?;
    }
    check_input(ops)?;
    check_search(ops)?;
    check_sums(ops)?;
    check_order(ops)
}

fn within(op: usize, field: &str, found: usize, low: usize, high: usize) -> Result<(), GoldenError> {
    if (low..=high).contains(&found) {
        Ok(())
    } else {
        fault(op, format!("{field} is {found}, allowed are {low} to {high}"))
    }
}

fn check_columns(arch: &Arch, ese: &Ese, number: usize, op: &Op) -> Result<(), GoldenError> {
    if op.source != Source::Vector {
        within(number, "columns", op.columns, 1, ese.input_depth)?;
        if op.state || op.stream {
            return fault(number, "its columns are the input, not state or results".into());
        }
        return Ok(());
    }
    within(number, "columns", op.columns, 1, arch.act_depth)?;
    within(number, "source_base", op.source_base, 0, arch.act_depth - op.columns)
}

fn check_job(arch: &Arch, ese: &Ese, number: usize, op: &Op) -> Result<(), GoldenError> {
    if op.job == Job::None {
        return Ok(());
    }
    if (op.job == Job::Rows) != op.rows_bank {
        return fault(number, "its job reads another bank than it sums into".into());
    }
    let most = arch.acc_depth * arch.pes;
    within(number, "count", op.count, 1, most)?;
    if op.store {
        within(number, "end of the results", op.dest + op.count, 1, arch.act_depth)?;
    }
    if op.output {
        within(number, "count of the output", op.count, 1, ese.output_depth)?;
    }
    if op.job == Job::Cells || op.bias {
        within(number, "end of the parameters", op.param_base + op.count, 1, arch.bias_depth)?;
    }
    let gates = if op.job == Job::Cells { 4 } else { 1 };
    for shift in &op.shifts[..gates] {
        within(number, "shift", *shift as usize, 0, fixed::MAX_SHIFT as usize)?;
    }
    if op.job == Job::Cells {
        within(number, "end of the cells", op.cell_base + op.count, 1, ese.cell_depth)?;
        for align in op.aligns {
            within(number, "align", align as usize, 0, Op::MAX_ALIGN as usize)?;
        }
        within(number, "cell_shift", op.cell_shift as usize, 15, 30)?;
        within(number, "hidden_shift", op.hidden_shift as usize, 15, 30)?;
    }
    Ok(())
}

/// The input comes first; what is broadcast of the next one in advance must be of the same matrix.
fn check_input(ops: &[Op]) -> Result<(), GoldenError> {
    let first = &ops[0];
    if first.job != Job::None {
        return fault(0, "the input has a job, but the hardware begins jobs only behind its first operation".into());
    }
    for (number, op) in ops.iter().enumerate() {
        match (number, op.source) {
            (0, Source::Input) | (1.., Source::Vector) => (),
            (0, _) => return fault(0, "the first operation is not the input".into()),
            (_, Source::Input) => return fault(number, "the input comes first and once".into()),
            (_, Source::Ahead) => {
                let same = (op.ptr_base, op.layer, op.rows_bank) == (first.ptr_base, first.layer, first.rows_bank);
                if !same || op.columns > first.columns {
                    return fault(number, "the input in advance is of another matrix than that of operation 0".into());
                }
                if op.job != Job::None {
                    return fault(number, "the input in advance has a job, but what it broadcasts may be nothing".into());
                }
                if ops[number..].iter().any(|o| o.job != Job::None && o.rows_bank == op.rows_bank) {
                    return fault(number, "a job of this step takes the sums of the input in advance".into());
                }
            }
        }
    }
    match ops.last() {
        Some(op) if op.job == Job::None && op.source != Source::Ahead => fault(ops.len() - 1, "its sums belong to no job".into()),
        _ => Ok(()),
    }
}

/// The hardware looks for the next token while a job runs, an operation a cycle: the job must last as long. Up to
/// [`SEARCHED`] operations are found while any job's results are under way. The program goes on with its beginning.
fn check_search(ops: &[Op]) -> Result<(), GoldenError> {
    for (number, op) in ops.iter().enumerate().filter(|(_, op)| op.job != Job::None) {
        let behind = ops[number + 1..].iter().chain(&ops[..number]).take_while(|op| op.job == Job::None).count();
        if behind > SEARCHED && op.count < behind {
            return fault(
                number,
                format!("its job of {} elements ends before the {behind} operations without a job behind it are read", op.count),
            );
        }
    }
    Ok(())
}

/// Every sum is taken by a job of the same step.
fn check_sums(ops: &[Op]) -> Result<(), GoldenError> {
    for (number, op) in ops.iter().enumerate().filter(|(_, op)| op.source != Source::Ahead) {
        if job_of(ops, number).is_none() {
            return fault(number, format!("no job takes its sums from the bank of {}", if op.rows_bank { "rows" } else { "gates" }));
        }
    }
    Ok(())
}

/// The operation whose job takes the sums of operation `number`.
pub(super) fn job_of(ops: &[Op], number: usize) -> Option<usize> {
    (number..ops.len()).find(|n| ops[*n].job != Job::None && ops[*n].rows_bank == ops[number].rows_bank)
}

/// A job that was begun by a token, as far as the operations after it must know it.
struct Begun {
    op: usize,
    /// 0 and 1: gates, 2: rows.
    bank: usize,
}

/// Runs the program over two steps, with every job as late as the operations after it allow.
fn check_order(ops: &[Op]) -> Result<(), GoldenError> {
    let mut begun: Vec<Begun> = vec![];
    // jobs that have certainly stored everything: at least all but the last
    let mut over = 0;
    let mut parity = 0;
    for (number, op) in ops.iter().enumerate().chain(ops.iter().enumerate()) {
        let bank = if op.rows_bank { 2 } else { parity };
        if op.stream {
            // in the first step nothing may have gone before: what is there is read
            if begun.last().map(|b| &ops[b.op]).is_some_and(|last| !last.store || last.dest != op.source_base || op.columns > last.count) {
                return fault(number, "its columns are not the results of the job before it".into());
            }
        }
        if op.whole {
            over = begun.len();
        }
        for job in &begun[over..] {
            if job.bank == bank {
                return fault(number, format!("it may sum into a bank that the job of operation {} still reads", job.op));
            }
        }
        if op.source == Source::Vector && !op.stream {
            for job in begun[over..].iter().map(|b| &ops[b.op]).filter(|job| job.store) {
                if job.dest < op.source_base + op.columns && op.source_base < job.dest + job.count {
                    return fault(number, "it may read results that are not stored yet".into());
                }
            }
        }
        if op.stream && begun.last().is_some_and(|b| ops[b.op].count == op.columns) {
            over = begun.len();
        }
        if op.job != Job::None {
            over = begun.len();
            begun.push(Begun { op: number, bank });
            parity ^= usize::from(op.job == Job::Cells);
        }
    }
    Ok(())
}
