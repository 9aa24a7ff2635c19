//! The golden model of recurrent networks against an independent dense computation, and on damaged images.

use crate::common::recurrent::{Dense, RecurrentCase, Shape};
use lacuna_compress::spec::cell;
use lacuna_compress::spec::lut::Lut;
use lacuna_compress::spec::program::{row_result, Job, Op, Parameters, Source};
use lacuna_compress::spec::{MemoryKind, Section, WeightForm, Words};
use lacuna_sim::golden::{GoldenError, Recurrent, Work};

/// Sums of a matrix, row by row, in wide integers.
fn product(matrix: &Dense, rows: usize, values: &[i16], bits: usize) -> Vec<i64> {
    let sum =
        |row: usize| matrix.columns.iter().zip(values).map(|(c, v)| i128::from(matrix.value(c[row], bits)) * i128::from(*v)).sum::<i128>();
    (0..rows).map(|row| i64::try_from(sum(row)).unwrap()).collect()
}

/// One channel of a network, layer by layer, from its dense matrices.
struct Reference<'a> {
    case: &'a RecurrentCase,
    lut: Lut,
    h: Vec<Vec<i16>>,
    c: Vec<Vec<i16>>,
}

impl Reference<'_> {
    fn new(case: &RecurrentCase) -> Reference<'_> {
        let (h, c) = case.lstm.iter().map(|l| (vec![0; l.hidden], vec![0; l.cells])).unzip();
        Reference { case, lut: Lut::default(), h, c }
    }
    fn step(&mut self, input: &[i16]) -> Vec<i16> {
        let bits = self.case.model.arch().weight_bits;
        let linear = |matrix: &Dense, bias: &[Parameters], job: &Op, values: &[i16]| -> Vec<i16> {
            let sums = product(matrix, job.count, values, bits);
            sums.iter().enumerate().map(|(row, sum)| row_result(job, *sum, bias.get(row).map_or(0, |b| b.biases[0]))).collect()
        };
        let mut x = input.to_vec();
        for (number, l) in self.case.lstm.iter().enumerate() {
            let (from_x, from_h) = (product(&l.x, 4 * l.cells, &x, bits), product(&l.h, 4 * l.cells, &self.h[number], bits));
            let mut m = vec![];
            for cell in 0..l.cells {
                let sums = std::array::from_fn(|gate| from_x[4 * cell + gate] + from_h[4 * cell + gate]);
                let step = cell::step(&l.job, &self.lut, sums, &l.parameters[cell], self.c[number][cell]);
                self.c[number][cell] = step.c;
                m.push(step.m);
            }
            self.h[number] = match &l.projection {
                Some((matrix, bias)) => linear(matrix, bias, &l.projection_job, &m),
                None => m,
            };
            x = self.h[number].clone();
        }
        for layer in &self.case.layers {
            x = linear(&layer.matrix, &layer.bias, &layer.job, &x);
        }
        x
    }
}

#[test]
fn golden_equals_a_dense_computation_at_every_state() {
    let mut moved = 0;
    for seed in 0..200 {
        let case = RecurrentCase::random(seed);
        let golden = Recurrent::new(&case.model.image).unwrap();
        for steps in &case.inputs {
            let (mut reference, mut state) = (Reference::new(&case), golden.state());
            for (t, input) in steps.iter().enumerate() {
                let (expected, trace) = (reference.step(input), golden.step(&mut state, input).unwrap());
                assert_eq!(trace.output, expected, "{}: step {t}", case.name);
                for (number, l) in case.model.network.lstm.iter().enumerate() {
                    let (h, c) = (&state.vectors[l.hidden_base..][..l.hidden], &state.cells[l.cell_base..][..l.cells]);
                    assert_eq!((h, c), (reference.h[number].as_slice(), reference.c[number].as_slice()), "{}: step {t}", case.name);
                    moved += usize::from(c.iter().any(|c| c.unsigned_abs() > 1000 && c.unsigned_abs() < 32000));
                }
            }
        }
    }
    assert!(moved > 200, "the networks must do something: {moved}");
}

#[test]
fn a_step_says_what_every_job_did() {
    let case = RecurrentCase::random(3);
    let golden = Recurrent::new(&case.model.image).unwrap();
    let mut state = golden.state();
    let trace = golden.step(&mut state, &case.inputs[0][0]).unwrap();
    let jobs: Vec<usize> = golden.ops.iter().enumerate().filter(|(_, o)| o.op.job != Job::None).map(|(i, _)| i).collect();
    assert_eq!(trace.jobs.iter().map(|j| j.op).collect::<Vec<_>>(), jobs);
    for job in &trace.jobs {
        let op = &golden.ops[job.op].op;
        match &job.work {
            Work::Cells(cells) => {
                let c: Vec<i16> = cells.iter().map(|c| c.c).collect();
                assert_eq!((op.job, &state.cells[op.cell_base..op.cell_base + op.count]), (Job::Cells, c.as_slice()));
            }
            Work::Rows(rows) => assert_eq!((op.job, &state.vectors[op.dest..op.dest + op.count]), (Job::Rows, rows.as_slice())),
        }
    }
}

