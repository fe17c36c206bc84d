//! Event buffers
//!
//! A buffer takes packets of any size from those who read an instrument, and a flush writes what is in it to files: after so many packets or so
//! much time, by the program or by a thread of the buffer's own. See Sinks for where packets go.
//!
//! ```c
//! aq_event_buffer_config config;
//! aq_event_buffer_config_init(&config, sizeof config);
//! config.flush_size = 10000;                                     // or after 10 s, the default
//! aq_event_buffer_new(&config, &buffer);
//! aq_event_buffer_set_primary_sink(buffer, "run42.dat");
//! aq_event_buffer_start_flusher(buffer);
//! while (read_packet(packet, &size))
//!     aq_event_buffer_put(buffer, packet, size, AQ_WAIT_FOREVER);
//! aq_event_buffer_stop_flusher(buffer);                          // writes the rest
//! aq_event_buffer_free(buffer);
//! ```
//!
//! What is put is copied once. Every packet that the buffer accounts for (a put that answered AQ_OK) is in exactly one counter of
//! aq_event_buffer_stats, and a packet leaves the buffer only when all its sinks have it: a flush that fails loses nothing, and the next one goes on
//! where it was.

use std::time::Duration;

use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::heap_stream::{AQ_OVERFLOW_BLOCK, AQ_OVERFLOW_DROP_NEWEST, AQ_OVERFLOW_DROP_OLDEST};
use super::memory::{allocator_or_default, aq_allocator};
use super::pointer::Out;
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::wait::AQ_WAIT_FOREVER;
use crate::error::{Error, Result};
use crate::event::{Config, EventBuffer, FlushedBuffer, Kind};
use crate::ring::Overflow;

/// Everything is to be written: AQ_OVERFLOW_BLOCK, unless overflow says something else.
pub const AQ_FIFO: i32 = 0;
/// The latest packets are to be kept: AQ_OVERFLOW_DROP_OLDEST, unless overflow says something else.
pub const AQ_CIRCULAR: i32 = 1;

/// What is done with a packet that finds the buffer full is as its kind wants it.
pub const AQ_OVERFLOW_BY_KIND: i32 = -1;

/// The most bytes of a packet: 2^30 - 1.
pub const AQ_EVENT_MAX_SIZE: usize = 1_073_741_823;

/// A buffer of packets.
pub struct aq_event_buffer {
    _opaque: [u8; 0],
}

impl Opaque for aq_event_buffer {
    const NAME: &'static str = "aq_event_buffer";
    type Inner = FlushedBuffer;
}

/// How a buffer is made. Initialise it with aq_event_buffer_config_init().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_event_buffer_config {
    /// Set by aq_event_buffer_config_init().
    pub struct_size: usize,
    /// The buffer is almost full, and a flush is due, with so many packets; 0 (default): with no number of them.
    pub flush_size: u64,
    /// A flush is due when the last one began longer ago, in nanoseconds; 10 s by default, AQ_WAIT_FOREVER: never for that reason. The flusher takes
    /// less than 1 ms as 1 ms.
    pub flush_timeout_ns: i64,
    /// The most packets in the buffer, also those that a flush is writing; 0 (default): as many as memory holds. With AQ_OVERFLOW_DROP_OLDEST those
    /// that are being written, which cannot be dropped, come on top of it.
    pub capacity: u64,
    /// The same in bytes of packets. Memory is taken 1 MiB at a time, and 24 bytes for each packet come on top.
    pub capacity_bytes: u64,
    /// Where memory comes from; NULL (default): the system's heap. A pool should have an `upper` of 1 MiB. It lives as long as the buffer.
    pub memory_allocator: *const aq_allocator,
    /// AQ_FIFO (default) or AQ_CIRCULAR.
    pub kind: i32,
    /// What is done with a packet that finds the buffer full: AQ_OVERFLOW_BY_KIND (default); AQ_OVERFLOW_BLOCK: whoever puts it waits as long as it
    /// allows; AQ_OVERFLOW_DROP_NEWEST: it is dropped; AQ_OVERFLOW_DROP_OLDEST: the oldest ones are.
    pub overflow: i32,
    /// 1 (default): the time at which each packet is put is noted, for framed files and callbacks; 0: it is not.
    pub timestamps: i32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: integers and a raw pointer, without padding; any bytes are valid.
unsafe impl SizedStruct for aq_event_buffer_config {
    const NAME: &'static str = "aq_event_buffer_config";
    const FIRST_SIZE: usize = 64;
    const DEFAULT: Self = Self {
        struct_size: 0,
        flush_size: 0,
        flush_timeout_ns: 10_000_000_000,
        capacity: 0,
        capacity_bytes: 0,
        memory_allocator: std::ptr::null(),
        kind: AQ_FIFO,
        overflow: AQ_OVERFLOW_BY_KIND,
        timestamps: 1,
        reserved: 0,
    };
}

