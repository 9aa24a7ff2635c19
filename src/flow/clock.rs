//! The module `board_clock`: from the oscillator's clock to the accelerator's, for boards whose top module has one.

use crate::board::{Board, Flow};
use anyhow::{bail, Result};

/// File name of the module.
pub const FILE: &str = "board_clock.v";
/// Share by which the clock may be off what was asked for.
const ERROR: f64 = 0.01;

/// The PLL of an ECP5, fed back from its first output. Frequencies in MHz.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pll {
    /// Of the reference, in the feedback, of the output.
    reference: u32,
    feedback: u32,
    output: u32,
    oscillator: f64,
    mhz: f64,
}

/// Ranges in MHz, and largest dividers, as Project Trellis's ecppll has them.
/// Of the phase detector, and of the output.
const CLOCKS: std::ops::RangeInclusive<f64> = 3.125..=400.0;
const OSCILLATOR: std::ops::RangeInclusive<f64> = 400.0..=800.0;
const MIDDLE: f64 = 600.0;
const DIVIDERS: u32 = 128;
const MULTIPLIERS: u32 = 80;

/// The dividers that come nearest to `mhz`; among equals the oscillator nearest to the middle of its range.
fn pll(pin_mhz: f64, mhz: f64) -> Option<Pll> {
    let mut best: Option<(f64, f64, Pll)> = None;
    for reference in (1..=DIVIDERS).filter(|r| CLOCKS.contains(&(pin_mhz / f64::from(*r)))) {
        for feedback in 1..=MULTIPLIERS {
            let found = pin_mhz / f64::from(reference) * f64::from(feedback);
            for output in (1..=DIVIDERS).filter(|o| OSCILLATOR.contains(&(found * f64::from(*o)))) {
                let oscillator = found * f64::from(output);
                let (error, distance) = ((found - mhz).abs(), (oscillator - MIDDLE).abs());
                if best.as_ref().is_none_or(|b| (error, distance) < (b.0, b.1)) {
                    best = Some((error, distance, Pll { reference, feedback, output, oscillator, mhz: found }));
                }
            }
        }
    }
    best.map(|b| b.2).filter(|found| CLOCKS.contains(&found.mhz) && (found.mhz / mhz - 1.0).abs() <= ERROR)
}

/// Text of the module if the board's top wants it, and the accelerator's frequency.
pub fn module(board: &Board, mhz: f64) -> Result<(Option<String>, f64)> {
    let pin_mhz = board.description.clock.pin_mhz;
    let wanted = board.top()?.contains("board_clock ");
    if !wanted && mhz == pin_mhz {
        return Ok((None, mhz));
    }
    let (body, mhz) = if mhz == pin_mhz {
        ("    assign clock = pin;\n    assign stable = 1'b1;\n".to_string(), mhz)
    } else if wanted && board.description.tools.flow == Flow::Ecp5 {
        let Some(found) = pll(pin_mhz, mhz) else {
            bail!("board {}: its PLL makes no clock within 1 % of {mhz} MHz from {pin_mhz} MHz", board.name);
        };
        (ehxplll(&found, pin_mhz), found.mhz)
    } else {
        bail!(
            "board {}: found a clock of {mhz} MHz, expected {pin_mhz}, that of its oscillator: it has no PLL in its {}",
            board.name,
            board.description.files.top
        );
    };
    let text = format!(
        "// From the oscillator's {pin_mhz} MHz to the accelerator's {mhz} MHz. stable: the clock may be used.\n\
         module board_clock (\n    input wire pin,\n    output wire clock,\n    output wire stable\n);\n{body}endmodule\n"
    );
    Ok((Some(text), mhz))
}

fn ehxplll(p: &Pll, pin_mhz: f64) -> String {
    // half a period of the output late, in periods of the oscillator, so that the edges lie on one another
    let phase = p.output / 2;
    format!(
        "    // the oscillator inside runs at {oscillator} MHz\n    \
         (* FREQUENCY_PIN_CLKI = \"{pin_mhz}\" *)\n    (* FREQUENCY_PIN_CLKOP = \"{mhz}\" *)\n    \
         (* ICP_CURRENT = \"12\" *)\n    (* LPF_RESISTOR = \"8\" *)\n    (* MFG_ENABLE_FILTEROPAMP = \"1\" *)\n    \
         (* MFG_GMCREF_SEL = \"2\" *)\n    EHXPLLL #(\n        .PLLRST_ENA(\"DISABLED\"),\n        .INTFB_WAKE(\"DISABLED\"),\n        \
         .STDBY_ENABLE(\"DISABLED\"),\n        .DPHASE_SOURCE(\"DISABLED\"),\n        .OUTDIVIDER_MUXA(\"DIVA\"),\n        \
         .OUTDIVIDER_MUXB(\"DIVB\"),\n        .OUTDIVIDER_MUXC(\"DIVC\"),\n        .OUTDIVIDER_MUXD(\"DIVD\"),\n        \
         .CLKI_DIV({reference}),\n        .CLKOP_ENABLE(\"ENABLED\"),\n        .CLKOP_DIV({output}),\n        \
         .CLKOP_CPHASE({phase}),\n        .CLKOP_FPHASE(0),\n        .FEEDBK_PATH(\"CLKOP\"),\n        .CLKFB_DIV({feedback})\n    ) pll (\n        \
         .RST(1'b0),\n        .STDBY(1'b0),\n        .CLKI(pin),\n        .CLKOP(clock),\n        .CLKFB(clock),\n        \
         .CLKINTFB(),\n        .PHASESEL0(1'b0),\n        .PHASESEL1(1'b0),\n        .PHASEDIR(1'b1),\n        .PHASESTEP(1'b1),\n        \
         .PHASELOADREG(1'b1),\n        .PLLWAKESYNC(1'b0),\n        .ENCLKOP(1'b0),\n        .LOCK(stable)\n    );\n",
        oscillator = p.oscillator,
        mhz = p.mhz,
        reference = p.reference,
        output = p.output,
        feedback = p.feedback,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dividers_are_those_of_ecppll() {
        let dividers = |mhz| pll(25.0, mhz).map(|p| (p.reference, p.feedback, p.output, p.oscillator, p.mhz));
        // what ecppll prints for `-i 25 -o ...`
        assert_eq!(dividers(80.0), Some((5, 16, 7, 560.0, 80.0)));
        assert_eq!(dividers(62.5), Some((2, 5, 10, 625.0, 62.5)));
        assert_eq!(dividers(100.0), Some((1, 4, 6, 600.0, 100.0)));
        assert_eq!((dividers(2.0), dividers(500.0)), (None, None), "beyond its ranges");
    }
}
