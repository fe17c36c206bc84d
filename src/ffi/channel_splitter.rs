//! Channel splitters
//!
//! A splitter sends some channels each of an input through several outputs, at the same indices. Channels are the second axis of chunks, behind time.
//!
//! ```c
//! const size_t odd[] = {1, 3, 5, 7}, first[] = {0};
//! const aq_channel_selection selections[] = {{"odd", odd, 4}, {"first", first, 1}};
//! config.protocol = AQ_PROTOCOL_INPROC;
//! check(aq_channel_splitter_new(input, &config, selections, 2, &splitter));
//! check(aq_channel_splitter_get_output(splitter, "odd", &output));    // to connect inputs to
//! check(aq_channel_splitter_start(splitter));
//! ```

use std::ffi::c_char;

use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::input_stream::aq_input_stream;
use super::output_config::aq_output_stream_config;
use super::output_stream::aq_output_stream;
use super::pointer::{Out, slice};
use super::status::aq_status;
use super::stream_node::{self, NodeHandle, aq_stream_node_stats, shared_input, transport};
use super::text;
use crate::error::{Error, ErrorKind, Result};
use crate::signal::node::like::like;
use crate::signal::node::splitter::{Selection, splitter};
use crate::signal::output::Output;
use crate::signal::shared::SharedOutput;

/// Outputs of a splitter at the most.
const MOST_OUTPUTS: usize = 4096;
/// Channels of an output at the most.
const MOST_CHANNELS: usize = 1 << 20;

/// A thread that sends some channels each of an input through several outputs.
pub struct aq_channel_splitter {
    _opaque: [u8; 0],
}

impl Opaque for aq_channel_splitter {
    const NAME: &'static str = "aq_channel_splitter";
    type Inner = NodeHandle;
}

/// Channels that go through an output.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_channel_selection {
    /// The name of the output within the splitter.
    pub name: *const c_char,
    /// The channels in the order that they are to have; each counted from 0. The same may be there twice.
    pub channels: *const usize,
    /// How many; 1 to 2^20.
    pub n_channels: usize,
}

/// The names and channels of the argument `selections`.
///
/// # Safety
/// `selections` is NULL or has `count` of them, with valid texts and lists.
unsafe fn read(selections: *const aq_channel_selection, count: usize) -> Result<Vec<Selection>> {
    if !(1..=MOST_OUTPUTS).contains(&count) {
        return Err(Error::invalid(format!("n_selections must be 1 to {MOST_OUTPUTS} (got {count})")));
    }
    // SAFETY: the caller's promise.
    let selections = unsafe { slice(selections, count, "selections") }?;
    let mut read: Vec<Selection> = Vec::with_capacity(count);
    for selection in selections {
        // SAFETY: the caller's promise.
        let name = unsafe { text::required(selection.name, "selections: name") }?;
        if read.iter().any(|other| other.name == name) {
            return Err(Error::invalid(format!("selections: name must be new (got {name:?})")));
        }
        if selection.n_channels > MOST_CHANNELS {
            let count = selection.n_channels;
            return Err(Error::invalid(format!(
                "selections: n_channels of {name:?} must be 1 to {MOST_CHANNELS} (got {count})"
            )));
        }
        // SAFETY: the caller's promise.
        let channels = unsafe { slice(selection.channels, selection.n_channels, "selections: channels") }?;
        read.push(Selection { name: name.to_owned(), channels: channels.to_vec() });
    }
    Ok(read)
}

/// Makes a splitter, and its outputs.
///
/// @param input the input, which it shares
/// @param config how each output is opened; copied; NULL for the defaults. What the frames are (dtype, shape, axisorder, streamtype, sample_rate, units, scale,
///     offset, fill, extra_json) is that of the input, whatever it says; shape and `channel_info` are those of the channels. A port or path can be that of
///     one output only
/// @param selections the outputs; copied
/// @param n_selections how many; 1 to 4096
/// @param out receives the splitter, not started yet; free it with aq_channel_splitter_free()
/// @return AQ_OK; AQ_E_INVALID when there are no channels, or one that the input has not: the message names it; what aq_output_stream_new() answers
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_channel_splitter_new(
    input: *const aq_input_stream,
    config: *const aq_output_stream_config,
    selections: *const aq_channel_selection,
    n_selections: usize,
    out: *mut *mut aq_channel_splitter,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a live handle by the caller's contract.
        let input = unsafe { shared_input(input) }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let (given, config, _) = unsafe { transport(config) }?;
        // SAFETY: NULL or as many as it says by the caller's contract.
        let selections = unsafe { read(selections, n_selections) }?;
        let all = like(&input.params(), &given);
        let (mut named, mut outputs) = (Vec::new(), Vec::new());
        for selection in selections {
            let output = SharedOutput::new(Output::open(selection.params(&all)?, &config)?);
            named.push((selection.name.clone(), output.clone()));
            outputs.push((selection, output));
        }
        out.write(handle::new(NodeHandle::new(splitter(input, outputs)?, named)));
        Ok(Outcome::Done)
    })
}

