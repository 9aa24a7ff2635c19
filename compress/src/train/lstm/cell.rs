//! What one step of an LSTM computes element by element, forward and backward, for all streams of a batch.
//!
//! Gates lie side by side, i f g o, each with a value per cell. Without peepholes theirs are zeros, which costs nothing
//! worth a second version. The candidate is `s sigmoid(s a) - (s - 1)`: tanh with s = 2, sigmoid with s = 1.
//!
//! The loops are plain; `pulp` compiles them for the vector unit that it finds.

use pulp::{Arch, Simd, WithSimd};

/// e^x to about 1e-7 of its value, for |x| up to 87; beyond that as if x were there. Without branches, so that a
/// compiler makes vectors of it.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // adding it leaves the nearest whole number in the lowest bits
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 87.0);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // ln 2 in two parts, the first exact in few bits
    let r = n.mul_add(-1.428_606_8e-6, n.mul_add(-0.693_145_75, x));
    let p = r.mul_add(1.0 / 720.0, 1.0 / 120.0);
    let p = r.mul_add(r.mul_add(r.mul_add(p, 1.0 / 24.0), 1.0 / 6.0), 0.5);
    let p = (r * r).mul_add(p, r) + 1.0;
    p * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[inline(always)]
fn tanh(x: f32) -> f32 {
    2.0f32.mul_add(sigmoid(2.0 * x), -1.0)
}

/// A step forward. Of each stream in turn.
pub(super) struct Forward<'a> {
    /// What x adds to the gates, and the bias; becomes the gates' values.
    pub gates: &'a mut [f32],
    /// What h adds.
    pub hidden: &'a [f32],
    /// Of i f o, one after the other, a value per cell.
    pub peepholes: &'a [f32],
    pub before: &'a [f32],
    pub cells: &'a mut [f32],
    /// tanh(c)
    pub squashed: &'a mut [f32],
    /// o tanh(c)
    pub out: &'a mut [f32],
    pub scale: f32,
    /// Cells of a stream.
    pub count: usize,
}

impl WithSimd for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _simd: S) {
        self.streams();
    }
}

impl Forward<'_> {
    pub fn run(self, arch: Arch) {
        arch.dispatch(self);
    }

    #[inline(always)]
    fn streams(&mut self) {
        let n = self.count;
        let peep = Thirds::of(self.peepholes, n);
        let streams = self.gates.chunks_exact_mut(4 * n).zip(self.hidden.chunks_exact(4 * n)).zip(self.before.chunks_exact(n));
        let results = self.cells.chunks_exact_mut(n).zip(self.squashed.chunks_exact_mut(n)).zip(self.out.chunks_exact_mut(n));
        for (((gates, hidden), before), ((cells, squashed), out)) in streams.zip(results) {
            let (gi, rest) = gates.split_at_mut(n);
            let (gf, rest) = rest.split_at_mut(n);
            let (gg, go) = rest.split_at_mut(n);
            let (hi, hf, hg, ho) = quarters(hidden, n);
            let go = &mut go[..n];
            for k in 0..n {
                let i = sigmoid(peep.i[k].mul_add(before[k], gi[k] + hi[k]));
                let f = sigmoid(peep.f[k].mul_add(before[k], gf[k] + hf[k]));
                let g = self.scale.mul_add(sigmoid(self.scale * (gg[k] + hg[k])), 1.0 - self.scale);
                let c = f.mul_add(before[k], i * g);
                let o = sigmoid(peep.o[k].mul_add(c, go[k] + ho[k]));
                let t = tanh(c);
                (gi[k], gf[k], gg[k], go[k]) = (i, f, g, o);
                (cells[k], squashed[k], out[k]) = (c, t, o * t);
            }
        }
    }
}

/// The same step backward: from the gradients of what it put out to those of what it took.
pub(super) struct Backward<'a> {
    /// The gates' values.
    pub gates: &'a [f32],
    pub peepholes: &'a [f32],
    pub before: &'a [f32],
    pub cells: &'a [f32],
    pub squashed: &'a [f32],
    /// Of o tanh(c).
    pub out: &'a [f32],
    /// Of c by later steps; becomes that of c of the step before.
    pub carried: &'a mut [f32],
    /// Of the gates' sums.
    pub sums: &'a mut [f32],
    /// Of the peepholes: added to.
    pub of_peepholes: &'a mut [f32],
    pub scale: f32,
    pub count: usize,
}

impl WithSimd for Backward<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _simd: S) {
        self.streams();
    }
}

impl Backward<'_> {
    pub fn run(self, arch: Arch) {
        arch.dispatch(self);
    }

    #[inline(always)]
    fn streams(&mut self) {
        let n = self.count;
        let peep = Thirds::of(self.peepholes, n);
        let (pi, rest) = self.of_peepholes.split_at_mut(n);
        let (pf, po) = rest.split_at_mut(n);
        let po = &mut po[..n];
        let known = self.gates.chunks_exact(4 * n).zip(self.before.chunks_exact(n)).zip(self.cells.chunks_exact(n));
        let known = known.zip(self.squashed.chunks_exact(n)).zip(self.out.chunks_exact(n));
        let results = self.carried.chunks_exact_mut(n).zip(self.sums.chunks_exact_mut(4 * n));
        for (((((gates, before), cells), squashed), out), (carried, sums)) in known.zip(results) {
            let (gi, gf, gg, go) = quarters(gates, n);
            let (si, rest) = sums.split_at_mut(n);
            let (sf, rest) = rest.split_at_mut(n);
            let (sg, so) = rest.split_at_mut(n);
            let so = &mut so[..n];
            for k in 0..n {
                let (i, f, g, o, t) = (gi[k], gf[k], gg[k], go[k], squashed[k]);
                let of_o = out[k] * t * o * (1.0 - o);
                let of_c = of_o.mul_add(peep.o[k], (out[k] * o).mul_add(1.0 - t * t, carried[k]));
                let of_i = of_c * g * i * (1.0 - i);
                let of_f = of_c * before[k] * f * (1.0 - f);
                // with u = sigmoid(s a): s^2 u (1 - u)
                let of_g = of_c * i * (g + self.scale - 1.0) * (1.0 - g);
                (si[k], sf[k], sg[k], so[k]) = (of_i, of_f, of_g, of_o);
                carried[k] = of_c.mul_add(f, of_i.mul_add(peep.i[k], of_f * peep.f[k]));
                pi[k] = of_i.mul_add(before[k], pi[k]);
                pf[k] = of_f.mul_add(before[k], pf[k]);
                po[k] = of_o.mul_add(cells[k], po[k]);
            }
        }
    }
}

/// Peepholes of the gates i f o.
struct Thirds<'a> {
    i: &'a [f32],
    f: &'a [f32],
    o: &'a [f32],
}

impl<'a> Thirds<'a> {
    #[inline(always)]
    fn of(all: &'a [f32], n: usize) -> Thirds<'a> {
        Thirds { i: &all[..n], f: &all[n..2 * n], o: &all[2 * n..3 * n] }
    }
}

#[inline(always)]
fn quarters(all: &[f32], n: usize) -> (&[f32], &[f32], &[f32], &[f32]) {
    (&all[..n], &all[n..2 * n], &all[2 * n..3 * n], &all[3 * n..4 * n])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_that_of_the_library() {
        for k in -8700..=8700 {
            let x = k as f32 / 100.0;
            let (found, expected) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((found / expected - 1.0).abs() < 3e-7, "{x}: {found} is not {expected}");
        }
        assert!(exp(1e9).is_finite() && exp(-1e9) < 1e-37);
    }
}
