//! The buffer: packets in from any number of threads, and out by flushes to sinks, or one by one.
//!
//! Two locks. The *state's* is held for moments by everybody: a put takes it once, copies the packet and goes. The *way out's* belongs to whoever
//! takes packets out (a flush for as long as it writes, a pop, a clear), so that these come one after the other while puts go on. Who has both
//! took the way out first. No lock of the state is held while code of the program runs, or anything is written.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::config::Config;
use super::segment::{SEGMENT_SIZE, Segment};
use super::stats::Stats;
use super::store::{Slot, Store};
use super::way_out::WayOut;
use crate::error::{Error, Result};
use crate::ring::{Overflow, Wait};
use crate::sys::clock;
use crate::sys::eventfd::EventFd;

/// From this size on, a packet is copied without the lock.
const LARGE: usize = 16 << 10;

/// Who puts many packets lets others have the lock after so many bytes, if they wait for it.
const TURN: usize = 64 << 10;

/// Why a packet was not taken. The caller still has it.
#[derive(Debug, PartialEq, Eq)]
pub enum PutError {
    /// There is no space, and the call was not to wait.
    Full,
    /// There was no space for as long as the call might wait.
    TimedOut,
    /// The buffer is stopped.
    Stopped,
    /// It can never be taken, or there is no memory.
    Failed(Error),
}

impl From<Error> for PutError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Why there is no packet.
#[derive(Debug, PartialEq, Eq)]
pub enum PopError {
    /// There is none, and the call was not to wait.
    Empty,
    /// There was none for as long as the call might wait.
    TimedOut,
    /// There is none, and the buffer is stopped.
    Stopped,
    /// It is longer than the caller's memory, which the number of bytes that it needs says; it stays.
    Longer(usize),
    /// Not from within a flush of this buffer.
    Failed(Error),
}

/// What all threads share of a buffer.
pub(super) struct State {
    pub(super) store: Store,
    pub(super) stats: Stats,
    pub(super) flush_size: u64,
    pub(super) flush_timeout: Option<Duration>,
    pub(super) last_flush: Instant,
    pub(super) stopped: bool,
    /// The primary sink has all packets with lower numbers.
    pub(super) primary_next: u64,
    /// Whether `level` is raised. False without one.
    raised: bool,
    pub(super) flusher: super::flusher::Control,
}

/// An event buffer, without the thread that may flush it.
pub struct EventBuffer {
    pub(super) config: Config,
    overflow: Overflow,
    pub(super) state: Mutex<State>,
    pub(super) way_out: WayOut,
    /// There is space, or no more putting.
    pub(super) space: Condvar,
    /// There are packets, or there will be no more.
    data: Condvar,
    /// Readable while there are packets; made when it is asked for, raised and lowered under the state's lock.
    level: OnceLock<EventFd>,
    /// For the flusher: look again.
    pub(super) due: Condvar,
}

/// A place in the buffer that a packet is being written to; see [`EventBuffer::reserve`].
pub struct Reservation {
    slot: Slot,
}

impl Reservation {
    /// Its first byte; aligned for any C type.
    pub fn data(&self) -> *mut u8 {
        self.slot.data()
    }

    /// How many bytes may be written.
    pub fn size(&self) -> usize {
        self.slot.size()
    }

    /// What [`EventBuffer::commit`] and [`EventBuffer::cancel`] know it by.
    pub fn number(&self) -> u64 {
        self.slot.number()
    }
}

impl EventBuffer {
    /// An empty buffer without sinks.
    pub fn new(config: Config) -> Self {
        let state = State {
            store: Store::default(),
            stats: Stats::default(),
            flush_size: config.flush_size,
            flush_timeout: config.flush_timeout,
            last_flush: Instant::now(),
            stopped: false,
            primary_next: 0,
            raised: false,
            flusher: super::flusher::Control::default(),
        };
        Self {
            overflow: config.overflow(),
            config,
            state: Mutex::new(state),
            way_out: WayOut::default(),
            space: Condvar::new(),
            data: Condvar::new(),
            level: OnceLock::new(),
            due: Condvar::new(),
        }
    }

