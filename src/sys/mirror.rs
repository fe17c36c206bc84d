//! Memory that is mapped twice in a row, so that what wraps around its end is in one piece.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;

/// Blocks of memory, each of which is followed by itself: byte `i` of a block is also its byte `block + i`.
#[derive(Debug)]
pub struct Mirror {
    start: NonNull<u8>,
    /// Of all blocks, with what follows each.
    len: usize,
}

// SAFETY: a Mirror owns its pages; nothing about them is tied to a thread.
unsafe impl Send for Mirror {}
// SAFETY: a shared Mirror gives out its address only.
unsafe impl Sync for Mirror {}

/// Bytes that a block must be a multiple of.
pub fn page_size() -> usize {
    // SAFETY: asks for a number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

fn invalid() -> io::Error {
    io::ErrorKind::InvalidInput.into()
}

fn failed() -> io::Error {
    io::Error::last_os_error()
}

impl Mirror {
    /// `count` blocks of `block` bytes, a multiple of the page size; zeroed.
    pub fn new(block: usize, count: usize) -> io::Result<Self> {
        let bytes = block.checked_mul(count).filter(|&bytes| bytes > 0).ok_or_else(invalid)?;
        // SAFETY: a C text; the result is a descriptor that we own, or -1.
        let fd = unsafe { libc::memfd_create(c"aqueduct-mirror".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(failed());
        }
        // SAFETY: just made, and owned by nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let size = libc::off_t::try_from(bytes).map_err(|_| invalid())?;
        // SAFETY: a descriptor of ours.
        if unsafe { libc::ftruncate(fd.as_raw_fd(), size) } != 0 {
            return Err(failed());
        }
        Self::map(fd.as_fd(), 0, block, count, true)
    }

    /// The blocks that are in a memory object from byte `from` on, a multiple of the page size. It must have all of them, and keep them.
    pub fn map(
        fd: BorrowedFd<'_>,
        from: usize,
        block: usize,
        count: usize,
        writable: bool,
    ) -> io::Result<Self> {
        if block == 0 || count == 0 || !block.is_multiple_of(page_size()) || !from.is_multiple_of(page_size())
        {
            return Err(invalid());
        }
        let bytes = block.checked_mul(count).ok_or_else(invalid)?;
        let len = bytes.checked_mul(2).filter(|&len| len <= isize::MAX as usize).ok_or_else(invalid)?;
        // SAFETY: new memory wherever the kernel likes, to keep its place; unmapped by Drop.
        let start = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            libc::mmap(std::ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0)
        };
        if start == libc::MAP_FAILED {
            return Err(failed());
        }
        let start = NonNull::new(start.cast()).ok_or_else(invalid)?;
        let mirror = Self { start, len };
        let protection = if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        for i in 0..2 * count {
            let offset = (i / 2 * block).checked_add(from).and_then(|at| libc::off_t::try_from(at).ok());
            let offset = offset.ok_or_else(invalid)?;
            // SAFETY: over a part of the memory that was just mapped for this, with a part of the file that is as long.
            let mapped = unsafe {
                let to = mirror.start.as_ptr().add(i * block).cast();
                libc::mmap(to, block, protection, libc::MAP_SHARED | libc::MAP_FIXED, fd.as_raw_fd(), offset)
            };
            if mapped == libc::MAP_FAILED {
                return Err(failed());
            }
        }
        Ok(mirror)
    }

    /// The first byte of the first block.
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        // SAFETY: mapped by new, all of it, and nobody has a reference to it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_is_followed_by_itself() {
        let page = page_size();
        let mirror = Mirror::new(page, 3).unwrap();
        // SAFETY: six pages, used by nobody else.
        let bytes = unsafe { std::slice::from_raw_parts_mut(mirror.start().as_ptr(), 6 * page) };
        bytes[2 * page + 5] = 7;
        assert_eq!(bytes[3 * page + 5], 7);
        bytes[page - 1] = 1;
        bytes[page] = 2;
        assert_eq!((bytes[2 * page - 1], bytes[0]), (1, 2));
        assert_eq!(bytes.iter().filter(|byte| **byte != 0).count(), 6);
    }

    #[test]
    fn sizes_that_cannot_be() {
        for (block, count) in
            [(0, 1), (page_size(), 0), (page_size() - 1, 1), (page_size(), usize::MAX / 4096)]
        {
            assert!(Mirror::new(block, count).is_err(), "{block} {count}");
        }
    }
}
