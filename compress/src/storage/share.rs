//! The distinct values of a tensor whose weights are shared already.

use super::Values;
use std::collections::BTreeMap;

/// In the order of the numbers: negative ones by falling bits, then the others.
fn key(bits: u32) -> u32 {
    if bits >> 31 == 1 {
        !bits
    } else {
        bits | 1 << 31
    }
}

impl Values {
    /// `weights` as an ascending codebook and codes that give every bit back; `None` if there are more than 65,535
    /// different values besides 0.0.
    pub fn share(weights: &[f32]) -> Option<Values> {
        let mut codes: BTreeMap<u32, u16> = BTreeMap::new();
        for weight in weights.iter().map(|w| w.to_bits()).filter(|w| *w != 0) {
            codes.insert(key(weight), 0);
            if codes.len() > usize::from(u16::MAX) {
                return None;
            }
        }
        let mut codebook = Vec::with_capacity(codes.len());
        for (code, (key, place)) in (1..=u16::MAX).zip(codes.iter_mut()) {
            *place = code;
            codebook.push(f32::from_bits(if key >> 31 == 1 { key & !(1 << 31) } else { !key }));
        }
        let code = |w: &f32| if w.to_bits() == 0 { 0 } else { codes[&key(w.to_bits())] };
        Some(Values::Shared { codes: weights.iter().map(code).collect(), codebook })
    }
}
