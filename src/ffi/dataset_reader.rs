//! Reading datasets at random
//!
//! A reader opens an HDF5 file and reads what is asked for in threads of its own: a request says what of a dataset is wanted, and which stage it is to be read
//! into; its result is taken from a future. Nothing is written to the file, and no lock is set on it.
//!
//! ```c
//! check(aq_reader_open("run.h5", NULL, &reader));
//! check(aq_reader_get_dataset(reader, "/adc/samples", &dataset));
//! check(aq_stage_new(dataset, (const int64_t[]){10}, 1, &stage));          // space for 10 rows
//! check(aq_selection_new(&selection));
//! check(aq_selection_slice(selection, 0, 5000, 5010, 1));
//!
//! check(aq_reader_request(reader, dataset, selection, stage, &future));
//! check(aq_future_get(future, AQ_WAIT_FOREVER, rows, sizeof rows));
//! check(aq_future_free(future));                                           // the stage can be used again
//! ```

use std::ffi::c_char;
use std::sync::Arc;

use super::dataset::{DatasetHandle, aq_dataset};
use super::future::aq_future;
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::pointer::Out;
use super::selection::{aq_selection, wanted};
use super::sized::{self, SizedStruct};
use super::stage::{aq_stage, aq_stage_pool};
use super::status::aq_status;
use super::text;
use super::wait::wait;
use crate::dataset::{Dataset, File, NoResult, ParallelReader, ReaderConfig};
use crate::error::Result;

/// How a reader reads. Initialise it with aq_reader_config_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_reader_config {
    /// Set by aq_reader_config_init().
    pub struct_size: usize,
    /// Threads that read and unpack, 1 to 4096; 4.
    pub n_threads: usize,
    /// Bytes of unpacked chunks that are kept, as more of them may be wanted, of all datasets together; 0: none; 64 MiB.
    pub cache_bytes: usize,
    /// 1: numbers are put into this machine's byte order; 0: they stay as they are in the file, as aq_dataset_dtype() tells; 0.
    pub native: i32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: integers; an i32 and a u32 fill 8 bytes; any bytes are valid.
unsafe impl SizedStruct for aq_reader_config {
    const NAME: &'static str = "aq_reader_config";
    const FIRST_SIZE: usize = 32;
    const DEFAULT: Self =
        Self { struct_size: 0, n_threads: 4, cache_bytes: 64 << 20, native: 0, reserved: 0 };
}

impl aq_reader_config {
    fn config(&self) -> Result<ReaderConfig> {
        sized::reserved(self.reserved, "config: reserved")?;
        Ok(ReaderConfig {
            threads: self.n_threads,
            cache_bytes: self.cache_bytes,
            native: sized::flag(self.native, "config: native")?,
        })
    }
}

/// Writes the defaults, and the struct's size.
///
/// @param config the struct
/// @param struct_size sizeof *config
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_reader_config_init(
    config: *mut aq_reader_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// A reader of an HDF5 file.
pub struct aq_reader {
    _opaque: [u8; 0],
}

impl Opaque for aq_reader {
    const NAME: &'static str = "aq_reader";
    type Inner = ReaderHandle;
}

/// What a handle owns.
pub struct ReaderHandle {
    file: Arc<File>,
    reader: ParallelReader,
}

/// Opens an HDF5 file, which another program may be writing, and starts the threads.
///
/// @param path the file
/// @param config how to read; copied; NULL for the defaults
/// @param out receives the reader; free it with aq_reader_free()
/// @return AQ_OK; AQ_E_INVALID when a field of config is out of range, or path is not that of a file; AQ_E_IO when the system refuses to open it; AQ_E_FORMAT
///     when it is no HDF5 file, a damaged one, or one that libhdf5 must not read while it is written (the newer file format without SWMR); AQ_E_UNSUPPORTED
///     when this build is without the feature "hdf5"
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_reader_open(
    path: *const c_char,
    config: *const aq_reader_config,
    out: *mut *mut aq_reader,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a string by the caller's contract.
        let path = unsafe { text::path(path, "path") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let config = unsafe { sized::read_or_default(config, "config") }?.config()?;
        let file = File::open(path)?;
        out.write(handle::new(ReaderHandle { file, reader: ParallelReader::new(config)? }));
        Ok(Outcome::Done)
    })
}

