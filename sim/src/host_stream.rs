//! The host's side of what only accelerators of the ESE kind have: running until stopped, channels, their states.
//!
//! Loading and checking are those of [`Host`]. Vectors and cells can be read and written only while the accelerator is
//! not busy: before a start, or after a stop when the step under way has ended.

use crate::host::{Host, Result, Transport};
use lacuna_compress::spec::registers::{self as map, control, status};
use lacuna_compress::spec::{MemoryKind, Words};

/// The counters of an accelerator of the ESE kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCounters {
    /// Cycles while steps may begin or one is under way.
    pub cycles: u64,
    pub steps: u64,
    /// Of the cycles, those in which a broadcast waited for a full queue.
    pub stall_queue: u64,
    /// ... in which a step waited for a vector.
    pub stall_input: u64,
    /// ... in which a broadcast waited for results of the element-wise part.
    pub stall_data: u64,
    /// ... in which results waited for room in the output buffer.
    pub stall_output: u64,
}

impl<T: Transport> Host<T> {
    /// No further step begins; the one under way, if any, goes on.
    pub fn stop(&mut self) -> Result<()> {
        self.bus.write(&[(map::CONTROL, control::STOP)])
    }

    /// As [`Host::stop`], and waits until the step under way has ended.
    pub fn stop_and_wait(&mut self, limit: u64) -> Result<()> {
        self.stop()?;
        self.bus.poll(map::STATUS, status::BUSY, 0, limit, "the step under way")
    }

    /// Drops everything that is under way, and every state.
    pub fn abort(&mut self, limit: u64) -> Result<()> {
        self.bus.write(&[(map::CONTROL, control::ABORT)])?;
        self.wait_idle(limit)
    }

    /// Bit c: a step waits for a vector of channel c, and runs it.
    pub fn set_mask(&mut self, mask: u32) -> Result<()> {
        self.bus.write(&[(map::CHANNEL_MASK, mask)])
    }

    /// Bit c: h and c of channel c become zero, at once if nothing is under way, else between two steps.
    pub fn clear_state(&mut self, channels: u32) -> Result<()> {
        self.bus.write(&[(map::CLEAR_STATE, channels)])
    }

    /// Time steps done since the state was last cleared as a whole.
    pub fn steps(&mut self) -> Result<u32> {
        Ok(self.bus.read(&[map::STEPS])?[0])
    }

    /// Waits until that many steps have been done.
    pub fn wait_steps(&mut self, steps: u32, limit: u64) -> Result<()> {
        self.bus.poll(map::STEPS, u32::MAX, steps, limit, "the steps")
    }

    pub fn stream_counters(&mut self) -> Result<StreamCounters> {
        let addresses = [map::CYCLES, map::STEPS, map::STALL_QUEUE, map::STALL_INPUT, map::STALL_DATA, map::STALL_OUTPUT];
        let read = self.bus.read(&addresses)?;
        let at = |i: usize| u64::from(read[i]);
        Ok(StreamCounters { cycles: at(0), steps: at(1), stall_queue: at(2), stall_input: at(3), stall_data: at(4), stall_output: at(5) })
    }

    /// Reads and clears the channels of which a vector ended short or long.
    pub fn take_bad_vectors(&mut self) -> Result<u32> {
        let bits = self.bus.read(&[map::BAD_VECTORS])?[0];
        self.bus.write(&[(map::BAD_VECTORS, bits)])?;
        Ok(bits)
    }

    fn read_state(&mut self, kind: MemoryKind, channel: usize, base: usize, count: usize) -> Result<Vec<i16>> {
        let words = self.read_memory_at(kind, channel, base, count)?;
        Ok((0..count).map(|i| words.get(i) as u16 as i16).collect())
    }

    fn write_state(&mut self, kind: MemoryKind, channel: usize, base: usize, values: &[i16]) -> Result<()> {
        let mut words = Words::zeroed(kind.width(self.arch()), values.len());
        values.iter().enumerate().for_each(|(i, v)| words.set(i, u64::from(*v as u16)));
        self.write_memory_at(kind, channel, base, &words)
    }

    /// Values of a channel's vector memory: h of a layer lies at its `hidden_base`.
    pub fn read_vectors(&mut self, channel: usize, base: usize, count: usize) -> Result<Vec<i16>> {
        self.read_state(MemoryKind::ActA, channel, base, count)
    }

    pub fn write_vectors(&mut self, channel: usize, base: usize, values: &[i16]) -> Result<()> {
        self.write_state(MemoryKind::ActA, channel, base, values)
    }

    /// Values of a channel's cell memory: c of a layer lies at its `cell_base`.
    pub fn read_cells(&mut self, channel: usize, base: usize, count: usize) -> Result<Vec<i16>> {
        self.read_state(MemoryKind::ActB, channel, base, count)
    }

    pub fn write_cells(&mut self, channel: usize, base: usize, values: &[i16]) -> Result<()> {
        self.write_state(MemoryKind::ActB, channel, base, values)
    }
}
