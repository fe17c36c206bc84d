//! Sinks
//!
//! A sink is where a flush of an event buffer writes packets to. There is one primary sink, without which nothing is flushed, and any number of others.
//! A sink writes a file, or files that follow each other, or calls a function:
//!
//! ```text
//! AQ_WRITE_BINARY   the packets' bytes, one behind the other, or what a format function makes of them
//! AQ_WRITE_TEXT     what a format function makes of each packet, or its values by a packet layout, on one line
//! AQ_WRITE_CSV      its values by a packet layout, as plain CSV; the header is the caller's
//! AQ_WRITE_FRAMED   records with times, checksums and marks where packets were lost: see Event files
//! ```
//!
//! A file is created when its sink is attached, and never written over: if it exists, that is an error. It stays open between flushes. If a write
//! fails half-way, what got there is cut off, and the next flush writes it again, so that a file consists of whole records at any time. When the
//! program is killed, everything that was flushed is in the file, and at most one torn record behind it.

use std::ffi::{c_char, c_void};
use std::path::Path;
use std::time::Duration;

use super::callback::{Callback, aq_user_free_fn};
use super::event::aq_event_buffer;
use super::guard::{Outcome, guard};
use super::handle;
use super::packet_layout::aq_packet_layout;
use super::pointer::{self, Out};
use super::sized::{self, SizedStruct};
use super::status::{self, aq_status};
use super::text;
use crate::error::{Error, ErrorKind, Result};
use crate::event::sink::{self, Durability, FileConfig, Formatter, LayoutText, Progress, Sink, SinkStats};
use crate::event::{Amount, Batch, Item, Packet};

/// The packets' bytes, or what a format function makes of them.
pub const AQ_WRITE_BINARY: i32 = 0;
/// Text of each packet by a format function or a layout.
pub const AQ_WRITE_TEXT: i32 = 1;
/// Records of a framed file.
pub const AQ_WRITE_FRAMED: i32 = 2;
/// Plain CSV by a layout.
pub const AQ_WRITE_CSV: i32 = 3;

/// What is written is on the disk when the system likes. It outlives the program, but not a loss of power.
pub const AQ_DURABILITY_SYSTEM: i32 = 0;
/// It is on the disk when a flush returns (fdatasync).
pub const AQ_DURABILITY_FLUSH: i32 = 1;
/// It is on the disk when a flush returns, if the last time was longer than sync_interval_ns ago; and when the file is closed.
pub const AQ_DURABILITY_INTERVAL: i32 = 2;

/// A format function's answer: leave this packet out.
pub const AQ_FORMAT_SKIP: i64 = -1;

/// The primary sink, where an index of a sink is asked for.
pub const AQ_PRIMARY_SINK: i64 = -1;

/// The most that a format function may write for one packet: 16 MiB.
const MOST_TEXT: usize = 16 << 20;

/// What a format function is first given.
const FIRST_TEXT: usize = 4096;

/// Packets that a write function is given at once, at most.
const MOST_PACKETS: usize = 256;

/// A packet on its way out.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_event_packet {
    /// Its bytes, valid until the callback returns.
    pub data: *const c_void,
    /// How many there are.
    pub size: usize,
    /// It counts all packets that the buffer was given, also those that were lost.
    pub number: u64,
    /// When it was put, in nanoseconds since the Unix epoch; 0 if that was not noted.
    pub time_ns: u64,
    /// Packets that were lost between this and the one before. A format function always finds 0 here: text has no place for them.
    pub lost_packets: u64,
    /// Bytes of these.
    pub lost_bytes: u64,
}

/// Writes what a packet looks like in a file.
///
/// - called from: whichever thread flushes; one call at a time for each sink
/// - may block: yes; the flush waits, puts go on as long as there is space
/// - may call: anything but what takes packets out of the same buffer or changes its sinks (flush, pop, peek, clear, ...), which is AQ_E_STATE; a put
///   that waits for space would wait for ever
/// - valid until: it returns, both arguments
/// - on error: it answers a negative number: AQ_FORMAT_SKIP leaves the packet out of this sink; any other (an AQ_E_*) fails the flush, and the packet
///   comes again with the next one
///
/// It answers how many bytes it wrote to `text`, 0 being fine. If `capacity` is too small, it answers how many it needs, up to 16 MiB, and is
/// called once more with as many.
pub type aq_event_format_fn = Option<
    unsafe extern "C" fn(
        packet: *const aq_event_packet,
        text: *mut c_char,
        capacity: usize,
        user: *mut c_void,
    ) -> i64,
