//! A model on a board that is a simulation, over its serial line.

use super::project::{ran, Project, Ran};
use super::recurrent;
use lacuna_compress::files::{read_any_container, read_container, write_container};
use lacuna_compress::spec::arch::FORMAT_VERSION;
use lacuna_compress::spec::registers::{ARCH_HASH_HIGH, ARCH_HASH_LOW, ID, ID_VALUE, PES, VERSION};
use nix::fcntl::{fcntl, FcntlArg, FdFlag};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use serialport::{SerialPort, TTYPort};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::process::{Child, Stdio};
use std::time::Duration;

/// A simulated board, which ends with the test.
struct Simulated(Child);

impl Simulated {
    /// The board, and the name of its port.
    fn new(p: &Project, container: &str) -> (Simulated, String) {
        let mut command = p.command(&["board-sim", "--board", "ulx3s", "--container", container, "--link", "board"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut name = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut name).unwrap();
        assert!(name.starts_with("/dev/"), "{name:?}");
        (Simulated(child), name.trim().to_string())
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A second network for the same accelerator.
fn with_other(p: &Project) {
    p.run(&["inspect", "net.lacuna"]).did_it();
    let net = String::from_utf8(p.read("net.toml")).unwrap();
    p.write("other.toml", net.replacen("activation = \"none\"", "activation = \"relu\"", 1));
    p.run(&["compress", "-c", "other.toml", "-o", "other.lacuna"]).did_it();
}

#[test]
fn a_board_is_loaded_and_runs_over_its_line() {
    let p = Project::compressed();
    with_other(&p);
    let (_board, port) = Simulated::new(&p, "net.lacuna");
    let run = ["run", "--port", "board", "--container", "net.lacuna", "--inputs", "samples.npy", "-o", "out.npy"];
    p.refuses(&run, &["the accelerator holds no checked weights: load the container first"]);

    let first = p.run(&["load", "--port", &port, "net.lacuna"]);
    assert!(first.stderr.contains("0 there already") && first.stderr.contains("known answer: right"), "{first:?}");
    assert!(first.did_it().contains("ready, net.lacuna loaded"));
    p.run(&["load", "--port", "board", "--verify", "net.lacuna"]).did_it();
    let again = p.run(&["load", "--port", "board", "net.lacuna"]);
    assert!(again.stderr.contains("0 sections written"), "{again:?}");

    let out = p.run(&run).did_it();
    assert!(out.contains("equal to golden model: all of 3 samples"), "{out}");
    p.run(&["infer", "--container", "net.lacuna", "--inputs", "samples.npy", "-o", "golden.npy"]).did_it();
    assert_eq!(p.read("out.npy"), p.read("golden.npy"));

    // what is not loaded is not run, and the one that is stays
    let other = ["run", "--port", "board", "--container", "other.lacuna", "--inputs", "samples.npy"];
    p.refuses(&other, &["the accelerator holds another model than this container"]);
    p.run(&run).did_it();
    let verified = p.run(&["load", "--port", "board", "--verify", "other.lacuna"]);
    assert!(verified.code == Some(1) && verified.stdout.contains("does not hold other.lacuna"), "{verified:?}");
    p.run(&run).did_it();
    p.run(&["load", "--port", "board", "other.lacuna"]).did_it();
    p.run(&other).did_it();
}

#[test]
fn an_lstm_is_loaded_and_runs_over_the_line() {
    let p = recurrent::compressed();
    let (_board, _) = Simulated::new(&p, "lstm.lacuna");
    let run = ["run", "--port", "board", "--container", "lstm.lacuna", "--inputs", "sequences.npy", "-o", "out.npy"];
    p.refuses(&run, &["the accelerator holds no checked weights: load the container first"]);
    let first = p.run(&["load", "--port", "board", "lstm.lacuna"]);
    assert!(first.stderr.contains("known answer: right"), "{first:?}");
    assert!(first.did_it().contains("ready, lstm.lacuna loaded"));
    let out = p.run(&run).did_it();
    assert!(out.contains("equal to golden model at every output: all of 3 sequences"), "{out}");
    p.run(&["infer", "--container", "lstm.lacuna", "--inputs", "sequences.npy", "-o", "golden.npy"]).did_it();
    assert_eq!(p.read("out.npy"), p.read("golden.npy"));
}

#[test]
fn the_streams_of_an_lstm_are_not_looked_for_among_mapped_registers() {
    let p = recurrent::compressed();
    let model = read_any_container(&p.path("lstm.lacuna")).unwrap();
    let (arch, mut registers) = (model.arch(), vec![0; 1 << 21]);
    let identity = [(ID, ID_VALUE), (VERSION, FORMAT_VERSION), (ARCH_HASH_LOW, arch.hash() as u32), (PES, arch.pes as u32)];
    for (address, value) in identity.into_iter().chain([(ARCH_HASH_HIGH, (arch.hash() >> 32) as u32)]) {
        registers[address as usize..][..4].copy_from_slice(&value.to_le_bytes());
    }
    p.write("registers", registers);
    let run = ["run", "--port", "registers@0", "--container", "lstm.lacuna", "--inputs", "sequences.npy"];
    p.refuses(&run, &["the streams of a recurrent network are not among mapped registers"]);
}

#[test]
fn the_known_answer_of_the_container_decides() {
    let p = Project::compressed();
    let mut model = read_container(&p.path("net.lacuna")).unwrap();
    let answer = model.answer.as_mut().unwrap();
    assert!(answer.output.iter().any(|value| *value != 0), "zeros would say little");
    answer.output[1] += 1;
    let (found, expected) = (answer.output[1] - 1, answer.output[1]);
    write_container(&p.path("wrong.lacuna"), &model).unwrap();
    model.answer = None;
    write_container(&p.path("old.lacuna"), &model).unwrap();
    let (_board, _) = Simulated::new(&p, "net.lacuna");

    let wrong = p.run(&["load", "--port", "board", "wrong.lacuna"]);
    let said = format!("known answer: output 1 is {found}, expected {expected}");
    assert!(wrong.code == Some(1) && wrong.stdout.contains(&said), "{wrong:?}");
    assert!(!wrong.stdout.contains("ready"), "{wrong:?}");
    let run = ["run", "--port", "board", "--container", "wrong.lacuna", "--inputs", "samples.npy"];
    p.refuses(&run, &["the accelerator holds no checked weights: load the container first"]);
    // the hardware itself finds that they are not what was loaded, and a load mends it
    let verified = p.run(&["load", "--port", "board", "--verify", "wrong.lacuna"]);
    assert!(verified.code == Some(1) && verified.stdout.contains("board: does not hold wrong.lacuna: "), "{verified:?}");
    p.refuses(&run, &["the accelerator holds no checked weights: load the container first"]);
    let old = p.run(&["load", "--port", "board", "old.lacuna"]);
    assert!(old.stderr.contains("known answer: old.lacuna carries none, so nothing was computed"), "{old:?}");
    assert!(old.did_it().contains("ready, old.lacuna loaded"));
}

/// The cable between a program, which knows its end by the name `line`, and a board's port.
struct Cable {
    ends: [TTYPort; 2],
    /// Without it the program's end would hang up whenever nobody has it open.
    _open: TTYPort,
}

impl Cable {
    fn plug(p: &Project, board: &str) -> Cable {
        let (near, program) = TTYPort::pair().unwrap();
        // a program that inherited this end would keep the line from breaking
        fcntl(near.as_raw_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        // a link is replaced as a whole, so that it leads somewhere at any time
        std::os::unix::fs::symlink(program.name().unwrap(), p.path("new")).unwrap();
        std::fs::rename(p.path("new"), p.path("line")).unwrap();
        let far = serialport::new(board, 1_000_000).open_native().unwrap();
        let mut ends = [near, far];
        ends.iter_mut().for_each(|end| end.set_timeout(Duration::from_millis(1)).unwrap());
        Cable { ends, _open: program }
    }

    /// Carries bytes both ways until so many came from the program, or it has ended. Gives how many came.
    fn carry(&mut self, most: usize, program: &mut Child) -> usize {
        let (mut came, mut buffer) = (0, [0; 64]);
        while came < most && program.try_wait().unwrap().is_none() {
            for way in 0..2 {
                let room = if way == 0 { buffer.len().min(most - came) } else { buffer.len() };
                if let Ok(count) = self.ends[way].read(&mut buffer[..room]) {
                    self.ends[1 - way].write_all(&buffer[..count]).unwrap();
                    came += if way == 0 { count } else { 0 };
                }
            }
        }
        came
    }
}

/// Sections that a load says it wrote, and that it found in place.
fn sections(load: &Ran) -> [usize; 2] {
    let number = |word: &str| load.stderr.split(word).next().and_then(|before| before.rsplit(' ').next()).unwrap().trim().parse();
    [" section", " there already"].map(|word| number(word).unwrap_or_else(|_| panic!("{load:?}")))
}

#[test]
fn a_load_that_was_killed_or_lost_its_line_goes_on() {
    let p = Project::compressed();
    let load = || p.command(&["load", "--port", "line", "net.lacuna"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let board = || {
        // one that was killed leaves its link, and other tests may have its terminal now
        let _ = std::fs::remove_file(p.path("board"));
        Simulated::new(&p, "net.lacuna")
    };
    let half = {
        let (_board, port) = board();
        let mut cable = Cable::plug(&p, &port);
        let mut whole = load();
        let bytes = cable.carry(usize::MAX, &mut whole);
        let whole = Ran::of(whole.wait_with_output().unwrap());
        assert!(whole.code == Some(0) && whole.stderr.contains("line broken 0 times"), "{whole:?}");
        bytes / 2
    };
    let run = ["run", "--port", "board", "--container", "net.lacuna", "--inputs", "samples.npy"];
    {
        let (_board, port) = board();
        let mut cable = Cable::plug(&p, &port);
        let mut killed = load();
        assert_eq!(cable.carry(half, &mut killed), half);
        killed.kill().unwrap();
        killed.wait().unwrap();
        drop(cable);
        p.refuses(&run, &["the accelerator holds no checked weights: load the container first"]);
        let again = p.run(&["load", "--port", "board", "net.lacuna"]);
        let [written, kept] = sections(&again);
        assert!(written > 0 && kept > 0, "{again:?}");
        again.did_it();
        p.run(&run).did_it();
    }
    {
        let (_board, port) = board();
        let mut cable = Cable::plug(&p, &port);
        let mut pulled = load();
        assert_eq!(cable.carry(half, &mut pulled), half);
        drop(cable);
        std::thread::sleep(Duration::from_millis(300));
        Cable::plug(&p, &port).carry(usize::MAX, &mut pulled);
        let pulled = Ran::of(pulled.wait_with_output().unwrap());
        let broken = pulled.stderr.split("line broken ").nth(1).and_then(|rest| rest.split(' ').next());
        assert!(broken.is_some_and(|times| times != "0"), "{pulled:?}");
        assert!(pulled.did_it().contains("ready, net.lacuna loaded"));
        p.run(&run).did_it();
    }
}

#[test]
fn the_link_to_a_board_goes_with_it() {
    let p = Project::compressed();
    let (board, port) = Simulated::new(&p, "net.lacuna");
    assert_eq!(std::fs::read_link(p.path("board")).unwrap().to_str(), Some(port.as_str()));
    // a link that leads somewhere is another program's
    let link = |path: &str| std::fs::read_link(p.path(path)).unwrap();
    std::os::unix::fs::symlink("net.toml", p.path("mine")).unwrap();
    for (name, to) in [("board", port.as_str()), ("mine", "net.toml")] {
        // one that is not refused simulates until it is stopped
        let simulate = p.command(&["board-sim", "--board", "ulx3s", "--container", "net.lacuna", "--link", name]);
        let mut limited = std::process::Command::new("timeout");
        limited.arg("60").arg(simulate.get_program()).args(simulate.get_args()).current_dir(p.path(""));
        let refused = ran(limited.envs(simulate.get_envs().filter_map(|(name, value)| Some((name, value?)))));
        let said = format!("{name}: found a link to {to}, expected a new name");
        assert!(refused.code == Some(2) && refused.stdout.is_empty() && refused.stderr.contains(&said), "{refused:?}");
        assert_eq!(link(name).to_str(), Some(to));
    }
    let stop = |mut board: Simulated| {
        let pid = Pid::from_raw(board.0.id().try_into().unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        assert_eq!(board.0.wait().unwrap().code(), Some(0));
    };
    stop(board);
    assert!(!p.path("board").is_symlink());
    // one that was left behind leads nowhere; one that leads elsewhere meanwhile stays
    std::os::unix::fs::symlink("/dev/pts/none", p.path("board")).unwrap();
    let (board, port) = Simulated::new(&p, "net.lacuna");
    assert_eq!(link("board").to_str(), Some(port.as_str()));
    std::fs::remove_file(p.path("board")).unwrap();
    std::os::unix::fs::symlink("net.toml", p.path("board")).unwrap();
    stop(board);
    assert_eq!(link("board").to_str(), Some("net.toml"));
}

#[test]
fn a_line_on_which_nobody_answers_is_given_up() {
    let p = Project::compressed();
    let (_nobody, line) = TTYPort::pair().unwrap();
    let name = line.name().unwrap();
    drop(line);
    p.refuses(&["load", "--port", &name, "net.lacuna"], &[&name, "no answer that makes sense, 24 times; is the board configured"]);
}

#[test]
fn what_cannot_be_loaded_or_run_says_why() {
    let p = Project::compressed();
    let net = String::from_utf8(p.read("net.toml")).unwrap();
    p.write("wide.toml", net.replacen("pes = 2", "pes = 3", 1));
    p.run(&["compress", "-c", "wide.toml", "-o", "wide.lacuna"]).did_it();
    let whole = p.read("net.lacuna");
    p.write("short.lacuna", &whole[..whole.len() / 2]);
    p.write("my@port", "");
    let (_board, port) = Simulated::new(&p, "net.lacuna");
    let load = |port: &str, container: &str, says: &[&str]| p.refuses(&["load", "--port", port, container], says);
    let run = |port: &str, container: &str, says: &[&str]| {
        p.refuses(&["run", "--port", port, "--container", container, "--inputs", "samples.npy", "-o", "out.npy"], says);
        assert!(!p.path("out.npy").exists());
    };
    for refused in [&load as &dyn Fn(&str, &str, &[&str]), &run] {
        refused("board", "wide.lacuna", &["the accelerator was made for architecture", "the container for"]);
        refused("board", "short.lacuna", &["short.lacuna: container is cut short"]);
        refused("/dev/none", "net.lacuna", &["/dev/none: there is no such device"]);
        refused("net.toml", "net.lacuna", &["net.toml: ", "expected a serial port"]);
        refused("my@port", "net.lacuna", &["my@port: ", "expected a serial port"]);
        refused("net.toml@0x2", "net.lacuna", &["net.toml: found an offset of 0x2, expected a multiple of 4"]);
        refused("net.toml@0x10", "net.lacuna", &["net.toml: ", "expected at least 2097152 from 0x10 on"]);
        refused("net.toml@x", "net.lacuna", &["--port net.toml@x: found the offset x, expected a number"]);
    }
    let large = format!("{}/src/demo/lenet300100.lacuna", env!("CARGO_MANIFEST_DIR"));
    p.refuses(&["board-sim", "--board", "icebreaker", "--container", &large], &["8 PEs on 1BitSquared iCEBreaker", "expected at most 30"]);
    let _held = serialport::new(&port, 1_000_000).open_native().unwrap();
    for refused in [&load as &dyn Fn(&str, &str, &[&str]), &run] {
        refused("board", "net.lacuna", &["board: the port is busy: another program has it open"]);
    }
}
