//! From a quantized network to the memory image: formats, overflow check, row orders, depths, words.

mod lower;
pub(crate) mod pack;
mod ranges;
mod report;

pub use ranges::{Calibration, Range};
pub use report::{LayerReport, RangeReport, Report};

use crate::balance::{assign_rows, Balance};
use crate::config::{Auto, Config};
use crate::encode::{choose_run_bits, encode, Encoded, Interleave, RunChoice, RunProblem};
use crate::error::Error;
use crate::manifest::{Model, Network, NetworkLayer};
use crate::model::{Activation, QuantizedLayer};
use crate::shape::Shape;
use crate::spec::arch::ACT_BITS;
use crate::spec::{fixed, Arch, WeightForm};
use lower::Lowered;
use std::collections::BTreeMap;

/// Depths of the accelerator's memories; `None` is exactly what the model needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Depths {
    pub spmat: Option<usize>,
    pub ptr: Option<usize>,
    pub act: Option<usize>,
    pub acc: Option<usize>,
    pub bias: Option<usize>,
    pub max_layers: Option<usize>,
}

impl Depths {
    /// Those of an accelerator.
    pub fn of(arch: &Arch) -> Depths {
        Depths {
            spmat: Some(arch.spmat_depth),
            ptr: Some(arch.ptr_depth),
            act: Some(arch.act_depth),
            acc: Some(arch.acc_depth),
            bias: Some(arch.bias_depth),
            max_layers: Some(arch.max_layers),
        }
    }
}

/// How the rows of each layer are dealt to the PEs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RowOrder {
    /// Row `r` is position `r`.
    #[default]
    Model,
    /// `order[position] = row`, one order per layer.
    Given(Vec<Vec<u32>>),
    /// An assignment that balances the PEs' work, made from the weights and an activation density.
    Balanced { seed: u64 },
}

/// Expected share of non-zero activations at each layer's input, which row orders and the width of
/// the zero run are chosen for.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Densities {
    /// As measured on the calibration samples; 1 if ranges are given instead of samples.
    #[default]
    Calibrated,
    /// The same for all layers.
    Stated(f64),
    PerLayer(Vec<f64>),
}

/// The accelerator to compile for. What is `None` is chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub pes: usize,
    pub fifo_depth: usize,
    pub weights: WeightForm,
    pub weight_bits: usize,
    pub run_bits: Option<usize>,
    pub entries_per_word: usize,
    pub depths: Depths,
    /// `None` is the narrowest accumulator that cannot overflow.
    pub acc_bits: Option<usize>,
    pub densities: Densities,
    pub rows: RowOrder,
    /// The network's input is `stored value * input_scale + input_offset`; goes into the manifest.
    pub input_scale: f64,
    pub input_offset: f64,
}

impl Settings {
    /// For an accelerator like this one, with depths and accumulators as the network needs them.
    pub fn like(arch: &Arch) -> Settings {
        Settings {
            pes: arch.pes,
            fifo_depth: arch.fifo_depth,
            weights: arch.weights,
            weight_bits: arch.weight_bits,
            run_bits: Some(arch.run_bits),
            entries_per_word: arch.entries_per_word,
            depths: Depths::default(),
            acc_bits: None,
            densities: Densities::Stated(0.5),
            rows: RowOrder::Model,
            input_scale: 1.0,
            input_offset: 0.0,
        }
    }

    /// What a configuration file says.
    pub fn from_config(config: &Config) -> Settings {
        let a = &config.accelerator;
        let fixed = |value: Auto<usize>| match value {
            Auto::Auto => None,
            Auto::Fixed(number) => Some(number),
        };
        Settings {
            pes: a.pes,
            fifo_depth: a.fifo_depth,
            weights: a.weights,
            weight_bits: a.weight_bits,
            run_bits: fixed(a.run_bits),
            entries_per_word: a.entries_per_word,
            depths: Depths {
                spmat: fixed(a.spmat_depth),
                ptr: fixed(a.ptr_depth),
                act: fixed(a.act_depth),
                acc: fixed(a.acc_depth),
                bias: fixed(a.bias_depth),
                max_layers: fixed(a.max_layers),
            },
            acc_bits: Some(a.acc_bits),
            densities: Densities::Stated(config.compress.activation_density),
            rows: if config.compress.balance { RowOrder::Balanced { seed: config.compress.seed } } else { RowOrder::Model },
            input_scale: config.input.scale,
            input_offset: config.input.offset,
        }
    }
}

/// A compiled model, and what was decided on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    pub model: Model,
    pub report: Report,
}