/// A case whose results depend on its state.
fn stateful() -> RecurrentCase {
    let counts = |case: &RecurrentCase| {
        let golden = Recurrent::new(&case.model.image).unwrap();
        let mut state = golden.state();
        let mut run = || -> Vec<_> { case.inputs[0].iter().map(|input| golden.step(&mut state, input).unwrap().output).collect() };
        run() != run()
    };
    (0..).map(RecurrentCase::random).find(|c| c.inputs[0].len() >= 5 && counts(c)).unwrap()
}

#[test]
fn a_fresh_sequence_and_a_cleared_state_begin_at_zero() {
    let case = stateful();
    let golden = Recurrent::new(&case.model.image).unwrap();
    let steps = &case.inputs[0];
    let run = |state: &mut lacuna_sim::golden::State| -> Vec<Vec<i16>> {
        steps.iter().map(|input| golden.step(state, input).unwrap().output).collect()
    };
    let mut state = golden.state();
    let first = run(&mut state);
    let kept = state.clone();
    assert_ne!(run(&mut state), first, "the state must count");
    state = kept.clone();
    state.begin();
    assert_eq!(run(&mut state), first);
    assert_eq!((&state.vectors, &state.cells), (&kept.vectors, &kept.cells));
    state.clear();
    assert!(state.vectors.iter().chain(&state.cells).all(|v| *v == 0));
    assert_eq!(run(&mut state), first);
}

#[test]
fn a_vector_of_another_length_is_refused() {
    let case = stateful();
    let golden = Recurrent::new(&case.model.image).unwrap();
    let (mut state, expected) = (golden.state(), golden.inputs());
    let found = golden.step(&mut state, &vec![1; expected + 1]).unwrap_err();
    assert_eq!(found, GoldenError::Input { found: expected + 1, expected });
}

fn change(case: &RecurrentCase, index: usize, edit: impl FnOnce(&mut Op)) -> Result<Recurrent, GoldenError> {
    let mut image = case.model.image.clone();
    let words = image.sections.get_mut(&Section::Layers).unwrap();
    let mut op = Op::read(words, index);
    edit(&mut op);
    op.write(words, index);
    Recurrent::new(&image)
}

#[test]
fn programs_without_a_meaning_are_refused_by_operation() {
    let case = (0..).map(RecurrentCase::random).find(|c| c.model.program().len() >= 6 && c.name.contains("ahead: Some")).unwrap();
    let ops = case.model.program();
    let arch = case.model.arch().clone();
    let token = ops.iter().position(|op| op.job == Job::Cells).unwrap();
    let rows = ops.iter().position(|op| op.job == Job::Rows).unwrap();
    let ahead = ops.iter().position(|op| op.source == Source::Ahead).unwrap();
    let state = ops.iter().position(|op| op.state).unwrap();
    type Edit<'a> = Box<dyn Fn(&mut Op) + 'a>;
    let edits: Vec<(usize, Edit)> = vec![
        (0, Box::new(|op| op.columns = 0)),
        (0, Box::new(|op| op.columns = 60_000)),
        (0, Box::new(|op| op.source = Source::Vector)),
        (0, Box::new(|op| op.ptr_base = 1 << 24)),
        (token, Box::new(|op| op.count = 0)),
        (token, Box::new(|op| op.count = 65_535)),
        (token, Box::new(|op| op.shifts[2] = 48)),
        (token, Box::new(|op| op.cell_shift = 14)),
        (token, Box::new(|op| op.hidden_shift = 31)),
        (token, Box::new(|op| op.rows_bank = true)),
        (token, Box::new(|op| op.param_base = 65_535)),
        (token, Box::new(|op| op.cell_base = arch.ese.as_ref().unwrap().cell_depth)),
        (token, Box::new(|op| op.dest = arch.act_depth)),
        (rows, Box::new(|op| op.source_base = arch.act_depth)),
        (rows, Box::new(|op| op.rows_bank = false)),
        (rows, Box::new(|op| op.stream ^= op.whole)),
        (rows, Box::new(|op| (op.stream, op.whole) = (false, false))),
        (state, Box::new(|op| op.stream = true)),
        (ahead, Box::new(|op| op.ptr_base += 1)),
        (ahead, Box::new(|op| op.job = Job::Rows)),
        (ahead, Box::new(|op| op.source = Source::Input)),
        (ops.len() - 1, Box::new(|op| op.last = false)),
    ];
    for (number, (index, edit)) in edits.into_iter().enumerate() {
        // what waits already gains nothing from streaming, so that edit may have changed nothing
        let before = ops[index];
        let mut after = before;
        edit(&mut after);
        match change(&case, index, edit) {
            Err(GoldenError::Program { op, .. }) => assert!(op < ops.len(), "edit {number}"),
            Err(GoldenError::EndlessProgram { operations }) => assert_eq!((number, operations), (21, ops.len())),
            Err(other) => panic!("edit {number}: {other}"),
            Ok(_) => assert_eq!(before, after, "edit {number} was not noticed"),
        }
    }

    // input, state with `cells` cells, a layer of 3 rows
    let small = |cells: usize| {
        let (lstm, layers) = (vec![(cells, None)], vec![3]);
        let shape = Shape {
            pes: 2,
            channels: 1,
            fifo_depth: 4,
            form: WeightForm::Direct,
            weight_bits: 5,
            run_bits: 3,
            entries_per_word: 2,
            inputs: 4,
            lstm,
            layers,
            peepholes: false,
            density: 0.5,
            ahead: None,
            state_first: false,
            steps: 1,
        };
        let case = RecurrentCase::build(1, &shape);
        assert_eq!(case.model.program().iter().map(|op| op.job).collect::<Vec<_>>(), [Job::None, Job::Cells, Job::Rows]);
        case
    };
    // the same with `copies` of operation `of` without its job before it
    let longer = |cells: usize, of: usize, copies: usize| {
        let case = small(cells);
        let mut ops = case.model.program();
        let copy = Op { job: Job::None, count: 0, store: false, output: false, bias: false, last: false, ..ops[of] };
        ops.splice(of..of, vec![copy; copies]);
        run_program(&case, &ops)
    };
    let fails_at = |found: Result<Recurrent, GoldenError>, at: usize, why: &str| match found {
        Err(GoldenError::Program { op, found }) => assert!(op == at && found.contains(why), "operation {op}: {found}"),
        other => panic!("{why}: {:?}", other.map(|_| ())),
    };
    // the program is longer than those above, with and without what is refused
    for (cells, copies) in [(1, 8), (4, 8), (9, 9), (12, 11)] {
        longer(cells, 2, copies).unwrap_or_else(|e| panic!("{cells} cells, {copies} operations: {e}"));
    }
    for (cells, copies) in [(1, 9), (8, 9), (12, 13)] {
        fails_at(longer(cells, 2, copies), 1, &format!("its job of {cells} elements ends before the {copies} operations"));
    }
    // operation 0 and what follows it up to the first token are behind the last job
    longer(4, 1, 7).unwrap();
    fails_at(longer(4, 1, 8), 10, "its job of 3 elements ends before the 9 operations");
    // a layer's cells from the input alone: the same program but for the state
    let case = small(4);
    let mut ops = case.model.program();
    let input = ops[0];
    ops[0] = Op {
        columns: input.columns,
        source: input.source,
        source_base: 0,
        ptr_base: input.ptr_base,
        layer: input.layer,
        state: false,
        ..ops[1]
    };
    ops.remove(1);
    fails_at(run_program(&case, &ops), 0, "the input has a job");
}

