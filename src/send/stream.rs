//! The stream as its users hold it: a bounded queue of heaps, and a thread that sends them.
//!
//! Invariant, under the lock: `occupied` is the number of heaps that are pending or whose result is kept, and is at most `max_heaps`; `results_fd` is readable
//! exactly while a result is kept. Any thread may call anything; functions of users are called without the lock, on the stream's thread.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{JoinHandle, ThreadId};
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::job::{Entry, HeapResult, Job, Order, Report, Request, Waiter};
use super::pace::{Pace, Pacing};
use super::packets::{Packets, check_size};
use super::sink::{Sink, StopFlag};
use super::stats::SendStats;
use super::worker;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::{GetError, Wait};
use crate::sys::eventfd::EventFd;
use crate::sys::signal;

/// Heaps that a queue may hold at the most.
const MOST_HEAPS: usize = 1 << 20;

/// How a stream sends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SendConfig {
    /// Bytes of a packet at the most, without the headers of IP and UDP.
    pub max_packet_size: usize,
    /// Heaps in the queue or on their way, or whose result is kept.
    pub max_heaps: usize,
    /// Number of the first heap, and how much the number grows with each.
    pub first_cnt: u64,
    /// See `first_cnt`.
    pub cnt_step: u64,
    /// How fast.
    pub pace: Pace,
}

impl Default for SendConfig {
    fn default() -> Self {
        Self { max_packet_size: 1472, max_heaps: 4, first_cnt: 1, cnt_step: 1, pace: Pace::default() }
    }
}

impl SendConfig {
    fn check(&self) -> Result<()> {
        check_size(self.max_packet_size)?;
        let Self { max_heaps, pace, .. } = *self;
        if !(1..=MOST_HEAPS).contains(&max_heaps) {
            return Err(Error::invalid(format!(
                "max_heaps must be between 1 and {MOST_HEAPS} (got {max_heaps})"
            )));
        }
        check_rate("rate", pace.rate)?;
        if pace.burst_size == 0 {
            return Err(Error::invalid("burst_size must be at least 1 (got 0)"));
        }
        let ratio = pace.burst_rate_ratio;
        if !(1.0..=1e6).contains(&ratio) {
            return Err(Error::invalid(format!(
                "burst_rate_ratio must be between 1 and 1000000 (got {ratio})"
            )));
        }
        if pace.pacing == Pacing::Kernel && pace.rate == 0.0 {
            return Err(Error::invalid("pacing by the kernel needs a rate (got 0)"));
        }
        Ok(())
    }
}

/// Checks a rate in bytes per second.
fn check_rate(name: &str, rate: f64) -> Result<()> {
    if rate == 0.0 || (1.0..=1e15).contains(&rate) {
        return Ok(());
    }
    Err(Error::invalid(format!("{name} must be 0, or between 1 and 10^15 bytes per second (got {rate})")))
}

/// Why heaps were not taken into the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubmitError {
    /// There is no space, and the call was not to wait.
    Full,
    /// There was no space in the time.
    TimedOut,
    /// The stream is stopped.
    Stopped,
    /// They cannot be sent like this.
    Invalid(Error),
}

impl From<Error> for SubmitError {
    fn from(error: Error) -> Self {
        Self::Invalid(error)
    }
}

#[derive(Default)]
pub(super) struct State {
    pub(super) queue: VecDeque<Job>,
    /// See the module's invariant.
    pub(super) occupied: usize,
    /// Heaps of whose end not everybody has been told.
    pub(super) untold: usize,
    pub(super) results: VecDeque<HeapResult>,
    pub(super) stats: SendStats,
    pub(super) stopped: bool,
    /// The thread sends no more.
    pub(super) ended: bool,
    next_ticket: u64,
    next_cnt: u64,
    cnt_step: u64,
}

pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// There is work, or the stop.
    pub(super) work: Condvar,
    /// Something was sent, or fetched, or it is the end.
    pub(super) progress: Condvar,
    pub(super) results_fd: EventFd,
    pub(super) stop: StopFlag,
    pub(super) config: SendConfig,
}

/// A stream to send heaps with. Dropping it stops it.
pub struct SendStream {
    shared: Arc<Shared>,
    substreams: usize,
    largest: usize,
    thread: Mutex<Option<JoinHandle<()>>>,
    id: ThreadId,
}

