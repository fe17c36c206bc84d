//! Replaying datasets
//!
//! A replay plays the rows of a dataset as the frames of a signal stream, or as chunks into a ring, at the rate that they were recorded at or any other.
//! Times are computed from the beginning, so that no error adds up.
//!
//! ```c
//! check(aq_dataset_replay_new("run7.h5", "raw/adc", NULL, &output_config, &replay));
//! check(aq_dataset_replay_get_output(replay, &output));       // for its params_json, say
//! check(aq_output_stream_wait_inputs(output, 1, AQ_WAIT_FOREVER));
//! check(aq_dataset_replay_start(replay));
//! check(aq_dataset_replay_wait(replay, AQ_WAIT_FOREVER));     // until the last row
//! aq_dataset_replay_free(replay);
//! ```

use std::ffi::c_char;
use std::sync::Arc;

use super::chunk::aq_chunk_ring;
use super::dataset_recorder::nanoseconds;
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::output_config::aq_output_stream_config;
use super::output_stream::{OutputHandle, aq_output_stream};
use super::pointer::Out;
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::stream_node::transport;
use super::text;
use super::wait::wait;
use crate::dataset::replay::{Replay, ReplayConfig, stream_params};
use crate::dataset::{Dataset, File};
use crate::error::{Error, Result};
use crate::signal::node::like::like;
use crate::signal::node::state::State;
use crate::signal::output::Output;
use crate::signal::shared::SharedOutput;

/// How a dataset is played. Initialise it with aq_dataset_replay_config_init(), then set what differs from the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_dataset_replay_config {
    /// Set by aq_dataset_replay_config_init().
    pub struct_size: usize,
    /// Rows per second; INFINITY: as fast as receivers take them; 0, the default: as recorded, which the dataset's attribute `sample_rate` tells.
    pub rate: f64,
    /// The first row. Default 0.
    pub first_row: u64,
    /// The row behind the last; 0, the default: all.
    pub end_row: u64,
    /// How often they are played; 0: until it is stopped. Default 1.
    pub loops: u64,
    /// Rows of a chunk; 0, the default: of a stream those of 20 ms, at most a block of the dataset; in a ring a block of the dataset.
    pub chunk_rows: u64,
    /// Threads that read and unpack, 1 to 4096. Default 2.
    pub n_threads: usize,
}

// SAFETY: numbers of 64 bits without padding; any bytes are valid.
unsafe impl SizedStruct for aq_dataset_replay_config {
    const NAME: &'static str = "aq_dataset_replay_config";
    const FIRST_SIZE: usize = 56;
    const DEFAULT: Self =
        Self { struct_size: 0, rate: 0.0, first_row: 0, end_row: 0, loops: 1, chunk_rows: 0, n_threads: 2 };
}

impl aq_dataset_replay_config {
    fn config(&self) -> ReplayConfig {
        ReplayConfig {
            // Anything else that is not positive is refused by the core.
            rate: (self.rate != 0.0).then_some(self.rate),
            first_row: self.first_row,
            end_row: (self.end_row > 0).then_some(self.end_row),
            loops: self.loops,
            chunk_rows: (self.chunk_rows > 0).then_some(self.chunk_rows),
            threads: self.n_threads,
        }
    }
}

