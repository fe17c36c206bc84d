//! An input's end of a ring in shared memory.
//!
//! One thread at a time. Invariant: whatever the output's process does, an input never reads outside the mapping, and what it returns was checked to be
//! whole after it was copied. Of the frames published since it joined, each is received, or counted in `dropped_frames`, or behind the last received.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;

use super::layout::{FIXED, Header, MOST_RECORD_HEADER, Slot, aligned, parse_record};
use super::memory::{POLLS, Page, Ring, SLEEPS};
use super::offer::Offer;
use super::patience::{Patience, Until};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::Wait;
use crate::signal::array::Layout;
use crate::signal::chunk::Chunk;
use crate::signal::transport::{NoChunk, Subscriber};
use crate::sys::eventfd::EventFd;
use crate::sys::local::{Connection, any_of};
use crate::sys::memfd::page_size;
use crate::sys::poll;

/// How often an input that waits looks whether the output lives.
const SLICE: Duration = Duration::from_millis(100);

/// Longer records are not brought into the cache before they are looked at: the processor does so when they are read.
const PREFETCH: u64 = 4096;

/// Why a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The output was closed.
    Closed,
    /// The output's process ended without closing it.
    Died,
}

/// The input's end.
#[derive(Debug)]
pub struct ShmSubscriber {
    ring: Ring,
    page: Page,
    connection: Connection,
    event: EventFd,
    /// `event` and `connection` in one, once asked for.
    pollable: OnceLock<OwnedFd>,
    /// The next chunk; `None` before the output has said which is the first.
    next: Option<u64>,
    /// Frames before that chunk.
    before: u64,
    /// Chunks that are known to be published.
    published: u64,
    missed: u64,
    /// The header of the last record, and what it says: most records have the same. The other is for the next.
    header: Vec<u8>,
    other_header: Vec<u8>,
    layout: Option<Arc<Layout>>,
    pool: Pool,
    patience: Patience,
    /// When the connection was last looked at.
    looked: Instant,
    ended: Option<EndReason>,
}

/// A chunk in the ring.
#[derive(Debug, Clone, Copy)]
struct Found {
    slot: Slot,
    /// Where its data begins.
    position: u64,
}

impl ShmSubscriber {
    /// A new input of the output of that name; it gets what is published from now on.
    ///
    /// # Errors
    /// `NotFound`: there is no such output on this host (or in this network namespace). `Version`: it is of another version of this library. `State`: it
    /// has as many inputs as it may have. `Format`, `Truncated`: who answers does not follow the format. `Io`: the system's; it is of another user; it
    /// does not answer within 5 seconds.
    pub fn connect(name: &str) -> Result<Self> {
        let context = |e: Error| Error::new(e.kind(), format!("shm stream {name:?}: {}", e.message()));
        Self::open(name).map_err(context)
    }

    fn open(name: &str) -> Result<Self> {
        let mut offer = Offer::fetch(name)?;
        let (memory, page) = offer.take(FIXED)?;
        let fixed = memory.read_start::<FIXED>().map_err(|e| Error::io("reading the shared ring", &e))?;
        let size = memory.size().map_err(|e| Error::io("asking for the shared ring's size", &e))?;
        let header = Header::parse(&fixed, size, page_size())?;
        let mapping = |e| Error::io(format!("mapping a shared ring of {size} bytes"), &e);
        Ok(Self {
            ring: Ring::new(&memory, header, false).map_err(mapping)?,
            page: Page::new(&page).map_err(mapping)?,
            connection: offer.connection,
            event: offer.event,
            pollable: OnceLock::new(),
            next: None,
            before: 0,
            published: 0,
            missed: 0,
            header: Vec::with_capacity(MOST_RECORD_HEADER),
            other_header: Vec::with_capacity(MOST_RECORD_HEADER),
            layout: None,
            pool: Pool::default(),
            patience: Patience::new(),
            looked: Instant::now(),
            ended: None,
        })
    }

    /// Frames that were dropped for this input, as far as it has received: behind what it was too slow for, or what the output dropped for all.
    pub fn dropped_frames(&self) -> u64 {
        self.missed
    }

    /// Why the stream ended, once it has.
    pub fn ended(&self) -> Option<EndReason> {
        self.ended
    }

    /// The output's process, as it says.
    pub fn output_pid(&self) -> u32 {
        self.ring.header.pid
    }

