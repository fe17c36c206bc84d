//! Receiving UDP datagrams many at a time: recvmmsg(2), with generic receive offload (GRO) where the kernel has it.
//!
//! A GRO message carries several datagrams of one sender back to back, all but the last equally long; the kernel
//! says how long. The count of datagrams that the kernel had to drop comes along with the data (`SO_RXQ_OVFL`) and can
//! be asked for at any time (`SO_MEMINFO`), so that a loss at the very end is seen as well.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::mmap::Mapping;

/// The largest message: an IP packet's length is 16 bits, and GRO keeps to that.
const LARGEST_MESSAGE: usize = 65_536;

/// How much further than its size a message's buffer is from the next: without it, buffers whose distance is a power of two
/// would all compete for the same few sets of the caches.
const SKEW: usize = 9 * 1024 + 64;

/// Room for the three control messages that we ask for, with their headers and alignment; the kernel needs 112.
const CONTROL_WORDS: usize = 16;

/// Positions in the array that `SO_MEMINFO` fills (linux/sock_diag.h).
const SK_MEMINFO_RMEM_ALLOC: usize = 0;
const SK_MEMINFO_RCVBUF: usize = 1;
const SK_MEMINFO_DROPS: usize = 8;
const SK_MEMINFO_VARS: usize = 9;

/// Sets an integer socket option.
fn set_option(fd: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: the kernel reads size_of::<i32>() bytes from a live i32.
    let result = unsafe {
        libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), size_of::<i32>() as u32)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Switches GRO on or off. True if it is on; where it is not, datagrams come one a message.
pub fn set_gro(fd: BorrowedFd<'_>, on: bool) -> bool {
    set_option(fd, libc::SOL_UDP, libc::UDP_GRO, on.into()).is_ok() && on
}

/// Asks for the kernel's drop counter beside the data. False where it has none.
pub fn enable_drop_count(fd: BorrowedFd<'_>) -> bool {
    set_option(fd, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1).is_ok()
}

/// Asks for a receive buffer of `size` bytes, above the system's limit where the process may do that.
pub fn set_receive_buffer(fd: BorrowedFd<'_>, size: usize) -> io::Result<()> {
    let size = i32::try_from(size).unwrap_or(i32::MAX);
    set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, size)
        .or_else(|_| set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, size))
}

/// What the kernel tells of a socket's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketMemory {
    /// Bytes that what has arrived takes, with the kernel's own for it.
    pub held: usize,
    /// Bytes beyond which datagrams are dropped.
    pub limit: usize,
    /// How many were dropped for want of room, modulo 2^32.
    pub drops: u32,
}

/// How full a socket's receive buffer is; `None` where the kernel does not say.
pub fn memory(fd: BorrowedFd<'_>) -> Option<SocketMemory> {
    let mut info = [0u32; SK_MEMINFO_VARS];
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, the size of `info`.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            info.as_mut_ptr().cast(),
            &mut len,
        )
    };
    (result == 0 && len as usize == size_of_val(&info)).then(|| SocketMemory {
        held: info[SK_MEMINFO_RMEM_ALLOC] as usize,
        limit: info[SK_MEMINFO_RCVBUF] as usize,
        drops: info[SK_MEMINFO_DROPS],
    })
}

/// How many datagrams the kernel has dropped for want of room in this socket's buffer, modulo 2^32.
pub fn drop_count(fd: BorrowedFd<'_>) -> Option<u32> {
    memory(fd).map(|memory| memory.drops)
}

/// Asks for the time at which packets arrive, beside the data: taken by the kernel and, if `hardware`, also by a network card
/// that does so.
pub fn enable_timestamps(fd: BorrowedFd<'_>, hardware: bool) -> io::Result<()> {
    let mut flags = libc::SOF_TIMESTAMPING_RX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE;
    if hardware {
        flags |= libc::SOF_TIMESTAMPING_RX_HARDWARE | libc::SOF_TIMESTAMPING_RAW_HARDWARE;
    }
    set_option(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPING, flags as i32)
}

/// When a packet arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp {
    /// Nanoseconds since the Unix epoch.
    pub nanoseconds: u64,
    /// Taken by the network card.
    pub hardware: bool,
}

/// Reads the control message of type `SO_TIMESTAMPING`: three times, of which the first is the kernel's and the third that of the card; 0
/// where there is none.
///
/// # Safety
/// `value` points to three `timespec`, aligned or not.
pub(super) unsafe fn read_timestamp(value: *const u8) -> Option<Timestamp> {
    // SAFETY: the caller's promise.
    let [software, _, hardware] = unsafe { value.cast::<[libc::timespec; 3]>().read_unaligned() };
    let nanoseconds = |time: libc::timespec| {
        let whole = u64::try_from(time.tv_sec).ok()?.checked_mul(1_000_000_000)?;
        whole.checked_add(u64::try_from(time.tv_nsec).ok()?).filter(|&time| time > 0)
    };
    match (nanoseconds(hardware), nanoseconds(software)) {
        (Some(nanoseconds), _) => Some(Timestamp { nanoseconds, hardware: true }),
        (None, Some(nanoseconds)) => Some(Timestamp { nanoseconds, hardware: false }),
        (None, None) => None,
    }
}

