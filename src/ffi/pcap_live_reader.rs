//! Live capture
//!
//! Packets captured on a network interface through libpcap, whoever they are for: those of a mirrored port, of a stream that another
//! program receives at the same time, of a multicast group that nobody has joined. Capturing takes a privilege (`CAP_NET_RAW`) and
//! costs more than a UDP reader. Fragments of IP packets are not put together: they are counted (fragment). A bunch of datagrams that a program
//! on the same host has sent in one go (UDP_SEGMENT) is seen as one.

use std::ffi::c_char;

use super::guard::{Outcome, guard};
use super::handle;
use super::reader::add;
use super::recv::aq_recv_stream;
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::text;
use crate::error::Result;
use crate::recv::reader::Reader;

/// Where and what to capture. Fill it with aq_pcap_live_reader_config_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_pcap_live_reader_config {
    /// Set by aq_pcap_live_reader_config_init().
    pub struct_size: usize,
    /// The interface's name, or "any". Required.
    pub device: *const c_char,
    /// Which packets, in tcpdump's language, for example "udp dst port 7148"; NULL (default) for all. The kernel applies it.
    pub filter: *const c_char,
    /// The ring that the kernel captures to, in bytes: 65536 .. 2147483647; 16 MiB by default.
    pub buffer_size: usize,
    /// 1 (default): take frames that are addressed to other hosts, too; 0: leave the interface as it is.
    pub promiscuous: i32,
    /// 1: take frames that this host sends, too; 0 (default): only those that it receives. On the loopback interface each frame is
    /// taken once, in any case.
    pub outgoing: i32,
}

// SAFETY: integers and pointers without padding; any bytes are valid.
unsafe impl SizedStruct for aq_pcap_live_reader_config {
    const NAME: &'static str = "aq_pcap_live_reader_config";
    const FIRST_SIZE: usize = 40;
    const DEFAULT: Self = Self {
        struct_size: 0,
        device: std::ptr::null(),
        filter: std::ptr::null(),
        buffer_size: 16 << 20,
        promiscuous: 1,
        outgoing: 0,
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
pub unsafe extern "C" fn aq_pcap_live_reader_config_init(
    config: *mut aq_pcap_live_reader_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// Reads the UDP datagrams that are captured on an interface, until the stream ends. Their time of arrival is taken, see
/// aq_heap_arrival().
///
/// What finds no space in the kernel's ring is counted in kernel_drops; the filter's own misses are not counted. Frames that are not UDP,
/// fragments of IP packets and frames longer than 65663 bytes are counted (not_udp, fragment, truncated): a filter keeps the first of
/// them away. The reader fails when the interface disappears or goes down.
///
/// @param stream the stream
/// @param config where and what; copied
/// @return AQ_OK; AQ_STOPPED when the stream has ended already; AQ_E_INVALID when a field is out of range or the filter has an error;
///     AQ_E_IO when there is no such interface, or this process may not capture; AQ_E_UNSUPPORTED for other link types than Ethernet,
///     loopback, Linux cooked and raw IP, or without the feature "pcap"
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
///
/// ```c
/// aq_pcap_live_reader_config live;
/// aq_pcap_live_reader_config_init(&live, sizeof live);
/// live.device = "eth1";
/// live.filter = "udp dst port 7148";
/// if (aq_recv_stream_add_pcap_live_reader(stream, &live) != AQ_OK)
///     fprintf(stderr, "%s\n", aq_last_error());
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_add_pcap_live_reader(
    stream: *mut aq_recv_stream,
    config: *const aq_pcap_live_reader_config,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let c = unsafe { sized::read(config, "config") }?;
        // SAFETY: NULL or C texts by the contract of the struct.
        let (device, filter) =
            unsafe { (text::required(c.device, "device")?, text::optional(c.filter, "filter")?) };
        let promiscuous = sized::flag(c.promiscuous, "promiscuous")?;
        let outgoing = sized::flag(c.outgoing, "outgoing")?;
        if stream.stream().end_reason().is_some() {
            return Ok(Outcome::Stopped);
        }
        add(&stream, live_reader(device, filter, c.buffer_size, promiscuous, outgoing)?, 0)
    })
}

#[cfg(feature = "pcap")]
fn live_reader(
    device: &str,
    filter: Option<&str>,
    buffer_size: usize,
    promiscuous: bool,
    outgoing: bool,
) -> Result<Box<dyn Reader>> {
    use crate::recv::reader::{PcapLiveConfig, PcapLiveReader};
    let (device, filter) = (device.to_owned(), filter.map(str::to_owned));
    let config = PcapLiveConfig { device, filter, buffer_size, promiscuous, outgoing };
    Ok(Box::new(PcapLiveReader::new(config)?))
}

#[cfg(not(feature = "pcap"))]
fn live_reader(_: &str, _: Option<&str>, _: usize, _: bool, _: bool) -> Result<Box<dyn Reader>> {
    use crate::error::{Error, ErrorKind};
    let reason = "live capture: this build is without the feature \"pcap\"";
    Err(Error::new(ErrorKind::Unsupported, reason))
}
