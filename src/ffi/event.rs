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

use std::ffi::{c_int, c_void};
use std::os::fd::AsRawFd;
use std::time::Duration;

use super::chunk::{self, aq_chunk};
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::heap::{self, aq_heap};
use super::heap_stream::{AQ_OVERFLOW_BLOCK, AQ_OVERFLOW_DROP_NEWEST, AQ_OVERFLOW_DROP_OLDEST};
use super::memory::{allocator_or_default, aq_allocator};
use super::pointer::{self, Out};
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::wait::{AQ_WAIT_FOREVER, wait};
use crate::error::{Error, Result};
use crate::event::{Amount, Config, EventBuffer, FlushedBuffer, Kind, PopError, PutError, Stats, record};
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

/// What became of a buffer's packets, all at one moment. Initialise it with aq_event_buffer_stats_init() first.
///
/// At any moment put = waiting + flushed + popped + cleared + overflow_oldest + overflow_newest; and so in bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_event_buffer_stats {
    /// Set by aq_event_buffer_stats_init().
    pub struct_size: usize,
    /// Packets that the buffer accounts for.
    pub put: u64,
    /// Bytes of these.
    pub put_bytes: u64,
    /// Packets in the buffer now, also those that a flush is writing.
    pub waiting: u64,
    /// Bytes of these.
    pub waiting_bytes: u64,
    /// Packets that all sinks have.
    pub flushed: u64,
    /// Bytes of these.
    pub flushed_bytes: u64,
    /// Packets taken out by aq_event_buffer_pop().
    pub popped: u64,
    /// Bytes of these.
    pub popped_bytes: u64,
    /// Packets forgotten by aq_event_buffer_clear().
    pub cleared: u64,
    /// Bytes of these.
    pub cleared_bytes: u64,
    /// Packets lost: the oldest ones, dropped to make space.
    pub overflow_oldest: u64,
    /// Bytes of these.
    pub overflow_oldest_bytes: u64,
    /// Packets lost: they found no space.
    pub overflow_newest: u64,
    /// Bytes of these.
    pub overflow_newest_bytes: u64,
    /// Puts and reservations that were answered AQ_FULL, AQ_TIMEOUT, AQ_STOPPED or AQ_E_NOMEM: the caller kept the packet. Not a part of put. (A
    /// reservation that is answered AQ_FULL as the policy drops the newest packets is in put and overflow_newest instead.)
    pub refused: u64,
    /// Puts and reservations that had to wait for space.
    pub blocked: u64,
    /// Reservations that were cancelled.
    pub cancelled: u64,
    /// Reservations that are neither committed nor cancelled.
    pub reserved: u64,
    /// Flushes, also those of no packet.
    pub flushes: u64,
    /// Flushes that failed.
    pub flush_errors: u64,
    /// Bytes that all sinks wrote, without headers.
    pub written_bytes: u64,
}

// SAFETY: a usize and u64s without padding; any bytes are valid.
unsafe impl SizedStruct for aq_event_buffer_stats {
    const NAME: &'static str = "aq_event_buffer_stats";
    const FIRST_SIZE: usize = 176;
    const DEFAULT: Self = stats(&NO_STATS);
}

const NONE: Amount = Amount { packets: 0, bytes: 0 };
const NO_STATS: Stats = Stats {
    put: NONE,
    waiting: NONE,
    flushed: NONE,
    popped: NONE,
    cleared: NONE,
    overflow_oldest: NONE,
    overflow_newest: NONE,
    refused: 0,
    blocked: 0,
    cancelled: 0,
    reserved: 0,
    flushes: 0,
    flush_errors: 0,
    written_bytes: 0,
};

const fn stats(now: &Stats) -> aq_event_buffer_stats {
    aq_event_buffer_stats {
        struct_size: 0,
        put: now.put.packets,
        put_bytes: now.put.bytes,
        waiting: now.waiting.packets,
        waiting_bytes: now.waiting.bytes,
        flushed: now.flushed.packets,
        flushed_bytes: now.flushed.bytes,
        popped: now.popped.packets,
        popped_bytes: now.popped.bytes,
        cleared: now.cleared.packets,
        cleared_bytes: now.cleared.bytes,
        overflow_oldest: now.overflow_oldest.packets,
        overflow_oldest_bytes: now.overflow_oldest.bytes,
        overflow_newest: now.overflow_newest.packets,
        overflow_newest_bytes: now.overflow_newest.bytes,
        refused: now.refused,
        blocked: now.blocked,
        cancelled: now.cancelled,
        reserved: now.reserved,
        flushes: now.flushes,
        flush_errors: now.flush_errors,
        written_bytes: now.written_bytes,
    }
}

