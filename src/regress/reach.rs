//! Which bins can be reached at all. A regression of drawn accelerators reaches all of them; one of given accelerators those that
//! these have: other widths, the other datapath, or what does not fit into their memories are no holes.

use super::bins::{Bins, COVERPOINTS};
use super::configuration::word;
use super::draw::{self, Room};
use lacuna_compress::spec::Arch;
use lacuna_sim::perf_ese::{CELL_STORED, ROW_STORED};
use std::collections::BTreeSet;

/// The bins of what is drawn for these accelerators; for none, all.
pub fn reachable(accelerators: &[Arch]) -> BTreeSet<String> {
    let all = || COVERPOINTS.iter().flat_map(|(point, bins)| bins.iter().map(move |bin| (*point, *bin)));
    let can = |point: &str, bin: &str| accelerators.is_empty() || accelerators.iter().any(|arch| reaches(arch, point, bin));
    all().filter(|(point, bin)| can(point, bin)).map(|(point, bin)| format!("{point}:{bin}")).collect()
}

fn reaches(arch: &Arch, point: &str, bin: &str) -> bool {
    let ese = arch.ese.is_some();
    let rows = Room::new(arch, true, 0).rows.div_ceil(arch.pes);
    match point {
        "datapath" | "pes" | "queue" | "weights" | "weight_bits" | "run_bits" | "entries_per_word" | "channels" => {
            let mut own = Bins::default();
            own.accelerator(arch);
            own.0.contains_key(&format!("{point}:{bin}"))
        }
        "input_stalls" | "output_stalls" => ese || bin == "none",
        "break" => bin == "none" || draw::breaks(ese).iter().any(|what| word(what) == bin),
        "layers" => !ese && bin.parse().is_ok_and(|layers: usize| layers <= arch.max_layers),
        "kernel" | "stride" | "pool" | "map" => arch.conv,
        // an entry behind so many rows of its PE
        "zero_run" => {
            let field = 1 << arch.run_bits;
            !ese && match bin {
                "at_the_limit" => rows >= field,
                "padded" => rows > field,
                "padded_twice" => rows > 2 * field,
                _ => true,
            }
        }
        "values" | "columns" | "column_of_a_pe" | "last_entry" | "accumulator" | "active" | "product" | "saturation" | "queue_full" => !ese,
        // an LSTM layer takes two operations of the step's program, another layer one
        "lstm_layers" => ese && arch.max_layers >= 2 * bin.parse().unwrap_or(3),
        "linear_layers" => ese && arch.max_layers >= 2 + bin.parse().unwrap_or(0),
        // outputs of a step go out one a cycle, channel after channel, while the next one takes its rows and two latencies at least
        "step_cycles" if bin == "output_stalls" => arch.ese.as_ref().is_some_and(|e| {
            let rows = Room::new(arch, true, 0).linear;
            (e.channels * rows) as u64 > rows as u64 + CELL_STORED + ROW_STORED
        }),
        "projection" | "peepholes" | "candidate" | "steps" | "sequence" | "compared" | "lstm_saturation" | "step_cycles" => ese,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::draw::Draw;
    use super::super::named::{of_size, Size};
    use super::*;

    #[test]
    fn what_is_drawn_for_an_accelerator_is_within_its_bins_and_of_most_coverpoints_all() {
        assert_eq!(reachable(&[]).len(), COVERPOINTS.iter().map(|(_, bins)| bins.len()).sum::<usize>());
        for named in [Size::S, Size::M].into_iter().flat_map(|size| of_size(size).unwrap()) {
            let accelerators = [named.accelerator];
            let reachable = reachable(&accelerators);
            let draw = Draw { seed: 3, accelerators: &accelerators };
            let mut bins = Bins::default();
            for index in 0..100 {
                let configuration = draw.configuration(index).unwrap();
                bins.configuration(&configuration);
                configuration.runs.iter().for_each(|run| bins.run(run, "first"));
            }
            let drawn: BTreeSet<String> = bins.0.keys().cloned().collect();
            let beyond: Vec<_> = drawn.difference(&reachable).collect();
            assert!(beyond.is_empty(), "{}: {beyond:?}", named.name);
            let points: BTreeSet<&str> = drawn.iter().filter_map(|bin| bin.split(':').next()).collect();
            let missed: Vec<_> = (reachable.difference(&drawn))
                .filter(|bin| bin.split(':').next().is_some_and(|point| points.contains(point) && point != "image"))
                .collect();
            assert!(missed.is_empty(), "{}: {missed:?}", named.name);
        }
    }
}
