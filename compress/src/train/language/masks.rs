//! Which weights of an LSTM stay: as many in every PE, of each gate's matrix.
//!
//! A part is what one PE has of one gate's matrix: the cells c with c mod PEs = PE (as in [`crate::recurrent`]). All parts of
//! a matrix keep equally many weights; how many may differ from matrix to matrix.

use super::settings::Share;
use crate::error::Error;
use crate::prune::lamp_densities;
use crate::train::lstm::RecurrentVariables;
use crate::train::slices;
use candle_core::{Device, Tensor};

/// The matrix that one gate reads x or h with, as columns of a variable: `first..first + columns` of `width`.
struct Unit {
    /// Place of the variable in the list of all.
    variable: usize,
    rows: usize,
    width: usize,
    first: usize,
    columns: usize,
    /// By which magnitudes are divided before matrices are compared.
    unit: f32,
}

/// The masks of all variables, in their order: of the LSTM layers' matrices at most `density` of all weights are kept, of
/// other variables everything. What `before` left out stays out.
pub fn balanced(
    network: &RecurrentVariables,
    before: &[Option<Tensor>],
    share: Share,
    density: f64,
    pes: usize,
) -> Result<Vec<Option<Tensor>>, Error> {
    let named = network.named();
    let weights = named.iter().map(|(_, var)| slices::values(var)).collect::<Result<Vec<_>, _>>()?;
    let mut masks = vec![];
    for (place, weights) in weights.iter().enumerate() {
        masks.push(match before.get(place) {
            Some(Some(mask)) => slices::values(mask)?,
            _ => vec![1.0; weights.len()],
        });
    }
    let mut units = vec![];
    for (variable, (name, var)) in named.iter().enumerate() {
        let (gates, [rows, width]) = match (name.rsplit('.').next(), var.dims()) {
            (Some("input" | "hidden"), [rows, width]) => (4, [*rows, *width]),
            (Some("projection"), [rows, width]) => (1, [*rows, *width]),
            _ => continue,
        };
        let columns = width / gates;
        units.extend((0..gates).map(|g| Unit { variable, rows, width, first: g * columns, columns, unit: 1.0 }));
    }
    let kept = |unit: &Unit, masks: &[Vec<f32>]| unit.part(0, 1).filter(|k| masks[unit.variable][*k] != 0.0).collect::<Vec<_>>();
    if share == Share::Relative {
        for unit in &mut units {
            let kept = kept(unit, &masks);
            let squares: f32 = kept.iter().map(|k| weights[unit.variable][*k].powi(2)).sum();
            unit.unit = (squares / kept.len().max(1) as f32).sqrt().max(f32::MIN_POSITIVE);
        }
    }
    let total: usize = units.iter().map(|u| u.rows * u.columns).sum();
    let budget = (density * total as f64) as usize;
    let wanted: Vec<f64> = match share {
        Share::Uniform => units.iter().map(|u| density * (u.rows * u.columns) as f64).collect(),
        Share::Lamp => {
            let value = |unit: &Unit, k: usize| if masks[unit.variable][k] == 0.0 { 0.0 } else { weights[unit.variable][k] };
            let values: Vec<Vec<f32>> = units.iter().map(|u| u.part(0, 1).map(|k| value(u, k)).collect()).collect();
            let densities = lamp_densities(&values.iter().map(Vec::as_slice).collect::<Vec<_>>(), density)?;
            units.iter().zip(densities).map(|(u, density)| density * (u.rows * u.columns) as f64).collect()
        }
        Share::Magnitude | Share::Relative => {
            let all = units.iter().enumerate().flat_map(|(u, unit)| {
                let (values, size) = (&weights[unit.variable], unit.unit);
                kept(unit, &masks).into_iter().map(move |k| (values[k].abs() / size, u))
            });
            let mut all: Vec<(f32, usize)> = all.collect();
            // of equal ones the first, always
            all.sort_by(|a, b| b.0.total_cmp(&a.0));
            let mut counts = vec![0.0; units.len()];
            all.iter().take(budget).for_each(|(_, u)| counts[*u] += 1.0);
            counts
        }
    };
    for (unit, quota) in units.iter().zip(quotas(&units, &wanted, budget, pes)) {
        let (values, mask) = (&weights[unit.variable], &mut masks[unit.variable]);
        for pe in 0..pes.min(unit.columns) {
            let mut part: Vec<usize> = unit.part(pe, pes).collect();
            let keep = (quota * part.len() as f64 + 1e-6) as usize;
            let score = |k: usize| if mask[k] == 0.0 { -1.0 } else { values[k].abs() };
            part.sort_by(|a, b| score(*b).total_cmp(&score(*a)).then(a.cmp(b)));
            part.iter().skip(keep).for_each(|k| mask[*k] = 0.0);
        }
    }
    let pruned = |variable: usize| units.iter().any(|u| u.variable == variable);
    let tensor = |(place, mask): (usize, Vec<f32>)| match pruned(place) {
        true => Ok(Some(Tensor::from_vec(mask, named[place].1.shape(), &Device::Cpu)?)),
        false => Ok(None),
    };
    masks.into_iter().enumerate().map(tensor).collect()
}

