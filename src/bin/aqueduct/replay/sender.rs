//! A connected UDP socket that counts what becomes of its packets.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use aqueduct::recv::reader::pcap::Skip;

use crate::failure::Failure;
use crate::source::Address;
use crate::{terminal, units};

/// Time between two progress lines.
const INTERVAL: Duration = Duration::from_millis(250);

/// How often a packet is tried again whose sending brings news of earlier packets instead.
const ATTEMPTS: u32 = 16;

/// A connected socket and what became of the packets.
pub struct Sender {
    socket: UdpSocket,
    destination: Address,
    pub packets: u64,
    pub bytes: u64,
    /// Packets that the system would not take.
    pub failed: u64,
    /// Packets of which came back that nobody listens.
    pub refused: u64,
    /// Frames without a payload to send, by reason.
    pub skipped: [u64; Skip::ALL.len()],
    start: Instant,
    last_progress: Instant,
    watched: bool,
}

impl Sender {
    pub fn new(destination: &Address) -> Result<Self, Failure> {
        let Address { host, port } = destination;
        let resolved = (host.as_str(), *port).to_socket_addrs();
        let address = resolved
            .map_err(|reason| Failure::Run(format!("resolving host {host:?}: {reason}")))?
            .next()
            .ok_or_else(|| Failure::Run(format!("host {host:?} has no address")))?;
        let local: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(local)
            .and_then(|socket| socket.connect(address).map(|()| socket))
            .map_err(|reason| Failure::Run(format!("a socket to {address}: {reason}")))?;
        Ok(Self {
            socket,
            destination: destination.clone(),
            packets: 0,
            bytes: 0,
            failed: 0,
            refused: 0,
            skipped: [0; Skip::ALL.len()],
            start: Instant::now(),
            last_progress: Instant::now(),
            watched: terminal::is_watched(),
        })
    }

    /// Sends a packet, or counts that it could not be sent.
    pub fn send(&mut self, payload: &[u8]) {
        for _ in 0..ATTEMPTS {
            match self.socket.send(payload) {
                Ok(_) => {
                    self.packets += 1;
                    self.bytes += payload.len() as u64;
                    return;
                }
                // This is about an earlier packet; the one at hand has not been sent yet.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => self.note_refused(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    if self.failed == 0 {
                        terminal::say(format_args!(
                            "aqueduct: warning: sending {} bytes to {}: {error}",
                            payload.len(),
                            self.destination
                        ));
                    }
                    break;
                }
            }
        }
        self.failed += 1;
    }

    /// Notes what came back of the last packet, which no later packet can bring.
    pub fn settle(&mut self) {
        if let Ok(Some(_)) = self.socket.take_error() {
            self.note_refused();
        }
    }

    fn note_refused(&mut self) {
        if self.refused == 0 {
            terminal::say(format_args!("aqueduct: warning: nobody listens on {}", self.destination));
        }
        self.refused += 1;
    }

    pub fn show_progress(&mut self) {
        if self.watched && self.last_progress.elapsed() >= INTERVAL {
            self.last_progress = Instant::now();
            terminal::progress(self.summary());
        }
    }

    pub fn summary(&self) -> String {
        let seconds = self.start.elapsed().as_secs_f64();
        let mut text = format!(
            "sent {} packets, {}B in {seconds:.2} s ({}b/s)",
            self.packets,
            units::short(self.bytes as f64),
            units::short(8.0 * self.bytes as f64 / seconds.max(1e-9)),
        );
        let skipped: u64 = self.skipped.iter().sum();
        if skipped > 0 {
            let reasons = Skip::ALL.iter().zip(self.skipped).filter(|&(_, count)| count > 0);
            let reasons: Vec<String> =
                reasons.map(|(reason, count)| format!("{count} {}", reason.name())).collect();
            text += &format!("; skipped {skipped} frames ({})", reasons.join(", "));
        }
        if self.failed > 0 {
            text += &format!("; {} packets could not be sent", self.failed);
        }
        if self.refused > 0 {
            text += &format!("; {} packets refused", self.refused);
        }
        text
    }
}
