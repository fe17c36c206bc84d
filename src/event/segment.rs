//! Memory for packets: their bytes one behind the other, and an index of them beside.
//!
//! Packets of one size, put one after the other, lie in one stretch: a flush writes them with one system call. Invariant: an entry and its
//! bytes are written by one thread, before it or another one commits them under the lock of the buffer; after that nobody writes to
//! them until all [`Piece`]s with the segment are gone. So threads that were told of a committed entry under that lock may read it without.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Allocator, Buffer};

/// Bytes of a segment's data, unless one packet needs more.
pub const SEGMENT_SIZE: usize = 1 << 20;

/// Packets in a segment at the most: as many as of 32 bytes fit.
const SEGMENT_ENTRIES: usize = SEGMENT_SIZE / 32;

/// Where a reserved packet starts: right for any C type.
const ALIGNMENT: usize = 16;

/// Packets and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many packets.
    pub packets: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

impl Amount {
    pub(super) fn add(&mut self, size: usize) {
        self.packets += 1;
        self.bytes += size as u64;
    }

    pub(super) fn remove(&mut self, size: usize) {
        self.packets -= 1;
        self.bytes -= size as u64;
    }
}

impl std::ops::AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

impl std::ops::SubAssign for Amount {
    fn sub_assign(&mut self, other: Self) {
        self.packets -= other.packets;
        self.bytes -= other.bytes;
    }
}

/// What is known of a packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// It counts all packets that the buffer was given, also those that were lost.
    pub(super) number: u64,
    /// When it was put, in nanoseconds since the Unix epoch; 0 if that was not taken.
    pub(super) time: u64,
    /// Its first byte in the segment's data.
    pub(super) start: u32,
    /// Its bytes; `CANCELLED` for none and never.
    pub(super) size: u32,
}

/// The size of a packet that was reserved and then not put.
pub(super) const CANCELLED: u32 = u32::MAX;

/// Data and index.
pub(super) struct Segment {
    data: Buffer,
    entries: Box<[UnsafeCell<MaybeUninit<Entry>>]>,
}

// SAFETY: it owns its memory; nothing in it is tied to a thread.
unsafe impl Send for Segment {}
// SAFETY: what is written while it is shared follows the invariant above.
unsafe impl Sync for Segment {}

impl Segment {
    /// A segment for packets of up to `size` bytes.
    pub(super) fn new(allocator: &dyn Allocator, size: usize) -> Result<Self> {
        let capacity = if size > SEGMENT_SIZE { 1 } else { SEGMENT_ENTRIES };
        let data = allocator.allocate(size.max(SEGMENT_SIZE), None)?;
        let mut entries = Vec::new();
        entries.try_reserve_exact(capacity).map_err(|_| {
            Error::new(ErrorKind::NoMemory, format!("cannot allocate an index of {capacity} packets"))
        })?;
        // The memory is not touched.
        entries.resize_with(capacity, || UnsafeCell::new(MaybeUninit::uninit()));
        Ok(Self { data, entries: entries.into_boxed_slice() })
    }

    /// Of the usual size, worth keeping.
    pub(super) fn is_usual(&self) -> bool {
        self.data.len() == SEGMENT_SIZE
    }

    /// Where `size` bytes behind the first `used` start, if there is room for them and one more entry behind the first `len`. They are
    /// aligned for any C type if so wanted.
    pub(super) fn room(&self, len: usize, used: usize, size: usize, aligned: bool) -> Option<u32> {
        let start = if aligned { used.checked_next_multiple_of(ALIGNMENT)? } else { used };
        let end = start.checked_add(size)?;
        let fits = len < self.entries.len() && end <= self.data.len();
        if fits { u32::try_from(start).ok() } else { None }
    }

    /// Where the bytes from `start` on are; within the data.
    pub(super) fn at(&self, start: u32) -> *mut u8 {
        assert!(start as usize <= self.data.len(), "byte {start} of {}", self.data.len());
        // SAFETY: within the data, or just behind it.
        unsafe { self.data.as_ptr().add(start as usize) }
    }

