//! Dataset streaming
//!
//! A streamer is an open HDF5 file. Each of its queues reads a dataset in blocks of rows (its elements along the first axis), ahead of the program, in threads
//! of its own; the bytes are not copied again. docs/dataset-streaming.md says which rows a block has, and what is read without libhdf5.
//!
//! ```c
//! aq_streamer *streamer;
//! aq_block_queue *queue;
//! aq_block *block;
//! aq_streamer_open("run7.h5", NULL, &streamer);
//! aq_streamer_get_queue(streamer, "/raw/adc", NULL, &queue);
//! while (aq_block_queue_get(queue, AQ_WAIT_FOREVER, &block) == AQ_OK) {      // or poll(aq_block_queue_data_fd(queue))
//!     const void *data;
//!     size_t size;
//!     if (aq_block_data(block, &data, &size) == AQ_OK)                      // or the rows of this block cannot be read
//!         process(data, size);
//!     aq_block_release(block);                                              // its memory is filled again
//! }
//! aq_block_queue_free(queue);
//! aq_streamer_free(streamer);
//! ```

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;

use super::block_queue::{QueueHandle, aq_block_queue};
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::pointer::Out;
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::text;
use crate::dataset::{Dataset, File, Remainder, StreamConfig, stream};
use crate::error::{Error, ErrorKind, Result};

/// How a file is opened. There is nothing to choose yet. Initialise it with aq_streamer_config_init().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_streamer_config {
    /// Set by aq_streamer_config_init().
    pub struct_size: usize,
    /// 0.
    pub reserved: i64,
}

// SAFETY: numbers of 8 bytes each; any bytes are valid.
unsafe impl SizedStruct for aq_streamer_config {
    const NAME: &'static str = "aq_streamer_config";
    const FIRST_SIZE: usize = 16;
    const DEFAULT: Self = Self { struct_size: 0, reserved: 0 };
}

/// Writes the defaults.
///
/// @param config the struct
/// @param struct_size sizeof *config
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_streamer_config_init(
    config: *mut aq_streamer_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// How a dataset is streamed. Initialise it with aq_block_queue_config_init().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_block_queue_config {
    /// Set by aq_block_queue_config_init().
    pub struct_size: usize,
    /// Threads that read and unpack, 1 to 4096. Default 4.
    pub n_threads: usize,
    /// Blocks that exist: being read, ready, and with the program. Who holds them all gets no other. 0, the default: 2 * n_threads + 1. Memory: as many times
    /// the bytes of a block.
    pub read_ahead: usize,
    /// Rows of a block; never more than the dataset has. 0, the default: as many as a chunk has, or what fits into 128 KiB where there are no chunks. Where it is no
    /// multiple of the chunk's, the chunk that two blocks share is kept between them, as far as 256 MiB suffice.
    pub block_size: u64,
    /// Only this field of each record, values one behind the other; NULL, the default: whole elements. Copied.
    pub field: *const c_char,
    /// 1: begins anew behind the last row, and never ends. The block at the joint has the last rows and then the first. Default 0.
    pub cyclic: i32,
    /// 1: blocks come in the order of the dataset; 0, the default: as they are read.
    pub ordered: i32,
    /// 1: the rows behind the last full block come as a shorter one; 0, the default: they are left out. Of no meaning with cyclic.
    pub remainder: i32,
    /// 1: numbers are put into this machine's byte order; 0, the default: they are as in the file.
    pub native: i32,
}

// SAFETY: numbers and a pointer; four i32 fill 16 bytes; any bytes are valid.
unsafe impl SizedStruct for aq_block_queue_config {
    const NAME: &'static str = "aq_block_queue_config";
    const FIRST_SIZE: usize = 56;
    const DEFAULT: Self = Self {
        struct_size: 0,
        n_threads: 4,
        read_ahead: 0,
        block_size: 0,
        field: ptr::null(),
        cyclic: 0,
        ordered: 0,
        remainder: 0,
        native: 0,
    };
}

