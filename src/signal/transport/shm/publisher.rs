//! The output's end of a ring in shared memory.
//!
//! One thread publishes; beside it runs that of [`Server`]. Invariant: nobody else can write to the ring (it is sealed), so what this end needs to know
//! of it is kept in memory of its own, and nothing that an input stores in its page is believed beyond what it asks for itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::Duration;

use super::layout::{Header, MOST_RECORD_HEADER, Slot, aligned, encode_record};
use super::memory::Ring;
use super::patience::{Patience, Until};
use super::server::{Door, Member, Server};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::{Overflow, Wait};
use crate::signal::array;
use crate::signal::chunk::Chunk;
use crate::signal::params::{Params, Protocol};
use crate::signal::transport::{InputInfo, InputList, Published, Publisher, check_chunk};
use crate::sys::futex;
use crate::sys::memfd::{MemFd, page_size};

/// Inputs of an output at the most.
const MOST_INPUTS: usize = 1024;
/// The output looks again after so long, if nobody wakes it.
const SLICE: Duration = Duration::from_millis(100);

/// What a ring in shared memory is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShmConfig {
    /// Chunks that the ring holds at the most, 1 to 2^20; rounded up to a power of two, at least 2.
    pub chunks: usize,
    /// Bytes for chunks, 1 to 2^40; rounded up to a power of two, at least a page. A chunk may have half of it, less some 100 bytes. A ring that fits
    /// into the processor's last-level cache, with what else is there, is about twice as fast as one that does not.
    pub bytes: usize,
    /// What happens when an input is too slow: the output waits; or drops its new chunk, for all inputs; or overwrites the oldest, as if nobody read.
    pub overflow: Overflow,
    /// Inputs at the most, 1 to 1024.
    pub inputs: usize,
}

impl Default for ShmConfig {
    fn default() -> Self {
        Self { chunks: 1024, bytes: 8 << 20, overflow: Overflow::Block, inputs: 64 }
    }
}

/// The output's end. When it is dropped, inputs receive what is in the ring and then end; when its process dies, the same.
#[derive(Debug)]
pub struct ShmPublisher {
    ring: Ring,
    server: Server,
    overflow: Overflow,
    /// A copy of the server's list, as of so many changes.
    members: Vec<Arc<Member>>,
    changes: usize,
    /// Chunks, bytes and frames so far; frames with those that were dropped for all.
    next: u64,
    position: u64,
    frames: u64,
    /// The oldest chunk of which nothing is overwritten.
    oldest: u64,
    /// Of each chunk in the ring, by its slot: where it begins, and how many frames came before it.
    begins: Vec<(u64, u64)>,
    /// No input needs the chunks before this one. Not the newest truth: `scan` finds it.
    free: u64,
    patience: Patience,
    progress: Arc<Progress>,
    /// Room for the header of a record.
    header: Box<[u8; MOST_RECORD_HEADER]>,
}

