//! Event files
//!
//! Reads what event buffers have written: framed files (docs/event-files.md), whose records have times and checksums, and raw files of
//! packets of one size. A framed file can be read whatever has become of it: what is not good in it comes as damaged ranges, each with its
//! exact place, and a torn end.
//!
//! ```c
//! aq_event_record record;
//! aq_event_record_init(&record, sizeof record);
//! check(aq_event_file_open("run7-000.aqe", &file));
//! while ((status = aq_event_file_next(file, &record)) == AQ_OK) {
//!     if (record.kind == AQ_RECORD_PACKET)
//!         process(record.data, record.size, record.time_ns);
//!     else if (record.kind == AQ_RECORD_LOSS)
//!         printf("%" PRIu64 " packets were lost here\n", record.lost_packets);
//!     else if (record.kind != AQ_RECORD_END)
//!         printf("%" PRIu64 " bytes at %" PRIu64 " are no good\n", record.length, record.offset);
//! }
//! aq_event_file_is_whole(file, &whole);          // after AQ_STOPPED: the end
//! aq_event_file_free(file);
//! ```

use std::ffi::{CString, c_char};
use std::ptr;

use parking_lot::Mutex;

use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::pointer::Out;
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::text;
use crate::error::{Error, Result};
use crate::event::frame::{EndMark, LossMark, RECORD_HEADER, VERSION};
use crate::event::raw::RawFile;
use crate::event::reader::{Entry, EventFile};

/// A packet.
pub const AQ_RECORD_PACKET: i32 = 0;
/// Packets were lost here before they could be written.
pub const AQ_RECORD_LOSS: i32 = 1;
/// The file was closed here.
pub const AQ_RECORD_END: i32 = 2;
/// No good record begins in these bytes.
pub const AQ_RECORD_DAMAGED: i32 = 3;
/// The last bytes of the file are the beginning of a record.
pub const AQ_RECORD_TORN: i32 = 4;

/// A file that is being read.
pub struct aq_event_file {
    _opaque: [u8; 0],
}

// The lock turns the caller's mistake, two threads at a time, into something that is defined.
impl Opaque for aq_event_file {
    const NAME: &'static str = "aq_event_file";
    type Inner = Mutex<Opened>;
}

/// What a handle owns.
pub struct Opened {
    file: AnyFile,
    /// The header's layout for C.
    layout: CString,
}

enum AnyFile {
    Framed(Box<EventFile>),
    Raw(RawFile),
}

impl Opened {
    fn framed(file: EventFile) -> Self {
        let layout = file.header().map(|header| header.layout.clone()).unwrap_or_default();
        // A header that was read has no zero byte in its layout.
        Self { file: AnyFile::Framed(Box::new(file)), layout: CString::new(layout).unwrap_or_default() }
    }
}

/// What a framed file says of itself. Initialise it with aq_event_file_header_init() first. What it points to belongs to the file, and is
/// valid until that is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_event_file_header {
    /// Set by aq_event_file_header_init().
    pub struct_size: usize,
    /// The version of its format: 1.
    pub version: u64,
    /// Which of the files of one run it is, from 0.
    pub number: u64,
    /// When it was begun: ns since the Unix epoch, UTC.
    pub created_ns: u64,
    /// What a packet's bytes mean, as aq_packet_layout_parse() reads it; "" if the file does not say.
    pub layout: *const c_char,
    /// The header that the user gave, as it was given; NULL if there is none.
    pub user_header: *const u8,
    /// Its bytes.
    pub user_header_size: usize,
}

// SAFETY: numbers and pointers of 64 bits each, without padding; any bytes are valid.
unsafe impl SizedStruct for aq_event_file_header {
    const NAME: &'static str = "aq_event_file_header";
    const FIRST_SIZE: usize = 56;
    const DEFAULT: Self = Self {
        struct_size: 0,
        version: 0,
        number: 0,
        created_ns: 0,
        layout: ptr::null(),
        user_header: ptr::null(),
        user_header_size: 0,
    };
}

