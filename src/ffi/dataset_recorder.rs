//! Recording datasets
//!
//! A recorder writes rows to a dataset of a new HDF5 file, which grows along its first axis: rows that it is given, the frames of a signal stream, or the chunks of
//! a receiver. Rows are collected to blocks; a block is a chunk of the dataset, packed by threads and written as it is, without libhdf5's filters.
//!
//! ```c
//! aq_dataset_recorder_config config;
//! check(aq_dataset_recorder_config_init(&config, sizeof config));
//! config.packing = AQ_PACK_DEFLATE;
//! config.shuffle = 1;
//! check(aq_dataset_recorder_new_on_input("run7.h5", "raw/adc", &config, input, &recorder));
//! ...
//! check(aq_dataset_recorder_stop(recorder));      // all that came is in the file, and the file is closed
//! aq_dataset_recorder_free(recorder);
//! ```
//!
//! Beside dataset D stand D_ledger (names and counts: rows_given = rows_written + rows_lost, and those of the stream), and of a stream D_segments (from which
//! row on frames have which indices), of chunks D_chunk_id, D_present and D_extra. docs/dataset-recording.md has more, also on what is left when the
//! program is killed.

use std::ffi::{c_char, c_void};
use std::ops::Deref;
use std::ptr;
use std::time::Duration;

use super::chunk::{self, aq_chunk, aq_chunk_ring};
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::input_stream::aq_input_stream;
use super::output_config::axes;
use super::pointer::{self, Out};
use super::recv::aq_recv_stream;
use super::signal::known;
use super::sized::{self, SizedStruct, flag};
use super::status::aq_status;
use super::stream_node::shared_input;
use super::text;
use super::wait::{AQ_WAIT_FOREVER, wait};
use crate::dataset::record::{Attribute, NotPut, RecordConfig, Recorder, RingRecorder, StreamRecorder};
use crate::dataset::{Compression, Packing};
use crate::error::{Error, Result};
use crate::recv::stats::Snapshot;
use crate::signal::numpy::parse_dtype;

/// Blocks are written as they are.
pub const AQ_PACK_NONE: i32 = 0;
/// zlib's format, which every HDF5 reads: level 0 to 9.
pub const AQ_PACK_DEFLATE: i32 = 1;
/// LZ4, filter 32004. To read this and what follows libhdf5 needs plugins (h5py: hdf5plugin); this library does not.
pub const AQ_PACK_LZ4: i32 = 2;
/// Zstandard, filter 32015: level 1 to 19.
pub const AQ_PACK_ZSTD: i32 = 3;
/// LZ4 in blosc, filter 32001: level 1 to 9.
pub const AQ_PACK_BLOSC_LZ4: i32 = 4;
/// Zstandard in blosc: level 1 to 9.
pub const AQ_PACK_BLOSC_ZSTD: i32 = 5;

/// How a dataset is recorded. Initialise it with aq_dataset_recorder_config_init(), then set what differs from the defaults. Texts and lists are copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_dataset_recorder_config {
    /// Set by aq_dataset_recorder_config_init().
    pub struct_size: usize,
    /// The type of elements as numpy writes it (`<i2`, `complex64`), or a list of fields in JSON, as in aq_output_stream_config. NULL: "float32". Of an input it is
    /// the stream's, whatever this says.
    pub dtype: *const c_char,
    /// The shape of a row: `row_ndim` numbers, at least 1 each. NULL: a row is one element. Of an input it is the stream's.
    pub row_shape: *const usize,
    /// Axes of a row: 0, the default, where row_shape is NULL, to 31.
    pub row_ndim: usize,
    /// Rows of a block; 0, the default: as many as 1 MiB has, at least one. Chunks must have just as many.
    pub block_rows: u64,
    /// One of AQ_PACK_*. Default AQ_PACK_NONE.
    pub packing: i32,
    /// How hard to pack; -1, the default: 1 for deflate, 3 for Zstandard, 5 in blosc.
    pub level: i32,
    /// 1: the bytes of elements are sorted by significance before, which helps with numbers. Default 0.
    pub shuffle: i32,
    /// 1: a file that exists is replaced. Default 0: that is an error.
    pub overwrite: i32,
    /// 1: others may read the file while it is written (h5py: swmr=True), and it stays readable whatever becomes of this program. Default 0: others can
    /// read what was flushed, but not while it is being flushed.
    pub swmr: i32,
    /// 1: a flush waits until the disk has everything. Default 0: until the system has.
    pub sync: i32,
    /// Threads that pack, 1 to 4096. Default 2. None is started for AQ_PACK_NONE without shuffle.
    pub n_threads: usize,
    /// Blocks in memory at the most, at least 2. Default 8. When they are all used, who puts waits.
    pub queue_blocks: usize,
    /// After so long at the latest rows are in the file, for others to read, also those of a block that is not full; 0: at once. AQ_WAIT_FOREVER: when they are asked
    /// to be, and at the end. Default 1 s.
    pub flush_interval_ns: i64,
    /// Of chunks: bytes of their present that are recorded: all that they have; 0, the default: they are not recorded.
    pub present_size: usize,
    /// Of chunks: bytes of their extra that are recorded: all that they have; 0, the default: they are not recorded.
    pub extra_size: usize,
    /// An attribute of the dataset: rows per second; NaN, the default: not said. Of an input it and those that follow are the stream's.
    pub sample_rate: f64,
    /// An attribute: what to multiply values by to have them in `units`; NaN, the default: not said.
    pub scale: f64,
    /// An attribute: what to add then; NaN, the default: not said.
    pub offset: f64,
    /// An attribute: the unit of values; NULL: not said.
    pub units: *const c_char,
}

