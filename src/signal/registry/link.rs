//! A client's connection to a registry: a request, an answer, a deadline. One thread at a time.
//!
//! Invariant: what waits, waits for the deadline at the most, or until its stop is raised, except for the system's resolver and for
//! [`MOST_CONNECT`] while it connects.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use socket2::SockRef;

use super::protocol::{MOST_ANSWER, Request, parse_answer};
use super::server::keepalive;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::eventfd::EventFd;
use crate::sys::poll;

/// How long a registry may take to answer what it can answer at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take to connect to an address.
pub(super) const MOST_CONNECT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Link {
    /// What the user calls it, for messages.
    endpoint: String,
    stream: TcpStream,
    input: Vec<u8>,
}

impl Link {
    /// Connects to the first of these addresses that answers.
    pub fn connect(endpoint: &str, addresses: &[SocketAddr]) -> Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            match Self::connect_to(address) {
                Ok(stream) => return Ok(Self { endpoint: endpoint.into(), stream, input: Vec::new() }),
                Err(reason) => last = reason,
            }
        }
        Err(Error::io(format_args!("registry {endpoint}: nobody answers"), &last))
    }

    fn connect_to(address: &SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(address, MOST_CONNECT)?;
        // Where nobody listens at a port that the system also gives to clients, TCP can connect a socket to itself.
        if stream.local_addr()? == stream.peer_addr()? {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let socket = SockRef::from(&stream);
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_keepalive(&keepalive())?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// This end's address, by which others reach this host as well as the registry does.
    pub fn local_address(&self) -> Result<SocketAddr> {
        self.stream.local_addr().map_err(|reason| self.failed("the socket's address", &reason))
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    fn failed(&self, what: &str, reason: &io::Error) -> Error {
        Error::io(format_args!("registry {}: {what}", self.endpoint), reason)
    }

    /// Asks, and waits for the answer; `stop` ends the waiting with an error of kind `State`.
    ///
    /// # Errors
    /// `Io`: the registry is gone, or does not answer in time; what it refuses, with its reason.
    pub fn ask(
        &mut self,
        request: &Request,
        deadline: Instant,
        stop: Option<&EventFd>,
    ) -> Result<Map<String, Value>> {
        let line = request.line();
        if let Err(reason) = self.stream.write_all(line.as_bytes()) {
            // A registry that has no place says so before it closes.
            return match self.receive(deadline, stop) {
                Err(refused) if refused.kind() != ErrorKind::Io => Err(refused),
                _ => Err(self.failed("send a request", &reason)),
            };
        }
        self.receive(deadline, stop)
    }

    fn receive(&mut self, deadline: Instant, stop: Option<&EventFd>) -> Result<Map<String, Value>> {
        let mut bytes = [0; 16 << 10];
        let end = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut fds = vec![self.stream.as_fd()];
            fds.extend(stop.map(|stop| stop.as_fd()));
            let ready = poll::readable(&fds, Some(left)).map_err(|reason| self.failed("wait", &reason))?;
            if ready.get(1) == Some(&true) {
                return Err(Error::state("registry: stopped"));
            }
            if !ready[0] {
                if left.is_zero() {
                    return Err(self.failed("no answer", &io::ErrorKind::TimedOut.into()));
                }
                continue;
            }
            match self.stream.read(&mut bytes) {
                Ok(0) => {
                    return Err(self.failed("it closed the connection", &io::ErrorKind::UnexpectedEof.into()));
                }
                Ok(count) => {
                    let at = bytes[..count].iter().position(|&byte| byte == b'\n');
                    let before = self.input.len();
                    self.input.extend_from_slice(&bytes[..count]);
                    if let Some(at) = at {
                        break before + at;
                    }
                    if self.input.len() > MOST_ANSWER {
                        let what =
                            format!("registry {}: an answer of more than {MOST_ANSWER} bytes", self.endpoint);
                        return Err(Error::new(ErrorKind::Format, what));
                    }
                }
                Err(reason) if reason.kind() == io::ErrorKind::Interrupted => {}
                Err(reason) => return Err(self.failed("receive an answer", &reason)),
            }
        };
        let line: Vec<u8> = self.input.drain(..=end).collect();
        let about = |what: &str| format!("registry {}: {what}", self.endpoint);
        match parse_answer(&line[..end]) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(refused)) => Err(Error::new(refused.kind(), about(refused.message()))),
            Err(what) => Err(Error::new(ErrorKind::Format, about(&what))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_does_not_answer_is_left() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut link = Link::connect("there", &[listener.local_addr().unwrap()]).unwrap();
        let request = Request::List { after: String::new() };
        let soon = Instant::now() + Duration::from_millis(20);
        let late = link.ask(&request, soon, None).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::Io);
        assert!(late.message().starts_with("registry there: no answer"), "{late}");
        // Nor is it waited for when the program wants to end.
        let stop = EventFd::new().unwrap();
        stop.raise();
        let stopped = link.ask(&request, Instant::now() + Duration::from_secs(60), Some(&stop)).unwrap_err();
        assert_eq!(stopped.kind(), ErrorKind::State, "{stopped}");
    }
}
