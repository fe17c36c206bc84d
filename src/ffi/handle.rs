//! Opaque handles: what a `_new` gives out, every verb borrows and a `_free` takes back.
//!
//! Invariant: a handle starts with the tag of its kind until it is freed, so that a handle of another kind, and most
//! often a freed one, is an error instead of a crash. Any thread may borrow a handle; only one may free it, once.
//!
//! ```ignore
//! pub struct aq_ring { _opaque: [u8; 0] }                        // all that C sees
//! impl Opaque for aq_ring { const NAME: &'static str = "aq_ring"; type Inner = Ring<Item>; }
//!
//! out.write(handle::new(Ring::new(capacity)?));                  // in aq_ring_new
//! let ring = unsafe { handle::borrow(ring, "ring") }?;           // in its verbs; derefs to Inner
//! unsafe { handle::free(ring, "ring") }                          // in aq_ring_free
//! ```

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::guard::Outcome;
use crate::error::{Error, ErrorKind, Result};

/// A type that C knows only by its pointer. Its values are never made: a pointer to it points to a `Handle`.
pub trait Opaque: Sized {
    /// C's name, which also makes the tag.
    const NAME: &'static str;
    /// What the handle owns. An object that others keep alive, too, is an `Arc`.
    type Inner: Send + Sync + 'static;
}

/// What a pointer to an [`Opaque`] really points to.
#[repr(C)]
struct Handle<H: Opaque> {
    /// `tag::<H>()`, or `FREED` once freed. First, so that every kind of handle has it in the same place.
    tag: AtomicU64,
    /// A call panicked while it had borrowed this handle.
    poisoned: AtomicBool,
    inner: H::Inner,
}

const FREED: u64 = 0xf4ee_d000_dead_bea7;

