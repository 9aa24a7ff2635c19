//! Where everything lives: rows and columns on PEs, words in memories, memories in order.
//!
//! Interleave: position `q` of a vector (a row of the layer that makes it, a column of the layer
//! that reads it) belongs to PE `q mod N` and is number `q / N` there. A layer's rows may be stored
//! in another order than the model's; then the position, not the model's row number, counts here.
//!
//! Pointers: layer `l` has one pointer per column and one more, numbers `ptr_base ..= ptr_base +
//! columns`, of each PE. Pointer `p` lies in the even bank at `p / 2` if `p` is even, else in the odd
//! bank at `p / 2` (rounded down), so that `p` and `p + 1` are read together. A pointer counts
//! entries from the start of the PE's sparse-matrix memory.

use super::arch::{address_bits, Arch, ACT_BITS};
use super::image::Words;
use super::program::Op;
use super::walk::Walk;

/// A memory of the accelerator. The number is its code in the `MEM_SELECT` register.
///
/// An accelerator of the ESE kind has the same numbers for its own memories: one parameter memory in place of the PEs'
/// biases, and each channel's vectors and cells in place of the PEs' activation buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum MemoryKind {
    /// Entries of a PE.
    Spmat = 0,
    /// Pointers with even numbers.
    PtrEven = 1,
    /// Pointers with odd numbers.
    PtrOdd = 2,
    /// Start values of the accumulators: bias at the accumulator's fraction length, plus the
    /// rounding constant of the layer's requantization. ESE: the parameter memory (see [`super::program::Parameters`]).
    Bias = 3,
    /// Shared weights: layer `l`'s code `c` at `l << weight_bits | c`. Absent when weights are direct.
    Codebook = 4,
    /// Activation buffer read by layers 0, 2, 4, ... and written by the others. ESE: a channel's vectors.
    ActA = 5,
    /// Activation buffer read by layers 1, 3, 5, ... and written by the others. ESE: a channel's cells.
    ActB = 6,
    /// The layer table, one for all PEs. ESE: the program (see [`super::program::Op`]).
    Layers = 7,
}

impl MemoryKind {
    pub const ALL: [MemoryKind; 8] = [
        MemoryKind::Spmat,
        MemoryKind::PtrEven,
        MemoryKind::PtrOdd,
        MemoryKind::Bias,
        MemoryKind::Codebook,
        MemoryKind::ActA,
        MemoryKind::ActB,
        MemoryKind::Layers,
    ];
    pub fn code(self) -> u32 {
        self as u32
    }
    pub fn from_code(code: u32) -> Option<MemoryKind> {
        Self::ALL.into_iter().find(|k| k.code() == code)
    }
    /// As in file names and messages.
    pub fn name(self) -> &'static str {
        match self {
            MemoryKind::Spmat => "spmat",
            MemoryKind::PtrEven => "ptr_even",
            MemoryKind::PtrOdd => "ptr_odd",
            MemoryKind::Bias => "bias",
            MemoryKind::Codebook => "codebook",
            MemoryKind::ActA => "act_a",
            MemoryKind::ActB => "act_b",
            MemoryKind::Layers => "layers",
        }
    }
    /// How many of it there are: one a PE, one a channel, or one.
    pub fn count(self, arch: &Arch) -> usize {
        match (self, &arch.ese) {
            (MemoryKind::Layers, _) | (MemoryKind::Bias, Some(_)) => 1,
            (MemoryKind::ActA | MemoryKind::ActB, Some(ese)) => ese.channels,
            _ => arch.pes,
        }
    }
    /// Bits of a word.
    pub fn width(self, arch: &Arch) -> usize {
        match self {
            MemoryKind::Spmat => arch.word_bits(),
            MemoryKind::PtrEven | MemoryKind::PtrOdd => arch.ptr_bits(),
            MemoryKind::Bias if arch.ese.is_some() => arch.parameter_bits(),
            MemoryKind::Bias => arch.acc_bits,
            MemoryKind::Codebook => arch.weight_value_bits(),
            MemoryKind::ActA | MemoryKind::ActB => ACT_BITS,
            MemoryKind::Layers if arch.ese.is_some() => Op::BITS,
            MemoryKind::Layers => LayerRecord::bits(arch),
        }
    }
    /// Words; 0 if the architecture has no such memory.
    pub fn depth(self, arch: &Arch) -> usize {
        match self {
            MemoryKind::Spmat => arch.spmat_depth,
            MemoryKind::PtrEven | MemoryKind::PtrOdd => arch.ptr_depth,
            MemoryKind::Bias => arch.bias_depth,
            MemoryKind::Codebook => arch.codebook_depth(),
            MemoryKind::ActA => arch.act_depth,
            MemoryKind::ActB => arch.ese.as_ref().map_or(arch.act_depth, |ese| ese.cell_depth),
            MemoryKind::Layers => arch.max_layers,
        }
    }
    /// 32-bit lanes that a word takes in the host's window: the lanes of the word, rounded up to a power of two.
    pub fn window_lanes(self, arch: &Arch) -> usize {
        self.width(arch).div_ceil(32).next_power_of_two()
    }
    /// The activation buffer that layer `layer` reads; the layer after it reads what it writes.
    pub fn source_of(layer: usize) -> MemoryKind {
        if layer.is_multiple_of(2) {
            MemoryKind::ActA
        } else {
            MemoryKind::ActB
        }
    }
}

