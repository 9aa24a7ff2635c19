//! `fuzz`: files that are nearly right. No reader panics, hangs, or takes more memory than a small multiple of the file.
//!
//! Inputs come from real files by mutation. One whose error no input of the target had before joins the files: so the
//! mutations get behind what is checked first, as guidance by coverage would, which stable Rust does not give.

mod targets;

use super::report::{Bar, Check, Outcome, Row};
use crate::{panics, term};
use allocation_counter::measure;
use anyhow::{bail, Result};
use mutatis::Session;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc::{sync_channel, RecvTimeoutError};
use std::time::Duration;
use targets::{targets, Target};

/// Of all targets together.
#[cfg(feature = "fuzz")]
const INPUTS: usize = 1_000_000;
const SEED: u64 = 1;
/// The thread that reads.
const READER: &str = "reader";
/// For one input.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes that any input may cost: messages, tables, buffers of fixed size.
pub const FREE: u64 = 1 << 20;
/// Files that mutations start from at most.
const MOST_FILES: usize = 400;
/// A file grows by mutation to so many bytes at most.
const LONGEST: usize = 12_000;

#[cfg(feature = "fuzz")]
pub fn run(keep: Option<&Path>) -> Result<Outcome> {
    // a panic of a reader is counted and reported once, not printed each time
    let hook = std::sync::Arc::new(std::panic::take_hook());
    let other = hook.clone();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().name() != Some(READER) {
            other(info);
        }
    }));
    let outcome = measure_all(INPUTS, keep);
    std::panic::set_hook(Box::new(move |info| hook(info)));
    outcome
}

fn measure_all(inputs: usize, keep: Option<&Path>) -> Result<Outcome> {
    let targets = targets()?;
    let each = inputs.div_ceil(targets.len());
    let (mut rows, mut checks) = (vec![], vec![]);
    let mut notes = vec![format!("seed {SEED}; memory: the most that was held at once while a file was read")];
    let bar = term::progress("inputs", each * targets.len());
    let mut all = 0;
    for target in targets {
        let (name, most, free) = (target.name, target.bytes_per_byte, target.free >> 20);
        let found = fuzz(target, each, SEED, &bar)?;
        all += found.inputs;
        rows.push(
            Row::new()
                .with("target", name)
                .with("inputs", found.inputs)
                .with("failures", found.failures.len())
                .with("accepted", found.accepted)
                .with("errors", found.errors)
                .with("most_kib", found.most_bytes.div_ceil(1024))
                .with("bytes_per_byte", most)
                .with("free_mib", free),
        );
        checks.push(Check::new(format!("{name}: failures"), found.failures.len() as f64, 0, Bar::AtMost(0.0)));
        notes.push(format!("{name}: at most {free} MiB and {most} bytes a byte"));
        for (number, failure) in found.failures.iter().enumerate() {
            notes.push(format!("{name}: {}", failure.what));
            if let Some(folder) = keep {
                let path = folder.join(format!("{name}-{number}.bin"));
                lacuna_compress::files::write_whole(&path, &failure.input)?;
                notes.push(format!("{name}: the input is {}", path.display()));
            }
        }
    }
    bar.finish_and_clear();
    checks.push(Check::new("inputs", all as f64, 0, Bar::AtLeast(inputs as f64)));
    Ok(Outcome { rows, checks, notes })
}

struct Failure {
    what: String,
    input: Vec<u8>,
}

#[derive(Default)]
struct Found {
    inputs: usize,
    accepted: usize,
    /// Different messages, numbers aside.
    errors: usize,
    most_bytes: u64,
    failures: Vec<Failure>,
}

/// What reading one input came to.
struct Read {
    input: Vec<u8>,
    bytes: u64,
    /// `None`: it panicked, with this message.
    result: Result<Result<(), String>, String>,
}

fn fuzz(target: Target, inputs: usize, seed: u64, bar: &indicatif::ProgressBar) -> Result<Found> {
    for file in &target.files {
        let read = read(&target, file.clone());
        if !matches!(read.result, Ok(Ok(()))) {
            bail!("{}: a file that mutations start from is refused: {:?}", target.name, read.result);
        }
    }
    let (name, free, each) = (target.name, target.free, target.bytes_per_byte);
    let limit = |length: usize| free + each * length as u64;
    let mut found = Found::default();
    let mut seen = BTreeSet::new();
    let mut files = target.files.clone();
    let mut session = Session::new().seed(seed);
    let mut random = super::synthetic::Random::new(seed);
    // the reader runs on a thread of its own, so that one that hangs is found out
    let (to_reader, inbox) = sync_channel::<Vec<u8>>(1);
    let (answer, answers) = sync_channel::<Read>(1);
    let reading = Target { files: vec![], ..target };
    std::thread::Builder::new().name(READER.into()).spawn(move || {
        for input in inbox {
            if answer.send(read(&reading, input)).is_err() {
                break;
            }
        }
    })?;
    while found.inputs < inputs {
        // half of the inputs begin with a whole file: those that were refused are soon many
        let from = if random.below(2) == 0 { &target.files } else { &files };
        let mut input = from[random.below(from.len())].clone();
        mutate(&mut input, &mut session, &mut random);
        if let Some(repair) = target.repair.filter(|_| random.below(2) == 1) {
            repair(&mut input);
        }
        found.inputs += 1;
        bar.inc(1);
        let sent = input.clone();
        if to_reader.send(input).is_err() {
            bail!("{name}: the reader's thread has ended");
        }
        let read = match answers.recv_timeout(PATIENCE) {
            Ok(read) => read,
            Err(RecvTimeoutError::Timeout) => {
                let what = format!("does not end within {} seconds", PATIENCE.as_secs());
                found.failures.push(Failure { what, input: sent });
                break;
            }
            Err(RecvTimeoutError::Disconnected) => bail!("{name}: the reader's thread has ended"),
        };
        found.most_bytes = found.most_bytes.max(read.bytes);
        let limit = limit(read.input.len());
        if read.bytes > limit && seen.insert("memory".to_string()) {
            let what = format!("takes {} bytes for a file of {}, expected at most {limit}", read.bytes, read.input.len());
            found.failures.push(Failure { what, input: read.input.clone() });
        }
        match read.result {
            Ok(Ok(())) => found.accepted += 1,
            Ok(Err(message)) => {
                if seen.insert(kind(&message)) {
                    found.errors += 1;
                    if files.len() < MOST_FILES && read.input.len() <= LONGEST {
                        files.push(read.input);
                    }
                }
            }
            Err(panic) => {
                if seen.insert(kind(&panic)) {
                    found.failures.push(Failure { what: format!("panics: {panic}"), input: read.input });
                }
            }
        }
    }
    Ok(found)
}

