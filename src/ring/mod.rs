//! The bounded ring that hands items from thread to thread: many putters, many getters, first in, first out.
//!
//! Every queue of the library is this one, so that waiting, timing out, stopping, counting producers and polling
//! a file descriptor mean the same everywhere. Any thread may call anything at any time. Invariant: every item that
//! was put is got once, or dropped with the ring; an item that was not put is handed back.
//!
//! | file | what it is |
//! |---|---|
//! | `outcome.rs`, `overflow.rs` | how long to wait, why there was no put or get, and what then |
//! | `queue.rs` | the lock-free slots; all `unsafe` |
//! | `event.rs` | those who wait for data or for space: sleepers, wakers, a descriptor |
//! | `sync.rs` | atomics and locks, real or loom's |
//!
//! The models in `model.rs` run under loom, without the other modules (`--no-default-features`: without the
//! command-line program) and in a target directory of their own:
//!
//! ```sh
//! RUSTFLAGS="--cfg loom" cargo test --release --no-default-features --lib --target-dir target/loom ring
//! ```

mod event;
mod outcome;
mod overflow;
mod queue;
mod sync;

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

// Under loom only this module is built; it brings the one file it needs of the others.
#[cfg(not(loom))]
use crate::error;
#[cfg(loom)]
#[allow(dead_code)]
#[path = "../error.rs"]
mod error;

use std::fmt;
#[cfg(not(loom))]
use std::io;
#[cfg(not(loom))]
use std::os::fd::{AsFd, BorrowedFd};
use std::task::Waker;
use std::time::Instant;

use crossbeam_utils::CachePadded;

use error::Error;
use event::{Condition, Event};
pub use outcome::{GetError, PutError, Wait};
pub use overflow::Overflow;
use queue::{Moved, NoGet, NoPut, Queue};
use sync::{AtomicUsize, Mutex, Ordering};

/// A bounded first-in-first-out ring for any number of putting and getting threads.
///
/// Putting into a full ring and getting from an empty one can fail at once, wait (with or without a limit), leave
/// a [`Waker`], or be done when a file descriptor is readable. Once stopped, puts fail and gets deliver what is
/// inside and then fail. Dropping the ring drops what is inside.
///
/// ```
/// use aqueduct::ring::{GetError, Ring, Wait};
///
/// let ring = Ring::new(2).unwrap();
/// ring.put('a', Wait::No).unwrap();
/// ring.put('b', Wait::No).unwrap();
/// assert_eq!(ring.put('c', Wait::No).unwrap_err().into_inner(), 'c');
/// ring.stop();
/// assert_eq!(ring.get(Wait::Forever), Ok('a'));
/// assert_eq!(ring.get(Wait::Forever), Ok('b'));
/// assert_eq!(ring.get(Wait::Forever), Err(GetError::Stopped));
/// ```
pub struct Ring<T> {
    queue: Queue<T>,
    /// Those who wait for data. Apart from the line of those who wait for space.
    data: CachePadded<Event>,
    /// Those who wait for space.
    space: CachePadded<Event>,
    /// Producers added and not yet removed.
    producers: AtomicUsize,
    /// To be woken by a stop, and by nothing else.
    stop_watchers: Mutex<Vec<Waker>>,
}

impl<T: Send> Ring<T> {
    /// An empty ring for at most `capacity` items, 1 to 2^32. All memory is taken here.
    ///
    /// # Errors
    /// `Invalid`: the capacity is out of range. `NoMemory`: there is no memory for that many.
    pub fn new(capacity: usize) -> Result<Self, Error> {
        Ok(Self {
            queue: Queue::new(capacity)?,
            data: CachePadded::new(Event::new()),
            space: CachePadded::new(Event::new()),
            producers: AtomicUsize::new(0),
            stop_watchers: Mutex::new(Vec::new()),
        })
    }

    /// How many items fit.
    pub fn capacity(&self) -> usize {
        self.queue.capacity()
    }

    /// How many items are inside. Others may change that before the caller looks at it.
    pub fn size(&self) -> usize {
        self.queue.size()
    }

    /// Whether nothing is inside. Others may change that before the caller looks at it.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether no more fits. Others may change that before the caller looks at it.
    pub fn is_full(&self) -> bool {
        self.queue.is_full()
    }

    /// Whether the ring is stopped. It stays so; there may still be items inside.
    pub fn is_stopped(&self) -> bool {
        self.queue.is_stopped()
    }