>;

/// Takes packets.
///
/// - called from: whichever thread flushes; one call at a time for each sink
/// - may block: yes; the flush waits, puts go on as long as there is space
/// - may call: as aq_event_format_fn
/// - valid until: it returns, the packets and what they point to
/// - on error: it answers a negative number (an AQ_E_*), which fails the flush: the same packets come again with the next one; else AQ_OK
pub type aq_event_write_fn = Option<
    unsafe extern "C" fn(packets: *const aq_event_packet, n_packets: usize, user: *mut c_void) -> aq_status,
>;

/// A sink of files. Initialise it with aq_sink_config_init(), then set `path` at least.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_sink_config {
    /// Set by aq_sink_config_init().
    pub struct_size: usize,
    /// The file. It must not exist. With rotation, a name for many files: `%n` is the file's number from 0 (`%6n` or `%06n`: with at least 6 digits),
    /// `%Y %m %d %H %M %S` the time (UTC) at which it is begun, and `%%` a percent sign.
    pub path: *const c_char,
    /// What each file begins with; copied. NULL (default) for nothing. In a framed file it is the user's part of the file's header.
    pub header: *const c_void,
    /// Bytes at header.
    pub header_size: usize,
    /// What packets mean, for text, CSV, and the header of framed files; NULL (default) if nobody knows. Packets that do not follow it are left out of
    /// text and CSV, and counted as skipped.
    pub layout: *const aq_packet_layout,
    /// Between the values of AQ_WRITE_TEXT by a layout; NULL (default) is ",".
    pub separator: *const c_char,
    /// What makes text, or other bytes, of packets; NULL (default) for none.
    pub format: aq_event_format_fn,
    /// Passed to format.
    pub format_user: *mut c_void,
    /// Releases format_user.
    pub format_user_free: aq_user_free_fn,
    /// A file that has grown to so many bytes, whole packets only, is followed by the next one; 0 (default): never.
    pub rotate_bytes: u64,
    /// A file that is so old is followed by the next one when there is a packet to write, in nanoseconds; 0 (default): never. One without packets stays.
    pub rotate_interval_ns: u64,
    /// For AQ_DURABILITY_INTERVAL, in nanoseconds. 1 s by default.
    pub sync_interval_ns: u64,
    /// AQ_WRITE_*; AQ_WRITE_BINARY by default.
    pub mode: i32,
    /// AQ_DURABILITY_*; AQ_DURABILITY_SYSTEM by default.
    pub durability: i32,
    /// 1: it is the primary sink, in the place of the present one, which is closed; 0 (default): it is another one.
    pub primary: i32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: integers, raw pointers and Option<fn>s, without padding; any bytes are valid.
unsafe impl SizedStruct for aq_sink_config {
    const NAME: &'static str = "aq_sink_config";
    const FIRST_SIZE: usize = 112;
    const DEFAULT: Self = Self {
        struct_size: 0,
        path: std::ptr::null(),
        header: std::ptr::null(),
        header_size: 0,
        layout: std::ptr::null(),
        separator: std::ptr::null(),
        format: None,
        format_user: std::ptr::null_mut(),
        format_user_free: None,
        rotate_bytes: 0,
        rotate_interval_ns: 0,
        sync_interval_ns: 1_000_000_000,
        mode: AQ_WRITE_BINARY,
        durability: AQ_DURABILITY_SYSTEM,
        primary: 0,
        reserved: 0,
    };
}

/// What became of packets in a sink. Initialise it with aq_sink_stats_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_sink_stats {
    /// Set by aq_sink_stats_init().
    pub struct_size: usize,
    /// Packets that it has.
    pub packets: u64,
    /// Bytes that it wrote, without headers.
    pub bytes: u64,
    /// Packets that it left out: a format function said so, or they do not follow the layout.
    pub skipped: u64,
    /// Packets that were lost on the way to it, since it was attached.
    pub lost: u64,
    /// Bytes of these.
    pub lost_bytes: u64,
    /// Flushes in which it failed.
    pub errors: u64,
}

