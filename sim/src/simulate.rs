//! A model on the generated hardware under Verilator, judged against the golden model and the cycle model.

use crate::dut::{AxiWrite, Dut, Response};
use crate::golden::{Golden, GoldenError};
use crate::host::{error_names, layer_records, Counters, Host, HostError, Transport};
use crate::perf;
pub use crate::session::Run;
use crate::session::{cycle_limit, flush_limit, run_layers};
use crate::verilate::{self, Build, Optimize};
use lacuna_compress::files::{write_image, Format};
use lacuna_compress::manifest::Model;
use lacuna_compress::spec::registers::{self as map};
use lacuna_compress::spec::{LayerRecord, MemoryImage, Section};
use lacuna_hdl::{generate, Design, GenerateError};
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    #[error(transparent)]
    Generate(#[from] GenerateError),
    #[error(transparent)]
    Verilate(#[from] verilate::Error),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("golden model: {0}")]
    Golden(#[from] GoldenError),
    #[error(transparent)]
    Image(#[from] lacuna_compress::error::Error),
    #[error("the output stream: {0}")]
    Framing(String),
    #[error("the sequences: {0}")]
    Sequences(String),
    #[error("{0}: {1}")]
    Io(PathBuf, std::io::Error),
}

pub type Result<T> = std::result::Result<T, SimulateError>;

/// How the weights get into the memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Over AXI4-Lite, checked by the hardware.
    Axi,
    /// `$readmemh` before time 0.
    Preload,
}

#[derive(Clone, Debug)]
pub struct Options {
    pub door: Door,
    /// Of the memories' and registers' initial values and of the bus master's stalls.
    pub seed: u64,
    /// VCD of everything from the reset on.
    pub trace: Option<PathBuf>,
    /// Count which lines run and which bits change.
    pub coverage: bool,
    /// Where compiled models are kept.
    pub cache: PathBuf,
    /// Of the bus master: share of the cycles in which it does not go on, 0 to 95.
    pub stalls_percent: u32,
    /// Of the build.
    pub optimize: Optimize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            door: Door::Axi,
            seed: 1,
            trace: None,
            coverage: false,
            cache: verilate::default_cache(),
            stalls_percent: 0,
            optimize: Optimize::Quick,
        }
    }
}

/// The first difference between hardware and golden model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    pub layer: usize,
    pub layer_name: String,
    pub pe: usize,
    /// Row of the PE.
    pub row: usize,
    /// Cycle of the start in which the layer ended.
    pub cycle: u64,
    pub expected: i16,
    pub got: i16,
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(
            f,
            "layer {} ({}), PE {}, row {}, cycle {}: expected {}, got {}",
            self.layer, self.layer_name, self.pe, self.row, self.cycle, self.expected, self.got
        )
    }
}

/// What was found when an input was run on hardware, golden model and cycle model.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub run: Run,
    pub golden: crate::golden::Trace,
    /// Counters as the cycle model has them.
    pub expected: Counters,
    /// None if every result equals.
    pub mismatch: Option<Mismatch>,
}

impl Verdict {
    pub fn counters_equal(&self) -> bool {
        let r = &self.run;
        let found = Counters { cycles: r.cycles, stall_queue: r.stall_queue, stall_scan: r.stall_scan, stall_drain: r.stall_drain };
        found == self.expected
    }
    /// Results and counters equal.
    pub fn passed(&self) -> bool {
        self.mismatch.is_none() && self.counters_equal()
    }
}

/// The AXI4-Lite master of a running model.
pub struct Axi(pub Dut);

impl Axi {
    fn refused(&mut self, what: &'static str, address: u32, response: Response) -> HostError {
        let bits = self.0.axi_read(map::ERRORS).map(|r| r.0).unwrap_or(0);
        HostError::Refused { what, address, response: format!("{response:?}"), errors: error_names(bits) }
    }
}

fn transport(e: verilate::Error) -> HostError {
    HostError::Transport(e.to_string())
}

