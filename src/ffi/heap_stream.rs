//! Streams of heaps
//!
//! A stream of heaps gives each heap memory of its own and hands it out through a ring (aq_recv_stream_new()) or to a
//! callback (aq_recv_stream_new_callback()). Readers, statistics, stop and free are those of every receiving stream.
//!
//! ```c
//! aq_heap *heap;
//! while (aq_recv_stream_get(stream, AQ_WAIT_FOREVER, &heap) == AQ_OK) {
//!     const uint8_t *data;
//!     size_t size;
//!     aq_heap_payload(heap, &data, &size);
//!     process(data, size);
//!     aq_heap_free(heap);
//! }
//! ```

use std::ffi::{c_int, c_void};

use super::callback::{Callback, aq_user_free_fn};
use super::guard::{Outcome, guard};
use super::handle;
use super::heap::{aq_heap, into_handle};
use super::pointer::Out;
use super::recv::{Kind, ReceivingStream, aq_recv_stream, aq_recv_stream_config, stream_config};
use super::ring::descriptor;
use super::sized::{self, SizedStruct, flag};
use super::status::aq_status;
use super::thread_pool::aq_thread_pool;
use super::wait::wait;
use crate::error::{Error, Result};
use crate::recv::heap::{Heap, HeapCallback, HeapCallbackStream, HeapRingStream, Overflow, RingConfig};
use crate::ring::GetError;

/// Readers pause until there is space in the ring; nothing is lost but what the source itself cannot hold.
pub const AQ_OVERFLOW_BLOCK: i32 = 0;
/// A heap that finds the ring full is dropped (overflow_newest).
pub const AQ_OVERFLOW_DROP_NEWEST: i32 = 1;
/// The heap that has been in the ring the longest is dropped (overflow_oldest_heaps).
pub const AQ_OVERFLOW_DROP_OLDEST: i32 = 2;

/// How a stream hands out its heaps. Fill it with aq_ring_config_init() first; it is copied when the stream is made.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_ring_config {
    /// Set by aq_ring_config_init().
    pub struct_size: usize,
    /// Heaps that fit into the ring: 1 .. 2^20; 4 by default. A stream with a callback has no ring.
    pub heaps: usize,
    /// 1 (default): incomplete heaps are dropped (they are counted, and logged). 0: they are handed out, too; see
    /// aq_heap_is_complete().
    pub contiguous_only: i32,
    /// 1: incomplete heaps tell which of their bytes were received: aq_heap_payload_range(). 0 (default): they do not.
    pub incomplete_keep_payload_ranges: i32,
    /// What to do when the ring is full: AQ_OVERFLOW_*; AQ_OVERFLOW_BLOCK by default.
    pub overflow: i32,
    /// Must be 0; anything else is AQ_E_VERSION.
    pub reserved: i32,
}

// SAFETY: integers; four i32 fill 16 bytes.
unsafe impl SizedStruct for aq_ring_config {
    const NAME: &'static str = "aq_ring_config";
    const FIRST_SIZE: usize = 32;
    const DEFAULT: Self = Self {
        struct_size: 0,
        heaps: 4,
        contiguous_only: 1,
        incomplete_keep_payload_ranges: 0,
        overflow: AQ_OVERFLOW_BLOCK,
        reserved: 0,
    };
}

/// The core's configuration.
///
/// # Safety
/// NULL, or a struct of its struct_size.
unsafe fn ring_config(config: *const aq_ring_config) -> Result<RingConfig> {
    // SAFETY: the caller's promise.
    let c = unsafe { sized::read_or_default(config, "ring_config") }?;
    sized::reserved(c.reserved, "ring_config: reserved")?;
    let config = RingConfig {
        heaps: c.heaps,
        contiguous_only: flag(c.contiguous_only, "contiguous_only")?,
        incomplete_keep_payload_ranges: flag(
            c.incomplete_keep_payload_ranges,
            "incomplete_keep_payload_ranges",
        )?,
        overflow: match c.overflow {
            AQ_OVERFLOW_BLOCK => Overflow::Block,
            AQ_OVERFLOW_DROP_NEWEST => Overflow::DropNewest,
            AQ_OVERFLOW_DROP_OLDEST => Overflow::DropOldest,
            other => {
                let rule = "overflow must be one of AQ_OVERFLOW_*";
                return Err(Error::invalid(format!("{rule} (got {other})")));
            }
        },
    };
    config.check()?;
    Ok(config)
}

