//! Chunks
//!
//! A chunk is memory for many heaps: `data` for payloads, `present` with one byte per heap (1 where it is complete), and
//! `extra` for what the place callback wants to add.
//!
//! A chunk belongs to whoever holds it. A program makes chunks once, gives them to a stream (aq_recv_stream_add_free_chunk()),
//! gets them filled from the stream's data ring, and gives them back. While a chunk is in a ring or a stream it must not
//! be touched: its functions then answer NULL, 0 or an error. Those that answer no status leave aq_last_error() as it is.

use std::ffi::{c_int, c_void};
use std::sync::Arc;

use super::callback::{User, aq_user_free_fn};
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::memory::{allocator_or_default, aq_allocator, caller_buffer};
use super::pointer::Out;
use super::ring::{descriptor, write_stopped};
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::wait::wait;
use crate::chunk::{Chunk, ChunkRing, Mark};
use crate::error::{Error, Result};
use crate::ring::{GetError, PutError};

/// Memory for many heaps.
pub struct aq_chunk {
    _opaque: [u8; 0],
}

/// A ring of chunks.
pub struct aq_chunk_ring {
    _opaque: [u8; 0],
}

impl Opaque for aq_chunk_ring {
    const NAME: &'static str = "aq_chunk_ring";
    type Inner = Arc<ChunkRing>;
}

/// The caller's memory for a chunk. Fill it with aq_chunk_buffers_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_chunk_buffers {
    /// Set by aq_chunk_buffers_init().
    pub struct_size: usize,
    /// Where payloads go; required.
    pub data: *mut c_void,
    /// Bytes at data, at least 1.
    pub data_size: usize,
    /// A byte per heap, or per packet; required.
    pub present: *mut u8,
    /// Bytes at present, at least 1.
    pub present_size: usize,
    /// For the place callback's extra bytes; NULL if there are none.
    pub extra: *mut c_void,
    /// Bytes at extra.
    pub extra_size: usize,
    /// Called with release_user when the chunk is freed, by any thread; or NULL.
    pub release: aq_user_free_fn,
    /// Passed to release; belongs to the chunk from the call of aq_chunk_new() on, also on an error.
    pub release_user: *mut c_void,
}

// SAFETY: pointers, usizes and an Option<fn>, all of 8 bytes.
unsafe impl SizedStruct for aq_chunk_buffers {
    const NAME: &'static str = "aq_chunk_buffers";
    const FIRST_SIZE: usize = 72;
    const DEFAULT: Self = Self {
        struct_size: 0,
        data: std::ptr::null_mut(),
        data_size: 0,
        present: std::ptr::null_mut(),
        present_size: 0,
        extra: std::ptr::null_mut(),
        extra_size: 0,
        release: None,
        release_user: std::ptr::null_mut(),
    };
}

/// A chunk on its way out to the caller, who holds it from now on.
pub(super) fn into_handle(chunk: Box<Chunk>) -> *mut aq_chunk {
    chunk.change_mark(Mark::Lent, Mark::Held);
    Box::into_raw(chunk).cast()
}

/// The chunk of an argument, if the caller holds it.
///
/// # Safety
/// `pointer` is NULL, a chunk that is not freed, or a handle of another kind.
pub(super) unsafe fn held<'a>(pointer: *const aq_chunk) -> Result<&'a Chunk> {
    let pointer = pointer.cast::<Chunk>();
    if pointer.is_null() {
        return Err(Error::invalid("chunk must not be NULL"));
    }
    if !pointer.is_aligned() {
        return Err(Error::invalid("chunk: not an aq_chunk"));
    }
    // SAFETY: the caller's promise; Chunk and every handle begin with a 64-bit atomic, which is all that is looked at.
    let mark = unsafe { Mark::at(pointer.cast()) };
    match mark {
        // SAFETY: the mark says that it is a chunk, and that nobody but the caller has it.
        Some(Mark::Held) => Ok(unsafe { &*pointer }),
        Some(Mark::Lent) => Err(Error::state("chunk: it is in a ring or a stream")),
        Some(Mark::Freed) => Err(Error::invalid("chunk: it is already freed")),
        None => Err(Error::invalid("chunk: not an aq_chunk")),
    }
}