impl SendStream {
    /// Starts a stream.
    pub fn new(config: SendConfig, mut sink: Box<dyn Sink>) -> Result<Self> {
        config.check()?;
        let (substreams, largest) = (sink.substreams(), sink.max_packet_size());
        if config.max_packet_size > largest {
            let size = config.max_packet_size;
            return Err(Error::invalid(format!(
                "max_packet_size must be at most {largest} here (got {size})"
            )));
        }
        if config.pace.pacing == Pacing::Kernel
            && let Some(reason) = sink.pace(&config.pace, config.max_packet_size)?
        {
            log::warn!("send stream: the kernel does not pace, bursts leave at once: {reason}");
        }
        let results_fd = EventFd::new().map_err(|e| Error::io("eventfd", &e))?;
        let state = State {
            next_ticket: 1,
            next_cnt: config.first_cnt,
            cnt_step: config.cnt_step,
            ..State::default()
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            work: Condvar::new(),
            progress: Condvar::new(),
            results_fd,
            stop: StopFlag::default(),
            config,
        });
        let for_thread = shared.clone();
        let run = move || {
            signal::leave_to_other_threads();
            worker::run(&for_thread, sink);
        };
        let thread = std::thread::Builder::new().name("aqueduct-send".into()).spawn(run);
        let thread = thread.map_err(|e| Error::io("send stream: a thread", &e))?;
        let id = thread.thread().id();
        Ok(Self { shared, substreams, largest, thread: Mutex::new(Some(thread)), id })
    }

    /// What it was made with.
    pub fn config(&self) -> &SendConfig {
        &self.shared.config
    }

    /// How many destinations there are.
    pub fn substreams(&self) -> usize {
        self.substreams
    }

    /// The number of the next heap that has none of its own, and how much it grows with each.
    pub fn set_cnt_sequence(&self, next: u64, step: u64) {
        let mut state = self.shared.state.lock();
        (state.next_cnt, state.cnt_step) = (next, step);
    }

    /// Puts a heap into the queue, waiting for space as long as `wait` allows. The answer is its ticket.
    pub fn submit(&self, request: Request, report: Report, wait: Wait) -> Result<u64, SubmitError> {
        self.submit_group(vec![request], Order::Serial, report, wait)
    }

    /// Puts heaps into the queue, all or none. Their tickets count on from the one that is answered.
    pub fn submit_group(
        &self,
        requests: Vec<Request>,
        order: Order,
        report: Report,
        wait: Wait,
    ) -> Result<u64, SubmitError> {
        let n = requests.len();
        if n == 0 {
            return Err(Error::invalid("there must be at least 1 heap (got 0)").into());
        }
        let max_heaps = self.shared.config.max_heaps;
        if n > max_heaps {
            return Err(Error::invalid(format!(
                "a group of {n} heaps is larger than max_heaps ({max_heaps})"
            ))
            .into());
        }
        // All that can be wrong and all that takes time comes before the lock.
        let mut entries =
            requests.into_iter().map(|request| self.entry(request, &report)).collect::<Result<Vec<_>>>()?;
        let mut state = self.wait_for_space(n, wait)?;
        let ticket = state.next_ticket;
        for entry in &mut entries {
            entry.ticket = state.next_ticket;
            state.next_ticket += 1;
            let bits = entry.request.heap.flavour().heap_address_bits;
            entry.cnt = entry.request.cnt.unwrap_or_else(|| {
                let cnt = state.next_cnt;
                state.next_cnt = cnt.wrapping_add(state.cnt_step);
                cnt & ((1 << bits) - 1)
            });
            state.stats.packets += entry.packets.count() as u64;
            state.stats.packets_pending += entry.packets.count() as u64;
        }
        state.stats.heaps += n as u64;
        state.stats.heaps_pending += n as u64;
        state.occupied += n;
        state.untold += n;
        state.queue.push_back(Job { entries, order, turn: 0 });
        drop(state);
        self.shared.work.notify_one();
        Ok(ticket)
    }

    fn entry(&self, request: Request, report: &Report) -> Result<Entry> {
        if request.substream >= self.substreams {
            let (n, got) = (self.substreams, request.substream);
            return Err(Error::invalid(format!(
                "substream must be less than {n}, the number of destinations (got {got})"
            )));
        }
        let flavour = request.heap.flavour();
        if let Some(cnt) = request.cnt.filter(|&cnt| cnt >> flavour.heap_address_bits != 0) {
            let bits = flavour.heap_address_bits;
            return Err(Error::invalid(format!(
                "cnt must be less than 2^{bits} in {flavour} (got {cnt:#x})"
            )));
        }
        if let Some(rate) = request.rate {
            check_rate("rate", rate)?;
        }
        let packets = Packets::new(&request.heap, self.shared.config.max_packet_size.min(self.largest))?;
        let (report, cnt) = (report.clone(), 0);
        Ok(Entry {
            request,
            ticket: 0,
            cnt,
            packets,
            report,
            next: 0,
            sent: 0,
            unsent: 0,
            bytes: 0,
            error: None,
            goes_on: false,
        })
    }

    fn wait_for_space(&self, n: usize, wait: Wait) -> Result<MutexGuard<'_, State>, SubmitError> {
        let shared = &*self.shared;
        let deadline = wait.end();
        let mut state = shared.state.lock();
        let mut counted = false;
        loop {
            if state.stopped || state.ended {
                return Err(SubmitError::Stopped);
            }
            if state.occupied + n <= shared.config.max_heaps {
                return Ok(state);
            }
            if !std::mem::replace(&mut counted, true) {
                state.stats.queue_full += 1;
            }
            if wait == Wait::No {
                return Err(SubmitError::Full);
            }
            self.refuse_inside("wait for space")?;
            if !wait_until(&shared.progress, &mut state, deadline) {
                return Err(SubmitError::TimedOut);
            }
        }
    }

    /// Sends a heap, and waits for its end. When the time is over it is given up: it was not sent, or not all of it.
    pub fn send(&self, request: Request, wait: Wait) -> Result<HeapResult, SubmitError> {
        self.refuse_inside("wait for a heap")?;
        let deadline = wait.end();
        let waiter = Arc::new(Waiter::default());
        // Without waiting there is never an end to be seen.
        self.submit(request, Report::Waiter(waiter.clone()), wait)?;
        let mut result = waiter.result.lock();
        loop {
            if let Some(result) = result.take() {
                return Ok(result);
            }
            if !wait_until(&waiter.came, &mut result, deadline) && result.is_none() {
                // Relaxed: it publishes nothing.
                waiter.gone.store(true, Ordering::Relaxed);
                drop(result);
                self.shared.work.notify_one();
                return Err(SubmitError::TimedOut);
            }
        }
    }

    /// Waits until all heaps that were submitted have come to their end, and who wanted to know has been told. False when the time was over before.
    pub fn flush(&self, wait: Wait) -> Result<bool> {
        self.refuse_inside("flush")?;
        let deadline = wait.end();
        let mut state = self.shared.state.lock();
        while state.untold > 0 {
            if wait == Wait::No || !wait_until(&self.shared.progress, &mut state, deadline) {
                return Ok(state.untold == 0);
            }
        }
        Ok(true)
    }

    /// The next result of a heap whose result was to be kept.
    pub fn next_result(&self, wait: Wait) -> Result<HeapResult, GetError> {
        let deadline = wait.end();
        let mut state = self.shared.state.lock();
        loop {
            if let Some(result) = state.results.pop_front() {
                state.occupied -= 1;
                if state.results.is_empty() {
                    self.shared.results_fd.lower();
                }
                drop(state);
                self.shared.progress.notify_all();
                return Ok(result);
            }
            if state.ended {
                return Err(GetError::Stopped);
            }
            if wait == Wait::No {
                return Err(GetError::Empty);
            }
            if !wait_until(&self.shared.progress, &mut state, deadline) && state.results.is_empty() {
                return Err(GetError::TimedOut);
            }
        }
    }

    /// Readable while a result is kept.
    pub fn results_fd(&self) -> &EventFd {
        &self.shared.results_fd
    }

    /// What became of all heaps and packets so far.
    pub fn stats(&self) -> SendStats {
        self.shared.state.lock().stats
    }

    /// True on the stream's own thread, where its functions must not wait.
    pub fn is_own_thread(&self) -> bool {
        std::thread::current().id() == self.id
    }

    fn refuse_inside(&self, what: &str) -> Result<()> {
        if self.is_own_thread() {
            return Err(Error::state(format!(
                "send stream: its own callback cannot {what}: it would wait for itself"
            )));
        }
        Ok(())
    }

    /// Gives up all heaps that are not sent, after the batch at hand, and waits for the thread to end. Does nothing the second time.
    pub fn stop(&self) -> Result<()> {
        self.refuse_inside("stop it")?;
        self.shared.state.lock().stopped = true;
        self.shared.stop.set();
        self.shared.work.notify_all();
        self.shared.progress.notify_all();
        // The lock is kept until the thread has ended: a second stop waits for it, too.
        let mut thread = self.thread.lock();
        match thread.take().map(JoinHandle::join) {
            Some(Err(_)) => Err(Error::new(ErrorKind::Internal, "send stream: its thread panicked")),
            _ => Ok(()),
        }
    }
}

impl Drop for SendStream {
    fn drop(&mut self) {
        if self.is_own_thread() {
            // The last reference went in one of its callbacks: the thread ends by itself.
            self.shared.state.lock().stopped = true;
            self.shared.stop.set();
            return;
        }
        if let Err(error) = self.stop() {
            log::error!("{error}");
        }
    }
}

/// False when the time is over.
fn wait_until<T>(condvar: &Condvar, guard: &mut MutexGuard<'_, T>, deadline: Option<Instant>) -> bool {
    match deadline {
        None => {
            condvar.wait(guard);
            true
        }
        Some(deadline) => !condvar.wait_until(guard, deadline).timed_out(),
    }
}