// SAFETY: numbers and pointers; six of 32 bits fill 24 bytes; any bytes are valid.
unsafe impl SizedStruct for aq_dataset_recorder_config {
    const NAME: &'static str = "aq_dataset_recorder_config";
    const FIRST_SIZE: usize = 136;
    const DEFAULT: Self = Self {
        struct_size: 0,
        dtype: ptr::null(),
        row_shape: ptr::null(),
        row_ndim: 0,
        block_rows: 0,
        packing: AQ_PACK_NONE,
        level: -1,
        shuffle: 0,
        overwrite: 0,
        swmr: 0,
        sync: 0,
        n_threads: 2,
        queue_blocks: 8,
        flush_interval_ns: 1_000_000_000,
        present_size: 0,
        extra_size: 0,
        sample_rate: f64::NAN,
        scale: f64::NAN,
        offset: f64::NAN,
        units: ptr::null(),
    };
}

impl aq_dataset_recorder_config {
    fn packing(&self) -> Result<Packing> {
        let level = |default: u32| match self.level {
            -1 => Ok(default),
            level => u32::try_from(level)
                .map_err(|_| Error::invalid(format!("level must be -1 or the packing's (got {level})"))),
        };
        let compression = match self.packing {
            AQ_PACK_NONE => Compression::None,
            AQ_PACK_DEFLATE => Compression::Deflate(level(1)?),
            AQ_PACK_LZ4 => Compression::Lz4,
            AQ_PACK_ZSTD => Compression::Zstd(level(3)?),
            AQ_PACK_BLOSC_LZ4 => Compression::BloscLz4(level(5)?),
            AQ_PACK_BLOSC_ZSTD => Compression::BloscZstd(level(5)?),
            other => return Err(Error::invalid(format!("packing must be one of AQ_PACK_* (got {other})"))),
        };
        Ok(Packing { compression, shuffle: flag(self.shuffle, "shuffle")? })
    }

    /// What does not depend on where rows come from, put into `config`.
    fn apply(&self, config: RecordConfig) -> Result<RecordConfig> {
        let flush_interval = match self.flush_interval_ns {
            AQ_WAIT_FOREVER => Duration::MAX,
            0.. => Duration::from_nanos(self.flush_interval_ns.unsigned_abs()),
            ns => {
                let rule = "flush_interval_ns must be AQ_WAIT_FOREVER, 0 or positive";
                return Err(Error::invalid(format!("{rule} (got {ns})")));
            }
        };
        Ok(RecordConfig {
            overwrite: flag(self.overwrite, "overwrite")?,
            block_rows: (self.block_rows > 0).then_some(self.block_rows),
            packing: self.packing()?,
            threads: self.n_threads,
            queue_blocks: self.queue_blocks,
            flush_interval,
            sync: flag(self.sync, "sync")?,
            swmr: flag(self.swmr, "swmr")?,
            present_size: self.present_size,
            extra_size: self.extra_size,
            ..config
        })
    }

