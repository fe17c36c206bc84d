//! A queue that brings packets from threads of this process to a stream, as if by a network.
//!
//! Any thread may add packets; they are copied back to back into blocks, which the one reader takes from the queue as a whole.
//! Invariant, under the lock: `packets` is the number of packets in `blocks` and in the block that the reader has in hand; the
//! reader sleeps only after it has set `waiting`, and whoever adds a packet then raises the descriptor.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::{Leftover, Polled, Reader};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::prefetch;
use crate::recv::sink::{Flow, PacketSink};
use crate::ring::{PutError, Wait};
use crate::sys::eventfd::EventFd;

/// Bytes of a block; a longer packet has a block of its own.
const BLOCK: usize = 256 << 10;

/// Empty blocks kept for later.
const SPARES: usize = 4;

/// Packets offered per poll, before other tasks get their turn.
const BATCH: usize = 256;

/// The longest packet.
const LONGEST: usize = 1 << 30;

/// Packets, back to back.
#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    /// Where each packet ends.
    ends: Vec<usize>,
}

#[derive(Debug, Default)]
struct State {
    blocks: VecDeque<Block>,
    spares: Vec<Block>,
    packets: usize,
    stopped: bool,
    /// The reader waits for its descriptor.
    waiting: bool,
    has_reader: bool,
}

/// The queue. Senders and the reader share it.
#[derive(Debug)]
pub struct InprocQueue {
    state: Mutex<State>,
    /// Notified when packets were taken, and at the stop.
    space: Condvar,
    /// Packets that it holds at the most.
    capacity: usize,
    /// Readable when the reader should look.
    ready: EventFd,
}

impl InprocQueue {
    /// An empty queue for at most `capacity` packets; 0 stands for any number.
    pub fn new(capacity: usize) -> Result<Self> {
        let ready = EventFd::new().map_err(|e| Error::io("eventfd", &e))?;
        let capacity = if capacity == 0 { usize::MAX } else { capacity };
        Ok(Self { state: Mutex::default(), space: Condvar::new(), capacity, ready })
    }

    /// Adds a copy of a packet, waiting for space as long as `wait` allows.
    ///
    /// # Errors
    /// As for [`Ring::put`](crate::ring::Ring::put).
    pub fn add_packet(&self, packet: &[u8], wait: Wait) -> Result<(), PutError<()>> {
        let mut state = self.state.lock();
        let mut deadline = None;
        while state.packets >= self.capacity && !state.stopped {
            match wait {
                Wait::No => return Err(PutError::Full(())),
                Wait::Forever => self.space.wait(&mut state),
                Wait::For(duration) => {
                    let end: Option<Instant> =
                        *deadline.get_or_insert_with(|| Instant::now().checked_add(duration));
                    match end {
                        None => self.space.wait(&mut state),
                        Some(end) => {
                            let late = self.space.wait_until(&mut state, end).timed_out();
                            if late && state.packets >= self.capacity && !state.stopped {
                                return Err(PutError::TimedOut(()));
                            }
                        }
                    }
                }
            }
        }
        if state.stopped {
            return Err(PutError::Stopped(()));
        }
        state.push(packet);
        let wake = std::mem::take(&mut state.waiting);
        drop(state);
        if wake {
            self.ready.raise();
        }
        Ok(())
    }

    /// Ends the queue: no packet is added any more; those that are in it are still read. True if it was this call that did it.
    pub fn stop(&self) -> bool {
        let first = !std::mem::replace(&mut self.state.lock().stopped, true);
        self.space.notify_all();
        self.ready.raise();
        first
    }

    /// Packets added and not yet taken by the stream.
    pub fn size(&self) -> usize {
        self.state.lock().packets
    }

    /// Whether a packet may be so long.
    pub fn check_size(size: usize) -> Result<()> {
        if size > LONGEST {
            return Err(Error::invalid(format!("size must be at most {LONGEST} (got {size})")));
        }
        Ok(())
    }
}

impl State {
    fn push(&mut self, packet: &[u8]) {
        let fits = |block: &Block| block.bytes.capacity() - block.bytes.len() >= packet.len();
        if !self.blocks.back().is_some_and(fits) {
            let mut block = self.spares.pop().unwrap_or_default();
            block.bytes.reserve_exact(packet.len().max(BLOCK));
            self.blocks.push_back(block);
        }
        if let Some(block) = self.blocks.back_mut() {
            block.bytes.extend_from_slice(packet);
            block.ends.push(block.bytes.len());
            self.packets += 1;
        }
    }
}

/// Reads packets from a queue. It ends when the queue is stopped and empty; when it goes before, it stops the queue.
#[derive(Debug)]
pub struct InprocReader {
    queue: Arc<InprocQueue>,
    block: Block,
    /// Packets of the block that were taken, and where the next one starts.
    next: usize,
    start: usize,
    /// Of these, those that the queue still counts.
    uncounted: usize,
}

impl InprocReader {
    /// The reader of a queue; there can be one.
    pub fn new(queue: Arc<InprocQueue>) -> Result<Self> {
        if std::mem::replace(&mut queue.state.lock().has_reader, true) {
            return Err(Error::new(ErrorKind::State, "queue: it has a reader already"));
        }
        Ok(Self { queue, block: Block::default(), next: 0, start: 0, uncounted: 0 })
    }

    /// The next block, in exchange for the one that was read.
    fn exchange(&mut self) -> Option<Polled> {
        let mut state = self.queue.state.lock();
        let mut read = std::mem::take(&mut self.block);
        if state.spares.len() < SPARES && read.bytes.capacity() == BLOCK {
            read.bytes.clear();
            read.ends.clear();
            state.spares.push(read);
        }
        (self.next, self.start) = (0, 0);
        match state.blocks.pop_front() {
            Some(block) => {
                self.block = block;
                None
            }
            None if state.stopped => Some(Polled::Ended),
            None => {
                // Under the lock: a packet added later raises it again.
                self.queue.ready.lower();
                state.waiting = true;
                Some(Polled::Idle)
            }
        }
    }

    /// Tells the queue, and those who wait for space, what was taken.
    fn count(&mut self) {
        let taken = std::mem::take(&mut self.uncounted);
        if taken > 0 {
            self.queue.state.lock().packets -= taken;
            if self.queue.capacity < usize::MAX {
                self.queue.space.notify_all();
            }
        }
    }

    fn offer(&mut self, sink: &mut dyn PacketSink) -> Polled {
        for _ in 0..BATCH {
            while self.next == self.block.ends.len() {
                if let Some(polled) = self.exchange() {
                    return polled;
                }
            }
            let end = self.block.ends.get(self.next).copied().unwrap_or(self.start);
            if let Some(&after) = self.block.ends.get(self.next + 3) {
                prefetch(self.block.bytes.get(end..after).unwrap_or_default());
            }
            let packet = self.block.bytes.get(self.start..end).unwrap_or_default();
            match sink.packet(packet) {
                Flow::Taken => {
                    self.next += 1;
                    self.start = end;
                    self.uncounted += 1;
                }
                Flow::Blocked | Flow::Ended => return Polled::Blocked,
            }
        }
        Polled::More
    }
}

impl Reader for InprocReader {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.queue.ready.as_fd())
    }

    fn poll(&mut self, sink: &mut dyn PacketSink) -> Polled {
        let polled = self.offer(sink);
        self.count();
        polled
    }

    fn leftover(&mut self) -> Leftover {
        // Packets in the queue have not been received.
        Leftover::default()
    }
}

impl Drop for InprocReader {
    fn drop(&mut self) {
        // Nobody will take anything any more.
        self.queue.stop();
    }
}
