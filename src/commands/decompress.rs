//! `lacuna decompress`: a storage file becomes dense tensors again, or the bitstream that it was made of.

use crate::staged::{self, Scratch};
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
            // the header comes first and says what is in the file: once through for it, once more for the values
            let mut shapes = Vec::new();
            for tensor in Reader::new(open()?).with_context(named)? {
                let tensor = tensor.with_context(named)?;
                shapes.push((tensor.name, tensor.shape));
            }
            dense(&args.output, &shapes, Reader::new(open()?).with_context(named)?).with_context(named)?;
            term::note(term::count(shapes.len(), "tensor"));
        }
        _ => bail!("{}: found another extension, expected .safetensors or .net", args.output.display()),
    }
    let bytes = std::fs::metadata(&args.output).with_context(|| args.output.display().to_string())?.len();
    term::note(format!("wrote {}, {} bytes", args.output.display(), grouped(bytes as usize)));
    Ok(ExitCode::SUCCESS)
}

/// Tensor after tensor into a file that has its name only when it is whole.
fn dense(path: &Path, shapes: &[(String, Vec<usize>)], tensors: Reader<impl std::io::Read>) -> Result<()> {
    let mut header = serde_json::Map::new();
    let mut end = 0usize;
    for (name, shape) in shapes {
        let first = end;
        end += 4 * shape.iter().product::<usize>();
        header.insert(name.clone(), serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [first, end] }));
    }
    let mut header = serde_json::to_string(&header)?;
    while header.len() % 8 > 0 {
        header.push(' ');
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let scratch = Scratch::new(folder)?;
    let temporary = scratch.path().join("dense");
    let mut out = BufWriter::new(File::create(&temporary)?);
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    for tensor in tensors {
        for value in tensor?.values.dense() {
            out.write_all(&value.to_le_bytes())?;
        }
    }
    out.into_inner().map_err(|e| e.into_error())?.sync_all()?;
    std::fs::rename(&temporary, path).with_context(|| path.display().to_string())
}
