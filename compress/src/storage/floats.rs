//! Floating-point values in a stream: codebooks, biases, whatever is not shared.

use crate::entropy::binary::{BitCoder, ONE};
use crate::entropy::bytes::{ByteModel, WordModel};

/// The 16-bit float that is exactly `value`.
pub(super) fn to_half(value: f32) -> Option<u16> {
    let bits = value.to_bits();
    let (sign, exponent, fraction) = ((bits >> 16 & 0x8000) as u16, (bits >> 23 & 255) as i32 - 127, bits & 0x7f_ffff);
    if bits << 1 == 0 {
        return Some(sign);
    }
    // a fraction of 10 bits, or of fewer below 2^-14
    let lost = if exponent < -14 { 13 + (-14 - exponent) } else { 13 };
    if exponent > 15 || lost > 23 + 1 {
        return None;
    }
    let whole = fraction | 1 << 23;
    if whole & ((1u32 << lost) - 1) != 0 {
        return None;
    }
    let kept = (whole >> lost) as u16;
    Some(if exponent < -14 { sign | kept } else { sign | ((exponent + 15) as u16) << 10 | kept & 1023 })
}

fn from_half(half: u16) -> f32 {
    let sign = u32::from(half >> 15) << 31;
    let (exponent, fraction) = (u32::from(half >> 10 & 31), u32::from(half & 1023));
    if exponent == 0 {
        // at most 1023 / 2^24: exact
        let value = fraction as f32 / 16_777_216.0;
        return f32::from_bits(value.to_bits() | sign);
    }
    f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13)
}

/// What the words of a tensor's values are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The 32 bits of each.
    Float,
    /// 16-bit floats.
    Half,
    /// Integers of 16 bits over this power of two.
    Fixed(u32),
}

/// How the values of a tensor are cut to words.
#[derive(Clone, Copy)]
struct Form {
    kind: Kind,
    /// Bits that are zero at the end of every word.
    unused: u32,
}

/// The 16-bit integer that is exactly `value * 2^fraction`.
fn to_fixed(value: f32, fraction: u32) -> Option<i16> {
    // a power of two up to 2^31: exact
    let scale = (1u64 << fraction) as f32;
    let scaled = value * scale;
    // `as` saturates, and the way back shows it
    let integer = scaled as i16;
    (f32::from(integer).to_bits() == scaled.to_bits() && (f32::from(integer) / scale).to_bits() == value.to_bits()).then_some(integer)
}

impl Form {
    fn of(values: &[f32]) -> Form {
        let fits = |kind: &Kind| match kind {
            Kind::Float => true,
            Kind::Half => values.iter().all(|v| to_half(*v).is_some()),
            Kind::Fixed(fraction) => values.iter().all(|v| to_fixed(*v, *fraction).is_some()),
        };
        let fixed = (0..32).map(Kind::Fixed).find(fits);
        let kind = fixed.or(Some(Kind::Half).filter(fits)).unwrap_or(Kind::Float);
        let form = Form { kind, unused: 0 };
        let all = values.iter().fold(0, |all, v| all | form.word(*v));
        Form { kind, unused: all.trailing_zeros().min(form.width() - 1) }
    }
    fn width(self) -> u32 {
        if self.kind == Kind::Float {
            32 - self.unused
        } else {
            16 - self.unused
        }
    }
    fn word(self, value: f32) -> u32 {
        let word = match self.kind {
            Kind::Float => value.to_bits(),
            Kind::Half => u32::from(to_half(value).unwrap_or(0)),
            Kind::Fixed(fraction) => u32::from(to_fixed(value, fraction).unwrap_or(0) as u16),
        };
        word >> self.unused
    }
    fn value(self, word: u32) -> f32 {
        let word = word << self.unused;
        // the words of the last two have 16 bits
        match self.kind {
            Kind::Float => f32::from_bits(word),
            Kind::Half => from_half(word as u16),
            Kind::Fixed(fraction) => f32::from(word as u16 as i16) / (1u64 << fraction) as f32,
        }
    }
    fn code(self, coder: &mut impl BitCoder, bytes: &mut ByteModel) -> Form {
        let kind = match self.kind {
            Kind::Float => 0,
            Kind::Half => 1,
            Kind::Fixed(fraction) => 2 + fraction as u8,
        };
        let kind = match bytes.byte(coder, kind) {
            0 => Kind::Float,
            1 => Kind::Half,
            fixed => Kind::Fixed(u32::from(fixed - 2).min(31)),
        };
        let unused = u32::from(bytes.byte(coder, self.unused as u8));
        Form { kind, unused: unused.min(if kind == Kind::Float { 31 } else { 15 }) }
    }
    /// `word` in the order of the numbers; its inverse is [`Form::unordered`].
    fn ordered(self, word: u32) -> u32 {
        let top = 1u32 << (self.width() - 1);
        let fixed = matches!(self.kind, Kind::Fixed(_));
        if fixed || word & top == 0 {
            word ^ top
        } else {
            !word & ((top - 1) | top)
        }
    }
    fn unordered(self, ordered: u32) -> u32 {
        let top = 1u32 << (self.width() - 1);
        let fixed = matches!(self.kind, Kind::Fixed(_));
        if fixed || ordered & top != 0 {
            ordered ^ top
        } else {
            !ordered & ((top - 1) | top)
        }
    }
    /// The number of the kind, below 3.
    fn class(self) -> u32 {
        match self.kind {
            Kind::Float => 0,
            Kind::Half => 1,
            Kind::Fixed(_) => 2,
        }
    }
}