/// The image with another program.
fn run_program(case: &RecurrentCase, ops: &[Op]) -> Result<Recurrent, GoldenError> {
    let mut image = case.model.image.clone();
    image.arch.max_layers = image.arch.max_layers.max(ops.len());
    let mut words = Words::zeroed(Op::BITS, ops.len());
    ops.iter().enumerate().for_each(|(index, op)| op.write(&mut words, index));
    image.sections.insert(Section::Layers, words);
    Recurrent::new(&image)
}

#[test]
fn sums_that_could_leave_the_accumulator_are_refused() {
    let case = stateful();
    let mut image = case.model.image.clone();
    let arch = image.arch.clone();
    let parameters = image.sections.get_mut(&Section::Parameters).unwrap();
    let mut word = Parameters::read(parameters, 0, &arch);
    word.biases[2] = (1 << (arch.acc_bits - 1)) - 1;
    word.write(parameters, 0, &arch);
    let found = Recurrent::new(&image).map(|_| ()).unwrap_err().to_string();
    assert!(found.contains("cell 0, gate 2") && found.contains(&format!("the accumulator has {}", arch.acc_bits)), "{found}");
}

#[test]
fn missing_and_misshapen_memories_are_refused() {
    let case = stateful();
    for section in lacuna_compress::spec::layout::sections(case.model.arch()) {
        let mut image = case.model.image.clone();
        image.sections.remove(&section);
        assert_eq!(Recurrent::new(&image).map(|_| ()), Err(GoldenError::Missing { section }));
    }
    let mut image = case.model.image.clone();
    image.arch.ese = None;
    assert!(Recurrent::new(&image).is_err());
}

/// Any bit of the memories: an error or another network, never a panic.
#[test]
fn damaged_images_never_panic() {
    for seed in 0..10 {
        let case = RecurrentCase::random(seed);
        let mut random = seed;
        for (section, words) in &case.model.image.sections {
            for _ in 0..40 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let mut image = case.model.image.clone();
                let damaged = image.sections.get_mut(section).unwrap();
                let (index, bit) = ((random >> 33) as usize % words.len(), (random >> 20) as usize % words.width());
                let flipped = damaged.bits(index, bit, 1) ^ 1;
                damaged.set_bits(index, bit, 1, flipped);
                if let Ok(golden) = Recurrent::new(&image) {
                    let mut state = golden.state();
                    let _ = golden.step(&mut state, &vec![-32768; golden.inputs()]);
                }
            }
        }
        assert!(case.model.image.sections.keys().any(|s| s.kind() == MemoryKind::Spmat));
    }
}
