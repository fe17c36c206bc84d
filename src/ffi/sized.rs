//! Sized structs: configurations in, statistics out, between callers and libraries of different versions.
//!
//! Such a struct starts with `size_t struct_size` and only ever grows at its end. Invariant: of the caller's struct,
//! exactly `struct_size` bytes are read or written, whatever this version's size is.
//!
//! | the caller's struct | `init` and `write` | `read` |
//! |---|---|---|
//! | shorter (an older header) | writes as much as it holds | the missing tail has its defaults |
//! | as long | writes it all | takes it all |
//! | longer (a newer header) | zeroes the unknown tail | refuses an unknown tail that is not zero: `AQ_E_VERSION` |
//! | shorter than the first version, 0, absurdly long | `AQ_E_INVALID` | `AQ_E_INVALID` |
//!
//! Any thread.

use std::mem::MaybeUninit;

use super::guard::Outcome;
use crate::error::{Error, ErrorKind, Result};

/// No version of a struct is this much longer than the one we know: it is a struct that was never initialised.
const LONGEST_TAIL: usize = 4096;

/// A struct that C fills or reads by its size.
///
/// # Safety
/// The type is `repr(C)`, its first field is `struct_size: usize`, any bytes are a valid value of it (integers, floats,
/// raw pointers, `Option<fn>`), and it has no padding: fill it with `reserved` fields, or a later version's field
/// would take the place of bytes that an older caller never wrote. (c-tests check the last two.)
pub unsafe trait SizedStruct: Copy {
    /// C's name.
    const NAME: &'static str;
    /// The size of the first version of this struct; never changes, though the struct grows.
    const FIRST_SIZE: usize;
    /// Every field's default; `struct_size` is ignored.
    const DEFAULT: Self;
}

/// Writes the defaults: the body of `_init(&c, sizeof c)`.
///
/// # Safety
/// `out` is NULL or has `struct_size` bytes that may be written.
pub unsafe fn init<S: SizedStruct>(out: *mut S, struct_size: usize, name: &str) -> Result<Outcome> {
    check::<S>(out, struct_size, name)?;
    // SAFETY: not NULL, aligned, and struct_size bytes by the caller's promise.
    unsafe { store(out, struct_size, &S::DEFAULT) };
    Ok(Outcome::Done)
}

/// Reads a struct that the caller has filled. `struct_size` of the result is of no meaning.
///
/// # Safety
/// `pointer` is NULL or has a readable `struct_size` and as many initialised bytes as it says.
pub unsafe fn read<S: SizedStruct>(pointer: *const S, name: &str) -> Result<S> {
    // SAFETY: the caller's promise.
    let (value, tail) = unsafe { read_known(pointer, name) }?;
    tail.map(|()| value)
}

/// As [`read`], for a struct that hands something over: what this version knows of it, and beside it whether there is
/// more, which is an error but no reason to keep what was handed over.
///
/// # Safety
/// As for [`read`].
pub unsafe fn read_known<S: SizedStruct>(pointer: *const S, name: &str) -> Result<(S, Result<()>)> {
    check::<S>(pointer, size_of::<usize>().max(S::FIRST_SIZE), name)?;
    // SAFETY: not NULL, aligned, and the first field of every S.
    let struct_size = unsafe { pointer.cast::<usize>().read() };
    check::<S>(pointer, struct_size, name)?;
    let known = struct_size.min(size_of::<S>());
    // SAFETY: within the caller's struct_size bytes.
    let unknown = (known..struct_size).find(|&i| unsafe { pointer.cast::<u8>().add(i).read() } != 0);
    let tail = unknown.map_or(Ok(()), |i| {
        let name = format!("{name}: {}", S::NAME);
        let reason = format!("{name} of a newer version sets what this version does not know (byte {i})");
        Err(Error::new(ErrorKind::Version, reason))
    });
    let mut value = MaybeUninit::new(S::DEFAULT);
    // SAFETY: `known` bytes are readable there and fit here; the caller's struct is none of ours, so they don't overlap.
    unsafe { pointer.cast::<u8>().copy_to_nonoverlapping(value.as_mut_ptr().cast::<u8>(), known) };
    // SAFETY: initialised with DEFAULT, and any bytes are a valid S.
    Ok((unsafe { value.assume_init() }, tail))
}

