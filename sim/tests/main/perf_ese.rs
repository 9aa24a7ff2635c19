//! The cycle model of the LSTM datapath on cases that can be counted by hand. That it equals the hardware: ese_perf.rs.

use crate::common::recurrent::RecurrentCase;
use lacuna_sim::golden::Recurrent;
use lacuna_sim::perf::Array;
use lacuna_sim::perf_ese::{spmv_cycles, EseNetwork};

#[test]
fn a_matrix_alone_takes_its_busiest_pe_and_the_pipeline() {
    let array = |pes| Array { pes, fifo_depth: 8 };
    // a broadcast in cycle 1 is summed in cycle 9
    assert_eq!(spmv_cycles(&array(1), &[1]), 9);
    assert_eq!(spmv_cycles(&array(1), &[5]), 13);
    assert_eq!(spmv_cycles(&array(1), &[5, 3, 9]), 8 + 17);
    // one broadcast a cycle: entries beside each other wait for their columns
    assert_eq!(spmv_cycles(&array(2), &[1, 1, 1, 0, 1, 1]), 8 + 3);
    assert_eq!(spmv_cycles(&array(2), &[3, 0, 3, 1, 3, 2]), 8 + 9);
    assert_eq!(spmv_cycles(&array(3), &[0; 9]), 0);
    assert_eq!(spmv_cycles(&array(3), &[]), 0);
}

#[test]
fn a_shallow_queue_costs_cycles_where_pes_take_turns() {
    // each PE in turn has all the work of a column
    let entries: Vec<u32> = (0..40).flat_map(|column| if column % 2 == 0 { [8, 1] } else { [1, 8] }).collect();
    let cycles = |fifo_depth| spmv_cycles(&Array { pes: 2, fifo_depth }, &entries);
    assert!(cycles(1) > cycles(3) && cycles(3) >= cycles(16) && cycles(16) >= 180, "{} {} {}", cycles(1), cycles(3), cycles(16));
}

#[test]
fn work_is_what_the_image_holds() {
    for seed in 0..30 {
        let golden = Recurrent::new(&RecurrentCase::random(seed).model.image).unwrap();
        let network = EseNetwork::new(&golden);
        assert_eq!(network.entries().iter().sum::<u64>(), golden.entries() as u64, "seed {seed}");
        let steady = network.steady();
        assert!(network.entries_max() <= steady && network.broadcasts() <= steady, "seed {seed}: {steady}");
        assert!(network.bound() <= network.entries_max(), "seed {seed}");
        // the same step again and again
        let ends = network.run(30).ends;
        assert_eq!(ends.len(), 30);
        assert_eq!(ends[29] - ends[25], 4 * (ends[29] - ends[28]), "seed {seed}: {ends:?}");
    }
}
