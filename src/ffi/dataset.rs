//! Datasets
//!
//! A dataset of an HDF5 file, of aq_reader_get_dataset(): an array of rows, which are its elements along the first axis. What is told of it is what was in
//! the file when it was opened, or when aq_dataset_refresh() was called last.
//!
//! Its bytes are read by the library's own threads, without libhdf5, where it can: aq_dataset_path_kind() tells.

use std::ffi::c_char;
use std::sync::Arc;

use parking_lot::Mutex;

use super::element_type::{ElementType, aq_element_type};
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::pointer::{Out, slice_out, write_whole_text};
use super::status::aq_status;
use crate::dataset::{Dataset, PathKind};
use crate::error::{Error, Result};

/// Rows are read from where they are in the file.
pub const AQ_PATH_CONTIGUOUS: i32 = 0;
/// Chunks are read and unpacked by this library, in parallel.
pub const AQ_PATH_CHUNKS: i32 = 1;
/// Chunks are unpacked by this library, but looked up and read by libhdf5, one at a time.
pub const AQ_PATH_LIBRARY_CHUNKS: i32 = 2;
/// libhdf5 reads, one request at a time: aq_dataset_path_reason() says why.
pub const AQ_PATH_LIBRARY: i32 = 3;

/// A dataset of an open file.
pub struct aq_dataset {
    _opaque: [u8; 0],
}

impl Opaque for aq_dataset {
    const NAME: &'static str = "aq_dataset";
    type Inner = DatasetHandle;
}

/// What a handle owns.
pub struct DatasetHandle {
    /// As it was when it was refreshed last.
    dataset: Mutex<Arc<Dataset>>,
    /// Held by who refreshes it, who reads the file meanwhile.
    refreshing: Mutex<()>,
    element_type: ElementType,
}

impl DatasetHandle {
    /// A handle's content.
    pub fn new(dataset: Arc<Dataset>) -> Result<Self> {
        let element_type = ElementType::new(dataset.dtype())?;
        Ok(Self { dataset: Mutex::new(dataset), refreshing: Mutex::default(), element_type })
    }

    /// As it was when it was refreshed last.
    pub fn get(&self) -> Arc<Dataset> {
        self.dataset.lock().clone()
    }
}

/// Elements along each axis: rows first.
///
/// @param dataset the dataset
/// @param shape receives ndim numbers; may be NULL when capacity is 0
/// @param capacity numbers that it has space for
/// @param ndim receives how many axes there are, at least 1, also when they do not fit
/// @return AQ_OK; AQ_E_TRUNCATED when they do not fit, and nothing was written to shape
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_shape(
    dataset: *const aq_dataset,
    shape: *mut u64,
    capacity: usize,
    ndim: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let dataset = unsafe { handle::borrow(dataset, "dataset") }?.get();
        // SAFETY: NULL or writable, that many numbers, by the caller's contract.
        unsafe { slice_out(dataset.shape(), shape, capacity, ndim, "shape") }
    })
}

/// Elements that it may ever have along each axis; UINT64_MAX: any number.
///
/// @param dataset the dataset
/// @param shape receives ndim numbers; may be NULL when capacity is 0
/// @param capacity numbers that it has space for
/// @param ndim receives how many axes there are, also when they do not fit
/// @return AQ_OK; AQ_E_TRUNCATED when they do not fit, and nothing was written to shape
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_max_shape(
    dataset: *const aq_dataset,
    shape: *mut u64,
    capacity: usize,
    ndim: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let dataset = unsafe { handle::borrow(dataset, "dataset") }?.get();
        let most: Vec<u64> = dataset.max_shape().iter().map(|n| n.unwrap_or(u64::MAX)).collect();
        // SAFETY: NULL or writable, that many numbers, by the caller's contract.
        unsafe { slice_out(&most, shape, capacity, ndim, "shape") }
    })
}

/// Elements of a chunk along each axis.
///
/// @param dataset the dataset
/// @param shape receives ndim numbers; may be NULL when capacity is 0
/// @param capacity numbers that it has space for
/// @param ndim receives how many axes there are, also when they do not fit; 0 when it is not read by chunks
/// @return AQ_OK; AQ_E_TRUNCATED when they do not fit, and nothing was written to shape
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_chunk_shape(
    dataset: *const aq_dataset,
    shape: *mut u64,
    capacity: usize,
    ndim: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let dataset = unsafe { handle::borrow(dataset, "dataset") }?.get();
        // SAFETY: NULL or writable, that many numbers, by the caller's contract.
        unsafe { slice_out(dataset.chunk_shape().unwrap_or(&[]), shape, capacity, ndim, "shape") }
    })
}

