//! Draws legal configurations: corners with stated probabilities, the rest anywhere in what is legal.
//!
//! Number and seed determine a configuration. Half of the configurations are of each datapath, half of EIE's have
//! convolutions. A matrix is random with probability 0.4, and each of the other [`Pattern`]s with 0.075; a run has zero
//! inputs, only a last one, only the most negative, or only extremes with 0.1 each; each handshake stalls in half of the
//! runs; a third of the runs are broken off first, and the host visits before a fifth of them.

use super::chance::{of_configuration, of_place, pick};
use super::configuration::*;
use super::layers::{self, For};
use super::recurrent;
use anyhow::{bail, Result};
use lacuna_compress::manifest::AnyModel;
use lacuna_compress::model::{Candidate, Conv};
use lacuna_compress::spec::{Arch, Ese, WeightForm};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Runs of a configuration: the first network, another one, and the first again.
pub const RUNS: usize = 3;
/// An even configuration is an EIE, an odd one an ESE.
pub const DATAPATHS: usize = 2;
/// Number of the stream of random numbers that decides about visits of the host.
const VISIT: u32 = 1 << 19;
/// Draws that may not fit their accelerator until it is given up.
const ATTEMPTS: usize = 200;

/// What is drawn, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Draw<'a> {
    pub seed: u64,
    /// None: an accelerator is drawn too.
    pub accelerators: &'a [Arch],
}

impl Draw<'_> {
    /// Configuration number `index`.
    pub fn configuration(&self, index: usize) -> Result<Configuration> {
        let mut rng = of_configuration(self.seed, index as u64);
        let mut last = String::new();
        for attempt in 0..ATTEMPTS {
            let fixed = match self.accelerators.len() {
                0 => None,
                count => Some(&self.accelerators[index % count]),
            };
            match drawn(&mut rng, index, fixed, attempt) {
                Ok(configuration) => return Ok(configuration),
                Err(error) => last = format!("{error:#}"),
            }
        }
        bail!("configuration {index}: none of {ATTEMPTS} networks that were drawn fits the accelerator; the last one: {last}")
    }
}

fn drawn(rng: &mut ChaCha8Rng, index: usize, fixed: Option<&Arch>, attempt: usize) -> Result<Configuration> {
    let ese = fixed.map_or(index % DATAPATHS == 1, |arch| arch.ese.is_some());
    let mut arch = match fixed {
        Some(arch) => arch.clone(),
        None => accelerator(rng, ese, index % 4 == 2),
    };
    // JSON and TOML hold whole numbers of 53 and of 63 bits
    let seed = rng.random_range(0..1u64 << 53);
    // every other draw that did not fit makes place for the next
    let room = Room::new(&arch, fixed.is_some(), attempt);
    let networks: Vec<Network> = (0..2)
        .map(|_| match ese {
            true => Network::Recurrent(lstms(rng, &room)),
            false => Network::Layers(layered(rng, &arch, &room)),
        })
        .collect();
    match fixed {
        Some(arch) => networks.iter().try_for_each(|network| model(network, seed, &For::Exactly(arch)).map(|_| ()))?,
        None => {
            arch = fitted(&networks, seed, &arch)?;
            spread(rng, &mut arch);
            networks.iter().try_for_each(|network| model(network, seed, &For::Exactly(&arch)).map(|_| ()))?;
        }
    }
    let runs = (0..RUNS).map(|number| run(rng, number % 2, ese)).collect();
    let door = if rng.random_bool(0.6) { DoorKind::Axi } else { DoorKind::Preload };
    let datapath = if ese { "ese" } else { "eie" };
    Ok(Configuration { name: format!("{datapath}-{index:04}"), seed, door, accelerator: arch, networks, runs })
}

/// A network's compiled model.
pub fn model(network: &Network, seed: u64, target: &For) -> Result<AnyModel> {
    Ok(match network {
        Network::Layers(network) => AnyModel::Layers(layers::model(network, seed, target)?),
        Network::Recurrent(network) => AnyModel::Recurrent(recurrent::model(network, seed, target)?),
    })
}

