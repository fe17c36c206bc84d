//! The bytes of a ring in shared memory, version 1: see `docs/shm-layout.md`.
//!
//! Pure functions over bytes; any thread. Whatever is parsed here may have been written by anybody: the result is an error, or lies within the bounds
//! that it is checked against.

use crate::error::{Error, ErrorKind, Result};
use crate::signal::array::{Layout, MAX_AXES};

/// The version of the layout and of the offer. Another one is refused.
pub(super) const VERSION: u32 = 1;
/// What a ring begins with.
pub(super) const MAGIC: [u8; 8] = *b"AQSHRING";
/// What an offer begins with.
pub(super) const OFFER_MAGIC: [u8; 8] = *b"AQSHOFFR";
/// Bytes of an offer.
pub(super) const OFFER: usize = 16;

/// Bytes of the header, which the slots follow.
pub(super) const HEADER: usize = 4096;
/// Bytes of the header that do not change.
pub(super) const FIXED: usize = 64;
/// Words of the header that change, each on a pair of cache lines of its own: how many chunks were published,
pub(super) const PUBLISHED: usize = 128;
/// how many chunks may have been written to,
pub(super) const CLAIMED_CHUNKS: usize = 256;
/// how many bytes,
pub(super) const CLAIMED_BYTES: usize = 264;
/// and whether the output has closed the ring.
pub(super) const CLOSED: usize = 384;

/// Words of a slot, of 8 bytes each.
pub(super) const SLOT_WORDS: usize = 8;
/// Bytes of a slot.
pub(super) const SLOT: usize = 8 * SLOT_WORDS;
/// Records, and the data in them, begin at multiples of this.
pub(super) const ALIGN: u64 = 64;

/// Slots at the most.
pub(super) const MOST_SLOTS: usize = 1 << 20;
/// Bytes of a ring at the most.
pub(super) const MOST_BYTES: usize = 1 << 40;

/// Bytes of an input's page.
pub(super) const PAGE: usize = 4096;
/// In it, stored by the output: one more than the number of the first chunk that the input gets, or 0;
pub(super) const START: usize = 128;
/// how many frames came before that one.
pub(super) const START_FRAMES: usize = 136;
/// Stored by the input: the number of the chunk that it has not done with,
pub(super) const TAKEN: usize = 256;
/// how many frames came before that one,
pub(super) const TAKEN_FRAMES: usize = 264;
/// and how many it has missed.
pub(super) const MISSED: usize = 272;
/// The input is to be woken: bits, set by it and cleared by the output.
pub(super) const WANT: usize = 384;
/// The output is to be woken when `TAKEN` moves: 1, stored by it, and swapped for 0 by the input.
pub(super) const ROOM: usize = 512;

/// The longest header of a record.
pub(super) const MOST_RECORD_HEADER: usize = record_header_len(MAX_AXES);

/// The header of a record of an array of so many axes.
pub(super) const fn record_header_len(axes: usize) -> usize {
    8 * (3 + 2 * axes)
}

/// The next multiple of `ALIGN`.
pub(super) const fn aligned(bytes: u64) -> u64 {
    bytes.next_multiple_of(ALIGN)
}

/// What does not change in a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// A power of two, 2 to `MOST_SLOTS`.
    pub slots: usize,
    /// Bytes for records: a power of two, a page to `MOST_BYTES`.
    pub bytes: usize,
    /// Where the records are: behind the slots, at the beginning of a page; the object ends behind them.
    pub data: usize,
    /// The output waits for inputs.
    pub lossless: bool,
    /// The output's process, for messages.
    pub pid: u32,
}

impl Header {
    /// A ring of at least so many slots and bytes.
    pub fn new(slots: usize, bytes: usize, lossless: bool, page: usize) -> Result<Self> {
        if !(1..=MOST_SLOTS).contains(&slots) {
            return Err(Error::invalid(format!("slots must be 1 to {MOST_SLOTS} (got {slots})")));
        }
        if !(1..=MOST_BYTES).contains(&bytes) {
            return Err(Error::invalid(format!("bytes must be 1 to {MOST_BYTES} (got {bytes})")));
        }
        let slots = slots.next_power_of_two().max(2);
        let data = (HEADER + slots * SLOT).next_multiple_of(page);
        let bytes = bytes.next_power_of_two().max(page);
        Ok(Self { slots, bytes, data, lossless, pid: std::process::id() })
    }

    /// Bytes of the object.
    pub fn size(&self) -> usize {
        self.data + self.bytes
    }

    /// The longest record: while an input reads it, the next may be written.
    pub fn most_record(&self) -> u64 {
        self.bytes as u64 / 2
    }

