//! The element-wise part of an LSTM step, as integers (ESE's equations; i, f, o with peepholes, g without).
//!
//! ```text
//! i = sigmoid(sum_i + p_i c')   f = sigmoid(sum_f + p_f c')   g = tanh or sigmoid(sum_g)
//! c = f c' + i g                o = sigmoid(sum_o + p_o c)     m = o tanh(c)
//! ```
//!
//! Sums include biases and rounding constants. Gates and tanh have 15 fraction bits, so `f c' + i g` is exact at 30;
//! the cell that is stored, and the tanh of it, are each rounded once from there.

use super::arch::ACT_BITS;
use super::fixed;
use super::lut::{Lut, OUTPUT_FRACTION, TANH_FRACTION};
use super::program::{Op, Parameters};

/// Everything that an element-wise step computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CellStep {
    /// Inputs of the activation functions of i f g o.
    pub z: [i16; 4],
    /// i f g o.
    pub gates: [i16; 4],
    pub c: i16,
    pub tanh_c: i16,
    /// The result: h, or what the projection reads.
    pub m: i16,
    /// Of the values z, c and m those that saturated (what lies beyond tanh's range does not count).
    pub saturated: usize,
}

/// Fraction length of a product of two values with 15 fraction bits.
const PRODUCT_FRACTION: u32 = 2 * OUTPUT_FRACTION as u32;

fn narrow(value: i64, shift: u32, saturated: &mut usize) -> i16 {
    let shifted = value >> shift;
    let limited = fixed::saturate(shifted, ACT_BITS);
    *saturated += usize::from(limited != shifted);
    limited as i16
}

/// One cell: sums of the gates i f g o without their biases, its parameters, the cell of the step before.
pub fn step(op: &Op, lut: &Lut, sums: [i64; 4], parameters: &Parameters, before: i16) -> CellStep {
    let [si, sf, sg, so] = op.shifts;
    let [ai, af, ao] = op.aligns;
    let [pi, pf, po] = parameters.peepholes.map(i64::from);
    let total: [i64; 4] = std::array::from_fn(|g| sums[g] + parameters.biases[g]);
    let before = i64::from(before);
    let mut saturated = 0;

    // beyond the tables' ranges the functions are flat: saturation there loses nothing
    let z_i = narrow(total[0] + ((pi * before) << ai), si, &mut 0);
    let z_f = narrow(total[1] + ((pf * before) << af), sf, &mut 0);
    let z_g = narrow(total[2], sg, &mut 0);
    let i = lut.sigmoid(z_i);
    let f = lut.sigmoid(z_f);
    let g = if op.candidate_sigmoid { lut.sigmoid(z_g) } else { lut.tanh(z_g) };

    // c' has 30 - cell_shift fraction bits: its product is brought to 30
    let sum = ((i64::from(f) * before) << (op.cell_shift - OUTPUT_FRACTION as u32)) + i64::from(i) * i64::from(g);
    let c = narrow(sum + fixed::rounding(op.cell_shift), op.cell_shift, &mut saturated);
    let to_tanh = PRODUCT_FRACTION - TANH_FRACTION as u32;
    let tanh_c = lut.tanh(narrow(sum + fixed::rounding(to_tanh), to_tanh, &mut 0));

    let z_o = narrow(total[3] + ((po * i64::from(c)) << ao), so, &mut 0);
    let o = lut.sigmoid(z_o);
    let m = narrow(i64::from(o) * i64::from(tanh_c) + fixed::rounding(op.hidden_shift), op.hidden_shift, &mut saturated);
    CellStep { z: [z_i, z_f, z_g, z_o], gates: [i, f, g, o], c, tanh_c, m, saturated }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(cell_fraction: u32) -> Op {
        Op { shifts: [0; 4], aligns: [0; 3], cell_shift: 30 - cell_fraction, hidden_shift: 15, ..Op::default() }
    }

    #[test]
    fn a_step_follows_the_real_equations() {
        let lut = Lut::default();
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        for cell_fraction in [8, 11, 15] {
            for k in 0..200i64 {
                let z: [i64; 4] = [(k * 37) % 4000 - 2000, (k * 91) % 4000 - 2000, (k * 53) % 8000 - 4000, (k * 17) % 4000 - 2000];
                let before = ((k * 7919) % 40000 - 20000) as i16;
                let got = step(&op(cell_fraction), &lut, z, &Parameters::default(), before);
                let unit = 2f64.powi(-(cell_fraction as i32));
                let (i, f, g, o) = (
                    sigmoid(z[0] as f64 / 2048.0),
                    sigmoid(z[1] as f64 / 2048.0),
                    (z[2] as f64 / 4096.0).tanh(),
                    sigmoid(z[3] as f64 / 2048.0),
                );
                let c = f * f64::from(before) * unit + i * g;
                assert!(
                    (f64::from(got.c) * unit - c.clamp(-32768.0 * unit, 32767.0 * unit)).abs() <= unit + 3.0 / 32768.0 * (1.0 + c.abs())
                );
                let m = o * c.tanh();
                assert!((f64::from(got.m) / 32768.0 - m).abs() < 3e-4 + 4.0 * c.abs() / 32768.0, "{m} {got:?}");
            }
        }
    }

    #[test]
    fn peepholes_of_i_and_f_see_the_cell_before_that_of_o_the_new_one() {
        let lut = Lut::default();
        let parameters = Parameters { biases: [0; 4], peepholes: [3, 5, 7] };
        let got = step(&op(11), &lut, [0, 0, 4096, 0], &parameters, 100);
        assert_eq!((got.z[0], got.z[1], got.z[3]), (300, 500, got.c.saturating_mul(7)));
    }
}