/// Writes the defaults.
///
/// @param config the struct
/// @param struct_size sizeof *config
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_ring_config_init(config: *mut aq_ring_config, struct_size: usize) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// Makes a stream that puts its heaps on a ring of its own.
///
/// @param pool where it runs
/// @param config the stream's settings; NULL for the defaults
/// @param ring_config the ring's settings; NULL for the defaults
/// @param out receives the stream; free it with aq_recv_stream_free()
/// @return AQ_OK; AQ_E_INVALID when a setting is out of range, or the name of a statistic is empty or taken; AQ_E_VERSION;
///     AQ_E_NOMEM; AQ_E_STATE when the pool is stopped
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_new(
    pool: *mut aq_thread_pool,
    config: *const aq_recv_stream_config,
    ring_config: *const aq_ring_config,
    out: *mut *mut aq_recv_stream,
) -> aq_status {
    guard(|| {
        // First, for it takes over what the struct hands over.
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let config = unsafe { stream_config(config) }?;
        // SAFETY: NULL or a live handle by the caller's contract.
        let pool = unsafe { handle::borrow(pool, "pool") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let ring_config = unsafe { self::ring_config(ring_config) }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        let stream = HeapRingStream::new(&pool, config, ring_config)?;
        out.write(handle::new(ReceivingStream::new(Kind::HeapRing(stream))));
        Ok(Outcome::Done)
    })
}

/// Takes a heap.
///
/// @param heap the heap; it belongs to the callback, which frees it with aq_heap_free(), now or later, on any thread
/// @param batch_stats the batch's statistics, to add to, at the indices that aq_recv_stream_config_add_stat() gave. Those below
///     are the library's own: changing them breaks the ledger. Valid until it returns
/// @param user as passed to aq_recv_stream_new_callback()
///
/// - called from: the stream's worker thread, heap by heap
/// - may block: no; the stream receives nothing meanwhile, and neither do others on the same worker
/// - may call: functions that do not wait; not aq_recv_stream_stop() or _free(), which answer AQ_E_STATE
/// - valid until: the heap is the callback's
/// - on error: there is no way to report one; count it in a statistic of the program's own
pub type aq_heap_fn =
    Option<unsafe extern "C" fn(heap: *mut aq_heap, batch_stats: *mut u64, user: *mut c_void)>;

/// A heap callback written in C.
struct CHeapCallback(Callback<unsafe extern "C" fn(*mut aq_heap, *mut u64, *mut c_void)>);

impl HeapCallback for CHeapCallback {
    fn heap(&mut self, heap: Box<Heap>, stats: &mut [u64]) {
        let Callback { function, user } = &self.0;
        // SAFETY: the maker of the stream promised a function of this contract; the heap is the callback's from now on.
        unsafe { function(into_handle(heap), stats.as_mut_ptr(), user.pointer()) }
    }
}

/// Makes a stream that calls a function with each heap.
///
/// @param pool where it runs
/// @param config the stream's settings; NULL for the defaults
/// @param ring_config contiguous_only and incomplete_keep_payload_ranges; the rest has no meaning here. NULL for the defaults
/// @param heap_ready the function; required
/// @param user passed to it; belongs to the stream from now on, also on an error
/// @param user_free releases user, after the last call of heap_ready; or NULL
/// @param out receives the stream; free it with aq_recv_stream_free()
/// @return AQ_OK; AQ_E_INVALID when heap_ready is NULL, a setting is out of range, or the name of a statistic is empty or taken;
///     AQ_E_VERSION; AQ_E_NOMEM; AQ_E_STATE when the pool is stopped
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_new_callback(
    pool: *mut aq_thread_pool,
    config: *const aq_recv_stream_config,
    ring_config: *const aq_ring_config,
    heap_ready: aq_heap_fn,
    user: *mut c_void,
    user_free: aq_user_free_fn,
    out: *mut *mut aq_recv_stream,
) -> aq_status {
    guard(|| {
        // Both first, for they take over what belongs to the library from now on.
        // SAFETY: user_free may be called once with user, by the contract of callbacks.
        let callback = unsafe { Callback::new(heap_ready, user, user_free) };
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let config = unsafe { stream_config(config) }?;
        let callback = CHeapCallback(callback.required("heap_ready")?);
        // SAFETY: NULL or a live handle by the caller's contract.
        let pool = unsafe { handle::borrow(pool, "pool") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let ring_config = unsafe { self::ring_config(ring_config) }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        let stream = HeapCallbackStream::new(&pool, config, &ring_config, callback)?;
        out.write(handle::new(ReceivingStream::new(Kind::HeapCallback(stream))));
        Ok(Outcome::Done)
    })
}

fn heap_ring(stream: &ReceivingStream) -> Result<&HeapRingStream> {
    match &stream.kind {
        Kind::HeapRing(heaps) => Ok(heaps),
        _ => Err(Error::state("stream: it has no ring of heaps; only those of aq_recv_stream_new() have")),
    }
}

/// Takes the next heap.
///
/// @param stream a stream of heaps with a ring
/// @param timeout_ns how long to wait for one, in nanoseconds: AQ_WAIT_FOREVER, or 0 not to wait
/// @param heap receives the heap; free it with aq_heap_free()
/// @return AQ_OK; AQ_EMPTY (with timeout 0) or AQ_TIMEOUT when there is none; AQ_STOPPED when the stream has ended and all heaps
///     that it had have been taken; AQ_E_STATE when the stream is of another kind
///
/// Threads: any number at the same time, and at the same time as all functions of the stream but aq_recv_stream_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_get(
    stream: *mut aq_recv_stream,
    timeout_ns: i64,
    heap: *mut *mut aq_heap,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(heap, "heap") }?;
        Ok(match heap_ring(&stream)?.get(wait(timeout_ns)?) {
            Ok(heap) => {
                out.write(into_handle(heap));
                Outcome::Done
            }
            Err(GetError::Empty) => Outcome::Empty,
            Err(GetError::TimedOut) => Outcome::TimedOut,
            Err(GetError::Stopped) => Outcome::Stopped,
        })
    })
}

