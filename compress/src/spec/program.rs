//! The program of an accelerator of the ESE kind: what it does in each time step, operation by operation.
//!
//! An operation broadcasts columns to all PEs, and may end with a token: then all sums of its bank are complete, and
//! its *job* turns them into results, element by element. Operations are broadcast in the order of the program and
//! jobs run in the order of their tokens, beside the broadcasts that follow. After the last operation comes the first
//! one of the next step.
//!
//! Sums lie in three banks of each PE: two for the sums of gates, in turn (a gate operation uses the one that the
//! token of a cell job last switched to), and one for those of other rows. Within a PE the rows of a gate matrix lie
//! cell by cell, four rows each in the order i, f, g, o: row `4 (c / N) + gate` of PE `c mod N` belongs to cell `c`.
//! Rows of other matrices lie as in EIE: row `r` is number `r / N` of PE `r mod N`.
//!
//! The first operation of a program broadcasts the input and the last one of them has the flag `last`. Only its
//! first `columns` decide how long an input vector is.

use super::arch::{Arch, ACT_BITS};
use super::fixed;
use super::image::Words;

/// Where the columns of an operation come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Source {
    /// The input vector: columns that have not been broadcast yet, until `columns` have. Waits until every enabled
    /// channel has a vector.
    #[default]
    Input,
    /// The input vector of the next step, in advance: as `Input`, but if no step's vector is there when the operation
    /// begins it does nothing.
    Ahead,
    /// The vector memory from `source_base` on, all of it.
    Vector,
}

/// The element-wise work that follows a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Job {
    /// No token.
    #[default]
    None,
    /// Cells of an LSTM layer, as [`super::cell`] defines it.
    Cells,
    /// Rows of a projection or a fully connected layer: sum plus bias, requantized.
    Rows,
}

/// One operation; one word of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Op {
    pub source: Source,
    /// Columns to broadcast, at least 1.
    pub columns: usize,
    /// Address in the vector memory of the first one.
    pub source_base: usize,
    /// Number of the pointer of column 0.
    pub ptr_base: usize,
    /// Codebook of the weights.
    pub layer: usize,
    /// The columns are state: zero for a channel whose sequence begins with this step.
    pub state: bool,
    /// The columns are results of the last token's job: each waits until the job has stored it.
    pub stream: bool,
    /// Wait, before the first column, until the last token's job has stored everything.
    pub whole: bool,
    /// Sum into the bank of rows instead of the bank of gates.
    pub rows_bank: bool,
    pub job: Job,
    /// The step ends with this operation.
    pub last: bool,

    /// Cells or rows of the job.
    pub count: usize,
    /// Address in the vector memory of the job's first result.
    pub dest: usize,
    /// Address in the cell memory of the job's first cell.
    pub cell_base: usize,
    /// Address in the parameter memory of the job's first cell or row.
    pub param_base: usize,
    /// Right shift from a sum to the activation function's input, gates i f g o; `shifts[0]` from a sum to a result
    /// for rows. At most [`fixed::MAX_SHIFT`].
    pub shifts: [u32; 4],
    /// Left shift of a peephole product to the fraction length of its sum, gates i f o, at most [`Op::MAX_ALIGN`].
    pub aligns: [u32; 3],
    /// 30 minus the fraction length of the cells, 15..=30.
    pub cell_shift: u32,
    /// 30 minus the fraction length of the cells' results, 15..=30.
    pub hidden_shift: u32,
    /// Gate g is a sigmoid, else a tanh.
    pub candidate_sigmoid: bool,
    /// Negative results of rows become zero.
    pub relu: bool,
    /// Rows have biases in the parameter memory; without, the rounding constant of the shift takes their place.
    pub bias: bool,
    /// Results go to the vector memory.
    pub store: bool,
    /// Results go to the output stream.
    pub output: bool,
}

