//! The caller's memory: outputs and arrays; and descriptors. NULL is an error with the argument's name. Any thread.

use std::ffi::{c_char, c_int};
use std::marker::PhantomData;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use super::guard::Outcome;
use crate::error::{Error, ErrorKind, Result};

/// Where a result goes: checked before the work, written after it and only on success.
pub struct Out<'a, T>(NonNull<T>, PhantomData<&'a mut T>);

impl<T> Out<'_, T> {
    /// The output argument `name`.
    ///
    /// # Safety
    /// `pointer` is NULL or may be written to as long as this value lives.
    pub unsafe fn new(pointer: *mut T, name: &str) -> Result<Self> {
        let pointer = NonNull::new(pointer).filter(|p| p.is_aligned());
        match pointer {
            Some(pointer) => Ok(Self(pointer, PhantomData)),
            None => Err(Error::invalid(format!("{name} must not be NULL (nor misaligned)"))),
        }
    }

    /// The output argument `name` of which the caller may not want to know.
    ///
    /// # Safety
    /// As for [`Self::new`].
    pub unsafe fn optional(pointer: *mut T, name: &str) -> Result<Option<Self>> {
        // SAFETY: the caller's promise.
        if pointer.is_null() { Ok(None) } else { unsafe { Self::new(pointer, name) }.map(Some) }
    }

    /// Writes the result. What was there, initialised or not, is overwritten.
    pub fn write(self, value: T) {
        // SAFETY: not NULL, aligned, and writable by the promise made to new.
        unsafe { self.0.write(value) }
    }
}

/// The `count` elements at the argument `name`, which may be NULL when there are none.
///
/// # Safety
/// `pointer` is NULL or points to `count` valid elements that nobody changes during `'a`.
pub unsafe fn slice<'a, T>(pointer: *const T, count: usize, name: &str) -> Result<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() || !pointer.is_aligned() {
        return Err(Error::invalid(format!(
            "{name} must not be NULL (nor misaligned) when there are {count} of it"
        )));
    }
    if count > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(Error::invalid(format!("{name}: there cannot be {count} of it")));
    }
    // SAFETY: not NULL, aligned, not larger than memory can be; the rest is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
}

/// Writes `text` to the caller's buffer, cut at a character's boundary to what fits, and ended by NUL.
///
/// # Safety
/// `buffer` is NULL or has `size` bytes that may be written.
pub unsafe fn write_text(text: &str, buffer: *mut c_char, size: usize) {
    if buffer.is_null() || size == 0 {
        return;
    }
    let cut = text.floor_char_boundary(size - 1);
    // SAFETY: cut + 1 <= size bytes may be written by the caller's promise; the text is none of the caller's memory.
    unsafe {
        buffer.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), cut);
        buffer.add(cut).write(0);
    }
}

/// Writes `text` and a NUL to the caller's buffer if both fit; and how many bytes they take to `needed`, in any case.
///
/// # Safety
/// `buffer` is NULL or has `size` bytes that may be written; `needed` is NULL or may be written.
pub unsafe fn write_whole_text(
    text: &str,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> Result<Outcome> {
    if buffer.is_null() && size > 0 {
        return Err(Error::invalid(format!("buffer must not be NULL when its size is {size}")));
    }
    let wanted = text.len() + 1;
    // SAFETY: the caller's promise.
    if let Some(needed) = unsafe { Out::optional(needed, "needed") }? {
        needed.write(wanted);
    }
    if size < wanted {
        let reason = format!("size must be at least {wanted}, which the text takes now (got {size})");
        return Err(Error::new(ErrorKind::Truncated, reason));
    }
    // SAFETY: the caller's promise.
    unsafe { write_text(text, buffer, size) };
    Ok(Outcome::Done)
}

/// Writes `numbers` to the caller's array of the argument `name` if they fit; and how many there are to `count`, in any case.
///
/// # Safety
/// `array` is NULL or has `capacity` numbers that may be written; `count` is NULL or may be written.
pub unsafe fn slice_out(
    numbers: &[u64],
    array: *mut u64,
    capacity: usize,
    count: *mut usize,
    name: &str,
) -> Result<Outcome> {
    if capacity > 0 && (array.is_null() || !array.is_aligned()) {
        return Err(Error::invalid(format!(
            "{name} must not be NULL (nor misaligned) when its capacity is {capacity}"
        )));
    }
    // SAFETY: the caller's promise.
    unsafe { Out::new(count, "ndim") }?.write(numbers.len());
    if capacity < numbers.len() {
        let reason = format!("capacity must be at least {} (got {capacity})", numbers.len());
        return Err(Error::new(ErrorKind::Truncated, reason));
    }
    if !numbers.is_empty() {
        // SAFETY: not NULL, aligned, and no more than `capacity` numbers, by the caller's promise.
        unsafe { array.copy_from_nonoverlapping(numbers.as_ptr(), numbers.len()) };
    }
    Ok(Outcome::Done)
}

/// A duplicate of a descriptor of the caller's, the argument `name`; -1 stands for none.
pub fn duplicate(fd: c_int, name: &str) -> Result<Option<OwnedFd>> {
    match fd {
        -1 => Ok(None),
        fd if fd < 0 => Err(Error::invalid(format!("{name} must be -1 or a descriptor (got {fd})"))),
        // SAFETY: borrowed only for the duplication, which fails on what is not an open descriptor.
        fd => unsafe { BorrowedFd::borrow_raw(fd) }
            .try_clone_to_owned()
            .map(Some)
            .map_err(|e| Error::io(format_args!("{name}: duplicating descriptor {fd}"), &e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr::{null, null_mut};

    #[test]
    fn outputs() {
        let mut value = 1;
        // SAFETY: NULL or a live variable.
        unsafe {
            Out::new(&raw mut value, "value").unwrap().write(2);
            assert!(Out::<i32>::new(null_mut(), "value").is_err());
            assert!(Out::<i32>::optional(null_mut(), "value").unwrap().is_none());
            assert!(Out::optional(&raw mut value, "value").unwrap().is_some());
        }
        assert_eq!(value, 2);
    }

    #[test]
    fn arrays() {
        let values = [1, 2, 3];
        // SAFETY: NULL or a live array.
        unsafe {
            assert_eq!(slice(values.as_ptr(), 2, "values").unwrap(), [1, 2]);
            assert!(slice::<i32>(null(), 0, "values").unwrap().is_empty());
            assert!(slice::<i32>(null(), 1, "values").is_err());
            assert!(slice(values.as_ptr(), usize::MAX, "values").is_err());
        }
    }
}
