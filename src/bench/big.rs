//! `big`: a layer of the size of VGG-16's fc6, compressed for 64 PEs; k-means beside scikit-learn's.
//!
//! The layer is compressed in a process of its own, this program again, so that its peak of memory is that of the
//! pipeline and of nothing else. Stages are timed there; scikit-learn then clusters the same weights on the same machine.

mod worker;

use super::report::{rounded, Bar, Check, Outcome, Row};
use super::tools;
use crate::term;
use anyhow::{bail, Context, Result};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const ROWS: usize = 4096;
const COLUMNS: usize = 25_088;
const DENSITY: f64 = 0.04;
const BITS: usize = 4;
const PES: usize = 64;
const SEED: u64 = 1;
/// Most iterations of both implementations of k-means; both stop when nothing moves.
const ITERATIONS: usize = 300;
/// With this in its environment, a folder, the program is the worker, and leaves there what it found.
const WORKER: &str = "LACUNA_BENCH_BIG";
/// What the worker leaves.
const FOUND: &str = "found.json";
const KEPT: &str = "kept.f32";
const DENSE: &str = "dense.f32";

const SKLEARN: &str = include_str!("big/sklearn.py");

/// What the worker found. Times in seconds.
#[derive(Serialize, Deserialize)]
struct Found {
    draw_seconds: f64,
    prune_seconds: f64,
    share_seconds: f64,
    encode_seconds: f64,
    container_seconds: f64,
    peak_mib: f64,
    /// Before the first stage: the dense matrix.
    dense_mib: f64,
    kept: usize,
    container_bytes: usize,
    /// From the linear start.
    linear_seconds: f64,
    linear_error: f64,
    /// From the density start.
    kmeans_seconds: f64,
    kmeans_error: f64,
    optimal_seconds: f64,
    optimal_error: f64,
    decode_seconds: f64,
}

/// What scikit-learn found on the same weights.
#[derive(Deserialize)]
struct Sklearn {
    version: String,
    seconds: f64,
    error: f64,
    iterations: usize,
}

/// What zstd made of the dense bytes.
struct Zstd {
    bytes: u64,
    seconds: f64,
}

pub fn run() -> Result<Outcome> {
    if let Some(folder) = std::env::var_os(WORKER) {
        worker::run(Path::new(&folder))?;
        return Ok(Outcome::default());
    }
    let folder = std::env::temp_dir().join(format!("lacuna-big-{}", std::process::id()));
    std::fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
    let outcome = measure(&folder);
    std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    outcome
}

