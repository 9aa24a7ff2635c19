//! Recurrent networks drawn from a seed, with their images written word by word: no part of the compiler is used.

use lacuna_compress::manifest::{NetworkLayer, NetworkLstm, RecurrentModel, RecurrentNetwork};
use lacuna_compress::model::Activation;
use lacuna_compress::spec::layout::{pointer_place, sections};
use lacuna_compress::spec::program::{Job, Op, Parameters, Source};
use lacuna_compress::spec::{Arch, Entry, Ese, MemoryImage, MemoryKind, Section, WeightForm, Words};
use lacuna_sim::golden::{GoldenError, Recurrent};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

/// Stored weights at `[column][row]`: codes or values, 0 where there is none. Rows of gates are `4 * cell + gate`.
#[derive(Clone, Debug)]
pub struct Dense {
    pub columns: Vec<Vec<u32>>,
    pub codebook: Vec<i16>,
    gates: bool,
}

#[derive(Clone, Debug)]
pub struct Lstm {
    pub x: Dense,
    pub h: Dense,
    pub cells: usize,
    pub hidden: usize,
    pub parameters: Vec<Parameters>,
    pub projection: Option<(Dense, Vec<Parameters>)>,
    /// Shifts and flags of the jobs.
    pub job: Op,
    pub projection_job: Op,
}

#[derive(Clone, Debug)]
pub struct Linear {
    pub matrix: Dense,
    pub bias: Vec<Parameters>,
    pub job: Op,
}

/// A network, its image, and what to run on it.
#[derive(Clone, Debug)]
pub struct RecurrentCase {
    pub name: String,
    pub seed: u64,
    pub model: RecurrentModel,
    pub lstm: Vec<Lstm>,
    pub layers: Vec<Linear>,
    /// At `[channel][step]`.
    pub inputs: Vec<Vec<Vec<i16>>>,
}

fn pick<T: Copy>(rng: &mut ChaCha8Rng, from: &[T]) -> T {
    from[rng.random_range(0..from.len())]
}

/// What is drawn before the network: all that its matrices depend on.
#[derive(Clone, Debug)]
pub struct Shape {
    pub pes: usize,
    pub channels: usize,
    pub fifo_depth: usize,
    pub form: WeightForm,
    pub weight_bits: usize,
    pub run_bits: usize,
    pub entries_per_word: usize,
    pub inputs: usize,
    /// Cells, and results of the projection.
    pub lstm: Vec<(usize, Option<usize>)>,
    pub layers: Vec<usize>,
    pub peepholes: bool,
    pub density: f64,
    /// Columns of the input in advance before the last job, and behind it.
    pub ahead: Option<(usize, usize)>,
    /// Recurrent columns of a layer go before those of its input.
    pub state_first: bool,
    pub steps: usize,
}

impl Shape {
    /// Three channels, two LSTM layers, the first with a projection, one layer behind them; five steps.
    pub fn two_layers() -> Shape {
        Shape {
            pes: 3,
            channels: 3,
            fifo_depth: 4,
            form: WeightForm::Direct,
            weight_bits: 8,
            run_bits: 3,
            entries_per_word: 4,
            inputs: 9,
            lstm: vec![(8, Some(5)), (7, None)],
            layers: vec![4],
            peepholes: true,
            density: 0.5,
            ahead: Some((4, 9)),
            state_first: true,
            steps: 5,
        }
    }

    pub fn random(rng: &mut ChaCha8Rng) -> Shape {
        let form = if rng.random_bool(0.5) { WeightForm::Codebook } else { WeightForm::Direct };
        let weight_bits = if form == WeightForm::Codebook { rng.random_range(2..=6) } else { pick(rng, &[2, 5, 8, 12, 16]) };
        let inputs = pick(rng, &[1, 2, 5, 13, 30]);
        let layers = rng.random_range(1..=3);
        let lstm = (0..layers)
            .map(|_| {
                let cells = pick(rng, &[1, 2, 4, 7, 16, 21]);
                (cells, rng.random_bool(0.5).then(|| rng.random_range(1..=cells)))
            })
            .collect();
        Shape {
            pes: rng.random_range(1..=5),
            channels: rng.random_range(1..=3),
            fifo_depth: pick(rng, &[1, 2, 3, 4, 8, 16]),
            form,
            weight_bits,
            run_bits: rng.random_range(2..=5),
            entries_per_word: pick(rng, &[1, 2, 4, 8, 16]),
            inputs,
            lstm,
            layers: (0..rng.random_range(0..=2)).map(|_| rng.random_range(1..=9)).collect(),
            peepholes: rng.random_bool(0.5),
            density: pick(rng, &[0.0, 0.1, 0.4, 1.0]),
            ahead: rng.random_bool(0.6).then(|| (rng.random_range(1..=inputs), inputs)),
            state_first: rng.random_bool(0.5),
            steps: pick(rng, &[1, 2, 3, 5, 8, 20]),
        }
    }
}