    /// The core's configuration, of rows that are as this says.
    ///
    /// # Safety
    /// Texts are NULL or strings, lists NULL or as long as is said.
    unsafe fn of_rows(&self, path: &std::path::Path, dataset: &str) -> Result<RecordConfig> {
        // SAFETY: the caller's promise.
        let (dtype, units, shape) = unsafe {
            (
                text::optional(self.dtype, "dtype")?,
                text::optional(self.units, "units")?,
                axes(self.row_shape, self.row_ndim, "row_shape")?.unwrap_or_default(),
            )
        };
        let mut config = RecordConfig::new(path, dataset, parse_dtype(dtype.unwrap_or("float32"))?, shape);
        for (name, value) in
            [("sample_rate", self.sample_rate), ("scale", self.scale), ("offset", self.offset)]
        {
            if let Some(value) = known(value) {
                config.attributes.push((name.to_owned(), Attribute::Number(value)));
            }
        }
        if let Some(units) = units {
            config.attributes.push(("units".to_owned(), Attribute::Text(units.to_owned())));
        }
        self.apply(config)
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
pub unsafe extern "C" fn aq_dataset_recorder_config_init(
    config: *mut aq_dataset_recorder_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// A recorder.
pub struct aq_dataset_recorder {
    _opaque: [u8; 0],
}

impl Opaque for aq_dataset_recorder {
    const NAME: &'static str = "aq_dataset_recorder";
    type Inner = Recording;
}

/// What a handle owns.
pub enum Recording {
    /// It is given rows or chunks.
    Given(Recorder),
    /// It takes frames.
    Stream(StreamRecorder),
    /// It takes chunks.
    Ring(RingRecorder),
}

impl Deref for Recording {
    type Target = Recorder;

    fn deref(&self) -> &Recorder {
        match self {
            Self::Given(recorder) => recorder,
            Self::Stream(recorder) => recorder,
            Self::Ring(recorder) => recorder,
        }
    }
}

impl Recording {
    fn stop(&self) -> Result<()> {
        match self {
            Self::Given(recorder) => recorder.stop(),
            Self::Stream(recorder) => recorder.stop(),
            Self::Ring(recorder) => recorder.stop(),
        }
    }
}

/// Where a recording goes, and how.
///
/// # Safety
/// As of the functions that take these.
unsafe fn arguments<'a>(
    path: *const c_char,
    dataset: *const c_char,
    config: *const aq_dataset_recorder_config,
) -> Result<(&'a std::path::Path, &'a str, aq_dataset_recorder_config)> {
    // SAFETY: the caller's promise.
    unsafe {
        Ok((
            text::path(path, "path")?,
            text::required(dataset, "dataset")?,
            sized::read_or_default(config, "config")?,
        ))
    }
}

/// Begins a recording of rows that are given to it by aq_dataset_recorder_put_rows().
///
/// @param path the file, which is made
/// @param dataset the dataset's path in it, as "raw/adc"; groups on the way are made
/// @param config how to record; copied; NULL for the defaults
/// @param out receives the recorder; free it with aq_dataset_recorder_free()
/// @return AQ_OK; AQ_E_INVALID when a field of config is out of range; AQ_E_FORMAT when dtype is none; AQ_E_IO when the file exists, or the system
///     refuses it; AQ_E_UNSUPPORTED when HDF5 has no such type, or this build lacks the feature hdf5; AQ_E_NOMEM
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_recorder_new(
    path: *const c_char,
    dataset: *const c_char,
    config: *const aq_dataset_recorder_config,
    out: *mut *mut aq_dataset_recorder,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: texts and a struct by the caller's contract.
        let config = unsafe {
            let (path, dataset, config) = arguments(path, dataset, config)?;
            config.of_rows(path, dataset)?
        };
        out.write(handle::new(Recording::Given(Recorder::new(config, None)?)));
        Ok(Outcome::Done)
    })
}

/// Begins a recording of chunks that are given to it by aq_dataset_recorder_put_chunk(). The data of each are the rows of a block.
///
/// @param path as of aq_dataset_recorder_new()
/// @param dataset as of aq_dataset_recorder_new()
/// @param config as of aq_dataset_recorder_new(); block_rows x the bytes of a row must be the data of a chunk
/// @param free_ring where chunks go when they are written, with present cleared; NULL: they are freed
/// @param out receives the recorder; free it with aq_dataset_recorder_free()
/// @return as aq_dataset_recorder_new()
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_recorder_new_chunks(
    path: *const c_char,
    dataset: *const c_char,
    config: *const aq_dataset_recorder_config,
    free_ring: *mut aq_chunk_ring,
    out: *mut *mut aq_dataset_recorder,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: texts, a struct and NULL or a live handle by the caller's contract.
        let (config, free) = unsafe {
            let (path, dataset, config) = arguments(path, dataset, config)?;
            (config.of_rows(path, dataset)?, optional_ring(free_ring)?)
        };
        let config = RecordConfig { chunks: true, ..config };
        out.write(handle::new(Recording::Given(Recorder::new(config, free)?)));
        Ok(Outcome::Done)
    })
}

