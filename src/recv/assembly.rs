//! From packets to heaps: the rules of reassembly, and the count of every packet.
//!
//! An [`Assembler`] belongs to its stream's worker. It knows nothing of where packets come from ([`Reader`]s call it
//! through [`PacketSink`]) or where payloads go (a [`HeapHandler`] places them).
//!
//! Invariant, between two calls: every packet taken is in exactly one statistic, or in a heap of `table` and therefore
//! in `pending`.
//!
//! [`Reader`]: super::reader::Reader

use std::collections::VecDeque;
use std::task::Waker;

use super::config::StreamConfig;
use super::end::EndReason;
use super::heaps::{Found, Partial, Table};
use super::stats::{Batch, Stat};
use crate::log::Limited;
use crate::spead::{Malformed, Packet};

/// Heaps without a beginning that are remembered at the most: they are searched one by one, for packets that may be
/// anyone's.
const LOST_STARTS_LIMIT: usize = 1024;

/// What became of a packet that a reader offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// It has been counted, and used if it was of use.
    Taken,
    /// The stream must wait for its consumer: offer the same packet again later. Nothing has been counted.
    Blocked,
    /// The stream has ended before this packet, which has not been counted.
    Ended,
}

/// Where readers put packets.
pub trait PacketSink {
    /// A datagram, which should be one packet.
    fn packet(&mut self, data: &[u8]) -> Flow;
    /// A packet that the reader has parsed already.
    fn parsed(&mut self, packet: &Packet<'_>) -> Flow;
    /// Counts a malformed packet; `data` is what there is of it.
    fn malformed(&mut self, kind: Malformed, data: &[u8]);
    /// Counts a packet that the reader itself has to discard.
    fn discard(&mut self, reason: Stat);
    /// Counts datagrams that the kernel dropped.
    fn kernel_drops(&mut self, count: u64);
    /// True when the stream takes no more packets.
    fn ended(&self) -> bool;
}

/// Why a whole heap is discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discard {
    /// It belongs to a chunk that has left the window.
    TooOld,
    /// The place callback refused it.
    Rejected,
    /// The place callback put it outside its chunk.
    OutOfBounds,
    /// It is too far ahead to be believed.
    JumpRejected,
    /// The rings have been stopped.
    AfterStop,
}

impl Discard {
    /// The count of such heaps.
    pub const fn heaps(self) -> Stat {
        match self {
            Self::TooOld => Stat::TooOldHeaps,
            Self::Rejected => Stat::RejectedHeaps,
            Self::OutOfBounds => Stat::OutOfBoundsHeaps,
            Self::JumpRejected => Stat::JumpRejectedHeaps,
            Self::AfterStop => Stat::AfterStopHeaps,
        }
    }

    /// The count of their packets.
    pub const fn packets(self) -> Stat {
        match self {
            Self::TooOld => Stat::PacketsTooOld,
            Self::Rejected => Stat::PacketsRejected,
            Self::OutOfBounds => Stat::PacketsOutOfBounds,
            Self::JumpRejected => Stat::PacketsJumpRejected,
            Self::AfterStop => Stat::PacketsAfterStop,
        }
    }
}

/// How a heap begins.
#[derive(Debug)]
pub enum Begin<T> {
    /// Its payload has a place.
    Placed(T),
    /// It has none; its packets are only counted.
    Discarded(Discard),
    /// It may get one later: the same packet is to be offered again. The waker has been left where the change comes from.
    Blocked,
}

/// The consumer of heaps. It is called by the stream's worker only.
pub trait HeapHandler: Send {
    /// What it keeps about a heap in progress.
    type Heap: Send;

