//! The hand-written arithmetic against the functions of `spec` that it must equal, under Verilator.

use crate::common::cache;
use lacuna_compress::spec::{fixed, Words};
use lacuna_sim::dut::Dut;
use lacuna_sim::verilate::{Build, Optimize, Port, Source};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SEED: u64 = 7;

/// A leaf in a module that has a clock; `ports` are (name, bits, input), `parameters` the leaf's.
fn leaf(name: &str, text: &str, parameters: &str, ports: &[(&str, u32, bool)]) -> Dut {
    let top = format!("{name}_alone");
    let declare = |p: &(&str, u32, bool)| format!("{} wire [{}:0] {}", if p.2 { "input" } else { "output" }, p.1 - 1, p.0);
    let connect = |p: &(&str, u32, bool)| format!(".{0}({0})", p.0);
    let has_clock = text.contains("input wire clock");
    let mut declared: Vec<String> = ports.iter().map(declare).collect();
    let mut connected: Vec<String> = ports.iter().map(connect).collect();
    declared.insert(0, "input wire clock".into());
    if has_clock {
        connected.insert(0, ".clock(clock)".into());
    }
    let unused = if has_clock { "" } else { "wire unused = clock;" };
    let wrapper =
        format!("module {top} ({});\n{unused}\n{name} {parameters} leaf ({});\nendmodule\n", declared.join(", "), connected.join(", "));
    let mut all: Vec<Port> = ports.iter().map(|p| Port { name: p.0.into(), width: p.1, input: p.2 }).collect();
    all.push(Port { name: "clock".into(), width: 1, input: true });
    let sources = vec![Source { name: top.clone(), text: wrapper }, Source { name: name.into(), text: text.into() }];
    let build = Build { optimize: Optimize::Draft, ..Build::plain(&top, sources, all) };
    Dut::new(&build.library(&cache()).unwrap(), SEED).unwrap()
}

fn bits(value: i64, width: u32) -> u64 {
    value as u64 & (u64::MAX >> (64 - width))
}

fn signed(value: u64, width: u32) -> i64 {
    ((value << (64 - width)) as i64) >> (64 - width)
}

#[test]
fn requantize_equals_the_spec_at_every_shift() {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    for (sum_bits, stages) in [(24u32, 0), (40, 0), (48, 0), (24, 1), (40, 1), (48, 1)] {
        let ports = [("sum", sum_bits, true), ("shift", 6, true), ("relu", 1, true), ("act", 16, false)];
        let parameters = format!("#(.SUM({sum_bits}), .STAGES({stages}))");
        let mut dut = leaf("requantize", include_str!("../../../hdl/src/prim/requantize.v"), &parameters, &ports);
        let (low, high) = fixed::limits(sum_bits as usize);
        for shift in 0..=fixed::MAX_SHIFT.min(sum_bits - 1) {
            // where saturation begins, both ends of the format, and anything between
            let edge = 32767i64.checked_shl(shift).unwrap_or(high).clamp(low, high);
            let mut sums = vec![
                low,
                low + 1,
                high,
                high - 1,
                0,
                -1,
                1,
                edge,
                edge.saturating_add(1).min(high),
                -edge,
                (-edge - (1 << shift)).max(low),
            ];
            sums.extend((0..60).map(|_| signed(rng.next_u64() >> rng.random_range(0..40), sum_bits)));
            for sum in sums {
                for relu in [false, true] {
                    dut.set("sum", bits(sum, sum_bits)).unwrap();
                    dut.set("shift", shift.into()).unwrap();
                    dut.set("relu", relu.into()).unwrap();
                    dut.step(stages).unwrap();
                    let got = dut.get("act").unwrap() as u16 as i16;
                    assert_eq!(got, fixed::requantize(sum, shift, relu), "sum {sum} ({sum_bits} bits), shift {shift}, relu {relu}");
                }
            }
        }
    }
}

#[test]
fn product_is_exact_also_at_most_negative_times_most_negative() {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    for (a_bits, b_bits, sum_bits) in [(16u32, 16u32, 40u32), (2, 16, 24), (16, 16, 48), (5, 16, 24)] {
        let ports = [("a", a_bits, true), ("b", b_bits, true), ("product", sum_bits, false)];
        let parameters = format!("#(.A({a_bits}), .B({b_bits}), .SUM({sum_bits}))");
        let mut dut = leaf("multiply", include_str!("../../../hdl/src/prim/multiply.v"), &parameters, &ports);
        let ends = |w: u32| [fixed::limits(w as usize).0, fixed::limits(w as usize).1, -1, 0, 1];
        let mut pairs: Vec<(i64, i64)> = ends(a_bits).iter().flat_map(|a| ends(b_bits).map(|b| (*a, b))).collect();
        pairs.extend((0..5000).map(|_| (signed(rng.next_u64(), a_bits), signed(rng.next_u64(), b_bits))));
        for (a, b) in pairs {
            dut.set("a", bits(a, a_bits)).unwrap();
            dut.set("b", bits(b, b_bits)).unwrap();
            dut.step(1).unwrap();
            assert_eq!(signed(dut.get("product").unwrap(), sum_bits), a * b, "{a} x {b}");
        }
    }
}

