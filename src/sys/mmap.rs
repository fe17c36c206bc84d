//! Anonymous memory mappings, with huge pages where the system has them.

use std::io;
use std::ptr::NonNull;

use super::numa;

/// The size of a transparent or explicit huge page on the machines we know; mappings for huge pages are rounded up
/// to it.
const HUGE_PAGE: usize = 2 << 20;

/// The size of the pages that `MAP_HUGETLB` with these flags asks for: its logarithm stands in the flags, or 0 for the
/// system's default.
fn huge_page_size(flags: i32) -> usize {
    match (flags >> libc::MAP_HUGE_SHIFT) & libc::MAP_HUGE_MASK {
        0 => HUGE_PAGE,
        bits => 1 << bits,
    }
}

/// Private anonymous memory, unmapped on drop.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a Mapping owns its pages; nothing about them is tied to a thread.
unsafe impl Send for Mapping {}
// SAFETY: a shared Mapping gives out its address only.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes (at least one page), passing `flags` to mmap(2) beside `MAP_PRIVATE | MAP_ANONYMOUS`.
    ///
    /// With `prefer_huge` it asks for explicit huge pages first; where the system has none reserved, it takes ordinary
    /// pages and asks for transparent huge ones.
    pub fn new(len: usize, flags: i32, prefer_huge: bool) -> io::Result<Self> {
        // munmap wants the whole pages of which a mapping consists, and for huge ones it does not round up by itself.
        let len = match flags & libc::MAP_HUGETLB {
            0 => len.max(1),
            _ => len
                .max(1)
                .checked_next_multiple_of(huge_page_size(flags))
                .ok_or(io::ErrorKind::OutOfMemory)?,
        };
        if prefer_huge {
            let rounded = len.checked_next_multiple_of(HUGE_PAGE).ok_or(io::ErrorKind::OutOfMemory)?;
            if let Ok(mapping) = Self::map(rounded, flags | libc::MAP_HUGETLB) {
                return Ok(mapping);
            }
            let mapping = Self::map(rounded, flags)?;
            mapping.advise_huge();
            return Ok(mapping);
        }
        Self::map(len, flags)
    }

    fn map(len: usize, flags: i32) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | (flags & !libc::MAP_FIXED);
        // SAFETY: an anonymous mapping at an address of the kernel's choice (MAP_FIXED is masked out) touches no
        // memory in use.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len })
    }

    /// Asks for transparent huge pages, which are not taken from those that somebody has reserved.
    pub fn advise_huge(&self) {
        // SAFETY: the range is our own mapping; madvise is advice, and its failure is of no consequence.
        unsafe { libc::madvise(self.start.as_ptr().cast(), self.len, libc::MADV_HUGEPAGE) };
    }

    /// Has all pages come from one NUMA node.
    pub fn bind_to_node(&self, node: usize) -> io::Result<()> {
        // SAFETY: a mapping begins a page, and it is ours.
        unsafe { numa::bind(self.start, self.len, node) }
    }

    /// The first byte.
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: start and len are those of a mapping that we made and that nobody can reach any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
