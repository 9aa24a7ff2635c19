//! The compiler: formats, the overflow check, depths and their errors, the container.

use lacuna_compress::compile::{compile, Calibration, Densities, Depths, Range, RowOrder, Settings};
use lacuna_compress::config::{Auto, Config};
use lacuna_compress::inputs::Samples;
use lacuna_compress::inspect::{tables, words_table, Filter};
use lacuna_compress::manifest::Model;
use lacuna_compress::model::{Activation, Nonzero, QuantizedLayer};
use lacuna_compress::spec::{fixed, KnownAnswer, LayerRecord, MemoryKind, Section, WeightForm};

fn settings() -> Settings {
    Settings {
        pes: 2,
        fifo_depth: 8,
        weights: WeightForm::Direct,
        weight_bits: 8,
        run_bits: Some(2),
        entries_per_word: 2,
        depths: Depths::default(),
        acc_bits: Some(32),
        densities: Densities::Calibrated,
        rows: RowOrder::Model,
        input_scale: 0.5,
        input_offset: -1.0,
    }
}

fn layer(name: &str, rows: usize, columns: &[&[(u32, i32)]], bias: &[f32], activation: Activation) -> QuantizedLayer {
    let columns = columns.iter().map(|c| c.iter().map(|(row, weight)| Nonzero { row: *row, weight: *weight }).collect()).collect();
    QuantizedLayer { name: name.into(), rows, columns, codebook: None, weight_fraction: 6, bias: bias.to_vec(), activation, conv: None }
}

/// Three inputs, five hidden, one output.
fn network() -> Vec<QuantizedLayer> {
    let hidden = [&[(0, 64), (4, -32)][..], &[], &[(1, 127), (2, -128), (4, 1)]];
    let output = [&[(0, 16)][..], &[(0, -16)], &[], &[], &[(0, 100)]];
    vec![
        layer("hidden", 5, &hidden, &[0.5, 0.0, 1.0, -2.0, 0.25], Activation::Relu),
        layer("output", 1, &output, &[-0.125], Activation::None),
    ]
}

fn samples(data: &[f32]) -> Samples {
    Samples { count: data.len() / 3, size: 3, data: data.to_vec() }
}

fn compiled() -> Model {
    compile(&network(), &settings(), Calibration::Samples(&samples(&[1.0, 0.5, -3.0, 0.0, 2.0, 0.0]))).unwrap().model
}

fn fault(layers: &[QuantizedLayer], settings: &Settings) -> String {
    compile(layers, settings, Calibration::Samples(&samples(&[1.0, 0.5, -3.0]))).unwrap_err().to_string()
}

#[test]
fn words_of_a_small_network_are_as_the_layout_says() {
    let model = compiled();
    let arch = model.arch();
    assert_eq!((arch.spmat_depth, arch.ptr_depth, arch.act_depth, arch.acc_depth, arch.bias_depth, arch.max_layers), (4, 5, 3, 3, 4, 2));
    let table = LayerRecord::read_all(&model.image.sections[&Section::Layers]);
    // inputs of -3..2 take fraction 13, 13 + 6 for the products; outputs of up to 7 take 12
    let first = LayerRecord {
        source_rows: 2,
        last_lanes: 1,
        ptr_base: 0,
        out_rows: 3,
        bias_base: 0,
        shift: 7,
        relu: true,
        last: false,
        walk: None,
    };
    assert_eq!(table[0], first);
    let second = LayerRecord {
        source_rows: 3,
        last_lanes: 1,
        ptr_base: 4,
        out_rows: 1,
        bias_base: 3,
        last: true,
        relu: false,
        shift: table[1].shift,
        walk: None,
    };
    assert_eq!(table[1], second);
    let words = |pe, kind| {
        let w = &model.image.sections[&Section::Pe(pe, kind)];
        (0..w.len()).map(|i| if kind == MemoryKind::Bias { w.get_signed(i) } else { w.get(i) as i64 }).collect::<Vec<_>>()
    };
    // PE 0 has rows 0, 2, 4: entries (64, 0) (-32, 1) | | (-128, 1) (1, 0); then output row 0
    assert_eq!(words(0, MemoryKind::PtrEven), [0, 2, 4, 6, 6]);
    assert_eq!(words(0, MemoryKind::PtrOdd), [2, 4, 5, 6, 7]);
    assert_eq!(words(1, MemoryKind::PtrEven), [0, 0, 1, 1, 1]);
    let entry = |weight: i64, run: i64| (weight & 255) << 2 | run;
    let pair = |low: i64, high: i64| high << 10 | low;
    let e = [entry(64, 0), entry(-32, 1), entry(-128, 1), entry(1, 0), entry(16, 0), entry(-16, 0), entry(100, 0)];
    assert_eq!(words(0, MemoryKind::Spmat), [pair(e[0], e[1]), pair(e[2], e[3]), pair(e[4], e[5]), e[6]]);
    assert_eq!(words(1, MemoryKind::Spmat), [entry(127, 0)]);
    let unit = 1i64 << 19;
    let rounding = fixed::rounding(7);
    assert_eq!(words(0, MemoryKind::Bias)[..3], [unit / 2 + rounding, unit + rounding, unit / 4 + rounding]);
    // row 5 does not exist: rounding alone
    assert_eq!(words(1, MemoryKind::Bias)[..3], [rounding, -2 * unit + rounding, rounding]);
}

