//! The classic pcap format, read in large blocks.
//!
//! libpcap reads it through stdio's 4 KiB buffer: a system call per few packets and a second copy of each. Here a
//! record is handed out where the block's read put it. Invariant: `start <= end <= buffer.len()`, and
//! `buffer[start..end]` is the file's content from byte `offset`. Used by one thread at a time.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::time::Duration;

/// Bytes of the header of a file and of a record.
pub(super) const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

/// Largest captured length that libpcap accepts; a larger one is a corrupt record.
const MAX_CAPTURED: usize = 262_144;

/// Bytes to ask of the file at a time. Twice this fits in the L2 cache, where the copy that follows finds it.
const BLOCK: usize = 256 * 1024;

/// What the header of a classic file says.
#[derive(Clone, Copy)]
pub(super) struct Header {
    big_endian: bool,
    nanoseconds: bool,
    /// `LINKTYPE_*`.
    pub(super) link: u32,
}

impl Header {
    /// The header of a file in the format that this module reads: version 2.4, either byte order and resolution.
    pub(super) fn parse(bytes: &[u8; FILE_HEADER]) -> Option<Self> {
        let word = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        let (big_endian, nanoseconds) = Self::magic(word(0))?;
        let version = if big_endian { [0, 2, 0, 4] } else { [2, 0, 4, 0] };
        let link = if big_endian { u32::from_be_bytes(word(20)) } else { u32::from_le_bytes(word(20)) };
        // The upper bits are about frame check sequences, which the length in the IP header leaves out.
        (word(4) == version).then_some(Self { big_endian, nanoseconds, link: link & 0x03ff_ffff })
    }

    /// Byte order and resolution that a magic number stands for.
    pub(super) fn magic(word: [u8; 4]) -> Option<(bool, bool)> {
        match word {
            [0xa1, 0xb2, 0xc3, 0xd4] => Some((true, false)),
            [0xa1, 0xb2, 0x3c, 0x4d] => Some((true, true)),
            [0xd4, 0xc3, 0xb2, 0xa1] => Some((false, false)),
            [0x4d, 0x3c, 0xb2, 0xa1] => Some((false, true)),
            _ => None,
        }
    }
}

pub(super) struct Classic {
    file: File,
    header: Header,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Where in the file `buffer[start]` is.
    offset: u64,
}

/// A record: where its frame is in the buffer until the next call.
pub(super) struct Found {
    pub(super) frame: Range<usize>,
    pub(super) original_len: u32,
    pub(super) time: Duration,
}

/// Why there is no next record.
pub(super) enum Broken {
    /// The file ends after `got` of the `of` bytes of the record's header or frame.
    Truncated {
        what: &'static str,
        got: usize,
        of: usize,
    },
    /// The record claims more bytes than any frame has.
    TooLong(usize),
    Io(io::Error),
}

impl Classic {
    /// Reads records from `file`, which stands right after its header.
    pub(super) fn new(file: File, header: Header) -> Self {
        // The unread rest of a block, less than a record, stays in front of the next block.
        let buffer = vec![0; RECORD_HEADER + MAX_CAPTURED + BLOCK].into_boxed_slice();
        Self { file, header, buffer, start: 0, end: 0, offset: FILE_HEADER as u64 }
    }

    /// Where in the file the next record starts, or the broken one.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn frame(&self, found: &Found) -> &[u8] {
        self.buffer.get(found.frame.clone()).unwrap_or_default()
    }

    /// Finds the next record, or the end of the file.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Found>, Broken> {
        if self.end - self.start < RECORD_HEADER {
            self.fill(RECORD_HEADER).map_err(Broken::Io)?;
        }
        let ready = self.buffer.get(self.start..self.end).unwrap_or_default();
        let Some((head, _)) = ready.split_first_chunk::<RECORD_HEADER>() else {
            if ready.is_empty() {
                return Ok(None);
            }
            return Err(Broken::Truncated { what: "header", got: ready.len(), of: RECORD_HEADER });
        };
        let [seconds, fraction, captured, original_len] = self.words(head);
        let captured = captured as usize;
        if captured > MAX_CAPTURED {
            return Err(Broken::TooLong(captured));
        }
        let size = RECORD_HEADER + captured;
        if self.end - self.start < size {
            self.fill(size).map_err(Broken::Io)?;
            let got = self.end - self.start;
            if got < size {
                return Err(Broken::Truncated { what: "frame", got: got - RECORD_HEADER, of: captured });
            }
        }
        let frame = self.start + RECORD_HEADER..self.start + size;
        self.start += size;
        self.offset += size as u64;
        let nanoseconds =
            if self.header.nanoseconds { u64::from(fraction) } else { u64::from(fraction) * 1000 };
        // A fraction above one second is nonsense but cannot overflow: both terms are far below 2^64 nanoseconds.
        let time = Duration::from_nanos(u64::from(seconds) * 1_000_000_000 + nanoseconds);
        Ok(Some(Found { frame, original_len, time }))
    }

    #[inline]
    fn words(&self, head: &[u8; RECORD_HEADER]) -> [u32; 4] {
        std::array::from_fn(|i| {
            let word = [head[4 * i], head[4 * i + 1], head[4 * i + 2], head[4 * i + 3]];
            if self.header.big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
        })
    }

    /// Reads until `need` bytes are ready or the file ends.
    #[cold]
    fn fill(&mut self, need: usize) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < need {
            let limit = self.buffer.len().min(self.end + BLOCK);
            match self.file.read(&mut self.buffer[self.end..limit]) {
                Ok(0) => break,
                Ok(n) => self.end += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