/// FNV-1a of the name: different for different names, and not a number that memory holds by chance.
const fn tag<H: Opaque>() -> u64 {
    let name = H::NAME.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut i = 0;
    while i < name.len() {
        hash = (hash ^ name[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
}

/// A new handle that owns `inner`.
pub fn new<H: Opaque>(inner: H::Inner) -> *mut H {
    let handle = Handle::<H> { tag: AtomicU64::new(tag::<H>()), poisoned: AtomicBool::new(false), inner };
    Box::into_raw(Box::new(handle)).cast()
}

/// Borrows the handle that the argument `name` points to.
///
/// # Safety
/// `pointer` is NULL or a handle of this library, of any kind, that is not freed for `'a`.
pub unsafe fn borrow<'a, H: Opaque>(pointer: *const H, name: &str) -> Result<Borrowed<'a, H>> {
    // SAFETY: the caller's promise.
    let handle = unsafe { check(pointer, name) }?;
    // Relaxed: the flag publishes nothing; it only refuses what comes after.
    if handle.poisoned.load(Ordering::Relaxed) {
        return Err(Error::new(
            ErrorKind::Internal,
            format!("{name}: an earlier call on this {} failed internally; free it", H::NAME),
        ));
    }
    Ok(Borrowed { handle, panicking: std::thread::panicking() })
}

/// Frees the handle that the argument `name` points to, poisoned or not; NULL is fine.
///
/// # Safety
/// As for [`borrow`], and nobody uses the handle now or later.
pub unsafe fn free<H: Opaque>(pointer: *mut H, name: &str) -> Result<Outcome> {
    if pointer.is_null() {
        return Ok(Outcome::Done);
    }
    // SAFETY: the caller's promise.
    let handle = unsafe { check(pointer, name) }?;
    // An atomic, so that the store is made although nobody may read it any more.
    handle.tag.store(FREED, Ordering::Relaxed);
    // SAFETY: the tag said that new::<H> made it, and the caller promises that it is freed once.
    drop(unsafe { Box::from_raw(pointer.cast::<Handle<H>>()) });
    Ok(Outcome::Done)
}

/// # Safety
/// As for [`borrow`].
unsafe fn check<'a, H: Opaque>(pointer: *const H, name: &str) -> Result<&'a Handle<H>> {
    if pointer.is_null() {
        return Err(Error::invalid(format!("{name} must not be NULL")));
    }
    let pointer = pointer.cast::<Handle<H>>();
    if !pointer.is_aligned() {
        return Err(Error::invalid(format!("{name}: not an {} handle", H::NAME)));
    }
    // SAFETY: aligned, and every kind of handle starts with its tag; the reference covers the tag only.
    let found = unsafe { &*pointer.cast::<AtomicU64>() }.load(Ordering::Relaxed);
    if found == tag::<H>() {
        // SAFETY: the tag says that new::<H> made it; the caller promises that it lives for 'a.
        return Ok(unsafe { &*pointer });
    }
    let what = if found == FREED { "already freed" } else { "not an" };
    Err(Error::invalid(match found {
        FREED => format!("{name}: this handle is {what}"),
        _ => format!("{name}: {what} {} handle", H::NAME),
    }))
}

/// A handle in use by one call; derefs to what it owns. Unwinding out of the call poisons the handle.
pub struct Borrowed<'a, H: Opaque> {
    handle: &'a Handle<H>,
    /// The thread was panicking already, for reasons of its own.
    panicking: bool,
}

impl<H: Opaque> Deref for Borrowed<'_, H> {
    type Target = H::Inner;

    fn deref(&self) -> &H::Inner {
        &self.handle.inner
    }
}

impl<H: Opaque> Drop for Borrowed<'_, H> {
    fn drop(&mut self) {
        if !self.panicking && std::thread::panicking() {
            self.handle.poisoned.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::guard::guard;
    use crate::ffi::status::{AQ_E_INTERNAL, AQ_E_INVALID, AQ_OK, last_error};
    use std::sync::Arc;

    struct aq_apple;
    impl Opaque for aq_apple {
        const NAME: &'static str = "aq_apple";
        type Inner = Arc<str>;
    }

    struct aq_pear;
    impl Opaque for aq_pear {
        const NAME: &'static str = "aq_pear";
        type Inner = u32;
    }

    #[test]
    fn borrow_and_free() {
        let inner: Arc<str> = "seed".into();
        let apple = new::<aq_apple>(inner.clone());
        // SAFETY: a live handle.
        assert_eq!(&**unsafe { borrow(apple, "apple") }.unwrap(), "seed");
        // SAFETY: its only use from here on.
        unsafe { free(apple, "apple") }.unwrap();
        assert_eq!(Arc::strong_count(&inner), 1);
        // SAFETY: NULL.
        unsafe { free::<aq_apple>(std::ptr::null_mut(), "apple") }.unwrap();
    }

    #[test]
    fn what_is_no_such_handle_is_refused() {
        // SAFETY: NULL, then live handles.
        unsafe {
            let error = borrow::<aq_apple>(std::ptr::null(), "apple").err().unwrap();
            assert_eq!(error, Error::invalid("apple must not be NULL"));
            let pear = new::<aq_pear>(1);
            let error = borrow(pear.cast::<aq_apple>(), "apple").err().unwrap();
            assert_eq!(error, Error::invalid("apple: not an aq_apple handle"));
            assert!(free(pear.cast::<aq_apple>(), "apple").is_err());
            free(pear, "pear").unwrap();
            // What the memory of a freed handle most often still says, as long as it was not reused.
            let freed = AtomicU64::new(FREED);
            let error = borrow((&raw const freed).cast::<aq_apple>(), "apple").err().unwrap();
            assert_eq!(error, Error::invalid("apple: this handle is already freed"));
        }
    }

    #[test]
    fn a_panic_poisons_the_handles_of_its_call_only() {
        let (bad, good) = (new::<aq_pear>(1), new::<aq_pear>(2));
        let call = |pear: *mut aq_pear, fail: bool| {
            guard(|| {
                // SAFETY: live handles.
                let pear = unsafe { borrow(pear, "pear") }?;
                assert!(!fail, "a bug with pear {}", *pear);
                Ok(Outcome::Done)
            })
        };
        assert_eq!(call(bad, true), AQ_E_INTERNAL);
        assert!(last_error().ends_with("a bug with pear 1"), "{}", last_error());
        assert_eq!(call(bad, false), AQ_E_INTERNAL);
        assert_eq!(last_error(), "pear: an earlier call on this aq_pear failed internally; free it");
        assert_eq!(call(good, false), AQ_OK);
        // SAFETY: live handles, used no more.
        unsafe {
            assert_eq!(guard(|| free(bad.cast::<aq_apple>(), "apple")), AQ_E_INVALID);
            assert_eq!(guard(|| free(bad, "pear")), AQ_OK);
            assert_eq!(guard(|| free(good, "pear")), AQ_OK);
        }
    }
}
