//! Networks with convolutions drawn from a seed, and what they compute, from the definition.

use lacuna_compress::compile::{compile, Calibration, Densities, Depths, Range, RowOrder, Settings};
use lacuna_compress::manifest::Model;
use lacuna_compress::model::{Activation, Conv, Nonzero, QuantizedLayer};
use lacuna_compress::spec::walk::map_position;
use lacuna_compress::spec::WeightForm;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What an architecture fixes; networks that fit it share their hardware.
#[derive(Clone, Copy, Debug)]
pub struct Hardware {
    pub pes: usize,
    pub fifo_depth: usize,
    pub weights: WeightForm,
    pub entries_per_word: usize,
    pub act_depth: usize,
}

/// A network, and what to run on it.
pub struct ConvCase {
    pub name: String,
    pub layers: Vec<QuantizedLayer>,
    pub model: Model,
    /// In the order channel, row, column.
    pub inputs: Vec<Vec<i16>>,
}

fn pick<T: Copy>(rng: &mut ChaCha8Rng, from: &[T]) -> T {
    from[rng.random_range(0..from.len())]
}

/// Weights of a layer, sparse, some filters and columns empty.
pub fn layer(rng: &mut ChaCha8Rng, name: &str, rows: usize, columns: usize, form: WeightForm, density: f64) -> QuantizedLayer {
    let limit = 1 << (weight_bits(form) - 1);
    let codebook: Vec<i16> = (0..1 << weight_bits(form)).map(|c| if c == 0 { 0 } else { rng.random_range(-4096..4096) }).collect();
    let column = |rng: &mut ChaCha8Rng| {
        let empty = rng.random_bool(0.1);
        let kept: Vec<u32> = (0..rows as u32).filter(|_| !empty && rng.random_bool(density)).collect();
        let weight = |rng: &mut ChaCha8Rng| match form {
            WeightForm::Codebook => rng.random_range(1..codebook.len() as i32),
            WeightForm::Direct => Some(rng.random_range(-limit..limit)).filter(|w| *w != 0).unwrap_or(1),
        };
        kept.into_iter().map(|row| Nonzero { row, weight: weight(rng) }).collect()
    };
    QuantizedLayer {
        name: name.into(),
        rows,
        columns: (0..columns).map(|_| column(rng)).collect(),
        codebook: (form == WeightForm::Codebook).then(|| codebook.clone()),
        weight_fraction: if form == WeightForm::Codebook { 12 } else { 5 },
        bias: (0..rows).map(|_| rng.random_range(-0.3..0.3)).collect(),
        activation: if rng.random_bool(0.5) { Activation::Relu } else { Activation::None },
        conv: None,
    }
}

fn weight_bits(form: WeightForm) -> usize {
    match form {
        WeightForm::Codebook => 4,
        WeightForm::Direct => 6,
    }
}

/// One to three layers, the first ones convolutions, and what they could be compiled for.
fn layers(rng: &mut ChaCha8Rng, form: WeightForm) -> Vec<QuantizedLayer> {
    let count = rng.random_range(1..=3);
    let convolutions = if count == 1 { 1 } else { count - rng.random_range(0..2) };
    let mut shape = [rng.random_range(1..=6), rng.random_range(3..=12), rng.random_range(3..=12)];
    let mut all = vec![];
    for number in 0..count {
        let density = pick(rng, &[0.1, 0.4, 0.9]);
        let name = format!("layer{number}");
        let rows = rng.random_range(1..=9);
        if number >= convolutions {
            all.push(layer(rng, &name, rows, shape.iter().product(), form, density));
            shape = [rows, 1, 1];
            continue;
        }
        let [channels, height, width] = shape;
        let kernel = [height, width].map(|side: usize| rng.random_range(1..=side.min(5)));
        let stride = rng.random_range(1..=2);
        let mut conv = Conv { channels, height, width, kernel, stride, pool: 1 };
        let most = conv.output().into_iter().min().unwrap_or(1).min(3);
        conv.pool = rng.random_range(1..=most);
        all.push(QuantizedLayer { conv: Some(conv), ..layer(rng, &name, rows, conv.patch(), form, density) });
        let [down, across] = conv.output();
        shape = [rows, down, across];
    }
    all
}

/// The case of a seed; the networks that do not fit are drawn again.
pub fn conv_case(hardware: &Hardware, seed: u64) -> ConvCase {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..200 {
        let layers = layers(&mut rng, hardware.weights);
        if let Ok(case) = case_of(hardware, layers, &mut rng) {
            return ConvCase { name: format!("seed {seed}: {}", case.name), ..case };
        }
    }
    panic!("seed {seed}: no network fits {hardware:?}");
}

/// Compiles given layers for the hardware's depths; ranges that make some results saturate.
pub fn case_of(hardware: &Hardware, layers: Vec<QuantizedLayer>, rng: &mut ChaCha8Rng) -> Result<ConvCase, String> {
    let depths = Depths {
        spmat: Some(1024 / hardware.entries_per_word),
        ptr: Some(700),
        act: Some(hardware.act_depth),
        acc: Some(9),
        bias: Some(27),
        max_layers: Some(3),
    };
    let rows = if rng.random_bool(0.5) { RowOrder::Balanced { seed: rng.next_u64() } } else { RowOrder::Model };
    let settings = Settings { depths, rows, ..settings(hardware) };
    let model = compiled(&settings, &layers, rng)?;
    let inputs = inputs(rng, layers[0].conv.map_or(0, |conv| conv.inputs()));
    let what: Vec<String> = layers.iter().map(|l| format!("{:?} -> {}", l.conv, l.rows)).collect();
    Ok(ConvCase { name: format!("{hardware:?}, {}", what.join("; ")), layers, model, inputs })
}

