//! sigmoid and tanh as integers: one table, read by golden model and hardware.
//!
//! The table holds tanh over 0 .. 8 in [`SEGMENTS`] straight pieces. tanh is odd, and
//! `sigmoid(x) = (1 + tanh(x / 2)) / 2`, so the same table gives both: an input `z` stands for
//! `z / 2^12` when tanh is asked for and for `z / 2^11` when sigmoid is. Beyond 8 (16 for sigmoid) both are
//! at their limit to within less than a unit of the result. Results have [`OUTPUT_FRACTION`] fraction bits.
//! ESE's tables have 2,048 points over +-64 and +-128, which leaves tanh with 32 points between -1 and 1.

/// Fraction length of the input of tanh.
pub const TANH_FRACTION: i32 = 12;
/// Fraction length of the input of sigmoid.
pub const SIGMOID_FRACTION: i32 = 11;
/// Fraction length of the results.
pub const OUTPUT_FRACTION: i32 = 15;
/// Pieces of the table.
pub const SEGMENTS: usize = 1024;
/// Bits of an input's position within its piece.
pub const POSITION_BITS: usize = 5;
/// Fraction length of the values in the table.
pub const TABLE_FRACTION: i32 = 22;
/// Bits of a piece's value at its start.
pub const BASE_BITS: usize = 22;
/// Bits of a piece's rise per unit of the input.
pub const SLOPE_BITS: usize = 11;

/// One piece: `base + slope * position`, at [`TABLE_FRACTION`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub base: u32,
    pub slope: u32,
}

impl Piece {
    /// Bits of a piece in the hardware's table: the slope is the low field.
    pub const BITS: usize = BASE_BITS + SLOPE_BITS;
    pub fn pack(self) -> u64 {
        u64::from(self.base) << SLOPE_BITS | u64::from(self.slope)
    }
}

/// The table. Each piece is the chord of tanh, moved up by half of its largest distance from the curve.
pub fn table() -> Vec<Piece> {
    let unit = 2f64.powi(TABLE_FRACTION);
    let tanh = |z: f64| (z * 2f64.powi(-TANH_FRACTION)).tanh();
    let width = 1 << POSITION_BITS;
    let piece = |k: usize| {
        let (start, end) = ((k * width) as f64, ((k + 1) * width) as f64);
        let rise = (tanh(end) - tanh(start)) / width as f64;
        let above = |d: usize| tanh(start + d as f64) - (tanh(start) + rise * d as f64);
        let most = (0..width).map(above).fold(0.0, f64::max);
        let base = ((tanh(start) + most / 2.0) * unit).round() as u32;
        Piece { base: base.min((1 << BASE_BITS) - 1), slope: (rise * unit).round() as u32 }
    };
    (0..SEGMENTS).map(piece).collect()
}

/// sigmoid and tanh by the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lut {
    table: Vec<Piece>,
}

impl Default for Lut {
    fn default() -> Lut {
        Lut { table: table() }
    }
}

impl Lut {
    /// |tanh| at [`TABLE_FRACTION`]; -32768 counts as -32767.
    fn magnitude(&self, z: i16) -> i64 {
        let z = usize::from(z.unsigned_abs().min(0x7fff));
        let piece = self.table[z >> POSITION_BITS];
        i64::from(piece.base) + i64::from(piece.slope) * (z & ((1 << POSITION_BITS) - 1)) as i64
    }
    /// tanh(z / 2^12), at 15 fraction bits: -32767..=32767.
    pub fn tanh(&self, z: i16) -> i16 {
        let shift = TABLE_FRACTION - OUTPUT_FRACTION;
        let value = ((self.magnitude(z) + (1 << (shift - 1))) >> shift).min(0x7fff) as i16;
        if z < 0 {
            -value
        } else {
            value
        }
    }
    /// sigmoid(z / 2^11), at 15 fraction bits: 0..=32767.
    pub fn sigmoid(&self, z: i16) -> i16 {
        let shift = TABLE_FRACTION - OUTPUT_FRACTION + 1;
        let tanh = if z < 0 { -self.magnitude(z) } else { self.magnitude(z) };
        (((1 << TABLE_FRACTION) + tanh + (1 << (shift - 1))) >> shift).min(0x7fff) as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Largest distance from f64 in units of the result, over the inputs whose real value is within `limit` units.
    fn worst(limit: f64, of: impl Fn(i16) -> i16, real: impl Fn(f64) -> f64) -> f64 {
        let units = |z: i16| real(f64::from(z)) * 32768.0;
        let inputs = (i16::MIN..=i16::MAX).filter(|z| units(*z).abs() <= limit);
        inputs.map(|z| (f64::from(of(z)) - units(z)).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn no_result_is_further_than_one_unit_from_the_real_value() {
        let lut = Lut::default();
        let tanh = |limit| worst(limit, |z| lut.tanh(z), |z| (z / 4096.0).tanh());
        let sigmoid = |limit| worst(limit, |z| lut.sigmoid(z), |z| 1.0 / (1.0 + (-z / 2048.0).exp()));
        // half a unit is what rounding alone costs
        assert!(tanh(32767.0) <= 0.65, "tanh is {} units off", tanh(32767.0));
        assert!(sigmoid(32767.0) <= 0.58, "sigmoid is {} units off", sigmoid(32767.0));
        // 1.0 has no place in 15 fraction bits: the largest result is a unit below
        assert!(tanh(32768.0) <= 1.0 && sigmoid(32768.0) <= 1.0, "{} {}", tanh(32768.0), sigmoid(32768.0));
    }

    #[test]
    fn every_piece_fits_its_fields() {
        for (k, piece) in table().iter().enumerate() {
            assert!(piece.base >> BASE_BITS == 0 && piece.slope >> SLOPE_BITS == 0, "piece {k}: {piece:?}");
        }
    }

    #[test]
    fn tanh_is_odd_and_both_rise_to_within_a_unit() {
        let lut = Lut::default();
        for z in -32767..=32766i16 {
            assert!(
                i32::from(lut.tanh(z)) <= i32::from(lut.tanh(z + 1)) + 1 && lut.sigmoid(z) <= lut.sigmoid(z + 1).saturating_add(1),
                "{z}"
            );
            assert_eq!(lut.tanh(-z), -lut.tanh(z), "{z}");
        }
        assert_eq!((lut.tanh(0), lut.sigmoid(0)), (0, 16384));
    }
}