/// Takes a chunk from the caller. [`into_handle`] gives it back if it cannot be used.
///
/// # Safety
/// As for [`held`].
pub(super) unsafe fn take(pointer: *mut aq_chunk) -> Result<Box<Chunk>> {
    // SAFETY: the caller's promise.
    if !unsafe { held(pointer) }?.change_mark(Mark::Held, Mark::Lent) {
        return Err(Error::state("chunk: another thread is handing it over"));
    }
    // SAFETY: `held` has made sure that it is a chunk of into_handle, and the change of mark that nobody else takes it.
    Ok(unsafe { Box::from_raw(pointer.cast::<Chunk>()) })
}

/// Writes the defaults: no memory.
///
/// @param buffers the struct
/// @param struct_size sizeof *buffers
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_buffers_init(
    buffers: *mut aq_chunk_buffers,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(buffers, struct_size, "buffers") })
}

/// Makes a chunk over the caller's memory, which belongs to the chunk until it is freed. Clears present.
///
/// @param buffers the memory, and how to release it
/// @param out receives the chunk; free it with aq_chunk_free()
/// @return AQ_OK; AQ_E_INVALID when data or present is missing
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_new(
    buffers: *const aq_chunk_buffers,
    out: *mut *mut aq_chunk,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        let (b, tail) = unsafe { sized::read_known(buffers, "buffers") }?;
        // SAFETY: release may be called once with release_user, by the contract of the struct.
        let owner = Arc::new(unsafe { User::new(b.release_user, b.release) });
        tail?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: the caller's memory is the chunk's until release, by the contract of the struct.
        let block = |start, size, name| unsafe { caller_buffer(start, size, name, owner.clone()) };
        let data = block(b.data, b.data_size, "data")?;
        let present = block(b.present.cast(), b.present_size, "present")?;
        let extra = block(b.extra, b.extra_size, "extra")?;
        out.write(into_handle(Box::new(Chunk::new(data, present, extra)?)));
        Ok(Outcome::Done)
    })
}

/// Makes a chunk with memory from an allocator. Clears present; the data's content is undefined.
///
/// @param allocator where the data comes from (present and extra come from the heap); NULL for the default
/// @param data_size bytes for payloads, at least 1
/// @param present_size one byte per heap (or per packet), at least 1
/// @param extra_size bytes for the place callback, or 0
/// @param out receives the chunk; free it with aq_chunk_free()
/// @return AQ_OK; AQ_E_INVALID; AQ_E_NOMEM
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_new_alloc(
    allocator: *const aq_allocator,
    data_size: usize,
    present_size: usize,
    extra_size: usize,
    out: *mut *mut aq_chunk,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a live handle by the caller's contract.
        let allocator = unsafe { allocator_or_default(allocator, "allocator") }?;
        out.write(into_handle(Box::new(Chunk::allocate(&*allocator, data_size, present_size, extra_size)?)));
        Ok(Outcome::Done)
    })
}

/// Where payloads are.
///
/// @param chunk the chunk
/// @return aq_chunk_data_size() bytes, valid while the caller holds the chunk; NULL when the caller does not hold it
///
/// Threads: any thread that holds the chunk.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_data(chunk: *const aq_chunk) -> *mut c_void {
    // SAFETY: NULL or a chunk by the caller's contract.
    unsafe { held(chunk) }.map_or(std::ptr::null_mut(), |chunk| chunk.data.as_ptr().cast())
}

/// Bytes at aq_chunk_data(); 0 when the caller does not hold the chunk.
///
/// Threads: any thread that holds the chunk.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_data_size(chunk: *const aq_chunk) -> usize {
    // SAFETY: NULL or a chunk by the caller's contract.
    unsafe { held(chunk) }.map_or(0, |chunk| chunk.data.len())
}