/// A part of a packet.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_bytes {
    /// Its first byte; may be NULL if there are none.
    pub data: *const c_void,
    /// How many there are.
    pub size: usize,
}

/// A place in the buffer for a packet; see aq_event_buffer_reserve().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_event_slot {
    /// Where the packet is to be written; aligned for any C type.
    pub data: *mut c_void,
    /// Bytes that may be written there.
    pub size: usize,
    /// The slot's number, which aq_event_buffer_commit() and _cancel() know it by.
    pub number: u64,
}

/// What a chunk that was put begins with; see aq_event_buffer_put_chunk(). Little-endian.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_chunk_record {
    /// The bytes "AQCH".
    pub magic: u32,
    /// 1.
    pub version: u16,
    /// Bytes of this header: 48.
    pub header_size: u16,
    /// The chunk's number.
    pub chunk_id: i64,
    /// The stream_id of its stream.
    pub stream_id: u64,
    /// Bytes of its data, which come first.
    pub data_size: u64,
    /// Bytes of its flags, which come next.
    pub present_size: u64,
    /// Bytes of its extra data, which come last.
    pub extra_size: u64,
}

/// What a heap that was put begins with; see aq_event_buffer_put_heap(). Little-endian.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_heap_record {
    /// The bytes "AQHP".
    pub magic: u32,
    /// 1.
    pub version: u16,
    /// Bytes of this header: 64.
    pub header_size: u16,
    /// The heap's number.
    pub cnt: u64,
    /// The length that its packets told, in bytes; -1 if they did not.
    pub length: i64,
    /// Bytes of payload received.
    pub received: u64,
    /// When its first packet arrived, in nanoseconds since the Unix epoch; 0 if nobody told.
    pub first_arrival_ns: u64,
    /// The same of its last packet.
    pub last_arrival_ns: u64,
    /// Bytes of payload behind the items; 0 for an incomplete heap.
    pub payload_size: u64,
    /// How many aq_heap_record_item follow.
    pub n_items: u32,
    /// Bits of a heap address in its flavour.
    pub heap_address_bits: u8,
    /// 1 if all of its payload was received, else 0.
    pub complete: u8,
    /// 1 if it starts the stream, else 0.
    pub start_of_stream: u8,
    /// 1 if it ends the stream, else 0.
    pub end_of_stream: u8,
}

/// An item of a heap that was put. Little-endian.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_heap_record_item {
    /// Its identifier.
    pub id: u64,
    /// The value of an immediate item; else where its bytes begin in the payload.
    pub value: u64,
    /// How many bytes those are; 0 for an immediate item.
    pub size: u32,
    /// 1: its bytes are in the payload; 0: it is immediate.
    pub addressed: u32,
}

const _: () = {
    assert!(size_of::<aq_chunk_record>() == record::CHUNK_HEADER);
    assert!(size_of::<aq_heap_record>() == record::HEAP_HEADER);
    assert!(size_of::<aq_heap_record_item>() == record::HEAP_ITEM);
    assert!(AQ_EVENT_MAX_SIZE == crate::event::frame::MAX_PACKET);
};

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

