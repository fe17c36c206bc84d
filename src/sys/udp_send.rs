//! Sending UDP datagrams many at a time: sendmmsg(2), with generic segmentation offload (GSO) where the kernel has it.
//!
//! With GSO one message carries several datagrams of the same size (the last may be shorter), and the kernel walks its path once for all. Nothing is
//! copied before the kernel does it.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd};

use super::gather::Gather;

/// Datagrams in a message, and bytes of all of them: limits of the kernel, for either version of IP.
const MOST_SEGMENTS: usize = 64;
const MOST_BYTES: usize = 65_535 - 40 - 8;

/// Places in memory of a message (`UIO_MAXIOV`).
pub const MOST_PARTS: usize = 1024;

/// Messages in a system call.
const MOST_MESSAGES: usize = 64;

/// The control message that says how large the datagrams are: header, u16, and padding.
const CONTROL_WORDS: usize = 4;

/// The error of a datagram that is larger than its path, or IP, allows.
pub const TOO_LARGE: i32 = libc::EMSGSIZE;

/// The error of a device whose queue is full.
pub const QUEUE_FULL: i32 = libc::ENOBUFS;

/// What came of sending.
#[derive(Debug)]
pub struct Sent {
    /// So many datagrams were taken by the kernel: the first ones.
    pub datagrams: usize,
    /// Why not all of them; it need not be about the next one, as news of earlier ones come like this, too.
    pub error: Option<io::Error>,
}

/// Sends datagrams over a connected socket, waiting for space as long as the socket's timeout says. `gso` is set to false where the kernel or the
/// device turns out not to have it.
pub fn send(fd: BorrowedFd<'_>, datagrams: &[Gather<'_>], gso: &mut bool) -> Sent {
    let mut done = 0;
    while let Some(rest) = datagrams.get(done..).filter(|rest| !rest.is_empty()) {
        let messages = divide(rest, *gso);
        match send_messages(fd, rest, &messages) {
            Ok(count) => done += messages.iter().take(count).sum::<usize>(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if messages.first().is_some_and(|&n| n > 1) && is_about_gso(&error) => *gso = false,
            Err(error) => return Sent { datagrams: done, error: Some(error) },
        }
    }
    Sent { datagrams: done, error: None }
}

/// Whether datagrams might go one by one that do not go together. Where they don't either, that tells why.
fn is_about_gso(error: &io::Error) -> bool {
    const CODES: [i32; 6] =
        [libc::EINVAL, libc::EIO, libc::EMSGSIZE, libc::EOPNOTSUPP, libc::ENOPROTOOPT, libc::EPROTONOSUPPORT];
    error.raw_os_error().is_some_and(|code| CODES.contains(&code))
}

/// How many datagrams each message of the next call has.
fn divide(datagrams: &[Gather<'_>], gso: bool) -> Vec<usize> {
    let mut messages = Vec::with_capacity(MOST_MESSAGES);
    let mut rest = datagrams;
    while let Some((first, others)) = rest.split_first()
        && messages.len() < MOST_MESSAGES
    {
        let (mut count, mut bytes, mut parts) = (1, first.size, first.parts());
        for other in others {
            let fits = gso
                && first.size > 0
                && count < MOST_SEGMENTS
                && other.size <= first.size
                && other.size > 0
                && bytes + other.size <= MOST_BYTES
                && parts + other.parts() <= MOST_PARTS;
            if !fits {
                break;
            }
            (count, bytes, parts) = (count + 1, bytes + other.size, parts + other.parts());
            if other.size < first.size {
                break;
            }
        }
        messages.push(count);
        rest = rest.get(count..).unwrap_or_default();
    }
    messages
}

/// One system call. Returns how many messages it sent.
fn send_messages(fd: BorrowedFd<'_>, datagrams: &[Gather<'_>], messages: &[usize]) -> io::Result<usize> {
    let total: usize = messages.iter().sum();
    let datagrams = datagrams.get(..total).unwrap_or_default();
    let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(datagrams.iter().map(Gather::parts).sum());
    datagrams.iter().for_each(|datagram| datagram.add_to(&mut slices));
    let mut controls = [[0u64; CONTROL_WORDS]; MOST_MESSAGES];
    let mut headers = Vec::with_capacity(messages.len());
    let (mut datagram, mut slice) = (0, 0);
    for (&count, control) in messages.iter().zip(&mut controls) {
        let of_message = datagrams.get(datagram..datagram + count).unwrap_or_default();
        let parts: usize = of_message.iter().map(Gather::parts).sum();
        // SAFETY: mmsghdr is plain data for which all zeros is a valid value.
        let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        let vectors = slices.get_mut(slice..slice + parts).unwrap_or_default();
        // An IoSlice is an iovec. The kernel does not write to what is sent.
        header.msg_hdr.msg_iov = vectors.as_mut_ptr().cast();
        header.msg_hdr.msg_iovlen = parts as _;
        if count > 1 {
            let size = of_message.first().map_or(0, |first| first.size) as u16;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            // SAFETY: the macros compute sizes; the control message of a u16 fits in CONTROL_WORDS, which are aligned for it.
            unsafe {
                header.msg_hdr.msg_controllen = libc::CMSG_SPACE(size_of::<u16>() as u32) as _;
                let message = libc::CMSG_FIRSTHDR(&header.msg_hdr);
                (*message).cmsg_level = libc::SOL_UDP;
                (*message).cmsg_type = libc::UDP_SEGMENT;
                (*message).cmsg_len = libc::CMSG_LEN(size_of::<u16>() as u32) as _;
                libc::CMSG_DATA(message).cast::<u16>().write_unaligned(size);
            }
        }
        headers.push(header);
        (datagram, slice) = (datagram + count, slice + parts);
    }
    // SAFETY: every header points to live iovecs and a live control message, and these to live bytes; all outlive the call.
    let sent = unsafe {
        libc::sendmmsg(fd.as_raw_fd(), headers.as_mut_ptr(), headers.len() as u32, libc::MSG_NOSIGNAL as _)
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(sent as usize) }
}

/// Whether datagrams are to be refused that are larger than the path allows, instead of being sent in fragments.
pub fn set_dont_fragment(fd: BorrowedFd<'_>, is_v6: bool, on: bool) -> io::Result<()> {
    let (level, name) = match is_v6 {
        true => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER),
        false => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER),
    };
    let value: i32 = if on { libc::IP_PMTUDISC_DO } else { libc::IP_PMTUDISC_DONT };
    // SAFETY: the kernel reads size_of::<i32>() bytes from a live i32.
    let result = unsafe {
        libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), size_of::<i32>() as u32)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has a connected socket told of all that becomes known of its datagrams: that a queue on the way out was full and dropped one (otherwise the kernel says that it was sent), that