/// The accelerator that just holds all networks.
pub fn fitted(networks: &[Network], seed: u64, like: &Arch) -> Result<Arch> {
    let mut all: Option<Arch> = None;
    for network in networks {
        let model = model(network, seed, &For::Like(like))?;
        let found = model.arch();
        all = Some(match all {
            None => found.clone(),
            Some(a) => Arch {
                spmat_depth: a.spmat_depth.max(found.spmat_depth),
                ptr_depth: a.ptr_depth.max(found.ptr_depth),
                act_depth: a.act_depth.max(found.act_depth),
                acc_depth: a.acc_depth.max(found.acc_depth),
                bias_depth: a.bias_depth.max(found.bias_depth),
                acc_bits: a.acc_bits.max(found.acc_bits),
                max_layers: a.max_layers.max(found.max_layers),
                ese: a.ese.zip(found.ese.as_ref()).map(|(a, f)| Ese {
                    channels: a.channels,
                    cell_depth: a.cell_depth.max(f.cell_depth),
                    input_depth: a.input_depth.max(f.input_depth),
                    output_depth: a.output_depth.max(f.output_depth),
                }),
                ..a
            },
        });
    }
    match all {
        Some(arch) => Ok(arch),
        None => bail!("a configuration has at least one network"),
    }
}

/// In half of the draws memories are deeper and accumulators wider than needed.
fn spread(rng: &mut ChaCha8Rng, arch: &mut Arch) {
    if rng.random_bool(0.5) {
        let mut more = |depth: &mut usize| *depth += rng.random_range(0..6);
        for depth in [&mut arch.spmat_depth, &mut arch.ptr_depth, &mut arch.act_depth, &mut arch.acc_depth, &mut arch.bias_depth] {
            more(depth);
        }
        if let Some(ese) = &mut arch.ese {
            for depth in [&mut ese.cell_depth, &mut ese.input_depth, &mut ese.output_depth] {
                more(depth);
            }
        }
        arch.max_layers = (arch.max_layers + rng.random_range(0..4)).min(16);
        arch.acc_bits = rng.random_range(arch.acc_bits..=48);
    }
}

/// All that networks do not decide.
fn accelerator(rng: &mut ChaCha8Rng, ese: bool, conv: bool) -> Arch {
    let weights = if rng.random_bool(0.5) { WeightForm::Codebook } else { WeightForm::Direct };
    let most = if weights == WeightForm::Codebook { 8 } else { 16 };
    let pes = match ese {
        true => pick(rng, &[1, 2, 3, 4, 5, 8]),
        false => pick(rng, &[1, 2, 3, 4, 5, 7, 8, 16]),
    };
    let any = rng.random_range(2..=most);
    Arch {
        pes,
        fifo_depth: pick(rng, &[1, 1, 2, 2, 3, 4, 5, 8, 9, 16, 32, 64]),
        weights,
        weight_bits: pick(rng, &[2, 4, most, any, any]),
        run_bits: pick(rng, &[2, 2, 3, 3, 4, 4, 5, 6, 8]),
        entries_per_word: pick(rng, &[1, 2, 4, 8, 16]),
        spmat_depth: 1,
        ptr_depth: 1,
        act_depth: 1,
        acc_depth: 1,
        bias_depth: 1,
        acc_bits: 24,
        max_layers: 1,
        conv,
        ese: ese.then(|| Ese { channels: pick(rng, &[1, 1, 2, 3, 4]), cell_depth: 1, input_depth: 1, output_depth: 1 }),
    }
}

/// How large networks may be. What an accelerator's memories hold depends on the weights too, so that draws become smaller
/// until one fits.
pub struct Room {
    columns: usize,
    pub rows: usize,
    layers: usize,
    inputs: usize,
    outputs: usize,
    /// Rows of a layer behind LSTMs.
    pub linear: usize,
    /// Of convolutions.
    map: usize,
}