// SAFETY: a usize and u64s without padding; any bytes are valid.
unsafe impl SizedStruct for aq_sink_stats {
    const NAME: &'static str = "aq_sink_stats";
    const FIRST_SIZE: usize = 56;
    const DEFAULT: Self =
        Self { struct_size: 0, packets: 0, bytes: 0, skipped: 0, lost: 0, lost_bytes: 0, errors: 0 };
}

fn c_packet(packet: &Packet<'_>, lost: Amount) -> aq_event_packet {
    aq_event_packet {
        data: packet.data().as_ptr().cast(),
        size: packet.size(),
        number: packet.number,
        time_ns: packet.time,
        lost_packets: lost.packets,
        lost_bytes: lost.bytes,
    }
}

/// What a function of the program failed with.
fn failure(what: &str, status: i64) -> Error {
    let kind = i32::try_from(status).ok().and_then(status::kind).unwrap_or(ErrorKind::Io);
    Error::new(kind, format!("{what}: the program's function answered {status}"))
}

type FormatFn = unsafe extern "C" fn(*const aq_event_packet, *mut c_char, usize, *mut c_void) -> i64;

/// A format function as the core wants it.
struct CFormatter {
    callback: Callback<FormatFn>,
    /// For messages.
    path: String,
    memory: Vec<u8>,
}

/// Behind what a format function may write to, to notice if it did not keep to that.
const CANARY: [u8; 16] = *b"aqueduct-canary!";

impl Formatter for CFormatter {
    fn format(&mut self, packet: &Packet<'_>, text: &mut Vec<u8>) -> Result<bool> {
        let Self { callback: Callback { function, user }, path, memory } = self;
        let c_packet = c_packet(packet, Amount::default());
        // Once more, if it asks for more.
        for is_last in [false, true] {
            let capacity = memory.len() - CANARY.len();
            memory[capacity..].copy_from_slice(&CANARY);
            // SAFETY: the maker of the sink promised a function of this contract; all pointers are valid for the call.
            let answer = unsafe { function(&c_packet, memory.as_mut_ptr().cast(), capacity, user.pointer()) };
            let fail = |kind, what: String| {
                Err(Error::new(
                    kind,
                    format!("event sink {path}: the format function {what} for packet {}", packet.number),
                ))
            };
            if memory[capacity..] != CANARY {
                return fail(ErrorKind::Invalid, format!("wrote beyond its {capacity} bytes"));
            }
            match usize::try_from(answer) {
                Ok(size) if size <= capacity => {
                    text.extend_from_slice(&memory[..size]);
                    return Ok(true);
                }
                Ok(size) if size > MOST_TEXT => {
                    return fail(ErrorKind::Invalid, format!("wants {size} bytes of at most {MOST_TEXT}"));
                }
                Ok(size) if is_last => {
                    let what =
                        format!("asks for {size} bytes after it was given the {capacity} that it asked for,");
                    return fail(ErrorKind::Invalid, what);
                }
                Ok(size) => memory.resize(size + CANARY.len(), 0),
                Err(_) if answer == AQ_FORMAT_SKIP => return Ok(false),
                Err(_) => {
                    return Err(failure(&format!("event sink {path}: packet {}", packet.number), answer));
                }
            }
        }
        Ok(false)
    }
}

type WriteFn = unsafe extern "C" fn(*const aq_event_packet, usize, *mut c_void) -> aq_status;

/// A write function as the core wants it.
struct CSink {
    callback: Callback<WriteFn>,
    /// Lost in front of the next packet.
    lost: Amount,
}

impl CSink {
    /// Gives it the packets that `ahead` has passed and `progress` has not.
    fn give(
        &self,
        packets: &mut Vec<aq_event_packet>,
        ahead: &mut Progress,
        progress: &mut Progress,
    ) -> Result<()> {
        if !packets.is_empty() {
            let Callback { function, user } = &self.callback;
            // SAFETY: the maker of the sink promised a function of this contract; all pointers are valid for the call.
            let status = unsafe { function(packets.as_ptr(), packets.len(), user.pointer()) };
            if status < 0 {
                return Err(failure("event sink", status.into()));
            }
            ahead.bytes += packets.iter().map(|packet| packet.size as u64).sum::<u64>();
            packets.clear();
        }
        *progress = *ahead;
        Ok(())
    }
}

