//! Input streams
//!
//! An input receives the frames that an output sends from the time on that it connects, in order, and is told exactly which ones are missing.
//! It can keep the latest frames in a history (aq_input_stream_set_buffer()), to be looked at by their index.

use std::ffi::{c_char, c_int};
use std::os::fd::AsRawFd;

use super::array_view::{ViewOut, aq_array_view};
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::input_config::aq_input_stream_config;
use super::pointer::{Out, write_whole_text};
use super::signal::{Described, aq_stream_info};
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::text;
use super::wait::wait;
use crate::error::{Error, Result};
use crate::signal::input::Input;
use crate::signal::params::Params;
use crate::signal::shared::SharedInput;
use crate::signal::transport::NoChunk;

/// An input.
pub struct aq_input_stream {
    _opaque: [u8; 0],
}

impl Opaque for aq_input_stream {
    const NAME: &'static str = "aq_input_stream";
    type Inner = InputHandle;
}

/// What a handle owns.
pub struct InputHandle {
    /// The input, which others may hold, too.
    pub stream: SharedInput,
    described: Described,
}

impl InputHandle {
    /// A handle's content.
    pub fn new(stream: SharedInput) -> Self {
        Self { stream, described: Described::default() }
    }
}

/// Connects to the output of a stream, and receives what it sends from then on.
///
/// An inproc or shm output must be there. A tcp or ipc output is looked for in the background, and again when it comes back after its end:
/// chunks that it sends before the connection is made are missed. aq_output_stream_wait_inputs() tells an output that its inputs are there.
///
/// @param params_json what the output says of itself (aq_output_stream_params_json(), or pyacq's params)
/// @param config how to receive, and what is required; copied; NULL for the defaults
/// @param out receives the input; free it with aq_input_stream_free()
/// @return AQ_OK; AQ_E_FORMAT when params_json or overrides_json are none; AQ_E_INVALID when a field of config is out of range, or the stream
///     is not what is required: the message says what differs; AQ_E_NOT_FOUND when there is no such output (inproc, shm), or it did not
///     answer in connect_timeout_ns; AQ_E_STATE when it has as many inputs as it may have; AQ_E_UNSUPPORTED when the transport
///     needs a feature that this build lacks; AQ_E_VERSION when the output is of another version that cannot be read; AQ_E_IO
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_input_stream_connect(
    params_json: *const c_char,
    config: *const aq_input_stream_config,
    out: *mut *mut aq_input_stream,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a string by the caller's contract.
        let json = unsafe { text::required(params_json, "params_json") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let c = unsafe { sized::read_or_default(config, "config") }?;
        // SAFETY: texts and lists by the caller's contract.
        let (config, overrides) =
            unsafe { (c.config()?, text::optional(c.overrides_json, "overrides_json")?) };
        let params = Params::from_json_with(json, overrides.unwrap_or("{}"))?;
        let stream = SharedInput::new(Input::connect(params, &config)?);
        out.write(handle::new(InputHandle::new(stream)));
        Ok(Outcome::Done)
    })
}

/// The params of the stream as the input has them, overrides included: a JSON text in one line.
///
/// @param input the input
/// @param buffer receives the text and its NUL; may be NULL when size is 0
/// @param size its bytes
/// @param needed receives how many bytes the text and its NUL take, also when they do not fit; may be NULL
/// @return AQ_OK; AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_input_stream_params_json(
    input: *const aq_input_stream,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let input = unsafe { handle::borrow(input, "input") }?;
        // SAFETY: NULL or writable, that many bytes, by the caller's contract.
        unsafe { write_whole_text(&input.stream.params().to_json(), buffer, size, needed) }
    })
}

/// What is known of a stream.
///
/// @param input the input
/// @param info receives it; initialised with aq_stream_info_init()
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_input_stream_get_info(
    input: *const aq_input_stream,
    info: *mut aq_stream_info,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let input = unsafe { handle::borrow(input, "input") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { input.described.write(input.stream.params(), info) }
    })
}

