//! EIE's nine layers as random matrices (Tables III and IV of the paper): Bernoulli weights at the stated
//! densities, and exactly `round(density x inputs)` active columns. A seed fixes everything.

use anyhow::Result;
use lacuna_compress::compile::{compile, Calibration, Densities, Depths, Range, RowOrder, Settings};
use lacuna_compress::manifest::Model;
use lacuna_compress::model::{Activation, Nonzero, QuantizedLayer};
use lacuna_compress::spec::WeightForm;
use lacuna_sim::golden::Golden;
use lacuna_sim::perf::{Network, Timing};

/// A layer of Table III, and its time in Table IV.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    pub name: &'static str,
    pub inputs: usize,
    pub outputs: usize,
    pub weight_density: f64,
    pub activation_density: f64,
    /// Cycles at 800 MHz: Table IV "actual", 64 PEs.
    pub table_iv: f64,
    /// Cycles of EIE's own simulator on such a matrix.
    pub simulator: f64,
}

const fn shape(name: &'static str, inputs: usize, outputs: usize, densities: (f64, f64), microseconds: (f64, f64)) -> Shape {
    let (weight_density, activation_density) = densities;
    Shape { name, inputs, outputs, weight_density, activation_density, table_iv: microseconds.0 * 800.0, simulator: microseconds.1 * 800.0 }
}

pub const NINE: [Shape; 9] = [
    shape("Alex-6", 9216, 4096, (0.09, 0.351), (30.3, 28.79)),
    shape("Alex-7", 4096, 4096, (0.09, 0.353), (12.2, 12.98)),
    shape("Alex-8", 4096, 1000, (0.25, 0.375), (9.9, 8.18)),
    shape("VGG-6", 25088, 4096, (0.04, 0.183), (34.4, 25.01)),
    shape("VGG-7", 4096, 4096, (0.04, 0.375), (8.7, 8.42)),
    shape("VGG-8", 4096, 1000, (0.23, 0.411), (8.4, 8.31)),
    shape("NT-We", 4096, 600, (0.10, 1.0), (8.0, 7.55)),
    shape("NT-Wd", 600, 8791, (0.11, 1.0), (13.9, 13.33)),
    shape("NT-LSTM", 1201, 2400, (0.10, 1.0), (7.5, 6.76)),
];

/// Of the nine matrices and inputs.
pub const SEED: u64 = 1;
/// Of the assignment of rows to PEs.
pub const BALANCE_SEED: u64 = 1;
/// What all layers have in common.
pub const CONFIG: &str = "4-bit codebook, 8-bit runs, 1 entry per word, balanced rows";

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }
    /// 0 to 1, 1 excluded.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
    /// Two independent numbers of mean 0 and variance 1 (Box and Muller 1958).
    pub fn normal(&mut self) -> [f64; 2] {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * self.unit()).sin_cos();
        [radius * cosine, radius * sine]
    }
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// The remainder's bias is below 2^-40 for the sizes of layers.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    /// One of several, which must not be none.
    pub fn of(&mut self, several: &[usize]) -> usize {
        several[self.below(several.len())]
    }
    /// A whole number whose logarithm is uniform.
    pub fn log(&mut self, least: f64, most: f64) -> usize {
        (least * (most / least).powf(self.unit())).round() as usize
    }
}

/// A layer with its input: what the network takes, one value per column.
pub struct Layer {
    pub shape: Shape,
    pub weights: QuantizedLayer,
    pub input: Vec<f32>,
}

/// Codes of the codebook: 1 to 15, and 0 for padding.
const CODES: usize = 16;

