//! One worker thread: an epoll, the tasks that live on it, and the order in which they run.
//!
//! Invariant: `tasks` is touched by the worker's thread only; other threads reach it through `WorkerShared::inbox` and
//! the poll's waker.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

use mio::{Events, Poll};
use parking_lot::Mutex;

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
}

/// The worker itself; it lives on its thread.
pub(super) struct Worker {
    poll: Poll,
    shared: Arc<WorkerShared>,
    tasks: HashMap<usize, Entry>,
    runnable: VecDeque<usize>,
}

impl Worker {
    pub(super) fn new() -> io::Result<(Self, Arc<WorkerShared>)> {
        let poll = Poll::new()?;
        let shared = Arc::new(WorkerShared {
            inbox: Mutex::default(),
            poll_waker: mio::Waker::new(poll.registry(), WAKE_TOKEN)?,
            next_number: AtomicUsize::new(0),
        });
        let worker = Self { poll, shared: shared.clone(), tasks: HashMap::new(), runnable: VecDeque::new() };
        Ok((worker, shared))
    }

    /// Runs tasks until the pool stops.
    pub(super) fn run(mut self) {
        CURRENT.set(Arc::as_ptr(&self.shared) as usize);
        let mut events = Events::with_capacity(256);
        loop {
            let stopping = self.take_inbox();
            let mut rest = Duration::ZERO;
            // Those that are runnable now get one turn each; what they make runnable waits for the next round.
            for _ in 0..self.runnable.len() {
                let Some(number) = self.runnable.pop_front() else { break };
                if let Some(Progress::Rest(wanted)) = self.run_task(number, stopping) {
                    rest = rest.max(wanted);
                }
            }
            if stopping {
                return;
            }
            if self.runnable.is_empty() && !rest.is_zero() {
                std::thread::sleep(rest.min(MAX_REST));
            }
            let timeout = if self.runnable.is_empty() { None } else { Some(Duration::ZERO) };
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
            self.tasks.insert(number, Entry { task, waker, std_waker, ready: Vec::new(), runnable: false });
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

    fn run_task(&mut self, number: usize, stopping: bool) -> Option<Progress> {
        let entry = self.tasks.get_mut(&number)?;
        entry.runnable = false;
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
            Progress::Wait | Progress::Rest(_) => {}
            Progress::Done => {
                let entry = self.tasks.remove(&number);
                // What a task owns may be the user's: dropping it must not take the worker down either.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(entry)));
            }
        }
        Some(progress)
    }
}
