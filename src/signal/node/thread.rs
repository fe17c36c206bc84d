//! What all nodes have in common: a thread of its own that takes chunks from an input and hands them to the node's work, until it is stopped, the input ends, or the
//! work fails.
//!
//! The thread waits for the input's descriptor and for the wish to stop, both at once, so that a stop is immediate; only one that waits for a slow output
//! looks every 10 ms. What came and was no chunk of the stream is counted, and the node goes on. An error of the work ends the node. So does the end of
//! the input (in the process, and in shared memory, when the output is closed or its process dies; ZeroMQ waits for an output that comes again, and never
//! ends). A producer that was started anew has a new address there: [`Node::set_input`], then start again.
//!
//! Invariant: the work is either in the slot or with the one thread. Any thread may call any function; starting and stopping wait for each other.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::state::{NodeStats, Progress, State};
use super::stop::{Drain, SLICE, Stop, Wish};
use crate::error::{Error, ErrorKind, Result};
use crate::log::Limited;
use crate::ring::Wait;
use crate::signal::input::{Input, Received};
use crate::signal::params::{Params, Protocol};
use crate::signal::shared::{SharedInput, SharedOutput, Turn};
use crate::signal::transport::NoChunk;
use crate::sys::{poll, signal};

/// So many failures of the input in a row, and the node rests between two: a transport that is broken for good does not keep a core busy.
const FAILURES: u32 = 100;
const REST: Duration = Duration::from_millis(100);

/// What a node does with what comes. Its functions run on the node's thread, one at a time.
pub trait Work: Send {
    /// The stream whose chunks come from the next start on. After an error it is still the one before.
    fn connect(&mut self, _input: &Params) -> Result<()> {
        Ok(())
    }

    /// The thread has begun: what an earlier stop left is to be done.
    fn begin(&mut self, _stop: &Stop) -> Result<()> {
        Ok(())
    }

    /// The stream begins again at index 0, or another was connected that is behind: with the next chunk.
    fn restart(&mut self, _stop: &Stop) -> Result<()> {
        Ok(())
    }

    /// A chunk came.
    fn chunk(&mut self, received: Received, stop: &Stop) -> Result<()>;

    /// Something came that was no chunk of the stream.
    fn failed(&mut self, _error: &Error) {}

    /// The node stops, or its input has ended: what is held back is to go on. False: not all could before the node is to stop.
    fn finish(&mut self, _stop: &Stop) -> Result<bool> {
        Ok(true)
    }

    /// The node ends by itself, as it says. The last call before another start.
    fn ended(&mut self, _state: &State) {}
}

type BoxedWork = Box<dyn Work>;

/// Where the work is.
enum Slot {
    Idle(BoxedWork),
    Running(JoinHandle<BoxedWork>),
    /// It panicked.
    Lost,
}

/// What others and the thread share.
struct Shared {
    progress: Progress,
    stop: Stop,
    /// The thread, from its beginning to its end.
    thread: Mutex<Option<ThreadId>>,
}

/// See the module.
pub struct Node {
    shared: Arc<Shared>,
    input: Mutex<SharedInput>,
    outputs: Vec<SharedOutput>,
    /// Held while the node is started or stopped.
    slot: Mutex<Slot>,
}

impl Node {
    /// A node that does not run yet. `outputs` are those that the work sends through.
    ///
    /// # Errors
    /// `Invalid`: the work cannot deal with that input's chunks. `Io`: there are no descriptors.
    pub fn new(input: SharedInput, outputs: Vec<SharedOutput>, mut work: Box<dyn Work>) -> Result<Self> {
        work.connect(&input.params())?;
        let shared = Shared { progress: Progress::new()?, stop: Stop::new()?, thread: Mutex::default() };
        Ok(Self {
            shared: Arc::new(shared),
            input: Mutex::new(input),
            outputs,
            slot: Mutex::new(Slot::Idle(work)),
        })
    }

