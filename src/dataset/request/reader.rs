//! The threads that read what is asked for.
//!
//! One lock guards the requests that no thread has begun. No bytes are read under it. Invariant: each request is ended by the thread that took it out of the
//! queue, or by the one that stops the reader.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};

use super::future::{self, End, Future, NoResult};
use super::stage::{self, Lease, Stage, StagePool};
use crate::dataset::cache::ChunkCache;
use crate::dataset::dataset::Dataset;
use crate::dataset::reader::{ReadStats, Reader};
use crate::dataset::select::{Resolved, Selection};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::{GetError, Wait};
use crate::sys::signal;

/// More threads than any machine has cores; a larger number is a mistake.
const MAX_THREADS: usize = 4096;
/// Datasets, and fields of them, that a thread keeps memory for.
const MOST_KEPT: usize = 8;

/// How requests are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderConfig {
    /// Threads that read and unpack; 1 to 4096.
    pub threads: usize,
    /// Bytes of unpacked chunks that are kept, as more of them may be wanted; 0: none.
    pub cache_bytes: usize,
    /// Puts numbers into this machine's byte order.
    pub native: bool,
}

impl Default for ReaderConfig {
    fn default() -> Self {
        Self { threads: 4, cache_bytes: 64 << 20, native: false }
    }
}

/// What became of requests: `requests` is the sum of the others but `read`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestStats {
    /// That were accepted.
    pub requests: u64,
    /// That have a result.
    pub done: u64,
    /// That ended with an error.
    pub failed: u64,
    /// That ended because the reader was stopped.
    pub stopped: u64,
    /// That nobody wanted any more before they were begun.
    pub dropped: u64,
    /// That have not ended.
    pub pending: u64,
    /// What was done for them.
    pub read: ReadStats,
}

struct Job {
    dataset: Arc<Dataset>,
    field: Option<String>,
    picked: Resolved,
    lease: Lease,
    future: Arc<future::Shared>,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// In which somebody waits for a stage, to ask for something then.
    pools: Vec<Weak<stage::Shared>>,
    stats: RequestStats,
}

struct Shared {
    state: Mutex<State>,
    /// There is something to do, or nothing will come any more.
    work: Condvar,
    /// No request is pending.
    idle: Condvar,
    /// Written under the lock of `state`; Release, so that those who wait in a pool see it.
    closed: AtomicBool,
    /// Relaxed: it publishes nothing.
    stopped: AtomicBool,
    cache: Arc<ChunkCache>,
    native: bool,
}

