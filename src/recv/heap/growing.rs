//! A heap that is being received: its memory grows with what is known of its length, and its item pointers gather.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Heap;
use crate::error::Result;
use crate::memory::{Allocator, Buffer};
use crate::recv::handler::Discard;
use crate::spead::{Header, id};

/// Up to this many pointers are searched one by one; beyond, by a set.
const LINEAR_LIMIT: usize = 32;

/// Bytes that the heaps in progress of a stream may have together.
#[derive(Debug)]
pub(super) struct Budget {
    used: Arc<AtomicU64>,
    limit: u64,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Self {
        Self { used: Arc::default(), limit }
    }

    /// Takes `bytes` of it, if there are as many.
    pub(super) fn take(&self, bytes: u64) -> Option<Share> {
        let mut share = Share { used: self.used.clone(), bytes: 0 };
        self.grow(&mut share, bytes).then_some(share)
    }

    /// Makes it a share of `bytes`, if there are as many.
    pub(super) fn grow(&self, share: &mut Share, bytes: u64) -> bool {
        let more = bytes.saturating_sub(share.bytes);
        // Relaxed: a count; only the stream's worker takes, and others only give back.
        if self.used.load(Ordering::Relaxed).saturating_add(more) > self.limit {
            return false;
        }
        self.used.fetch_add(more, Ordering::Relaxed);
        share.bytes += more;
        true
    }
}

/// A part of a [`Budget`], given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    used: Arc<AtomicU64>,
    bytes: u64,
}

impl Drop for Share {
    fn drop(&mut self) {
        // Relaxed: see Budget::grow.
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A heap in progress.
#[derive(Debug)]
pub struct GrowingHeap {
    pub(super) heap: Box<Heap>,
    /// What it has of the stream's budget; a heap that comes whole in one packet needs none.
    pub(super) share: Option<Share>,
    /// The heap's pointers once more, where there are many.
    seen: HashSet<u64>,
}

impl GrowingHeap {
    pub(super) fn new(heap: Box<Heap>, share: Option<Share>) -> Self {
        Self { heap, share, seen: HashSet::new() }
    }

    /// Memory for at least `size` bytes, with all that was there before.
    pub(super) fn grow(
        &mut self,
        size: usize,
        allocator: &dyn Allocator,
        budget: &Budget,
        packet: &Header<'_>,
    ) -> Result<(), Discard> {
        if self.share.as_mut().is_some_and(|share| !budget.grow(share, size as u64)) {
            return Err(Discard::NoMemory);
        }
        let larger = allocate(allocator, size, packet)?;
        let old = &self.heap.payload;
        // SAFETY: `larger` is a buffer of its own and at least as long. What was not written yet is copied as it is.
        unsafe { larger.as_ptr().copy_from_nonoverlapping(old.as_ptr(), old.len()) };
        self.heap.payload = larger;
        Ok(())
    }

    /// Takes down the packet's item pointers, each once, but those that describe the packet.
    #[inline]
    pub(super) fn collect(&mut self, packet: &Header<'_>, max_items: usize) -> Result<(), Discard> {
        // Senders that repeat pointers do so in the same order.
        let mut next = 0;
        for pointer in packet.pointers() {
            if pointer.is_immediate() && (id::HEAP_CNT..=id::PAYLOAD_LENGTH).contains(&pointer.id()) {
                continue;
            }
            let raw = pointer.raw();
            if self.heap.pointers.get(next) == Some(&raw) {
                next += 1;
            } else if !self.has(raw) {
                if self.heap.pointers.len() == max_items {
                    return Err(Discard::TooManyItems);
                }
                self.heap.pointers.push(raw);
                next = self.heap.pointers.len();
            }
        }
        Ok(())
    }

    /// Whether the pointer is there already. If not it is about to be.
    fn has(&mut self, raw: u64) -> bool {
        let pointers = &self.heap.pointers;
        if pointers.len() < LINEAR_LIMIT {
            return pointers.contains(&raw);
        }
        if self.seen.is_empty() {
            self.seen.extend(pointers);
        }
        !self.seen.insert(raw)
    }
}

/// Memory for a payload.
pub(super) fn allocate(
    allocator: &dyn Allocator,
    size: usize,
    packet: &Header<'_>,
) -> Result<Buffer, Discard> {
    match allocator.allocate(size, Some(packet.bytes())) {
        // An allocator of the user's might give less than it was asked for.
        Ok(buffer) if buffer.len() >= size => Ok(buffer),
        _ => Err(Discard::NoMemory),
    }
}