fn measure(folder: &Path) -> Result<Outcome> {
    let spinner = term::spinner("compressing");
    let program = std::env::current_exe().context("the program's own file")?;
    let output = Command::new(&program).args(["bench", "big"]).env(WORKER, folder).output().context("this program again")?;
    if !output.status.success() {
        bail!("the compressing process ended with {}:\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let found: Found = serde_json::from_slice(&std::fs::read(folder.join(FOUND)).context(FOUND)?)?;
    spinner.set_message("zstd");
    let zstd = zstd(&folder.join(DENSE));
    spinner.set_message("scikit-learn");
    let sklearn = sklearn(folder);
    spinner.finish_and_clear();

    let mut notes = vec![format!(
        "{COLUMNS} x {ROWS} normal weights, {} kept, {BITS}-bit codes, {PES} PEs, rows in the model's order; seed {SEED}",
        lacuna_compress::error::grouped(found.kept)
    )];
    let dense_mb = (4 * ROWS * COLUMNS) as f64 / 1e6;
    let seconds = found.prune_seconds + found.share_seconds + found.encode_seconds + found.container_seconds;
    let mut row = Row::new()
        .with("seconds", rounded(seconds, 2))
        .with("prune_seconds", rounded(found.prune_seconds, 2))
        .with("share_seconds", rounded(found.share_seconds, 2))
        .with("encode_seconds", rounded(found.encode_seconds, 2))
        .with("container_seconds", rounded(found.container_seconds, 2))
        .with("peak_mib", rounded(found.peak_mib, 0))
        .with_hidden("dense_mib", rounded(found.dense_mib, 0))
        .with("kept", found.kept)
        .with("container_bytes", found.container_bytes)
        .with("linear_seconds", rounded(found.linear_seconds, 3))
        .with("linear_error", found.linear_error)
        .with("kmeans_seconds", rounded(found.kmeans_seconds, 3))
        .with("kmeans_error", found.kmeans_error)
        .with("optimal_seconds", rounded(found.optimal_seconds, 2))
        .with("optimal_error", found.optimal_error)
        .with("decode_mb_per_s", rounded(dense_mb / found.decode_seconds, 0));
    match zstd {
        Ok(zstd) => {
            row = row.with("zstd_bytes", zstd.bytes).with("zstd_mb_per_s", rounded(dense_mb / zstd.seconds, 0));
            notes.push("decoding: MB of 32-bit floats per second, ours from container to matrix, zstd -3 from file to nowhere".into());
        }
        Err(fault) => notes.push(format!("zstd was not run: {fault:#}")),
    }
    let (mut ratio, mut worse) = (None, None);
    match sklearn {
        Ok(sklearn) => {
            ratio = Some(sklearn.seconds / found.kmeans_seconds);
            worse = Some(found.kmeans_error / sklearn.error - 1.0);
            row = row
                .with("sklearn_seconds", rounded(sklearn.seconds, 2))
                .with("sklearn_error", sklearn.error)
                .with("sklearn_iterations", sklearn.iterations)
                .with("kmeans_ratio_to_sklearn", rounded(sklearn.seconds / found.kmeans_seconds, 1));
            notes.push(format!(
                "k-means: at most {ITERATIONS} iterations, until nothing moves; ours from the density start (linear_*: the \
                 linear start; optimal_*: the exact optimum), scikit-learn {} from the linear start, on all cores",
                sklearn.version
            ));
        }
        Err(fault) => notes.push(format!("scikit-learn was not run: {fault:#}")),
    }
    let checks = vec![
        Check::new("seconds to compress and encode", seconds, 1, Bar::AtMost(30.0)),
        Check::new("peak of memory in MiB", found.peak_mib, 0, Bar::AtMost(2048.0)).limit(found.dense_mib),
        Check::new("scikit-learn's seconds over ours", ratio, 1, Bar::AtLeast(10.0)),
        // sums of millions of squares in another order
        Check::new("k-means: error beyond scikit-learn's, as a share", worse, 9, Bar::AtMost(1e-6)),
    ];
    Ok(Outcome { rows: vec![row], checks, notes })
}

/// Clusters the kept weights with scikit-learn.
fn sklearn(folder: &Path) -> Result<Sklearn> {
    let here = PathBuf::from(".venv/bin/python");
    let python = if here.is_file() { here } else { tools::find(&["python3"], "Python")? };
    let mut child = Command::new(&python)
        .args(["-", &folder.join(KEPT).display().to_string(), &((1 << BITS) - 1).to_string(), &ITERATIONS.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| python.display().to_string())?;
    child.stdin.take().context("standard input of Python")?.write_all(SKLEARN.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("{} (scripts/setup --bench installs it): {}", python.display(), text.lines().last().unwrap_or_default());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Packs a file with zstd, and times its way back.
fn zstd(file: &Path) -> Result<Zstd> {
    let zstd = tools::find(&["zstd"], "Debian's package zstd")?;
    let (name, packed) = (file.display().to_string(), file.with_extension("zst"));
    let folder = file.parent().context("a folder")?;
    tools::run(&zstd, &["-q", "-3", "-f", &name, "-o", &packed.display().to_string()], folder)?;
    let bytes = std::fs::metadata(&packed)?.len();
    let started = Instant::now();
    // to standard output and not to a file: no disk is measured
    let status = Command::new(&zstd).args(["-d", "-q", "-c"]).arg(&packed).stdout(Stdio::null()).status()?;
    let seconds = started.elapsed().as_secs_f64();
    if !status.success() {
        bail!("zstd -d ended with {status}");
    }
    Ok(Zstd { bytes, seconds })
}
