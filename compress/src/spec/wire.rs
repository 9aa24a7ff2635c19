//! The serial line: frames between a host and the bridge in front of an accelerator's registers.
//!
//! 8 data bits, no parity, one stop bit. A frame is a number of 32-bit words, low byte first, as bytes between two
//! [`END`] bytes; in between, [`END`] is sent as [`ESCAPE`] [`ESCAPED_END`] and [`ESCAPE`] as [`ESCAPE`]
//! [`ESCAPED_ESCAPE`] (RFC 1055), so that whoever lost the thread finds it again at the next [`END`]. The last word is
//! the CRC-32 (IEEE 802.3) of the words before it. Both directions:
//!
//! ```text
//! request  head, address, data (a write), crc        head: tag 31:16, command 15:8, words - 1 in 7:0
//! reply    head, data (a read), status, crc          status: words done 24:8, status 7:0
//! ```
//!
//! The bridge acts on a frame only when all of it has come and its CRC is right. `tag` counts frames: the bridge takes
//! the tag after the last one, and that one again, whose write it then answers as before without doing it a second
//! time. [`Command::Hello`] sets the last tag. A frame that is not right is answered with [`Status::Damaged`].

use super::registers::WIRE;

/// Begins and ends a frame.
pub const END: u8 = 0xc0;
/// Says that the next byte is one of the two below.
pub const ESCAPE: u8 = 0xdb;
pub const ESCAPED_END: u8 = 0xdc;
pub const ESCAPED_ESCAPE: u8 = 0xdd;
/// Most words of data in a frame.
pub const MAX_WORDS: usize = 256;
/// What the CRC register holds after a frame with its CRC, before it is complemented.
pub const CRC_RESIDUE: u32 = 0xdebb_20e3;
/// What the bridge answers to [`Command::Hello`]: the protocol's version, and the words a frame may have.
pub const GREETING: u32 = 1 << 16 | MAX_WORDS as u32;
/// Bits of a byte address on the line: below [`WIRE`] the accelerator's, from there on the bridge's own registers.
pub const ADDRESS_BITS: usize = WIRE.trailing_zeros() as usize + 1;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Command {
    /// Begins a conversation; its reply has one word, [`GREETING`].
    Hello = 0,
    /// Writes words to ascending addresses.
    Write = 1,
    /// Reads words from ascending addresses.
    Read = 2,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    Done = 0,
    /// The register or memory behind the first address that was not done answered with an error.
    Refused = 1,
    /// The tag is neither the last one nor the next: the conversation is not the one that the host thinks it is.
    Stranger = 2,
    /// Unknown command, or another number of words than it says.
    Malformed = 3,
    /// The CRC is wrong; the head of this reply says nothing.
    Damaged = 4,
}

impl Status {
    fn of(code: u32) -> Option<Status> {
        [Status::Done, Status::Refused, Status::Stranger, Status::Malformed, Status::Damaged].into_iter().find(|s| *s as u32 == code)
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub tag: u16,
    pub command: u8,
    pub status: Status,
    /// Words that were done before the refused one.
    pub done: usize,
    pub data: Vec<u32>,
}

/// The bytes of a request; `count` (1 to [`MAX_WORDS`]) is the number of words that a read wants, `data` what a write carries.
pub fn request(tag: u16, command: Command, address: u32, count: usize, data: &[u32]) -> Vec<u8> {
    debug_assert!((1..=MAX_WORDS).contains(&count) && data.len() <= MAX_WORDS);
    let head = u32::from(tag) << 16 | (command as u32) << 8 | ((count - 1) as u32 & 0xff);
    let mut words = vec![head, address];
    words.extend(data);
    stuffed(&words)
}

/// The bytes of a frame of these words and their CRC.
pub fn stuffed(words: &[u32]) -> Vec<u8> {
    let mut plain: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    plain.extend(crc32fast::hash(&plain).to_le_bytes());
    let mut bytes = vec![END];
    for byte in plain {
        match byte {
            END => bytes.extend([ESCAPE, ESCAPED_END]),
            ESCAPE => bytes.extend([ESCAPE, ESCAPED_ESCAPE]),
            other => bytes.push(other),
        }
    }
    bytes.push(END);
    bytes
}

/// The words between two [`END`]s without the CRC, if it is right.
pub fn unstuffed(bytes: &[u8]) -> Option<Vec<u32>> {
    let mut plain = vec![];
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        plain.push(match *byte {
            ESCAPE => match *rest.next()? {
                ESCAPED_END => END,
                ESCAPED_ESCAPE => ESCAPE,
                _ => return None,
            },
            other => other,
        });
    }
    if plain.is_empty() || plain.len() % 4 != 0 {
        return None;
    }
    let found = crc32fast::hash(&plain[..plain.len() - 4]);
    let mut words: Vec<u32> = plain.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect();
    (words.pop() == Some(found)).then_some(words)
}

/// What the bytes between two [`END`]s say, if they are a reply.
pub fn reply(bytes: &[u8]) -> Option<Reply> {
    let words = unstuffed(bytes)?;
    let [head, data @ .., status] = words.as_slice() else { return None };
    Some(Reply {
        tag: (head >> 16) as u16,
        command: (head >> 8 & 0xff) as u8,
        status: Status::of(status & 0xff)?,
        done: (status >> 8) as usize,
        data: data.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_byte_of_a_frame_is_noticed() {
        let frame = request(0xc0db, Command::Write, 0x10_0000, 3, &[0xdbc0_dddc, 0, u32::MAX]);
        let inside = &frame[1..frame.len() - 1];
        assert!(!inside.contains(&END));
        assert_eq!(unstuffed(inside).unwrap(), [0xc0db_0102, 0x10_0000, 0xdbc0_dddc, 0, u32::MAX]);
        for at in 0..inside.len() {
            for flip in 1..=255u8 {
                let mut other = inside.to_vec();
                other[at] ^= flip;
                assert_eq!(unstuffed(&other), None, "byte {at} ^ {flip:#x}");
            }
            let mut shorter = inside.to_vec();
            shorter.remove(at);
            assert_eq!(unstuffed(&shorter), None, "without byte {at}");
        }
    }

    #[test]
    fn the_residue_is_what_the_crc_of_a_frame_with_its_crc_leaves() {
        let mut bytes = b"any words".to_vec();
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        assert_eq!(!crc32fast::hash(&bytes), CRC_RESIDUE);
    }
}
