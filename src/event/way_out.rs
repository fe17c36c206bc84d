//! The way out of a buffer: one thread at a time takes packets out, and that thread has the sinks.
//!
//! A flush holds it while it calls the program's functions. What these would do with the way out of the same buffer is refused instead of waiting
//! for ever.

use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::lock_api::GetThreadId;
use parking_lot::{Mutex, MutexGuard, RawThreadId};

use super::sink::Attached;
use crate::error::{Error, Result};

/// Where packets go.
#[derive(Default)]
pub(super) struct Outlets {
    /// In the order in which they were added; the primary one, if there is one, last.
    pub(super) sinks: Vec<Attached>,
}

#[derive(Default)]
pub(super) struct WayOut {
    outlets: Mutex<Outlets>,
    /// The thread that has it; 0: none. Only compared with one's own.
    owner: AtomicUsize,
}

/// Having the way out.
pub(super) struct Inside<'a> {
    outlets: MutexGuard<'a, Outlets>,
    owner: &'a AtomicUsize,
}

fn own_id() -> usize {
    NonZeroUsize::get(RawThreadId.nonzero_thread_id())
}

impl WayOut {
    /// Whether this thread has it: then it is in one of the program's functions that a flush calls.
    pub(super) fn is_mine(&self) -> bool {
        // Relaxed: a thread finds its own number only if it stored it itself.
        self.owner.load(Ordering::Relaxed) == own_id()
    }

    /// Waits until nobody else has it.
    pub(super) fn enter(&self) -> Result<Inside<'_>> {
        self.refuse_own()?;
        Ok(self.entered(self.outlets.lock()))
    }

    /// The same, not longer than until then: `None`.
    pub(super) fn enter_until(&self, deadline: Option<Instant>) -> Result<Option<Inside<'_>>> {
        let Some(deadline) = deadline else { return self.enter().map(Some) };
        self.refuse_own()?;
        Ok(self.outlets.try_lock_until(deadline).map(|outlets| self.entered(outlets)))
    }

    fn refuse_own(&self) -> Result<()> {
        if self.is_mine() {
            let reason = "event buffer: a function that is called by its flush cannot take packets out or change its sinks";
            return Err(Error::state(reason));
        }
        Ok(())
    }

    fn entered<'a>(&'a self, outlets: MutexGuard<'a, Outlets>) -> Inside<'a> {
        self.owner.store(own_id(), Ordering::Relaxed);
        Inside { outlets, owner: &self.owner }
    }
}

impl Deref for Inside<'_> {
    type Target = Outlets;

    fn deref(&self) -> &Outlets {
        &self.outlets
    }
}

impl DerefMut for Inside<'_> {
    fn deref_mut(&mut self) -> &mut Outlets {
        &mut self.outlets
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        // Before the lock is let go, as fields are dropped after this.
        self.owner.store(0, Ordering::Relaxed);
    }
}
