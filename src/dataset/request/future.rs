//! Futures: the result of a request, which is there or will be.
//!
//! A thread of the reader writes it, any thread takes it. One lock, held for moments: no result is copied, and nobody's code run, under it. Invariant: a result
//! is taken once; nobody waits for one that will not come.

use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::{Condvar, Mutex};

use super::pool;
use super::stage::Lease;
use crate::error::Error;
use crate::ring::Wait;

/// Why there is no result, or no request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoResult {
    /// Not yet, and the call was not to wait.
    Empty,
    /// Not for as long as the call might wait.
    TimedOut,
    /// The reader was stopped before.
    Stopped,
    /// There will be none.
    Failed(Error),
}

impl fmt::Display for NoResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("not ready"),
            Self::TimedOut => f.write_str("not ready for as long as the call might wait"),
            Self::Stopped => f.write_str("the reader is stopped"),
            Self::Failed(reason) => reason.fmt(f),
        }
    }
}

enum State {
    Waiting,
    Ready(Lease),
    Taken,
    Stopped,
    Failed(Error),
    /// Nobody can take it any more.
    Dropped,
}

/// What came of a request.
pub(super) enum End {
    Ready(Lease),
    Stopped,
    Failed(Error),
}

pub(super) struct Shared {
    state: Mutex<State>,
    done: Condvar,
    /// Told at the end.
    pool: Mutex<Weak<pool::Shared>>,
    shape: Vec<u64>,
    item: usize,
    size: usize,
}

impl Shared {
    /// Of a result of that shape, of items of that size, and of that many bytes in all.
    pub(super) fn new(shape: Vec<u64>, item: usize, size: usize) -> Arc<Self> {
        let pool = Mutex::new(Weak::new());
        Arc::new(Self { state: Mutex::new(State::Waiting), done: Condvar::new(), pool, shape, item, size })
    }

    /// Bytes of the result.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Whether somebody may still want it.
    pub(super) fn is_wanted(&self) -> bool {
        !matches!(*self.state.lock(), State::Dropped)
    }

    /// Once, by the thread that has the request.
    pub(super) fn end(&self, end: End) {
        let mut state = self.state.lock();
        if matches!(*state, State::Dropped) {
            // `end` gives the stage back, after the lock.
            drop(state);
            return;
        }
        *state = match end {
            End::Ready(lease) => State::Ready(lease),
            End::Stopped => State::Stopped,
            End::Failed(reason) => State::Failed(reason),
        };
        drop(state);
        self.done.notify_all();
        let pool = self.pool.lock().upgrade();
        if let Some(pool) = pool {
            pool.changed();
        }
    }
}

/// A result that is there or will be. It is taken once, by any thread; dropping the future gives its stage back.
pub struct Future(pub(super) Arc<Shared>);

impl Future {
    /// The shape of the result: no axis where the selection has an index.
    pub fn shape(&self) -> &[u64] {
        &self.0.shape
    }

    /// Bytes of the result.
    pub fn size(&self) -> usize {
        self.0.size
    }

    /// Bytes of each of its items.
    pub fn item_size(&self) -> usize {
        self.0.item
    }

    /// Whether [`take`](Self::take) would not wait.
    pub fn is_done(&self) -> bool {
        !matches!(*self.0.state.lock(), State::Waiting)
    }

    /// Waits for the result as long as `wait` allows, and takes it.
    ///
    /// # Errors
    /// [`NoResult`]; it was taken before: `State`.
    pub fn take(&self, wait: Wait) -> Result<ResultView, NoResult> {
        let end = wait.end();
        let mut state = self.0.state.lock();
        let mut timed_out = false;
        loop {
            match &*state {
                State::Waiting => {}
                State::Ready(_) => break,
                State::Taken | State::Dropped => {
                    return Err(NoResult::Failed(Error::state("future: its result was taken before")));
                }
                State::Stopped => return Err(NoResult::Stopped),
                State::Failed(reason) => return Err(NoResult::Failed(reason.clone())),
            }
            match (wait, end) {
                (Wait::No, _) => return Err(NoResult::Empty),
                _ if timed_out => return Err(NoResult::TimedOut),
                (_, Some(end)) => timed_out = self.0.done.wait_until(&mut state, end).timed_out(),
                _ => self.0.done.wait(&mut state),
            }
        }
        let State::Ready(lease) = std::mem::replace(&mut *state, State::Taken) else {
            return Err(NoResult::Empty);
        };
        drop(state);
        // Others that wait for the same are told that it is gone.
        self.0.done.notify_all();
        Ok(ResultView { lease, shared: self.0.clone() })
    }

    /// Takes the result and copies it to the front of `to`; returns its bytes. A result that does not fit is not taken.
    ///
    /// # Errors
    /// As of [`take`](Self::take). `Invalid`: `to` is too small.
    pub fn get(&self, wait: Wait, to: &mut [u8]) -> Result<usize, NoResult> {
        let size = self.size();
        let got = to.len();
        let Some(to) = to.get_mut(..size) else {
            let rule = format!("capacity must be at least {size}, the bytes of the result");
            return Err(NoResult::Failed(Error::invalid(format!("{rule} (got {got})"))));
        };
        to.copy_from_slice(self.take(wait)?.data());
        Ok(size)
    }

    /// Tells the pool when it ends.
    pub(super) fn tell(&self, pool: &Arc<pool::Shared>) {
        *self.0.pool.lock() = Arc::downgrade(pool);
    }
}

impl Drop for Future {
    fn drop(&mut self) {
        let state = std::mem::replace(&mut *self.0.state.lock(), State::Dropped);
        // Outside of the lock: a stage may be given back.
        drop(state);
    }
}

impl fmt::Debug for Future {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Future").field("shape", &self.0.shape).finish_non_exhaustive()
    }
}

/// A result, where it was read to. Dropping it, in any thread, gives the stage back.
pub struct ResultView {
    lease: Lease,
    shared: Arc<Shared>,
}

impl ResultView {
    /// Its items in C order.
    pub fn data(&self) -> &[u8] {
        self.lease.bytes(self.shared.size)
    }

    /// Items along each axis.
    pub fn shape(&self) -> &[u64] {
        &self.shared.shape
    }

    /// Bytes of an item.
    pub fn item_size(&self) -> usize {
        self.shared.item
    }
}

impl fmt::Debug for ResultView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResultView").field("shape", &self.shared.shape).finish_non_exhaustive()
    }
}
