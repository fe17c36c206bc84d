//! Where finished heaps go. All of it runs on the stream's worker, but the other end of the ring.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use super::Heap;
use crate::recv::handler::Discard;
use crate::recv::stats::{Batch, Stat};
use crate::ring::{Overflow, PutError, Ring, Wait};

/// Takes finished heaps.
pub(super) trait Consumer: Send {
    /// The waker to leave wherever it has to wait.
    fn attach(&mut self, waker: &Waker);
    /// Takes a heap, or keeps it for later, or says why it is dropped.
    fn take(&mut self, heap: Box<Heap>, batch: &mut Batch) -> Result<(), Discard>;
    /// Whether it can take more. If not it has left the waker.
    fn is_ready(&mut self, batch: &mut Batch) -> bool;
    /// Hands on what it kept. False if it must keep some of it; then it has left the waker.
    fn hand_on(&mut self, batch: &mut Batch) -> bool;
    /// The last call: nothing more will come.
    fn close(&mut self, batch: &mut Batch);
}

/// Heaps kept at the most for the end of the batch, if as many fit into the ring.
const MOST_KEPT: usize = 32;

/// With more bytes of payload they go onto the ring at once. The sooner they come back, the likelier are they still in the
/// processor's cache; that is worth more for large heaps.
const MOST_BYTES_KEPT: usize = 32 << 10;

/// The ring of a stream. The consumer on its other end never stops it; the stream does, at its end.
///
/// With [`Overflow::Block`], the heaps of a batch of packets go onto the ring together: a consumer that sleeps is then woken once for
/// all of them, which costs the worker more than to receive a small heap.
pub(super) struct RingConsumer {
    ring: Arc<Ring<Box<Heap>>>,
    overflow: Overflow,
    /// Heaps to go onto the ring, with [`Overflow::Block`]: at most `limit`, and two of the last packet.
    kept: VecDeque<Box<Heap>>,
    /// Of their payloads.
    bytes: usize,
    limit: usize,
    /// There was no space for them: no packet is taken before they are on the ring.
    full: bool,
    waker: Waker,
}

impl RingConsumer {
    pub(super) fn new(ring: Arc<Ring<Box<Heap>>>, overflow: Overflow) -> Self {
        let limit = ring.capacity().min(MOST_KEPT);
        let waker = Waker::noop().clone();
        Self { ring, overflow, kept: VecDeque::new(), bytes: 0, limit, full: false, waker }
    }

    /// Puts a heap onto the ring, or drops one.
    fn put_or_drop(&self, mut heap: Box<Heap>, batch: &mut Batch) -> Result<(), Discard> {
        loop {
            heap = match self.ring.put(heap, Wait::No) {
                Ok(()) => {
                    batch[Stat::HeapsReady] += 1;
                    return Ok(());
                }
                Err(PutError::Stopped(_)) => return Err(Discard::AfterStop),
                Err(PutError::Full(heap) | PutError::TimedOut(heap)) => heap,
            };
            if let Overflow::DropNewest = self.overflow {
                Heap::recycle(heap);
                return Err(Discard::OverflowNewest);
            }
            // Unless the consumer has just made space itself.
            if let Ok(oldest) = self.ring.get(Wait::No) {
                Heap::recycle(oldest);
                batch[Stat::OverflowOldestHeaps] += 1;
            }
        }
    }
}

impl Consumer for RingConsumer {
    fn attach(&mut self, waker: &Waker) {
        self.waker = waker.clone();
    }

    #[inline]
    fn take(&mut self, heap: Box<Heap>, batch: &mut Batch) -> Result<(), Discard> {
        if let Overflow::Block = self.overflow {
            self.bytes += heap.payload.len();
            self.kept.push_back(heap);
            return Ok(());
        }
        self.put_or_drop(heap, batch)
    }

    #[inline]
    fn is_ready(&mut self, batch: &mut Batch) -> bool {
        let may_keep = self.kept.len() < self.limit && self.bytes < MOST_BYTES_KEPT && !self.full;
        may_keep || self.hand_on(batch)
    }

    fn hand_on(&mut self, batch: &mut Batch) -> bool {
        (self.full, self.bytes) = (false, 0);
        while let Some(heap) = self.kept.pop_front() {
            match self.ring.put_or_wake(heap, &self.waker) {
                Ok(()) => batch[Stat::HeapsReady] += 1,
                Err(error) => {
                    self.kept.push_front(error.into_inner());
                    self.full = true;
                    return false;
                }
            }
        }
        true
    }

    fn close(&mut self, batch: &mut Batch) {
        // One more try without waiting; what is in the ring stays there for the consumer.
        self.hand_on(batch);
        batch[Stat::HeapsUndelivered] += self.kept.len() as u64;
        self.kept.clear();
        self.ring.stop();
    }
}

/// A user's function for heaps, called on the stream's worker.
pub trait HeapCallback: Send {
    /// Takes a heap. `stats` are the batch's statistics, to add to: built-in ones first, then the user's.
    fn heap(&mut self, heap: Box<Heap>, stats: &mut [u64]);
}

impl<F: FnMut(Box<Heap>, &mut [u64]) + Send> HeapCallback for F {
    fn heap(&mut self, heap: Box<Heap>, stats: &mut [u64]) {
        self(heap, stats);
    }
}

pub(super) struct CallbackConsumer<C>(pub(super) C);

impl<C: HeapCallback> Consumer for CallbackConsumer<C> {
    fn attach(&mut self, _: &Waker) {}

    fn take(&mut self, mut heap: Box<Heap>, batch: &mut Batch) -> Result<(), Discard> {
        heap.freeze();
        batch[Stat::HeapsReady] += 1;
        self.0.heap(heap, batch.values());
        Ok(())
    }

    fn is_ready(&mut self, _: &mut Batch) -> bool {
        true
    }

    fn hand_on(&mut self, _: &mut Batch) -> bool {
        true
    }

    fn close(&mut self, _: &mut Batch) {}
}
