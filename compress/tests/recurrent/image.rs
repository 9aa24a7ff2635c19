//! What the words of an image mean: formats that meet, fused rows, and the numbers that come out.

use super::*;
use lacuna_compress::encode::signed;
use lacuna_compress::model::Matrix;
use lacuna_compress::spec::layout::pointer_place;
use lacuna_compress::spec::{fixed, Entry, MemoryKind, Parameters, Section};

/// The program and the parameter word of each cell and row.
fn parameters(compiled: &CompiledRecurrent) -> Vec<Parameters> {
    let words = &compiled.model.image.sections[&Section::Parameters];
    (0..words.len()).map(|i| Parameters::read(words, i, compiled.model.arch())).collect()
}

#[test]
fn products_bias_and_peepholes_of_a_gate_have_one_fraction_length() {
    for seed in 0..60 {
        let (network, settings) = random_network(seed);
        let compiled = compiled(&network, &settings);
        let (program, parameters) = (compiled.model.program(), parameters(&compiled));
        let mut matrices = compiled.report.matrices.iter();
        let mut input_fraction = compiled.model.network.input_fraction;
        let jobs = program.iter().filter(|op| op.job == Job::Cells);
        for ((layer, op), described) in network.lstm.iter().zip(jobs).zip(&compiled.model.network.lstm) {
            assert_eq!((described.input_fraction, 30 - op.cell_shift as i32), (input_fraction, described.cell_fraction), "seed {seed}");
            for gate in 0..4 {
                let (x, h) = (matrices.next().unwrap(), matrices.next().unwrap());
                assert_eq!(
                    (x.activation_fraction, h.activation_fraction),
                    (described.input_fraction, described.hidden_fraction),
                    "seed {seed}"
                );
                let fraction = x.product_fraction;
                assert_eq!(fraction, h.product_fraction, "seed {seed} {}", x.name);
                let function = if gate == 2 && layer.candidate == Candidate::Tanh { 12 } else { 11 };
                assert_eq!(op.shifts[gate] as i32, fraction - function, "seed {seed}");
                let peephole = [Some(0), Some(1), None, Some(2)][gate];
                for cell in 0..layer.cells() {
                    let word = &parameters[op.param_base + cell];
                    let bias = fixed::quantize(f64::from(layer.bias[gate][cell]), 60, fraction) + fixed::rounding(op.shifts[gate]);
                    assert_eq!(word.biases[gate], bias, "seed {seed}");
                    let weight = layer.peepholes.as_ref().zip(peephole).map(|(p, k)| (k, p[k][cell]));
                    if let Some((k, weight)) = weight {
                        let own = fraction - described.cell_fraction - op.aligns[k] as i32;
                        assert!(op.aligns[k] <= Op::MAX_ALIGN);
                        assert_eq!(i64::from(word.peepholes[k]), fixed::quantize(f64::from(weight), 16, own), "seed {seed}");
                    }
                }
            }
            if layer.projection.is_some() {
                assert_eq!(matrices.next().unwrap().activation_fraction, 30 - op.hidden_shift as i32, "seed {seed}");
            } else {
                assert_eq!(described.hidden_fraction, 30 - op.hidden_shift as i32, "seed {seed}");
            }
            input_fraction = described.hidden_fraction;
        }
    }
}

/// Shared weight or weight of an entry, as an integer.
fn weight(model: &RecurrentModel, pe: u16, entry: Entry, codebook: usize) -> i64 {
    let arch = model.arch();
    match arch.weights {
        WeightForm::Direct => i64::from(signed(entry.weight, arch.weights, arch.weight_bits)),
        WeightForm::Codebook => {
            let words = &model.image.sections[&Section::Pe(pe, MemoryKind::Codebook)];
            words.get_signed(codebook << arch.weight_bits | entry.weight as usize)
        }
    }
}

/// What column `column` of an operation adds to each row of each PE, from the words of the image: PE, local row, weight.
fn column(model: &RecurrentModel, op: &Op, column: usize) -> Vec<(usize, usize, i64)> {
    let arch = model.arch();
    let mut out = vec![];
    for pe in 0..arch.pes as u16 {
        let pointer = |p| {
            let (kind, address) = pointer_place(p);
            model.image.sections[&Section::Pe(pe, kind)].get(address) as usize
        };
        let mut next = 0;
        for index in pointer(op.ptr_base + column)..pointer(op.ptr_base + column + 1) {
            let entry = Entry::read(&model.image.sections[&Section::Pe(pe, MemoryKind::Spmat)], index, arch);
            let row = next + entry.run as usize;
            next = row + 1;
            if entry.weight != 0 {
                out.push((usize::from(pe), row, weight(model, pe, entry, op.layer)));
            }
        }
    }
    out
}

