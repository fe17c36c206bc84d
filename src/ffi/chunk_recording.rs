//! Chunk recordings
//!
//! Reads what chunk recorders have written (docs/chunk-files.md), whatever ended them. Chunks are numbered from 0 in the order in which the
//! recorder took them, over all files of the recording. Where the index of a file has no end, is torn or missing, the data file is searched
//! for whole chunks that it does not know of.
//!
//! ```c
//! aq_recorded_chunk chunk;
//! aq_recorded_chunk_init(&chunk, sizeof chunk);
//! check(aq_chunk_recording_open("/data/run7-0000.aqc", &recording));
//! check(aq_chunk_recording_count(recording, &count));
//! for (uint64_t number = 0; number < count; number++) {
//!     check(aq_chunk_recording_chunk(recording, number, &chunk));
//!     check(aq_chunk_recording_read(recording, number, data, chunk.data_size, present, chunk.present_size, NULL, 0));
//!     process(chunk.chunk_id, data, present);
//! }
//! aq_chunk_recording_free(recording);
//! ```

use std::ffi::{CString, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::pointer::Out;
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::text;
use crate::chunk::record::Recording;
use crate::chunk::record::format::Ledger;
use crate::error::{Error, ErrorKind, Result};

/// A recording that is read.
pub struct aq_chunk_recording {
    _opaque: [u8; 0],
}

impl Opaque for aq_chunk_recording {
    const NAME: &'static str = "aq_chunk_recording";
    type Inner = Opened;
}

/// What a handle owns: the recording, and the paths and problems of its files for C.
pub struct Opened {
    recording: Recording,
    texts: Vec<(CString, CString)>,
}

/// What a recording comes to. Initialise it with aq_chunk_recording_info_init() first. What it points to is valid until the recording is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_chunk_recording_info {
    /// Set by aq_chunk_recording_info_init().
    pub struct_size: usize,
    /// Chunks.
    pub chunks: u64,
    /// Of these, those that are in no index, but were found in a data file.
    pub recovered: u64,
    /// Chunks that the recorder could not write, as far as is known.
    pub failed: u64,
    /// Pairs of files.
    pub files: u64,
    /// 1 if the recorder has closed all of them, none is missing, and no index is damaged; else 0. (The chunks' data: see aq_chunk_recording_verify().)
    pub whole: u64,
    /// When the first file was begun: ns since the Unix epoch, UTC.
    pub created_ns: u64,
    /// The user's header in it; NULL if there is none.
    pub header: *const u8,
    /// Its bytes.
    pub header_size: usize,
}

// SAFETY: numbers and pointers of 64 bits each.
unsafe impl SizedStruct for aq_chunk_recording_info {
    const NAME: &'static str = "aq_chunk_recording_info";
    const FIRST_SIZE: usize = 72;
    const DEFAULT: Self = Self {
        struct_size: 0,
        chunks: 0,
        recovered: 0,
        failed: 0,
        files: 0,
        whole: 0,
        created_ns: 0,
        header: ptr::null(),
        header_size: 0,
    };
}

/// A pair of files of a recording. Initialise it with aq_chunk_recording_file_init() first. Its texts are valid until the recording is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_chunk_recording_file {
    /// Set by aq_chunk_recording_file_init().
    pub struct_size: usize,
    /// The data file.
    pub path: *const c_char,
    /// What is wrong with its index; "" if nothing, or if the recorder only did not close it.
    pub index_problem: *const c_char,
    /// Which of the files that the recorder began, from 0.
    pub number: u64,
    /// When it was begun: ns since the Unix epoch, UTC.
    pub created_ns: u64,
    /// Bytes of the data file.
    pub size: u64,
    /// Where the last whole chunk in it ends; what follows is what a killed recorder has left behind.
    pub data_end: u64,
    /// Chunks in it.
    pub chunks: u64,
    /// Of these, those that its index does not have.
    pub recovered: u64,
    /// 1 if the recorder has closed it, else 0.
    pub closed: u64,
    /// Where in its index no good record follows any more,
    pub torn_offset: u64,
    /// and how many bytes there are from there on; 0: it is not torn.
    pub torn_bytes: u64,
}

// SAFETY: numbers and pointers of 64 bits each.
unsafe impl SizedStruct for aq_chunk_recording_file {
    const NAME: &'static str = "aq_chunk_recording_file";
    const FIRST_SIZE: usize = 96;
    const DEFAULT: Self = Self {
        struct_size: 0,
        path: ptr::null(),
        index_problem: ptr::null(),
        number: 0,
        created_ns: 0,
        size: 0,
        data_end: 0,
        chunks: 0,
        recovered: 0,
        closed: 0,
        torn_offset: 0,
        torn_bytes: 0,
    };
}

