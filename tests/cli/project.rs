//! A folder with a network small enough to compute by hand, and the command to run on it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A test that cannot run here passes with this line, which `scripts/test` collects; if `LACUNA_ALL_TESTS` is set it fails.
pub fn left_out(why: &str) {
    assert!(std::env::var_os("LACUNA_ALL_TESTS").is_none(), "{why}");
    eprintln!("{why}");
    // cargo hides what a test that passes says
    if let Some(path) = std::env::var_os("LACUNA_LEFT_OUT") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{why}").unwrap();
    }
}

/// `fc1`: 6 inputs to 4 outputs with ReLU.
pub const FC1: [[f32; 6]; 4] =
    [[0.5, 0.0, 0.0, -1.0, 0.0, 0.25], [0.0, 0.5, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [-0.5, 0.0, 1.0, 0.0, 0.0, 0.25]];
pub const FC1_BIAS: [f32; 4] = [0.25, -0.5, 1.0, 0.0];
/// `fc2`: 4 to 3, without activation.
pub const FC2: [[f32; 4]; 3] = [[1.0, 0.0, 0.0, -0.5], [0.0, -1.0, 0.5, 0.0], [0.0, 0.0, 0.0, 0.25]];
pub const FC2_BIAS: [f32; 3] = [0.0, 0.125, -0.25];
pub const SAMPLES: [[f32; 6]; 3] = [[1.0, 1.5, 0.5, 0.25, 0.0, 1.0], [-1.0, 0.0, 0.5, 0.0, 0.75, 0.0], [0.0; 6]];

pub const CONFIG: &str = r#"
[accelerator]
pes = 2
entries_per_word = 2

[model]
file = "model.safetensors"

[[model.layer]]
name = "fc1"
weights = "fc1.weight"
bias = "fc1.bias"

[[model.layer]]
name = "fc2"
weights = "fc2.weight"
bias = "fc2.bias"
activation = "none"

[input]
file = "samples.npy"
calibration = "samples.npy"
"#;

/// What the network answers, in floating point.
pub fn expected(sample: &[f32; 6]) -> Vec<f32> {
    let dot = |row: &[f32], x: &[f32]| row.iter().zip(x).map(|(w, a)| w * a).sum::<f32>();
    let hidden: Vec<f32> = FC1.iter().zip(FC1_BIAS).map(|(row, bias)| (dot(row, sample) + bias).max(0.0)).collect();
    FC2.iter().zip(FC2_BIAS).map(|(row, bias)| dot(row, &hidden) + bias).collect()
}

pub struct Project {
    folder: tempfile::TempDir,
}

/// What a run left behind.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Project {
    pub fn new() -> Project {
        let project = Project { folder: tempfile::tempdir().unwrap() };
        project.write("net.toml", CONFIG);
        project.write("model.safetensors", model());
        project.write("samples.npy", npy(&[3, 6], &SAMPLES.concat()));
        project
    }
    /// A project whose network is compressed to `net.lacuna`.
    pub fn compressed() -> Project {
        let project = Project::new();
        project.run(&["compress", "-c", "net.toml", "-o", "net.lacuna"]).did_it();
        project
    }
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }
    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }
    /// Every file and folder, hidden ones too.
    pub fn names(&self) -> Vec<String> {
        let mut names = vec![];
        list(self.folder.path(), self.folder.path(), &mut names);
        names.sort();
        names
    }
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lacuna"));
        // compiled designs outlive the tests: they are the same each time
        command.args(arguments).current_dir(self.folder.path()).env("LACUNA_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/designs"));
        command
    }
    pub fn run(&self, arguments: &[&str]) -> Ran {
        ran(&mut self.command(arguments))
    }
    /// The run is refused with exit status 2, says all of `texts`, and no file is there that was not before.
    pub fn refuses(&self, arguments: &[&str], texts: &[&str]) {
        let before = self.names();
        let ran = self.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{arguments:?}: {ran:?}");
        for text in texts {
            assert!(ran.stderr.contains(text), "{arguments:?}: expected `{text}` in: {}", ran.stderr);
        }
        assert_eq!(self.names(), before, "{arguments:?} left files behind");
    }
}

impl Ran {
    pub fn of(output: Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
    /// Exit status 0; gives stdout.
    pub fn did_it(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }
}

pub fn ran(command: &mut Command) -> Ran {
    Ran::of(command.output().unwrap())
}

fn list(root: &Path, folder: &Path, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        names.push(path.strip_prefix(root).unwrap().display().to_string());
        if path.is_dir() {
            list(root, &path, names);
        }
    }
}

pub fn model() -> Vec<u8> {
    safetensors(&[
        ("fc1.weight", &[4, 6], &FC1.concat()),
        ("fc1.bias", &[4], &FC1_BIAS),
        ("fc2.weight", &[3, 4], &FC2.concat()),
        ("fc2.bias", &[3], &FC2_BIAS),
    ])
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Length of the header, the header in JSON, the data.
pub fn safetensors(tensors: &[(&str, &[usize], &[f32])]) -> Vec<u8> {
    let (mut header, mut data) = (vec![], vec![]);
    for (name, shape, values) in tensors {
        let start = data.len();
        data.extend(bytes(values));
        header.push(format!(r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{}]}}"#, data.len()));
    }
    let header = format!("{{{}}}", header.join(","));
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

pub fn npy(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let shape: String = shape.iter().map(|n| format!("{n}, ")).collect();
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}");
    let header = format!("{header:<117}\n");
    [b"\x93NUMPY\x01\x00".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes(), &bytes(values)].concat()
}

/// The values of a `.npy` of 32-bit floats.
pub fn npy_values(file: &[u8]) -> Vec<f32> {
    let header = usize::from(u16::from_le_bytes([file[8], file[9]]));
    file[10 + header..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// MNIST's labels.
pub fn labels(classes: &[u8]) -> Vec<u8> {
    [&[0, 0, 8, 1], (classes.len() as u32).to_be_bytes().as_slice(), classes].concat()
}

/// CRC-32 of IEEE 802.3, bit by bit.
pub fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
