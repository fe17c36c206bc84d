//! How long a call may wait, and what comes of it when nothing was put or got.
//!
//! Plain values: no state, no invariant, any thread.

use std::fmt;
use std::time::{Duration, Instant};

/// How long a call may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wait {
    /// Not at all: the call answers at once.
    No,
    /// At most this long, from the call. A duration beyond what the clock can count is `Forever`.
    For(Duration),
    /// Until there is an answer. Stopping the ring is one.
    Forever,
}

impl Wait {
    /// When a wait that begins now ends; `None`: never.
    pub fn end(self) -> Option<Instant> {
        match self {
            Self::No => Some(Instant::now()),
            Self::For(time) => Instant::now().checked_add(time),
            Self::Forever => None,
        }
    }
}

/// Why an item was not put. It is always handed back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PutError<T> {
    /// The ring is full and the call was not to wait.
    Full(T),
    /// The ring was full for as long as the call might wait.
    TimedOut(T),
    /// The ring is stopped: no put will succeed again.
    Stopped(T),
}

impl<T> PutError<T> {
    /// The item that was not put.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item) | Self::TimedOut(item) | Self::Stopped(item) => item,
        }
    }

    /// Name and sentence, for `Debug` and `Display`: the item itself need not be printable.
    fn words(&self) -> (&'static str, &'static str) {
        match self {
            Self::Full(_) => ("Full", "the ring is full"),
            Self::TimedOut(_) => ("TimedOut", "the ring stayed full for as long as the call might wait"),
            Self::Stopped(_) => ("Stopped", "the ring is stopped"),
        }
    }
}

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(..)", self.words().0)
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words().1)
    }
}

impl<T> std::error::Error for PutError<T> {}

/// Why there is no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GetError {
    /// The ring is empty and the call was not to wait.
    Empty,
    /// The ring was empty for as long as the call might wait.
    TimedOut,
    /// The ring is stopped and everything that was put has been got: there will be no more.
    Stopped,
}

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the ring is empty",
            Self::TimedOut => "the ring stayed empty for as long as the call might wait",
            Self::Stopped => "the ring is stopped and empty",
        })
    }
}

impl std::error::Error for GetError {}
