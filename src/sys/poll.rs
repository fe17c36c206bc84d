//! Waiting for a few file descriptors, where a worker of the runtime would be too much.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Which of these can be read, or have been hung up; waits for one, at most so long (`None`: without end). A signal ends the wait early.
pub fn readable(fds: &[BorrowedFd<'_>], wait: Option<Duration>) -> io::Result<Vec<bool>> {
    let mut polled: Vec<libc::pollfd> = fds
        .iter()
        .map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN | libc::POLLRDHUP, revents: 0 })
        .collect();
    poll(&mut polled, wait)?;
    Ok(polled.iter().map(|fd| fd.revents != 0).collect())
}

/// Whether the descriptor can be read, or has been hung up, without waiting.
pub fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut polled =
        [libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN | libc::POLLRDHUP, revents: 0 }];
    poll(&mut polled, Some(Duration::ZERO)).is_ok() && polled[0].revents != 0
}

fn poll(fds: &mut [libc::pollfd], wait: Option<Duration>) -> io::Result<()> {
    let milliseconds = match wait {
        None => -1,
        // Rounded up: not to come back before the time, again and again.
        Some(wait) => i32::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(i32::MAX),
    };
    // SAFETY: a live slice of pollfds, and its length.
    let found = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, milliseconds) };
    if found < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
        fds.iter_mut().for_each(|fd| fd.revents = 0);
    }
    Ok(())
}