/// A layer's numbers as the accelerator computes with them.
pub(crate) struct LayerNumbers {
    input_fraction: i32,
    output_fraction: i32,
    pub(crate) shift: u32,
    /// Of each model row, at the accumulator's fraction length, without the rounding constant.
    pub(crate) bias: Vec<i64>,
    /// Model row whose sum can become largest, and the bits that it needs.
    pub(crate) widest: (usize, usize),
}

/// Compiles a network. Errors: layers that do not chain or do not fit, an accumulator that could
/// overflow, a calibration without samples.
pub fn compile(layers: &[QuantizedLayer], settings: &Settings, calibration: Calibration) -> Result<Compiled, Error> {
    if settings.pes == 0 || settings.pes > 256 {
        return Err(Error::Network(format!("accelerator.pes is {}: 1 to 256 PEs are supported", settings.pes)));
    }
    check_layers(layers, settings)?;
    let measured = ranges::measure(layers, calibration)?;
    let fractions = ranges::fractions(layers, &measured.ranges);
    let numbers: Vec<LayerNumbers> =
        layers.iter().enumerate().map(|(l, layer)| layer_numbers(layer, fractions[l], fractions[l + 1])).collect::<Result<_, _>>()?;
    let acc_bits = accumulator_bits(layers, &numbers, settings.acc_bits)?;

    let densities = densities(&settings.densities, measured.densities.as_deref(), layers.len())?;
    let orders = row_orders(layers, settings, &densities)?;
    let lowered = lower::lower(layers, &orders, settings.pes)?;
    let problem = RunProblem {
        layers: &lowered.layers,
        pes: settings.pes,
        weight_bits: settings.weight_bits,
        row_orders: &orders,
        stored_columns: lowered.walks.is_some(),
        densities: &densities.iter().zip(&lowered.places).map(|(density, places)| density * *places as f64).collect::<Vec<_>>(),
    };
    let run = choose_run_bits(&problem, settings.run_bits)?;
    let encoded = encode_all(&lowered, settings, &orders, &run)?;
    let image = pack::pack(&lowered, &numbers, &encoded, settings, acc_bits, run.run_bits)?;

    let clipped = match calibration {
        Calibration::Samples(samples) => Some(ranges::count_clipped(layers, samples, &fractions)),
        Calibration::Given { .. } => None,
    };
    let network = describe(layers, &numbers, &encoded, settings);
    let report = report::report(layers, &lowered.places, &numbers, &encoded, &measured, clipped, &densities, run, &image);
    let orders = orders.into_iter().enumerate().filter_map(|(l, order)| Some((l, order?))).collect::<BTreeMap<_, _>>();
    Ok(Compiled { model: Model { image, network, orders, answer: None }, report })
}

fn densities(wanted: &Densities, measured: Option<&[f64]>, layers: usize) -> Result<Vec<f64>, Error> {
    let found = match (wanted, measured) {
        (Densities::Calibrated, Some(measured)) => measured.to_vec(),
        (Densities::Calibrated, None) => vec![1.0; layers],
        (Densities::Stated(density), _) => vec![*density; layers],
        (Densities::PerLayer(stated), _) => stated.clone(),
    };
    if found.len() != layers || found.iter().any(|d| !(0.0..=1.0).contains(d)) {
        return Err(Error::Network(format!("activation densities {found:?}: expected {layers} numbers from 0 to 1")));
    }
    Ok(found)
}

