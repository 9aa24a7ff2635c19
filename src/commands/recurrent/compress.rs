//! `lacuna compress` of a network with LSTM layers.

use crate::commands::compress::{accelerator_row, run_bits_table, CompressArgs, ACCELERATOR};
use crate::pipeline::recurrent::{compress, CompressedRecurrent};
use crate::staged::Staged;
use crate::term::{self, percent};
use anyhow::Result;
use lacuna_compress::config::Config;
use lacuna_compress::error::grouped;
use lacuna_compress::files::{write_image, write_whole};
use lacuna_compress::recurrent::{MatrixReport, RecurrentReport, StoredReport};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub fn run(args: &CompressArgs, config: &Config) -> Result<ExitCode> {
    let found = compress(config)?;
    let both = found.len() > 1;
    let images = args.images.as_deref().map(Staged::new).transpose()?;
    let mut containers = vec![];
    for one in &found {
        let direction = both.then(|| direction(one));
        if let Some(staged) = &images {
            let folder = direction.map_or(staged.path().to_path_buf(), |d| staged.path().join(d));
            write_image(&folder, &one.compiled.model.image, args.format.into())?;
        }
        containers.push((directed(&args.output, direction), one.compiled.model.to_container()?));
    }
    for (path, bytes) in &containers {
        write_whole(path, bytes)?;
    }
    if let Some(staged) = images {
        staged.commit()?;
    }
    for (one, (path, bytes)) in found.iter().zip(&containers) {
        if both {
            term::line(format!("{} direction: {}\n", direction(one), path.display()))?;
        }
        print(one, bytes.len())?;
    }
    for (path, _) in &containers {
        term::note(format!("wrote {}", path.display()));
    }
    if both {
        term::note("the network is bidirectional: each direction has its own container, both are for the same accelerator");
    }
    if let Some(folder) = &args.images {
        let files: usize = found.iter().map(|one| one.compiled.model.image.sections.len()).sum();
        let below = if both { ", in a folder for each direction" } else { "" };
        term::note(format!("wrote {} to {}{below}", term::count(files, "memory file"), folder.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn direction(one: &CompressedRecurrent) -> &'static str {
    if one.network.reverse {
        "reverse"
    } else {
        "forward"
    }
}

/// `net.lacuna` with the direction before the extension: `net.forward.lacuna`.
fn directed(path: &Path, direction: Option<&str>) -> PathBuf {
    let Some(direction) = direction else { return path.to_path_buf() };
    match path.extension() {
        Some(extension) => path.with_extension(format!("{direction}.{}", extension.to_string_lossy())),
        None => path.with_extension(direction),
    }
}

fn print(found: &CompressedRecurrent, bytes: usize) -> Result<()> {
    let report = &found.compiled.report;
    pruning(report)?;
    weights(report)?;
    stored(report)?;
    vectors(report)?;
    run_bits_table(&report.run)?;
    memories(report)?;
    let arch = found.compiled.model.arch();
    let headers: Vec<&str> = ACCELERATOR.into_iter().chain(["channels"]).collect();
    let mut row = accelerator_row(arch);
    row.push(arch.channels().to_string());
    term::table(&format!("accelerator {:016x}", arch.hash()), &headers, &[row])?;

    let held = match report.hold_columns {
        0 => String::new(),
        held => format!(", {} of the next step's input held back until the projection", term::count(held, "column")),
    };
    term::line(format!("program: {} a step{held}", term::count(report.operations, "operation")))?;
    term::line(format!("cycles a step: at least {}, the entries of the busiest PE", grouped(report.bound_cycles)))?;
    let of = format!("{} in {}", term::count(report.steps, "calibration step"), term::count(found.sequences, "sequence"));
    term::line(format!("{of}: outputs at most {:.5} from those of the imported network in floating point", found.largest_error))?;
    term::line(format!("saturated values there: {}", grouped(found.saturated)))?;
    let parameters = found.compiled.model.network.parameters;
    let rate = 4.0 * parameters as f64 / bytes as f64;
    term::line(format!(
        "{} parameters: {} bytes as 32-bit floats, {} bytes compressed, rate {rate:.1}",
        grouped(parameters),
        grouped(4 * parameters),
        grouped(bytes)
    ))
}

/// Both ways of pruning side by side, whichever was taken.
fn pruning(report: &RecurrentReport) -> Result<()> {
    let row = |m: &MatrixReport| {
        let mut row = vec![m.name.clone(), grouped(m.rows), grouped(m.columns)];
        for way in [&m.load_balanced, &m.magnitude] {
            row.extend([grouped(way.nonzeros), percent(way.density), format!("{:.3}", way.imbalance)]);
        }
        row.extend([grouped(m.nonzeros), percent(m.density)]);
        row
    };
    let rows: Vec<_> = report.matrices.iter().map(row).collect();
    let headers =
        ["matrix", "rows", "columns", "load-balanced", "density", "imbalance", "magnitude", "density", "imbalance", "stored", "density"];
    term::table("non-zeros, by each way of pruning, and as stored", &headers, &rows)
}

fn weights(report: &RecurrentReport) -> Result<()> {
    let row = |m: &MatrixReport| {
        vec![
            m.name.clone(),
            m.weight_fraction.to_string(),
            m.activation_fraction.to_string(),
            m.product_fraction.to_string(),
            m.signal_to_noise.map_or("inf".to_string(), |ratio| format!("{ratio:.1}")),
            format!("{:.6}", m.max_error),
            grouped(m.clipped),
            grouped(m.padding),
            grouped(m.bytes),
        ]
    };
    let rows: Vec<_> = report.matrices.iter().map(row).collect();
    let headers =
        ["matrix", "weight fraction", "vector fraction", "product fraction", "SNR dB", "largest error", "clipped", "padding", "bytes"];
    term::table("weights; padding and bytes as if each matrix were stored alone", &headers, &rows)
}

fn stored(report: &RecurrentReport) -> Result<()> {
    let row = |s: &StoredReport| {
        let entries: usize = s.entries_per_pe.iter().sum();
        let (least, most) = (s.entries_per_pe.iter().min().copied().unwrap_or(0), s.entries_per_pe.iter().max().copied().unwrap_or(0));
        let mut row = vec![s.name.clone()];
        row.extend([s.rows, s.columns, s.nonzeros, entries, s.padding].map(grouped));
        row.push(percent(s.padding as f64 / entries.max(1) as f64));
        row.extend([grouped(least), grouped(most), format!("{:.3}", s.imbalance), grouped(s.bytes)]);
        row
    };
    let rows: Vec<_> = report.stored.iter().map(row).collect();
    let headers =
        ["matrix", "rows", "columns", "non-zeros", "entries", "padding", "share", "fewest per PE", "most per PE", "imbalance", "bytes"];
    term::table("entries, the gates of a layer as one matrix", &headers, &rows)?;
    let (row, bits) = (report.widest_row, report.widest_bits);
    term::line(format!("widest sum: {}, row {row}, {bits} bits; the accumulators have {}\n", report.widest, report.acc_bits))
}

fn vectors(report: &RecurrentReport) -> Result<()> {
    let row = |v: &lacuna_compress::recurrent::VectorReport| {
        vec![v.name.clone(), format!("{:.4}", v.range.low), format!("{:.4}", v.range.high), v.fraction.to_string()]
    };
    let rows: Vec<_> = report.vectors.iter().map(row).collect();
    let title = format!("vectors, 16 bits, over {}; ranges with their margin", term::count(report.steps, "calibration step"));
    term::table(&title, &["vector", "lowest", "highest", "fraction"], &rows)
}

fn memories(report: &RecurrentReport) -> Result<()> {
    let rows: Vec<_> = report.depths.iter().map(|d| vec![d.memory.to_string(), grouped(d.used), grouped(d.depth)]).collect();
    term::table("memories", &["memory", "words used", "depth"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_goes_before_the_extension() {
        let name = |path: &str, direction| directed(Path::new(path), direction).display().to_string();
        assert_eq!(name("a.b/net.lacuna", Some("forward")), "a.b/net.forward.lacuna");
        assert_eq!(name("a/net", Some("reverse")), "a/net.reverse");
        assert_eq!(name("net.lacuna", None), "net.lacuna");
    }
}
