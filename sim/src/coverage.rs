//! What of the Verilog ran: Verilator's counts of lines and of bits that changed, by module.
//!
//! A point is a place in the text of an emitted module. Its instances, whatever their parameters, are counted together.

use std::collections::BTreeMap;

/// What a point counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A block of lines, or a branch.
    Line,
    /// A bit of a signal that changed.
    Toggle,
}

/// A place that can be reached. Order: module, then as in its text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    pub module: String,
    pub line: usize,
    pub column: usize,
    pub kind: Kind,
    /// Of a bit `signal[3]`, of a block its kind, like `else`.
    pub what: String,
}

/// How often each point was reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(pub BTreeMap<Point, u64>);

impl Coverage {
    pub fn add(&mut self, other: &Coverage) {
        other.0.iter().for_each(|(point, count)| *self.0.entry(point.clone()).or_default() += count);
    }

    /// Reads what the runtime writes: lines of `C '<fields>' <count>`, a field being 1, its key, 2, its value.
    /// The error says which line is none.
    pub fn parse(text: &str) -> Result<Coverage, String> {
        let mut all = Coverage::default();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with("C ")) {
            let (point, count) = point(line).ok_or_else(|| format!("line {}: expected a count of coverage, found {line:?}", number + 1))?;
            *all.0.entry(point).or_default() += count;
        }
        Ok(all)
    }
}

fn point(line: &str) -> Option<(Point, u64)> {
    let (fields, count) = line.strip_prefix("C '")?.rsplit_once("' ")?;
    let fields: BTreeMap<&str, &str> = fields.split('\u{1}').filter_map(|field| field.split_once('\u{2}')).collect();
    let kind = match fields.get("page")?.split('/').next()? {
        "v_line" | "v_branch" => Kind::Line,
        "v_toggle" => Kind::Toggle,
        _ => return None,
    };
    let file = fields.get("f")?.rsplit('/').next()?;
    let number = |key: &str| fields.get(key).map_or(Some(0), |text| text.parse().ok());
    let point = Point {
        module: file.strip_suffix(".v").unwrap_or(file).to_string(),
        line: number("l")?,
        column: number("n")?,
        kind,
        what: fields.get("o").copied().unwrap_or_default().to_string(),
    };
    Some((point, count.parse().ok()?))
}
