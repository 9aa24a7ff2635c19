//! Does an accelerator fit a board, and if not, what is too large and which number of PEs would do.

use super::{Area, Estimate, Family};
use crate::board::{Board, Flow};
use crate::term;
use anyhow::{bail, Result};
use lacuna_compress::error::grouped;
use lacuna_compress::spec::{Arch, MemoryKind};
use lacuna_hdl::generate_uart;

/// An accelerator behind the serial line of a board.
pub struct OnBoard<'a> {
    board: &'a Board,
    arch: &'a Arch,
    pub estimate: Estimate,
    /// LUT, FF, block RAM, multipliers of the device.
    pub available: Area,
}

/// As a user knows them, in the order of [`Area`].
const RESOURCES: [&str; 4] = ["LUTs", "flip-flops", "block RAMs", "multipliers"];

impl<'a> OnBoard<'a> {
    pub fn new(board: &'a Board, arch: &'a Arch) -> Result<OnBoard<'a>> {
        let d = &board.description;
        let design = generate_uart(arch, board.divider(d.clock.mhz)?)?;
        let logic = &d.logic;
        let available = Area([logic.lut, logic.ff, d.memory.blocks, logic.dsp].map(|n| n as f64));
        let mut estimate = super::of(&design, family(d.tools.flow))?;
        if d.memory.entries_apart(arch) {
            estimate.take_out(MemoryKind::Spmat.name());
        }
        Ok(OnBoard { board, arch, estimate, available })
    }

    /// The first resource that is too small by more than the estimate can be off; what is exact comes first.
    fn short(&self) -> Option<usize> {
        [2, 3, 0, 1].into_iter().find(|i| self.estimate.area.0[*i] * (1.0 - Area::ERRORS[*i]) > self.available.0[*i])
    }

    pub fn fits(&self) -> bool {
        self.short().is_none()
    }

    /// An error if it does not fit: what is too large, and which number of PEs would do.
    pub fn require(&self) -> Result<()> {
        let Some(short) = self.short() else { return Ok(()) };
        let whole = |value: f64| grouped(value.ceil() as usize);
        let largest = match self.estimate.memories.iter().max_by(|a, b| a.all_blocks().total_cmp(&b.all_blocks())) {
            Some(memory) if short == 2 => format!("; {} takes most, {}", memory.name, whole(memory.all_blocks())),
            _ => String::new(),
        };
        let remedy = match self.largest_that_fits()? {
            Some(pes) => format!("the same network fits with {}", term::count(pes, "PE")),
            None => "no number of PEs makes the same network fit".to_string(),
        };
        bail!(
            "{} on {}: found about {} {}, expected at most {}{largest}; {remedy}",
            term::count(self.arch.pes, "PE"),
            self.board.description.title,
            whole(self.estimate.area.0[short]),
            RESOURCES[short],
            whole(self.available.0[short])
        )
    }

    /// The largest number of PEs that fits if the network stays the same. The numbers that fit are taken to lie side by
    /// side: with more PEs logic grows, with fewer no memory shrinks.
    pub fn largest_that_fits(&self) -> Result<Option<usize>> {
        let fits = |pes: usize| Ok::<_, anyhow::Error>(OnBoard::new(self.board, &with_pes(self.arch, pes))?.fits());
        let mut found = None;
        for pes in (0..=MOST_PES.ilog2()).map(|bits| 1 << bits) {
            if fits(pes)? {
                found = Some(pes);
            } else if found.is_some() {
                break;
            }
        }
        let Some(mut fit) = found else { return Ok(None) };
        let mut not = (2 * fit).min(MOST_PES + 1);
        while not - fit > 1 {
            let middle = fit + (not - fit) / 2;
            if fits(middle)? {
                fit = middle;
            } else {
                not = middle;
            }
        }
        Ok(Some(fit))
    }
}

/// As [`Arch::validate`] has it.
const MOST_PES: usize = 256;

/// The same network on another number of PEs: what is dealt to PEs is dealt again.
fn with_pes(arch: &Arch, pes: usize) -> Arch {
    let dealt = |depth: usize| (depth * arch.pes).div_ceil(pes);
    let shared = arch.ese.is_some();
    Arch {
        pes,
        spmat_depth: dealt(arch.spmat_depth).min(1 << 20),
        acc_depth: dealt(arch.acc_depth).min(65_535),
        // an ESE has them once, or once a channel
        act_depth: if shared { arch.act_depth } else { dealt(arch.act_depth).min(65_535) },
        bias_depth: if shared { arch.bias_depth } else { dealt(arch.bias_depth).min(65_536) },
        ..arch.clone()
    }
}

fn family(flow: Flow) -> Family {
    match flow {
        Flow::Ecp5 => Family::Ecp5,
        Flow::Ice40 => Family::Ice40,
        // LUTs of six inputs, and the same block RAM
        Flow::Vivado => Family::Xcup,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lacuna_compress::spec::arch::Ese;
    use lacuna_compress::spec::WeightForm;

    fn arch(pes: usize, spmat_depth: usize) -> Arch {
        Arch {
            pes,
            fifo_depth: 8,
            weights: WeightForm::Codebook,
            weight_bits: 4,
            run_bits: 4,
            entries_per_word: 8,
            spmat_depth,
            ptr_depth: 600,
            act_depth: 200,
            acc_depth: 75,
            bias_depth: 103,
            acc_bits: 40,
            max_layers: 3,
            conv: false,
            ese: None,
        }
    }

    #[test]
    fn what_is_dealt_to_pes_is_dealt_again() {
        let of = |a: &Arch| [a.pes, a.spmat_depth, a.ptr_depth, a.act_depth, a.acc_depth, a.bias_depth];
        assert_eq!(of(&with_pes(&arch(4, 250), 16)), [16, 63, 600, 50, 19, 26]);
        assert_eq!(of(&with_pes(&arch(4, 250), 1)), [1, 1000, 600, 800, 300, 412]);
        let ese = Some(Ese { channels: 2, cell_depth: 9, input_depth: 9, output_depth: 9 });
        assert_eq!(of(&with_pes(&Arch { ese, ..arch(4, 250) }, 8)), [8, 125, 600, 200, 38, 103]);
    }

    #[test]
    fn a_board_that_is_too_small_says_what_and_how_many_pes_would_do() {
        let board = Board::find("ulx3s").unwrap();
        let fitting = arch(4, 250);
        let found = OnBoard::new(&board, &fitting).unwrap();
        assert!(found.fits() && found.require().is_ok());
        let most = found.largest_that_fits().unwrap().unwrap();
        assert!((5..64).contains(&most), "{most}");
        assert!(!OnBoard::new(&board, &with_pes(&fitting, most + 1)).unwrap().fits());

        // 64 bits x 16,384 words are 64 block RAMs a PE
        let large = arch(4, 16_384);
        let error = OnBoard::new(&board, &large).unwrap().require().unwrap_err().to_string();
        assert!(error.contains("block RAMs, expected at most 208; spmat takes most, 256; no number of PEs"), "{error}");
        let many = arch(64, 16);
        let error = OnBoard::new(&board, &many).unwrap().require().unwrap_err().to_string();
        assert!(error.contains("64 PEs on Radiona ULX3S") && error.contains("the same network fits with "), "{error}");
    }
}
