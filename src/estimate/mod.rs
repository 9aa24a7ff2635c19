//! What an accelerator will take of a device, before synthesis: LUT, FF, block RAM and multipliers as Yosys counts them.
//!
//! Memories and multipliers follow Yosys's own rules ([`ram`]). LUTs and flip-flops of every module are a constant and a slope
//! over the module's size, whose coefficients were fitted to runs of Yosys ([`coefficients`]). What does not belong here: the cells
//! of a design that was synthesized (`flow`). Cycles are those of the exact model in `lacuna-sim` ([`cycles`]).

mod board;
mod coefficients;
pub mod cycles;
mod demand;
mod inventory;
mod ram;

pub use board::{OnBoard, Verdict};
pub use coefficients::{Coefficients, Sample};
pub use demand::{kind, Demand, Memory};

use anyhow::Result;
use lacuna_hdl::Design;

/// Devices whose cells are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Ecp5,
    /// UltraScale+.
    Xcup,
    Ice40,
}

impl Family {
    pub fn name(self) -> &'static str {
        match self {
            Family::Ecp5 => "ecp5",
            Family::Xcup => "xcup",
            Family::Ice40 => "ice40",
        }
    }

    /// Shares by which an estimate may be off, of each resource; none where nothing was fitted.
    pub fn errors(self) -> [Option<f64>; 4] {
        let fitted = Area::ERRORS.map(Some);
        match self {
            Family::Ecp5 | Family::Xcup => fitted,
            Family::Ice40 => [None, None, fitted[2], fitted[3]],
        }
    }

    /// Shares that place and route adds at most to what Yosys finds, where that was seen: nextpnr has a LUT for each carry of an
    /// ECP5 and packs what is left less densely: docs/estimate.md.
    pub fn placed(self) -> [f64; 4] {
        match self {
            Family::Ecp5 => [0.25, 0.0, 0.0, 0.0],
            Family::Xcup | Family::Ice40 => [0.0; 4],
        }
    }

    /// The largest error of a resource, as tables have it.
    pub fn error_text(self, resource: usize) -> String {
        self.errors()[resource].map_or("unknown".into(), |error| format!("{:.0} %", 100.0 * error))
    }
}

/// LUT, FF, block RAM (DP16KD, RAMB36, of which a RAMB18 is half), multipliers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Area(pub [f64; 4]);

impl Area {
    pub const NAMES: [&str; 4] = ["lut", "ff", "bram", "dsp"];
    /// Shares of what Yosys finds by which an estimate may be off, for families that were fitted: of LUTs what the project
    /// answers for, of flip-flops the largest that `lacuna bench estimate` found, rounded up; block RAM and multipliers follow
    /// from rules.
    pub const ERRORS: [f64; 4] = [0.15, 0.06, 0.0, 0.0];
}

/// Of a design, and the memories that are part of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    pub area: Area,
    pub memories: Vec<Memory>,
}

impl Estimate {
    /// Without a memory that lies elsewhere.
    fn take_out(&mut self, name: &str) {
        let area = &mut self.area.0;
        self.memories.retain(|memory| {
            if memory.name == name {
                area[0] -= memory.count as f64 * memory.ram.mux;
                area[2] -= memory.all_blocks();
            }
            memory.name != name
        });
    }
}

pub fn of(design: &Design, family: Family) -> Result<Estimate> {
    let coefficients = Coefficients::known()?;
    let demand = demand::of(design, family)?;
    Ok(Estimate { area: coefficients.area(&demand, family)?, memories: demand.memories })
}

/// What the estimate of a design rests on, for who fits coefficients.
pub fn demand(design: &Design, family: Family) -> Result<Demand> {
    demand::of(design, family)
}
