//! The two ends as several owners hold them: a program, a node, a registry.
//!
//! Cloning shares the same end. Whoever sends or receives holds its lock as long as the call takes, so one does at a time; params, counts and the history can
//! be looked at meanwhile, and never wait for it. The end is closed with its last owner.
//!
//! Filters that the user wrote run while the lock is held. What they call must not wait for it: a thread that is inside is told so by
//! [`enter`](SharedOutput::enter).

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::deadline::Deadline;
use super::input::{Input, InputView};
use super::output::{Output, OutputView};
use crate::error::{Error, Result};
use crate::ring::Wait;

/// How often who waits for inputs looks.
const LOOK: Duration = Duration::from_millis(1);

/// What one thread at a time uses.
struct Ours<T> {
    end: Mutex<T>,
    /// The thread that holds the lock, see [`this_thread`]; 0: none. Whoever holds it stores; a thread that finds its own number has stored it itself.
    holder: AtomicUsize,
}

/// A number of this thread that no other thread has which runs now.
fn this_thread() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| (&raw const *here).addr())
}

impl<T> Ours<T> {
    fn new(end: T) -> Arc<Self> {
        Arc::new(Self { end: Mutex::new(end), holder: AtomicUsize::new(0) })
    }

    fn lock(&self) -> Turn<'_, T> {
        self.turn(self.end.lock())
    }

    fn lock_for(&self, most: Duration) -> Option<Turn<'_, T>> {
        self.end.try_lock_for(most).map(|end| self.turn(end))
    }

    fn turn<'a>(&'a self, end: MutexGuard<'a, T>) -> Turn<'a, T> {
        self.holder.store(this_thread(), Ordering::Relaxed);
        Turn { end, holder: &self.holder }
    }

    fn enter(&self) -> Result<Turn<'_, T>> {
        if self.is_inside() {
            return Err(Error::state(
                "stream: it was called by one of its own filters, while it waits for that",
            ));
        }
        Ok(self.lock())
    }

    fn is_inside(&self) -> bool {
        self.holder.load(Ordering::Relaxed) == this_thread()
    }
}

/// An end while it is this thread's.
pub struct Turn<'a, T> {
    end: MutexGuard<'a, T>,
    holder: &'a AtomicUsize,
}

impl<T> Deref for Turn<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.end
    }
}

impl<T> DerefMut for Turn<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.end
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        // Before the lock is let go.
        self.holder.store(0, Ordering::Relaxed);
    }
}

/// An output with several owners. Derefs to what can be known of it at any time.
#[derive(Clone)]
pub struct SharedOutput {
    output: Arc<Ours<Output>>,
    view: Arc<OutputView>,
}

impl SharedOutput {
    /// Takes an output over.
    pub fn new(output: Output) -> Self {
        let view = output.view().clone();
        Self { output: Ours::new(output), view }
    }

    /// The output itself, once no other thread is in a call of it.
    pub fn lock(&self) -> Turn<'_, Output> {
        self.output.lock()
    }

    /// The same, but waits no longer than that.
    pub fn lock_for(&self, most: Duration) -> Option<Turn<'_, Output>> {
        self.output.lock_for(most)
    }

    /// The same, for who may be called by one of its filters: then it is an error of kind `State`.
    pub fn enter(&self) -> Result<Turn<'_, Output>> {
        self.output.enter()
    }

    /// Whether this thread is in a call of it: called by one of its filters.
    pub fn is_inside(&self) -> bool {
        self.output.is_inside()
    }

    /// Waits until there are so many inputs, or more. False: there were not within the time.
    pub fn wait_inputs(&self, count: u64, wait: Wait) -> Result<bool> {
        let deadline = Deadline::new(wait);
        loop {
            if self.enter()?.input_count()? >= count {
                return Ok(true);
            }
            // Not all transports tell of it.
            match deadline.left() {
                Wait::No => return Ok(false),
                Wait::For(left) => std::thread::sleep(left.min(LOOK)),
                Wait::Forever => std::thread::sleep(LOOK),
            }
        }
    }
}

impl Deref for SharedOutput {
    type Target = OutputView;

    fn deref(&self) -> &OutputView {
        &self.view
    }
}

/// An input with several owners. Derefs to what can be known of it at any time.
#[derive(Clone)]
pub struct SharedInput {
    input: Arc<Ours<Input>>,
    view: Arc<InputView>,
}

impl SharedInput {
    /// Takes an input over.
    pub fn new(input: Input) -> Self {
        let view = input.view().clone();
        Self { input: Ours::new(input), view }
    }

    /// The input itself, once no other thread is in a call of it.
    pub fn lock(&self) -> Turn<'_, Input> {
        self.input.lock()
    }

    /// The same, but waits no longer than that.
    pub fn lock_for(&self, most: Duration) -> Option<Turn<'_, Input>> {
        self.input.lock_for(most)
    }

    /// The same, for who may be called by one of its filters: then it is an error of kind `State`.
    pub fn enter(&self) -> Result<Turn<'_, Input>> {
        self.input.enter()
    }

    /// Whether this thread is in a call of it: called by one of its filters.
    pub fn is_inside(&self) -> bool {
        self.input.is_inside()
    }
}

impl Deref for SharedInput {
    type Target = InputView;

    fn deref(&self) -> &InputView {
        &self.view
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_is_inside_is_told_so() {
        let ours = Ours::new(1);
        let turn = ours.lock();
        assert!(ours.is_inside() && ours.enter().is_err());
        std::thread::scope(|scope| scope.spawn(|| assert!(!ours.is_inside())).join().unwrap());
        drop(turn);
        assert!(!ours.is_inside());
        *ours.enter().unwrap() += 1;
        assert_eq!(*ours.lock(), 2);
    }
}