impl aq_block_queue_config {
    /// The core's configuration.
    ///
    /// # Safety
    /// `field` is NULL or a string.
    pub(super) unsafe fn config(&self) -> Result<StreamConfig> {
        if self.n_threads == 0 {
            return Err(Error::invalid("config: n_threads must be between 1 and 4096 (got 0)"));
        }
        // SAFETY: the caller's promise.
        let field = unsafe { text::optional(self.field, "config: field") }?;
        Ok(StreamConfig {
            threads: self.n_threads,
            read_ahead: Some(self.read_ahead).filter(|&n| n > 0),
            cyclic: sized::flag(self.cyclic, "config: cyclic")?,
            block_rows: Some(self.block_size).filter(|&n| n > 0),
            ordered: sized::flag(self.ordered, "config: ordered")?,
            field: field.map(str::to_owned),
            remainder: sized::flag(self.remainder, "config: remainder")?,
            native: sized::flag(self.native, "config: native")?,
        })
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
pub unsafe extern "C" fn aq_block_queue_config_init(
    config: *mut aq_block_queue_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// An HDF5 file, open to be streamed.
pub struct aq_streamer {
    _opaque: [u8; 0],
}

impl Opaque for aq_streamer {
    const NAME: &'static str = "aq_streamer";
    type Inner = Arc<File>;
}

/// Opens an HDF5 file. No lock is set on it.
///
/// @param path the file
/// @param config how; copied; NULL for the defaults
/// @param out receives the streamer; free it with aq_streamer_free()
/// @return AQ_OK; AQ_E_IO when the system refuses; AQ_E_FORMAT when it is no HDF5 file, or a damaged one; AQ_E_UNSUPPORTED in a build without the
///     feature "hdf5"
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_streamer_open(
    path: *const c_char,
    config: *const aq_streamer_config,
    out: *mut *mut aq_streamer,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a string by the caller's contract.
        let path = unsafe { text::path(path, "path") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let config = unsafe { sized::read_or_default(config, "config") }?;
        sized::reserved(config.reserved, "config")?;
        out.write(handle::new(File::open(path)?));
        Ok(Outcome::Done)
    })
}

/// Starts to stream a dataset. A streamer may have any number of queues, of the same and of different datasets; they live as long as they are not freed.
///
/// @param streamer the streamer
/// @param dataset the dataset's path in the file
/// @param config how; copied; NULL for the defaults
/// @param out receives the queue; free it with aq_block_queue_free()
/// @return AQ_OK; AQ_E_NOT_FOUND when there is no such dataset, or no such field; AQ_E_INVALID when a field of config is out of range, or the dataset is
///     empty; AQ_E_UNSUPPORTED when the dataset has a type, or a rank of 0, that cannot be streamed; AQ_E_NOMEM when there is no memory for the
///     blocks; AQ_E_FORMAT when the file is damaged; AQ_E_IO when no thread can be started
///
/// Threads: any, at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_streamer_get_queue(
    streamer: *const aq_streamer,
    dataset: *const c_char,
    config: *const aq_block_queue_config,
    out: *mut *mut aq_block_queue,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let streamer = unsafe { handle::borrow(streamer, "streamer") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a string by the caller's contract.
        let name = unsafe { text::required(dataset, "dataset") }?;
        // SAFETY: NULL or a struct of its struct_size, with a string or NULL, by the caller's contract.
        let config = unsafe { sized::read_or_default(config, "config")?.config() }?;
        let dataset = Dataset::open(&streamer, name)?;
        out.write(handle::new(QueueHandle::new(stream(&dataset, &config)?)?));
        Ok(Outcome::Done)
    })
}

/// Copies the rows behind the last full block, which a queue without `remainder` leaves out. It reads them in this thread.
///
/// @param streamer the streamer
/// @param dataset the dataset's path in the file
/// @param block_size rows of a block, at least 1: aq_block_queue_block_size() tells those of a queue
/// @param field only this field of each record; NULL: whole elements
/// @param buffer receives the rows, one behind the other, numbers as in the file; may be NULL when size is 0
/// @param size its bytes
/// @param needed receives the bytes of the rows, also when they do not fit; 0 when the blocks divide the dataset; may be NULL
/// @return AQ_OK; AQ_E_TRUNCATED when they do not fit, and nothing was written to buffer; AQ_E_NOT_FOUND when there is no such dataset or field;
///     AQ_E_INVALID when block_size is 0; AQ_E_UNSUPPORTED when the dataset has a type that cannot be streamed; AQ_E_FORMAT, AQ_E_IO when they cannot
///     be read, and anything may be in buffer
///
/// Threads: any, at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_streamer_get_remainder(
    streamer: *const aq_streamer,
    dataset: *const c_char,
    block_size: u64,
    field: *const c_char,
    buffer: *mut c_void,
    size: usize,
    needed: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let streamer = unsafe { handle::borrow(streamer, "streamer") }?;
        // SAFETY: NULL or strings by the caller's contract.
        let (name, field) = unsafe { (text::required(dataset, "dataset")?, text::optional(field, "field")?) };
        if buffer.is_null() && size > 0 {
            return Err(Error::invalid(format!("buffer must not be NULL when its size is {size}")));
        }
        // SAFETY: NULL or writable by the caller's contract.
        let needed = unsafe { Out::optional(needed, "needed") }?;
        let dataset = Dataset::open(&streamer, name)?;
        let mut remainder = Remainder::new(&dataset, block_size, field, false)?;
        let wanted = remainder.size()?;
        if let Some(needed) = needed {
            needed.write(wanted);
        }
        if size < wanted {
            let reason = format!("size must be at least {wanted}, the bytes of the rows (got {size})");
            return Err(Error::new(ErrorKind::Truncated, reason));
        }
        if wanted > 0 {
            // SAFETY: not NULL, and at least `wanted` bytes that may be written, by the caller's contract; zeroed first, as no caller must have done it.
            let to = unsafe {
                ptr::write_bytes(buffer.cast::<u8>(), 0, wanted);
                std::slice::from_raw_parts_mut(buffer.cast::<u8>(), wanted)
            };
            remainder.read(to)?;
        }
        Ok(Outcome::Done)
    })
}

/// Closes the file, once its queues are freed, too: they go on without the streamer.
///
/// @param streamer the streamer, or NULL, which does nothing
/// @return AQ_OK
///
/// Threads: no other call on this streamer may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_streamer_free(streamer: *mut aq_streamer) -> aq_status {
    // SAFETY: NULL or a live handle, not used again, by the caller's contract.
    guard(|| unsafe { handle::free(streamer, "streamer") })
}
