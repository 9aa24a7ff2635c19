//! From Verilog text to a compiled model, through Verilator and g++.
//!
//! The model is a shared object without a Verilator runtime: it resolves against the one that the crate `verilated`
//! links into this executable, which must therefore export it (`sim/build.rs`). A legal configuration can so be
//! simulated without rebuilding the program.
//!
//! Contract: Verilator runs with `-Wall` and its warnings are errors. A library is kept in the cache under the SHA-256
//! of everything it was made from; it appears there complete or not at all, also when two processes build it at once
//! or one is killed. What this does not guarantee: that the cache is not edited by others.
//!
//! Flags were chosen on a synthetic array of 64 and 256 PEs: g++ -O2 costs more than -O1 and gives no speed, and
//! `--threads 2` is slower than one thread. [`Optimize`] is the one choice that depends on what the model is for.

mod compile;

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use lacuna_hdl::Design;
use sha2::{Digest, Sha256};

use crate::shim;
pub use crate::shim::Streams;

/// Counts as part of every key: raise it when the layout of a cache entry changes.
const CACHE_FORMAT: &str = "lacuna model 1";
const LIBRARY_FILE: &str = "dut.so";
const TEMPORARY: &str = ".building-";
/// Longest part of a tool's output that an error carries.
const OUTPUT_LINES: usize = 40;

const VERILATOR_FLAGS: [&str; 13] = [
    "--cc",
    "-Wall",
    "--assert",
    "--no-timing",
    // Registers, memories and X constants start with seeded random bits: nothing may depend on an initial value.
    "--x-initial",
    "unique",
    "--x-assign",
    "unique",
    "--timescale-override",
    "1ns/1ns",
    "--prefix",
    "Vdut",
    "--no-decoration",
];
/// Modules stay modules: their instances then share the code that counts, which would else be half of the model.
const COVERAGE_FLAGS: [&str; 3] = ["--coverage-line", "--coverage-toggle", "-fno-inline"];
const CXX_FLAGS: [&str; 7] = ["-std=gnu++17", "-O1", "-fPIC", "-w", "-fvisibility=hidden", "-fno-semantic-interposition", "-DVM_SC=0"];

/// What can go wrong between Verilog text and a running model.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{tool}` is not on PATH; install the Debian package `{tool}`")]
    ToolMissing { tool: String },
    #[error("{tool} failed on {what}:\n{output}")]
    Tool { tool: String, what: String, output: String },
    #[error("the Verilator on PATH is `{found}`, this program was built with the runtime of {expected}; rebuild it (cargo clean -p verilated -p lacuna-sim) or install that version")]
    Version { found: String, expected: String },
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("design {top}: {problem}")]
    Design { top: String, problem: String },
    #[error("{path}: {message}")]
    Load { path: PathBuf, message: String },
    #[error("design {top}, port {port}: {problem}")]
    Port { top: String, port: String, problem: String },
    #[error("design {top}, cycle {cycle}: {message}")]
    Model { top: String, cycle: u64, message: String },
    #[error("design {top}, cycle {cycle}: {what} did not happen within {limit} cycles")]
    Timeout { top: String, cycle: u64, what: String, limit: u64 },
    #[error("design {top}, cycle {cycle}: AXI4-Stream rule broken: {rule}")]
    Stream { top: String, cycle: u64, rule: String },
    #[error("design {top}, cycle {cycle}: AXI4-Lite rule broken at address {address:#x}: {rule}")]
    Protocol { top: String, cycle: u64, address: u32, rule: String },
}

pub type Result<T> = std::result::Result<T, Error>;

/// A Verilog file: its name without `.v`, and its text.
#[derive(Clone, Debug)]
pub struct Source {
    pub name: String,
    pub text: String,
}

/// A port of the top module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub name: String,
    /// In bits, at least 1.
    pub width: u32,
    /// Driven from outside.
    pub input: bool,
}

/// How much time the build may take for the sake of simulation speed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Optimize {
    /// Modules that are used many times stay modules.
    #[default]
    Quick,
    /// Every module is copied into its parent (`-O3` of Verilator): two to three times the build. 64 PEs gained a
    /// tenth in speed, 256 PEs with wide buses between modules a factor of three.
    Fast,
    /// The shortest build, by one compiler that does not optimize, beside others that go on at once: half of `Quick` and
    /// less. For models that run for a moment only.
    Draft,
}

impl Optimize {
    /// As a flag of the command has it.
    pub fn fast_if(fast: bool) -> Optimize {
        if fast {
            Optimize::Fast
        } else {
            Optimize::Quick
        }
    }
}

