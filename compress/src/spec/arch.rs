//! The architecture record: the few numbers that fix an accelerator, and every rule on them.
//!
//! One `Arch` determines the generated Verilog byte for byte and the meaning of every image word.
//! Its hash travels in the container and in a register, so that an image can be refused by hardware
//! that it was not made for.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How a weight is stored in an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightForm {
    /// The entry holds a code; a table of 2^weight_bits shared 16-bit weights per layer gives its value (EIE).
    Codebook,
    /// The entry holds the fixed-point weight itself, two's complement (ESE).
    Direct,
}

/// What an accelerator of the ESE kind has beside the sparse engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ese {
    /// Sequences that run side by side on the same weights, 1..=32.
    pub channels: usize,
    /// Words of a channel's cell memory: the cells of all LSTM layers, 1..=65,535.
    pub cell_depth: usize,
    /// Most values of an input vector, 1..=65,535.
    pub input_depth: usize,
    /// Most values of an output vector, 1..=65,535.
    pub output_depth: usize,
}

/// An accelerator: of the EIE kind (layers from one start), or with `ese` of the ESE kind (an LSTM, step after step).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arch {
    /// Processing elements, 1..=256.
    pub pes: usize,
    /// Columns that a PE holds which were broadcast and are not yet started, 1..=64.
    pub fifo_depth: usize,
    pub weights: WeightForm,
    /// Bits of a weight code (codebook: 2..=8) or of the weight (direct: 2..=16).
    pub weight_bits: usize,
    /// Bits of the zero run of an entry, 2..=8.
    pub run_bits: usize,
    /// Entries in one word of the sparse-matrix memory: 1, 2, 4, 8 or 16.
    pub entries_per_word: usize,
    /// Words of the sparse-matrix memory of a PE, 1..=1,048,576.
    pub spmat_depth: usize,
    /// Pointers in each of the two banks of a PE, 1..=1,048,576.
    pub ptr_depth: usize,
    /// EIE: activations in each of the two buffers of a PE. ESE: words of a channel's vector memory. 1..=65,535.
    pub act_depth: usize,
    /// EIE: accumulators of a PE, the rows of one layer that it computes. ESE: words of each accumulator memory of
    /// a PE, its cells of one LSTM layer or its rows of another. 1..=65,535.
    pub acc_depth: usize,
    /// EIE: biases of a PE, its rows over all layers. ESE: words of the parameter memory, one for each cell and each
    /// row with a bias over all layers. 1..=65,536.
    pub bias_depth: usize,
    /// Bits of an accumulator, 24..=48.
    pub acc_bits: usize,
    /// EIE: entries of the layer table, the layers that one start can run. ESE: operations of a step. 1..=16.
    pub max_layers: usize,
    /// EIE: layers may be convolutions too, with pooling behind them (see [`super::walk::Walk`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub conv: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ese: Option<Ese>,
}

/// A rule of [`Arch`] that does not hold: the field, what was found, what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("accelerator.{field} is {found}: {rule}")]
pub struct ArchError {
    pub field: &'static str,
    pub found: usize,
    pub rule: &'static str,
}

/// Bits of an activation; its fraction length is a property of the layer.
pub const ACT_BITS: usize = 16;
/// Bits of a shared weight in the codebook.
pub const CODEBOOK_VALUE_BITS: usize = 16;
/// Changes whenever the meaning of an image word or of a register changes.
pub const FORMAT_VERSION: u32 = 1;

/// Bits that can hold every number below `count` (at least 1).
pub const fn address_bits(count: usize) -> usize {
    let mut bits = 1;
    while bits < 63 && (1usize << bits) < count {
        bits += 1;
    }
    bits
}

