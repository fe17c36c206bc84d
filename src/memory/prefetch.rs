//! Asking the processor for memory before it is read.

/// Bytes that come into the cache together, on most processors.
const LINE: usize = 64;

/// Starts to bring `bytes` into the cache. It has no effect but on time, and none at all where we do not know how.
///
/// The processor does so by itself for memory that is read in sequence, but not across the work between two packets, where it cannot
/// tell from the instructions ahead what will be read.
#[inline]
pub fn prefetch(bytes: &[u8]) {
    prefetch_at(bytes.as_ptr(), bytes.len());
}

/// The same for memory that cannot be borrowed: another process writes to it. Any address will do.
#[inline]
pub fn prefetch_at(start: *const u8, size: usize) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    for offset in (0..size).step_by(LINE) {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 processor has the instruction, and it faults at no address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(offset).cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = (start, size, LINE);
}
