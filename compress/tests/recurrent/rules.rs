//! Pruning, ESE's sizes, and what is refused.

use super::*;
use lacuna_compress::compile::{Depths, Range};
use lacuna_compress::recurrent::{
    compile_recurrent_with, encode_matrix, prune, synthetic, synthetic_ranges, Density, LstmRanges, Pruning, RecurrentCalibration,
    RecurrentRanges, Shape,
};

#[test]
fn balanced_pruning_keeps_the_same_share_of_every_pe() {
    let rng = &mut ChaCha8Rng::seed_from_u64(5);
    for pes in [1, 3, 4] {
        let mut dense = network(5, 6, &[(12, Some(24))], &[7], false);
        dense.layers[0].weights = Matrix { rows: 7, columns: 24, data: vector(rng, 7 * 24, 1.0) };
        dense.lstm[0].projection = Some(Matrix { rows: 24, columns: 12, data: vector(rng, 24 * 12, 1.0) });
        let (pruned, reports) = prune(&dense, Pruning::LoadBalanced, &Density::uniform(&dense, 0.21), pes).unwrap();
        let matrices = [
            (pruned.lstm[0].projection.clone().unwrap(), dense.lstm[0].projection.clone().unwrap()),
            (pruned.layers[0].weights.clone(), dense.layers[0].weights.clone()),
        ];
        for (matrix, before) in &matrices {
            for pe in 0..pes {
                let part = |m: &Matrix| (pe..m.rows).step_by(pes).flat_map(|r| m.row(r).to_vec()).collect::<Vec<f32>>();
                let (kept, all) = (part(matrix), part(before));
                assert_eq!(kept.iter().filter(|w| **w != 0.0).count(), (0.21 * all.len() as f64).round() as usize);
                let least = kept.iter().filter(|w| **w != 0.0).map(|w| w.abs()).fold(f32::INFINITY, f32::min);
                let most = kept.iter().zip(&all).filter(|(k, _)| **k == 0.0).map(|(_, a)| a.abs()).fold(0.0, f32::max);
                assert!(most <= least, "{most} went, {least} stayed");
            }
        }
        let projection = reports.iter().find(|r| r.name == "l0 projection").unwrap();
        assert_eq!(projection.load_balanced.imbalance, 1.0);
        // round(0.21 * 288) of the whole matrix
        assert_eq!(projection.magnitude.nonzeros, 60);
        let (by_magnitude, same) = prune(&dense, Pruning::Magnitude, &Density::uniform(&dense, 0.21), pes).unwrap();
        assert_eq!((by_magnitude.lstm[0].projection.as_ref().unwrap().nonzeros(), same), (60, reports));
    }
    let ties = Matrix { rows: 4, columns: 1, data: vec![0.5, -0.5, -0.5, 0.5] };
    let mut dense = network(5, 2, &[(3, None)], &[4], false);
    dense.layers[0].weights = Matrix { columns: 3, data: [ties.data.clone(), ties.data.clone(), ties.data].concat(), rows: 4 };
    let density = Density { lstm: vec![], layers: vec![Some(0.5)] };
    let pruned = prune(&dense, Pruning::LoadBalanced, &density, 2).unwrap().0;
    // rows 0 and 2 of PE 0, 1 and 3 of PE 1: of equal magnitudes the earlier stay
    let kept: Vec<bool> = pruned.layers[0].weights.data.iter().map(|w| *w != 0.0).collect();
    assert_eq!(kept, [[true; 6], [false; 6]].concat());
    assert_eq!(pruned.lstm, dense.lstm);
}