/// Reads what is asked for, in several threads. Any thread may use it. Dropping it stops it and waits for its threads; futures and results stay valid.
pub struct ParallelReader {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl ParallelReader {
    /// Starts the threads.
    ///
    /// # Errors
    /// `Invalid`: a setting breaks its rule. `Io`: a thread cannot be started.
    pub fn new(config: ReaderConfig) -> Result<Self> {
        if config.threads == 0 || config.threads > MAX_THREADS {
            let rule = format!("threads must be between 1 and {MAX_THREADS}");
            return Err(Error::invalid(format!("{rule} (got {})", config.threads)));
        }
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            idle: Condvar::new(),
            closed: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            cache: ChunkCache::new(config.cache_bytes),
            native: config.native,
        });
        // If a thread cannot be started, dropping it ends the others.
        let reader = Self { shared, threads: Mutex::default() };
        for index in 0..config.threads {
            let shared = reader.shared.clone();
            let thread = std::thread::Builder::new().name(format!("aqueduct-h5r-{index}"));
            let thread = thread.spawn(move || {
                signal::leave_to_other_threads();
                shared.work();
            });
            let thread = thread.map_err(|e| Error::io("dataset reader: starting a thread", &e))?;
            reader.threads.lock().push(thread);
        }
        Ok(reader)
    }

    /// Asks for what is selected of a dataset, or of one field of its records, to be read to a stage that is free.
    ///
    /// # Errors
    /// `Stopped`: the reader is closed. `Failed`: `Invalid`: the selection is out of range, or the stage too small for it; `State`: the stage serves another
    /// request; `NotFound`: there is no such field. The stage stays as it was.
    pub fn request(
        &self,
        dataset: &Arc<Dataset>,
        selection: &Selection,
        field: Option<&str>,
        stage: &Stage,
    ) -> Result<Future, NoResult> {
        if self.is_closed() {
            return Err(NoResult::Stopped);
        }
        let wanted = Wanted::new(dataset, selection, field, stage.size()).map_err(NoResult::Failed)?;
        self.submit(wanted, stage.take().map_err(NoResult::Failed)?)
    }

    /// The same with a stage of a pool, waiting for one as long as `wait` allows.
    ///
    /// # Errors
    /// As [`request`](Self::request); `Empty`, `TimedOut`: no stage was free.
    pub fn request_pooled(
        &self,
        dataset: &Arc<Dataset>,
        selection: &Selection,
        field: Option<&str>,
        pool: &StagePool,
        wait: Wait,
    ) -> Result<Future, NoResult> {
        if self.is_closed() {
            return Err(NoResult::Stopped);
        }
        let size = pool.stage_size();
        let wanted = Wanted::new(dataset, selection, field, size).map_err(NoResult::Failed)?;
        let mut lease = pool.take(Wait::No, &self.shared.closed);
        if matches!((&lease, wait), (Err(GetError::Empty), Wait::For(_) | Wait::Forever)) {
            // Who closes wakes us.
            self.shared.state.lock().pools.push(Arc::downgrade(pool.shared()));
            lease = pool.take(wait, &self.shared.closed);
            let mut state = self.shared.state.lock();
            let ours = Arc::downgrade(pool.shared());
            if let Some(at) = state.pools.iter().position(|pool| pool.ptr_eq(&ours)) {
                state.pools.swap_remove(at);
            }
        }
        let lease = lease.map_err(|reason| match reason {
            GetError::Empty => NoResult::Empty,
            GetError::TimedOut => NoResult::TimedOut,
            GetError::Stopped => NoResult::Stopped,
        })?;
        self.submit(wanted, lease)
    }

    fn submit(&self, wanted: Wanted<'_>, lease: Lease) -> Result<Future, NoResult> {
        let Wanted { dataset, field, picked, item, size } = wanted;
        let future = future::Shared::new(picked.shape().to_vec(), item, size);
        let job = Job {
            dataset: dataset.clone(),
            field: field.map(str::to_owned),
            picked,
            lease,
            future: future.clone(),
        };
        let mut state = self.shared.state.lock();
        if self.is_closed() {
            // The job gives its stage back, after the lock.
            drop(state);
            return Err(NoResult::Stopped);
        }
        state.stats.requests += 1;
        state.stats.pending += 1;
        state.jobs.push_back(job);
        drop(state);
        self.shared.work.notify_one();
        Ok(Future(future))
    }

    /// Whether no more requests are taken.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    /// Takes no more requests. Those that are pending are read; waits for that as long as `wait` allows, and returns whether all have ended.
    pub fn close(&self, wait: Wait) -> bool {
        let end = wait.end();
        let mut state = self.shared.close();
        let mut timed_out = false;
        loop {
            if state.stats.pending == 0 {
                return true;
            }
            match end {
                _ if timed_out => return false,
                Some(end) => timed_out = self.shared.idle.wait_until(&mut state, end).timed_out(),
                None => self.shared.idle.wait(&mut state),
            }
        }
    }

    /// Takes no more requests, and ends those that are pending: their futures are told so. Does not wait.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        let mut state = self.shared.close();
        let jobs = std::mem::take(&mut state.jobs);
        drop(state);
        for job in jobs {
            drop(job.lease);
            self.shared.count(|stats| stats.stopped += 1);
            job.future.end(End::Stopped);
        }
    }

    /// What became of requests up to now.
    pub fn stats(&self) -> RequestStats {
        self.shared.state.lock().stats
    }
}

