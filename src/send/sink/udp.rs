//! Packets as UDP datagrams, over one connected socket per destination.
//!
//! A connected socket hears what comes back of its datagrams: that nobody listens or answers (ICMP) is told with a later call. That later call has sent nothing, so it is made
//! again; and after each batch the sockets are asked, so that no news is left for the next heap. Which packet of the batch it is about the kernel does not say: it is taken
//! to be about all of them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::socket::{Destination, adopt, prepare, resolve};
use super::{OutPacket, Refusal, Sent, Sink, StopFlag};
use crate::error::{Error, Result};
use crate::send::pace::Pace;
use crate::sys::gather::Gather;
use crate::sys::{interface, qdisc, udp_send};

/// How often a batch is tried again whose sending brings news of earlier packets instead.
const ATTEMPTS: u32 = 16;

/// A device whose queue is full is given this long to send some, this often.
const QUEUE_WAIT: Duration = Duration::from_micros(100);
const QUEUE_WAITS: u32 = 10_000;

/// A datagram's largest payload over IPv4; of IPv6 it is 20 bytes more than that.
const LARGEST: usize = 65_507;

/// Where and how to send.
#[derive(Debug, Clone)]
pub struct UdpSendConfig {
    /// Destinations, one per substream; at least one.
    pub destinations: Vec<Destination>,
    /// Address to send from; empty for what the system chooses.
    pub source: String,
    /// For groups: the interface to send on, by its IPv4 address or its name; empty for the system's choice.
    pub interface: String,
    /// The same by the interface's index; 0 for none.
    pub interface_index: u32,
    /// Routers that packets may pass: 1 to 255; 0 for the system's default, which is 1 for groups.
    pub ttl: u32,
    /// The sockets' send buffers, in bytes; 0 for the system's default.
    pub buffer_size: usize,
    /// Let packets that are larger than the path allows be sent in fragments, instead of refusing them.
    pub fragment: bool,
    /// Hand packets to the kernel in bunches, where it takes them so.
    pub gso: bool,
}

impl Default for UdpSendConfig {
    fn default() -> Self {
        Self {
            destinations: Vec::new(),
            source: String::new(),
            interface: String::new(),
            interface_index: 0,
            ttl: 0,
            buffer_size: 512 << 10,
            fragment: false,
            gso: true,
        }
    }
}

struct Target {
    socket: Socket,
    address: SocketAddr,
    gso: bool,
}

/// Sends packets over UDP.
pub struct UdpSink {
    targets: Vec<Target>,
}

fn open(config: &UdpSendConfig, mut address: SocketAddr) -> Result<Target> {
    let group = address.ip().is_multicast();
    if !group && (!config.interface.is_empty() || config.interface_index != 0) {
        return Err(Error::invalid(format!(
            "interface_address and interface_index are for multicast groups, which {} is not",
            address.ip()
        )));
    }
    let shown = address;
    let fail =
        |call: &'static str| move |e: io::Error| Error::io(format_args!("udp sender: {call} {shown}"), &e);
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))
        .map_err(fail("a socket for"))?;
    prepare("udp sender", &socket, config.buffer_size)?;
    if group {
        set_interface(&socket, config, &mut address)?;
    }
    if config.ttl > 255 {
        return Err(Error::invalid(format!("ttl must be at most 255 (got {})", config.ttl)));
    }
    if config.ttl > 0 {
        let set = match (address, group) {
            (SocketAddr::V4(_), true) => socket.set_multicast_ttl_v4(config.ttl),
            (SocketAddr::V4(_), false) => socket.set_ttl_v4(config.ttl),
            (SocketAddr::V6(_), true) => socket.set_multicast_hops_v6(config.ttl),
            (SocketAddr::V6(_), false) => socket.set_unicast_hops_v6(config.ttl),
        };
        set.map_err(fail("ttl for"))?;
    }
    // The kernel keeps reports here that nobody fetches; the socket's error is all that is looked at. This is the least that there can be.
    socket.set_recv_buffer_size(1).map_err(fail("a receive buffer for"))?;
    if !config.source.is_empty() {
        let source: IpAddr = config.source.parse().map_err(|_| {
            Error::invalid(format!("source_address must be an IP address (got {:?})", config.source))
        })?;
        socket.bind(&SocketAddr::new(source, 0).into()).map_err(fail("binding the source address for"))?;
    }
    connect(&socket, &address, config)?;
    if group && config.interface.is_empty() && config.interface_index == 0 {
        // The system has chosen an interface by now. Only of one that it is told it says, later, that it is down; otherwise datagrams would vanish.
        let own = socket.local_addr().map_err(fail("the own address for"))?;
        if let Some(own) = own.as_socket_ipv4() {
            socket.set_multicast_if_v4(own.ip()).map_err(fail("the interface for"))?;
        }
    }
    Ok(Target { socket, address, gso: config.gso })
}

