//! Registers over a serial line: a [`Transport`] on the frames of `spec::wire`.
//!
//! One frame at a time is under way. What comes back wrong, or not at all, is asked for again with the same tag: the
//! bridge answers a write that it has done already without doing it again, so nothing is done twice. A line that breaks
//! is opened again, and the conversation goes on where it was; if the accelerator was restarted meanwhile, it does not
//! know the tag, and [`HostError::Restarted`] says so.
//!
//! What this does not guarantee: that a CRC-32 notices every damage. What ends up in the memories is checked by the
//! accelerator itself, all of it, before it counts.

pub mod faulty;
pub mod serial;

use crate::host::{error_names, HostError, Result, Transport};
use lacuna_compress::spec::registers as map;
use lacuna_compress::spec::wire::{self, Command, Reply, Status, END, GREETING, MAX_WORDS};
use std::io;
use std::time::Duration;

/// Carries bytes to the accelerator's UART and back.
pub trait Line {
    /// Sends all bytes.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Adds what has come to `into`; waits for a first byte, at most `patience`. Nothing coming is no error.
    fn receive(&mut self, into: &mut Vec<u8>, patience: Duration) -> io::Result<()>;
    /// After an error: tries once to open the line again.
    fn reopen(&mut self) -> io::Result<()>;
    /// Waits before the next try of [`Line::reopen`].
    fn pause(&mut self, time: Duration);
    /// How long so many bytes are on the line.
    fn duration(&self, bytes: usize) -> Duration;
    /// For messages.
    fn name(&self) -> String;
}

/// When to give up.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For an answer, beyond the time that its bytes take.
    pub answer: Duration,
    /// Times that one frame is sent.
    pub attempts: usize,
    /// For a broken line to come back.
    pub reconnect: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { answer: Duration::from_millis(500), attempts: 24, reconnect: Duration::from_secs(10) }
    }
}

/// Between two tries of opening a line.
const RETRY: Duration = Duration::from_millis(100);
/// Most words of a frame's data at first and at least: long frames suffer most from a noisy line.
const FIRST_WORDS: usize = 32;
const LEAST_WORDS: usize = 2;

/// How a conversation went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub frames: u64,
    /// Of them sent before.
    pub repeated: u64,
    /// Times that the line broke and came back.
    pub reconnected: u64,
}

/// An accelerator at the other end of a line.
pub struct Wire<L> {
    line: L,
    patience: Patience,
    tag: u16,
    words: usize,
    /// Bytes that have come and are not yet a frame.
    pending: Vec<u8>,
    pub counts: Counts,
}

impl<L: Line> Wire<L> {
    /// Says hello. `tag` is a number that the last conversation is unlikely to have ended with.
    pub fn connect(line: L, patience: Patience, tag: u16) -> Result<Wire<L>> {
        let mut wire = Wire::new(line, patience, tag);
        wire.hello()?;
        Ok(wire)
    }

    /// Without a word; [`Wire::hello`] comes first.
    pub fn new(line: L, patience: Patience, tag: u16) -> Wire<L> {
        Wire { line, patience, tag, words: FIRST_WORDS, pending: vec![], counts: Counts::default() }
    }

    /// Begins a new conversation, as after [`HostError::Restarted`].
    pub fn hello(&mut self) -> Result<()> {
        self.tag = self.tag.wrapping_add(0x1001);
        for _ in 0..self.patience.attempts {
            if let Some(reply) = self.exchange(self.tag, Command::Hello, 0, 1, &[])? {
                return match reply.data.as_slice() {
                    [GREETING] => Ok(()),
                    other => Err(HostError::Transport(format!(
                        "{}: the greeting is {other:x?}, expected {GREETING:#x}: the board speaks another version of the protocol",
                        self.line.name()
                    ))),
                };
            }
        }
        Err(self.silent())
    }

    fn silent(&self) -> HostError {
        HostError::Silent { line: self.line.name(), attempts: self.patience.attempts }
    }

    /// Ends the conversation.
    pub fn into_line(self) -> L {
        self.line
    }

    /// Sends a frame once and waits for its answer. None if there was none that counts.
    fn exchange(&mut self, tag: u16, command: Command, address: u32, count: usize, data: &[u32]) -> Result<Option<Reply>> {
        let frame = wire::request(tag, command, address, count, data);
        self.counts.frames += 1;
        match self.try_exchange(&frame, tag, command, count) {
            Ok(reply) => Ok(reply),
            Err(broken) => self.reconnect(&broken).map(|()| None),
        }
    }

    fn try_exchange(&mut self, frame: &[u8], tag: u16, command: Command, count: usize) -> io::Result<Option<Reply>> {
        // an answer that the frame before gave too late says nothing about this one
        self.line.send(frame)?;
        let answer = if command == Command::Write { 12 } else { 12 + 4 * count };
        let patience = self.patience.answer + self.line.duration(frame.len() + 2 * answer);
        loop {
            while let Some(bytes) = self.next_frame() {
                match wire::reply(&bytes) {
                    Some(reply) if reply.status == Status::Damaged => return Ok(None),
                    Some(reply) if reply.tag == tag && reply.command == command as u8 => return Ok(Some(reply)),
                    // the answer to an earlier frame, or one that was hurt on its way
                    Some(_) => {}
                    None => return Ok(None),
                }
            }
            let before = self.pending.len();
            self.line.receive(&mut self.pending, patience)?;
            if self.pending.len() == before {
                return Ok(None);
            }
        }
    }

