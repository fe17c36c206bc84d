//! Rows, one by one
//!
//! The rows of a dataset, one after the other, from a block queue of their own. Unlike a queue, it delivers the rows behind the last full block as well, whatever
//! `remainder` says; with `ordered` they are in the order of the dataset.
//!
//! ```c
//! const void *row;
//! while (aq_row_iter_next(rows, AQ_WAIT_FOREVER, &row, NULL, &number) == AQ_OK)
//!     use(number, row);
//! ```

use std::ffi::{c_char, c_void};
use std::ptr;

use parking_lot::Mutex;

use super::block_queue::nothing;
use super::element_type::{ElementType, aq_element_type};
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::pointer::Out;
use super::sized;
use super::status::aq_status;
use super::streamer::{aq_block_queue_config, aq_streamer};
use super::text;
use super::wait::wait;
use crate::dataset::{Dataset, RowError, RowIter, StreamConfig, stream};

/// Rows of a dataset, one after the other.
pub struct aq_row_iter {
    _opaque: [u8; 0],
}

impl Opaque for aq_row_iter {
    const NAME: &'static str = "aq_row_iter";
    type Inner = RowsHandle;
}

/// What a handle owns.
pub struct RowsHandle {
    rows: Mutex<RowIter>,
    element_type: ElementType,
}

/// Starts to read a dataset row by row. The iterator goes on without the streamer.
///
/// @param streamer the streamer
/// @param dataset the dataset's path in the file
/// @param config how its blocks are read; copied; NULL for the defaults
/// @param out receives the iterator; free it with aq_row_iter_free()
/// @return as aq_streamer_get_queue()
///
/// Threads: any, at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_row_iter_new(
    streamer: *const aq_streamer,
    dataset: *const c_char,
    config: *const aq_block_queue_config,
    out: *mut *mut aq_row_iter,
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
        let queue = stream(&dataset, &StreamConfig { remainder: true, ..config })?;
        let element_type = ElementType::new(queue.dtype())?;
        out.write(handle::new(RowsHandle { rows: Mutex::new(RowIter::new(queue)), element_type }));
        Ok(Outcome::Done)
    })
}

/// What an element of the rows is.
///
/// @param rows the iterator
/// @param element receives it; initialised with aq_element_type_init(); valid until aq_row_iter_free()
/// @return AQ_OK
///
/// Threads: any, at the same time as all functions of the iterator but aq_row_iter_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_row_iter_dtype(
    rows: *const aq_row_iter,
    element: *mut aq_element_type,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let rows = unsafe { handle::borrow(rows, "rows") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { rows.element_type.write(element) }
    })
}

/// The next row.
///
/// @param rows the iterator
/// @param timeout_ns how long to wait for it (see Waiting)
/// @param row receives where its bytes are, valid until the next call or aq_row_iter_free()
/// @param size receives how many they are; may be NULL
/// @param number receives its number in the dataset; may be NULL
/// @return AQ_OK; AQ_EMPTY, AQ_TIMEOUT when it is not read yet; AQ_STOPPED behind the last; an error when the rows of its block cannot be read: the next
///     call goes on behind them
///
/// Threads: one at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_row_iter_next(
    rows: *mut aq_row_iter,
    timeout_ns: i64,
    row: *mut *const c_void,
    size: *mut usize,
    number: *mut u64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let rows = unsafe { handle::borrow(rows, "rows") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let (out, size, at) = unsafe {
            (Out::new(row, "row")?, Out::optional(size, "size")?, Out::optional(number, "number")?)
        };
        let wait = wait(timeout_ns)?;
        let mut rows = rows.rows.lock();
        match rows.next(wait) {
            Ok((number, bytes)) => {
                out.write(ptr::from_ref(bytes).cast());
                if let Some(size) = size {
                    size.write(bytes.len());
                }
                if let Some(at) = at {
                    at.write(number);
                }
                Ok(Outcome::Done)
            }
            Err(RowError::None(reason)) => Ok(nothing(reason)),
            Err(RowError::Failed(error)) => Err(error),
        }
    })
}

/// Ends the reading, and frees the iterator.
///
/// @param rows the iterator, or NULL, which does nothing
/// @return AQ_OK
///
/// Threads: no other call on this iterator may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_row_iter_free(rows: *mut aq_row_iter) -> aq_status {
    // SAFETY: NULL or a live handle, not used again, by the caller's contract.
    guard(|| unsafe { handle::free(rows, "rows") })
}
