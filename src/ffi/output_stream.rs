//! Output streams
//!
//! An output sends frames to all inputs that are connected at the time. When an input is too slow, the output waits for it, or drops frames,
//! as its overflow policy says; every frame is counted, and an input sees exactly which ones it missed.

use std::ffi::c_char;

use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::output_config::aq_output_stream_config;
use super::pointer::{Out, write_whole_text};
use super::signal::{Described, aq_stream_info};
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::wait::wait;
use crate::error::{Error, ErrorKind};
use crate::ring::Wait;
use crate::signal::output::Output;
use crate::signal::shared::SharedOutput;

/// An output.
pub struct aq_output_stream {
    _opaque: [u8; 0],
}

impl Opaque for aq_output_stream {
    const NAME: &'static str = "aq_output_stream";
    type Inner = OutputHandle;
}

/// What a handle owns.
pub struct OutputHandle {
    /// The output, which others may hold, too.
    pub stream: SharedOutput,
    described: Described,
}

impl OutputHandle {
    /// A handle's content.
    pub fn new(stream: SharedOutput) -> Self {
        Self { stream, described: Described::default() }
    }
}

/// Opens the output of a stream. Inputs may connect from then on, with its params.
///
/// @param config what it carries, and how; copied
/// @param out receives the output; free it with aq_output_stream_free()
/// @return AQ_OK; AQ_E_INVALID when a field of config is out of range; AQ_E_FORMAT when dtype, shape or extra_json are none;
///     AQ_E_UNSUPPORTED when the transport cannot have the overflow policy, or needs a feature that this build lacks; AQ_E_IO when the
///     system refuses: a port or a path that is taken, a folder that is not there; AQ_E_NOMEM
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_output_stream_new(
    config: *const aq_output_stream_config,
    out: *mut *mut aq_output_stream,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let config = unsafe { sized::read(config, "config") }?;
        // SAFETY: texts and lists by the caller's contract.
        let (params, config) = unsafe { (config.params()?, config.config()?) };
        let stream = SharedOutput::new(Output::open(params, &config)?);
        out.write(handle::new(OutputHandle::new(stream)));
        Ok(Outcome::Done)
    })
}

/// The params of a stream, with which inputs connect: a JSON text in one line.
///
/// @param output the output
/// @param buffer receives the text and its NUL; may be NULL when size is 0
/// @param size its bytes
/// @param needed receives how many bytes the text and its NUL take, also when they do not fit; may be NULL
/// @return AQ_OK; AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_output_stream_params_json(
    output: *const aq_output_stream,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let output = unsafe { handle::borrow(output, "output") }?;
        // SAFETY: NULL or writable, that many bytes, by the caller's contract.
        unsafe { write_whole_text(&output.stream.params().to_json(), buffer, size, needed) }
    })
}

/// Where an output is, for people: "tcp://127.0.0.1:5000", "shm://NAME".
///
/// @param output the output
/// @param buffer receives the text and its NUL; may be NULL when size is 0
/// @param size its bytes
/// @param needed receives how many bytes the text and its NUL take, also when they do not fit; may be NULL
/// @return AQ_OK; AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_output_stream_address(
    output: *const aq_output_stream,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let output = unsafe { handle::borrow(output, "output") }?;
        // SAFETY: NULL or writable, that many bytes, by the caller's contract.
        unsafe { write_whole_text(&output.stream.params().address(), buffer, size, needed) }
    })
}

/// What is known of a stream.
///
/// @param output the output
/// @param info receives it; initialised with aq_stream_info_init()
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_output_stream_get_info(
    output: *const aq_output_stream,
    info: *mut aq_stream_info,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let output = unsafe { handle::borrow(output, "output") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { output.described.write(output.stream.params(), info) }
    })
}

