//! The golden model against an independent dense computation in wide integers, against floating point,
//! and on damaged images.

use super::Golden;
use crate::reference::Reference;
use lacuna_compress::compile::{compile, Calibration, Compiled, Densities, Depths, Range, RowOrder, Settings};
use lacuna_compress::manifest::Model;
use lacuna_compress::model::{Activation, Nonzero, QuantizedLayer};
use lacuna_compress::quantize::dequantize;
use lacuna_compress::spec::{LayerRecord, MemoryImage, MemoryKind, Section, WeightForm};

/// SplitMix64: enough for test data, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// A number of `low..=high`.
    fn from(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1) as u64) as i64
    }
    fn size(&mut self, low: i64, high: i64) -> usize {
        self.from(low, high) as usize
    }
    fn chance(&mut self, share: f64) -> bool {
        (self.next() >> 11) as f64 / ((1u64 << 53) as f64) < share
    }
    fn real(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * ((self.next() >> 11) as f64 / (1u64 << 53) as f64)
    }
    fn order(&mut self, count: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..count as u32).collect();
        (1..count).rev().for_each(|i| order.swap(i, self.size(0, i as i64)));
        order
    }
}

struct Case {
    layers: Vec<QuantizedLayer>,
    settings: Settings,
    input: Range,
    outputs: Vec<Range>,
}

/// A random network: 1 to 3 layers of odd sizes, empty rows and columns, either form of weights.
fn case(random: &mut Random) -> Case {
    let weights = if random.chance(0.5) { WeightForm::Codebook } else { WeightForm::Direct };
    let weight_bits = random.size(2, if weights == WeightForm::Codebook { 8 } else { 16 });
    let count = random.size(1, 3);
    let sizes: Vec<usize> = (0..=count).map(|_| random.size(1, 45)).collect();
    let layers = (0..count).map(|l| {
        let density = [0.0, 0.05, 0.3, 1.0][random.size(0, 3)];
        let codebook: Option<Vec<i16>> = (weights == WeightForm::Codebook)
            .then(|| (0..1 << weight_bits).map(|code| if code == 0 { 0 } else { random.from(-32768, 32767) as i16 }).collect());
        let (rows, silent) = (sizes[l + 1], random.size(0, 60));
        let mut column = || {
            let empty = random.chance(0.2);
            let weight = |random: &mut Random| match weights {
                WeightForm::Codebook => random.from(1, (1 << weight_bits) - 1) as i32,
                WeightForm::Direct => match random.from(-(1 << (weight_bits - 1)), (1 << (weight_bits - 1)) - 1) {
                    0 => 1,
                    weight => weight as i32,
                },
            };
            let kept = (0..rows).filter(|row| *row != silent).filter(|_| !empty && random.chance(density)).collect::<Vec<_>>();
            kept.into_iter().map(|row| Nonzero { row: row as u32, weight: weight(random) }).collect()
        };
        let columns: Vec<Vec<Nonzero>> = (0..sizes[l]).map(|_| column()).collect();
        let weight_fraction =
            if weights == WeightForm::Codebook { random.from(12, 17) } else { weight_bits as i64 - random.from(-1, 2) } as i32;
        let bias = (0..rows).map(|_| if random.chance(0.3) { 0.0 } else { random.real(-2.0, 2.0) as f32 }).collect();
        let activation = if random.chance(0.5) { Activation::Relu } else { Activation::None };
        QuantizedLayer { name: format!("fc{l}"), rows, columns, codebook, weight_fraction, bias, activation, conv: None }
    });
    let layers: Vec<QuantizedLayer> = layers.collect();
    let mut range = || {
        let high = random.real(0.1, 20.0);
        Range { low: -high, high }
    };
    let (input, outputs) = (range(), (0..count).map(|_| range()).collect());
    let rows = match random.size(0, 3) {
        0 => RowOrder::Given(layers.iter().map(|l| random.order(l.rows)).collect()),
        1 => RowOrder::Balanced { seed: random.next() },
        _ => RowOrder::Model,
    };
    let settings = Settings {
        pes: random.size(1, 9),
        fifo_depth: 8,
        weights,
        weight_bits,
        run_bits: random.chance(0.7).then(|| random.size(2, 8)),
        entries_per_word: 1 << random.size(0, 4),
        depths: Depths::default(),
        acc_bits: None,
        densities: Densities::Calibrated,
        rows,
        input_scale: 1.0,
        input_offset: 0.0,
    };
    Case { layers, settings, input, outputs }
}

