//! Futures
//!
//! The result of a request, which is there or will be. It is taken once: copied, looked at by a function, or held as a view; others are answered
//! AQ_E_STATE then. Whatever became of it, the future is freed with aq_future_free(), which gives the stage back when nobody took the result.

use std::ffi::c_void;

use parking_lot::Mutex;
use std::sync::Arc;

use super::array_view::{ViewOut, aq_array_view, with_view};
use super::dataset_reader::none;
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::pointer::{Out, slice_out};
use super::status::aq_status;
use super::wait::wait;
use crate::dataset::Future;
use crate::error::{Error, Result};

/// A future.
pub struct aq_future {
    _opaque: [u8; 0],
}

impl Opaque for aq_future {
    const NAME: &'static str = "aq_future";
    type Inner = FutureHandle;
}

/// What a handle owns: nothing, once the future is in a request pool.
pub struct FutureHandle(Mutex<Option<Arc<Future>>>);

impl FutureHandle {
    fn get(&self) -> Result<Arc<Future>> {
        let gone = || Error::state("future: it is being put into a request pool");
        self.0.lock().clone().ok_or_else(gone)
    }

    /// Takes the future out, if no other call is using it.
    pub fn take(&self) -> Result<Future> {
        let mut future = self.0.lock();
        let gone = || Error::state("future: it is in use by another call");
        let taken = future.take().ok_or_else(gone)?;
        Arc::try_unwrap(taken).map_err(|shared| {
            *future = Some(shared);
            gone()
        })
    }

    /// Puts it back.
    pub fn put_back(&self, taken: Future) {
        *self.0.lock() = Some(Arc::new(taken));
    }
}

impl aq_future {
    /// A new handle.
    pub fn handle(future: Future) -> *mut Self {
        handle::new(FutureHandle(Mutex::new(Some(Arc::new(future)))))
    }
}

/// Looks at a result where it is.
///
/// - called from: aq_future_get_direct(), on the thread that calls it, once
/// - may block: yes; nothing of the library waits for it but the stage
/// - may call: any function of this library, also on the same reader; not aq_future_free() on this future
/// - valid until: view, and what it points to, until the function returns; it need not, and cannot, be released
/// - on error: it has no way to say so but by `user`
pub type aq_result_fn = Option<unsafe extern "C" fn(view: *const aq_array_view, user: *mut c_void)>;

/// The shape of the result. It is known from the beginning.
///
/// @param future the future
/// @param shape receives ndim numbers; may be NULL when capacity is 0
/// @param capacity numbers that it has space for
/// @param ndim receives how many axes there are, also when they do not fit: 0 when every axis was selected by an index
/// @return AQ_OK; AQ_E_TRUNCATED when they do not fit, and nothing was written to shape
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_future_shape(
    future: *const aq_future,
    shape: *mut u64,
    capacity: usize,
    ndim: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let future = unsafe { handle::borrow(future, "future") }?.get()?;
        // SAFETY: NULL or writable, that many numbers, by the caller's contract.
        unsafe { slice_out(future.shape(), shape, capacity, ndim, "shape") }
    })
}

/// Bytes of the result. They are known from the beginning.
///
/// @param future the future
/// @param size receives them
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_future_size(future: *const aq_future, size: *mut usize) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let future = unsafe { handle::borrow(future, "future") }?.get()?;
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { Out::new(size, "size") }?.write(future.size());
        Ok(Outcome::Done)
    })
}

/// Waits for the result and copies it. The stage is free then.
///
/// @param future the future
/// @param timeout_ns how long to wait; see Waiting
/// @param out receives the items in C order; may be NULL when the result has no bytes
/// @param capacity its bytes, at least aq_future_size(): with less, nothing is taken
/// @return AQ_OK; AQ_EMPTY; AQ_TIMEOUT; AQ_STOPPED when the reader was stopped before it was read; AQ_E_INVALID when capacity is too small; AQ_E_STATE when the
///     result was taken before; AQ_E_FORMAT, AQ_E_TRUNCATED when the file is damaged where it was read: the message names the chunk; AQ_E_NOMEM; AQ_E_IO
///
/// Threads: any, at the same time: one gets it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_future_get(
    future: *mut aq_future,
    timeout_ns: i64,
    out: *mut c_void,
    capacity: usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let future = unsafe { handle::borrow(future, "future") }?.get()?;
        let (wait, size) = (wait(timeout_ns)?, future.size());
        if capacity < size {
            let rule = format!("capacity must be at least {size}, the bytes of the result");
            return Err(Error::invalid(format!("{rule} (got {capacity})")));
        }
        if size > 0 && out.is_null() {
            return Err(Error::invalid(format!("out must not be NULL when the result has {size} bytes")));
        }
        match future.take(wait) {
            Ok(result) => {
                if size > 0 {
                    // SAFETY: not NULL, and no less than `size` bytes, by the caller's contract; a stage is none of the caller's memory.
                    unsafe { out.cast::<u8>().copy_from_nonoverlapping(result.data().as_ptr(), size) };
                }
                Ok(Outcome::Done)
            }
            Err(reason) => none(reason),
        }
    })
}

/// Waits for the result and has a function look at it where it is. The stage is free when the function has returned.
///
/// @param future the future
/// @param timeout_ns how long to wait; see Waiting
/// @param function called with a view of the result: its `index` is 0
/// @param user what the function is called with; it stays the caller's
/// @return as aq_future_get()
///
/// Threads: any, at the same time: one gets it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_future_get_direct(
    future: *mut aq_future,
    timeout_ns: i64,
    function: aq_result_fn,
    user: *mut c_void,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let future = unsafe { handle::borrow(future, "future") }?.get()?;
        let function = function.ok_or_else(|| Error::invalid("function must not be NULL"))?;
        match future.take(wait(timeout_ns)?) {
            Ok(result) => {
                drop(future);
                // SAFETY: the function's contract; the view lives until it returns.
                with_view(&result, |view| unsafe { function(view, user) })?;
                Ok(Outcome::Done)
            }
            Err(reason) => none(reason),
        }
    })
}

/// Waits for the result and holds it where it is, until aq_array_view_release(), which frees the stage. The future may be freed before.
///
/// @param future the future
/// @param timeout_ns how long to wait; see Waiting
/// @param view receives the result, in C order, of the dataset's or the field's type; its `index` is 0; initialised with aq_array_view_init(), and holding
///     nothing
/// @return as aq_future_get(); AQ_E_STATE also when the view holds something
///
/// Threads: any, at the same time: one gets it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_future_acquire(
    future: *mut aq_future,
    timeout_ns: i64,
    view: *mut aq_array_view,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let future = unsafe { handle::borrow(future, "future") }?.get()?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let view = unsafe { ViewOut::new(view) }?;
        match future.take(wait(timeout_ns)?) {
            Ok(result) => view.result(result),
            Err(reason) => none(reason),
        }
    })
}

/// Frees a future. A result that nobody took is forgotten, and its stage free as soon as nobody writes it; one that was not begun is not read.
///
/// @param future the future, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is no future, or freed already as far as that can be seen
///
/// Threads: no other call on this future may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_future_free(future: *mut aq_future) -> aq_status {
    // SAFETY: NULL or a live handle by the caller's contract.
    guard(|| unsafe { handle::free(future, "future") })
}
