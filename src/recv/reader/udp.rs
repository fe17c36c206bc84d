//! Packets from a UDP socket.

mod gather;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

pub use self::gather::Coalesce;
use self::gather::Gather;
use super::{Leftover, Polled, Reader, SourceFilter};
use crate::error::{Error, ErrorKind, Result};
use crate::recv::sink::{Arrival, Flow, PacketSink};
use crate::recv::stats::Stat;
use crate::runtime::MAX_REST;
use crate::sys::interface;
use crate::sys::udp::{self, Batch, SocketMemory};

/// Messages fetched by one system call.
const BATCH: usize = 64;

/// Batches counted at the end at the most: 65536 messages, which take some tens of milliseconds.
const MAX_LEFTOVER_BATCHES: usize = 1024;

/// Long enough to halve the CPU time of a few Gb/s, short against anything that a chunk is waited for.
pub const DEFAULT_BATCH_DELAY: Duration = Duration::from_micros(500);

/// Who takes the time at which a packet arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Timestamps {
    /// Nobody.
    #[default]
    None,
    /// The kernel.
    Software,
    /// The network card, if it is set up to do so; else the kernel.
    Hardware,
}

impl Timestamps {
    /// Asks the kernel for them.
    pub(super) fn enable(self, socket: &Socket) -> std::io::Result<()> {
        match self {
            Self::None => Ok(()),
            _ => udp::enable_timestamps(socket.as_fd(), self == Self::Hardware),
        }
    }
}

/// The arrival that a kernel's timestamp tells. Linux begins to take times a moment after the first socket of the host has asked
/// for them (it patches its code, on a thread of its own), so that what comes in this moment has none: then it is when we went to read it.
pub(super) fn arrival(timestamp: Option<udp::Timestamp>, reading: Arrival) -> Arrival {
    timestamp.map_or(reading, |time| Arrival { nanoseconds: time.nanoseconds, hardware: time.hardware })
}

/// Where and how to receive datagrams.
#[derive(Debug)]
pub struct UdpConfig {
    /// Address or name to bind to; empty for all IPv4 addresses. A multicast group is joined.
    pub host: String,
    /// The interface on which a multicast group is joined: its name or, for an IPv4 group, its address; empty leaves it to the system.
    pub interface: String,
    /// The same by the interface's index; 0 for none.
    pub interface_index: u32,
    /// Let other sockets bind to the same address (`SO_REUSEADDR`); for a multicast group that is always so.
    pub reuse_address: bool,
    /// Share the datagrams to this address with other sockets that have this set (`SO_REUSEPORT`): each gets those of some senders.
    pub reuse_port: bool,
    /// Whose packets are taken; `None` for everybody's. Others' are counted as `source_rejected`.
    pub source_filter: Option<SourceFilter>,
    /// Whether and by whom the time of arrival is taken.
    pub timestamps: Timestamps,
    /// Port; 0 lets the system choose.
    pub port: u16,
    /// Longest packet to accept, in bytes: 1 to 65535; longer ones are counted as truncated.
    pub max_size: usize,
    /// The socket's receive buffer in bytes; 0 leaves the system's default.
    pub buffer_size: usize,
    /// How long datagrams may gather in the socket where `coalesce` is adaptive: fewer wake-ups, less CPU time, and at most that
    /// much more latency. 0 to 1 ms.
    pub batch_delay: Duration,
    /// How datagrams gather in the socket before they are fetched.
    pub coalesce: Coalesce,
    /// Take datagrams of one sender in bunches where the kernel can (generic receive offload): less CPU time. But a bunch that the
    /// kernel has to drop counts as one in its drop counter.
    pub gro: bool,
    /// A bound socket to use instead; `host` and `port` are then ignored.
    pub socket: Option<OwnedFd>,
}

impl Default for UdpConfig {
    fn default() -> Self {
        Self {
            host: String::new(),
            interface: String::new(),
            interface_index: 0,
            reuse_address: false,
            reuse_port: false,
            source_filter: None,
            timestamps: Timestamps::None,
            port: 0,
            max_size: 9200,
            buffer_size: 8 << 20,
            batch_delay: DEFAULT_BATCH_DELAY,
            coalesce: Coalesce::Adaptive,
            gro: true,
            socket: None,
        }
    }
}

