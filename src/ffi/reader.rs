//! Readers
//!
//! Readers bring packets to a stream: from a UDP or TCP socket, a capture file, memory. A stream may have several, of any kind,
//! and it ends when the last of them has ended; add them all before aq_recv_stream_start() (explicit_start) if one may
//! end before the next is added. A reader never blocks its worker: when the stream must wait for its consumer, it pauses.

use std::ffi::{c_char, c_int, c_void};
use std::sync::Arc;
use std::time::Duration;

use super::callback::{User, aq_user_free_fn};
use super::guard::{Outcome, guard};
use super::handle;
use super::memory::caller_buffer;
use super::pointer::{self, Out};
use super::recv::{ReceivingStream, aq_recv_stream};
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::text;
use crate::error::{Error, ErrorKind, Result};
use crate::recv::reader::{
    BufferReader, Coalesce, DEFAULT_BATCH_DELAY, Reader, SourceFilter, Timestamps, UdpConfig, UdpReader,
};

/// The core's limit, too.
pub(super) const LONGEST_BATCH_DELAY_NS: u64 = 1_000_000;

/// Adds a reader and takes down its port, under one lock so that their order is the same.
pub(super) fn add(stream: &ReceivingStream, reader: Box<dyn Reader>, port: u16) -> Result<Outcome> {
    let mut ports = stream.ports.lock();
    if !stream.stream().add_reader(reader)? {
        return Ok(Outcome::Stopped);
    }
    ports.push(port);
    Ok(Outcome::Done)
}

/// Reads packets that stand back to back in memory.
///
/// A malformed packet ends the reader with an error, as nobody can know where the next one starts.
///
/// @param stream the stream
/// @param data the packets; they must not change until release is called
/// @param size bytes at data
/// @param release called once with user when the data is not needed any more, by any thread, also on an error; or NULL, then
///     the data must stay valid until the stream has ended
/// @param user passed to release
/// @return AQ_OK; AQ_STOPPED when the stream has ended already; AQ_E_INVALID when data is NULL and size is not 0
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_add_buffer_reader(
    stream: *mut aq_recv_stream,
    data: *const c_void,
    size: usize,
    release: aq_user_free_fn,
    user: *mut c_void,
) -> aq_status {
    guard(|| {
        // SAFETY: release may be called once with user by the caller's contract.
        let owner = Arc::new(unsafe { User::new(user, release) });
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        // SAFETY: size bytes, unchanged until release, by the caller's contract; the reader only reads.
        let reader = unsafe { BufferReader::new(caller_buffer(data.cast_mut(), size, "data", owner)?) };
        add(&stream, Box::new(reader), 0)
    })
}

/// Reads the UDP datagrams of a capture file (pcap or pcapng; Ethernet with VLAN tags, Linux cooked, loopback or raw IP)
/// as fast as the stream takes them.
///
/// Frames that are not UDP, fragments of IP packets and frames cut short by the capture are counted (not_udp, fragment,
/// truncated). A packet's time of arrival, see aq_heap_arrival(), is that of the capture. A broken file ends the reader with an error that names the record and its place.
///
/// @param stream the stream
/// @param path the file
/// @param filter which packets, in tcpdump's language, for example "udp dst port 7148"; NULL for all
/// @return AQ_OK; AQ_STOPPED when the stream has ended already; AQ_E_IO when the file cannot be opened; AQ_E_FORMAT or
///     AQ_E_TRUNCATED when it is no capture file; AQ_E_INVALID when the filter has an error; AQ_E_UNSUPPORTED for other link
///     types, or without the feature "pcap"
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_add_pcap_reader(
    stream: *mut aq_recv_stream,
    path: *const c_char,
    filter: *const c_char,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        if stream.stream().end_reason().is_some() {
            return Ok(Outcome::Stopped);
        }
        // SAFETY: NULL or C texts by the caller's contract.
        let (path, filter) = unsafe { (text::path(path, "path")?, text::optional(filter, "filter")?) };
        add(&stream, pcap_reader(path, filter)?, 0)
    })
}

#[cfg(feature = "pcap")]
fn pcap_reader(path: &std::path::Path, filter: Option<&str>) -> Result<Box<dyn Reader>> {
    Ok(Box::new(crate::recv::reader::PcapReader::open(path, filter)?))
}

#[cfg(not(feature = "pcap"))]
fn pcap_reader(_: &std::path::Path, _: Option<&str>) -> Result<Box<dyn Reader>> {
    let reason = "capture files: this build is without the feature \"pcap\"";
    Err(Error::new(ErrorKind::Unsupported, reason))
}

