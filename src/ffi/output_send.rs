//! Sending
//!
//! The last frame of a call gets the index `index - 1`: pass AQ_INDEX_NEXT to have frames follow those before, or a larger index to skip some,
//! which inputs then see as a gap. With AQ_OK the frames are taken: they are published, or collected for a chunk, or (after a wait that was
//! too short, with AQ_OVERFLOW_BLOCK) they wait in the output, which has space for the frames of one call. AQ_FULL and AQ_TIMEOUT say
//! that those before still wait, and that these were not taken: send them again.
//!
//! With filters (aq_output_stream_add_filter()) frames are sent as the output was made for; the index is that of these frames, too.

use std::ffi::c_void;

use super::callback::{User, aq_user_free_fn, free_later};
use super::guard::{Outcome, guard};
use super::handle::{self, Borrowed};
use super::output_stream::{OutputHandle, aq_output_stream};
use super::pointer::slice;
use super::status::aq_status;
use super::wait::wait;
use crate::error::{Error, Result};
use crate::ring::Wait;
use crate::signal::array::{Layout, MAX_AXES};
use crate::signal::output::Sent;
use bytes::Bytes;

/// The index that follows: frames come right behind those before.
pub const AQ_INDEX_NEXT: i64 = -1;

/// The core's way to say `index`.
pub fn index(number: i64) -> Result<Option<u64>> {
    match number {
        AQ_INDEX_NEXT => Ok(None),
        0.. => Ok(Some(number.unsigned_abs())),
        _ => Err(Error::invalid(format!("index must be AQ_INDEX_NEXT or at least 0 (got {number})"))),
    }
}

/// Of frames that could not be taken, or published, as long as the call might wait.
fn not_in_time(wait: Wait) -> Outcome {
    if wait == Wait::No { Outcome::Full } else { Outcome::TimedOut }
}

fn sent(sent: Sent, wait: Wait) -> Outcome {
    match sent {
        Sent::Taken(_) => Outcome::Done,
        Sent::Refused => not_in_time(wait),
    }
}

/// How `frames` frames lie in memory, in C order.
fn c_order(output: &OutputHandle, frames: usize) -> Result<Layout> {
    let params = output.stream.source();
    let shape: Vec<usize> = std::iter::once(frames).chain(params.frame_shape()).collect();
    Layout::c_order(params.dtype.size(), &shape)
}

/// The bytes of frames at the argument `data`.
///
/// # Safety
/// `data` is NULL or has as many bytes as the layout, for `'a`.
unsafe fn bytes<'a>(data: *const c_void, layout: &Layout) -> Result<&'a [u8]> {
    // SAFETY: the caller's promise.
    unsafe { slice(data.cast::<u8>(), layout.size(), "data") }
}

/// Sends frames, which are copied.
///
/// @param output the output
/// @param data the frames: elements of the stream's dtype, in C order; they need not be aligned; may be NULL when there are none
/// @param frames how many
/// @param index the index behind the last of them, or AQ_INDEX_NEXT
/// @param timeout_ns how long to wait for slow inputs, with AQ_OVERFLOW_BLOCK; see Waiting
/// @return AQ_OK; AQ_FULL or AQ_TIMEOUT when frames of before still wait, and these were not taken; AQ_E_INVALID when the index would go
///     back, there are not as many frames as the shape says, or more than the transport can carry at once; AQ_E_NOMEM; AQ_E_IO; what a filter
///     answered that failed; AQ_E_STATE when a filter of this output calls it. After an error the frames were not taken, unless they
///     completed a chunk: then this chunk is lost, and counted in failed_frames
///
/// Threads: one at a time; others wait. Statistics may be read meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_output_stream_send(
    output: *mut aq_output_stream,
    data: *const c_void,
    frames: usize,
    index: i64,
    timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let output: Borrowed<'_, aq_output_stream> = unsafe { handle::borrow(output, "output") }?;
        let (index, wait) = (self::index(index)?, wait(timeout_ns)?);
        let layout = c_order(&output, frames)?;
        // SAFETY: NULL or that many frames by the caller's contract.
        let data = unsafe { bytes(data, &layout) }?;
        // SAFETY: as many bytes as the layout tells.
        let result = unsafe { output.stream.enter()?.send(data.as_ptr(), &layout, index, wait) };
        result.map(|result| sent(result, wait))
    })
}

