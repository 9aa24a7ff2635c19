//! `estimate`: the estimator against Yosys, over configurations that a seed draws; and the fit of its coefficients to others.

mod cycles;

use super::hardware;
use super::report::{rounded, Bar, Check, Outcome, Row};
use super::synthetic::Random;
use crate::estimate::{self, Area, Coefficients, Family, Sample};
use crate::flow::yosys;
use crate::term;
use anyhow::{Context, Result};
use lacuna_compress::spec::arch::Ese;
use lacuna_compress::spec::{Arch, WeightForm};
use lacuna_hdl::{generate, generate_uart, Design};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Of the configurations: an even one draws an EIE, an odd one an ESE; every other two are for the other family.
#[rustfmt::skip]
const SEEDS: [u64; 32] = [
    1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012,
    // an ESE takes Yosys three times as long
    1014, 1016, 1018, 1020, 1022, 1024, 1026, 1028, 1030, 1032, 1034, 1036, 1038, 1040, 1042, 1044, 1046, 1048,
    // behind a serial line
    1050, 1052,
];
/// Of those that the coefficients are fitted to.
const FITTED: [u64; 21] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 20, 24, 28, 32, 36, 40, 62, 63, 64];
/// Of both, behind a serial line.
const SERIAL: [u64; 5] = [62, 63, 64, 1050, 1052];
/// Of what is fitted, also with the hierarchy kept, which `synth_ecp5` otherwise does not.
const KEPT: [u64; 3] = [1, 4, 16];
/// Clock cycles of a bit there.
const DIVIDER: usize = 100;
/// Largest error in percent that a median, and that a single one may have.
const BARS: [f64; 2] = [5.0, 15.0];

/// An accelerator, and what it is synthesized for.
pub(super) struct Drawn {
    pub seed: u64,
    pub arch: Arch,
    pub family: Family,
}

/// What Yosys found, and what was estimated before.
pub(super) struct Compared {
    pub drawn: Drawn,
    pub estimate: Area,
    pub yosys: Area,
}

pub(super) fn draw(seed: u64) -> Drawn {
    let mut random = Random::new(seed);
    let (ese, xcup) = (seed % 2 == 1, seed / 2 % 2 == 1);
    // flat, a PE is synthesized as often as it is there
    let pes: &[usize] = match (ese, xcup) {
        (false, false) => &[1, 2, 3, 4],
        (true, false) => &[1, 2],
        (false, true) => &[1, 2, 4, 8, 16, 32],
        (true, true) => &[1, 2, 4, 8],
    };
    let codebook = random.below(2) == 0;
    let arch = Arch {
        pes: random.of(pes),
        fifo_depth: random.of(&[2, 4, 6, 8, 8, 12, 16, 32]),
        weights: if codebook { WeightForm::Codebook } else { WeightForm::Direct },
        weight_bits: if codebook { 2 + random.below(6) } else { random.of(&[4, 6, 8, 10, 12, 16]) },
        run_bits: 2 + random.below(7),
        entries_per_word: random.of(&[1, 2, 4, 8, 8]),
        spmat_depth: random.log(64.0, 8192.0),
        ptr_depth: random.log(64.0, 4096.0),
        act_depth: random.log(16.0, 1024.0),
        acc_depth: random.log(8.0, 256.0),
        bias_depth: random.log(16.0, 1024.0),
        acc_bits: 28 + random.below(21),
        max_layers: 1 + random.below(16),
        conv: !ese && random.below(3) == 0,
        ese: ese.then(|| Ese {
            channels: random.of(if xcup { &[1, 2, 4] } else { &[1, 1, 2] }),
            cell_depth: random.log(16.0, 2048.0),
            input_depth: random.log(8.0, 512.0),
            output_depth: random.log(8.0, 512.0),
        }),
    };
    Drawn { seed, arch, family: if xcup { Family::Xcup } else { Family::Ecp5 } }
}

pub fn run(keep: Option<&Path>, fit: Option<&Path>) -> Result<Outcome> {
    if let Some(path) = fit {
        return refit(keep, path);
    }
    let compared = with_bar("synthesis", &SEEDS, |seed| compare(draw(*seed), keep))?;
    let mut outcome = Outcome { rows: vec![], checks: checks(&compared), notes: vec![] };
    outcome.rows = compared.iter().flat_map(rows).collect();
    let counted = with_bar("Verilator", &SEEDS, |seed| {
        let drawn = draw(*seed);
        let cycles = cycles::of(&drawn)?;
        Ok((drawn, cycles))
    })?;
    outcome.rows.extend(counted.iter().map(|(drawn, cycles)| {
        let error = cycles.hardware.map(|found| rounded(error_percent(cycles.model as f64, found as f64), 2));
        row(drawn, "cycles", cycles.model, cycles.hardware, error)
    }));
    let equal = counted.iter().filter(|(_, cycles)| cycles.hardware == Some(cycles.model)).count() as f64;
    let equal = hardware::available()?.then_some(equal);
    outcome.checks.push(Check::new("cycles: configurations equal to the hardware's counter", equal, 0, Bar::AtLeast(SEEDS.len() as f64)));
    let eie = compared.iter().filter(|c| c.drawn.arch.ese.is_none()).count();
    outcome.notes.push(format!(
        "{} configurations, {eie} of the EIE kind, drawn by seeds {} to {}; the coefficients were fitted to seeds {} to {}",
        compared.len(),
        SEEDS[0],
        SEEDS[SEEDS.len() - 1],
        FITTED[0],
        FITTED[FITTED.len() - 1]
    ));
    outcome.notes.push(
        "cycles: of a layer, or of a step, of a small drawn network, for which a memory that is too small is made as deep as it \
         needs; yosys is the Verilated hardware's counter"
            .into(),
    );
    outcome
        .notes
        .push("Yosys 0.23: synth_ecp5, flat; synth_xilinx -family xcup, hierarchy kept; AXI ports, or a serial line (uart)".into());
    Ok(outcome)
}

