//! `lacuna board-sim`: a board that is a simulation, behind a pseudo-terminal.

use std::path::PathBuf;

/// Present the accelerator of a container, UART pins and all, on a pseudo-terminal
///
/// Prints the terminal's name on stdout, and simulates until it is stopped. `lacuna load` and `lacuna run` take the name as
/// their --port. The line is bit-accurate; its bits are short, which costs no accuracy and keeps it fast. What is simulated is
/// the module `lacuna_uart`, without the PLL, the reset and the LED of the board's own top module.
#[derive(clap::Args)]
pub struct BoardSimArgs {
    /// Board, by its name or its folder
    #[arg(long, value_name = "BOARD")]
    pub board: String,
    /// Compressed model: the accelerator is the one that it was made for. Its weights are not loaded
    #[arg(long, value_name = "FILE")]
    pub container: PathBuf,
    /// Clock cycles of a bit on the line
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(4..=1_000_000))]
    pub divider: u32,
    /// Also make this a symbolic link to the terminal
    #[arg(long, value_name = "PATH")]
    pub link: Option<PathBuf>,
    /// Of the initial state of registers and memories
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Take longer to compile the design, and simulate faster
    #[arg(long)]
    pub fast: bool,
}

#[cfg(not(feature = "verilator"))]
pub fn run(_: &BoardSimArgs) -> anyhow::Result<std::process::ExitCode> {
    Err(super::built_without_verilator("board-sim"))
}

#[cfg(feature = "verilator")]
pub use simulated::run;

#[cfg(feature = "verilator")]
mod simulated {
    use super::BoardSimArgs;
    use crate::board::Board;
    use crate::estimate::OnBoard;
    use crate::term;
    use anyhow::{bail, Context, Result};
    use lacuna_compress::files::read_any_container;
    use lacuna_sim::board_sim::{library, serve, SimulatedLine};
    use lacuna_sim::simulate::Options;
    use lacuna_sim::verilate::{self, Optimize};
    use serialport::{SerialPort, TTYPort};
    use std::path::{Path, PathBuf};
    use std::process::ExitCode;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::Arc;
    use std::time::Duration;

    pub fn run(args: &BoardSimArgs) -> Result<ExitCode> {
        verilate::verilator_version()?;
        let board = Board::find(&args.board)?;
        let model = read_any_container(&args.container)?;
        OnBoard::new(&board, model.arch())?.require()?;
        let divider = args.divider as usize;
        let design = lacuna_hdl::generate_uart(model.arch(), divider)?;
        let options = Options { seed: args.seed, optimize: Optimize::fast_if(args.fast), ..Options::default() };
        let spinner = term::spinner("building the board's model");
        let mut line = SimulatedLine::new(&library(&design, &options)?, divider, &options)?;
        spinner.finish_and_clear();
        // so that the link goes too: its name may be given to another terminal
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = stopped.clone();
        ctrlc::set_handler(move || stop.store(true, Ordering::Relaxed)).context("signals cannot be caught")?;
        // the other end stays open here, so that a program that goes away does not end the line
        let (mut port, other) = TTYPort::pair().context("no pseudo-terminal is to be had")?;
        let name = other.name().context("the pseudo-terminal has no name")?;
        let _link = args.link.as_deref().map(|path| Link::new(path, &name)).transpose()?;
        term::note(format!(
            "{}: {}, {divider} cycles a bit; stop with Ctrl-C",
            board.description.title,
            term::count(model.arch().pes, "PE")
        ));
        term::line(&name)?;
        if let Err(error) = serve(&mut line, &mut port, || stopped.load(Ordering::Relaxed)) {
            // a signal also interrupts what is being read, perhaps before its handler has run
            std::thread::sleep(Duration::from_millis(100));
            if !stopped.load(Ordering::Relaxed) {
                return Err(error.into());
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Where pseudo-terminals are.
    const TERMINALS: &str = "/dev/pts";

    /// A symbolic link to a terminal, gone when dropped.
    struct Link {
        path: PathBuf,
        to: PathBuf,
    }

    impl Link {
        /// Takes the place of a link to a terminal that is no more, or is ours now, and of nothing else.
        fn new(path: &Path, to: &str) -> Result<Link> {
            if let Ok(before) = std::fs::read_link(path) {
                if !before.starts_with(TERMINALS) || (before.exists() && before != Path::new(to)) {
                    bail!("{}: found a link to {}, expected a new name", path.display(), before.display());
                }
                std::fs::remove_file(path).with_context(|| path.display().to_string())?;
            }
            std::os::unix::fs::symlink(to, path).with_context(|| path.display().to_string())?;
            Ok(Link { path: path.to_path_buf(), to: to.into() })
        }
    }

    impl Drop for Link {
        fn drop(&mut self) {
            // another program may have made one of its own meanwhile
            if std::fs::read_link(&self.path).is_ok_and(|to| to == self.to) {
                // a link to nothing misleads nobody for long
                let _ = std::fs::remove_file(&self.path);
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_link_takes_the_place_of_one_to_the_same_terminal() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("board");
            let (_near, other) = TTYPort::pair().unwrap();
            let name = other.name().unwrap();
            // one that a killed simulation left, whose terminal the kernel gave away again
            std::os::unix::fs::symlink(&name, &path).unwrap();
            assert!(Link::new(&path, "/dev/pts/none").is_err());
            drop(Link::new(&path, &name).unwrap());
            assert!(!path.is_symlink());
        }
    }
}