fn dense(rng: &mut ChaCha8Rng, shape: &Shape, columns: usize, rows: usize, gates: bool) -> Dense {
    let codes = 1u32 << shape.weight_bits;
    let codebook = match shape.form {
        WeightForm::Direct => vec![],
        WeightForm::Codebook => {
            (0..codes).map(|c| if c == 0 { 0 } else { pick(rng, &[-32768, 32767, -1, 1, 900, -3000, c as i16 * 377 - 2000]) }).collect()
        }
    };
    let column = |rng: &mut ChaCha8Rng| {
        let empty = rng.random_bool(0.15);
        (0..rows).map(|_| if !empty && rng.random_bool(shape.density) { rng.random_range(1..codes) } else { 0 }).collect()
    };
    Dense { columns: (0..columns).map(|_| column(rng)).collect(), codebook, gates }
}

impl Dense {
    /// Value of a stored weight.
    pub fn value(&self, stored: u32, weight_bits: usize) -> i64 {
        match self.codebook.get(stored as usize) {
            Some(value) => i64::from(*value),
            None => i64::from(((stored << (32 - weight_bits)) as i32) >> (32 - weight_bits)),
        }
    }
    /// Entries of a column on a PE.
    fn entries(&self, column: usize, pe: usize, arch: &Arch) -> Vec<Entry> {
        let (mut entries, mut run) = (vec![], 0);
        let rows = self.columns[column].len();
        let longest = (1 << arch.run_bits) - 1;
        let group = if self.gates { 4 } else { 1 };
        let mine = (0..rows).filter(|row| (row / group) % arch.pes == pe);
        for weight in mine.map(|row| self.columns[column][row]) {
            if weight == 0 {
                run += 1;
                continue;
            }
            while run > longest {
                entries.push(Entry::padding(arch));
                run -= longest + 1;
            }
            entries.push(Entry { weight, run });
            run = 0;
        }
        entries
    }
}

/// An operation before it has its addresses.
struct Planned {
    op: Op,
    matrix: Option<Dense>,
    /// The matrix is that of operation 0.
    ahead: bool,
    parameters: Vec<Parameters>,
}

impl RecurrentCase {
    /// The first of a shape whose outputs depend on inputs and states, and differ from channel to channel.
    pub fn telling(shape: &Shape) -> RecurrentCase {
        let tells = |case: &RecurrentCase| {
            let golden = Recurrent::new(&case.model.image).unwrap();
            let mut seen = BTreeSet::new();
            case.inputs.iter().all(|steps| {
                let mut state = golden.state();
                let mut run = || -> Vec<Vec<i16>> { steps.iter().map(|input| golden.step(&mut state, input).unwrap().output).collect() };
                let (first, second) = (run(), run());
                first != second && first.windows(2).all(|w| w[0] != w[1]) && seen.insert(first)
            })
        };
        (70..1000).map(|seed| RecurrentCase::build(seed, shape)).find(tells).unwrap()
    }

    pub fn random(seed: u64) -> RecurrentCase {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let shape = Shape::random(&mut rng);
        RecurrentCase::build(seed, &shape)
    }