fn with_bar<T>(what: &'static str, seeds: &[u64], of: impl Fn(&u64) -> Result<T>) -> Result<Vec<T>> {
    let bar = term::progress(what, seeds.len());
    let found = seeds.iter().map(|seed| {
        let one = of(seed).with_context(|| format!("configuration of seed {seed}"));
        bar.inc(1);
        one
    });
    let found = found.collect();
    bar.finish_and_clear();
    found
}

pub(super) fn compare(drawn: Drawn, keep: Option<&Path>) -> Result<Compared> {
    let design = design(&drawn)?;
    let estimate = estimate::of(&design, drawn.family)?.area;
    let report = synthesized(&drawn, keep, false)?;
    Ok(Compared { drawn, estimate, yosys: Area(yosys::of(&report, &design.top)?) })
}

fn design(drawn: &Drawn) -> Result<Design> {
    Ok(if SERIAL.contains(&drawn.seed) { generate_uart(&drawn.arch, DIVIDER)? } else { generate(&drawn.arch)? })
}

fn synthesized(drawn: &Drawn, keep: Option<&Path>, hierarchy: bool) -> Result<Value> {
    let design = design(drawn)?;
    let command = match drawn.family {
        Family::Xcup => "synth_xilinx -family xcup",
        _ if hierarchy => "synth_ecp5 -noflatten",
        _ => "synth_ecp5",
    };
    let Some(folder) = keep else { return yosys::synthesize(&design, command) };
    let folder = folder.join(if hierarchy { format!("{}-modules", drawn.seed) } else { drawn.seed.to_string() });
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    yosys::synthesize_in(&folder, &design, command)
}

/// `eie uart ecp5 4 pe seed 1052`
fn config(drawn: &Drawn) -> String {
    let a = &drawn.arch;
    let kind = match &a.ese {
        None if a.conv => "eie conv".to_string(),
        None => "eie".to_string(),
        Some(ese) => format!("ese {}ch", ese.channels),
    };
    let serial = if SERIAL.contains(&drawn.seed) { " uart" } else { "" };
    format!("{kind}{serial} {} {} pe seed {}", drawn.family.name(), a.pes, drawn.seed)
}

fn error_percent(estimate: f64, found: f64) -> f64 {
    if found == estimate {
        0.0
    } else {
        100.0 * (estimate - found) / found.max(0.5)
    }
}

fn rows(compared: &Compared) -> Vec<Row> {
    let pairs = compared.estimate.0.into_iter().zip(compared.yosys.0);
    let of = |(name, (estimate, found)): (&str, (f64, f64))| {
        let error = rounded(error_percent(estimate, found), 2);
        row(&compared.drawn, name, rounded(estimate, 1), Some(found), Some(error))
    };
    Area::NAMES.into_iter().zip(pairs).map(of).collect()
}

fn row(drawn: &Drawn, resource: &str, estimate: impl Into<Value>, found: Option<impl Into<Value>>, error: Option<f64>) -> Row {
    let row = Row::new().with("config", config(drawn)).with("resource", resource).with("estimate", estimate);
    row.with("yosys", found.map_or(Value::Null, Into::into)).with("error_percent", error.map_or(Value::Null, Into::into))
}

/// Median and worst of each resource.
fn checks(compared: &[Compared]) -> Vec<Check> {
    let mut checks = vec![];
    for (i, name) in Area::NAMES.into_iter().enumerate() {
        let errors = compared.iter().map(|c| error_percent(c.estimate.0[i], c.yosys.0[i]).abs());
        let mut errors: Vec<f64> = errors.collect();
        errors.sort_by(f64::total_cmp);
        let (median, worst) = (errors.get(errors.len() / 2).copied(), errors.last().copied());
        checks.push(Check::new(format!("{name}: median error, percent"), median, 2, Bar::AtMost(BARS[0])));
        checks.push(Check::new(format!("{name}: worst error, percent"), worst, 2, Bar::AtMost(BARS[1])));
    }
    checks
}

