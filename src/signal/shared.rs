//! The two ends as several owners hold them: a program, a node, a registry.
//!
//! Cloning shares the same end. Whoever sends or receives holds its lock as long as the call takes, so one does at a time; params, counts and the history can
//! be looked at meanwhile, and never wait for it. The end is closed with its last owner.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::deadline::Deadline;
use super::input::{Input, InputView};
use super::output::{Output, OutputView};
use crate::error::Result;
use crate::ring::Wait;

/// How often who waits for inputs looks.
const LOOK: Duration = Duration::from_millis(1);

/// An output with several owners. Derefs to what can be known of it at any time.
#[derive(Clone)]
pub struct SharedOutput {
    output: Arc<Mutex<Output>>,
    view: Arc<OutputView>,
}

impl SharedOutput {
    /// Takes an output over.
    pub fn new(output: Output) -> Self {
        let view = output.view().clone();
        Self { output: Arc::new(Mutex::new(output)), view }
    }

    /// The output itself, once no other thread is in a call of it.
    pub fn lock(&self) -> MutexGuard<'_, Output> {
        self.output.lock()
    }

    /// The same, but waits no longer than that.
    pub fn lock_for(&self, most: Duration) -> Option<MutexGuard<'_, Output>> {
        self.output.try_lock_for(most)
    }

    /// Waits until there are so many inputs, or more. False: there were not within the time.
    pub fn wait_inputs(&self, count: u64, wait: Wait) -> Result<bool> {
        let deadline = Deadline::new(wait);
        loop {
            if self.lock().input_count()? >= count {
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
    input: Arc<Mutex<Input>>,
    view: Arc<InputView>,
}

impl SharedInput {
    /// Takes an input over.
    pub fn new(input: Input) -> Self {
        let view = input.view().clone();
        Self { input: Arc::new(Mutex::new(input)), view }
    }

    /// The input itself, once no other thread is in a call of it.
    pub fn lock(&self) -> MutexGuard<'_, Input> {
        self.input.lock()
    }

    /// The same, but waits no longer than that.
    pub fn lock_for(&self, most: Duration) -> Option<MutexGuard<'_, Input>> {
        self.input.try_lock_for(most)
    }
}

impl Deref for SharedInput {
    type Target = InputView;

    fn deref(&self) -> &InputView {
        &self.view
    }
}
