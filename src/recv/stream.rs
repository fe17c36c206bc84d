//! A stream as its user holds it, and the task that runs it on a worker.
//!
//! The two share a [`Shared`]: the user leaves readers and the wish to stop in it, the task leaves statistics and, at the
//! end, the reason. docs/shutdown.md tells the order of things at the end.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::assembly::Assembler;
use super::config::StreamConfig;
use super::end::EndReason;
use super::handler::HeapHandler;
use super::reader::{Polled, Reader};
use super::sink::PacketSink;
use super::stats::{Snapshot, Stat, Stats};
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{Context, Progress, Task, TaskHandle, ThreadPool};

/// Readers of one stream at the most.
const MAX_READERS: usize = 4096;

/// What the user's side and the worker's side share.
struct Shared {
    stats: Stats,
    inbox: Mutex<Inbox>,
    /// Set by the user once, never cleared; the task is woken after it.
    stop: AtomicBool,
    outcome: Mutex<Option<EndReason>>,
    ended: Condvar,
}

struct Inbox {
    readers: Vec<Box<dyn Reader>>,
    /// Readers ever added.
    added: usize,
    started: bool,
    /// The stream has ended: nobody looks here any more.
    closed: bool,
}

/// A receiving stream. Dropping it stops it.
pub struct Stream {
    shared: Arc<Shared>,
    task: TaskHandle,
    config: StreamConfig,
    /// Keeps the workers alive as long as there is a stream on them.
    _pool: Arc<ThreadPool>,
}

impl Stream {
    /// A stream on a worker of `pool` that gives its heaps to `handler`.
    pub fn new<H: HeapHandler + 'static>(
        pool: &Arc<ThreadPool>,
        config: StreamConfig,
        handler: H,
    ) -> Result<Self> {
        config.check()?;
        let stats = Stats::new(config.custom_stats.clone())?;
        let assembler = Assembler::new(&config, handler, stats.batch());
        let inbox = Inbox { readers: Vec::new(), added: 0, started: !config.explicit_start, closed: false };
        let shared = Arc::new(Shared {
            stats,
            inbox: Mutex::new(inbox),
            stop: AtomicBool::new(false),
            outcome: Mutex::new(None),
            ended: Condvar::new(),
        });
        let task = StreamTask {
            shared: shared.clone(),
            assembler,
            readers: Vec::new(),
            live_readers: 0,
            any_reader: false,
            blocked: None,
            failure: None,
            phase: Phase::Fresh,
            announcement: Announcement { shared: shared.clone(), reason: None },
        };
        let task = pool.spawn(Box::new(task))?;
        Ok(Self { shared, task, config, _pool: pool.clone() })
    }

    /// What it was created with.
    pub fn config(&self) -> &StreamConfig {
        &self.config
    }

    /// Adds a source. False, and the reader dropped, if the stream has ended already.
    pub fn add_reader(&self, reader: Box<dyn Reader>) -> Result<bool> {
        let mut inbox = self.shared.inbox.lock();
        if inbox.closed {
            return Ok(false);
        }
        if inbox.added == MAX_READERS {
            return Err(Error::state(format!(
                "stream: it has {MAX_READERS} readers already, the most there can be"
            )));
        }
        inbox.added += 1;
        inbox.readers.push(reader);
        let started = inbox.started;
        drop(inbox);
        if started {
            self.task.wake();
        }
        Ok(true)
    }

    /// Starts reading, if the stream was created with `explicit_start`; otherwise it has been started already.
    pub fn start(&self) {
        self.shared.inbox.lock().started = true;
        self.task.wake();
    }

    /// Stops the stream and waits until its worker has let go of it: no callback runs after this.
    ///
    /// It is an error to call this from a callback on the stream's own worker, which would wait for itself.
    pub fn stop(&self) -> Result<()> {
        let mut outcome = self.shared.outcome.lock();
        if outcome.is_some() {
            return Ok(());
        }
        if self.task.is_current_thread() {
            return Err(Error::state(
                "stream: cannot be stopped or freed from a callback on its own worker thread",
            ));
        }
        // Release: pairs with the task's Acquire load.
        self.shared.stop.store(true, Ordering::Release);
        self.task.wake();
        while outcome.is_none() {
            self.shared.ended.wait(&mut outcome);
        }
        Ok(())
    }

    /// True where [`stop`](Self::stop) would be an error: on the stream's own worker, while it runs.
    pub fn must_not_wait(&self) -> bool {
        self.task.is_current_thread() && self.shared.outcome.lock().is_none()
    }

    /// Why the stream ended; `None` while it runs.
    pub fn end_reason(&self) -> Option<EndReason> {
        self.shared.outcome.lock().clone()
    }

    /// The statistics' names.
    pub fn stats(&self) -> &Stats {
        &self.shared.stats
    }

    /// The statistics at one moment between two batches.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.stats.snapshot()
    }

    /// The statistics for somebody who may outlive the stream.
    pub fn observer(&self) -> Observer {
        Observer(self.shared.clone())
    }
}