const RAW: u32 = 0;
const FIRST: u32 = 3;
const DISTANCE: u32 = 4;

/// Codes values in their order; decoding takes only the number of `values`.
pub(super) fn code_raw(coder: &mut impl BitCoder, bytes: &mut ByteModel, words: &mut WordModel, values: &mut [f32]) {
    if values.is_empty() {
        return;
    }
    let form = Form::of(values).code(coder, bytes);
    let mut before = 0;
    for value in values {
        let word = words.word(coder, form.word(*value), form.width(), RAW + form.class(), before);
        *value = form.value(word);
        before = word;
    }
}

/// Codes a codebook: its values in ascending order, and where they stand if that is another.
pub(super) fn code_codebook(coder: &mut impl BitCoder, bytes: &mut ByteModel, words: &mut WordModel, values: &mut [f32]) {
    if values.is_empty() {
        return;
    }
    let form = Form::of(values).code(coder, bytes);
    let mut sorted: Vec<(u32, usize)> = values.iter().enumerate().map(|(i, v)| (form.ordered(form.word(*v)), i)).collect();
    let ascending = sorted.windows(2).all(|pair| pair[0].0 <= pair[1].0);
    sorted.sort_unstable();
    let mut last = 0;
    let mut gap = 0;
    for (i, (word, _)) in sorted.iter_mut().enumerate() {
        if i == 0 {
            *word = words.word(coder, *word, form.width(), FIRST, 0);
        } else {
            gap = words.distance(coder, word.wrapping_sub(last), DISTANCE + 2 * form.class(), gap);
            *word = last.wrapping_add(gap) & (u32::MAX >> (32 - form.width()));
        }
        last = *word;
    }
    let ascending = coder.bit(ascending, ONE / 2);
    let mut places = Places::new(values.len());
    for (i, (word, place)) in sorted.iter().enumerate() {
        let at = if ascending {
            i
        } else {
            // one of the places that are left; there are at most 65,535
            let index = uniform(coder, places.before(*place) as u32, (values.len() - i) as u32);
            places.take(index as usize)
        };
        values[at] = form.value(form.unordered(*word));
    }
}

/// Places of which some are taken, as a tree of sums (Fenwick 1994): a question costs the logarithm of their number.
struct Places {
    /// Node `i` has the number of free places of the `i & -i` up to and with place `i - 1`.
    free: Vec<usize>,
}

impl Places {
    /// All of `count` places free.
    fn new(count: usize) -> Places {
        Places { free: (0..=count).map(|i| i & i.wrapping_neg()).collect() }
    }
    /// Free places before `place`.
    fn before(&self, place: usize) -> usize {
        let (mut node, mut sum) = (place, 0);
        while node > 0 {
            sum += self.free[node];
            node &= node - 1;
        }
        sum
    }
    /// Takes the free place with `index` free ones before it, which there must be.
    fn take(&mut self, index: usize) -> usize {
        let (mut place, mut left) = (0, index);
        let mut step = self.free.len().next_power_of_two();
        while step > 0 {
            if place + step < self.free.len() && self.free[place + step] <= left {
                place += step;
                left -= self.free[place];
            }
            step /= 2;
        }
        let mut node = place + 1;
        while node < self.free.len() {
            self.free[node] -= 1;
            node += node & node.wrapping_neg();
        }
        place
    }
}

/// A number below `count`, all equally likely.
pub(super) fn uniform(coder: &mut impl BitCoder, value: u32, count: u32) -> u32 {
    let (mut low, mut high) = (0, count);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let p = (u64::from(high - middle) * u64::from(ONE) / u64::from(high - low)) as u32;
        if coder.bit(value >= middle, p) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}