    /// Puts an item behind the others, waiting for space as long as `wait` allows.
    ///
    /// # Errors
    /// [`PutError::Full`] only with [`Wait::No`], [`PutError::TimedOut`] only with [`Wait::For`],
    /// [`PutError::Stopped`] with any, also when the ring is stopped during the wait.
    #[inline]
    pub fn put(&self, item: T, wait: Wait) -> Result<(), PutError<T>> {
        match self.try_put(item) {
            Err(PutError::Full(item)) if wait != Wait::No => self.put_waiting(item, wait),
            result => result,
        }
    }

    /// Takes the oldest item, waiting for one as long as `wait` allows.
    ///
    /// # Errors
    /// [`GetError::Empty`] only with [`Wait::No`], [`GetError::TimedOut`] only with [`Wait::For`],
    /// [`GetError::Stopped`] with any, once the ring is stopped and empty.
    #[inline]
    pub fn get(&self, wait: Wait) -> Result<T, GetError> {
        match self.try_get() {
            Err(GetError::Empty) if wait != Wait::No => self.get_waiting(wait),
            result => result,
        }
    }

    /// Puts an item, or leaves a waker if the ring is full.
    ///
    /// After [`PutError::Full`] the waker is woken once, when there may be space or the ring is stopped; then try
    /// again. It may be woken for nothing, another may take the space first, and a waker that is no longer wanted
    /// cannot be taken back. The waker is called by a thread that gets or stops, and must not block.
    ///
    /// # Errors
    /// [`PutError::Full`] or [`PutError::Stopped`].
    pub fn put_or_wake(&self, mut item: T, waker: &Waker) -> Result<(), PutError<T>> {
        loop {
            item = match self.try_put(item) {
                Err(PutError::Full(item)) => item,
                result => return result,
            };
            if self.space.register(&Space(&self.queue), waker) {
                return Err(PutError::Full(item));
            }
        }
    }

    /// Takes the oldest item, or leaves a waker if there is none.
    ///
    /// After [`GetError::Empty`] the waker is woken once, when there may be data or the ring is stopped. All said
    /// of [`put_or_wake`](Self::put_or_wake) holds here, with put and get exchanged.
    ///
    /// # Errors
    /// [`GetError::Empty`] or [`GetError::Stopped`].
    pub fn get_or_wake(&self, waker: &Waker) -> Result<T, GetError> {
        loop {
            match self.try_get() {
                Err(GetError::Empty) => {}
                result => return result,
            }
            if self.data.register(&Data(&self.queue), waker) {
                return Err(GetError::Empty);
            }
        }
    }

    /// Stops the ring, for good: puts fail from now on, gets deliver what is inside and then fail, and all who wait
    /// are woken. True if it was this call that stopped it.
    pub fn stop(&self) -> bool {
        let stopped = self.queue.stop();
        if stopped {
            self.data.notify(&Data(&self.queue));
            self.space.notify(&Space(&self.queue));
            let watchers = std::mem::take(&mut *self.stop_watchers.lock());
            // Without the lock: a waker runs code that is not ours.
            watchers.into_iter().for_each(Waker::wake);
        }
        stopped
    }

    /// Has `waker` woken when the ring is stopped, until [`unwatch_stop`](Self::unwatch_stop). False if it is stopped
    /// already; then it may not be woken.
    pub fn watch_stop(&self, waker: &Waker) -> bool {
        self.stop_watchers.lock().push(waker.clone());
        // After the push: of a stop meanwhile, either it finds the waker or this finds the stop.
        !self.is_stopped()
    }

    /// Takes back one [`watch_stop`](Self::watch_stop) of this waker.
    pub fn unwatch_stop(&self, waker: &Waker) {
        let mut watchers = self.stop_watchers.lock();
        if let Some(index) = watchers.iter().position(|other| other.will_wake(waker)) {
            watchers.swap_remove(index);
        }
    }

