//! `lacuna demo`: a real network, compressed, on the generated hardware. What it needs travels in the program.

use super::simulate::HardwareArgs;

/// Run a bundled network on the generated hardware: handwritten digits, or spoken words
///
/// The hardware runs under Verilator; every result is compared with the golden model. Of the digits the cycle
/// counter is compared with the cycle model, of the words every cell and hidden value after each step with the
/// golden model.
#[derive(clap::Args)]
pub struct DemoArgs {
    /// What to show
    #[arg(value_enum, default_value_t = Show::Digits)]
    show: Show,
    /// Run only the first N of the bundled digits or clips
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    #[command(flatten)]
    hardware: HardwareArgs,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Show {
    /// LeNet-300-100 classifies handwritten digits
    Digits,
    /// LeNet-5 classifies handwritten digits: convolutions and pooling
    Lenet5,
    /// LSTM_S hears words: an LSTM with peepholes and a projection
    Speech,
    /// Basic_LSTM_S hears words: a plain LSTM
    SpeechBasic,
}

#[cfg(not(feature = "verilator"))]
pub fn run(args: &DemoArgs) -> anyhow::Result<std::process::ExitCode> {
    let (Show::Digits | Show::Lenet5 | Show::Speech | Show::SpeechBasic) = args.show;
    Err(super::built_without_verilator("demo"))
}

#[cfg(feature = "verilator")]
mod digits;
#[cfg(feature = "verilator")]
mod speech;

#[cfg(feature = "verilator")]
pub fn run(args: &DemoArgs) -> anyhow::Result<std::process::ExitCode> {
    use crate::speech::{BASIC, PROJECTED};
    match args.show {
        Show::Digits => digits::run(args, &digits::LENET300100),
        Show::Lenet5 => digits::run(args, &digits::LENET5),
        Show::Speech => speech::run(args, "speech", &PROJECTED),
        Show::SpeechBasic => speech::run(args, "speech-basic", &BASIC),
    }
}

#[cfg(feature = "verilator")]
impl HardwareArgs {
    /// The flags that repeat a run.
    fn text(&self) -> String {
        let fast = if self.fast { " --fast" } else { "" };
        format!("--door {} --seed {} --stalls {}{fast}", self.door.text(), self.seed, self.stalls)
    }
}
