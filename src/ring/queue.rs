//! The lock-free part of the ring: slots, and the two words that say where the next put and the next get go.
//!
//! Invariant: a slot belongs to the one thread that moved `tail` (to write) or `head` (to read) past it, from that
//! moment until that thread stores the slot's stamp. Any thread may call anything here; all `unsafe` of the ring
//! is in this file. After Dmitry Vyukov's bounded queue.
//!
//! A *position* is a lap and an index within it, with room for flags below:
//!
//! ```text
//! | lap ................ | index (0..capacity) | flags (3 bits) |
//!                        ^ one_lap             ^ UNIT
//! ```
//!
//! so that it grows forever (and wraps around with its word), its slot is found by a mask, and any capacity works
//! without a division. Since a put must compare-and-swap `tail` anyway, it learns from the flags there, for
//! nothing, whether the ring is stopped, whether somebody waits for data and whether a space descriptor is to be
//! kept true; likewise a get from `head`. So nobody waiting costs nobody anything: no fence, no second locked
//! instruction, no system call.
//!
//! A waiter sets WATCHED with a read-modify-write on the very word that the awaited move must swap. Either it
//! comes first, then the move sees the flag and notifies, or the move comes first, then the waiter sees the
//! position it left behind. That alone, the total order of changes to one word, excludes a lost wake-up.

use std::mem::{MaybeUninit, needs_drop};

use crossbeam_utils::CachePadded;

use super::sync::{AtomicUsize, Cell, Ordering, Spin, fence};
use crate::ring::error::{Error, ErrorKind};

/// In `tail`: somebody waits for data; in `head`: for space. The move that clears it notifies them.
const WATCHED: usize = 1;
/// In `tail`: a space descriptor exists, so a put that fills the ring must lower it; in `head`: a data
/// descriptor exists, so a get that empties the ring must lower it. Never cleared.
const LEVEL: usize = 2;
/// In `tail`: no put will succeed again. Never cleared.
const STOPPED: usize = 4;
/// All flags, and what one index is worth above them.
const FLAGS: usize = 7;
const UNIT: usize = 8;
/// In a stamp: the slot holds the item of that position. (Stamps have no other flags.)
const FILLED: usize = 1;

/// The largest capacity: it leaves at least 2^28 laps (2^4 on 32 bits) before a position comes back.
pub(super) const MAX_CAPACITY: usize = if usize::BITS >= 64 { 1 << (usize::BITS / 2) } else { 1 << 24 };

/// The slots and positions of a ring.
pub(super) struct Queue<T> {
    /// Position of the next put, and WATCHED, LEVEL, STOPPED. At most one lap before `head`. Swapped forward by
    /// putters; getters set WATCHED, anybody STOPPED and LEVEL.
    tail: CachePadded<AtomicUsize>,
    /// Position of the next get, and WATCHED, LEVEL. Never beyond `tail`. Swapped forward by getters; putters set
    /// WATCHED, anybody LEVEL.
    head: CachePadded<AtomicUsize>,
    /// `capacity` of them, at least 1. Never changes.
    slots: Box<[Slot<T>]>,
    /// What one lap is worth in a position: the power of two at or above capacity, times UNIT. Never changes.
    one_lap: usize,
}

/// Room for one item.
struct Slot<T> {
    /// The position to be put here next, or, with FILLED, the position of the item inside. Stored by the thread
    /// that owns the slot, to give it up.
    stamp: AtomicUsize,
    /// An item while `stamp` has FILLED, otherwise nothing; the owner may be changing it.
    item: Cell<MaybeUninit<T>>,
}

// SAFETY: items move between threads, hence T: Send. `item` is only touched by the slot's one owner (the
// invariant above), so no two threads ever share a T and T: Sync is not needed.
unsafe impl<T: Send> Sync for Queue<T> {}
// SAFETY: as above; the queue owns its items.
unsafe impl<T: Send> Send for Queue<T> {}

/// What a successful put or get still owes to others.
#[derive(Clone, Copy)]
#[must_use]
pub(super) struct Moved {
    /// Somebody waited for just this: notify them.
    pub(super) watched: bool,
    /// This move filled (put) or emptied (get) the ring, and a descriptor shows that.
    pub(super) level: bool,
}

/// Why there was no put.
pub(super) enum NoPut<T> {
    Full(T),
    Stopped(T),
}