/// What became of an input's frames: every frame between the first that came and the last either came or is missing. Initialise it with
/// aq_input_stream_stats_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_input_stream_stats {
    /// Set by aq_input_stream_stats_init().
    pub struct_size: usize,
    /// Chunks that came, as they were sent.
    pub chunks: u64,
    /// Frames in them.
    pub frames: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Gaps between chunks.
    pub gaps: u64,
    /// Frames that are missing in them: dropped for this input, or skipped by the output.
    pub missing_frames: u64,
    /// Chunks that came again, or too late, and were left out.
    pub repeated_chunks: u64,
    /// Messages that were no chunks of this stream.
    pub malformed: u64,
    /// Times that the index began again, because the output did so.
    pub restarts: u64,
    /// The index behind the last frame that came, as filters have made it; -1 before the first.
    pub index: i64,
    /// Frames that came out of the filters; without filters those that came.
    pub filtered_frames: u64,
    /// Chunks that came and are lost because a filter failed.
    pub filter_errors: u64,
}

// SAFETY: integers of 64 bits without padding; any bytes are valid.
unsafe impl SizedStruct for aq_input_stream_stats {
    const NAME: &'static str = "aq_input_stream_stats";
    const FIRST_SIZE: usize = 96;
    const DEFAULT: Self = Self {
        struct_size: 0,
        chunks: 0,
        frames: 0,
        bytes: 0,
        gaps: 0,
        missing_frames: 0,
        repeated_chunks: 0,
        malformed: 0,
        restarts: 0,
        index: 0,
        filtered_frames: 0,
        filter_errors: 0,
    };
}

/// Writes zeros, and the struct's size.
///
/// @param stats the struct
/// @param struct_size sizeof *stats
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_input_stream_stats_init(
    stats: *mut aq_input_stream_stats,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(stats, struct_size, "stats") })
}

/// What became of an input's frames up to now.
///
/// @param input the input
/// @param stats receives the counts; initialised with aq_input_stream_stats_init()
/// @return AQ_OK
///
/// Threads: any; it does not wait for a thread that receives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_input_stream_get_stats(
    input: *const aq_input_stream,
    stats: *mut aq_input_stream_stats,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let input = unsafe { handle::borrow(input, "input") }?;
        let (now, index) = (input.stream.stats(), input.stream.index());
        let value = aq_input_stream_stats {
            struct_size: 0,
            chunks: now.chunks,
            frames: now.frames,
            bytes: now.bytes,
            gaps: now.gaps,
            missing_frames: now.missing_frames,
            repeated_chunks: now.repeated_chunks,
            malformed: now.malformed,
            restarts: now.restarts,
            // Checked by the core to be none larger.
            index: index.map_or(-1, |index| index as i64),
            filtered_frames: now.filtered_frames,
            filter_errors: now.filter_errors,
        };
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(stats, &value, "stats") }
    })
}

/// What a call that found no chunk answers.
fn none(reason: NoChunk) -> Result<Outcome> {
    match reason {
        NoChunk::Empty => Ok(Outcome::Empty),
        NoChunk::TimedOut => Ok(Outcome::TimedOut),
        NoChunk::Ended => Ok(Outcome::Stopped),
        NoChunk::Failed(error) => Err(error),
    }
}

/// Waits until there is a chunk, and does not take it. It is counted already, and in the history.
///
/// @param input the input
/// @param timeout_ns how long to wait; see Waiting
/// @return as aq_input_stream_recv()
///
/// Threads: as aq_input_stream_recv().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_input_stream_poll(input: *mut aq_input_stream, timeout_ns: i64) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let input = unsafe { handle::borrow(input, "input") }?;
        let wait = wait(timeout_ns)?;
        let found = input.stream.enter()?.poll(wait);
        found.map_or_else(none, |()| Ok(Outcome::Done))
    })
}