/// Which heaps (or packets) are there: 1 for those that are, else 0.
///
/// @param chunk the chunk
/// @return aq_chunk_present_size() bytes, valid while the caller holds the chunk; NULL when the caller does not hold it
///
/// Threads: any thread that holds the chunk.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_present(chunk: *const aq_chunk) -> *mut u8 {
    // SAFETY: NULL or a chunk by the caller's contract.
    unsafe { held(chunk) }.map_or(std::ptr::null_mut(), |chunk| chunk.present.as_ptr())
}

/// Bytes at aq_chunk_present(); 0 when the caller does not hold the chunk.
///
/// Threads: any thread that holds the chunk.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_present_size(chunk: *const aq_chunk) -> usize {
    // SAFETY: NULL or a chunk by the caller's contract.
    unsafe { held(chunk) }.map_or(0, |chunk| chunk.present.len())
}

/// Where the place callback's extra bytes are.
///
/// @param chunk the chunk
/// @return aq_chunk_extra_size() bytes, valid while the caller holds the chunk; NULL when the caller does not hold it
///
/// Threads: any thread that holds the chunk.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_extra(chunk: *const aq_chunk) -> *mut c_void {
    // SAFETY: NULL or a chunk by the caller's contract.
    unsafe { held(chunk) }.map_or(std::ptr::null_mut(), |chunk| chunk.extra.as_ptr().cast())
}

/// Bytes at aq_chunk_extra(); 0 when the caller does not hold the chunk.
///
/// Threads: any thread that holds the chunk.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_extra_size(chunk: *const aq_chunk) -> usize {
    // SAFETY: NULL or a chunk by the caller's contract.
    unsafe { held(chunk) }.map_or(0, |chunk| chunk.extra.len())
}

/// The number that the place callback gave the chunk.
///
/// @param chunk the chunk
/// @return the number; -1 for a chunk that was not filled yet, or that the caller does not hold
///
/// Threads: any thread that holds the chunk.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_id(chunk: *const aq_chunk) -> i64 {
    // SAFETY: NULL or a chunk by the caller's contract.
    unsafe { held(chunk) }.map_or(-1, |chunk| chunk.id)
}

/// The stream_id of the stream that filled the chunk; 0 before that, or when the caller does not hold it.
///
/// Threads: any thread that holds the chunk.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_stream_id(chunk: *const aq_chunk) -> u64 {
    // SAFETY: NULL or a chunk by the caller's contract.
    unsafe { held(chunk) }.map_or(0, |chunk| chunk.stream_id)
}

/// Attaches a pointer of the caller's, which stays with the chunk on its way through streams and rings.
///
/// @param chunk the chunk
/// @param user the pointer; it stays the caller's
/// @return AQ_OK; AQ_E_STATE when the caller does not hold the chunk
///
/// Threads: the thread that holds the chunk.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_set_user(chunk: *mut aq_chunk, user: *mut c_void) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a chunk by the caller's contract, which also says that nobody else uses it now.
        unsafe {
            held(chunk)?;
            (*chunk.cast::<Chunk>()).user = user as usize;
        }
        Ok(Outcome::Done)
    })
}

/// The pointer of aq_chunk_set_user(); NULL if there is none, or when the caller does not hold the chunk.
///
/// Threads: any thread that holds the chunk.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_user(chunk: *const aq_chunk) -> *mut c_void {
    // SAFETY: NULL or a chunk by the caller's contract.
    unsafe { held(chunk) }.map_or(std::ptr::null_mut(), |chunk| chunk.user as *mut c_void)
}

/// Frees a chunk and its memory.
///
/// @param chunk the chunk, or NULL, which does nothing
/// @return AQ_OK; AQ_E_STATE when it is in a ring or a stream, which will free it
///
/// Threads: the thread that holds the chunk; no other call on it may follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_free(chunk: *mut aq_chunk) -> aq_status {
    guard(|| {
        if !chunk.is_null() {
            // SAFETY: a chunk by the caller's contract.
            drop(unsafe { take(chunk) }?);
        }
        Ok(Outcome::Done)
    })
}