impl Shape {
    /// Draws the layer. The same seed gives the same layer on every machine.
    pub fn draw(&self, seed: u64) -> Layer {
        // layers of one seed differ by their size and density
        let own = (self.inputs as u64) << 32 ^ (self.outputs as u64) << 8 ^ (self.weight_density * 100.0).round() as u64;
        let mut random = Random(Random(seed ^ own).next());
        let threshold = (self.weight_density * f64::from(u32::MAX)).round() as u32;
        let columns = (0..self.inputs).map(|_| {
            let rows = (0..self.outputs as u32).filter_map(|row| {
                let draw = random.next();
                // the high half decides, the low half chooses the code
                ((draw >> 32) as u32 <= threshold).then(|| Nonzero { row, weight: 1 + (draw as u32 % (CODES as u32 - 1)) as i32 })
            });
            rows.collect()
        });
        let columns = columns.collect();
        // values around zero without zero itself
        let codebook = (0..CODES as i16).map(|code| if code == 0 { 0 } else { (2 * code - 17) * 256 }).collect();
        let weights = QuantizedLayer {
            name: self.name.to_string(),
            rows: self.outputs,
            columns,
            codebook: Some(codebook),
            weight_fraction: 15,
            bias: vec![0.0; self.outputs],
            activation: Activation::Relu,
            conv: None,
        };
        Layer { shape: *self, weights, input: self.draw_input(&mut random) }
    }

    fn draw_input(&self, random: &mut Random) -> Vec<f32> {
        let mut columns: Vec<usize> = (0..self.inputs).collect();
        let active = (self.activation_density * self.inputs as f64).round() as usize;
        let mut input = vec![0.0; self.inputs];
        for i in 0..active {
            columns.swap(i, i + random.below(self.inputs - i));
            // never zero at any fraction length from 10 bits on
            input[columns[i]] = (1 + random.below(1023)) as f32 / 1024.0;
        }
        input
    }
}

/// The settings of all synthetic layers.
fn settings(shape: &Shape, pes: usize, fifo_depth: usize) -> Settings {
    Settings {
        pes,
        fifo_depth,
        weights: WeightForm::Codebook,
        weight_bits: 4,
        run_bits: Some(8),
        // one PE has more entries than a memory may have words
        entries_per_word: if pes == 1 { 2 } else { 1 },
        depths: Depths::default(),
        acc_bits: None,
        densities: Densities::Stated(shape.activation_density),
        rows: RowOrder::Balanced { seed: BALANCE_SEED },
        input_scale: 1.0,
        input_offset: 0.0,
    }
}

/// A compiled layer, ready to be run and to be timed.
pub struct Compiled {
    pub model: Model,
    pub input: Vec<i16>,
    network: Network,
    active: Vec<u32>,
}

impl Layer {
    /// Compiles for `pes` PEs, with memories that fit this layer.
    pub fn compile(&self, pes: usize, fifo_depth: usize) -> Result<Compiled> {
        let active = self.input.iter().filter(|a| **a != 0.0).count();
        // four standard deviations of a sum of independent terms: weights up to 0.12, activations up to 1
        let reach = 4.0 * 0.04 * (active as f64 * self.shape.weight_density).sqrt().max(1.0);
        let calibration = Calibration::Given { input: Range { low: 0.0, high: 1.0 }, outputs: &[Range { low: 0.0, high: reach }] };
        let model = compile(std::slice::from_ref(&self.weights), &settings(&self.shape, pes, fifo_depth), calibration)?.model;
        let input = model.quantize_input(&self.input)?;
        let network = Network::new(&Golden::new(&model.image)?);
        let active = input.iter().enumerate().filter(|(_, a)| **a != 0).map(|(column, _)| column as u32).collect();
        Ok(Compiled { model, input, network, active })
    }
}

impl Compiled {
    /// The same with queues of another depth.
    pub fn set_fifo(&mut self, fifo_depth: usize) {
        self.model.image.arch.fifo_depth = fifo_depth;
        self.network.array.fifo_depth = fifo_depth;
    }
    /// Cycles as the cycle model has them.
    pub fn timing(&self) -> Timing {
        self.network.array.time(&self.network.loads[0], &self.active)
    }
}
