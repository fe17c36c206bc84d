//! Mapped memory of a ring and of an input's page: every word that both processes use, and who stores it.
//!
//! Invariant: no address leaves the mapping, whatever the words say. Loads and stores of words are atomic. Data is copied by address and never
//! borrowed as a slice: the other process may be writing to it, which the reader notices after the copy ([`Ring::claimed_bytes`]).
//!
//! How an input knows that what it copied is whole: the output stores how far it claims the ring (`claimed_*`), then a Release fence, then writes. The
//! input copies, then an Acquire fence, then loads the claims. If it has seen any byte of a write, it sees the claim that came before. Positions only
//! grow, so a record is whole if the claim has not come around to it.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::layout::{
    CLAIMED_BYTES, CLAIMED_CHUNKS, CLOSED, FIXED, HEADER, Header, MISSED, PAGE, PUBLISHED, ROOM, SLOT,
    SLOT_WORDS, START, START_FRAMES, Slot, TAKEN, TAKEN_FRAMES, WANT,
};
use crate::memory::prefetch_at;
use crate::sys::futex;
use crate::sys::memfd::{MemFd, Shared};

/// The word at a constant offset of a mapping that is longer.
fn word64(map: &Shared, offset: usize) -> &AtomicU64 {
    debug_assert!(offset.is_multiple_of(8) && offset + 8 <= map.len());
    // SAFETY: within the mapping, aligned, and used as an atomic only; where the mapping is read-only, it is only loaded.
    unsafe { AtomicU64::from_ptr(map.start().add(offset).cast().as_ptr()) }
}

/// As `word64`, of 32 bits.
fn word32(map: &Shared, offset: usize) -> &AtomicU32 {
    debug_assert!(offset.is_multiple_of(4) && offset + 4 <= map.len());
    // SAFETY: as in `word64`.
    unsafe { AtomicU32::from_ptr(map.start().add(offset).cast().as_ptr()) }
}

/// A mapped ring. The output has it writable and is the only one that stores anything in it.
#[derive(Debug)]
pub(super) struct Ring {
    map: Shared,
    pub header: Header,
}

impl Ring {
    /// Maps the ring in `memory`, which has `header.size()` bytes.
    pub fn new(memory: &MemFd, header: Header, writable: bool) -> std::io::Result<Self> {
        // The words below, and slots, are within these.
        debug_assert!(header.data >= HEADER + header.slots * SLOT);
        let map = Shared::new(memory, header.size(), header.bytes, writable)?;
        Ok(Self { map, header })
    }

    /// Writes the fixed part of the header. Only by the output, and before anybody has the ring.
    pub fn write_header(&self) {
        // SAFETY: the mapping is writable and longer, and nobody reads it yet.
        unsafe { self.map.start().cast::<[u8; FIXED]>().write(self.header.encode()) };
    }

    /// How many chunks were published. Stored by the output with SeqCst (see `Page::want`) and so Release, once a chunk is written; loaded with Acquire by inputs, which then see the chunk.
    pub fn published(&self) -> &AtomicU64 {
        word64(&self.map, PUBLISHED)
    }

    /// How many chunks were begun. Stored by the output, Relaxed, before the Release fence behind which it writes the slot; loaded by inputs, Relaxed,
    /// behind the Acquire fence that follows their look at a slot.
    pub fn claimed_chunks(&self) -> &AtomicU64 {
        word64(&self.map, CLAIMED_CHUNKS)
    }

    /// How many bytes are or were written to. The same with records for slots.
    pub fn claimed_bytes(&self) -> &AtomicU64 {
        word64(&self.map, CLAIMED_BYTES)
    }

    /// 1 once the output has published all it will. Stored by it with SeqCst and so Release after the last chunk; loaded with Acquire by inputs, which then see all.
    pub fn closed(&self) -> &AtomicU32 {
        word32(&self.map, CLOSED)
    }

