//! The flags that say which samples to run, and the samples as the accelerator takes them.

use crate::sequences::SequenceJob;
use anyhow::{bail, Context, Result};
use lacuna_compress::config::Config;
use lacuna_compress::error::grouped;
use lacuna_compress::files::read_any_container;
use lacuna_compress::inputs::{load_inputs, load_labels, Samples};
use lacuna_compress::manifest::{require_arch, AnyModel, Model, RecurrentModel};
use lacuna_sim::golden::{Golden, Trace};
use lacuna_sim::reference::argmax;
use std::path::{Path, PathBuf};

/// A compressed model, and what to run on it.
#[derive(clap::Args)]
pub struct SampleArgs {
    /// Compressed model, as `lacuna compress` writes it; with --wav the bundled keyword LSTM if it is not given
    #[arg(long, value_name = "FILE", required_unless_present = "wav")]
    pub container: Option<PathBuf>,
    /// Samples: .npy, .npz, .safetensors, or MNIST idx (also .gz); the first axis counts them. For an LSTM sequences:
    /// (sequences, steps, values), or (steps, values)
    #[arg(long, value_name = "FILE", required_unless_present_any = ["config", "wav"])]
    pub inputs: Option<PathBuf>,
    /// Array in a .npz or .safetensors with several
    #[arg(long, value_name = "NAME")]
    pub tensor: Option<String>,
    /// Class of each sample, as MNIST idx (also .gz): the error rate is printed
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Run only the first N samples or sequences
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Configuration whose [input] says what the flags above do not; its accelerator must be the model's
    #[arg(short, long, value_name = "TOML")]
    pub config: Option<PathBuf>,
    /// A sound for a keyword LSTM: one second, 16,000 samples a second; stereo is averaged, other rates from 8,000 are
    /// resampled
    #[arg(long, value_name = "WAV", conflicts_with_all = ["inputs", "tensor", "labels", "limit", "config"])]
    pub wav: Option<PathBuf>,
    /// Samples from frame to frame that the container's network was trained with; not needed if it has the shape of a
    /// bundled one
    #[arg(long, value_name = "N", requires = "wav", requires = "container")]
    pub stride: Option<Stride>,
}

/// Strides that the keyword networks' frames have.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Stride {
    /// As LSTM_S, 25 frames
    #[value(name = "640")]
    Of640,
    /// As Basic_LSTM_S, 49 frames
    #[value(name = "320")]
    Of320,
}

impl Stride {
    pub fn samples(self) -> usize {
        match self {
            Stride::Of640 => 640,
            Stride::Of320 => 320,
        }
    }
}

/// What to run, by the kind of the network.
pub enum AnyJob {
    Layers(Job),
    Sequences(SequenceJob),
}

/// A model with its samples, ready to run.
pub struct Job {
    pub model: Model,
    pub golden: Golden,
    /// The file that the samples come from, and the array in it.
    pub file: PathBuf,
    #[cfg_attr(not(feature = "verilator"), allow(dead_code))] // for the command that repeats a mismatch
    pub tensor: Option<String>,
    /// One activation per input of the network.
    pub inputs: Vec<Vec<i16>>,
    /// One per sample, if there are any.
    pub labels: Option<Vec<u8>>,
}

impl SampleArgs {
    pub fn load(&self) -> Result<AnyJob> {
        let model = self.container.as_deref().map(read_any_container).transpose()?;
        if let Some(wav) = &self.wav {
            return self.sound(model, wav);
        }
        let (Some(container), Some(model)) = (&self.container, model) else { bail!("give --container") };
        let config = self.config.as_deref().map(Config::load).transpose()?;
        if let Some(config) = &config {
            require_config(&model, config, container)?;
        }
        let from_config = |path: fn(&Config) -> &Option<PathBuf>| config.as_ref().and_then(|c| Some(c.path(path(c).as_ref()?)));
        let Some(file) = self.inputs.clone().or_else(|| from_config(|c| &c.input.file)) else {
            bail!("no samples to run: give --inputs, or input.file in the configuration");
        };
        // the configuration's labels and tensor belong to its own file
        let own = self.inputs.is_none();
        let tensor = self.tensor.clone().or_else(|| config.as_ref().filter(|_| own).and_then(|c| c.input.tensor.clone()));
        let labels = self.labels.clone().or_else(|| from_config(|c| &c.input.labels).filter(|_| own));
        let limit = self.limit.map_or(usize::MAX, |l| l as usize);
        let of_container = || format!("container {}", container.display());
        match model {
            AnyModel::Layers(model) => {
                Job::new(model, &file, tensor.as_deref(), labels.as_deref(), limit).map(AnyJob::Layers).with_context(of_container)
            }
            AnyModel::Recurrent(_) if labels.is_some() => {
                bail!("{}: found {}, expected {} with labels", of_container(), AnyModel::RECURRENT, AnyModel::LAYERS)
            }
            AnyModel::Recurrent(model) => {
                SequenceJob::new(model, &file, tensor.as_deref(), limit).map(AnyJob::Sequences).with_context(of_container)
            }
        }
    }