    /// The next chunk, where it is, without a copy. The output goes on meanwhile, unless its policy is to block: see [`View::is_intact`].
    pub fn view(&mut self, wait: Wait) -> Result<View<'_>, NoChunk> {
        let found = self.find(Until::new(wait))?;
        let layout = self.parse(&found)?;
        Ok(View { subscriber: self, found, layout, was_intact: None })
    }

    /// Whether there is something new to look at: a hint.
    fn has_news(&self) -> bool {
        // SeqCst, for the looks before sleeping: see `Page::want`. (`published` is stored after `start`, whose Release it carries.)
        let chunk = match self.next {
            Some(next) => self.ring.published().load(Ordering::SeqCst) != next,
            None => {
                self.ring.published().load(Ordering::SeqCst);
                self.page.start().load(Ordering::Relaxed) != 0
            }
        };
        chunk || self.ring.closed().load(Ordering::SeqCst) != 0
    }

    /// The number of the next chunk, if it is published.
    #[inline]
    fn next_published(&mut self) -> Result<Option<u64>, NoChunk> {
        let next = match self.next {
            Some(next) => next,
            None => {
                // Acquire, for the Release in the output: `start_frames` is there.
                let Some(next) = self.page.start().load(Ordering::Acquire).checked_sub(1) else {
                    return Ok(None);
                };
                self.before = self.page.start_frames().load(Ordering::Relaxed);
                self.next = Some(next);
                self.published = next;
                next
            }
        };
        if next >= self.published {
            // Acquire, for the Release in the output: the chunks are there.
            self.published = self.ring.published().load(Ordering::Acquire);
            if self.published < next {
                return Err(failed(format!("only {} chunks were published, before {next}", self.published)));
            }
        }
        Ok((next < self.published).then_some(next))
    }

    /// The next chunk that is in the ring; `None`: there is none yet.
    fn try_find(&mut self) -> Result<Option<Found>, NoChunk> {
        while let Some(next) = self.next_published()? {
            let slot = self.ring.load_slot(next);
            // For the Release fence in the output: if anything of the slot was of a later chunk, its claim is seen.
            fence(Ordering::Acquire);
            let claimed = self.ring.claimed_chunks().load(Ordering::Relaxed);
            let claimed_bytes = self.ring.claimed_bytes().load(Ordering::Relaxed);
            if claimed > next.saturating_add(self.ring.header.slots as u64) {
                self.catch_up(next)?;
                continue;
            }
            slot.check(next, claimed_bytes, &self.ring.header).map_err(NoChunk::Failed)?;
            if !self.is_whole(slot.position) {
                self.catch_up(next)?;
                continue;
            }
            let length = slot.header as usize;
            self.other_header.clear();
            self.other_header.reserve(length);
            // SAFETY: `check` has seen that the header has at most half a ring; a whole one is mapped from here on. And there is room for it.
            unsafe {
                let from = self.ring.at(slot.position).as_ptr();
                self.other_header.as_mut_ptr().copy_from_nonoverlapping(from, length);
                self.other_header.set_len(length);
            }
            if !self.is_whole(slot.position) {
                self.catch_up(next)?;
                continue;
            }
            if self.header != self.other_header {
                self.layout = None;
                std::mem::swap(&mut self.header, &mut self.other_header);
            }
            // The next one comes into the cache while this one is worked on.
            let size = slot.skip() + slot.data;
            if size <= PREFETCH && next + 1 < self.published {
                self.ring.prefetch(next + 1, slot.position + aligned(size), size as usize);
            }
            return Ok(Some(Found { slot, position: slot.position + slot.skip() }));
        }
        Ok(None)
    }

    /// Whether nothing from `position` on is overwritten: to be asked after what is there was read.
    #[inline]
    fn is_whole(&self, position: u64) -> bool {
        // For the Release fence in the output.
        fence(Ordering::Acquire);
        let claimed = self.ring.claimed_bytes().load(Ordering::Relaxed);
        claimed <= position.saturating_add(self.ring.header.bytes as u64)
    }

    /// Chunk `next` is overwritten: goes on with one of those that are still there, and will be for a while. At least one further.
    #[cold]
    fn catch_up(&mut self, next: u64) -> Result<(), NoChunk> {
        let Header { slots, bytes, .. } = self.ring.header;
        // Acquire, for the Release in the output.
        self.published = self.ring.published().load(Ordering::Acquire);
        if self.published < next {
            return Err(failed(format!("only {} chunks were published, before {next}", self.published)));
        }
        let claimed = self.ring.claimed_bytes().load(Ordering::Relaxed);
        // Not the oldest that is there: it would be gone before it is read. But always the last, which is there at least until the next is begun.
        let kept = (slots as u64 / 4 * 3).max(1);
        let (mut low, mut high) = (self.published.saturating_sub(kept), self.published.saturating_sub(1));
        while low < high {
            let middle = low + (high - low) / 2;
            let position = self.ring.load_slot(middle).position;
            if position.saturating_add(bytes as u64 / 4 * 3) < claimed {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        self.next = Some(low.max(next + 1));
        Ok(())
    }

    /// The layout of the record whose header was just found.
    fn parse(&mut self, found: &Found) -> Result<Arc<Layout>, NoChunk> {
        if let Some(layout) = &self.layout
            && layout.extent().end as u64 <= found.slot.data
            && layout.shape()[0] as u64 == found.slot.frames
        {
            return Ok(layout.clone());
        }
        let layout = parse_record(&self.header, found.slot.data, found.slot.frames);
        let layout = Arc::new(layout.map_err(NoChunk::Failed)?);
        self.layout = Some(layout.clone());
        Ok(layout)
    }

    /// The next chunk, waited for.
    fn find(&mut self, until: Until) -> Result<Found, NoChunk> {
        loop {
            if let Some(found) = self.try_find()? {
                return Ok(found);
            }
            if self.ended.is_some() {
                return Err(NoChunk::Ended);
            }
            self.ended = self.end();
            if self.ended.is_some() {
                // There may have been more before the end.
                continue;
            }
            let Some(left) = until.left(SLICE) else {
                if self.arm() {
                    continue;
                }
                return Err(if matches!(until, Until::Now) { NoChunk::Empty } else { NoChunk::TimedOut });
            };
            let mut patience = std::mem::replace(&mut self.patience, Patience::new());
            let came = patience.look(until, || self.has_news());
            self.patience = patience;
            if !came {
                self.sleep(left);
            }
        }
    }

    fn sleep(&self, most: Duration) {
        let want = self.page.want();
        // SeqCst, and the loads in `has_news`: see `Page::want`.
        let bits = want.fetch_or(SLEEPS, Ordering::SeqCst) | SLEEPS;
        if !self.has_news() {
            crate::sys::futex::wait(want, bits, most);
        }
        want.fetch_and(!SLEEPS, Ordering::Relaxed);
    }

    /// There is nothing: if the descriptor is in use, it is to be raised by the next chunk. True: there is something now.
    fn arm(&self) -> bool {
        if self.pollable.get().is_none() {
            return false;
        }
        self.event.lower();
        // SeqCst: as in `sleep`.
        self.page.want().fetch_or(POLLS, Ordering::SeqCst);
        let news = self.has_news();
        if news {
            self.event.raise();
        }
        news
    }

    /// Whether there will be no more.
    fn end(&mut self) -> Option<EndReason> {
        // Acquire, for the Release in the output: all chunks are seen.
        if self.ring.closed().load(Ordering::Acquire) != 0 {
            return Some(EndReason::Closed);
        }
        // A system call: not at each look of one that looks all the time. But who was woken by the descriptor must learn why.
        if self.pollable.get().is_none() {
            let now = Instant::now();
            if now.duration_since(self.looked) < SLICE {
                return None;
            }
            self.looked = now;
        }
        if !poll::is_readable(self.connection.as_fd()) {
            return None;
        }
        // The output sends nothing more: this is its end. It may have closed the ring just before.
        match self.ring.closed().load(Ordering::Acquire) {
            0 => Some(EndReason::Died),
            _ => Some(EndReason::Closed),
        }
    }

    /// Done with a chunk, which was received or not.
    #[inline]
    fn advance(&mut self, found: &Found, received: bool) {
        let Slot { number, before, frames, .. } = found.slot;
        let lost = before.wrapping_sub(self.before).wrapping_add(if received { 0 } else { frames });
        self.before = before.wrapping_add(frames);
        if lost != 0 {
            self.missed = self.missed.wrapping_add(lost);
            self.page.missed().store(self.missed, Ordering::Relaxed);
        }
        self.next = Some(number + 1);
        self.page.taken_frames().store(self.before, Ordering::Relaxed);
        if self.ring.header.lossless {
            // Release, for the Acquire in the output: what was read is read. SeqCst: see `Page::room`.
            self.page.taken().swap(number + 1, Ordering::SeqCst);
            self.page.wake_output();
        } else {
            // Nobody waits for it, and what is overwritten is noticed in another way. For the lag that is shown.
            self.page.taken().store(number + 1, Ordering::Release);
        }
    }
}

fn failed(what: String) -> NoChunk {
    NoChunk::Failed(Error::new(ErrorKind::Format, format!("shared ring: {what}")))
}

impl Subscriber for ShmSubscriber {
    /// The next chunk, copied out of the ring.
    fn receive(&mut self, wait: Wait) -> Result<Chunk, NoChunk> {
        let until = Until::new(wait);
        loop {
            let found = self.find(until)?;
            let size = found.slot.data as usize;
            let from = self.ring.at(found.position).as_ptr();
            // SAFETY: `Slot::check` has seen that the record has at most half a ring; a whole one is mapped from its data on.
            let data = unsafe { self.pool.copy(from, size) };
            if !self.is_whole(found.slot.position) {
                self.catch_up(found.slot.number)?;
                continue;
            }
            let layout = self.parse(&found)?;
            self.advance(&found, true);
            return Ok(Chunk { index: found.slot.index, layout: Layout::clone(&layout), data });
        }
    }

    /// Readable, level-triggered, from when a chunk comes or the output ends until `receive` or `view` finds nothing. After that a chunk raises it once
    /// more: so look until there is nothing, then poll.
    fn fd(&self) -> Result<BorrowedFd<'_>> {
        if let Some(fd) = self.pollable.get() {
            return Ok(fd.as_fd());
        }
        let both = [self.event.as_fd(), self.connection.as_fd()];
        let fd = any_of(&both).map_err(|e| Error::io("epoll", &e))?;
        // There may be something already: the first look finds out.
        self.event.raise();
        Ok(self.pollable.get_or_init(|| fd).as_fd())
    }
}