    pub fn build(seed: u64, shape: &Shape) -> RecurrentCase {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x0e5e);
        let rng = &mut rng;
        let mut width = shape.inputs;
        let mut lstm = vec![];
        let acc_bits = rng.random_range(40..=48);
        let bias = |rng: &mut ChaCha8Rng| rng.random_range(-(1i64 << 26)..1 << 26);
        // brings most sums into the tables' range
        let shift = |rng: &mut ChaCha8Rng| {
            (shape.weight_bits.max(if shape.form == WeightForm::Codebook { 14 } else { 0 }) as u32 + rng.random_range(2..7)).max(2)
        };
        for (cells, projection) in &shape.lstm {
            let (cells, hidden) = (*cells, projection.unwrap_or(*cells));
            let peephole = |rng: &mut ChaCha8Rng| if shape.peepholes { rng.random_range(-32768..=32767) } else { 0 };
            let parameters = (0..cells)
                .map(|_| Parameters { biases: std::array::from_fn(|_| bias(rng)), peepholes: std::array::from_fn(|_| peephole(rng)) })
                .collect();
            let job = Op {
                job: Job::Cells,
                count: cells,
                shifts: std::array::from_fn(|_| shift(rng)),
                aligns: std::array::from_fn(|_| rng.random_range(0..4)),
                cell_shift: rng.random_range(15..=22),
                hidden_shift: rng.random_range(15..=18),
                candidate_sigmoid: rng.random_bool(0.3),
                store: true,
                ..Op::default()
            };
            let (x, h) = (dense(rng, shape, width, 4 * cells, true), dense(rng, shape, hidden, 4 * cells, true));
            let to_hidden = shift(rng);
            let projection = projection.map(|hidden| rows(rng, shape, cells, hidden, to_hidden, bias));
            let (projection, projection_job) = match projection {
                Some(linear) => (Some((linear.matrix, linear.bias)), linear.job),
                None => (None, Op::default()),
            };
            lstm.push(Lstm { x, h, cells, hidden, parameters, projection, job, projection_job });
            width = hidden;
        }
        let mut layers = vec![];
        for size in &shape.layers {
            let to_result = shift(rng);
            layers.push(rows(rng, shape, width, *size, to_result, bias));
            width = *size;
        }
        let model = image(shape, acc_bits, rng.random_range(0..4), &lstm, &layers);
        let value = |rng: &mut ChaCha8Rng| {
            pick(rng, &[0, 0, 0, i16::MIN, i16::MAX]) ^ (rng.random_range(-32768i32..=32767) >> pick(rng, &[1, 4, 9])) as i16
        };
        let inputs =
            (0..shape.channels).map(|_| (0..shape.steps).map(|_| (0..shape.inputs).map(|_| value(rng)).collect()).collect()).collect();
        let name = format!("seed {seed}: {shape:?}");
        RecurrentCase { name, seed, model, lstm, layers, inputs }
    }
}

fn rows(rng: &mut ChaCha8Rng, shape: &Shape, columns: usize, count: usize, shift: u32, bias: impl Fn(&mut ChaCha8Rng) -> i64) -> Linear {
    let matrix = dense(rng, shape, columns, count, false);
    let biased = rng.random_bool(0.5);
    let bias = (0..if biased { count } else { 0 }).map(|_| Parameters { biases: [bias(rng), 0, 0, 0], peepholes: [0; 3] }).collect();
    let job = Op {
        job: Job::Rows,
        rows_bank: true,
        count,
        shifts: [shift, 0, 0, 0],
        relu: rng.random_bool(0.3),
        bias: biased,
        store: true,
        ..Op::default()
    };
    Linear { matrix, bias, job }
}