/// Two messages of one kind differ in numbers, decimal or not, and in quoted names only.
fn kind(message: &str) -> String {
    let mut quoted = false;
    let mut keep = |c: char| {
        let quote = matches!(c, '"' | '`' | '\'');
        quoted ^= quote;
        !quoted && !quote
    };
    let plain: String = message.chars().filter(|c| keep(*c)).collect();
    let number = |word: &&str| word.chars().any(|c| c.is_ascii_digit()) || (word.len() >= 4 && word.chars().all(|c| c.is_ascii_hexdigit()));
    let words = plain.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty() && !number(word));
    words.take(40).collect::<Vec<_>>().join(" ")
}

fn read(target: &Target, input: Vec<u8>) -> Read {
    let mut result = Err(String::new());
    let counted = measure(|| {
        result = panics::caught(|| (target.read)(&input));
    });
    Read { input, bytes: counted.bytes_max, result }
}

/// One to eight changes: of a byte or so, a run, a length, a piece from elsewhere.
fn mutate(input: &mut Vec<u8>, session: &mut Session, random: &mut super::synthetic::Random) {
    const TEXT: &[u8] = b"0123456789-.eE[]{}\"'=#,\n :_aZ\0\x80\xff";
    const NUMBERS: [u32; 8] = [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
    for _ in 0..=random.below(8) {
        let length = input.len();
        let at = random.below(length.max(1)).min(length);
        match random.below(8) {
            // errors say that there is nothing to mutate
            0 => drop(session.mutate(input)),
            1 => input.truncate(at),
            2 => drop(input.drain(at..(at + 1 + random.below(16)).min(length))),
            3 => {
                let piece: Vec<u8> = input[at..(at + 1 + random.below(64)).min(length)].to_vec();
                let to = random.below(length.max(1)).min(length);
                input.splice(to..to, piece);
            }
            4 => {
                let bytes = NUMBERS[random.below(NUMBERS.len())].to_le_bytes();
                let to = &mut input[at..];
                let count = to.len().min(1 << random.below(3));
                to[..count].copy_from_slice(&bytes[..count]);
            }
            5 | 6 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    // texts are mostly digits, names and punctuation
                    *byte = TEXT[random.below(TEXT.len())];
                }
            }
        }
    }
    input.truncate(LONGEST);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_reader_fails_on_files_that_are_nearly_right() {
        let outcome = measure_all(9_000, None).unwrap();
        assert!(outcome.missed().is_empty(), "{}", outcome.notes.join("\n"));
        for row in &outcome.rows {
            // readers that refuse everything for one reason were not tested
            for key in ["errors", "accepted"] {
                assert!(row.get(key).and_then(serde_json::Value::as_u64) > Some(2), "{key}: {row:?}");
            }
        }
    }

    #[test]
    fn messages_that_differ_in_numbers_are_of_one_kind() {
        let one = "container is damaged: CRC-32 of the file is 0badf00d, expected deadbeef at `a`, byte 17";
        assert_eq!(kind(one), kind("container is damaged: CRC-32 of the file is 12345678, expected cafecafe at `b`, byte 4"));
        assert_ne!(kind(one), kind("container is cut short: byte 17"));
    }

    #[test]
    fn a_panic_and_a_hunger_for_memory_are_failures() {
        let target = |read: fn(&[u8]) -> Result<(), String>| Target {
            name: "test",
            files: vec![b"abcd".to_vec()],
            free: FREE,
            bytes_per_byte: 4,
            repair: None,
            read,
        };
        let bar = indicatif::ProgressBar::hidden();
        let found = fuzz(target(|bytes| if bytes == b"abcd" { Ok(()) } else { panic!("found {}", bytes.len()) }), 50, 1, &bar).unwrap();
        assert!(found.failures.iter().any(|f| f.what.contains("panics: found")));
        fn hungry(bytes: &[u8]) -> Result<(), String> {
            let room: Vec<u8> = Vec::with_capacity(if bytes == b"abcd" { 1 } else { 2 << 20 });
            std::hint::black_box(&room);
            Ok(())
        }
        let found = fuzz(target(hungry), 50, 1, &bar).unwrap();
        assert!(found.failures.iter().any(|f| f.what.contains("expected at most")));
    }
}