/// Sends over a socket of somebody's, as it is set up.
fn take_over(config: &UdpSendConfig, socket: OwnedFd) -> Result<Target> {
    let [destination] = &config.destinations[..] else {
        let given = config.destinations.len();
        return Err(Error::invalid(format!("a socket has exactly 1 destination (got {given})")));
    };
    if !config.source.is_empty()
        || !config.interface.is_empty()
        || (config.interface_index, config.ttl) != (0, 0)
    {
        let rule =
            "source_address, interface_address, interface_index and ttl must be left out with a socket";
        return Err(Error::invalid(format!("{rule}, which has its own")));
    }
    let socket = adopt("udp sender", socket, Type::DGRAM)?;
    let address = resolve("udp sender", destination)?;
    let own = socket.domain().map_err(|e| Error::io("udp sender: the socket's family", &e))?;
    if own != Domain::for_address(address) {
        let family = if own == Domain::IPV6 { "IPv6" } else { "IPv4" };
        return Err(Error::invalid(format!("the socket is one of {family}, which {address} is not")));
    }
    prepare("udp sender", &socket, 0)?;
    connect(&socket, &address, config)?;
    Ok(Target { socket, address, gso: config.gso })
}

/// Has a socket send to an address, and tell what comes back.
fn connect(socket: &Socket, address: &SocketAddr, config: &UdpSendConfig) -> Result<()> {
    let fail =
        |call: &'static str| move |e: io::Error| Error::io(format_args!("udp sender: {call} {address}"), &e);
    udp_send::report_all_errors(socket.as_fd(), address.is_ipv6()).map_err(fail("error reports for"))?;
    udp_send::set_dont_fragment(socket.as_fd(), address.is_ipv6(), !config.fragment)
        .map_err(fail("MTU discovery for"))?;
    socket.connect(&(*address).into()).map_err(fail("connect to"))
}

/// The interface on which packets to a group leave.
fn set_interface(socket: &Socket, config: &UdpSendConfig, address: &mut SocketAddr) -> Result<()> {
    let name = config.interface.as_str();
    let fail = |e: io::Error| {
        Error::io(format_args!("udp sender: interface {name:?} ({})", config.interface_index), &e)
    };
    let index = match (name, config.interface_index, name.parse::<Ipv4Addr>()) {
        ("", 0, _) => return Ok(()),
        ("", index, _) => index,
        (_, 1.., _) => {
            return Err(Error::invalid("only one of interface_address and interface_index may be set"));
        }
        (_, 0, Ok(own)) if address.is_ipv4() => return socket.set_multicast_if_v4(&own).map_err(fail),
        (_, 0, _) if name.parse::<IpAddr>().is_ok() => {
            let allowed = if address.is_ipv4() { "an IPv4 address or " } else { "" };
            return Err(Error::invalid(format!(
                "interface_address of group {} must be {allowed}the name of an interface (got {name})",
                address.ip()
            )));
        }
        (_, 0, _) => interface::index(name).map_err(fail)?,
    };
    match address {
        SocketAddr::V4(_) => udp_send::set_multicast_interface_v4(socket.as_fd(), index).map_err(fail),
        SocketAddr::V6(address) => {
            if address.scope_id() == 0 {
                // A group of a link is one of that link only.
                address.set_scope_id(index);
            }
            socket.set_multicast_if_v6(index).map_err(fail)
        }
    }
}

impl UdpSink {
    /// Opens a socket for each destination.
    pub fn new(config: &UdpSendConfig) -> Result<Self> {
        if config.destinations.is_empty() {
            return Err(Error::invalid("there must be at least 1 destination (got 0)"));
        }
        let targets = config
            .destinations
            .iter()
            .map(|destination| open(config, resolve("udp sender", destination)?))
            .collect::<Result<_>>()?;
        Ok(Self { targets })
    }

    /// Sends over a UDP socket of somebody's, bound and with options as they want it, to the one destination of `config`. The socket is connected, and blocks from
    /// now on, also for those who share it; its buffer stays as it is.
    pub fn over(socket: OwnedFd, config: &UdpSendConfig) -> Result<Self> {
        Ok(Self { targets: vec![take_over(config, socket)?] })
    }
}

