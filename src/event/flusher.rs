//! A thread that flushes a buffer when a flush is due, so that those who put packets never wait for a disk.

use std::ops::Deref;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::buffer::{EventBuffer, State};
use super::flush::Flushed;
use crate::error::{Error, Result};
use crate::log::Limited;
use crate::sys::signal;

/// After a flush that failed, the next one comes no sooner.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// With a shorter timeout it flushes that often, and rests in between.
const LEAST_TIMEOUT: Duration = Duration::from_millis(1);

/// What the flusher and the others tell each other; part of the buffer's state.
#[derive(Default)]
pub(super) struct Control {
    /// It sleeps until a flush is due.
    pub(super) waits: bool,
    /// Somebody waits for space.
    hurry: bool,
    /// It is to end.
    stop: bool,
    /// What its last flush failed with; none after one that did not.
    error: Option<Error>,
}

impl Control {
    /// Somebody waits for space: a flush is due.
    pub(super) fn hurry(&mut self) {
        self.hurry = true;
    }

    /// Whether somebody waits for space.
    pub(super) fn is_hurried(&self) -> bool {
        self.hurry
    }
}

/// A buffer with a flusher, which runs or does not.
pub struct FlushedBuffer {
    buffer: Arc<EventBuffer>,
    /// Held while the flusher is started or stopped, so that there are never two.
    change: Mutex<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Deref for FlushedBuffer {
    type Target = EventBuffer;

    fn deref(&self) -> &EventBuffer {
        &self.buffer
    }
}

impl FlushedBuffer {
    /// A buffer whose flusher does not run.
    pub fn new(buffer: EventBuffer) -> Self {
        Self { buffer: Arc::new(buffer), change: Mutex::new(()), thread: Mutex::new(None) }
    }

    /// Starts the flusher.
    pub fn start(&self) -> Result<()> {
        self.refuse_inside()?;
        let _change = self.change.lock();
        // Not held below: who flushes may have to be waited for, and may ask whether there is a flusher.
        if self.thread.lock().is_some() {
            return Err(Error::state("event buffer: its flusher runs already"));
        }
        if !self.buffer.sink_count()?.1 {
            return Err(Error::state("event buffer: flushing takes a primary sink"));
        }
        self.buffer.state.lock().flusher = Control::default();
        let buffer = self.buffer.clone();
        let run = move || {
            signal::leave_to_other_threads();
            run(&buffer);
        };
        let started = std::thread::Builder::new().name("aqueduct-flush".into()).spawn(run);
        *self.thread.lock() = Some(started.map_err(|e| Error::io("event buffer: a thread to flush it", &e))?);
        Ok(())
    }

    /// Ends the flusher and flushes what is left, if it runs. The buffer may go on.
    ///
    /// # Errors
    /// What that last flush fails with.
    pub fn stop_flusher(&self) -> Result<Option<Flushed>> {
        self.refuse_inside()?;
        let change = self.change.lock();
        let Some(thread) = self.thread.lock().take() else { return Ok(None) };
        self.buffer.state.lock().flusher.stop = true;
        self.buffer.due.notify_all();
        let panicked = thread.join().is_err();
        drop(change);
        let flushed = self.buffer.flush().map(Some);
        self.buffer.state.lock().flusher.error = flushed.as_ref().err().cloned();
        if panicked {
            return Err(Error::new(crate::error::ErrorKind::Internal, "event buffer: its flusher panicked"));
        }
        flushed
    }

    /// Whether the flusher runs, and what its last flush failed with.
    pub fn flusher(&self) -> (bool, Option<Error>) {
        let runs = self.thread.lock().is_some();
        (runs, self.buffer.state.lock().flusher.error.clone())
    }

    fn refuse_inside(&self) -> Result<()> {
        if self.buffer.is_flushing_here() {
            let reason =
                "event buffer: a function that is called by its flush cannot start or stop its flusher";
            return Err(Error::state(reason));
        }
        Ok(())
    }
}

impl Drop for FlushedBuffer {
    fn drop(&mut self) {
        if let Err(error) = self.stop_flusher() {
            log::error!("{error}");
        }
        if let Err(error) = self.buffer.disconnect_sinks() {
            log::error!("{error}");
        }
    }
}

fn run(buffer: &EventBuffer) {
    let mut failures = Limited::new("event buffer: flushes that failed");
    let mut not_before = Instant::now();
    while wait_until_due(buffer, not_before) {
        let result = buffer.flush();
        if let Err(error) = &result {
            failures.note(|| error.to_string());
            not_before = Instant::now() + PAUSE_AFTER_ERROR;
        }
        buffer.state.lock().flusher.error = result.err();
    }
}

/// False when the flusher is to end.
fn wait_until_due(buffer: &EventBuffer, not_before: Instant) -> bool {
    let mut state = buffer.state.lock();
    loop {
        if state.flusher.stop {
            return false;
        }
        let due = due(buffer, &state).map(|due| due.max(not_before));
        if due.is_some_and(|due| due <= Instant::now()) {
            state.flusher.hurry = false;
            return true;
        }
        state.flusher.waits = true;
        match due {
            Some(due) => {
                buffer.due.wait_until(&mut state, due);
            }
            None => buffer.due.wait(&mut state),
        }
        state.flusher.waits = false;
    }
}

/// When a flush is due; `None`: not by itself.
fn due(buffer: &EventBuffer, state: &State) -> Option<Instant> {
    // Behind a packet that is still being written nothing can be flushed; its commit is told to us.
    if (state.flusher.hurry || buffer.is_almost_full(state)) && state.store.has_ready() {
        return Some(state.last_flush);
    }
    // A time that the clock cannot count to never comes.
    state.flush_timeout.and_then(|timeout| state.last_flush.checked_add(timeout.max(LEAST_TIMEOUT)))
}