impl ShmPublisher {
    /// A new ring and its thread.
    ///
    /// # Errors
    /// `Invalid`: a number is out of its range. `NoMemory`: there is not twice as much memory as the ring takes. `Io`: the system's.
    pub fn new(config: &ShmConfig) -> Result<Self> {
        let ShmConfig { chunks, bytes, overflow, inputs } = *config;
        if !(1..=MOST_INPUTS).contains(&inputs) {
            return Err(Error::invalid(format!("inputs must be 1 to {MOST_INPUTS} (got {inputs})")));
        }
        let header = Header::new(chunks, bytes, overflow == Overflow::Block, page_size())?;
        let size = header.size();
        let failed = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::OutOfMemory | std::io::ErrorKind::StorageFull => {
                let reason = format!("no memory for a shared ring of {size} bytes: {e}");
                Error::new(ErrorKind::NoMemory, reason)
            }
            _ => Error::io(format!("making a shared ring of {size} bytes"), &e),
        };
        let memory = MemFd::new(c"aqueduct-ring", size).map_err(failed)?;
        let ring = Ring::new(&memory, header, true).map_err(failed)?;
        ring.write_header();
        if !memory.seal_writing() {
            log::debug!("shared memory: this kernel cannot keep inputs from mapping the ring writable");
        }
        let server = Server::start(memory, inputs)?;
        let progress = Arc::new(Progress {
            door: server.door.clone(),
            overflow,
            next: AtomicU64::new(0),
            frames: AtomicU64::new(0),
            oldest: AtomicU64::new(0),
            before_oldest: AtomicU64::new(0),
        });
        Ok(Self {
            ring,
            server,
            overflow,
            members: Vec::new(),
            changes: 0,
            next: 0,
            position: 0,
            frames: 0,
            oldest: 0,
            begins: vec![(0, 0); header.slots],
            free: 0,
            patience: Patience::new(),
            progress,
            header: Box::new([0; MOST_RECORD_HEADER]),
        })
    }

    /// The name by which [`ShmSubscriber::connect`](super::ShmSubscriber::connect) finds it.
    pub fn name(&self) -> &str {
        &self.server.name
    }

    /// The bytes that the ring holds, with records' headers.
    pub fn bytes(&self) -> usize {
        self.ring.header.bytes
    }

    /// Brings the copy of the list up to date, and tells new inputs which chunk is their first: the next one.
    #[inline]
    fn refresh(&mut self) {
        // Acquire, for the Release in `Door::change`.
        if self.server.door.changes.load(Ordering::Acquire) != self.changes {
            self.refresh_now();
        }
    }

    #[cold]
    fn refresh_now(&mut self) {
        let members = self.server.door.members.lock();
        self.members.clone_from(&members);
        // Relaxed: under the lock.
        self.changes = self.server.door.changes.load(Ordering::Relaxed);
        drop(members);
        for Member { page, .. } in self.members.iter().map(|member| &**member) {
            // Relaxed: only this thread stores it.
            if page.start().load(Ordering::Relaxed) == 0 {
                page.taken().store(self.next, Ordering::Relaxed);
                page.taken_frames().store(self.frames, Ordering::Relaxed);
                page.start_frames().store(self.frames, Ordering::Relaxed);
                // Release, for the Acquire in the input: it then sees the lines above.
                page.start().store(self.next + 1, Ordering::Release);
            }
        }
    }

    /// Finds which chunks no input needs; returns the input that is the slowest, and what it says of itself.
    fn scan(&mut self) -> Option<(Arc<Member>, u64)> {
        let mut slowest = None;
        self.free = self.next;
        for member in &self.members {
            // Acquire, for the Release in the input: its reads of what comes before are over. Whatever else it may store there: no chunk is behind the
            // last, and none before those that it was given is waited for.
            let says = member.page.taken().load(Ordering::Acquire);
            if says.max(self.oldest) < self.free {
                self.free = says.max(self.oldest);
                slowest = Some((member, says));
            }
        }
        slowest.map(|(member, says)| (member.clone(), says))
    }

    /// Whether a record that ends at `end` can be written without touching chunk `free` or a later one.
    fn fits(&self, end: u64) -> bool {
        self.free == self.next
            || self.next + 1 - self.free <= self.ring.header.slots as u64
                && end - self.begins[self.slot_of(self.free)].0 <= self.ring.header.bytes as u64
    }

    fn slot_of(&self, number: u64) -> usize {
        number as usize & (self.ring.header.slots - 1)
    }

    /// Waits until a record that ends at `end` fits. False: the time is over.
    #[cold]
    fn wait_for_room(&mut self, end: u64, until: Until) -> bool {
        loop {
            let Some((slowest, says)) = self.scan() else { return true };
            if self.fits(end) {
                return true;
            }
            let Some(left) = until.left(SLICE) else { return false };
            let taken = slowest.page.taken();
            // Relaxed: a hint; `scan` looks again.
            if !self.patience.look(until, || taken.load(Ordering::Relaxed) != says) {
                let room = slowest.page.room();
                // SeqCst, and the load below: see `Page::room`.
                room.swap(1, Ordering::SeqCst);
                let unchanged = self.server.door.changes.load(Ordering::Acquire) == self.changes;
                if unchanged && taken.load(Ordering::SeqCst) == says {
                    futex::wait(room, 1, left);
                }
                room.store(0, Ordering::Relaxed);
            }
            // An input that died is not waited for.
            self.refresh();
        }
    }

    /// Writes a chunk that may be written, whose record begins with the first `header` bytes of `self.header`, and wakes those who wait for it.
    fn write(&mut self, chunk: &Chunk, header: usize, dense: bool, record: u64) {
        let (number, position) = (self.next, self.position);
        let end = position + record;
        let frames = chunk.frames() as u64;
        let size = chunk.layout.size();
        // Relaxed, and a Release fence for the Acquire fence in inputs: who sees anything that is written below sees these.
        self.ring.claimed_chunks().store(number + 1, Ordering::Relaxed);
        self.ring.claimed_bytes().store(end, Ordering::Relaxed);
        fence(Ordering::Release);
        let at = self.ring.at(position);
        let source = chunk.data.as_ptr();
        // SAFETY: `bytes` bytes from `at` on are mapped, and the record has at most half of that; `check_chunk` has seen that the layout lies within
        // the chunk's data. Nobody borrows memory of the ring.
        unsafe {
            at.as_ptr().copy_from_nonoverlapping(self.header.as_ptr(), header);
            let to = at.add(aligned(header as u64) as usize).as_ptr();
            if dense {
                let from = source.add(chunk.layout.extent().start);
                to.copy_from_nonoverlapping(from, size);
            } else {
                array::copy(source, &chunk.layout, to, &chunk.layout.packed());
            }
        }
        let (header, data, before) = (header as u64, size as u64, self.frames);
        self.ring.store_slot(&Slot { number, index: chunk.index, position, header, data, frames, before });
        let slot = self.slot_of(number);
        self.begins[slot] = (position, before);
        self.next = number + 1;
        self.position = end;
        self.frames += frames;
        self.show();
        // Release, for the Acquire in inputs: the chunk is there. SeqCst, see `Page::want`; a swap as that is less than a store and a fence.
        self.ring.published().swap(self.next, Ordering::SeqCst);
        for member in &self.members {
            member.wake();
        }
    }

    /// Tells other threads how far it is.
    fn show(&self) {
        let before_oldest = match self.oldest {
            oldest if oldest == self.next => self.frames,
            oldest => self.begins[self.slot_of(oldest)].1,
        };
        // Relaxed: for people.
        let progress = &self.progress;
        progress.next.store(self.next, Ordering::Relaxed);
        progress.frames.store(self.frames, Ordering::Relaxed);
        progress.oldest.store(self.oldest, Ordering::Relaxed);
        progress.before_oldest.store(before_oldest, Ordering::Relaxed);
    }

    /// The inputs.
    pub fn inputs(&self) -> Vec<InputInfo> {
        self.progress.inputs()
    }

    /// Moves `oldest` to what will be left once a record that ends at `end` is there.
    fn forget(&mut self, end: u64) {
        let Header { slots, bytes, .. } = self.ring.header;
        while self.oldest < self.next
            && (self.next + 1 - self.oldest > slots as u64
                || end - self.begins[self.slot_of(self.oldest)].0 > bytes as u64)
        {
            self.oldest += 1;
        }
    }
}