    /// What it was made with; what was configured since then as it is now.
    pub fn config(&self) -> Config {
        let state = self.state.lock();
        let State { flush_size, flush_timeout, .. } = *state;
        Config { flush_size, flush_timeout, overflow: Some(self.overflow), ..self.config.clone() }
    }

    /// Changes when a flush is due.
    pub fn configure(&self, flush_size: u64, flush_timeout: Option<Duration>) {
        let mut state = self.state.lock();
        (state.flush_size, state.flush_timeout) = (flush_size, flush_timeout);
        self.due.notify_all();
    }

    /// Puts a packet: its bytes are copied.
    ///
    /// `Ok` means that the buffer accounts for it from now on: it is in, or was dropped and counted as its overflow policy says.
    #[inline]
    pub fn put(&self, data: &[u8], wait: Wait) -> Result<(), PutError> {
        self.put_parts(&[data], wait)
    }

    /// Puts a packet that consists of several parts.
    pub fn put_parts(&self, parts: &[&[u8]], wait: Wait) -> Result<(), PutError> {
        let size =
            parts.iter().try_fold(0usize, |sum, part| sum.checked_add(part.len())).unwrap_or(usize::MAX);
        if size >= LARGE {
            return self.put_large(parts, size, wait);
        }
        self.config.check_size(size)?;
        let time = self.time();
        let mut state = self.state.lock();
        if self.put_quickly(&mut state, parts, size, time) {
            self.added(&mut state);
            return Ok(());
        }
        let result = self.put_slowly(&mut state, parts, size, time, wait);
        self.added(&mut state);
        result
    }

    /// Puts packets of `size` bytes that lie one behind the other in `data`. Returns how many the buffer accounts for from now on: fewer than
    /// there are if it could not wait for space for all, none being the error of the first.
    pub fn put_many(&self, data: &[u8], size: usize, wait: Wait) -> Result<usize, PutError> {
        if size == 0 || !data.len().is_multiple_of(size) {
            let rule = "packet_size must be at least 1 and divide the size of the data";
            return Err(Error::invalid(format!("{rule} (got {size} and {})", data.len())).into());
        }
        self.config.check_size(size)?;
        let time = self.time();
        let mut state = self.state.lock();
        let (mut count, mut turn) = (0, 0);
        let mut result = Ok(());
        for packet in data.chunks_exact(size) {
            if !self.put_quickly(&mut state, &[packet], size, time) {
                result = self.put_slowly(&mut state, &[packet], size, time, wait);
                if result.is_err() {
                    break;
                }
            }
            count += 1;
            turn += size;
            if turn >= TURN {
                turn = 0;
                MutexGuard::bump(&mut state);
            }
        }
        self.added(&mut state);
        match result {
            Err(error) if count == 0 => Err(error),
            _ => Ok(count),
        }
    }

    /// Puts a packet if there is space for it, and memory. It answers no more than that, as this is the hot path: a whole result costs 4 ns.
    #[inline]
    fn put_quickly(&self, state: &mut State, parts: &[&[u8]], size: usize, time: u64) -> bool {
        let done = !state.stopped && self.has_space(state, size) && state.store.put(parts, size, time);
        if done {
            state.stats.put.add(size);
        }
        done
    }

    #[cold]
    fn put_slowly(
        &self,
        state: &mut MutexGuard<'_, State>,
        parts: &[&[u8]],
        size: usize,
        time: u64,
        wait: Wait,
    ) -> Result<(), PutError> {
        while self.admit(state, size, time, wait)? {
            if self.put_quickly(state, parts, size, time) {
                break;
            }
            self.add_memory(state, size)?;
        }
        Ok(())
    }

