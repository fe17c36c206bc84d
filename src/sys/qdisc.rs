//! Queueing disciplines, and the rate at which the kernel lets a socket's packets go.
//!
//! Plain calls; any thread.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The kernel lets no more than so many bytes per second of this socket go. TCP keeps to it by itself; other protocols if the device's queue is of the kind fq.
pub fn set_pacing_rate(fd: BorrowedFd<'_>, bytes_per_second: u64) -> io::Result<()> {
    // SAFETY: the kernel reads size_of::<u64>() bytes from a live u64.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MAX_PACING_RATE,
            (&raw const bytes_per_second).cast(),
            size_of::<u64>() as u32,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The index of the interface that has an address; `None` if none has.
pub fn interface_of(address: IpAddr) -> io::Result<Option<u32>> {
    let mut list = std::ptr::null_mut();
    // SAFETY: a place for the list, which is freed below.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let (mut found, mut next) = (None, list);
    while !next.is_null() && found.is_none() {
        // SAFETY: an element of the list, which lives until it is freed; its address is NULL or as long as its family says; its name is a C text.
        unsafe {
            let entry = &*next;
            next = entry.ifa_next;
            let own: Option<IpAddr> = match entry.ifa_addr.as_ref().map(|a| i32::from(a.sa_family)) {
                Some(libc::AF_INET) => {
                    let own = entry.ifa_addr.cast::<libc::sockaddr_in>().read_unaligned();
                    Some(IpAddr::from(own.sin_addr.s_addr.to_ne_bytes()))
                }
                Some(libc::AF_INET6) => {
                    let own = entry.ifa_addr.cast::<libc::sockaddr_in6>().read_unaligned();
                    Some(IpAddr::from(own.sin6_addr.s6_addr))
                }
                _ => None,
            };
            if own == Some(address) {
                found = Some(libc::if_nametoindex(entry.ifa_name)).filter(|&index| index > 0);
            }
        }
    }
    // SAFETY: the list from above, once.
    unsafe { libc::freeifaddrs(list) };
    Ok(found)
}

const HEADER: usize = 16;
/// A `tcmsg`: family and padding, then interface, handle, parent, info.
const TC_MESSAGE: usize = 20;
const TCA_KIND: u16 = 1;
/// Of the answer that ends a list, and of an error.
const DONE: u16 = libc::NLMSG_DONE as u16;
const FAILED: u16 = libc::NLMSG_ERROR as u16;

/// The kinds of the queueing disciplines of an interface: `fq`, `pfifo_fast`, …
pub fn kinds(interface: u32) -> io::Result<Vec<String>> {
    // SAFETY: no pointers.
    let fd =
        unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that is nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut request = Vec::with_capacity(HEADER + TC_MESSAGE);
    request.extend(((HEADER + TC_MESSAGE) as u32).to_ne_bytes());
    request.extend(libc::RTM_GETQDISC.to_ne_bytes());
    request.extend(((libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16).to_ne_bytes());
    request.resize(HEADER + TC_MESSAGE, 0);
    // SAFETY: the kernel reads the bytes of a live vector.
    if unsafe { libc::send(socket.as_raw_fd(), request.as_ptr().cast(), request.len(), 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut buffer = vec![0u8; 64 << 10];
    loop {
        // SAFETY: the kernel writes at most as many bytes as the buffer has.
        let size = unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        let size = usize::try_from(size).map_err(|_| io::Error::last_os_error())?;
        if size == 0 || read_answer(buffer.get(..size).unwrap_or_default(), interface, &mut found) {
            return Ok(found);
        }
    }
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// Adds the kinds that messages tell of an interface. True with the last message.
fn read_answer(mut messages: &[u8], interface: u32, found: &mut Vec<String>) -> bool {
    while let (Some(length), Some(kind)) = (number(messages, 0), number(messages, 4)) {
        let (length, kind) = (u32::from_ne_bytes(length) as usize, u16::from_ne_bytes(kind));
        let Some(message) = messages.get(..length).filter(|_| length >= HEADER) else { return true };
        if kind == DONE || kind == FAILED {
            return true;
        }
        if number(message, HEADER + 4).map(u32::from_ne_bytes) == Some(interface) {
            found.extend(kind_of(message.get(HEADER + TC_MESSAGE..).unwrap_or_default()));
        }
        messages = messages.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

/// The kind among the attributes of a message.
fn kind_of(mut attributes: &[u8]) -> Option<String> {
    while let (Some(length), Some(name)) = (number(attributes, 0), number(attributes, 2)) {
        let length = usize::from(u16::from_ne_bytes(length));
        let value = attributes.get(4..length)?;
        if u16::from_ne_bytes(name) == TCA_KIND {
            let text = value.split(|&byte| byte == 0).next()?;
            return Some(String::from_utf8_lossy(text).into_owned());
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_a_queue() {
        let index = interface_of(IpAddr::from([127, 0, 0, 1])).unwrap().unwrap();
        assert_eq!(index, crate::sys::interface::index("lo").unwrap());
        // One at least; which one depends on the system.
        let kinds = kinds(index).unwrap();
        assert!(!kinds.is_empty() && kinds.iter().all(|kind| !kind.is_empty()), "{kinds:?}");
        assert_eq!(interface_of(IpAddr::from([192, 0, 2, 1])).unwrap(), None);
    }

    #[test]
    fn the_rate_is_set() {
        use std::os::fd::AsFd;
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        set_pacing_rate(socket.as_fd(), 123_456_789).unwrap();
        let (mut rate, mut size) = (0u64, size_of::<u64>() as u32);
        // SAFETY: the kernel writes at most `size` bytes to a live u64.
        let result = unsafe {
            let fd = socket.as_raw_fd();
            libc::getsockopt(
                fd,
                libc::SOL_SOCKET,
                libc::SO_MAX_PACING_RATE,
                (&raw mut rate).cast(),
                &raw mut size,
            )
        };
        assert_eq!((result, rate), (0, 123_456_789));
    }

    #[test]
    fn cut_answers_are_the_end() {
        let mut found = vec![];
        for length in [0u32, 15, 17, 1000] {
            let mut message = length.to_ne_bytes().to_vec();
            message.resize(16, 0);
            assert!(read_answer(&message, 1, &mut found), "{length}");
        }
        assert!(found.is_empty());
        assert_eq!(kind_of(&[3, 0, 1, 0, b'f', b'q', 0]), None);
        assert_eq!(kind_of(&[7, 0, 1, 0, b'f', b'q', 0]).as_deref(), Some("fq"));
    }
}
