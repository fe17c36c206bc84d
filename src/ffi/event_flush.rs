//! Flushing event buffers
//!
//! A flush writes what is in a buffer to its sinks, when the program says so, or by a thread of the buffer's own.

use super::event::aq_event_buffer;
use super::guard::{Outcome, guard};
use super::handle;
use super::pointer::Out;
use super::status::aq_status;

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
