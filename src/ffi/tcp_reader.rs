//! TCP reader
//!
//! A TCP reader listens, and receives packets from the connection that is made to it: one at a time. While the stream waits for
//! its consumer nothing is read, so that the sender is slowed down by TCP itself, and nothing is lost.
//!
//! Nothing but their own lengths separates packets on a TCP connection. So what is no packet (or one longer than max_size) breaks
//! the connection, unless on_garbage says to look for the next packet. A connection that ends after its last packet ends the
//! reader; one that ends in the middle of a packet ends it with AQ_E_TRUNCATED, and one that is reset with AQ_E_IO, which the
//! stream then tells as its reason (see aq_recv_stream_end_reason()).

use std::ffi::{c_char, c_int};
use std::time::Duration;

use super::guard::{Outcome, guard};
use super::handle;
use super::pointer;
use super::reader::{AQ_TIMESTAMPS_NONE, LONGEST_BATCH_DELAY_NS, add, timestamps};
use super::recv::aq_recv_stream;
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::text;
use crate::error::{Error, Result};
use crate::recv::reader::{OnGarbage, SourceFilter, TcpConfig, TcpReader};

/// The connection ends with AQ_E_FORMAT.
pub const AQ_GARBAGE_CLOSE: i32 = 0;
/// Bytes are skipped up to the next that may be a packet's header, one by one: they are counted in bytes_skipped, and each time
/// that this happens one packet is counted as malformed (by kind) or, if it was too long, as truncated. What looks like a header
/// by chance, in what is none, is taken for one.
pub const AQ_GARBAGE_RESYNC: i32 = 1;

/// Where and how to receive over TCP. Fill it with aq_tcp_reader_config_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_tcp_reader_config {
    /// Set by aq_tcp_reader_config_init().
    pub struct_size: usize,
    /// Address or name to listen on; NULL or "" (default) for all IPv4 addresses, "::" for all IPv6 and IPv4 addresses.
    pub host: *const c_char,
    /// From whom connections are taken: addresses and networks, separated by commas, like "10.1.0.0/16, 192.0.2.7"; NULL or "" (default)
    /// for everybody. Others are closed at once, and counted as connections_rejected.
    pub source_filter: *const c_char,
    /// Longest packet to accept, in bytes with its header: 1 .. 2^30; 65536 by default. Memory is used for what has come of a
    /// packet only.
    pub max_size: usize,
    /// The connection's receive buffer in bytes; 4 MiB by default, 0 leaves it to the system. If the kernel grants less, that is
    /// logged as a warning.
    pub buffer_size: usize,
    /// When all that was there has been read, for how many nanoseconds the worker may rest so that more gathers: that saves CPU
    /// time and costs at most that much latency. A flow that would fill the buffer meanwhile gets no rest. 0 .. 1000000;
    /// 1000000 by default; 0 for the lowest latency.
    pub batch_delay_ns: u64,
    /// A listening TCP socket to use; host and port are then ignored. It is duplicated: the caller's stays the caller's, and open,
    /// but both become non-blocking. -1 (default) for none.
    pub acceptor_fd: c_int,
    /// 0 (default): the reader takes one connection, listens no longer, and ends when that ends. 1: it goes on listening and takes
    /// one connection after the other (a further one waits for its turn); how they end is logged and counted, and the reader
    /// never ends by itself.
    pub reconnect: i32,
    /// What to do where a packet should start and none does: one of AQ_GARBAGE_*, AQ_GARBAGE_CLOSE by default.
    pub on_garbage: i32,
    /// Whether the time is taken at which packets arrive, see aq_heap_arrival(): one of AQ_TIMESTAMPS_*. It is that of the last byte that
    /// was read together with the end of the packet.
    pub timestamps: i32,
    /// Port to listen on; 0 (default) lets the system choose, see aq_recv_stream_reader_port().
    pub port: u16,
    /// Must be 0; anything else is AQ_E_VERSION.
    pub reserved: [u16; 3],
}

