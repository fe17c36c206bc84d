//! Memory that comes filled: what is read, decompressed, copied or converted, as bytes that can be shared.

use bytes::Bytes;

use crate::error::Result;
use crate::memory::{Allocator, Buffer, HeapAllocator};

/// A buffer of which the first so many bytes are written.
struct Filled(Buffer, usize);

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `filled` makes it of a buffer that has as many bytes, written, and which nobody writes to any more.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr(), self.1) }
    }
}

/// Bytes that are all zero, to be written to and then shared.
pub(crate) struct Blank(Buffer, usize);

impl Blank {
    /// So many, on a cache line's beginning.
    pub fn new(size: usize) -> Result<Self> {
        let mut buffer = HeapAllocator.allocate(size, None)?;
        buffer.zero();
        Ok(Self(buffer, size))
    }

    /// To be written to.
    pub fn bytes(&mut self) -> &mut [u8] {
        if self.1 == 0 {
            return &mut [];
        }
        // SAFETY: `new` made it of a buffer of as many bytes, which it wrote; nobody else has it.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_ptr(), self.1) }
    }

    /// To be shared.
    pub fn into_bytes(self) -> Bytes {
        if self.1 == 0 { nothing() } else { Bytes::from_owner(Filled(self.0, self.1)) }
    }
}

/// No bytes, on a cache line's beginning: whoever makes a pointer to elements of it finds it aligned.
pub(crate) fn nothing() -> Bytes {
    #[repr(align(64))]
    struct Aligned([u8; 64]);
    static NOTHING: Aligned = Aligned([0; 64]);
    Bytes::from_static(&NOTHING.0[..0])
}

/// At most `size` bytes that `fill` writes, on a cache line's beginning. It answers how many it wrote.
///
/// # Safety
/// Of the bytes from the pointer on, as many as `fill` answers must be written by it.
pub(crate) unsafe fn filled(size: usize, fill: impl FnOnce(*mut u8) -> Result<usize>) -> Result<Bytes> {
    if size == 0 {
        return Ok(nothing());
    }
    let buffer = HeapAllocator.allocate(size, None)?;
    let written = fill(buffer.as_ptr())?.min(size);
    Ok(Bytes::from_owner(Filled(buffer, written)))
}

/// A copy.
#[cfg(feature = "zmq")]
pub(crate) fn copy_of(bytes: &[u8]) -> Result<Bytes> {
    // SAFETY: writes them all.
    unsafe {
        filled(bytes.len(), |to| {
            to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            Ok(bytes.len())
        })
    }
}

#[cfg(all(test, feature = "zmq"))]
mod tests {
    use super::*;

    #[test]
    fn also_nothing_is_aligned() {
        for bytes in [nothing(), copy_of(&[]).unwrap(), copy_of(&[1]).unwrap()] {
            assert!(bytes.as_ptr().addr().is_multiple_of(64));
        }
    }
}