    /// The fixed part, as it is in memory.
    pub fn encode(&self) -> [u8; FIXED] {
        let mut bytes = [0; FIXED];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_ne_bytes());
        bytes[12..16].copy_from_slice(&(HEADER as u32).to_ne_bytes());
        bytes[16..24].copy_from_slice(&(self.slots as u64).to_ne_bytes());
        bytes[24..32].copy_from_slice(&(self.bytes as u64).to_ne_bytes());
        bytes[32..40].copy_from_slice(&(self.data as u64).to_ne_bytes());
        bytes[40..44].copy_from_slice(&u32::from(self.lossless).to_ne_bytes());
        bytes[44..48].copy_from_slice(&self.pid.to_ne_bytes());
        bytes
    }

    /// Reads the fixed part of a ring in an object of `size` bytes, on a machine with pages of `page` bytes.
    pub fn parse(bytes: &[u8; FIXED], size: u64, page: usize) -> Result<Self> {
        let wrong = |what: String| Error::new(ErrorKind::Format, format!("shared ring: {what}"));
        let word = |at: usize| u32::from_ne_bytes(std::array::from_fn(|i| bytes[at + i]));
        let number = |at: usize| u64::from_ne_bytes(std::array::from_fn(|i| bytes[at + i]));
        if bytes[..8] != MAGIC {
            return Err(wrong(format!("it must begin with AQSHRING (got {:02x?})", &bytes[..8])));
        }
        if word(8) != VERSION {
            let reason = format!("shared ring: its layout must be version {VERSION} (got {})", word(8));
            return Err(Error::new(ErrorKind::Version, reason));
        }
        if word(12) != HEADER as u32 {
            return Err(wrong(format!("its header must have {HEADER} bytes (got {})", word(12))));
        }
        let (slots, room, data, policy) = (number(16), number(24), number(32), word(40));
        if !slots.is_power_of_two() || !(2..=MOST_SLOTS as u64).contains(&slots) {
            return Err(wrong(format!("slots must be a power of two, 2 to {MOST_SLOTS} (got {slots})")));
        }
        if !room.is_power_of_two() || !(page as u64..=MOST_BYTES as u64).contains(&room) {
            return Err(wrong(format!("bytes must be a power of two, {page} to {MOST_BYTES} (got {room})")));
        }
        let least = HEADER as u64 + slots * SLOT as u64;
        if data < least || data > MOST_BYTES as u64 || !data.is_multiple_of(page as u64) {
            return Err(wrong(format!("its data must begin with a page behind byte {least} (got {data})")));
        }
        if size < data + room {
            let reason = format!("shared ring: it must have {} bytes (got {size})", data + room);
            return Err(Error::new(ErrorKind::Truncated, reason));
        }
        if policy > 1 {
            return Err(wrong(format!("its policy must be 0 or 1 (got {policy})")));
        }
        let small =
            |number: u64| usize::try_from(number).map_err(|_| wrong(format!("{number} is too large")));
        let (slots, bytes, data) = (small(slots)?, small(room)?, small(data)?);
        Ok(Self { slots, bytes, data, lossless: policy == 1, pid: word(44) })
    }
}

/// What a slot says of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    /// The number of the chunk, counted from the ring's beginning.
    pub number: u64,
    /// The index of the frame behind its last.
    pub index: u64,
    /// Where its record begins, in bytes that were ever written.
    pub position: u64,
    /// Bytes of the record's header.
    pub header: u64,
    /// Bytes of the record's data.
    pub data: u64,
    /// Frames of the chunk.
    pub frames: u64,
    /// Frames that were published before, those included that were dropped for all inputs.
    pub before: u64,
}

impl Slot {
    /// As it is in memory.
    pub fn words(&self) -> [u64; SLOT_WORDS] {
        [self.number, self.index, self.position, self.header, self.data, self.frames, self.before, 0]
    }

    /// From memory; not checked.
    pub fn of_words(words: [u64; SLOT_WORDS]) -> Self {
        let [number, index, position, header, data, frames, before, _] = words;
        Self { number, index, position, header, data, frames, before }
    }

    /// Bytes from the record's beginning to its data.
    pub fn skip(&self) -> u64 {
        aligned(self.header)
    }

    /// Checks that this can be chunk `number` of a ring whose output has claimed `claimed` bytes.
    pub fn check(&self, number: u64, claimed: u64, ring: &Header) -> Result<()> {
        let wrong = |what: &str, found: u64, rule: &str| {
            let reason = format!("shared ring: {what} of chunk {number} must be {rule} (got {found})");
            Err(Error::new(ErrorKind::Format, reason))
        };
        if self.number != number {
            return wrong("the number", self.number, "just that");
        }
        if self.header < record_header_len(1) as u64
            || self.header > MOST_RECORD_HEADER as u64
            || !self.header.is_multiple_of(8)
        {
            return wrong("the header", self.header, "that of 1 to 64 axes, in bytes");
        }
        if self.data > ring.most_record() || aligned(self.skip() + self.data) > ring.most_record() {
            return wrong(
                "the data",
                self.data,
                &format!("at most {} bytes, with the header", ring.most_record()),
            );
        }
        let end = self.position.checked_add(aligned(self.skip() + self.data));
        if !self.position.is_multiple_of(ALIGN) || end.is_none_or(|end| end > claimed) {
            let rule = format!("a multiple of {ALIGN} before {claimed}");
            return wrong("the position", self.position, &rule);
        }
        if self.frames > self.index {
            return wrong("the frames", self.frames, &format!("at most the index, {}", self.index));
        }
        Ok(())
    }
}

