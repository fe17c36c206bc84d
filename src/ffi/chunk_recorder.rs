//! Chunk recorders
//!
//! A chunk recorder takes filled chunks from a stream's data ring, writes them to disk, and puts them back on the free ring. It has threads of its
//! own. Data goes from the chunks' memory to the disk without a copy and past the page cache (O_DIRECT), where the file system does that and
//! the memory is aligned, which that of chunks is (mostly a multiple of 512 is enough; aq_allocator_mmap_new() gives whole pages).
//!
//! A chunk is *written* when its data and its record in the index have been handed to the system: no crash of the program can lose it then.
//! docs/chunk-files.md has the format, byte by byte, and what is promised. When the disk is too slow, the free ring runs empty, and the stream
//! does what it does then: it pauses its readers. When a chunk cannot be written it is counted, reported and given back, and the recorder goes on with the
//! next: `given = written + failed + in_flight` at any time.
//!
//! ```c
//! aq_chunk_recorder_config config;
//! check(aq_chunk_recorder_config_init(&config, sizeof config));
//! config.path = "/data/run7-%04n.aqc";
//! config.rotate_bytes = UINT64_C(64) << 30;
//! check(aq_chunk_recorder_new(data_ring, free_ring, &config, &recorder));
//! ...                                                      // the stream receives, until it ends or is stopped
//! check(aq_chunk_recorder_wait(recorder, AQ_WAIT_FOREVER)); // all that it has put on the data ring is written
//! check(aq_chunk_recorder_free(recorder));
//! ```

use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::Arc;

use super::callback::{Callback, aq_user_free_fn};
use super::chunk::aq_chunk_ring;
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::pointer::{self, Out};
use super::recv::aq_recv_stream;
use super::sink::{AQ_DURABILITY_SYSTEM, durability};
use super::sized::{self, SizedStruct};
use super::status::{AQ_OK, aq_status, of};
use super::text;
use super::wait::wait;
use crate::chunk::record::format::Ledger;
use crate::chunk::record::{Direct, LedgerSource, Recorded, Recorder, RecorderConfig, Report};
use crate::error::{Error, Result};

/// Past the page cache where the file system does that, else through it, with a warning in the log.
pub const AQ_DIRECT_AUTO: i32 = 0;
/// Past the page cache; where the file system does not do that, it is an error.
pub const AQ_DIRECT_ALWAYS: i32 = 1;
/// Through the page cache.
pub const AQ_DIRECT_NEVER: i32 = 2;

/// Writes chunks to disk.
pub struct aq_chunk_recorder {
    _opaque: [u8; 0],
}

impl Opaque for aq_chunk_recorder {
    const NAME: &'static str = "aq_chunk_recorder";
    type Inner = Recorder;
}

/// What became of a chunk.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_chunk_report {
    /// Which of the chunks that the recorder was given, from 0.
    pub sequence: u64,
    /// The chunk's own number.
    pub chunk_id: i64,
    /// The number of the stream that filled it.
    pub stream_id: u64,
    /// Of a written chunk: the number of the file that it is in.
    pub file: u64,
    /// Of a written chunk: where its record begins in the data file.
    pub offset: u64,
    /// Bytes of its data.
    pub data_size: u64,
    /// AQ_OK: it is written; else why it is not, and the chunk is lost.
    pub status: aq_status,
    /// With AQ_DURABILITY_FLUSH 1 if it is durable, too; else 0.
    pub durable: i32,
    /// What went wrong; "" if nothing.
    pub message: *const c_char,
}

/// Is told what became of a chunk, in the order in which the recorder took them, once for each.
///
/// @param report what became of it
/// @param report_size sizeof *report in the library that calls, which may be newer and have more fields at its end
/// @param user the recorder's report_user
///
/// - called from: a thread of the recorder; one call at a time
/// - may block: shortly; up to 64 chunks are written meanwhile, then the recorder waits
/// - may call: any function of this library but aq_chunk_recorder_wait(), _stop() and _free() of this recorder, which answer AQ_E_STATE
/// - valid until: report and its message are valid until it returns
/// - on error: there is no way to report one
pub type aq_chunk_report_fn =
    Option<unsafe extern "C" fn(report: *const aq_chunk_report, report_size: usize, user: *mut c_void)>;

