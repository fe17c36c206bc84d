//! The wish that a node stops: at once, or when it has dealt with what is on its way.
//!
//! Stored by any thread; the node's thread looks at it between two chunks, and waits for it together with its input. Invariant: `event` is raised from the
//! first wish on, until the next start. A wish may become more urgent, never less.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::ring::Wait;
use crate::sys::eventfd::EventFd;

/// How long a node waits for a slow output before it looks whether it is to stop: transports cannot be told to give up.
pub(super) const SLICE: Duration = Duration::from_millis(10);

const RUN: u8 = 0;
const DRAIN: u8 = 1;
const NOW: u8 = 2;

/// What a node takes before it stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Drain {
    /// Also what waits in the input; else only what the node has taken.
    pub input: bool,
    /// What is known to be on its way: frames before this index.
    pub target: Option<u64>,
    /// Until then; `None`: as long as it takes.
    pub deadline: Option<Instant>,
}

/// What a node is to do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wish {
    /// Go on.
    Run,
    /// Stop when that is done.
    Drain(Drain),
    /// Stop.
    Now,
}

/// See the module.
pub struct Stop {
    event: EventFd,
    wish: AtomicU8,
    drain: Mutex<Drain>,
    /// Whether, when the thread ended, nothing was left to do. Stored by it; looked at once it has ended.
    all_done: AtomicBool,
}

impl Stop {
    /// Nobody wishes it.
    pub fn new() -> Result<Self> {
        let event = EventFd::new().map_err(|e| Error::io("stream node: eventfd", &e))?;
        Ok(Self { event, wish: AtomicU8::new(RUN), drain: Mutex::default(), all_done: AtomicBool::new(true) })
    }

    /// At once: what the node holds is kept for the next start.
    pub fn now(&self) {
        // Release: with the Acquire in `wish`, for the order of what the caller did before; the event is raised behind it.
        self.wish.fetch_max(NOW, Ordering::Release);
        self.event.raise();
    }

    /// When that is done.
    pub fn drain(&self, drain: Drain) {
        *self.drain.lock() = drain;
        self.wish.fetch_max(DRAIN, Ordering::Release);
        self.event.raise();
    }

    /// The node is started: what was wished before is over.
    pub(super) fn reset(&self) {
        self.set_all_done(false);
        self.wish.store(RUN, Ordering::Release);
        self.event.lower();
    }

    /// The thread ends: whether nothing is left to do.
    pub(super) fn set_all_done(&self, all: bool) {
        self.all_done.store(all, Ordering::Release);
    }

    /// What the thread told when it ended.
    pub(super) fn is_all_done(&self) -> bool {
        self.all_done.load(Ordering::Acquire)
    }

    /// What is wished.
    pub(super) fn wish(&self) -> Wish {
        match self.wish.load(Ordering::Acquire) {
            RUN => Wish::Run,
            DRAIN => Wish::Drain(*self.drain.lock()),
            _ => Wish::Now,
        }
    }

    /// How long to wait for an output before this is asked again; `None`: not any longer.
    pub fn patience(&self) -> Option<Wait> {
        match self.wish.load(Ordering::Acquire) {
            RUN => Some(Wait::For(SLICE)),
            DRAIN => {
                let left = self
                    .drain
                    .lock()
                    .deadline
                    .map_or(SLICE, |end| end.saturating_duration_since(Instant::now()));
                (!left.is_zero()).then(|| Wait::For(left.min(SLICE)))
            }
            _ => None,
        }
    }

    /// Readable from the first wish on.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