/// The rules that quantized layers keep among themselves and with the settings.
fn check_layers(layers: &[QuantizedLayer], settings: &Settings) -> Result<(), Error> {
    if layers.is_empty() {
        return Err(Error::Network("it has no layers".into()));
    }
    let bits = settings.weight_bits;
    let allowed = match settings.weights {
        WeightForm::Codebook => 2..=8,
        WeightForm::Direct => 2..=16,
    };
    if !allowed.contains(&bits) {
        return Err(Error::Network(format!("accelerator.weight_bits is {bits}, allowed are {} to {}", allowed.start(), allowed.end())));
    }
    if settings.run_bits.is_some_and(|r| !(2..=8).contains(&r)) {
        return Err(Error::Network(format!("accelerator.run_bits is {}: a zero run has 2 to 8 bits", settings.run_bits.unwrap_or(0))));
    }
    let mut flow: Option<Shape> = None;
    for layer in layers {
        let fault = |fault: String| Err(Error::Layer { layer: layer.name.clone(), fault });
        check_shapes(layer, flow).or_else(fault)?;
        flow = Some(Shape::of_outputs(layer));
        if layer.bias.len() != layer.rows {
            return fault(format!("it has {} biases, expected one for each of {} rows", layer.bias.len(), layer.rows));
        }
        if let Some(row) = layer.bias.iter().position(|b| !b.is_finite()) {
            return fault(format!("the bias of row {row} is {}", layer.bias[row]));
        }
        let limit = fixed::MAX_FRACTION;
        if !(-limit..=limit).contains(&layer.weight_fraction) {
            return fault(format!("its weights have fraction length {}, allowed are -{limit} to {limit}", layer.weight_fraction));
        }
        match (settings.weights, &layer.codebook) {
            (WeightForm::Codebook, Some(table)) if table.len() == 1 << bits && table[0] == 0 => (),
            (WeightForm::Codebook, Some(table)) => {
                let first = table.first().copied().unwrap_or(0);
                return fault(format!("its codebook has {} values and starts with {first}, expected {} and 0", table.len(), 1 << bits));
            }
            (WeightForm::Codebook, None) => return fault("its weights are direct, the accelerator expects codes".into()),
            (WeightForm::Direct, Some(_)) => return fault("its weights are codes, the accelerator expects direct ones".into()),
            (WeightForm::Direct, None) => (),
        }
        let (low, high) = match settings.weights {
            WeightForm::Codebook => (1, (1 << bits) - 1),
            WeightForm::Direct => fixed::limits(bits),
        };
        for (c, column) in layer.columns.iter().enumerate() {
            if let Some(n) = column.iter().find(|n| !(low..=high).contains(&i64::from(n.weight)) || n.row as usize >= layer.rows) {
                let allowed = format!("weights {low} to {high} in {} rows", layer.rows);
                return fault(format!("column {c} holds weight {} in row {}, expected {allowed}", n.weight, n.row));
            }
        }
    }
    Ok(())
}

/// Does a layer fit what comes before it? The first layer takes what it does.
fn check_shapes(layer: &QuantizedLayer, before: Option<Shape>) -> Result<(), String> {
    let columns = layer.columns.len();
    if let Some(conv) = &layer.conv {
        conv.check()?;
        if columns != conv.patch() {
            return Err(format!("it has {columns} columns, its filters {} weights", conv.patch()));
        }
        let input = Shape::input(conv);
        return match before {
            Some(found) if found != input => Err(format!("it takes {input:?}, the layer before it makes {found:?}")),
            _ => Ok(()),
        };
    }
    match before {
        Some(found) if found.pixels() > 1 && found.values() != columns => {
            Err(format!("it has {columns} columns, the layer before it {} outputs", found.values()))
        }
        Some(found) if found.values() != columns => Err(format!("it has {columns} columns, the layer before it {} rows", found.values())),
        _ => Ok(()),
    }
}

/// Shift, biases, and the bits that the largest sum of any row takes.
pub(crate) fn layer_numbers(layer: &QuantizedLayer, input_fraction: i32, output_fraction: i32) -> Result<LayerNumbers, Error> {
    let fault = |fault: String| Error::Layer { layer: layer.name.clone(), fault };
    let limit = fixed::MAX_FRACTION;
    if !(-limit..=limit).contains(&output_fraction) {
        return Err(fault(format!("its outputs would need fraction length {output_fraction}, allowed are -{limit} to {limit}")));
    }
    let product = input_fraction + layer.weight_fraction;
    let shift = u32::try_from(product - output_fraction).expect("the output format was chosen for a shift of 0 or more");
    let largest_act = i128::from(-fixed::limits(ACT_BITS).0);
    let mut reach = vec![i128::from(fixed::rounding(shift)); layer.rows];
    for n in layer.columns.iter().flatten() {
        reach[n.row as usize] += i128::from(layer.value(n.weight).abs()) * largest_act;
    }
    // a bias of 62 bits is beyond every accumulator, whatever its exact value
    let bias: Vec<i64> = layer.bias.iter().map(|b| fixed::quantize(f64::from(*b), 62, product)).collect();
    reach.iter_mut().zip(&bias).for_each(|(sum, b)| *sum += i128::from(b.abs()));
    // of equal ones, the first row
    let row = (0..layer.rows).rev().max_by_key(|r| reach[*r]).unwrap_or(0);
    let needed = signed_bits(reach.get(row).copied().unwrap_or(0));
    Ok(LayerNumbers { input_fraction, output_fraction, shift, bias, widest: (row, needed) })
}

/// Bits of a two's complement number that holds `sum` and `-sum`, at least 2.
pub(crate) fn signed_bits(sum: i128) -> usize {
    let mut bits = 2;
    while sum > (1i128 << (bits - 1)) - 1 {
        bits += 1;
    }
    bits
}

