//! Compiled networks with convolutions compute what their layers say: the golden model's answers from the image's words are
//! those of plain integer arithmetic on the layers.

use lacuna_compress::compile::{compile, Calibration, Densities, Depths, RowOrder, Settings};
use lacuna_compress::inputs::Samples;
use lacuna_compress::manifest::Model;
use lacuna_compress::model::{Activation, Conv, Nonzero, QuantizedLayer};
use lacuna_compress::spec::WeightForm;
use lacuna_sim::golden::Golden;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Fraction lengths: input, output, weights.
type Fractions = [i32; 3];

/// A layer on a vector in the model's order, in integers.
fn layer(layer: &QuantizedLayer, input: &[i64], [before, after, weights]: Fractions) -> Vec<i64> {
    let patch = |c: usize| (layer.columns.len(), c);
    let unit = |fraction: i32| 2f64.powi(fraction);
    let shift = before + weights - after;
    let sum_of = |row: u32, value: &dyn Fn(usize) -> i64| {
        let bias = (f64::from(layer.bias[row as usize]) * unit(before + weights) + 0.5).floor() as i64;
        let product = |(c, n): (usize, &Nonzero)| if n.row == row { layer.value(n.weight) * value(c) } else { 0 };
        let products: i64 = (0..patch(0).0).flat_map(|c| layer.columns[c].iter().map(move |n| (c, n))).map(product).sum();
        let rounded = (bias + products + if shift > 0 { 1 << (shift - 1) } else { 0 }) >> shift;
        let limited = rounded.clamp(-32768, 32767);
        if layer.activation == Activation::Relu {
            limited.max(0)
        } else {
            limited
        }
    };
    let Some(conv) = layer.conv else {
        return (0..layer.rows as u32).map(|row| sum_of(row, &|c| input[c])).collect();
    };
    let [height, width] = conv.output();
    let [kh, kw] = conv.kernel;
    let mut out = vec![];
    for row in 0..layer.rows as u32 {
        for y in 0..height {
            for x in 0..width {
                let places = (0..conv.pool).flat_map(|i| (0..conv.pool).map(move |j| (i, j)));
                let at = |(i, j): (usize, usize)| {
                    let (top, left) = ((y * conv.pool + i) * conv.stride, (x * conv.pool + j) * conv.stride);
                    sum_of(row, &|c| input[(c / (kh * kw) * conv.height + top + c / kw % kh) * conv.width + left + c % kw])
                };
                out.push(places.map(at).max().unwrap());
            }
        }
    }
    out
}

/// A network of random weights: convolutions, then fully connected layers, perhaps none.
fn network(rng: &mut ChaCha8Rng, form: WeightForm, bits: usize) -> Vec<QuantizedLayer> {
    let mut layers: Vec<QuantizedLayer> = vec![];
    let [mut channels, mut height, mut width] = [rng.random_range(1..=5), rng.random_range(4..=9), rng.random_range(4..=9)];
    let mut maps = rng.random_range(1..=2);
    for number in 0..maps + rng.random_range(0..=2) {
        let rows = rng.random_range(1..=7);
        let conv = (number < maps).then(|| {
            let kernel = [rng.random_range(1..=height.min(3)), rng.random_range(1..=width.min(3))];
            let stride = rng.random_range(1..=2);
            let places = ((height - kernel[0]) / stride + 1).min((width - kernel[1]) / stride + 1);
            Conv { channels, height, width, kernel, stride, pool: rng.random_range(1..=places.min(3)) }
        });
        maps = if number == 0 { maps } else { maps.min(number + 1) };
        let columns = conv.map_or(channels * height * width, |conv| conv.patch());
        let codebook: Vec<i16> = (0..1 << bits).map(|c| if c == 0 { 0 } else { rng.random_range(-3000..3000) }).collect();
        let weight = |rng: &mut ChaCha8Rng| match form {
            WeightForm::Codebook => rng.random_range(1..codebook.len() as i32),
            WeightForm::Direct => rng.random_range(1..1 << (bits - 1)) * if rng.random_bool(0.5) { 1 } else { -1 },
        };
        let density = [0.2, 0.6, 1.0][rng.random_range(0..3)];
        let mut column = || -> Vec<Nonzero> {
            let kept: Vec<u32> = (0..rows as u32).filter(|_| rng.random_bool(density)).collect();
            kept.into_iter().map(|row| Nonzero { row, weight: weight(rng) }).collect()
        };
        let columns = (0..columns).map(|_| column()).collect();
        layers.push(QuantizedLayer {
            name: format!("layer{number}"),
            rows,
            columns,
            codebook: (form == WeightForm::Codebook).then_some(codebook.clone()),
            weight_fraction: if form == WeightForm::Codebook { 13 } else { bits as i32 - 2 },
            bias: (0..rows).map(|_| rng.random_range(-0.5..0.5)).collect(),
            activation: if rng.random_bool(0.5) { Activation::Relu } else { Activation::None },
            conv,
        });
        [channels, height, width] = conv.map_or([rows, 1, 1], |conv| [rows, conv.output()[0], conv.output()[1]]);
    }
    layers
}

