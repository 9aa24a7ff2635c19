//! EIE's column format, interleaved over the PEs (EIE section III; `spec::layout`, `spec::entry`).
//!
//! Each PE holds, column after column, the non-zeros of its own rows, each with the run of that PE's
//! zero rows before it. A run that the field cannot hold is broken by padding entries. Pointers
//! count entries, padding included, from the layer's first entry of the PE.
//!
//! Rows and columns are counted by position: a layer may store its rows in another order than the
//! model's, and the layer that reads them then has its columns in that order.

use crate::error::{grouped, Error};
use crate::model::{Nonzero, QuantizedLayer};
use crate::spec::layout::place;
use crate::spec::{Entry, WeightForm};

/// How a layer is laid out over the PEs.
#[derive(Clone, Copy, Debug)]
pub struct Interleave<'a> {
    pub pes: usize,
    pub weight_bits: usize,
    pub run_bits: usize,
    /// `order[position] = row`; `None` is the model's order.
    pub row_order: Option<&'a [u32]>,
    /// `order[position] = column`: the row order of the layer before.
    pub column_order: Option<&'a [u32]>,
}

/// What one PE holds of one layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeEntries {
    pub entries: Vec<Entry>,
    /// `columns + 1` of them; column `c` is `entries[pointers[c]..pointers[c + 1]]`.
    pub pointers: Vec<u32>,
}

/// An encoded layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    pub rows: usize,
    pub columns: usize,
    pub run_bits: usize,
    pub row_order: Option<Vec<u32>>,
    pub column_order: Option<Vec<u32>>,
    pub pes: Vec<PeEntries>,
    pub nonzeros: usize,
    /// Padding entries over all PEs.
    pub padding: usize,
}

impl Encoded {
    /// Entries of each PE, padding included.
    pub fn entries_per_pe(&self) -> Vec<usize> {
        self.pes.iter().map(|pe| pe.entries.len()).collect()
    }
    /// Most entries of a PE over their mean; 1 for a layer without entries.
    pub fn imbalance(&self) -> f64 {
        let (most, total) = self.pes.iter().fold((0, 0), |(most, sum), pe| (pe.entries.len().max(most), sum + pe.entries.len()));
        if total == 0 {
            1.0
        } else {
            most as f64 * self.pes.len() as f64 / total as f64
        }
    }
}

/// A non-zero on its PE: the PE's zero rows since its last non-zero of the column, and the weight.
struct Gap {
    pe: usize,
    gap: usize,
    weight: i32,
}

/// Walks a layer's columns in position order.
struct Walk<'a> {
    layer: &'a QuantizedLayer,
    pes: usize,
    position_of: Option<Vec<u32>>,
    column_order: Option<&'a [u32]>,
    positions: Vec<(u32, i32)>,
    next_row: Vec<usize>,
}

impl<'a> Walk<'a> {
    fn new(layer: &'a QuantizedLayer, pes: usize, row_order: Option<&[u32]>, column_order: Option<&'a [u32]>) -> Result<Self, Error> {
        let fault = |fault: String| Error::Layer { layer: layer.name.clone(), fault };
        if layer.rows == 0 || layer.columns.is_empty() {
            return Err(fault(format!("it has {} rows and {} columns, both must be at least 1", layer.rows, layer.columns.len())));
        }
        for (c, column) in layer.columns.iter().enumerate() {
            let ascending = column.windows(2).all(|w| w[0].row < w[1].row);
            if !ascending || column.last().is_some_and(|n| n.row as usize >= layer.rows) {
                return Err(fault(format!("the rows of column {c} are not ascending numbers below {}", layer.rows)));
            }
            if let Some(zero) = column.iter().find(|n| n.weight == 0) {
                return Err(fault(format!("column {c}, row {}: weight 0 is stored, it marks padding", zero.row)));
            }
        }
        if let Some(order) = column_order {
            inverse(order, layer.columns.len()).map_err(|e| fault(format!("column order: {e}")))?;
        }
        let position_of = row_order.map(|o| inverse(o, layer.rows)).transpose().map_err(|e| fault(format!("row order: {e}")))?;
        Ok(Walk { layer, pes, position_of, column_order, positions: vec![], next_row: vec![0; pes] })
    }