/// Makes a ring for up to `capacity` chunks.
///
/// @param capacity how many chunks it holds, at least 1; make it large enough for all chunks that there are
/// @param out receives the ring; free it with aq_chunk_ring_free()
/// @return AQ_OK; AQ_E_INVALID when capacity is 0 or absurd; AQ_E_NOMEM
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_ring_new(capacity: usize, out: *mut *mut aq_chunk_ring) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        out.write(handle::new(Arc::new(ChunkRing::new(capacity)?)));
        Ok(Outcome::Done)
    })
}

/// Puts a chunk at the end of the ring.
///
/// @param ring the ring
/// @param chunk the chunk; on AQ_OK it belongs to the ring, on any other status to the caller still
/// @param timeout_ns how long to wait for space
/// @return AQ_OK; AQ_FULL; AQ_TIMEOUT; AQ_STOPPED; AQ_E_STATE when the caller does not hold the chunk
///
/// Threads: any, at the same time as all functions of the ring but aq_chunk_ring_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_ring_put(
    ring: *mut aq_chunk_ring,
    chunk: *mut aq_chunk,
    timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let ring = unsafe { handle::borrow(ring, "ring") }?;
        let wait = wait(timeout_ns)?;
        // SAFETY: NULL or a chunk by the caller's contract.
        let (kept, outcome) = match ring.put(unsafe { take(chunk) }?, wait) {
            Ok(()) => return Ok(Outcome::Done),
            Err(PutError::Full(chunk)) => (chunk, Outcome::Full),
            Err(PutError::TimedOut(chunk)) => (chunk, Outcome::TimedOut),
            Err(PutError::Stopped(chunk)) => (chunk, Outcome::Stopped),
        };
        into_handle(kept);
        Ok(outcome)
    })
}

/// Takes the chunk at the front of the ring.
///
/// @param ring the ring
/// @param timeout_ns how long to wait for a chunk
/// @param chunk receives the chunk, which belongs to the caller from now on
/// @return AQ_OK; AQ_EMPTY; AQ_TIMEOUT; AQ_STOPPED when the ring is stopped and has nothing left
///
/// Threads: any, at the same time as all functions of the ring but aq_chunk_ring_free().
///
/// ```c
/// aq_chunk *chunk;
/// while (aq_chunk_ring_get(data, AQ_WAIT_FOREVER, &chunk) == AQ_OK) {
///     process(aq_chunk_id(chunk), aq_chunk_data(chunk), aq_chunk_present(chunk));
///     aq_recv_stream_add_free_chunk(stream, chunk);
/// }
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_ring_get(
    ring: *mut aq_chunk_ring,
    timeout_ns: i64,
    chunk: *mut *mut aq_chunk,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let ring = unsafe { handle::borrow(ring, "ring") }?;
        let wait = wait(timeout_ns)?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(chunk, "chunk") }?;
        Ok(match ring.get(wait) {
            Ok(chunk) => {
                out.write(into_handle(chunk));
                Outcome::Done
            }
            Err(GetError::Empty) => Outcome::Empty,
            Err(GetError::TimedOut) => Outcome::TimedOut,
            Err(GetError::Stopped) => Outcome::Stopped,
        })
    })
}

/// Stops the ring. Whoever waits to put answers AQ_STOPPED; chunks inside can still be got.
///
/// @param ring the ring
/// @param stopped_now receives 1, or 0 when the ring was stopped already; may be NULL
/// @return AQ_OK, also when it was stopped already
///
/// Threads: any, at the same time as all functions of the ring but aq_chunk_ring_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_ring_stop(ring: *mut aq_chunk_ring, stopped_now: *mut i32) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let ring = unsafe { handle::borrow(ring, "ring") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::optional(stopped_now, "stopped_now") }?;
        write_stopped(out, ring.stop());
        Ok(Outcome::Done)
    })
}

/// Counts one more producer. A ring with producers is stopped by the last one that is removed. Streams count themselves.
///
/// @param ring the ring
/// @return AQ_OK
///
/// Threads: any, at the same time as all functions of the ring but aq_chunk_ring_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_ring_add_producer(ring: *mut aq_chunk_ring) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { handle::borrow(ring, "ring") }?.add_producer();
        Ok(Outcome::Done)
    })
}

