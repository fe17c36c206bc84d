//! Memory pools
//!
//! A pool is an allocator that keeps what is released and gives it out again. What is expensive about large memory is not to get it but to
//! touch it for the first time, page by page: a pool pays that once. Its buffers have one size, so it suits streams whose heaps are all of
//! about the same size. The pool of chunks needs none: chunks circulate by themselves.
//!
//! ```c
//! aq_memory_pool_config config;
//! aq_memory_pool_config_init(&config, sizeof config);
//! config.lower = 1 << 20;                        // heaps of 1 to 2 MiB
//! config.upper = 2 << 20;
//! config.initial = 16;
//! config.max_free = 32;
//! config.low_water = 4;                          // with fewer, `threads` makes new ones
//! aq_numa_allocator_new(0, 0, 1, &base);         // huge pages of NUMA node 0; or NULL for the system's heap
//! aq_memory_pool_new(&config, threads, base, &pool);
//! stream_config.memory_allocator = pool;         // before aq_recv_stream_new()
//! ```

use super::guard::{Outcome, guard};
use super::handle;
use super::memory::{AllocatorHandle, allocator_or_default, aq_allocator, new_pool_handle};
use super::pointer::Out;
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::thread_pool::aq_thread_pool;
use crate::error::{Error, Result};
use crate::memory::{MemoryPool, PoolConfig};

/// How a pool is made. Initialise it with aq_memory_pool_config_init(), then set `upper` and `max_free` at least.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_memory_pool_config {
    /// Set by aq_memory_pool_config_init().
    pub struct_size: usize,
    /// Bytes: smaller allocations go to the base allocator. Default 1.
    pub lower: usize,
    /// Bytes: larger allocations go to the base allocator, and every buffer of the pool is of this size. At least 1 and `lower`; the
    /// default of 0 must be replaced.
    pub upper: usize,
    /// The most unused buffers that are kept; others are released when they come back. At least 1; the default of 0 must be replaced.
    pub max_free: usize,
    /// Unused buffers at the beginning and after a refill; at most `max_free`. Default 0.
    pub initial: usize,
    /// When fewer unused buffers are left, the thread pool makes new ones until there are `initial`; at most that. Default 0: never.
    pub low_water: usize,
    /// 1: log a warning, at most once per second, when a buffer is wanted and the pool has none; 0: don't. Default 1.
    pub warn_on_empty: i32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: integers without padding; any bytes are valid.
unsafe impl SizedStruct for aq_memory_pool_config {
    const NAME: &'static str = "aq_memory_pool_config";
    const FIRST_SIZE: usize = 56;
    const DEFAULT: Self = Self {
        struct_size: 0,
        lower: 1,
        upper: 0,
        max_free: 0,
        initial: 0,
        low_water: 0,
        warn_on_empty: 1,
        reserved: 0,
    };
}

/// What became of a pool's buffers, all at one moment. Initialise it with aq_memory_pool_stats_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_memory_pool_stats {
    /// Set by aq_memory_pool_stats_init().
    pub struct_size: usize,
    /// Unused buffers now.
    pub available: u64,
    /// Buffers in use now.
    pub in_use: u64,
    /// Allocations that got a buffer of the pool.
    pub reused: u64,
    /// Allocations for which there was none, so that the base allocator had to make one.
    pub empty: u64,
    /// Allocations smaller than `lower` or larger than `upper`, which the base allocator served.
    pub other_sizes: u64,
    /// Buffers made in the background.
    pub refilled: u64,
    /// Buffers that came back when there were `max_free` already, and were released.
    pub released: u64,
    /// Buffers that the base allocator could not make.
    pub failed: u64,
}

// SAFETY: a usize and u64s without padding; any bytes are valid.
unsafe impl SizedStruct for aq_memory_pool_stats {
    const NAME: &'static str = "aq_memory_pool_stats";
    const FIRST_SIZE: usize = 72;
    const DEFAULT: Self = Self {
        struct_size: 0,
        available: 0,
        in_use: 0,
        reused: 0,
        empty: 0,
        other_sizes: 0,
        refilled: 0,
        released: 0,
        failed: 0,
    };
}

fn pool_of(allocator: &AllocatorHandle) -> Result<&MemoryPool> {
    allocator.pool.as_deref().ok_or_else(|| Error::invalid("pool: an allocator, but not a memory pool"))
}