/// Why there was no get.
pub(super) enum NoGet {
    Empty,
    Stopped,
}

impl<T> Queue<T> {
    /// A queue of `capacity` empty slots.
    pub(super) fn new(capacity: usize) -> Result<Self, Error> {
        if capacity == 0 {
            return Err(Error::invalid("capacity must be at least 1 (got 0)"));
        }
        if capacity > MAX_CAPACITY {
            return Err(Error::invalid(format!("capacity must be at most {MAX_CAPACITY} (got {capacity})")));
        }
        let mut slots = Vec::new();
        slots.try_reserve_exact(capacity).map_err(|_| {
            Error::new(
                ErrorKind::NoMemory,
                format!("no memory for a ring with a capacity of {capacity} items"),
            )
        })?;
        slots.extend((0..capacity).map(|index| Slot {
            stamp: AtomicUsize::new(index * UNIT),
            item: Cell::new(MaybeUninit::uninit()),
        }));
        Ok(Self {
            tail: CachePadded::new(AtomicUsize::new(0)),
            head: CachePadded::new(AtomicUsize::new(0)),
            slots: slots.into_boxed_slice(),
            one_lap: capacity.next_power_of_two() * UNIT,
        })
    }

    /// How many items fit.
    pub(super) fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// The index of a position, 0..capacity.
    #[inline(always)]
    fn index(&self, position: usize) -> usize {
        (position & (self.one_lap - 1)) / UNIT
    }

    /// The slot of a position.
    #[inline(always)]
    fn slot(&self, position: usize) -> &Slot<T> {
        let index = self.index(position);
        debug_assert!(index < self.slots.len());
        // SAFETY: positions only come from 0 by `next`, which keeps the index below the number of slots.
        unsafe { self.slots.get_unchecked(index) }
    }

    /// The position after this one.
    #[inline(always)]
    fn next(&self, position: usize) -> usize {
        if self.index(position) + 1 < self.slots.len() {
            position + UNIT
        } else {
            (position & !(self.one_lap - 1)).wrapping_add(self.one_lap)
        }
    }

    /// Puts an item, if there is space and the ring is not stopped.
    #[inline]
    pub(super) fn push(&self, item: T) -> Result<Moved, NoPut<T>> {
        let mut spin = Spin::new();
        // Relaxed: a guess, which the swap below confirms or refutes.
        let mut tail = self.tail.load(Ordering::Relaxed);
        loop {
            if tail & STOPPED != 0 {
                // Acquire, for the Release in `stop`: who is told of the stop sees what came before it.
                fence(Ordering::Acquire);
                return Err(NoPut::Stopped(item));
            }
            let position = tail & !FLAGS;
            let slot = self.slot(position);
            // Acquire, for the Release in `pop`: the last lap's item has been moved out.
            let stamp = slot.stamp.load(Ordering::Acquire);
            if stamp == position {
                let next = self.next(position);
                // Release, for the Acquire in `has_space`: who sees this position sees the head that allowed it.
                // Items are not handed over here but by the stamps. Failure Relaxed: again a guess.
                match self.tail.compare_exchange_weak(
                    tail,
                    next | (tail & LEVEL),
                    Ordering::Release,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => {
                        // SAFETY: this thread moved `tail` past the slot and its stamp says that it is empty, so it
                        // is ours until the store below.
                        slot.item.with_mut(|room| unsafe { (*room).write(item) });
                        // Release: hands the item to the Acquire in `pop`.
                        slot.stamp.store(position | FILLED, Ordering::Release);
                        return Ok(Moved {
                            watched: tail & WATCHED != 0,
                            // Relaxed: the stamp's Acquire made the head that freed this slot visible. If no get
                            // came after that one, it is read here and the ring is full; an outdated head can only
                            // say "full" when it is not, and the descriptor's owner looks again.
                            level: tail & LEVEL != 0
                                && self.is_full_at(next, self.head.load(Ordering::Relaxed)),
                        });
                    }
                    Err(now) => {
                        tail = now;
                        spin.lost();
                        continue;
                    }
                }
            }
            if stamp == position.wrapping_sub(self.one_lap) | FILLED {
                // SeqCst, with the one in `pop`: of two threads that each put into one ring and then find
                // another full or empty, at least one sees the other's put.
                fence(Ordering::SeqCst);
                // Relaxed: the newest that the fence allows; `tail` >= position, so if this says full, it was.
                if self.is_full_at(position, self.head.load(Ordering::Relaxed)) {
                    return Err(NoPut::Full(item));
                }
                // A get has moved `head` past the slot but not yet emptied it.
                spin.stuck();
            } else {
                // `tail` has moved on since it was read.
                spin.lost();
            }
            tail = self.tail.load(Ordering::Relaxed);
        }
    }

