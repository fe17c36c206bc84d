//! Where streams send to
//!
//! UDP (to hosts and multicast groups), TCP, in-process queues, and files. Several destinations are substreams of one stream: they share its queue and its rate.

use std::ffi::{c_char, c_int};
use std::path::Path;
use std::time::Duration;

use super::guard::{Outcome, guard};
use super::handle;
use super::inproc::aq_inproc_queue;
use super::pointer::{Out, duplicate, slice};
use super::send_stream::{aq_send_stream, aq_send_stream_config, stream_config};
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::text;
use crate::error::{Error, Result};
use crate::send::SendStream;
use crate::send::sink::{
    Destination, FileFormat, FileSink, InprocSink, Sink, TcpSendConfig, TcpSink, UdpSendConfig, UdpSink,
};

/// A file of packets, one behind the other, and nothing else.
pub const AQ_SEND_FILE_RAW: i32 = 0;
/// A capture (classic pcap) of UDP packets: those of substream i go to port 7148 + i.
pub const AQ_SEND_FILE_PCAP: i32 = 1;

/// A host and a port to send to.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_send_destination {
    /// Name or address of the host, or a multicast group.
    pub host: *const c_char,
    /// Port: 1 .. 65535.
    pub port: u16,
    /// Must be 0; anything else is AQ_E_VERSION.
    pub reserved: [u16; 3],
}

/// Where and how to send over UDP. Fill it with aq_udp_sender_config_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_udp_sender_config {
    /// Set by aq_udp_sender_config_init().
    pub struct_size: usize,
    /// Destinations, one for each substream; required.
    pub destinations: *const aq_send_destination,
    /// How many: at least 1.
    pub n_destinations: usize,
    /// Address to send from; NULL or "" (default) for what the system chooses.
    pub source_address: *const c_char,
    /// For multicast groups: the interface to send on, by its IPv4 address or its name; NULL or "" (default) for the system's choice.
    pub interface_address: *const c_char,
    /// Send buffer of each socket in bytes; 524288 by default, 0 leaves it to the system. If the kernel grants less, that is logged as a warning.
    pub buffer_size: usize,
    /// The interface by its index; 0 (default) for none.
    pub interface_index: u32,
    /// Routers that packets may pass: 1 .. 255; 0 (default) for the system's default, which is 1 for groups.
    pub ttl: u32,
    /// 0 (default): a packet that is larger than the path's MTU allows is an error of its heap; 1: it is sent in fragments.
    pub fragment: i32,
    /// 1 (default): packets are handed to the kernel in bunches, where it takes them so (UDP GSO), which saves CPU time; 0: don't.
    pub gso: i32,
    /// A UDP socket to send over, to exactly one destination; -1 (default) for one of the stream's own. It is duplicated: the caller's stays the caller's, but both become
    /// blocking and connected to the destination. What it is bound to, its interface, ttl and buffer stay as they are: source_address, interface_address, interface_index and
    /// ttl must be left at their defaults, buffer_size does not count.
    pub socket_fd: c_int,
    /// Must be 0; anything else is AQ_E_VERSION.
    pub reserved: u32,
}

// SAFETY: numbers and pointers; six 32-bit numbers fill 24 bytes.
unsafe impl SizedStruct for aq_udp_sender_config {
    const NAME: &'static str = "aq_udp_sender_config";
    const FIRST_SIZE: usize = 72;
    const DEFAULT: Self = Self {
        struct_size: 0,
        destinations: std::ptr::null(),
        n_destinations: 0,
        source_address: std::ptr::null(),
        interface_address: std::ptr::null(),
        buffer_size: 512 << 10,
        interface_index: 0,
        ttl: 0,
        fragment: 0,
        gso: 1,
        socket_fd: -1,
        reserved: 0,
    };
}

/// Where to connect to over TCP. Fill it with aq_tcp_sender_config_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_tcp_sender_config {
    /// Set by aq_tcp_sender_config_init().
    pub struct_size: usize,
    /// Destinations, one for each substream; required.
    pub destinations: *const aq_send_destination,
    /// How many: at least 1.
    pub n_destinations: usize,
    /// How long to wait for each connection, in nanoseconds: at least 1; 10^10 by default.
    pub connect_timeout_ns: u64,
    /// Send buffer of each connection in bytes; 0 (default) leaves it to the system, which lets it grow.
    pub buffer_size: usize,
    /// A connected TCP socket to send over instead of to destinations, of which there must then be none; -1 (default) for none. It is duplicated: the caller's stays the
    /// caller's, but both become blocking.
    pub socket_fd: c_int,
    /// Must be 0; anything else is AQ_E_VERSION.
    pub reserved: u32,
}

