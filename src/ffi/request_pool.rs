//! Request pools
//!
//! Futures in the order in which they were put in: one thread asks, another takes the results in the same order, and need not know what was asked for.
//!
//! ```c
//! // one thread
//! for (uint64_t row = 0; row < rows; row++) {
//!     aq_selection_slice(selection, 0, row, row + 1, 1);
//!     check(aq_reader_request_pooled(reader, dataset, selection, stages, AQ_WAIT_FOREVER, &future));
//!     check(aq_request_pool_add(requests, future));
//! }
//! aq_request_pool_close(requests);
//!
//! // the other
//! while (aq_request_pool_next(requests, AQ_WAIT_FOREVER, &future) == AQ_OK) {
//!     check(aq_future_get(future, AQ_WAIT_FOREVER, row, sizeof row));
//!     aq_future_free(future);
//! }
//! ```

use std::ffi::c_int;
use std::os::fd::AsRawFd;

use super::future::aq_future;
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::pointer::Out;
use super::status::aq_status;
use super::wait::wait;
use crate::dataset::RequestPool;
use crate::ring::GetError;

/// A request pool.
pub struct aq_request_pool {
    _opaque: [u8; 0],
}

impl Opaque for aq_request_pool {
    const NAME: &'static str = "aq_request_pool";
    type Inner = RequestPool;
}

/// Makes an empty pool.
///
/// @param out receives the pool; free it with aq_request_pool_free()
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_request_pool_new(out: *mut *mut aq_request_pool) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        out.write(handle::new(RequestPool::new()));
        Ok(Outcome::Done)
    })
}

/// Puts a future behind those that are there. A pool has space for any number: the stages are what limits them.
///
/// @param pool the pool
/// @param future the future; on AQ_OK it belongs to the pool, on any other status to the caller still
/// @return AQ_OK; AQ_STOPPED when the pool is closed; AQ_E_STATE when another call uses the future
///
/// Threads: any, at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_request_pool_add(
    pool: *mut aq_request_pool,
    future: *mut aq_future,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let pool = unsafe { handle::borrow(pool, "pool") }?;
        {
            // SAFETY: as above.
            let handle = unsafe { handle::borrow(future, "future") }?;
            if let Err(kept) = pool.add(handle.take()?) {
                handle.put_back(kept);
                return Ok(Outcome::Stopped);
            }
        }
        // SAFETY: as above; the pool has what was in it.
        unsafe { handle::free(future, "future") }
    })
}

/// Takes the first future, whether its result is there or not.
///
/// @param pool the pool
/// @param timeout_ns how long to wait for one to be put in; see Waiting
/// @param future receives the future; free it with aq_future_free()
/// @return AQ_OK; AQ_EMPTY; AQ_TIMEOUT; AQ_STOPPED when the pool is closed, and empty
///
/// Threads: any, at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_request_pool_next(
    pool: *mut aq_request_pool,
    timeout_ns: i64,
    future: *mut *mut aq_future,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let pool = unsafe { handle::borrow(pool, "pool") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(future, "future") }?;
        match pool.next(wait(timeout_ns)?) {
            Ok(next) => {
                out.write(aq_future::handle(next));
                Ok(Outcome::Done)
            }
            Err(GetError::Empty) => Ok(Outcome::Empty),
            Err(GetError::TimedOut) => Ok(Outcome::TimedOut),
            Err(GetError::Stopped) => Ok(Outcome::Stopped),
        }
    })
}

/// A descriptor to wait with poll() or epoll: readable while the result of the first future is there (or there will be none), so that neither
/// aq_request_pool_next() nor aq_future_get() with timeout 0 would find nothing; and when the pool is closed, and empty. Nothing else may be done with it.
///
/// @param pool the pool, which owns the descriptor
/// @param fd receives it, valid until the pool is freed
/// @return AQ_OK; AQ_E_IO when there are too many open files
///
/// Threads: any, at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_request_pool_fd(pool: *mut aq_request_pool, fd: *mut c_int) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let pool = unsafe { handle::borrow(pool, "pool") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(fd, "fd") }?;
        out.write(pool.fd()?.as_raw_fd());
        Ok(Outcome::Done)
    })
}

/// Lets nothing be put in any more. What is there is delivered, then takers are answered AQ_STOPPED.
///
/// @param pool the pool
/// @return AQ_OK
///
/// Threads: any, at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_request_pool_close(pool: *mut aq_request_pool) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { handle::borrow(pool, "pool") }?.close();
        Ok(Outcome::Done)
    })
}

/// Frees a pool, and the futures that are in it.
///
/// @param pool the pool, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is no pool, or freed already as far as that can be seen
///
/// Threads: no other call on this pool may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_request_pool_free(pool: *mut aq_request_pool) -> aq_status {
    // SAFETY: NULL or a live handle by the caller's contract.
    guard(|| unsafe { handle::free(pool, "pool") })
}