/// The answer to a put.
fn put_outcome<T>(result: Result<T, PutError>) -> Result<(Outcome, Option<T>)> {
    match result {
        Ok(value) => Ok((Outcome::Done, Some(value))),
        Err(PutError::Full) => Ok((Outcome::Full, None)),
        Err(PutError::TimedOut) => Ok((Outcome::TimedOut, None)),
        Err(PutError::Stopped) => Ok((Outcome::Stopped, None)),
        Err(PutError::Failed(error)) => Err(error),
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
pub unsafe extern "C" fn aq_event_buffer_config_init(
    config: *mut aq_event_buffer_config,
    struct_size: usize,
) -> aq_status {
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
pub unsafe extern "C" fn aq_event_buffer_stats_init(
    stats: *mut aq_event_buffer_stats,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(stats, struct_size, "stats") })
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

/// Puts a packet, whose bytes are copied.
///
/// AQ_OK means that the buffer accounts for the packet from now on: it is in the buffer, or a packet was dropped and counted, where the buffer is
/// full and its overflow policy is to drop.
///
/// @param buffer the buffer
/// @param data the packet; may be NULL if size is 0
/// @param size its bytes: at most AQ_EVENT_MAX_SIZE, and at most capacity_bytes
/// @param timeout_ns how long to wait for space, in nanoseconds: AQ_WAIT_FOREVER, or 0 not to wait
/// @return AQ_OK; AQ_FULL (with timeout 0) or AQ_TIMEOUT when there is no space, and AQ_STOPPED when the buffer is stopped: the packet is still
///     the caller's; AQ_E_INVALID when it is too large; AQ_E_NOMEM
///
/// Threads: any number at the same time, and at the same time as all functions of the buffer but aq_event_buffer_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_put(
    buffer: *mut aq_event_buffer,
    data: *const c_void,
    size: usize,
    timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        // SAFETY: NULL or `size` bytes by the caller's contract.
        let data = unsafe { pointer::slice(data.cast::<u8>(), size, "data") }?;
        Ok(put_outcome(buffer.put(data, wait(timeout_ns)?))?.0)
    })
}

/// Puts packets of one size that lie one behind the other. That is faster than one by one.
///
/// @param buffer the buffer
/// @param data the packets
/// @param packet_size bytes of each: 1 to AQ_EVENT_MAX_SIZE
/// @param n_packets how many there are; 0 is fine
/// @param timeout_ns how long to wait for space for each of them, in nanoseconds: AQ_WAIT_FOREVER, or 0 not to wait
/// @param n_put receives how many packets the buffer accounts for from now on: the first ones, at least one; may be NULL
/// @return AQ_OK, also if it is not all of them; the others as for aq_event_buffer_put() when it is none of them
///
/// Threads: as for aq_event_buffer_put().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_put_many(
    buffer: *mut aq_event_buffer,
    data: *const c_void,
    packet_size: usize,
    n_packets: usize,
    timeout_ns: i64,
    n_put: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let n_put = unsafe { Out::optional(n_put, "n_put") }?;
        let bytes = packet_size.checked_mul(n_packets).ok_or_else(|| {
            Error::invalid(format!("n_packets: there cannot be {n_packets} packets of {packet_size} bytes"))
        })?;
        // SAFETY: NULL or so many bytes by the caller's contract.
        let data = unsafe { pointer::slice(data.cast::<u8>(), bytes, "data") }?;
        let (outcome, count) = put_outcome(buffer.put_many(data, packet_size, wait(timeout_ns)?))?;
        if let (Some(n_put), Some(count)) = (n_put, count) {
            n_put.write(count);
        }
        Ok(outcome)
    })
}

/// Puts a packet whose bytes are in several places, for example a header and a payload.
///
/// @param buffer the buffer
/// @param parts where they are, in order
/// @param n_parts how many parts there are: at most 1024
/// @param timeout_ns how long to wait for space, in nanoseconds: AQ_WAIT_FOREVER, or 0 not to wait
/// @return as for aq_event_buffer_put()
///
/// Threads: as for aq_event_buffer_put().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_put_parts(
    buffer: *mut aq_event_buffer,
    parts: *const aq_bytes,
    n_parts: usize,
    timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        if n_parts > MOST_PARTS {
            return Err(Error::invalid(format!("n_parts must be at most {MOST_PARTS} (got {n_parts})")));
        }
        // SAFETY: NULL or an array of n_parts by the caller's contract.
        let parts = unsafe { pointer::slice(parts, n_parts, "parts") }?;
        let parts: Vec<&[u8]> = parts
            .iter()
            // SAFETY: NULL or `size` bytes by the caller's contract.
            .map(|part| unsafe { pointer::slice(part.data.cast::<u8>(), part.size, "parts: data") })
            .collect::<Result<_>>()?;
        Ok(put_outcome(buffer.put_parts(&parts, wait(timeout_ns)?))?.0)
    })
}

/// As many as writev takes.
const MOST_PARTS: usize = 1024;

