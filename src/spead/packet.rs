//! The checked views of a packet, and of its beginning.
//!
//! Invariant: `payload_start <= bytes.len()`, `bytes` reaches no further than the payload's end, and every rule that
//! [`Malformed`] names holds, but that a [`Header`] may be of a packet whose payload is not there yet.

use std::fmt;
use std::ops::Deref;

use super::pointer::{IMMEDIATE, ItemPointer, Pointers, low_bits};
use super::{Flavour, Malformed, id};

/// Bytes before the item pointers.
const HEADER: usize = 8;
const MAGIC: u8 = 0x53;
const VERSION: u8 = 4;

/// Immediate pointers with these identifiers and below leave their value in a table of the view; the last index is
/// where every other pointer's goes, so that the pass over the pointers has no branch.
const TABLED: usize = id::STREAM_CTRL as usize;
const OTHER: usize = TABLED + 1;

/// In the table: no such pointer. Values have at most 56 bits.
const ABSENT: u64 = u64::MAX;

/// A packet's header and item pointers, whose every field has been checked; accessors cannot fail.
#[derive(Clone, Copy)]
pub struct Header<'a> {
    /// What there is of the packet: header and pointers, and the payload if it is that of a [`Packet`].
    bytes: &'a [u8],
    /// Where the payload starts: 8 + 8 × number of pointers.
    payload_start: usize,
    heap_cnt: u64,
    /// Or [`ABSENT`].
    heap_length: u64,
    payload_offset: u64,
    payload_length: u64,
    /// Or [`ABSENT`].
    stream_ctrl: u64,
    /// 8, 16, … 56.
    heap_address_bits: u8,
}

/// A whole packet: a [`Header`] and the payload that it announces.
#[derive(Clone, Copy)]
pub struct Packet<'a>(Header<'a>);

impl<'a> Packet<'a> {
    /// Checks `data`, which starts with a packet; bytes after its payload are ignored.
    #[inline]
    pub fn parse(data: &'a [u8]) -> Result<Packet<'a>, Malformed> {
        check(data, |after| after.len() as u64).map(Packet)
    }

    /// The packet's part of the heap's payload.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(self.payload_start..).unwrap_or_default()
    }

    /// Bytes of header, pointers and payload. In a buffer of back-to-back packets the next one starts there.
    #[inline]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }
}

impl<'a> Deref for Packet<'a> {
    type Target = Header<'a>;
    #[inline]
    fn deref(&self) -> &Header<'a> {
        &self.0
    }
}

impl fmt::Debug for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The checks that `data` starts with a packet, of which `available` bytes of payload may be taken for granted.
#[inline]
fn check(data: &[u8], available: impl FnOnce(&[u8]) -> u64) -> Result<Header<'_>, Malformed> {
    let Some((start, rest)) = data.split_first_chunk::<HEADER>() else {
        return Err(Malformed::TooShort);
    };
    let n_bytes = pointer_bytes(start)?;
    let heap_address_bits = start[3] * 8;
    let Some((pointers, after)) = rest.split_at_checked(n_bytes) else {
        return Err(Malformed::ItemsOverflow);
    };

    let (values, farthest) = walk(pointers, heap_address_bits);
    let [_, heap_cnt, heap_length, payload_offset, payload_length, _, stream_ctrl, _] = values;

    // The top bit is set in ABSENT only.
    if (heap_cnt | payload_offset | payload_length) >> 63 != 0 {
        return Err(first_missing(heap_cnt, payload_offset));
    }
    if payload_length > available(after) {
        return Err(Malformed::PayloadOverflow);
    }
    // Values have at most 56 bits: the sum cannot overflow, and ABSENT is beyond everything.
    if payload_offset + payload_length > heap_length {
        return Err(Malformed::HeapOverflow);
    }
    if farthest > heap_length {
        return Err(Malformed::ItemBeyondHeap);
    }
    let payload_start = HEADER + n_bytes;
    let payload = after.get(..payload_length as usize).unwrap_or(after);
    // Never shorter: it is a part of `data`.
    let bytes = data.get(..payload_start + payload.len()).unwrap_or(data);
    Ok(Header {
        bytes,
        payload_start,
        heap_cnt,
        heap_length,
        payload_offset,
        payload_length,
        stream_ctrl,
        heap_address_bits,
    })
}

/// Bytes of item pointers that a packet with this header has.
#[inline]
fn pointer_bytes(header: &[u8; HEADER]) -> Result<usize, Malformed> {
    let &[magic, version, id_width, address_width, _, _, n_high, n_low] = header;
    if magic != MAGIC {
        return Err(Malformed::BadMagic);
    }
    if version != VERSION {
        return Err(Malformed::BadVersion);
    }
    // With address_width in 1..=7 the sum also makes id_width 1..=7. The two fit in a u16 without overflow.
    if u16::from(id_width) + u16::from(address_width) != 8 || !(1..=7).contains(&address_width) {
        return Err(Malformed::BadWidths);
    }
    Ok(usize::from(u16::from_be_bytes([n_high, n_low])) * 8)
}