    fn sound(&self, model: Option<AnyModel>, wav: &Path) -> Result<AnyJob> {
        let of_container = || self.container.as_ref().map_or("the bundled network".into(), |c| format!("container {}", c.display()));
        let model: Option<RecurrentModel> = match model {
            Some(AnyModel::Layers(_)) => {
                bail!("{}: found {}, expected {} with --wav", of_container(), AnyModel::LAYERS, AnyModel::RECURRENT)
            }
            Some(AnyModel::Recurrent(model)) => Some(model),
            None => None,
        };
        SequenceJob::of_sound(model, wav, self.stride.map(Stride::samples)).map(AnyJob::Sequences).with_context(of_container)
    }
}

/// Refuses a model that was compiled for another accelerator than the configuration describes.
pub fn require_config(model: &AnyModel, config: &Config, container: &Path) -> Result<()> {
    let of_container = || container.display().to_string();
    let arch = crate::pipeline::arch_of(config, Some(model.arch())).with_context(of_container)?;
    require_arch(model.arch(), &arch).with_context(of_container)
}

impl Job {
    /// The first `limit` samples of a file.
    pub fn new(model: Model, file: &Path, tensor: Option<&str>, labels: Option<&Path>, limit: usize) -> Result<Job> {
        let golden = Golden::new(&model.image)?;
        let mut samples = load_inputs(file, tensor, model.network.input_scale, model.network.input_offset)?;
        let mut labels = labels.map(|path| load_labels(path).map(|l| (path, l))).transpose()?;
        if let Some((path, found)) = labels.as_ref().filter(|l| l.1.len() != samples.count) {
            bail!("{}: found {} labels, expected {}, one per sample", path.display(), grouped(found.len()), grouped(samples.count));
        }
        samples.truncate(limit);
        if let Some((_, labels)) = &mut labels {
            labels.truncate(limit);
        }
        let wrong = |e| anyhow::Error::new(e).context(file.display().to_string());
        let inputs = samples.iter().map(|s| model.quantize_input(s).map_err(wrong)).collect::<Result<_>>()?;
        Ok(Job { model, golden, file: file.to_path_buf(), tensor: tensor.map(str::to_string), inputs, labels: labels.map(|l| l.1) })
    }
}

/// What a network said to each sample.
#[derive(Default)]
pub struct Answers {
    /// Outputs in the model's order, as integers.
    rows: Vec<Vec<i16>>,
    values: Vec<f32>,
    pub classes: Vec<usize>,
    /// Results that saturated, layer by layer.
    pub saturated: Vec<usize>,
}

/// More outputs than this are not shown one by one.
const SHOWN: usize = 10;

impl Answers {
    /// Adds the outputs of one sample, by position.
    pub fn push(&mut self, model: &Model, outputs: &[i16], trace: &Trace) -> Result<()> {
        let rows = model.output_rows(outputs)?;
        self.classes.push(argmax(&rows));
        self.values.extend(model.output_in_model_order(outputs)?);
        self.rows.push(rows);
        self.saturated.resize(trace.layers.len(), 0);
        self.saturated.iter_mut().zip(&trace.layers).for_each(|(sum, layer)| *sum += layer.saturated);
        Ok(())
    }

    pub fn count(&self) -> usize {
        self.classes.len()
    }

    fn size(&self) -> usize {
        self.rows.first().map_or(0, Vec::len)
    }

    pub fn headers(&self, labels: bool) -> Vec<String> {
        let mut headers = vec!["sample".to_string(), "class".to_string()];
        headers.extend(labels.then(|| "label".to_string()));
        if self.size() <= SHOWN {
            headers.extend((0..self.size()).map(|i| format!("out {i}")));
        } else {
            headers.push("its output".to_string());
        }
        headers
    }

    /// The table's row of a sample.
    pub fn row(&self, sample: usize, labels: Option<&[u8]>) -> Vec<String> {
        let mut row = vec![sample.to_string(), self.classes[sample].to_string()];
        row.extend(labels.map(|l| l[sample].to_string()));
        let values = &self.values[sample * self.size()..(sample + 1) * self.size()];
        if self.size() <= SHOWN {
            row.extend(values.iter().map(|v| format!("{v:.4}")));
        } else {
            row.push(format!("{:.4}", values[self.classes[sample]]));
        }
        row
    }

    /// All outputs as real numbers.
    pub fn samples(self) -> Samples {
        Samples { count: self.count(), size: self.size(), data: self.values }
    }

    /// `fc1 0, fc2 3`
    pub fn saturation_text(&self, model: &Model) -> String {
        let named = self.saturated.iter().zip(&model.network.layers);
        named.map(|(n, layer)| format!("{} {}", layer.name, grouped(*n))).collect::<Vec<_>>().join(", ")
    }
}
