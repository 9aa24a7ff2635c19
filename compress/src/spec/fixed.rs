//! Number formats: fixed point, rounding and saturation, as integers.
//!
//! A value of a format with fraction length `f` is `integer / 2^f`. Rounding is to nearest, halves
//! towards plus infinity (add half, then shift right arithmetically). Narrowing saturates.
//! Nothing else in Lacuna rounds or saturates.

use super::arch::ACT_BITS;

/// Largest fraction length of an activation or weight format, smallest is its negative.
pub const MAX_FRACTION: i32 = 30;
/// Largest right shift of the requantizer.
pub const MAX_SHIFT: u32 = 47;

/// Smallest and largest integer of `bits` bits, two's complement.
pub const fn limits(bits: usize) -> (i64, i64) {
    (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
}

/// `value` limited to `bits` bits.
pub fn saturate(value: i64, bits: usize) -> i64 {
    let (low, high) = limits(bits);
    value.clamp(low, high)
}

/// The constant that [`requantize`] expects to be part of its input: half of the result's unit.
/// It is added to the bias when a model is compiled, so that the hardware has no adder for it.
pub const fn rounding(shift: u32) -> i64 {
    if shift == 0 {
        0
    } else {
        1 << (shift - 1)
    }
}

/// From accumulator to activation: `sum` (rounding constant included) shifted right, saturated to
/// 16 bits, negative results made zero if `relu`.
pub fn requantize(sum: i64, shift: u32, relu: bool) -> i16 {
    let (low, high) = limits(ACT_BITS);
    let low = if relu { 0 } else { low };
    (sum >> shift).clamp(low, high) as i16
}

/// The nearest value of `bits` bits and fraction length `fraction` to a real number.
pub fn quantize(value: f64, bits: usize, fraction: i32) -> i64 {
    let (low, high) = limits(bits);
    // f64 holds every such integer exactly; `as` saturates what lies beyond i64
    ((value * 2f64.powi(fraction) + 0.5).floor() as i64).clamp(low, high)
}

/// The real number that an integer of fraction length `fraction` stands for.
pub fn dequantize(value: i64, fraction: i32) -> f64 {
    value as f64 * 2f64.powi(-fraction)
}

/// The largest fraction length at which no value in `low..=high` saturates in `bits` bits.
/// For a range of zeros this is `bits - 1`.
pub fn fraction_for(low: f64, high: f64, bits: usize) -> i32 {
    let fits = |f: i32| {
        let (min, max) = limits(bits);
        let q = |v: f64| (v * 2f64.powi(f) + 0.5).floor();
        q(low) >= min as f64 && q(high) <= max as f64
    };
    let top = if low == 0.0 && high == 0.0 { bits as i32 - 1 } else { MAX_FRACTION };
    (-MAX_FRACTION..=top).rev().find(|f| fits(*f)).unwrap_or(-MAX_FRACTION)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, in wide integers: floor((sum + half) / 2^shift), limited.
    fn wide(sum: i128, shift: u32, relu: bool) -> i128 {
        let half = if shift == 0 { 0 } else { 1i128 << (shift - 1) };
        let rounded = (sum + half).div_euclid(1i128 << shift);
        rounded.clamp(if relu { 0 } else { -32768 }, 32767)
    }

    #[test]
    fn requantize_is_round_half_up_then_saturate() {
        for shift in 0..=MAX_SHIFT {
            for base in [0i64, 1, -1, 5, -5, 32767, -32768, 32768, 1 << 20, -(1 << 20), (1 << 46) - 7, -(1 << 46)] {
                for offset in [-1i64, 0, 1] {
                    let sum = base + (rounding(shift) + offset) * if base < 0 { -1 } else { 1 };
                    for relu in [false, true] {
                        let got = requantize(sum + rounding(shift), shift, relu);
                        assert_eq!(i128::from(got), wide(i128::from(sum), shift, relu), "sum {sum} shift {shift}");
                    }
                }
            }
        }
    }

    #[test]
    fn quantize_rounds_to_nearest_and_saturates() {
        assert_eq!(quantize(0.5, 16, 0), 1);
        assert_eq!(quantize(-0.5, 16, 0), 0);
        assert_eq!(quantize(1.0, 16, 15), 32767);
        assert_eq!(quantize(-1.0, 16, 15), -32768);
        assert_eq!(quantize(1e300, 16, 15), 32767);
        assert_eq!(quantize(-3.26, 16, 4), -52);
    }

    #[test]
    fn fraction_for_is_the_finest_that_does_not_saturate() {
        for high in [0.1, 0.4999, 0.99996, 0.99999, 1.0, 1.5, 7.0, 100.0, 40000.0] {
            let f = fraction_for(-high, high, 16);
            assert!(quantize(high, 17, f) <= 32767, "{high}");
            assert!(quantize(high, 17, f + 1) > 32767 || f == MAX_FRACTION, "{high}");
        }
        assert_eq!(fraction_for(-1.0, 0.0, 16), 15);
        assert_eq!(fraction_for(0.0, 0.0, 16), 15);
    }
}
