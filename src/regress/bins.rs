//! Coverpoints: what runs reached, in bins. `tests/testplan.toml` says what they are for, and a test holds both together.

use super::configuration::{word, Configuration, Lstms, Network, Pattern, Run};
use lacuna_compress::model::{Candidate, Conv};
use lacuna_compress::spec::{Arch, WeightForm};
use lacuna_sim::golden::Golden;
use lacuna_sim::perf_ese::EseTiming;
use lacuna_sim::recurrent::{RecurrentVerdict, Sequence};
use lacuna_sim::simulate::Verdict;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Every coverpoint, and its bins.
pub const COVERPOINTS: &[(&str, &[&str])] = &[
    ("datapath", &["eie", "eie_conv", "ese"]),
    ("pes", &["1", "power_of_two", "other"]),
    ("queue", &["1", "2", "3", "more"]),
    ("weights", &["codebook", "direct"]),
    ("weight_bits", &["least", "between", "most"]),
    ("run_bits", &["2", "3", "4", "more"]),
    ("entries_per_word", &["1", "2", "4", "8", "16"]),
    ("door", &["axi", "preload"]),
    ("image", &["first", "other", "back"]),
    ("input", &["zero", "last", "least", "extreme", "sparse", "dense"]),
    ("pattern", &["random", "full", "empty-columns", "last-row", "one-row", "one-pe", "runs", "bursts", "nowhere"]),
    ("bus_stalls", &["none", "some", "half", "most"]),
    ("input_stalls", &["none", "some", "half", "most"]),
    ("output_stalls", &["none", "some", "half", "most"]),
    ("visit", &["without", "with"]),
    ("transactions", &["1", "2", "3", "4"]),
    ("break", &["none", "reset", "abort", "write", "stop"]),
    ("break_at", &["begin", "middle", "end"]),
    // of layers
    ("layers", &["1", "2", "3"]),
    ("values", &["mixed", "extreme", "units"]),
    ("columns", &["even", "odd"]),
    ("column_of_a_pe", &["no_entry", "one_entry", "more"]),
    ("zero_run", &["within", "at_the_limit", "padded", "padded_twice"]),
    ("last_entry", &["at_word_end", "within_word"]),
    ("accumulator", &["changes", "again", "again_after_one", "again_after_two"]),
    ("active", &["none", "one", "some", "all"]),
    ("product", &["least_times_least", "other"]),
    ("saturation", &["none", "up", "down"]),
    ("queue_full", &["never", "once"]),
    ("kernel", &["1x1", "whole_map", "other"]),
    ("stride", &["1", "2", "more"]),
    ("pool", &["1", "2", "3", "more"]),
    ("map", &["long", "other"]),
    // of LSTMs
    ("lstm_layers", &["1", "2", "more"]),
    ("linear_layers", &["0", "1", "2"]),
    ("projection", &["with", "without"]),
    ("peepholes", &["with", "without"]),
    ("candidate", &["tanh", "sigmoid"]),
    ("channels", &["1", "2", "more"]),
    ("steps", &["0", "1", "more"]),
    ("sequence", &["fresh", "goes_on"]),
    ("compared", &["outputs", "states"]),
    ("lstm_saturation", &["none", "some"]),
    ("step_cycles", &["compared", "queue_stalls", "data_stalls", "output_stalls"]),
];

/// A number up to `most`, or that it is more.
fn number(value: usize, most: usize) -> String {
    if value > most {
        "more".into()
    } else {
        value.to_string()
    }
}

/// How often each bin was reached, at `coverpoint:bin`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bins(pub BTreeMap<String, u64>);

impl Bins {
    /// Counts a bin, which must be one.
    fn hit(&mut self, point: &str, bin: &str) {
        let known = COVERPOINTS.iter().find(|(name, _)| *name == point).is_some_and(|(_, bins)| bins.contains(&bin));
        assert!(known, "{point}:{bin} is in the table of coverpoints");
        *self.0.entry(format!("{point}:{bin}")).or_default() += 1;
    }

