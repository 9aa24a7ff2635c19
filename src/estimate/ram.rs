//! What Yosys makes of a memory with one write port and one read port: its pass `memory_libmap` takes the cheapest way
//! to build it from the RAMs of the device, and so does this. Costs and shapes are those of Yosys 0.23's `brams.txt` and
//! `lutrams.txt`; the multiplexers behind more than one RAM are measured, a line for each family.

use super::Family;
use lacuna_hdl::prim::SHAPES;

/// A memory in cells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ram {
    /// Block RAM in the units that the family is counted in.
    pub blocks: f64,
    /// That hold words.
    pub lut_ram: f64,
    /// That choose between RAMs.
    pub mux: f64,
    /// Flip-flops that keep what chooses between block RAMs, or where there are no LUT RAMs a few words.
    pub kept: f64,
}

/// As the attribute `ram_style` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Block,
    Distributed,
    Auto,
}

impl Style {
    pub fn of(text: &str) -> Style {
        match text {
            "block" => Style::Block,
            "distributed" => Style::Distributed,
            _ => Style::Auto,
        }
    }
}

/// A kind of block RAM.
struct Block {
    cost: f64,
    /// Bits that are written together: a RAM that is wider is shared between parts of a memory by these.
    byte: usize,
    /// In the units that the family is counted in.
    counts: f64,
    /// Words at each width.
    shapes: &'static [(usize, usize)],
}

/// A kind of LUT RAM.
struct LutRam {
    cost: f64,
    /// Does a part of its width cost a part?
    scales: bool,
    luts: f64,
    shape: (usize, usize),
}

/// Yosys's price of a two-way multiplexer.
const MUX_COST: f64 = 0.5;

const DP16KD: Block = Block { cost: 128.0, byte: 9, counts: 1.0, shapes: &SHAPES };
const DPR16X4: LutRam = LutRam { cost: 4.0, scales: false, luts: 4.0, shape: (4, 16) };
const RAMB18: Block = Block { cost: 129.0, byte: 9, counts: 0.5, shapes: &SHAPES };
const RAMB36: Block = Block {
    cost: 257.0,
    byte: 9,
    counts: 1.0,
    shapes: &[(1, 32_768), (2, 16_384), (4, 8192), (9, 4096), (18, 2048), (36, 1024), (72, 512)],
};
const RAM32M16: LutRam = LutRam { cost: 16.0, scales: true, luts: 8.0, shape: (14, 32) };
const RAM64M8: LutRam = LutRam { cost: 16.0, scales: true, luts: 8.0, shape: (7, 64) };
const RAM40: Block = Block { cost: 64.0, byte: 1, counts: 1.0, shapes: &[(2, 2048), (4, 1024), (8, 512), (16, 256)] };

/// LUTs a bit that a choice of one from so many words takes, as measured: (words, LUTs).
type Mux = &'static [(usize, f64)];
#[rustfmt::skip]
const ECP5_MUX: Mux = &[
    (1, 0.0), (2, 1.05), (3, 2.07), (4, 4.1), (5, 5.1), (6, 5.2), (7, 5.15), (8, 7.1), (9, 11.4), (10, 11.5), (11, 17.3), (12, 18.6),
    (13, 22.7), (14, 26.4), (15, 25.8), (16, 29.3), (18, 41.8), (20, 44.8), (24, 25.0), (28, 33.5), (32, 34.7), (40, 57.5), (48, 73.7),
    (64, 109.0),
];
const XCUP_MUX: Mux =
    &[(1, 0.0), (2, 1.05), (4, 1.1), (5, 4.1), (6, 8.2), (7, 3.4), (8, 3.5), (9, 3.5), (10, 4.9), (12, 5.7), (16, 6.3), (17, 10.0)];

impl Family {
    fn blocks(self) -> &'static [Block] {
        match self {
            Family::Ecp5 => &[DP16KD],
            Family::Xcup => &[RAMB18, RAMB36],
            Family::Ice40 => &[RAM40],
        }
    }
    fn lut_rams(self) -> &'static [LutRam] {
        match self {
            Family::Ecp5 => &[DPR16X4],
            Family::Xcup => &[RAM32M16, RAM64M8],
            Family::Ice40 => &[],
        }
    }
    fn mux(self) -> Mux {
        match self {
            Family::Ecp5 | Family::Ice40 => ECP5_MUX,
            Family::Xcup => XCUP_MUX,
        }
    }
}

/// The cheapest way that the style allows.
pub fn ram(family: Family, style: Style, width: usize, depth: usize) -> Ram {
    // an array of one word has no address bits
    let depth = depth.max(2);
    let small = family.lut_rams().iter().map(|kind| of_luts(family, kind, width, depth));
    let small: Vec<(f64, Ram)> = if family == Family::Ice40 { vec![of_registers(family, width, depth)] } else { small.collect() };
    let shapes = family.blocks().iter().flat_map(|kind| kind.shapes.iter().map(move |shape| (kind, *shape)));
    let blocks: Vec<(f64, Ram)> = shapes.map(|(kind, shape)| of_blocks(family, kind, shape, width, depth)).collect();
    let ways = match style {
        Style::Block => blocks,
        // an iCE40 has no LUT RAM, and its script drops the attribute
        Style::Distributed if family != Family::Ice40 => small,
        Style::Distributed | Style::Auto => [small, blocks].concat(),
    };
    ways.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, ram)| ram).unwrap_or_default()
}