// SAFETY: numbers and pointers; two 32-bit numbers fill 8 bytes.
unsafe impl SizedStruct for aq_tcp_sender_config {
    const NAME: &'static str = "aq_tcp_sender_config";
    const FIRST_SIZE: usize = 48;
    const DEFAULT: Self = Self {
        struct_size: 0,
        destinations: std::ptr::null(),
        n_destinations: 0,
        connect_timeout_ns: 10_000_000_000,
        buffer_size: 0,
        socket_fd: -1,
        reserved: 0,
    };
}

/// # Safety
/// `pointer` is NULL or has `count` destinations with C texts.
unsafe fn destinations(pointer: *const aq_send_destination, count: usize) -> Result<Vec<Destination>> {
    // SAFETY: the caller's promise.
    let destinations = unsafe { slice(pointer, count, "destinations") }?;
    let destination = |(i, d): (usize, &aq_send_destination)| {
        for value in d.reserved {
            sized::reserved(value, &format!("destinations[{i}]: reserved"))?;
        }
        // SAFETY: NULL or a C text by the caller's promise.
        let host = unsafe { text::required(d.host, &format!("destinations[{i}]: host")) }?.to_owned();
        Ok(Destination { host, port: d.port })
    };
    destinations.iter().enumerate().map(destination).collect()
}

/// Writes the defaults.
///
/// @param config the struct
/// @param struct_size sizeof *config
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_udp_sender_config_init(
    config: *mut aq_udp_sender_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// Writes the defaults.
///
/// @param config the struct
/// @param struct_size sizeof *config
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_tcp_sender_config_init(
    config: *mut aq_tcp_sender_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// The rest of every function that makes a stream.
///
/// # Safety
/// `config` is NULL or a struct of its struct_size; `out` is NULL or writable.
unsafe fn start(
    config: *const aq_send_stream_config,
    out: *mut *mut aq_send_stream,
    sink: impl FnOnce() -> Result<Box<dyn Sink>>,
) -> Result<Outcome> {
    // SAFETY: the caller's promise.
    let config = unsafe { stream_config(config) }?;
    // SAFETY: the caller's promise.
    let out = unsafe { Out::new(out, "out") }?;
    out.write(handle::new(SendStream::new(config, sink()?)?));
    Ok(Outcome::Done)
}

/// Makes a stream that sends over UDP.
///
/// @param config how it sends; NULL for the defaults
/// @param udp where to; copied
/// @param out receives the stream; free it with aq_send_stream_free()
/// @return AQ_OK; AQ_E_INVALID; AQ_E_VERSION; AQ_E_IO when a host is not known, no route leads there, or there are too many open files
///
/// Threads: any. It may wait for the name of a host to be looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_stream_new_udp(
    config: *const aq_send_stream_config,
    udp: *const aq_udp_sender_config,
    out: *mut *mut aq_send_stream,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let c = unsafe { sized::read(udp, "udp") }?;
        // SAFETY: NULL, or C texts and an array by the caller's contract.
        let (destinations, source, interface) = unsafe {
            let source = text::optional(c.source_address, "source_address")?.unwrap_or_default();
            let interface = text::optional(c.interface_address, "interface_address")?.unwrap_or_default();
            (destinations(c.destinations, c.n_destinations)?, source.to_owned(), interface.to_owned())
        };
        let udp = UdpSendConfig {
            destinations,
            source,
            interface,
            interface_index: c.interface_index,
            ttl: c.ttl,
            buffer_size: c.buffer_size,
            fragment: sized::flag(c.fragment, "fragment")?,
            gso: sized::flag(c.gso, "gso")?,
        };
        sized::reserved(c.reserved, "udp: reserved")?;
        let socket = duplicate(c.socket_fd, "socket_fd")?;
        // SAFETY: the caller's contract.
        unsafe {
            start(config, out, || match socket {
                None => Ok(Box::new(UdpSink::new(&udp)?)),
                Some(socket) => Ok(Box::new(UdpSink::over(socket, &udp)?)),
            })
        }
    })
}