#[test]
fn fused_rows_decode_to_the_weights_of_their_gates() {
    for seed in 0..40 {
        let (network, settings) = random_network(seed);
        let compiled = compiled(&network, &settings);
        let (pes, program) = (settings.pes, compiled.model.program());
        // of each layer: the operation of its x and that of its h
        let ops = |l: usize| {
            let (first, state) = (program.iter().find(|op| op.source == Source::Input), program.iter().filter(|op| op.state).nth(l));
            let x = if l == 0 { first } else { program.iter().filter(|op| op.job == Job::Cells).nth(l) };
            (*x.unwrap(), *state.unwrap())
        };
        let mut matrices = compiled.report.matrices.iter();
        for (l, layer) in compiled.quantized.lstm.iter().enumerate() {
            let reports: Vec<_> = matrices.by_ref().take(8 + usize::from(layer.projection.is_some())).collect();
            for (part, (op, weights)) in [(ops(l).0, &layer.input_weights), (ops(l).1, &layer.hidden_weights)].into_iter().enumerate() {
                let mut left: usize = weights.iter().map(Matrix::nonzeros).sum();
                for c in 0..op.columns {
                    for (pe, row, value) in column(&compiled.model, &op, c) {
                        let (cell, gate) = (row / 4 * pes + pe, row % 4);
                        let real = fixed::dequantize(value, reports[2 * gate + part].weight_fraction) as f32;
                        assert_eq!(real, weights[gate].row(cell)[c], "seed {seed}");
                        left -= usize::from(real != 0.0);
                    }
                }
                assert_eq!(left, 0, "seed {seed}");
            }
        }
    }
}

/// Runs the words of an image as the contract has them, without overlap: the output of each step.
fn run(model: &RecurrentModel, sequence: &[Vec<f32>]) -> Vec<Vec<f32>> {
    use lacuna_compress::spec::{cell, lut::Lut, program::row_result};
    let (arch, ops, lut) = (model.arch(), model.program(), Lut::default());
    let words = &model.image.sections[&Section::Parameters];
    let (mut vectors, mut cells) = (vec![0i16; arch.act_depth], vec![0i16; arch.ese.as_ref().unwrap().cell_depth]);
    let mut results = vec![];
    for step in sequence {
        let input = model.quantize_input(step).unwrap();
        let mut banks = [vec![vec![0i64; 4 * arch.acc_depth]; arch.pes], vec![vec![0i64; arch.acc_depth]; arch.pes]];
        for op in ops.iter().filter(|op| op.source != Source::Ahead) {
            let bank = usize::from(op.rows_bank);
            for c in 0..op.columns {
                let value = if op.source == Source::Input { input[c] } else { vectors[op.source_base + c] };
                for (pe, row, weight) in column(model, op, c) {
                    banks[bank][pe][row] += weight * i64::from(value);
                }
            }
            if op.job == Job::None {
                continue;
            }
            let mut out = vec![];
            for e in 0..op.count {
                let (pe, local) = (e % arch.pes, e / arch.pes);
                out.push(if op.job == Job::Cells {
                    let sums = std::array::from_fn(|g| std::mem::take(&mut banks[0][pe][4 * local + g]));
                    let parameters = Parameters::read(words, op.param_base + e, arch);
                    let done = cell::step(op, &lut, sums, &parameters, cells[op.cell_base + e]);
                    cells[op.cell_base + e] = done.c;
                    done.m
                } else {
                    let bias = if op.bias { Parameters::read(words, op.param_base + e, arch).biases[0] } else { 0 };
                    row_result(op, std::mem::take(&mut banks[1][pe][local]), bias)
                });
            }
            if op.store {
                vectors[op.dest..op.dest + op.count].copy_from_slice(&out);
            }
            if op.output {
                results.push(model.dequantize_output(&out));
            }
        }
        assert!(banks.iter().flatten().flatten().all(|sum| *sum == 0), "every sum belongs to a job");
    }
    results
}

/// A network's sums in floating point.
fn times(weights: &Matrix, values: &[f64]) -> Vec<f64> {
    (0..weights.rows).map(|row| weights.row(row).iter().zip(values).map(|(w, v)| f64::from(*w) * v).sum()).collect()
}