/// A memory that a model fills. Sections are checked in the order of `Ord`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    Pe(u16, MemoryKind),
    /// The parameter memory of an accelerator of the ESE kind.
    Parameters,
    /// The layer table, or the program of an accelerator of the ESE kind.
    Layers,
}

impl Section {
    pub fn kind(self) -> MemoryKind {
        match self {
            Section::Pe(_, kind) => kind,
            Section::Parameters => MemoryKind::Bias,
            Section::Layers => MemoryKind::Layers,
        }
    }
    /// The PE, 0 for what there is one of.
    pub fn pe(self) -> usize {
        match self {
            Section::Pe(pe, _) => usize::from(pe),
            Section::Parameters | Section::Layers => 0,
        }
    }
    /// The name without suffix of the file that preloads this memory.
    pub fn file_stem(self) -> String {
        match self {
            Section::Pe(pe, kind) => format!("pe{pe}_{}", kind.name()),
            Section::Parameters => "parameters".into(),
            Section::Layers => "layers".into(),
        }
    }
}

impl std::fmt::Display for Section {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Section::Pe(pe, kind) => write!(f, "pe {pe} {}", kind.name()),
            Section::Parameters => write!(f, "parameters"),
            Section::Layers => write!(f, "layer table"),
        }
    }
}

/// The memories of one PE that a model fills, in checking order.
pub fn pe_sections(arch: &Arch) -> Vec<MemoryKind> {
    let kinds = [MemoryKind::Spmat, MemoryKind::PtrEven, MemoryKind::PtrOdd, MemoryKind::Bias, MemoryKind::Codebook];
    kinds.into_iter().filter(|k| k.depth(arch) > 0 && !(*k == MemoryKind::Bias && arch.ese.is_some())).collect()
}

/// Every section of an image, in checking order: PE by PE, the parameters if there are any, the layer table last.
pub fn sections(arch: &Arch) -> Vec<Section> {
    let kinds = pe_sections(arch);
    let pes = (0..arch.pes).flat_map(|pe| kinds.iter().map(move |kind| Section::Pe(pe as u16, *kind)));
    pes.chain(arch.ese.iter().map(|_| Section::Parameters)).chain([Section::Layers]).collect()
}

/// PE and local number of position `q`.
pub fn place(q: usize, pes: usize) -> (usize, usize) {
    (q % pes, q / pes)
}
/// Bank and address of pointer number `p`.
pub fn pointer_place(p: usize) -> (MemoryKind, usize) {
    (if p.is_multiple_of(2) { MemoryKind::PtrEven } else { MemoryKind::PtrOdd }, p / 2)
}

