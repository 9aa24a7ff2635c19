//! What a measurement found: flat rows for the JSON, and values beside their bars.

use crate::term;
use anyhow::Result;
use lacuna_compress::error::grouped;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// A flat object whose keys keep their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    entries: Vec<(&'static str, Value)>,
    /// Of the entries, those that the table leaves out.
    hidden: Vec<&'static str>,
}

impl Row {
    pub fn new() -> Row {
        Row::default()
    }
    /// Adds a key, which must be new.
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Row {
        assert!(self.get(key).is_none(), "a row has {key} once");
        self.entries.push((key, value.into()));
        self
    }
    /// Adds a key that only the JSON has: the table's lines around it say the same.
    pub fn with_hidden(mut self, key: &'static str, value: impl Into<Value>) -> Row {
        self.hidden.push(key);
        self.with(key, value)
    }
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|(k, _)| *k == key).map(|(_, v)| v)
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.entries.len()))?;
        for (key, value) in &self.entries {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    AtMost(f64),
    Below(f64),
    AtLeast(f64),
    Above(f64),
}

impl Bar {
    fn holds(self, value: f64) -> bool {
        match self {
            Bar::AtMost(bar) => value <= bar,
            Bar::Below(bar) => value < bar,
            Bar::AtLeast(bar) => value >= bar,
            Bar::Above(bar) => value > bar,
        }
    }
    fn parts(self) -> (&'static str, f64) {
        match self {
            Bar::AtMost(bar) => ("<=", bar),
            Bar::Below(bar) => ("<", bar),
            Bar::AtLeast(bar) => (">=", bar),
            Bar::Above(bar) => (">", bar),
        }
    }
}

/// A measured value beside its bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    what: String,
    /// `None` if it could not be measured, which misses the bar.
    measured: Option<f64>,
    /// Digits after the point.
    decimals: usize,
    bar: Bar,
    /// A harder bar, which need not be met.
    stretch: Option<f64>,
    /// What no design of this kind could pass.
    limit: Option<f64>,
}

impl Check {
    pub fn new(what: impl Into<String>, measured: impl Into<Option<f64>>, decimals: usize, bar: Bar) -> Check {
        Check { what: what.into(), measured: measured.into(), decimals, bar, stretch: None, limit: None }
    }
    pub fn stretch(self, stretch: f64) -> Check {
        Check { stretch: Some(stretch), ..self }
    }
    pub fn limit(self, limit: f64) -> Check {
        Check { limit: Some(limit), ..self }
    }
    pub fn met(&self) -> bool {
        self.measured.is_some_and(|value| self.bar.holds(value))
    }
    fn cells(&self) -> Vec<String> {
        let number = |value: f64| decimal(value, self.decimals);
        let (sign, bar) = self.bar.parts();
        let same = |value: f64| if sign.starts_with('<') { Bar::AtMost(value) } else { Bar::AtLeast(value) };
        let verdict = match self.measured {
            None => "not measured",
            Some(_) if !self.met() => "MISSED",
            Some(value) if self.stretch.is_some_and(|s| same(s).holds(value)) => "stretch",
            Some(_) => "met",
        };
        let cell = |value: Option<f64>| value.map_or("-".to_string(), number);
        vec![
            self.what.clone(),
            cell(self.measured),
            format!("{sign} {}", number(bar)),
            self.stretch.map_or("-".to_string(), |s| format!("{sign} {}", number(s))),
            cell(self.limit),
            verdict.to_string(),
        ]
    }
}

/// What a measurement found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    pub rows: Vec<Row>,
    pub checks: Vec<Check>,
    /// Lines above the tables: what was run, and numbers to compare with.
    pub notes: Vec<String>,
}

impl Outcome {
    pub fn json(&self, bench: &str) -> Result<String> {
        #[derive(serde::Serialize)]
        struct Json<'a> {
            bench: &'a str,
            command: String,
            notes: &'a [String],
            checks: Vec<Checked<'a>>,
            rows: &'a [Row],
        }
        #[derive(serde::Serialize)]
        struct Checked<'a> {
            what: &'a str,
            measured: Option<f64>,
            met: bool,
        }
        let checks = self.checks.iter().map(|c| Checked { what: &c.what, measured: c.measured, met: c.met() }).collect();
        let command = format!("lacuna bench {bench}");
        Ok(serde_json::to_string_pretty(&Json { bench, command, notes: &self.notes, checks, rows: &self.rows })? + "\n")
    }

    /// The checks that failed.
    pub fn missed(&self) -> Vec<&str> {
        self.checks.iter().filter(|c| !c.met()).map(|c| c.what.as_str()).collect()
    }

    pub fn print(&self, bench: &str) -> Result<()> {
        for note in &self.notes {
            term::line(note)?;
        }
        let mut keys: Vec<&'static str> = vec![];
        for row in &self.rows {
            let shown = row.entries.iter().map(|(key, _)| *key).filter(|key| !row.hidden.contains(key));
            shown.for_each(|key| {
                if !keys.contains(&key) {
                    keys.push(key)
                }
            });
        }
        let cell = |row: &Row, key: &str| row.get(key).map_or("-".to_string(), text);
        let rows: Vec<Vec<String>> = self.rows.iter().map(|r| keys.iter().map(|k| cell(r, k)).collect()).collect();
        let headers: Vec<String> = keys.iter().map(|k| k.replace('_', " ")).collect();
        term::table(bench, &headers, &rows)?;
        if !self.checks.is_empty() {
            let rows: Vec<Vec<String>> = self.checks.iter().map(Check::cells).collect();
            term::table("bars", &["what", "measured", "bar", "stretch", "limit", "verdict"], &rows)?;
        }
        Ok(())
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Number(n) => match n.as_u64().and_then(|n| usize::try_from(n).ok()) {
            Some(n) => grouped(n),
            None => match n.as_f64() {
                // what three decimals would show as nothing
                Some(f) if f != 0.0 && f.abs() < 5e-4 => format!("{f:.1e}"),
                Some(f) => decimal(f, if f.abs() < 100.0 { 3 } else { 0 }),
                None => n.to_string(),
            },
        },
        other => other.to_string(),
    }
}

/// `7,650`, `1.347`
fn decimal(value: f64, decimals: usize) -> String {
    if decimals == 0 && (0.0..1e15).contains(&value) {
        // a whole number of at most 15 digits
        return grouped(value.round() as usize);
    }
    format!("{value:.decimals$}")
}

/// The geometric mean of positive numbers; 1 of none.
pub fn geometric_mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) = values.into_iter().fold((0.0, 0usize), |(sum, count), v| (sum + v.ln(), count + 1));
    (sum / count.max(1) as f64).exp()
}

/// Digits after the point that are worth storing.
pub fn rounded(value: f64, decimals: i32) -> f64 {
    let unit = 10f64.powi(decimals);
    (value * unit).round() / unit
}