    /// Takes the oldest item, if there is one.
    #[inline]
    pub(super) fn pop(&self) -> Result<(T, Moved), NoGet> {
        let mut spin = Spin::new();
        // Relaxed: a guess, which the swap below confirms or refutes.
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            let position = head & !FLAGS;
            let slot = self.slot(position);
            // Acquire, for the Release in `push`: the item is there to be read.
            let stamp = slot.stamp.load(Ordering::Acquire);
            if stamp == position | FILLED {
                let next = self.next(position);
                // Release, for the Acquire in `has_data`: who sees this position sees the tail that allowed it.
                // Failure Relaxed: again a guess.
                match self.head.compare_exchange_weak(
                    head,
                    next | (head & LEVEL),
                    Ordering::Release,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => {
                        // SAFETY: this thread moved `head` past the slot and its stamp says that it is filled, so
                        // the item is ours to move out; the stamp below says that it is gone.
                        let item = slot.item.with_mut(|item| unsafe { (*item).assume_init_read() });
                        // Release: hands the empty slot to the Acquire in `push`.
                        slot.stamp.store(position.wrapping_add(self.one_lap), Ordering::Release);
                        let moved = Moved {
                            watched: head & WATCHED != 0,
                            // Relaxed: the stamp's Acquire made the tail after this item's put visible. If no put
                            // came after that one, it is read here and the ring is empty; an outdated tail can
                            // only say "empty" when it is not, and the descriptor's owner looks again.
                            level: head & LEVEL != 0 && self.tail.load(Ordering::Relaxed) & !FLAGS == next,
                        };
                        return Ok((item, moved));
                    }
                    Err(now) => {
                        head = now;
                        spin.lost();
                        continue;
                    }
                }
            }
            if stamp == position {
                // SeqCst: see `push`.
                fence(Ordering::SeqCst);
                // Acquire, for the Release in `stop`. The positions need none: `head` >= position, so if this
                // says empty, it was.
                let tail = self.tail.load(Ordering::Acquire);
                if tail & !FLAGS == position {
                    return Err(if tail & STOPPED != 0 { NoGet::Stopped } else { NoGet::Empty });
                }
                // A put has moved `tail` past the slot but not yet filled it.
                spin.stuck();
            } else {
                // `head` has moved on since it was read.
                spin.lost();
            }
            head = self.head.load(Ordering::Relaxed);
        }
    }

    /// Stops: no put will succeed after this. True: it was this call.
    pub(super) fn stop(&self) -> bool {
        // Release, for the Acquires where STOPPED is found; this word is only ever changed by read-modify-writes,
        // so every later value carries it.
        self.tail.fetch_or(STOPPED, Ordering::Release) & STOPPED == 0
    }

    /// Whether it is stopped.
    pub(super) fn is_stopped(&self) -> bool {
        // Acquire, for the Release in `stop`.
        self.tail.load(Ordering::Acquire) & STOPPED != 0
    }

    /// Items inside, at some moment during the call.
    pub(super) fn size(&self) -> usize {
        let mut spin = Spin::new();
        loop {
            // Acquire: so that the loads stay in this order. `tail` the same before and after reading `head`: the
            // two belong to one moment.
            let tail = self.tail.load(Ordering::Acquire) & !FLAGS;
            let head = self.head.load(Ordering::Acquire) & !FLAGS;
            if self.tail.load(Ordering::Acquire) & !FLAGS == tail {
                let (from, to) = (self.index(head), self.index(tail));
                return match from.cmp(&to) {
                    std::cmp::Ordering::Less => to - from,
                    std::cmp::Ordering::Greater => self.capacity() - from + to,
                    std::cmp::Ordering::Equal if tail == head => 0,
                    std::cmp::Ordering::Equal => self.capacity(),
                };
            }
            spin.lost();
        }
    }

    /// Whether these two words (flags and all) mean a full ring.
    #[inline(always)]
    fn is_full_at(&self, tail: usize, head: usize) -> bool {
        (head & !FLAGS).wrapping_add(self.one_lap) == tail & !FLAGS
    }

    /// Whether the ring is empty, at some moment during the call.
    pub(super) fn is_empty(&self) -> bool {
        // Acquire, for the Release in `pop`: `tail` is read no older than this head, so a difference is an item.
        let head = self.head.load(Ordering::Acquire);
        self.tail.load(Ordering::Relaxed) & !FLAGS == head & !FLAGS
    }

    /// Whether the ring is full, at some moment during the call.
    pub(super) fn is_full(&self) -> bool {
        // Acquire, for the Release in `push`: `head` is read no older than this tail allows.
        let tail = self.tail.load(Ordering::Acquire);
        self.is_full_at(tail, self.head.load(Ordering::Relaxed))
    }

    /// A cheap look, for spinning: whether a get has a chance now. Touches no word that putters swap, and so
    /// does not slow them down; it may be wrong, and does not know of a stop.
    #[inline]
    pub(super) fn may_pop(&self) -> bool {
        // Relaxed: only a hint.
        let position = self.head.load(Ordering::Relaxed) & !FLAGS;
        self.slot(position).stamp.load(Ordering::Relaxed) != position
    }

    /// A cheap look, for spinning: whether a put has a chance now. As `may_pop`.
    #[inline]
    pub(super) fn may_push(&self) -> bool {
        // Relaxed: only a hint.
        let position = self.tail.load(Ordering::Relaxed) & !FLAGS;
        self.slot(position).stamp.load(Ordering::Relaxed) == position
    }

    /// Whether a get would not wait: there is an item, or the ring is stopped. It may tell of an item that is
    /// just being taken by a get that has not returned.
    pub(super) fn has_data(&self) -> bool {
        // Acquire, for the Release in `pop`: then `tail` is read no older than this head, so a difference means an
        // item and not an outdated tail.
        let head = self.head.load(Ordering::Acquire);
        let tail = self.tail.load(Ordering::Relaxed);
        tail & STOPPED != 0 || tail & !FLAGS != head & !FLAGS
    }

    /// Sets WATCHED for data, then answers as `has_data`. After false, the next put (or stop) notifies.
    pub(super) fn watch_data(&self) -> bool {
        // Relaxed: the order of changes to this one word is all that matters (see the top). If head is there as
        // well, nothing was put before; what is put later sees the flag. An outdated head answers true.
        let tail = self.tail.fetch_or(WATCHED, Ordering::Relaxed);
        let head = self.head.load(Ordering::Relaxed);
        tail & STOPPED != 0 || tail & !FLAGS != head & !FLAGS
    }

    /// From now on every get that empties the ring says so in `Moved::level`.
    pub(super) fn announce_data_level(&self) {
        // Acquire, for the Release in `pop`: a look after this sees every get that did not see the flag, and the
        // tail it came from.
        self.head.fetch_or(LEVEL, Ordering::Acquire);
    }

    /// Whether a put would not wait: there is space, or the ring is stopped. It may tell of space that is just
    /// being filled by a put that has not returned.
    pub(super) fn has_space(&self) -> bool {
        // Acquire, for the Release in `push`: then `head` is read no older than this tail allows.
        let tail = self.tail.load(Ordering::Acquire);
        tail & STOPPED != 0 || !self.is_full_at(tail, self.head.load(Ordering::Relaxed))
    }

    /// Sets WATCHED for space, then answers as `has_space`. After false, the next get (or stop) notifies.
    pub(super) fn watch_space(&self) -> bool {
        // Relaxed: see `watch_data`. An outdated tail answers true.
        let head = self.head.fetch_or(WATCHED, Ordering::Relaxed);
        let tail = self.tail.load(Ordering::Relaxed);
        tail & STOPPED != 0 || !self.is_full_at(tail, head)
    }

    /// From now on every put that fills the ring says so in `Moved::level`.
    pub(super) fn announce_space_level(&self) {
        // Acquire, for the Release in `push`: see `announce_data_level`.
        self.tail.fetch_or(LEVEL, Ordering::Acquire);
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        if needs_drop::<T>() {
            while self.pop().is_ok() {}
        }
    }
}