impl Sink for CSink {
    fn write(&mut self, batch: &Batch, progress: &mut Progress) -> Result<()> {
        let mut packets = Vec::with_capacity(MOST_PACKETS);
        let mut ahead = *progress;
        // What was lost in front of a packet that was not taken counts again when that comes again.
        let mut lost = self.lost;
        for item in batch.items(progress.next) {
            match item {
                Item::Lost(more) => {
                    lost += Amount { packets: more.packets, bytes: more.bytes };
                    ahead.lose(more);
                }
                Item::Packet(packet) => {
                    if packets.len() == MOST_PACKETS {
                        let next = ahead.next;
                        self.give(&mut packets, &mut ahead, progress)?;
                        debug_assert_eq!(progress.next, next);
                        self.lost = lost;
                    }
                    packets.push(c_packet(&packet, std::mem::take(&mut lost)));
                    ahead.pass(&packet);
                }
            }
        }
        self.give(&mut packets, &mut ahead, progress)?;
        self.lost = lost;
        Ok(())
    }

    fn close(&mut self, _: &Progress) -> Result<()> {
        Ok(())
    }
}

pub(super) fn durability(value: i32, interval_ns: u64) -> Result<Durability> {
    match value {
        AQ_DURABILITY_SYSTEM => Ok(Durability::System),
        AQ_DURABILITY_FLUSH => Ok(Durability::Flush),
        AQ_DURABILITY_INTERVAL => Ok(Durability::Interval(Duration::from_nanos(interval_ns))),
        _ => Err(Error::invalid(format!("durability must be one of AQ_DURABILITY_* (got {value})"))),
    }
}

/// Makes the sink that `c` describes.
///
/// # Safety
/// The pointers in `c` are NULL or as aq_sink_config says.
unsafe fn file_sink(c: &aq_sink_config, format: Callback<Option<FormatFn>>) -> Result<Box<dyn Sink>> {
    // SAFETY: NULL or a C string by the caller's promise.
    let path: &Path = unsafe { text::path(c.path, "path") }?;
    // SAFETY: NULL or header_size bytes by the caller's promise.
    let header = unsafe { pointer::slice(c.header.cast::<u8>(), c.header_size, "header") }?;
    // SAFETY: NULL or a C string by the caller's promise.
    let separator = unsafe { text::optional(c.separator, "separator") }?.unwrap_or(",");
    let layout = if c.layout.is_null() {
        None
    } else {
        // SAFETY: a live handle by the caller's promise.
        Some(unsafe { handle::borrow(c.layout, "layout") }?.layout().clone())
    };
    let config = FileConfig {
        path: path.to_owned(),
        header: header.to_vec(),
        rotate_bytes: c.rotate_bytes,
        rotate_interval: (c.rotate_interval_ns > 0).then(|| Duration::from_nanos(c.rotate_interval_ns)),
        durability: durability(c.durability, c.sync_interval_ns)?,
    };
    let formatter = format.function.is_some().then_some(format);
    match (c.mode, formatter, layout) {
        (AQ_WRITE_BINARY | AQ_WRITE_TEXT, Some(format), _) => {
            let callback = format.required("format")?;
            let path = path.display().to_string();
            let memory = vec![0; FIRST_TEXT + CANARY.len()];
            sink::text(config, CFormatter { callback, path, memory })
        }
        (AQ_WRITE_BINARY, None, _) => sink::binary(config),
        (AQ_WRITE_TEXT, None, Some(layout)) => sink::text(config, LayoutText::new(layout, separator)),
        (AQ_WRITE_TEXT, None, None) => {
            Err(Error::invalid("AQ_WRITE_TEXT takes a format function or a layout (got neither)"))
        }
        (AQ_WRITE_CSV, None, Some(layout)) => sink::text(config, LayoutText::csv(layout)),
        (AQ_WRITE_CSV, None, None) => Err(Error::invalid("AQ_WRITE_CSV takes a layout (got none)")),
        (AQ_WRITE_FRAMED, None, layout) => sink::framed(config, layout.as_ref()),
        (AQ_WRITE_CSV | AQ_WRITE_FRAMED, Some(_), _) => {
            Err(Error::invalid("a format function is for AQ_WRITE_TEXT and AQ_WRITE_BINARY"))
        }
        (mode, ..) => Err(Error::invalid(format!("mode must be one of AQ_WRITE_* (got {mode})"))),
    }
}