    /// The non-zeros of the column at `position`, each PE's by ascending row.
    fn column(&mut self, position: usize) -> impl Iterator<Item = Gap> + '_ {
        let column = self.column_order.map_or(position, |order| order[position] as usize);
        let position_of = self.position_of.as_deref();
        self.positions.clear();
        self.positions.extend(self.layer.columns[column].iter().map(|n| (position_of.map_or(n.row, |p| p[n.row as usize]), n.weight)));
        if position_of.is_some() {
            self.positions.sort_unstable();
        }
        self.next_row.fill(0);
        let (pes, next_row) = (self.pes, &mut self.next_row);
        self.positions.iter().map(move |(q, weight)| {
            let (pe, local) = place(*q as usize, pes);
            let gap = local - next_row[pe];
            next_row[pe] = local + 1;
            Gap { pe, gap, weight: *weight }
        })
    }
}

/// The inverse of a permutation of `0..count`.
pub(crate) fn inverse(order: &[u32], count: usize) -> Result<Vec<u32>, String> {
    let mut positions = vec![u32::MAX; count];
    for (position, item) in order.iter().enumerate() {
        match positions.get_mut(*item as usize) {
            Some(slot) if *slot == u32::MAX => *slot = position as u32,
            Some(_) => return Err(format!("{item} occurs twice")),
            None => return Err(format!("{item} is not below {count}")),
        }
    }
    if order.len() == count {
        Ok(positions)
    } else {
        Err(format!("it has {} places, expected {count}", order.len()))
    }
}

/// Encodes a layer. Errors: malformed columns, an order that is no permutation.
pub fn encode(layer: &QuantizedLayer, how: &Interleave) -> Result<Encoded, Error> {
    let mut walk = Walk::new(layer, how.pes, how.row_order, how.column_order)?;
    let columns = layer.columns.len();
    let mut pes = vec![PeEntries { entries: vec![], pointers: vec![0] }; how.pes];
    let (run_mask, weight_mask) = ((1usize << how.run_bits) - 1, (1u32 << how.weight_bits) - 1);
    let mut padding = 0;
    for position in 0..columns {
        for Gap { pe, gap, weight } in walk.column(position) {
            // each padding entry stands for 2^run_bits rows
            let breaks = gap >> how.run_bits;
            padding += breaks;
            let entries = &mut pes[pe].entries;
            entries.extend(std::iter::repeat_n(Entry { weight: 0, run: run_mask as u32 }, breaks));
            entries.push(Entry { weight: weight as u32 & weight_mask, run: (gap & run_mask) as u32 });
        }
        for pe in &mut pes {
            let end = u32::try_from(pe.entries.len()).map_err(|_| Error::Layer {
                layer: layer.name.clone(),
                fault: format!("a PE would have {} entries", grouped(pe.entries.len())),
            })?;
            pe.pointers.push(end);
        }
    }
    let own = |order: Option<&[u32]>| order.map(<[u32]>::to_vec);
    Ok(Encoded {
        rows: layer.rows,
        columns,
        run_bits: how.run_bits,
        row_order: own(how.row_order),
        column_order: own(how.column_order),
        pes,
        nonzeros: layer.nonzeros(),
        padding,
    })
}

/// The layer's columns in the model's order of rows and columns, padding gone: undoes [`encode`].
/// `weight_bits` are those it was encoded with.
pub fn decode(encoded: &Encoded, weights: WeightForm, weight_bits: usize) -> Vec<Vec<Nonzero>> {
    let count = encoded.pes.len();
    let mut columns = vec![vec![]; encoded.columns];
    for position in 0..encoded.columns {
        let column = encoded.column_order.as_ref().map_or(position, |o| o[position] as usize);
        for (k, pe) in encoded.pes.iter().enumerate() {
            let mut next = 0;
            for entry in &pe.entries[pe.pointers[position] as usize..pe.pointers[position + 1] as usize] {
                let local = next + entry.run as usize;
                next = local + 1;
                if entry.weight != 0 {
                    let q = local * count + k;
                    let row = encoded.row_order.as_ref().map_or(q as u32, |o| o[q]);
                    columns[column].push(Nonzero { row, weight: signed(entry.weight, weights, weight_bits) });
                }
            }
        }
        columns[column].sort_unstable_by_key(|n| n.row);
    }
    columns
}

