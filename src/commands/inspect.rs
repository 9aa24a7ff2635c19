//! `lacuna inspect`: containers and memory files as tables.

use super::recurrent;
use crate::term;
use anyhow::{bail, Context, Result};
use lacuna_compress::error::grouped;
use lacuna_compress::files::{read_any_container, read_section, Format};
use lacuna_compress::inspect::{image_tables, layer_names, tables, words_table, Filter, CONVOLUTIONS};
use lacuna_compress::manifest::AnyModel;
use lacuna_compress::spec::layout::sections;
use lacuna_compress::spec::{Arch, MemoryImage, MemoryKind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Print a container or a memory file as tables
///
/// Of a container: the network, its memories, the layer table and the codebooks; with a filter or
/// --all what the memories hold, too. Of an LSTM the program is in the place of the layer table, and its
/// parameters are in the memory called bias.
#[derive(clap::Args)]
pub struct InspectArgs {
    /// Container, or a .mem, .coe or .mif that keeps its name (pe3_spmat.mem)
    file: PathBuf,
    /// Container that a memory file belongs to, for its architecture
    #[arg(long, value_name = "FILE")]
    container: Option<PathBuf>,
    /// Only this PE
    #[arg(long, value_name = "N")]
    pe: Option<usize>,
    /// Only this memory
    #[arg(long, value_parser = ["spmat", "ptr_even", "ptr_odd", "bias", "codebook", "layers"])]
    memory: Option<String>,
    /// Only this layer: its number from 0, or its name
    #[arg(long, value_name = "LAYER")]
    layer: Option<String>,
    /// Everything in every memory
    #[arg(long, conflicts_with_all = ["pe", "memory", "layer"])]
    all: bool,
}

pub fn run(args: &InspectArgs) -> Result<ExitCode> {
    match Format::of(&args.file) {
        Some(format) => memory_file(args, format)?,
        None => container(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn container(args: &InspectArgs) -> Result<()> {
    let model = read_any_container(&args.file)?;
    let filter = filter(args, &model)?;
    let model = match model {
        AnyModel::Layers(model) => model,
        AnyModel::Recurrent(model) => return recurrent::inspect::print(&model, &filter, args.all),
    };
    if args.all || filter != Filter::default() {
        return tables(&model, &filter).iter().try_for_each(term::image_table);
    }
    let (arch, network) = (model.arch(), &model.network);
    term::line(format!("accelerator {:016x}\n{}", arch.hash(), arch_text(arch)))?;
    term::line(format!(
        "{} inputs (value = raw * {} + {}, fraction length {}), {} outputs (fraction length {})\n",
        network.input_size, network.input_scale, network.input_offset, network.input_fraction, network.output_size, network.output_fraction
    ))?;
    // no PE has this number, which leaves the tables that are not of one
    let network = tables(&model, &Filter { pe: Some(usize::MAX), ..filter });
    network.iter().filter(|t| ["network", CONVOLUTIONS].contains(&t.title.as_str())).try_for_each(term::image_table)?;
    memories(&model.image)?;
    for kind in [MemoryKind::Layers, MemoryKind::Codebook] {
        image_tables(&model.image, &Filter { memory: Some(kind), ..filter }).iter().try_for_each(term::image_table)?;
    }
    Ok(())
}

/// How full the memories are, all PEs together.
pub fn memories(image: &MemoryImage) -> Result<()> {
    let mut rows = vec![];
    for kind in MemoryKind::ALL {
        let words: Vec<usize> = image.sections.iter().filter(|(s, _)| s.kind() == kind).map(|(_, w)| w.len()).collect();
        if let (Some(least), Some(most)) = (words.iter().min(), words.iter().max()) {
            let numbers = [words.len(), kind.depth(&image.arch), kind.width(&image.arch), *least, *most].map(grouped);
            let name = match (kind, &image.arch.ese) {
                (MemoryKind::Bias, Some(_)) => "parameters",
                (MemoryKind::Layers, Some(_)) => "program",
                _ => kind.name(),
            };
            rows.push([name.to_string()].into_iter().chain(numbers).collect());
        }
    }
    term::table("memories", &["memory", "count", "depth", "bits", "fewest words", "most words"], &rows)
}

pub fn arch_text(arch: &Arch) -> String {
    let text = arch.canonical();
    text.lines().skip(1).map(|line| format!("  {}", line.replace('=', " = "))).collect::<Vec<_>>().join("\n")
}

fn filter(args: &InspectArgs, model: &AnyModel) -> Result<Filter> {
    let pes = model.arch().pes;
    if let Some(pe) = args.pe.filter(|pe| *pe >= pes) {
        bail!("--pe {pe}: expected 0 to {}", pes - 1);
    }
    let layers: Vec<&str> = match model {
        AnyModel::Layers(model) => model.network.layers.iter().map(|l| l.name.as_str()).collect(),
        AnyModel::Recurrent(model) => layer_names(model),
    };
    let layer = match &args.layer {
        None => None,
        Some(text) => {
            let named = layers.iter().position(|l| l == text);
            let numbered = text.parse().ok().filter(|l| *l < layers.len());
            let found = named.or(numbered);
            Some(found.with_context(|| format!("--layer {text}: expected 0 to {} or one of {}", layers.len() - 1, layers.join(", ")))?)
        }
    };
    let memory = args.memory.as_deref().and_then(|name| MemoryKind::ALL.into_iter().find(|k| k.name() == name));
    Ok(Filter { pe: args.pe, layer, memory })
}

fn memory_file(args: &InspectArgs, format: Format) -> Result<()> {
    let path = &args.file;
    let Some(container) = &args.container else {
        bail!("{}: a memory file does not say what its bits mean; give --container with the model that it belongs to", path.display());
    };
    if args.pe.is_some() || args.memory.is_some() || args.layer.is_some() {
        bail!("--pe, --memory and --layer are for containers; a memory file is one memory");
    }
    let model = read_any_container(container)?;
    let arch = model.arch();
    let stem = path.file_stem().unwrap_or_default();
    let Some(section) = sections(arch).into_iter().find(|s| stem == Path::new(&s.file_stem())) else {
        bail!(
            "{}: found an unknown name, expected that of a memory of this architecture, such as pe0_spmat.{}",
            path.display(),
            format.suffix()
        );
    };
    let words = read_section(path, section, arch, format)?;
    term::image_table(&words_table(section, &words, arch))
}