impl Case {
    fn compile(&self) -> Compiled {
        compile(&self.layers, &self.settings, Calibration::Given { input: self.input, outputs: &self.outputs }).expect("the case is legal")
    }
    fn input(&self, random: &mut Random) -> Vec<i16> {
        let share = [0.0, 0.1, 0.5, 1.0][random.size(0, 3)];
        let value = |random: &mut Random| match random.size(0, 9) {
            0 => i16::MIN,
            1 => i16::MAX,
            2 => -1,
            _ => random.from(-32768, 32767) as i16,
        };
        (0..self.layers[0].columns.len()).map(|_| if random.chance(share) { value(random) } else { 0 }).collect()
    }
}

/// The network row by row on the whole matrix, as formulas say it, in 128 bits. All layers' results, model order.
fn dense_integers(layers: &[QuantizedLayer], model: &Model, input: &[i16]) -> Vec<Vec<i16>> {
    let mut vector: Vec<i128> = input.iter().map(|a| i128::from(*a)).collect();
    let mut results = vec![];
    for (layer, described) in layers.iter().zip(&model.network.layers) {
        let product = described.input_fraction + layer.weight_fraction;
        let divisor = 1i128 << (product - described.output_fraction);
        let mut next = vec![];
        for row in 0..layer.rows {
            let mut sum = (f64::from(layer.bias[row]) * 2f64.powi(product) + 0.5).floor() as i128;
            for (column, act) in layer.columns.iter().zip(&vector) {
                for n in column.iter().filter(|n| n.row as usize == row) {
                    let weight = layer.codebook.as_ref().map_or(i128::from(n.weight), |values| i128::from(values[n.weight as usize]));
                    sum += weight * act;
                }
            }
            // the nearest integer to sum / divisor, halves upwards
            let rounded = (2 * sum + divisor).div_euclid(2 * divisor);
            let low = if layer.activation == Activation::Relu { 0 } else { -32768 };
            next.push(rounded.clamp(low, 32767));
        }
        results.push(next.iter().map(|v| *v as i16).collect());
        vector = next;
    }
    results
}

/// A layer's results by position, as rows of the model.
fn in_model_order(model: &Model, layer: usize, positions: &[i16]) -> Vec<i16> {
    let rows = model.network.layers[layer].rows;
    let mut out = vec![0; rows];
    for (position, value) in positions.iter().enumerate().take(rows) {
        out[model.orders.get(&layer).map_or(position, |order| order[position] as usize)] = *value;
    }
    out
}

#[test]
fn golden_equals_dense_integers_on_random_networks() {
    let mut saturated = 0;
    for seed in 0..400 {
        let mut random = Random(seed);
        let case = case(&mut random);
        let model = case.compile().model;
        let model = Model::from_container(&model.to_container().unwrap()).unwrap();
        let golden = Golden::new(&model.image).unwrap();
        for _ in 0..4 {
            let input = case.input(&mut random);
            let trace = golden.trace(&input).unwrap();
            let expected = dense_integers(&case.layers, &model, &input);
            for (l, layer) in trace.layers.iter().enumerate() {
                assert_eq!(in_model_order(&model, l, &layer.output), expected[l], "seed {seed} layer {l}");
                let beyond = &layer.output[model.network.layers[l].rows..];
                assert!(beyond.iter().all(|v| *v == 0), "seed {seed}: positions beyond the last row are 0");
            }
            assert_eq!(golden.infer(&input).unwrap(), trace.output(), "seed {seed}");
            assert_eq!(model.output_rows(trace.output()).unwrap(), expected[expected.len() - 1], "seed {seed}");
            saturated += trace.saturated();
        }
    }
    assert!(saturated > 0, "some cases saturate");
}

#[test]
fn row_orders_do_not_change_the_result() {
    for seed in 1000..1100 {
        let mut random = Random(seed);
        let mut case = case(&mut random);
        let input = case.input(&mut random);
        let mut answers = vec![];
        let shuffled = RowOrder::Given(case.layers.iter().map(|l| random.order(l.rows)).collect());
        for rows in [RowOrder::Model, shuffled, RowOrder::Balanced { seed }] {
            case.settings.rows = rows;
            let model = case.compile().model;
            let out = Golden::new(&model.image).unwrap().infer(&input).unwrap();
            answers.push(model.output_in_model_order(&out).unwrap());
        }
        assert!(answers.iter().all(|a| *a == answers[0]), "seed {seed}");
    }
}

