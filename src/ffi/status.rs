//! Status and errors
//!
//! Every function that can fail returns an `aq_status`: zero is success, a positive value is an expected outcome (a
//! ring is empty, a wait timed out), a negative value is an error. Outputs are written only on AQ_OK. After an error,
//! aq_last_error() says in one sentence which argument broke which rule.

// The message lives in a fixed thread-local buffer without a destructor: setting it cannot fail, allocates nothing and
// works while a thread is being torn down. Only its own thread ever touches it.

use std::cell::Cell;
use std::ffi::{CStr, c_char};
use std::fmt::{self, Write};

use crate::error::{Error, ErrorKind};

/// What a call came to: zero, an expected outcome (> 0) or an error (< 0).
pub type aq_status = i32;

/// Done.
pub const AQ_OK: aq_status = 0;
/// There is nothing to get, and the call was not to wait.
pub const AQ_EMPTY: aq_status = 1;
/// There is no space, and the call was not to wait.
pub const AQ_FULL: aq_status = 2;
/// The time allowed for waiting is over.
pub const AQ_TIMEOUT: aq_status = 3;
/// The object is stopped and will not do this any more.
pub const AQ_STOPPED: aq_status = 4;

/// An argument breaks its rule: NULL, out of range, not UTF-8, a wrong handle.
pub const AQ_E_INVALID: aq_status = -1;
/// The object is not in a state that allows this call.
pub const AQ_E_STATE: aq_status = -2;
/// Memory, or a limit set on it, is exhausted.
pub const AQ_E_NOMEM: aq_status = -3;
/// The operating system refused; aq_last_error() has its reason.
pub const AQ_E_IO: aq_status = -4;
/// Data does not follow its format.
pub const AQ_E_FORMAT: aq_status = -5;
/// A struct or a file comes from a newer version of this library and uses what this version does not know.
pub const AQ_E_VERSION: aq_status = -6;
/// This build or this machine cannot do it; aq_last_error() names the missing feature.
pub const AQ_E_UNSUPPORTED: aq_status = -7;
/// Something looked up by name or index does not exist.
pub const AQ_E_NOT_FOUND: aq_status = -8;
/// Data ends in the middle of something, or the caller's buffer is too small for it.
pub const AQ_E_TRUNCATED: aq_status = -9;
/// A bug in this library. The handle of the call answers AQ_E_INTERNAL from now on; free it.
pub const AQ_E_INTERNAL: aq_status = -10;

/// A short text for a status, in English, e.g. "timed out".
///
/// @param status any number; unknown ones have a text, too
/// @return static text, never NULL
///
/// Threads: any, at any time.
#[unsafe(no_mangle)]
pub extern "C" fn aq_status_string(status: aq_status) -> *const c_char {
    let text = match status {
        AQ_OK => c"ok",
        AQ_EMPTY => c"empty",
        AQ_FULL => c"full",
        AQ_TIMEOUT => c"timed out",
        AQ_STOPPED => c"stopped",
        AQ_E_INVALID => c"invalid argument",
        AQ_E_STATE => c"not allowed in this state",
        AQ_E_NOMEM => c"out of memory",
        AQ_E_IO => c"the operating system refused",
        AQ_E_FORMAT => c"malformed data",
        AQ_E_VERSION => c"from a newer version",
        AQ_E_UNSUPPORTED => c"not supported",
        AQ_E_NOT_FOUND => c"not found",
        AQ_E_TRUNCATED => c"truncated",
        AQ_E_INTERNAL => c"internal error",
        _ => c"unknown status",
    };
    text.as_ptr()
}

/// The sentence of this thread's last error, e.g. "capacity must be at least 1 (got 0)".
///
/// Only errors (negative statuses) change it: like errno, it has a meaning only right after a call that failed.
///
/// @return UTF-8 text, never NULL, "" before the first error; at most 1023 bytes. It belongs to the library and is
///         overwritten by the next error of this thread, and gone with the thread: copy it to keep it.
///
/// Threads: any; each has its own.
#[unsafe(no_mangle)]
pub extern "C" fn aq_last_error() -> *const c_char {
    LAST_ERROR.with(|buffer| buffer.as_ptr().cast())
}

/// The bytes of a message with its terminating NUL.
const LAST_ERROR_SIZE: usize = 1024;

thread_local! {
    /// NUL-terminated UTF-8; the last byte is never written and stays 0.
    static LAST_ERROR: [Cell<u8>; LAST_ERROR_SIZE] = const { [const { Cell::new(0) }; LAST_ERROR_SIZE] };
}