/// One message out of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The bytes: one datagram, or several of `segment` bytes each (the last may be shorter).
    pub data: &'a [u8],
    /// The length of the datagrams in `data`; at least 1.
    pub segment: usize,
    /// The datagram was longer than the buffer; `data` is its beginning.
    pub truncated: bool,
    /// How many datagrams the kernel had dropped when this one came (modulo 2^32), where it says.
    pub drops: Option<u32>,
    /// When it arrived, if that was asked for.
    pub arrival: Option<Timestamp>,
    /// Who sent it, in a batch with senders.
    pub sender: Option<IpAddr>,
}

/// Buffers for a batch of messages.
///
/// Invariant: `headers[i]` points to `vectors[i]`, `controls[i]` and, if there are names, `names[i]`, and `vectors[i]` to `message_size` bytes of
/// `memory` from `i * stride` on. All of these live on the heap and never move while the batch lives.
pub struct Batch {
    headers: Box<[libc::mmsghdr]>,
    _vectors: Box<[libc::iovec]>,
    controls: Box<[[u64; CONTROL_WORDS]]>,
    /// Where senders' addresses go; empty if nobody wants them.
    names: Box<[libc::sockaddr_storage]>,
    memory: Mapping,
    message_size: usize,
    /// From one message's buffer to the next.
    stride: usize,
    /// How many messages the last call filled.
    filled: usize,
}

// SAFETY: the raw pointers in `headers` point into the batch's own allocations, which move with it between threads.
unsafe impl Send for Batch {}

impl Batch {
    /// Buffers for `messages` messages of up to `max_size` bytes, or of any size when `gro` is on; with the addresses of their
    /// `senders`, or without.
    pub fn new(messages: usize, max_size: usize, gro: bool, senders: bool) -> io::Result<Self> {
        let message_size = if gro { LARGEST_MESSAGE } else { max_size.clamp(1, LARGEST_MESSAGE) };
        let stride = message_size + SKEW;
        let memory = Mapping::new(stride * messages, 0, false)?;
        memory.advise_huge();
        let mut vectors: Box<[libc::iovec]> = (0..messages)
            .map(|i| libc::iovec {
                iov_base: memory.start().as_ptr().wrapping_add(i * stride).cast(),
                iov_len: message_size,
            })
            .collect();
        let mut controls = vec![[0u64; CONTROL_WORDS]; messages].into_boxed_slice();
        // SAFETY: sockaddr_storage is plain data for which all zeros is a valid value.
        let no_name: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        let mut names = vec![no_name; if senders { messages } else { 0 }].into_boxed_slice();
        let headers = (0..messages)
            .map(|i| {
                // SAFETY: mmsghdr is plain data for which all zeros is a valid value.
                let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
                header.msg_hdr.msg_iov = &raw mut vectors[i];
                header.msg_hdr.msg_iovlen = 1;
                header.msg_hdr.msg_control = controls[i].as_mut_ptr().cast();
                if let Some(name) = names.get_mut(i) {
                    header.msg_hdr.msg_name = (&raw mut *name).cast();
                }
                header
            })
            .collect();
        Ok(Self { headers, _vectors: vectors, controls, names, memory, message_size, stride, filled: 0 })
    }

    /// How many messages a batch holds.
    pub fn capacity(&self) -> usize {
        self.headers.len()
    }

    /// Receives what is there without waiting, replacing what the batch held. `Ok(0)` means that nothing is there.
    pub fn receive(&mut self, fd: BorrowedFd<'_>) -> io::Result<usize> {
        for header in &mut *self.headers {
            header.msg_hdr.msg_flags = 0;
            header.msg_hdr.msg_controllen = size_of_val(&self.controls[0]) as _;
            if !self.names.is_empty() {
                header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as _;
            }
        }
        self.filled = 0;
        loop {
            // SAFETY: by the invariant every header points to live memory of the lengths that it states.
            let received = unsafe {
                libc::recvmmsg(
                    fd.as_raw_fd(),
                    self.headers.as_mut_ptr(),
                    self.headers.len() as u32,
                    libc::MSG_DONTWAIT as _,
                    std::ptr::null_mut(),
                )
            };
            if received >= 0 {
                self.filled = received as usize;
                return Ok(self.filled);
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return Ok(0),
                _ => return Err(error),
            }
        }
    }

    /// When the `index`-th message of the last [`receive`](Self::receive) arrived: where it has no time, that of the next one
    /// which has, as it came no later.
    ///
    /// # Panics
    /// As [`message`](Self::message).
    pub fn arrival(&self, index: usize) -> Option<Timestamp> {
        let first = self.message(index).arrival;
        first.or_else(|| (index + 1..self.filled).find_map(|later| self.message(later).arrival))
    }

