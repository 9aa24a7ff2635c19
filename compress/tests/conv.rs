//! Networks with convolutions: what stands in the image, and what is refused.

use lacuna_compress::compile::{compile, Calibration, Compiled, Densities, Depths, Range, RowOrder, Settings};
use lacuna_compress::error::Error;
use lacuna_compress::manifest::{Model, NetworkLayer};
use lacuna_compress::model::{Activation, Conv, Nonzero, QuantizedLayer};
use lacuna_compress::spec::{LayerRecord, Section, Walk, WeightForm};

/// Direct weights: row r, column c holds r + c + 1.
fn layer(name: &str, rows: usize, columns: usize, conv: Option<Conv>) -> QuantizedLayer {
    let column = |c: usize| (0..rows).map(|r| Nonzero { row: r as u32, weight: (r + c + 1) as i32 }).collect();
    QuantizedLayer {
        name: name.into(),
        rows,
        columns: (0..columns).map(column).collect(),
        codebook: None,
        weight_fraction: 6,
        bias: vec![0.0; rows],
        activation: Activation::Relu,
        conv,
    }
}

/// Maps of 3 x 5 x 4, filters of 2 x 3, pooled by 2 from 4 x 2 results to 5 x 2 x 1; then 2 outputs.
fn layers() -> Vec<QuantizedLayer> {
    let conv = Conv { channels: 3, height: 5, width: 4, kernel: [2, 3], stride: 1, pool: 2 };
    vec![layer("conv", 5, 18, Some(conv)), layer("fc", 2, 10, None)]
}

fn settings(rows: RowOrder) -> Settings {
    Settings {
        pes: 2,
        fifo_depth: 4,
        weights: WeightForm::Direct,
        weight_bits: 8,
        run_bits: Some(4),
        entries_per_word: 1,
        depths: Depths::default(),
        acc_bits: Some(40),
        densities: Densities::Calibrated,
        rows,
        input_scale: 1.0,
        input_offset: 0.0,
    }
}

fn compiled(layers: &[QuantizedLayer], rows: RowOrder) -> Result<Compiled, Error> {
    let range = Range { low: 0.0, high: 1.0 };
    compile(layers, &settings(rows), Calibration::Given { input: range, outputs: &vec![range; layers.len()] })
}

#[test]
fn the_layer_table_walks_over_the_maps() {
    let found = compiled(&layers(), RowOrder::Model).unwrap();
    let (model, report) = (found.model, found.report);
    // 3 channels take two rows of a pixel, 5 three: 40 rows of input, 6 of the map between
    assert_eq!((model.arch().act_depth, model.arch().acc_depth, model.arch().conv), (40, 3, true));
    let table = LayerRecord::read_all(&model.image.sections[&Section::Layers]);
    assert_eq!((table[0].source_rows, table[0].last_lanes, table[0].out_rows), (12, 1, 3));
    let walk = Walk { run_rows: 6, line_rows: 8, step_x: 2, step_y: 8, out_width: 2, out_height: 4, pool: 2 };
    assert_eq!(table[0].walk, Some(walk));
    // of the 12 lanes that the two pixels have, the last is empty
    assert_eq!((table[1].source_rows, table[1].last_lanes, table[1].walk), (6, 1, Some(Walk::whole(6))));
    assert_eq!(table[1].ptr_base, 24);
    assert_eq!((model.network.input_size, model.network.output_size), (60, 2));
    assert_eq!((report.layers[0].places, report.layers[0].columns, report.layers[1].places), (8, 18, 1));
    assert_eq!(report.layers[0].weight_density, 1.0);
}

#[test]
fn a_sample_is_laid_out_pixel_by_pixel() {
    let model = compiled(&layers(), RowOrder::Model).unwrap().model;
    let values: Vec<i16> = (0..60).collect();
    let positions = model.arrange_input(values).unwrap();
    // pixel (0, 0) of the channels, and an empty lane; the last pixel's empty lane is left out
    assert_eq!(positions[..5], [0, 20, 40, 0, 1]);
    assert_eq!((positions.len(), &positions[76..]), (79, [19, 39, 59].as_slice()));
    assert!(model.quantize_input(&[0.0; 59]).unwrap_err().to_string().contains("the sample has 59 values, the network 60 inputs"));
}

