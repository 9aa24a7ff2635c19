//! A board, as its folder in `constraints/` describes it. A new board is a new folder.

mod pins;

use anyhow::{bail, Context, Result};
use lacuna_compress::spec::Arch;
use pins::{constrained_mhz, constrained_pins, ports};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What `board.toml` says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    pub title: String,
    pub device: Device,
    pub clock: Clock,
    pub uart: Uart,
    pub memory: Memory,
    pub logic: Logic,
    pub files: Files,
    /// Port of the top module, and its pin.
    pub pins: BTreeMap<String, String>,
    pub tools: Tools,
    pub source: Source,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// As Yosys calls it.
    pub family: String,
    pub part: String,
    pub package: String,
    pub speed: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// What comes in at the pin.
    pub pin_mhz: f64,
    /// What the accelerator runs on, if nothing else is asked for. Another one than `pin_mhz` needs a PLL.
    pub mhz: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uart {
    pub baud: u32,
}

/// Block RAM of the device, in the blocks that its tools count.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    pub blocks: usize,
    pub single_port: Option<SinglePort>,
}

/// Larger memories with one address for reading and writing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinglePort {
    pub blocks: usize,
    pub words: usize,
    pub width: usize,
}

impl Memory {
    /// Whether the entries of all PEs, and nothing else, lie in the memories with a single port.
    pub fn entries_apart(&self, arch: &Arch) -> bool {
        self.apart(arch).is_some()
    }

    /// Memories with a single port that the entries take, and those that there are. None if they lie in block RAM.
    pub fn apart(&self, arch: &Arch) -> Option<[usize; 2]> {
        let of = self.single_port.as_ref()?;
        let needed = arch.pes * arch.spmat_depth.div_ceil(of.words) * arch.word_bits().div_ceil(of.width);
        (needed <= of.blocks).then_some([needed, of.blocks])
    }
}

/// What else the device has.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logic {
    pub lut: usize,
    pub ff: usize,
    pub dsp: usize,
}

/// Of the same folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// Verilog with the module `top`.
    pub top: String,
    pub constraints: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flow {
    /// Yosys, nextpnr-ecp5, ecppack.
    Ecp5,
    /// Yosys, nextpnr-ice40, icepack.
    Ice40,
    /// Vivado in batch mode; Yosys for the figures.
    Vivado,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tools {
    pub flow: Flow,
    /// Arguments that name the device.
    #[serde(default)]
    pub nextpnr: Vec<String>,
}

/// Where the pins come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub document: String,
    pub revision: String,
    #[serde(default)]
    #[allow(dead_code)] // for who reads the file
    pub also: String,
}

pub struct Board {
    /// Name of its folder.
    pub name: String,
    pub folder: PathBuf,
    pub description: Description,
}

/// The folder of boards that is looked in behind `constraints` of the working directory: that of the sources.
const HOME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/constraints");
const DESCRIPTION: &str = "board.toml";
/// Share by which a UART's speed may be off before bytes come apart.
const BAUD_ERROR: f64 = 0.02;
/// Share by which a clock in the constraints, whose period is rounded, may be off that of `board.toml`.
const CLOCK_ERROR: f64 = 2e-3;
/// Clocks that a board may have or be asked for.
pub const MHZ: std::ops::RangeInclusive<f64> = 1.0..=1000.0;

impl Board {
    /// By its name, or by the path of its folder.
    pub fn find(name: &str) -> Result<Board> {
        let places = [PathBuf::from(name), Path::new("constraints").join(name), Path::new(HOME).join(name)];
        match places.iter().find(|p| p.join(DESCRIPTION).is_file()) {
            Some(folder) => Board::read(folder),
            None => bail!("board {name}: there is no such folder with a {DESCRIPTION}; known are {}", names().join(", ")),
        }
    }

    /// From its folder. An error if its files contradict each other.
    pub fn read(folder: &Path) -> Result<Board> {
        let path = folder.join(DESCRIPTION);
        let description: Description = toml::from_str(&text(&path)?).with_context(|| path.display().to_string())?;
        let folder = std::path::absolute(folder).with_context(|| path.display().to_string())?;
        let name = folder.file_name().and_then(|n| n.to_str()).unwrap_or("board").to_string();
        let board = Board { name, folder, description };
        board.check().with_context(|| board.folder.display().to_string())?;
        Ok(board)
    }

    /// Text of the top module.
    pub fn top(&self) -> Result<String> {
        text(&self.folder.join(&self.description.files.top))
    }

    /// Text of the constraints.
    pub fn constraints(&self) -> Result<String> {
        text(&self.folder.join(&self.description.files.constraints))
    }

    /// Clock cycles of a bit on the serial line, at a clock of `mhz`.
    pub fn divider(&self, mhz: f64) -> Result<usize> {
        let (hz, baud) = (mhz * 1e6, f64::from(self.description.uart.baud));
        let divider = (hz / baud).round();
        if divider < 1.0 || (hz / divider / baud - 1.0).abs() > BAUD_ERROR {
            bail!("board {}: {} baud cannot be made of a clock of {} MHz: expected a speed within 2 % of it", self.name, baud, hz / 1e6);
        }
        Ok(divider as usize)
    }