/// What became of an output's frames: frames = published_frames + waiting_frames + failed_frames, at any moment. Initialise it with
/// aq_output_stream_stats_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_output_stream_stats {
    /// Set by aq_output_stream_stats_init().
    pub struct_size: usize,
    /// Chunks that were published.
    pub chunks: u64,
    /// Frames that were taken by calls that answered AQ_OK.
    pub frames: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Frames that were published, whether or not there was an input.
    pub published_frames: u64,
    /// Frames that are collected for a chunk, or wait for a slow input.
    pub waiting_frames: u64,
    /// Frames that could not be published together with those of a call that failed.
    pub failed_frames: u64,
    /// Frames that were dropped for inputs that were too slow, summed over these. Of tcp and ipc always 0, as ZeroMQ does not tell: the inputs
    /// see the gaps. Of shm with AQ_OVERFLOW_DROP_OLDEST, see aq_output_stream_get_inputs().
    pub dropped_frames: u64,
    /// Frames that were skipped by an index that was ahead.
    pub skipped_frames: u64,
    /// The index behind the last frame that was taken.
    pub index: i64,
    /// Frames that came out of the filters; without filters those that were taken. Each is published, waits, or has failed.
    pub filtered_frames: u64,
    /// Times that a filter failed: the frames of that call were not taken.
    pub filter_errors: u64,
}

// SAFETY: integers of 64 bits without padding; any bytes are valid.
unsafe impl SizedStruct for aq_output_stream_stats {
    const NAME: &'static str = "aq_output_stream_stats";
    const FIRST_SIZE: usize = 96;
    const DEFAULT: Self = Self {
        struct_size: 0,
        chunks: 0,
        frames: 0,
        bytes: 0,
        published_frames: 0,
        waiting_frames: 0,
        failed_frames: 0,
        dropped_frames: 0,
        skipped_frames: 0,
        index: 0,
        filtered_frames: 0,
        filter_errors: 0,
    };
}

/// An input, as its output sees it. Initialise it with aq_output_stream_input_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_output_stream_input {
    /// Set by aq_output_stream_input_init().
    pub struct_size: usize,
    /// Unique within the output.
    pub id: u64,
    /// Chunks that wait for it.
    pub lag_chunks: u64,
    /// Frames that wait for it; while a call waits, those that it sends may be among them.
    pub lag_frames: u64,
    /// Frames that were dropped for it.
    pub dropped_frames: u64,
}

// SAFETY: integers of 64 bits without padding; any bytes are valid.
unsafe impl SizedStruct for aq_output_stream_input {
    const NAME: &'static str = "aq_output_stream_input";
    const FIRST_SIZE: usize = 40;
    const DEFAULT: Self = Self { struct_size: 0, id: 0, lag_chunks: 0, lag_frames: 0, dropped_frames: 0 };
}

/// Writes zeros, and the struct's size.
///
/// @param stats the struct
/// @param struct_size sizeof *stats
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_output_stream_stats_init(
    stats: *mut aq_output_stream_stats,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(stats, struct_size, "stats") })
}

/// Writes zeros, and the struct's size.
///
/// @param input the struct
/// @param struct_size sizeof *input
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_output_stream_input_init(
    input: *mut aq_output_stream_input,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(input, struct_size, "input") })
}

/// What became of an output's frames up to now.
///
/// @param output the output
/// @param stats receives the counts; initialised with aq_output_stream_stats_init()
/// @return AQ_OK
///
/// Threads: any; it does not wait for a thread that sends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_output_stream_get_stats(
    output: *const aq_output_stream,
    stats: *mut aq_output_stream_stats,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let output = unsafe { handle::borrow(output, "output") }?;
        let now = output.stream.stats();
        let value = aq_output_stream_stats {
            struct_size: 0,
            chunks: now.chunks,
            frames: now.frames,
            bytes: now.bytes,
            published_frames: now.published_frames,
            waiting_frames: now.waiting_frames,
            failed_frames: now.failed_frames,
            dropped_frames: now.dropped_frames,
            skipped_frames: now.skipped_frames,
            // Checked by the core to be none larger.
            index: now.index as i64,
            filtered_frames: now.filtered_frames,
            filter_errors: now.filter_errors,
        };
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(stats, &value, "stats") }
    })
}

/// The index behind the last frame that was taken.
///
/// @param output the output
/// @param index receives it
/// @return AQ_OK
///
/// Threads: any; it does not wait for a thread that sends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_output_stream_index(
    output: *const aq_output_stream,
    index: *mut i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let output = unsafe { handle::borrow(output, "output") }?;
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { Out::new(index, "index") }?.write(output.stream.stats().index as i64);
        Ok(Outcome::Done)
    })
}