/// Of each unit the share that its parts keep: whole weights of a part, in all not more than `budget`.
fn quotas(units: &[Unit], wanted: &[f64], budget: usize, pes: usize) -> Vec<f64> {
    let part = |unit: &Unit| unit.rows * unit.columns.div_ceil(pes);
    let parts = |unit: &Unit| pes.min(unit.columns);
    let exact: Vec<f64> = units.iter().zip(wanted).map(|(unit, wanted)| wanted / parts(unit) as f64).collect();
    let mut counts: Vec<usize> = exact.iter().map(|e| *e as usize).collect();
    let mut left = budget.saturating_sub(units.iter().zip(&counts).map(|(unit, count)| count * parts(unit)).sum());
    let mut order: Vec<usize> = (0..units.len()).collect();
    order.sort_by(|a, b| exact[*b].fract().total_cmp(&exact[*a].fract()).then(a.cmp(b)));
    for u in order.into_iter().filter(|u| exact[*u].fract() > 0.0) {
        if parts(&units[u]) <= left && counts[u] < part(&units[u]) {
            counts[u] += 1;
            left -= parts(&units[u]);
        }
    }
    units.iter().zip(counts).map(|(unit, count)| count as f64 / part(unit) as f64).collect()
}

impl Unit {
    /// Places in the variable of the weights of a PE.
    fn part(&self, pe: usize, pes: usize) -> impl Iterator<Item = usize> + '_ {
        let columns = (self.first..self.first + self.columns).skip(pe).step_by(pes);
        columns.flat_map(move |column| (0..self.rows).map(move |row| row * self.width + column))
    }
}

/// Share of the weights of the LSTM layers' matrices that the masks keep.
pub fn density(masks: &[Option<Tensor>]) -> Result<f64, Error> {
    let (mut kept, mut all) = (0.0, 0usize);
    for mask in masks.iter().flatten() {
        all += mask.elem_count();
        kept += slices::read(mask, |m| m.iter().map(|v| f64::from(*v)).sum::<f64>())?;
    }
    Ok(if all == 0 { 1.0 } else { kept / all as f64 })
}

/// Makes the weights that the masks leave out zero.
pub fn apply(network: &RecurrentVariables, masks: &[Option<Tensor>]) -> Result<(), Error> {
    for ((_, var), mask) in network.named().iter().zip(masks) {
        if let Some(mask) = mask {
            let mask = slices::values(mask)?;
            slices::change(var, |values| values.iter_mut().zip(mask).filter(|(_, m)| *m == 0.0).for_each(|(v, _)| *v = 0.0))?;
        }
    }
    Ok(())
}
