//! `lacuna decompress`: a storage file becomes dense tensors again, or the bitstream that it was made of.

use crate::staged;
use crate::term;
use anyhow::{bail, Context, Result};
use lacuna_compress::bitstream;
use lacuna_compress::error::grouped;
use lacuna_compress::files::write_whole;
use lacuna_compress::storage::{self, Reader};
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Write the tensors of a storage file as dense 32-bit floats, or as the bitstream that they came from
#[derive(clap::Args)]
pub struct DecompressArgs {
    /// Storage file (.lcs)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// File to write: .safetensors, or .net for what was made from one
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

pub fn run(args: &DecompressArgs) -> Result<ExitCode> {
    staged::check_file(&args.output)?;
    let named = || args.file.display().to_string();
    let open = || Ok::<_, anyhow::Error>(BufReader::new(File::open(&args.file).with_context(named)?));
    let extension = args.output.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
    match extension.as_str() {
        "net" => {
            let tensors = storage::read_all(open()?).with_context(named)?;
            write_whole(&args.output, &bitstream::write(&tensors).with_context(named)?)?;
        }
        "safetensors" => {
            let count = dense(&args.output, Reader::new(open()?).with_context(named)?).with_context(named)?;
            term::note(term::count(count, "tensor"));
        }
        _ => bail!("{}: found another extension, expected .safetensors or .net", args.output.display()),
    }
    let bytes = std::fs::metadata(&args.output).with_context(|| args.output.display().to_string())?.len();
    term::note(format!("wrote {}, {} bytes", args.output.display(), grouped(bytes as usize)));
    Ok(ExitCode::SUCCESS)
}

/// Tensor after tensor into a file that has its name only when it is whole; returns how many there are.
fn dense(path: &Path, tensors: Reader<impl std::io::Read>) -> Result<usize> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let scratch = staged::scratch(folder)?;
    // the header comes first, and what it says is known last
    let (values, whole) = (scratch.path().join("values"), scratch.path().join("dense"));
    let mut out = BufWriter::new(File::create(&values)?);
    let mut header = serde_json::Map::new();
    let mut end = 0usize;
    for tensor in tensors {
        let tensor = tensor?;
        let first = end;
        end += 4 * tensor.values.len();
        header.insert(tensor.name, serde_json::json!({ "dtype": "F32", "shape": tensor.shape, "data_offsets": [first, end] }));
        for value in tensor.values.dense() {
            out.write_all(&value.to_le_bytes())?;
        }
    }
    out.flush()?;
    let count = header.len();
    let mut header = serde_json::to_string(&header)?;
    while header.len() % 8 > 0 {
        header.push(' ');
    }
    let mut out = File::create(&whole)?;
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    std::io::copy(&mut File::open(&values)?, &mut out)?;
    out.sync_all()?;
    std::fs::rename(&whole, path).with_context(|| path.display().to_string())?;
    Ok(count)
}