/// Lays the network out and writes it down.
fn image(shape: &Shape, acc_bits: usize, slack: usize, lstm: &[Lstm], layers: &[Linear]) -> RecurrentModel {
    let mut plan: Vec<Planned> = vec![];
    let (mut vectors, mut cells, mut parameters, mut codebook) = (0, 0, 0, 0);
    let place = |next: &mut usize, size: usize| {
        *next += size;
        *next - size
    };
    let mut described = vec![];
    // where the columns of the layer at hand come from: none is the input
    let mut source: Option<usize> = None;
    let last_cells = lstm.len() - 1;
    for (number, layer) in lstm.iter().enumerate() {
        let m = place(&mut vectors, layer.cells);
        let h = if layer.projection.is_some() { place(&mut vectors, layer.hidden) } else { m };
        let cell_base = place(&mut cells, layer.cells);
        let columns = layer.x.columns.len();
        let x = match source {
            None => Op { source: Source::Input, columns, layer: codebook, ..Op::default() },
            Some(base) => Op { source: Source::Vector, columns, source_base: base, stream: true, layer: codebook, ..Op::default() },
        };
        let state = Op { source: Source::Vector, columns: layer.hidden, source_base: h, state: true, layer: codebook + 1, ..Op::default() };
        codebook += 2;
        let mut ops = vec![(x, layer.x.clone()), (state, layer.h.clone())];
        if shape.state_first && number > 0 {
            ops.reverse();
        }
        let (first, second) = (ops.remove(0), ops.remove(0));
        let before_projection = shape.state_first && number > 0 && lstm[number - 1].projection.is_some();
        let planned = Planned { op: first.0, matrix: Some(first.1), ahead: false, parameters: vec![] };
        if before_projection {
            // the recurrent part runs beside the cells of the layer before
            plan.insert(plan.len() - 1, planned);
        } else {
            plan.push(planned);
        }
        let job = Op { dest: m, cell_base, param_base: place(&mut parameters, layer.cells), ..layer.job };
        plan.push(Planned { op: joined(second.0, job), matrix: Some(second.1), ahead: false, parameters: layer.parameters.clone() });
        if let (Some((_, columns)), true) = (shape.ahead, number == last_cells && layer.projection.is_some()) {
            let columns = columns.min(shape.ahead.map_or(1, |a| a.0));
            plan.push(ahead(columns));
        }
        if let Some((matrix, bias)) = &layer.projection {
            let op = Op { source: Source::Vector, columns: layer.cells, source_base: m, stream: true, layer: codebook, ..Op::default() };
            codebook += 1;
            let job = Op { dest: h, param_base: place(&mut parameters, bias.len()), ..layer.projection_job };
            plan.push(Planned { op: joined(op, job), matrix: Some(matrix.clone()), ahead: false, parameters: bias.clone() });
        }
        described.push(NetworkLstm {
            name: format!("lstm{number}"),
            inputs: columns,
            cells: layer.cells,
            hidden: layer.hidden,
            peepholes: shape.peepholes,
            projection: layer.projection.is_some(),
            nonzeros: 0,
            padding: 0,
            parameters: 0,
            input_fraction: 12,
            hidden_fraction: 12,
            cell_fraction: 30 - layer.job.cell_shift as i32,
            hidden_base: h,
            cell_base,
        });
        source = Some(h);
    }
    for layer in layers {
        let dest = place(&mut vectors, layer.job.count);
        let base = source.unwrap_or(0);
        let columns = layer.matrix.columns.len();
        let op = Op { source: Source::Vector, columns, source_base: base, stream: true, layer: codebook, ..Op::default() };
        codebook += 1;
        let job = Op { dest, param_base: place(&mut parameters, layer.bias.len()), ..layer.job };
        plan.push(Planned { op: joined(op, job), matrix: Some(layer.matrix.clone()), ahead: false, parameters: layer.bias.clone() });
        source = Some(dest);
    }
    let last_job = plan.iter().rposition(|p| p.op.job != Job::None).unwrap();
    plan[last_job].op.output = true;
    let outputs = plan[last_job].op.count;
    if let Some((_, columns)) = shape.ahead {
        plan.push(ahead(columns));
    }
    plan.last_mut().unwrap().op.last = true;

    let rounded = |count: usize| count.div_ceil(shape.pes);
    let arch = Arch {
        pes: shape.pes,
        fifo_depth: shape.fifo_depth,
        weights: shape.form,
        weight_bits: shape.weight_bits,
        run_bits: shape.run_bits,
        entries_per_word: shape.entries_per_word,
        spmat_depth: 1 << 20,
        ptr_depth: 1 << 20,
        act_depth: vectors + slack,
        acc_depth: plan.iter().map(|p| rounded(p.op.count)).max().unwrap() + slack,
        bias_depth: parameters.max(1) + slack,
        acc_bits,
        max_layers: plan.len().max(codebook).min(16),
        conv: false,
        ese: Some(Ese {
            channels: shape.channels,
            cell_depth: cells + slack,
            input_depth: shape.inputs + slack,
            output_depth: outputs + slack,
        }),
    };
    let mut image = write(arch, &mut plan, parameters.max(1), slack);
    // an operation that could come too early waits
    while let Err(error) = Recurrent::new(&image) {
        let GoldenError::Program { op, .. } = &error else { panic!("{error}") };
        assert!(!plan[*op].op.whole, "{error}");
        plan[*op].op.whole = true;
        plan[*op].op.stream = false;
        plan.iter().enumerate().for_each(|(i, p)| p.op.write(image.sections.get_mut(&Section::Layers).unwrap(), i));
    }
    let layer = |(number, l): (usize, &Linear)| NetworkLayer {
        name: format!("fc{number}"),
        rows: l.job.count,
        columns: l.matrix.columns.len(),
        activation: if l.job.relu { Activation::Relu } else { Activation::None },
        nonzeros: 0,
        padding: 0,
        parameters: 0,
        weight_fraction: 10,
        input_fraction: 12,
        output_fraction: 12,
        conv: None,
    };
    let network = RecurrentNetwork {
        input_size: shape.inputs,
        output_size: outputs,
        input_fraction: 12,
        output_fraction: 12,
        reverse: false,
        parameters: 0,
        lstm: described,
        layers: layers.iter().enumerate().map(layer).collect(),
    };
    RecurrentModel { image, network, answer: None }
}