/// Reads packets from a UDP socket.
pub struct UdpReader {
    socket: Socket,
    port: u16,
    batch: Batch,
    max_size: usize,
    gather: Gather,
    /// Messages fetched since the reader was last woken, and what the socket's memory was before the first; `None` between wake-ups.
    wake_up: Option<(usize, Option<SocketMemory>)>,
    /// The socket is ours alone: at the end, what is in it can be counted.
    own: bool,
    /// Messages in `batch`, and the one to look at next.
    filled: usize,
    message: usize,
    /// Offset in that message of the datagram to offer next.
    offset: usize,
    /// The kernel's drop counter as last reported, modulo 2^32; `None` where the kernel has no such counter.
    drops: Option<u32>,
    source_filter: Option<SourceFilter>,
    /// Where the time of arrival is taken: when the batch was read.
    reading: Option<Arrival>,
}

fn resolve(host: &str, port: u16) -> Result<SocketAddr> {
    if host.is_empty() {
        return Ok((Ipv4Addr::UNSPECIFIED, port).into());
    }
    (host, port)
        .to_socket_addrs()
        .map_err(|e| Error::io(format_args!("udp reader: resolving host {host:?}"), &e))?
        .next()
        .ok_or_else(|| Error::new(ErrorKind::Io, format!("udp reader: host {host:?} has no address")))
}

/// The interface on which a group is to be joined; of index 0, and of no address, is the system's choice.
fn interface_of(group: IpAddr, config: &UdpConfig) -> Result<InterfaceIndexOrAddress> {
    let name = config.interface.as_str();
    match (name, config.interface_index, name.parse()) {
        ("", index, _) => Ok(InterfaceIndexOrAddress::Index(index)),
        (_, 1.., _) => Err(Error::invalid("only one of interface_address and interface_index may be set")),
        (_, 0, Ok(IpAddr::V4(address))) if group.is_ipv4() => Ok(InterfaceIndexOrAddress::Address(address)),
        (_, 0, Ok(address)) => {
            let allowed = if group.is_ipv4() { "an IPv4 address or " } else { "" };
            let rule =
                format!("interface_address of group {group} must be {allowed}the name of an interface");
            Err(Error::invalid(format!("{rule} (got {address})")))
        }
        (name, 0, Err(_)) => interface::index(name)
            .map(InterfaceIndexOrAddress::Index)
            .map_err(|e| Error::io(format_args!("udp reader: interface_address {name:?}"), &e)),
    }
}

/// Joins a group on an interface.
fn join(socket: &Socket, group: IpAddr, interface: &InterfaceIndexOrAddress) -> Result<()> {
    let joined = match (group, interface) {
        (IpAddr::V4(group), _) => socket.join_multicast_v4_n(&group, interface),
        (IpAddr::V6(group), &InterfaceIndexOrAddress::Index(index)) => {
            socket.join_multicast_v6(&group, index)
        }
        // interface_of() gives none.
        (IpAddr::V6(_), InterfaceIndexOrAddress::Address(_)) => Err(std::io::ErrorKind::InvalidInput.into()),
    };
    joined.map_err(|e| Error::io(format_args!("udp reader: joining group {group}"), &e))?;
    // Not what others on this host have joined, on other interfaces. An old kernel does not know that for IPv6.
    let _ = match group {
        IpAddr::V4(_) => socket.set_multicast_all_v4(false),
        IpAddr::V6(_) => socket.set_multicast_all_v6(false),
    };
    Ok(())
}