/// Puts a copy of a heap: an aq_heap_record, its aq_heap_record_items, and its payload. The heap stays the caller's.
///
/// An incomplete heap has no payload, and only its immediate items.
///
/// @param buffer the buffer
/// @param heap the heap
/// @param timeout_ns how long to wait for space, in nanoseconds: AQ_WAIT_FOREVER, or 0 not to wait
/// @return as for aq_event_buffer_put()
///
/// Threads: as for aq_event_buffer_put().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_put_heap(
    buffer: *mut aq_event_buffer,
    heap: *const aq_heap,
    timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        // SAFETY: the caller's contract.
        let heap = unsafe { heap::held(heap) }?;
        let header = record::heap_header(heap);
        let parts = [&header[..], heap.payload().unwrap_or_default()];
        Ok(put_outcome(buffer.put_parts(&parts, wait(timeout_ns)?))?.0)
    })
}

/// Puts a copy of a chunk: an aq_chunk_record, its data, its flags, and its extra data. The chunk stays the caller's.
///
/// @param buffer the buffer
/// @param chunk the chunk, which the caller holds
/// @param timeout_ns how long to wait for space, in nanoseconds: AQ_WAIT_FOREVER, or 0 not to wait
/// @return as for aq_event_buffer_put(); AQ_E_STATE when the chunk is in a ring or a stream
///
/// Threads: as for aq_event_buffer_put().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_put_chunk(
    buffer: *mut aq_event_buffer,
    chunk: *const aq_chunk,
    timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        // SAFETY: the caller's contract.
        let chunk = unsafe { chunk::held(chunk) }?;
        let header = record::chunk_header(chunk);
        // SAFETY: the caller holds the chunk, so that nobody writes to it; bytes of its memory, whatever they are.
        let [data, present, extra] =
            [&chunk.data, &chunk.present, &chunk.extra].map(|buffer| unsafe { buffer.as_slice() });
        Ok(put_outcome(buffer.put_parts(&[&header, data, present, extra], wait(timeout_ns)?))?.0)
    })
}

/// Takes a place in the buffer for a packet, which is then written there and committed: no copy is made. What others put meanwhile stands behind it,
/// and is not flushed or popped before it is committed or cancelled; so do that soon.
///
/// Where the buffer is full and drops the newest packets, this one counts as dropped, with all of size, and the answer is AQ_FULL.
///
/// @param buffer the buffer
/// @param size the most bytes that the packet can have: as for aq_event_buffer_put()
/// @param timeout_ns how long to wait for space, in nanoseconds: AQ_WAIT_FOREVER, or 0 not to wait
/// @param slot receives the place; its memory is the caller's until aq_event_buffer_commit() or _cancel()
/// @return AQ_OK; AQ_FULL or AQ_TIMEOUT when there is no space; AQ_STOPPED when the buffer is stopped; AQ_E_INVALID when size is too large;
///     AQ_E_NOMEM
///
/// Threads: as for aq_event_buffer_put().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_reserve(
    buffer: *mut aq_event_buffer,
    size: usize,
    timeout_ns: i64,
    slot: *mut aq_event_slot,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(slot, "slot") }?;
        let (outcome, reservation) = put_outcome(buffer.reserve(size, wait(timeout_ns)?))?;
        if let Some(reservation) = reservation {
            let (data, size, number) = (reservation.data().cast(), reservation.size(), reservation.number());
            out.write(aq_event_slot { data, size, number });
        }
        Ok(outcome)
    })
}

/// The packet in a slot has been written: it is in the buffer, in the slot's place, as if it were put now.
///
/// @param buffer the buffer
/// @param number the slot's number
/// @param size how many bytes the packet has: at most the slot's size
/// @return AQ_OK; AQ_E_INVALID when there is no such slot, or size is too large: the slot stays
///
/// Threads: as for aq_event_buffer_put(); not only the thread that has reserved it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_commit(
    buffer: *mut aq_event_buffer,
    number: u64,
    size: usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        buffer.commit(number, size)?;
        Ok(Outcome::Done)
    })
}

