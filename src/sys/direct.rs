//! Files that are written past the page cache (O_DIRECT), where the file system allows it.

use std::fs::{File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What direct writes to a file must be aligned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alignment {
    /// Addresses of memory.
    pub memory: usize,
    /// Places in the file, and lengths.
    pub offset: usize,
}

/// Creates a file to write; with `direct` past the page cache. It must not exist.
pub fn create(path: &Path, direct: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o666);
    if direct {
        options.custom_flags(libc::O_DIRECT);
    }
    options.open(path)
}

/// Whether an error of [`create`] or of a write says that the file system does not do it directly (or not like that).
pub fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP))
}

/// Whether an error says that there is no more space for this user on this disk.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
}

/// What direct writes must be aligned to, if the kernel (6.1 or later) tells; `None` where it does not know.
pub fn alignment(fd: BorrowedFd<'_>) -> Option<Alignment> {
    let mut found = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: an empty path with AT_EMPTY_PATH stands for the descriptor; statx writes no more than its struct, which is zeroed before.
    let found = unsafe {
        let (fd, path) = (fd.as_raw_fd(), c"".as_ptr());
        match libc::statx(fd, path, libc::AT_EMPTY_PATH, libc::STATX_DIOALIGN, found.as_mut_ptr()) {
            0 => found.assume_init(),
            _ => return None,
        }
    };
    let told = found.stx_mask & libc::STATX_DIOALIGN != 0 && found.stx_dio_mem_align > 0;
    told.then_some(Alignment {
        memory: found.stx_dio_mem_align as usize,
        offset: found.stx_dio_offset_align as usize,
    })
}

/// From now on writes to the file go through the page cache.
pub fn give_up(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: fcntl with integers on a live descriptor.
    let changed = unsafe {
        let flags = libc::fcntl(fd.as_raw_fd(), libc::F_GETFL);
        flags >= 0 && libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags & !libc::O_DIRECT) == 0
    };
    if changed { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::IoSlice;
    use std::os::fd::AsFd;

    #[test]
    fn a_file_that_gave_it_up_takes_any_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("direct");
        let file = match create(&path, true) {
            Ok(file) => file,
            Err(error) => {
                assert!(is_refusal(&error), "{error}");
                return;
            }
        };
        if let Some(Alignment { memory, offset }) = alignment(file.as_fd()) {
            assert!(memory.is_power_of_two() && offset.is_power_of_two(), "{memory} {offset}");
        }
        give_up(file.as_fd()).unwrap();
        let write = |at| crate::sys::file::write_all_at(file.as_fd(), &mut [IoSlice::new(b"abc")], at);
        assert_eq!(write(1).unwrap(), 3);
        assert_eq!(std::fs::read(&path).unwrap(), b"\0abc");
        assert!(create(&path, false).is_err_and(|e| e.kind() == io::ErrorKind::AlreadyExists));
    }
}
