//! Putting packets into event buffers
//!
//! One at a time, many of one size, one of several parts; or written where it is to lie, between aq_event_buffer_reserve() and aq_event_buffer_commit().

use std::ffi::c_void;

use super::event::aq_event_buffer;
use super::guard::{Outcome, guard};
use super::handle;
use super::pointer::{self, Out};
use super::status::aq_status;
use super::wait::wait;
use crate::error::{Error, Result};
use crate::event::PutError;

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

/// The answer to a put.
pub(super) fn put_outcome<T>(result: Result<T, PutError>) -> Result<(Outcome, Option<T>)> {
    match result {
        Ok(value) => Ok((Outcome::Done, Some(value))),
        Err(PutError::Full) => Ok((Outcome::Full, None)),
        Err(PutError::TimedOut) => Ok((Outcome::TimedOut, None)),
        Err(PutError::Stopped) => Ok((Outcome::Stopped, None)),
        Err(PutError::Failed(error)) => Err(error),
    }
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