    /// Each thread copies for itself.
    fn put_large(&self, parts: &[&[u8]], size: usize, wait: Wait) -> Result<(), PutError> {
        let reservation = match self.reserve_or_drop(size, wait)? {
            Some(reservation) => reservation,
            None => return Ok(()),
        };
        let mut to = reservation.data();
        for part in parts {
            // SAFETY: the parts have as many bytes as were reserved, which nobody else reads or writes before the commit.
            unsafe {
                to.copy_from_nonoverlapping(part.as_ptr(), part.len());
                to = to.add(part.len());
            }
        }
        self.commit(reservation.number(), size).map_err(PutError::Failed)
    }

    /// Takes a place for a packet of up to `size` bytes, to be written to and then committed. What was put behind it waits for that.
    ///
    /// Where the policy drops the newest packets and there is no space, the packet counts as lost, and the answer is [`PutError::Full`].
    pub fn reserve(&self, size: usize, wait: Wait) -> Result<Reservation, PutError> {
        self.reserve_or_drop(size, wait)?.ok_or(PutError::Full)
    }

    /// `None`: it was dropped, and counted.
    fn reserve_or_drop(&self, size: usize, wait: Wait) -> Result<Option<Reservation>, PutError> {
        self.config.check_size(size)?;
        let time = self.time();
        let mut state = self.state.lock();
        loop {
            if !self.admit(&mut state, size, time, wait)? {
                return Ok(None);
            }
            if let Some(slot) = state.store.take_place(size, time) {
                state.store.open(&slot);
                return Ok(Some(Reservation { slot }));
            }
            self.add_memory(&mut state, size)?;
        }
    }

    /// The packet that was reserved under this number has been written, `size` bytes of it.
    pub fn commit(&self, number: u64, size: usize) -> Result<()> {
        let time = self.time();
        let mut state = self.state.lock();
        match state.store.reserved(number) {
            None => return Err(Error::invalid(format!("slot: no packet {number} is reserved"))),
            Some(reserved) if size > reserved => {
                let rule = format!("size must be at most {reserved}, which was reserved (got {size})");
                return Err(Error::invalid(rule));
            }
            Some(_) => state.store.close(number, Some(size), time),
        }
        state.stats.put.add(size);
        self.added(&mut state);
        // It may have needed less than it had.
        self.space.notify_all();
        Ok(())
    }

    /// The packet that was reserved under this number will not be put.
    pub fn cancel(&self, number: u64) -> Result<()> {
        let mut state = self.state.lock();
        if state.store.reserved(number).is_none() {
            return Err(Error::invalid(format!("slot: no packet {number} is reserved")));
        }
        state.store.close(number, None, 0);
        state.stats.cancelled += 1;
        self.added(&mut state);
        self.space.notify_all();
        Ok(())
    }

    /// Makes or waits for space for a packet. False if it was dropped instead, and counted.
    #[inline]
    fn admit(
        &self,
        state: &mut MutexGuard<'_, State>,
        size: usize,
        time: u64,
        wait: Wait,
    ) -> Result<bool, PutError> {
        if !state.stopped && self.has_space(state, size) {
            return Ok(true);
        }
        self.admit_slowly(state, size, time, wait)
    }

    #[cold]
    fn admit_slowly(
        &self,
        state: &mut MutexGuard<'_, State>,
        size: usize,
        time: u64,
        wait: Wait,
    ) -> Result<bool, PutError> {
        let deadline = wait.end();
        let mut has_waited = false;
        loop {
            if state.stopped {
                state.stats.refused += 1;
                return Err(PutError::Stopped);
            }
            if self.has_space(state, size) {
                return Ok(true);
            }
            match self.overflow {
                Overflow::DropOldest if self.drop_oldest(state) => {}
                // All the space is with packets that are being written.
                Overflow::DropNewest | Overflow::DropOldest => {
                    state.store.lose_newest(size, time);
                    state.stats.put.add(size);
                    state.stats.overflow_newest.add(size);
                    return Ok(false);
                }
                Overflow::Block if wait == Wait::No => {
                    state.stats.refused += 1;
                    return Err(PutError::Full);
                }
                Overflow::Block => {
                    if !has_waited {
                        state.stats.blocked += 1;
                        has_waited = true;
                        // This call may have put packets already, and who waits for them makes the space.
                        self.added(state);
                    }
                    // A flusher whose limit is above the capacity would not come by itself.
                    state.flusher.hurry();
                    self.due.notify_all();
                    if self.wait(&self.space, state, deadline) {
                        state.stats.refused += 1;
                        return Err(PutError::TimedOut);
                    }
                }
            }
        }
    }

