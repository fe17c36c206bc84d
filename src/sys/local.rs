//! Sockets between processes of a host, in the abstract namespace: nothing in any file system, and the other end is told at once when a process
//! dies. Descriptors can be handed over.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

/// Descriptors in one message at the most.
const MOST_FDS: usize = 4;

/// Room for a control message with so many.
#[repr(align(8))]
struct Control([u8; 64]);

/// Listens under a name.
#[derive(Debug)]
pub struct Listener(Socket);

/// One end of a connection.
#[derive(Debug)]
pub struct Connection(Socket);

/// Abstract names begin with a zero byte.
fn address(name: &str) -> io::Result<SockAddr> {
    SockAddr::unix(format!("\0{name}"))
}

impl Listener {
    /// Listens under `name`; an error if another does.
    pub fn new(name: &str) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&address(name)?)?;
        socket.listen(64)?;
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    /// The next connection, if one waits. It does not block.
    pub fn accept(&self) -> io::Result<Connection> {
        let (socket, _) = self.0.accept()?;
        socket.set_nonblocking(true)?;
        Ok(Connection(socket))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Connection {
    /// Connects to whoever listens under `name`, and waits for that and for every message at most so long.
    pub fn new(name: &str, most: Duration) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_write_timeout(Some(most))?;
        socket.set_read_timeout(Some(most))?;
        socket.connect(&address(name)?)?;
        Ok(Self(socket))
    }

    /// The user of the process at the other end: that which listened, or connected.
    pub fn peer_user(&self) -> io::Result<u32> {
        let mut found = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut size = size_of::<libc::ucred>() as libc::socklen_t;
        // SAFETY: writes at most `size` bytes to a live ucred.
        let result = unsafe {
            libc::getsockopt(
                self.0.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut found).cast(),
                &raw mut size,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(found.uid)
    }

    /// Sends a message that is short enough never to be split, with descriptors.
    pub fn send(&self, message: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        if fds.len() > MOST_FDS {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let raw: Vec<i32> = fds.iter().map(|fd| fd.as_raw_fd()).collect();
        let bytes = size_of::<i32>() * raw.len();
        let mut control = Control([0; 64]);
        let mut part = libc::iovec { iov_base: message.as_ptr().cast_mut().cast(), iov_len: message.len() };
        // SAFETY: all zero bytes are a msghdr.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        if !raw.is_empty() {
            header.msg_control = control.0.as_mut_ptr().cast();
            // SAFETY: computes a size.
            header.msg_controllen = unsafe { libc::CMSG_SPACE(bytes as u32) } as usize;
            // SAFETY: the control buffer is aligned for a cmsghdr and has room for MOST_FDS descriptors, which was checked.
            unsafe {
                let first = libc::CMSG_FIRSTHDR(&raw const header);
                (*first).cmsg_level = libc::SOL_SOCKET;
                (*first).cmsg_type = libc::SCM_RIGHTS;
                (*first).cmsg_len = libc::CMSG_LEN(bytes as u32) as usize;
                libc::CMSG_DATA(first).copy_from_nonoverlapping(raw.as_ptr().cast(), bytes);
            }
        }
        // SAFETY: the header names live buffers only.
        let sent = unsafe { libc::sendmsg(self.0.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL) };
        match usize::try_from(sent) {
            Err(_) => Err(io::Error::last_os_error()),
            Ok(sent) if sent == message.len() => Ok(()),
            Ok(_) => Err(io::ErrorKind::WriteZero.into()),
        }
    }

    /// Receives into `message`, and the descriptors that came with it. Returns how many bytes came; 0: the other end is closed.
    pub fn receive(&self, message: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        let mut control = Control([0; 64]);
        let mut part = libc::iovec { iov_base: message.as_mut_ptr().cast(), iov_len: message.len() };
        // SAFETY: all zero bytes are a msghdr.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = control.0.len();
        let count = loop {
            // SAFETY: the header names live buffers with their sizes.
            let count = unsafe { libc::recvmsg(self.0.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) };
            match usize::try_from(count) {
                Ok(count) => break count,
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        };
        let mut fds = Vec::new();
        // SAFETY: the kernel has filled the control buffer and says how far; what SCM_RIGHTS carries are descriptors that are now ours.
        unsafe {
            let mut next = libc::CMSG_FIRSTHDR(&raw const header);
            while !next.is_null() {
                if ((*next).cmsg_level, (*next).cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                    let bytes = (*next).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                    for i in 0..bytes / size_of::<i32>() {
                        let mut fd = MaybeUninit::<i32>::uninit();
                        let from = libc::CMSG_DATA(next).add(i * size_of::<i32>());
                        fd.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(from, size_of::<i32>());
                        fds.push(OwnedFd::from_raw_fd(fd.assume_init()));
                    }
                }
                next = libc::CMSG_NXTHDR(&raw const header, next);
            }
        }
        Ok((count, fds))
    }
}

/// The user of this process, as the other end of a connection sees it.
pub fn own_user() -> u32 {
    // SAFETY: no pointers; it cannot fail.
    unsafe { libc::geteuid() }
}

/// A descriptor that is readable while one of these is, or is hung up.
pub fn any_of(fds: &[BorrowedFd<'_>]) -> io::Result<OwnedFd> {
    // SAFETY: no pointers; a non-negative result is a descriptor that we own.
    let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    if epoll < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just returned and owned by nobody else.
    let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
    for fd in fds {
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLRDHUP) as u32, u64: 0 };
        // SAFETY: a live event.
        let added = unsafe {
            libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &raw mut event)
        };
        if added < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(epoll)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::poll;

    fn name() -> String {
        format!("aqueduct-test-local-{}-{:?}", std::process::id(), std::thread::current().id())
    }

    #[test]
    fn descriptors_and_death_cross() {
        let listener = Listener::new(&name()).unwrap();
        assert_eq!(Listener::new(&name()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let client = Connection::new(&name(), Duration::from_secs(5)).unwrap();
        let server = listener.accept().unwrap();
        assert_eq!((client.peer_user().unwrap(), server.peer_user().unwrap()), (own_user(), own_user()));
        let event = crate::sys::eventfd::EventFd::new().unwrap();
        server.send(b"hello", &[event.as_fd(), listener.as_fd()]).unwrap();
        let mut message = [0; 16];
        let (count, fds) = client.receive(&mut message).unwrap();
        assert_eq!((&message[..count], fds.len()), (&b"hello"[..], 2));
        let any = any_of(&[fds[0].as_fd(), client.as_fd()]).unwrap();
        assert!(!poll::is_readable(any.as_fd()));
        event.raise();
        assert!(poll::is_readable(any.as_fd()) && poll::is_readable(fds[0].as_fd()));
        event.lower();
        assert!(!poll::is_readable(any.as_fd()));
        drop(server);
        assert!(poll::is_readable(any.as_fd()));
        assert_eq!(client.receive(&mut message).unwrap().0, 0);
        assert!(client.send(b"too late", &[]).is_err());
    }

    #[test]
    fn nobody_there() {
        let error = Connection::new(&name(), Duration::from_secs(5)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(Listener::new(&"x".repeat(200)).is_err());
    }
}
