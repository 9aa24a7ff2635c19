//! What a module takes beside its memories and multipliers: a constant and a slope over its size, fitted to runs of Yosys.
//!
//! UltraScale+ is synthesized module by module, so each module is fitted alone. ECP5 is synthesized flat and says only totals.
//! What a module is to the others comes from a few runs that keep the hierarchy: they scale the lines of UltraScale+. All of them
//! are then scaled to the totals by one factor, and leave that only as far as the totals ask for.

use super::{Area, Demand, Family};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// As `coefficients.toml` has them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coefficients {
    ecp5: BTreeMap<String, Line>,
    xcup: BTreeMap<String, Line>,
}

/// Constant and slope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    lut: [f64; 2],
    ff: [f64; 2],
}

/// A design that Yosys synthesized: LUT and FF of each module's own cells over all its instances, and of all together.
pub struct Sample {
    pub demand: Demand,
    /// Empty if the design was synthesized flat.
    pub modules: BTreeMap<String, [f64; 2]>,
    pub total: [f64; 2],
}

/// How much a coefficient of an ECP5 may leave the one that it starts from: a total that is off by this share counts as much
/// as a coefficient that is off by its whole size.
const STIFFNESS: f64 = 0.2;

impl Coefficients {
    /// Those of this release.
    pub fn known() -> Result<Coefficients> {
        toml::from_str(include_str!("coefficients.toml")).context("src/estimate/coefficients.toml")
    }

    pub fn area(&self, demand: &Demand, family: Family) -> Result<Area> {
        let lines = match family {
            // an iCE40 has the same LUTs as an ECP5, and no RAM of them
            Family::Ecp5 | Family::Ice40 => &self.ecp5,
            Family::Xcup => &self.xcup,
        };
        let mut area = Area::default();
        for term in &demand.terms {
            area.0.iter_mut().zip(term.known.0).for_each(|(sum, value)| *sum += value);
            let Some(size) = term.size else { continue };
            let line = lines.get(&term.name);
            let line =
                line.with_context(|| format!("no run of Yosys had the module {}: the coefficients must be fitted again", term.name))?;
            for (i, [constant, slope]) in [line.lut, line.ff].into_iter().enumerate() {
                area.0[i] += constant * term.count + slope * size[i];
            }
        }
        area.0.iter_mut().for_each(|value| *value = value.max(0.0));
        Ok(area)
    }

    /// Fits all coefficients: to runs for UltraScale+, and for ECP5 to runs that keep the hierarchy and to flat ones.
    pub fn fit(xcup: &[Sample], ecp5_modules: &[Sample], ecp5: &[Sample]) -> Coefficients {
        let mut fitted = Coefficients::default();
        for kind in [0, 1] {
            let lines = modules(xcup, kind);
            for (name, line) in &lines {
                *fitted.xcup.entry(name.clone()).or_default().of(kind) = *line;
            }
            for (name, line) in totals(ecp5, kind, &scaled(ecp5_modules, kind, lines)) {
                *fitted.ecp5.entry(name).or_default().of(kind) = line;
            }
        }
        fitted
    }

    /// With the text that says where they come from.
    pub fn text(&self, comment: &str) -> Result<String> {
        let lines: String = comment.lines().map(|line| format!("# {line}\n")).collect();
        let mut rounded = self.clone();
        for line in rounded.ecp5.values_mut().chain(rounded.xcup.values_mut()) {
            let all = line.lut.iter_mut().chain(line.ff.iter_mut());
            all.for_each(|value| *value = (*value * 1e3).round() / 1e3);
        }
        Ok(lines + "\n" + &toml::to_string(&rounded)?)
    }
}

impl Line {
    fn of(&mut self, kind: usize) -> &mut [f64; 2] {
        if kind == 0 {
            &mut self.lut
        } else {
            &mut self.ff
        }
    }
}