/// A stream's statistics, also after its end. It does not keep the stream.
pub struct Observer(Arc<Shared>);

impl Observer {
    /// As [`Stream::snapshot`].
    pub fn snapshot(&self) -> Snapshot {
        self.0.stats.snapshot()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // From inside its own callback it cannot be waited for; it ends right after the callback.
        if self.stop().is_err() {
            self.shared.stop.store(true, Ordering::Release);
            self.task.wake();
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("end_reason", &self.end_reason()).finish_non_exhaustive()
    }
}

/// A reader at work.
struct Slot {
    /// `None` once it has ended.
    reader: Option<Box<dyn Reader>>,
    /// There may be something to read.
    ready: bool,
    /// The worker watches the reader's descriptor. It does not while packets gather there: each would wake it.
    watched: bool,
    /// When the reader that lets packets gather is to be polled.
    due: Option<Instant>,
}

/// How far a stream has come.
enum Phase {
    /// The handler has no waker yet.
    Fresh,
    Receiving,
    /// No more packets; the consumer still has to take what is there.
    Flushing(EndReason),
    Ended,
}

/// The worker's side of a stream.
struct StreamTask<H: HeapHandler> {
    shared: Arc<Shared>,
    assembler: Assembler<H>,
    readers: Vec<Slot>,
    live_readers: usize,
    any_reader: bool,
    /// The reader that holds a packet which could not be taken. No other reader runs before that packet is taken.
    blocked: Option<usize>,
    /// The first failure of a reader; the others may go on.
    failure: Option<Error>,
    phase: Phase,
    /// Last, so that everything else is gone when it is made.
    announcement: Announcement,
}

/// Tells whoever waits that the stream has ended, and why. Dropped after the rest of the task: what that owns may be the
/// user's (the place callback's user pointer, the last hold on a ring), and is released before `stop` returns.
struct Announcement {
    shared: Arc<Shared>,
    /// Set at the end.
    reason: Option<EndReason>,
}

impl Drop for Announcement {
    fn drop(&mut self) {
        if let Some(reason) = self.reason.take() {
            *self.shared.outcome.lock() = Some(reason);
            self.shared.ended.notify_all();
        }
    }
}

impl<H: HeapHandler> StreamTask<H> {
    fn take_new_readers(&mut self, context: &Context<'_>) {
        let new = {
            let mut inbox = self.shared.inbox.lock();
            if inbox.started { std::mem::take(&mut inbox.readers) } else { Vec::new() }
        };
        for reader in new {
            let slot = self.readers.len();
            self.any_reader = true;
            self.live_readers += 1;
            self.readers.push(Slot { reader: Some(reader), ready: true, watched: false, due: None });
            self.watch_reader(context, slot);
        }
    }

    fn watch_reader(&mut self, context: &Context<'_>, slot: usize) {
        self.readers[slot].watched = true;
        let fd = self.readers[slot].reader.as_ref().and_then(|reader| reader.fd());
        if let Err(error) = fd.map_or(Ok(()), |fd| context.watch(fd, slot)) {
            self.end_reader(context, slot, Some(Error::io("watching a reader's descriptor", &error)));
        }
    }