    /// Counts one more producer. Counting is optional: a ring to which no producer was ever added stops only by
    /// [`stop`](Self::stop).
    pub fn add_producer(&self) {
        // Relaxed: see `remove_producer`.
        self.producers.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one producer less. The last one stops the ring: true if it was this call that stopped it.
    ///
    /// # Errors
    /// `State`: no producer is left to remove.
    pub fn remove_producer(&self) -> Result<bool, Error> {
        // Relaxed: the count guards no memory; what a producer put is handed over by the items' stamps, and the
        // stop by its own flag.
        match self.producers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1))
        {
            Ok(1) => Ok(self.stop()),
            Ok(_) => Ok(false),
            Err(_) => Err(Error::state("producers must be added before they are removed (0 are left)")),
        }
    }

    /// Takes back an [`add_producer`](Self::add_producer) of which nothing came. Unlike
    /// [`remove_producer`](Self::remove_producer) it never stops the ring.
    #[cfg(not(loom))]
    pub(crate) fn withdraw_producer(&self) {
        // Relaxed: see `remove_producer`.
        let _ =
            self.producers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1));
    }

    /// A file descriptor that is readable while [`get`](Self::get) would not wait: there is data, or the ring is
    /// stopped. For poll, select or epoll, level- or edge-triggered; never read it, close it or write to it.
    ///
    /// The first call creates it. From then on a put into an empty ring and a get that empties it cost a system
    /// call each; a ring that is never asked for it pays nothing.
    ///
    /// # Errors
    /// The system's, mostly that there are too many open files.
    #[cfg(not(loom))]
    pub fn data_fd(&self) -> io::Result<BorrowedFd<'_>> {
        Ok(self.data.level(&Data(&self.queue))?.as_fd())
    }

    /// A file descriptor that is readable while [`put`](Self::put) would not wait: there is space, or the ring is
    /// stopped. All said of [`data_fd`](Self::data_fd) holds here, with full for empty.
    ///
    /// # Errors
    /// The system's, mostly that there are too many open files.
    #[cfg(not(loom))]
    pub fn space_fd(&self) -> io::Result<BorrowedFd<'_>> {
        Ok(self.space.level(&Space(&self.queue))?.as_fd())
    }

    /// One attempt to put.
    #[inline]
    fn try_put(&self, item: T) -> Result<(), PutError<T>> {
        match self.queue.push(item) {
            Ok(Moved { watched, level }) => {
                if watched {
                    self.data.notify(&Data(&self.queue));
                }
                if level {
                    self.space.settle(&Space(&self.queue));
                }
                Ok(())
            }
            Err(NoPut::Full(item)) => Err(PutError::Full(item)),
            Err(NoPut::Stopped(item)) => Err(PutError::Stopped(item)),
        }
    }

    /// One attempt to get.
    #[inline]
    fn try_get(&self) -> Result<T, GetError> {
        match self.queue.pop() {
            Ok((item, Moved { watched, level })) => {
                if watched {
                    self.space.notify(&Space(&self.queue));
                }
                if level {
                    self.data.settle(&Data(&self.queue));
                }
                Ok(item)
            }
            Err(NoGet::Empty) => Err(GetError::Empty),
            Err(NoGet::Stopped) => Err(GetError::Stopped),
        }
    }

    /// Puts into a ring that was just found full: spins a while, then sleeps.
    #[cold]
    fn put_waiting(&self, mut item: T, wait: Wait) -> Result<(), PutError<T>> {
        let deadline = deadline(wait);
        loop {
            self.space.spin(deadline, || self.queue.may_push());
            item = match self.try_put(item) {
                Err(PutError::Full(item)) => item,
                result => return result,
            };
            if !self.space.wait(&Space(&self.queue), deadline) {
                return self.try_put(item).map_err(|error| match error {
                    PutError::Full(item) => PutError::TimedOut(item),
                    other => other,
                });
            }
        }
    }

    /// Gets from a ring that was just found empty: spins a while, then sleeps.
    #[cold]
    fn get_waiting(&self, wait: Wait) -> Result<T, GetError> {
        let deadline = deadline(wait);
        loop {
            self.data.spin(deadline, || self.queue.may_pop());
            match self.try_get() {
                Err(GetError::Empty) => {}
                result => return result,
            }
            if !self.data.wait(&Data(&self.queue), deadline) {
                return self.try_get().map_err(|error| match error {
                    GetError::Empty => GetError::TimedOut,
                    other => other,
                });
            }
        }
    }
}

impl<T: Send> fmt::Debug for Ring<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("capacity", &self.capacity())
            .field("size", &self.size())
            .field("stopped", &self.is_stopped())
            .finish_non_exhaustive()
    }
}

/// When a wait ends; `None`: never.
fn deadline(wait: Wait) -> Option<Instant> {
    match wait {
        Wait::For(duration) => Instant::now().checked_add(duration),
        Wait::No | Wait::Forever => None,
    }
}

/// "A get would not wait", for those in `Ring::data`.
struct Data<'a, T>(&'a Queue<T>);

impl<T> Condition for Data<'_, T> {
    fn holds(&self) -> bool {
        self.0.has_data()
    }

    fn watch(&self) -> bool {
        self.0.watch_data()
    }

    fn announce_level(&self) {
        self.0.announce_data_level();
    }
}

/// "A put would not wait", for those in `Ring::space`.
struct Space<'a, T>(&'a Queue<T>);

impl<T> Condition for Space<'_, T> {
    fn holds(&self) -> bool {
        self.0.has_space()
    }

    fn watch(&self) -> bool {
        self.0.watch_space()
    }

    fn announce_level(&self) {
        self.0.announce_space_level();
    }
}