/// The code, or the two's complement number of a direct weight.
pub fn signed(weight: u32, weights: WeightForm, weight_bits: usize) -> i32 {
    match weights {
        WeightForm::Codebook => weight as i32,
        WeightForm::Direct => ((weight << (32 - weight_bits)) as i32) >> (32 - weight_bits),
    }
}

/// A width of the run field, and what it would cost the network.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct RunCandidate {
    pub run_bits: usize,
    /// Padding entries of all layers and PEs.
    pub padding: usize,
    /// Sum over the layers of the expected active entries of the PE that has most.
    pub cycles: f64,
    /// Bits of all entries, padding included.
    pub bits: usize,
}

#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct RunChoice {
    pub run_bits: usize,
    /// Why, as a sentence.
    pub reason: String,
    /// One per width 2..=8.
    pub candidates: Vec<RunCandidate>,
}

/// What the choice of the run field's width depends on.
#[derive(Clone, Copy, Debug)]
pub struct RunProblem<'a> {
    pub layers: &'a [QuantizedLayer],
    pub pes: usize,
    pub weight_bits: usize,
    /// Row order of each layer, see [`Interleave`].
    pub row_orders: &'a [Option<Vec<u32>>],
    /// The columns are in stored order; otherwise in the model's, and the row order of the layer before says where.
    pub stored_columns: bool,
    /// How often a start is expected to broadcast a column of each layer: the share of non-zero activations at its input,
    /// as often as it takes them.
    pub densities: &'a [f64],
}

/// Picks the width of the run field, 2..=8, that costs the network the fewest cycles; of several, the
/// one with the fewest bits. A `fixed` width is kept and explained; the table is made all the same.
pub fn choose_run_bits(problem: &RunProblem, fixed: Option<usize>) -> Result<RunChoice, Error> {
    const WIDTHS: std::ops::RangeInclusive<usize> = 2..=8;
    let empty = |run_bits| RunCandidate { run_bits, padding: 0, cycles: 0.0, bits: 0 };
    let mut candidates: Vec<RunCandidate> = WIDTHS.map(empty).collect();
    for (l, layer) in problem.layers.iter().enumerate() {
        let column_order = if l == 0 || problem.stored_columns { None } else { problem.row_orders[l - 1].as_deref() };
        let mut walk = Walk::new(layer, problem.pes, problem.row_orders[l].as_deref(), column_order)?;
        let mut entries = vec![0usize; problem.pes];
        let mut padding = vec![vec![0usize; problem.pes]; candidates.len()];
        for position in 0..layer.columns.len() {
            for Gap { pe, gap, .. } in walk.column(position) {
                entries[pe] += 1;
                padding.iter_mut().zip(WIDTHS).for_each(|(pads, width)| pads[pe] += gap >> width);
            }
        }
        for (candidate, pads) in candidates.iter_mut().zip(&padding) {
            let most = entries.iter().zip(pads).map(|(e, p)| e + p).max().unwrap_or(0);
            let added: usize = pads.iter().sum();
            candidate.padding += added;
            candidate.cycles += problem.densities[l] * most as f64;
            candidate.bits += (layer.nonzeros() + added) * (problem.weight_bits + candidate.run_bits);
        }
    }
    let mut best = &candidates[0];
    for candidate in &candidates[1..] {
        if candidate.cycles < best.cycles || (candidate.cycles == best.cycles && candidate.bits < best.bits) {
            best = candidate;
        }
    }
    let cost =
        |c: &RunCandidate| format!("{:.0} expected cycles, {} padding entries, {} bits", c.cycles, grouped(c.padding), grouped(c.bits));
    let chosen = fixed.unwrap_or(best.run_bits);
    let reason = match candidates.iter().find(|c| Some(c.run_bits) == fixed) {
        Some(given) => {
            format!("{chosen} bits as configured: {}; the cheapest width is {} bits: {}", cost(given), best.run_bits, cost(best))
        }
        None => {
            let equal = candidates.iter().filter(|c| c.cycles == best.cycles).count();
            let tie = if equal > 1 { format!(", the fewest bits of {equal} widths with that many cycles") } else { String::new() };
            format!("{} bits cost the fewest cycles{tie}: {}", best.run_bits, cost(best))
        }
    };
    Ok(RunChoice { run_bits: chosen, reason, candidates })
}