/// Each module alone, by what one of it takes.
fn modules(samples: &[Sample], kind: usize) -> BTreeMap<String, [f64; 2]> {
    let mut points: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for sample in samples {
        for term in &sample.demand.terms {
            let (Some(size), Some(found)) = (term.size, sample.modules.get(term.module())) else { continue };
            let own = (found[kind] - term.known.0[kind]) / term.count;
            points.entry(&term.name).or_default().push((size[kind] / term.count, own));
        }
    }
    let fitted = |name: &str, points: &[(f64, f64)]| if COUNTED.contains(&name) { through_zero(points) } else { line(points) };
    points.into_iter().map(|(name, points)| (name.to_string(), fitted(name, &points))).collect()
}

/// The straight line through points that leaves the least squares; level if they lie at one place, or would fall.
fn line(points: &[(f64, f64)]) -> [f64; 2] {
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let spread: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    let slope = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / spread;
    if spread > 1e-9 && slope > 0.0 {
        [y - slope * x, slope]
    } else {
        [y, 0.0]
    }
}

/// Of points whose first coordinate is what the second should be: what it is times, 1 if nothing says.
fn through_zero(points: &[(f64, f64)]) -> [f64; 2] {
    let (x, y) = points.iter().fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
    [0.0, if x > 0.5 { y / x } else { 1.0 }]
}

/// Leaves whose sizes are the family's LUTs already.
const COUNTED: [&str; 3] = ["memory", "accumulators", "lane_select"];

/// Lines of one family times what each module takes in another.
fn scaled(samples: &[Sample], kind: usize, mut lines: BTreeMap<String, [f64; 2]>) -> BTreeMap<String, [f64; 2]> {
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for sample in samples {
        for term in sample.demand.terms.iter().filter(|term| !COUNTED.contains(&term.module())) {
            let (Some(size), Some(found), Some(line)) = (term.size, sample.modules.get(term.module()), lines.get(&term.name)) else {
                continue;
            };
            let sum = sums.entry(&term.name).or_default();
            sum.0 += found[kind] - term.known.0[kind];
            sum.1 += line[0] * term.count + line[1] * size[kind];
        }
    }
    for (name, (found, other)) in sums {
        if let Some(line) = lines.get_mut(name).filter(|_| other > 0.5) {
            *line = line.map(|value| value * found / other);
        }
    }
    lines
}

/// All modules together, starting from `start`.
fn totals(samples: &[Sample], kind: usize, start: &BTreeMap<String, [f64; 2]>) -> BTreeMap<String, [f64; 2]> {
    let names: Vec<&String> = start.keys().collect();
    // what a coefficient is multiplied with, and what the sum should be, both over the measured total
    let rows: Vec<(Vec<f64>, f64)> = samples
        .iter()
        .map(|sample| {
            let mut row = vec![0.0; 2 * names.len()];
            let mut rest = sample.total[kind];
            for term in &sample.demand.terms {
                rest -= term.known.0[kind];
                let place = names.iter().position(|name| **name == term.name);
                if let (Some(size), Some(i)) = (term.size, place) {
                    row[2 * i] = term.count / sample.total[kind];
                    row[2 * i + 1] = size[kind] / sample.total[kind];
                }
            }
            (row, rest / sample.total[kind])
        })
        .collect();
    let start: Vec<f64> = names.iter().flat_map(|name| start[*name]).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (over, under) = rows.iter().fold((0.0, 0.0), |(over, under), (row, rest)| {
        let value = dot(row, &start);
        (over + value * rest, under + value * value)
    });
    let start: Vec<f64> = start.iter().map(|value| value * over / under).collect();
    // each unknown is a coefficient's change in units of itself
    let scaled: Vec<Vec<f64>> = rows.iter().map(|(row, _)| row.iter().zip(&start).map(|(x, s)| x * s).collect()).collect();
    let left: Vec<f64> = rows.iter().map(|(row, rest)| rest - dot(row, &start)).collect();
    let change = ridge(&scaled, &left, STIFFNESS);
    let value = |i: usize| start[i] * (1.0 + change[i]);
    names.iter().enumerate().map(|(i, name)| ((*name).clone(), [value(2 * i), value(2 * i + 1)])).collect()
}

