//! The packets of a buffer, in order: what is in it, what a flush is writing, what was lost. Plain state without a lock or a wait; the
//! buffer's lock is around it.
//!
//! Invariant: `flight` and then `waiting` have all packets in the order of their numbers. A packet is in flight from the beginning of a
//! flush until all sinks have it; a flush that fails puts the rest back to the front of `waiting`.

use std::collections::VecDeque;
use std::sync::Arc;

use super::batch::{Batch, Lost};
use super::segment::{Amount, CANCELLED, Entry, Piece, SEGMENT_SIZE, Segment};

/// Unused segments that are kept.
const MOST_SPARE: usize = 16;

/// Losses that are told apart, about; older ones are then told as one, where the last of them was. Each is followed by a packet, so it takes an
/// unlucky program to have more of them than packets in the buffer: one that pops packets and never flushes.
const MOST_LOST: usize = if cfg!(miri) { 32 } else { 4096 };

/// A place for a packet that is still to be written.
#[derive(Clone)]
pub(super) struct Slot {
    segment: Arc<Segment>,
    index: usize,
    entry: Entry,
}

impl Slot {
    /// Its first byte.
    pub(super) fn data(&self) -> *mut u8 {
        self.segment.at(self.entry.start)
    }

    /// How many bytes it has.
    pub(super) fn size(&self) -> usize {
        self.entry.size as usize
    }

    /// The packet's number, which is the slot's name.
    pub(super) fn number(&self) -> u64 {
        self.entry.number
    }
}

#[derive(Default)]
pub(super) struct Store {
    flight: VecDeque<Piece>,
    /// The last piece is at the end of what has been used of its segment. The first packet was not cancelled.
    waiting: VecDeque<Piece>,
    /// Bytes used of the last piece's segment.
    used: usize,
    spare: Vec<Segment>,
    /// The number of the next packet.
    next: u64,
    /// Slots that are being written to. There are as many as threads that do so: few.
    open: Vec<Slot>,
    in_flight: Amount,
    /// With those of open slots.
    in_waiting: Amount,
    /// In order; none unless somebody wants to know.
    lost: VecDeque<Lost>,
    /// Somebody wants to know what was lost.
    keeps_lost: bool,
    /// Where sinks are that are behind or ahead of others: losses on both sides of these numbers are told apart.
    boundaries: Vec<u64>,
    /// Losses with lower numbers are being told to sinks by a flush.
    flight_end: u64,
}

impl Store {
    /// Packets and their bytes: all, without those that are still being written.
    pub(super) fn amount(&self) -> Amount {
        let mut amount = self.occupied();
        for slot in &self.open {
            amount.packets -= 1;
            amount.bytes -= slot.size() as u64;
        }
        amount
    }

    /// All that takes memory.
    pub(super) fn occupied(&self) -> Amount {
        let mut all = self.in_flight;
        all += self.in_waiting;
        all
    }

    /// What takes memory and is not being flushed.
    pub(super) fn occupied_waiting(&self) -> Amount {
        self.in_waiting
    }

    /// Whether packets are in flight.
    pub(super) fn has_flight(&self) -> bool {
        self.in_flight.packets > 0
    }

    /// The number of the oldest packet, or of the next.
    pub(super) fn oldest_number(&self) -> u64 {
        let mut entries = self.flight.iter().chain(&self.waiting).flat_map(Piece::entries);
        entries.find(|entry| entry.size != CANCELLED).map_or(self.next, |entry| entry.number)
    }

    /// All packets with lower numbers are written.
    pub(super) fn committed(&self) -> u64 {
        self.open.iter().map(Slot::number).min().unwrap_or(self.next)
    }

    /// Whether there is a packet that is written, and not in flight, and has none that is still being written before it.
    pub(super) fn has_ready(&self) -> bool {
        let first = self.waiting.iter().find_map(|piece| piece.entries().first());
        first.is_some_and(|entry| entry.number < self.committed())
    }

    /// What comes after is not behind packets that were cancelled.
    fn skip_cancelled(&mut self) {
        let committed = self.committed();
        loop {
            let is_last = self.waiting.len() == 1;
            let Some(piece) = self.waiting.front_mut() else { return };
            match piece.entries().first() {
                Some(entry) if entry.number < committed && entry.size == CANCELLED => piece.first += 1,
                None if !is_last => self.drop_front(),
                _ => return,
            }
        }
    }

