//! The waiting side: threads asleep, wakers, and a file descriptor, for one condition (there is data, or there is
//! space).
//!
//! Invariant, under the lock: whoever waits here (a sleeper, a waker, a lowered descriptor) saw the condition not
//! to hold after WATCHED was set, so the move that makes it hold will call `notify`. Any thread may call anything;
//! on the way of an item through a ring that nobody waits for, nothing here is touched.

use std::io;
use std::sync::OnceLock;
use std::task::Waker;
use std::time::Instant;

use super::sync::{self, Condvar, Experience, Level, Mutex, Patience};

/// What is waited for.
pub(super) trait Condition {
    /// Whether it holds.
    fn holds(&self) -> bool;
    /// Asks for `Event::notify` when it next comes to hold, then says whether it holds already.
    fn watch(&self) -> bool;
    /// Asks for `Event::settle` whenever it ceases to hold, from now on.
    fn announce_level(&self);
}

/// Those who wait for one condition.
pub(super) struct Event {
    state: Mutex<State>,
    /// Notified, under the lock, each time the condition came to hold.
    came: Condvar,
    /// The descriptor, once asked for; created, raised and lowered under the lock. (Visible to the models.)
    pub(super) level: OnceLock<Level>,
    /// Whether looking before sleeping has paid off.
    experience: Experience,
}

struct State {
    /// Each to be woken once. No two would wake the same task.
    wakers: Vec<Waker>,
    /// Whether `level` is raised. False without one.
    raised: bool,
}

impl Event {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State { wakers: Vec::new(), raised: false }),
            came: Condvar::new(),
            level: OnceLock::new(),
            experience: Experience::new(),
        }
    }

    /// Sleeps unless the condition holds. True: it holds or may hold, try again; false: the deadline has passed.
    pub(super) fn wait(&self, condition: &impl Condition, deadline: Option<Instant>) -> bool {
        let state = self.state.lock();
        if condition.watch() {
            drop(state);
            sync::moment();
            return true;
        }
        sync::wait(&self.came, state, deadline).1
    }

    /// Looks for a few microseconds whether there is a chance, as long as that has paid off lately.
    pub(super) fn spin(&self, deadline: Option<Instant>, chance: impl Fn() -> bool) {
        let mut patience = Patience::new(&self.experience, deadline);
        while patience.again() {
            if chance() {
                return patience.answered();
            }
        }
        patience.in_vain();
    }

    /// Leaves a waker unless the condition holds. False: it holds or may hold, and the waker was not kept.
    pub(super) fn register(&self, condition: &impl Condition, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        if condition.watch() {
            drop(state);
            sync::moment();
            return false;
        }
        if !state.wakers.iter().any(|other| other.will_wake(waker)) {
            state.wakers.push(waker.clone());
        }
        true
    }

    /// The condition came to hold: tells everybody.
    #[cold]
    pub(super) fn notify(&self, condition: &impl Condition) {
        let mut wakers = {
            let mut state = self.state.lock();
            self.came.notify_all();
            self.bring_level(&mut state, condition);
            std::mem::take(&mut state.wakers)
        };
        if wakers.is_empty() {
            return;
        }
        // Without the lock: a waker runs code that is not ours, and may come back here.
        wakers.drain(..).for_each(Waker::wake);
        // The memory is kept for the next ones.
        let mut state = self.state.lock();
        if state.wakers.capacity() == 0 {
            state.wakers = wakers;
        }
    }

    /// The condition may have ceased to hold: brings the descriptor to the truth.
    #[cold]
    pub(super) fn settle(&self, condition: &impl Condition) {
        self.bring_level(&mut self.state.lock(), condition);
    }

    /// The descriptor, readable while the condition holds. Created by the first call.
    pub(super) fn level(&self, condition: &impl Condition) -> io::Result<&Level> {
        let mut state = self.state.lock();
        if let Some(level) = self.level.get() {
            return Ok(level);
        }
        let level = Level::new()?;
        let level = self.level.get_or_init(|| level);
        condition.announce_level();
        self.bring_level(&mut state, condition);
        Ok(level)
    }

    /// Makes the descriptor, if there is one, show whether the condition holds.
    ///
    /// A look may be outdated by a move that is still under way, but whoever makes such a move comes here after it
    /// (through `notify` if it finds WATCHED, through `settle` if it ends the condition), and sees under the lock
    /// what we saw: the last one to come here leaves the truth.
    fn bring_level(&self, state: &mut State, condition: &impl Condition) {
        let Some(level) = self.level.get() else { return };
        // Watching only when it is needed: it makes the next move notify, and so come here.
        let holds = condition.holds() || condition.watch();
        if holds && !state.raised {
            level.raise();
        } else if !holds && state.raised {
            level.lower();
        }
        state.raised = holds;
    }
}
