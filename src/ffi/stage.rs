//! Stages
//!
//! The memory that a reader reads results into. A stage serves one request at a time, from the request until its result is given back: copied
//! (aq_future_get()), looked at (aq_future_get_direct()), released (aq_array_view_release()), or given up (aq_future_free()). All stages together are what
//! requests can take. A stage may be used with any reader and dataset: only its size matters.

use super::dataset::aq_dataset;
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::pointer::{Out, slice};
use super::status::aq_status;
use crate::dataset::{Stage, StagePool};
use crate::error::{Error, Result};

/// A stage.
pub struct aq_stage {
    _opaque: [u8; 0],
}

impl Opaque for aq_stage {
    const NAME: &'static str = "aq_stage";
    type Inner = Stage;
}

/// Several stages of the same size.
pub struct aq_stage_pool {
    _opaque: [u8; 0],
}

impl Opaque for aq_stage_pool {
    const NAME: &'static str = "aq_stage_pool";
    type Inner = StagePool;
}

/// Bytes of so many elements; axes that are missing, or -1, are those of the dataset.
///
/// # Safety
/// `dataset` is NULL or a live handle; `shape` is NULL or has `ndim` numbers.
unsafe fn bytes(dataset: *const aq_dataset, shape: *const i64, ndim: usize) -> Result<usize> {
    // SAFETY: the caller's promise.
    let dataset = unsafe { handle::borrow(dataset, "dataset") }?.get();
    // SAFETY: the caller's promise.
    let shape = unsafe { slice(shape, ndim, "shape") }?;
    let all = dataset.shape();
    if shape.len() > all.len() {
        let rule = format!("ndim must be at most {}, the axes of the dataset", all.len());
        return Err(Error::invalid(format!("{rule} (got {ndim})")));
    }
    let mut size = dataset.dtype().size as u64;
    for (axis, &all) in all.iter().enumerate() {
        let n = match shape.get(axis) {
            None | Some(-1) => all,
            Some(&n) => u64::try_from(n)
                .map_err(|_| Error::invalid(format!("shape[{axis}] must be -1 or not negative (got {n})")))?,
        };
        size = size.saturating_mul(n);
    }
    let fits = usize::try_from(size).ok().filter(|&size| size <= isize::MAX as usize);
    fits.ok_or_else(|| Error::invalid(format!("a stage of shape {shape:?} is larger than memory can be")))
}

/// Makes a stage that has space for so many elements of a dataset.
///
/// @param dataset the dataset, of which the size of an element is taken, and what shape does not say
/// @param shape elements along each axis; -1: as many as the dataset has now; copied; may be NULL when ndim is 0
/// @param ndim numbers in it, no more than the dataset has axes; those that are missing are as -1
/// @param out receives the stage; free it with aq_stage_free()
/// @return AQ_OK; AQ_E_INVALID when shape is impossible; AQ_E_NOMEM
///
/// Threads: any.
///
/// ```c
/// const int64_t rows = 10;
/// check(aq_stage_new(dataset, &rows, 1, &stage));    // 10 rows
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stage_new(
    dataset: *const aq_dataset,
    shape: *const i64,
    ndim: usize,
    out: *mut *mut aq_stage,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a live handle, and that many numbers, by the caller's contract.
        out.write(handle::new(Stage::new(unsafe { bytes(dataset, shape, ndim) }?)?));
        Ok(Outcome::Done)
    })
}

/// Bytes of a stage: no result may have more.
///
/// @param stage the stage
/// @param size receives them
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stage_size(stage: *const aq_stage, size: *mut usize) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stage = unsafe { handle::borrow(stage, "stage") }?;
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { Out::new(size, "size") }?.write(stage.size());
        Ok(Outcome::Done)
    })
}

/// Frees a stage. A request that has it keeps its memory until its result is given back.
///
/// @param stage the stage, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is no stage, or freed already as far as that can be seen
///
/// Threads: no other call on this stage may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stage_free(stage: *mut aq_stage) -> aq_status {
    // SAFETY: NULL or a live handle by the caller's contract.
    guard(|| unsafe { handle::free(stage, "stage") })
}

/// Makes several stages of the same size; aq_reader_request_pooled() takes one that is free.
///
/// @param dataset as of aq_stage_new()
/// @param shape of each stage, as of aq_stage_new()
/// @param ndim as of aq_stage_new()
/// @param count how many stages, at least 1
/// @param out receives the pool; free it with aq_stage_pool_free()
/// @return AQ_OK; AQ_E_INVALID when shape or count are impossible; AQ_E_NOMEM
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stage_pool_new(
    dataset: *const aq_dataset,
    shape: *const i64,
    ndim: usize,
    count: usize,
    out: *mut *mut aq_stage_pool,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a live handle, and that many numbers, by the caller's contract.
        out.write(handle::new(StagePool::new(unsafe { bytes(dataset, shape, ndim) }?, count)?));
        Ok(Outcome::Done)
    })
}

/// How many stages of a pool no request has now.
///
/// @param pool the pool
/// @param count receives it
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stage_pool_free_count(
    pool: *const aq_stage_pool,
    count: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let pool = unsafe { handle::borrow(pool, "pool") }?;
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { Out::new(count, "count") }?.write(pool.free());
        Ok(Outcome::Done)
    })
}

/// Frees a pool. Requests that have stages of it keep these until their results are given back.
///
/// @param pool the pool, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is no pool, or freed already as far as that can be seen
///
/// Threads: no other call on this pool may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_stage_pool_free(pool: *mut aq_stage_pool) -> aq_status {
    // SAFETY: NULL or a live handle by the caller's contract.
    guard(|| unsafe { handle::free(pool, "pool") })
}
