//! Rings
//!
//! An aq_ring hands `void *` items from thread to thread, in order, through a bounded buffer: any number of threads put,
//! any number get. Its file descriptors fit into poll, epoll and every event loop.
//!
//! A ring ends by being stopped, by aq_ring_stop() or by its last producer's aq_ring_remove_producer(): then nothing can
//! be put any more, what is inside can still be got, and after that every get answers AQ_STOPPED.

use std::ffi::{c_int, c_void};
use std::os::fd::AsRawFd;

use super::callback::{Callback, aq_user_free_fn};
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::pointer::Out;
use super::status::aq_status;
use super::wait::wait;
use crate::error::{Error, Result};
use crate::ring::{GetError, PutError, Ring, Wait};

/// A bounded ring of `void *` items.
pub struct aq_ring {
    _opaque: [u8; 0],
}

impl Opaque for aq_ring {
    const NAME: &'static str = "aq_ring";
    type Inner = ItemRing;
}

/// Releases an item that is still inside when its ring goes.
///
/// - called from: aq_ring_free()
/// - may block: shortly; aq_ring_free() is waiting
/// - may call: any function of this library, except on this ring
/// - valid until: `item` is the callback's; `user` is valid until it returns
/// - on error: there is no way to report one
pub type aq_item_free_fn = Option<unsafe extern "C" fn(item: *mut c_void, user: *mut c_void)>;

/// What an aq_ring owns.
pub struct ItemRing {
    ring: Ring<Item>,
    /// For what is still inside at the end.
    item_free: Callback<aq_item_free_fn>,
}

/// An item on its way between C threads; never NULL.
struct Item(*mut c_void);

// SAFETY: handing pointers from thread to thread is what the caller asked for; the ring never looks behind them.
unsafe impl Send for Item {}

impl Drop for ItemRing {
    fn drop(&mut self) {
        let Some(item_free) = self.item_free.function else { return };
        while let Ok(Item(item)) = self.ring.get(Wait::No) {
            // SAFETY: the caller put the item with this function to free it; nobody else has got it.
            unsafe { item_free(item, self.item_free.user.pointer()) }
        }
    }
}

/// Makes a ring for up to `capacity` items.
///
/// @param capacity how many items it holds, at least 1
/// @param item_free called by aq_ring_free() with each item still inside; NULL if there is nothing to do for them
/// @param user passed to item_free; belongs to the ring from now on, also on an error
/// @param user_free releases user, or NULL
/// @param out receives the ring; free it with aq_ring_free()
/// @return AQ_OK; AQ_E_INVALID when capacity is 0 or absurd; AQ_E_NOMEM
///
/// Threads: any.
///
/// ```c
/// static void free_item(void *item, void *user) { (void)user; free(item); }
///
/// aq_ring *ring;
/// if (aq_ring_new(16, free_item, NULL, NULL, &ring) != AQ_OK)
///     fprintf(stderr, "%s\n", aq_last_error());
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_ring_new(
    capacity: usize,
    item_free: aq_item_free_fn,
    user: *mut c_void,
    user_free: aq_user_free_fn,
    out: *mut *mut aq_ring,
) -> aq_status {
    guard(|| {
        // SAFETY: user_free may be called once with user, by the contract of callbacks.
        let item_free = unsafe { Callback::new(item_free, user, user_free) };
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        out.write(handle::new(ItemRing { ring: Ring::new(capacity)?, item_free }));
        Ok(Outcome::Done)
    })
}

/// Puts an item at the end of the ring.
///
/// @param ring the ring
/// @param item any pointer but NULL; on AQ_OK it belongs to the ring, and on any other status to the caller still
/// @param timeout_ns how long to wait for space
/// @return AQ_OK; AQ_FULL; AQ_TIMEOUT; AQ_STOPPED; AQ_E_INVALID when item is NULL
///
/// Threads: any, at the same time as all functions of the ring but aq_ring_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_ring_put(ring: *mut aq_ring, item: *mut c_void, timeout_ns: i64) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let ring = unsafe { handle::borrow(ring, "ring") }?;
        let wait = wait(timeout_ns)?;
        // Refused while it can be: most often a bug, and allowing it later breaks nobody.
        if item.is_null() {
            return Err(Error::invalid("item must not be NULL"));
        }
        Ok(match ring.ring.put(Item(item), wait) {
            Ok(()) => Outcome::Done,
            Err(PutError::Full(_)) => Outcome::Full,
            Err(PutError::TimedOut(_)) => Outcome::TimedOut,
            Err(PutError::Stopped(_)) => Outcome::Stopped,
        })
    })
}

/// Takes the item at the front of the ring.
///
/// @param ring the ring
/// @param timeout_ns how long to wait for an item
/// @param item receives the item, which belongs to the caller from now on
/// @return AQ_OK; AQ_EMPTY; AQ_TIMEOUT; AQ_STOPPED when the ring is stopped and has nothing left
///
/// Threads: any, at the same time as all functions of the ring but aq_ring_free().
///
/// ```c
/// void *item;
/// while (aq_ring_get(ring, AQ_WAIT_FOREVER, &item) == AQ_OK)
///     process(item);
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_ring_get(
    ring: *mut aq_ring,
    timeout_ns: i64,
    item: *mut *mut c_void,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let ring = unsafe { handle::borrow(ring, "ring") }?;
        let wait = wait(timeout_ns)?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(item, "item") }?;
        Ok(match ring.ring.get(wait) {
            Ok(Item(item)) => {
                out.write(item);
                Outcome::Done
            }
            Err(GetError::Empty) => Outcome::Empty,
            Err(GetError::TimedOut) => Outcome::TimedOut,
            Err(GetError::Stopped) => Outcome::Stopped,
        })
    })
}