/// Writes the defaults.
///
/// @param config the struct
/// @param struct_size sizeof *config
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_replay_config_init(
    config: *mut aq_dataset_replay_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// A replay.
pub struct aq_dataset_replay {
    _opaque: [u8; 0],
}

impl Opaque for aq_dataset_replay {
    const NAME: &'static str = "aq_dataset_replay";
    type Inner = Replay;
}

/// The dataset to be played, and how.
///
/// # Safety
/// As of the functions that take these.
unsafe fn arguments(
    path: *const c_char,
    dataset: *const c_char,
    config: *const aq_dataset_replay_config,
) -> Result<(Arc<Dataset>, ReplayConfig)> {
    // SAFETY: the caller's promise.
    let (path, dataset, config) = unsafe {
        (
            text::path(path, "path")?,
            text::required(dataset, "dataset")?,
            sized::read_or_default(config, "config")?,
        )
    };
    Ok((Dataset::open(&File::open(path)?, dataset)?, config.config()))
}

/// Makes a replay as a signal stream, with an output of its own. What its frames are (dtype, shape, streamtype, sample_rate, units, scale, offset) is the
/// dataset's, with attributes of these names: one that was recorded from a stream is played as it was.
///
/// @param path an HDF5 file
/// @param dataset the path of a dataset in it
/// @param config how to play; copied; NULL for the defaults
/// @param output how the output is opened; copied; NULL for the defaults. What it says of frames does not matter
/// @param out receives the replay, not started yet; free it with aq_dataset_replay_free()
/// @return AQ_OK; AQ_E_INVALID when a field of config is out of range, the dataset is empty, or has no sample_rate and none is given; AQ_E_NOT_FOUND when there is
///     no such dataset; AQ_E_FORMAT when the file is no HDF5 file or damaged; AQ_E_UNSUPPORTED when its type cannot be read, or this build lacks the feature
///     hdf5; AQ_E_IO; what aq_output_stream_new() answers
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_replay_new(
    path: *const c_char,
    dataset: *const c_char,
    config: *const aq_dataset_replay_config,
    output: *const aq_output_stream_config,
    out: *mut *mut aq_dataset_replay,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: texts and structs by the caller's contract.
        let ((dataset, config), (given, output, _)) =
            unsafe { (arguments(path, dataset, config)?, transport(output)?) };
        let params = like(&stream_params(&dataset)?, &given);
        let output = SharedOutput::new(Output::open(params, &output)?);
        out.write(handle::new(Replay::to_stream(dataset, &config, output)?));
        Ok(Outcome::Done)
    })
}

/// Makes a replay through an output that there is. Its frames must be of the shape of the dataset's rows, and its elements of as many bytes.
///
/// @param path an HDF5 file
/// @param dataset the path of a dataset in it
/// @param config how to play; copied; NULL for the defaults
/// @param output the output, which it shares; nobody else should send through it while the replay plays
/// @param out receives the replay, not started yet; free it with aq_dataset_replay_free()
/// @return as aq_dataset_replay_new(); AQ_E_INVALID when the output has other frames
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_replay_new_on_output(
    path: *const c_char,
    dataset: *const c_char,
    config: *const aq_dataset_replay_config,
    output: *const aq_output_stream,
    out: *mut *mut aq_dataset_replay,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: texts, a struct and NULL or a live handle by the caller's contract.
        let (output, (dataset, config)) =
            unsafe { (handle::borrow(output, "output")?.stream.clone(), arguments(path, dataset, config)?) };
        out.write(handle::new(Replay::to_stream(dataset, &config, output)?));
        Ok(Outcome::Done)
    })
}

/// Makes a replay as chunks. Each has a block of rows, and the id and presence flags that aq_dataset_recorder noted of it; where nobody did, the number of the block
/// in the dataset, and all flags set. While it plays it is one producer of the data ring, which is stopped at its end if there is no other.
///
/// @param path an HDF5 file
/// @param dataset the path of a dataset in it
/// @param config how to play; copied; NULL for the defaults
/// @param data_ring where chunks go
/// @param free_ring where empty ones come from, whose data have room for a block, and whose present for the flags
/// @param out receives the replay, not started yet; free it with aq_dataset_replay_free()
/// @return as aq_dataset_replay_new()
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_replay_new_on_ring(
    path: *const c_char,
    dataset: *const c_char,
    config: *const aq_dataset_replay_config,
    data_ring: *mut aq_chunk_ring,
    free_ring: *mut aq_chunk_ring,
    out: *mut *mut aq_dataset_replay,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: texts, a struct and NULL or live handles by the caller's contract.
        let (data, free, (dataset, config)) = unsafe {
            (
                handle::borrow(data_ring, "data_ring")?.clone(),
                handle::borrow(free_ring, "free_ring")?.clone(),
                arguments(path, dataset, config)?,
            )
        };
        out.write(handle::new(Replay::to_ring(dataset, &config, data, free)?));
        Ok(Outcome::Done)
    })
}

