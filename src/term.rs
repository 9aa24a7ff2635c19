//! What the user sees: tables and lines on stdout, everything else on stderr.

use anyhow::Result;
use comfy_table::{presets, CellAlignment, Table, TableComponent};
use indicatif::{ProgressBar, ProgressStyle};
use lacuna_compress::error::grouped;
use lacuna_compress::inspect;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// Ran, and the verdict is bad.
#[cfg_attr(not(feature = "verilator"), allow(dead_code))] // golden runs alone have no verdict
pub const BAD: u8 = 1;
/// Could not run.
const COULD_NOT_RUN: u8 = 2;

/// Prints an error and what caused it.
pub fn fail(error: &anyhow::Error) -> ExitCode {
    // whoever reads our output has enough of it, as `head` does
    if error.chain().any(|e| e.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)) {
        return ExitCode::SUCCESS;
    }
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // messages of the crates name their cause already
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    eprintln!("error: {text}");
    ExitCode::from(COULD_NOT_RUN)
}

/// A line of data. An error if stdout takes no more.
pub fn line(text: impl AsRef<str>) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{}", text.as_ref())?)
}

/// What was done, for people.
pub fn note(text: impl AsRef<str>) {
    eprintln!("{}", text.as_ref());
}

/// A table of data with its title, and an empty line after it. Columns of numbers are aligned to the right.
pub fn table<H: AsRef<str>>(title: &str, headers: &[H], rows: &[Vec<String>]) -> Result<()> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(headers.iter().map(AsRef::as_ref));
    table.set_style(TableComponent::HeaderLines, '─').set_style(TableComponent::MiddleHeaderIntersections, '─');
    table.add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        let numbers = rows.iter().filter_map(|row| row.get(index)).all(|cell| is_number(cell));
        if numbers && !rows.is_empty() {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    if !title.is_empty() {
        line(title)?;
    }
    // a table pads its lines; nothing that is printed ends in blanks
    let text: Vec<String> = table.lines().map(|l| l.trim_end().to_string()).collect();
    line(text.join("\n") + "\n")
}

/// A table of the crate `compress`.
pub fn image_table(found: &inspect::Table) -> Result<()> {
    table(&found.title, &found.headers, &found.rows)
}

/// Digits, with what numbers are written with, or an empty place.
fn is_number(cell: &str) -> bool {
    ["", "-", "inf"].contains(&cell)
        || cell.starts_with(|c: char| c.is_ascii_digit() || c == '-') && cell.ends_with(|c: char| c.is_ascii_digit() || c == '%')
}

/// A bar for `length` steps of `what`; shown only if stderr is a terminal.
pub fn progress(what: &'static str, length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {pos}/{len} {eta}").expect("the template is valid");
    ProgressBar::new(length as u64).with_style(style).with_message(what)
}

/// A sign of life for work of unknown length; shown only if stderr is a terminal.
pub fn spinner(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what);
    bar.enable_steady_tick(std::time::Duration::from_millis(120));
    bar
}

/// `1 digit`, `1,234 digits`.
pub fn count(number: usize, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A share in percent.
pub fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}
