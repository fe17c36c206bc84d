//! Packets over TCP connections, one per destination.
//!
//! A connection that breaks stays broken: every later heap for it fails with the same reason, and other destinations go on.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::socket::{Destination, adopt, prepare, resolve};
use super::{OutPacket, Refusal, Sent, Sink, StopFlag};
use crate::error::{Error, Result};
use crate::send::pace::Pace;
use crate::sys::{qdisc, tcp};

/// Headers for each packet, at the most, that the kernel counts when it paces.
const HEADERS: usize = 14 + 40 + 32;

/// Where and how to connect.
#[derive(Debug, Clone)]
pub struct TcpSendConfig {
    /// Destinations, one per substream; at least one.
    pub destinations: Vec<Destination>,
    /// How long to wait for each connection.
    pub connect_timeout: Duration,
    /// The sockets' send buffers, in bytes; 0 for the system's default, which grows as needed.
    pub buffer_size: usize,
}

struct Connection {
    socket: Socket,
    to: String,
    /// Why nothing more can be sent.
    broken: Option<Error>,
}

/// Sends packets over TCP.
pub struct TcpSink {
    connections: Vec<Connection>,
}

impl TcpSink {
    /// Connects to each destination.
    pub fn new(config: &TcpSendConfig) -> Result<Self> {
        if config.destinations.is_empty() {
            return Err(Error::invalid("there must be at least 1 destination (got 0)"));
        }
        let connections = config.destinations.iter().map(|destination| connect(config, destination));
        Ok(Self { connections: connections.collect::<Result<_>>()? })
    }

    /// Sends over a connection of somebody's; `buffer_size` as in [`TcpSendConfig`]. The socket blocks from now on, also for those who share it.
    pub fn over(socket: OwnedFd, buffer_size: usize) -> Result<Self> {
        let socket = adopt("tcp sender", socket, Type::STREAM)?;
        let to = socket.peer_addr().ok().and_then(|peer| peer.as_socket());
        let to = to.ok_or_else(|| Error::invalid("tcp sender: the socket must be connected"))?;
        Ok(Self { connections: vec![Connection::new(socket, to.to_string(), buffer_size)?] })
    }
}

fn connect(config: &TcpSendConfig, destination: &Destination) -> Result<Connection> {
    let address = resolve("tcp sender", destination)?;
    let fail =
        |call: &'static str| move |e: io::Error| Error::io(format_args!("tcp sender: {call} {address}"), &e);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))
        .map_err(fail("a socket for"))?;
    socket.connect_timeout(&address.into(), config.connect_timeout).map_err(fail("connect to"))?;
    Connection::new(socket, address.to_string(), config.buffer_size)
}

impl Connection {
    fn new(socket: Socket, to: String, buffer_size: usize) -> Result<Self> {
        prepare("tcp sender", &socket, buffer_size)?;
        // Packets are handed over many at a time, and the last of them is to leave, too.
        let set = socket.set_tcp_nodelay(true);
        set.map_err(|e| Error::io(format_args!("tcp sender: TCP_NODELAY for {to}"), &e))?;
        Ok(Self { socket, to, broken: None })
    }

    fn send(&mut self, packets: &[OutPacket<'_>], stop: &StopFlag) -> Sent {
        let mut sent = Sent::default();
        if let Some(error) = &self.broken {
            sent.refusal = Some(Refusal::Failed(error.clone()));
            return sent;
        }
        let mut slices = Vec::with_capacity(packets.iter().map(|packet| packet.bytes.parts()).sum());
        packets.iter().for_each(|packet| packet.bytes.add_to(&mut slices));
        let (written, result) = self.write(&mut slices, stop);
        let mut left = written;
        for packet in packets {
            if left < packet.bytes.size {
                break;
            }
            left -= packet.bytes.size;
            sent.packets += 1;
        }
        match result {
            Ok(true) => {}
            Ok(false) => {
                if left > 0 {
                    self.broken =
                        Some(Error::state(format!("tcp sender: stopped within a packet to {}", self.to)));
                }
                sent.refusal = Some(Refusal::Stopped);
            }
            Err(error) => {
                let error =
                    Error::io(format_args!("tcp sender: the connection to {} is broken", self.to), &error);
                self.broken = Some(error.clone());
                sent.refusal = Some(Refusal::Failed(error));
            }
        }
        sent
    }

    /// Bytes written, and whether that was all; if not, the stream is to stop.
    fn write(&self, slices: &mut [IoSlice<'_>], stop: &StopFlag) -> (usize, io::Result<bool>) {
        let mut rest = slices;
        let mut written = 0;
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            match tcp::write(self.socket.as_fd(), rest) {
                Ok(n) => {
                    written += n;
                    IoSlice::advance_slices(&mut rest, n);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if stop.is_set() {
                        return (written, Ok(false));
                    }
                }
                Err(error) => return (written, Err(error)),
            }
        }
        (written, Ok(true))
    }
}

impl Sink for TcpSink {
    fn send(&mut self, packets: &[OutPacket<'_>], stop: &StopFlag) -> Sent {
        let mut all = Sent::default();
        for run in packets.chunk_by(|a, b| a.substream == b.substream) {
            let substream = run.first().map_or(0, |packet| packet.substream);
            let Some(connection) = self.connections.get_mut(substream) else { break };
            let sent = connection.send(run, stop);
            all.packets += sent.packets;
            if sent.refusal.is_some() {
                all.refusal = sent.refusal;
                break;
            }
        }
        all
    }

    fn pace(&mut self, pace: &Pace, packet: usize) -> Result<Option<String>> {
        for connection in &self.connections {
            qdisc::set_pacing_rate(connection.socket.as_fd(), pace.kernel_rate(packet, HEADERS)).map_err(
                |e| Error::io(format_args!("tcp sender: SO_MAX_PACING_RATE for {}", connection.to), &e),
            )?;
        }
        Ok(None)
    }

    fn substreams(&self) -> usize {
        self.connections.len()
    }
}