fn sample(drawn: &Drawn, keep: Option<&Path>, hierarchy: bool) -> Result<Sample> {
    let design = design(drawn)?;
    let report = synthesized(drawn, keep, hierarchy)?;
    let pair = |area: [f64; 4]| [area[0], area[1]];
    let mut modules: BTreeMap<String, [f64; 2]> = BTreeMap::new();
    for (name, area) in yosys::own(&report, &design.top)? {
        let sum = modules.entry(estimate::kind(&name).to_string()).or_default();
        sum.iter_mut().zip(pair(area)).for_each(|(sum, value)| *sum += value);
    }
    Ok(Sample { demand: estimate::demand(&design, drawn.family)?, modules, total: pair(yosys::of(&report, &design.top)?) })
}

/// Fits the coefficients and writes them.
fn refit(keep: Option<&Path>, path: &Path) -> Result<Outcome> {
    let of = |seeds: &[u64], hierarchy: bool| with_bar("synthesis", seeds, |seed| sample(&draw(*seed), keep, hierarchy));
    let (xcup, ecp5): (Vec<u64>, Vec<u64>) = FITTED.iter().partition(|seed| draw(**seed).family == Family::Xcup);
    let samples = [of(&xcup, false)?, of(&ecp5, false)?];
    let coefficients = Coefficients::fit(&samples[0], &of(&KEPT, true)?, &samples[1]);
    let comment = format!(
        "Written by `lacuna bench estimate --fit`: constant and slope of each module, fitted to {} runs of Yosys 0.23,\n\
         configurations of seeds {} to {}. Not to be edited; fit again when the Verilog changes.",
        FITTED.len(),
        FITTED[0],
        FITTED[FITTED.len() - 1]
    );
    lacuna_compress::files::write_whole(path, coefficients.text(&comment)?.as_bytes())?;
    term::note(format!("wrote {}", path.display()));
    let mut outcome = Outcome { notes: vec!["what it was fitted to".into()], ..Outcome::default() };
    for (seed, sample) in xcup.iter().chain(&ecp5).zip(samples.iter().flatten()) {
        let drawn = draw(*seed);
        let area = coefficients.area(&sample.demand, drawn.family)?;
        let of = |i: usize| {
            let (estimate, found) = (area.0[i], sample.total[i]);
            row(&drawn, Area::NAMES[i], rounded(estimate, 1), Some(found), Some(rounded(error_percent(estimate, found), 2)))
        };
        outcome.rows.extend([of(0), of(1)]);
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The committed rows are those of this estimator, and hold the bars.
    #[test]
    fn the_estimates_are_those_that_were_measured_against_yosys() {
        let text = include_str!("../../../docs/results/estimate.json");
        let read: Value = serde_json::from_str(text).unwrap();
        let rows = read["rows"].as_array().unwrap();
        for seed in SEEDS {
            let drawn = draw(seed);
            let found = estimate::of(&design(&drawn).unwrap(), drawn.family).unwrap().area;
            let name = config(&drawn);
            for (i, resource) in Area::NAMES.into_iter().enumerate() {
                let row = rows.iter().find(|row| row["config"] == name && row["resource"] == resource);
                let row = row.unwrap_or_else(|| panic!("{name}: no row of {resource}"));
                let (estimate, yosys) = (row["estimate"].as_f64().unwrap(), row["yosys"].as_f64().unwrap());
                assert!((estimate - found.0[i]).abs() < 0.06, "{name}: {resource} is {}, was {estimate}", found.0[i]);
                assert!(error_percent(estimate, yosys).abs() <= 100.0 * Area::ERRORS[i], "{name}: {resource}");
            }
        }
        let cycles: Vec<_> = rows.iter().filter(|row| row["resource"] == "cycles").collect();
        assert!(cycles.len() == SEEDS.len() && cycles.iter().all(|row| row["estimate"] == row["yosys"]));
    }

    #[test]
    fn no_configuration_is_both_fitted_and_compared() {
        assert!(SEEDS.iter().all(|seed| !FITTED.contains(seed)));
        for (ese, family) in [(false, Family::Ecp5), (false, Family::Xcup), (true, Family::Ecp5), (true, Family::Xcup)] {
            let same = |seed: &&u64| draw(**seed).arch.ese.is_some() == ese && draw(**seed).family == family;
            assert!(SEEDS.iter().filter(same).count() >= 3 && FITTED.iter().filter(same).count() >= 3, "{ese} {family:?}");
        }
    }

    #[test]
    fn a_small_accelerator_is_estimated_as_yosys_finds_it() {
        let arch = Arch { pes: 1, conv: false, entries_per_word: 2, acc_depth: 20, max_layers: 2, ..draw(1002).arch };
        for family in [Family::Ecp5, Family::Xcup] {
            let found = compare(Drawn { seed: 0, arch: arch.clone(), family }, None).unwrap();
            for (i, name) in Area::NAMES.into_iter().enumerate() {
                let error = error_percent(found.estimate.0[i], found.yosys.0[i]).abs();
                assert!(error <= 100.0 * Area::ERRORS[i], "{family:?}, {name}: {:?}, Yosys {:?}", found.estimate, found.yosys);
            }
        }
    }
}