#[test]
fn a_map_at_the_end_is_read_in_the_models_order() {
    let conv = layers().remove(0);
    for (order, expected) in [
        (vec![0, 1, 2, 3, 4], [0, 6, 1, 7, 2, 8, 3, 9, 4, 10]),
        // what lies in channel 0 is the model's channel 3
        (vec![3, 0, 1, 2, 4], [1, 7, 2, 8, 3, 9, 0, 6, 4, 10]),
    ] {
        let model = compiled(std::slice::from_ref(&conv), RowOrder::Given(vec![order])).unwrap().model;
        // 5 channels and an empty lane, twice
        let positions: Vec<i16> = (0..12).collect();
        assert_eq!(model.output_rows(&positions).unwrap(), expected);
        assert!(model.output_rows(&positions[..10]).is_err());
    }
}

#[test]
fn a_network_that_the_walk_cannot_express_is_refused() {
    let refused = |layers: &[QuantizedLayer], rows, text: &str| {
        let error = compiled(layers, rows).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    };
    let conv = |conv: Conv, filters: usize| vec![layer("conv", filters, conv.patch(), Some(conv))];
    let line = Conv { channels: 1, height: 1, width: 40, kernel: [1, 1], stride: 1, pool: 1 };
    refused(&conv(Conv { height: 40, pool: 16, ..line }, 1), RowOrder::Model, "layer conv: found pool 16, expected at most 15");
    let far = Conv { channels: 4, height: 1, width: 40, stride: 1000, ..line };
    refused(&conv(far, 1), RowOrder::Model, "found 80000 for step_y of its walk over the feature map, expected at most 65,535");
    refused(&conv(Conv { kernel: [1, 41], ..line }, 1), RowOrder::Model, "found filters of 1 x 41, expected at most its input, 1 x 40");
    let mut odd = layers();
    odd[1].columns.pop();
    refused(&odd, RowOrder::Model, "layer fc: it has 9 columns, the layer before it 10 outputs");
    let mut odd = layers();
    odd[0].columns.pop();
    refused(&odd, RowOrder::Model, "layer conv: it has 17 columns, its filters 18 weights");
    let mut two = layers();
    two.insert(1, layer("next", 1, 4, Some(Conv { channels: 4, height: 2, width: 1, kernel: [1, 1], stride: 1, pool: 1 })));
    refused(&two, RowOrder::Model, "layer next: it takes Shape");
    refused(&layers(), RowOrder::Given(vec![vec![0, 1, 2, 3, 3], vec![0, 1]]), "layer conv: row order: 3 occurs twice");
    refused(&layers(), RowOrder::Given(vec![vec![0, 1], vec![0, 1]]), "layer conv: row order: it has 2 places, expected 5");
}

#[test]
fn a_manifest_that_contradicts_the_layer_table_is_refused() {
    let model = compiled(&layers(), RowOrder::Balanced { seed: 1 }).unwrap().model;
    assert_eq!(Model::from_container(&model.to_container().unwrap()).unwrap(), model);
    type Change = fn(&mut NetworkLayer);
    let changes: [(Change, &str); 5] = [
        (|l| l.conv = None, "layer conv has 18 inputs"),
        (|l| l.conv.as_mut().unwrap().stride = 0, "layer conv: found 0 for stride, expected 1 to 65,535"),
        (|l| l.conv.as_mut().unwrap().stride = 2, "layer conv: found pool 2, expected at most 1: there are 2 x 1 results"),
        (|l| l.conv.as_mut().unwrap().kernel = [3, 2], "layer conv is described as"),
        (|l| l.conv.as_mut().unwrap().height = 6, "the network has 60 inputs, its first layer 72"),
    ];
    for (change, expected) in changes {
        let mut bad = model.clone();
        change(&mut bad.network.layers[0]);
        let error = bad.to_container().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}, expected {expected}");
    }
}