impl Drop for ParallelReader {
    fn drop(&mut self) {
        self.stop();
        for thread in self.threads.get_mut().drain(..) {
            // A thread catches what reading does.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for ParallelReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParallelReader").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// A request that has been found to be possible.
struct Wanted<'a> {
    dataset: &'a Arc<Dataset>,
    field: Option<&'a str>,
    picked: Resolved,
    item: usize,
    size: usize,
}

impl<'a> Wanted<'a> {
    fn new(
        dataset: &'a Arc<Dataset>,
        selection: &Selection,
        field: Option<&'a str>,
        stage: usize,
    ) -> Result<Self> {
        let item = match field {
            Some(name) => dataset.dtype().field(name)?.dtype.size,
            None => dataset.dtype().size,
        };
        let picked = selection.resolve(dataset.shape())?;
        let size = picked.size(item);
        match size.filter(|&size| size <= stage) {
            Some(size) => Ok(Self { dataset, field, picked, item, size }),
            None => {
                let size = size.map_or("more than memory can have".to_owned(), |size| size.to_string());
                let rule =
                    format!("stage must have at least {size} bytes for a result of {:?}", picked.shape());
                Err(Error::invalid(format!("{rule} items of {item} bytes (got {stage})")))
            }
        }
    }
}

impl Shared {
    /// Takes no more requests, and tells all who wait for that.
    fn close(&self) -> parking_lot::MutexGuard<'_, State> {
        let mut state = self.state.lock();
        self.closed.store(true, Ordering::Release);
        self.work.notify_all();
        for pool in std::mem::take(&mut state.pools).iter().filter_map(Weak::upgrade) {
            pool.wake();
        }
        state
    }

    /// A request has ended.
    fn count(&self, how: impl FnOnce(&mut RequestStats)) {
        let mut state = self.state.lock();
        how(&mut state.stats);
        state.stats.pending -= 1;
        if state.stats.pending == 0 {
            self.idle.notify_all();
        }
    }

    /// Reads what is asked for until nothing can come any more.
    fn work(&self) {
        let mut readers = Readers { kept: Vec::new(), cache: self.cache.clone(), native: self.native };
        while let Some(job) = self.next() {
            if !job.future.is_wanted() {
                drop(job);
                self.count(|stats| stats.dropped += 1);
                continue;
            }
            let Job { dataset, field, picked, mut lease, future } = job;
            let go_on = || !self.stopped.load(Ordering::Relaxed);
            let to = lease.bytes_mut(future.size());
            let read = catch_unwind(AssertUnwindSafe(|| {
                let reader = readers.get(&dataset, field.as_deref())?;
                let done = reader.pick(&picked, to, &go_on);
                Ok((done?, reader.take_stats()))
            }));
            let result = read.unwrap_or_else(|_| {
                readers.kept.clear();
                Err(Error::new(ErrorKind::Internal, "reading for a request panicked; the reader goes on"))
            });
            // Counted, and the stage free, before anybody can know.
            let end = match result {
                Ok((true, read)) => {
                    self.count(|stats| {
                        stats.done += 1;
                        stats.read.add(&read);
                    });
                    End::Ready(lease)
                }
                Ok((false, _)) => {
                    drop(lease);
                    self.count(|stats| stats.stopped += 1);
                    End::Stopped
                }
                Err(reason) => {
                    drop(lease);
                    self.count(|stats| stats.failed += 1);
                    End::Failed(reason)
                }
            };
            future.end(end);
        }
    }

    /// Waits for something to do. `None`: nothing will come any more.
    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if self.closed.load(Ordering::Relaxed) {
                return None;
            }
            self.work.wait(&mut state);
        }
    }
}

/// What one thread reads with.
struct Readers {
    /// The one used last is the last.
    kept: Vec<(Option<String>, Reader)>,
    cache: Arc<ChunkCache>,
    native: bool,
}

impl Readers {
    fn get(&mut self, dataset: &Arc<Dataset>, field: Option<&str>) -> Result<&mut Reader> {
        let same = |(of, reader): &(Option<String>, Reader)| {
            Arc::ptr_eq(reader.dataset(), dataset) && of.as_deref() == field
        };
        match self.kept.iter().rposition(same) {
            Some(at) if at + 1 == self.kept.len() => {}
            Some(at) => {
                let reader = self.kept.remove(at);
                self.kept.push(reader);
            }
            None => {
                let reader = Reader::new(dataset, field, self.native)?.with_cache(self.cache.clone());
                // As it was before it was refreshed.
                self.kept.retain(|(_, reader)| {
                    let other = reader.dataset();
                    Arc::ptr_eq(other, dataset)
                        || !(Arc::ptr_eq(other.file(), dataset.file()) && other.name() == dataset.name())
                });
                if self.kept.len() >= MOST_KEPT {
                    self.kept.remove(0);
                }
                self.kept.push((field.map(str::to_owned), reader));
            }
        }
        match self.kept.last_mut() {
            Some((_, reader)) => Ok(reader),
            None => Err(Error::new(ErrorKind::Internal, "no reader")),
        }
    }
}