/// A chunk of a recording. Initialise it with aq_recorded_chunk_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_recorded_chunk {
    /// Set by aq_recorded_chunk_init().
    pub struct_size: usize,
    /// Which of the chunks that the recorder was given, from 0. One that is missing could not be written.
    pub sequence: u64,
    /// The chunk's own number.
    pub chunk_id: i64,
    /// The number of the stream that filled it.
    pub stream_id: u64,
    /// When the recorder took it: ns since the Unix epoch, UTC.
    pub time_ns: u64,
    /// Bytes of data,
    pub data_size: usize,
    /// of presence flags,
    pub present_size: usize,
    /// and of extra data.
    pub extra_size: usize,
    /// Heaps that were complete in it.
    pub complete_heaps: u64,
    /// Which of the recording's files it is in: an index for aq_chunk_recording_get_file().
    pub file: u64,
    /// Where its record begins in the data file.
    pub offset: u64,
    /// Where its data begins there.
    pub data_offset: u64,
    /// 1 if it is in no index, but was found in the data file; else 0.
    pub recovered: u64,
    /// 1 if the ledger of the stream was noted, which is then in what follows, as the stream had published it when the recorder began to write the chunk; else 0.
    /// The stream publishes once for each batch of packets: those of the latest may be missing. Chunks are written by several threads: that of a chunk may be later than
    /// that of the next.
    pub has_ledger: u64,
    /// Packets received.
    pub packets: u64,
    /// Of these, those of complete heaps.
    pub packets_delivered: u64,
    /// Of these, those that neither were in a complete heap nor could still come into one.
    pub packets_lost: u64,
    /// Packets that the kernel dropped.
    pub kernel_drops: u64,
    /// Heaps that ended.
    pub heaps: u64,
    /// Of these, the stream's complete ones.
    pub stream_complete_heaps: u64,
}

// SAFETY: numbers of 64 bits each.
unsafe impl SizedStruct for aq_recorded_chunk {
    const NAME: &'static str = "aq_recorded_chunk";
    const FIRST_SIZE: usize = 160;
    const DEFAULT: Self = Self {
        struct_size: 0,
        sequence: 0,
        chunk_id: 0,
        stream_id: 0,
        time_ns: 0,
        data_size: 0,
        present_size: 0,
        extra_size: 0,
        complete_heaps: 0,
        file: 0,
        offset: 0,
        data_offset: 0,
        recovered: 0,
        has_ledger: 0,
        packets: 0,
        packets_delivered: 0,
        packets_lost: 0,
        kernel_drops: 0,
        heaps: 0,
        stream_complete_heaps: 0,
    };
}

/// Writes zeros, and the struct's size.
///
/// @param info the struct
/// @param struct_size sizeof *info
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_recording_info_init(
    info: *mut aq_chunk_recording_info,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(info, struct_size, "info") })
}

/// Writes zeros, and the struct's size.
///
/// @param file the struct
/// @param struct_size sizeof *file
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_recording_file_init(
    file: *mut aq_chunk_recording_file,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(file, struct_size, "file") })
}

/// Writes zeros, and the struct's size.
///
/// @param chunk the struct
/// @param struct_size sizeof *chunk
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recorded_chunk_init(
    chunk: *mut aq_recorded_chunk,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(chunk, struct_size, "chunk") })
}

/// Opens the recording that a file is of, with all its files: those in the same folder with the same extension. What is appended from now on is not
/// seen. Where an index has no end, this takes as long as reading the data that it does not know of.
///
/// @param path any data file of the recording, or its index
/// @param out receives the recording; free it with aq_chunk_recording_free()
/// @return AQ_OK; AQ_E_IO when it cannot be opened or read; AQ_E_FORMAT when it is no chunk file, or its header is damaged and that of its index as well;
///     AQ_E_TRUNCATED when it ends within its header; AQ_E_VERSION when a newer version of this library has written it; AQ_E_INVALID when it is no regular
///     file
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_recording_open(
    path: *const c_char,
    out: *mut *mut aq_chunk_recording,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a string by the caller's contract.
        let recording = Recording::open(unsafe { text::path(path, "path") }?)?;
        // Paths came from the system and problems from us: no zero byte in them.
        let text = |bytes: &[u8]| CString::new(bytes).unwrap_or_default();
        let texts = recording.files().iter().map(|file| {
            let problem = file.index_problem.as_deref().unwrap_or_default();
            (text(file.path.as_os_str().as_bytes()), text(problem.as_bytes()))
        });
        let texts = texts.collect();
        out.write(handle::new(Opened { recording, texts }));
        Ok(Outcome::Done)
    })
}

