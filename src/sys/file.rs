//! Writing to files, and what space their disks have.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Stretches of memory in one system call, which takes no more.
const MOST_SLICES: usize = libc::UIO_MAXIOV as usize;

/// Writes all of `slices`, one behind the other, from byte `offset` of the file on. Returns how many bytes that were. After an error any
/// number of them may be there.
pub fn write_all_at(fd: BorrowedFd<'_>, slices: &mut [IoSlice<'_>], offset: u64) -> io::Result<u64> {
    let mut rest = slices;
    let mut at = offset;
    // Not even an empty one is left at the front: a result of 0 would say nothing.
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        let count = rest.len().min(MOST_SLICES);
        let position = libc::off_t::try_from(at).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
        // SAFETY: an IoSlice is an iovec of live memory; the kernel reads `count` of them.
        let written = unsafe { libc::pwritev(fd.as_raw_fd(), rest.as_ptr().cast(), count as i32, position) };
        match written {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            1.. => {
                at += written as u64;
                IoSlice::advance_slices(&mut rest, written as usize);
            }
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
    Ok(at - offset)
}

/// Bytes that may still be written to the disk of this file; `None` where its file system does not count them.
pub fn free_bytes(fd: BorrowedFd<'_>) -> io::Result<Option<u64>> {
    let mut found = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the pointer is to a struct of that type, which is filled where the call succeeds.
    let found = unsafe {
        if libc::fstatvfs(fd.as_raw_fd(), found.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        found.assume_init()
    };
    #[allow(clippy::unnecessary_cast, reason = "narrower on other machines")]
    let (blocks, free, size) = (found.f_blocks as u64, found.f_bavail as u64, found.f_frsize as u64);
    Ok((blocks > 0).then(|| free.saturating_mul(size)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn free_space_is_that_of_the_disk() {
        let file = tempfile::tempfile().unwrap();
        assert!(free_bytes(file.as_fd()).unwrap().is_some_and(|free| free > 1 << 20));
        let none = std::fs::File::open("/proc/self/stat").unwrap();
        assert_eq!(free_bytes(none.as_fd()).unwrap(), None);
    }

    #[test]
    fn more_slices_than_one_call_takes_arrive_in_order() {
        let file = tempfile::tempfile().unwrap();
        let numbers: Vec<[u8; 4]> = (0..3000u32).map(u32::to_le_bytes).collect();
        let empty = [];
        let mut slices: Vec<IoSlice> = numbers
            .iter()
            .flat_map(|number| [IoSlice::new(&empty), IoSlice::new(number), IoSlice::new(&empty)])
            .collect();
        assert_eq!(write_all_at(file.as_fd(), &mut slices, 5).unwrap(), 12_000);
        let mut found = vec![0; 12_005];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut found, 0).unwrap();
        assert_eq!(found[..5], [0; 5]);
        assert_eq!(found[5..], *numbers.as_flattened());
        assert_eq!(write_all_at(file.as_fd(), &mut [], 5).unwrap(), 0);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let error = write_all_at(file.as_fd(), &mut [IoSlice::new(b"x")], 0).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = write_all_at(full.as_fd(), &mut [IoSlice::new(b"x")], 0).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
    }
}
