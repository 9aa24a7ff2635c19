//! `lacuna generate`: an accelerator as Verilog.

use crate::accelerator::{AcceleratorArgs, Need};
use crate::flow::fusesoc;
use crate::staged::Staged;
use crate::{inputs, term};
use anyhow::{bail, Context, Result};
use lacuna_compress::error::grouped;
use lacuna_compress::files::{write_image, Format};
use lacuna_compress::manifest::{AnyModel, Model};
use lacuna_compress::spec::Arch;
use lacuna_hdl::verilog::Module;
use std::path::PathBuf;
use std::process::ExitCode;

/// Write the Verilog of an accelerator, one file per module
///
/// With a configuration that leaves nothing "auto", no model is needed. Else the depths are those of the
/// container, or of the model that the configuration names, which is then compressed on the way.
#[derive(clap::Args)]
pub struct GenerateArgs {
    #[command(flatten)]
    accelerator: AcceleratorArgs,
    /// Folder to write to; files.f lists the Verilog files, and lacuna.core describes them to FuseSoC
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Also write the model's memories as .mem, for a design that starts with them
    #[arg(long)]
    preload: bool,
    /// Also write a self-checking plain-Verilog bench with vectors
    #[arg(long)]
    testbench: bool,
    /// Samples that the bench runs; without them, random ones
    #[arg(long, value_name = "FILE", requires = "testbench")]
    inputs: Option<PathBuf>,
    /// Array in a .npz or .safetensors with several
    #[arg(long, value_name = "NAME", requires = "inputs")]
    tensor: Option<String>,
    /// Samples that the bench runs
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..), requires = "testbench")]
    limit: u32,
    /// Of the random samples
    #[arg(long, value_name = "S", default_value_t = 1, requires = "testbench")]
    seed: u64,
}

/// The list of Verilog files.
const LIST: &str = "files.f";

pub fn run(args: &GenerateArgs) -> Result<ExitCode> {
    let fills = args.preload || args.testbench;
    let (arch, stored) = args.accelerator.load(if fills { Need::Only } else { Need::Accelerator })?;
    let model = stored.map(|(model, _)| model);
    if args.testbench && arch.ese.is_some() {
        bail!("--testbench is for accelerators of fully connected layers (EIE): there is no plain-Verilog bench for LSTMs yet; `lacuna simulate` runs them under Verilator");
    }
    let staged = Staged::new(&args.output)?;
    let design = lacuna_hdl::generate(&arch)?;
    for module in &design.modules {
        staged.write(&module.file_name(), &module.text)?;
    }
    let sources: Vec<_> = design.modules.iter().map(Module::file_name).collect();
    staged.write(LIST, &list(&design.top, &sources, &arch, args.preload))?;
    let mut memories = vec![];
    if args.preload {
        let written = write_image(staged.path(), model_for("--preload", &model)?.image(), Format::Mem)?;
        memories = written.iter().filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
    }
    staged.write(fusesoc::CORE, &fusesoc::accelerator(&design.top, &sources, &memories))?;
    if args.testbench {
        let AnyModel::Layers(model) = model_for("--testbench", &model)? else {
            bail!("--testbench: found {}, expected {}", AnyModel::RECURRENT, AnyModel::LAYERS)
        };
        let bench = lacuna_sim::testbench::testbench(model, &vectors(args, model)?, args.preload)?;
        staged.write("testbench.v", &bench.verilog)?;
        staged.write("commands.mem", &bench.commands)?;
    }
    staged.commit()?;

    let rows: Vec<_> =
        design.modules.iter().map(|m| vec![m.name.clone(), grouped(m.text.lines().count()), grouped(m.text.len())]).collect();
    let bytes: usize = design.modules.iter().map(|m| m.text.len()).sum();
    let title = format!("accelerator {:016x}, {}, {} bytes", arch.hash(), term::count(rows.len(), "module"), grouped(bytes));
    term::table(&title, &["module", "lines", "bytes"], &rows)?;
    let folder = args.output.display();
    term::note(format!("wrote {folder}; top module {}, files in {folder}/{LIST}", design.top));
    if args.preload {
        term::note(format!("to start with the model in memory: {} #(.PRELOAD(1), .IMAGE(\"{folder}/\"))", design.top));
    }
    if args.testbench {
        let compile = format!("iverilog -g2005 -s testbench -o testbench.vvp -f {LIST} testbench.v");
        term::note(format!("to run the bench: cd {folder} && {compile} && vvp -n testbench.vvp"));
    }
    Ok(ExitCode::SUCCESS)
}

fn model_for<'a>(flag: &str, model: &'a Option<AnyModel>) -> Result<&'a AnyModel> {
    model.as_ref().with_context(|| format!("{flag} needs a model: give --container, or a configuration with a model"))
}

fn list(top: &str, sources: &[String], arch: &Arch, preload: bool) -> String {
    let mut text = format!("// Accelerator {:016x}, top module {top}. Paths are relative to this folder.\n", arch.hash());
    if preload {
        text.push_str("// The .mem files here are the model. With the parameters PRELOAD = 1 and IMAGE = the path of this folder,\n");
        text.push_str("// ending in a slash (\"./\" is the working directory), the memories start with it and count as checked.\n");
    }
    for file in sources {
        text.push_str(&format!("{file}\n"));
    }
    text
}

/// The samples of the bench, by position.
fn vectors(args: &GenerateArgs, model: &Model) -> Result<Vec<Vec<i16>>> {
    if let Some(file) = &args.inputs {
        return Ok(inputs::Job::new(model.clone(), file, args.tensor.as_deref(), None, args.limit as usize)?.inputs);
    }
    let mut state = args.seed;
    let mut next = || {
        // SplitMix64: any seed, zero too, gives a good sequence
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    // every other activation is zero, the others are anything that 16 bits can say
    let mut act = || {
        let word = next();
        if word >> 63 == 0 {
            0
        } else {
            (word & 0xffff) as u16 as i16
        }
    };
    let mut vector = |_| Ok(model.arrange_input((0..model.network.input_size).map(|_| act()).collect())?);
    (0..args.limit).map(&mut vector).collect()
}