/// Makes `message` this thread's last error, cut to fit at a character's boundary. Never fails, never allocates.
pub fn set_last_error(message: impl fmt::Display) {
    LAST_ERROR.with(|buffer| {
        let mut cursor = Cursor { buffer, used: 0 };
        // An Err only says that the text was cut.
        let _ = write!(cursor, "{message}");
        buffer[cursor.used].set(0);
    });
}

/// This thread's last error, for tests.
pub fn last_error() -> String {
    // SAFETY: the buffer is NUL-terminated at all times and only this thread writes to it.
    unsafe { CStr::from_ptr(aq_last_error()) }.to_string_lossy().into_owned()
}

struct Cursor<'a> {
    buffer: &'a [Cell<u8>; LAST_ERROR_SIZE],
    /// Bytes written; < LAST_ERROR_SIZE, so that there is always room for the NUL.
    used: usize,
}

impl Write for Cursor<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LAST_ERROR_SIZE - 1 - self.used;
        let fits = &text[..text.floor_char_boundary_at(room)];
        for byte in fits.bytes() {
            // A NUL inside would end the text for C.
            self.buffer[self.used].set(if byte == 0 { b' ' } else { byte });
            self.used += 1;
        }
        if fits.len() == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

trait FloorCharBoundary {
    /// The largest character boundary that is at most `limit`.
    fn floor_char_boundary_at(&self, limit: usize) -> usize;
}

impl FloorCharBoundary for str {
    fn floor_char_boundary_at(&self, limit: usize) -> usize {
        // A boundary is at most three bytes away, and 0 is one.
        (0..=limit.min(self.len())).rev().find(|&i| self.is_char_boundary(i)).unwrap_or(0)
    }
}

/// The status of an error.
pub fn of(error: &Error) -> aq_status {
    match error.kind() {
        ErrorKind::Invalid => AQ_E_INVALID,
        ErrorKind::State => AQ_E_STATE,
        ErrorKind::NoMemory => AQ_E_NOMEM,
        ErrorKind::Io => AQ_E_IO,
        ErrorKind::Format => AQ_E_FORMAT,
        ErrorKind::Version => AQ_E_VERSION,
        ErrorKind::Unsupported => AQ_E_UNSUPPORTED,
        ErrorKind::NotFound => AQ_E_NOT_FOUND,
        ErrorKind::Truncated => AQ_E_TRUNCATED,
        ErrorKind::Internal => AQ_E_INTERNAL,
    }
}

/// The kind of an error that a function of the program answers; `None` for numbers that say nothing about what went wrong.
pub fn kind(status: aq_status) -> Option<ErrorKind> {
    Some(match status {
        AQ_E_INVALID => ErrorKind::Invalid,
        AQ_E_STATE => ErrorKind::State,
        AQ_E_NOMEM => ErrorKind::NoMemory,
        AQ_E_IO => ErrorKind::Io,
        AQ_E_FORMAT => ErrorKind::Format,
        AQ_E_VERSION => ErrorKind::Version,
        AQ_E_UNSUPPORTED => ErrorKind::Unsupported,
        AQ_E_NOT_FOUND => ErrorKind::NotFound,
        AQ_E_TRUNCATED => ErrorKind::Truncated,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_cut_at_a_character() {
        set_last_error("short");
        assert_eq!(last_error(), "short");
        // 'é' has two bytes: 1023 is in the middle of one.
        set_last_error("é".repeat(LAST_ERROR_SIZE));
        assert_eq!(last_error(), "é".repeat((LAST_ERROR_SIZE - 1) / 2));
        set_last_error("x".repeat(LAST_ERROR_SIZE - 1));
        assert_eq!(last_error().len(), LAST_ERROR_SIZE - 1);
        set_last_error(format_args!("{}{}", "x".repeat(LAST_ERROR_SIZE - 2), "éx"));
        assert_eq!(last_error().len(), LAST_ERROR_SIZE - 2);
        set_last_error("a\0b");
        assert_eq!(last_error(), "a b");
    }

    #[test]
    fn each_thread_has_its_own_message() {
        set_last_error("mine");
        std::thread::spawn(|| {
            assert_eq!(last_error(), "");
            set_last_error("theirs");
        })
        .join()
        .unwrap();
        assert_eq!(last_error(), "mine");
    }
}