#[test]
fn report_has_ranges_densities_and_accumulator_use() {
    let data = samples(&[1.0, 0.5, -3.0, 0.0, 2.0, 0.0]);
    let report = compile(&network(), &settings(), Calibration::Samples(&data)).unwrap().report;
    assert_eq!((report.samples, report.input.range, report.input.clipped), (2, Range { low: -3.0, high: 2.0 }, Some(0)));
    let hidden = &report.layers[0];
    assert_eq!((hidden.output.range, hidden.output.fraction, hidden.activation_density), (Range { low: 0.0, high: 7.0 }, 12, 4.0 / 6.0));
    assert_eq!((hidden.nonzeros, hidden.padding, &hidden.entries_per_pe[..], hidden.imbalance), (5, 0, &[4, 1][..], 1.6));
    // row 2: 128 * 32768 + 2^19 + 64 takes 24 bits with its sign
    assert_eq!((hidden.widest_row, hidden.widest_bits), (2, 24));
    assert!(report.layers.iter().all(|l| l.output.clipped == Some(0)));
}

#[test]
fn given_ranges_fix_the_formats_and_coarse_products_limit_them() {
    let outputs = [Range { low: 0.0, high: 1e-6 }, Range { low: -1e9, high: 1e9 }];
    let input = Range { low: -200.0, high: 200.0 };
    let any_width = Settings { acc_bits: None, ..settings() };
    let given = compile(&network(), &any_width, Calibration::Given { input, outputs: &outputs }).unwrap();
    // input 2^7 * 2^6: an output finer than 13 bits would need a left shift
    let fractions = given.model.network.layers.iter().map(|l| (l.input_fraction, l.output_fraction)).collect::<Vec<_>>();
    assert_eq!(fractions, [(7, 13), (13, -15)]);
    assert_eq!(given.report.layers[0].output.clipped, None);
}

#[test]
fn an_accumulator_that_could_overflow_is_refused_with_the_width_it_needs() {
    let tight = Settings { acc_bits: Some(24), ..settings() };
    let mut layers = network();
    layers[0].bias[2] = 8.0;
    assert_eq!(fault(&layers, &tight), "layer hidden: the sum of row 2 can need 25 bits, accelerator.acc_bits is 24");
    let chosen = compile(&layers, &Settings { acc_bits: None, ..tight }, Calibration::Samples(&samples(&[1.0, 0.5, -3.0]))).unwrap();
    assert_eq!(chosen.model.arch().acc_bits, 25);
}

