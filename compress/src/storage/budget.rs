//! What a file may unpack to: its bytes pay for the memory and the time that reading it takes.
//!
//! A few bytes can say that a tensor has 2^28 zeros. So a file holds at most [`FREE`] values, and [`PER_BYTE`] more for each of
//! its bytes; a writer with less to say adds zero bytes to the stream of a block, which decode to nothing.

use super::{damaged, StoredTensor, Values};
use crate::error::{grouped, Error};

/// Values of any file, however short.
const FREE: u64 = 1 << 16;
/// Values more for each byte.
const PER_BYTE: u64 = 1024;
/// What a tensor costs beside its values, its codebook and its name, in values.
const TENSOR: u64 = 64;
/// Most values of a file, with what its tensors cost.
const MOST: u64 = 1 << 30;

/// What has been spent so far, in values.
#[derive(Default)]
pub(super) struct Budget {
    spent: u64,
    /// Of the file up to the end of this block, without the CRCs.
    bytes: u64,
}

impl Budget {
    /// More bytes that have been read, or written.
    pub(super) fn add_bytes(&mut self, count: usize) {
        self.bytes += count as u64;
    }
    /// Pays for a tensor, but for its codebook.
    pub(super) fn tensor(&mut self, name: usize, values: usize) -> Result<(), Error> {
        self.spend(TENSOR + (name + values) as u64)
    }
    /// Pays for a codebook.
    pub(super) fn codebook(&mut self, values: usize) -> Result<(), Error> {
        self.spend(values as u64)
    }
    fn spend(&mut self, values: u64) -> Result<(), Error> {
        self.spent = self.spent.saturating_add(values);
        let most = MOST.min(FREE + PER_BYTE.saturating_mul(self.bytes));
        if self.spent <= most {
            return Ok(());
        }
        let number = |n: u64| grouped(usize::try_from(n).unwrap_or(usize::MAX));
        let (found, bytes, most) = (number(self.spent), number(self.bytes), number(most));
        Err(damaged(format!("found {found} values in {bytes} bytes of the file, expected at most {most}")))
    }

    /// Pays for what a writer has to write, as a reader will; returns how many bytes are missing to the `bytes` of its block.
    pub(super) fn write(&mut self, tensors: &[StoredTensor], bytes: usize) -> Result<usize, Error> {
        for tensor in tensors {
            let codebook = if let Values::Shared { codebook, .. } = &tensor.values { codebook.len() } else { 0 };
            self.spent += TENSOR + (tensor.name.len() + tensor.values.len() + codebook) as u64;
            if self.spent > MOST {
                let fault = format!("found more than {} values up to it, expected a file of fewer", grouped(MOST as usize));
                return Err(Error::Stored { tensor: tensor.name.clone(), fault });
            }
        }
        let needed = self.spent.saturating_sub(FREE).div_ceil(PER_BYTE);
        // below 2^20
        Ok(needed.saturating_sub(self.bytes + bytes as u64) as usize)
    }
}
