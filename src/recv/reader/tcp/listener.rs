//! The listening end of a TCP reader: a socket of its own, or a duplicate of the caller's. It never blocks.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Protocol, Socket, Type};

use super::config::TcpConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::log::Limited;
use crate::sys::tcp;
use crate::sys::udp::set_receive_buffer;

/// Connections that wait to be accepted at the most; the reader takes one at a time.
const BACKLOG: i32 = 16;

/// A listening socket.
pub(super) struct Listener {
    socket: Socket,
    address: SocketAddr,
    /// The receive buffer that a connection is to have, in bytes; 0 leaves it to the system.
    buffer_size: usize,
    small_buffers: Limited,
}

fn resolve(host: &str, port: u16) -> Result<SocketAddr> {
    if host.is_empty() {
        return Ok((Ipv4Addr::UNSPECIFIED, port).into());
    }
    (host, port)
        .to_socket_addrs()
        .map_err(|e| Error::io(format_args!("tcp reader: resolving host {host:?}"), &e))?
        .next()
        .ok_or_else(|| Error::new(ErrorKind::Io, format!("tcp reader: host {host:?} has no address")))
}

fn bind(address: SocketAddr, buffer_size: usize) -> Result<Socket> {
    let fail =
        |call: &'static str| move |e: io::Error| Error::io(format_args!("tcp reader: {call} {address}"), &e);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))
        .map_err(fail("a socket for"))?;
    // The last connection to this port may be remembered for a minute; that is no reason to refuse.
    socket.set_reuse_address(true).map_err(fail("SO_REUSEADDR for"))?;
    // Connections inherit it, and only so does it tell in what they announce when they are made.
    if let Err(what) = set_buffer_size(&socket, buffer_size) {
        log::warn!("tcp reader: {what}");
    }
    socket.bind(&address.into()).map_err(fail("bind to"))?;
    socket.listen(BACKLOG).map_err(fail("listen on"))?;
    Ok(socket)
}

/// Asks for a receive buffer. A kernel that grants less is worth a warning, not an error: the answer is its text.
fn set_buffer_size(socket: &Socket, size: usize) -> Result<(), String> {
    if size == 0 {
        return Ok(());
    }
    let result = set_receive_buffer(socket.as_fd(), size).and_then(|()| socket.recv_buffer_size());
    match result {
        // Linux doubles what it is asked for, for its own bookkeeping, and tells the double.
        Ok(granted) if granted / 2 >= size => Ok(()),
        Ok(granted) => Err(format!(
            "asked for a receive buffer of {size} bytes, the kernel grants {}; net.core.rmem_max limits it",
            granted / 2
        )),
        Err(error) => Err(format!("the receive buffer cannot be set to {size} bytes: {error}")),
    }
}

impl Listener {
    /// Listens as `config` says.
    pub(super) fn new(config: &mut TcpConfig) -> Result<Self> {
        let given = config.listener.take();
        let own = given.is_none();
        let socket = match given {
            Some(fd) => Socket::from(fd),
            None => bind(resolve(&config.host, config.port)?, config.buffer_size)?,
        };
        let fail = |call: &'static str| move |e: io::Error| Error::io(format_args!("tcp reader: {call}"), &e);
        let is_listener = socket.r#type().map_err(fail("getsockopt SO_TYPE"))? == Type::STREAM
            && tcp::is_listening(socket.as_fd()).map_err(fail("getsockopt SO_ACCEPTCONN"))?;
        if !is_listener {
            return Err(Error::invalid("acceptor_fd must be a listening stream socket"));
        }
        let address = socket
            .local_addr()
            .map_err(fail("getsockname"))?
            .as_socket()
            .ok_or_else(|| Error::invalid("acceptor_fd must be an IPv4 or IPv6 socket"))?;
        socket.set_nonblocking(true).map_err(fail("O_NONBLOCK"))?;
        // Our own has it set, and connections inherit it.
        let buffer_size = if own { 0 } else { config.buffer_size };
        Ok(Self {
            socket,
            address,
            buffer_size,
            small_buffers: Limited::new("tcp connections with a small buffer"),
        })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection and where it comes from; `None` if there is none yet.
    pub(super) fn accept(&mut self) -> Result<Option<(Socket, SocketAddr)>> {
        loop {
            match self.socket.accept() {
                Ok((socket, from)) => {
                    if let Err(what) = set_buffer_size(&socket, self.buffer_size) {
                        self.small_buffers.note(|| what);
                    }
                    // So that a sender whose machine has gone without a word is noticed some day.
                    let _ = socket.set_keepalive(true);
                    // A listening IPv4 or IPv6 socket has no others.
                    let from = from.as_socket().unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into());
                    return Ok(Some((socket, from)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if tcp::is_of_one_connection(&error) => {}
                Err(error) => {
                    let call = format_args!("tcp reader: accept on {}", self.address);
                    return Err(Error::io(call, &error));
                }
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
