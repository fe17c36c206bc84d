//! Thread pools
//!
//! A thread pool is a fixed number of worker threads that receive packets and run background work. Each stream lives on
//! one worker of its pool; a worker serves any number of streams. Streams keep their pool alive: it may be freed first.

use std::sync::Arc;

use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::pointer::{self, Out};
use super::status::aq_status;
use crate::error::{Error, Result};
use crate::runtime::ThreadPool;
use crate::sys::affinity;

/// Worker threads for streams.
pub struct aq_thread_pool {
    _opaque: [u8; 0],
}

impl Opaque for aq_thread_pool {
    const NAME: &'static str = "aq_thread_pool";
    type Inner = Arc<ThreadPool>;
}

fn core_number(core: i32, name: &str) -> Result<usize> {
    usize::try_from(core).map_err(|_| Error::invalid(format!("{name} must be at least 0 (got {core})")))
}

/// Starts a pool of worker threads.
///
/// @param threads how many, 1 .. 4096; one is enough for several Gb/s, and a stream never uses more than one
/// @param cores cores to bind the threads to, as the kernel numbers them; thread i gets cores[i % n_cores]. NULL when
///     n_cores is 0
/// @param n_cores how many cores there are in the list; 0 leaves the threads unbound
/// @param out receives the pool; free it with aq_thread_pool_free()
/// @return AQ_OK; AQ_E_INVALID when a number is out of range or a core does not exist; AQ_E_IO when the system has no
///     more threads or descriptors
///
/// Threads: any.
///
/// ```c
/// int32_t cores[] = {2};
/// aq_thread_pool *pool;
/// if (aq_thread_pool_new(1, cores, 1, &pool) != AQ_OK)
///     fprintf(stderr, "%s\n", aq_last_error());
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_thread_pool_new(
    threads: usize,
    cores: *const i32,
    n_cores: usize,
    out: *mut *mut aq_thread_pool,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or n_cores numbers by the caller's contract.
        let cores = unsafe { pointer::slice(cores, n_cores, "cores") }?;
        let cores = cores
            .iter()
            .enumerate()
            .map(|(i, &core)| core_number(core, &format!("cores[{i}]")))
            .collect::<Result<Vec<_>>>()?;
        out.write(handle::new(Arc::new(ThreadPool::new(threads, &cores)?)));
        Ok(Outcome::Done)
    })
}

/// Stops the pool: its streams end (AQ_END_POOL_STOPPED), and its threads with them. Waits until that is done.
///
/// @param pool the pool
/// @return AQ_OK, also when it was stopped already; AQ_E_STATE from one of the pool's own callbacks
///
/// Threads: any but the pool's own, at the same time as all functions of the pool but aq_thread_pool_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_thread_pool_stop(pool: *mut aq_thread_pool) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { handle::borrow(pool, "pool") }?.stop()?;
        Ok(Outcome::Done)
    })
}

/// Lets go of the pool. Its threads go on as long as there is a stream on them; after the last one they end.
///
/// @param pool the pool, or NULL, which does nothing
/// @return AQ_OK
///
/// Threads: no other call on this pool may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_thread_pool_free(pool: *mut aq_thread_pool) -> aq_status {
    // SAFETY: NULL or a live handle, not used again, by the caller's contract.
    guard(|| unsafe { handle::free(pool, "pool") })
}

/// Binds the calling thread to one core.
///
/// @param core the core, as the kernel numbers them
/// @return AQ_OK; AQ_E_INVALID when it is negative; AQ_E_IO when the system refuses, mostly as there is no such core
///
/// Threads: any; it concerns the calling thread.
#[unsafe(no_mangle)]
pub extern "C" fn aq_thread_set_affinity(core: i32) -> aq_status {
    guard(|| {
        affinity::pin_current_thread(core_number(core, "core")?)
            .map_err(|e| Error::io(format_args!("sched_setaffinity to core {core}"), &e))?;
        Ok(Outcome::Done)
    })
}