    /// What goes into scripts needs no quotes there, and the clock is one.
    fn check_values(&self) -> Result<()> {
        let d = &self.description;
        if let Some(found) = d.title.chars().find(|c| c.is_control()) {
            bail!("{DESCRIPTION}: title has the character {found:?}, expected one line");
        }
        for (key, file, kinds) in [("top", &d.files.top, &["v"][..]), ("constraints", &d.files.constraints, &["lpf", "pcf", "xdc"])] {
            let known = kinds.iter().any(|kind| file.rsplit_once('.').is_some_and(|(name, found)| !name.is_empty() && found == *kind));
            if !known || file.contains('/') || !is_word(file) {
                bail!("{DESCRIPTION}: files.{key} is {file:?}, expected the name of a .{} of the same folder", kinds.join(", ."));
            }
        }
        let device = &d.device;
        let keys = ["family", "part", "package", "speed"].map(|key| format!("device.{key}"));
        let values = [&device.family, &device.part, &device.package, &device.speed];
        // what a flow has no use for may be left empty
        let named = keys.into_iter().zip(values).filter(|(_, value)| !value.is_empty());
        let arguments = d.tools.nextpnr.iter().map(|argument| ("tools.nextpnr".to_string(), argument));
        if let Some((key, value)) = named.chain(arguments).find(|(_, value)| !is_word(value)) {
            bail!("{DESCRIPTION}: {key} is {value:?}, expected letters, digits and -_.,:=+/ alone");
        }
        for (key, mhz) in [("pin_mhz", d.clock.pin_mhz), ("mhz", d.clock.mhz)] {
            if !MHZ.contains(&mhz) {
                bail!("{DESCRIPTION}: clock.{key} is {mhz}, expected {} to {} MHz", MHZ.start(), MHZ.end());
            }
        }
        if d.uart.baud == 0 {
            bail!("{DESCRIPTION}: uart.baud is 0, expected bits a second");
        }
        Ok(())
    }

    /// Every port of the top module has a pin, every pin a port, and the constraints say the same, and of the clock too.
    fn check(&self) -> Result<()> {
        self.check_values()?;
        let pins = &self.description.pins;
        let file = &self.description.files.constraints;
        let text = self.constraints()?;
        let constrained = constrained_pins(file, &text)?;
        let pin_mhz = self.description.clock.pin_mhz;
        let clocks: Vec<(String, f64)> = constrained_mhz(file, &text).into_iter().filter(|(port, _)| pins.contains_key(port)).collect();
        if let Some((port, mhz)) = clocks.iter().find(|(_, mhz)| (mhz / pin_mhz - 1.0).abs() > CLOCK_ERROR) {
            bail!("{file}: found {mhz:.3} MHz at {port}, expected clock.pin_mhz of {DESCRIPTION}, {pin_mhz} MHz");
        }
        // nextpnr is told the clock in another way too
        if clocks.is_empty() && self.description.tools.flow == Flow::Vivado {
            bail!("{file}: found no create_clock at a port, expected one of {pin_mhz} MHz: Vivado would not look at the timing");
        }
        let ports = ports(&self.top()?).with_context(|| self.description.files.top.clone())?;
        if let Some(port) = ports.iter().find(|p| !pins.contains_key(*p)) {
            bail!("{}: port {port} has no pin in {DESCRIPTION}", self.description.files.top);
        }
        if let Some(port) = pins.keys().find(|p| !ports.contains(p)) {
            bail!("{DESCRIPTION}: pins.{port} is no port of {}", self.description.files.top);
        }
        let mut taken = BTreeMap::new();
        for (port, pin) in pins {
            if let Some(other) = taken.insert(pin, port) {
                bail!("{DESCRIPTION}: pins.{other} and pins.{port} are both {pin}");
            }
            match constrained.get(port) {
                Some(found) if found == pin => {}
                Some(found) => bail!("{file}: {port} is at pin {found}, expected {pin} ({DESCRIPTION})"),
                None => bail!("{file}: port {port} is not constrained, expected pin {pin} ({DESCRIPTION})"),
            }
        }
        match constrained.keys().find(|p| !pins.contains_key(*p)) {
            Some(port) => bail!("{file}: {port} is constrained, and {DESCRIPTION} has no such pin"),
            None => Ok(()),
        }
    }
}

/// The boards that there are.
pub fn names() -> Vec<String> {
    let folders = ["constraints", HOME].into_iter().filter_map(|f| std::fs::read_dir(f).ok()).flatten().flatten();
    let mut names: Vec<String> =
        folders.filter(|e| e.path().join(DESCRIPTION).is_file()).filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    names.dedup();
    names
}

fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// Whether a text is one word to every tool that reads it.
fn is_word(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "-_.,:=+/".contains(c);
    !text.is_empty() && text.chars().all(known)
}

#[cfg(test)]
mod tests {
    use super::pins::{commands, word_after};
    use super::*;