    pub fn add(&mut self, other: &Bins) {
        other.0.iter().for_each(|(bin, count)| *self.0.entry(bin.clone()).or_default() += count);
    }

    /// What was not reached, in the order of the table.
    pub fn holes(&self, reachable: &BTreeSet<String>) -> Vec<String> {
        let all = COVERPOINTS.iter().flat_map(|(point, bins)| bins.iter().map(move |bin| format!("{point}:{bin}")));
        all.filter(|bin| reachable.contains(bin) && !self.0.contains_key(bin)).collect()
    }

    /// What the accelerator is.
    pub fn accelerator(&mut self, a: &Arch) {
        self.hit(
            "datapath",
            if a.ese.is_some() {
                "ese"
            } else if a.conv {
                "eie_conv"
            } else {
                "eie"
            },
        );
        self.hit(
            "pes",
            if a.pes == 1 {
                "1"
            } else if a.pes.is_power_of_two() {
                "power_of_two"
            } else {
                "other"
            },
        );
        self.hit("queue", up_to(a.fifo_depth, &["1", "2", "3"], "more"));
        self.hit("weights", if a.weights == WeightForm::Codebook { "codebook" } else { "direct" });
        let most = if a.weights == WeightForm::Codebook { 8 } else { 16 };
        self.hit(
            "weight_bits",
            if a.weight_bits == 2 {
                "least"
            } else if a.weight_bits == most {
                "most"
            } else {
                "between"
            },
        );
        self.hit("run_bits", up_to(a.run_bits, &["2", "3", "4"], "more"));
        self.hit("entries_per_word", &a.entries_per_word.to_string());
        if let Some(ese) = &a.ese {
            self.hit("channels", up_to(ese.channels, &["1", "2"], "more"));
        }
    }

    /// What the accelerator and its networks are.
    pub fn configuration(&mut self, c: &Configuration) {
        self.accelerator(&c.accelerator);
        self.hit("door", &word(&c.door));
        for network in &c.networks {
            match network {
                Network::Layers(n) => {
                    self.hit("layers", &n.layers.len().min(3).to_string());
                    for layer in &n.layers {
                        self.pattern(layer.pattern);
                        self.hit("values", &word(&layer.values));
                        layer.conv.iter().for_each(|conv| self.convolution(conv));
                    }
                }
                Network::Recurrent(n) => self.lstms(n),
            }
        }
    }

    fn pattern(&mut self, pattern: Pattern) {
        self.hit("pattern", &word(&pattern));
    }

    fn convolution(&mut self, conv: &Conv) {
        let whole = conv.kernel == [conv.height, conv.width];
        self.hit(
            "kernel",
            if conv.kernel == [1, 1] {
                "1x1"
            } else if whole {
                "whole_map"
            } else {
                "other"
            },
        );
        self.hit("stride", &number(conv.stride, 2));
        self.hit("pool", &number(conv.pool, 3));
        let (short, long) = (conv.height.min(conv.width), conv.height.max(conv.width));
        self.hit("map", if long >= 4 * short { "long" } else { "other" });
    }

    /// Most transactions of the bus that were under way at once.
    pub fn transactions(&mut self, most: u32) {
        self.hit("transactions", &most.to_string());
    }

    fn lstms(&mut self, n: &Lstms) {
        self.hit("lstm_layers", up_to(n.lstm.len(), &["1", "2"], "more"));
        self.hit("linear_layers", &n.layers.len().min(2).to_string());
        let with = |with: bool| if with { "with" } else { "without" };
        for layer in &n.lstm {
            self.pattern(layer.pattern);
            self.hit("projection", with(layer.projection.is_some()));
            self.hit("peepholes", with(layer.peepholes));
            self.hit("candidate", if layer.candidate == Candidate::Tanh { "tanh" } else { "sigmoid" });
        }
        n.layers.iter().for_each(|layer| self.pattern(layer.pattern));
    }