    /// Where it is in its life.
    pub fn state(&self) -> State {
        self.shared.progress.state()
    }

    /// What it has counted.
    pub fn stats(&self) -> NodeStats {
        self.shared.progress.stats()
    }

    /// The index behind the latest frame that was taken from the input.
    pub fn index(&self) -> u64 {
        self.stats().index
    }

    /// The last error since it was started: also of what it went on after.
    pub fn last_error(&self) -> Option<Error> {
        self.shared.progress.last_error()
    }

    /// Waits until it does not run. `None`: it still does.
    pub fn wait(&self, wait: Wait) -> Option<State> {
        self.shared.progress.wait(wait)
    }

    /// Readable, level-triggered, while it does not run.
    pub fn done_fd(&self) -> BorrowedFd<'_> {
        self.shared.progress.done_fd()
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.shared.progress
    }

    /// What it takes from.
    pub fn input(&self) -> SharedInput {
        self.input.lock().clone()
    }

    /// What it sends through.
    pub fn outputs(&self) -> &[SharedOutput] {
        &self.outputs
    }

    /// Takes from another input from the next start on: of a producer that was started anew, say.
    ///
    /// # Errors
    /// `State`: it runs. `Invalid`: its chunks are others.
    pub fn set_input(&self, input: SharedInput) -> Result<()> {
        self.refuse_inside("get another input")?;
        let mut slot = self.slot.lock();
        self.settle(&mut slot)?;
        let Slot::Idle(work) = &mut *slot else {
            return Err(Error::state("stream node: it runs; stop it first"));
        };
        work.connect(&input.params())?;
        *self.input.lock() = input;
        Ok(())
    }

    /// Starts the thread. What came meanwhile, and waits in the input, comes first.
    ///
    /// # Errors
    /// `State`: it runs, or it is called from its own callback. `Io`: there is no thread, or no descriptor.
    pub fn start(&self) -> Result<()> {
        self.refuse_inside("start itself")?;
        let mut slot = self.slot.lock();
        self.settle(&mut slot)?;
        let Slot::Idle(_) = &*slot else { return Err(Error::state("stream node: it runs already")) };
        let input = self.input();
        let (fd, protocol) = {
            let input = locked(&input)?;
            let fd = input.fd()?.try_clone_to_owned().map_err(|e| Error::io("stream node: dup", &e))?;
            (fd, input.params().protocol)
        };
        let Slot::Idle(work) = std::mem::replace(&mut *slot, Slot::Lost) else { return Ok(()) };
        let shared = self.shared.clone();
        shared.stop.reset();
        shared.progress.begin();
        // The thread gets the work when it is there, so that the work is not lost if it is not.
        let (give, take) = std::sync::mpsc::sync_channel::<BoxedWork>(1);
        let run = move || {
            signal::leave_to_other_threads();
            let Ok(mut work) = take.recv() else { return Box::new(Nothing) as BoxedWork };
            *shared.thread.lock() = Some(std::thread::current().id());
            let last = shared.progress.stats().index;
            let mut run = Run { shared: &shared, input: &input, fd: &fd, protocol, last };
            let result = catch_unwind(AssertUnwindSafe(|| {
                let state = run.whole(&mut *work);
                if state != State::Stopped {
                    work.ended(&state);
                }
                state
            }));
            let panicked =
                || State::Failed(Error::new(ErrorKind::Internal, "stream node: its thread panicked"));
            let state = result.unwrap_or_else(|_| panicked());
            *shared.thread.lock() = None;
            shared.progress.end(state);
            work
        };
        match std::thread::Builder::new().name("aqueduct-node".into()).spawn(run) {
            Ok(thread) => {
                // It waits for just this.
                let _ = give.send(work);
                *slot = Slot::Running(thread);
                Ok(())
            }
            Err(error) => {
                *slot = Slot::Idle(work);
                self.shared.progress.end(State::Stopped);
                Err(Error::io("stream node: a thread", &error))
            }
        }
    }

    /// Stops it at once, and waits for the callback in flight. What could not be sent to a slow output is kept, and sent when it is started again; so is
    /// what waits in its input. Nothing happens if it does not run: a node that has ended or failed stays so until it is started.
    ///
    /// # Errors
    /// `State`: it is called from its own callback, where it would wait for itself; see [`ask_to_stop`](Self::ask_to_stop). Else what it failed with
    /// meanwhile.
    pub fn stop(&self) -> Result<()> {
        self.refuse_inside("stop itself")?;
        self.stop_by(Stop::now)
    }

    /// Stops it when it has dealt with what is on its way, or that took too long. True: nothing is left.
    pub(crate) fn stop_after(&self, drain: Drain) -> Result<bool> {
        self.refuse_inside("stop itself")?;
        self.stop_by(|stop| stop.drain(drain))?;
        Ok(self.shared.stop.is_all_done())
    }

    /// Asks it to stop, and does not wait: also from its own callback.
    pub fn ask_to_stop(&self) {
        self.shared.stop.now();
    }

    fn stop_by(&self, wish: impl Fn(&Stop)) -> Result<()> {
        // Before the lock, so that a stop that takes its time is hurried up; and behind it, as a start may have been in between.
        wish(&self.shared.stop);
        let mut slot = self.slot.lock();
        let Slot::Running(_) = &*slot else { return Ok(()) };
        wish(&self.shared.stop);
        let ran = self.state() == State::Running;
        Self::join(&mut slot)?;
        match self.state() {
            State::Failed(error) if ran => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether this is called by the node's own thread.
    pub fn is_inside(&self) -> bool {
        *self.shared.thread.lock() == Some(std::thread::current().id())
    }

    fn refuse_inside(&self, what: &str) -> Result<()> {
        if self.is_inside() {
            return Err(Error::state(format!("stream node: it cannot {what} from its own callback")));
        }
        Ok(())
    }

    /// Takes the work back from a thread that ended by itself.
    fn settle(&self, slot: &mut Slot) -> Result<()> {
        match slot {
            Slot::Running(_) if self.state() != State::Running => Self::join(slot),
            Slot::Lost => Err(lost()),
            _ => Ok(()),
        }
    }

    fn join(slot: &mut Slot) -> Result<()> {
        let Slot::Running(thread) = std::mem::replace(slot, Slot::Lost) else { return Err(lost()) };
        *slot = Slot::Idle(thread.join().map_err(|_| lost())?);
        Ok(())
    }
}

/// The input, unless somebody else is in a call of it, and waits there.
fn locked(input: &SharedInput) -> Result<Turn<'_, Input>> {
    let busy = || Error::state("stream node: the input is being waited for by another thread");
    input.lock_for(REST).ok_or_else(busy)
}