/// One row with one weight: the sum is at most 127 * 32768 + bias + rounding constant.
#[test]
fn the_overflow_check_is_exact() {
    let of = |bias: i64| {
        // input fraction 14, weights 9: a bias of 1 is 2^-23; output range given, shift 3
        let mut l = layer("fc", 1, &[&[(0, 127)], &[], &[]], &[bias as f32 / (1 << 23) as f32], Activation::None);
        l.weight_fraction = 9;
        let outputs = [Range { low: -0.03, high: 0.03 }];
        let input = Range { low: 0.0, high: 1.9 };
        compile(&[l], &Settings { acc_bits: Some(24), ..settings() }, Calibration::Given { input, outputs: &outputs })
    };
    let rounding = fixed::rounding(of(0).unwrap().report.layers[0].shift);
    let room = (1 << 23) - 1 - 127 * 32768 - rounding;
    assert!(of(room).is_ok() && of(-room).is_ok() && of(room + 1).is_err() && of(-room - 1).is_err());
}

#[test]
fn a_memory_that_is_too_small_is_refused_with_the_depth_it_needs() {
    let with = |depths| fault(&network(), &Settings { depths, ..settings() });
    let d = Depths::default();
    let expected = "pe 0: 4 words of entries do not fit spmat depth 2 (layer output); it needs depth 4";
    assert_eq!(with(Depths { spmat: Some(2), ..d.clone() }), expected);
    let expected = "pe 0: 5 pointers per bank do not fit ptr depth 1 (layer hidden); it needs depth 5";
    assert_eq!(with(Depths { ptr: Some(1), ..d.clone() }), expected);
    assert_eq!(with(Depths { act: Some(2), ..d.clone() }), "pe 0: 3 activations do not fit act depth 2 (layer hidden); it needs depth 3");
    assert_eq!(with(Depths { acc: Some(2), ..d.clone() }), "pe 0: 3 rows do not fit acc depth 2 (layer hidden); it needs depth 3");
    assert_eq!(with(Depths { bias: Some(3), ..d.clone() }), "pe 0: 4 biases do not fit bias depth 3 (layer output); it needs depth 4");
    assert_eq!(
        with(Depths { max_layers: Some(1), ..d.clone() }),
        "the network does not fit the accelerator: 2 layers do not fit max_layers 1"
    );
    let exact = Depths { spmat: Some(4), ptr: Some(5), act: Some(3), acc: Some(3), bias: Some(4), max_layers: Some(2) };
    let roomy = Depths { spmat: Some(100), ptr: Some(50), act: Some(30), acc: Some(30), bias: Some(40), max_layers: Some(16) };
    for depths in [exact, roomy] {
        let data = samples(&[1.0, 0.5, -3.0, 0.0, 2.0, 0.0]);
        let other = compile(&network(), &Settings { depths, ..settings() }, Calibration::Samples(&data)).unwrap().model;
        let lengths = |m: &Model| m.image.sections.values().map(|w| w.len()).collect::<Vec<_>>();
        assert_eq!(lengths(&other), lengths(&compiled()), "sections hold what the model needs, however deep the memory is");
    }
}

#[test]
fn settings_and_layers_that_do_not_match_are_refused() {
    let data = samples(&[]);
    let none = compile(&network(), &settings(), Calibration::Samples(&data)).unwrap_err().to_string();
    assert_eq!(none, "calibration: there are no samples; activation formats need some inputs, or given ranges");
    let bad = compile(&network(), &settings(), Calibration::Samples(&samples(&[1.0, f32::NAN, 0.0]))).unwrap_err().to_string();
    assert_eq!(bad, "calibration: value 1 of sample 0 is NaN");
    let mut layers = network();
    layers[1].columns.pop();
    assert_eq!(fault(&layers, &settings()), "layer output: it has 4 columns, the layer before it 5 rows");
    let codes = Settings { weights: WeightForm::Codebook, ..settings() };
    assert_eq!(fault(&network(), &codes), "layer hidden: its weights are direct, the accelerator expects codes");
    let narrow = Settings { weight_bits: 7, ..settings() };
    assert_eq!(fault(&network(), &narrow), "layer hidden: column 0 holds weight 64 in row 0, expected weights -64 to 63 in 5 rows");
    let mut layers = network();
    layers[0].bias[3] = f32::INFINITY;
    assert_eq!(fault(&layers, &settings()), "layer hidden: the bias of row 3 is inf");
    for pes in [0, 257] {
        assert!(fault(&network(), &Settings { pes, ..settings() }).contains("1 to 256 PEs"));
    }
    assert!(fault(&network(), &Settings { entries_per_word: 0, ..settings() }).contains("entries_per_word is 0"));
    assert!(fault(&network(), &Settings { rows: RowOrder::Given(vec![vec![], vec![0]]), ..settings() }).contains("0 places, expected 5"));
    assert!(fault(&[], &settings()).contains("no layers"));
}

