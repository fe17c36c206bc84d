//! The body of every exported function that can fail: nothing gets out of it but a status.
//!
//! Invariant: no panic crosses into C. Any thread.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::callback;
use super::log;
use super::status::{self, AQ_E_INTERNAL, AQ_EMPTY, AQ_FULL, AQ_OK, AQ_STOPPED, AQ_TIMEOUT, aq_status};
use crate::error::Error;

/// What a call that did not fail came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `AQ_OK`
    Done,
    /// `AQ_EMPTY`
    Empty,
    /// `AQ_FULL`
    Full,
    /// `AQ_TIMEOUT`
    TimedOut,
    /// `AQ_STOPPED`
    Stopped,
}

impl From<Outcome> for aq_status {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => AQ_OK,
            Outcome::Empty => AQ_EMPTY,
            Outcome::Full => AQ_FULL,
            Outcome::TimedOut => AQ_TIMEOUT,
            Outcome::Stopped => AQ_STOPPED,
        }
    }
}

/// Runs `call`. An error becomes its status and this thread's message; a panic becomes `AQ_E_INTERNAL`, and the handles
/// that the call had borrowed ([`super::handle::borrow`]) are poisoned as it unwinds.
pub fn guard(call: impl FnOnce() -> Result<Outcome, Error>) -> aq_status {
    // AssertUnwindSafe: what the call may have left half-done is reachable through its handles only, and those are
    // poisoned.
    let result = catch_unwind(AssertUnwindSafe(|| {
        log::install();
        callback::calling(call)
    }));
    match result {
        Ok(Ok(outcome)) => outcome.into(),
        Ok(Err(error)) => {
            status::set_last_error(error.message());
            status::of(&error)
        }
        Err(payload) => {
            let text = match payload.downcast_ref::<&str>() {
                Some(text) => Some(*text),
                None => payload.downcast_ref::<String>().map(String::as_str),
            };
            status::set_last_error(format_args!(
                "internal error, please report it: {}",
                text.unwrap_or("a panic without a text")
            ));
            // The payload's own destructor might panic, too: a payload that is not text is leaked.
            if text.is_none() {
                std::mem::forget(payload);
            }
            AQ_E_INTERNAL
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::status::{AQ_E_INVALID, last_error};

    #[test]
    fn nothing_but_a_status_gets_out() {
        assert_eq!(guard(|| Ok(Outcome::TimedOut)), AQ_TIMEOUT);
        assert_eq!(guard(|| Err(Error::invalid("n must be 1 (got 2)"))), AQ_E_INVALID);
        assert_eq!(last_error(), "n must be 1 (got 2)");
        assert_eq!(guard(|| panic!("static")), AQ_E_INTERNAL);
        assert_eq!(last_error(), "internal error, please report it: static");
        assert_eq!(guard(|| panic!("formatted {}", 1)), AQ_E_INTERNAL);
        assert_eq!(last_error(), "internal error, please report it: formatted 1");
    }

    #[test]
    fn a_payload_that_panics_when_dropped_stays_inside() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        assert_eq!(guard(|| std::panic::panic_any(Bomb)), AQ_E_INTERNAL);
        assert_eq!(last_error(), "internal error, please report it: a panic without a text");
    }
}
