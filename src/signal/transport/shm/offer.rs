//! What a process is given that asks another for shared memory: the other side of `server.rs`.
//!
//! One thread. Invariant: what is given out has the size that was asked for, and cannot shrink.

use std::os::fd::OwnedFd;
use std::time::Duration;

use super::layout::{OFFER, PAGE, parse_offer};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::eventfd::EventFd;
use crate::sys::local::{Connection, own_user};
use crate::sys::memfd::MemFd;

/// How long the other side may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Shared memory, and what is needed to be told of news.
#[derive(Debug)]
pub(in crate::signal) struct Offer {
    /// Its end is that of the other side.
    pub connection: Connection,
    /// Raised by the other side.
    pub event: EventFd,
    memory: Option<(OwnedFd, OwnedFd)>,
}

impl Offer {
    /// Asks who listens under that name.
    pub fn fetch(name: &str) -> Result<Self> {
        if name.is_empty() || name.len() > 100 || name.contains('\0') {
            return Err(Error::invalid("the name must have 1 to 100 bytes, none of them 0"));
        }
        let connection = Connection::new(name, PATIENCE).map_err(|e| match e.kind() {
            std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NotFound => gone(),
            std::io::ErrorKind::WouldBlock => silent(),
            _ => Error::io("connecting", &e),
        })?;
        let user = connection.peer_user().map_err(|e| Error::io("asking who listens", &e))?;
        if user != own_user() {
            let reason = format!("the output must be of user {} (it is of {user})", own_user());
            return Err(Error::new(ErrorKind::Io, reason));
        }
        let mut offer = [0; OFFER];
        let (count, fds) = connection.receive(&mut offer).map_err(|e| match e.kind() {
            std::io::ErrorKind::WouldBlock => silent(),
            std::io::ErrorKind::ConnectionReset => gone(),
            _ => Error::io("receiving the offer", &e),
        })?;
        if count == 0 {
            return Err(gone());
        }
        parse_offer(&offer[..count])?;
        let count = fds.len();
        let Ok([memory, page, event]) = <[OwnedFd; 3]>::try_from(fds) else {
            let reason = format!("the offer must come with 3 descriptors (got {count})");
            return Err(Error::new(ErrorKind::Truncated, reason));
        };
        Ok(Self { connection, event: EventFd::from_other(event), memory: Some((memory, page)) })
    }

    /// The memory, of at least `size` bytes, and the page; once.
    pub fn take(&mut self, size: usize) -> Result<(MemFd, MemFd)> {
        let unfit = |what: &str, e: std::io::Error| {
            let kind = match e.kind() {
                std::io::ErrorKind::UnexpectedEof => ErrorKind::Truncated,
                _ => ErrorKind::Format,
            };
            Error::new(kind, format!("{what} does not fit: {e}"))
        };
        let (memory, page) = self.memory.take().ok_or_else(|| Error::state("the memory is taken"))?;
        let memory = MemFd::from_other(memory, size).map_err(|e| unfit("the shared ring", e))?;
        let page = MemFd::from_other(page, PAGE).map_err(|e| unfit("the input's page", e))?;
        Ok((memory, page))
    }
}

fn gone() -> Error {
    let reason =
        "there is none of that name on this host: the output is gone, or in another network namespace";
    Error::new(ErrorKind::NotFound, reason)
}

fn silent() -> Error {
    Error::new(ErrorKind::Io, format!("the output did not answer within {} s", PATIENCE.as_secs()))
}
