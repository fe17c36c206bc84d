//! One worker thread: an epoll, the tasks that live on it, and the order in which they run.
//!
//! Invariant: `tasks` is touched by the worker's thread only; other threads reach it through `WorkerShared::inbox` and
//! the poll's waker.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use mio::{Events, Poll};
use parking_lot::Mutex;

use crate::sys::epoll;

use super::task::{Context, MAX_REST, Progress, Task, TaskHandle, TaskWaker, WAKE_TOKEN, token_parts};

/// What other threads see of a worker.
pub(crate) struct WorkerShared {
    inbox: Mutex<Inbox>,
    poll_waker: mio::Waker,
    next_number: AtomicUsize,
}

#[derive(Default)]
struct Inbox {
    spawned: Vec<(Arc<TaskWaker>, Box<dyn Task>)>,
    woken: Vec<usize>,
    stop: bool,
}

thread_local! {
    /// The address of the `WorkerShared` whose thread this is; 0 on all other threads.
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

/// True on the thread of `worker`.
pub(super) fn is_current(worker: &Arc<WorkerShared>) -> bool {
    CURRENT.get() == Arc::as_ptr(worker) as usize
}

impl WorkerShared {
    pub(super) fn wake_task(&self, number: usize) {
        self.inbox.lock().woken.push(number);
        self.interrupt();
    }

    /// Gives the worker a task; `None` (the task is dropped) if the worker has been stopped.
    pub(super) fn spawn(self: &Arc<Self>, task: Box<dyn Task>) -> Option<TaskHandle> {
        // Relaxed: only the numbers' being different matters.
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let waker = Arc::new(TaskWaker { number, worker: self.clone(), queued: true.into() });
        let handle = TaskHandle { waker: Waker::from(waker.clone()), worker: self.clone() };
        let mut inbox = self.inbox.lock();
        if inbox.stop {
            return None;
        }
        inbox.spawned.push((waker, task));
        drop(inbox);
        self.interrupt();
        Some(handle)
    }

    pub(super) fn stop(&self) {
        self.inbox.lock().stop = true;
        self.interrupt();
    }

    fn interrupt(&self) {
        // It can fail only with EAGAIN, when a wake-up is pending already.
        let _ = self.poll_waker.wake();
    }
}

struct Entry {
    task: Box<dyn Task>,
    waker: Arc<TaskWaker>,
    /// `waker` as the standard library's type, made once.
    std_waker: Waker,
    /// Slots that became readable since the last run.
    ready: Vec<usize>,
    /// The task is in `Worker::runnable`.
    runnable: bool,
    /// When the task is to be run in any case.
    due: Option<Instant>,
}

/// How a wait of a worker ended.
enum Waited {
    /// There may be readiness.
    Ready,
    /// Only time has passed.
    Due,
    /// It did not wait: no task is due at any time.
    NoTimer,
}

/// The worker itself; it lives on its thread.
pub(super) struct Worker {
    poll: Poll,
    shared: Arc<WorkerShared>,
    tasks: HashMap<usize, Entry>,
    runnable: VecDeque<usize>,
    /// Which task is due when, the earliest first. One that is not what the task's `due` says is of the past.
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Worker {
    pub(super) fn new() -> io::Result<(Self, Arc<WorkerShared>)> {
        let poll = Poll::new()?;
        let shared = Arc::new(WorkerShared {
            inbox: Mutex::default(),
            poll_waker: mio::Waker::new(poll.registry(), WAKE_TOKEN)?,
            next_number: AtomicUsize::new(0),
        });
        let worker = Self {
            poll,
            shared: shared.clone(),
            tasks: HashMap::new(),
            runnable: VecDeque::new(),
            timers: BinaryHeap::new(),
        };
        Ok((worker, shared))
    }

    /// Runs tasks until the pool stops.
    pub(super) fn run(mut self) {
        CURRENT.set(Arc::as_ptr(&self.shared) as usize);
        let mut events = Events::with_capacity(256);
        loop {
            let stopping = self.take_inbox();
            self.take_due();
            // Those that are runnable now get one turn each; what they make runnable waits for the next round.
            for _ in 0..self.runnable.len() {
                let Some(number) = self.runnable.pop_front() else { break };
                self.run_task(number, stopping);
            }
            if stopping {
                return;
            }
            let timeout = match self.wait() {
                Waited::Due => continue,
                Waited::Ready => Some(Duration::ZERO),
                Waited::NoTimer => None,
            };
            if let Err(error) = self.poll.poll(&mut events, timeout)
                && error.kind() != io::ErrorKind::Interrupted
            {
                log::error!("a worker cannot wait for its descriptors: {error}");
                // Not a busy loop, and not an end: what waits in the inbox can still be run.
                std::thread::sleep(Duration::from_millis(10));
            }
            for event in &events {
                let (number, slot) = token_parts(event.token());
                // A task that has ended may still have an event under way; the waker's token has no task at all.
                if let Some(entry) = self.tasks.get_mut(&number) {
                    entry.ready.push(slot);
                    Self::make_runnable(&mut self.runnable, number, entry);
                }
            }
            events.clear();
        }
    }

    /// Waits for readiness until the first timer is due, if there is one and nothing is runnable.
    fn wait(&mut self) -> Waited {
        if !self.runnable.is_empty() {
            return Waited::Ready;
        }
        let Some(&Reverse((due, _))) = self.timers.peek() else { return Waited::NoTimer };
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // Those who are always late do not keep the others from their readiness.
            return Waited::Ready;
        }
        // SAFETY: the poll's own descriptor, open as long as the poll lives.
        let fd = unsafe { BorrowedFd::borrow_raw(self.poll.as_raw_fd()) };
        match epoll::wait_readable(fd, left) {
            Ok(true) => Waited::Ready,
            Ok(false) => Waited::Due,
            Err(error) => {
                log::error!("a worker cannot wait for its descriptors: {error}");
                std::thread::sleep(left);
                Waited::Ready
            }
        }
    }

    /// Makes the tasks runnable that are due.
    fn take_due(&mut self) {
        if self.timers.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some(&Reverse((due, number))) = self.timers.peek()
            && due <= now
        {
            self.timers.pop();
            if let Some(entry) = self.tasks.get_mut(&number)
                && entry.due == Some(due)
            {
                Self::make_runnable(&mut self.runnable, number, entry);
            }
        }
    }

    fn make_runnable(runnable: &mut VecDeque<usize>, number: usize, entry: &mut Entry) {
        if !entry.runnable {
            entry.runnable = true;
            runnable.push_back(number);
        }
    }

    /// Takes in what other threads left. True when the worker is to stop: then every task is runnable.
    fn take_inbox(&mut self) -> bool {
        let Inbox { spawned, woken, stop } = {
            let mut inbox = self.shared.inbox.lock();
            let stop = inbox.stop;
            let taken = std::mem::take(&mut *inbox);
            inbox.stop = stop;
            taken
        };
        let mut due = woken;
        for (waker, task) in spawned {
            let number = waker.number;
            let std_waker = Waker::from(waker.clone());
            let entry = Entry { task, waker, std_waker, ready: Vec::new(), runnable: false, due: None };
            self.tasks.insert(number, entry);
            due.push(number);
        }
        if stop {
            due.extend(self.tasks.keys());
        }
        for number in due {
            if let Some(entry) = self.tasks.get_mut(&number) {
                Self::make_runnable(&mut self.runnable, number, entry);
            }
        }
        stop
    }

    fn run_task(&mut self, number: usize, stopping: bool) {
        let Some(entry) = self.tasks.get_mut(&number) else { return };
        entry.runnable = false;
        entry.due = None;
        // AcqRel, with the swap in wake_by_ref: a wake from now on queues the task again; what came before is seen now.
        let woken = entry.waker.queued.swap(false, Ordering::AcqRel);
        let mut context = Context {
            registry: self.poll.registry(),
            number,
            waker: &entry.std_waker,
            ready: &entry.ready,
            woken,
            stopping,
        };
        let progress = catch_unwind(AssertUnwindSafe(|| entry.task.run(&mut context))).unwrap_or_else(|_| {
            // The panic hook has said what and where. The task's state is not to be trusted; it only says goodbye.
            let _ = catch_unwind(AssertUnwindSafe(|| entry.task.panicked(&context)));
            Progress::Done
        });
        entry.ready.clear();
        match progress {
            Progress::Again => Self::make_runnable(&mut self.runnable, number, entry),
            Progress::Wait => {}
            Progress::Rest(wanted) => {
                let due = Instant::now() + wanted.min(MAX_REST);
                entry.due = Some(due);
                self.timers.push(Reverse((due, number)));
            }
            Progress::Done => {
                let entry = self.tasks.remove(&number);
                // What a task owns may be the user's: dropping it must not take the worker down either.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(entry)));
            }
        }
    }
}