/// One of the outputs: to connect inputs to, and to ask for its statistics.
///
/// @param splitter the splitter
/// @param name its name
/// @param out receives a handle of the output; free it with aq_output_stream_free(), which closes it when the splitter is freed, too
/// @return AQ_OK; AQ_E_NOT_FOUND when there is none of that name
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_channel_splitter_get_output(
    splitter: *const aq_channel_splitter,
    name: *const c_char,
    out: *mut *mut aq_output_stream,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a live handle by the caller's contract.
        let splitter = unsafe { handle::borrow(splitter, "splitter") }?;
        // SAFETY: NULL or a string by the caller's contract.
        let name = unsafe { text::required(name, "name") }?;
        let unknown = || Error::new(ErrorKind::NotFound, format!("splitter: it has no output {name:?}"));
        let number = splitter.outputs.iter().position(|(other, _)| other == name).ok_or_else(unknown)?;
        out.write(splitter.output(number)?);
        Ok(Outcome::Done)
    })
}

/// Takes from another input from the next start on: that of a producer that was started anew, say.
///
/// @param splitter the splitter, which does not run
/// @param input the input, of a stream with the same frames
/// @return AQ_OK; AQ_E_STATE when it runs, or in its own callback; AQ_E_INVALID when the frames have another shape or type
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_channel_splitter_connect(
    splitter: *mut aq_channel_splitter,
    input: *const aq_input_stream,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or live handles by the caller's contract.
        let (splitter, input) = unsafe { (handle::borrow(splitter, "splitter")?, shared_input(input)?) };
        splitter.node.set_input(input)?;
        Ok(Outcome::Done)
    })
}

/// Starts the thread. What waits in the input comes first.
///
/// @param splitter the splitter
/// @return AQ_OK; AQ_E_STATE when it runs already, or in its own callback, or while another thread waits in a call of its input; AQ_E_IO when
///     there is no thread or descriptor left
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_channel_splitter_start(splitter: *mut aq_channel_splitter) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let splitter = unsafe { handle::borrow(splitter, "splitter") }?;
        splitter.node.start()?;
        Ok(Outcome::Done)
    })
}

/// Stops the thread, and waits for the callback in flight. What it did not get to waits for the next start. Does nothing when it does not run.
///
/// @param splitter the splitter
/// @return AQ_OK; AQ_E_STATE in its own callback; else what it failed with while it was being stopped: it has stopped nevertheless
///
/// Threads: any; it waits for a start or stop by another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_channel_splitter_stop(splitter: *mut aq_channel_splitter) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let splitter = unsafe { handle::borrow(splitter, "splitter") }?;
        splitter.node.stop()?;
        Ok(Outcome::Done)
    })
}

/// Waits until the thread does not run.
///
/// @param splitter the splitter
/// @param timeout_ns how long at most; see "Waiting"
/// @return AQ_OK when its input has ended, and all that came was dealt with; AQ_STOPPED when it was stopped, or not started yet; AQ_EMPTY or
///     AQ_TIMEOUT when it runs; AQ_E_STATE when its own callback would wait; else what it failed with: aq_last_error() has the sentence
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_channel_splitter_wait(
    splitter: *const aq_channel_splitter,
    timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { handle::borrow(splitter, "splitter") }?.wait(timeout_ns)
    })
}

/// How the thread is doing.
///
/// @param splitter the splitter
/// @param running receives 1 if it runs, else 0; may be NULL
/// @return AQ_OK, or the last error since it was started, also one after which it went on: aq_last_error() then has the sentence, and running is
///     written nevertheless
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_channel_splitter_status(
    splitter: *const aq_channel_splitter,
    running: *mut i32,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let splitter = unsafe { handle::borrow(splitter, "splitter") }?;
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { splitter.status(running) }
    })
}

/// What was counted.
///
/// @param splitter the splitter
/// @param stats receives it; initialised with aq_stream_node_stats_init()
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_channel_splitter_get_stats(
    splitter: *const aq_channel_splitter,
    stats: *mut aq_stream_node_stats,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let splitter = unsafe { handle::borrow(splitter, "splitter") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { splitter.stats(stats) }
    })
}

/// Stops the thread, if it runs and is not in a graph, and frees the handle. A graph keeps it alive.
///
/// @param splitter the splitter, or NULL, which does nothing
/// @return AQ_OK; AQ_E_STATE in its own callback, which does nothing; AQ_E_INVALID when it is none, or freed already as far as that can be seen
///
/// Threads: no other call on this handle may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_channel_splitter_free(splitter: *mut aq_channel_splitter) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { stream_node::free(splitter, "splitter") }
    })
}