/// A bit costs 1.
fn of_registers(family: Family, width: usize, depth: usize) -> (f64, Ram) {
    let bits = (width * depth) as f64;
    (bits, Ram { blocks: 0.0, lut_ram: 0.0, mux: mux(family, depth, width), kept: bits })
}

/// Its cost, and what it is; of two that cost the same, the one with fewer RAMs to choose from.
fn of_blocks(family: Family, kind: &Block, shape: (usize, usize), width: usize, depth: usize) -> (f64, Ram) {
    let deep = depth.div_ceil(shape.1);
    let blocks =
        if shape.0 < kind.byte { deep * width.div_ceil(shape.0) } else { (deep * width.div_ceil(kind.byte)).div_ceil(shape.0 / kind.byte) };
    let cost = kind.cost * blocks as f64 + MUX_COST * (width * (deep - 1)) as f64;
    let kept = f64::from(usize::BITS - (deep - 1).leading_zeros());
    (cost + 1e-6 * deep as f64, Ram { blocks: kind.counts * blocks as f64, lut_ram: 0.0, mux: mux(family, deep, width), kept })
}

fn of_luts(family: Family, kind: &LutRam, width: usize, depth: usize) -> (f64, Ram) {
    let deep = depth.div_ceil(kind.shape.1);
    let whole = width.div_ceil(kind.shape.0) as f64;
    let wide = if kind.scales { width as f64 / kind.shape.0 as f64 } else { whole };
    let cost = kind.cost * deep as f64 * wide + MUX_COST * (width * (deep - 1)) as f64;
    let lut_ram = kind.luts * deep as f64 * whole;
    (cost + 1e-6 * deep as f64, Ram { blocks: 0.0, lut_ram, mux: mux(family, deep, width), kept: 0.0 })
}

/// LUTs that choose one of `ways` words of `width` bits: between the measured ways in a straight line, beyond them in
/// proportion.
fn mux(family: Family, ways: usize, width: usize) -> f64 {
    let table = family.mux();
    let above = table.iter().position(|(n, _)| *n >= ways);
    let bit = match above {
        Some(0) => table[0].1,
        Some(i) => {
            let ((low, from), (high, to)) = (table[i - 1], table[i]);
            from + (to - from) * (ways - low) as f64 / (high - low) as f64
        }
        None => table.last().map_or(0.0, |(n, luts)| luts * ways as f64 / *n as f64),
    };
    bit * width as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Yosys 0.23 made of `memory.v` and `accumulators.v`: block RAMs (DP16KD; RAMB36, of which a RAMB18 is half)
    /// and LUT RAMs (four LUTs a DPR16X4, eight a RAM32M16 or RAM64M8).
    #[test]
    fn memories_become_what_yosys_makes_of_them() {
        use Style::*;
        for (style, width, depth, ecp5, xcup) in [
            (Block, 1, 5000, (1.0, 0.0), (0.5, 0.0)),
            (Block, 9, 3000, (2.0, 0.0), (1.0, 0.0)),
            (Block, 11, 2048, (2.0, 0.0), (1.0, 0.0)),
            (Block, 16, 5000, (5.0, 0.0), (2.5, 0.0)),
            (Block, 24, 5000, (8.0, 0.0), (4.0, 0.0)),
            (Block, 37, 3000, (8.0, 0.0), (4.0, 0.0)),
            (Block, 73, 1024, (5.0, 0.0), (2.5, 0.0)),
            (Block, 73, 3000, (14.0, 0.0), (7.0, 0.0)),
            (Block, 96, 5000, (28.0, 0.0), (14.0, 0.0)),
            (Block, 160, 3000, (27.0, 0.0), (13.5, 0.0)),
            (Block, 16, 33_000, (34.0, 0.0), (17.0, 0.0)),
            (Block, 40, 20_000, (50.0, 0.0), (25.0, 0.0)),
            (Block, 64, 9000, (36.0, 0.0), (18.0, 0.0)),
            (Block, 1, 40_000, (3.0, 0.0), (1.5, 0.0)),
            (Auto, 16, 33, (0.0, 48.0), (0.0, 24.0)),
            (Auto, 16, 65, (0.0, 80.0), (0.0, 48.0)),
            (Auto, 16, 90, (1.0, 0.0), (0.0, 48.0)),
            (Auto, 16, 129, (1.0, 0.0), (0.0, 80.0)),
            (Auto, 16, 200, (1.0, 0.0), (0.5, 0.0)),
            (Auto, 178, 90, (5.0, 0.0), (2.5, 0.0)),
            (Auto, 240, 32, (0.0, 480.0), (0.0, 144.0)),
            (Distributed, 256, 2, (0.0, 256.0), (0.0, 152.0)),
            (Distributed, 64, 1, (0.0, 64.0), (0.0, 40.0)),
            (Distributed, 40, 100, (0.0, 280.0), (0.0, 96.0)),
            (Distributed, 40, 129, (0.0, 360.0), (0.0, 120.0)),
            (Distributed, 48, 65, (0.0, 240.0), (0.0, 96.0)),
            (Distributed, 33, 512, (0.0, 1152.0), (0.0, 320.0)),
        ] {
            let found = [Family::Ecp5, Family::Xcup].map(|family| ram(family, style, width, depth)).map(|r| (r.blocks, r.lut_ram));
            assert_eq!(found, [ecp5, xcup], "{style:?}, {depth} words of {width} bits");
        }
    }
}