/// All that determines a model.
#[derive(Clone, Debug)]
pub struct Build {
    /// Name of the top module.
    pub top: String,
    pub sources: Vec<Source>,
    /// Ports to be reached from Rust. All inputs must be among them.
    pub ports: Vec<Port>,
    /// Top-level parameters as Verilog constants: `("DEPTH", "64")`, `("IMAGE", "\"@images/\"")`. A file name that
    /// starts with `@images/` is looked up at run time in the directory given to [`crate::dut::Dut::with_images`].
    pub parameters: Vec<(String, String)>,
    /// Compile waveform support in: a longer build, and a little less speed also while no file is open.
    pub trace: bool,
    /// Count which lines run and which bits change ([`crate::dut::Dut::coverage`]): a build of ten times the time.
    pub coverage: bool,
    /// Prefix of the ports of an AXI4-Lite slave, e.g. `s_axi_`, to be driven by the built-in master.
    pub axi_lite: Option<String>,
    /// AXI4-Streams to be driven by the built-in master and slave.
    pub streams: Option<Streams>,
    /// Name of the only clock.
    pub clock: String,
    pub optimize: Optimize,
}

/// A compiled model, ready for [`crate::dut::Dut::new`].
#[derive(Clone, Debug)]
pub struct Library {
    pub(crate) path: PathBuf,
    pub(crate) top: String,
    pub(crate) ports: Vec<Port>,
    pub(crate) trace: bool,
    pub(crate) coverage: bool,
    pub(crate) axi_lite: Option<String>,
    pub(crate) streams: bool,
    cached: bool,
}

impl Library {
    /// The shared object.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it was in the cache, so that neither Verilator nor g++ compiled anything.
    pub fn cached(&self) -> bool {
        self.cached
    }
}

/// `$LACUNA_CACHE`, else `$XDG_CACHE_HOME/lacuna`, else `~/.cache/lacuna`.
pub fn default_cache() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("LACUNA_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|d| d.join("lacuna")))
        .or_else(|| set("HOME").map(|d| d.join(".cache/lacuna")))
        .unwrap_or_else(|| std::env::temp_dir().join("lacuna-cache"))
}

/// The Verilator whose runtime is linked into this program, e.g. `5.006 2023-01-22`.
pub fn runtime_version() -> String {
    verilated::product_version().to_string_lossy().into_owned()
}

/// The Verilator on PATH as it describes itself. An error unless it is the one whose runtime is linked in.
pub fn verilator_version() -> Result<&'static str> {
    Ok(&tools()?.verilator)
}

struct Tools {
    verilator: String,
    cxx: String,
    include: PathBuf,
}

/// Asked once: the start-up of `verilator` is most of the cost of a cache hit.
fn tools() -> Result<&'static Tools> {
    static TOOLS: OnceLock<Tools> = OnceLock::new();
    if let Some(tools) = TOOLS.get() {
        return Ok(tools);
    }
    let first_line = |text: String| text.lines().next().unwrap_or_default().to_string();
    let verilator = first_line(run(Command::new("verilator").arg("--version"), "its version")?);
    let expected = runtime_version();
    if !verilator.contains(&expected) {
        return Err(Error::Version { found: verilator, expected });
    }
    let root = run(Command::new("verilator").args(["--getenv", "VERILATOR_ROOT"]), "its root")?;
    let cxx = first_line(run(Command::new("g++").arg("--version"), "its version")?);
    Ok(TOOLS.get_or_init(|| Tools { verilator, cxx, include: Path::new(root.trim()).join("include") }))
}

impl Build {
    /// A module with the clock `clock`, and nothing asked for beyond it.
    pub fn plain(top: &str, sources: Vec<Source>, ports: Vec<Port>) -> Build {
        Build {
            top: top.into(),
            sources,
            ports,
            parameters: vec![],
            trace: false,
            coverage: false,
            axi_lite: None,
            streams: None,
            clock: "clock".into(),
            optimize: Optimize::default(),
        }
    }

    /// A generated design.
    pub fn of_design(design: &Design) -> Build {
        let sources = design.modules.iter().map(|m| Source { name: m.name.clone(), text: m.text.clone() });
        let ports = design.ports.iter().map(|p| Port { name: p.name.clone(), width: p.width as u32, input: p.input });
        Build::plain(&design.top, sources.collect(), ports.collect())
    }

