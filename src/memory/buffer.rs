//! A block of bytes with one owner, which gives it back to where it came from when dropped.
//!
//! Invariant: `start` points to `len` bytes that nobody else reads or writes while the buffer lives.

use std::fmt;
use std::ptr::NonNull;

use super::CopyMethod;

/// A block of bytes and what to do with it at the end.
///
/// The bytes may be uninitialised as far as the allocator is concerned; they are only ever handed out as a raw
/// pointer, or as a slice to code that knows what was written.
pub struct Buffer {
    start: NonNull<u8>,
    len: usize,
    release: Option<Box<dyn FnOnce() + Send>>,
}

// SAFETY: a Buffer is the only owner of its bytes, and its release function is Send.
unsafe impl Send for Buffer {}

impl Buffer {
    /// Takes over `len` bytes at `start`; `release` runs once, when the buffer is dropped, on whichever thread that is.
    ///
    /// # Safety
    /// The bytes must be valid for reads and writes, by any thread, and used by nobody else, until `release` runs.
    pub unsafe fn from_raw(start: NonNull<u8>, len: usize, release: impl FnOnce() + Send + 'static) -> Self {
        Self { start, len, release: Some(Box::new(release)) }
    }

    /// A buffer of no bytes.
    pub fn empty() -> Self {
        Self { start: NonNull::dangling(), len: 0, release: None }
    }

    /// The first byte.
    pub fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// The first byte, which is never at NULL.
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True for a buffer of no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All bytes, to read.
    ///
    /// # Safety
    /// They must be initialised: zeroed, written, or so from the beginning.
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: start and len are those of bytes that we alone own; that they are initialised is the caller's promise.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// Sets all bytes to zero.
    pub fn zero(&mut self) {
        // SAFETY: start and len are those of bytes that we alone own.
        unsafe { self.start.as_ptr().write_bytes(0, self.len) };
    }

    /// Copies `bytes` to `offset`. False, and nothing written, if they do not fit.
    #[inline]
    #[must_use]
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> bool {
        self.write_by(CopyMethod::Std, offset, bytes)
    }

    /// As [`write`](Self::write), by that method; its [`publish`](CopyMethod::publish) is the caller's.
    #[inline]
    #[must_use]
    pub fn write_by(&mut self, method: CopyMethod, offset: usize, bytes: &[u8]) -> bool {
        let fits = offset.checked_add(bytes.len()).is_some_and(|end| end <= self.len);
        if fits {
            // SAFETY: offset + bytes.len() <= len was just checked; `bytes` cannot overlap memory that we alone own.
            unsafe { method.copy(self.start.as_ptr().add(offset), bytes.as_ptr(), bytes.len()) }
        }
        fits
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            release();
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("start", &self.start).field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn writes_stay_inside() {
        let mut memory = vec![7u8; 8];
        let start = NonNull::new(memory.as_mut_ptr()).unwrap();
        // SAFETY: only the first four bytes are lent, and `memory` outlives the buffer.
        let mut buffer = unsafe { Buffer::from_raw(start, 4, || {}) };
        assert!(buffer.write(1, &[1, 2, 3]));
        assert!(!buffer.write(2, &[9, 9, 9]));
        assert!(!buffer.write(usize::MAX, &[9, 9]));
        assert!(buffer.write(4, &[]));
        drop(buffer);
        assert_eq!(memory, [7, 1, 2, 3, 7, 7, 7, 7]);
    }

    #[test]
    fn releases_once() {
        let released = Arc::new(AtomicUsize::new(0));
        let seen = released.clone();
        // SAFETY: no bytes are lent.
        let buffer = unsafe {
            Buffer::from_raw(NonNull::dangling(), 0, move || {
                seen.fetch_add(1, Ordering::Relaxed);
            })
        };
        assert_eq!(released.load(Ordering::Relaxed), 0);
        drop(buffer);
        assert_eq!(released.load(Ordering::Relaxed), 1);
    }
}