/// The time of arrival is not taken.
pub const AQ_TIMESTAMPS_NONE: i32 = 0;
/// The kernel takes the time (SO_TIMESTAMPING). It begins to do so up to some milliseconds after the first socket of the host has asked
/// for it; packets that come in between have the time at which they are read.
pub const AQ_TIMESTAMPS_SOFTWARE: i32 = 1;
/// The network card takes the time if it is set up to do so (hwstamp_ctl), else the kernel; aq_arrival tells which.
pub const AQ_TIMESTAMPS_HARDWARE: i32 = 2;

/// The core's way to say it.
pub(super) fn timestamps(value: i32) -> Result<Timestamps> {
    match value {
        AQ_TIMESTAMPS_NONE => Ok(Timestamps::None),
        AQ_TIMESTAMPS_SOFTWARE => Ok(Timestamps::Software),
        AQ_TIMESTAMPS_HARDWARE => Ok(Timestamps::Hardware),
        _ => Err(Error::invalid(format!("timestamps must be one of AQ_TIMESTAMPS_* (got {value})"))),
    }
}

/// In aq_udp_reader_config: the reader itself chooses how long datagrams gather.
pub const AQ_COALESCE_ADAPTIVE: i64 = -1;

/// The core's way to say it.
fn coalesce(value: i64) -> Result<Coalesce> {
    match u64::try_from(value) {
        Ok(time @ ..=LONGEST_BATCH_DELAY_NS) => Ok(Coalesce::Fixed(Duration::from_nanos(time))),
        _ if value == AQ_COALESCE_ADAPTIVE => Ok(Coalesce::Adaptive),
        _ => {
            let rule = format!("coalesce_ns must be AQ_COALESCE_ADAPTIVE or 0 to {LONGEST_BATCH_DELAY_NS}");
            Err(Error::invalid(format!("{rule} (got {value})")))
        }
    }
}

/// Where and how to receive datagrams. Fill it with aq_udp_reader_config_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_udp_reader_config {
    /// Set by aq_udp_reader_config_init().
    pub struct_size: usize,
    /// Address or name to bind to; NULL or "" (default) for all IPv4 addresses, "::" for all IPv6 and IPv4 addresses. A
    /// multicast group is joined; for several groups add several readers.
    pub host: *const c_char,
    /// The interface on which a multicast group is joined: its name ("eth1") or, for an IPv4 group, its address; NULL or ""
    /// (default) leaves it to the system.
    pub interface_address: *const c_char,
    /// From whom packets are taken: addresses and networks, separated by commas, like "10.1.0.0/16, 192.0.2.7"; NULL or "" (default)
    /// for everybody. Others' packets are counted as source_rejected.
    pub source_filter: *const c_char,
    /// Longest packet to accept, in bytes: 1 .. 65535; 9200 by default. Longer ones are counted as truncated.
    pub max_size: usize,
    /// The socket's receive buffer in bytes; 8 MiB by default, 0 leaves the system's. If the kernel grants less, that is
    /// logged as a warning.
    pub buffer_size: usize,
    /// Where coalesce_ns is AQ_COALESCE_ADAPTIVE: for how many nanoseconds datagrams may gather in the socket so that the next batch is
    /// larger. That saves CPU time and costs at most that much latency. 0 .. 1000000; 500000 by default; 0 for the lowest latency.
    pub batch_delay_ns: u64,
    /// A bound UDP socket to use; host and port are then ignored. It is duplicated: the caller's stays the caller's, but both
    /// become non-blocking. -1 (default) for none.
    pub socket_fd: c_int,
    /// 1 (default): take datagrams of one sender in bunches where the kernel can (generic receive offload), which saves CPU time;
    /// but a bunch that the kernel has to drop counts as one in kernel_drops. 0: one by one, each drop counted.
    pub gro: i32,
    /// The same as interface_address by the interface's index; 0 (default) for none. Only one of them may be set.
    pub interface_index: u32,
    /// 1: other sockets may bind to the same address, too (SO_REUSEADDR); 0 by default. For a multicast group it is always so.
    pub reuse_address: i32,
    /// 1: share what is sent to this address with other sockets that have this set (SO_REUSEPORT), so that each gets the packets of
    /// some senders; 0 by default.
    pub reuse_port: i32,
    /// Whether the time is taken at which packets arrive, see aq_heap_arrival(): one of AQ_TIMESTAMPS_*. With gro, a bunch has
    /// one time.
    pub timestamps: i32,
    /// Port to bind to; 0 (default) lets the system choose, see aq_recv_stream_reader_port().
    pub port: u16,
    /// Must be 0; anything else is AQ_E_VERSION.
    pub reserved: [u16; 3],
    /// For how many nanoseconds datagrams gather in the socket before they are fetched: 0 (never), up to 1000000 (as long, whenever at
    /// least two are to be expected in that time), or AQ_COALESCE_ADAPTIVE (default): as long as it pays at the rate of the last
    /// wake-ups and at most batch_delay_ns. In any case what comes to an idle socket is fetched at once, no more than about an
    /// eighth of the socket's buffer is let fill, and the wait may end some 50 µs late (the kernel's timer slack).
    pub coalesce_ns: i64,
}