impl Arch {
    /// Checks every rule; the first that does not hold is the error.
    pub fn validate(&self) -> Result<(), ArchError> {
        let range = |field, found: usize, low, high, rule| {
            if (low..=high).contains(&found) {
                Ok(())
            } else {
                Err(ArchError { field, found, rule })
            }
        };
        range("pes", self.pes, 1, 256, "1 to 256 PEs are supported")?;
        range("fifo_depth", self.fifo_depth, 1, 64, "a PE can hold 1 to 64 waiting columns")?;
        match self.weights {
            WeightForm::Codebook => range("weight_bits", self.weight_bits, 2, 8, "a codebook code has 2 to 8 bits")?,
            WeightForm::Direct => range("weight_bits", self.weight_bits, 2, 16, "a direct weight has 2 to 16 bits")?,
        }
        range("run_bits", self.run_bits, 2, 8, "a zero run has 2 to 8 bits")?;
        if ![1, 2, 4, 8, 16].contains(&self.entries_per_word) {
            let rule = "a word holds 1, 2, 4, 8 or 16 entries";
            return Err(ArchError { field: "entries_per_word", found: self.entries_per_word, rule });
        }
        let depth = "a memory depth is 1 to 1,048,576 words";
        range("spmat_depth", self.spmat_depth, 1, 1 << 20, depth)?;
        range("ptr_depth", self.ptr_depth, 1, 1 << 20, depth)?;
        range("act_depth", self.act_depth, 1, 65_535, "an activation buffer holds 1 to 65,535 words")?;
        range("acc_depth", self.acc_depth, 1, 65_535, "a PE has 1 to 65,535 accumulators")?;
        range("bias_depth", self.bias_depth, 1, 65_536, "a PE holds 1 to 65,536 biases")?;
        range("acc_bits", self.acc_bits, 24, 48, "an accumulator has 24 to 48 bits")?;
        range("max_layers", self.max_layers, 1, 16, "the layer table holds 1 to 16 layers")?;
        if let Some(ese) = &self.ese {
            range("conv", usize::from(self.conv), 0, 0, "an accelerator of the ESE kind runs no convolutions")?;
            range("ese.channels", ese.channels, 1, 32, "1 to 32 channels are supported")?;
            range("ese.cell_depth", ese.cell_depth, 1, 65_535, "a channel has 1 to 65,535 cells")?;
            range("ese.input_depth", ese.input_depth, 1, 65_535, "an input vector has 1 to 65,535 values")?;
            range("ese.output_depth", ese.output_depth, 1, 65_535, "an output vector has 1 to 65,535 values")?;
        }
        Ok(())
    }

    /// Channels of an accelerator of the ESE kind; 1 for the EIE kind, which has one vector under way.
    pub fn channels(&self) -> usize {
        self.ese.as_ref().map_or(1, |e| e.channels)
    }
    /// Bits of a word of the parameter memory (ESE): four biases of `acc_bits`, three peephole weights of 16.
    pub fn parameter_bits(&self) -> usize {
        4 * self.acc_bits + 3 * ACT_BITS
    }

    /// Bits of one entry: weight (or code) and zero run.
    pub fn entry_bits(&self) -> usize {
        self.weight_bits + self.run_bits
    }
    /// Bits of one word of the sparse-matrix memory.
    pub fn word_bits(&self) -> usize {
        self.entry_bits() * self.entries_per_word
    }
    /// Bits of the lane number of an entry within its word (0 when a word holds one entry).
    pub fn lane_bits(&self) -> usize {
        self.entries_per_word.trailing_zeros() as usize
    }
    /// Bits of a pointer: it counts entries and can be one past the last. At least 2.
    pub fn ptr_bits(&self) -> usize {
        address_bits(self.spmat_depth * self.entries_per_word + 1).max(2)
    }
    /// Bits of a decoded weight.
    pub fn weight_value_bits(&self) -> usize {
        match self.weights {
            WeightForm::Codebook => CODEBOOK_VALUE_BITS,
            WeightForm::Direct => self.weight_bits,
        }
    }
    /// Words of the codebook memory of a PE; 0 when weights are direct.
    pub fn codebook_depth(&self) -> usize {
        match self.weights {
            WeightForm::Codebook => self.max_layers << self.weight_bits,
            WeightForm::Direct => 0,
        }
    }
    /// Columns of the largest layer that the activation buffers can feed.
    pub fn max_columns(&self) -> usize {
        self.act_depth * self.pes
    }
    /// Rows of the largest layer that the accumulators can hold.
    pub fn max_rows(&self) -> usize {
        self.acc_depth.min(self.act_depth) * self.pes
    }