#[test]
fn settings_follow_the_configuration() {
    let mut config = Config::default();
    config.accelerator.spmat_depth = Auto::Fixed(77);
    config.accelerator.run_bits = Auto::Fixed(5);
    config.compress.balance = true;
    config.compress.seed = 9;
    let s = Settings::from_config(&config);
    assert_eq!((s.depths.spmat, s.depths.ptr, s.run_bits, s.rows), (Some(77), None, Some(5), RowOrder::Balanced { seed: 9 }));
    assert_eq!((s.pes, s.acc_bits), (config.accelerator.pes, Some(config.accelerator.acc_bits)));
    assert_eq!(s.densities, Densities::Stated(config.compress.activation_density));
}

#[test]
fn container_round_trips_and_bytes_are_stable() {
    let model = compiled();
    let bytes = model.to_container().unwrap();
    assert_eq!(Model::from_container(&bytes).unwrap(), model);
    assert_eq!(compiled().to_container().unwrap(), bytes);
}

#[test]
fn a_known_answer_travels_and_must_be_whole() {
    let mut model = compiled();
    let without = model.to_container().unwrap();
    let size = model.network.output_size;
    model.answer = Some(KnownAnswer { pattern: vec![7, -1, i16::MIN], output: (0..size as i16).map(|i| 100 - 200 * i).collect() });
    let bytes = model.to_container().unwrap();
    assert_eq!(bytes.len(), without.len() + 2 * 16 + 2 * (3 + size));
    assert_eq!(Model::from_container(&bytes).unwrap(), model);
    assert_eq!(model.answer.as_ref().unwrap().input(5), [7, -1, i16::MIN, 7, -1]);
    assert_eq!(Model::from_container(&without).unwrap().answer, None, "containers without one are read");

    // the second half's code becomes one that nobody knows, or that of the first half
    let row = [15, 0, 0, 0, size as u8, 0, 0, 0, 16, 0, 0, 0];
    let table = bytes.windows(row.len()).position(|w| w == row).unwrap();
    assert!(forged(&bytes, |b| b[table] = 13).contains("unknown memory code 13"));
    assert!(forged(&bytes, |b| b[table] = 14).contains("known-answer test occurs twice"));
    if let Some(answer) = &mut model.answer {
        answer.output.pop();
    }
    let error = model.to_container().unwrap_err().to_string();
    assert!(error.contains(&format!("the known answer has {} values, the network {size} outputs", size - 1)), "{error}");
}

#[test]
fn no_changed_byte_is_accepted() {
    let bytes = compiled().to_container().unwrap();
    for at in 0..bytes.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut bad = bytes.clone();
            bad[at] ^= mask;
            assert!(Model::from_container(&bad).is_err(), "byte {at} ^ {mask:02x}");
        }
    }
}

#[test]
fn no_truncation_and_no_appendix_is_accepted() {
    let mut bytes = compiled().to_container().unwrap();
    for len in 0..bytes.len() {
        assert!(Model::from_container(&bytes[..len]).is_err(), "{len} bytes");
    }
    bytes.push(0);
    assert!(Model::from_container(&bytes).is_err());
}

/// Changes bytes and makes the file's CRC right again: what only the deeper checks can find.
fn forged(bytes: &[u8], change: impl Fn(&mut Vec<u8>)) -> String {
    let mut bad = bytes[..bytes.len() - 4].to_vec();
    change(&mut bad);
    bad.extend(crc32fast::hash(&bad).to_le_bytes());
    Model::from_container(&bad).unwrap_err().to_string()
}

fn replace(bytes: &mut [u8], from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).expect("the text occurs");
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
}