/// As [`read`]; NULL stands for the defaults.
///
/// # Safety
/// As for [`read`].
pub unsafe fn read_or_default<S: SizedStruct>(pointer: *const S, name: &str) -> Result<S> {
    // SAFETY: the caller's promise.
    if pointer.is_null() { Ok(S::DEFAULT) } else { unsafe { read(pointer, name) } }
}

/// Writes a result into a struct whose `struct_size` the caller has set with `_init`.
///
/// # Safety
/// `out` is NULL or has a readable `struct_size` and as many writable bytes as it says.
pub unsafe fn write<S: SizedStruct>(out: *mut S, value: &S, name: &str) -> Result<Outcome> {
    // SAFETY: the caller's promise.
    unsafe { writable(out, name) }?;
    // SAFETY: not NULL, aligned, and the first field of every S.
    let struct_size = unsafe { out.cast::<usize>().read() };
    // SAFETY: not NULL, aligned, and struct_size bytes by the caller's promise.
    unsafe { store(out, struct_size, value) };
    Ok(Outcome::Done)
}

/// Checks that [`write()`] could write there, before something is done that cannot be undone.
///
/// # Safety
/// As for [`write()`].
pub unsafe fn writable<S: SizedStruct>(out: *mut S, name: &str) -> Result<()> {
    check::<S>(out, size_of::<usize>().max(S::FIRST_SIZE), name)?;
    // SAFETY: not NULL, aligned, and the first field of every S.
    check::<S>(out, unsafe { out.cast::<usize>().read() }, name)
}

/// A yes-or-no field or argument.
pub fn flag(value: i32, name: &str) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::invalid(format!("{name} must be 0 or 1 (got {value})"))),
    }
}

/// A field without a meaning in this version. A newer one may give it one, and callers who then set it must hear that this
/// version cannot do that yet.
pub fn reserved(value: impl Into<i64>, name: &str) -> Result<()> {
    match value.into() {
        0 => Ok(()),
        value => Err(Error::new(ErrorKind::Version, format!("{name} must be 0 (got {value})"))),
    }
}

fn check<S: SizedStruct>(pointer: *const S, struct_size: usize, name: &str) -> Result<()> {
    if pointer.is_null() {
        return Err(Error::invalid(format!("{name} must not be NULL")));
    }
    if !pointer.is_aligned() {
        return Err(Error::invalid(format!("{name} is not aligned as an {} must be", S::NAME)));
    }
    let range = S::FIRST_SIZE..=size_of::<S>() + LONGEST_TAIL;
    // Every version's size is a multiple of the alignment: anything else would end within a field.
    if !range.contains(&struct_size) || !struct_size.is_multiple_of(align_of::<S>()) {
        return Err(Error::invalid(format!(
            "{name}: struct_size {struct_size} is not the size of any {0}; fill it with {0}_init(&s, sizeof s)",
            S::NAME
        )));
    }
    Ok(())
}