impl Transport for Axi {
    fn write(&mut self, words: &[(u32, u32)]) -> crate::host::Result<()> {
        let writes: Vec<AxiWrite> = words.iter().map(|(address, data)| AxiWrite::word(*address, *data)).collect();
        match self.0.axi_write_burst(&writes).map_err(transport)? {
            Some(refused) => Err(self.refused("write", writes[refused.index].address, refused.response)),
            None => Ok(()),
        }
    }
    fn read(&mut self, addresses: &[u32]) -> crate::host::Result<Vec<u32>> {
        let read = self.0.axi_read_burst(addresses).map_err(transport)?;
        if let Some(i) = read.iter().position(|r| r.1 != Response::Okay) {
            return Err(self.refused("read", addresses[i], read[i].1));
        }
        Ok(read.into_iter().map(|r| r.0).collect())
    }
    fn poll(&mut self, address: u32, mask: u32, value: u32, limit: u64, what: &'static str) -> crate::host::Result<()> {
        match self.0.axi_poll(address, mask, value, limit) {
            Ok(_) => Ok(()),
            Err(verilate::Error::Timeout { .. }) => Err(HostError::Timeout { what, limit }),
            Err(other) => Err(transport(other)),
        }
    }
}

/// The model of a design, compiled or from the cache.
pub fn library(design: &Design, options: &Options) -> Result<verilate::Library> {
    let preload = options.door == Door::Preload;
    let build = Build {
        parameters: if preload { vec![("PRELOAD".into(), "1".into()), ("IMAGE".into(), "\"@images/\"".into())] } else { vec![] },
        trace: options.trace.is_some(),
        coverage: options.coverage,
        axi_lite: Some("s_axi_".into()),
        streams: design.ports.iter().any(|p| p.name == "s_axis_tvalid").then(verilate::Streams::default),
        optimize: options.optimize,
        ..Build::of_design(design)
    };
    Ok(build.library(&options.cache)?)
}

/// A running design behind its bus: preloaded if the door says so, reset, idle, and of the right architecture.
pub(crate) fn reset_host(image: &MemoryImage, library: &verilate::Library, options: &Options) -> Result<Host<Axi>> {
    let images = match options.door {
        Door::Preload => {
            let folder = tempfile::tempdir().map_err(|e| SimulateError::Io(std::env::temp_dir(), e))?;
            write_image(folder.path(), image, Format::Mem)?;
            Some(folder)
        }
        Door::Axi => None,
    };
    let dut = match &images {
        Some(folder) => Dut::with_images(library, options.seed, folder.path())?,
        None => Dut::new(library, options.seed)?,
    };
    let arch = &image.arch;
    let mut host = Host::new(Axi(dut), arch);
    if let Some(path) = &options.trace {
        host.bus.0.trace_to(path)?;
    }
    if options.stalls_percent > 0 {
        host.bus.0.axi_stalls(options.seed, options.stalls_percent)?;
    }
    host.bus.0.reset(2)?;
    host.bus.0.coverage_from_here()?;
    // which register or handshake is wrong is known here, not where something does not end
    host.identify()?;
    host.wait_idle(flush_limit(arch))?;
    Ok(host)
}

/// A model on its hardware, ready for inputs.
pub struct Simulator {
    pub host: Host<Axi>,
    model: Model,
    golden: Golden,
    network: perf::Network,
    records: Vec<LayerRecord>,
}

impl Simulator {
    /// Generates, verilates (or takes from the cache), resets and loads.
    pub fn new(model: &Model, options: &Options) -> Result<Simulator> {
        let design = generate(model.arch())?;
        let library = library(&design, options)?;
        Simulator::start(model, &library, options)
    }

    /// As [`Simulator::new`], with the library already there.
    pub fn start(model: &Model, library: &verilate::Library, options: &Options) -> Result<Simulator> {
        let golden = Golden::new(&model.image)?;
        let host = reset_host(&model.image, library, options)?;
        let mut simulator =
            Simulator { host, model: model.clone(), network: perf::Network::new(&golden), golden, records: layer_records(&model.image) };
        if options.door == Door::Axi {
            simulator.load()?;
        }
        Ok(simulator)
    }