/// # Safety
/// NULL or a live handle.
unsafe fn optional_ring(ring: *mut aq_chunk_ring) -> Result<Option<std::sync::Arc<crate::chunk::ChunkRing>>> {
    match ring.is_null() {
        true => Ok(None),
        // SAFETY: the caller's promise.
        false => Ok(Some(unsafe { handle::borrow(ring, "free_ring") }?.clone())),
    }
}

/// Begins a recording of the frames of a signal stream: those that wait in the input, and those that come. It ends with the input, or when it is stopped.
/// Nobody else should take chunks from the input.
///
/// @param path as of aq_dataset_recorder_new()
/// @param dataset as of aq_dataset_recorder_new()
/// @param config as of aq_dataset_recorder_new(); what a row is, and the attributes, are the stream's
/// @param input the input, which it shares
/// @param out receives the recorder; free it with aq_dataset_recorder_free()
/// @return as aq_dataset_recorder_new(); AQ_E_STATE while another thread waits in a call of the input
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_recorder_new_on_input(
    path: *const c_char,
    dataset: *const c_char,
    config: *const aq_dataset_recorder_config,
    input: *const aq_input_stream,
    out: *mut *mut aq_dataset_recorder,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: texts, a struct and NULL or a live handle by the caller's contract.
        let (config, input) = unsafe {
            let (path, dataset, config) = arguments(path, dataset, config)?;
            let input = shared_input(input)?;
            (config.apply(RecordConfig::of_stream(path, dataset, &input.params()))?, input)
        };
        out.write(handle::new(Recording::Stream(StreamRecorder::start(config, input)?)));
        Ok(Outcome::Done)
    })
}

/// Begins a recording of chunks that it takes from a ring. It ends when the ring is stopped and empty, or when it is stopped itself.
///
/// @param path as of aq_dataset_recorder_new()
/// @param dataset as of aq_dataset_recorder_new()
/// @param config as of aq_dataset_recorder_new_chunks()
/// @param data_ring where chunks come from: the data ring of a receiver's stream
/// @param free_ring where they go when they are written, with present cleared; NULL: they are freed
/// @param out receives the recorder; free it with aq_dataset_recorder_free()
/// @return as aq_dataset_recorder_new()
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_recorder_new_on_ring(
    path: *const c_char,
    dataset: *const c_char,
    config: *const aq_dataset_recorder_config,
    data_ring: *mut aq_chunk_ring,
    free_ring: *mut aq_chunk_ring,
    out: *mut *mut aq_dataset_recorder,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: texts, a struct and NULL or live handles by the caller's contract.
        let (config, data, free) = unsafe {
            let (path, dataset, config) = arguments(path, dataset, config)?;
            let data = handle::borrow(data_ring, "data_ring")?.clone();
            (config.of_rows(path, dataset)?, data, optional_ring(free_ring)?)
        };
        out.write(handle::new(Recording::Ring(RingRecorder::start(config, data, free)?)));
        Ok(Outcome::Done)
    })
}

/// What a call that put nothing answers.
fn not_put(reason: NotPut) -> Result<Outcome> {
    match reason {
        NotPut::Full => Ok(Outcome::Full),
        NotPut::TimedOut => Ok(Outcome::TimedOut),
        NotPut::Failed(error) => Err(error),
    }
}