/// Opens a dataset of the file.
///
/// @param reader the reader
/// @param name its path in the file: "/group/data"
/// @param out receives the dataset; free it with aq_dataset_free()
/// @return AQ_OK; AQ_E_NOT_FOUND when there is none; AQ_E_UNSUPPORTED when it has no axes, or elements of variable length; AQ_E_FORMAT when it is no
///     dataset, or the file is damaged; AQ_E_STATE when there is another file of that name now; AQ_E_IO
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_reader_get_dataset(
    reader: *const aq_reader,
    name: *const c_char,
    out: *mut *mut aq_dataset,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let reader = unsafe { handle::borrow(reader, "reader") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a string by the caller's contract.
        let name = unsafe { text::required(name, "name") }?;
        out.write(handle::new(DatasetHandle::new(Dataset::open(&reader.file, name)?)?));
        Ok(Outcome::Done)
    })
}

/// What a call answers when there is no result, or no request.
pub fn none(reason: NoResult) -> Result<Outcome> {
    match reason {
        NoResult::Empty => Ok(Outcome::Empty),
        NoResult::TimedOut => Ok(Outcome::TimedOut),
        NoResult::Stopped => Ok(Outcome::Stopped),
        NoResult::Failed(error) => Err(error),
    }
}

/// Asks for what is selected of a dataset to be read into a stage.
///
/// Whether that is possible is found out at once: when it is not, there is no request, and the stage stays free.
///
/// @param reader the reader
/// @param dataset the dataset, as it was when it was refreshed last; it may be of another reader
/// @param selection what of it; copied; NULL: everything
/// @param stage where to; no other request may have it
/// @param future receives the future; free it with aq_future_free()
/// @return AQ_OK; AQ_STOPPED when the reader is closed; AQ_E_INVALID when the selection is out of range, or the stage too small: the message names both sizes;
///     AQ_E_NOT_FOUND when there is no such field; AQ_E_STATE when another request has the stage
///
/// Threads: any, at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_reader_request(
    reader: *mut aq_reader,
    dataset: *const aq_dataset,
    selection: *const aq_selection,
    stage: *mut aq_stage,
    future: *mut *mut aq_future,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or live handles by the caller's contract.
        let (reader, dataset, stage) = unsafe {
            let dataset = handle::borrow(dataset, "dataset")?.get();
            (handle::borrow(reader, "reader")?, dataset, handle::borrow(stage, "stage")?)
        };
        // SAFETY: NULL or a live handle; NULL or writable, by the caller's contract.
        let (wanted, out) = unsafe { (wanted(selection)?, Out::new(future, "future")?) };
        let field = wanted.field.as_deref();
        match reader.reader.request(&dataset, &wanted.selection, field, &stage) {
            Ok(future) => {
                out.write(aq_future::handle(future));
                Ok(Outcome::Done)
            }
            Err(reason) => none(reason),
        }
    })
}

/// As aq_reader_request(), with a stage of a pool.
///
/// @param reader the reader
/// @param dataset the dataset
/// @param selection what of it; copied; NULL: everything
/// @param pool the stages
/// @param timeout_ns how long to wait for one that is free; see Waiting
/// @param future receives the future; free it with aq_future_free()
/// @return as aq_reader_request(); AQ_EMPTY or AQ_TIMEOUT when no stage was free; AQ_STOPPED also when the reader is closed meanwhile
///
/// Threads: any, at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_reader_request_pooled(
    reader: *mut aq_reader,
    dataset: *const aq_dataset,
    selection: *const aq_selection,
    pool: *mut aq_stage_pool,
    timeout_ns: i64,
    future: *mut *mut aq_future,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or live handles by the caller's contract.
        let (reader, dataset, pool) = unsafe {
            let dataset = handle::borrow(dataset, "dataset")?.get();
            (handle::borrow(reader, "reader")?, dataset, handle::borrow(pool, "pool")?)
        };
        // SAFETY: NULL or a live handle; NULL or writable, by the caller's contract.
        let (wanted, out) = unsafe { (wanted(selection)?, Out::new(future, "future")?) };
        let (field, wait) = (wanted.field.as_deref(), wait(timeout_ns)?);
        match reader.reader.request_pooled(&dataset, &wanted.selection, field, &pool, wait) {
            Ok(future) => {
                out.write(aq_future::handle(future));
                Ok(Outcome::Done)
            }
            Err(reason) => none(reason),
        }
    })
}