    /// The waker to leave wherever it has to wait.
    fn attach(&mut self, waker: &Waker);
    /// A heap's first packet has come.
    fn begin(&mut self, packet: &Packet<'_>, batch: &mut Batch) -> Begin<Self::Heap>;
    /// Payload of a heap that was begun. An error discards the heap, as its memory may be gone.
    fn write(&mut self, heap: &Self::Heap, packet: &Packet<'_>, batch: &mut Batch) -> Result<(), Discard>;
    /// All of a heap's payload has been written, this very moment.
    fn complete(&mut self, heap: Self::Heap, batch: &mut Batch);
    /// A heap was given up.
    fn incomplete(&mut self, heap: Self::Heap, batch: &mut Batch);

    /// The consumer takes nothing more: the stream ends.
    fn is_closed(&self) -> bool;
    /// No more packets will come; hand out what is there. False if it must wait; then it is called again after a wake-up.
    fn flush(&mut self, batch: &mut Batch) -> bool;
    /// Gives up what could not be handed out and lets go of the consumer.
    fn close(&mut self, reason: &EndReason, batch: &mut Batch);
}

/// What the table keeps about a heap: the handler's state, or why the heap is discarded.
type Fate<T> = Result<T, Discard>;

/// Assembles a stream's packets into heaps.
pub struct Assembler<H: HeapHandler> {
    handler: H,
    table: Table<Fate<H::Heap>>,
    batch: Batch,
    allow_out_of_order: bool,
    allow_unsized_heaps: bool,
    max_heap_size: u64,
    stop_on_stop_item: bool,
    /// Packets in heaps in progress.
    pending: u64,
    /// Numbers of heaps whose beginning was missed, the latest last; at most `max_lost_starts`.
    lost_starts: VecDeque<u64>,
    max_lost_starts: usize,
    end: Option<EndReason>,
    malformed_log: Limited,
    truncated_log: Limited,
}

impl<H: HeapHandler> Assembler<H> {
    /// An assembler that counts into `batch`.
    pub fn new(config: &StreamConfig, handler: H, batch: Batch) -> Self {
        Self {
            handler,
            table: Table::new(config.max_heaps, config.substreams),
            batch,
            allow_out_of_order: config.allow_out_of_order,
            allow_unsized_heaps: config.allow_unsized_heaps,
            max_heap_size: config.max_heap_size,
            stop_on_stop_item: config.stop_on_stop_item,
            pending: 0,
            lost_starts: VecDeque::new(),
            max_lost_starts: (config.max_heaps * config.substreams).min(LOST_STARTS_LIMIT),
            end: None,
            malformed_log: Limited::new("malformed packets"),
            truncated_log: Limited::new("truncated packets"),
        }
    }

    /// The heaps' consumer.
    pub fn handler(&mut self) -> &mut H {
        &mut self.handler
    }

    /// What has been counted since the last publication.
    pub fn batch(&mut self) -> &mut Batch {
        self.batch[Stat::PacketsPending] = self.pending;
        &mut self.batch
    }

    /// Why packets are no longer taken, if that is so.
    pub fn end(&self) -> Option<&EndReason> {
        self.end.as_ref()
    }

    /// Gives up the heaps in progress and hands out what is there. False if it must wait for the consumer.
    pub fn flush(&mut self) -> bool {
        for heap in self.table.drain() {
            self.give_up(heap, Stat::IncompleteHeapsFlushed);
        }
        self.handler.flush(&mut self.batch)
    }

    /// The last call: lets go of the consumer.
    pub fn close(&mut self, reason: &EndReason) {
        self.handler.close(reason, &mut self.batch);
        self.malformed_log.summarise();
        self.truncated_log.summarise();
    }

    fn count(&mut self, stat: Stat) -> Flow {
        self.batch[Stat::Packets] += 1;
        self.batch[stat] += 1;
        Flow::Taken
    }

    fn count_discarded_heap(&mut self, discard: Discard) {
        self.batch[Stat::Heaps] += 1;
        self.batch[discard.heaps()] += 1;
        if self.handler.is_closed() {
            self.end.get_or_insert(EndReason::RingStopped);
        }
    }

    fn give_up(&mut self, heap: Partial<Fate<H::Heap>>, why: Stat) {
        self.pending -= heap.packets;
        match heap.state {
            Ok(state) => {
                self.batch[Stat::Heaps] += 1;
                self.batch[why] += 1;
                self.batch[Stat::PacketsIncomplete] += heap.packets;
                self.handler.incomplete(state, &mut self.batch);
            }
            Err(discard) => self.batch[discard.packets()] += heap.packets,
        }
    }

    /// A heap in one packet: no table, no state.
    #[inline]
    fn whole(&mut self, packet: &Packet<'_>) -> Flow {
        let written = match self.handler.begin(packet, &mut self.batch) {
            Begin::Blocked => return Flow::Blocked,
            Begin::Discarded(discard) => Err(discard),
            Begin::Placed(heap) => self.handler.write(&heap, packet, &mut self.batch).map(|()| heap),
        };
        self.batch[Stat::SinglePacketHeaps] += 1;
        match written {
            Ok(heap) => {
                self.handler.complete(heap, &mut self.batch);
                self.count_complete_heap(packet.payload().len() as u64);
                self.count(Stat::PacketsDelivered)
            }
            Err(discard) => {
                self.count_discarded_heap(discard);
                self.count(discard.packets())
            }
        }
    }

    #[inline]
    fn count_complete_heap(&mut self, bytes: u64) {
        self.batch[Stat::Heaps] += 1;
        self.batch[Stat::CompleteHeaps] += 1;
        self.batch[Stat::BytesDelivered] += bytes;
    }

    /// A packet of a heap that has more.
    fn part(&mut self, packet: &Packet<'_>) -> Flow {
        match self.table.find(packet.heap_cnt(), &mut self.batch[Stat::SearchDist]) {
            Found::Live(place) => self.join(place, packet),
            Found::Done => self.count(Stat::Duplicate),
            Found::Unknown => self.start(packet),
        }
    }

    fn start(&mut self, packet: &Packet<'_>) -> Flow {
        let heap_cnt = packet.heap_cnt();
        if !self.allow_out_of_order && packet.payload_offset() != 0 {
            self.note_lost_start(heap_cnt);
            return self.count(Stat::OutOfOrder);
        }
        if let Some(evicted) = self.table.make_room(heap_cnt) {
            self.give_up(evicted, Stat::IncompleteHeapsEvicted);
        }
        let fate = match self.handler.begin(packet, &mut self.batch) {
            Begin::Blocked => return Flow::Blocked,
            Begin::Placed(heap) => Ok(heap),
            Begin::Discarded(discard) => {
                self.count_discarded_heap(discard);
                Err(discard)
            }
        };
        let place = self.table.insert(heap_cnt, Partial::new(packet, self.allow_out_of_order, fate));
        self.join(place, packet)
    }

    fn note_lost_start(&mut self, heap_cnt: u64) {
        if !self.lost_starts.contains(&heap_cnt) {
            self.batch[Stat::HeapsLostStart] += 1;
            self.lost_starts.push_back(heap_cnt);
            if self.lost_starts.len() > self.max_lost_starts {
                self.lost_starts.pop_front();
            }
        }
    }

    fn join(&mut self, place: usize, packet: &Packet<'_>) -> Flow {
        let Some(heap) = self.table.get(place) else { return self.count(Stat::Inconsistent) };
        if let Err(reason) = heap.accept(packet) {
            return self.count(reason);
        }
        self.pending += 1;
        self.batch[Stat::Packets] += 1;
        let mut discarded = None;
        if let Ok(state) = &heap.state
            && let Err(discard) = self.handler.write(state, packet, &mut self.batch)
        {
            heap.state = Err(discard);
            discarded = Some(discard);
        }
        let complete = heap.is_complete();
        if let Some(discard) = discarded {
            self.count_discarded_heap(discard);
        }
        if complete && let Some(heap) = self.table.complete(place) {
            self.pending -= heap.packets;
            let bytes = heap.received();
            match heap.state {
                Ok(state) => {
                    self.handler.complete(state, &mut self.batch);
                    self.count_complete_heap(bytes);
                    self.batch[Stat::PacketsDelivered] += heap.packets;
                }
                Err(discard) => self.batch[discard.packets()] += heap.packets,
            }
        }
        Flow::Taken
    }
}

impl<H: HeapHandler> PacketSink for Assembler<H> {
    fn packet(&mut self, data: &[u8]) -> Flow {
        match Packet::parse(data) {
            Ok(packet) => self.parsed(&packet),
            Err(kind) => {
                self.malformed(kind, data);
                Flow::Taken
            }
        }
    }

    fn parsed(&mut self, packet: &Packet<'_>) -> Flow {
        if self.end.is_some() {
            return Flow::Ended;
        }
        if self.stop_on_stop_item && packet.is_stop() {
            self.end = Some(EndReason::StopItem);
            return self.count(Stat::PacketsControl);
        }
        let payload_length = packet.payload().len() as u64;
        // What is known of the heap's length: a checked packet's offset has at most 56 bits, so the sum cannot overflow.
        let length = packet.heap_length().unwrap_or(packet.payload_offset() + payload_length);
        if length > self.max_heap_size {
            return self.count(Stat::HeapTooLarge);
        }
        match packet.heap_length() {
            Some(length) if length == payload_length => self.whole(packet),
            None if !self.allow_unsized_heaps => self.count(Stat::Unsized),
            _ => self.part(packet),
        }
    }

    fn malformed(&mut self, kind: Malformed, data: &[u8]) {
        let _ = self.count(kind.into());
        self.malformed_log.note(|| {
            let start: String = data.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            format!("{} ({} bytes, starting {start})", kind.name(), data.len())
        });
    }

    fn discard(&mut self, reason: Stat) {
        let _ = self.count(reason);
        if reason == Stat::Truncated {
            self.truncated_log.note(|| "a datagram was longer than the reader's max_size".into());
        }
    }

    fn kernel_drops(&mut self, count: u64) {
        self.batch[Stat::KernelDrops] += count;
    }

    fn ended(&self) -> bool {
        self.end.is_some()
    }
}
