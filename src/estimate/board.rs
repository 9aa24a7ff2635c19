//! Does an accelerator fit a board, and if not, what is too large and which number of PEs would do.

use super::{Area, Estimate, Family};
use crate::board::{Board, Flow};
use crate::term;
use anyhow::{bail, Result};
use lacuna_compress::error::grouped;
use lacuna_compress::spec::{Arch, MemoryKind};
use lacuna_hdl::generate_uart;

/// What an estimate says of a device, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The device has enough even if the estimate is off by the largest error, and place and route adds what it may.
    Fits,
    /// It may have enough, or not: the error, or what place and route adds, decides.
    MayNotFit,
    /// It has too little even if the estimate is off by the largest error.
    DoesNotFit,
}

/// An accelerator behind the serial line of a board.
pub struct OnBoard<'a> {
    board: &'a Board,
    arch: &'a Arch,
    pub family: Family,
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
        let family = family(d.tools.flow);
        let mut estimate = super::of(&design, family)?;
        if d.memory.entries_apart(arch) {
            estimate.take_out(MemoryKind::Spmat.name());
        }
        Ok(OnBoard { board, arch, family, estimate, available })
    }

    /// Of one resource. Errors are shares of what Yosys finds. Where the error is not known, only what is too large by more than
    /// that of the fitted families is refused.
    fn of_one(&self, resource: usize) -> Verdict {
        let (used, available) = (self.estimate.area.0[resource], self.available.0[resource]);
        let error = self.family.errors()[resource];
        if used * (1.0 - error.unwrap_or(Area::ERRORS[resource])) > available {
            Verdict::DoesNotFit
        } else if error.is_some_and(|error| used * (1.0 + self.family.placed()[resource]) <= available * (1.0 - error)) {
            Verdict::Fits
        } else {
            Verdict::MayNotFit
        }
    }

    /// The first resource of this verdict; what is exact comes first.
    fn first(&self, verdict: Verdict) -> Option<usize> {
        [2, 3, 0, 1].into_iter().find(|i| self.of_one(*i) == verdict)
    }

    /// Of all resources the worst.
    pub fn verdict(&self) -> Verdict {
        (0..RESOURCES.len()).map(|i| self.of_one(i)).max().unwrap_or(Verdict::Fits)
    }

    /// Why it may not fit, if that is the verdict.
    pub fn doubt(&self) -> Option<String> {
        if self.verdict() != Verdict::MayNotFit {
            return None;
        }
        let i = self.first(Verdict::MayNotFit)?;
        let error = match self.family.errors()[i] {
            Some(_) => match self.family.placed()[i] {
                0.0 => format!("may be off by {}", self.family.error_text(i)),
                more => format!("may be off by {}, place and route adds up to {}", self.family.error_text(i), term::percent(more)),
            },
            None => format!("was not fitted to any {}, and how far it is off is unknown", self.family.name()),
        };
        let (used, available) = (whole(self.estimate.area.0[i]), whole(self.available.0[i]));
        Some(format!("may not fit {}: about {used} of {available} {}, and the estimate {error}", self.board.name, RESOURCES[i]))
    }

    /// An error if it does not fit: what is too large, and which number of PEs would do.
    pub fn require(&self) -> Result<()> {
        let Some(short) = self.first(Verdict::DoesNotFit) else { return Ok(()) };
        let largest = match self.estimate.memories.iter().max_by(|a, b| a.all_blocks().total_cmp(&b.all_blocks())) {
            Some(memory) if short == 2 => {
                let takes = if memory.name.contains(", ") { "take" } else { "takes" };
                format!("; {} {takes} most, {}", memory.name, whole(memory.all_blocks()))
            }
            _ => String::new(),
        };
        let remedy = match (self.largest(Verdict::Fits)?, self.largest(Verdict::MayNotFit)?) {
            (Some(pes), _) => format!("the same network fits with {}", term::count(pes, "PE")),
            (None, Some(pes)) => format!("the same network may fit with {}", term::count(pes, "PE")),
            (None, None) => "no number of PEs makes the same network fit".to_string(),
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

    /// The largest number of PEs whose verdict is no worse than `worst` if the network stays the same. The numbers that fit are
    /// taken to lie side by side: with more PEs logic grows, with fewer no memory shrinks. With too few, memories are larger than
    /// they may be.
    pub fn largest(&self, worst: Verdict) -> Result<Option<usize>> {
        let fits = |pes: usize| match with_pes(self.arch, pes) {
            Some(arch) => Ok::<_, anyhow::Error>(OnBoard::new(self.board, &arch)?.verdict() <= worst),
            None => Ok(false),
        };
        let least = (1..=MOST_PES).find(|pes| with_pes(self.arch, *pes).is_some()).unwrap_or(1);
        let mut found = None;
        for pes in (0..).map(|bits| least << bits).take_while(|pes| *pes <= MOST_PES) {
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

fn whole(value: f64) -> String {
    grouped(value.ceil() as usize)
}

/// As [`Arch::validate`] has it.
const MOST_PES: usize = 256;

/// The same network on another number of PEs: what is dealt to PEs is dealt again. None if memories of a PE would have to be
/// larger than they may be.
fn with_pes(arch: &Arch, pes: usize) -> Option<Arch> {
    let dealt = |depth: usize| (depth * arch.pes).div_ceil(pes);
    let shared = arch.ese.is_some();
    let found = Arch {
        pes,
        spmat_depth: dealt(arch.spmat_depth),
        acc_depth: dealt(arch.acc_depth),
        // an ESE has them once, or once a channel
        act_depth: if shared { arch.act_depth } else { dealt(arch.act_depth) },
        bias_depth: if shared { arch.bias_depth } else { dealt(arch.bias_depth) },
        ..arch.clone()
    };
    found.validate().is_ok().then_some(found)
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
        assert_eq!(of(&with_pes(&arch(4, 250), 16).unwrap()), [16, 63, 600, 50, 19, 26]);
        assert_eq!(of(&with_pes(&arch(4, 250), 1).unwrap()), [1, 1000, 600, 800, 300, 412]);
        let ese = Some(Ese { channels: 2, cell_depth: 9, input_depth: 9, output_depth: 9 });
        assert_eq!(of(&with_pes(&Arch { ese, ..arch(4, 250) }, 8).unwrap()), [8, 125, 600, 200, 38, 103]);
    }

    #[test]
    fn a_board_that_is_too_small_says_what_and_how_many_pes_would_do() {
        let board = Board::find("ulx3s").unwrap();
        let fitting = arch(4, 250);
        let found = OnBoard::new(&board, &fitting).unwrap();
        assert!(found.verdict() == Verdict::Fits && found.doubt().is_none() && found.require().is_ok());
        // by block RAM, of which nothing is in doubt
        assert_eq!([Verdict::Fits, Verdict::MayNotFit].map(|worst| found.largest(worst).unwrap()), [Some(25), Some(25)]);
        let verdict = |pes| OnBoard::new(&board, &with_pes(&fitting, pes).unwrap()).unwrap().verdict();
        assert_eq!([25, 26].map(verdict), [Verdict::Fits, Verdict::DoesNotFit]);

        // 64 bits x 16,384 words are 64 block RAMs a PE
        let large = arch(4, 16_384);
        let error = OnBoard::new(&board, &large).unwrap().require().unwrap_err().to_string();
        assert!(error.contains("block RAMs, expected at most 208; spmat takes most, 256; no number of PEs"), "{error}");
        // entries that no board of this kind holds, and that a single PE could not address
        let board_105 = Board::find("kcu105").unwrap();
        let entries = Arch { entries_per_word: 2, ..arch(64, 32_768) };
        let error = OnBoard::new(&board_105, &entries).unwrap().require().unwrap_err().to_string();
        assert!(error.ends_with("no number of PEs makes the same network fit"), "{error}");
        let many = arch(64, 16);
        let error = OnBoard::new(&board, &many).unwrap().require().unwrap_err().to_string();
        assert!(error.contains("64 PEs on Radiona ULX3S") && error.contains("the same network fits with "), "{error}");
    }

    #[test]
    fn what_the_error_decides_may_not_fit() {
        let board = Board::find("ulx3s").unwrap();
        // an LSTM's accumulators are in LUTs
        for (acc_depth, verdict) in [(100, Verdict::Fits), (230, Verdict::MayNotFit), (300, Verdict::MayNotFit), (600, Verdict::DoesNotFit)]
        {
            let ese = Some(Ese { channels: 1, cell_depth: 9, input_depth: 9, output_depth: 9 });
            let arch = Arch { acc_depth, ese, ..arch(4, 250) };
            let found = OnBoard::new(&board, &arch).unwrap();
            let [used, available] = [found.estimate.area.0[0], found.available.0[0]];
            assert_eq!(
                (1.25 * used > 0.85 * available, 0.85 * used > available),
                (verdict != Verdict::Fits, verdict == Verdict::DoesNotFit)
            );
            assert_eq!((found.verdict(), found.require().is_err()), (verdict, verdict == Verdict::DoesNotFit), "{acc_depth}");
            let doubt = found.doubt().unwrap_or_default();
            let said = doubt.contains("may not fit ulx3s: about ")
                && doubt.ends_with(" of 83,640 LUTs, and the estimate may be off by 15 %, place and route adds up to 25.00 %");
            assert_eq!(said, verdict == Verdict::MayNotFit, "{acc_depth}: {doubt}");
        }
    }

    #[test]
    fn where_nothing_was_fitted_nothing_is_sure_to_fit() {
        let board = Board::find("icebreaker").unwrap();
        let small = Arch { spmat_depth: 64, ptr_depth: 64, act_depth: 64, acc_depth: 16, bias_depth: 16, ..arch(1, 64) };
        let found = OnBoard::new(&board, &small).unwrap();
        assert_eq!([0, 1, 2, 3].map(|i| found.family.error_text(i)), ["unknown", "unknown", "0 %", "0 %"]);
        assert_eq!((found.verdict(), found.largest(Verdict::Fits).unwrap()), (Verdict::MayNotFit, None));
        assert!(found.require().is_ok());
        assert!(found.doubt().unwrap().ends_with("was not fitted to any ice40, and how far it is off is unknown"));
    }
}
