//! What the ring is made of: atomics, a lock, a condition variable, a cell, a level (an eventfd) and spinning.
//! Real ones, or those of loom, which runs every interleaving of a model.
//!
//! Nothing here knows about rings. The rest of the module names these and no others, so that what loom checks
//! is the code that ships.

#[cfg(not(loom))]
pub(super) use real::*;

#[cfg(loom)]
pub(super) use model::*;

/// The real thing.
#[cfg(not(loom))]
mod real {
    use std::time::{Duration, Instant};

    use crossbeam_utils::Backoff;
    pub(in crate::ring) use parking_lot::{Condvar, Mutex, MutexGuard};
    pub(in crate::ring) use std::sync::atomic::{AtomicUsize, Ordering, fence};

    pub(in crate::ring) use crate::sys::eventfd::EventFd as Level;

    /// `std::cell::UnsafeCell` with loom's way to its content.
    pub(in crate::ring) struct Cell<T>(std::cell::UnsafeCell<T>);

    impl<T> Cell<T> {
        pub(in crate::ring) fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        /// Calls `f` with the content's address. Whoever dereferences it answers for exclusive access.
        #[inline(always)]
        pub(in crate::ring) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }

    /// Waits for a notification until `deadline` (`None`: without end). False: the deadline came first.
    pub(in crate::ring) fn wait<'a, T>(
        notified: &Condvar,
        mut guard: MutexGuard<'a, T>,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, T>, bool) {
        let in_time = match deadline {
            Some(deadline) => !notified.wait_until(&mut guard, deadline).timed_out(),
            None => {
                notified.wait(&mut guard);
                true
            }
        };
        (guard, in_time)
    }

    /// Waiting for another thread to finish the few instructions it is in the middle of.
    pub(in crate::ring) struct Spin {
        backoff: Backoff,
        /// Yields so far, 0..=`YIELDS`.
        yields: u32,
    }

    impl Spin {
        /// Yields before sleeping. That other thread was preempted; more yields would never let it run if this
        /// one has a real-time priority and that one has not.
        const YIELDS: u32 = 64;

        #[inline]
        pub(in crate::ring) fn new() -> Self {
            Self { backoff: Backoff::new(), yields: 0 }
        }

        /// Another thread was faster: try again soon.
        #[inline]
        pub(in crate::ring) fn lost(&mut self) {
            self.backoff.spin();
        }

        /// Another thread must move before this one can.
        #[inline]
        pub(in crate::ring) fn stuck(&mut self) {
            if !self.backoff.is_completed() {
                self.backoff.snooze();
            } else if self.yields < Self::YIELDS {
                self.yields += 1;
                std::thread::yield_now();
            } else {
                std::thread::sleep(Duration::from_micros(50));
            }
        }
    }

    /// A look said that a move is under way or was itself outdated: a moment before the next one.
    pub(in crate::ring) fn moment() {
        std::hint::spin_loop();
    }

    /// What looking before sleeping has been worth on one side of a ring. A hint, written by whoever waited last.
    pub(in crate::ring) struct Experience {
        /// For how long to look, in nanoseconds: `Patience::LEAST..=Patience::MOST`.
        nanoseconds: AtomicUsize,
        /// Waits in a row that looked for the least time, in vain.
        short: AtomicUsize,
    }

    impl Experience {
        /// So many waits with the least patience, then one with the most, for times may have changed.
        const SHORT: usize = 32;

        pub(in crate::ring) fn new() -> Self {
            Self { nanoseconds: AtomicUsize::new(Patience::MOST), short: AtomicUsize::new(0) }
        }

        /// The next wait looks twice as long after one that was answered meanwhile, half as long after one that was
        /// not: then the other side is slow, or waits for this very core.
        fn learn(&self, answered: bool) {
            // Relaxed, here and below: hints. Stored only when it changes, to leave the line with both sides.
            let now = self.nanoseconds.load(Ordering::Relaxed);
            let mut next = if answered { now * 2 } else { now / 2 }.clamp(Patience::LEAST, Patience::MOST);
            if now == Patience::LEAST && next == now {
                let short = self.short.load(Ordering::Relaxed) + 1;
                self.short.store(short % Self::SHORT, Ordering::Relaxed);
                if short == Self::SHORT {
                    next = Patience::MOST;
                }
            }
            if next != now {
                self.nanoseconds.store(next, Ordering::Relaxed);
            }
        }
    }

    /// How long to look at a condition before sleeping for it: going to sleep and being woken costs both sides a
    /// system call and some 5 to 50 microseconds.
    pub(in crate::ring) struct Patience<'a> {
        experience: &'a Experience,
        deadline: Option<Instant>,
        /// Until when to pause between looks; `None` afterwards.
        pausing: Option<Instant>,
        /// Looks still to come with a yield between them.
        yields: usize,
    }

    impl<'a> Patience<'a> {
        /// The longest time, in nanoseconds, with only pauses between looks. No more than what a sleep may cost.
        const MOST: usize = 20_000;
        /// The shortest: a few looks.
        const LEAST: usize = 300;
        /// Looks with a yield between them, for an other side that waits for this very core.
        const YIELDS: usize = 16;

        pub(in crate::ring) fn new(experience: &'a Experience, deadline: Option<Instant>) -> Self {
            // Relaxed: a hint.
            let patience = Duration::from_nanos(experience.nanoseconds.load(Ordering::Relaxed) as u64);
            Self { experience, deadline, pausing: Some(Instant::now() + patience), yields: Self::YIELDS }
        }

        /// Waits a little and says true: look now. False: no more of this, go to sleep.
        #[inline]
        pub(in crate::ring) fn again(&mut self) -> bool {
            if let Some(end) = self.pausing {
                if Instant::now() < end {
                    for _ in 0..8 {
                        std::hint::spin_loop();
                    }
                    return true;
                }
                self.pausing = None;
            }
            let late = || self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if self.yields == 0 || late() {
                return false;
            }
            self.yields -= 1;
            std::thread::yield_now();
            true
        }

        /// The last look said yes.
        #[inline]
        pub(in crate::ring) fn answered(self) {
            self.experience.learn(self.yields == Self::YIELDS);
        }

        /// No look said yes.
        #[inline]
        pub(in crate::ring) fn in_vain(self) {
            self.experience.learn(false);
        }
    }
}