// SAFETY: integers and pointers; four 32-bit numbers fill 16 bytes, four of 16 bits 8.
unsafe impl SizedStruct for aq_tcp_reader_config {
    const NAME: &'static str = "aq_tcp_reader_config";
    const FIRST_SIZE: usize = 72;
    const DEFAULT: Self = Self {
        struct_size: 0,
        host: std::ptr::null(),
        source_filter: std::ptr::null(),
        max_size: 65_536,
        buffer_size: 4 << 20,
        batch_delay_ns: LONGEST_BATCH_DELAY_NS,
        acceptor_fd: -1,
        reconnect: 0,
        on_garbage: AQ_GARBAGE_CLOSE,
        timestamps: AQ_TIMESTAMPS_NONE,
        port: 0,
        reserved: [0; 3],
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
pub unsafe extern "C" fn aq_tcp_reader_config_init(
    config: *mut aq_tcp_reader_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// Listens on a TCP socket and receives packets from the connection that is made.
///
/// Long payloads are read straight into their places. Keep-alive is on, so that a sender whose machine has gone without a word is
/// noticed after the system's time for that (net.ipv4.tcp_keepalive_time).
///
/// When the stream ends, what has been read of the connection and not been used is counted as after_stop (a packet of which a part
/// had come, too); what is still in the socket is not counted.
///
/// @param stream the stream
/// @param config where and how; copied
/// @return AQ_OK; AQ_STOPPED when the stream has ended already; AQ_E_INVALID; AQ_E_IO when the host is unknown, the address is
///     in use, or the system refuses otherwise: aq_last_error() names the address and the reason
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
///
/// ```c
/// aq_tcp_reader_config tcp;
/// aq_tcp_reader_config_init(&tcp, sizeof tcp);
/// tcp.host = "0.0.0.0";
/// tcp.port = 7148;
/// if (aq_recv_stream_add_tcp_reader(stream, &tcp) != AQ_OK)
///     fprintf(stderr, "%s\n", aq_last_error());
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_add_tcp_reader(
    stream: *mut aq_recv_stream,
    config: *const aq_tcp_reader_config,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let c = unsafe { sized::read(config, "config") }?;
        for value in c.reserved {
            sized::reserved(value, "config: reserved")?;
        }
        // Here, for the core would name its own type and unit.
        if c.batch_delay_ns > LONGEST_BATCH_DELAY_NS {
            let rule = format!("batch_delay_ns must be at most {LONGEST_BATCH_DELAY_NS}");
            return Err(Error::invalid(format!("{rule} (got {})", c.batch_delay_ns)));
        }
        // SAFETY: NULL or C texts by the contract of the struct.
        let (host, source_filter) = unsafe {
            (
                text::optional(c.host, "host")?.unwrap_or_default().to_owned(),
                text::optional(c.source_filter, "source_filter")?.unwrap_or_default(),
            )
        };
        let config = TcpConfig {
            host,
            port: c.port,
            max_size: c.max_size,
            buffer_size: c.buffer_size,
            batch_delay: Duration::from_nanos(c.batch_delay_ns),
            reconnect: sized::flag(c.reconnect, "reconnect")?,
            on_garbage: on_garbage(c.on_garbage)?,
            source_filter: SourceFilter::parse(source_filter)?,
            timestamps: timestamps(c.timestamps)?,
            listener: None,
        };
        if stream.stream().end_reason().is_some() {
            return Ok(Outcome::Stopped);
        }
        let listener = pointer::duplicate(c.acceptor_fd, "acceptor_fd")?;
        let reader = TcpReader::new(TcpConfig { listener, ..config })?;
        let port = reader.port();
        add(&stream, Box::new(reader), port)
    })
}

fn on_garbage(value: i32) -> Result<OnGarbage> {
    match value {
        AQ_GARBAGE_CLOSE => Ok(OnGarbage::Close),
        AQ_GARBAGE_RESYNC => Ok(OnGarbage::Resync),
        _ => Err(Error::invalid(format!("on_garbage must be one of AQ_GARBAGE_* (got {value})"))),
    }
}