    /// Waits; true when the deadline has passed.
    fn wait(
        &self,
        condition: &Condvar,
        state: &mut MutexGuard<'_, State>,
        deadline: Option<Instant>,
    ) -> bool {
        match deadline {
            Some(deadline) => condition.wait_until(state, deadline).timed_out(),
            None => {
                condition.wait(state);
                false
            }
        }
    }

    /// Whether there is space for one more packet.
    fn has_space(&self, state: &State, size: usize) -> bool {
        let Config { capacity, capacity_bytes, .. } = self.config;
        if capacity == 0 && capacity_bytes == 0 {
            return true;
        }
        // What a flush is writing cannot be dropped: it is then on top of the capacity.
        let used = match self.overflow {
            Overflow::DropOldest => state.store.occupied_waiting(),
            _ => state.store.occupied(),
        };
        (capacity == 0 || used.packets < capacity)
            && (capacity_bytes == 0 || used.bytes + size as u64 <= capacity_bytes)
    }

    /// Drops the oldest packet, if there is one that can be.
    fn drop_oldest(&self, state: &mut State) -> bool {
        let Some(entry) = state.store.evict() else { return false };
        if entry.number < state.primary_next {
            // Only another sink, which has failed, has not got it.
            state.stats.flushed.add(entry.size as usize);
        } else {
            state.stats.overflow_oldest.add(entry.size as usize);
        }
        self.bring_level(state);
        true
    }

    /// After a flush that failed: no more than fit.
    pub(super) fn trim(&self, state: &mut State) {
        while self.overflow == Overflow::DropOldest && !self.has_at_most_capacity(state) {
            if !self.drop_oldest(state) {
                break;
            }
        }
    }

    fn has_at_most_capacity(&self, state: &State) -> bool {
        let Config { capacity, capacity_bytes, .. } = self.config;
        let used = state.store.occupied_waiting();
        (capacity == 0 || used.packets <= capacity) && (capacity_bytes == 0 || used.bytes <= capacity_bytes)
    }

    /// Gives the store memory for a packet of that size. The allocator, which may be the program's, runs without the lock.
    fn add_memory(&self, state: &mut MutexGuard<'_, State>, size: usize) -> Result<()> {
        let segment = MutexGuard::unlocked(state, || Segment::new(&*self.config.allocator, size));
        match segment {
            Ok(segment) => {
                state.store.add_memory(segment, size > SEGMENT_SIZE);
                Ok(())
            }
            Err(error) => {
                state.stats.refused += 1;
                Err(error)
            }
        }
    }

    fn time(&self) -> u64 {
        if self.config.timestamps { clock::now() } else { 0 }
    }

    /// Packets have been added: tells those who wait for them.
    #[inline]
    fn added(&self, state: &mut State) {
        if state.flusher.waits && (state.flusher.is_hurried() || self.is_almost_full(state)) {
            self.due.notify_all();
        }
        // All: there may be several packets, and who is woken may give up without one.
        self.data.notify_all();
        if self.level.get().is_some() {
            self.bring_level(state);
        }
    }

    pub(super) fn is_almost_full(&self, state: &State) -> bool {
        state.flush_size > 0 && state.store.amount().packets >= state.flush_size
    }

    /// Makes the descriptor show whether there are packets; not those behind one that is still being written.
    #[inline]
    pub(super) fn bring_level(&self, state: &mut State) {
        let Some(level) = self.level.get() else { return };
        let holds = state.stopped || state.store.has_flight() || state.store.has_ready();
        if holds && !state.raised {
            level.raise();
        } else if !holds && state.raised {
            level.lower();
        }
        state.raised = holds;
    }