/// How many chunks there are.
///
/// @param recording the recording
/// @param count receives the number
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_recording_count(
    recording: *const aq_chunk_recording,
    count: *mut u64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let opened = unsafe { handle::borrow(recording, "recording") }?;
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { Out::new(count, "count") }?.write(opened.recording.chunks().len() as u64);
        Ok(Outcome::Done)
    })
}

/// What the recording comes to.
///
/// @param recording the recording
/// @param info receives it; initialised with aq_chunk_recording_info_init()
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_recording_get_info(
    recording: *const aq_chunk_recording,
    info: *mut aq_chunk_recording_info,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let opened = unsafe { handle::borrow(recording, "recording") }?;
        let recording = &opened.recording;
        let files = recording.files();
        let first = files.first();
        let user = first.map_or(&[][..], |file| &file.header.user);
        let value = aq_chunk_recording_info {
            struct_size: 0,
            chunks: recording.chunks().len() as u64,
            recovered: files.iter().map(|file| file.recovered).sum(),
            failed: recording.failed(),
            files: files.len() as u64,
            whole: recording.is_whole().into(),
            created_ns: first.map_or(0, |file| file.header.created),
            header: if user.is_empty() { ptr::null() } else { user.as_ptr() },
            header_size: user.len(),
        };
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(info, &value, "info") }
    })
}

/// What is known of one of its files.
///
/// @param recording the recording
/// @param index which, from 0 to less than aq_chunk_recording_info.files
/// @param file receives it; initialised with aq_chunk_recording_file_init()
/// @return AQ_OK; AQ_E_NOT_FOUND when there are not so many files
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_recording_get_file(
    recording: *const aq_chunk_recording,
    index: u64,
    file: *mut aq_chunk_recording_file,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let opened = unsafe { handle::borrow(recording, "recording") }?;
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        let (Some(found), Some((path, problem))) =
            (opened.recording.files().get(place), opened.texts.get(place))
        else {
            let rule = format!("index must be less than {}, the files of the recording", opened.texts.len());
            return Err(Error::new(ErrorKind::NotFound, format!("{rule} (got {index})")));
        };
        let (torn_offset, torn_bytes) = found.torn.unwrap_or_default();
        let value = aq_chunk_recording_file {
            struct_size: 0,
            path: path.as_ptr(),
            index_problem: problem.as_ptr(),
            number: found.header.number,
            created_ns: found.header.created,
            size: found.size,
            data_end: found.data_end,
            chunks: found.chunks,
            recovered: found.recovered,
            closed: found.end.is_some().into(),
            torn_offset,
            torn_bytes,
        };
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(file, &value, "file") }
    })
}

/// A chunk's number for the core, which says what is wrong with it.
fn number_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// What is noted of a chunk.
///
/// @param recording the recording
/// @param number which, from 0 to less than aq_chunk_recording_count()
/// @param chunk receives it; initialised with aq_recorded_chunk_init()
/// @return AQ_OK; AQ_E_NOT_FOUND when there are not so many chunks
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_recording_chunk(
    recording: *const aq_chunk_recording,
    number: u64,
    chunk: *mut aq_recorded_chunk,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let opened = unsafe { handle::borrow(recording, "recording") }?;
        let Some(entry) = opened.recording.chunks().get(number_of(number)) else {
            // The core has the words for it.
            opened.recording.verify(number_of(number))?;
            return Ok(Outcome::Done);
        };
        let record = entry.record;
        // What does not fit in memory cannot be read into it either.
        let size = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
        let Ledger { packets, packets_delivered, packets_lost, kernel_drops, heaps, complete_heaps } =
            record.ledger.unwrap_or_default();
        let value = aq_recorded_chunk {
            struct_size: 0,
            sequence: record.sequence,
            chunk_id: record.id,
            stream_id: record.stream_id,
            time_ns: record.time,
            data_size: size(record.data_size),
            present_size: size(record.present_size),
            extra_size: size(record.extra_size),
            complete_heaps: record.complete_heaps,
            file: entry.file as u64,
            offset: record.offset,
            data_offset: record.offset.saturating_add(record.data_start()),
            recovered: entry.recovered.into(),
            has_ledger: record.ledger.is_some().into(),
            packets,
            packets_delivered,
            packets_lost,
            kernel_drops,
            heaps,
            stream_complete_heaps: complete_heaps,
        };
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(chunk, &value, "chunk") }
    })
}