fn bind(mut address: SocketAddr, config: &UdpConfig) -> Result<Socket> {
    let group = match address.ip() {
        group if group.is_multicast() => Some((group, interface_of(group, config)?)),
        _ if config.interface.is_empty() && config.interface_index == 0 => None,
        _ => {
            let rule = "interface_address and interface_index are for multicast groups";
            return Err(Error::invalid(format!("{rule}, which host {:?} is not", config.host)));
        }
    };
    if let (SocketAddr::V6(address), Some((_, InterfaceIndexOrAddress::Index(index)))) =
        (&mut address, &group)
        && address.scope_id() == 0
    {
        // A group of a link is one of that link only.
        address.set_scope_id(*index);
    }
    let fail = |call: &'static str| {
        move |e: std::io::Error| Error::io(format_args!("udp reader: {call} {address}"), &e)
    };
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))
        .map_err(fail("a socket for"))?;
    if group.is_some() || config.reuse_address {
        // Several programs on a host may listen to one group.
        socket.set_reuse_address(true).map_err(fail("SO_REUSEADDR for"))?;
    }
    if config.reuse_port {
        socket.set_reuse_port(true).map_err(fail("SO_REUSEPORT for"))?;
    }
    socket.bind(&address.into()).map_err(fail("bind to"))?;
    if let Some((group, interface)) = &group {
        join(&socket, *group, interface)?;
    }
    Ok(socket)
}

/// Asks for a receive buffer; a kernel that grants less is worth a warning, not an error.
fn set_buffer_size(socket: &Socket, size: usize) {
    let result = udp::set_receive_buffer(socket.as_fd(), size).and_then(|()| socket.recv_buffer_size());
    match result {
        // Linux doubles what it is asked for, for its own bookkeeping, and tells the double.
        Ok(granted) if granted / 2 >= size => {}
        Ok(granted) => log::warn!(
            "udp reader: asked for a receive buffer of {size} bytes, the kernel grants {}; \
             net.core.rmem_max limits it",
            granted / 2
        ),
        Err(error) => log::warn!("udp reader: the receive buffer cannot be set to {size} bytes: {error}"),
    }
}

impl UdpReader {
    /// Binds a socket as `config` says.
    pub fn new(mut config: UdpConfig) -> Result<Self> {
        let UdpConfig { max_size, buffer_size, batch_delay, gro, timestamps, .. } = config;
        if !(1..=65_535).contains(&max_size) {
            return Err(Error::invalid(format!("max_size must be between 1 and 65535 (got {max_size})")));
        }
        if batch_delay > MAX_REST {
            return Err(Error::invalid(format!(
                "batch_delay must be at most {MAX_REST:?} (got {batch_delay:?})"
            )));
        }
        if let Coalesce::Fixed(time) = config.coalesce
            && time > MAX_REST
        {
            return Err(Error::invalid(format!("coalesce must be at most {MAX_REST:?} (got {time:?})")));
        }
        let own_socket = config.socket.is_none();
        let given = config.socket.take();
        let socket = match given {
            Some(fd) => Socket::from(fd),
            None => bind(resolve(&config.host, config.port)?, &config)?,
        };
        let own =
            |call: &'static str| move |e: std::io::Error| Error::io(format_args!("udp reader: {call}"), &e);
        if socket.r#type().map_err(own("getsockopt SO_TYPE"))? != Type::DGRAM {
            return Err(Error::invalid("socket_fd must be a datagram socket"));
        }
        socket.set_nonblocking(true).map_err(own("O_NONBLOCK"))?;
        let address = socket.local_addr().map_err(own("getsockname"))?;
        let port = address
            .as_socket()
            .ok_or_else(|| Error::invalid("socket_fd must be an IPv4 or IPv6 socket"))?
            .port();
        if buffer_size > 0 {
            set_buffer_size(&socket, buffer_size);
        }
        let gro = udp::set_gro(socket.as_fd(), gro);
        let drops =
            if udp::enable_drop_count(socket.as_fd()) { udp::drop_count(socket.as_fd()) } else { None };
        timestamps.enable(&socket).map_err(own("SO_TIMESTAMPING"))?;
        let source_filter = config.source_filter;
        let batch = Batch::new(BATCH, max_size, gro, source_filter.is_some())
            .map_err(own("mapping receive buffers"))?;
        Ok(Self {
            socket,
            port,
            batch,
            max_size,
            gather: Gather::new(config.coalesce, batch_delay),
            wake_up: None,
            own: own_socket,
            filled: 0,
            message: 0,
            offset: 0,
            drops,
            source_filter,
            reading: (timestamps != Timestamps::None).then(Arrival::now),
        })
    }

    /// Skips what the batch still holds, and counts it.
    fn rest_of_batch(&mut self) -> u64 {
        let mut packets = 0;
        while self.message < self.filled {
            let message = self.batch.message(self.message);
            let rest = message.data.len() - self.offset;
            packets += rest.div_ceil(message.segment).max(1) as u64;
            self.message += 1;
            self.offset = 0;
        }
        packets
    }

    /// How full the socket is, if anyone wants to know.
    fn memory(&self) -> Option<SocketMemory> {
        if self.gather.is_off() { None } else { udp::memory(self.socket.as_fd()) }
    }

    /// The port that the socket is bound to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Offers what the batch still holds. False if the stream would not take it.
    fn offer(&mut self, sink: &mut dyn PacketSink) -> bool {
        while self.message < self.filled {
            let message = self.batch.message(self.message);
            if self.offset == 0
                && let (Some(now), Some(before)) = (message.drops, self.drops)
            {
                sink.note(Stat::KernelDrops, now.wrapping_sub(before).into());
                self.drops = Some(now);
            }
            if let Some(reading) = self.reading {
                sink.arrival(Some(arrival(self.batch.arrival(self.message), reading)));
            }
            let is_foreign = match (&self.source_filter, message.sender) {
                (Some(filter), Some(sender)) => !filter.accepts(sender),
                (filter, _) => filter.is_some(),
            };
            // A datagram of no bytes is a (malformed) packet too: hence at least one turn per message.
            loop {
                let end = message.data.len().min(self.offset + message.segment);
                let datagram = &message.data[self.offset..end];
                if is_foreign {
                    sink.discard(Stat::SourceRejected);
                } else if message.truncated || datagram.len() > self.max_size {
                    sink.discard(Stat::Truncated);
                } else if sink.packet(datagram) != Flow::Taken {
                    return false;
                }
                self.offset = end;
                if end == message.data.len() {
                    break;
                }
            }
            self.message += 1;
            self.offset = 0;
        }
        true
    }
}

