//! What is known of a node from outside: whether it runs, what it counted, what went wrong, and a descriptor that tells when it has ended.
//!
//! Stored by the node's thread, and by who starts it; read by any thread. Invariant: `done` is raised exactly while the state is not `Running`, but for the moment
//! in which it changes.

use std::os::fd::{AsFd, BorrowedFd};

use parking_lot::{Condvar, Mutex};

use crate::error::{Error, Result};
use crate::ring::Wait;
use crate::signal::deadline::Deadline;
use crate::sys::eventfd::EventFd;

/// Where a node is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum State {
    /// Not started yet, or stopped.
    #[default]
    Stopped,
    /// Its thread takes chunks, or waits for them.
    Running,
    /// Its input has ended, and all that came was dealt with.
    Ended,
    /// It could not go on.
    Failed(Error),
}

/// What a node has counted since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeStats {
    /// Chunks that were taken from the input.
    pub chunks: u64,
    /// Frames in them.
    pub frames: u64,
    /// Gaps before them.
    pub gaps: u64,
    /// Frames that are missing there.
    pub missing_frames: u64,
    /// Times that the stream began again.
    pub restarts: u64,
    /// Errors: of what came and was no chunk of the stream, and that which ended the node.
    pub errors: u64,
    /// The index behind the last frame that was taken.
    pub index: u64,
}

/// Told when a node ends by itself.
pub type Watcher = dyn Fn(&State) + Send + Sync;

#[derive(Default)]
struct Inner {
    state: State,
    stats: NodeStats,
    last_error: Option<Error>,
    watcher: Option<std::sync::Arc<Watcher>>,
}

/// What the node's thread tells others.
pub struct Progress {
    inner: Mutex<Inner>,
    changed: Condvar,
    done: EventFd,
}

impl Progress {
    /// Of a node that was not started yet.
    pub fn new() -> Result<Self> {
        let done = EventFd::new().map_err(|e| Error::io("stream node: eventfd", &e))?;
        done.raise();
        Ok(Self { inner: Mutex::default(), changed: Condvar::new(), done })
    }

    /// Where the node is in its life.
    pub fn state(&self) -> State {
        self.inner.lock().state.clone()
    }

    /// What was counted up to now.
    pub fn stats(&self) -> NodeStats {
        self.inner.lock().stats
    }

    /// The last error since the node was started, if there was any.
    pub fn last_error(&self) -> Option<Error> {
        self.inner.lock().last_error.clone()
    }

    /// Readable, level-triggered, while the node does not run.
    pub fn done_fd(&self) -> BorrowedFd<'_> {
        self.done.as_fd()
    }

    /// Waits until the node does not run. `None`: it still does.
    pub fn wait(&self, wait: Wait) -> Option<State> {
        let deadline = Deadline::new(wait);
        let mut inner = self.inner.lock();
        while inner.state == State::Running {
            match deadline.left() {
                Wait::No => return None,
                Wait::For(time) => drop(self.changed.wait_for(&mut inner, time)),
                Wait::Forever => self.changed.wait(&mut inner),
            }
        }
        Some(inner.state.clone())
    }

    /// Has somebody told when the node ends by itself; instead of who was to be told before.
    ///
    /// # Errors
    /// `State`: there is another one.
    pub(super) fn watch(&self, watcher: std::sync::Arc<Watcher>) -> Result<()> {
        let mut inner = self.inner.lock();
        if inner.watcher.is_some() {
            return Err(Error::state("stream node: it is in a graph already"));
        }
        inner.watcher = Some(watcher);
        Ok(())
    }

    /// Nobody is told any more.
    pub(super) fn unwatch(&self) {
        self.inner.lock().watcher = None;
    }

    /// The node is about to run.
    pub(super) fn begin(&self) {
        let mut inner = self.inner.lock();
        inner.state = State::Running;
        inner.last_error = None;
        self.done.lower();
    }

    /// The node does not run any more. Those who watch are told if that was by itself.
    pub(super) fn end(&self, state: State) {
        let mut inner = self.inner.lock();
        if let State::Failed(error) = &state {
            inner.stats.errors += 1;
            inner.last_error = Some(error.clone());
        }
        inner.state = state.clone();
        self.done.raise();
        self.changed.notify_all();
        let watcher = inner.watcher.clone().filter(|_| state != State::Stopped);
        drop(inner);
        if let Some(watcher) = watcher {
            watcher(&state);
        }
    }

    /// Changes what is counted.
    pub(super) fn count(&self, change: impl FnOnce(&mut NodeStats)) {
        change(&mut self.inner.lock().stats);
    }

    /// Something came that was no chunk of the stream.
    pub(super) fn note(&self, error: &Error) {
        let mut inner = self.inner.lock();
        inner.stats.errors += 1;
        inner.last_error = Some(error.clone());
    }
}
