//! The chunk itself: three blocks of memory and what the stream noted about them.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::memory::{Allocator, Buffer, HeapAllocator};

/// Which side a chunk is with. The C boundary uses it to refuse a chunk that was handed over, or freed, or never was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Mark {
    /// With the user.
    Held = 0x4151_4843_4845_4c44,
    /// In a ring or a stream.
    Lent = 0x4151_4843_4c45_4e54,
    /// Freed.
    Freed = 0x4151_4843_4652_4545,
}

impl Mark {
    /// The mark at the beginning of what may be a chunk.
    ///
    /// # Safety
    /// `pointer` points to a live 64-bit atomic.
    pub unsafe fn at(pointer: *const AtomicU64) -> Option<Self> {
        // SAFETY: the caller's promise. Relaxed: see change_mark.
        let found = unsafe { &*pointer }.load(Ordering::Relaxed);
        [Self::Held, Self::Lent, Self::Freed].into_iter().find(|&mark| mark as u64 == found)
    }
}

/// A block of memory for many heaps.
#[derive(Debug)]
#[repr(C)]
pub struct Chunk {
    /// First, so that the C boundary finds it before it trusts the rest.
    mark: AtomicU64,
    /// The number that the place callback gave it.
    pub id: i64,
    /// The `stream_id` of the stream that filled it.
    pub stream_id: u64,
    /// Where payloads go.
    pub data: Buffer,
    /// One byte per heap (or per packet): 1 where it is complete, else 0.
    pub present: Buffer,
    /// Where the place callback's extra bytes go.
    pub extra: Buffer,
    /// Heaps completed in it.
    pub(super) complete: u64,
    /// The owner's, carried along untouched.
    pub user: usize,
}

impl Chunk {
    /// A chunk of these blocks; `present` is zeroed. Neither `data` nor `present` may be empty.
    pub fn new(data: Buffer, mut present: Buffer, extra: Buffer) -> Result<Self> {
        for (name, buffer) in [("data_size", &data), ("present_size", &present)] {
            if buffer.is_empty() {
                return Err(Error::invalid(format!("{name} must be at least 1 (got 0)")));
            }
        }
        present.zero();
        let mark = AtomicU64::new(Mark::Held as u64);
        Ok(Self { mark, id: -1, stream_id: 0, data, present, extra, complete: 0, user: 0 })
    }

    /// A chunk with data from `allocator`; flags and extra bytes come from the heap.
    pub fn allocate(
        allocator: &dyn Allocator,
        data_size: usize,
        present_size: usize,
        extra_size: usize,
    ) -> Result<Self> {
        let data = allocator.allocate(data_size, None)?;
        let present = HeapAllocator.allocate(present_size, None)?;
        let mut extra = HeapAllocator.allocate(extra_size, None)?;
        extra.zero();
        Self::new(data, present, extra)
    }

    /// Marks the chunk as being on the other side; the answer tells whether it was on the side expected.
    pub fn change_mark(&self, from: Mark, to: Mark) -> bool {
        // Relaxed: the mark guards against mistakes; what is in a chunk is ordered by the ring that carries it.
        self.mark.compare_exchange(from as u64, to as u64, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.mark.store(Mark::Freed as u64, Ordering::Relaxed);
    }
}