    /// Takes the model from `cache`, or builds it there. Builds of one process follow each other, as
    /// each uses all cores; a draft waits for nobody.
    pub fn library(&self, cache: &Path) -> Result<Library> {
        self.check()?;
        let tools = tools()?;
        std::fs::create_dir_all(cache).map_err(at(cache))?;
        // The directories end up in tools' command lines, and those run elsewhere.
        let cache = &cache.canonicalize().map_err(at(cache))?;
        let entry = cache.join(self.key(tools));
        let mut cached = true;
        if !entry.is_dir() {
            static BUILDING: Mutex<()> = Mutex::new(());
            let alone = self.optimize != Optimize::Draft;
            let _turn = alone.then(|| BUILDING.lock().unwrap_or_else(PoisonError::into_inner));
            if !entry.is_dir() {
                cached = false;
                remove_abandoned(cache);
                self.build(tools, cache, &entry)?;
            }
        }
        Ok(Library {
            path: entry.join(LIBRARY_FILE),
            top: self.top.clone(),
            ports: self.ports.clone(),
            trace: self.trace,
            coverage: self.coverage,
            axi_lite: self.axi_lite.clone(),
            streams: self.streams.is_some(),
            cached,
        })
    }

    fn design(&self, problem: String) -> Error {
        Error::Design { top: self.top.clone(), problem }
    }

    fn check(&self) -> Result<()> {
        let names = self.sources.iter().map(|s| &s.name).chain(self.ports.iter().map(|p| &p.name));
        for name in names.chain(self.parameters.iter().map(|p| &p.0)).chain([&self.top, &self.clock]) {
            // Verilator renames what has `__` in it, and file names are made from these too.
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !plain || name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || name.contains("__") {
                return Err(self.design(format!("`{name}` is not a name of letters, digits and single underscores")));
            }
        }
        let mut files: Vec<_> = self.sources.iter().map(|s| &s.name).collect();
        files.sort();
        if let Some(twice) = files.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(self.design(format!("two sources are named `{}`", twice[0])));
        }
        self.expect_port(&self.clock, 1, 1, true)?;
        shim::bus_signals(self).into_iter().try_for_each(|(name, least, most, input)| self.expect_port(&name, least, most, input))?;
        Ok(())
    }

    fn expect_port(&self, name: &str, least: u32, most: u32, input: bool) -> Result<()> {
        let found = self.ports.iter().find(|p| p.name == name);
        if found.is_some_and(|p| p.input == input && (least..=most).contains(&p.width)) {
            return Ok(());
        }
        let found = found.map_or("none".to_string(), describe);
        let width = if least == most { least.to_string() } else { format!("{least} to {most}") };
        Err(Error::Port {
            top: self.top.clone(),
            port: name.to_string(),
            problem: format!("expected an {} of {width} bits, found {found}", direction(input)),
        })
    }

    /// Verilator's arguments, relative to the directory that holds `src`.
    fn verilator_arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> = VERILATOR_FLAGS.map(String::from).into();
        if self.trace {
            arguments.push("--trace".into());
        }
        if self.coverage {
            arguments.extend(COVERAGE_FLAGS.map(String::from));
        }
        if self.optimize == Optimize::Fast {
            arguments.push("-O3".into());
        }
        arguments.extend(["--Mdir", "cpp", "--top-module", &self.top].map(String::from));
        arguments.extend(self.parameters.iter().map(|(name, value)| format!("-G{name}={value}")));
        arguments.extend(self.sources.iter().map(|s| format!("src/{}.v", s.name)));
        arguments
    }

    fn cxx_flags(&self, tools: &Tools) -> Vec<String> {
        let mut flags: Vec<String> = CXX_FLAGS.map(String::from).into();
        if self.optimize == Optimize::Draft {
            // the last one counts
            flags.push("-O0".into());
        }
        flags.push(format!("-DVM_TRACE={}", u8::from(self.trace)));
        flags.push(format!("-DVM_COVERAGE={}", u8::from(self.coverage)));
        flags.push(format!("-I{}", tools.include.display()));
        flags.push(format!("-I{}", tools.include.join("vltstd").display()));
        flags
    }

    fn key(&self, tools: &Tools) -> String {
        let header = shim::ports_header(self);
        let arguments = self.verilator_arguments();
        let flags = self.cxx_flags(tools);
        let fixed = [CACHE_FORMAT, &tools.verilator, &tools.cxx, shim::PRELUDE, shim::SHIM, shim::STREAMS, &header];
        let texts = self.sources.iter().map(|s| s.text.as_str());
        // Listed ports are checked against the model, so they count even where `header` does not show them.
        let ports: Vec<String> = self.ports.iter().map(|p| format!("{} {}", p.name, describe(p))).collect();
        digest(
            fixed
                .into_iter()
                .chain(arguments.iter().map(String::as_str))
                .chain(flags.iter().map(String::as_str))
                .chain(ports.iter().map(String::as_str))
                .chain(texts),
        )
    }

    fn build(&self, tools: &Tools, cache: &Path, entry: &Path) -> Result<()> {
        let work = temporary(cache)?;
        let root = work.path();
        let what = format!("design {}", self.top);
        for directory in ["src", "cpp"] {
            std::fs::create_dir(root.join(directory)).map_err(at(root))?;
        }
        for source in &self.sources {
            write(&root.join("src").join(format!("{}.v", source.name)), &source.text)?;
        }
        run(Command::new("verilator").current_dir(root).args(self.verilator_arguments()), &what)?;

        let cpp = root.join("cpp");
        self.compare_ports(&cpp.join("Vdut.h"))?;
        write(&cpp.join("ports.h"), &shim::ports_header(self))?;
        write(&cpp.join("shim.cpp"), shim::SHIM)?;
        write(&cpp.join("streams.h"), shim::STREAMS)?;
        let flags = self.cxx_flags(tools);
        let prelude = compile::prelude(cache, tools, &flags)?;
        let compile = if self.optimize == Optimize::Draft { compile::compile_as_one } else { compile::compile_all };
        compile(&cpp, &flags, &prelude, &what)?;
        let objects = compile::files_with_extension(&cpp, "o")?;
        let library = root.join(LIBRARY_FILE);
        run(Command::new("g++").arg("-shared").arg("-o").arg(&library).args(objects.iter().map(|o| &o.1)), &what)?;

        std::fs::File::open(&library).and_then(|f| f.sync_all()).map_err(at(&library))?;
        std::fs::remove_dir_all(&cpp).map_err(at(&cpp))?;
        publish(work, entry)
    }

    /// Names, widths and directions are compared here because the shim would silently truncate a mismatch.
    fn compare_ports(&self, header: &Path) -> Result<()> {
        let text = std::fs::read_to_string(header).map_err(at(header))?;
        let declared: Vec<Port> = text.lines().filter_map(shim::declared_port).collect();
        let mismatch = |port: &str, problem: String| Error::Port { top: self.top.clone(), port: port.to_string(), problem };
        for port in &self.ports {
            let found = declared.iter().find(|d| d.name == port.name);
            if found != Some(port) {
                let found = found.map_or("no such port".to_string(), describe);
                return Err(mismatch(&port.name, format!("expected an {}, the Verilog has {found}", describe(port))));
            }
        }
        match declared.iter().find(|d| d.input && !self.ports.iter().any(|p| p.name == d.name)) {
            Some(input) => Err(mismatch(&input.name, "an input of the Verilog that is not listed would float".into())),
            None => Ok(()),
        }
    }
}