    #[test]
    fn every_board_constrains_exactly_the_ports_of_its_top() {
        let names = names();
        assert!(["arty_a7_35t", "icebreaker", "kcu105", "ulx3s", "vcu118"].iter().all(|b| names.iter().any(|n| n == b)), "{names:?}");
        for name in names {
            let board = Board::find(&name).unwrap_or_else(|e| panic!("{e:#}"));
            assert!(board.divider(board.description.clock.mhz).is_ok_and(|d| d >= lacuna_hdl::wire::LEAST_DIVIDER), "{name}");
            assert_eq!(board.description.source.revision.len(), 40, "{name}: a commit");
            assert!(board.folder.join("README.md").is_file(), "{name}: no README.md");
            let (file, text) = (&board.description.files.constraints, board.constraints().unwrap());
            let clocks = constrained_mhz(file, &text);
            assert!(clocks.len() == 1 && clocks[0].1 == board.description.clock.pin_mhz, "{name}: {clocks:?}");
            assert!(["clock", "clock_p"].contains(&clocks[0].0.as_str()), "{name}: {clocks:?}");
            if let Some(standards) = standards(file, &text) {
                let ports: Vec<&String> = board.description.pins.keys().collect();
                assert_eq!(standards.iter().collect::<Vec<_>>(), ports, "{name}: ports with an IO standard");
            }
        }
    }

    /// Ports that have an IO standard. None for a format that knows none.
    fn standards(file: &str, text: &str) -> Option<std::collections::BTreeSet<String>> {
        let port = |words: &Vec<String>| match file.rsplit('.').next() {
            Some("lpf") => words.iter().any(|word| word.starts_with("IO_TYPE=")).then(|| word_after(words, "PORT").cloned())?,
            _ => word_after(words, "IOSTANDARD").and(word_after(words, "get_ports").cloned()),
        };
        (!file.ends_with(".pcf")).then(|| commands(file, text).iter().filter_map(port).collect())
    }

    #[test]
    fn a_board_whose_files_disagree_is_refused() {
        let of = |file: &str| Path::new(HOME).join(if file.ends_with(".xdc") { "arty_a7_35t" } else { "ulx3s" });
        for (file, from, to, said) in [
            ("ulx3s.lpf", "SITE \"M1\"", "SITE \"M2\"", "uart_rx is at pin M2, expected M1"),
            ("ulx3s.lpf", "LOCATE COMP \"led\"", "# \"led\"", "port led is not constrained"),
            ("ulx3s.lpf", "LOCATE COMP \"led\"", "LOCATE COMP \"lamp\"", "port led is not constrained"),
            ("top.v", "input wire clock,", "input wire clock,\n    input wire button,", "port button has no pin"),
            ("board.toml", "uart_tx = \"L4\"", "uart_tx = \"M1\"", "pins.uart_rx and pins.uart_tx are both M1"),
            ("board.toml", "led = \"B2\"", "led = \"B2\"\nlamp = \"C2\"", "pins.lamp is no port"),
            ("ulx3s.lpf", "25 MHZ", "26 MHZ", "ulx3s.lpf: found 26.000 MHz at clock, expected clock.pin_mhz of board.toml, 25 MHz"),
            ("arty_a7_35t.xdc", "create_clock", "# create_clock", "found no create_clock at a port, expected one of 100 MHz"),
            ("board.toml", "mhz = 80.0", "mhz = nan", "clock.mhz is NaN, expected 1 to 1000 MHz"),
            ("board.toml", "baud = 1_000_000", "baud = 0", "uart.baud is 0"),
            ("board.toml", "\"top.v\"", "\"../top.v\"", "files.top is \"../top.v\", expected the name of a .v of the same folder"),
            ("board.toml", "\"ulx3s.lpf\"", "\"ulx3s.txt\"", "files.constraints is \"ulx3s.txt\", expected the name of a .lpf, .pcf, .xdc"),
            ("board.toml", "\"--85k\"", "\"--85k; reboot\"", "tools.nextpnr is \"--85k; reboot\", expected letters"),
            ("board.toml", "with an ECP5-85F", "\\nreboot", "title has the character '\\n', expected one line"),
            ("top.v", "output wire led", "output wire [1:0] led", "top.v: output wire [1:0] led: found a range"),
            ("top.v", "output wire led", "output wire lamp, output\twire led // a lamp", "port lamp has no pin"),
            ("top.v", "module top", "module board", "top.v: found no module top with a list of ports"),
        ] {
            let (original, folder) = (of(file), tempfile::tempdir().unwrap());
            for entry in std::fs::read_dir(&original).unwrap() {
                let name = entry.unwrap().file_name();
                let mut text = std::fs::read_to_string(original.join(&name)).unwrap();
                if name == file {
                    assert!(text.contains(from), "{file}: {from}");
                    text = text.replacen(from, to, 1);
                }
                std::fs::write(folder.path().join(&name), text).unwrap();
            }
            let error = format!("{:#}", Board::read(folder.path()).err().expect(said));
            assert!(error.contains(said), "{error}");
        }
    }
}