/// Loom's. A wait has no deadline, nobody spins before sleeping, and the eventfd is a flag.
#[cfg(loom)]
mod model {
    use std::io;
    use std::time::{Duration, Instant};

    use loom::sync::atomic::AtomicBool;
    pub(in crate::ring) use loom::sync::atomic::{Ordering, fence};
    pub(in crate::ring) use loom::sync::{Condvar, MutexGuard};

    /// `loom::sync::atomic::AtomicUsize`, made to be explored in full.
    ///
    /// Loom 0.7 remembers only the last access to an object. When a thread loads a word and then swaps it, its own
    /// load hides from loom that the swap races with what another thread loaded before, and the executions in
    /// which the swap comes first are never run: a model of a put and a get ran once and passed. So each access
    /// first rings a bell, by a read-modify-write that synchronizes nothing, and all of those conflict.
    pub(in crate::ring) struct AtomicUsize {
        value: loom::sync::atomic::AtomicUsize,
        bell: loom::sync::atomic::AtomicUsize,
    }

    impl AtomicUsize {
        pub(in crate::ring) fn new(value: usize) -> Self {
            use loom::sync::atomic::AtomicUsize;
            Self { value: AtomicUsize::new(value), bell: AtomicUsize::new(0) }
        }

        fn ring(&self) -> &loom::sync::atomic::AtomicUsize {
            self.bell.fetch_or(0, Ordering::Relaxed);
            &self.value
        }

        pub(in crate::ring) fn load(&self, order: Ordering) -> usize {
            self.ring().load(order)
        }

        pub(in crate::ring) fn store(&self, value: usize, order: Ordering) {
            self.ring().store(value, order);
        }

        pub(in crate::ring) fn fetch_or(&self, bits: usize, order: Ordering) -> usize {
            self.ring().fetch_or(bits, order)
        }

        pub(in crate::ring) fn fetch_add(&self, value: usize, order: Ordering) -> usize {
            self.ring().fetch_add(value, order)
        }

        pub(in crate::ring) fn fetch_update(
            &self,
            success: Ordering,
            failure: Ordering,
            f: impl FnMut(usize) -> Option<usize>,
        ) -> Result<usize, usize> {
            self.ring().fetch_update(success, failure, f)
        }

        pub(in crate::ring) fn compare_exchange_weak(
            &self,
            current: usize,
            new: usize,
            success: Ordering,
            failure: Ordering,
        ) -> Result<usize, usize> {
            self.ring().compare_exchange_weak(current, new, success, failure)
        }
    }

    /// A lock that is not poisoned, like parking_lot's.
    pub(in crate::ring) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(in crate::ring) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(in crate::ring) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }

    /// `loom::cell::UnsafeCell`, which checks that accesses do not overlap.
    pub(in crate::ring) struct Cell<T>(loom::cell::UnsafeCell<T>);

    impl<T> Cell<T> {
        pub(in crate::ring) fn new(value: T) -> Self {
            Self(loom::cell::UnsafeCell::new(value))
        }

        pub(in crate::ring) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            self.0.with_mut(f)
        }
    }

    pub(in crate::ring) fn wait<'a, T>(
        notified: &Condvar,
        guard: MutexGuard<'a, T>,
        _deadline: Option<Instant>,
    ) -> (MutexGuard<'a, T>, bool) {
        (notified.wait(guard).unwrap(), true)
    }

    /// Stands for the eventfd. Ordered by the lock of the event that owns it; Relaxed lets loom prove it.
    pub(in crate::ring) struct Level(AtomicBool);

    impl Level {
        pub(in crate::ring) fn new() -> io::Result<Self> {
            Ok(Self(AtomicBool::new(false)))
        }

        pub(in crate::ring) fn raise(&self) {
            self.0.store(true, Ordering::Relaxed);
        }

        pub(in crate::ring) fn lower(&self) {
            self.0.store(false, Ordering::Relaxed);
        }

        pub(in crate::ring) fn is_raised(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }

    /// Loom would let two spinning threads take turns forever while a third is in the middle of its move. So an
    /// execution in which one spins for the third time is finished, but starts no others: they would differ from
    /// those with less spinning in nothing but that.
    pub(in crate::ring) struct Spin(usize);

    impl Spin {
        pub(in crate::ring) fn new() -> Self {
            Self(0)
        }

        pub(in crate::ring) fn lost(&mut self) {
            self.stuck();
        }

        pub(in crate::ring) fn stuck(&mut self) {
            self.0 += 1;
            if self.0 == 3 {
                loom::skip_branch();
            }
            loom::thread::yield_now();
        }
    }

    pub(in crate::ring) fn moment() {
        loom::thread::yield_now();
    }

    pub(in crate::ring) struct Experience;

    impl Experience {
        pub(in crate::ring) fn new() -> Self {
            Self
        }
    }

    pub(in crate::ring) struct Patience;

    impl Patience {
        pub(in crate::ring) fn new(_experience: &Experience, _deadline: Option<Instant>) -> Self {
            Self
        }

        pub(in crate::ring) fn again(&mut self) -> bool {
            false
        }

        pub(in crate::ring) fn answered(self) {}

        pub(in crate::ring) fn in_vain(self) {}
    }
}