/// A file descriptor that is readable while aq_recv_stream_get() would not wait: there is a heap, or the stream has ended.
/// For poll, select or epoll; never read it, write to it or close it.
///
/// @param stream a stream of heaps with a ring
/// @param fd receives the descriptor, valid until the stream is freed
/// @return AQ_OK; AQ_E_IO when there are too many open files; AQ_E_STATE when the stream is of another kind
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_fd(stream: *const aq_recv_stream, fd: *mut c_int) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(fd, "fd") }?;
        out.write(descriptor("aq_recv_stream_fd", heap_ring(&stream)?.fd())?);
        Ok(Outcome::Done)
    })
}

/// How many heaps are in the ring. Others may change that before the caller looks at it.
///
/// @param stream a stream of heaps with a ring
/// @param size receives the number
/// @return AQ_OK; AQ_E_STATE when the stream is of another kind
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_ring_size(
    stream: *const aq_recv_stream,
    size: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { Out::new(size, "size") }?.write(heap_ring(&stream)?.ring_size());
        Ok(Outcome::Done)
    })
}

/// How many heaps fit into the ring.
///
/// @param stream a stream of heaps with a ring
/// @param capacity receives the number
/// @return AQ_OK; AQ_E_STATE when the stream is of another kind
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_ring_capacity(
    stream: *const aq_recv_stream,
    capacity: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { Out::new(capacity, "capacity") }?.write(heap_ring(&stream)?.ring_capacity());
        Ok(Outcome::Done)
    })
}

/// The ring's settings, as the stream was made with.
///
/// @param stream a stream of heaps with a ring
/// @param config a struct from aq_ring_config_init()
/// @return AQ_OK; AQ_E_INVALID when the struct was not initialised; AQ_E_STATE when the stream is of another kind
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_get_ring_config(
    stream: *const aq_recv_stream,
    config: *mut aq_ring_config,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        let c = heap_ring(&stream)?.ring_config();
        let value = aq_ring_config {
            struct_size: 0,
            heaps: c.heaps,
            contiguous_only: c.contiguous_only.into(),
            incomplete_keep_payload_ranges: c.incomplete_keep_payload_ranges.into(),
            overflow: match c.overflow {
                Overflow::Block => AQ_OVERFLOW_BLOCK,
                Overflow::DropNewest => AQ_OVERFLOW_DROP_NEWEST,
                Overflow::DropOldest => AQ_OVERFLOW_DROP_OLDEST,
            },
            reserved: 0,
        };
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(config, &value, "config") }
    })
}
