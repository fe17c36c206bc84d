//! Chunks are committed: in the order in which they were taken they are entered in the index, made durable, counted and reported.
//!
//! Whichever thread brings the chunk whose turn it is has the baton, and commits it and all that wait behind it; others only leave what they have
//! written. Invariant: `waiting` has chunks behind `next` only, each once, and one thread at most has the baton. No lock is held while a file is
//! written or the program is told.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::config::{Recorded, RecorderConfig, Report};
use super::format::ChunkRecord;
use super::index_file::OpenIndex;
use super::intake::Place;
use super::stats::{FailReason, RecorderStats};
use crate::error::{Error, ErrorKind, Result};
use crate::log::Limited;
use crate::sys::direct;

/// Chunks that may be written ahead of one that takes long.
const MOST_WAITING: usize = 64;

/// A chunk that was written, or failed to be.
pub(super) struct Done {
    pub(super) sequence: u64,
    pub(super) id: i64,
    pub(super) stream_id: u64,
    pub(super) data_size: u64,
    pub(super) result: Result<Written, (FailReason, Error)>,
}

/// What goes into the index.
pub(super) struct Written {
    pub(super) place: Place,
    pub(super) record: ChunkRecord,
    /// The record's bytes, the flags and the extra data.
    pub(super) meta: Vec<u8>,
    pub(super) copied: bool,
}

/// The reason for an error of the system.
pub(super) fn reason(error: &io::Error) -> FailReason {
    if direct::is_full(error) { FailReason::DiskFull } else { FailReason::Io }
}

pub(super) struct Commit {
    queue: Mutex<Queue>,
    space: Condvar,
    stats: Mutex<RecorderStats>,
    error: Mutex<Option<Error>>,
}

struct Queue {
    next: u64,
    waiting: BTreeMap<u64, Done>,
    /// What the thread with the baton has; `None`: some thread has it.
    baton: Option<Box<Baton>>,
}

/// What it takes to commit.
struct Baton {
    index: Option<OpenIndex>,
    report: Option<Report>,
    failures: Limited,
}

impl Commit {
    pub(super) fn new(report: Option<Report>) -> Self {
        let failures = Limited::new("chunk recorder: chunks that could not be written");
        let baton = Some(Box::new(Baton { index: None, report, failures }));
        Self {
            queue: Mutex::new(Queue { next: 0, waiting: BTreeMap::new(), baton }),
            space: Condvar::new(),
            stats: Mutex::default(),
            error: Mutex::default(),
        }
    }

    /// The ledger now.
    pub(super) fn stats(&self) -> RecorderStats {
        *self.stats.lock()
    }

    /// Changes the ledger.
    pub(super) fn count<R>(&self, change: impl FnOnce(&mut RecorderStats) -> R) -> R {
        change(&mut self.stats.lock())
    }

    /// The latest error, if nothing went well since then.
    pub(super) fn error(&self) -> Option<Error> {
        self.error.lock().clone()
    }

    fn fail(&self, error: Error) {
        *self.error.lock() = Some(error);
    }

    /// Leaves a chunk, and commits what can be. Waits where too many chunks wait for one before them.
    pub(super) fn commit(&self, done: Done, config: &RecorderConfig) {
        let mut queue = self.queue.lock();
        while done.sequence != queue.next && queue.waiting.len() >= MOST_WAITING {
            self.space.wait(&mut queue);
        }
        queue.waiting.insert(done.sequence, done);
        if let Some(baton) = queue.baton.take() {
            self.drain(queue, baton, config);
        }
    }