/// Writes the defaults.
///
/// @param config the struct
/// @param struct_size sizeof *config
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_memory_pool_config_init(
    config: *mut aq_memory_pool_config,
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
pub unsafe extern "C" fn aq_memory_pool_stats_init(
    stats: *mut aq_memory_pool_stats,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(stats, struct_size, "stats") })
}

/// Makes a memory pool, and its `initial` buffers.
///
/// Memory from a pool may outlive it: it is then released to the base allocator.
///
/// @param config its configuration; copied
/// @param thread_pool whose threads refill it, and which lives as long as the pool then; NULL where `low_water` is 0
/// @param base where its memory comes from, and which lives as long as that memory; NULL for the system's heap
/// @param out receives the pool, an allocator like others; free it with aq_allocator_free()
/// @return AQ_OK; AQ_E_INVALID when a field of config is out of range; AQ_E_NOMEM when base cannot make the initial buffers;
///     AQ_E_STATE when the thread pool has been stopped
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_memory_pool_new(
    config: *const aq_memory_pool_config,
    thread_pool: *mut aq_thread_pool,
    base: *const aq_allocator,
    out: *mut *mut aq_allocator,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let config = unsafe { sized::read(config, "config") }?;
        sized::reserved(config.reserved, "config: reserved")?;
        let pool_config = PoolConfig {
            lower: config.lower,
            upper: config.upper,
            max_free: config.max_free,
            initial: config.initial,
            low_water: config.low_water,
            warn_on_empty: sized::flag(config.warn_on_empty, "config: warn_on_empty")?,
        };
        let threads = if thread_pool.is_null() {
            None
        } else {
            // SAFETY: a live handle by the caller's contract.
            Some(unsafe { handle::borrow(thread_pool, "thread_pool") }?)
        };
        // SAFETY: NULL or a live handle by the caller's contract.
        let base = unsafe { allocator_or_default(base, "base") }?;
        out.write(new_pool_handle(MemoryPool::new(pool_config, base, threads.as_deref())?));
        Ok(Outcome::Done)
    })
}

/// What a pool was made with; `warn_on_empty` as it is now.
///
/// @param pool the pool
/// @param config receives it; initialised with aq_memory_pool_config_init()
/// @return AQ_OK; AQ_E_INVALID when the allocator is not a pool
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_memory_pool_get_config(
    pool: *const aq_allocator,
    config: *mut aq_memory_pool_config,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let pool = unsafe { handle::borrow(pool, "pool") }?;
        let now = pool_of(&pool)?.config();
        let value = aq_memory_pool_config {
            lower: now.lower,
            upper: now.upper,
            max_free: now.max_free,
            initial: now.initial,
            low_water: now.low_water,
            warn_on_empty: now.warn_on_empty.into(),
            ..SizedStruct::DEFAULT
        };
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(config, &value, "config") }
    })
}

/// Sets whether a warning is logged when a buffer is wanted and the pool has none.
///
/// @param pool the pool
/// @param warn 1 or 0
/// @return AQ_OK; AQ_E_INVALID when the allocator is not a pool
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_memory_pool_set_warn_on_empty(pool: *mut aq_allocator, warn: i32) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let pool = unsafe { handle::borrow(pool, "pool") }?;
        pool_of(&pool)?.set_warn_on_empty(sized::flag(warn, "warn")?);
        Ok(Outcome::Done)
    })
}

/// What became of a pool's buffers up to now.
///
/// @param pool the pool
/// @param stats receives the counts; initialised with aq_memory_pool_stats_init()
/// @return AQ_OK; AQ_E_INVALID when the allocator is not a pool
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_memory_pool_get_stats(
    pool: *const aq_allocator,
    stats: *mut aq_memory_pool_stats,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let pool = unsafe { handle::borrow(pool, "pool") }?;
        let now = pool_of(&pool)?.stats();
        let value = aq_memory_pool_stats {
            struct_size: 0,
            available: now.available,
            in_use: now.in_use,
            reused: now.reused,
            empty: now.empty,
            other_sizes: now.other_sizes,
            refilled: now.refilled,
            released: now.released,
            failed: now.failed,
        };
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(stats, &value, "stats") }
    })
}