/// Compiles with random ranges of the results, some of which saturate.
pub fn compiled(settings: &Settings, layers: &[QuantizedLayer], rng: &mut ChaCha8Rng) -> Result<Model, String> {
    let outputs: Vec<Range> = layers
        .iter()
        .map(|layer| {
            let weights = layer.nonzeros() as f64 / layer.rows as f64;
            let high = (0.2 + 0.3 * weights.sqrt()) * rng.random_range(0.5..3.0);
            Range { low: -high, high }
        })
        .collect();
    let calibration = Calibration::Given { input: Range { low: -1.0, high: 1.0 }, outputs: &outputs };
    compile(layers, settings, calibration).map(|compiled| compiled.model).map_err(|e| e.to_string())
}

/// Settings with every depth as needed.
pub fn settings(hardware: &Hardware) -> Settings {
    Settings {
        pes: hardware.pes,
        fifo_depth: hardware.fifo_depth,
        weights: hardware.weights,
        weight_bits: weight_bits(hardware.weights),
        run_bits: Some(3),
        entries_per_word: hardware.entries_per_word,
        depths: Depths::default(),
        acc_bits: Some(40),
        densities: Densities::Stated(0.5),
        rows: RowOrder::Model,
        input_scale: 1.0,
        input_offset: 0.0,
    }
}

/// Maps of any density: none, some and all of their values.
pub fn inputs(rng: &mut ChaCha8Rng, values: usize) -> Vec<Vec<i16>> {
    let draw = |rng: &mut ChaCha8Rng, density: f64| {
        (0..values).map(|_| if rng.random_bool(density) { (rng.next_u32() as i16) >> rng.random_range(0..4) } else { 0 }).collect()
    };
    [0.0, 0.15, 0.6, 1.0].map(|density| draw(rng, density)).to_vec()
}

impl ConvCase {
    /// An input as it lies in the source buffers, up to the last position that the network reads.
    pub fn positions(&self, input: &[i16], count: usize) -> Vec<i16> {
        let pes = self.model.arch().pes;
        let conv = self.layers[0].conv.expect("the first layer is a convolution");
        let mut lanes = vec![0; count];
        for channel in 0..conv.channels {
            for (pixel, value) in input[channel * conv.height * conv.width..][..conv.height * conv.width].iter().enumerate() {
                let q = map_position(pixel / conv.width, pixel % conv.width, channel, conv.width, conv.channels, pes);
                if q < count {
                    lanes[q] = *value;
                }
            }
        }
        lanes
    }

    /// Every layer's results from the definition, in the order channel, row, column, in wide integers.
    pub fn expected(&self, input: &[i16]) -> Vec<Vec<i16>> {
        let mut vector: Vec<i128> = input.iter().map(|a| i128::from(*a)).collect();
        let mut all = vec![];
        for (layer, described) in self.layers.iter().zip(&self.model.network.layers) {
            let product = described.input_fraction + layer.weight_fraction;
            let divisor = 1i128 << (product - described.output_fraction);
            let low = if layer.activation == Activation::Relu { 0 } else { -32768 };
            let result = |row: usize, sum: i128| {
                let bias = (f64::from(layer.bias[row]) * 2f64.powi(product) + 0.5).floor() as i128;
                // the nearest integer to the quotient, halves upwards
                (2 * (sum + bias) + divisor).div_euclid(2 * divisor).clamp(low, 32767)
            };
            let mut weights = vec![vec![0; layer.columns.len()]; layer.rows];
            for (c, column) in layer.columns.iter().enumerate() {
                column.iter().for_each(|n| weights[n.row as usize][c] = i128::from(layer.value(n.weight)));
            }
            vector = match layer.conv {
                None => (0..layer.rows).map(|row| result(row, weights[row].iter().zip(&vector).map(|(w, a)| w * a).sum())).collect(),
                Some(conv) => {
                    let [down, across] = conv.output();
                    let sum = |row: usize, y: usize, x: usize| {
                        let mut sum = 0;
                        for c in 0..conv.channels {
                            for i in 0..conv.kernel[0] {
                                for j in 0..conv.kernel[1] {
                                    let weight = weights[row][(c * conv.kernel[0] + i) * conv.kernel[1] + j];
                                    sum += weight * vector[(c * conv.height + y * conv.stride + i) * conv.width + x * conv.stride + j];
                                }
                            }
                        }
                        sum
                    };
                    let window = |row: usize, y: usize, x: usize| {
                        let square = (0..conv.pool * conv.pool).map(|k| (y * conv.pool + k / conv.pool, x * conv.pool + k % conv.pool));
                        square.map(|(y, x)| result(row, sum(row, y, x))).max()
                    };
                    let places = (0..layer.rows * down * across).map(|k| (k / (down * across), k / across % down, k % across));
                    places.filter_map(|(row, y, x)| window(row, y, x)).collect()
                }
            };
            all.push(vector.iter().map(|v| *v as i16).collect());
        }
        all
    }
}