impl Op {
    /// Bits of a word of the program. The place of each field is fixed, whatever the architecture.
    pub const BITS: usize = 224;
    /// Largest left shift of a peephole product.
    pub const MAX_ALIGN: u32 = 15;
    /// Bit offset and width of each field, as the hardware and docs/formats.md have it.
    pub const FIELDS: [(&'static str, usize, usize); 32] = [
        ("columns", 0, 16),
        ("source_base", 16, 16),
        ("ptr_base", 32, 32),
        ("layer", 64, 8),
        ("input", 72, 1),
        ("ahead", 73, 1),
        ("state", 74, 1),
        ("stream", 75, 1),
        ("whole", 76, 1),
        ("rows_bank", 77, 1),
        ("token", 78, 1),
        ("last", 79, 1),
        ("count", 80, 16),
        ("dest", 96, 16),
        ("cell_base", 112, 16),
        ("param_base", 128, 16),
        ("shift_i", 144, 6),
        ("shift_f", 152, 6),
        ("shift_g", 160, 6),
        ("shift_o", 168, 6),
        ("align_i", 176, 4),
        ("align_f", 180, 4),
        ("align_o", 184, 4),
        ("cell_shift", 192, 6),
        ("hidden_shift", 200, 6),
        ("cells", 208, 1),
        ("candidate_sigmoid", 209, 1),
        ("relu", 210, 1),
        ("bias", 211, 1),
        ("store", 212, 1),
        ("output", 213, 1),
        ("reserved", 214, 10),
    ];
    /// Offset and width of a field; the name must be one of [`Op::FIELDS`].
    pub fn field(name: &str) -> (usize, usize) {
        let found = Self::FIELDS.iter().find(|f| f.0 == name);
        found.map(|f| (f.1, f.2)).unwrap_or_else(|| panic!("an operation has no field {name}"))
    }
    fn values(&self) -> [u64; 32] {
        let [i, f, g, o] = self.shifts.map(u64::from);
        let [align_i, align_f, align_o] = self.aligns.map(u64::from);
        [
            self.columns as u64,
            self.source_base as u64,
            self.ptr_base as u64,
            self.layer as u64,
            u64::from(self.source != Source::Vector),
            u64::from(self.source == Source::Ahead),
            u64::from(self.state),
            u64::from(self.stream),
            u64::from(self.whole),
            u64::from(self.rows_bank),
            u64::from(self.job != Job::None),
            u64::from(self.last),
            self.count as u64,
            self.dest as u64,
            self.cell_base as u64,
            self.param_base as u64,
            i,
            f,
            g,
            o,
            align_i,
            align_f,
            align_o,
            u64::from(self.cell_shift),
            u64::from(self.hidden_shift),
            u64::from(self.job == Job::Cells),
            u64::from(self.candidate_sigmoid),
            u64::from(self.relu),
            u64::from(self.bias),
            u64::from(self.store),
            u64::from(self.output),
            0,
        ]
    }
    pub fn write(&self, program: &mut Words, index: usize) {
        for ((_, offset, len), value) in Self::FIELDS.iter().zip(self.values()) {
            program.set_bits(index, *offset, *len, value);
        }
    }
    pub fn read(program: &Words, index: usize) -> Op {
        let f = |name| {
            let (offset, len) = Self::field(name);
            program.bits(index, offset, len) as usize
        };
        let flag = |name| f(name) == 1;
        Op {
            source: match (flag("input"), flag("ahead")) {
                (true, true) => Source::Ahead,
                (true, false) => Source::Input,
                (false, _) => Source::Vector,
            },
            columns: f("columns"),
            source_base: f("source_base"),
            ptr_base: f("ptr_base"),
            layer: f("layer"),
            state: flag("state"),
            stream: flag("stream"),
            whole: flag("whole"),
            rows_bank: flag("rows_bank"),
            job: match (flag("token"), flag("cells")) {
                (false, _) => Job::None,
                (true, true) => Job::Cells,
                (true, false) => Job::Rows,
            },
            last: flag("last"),
            count: f("count"),
            dest: f("dest"),
            cell_base: f("cell_base"),
            param_base: f("param_base"),
            shifts: ["shift_i", "shift_f", "shift_g", "shift_o"].map(|name| f(name) as u32),
            aligns: ["align_i", "align_f", "align_o"].map(|name| f(name) as u32),
            cell_shift: f("cell_shift") as u32,
            hidden_shift: f("hidden_shift") as u32,
            candidate_sigmoid: flag("candidate_sigmoid"),
            relu: flag("relu"),
            bias: flag("bias"),
            store: flag("store"),
            output: flag("output"),
        }
    }
    /// Every operation of a program, up to the one marked last.
    pub fn read_all(program: &Words) -> Vec<Op> {
        let mut ops = vec![];
        for index in 0..program.len() {
            ops.push(Op::read(program, index));
            if ops[index].last {
                break;
            }
        }
        ops
    }
}

/// A word of the parameter memory: of a cell the biases of its gates i f g o and the peephole weights of i f o, of a
/// row its bias in the place of gate i's. Biases are at the fraction length of their sums and include the rounding
/// constant of the shift that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Parameters {
    pub biases: [i64; 4],
    pub peepholes: [i16; 3],
}