/// What the sequencer knows of a layer; one word of the layer table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LayerRecord {
    /// Activation rows to scan: ceil(columns / N), at least 1. Of a convolution those of a patch.
    pub source_rows: usize,
    /// Columns in the last of them, 1..=N; what lies beyond is not looked at.
    pub last_lanes: usize,
    /// Number of the layer's first pointer.
    pub ptr_base: usize,
    /// Rows of each PE: ceil(rows / N), at least 1. Of a convolution those of a place.
    pub out_rows: usize,
    /// Address of the layer's first bias.
    pub bias_base: usize,
    /// Right shift from accumulator to activation, at most [`super::fixed::MAX_SHIFT`].
    pub shift: u32,
    pub relu: bool,
    /// The network ends with this layer.
    pub last: bool,
    /// Where the rows to scan lie, and how often: there exactly if the architecture has convolutions.
    pub walk: Option<Walk>,
}

impl LayerRecord {
    /// Bits of a word of the layer table without convolutions. The place of each field is fixed, whatever the architecture.
    pub const BITS: usize = 128;
    /// Bits of a word of the layer table with convolutions: behind the other fields those of the walk.
    pub const CONV_BITS: usize = 256;
    /// Bit offset and width of each field, as the hardware and docs/formats.md have it.
    pub const FIELDS: [(&'static str, usize, usize); 8] = [
        ("source_rows", 0, 16),
        ("last_lanes", 16, 9),
        ("ptr_base", 32, 32),
        ("out_rows", 64, 16),
        ("bias_base", 80, 16),
        ("shift", 96, 6),
        ("relu", 104, 1),
        ("last", 105, 1),
    ];
    /// As [`LayerRecord::FIELDS`], of the walk.
    pub const WALK_FIELDS: [(&'static str, usize, usize); 7] = [
        ("run_rows", 128, 16),
        ("line_rows", 144, 16),
        ("step_x", 160, 16),
        ("step_y", 176, 16),
        ("out_width", 192, 16),
        ("out_height", 208, 16),
        ("pool", 224, 4),
    ];
    /// Bits of a word of the layer table of an architecture of the EIE kind.
    pub fn bits(arch: &Arch) -> usize {
        if arch.conv {
            Self::CONV_BITS
        } else {
            Self::BITS
        }
    }
    /// Offset and width of a field; the name must be one of [`LayerRecord::FIELDS`] or [`LayerRecord::WALK_FIELDS`].
    pub fn field(name: &str) -> (usize, usize) {
        let found = Self::FIELDS.iter().chain(&Self::WALK_FIELDS).find(|f| f.0 == name);
        found.map(|f| (f.1, f.2)).unwrap_or_else(|| panic!("layer record has no field {name}"))
    }
    fn values(&self) -> [u64; 8] {
        [
            self.source_rows as u64,
            self.last_lanes as u64,
            self.ptr_base as u64,
            self.out_rows as u64,
            self.bias_base as u64,
            u64::from(self.shift),
            u64::from(self.relu),
            u64::from(self.last),
        ]
    }
    /// Writes word `index`. In a table with convolutions a record without a walk becomes one place of all its rows.
    pub fn write(&self, table: &mut Words, index: usize) {
        for ((_, offset, len), value) in Self::FIELDS.iter().zip(self.values()) {
            table.set_bits(index, *offset, *len, value);
        }
        if table.width() == Self::CONV_BITS {
            for ((_, offset, len), value) in Self::WALK_FIELDS.iter().zip(self.walk().values()) {
                table.set_bits(index, *offset, *len, value as u64);
            }
        }
    }
    pub fn read(table: &Words, index: usize) -> LayerRecord {
        let f = |name| {
            let (offset, len) = Self::field(name);
            table.bits(index, offset, len) as usize
        };
        LayerRecord {
            source_rows: f("source_rows"),
            last_lanes: f("last_lanes"),
            ptr_base: f("ptr_base"),
            out_rows: f("out_rows"),
            bias_base: f("bias_base"),
            shift: f("shift") as u32,
            relu: f("relu") == 1,
            last: f("last") == 1,
            walk: (table.width() == Self::CONV_BITS).then(|| Walk::from_values(Self::WALK_FIELDS.map(|(name, _, _)| f(name)))),
        }
    }
    /// The walk over the source buffer: a fully connected layer's is one place, one run.
    pub fn walk(&self) -> Walk {
        self.walk.unwrap_or(Walk::whole(self.source_rows))
    }
    /// Every layer of a table, up to the one marked last.
    pub fn read_all(table: &Words) -> Vec<LayerRecord> {
        let mut layers = vec![];
        for index in 0..table.len() {
            layers.push(LayerRecord::read(table, index));
            if layers[index].last {
                break;
            }
        }
        layers
    }
    /// Columns of the layer; of a convolution those of a place.
    pub fn columns(&self, pes: usize) -> usize {
        (self.source_rows - 1) * pes + self.last_lanes
    }
    /// Activations that the layer takes, by position: its columns, or those of the map up to the last that the walk reaches.
    pub fn inputs(&self, pes: usize) -> usize {
        (self.walk().span(self.source_rows).saturating_sub(1)) * pes + self.last_lanes
    }
    /// Rows of the destination buffer that the layer fills, in every PE.
    pub fn destination_rows(&self) -> usize {
        self.walk().windows() * self.out_rows
    }
}

/// Address bits of a memory.
pub fn memory_address_bits(kind: MemoryKind, arch: &Arch) -> usize {
    address_bits(kind.depth(arch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::WeightForm;

    #[test]
    fn layer_record_round_trips_at_its_limits() {
        let mut table = Words::zeroed(LayerRecord::BITS, 3);
        let big = LayerRecord {
            source_rows: 65535,
            last_lanes: 256,
            ptr_base: u32::MAX as usize,
            out_rows: 65535,
            bias_base: 65535,
            shift: 47,
            relu: true,
            last: true,
            walk: None,
        };
        let small = LayerRecord { source_rows: 1, last_lanes: 1, out_rows: 1, ..Default::default() };
        big.write(&mut table, 1);
        small.write(&mut table, 0);
        assert_eq!((LayerRecord::read(&table, 0), LayerRecord::read(&table, 1)), (small, big));
        assert_eq!(LayerRecord::read_all(&table), [small, big]);

        // with convolutions, where a fully connected layer is one place
        let mut table = Words::zeroed(LayerRecord::CONV_BITS, 2);
        let walk = Walk { run_rows: 65535, line_rows: 65534, step_x: 65533, step_y: 65532, out_width: 65531, out_height: 65530, pool: 15 };
        let conv = LayerRecord { walk: Some(walk), ..big };
        conv.write(&mut table, 1);
        small.write(&mut table, 0);
        let whole = LayerRecord { walk: Some(Walk::whole(1)), ..small };
        assert_eq!(LayerRecord::read_all(&table), [whole, conv]);
    }

    #[test]
    fn fields_do_not_overlap() {
        let all: Vec<_> = LayerRecord::FIELDS.iter().chain(&LayerRecord::WALK_FIELDS).collect();
        for (i, a) in all.iter().enumerate() {
            let bits = if i < LayerRecord::FIELDS.len() { LayerRecord::BITS } else { LayerRecord::CONV_BITS };
            assert!(a.1 + a.2 <= bits);
            for b in &all[i + 1..] {
                assert!(a.1 + a.2 <= b.1 || b.1 + b.2 <= a.1, "{} and {}", a.0, b.0);
            }
        }
    }

    #[test]
    fn every_position_has_one_place() {
        for pes in [1, 3, 4, 64] {
            let mut seen = std::collections::HashSet::new();
            for q in 0..200 {
                let (pe, local) = place(q, pes);
                assert!(pe < pes && local * pes + pe == q && seen.insert((pe, local)));
            }
        }
    }

    #[test]
    fn direct_weights_have_no_codebook_section() {
        let arch = Arch {
            pes: 2,
            fifo_depth: 8,
            weights: WeightForm::Direct,
            weight_bits: 8,
            run_bits: 4,
            entries_per_word: 4,
            spmat_depth: 10,
            ptr_depth: 5,
            act_depth: 4,
            acc_depth: 4,
            bias_depth: 4,
            acc_bits: 32,
            max_layers: 2,
            conv: false,
            ese: None,
        };
        let names: Vec<String> = sections(&arch).iter().map(|s| s.file_stem()).collect();
        let expected =
            ["pe0_spmat", "pe0_ptr_even", "pe0_ptr_odd", "pe0_bias", "pe1_spmat", "pe1_ptr_even", "pe1_ptr_odd", "pe1_bias", "layers"];
        assert_eq!(names, expected);
        let mut sorted = sections(&arch);
        sorted.sort();
        assert_eq!(sorted, sections(&arch));
    }
}