    /// What is done; `image` says whether the network was in the accelerator before.
    pub fn run(&mut self, run: &Run, image: &str) {
        self.hit("image", image);
        self.hit("input", &word(&run.input));
        for (point, percent) in [("bus_stalls", run.bus_stalls), ("input_stalls", run.input_stalls), ("output_stalls", run.output_stalls)] {
            self.hit(
                point,
                if percent == 0 {
                    "none"
                } else if percent < 40 {
                    "some"
                } else if percent < 70 {
                    "half"
                } else {
                    "most"
                },
            );
        }
        self.hit("visit", if run.visit { "with" } else { "without" });
        match &run.disturbance {
            None => self.hit("break", "none"),
            Some(d) => {
                self.hit("break", &word(&d.what));
                self.hit(
                    "break_at",
                    if d.at < 100 {
                        "begin"
                    } else if d.at < 900 {
                        "middle"
                    } else {
                        "end"
                    },
                );
            }
        }
    }

    /// What an input met on its way through layers.
    pub fn layers(&mut self, golden: &Golden, input: &[i16], verdict: &Verdict) {
        let a = &golden.arch;
        let mut source = input;
        for (layer, trace) in golden.layers.iter().zip(&verdict.golden.layers) {
            self.hit("columns", if layer.columns.is_multiple_of(2) { "even" } else { "odd" });
            let (active, all) = (trace.active.len(), layer.columns * trace.places.len());
            self.hit(
                "active",
                if active == 0 {
                    "none"
                } else if active == all {
                    "all"
                } else if active == 1 {
                    "one"
                } else {
                    "some"
                },
            );
            // the columns of a convolution's places have other numbers than its source: what all values are, an active one is
            let least_only = source.iter().all(|value| [0, i16::MIN].contains(value));
            let mut seen = BTreeSet::new();
            let limit = (1u32 << a.run_bits) - 1;
            let least = if a.weights == WeightForm::Codebook { i32::from(i16::MIN) } else { -(1 << (a.weight_bits - 1)) };
            for pe in 0..a.pes {
                // rows of the three entries before, the last first: their sums may still be on their way
                let mut before = [None; 3];
                for column in trace.active.iter().map(|c| *c as usize) {
                    let steps = layer.steps(pe, column);
                    seen.insert(("column_of_a_pe", up_to(steps.len(), &["no_entry", "one_entry"], "more")));
                    if steps.is_empty() {
                        continue;
                    }
                    let end = layer.entries(pe, column).end as usize;
                    seen.insert(("last_entry", if end.is_multiple_of(a.entries_per_word) { "at_word_end" } else { "within_word" }));
                    let (mut next, mut padding) = (0, 0);
                    for step in steps {
                        let run = step.row - next;
                        if step.weight == 0 && run == limit {
                            padding += 1;
                        } else {
                            seen.insert((
                                "zero_run",
                                match padding {
                                    0 if run == limit => "at_the_limit",
                                    0 => "within",
                                    1 => "padded",
                                    _ => "padded_twice",
                                },
                            ));
                            padding = 0;
                        }
                        next = step.row + 1;
                        let again = ["again", "again_after_one", "again_after_two"];
                        let on_its_way = before.iter().position(|row| *row == Some(step.row));
                        seen.insert(("accumulator", on_its_way.map_or("changes", |distance| again[distance])));
                        before = [Some(step.row), before[0], before[1]];
                        let least_input = least_only || (layer.record.walk.is_none() && source.get(column) == Some(&i16::MIN));
                        seen.insert(("product", if step.weight == least && least_input { "least_times_least" } else { "other" }));
                    }
                }
            }
            seen.into_iter().for_each(|(point, bin)| self.hit(point, bin));
            if trace.saturated == 0 {
                self.hit("saturation", "none");
            }
            for (bin, value) in [("up", i16::MAX), ("down", i16::MIN)] {
                if trace.saturated > 0 && trace.output.contains(&value) {
                    self.hit("saturation", bin);
                }
            }
            source = &trace.output;
        }
        self.hit("queue_full", if verdict.run.stall_queue > 0 { "once" } else { "never" });
    }