/// Counts one producer less, and stops the ring if that was the last one.
///
/// @param ring the ring
/// @param stopped_now receives 1 when this call stopped the ring, else 0; may be NULL
/// @return AQ_OK; AQ_E_STATE when there is no producer to remove
///
/// Threads: any, at the same time as all functions of the ring but aq_chunk_ring_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_ring_remove_producer(
    ring: *mut aq_chunk_ring,
    stopped_now: *mut i32,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let ring = unsafe { handle::borrow(ring, "ring") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::optional(stopped_now, "stopped_now") }?;
        write_stopped(out, ring.remove_producer()?);
        Ok(Outcome::Done)
    })
}

/// How many chunks are inside.
///
/// @param ring the ring
/// @param size receives the number, 0 .. capacity; other threads may have changed it by the time that it is looked at
/// @return AQ_OK
///
/// Threads: any, at the same time as all functions of the ring but aq_chunk_ring_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_ring_size(ring: *const aq_chunk_ring, size: *mut usize) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let ring = unsafe { handle::borrow(ring, "ring") }?;
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { Out::new(size, "size") }?.write(ring.size());
        Ok(Outcome::Done)
    })
}

/// How many chunks the ring holds at most.
///
/// @param ring the ring
/// @param capacity receives what aq_chunk_ring_new() was given
/// @return AQ_OK
///
/// Threads: any, at the same time as all functions of the ring but aq_chunk_ring_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_ring_capacity(
    ring: *const aq_chunk_ring,
    capacity: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let ring = unsafe { handle::borrow(ring, "ring") }?;
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { Out::new(capacity, "capacity") }?.write(ring.capacity());
        Ok(Outcome::Done)
    })
}

/// A file descriptor that is readable (POLLIN) while aq_chunk_ring_get() would not answer AQ_EMPTY: there is a chunk, or
/// the ring is stopped.
///
/// With several threads getting, another one may be faster: get with timeout 0 and expect AQ_EMPTY.
///
/// @param ring the ring
/// @param fd receives the descriptor. It belongs to the ring, as long as that lives: only poll it, do not read or close it
/// @return AQ_OK; AQ_E_IO when there is no file descriptor left
///
/// Threads: any, at the same time as all functions of the ring but aq_chunk_ring_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_ring_data_fd(ring: *const aq_chunk_ring, fd: *mut c_int) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let ring = unsafe { handle::borrow(ring, "ring") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(fd, "fd") }?;
        out.write(descriptor("aq_chunk_ring_data_fd", ring.data_fd())?);
        Ok(Outcome::Done)
    })
}

/// A file descriptor that is readable (POLLIN) while aq_chunk_ring_put() would not answer AQ_FULL: there is space, or the
/// ring is stopped.
///
/// @param ring the ring
/// @param fd receives the descriptor. It belongs to the ring, as long as that lives: only poll it, do not read or close it
/// @return AQ_OK; AQ_E_IO when there is no file descriptor left
///
/// Threads: any, at the same time as all functions of the ring but aq_chunk_ring_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_ring_space_fd(ring: *const aq_chunk_ring, fd: *mut c_int) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let ring = unsafe { handle::borrow(ring, "ring") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(fd, "fd") }?;
        out.write(descriptor("aq_chunk_ring_space_fd", ring.space_fd())?);
        Ok(Outcome::Done)
    })
}

/// Lets go of the ring. Streams that use it keep it alive; the last one gone, chunks inside are freed.
///
/// @param ring the ring, or NULL, which does nothing
/// @return AQ_OK
///
/// Threads: no other call on this handle may be running or follow; stop the ring and join its threads first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_chunk_ring_free(ring: *mut aq_chunk_ring) -> aq_status {
    // SAFETY: NULL or a live handle, not used again, by the caller's contract.
    guard(|| unsafe { handle::free(ring, "ring") })
}