/// A chunk in shared memory, where it is. The output goes on when it is dropped.
#[derive(Debug)]
pub struct View<'a> {
    subscriber: &'a mut ShmSubscriber,
    found: Found,
    layout: Arc<Layout>,
    /// What `release` has found.
    was_intact: Option<bool>,
}

impl View<'_> {
    /// The index of the frame behind the last.
    pub fn index(&self) -> u64 {
        self.found.slot.index
    }

    /// Where the elements are.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The first byte of the memory that the layout is in: read-only, mapped as long as the subscriber, and written to by another process if it is not
    /// intact. For reading by address; not to be borrowed as a slice.
    pub fn as_ptr(&self) -> *const u8 {
        self.subscriber.ring.at(self.found.position).as_ptr()
    }

    /// The bytes there.
    pub fn size(&self) -> usize {
        self.found.slot.data as usize
    }

    /// Whether the output has not written to that memory meanwhile: what was read before this call was the chunk. Once false, it stays so. If the
    /// output's policy is to block, it is always true.
    pub fn is_intact(&self) -> bool {
        self.subscriber.is_whole(self.found.slot.position)
    }

    /// Done with it: as `is_intact`; if it is not, its frames are counted as dropped.
    pub fn release(mut self) -> bool {
        *self.was_intact.insert(self.is_intact())
    }
}

