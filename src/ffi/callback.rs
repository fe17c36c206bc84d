//! Callbacks
//!
//! A callback is passed as three arguments: the function, a `user` pointer that it is called with, and `user_free`, which
//! is called with `user` exactly once, after the last call of the function, also when the call that it was passed to
//! fails: once passed, `user` belongs to the library. Both `user` and `user_free` may be NULL. Where they are fields of a
//! struct, a struct that cannot be read (NULL, a wrong struct_size: AQ_E_INVALID) has passed nothing.
//!
//! A callback must return: no exception, longjmp or thread exit may leave it. Each callback type says where it is
//! called from, whether it may block, what it may call, how long its arguments are valid and what happens on an error.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr;

use crate::error::{Error, Result};

/// Releases what a callback's `user` pointer points to.
///
/// - called from: any thread, once, after the last call of the callback
/// - may block: shortly; whoever freed the last object that used the callback is waiting
/// - may call: any function of this library, except on the object that is being freed
/// - valid until: `user` is the library's until this call
/// - on error: there is no way to report one
pub type aq_user_free_fn = Option<unsafe extern "C" fn(user: *mut c_void)>;

/// A callback's `user` pointer with the duty to release it, which `Drop` does, wherever that happens.
pub struct User {
    pointer: *mut c_void,
    free: aq_user_free_fn,
}

// SAFETY: the header says that callbacks and user_free are called from any thread, so the pointer may go there.
unsafe impl Send for User {}
// SAFETY: a shared User only hands out the pointer; each callback's contract says whether calls may overlap.
unsafe impl Sync for User {}

impl User {
    /// Takes over the arguments `user` and `user_free`. Call it before anything that can fail.
    ///
    /// # Safety
    /// `free` may be called once with `pointer`, from any thread.
    pub unsafe fn new(pointer: *mut c_void, free: aq_user_free_fn) -> Self {
        Self { pointer, free }
    }

    /// What to call the callback with.
    pub fn pointer(&self) -> *mut c_void {
        self.pointer
    }
}

impl Drop for User {
    fn drop(&mut self) {
        if let Some(free) = self.free {
            // SAFETY: the promise made to new, and drop runs once.
            unsafe { free(self.pointer) }
        }
    }
}

/// A callback: its function, an `Option` where C may pass NULL, and its user pointer.
pub struct Callback<F> {
    /// The function.
    pub function: F,
    /// What it is called with; dropped after the last call.
    pub user: User,
}

impl<F> Callback<F> {
    /// Takes over the three arguments of a callback. Call it before anything that can fail.
    ///
    /// # Safety
    /// As for [`User::new`].
    pub unsafe fn new(function: F, user: *mut c_void, user_free: aq_user_free_fn) -> Self {
        // SAFETY: the caller's promise.
        Self { function, user: unsafe { User::new(user, user_free) } }
    }
}

impl<F> Callback<Option<F>> {
    /// No callback.
    pub const fn none() -> Self {
        Self { function: None, user: User { pointer: ptr::null_mut(), free: None } }
    }

    /// The callback of the argument `name`, which must not be NULL.
    pub fn required(self, name: &str) -> Result<Callback<F>> {
        match self.function {
            Some(function) => Ok(Callback { function, user: self.user }),
            None => Err(Error::invalid(format!("{name} must not be NULL"))),
        }
    }
}

// Users whose turn to be freed came while this thread was in a call of the library, perhaps with a lock held.
thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static LATER: RefCell<Vec<User>> = const { RefCell::new(Vec::new()) };
}

/// Frees `user` when this thread leaves the library: at once if it is in no call of it.
pub fn free_later(user: User) {
    if DEPTH.get() == 0 {
        return drop(user);
    }
    let mut user = Some(user);
    // At a thread's end there may be no list any more: then it is dropped here.
    let _ = LATER.try_with(|later| later.borrow_mut().extend(user.take()));
}