/// Something in a file. Initialise it with aq_event_record_init() first. What a kind of record does not have is 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_event_record {
    /// Set by aq_event_record_init().
    pub struct_size: usize,
    /// One of AQ_RECORD_*. Later versions may have more.
    pub kind: i32,
    /// Of an end: 1 if as many packets were read, and said to be lost, as it says, else 0.
    pub agrees: i32,
    /// Of a packet: how many packets were read before it.
    pub number: u64,
    /// Where it begins, in bytes from the beginning of the file.
    pub offset: u64,
    /// How many bytes of the file it takes.
    pub length: u64,
    /// When the packet came, the last of the lost packets came, or the file was closed: ns since the Unix epoch, UTC; 0 if not taken,
    /// as in raw files.
    pub time_ns: u64,
    /// Of a packet: its bytes. They belong to the file, and are valid until the next call of aq_event_file_next() or the end of the
    /// file.
    pub data: *const u8,
    /// How many.
    pub size: usize,
    /// Of an end: packets that were written.
    pub packets: u64,
    /// Of a loss: packets. Of an end: those of all losses in the file.
    pub lost_packets: u64,
    /// Of a loss: their bytes.
    pub lost_bytes: u64,
    /// Of a loss: when the first of them came.
    pub first_time_ns: u64,
}

// SAFETY: numbers and pointers; two 32-bit numbers fill 8 bytes.
unsafe impl SizedStruct for aq_event_record {
    const NAME: &'static str = "aq_event_record";
    const FIRST_SIZE: usize = 96;
    const DEFAULT: Self = Self {
        struct_size: 0,
        kind: AQ_RECORD_PACKET,
        agrees: 0,
        number: 0,
        offset: 0,
        length: 0,
        time_ns: 0,
        data: ptr::null(),
        size: 0,
        packets: 0,
        lost_packets: 0,
        lost_bytes: 0,
        first_time_ns: 0,
    };
}

impl aq_event_record {
    /// `header` is how many bytes are in front of a packet.
    fn new(entry: &Entry<'_>, header: usize) -> Self {
        let record = Self::DEFAULT;
        match *entry {
            Entry::Packet { number, offset, time, data } => Self {
                kind: AQ_RECORD_PACKET,
                number,
                offset,
                length: (header + data.len()) as u64,
                time_ns: time,
                data: data.as_ptr(),
                size: data.len(),
                ..record
            },
            Entry::Loss { offset, mark } => Self {
                kind: AQ_RECORD_LOSS,
                offset,
                length: LossMark::LENGTH as u64,
                time_ns: mark.last_time,
                lost_packets: mark.packets,
                lost_bytes: mark.bytes,
                first_time_ns: mark.first_time,
                ..record
            },
            Entry::End { offset, mark, agrees } => Self {
                kind: AQ_RECORD_END,
                agrees: agrees.into(),
                offset,
                length: EndMark::LENGTH as u64,
                time_ns: mark.time,
                packets: mark.packets,
                lost_packets: mark.lost,
                ..record
            },
            Entry::Damaged { offset, length } => Self { kind: AQ_RECORD_DAMAGED, offset, length, ..record },
            Entry::Torn { offset, length } => Self { kind: AQ_RECORD_TORN, offset, length, ..record },
        }
    }
}

/// Writes zeros, and the struct's size.
///
/// @param header the struct
/// @param struct_size sizeof *header
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_file_header_init(
    header: *mut aq_event_file_header,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(header, struct_size, "header") })
}

/// Writes zeros, and the struct's size.
///
/// @param record the struct
/// @param struct_size sizeof *record
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_record_init(record: *mut aq_event_record, struct_size: usize) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(record, struct_size, "record") })
}

/// Opens a framed file and reads its header. What is appended from now on is not read.
///
/// @param path a regular file
/// @param out receives the file; free it with aq_event_file_free()
/// @return AQ_OK; AQ_E_IO when it cannot be opened or read; AQ_E_FORMAT when it is no framed file, or its header is damaged;
///     AQ_E_TRUNCATED when it ends within its header; AQ_E_VERSION when a newer version of this library has written it; AQ_E_INVALID when
///     it is no regular file
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_file_open(path: *const c_char, out: *mut *mut aq_event_file) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a string by the caller's contract.
        let path = unsafe { text::path(path, "path") }?;
        out.write(handle::new(Mutex::new(Opened::framed(EventFile::open(path)?))));
        Ok(Outcome::Done)
    })
}