#[test]
fn a_forged_container_is_refused_for_what_is_wrong_in_it() {
    let bytes = compiled().to_container().unwrap();
    assert!(forged(&bytes, |b| b[12] ^= 1).starts_with("container was made for architecture"));
    assert!(forged(&bytes, |b| replace(b, "fifo_depth = 8", "fifo_depth = 9")).starts_with("container was made for architecture"));
    assert!(forged(&bytes, |b| replace(b, "rows = 5", "rows = 6")).contains("output has 5 inputs"));
    assert!(forged(&bytes, |b| replace(b, "activation = \"relu\"", "activation = \"none\"")).contains("the layer table holds"));
    let at = bytes.len() - 5;
    assert!(forged(&bytes, |b| b[at] ^= 1).contains("CRC-32 of layer table"));
    assert!(forged(&bytes, |b| replace(b, "input_scale = 0.5", "input_scale = inf")).contains("must be finite"));
    assert!(forged(&bytes, |b| replace(b, "output_size", "output_sive")).contains("output_sive"));
}

#[test]
fn a_model_for_another_accelerator_is_refused() {
    let model = compiled();
    let mut other = model.arch().clone();
    assert!(model.require_arch(&other).is_ok());
    other.fifo_depth = 9;
    assert!(model.require_arch(&other).unwrap_err().to_string().contains("was compiled for architecture"));
}

#[test]
fn orders_travel_and_outputs_return_in_model_order() {
    let rows = RowOrder::Given(vec![vec![4, 1, 3, 0, 2], vec![0]]);
    let data = samples(&[1.0, 0.5, -3.0]);
    let hidden_only = [network().remove(0)];
    let one = Settings { rows: RowOrder::Given(vec![vec![4, 1, 3, 0, 2]]), ..settings() };
    let model = compile(&hidden_only, &one, Calibration::Samples(&data)).unwrap().model;
    assert_eq!(model.output_rows(&[40, 10, 30, 0, 20, 99]).unwrap(), [0, 10, 20, 30, 40]);
    assert!(model.output_rows(&[1, 2, 3, 4]).is_err());
    let model = compile(&network(), &Settings { rows, ..settings() }, Calibration::Samples(&data)).unwrap().model;
    assert_eq!(model.orders.keys().copied().collect::<Vec<_>>(), [0], "an order that changes nothing is not stored");
    assert_eq!(Model::from_container(&model.to_container().unwrap()).unwrap(), model);
}

#[test]
fn inputs_are_rounded_and_checked() {
    let model = compiled();
    assert_eq!(model.network.input_fraction, 13);
    assert_eq!(model.quantize_input(&[1.0, -0.5, 100.0]).unwrap(), [8192, -4096, 32767]);
    assert!(model.quantize_input(&[1.0]).unwrap_err().to_string().contains("the sample has 1 values, the network 3 inputs"));
    assert!(model.quantize_input(&[1.0, f32::NAN, 0.0]).is_err());
}

#[test]
fn tables_show_every_entry_of_the_filter() {
    let model = compiled();
    let all = tables(&model, &Filter::default());
    let titles: Vec<&str> = all.iter().map(|t| t.title.as_str()).collect();
    assert_eq!(titles, ["network", "sections", "layer table", "biases", "pointers", "entries"]);
    assert!(all.iter().all(|t| t.rows.iter().all(|r| r.len() == t.headers.len())));
    let only = tables(&model, &Filter { pe: Some(0), layer: Some(0), memory: Some(MemoryKind::Spmat) });
    assert_eq!(only.len(), 1);
    let found: Vec<String> = only[0].rows.iter().map(|r| r.join(" ")).collect();
    assert_eq!(found, ["0 0 0 0 0 0 64 64 ", "0 0 0 1 4 1 -32 -32 ", "0 0 2 2 2 1 -128 -128 ", "0 0 2 3 4 0 1 1 "]);
    let section = Section::Pe(1, MemoryKind::Spmat);
    let table = words_table(section, &model.image.sections[&section], model.arch());
    assert_eq!((table.title.as_str(), table.rows[0].join(" ")), ("pe 1 spmat", "0 0 0 0 127".into()));
    for (section, words) in &model.image.sections {
        let table = words_table(*section, words, model.arch());
        assert!(!table.rows.is_empty() && table.rows.iter().all(|r| r.len() == table.headers.len()), "{section}");
    }
}