/// Runs a call of the library; behind it, with nothing locked, frees what [`free_later`] was told of.
pub fn calling<R>(call: impl FnOnce() -> R) -> R {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get() - 1);
            if DEPTH.get() > 0 {
                return;
            }
            // One by one: what is freed may call the library, and add more.
            while let Ok(Some(user)) = LATER.try_with(|later| later.borrow_mut().pop()) {
                drop(user);
            }
        }
    }
    DEPTH.set(DEPTH.get() + 1);
    let _leave = Leave;
    call()
}

// What this thread is inside of: a list of frames on its stack, innermost first.
struct Frame {
    key: *const (),
    outer: *const Frame,
}

thread_local! {
    static INNERMOST: Cell<*const Frame> = const { Cell::new(ptr::null()) };
}

/// Runs `call`, which calls a callback of the object at `key`; meanwhile [`is_inside`] of that key is true on this
/// thread.
pub fn inside<T, R>(key: *const T, call: impl FnOnce() -> R) -> R {
    struct Leave(*const Frame);
    impl Drop for Leave {
        fn drop(&mut self) {
            INNERMOST.set(self.0);
        }
    }
    let outer = INNERMOST.get();
    let frame = Frame { key: key.cast(), outer };
    INNERMOST.set(&raw const frame);
    // After `frame`, so that it is dropped before it.
    let _leave = Leave(outer);
    call()
}

/// Whether this thread is inside a callback of the object at `key`: then it must not wait for that callback to return
/// (`_stop`, `_free`), but answer `AQ_E_STATE`.
pub fn is_inside<T>(key: *const T) -> bool {
    let mut frame = INNERMOST.get();
    while !frame.is_null() {
        // SAFETY: a frame is on the list only while its `inside`, on this thread's stack, has not returned.
        let Frame { key: found, outer } = unsafe { &*frame };
        if ptr::eq(*found, key.cast()) {
            return true;
        }
        frame = *outer;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    unsafe extern "C" fn count(user: *mut c_void) {
        // SAFETY: the tests pass an AtomicU32 that outlives the call.
        unsafe { &*user.cast::<AtomicU32>() }.fetch_add(1, Ordering::Relaxed);
    }

    #[test]
    fn user_free_runs_once_whatever_happens() {
        type Function = unsafe extern "C" fn(*mut c_void);
        let calls = AtomicU32::new(0);
        let user = (&raw const calls).cast_mut().cast();
        // SAFETY: count may be called with user, from anywhere.
        let new = |function: Option<Function>| unsafe { Callback::new(function, user, Some(count)) };
        let callback = new(Some(count)).required("f").unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 0);
        drop(callback);
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        assert_eq!(new(None).required("f").err(), Some(Error::invalid("f must not be NULL")));
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        // SAFETY: nothing is called.
        drop(unsafe { User::new(ptr::null_mut(), None) });
    }

    #[test]
    fn users_are_freed_when_the_library_is_left() {
        let calls = AtomicU32::new(0);
        // SAFETY: count may be called with user, from anywhere.
        let user = || unsafe { User::new((&raw const calls).cast_mut().cast(), Some(count)) };
        free_later(user());
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        calling(|| {
            free_later(user());
            calling(|| free_later(user()));
            assert_eq!(calls.load(Ordering::Relaxed), 1);
        });
        assert_eq!(calls.load(Ordering::Relaxed), 3);
        let _ = std::panic::catch_unwind(|| {
            calling(|| {
                free_later(user());
                panic!("out of it")
            })
        });
        assert_eq!(calls.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn inside_knows_where_it_is() {
        let (a, b) = (1u8, 2u8);
        let (a, b) = (&raw const a, &raw const b);
        inside(a, || {
            assert!(is_inside(a) && !is_inside(b));
            inside(b, || assert!(is_inside(a) && is_inside(b)));
            assert!(is_inside(a) && !is_inside(b));
            let _ = std::panic::catch_unwind(|| inside(b, || panic!("out of it")));
            assert!(is_inside(a) && !is_inside(b));
        });
        assert!(!is_inside(a));
    }
}