/// Stops the ring. Whoever waits to put answers AQ_STOPPED; items inside can still be got.
///
/// @param ring the ring
/// @param stopped_now receives 1, or 0 when the ring was stopped already; may be NULL
/// @return AQ_OK, also when it was stopped already
///
/// Threads: any, at the same time as all functions of the ring but aq_ring_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_ring_stop(ring: *mut aq_ring, stopped_now: *mut i32) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let ring = unsafe { handle::borrow(ring, "ring") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::optional(stopped_now, "stopped_now") }?;
        write_stopped(out, ring.ring.stop());
        Ok(Outcome::Done)
    })
}

/// Counts one more producer. A ring with producers is stopped by the last one that is removed.
///
/// @param ring the ring
/// @return AQ_OK
///
/// Threads: any, at the same time as all functions of the ring but aq_ring_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_ring_add_producer(ring: *mut aq_ring) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let ring = unsafe { handle::borrow(ring, "ring") }?;
        ring.ring.add_producer();
        Ok(Outcome::Done)
    })
}

/// Counts one producer less, and stops the ring if that was the last one.
///
/// @param ring the ring
/// @param stopped_now receives 1 when this call stopped the ring, else 0; may be NULL
/// @return AQ_OK; AQ_E_STATE when there is no producer to remove
///
/// Threads: any, at the same time as all functions of the ring but aq_ring_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_ring_remove_producer(ring: *mut aq_ring, stopped_now: *mut i32) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let ring = unsafe { handle::borrow(ring, "ring") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::optional(stopped_now, "stopped_now") }?;
        write_stopped(out, ring.ring.remove_producer()?);
        Ok(Outcome::Done)
    })
}

pub(super) fn write_stopped(out: Option<Out<'_, i32>>, stopped_now: bool) {
    if let Some(out) = out {
        out.write(i32::from(stopped_now));
    }
}

/// How many items are inside.
///
/// @param ring the ring
/// @param size receives the number, 0 .. capacity; other threads may have changed it by the time that it is looked at
/// @return AQ_OK
///
/// Threads: any, at the same time as all functions of the ring but aq_ring_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_ring_size(ring: *const aq_ring, size: *mut usize) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let ring = unsafe { handle::borrow(ring, "ring") }?;
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { Out::new(size, "size") }?.write(ring.ring.size());
        Ok(Outcome::Done)
    })
}

/// How many items the ring holds at most.
///
/// @param ring the ring
/// @param capacity receives what aq_ring_new() was given
/// @return AQ_OK
///
/// Threads: any, at the same time as all functions of the ring but aq_ring_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_ring_capacity(ring: *const aq_ring, capacity: *mut usize) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let ring = unsafe { handle::borrow(ring, "ring") }?;
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { Out::new(capacity, "capacity") }?.write(ring.ring.capacity());
        Ok(Outcome::Done)
    })
}

/// A file descriptor that is readable (POLLIN) while aq_ring_get() would not answer AQ_EMPTY: there is an item, or the
/// ring is stopped.
///
/// With several threads getting, another one may be faster: get with timeout 0 and expect AQ_EMPTY.
///
/// @param ring the ring
/// @param fd receives the descriptor. It belongs to the ring, until aq_ring_free(): only poll it, do not read or close it
/// @return AQ_OK; AQ_E_IO when there is no file descriptor left
///
/// Threads: any, at the same time as all functions of the ring but aq_ring_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_ring_data_fd(ring: *const aq_ring, fd: *mut c_int) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let ring = unsafe { handle::borrow(ring, "ring") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(fd, "fd") }?;
        out.write(descriptor("aq_ring_data_fd", ring.ring.data_fd())?);
        Ok(Outcome::Done)
    })
}

/// A file descriptor that is readable (POLLIN) while aq_ring_put() would not answer AQ_FULL: there is space, or the ring
/// is stopped.
///
/// With several threads putting, another one may be faster: put with timeout 0 and expect AQ_FULL.
///
/// @param ring the ring
/// @param fd receives the descriptor. It belongs to the ring, until aq_ring_free(): only poll it, do not read or close it
/// @return AQ_OK; AQ_E_IO when there is no file descriptor left
///
/// Threads: any, at the same time as all functions of the ring but aq_ring_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_ring_space_fd(ring: *const aq_ring, fd: *mut c_int) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let ring = unsafe { handle::borrow(ring, "ring") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(fd, "fd") }?;
        out.write(descriptor("aq_ring_space_fd", ring.ring.space_fd())?);
        Ok(Outcome::Done)
    })
}

pub(super) fn descriptor(call: &str, fd: std::io::Result<impl AsRawFd>) -> Result<c_int> {
    fd.map(|fd| fd.as_raw_fd()).map_err(|reason| Error::io(call, &reason))
}

/// Frees the ring. Items still inside go to item_free; then user_free is called.
///
/// @param ring the ring, or NULL, which does nothing
/// @return AQ_OK
///
/// Threads: no other call on this ring may be running or follow; stop the ring and join its threads first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_ring_free(ring: *mut aq_ring) -> aq_status {
    // SAFETY: NULL or a live handle, not used again, by the caller's contract.
    guard(|| unsafe { handle::free(ring, "ring") })
}
