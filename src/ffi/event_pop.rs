//! Taking packets out of event buffers
//!
//! For a program that processes packets itself; what is taken out does not go to the sinks.

use std::ffi::{c_int, c_void};
use std::os::fd::AsRawFd;

use super::event::aq_event_buffer;
use super::guard::{Outcome, guard};
use super::handle;
use super::pointer::Out;
use super::status::aq_status;
use super::wait::wait;
use crate::error::{Error, Result};
use crate::event::PopError;

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