/// The x with the least |rows x - values|^2 + stiffness^2 |x|^2.
fn ridge(rows: &[Vec<f64>], values: &[f64], stiffness: f64) -> Vec<f64> {
    let n = rows.first().map_or(0, Vec::len);
    let mut matrix: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            let mut line: Vec<f64> = (0..n).map(|j| rows.iter().map(|row| row[i] * row[j]).sum()).collect();
            line[i] += stiffness * stiffness;
            line.push(rows.iter().zip(values).map(|(row, value)| row[i] * value).sum());
            line
        })
        .collect();
    // positive definite: no pivot is zero
    for i in 0..n {
        let pivot = matrix[i].clone();
        for line in matrix.iter_mut().skip(i + 1) {
            let factor = line[i] / pivot[i];
            line.iter_mut().zip(&pivot).for_each(|(value, p)| *value -= factor * p);
        }
    }
    let mut x = vec![0.0; n];
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|j| matrix[i][j] * x[j]).sum();
        x[i] = (matrix[i][n] - known) / matrix[i][i];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::demand::Term;

    fn sample(a: (f64, f64), b: (f64, f64), of: [f64; 4]) -> Sample {
        let term = |name: &str, (count, size): (f64, f64)| Term {
            name: name.into(),
            count,
            size: Some([size; 2]),
            known: Area([10.0, 0.0, 0.0, 0.0]),
        };
        let own = [of[0] * a.0 + of[1] * a.1 + 10.0, of[2] * b.0 + of[3] * b.1 + 10.0];
        let modules = BTreeMap::from([("a".to_string(), [own[0], 0.0]), ("b".to_string(), [own[1], 0.0])]);
        Sample { demand: Demand { terms: vec![term("a", a), term("b", b)], memories: vec![] }, modules, total: [own[0] + own[1], 1.0] }
    }

    #[test]
    fn coefficients_are_found_again() {
        let sizes = [((1.0, 10.0), (2.0, 7.0)), ((2.0, 90.0), (1.0, 50.0)), ((3.0, 20.0), (1.0, 5.0)), ((4.0, 400.0), (9.0, 30.0))];
        let samples = |of: [f64; 4]| sizes.map(|(a, b)| sample(a, b, of));
        let fitted =
            Coefficients::fit(&samples([5.0, 2.0, 100.0, 3.0]), &samples([5.0, 2.0, 300.0, 9.0]), &samples([8.0, 3.2, 480.0, 14.4]));
        let near = |line: &Line, expected: [f64; 2], by: f64| {
            let off = line.lut.iter().zip(expected).map(|(found, e)| (found / e - 1.0).abs()).fold(0.0, f64::max);
            assert!(off < by, "{line:?}, expected {expected:?}");
        };
        near(&fitted.xcup["a"], [5.0, 2.0], 1e-9);
        near(&fitted.xcup["b"], [100.0, 3.0], 1e-9);
        // module b is three times as large, and flat all are 1.6 times as large
        near(&fitted.ecp5["a"], [8.0, 3.2], 1e-6);
        near(&fitted.ecp5["b"], [480.0, 14.4], 1e-6);

        let demand = &samples([0.0; 4])[0].demand;
        let area = fitted.area(demand, Family::Xcup).unwrap();
        assert!((area.0[0] - (20.0 + 5.0 + 20.0 + 200.0 + 21.0)).abs() < 1e-6, "{area:?}");
        let unknown = Demand { terms: vec![Term { name: "c".into(), ..demand.terms[0].clone() }], memories: vec![] };
        assert!(fitted.area(&unknown, Family::Xcup).unwrap_err().to_string().contains("module c"));
    }
}