#[test]
fn all_zero_inputs_give_biases_and_broadcast_nothing() {
    for seed in 2000..2050 {
        let mut random = Random(seed);
        let case = case(&mut random);
        let model = case.compile().model;
        let golden = Golden::new(&model.image).unwrap();
        let input = vec![0; golden.inputs()];
        let trace = golden.trace(&input).unwrap();
        assert!(trace.layers[0].active.is_empty(), "seed {seed}");
        assert_eq!(
            model.output_rows(trace.output()).unwrap(),
            *dense_integers(&case.layers, &model, &input).last().unwrap(),
            "seed {seed}"
        );
    }
}

/// The trace and the decoded layers tell a cycle model what each PE does for each broadcast.
#[test]
fn trace_counts_what_the_image_holds() {
    for seed in 3000..3050 {
        let mut random = Random(seed);
        let case = case(&mut random);
        let compiled = case.compile();
        let golden = Golden::new(&compiled.model.image).unwrap();
        let input = case.input(&mut random);
        let trace = golden.trace(&input).unwrap();
        let active: Vec<u32> = (0..input.len() as u32).filter(|c| input[*c as usize] != 0).collect();
        assert_eq!(trace.layers[0].active, active, "seed {seed}");
        for (layer, report) in golden.layers.iter().zip(&compiled.report.layers) {
            for (pe, expected) in report.entries_per_pe.iter().enumerate() {
                let counted: usize = (0..layer.columns).map(|c| layer.count(pe, c) as usize).sum();
                assert_eq!(counted, *expected, "seed {seed} pe {pe}");
                assert!((0..layer.columns).all(|c| layer.steps(pe, c).len() == layer.entries(pe, c).len()));
            }
        }
    }
}

/// Tolerance, per row: what the layer's input is off, times |weight|, plus half a unit of the bias's and
/// of the output's format. It holds while nothing saturates.
#[test]
fn golden_is_near_the_float_reference() {
    let mut compared = 0;
    for seed in 4000..4200 {
        let mut random = Random(seed);
        let case = case(&mut random);
        let model = case.compile().model;
        let golden = Golden::new(&model.image).unwrap();
        let share = random.real(0.0, 1.0);
        let high = case.input.high * 0.05;
        let sample: Vec<f32> =
            (0..golden.inputs()).map(|_| if random.chance(share) { random.real(-high, high) as f32 } else { 0.0 }).collect();
        let trace = golden.trace(&model.quantize_input(&sample).unwrap()).unwrap();
        let float = Reference::new(&dequantize(&case.layers)).trace(&sample);
        let unit = |fraction: i32| 2f64.powi(-fraction);
        let mut off = vec![0.5 * unit(model.network.input_fraction); golden.inputs()];
        for (l, layer) in case.layers.iter().enumerate() {
            let described = &model.network.layers[l];
            if trace.layers[l].saturated > 0 {
                break;
            }
            let own = 0.5 * unit(described.input_fraction + layer.weight_fraction) + 0.5 * unit(described.output_fraction);
            // f32 holds a dequantized weight of 16 bits exactly; f64 sums are off by less than this
            let mut bound = vec![own + 1e-9; layer.rows];
            for (column, error) in layer.columns.iter().zip(&off) {
                for n in column {
                    bound[n.row as usize] += layer.value(n.weight).abs() as f64 * unit(layer.weight_fraction) * error;
                }
            }
            let found = in_model_order(&model, l, &trace.layers[l].output);
            for row in 0..layer.rows {
                let value = f64::from(found[row]) * unit(described.output_fraction);
                let error = (value - float[l][row]).abs();
                assert!(
                    error <= bound[row],
                    "seed {seed} layer {l} row {row}: {value} and {}, off by {error}, allowed {}",
                    float[l][row],
                    bound[row]
                );
                compared += 1;
            }
            off = bound;
        }
    }
    assert!(compared > 2000, "{compared} values compared");
}