impl Publisher for ShmPublisher {
    /// Copies a chunk into the ring. With the policy to block it is written once, for all inputs, when the slowest has space for it; if that is not so
    /// within the time, it is not written at all, and may be published again. With `DropNewest` it is dropped for all if the slowest has no space. With
    /// `DropOldest` it is always written; who loses something by that finds out itself, and `inputs` tells.
    fn publish(&mut self, chunk: &Chunk, wait: Wait) -> Result<Published> {
        check_chunk(chunk)?;
        let layout = &chunk.layout;
        let dense = layout.is_c_order() || layout.is_dense();
        let buffer = &mut self.header;
        let length = match dense {
            true => encode_record(
                layout,
                if layout.is_empty() { layout.offset() } else { layout.extent().start },
                buffer,
            ),
            false => encode_record(&layout.packed(), 0, buffer),
        };
        let size = layout.size() as u64;
        let record = aligned(aligned(length as u64) + size);
        let most = self.ring.header.most_record();
        if size > most || record > most {
            let reason = format!(
                "a chunk must have at most {most} bytes, half of the shared ring (got {record}, with its header)"
            );
            return Err(Error::invalid(reason));
        }
        self.refresh();
        let end = self.position + record;
        let inputs = self.members.len() as u64;
        match self.overflow {
            Overflow::Block => {
                if !self.fits(end) && !self.wait_for_room(end, Until::new(wait)) {
                    return Ok(Published { inputs: 0, dropped_frames: 0, timed_out: true });
                }
            }
            Overflow::DropNewest if !self.fits(end) => {
                self.scan();
                if !self.fits(end) {
                    let frames = chunk.frames() as u64;
                    self.frames += frames;
                    self.show();
                    for member in &self.members {
                        member.dropped.fetch_add(frames, Ordering::Relaxed);
                    }
                    return Ok(Published { inputs: 0, dropped_frames: inputs * frames, timed_out: false });
                }
            }
            Overflow::DropNewest | Overflow::DropOldest => {}
        }
        self.forget(end);
        self.write(chunk, length, dense, record);
        Ok(Published { inputs: self.members.len() as u64, dropped_frames: 0, timed_out: false })
    }

