//! A board, as its folder in `constraints/` describes it. A new board is a new folder.

use anyhow::{bail, Context, Result};
use lacuna_compress::spec::Arch;
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

    /// Every port of the top module has a pin, every pin a port, and the constraints say the same.
    fn check(&self) -> Result<()> {
        let pins = &self.description.pins;
        let file = &self.description.files.constraints;
        let constrained = constrained_pins(file, &self.constraints()?)?;
        let ports = ports(&self.top()?);
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

/// Ports of a module that declares one a line.
fn ports(verilog: &str) -> Vec<String> {
    let header = verilog.split(");").next().unwrap_or_default();
    let declared = |line: &str| {
        let line = line.trim();
        let port = line.starts_with("input ") || line.starts_with("output ") || line.starts_with("inout ");
        port.then(|| line.trim_end_matches(',').split_whitespace().last().map(str::to_string)).flatten()
    };
    header.lines().filter_map(declared).collect()
}

/// Port and pin of each location in a file of constraints: .lpf, .pcf or .xdc, by its name.
fn constrained_pins(file: &str, text: &str) -> Result<BTreeMap<String, String>> {
    let lines = text.lines().map(str::trim).filter(|l| !l.starts_with('#'));
    let pair: fn(&str) -> Option<(String, String)> = match file.rsplit('.').next() {
        Some("lpf") => |line| {
            let mut quoted = line.strip_prefix("LOCATE COMP")?.split('"').skip(1).step_by(2);
            Some((quoted.next()?.into(), quoted.next()?.into()))
        },
        Some("pcf") => |line| {
            let mut words: Vec<&str> = line.strip_prefix("set_io ")?.split_whitespace().collect();
            let pin = words.pop()?;
            Some((words.pop()?.into(), pin.into()))
        },
        Some("xdc") => |line| {
            let pin = line.split("PACKAGE_PIN ").nth(1)?.split([' ', '}']).next()?;
            let port = line.split("[get_ports ").nth(1)?.split(']').next()?;
            Some((port.into(), pin.into()))
        },
        _ => bail!("{file}: expected constraints as .lpf, .pcf or .xdc"),
    };
    let mut found = BTreeMap::new();
    for (port, pin) in lines.filter_map(pair) {
        if let Some(before) = found.insert(port.clone(), pin.clone()) {
            bail!("{file}: {port} is at pin {before} and at pin {pin}");
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
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
            let mhz = constrained_mhz(file, &text);
            assert!(mhz.len() == 1 && (mhz[0] - board.description.clock.pin_mhz).abs() < 1e-6, "{name}: {mhz:?}");
            if let Some(standards) = standards(file, &text) {
                let ports: Vec<&String> = board.description.pins.keys().collect();
                assert_eq!(standards.iter().collect::<Vec<_>>(), ports, "{name}: ports with an IO standard");
            }
        }
    }

    /// Lines that constrain something.
    fn constraints(text: &str) -> impl Iterator<Item = &str> {
        text.lines().map(str::trim).filter(|line| !line.starts_with('#'))
    }

    fn word_after<'a>(line: &'a str, before: &str) -> Option<&'a str> {
        line.split_once(before)?.1.split([' ', ']', '}', ';', '"']).find(|word| !word.is_empty())
    }

    /// Frequencies of the clocks that come in at ports called `clock`, or `clock_p` of a pair.
    fn constrained_mhz(file: &str, text: &str) -> Vec<f64> {
        let mhz = |line: &str| match file.rsplit('.').next() {
            Some("lpf") => line.strip_prefix("FREQUENCY PORT \"clock\" ")?.strip_suffix(" MHZ;")?.parse().ok(),
            Some("pcf") => line.strip_prefix("set_frequency clock ")?.parse().ok(),
            _ => {
                let at = line.starts_with("create_clock ").then(|| word_after(line, "[get_ports "))??;
                let period: f64 = word_after(line, "-period ")?.parse().ok()?;
                ["clock", "clock_p"].contains(&at).then_some(1e3 / period)
            }
        };
        constraints(text).filter_map(mhz).collect()
    }

    /// Ports that have an IO standard. None for a format that knows none.
    fn standards(file: &str, text: &str) -> Option<std::collections::BTreeSet<String>> {
        let port: fn(&str) -> Option<&str> = match file.rsplit('.').next() {
            Some("lpf") => |line| {
                let port = line.strip_prefix("IOBUF PORT ").and_then(|rest| word_after(rest, "\""));
                word_after(line, "IO_TYPE=").and(port)
            },
            Some("xdc") => |line| word_after(line, "IOSTANDARD ").and_then(|_| word_after(line, "[get_ports ")),
            _ => return None,
        };
        Some(constraints(text).filter_map(port).map(str::to_string).collect())
    }

    #[test]
    fn a_board_whose_files_disagree_is_refused() {
        let original = Path::new(HOME).join("ulx3s");
        for (file, from, to, said) in [
            ("ulx3s.lpf", "SITE \"M1\"", "SITE \"M2\"", "uart_rx is at pin M2, expected M1"),
            ("ulx3s.lpf", "LOCATE COMP \"led\"", "# \"led\"", "port led is not constrained"),
            ("ulx3s.lpf", "LOCATE COMP \"led\"", "LOCATE COMP \"lamp\"", "port led is not constrained"),
            ("top.v", "input wire clock,", "input wire clock,\n    input wire button,", "port button has no pin"),
            ("board.toml", "uart_tx = \"L4\"", "uart_tx = \"M1\"", "pins.uart_rx and pins.uart_tx are both M1"),
            ("board.toml", "led = \"B2\"", "led = \"B2\"\nlamp = \"C2\"", "pins.lamp is no port"),
        ] {
            let folder = tempfile::tempdir().unwrap();
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