// SAFETY: integers and pointers; six ints fill 24 bytes, four u16 8.
unsafe impl SizedStruct for aq_udp_reader_config {
    const NAME: &'static str = "aq_udp_reader_config";
    const FIRST_SIZE: usize = 88;
    const DEFAULT: Self = Self {
        struct_size: 0,
        host: std::ptr::null(),
        interface_address: std::ptr::null(),
        source_filter: std::ptr::null(),
        max_size: 9200,
        buffer_size: 8 << 20,
        batch_delay_ns: DEFAULT_BATCH_DELAY.as_nanos() as u64,
        socket_fd: -1,
        gro: 1,
        interface_index: 0,
        reuse_address: 0,
        reuse_port: 0,
        timestamps: AQ_TIMESTAMPS_NONE,
        port: 0,
        reserved: [0; 3],
        coalesce_ns: AQ_COALESCE_ADAPTIVE,
    };
}

/// Writes the defaults.
///
/// @param config the struct
/// @param struct_size sizeof *config
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_udp_reader_config_init(
    config: *mut aq_udp_reader_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// Reads packets from a UDP socket, many at a time, with generic receive offload where the kernel has it.
///
/// What the kernel drops because nobody fetched it in time is counted in kernel_drops (see gro): with the next datagrams that
/// are fetched, so not while the stream waits for its consumer, and at the end. What is still in the socket when the stream ends
/// is counted as after_stop, unless the socket is the caller's.
///
/// @param stream the stream
/// @param config where and how; copied
/// @return AQ_OK; AQ_STOPPED when the stream has ended already; AQ_E_INVALID; AQ_E_IO when the host is unknown, the address is
///     in use, or the system refuses otherwise: aq_last_error() names the address and the reason
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
///
/// ```c
/// aq_udp_reader_config udp;
/// aq_udp_reader_config_init(&udp, sizeof udp);
/// udp.host = "0.0.0.0";
/// udp.port = 7148;
/// if (aq_recv_stream_add_udp_reader(stream, &udp) != AQ_OK)
///     fprintf(stderr, "%s\n", aq_last_error());
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_add_udp_reader(
    stream: *mut aq_recv_stream,
    config: *const aq_udp_reader_config,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let c = unsafe { sized::read(config, "config") }?;
        for value in c.reserved {
            sized::reserved(value, "config: reserved")?;
        }
        let gro = sized::flag(c.gro, "gro")?;
        // Here, for the core would name its own type and unit.
        if c.batch_delay_ns > LONGEST_BATCH_DELAY_NS {
            let rule = format!("batch_delay_ns must be at most {LONGEST_BATCH_DELAY_NS}");
            return Err(Error::invalid(format!("{rule} (got {})", c.batch_delay_ns)));
        }
        // SAFETY: NULL or C texts by the contract of the struct.
        let (host, interface, source_filter) = unsafe {
            (
                text::optional(c.host, "host")?.unwrap_or_default().to_owned(),
                text::optional(c.interface_address, "interface_address")?.unwrap_or_default().to_owned(),
                text::optional(c.source_filter, "source_filter")?.unwrap_or_default(),
            )
        };
        if stream.stream().end_reason().is_some() {
            return Ok(Outcome::Stopped);
        }
        let socket = pointer::duplicate(c.socket_fd, "socket_fd")?;
        let config = UdpConfig {
            host,
            interface,
            interface_index: c.interface_index,
            reuse_address: sized::flag(c.reuse_address, "reuse_address")?,
            reuse_port: sized::flag(c.reuse_port, "reuse_port")?,
            source_filter: SourceFilter::parse(source_filter)?,
            timestamps: timestamps(c.timestamps)?,
            port: c.port,
            max_size: c.max_size,
            buffer_size: c.buffer_size,
            batch_delay: Duration::from_nanos(c.batch_delay_ns),
            coalesce: coalesce(c.coalesce_ns)?,
            gro,
            socket,
        };
        let reader = UdpReader::new(config)?;
        let port = reader.port();
        add(&stream, Box::new(reader), port)
    })
}

/// The port that a reader is bound to.
///
/// @param stream the stream
/// @param reader the reader: 0 for the first that was added to the stream, 1 for the second …
/// @param port receives the port
/// @return AQ_OK; AQ_E_NOT_FOUND when there is no such reader, or it has no port
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_reader_port(
    stream: *const aq_recv_stream,
    reader: usize,
    port: *mut u16,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(port, "port") }?;
        let found = stream.ports.lock().get(reader).copied().filter(|&port| port != 0);
        out.write(found.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("reader: the stream's reader {reader} has no port, or does not exist"),
            )
        })?);
        Ok(Outcome::Done)
    })
}