/// The output that it plays through: to connect inputs to, to wait for them, and to ask for its statistics.
///
/// @param replay the replay
/// @param out receives a handle of the output; free it with aq_output_stream_free()
/// @return AQ_OK; AQ_E_INVALID when it plays into a ring
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_replay_get_output(
    replay: *const aq_dataset_replay,
    out: *mut *mut aq_output_stream,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a live handle by the caller's contract.
        let replay = unsafe { handle::borrow(replay, "replay") }?;
        let output = replay.output().ok_or_else(|| Error::invalid("replay: it plays into a ring"))?;
        out.write(handle::new(OutputHandle::new(output.clone())));
        Ok(Outcome::Done)
    })
}

/// Starts playing, from the first row on.
///
/// @param replay the replay
/// @return AQ_OK; AQ_E_STATE when it plays already; AQ_E_IO when there is no thread left
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_replay_start(replay: *mut aq_dataset_replay) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { handle::borrow(replay, "replay") }?.start()?;
        Ok(Outcome::Done)
    })
}

/// Stops playing, also while a receiver keeps it waiting. Does nothing when it does not play.
///
/// @param replay the replay
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_replay_stop(replay: *mut aq_dataset_replay) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { handle::borrow(replay, "replay") }?.stop();
        Ok(Outcome::Done)
    })
}

/// Waits until it does not play.
///
/// @param replay the replay
/// @param timeout_ns how long at most; see "Waiting"
/// @return AQ_OK when the last row has been played; AQ_STOPPED when it was stopped, or a ring was, or it was not started yet; AQ_EMPTY or AQ_TIMEOUT when it plays;
///     else what it failed with: rows that cannot be read, or chunks that are too small
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_replay_wait(
    replay: *const aq_dataset_replay,
    timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let replay = unsafe { handle::borrow(replay, "replay") }?;
        match replay.wait(wait(timeout_ns)?) {
            None if timeout_ns == 0 => Ok(Outcome::Empty),
            None | Some(State::Running) => Ok(Outcome::TimedOut),
            Some(State::Stopped) => Ok(Outcome::Stopped),
            Some(State::Ended) => Ok(Outcome::Done),
            Some(State::Failed(error)) => Err(error),
        }
    })
}

/// What a replay has done since it was made. Initialise it with aq_dataset_replay_stats_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_dataset_replay_stats {
    /// Set by aq_dataset_replay_stats_init().
    pub struct_size: usize,
    /// Rows that were given away.
    pub rows: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Chunks in which they were.
    pub chunks: u64,
    /// Times that the last row was reached.
    pub loops: u64,
    /// How late a chunk was at the most, in ns, since it was started.
    pub late_ns: u64,
}

// SAFETY: a usize and u64s without padding; any bytes are valid.
unsafe impl SizedStruct for aq_dataset_replay_stats {
    const NAME: &'static str = "aq_dataset_replay_stats";
    const FIRST_SIZE: usize = 48;
    const DEFAULT: Self = Self { struct_size: 0, rows: 0, bytes: 0, chunks: 0, loops: 0, late_ns: 0 };
}

/// Writes zeros, and the struct's size.
///
/// @param stats the struct
/// @param struct_size sizeof *stats
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_replay_stats_init(
    stats: *mut aq_dataset_replay_stats,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(stats, struct_size, "stats") })
}

/// What it has done up to now.
///
/// @param replay the replay
/// @param stats receives the counts; initialised with aq_dataset_replay_stats_init()
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_replay_get_stats(
    replay: *const aq_dataset_replay,
    stats: *mut aq_dataset_replay_stats,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let now = unsafe { handle::borrow(replay, "replay") }?.stats();
        let value = aq_dataset_replay_stats {
            struct_size: 0,
            rows: now.rows,
            bytes: now.bytes,
            chunks: now.chunks,
            loops: now.loops,
            late_ns: nanoseconds(now.late),
        };
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(stats, &value, "stats") }
    })
}

/// Stops it, if it plays, and frees the handle. Its output is closed, unless somebody else has a handle of it.
///
/// @param replay the replay, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is none, or freed already as far as that can be seen
///
/// Threads: no other call on this handle may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_replay_free(replay: *mut aq_dataset_replay) -> aq_status {
    // SAFETY: NULL or a live handle, not used again, by the caller's contract.
    guard(|| unsafe { handle::free(replay, "replay") })
}