    /// Writes and checks the model's image.
    pub fn load(&mut self) -> Result<()> {
        self.host.write_image(&self.model.image, |_, _| {})?;
        Ok(self.host.check(&self.model.image)?)
    }

    /// As [`Simulator::load`] with another model of this architecture, which is what runs from now on.
    pub fn exchange(&mut self, model: &Model) -> Result<()> {
        self.judge_by(Golden::new(&model.image)?);
        self.records = layer_records(&model.image);
        self.model = model.clone();
        self.load()
    }

    /// Resets the accelerator, whatever it does; weights stay.
    pub fn reset(&mut self) -> Result<()> {
        self.host.bus.0.reset(1)?;
        self.host.forget();
        Ok(self.host.wait_idle(flush_limit(self.model.arch()))?)
    }

    /// Results are compared with this golden model from now on, and cycles with its cycle model.
    pub fn judge_by(&mut self, golden: Golden) {
        self.network = perf::Network::new(&golden);
        self.golden = golden;
    }

    pub fn golden(&self) -> &Golden {
        &self.golden
    }
    /// The cycle model of this network.
    pub fn network(&self) -> &perf::Network {
        &self.network
    }

    /// Runs one input, given by position.
    pub fn run(&mut self, input: &[i16]) -> Result<Run> {
        let expected = self.golden.inputs();
        if input.len() != expected {
            return Err(HostError::Input { found: input.len(), expected }.into());
        }
        let limit = cycle_limit(&self.model.image, &self.records);
        Ok(run_layers(&mut self.host, &self.records, limit, input)?)
    }

    /// Runs one input on hardware, golden model and cycle model.
    pub fn verify(&mut self, input: &[i16]) -> Result<Verdict> {
        let run = self.run(input)?;
        let golden = self.golden.trace(input)?;
        let expected = Counters::from(&self.network.time(&golden).total);
        let mismatch = if run.outputs == golden.output() { None } else { Some(self.first_mismatch(input, &run, &golden)?) };
        Ok(Verdict { run, golden, expected, mismatch })
    }

    /// Finds the first layer with a wrong result by ending the network after each layer in turn.
    fn first_mismatch(&mut self, input: &[i16], whole_run: &Run, golden: &crate::golden::Trace) -> Result<Mismatch> {
        let pes = self.model.arch().pes;
        let difference = |layer: usize, run: &Run| {
            let expected = &golden.layers[layer].output;
            let q = (0..expected.len()).find(|q| run.outputs.get(*q) != Some(&expected[*q]))?;
            Some((layer, q, run.cycles, expected[q], run.outputs.get(q).copied().unwrap_or(0)))
        };
        let whole = self.records.clone();
        let image = self.model.image.clone();
        let mut found = None;
        for layer in 0..whole.len() {
            let mut records = whole[..=layer].to_vec();
            records[layer].last = true;
            let table = self
                .model
                .image
                .sections
                .entry(Section::Layers)
                .or_insert_with(|| lacuna_compress::spec::Words::zeroed(LayerRecord::BITS, 1));
            records.iter().enumerate().for_each(|(i, r)| r.write(table, i));
            self.records = records;
            self.load()?;
            let run = self.run(input)?;
            found = difference(layer, &run);
            if found.is_some() {
                break;
            }
        }
        self.records = whole;
        self.model.image = image;
        self.load()?;
        // a fault that shows only in the whole network is reported at its output
        let last = self.records.len() - 1;
        let (layer, q, cycle, expected, got) = found.or_else(|| difference(last, whole_run)).unwrap_or((last, 0, 0, 0, 0));
        let layer_name = self.model.network.layers.get(layer).map(|l| l.name.clone()).unwrap_or_default();
        Ok(Mismatch { layer, layer_name, pe: q % pes, row: q / pes, cycle, expected, got })
    }
}