/// Makes a stream that sends over TCP, and connects it. A connection that breaks stays broken: every heap for it has an error from then on.
///
/// That a packet was handed over means that the kernel has taken it, not that the receiver has.
///
/// @param config how it sends; NULL for the defaults
/// @param tcp where to; copied
/// @param out receives the stream; free it with aq_send_stream_free()
/// @return AQ_OK; AQ_E_INVALID; AQ_E_VERSION; AQ_E_IO when a host is not known, does not answer or refuses
///
/// Threads: any. It waits for the connections.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_stream_new_tcp(
    config: *const aq_send_stream_config,
    tcp: *const aq_tcp_sender_config,
    out: *mut *mut aq_send_stream,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let c = unsafe { sized::read(tcp, "tcp") }?;
        if c.connect_timeout_ns == 0 {
            return Err(Error::invalid("connect_timeout_ns must be at least 1 (got 0)"));
        }
        let tcp = TcpSendConfig {
            // SAFETY: NULL or an array with C texts by the caller's contract.
            destinations: unsafe { destinations(c.destinations, c.n_destinations) }?,
            connect_timeout: Duration::from_nanos(c.connect_timeout_ns),
            buffer_size: c.buffer_size,
        };
        sized::reserved(c.reserved, "tcp: reserved")?;
        let socket = duplicate(c.socket_fd, "socket_fd")?;
        if socket.is_some() && !tcp.destinations.is_empty() {
            let given = tcp.destinations.len();
            return Err(Error::invalid(format!(
                "with socket_fd there must be no destinations (got {given})"
            )));
        }
        // SAFETY: the caller's contract.
        unsafe {
            start(config, out, || match socket {
                None => Ok(Box::new(TcpSink::new(&tcp)?)),
                Some(socket) => Ok(Box::new(TcpSink::over(socket, tcp.buffer_size)?)),
            })
        }
    })
}

/// Makes a stream that puts packets into queues of this process. While a queue is full the stream waits.
///
/// @param config how it sends; NULL for the defaults
/// @param queues one queue for each substream, which the caller may free afterwards; but freeing a queue stops it
/// @param n_queues how many: at least 1
/// @param out receives the stream; free it with aq_send_stream_free()
/// @return AQ_OK; AQ_E_INVALID; AQ_E_VERSION
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_stream_new_inproc(
    config: *const aq_send_stream_config,
    queues: *const *mut aq_inproc_queue,
    n_queues: usize,
    out: *mut *mut aq_send_stream,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or an array by the caller's contract.
        let queues = unsafe { slice(queues, n_queues, "queues") }?;
        let queue = |&queue: &*mut aq_inproc_queue| {
            // SAFETY: NULL or a live handle by the caller's contract.
            Ok(unsafe { handle::borrow(queue, "queues: queue") }?.clone())
        };
        let queues = queues.iter().map(queue).collect::<Result<Vec<_>>>()?;
        // SAFETY: the caller's contract.
        unsafe { start(config, out, || Ok(Box::new(InprocSink::new(queues)?))) }
    })
}

/// Makes a stream that writes packets to a file, in place of one that may be there.
///
/// @param config how it sends; NULL for the defaults
/// @param path the file
/// @param format AQ_SEND_FILE_RAW or AQ_SEND_FILE_PCAP
/// @param out receives the stream; free it with aq_send_stream_free()
/// @return AQ_OK; AQ_E_INVALID; AQ_E_VERSION; AQ_E_IO when the file cannot be made
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_stream_new_file(
    config: *const aq_send_stream_config,
    path: *const c_char,
    format: i32,
    out: *mut *mut aq_send_stream,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a C text by the caller's contract.
        let path: &Path = unsafe { text::path(path, "path") }?;
        let format = match format {
            AQ_SEND_FILE_RAW => FileFormat::Raw,
            AQ_SEND_FILE_PCAP => FileFormat::Pcap,
            _ => {
                let rule = "format must be AQ_SEND_FILE_RAW or AQ_SEND_FILE_PCAP";
                return Err(Error::invalid(format!("{rule} (got {format})")));
            }
        };
        // SAFETY: the caller's contract.
        unsafe { start(config, out, || Ok(Box::new(FileSink::create(path, format)?))) }
    })
}