    /// What sequences met on their way through LSTMs.
    pub fn steps(&mut self, sequences: &[Sequence], verdict: &RecurrentVerdict) {
        for sequence in sequences {
            self.hit("steps", up_to(sequence.steps.len(), &["0", "1"], "more"));
            if !sequence.steps.is_empty() {
                self.hit("sequence", if sequence.fresh { "fresh" } else { "goes_on" });
            }
        }
        self.hit("lstm_saturation", if verdict.saturated == 0 { "none" } else { "some" });
    }

    /// Whether every c and h was compared.
    pub fn compared(&mut self, states: bool) {
        self.hit("compared", if states { "states" } else { "outputs" });
    }

    /// Cycles of steps that were compared.
    pub fn step_cycles(&mut self, timing: &EseTiming) {
        self.hit("step_cycles", "compared");
        for (bin, stalls) in
            [("queue_stalls", timing.stall_queue), ("data_stalls", timing.stall_data), ("output_stalls", timing.stall_output)]
        {
            if stalls > 0 {
                self.hit("step_cycles", bin);
            }
        }
    }
}

/// The bin of a small number: the first ones of their own, in the order of the numbers.
fn up_to(number: usize, bins: &[&'static str], more: &'static str) -> &'static str {
    let first = bins.first().and_then(|bin| bin.parse::<usize>().ok()).unwrap_or(0);
    number.checked_sub(first).and_then(|at| bins.get(at).copied()).unwrap_or(more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regress::draw::Draw;
    use crate::regress::reach::reachable;
    use crate::regress::testplan::Testplan;
    use std::path::Path;

    /// Names of the functions behind `#[test]` in all sources.
    fn tests_of(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                tests_of(&path, found);
            } else if name.ends_with(".rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let functions = text.split("#[test]").skip(1).filter_map(|rest| rest.split_once("fn "));
                found.extend(functions.filter_map(|(_, rest)| rest.split_once('(')).map(|(name, _)| name.to_string()));
            }
        }
    }

    #[test]
    fn every_testpoint_names_tests_that_exist_and_coverpoints_that_are_sampled() {
        let plan = Testplan::of_project().unwrap();
        let mut tests = BTreeSet::new();
        tests_of(Path::new(env!("CARGO_MANIFEST_DIR")), &mut tests);
        let mut used = BTreeSet::new();
        for point in &plan.testpoint {
            assert!(!point.stimulus.is_empty() && !point.check.is_empty() && !point.tests.is_empty(), "{}", point.name);
            assert_eq!(point.stage, crate::regress::named::Stage::Regressed, "{}", point.name);
            for test in &point.tests {
                assert!(tests.contains(test), "{}: there is no test {test}", point.name);
            }
            used.extend(point.coverpoints.iter().map(String::as_str));
        }
        let sampled: Vec<(&str, Vec<&str>)> = COVERPOINTS.iter().map(|(name, bins)| (*name, bins.to_vec())).collect();
        let planned: Vec<(&str, Vec<&str>)> =
            plan.coverpoint.iter().map(|c| (c.name.as_str(), c.bins.iter().map(String::as_str).collect())).collect();
        assert_eq!(planned, sampled, "coverpoints of tests/testplan.toml and those that are sampled");
        let all: BTreeSet<&str> = sampled.iter().map(|(name, _)| *name).collect();
        assert_eq!(used, all, "every coverpoint is that of a testpoint");
    }

    #[test]
    fn every_bin_of_what_is_drawn_is_reached_by_two_hundred_configurations() {
        let draw = Draw { seed: 1, accelerators: &[] };
        let mut bins = Bins::default();
        for index in 0..200 {
            let configuration = draw.configuration(index).unwrap();
            bins.configuration(&configuration);
            configuration.runs.iter().for_each(|run| bins.run(run, "first"));
        }
        let drawn: BTreeSet<&str> = bins.0.keys().filter_map(|bin| bin.split(':').next()).collect();
        // what the image of a run is depends on the runs before it
        let holes: Vec<String> = bins
            .holes(&reachable(&[]))
            .into_iter()
            .filter(|hole| hole.split(':').next().is_some_and(|p| drawn.contains(p) && p != "image"))
            .collect();
        assert!(holes.is_empty(), "{holes:?}");
        assert!(drawn.len() >= 25, "{drawn:?}");
    }
}
