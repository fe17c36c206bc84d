//! Chunk resizers
//!
//! A resizer sends the frames of an input, at the same indices, in chunks of a length. Chunks are shorter where the frames that would complete them
//! are missing, or are not to come: in front of a gap, at a stop and at the end. The frame behind a gap begins a new chunk.

use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::input_stream::aq_input_stream;
use super::output_config::aq_output_stream_config;
use super::output_stream::aq_output_stream;
use super::pointer::Out;
use super::status::aq_status;
use super::stream_node::{self, NodeHandle, aq_stream_node_stats, shared_input, transport};
use crate::signal::node::like::like;
use crate::signal::node::resizer::resizer;
use crate::signal::output::Output;
use crate::signal::shared::SharedOutput;

/// A thread that sends the frames of an input in chunks of a length.
pub struct aq_chunk_resizer {
    _opaque: [u8; 0],
}

impl Opaque for aq_chunk_resizer {
    const NAME: &'static str = "aq_chunk_resizer";
    type Inner = NodeHandle;
}

/// Makes a resizer, and its output.
///
/// @param input the input, which it shares
/// @param config how the output is opened; copied; NULL for the defaults. What the frames are (dtype, shape, axisorder, streamtype, sample_rate, units, scale,
///     offset, fill, extra_json) is that of the input, whatever it says
/// @param frames frames of a chunk; at least 1
/// @param out receives the resizer, not started yet; free it with aq_chunk_resizer_free()
/// @return AQ_OK; AQ_E_INVALID when frames is 0; what aq_output_stream_new() answers
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_resizer_new(
    input: *const aq_input_stream,
    config: *const aq_output_stream_config,
    frames: usize,
    out: *mut *mut aq_chunk_resizer,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a live handle by the caller's contract.
        let input = unsafe { shared_input(input) }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let (given, config, _) = unsafe { transport(config) }?;
        let mut params = like(&input.params(), &given);
        // Of any length: the last one may be shorter.
        if let Some(time) = params.shape.first_mut() {
            *time = -1;
        }
        let output = SharedOutput::new(Output::open(params, &config)?);
        let node = resizer(input, output.clone(), frames)?;
        out.write(handle::new(NodeHandle::new(node, vec![(String::new(), output)])));
        Ok(Outcome::Done)
    })
}

/// The output: to connect inputs to, and to ask for its statistics.
///
/// @param resizer the resizer
/// @param out receives a handle of the output; free it with aq_output_stream_free(), which closes it when the resizer is freed, too
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_resizer_get_output(
    resizer: *const aq_chunk_resizer,
    out: *mut *mut aq_output_stream,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a live handle by the caller's contract.
        let resizer = unsafe { handle::borrow(resizer, "resizer") }?;
        out.write(resizer.output(0)?);
        Ok(Outcome::Done)
    })
}

/// Takes from another input from the next start on: that of a producer that was started anew, say.
///
/// @param resizer the resizer, which does not run
/// @param input the input, of a stream with the same frames
/// @return AQ_OK; AQ_E_STATE when it runs, or in its own callback; AQ_E_INVALID when the frames have another shape or type
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_resizer_connect(
    resizer: *mut aq_chunk_resizer,
    input: *const aq_input_stream,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or live handles by the caller's contract.
        let (resizer, input) = unsafe { (handle::borrow(resizer, "resizer")?, shared_input(input)?) };
        resizer.node.set_input(input)?;
        Ok(Outcome::Done)
    })
}

/// Starts the thread. What waits in the input comes first.
///
/// @param resizer the resizer
/// @return AQ_OK; AQ_E_STATE when it runs already, or in its own callback, or while another thread waits in a call of its input; AQ_E_IO when
///     there is no thread or descriptor left
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_resizer_start(resizer: *mut aq_chunk_resizer) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let resizer = unsafe { handle::borrow(resizer, "resizer") }?;
        resizer.node.start()?;
        Ok(Outcome::Done)
    })
}

/// Stops the thread, and waits for the callback in flight. What it did not get to waits for the next start. Does nothing when it does not run.
///
/// @param resizer the resizer
/// @return AQ_OK; AQ_E_STATE in its own callback; else what it failed with while it was being stopped: it has stopped nevertheless
///
/// Threads: any; it waits for a start or stop by another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_resizer_stop(resizer: *mut aq_chunk_resizer) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let resizer = unsafe { handle::borrow(resizer, "resizer") }?;
        resizer.node.stop()?;
        Ok(Outcome::Done)
    })
}

/// Waits until the thread does not run.
///
/// @param resizer the resizer
/// @param timeout_ns how long at most; see "Waiting"
/// @return AQ_OK when its input has ended, and all that came was dealt with; AQ_STOPPED when it was stopped, or not started yet; AQ_EMPTY or
///     AQ_TIMEOUT when it runs; AQ_E_STATE when its own callback would wait; else what it failed with: aq_last_error() has the sentence
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_resizer_wait(
    resizer: *const aq_chunk_resizer,
    timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { handle::borrow(resizer, "resizer") }?.wait(timeout_ns)
    })
}

/// How the thread is doing.
///
/// @param resizer the resizer
/// @param running receives 1 if it runs, else 0; may be NULL
/// @return AQ_OK, or the last error since it was started, also one after which it went on: aq_last_error() then has the sentence, and running is
///     written nevertheless
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_resizer_status(
    resizer: *const aq_chunk_resizer,
    running: *mut i32,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let resizer = unsafe { handle::borrow(resizer, "resizer") }?;
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { resizer.status(running) }
    })
}

/// What was counted.
///
/// @param resizer the resizer
/// @param stats receives it; initialised with aq_stream_node_stats_init()
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_resizer_get_stats(
    resizer: *const aq_chunk_resizer,
    stats: *mut aq_stream_node_stats,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let resizer = unsafe { handle::borrow(resizer, "resizer") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { resizer.stats(stats) }
    })
}

/// Stops the thread, if it runs and is not in a graph, and frees the handle. A graph keeps it alive.
///
/// @param resizer the resizer, or NULL, which does nothing
/// @return AQ_OK; AQ_E_STATE in its own callback, which does nothing; AQ_E_INVALID when it is none, or freed already as far as that can be seen
///
/// Threads: no other call on this handle may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_resizer_free(resizer: *mut aq_chunk_resizer) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { stream_node::free(resizer, "resizer") }
    })
}
