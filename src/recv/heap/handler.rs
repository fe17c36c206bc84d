//! The end of a stream of heaps: gives each heap its memory, and finished ones to the consumer.

use std::sync::Arc;
use std::task::Waker;

use super::Heap;
use super::consumer::Consumer;
use super::growing::{Budget, GrowingHeap, allocate};
use super::spares::Spares;
use super::stream::RingConfig;
use crate::error::Result;
use crate::log::Limited;
use crate::memory::{Allocator, CopyMethod, HeapAllocator};
use crate::recv::config::StreamConfig;
use crate::recv::copy::Room;
use crate::recv::end::EndReason;
use crate::recv::handler::{Begin, Discard, HeapHandler};
use crate::recv::heaps::Progress;
use crate::recv::sink::Arrival;
use crate::recv::stats::Batch;
use crate::spead::Header;

/// Spare heaps kept at the most.
const MAX_SPARES: usize = 4096;

pub(super) struct HeapAssembly<C> {
    consumer: C,
    allocator: Arc<dyn Allocator>,
    spares: Spares,
    budget: Budget,
    copy: CopyMethod,
    bug_compat: u8,
    max_heap_size: u64,
    max_items: usize,
    contiguous_only: bool,
    keep_ranges: bool,
    /// When the packet at hand arrived.
    arrival: Option<Arrival>,
    incomplete_log: Limited,
}

impl<C: Consumer> HeapAssembly<C> {
    pub(super) fn new(config: &StreamConfig, ring: &RingConfig, consumer: C) -> Result<Self> {
        // As many as can be on their way at the same time: in progress, in the ring, and some with the consumer.
        let spares = (config.max_heaps * config.substreams + 2 * ring.heaps).min(MAX_SPARES);
        let keep_payloads = config.allocator.is_none();
        Ok(Self {
            consumer,
            allocator: config.allocator.clone().unwrap_or_else(|| Arc::new(HeapAllocator)),
            spares: Spares::new(spares, keep_payloads),
            budget: Budget::new(config.heap_memory_limit()),
            copy: config.copy.method,
            bug_compat: config.bug_compat,
            max_heap_size: config.max_heap_size,
            max_items: config.max_items,
            contiguous_only: ring.contiguous_only,
            keep_ranges: ring.incomplete_keep_payload_ranges,
            arrival: None,
            incomplete_log: Limited::new("incomplete heaps dropped"),
        })
    }

    /// The heap as its consumer sees it.
    #[inline]
    fn finish(&self, growing: GrowingHeap, progress: &Progress) -> Box<Heap> {
        let mut heap = growing.heap;
        heap.length = progress.length();
        heap.received = progress.received();
        heap.contiguous = progress.is_contiguous();
        // Where nothing of an incomplete heap could be, there is no memory either.
        let size = progress.length().unwrap_or(0).max(progress.extent());
        heap.size = usize::try_from(size).map_or(heap.payload.len(), |size| size.min(heap.payload.len()));
        if self.keep_ranges && !heap.contiguous {
            heap.ranges = progress.ranges();
        }
        self.copy.publish();
        heap
    }
}

impl<C: Consumer> HeapHandler for HeapAssembly<C> {
    type Heap = GrowingHeap;

    fn attach(&mut self, waker: &Waker) {
        self.consumer.attach(waker);
    }

    #[inline]
    fn is_ready(&mut self, batch: &mut Batch) -> bool {
        self.consumer.is_ready(batch)
    }

    fn arrival(&mut self, arrival: Option<Arrival>) {
        self.arrival = arrival;
    }

    #[inline]
    fn begin(&mut self, packet: &Header<'_>, _: &mut Batch) -> Begin<GrowingHeap> {
        let size = packet.heap_length().unwrap_or(packet.payload_offset() + packet.payload_length());
        // The stream has compared it with max_heap_size; that may be more than an address space has.
        let Ok(bytes) = usize::try_from(size) else { return Begin::Discarded(Discard::NoMemory) };
        let share = match packet.is_whole_heap() {
            true => None,
            false => match self.budget.take(size) {
                Some(share) => Some(share),
                None => return Begin::Discarded(Discard::NoMemory),
            },
        };
        let mut heap = self.spares.take(bytes);
        if heap.payload.len() < bytes {
            match allocate(&*self.allocator, bytes, packet) {
                Ok(payload) => heap.payload = payload,
                Err(discard) => return Begin::Discarded(discard),
            }
        }
        heap.cnt = packet.heap_cnt();
        heap.flavour = packet.flavour();
        heap.bug_compat = self.bug_compat;
        heap.first_arrival = self.arrival;
        Begin::Placed(GrowingHeap::new(heap, share))
    }

    #[inline]
    fn room(&mut self, heap: &mut GrowingHeap, packet: &Header<'_>) -> Result<Room, Discard> {
        let end = packet.payload_offset() + packet.payload_length();
        let size = heap.heap.payload.len() as u64;
        if end > size {
            // A heap that did not tell its length: grows by doubling, so that all copies together cost less than two.
            let told = packet.heap_length().unwrap_or(0);
            let wanted = (2 * size).min(self.max_heap_size).max(end).max(told);
            let wanted = usize::try_from(wanted).map_err(|_| Discard::TooLarge)?;
            heap.grow(wanted, &*self.allocator, &self.budget, packet)?;
        }
        let payload = &heap.heap.payload;
        Ok(Room { base: payload.start(), size: payload.len() })
    }

    #[inline]
    fn wrote(&mut self, heap: &mut GrowingHeap, packet: &Header<'_>) -> Result<(), Discard> {
        heap.heap.last_arrival = self.arrival;
        heap.collect(packet, self.max_items)
    }

    #[inline]
    fn complete(&mut self, heap: GrowingHeap, progress: &Progress, batch: &mut Batch) -> Result<(), Discard> {
        let heap = self.finish(heap, progress);
        self.consumer.take(heap, batch)
    }

    fn incomplete(&mut self, heap: GrowingHeap, progress: &Progress, batch: &mut Batch) {
        if self.contiguous_only && !progress.is_contiguous() {
            self.incomplete_log.note(|| {
                let length = progress.length().map_or("unknown".into(), |length| length.to_string());
                format!("heap {}, {} of {length} bytes received", heap.heap.cnt, progress.received())
            });
            return;
        }
        let heap = self.finish(heap, progress);
        // It stands in the ledger already, as an incomplete heap.
        let _ = self.consumer.take(heap, batch);
    }

    fn is_closed(&self) -> bool {
        false
    }

    fn end_batch(&mut self, batch: &mut Batch) {
        // Whether all of it could be is_ready() tells before the next packet.
        self.consumer.hand_on(batch);
    }

    fn flush(&mut self, batch: &mut Batch) -> bool {
        self.consumer.hand_on(batch)
    }

    fn close(&mut self, _: &EndReason, batch: &mut Batch) {
        self.consumer.close(batch);
        self.incomplete_log.summarise();
    }
}
