//! How large a terminal is.

use std::os::fd::{AsRawFd, BorrowedFd};

/// Columns and rows of the terminal; `None` if it is none, or does not know.
pub fn size(fd: BorrowedFd<'_>) -> Option<(u16, u16)> {
    // SAFETY: winsize is plain data for which all zeros is a valid value.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: the request writes a winsize, and that is what it is given.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (result == 0 && size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    #[test]
    fn what_is_no_terminal() {
        assert_eq!(super::size(crate::sys::eventfd::EventFd::new().unwrap().as_fd()), None);
    }
}