    /// Takes a place for a packet of `size` bytes; `None` if there must be a new segment first.
    #[inline]
    pub(super) fn take_place(&mut self, size: usize, time: u64) -> Option<Slot> {
        loop {
            if let Some(piece) = self.waiting.back_mut()
                && let Some(start) = piece.segment.room(piece.end, self.used, size, true)
            {
                let entry = Entry { number: self.next, time, start, size: size as u32 };
                let slot = Slot { segment: piece.segment.clone(), index: piece.end, entry };
                // SAFETY: there is room, and we have the lock, as `&mut self` says.
                unsafe { piece.push(entry) };
                self.used = start as usize + size;
                self.next += 1;
                self.in_waiting.add(size);
                return Some(slot);
            }
            if !self.add_spare(size) {
                return None;
            }
        }
    }

    /// Has the next packets go to memory that was used before, if there is any, and room in it for `size` bytes.
    fn add_spare(&mut self, size: usize) -> bool {
        let spare = if size <= SEGMENT_SIZE { self.spare.pop() } else { None };
        spare.map(|spare| self.add_segment(spare)).is_some()
    }

    /// Puts a packet, whose parts are `parts`, `size` bytes in all; false if there must be a new segment first.
    #[inline]
    pub(super) fn put(&mut self, parts: &[&[u8]], size: usize, time: u64) -> bool {
        loop {
            if let Some(piece) = self.waiting.back_mut()
                && let Some(start) = piece.segment.room(piece.end, self.used, size, false)
            {
                let mut to = piece.segment.at(start);
                for part in parts {
                    // SAFETY: `room` said that all parts fit there; nobody has been told of these bytes yet.
                    unsafe {
                        to.copy_from_nonoverlapping(part.as_ptr(), part.len());
                        to = to.add(part.len());
                    }
                }
                let entry = Entry { number: self.next, time, start, size: size as u32 };
                // SAFETY: there is room, and we have the lock, as `&mut self` says.
                unsafe { piece.push(entry) };
                self.used = start as usize + size;
                self.next += 1;
                self.in_waiting.add(size);
                return true;
            }
            if !self.add_spare(size) {
                return false;
            }
        }
    }

    /// Gives the next packets memory; `at_once`: the very next one, as it is for this one.
    pub(super) fn add_memory(&mut self, segment: Segment, at_once: bool) {
        if at_once {
            self.add_segment(segment);
        } else {
            self.spare.push(segment);
        }
    }

    fn add_segment(&mut self, segment: Segment) {
        // Nothing waits in the last one. While it is in flight, it is kept when that has landed.
        if self.waiting.back().is_some_and(|back| back.first == back.end)
            && let Some(back) = self.waiting.pop_back()
        {
            self.recycle(back);
        }
        self.waiting.push_back(Piece::at(Arc::new(segment), 0));
        self.used = 0;
    }

    /// The slot's writer has begun; see [`close`](Self::close).
    pub(super) fn open(&mut self, slot: &Slot) {
        self.open.push(slot.clone());
    }

    /// How many bytes the open slot of that number has; `None` if there is none.
    pub(super) fn reserved(&self, number: u64) -> Option<usize> {
        self.open.iter().find(|slot| slot.number() == number).map(Slot::size)
    }

    /// How many slots are open.
    pub(super) fn open_count(&self) -> u64 {
        self.open.len() as u64
    }

    /// The packet in an open slot is there, with no more bytes than were reserved, or will never be.
    pub(super) fn close(&mut self, number: u64, size: Option<usize>, time: u64) {
        let Some(place) = self.open.iter().position(|slot| slot.number() == number) else { return };
        let slot = self.open.swap_remove(place);
        let reserved = slot.size();
        let size = size.map(|size| size.min(reserved));
        let entry = Entry { size: size.map_or(CANCELLED, |size| size as u32), time, ..slot.entry };
        // SAFETY: we have the lock, and `open` had the entry until now: it was not committed.
        unsafe { slot.segment.set(slot.index, entry) };
        let holds = |piece: &&mut Piece| {
            Arc::ptr_eq(&piece.segment, &slot.segment) && (piece.first..piece.end).contains(&slot.index)
        };
        let piece = self.waiting.iter_mut().rev().find(holds).map(|piece| &mut piece.amount);
        for amount in piece.into_iter().chain([&mut self.in_waiting]) {
            amount.remove(reserved);
            if let Some(size) = size {
                amount.add(size);
            }
        }
        if let Some(back) = self.waiting.back()
            && Arc::ptr_eq(&back.segment, &slot.segment)
            && back.end == slot.index + 1
        {
            // The last one: what it did not need is the next one's. So entries are in the order of their places, too.
            self.used = slot.entry.start as usize + size.unwrap_or(0);
        }
        self.skip_cancelled();
    }