/// # Safety
/// `out` is aligned and has `struct_size` writable bytes, at least a `usize`.
unsafe fn store<S: SizedStruct>(out: *mut S, struct_size: usize, value: &S) {
    let known = struct_size.min(size_of::<S>());
    // SAFETY: the caller's promise; `known` bytes of an S are readable, the rest is the tail that we do not know.
    unsafe {
        (&raw const *value).cast::<u8>().copy_to(out.cast::<u8>(), known);
        out.cast::<u8>().add(known).write_bytes(0, struct_size - known);
        out.cast::<usize>().write(struct_size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::guard::guard;
    use crate::ffi::status::{AQ_E_INVALID, AQ_E_VERSION, AQ_OK, last_error};
    use std::ptr::{null, null_mut};

    /// Three versions of one struct: the library under test knows the second.
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct First {
        struct_size: usize,
        a: u64,
    }
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Second {
        first: First,
        b: u64,
    }
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Third {
        second: Second,
        c: u64,
    }

    // SAFETY: integers only, struct_size first, no padding.
    unsafe impl SizedStruct for Second {
        const NAME: &'static str = "aq_second";
        const FIRST_SIZE: usize = size_of::<First>();
        const DEFAULT: Self = Self { first: First { struct_size: 0, a: 1 }, b: 2 };
    }

    const FILL: Third = Third { second: Second { first: First { struct_size: 99, a: 99 }, b: 99 }, c: 99 };

    fn init_as(size: usize) -> (Result<Outcome>, Third) {
        let mut s = FILL;
        // SAFETY: no more than sizeof s, or refused before anything is written.
        let result = unsafe { init((&raw mut s).cast::<Second>(), size, "s") };
        (result, s)
    }

    fn third(struct_size: usize, a: u64, b: u64, c: u64) -> Third {
        Third { second: Second { first: First { struct_size, a }, b }, c }
    }

    fn read_third(s: &Third) -> Result<Second> {
        // SAFETY: a live struct, not shorter than its struct_size (or refused).
        unsafe { read((&raw const *s).cast::<Second>(), "s") }
    }

    #[test]
    fn init_writes_what_the_caller_has_room_for() {
        assert_eq!(init_as(16).1, third(16, 1, 99, 99));
        assert_eq!(init_as(24).1, third(24, 1, 2, 99));
        assert_eq!(init_as(32).1, third(32, 1, 2, 0));
        for size in [0, 8, 15, 17, 24 + LONGEST_TAIL + 8, usize::MAX] {
            assert!(init_as(size).0.is_err(), "{size}");
            assert_eq!(init_as(size).1, FILL);
        }
    }

    #[test]
    fn read_takes_defaults_for_what_is_missing_and_refuses_what_it_does_not_know() {
        assert_eq!(read_third(&third(16, 7, 99, 99)).unwrap(), third(16, 7, 2, 0).second);
        assert_eq!(read_third(&third(24, 7, 8, 99)).unwrap(), third(24, 7, 8, 0).second);
        assert_eq!(read_third(&third(32, 7, 8, 0)).unwrap(), third(32, 7, 8, 0).second);
        assert_eq!(read_third(&third(32, 7, 8, 1 << 56)).unwrap_err().kind(), ErrorKind::Version);
        for size in [0, 8, 15, 17, 24 + LONGEST_TAIL + 8, usize::MAX] {
            assert_eq!(read_third(&third(size, 7, 8, 0)).unwrap_err().kind(), ErrorKind::Invalid, "{size}");
        }
    }

    #[test]
    fn write_keeps_the_callers_size() {
        let value = third(0, 7, 8, 0).second;
        for (size, expected) in [
            (16, third(16, 7, 99, 99)),
            (24, third(24, 7, 8, 99)),
            (32, third(32, 7, 8, 0)),
            (0, third(0, 99, 99, 99)),
        ] {
            let mut s = FILL;
            s.second.first.struct_size = size;
            // SAFETY: a live struct, not shorter than its struct_size.
            let _ = unsafe { write((&raw mut s).cast::<Second>(), &value, "s") };
            assert_eq!(s, expected);
        }
    }

    #[test]
    fn what_the_caller_hears() {
        // SAFETY: NULL, or live structs.
        unsafe {
            assert_eq!(guard(|| init::<Second>(null_mut(), 24, "s")), AQ_E_INVALID);
            assert_eq!(last_error(), "s must not be NULL");
            assert_eq!(guard(|| read::<Second>(null(), "s").map(|_| Outcome::Done)), AQ_E_INVALID);
            assert_eq!(read_or_default::<Second>(null(), "s").unwrap().b, 2);
            let mut s = third(0, 1, 2, 3);
            let pointer = (&raw mut s).cast::<Second>();
            assert_eq!(guard(|| read(pointer, "s").map(|_| Outcome::Done)), AQ_E_INVALID);
            assert_eq!(
                last_error(),
                "s: struct_size 0 is not the size of any aq_second; fill it with aq_second_init(&s, sizeof s)"
            );
            pointer.cast::<Third>().write(third(32, 1, 2, 3));
            assert_eq!(guard(|| read(pointer, "s").map(|_| Outcome::Done)), AQ_E_VERSION);
            assert_eq!(guard(|| init(pointer, size_of::<Third>(), "s")), AQ_OK);
            let misaligned = pointer.byte_add(1);
            assert_eq!(guard(|| init(misaligned, 24, "s")), AQ_E_INVALID);
        }
    }
}
