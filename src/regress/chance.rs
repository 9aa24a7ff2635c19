//! Random numbers of two kinds: a stream for each configuration that is drawn, and one for each place in a network, so that
//! a smaller network keeps the weights that it shares with the larger one.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Numbers of streams of [`of_place`] that no network and no input has: for a visit of the host, one for each kind of memory
/// from this one on, and for the bus.
pub const VISIT: u32 = 1 << 30;
pub const BUS: u32 = VISIT + 1024;

/// What is drawn for configuration number `index`.
pub fn of_configuration(seed: u64, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index);
    rng
}

/// Of one place: nothing else of a network decides what is drawn there.
pub fn of_place(seed: u64, what: u32, column: usize, row: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::from(what) << 32 | column as u64);
    // no place draws more than 64 words
    rng.set_word_pos(row as u128 * 64);
    rng
}

/// One of the values.
pub fn pick<T: Copy>(rng: &mut impl Rng, from: &[T]) -> T {
    from[rng.random_range(0..from.len())]
}