impl Room {
    pub fn new(arch: &Arch, fixed: bool, attempt: usize) -> Room {
        let divisor = 1 + attempt / 4;
        let mut room = Room { columns: 90, rows: 70, layers: 3, inputs: 24, outputs: 18, linear: 9, map: 10 };
        if fixed {
            let ese = arch.ese.as_ref();
            // runs of zeros that take two paddings in every PE
            room.rows = room.rows.max(arch.pes * ((2 << arch.run_bits.min(4)) + 2));
            room.columns = room.columns.min(arch.max_columns());
            room.rows = room.rows.min(arch.max_rows());
            // so many that they take longer to send than to compute, where that can be
            room.linear = ese.map_or(room.linear, |e| e.output_depth.min(e.cell_depth).min(48));
            room.layers = room.layers.min(arch.max_layers);
            room.inputs = room.inputs.min(ese.map_or(usize::MAX, |e| e.input_depth));
            room.outputs = room.outputs.min(ese.map_or(usize::MAX, |e| e.cell_depth.min(e.output_depth)));
        }
        let less = |size: usize| (size / divisor).max(1);
        Room {
            columns: less(room.columns),
            rows: less(room.rows),
            layers: room.layers.saturating_sub(attempt / 20).max(1),
            inputs: less(room.inputs),
            outputs: less(room.outputs),
            linear: less(room.linear),
            map: room.map.saturating_sub(attempt / 8).max(3),
        }
    }
}

fn pattern(rng: &mut ChaCha8Rng) -> Pattern {
    if rng.random_bool(0.4) {
        Pattern::Random
    } else {
        pick(rng, &Pattern::ALL[1..])
    }
}

/// Small sizes, and now and then the largest.
fn size(rng: &mut ChaCha8Rng, most: usize) -> usize {
    match rng.random_range(0..10) {
        0 => 1,
        1 => most,
        2..=5 => rng.random_range(1..=most.div_ceil(3)),
        _ => rng.random_range(1..=most),
    }
}

/// The first of a network's convolutions: corners that sizes which are drawn by themselves rarely come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Any,
    /// A narrow and long map: numbers of places are larger than those of a square one can be.
    Long,
    /// Much pooling.
    Coarse,
    /// Places that follow each other at once: nothing but a bias where the input is zero, pooled.
    Quick,
    /// As many filters as rows of another layer, on a small map.
    Filters,
}

impl First {
    /// Channels, height and width.
    fn shape(self, rng: &mut ChaCha8Rng, map: usize) -> [usize; 3] {
        let mut side = |from: usize, to: usize| rng.random_range(from.min(to)..=to);
        match self {
            First::Any => [side(1, 3), side(3, map), side(3, map)],
            First::Long => {
                let (short, long) = (side(1, 4), side(3 * map, 6 * map));
                [[1, short, long], [1, long, short]][side(0, 1)]
            }
            First::Coarse => [side(1, 2), map * 8 / 5, map * 8 / 5],
            First::Filters => [side(1, 2), side(2, 4), side(2, 4)],
            First::Quick => [1, side(2, 2 * map), side(2, map)],
        }
    }

    fn limits(self) -> Limits {
        let limits = |kernel, stride, least, most| Limits { kernel, stride, pool: [least, most] };
        match self {
            First::Any => limits(5, 3, 1, 4),
            First::Long => limits(2, 1, 1, 2),
            // more than one square both ways
            First::Coarse => limits(1, 1, 8, 8),
            First::Filters => limits(3, 1, 1, 4),
            First::Quick => limits(1, 1, 1, 4),
        }
    }
}

/// Of a drawn convolution: largest side of a filter, largest stride, least and most pooling.
struct Limits {
    kernel: usize,
    stride: usize,
    pool: [usize; 2],
}

