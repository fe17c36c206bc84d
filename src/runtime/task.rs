//! What a worker runs, and the handles that others hold to it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::worker::{self, WorkerShared};

/// The longest [`Progress::Rest`].
pub const MAX_REST: Duration = Duration::from_millis(1);

/// What a task wants after it has run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// To be run again, after the others had their turn.
    Again,
    /// To be run when a watched descriptor becomes readable or its waker is woken.
    Wait,
    /// As `Wait`, and in any case to be run again after so long (at most [`MAX_REST`]). The worker sleeps or runs others meanwhile:
    /// a descriptor in which more is to gather should not be watched, or it would wake the worker.
    Rest(Duration),
    /// Nothing more: the worker drops it.
    Done,
}

/// A state machine that a worker runs. It must not block.
pub trait Task: Send {
    /// Does a bounded amount of work.
    fn run(&mut self, context: &mut Context<'_>) -> Progress;

    /// `run` panicked; the worker drops the task after this call.
    fn panicked(&mut self, context: &Context<'_>);
}

/// Bits of a [`Token`] that hold the slot; the others hold the task's number.
const SLOT_BITS: u32 = 16;

/// The token of the worker's own waker; no task has this number.
pub(super) const WAKE_TOKEN: Token = Token(usize::MAX);

pub(super) fn token_parts(token: Token) -> (usize, usize) {
    (token.0 >> SLOT_BITS, token.0 & ((1 << SLOT_BITS) - 1))
}

/// What a task sees of its worker while it runs.
pub struct Context<'a> {
    pub(super) registry: &'a Registry,
    pub(super) number: usize,
    pub(super) waker: &'a Waker,
    pub(super) ready: &'a [usize],
    pub(super) woken: bool,
    pub(super) stopping: bool,
}

impl Context<'_> {
    /// Has the task run whenever `fd` *becomes* readable (edge-triggered: read until it is empty before waiting),
    /// under the number `slot`. The watch ends when the descriptor is closed, *and* every duplicate of it, in whatever
    /// hands: end it with [`unwatch`](Self::unwatch) unless nobody can have one.
    pub fn watch(&self, fd: BorrowedFd<'_>, slot: usize) -> io::Result<()> {
        if slot >= 1 << SLOT_BITS {
            return Err(io::Error::other("a task can watch at most 65536 descriptors"));
        }
        let token = Token(self.number << SLOT_BITS | slot);
        self.registry.register(&mut SourceFd(&fd.as_raw_fd()), token, Interest::READABLE)
    }

    /// Ends a watch, before the descriptor is closed.
    pub fn unwatch(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.registry.deregister(&mut SourceFd(&fd.as_raw_fd()))
    }

    /// The slots whose descriptors became readable since the last run; a slot may be named twice.
    pub fn ready(&self) -> &[usize] {
        self.ready
    }

    /// Whether the task's waker was woken (or it has just been spawned), and not only a descriptor became readable.
    pub fn is_woken(&self) -> bool {
        self.woken
    }

    /// Wakes this task, from any thread.
    pub fn waker(&self) -> &Waker {
        self.waker
    }

    /// The pool is being stopped: the task must finish in this run.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }
}

/// Wakes one task. `queued` is set by whoever asks first and cleared by the worker just before it runs the task.
pub(super) struct TaskWaker {
    pub(super) number: usize,
    pub(super) worker: Arc<WorkerShared>,
    pub(super) queued: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // AcqRel: what was written before this wake is seen by the run that follows the worker's clearing of the flag.
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.worker.wake_task(self.number);
        }
    }
}

/// A spawned task as others see it.
#[derive(Clone)]
pub struct TaskHandle {
    pub(super) waker: Waker,
    pub(super) worker: Arc<WorkerShared>,
}

impl TaskHandle {
    /// Has the task run soon.
    pub fn wake(&self) {
        self.waker.wake_by_ref();
    }

    /// True when called on the worker thread that runs the task: waiting there for the task would wait for ever.
    pub fn is_current_thread(&self) -> bool {
        worker::is_current(&self.worker)
    }
}