/// Opens a framed file whose header is damaged, for what else is in it. All that is before the first good record is a damaged range.
///
/// @param path a regular file
/// @param out receives the file; free it with aq_event_file_free()
/// @return AQ_OK; AQ_E_IO when it cannot be opened; AQ_E_INVALID when it is no regular file
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_file_salvage(
    path: *const c_char,
    out: *mut *mut aq_event_file,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a string by the caller's contract.
        let path = unsafe { text::path(path, "path") }?;
        out.write(handle::new(Mutex::new(Opened::framed(EventFile::salvage(path)?))));
        Ok(Outcome::Done)
    })
}

/// Opens a raw file: packets of one size back to back. What is appended from now on is not read.
///
/// @param path a regular file
/// @param packet_size bytes of a packet: from 1 to 2^30 - 1
/// @param out receives the file; free it with aq_event_file_free()
/// @return AQ_OK; AQ_E_IO when it cannot be opened; AQ_E_INVALID when packet_size is out of range, or it is no regular file
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_file_open_raw(
    path: *const c_char,
    packet_size: usize,
    out: *mut *mut aq_event_file,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a string by the caller's contract.
        let path = unsafe { text::path(path, "path") }?;
        let file = AnyFile::Raw(RawFile::open(path, packet_size)?);
        out.write(handle::new(Mutex::new(Opened { file, layout: CString::default() })));
        Ok(Outcome::Done)
    })
}

/// What a framed file says of itself.
///
/// @param file the file
/// @param header receives it; initialised with aq_event_file_header_init()
/// @return AQ_OK; AQ_E_STATE when it is a raw file, or was opened with aq_event_file_salvage()
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_file_get_header(
    file: *const aq_event_file,
    header: *mut aq_event_file_header,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let file = unsafe { handle::borrow(file, "file") }?;
        let opened = file.lock();
        let found = match &opened.file {
            AnyFile::Framed(file) => file.header().ok_or("its header is damaged"),
            AnyFile::Raw(_) => Err("a raw file has no header"),
        };
        let found = found.map_err(|reason| Error::state(format!("file: {reason}")))?;
        let user = &found.user;
        let value = aq_event_file_header {
            struct_size: 0,
            version: VERSION.into(),
            number: found.number,
            created_ns: found.created,
            layout: opened.layout.as_ptr(),
            user_header: if user.is_empty() { ptr::null() } else { user.as_ptr() },
            user_header_size: user.len(),
        };
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(header, &value, "header") }
    })
}

/// What comes next in a file. Records that a later version of this library may have written are skipped.
///
/// It takes time in proportion to the size of a record, and up to a microsecond for every byte of a damaged range. Memory is taken for the
/// longest record in the file.
///
/// @param file the file
/// @param record receives it; initialised with aq_event_record_init()
/// @return AQ_OK; AQ_STOPPED at the end of the file; AQ_E_IO and AQ_E_NOMEM, after which it may be tried again
///
/// Threads: one at a time, which also uses the data.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_file_next(
    file: *mut aq_event_file,
    record: *mut aq_event_record,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let file = unsafe { handle::borrow(file, "file") }?;
        // Checked before a record is taken that could not be given out.
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::read_known(record, "record") }?.1?;
        match file.lock().next_record()? {
            // SAFETY: as above.
            Some(value) => unsafe { sized::write(record, &value, "record") },
            None => Ok(Outcome::Stopped),
        }
    })
}

impl Opened {
    fn next_record(&mut self) -> Result<Option<aq_event_record>> {
        let (entry, header) = match &mut self.file {
            AnyFile::Framed(file) => (file.next()?, RECORD_HEADER),
            AnyFile::Raw(file) => (file.next()?, 0),
        };
        Ok(entry.map(|entry| aq_event_record::new(&entry, header)))
    }
}

/// Whether a file is whole. A framed file is when all of it has been read, nothing was damaged, and it ends with an end that
/// agrees with what was read; a raw file when all of it has been read, and its last packet is whole.
///
/// @param file the file
/// @param out receives 1 or 0
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_file_is_whole(file: *const aq_event_file, out: *mut i32) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let file = unsafe { handle::borrow(file, "file") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        let whole = match &file.lock().file {
            AnyFile::Framed(file) => file.is_whole(),
            AnyFile::Raw(file) => file.is_whole(),
        };
        out.write(whole.into());
        Ok(Outcome::Done)
    })
}

/// Closes a file.
///
/// @param file the file, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is no file, or freed already as far as that can be seen
///
/// Threads: no other call on this file may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_event_file_free(file: *mut aq_event_file) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { handle::free(file, "file") }
    })
}
