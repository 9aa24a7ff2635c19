//! Memory files and the container file: round trips, exact depths, errors that name the line, nothing half-written.

use lacuna_compress::compile::{compile, Calibration, Densities, Depths, Range, RowOrder, Settings};
use lacuna_compress::files::{
    file_name, read_any_container, read_container, read_image, read_section, write_container, write_image, write_whole, Format,
};
use lacuna_compress::manifest::{AnyModel, Model, RecurrentModel};
use lacuna_compress::model::{Activation, Nonzero, QuantizedLayer};
use lacuna_compress::recurrent::{compile_recurrent_with, synthetic, synthetic_ranges, RecurrentCalibration, RecurrentSettings, Shape};
use lacuna_compress::spec::layout::sections;
use lacuna_compress::spec::{MemoryKind, Section, WeightForm, Words};
use std::path::Path;

/// Widths of one to several lanes, none a multiple of 32, memories deeper than the model needs.
fn model() -> Model {
    let columns =
        (0..7).map(|c| (0..11).filter(|r| (r * 7 + c) % 3 == 0).map(|row| Nonzero { row, weight: 1 + (row + c) as i32 % 7 }).collect());
    let layer = QuantizedLayer {
        name: "fc".into(),
        rows: 11,
        columns: columns.collect(),
        codebook: Some(vec![0, -32768, 5, 32767, -1, 9, 77, -300]),
        weight_fraction: 12,
        bias: (0..11).map(|b| b as f32 - 5.0).collect(),
        activation: Activation::Relu,
        conv: None,
    };
    let settings = Settings {
        pes: 3,
        fifo_depth: 4,
        weights: WeightForm::Codebook,
        weight_bits: 3,
        run_bits: Some(2),
        entries_per_word: 16,
        depths: Depths { spmat: Some(9), ptr: Some(7), act: None, acc: None, bias: Some(6), max_layers: Some(3) },
        acc_bits: Some(41),
        densities: Densities::Calibrated,
        rows: RowOrder::Given(vec![vec![10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]]),
        input_scale: 1.0,
        input_offset: 0.0,
    };
    let range = Range { low: -1.0, high: 1.0 };
    compile(&[layer], &settings, Calibration::Given { input: range, outputs: &[range] }).unwrap().model
}

/// The same words, zeros up to the memory's depth.
fn filled(words: &Words, depth: usize) -> Words {
    let mut out = Words::zeroed(words.width(), depth);
    for index in 0..words.len() {
        words.word(index).iter().enumerate().for_each(|(lane, value)| out.set_lane(index, lane, *value));
    }
    out
}

#[test]
fn every_format_round_trips_every_section() {
    let model = model();
    let arch = model.arch();
    for format in Format::ALL {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("made/for/it");
        let paths = write_image(&target, &model.image, format).unwrap();
        assert_eq!(paths.len(), sections(arch).len());
        let read = read_image(&target, arch, format).unwrap();
        for (section, words) in &model.image.sections {
            assert_eq!(read.sections[section], filled(words, section.kind().depth(arch)), "{section} as {format:?}");
        }
        let mut names: Vec<String> = std::fs::read_dir(&target).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let mut expected: Vec<String> = sections(arch).iter().map(|s| file_name(*s, format)).collect();
        expected.sort();
        assert_eq!(names, expected, "no temporary files stay");
    }
}

#[test]
fn texts_are_as_the_tools_read_them() {
    let mut words = Words::zeroed(37, 2);
    words.set(0, 0x1f_0000_00ab);
    words.set(1, 0x0_8000_0000);
    assert_eq!(Format::Mem.render(&words, 3), "1f000000ab\n0080000000\n0000000000\n");
    let coe = "memory_initialization_radix=16;\nmemory_initialization_vector=\n1f000000ab,\n0080000000;\n";
    assert_eq!(Format::Coe.render(&words, 2), coe);
    let mif = "WIDTH=37;\nDEPTH=2;\nADDRESS_RADIX=UNS;\nDATA_RADIX=HEX;\nCONTENT BEGIN\n0 : 1f000000ab;\n1 : 0080000000;\nEND;\n";
    assert_eq!(Format::Mif.render(&words, 2), mif);
    assert_eq!(Format::of(Path::new("a/pe0_bias.MIF")), Some(Format::Mif));
    assert_eq!(Format::of(Path::new("pe0_bias")), None);
}

#[test]
fn mif_ranges_comments_and_any_order_are_read() {
    let text = "-- made by hand\nwidth = 8;\nDEPTH=4; -- words\nADDRESS_RADIX=UNS;\nDATA_RADIX=HEX;\nCONTENT\tBEGIN\n3 : AB;\n[0..2] : 07;\nEND;\n";
    let words = Format::Mif.parse(text, 8, 4, Path::new("x.mif")).unwrap();
    assert_eq!((0..4).map(|i| words.get(i)).collect::<Vec<_>>(), [7, 7, 7, 0xab]);
}

