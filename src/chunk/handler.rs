//! Heaps into chunks: the consumer end of a chunk stream, run by the stream's worker.
//!
//! Where it must wait (no free chunk, data ring full) it keeps the placement that it was about to carry out in `pending`
//! and is offered the same packet again; the place callback is therefore called once per heap, however often the stream
//! has to wait.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use parking_lot::Mutex;

use super::guard::JumpGuard;
use super::item::Chunk;
use super::place::{ChunkStreamConfig, Place, PlaceRequest, Placement};
use super::stream::ChunkRing;
use super::window::{Step, Window};
use crate::log::Limited;
use crate::memory::CopyMethod;
use crate::recv::stats::{Batch, Stat};
use crate::recv::{Begin, Discard, EndReason, HeapHandler, Progress, Room, StreamConfig};
use crate::ring::{GetError, PutError};
use crate::spead::Header;

/// Where a heap in progress goes. Its chunk may leave the window meanwhile.
#[derive(Debug)]
pub struct PlacedHeap {
    chunk_id: i64,
    heap_index: usize,
    heap_offset: usize,
    /// Of the window that the chunk is in.
    generation: u32,
}

/// Chunks that could not be delivered, kept until the stream is freed.
pub(super) type Undelivered = Arc<Mutex<Vec<Box<Chunk>>>>;

/// Places heaps in chunks that come from one ring and go to another.
pub struct ChunkHandler {
    items: Box<[u64]>,
    place: Box<dyn Place>,
    presence_payload_size: usize,
    stream_id: u64,
    copy: CopyMethod,
    data: Arc<ChunkRing>,
    free: Arc<ChunkRing>,
    undelivered: Undelivered,

    window: Window,
    guard: JumpGuard,
    /// Chunks that have left the window and not yet gone to `data`.
    outbox: VecDeque<Box<Chunk>>,
    /// The place of the heap whose first packet could not be taken.
    pending: Option<Placement>,
    /// The values of `items` in the packet at hand.
    values: Box<[i64]>,
    /// What the place callback wrote beside its answer.
    extra: Box<[u8]>,
    waker: Waker,
    closed: bool,
    /// A chunk has been delivered, or a warning given that none ever will be.
    any_ready: bool,
    too_old_log: Limited,
    out_of_bounds_log: Limited,
    jump_log: Limited,
    restart_log: Limited,
}

impl ChunkHandler {
    pub(super) fn new(
        config: ChunkStreamConfig,
        stream: &StreamConfig,
        data: Arc<ChunkRing>,
        free: Arc<ChunkRing>,
        undelivered: Undelivered,
    ) -> Self {
        Self {
            values: vec![-1; config.items.len()].into(),
            items: config.items.into(),
            place: config.place,
            presence_payload_size: config.packet_presence_payload_size,
            stream_id: stream.stream_id,
            copy: stream.copy.method,
            data,
            free,
            undelivered,
            window: Window::new(config.max_chunks),
            guard: JumpGuard::new(config.max_jump, config.jump_confirm),
            outbox: VecDeque::new(),
            pending: None,
            extra: vec![0; config.max_heap_extra].into(),
            waker: Waker::noop().clone(),
            closed: false,
            any_ready: false,
            too_old_log: Limited::new("heaps too old for the window of chunks"),
            out_of_bounds_log: Limited::new("heaps placed outside their chunk"),
            jump_log: Limited::new("heaps too far ahead to be believed"),
            restart_log: Limited::new("windows of chunks started anew"),
        }
    }

    /// Asks the callback where the packet's heap goes.
    #[inline]
    fn ask(&mut self, packet: &Header<'_>, batch: &mut Batch) -> Placement {
        for (value, &id) in self.values.iter_mut().zip(&self.items) {
            // Immediate values have at most 56 bits.
            *value = packet.immediate(id).map_or(-1, |value| value as i64);
        }
        self.place.place(&mut PlaceRequest {
            packet: packet.bytes(),
            items: &self.values,
            stats: batch.values(),
            extra: &mut self.extra,
        })
    }

    /// Sends on what has left the window. False if the data ring is full.
    fn send_ready(&mut self, batch: &mut Batch) -> bool {
        self.copy.publish();
        while let Some(chunk) = self.outbox.pop_front() {
            match self.data.put_or_wake(chunk, &self.waker) {
                Ok(()) => {
                    self.any_ready = true;
                    batch[Stat::ChunksReady] += 1;
                }
                Err(PutError::Stopped(chunk)) => {
                    self.closed = true;
                    self.keep(chunk, batch);
                }
                Err(PutError::Full(chunk) | PutError::TimedOut(chunk)) => {
                    self.outbox.push_front(chunk);
                    return false;
                }
            }
        }
        true
    }