/// The core's way to say flush_timeout_ns.
fn flush_timeout(nanoseconds: i64) -> Result<Option<Duration>> {
    match nanoseconds {
        AQ_WAIT_FOREVER => Ok(None),
        0.. => Ok(Some(Duration::from_nanos(nanoseconds.unsigned_abs()))),
        _ => Err(Error::invalid(format!(
            "flush_timeout_ns must be AQ_WAIT_FOREVER, 0 or positive (got {nanoseconds})"
        ))),
    }
}

/// # Safety
/// `config` is NULL or a struct of its struct_size; its allocator NULL or a live handle.
unsafe fn buffer_config(config: *const aq_event_buffer_config) -> Result<Config> {
    // SAFETY: the caller's promise.
    let c = unsafe { sized::read_or_default(config, "config") }?;
    sized::reserved(c.reserved, "config: reserved")?;
    Ok(Config {
        kind: match c.kind {
            AQ_FIFO => Kind::Fifo,
            AQ_CIRCULAR => Kind::Circular,
            other => {
                return Err(Error::invalid(format!("kind must be AQ_FIFO or AQ_CIRCULAR (got {other})")));
            }
        },
        flush_size: c.flush_size,
        flush_timeout: flush_timeout(c.flush_timeout_ns)?,
        capacity: c.capacity,
        capacity_bytes: c.capacity_bytes,
        overflow: match c.overflow {
            AQ_OVERFLOW_BY_KIND => None,
            AQ_OVERFLOW_BLOCK => Some(Overflow::Block),
            AQ_OVERFLOW_DROP_NEWEST => Some(Overflow::DropNewest),
            AQ_OVERFLOW_DROP_OLDEST => Some(Overflow::DropOldest),
            other => {
                return Err(Error::invalid(format!("overflow must be one of AQ_OVERFLOW_* (got {other})")));
            }
        },
        timestamps: sized::flag(c.timestamps, "timestamps")?,
        // SAFETY: the caller's promise.
        allocator: unsafe { allocator_or_default(c.memory_allocator, "memory_allocator") }?,
    })
}

/// Writes the defaults.
///
/// @param config the struct
/// @param struct_size sizeof *config
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_config_init(
    config: *mut aq_event_buffer_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// Makes an empty buffer without sinks.
///
/// @param config its configuration, copied; NULL for the defaults
/// @param out receives the buffer; free it with aq_event_buffer_free()
/// @return AQ_OK; AQ_E_INVALID when a field of config is out of range
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_new(
    config: *const aq_event_buffer_config,
    out: *mut *mut aq_event_buffer,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let config = unsafe { buffer_config(config) }?;
        out.write(handle::new(FlushedBuffer::new(EventBuffer::new(config))));
        Ok(Outcome::Done)
    })
}

/// Frees a buffer. If its flusher runs, that is stopped as by aq_event_buffer_stop_flusher(), and an error is logged; else packets that are still in
/// the buffer are gone. Sinks are closed.
///
/// @param buffer the buffer; NULL is fine
/// @return AQ_OK; AQ_E_STATE from a function that a flush of this buffer has called
///
/// Threads: any, as the last call on the buffer, when no reservation is being written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_free(buffer: *mut aq_event_buffer) -> aq_status {
    guard(|| {
        if !buffer.is_null() {
            // SAFETY: a live handle by the caller's contract.
            let inside = unsafe { handle::borrow(buffer, "buffer") }.is_ok_and(|b| b.is_flushing_here());
            if inside {
                return Err(Error::state("buffer: a function that its flush calls cannot free it"));
            }
        }
        // SAFETY: the caller's contract.
        unsafe { handle::free(buffer, "buffer") }
    })
}

/// What a buffer was made with; what aq_event_buffer_configure() changed is as it is now. Overflow is never AQ_OVERFLOW_BY_KIND, and
/// memory_allocator is NULL.
///
/// @param buffer the buffer
/// @param config receives it; initialised with aq_event_buffer_config_init()
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_get_config(
    buffer: *const aq_event_buffer,
    config: *mut aq_event_buffer_config,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        let now = buffer.config();
        let value = aq_event_buffer_config {
            flush_size: now.flush_size,
            flush_timeout_ns: now.flush_timeout.map_or(AQ_WAIT_FOREVER, |timeout| timeout.as_nanos() as i64),
            capacity: now.capacity,
            capacity_bytes: now.capacity_bytes,
            kind: match now.kind {
                Kind::Fifo => AQ_FIFO,
                Kind::Circular => AQ_CIRCULAR,
            },
            overflow: match now.overflow() {
                Overflow::Block => AQ_OVERFLOW_BLOCK,
                Overflow::DropNewest => AQ_OVERFLOW_DROP_NEWEST,
                Overflow::DropOldest => AQ_OVERFLOW_DROP_OLDEST,
            },
            timestamps: now.timestamps.into(),
            ..SizedStruct::DEFAULT
        };
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(config, &value, "config") }
    })
}