    /// Commits what can be, with the baton, and puts that back.
    fn drain<'a>(&'a self, mut queue: MutexGuard<'a, Queue>, mut baton: Box<Baton>, config: &RecorderConfig) {
        loop {
            let mut batch = Vec::new();
            while let Some(done) = {
                let next = queue.next;
                queue.waiting.remove(&next)
            } {
                queue.next += 1;
                batch.push(done);
            }
            if batch.is_empty() {
                queue.baton = Some(baton);
                return;
            }
            self.space.notify_all();
            drop(queue);
            baton.commit(batch, self, config);
            queue = self.queue.lock();
        }
    }

    /// Makes durable what is due, if no thread commits just now (which would do so itself). The answer is when it is due next.
    pub(super) fn sync_if_due(&self, config: &RecorderConfig) -> Option<Instant> {
        let mut baton = self.queue.lock().baton.take()?;
        if baton.due(config).is_some_and(|due| due <= Instant::now()) {
            baton.sync(self);
        }
        let due = baton.due(config);
        // What others have left meanwhile.
        self.drain(self.queue.lock(), baton, config);
        due
    }

    /// Ends the last file, which no thread writes to any more.
    pub(super) fn finish(&self, config: &RecorderConfig) {
        let baton = self.queue.lock().baton.take();
        if let Some(mut baton) = baton {
            baton.finish_file(true, self, config);
            baton.failures.summarise();
            self.queue.lock().baton = Some(baton);
        }
    }

    /// A file to end with, if no chunk was written to it.
    pub(super) fn begin(&self, index: OpenIndex) {
        if let Some(baton) = &mut self.queue.lock().baton {
            baton.index = Some(index);
        }
        self.count(|stats| stats.files += 1);
    }
}

impl Baton {
    fn due(&self, config: &RecorderConfig) -> Option<Instant> {
        self.index.as_ref()?.due(config.durability)
    }

    fn sync(&mut self, commit: &Commit) -> bool {
        let Some(index) = &mut self.index else { return true };
        match index.sync() {
            Ok(chunks) => {
                commit.count(|stats| stats.durable += chunks);
                true
            }
            Err(error) => {
                commit.count(|stats| stats.sync_errors += 1);
                self.failures.note(|| error.to_string());
                commit.fail(error);
                false
            }
        }
    }

    fn finish_file(&mut self, last: bool, commit: &Commit, config: &RecorderConfig) {
        let Some(index) = self.index.take() else { return };
        let ledger = config.ledger.as_ref().map(|ledger| ledger());
        match index.finish(&commit.stats(), ledger, last, config.durability) {
            Ok(chunks) => commit.count(|stats| stats.durable += chunks),
            Err(error) => {
                commit.count(|stats| stats.sync_errors += 1);
                self.failures.note(|| error.to_string());
                commit.fail(error);
            }
        }
    }

    fn commit(&mut self, batch: Vec<Done>, commit: &Commit, config: &RecorderConfig) {
        let mut settled = Vec::with_capacity(batch.len());
        for done in batch {
            let Done { sequence, id, stream_id, data_size, result } = done;
            let (mut file, mut offset) = (0, 0);
            let result = result.and_then(|written| {
                (file, offset) = (written.place.pair.number, written.place.offset);
                self.enter(written, commit, config)
            });
            match &result {
                Ok(()) => *commit.error.lock() = None,
                Err((reason, error)) => {
                    commit.count(|stats| stats.fail(*reason));
                    self.failures.note(|| error.to_string());
                    commit.fail(error.clone());
                }
            }
            settled.push((
                Recorded { sequence, id, stream_id, file, offset, data_size, result: Ok(false) },
                result,
            ));
        }
        let due = self.due(config).is_some_and(|due| due <= Instant::now());
        let durable = due && self.sync(commit);
        let Some(report) = &mut self.report else { return };
        for (recorded, result) in &settled {
            let result = match result {
                Ok(()) => Ok(durable),
                Err((reason, error)) => Err((*reason, error)),
            };
            let recorded = Recorded { result, ..*recorded };
            if catch_unwind(AssertUnwindSafe(|| report(&recorded))).is_err() {
                commit.fail(Error::new(
                    ErrorKind::Internal,
                    "chunk recorder: the function that is told of chunks panicked",
                ));
            }
        }
    }

    /// Enters a written chunk in its index.
    fn enter(
        &mut self,
        written: Written,
        commit: &Commit,
        config: &RecorderConfig,
    ) -> Result<(), (FailReason, Error)> {
        let Written { place, record, meta, copied } = written;
        if self.index.as_ref().is_none_or(|index| index.pair.number != place.pair.number) {
            self.finish_file(false, commit, config);
            commit.count(|stats| stats.files += 1);
            self.index = Some(OpenIndex::new(place.pair.clone()));
        }
        let Some(index) = &mut self.index else { return Ok(()) };
        let grown = index.add(&record, &meta).map_err(|(error, e)| (reason(&e), error))?;
        commit.count(|stats| {
            stats.written += 1;
            stats.in_flight -= 1;
            stats.data_bytes += record.data_size;
            stats.file_bytes += grown;
            stats.copied += u64::from(copied);
            stats.direct = place.pair.is_direct();
        });
        Ok(())
    }
}
