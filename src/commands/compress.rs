//! `lacuna compress`: a trained network becomes a container.

use super::recurrent;
use crate::pipeline::{self, Compressed};
use crate::staged::{self, Staged};
use crate::term::{self, percent};
use anyhow::Result;
use lacuna_compress::compile::{LayerReport, RangeReport};
use lacuna_compress::config::Config;
use lacuna_compress::encode::{RunCandidate, RunChoice};
use lacuna_compress::error::grouped;
use lacuna_compress::files::{write_container, write_image, Format};
use lacuna_compress::prune::PruneReport;
use lacuna_compress::quantize;
use lacuna_compress::spec::Arch;
use std::path::PathBuf;
use std::process::ExitCode;

/// Compress a trained network: import, prune, quantize, encode, pack
#[derive(clap::Args)]
pub struct CompressArgs {
    /// Configuration: accelerator, model, compression, calibration inputs
    #[arg(short, long, value_name = "TOML")]
    config: PathBuf,
    /// Container to write; of a bidirectional LSTM two, with .forward and .reverse before the extension
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Also write one file per memory into this folder
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,
    /// Form of these files
    #[arg(long, value_enum, default_value_t = ImageFormat::Mem, requires = "images")]
    pub format: ImageFormat,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum ImageFormat {
    /// `$readmemh`
    Mem,
    /// AMD block memory generator
    Coe,
    /// Intel memory initialization
    Mif,
}

impl From<ImageFormat> for Format {
    fn from(format: ImageFormat) -> Format {
        match format {
            ImageFormat::Mem => Format::Mem,
            ImageFormat::Coe => Format::Coe,
            ImageFormat::Mif => Format::Mif,
        }
    }
}

pub fn run(args: &CompressArgs) -> Result<ExitCode> {
    staged::check_file(&args.output)?;
    let config = Config::load(&args.config)?;
    if !config.model.lstm.is_empty() {
        return recurrent::compress::run(args, &config);
    }
    let found = pipeline::compress(&config)?;
    let model = &found.compiled.model;
    let images = match &args.images {
        Some(folder) => {
            let staged = Staged::new(folder)?;
            write_image(staged.path(), &model.image, args.format.into())?;
            Some(staged)
        }
        None => None,
    };
    let bytes = write_container(&args.output, model)?;
    if let Some(staged) = images {
        staged.commit()?;
    }
    print(&found, bytes)?;
    term::note(format!("wrote {}", args.output.display()));
    if let Some(folder) = &args.images {
        term::note(format!("wrote {} to {}", term::count(model.image.sections.len(), "memory file"), folder.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn print(found: &Compressed, bytes: usize) -> Result<()> {
    layers(found)?;
    ranges(found)?;
    encoding(found)?;
    run_bits_table(&found.compiled.report.run)?;
    accelerator(found)?;
    let parameters = found.compiled.model.network.parameters;
    let rate = 4.0 * parameters as f64 / bytes as f64;
    term::line(format!(
        "{} parameters: {} bytes as 32-bit floats, {} bytes compressed, rate {rate:.1}",
        grouped(parameters),
        grouped(4 * parameters),
        grouped(bytes)
    ))
}

fn layers(found: &Compressed) -> Result<()> {
    let row = |((p, q), r): ((&PruneReport, &quantize::LayerReport), &LayerReport)| {
        vec![
            p.name.clone(),
            grouped(r.rows),
            grouped(r.columns),
            grouped(p.before),
            grouped(p.kept),
            grouped(r.nonzeros),
            percent(r.weight_density),
            format!("{:.5}", p.threshold),
            grouped(q.shared_weights),
            format!("{:.1}", q.signal_to_noise()),
            grouped(q.clipped),
            q.weight_fraction.to_string(),
        ]
    };
    let rows: Vec<_> = found.pruned.iter().zip(&found.quantized).zip(&found.compiled.report.layers).map(row).collect();
    let headers = [
        "layer",
        "rows",
        "columns",
        "non-zeros",
        "after pruning",
        "stored",
        "density",
        "smallest kept",
        "shared weights",
        "SNR dB",
        "clipped",
        "fraction",
    ];
    term::table("weights", &headers, &rows)
}

fn ranges(found: &Compressed) -> Result<()> {
    let report = &found.compiled.report;
    let row = |name: &str, r: &RangeReport, saturated: String, density: String| {
        let clipped = r.clipped.map_or(String::new(), grouped);
        vec![
            name.to_string(),
            format!("{:.4}", r.range.low),
            format!("{:.4}", r.range.high),
            r.fraction.to_string(),
            clipped,
            saturated,
            density,
        ]
    };
    let assumed = |l: usize| report.layers.get(l).map_or(String::new(), |l| percent(l.activation_density));
    let mut rows = vec![row("input", &report.input, String::new(), assumed(0))];
    for (l, layer) in report.layers.iter().enumerate() {
        rows.push(row(&layer.name, &layer.output, grouped(found.saturated[l]), assumed(l + 1)));
    }
    let title = format!("activations, 16 bits, over {}", term::count(report.samples, "calibration sample"));
    term::table(&title, &["output of", "lowest", "highest", "fraction", "clipped", "saturated", "assumed density"], &rows)
}

fn encoding(found: &Compressed) -> Result<()> {
    let row = |r: &LayerReport| {
        let entries: usize = r.entries_per_pe.iter().sum();
        let (least, most) = (r.entries_per_pe.iter().min().copied().unwrap_or(0), r.entries_per_pe.iter().max().copied().unwrap_or(0));
        vec![
            r.name.clone(),
            grouped(entries),
            grouped(r.padding),
            percent(r.padding as f64 / entries.max(1) as f64),
            grouped(least),
            grouped(most),
            format!("{:.3}", r.imbalance),
            r.shift.to_string(),
            r.widest_row.to_string(),
            r.widest_bits.to_string(),
        ]
    };
    let rows: Vec<_> = found.compiled.report.layers.iter().map(row).collect();
    let headers = [
        "layer",
        "entries",
        "padding",
        "share",
        "fewest per PE",
        "most per PE",
        "imbalance",
        "shift",
        "widest row",
        "its accumulator bits",
    ];
    term::table("entries", &headers, &rows)
}

/// What each width of the zero run costs, and which was chosen.
pub fn run_bits_table(run: &RunChoice) -> Result<()> {
    let row = |c: &RunCandidate| {
        let chosen = if c.run_bits == run.run_bits { "chosen" } else { "" };
        vec![c.run_bits.to_string(), grouped(c.padding), format!("{:.0}", c.cycles), grouped(c.bits), chosen.to_string()]
    };
    let rows: Vec<_> = run.candidates.iter().map(row).collect();
    term::table("bits of the zero run", &["bits", "padding", "expected cycles", "bits of all entries", ""], &rows)?;
    term::line(format!("{}\n", run.reason))
}

fn accelerator(found: &Compressed) -> Result<()> {
    let arch = found.compiled.model.arch();
    term::table(&format!("accelerator {:016x}", arch.hash()), &ACCELERATOR, &[accelerator_row(arch)])
}

/// Headers of [`accelerator_row`].
pub const ACCELERATOR: [&str; 13] =
    ["weights", "pes", "fifo", "weight bits", "run bits", "entries/word", "spmat", "ptr", "act", "acc", "bias", "acc bits", "layers"];

pub fn accelerator_row(arch: &Arch) -> Vec<String> {
    let form = format!("{:?}", arch.weights).to_lowercase();
    let numbers = [
        arch.pes,
        arch.fifo_depth,
        arch.weight_bits,
        arch.run_bits,
        arch.entries_per_word,
        arch.spmat_depth,
        arch.ptr_depth,
        arch.act_depth,
        arch.acc_depth,
        arch.bias_depth,
        arch.acc_bits,
        arch.max_layers,
    ];
    [form].into_iter().chain(numbers.map(grouped)).collect()
}
