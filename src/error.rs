//! Errors: what kind, and one sentence that names the argument, the value and the rule.
//!
//! Expected outcomes (a ring is full, a wait timed out) are not errors: they have types of their own
//! where they arise. An [`Error`] is something a caller must hear about.

use std::fmt;

/// What went wrong, coarsely enough to act on. The C boundary maps each kind to one negative status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// An argument breaks its rule.
    Invalid,
    /// The object is not in a state that allows this call.
    State,
    /// Memory, or a limit set on it, is exhausted.
    NoMemory,
    /// The operating system refused; the message has its reason.
    Io,
    /// Data does not follow its format.
    Format,
    /// A struct or a file comes from a newer version of this library.
    Version,
    /// This build or this machine cannot do it; the message names the missing feature.
    Unsupported,
    /// Something looked up by name or index does not exist.
    NotFound,
    /// Data ends in the middle of something.
    Truncated,
    /// A bug in this library.
    Internal,
}

/// An error of this library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// The result of anything in this library that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` whose `message` names the argument, the value and the rule.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// An argument that breaks its rule.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// A call that the object's state does not allow.
    pub fn state(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::State, message)
    }

    /// A refusal of the operating system: `call` says what was tried, on what.
    pub fn io(call: impl fmt::Display, reason: &std::io::Error) -> Self {
        Self::new(ErrorKind::Io, format!("{call}: {reason}"))
    }

    /// The kind, to act on.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The sentence, to show.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