/// The least and the most bits of an accumulator.
pub(crate) const ACC_WIDTHS: (usize, usize) = (24, 48);

/// The accumulator's width; an error if a sum of any row could leave it.
fn accumulator_bits(layers: &[QuantizedLayer], numbers: &[LayerNumbers], fixed_bits: Option<usize>) -> Result<usize, Error> {
    let widest = (0..layers.len()).rev().max_by_key(|l| numbers[*l].widest.1).unwrap_or(0);
    let (row, needed) = numbers[widest].widest;
    let available = fixed_bits.unwrap_or(ACC_WIDTHS.1);
    if needed > available {
        return Err(Error::Accumulator { layer: layers[widest].name.clone(), row, needed, found: available });
    }
    Ok(fixed_bits.unwrap_or(needed.max(ACC_WIDTHS.0)))
}

fn row_orders(layers: &[QuantizedLayer], settings: &Settings, densities: &[f64]) -> Result<Vec<Option<Vec<u32>>>, Error> {
    let mut orders: Vec<Option<Vec<u32>>> = match &settings.rows {
        RowOrder::Model => vec![None; layers.len()],
        RowOrder::Given(orders) if orders.len() == layers.len() => orders.iter().cloned().map(Some).collect(),
        RowOrder::Given(orders) => {
            return Err(Error::Network(format!("{} row orders are given, it has {} layers", orders.len(), layers.len())));
        }
        RowOrder::Balanced { seed } => balanced(layers, settings.pes, *seed, densities),
    };
    for (order, layer) in orders.iter_mut().zip(layers) {
        // an order that changes nothing takes no place in the container
        if order.as_ref().is_some_and(|o| o.iter().map(|row| *row as usize).eq(0..layer.rows)) {
            *order = None;
        }
    }
    Ok(orders)
}

/// Balances layer after layer, each with its columns in the order in which they will be read.
fn balanced(layers: &[QuantizedLayer], pes: usize, seed: u64, densities: &[f64]) -> Vec<Option<Vec<u32>>> {
    let mut orders: Vec<Option<Vec<u32>>> = vec![];
    for (layer, density) in layers.iter().zip(densities) {
        let rows_of = |column: usize| layer.columns[column].iter().map(|n| n.row).collect();
        let kept = lower::kept(layer, lower::before(layers, &orders, orders.len()), pes);
        let columns: Vec<Vec<u32>> = kept.into_iter().map(|column| column.map_or(vec![], rows_of)).collect();
        orders.push(Some(assign_rows(layer.rows, &columns, &Balance { pes, density: *density, seed })));
    }
    orders
}

fn encode_all(lowered: &Lowered, settings: &Settings, orders: &[Option<Vec<u32>>], run: &RunChoice) -> Result<Vec<Encoded>, Error> {
    let one = |(l, layer): (usize, &QuantizedLayer)| {
        let column_order = if l == 0 || lowered.walks.is_some() { None } else { orders[l - 1].as_deref() };
        let how = Interleave {
            pes: settings.pes,
            weight_bits: settings.weight_bits,
            run_bits: run.run_bits,
            row_order: orders[l].as_deref(),
            column_order,
        };
        encode(layer, &how)
    };
    lowered.layers.iter().enumerate().map(one).collect()
}

fn describe(layers: &[QuantizedLayer], numbers: &[LayerNumbers], encoded: &[Encoded], settings: &Settings) -> Network {
    let one = |((layer, n), e): ((&QuantizedLayer, &LayerNumbers), &Encoded)| NetworkLayer {
        name: layer.name.clone(),
        rows: layer.rows,
        columns: layer.columns.len(),
        activation: layer.activation,
        nonzeros: e.nonzeros,
        padding: e.padding,
        parameters: layer.rows * layer.columns.len() + layer.bias.len(),
        weight_fraction: layer.weight_fraction,
        input_fraction: n.input_fraction,
        output_fraction: n.output_fraction,
        conv: layer.conv,
    };
    let described: Vec<NetworkLayer> = layers.iter().zip(numbers).zip(encoded).map(one).collect();
    let (first, last) = (&described[0], &described[described.len() - 1]);
    Network {
        input_size: layers[0].inputs(),
        output_size: layers[layers.len() - 1].outputs(),
        input_fraction: first.input_fraction,
        output_fraction: last.output_fraction,
        input_scale: settings.input_scale,
        input_offset: settings.input_offset,
        parameters: described.iter().map(|l| l.parameters).sum(),
        layers: described,
    }
}

/// Is the layer's activation a ReLU?
fn relu(layer: &QuantizedLayer) -> bool {
    layer.activation == Activation::Relu
}