#[test]
fn ese_has_10150_entries_a_pe_and_its_projection_packs_as_the_paper_says() {
    let network = synthetic(&Shape::ESE, 1);
    assert_eq!(network, synthetic(&Shape::ESE, 1));
    let settings = RecurrentSettings { density: Density::uniform(&network, 0.1), ..RecurrentSettings::default() };
    let (pruned, reports) = prune(&network, settings.pruning, &settings.density, 32).unwrap();
    let layer = &pruned.lstm[0];
    let per_pe = |matrix: &Matrix| encode_matrix(matrix, 32, 12, 4).unwrap();
    let projection = per_pe(layer.projection.as_ref().unwrap());
    // eie_ese.md 2.6: 16 rows a PE never need padding
    assert_eq!((projection.bytes(), projection.padding), (104_832, 0));
    assert_eq!(projection.entries_per_pe, [1638; 32]);
    let padded = per_pe(&layer.hidden_weights[0]);
    assert_eq!((padded.nonzeros, padded.nonzeros + padded.padding), (32 * 1638, padded.entries_per_pe.iter().sum()));
    assert!(padded.padding > 0 && padded.column_entries.iter().flatten().sum::<usize>() == padded.nonzeros + padded.padding);
    for matrix in &layer.input_weights {
        assert_eq!(encode_matrix(matrix, 32, 12, 5).unwrap().entries_per_pe, [490; 32]);
    }
    assert!(reports.iter().all(|r| r.load_balanced.imbalance == 1.0 && r.magnitude.imbalance > 1.05));

    let ranges = synthetic_ranges(&network);
    let compiled = compile_recurrent_with(&network, &settings, RecurrentCalibration::Ranges(&ranges)).unwrap();
    let report = &compiled.report;
    assert_eq!((report.bound_cycles, report.run.run_bits, report.padding, report.hold_columns), (10_150, 7, 0, 24));
    // 12 bits hold a bell curve with about 60 dB: little is lost where products meet
    assert!(report.matrices.iter().all(|m| m.signal_to_noise.is_some_and(|db| db > 55.0)), "{:?}", report.matrices);
    for pe in 0..32 {
        assert_eq!(report.stored.iter().map(|s| s.entries_per_pe[pe]).sum::<usize>(), 10_150);
    }
    let arch = compiled.model.arch();
    let ese = arch.ese.as_ref().unwrap();
    assert_eq!((arch.acc_depth, arch.act_depth, arch.bias_depth, arch.max_layers), (32, 512 + 1024, 1024, 5));
    assert_eq!((arch.spmat_depth, arch.ptr_depth, ese.cell_depth, ese.input_depth, ese.output_depth), (10_150, 846, 1024, 153, 512));
}

#[test]
fn what_does_not_fit_is_refused_with_what_would() {
    let network = network(9, 3, &[(5, Some(4))], &[], true);
    let with = |depths: Depths| fault(&network, &RecurrentSettings { depths, ..settings(2) });
    let none = Depths::default;
    let message = with(Depths { act: Some(8), ..none() });
    assert_eq!(message, "the network does not fit the accelerator: 9 values of vectors do not fit act_depth 8; it needs 9");
    let message = with(Depths { acc: Some(2), ..none() });
    assert_eq!(message, "pe 0: 3 cells or rows do not fit acc depth 2 (layer l0 gates); it needs depth 3");
    let message = with(Depths { max_layers: Some(3), ..none() });
    assert!(message.ends_with("4 operations of a step do not fit max_layers 3; it needs 4"), "{message}");
    let message = with(Depths { ptr: Some(6), ..none() });
    assert_eq!(message, "pe 0: 7 pointers per bank do not fit ptr depth 6 (layer l0 projection); it needs depth 7");
    assert!(with(Depths { spmat: Some(1), ..none() }).contains("words of entries do not fit spmat depth 1 (layer l0 gates)"));
    assert!(with(Depths { bias: Some(4), ..none() }).ends_with("5 parameters do not fit bias_depth 4; it needs 5"));
    let cells = RecurrentSettings { cell_depth: Some(4), ..settings(2) };
    assert!(fault(&network, &cells).ends_with("5 cells do not fit cell_depth 4; it needs 5"));
    let narrow = RecurrentSettings { acc_bits: Some(26), ..settings(2) };
    let message = fault(&network, &narrow);
    let needed = compiled(&network, &settings(2)).report.widest_bits;
    assert!(
        message.starts_with("layer l0, gate ") && message.ends_with(&format!("can need {needed} bits, accelerator.acc_bits is 26")),
        "{message}"
    );
}