#[test]
fn damaged_images_are_errors_or_results_but_never_panics() {
    let mut refused = 0;
    for seed in 5000..5150 {
        let mut random = Random(seed);
        let case = case(&mut random);
        let image = case.compile().model.image;
        let keys: Vec<Section> = image.sections.keys().copied().collect();
        for _ in 0..40 {
            let mut bad = image.clone();
            let section = if random.chance(0.3) { Section::Layers } else { keys[random.size(0, keys.len() as i64 - 1)] };
            let words = bad.sections.get_mut(&section).unwrap();
            for _ in 0..random.size(1, 3) {
                let (word, lane) = (random.size(0, words.len() as i64 - 1), random.size(0, words.lanes_per_word() as i64 - 1));
                let value = words.word(word)[lane] ^ (1 << random.size(0, 31));
                words.set_lane(word, lane, value);
            }
            match Golden::new(&bad) {
                Err(_) => refused += 1,
                Ok(golden) => {
                    let input: Vec<i16> = (0..golden.inputs()).map(|_| random.from(-32768, 32767) as i16).collect();
                    golden.trace(&input).unwrap();
                }
            }
        }
    }
    assert!(refused > 500, "{refused} refused");
}

/// A network of one row: every fault has one place.
fn tiny() -> MemoryImage {
    let layer = QuantizedLayer {
        name: "fc".into(),
        rows: 3,
        columns: vec![vec![Nonzero { row: 2, weight: 100 }], vec![]],
        codebook: None,
        weight_fraction: 6,
        bias: vec![0.0; 3],
        activation: Activation::None,
        conv: None,
    };
    let settings = Settings {
        pes: 2,
        fifo_depth: 8,
        weights: WeightForm::Direct,
        weight_bits: 8,
        run_bits: Some(2),
        entries_per_word: 1,
        depths: Depths::default(),
        acc_bits: Some(24),
        densities: Densities::Calibrated,
        rows: RowOrder::Model,
        input_scale: 1.0,
        input_offset: 0.0,
    };
    let range = Range { low: -1.0, high: 1.0 };
    compile(&[layer], &settings, Calibration::Given { input: range, outputs: &[range] }).unwrap().model.image
}

#[test]
fn a_damaged_image_is_refused_with_its_place() {
    let fault = |change: &dyn Fn(&mut MemoryImage)| {
        let mut image = tiny();
        change(&mut image);
        Golden::new(&image).unwrap_err().to_string()
    };
    let record = |change: fn(&mut LayerRecord)| {
        fault(&|image| {
            let table = image.sections.get_mut(&Section::Layers).unwrap();
            let mut record = LayerRecord::read(table, 0);
            change(&mut record);
            record.write(table, 0);
        })
    };
    let set = |kind, index: usize, value: u64| fault(&|image| image.sections.get_mut(&Section::Pe(0, kind)).unwrap().set(index, value));
    assert_eq!(set(MemoryKind::Spmat, 0, 100 << 2 | 2), "image: pe 0, layer 0, column 0: entry 0 is for row 2 of 2");
    assert_eq!(set(MemoryKind::PtrOdd, 0, 2), "image: pe 0, layer 0, column 0: pointers 0 to 2, expected ascending ones up to 1");
    assert_eq!(set(MemoryKind::PtrEven, 1, 0), "image: pe 0, layer 0, column 1: pointers 1 to 0, expected ascending ones up to 1");
    assert_eq!(
        set(MemoryKind::Bias, 1, 1 << 22 | 1 << 21),
        "image: pe 0, layer 0: the sum of row 1 can need 25 bits, the accumulator has 24"
    );
    let place = "image: layer 0 of the layer table: ";
    assert_eq!(record(|r| r.source_rows = 0), format!("{place}source_rows is 0, allowed are 1 to 2"));
    assert_eq!(record(|r| r.last_lanes = 3), format!("{place}last_lanes is 3, allowed are 1 to 2"));
    assert_eq!(record(|r| r.out_rows = 9), format!("{place}out_rows is 9, allowed are 1 to 2"));
    assert_eq!(record(|r| r.shift = 48), format!("{place}shift is 48, allowed are 0 to 47"));
    assert_eq!(record(|r| r.bias_base = 1), format!("{place}bias_base is 1, its biases end at 3, pe 0 has 2"));
    assert_eq!(record(|r| r.ptr_base = 9), format!("{place}ptr_base is 9, its pointer 9 lies beyond the 1 words of pe 0 ptr_odd"));
    assert_eq!(record(|r| r.last = false), "image: the layer table's 1 words have no last layer");
    let missing = fault(&|image| drop(image.sections.remove(&Section::Pe(1, MemoryKind::Bias))));
    assert_eq!(missing, "image: pe 1 bias is missing");
    let golden = Golden::new(&tiny()).unwrap();
    assert_eq!(golden.infer(&[1, 2, 3]).unwrap_err().to_string(), "the input has 3 activations, the first layer 2 columns");
}
