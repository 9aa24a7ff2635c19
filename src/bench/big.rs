//! `big`: a layer of the size of VGG-16's fc6, compressed for 64 PEs; k-means beside scikit-learn's.
//!
//! The layer is compressed in a process of its own, this program again, so that its peak of memory is that of the
//! pipeline and of nothing else. Stages are timed there; scikit-learn then clusters the same weights on the same machine.

mod worker;

use super::report::{rounded, Bar, Check, Outcome, Row};
use crate::term;
use crate::tools;
use anyhow::{bail, Context, Result};
use lacuna_compress::config::CodebookInit;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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
/// Starts of k-means, each the same for both implementations.
const STARTS: [(&str, CodebookInit); 3] =
    [("linear", CodebookInit::Linear), ("density", CodebookInit::Density), ("random", CodebookInit::Random)];
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
    decode_seconds: f64,
    storage_bytes: usize,
    store_seconds: f64,
    storage_decode_seconds: f64,
    /// By the names of [`STARTS`].
    starts: BTreeMap<String, Clustered>,
    /// The exact optimum.
    optimal: Clustered,
}

/// Our k-means from one start.
#[derive(Serialize, Deserialize)]
struct Clustered {
    start: Vec<f64>,
    seconds: f64,
    error: f64,
}

/// What scikit-learn found on the same weights, by the names of [`STARTS`].
#[derive(Deserialize)]
struct Sklearn {
    version: String,
    found: BTreeMap<String, SklearnFound>,
}

#[derive(Deserialize)]
struct SklearnFound {
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
    let sklearn = sklearn(folder, &found.starts);
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
        .with("decode_mb_per_s", rounded(dense_mb / found.decode_seconds, 0))
        .with("storage_bytes", found.storage_bytes)
        .with("store_seconds", rounded(found.store_seconds, 2))
        .with("storage_decode_mb_per_s", rounded(dense_mb / found.storage_decode_seconds, 0));
    match zstd {
        Ok(zstd) => {
            row = row.with("zstd_bytes", zstd.bytes).with("zstd_mb_per_s", rounded(dense_mb / zstd.seconds, 0));
            notes.push(
                "decoding: MB of 32-bit floats per second; container and storage file (.lcs) from memory to the matrix, which is \
                 compared with the original weight by weight; zstd -3 from file to nowhere"
                    .into(),
            );
        }
        Err(fault) => notes.push(format!("zstd was not run: {fault:#}")),
    }
    let mut checks = vec![
        Check::new("seconds to compress and encode", seconds, 1, Bar::AtMost(30.0)),
        Check::new("peak of memory in MiB", found.peak_mib, 0, Bar::AtMost(2048.0)).limit(found.dense_mib),
    ];
    let version = match &sklearn {
        Ok(sklearn) => {
            let ratios = found.starts.iter().filter_map(|(name, ours)| Some(sklearn.found.get(name)?.seconds / ours.seconds));
            row = row.with("kmeans_ratio_to_sklearn", rounded(ratios.fold(f64::INFINITY, f64::min), 1));
            sklearn.version.clone()
        }
        Err(fault) => {
            notes.push(format!("scikit-learn was not run: {fault:#}"));
            "(not run)".to_string()
        }
    };
    notes.push(format!(
        "k-means: at most {ITERATIONS} iterations, until nothing moves; scikit-learn {version} on all cores, from the same centroids; \
         kmeans_ratio_to_sklearn is the least of the starts; error: sum of squares"
    ));
    let mut rows = vec![row.with("seed", SEED)];
    for (name, ours) in &found.starts {
        let theirs = sklearn.as_ref().ok().and_then(|s| s.found.get(name));
        let ratio = theirs.map(|t| t.seconds / ours.seconds);
        let worse = theirs.map(|t| ours.error / t.error - 1.0);
        let mut row = clustered(name, ours);
        if let (Some(theirs), Some(ratio), Some(worse)) = (theirs, ratio, worse) {
            row = row
                .with("sklearn_seconds", rounded(theirs.seconds, 2))
                .with("sklearn_error", theirs.error)
                .with("sklearn_iterations", theirs.iterations)
                .with("ratio_to_sklearn", rounded(ratio, 1))
                .with("error_beyond_sklearn", rounded(worse, 9));
        }
        rows.push(row);
        checks.push(Check::new(format!("k-means, {name} start: scikit-learn's seconds over ours"), ratio, 1, Bar::AtLeast(10.0)));
        // sums of millions of squares in another order
        let what = format!("k-means, {name} start: error beyond scikit-learn's, as a share");
        checks.push(Check::new(what, worse, 9, Bar::AtMost(1e-6)));
    }
    rows.push(clustered("optimal", &found.optimal));
    Ok(Outcome { rows, checks, notes })
}

fn clustered(start: &str, found: &Clustered) -> Row {
    Row::new().with("start", start).with("kmeans_seconds", rounded(found.seconds, 3)).with("kmeans_error", found.error)
}

/// Clusters the kept weights with scikit-learn.
fn sklearn(folder: &Path, starts: &BTreeMap<String, Clustered>) -> Result<Sklearn> {
    let starts: BTreeMap<&String, &Vec<f64>> = starts.iter().map(|(name, ours)| (name, &ours.start)).collect();
    let here = PathBuf::from(".venv/bin/python");
    let python = if here.is_file() { here } else { tools::find(&["python3"], "Python")? };
    let mut child = Command::new(&python)
        .args(["-", &folder.join(KEPT).display().to_string(), &ITERATIONS.to_string(), &serde_json::to_string(&starts)?])
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