    /// The words of the slot of chunk `number`. Stored by the output, Relaxed: published by `published`, checked by `claimed_chunks`.
    fn slot(&self, number: u64) -> &[AtomicU64; SLOT_WORDS] {
        let at = HEADER + (number as usize & (self.header.slots - 1)) * SLOT;
        // SAFETY: slots are within the mapping (their number is a power of two) and aligned; all words are used as atomics only.
        unsafe { self.map.start().add(at).cast().as_ref() }
    }

    /// Starts to bring a slot, and the record that should be there, into the cache.
    #[inline]
    pub fn prefetch(&self, number: u64, position: u64, size: usize) {
        prefetch_at(self.slot(number).as_ptr().cast(), SLOT);
        prefetch_at(self.at(position).as_ptr(), size);
    }

    /// A copy of a slot's words, each whole, not checked to belong together.
    pub fn load_slot(&self, number: u64) -> Slot {
        // Relaxed: see `slot`.
        Slot::of_words(std::array::from_fn(|i| self.slot(number)[i].load(Ordering::Relaxed)))
    }

    /// Writes a slot. Only by the output.
    pub fn store_slot(&self, slot: &Slot) {
        for (word, value) in self.slot(slot.number).iter().zip(slot.words()) {
            // Relaxed: see `slot`.
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Where a record at that position is: `header.bytes` bytes from there on are mapped.
    pub fn at(&self, position: u64) -> NonNull<u8> {
        let offset = position as usize & (self.header.bytes - 1);
        // SAFETY: less than `bytes` behind the beginning of the data, which is mapped twice in a row.
        unsafe { self.map.start().add(self.header.data + offset) }
    }
}

/// In `WANT`: the input sleeps on that word.
pub(in crate::signal) const SLEEPS: u32 = 1;
/// In `WANT`: the input's descriptor is to be raised.
pub(super) const POLLS: u32 = 2;

/// The page of one input, which both processes write to. The output believes nothing in it.
#[derive(Debug)]
pub(in crate::signal) struct Page(Shared);

impl Page {
    /// Maps the page in `memory`, which has `PAGE` bytes.
    pub fn new(memory: &MemFd) -> std::io::Result<Self> {
        Ok(Self(Shared::new(memory, PAGE, 0, true)?))
    }

    /// One more than the number of the first chunk for this input; 0 until the output has noticed it. Stored once by the output, with Release, at the
    /// beginning of a publication; loaded with Acquire by the input, which then sees `start_frames`.
    pub fn start(&self) -> &AtomicU64 {
        word64(&self.0, START)
    }

    /// Frames published before that chunk. Stored once by the output, Relaxed: `start` publishes it.
    pub fn start_frames(&self) -> &AtomicU64 {
        word64(&self.0, START_FRAMES)
    }

    /// The first chunk that the input still needs. Stored by the output once, before `start`; then by the input, with Release after it has read the
    /// chunks before. Loaded with Acquire by the output, which then may overwrite these.
    pub fn taken(&self) -> &AtomicU64 {
        word64(&self.0, TAKEN)
    }

    /// Frames published before that chunk. Stored as `taken`, Relaxed: for people.
    pub fn taken_frames(&self) -> &AtomicU64 {
        word64(&self.0, TAKEN_FRAMES)
    }

    /// Frames that the input found missing. Stored by the input, Relaxed: for people.
    pub fn missed(&self) -> &AtomicU64 {
        word64(&self.0, MISSED)
    }

    /// How the input wants to be woken: `SLEEPS`, `POLLS`. The input sets a bit, then looks for news (`published`, `closed`) once more; the output stores
    /// news, then looks here. All four are SeqCst, so that in their one order the last look comes behind both stores, and sees the other side's.
    pub fn want(&self) -> &AtomicU32 {
        word32(&self.0, WANT)
    }

    /// 1: the output sleeps on this word until `taken` moves. The same with the parts exchanged, and `taken` for news.
    pub fn room(&self) -> &AtomicU32 {
        word32(&self.0, ROOM)
    }

    /// Wakes the output, if it waits for this input.
    pub fn wake_output(&self) {
        // SeqCst: see `room`.
        if self.room().load(Ordering::SeqCst) != 0 {
            self.room().store(0, Ordering::Relaxed);
            futex::wake(self.room());
        }
    }
}