impl Parameters {
    pub fn write(&self, memory: &mut Words, index: usize, arch: &Arch) {
        let acc = arch.acc_bits;
        let mask = |bits: usize| (1u64 << bits) - 1;
        for (gate, bias) in self.biases.iter().enumerate() {
            memory.set_bits(index, gate * acc, acc, *bias as u64 & mask(acc));
        }
        for (k, weight) in self.peepholes.iter().enumerate() {
            memory.set_bits(index, 4 * acc + k * ACT_BITS, ACT_BITS, *weight as u64 & mask(ACT_BITS));
        }
    }
    pub fn read(memory: &Words, index: usize, arch: &Arch) -> Parameters {
        let acc = arch.acc_bits;
        let signed = |offset, len| {
            let value = memory.bits(index, offset, len);
            ((value << (64 - len)) as i64) >> (64 - len)
        };
        Parameters {
            biases: std::array::from_fn(|gate| signed(gate * acc, acc)),
            peepholes: std::array::from_fn(|k| signed(4 * acc + k * ACT_BITS, ACT_BITS) as i16),
        }
    }
}

/// The result of a row: its sum, and its bias if the operation has biases.
pub fn row_result(op: &Op, sum: i64, bias: i64) -> i16 {
    let addend = if op.bias { bias } else { fixed::rounding(op.shifts[0]) };
    fixed::requantize(sum + addend, op.shifts[0], op.relu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_round_trip_at_their_limits() {
        let big = Op {
            source: Source::Vector,
            columns: 65535,
            source_base: 65535,
            ptr_base: u32::MAX as usize,
            layer: 255,
            state: true,
            stream: true,
            whole: true,
            rows_bank: true,
            job: Job::Rows,
            last: true,
            count: 65535,
            dest: 65535,
            cell_base: 65535,
            param_base: 65535,
            shifts: [47, 46, 45, 44],
            aligns: [15, 14, 13],
            cell_shift: 30,
            hidden_shift: 29,
            candidate_sigmoid: true,
            relu: true,
            bias: true,
            store: true,
            output: true,
        };
        let small = Op { columns: 1, source: Source::Ahead, job: Job::Cells, ..Op::default() };
        let mut program = Words::zeroed(Op::BITS, 3);
        small.write(&mut program, 0);
        big.write(&mut program, 1);
        assert_eq!(Op::read_all(&program), [small, big]);
    }

    #[test]
    fn fields_do_not_overlap() {
        let mut next = 0;
        for (name, offset, len) in Op::FIELDS {
            assert!(offset >= next, "{name}");
            next = offset + len;
        }
        assert!(next <= Op::BITS);
    }
}