    /// Sets an entry.
    ///
    /// # Safety
    /// The caller holds the buffer's lock, and the entry has not been committed yet.
    pub(super) unsafe fn set(&self, index: usize, entry: Entry) {
        // SAFETY: by the caller's promise nobody reads or writes this entry meanwhile.
        unsafe { (*self.entries[index].get()).write(entry) };
    }
}

/// A run of a segment's entries, which keeps the segment.
///
/// Invariant: its entries have been set. Outside of the buffer's lock there are only pieces whose entries have been committed.
#[derive(Clone)]
pub(super) struct Piece {
    pub(super) segment: Arc<Segment>,
    pub(super) first: usize,
    pub(super) end: usize,
    /// Of its packets, also those that are still being written.
    pub(super) amount: Amount,
}

impl Piece {
    /// Of nothing, at the end of `segment`.
    pub(super) fn at(segment: Arc<Segment>, end: usize) -> Self {
        Self { segment, first: end, end, amount: Amount::default() }
    }

    /// Adds the entry behind the last.
    ///
    /// # Safety
    /// The caller holds the buffer's lock, the entry is that of a [`Segment::room`], and nobody has been told of it.
    pub(super) unsafe fn push(&mut self, entry: Entry) {
        // SAFETY: the caller's promise.
        unsafe { self.segment.set(self.end, entry) };
        self.end += 1;
        self.amount.add(entry.size as usize);
    }

    /// Splits off its first `count` entries.
    pub(super) fn split(&mut self, count: usize) -> Self {
        let middle = self.first + count;
        let mut head = Self { end: middle, amount: Amount::default(), ..self.clone() };
        if middle == self.end {
            head.amount = self.amount;
        } else {
            let mut amount = Amount::default();
            head.entries().iter().filter_map(Entry::range).for_each(|range| amount.add(range.len()));
            head.amount = amount;
        }
        self.first = middle;
        self.amount -= head.amount;
        head
    }

    /// The entries, also of cancelled packets; in the order of their numbers.
    pub(super) fn entries(&self) -> &[Entry] {
        let cells = &self.segment.entries[self.first..self.end];
        // SAFETY: set, by the invariant of Piece, and written by nobody while a shared reference to them lives: under the lock by nobody else,
        // outside of it because they have been committed. UnsafeCell and MaybeUninit have the layout of what is in them.
        unsafe { std::slice::from_raw_parts(cells.as_ptr().cast(), cells.len()) }
    }

    /// Bytes of the data.
    ///
    /// # Safety
    /// They are those of committed packets of this piece, and of what lies between them: nothing.
    pub(super) unsafe fn bytes(&self, range: Range<usize>) -> &[u8] {
        debug_assert!(range.start <= range.end && range.end <= self.segment.data.len());
        // SAFETY: within the data by the caller's promise, and written before they were committed.
        unsafe { std::slice::from_raw_parts(self.segment.data.as_ptr().add(range.start), range.len()) }
    }

    /// Whether nothing lies between its packets' bytes.
    pub(super) fn is_dense(&self) -> bool {
        let (Some(first), Some(last)) = (self.entries().first(), self.entries().last()) else { return false };
        let (Some(first), Some(last)) = (first.range(), last.range()) else { return false };
        let all = Amount { packets: self.entries().len() as u64, bytes: (last.end - first.start) as u64 };
        self.amount == all
    }

    /// How many entries have numbers below `number`.
    pub(super) fn below(&self, number: u64) -> usize {
        self.entries().partition_point(|entry| entry.number < number)
    }
}

impl Entry {
    /// Where its bytes are; `None` if it was cancelled.
    pub(super) fn range(&self) -> Option<Range<usize>> {
        let start = self.start as usize;
        (self.size != CANCELLED).then(|| start..start + self.size as usize)
    }
}