#[test]
fn malformed_networks_settings_and_calibrations_are_refused() {
    let good = network(2, 3, &[(4, Some(2)), (3, None)], &[2], true);
    let broken = |change: &dyn Fn(&mut Recurrent)| {
        let mut network = good.clone();
        change(&mut network);
        fault(&network, &settings(2))
    };
    assert_eq!(broken(&|n| n.lstm[1].bias[2][1] = f32::NAN), "layer l1: the bias of gate g holds NaN at 1, expected a finite number");
    assert_eq!(
        broken(&|n| n.lstm[0].hidden_weights[1] = Matrix { rows: 4, columns: 3, data: vec![0.0; 12] }),
        "layer l0: the hidden matrix of gate f is 4 x 3 (12 values), expected 4 x 2"
    );
    assert!(broken(&|n| n.lstm.clear()).ends_with("it has no LSTM layer"));
    assert!(broken(&|n| n.layers[0].bias.clear()).starts_with("layer d0: its bias has 0 values"));
    let setting = |settings: RecurrentSettings| fault(&good, &settings);
    assert_eq!(setting(RecurrentSettings { pes: 0, ..settings(1) }), "accelerator.pes is 0, expected 1 to 256");
    assert_eq!(setting(RecurrentSettings { channels: 33, ..settings(1) }), "accelerator.channels is 33, expected 1 to 32");
    let density = Density { lstm: vec![], layers: vec![Some(1.5)] };
    assert_eq!(setting(RecurrentSettings { density, ..settings(1) }), "layer d0: density is 1.5, expected 0 to 1");
    let calibrated = |sequences: &[Vec<Vec<f32>>]| compile_recurrent(&good, &settings(2), sequences).unwrap_err().to_string();
    assert!(calibrated(&[vec![]]).starts_with("calibration: there are no steps"));
    assert_eq!(calibrated(&[vec![vec![1.0; 2]]]), "calibration: step 0 of sequence 0 has 2 values, the network 3 inputs");
    let range = Range { low: -1.0, high: 1.0 };
    let ranges = RecurrentRanges { input: range, lstm: vec![LstmRanges { cell: range, hidden: range }; 2], layers: vec![] };
    let message = compile_recurrent_with(&good, &settings(2), RecurrentCalibration::Ranges(&ranges)).unwrap_err().to_string();
    assert_eq!(message, "calibration: ranges of 2 LSTM and 0 other layers are given, the network has 2 and 1");
    let deep = network(2, 3, &[(2, Some(2)); 5], &[2, 2], false);
    assert!(fault(&deep, &settings(2)).ends_with("a step takes 18 operations, at most 16 are supported"));
    // inputs of a thousand and weights of two bits: the products are too coarse for the gates
    let coarse = RecurrentSettings { weight_bits: 2, ..settings(2) };
    let message = compile_recurrent(&good, &coarse, &sequences(&good, 8000.0)).unwrap_err().to_string();
    assert!(message.contains("fraction bits, its function needs 11"), "{message}");
}

#[test]
fn a_reversed_network_is_calibrated_backwards() {
    let forward = network(4, 3, &[(4, None)], &[2], false);
    let reversed = Recurrent { reverse: true, ..forward.clone() };
    let sequence = sequences(&forward, 2.0).remove(0);
    let backwards: Vec<Vec<f32>> = sequence.iter().rev().cloned().collect();
    let (a, b) = (compile_recurrent(&reversed, &settings(2), &[sequence]), compile_recurrent(&forward, &settings(2), &[backwards]));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!((a.report, a.model.image), (b.report, b.model.image));
    assert!(a.model.network.reverse && !b.model.network.reverse);
}