/// Writes a record's header: item, axes, offset, shape, strides. Returns its length. `origin` is subtracted from the offset.
pub(super) fn encode_record(layout: &Layout, origin: usize, to: &mut [u8; MOST_RECORD_HEADER]) -> usize {
    let shape = layout.shape();
    let (words, _) = to.as_chunks_mut::<8>();
    let fixed = [layout.item() as u64, shape.len() as u64, (layout.offset().wrapping_sub(origin)) as u64];
    let counts = shape.iter().map(|&count| count as u64);
    let strides = layout.strides().iter().map(|&stride| stride as i64 as u64);
    for (word, number) in words.iter_mut().zip(fixed.into_iter().chain(counts).chain(strides)) {
        *word = number.to_ne_bytes();
    }
    record_header_len(shape.len())
}

/// Reads a record's header, for data of `size` bytes and `frames` frames.
pub(super) fn parse_record(header: &[u8], size: u64, frames: u64) -> Result<Layout> {
    let wrong = |what: String| Error::new(ErrorKind::Format, format!("shared ring: a chunk's {what}"));
    let (words, _) = header.as_chunks::<8>();
    let mut words = words.iter().map(|word| u64::from_ne_bytes(*word));
    let (Some(item), Some(axes), Some(offset)) = (words.next(), words.next(), words.next()) else {
        return Err(wrong(format!("header of {} bytes is none", header.len())));
    };
    if axes == 0 || axes > MAX_AXES as u64 || header.len() != record_header_len(axes as usize) {
        return Err(wrong(format!("header has {} bytes for {axes} axes", header.len())));
    }
    let number = |number: u64| usize::try_from(number).map_err(|_| wrong(format!("numbers: {number}")));
    let shape: Vec<usize> = words.by_ref().take(axes as usize).map(number).collect::<Result<_>>()?;
    let strides: Vec<isize> = words.map(|word| word as i64 as isize).collect();
    let layout = Layout::new(number(item)?, number(offset)?, &shape, &strides)
        .map_err(|e| wrong(format!("layout: {}", e.message())))?;
    let end = layout.extent().end as u64;
    if end > size {
        return Err(wrong(format!("elements reach to byte {end} of {size}")));
    }
    if shape[0] as u64 != frames {
        return Err(wrong(format!("frames must be {frames} (got {})", shape[0])));
    }
    Ok(layout)
}

/// What the output sends to one that connects.
pub(super) fn encode_offer(status: u32) -> [u8; OFFER] {
    let mut bytes = [0; OFFER];
    bytes[..8].copy_from_slice(&OFFER_MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_ne_bytes());
    bytes[12..].copy_from_slice(&status.to_ne_bytes());
    bytes
}

/// The offer's status: here is the ring;
pub(super) const OFFERED: u32 = 0;
/// there are as many inputs as there may be;
pub(super) const REFUSED_FULL: u32 = 1;
/// that is another user;
pub(super) const REFUSED_USER: u32 = 2;
/// there is no memory or descriptor for one more.
pub(super) const REFUSED_RESOURCES: u32 = 3;

/// Checks an offer of which so many bytes came.
pub(super) fn parse_offer(bytes: &[u8]) -> Result<()> {
    let Ok(bytes) = <&[u8; OFFER]>::try_from(bytes) else {
        let reason = format!("the offer must have {OFFER} bytes (got {})", bytes.len());
        return Err(Error::new(ErrorKind::Truncated, reason));
    };
    if bytes[..8] != OFFER_MAGIC {
        return Err(Error::new(ErrorKind::Format, "who listens there is no output of a stream"));
    }
    let word = |at: usize| u32::from_ne_bytes(std::array::from_fn(|i| bytes[at + i]));
    if word(8) != VERSION {
        let reason = format!("its layout must be version {VERSION} (got {})", word(8));
        return Err(Error::new(ErrorKind::Version, reason));
    }
    match word(12) {
        OFFERED => Ok(()),
        REFUSED_FULL => Err(Error::state("the output has as many inputs as it may have")),
        REFUSED_USER => Err(Error::new(ErrorKind::Io, "the output belongs to another user")),
        REFUSED_RESOURCES => {
            Err(Error::new(ErrorKind::NoMemory, "the output has no memory or descriptors for one more input"))
        }
        other => {
            Err(Error::new(ErrorKind::Format, format!("the offer's status must be 0 to 3 (got {other})")))
        }
    }
}