/// nobody answers at an address.
pub fn report_all_errors(fd: BorrowedFd<'_>, is_v6: bool) -> io::Result<()> {
    let (level, name) = match is_v6 {
        true => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
        false => (libc::IPPROTO_IP, libc::IP_RECVERR),
    };
    let value: i32 = 1;
    // SAFETY: the kernel reads size_of::<i32>() bytes from a live i32.
    let result = unsafe {
        libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), size_of::<i32>() as u32)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Chooses the interface on which datagrams to IPv4 groups leave.
pub fn set_multicast_interface_v4(fd: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    let request = libc::ip_mreqn {
        imr_multiaddr: libc::in_addr { s_addr: 0 },
        imr_address: libc::in_addr { s_addr: 0 },
        imr_ifindex: i32::try_from(index).unwrap_or(i32::MAX),
    };
    // SAFETY: the kernel reads size_of_val(&request) bytes from a live struct.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_MULTICAST_IF,
            (&raw const request).cast(),
            size_of_val(&request) as u32,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    fn pair() -> (UdpSocket, UdpSocket) {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        receiver.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        (sender, receiver)
    }

    /// With and without GSO the same datagrams come, whatever their sizes and the places that they lie in.
    #[test]
    fn datagrams_come_as_they_are() {
        let bytes: Vec<u8> = (0..5000u32).map(|i| (i * 7) as u8).collect();
        let sizes = [100, 100, 100, 40, 100, 100, 200, 200, 0, 1, 1, 1, 300];
        let bodies: Vec<Vec<&[u8]>> = sizes
            .iter()
            .enumerate()
            .map(|(i, &n)| vec![&bytes[i..i + n / 2], &bytes[3..3 + n - n / 2]])
            .collect();
        let head = [9; 8];
        let datagrams: Vec<_> = bodies
            .iter()
            .map(|body| Gather::new(if body[1].is_empty() { &[] } else { &head }, body))
            .collect();
        for gso in [true, false] {
            let (sender, receiver) = pair();
            let sent = send(sender.as_fd(), &datagrams, &mut { gso });
            assert_eq!((sent.datagrams, sent.error.map(|e| e.kind())), (datagrams.len(), None));
            for datagram in &datagrams {
                let mut buffer = [0; 2000];
                let n = receiver.recv(&mut buffer).unwrap();
                assert_eq!(buffer[..n], [datagram.head, &datagram.body.concat()].concat(), "{gso}");
            }
        }
    }

    #[test]
    fn messages_keep_to_the_limits() {
        let bytes = vec![0; 9000];
        let of = |size: usize| Gather { head: &bytes[..size], body: &[], size };
        assert_eq!(divide(&[of(1000); 200], true), [64, 64, 64, 8]);
        assert_eq!(divide(&[of(9000); 8], true), [7, 1]);
        assert_eq!(divide(&[of(10), of(10), of(9), of(9), of(10)], true), [3, 1, 1]);
        assert_eq!(divide(&[of(10); 3], false), [1, 1, 1]);
        assert_eq!(divide(&[of(10); 100], false).len(), MOST_MESSAGES);
        let body = [&[0u8; 1][..]; 400];
        let many = Gather::new(&[], &body);
        assert_eq!(divide(&[many; 4], true), [2, 2]);
    }

    #[test]
    fn errors_tell_how_far_it_came() {
        let (sender, receiver) = pair();
        set_dont_fragment(sender.as_fd(), false, true).unwrap();
        let large = vec![0; 65_600];
        let datagrams = [Gather::new(b"small", &[]), Gather::new(&large, &[]), Gather::new(b"last", &[])];
        let sent = send(sender.as_fd(), &datagrams, &mut true);
        assert_eq!((sent.datagrams, sent.error.unwrap().raw_os_error()), (1, Some(libc::EMSGSIZE)));
        drop(receiver);
        let refused = (0..2).find_map(|_| send(sender.as_fd(), &datagrams[..1], &mut true).error);
        assert_eq!(refused.unwrap().kind(), io::ErrorKind::ConnectionRefused);
    }
}