    /// The canonical text that is hashed: one `field=value` line each, in declaration order. Without convolutions there
    /// is no line of them.
    pub fn canonical(&self) -> String {
        let weights = match self.weights {
            WeightForm::Codebook => "codebook",
            WeightForm::Direct => "direct",
        };
        let (kind, more) = match &self.ese {
            None if self.conv => ("eie", "conv=1\n".to_string()),
            None => ("eie", String::new()),
            Some(e) => (
                "ese",
                format!(
                    "channels={}\ncell_depth={}\ninput_depth={}\noutput_depth={}\n",
                    e.channels, e.cell_depth, e.input_depth, e.output_depth
                ),
            ),
        };
        format!(
            "lacuna {kind} format {FORMAT_VERSION}\npes={}\nfifo_depth={}\nweights={weights}\nweight_bits={}\nrun_bits={}\n\
             entries_per_word={}\nspmat_depth={}\nptr_depth={}\nact_depth={}\nacc_depth={}\nbias_depth={}\nacc_bits={}\nmax_layers={}\n{more}",
            self.pes,
            self.fifo_depth,
            self.weight_bits,
            self.run_bits,
            self.entries_per_word,
            self.spmat_depth,
            self.ptr_depth,
            self.act_depth,
            self.acc_depth,
            self.bias_depth,
            self.acc_bits,
            self.max_layers,
        )
    }
    /// The architecture hash: the first eight bytes of the SHA-256 of [`Arch::canonical`], little-endian.
    pub fn hash(&self) -> u64 {
        let digest = Sha256::digest(self.canonical().as_bytes());
        digest.iter().take(8).rev().fold(0, |hash, byte| hash << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Arch {
        Arch {
            pes: 4,
            fifo_depth: 8,
            weights: WeightForm::Codebook,
            weight_bits: 4,
            run_bits: 4,
            entries_per_word: 8,
            spmat_depth: 100,
            ptr_depth: 50,
            act_depth: 16,
            acc_depth: 16,
            bias_depth: 32,
            acc_bits: 40,
            max_layers: 4,
            conv: false,
            ese: None,
        }
    }

    #[test]
    fn derived_widths_hold_what_they_must() {
        let a = small();
        assert_eq!((a.entry_bits(), a.word_bits(), a.lane_bits()), (8, 64, 3));
        assert_eq!(a.ptr_bits(), 10); // 0..=800
        assert_eq!(Arch { entries_per_word: 16, spmat_depth: 1, ..a.clone() }.ptr_bits(), 5); // 16 itself
        assert_eq!(a.codebook_depth(), 64);
        assert_eq!((address_bits(1), address_bits(2), address_bits(3), address_bits(256), address_bits(257)), (1, 1, 2, 8, 9));
    }

    #[test]
    fn every_field_changes_the_hash() {
        let a = small();
        let others = [
            Arch { pes: 5, ..a.clone() },
            Arch { fifo_depth: 9, ..a.clone() },
            Arch { weights: WeightForm::Direct, ..a.clone() },
            Arch { weight_bits: 5, ..a.clone() },
            Arch { run_bits: 5, ..a.clone() },
            Arch { entries_per_word: 4, ..a.clone() },
            Arch { spmat_depth: 101, ..a.clone() },
            Arch { ptr_depth: 51, ..a.clone() },
            Arch { act_depth: 17, ..a.clone() },
            Arch { acc_depth: 17, ..a.clone() },
            Arch { bias_depth: 33, ..a.clone() },
            Arch { acc_bits: 41, ..a.clone() },
            Arch { max_layers: 5, ..a.clone() },
            Arch { conv: true, ..a.clone() },
        ];
        for o in &others {
            assert_ne!(o.hash(), a.hash(), "{o:?}");
        }
    }

    #[test]
    fn a_rule_that_fails_names_field_value_and_limit() {
        let e = Arch { pes: 257, ..small() }.validate().unwrap_err();
        assert_eq!(e.to_string(), "accelerator.pes is 257: 1 to 256 PEs are supported");
        assert!(Arch { entries_per_word: 3, ..small() }.validate().is_err());
        assert!(Arch { weight_bits: 9, ..small() }.validate().is_err());
        assert!(Arch { weight_bits: 9, weights: WeightForm::Direct, ..small() }.validate().is_ok());
        assert!(small().validate().is_ok());
        assert!(Arch { conv: true, ..small() }.validate().is_ok());
        let ese = Some(Ese { channels: 1, cell_depth: 1, input_depth: 1, output_depth: 1 });
        let e = Arch { conv: true, ese, ..small() }.validate().unwrap_err();
        assert_eq!(e.to_string(), "accelerator.conv is 1: an accelerator of the ESE kind runs no convolutions");
    }
}
