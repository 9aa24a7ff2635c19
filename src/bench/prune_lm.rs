//! `prune-lm`: a character LSTM is trained, then pruned in stages with retraining, each PE with as many weights.
//!
//! Everything is learned from the first 90 % of the text; the last 10 % are measured once. The settings were chosen with pieces
//! of the first 90 % held out, which the networks of the table are trained on too.

use super::report::Outcome;
use anyhow::Result;
use std::path::Path;

#[cfg(not(feature = "train"))]
pub fn run(_: &Path, _: Option<&Path>) -> Result<Outcome> {
    Err(crate::commands::without_training("bench prune-lm"))
}

#[cfg(feature = "train")]
pub use trains::run;

#[cfg(feature = "train")]
mod trains {
    use super::*;
    use crate::bench::data_file;
    use crate::bench::report::{rounded, Bar, Check, Row};
    use crate::training;
    use anyhow::{ensure, Context};
    use lacuna_compress::error::grouped;
    use lacuna_compress::import::load_recurrent;
    use lacuna_compress::model::Recurrent;
    use lacuna_compress::recurrent::{compile_recurrent, RecurrentSettings};
    use lacuna_compress::train::classify::Checkpoints;
    use lacuna_compress::train::language::{bits_in_one_run, prune, save_network, train, LanguageSettings, Trained};
    use lacuna_compress::train::lstm::RecurrentVariables;
    use lacuna_compress::train::text::{Parts, Text};
    use lacuna_sim::golden::Recurrent as Golden;

    const RECIPE: &str = include_str!("../demo/train/charlm.toml");
    const TEXT: &str = "charrnn/tinyshakespeare.txt";
    /// Characters at the end of the text, measured on their own too.
    const END: usize = 20_001;
    /// Pieces of the text that the formats of the hardware come from, and their length.
    const CALIBRATION: (usize, usize) = (8, 500);
    /// Density of ESE, and what it may cost in bits per character.
    const ESE: f64 = 0.11;
    /// What a density may cost that costs nothing.
    const NOTHING: f64 = 0.02;

    /// Bits per character of the last 10 % and of the last characters.
    struct Measured {
        test: f64,
        end: f64,
    }

    fn measure(network: &Recurrent, test: &[u32]) -> Result<Measured> {
        let variables = RecurrentVariables::from_model(network)?;
        let mean = |bits: Vec<f64>| bits.iter().sum::<f64>() / bits.len() as f64;
        let test_bits = mean(bits_in_one_run(&variables, test)?);
        let end = mean(bits_in_one_run(&variables, &test[test.len() - END..])?);
        Ok(Measured { test: test_bits, end })
    }

    pub fn run(data: &Path, keep: Option<&Path>) -> Result<Outcome> {
        let settings: LanguageSettings = toml::from_str(RECIPE).context("the recipe")?;
        let path = data_file(data, TEXT)?;
        let text = Text::load(&path, None)?;
        let parts = text.parts(&path, 0)?;
        ensure!(parts.test.len() > END, "{}: {} characters are too few", path.display(), grouped(text.symbols.len()));
        let mut lines = training::Bar::of_text();
        let checkpoints = Checkpoints { file: keep.map(|keep| keep.join("charlm.checkpoint")), resume: true };
        let dense = train(&settings, &parts, text.vocabulary.len(), &checkpoints, &mut lines)?;
        let pruned = prune(&settings, &dense.network, &parts, &checkpoints, &mut lines)?;
        let of_dense = measure(&dense.network, parts.test)?;
        let (mut rows, mut costs) = (vec![], vec![]);
        for trained in std::iter::once(&dense).chain(&pruned) {
            let found = measure(&trained.network, parts.test)?;
            costs.push((trained.density, found.test - of_dense.test));
            rows.push(row(trained, &found, &of_dense, settings.seed));
            if let Some(keep) = keep {
                save(keep, trained)?;
            }
        }
        let ese = pruned.iter().zip(&costs[1..]).find(|(t, _)| (t.density - ESE).abs() < 0.005);
        let mut notes = vec![
            format!(
                "trained on the first {} characters, measured once on the last {}; seed {}",
                grouped(parts.train.len()),
                grouped(parts.test.len()),
                settings.seed
            ),
            "pruned are the input and hidden matrices of the LSTM layers, not the output layer; 32 PEs, as many weights in each"
                .to_string(),
        ];
        let densities = costs.iter().filter(|(_, cost)| *cost <= NOTHING).map(|(density, _)| *density);
        notes.push(match densities.reduce(f64::min) {
            Some(density) => format!("the lowest density that costs at most {NOTHING} bits per character: {:.1} %", 100.0 * density),
            None => format!("no density costs at most {NOTHING} bits"),
        });
        if let Some((trained, _)) = ese {
            let golden = on_hardware(&trained.network, &parts)?;
            let float = measure(&trained.network, parts.test)?.end;
            notes.push(format!("11 % on the golden model at 12 bits, last {}: {golden:.4}; float {float:.4}", grouped(END)));
        }
        let seconds: f64 = std::iter::once(&dense).chain(&pruned).map(|t| t.seconds).sum();
        let checks = vec![
            Check::new("dense, bits per character", of_dense.test, 3, Bar::AtMost(2.30)),
            Check::new("11 % of the LSTM's weights, bits above dense", ese.map(|(_, c)| c.1), 3, Bar::AtMost(0.20)).stretch(0.10),
            Check::new("seconds of training and pruning", seconds, 0, Bar::AtMost(2400.0)),
        ];
        Ok(Outcome { rows, checks, notes })
    }

