//! Futures in the order in which they were put into a pool: one thread asks, another takes the results in the same order.
//!
//! Any threads may add and take. One lock, held for moments; a future's own lock is taken within it, never the other way round. Invariant: the descriptor, once
//! asked for, is readable exactly while the first future is done, or there will be none.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, OnceLock};

use parking_lot::{Condvar, Mutex};

use super::future::Future;
use crate::error::{Error, Result};
use crate::ring::{GetError, Wait};
use crate::sys::eventfd::EventFd;

pub(super) struct Shared {
    state: Mutex<State>,
    added: Condvar,
    fd: OnceLock<EventFd>,
}

#[derive(Default)]
struct State {
    futures: VecDeque<Future>,
    closed: bool,
    raised: bool,
}

impl Shared {
    /// A future is done.
    pub(super) fn changed(&self) {
        if self.fd.get().is_some() {
            self.update(&mut self.state.lock());
        }
    }

    fn update(&self, state: &mut State) {
        let Some(fd) = self.fd.get() else { return };
        let ready = match state.futures.front() {
            Some(first) => first.is_done(),
            None => state.closed,
        };
        if ready != state.raised {
            state.raised = ready;
            if ready { fd.raise() } else { fd.lower() }
        }
    }
}

/// Futures, first in, first out.
pub struct RequestPool(Arc<Shared>);

impl Default for RequestPool {
    fn default() -> Self {
        Self::new()
    }
}

impl RequestPool {
    /// An empty pool.
    pub fn new() -> Self {
        let (state, added) = (Mutex::default(), Condvar::new());
        Self(Arc::new(Shared { state, added, fd: OnceLock::new() }))
    }

    /// Puts a future behind those that are there.
    ///
    /// # Errors
    /// The future, when the pool is closed.
    pub fn add(&self, future: Future) -> Result<(), Future> {
        let mut state = self.0.state.lock();
        if state.closed {
            return Err(future);
        }
        future.tell(&self.0);
        state.futures.push_back(future);
        self.0.update(&mut state);
        drop(state);
        self.0.added.notify_one();
        Ok(())
    }

    /// Takes the first future, done or not, waiting for one as long as `wait` allows.
    ///
    /// # Errors
    /// [`GetError::Stopped`]: the pool is closed, and empty.
    pub fn next(&self, wait: Wait) -> Result<Future, GetError> {
        let end = wait.end();
        let mut state = self.0.state.lock();
        let mut timed_out = false;
        loop {
            if let Some(future) = state.futures.pop_front() {
                self.0.update(&mut state);
                return Ok(future);
            }
            match (wait, end) {
                _ if state.closed => return Err(GetError::Stopped),
                (Wait::No, _) => return Err(GetError::Empty),
                _ if timed_out => return Err(GetError::TimedOut),
                (_, Some(end)) => timed_out = self.0.added.wait_until(&mut state, end).timed_out(),
                _ => self.0.added.wait(&mut state),
            }
        }
    }

    /// Futures in it.
    pub fn len(&self) -> usize {
        self.0.state.lock().futures.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Nothing can be added any more. What is there is delivered, then takers are told that the pool is stopped.
    pub fn close(&self) {
        let mut state = self.0.state.lock();
        state.closed = true;
        self.0.update(&mut state);
        drop(state);
        self.0.added.notify_all();
    }

    /// Readable while the first future is done, or the pool is closed and empty.
    ///
    /// # Errors
    /// `Io`: there are too many open files.
    pub fn fd(&self) -> Result<BorrowedFd<'_>> {
        let failed = |e: io::Error| Error::io("request pool: eventfd", &e);
        let mut state = self.0.state.lock();
        if self.0.fd.get().is_none() {
            // The lock is held: nobody else sets it.
            let _ = self.0.fd.set(EventFd::new().map_err(failed)?);
        }
        self.0.update(&mut state);
        let fd = self.0.fd.get().ok_or_else(|| Error::state("request pool: no descriptor"))?;
        Ok(fd.as_fd())
    }
}

impl fmt::Debug for RequestPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestPool").field("len", &self.len()).finish_non_exhaustive()
    }
}