/// Takes no more requests: those who ask, or wait for a stage, are answered AQ_STOPPED. Requests that are pending are read still.
///
/// @param reader the reader
/// @param timeout_ns how long to wait until all have ended; 0: does not wait; see Waiting
/// @return AQ_OK when all have ended, or timeout_ns is 0; AQ_TIMEOUT
///
/// Threads: any, at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_reader_close(reader: *mut aq_reader, timeout_ns: i64) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let reader = unsafe { handle::borrow(reader, "reader") }?;
        let done = reader.reader.close(wait(timeout_ns)?);
        Ok(if done || timeout_ns == 0 { Outcome::Done } else { Outcome::TimedOut })
    })
}

/// Takes no more requests, and ends those that are pending: their futures answer AQ_STOPPED. Results that are there can still be taken. Does not wait.
///
/// @param reader the reader
/// @return AQ_OK
///
/// Threads: any, at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_reader_stop(reader: *mut aq_reader) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { handle::borrow(reader, "reader") }?.reader.stop();
        Ok(Outcome::Done)
    })
}

/// What became of requests: `requests` is the sum of `done`, `failed`, `stopped`, `dropped` and `pending`. Initialise it with aq_reader_stats_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_reader_stats {
    /// Set by aq_reader_stats_init().
    pub struct_size: usize,
    /// Requests that were accepted.
    pub requests: u64,
    /// That have, or had, a result.
    pub done: u64,
    /// That ended with an error.
    pub failed: u64,
    /// That ended because the reader was stopped.
    pub stopped: u64,
    /// Of which the future was freed before they were begun.
    pub dropped: u64,
    /// That have not ended.
    pub pending: u64,
    /// Bytes read from the file, packed where it has them packed.
    pub bytes_read: u64,
    /// Chunks unpacked.
    pub chunks_decoded: u64,
    /// Time that unpacking took, of all threads together, in nanoseconds.
    pub decode_ns: u64,
}

// SAFETY: integers of 64 bits without padding; any bytes are valid.
unsafe impl SizedStruct for aq_reader_stats {
    const NAME: &'static str = "aq_reader_stats";
    const FIRST_SIZE: usize = 80;
    const DEFAULT: Self = Self {
        struct_size: 0,
        requests: 0,
        done: 0,
        failed: 0,
        stopped: 0,
        dropped: 0,
        pending: 0,
        bytes_read: 0,
        chunks_decoded: 0,
        decode_ns: 0,
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
pub unsafe extern "C" fn aq_reader_stats_init(stats: *mut aq_reader_stats, struct_size: usize) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(stats, struct_size, "stats") })
}

/// What became of requests up to now.
///
/// @param reader the reader
/// @param stats receives the counts; initialised with aq_reader_stats_init()
/// @return AQ_OK
///
/// Threads: any, at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_reader_get_stats(
    reader: *const aq_reader,
    stats: *mut aq_reader_stats,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let now = unsafe { handle::borrow(reader, "reader") }?.reader.stats();
        let value = aq_reader_stats {
            struct_size: 0,
            requests: now.requests,
            done: now.done,
            failed: now.failed,
            stopped: now.stopped,
            dropped: now.dropped,
            pending: now.pending,
            bytes_read: now.read.bytes_read,
            chunks_decoded: now.read.chunks_decoded,
            decode_ns: u64::try_from(now.read.decode_time.as_nanos()).unwrap_or(u64::MAX),
        };
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(stats, &value, "stats") }
    })
}

/// Stops a reader as aq_reader_stop() does, waits until its threads have ended, and frees it. Its datasets, futures and results stay valid.
///
/// @param reader the reader, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is no reader, or freed already as far as that can be seen
///
/// Threads: no other call on this reader may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_reader_free(reader: *mut aq_reader) -> aq_status {
    // SAFETY: NULL or a live handle by the caller's contract.
    guard(|| unsafe { handle::free(reader, "reader") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn defaults_are_those_of_the_core() {
        assert_eq!(aq_reader_config::DEFAULT.config().unwrap(), ReaderConfig::default());
        let error = aq_reader_config { native: 2, ..aq_reader_config::DEFAULT }.config().unwrap_err();
        assert_eq!(error, Error::invalid("config: native must be 0 or 1 (got 2)"));
    }
}