fn direction(input: bool) -> &'static str {
    if input {
        "input"
    } else {
        "output"
    }
}

fn describe(port: &Port) -> String {
    format!("{} of {} bits", direction(port.input), port.width)
}

fn digest<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // With its length, so that text moved from one part to the next gives another key.
        hash.update(part.len().to_string().as_bytes());
        hash.update(b":");
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn temporary(cache: &Path) -> Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix(TEMPORARY).tempdir_in(cache).map_err(at(cache))
}

/// Renames a finished directory to its name in the cache. Where another process was first, its work is as good.
fn publish(work: tempfile::TempDir, entry: &Path) -> Result<()> {
    match std::fs::rename(work.path(), entry) {
        Ok(()) => {
            // The directory has moved; there is nothing left to delete at the old name.
            let _ = work.keep();
            Ok(())
        }
        Err(_) if entry.is_dir() => Ok(()),
        Err(source) => Err(at(entry)(source)),
    }
}

/// Deletes what builds that were killed left behind. A day is far beyond the longest build.
fn remove_abandoned(cache: &Path) {
    let Ok(entries) = std::fs::read_dir(cache) else { return };
    for entry in entries.flatten() {
        let age = entry.metadata().and_then(|m| m.modified()).ok().and_then(|t| SystemTime::now().duration_since(t).ok());
        let ours = entry.file_name().to_string_lossy().starts_with(TEMPORARY);
        if ours && age.is_some_and(|age| age > Duration::from_secs(24 * 3600)) {
            // Only tidiness is lost if this fails.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    move |source| Error::Io { path: path.to_path_buf(), source }
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(at(path))
}

/// Runs a tool to its end and gives its standard output.
fn run(command: &mut Command, what: &str) -> Result<String> {
    let tool = command.get_program().to_string_lossy().into_owned();
    let output = match command.output() {
        Ok(output) => output,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(Error::ToolMissing { tool });
        }
        Err(e) => return Err(at(Path::new(&tool))(e)),
    };
    let stdout = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return Ok(stdout.into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = stderr.lines().chain(stdout.lines()).collect();
    let mut text = lines[..lines.len().min(OUTPUT_LINES)].join("\n");
    if lines.len() > OUTPUT_LINES {
        let _ = write!(text, "\n... and {} more lines", lines.len() - OUTPUT_LINES);
    }
    if text.is_empty() {
        text = output.status.to_string();
    }
    Err(Error::Tool { tool, what: what.to_string(), output: text })
}