    /// The reader is to be polled at a time, whether or not something comes, and not before.
    fn let_gather(&mut self, context: &Context<'_>, slot: usize, longest: Duration) {
        let slot = &mut self.readers[slot];
        if std::mem::take(&mut slot.watched)
            && let Some(fd) = slot.reader.as_ref().and_then(|reader| reader.fd())
        {
            // As in end_reader.
            let _ = context.unwatch(fd);
        }
        slot.due = Some(Instant::now() + longest);
    }

    /// Makes the readers ready that are due; the others' next time.
    fn take_due_readers(&mut self) {
        let mut now = None;
        for slot in &mut self.readers {
            if let Some(due) = slot.due
                && due <= *now.get_or_insert_with(Instant::now)
            {
                (slot.due, slot.ready) = (None, true);
            }
        }
    }

    /// How long the stream waits at the most, if readers let packets gather.
    fn next_due(&self) -> Option<Duration> {
        let due = self.readers.iter().filter_map(|slot| slot.due).min()?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    /// Has a reader go on with its next descriptor.
    fn move_reader(&mut self, context: &Context<'_>, slot: usize) {
        if let Some(reader) = &mut self.readers[slot].reader {
            if let Some(fd) = reader.fd() {
                // As in end_reader.
                let _ = context.unwatch(fd);
            }
            reader.move_on();
            self.readers[slot].due = None;
            self.watch_reader(context, slot);
        }
    }

    fn end_reader(&mut self, context: &Context<'_>, slot: usize, failure: Option<Error>) {
        if let Some(mut reader) = self.readers[slot].reader.take() {
            if let Some(fd) = reader.fd() {
                // The user may have a duplicate, which would keep the watch alive. It fails if there never was one.
                let _ = context.unwatch(fd);
            }
            self.live_readers -= 1;
            self.readers[slot].due = None;
            let left = reader.leftover();
            let batch = self.assembler.batch();
            batch[Stat::Packets] += left.packets;
            batch[Stat::PacketsAfterStop] += left.packets;
            batch[Stat::KernelDrops] += left.kernel_drops;
        }
        if let Some(error) = failure {
            log::error!("{error}");
            self.failure.get_or_insert(error);
        }
    }

    /// Gives each reader that is ready a turn. True if one wants another.
    fn poll_readers(&mut self, context: &Context<'_>) -> bool {
        let mut again = false;
        let was_blocked = self.blocked.take();
        let first = was_blocked.unwrap_or(0);
        let last = first + self.readers.len();
        for turn in first..last {
            let slot = turn % self.readers.len();
            let Slot { reader: Some(reader), ready: true, .. } = &mut self.readers[slot] else { continue };
            let polled = reader.poll(&mut self.assembler);
            if let Polled::Blocked = polled
                && !self.assembler.ended()
            {
                self.blocked = Some(slot);
                let batch = self.assembler.batch();
                // Woken for nothing it still waits for the same thing.
                if was_blocked != Some(slot) || batch[Stat::Packets] > 0 {
                    batch[Stat::WorkerBlocked] += 1;
                }
            }
            self.end_batch();
            match polled {
                Polled::More => again = true,
                Polled::Idle => {
                    self.readers[slot].ready = false;
                    if !self.readers[slot].watched {
                        // What has come meanwhile is told at once.
                        self.watch_reader(context, slot);
                    }
                }
                Polled::Rest(longest) => {
                    self.readers[slot].ready = false;
                    self.let_gather(context, slot, longest);
                }
                Polled::Blocked => return false,
                Polled::Moving => {
                    again = true;
                    self.move_reader(context, slot);
                }
                Polled::Ended => self.end_reader(context, slot, None),
                Polled::Failed(error) => self.end_reader(context, slot, Some(error)),
            }
            if self.assembler.ended() {
                return false;
            }
        }
        again
    }

    fn end_batch(&mut self) {
        self.assembler.end_batch();
        let batch = self.assembler.batch();
        let packets = batch[Stat::Packets];
        if packets > 0 {
            batch[Stat::Batches] += 1;
            batch[Stat::MaxBatch] = packets;
        }
        self.publish();
    }

    fn publish(&mut self) {
        self.shared.stats.publish(self.assembler.batch());
    }

    /// Why the stream should take no more packets, if so.
    fn reason_to_end(&mut self, stopping: bool) -> Option<EndReason> {
        // Acquire: pairs with the Release store in Stream::stop.
        if self.shared.stop.load(Ordering::Acquire) {
            return Some(EndReason::User);
        }
        if stopping {
            return Some(EndReason::PoolStopped);
        }
        if let Some(end) = self.assembler.end() {
            return Some(end.clone());
        }
        if self.assembler.handler().is_closed() {
            return Some(EndReason::RingStopped);
        }
        if self.any_reader && self.live_readers == 0 {
            // Under the inbox's lock, so that a reader is either taken or refused.
            let mut inbox = self.shared.inbox.lock();
            if inbox.readers.is_empty() {
                inbox.closed = true;
                return Some(self.failure.take().map_or(EndReason::SourceEnded, EndReason::Failed));
            }
        }
        None
    }

    fn close_inbox(&mut self, context: &Context<'_>) {
        let unread = {
            let mut inbox = self.shared.inbox.lock();
            inbox.closed = true;
            std::mem::take(&mut inbox.readers)
        };
        drop(unread);
        for slot in 0..self.readers.len() {
            self.end_reader(context, slot, None);
        }
        self.readers.clear();
    }

    fn finish(&mut self, reason: EndReason) -> Progress {
        self.assembler.close(&reason);
        self.publish();
        self.phase = Phase::Ended;
        // Made when the worker drops the task, which it does next.
        self.announcement.reason = Some(reason);
        Progress::Done
    }

    /// The user or the pool wants the stream to end now, whether or not the consumer takes what is left.
    fn is_hurried(&self, context: &Context<'_>) -> bool {
        context.is_stopping() || self.shared.stop.load(Ordering::Acquire)
    }
}

impl<H: HeapHandler> Task for StreamTask<H> {
    fn run(&mut self, context: &mut Context<'_>) -> Progress {
        if let Phase::Fresh = self.phase {
            self.assembler.handler().attach(context.waker());
            self.phase = Phase::Receiving;
        }
        for &slot in context.ready() {
            if let Some(slot) = self.readers.get_mut(slot) {
                slot.ready = true;
            }
        }
        if self.blocked.is_some() && !context.is_woken() && !context.is_stopping() {
            // More arrives at a socket while the consumer is behind: that changes nothing.
            return Progress::Wait;
        }
        if let Phase::Receiving = self.phase {
            if context.is_woken() {
                // The consumer may have made space for what it could not take, whether or not more packets come.
                self.end_batch();
            }
            self.take_new_readers(context);
            self.take_due_readers();
            let mut again = false;
            let mut end = self.reason_to_end(context.is_stopping());
            if end.is_none() {
                again = self.poll_readers(context);
                end = self.reason_to_end(context.is_stopping());
            }
            match end {
                None if again => return Progress::Again,
                None => return self.next_due().map_or(Progress::Wait, Progress::Rest),
                Some(reason) => {
                    self.close_inbox(context);
                    self.phase = Phase::Flushing(reason);
                }
            }
        }
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Flushing(reason) => {
                let hurried = self.is_hurried(context);
                let reason = match reason {
                    // A user who stops a stream that is ending anyway stops it.
                    _ if hurried && !context.is_stopping() => EndReason::User,
                    other => other,
                };
                let flushed = self.assembler.flush();
                self.publish();
                if flushed || hurried {
                    return self.finish(reason);
                }
                self.phase = Phase::Flushing(reason);
                Progress::Wait
            }
            _ => Progress::Done,
        }
    }

    fn panicked(&mut self, context: &Context<'_>) {
        let error = Error::new(ErrorKind::Internal, "stream: a bug in this library ended it; see the log");
        let reason = EndReason::Failed(error);
        // The consumer gets what there is, and is not left to wait for more. Each step may panic once more; the next
        // one is tried all the same.
        let _ = catch_unwind(AssertUnwindSafe(|| self.close_inbox(context)));
        let _ = catch_unwind(AssertUnwindSafe(|| self.assembler.flush()));
        let _ = catch_unwind(AssertUnwindSafe(|| self.assembler.close(&reason)));
        let _ = catch_unwind(AssertUnwindSafe(|| self.publish()));
        self.announcement.reason = Some(reason);
    }
}
