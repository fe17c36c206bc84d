//! A new file that other processes read while this one writes it as memory.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

/// For files that others have made: opening one must not wait, as it would for a pipe's other end.
pub const NOT_BLOCKING: i32 = libc::O_NONBLOCK;

/// A file of zeros that is mapped to be written, and removed at the end.
#[derive(Debug)]
pub struct MappedFile {
    path: PathBuf,
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to no thread, and is given out as an address only.
unsafe impl Send for MappedFile {}

impl MappedFile {
    /// A new file at `path` of `len` bytes, at least 1, which only this user may open. All its space is taken here, so that writing cannot fail later.
    pub fn create(path: &Path, len: usize) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Self::map(path, &file, len).inspect_err(|_| {
            let _ = std::fs::remove_file(path);
        })
    }

    fn map(path: &Path, file: &File, len: usize) -> io::Result<Self> {
        let size = libc::off_t::try_from(len).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
        loop {
            // SAFETY: takes no pointers; the file is open. Its result is the error.
            match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, size) } {
                0 => break,
                libc::EINTR => {}
                error => return Err(io::Error::from_raw_os_error(error)),
            }
        }
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: a mapping at an address of the kernel's choice touches no memory in use.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, access, flags, file.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { path: path.to_owned(), start, len })
    }

    /// The first byte, on a page's beginning.
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        // SAFETY: start and len are those of a mapping that we made and that nobody can reach any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("remove {}: {error}", self.path.display());
        }
    }
}