    /// Whether a heap of chunk `id` is to be believed where it is ahead of the window or behind it.
    #[inline]
    fn judge(&mut self, id: i64) -> Result<(), Discard> {
        let behind = self.window.behind(id);
        if behind > 0 {
            return self.judge_behind(id, behind);
        }
        let ahead = self.window.distance(id);
        if self.guard.allows(id, ahead) {
            return Ok(());
        }
        self.jump_log.note(|| format!("chunk {id}, {ahead} ahead"));
        Err(Discard::JumpRejected)
    }

    /// A heap behind the window is too old, unless it is the last of many that tell that the window is in the wrong place.
    #[cold]
    fn judge_behind(&mut self, id: i64, behind: u64) -> Result<(), Discard> {
        if self.guard.allows_back(id, behind) {
            self.restart_log.note(|| format!("at chunk {id}, {behind} before the window"));
            self.outbox.extend(self.window.restart());
            return Ok(());
        }
        self.too_old_log.note(|| format!("chunk {id}, {behind} before the window"));
        Err(Discard::TooOld)
    }

    /// With fewer chunks than the window holds, none ever leaves it: that looks like a hang, and deserves a word.
    fn warn_of_too_few_chunks(&mut self) {
        if !self.any_ready && !self.window.is_empty() {
            self.any_ready = true;
            log::warn!(
                "chunk stream {}: there is no free chunk, and none has been delivered yet; at least max_chunks ({}) and \
                 better twice as many must circulate",
                self.stream_id,
                self.window.max_chunks()
            );
        }
    }

    fn keep(&mut self, chunk: Box<Chunk>, batch: &mut Batch) {
        batch[Stat::ChunksUndelivered] += 1;
        batch[Stat::HeapsUndelivered] += chunk.complete;
        self.undelivered.lock().push(chunk);
    }

    /// Moves the window so that the chunk is inside. An error is how the heap begins instead.
    fn move_window(&mut self, id: i64, batch: &mut Batch) -> Result<(), Begin<PlacedHeap>> {
        loop {
            match self.window.step(id) {
                Step::Inside => return Ok(()),
                Step::Behind => return Err(Begin::Discarded(Discard::TooOld)),
                Step::Leave(chunk) => self.outbox.push_back(chunk),
                Step::Enter(id) => {
                    if !self.send_ready(batch) {
                        return Err(Begin::Blocked);
                    }
                    if self.closed {
                        // Nobody takes chunks any more: the stream ends instead of filling all that are free.
                        return Err(Begin::Discarded(Discard::AfterStop));
                    }
                    match self.free.get_or_wake(&self.waker) {
                        Ok(mut chunk) => {
                            chunk.id = id;
                            chunk.stream_id = self.stream_id;
                            chunk.complete = 0;
                            self.window.enter(chunk);
                        }
                        Err(GetError::Stopped) => {
                            self.closed = true;
                            return Err(Begin::Discarded(Discard::AfterStop));
                        }
                        Err(GetError::Empty | GetError::TimedOut) => {
                            self.warn_of_too_few_chunks();
                            return Err(Begin::Blocked);
                        }
                    }
                }
            }
        }
    }
}

/// What a placement is checked against beside the chunk.
struct Limits {
    presence_payload_size: usize,
    max_heap_extra: usize,
}

impl Limits {
    /// Whether a heap placed like this stays within its chunk, as far as that can be said beforehand. Without a heap length
    /// that is where it starts; each of its packets is checked as it comes.
    #[inline]
    fn allow(&self, chunk: &Chunk, placement: &Placement, heap_length: Option<u64>) -> bool {
        let within = |start: usize, len: u64, size: usize| {
            (start as u64).checked_add(len).is_some_and(|end| end <= size as u64)
        };
        let length = heap_length.unwrap_or(0);
        let flags = match self.presence_payload_size as u64 {
            0 => 1,
            size => length.div_ceil(size).max(1),
        };
        within(placement.heap_offset, length, chunk.data.len())
            && within(placement.heap_index, flags, chunk.present.len())
            && placement.extra_size <= self.max_heap_extra
            && within(placement.extra_offset, placement.extra_size as u64, chunk.extra.len())
    }
}

/// The flag in `present` that a packet sets, where packets have flags of their own.
#[inline]
fn packet_flag(presence_payload_size: usize, heap: &PlacedHeap, packet: &Header<'_>) -> Option<usize> {
    match presence_payload_size {
        0 => None,
        // It has brought nothing that could be present, unless its heap has nothing to bring.
        _ if packet.payload_length() == 0 && packet.heap_length() != Some(0) => None,
        // Where a number would overflow it saturates: that is outside any chunk.
        size => {
            let offset = usize::try_from(packet.payload_offset()).unwrap_or(usize::MAX);
            Some(heap.heap_index.saturating_add(offset / size))
        }
    }
}

impl HeapHandler for ChunkHandler {
    type Heap = PlacedHeap;

    fn attach(&mut self, waker: &Waker) {
        self.waker = waker.clone();
        // Also a stream that waits for something else, or for nothing, ends when nobody takes its chunks any more.
        self.data.watch_stop(waker);
    }

