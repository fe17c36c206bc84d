//! What sockets of senders have in common: addresses, buffers, timeouts.

use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;

use socket2::{Socket, Type};

use super::PATIENCE;
use crate::error::{Error, ErrorKind, Result};

/// A destination: a host by its name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Name or address.
    pub host: String,
    /// Port; not 0.
    pub port: u16,
}

/// The first address of a destination.
pub(super) fn resolve(what: &str, destination: &Destination) -> Result<SocketAddr> {
    let Destination { host, port } = destination;
    if host.is_empty() || *port == 0 {
        return Err(Error::invalid(format!(
            "{what}: a destination needs a host and a port between 1 and 65535 (got {host:?}, {port})"
        )));
    }
    (host.as_str(), *port)
        .to_socket_addrs()
        .map_err(|e| Error::io(format_args!("{what}: resolving host {host:?}"), &e))?
        .next()
        .ok_or_else(|| Error::new(ErrorKind::Io, format!("{what}: host {host:?} has no address")))
}

/// A socket of somebody's that is to be of that type; it blocks from now on.
pub(super) fn adopt(what: &str, socket: OwnedFd, wanted: Type) -> Result<Socket> {
    let socket = Socket::from(socket);
    // What is no socket has no type.
    if socket.r#type().ok() != Some(wanted) {
        let name = if wanted == Type::DGRAM { "a UDP" } else { "a TCP" };
        return Err(Error::invalid(format!("{what}: the descriptor given must be that of {name} socket")));
    }
    let set = socket.set_nonblocking(false);
    set.map_err(|e| Error::io(format_args!("{what}: having the socket block"), &e))?;
    Ok(socket)
}

/// Asks for a send buffer and sets how long a call may wait; a kernel that grants less is worth a warning, not an error.
pub(super) fn prepare(what: &str, socket: &Socket, buffer_size: usize) -> Result<()> {
    if buffer_size > 0 {
        let result = socket.set_send_buffer_size(buffer_size).and_then(|()| socket.send_buffer_size());
        match result {
            // Linux doubles what it is asked for, for its own bookkeeping, and tells the double.
            Ok(granted) if granted / 2 >= buffer_size => {}
            Ok(granted) => log::warn!(
                "{what}: asked for a send buffer of {buffer_size} bytes, the kernel grants {}; net.core.wmem_max limits it",
                granted / 2
            ),
            Err(error) => log::warn!("{what}: the send buffer cannot be set to {buffer_size} bytes: {error}"),
        }
    }
    socket.set_write_timeout(Some(PATIENCE)).map_err(|e| Error::io(format_args!("{what}: SO_SNDTIMEO"), &e))
}