/// Writes the defaults.
///
/// @param config the struct
/// @param struct_size sizeof *config
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_sink_config_init(config: *mut aq_sink_config, struct_size: usize) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// Writes zeros, and the struct's size.
///
/// @param stats the struct
/// @param struct_size sizeof *stats
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_sink_stats_init(stats: *mut aq_sink_stats, struct_size: usize) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(stats, struct_size, "stats") })
}

/// Writes packets as they are to a file: a primary sink, in the place of the present one, which is closed. The first packet in it is the oldest in
/// the buffer.
///
/// @param buffer the buffer
/// @param path the file, which must not exist
/// @return AQ_OK; AQ_E_IO when the file cannot be created, or the one that it takes the place of not be closed: the new one is there nevertheless;
///     AQ_E_STATE from a function that a flush of this buffer has called
///
/// Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_set_primary_sink(
    buffer: *mut aq_event_buffer,
    path: *const c_char,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        let config = aq_sink_config { path, ..SizedStruct::DEFAULT };
        refuse_inside(&buffer)?;
        // SAFETY: the path is NULL or a C string by the caller's contract.
        let sink = unsafe { file_sink(&config, Callback::none()) }?;
        buffer.add_sink(sink, true)?;
        Ok(Outcome::Done)
    })
}

/// A file must not be created in vain.
fn refuse_inside(buffer: &crate::event::EventBuffer) -> Result<()> {
    if buffer.is_flushing_here() {
        return Err(Error::state("buffer: a function that its flush calls cannot change its sinks"));
    }
    Ok(())
}

/// Writes packets to one more file, in a format of the caller's. aq_event_buffer_add_sink() knows more formats, rotation, and durability.
///
/// @param buffer the buffer
/// @param path the file, which must not exist
/// @param mode AQ_WRITE_BINARY, AQ_WRITE_TEXT, or AQ_WRITE_FRAMED
/// @param format what makes text, or bytes, of packets; NULL with AQ_WRITE_BINARY writes them as they are
/// @param user passed to format
/// @param user_free releases user; may be NULL
/// @param header what the file begins with; may be NULL if header_size is 0
/// @param header_size bytes at header
/// @return as for aq_event_buffer_add_sink()
///
/// Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_add_custom_sink(
    buffer: *mut aq_event_buffer,
    path: *const c_char,
    mode: i32,
    format: aq_event_format_fn,
    user: *mut c_void,
    user_free: aq_user_free_fn,
    header: *const c_void,
    header_size: usize,
) -> aq_status {
    guard(|| {
        // SAFETY: user_free may be called once with user, by the contract of callbacks.
        let callback = unsafe { Callback::new(format, user, user_free) };
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        let config = aq_sink_config { path, mode, header, header_size, ..SizedStruct::DEFAULT };
        refuse_inside(&buffer)?;
        // SAFETY: path and header are as the caller's contract says.
        buffer.add_sink(unsafe { file_sink(&config, callback) }?, false)?;
        Ok(Outcome::Done)
    })
}

/// Attaches a sink of files. The first packet in it is the oldest in the buffer.
///
/// @param buffer the buffer
/// @param config what to write, and where to; copied
/// @param index receives the sink's index for aq_event_buffer_get_sink_stats(): the others count from 0 in the order in which they are added, the primary
///     one has AQ_PRIMARY_SINK; may be NULL
/// @return AQ_OK; AQ_E_INVALID when a field of config is out of range, or the mode takes what is not there; AQ_E_IO when the file cannot be created, or
///     the one that it takes the place of not be closed: the new one is there nevertheless; AQ_E_STATE from a function that a flush of this buffer has
///     called
///
/// Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_add_sink(
    buffer: *mut aq_event_buffer,
    config: *const aq_sink_config,
    index: *mut i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let (c, tail) = unsafe { sized::read_known(config, "config") }?;
        // SAFETY: the release function may be called once with its user, by the contract of callbacks.
        let callback = unsafe { Callback::new(c.format, c.format_user, c.format_user_free) };
        tail?;
        sized::reserved(c.reserved, "config: reserved")?;
        let primary = sized::flag(c.primary, "primary")?;
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::optional(index, "index") }?;
        refuse_inside(&buffer)?;
        // SAFETY: the pointers are as the caller's contract says.
        let sink = unsafe { file_sink(&c, callback) }?;
        let index = buffer.add_sink(sink, primary)?;
        if let Some(out) = out {
            out.write(if primary { AQ_PRIMARY_SINK } else { index as i64 });
        }
        Ok(Outcome::Done)
    })
}

