//! Heaps that their consumers have freed, for the stream to use again: a heap then costs no allocation beside that of a
//! large payload, and memory does not go back and forth between the threads' arenas of the system's allocator.

use crate::error::Result;
use crate::memory::Buffer;
use crate::ring::{Ring, Wait};

use super::Heap;

/// Longer payloads are given back to the allocator with their heap.
const LARGEST_KEPT: usize = 64 << 10;

/// More item pointers than this are not kept either.
const MOST_POINTERS_KEPT: usize = 256;

/// A bounded number of freed heaps. Any thread may use it.
#[derive(Debug)]
pub(super) struct Spares {
    heaps: Ring<Box<Heap>>,
    /// Payloads may be kept: their memory is nobody's but ours.
    keep_payloads: bool,
}

impl Spares {
    pub(super) fn new(capacity: usize, keep_payloads: bool) -> Result<Self> {
        Ok(Self { heaps: Ring::new(capacity)?, keep_payloads })
    }

    /// A heap, if there is one. Nothing in it is of any meaning but that its payload, if it has any, may be used again.
    pub(super) fn take(&self) -> Option<Box<Heap>> {
        self.heaps.get(Wait::No).ok()
    }

    /// Takes a freed heap back, if there is space for it.
    pub(super) fn put(&self, mut heap: Box<Heap>) {
        if !self.keep_payloads || heap.payload.len() > LARGEST_KEPT {
            heap.payload = Buffer::empty();
        }
        heap.pointers.clear();
        heap.pointers.shrink_to(MOST_POINTERS_KEPT);
        heap.ranges = Vec::new();
        let _ = self.heaps.put(heap, Wait::No);
    }
}