/// Settings of a recorder. Fill it with aq_chunk_recorder_config_init(), then set `path` at least. It is copied when the recorder is made.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_chunk_recorder_config {
    /// Set by aq_chunk_recorder_config_init().
    pub struct_size: usize,
    /// The data file; its index has the same name and `.index` behind it. Neither may exist. With rotation, a name for many files, as in aq_sink_config: `%n`
    /// is the file's number from 0 (`%6n`: with at least 6 digits), `%Y %m %d %H %M %S` the time (UTC) at which it is begun, and `%%` a percent sign.
    pub path: *const c_char,
    /// A header of the user's, for each file: at most 1 MiB. NULL (default) for none.
    pub header: *const c_void,
    /// Bytes at header.
    pub header_size: usize,
    /// A data file that has grown to so many bytes, whole chunks only, is followed by the next; 0 (default): never.
    pub rotate_bytes: u64,
    /// For AQ_DURABILITY_INTERVAL, in nanoseconds. 1 s by default.
    pub sync_interval_ns: u64,
    /// The stream that fills the chunks, if its ledger is to be noted with each; NULL (default) if not. It is not kept alive.
    pub stream: *const aq_recv_stream,
    /// Told of each chunk; NULL (default) for nobody.
    pub report: aq_chunk_report_fn,
    /// Passed to report; belongs to the recorder from the call of aq_chunk_recorder_new() on, also on an error.
    pub report_user: *mut c_void,
    /// Releases report_user, after the last call of report; or NULL.
    pub report_user_free: aq_user_free_fn,
    /// AQ_DURABILITY_*; AQ_DURABILITY_SYSTEM by default. With AQ_DURABILITY_FLUSH a chunk is durable before it is reported.
    pub durability: i32,
    /// AQ_DIRECT_*; AQ_DIRECT_AUTO by default.
    pub direct: i32,
    /// Chunks that are written at the same time, by as many threads: 1 .. 64; 3 by default.
    pub in_flight: u32,
    /// Must be 0.
    pub reserved: u32,
}

// SAFETY: integers, raw pointers and Option<fn>s of 8 bytes; four 32-bit numbers fill the last 16.
unsafe impl SizedStruct for aq_chunk_recorder_config {
    const NAME: &'static str = "aq_chunk_recorder_config";
    const FIRST_SIZE: usize = 96;
    const DEFAULT: Self = Self {
        struct_size: 0,
        path: ptr::null(),
        header: ptr::null(),
        header_size: 0,
        rotate_bytes: 0,
        sync_interval_ns: 1_000_000_000,
        stream: ptr::null(),
        report: None,
        report_user: ptr::null_mut(),
        report_user_free: None,
        durability: AQ_DURABILITY_SYSTEM,
        direct: AQ_DIRECT_AUTO,
        in_flight: RecorderConfig::DEFAULT_IN_FLIGHT as u32,
        reserved: 0,
    };
}

/// The ledger of a recorder: given = written + failed_full + failed_io + failed_file + in_flight. Initialise it with aq_chunk_recorder_stats_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_chunk_recorder_stats {
    /// Set by aq_chunk_recorder_stats_init().
    pub struct_size: usize,
    /// Chunks taken from the data ring.
    pub given: u64,
    /// Chunks that are in the files.
    pub written: u64,
    /// Of these, those that were made durable: a loss of power cannot lose them any more.
    pub durable: u64,
    /// Chunks lost because the disk, or a limit on it, was full.
    pub failed_full: u64,
    /// Chunks lost by other errors while writing.
    pub failed_io: u64,
    /// Chunks lost because the next file could not be created.
    pub failed_file: u64,
    /// Chunks on their way.
    pub in_flight: u64,
    /// Bytes of data of written chunks.
    pub data_bytes: u64,
    /// Bytes of their records in both files.
    pub file_bytes: u64,
    /// Pairs of files that chunks were written to.
    pub files: u64,
    /// Chunks whose data had to be copied, because their memory is not aligned as direct writes need it.
    pub copied: u64,
    /// Chunks that did not go back to the free ring: there is none, it was stopped, or it was full when the recorder was to end. They were freed.
    pub freed: u64,
    /// Chunks that had to wait for space in the free ring.
    pub free_ring_full: u64,
    /// Times that fdatasync, or the end of a file, failed.
    pub sync_errors: u64,
    /// 1 if data goes past the page cache now, else 0.
    pub direct: u64,
}

// SAFETY: a usize and u64s.
unsafe impl SizedStruct for aq_chunk_recorder_stats {
    const NAME: &'static str = "aq_chunk_recorder_stats";
    const FIRST_SIZE: usize = 128;
    const DEFAULT: Self = Self {
        struct_size: 0,
        given: 0,
        written: 0,
        durable: 0,
        failed_full: 0,
        failed_io: 0,
        failed_file: 0,
        in_flight: 0,
        data_bytes: 0,
        file_bytes: 0,
        files: 0,
        copied: 0,
        freed: 0,
        free_ring_full: 0,
        sync_errors: 0,
        direct: 0,
    };
}