    /// A descriptor that is readable while there are packets, or the buffer is stopped.
    pub fn data_fd(&self) -> Result<BorrowedFd<'_>> {
        let mut state = self.state.lock();
        let level = match self.level.get() {
            Some(level) => level,
            None => {
                let level = EventFd::new().map_err(|e| Error::io("event buffer: eventfd", &e))?;
                self.level.get_or_init(|| level)
            }
        };
        self.bring_level(&mut state);
        Ok(level.as_fd())
    }

    /// Takes the oldest packet out, copying it to `to`. Returns its size and time.
    pub fn pop(&self, to: &mut [u8], wait: Wait) -> Result<(usize, u64), PopError> {
        let deadline = wait.end();
        loop {
            let way_out = match self.way_out.enter_until(deadline).map_err(PopError::Failed)? {
                Some(way_out) => way_out,
                None if wait == Wait::No => return Err(PopError::Empty),
                None => return Err(PopError::TimedOut),
            };
            let mut state = self.state.lock();
            if let Some((entry, data)) = state.store.peek(0) {
                let to = to.get_mut(..data.len()).ok_or(PopError::Longer(data.len()))?;
                to.copy_from_slice(data);
                let (size, time) = (data.len(), entry.time);
                state.store.pop();
                state.stats.popped.add(size);
                self.removed(&mut state);
                return Ok((size, time));
            }
            if state.stopped {
                return Err(PopError::Stopped);
            }
            if wait == Wait::No {
                return Err(PopError::Empty);
            }
            // Flushes may go on meanwhile.
            drop(way_out);
            if self.wait(&self.data, &mut state, deadline) {
                return Err(PopError::TimedOut);
            }
        }
    }

    /// Copies the packet `index` places behind the oldest to `to`, and leaves it where it is. Returns its size and time.
    pub fn peek(&self, index: u64, to: &mut [u8]) -> Result<(usize, u64), PopError> {
        let _way_out = self.way_out.enter().map_err(PopError::Failed)?;
        let state = self.state.lock();
        let Some((entry, data)) = state.store.peek(index) else { return Err(PopError::Empty) };
        to.get_mut(..data.len()).ok_or(PopError::Longer(data.len()))?.copy_from_slice(data);
        Ok((data.len(), entry.time))
    }

    /// Forgets all packets. Returns how many they were.
    pub fn clear(&self) -> Result<u64> {
        let _way_out = self.way_out.enter()?;
        let mut state = self.state.lock();
        let cleared = state.store.clear();
        state.stats.cleared += cleared;
        self.removed(&mut state);
        Ok(cleared.packets)
    }

    /// Packets have been taken out.
    pub(super) fn removed(&self, state: &mut State) {
        self.bring_level(state);
        self.space.notify_all();
    }

    /// Packets in it, also those that a flush is writing.
    pub fn size(&self) -> u64 {
        self.state.lock().store.amount().packets
    }

    /// Bytes of these packets.
    pub fn bytes(&self) -> u64 {
        self.state.lock().store.amount().bytes
    }

    /// Whether there are at least as many packets as `flush_size` says.
    pub fn almost_full(&self) -> bool {
        self.is_almost_full(&self.state.lock())
    }

    /// Since the last flush began, or the buffer was made.
    pub fn time_since_last_flush(&self) -> Duration {
        self.state.lock().last_flush.elapsed()
    }

    /// Whether the buffer is almost full, or the last flush too long ago.
    pub fn flush_needed(&self) -> bool {
        let state = self.state.lock();
        let late = state.flush_timeout.is_some_and(|timeout| state.last_flush.elapsed() > timeout);
        late || self.is_almost_full(&state)
    }

    /// No more puts; what is inside can be flushed and popped. Whoever waits is woken.
    pub fn stop(&self) {
        let mut state = self.state.lock();
        state.stopped = true;
        self.bring_level(&mut state);
        self.space.notify_all();
        self.data.notify_all();
        self.due.notify_all();
    }

    /// All counts at one moment.
    pub fn stats(&self) -> Stats {
        let state = self.state.lock();
        Stats { waiting: state.store.amount(), reserved: state.store.open_count(), ..state.stats }
    }
}