    /// Drops the oldest packet that is not in flight; `None` if there is none.
    pub(super) fn evict(&mut self) -> Option<Entry> {
        let entry = self.pop_waiting()?;
        self.note_lost(entry.number, entry.size as usize, entry.time);
        Some(entry)
    }

    /// A packet that did not get in is lost.
    pub(super) fn lose_newest(&mut self, size: usize, time: u64) {
        let number = self.next;
        self.next += 1;
        self.note_lost(number, size, time);
    }

    /// Forgets the oldest packet that is not in flight.
    fn pop_waiting(&mut self) -> Option<Entry> {
        let committed = self.committed();
        loop {
            let is_last = self.waiting.len() == 1;
            let piece = self.waiting.front_mut()?;
            match piece.entries().first() {
                None if is_last => return None,
                None => self.drop_front(),
                Some(entry) if entry.number >= committed => return None,
                Some(&entry) => {
                    piece.first += 1;
                    if let Some(range) = entry.range() {
                        piece.amount.remove(range.len());
                        self.in_waiting.remove(range.len());
                        self.skip_cancelled();
                        return Some(entry);
                    }
                }
            }
        }
    }

    fn drop_front(&mut self) {
        if let Some(piece) = self.waiting.pop_front() {
            self.recycle(piece);
        }
    }

    /// Keeps a segment that nobody uses any more.
    fn recycle(&mut self, piece: Piece) {
        if self.spare.len() < MOST_SPARE
            && let Ok(segment) = Arc::try_unwrap(piece.segment)
            && segment.is_usual()
        {
            self.spare.push(segment);
        }
    }

    /// The packet `index` places behind the oldest. Only while nothing is in flight.
    pub(super) fn peek(&self, mut index: u64) -> Option<(Entry, &[u8])> {
        let committed = self.committed();
        for piece in &self.waiting {
            for entry in piece.entries().iter().take_while(|entry| entry.number < committed) {
                let Some(range) = entry.range() else { continue };
                if index == 0 {
                    // SAFETY: the range of a committed entry of this piece.
                    return Some((*entry, unsafe { piece.bytes(range) }));
                }
                index -= 1;
            }
        }
        None
    }