/// There will be no packet in a slot. It counts as cancelled, not as lost.
///
/// @param buffer the buffer
/// @param number the slot's number
/// @return AQ_OK; AQ_E_INVALID when there is no such slot
///
/// Threads: as for aq_event_buffer_commit().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_cancel(buffer: *mut aq_event_buffer, number: u64) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        buffer.cancel(number)?;
        Ok(Outcome::Done)
    })
}

/// The caller's memory for a packet.
///
/// # Safety
/// `data` is NULL or has `capacity` bytes that may be written, and that have some value.
unsafe fn memory<'a>(data: *mut c_void, capacity: usize) -> Result<&'a mut [u8]> {
    if capacity == 0 {
        return Ok(&mut []);
    }
    if data.is_null() || capacity > isize::MAX as usize {
        return Err(Error::invalid(format!("data must not be NULL when its capacity is {capacity}")));
    }
    // SAFETY: not NULL, not larger than memory can be; the rest is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts_mut(data.cast(), capacity) })
}

/// The answer to a pop or a peek.
fn pop_outcome(
    result: Result<(usize, u64), PopError>,
    size: Out<'_, usize>,
    time_ns: Option<Out<'_, u64>>,
) -> Result<Outcome> {
    match result {
        Ok((bytes, time)) => {
            size.write(bytes);
            if let Some(time_ns) = time_ns {
                time_ns.write(time);
            }
            Ok(Outcome::Done)
        }
        Err(PopError::Empty) => Ok(Outcome::Empty),
        Err(PopError::TimedOut) => Ok(Outcome::TimedOut),
        Err(PopError::Stopped) => Ok(Outcome::Stopped),
        Err(PopError::Longer(needed)) => {
            size.write(needed);
            let reason = format!("capacity must be at least {needed}, the size of the packet");
            Err(Error::new(crate::error::ErrorKind::Truncated, reason))
        }
        Err(PopError::Failed(error)) => Err(error),
    }
}

/// Takes the oldest packet out. It does not go to the sinks then. While a flush is writing, it waits for the end of that, as long as timeout_ns allows.
///
/// @param buffer the buffer
/// @param timeout_ns how long to wait for a packet, in nanoseconds: AQ_WAIT_FOREVER, or 0 not to wait
/// @param data receives the packet; may be NULL if capacity is 0
/// @param capacity bytes at data
/// @param size receives the packet's bytes, also when there are more than capacity
/// @param time_ns receives when it was put, in nanoseconds since the Unix epoch, 0 if that was not noted; may be NULL
/// @return AQ_OK; AQ_EMPTY (with timeout 0) or AQ_TIMEOUT when there is none, all stand behind a slot that is being written, or a flush is writing;
///     AQ_STOPPED when there is none and the buffer is stopped; AQ_E_TRUNCATED when capacity is too small: the packet stays; AQ_E_STATE from a function that a flush of this buffer has called
///
/// Threads: any number at the same time, and at the same time as all functions of the buffer but aq_event_buffer_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_pop(
    buffer: *mut aq_event_buffer,
    timeout_ns: i64,
    data: *mut c_void,
    capacity: usize,
    size: *mut usize,
    time_ns: *mut u64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        // SAFETY: NULL or writable by the caller's contract, each of them.
        let (size, time_ns, to) =
            unsafe { (Out::new(size, "size")?, Out::optional(time_ns, "time_ns")?, memory(data, capacity)?) };
        pop_outcome(buffer.pop(to, wait(timeout_ns)?), size, time_ns)
    })
}

/// Copies a packet, which stays. While a flush is writing, it waits for the end of that.
///
/// @param buffer the buffer
/// @param index which one: 0 is the oldest
/// @param data receives the packet; may be NULL if capacity is 0
/// @param capacity bytes at data
/// @param size receives the packet's bytes, also when there are more than capacity
/// @param time_ns receives when it was put, as for aq_event_buffer_pop(); may be NULL
/// @return AQ_OK; AQ_EMPTY when there are not that many; AQ_E_TRUNCATED when capacity is too small; AQ_E_STATE from a function that a flush of this
///     buffer has called
///
/// Threads: as for aq_event_buffer_pop().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_peek(
    buffer: *const aq_event_buffer,
    index: u64,
    data: *mut c_void,
    capacity: usize,
    size: *mut usize,
    time_ns: *mut u64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        // SAFETY: NULL or writable by the caller's contract, each of them.
        let (size, time_ns, to) =
            unsafe { (Out::new(size, "size")?, Out::optional(time_ns, "time_ns")?, memory(data, capacity)?) };
        pop_outcome(buffer.peek(index, to), size, time_ns)
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

