//! Packets captured on a network interface, through libpcap.

use std::os::fd::{AsFd, BorrowedFd};

use ::pcap::{Active, Capture, Direction, Precision};

use super::capture::{arrival, reason};
use super::held::Held;
use super::pcap::{self, LinkType, link};
use super::{Leftover, Polled, Reader};
use crate::error::{Error, ErrorKind, Result};
use crate::recv::sink::PacketSink;
use crate::recv::stats::Stat;

/// Frames looked at per poll, before other tasks get their turn.
const BATCH: usize = 256;

/// Frames counted at the end at the most.
const MAX_LEFTOVER: usize = 1 << 20;

/// The longest datagram, with room for the headers before it.
const SNAP_LENGTH: i32 = 65_535 + 128;

/// The kernel hands over a block of its ring that is not full after this time, in milliseconds.
const BLOCK_TIMEOUT: i32 = 2;

/// Where and what to capture.
#[derive(Debug, Clone)]
pub struct PcapLiveConfig {
    /// The interface's name; "any" for all of them.
    pub device: String,
    /// Which packets, in tcpdump's language; `None` for all.
    pub filter: Option<String>,
    /// The ring that the kernel captures to, in bytes.
    pub buffer_size: usize,
    /// Take frames that are not addressed to this host, too.
    pub promiscuous: bool,
    /// Take frames that this host sends, too. (On the loopback interface every frame is taken once, in any case.)
    pub outgoing: bool,
}

impl Default for PcapLiveConfig {
    fn default() -> Self {
        Self {
            device: String::new(),
            filter: None,
            buffer_size: 16 << 20,
            promiscuous: true,
            outgoing: false,
        }
    }
}

/// Reads the UDP payloads of what arrives at an interface, whoever it is for.
pub struct PcapLiveReader {
    capture: Capture<Active>,
    device: String,
    link: LinkType,
    held: Held,
    /// libpcap's count of frames that found no space in the ring, as last reported, modulo 2^32.
    drops: u32,
}

impl PcapLiveReader {
    /// Starts to capture. It takes the privilege to (`CAP_NET_RAW`).
    pub fn new(config: PcapLiveConfig) -> Result<Self> {
        let PcapLiveConfig { device, filter, buffer_size, promiscuous, outgoing } = config;
        if device.is_empty() {
            return Err(Error::invalid("device must not be empty"));
        }
        let size = i32::try_from(buffer_size).ok().filter(|&size| size >= 1 << 16).ok_or_else(|| {
            Error::invalid(format!("buffer_size must be between 65536 and {} (got {buffer_size})", i32::MAX))
        })?;
        let fail = |reason: ::pcap::Error| {
            let message = format!("live capture on {:?}: {reason}", device);
            Error::new(ErrorKind::Io, message)
        };
        let open = |precision| {
            Capture::from_device(device.as_str())?
                .promisc(promiscuous)
                .snaplen(SNAP_LENGTH)
                .buffer_size(size)
                .timeout(BLOCK_TIMEOUT)
                .precision(precision)
                .open()
        };
        let mut capture = open(Precision::Nano).map_err(fail)?;
        let number = capture.get_datalink().0;
        let link = u32::try_from(number).ok().and_then(LinkType::from_number).ok_or_else(|| {
            let message = format!("live capture on {device:?}: its link type {number} is not supported");
            Error::new(ErrorKind::Unsupported, message)
        })?;
        if !outgoing {
            capture.direction(Direction::In).map_err(fail)?;
        }
        if let Some(filter) = &filter {
            capture.filter(filter, true).map_err(|reason| {
                Error::invalid(format!("filter \"{}\" for {device:?}: {reason}", filter.escape_default()))
            })?;
        }
        let capture = capture.setnonblock().map_err(fail)?;
        Ok(Self { capture, device, link, held: Held::default(), drops: 0 })
    }

    /// What the kernel had to drop since the last call.
    fn new_drops(&mut self) -> u64 {
        let Ok(stats) = self.capture.stats() else { return 0 };
        let now = stats.dropped.wrapping_add(stats.if_dropped);
        u64::from(now.wrapping_sub(std::mem::replace(&mut self.drops, now)))
    }
}

impl Reader for PcapLiveReader {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.capture.as_fd())
    }

    fn poll(&mut self, sink: &mut dyn PacketSink) -> Polled {
        if !self.held.offer_again(sink) {
            return Polled::Blocked;
        }
        let drops = self.new_drops();
        sink.note(Stat::KernelDrops, drops);
        for _ in 0..BATCH {
            if sink.ended() {
                return Polled::Blocked;
            }
            let packet = match self.capture.next_packet() {
                Ok(packet) => packet,
                Err(::pcap::Error::TimeoutExpired) => return Polled::Idle,
                Err(reason) => {
                    let message = format!("live capture on {:?}: {reason}", self.device);
                    return Polled::Failed(Error::new(ErrorKind::Io, message));
                }
            };
            match link::udp_payload(self.link, packet.data, packet.header.len) {
                Ok(payload) => {
                    if !self.held.offer(payload, arrival(pcap::time(packet.header)), sink) {
                        return Polled::Blocked;
                    }
                }
                Err(skip) => sink.discard(reason(skip)),
            }
        }
        Polled::More
    }

    fn leftover(&mut self) -> Leftover {
        let mut packets = u64::from(self.held.forget());
        // What is in the ring; no more than fits into any, for frames may come on and on.
        for _ in 0..MAX_LEFTOVER {
            if self.capture.next_packet().is_err() {
                break;
            }
            packets += 1;
        }
        Leftover { packets, kernel_drops: self.new_drops() }
    }
}