    /// Takes the oldest packet out. Only while nothing is in flight.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        self.pop_waiting()
    }

    /// Forgets all packets that are written. Only while nothing is in flight.
    pub(super) fn clear(&mut self) -> Amount {
        let mut cleared = Amount::default();
        while let Some(entry) = self.pop_waiting() {
            cleared.add(entry.size as usize);
        }
        cleared
    }

    /// All packets that are written are in flight from now on. Returns the number behind the last.
    pub(super) fn take_off(&mut self) -> u64 {
        let end = self.committed();
        while let Some(piece) = self.waiting.front_mut() {
            let ready = piece.below(end);
            let taken = piece.split(ready);
            let is_all = piece.first == piece.end;
            self.in_flight += taken.amount;
            self.in_waiting -= taken.amount;
            if taken.first < taken.end {
                self.flight.push_back(taken);
            }
            // The last piece stays, even if nothing is left of it: there is room behind it.
            if !is_all || self.waiting.len() == 1 {
                break;
            }
            self.waiting.pop_front();
        }
        // What is lost from now on is not for this flush.
        self.boundaries.clear();
        self.boundaries.push(end);
        self.flight_end = end;
        end
    }

    /// Packets in flight, and losses, from `from` on and below `end`; of at most so many pieces.
    pub(super) fn batch(&self, from: u64, end: u64, most_pieces: usize) -> Batch {
        let has_any = |piece: &&Piece| piece.entries().last().is_some_and(|entry| entry.number >= from);
        let mut wanted = self.flight.iter().filter(has_any);
        let pieces: Vec<Piece> = wanted.by_ref().take(most_pieces).cloned().collect();
        // Up to the next piece, or the end.
        let end = wanted.next().and_then(|piece| piece.entries().first()).map_or(end, |entry| entry.number);
        let lost = self.lost.iter().filter(|lost| from <= lost.first && lost.first < end).copied().collect();
        Batch { pieces, lost, end }
    }

    /// All sinks have the packets with numbers below `end`: those in flight go.
    pub(super) fn land(&mut self, end: u64) -> Amount {
        let mut landed = Amount::default();
        while let Some(piece) = self.flight.front_mut() {
            let count = piece.below(end);
            landed += piece.split(count).amount;
            if piece.first < piece.end {
                break;
            }
            if let Some(piece) = self.flight.pop_front() {
                self.recycle(piece);
            }
        }
        self.in_flight -= landed;
        while self.lost.front().is_some_and(|lost| lost.last < end) {
            self.lost.pop_front();
        }
        landed
    }

    /// What is still in flight waits again. `cursors` are the numbers at which sinks are.
    pub(super) fn take_back(&mut self, cursors: impl IntoIterator<Item = u64>) {
        while let Some(piece) = self.flight.pop_back() {
            match self.waiting.front_mut() {
                // They were one before.
                Some(next) if Arc::ptr_eq(&next.segment, &piece.segment) && next.first == piece.end => {
                    next.first = piece.first;
                    next.amount += piece.amount;
                }
                _ => self.waiting.push_front(piece),
            }
        }
        self.in_waiting += std::mem::take(&mut self.in_flight);
        self.skip_cancelled();
        self.flight_end = 0;
        self.boundaries.clear();
        self.boundaries.extend(cursors);
    }

    /// Whether losses are to be kept for somebody. They are forgotten where not.
    pub(super) fn keep_lost(&mut self, keep: bool) {
        self.keeps_lost = keep;
        if !keep {
            self.lost.clear();
            self.boundaries.clear();
        }
    }

    /// A sink begins at `number`: what was lost before is not told to it, what is lost from there on is.
    pub(super) fn add_boundary(&mut self, number: u64) {
        if !self.boundaries.contains(&number) {
            self.boundaries.push(number);
        }
    }

    fn note_lost(&mut self, number: u64, size: usize, time: u64) {
        if !self.keeps_lost {
            return;
        }
        let one = Lost {
            first: number,
            last: number,
            packets: 1,
            bytes: size as u64,
            first_time: time,
            last_time: time,
        };
        // Nearly always behind all others.
        let place = self.lost.iter().rposition(|lost| lost.first < number).map_or(0, |before| before + 1);
        let before = place.checked_sub(1).and_then(|before| self.lost.get_mut(before));
        match before {
            Some(before) if before.last + 1 == number && !self.boundaries.contains(&number) => {
                before.append(&one);
            }
            _ => self.lost.insert(place, one),
        }
        if self.lost.len() > MOST_LOST {
            self.merge_oldest_lost();
        }
    }

    /// The oldest loss is told with the next one, in its place: a sink that has been told of it is behind all that it stands for. Not if a sink is
    /// between them, which has been told of one already.
    #[cold]
    fn merge_oldest_lost(&mut self) {
        let told = self.lost.partition_point(|lost| lost.first < self.flight_end);
        let is_apart = |older: &Lost, next: &Lost| {
            self.boundaries.iter().any(|number| (older.first + 1..=next.first).contains(number))
        };
        let next =
            (told + 1..self.lost.len()).find(|&next| !is_apart(&self.lost[next - 1], &self.lost[next]));
        if let Some(older) = next.and_then(|next| self.lost.remove(next - 1))
            && let Some(next) = next.and_then(|next| self.lost.get_mut(next - 1))
        {
            next.packets += older.packets;
            next.bytes += older.bytes;
            next.first_time = older.first_time;
        }
    }
}

impl Lost {
    /// Takes in what was lost after it.
    fn append(&mut self, next: &Self) {
        self.last = next.last;
        self.packets += next.packets;
        self.bytes += next.bytes;
        self.last_time = next.last_time;
    }
}

#[cfg(test)]
mod tests;
