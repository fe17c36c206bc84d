//! Heaps that their consumers have freed, for the stream to use again: a heap then costs no allocation beside that of a
//! large payload, and memory does not go back and forth between the threads' arenas of the system's allocator.
//!
//! Consumers, on any thread, put into the [`Returns`]; the stream's worker takes from its [`Spares`]. The worker takes what has
//! come back all at once, so that for small heaps the two seldom meet.

use std::sync::Arc;

use parking_lot::Mutex;

use super::Heap;
use crate::memory::Buffer;

/// Longer payloads are given back to the allocator with their heap.
const LARGEST_KEPT: usize = 64 << 10;

/// More item pointers than this are not kept either.
const MOST_POINTERS_KEPT: usize = 256;

/// For a heap of more bytes it pays to take the one that came back last, which is likely to be in the processor's cache.
const LARGE: usize = 4 << 10;

/// Where freed heaps come back to, a bounded number of them.
#[derive(Debug)]
pub(super) struct Returns {
    /// None when the stream is gone.
    #[expect(clippy::vec_box, reason = "a heap goes from here to its consumer in its box")]
    heaps: Mutex<Option<Vec<Box<Heap>>>>,
    capacity: usize,
    /// Payloads may be kept: their memory is nobody's but ours.
    keep_payloads: bool,
}

impl Returns {
    /// Takes a freed heap back, if there is space for it.
    pub(super) fn put(&self, mut heap: Box<Heap>) {
        if !self.keep_payloads || heap.payload.len() > LARGEST_KEPT {
            heap.payload = Buffer::empty();
        }
        heap.pointers.clear();
        heap.pointers.shrink_to(MOST_POINTERS_KEPT);
        heap.ranges = Vec::new();
        heap.attachment.take();
        if let Some(heaps) = &mut *self.heaps.lock()
            && heaps.len() < self.capacity
        {
            heaps.push(heap);
        }
    }
}

/// The worker's stock of heaps to use again.
#[derive(Debug)]
pub(super) struct Spares {
    /// Those that came back last are last.
    #[expect(clippy::vec_box, reason = "as above")]
    heaps: Vec<Box<Heap>>,
    returns: Arc<Returns>,
}

impl Spares {
    /// For at most twice `capacity` heaps.
    pub(super) fn new(capacity: usize, keep_payloads: bool) -> Self {
        let returns = Returns { heaps: Mutex::new(Some(Vec::new())), capacity, keep_payloads };
        Self { heaps: Vec::new(), returns: Arc::new(returns) }
    }

    /// A heap for `size` bytes, which will come back here. Nothing in it is of any meaning but that its payload, if it has any,
    /// may be used again.
    #[inline]
    pub(super) fn take(&mut self, size: usize) -> Box<Heap> {
        if self.heaps.is_empty() || size > LARGE {
            self.fetch();
        }
        self.heaps.pop().unwrap_or_else(|| Box::new(Heap::empty(&self.returns)))
    }

    /// Takes all that has come back.
    fn fetch(&mut self) {
        let mut surplus = 0;
        if let Some(returned) = &mut *self.returns.heaps.lock() {
            surplus = (self.heaps.len() + returned.len()).saturating_sub(self.returns.capacity);
            if self.heaps.is_empty() {
                std::mem::swap(&mut self.heaps, returned);
            } else {
                self.heaps.append(returned);
            }
        }
        self.heaps.drain(..surplus);
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        // The heaps and the place where they come back to hold each other.
        let returned = self.returns.heaps.lock().take();
        drop(returned);
    }
}