impl Drop for View<'_> {
    fn drop(&mut self) {
        let intact = self.was_intact.unwrap_or_else(|| self.is_intact());
        let found = self.found;
        self.subscriber.advance(&found, intact);
    }
}

/// Memory for chunks, used again when nobody has them any more: large blocks fresh from the system would cost a page fault for each page.
#[derive(Debug, Default)]
struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

impl Pool {
    /// Smaller ones come from the allocator as fast.
    const LEAST: usize = 32 << 10;
    /// Blocks that are kept.
    const KEPT: usize = 4;

    /// A copy of memory that another process may be writing to.
    ///
    /// # Safety
    /// `size` bytes from `from` on are mapped.
    unsafe fn copy(&self, from: *const u8, size: usize) -> Bytes {
        let mut data = match size {
            ..Self::LEAST => Vec::new(),
            // Not one that would hold much more than is needed for long.
            _ => self.0.lock().pop().filter(|data| data.capacity() / 2 <= size).unwrap_or_default(),
        };
        data.clear();
        data.reserve_exact(size);
        // SAFETY: the caller's promise, and there is room for as many.
        unsafe {
            data.as_mut_ptr().copy_from_nonoverlapping(from, size);
            data.set_len(size);
        }
        match size {
            ..Self::LEAST => Bytes::from(data),
            _ => Bytes::from_owner(Pooled { data, pool: self.0.clone() }),
        }
    }
}

struct Pooled {
    data: Vec<u8>,
    pool: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let mut pool = self.pool.lock();
        if pool.len() < Pool::KEPT {
            pool.push(std::mem::take(&mut self.data));
        }
    }
}

#[cfg(test)]
impl ShmSubscriber {
    /// Stores the same number everywhere in the page that the output looks at.
    pub(super) fn spoil_page(&mut self, value: u64) {
        for word in
            [self.page.taken(), self.page.taken_frames(), self.page.missed(), self.page.start_frames()]
        {
            word.store(value, Ordering::Relaxed);
        }
        self.page.want().store(value as u32, Ordering::Relaxed);
        self.page.room().store(value as u32, Ordering::Relaxed);
    }
}
