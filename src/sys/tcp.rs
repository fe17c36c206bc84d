//! Receiving from TCP sockets: one read to two places, recvmsg(2).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

use super::udp::{Timestamp, read_timestamp};

/// Memory that a read may fill.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// The first byte.
    pub start: NonNull<u8>,
    /// How many there are.
    pub len: usize,
}

impl Span {
    /// No memory.
    pub const EMPTY: Self = Self { start: NonNull::dangling(), len: 0 };

    /// All of `bytes`, which must outlive the read.
    pub fn of(bytes: &mut [u8]) -> Self {
        Self { start: NonNull::from(&mut *bytes).cast(), len: bytes.len() }
    }

    fn vector(self) -> libc::iovec {
        libc::iovec { iov_base: self.start.as_ptr().cast(), iov_len: self.len }
    }
}

/// Room for the control message that has the time of arrival, with its header; the kernel needs 64 bytes.
const CONTROL_WORDS: usize = 16;

/// Reads what is there, without waiting, to `first` and what does not fit there to `second`. `Ok(0)` means that the peer will
/// send nothing more. `arrival` receives the time of the last byte, where that was asked for.
///
/// # Safety
/// Both spans are memory that may be written to, by nobody else meanwhile; they do not overlap.
pub unsafe fn read(
    fd: BorrowedFd<'_>,
    first: Span,
    second: Span,
    arrival: Option<&mut Option<Timestamp>>,
) -> io::Result<usize> {
    let mut control = [0u64; CONTROL_WORDS];
    let mut vectors = [first.vector(), second.vector()];
    // SAFETY: msghdr is plain data for which all zeros is a valid value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // An empty first vector is legal, but costs the kernel a look.
    let vectors = if first.len == 0 { &mut vectors[1..] } else { &mut vectors[..] };
    message.msg_iov = vectors.as_mut_ptr();
    message.msg_iovlen = vectors.len() as _;
    if arrival.is_some() {
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
    }
    loop {
        // SAFETY: the header points to live vectors, and these to memory that may be written by the caller's promise.
        let received = unsafe { libc::recvmsg(fd.as_raw_fd(), &mut message, libc::MSG_DONTWAIT) };
        if received >= 0 {
            if let Some(arrival) = arrival {
                *arrival = time_of(&message);
            }
            return Ok(received as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// The time among the control messages of what was read.
fn time_of(message: &libc::msghdr) -> Option<Timestamp> {
    // SAFETY: msg_control points to live memory of which the kernel filled msg_controllen bytes; the macros stay within these.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(message);
        while let Some(found) = control.as_ref() {
            if (found.cmsg_level, found.cmsg_type) == (libc::SOL_SOCKET, libc::SO_TIMESTAMPING) {
                return read_timestamp(libc::CMSG_DATA(control));
            }
            control = libc::CMSG_NXTHDR(message, control);
        }
    }
    None
}

/// Writes some of `slices`, as many bytes as there is room for; waits for room as long as the socket's timeout says.
pub fn write(fd: BorrowedFd<'_>, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
    // SAFETY: msghdr is plain data for which all zeros is a valid value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // An IoSlice is an iovec. The kernel does not write to what is sent.
    message.msg_iov = slices.as_ptr().cast_mut().cast();
    message.msg_iovlen = slices.len().min(libc::UIO_MAXIOV as usize) as _;
    // SAFETY: the header points to live iovecs, and these to live bytes.
    let written = unsafe { libc::sendmsg(fd.as_raw_fd(), &message, libc::MSG_NOSIGNAL) };
    if written < 0 { Err(io::Error::last_os_error()) } else { Ok(written as usize) }
}

/// Whether the socket listens for connections.
pub fn is_listening(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut listens = 0i32;
    let mut len = size_of_val(&listens) as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, the size of an i32.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ACCEPTCONN,
            (&raw mut listens).cast(),
            &mut len,
        )
    };
    if result == 0 { Ok(listens != 0) } else { Err(io::Error::last_os_error()) }
}

/// Whether what accept(2) answers is about a connection that has gone already, or its network: the next one may be fine.
pub fn is_of_one_connection(error: &io::Error) -> bool {
    const CODES: [i32; 10] = [
        libc::EINTR,
        libc::ECONNABORTED,
        libc::ENETDOWN,
        libc::EPROTO,
        libc::ENOPROTOOPT,
        libc::EHOSTDOWN,
        libc::ENONET,
        libc::EHOSTUNREACH,
        libc::EOPNOTSUPP,
        libc::ENETUNREACH,
    ];
    error.raw_os_error().is_some_and(|code| CODES.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    #[test]
    fn one_read_fills_two_places() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (receiver, _) = listener.accept().unwrap();
        let (mut first, mut second) = ([0; 3], [0; 8]);
        // SAFETY: two arrays that live on.
        let read = |first: &mut [u8], second: &mut [u8]| unsafe {
            read(receiver.as_fd(), Span::of(first), Span::of(second), None)
        };
        assert_eq!(read(&mut first, &mut second).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        sender.write_all(b"abcdefg").unwrap();
        // Loopback delivers before the write returns.
        assert_eq!(read(&mut first, &mut second).unwrap(), 7);
        assert_eq!((&first, &second[..4]), (b"abc", &b"defg"[..]));
        sender.write_all(b"xy").unwrap();
        assert_eq!(read(&mut [], &mut second).unwrap(), 2);
        assert_eq!(&second[..4], b"xyfg");
        drop(sender);
        assert_eq!(read(&mut first, &mut second).unwrap(), 0);
        assert!(is_listening(listener.as_fd()).unwrap());
        assert!(!is_listening(receiver.as_fd()).unwrap());
    }
}