#[test]
fn a_bad_text_is_refused_with_file_line_found_and_expected() {
    let fault = |format: Format, text: &str| format.parse(text, 6, 2, Path::new("x")).unwrap_err().to_string();
    let word = "expected a word of 6 bits in 2 hexadecimal digits";
    assert_eq!(fault(Format::Mem, "00\n4g\n"), format!("x:2: found \"4g\", {word}"));
    assert_eq!(fault(Format::Mem, "00\n40\n"), format!("x:2: found \"40\", {word}"));
    assert_eq!(fault(Format::Mem, "0\n00\n"), format!("x:1: found \"0\", {word}"));
    assert_eq!(fault(Format::Mem, "00\n"), "x:1: found the end without word 1, expected 2 words");
    assert_eq!(fault(Format::Mem, ""), "x:1: found the end without word 0, expected 2 words");
    assert_eq!(fault(Format::Mem, "00\n00\n00\n"), "x:3: found word 3, expected at most 2 words");
    assert_eq!(fault(Format::Mem, "@0\n00\n"), format!("x:1: found \"@0\", {word}"));
    assert_eq!(fault(Format::Mem, "é\n00\n"), format!("x:1: found \"é\", {word}"));
    let coe = "memory_initialization_radix=16;\nmemory_initialization_vector=\n";
    assert_eq!(
        fault(Format::Coe, "memory_initialization_radix=2;\n"),
        "x:1: found memory_initialization_radix=2;, expected memory_initialization_radix=16;"
    );
    assert_eq!(fault(Format::Coe, &format!("{coe}00,\n00\n")), "x:4: found the end, expected `;` after the last word");
    assert_eq!(fault(Format::Coe, &format!("{coe}00,\n00;\n00;\n")), "x:5: found 00;, expected the end after `;`");
    assert_eq!(fault(Format::Coe, &format!("{coe}00;\n")), "x:3: found the end without word 1, expected 2 words");
    let mif = "WIDTH=6;\nDEPTH=2;\nADDRESS_RADIX=UNS;\nDATA_RADIX=HEX;\nCONTENT BEGIN\n";
    assert_eq!(fault(Format::Mif, "WIDTH=7;\n"), "x:1: found WIDTH=7;, expected \"width=6;\"");
    assert_eq!(fault(Format::Mif, &format!("{mif}0 : 00;\n0 : 00;\nEND;\n")), "x:7: found word 0 again, expected each address once");
    assert_eq!(fault(Format::Mif, &format!("{mif}0 : 00;\n1 : 00;\n")), "x:7: found the end, expected `END;`");
    assert_eq!(fault(Format::Mif, &format!("{mif}0 : 00;\nEND;\n")), "x:7: found the end without word 1, expected 2 words");
    assert_eq!(fault(Format::Mif, &format!("{mif}[0..99999999999] : 00;\n")), "x:6: found word 3, expected at most 2 words");
}

#[test]
fn container_file_round_trips_and_errors_name_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.lacuna");
    let model = model();
    let bytes = write_container(&path, &model).unwrap();
    assert_eq!(bytes as u64, std::fs::metadata(&path).unwrap().len());
    assert_eq!(read_container(&path).unwrap(), model);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary files stay");
    std::fs::write(&path, b"not one").unwrap();
    let message = read_container(&path).unwrap_err().to_string();
    assert!(message.contains("model.lacuna: not a Lacuna container"), "{message}");
    let missing = read_container(&folder.path().join("none")).unwrap_err().to_string();
    assert!(missing.contains("none: "), "{missing}");
}

#[test]
fn a_container_of_either_kind_is_read_as_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.lacuna");
    let layers = model();
    write_container(&path, &layers).unwrap();
    assert_eq!(read_any_container(&path).unwrap(), AnyModel::Layers(layers.clone()));
    assert!(RecurrentModel::from_container(&layers.to_container().unwrap()).is_err());

    let network = synthetic(&Shape { inputs: 3, cells: 4, projection: None, peepholes: false }, 1);
    let settings = RecurrentSettings { pes: 2, ..RecurrentSettings::default() };
    let ranges = synthetic_ranges(&network);
    let recurrent = compile_recurrent_with(&network, &settings, RecurrentCalibration::Ranges(&ranges)).unwrap().model;
    write_whole(&path, &recurrent.to_container().unwrap()).unwrap();
    let found = read_any_container(&path).unwrap();
    assert_eq!((found.kind(), found.arch()), (AnyModel::RECURRENT, recurrent.arch()));
    assert_eq!(found, AnyModel::Recurrent(recurrent));
    let message = read_container(&path).unwrap_err().to_string();
    let expected = "model.lacuna: found a container of a recurrent network (LSTM), expected one of a network of fully connected layers";
    assert!(message.ends_with(expected), "{message}");
}

#[test]
fn a_failed_write_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.lacuna");
    std::fs::create_dir(&path).unwrap();
    assert!(write_container(&path, &model()).is_err(), "a folder is in the way");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary files stay");
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(write_image(&file, &model().image, Format::Mem).is_err(), "a file is in the way");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "x");
}

#[test]
fn a_memory_file_of_another_depth_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = model();
    write_image(folder.path(), &model.image, Format::Mem).unwrap();
    let section = Section::Pe(2, MemoryKind::Bias);
    let path = folder.path().join(file_name(section, Format::Mem));
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("00000000000\n");
    std::fs::write(&path, text).unwrap();
    let message = read_section(&path, section, model.arch(), Format::Mem).unwrap_err().to_string();
    assert!(message.ends_with("pe2_bias.mem:7: found word 7, expected at most 6 words"), "{message}");
}