impl Target {
    fn error(&self, size: usize, error: &io::Error) -> Error {
        let hint = match error.kind() {
            io::ErrorKind::ConnectionRefused => " (nobody listens there)",
            io::ErrorKind::HostUnreachable => " (nobody answers there, or no route leads there)",
            _ if error.raw_os_error() == Some(udp_send::TOO_LARGE) => {
                " (more than the path's MTU leaves for a datagram)"
            }
            _ => "",
        };
        Error::io(format_args!("udp sender: sending {size} bytes to {}{hint}", self.address), error)
    }

    /// Sends packets of one destination.
    fn send(&mut self, packets: &[Gather<'_>], stop: &StopFlag) -> Sent {
        let mut sent = Sent::default();
        let (mut attempts, mut waits) = (0, 0);
        // An error that may be news of earlier packets, and these: it is, if the next try succeeds.
        let mut doubtful = None;
        while let Some(rest) = packets.get(sent.packets..).filter(|rest| !rest.is_empty()) {
            let outcome = udp_send::send(self.socket.as_fd(), rest, &mut self.gso);
            sent.packets += outcome.datagrams;
            if outcome.datagrams > 0 {
                (attempts, waits) = (0, 0);
                sent.news.extend(doubtful.take());
            }
            let Some(error) = outcome.error else { continue };
            let size = packets.get(sent.packets).map_or(0, |packet| packet.size);
            match error.kind() {
                // This is about an earlier packet; the one at hand has not been sent yet.
                io::ErrorKind::ConnectionRefused if attempts < ATTEMPTS => {
                    attempts += 1;
                    sent.news.push((0..sent.packets.max(1), self.error(size, &error)));
                }
                // The socket's buffer stayed full, or the device's queue is.
                io::ErrorKind::WouldBlock if !stop.is_set() => {}
                _ if error.raw_os_error() == Some(udp_send::QUEUE_FULL)
                    && waits < QUEUE_WAITS
                    && !stop.is_set() =>
                {
                    waits += 1;
                    std::thread::sleep(QUEUE_WAIT);
                }
                _ if stop.is_set() => {
                    sent.refusal = Some(Refusal::Stopped);
                    break;
                }
                _ if doubtful.is_none() && error.raw_os_error() != Some(udp_send::TOO_LARGE) => {
                    doubtful = Some((0..sent.packets.max(1), self.error(size, &error)));
                }
                _ => {
                    sent.refusal = Some(Refusal::Failed(self.error(size, &error)));
                    break;
                }
            }
        }
        if let Ok(Some(error)) = self.socket.take_error() {
            let last = sent.packets.saturating_sub(1);
            let size = packets.get(last).map_or(0, |packet| packet.size);
            sent.news.push((0..last + 1, self.error(size, &error)));
        }
        sent
    }
}

impl Sink for UdpSink {
    fn send(&mut self, packets: &[OutPacket<'_>], stop: &StopFlag) -> Sent {
        let mut all = Sent::default();
        for run in packets.chunk_by(|a, b| a.substream == b.substream) {
            let Some(target) = run.first().and_then(|packet| self.targets.get_mut(packet.substream)) else {
                break;
            };
            let bytes: Vec<Gather<'_>> = run.iter().map(|packet| packet.bytes).collect();
            let (start, sent) = (all.packets, target.send(&bytes, stop));
            all.news.extend(
                sent.news.into_iter().map(|(about, error)| (start + about.start..start + about.end, error)),
            );
            all.packets += sent.packets;
            if sent.refusal.is_some() {
                all.refusal = sent.refusal;
                break;
            }
        }
        all
    }

    fn pace(&mut self, pace: &Pace, packet: usize) -> Result<Option<String>> {
        for target in &self.targets {
            let fail = |e: io::Error| Error::io(format_args!("udp sender: pacing to {}", target.address), &e);
            let own = target.socket.local_addr().map_err(fail)?;
            let interface = match own.as_socket() {
                Some(own) => qdisc::interface_of(own.ip()).map_err(fail)?,
                None => None,
            };
            let kinds = interface.map_or(Ok(vec![]), qdisc::kinds).map_err(fail)?;
            if !kinds.iter().any(|kind| kind == "fq") {
                return Ok(Some(format!(
                    "the device to {} has no queueing discipline fq (it has: {})",
                    target.address,
                    kinds.join(", ")
                )));
            }
            let overhead = if target.address.is_ipv6() { 14 + 40 + 8 } else { 14 + 20 + 8 };
            qdisc::set_pacing_rate(target.socket.as_fd(), pace.kernel_rate(packet, overhead))
                .map_err(fail)?;
        }
        Ok(None)
    }

    fn substreams(&self) -> usize {
        self.targets.len()
    }

    fn max_packet_size(&self) -> usize {
        LARGEST
    }
}
