//! Stages: memory that results are read into, each for one request at a time.
//!
//! Any thread. Invariant: a stage is free, or lent to one request, which gives it back by dropping its [`Lease`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};

use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Allocator, Buffer, MmapAllocator};
use crate::ring::{GetError, Wait};

/// Stages at the most in a pool; a larger number is a mistake.
const MOST_STAGES: usize = 1 << 20;

pub(super) struct Shared {
    size: usize,
    free: Mutex<Vec<Buffer>>,
    freed: Condvar,
}

impl Shared {
    fn new(size: usize, count: usize) -> Result<Arc<Self>> {
        if count == 0 || count > MOST_STAGES {
            return Err(Error::invalid(format!("stages must be 1 to {MOST_STAGES} (got {count})")));
        }
        let no_memory = |_| {
            let message = format!("cannot allocate {count} stages of {size} bytes");
            Error::new(ErrorKind::NoMemory, message)
        };
        // Not touched before it is written.
        let free = (0..count).map(|_| MmapAllocator::default().allocate(size, None));
        let free = free.collect::<Result<Vec<_>>>().map_err(no_memory)?;
        Ok(Arc::new(Self { size, free: Mutex::new(free), freed: Condvar::new() }))
    }

    /// Takes a stage. `stop` is looked at whenever somebody calls [`wake`](Self::wake).
    fn take(self: &Arc<Self>, wait: Wait, stop: &AtomicBool) -> Result<Lease, GetError> {
        let end = wait.end();
        let mut free = self.free.lock();
        let mut timed_out = false;
        loop {
            // Acquire: stored by the reader that closes, before it wakes us.
            if stop.load(Ordering::Acquire) {
                return Err(GetError::Stopped);
            }
            if let Some(memory) = free.pop() {
                return Ok(Lease { memory: Some(memory), home: self.clone() });
            }
            match (wait, end) {
                (Wait::No, _) => return Err(GetError::Empty),
                _ if timed_out => return Err(GetError::TimedOut),
                (_, Some(end)) => timed_out = self.freed.wait_until(&mut free, end).timed_out(),
                _ => self.freed.wait(&mut free),
            }
        }
    }

    /// Has those who wait look at their `stop`.
    pub(super) fn wake(&self) {
        // Who has looked and is about to wait has the lock.
        let _free = self.free.lock();
        self.freed.notify_all();
    }
}

/// One stage: it serves one request at a time.
#[derive(Clone)]
pub struct Stage(Arc<Shared>);

impl Stage {
    /// A stage of `size` bytes.
    ///
    /// # Errors
    /// `NoMemory`.
    pub fn new(size: usize) -> Result<Self> {
        Shared::new(size, 1).map(Self)
    }

    /// Its bytes.
    pub fn size(&self) -> usize {
        self.0.size
    }

    /// Whether a request has it.
    pub fn is_busy(&self) -> bool {
        self.0.free.lock().is_empty()
    }

    pub(super) fn take(&self) -> Result<Lease> {
        let never = AtomicBool::new(false);
        self.0.take(Wait::No, &never).map_err(|_| {
            Error::state("stage is in use by another request: take its result, or drop its future, first")
        })
    }
}

/// Several stages of the same size: a request waits for one that is free.
#[derive(Clone)]
pub struct StagePool {
    shared: Arc<Shared>,
    count: usize,
}

impl StagePool {
    /// `count` stages of `size` bytes each.
    ///
    /// # Errors
    /// `Invalid`: no stage, or too many. `NoMemory`.
    pub fn new(size: usize, count: usize) -> Result<Self> {
        Ok(Self { shared: Shared::new(size, count)?, count })
    }

    /// Bytes of each.
    pub fn stage_size(&self) -> usize {
        self.shared.size
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many are free now.
    pub fn free(&self) -> usize {
        self.shared.free.lock().len()
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn take(&self, wait: Wait, stop: &AtomicBool) -> Result<Lease, GetError> {
        self.shared.take(wait, stop)
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("size", &self.size()).finish_non_exhaustive()
    }
}

impl fmt::Debug for StagePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.stage_size();
        f.debug_struct("StagePool").field("size", &size).field("count", &self.count).finish_non_exhaustive()
    }
}

/// A stage that a request has; dropping it gives it back.
pub(super) struct Lease {
    /// There until it is dropped.
    memory: Option<Buffer>,
    home: Arc<Shared>,
}

// SAFETY: a shared lease gives out shared borrows of its bytes only.
unsafe impl Sync for Lease {}

impl Lease {
    /// The first `size` bytes of the stage.
    pub(super) fn bytes(&self, size: usize) -> &[u8] {
        let Some(memory) = &self.memory else { return &[] };
        // SAFETY: mapped memory, which the system has zeroed, and written only through a mutable borrow of the lease, which nobody else has.
        let bytes = unsafe { memory.as_slice() };
        &bytes[..size.min(bytes.len())]
    }

    /// The same, to write.
    pub(super) fn bytes_mut(&mut self, size: usize) -> &mut [u8] {
        let Some(memory) = &self.memory else { return &mut [] };
        // SAFETY: as above; the lease is borrowed mutably.
        let bytes = unsafe { std::slice::from_raw_parts_mut(memory.as_ptr(), memory.len()) };
        let size = size.min(bytes.len());
        &mut bytes[..size]
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            self.home.free.lock().push(memory);
            self.home.freed.notify_one();
        }
    }
}