type ReportFn = unsafe extern "C" fn(*const aq_chunk_report, usize, *mut c_void);

/// Calls a report function of C's.
fn tell(callback: &Callback<ReportFn>, recorded: &Recorded<'_>) {
    let (status, durable, message) = match &recorded.result {
        Ok(durable) => (AQ_OK, *durable, CString::default()),
        // A message that came from the system or from us has no zero byte in it.
        Err((_, error)) => (of(error), false, CString::new(error.message()).unwrap_or_default()),
    };
    let report = aq_chunk_report {
        sequence: recorded.sequence,
        chunk_id: recorded.id,
        stream_id: recorded.stream_id,
        file: recorded.file,
        offset: recorded.offset,
        data_size: recorded.data_size,
        status,
        durable: durable.into(),
        message: message.as_ptr(),
    };
    // SAFETY: the caller of aq_chunk_recorder_new promised a function of this contract; the report is valid for the call.
    unsafe { (callback.function)(&report, size_of_val(&report), callback.user.pointer()) }
}

/// The core's configuration. Takes over report_user at once.
///
/// # Safety
/// NULL, or a struct of its struct_size that keeps its promises.
unsafe fn recorder_config(
    config: *const aq_chunk_recorder_config,
) -> Result<(RecorderConfig, Option<Report>)> {
    // SAFETY: the caller's promise.
    let (c, tail) = unsafe { sized::read_known(config, "config") }?;
    // SAFETY: the contract of the struct: report_user_free may be called once with report_user.
    let report = unsafe { Callback::new(c.report, c.report_user, c.report_user_free) };
    tail?;
    sized::reserved(c.reserved, "config: reserved")?;
    // SAFETY: NULL or a C text by the contract of the struct.
    let path = unsafe { text::path(c.path, "path") }?;
    // SAFETY: NULL or header_size bytes by the contract of the struct.
    let header = unsafe { pointer::slice(c.header.cast::<u8>(), c.header_size, "header") }?.to_vec();
    let direct = match c.direct {
        AQ_DIRECT_AUTO => Direct::Auto,
        AQ_DIRECT_ALWAYS => Direct::Always,
        AQ_DIRECT_NEVER => Direct::Never,
        other => return Err(Error::invalid(format!("direct must be one of AQ_DIRECT_* (got {other})"))),
    };
    let mut ledger = None;
    if !c.stream.is_null() {
        // SAFETY: a live handle by the contract of the struct.
        let observer = unsafe { handle::borrow(c.stream, "stream") }?.stream().observer();
        ledger = Some(Box::new(move || Ledger::of(&observer.snapshot())) as LedgerSource);
    }
    let config = RecorderConfig {
        path: path.to_owned(),
        header,
        rotate_bytes: c.rotate_bytes,
        durability: durability(c.durability, c.sync_interval_ns)?,
        direct,
        in_flight: c.in_flight as usize,
        ledger,
    };
    let mut to_tell = None;
    if report.function.is_some() {
        let callback = report.required("report")?;
        to_tell = Some(Box::new(move |recorded: &Recorded<'_>| tell(&callback, recorded)) as Report);
    }
    Ok((config, to_tell))
}

/// Writes the defaults.
///
/// @param config the struct
/// @param struct_size sizeof *config
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_recorder_config_init(
    config: *mut aq_chunk_recorder_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// Writes zeros, and the struct's size.
///
/// @param stats the struct
/// @param struct_size sizeof *stats
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_recorder_stats_init(
    stats: *mut aq_chunk_recorder_stats,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(stats, struct_size, "stats") })
}

/// Makes a recorder, with its first files, and starts it. It takes every chunk that comes on the data ring.
///
/// @param data_ring where filled chunks come from. When it is stopped and empty, the recorder closes its files and ends
/// @param free_ring where chunks go that are written (or lost), with their flags cleared; make it large enough for all chunks that there are. NULL: they are
///     freed
/// @param config the settings; report_user is released also when this fails
/// @param out receives the recorder; free it with aq_chunk_recorder_free()
/// @return AQ_OK; AQ_E_INVALID when a setting is out of range, path is that of a folder, or both rings are the same; AQ_E_IO when a file exists already, or
///     cannot be created; AQ_E_VERSION
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_recorder_new(
    data_ring: *mut aq_chunk_ring,
    free_ring: *mut aq_chunk_ring,
    config: *const aq_chunk_recorder_config,
    out: *mut *mut aq_chunk_recorder,
) -> aq_status {
    guard(|| {
        // First, for it takes over what the struct hands over.
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let config = unsafe { recorder_config(config) };
        let (config, report) = config?;
        // SAFETY: NULL or a live handle by the caller's contract.
        let data = unsafe { handle::borrow(data_ring, "data_ring") }?;
        let free = match free_ring.is_null() {
            true => None,
            // SAFETY: a live handle by the caller's contract.
            false => Some(Arc::clone(&*unsafe { handle::borrow(free_ring, "free_ring") }?)),
        };
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        out.write(handle::new(Recorder::new(Arc::clone(&*data), free, config, report)?));
        Ok(Outcome::Done)
    })
}

/// What became of the chunks up to now.
///
/// @param recorder the recorder
/// @param stats receives the counts; initialised with aq_chunk_recorder_stats_init()
/// @return AQ_OK
///
/// Threads: any, at the same time as all functions of the recorder but aq_chunk_recorder_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_recorder_get_stats(
    recorder: *const aq_chunk_recorder,
    stats: *mut aq_chunk_recorder_stats,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let s = unsafe { handle::borrow(recorder, "recorder") }?.stats();
        let value = aq_chunk_recorder_stats {
            struct_size: 0,
            given: s.given,
            written: s.written,
            durable: s.durable,
            failed_full: s.failed_full,
            failed_io: s.failed_io,
            failed_file: s.failed_file,
            in_flight: s.in_flight,
            data_bytes: s.data_bytes,
            file_bytes: s.file_bytes,
            files: s.files,
            copied: s.copied,
            freed: s.freed,
            free_ring_full: s.free_ring_full,
            sync_errors: s.sync_errors,
            direct: s.direct.into(),
        };
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(stats, &value, "stats") }
    })
}