/// Changes when a flush is due.
///
/// @param buffer the buffer
/// @param flush_size,flush_timeout_ns as in aq_event_buffer_config
/// @return AQ_OK; AQ_E_INVALID when flush_timeout_ns is out of range
///
/// Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_configure(
    buffer: *mut aq_event_buffer,
    flush_size: u64,
    flush_timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        buffer.configure(flush_size, flush_timeout(flush_timeout_ns)?);
        Ok(Outcome::Done)
    })
}

/// How many packets are in the buffer, also those that a flush is writing.
///
/// @param buffer the buffer
/// @param size receives the number
/// @return AQ_OK
///
/// Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_size(buffer: *const aq_event_buffer, size: *mut u64) -> aq_status {
    // SAFETY: the caller's contract.
    unsafe { answer(buffer, size, "size", |buffer| buffer.size()) }
}

/// How many bytes the packets in the buffer have.
///
/// @param buffer the buffer
/// @param bytes receives the number
/// @return AQ_OK
///
/// Threads: as for aq_event_buffer_size().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_bytes(buffer: *const aq_event_buffer, bytes: *mut u64) -> aq_status {
    // SAFETY: the caller's contract.
    unsafe { answer(buffer, bytes, "bytes", |buffer| buffer.bytes()) }
}

/// Whether there are at least flush_size packets in the buffer.
///
/// @param buffer the buffer
/// @param yes receives 1 or 0; 0 if flush_size is 0
/// @return AQ_OK
///
/// Threads: as for aq_event_buffer_size().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_almost_full(
    buffer: *const aq_event_buffer,
    yes: *mut i32,
) -> aq_status {
    // SAFETY: the caller's contract.
    unsafe { answer(buffer, yes, "yes", |buffer| buffer.almost_full().into()) }
}

/// How long ago the last flush began, or the buffer was made, by the monotonic clock.
///
/// @param buffer the buffer
/// @param time_ns receives the time in nanoseconds
/// @return AQ_OK
///
/// Threads: as for aq_event_buffer_size().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_time_since_last_flush(
    buffer: *const aq_event_buffer,
    time_ns: *mut u64,
) -> aq_status {
    let value =
        |buffer: &EventBuffer| u64::try_from(buffer.time_since_last_flush().as_nanos()).unwrap_or(u64::MAX);
    // SAFETY: the caller's contract.
    unsafe { answer(buffer, time_ns, "time_ns", value) }
}

/// Whether a flush is due: the buffer is almost full, or the last flush was longer ago than flush_timeout_ns (also if the buffer is empty).
///
/// @param buffer the buffer
/// @param yes receives 1 or 0
/// @return AQ_OK
///
/// Threads: as for aq_event_buffer_size().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_flush_needed(
    buffer: *const aq_event_buffer,
    yes: *mut i32,
) -> aq_status {
    // SAFETY: the caller's contract.
    unsafe { answer(buffer, yes, "yes", |buffer| buffer.flush_needed().into()) }
}

/// The body of a function that answers one value.
///
/// # Safety
/// `buffer` is NULL or a live handle, `out` NULL or writable.
unsafe fn answer<T>(
    buffer: *const aq_event_buffer,
    out: *mut T,
    name: &str,
    value: impl FnOnce(&EventBuffer) -> T,
) -> aq_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        // SAFETY: the caller's promise.
        unsafe { Out::new(out, name) }?.write(value(&buffer));
        Ok(Outcome::Done)
    })
}

/// Forgets all packets; they are counted as cleared. It does not count as a flush. While a flush is writing, it waits for the end of that.
///
/// @param buffer the buffer
/// @param n_cleared receives how many they were; may be NULL
/// @return AQ_OK; AQ_E_STATE from a function that a flush of this buffer has called
///
/// Threads: as for aq_event_buffer_pop().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_clear(
    buffer: *mut aq_event_buffer,
    n_cleared: *mut u64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let n_cleared = unsafe { Out::optional(n_cleared, "n_cleared") }?;
        let cleared = buffer.clear()?;
        if let Some(n_cleared) = n_cleared {
            n_cleared.write(cleared);
        }
        Ok(Outcome::Done)
    })
}

/// Stops a buffer, for good: puts answer AQ_STOPPED from now on, and whoever waits is woken. What is inside can be flushed and popped; slots can be
/// committed. The flusher goes on.
///
/// @param buffer the buffer
/// @return AQ_OK, also when it is stopped already
///
/// Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_stop(buffer: *mut aq_event_buffer) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        buffer.stop();
        Ok(Outcome::Done)
    })
}