/// Gives rows to a recorder, which copies them. As many are taken as there is room for within the time; the rest is to be given again.
///
/// @param recorder one of aq_dataset_recorder_new()
/// @param data the rows, one behind the other, in C order
/// @param rows how many there are
/// @param timeout_ns how long to wait for room; see "Waiting"
/// @param taken receives how many were taken, the first ones; may be NULL when timeout_ns is AQ_WAIT_FOREVER
/// @return AQ_OK when some were taken, or there were none; AQ_FULL; AQ_TIMEOUT; AQ_E_STATE when it is stopped; AQ_E_INVALID when it takes chunks; else what the
///     recorder has failed with. Unless it is AQ_OK, none was taken
///
/// Threads: any; those that put take turns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_recorder_put_rows(
    recorder: *mut aq_dataset_recorder,
    data: *const c_void,
    rows: u64,
    timeout_ns: i64,
    taken: *mut u64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let recorder = unsafe { handle::borrow(recorder, "recorder") }?;
        let wait = wait(timeout_ns)?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::optional(taken, "taken") }?;
        if out.is_none() && timeout_ns != AQ_WAIT_FOREVER {
            return Err(Error::invalid("taken must not be NULL unless timeout_ns is AQ_WAIT_FOREVER"));
        }
        let size = usize::try_from(rows).ok().and_then(|rows| rows.checked_mul(recorder.row_size()));
        let size =
            size.ok_or_else(|| Error::invalid(format!("rows must be some that memory holds (got {rows})")))?;
        // SAFETY: as many bytes by the caller's contract.
        let bytes = unsafe { pointer::slice(data.cast::<u8>(), size, "data") }?;
        match recorder.put_rows(bytes, None, wait) {
            Ok(taken) => {
                if let Some(out) = out {
                    out.write(taken);
                }
                Ok(Outcome::Done)
            }
            Err(reason) => not_put(reason),
        }
    })
}

/// Gives a chunk to a recorder.
///
/// @param recorder one of aq_dataset_recorder_new_chunks()
/// @param chunk the chunk; on AQ_OK it belongs to the recorder, on any other status to the caller still
/// @param timeout_ns how long to wait for room; see "Waiting"
/// @return AQ_OK; AQ_FULL; AQ_TIMEOUT; AQ_E_INVALID when its data, present or extra have other sizes than config says, or the recorder takes rows;
///     AQ_E_STATE when the caller does not hold the chunk, or the recorder is stopped; else what the recorder has failed with
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_recorder_put_chunk(
    recorder: *mut aq_dataset_recorder,
    chunk: *mut aq_chunk,
    timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let recorder = unsafe { handle::borrow(recorder, "recorder") }?;
        let wait = wait(timeout_ns)?;
        // SAFETY: NULL or a chunk by the caller's contract.
        match recorder.put_chunk(unsafe { chunk::take(chunk) }?, wait) {
            Ok(()) => Ok(Outcome::Done),
            Err((kept, reason)) => {
                chunk::into_handle(kept);
                not_put(reason)
            }
        }
    })
}

/// Has the counts of a receiver's stream (those of aq_recv_stats and its own) in the ledger beside the dataset, as they are now. Call it again when they have
/// changed, at last before aq_dataset_recorder_stop(). Those of an input are there by themselves.
///
/// @param recorder the recorder
/// @param stream the receiver's stream, which is not kept
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_recorder_set_ledger(
    recorder: *mut aq_dataset_recorder,
    stream: *const aq_recv_stream,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or live handles by the caller's contract.
        let (recorder, stream) =
            unsafe { (handle::borrow(recorder, "recorder")?, handle::borrow(stream, "stream")?) };
        let stats = stream.stream().stats();
        let now: Snapshot = stats.snapshot();
        let counts = (0..stats.count())
            .filter_map(|index| Some((stats.name(index)?.to_owned(), now.get(index)?)))
            .collect::<Vec<_>>();
        recorder.set_ledger(Box::new(move || counts.clone()));
        Ok(Outcome::Done)
    })
}

/// Waits until all rows that were taken are in the file, where others can read them.
///
/// @param recorder the recorder
/// @param timeout_ns how long to wait; see "Waiting"
/// @return AQ_OK; AQ_EMPTY or AQ_TIMEOUT when they are not yet; else what the recorder has failed with
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_recorder_flush(
    recorder: *mut aq_dataset_recorder,
    timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let recorder = unsafe { handle::borrow(recorder, "recorder") }?;
        Ok(match recorder.flush(wait(timeout_ns)?)? {
            true => Outcome::Done,
            false => not_yet(timeout_ns),
        })
    })
}

fn not_yet(timeout_ns: i64) -> Outcome {
    if timeout_ns == 0 { Outcome::Empty } else { Outcome::TimedOut }
}

/// Ends a recording: what waits in its input (for 10 s at the most) or ring and all that was taken is written, and the file closed.
///
/// @param recorder the recorder
/// @return AQ_OK, also when it was stopped before; else what it has failed with: aq_last_error() has the sentence, and the statistics say how many rows are lost
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_recorder_stop(recorder: *mut aq_dataset_recorder) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { handle::borrow(recorder, "recorder") }?.stop()?;
        Ok(Outcome::Done)
    })
}