    fn row(trained: &Trained, found: &Measured, of_dense: &Measured, seed: u64) -> Row {
        Row::new()
            .with("density", rounded(trained.density, 4))
            .with("bits_per_char", rounded(found.test, 4))
            .with("dense_bits_per_char", rounded(of_dense.test, 4))
            .with("cost", rounded(found.test - of_dense.test, 4))
            .with("last_20001", rounded(found.end, 4))
            .with("last_20001_cost", rounded(found.end - of_dense.end, 4))
            .with("seconds", rounded(trained.seconds, 1))
            .with("chars_per_second", rounded(trained.speed, 0))
            .with_hidden("seed", seed)
    }

    /// The network, and the configuration to compress it with.
    fn save(keep: &Path, trained: &Trained) -> Result<()> {
        let name = format!("charlm-{:.0}", 100.0 * trained.density);
        let mut config = save_network(&keep.join(format!("{name}.safetensors")), &trained.network)?;
        config.accelerator.pes = 32;
        ensure!(load_recurrent(&config)? == [trained.network.clone()], "{name}: the file does not hold what was trained");
        let text = toml::to_string(&config).context("configuration")?;
        Ok(lacuna_compress::files::write_whole(&keep.join(format!("{name}.toml")), text.as_bytes())?)
    }

    /// Bits per character of the last characters by the golden model with weights of 12 bits.
    fn on_hardware(network: &Recurrent, parts: &Parts) -> Result<f64> {
        let one_hot = |symbol: &u32| {
            let mut x = vec![0.0f32; network.inputs()];
            x[*symbol as usize] = 1.0;
            x
        };
        let (pieces, length) = CALIBRATION;
        let text = parts.train;
        let length = length.min(text.len());
        let piece = |p: usize| {
            let from = p * (text.len() - length) / pieces;
            text[from..from + length].iter().map(one_hot).collect()
        };
        let calibration: Vec<Vec<Vec<f32>>> = (0..pieces).map(piece).collect();
        let compiled = compile_recurrent(network, &RecurrentSettings::default(), &calibration)?;
        let golden = Golden::new(&compiled.model.image)?;
        let mut state = golden.state();
        let end = &parts.test[parts.test.len() - END..];
        let mut sum = 0.0;
        for pair in end.windows(2) {
            let trace = golden.step(&mut state, &compiled.model.quantize_input(&one_hot(&pair[0]))?)?;
            let logits: Vec<f64> = compiled.model.dequantize_output(&trace.output).iter().map(|v| f64::from(*v)).collect();
            let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = logits.iter().map(|l| (l - most).exp()).sum();
            sum += total.log2() - (logits[pair[1] as usize] - most) / std::f64::consts::LN_2;
        }
        Ok(sum / (END - 1) as f64)
    }
}