    fn copies(&self) -> bool {
        true
    }

    fn describe(&self, params: &mut Params) {
        params.protocol = Protocol::Shm;
        params.interface.clone_from(&self.server.name);
    }

    fn input_count(&mut self) -> Result<u64> {
        Ok(self.server.door.members.lock().len() as u64)
    }

    fn input_list(&self) -> Option<Arc<dyn InputList>> {
        Some(self.progress.clone())
    }
}

/// How far the output is, as other threads see it while it publishes. Stored by the publisher, Relaxed: for people.
#[derive(Debug)]
struct Progress {
    door: Arc<Door>,
    overflow: Overflow,
    next: AtomicU64,
    frames: AtomicU64,
    oldest: AtomicU64,
    /// Frames that came before the oldest chunk in the ring.
    before_oldest: AtomicU64,
}

impl InputList for Progress {
    /// What inputs say of themselves in memory that they share: of an input with a fault the numbers may be wrong, but only its own.
    fn inputs(&self) -> Vec<InputInfo> {
        let members = self.door.members.lock();
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let (next, frames) = (load(&self.next), load(&self.frames));
        let oldest = load(&self.oldest).min(next);
        // Frames from the oldest chunk in the ring on.
        let held = frames.saturating_sub(load(&self.before_oldest));
        let info = |member: &Arc<Member>| {
            let (page, dropped) = (&member.page, load(&member.dropped));
            if load(page.start()) == 0 {
                return InputInfo { id: member.id, lag_chunks: 0, lag_frames: 0, dropped_frames: dropped };
            }
            let behind = frames.saturating_sub(load(page.taken_frames()));
            let missed = load(page.missed());
            let taken = load(page.taken()).clamp(oldest, next);
            let (lag_frames, dropped_frames) = match self.overflow {
                // Of what was dropped for all, the input has passed `missed` and not yet the rest.
                Overflow::DropNewest => (behind.saturating_sub(dropped.saturating_sub(missed)), dropped),
                _ => (behind.min(held), missed.saturating_add(behind.saturating_sub(held))),
            };
            InputInfo { id: member.id, lag_chunks: next - taken, lag_frames, dropped_frames }
        };
        members.iter().map(info).collect()
    }
}

impl Drop for ShmPublisher {
    fn drop(&mut self) {
        // Release, for the Acquire in inputs: they see all chunks before they end. SeqCst: as in `write`.
        self.ring.closed().swap(1, Ordering::SeqCst);
        for member in self.server.door.members.lock().iter() {
            member.wake_for_good();
        }
    }
}

#[cfg(test)]
impl ShmPublisher {
    /// The ring, for tests that spoil it.
    pub(super) fn ring(&self) -> &Ring {
        &self.ring
    }
}
