//! A Linux eventfd used as a level: readable or not.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A file descriptor that is readable while it is raised. Raising and lowering are idempotent.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    /// A lowered (not readable) eventfd, close-on-exec and non-blocking.
    pub fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes no pointers; a non-negative result is a descriptor that we own.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: fd was just returned by eventfd and is owned by nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// One that came from elsewhere. If it is no eventfd, raising and lowering do nothing of use, and may wait.
    pub fn from_other(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Makes the descriptor readable.
    pub fn raise(&self) {
        let one = 1u64;
        // SAFETY: writes 8 bytes from a live u64. It can fail only with EAGAIN, when the counter is at its
        // maximum, and then the descriptor is readable already.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// Makes the descriptor not readable.
    pub fn lower(&self) {
        let mut count = 0u64;
        // SAFETY: reads 8 bytes into a live u64. It can fail only with EAGAIN: the descriptor was lowered already.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), 8) };
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
