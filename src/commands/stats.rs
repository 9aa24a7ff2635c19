//! `lacuna stats`: what each tensor costs, in the columns of Deep Compression's tables.

use super::store::exact;
use crate::term::{self, percent};
use anyhow::Result;
use lacuna_compress::error::grouped;
use lacuna_compress::storage::{self, tensor_stats, Method, Values};
use std::path::PathBuf;
use std::process::ExitCode;

/// Show what each layer costs: weights kept, bits of codes and indices before and after coding, rates
///
/// The columns are those of Deep Compression's tables: P pruned, Q shared, H Huffman-coded. Index bits are those that
/// make the layer smallest. The last columns are what the smallest form of an .lcs takes.
#[derive(clap::Args)]
pub struct StatsArgs {
    /// Storage file (.lcs), bitstream (.net) or tensors (.safetensors, .npz)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Layers of a .net that is not SqueezeNet's: [[layer]] tables with name, shape and bits
    #[arg(long, value_name = "TOML")]
    pub layout: Option<PathBuf>,
}

pub fn run(args: &StatsArgs) -> Result<ExitCode> {
    let spinner = term::spinner("coding");
    let tensors = exact(&args.file, args.layout.as_deref())?;
    let sizes = storage::sizes(&tensors, Method::Auto)?;
    spinner.finish_and_clear();
    let rate = |bytes: f64, weights: usize| percent(bytes / (4.0 * weights.max(1) as f64));
    let (mut rows, mut others) = (vec![], vec![]);
    let (mut weights, mut nonzeros, mut plain, mut huffman, mut smallest) = (0, 0, 0.0, 0.0, 0.0);
    for (tensor, size) in tensors.iter().zip(&sizes) {
        let Some(s) = tensor_stats(tensor) else {
            let form = match &tensor.values {
                Values::Uniform { bits, .. } => format!("integers of {bits} bits"),
                _ => "floats".to_string(),
            };
            let count = tensor.values.len();
            others.push(vec![tensor.name.clone(), grouped(count), form, format!("{size:.0}"), rate(*size, count)]);
            continue;
        };
        weights += s.weights;
        nonzeros += s.nonzeros;
        plain += s.plain_bytes;
        huffman += s.huffman_bytes;
        smallest += size;
        rows.push(vec![
            s.name,
            grouped(s.weights),
            percent(s.nonzeros as f64 / s.weights.max(1) as f64),
            s.code_bits.to_string(),
            format!("{:.1}", s.coded_code_bits),
            s.gap_bits.to_string(),
            format!("{:.1}", s.coded_gap_bits),
            rate(s.plain_bytes, s.weights),
            rate(s.huffman_bytes, s.weights),
            format!("{:.1}", 8.0 * size / s.nonzeros.max(1) as f64),
            rate(*size, s.weights),
        ]);
    }
    let dash = || "-".to_string();
    rows.push(vec![
        "total".to_string(),
        grouped(weights),
        percent(nonzeros as f64 / weights.max(1) as f64),
        dash(),
        dash(),
        dash(),
        dash(),
        rate(plain, weights),
        rate(huffman, weights),
        format!("{:.1}", 8.0 * smallest / f64::from(u32::try_from(nonzeros.max(1)).unwrap_or(u32::MAX))),
        rate(smallest, weights),
    ]);
    let headers = [
        "layer",
        "#W",
        "weights %",
        "weight bits P+Q",
        "weight bits P+Q+H",
        "index bits P+Q",
        "index bits P+Q+H",
        "rate P+Q",
        "rate P+Q+H",
        "bits per weight kept, smallest",
        "rate, smallest",
    ];
    term::table("shared weights", &headers, &rows)?;
    if !others.is_empty() {
        term::table("others", &["tensor", "values", "form", "bytes", "rate"], &others)?;
    }
    let bytes = std::fs::metadata(&args.file)?.len();
    let values: usize = tensors.iter().map(|t| t.values.len()).sum();
    term::line(format!(
        "{}: {} bytes, {} values, {} of 32-bit floats",
        args.file.display(),
        grouped(bytes as usize),
        grouped(values),
        rate(bytes as f64, values)
    ))?;
    Ok(ExitCode::SUCCESS)
}