fn layered(rng: &mut ChaCha8Rng, arch: &Arch, room: &Room) -> Layers {
    let count = rng.random_range(1..=room.layers);
    let convolutions = if arch.conv { rng.random_range(1..=count) } else { 0 };
    let first = pick(rng, &[First::Any, First::Any, First::Any, First::Any, First::Long, First::Coarse, First::Filters, First::Quick]);
    let mut shape = first.shape(rng, room.map);
    let mut layers = vec![];
    for number in 0..count {
        let corner = if number == 0 && convolutions > 0 { first } else { First::Any };
        let conv = (number < convolutions).then(|| {
            let [channels, height, width] = shape;
            let limits = corner.limits();
            let kernel = [height, width].map(|side: usize| rng.random_range(1..=side.min(limits.kernel)));
            let mut conv = Conv { channels, height, width, kernel, stride: rng.random_range(1..=limits.stride), pool: 1 };
            let most = conv.output().into_iter().min().unwrap_or(1).min(limits.pool[1]);
            conv.pool = rng.random_range(limits.pool[0].min(most)..=most);
            conv
        });
        let rows = match corner {
            First::Long => rng.random_range(1..=room.rows.min(8)),
            First::Filters => size(rng, room.rows),
            First::Quick => rng.random_range(1..=arch.pes.min(room.rows)),
            _ if conv.is_some() => rng.random_range(1..=room.rows.min(6)),
            _ => size(rng, room.rows),
        };
        if let Some(conv) = &conv {
            let [down, across] = conv.output();
            shape = [rows, down, across];
        }
        layers.push(Layer {
            rows,
            pattern: pattern(rng),
            density: pick(rng, &[0.05, 0.2, 0.5, 0.9]),
            values: pick(rng, &[Values::Mixed, Values::Mixed, Values::Extreme, Values::Units]),
            weight_fraction: match arch.weights {
                // results with few bits cut off now and then, so that the lowest ones of sums matter
                WeightForm::Codebook if rng.random_bool(0.25) => rng.random_range(0..=9),
                WeightForm::Codebook => rng.random_range(10..=15),
                WeightForm::Direct => rng.random_range(arch.weight_bits as i32 / 2..=arch.weight_bits as i32),
            },
            reach: pick(rng, &[0.2, 1.0, 4.0, 30.0]),
            relu: rng.random_bool(0.6),
            conv,
        });
    }
    // an assignment of rows by their work would undo these
    let given = layers.iter().any(|l| matches!(l.pattern, Pattern::OnePe | Pattern::Runs));
    Layers { inputs: size(rng, room.columns), balanced: !given && rng.random_bool(0.5), layers }
}

fn lstms(rng: &mut ChaCha8Rng, room: &Room) -> Lstms {
    let inputs = size(rng, room.inputs);
    let count = rng.random_range(1..=room.layers);
    let lstm = (0..count)
        .map(|_| {
            let cells = size(rng, room.outputs.div_ceil(count));
            Lstm {
                cells,
                projection: rng.random_bool(0.5).then(|| rng.random_range(1..=cells)),
                peepholes: rng.random_bool(0.5),
                candidate: if rng.random_bool(0.7) { Candidate::Tanh } else { Candidate::Sigmoid },
                pattern: pattern(rng),
                density: pick(rng, &[0.1, 0.4, 0.9]),
            }
        })
        .collect();
    let layers = (0..rng.random_range(0..=2))
        .map(|_| Linear {
            rows: size(rng, room.linear),
            pattern: pattern(rng),
            density: pick(rng, &[0.2, 0.9]),
            relu: rng.random_bool(0.4),
        })
        .collect();
    let hold = if rng.random_bool(0.5) { Some(rng.random_range(0..=inputs)) } else { None };
    Lstms { inputs, hold, reach: pick(rng, &[0.5, 2.0, 8.0]), bias: pick(rng, &[0.2, 2.0, 7.0]), lstm, layers }
}

/// What breaks off runs of a datapath.
pub fn breaks(ese: bool) -> &'static [Break] {
    if ese {
        &[Break::Reset, Break::Stop]
    } else {
        &[Break::Reset, Break::Abort, Break::Write]
    }
}

fn run(rng: &mut ChaCha8Rng, network: usize, ese: bool) -> Run {
    let input = match rng.random_range(0..10) {
        0 => Input::Zero,
        1 => Input::Last,
        2 => Input::Least,
        3 => Input::Extreme,
        4..=6 => Input::Sparse,
        _ => Input::Dense,
    };
    let mut stalls = |of_this: bool| if of_this && rng.random_bool(0.5) { pick(rng, &[5, 20, 50, 90]) } else { 0 };
    let (bus_stalls, streams) = (stalls(true), stalls(ese) > 0);
    // half of ESE's runs have no stalls on the streams, so that their cycles count
    let (input_stalls, output_stalls) = if streams { (stalls(ese), stalls(ese)) } else { (0, 0) };
    let disturbance = rng.random_bool(0.34).then(|| Disturbance { what: pick(rng, breaks(ese)), at: rng.random_range(0..=1000) });
    let vectors = if ese { pick(rng, &[1, 2, 3, 5, 8]) } else { rng.random_range(1..=3) };
    let (states, uneven) = (ese && rng.random_bool(0.3), ese && rng.random_bool(0.4));
    let seed = rng.random_range(0..1u64 << 53);
    let visit = of_place(seed, VISIT, 0, 0).random_bool(0.2);
    Run { seed, visit, network, input, vectors, bus_stalls, input_stalls, output_stalls, disturbance, states, uneven }
}