fn compiled(rng: &mut ChaCha8Rng, layers: &[QuantizedLayer], form: WeightForm, bits: usize, samples: &Samples) -> Model {
    let order = |layer: &QuantizedLayer, rng: &mut ChaCha8Rng| {
        let mut order: Vec<u32> = (0..layer.rows as u32).collect();
        order.shuffle(rng);
        order
    };
    let settings = Settings {
        pes: [1, 2, 3, 4, 8][rng.random_range(0..5)],
        fifo_depth: 4,
        weights: form,
        weight_bits: bits,
        run_bits: None,
        entries_per_word: 4,
        depths: Depths::default(),
        acc_bits: Some(48),
        densities: Densities::Calibrated,
        rows: match rng.random_range(0..3) {
            0 => RowOrder::Model,
            1 => RowOrder::Balanced { seed: 3 },
            _ => RowOrder::Given(layers.iter().map(|layer| order(layer, rng)).collect()),
        },
        input_scale: 1.0,
        input_offset: 0.0,
    };
    compile(layers, &settings, Calibration::Samples(samples)).unwrap().model
}

#[test]
fn the_image_computes_what_the_layers_say() {
    let mut nonzero = 0;
    for seed in 0..60 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (form, bits) = if rng.random_bool(0.5) { (WeightForm::Codebook, 4) } else { (WeightForm::Direct, 8) };
        let layers = network(&mut rng, form, bits);
        let size = layers[0].inputs();
        let data = (0..4 * size).map(|_| if rng.random_bool(0.7) { rng.random_range(-1.0f32..1.0) } else { 0.0 }).collect();
        let samples = Samples { count: 4, size, data };
        let model = compiled(&mut rng, &layers, form, bits, &samples);
        assert!(model.arch().conv);
        let model = Model::from_container(&model.to_container().unwrap()).unwrap();
        let golden = Golden::new(&model.image).unwrap();
        for sample in samples.iter() {
            let scale = 2f64.powi(model.network.input_fraction);
            let quantized = |v: &f32| ((f64::from(*v) * scale + 0.5).floor() as i64).clamp(-32768, 32767);
            let mut vector: Vec<i64> = sample.iter().map(quantized).collect();
            for (l, n) in layers.iter().zip(&model.network.layers) {
                vector = layer(l, &vector, [n.input_fraction, n.output_fraction, n.weight_fraction]);
            }
            let answer = golden.infer(&model.quantize_input(sample).unwrap()).unwrap();
            let answer: Vec<i64> = model.output_rows(&answer).unwrap().into_iter().map(i64::from).collect();
            assert_eq!(answer, vector, "seed {seed}");
            nonzero += vector.iter().filter(|v| **v != 0).count();
        }
    }
    assert!(nonzero > 1000, "{nonzero} outputs say something");
}
