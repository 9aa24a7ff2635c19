//! `lacuna store`: a network becomes a storage file.

use crate::{staged, term};
use anyhow::{anyhow, bail, Context, Result};
use lacuna_compress::bitstream::{self, Layout};
use lacuna_compress::config::{Config, LayerConfig};
use lacuna_compress::error::grouped;
use lacuna_compress::files::read_any_container;
use lacuna_compress::import::load_model;
use lacuna_compress::inputs::load_exact;
use lacuna_compress::model::DenseLayer;
use lacuna_compress::prune::{prune, Rule};
use lacuna_compress::quantize::{dequantize, quantize, Quantization};
use lacuna_compress::spec::WeightForm;
use lacuna_compress::storage::{self, is_storage, save_stored, StoredTensor, Values};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Store a network in a file that is as small as can be: an .lcs, which is read wherever a .safetensors is
///
/// With --config the layers are pruned to their densities and their weights shared as [compress] says; weights that
/// have few different values are stored exactly. Without, FILE is stored exactly: tensors (.safetensors, .npz, .lcs) or
/// the bitstream published for SqueezeNet (.net).
#[derive(clap::Args)]
pub struct StoreArgs {
    /// Tensors, or a bitstream, to store as they are
    #[arg(value_name = "FILE", required_unless_present = "config", conflicts_with = "config")]
    pub file: Option<PathBuf>,
    /// Configuration of the network to prune, share and store
    #[arg(short, long, value_name = "TOML")]
    pub config: Option<PathBuf>,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// How codes are coded
    #[arg(long, value_enum, default_value_t = Method::Auto)]
    pub method: Method,
    /// Layers of a .net that is not SqueezeNet's: [[layer]] tables with name, shape and bits
    #[arg(long, value_name = "TOML", requires = "file")]
    pub layout: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Method {
    /// The smallest; for layers of many millions of weights the fast one
    Auto,
    /// Relative indices and Huffman codes, as in Deep Compression
    Huffman,
    /// Adaptive coding of gaps and codes
    Fast,
    /// Mixed contexts: the smallest, and the slowest
    Mixed,
}

impl From<Method> for storage::Method {
    fn from(method: Method) -> storage::Method {
        match method {
            Method::Auto => storage::Method::Auto,
            Method::Huffman => storage::Method::Huffman,
            Method::Fast => storage::Method::Fast,
            Method::Mixed => storage::Method::Mixed,
        }
    }
}

pub fn run(args: &StoreArgs) -> Result<ExitCode> {
    staged::check_file(&args.output)?;
    if !is_storage(&args.output) {
        bail!("{}: found another extension, expected .lcs", args.output.display());
    }
    let spinner = term::spinner("storing");
    let tensors = match (&args.file, &args.config) {
        (Some(file), _) => exact(file, args.layout.as_deref())?,
        (None, Some(config)) => configured(config)?,
        (None, None) => bail!("found neither a file nor --config"),
    };
    let bytes = save_stored(&args.output, &tensors, args.method.into())?;
    spinner.finish_and_clear();
    let values: usize = tensors.iter().map(|t| t.values.len()).sum();
    term::line(format!(
        "{} values: {} bytes as 32-bit floats, {} bytes stored, rate {:.1}",
        grouped(values),
        grouped(4 * values),
        grouped(bytes),
        4.0 * values as f64 / bytes as f64
    ))?;
    term::note(format!("wrote {}", args.output.display()));
    Ok(ExitCode::SUCCESS)
}

fn has(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension))
}

/// The tensors of any file that can be stored, bit by bit.
pub fn exact(path: &Path, layout: Option<&Path>) -> Result<Vec<StoredTensor>> {
    let named = || path.display().to_string();
    let open = || std::fs::File::open(path).with_context(named);
    if has(path, "lcs") {
        return storage::read_all(std::io::BufReader::new(open()?)).with_context(named);
    }
    if has(path, "net") {
        let layout = match layout {
            Some(layout) => {
                let text = std::fs::read_to_string(layout).with_context(|| layout.display().to_string())?;
                Layout::parse(&text).with_context(|| layout.display().to_string())?
            }
            None => Layout::squeezenet(),
        };
        let bytes = std::fs::read(path).with_context(named)?;
        return bitstream::read(&bytes, &layout).with_context(named);
    }
    let tensors = load_exact(path).map_err(|error| match container(path) {
        Some(kind) => anyhow!(
            "{}: found a container of {kind}, expected a storage file (.lcs), a bitstream (.net) or tensors (.safetensors, .npz); \
             lacuna inspect shows what a container holds",
            path.display()
        ),
        None => error.into(),
    })?;
    let stored = tensors.into_iter().map(|(name, t)| StoredTensor { name, shape: t.shape, values: storage::exact(&t.data) });
    Ok(stored.collect())
}

/// What the container at `path` holds, if it is one.
fn container(path: &Path) -> Option<&'static str> {
    read_any_container(path).ok().map(|model| model.kind())
}

/// The layers of a configuration, pruned and shared.
fn configured(path: &Path) -> Result<Vec<StoredTensor>> {
    let config = Config::load(path)?;
    if !config.model.lstm.is_empty() {
        bail!(
            "{}: found [[model.lstm]], expected fully connected layers and convolutions; `lacuna store FILE` stores any tensors",
            path.display()
        );
    }
    let dense = load_model(&config)?;
    let rules: Vec<Rule> = config.model.layer.iter().map(|l| l.rule()).collect();
    let (sparse, _) = prune(dense, &rules)?;
    let how = Quantization { form: WeightForm::Codebook, ..Quantization::from(&config) };
    let (layers, _) = quantize(&sparse, &how)?;
    let shared = dequantize(&layers);
    let mut tensors = Vec::new();
    for ((layer, shared), config) in sparse.layers.iter().zip(&shared.layers).zip(&config.model.layer) {
        let kept = layer.weights.nonzeros();
        let few =
            |values: &Values| matches!(values, Values::Shared { codebook, .. } if codebook.len() <= 255 && 8 * codebook.len() <= kept);
        let already = Values::share(&layer.weights.data).filter(few).is_some();
        tensors.extend(of_layer(if already { layer } else { shared }, config)?);
    }
    Ok(tensors)
}

/// Weights and bias under the names, and with the axes, that the configuration reads them by.
fn of_layer(layer: &DenseLayer, config: &LayerConfig) -> Result<Vec<StoredTensor>> {
    let (shape, data) = storage::in_file(layer, config.output_axis, &layer.weights.data);
    let values = Values::share(&data).with_context(|| format!("layer {}: more than 65,535 shared weights", layer.name))?;
    let name = if config.weights.is_empty() { format!("{}.weight", layer.name) } else { config.weights.clone() };
    let mut tensors = vec![StoredTensor { name, shape, values }];
    let bias = config.bias.clone().or(config.node.as_ref().map(|_| format!("{}.bias", layer.name)));
    if let Some(name) = bias {
        tensors.push(StoredTensor { name, shape: vec![layer.bias.len()], values: Values::Raw(layer.bias.clone()) });
    }
    Ok(tensors)
}