    /// The `index`-th message of the last [`receive`](Self::receive).
    ///
    /// # Panics
    /// If `index` is not below the number that it returned.
    pub fn message(&self, index: usize) -> Message<'_> {
        assert!(index < self.filled, "message {index} of {}", self.filled);
        let header = &self.headers[index];
        let len = (header.msg_len as usize).min(self.message_size);
        let mut segment = len;
        let (mut drops, mut arrival) = (None, None);
        // SAFETY: msg_control points to controls[index], of which the kernel filled msg_controllen bytes; the CMSG
        // macros stay within these, and values are read unaligned with the size the kernel gives them.
        unsafe {
            let mut control = libc::CMSG_FIRSTHDR(&header.msg_hdr);
            while let Some(message) = control.as_ref() {
                let value = libc::CMSG_DATA(control);
                match (message.cmsg_level, message.cmsg_type) {
                    (libc::SOL_UDP, libc::UDP_GRO) => segment = value.cast::<i32>().read_unaligned() as usize,
                    (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                        drops = Some(value.cast::<u32>().read_unaligned())
                    }
                    (libc::SOL_SOCKET, libc::SO_TIMESTAMPING) => arrival = read_timestamp(value),
                    _ => {}
                }
                control = libc::CMSG_NXTHDR(&header.msg_hdr, control);
            }
        }
        let truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        // SAFETY: the stretch lies within `memory` by the invariant, and the kernel has written its first `len` bytes.
        let data =
            unsafe { std::slice::from_raw_parts(self.memory.start().as_ptr().add(index * self.stride), len) };
        let sender = self.names.get(index).and_then(ip_address);
        Message { data, segment: segment.max(1), truncated, drops, arrival, sender }
    }
}

/// The address that the kernel wrote.
fn ip_address(name: &libc::sockaddr_storage) -> Option<IpAddr> {
    let name = &raw const *name;
    // SAFETY: the storage is large enough for either type, aligned for both, and plain data; its family says which it is.
    unsafe {
        match i32::from((*name).ss_family) {
            libc::AF_INET => {
                let address = u32::from_be((*name.cast::<libc::sockaddr_in>()).sin_addr.s_addr);
                Some(IpAddr::V4(address.into()))
            }
            libc::AF_INET6 => Some(IpAddr::V6((*name.cast::<libc::sockaddr_in6>()).sin6_addr.s6_addr.into())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    #[test]
    fn receives_in_batches_and_reports_truncation() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = receiver.local_addr().unwrap();
        for datagram in [&b"one"[..], b"", b"longer than eight"] {
            sender.send_to(datagram, to).unwrap();
        }
        let mut batch = Batch::new(2, 8, false, true).unwrap();
        assert_eq!(batch.receive(receiver.as_fd()).unwrap(), 2);
        assert_eq!(batch.message(0).data, b"one");
        assert_eq!(batch.message(0).sender, Some(sender.local_addr().unwrap().ip()));
        assert_eq!(batch.message(1).data, b"");
        assert_eq!(batch.receive(receiver.as_fd()).unwrap(), 1);
        let message = batch.message(0);
        assert!(message.truncated);
        assert_eq!(message.data, b"longer t");
        assert_eq!(batch.receive(receiver.as_fd()).unwrap(), 0);
    }

    /// Whether or not another test has made the kernel take times already.
    #[test]
    fn a_message_without_a_time_has_that_of_the_next() {
        let [early, late] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(b"1", early.local_addr().unwrap()).unwrap();
        for socket in [&early, &late] {
            enable_timestamps(socket.as_fd(), false).unwrap();
        }
        let mut batch = Batch::new(2, 8, false, false).unwrap();
        loop {
            sender.send_to(b"is it on?", late.local_addr().unwrap()).unwrap();
            assert_eq!(batch.receive(late.as_fd()).unwrap(), 1);
            if batch.arrival(0).is_some() {
                break;
            }
        }
        sender.send_to(b"2", early.local_addr().unwrap()).unwrap();
        assert_eq!(batch.receive(early.as_fd()).unwrap(), 2);
        let [first, second] = [0, 1].map(|i| batch.arrival(i).unwrap().nanoseconds);
        assert!(first <= second, "{first} {second}");
    }

    #[test]
    fn the_kernel_tells_what_it_dropped() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(enable_drop_count(receiver.as_fd()));
        set_receive_buffer(receiver.as_fd(), 4096).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut sent = 0u32;
        for _ in 0..200 {
            sender.send_to(&[0; 1000], receiver.local_addr().unwrap()).unwrap();
            sent += 1;
        }
        let mut batch = Batch::new(256, 2000, false, false).unwrap();
        let received = batch.receive(receiver.as_fd()).unwrap() as u32;
        assert!(received < sent);
        assert_eq!(drop_count(receiver.as_fd()), Some(sent - received));
    }
}
