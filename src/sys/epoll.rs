//! Several descriptors as one, and whether one is readable.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Whether the descriptor is readable now.
pub fn is_readable(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut item = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    loop {
        // SAFETY: one item, alive during the call, which does not wait.
        match unsafe { libc::poll(&mut item, 1, 0) } {
            0.. => return Ok(item.revents & libc::POLLIN != 0),
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

/// Waits until the descriptor is readable, at most so long (to the nanosecond, which epoll_wait cannot); false if it is not, or a
/// signal came.
pub fn wait_readable(fd: BorrowedFd<'_>, longest: Duration) -> io::Result<bool> {
    let mut item = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let timeout = libc::timespec {
        tv_sec: libc::time_t::try_from(longest.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: longest.subsec_nanos().into(),
    };
    // SAFETY: one item and a time, alive during the call; no mask of signals.
    match unsafe { libc::ppoll(&mut item, 1, &timeout, std::ptr::null()) } {
        0.. => Ok(item.revents & libc::POLLIN != 0),
        _ => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            error => Err(error),
        },
    }
}

/// A descriptor that is readable while any of some others is.
#[derive(Debug)]
pub struct AnyOf(OwnedFd);

impl AnyOf {
    /// Of these, which should stay open: a closed one is left out from then on.
    pub fn new(fds: &[BorrowedFd<'_>]) -> io::Result<Self> {
        // SAFETY: epoll_create1 takes no pointers; a non-negative result is a descriptor that we own.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if epoll < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just returned by epoll_create1 and owned by nobody else.
        let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
        for fd in fds {
            let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
            // SAFETY: both descriptors are open, the event is read during the call.
            if unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &mut event) }
                < 0
            {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(Self(epoll))
    }
}

impl AsFd for AnyOf {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
