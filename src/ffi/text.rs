//! C strings in: NULL rules and UTF-8 checks. Any thread.

use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Error, Result};

/// The text of the argument `name`: not NULL, and UTF-8.
///
/// # Safety
/// `pointer` is NULL or a NUL-terminated string that nobody changes during `'a`.
pub unsafe fn required<'a>(pointer: *const c_char, name: &str) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    unsafe { optional(pointer, name) }?.ok_or_else(|| Error::invalid(format!("{name} must not be NULL")))
}

/// The text of the argument `name`: UTF-8, or NULL for none.
///
/// # Safety
/// As for [`required`].
pub unsafe fn optional<'a>(pointer: *const c_char, name: &str) -> Result<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL; the rest is the caller's promise.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str()
        .map(Some)
        .map_err(|e| Error::invalid(format!("{name} must be UTF-8 (byte {} is not)", e.valid_up_to())))
}

/// The path of the argument `name`: not NULL and not empty; any bytes, as the file system has them.
///
/// # Safety
/// As for [`required`].
pub unsafe fn path<'a>(pointer: *const c_char, name: &str) -> Result<&'a Path> {
    if pointer.is_null() {
        return Err(Error::invalid(format!("{name} must not be NULL")));
    }
    // SAFETY: not NULL; the rest is the caller's promise.
    let bytes = unsafe { CStr::from_ptr(pointer) }.to_bytes();
    if bytes.is_empty() {
        return Err(Error::invalid(format!("{name} must not be empty")));
    }
    Ok(Path::new(OsStr::from_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr::null;

    #[test]
    fn texts_and_paths() {
        let (text, bytes) = (c"gr\u{fc}n", c"gr\xfcn");
        // SAFETY: NULL or static strings.
        unsafe {
            assert_eq!(required(text.as_ptr(), "colour").unwrap(), "gr\u{fc}n");
            assert_eq!(required(null(), "colour"), Err(Error::invalid("colour must not be NULL")));
            assert_eq!(optional(null(), "colour"), Ok(None));
            let error = optional(bytes.as_ptr(), "colour").unwrap_err();
            assert_eq!(error, Error::invalid("colour must be UTF-8 (byte 2 is not)"));
            assert_eq!(path(bytes.as_ptr(), "path").unwrap().as_os_str().len(), 4);
            assert!(path(c"".as_ptr(), "path").is_err());
            assert!(path(null(), "path").is_err());
        }
    }
}