impl Reader for UdpReader {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn poll(&mut self, sink: &mut dyn PacketSink) -> Polled {
        if !self.offer(sink) {
            return Polled::Blocked;
        }
        if let Some(reading) = &mut self.reading {
            *reading = Arrival::now();
        }
        let (messages, memory) = self.wake_up.unwrap_or_else(|| (0, self.memory()));
        match self.batch.receive(self.socket.as_fd()) {
            Ok(received) => {
                (self.filled, self.message, self.offset) = (received, 0, 0);
                self.wake_up = Some((messages + received, memory));
                if !self.offer(sink) {
                    return Polled::Blocked;
                }
                if received == self.batch.capacity() {
                    return Polled::More;
                }
                // A batch that is not full has seen the socket empty.
                self.wake_up = None;
                self.gather
                    .after(Instant::now(), messages + received, memory)
                    .map_or(Polled::Idle, Polled::Rest)
            }
            // What an ICMP message reports about earlier traffic; the socket goes on.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Polled::More,
            Err(error) => {
                Polled::Failed(Error::io(format_args!("udp reader: recvmmsg on port {}", self.port), &error))
            }
        }
    }

    fn leftover(&mut self) -> Leftover {
        let mut packets = self.rest_of_batch();
        if self.own {
            // What has arrived and was not fetched; no more than fits into any socket, for the sender may go on and on.
            for _ in 0..MAX_LEFTOVER_BATCHES {
                match self.batch.receive(self.socket.as_fd()) {
                    Ok(received @ 1..) => (self.filled, self.message, self.offset) = (received, 0, 0),
                    _ => break,
                }
                packets += self.rest_of_batch();
            }
        }
        let kernel_drops = match (udp::drop_count(self.socket.as_fd()), self.drops) {
            (Some(now), Some(before)) => now.wrapping_sub(before).into(),
            _ => 0,
        };
        self.drops = None;
        Leftover { packets, kernel_drops }
    }
}