    #[inline]
    fn begin(&mut self, packet: &Header<'_>, batch: &mut Batch) -> Begin<PlacedHeap> {
        let placement = match self.pending.take() {
            Some(placement) => placement,
            None => {
                let placement = self.ask(packet, batch);
                if placement.chunk_id < 0 {
                    return Begin::Discarded(Discard::Rejected);
                }
                if let Err(discard) = self.judge(placement.chunk_id) {
                    return Begin::Discarded(discard);
                }
                placement
            }
        };
        let Placement { chunk_id, heap_index, heap_offset, extra_offset, extra_size } = placement;
        match self.move_window(chunk_id, batch) {
            Ok(()) => {}
            Err(begin) => {
                if let Begin::Blocked = begin {
                    self.pending = Some(placement);
                }
                return begin;
            }
        }
        let limits =
            Limits { presence_payload_size: self.presence_payload_size, max_heap_extra: self.extra.len() };
        let Some(chunk) = self.window.get(chunk_id) else { return Begin::Discarded(Discard::TooOld) };
        if !limits.allow(chunk, &placement, packet.heap_length()) {
            self.out_of_bounds_log.note(|| {
                format!(
                    "heap_index {heap_index}, heap_offset {heap_offset}, extra {extra_offset}+{extra_size}, heap length {}, \
                     in a chunk of {} bytes with {} flags and {} extra bytes",
                    packet.heap_length().map_or("unknown".into(), |length| length.to_string()),
                    chunk.data.len(),
                    chunk.present.len(),
                    chunk.extra.len()
                )
            });
            return Begin::Discarded(Discard::OutOfBounds);
        }
        let written = chunk.extra.write(extra_offset, &self.extra[..extra_size]);
        debug_assert!(written, "checked above");
        Begin::Placed(PlacedHeap { chunk_id, heap_index, heap_offset, generation: self.window.generation() })
    }

    #[inline]
    fn room(&mut self, heap: &mut PlacedHeap, packet: &Header<'_>) -> Result<Room, Discard> {
        let Some(chunk) = self.window.get_of(heap.generation, heap.chunk_id) else {
            return Err(Discard::TooOld);
        };
        // Nothing is written of a packet whose flag would lie outside.
        let flag = packet_flag(self.presence_payload_size, heap, packet);
        if flag.is_none_or(|flag| flag < chunk.present.len())
            && let Some(size) = chunk.data.len().checked_sub(heap.heap_offset)
            && packet.payload_offset() + packet.payload_length() <= size as u64
        {
            // SAFETY: heap_offset <= data.len(), as just seen.
            let base = unsafe { chunk.data.start().add(heap.heap_offset) };
            return Ok(Room { base, size });
        }
        // Only a heap that does not tell its length gets here: the others were checked when they began.
        self.out_of_bounds_log.note(|| {
            format!(
                "heap {} has payload at {}, placed at {}",
                packet.heap_cnt(),
                packet.payload_offset(),
                heap.heap_offset
            )
        });
        Err(Discard::OutOfBounds)
    }

    #[inline]
    fn wrote(&mut self, heap: &mut PlacedHeap, packet: &Header<'_>) -> Result<(), Discard> {
        if let Some(flag) = packet_flag(self.presence_payload_size, heap, packet) {
            let Some(chunk) = self.window.get_of(heap.generation, heap.chunk_id) else {
                return Err(Discard::TooOld);
            };
            let written = chunk.present.write(flag, &[1]);
            debug_assert!(written, "checked when room was made");
        }
        Ok(())
    }

    #[inline]
    fn complete(&mut self, heap: PlacedHeap, _: &Progress, _: &mut Batch) -> Result<(), Discard> {
        let Some(chunk) = self.window.get_of(heap.generation, heap.chunk_id) else {
            return Err(Discard::TooOld);
        };
        chunk.complete += 1;
        if self.presence_payload_size == 0 {
            let written = chunk.present.write(heap.heap_index, &[1]);
            debug_assert!(written, "checked when the heap began");
        }
        Ok(())
    }

    fn incomplete(&mut self, _: PlacedHeap, _: &Progress, _: &mut Batch) {
        // What came of it stays in the chunk; its flag stays 0.
    }

    fn is_closed(&self) -> bool {
        self.closed || self.data.is_stopped()
    }

    fn flush(&mut self, batch: &mut Batch) -> bool {
        self.outbox.extend(self.window.drain());
        self.send_ready(batch)
    }

    fn close(&mut self, reason: &EndReason, batch: &mut Batch) {
        while let Some(chunk) = self.outbox.pop_front() {
            self.keep(chunk, batch);
        }
        if let EndReason::User = reason {
            self.data.stop();
            self.free.stop();
        } else {
            // The stream is one of the data ring's producers by its construction.
            let _ = self.data.remove_producer();
        }
        self.data.unwatch_stop(&self.waker);
        self.too_old_log.summarise();
        self.out_of_bounds_log.summarise();
        self.jump_log.summarise();
        self.restart_log.summarise();
    }
}