    /// The bytes of the first frame in `pending`, if all of it is there.
    fn next_frame(&mut self) -> Option<Vec<u8>> {
        loop {
            let end = self.pending.iter().position(|b| *b == END)?;
            let frame: Vec<u8> = self.pending.drain(..=end).take(end).collect();
            if !frame.is_empty() {
                return Some(frame);
            }
        }
    }

    fn reconnect(&mut self, broken: &io::Error) -> Result<()> {
        let mut waited = Duration::ZERO;
        self.pending.clear();
        loop {
            if self.line.reopen().is_ok() {
                self.counts.reconnected += 1;
                return Ok(());
            }
            if waited >= self.patience.reconnect {
                return Err(HostError::Broken { line: self.line.name(), seconds: waited.as_secs(), cause: broken.to_string() });
            }
            self.line.pause(RETRY);
            waited += RETRY;
        }
    }

    /// Does a command on as many of `left` words as the line likes, until it is answered. Gives the reply.
    fn transact(&mut self, command: Command, address: u32, left: usize, data: &[u32]) -> Result<Reply> {
        let tag = self.tag.wrapping_add(1);
        let mut most = 0;
        for attempt in 0..self.patience.attempts {
            self.counts.repeated += u64::from(attempt > 0);
            let count = left.min(self.words);
            most = most.max(count);
            let part = if command == Command::Write { &data[..count] } else { &[] };
            let Some(reply) = self.exchange(tag, command, address, count, part)? else {
                self.words = (self.words / 2).max(LEAST_WORDS);
                continue;
            };
            match reply.status {
                Status::Stranger => return Err(HostError::Restarted { line: self.line.name() }),
                Status::Malformed => {
                    return Err(HostError::Transport(format!("{}: the board does not understand the request", self.line.name())))
                }
                // answers to a longer try count as well: its words were the same
                Status::Done if (1..=most).contains(&reply.done) => {}
                Status::Refused if reply.done < most => {}
                Status::Done | Status::Refused | Status::Damaged => continue,
            }
            if command == Command::Read && reply.data.len() != count {
                continue;
            }
            self.tag = tag;
            if attempt == 0 {
                self.words = (self.words * 2).min(MAX_WORDS);
            }
            if reply.status == Status::Refused {
                return Err(self.refused(command, address + 4 * reply.done as u32));
            }
            return Ok(reply);
        }
        Err(self.silent())
    }

    fn refused(&mut self, command: Command, address: u32) -> HostError {
        let what = if command == Command::Write { "write" } else { "read" };
        // the bridge's own registers have no error bits, and ERRORS itself is not asked about ERRORS
        let known = address < map::WIRE && address != map::ERRORS;
        let bits = if known { self.read_run(map::ERRORS, 1).ok() } else { None };
        let errors = bits.and_then(|b| b.first().copied()).map_or("unknown".into(), error_names);
        HostError::Refused { what, address, response: "refused".into(), errors }
    }

    fn write_run(&mut self, mut address: u32, mut data: &[u32]) -> Result<()> {
        while !data.is_empty() {
            let reply = self.transact(Command::Write, address, data.len(), data)?;
            data = &data[reply.done.min(data.len())..];
            address += 4 * reply.done as u32;
        }
        Ok(())
    }

    fn read_run(&mut self, mut address: u32, mut count: usize) -> Result<Vec<u32>> {
        let mut all = vec![];
        while count > 0 {
            let reply = self.transact(Command::Read, address, count, &[])?;
            count -= reply.data.len();
            address += 4 * reply.data.len() as u32;
            all.extend(reply.data);
        }
        Ok(all)
    }
}

/// Lengths of the runs of ascending addresses.
fn runs(addresses: impl Iterator<Item = u32>) -> Vec<(u32, usize)> {
    let mut runs: Vec<(u32, usize)> = vec![];
    for address in addresses {
        match runs.last_mut() {
            Some((first, len)) if *first + 4 * *len as u32 == address => *len += 1,
            _ => runs.push((address, 1)),
        }
    }
    runs
}

impl<L: Line> Transport for Wire<L> {
    fn write(&mut self, words: &[(u32, u32)]) -> Result<()> {
        let mut at = 0;
        for (address, len) in runs(words.iter().map(|w| w.0)) {
            let data: Vec<u32> = words[at..at + len].iter().map(|w| w.1).collect();
            self.write_run(address, &data)?;
            at += len;
        }
        Ok(())
    }

    fn read(&mut self, addresses: &[u32]) -> Result<Vec<u32>> {
        let mut all = vec![];
        for (address, len) in runs(addresses.iter().copied()) {
            all.extend(self.read_run(address, len)?);
        }
        Ok(all)
    }

    fn renew(&mut self) -> Result<bool> {
        self.hello().map(|()| true)
    }
}