impl<'a> Header<'a> {
    /// The first byte of every packet.
    pub const MAGIC: u8 = MAGIC;

    /// Bytes of header and item pointers of the packet that begins with these, from a stream of bytes where a packet has
    /// no end of its own. Then [`Header::parse`] takes them, and tells the length of the payload after them.
    pub fn measure(start: &[u8; HEADER]) -> Result<usize, Malformed> {
        pointer_bytes(start).map(|n_bytes| HEADER + n_bytes)
    }

    /// Checks `data`, which starts with header and item pointers; the payload need not be there.
    pub fn parse(data: &'a [u8]) -> Result<Header<'a>, Malformed> {
        check(data, |_| u64::MAX)
    }

    /// Number of the heap that the packet belongs to.
    #[inline]
    pub fn heap_cnt(&self) -> u64 {
        self.heap_cnt
    }

    /// Bytes in the heap's payload, if the packet tells.
    #[inline]
    pub fn heap_length(&self) -> Option<u64> {
        present(self.heap_length)
    }

    /// Where in the heap's payload this packet's payload goes, in bytes.
    #[inline]
    pub fn payload_offset(&self) -> u64 {
        self.payload_offset
    }

    /// Bytes of payload in the packet.
    #[inline]
    pub fn payload_length(&self) -> u64 {
        self.payload_length
    }

    /// The packet is the whole heap.
    #[inline]
    pub fn is_whole_heap(&self) -> bool {
        self.payload_length == self.heap_length
    }

    /// Version and widths.
    #[inline]
    pub fn flavour(&self) -> Flavour {
        Flavour { version: VERSION, heap_address_bits: self.heap_address_bits }
    }

    /// The item pointers as sent: 8 bytes each, big-endian.
    #[inline]
    pub fn pointer_bytes(&self) -> &'a [u8] {
        self.bytes.get(HEADER..self.payload_start).unwrap_or_default()
    }

    /// The item pointers, specials included, in the order sent.
    #[inline]
    pub fn pointers(&self) -> Pointers<'a> {
        Pointers::new(self.pointer_bytes(), self.heap_address_bits)
    }

    /// The value of the last immediate item with identifier `id`, specials included.
    #[inline]
    pub fn immediate(&self, id: u64) -> Option<u64> {
        match id {
            id::HEAP_CNT => return Some(self.heap_cnt),
            id::HEAP_LENGTH => return self.heap_length(),
            id::PAYLOAD_OFFSET => return Some(self.payload_offset),
            id::STREAM_CTRL => return self.stream_ctrl(),
            _ => {}
        }
        self.pointers()
            .rev()
            .find(|pointer| pointer.is_immediate() && pointer.id() == id)
            .map(ItemPointer::value)
    }

    /// The value of STREAM_CTRL, if the packet has one: see `STREAM_CTRL_*` in [`super::id`].
    #[inline]
    pub fn stream_ctrl(&self) -> Option<u64> {
        present(self.stream_ctrl)
    }

    /// Whether the packet says that the stream ends.
    #[inline]
    pub fn is_stop(&self) -> bool {
        self.stream_ctrl() == Some(id::STREAM_CTRL_STOP)
    }

    /// What there is of the packet: all of it if it is that of a [`Packet`], else at least header and pointers.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet")
            .field("flavour", &format_args!("{}", self.flavour()))
            .field("heap_cnt", &self.heap_cnt())
            .field("heap_length", &self.heap_length())
            .field("payload_offset", &self.payload_offset())
            .field("payload_length", &self.payload_length())
            .field("n_pointers", &self.pointers().len())
            .finish()
    }
}

#[inline]
fn present(value: u64) -> Option<u64> {
    (value != ABSENT).then_some(value)
}

/// One pass over the pointers: the table of a view, and the largest address of an addressed item.
#[inline]
fn walk(pointers: &[u8], heap_address_bits: u8) -> ([u64; OTHER + 1], u64) {
    let mut values = [ABSENT; OTHER + 1];
    let mut farthest = 0i64;
    let mask = low_bits(heap_address_bits);
    // Flag and identifier of an immediate pointer with identifier 0. Exclusive-or with it leaves the identifier of
    // an immediate pointer, and at least 128 (an identifier has 7 bits or more) of an addressed one.
    let immediate = IMMEDIATE >> heap_address_bits;
    for word in pointers.as_chunks().0 {
        let raw = u64::from_be_bytes(*word);
        let index = ((raw >> heap_address_bits) ^ immediate).min(OTHER as u64) as usize;
        let value = raw & mask;
        values[index] = value;
        // The flag, in the sign, makes an immediate pointer's value -1.
        farthest = farthest.max((raw as i64 >> 63) | value as i64);
    }
    (values, farthest as u64)
}

#[cold]
fn first_missing(heap_cnt: u64, payload_offset: u64) -> Malformed {
    if heap_cnt == ABSENT {
        Malformed::NoHeapCnt
    } else if payload_offset == ABSENT {
        Malformed::NoPayloadOffset
    } else {
        Malformed::NoPayloadLength
    }
}