/// The inputs of an output, and how far each is behind.
///
/// ```c
/// aq_output_stream_input inputs[16];
/// size_t count;
/// for (int i = 0; i < 16; i++) aq_output_stream_input_init(&inputs[i], sizeof inputs[i]);
/// aq_output_stream_get_inputs(output, inputs, 16, &count);
/// for (size_t i = 0; i < count && i < 16; i++)
///     printf("input %" PRIu64 " is %" PRIu64 " frames behind\n", inputs[i].id, inputs[i].lag_frames);
/// ```
///
/// @param output the output
/// @param inputs receives the first of them; each initialised with aq_output_stream_input_init(); may be NULL when capacity is 0
/// @param capacity how many there is room for
/// @param count receives how many inputs there are, which may be more
/// @return AQ_OK; AQ_E_UNSUPPORTED for tcp and ipc, which only know how many there are: aq_output_stream_input_count()
///
/// Threads: any; it does not wait for a thread that sends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_output_stream_get_inputs(
    output: *const aq_output_stream,
    inputs: *mut aq_output_stream_input,
    capacity: usize,
    count: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let output = unsafe { handle::borrow(output, "output") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let count = unsafe { Out::new(count, "count") }?;
        let reason = "tcp and ipc do not know how far their inputs are behind";
        let found = output.stream.inputs().ok_or_else(|| Error::new(ErrorKind::Unsupported, reason))?;
        if capacity > 0 {
            // SAFETY: NULL or at least one struct of its struct_size by the caller's contract.
            unsafe { sized::read_known(inputs, "inputs") }?.1?;
        }
        // SAFETY: as above; a struct's first field is its size, and that of an element.
        let size = if capacity > 0 { unsafe { inputs.cast::<usize>().read() } } else { 0 };
        for (i, input) in found.iter().take(capacity).enumerate() {
            let value = aq_output_stream_input {
                struct_size: 0,
                id: input.id,
                lag_chunks: input.lag_chunks,
                lag_frames: input.lag_frames,
                dropped_frames: input.dropped_frames,
            };
            // SAFETY: `capacity` structs of the same size by the caller's contract.
            unsafe { sized::write(inputs.byte_add(i * size), &value, "inputs") }?;
        }
        count.write(found.len());
        Ok(Outcome::Done)
    })
}

/// How many inputs there are. Of tcp and ipc: as far as their subscriptions have arrived.
///
/// @param output the output
/// @param count receives the number
/// @return AQ_OK; AQ_E_IO
///
/// Threads: any; it waits for a thread that sends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_output_stream_input_count(
    output: *mut aq_output_stream,
    count: *mut u64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let output = unsafe { handle::borrow(output, "output") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let count = unsafe { Out::new(count, "count") }?;
        count.write(output.stream.enter()?.input_count()?);
        Ok(Outcome::Done)
    })
}

/// Waits until there are so many inputs, or more, so that none of them misses the first frames. It looks every millisecond.
///
/// @param output the output
/// @param count how many
/// @param timeout_ns how long to wait; see Waiting
/// @return AQ_OK; AQ_EMPTY or AQ_TIMEOUT when there were less; AQ_E_IO
///
/// Threads: any; other threads may send meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_output_stream_wait_inputs(
    output: *mut aq_output_stream,
    count: u64,
    timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let output = unsafe { handle::borrow(output, "output") }?;
        let wait = wait(timeout_ns)?;
        Ok(match output.stream.wait_inputs(count, wait)? {
            true => Outcome::Done,
            false if wait == Wait::No => Outcome::Empty,
            false => Outcome::TimedOut,
        })
    })
}

/// Closes an output. What was collected for a chunk is published without waiting; what a slow input has no space for is lost, and a
/// warning is logged: aq_output_stream_flush() waits for it. Inputs receive what was published, and inproc and shm inputs then end.
///
/// An output that others use (nodes, a registry) is closed when they are freed, too.
///
/// @param output the output, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is no output, or freed already as far as that can be seen; AQ_E_STATE when one of its filters calls it
///
/// Threads: no other call on this output may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_output_stream_free(output: *mut aq_output_stream) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract. What else is wrong with it, the next call says.
        if let Ok(output) = unsafe { handle::borrow(output, "output") }
            && output.stream.is_inside()
        {
            return Err(Error::state("output: it cannot be freed by one of its own filters"));
        }
        // SAFETY: as before.
        unsafe { handle::free(output, "output") }
    })
}