#[test]
fn crc_step_equals_the_crc_of_words() {
    let ports = [("state", 32, true), ("word", 32, true), ("result", 32, false)];
    let mut dut = leaf("crc32", include_str!("../../../hdl/src/prim/crc32.v"), "", &ports);
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    for count in [1, 2, 3, 17, 200] {
        let mut words = Words::zeroed(32, count);
        (0..count).for_each(|i| words.set(i, rng.next_u32().into()));
        let mut state = u64::from(u32::MAX);
        for i in 0..count {
            dut.set("state", state).unwrap();
            dut.set("word", words.get(i)).unwrap();
            state = dut.get("result").unwrap();
        }
        assert_eq!(!state as u32, words.crc32(), "{count} words");
    }
}

/// The queue against a list, with random offers and takes, full and empty and full again.
#[test]
fn queue_keeps_order_and_loses_nothing_at_any_depth() {
    for depth in [0usize, 1, 2, 3, 6, 62] {
        let ports = [
            ("clear", 1, true),
            ("offer", 1, true),
            ("in_token", 1, true),
            ("in_value", 16, true),
            ("in_first", 12, true),
            ("in_minus_turns", 7, true),
            ("room", 1, false),
            ("full", 1, false),
            ("take", 1, true),
            ("valid", 1, false),
            ("out_token", 1, false),
            ("out_value", 16, false),
            ("out_first", 12, false),
            ("out_minus_turns", 7, false),
        ];
        let parameters = format!("#(.DEPTH({depth}), .VALUE(16), .FIRST(12), .TURNS(7))");
        let mut dut = leaf("column_queue", include_str!("../../../hdl/src/prim/column_queue.v"), &parameters, &ports);
        dut.set("clear", 1).unwrap();
        dut.step(1).unwrap();
        dut.set("clear", 0).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(SEED + depth as u64);
        let mut list: std::collections::VecDeque<[u64; 4]> = Default::default();
        let mut fullest = 0;
        for cycle in 0..4000 {
            // phases that fill, that drain, and that do both
            let (offers, takes) = [(0.9, 0.1), (0.1, 0.9), (0.6, 0.6)][cycle / 200 % 3];
            let column =
                [u64::from(rng.random_bool(0.1)), rng.random_range(0..1 << 16), rng.random_range(0..1 << 12), rng.random_range(0..1 << 7)];
            let (offer, ready) = (rng.random_bool(offers), rng.random_bool(takes));
            dut.set("offer", offer.into()).unwrap();
            for (port, value) in ["in_token", "in_value", "in_first", "in_minus_turns"].iter().zip(column) {
                dut.set(port, value).unwrap();
            }
            // as the reader does: take only what is valid
            dut.set("take", 0).unwrap();
            let valid = dut.get("valid").unwrap() == 1;
            assert_eq!(valid, if depth == 0 { offer } else { !list.is_empty() }, "depth {depth}, cycle {cycle}");
            let take = ready && valid;
            dut.set("take", take.into()).unwrap();
            let room = dut.get("room").unwrap() == 1;
            assert_eq!(room, list.len() < depth || take, "depth {depth}, cycle {cycle}");
            assert_eq!(dut.get("full").unwrap() == 1, list.len() == depth, "depth {depth}, cycle {cycle}");
            if depth == 0 && take {
                list.push_back(column);
            }
            if take {
                let got = ["out_token", "out_value", "out_first", "out_minus_turns"].map(|p| dut.get(p).unwrap());
                assert_eq!(Some(got), list.pop_front(), "depth {depth}, cycle {cycle}");
            }
            if depth > 0 && offer && room {
                list.push_back(column);
            }
            fullest = fullest.max(list.len());
            dut.step(1).unwrap();
        }
        assert_eq!(fullest, depth, "the test must fill the queue");
    }
}

#[test]
fn a_memory_of_slices_holds_what_it_is_told() {
    // one width that slices divide, one that leaves a narrower one
    for (width, slice) in [(16u32, 0u32), (16, 4), (15, 4), (7, 9)] {
        let ports = [
            ("read_enable", 1, true),
            ("read_address", 5, true),
            ("read_data", width, false),
            ("write_enable", 1, true),
            ("write_address", 5, true),
            ("write_data", width, true),
        ];
        let parameters = format!("#(.WIDTH({width}), .DEPTH(21), .ADDRESS(5), .STYLE(\"block\"), .SLICE({slice}))");
        let mut dut = leaf("memory", include_str!("../../../hdl/src/prim/memory.v"), &parameters, &ports);
        let mut rng = ChaCha8Rng::seed_from_u64(SEED + u64::from(slice));
        let (mut words, mut last) = ([None; 21], None);
        for cycle in 0..600 {
            let (write, read) = (rng.random_bool(0.5), rng.random_bool(0.5));
            let (to, from) = (rng.random_range(0..21usize), rng.random_range(0..21usize));
            // what is read while it is written is undefined
            let read = read && !(write && to == from);
            let data = rng.random_range(0..1u64 << width);
            for (port, value) in [("write_enable", write.into()), ("write_address", to as u64), ("write_data", data)] {
                dut.set(port, value).unwrap();
            }
            dut.set("read_enable", read.into()).unwrap();
            dut.set("read_address", from as u64).unwrap();
            dut.step(1).unwrap();
            if read {
                last = words[from];
            }
            if write {
                words[to] = Some(data);
            }
            if let Some(expected) = last {
                assert_eq!(dut.get("read_data").unwrap(), expected, "{width} bits in slices of {slice}, cycle {cycle}");
            }
        }
    }
}