/// Attaches a sink that calls a function with the packets, up to 256 at a time.
///
/// @param buffer the buffer
/// @param write the function
/// @param user passed to write
/// @param user_free releases user; may be NULL
/// @param primary 1: it is the primary sink, in the place of the present one, which is closed; 0: it is another one
/// @param index receives the sink's index, as for aq_event_buffer_add_sink(); may be NULL
/// @return AQ_OK; AQ_E_INVALID when write is NULL; AQ_E_STATE from a function that a flush of this buffer has called
///
/// Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_add_callback_sink(
    buffer: *mut aq_event_buffer,
    write: aq_event_write_fn,
    user: *mut c_void,
    user_free: aq_user_free_fn,
    primary: i32,
    index: *mut i64,
) -> aq_status {
    guard(|| {
        // SAFETY: user_free may be called once with user, by the contract of callbacks.
        let callback = unsafe { Callback::new(write, user, user_free) }.required("write")?;
        let primary = sized::flag(primary, "primary")?;
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::optional(index, "index") }?;
        let index = buffer.add_sink(Box::new(CSink { callback, lost: Amount::default() }), primary)?;
        if let Some(out) = out {
            out.write(if primary { AQ_PRIMARY_SINK } else { index as i64 });
        }
        Ok(Outcome::Done)
    })
}

/// Closes and forgets all sinks, without a flush: packets stay in the buffer.
///
/// @param buffer the buffer
/// @return AQ_OK; AQ_E_IO when a file cannot be closed properly: all sinks are gone nevertheless; AQ_E_STATE from a function that a flush of this buffer
///     has called
///
/// Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_disconnect_sinks(buffer: *mut aq_event_buffer) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        buffer.disconnect_sinks()?;
        Ok(Outcome::Done)
    })
}

/// How many sinks a buffer has. While a flush is writing, it waits for the end of that.
///
/// @param buffer the buffer
/// @param count receives the number, without the primary one
/// @param has_primary receives 1 if there is a primary one, else 0; may be NULL
/// @return AQ_OK; AQ_E_STATE from a function that a flush of this buffer has called
///
/// Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_sink_count(
    buffer: *const aq_event_buffer,
    count: *mut usize,
    has_primary: *mut i32,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let count = unsafe { Out::new(count, "count") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let has_primary = unsafe { Out::optional(has_primary, "has_primary") }?;
        let (all, primary) = buffer.sink_count()?;
        count.write(all - usize::from(primary));
        if let Some(has_primary) = has_primary {
            has_primary.write(primary.into());
        }
        Ok(Outcome::Done)
    })
}

/// What became of packets in a sink. While a flush is writing, it waits for the end of that.
///
/// @param buffer the buffer
/// @param index AQ_PRIMARY_SINK, or that of another one
/// @param stats receives the counts; initialised with aq_sink_stats_init()
/// @return AQ_OK; AQ_E_NOT_FOUND when there is no such sink; AQ_E_INVALID when index is negative and not AQ_PRIMARY_SINK; AQ_E_STATE from a function
///     that a flush of this buffer has called
///
/// Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_get_sink_stats(
    buffer: *const aq_event_buffer,
    index: i64,
    stats: *mut aq_sink_stats,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        let index = match index {
            AQ_PRIMARY_SINK => None,
            _ => Some(usize::try_from(index).map_err(|_| {
                Error::invalid(format!("index must be AQ_PRIMARY_SINK, 0 or positive (got {index})"))
            })?),
        };
        let SinkStats { progress, errors } = buffer.sink_stats(index)?;
        let value = aq_sink_stats {
            struct_size: 0,
            packets: progress.packets,
            bytes: progress.bytes,
            skipped: progress.skipped,
            lost: progress.lost.packets,
            lost_bytes: progress.lost.bytes,
            errors,
        };
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(stats, &value, "stats") }
    })
}