/// Writes what is in the buffer to all sinks: to the others first, in their order, then to the primary one. What is put meanwhile waits for the next
/// flush. Two flushes at the same time come one after the other.
///
/// When a sink fails the others go on. Packets that a sink has not got stay in the buffer; the next flush goes on with them, and gives no sink what it
/// has already.
///
/// @param buffer the buffer
/// @param n_packets receives how many packets the primary sink took; may be NULL
/// @param n_bytes receives how many bytes all sinks wrote, without headers; may be NULL
/// @return AQ_OK; AQ_E_STATE when there is no primary sink, or from a function that a flush of this buffer has called; AQ_E_IO when a file cannot be
///     written, and aq_last_error() names it and the system's reason; what else a function of the program answers
///
/// Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_flush(
    buffer: *mut aq_event_buffer,
    n_packets: *mut u64,
    n_bytes: *mut u64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let n_packets = unsafe { Out::optional(n_packets, "n_packets") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let n_bytes = unsafe { Out::optional(n_bytes, "n_bytes") }?;
        let flushed = buffer.flush()?;
        for (out, value) in [(n_packets, flushed.packets), (n_bytes, flushed.bytes)] {
            if let Some(out) = out {
                out.write(value);
            }
        }
        Ok(Outcome::Done)
    })
}

/// Starts a thread that flushes the buffer when a flush is due, or somebody waits for space. When a flush fails, it is logged and counted, and tried
/// again after 100 ms at the earliest.
///
/// @param buffer the buffer
/// @return AQ_OK; AQ_E_STATE when there is no primary sink, the flusher runs already, or from a function that a flush of this buffer has called;
///     AQ_E_IO when the system gives no thread
///
/// Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_start_flusher(buffer: *mut aq_event_buffer) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        buffer.start()?;
        Ok(Outcome::Done)
    })
}

/// Ends the flusher, and flushes what is left. It waits for the flush that is under way. Without a flusher it does nothing.
///
/// @param buffer the buffer
/// @return AQ_OK; what aq_event_buffer_flush() answers: the flusher has ended nevertheless
///
/// Threads: as for aq_event_buffer_start_flusher().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_stop_flusher(buffer: *mut aq_event_buffer) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        buffer.stop_flusher()?;
        Ok(Outcome::Done)
    })
}

/// How the flusher is doing.
///
/// @param buffer the buffer
/// @param running receives 1 if it runs, else 0; may be NULL
/// @return AQ_OK, or what its last flush (also that of aq_event_buffer_stop_flusher()) failed with: aq_last_error() then has the sentence, and
///     running is written nevertheless
///
/// Threads: as for aq_event_buffer_size().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_flusher_status(
    buffer: *const aq_event_buffer,
    running: *mut i32,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let running = unsafe { Out::optional(running, "running") }?;
        let (runs, error) = buffer.flusher();
        if let Some(running) = running {
            running.write(runs.into());
        }
        error.map_or(Ok(Outcome::Done), Err)
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

/// A file descriptor that is readable (POLLIN) while there are packets in the buffer, but for those behind a slot that is being written, or it is
/// stopped. For poll, select or epoll; never read it, write to it or close it.
///
/// @param buffer the buffer
/// @param fd receives the descriptor, valid until the buffer is freed
/// @return AQ_OK; AQ_E_IO when there are too many open files
///
/// Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_data_fd(
    buffer: *const aq_event_buffer,
    fd: *mut c_int,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(fd, "fd") }?;
        out.write(buffer.data_fd()?.as_raw_fd());
        Ok(Outcome::Done)
    })
}

/// What became of the buffer's packets up to now.
///
/// @param buffer the buffer
/// @param stats receives the counts; initialised with aq_event_buffer_stats_init()
/// @return AQ_OK
///
/// Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_buffer_get_stats(
    buffer: *const aq_event_buffer,
    stats: *mut aq_event_buffer_stats,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let buffer = unsafe { handle::borrow(buffer, "buffer") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(stats, &self::stats(&buffer.stats()), "stats") }
    })
}