/// Sends frames that lie anyhow: rows of a larger array, channels apart from each other, time backwards. They are copied, to where nothing lies
/// between them, with the axes in the order that they have.
///
/// @param output the output
/// @param data element (0, 0, ...)
/// @param ndim axes: as many as the stream has
/// @param shape elements along each axis, the first being frames
/// @param strides bytes from one element to the next along each axis; may be negative, or 0
/// @param index the index behind the last of them, or AQ_INDEX_NEXT
/// @param timeout_ns how long to wait for slow inputs, with AQ_OVERFLOW_BLOCK; see Waiting
/// @return as aq_output_stream_send(); AQ_E_INVALID also when shape is not that of the stream's frames, or no memory holds such an array
///
/// Threads: as aq_output_stream_send().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_output_stream_send_strided(
    output: *mut aq_output_stream,
    data: *const c_void,
    ndim: usize,
    shape: *const usize,
    strides: *const isize,
    index: i64,
    timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let output = unsafe { handle::borrow(output, "output") }?;
        let (index, wait) = (self::index(index)?, wait(timeout_ns)?);
        if ndim == 0 || ndim > MAX_AXES {
            return Err(Error::invalid(format!("ndim must be 1 to {MAX_AXES} (got {ndim})")));
        }
        // SAFETY: NULL or that many numbers by the caller's contract.
        let (shape, strides) = unsafe { (slice(shape, ndim, "shape")?, slice(strides, ndim, "strides")?) };
        let item = output.stream.source().dtype.size();
        let layout = Layout::around(item, shape, strides)?;
        if data.is_null() && !layout.is_empty() {
            return Err(Error::invalid("data must not be NULL when there are frames"));
        }
        // Where the element of the lowest address is; wrapping, as there may be none.
        let lowest = data.cast::<u8>().wrapping_sub(layout.offset());
        // SAFETY: all that the layout tells can be read by the caller's contract.
        let result = unsafe { output.stream.enter()?.send(lowest, &layout, index, wait) };
        result.map(|result| sent(result, wait))
    })
}

/// The caller's memory, given back at the end.
struct Foreign {
    data: *const u8,
    size: usize,
    user: Option<User>,
}

// SAFETY: read-only memory that the caller leaves to us, from any thread; the user pointer may go there, too.
unsafe impl Send for Foreign {}

impl AsRef<[u8]> for Foreign {
    fn as_ref(&self) -> &[u8] {
        if self.size == 0 {
            return &[];
        }
        // SAFETY: checked not to be NULL, and readable until user_free is called, by the caller's contract.
        unsafe { std::slice::from_raw_parts(self.data, self.size) }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Some(user) = self.user.take() {
            // A lock of a stream may be held here.
            free_later(user);
        }
    }
}

/// Sends frames without copying them: they stay where they are, and must not change, until user_free is called, when no input needs them any
/// more. With inproc the inputs look at this very memory; tcp and ipc send from it; shm copies it into its ring.
///
/// user_free is called exactly once, also when the frames were not taken. It may be called by the thread of an input or of the transport, and may
/// call any function of this library but those of the stream's ends and nodes.
///
/// @param output the output
/// @param data the frames: elements of the stream's dtype, in C order, aligned as their inputs need it
/// @param frames how many
/// @param index the index behind the last of them, or AQ_INDEX_NEXT
/// @param timeout_ns how long to wait for slow inputs, with AQ_OVERFLOW_BLOCK; see Waiting
/// @param user what user_free is called with
/// @param user_free gives the memory back; may be NULL when it lives as long as the program
/// @return as aq_output_stream_send()
///
/// Threads: as aq_output_stream_send().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_output_stream_send_shared(
    output: *mut aq_output_stream,
    data: *const c_void,
    frames: usize,
    index: i64,
    timeout_ns: i64,
    user: *mut c_void,
    user_free: aq_user_free_fn,
) -> aq_status {
    // SAFETY: the caller's contract.
    let user = unsafe { User::new(user, user_free) };
    guard(|| {
        let mut foreign = Foreign { data: data.cast(), size: 0, user: Some(user) };
        // SAFETY: NULL or a live handle by the caller's contract.
        let output = unsafe { handle::borrow(output, "output") }?;
        let (index, wait) = (self::index(index)?, wait(timeout_ns)?);
        let layout = c_order(&output, frames)?;
        // SAFETY: NULL or that many frames by the caller's contract.
        foreign.size = unsafe { bytes(data, &layout) }?.len();
        let result = output.stream.enter()?.send_shared(Bytes::from_owner(foreign), layout, index, wait);
        result.map(|result| sent(result, wait))
    })
}

/// Publishes what was taken and is not published yet: frames that are collected for a chunk, and what waits for a slow input.
///
/// @param output the output
/// @param timeout_ns how long to wait for slow inputs, with AQ_OVERFLOW_BLOCK; see Waiting
/// @return AQ_OK when nothing waits in the output any more; AQ_FULL or AQ_TIMEOUT when something does; AQ_E_IO
///
/// Threads: as aq_output_stream_send().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_output_stream_flush(output: *mut aq_output_stream, timeout_ns: i64) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let output = unsafe { handle::borrow(output, "output") }?;
        let wait = wait(timeout_ns)?;
        let published = output.stream.enter()?.flush(wait)?;
        Ok(if published.timed_out { not_in_time(wait) } else { Outcome::Done })
    })
}

/// Begins again at index 0, once all that was taken is published. Inputs notice, and begin again, too.
///
/// @param output the output
/// @param timeout_ns how long to wait for slow inputs, with AQ_OVERFLOW_BLOCK; see Waiting
/// @return AQ_OK; AQ_FULL or AQ_TIMEOUT when frames still wait, and the index is as before; AQ_E_IO
///
/// Threads: as aq_output_stream_send().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_output_stream_reset_index(
    output: *mut aq_output_stream,
    timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let output = unsafe { handle::borrow(output, "output") }?;
        let wait = wait(timeout_ns)?;
        let reset = output.stream.enter()?.reset_index(wait)?;
        Ok(if reset { Outcome::Done } else { not_in_time(wait) })
    })
}