fn lost() -> Error {
    Error::new(ErrorKind::Internal, "stream node: its thread panicked")
}

impl Drop for Node {
    fn drop(&mut self) {
        // From its own callback it cannot be waited for: the thread ends behind that.
        self.ask_to_stop();
        if !self.is_inside() {
            let _ = self.stop();
        }
    }
}

/// Of a thread that was never given its work.
struct Nothing;

impl Work for Nothing {
    fn chunk(&mut self, _: Received, _: &Stop) -> Result<()> {
        Ok(())
    }
}

/// One run of the thread.
struct Run<'a> {
    shared: &'a Shared,
    input: &'a SharedInput,
    fd: &'a OwnedFd,
    protocol: Protocol,
    /// The index behind the last chunk.
    last: u64,
}

impl Run<'_> {
    /// From start to stop, or to an end.
    fn whole(&mut self, work: &mut dyn Work) -> State {
        let mut chunks = || {
            work.begin(&self.shared.stop)?;
            let (state, all) = self.chunks(work)?;
            let all = work.finish(&self.shared.stop)? && all;
            self.shared.stop.set_all_done(all);
            Ok(state)
        };
        match chunks() {
            Ok(state) => state,
            Err(error) => State::Failed(error),
        }
    }

    /// Takes chunks. Returns why no more, and whether all that was to be taken was.
    fn chunks(&mut self, work: &mut dyn Work) -> Result<(State, bool)> {
        let stop = &self.shared.stop;
        let mut failures = 0;
        let mut told = Limited::new("stream node: what came and was no chunk");
        loop {
            let drain = match stop.wish() {
                Wish::Run => None,
                Wish::Now => return Ok((State::Stopped, false)),
                Wish::Drain(drain) if !drain.input => return Ok((State::Stopped, true)),
                Wish::Drain(drain) if is_over(&drain) => return Ok((State::Stopped, false)),
                Wish::Drain(drain) => Some(drain),
            };
            // The lock is held for no longer than this. Somebody else may hold it, and wait for a chunk.
            let Some(mut input) = self.input.lock_for(SLICE) else { continue };
            let received = input.receive(Wait::No);
            drop(input);
            match received {
                Ok(received) => {
                    failures = 0;
                    self.take(received, work)?;
                }
                Err(NoChunk::Empty | NoChunk::TimedOut) => match drain {
                    None => self.rest(None)?,
                    Some(drain) if self.has_all(&drain) => return Ok((State::Stopped, true)),
                    // The event is raised for good: only the input is left to wait for.
                    Some(drain) => self.wait_for_input(&drain)?,
                },
                Err(NoChunk::Ended) => return Ok((State::Ended, true)),
                Err(NoChunk::Failed(error)) => {
                    self.shared.progress.note(&error);
                    told.note(|| error.to_string());
                    work.failed(&error);
                    failures += 1;
                    if failures > FAILURES {
                        self.pause()?;
                    }
                }
            }
        }
    }

    fn take(&mut self, received: Received, work: &mut dyn Work) -> Result<()> {
        let Received { chunk, gap } = &received;
        let restarts = chunk.start() < self.last;
        self.last = chunk.index;
        self.shared.progress.count(|stats| {
            stats.chunks += 1;
            stats.frames += chunk.frames() as u64;
            stats.gaps += u64::from(!gap.is_empty());
            stats.missing_frames += gap.end.saturating_sub(gap.start);
            stats.restarts += u64::from(restarts);
            stats.index = chunk.index;
        });
        if restarts {
            work.restart(&self.shared.stop)?;
        }
        work.chunk(received, &self.shared.stop)
    }

    /// Whether all that was on its way has come. What ZeroMQ has on its way cannot be seen; in the process and in shared memory it is all there at once.
    fn has_all(&self, drain: &Drain) -> bool {
        let at_once = || matches!(self.protocol, Protocol::Inproc | Protocol::Shm);
        at_once() || drain.target.is_none_or(|target| self.last >= target)
    }

    /// Waits for the input or a wish.
    fn rest(&self, most: Option<Duration>) -> Result<()> {
        wait_for(&[self.shared.stop.fd(), self.fd.as_fd()], most)
    }

    fn wait_for_input(&self, drain: &Drain) -> Result<()> {
        // No longer than this: a stop at once may come meanwhile.
        let left = drain.deadline.map_or(REST, |end| end.saturating_duration_since(Instant::now()).min(REST));
        wait_for(&[self.fd.as_fd()], Some(left))
    }

    fn pause(&self) -> Result<()> {
        wait_for(&[self.shared.stop.fd()], Some(REST))
    }
}

fn is_over(drain: &Drain) -> bool {
    drain.deadline.is_some_and(|end| end <= Instant::now())
}

fn wait_for(fds: &[BorrowedFd<'_>], most: Option<Duration>) -> Result<()> {
    poll::readable(fds, most).map(drop).map_err(|e| Error::io("stream node: poll", &e))
}