/// The number of the first chunk with some id.
///
/// @param recording the recording
/// @param chunk_id the chunk's own number
/// @param from where to begin: only chunks from this number on are looked at
/// @param number receives the number
/// @return AQ_OK; AQ_E_NOT_FOUND when there is none
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_recording_find(
    recording: *const aq_chunk_recording,
    chunk_id: i64,
    from: u64,
    number: *mut u64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let opened = unsafe { handle::borrow(recording, "recording") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(number, "number") }?;
        let found = opened.recording.find(chunk_id, number_of(from)).ok_or_else(|| {
            let reason = format!("recording: there is no chunk {chunk_id} from number {from} on");
            Error::new(ErrorKind::NotFound, reason)
        })?;
        out.write(found as u64);
        Ok(Outcome::Done)
    })
}

/// The caller's memory of that size, to be read into.
///
/// # Safety
/// `start` is NULL or has `size` writable bytes that nobody else uses now.
unsafe fn memory<'a>(start: *mut c_void, size: usize, name: &str) -> Result<&'a mut [u8]> {
    if size == 0 {
        return Ok(&mut []);
    }
    if start.is_null() || isize::try_from(size).is_err() {
        return Err(Error::invalid(format!("{name} must not be NULL when its size is {size}")));
    }
    // SAFETY: the caller's promise; the size fits.
    unsafe {
        start.cast::<u8>().write_bytes(0, size);
        Ok(std::slice::from_raw_parts_mut(start.cast(), size))
    }
}

/// Reads a chunk, and compares what was read with its checksums. What is not wanted may have a size of 0.
///
/// @param recording the recording
/// @param number which, from 0 to less than aq_chunk_recording_count()
/// @param data where the data goes; data_size is 0 or exactly its size
/// @param data_size bytes at data
/// @param present where the presence flags go; present_size is 0 or exactly their size
/// @param present_size bytes at present
/// @param extra where the extra data goes; extra_size is 0 or exactly its size
/// @param extra_size bytes at extra
/// @return AQ_OK; AQ_E_NOT_FOUND; AQ_E_INVALID when a size is neither 0 nor that of the chunk; AQ_E_FORMAT when a checksum is wrong, AQ_E_TRUNCATED when
///     the data file ends before the chunk does, AQ_E_IO: what is in the memory then is undefined
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_recording_read(
    recording: *const aq_chunk_recording,
    number: u64,
    data: *mut c_void,
    data_size: usize,
    present: *mut u8,
    present_size: usize,
    extra: *mut c_void,
    extra_size: usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let opened = unsafe { handle::borrow(recording, "recording") }?;
        let number = number_of(number);
        opened.recording.check_sizes(number, data_size, present_size, extra_size)?;
        // SAFETY: NULL or so many writable bytes by the caller's contract.
        let (data, present, extra) = unsafe {
            (
                memory(data, data_size, "data")?,
                memory(present.cast(), present_size, "present")?,
                memory(extra, extra_size, "extra")?,
            )
        };
        opened.recording.read(number, data, present, extra)?;
        Ok(Outcome::Done)
    })
}

/// Checks a chunk: that all of it is in the data file, fits its checksums, and is what the index says.
///
/// @param recording the recording
/// @param number which, from 0 to less than aq_chunk_recording_count()
/// @return AQ_OK; AQ_E_NOT_FOUND; AQ_E_FORMAT when it is damaged; AQ_E_TRUNCATED when the data file ends before it does; AQ_E_IO. The message names
///     the file and the place
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_recording_verify(
    recording: *const aq_chunk_recording,
    number: u64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let opened = unsafe { handle::borrow(recording, "recording") }?;
        opened.recording.verify(number_of(number))?;
        Ok(Outcome::Done)
    })
}

/// Closes a recording.
///
/// @param recording the recording, or NULL, which does nothing
/// @return AQ_OK
///
/// Threads: no other call on this recording may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_recording_free(recording: *mut aq_chunk_recording) -> aq_status {
    // SAFETY: NULL or a live handle, not used again, by the caller's contract.
    guard(|| unsafe { handle::free(recording, "recording") })
}
