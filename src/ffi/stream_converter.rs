//! Stream converters
//!
//! A converter sends the chunks of an input, at the same indices, through an output of another kind: another transport or compression.

use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::input_stream::aq_input_stream;
use super::output_config::aq_output_stream_config;
use super::output_stream::aq_output_stream;
use super::pointer::Out;
use super::status::aq_status;
use super::stream_node::{self, NodeHandle, aq_stream_node_stats, shared_input, transport};
use crate::signal::node::converter::converter;
use crate::signal::node::like::like;
use crate::signal::output::Output;
use crate::signal::shared::SharedOutput;

/// A thread that sends the chunks of an input through an output of another kind.
pub struct aq_stream_converter {
    _opaque: [u8; 0],
}

impl Opaque for aq_stream_converter {
    const NAME: &'static str = "aq_stream_converter";
    type Inner = NodeHandle;
}

/// Makes a converter, and its output.
///
/// @param input the input, which it shares
/// @param config how the output is opened; copied; NULL for the defaults. dtype: the type of its elements; NULL: that of the input. What the frames are
///     besides (shape, axisorder, streamtype, sample_rate, units, scale, offset, fill, extra_json) is that of the input, whatever it says
/// @param out receives the converter, not started yet; free it with aq_stream_converter_free()
/// @return AQ_OK; AQ_E_INVALID when the type cannot be had; what aq_output_stream_new() answers
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stream_converter_new(
    input: *const aq_input_stream,
    config: *const aq_output_stream_config,
    out: *mut *mut aq_stream_converter,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a live handle by the caller's contract.
        let input = unsafe { shared_input(input) }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let (given, config, has_type) = unsafe { transport(config) }?;
        let mut params = like(&input.params(), &given);
        if has_type {
            params.dtype = given.dtype;
        }
        let output = SharedOutput::new(Output::open(params, &config)?);
        let node = converter(input, output.clone())?;
        out.write(handle::new(NodeHandle::new(node, vec![(String::new(), output)])));
        Ok(Outcome::Done)
    })
}

/// The output: to connect inputs to, and to ask for its statistics.
///
/// @param converter the converter
/// @param out receives a handle of the output; free it with aq_output_stream_free(), which closes it when the converter is freed, too
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stream_converter_get_output(
    converter: *const aq_stream_converter,
    out: *mut *mut aq_output_stream,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a live handle by the caller's contract.
        let converter = unsafe { handle::borrow(converter, "converter") }?;
        out.write(converter.output(0)?);
        Ok(Outcome::Done)
    })
}

/// Takes from another input from the next start on: that of a producer that was started anew, say.
///
/// @param converter the converter, which does not run
/// @param input the input, of a stream with the same frames
/// @return AQ_OK; AQ_E_STATE when it runs, or in its own callback; AQ_E_INVALID when the frames have another shape or type
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stream_converter_connect(
    converter: *mut aq_stream_converter,
    input: *const aq_input_stream,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or live handles by the caller's contract.
        let (converter, input) = unsafe { (handle::borrow(converter, "converter")?, shared_input(input)?) };
        converter.node.set_input(input)?;
        Ok(Outcome::Done)
    })
}

/// Starts the thread. What waits in the input comes first.
///
/// @param converter the converter
/// @return AQ_OK; AQ_E_STATE when it runs already, or in its own callback, or while another thread waits in a call of its input; AQ_E_IO when
///     there is no thread or descriptor left
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stream_converter_start(converter: *mut aq_stream_converter) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let converter = unsafe { handle::borrow(converter, "converter") }?;
        converter.node.start()?;
        Ok(Outcome::Done)
    })
}

/// Stops the thread, and waits for the callback in flight. What it did not get to waits for the next start. Does nothing when it does not run.
///
/// @param converter the converter
/// @return AQ_OK; AQ_E_STATE in its own callback; else what it failed with while it was being stopped: it has stopped nevertheless
///
/// Threads: any; it waits for a start or stop by another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stream_converter_stop(converter: *mut aq_stream_converter) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let converter = unsafe { handle::borrow(converter, "converter") }?;
        converter.node.stop()?;
        Ok(Outcome::Done)
    })
}

/// Waits until the thread does not run.
///
/// @param converter the converter
/// @param timeout_ns how long at most; see "Waiting"
/// @return AQ_OK when its input has ended, and all that came was dealt with; AQ_STOPPED when it was stopped, or not started yet; AQ_EMPTY or
///     AQ_TIMEOUT when it runs; AQ_E_STATE when its own callback would wait; else what it failed with: aq_last_error() has the sentence
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stream_converter_wait(
    converter: *const aq_stream_converter,
    timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { handle::borrow(converter, "converter") }?.wait(timeout_ns)
    })
}

/// How the thread is doing.
///
/// @param converter the converter
/// @param running receives 1 if it runs, else 0; may be NULL
/// @return AQ_OK, or the last error since it was started, also one after which it went on: aq_last_error() then has the sentence, and running is
///     written nevertheless
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stream_converter_status(
    converter: *const aq_stream_converter,
    running: *mut i32,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let converter = unsafe { handle::borrow(converter, "converter") }?;
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { converter.status(running) }
    })
}

/// What was counted.
///
/// @param converter the converter
/// @param stats receives it; initialised with aq_stream_node_stats_init()
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stream_converter_get_stats(
    converter: *const aq_stream_converter,
    stats: *mut aq_stream_node_stats,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let converter = unsafe { handle::borrow(converter, "converter") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { converter.stats(stats) }
    })
}

/// Stops the thread, if it runs and is not in a graph, and frees the handle. A graph keeps it alive.
///
/// @param converter the converter, or NULL, which does nothing
/// @return AQ_OK; AQ_E_STATE in its own callback, which does nothing; AQ_E_INVALID when it is none, or freed already as far as that can be seen
///
/// Threads: no other call on this handle may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stream_converter_free(converter: *mut aq_stream_converter) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { stream_node::free(converter, "converter") }
    })
}
