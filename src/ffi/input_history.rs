//! Histories of inputs
//!
//! What an input receives can be kept, to be looked at by index: aq_input_stream_set_buffer(), then the functions below, from any thread, while
//! another receives. They are short for those of the history itself, which aq_input_stream_history() gives.

use std::ffi::c_void;
use std::sync::Arc;

use super::array_view::{ViewOut, aq_array_view};
use super::guard::{Outcome, guard};
use super::handle;
use super::history::{HistoryHandle, aq_history, copy_out, slice_end};
use super::input_stream::aq_input_stream;
use super::pointer::{Out, slice};
use super::signal::known;
use super::sized::flag;
use super::status::aq_status;
use crate::signal::history::History;

/// Keeps the latest frames from now on: those that were received before are not in it, and those that do not come are filled. An earlier history
/// is replaced; who holds it keeps it as it is.
///
/// @param input the input
/// @param frames how many to keep; 0: none any more
/// @param axisorder the order of axes in memory, as in aq_history_config, as many as the stream has; NULL: that of the stream
/// @param fill the value of frames that did not come; NaN: that of the stream
/// @param shared 1: in shared memory, for other processes to look at; 0: not
/// @return AQ_OK; AQ_E_INVALID when an argument is out of range; AQ_E_NOMEM; AQ_E_UNSUPPORTED and AQ_E_IO as aq_history_new()
///
/// Threads: as aq_input_stream_recv().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_input_stream_set_buffer(
    input: *mut aq_input_stream,
    frames: usize,
    axisorder: *const usize,
    fill: f64,
    shared: i32,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let input = unsafe { handle::borrow(input, "input") }?;
        let shared = flag(shared, "shared")?;
        let axes = input.stream.params().shape.len();
        let order = match axisorder.is_null() {
            true => None,
            // SAFETY: as many numbers as the stream has axes by the caller's contract.
            false => Some(unsafe { slice(axisorder, axes, "axisorder") }?.to_vec()),
        };
        let mut stream = input.stream.enter()?;
        let config = stream.history_config(frames, order, known(fill));
        let history = match (frames, shared) {
            (0, _) => None,
            (_, false) => Some(History::new(&config)?),
            (_, true) => Some(History::share(&config)?),
        };
        stream.keep(history);
        Ok(Outcome::Done)
    })
}

/// The history of an input: the same frames, which the input goes on appending to.
///
/// @param input the input
/// @param out receives a handle of its own; free it with aq_history_free()
/// @return AQ_OK; AQ_E_STATE when the input keeps no frames
///
/// Threads: any; it does not wait for a thread that receives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_input_stream_history(
    input: *const aq_input_stream,
    out: *mut *mut aq_history,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let input = unsafe { handle::borrow(input, "input") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        out.write(handle::new(HistoryHandle::new(input.stream.history()?)));
        Ok(Outcome::Done)
    })
}

/// The frames from `start` to before `stop`, where they are; see aq_history_get().
///
/// @param input the input
/// @param start the index of the first
/// @param stop the index behind the last
/// @param view receives them, held until aq_array_view_release(); initialised with aq_array_view_init(), and holding nothing
/// @return AQ_OK; AQ_E_NOT_FOUND when they are not there, or not any more; AQ_E_STATE when the input keeps no frames, or the view holds something
///
/// Threads: any; it does not wait for a thread that receives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_input_stream_get_data(
    input: *const aq_input_stream,
    start: i64,
    stop: i64,
    view: *mut aq_array_view,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let input = unsafe { handle::borrow(input, "input") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let view = unsafe { ViewOut::new(view) }?;
        let history: Arc<History> = input.stream.history()?;
        let window = history.window(start, stop)?;
        view.window(history, window)
    })
}

/// Every `step`th frame from `start` on to before `stop`; see aq_history_get_slice().
///
/// @param input the input
/// @param start where to begin; negative: from the newest frame back; AQ_SLICE_ALL: as far as there are frames
/// @param stop where to end; as start
/// @param step not 0; negative: backwards
/// @param view receives them, held until aq_array_view_release(); initialised with aq_array_view_init(), and holding nothing
/// @return AQ_OK; AQ_E_NOT_FOUND when an end is not there; AQ_E_INVALID when step is 0; AQ_E_STATE when the input keeps no frames, or the view
///     holds something
///
/// Threads: any; it does not wait for a thread that receives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_input_stream_get_slice(
    input: *const aq_input_stream,
    start: i64,
    stop: i64,
    step: i64,
    view: *mut aq_array_view,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let input = unsafe { handle::borrow(input, "input") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let view = unsafe { ViewOut::new(view) }?;
        let history = input.stream.history()?;
        let window = history.slice(slice_end(start), slice_end(stop), step)?;
        view.window(history, window)
    })
}

/// The newest frames; see aq_history_latest().
///
/// @param input the input
/// @param frames how many: at most as many as it keeps
/// @param view receives them, held until aq_array_view_release(); initialised with aq_array_view_init(), and holding nothing
/// @return AQ_OK; AQ_E_NOT_FOUND when it does not keep as many; AQ_E_STATE when the input keeps no frames, or the view holds something
///
/// Threads: any; it does not wait for a thread that receives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_input_stream_latest(
    input: *const aq_input_stream,
    frames: usize,
    view: *mut aq_array_view,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let input = unsafe { handle::borrow(input, "input") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let view = unsafe { ViewOut::new(view) }?;
        let history = input.stream.history()?;
        let window = history.latest(frames)?;
        view.window(history, window)
    })
}

/// Copies the frames from `start` to before `stop`, in C order; see aq_history_copy().
///
/// @param input the input
/// @param start the index of the first
/// @param stop the index behind the last
/// @param buffer receives them; may be NULL when there are none. After an error, what is in it is not to be used
/// @param size its bytes
/// @return AQ_OK; AQ_E_NOT_FOUND when they are not there, or were overwritten while they were copied; AQ_E_TRUNCATED when they do not fit;
///     AQ_E_STATE when the input keeps no frames
///
/// Threads: any; it does not wait for a thread that receives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_input_stream_copy_data(
    input: *const aq_input_stream,
    start: i64,
    stop: i64,
    buffer: *mut c_void,
    size: usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let input = unsafe { handle::borrow(input, "input") }?;
        let history = input.stream.history()?;
        let window = history.window(start, stop)?;
        // SAFETY: NULL or that many bytes by the caller's contract.
        unsafe { copy_out(&history, &window, buffer, size) }
    })
}