/// How the recorder is doing.
///
/// @param recorder the recorder
/// @param running receives 1 until it has ended, then 0; may be NULL
/// @return AQ_OK; what the latest chunk, sync or end of a file failed with, if no chunk was written since then: aq_last_error() then has the sentence, and
///     running is written nevertheless
///
/// Threads: as for aq_chunk_recorder_get_stats().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_recorder_status(
    recorder: *const aq_chunk_recorder,
    running: *mut i32,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let recorder = unsafe { handle::borrow(recorder, "recorder") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let running = unsafe { Out::optional(running, "running") }?;
        let (ended, error) = recorder.status();
        if let Some(running) = running {
            running.write((!ended).into());
        }
        error.map_or(Ok(Outcome::Done), Err)
    })
}

/// What a wait came to: all that was to be done in time, or not.
fn in_time(done: bool, timeout_ns: i64) -> Outcome {
    match (done, timeout_ns) {
        (true, _) => Outcome::Done,
        (false, 0) => Outcome::Full,
        (false, _) => Outcome::TimedOut,
    }
}

/// Waits until the recorder has ended, which it does when the data ring is stopped and all that was in it is in the files.
///
/// @param recorder the recorder
/// @param timeout_ns how long to wait
/// @return AQ_OK: it has ended, and its files are closed (what failed: see the statistics); AQ_FULL (with a timeout of 0) and AQ_TIMEOUT: not yet;
///     AQ_E_STATE from its report function
///
/// Threads: as for aq_chunk_recorder_get_stats().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_recorder_wait(
    recorder: *mut aq_chunk_recorder,
    timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let recorder = unsafe { handle::borrow(recorder, "recorder") }?;
        Ok(in_time(recorder.wait(wait(timeout_ns)?)?, timeout_ns))
    })
}

/// Has the recorder write what is in the data ring now, close its files, and end; and waits for that. The rings are not stopped: what comes later
/// stays in the data ring.
///
/// @param recorder the recorder
/// @param timeout_ns how long to wait; it goes on ending after that
/// @return as aq_chunk_recorder_wait()
///
/// Threads: as for aq_chunk_recorder_get_stats().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_recorder_stop(
    recorder: *mut aq_chunk_recorder,
    timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let recorder = unsafe { handle::borrow(recorder, "recorder") }?;
        Ok(in_time(recorder.stop(wait(timeout_ns)?)?, timeout_ns))
    })
}

/// Ends the recorder, if it has not ended, and frees it. Chunks that it has taken are written and given back; what is in the data ring stays there.
///
/// @param recorder the recorder, or NULL, which does nothing
/// @return AQ_OK; AQ_E_STATE from its report function
///
/// Threads: no other call on this recorder may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_recorder_free(recorder: *mut aq_chunk_recorder) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract. Poisoned or not it is freed.
        let inside = unsafe { handle::borrow(recorder, "recorder") };
        if inside.is_ok_and(|recorder| recorder.is_own_thread()) {
            return Err(Error::state("recorder: its report function cannot free it"));
        }
        // SAFETY: as above, and not used again.
        unsafe { handle::free(recorder, "recorder") }
    })
}