/// Takes the next chunk. It is appended to the history, if there is one.
///
/// @param input the input
/// @param timeout_ns how long to wait; see Waiting
/// @param view receives the chunk, which is held until aq_array_view_release(); initialised with aq_array_view_init(), and holding nothing
/// @return AQ_OK; AQ_EMPTY; AQ_TIMEOUT; AQ_STOPPED when the output is gone, and all that it published has been received (inproc, shm; tcp and
///     ipc wait until it comes back); AQ_E_FORMAT or AQ_E_TRUNCATED when what came was no chunk of this stream, which goes on: it is
///     counted as malformed; AQ_E_STATE when the view holds something, or a filter of this input calls it; AQ_E_IO; what a filter answered
///     that failed: that chunk is lost, the stream goes on
///
/// Threads: one at a time; others wait. Statistics and the history may be read meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_input_stream_recv(
    input: *mut aq_input_stream,
    timeout_ns: i64,
    view: *mut aq_array_view,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let input = unsafe { handle::borrow(input, "input") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let view = unsafe { ViewOut::new(view) }?;
        let wait = wait(timeout_ns)?;
        let received = input.stream.enter()?.receive(wait);
        received.map_or_else(none, |received| view.received(received))
    })
}

/// A descriptor to wait for chunks with poll() or epoll: when it is readable, call aq_input_stream_recv() with timeout 0 until it answers
/// AQ_EMPTY or AQ_STOPPED. Nothing else may be done with it. Once asked for, it costs a little for each chunk.
///
/// A tcp or ipc input that lost its output subscribes anew within aq_input_stream_recv(), for which the descriptor becomes readable.
///
/// @param input the input, which owns the descriptor
/// @param fd receives it, valid until the input is freed
/// @return AQ_OK; AQ_E_IO when there are too many open files
///
/// Threads: any; it waits for a thread that receives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_input_stream_fd(input: *mut aq_input_stream, fd: *mut c_int) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let input = unsafe { handle::borrow(input, "input") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(fd, "fd") }?;
        out.write(input.stream.enter()?.fd()?.as_raw_fd());
        Ok(Outcome::Done)
    })
}

/// Takes and forgets what has come. The history keeps it, and gaps are counted.
///
/// @param input the input
/// @param frames receives how many frames that were; may be NULL
/// @return AQ_OK; AQ_E_FORMAT, AQ_E_TRUNCATED when there was something else than chunks, which is gone: call it again; AQ_E_IO
///
/// Threads: as aq_input_stream_recv().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_input_stream_empty_queue(
    input: *mut aq_input_stream,
    frames: *mut u64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let input = unsafe { handle::borrow(input, "input") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::optional(frames, "frames") }?;
        let emptied = input.stream.enter()?.empty_queue();
        match emptied {
            Ok(frames) => {
                if let Some(out) = out {
                    out.write(frames);
                }
                Ok(Outcome::Done)
            }
            Err(reason) => none(reason),
        }
    })
}

/// Begins again: the next chunk is the first, wherever it begins, and the history goes on at index 0. Chunks that poll has found, and frames that
/// are collected for a chunk, are forgotten.
///
/// @param input the input
/// @return AQ_OK
///
/// Threads: as aq_input_stream_recv().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_input_stream_reset_index(input: *mut aq_input_stream) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let input = unsafe { handle::borrow(input, "input") }?;
        input.stream.enter()?.reset_index();
        Ok(Outcome::Done)
    })
}

/// Closes an input. Views that are held stay valid. An input that others use (nodes) is closed when they are freed, too.
///
/// @param input the input, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is no input, or freed already as far as that can be seen; AQ_E_STATE when one of its filters calls it
///
/// Threads: no other call on this input may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_input_stream_free(input: *mut aq_input_stream) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract. What else is wrong with it, the next call says.
        if let Ok(input) = unsafe { handle::borrow(input, "input") }
            && input.stream.is_inside()
        {
            return Err(Error::state("input: it cannot be freed by one of its own filters"));
        }
        // SAFETY: as before.
        unsafe { handle::free(input, "input") }
    })
}