fn ahead(columns: usize) -> Planned {
    let op = Op { source: Source::Ahead, columns, ..Op::default() };
    Planned { op, matrix: None, ahead: true, parameters: vec![] }
}

/// The columns of one operation with the job of another.
fn joined(columns: Op, job: Op) -> Op {
    Op {
        source: columns.source,
        columns: columns.columns,
        source_base: columns.source_base,
        layer: columns.layer,
        state: columns.state,
        stream: columns.stream,
        ..job
    }
}

fn write(mut arch: Arch, plan: &mut [Planned], parameters: usize, slack: usize) -> MemoryImage {
    let (mut spmat, mut pointers): (Vec<Vec<Entry>>, Vec<Vec<usize>>) = (vec![vec![]; arch.pes], vec![vec![]; arch.pes]);
    for planned in plan.iter_mut() {
        planned.op.ptr_base = pointers[0].len();
        let Some(matrix) = &planned.matrix else { continue };
        for (pe, pointers) in pointers.iter_mut().enumerate() {
            for column in 0..matrix.columns.len() {
                pointers.push(spmat[pe].len());
                spmat[pe].extend(matrix.entries(column, pe, &arch));
            }
            pointers.push(spmat[pe].len());
        }
    }
    let first = plan[0].op;
    plan.iter_mut().filter(|p| p.ahead).for_each(|p| (p.op.ptr_base, p.op.layer) = (first.ptr_base, first.layer));
    arch.spmat_depth = spmat.iter().map(|s| s.len().div_ceil(arch.entries_per_word)).max().unwrap().max(1) + slack;
    arch.ptr_depth = pointers[0].len().div_ceil(2) + slack;
    let mut sections: std::collections::BTreeMap<Section, Words> = sections(&arch)
        .into_iter()
        .map(|section| {
            let words = match section {
                Section::Layers => plan.len(),
                Section::Parameters => parameters,
                Section::Pe(pe, MemoryKind::Spmat) => spmat[usize::from(pe)].len().div_ceil(arch.entries_per_word).max(1),
                Section::Pe(_, MemoryKind::Codebook) => arch.codebook_depth(),
                Section::Pe(..) => pointers[0].len().div_ceil(2),
            };
            (section, Words::zeroed(section.kind().width(&arch), words))
        })
        .collect();
    for pe in 0..arch.pes {
        let mut words = |kind: MemoryKind| sections.remove(&Section::Pe(pe as u16, kind)).unwrap();
        let (mut entries, mut even, mut odd) = (words(MemoryKind::Spmat), words(MemoryKind::PtrEven), words(MemoryKind::PtrOdd));
        spmat[pe].iter().enumerate().for_each(|(i, entry)| entry.write(&mut entries, i, &arch));
        for (number, pointer) in pointers[pe].iter().enumerate() {
            let (kind, address) = pointer_place(number);
            if kind == MemoryKind::PtrEven { &mut even } else { &mut odd }.set(address, *pointer as u64);
        }
        if arch.weights == WeightForm::Codebook {
            let mut codes = words(MemoryKind::Codebook);
            for planned in plan.iter() {
                for (code, value) in planned.matrix.iter().flat_map(|m| m.codebook.iter().enumerate()) {
                    codes.set(planned.op.layer << arch.weight_bits | code, *value as u64 & 0xffff);
                }
            }
            sections.insert(Section::Pe(pe as u16, MemoryKind::Codebook), codes);
        }
        for (kind, words) in [(MemoryKind::Spmat, entries), (MemoryKind::PtrEven, even), (MemoryKind::PtrOdd, odd)] {
            sections.insert(Section::Pe(pe as u16, kind), words);
        }
    }
    for (index, planned) in plan.iter().enumerate() {
        planned.op.write(sections.get_mut(&Section::Layers).unwrap(), index);
        let memory = sections.get_mut(&Section::Parameters).unwrap();
        planned.parameters.iter().enumerate().for_each(|(i, p)| p.write(memory, planned.op.param_base + i, &arch));
    }
    MemoryImage { arch, sections }
}