/// What an element is, in the file.
///
/// @param dataset the dataset
/// @param element receives it; initialised with aq_element_type_init()
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_dtype(
    dataset: *const aq_dataset,
    element: *mut aq_element_type,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let dataset = unsafe { handle::borrow(dataset, "dataset") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { dataset.element_type.write(element) }
    })
}

/// How many fields its elements have: 0, when they are no records.
///
/// @param dataset the dataset
/// @param count receives it
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_field_count(dataset: *const aq_dataset, count: *mut usize) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let dataset = unsafe { handle::borrow(dataset, "dataset") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(count, "count") }?;
        out.write(dataset.get().dtype().fields().len());
        Ok(Outcome::Done)
    })
}

/// A field of its records.
///
/// @param dataset the dataset
/// @param index its number, from 0 on, in the order of the file
/// @param field receives its name, its place and what it is; initialised with aq_element_type_init()
/// @return AQ_OK; AQ_E_NOT_FOUND when there are fewer fields
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_field(
    dataset: *const aq_dataset,
    index: usize,
    field: *mut aq_element_type,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let dataset = unsafe { handle::borrow(dataset, "dataset") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { dataset.element_type.write_field(index, field) }
    })
}

/// By which way it is read.
///
/// @param dataset the dataset
/// @param kind receives one of AQ_PATH_*
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_path_kind(dataset: *const aq_dataset, kind: *mut i32) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let dataset = unsafe { handle::borrow(dataset, "dataset") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(kind, "kind") }?;
        out.write(match dataset.get().path_kind() {
            PathKind::Contiguous => AQ_PATH_CONTIGUOUS,
            PathKind::Chunks => AQ_PATH_CHUNKS,
            PathKind::LibraryChunks => AQ_PATH_LIBRARY_CHUNKS,
            PathKind::Library => AQ_PATH_LIBRARY,
        });
        Ok(Outcome::Done)
    })
}

/// Why it is not read by a faster way, for people; empty where there is none.
///
/// @param dataset the dataset
/// @param buffer receives the text and its NUL; may be NULL when size is 0
/// @param size its bytes
/// @param needed receives how many bytes the text and its NUL take, also when they do not fit; may be NULL
/// @return AQ_OK; AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_path_reason(
    dataset: *const aq_dataset,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let dataset = unsafe { handle::borrow(dataset, "dataset") }?.get();
        // SAFETY: NULL or writable, that many bytes, by the caller's contract.
        unsafe { write_whole_text(dataset.path_reason(), buffer, size, needed) }
    })
}

/// Looks at the file again: the dataset may have grown, and its chunks may be elsewhere. Requests from then on are of what is there now; those before are not
/// changed. When it fails, everything stays as it was.
///
/// Rows that another program appends to a file are there when it has flushed them: a file that is written with SWMR (H5Fstart_swmr_write()) can be followed
/// at any time; of others, what is read while it is written may be of before, or an error.
///
/// @param dataset the dataset
/// @return AQ_OK; AQ_E_NOT_FOUND when it was deleted; AQ_E_FORMAT when the file is damaged, or not consistent at this moment; AQ_E_STATE when there is another
///     file of that name now, or another dataset, of another type; AQ_E_IO
///
/// Threads: any; one refreshes at a time, the others wait for it.
///
/// ```c
/// while (running) {                              // rows of a file that grows
///     check(aq_dataset_refresh(dataset));
///     check(aq_dataset_shape(dataset, shape, MAX_DIMS, &ndim));
///     if (shape[0] > rows) { ... request rows to shape[0] ... }
///     else { ... wait a moment ... }
/// }
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_refresh(dataset: *mut aq_dataset) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let handle = unsafe { handle::borrow(dataset, "dataset") }?;
        let _refreshing = handle.refreshing.lock();
        let old = handle.get();
        let new = old.refresh()?;
        if new.dtype() != old.dtype() || new.shape().len() != old.shape().len() {
            return Err(Error::state(format!("dataset {} is another one now, of another type", old.name())));
        }
        *handle.dataset.lock() = new;
        Ok(Outcome::Done)
    })
}

/// Frees a dataset's handle. Requests that were made of it go on.
///
/// @param dataset the dataset, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is no dataset, or freed already as far as that can be seen
///
/// Threads: no other call on this dataset may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_dataset_free(dataset: *mut aq_dataset) -> aq_status {
    // SAFETY: NULL or a live handle by the caller's contract.
    guard(|| unsafe { handle::free(dataset, "dataset") })
}
