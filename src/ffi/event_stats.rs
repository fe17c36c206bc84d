//! Statistics of event buffers
//!
//! The ledger of a buffer: every packet that was put is in exactly one of its counters.

use super::event::aq_event_buffer;
use super::guard::guard;
use super::handle;
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use crate::event::{Amount, Stats};

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