/// Runs a network as its equations have it, in floating point: the output of each step.
fn exact(network: &Recurrent, sequence: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    let mut state: Vec<_> = network.lstm.iter().map(|l| (vec![0.0; l.hidden()], vec![0.0; l.cells()])).collect();
    let mut outputs = vec![];
    for step in sequence {
        let mut x: Vec<f64> = step.iter().map(|v| f64::from(*v)).collect();
        for (layer, (h, c)) in network.lstm.iter().zip(&mut state) {
            let (of_x, of_h) = (layer.input_weights.each_ref().map(|w| times(w, &x)), layer.hidden_weights.each_ref().map(|w| times(w, h)));
            let mut m = vec![];
            for (k, c) in c.iter_mut().enumerate() {
                let z = |g: usize| of_x[g][k] + of_h[g][k] + f64::from(layer.bias[g][k]);
                let peephole = |p: usize, c: f64| layer.peepholes.as_ref().map_or(0.0, |all| f64::from(all[p][k]) * c);
                let (i, f) = (sigmoid(z(0) + peephole(0, *c)), sigmoid(z(1) + peephole(1, *c)));
                let g = if layer.candidate == Candidate::Tanh { z(2).tanh() } else { sigmoid(z(2)) };
                *c = f * *c + i * g;
                m.push(sigmoid(z(3) + peephole(2, *c)) * c.tanh());
            }
            *h = layer.projection.as_ref().map_or(m.clone(), |weights| times(weights, &m));
            x.clone_from(h);
        }
        for layer in &network.layers {
            let sums = times(&layer.weights, &x).into_iter().zip(&layer.bias).map(|(sum, bias)| sum + f64::from(*bias));
            x = sums.map(|v| if layer.activation == Activation::Relu { v.max(0.0) } else { v }).collect();
        }
        outputs.push(x);
    }
    outputs
}

/// Every output of every step, to 1 % of the largest of its network (16-bit weights, or 256 shared ones of each matrix).
#[test]
fn an_image_computes_what_the_floating_point_network_does() {
    let (mut plain, mut values) = (0, 0);
    for seed in 0..60 {
        let (network, settings) = random_network(seed);
        let bits = if settings.weights == WeightForm::Direct { 16 } else { 8 };
        let settings = RecurrentSettings { weight_bits: bits, margin_bits: 1, ..settings };
        let sequence = sequences(&network, 2.0).remove(0);
        let compiled = compile_recurrent(&network, &settings, std::slice::from_ref(&sequence)).unwrap();
        let (results, expected) = (run(&compiled.model, &sequence), exact(&network, &sequence));
        assert_eq!(results.len(), expected.len());
        let size = expected.iter().flatten().fold(0f64, |most, v| most.max(v.abs()));
        for (step, (found, expected)) in results.iter().zip(&expected).enumerate() {
            assert_eq!(found.len(), expected.len(), "seed {seed}");
            for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
                let error = (f64::from(*found) - expected).abs();
                assert!(error <= 0.01 * size, "seed {seed}, step {step}, output {index}: {found} and {expected} of {size}");
                values += 1;
            }
        }
        plain += usize::from(network.layers.is_empty() && network.lstm.last().unwrap().projection.is_none());
    }
    assert!(plain >= 5 && values > 500, "{plain} networks end in an LSTM layer without projection, {values} values");
}

#[test]
fn operations_refer_to_nothing_beyond_the_memories() {
    for seed in 100..160 {
        let (network, settings) = random_network(seed);
        let compiled = compiled(&network, &settings);
        let (arch, program) = (compiled.model.arch(), compiled.model.program());
        let ese = arch.ese.as_ref().unwrap();
        assert!(program.len() <= arch.max_layers && program.iter().filter(|op| op.last).count() == 1, "seed {seed}");
        for op in &program {
            assert!((1..=65_535).contains(&op.columns) && op.layer < arch.max_layers, "seed {seed}");
            assert!(op.ptr_base + op.columns < 2 * arch.ptr_depth, "seed {seed}");
            assert!(op.source != Source::Vector || op.source_base + op.columns <= arch.act_depth, "seed {seed}");
            assert!(!op.store || op.dest + op.count <= arch.act_depth, "seed {seed}");
            assert!(op.job == Job::None || op.count.div_ceil(arch.pes) <= arch.acc_depth, "seed {seed}");
            if op.job == Job::Cells {
                assert!(op.cell_base + op.count <= ese.cell_depth && op.param_base + op.count <= arch.bias_depth, "seed {seed}");
                assert!((15..=30).contains(&op.cell_shift) && (15..=30).contains(&op.hidden_shift), "seed {seed}");
            }
            assert!(!op.bias || op.param_base + op.count <= arch.bias_depth, "seed {seed}");
            assert!(op.shifts.iter().all(|s| *s <= fixed::MAX_SHIFT), "seed {seed}");
        }
        for (section, words) in &compiled.model.image.sections {
            assert!((1..=section.kind().depth(arch)).contains(&words.len()), "seed {seed} {section}");
        }
        let sections: Vec<Section> = compiled.model.image.sections.keys().copied().collect();
        assert_eq!(sections, lacuna_compress::spec::layout::sections(arch), "seed {seed}");
    }
}