/// Waits until a recording has ended: its input or ring has, it was stopped, or it has failed.
///
/// @param recorder the recorder
/// @param timeout_ns how long to wait; see "Waiting"
/// @return AQ_OK: all is in the file, which is closed; AQ_EMPTY or AQ_TIMEOUT: it goes on; else what it has failed with
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_recorder_wait(
    recorder: *const aq_dataset_recorder,
    timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let recorder = unsafe { handle::borrow(recorder, "recorder") }?;
        match recorder.wait(wait(timeout_ns)?) {
            Some(ended) => ended.map(|()| Outcome::Done),
            None => Ok(not_yet(timeout_ns)),
        }
    })
}

/// What has become of rows. When a recording has ended, rows_given = rows_written + rows_lost. Initialise it with aq_dataset_recorder_stats_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_dataset_recorder_stats {
    /// Set by aq_dataset_recorder_stats_init().
    pub struct_size: usize,
    /// Rows that were taken.
    pub rows_given: u64,
    /// Rows in the file.
    pub rows_written: u64,
    /// Rows in the file that others can read.
    pub rows_flushed: u64,
    /// Rows that were taken and will not be in the file, as the recorder has failed.
    pub rows_lost: u64,
    /// Blocks written; one that was flushed before it was full counts again.
    pub blocks_written: u64,
    /// Blocks that are being packed, or wait to be written.
    pub blocks_waiting: u64,
    /// Bytes of the rows written.
    pub bytes_written: u64,
    /// Bytes of the blocks written as they are in the file: packed.
    pub bytes_stored: u64,
    /// Of a stream: stretches of frames without a gap.
    pub segments: u64,
    /// Flushes.
    pub flushes: u64,
    /// Times that somebody who put had to wait for room.
    pub waits: u64,
    /// Time that packing took, in ns, in all threads.
    pub pack_ns: u64,
    /// Time that writing and flushing took, in ns.
    pub write_ns: u64,
}

// SAFETY: a usize and u64s without padding; any bytes are valid.
unsafe impl SizedStruct for aq_dataset_recorder_stats {
    const NAME: &'static str = "aq_dataset_recorder_stats";
    const FIRST_SIZE: usize = 112;
    const DEFAULT: Self = Self {
        struct_size: 0,
        rows_given: 0,
        rows_written: 0,
        rows_flushed: 0,
        rows_lost: 0,
        blocks_written: 0,
        blocks_waiting: 0,
        bytes_written: 0,
        bytes_stored: 0,
        segments: 0,
        flushes: 0,
        waits: 0,
        pack_ns: 0,
        write_ns: 0,
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
pub unsafe extern "C" fn aq_dataset_recorder_stats_init(
    stats: *mut aq_dataset_recorder_stats,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(stats, struct_size, "stats") })
}

/// A duration in nanoseconds, or as long as there is where that is longer.
pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What has become of rows up to now; also after an end or a failure.
///
/// @param recorder the recorder
/// @param stats receives the counts; initialised with aq_dataset_recorder_stats_init()
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_recorder_get_stats(
    recorder: *const aq_dataset_recorder,
    stats: *mut aq_dataset_recorder_stats,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let now = unsafe { handle::borrow(recorder, "recorder") }?.stats();
        let value = aq_dataset_recorder_stats {
            struct_size: 0,
            rows_given: now.rows_given,
            rows_written: now.rows_written,
            rows_flushed: now.rows_flushed,
            rows_lost: now.rows_lost,
            blocks_written: now.blocks_written,
            blocks_waiting: now.blocks_waiting,
            bytes_written: now.bytes_written,
            bytes_stored: now.bytes_stored,
            segments: now.segments,
            flushes: now.flushes,
            waits: now.waits,
            pack_ns: nanoseconds(now.pack_time),
            write_ns: nanoseconds(now.write_time),
        };
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(stats, &value, "stats") }
    })
}

/// Ends a recording, as aq_dataset_recorder_stop() does, and frees the handle. What it fails with then is logged only.
///
/// @param recorder the recorder, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is none, or freed already as far as that can be seen
///
/// Threads: no other call on this handle may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_recorder_free(recorder: *mut aq_dataset_recorder) -> aq_status {
    // SAFETY: NULL or a live handle, not used again, by the caller's contract.
    guard(|| unsafe { handle::free(recorder, "recorder") })
}
