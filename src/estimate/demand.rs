//! What a design asks for, before coefficients: the cells that follow from rules, and the sizes that LUTs and flip-flops of
//! everything else are proportional to.

use super::inventory::{self, Part};
use super::ram::{ram, Ram, Style};
use super::{Area, Family};
use anyhow::Result;
use lacuna_hdl::Design;

/// What there is of one module in a design.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Of the module, and behind a point the variant of one whose variants have little in common.
    pub name: String,
    pub count: f64,
    /// Of all of it, what LUTs grow with, and flip-flops: bits of registers and outputs, and of registers; of a leaf a
    /// parameter. `None` if rules say everything.
    pub size: Option<[f64; 2]>,
    /// What rules say: RAMs with what chooses between them, multipliers, and registers that follow from a parameter.
    pub known: Area,
}

/// A memory, and what it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    /// Its names in the Verilog, such as `spmat`.
    pub name: String,
    pub count: usize,
    pub width: usize,
    pub depth: usize,
    /// One of it.
    pub ram: Ram,
}

impl Memory {
    /// Of all of it.
    pub fn all_blocks(&self) -> f64 {
        self.count as f64 * self.ram.blocks
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demand {
    pub terms: Vec<Term>,
    pub memories: Vec<Memory>,
}

/// Of a whole design.
pub fn of(design: &Design, family: Family) -> Result<Demand> {
    let mut demand = Demand::default();
    let parts = inventory::of(design)?;
    let one_entry = !parts.iter().any(|part| part.path.ends_with(".spmat_read.select") && part.number("LANES").is_ok_and(|n| n > 1));
    for part in parts {
        let one = of_part(&part, family)?;
        if let Some((width, depth, ram)) = one.memory {
            demand.memories.push(Memory { name: part.title(), count: part.count, width, depth, ram });
        }
        demand.add(&part, one, one_entry);
    }
    Ok(demand)
}

impl Term {
    pub fn module(&self) -> &str {
        self.name.split('.').next().unwrap_or(&self.name)
    }
}

impl Demand {
    fn add(&mut self, part: &Part, one: One, one_entry: bool) {
        let count = part.count as f64;
        let variant = match part.name.as_str() {
            "requantize" => part.parameters.get("STAGES").cloned(),
            // both activation buffers in one memory, or each in its own
            "act_rw" => Some(part.below.to_string()),
            // columns begin with a word, or anywhere in one
            "ptr_read" | "spmat_read" if one_entry => Some("one".into()),
            _ => None,
        };
        let kind = kind(&part.name);
        let name = variant.map_or(kind.to_string(), |variant| format!("{kind}.{variant}"));
        let place = match self.terms.iter().position(|t| t.name == name) {
            Some(place) => place,
            None => {
                let size = one.size.map(|_| [0.0; 2]);
                self.terms.push(Term { name, count: 0.0, size, known: Area::default() });
                self.terms.len() - 1
            }
        };
        let term = &mut self.terms[place];
        term.count += count;
        term.size = term.size.zip(one.size).map(|(sum, size)| [0, 1].map(|i| sum[i] + count * size[i]));
        term.known.0.iter_mut().zip(one.known).for_each(|(sum, value)| *sum += count * value);
    }
}

/// One module without what is below it.
struct One {
    known: [f64; 4],
    size: Option<[f64; 2]>,
    memory: Option<(usize, usize, Ram)>,
}

fn of_part(part: &Part, family: Family) -> Result<One> {
    let number = |name| part.number(name);
    let sized = |size: usize| One { known: [0.0; 4], size: Some([size as f64; 2]), memory: None };
    let ruled = |luts: f64| One { known: [luts, 0.0, 0.0, 0.0], size: None, memory: None };
    Ok(match part.name.as_str() {
        "memory" | "single_port" | "accumulators" => {
            let (width, depth) = (number("WIDTH")?, number("DEPTH")?);
            let style = match (part.name.as_str(), part.parameters.get("STYLE")) {
                (_, Some(text)) => Style::of(text),
                ("single_port", None) => Style::Block,
                _ => Style::Distributed,
            };
            let found = match number("SLICE") {
                Ok(slice) => sliced(family, style, slice, width, depth),
                Err(_) => ram(family, style, width, depth),
            };
            // what a LUT RAM says is kept beside it, what a block RAM says within it
            let kept = found.kept + if found.blocks > 0.0 { 0.0 } else { width as f64 };
            One { known: [found.lut_ram, kept, found.blocks, 0.0], size: Some([found.mux, 0.0]), memory: Some((width, depth, found)) }
        }
        "column_queue" => {
            let (depth, width) = (number("DEPTH")?, 1 + number("VALUE")? + number("FIRST")? + number("TURNS")?);
            if depth == 0 {
                // a wire
                return Ok(ruled(0.0));
            }
            // places of head and tail, and the number of columns
            let size = bits(depth.max(2) - 1) + bits(depth);
            let found = ram(family, Style::Distributed, width, depth.next_power_of_two());
            let known = [found.lut_ram + found.mux, 0.0, found.blocks, 0.0];
            One { known, size: Some([size as f64; 2]), memory: Some((width, depth, found)) }
        }
        "delay" => {
            let (width, stages) = (number("WIDTH")? as f64, number("STAGES")?);
            // three registers in a row are a shift register in a LUT
            let shifted = family == Family::Xcup && stages > 2;
            let known = if shifted { [width, 0.0, 0.0, 0.0] } else { [0.0, width * stages as f64, 0.0, 0.0] };
            One { known, size: None, memory: None }
        }
        "multiply" => {
            let stored = number("SUM")?.min(number("A")? + number("B")?);
            One { known: [0.0, stored as f64, 0.0, 1.0], size: None, memory: None }
        }
        "activation" => {
            let (width, depth) = (number("BASE_BITS")? + number("SLOPE_BITS")?, 1 << number("SEGMENT_BITS")?);
            let found = ram(family, Style::Block, width, depth);
            One { known: [found.mux, 0.0, found.blocks, 1.0], size: Some([0.0; 2]), memory: Some((width, depth, found)) }
        }
        "lane_select" => {
            let (width, word) = (number("WIDTH")?, number("WORD")?);
            let luts = (0..width.min(word)).map(|bit| selection(family, (word - bit).div_ceil(width))).sum();
            One { size: Some([luts, 0.0]), ..sized(0) }
        }
        "lane_merge" => {
            let lanes = number("LANES")?;
            // whether a lane is meant, and two words: what a LUT of four inputs does not take at once
            let inputs = lanes.ilog2() as usize + 2;
            let each = if family == Family::Xcup || inputs <= 4 { 1 } else { 1 << (inputs - 4) };
            ruled((32 * lanes * each) as f64)
        }
        "requantize" | "align_shift" | "accumulate" => sized(number("SUM")?),
        "larger" => sized(number("WIDTH")?),
        _ => One { size: Some([part.register_bits + part.output_bits, part.register_bits].map(|bits| bits as f64)), ..sized(0) },
    })
}

/// The module whose coefficients a module has.
pub fn kind(module: &str) -> &str {
    // one address or two, the cells are the same
    if module == "single_port" {
        "memory"
    } else {
        module
    }
}

/// A memory of slices that are as deep as it.
fn sliced(family: Family, style: Style, slice: usize, width: usize, depth: usize) -> Ram {
    let widths = (0..width).step_by(slice.max(1)).map(|low| slice.min(width - low));
    widths.map(|bits| ram(family, style, bits, depth)).fold(Ram::default(), |a, b| Ram {
        blocks: a.blocks + b.blocks,
        lut_ram: a.lut_ram + b.lut_ram,
        mux: a.mux + b.mux,
        kept: a.kept + b.kept,
    })
}

/// LUTs a bit of the choice of one of 0 to 8, 12 or 16 lanes, as measured.
fn selection(family: Family, lanes: usize) -> f64 {
    let luts: &[f64] = match family {
        Family::Ecp5 | Family::Ice40 => &[0.0, 0.0, 1.0, 2.0, 4.0, 5.0, 6.0, 6.5, 7.0, 16.0, 28.0],
        Family::Xcup => &[0.0, 0.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.5, 3.0, 4.0, 5.5],
    };
    let place = if lanes > 12 { 10 } else { lanes.min(9) };
    luts[place]
}

/// Bits of a number.
fn bits(number: usize) -> usize {
    (usize::BITS - number.leading_zeros()) as usize
}
